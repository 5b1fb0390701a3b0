//! The mixer's signal processing, on buffers the caller owns.
//!
//! Decides how loud a frame is ([`Level`]), who of many is heard ([`SpeakerChoice`]), what a sum sounds like when it is
//! too loud for the wire ([`Limiter`]), and what the server's own sounds are ([`Sounds`]). Everything runs at one rate,
//! [`SAMPLE_RATE`], in mono frames of 20 ms; sums are exact integers, so that total minus own leaves nothing of one's own.
//! The traits by which a conference uses its codecs ([`Decoder`], [`Encoder`], [`CodecFactory`]) stand here too, so that
//! the conference's data plane needs no codec library.
//!
//! Must not know: RTP, codec libraries, conferences, clocks.
//! Start reading at [`Sum`], then [`Limiter`], then [`SpeakerChoice`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod codec;
mod fade;
mod gain;
mod gate;
mod level;
mod limiter;
mod music;
mod noise;
mod resample;
mod sounds;
mod speech;
mod sum;
mod tone;
mod varispeed;

pub use codec::{
    CodecError, CodecFactory, Decoder, Encoder, EncoderSettings, Gauge, Gauged, PACKET_BYTES_MAX, PACKET_SAMPLES_MAX,
};
pub use fade::{fade_in, fade_out};
pub use gain::{AutoGain, Gain};
pub use gate::NoiseGate;
pub use level::Level;
pub use limiter::{LIMITER_CEILING, LIMITER_DELAY, Limiter};
pub use noise::{ComfortNoise, LINE_NOISE};
pub use resample::{Downsampler, NARROW_FRAME_SAMPLES, NARROW_RATE, RATE_RATIO, Upsampler};
pub use sounds::Sounds;
pub use speech::{HEARD_MAX, SpeakerChoice, Speech};
pub use sum::Sum;
pub use tone::Clip;
pub use varispeed::{PACE_MAX_PPM, Varispeed};

/// Rate of every frame inside the mixer, in Hz.
pub const SAMPLE_RATE: u32 = 48_000;

/// Length of a frame and of a tick, in milliseconds.
pub const FRAME_MS: u32 = 20;

/// Samples of one frame.
pub const FRAME_SAMPLES: usize = 960;

/// One frame: 20 ms of mono audio at 48 kHz.
pub type Frame = [i16; FRAME_SAMPLES];

/// A frame of silence.
pub const SILENCE: Frame = [0; FRAME_SAMPLES];
