//! Codecs as the mixer sees them: traits on caller-owned buffers, and the factory that makes them.

use mcu_api::{Codec, OpusLimits};

use crate::Level;

/// Longest packet in samples: 120 ms, the limit of Opus (RFC 6716 3.2.5).
pub const PACKET_SAMPLES_MAX: usize = 5_760;

/// Room for one packet that is sent, in bytes: with RTP, SRTP and UDP headers it still fits into the 1,280 bytes that
/// every IPv6 path carries. An encoder stays below what it is given.
pub const PACKET_BYTES_MAX: usize = 1_180;

/// Why a codec did not do its work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The packet is not one of this codec.
    #[error("the packet cannot be decoded")]
    Packet,
    /// The caller's buffer is too small, or its length is not one this codec works with.
    #[error("the buffer's length does not fit")]
    Length,
    /// The codec could not be made or set up.
    #[error("the codec could not be set up: {0}")]
    Setup(&'static str),
}

/// Turns packets of one stream into 48 kHz mono samples.
pub trait Decoder: Send {
    /// Decodes one packet into the front of `out` and returns the number of samples.
    ///
    /// * `Some(packet)`, `fec == false`: the packet itself; `out` should hold [`PACKET_SAMPLES_MAX`] samples.
    /// * `Some(packet)`, `fec == true`: what the packet, the one *after* a lost one, tells of the lost one; the length
    ///   of `out` is the length of what was lost. Where it tells nothing, the loss is concealed.
    /// * `None`: the packet is lost; all of `out` is filled with something that does not disturb.
    ///
    /// A refused packet leaves the decoder usable; the caller then asks for concealment.
    fn decode(&mut self, packet: Option<&[u8]>, fec: bool, out: &mut [i16]) -> Result<usize, CodecError>;

    /// Forgets everything decoded before.
    fn reset(&mut self);
}

/// Turns 48 kHz mono samples into packets of one stream.
pub trait Encoder: Send {
    /// Encodes 20, 40 or 60 ms into the front of `out` and returns the number of bytes; `out` should hold
    /// [`PACKET_BYTES_MAX`].
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError>;

    /// Begins anew as the continuation of another stream that carried `history` last (whole frames of 20 ms, the newest
    /// last). A listener who is switched from that stream to this one hears no seam.
    fn resume(&mut self, history: &[i16]);

    /// Makes the next packet independent of the ones before it, so that a listener can be switched to this stream.
    fn refresh(&mut self);
}

/// What an encoder shall do. Two listeners whose settings are equal can share one encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EncoderSettings {
    /// The codec.
    pub codec: Codec,
    /// Put in-band forward error correction into the packets; Opus only. It forces the costlier speech mode.
    pub fec: bool,
    /// The most its listeners take; Opus only.
    pub limits: OpusLimits,
}

impl EncoderSettings {
    /// The settings a mix is encoded with. Bit rate and the like are the factory's business.
    pub const fn for_mix(codec: Codec, fec: bool) -> Self {
        let limits = OpusLimits { bitrate: None, playback_rate: None };
        Self { codec, fec: fec && matches!(codec, Codec::Opus), limits }
    }

    /// The same for listeners who take no more than this.
    #[must_use]
    pub const fn limited_to(self, limits: OpusLimits) -> Self {
        Self { limits, ..self }
    }
}

/// Tells how loud packets of one stream are, without decoding them, at a hundredth of the price.
pub trait Gauge: Send {
    /// What the next packet tells; gaps in the stream make it less exact for a few packets.
    fn gauge(&mut self, packet: &[u8]) -> Gauged;
}

/// What a packet tells without being decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauged {
    /// About so loud, within 6 dB or so.
    Level(Level),
    /// Its encoder took it for a voice; how loud cannot be told.
    Voice,
    /// Its encoder took it for background; how loud cannot be told.
    Background {
        /// Strength of its excitation, 0 to 86 dB above the least one. In one stream, what sounds the same has the same
        /// strength, within 2 dB or so.
        excitation_db: u8,
    },
}

/// Makes codecs. One for the process.
pub trait CodecFactory: Send + Sync {
    /// A decoder that gives 48 kHz mono.
    fn decoder(&self, codec: Codec) -> Result<Box<dyn Decoder>, CodecError>;

    /// A gauge for packets of this codec.
    fn gauge(&self, codec: Codec) -> Box<dyn Gauge>;

    /// An encoder that takes 48 kHz mono.
    fn encoder(&self, settings: EncoderSettings) -> Result<Box<dyn Encoder>, CodecError>;
}
