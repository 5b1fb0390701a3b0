//! Opus and G.711 behind the mixer's codec traits.
//!
//! Decides how the codecs are set up (bit rate, complexity, mode), what a lost G.711 packet sounds like, and how loud a
//! packet is that nobody decodes. All work at the mixer's rate: Opus by itself, G.711 through the mixer's resampler.
//! Must not know: RTP, legs, conferences.
//! Start reading at [`Codecs`]; why Opus is set up as it is stands in this crate's README.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod concealment;
mod g711;
mod g711_codec;
mod gauge;
mod opus_codec;

use mcu_api::Codec;
use mixer::{CodecError, CodecFactory, Decoder, Encoder, EncoderSettings, Gauge};

use crate::g711::Law;
use crate::g711_codec::{G711Decoder, G711Encoder};
use crate::gauge::{G711Gauge, OpusGauge};
pub use crate::opus_codec::OpusMix;
use crate::opus_codec::{OpusDecoder, OpusEncoder};

/// Every codec of this server, set up as usual.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codecs;

/// The same, with Opus set up as an operator wants it.
#[derive(Clone, Copy, Debug, Default)]
pub struct TunedCodecs(pub OpusMix);

impl CodecFactory for Codecs {
    fn decoder(&self, codec: Codec) -> Result<Box<dyn Decoder>, CodecError> {
        TunedCodecs::default().decoder(codec)
    }

    fn gauge(&self, codec: Codec) -> Box<dyn Gauge> {
        TunedCodecs::default().gauge(codec)
    }

    fn encoder(&self, settings: EncoderSettings) -> Result<Box<dyn Encoder>, CodecError> {
        TunedCodecs::default().encoder(settings)
    }
}

impl CodecFactory for TunedCodecs {
    fn decoder(&self, codec: Codec) -> Result<Box<dyn Decoder>, CodecError> {
        Ok(match codec {
            Codec::Opus => Box::new(OpusDecoder::new()?),
            Codec::Pcmu => Box::new(G711Decoder::new(Law::Mu)),
            Codec::Pcma => Box::new(G711Decoder::new(Law::A)),
        })
    }

    fn gauge(&self, codec: Codec) -> Box<dyn Gauge> {
        match codec {
            Codec::Opus => Box::new(OpusGauge::default()),
            Codec::Pcmu => Box::new(G711Gauge(Law::Mu)),
            Codec::Pcma => Box::new(G711Gauge(Law::A)),
        }
    }

    fn encoder(&self, settings: EncoderSettings) -> Result<Box<dyn Encoder>, CodecError> {
        Ok(match settings.codec {
            Codec::Opus => Box::new(OpusEncoder::new(settings, self.0)?),
            Codec::Pcmu => Box::new(G711Encoder::new(Law::Mu)),
            Codec::Pcma => Box::new(G711Encoder::new(Law::A)),
        })
    }
}
