//! Payload types and what they mean.

use std::collections::BTreeMap;

use mcu_api::{Codec, OpusLimits};

use crate::read::Audio;

/// What a payload type carries, of the things we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Audio.
    Audio(Codec),
    /// Telephone-events on the clock of a codec (RFC 4733 2.1).
    TelephoneEvent {
        /// Clock rate in Hz.
        clock: u32,
    },
    /// Comfort noise in place of silence, beside codecs of 8 kHz (RFC 3389).
    ComfortNoise,
}

impl Encoding {
    /// The text of an `a=rtpmap` line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Audio(Codec::Opus) => "opus/48000/2",
            Self::Audio(Codec::Pcmu) => "PCMU/8000",
            Self::Audio(Codec::Pcma) => "PCMA/8000",
            Self::TelephoneEvent { clock: 48_000 } => "telephone-event/48000",
            Self::TelephoneEvent { .. } => "telephone-event/8000",
            Self::ComfortNoise => "CN/8000",
        }
    }

    /// The value of our `a=fmtp` line.
    pub(crate) const fn parameters(self) -> Option<&'static str> {
        match self {
            Self::Audio(Codec::Opus) => Some("useinbandfec=1"),
            Self::Audio(_) | Self::ComfortNoise => None,
            Self::TelephoneEvent { .. } => Some("0-15"),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        match name {
            // RFC 7587 7 fixes the channel count; the form without it is seen too and means the same.
            "opus/48000/2" | "opus/48000" => Some(Self::Audio(Codec::Opus)),
            "pcmu/8000" | "pcmu/8000/1" => Some(Self::Audio(Codec::Pcmu)),
            "pcma/8000" | "pcma/8000/1" => Some(Self::Audio(Codec::Pcma)),
            "telephone-event/8000" | "telephone-event/8000/1" => Some(Self::TelephoneEvent { clock: 8_000 }),
            "telephone-event/48000" | "telephone-event/48000/1" => Some(Self::TelephoneEvent { clock: 48_000 }),
            "cn/8000" | "cn/8000/1" => Some(Self::ComfortNoise),
            _ => None,
        }
    }

    /// The payload type the field expects when nothing else is agreed.
    const fn usual(self) -> u8 {
        match self {
            Self::Audio(Codec::Opus) => 111,
            Self::Audio(Codec::Pcmu) => 0,
            Self::Audio(Codec::Pcma) => 8,
            Self::TelephoneEvent { clock: 48_000 } => 110,
            Self::TelephoneEvent { .. } => 101,
            Self::ComfortNoise => 13,
        }
    }
}

/// A payload type with its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// The payload type.
    pub(crate) payload_type: u8,
    /// What it carries.
    pub(crate) encoding: Encoding,
}

/// What a payload type of a line means; 0, 8 and 13 need no `a=rtpmap` (RFC 3551 6).
pub(crate) fn encoding_of(audio: &Audio, payload_type: u8) -> Option<Encoding> {
    match (audio.rtpmap.get(&payload_type), payload_type) {
        (Some(name), _) => Encoding::parse(name),
        (None, 0) => Some(Encoding::Audio(Codec::Pcmu)),
        (None, 8) => Some(Encoding::Audio(Codec::Pcma)),
        (None, 13) => Some(Encoding::ComfortNoise),
        (None, _) => None,
    }
}

/// The formats of a line that we know, in its order.
pub(crate) fn known_formats(audio: &Audio) -> Vec<Format> {
    let known = |payload_type: &u8| {
        encoding_of(audio, *payload_type).map(|encoding| Format { payload_type: *payload_type, encoding })
    };
    audio.formats.iter().filter_map(known).collect()
}

/// The telephone-event format that goes with a codec: on the codec's clock, else on any (reliability.md 2.1: phones
/// offer 8 kHz events beside Opus).
pub(crate) fn telephone_event_for(codec: Codec, formats: &[Format]) -> Option<Format> {
    let events = || formats.iter().filter(|format| matches!(format.encoding, Encoding::TelephoneEvent { .. }));
    events()
        .find(|format| format.encoding == Encoding::TelephoneEvent { clock: codec.clock_rate() })
        .or_else(|| events().next())
        .copied()
}

/// The comfort noise that goes with a codec: Opus has its own.
pub(crate) fn comfort_noise_for(codec: Codec, formats: &[Format]) -> Option<Format> {
    let comfort_noise = formats.iter().find(|format| format.encoding == Encoding::ComfortNoise);
    comfort_noise.filter(|_| codec.clock_rate() == 8_000).copied()
}

/// Gives an encoding a payload type of ours: the one it has, else the usual one, else a free dynamic one.
pub(crate) fn assign(encoding: Encoding, taken: &mut BTreeMap<u8, String>) -> Option<Format> {
    let name = encoding.name().to_ascii_lowercase();
    let existing = taken.iter().find(|(_, meaning)| **meaning == name).map(|(payload_type, _)| *payload_type);
    let free =
        || std::iter::once(encoding.usual()).chain(96..=127).find(|payload_type| !taken.contains_key(payload_type));
    let payload_type = existing.or_else(free)?;
    taken.insert(payload_type, name);
    Some(Format { payload_type, encoding })
}

/// Notes what a peer's line gives a meaning, so that no later offer gives the same number another one.
pub(crate) fn remember(audio: &Audio, taken: &mut BTreeMap<u8, String>) {
    for payload_type in &audio.formats {
        let name = match encoding_of(audio, *payload_type) {
            Some(encoding) => encoding.name().to_ascii_lowercase(),
            None => "unknown".to_owned(),
        };
        taken.entry(*payload_type).or_insert(name);
    }
}

/// Whether a format parameter is set to 1: `useinbandfec=1`.
pub(crate) fn is_set(parameters: Option<&String>, name: &str) -> bool {
    values(parameters, name).any(|value| value == "1")
}

/// The most a receiver of Opus takes (RFC 7587 6.1); what is no number limits nothing.
pub(crate) fn opus_limits(parameters: Option<&String>) -> OpusLimits {
    let number = |name| values(parameters, name).find_map(|value| value.parse().ok());
    OpusLimits::of(number("maxaveragebitrate"), number("maxplaybackrate"))
}

fn values<'a>(parameters: Option<&'a String>, name: &'a str) -> impl Iterator<Item = &'a str> {
    let parts = parameters.into_iter().flat_map(|list| list.split(';'));
    let pairs = parts.filter_map(|part| part.trim().split_once('='));
    pairs.filter(move |(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}
