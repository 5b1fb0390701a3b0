//! The rows: what is kept, in plain types.

use base::{AccessType, ConferenceId, ConferenceNumber, Pii, Role, Termination, UserUri};

/// Milliseconds since 1970-01-01T00:00:00Z. The calendar belongs to the caller; this crate reads no clock.
pub type UnixMillis = i64;

/// A scheduled conference as the Focus Factory knows it (c3p.md 2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConferenceRecord {
    /// The conference id; the key.
    pub id: ConferenceId,
    /// Whom it belongs to.
    pub organizer: UserUri,
    /// Subject.
    pub subject: String,
    /// Description (`display-text`).
    pub description: String,
    /// Who may enter.
    pub access: AccessType,
    /// Numeric code that a caller enters, if one is wanted. Never printed.
    pub pin: Option<Pii>,
    /// The number people dial. Once given, a number never belongs to another conference.
    pub number: Option<ConferenceNumber>,
    /// When the Factory may delete it; `None` = its document did not say.
    pub expiry: Option<UnixMillis>,
    /// The Factory's version; saving an older one over a newer one fails.
    pub version: u64,
    /// Users invited by name, with their roles.
    pub invited: Vec<Invited>,
    /// Locked from the start.
    pub locked: bool,
    /// The organiser's permanent personal meeting (`static="true"`).
    pub personal: bool,
    /// Callers without a role wait until a presenter lets them in.
    pub lobby: bool,
    /// But not telephone callers who are admitted otherwise.
    pub phones_pass_lobby: bool,
    /// Authenticated users come in as presenters.
    pub promote_authenticated: bool,
    /// Opaque XML of scheduling clients (`organizer-roaming-data`), at most 64 KiB.
    pub organizer_data: String,
    /// Opaque XML for participants (`notification-data`), at most 64 KiB.
    pub notification_data: String,
    /// When it was made.
    pub created: UnixMillis,
    /// When it was last changed.
    pub updated: UnixMillis,
    /// When it was last of use: scheduled, changed or held.
    pub used: UnixMillis,
}

/// A user on a conference's list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Invited {
    /// The user.
    pub user: UserUri,
    /// The role he enters with.
    pub role: Role,
}

/// Which side made the leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CdrDirection {
    /// The person called us.
    Inbound,
    /// We dialled him.
    Outbound,
}

/// A call detail record: one answered leg segment, or one part of a response group's call. Written once, when it is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Cdr {
    /// Unique for ever (node, start, leg ...), at most 128 characters; the same id twice is written once.
    pub segment_id: String,
    /// The conference it was in.
    pub conference: Option<ConferenceId>,
    /// Correlates the legs of one call.
    pub call: u64,
    /// SIP Call-ID of the leg.
    pub sip_call_id: String,
    /// Which side made it.
    pub direction: CdrDirection,
    /// Who was on it, when known: an account, a called address, or a guest of the conference.
    pub user: Option<UserUri>,
    /// Who a caller said he was, when nobody vouched for it.
    pub claimed: Option<UserUri>,
    /// Who asked for it (dial-out).
    pub requested_by: Option<UserUri>,
    /// What was dialled, as dialled.
    pub dialled: Option<Pii>,
    /// The number after normalisation.
    pub number: Option<Pii>,
    /// The trunk it went through.
    pub trunk: Option<String>,
    /// When it began.
    pub started: UnixMillis,
    /// When it was answered; not before `started`.
    pub answered: UnixMillis,
    /// When it ended; not before `answered`.
    pub ended: UnixMillis,
    /// Talking time in milliseconds, from the monotonic clock; of a response group's call, the length of the part.
    pub duration_ms: u64,
    /// How it ended.
    pub termination: Termination,
    /// The SIP status that ended it, if one did.
    pub sip_status: Option<u16>,
    /// Codec name.
    pub codec: Option<String>,
    /// Media was encrypted.
    pub encrypted: bool,
    /// How its media fared; `None` where none came here or nobody knows any more.
    pub quality: Option<Quality>,
    /// Of a response group's call, which part this is: `greeting`, `queue`, `talk`, `forward` (on the way to a target),
    /// `onward` (talking with it), or `call` for the whole of it. `attendant` for a caller who was asked for a conference and
    /// got into none.
    pub segment: Option<String>,
    /// What became of the caller in that part of a response group's call.
    pub outcome: Option<String>,
}

/// Media figures of one leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Quality {
    /// RTP packets received.
    pub received_packets: u64,
    /// RTP packets sent.
    pub sent_packets: u64,
    /// RTP packets that never came.
    pub lost_packets: u64,
    /// Packets that came too late.
    pub late_packets: u64,
    /// 20 ms frames made up.
    pub concealed_frames: u64,
    /// Interarrival jitter, microseconds; `None` when no packet came.
    pub jitter_us: Option<u32>,
    /// Delay of the jitter buffer at the end, microseconds; `None` when no packet came.
    pub buffer_delay_us: Option<u32>,
    /// Bound of that delay, microseconds; `None` when no packet came, and in records of earlier versions.
    #[serde(deserialize_with = "known")]
    pub buffer_delay_max_us: Option<u32>,
    /// Round trip, microseconds; `None` when it was not measured.
    #[serde(deserialize_with = "known")]
    pub round_trip_us: Option<u32>,
    /// Estimated listening quality, MOS in hundredths, 100 to 450; `None` when it was not estimated.
    #[serde(deserialize_with = "known")]
    pub mos_hundredths: Option<u16>,
    /// What that estimate was made of; `None` when there is none, and in records of earlier versions.
    pub e_model: Option<EModel>,
    /// Loss of what was sent, as the peer reported it last, in 1/256; 0 until it reports.
    pub remote_loss_fraction: u8,
    /// At its end only one direction carried audio.
    pub one_way: bool,
}

/// The inputs of the E-model (ITU-T G.107), with which the opinion can be computed again: `R` = `r_default` - Ie_eff, with
/// Ie_eff = `ie` + (95 - `ie`) `ppl` / (`ppl` / `burst_r` + `bpl`), and annex B from `R` to the MOS. Delay and echo are
/// no inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EModel {
    /// The rating of a connection whose parameters all have their default values, in tenths.
    pub r_default_tenths: u16,
    /// Impairment by the codec alone, in tenths.
    pub ie_tenths: u16,
    /// How well the codec stands loss, in tenths.
    pub bpl_tenths: u16,
    /// Share of frames that had to be made up, in hundredths of a percent.
    pub ppl_hundredths: u16,
    /// Mean length of a gap against that of random loss, in hundredths.
    pub burst_r_hundredths: u16,
}

/// Earlier versions wrote 0 for what they did not know.
fn known<'de, D, T>(value: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de> + Default + PartialEq,
{
    let value: Option<T> = serde::Deserialize::deserialize(value)?;
    Ok(value.filter(|value| *value != T::default()))
}

/// The call-routing settings a user changed at run time. Both texts are JSON that this crate does not read.
#[derive(Clone, PartialEq, Eq)]
pub struct UserProfileRow {
    /// Whose settings.
    pub user: UserUri,
    /// What they are now; at most 64 KiB.
    pub profile: String,
    /// What the configuration said when they were changed; at most 64 KiB.
    pub configured: String,
}

impl std::fmt::Debug for UserProfileRow {
    /// Telephone numbers may stand in settings, so only whose they are is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserProfileRow").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A registered device (RFC 3261 10.3). Its texts are SIP's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationRow {
    /// The Contact URI.
    pub contact: String,
    /// The route to it (RFC 3327), as a Path header; usually empty.
    pub path: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Our address and port on the flow it came by.
    pub local: String,
    /// Its own.
    pub remote: String,
    /// `+sip.instance`.
    pub instance: Option<String>,
    /// `q` times 1000.
    pub preference: u16,
    /// Call-ID of its REGISTER.
    pub call_id: String,
    /// CSeq number of its REGISTER.
    pub cseq: u32,
    /// When it expires.
    pub expires: UnixMillis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_earlier_versions_did_not_know_is_unknown() {
        let earlier = r#"{"received_packets": 9, "jitter_us": 0, "round_trip_us": 0, "mos_hundredths": 0}"#;
        let quality: Quality = serde_json::from_str(earlier).expect("it can be read");
        let expected = Quality { received_packets: 9, jitter_us: Some(0), ..Quality::default() };
        assert_eq!(quality, expected);
        let none: Option<Quality> = serde_json::from_str("null").expect("it can be read");
        assert_eq!(none, None);
    }
}
