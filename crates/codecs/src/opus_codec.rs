//! Opus at the mixer's rate, in mono.

use mixer::{CodecError, Decoder, Encoder, EncoderSettings, FRAME_SAMPLES, PACKET_BYTES_MAX, SAMPLE_RATE};
use opus::{Application, Bandwidth, Bitrate, Channels};

/// How Opus encodes a mix. The defaults were chosen by score; the table is in this crate's README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusMix {
    /// Bits per second, 6,000 to 510,000.
    pub bitrate: u32,
    /// How hard the encoder tries, 0 to 10.
    pub complexity: u8,
    /// Use the speech mode, which costs three times as much; it is used in any case where there is forward error
    /// correction, which the low-delay mode has not, and below 32 kbit/s.
    pub speech_mode: bool,
}

impl Default for OpusMix {
    /// 64 kbit/s, complexity 0, low delay.
    fn default() -> Self {
        Self { bitrate: 64_000, complexity: 0, speech_mode: false }
    }
}

/// Bits per second below which the speech mode sounds so much better that it is worth its cost.
const SPEECH_MODE_BELOW: u32 = 32_000;

/// The loss, in percent, for which forward error correction is dimensioned.
const EXPECTED_LOSS: i32 = 10;

pub(crate) struct OpusDecoder {
    /// In mono; the library folds a stereo packet by itself.
    opus: opus::Decoder,
}

impl OpusDecoder {
    pub(crate) fn new() -> Result<Self, CodecError> {
        Ok(Self { opus: opus::Decoder::new(SAMPLE_RATE, Channels::Mono).map_err(setup)? })
    }
}

impl Decoder for OpusDecoder {
    fn decode(&mut self, packet: Option<&[u8]>, fec: bool, out: &mut [i16]) -> Result<usize, CodecError> {
        let packet = match packet {
            // The library takes an empty packet for a lost one.
            Some([]) => return Err(CodecError::Packet),
            Some(packet) => packet,
            None => &[],
        };
        self.opus.decode(packet, out, fec && !packet.is_empty()).map_err(|error| match error.code() {
            opus::ErrorCode::BufferTooSmall | opus::ErrorCode::BadArg => CodecError::Length,
            _ => CodecError::Packet,
        })
    }

    fn reset(&mut self) {
        self.opus.reset_state().expect("resetting a decoder cannot fail");
    }
}

pub(crate) struct OpusEncoder {
    opus: opus::Encoder,
    /// The next packet is to be independent of the ones before.
    refresh: bool,
}

impl OpusEncoder {
    pub(crate) fn new(settings: EncoderSettings, mix: OpusMix) -> Result<Self, CodecError> {
        // Low delay is CELT alone: a third of the cost of the speech mode. Only the speech mode has error correction.
        let limits = [settings.limits.bitrate, settings.limits.playback_rate.map(ample_bitrate_of)];
        let bitrate = limits.into_iter().flatten().fold(mix.bitrate, u32::min);
        let speech_mode = settings.fec || mix.speech_mode || bitrate < SPEECH_MODE_BELOW;
        let application = if speech_mode { Application::Voip } else { Application::LowDelay };
        let mut opus = opus::Encoder::new(SAMPLE_RATE, Channels::Mono, application).map_err(setup)?;
        let bitrate = i32::try_from(bitrate).map_err(|_| CodecError::Setup("bit rate"))?;
        opus.set_bitrate(Bitrate::Bits(bitrate)).map_err(setup)?;
        opus.set_complexity(mix.complexity.into()).map_err(setup)?;
        if let Some(rate) = settings.limits.playback_rate {
            opus.set_max_bandwidth(bandwidth_of(rate)).map_err(setup)?;
        }
        if settings.fec {
            opus.set_inband_fec(true).map_err(setup)?;
            opus.set_packet_loss_perc(EXPECTED_LOSS).map_err(setup)?;
        }
        Ok(Self { opus, refresh: false })
    }

    fn set_independent(&mut self, independent: bool) {
        self.opus.set_prediction_disabled(independent).expect("the setting exists since Opus 1.1");
    }
}

impl Encoder for OpusEncoder {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        let refresh = std::mem::take(&mut self.refresh);
        if refresh {
            self.set_independent(true);
        }
        let length = self.opus.encode(pcm, out).map_err(|_| CodecError::Length);
        if refresh {
            self.set_independent(false);
        }
        length
    }

    fn resume(&mut self, history: &[i16]) {
        self.opus.reset_state().expect("resetting an encoder cannot fail");
        let mut unheard = [0; PACKET_BYTES_MAX];
        for frame in history.chunks_exact(FRAME_SAMPLES) {
            self.opus.encode(frame, &mut unheard).expect("20 ms is a length of Opus");
        }
        self.refresh = true;
    }

    fn refresh(&mut self) {
        self.refresh = true;
    }
}

/// The widest audio that can be heard at a sampling rate (RFC 7587 3.1.1).
fn bandwidth_of(playback_rate: u32) -> Bandwidth {
    match playback_rate {
        ..16_000 => Bandwidth::Narrowband,
        16_000..24_000 => Bandwidth::Wideband,
        24_000..48_000 => Bandwidth::Superwideband,
        48_000.. => Bandwidth::Fullband,
    }
}

/// Bits per second beyond which nobody hears a difference who plays so many samples a second: above what RFC 7587 3.1.1
/// recommends for speech, since there is music in mixes, and never so few that the speech mode would be needed.
fn ample_bitrate_of(playback_rate: u32) -> u32 {
    match playback_rate {
        ..16_000 => SPEECH_MODE_BELOW,
        16_000..24_000 => 40_000,
        24_000..48_000 => 48_000,
        48_000.. => u32::MAX,
    }
}

fn setup(error: opus::Error) -> CodecError {
    CodecError::Setup(error.description())
}
