//! What callers say: speech, room noise, tones and chirps, each encoded once for each codec before the run begins.

use std::f64::consts::{PI, TAU};
use std::sync::Arc;

use opus::{Application, Bitrate, Channels, Encoder};
use testkit::tone::TONES;
use testkit::{Clip, Robot, g711};

use crate::Failure;
use crate::plan::Codec;

/// The rate of the sources, of G.711 and of the judge, in Hz.
pub const RATE: usize = 8_000;
/// Frames in a second.
const FRAMES: usize = 50;
/// Opus's own rate.
const OPUS_RATE: usize = 48_000;
/// Payload bits for each second of an Opus caller: what phones use for speech.
const OPUS_BITRATE: i32 = 32_000;
/// Samples at [`RATE`] of the chirp: 80 ms.
pub const CHIRP_SAMPLES: usize = 640;
/// Where the chirp begins in its loop, in frames and samples behind that.
pub const CHIRP_FRAME: usize = 10;
/// Frames from one chirp to the next.
pub const CHIRP_PERIOD: usize = 50;
/// Level of room noise in dB of full scale.
const NOISE_DBOV: f64 = -62.0;
/// RFC 6464: a frame louder than this is said to hold voice.
const VOICE_DBOV: f64 = -50.0;

/// One frame, ready to be sent.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The payload.
    pub payload: Box<[u8]>,
    /// The value of the RFC 6464 element.
    pub level: u8,
}

/// A loop of frames.
pub type Loop = Arc<Vec<Frame>>;

/// What a caller sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// Room noise; the number chooses among the recordings.
    Noise(usize),
    /// Somebody talks; the number chooses among the voices.
    Speech(usize),
    /// A tone of [`TONES`].
    Tone(usize),
    /// Speech with a chirp in each second.
    Chirp,
    /// Digital silence.
    Silence,
    /// Nothing but a packet in each 400 ms, as Opus's own discontinuous transmission does.
    Dtx(usize),
}

/// The loops of one codec.
pub struct Clips {
    noise: Vec<Loop>,
    speech: Vec<Loop>,
    tones: Vec<Loop>,
    chirp: Loop,
    silence: Loop,
}

impl Clips {
    /// Encodes everything, which takes about a second of processor time with Opus.
    pub fn encode(codec: Codec) -> Result<Self, Failure> {
        let all = |sounds: Vec<Vec<f64>>| -> Result<Vec<Loop>, Failure> {
            sounds.iter().map(|sound| encode(codec, sound)).collect()
        };
        Ok(Self {
            noise: all((0..4).map(|seed| noise(seed + 1, 3 * RATE)).collect())?,
            speech: all(Robot::NAMES.iter().map(|name| speech(name)).collect())?,
            tones: all((0..TONES.len()).map(tone).collect())?,
            chirp: encode(codec, &chirping())?,
            silence: encode(codec, &vec![0.0; RATE])?,
        })
    }

    /// The same clips for all tests, which need not wait for each other's encoders.
    #[cfg(test)]
    pub(crate) fn shared(codec: Codec) -> &'static Self {
        static CLIPS: [std::sync::OnceLock<Clips>; 3] = [const { std::sync::OnceLock::new() }; 3];
        CLIPS[codec as usize].get_or_init(|| Self::encode(codec).expect("the codecs can be set up"))
    }

    /// The loop of a sound.
    pub fn of(&self, sound: Sound) -> &Loop {
        match sound {
            Sound::Noise(which) | Sound::Dtx(which) => &self.noise[which % self.noise.len()],
            Sound::Speech(which) => &self.speech[which % self.speech.len()],
            Sound::Tone(which) => &self.tones[which % self.tones.len()],
            Sound::Chirp => &self.chirp,
            Sound::Silence => &self.silence,
        }
    }
}

/// Hello and statement of a robot, without pause at their ends; its level is near -20 dB of full scale.
fn speech(robot: &str) -> Vec<f64> {
    let samples = [Clip::Hello, Clip::Statement].into_iter().flat_map(|clip| clip.samples(robot));
    let mut sound: Vec<f64> = samples.map(|sample| f64::from(sample) / 32_768.0 * 0.7).collect();
    sound.resize(sound.len().next_multiple_of(RATE / FRAMES), 0.0);
    sound
}

/// White noise; a generator of its own makes it the same everywhere.
fn noise(seed: u64, length: usize) -> Vec<f64> {
    let amplitude = 10_f64.powf(NOISE_DBOV / 20.0) * 3_f64.sqrt();
    let mut random = crate::statistics::Random::new(seed);
    (0..length).map(|_| amplitude * (2.0 * random.unit() - 1.0)).collect()
}

/// A second of a tone: a whole number of periods, so that the loop has no seam.
fn tone(which: usize) -> Vec<f64> {
    let step = TAU * f64::from(TONES[which]) / RATE as f64;
    (0..RATE).map(|index| testkit::tone::AMPLITUDE * (step * index as f64).sin()).collect()
}

/// Speech in whose every second a chirp stands, with a little quiet before it.
fn chirping() -> Vec<f64> {
    let voice = speech(Robot::NAMES[0]);
    let seconds = voice.len() / RATE;
    let mut sound: Vec<f64> = voice[..seconds * RATE].iter().map(|sample| sample * 0.4).collect();
    let pattern = chirp();
    for second in 0..seconds {
        let start = second * RATE + CHIRP_FRAME * RATE / FRAMES;
        sound[start - 400..start + CHIRP_SAMPLES + 400].fill(0.0);
        sound[start..start + CHIRP_SAMPLES].copy_from_slice(&pattern);
    }
    sound
}

/// A sweep from 400 to 3,000 Hz with rounded ends: inside the band of a telephone, and like nothing in speech.
pub fn chirp() -> Vec<f64> {
    let length = CHIRP_SAMPLES as f64;
    let sample = |index: usize| {
        let t = index as f64 / RATE as f64;
        let phase = TAU * (400.0 * t + 0.5 * (3_000.0 - 400.0) * t * t * RATE as f64 / length);
        let edge = (index.min(CHIRP_SAMPLES - 1 - index) as f64 / 40.0).min(1.0);
        0.4 * edge * phase.sin()
    };
    (0..CHIRP_SAMPLES).map(sample).collect()
}

fn encode(codec: Codec, sound: &[f64]) -> Result<Loop, Failure> {
    let frame = RATE / FRAMES;
    let levels = sound.chunks_exact(frame).map(level);
    let payloads = match codec {
        Codec::Opus => opus(sound)?,
        Codec::Pcmu => {
            sound.chunks_exact(frame).map(|part| part.iter().map(|&x| g711::encode_ulaw(pcm(x))).collect()).collect()
        }
        Codec::Pcma => {
            sound.chunks_exact(frame).map(|part| part.iter().map(|&x| g711::encode_alaw(pcm(x))).collect()).collect()
        }
    };
    Ok(Arc::new(payloads.into_iter().zip(levels).map(|(payload, level)| Frame { payload, level }).collect()))
}

fn pcm(sample: f64) -> i16 {
    (sample * 32_767.0).clamp(-32_768.0, 32_767.0) as i16
}

/// The value of RFC 6464's element: the level in -dBov, with the voice bit above it.
fn level(frame: &[f64]) -> u8 {
    let power = frame.iter().map(|sample| sample * sample).sum::<f64>() / frame.len() as f64;
    let dbov = 10.0 * power.max(1e-13).log10();
    let voice = if dbov > VOICE_DBOV { 0x80 } else { 0 };
    voice | (-dbov).clamp(0.0, 127.0) as u8
}

/// Encodes twice and keeps the second round, so that the loop begins as it ends.
fn opus(sound: &[f64]) -> Result<Vec<Box<[u8]>>, Failure> {
    let failed = |error: opus::Error| Failure(format!("Opus: {error}"));
    let wide: Vec<i16> = upsampled(sound).into_iter().map(pcm).collect();
    let mut encoder = Encoder::new(OPUS_RATE as u32, Channels::Mono, Application::Voip).map_err(failed)?;
    encoder.set_bitrate(Bitrate::Bits(OPUS_BITRATE)).map_err(failed)?;
    encoder.set_complexity(5).map_err(failed)?;
    encoder.set_inband_fec(true).map_err(failed)?;
    encoder.set_packet_loss_perc(5).map_err(failed)?;
    let mut round = || -> Result<Vec<Box<[u8]>>, opus::Error> {
        wide.chunks_exact(OPUS_RATE / FRAMES)
            .map(|frame| Ok(encoder.encode_vec(frame, 1_000)?.into_boxed_slice()))
            .collect()
    };
    round().and_then(|_| round()).map_err(failed)
}

/// Six samples for each, by a windowed sinc; the loop's end is followed by its beginning.
fn upsampled(sound: &[f64]) -> Vec<f64> {
    const FACTOR: usize = OPUS_RATE / RATE;
    const REACH: isize = 12;
    let kernel = |distance: f64| {
        let x = PI * distance;
        let sinc = if distance.abs() < 1e-9 { 1.0 } else { x.sin() / x };
        sinc * (0.5 + 0.5 * (x / REACH as f64).cos())
    };
    let weights: Vec<Vec<f64>> = (0..FACTOR)
        .map(|part| (1 - REACH..=REACH).map(|tap| kernel(tap as f64 - part as f64 / FACTOR as f64)).collect())
        .collect();
    let length = sound.len() as isize;
    let at = |index: isize| sound[index.rem_euclid(length) as usize];
    let mut wide = Vec::with_capacity(sound.len() * FACTOR);
    for index in 0..length {
        for part in &weights {
            wide.push(part.iter().zip(1 - REACH..).map(|(weight, tap)| weight * at(index + tap)).sum());
        }
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_say_what_is_loud() {
        let clips = Clips::encode(Codec::Pcmu).expect("G.711");
        let quiet = clips.of(Sound::Noise(0));
        assert!(quiet.iter().all(|frame| frame.level & 0x80 == 0 && (55..70).contains(&frame.level)));
        let loud = clips.of(Sound::Tone(3));
        assert!(loud.iter().all(|frame| frame.level & 0x80 != 0 && (14..18).contains(&(frame.level & 0x7f))));
        assert!(clips.of(Sound::Silence).iter().all(|frame| frame.level == 127));
    }

    #[test]
    fn the_chirp_stands_where_the_constants_say() {
        let sound = chirping();
        assert_eq!(sound.len() % (CHIRP_PERIOD * RATE / FRAMES), 0);
        let start = CHIRP_FRAME * RATE / FRAMES;
        assert_eq!(sound[start..start + CHIRP_SAMPLES], chirp());
        assert!(sound[start - 400..start].iter().all(|sample| *sample == 0.0));
    }

    #[test]
    fn upsampling_keeps_a_tone() {
        let narrow = tone(2);
        let wide = upsampled(&narrow);
        let step = TAU * f64::from(TONES[2]) / OPUS_RATE as f64;
        for (index, sample) in wide.iter().enumerate() {
            let expected = testkit::tone::AMPLITUDE * (step * index as f64).sin();
            assert!((sample - expected).abs() < 0.005, "{index}: {sample} instead of {expected}");
        }
    }
}
