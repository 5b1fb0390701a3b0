//! From recorded packets to samples at 8 kHz.

use opus::{Channels, Decoder};
use testkit::g711;

use crate::media::clips::RATE;
use crate::media::leg::{Heard, LegRecord};
use crate::plan::Codec;

/// Samples of the longest Opus packet at [`RATE`]: 120 ms.
const PACKET_SAMPLES_MAX: usize = RATE * 120 / 1_000;

/// Decodes what a caller received.
pub enum Ear {
    /// Opus, which remembers what came before.
    Opus(Box<Decoder>),
    /// G.711.
    Law(fn(u8) -> i16),
}

impl Ear {
    /// For a codec.
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::Opus => {
                let decoder = Decoder::new(RATE as u32, Channels::Mono).expect("8 kHz mono is one of Opus's rates");
                Self::Opus(Box::new(decoder))
            }
            Codec::Pcmu => Self::Law(g711::decode_ulaw),
            Codec::Pcma => Self::Law(g711::decode_alaw),
        }
    }

    /// The samples of one packet; none for one that cannot be read.
    pub fn decode(&mut self, payload: &[u8]) -> Vec<i16> {
        match self {
            Self::Law(decode) => payload.iter().map(|code| decode(*code)).collect(),
            // The library takes an empty packet for a lost one.
            Self::Opus(_) if payload.is_empty() => Vec::new(),
            Self::Opus(decoder) => {
                let mut samples = vec![0; PACKET_SAMPLES_MAX];
                let count = decoder.decode(payload, &mut samples, false).unwrap_or(0);
                samples.truncate(count);
                samples
            }
        }
    }
}

/// Units of a codec's RTP clock for one sample at [`RATE`].
pub const fn units_per_sample(codec: Codec) -> u32 {
    match codec {
        Codec::Opus => 6,
        Codec::Pcmu | Codec::Pcma => 1,
    }
}

/// The payload of a recorded packet.
pub fn payload_of<'a>(record: &'a LegRecord, heard: &Heard) -> &'a [u8] {
    &record.payloads[heard.start as usize..heard.start as usize + usize::from(heard.length)]
}
