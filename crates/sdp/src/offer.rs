//! Making an offer and taking its answer.

use std::collections::BTreeMap;
use std::fmt;

use mcu_api::{Codec, Direction, LegMedia, OpusLimits, SrtpKeys};

use crate::answer::keys_to_use;
use crate::crypto;
use crate::format::{self, Encoding, Format};
use crate::local::{LocalKey, LocalMedia, SrtpPolicy};
use crate::peer::{self, Transport};
use crate::read::{self, Line};
use crate::refusal::{Refusal, RefusalKind};
use crate::session::{Session, Slot};
use crate::write::Description;

/// The id we give the audio level extension when nothing else is agreed.
const AUDIO_LEVEL_ID: u8 = 1;

/// What we offered, until the answer comes. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq)]
pub struct PendingOffer {
    id: u64,
    version: u64,
    printed: Vec<u8>,
    local: LocalMedia,
    lines: Vec<Slot>,
    formats: Vec<Format>,
    keys: Vec<LocalKey>,
    direction: Direction,
    audio_level: u8,
    payload_types: BTreeMap<u8, String>,
    previous: Option<LegMedia>,
}

impl fmt::Debug for PendingOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingOffer")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

/// Makes an offer. `direction` is ours: `SendOnly` puts the peer on hold with music, `Inactive` without.
///
/// With `previous` it is a new offer in a session (hold, resume, refresh, an INVITE without offer): lines, payload
/// types, keys and session id are kept.
pub fn offer(local: &LocalMedia, direction: Direction, previous: Option<&Session>) -> (Vec<u8>, PendingOffer) {
    let media = previous.map(Session::media);
    let mut payload_types = previous.map_or_else(BTreeMap::new, |session| session.payload_types.clone());
    let formats = formats_to_offer(local, media, &mut payload_types);
    let keys = if local.srtp == SrtpPolicy::Off { Vec::new() } else { keys_to_use(local, media) };
    let crypto: Vec<String> =
        keys.iter().zip(1..).map(|(key, tag)| crypto::print(tag, key.profile, &key.key)).collect();
    let lines = previous.map_or_else(|| vec![Slot::Audio], |session| session.lines.clone());
    let audio_level = media.and_then(|media| media.audio_level_extension).unwrap_or(AUDIO_LEVEL_ID);
    let description = Description {
        session_id: previous.map_or(local.session_id, |session| session.id),
        rtp: local.rtp,
        rtcp_port: Some(local.rtcp.port()),
        lines: &lines,
        proto: proto_to_offer(local.srtp, previous),
        formats: &formats,
        crypto: &crypto,
        rtcp_mux: media.is_none_or(|media| media.rtcp_mux),
        packet_time: media.map_or(20, |media| media.packet_time_ms),
        audio_level: Some(audio_level),
        direction,
    };
    let (version, printed) = description.print(previous);
    let pending = PendingOffer {
        id: description.session_id,
        version,
        printed: printed.clone(),
        local: local.clone(),
        formats,
        keys,
        direction,
        audio_level,
        payload_types,
        previous: media.cloned(),
        lines,
    };
    (printed, pending)
}

/// Takes the answer to our offer. On a refusal the caller acknowledges the answer and ends the dialog, or, within a
/// session, goes on with the session as it was.
pub fn accept_answer(pending: PendingOffer, answer: &[u8]) -> Result<Session, Refusal> {
    let mismatch = |text| Refusal::new(RefusalKind::Mismatch, text);
    let lines = read::read(answer)?;
    if lines.len() != pending.lines.len() {
        return Err(mismatch("the answer has another number of media lines than the offer"));
    }
    let index =
        pending.lines.iter().position(|slot| *slot == Slot::Audio).expect("every offer of ours has one audio line");
    let line = &lines[index];
    if line.media != "audio" {
        return Err(mismatch("the answer has another kind of media than the offer"));
    }
    if line.port == 0 {
        return Err(Refusal::new(RefusalKind::NoAudio, "the answer switches the audio line off"));
    }
    let media = agree(&pending, line)?;
    let mut payload_types = pending.payload_types;
    format::remember(&line.audio, &mut payload_types);
    Ok(Session {
        id: pending.id,
        version: pending.version,
        local: pending.printed,
        media,
        lines: pending.lines,
        proto: line.proto.clone(),
        payload_types,
    })
}

/// What the offer and the answer's audio line give together.
fn agree(pending: &PendingOffer, line: &Line) -> Result<LegMedia, Refusal> {
    let srtp = agree_on_keys(pending, line)?;
    let remote = peer::remote_of(line, &pending.local, pending.previous.as_ref())?;
    let (codec, send, receive) = agree_on_codec(pending, line)?;
    let wanted = peer::mirror(line.audio.direction);
    let direction = peer::direction(
        pending.direction.sends() && wanted.sends() && !remote.held,
        pending.direction.receives() && wanted.receives(),
    );
    let parameters = line.audio.fmtp.get(&send);
    let opus = codec == Codec::Opus;
    Ok(LegMedia {
        remote_rtp: remote.rtp,
        remote_rtcp: remote.rtcp,
        remote_signalling: None,
        rtcp_mux: remote.rtcp_mux,
        codec,
        send_payload_type: send,
        receive_payload_type: receive,
        telephone_event: agree_on_telephone_event(pending, line, codec),
        packet_time_ms: peer::packet_time(line),
        opus_fec: opus && format::is_set(parameters, "useinbandfec"),
        opus_dtx: opus && format::is_set(parameters, "usedtx"),
        opus_limits: if opus { format::opus_limits(parameters) } else { OpusLimits::default() },
        comfort_noise: format::comfort_noise_for(codec, &answered_formats(pending, line))
            .map(|format| format.payload_type),
        audio_level_extension: line.audio.audio_level.filter(|id| *id == pending.audio_level),
        direction,
        srtp,
    })
}

/// The answer names one of our `a=crypto` lines by its tag and repeats its suite (RFC 4568 5.1.3).
fn agree_on_keys(pending: &PendingOffer, line: &Line) -> Result<Option<SrtpKeys>, Refusal> {
    let transport = peer::transport_of(line)?;
    let named = line.audio.crypto.iter().find_map(|theirs| {
        let index = usize::try_from(theirs.tag).ok()?.checked_sub(1)?;
        let ours = pending.keys.get(index).filter(|ours| ours.profile == theirs.profile)?;
        Some(crypto::both(ours, theirs))
    });
    match (transport, named) {
        (_, Some(keys)) => Ok(Some(keys)),
        (Transport::Secure, None) => Err(peer::no_usable_keys(line)),
        (Transport::Plain, None) => peer::allow_plain(pending.local.srtp, pending.previous.as_ref()).map(|()| None),
    }
}

/// The first codec of the answer that we offered: what we send, with the answer's payload type, and what we receive,
/// with ours. The two may differ (RFC 3264 5.1).
fn agree_on_codec(pending: &PendingOffer, line: &Line) -> Result<(Codec, u8, u8), Refusal> {
    let offered = |encoding| pending.formats.iter().find(|format| format.encoding == encoding);
    let common = line.audio.formats.iter().find_map(|payload_type| {
        let encoding = answered_encoding(pending, line, *payload_type)?;
        let Encoding::Audio(codec) = encoding else { return None };
        Some((codec, *payload_type, offered(encoding)?.payload_type))
    });
    common.ok_or(Refusal::new(RefusalKind::NoCommonCodec, "the answer has no codec of the offer"))
}

/// What a payload type of the answer means; one without `a=rtpmap` means what it meant in the offer.
fn answered_encoding(pending: &PendingOffer, line: &Line, payload_type: u8) -> Option<Encoding> {
    let ours = || pending.formats.iter().find(|format| format.payload_type == payload_type).map(|ours| ours.encoding);
    match line.audio.rtpmap.contains_key(&payload_type) {
        true => format::encoding_of(&line.audio, payload_type),
        false => ours().or_else(|| format::encoding_of(&line.audio, payload_type)),
    }
}

/// Telephone-events as we receive them: our payload type for the clock the answer took.
fn agree_on_telephone_event(pending: &PendingOffer, line: &Line, codec: Codec) -> Option<u8> {
    let taken = format::telephone_event_for(codec, &answered_formats(pending, line))?;
    pending.formats.iter().find(|ours| ours.encoding == taken.encoding).map(|ours| ours.payload_type)
}

/// The formats of the answer that we know.
fn answered_formats(pending: &PendingOffer, line: &Line) -> Vec<Format> {
    let known = |payload_type: &u8| {
        let encoding = answered_encoding(pending, line, *payload_type)?;
        Some(Format { payload_type: *payload_type, encoding })
    };
    line.audio.formats.iter().filter_map(known).collect()
}

/// Our codecs in order of preference, the one in use first, then telephone-events on the clock of each.
fn formats_to_offer(
    local: &LocalMedia,
    previous: Option<&LegMedia>,
    payload_types: &mut BTreeMap<u8, String>,
) -> Vec<Format> {
    let in_use = previous.map(|media| media.codec).filter(|codec| local.codecs.contains(codec));
    let others = local.codecs.iter().copied().filter(|codec| Some(*codec) != in_use);
    let mut encodings: Vec<Encoding> = Vec::new();
    for codec in in_use.into_iter().chain(others) {
        if !encodings.contains(&Encoding::Audio(codec)) {
            encodings.push(Encoding::Audio(codec));
        }
    }
    if local.codecs.iter().any(|codec| codec.clock_rate() == 8_000) {
        encodings.push(Encoding::ComfortNoise);
    }
    if local.telephone_event {
        for clock in [8_000, 48_000] {
            let used = local.codecs.iter().any(|codec| codec.clock_rate() == clock);
            encodings.extend(used.then_some(Encoding::TelephoneEvent { clock }));
        }
    }
    encodings.into_iter().filter_map(|encoding| format::assign(encoding, payload_types)).collect()
}

/// The transport to offer; a session keeps the one it has, unless the policy asks for more.
fn proto_to_offer(policy: SrtpPolicy, previous: Option<&Session>) -> &str {
    match (policy, previous) {
        (_, Some(session)) if policy != SrtpPolicy::Require || session.media.srtp.is_some() => &session.proto,
        (SrtpPolicy::Require, _) => "RTP/SAVP",
        _ => "RTP/AVP",
    }
}
