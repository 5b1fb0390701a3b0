//! Sends sound through Opus as a listener of a mix gets it, so that it can be scored (see the README of this crate).
//!
//!     transcode MODE COMPLEXITY BITRATE < in.raw > out.raw
//!
//! MODE is `low-delay` or `speech`; the files are 48 kHz mono, 16 bits, little-endian. The delay of encoder and decoder
//! is taken out. The median of the encoder's time for one frame is told on standard error.

use std::io::{Read, Write, stderr, stdin, stdout};
use std::time::Instant;

use opus::{Application, Bitrate, Channels};

const FRAME: usize = 960;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, complexity, bitrate] = arguments.as_slice() else {
        return Err("MODE COMPLEXITY BITRATE".into());
    };
    let application = if mode == "speech" { Application::Voip } else { Application::LowDelay };
    let mut encoder = opus::Encoder::new(48_000, Channels::Mono, application)?;
    encoder.set_complexity(complexity.parse()?)?;
    encoder.set_bitrate(Bitrate::Bits(bitrate.parse()?))?;
    let mut decoder = opus::Decoder::new(48_000, Channels::Mono)?;
    let delay = usize::try_from(encoder.get_lookahead()?)?;
    let mut bytes = Vec::new();
    stdin().read_to_end(&mut bytes)?;
    let mut sound: Vec<i16> = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let length = sound.len();
    sound.resize((length + delay).next_multiple_of(FRAME), 0);
    let (mut heard, mut sent, mut times) = (Vec::new(), 0, Vec::new());
    for pcm in sound.chunks_exact(FRAME) {
        let (mut packet, mut out) = ([0; 1_500], [0; FRAME]);
        let begun = Instant::now();
        let length = encoder.encode(pcm, &mut packet)?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
        sent += length;
        decoder.decode(&packet[..length], &mut out, false)?;
        heard.extend(out);
    }
    let seconds = sound.len() as f64 / 48_000.0;
    times.sort_unstable_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    writeln!(stderr(), "{:.1} kbit/s, {median:.0} us", sent as f64 * 8.0 / seconds / 1_000.0)?;
    let heard: Vec<u8> = heard[delay..delay + length].iter().flat_map(|sample| sample.to_le_bytes()).collect();
    Ok(stdout().write_all(&heard)?)
}
