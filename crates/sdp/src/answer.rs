//! Answering an offer.

use std::collections::BTreeMap;

use mcu_api::{Codec, Direction, LegMedia, OpusLimits, SrtpKeys};

use crate::crypto;
use crate::format::{self, Encoding, Format};
use crate::local::{LocalKey, LocalMedia, SrtpPolicy};
use crate::peer::{self, Remote, Transport};
use crate::read::{self, Line};
use crate::refusal::{Refusal, RefusalKind};
use crate::session::{Session, Slot};
use crate::write::Description;

/// An offer that was read and found to be within bounds; whether anything in it is usable is [`Offer::answer`]'s.
#[derive(Clone, Debug)]
pub struct Offer {
    lines: Vec<Line>,
}

/// What one line of an offer would give.
#[derive(Clone, Debug)]
struct Choice {
    line: usize,
    codec: Codec,
    payload_type: u8,
    telephone_event: Option<Format>,
    comfort_noise: Option<Format>,
    remote: Remote,
    direction: Direction,
    /// The tag of the chosen `a=crypto` line with the keys.
    srtp: Option<(u32, SrtpKeys)>,
}

impl Offer {
    /// Reads an offer.
    pub fn parse(offer: &[u8]) -> Result<Self, Refusal> {
        Ok(Self { lines: read::read(offer)? })
    }

    /// Answers it: our description, and the session. Exactly as many lines are answered as were offered; the first
    /// audio line that can be used is taken, an encrypted one first where encryption is supported, and the others are
    /// refused with port 0.
    pub fn answer(&self, local: &LocalMedia, previous: Option<&Session>) -> Result<(Vec<u8>, Session), Refusal> {
        let choice = self.choose(local, previous.map(Session::media))?;
        let line = &self.lines[choice.line];
        let media = leg_media(&choice, line);

        let lines = self.slots(choice.line);
        let audio = Format { payload_type: choice.payload_type, encoding: Encoding::Audio(choice.codec) };
        let formats: Vec<Format> =
            std::iter::once(audio).chain(choice.comfort_noise).chain(choice.telephone_event).collect();
        let crypto: Vec<String> =
            choice.srtp.iter().map(|(tag, keys)| crypto::print(*tag, keys.profile, &keys.local)).collect();
        let description = Description {
            session_id: previous.map_or(local.session_id, |session| session.id),
            rtp: local.rtp,
            // On a shared port there is no other one to name.
            rtcp_port: (!media.rtcp_mux).then_some(local.rtcp.port()),
            lines: &lines,
            proto: &line.proto,
            formats: &formats,
            crypto: &crypto,
            rtcp_mux: media.rtcp_mux,
            packet_time: media.packet_time_ms,
            audio_level: media.audio_level_extension,
            direction: media.direction,
        };
        let (version, printed) = description.print(previous);

        let mut payload_types = previous.map_or_else(BTreeMap::new, |session| session.payload_types.clone());
        format::remember(&line.audio, &mut payload_types);
        let session = Session {
            id: description.session_id,
            version,
            local: printed.clone(),
            media,
            lines,
            proto: line.proto.clone(),
            payload_types,
        };
        Ok((printed, session))
    }

    fn choose(&self, local: &LocalMedia, previous: Option<&LegMedia>) -> Result<Choice, Refusal> {
        let mut first_refusal = None;
        let mut first_plain = None;
        for (index, line) in self.lines.iter().enumerate().filter(|(_, line)| line.media == "audio" && line.port != 0) {
            match judge(index, line, local, previous) {
                Ok(choice) if choice.srtp.is_some() || local.srtp == SrtpPolicy::Off => return Ok(choice),
                Ok(choice) => first_plain = first_plain.or(Some(choice)),
                Err(refusal) => first_refusal = first_refusal.or(Some(refusal)),
            }
        }
        first_plain.ok_or_else(|| {
            first_refusal.unwrap_or(Refusal::new(RefusalKind::NoAudio, "there is no audio line that is switched on"))
        })
    }

    fn slots(&self, chosen: usize) -> Vec<Slot> {
        let slot = |(index, line): (usize, &Line)| match index == chosen {
            true => Slot::Audio,
            false => Slot::Refused { media: line.media.clone(), proto: line.proto.clone(), fmt: line.fmt.clone() },
        };
        self.lines.iter().enumerate().map(slot).collect()
    }
}

/// Reads and answers an offer; see [`Offer`].
///
/// `previous` is the session so far, when the offer comes in a re-INVITE or UPDATE; it is not changed, so that a
/// refused offer leaves the session as it was (RFC 3261 14.1).
pub fn answer(offer: &[u8], local: &LocalMedia, previous: Option<&Session>) -> Result<(Vec<u8>, Session), Refusal> {
    Offer::parse(offer)?.answer(local, previous)
}

/// Whether one audio line can be used, and how.
fn judge(index: usize, line: &Line, local: &LocalMedia, previous: Option<&LegMedia>) -> Result<Choice, Refusal> {
    let srtp = choose_keys(line, local, previous)?;
    let remote = peer::remote_of(line, local, previous)?;
    let formats = format::known_formats(&line.audio);
    let (codec, payload_type) = choose_codec(&formats, &local.codecs)
        .ok_or(Refusal::new(RefusalKind::NoCommonCodec, "there is no codec in common: offer Opus, PCMU or PCMA"))?;
    let telephone_event = if local.telephone_event { format::telephone_event_for(codec, &formats) } else { None };
    let comfort_noise = format::comfort_noise_for(codec, &formats);
    let wanted = peer::mirror(line.audio.direction);
    let direction = peer::direction(wanted.sends() && !remote.held, wanted.receives());
    Ok(Choice { line: index, codec, payload_type, telephone_event, comfort_noise, remote, direction, srtp })
}

/// The keys of a line, `None` for plain RTP where that is allowed.
fn choose_keys(
    line: &Line,
    local: &LocalMedia,
    previous: Option<&LegMedia>,
) -> Result<Option<(u32, SrtpKeys)>, Refusal> {
    let transport = peer::transport_of(line)?;
    let keys = match local.srtp {
        SrtpPolicy::Off => None,
        SrtpPolicy::Support | SrtpPolicy::Require => crypto::choose(&line.audio.crypto, &keys_to_use(local, previous)),
    };
    match (transport, keys) {
        (_, Some(keys)) => Ok(Some(keys)),
        (Transport::Plain, None) => peer::allow_plain(local.srtp, previous).map(|()| None),
        (Transport::Secure, None) if local.srtp == SrtpPolicy::Off => {
            Err(Refusal::new(RefusalKind::Encryption, "encryption is switched off here: offer RTP/AVP"))
        }
        (Transport::Secure, None) => Err(peer::no_usable_keys(line)),
    }
}

/// Our keys, best first. A session that is encrypted keeps its key: the stream goes on, and a fresh key would only
/// cost the packets that are under way.
pub(crate) fn keys_to_use(local: &LocalMedia, previous: Option<&LegMedia>) -> Vec<LocalKey> {
    let kept = previous.and_then(|media| media.srtp.as_ref());
    let Some(kept) = kept.map(|keys| LocalKey { profile: keys.profile, key: keys.local.clone() }) else {
        return local.keys.clone();
    };
    let others = local.keys.iter().filter(|key| key.profile != kept.profile).cloned();
    std::iter::once(kept.clone()).chain(others).collect()
}

/// The first codec of our preference where it is offered, else the first that is offered of those we have: the order of the
/// offer is the offerer's preference (RFC 3264 6.1 says that the answerer should follow it).
fn choose_codec(formats: &[Format], preference: &[Codec]) -> Option<(Codec, u8)> {
    let offered = formats.iter().filter_map(|format| match format.encoding {
        Encoding::Audio(codec) if preference.contains(&codec) => Some((codec, format.payload_type)),
        _ => None,
    });
    let best = |(codec, _): &(Codec, u8)| preference.first() == Some(codec);
    offered.clone().find(best).or_else(|| offered.clone().next())
}

/// The answerer sends with the payload types the offer gave, and receives with the same, because it echoes them.
fn leg_media(choice: &Choice, line: &Line) -> LegMedia {
    let Choice { codec, payload_type, .. } = *choice;
    let parameters = line.audio.fmtp.get(&payload_type);
    let opus = codec == Codec::Opus;
    LegMedia {
        remote_rtp: choice.remote.rtp,
        remote_rtcp: choice.remote.rtcp,
        remote_signalling: None,
        rtcp_mux: choice.remote.rtcp_mux,
        codec,
        send_payload_type: payload_type,
        receive_payload_type: payload_type,
        telephone_event: choice.telephone_event.map(|format| format.payload_type),
        packet_time_ms: peer::packet_time(line),
        opus_fec: opus && format::is_set(parameters, "useinbandfec"),
        opus_dtx: opus && format::is_set(parameters, "usedtx"),
        opus_limits: if opus { format::opus_limits(parameters) } else { OpusLimits::default() },
        comfort_noise: choice.comfort_noise.map(|format| format.payload_type),
        audio_level_extension: line.audio.audio_level,
        direction: choice.direction,
        srtp: choice.srtp.as_ref().map(|(_, keys)| keys.clone()),
    }
}
