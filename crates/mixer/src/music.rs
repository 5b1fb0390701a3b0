//! What somebody who waits alone hears: a quiet loop of plucked chords.

use crate::tone::{Clip, Note, render};

/// An eighth note at 75 beats a minute.
const EIGHTH_MS: u32 = 400;
const EIGHTHS_PER_BAR: usize = 8;

/// Four seventh chords as MIDI key numbers, bass first: C major, A minor, F major, G.
const CHORDS: [[u8; 5]; 4] = [[48, 60, 64, 67, 71], [45, 57, 60, 64, 67], [41, 57, 60, 64, 69], [43, 59, 62, 65, 67]];

/// Which chord tone is plucked on each eighth of a bar.
const PATTERN: [usize; EIGHTHS_PER_BAR] = [1, 2, 3, 4, 3, 2, 3, 2];

/// Makes the loop: four bars, 12.8 s.
pub(crate) fn music() -> Clip {
    let bar_ms = EIGHTH_MS * EIGHTHS_PER_BAR as u32;
    let notes: Vec<Note> = CHORDS
        .iter()
        .zip((0..).step_by(bar_ms as usize))
        .flat_map(|(chord, start_ms)| {
            let bass = Note { length_ms: bar_ms, ..pluck(chord[0], start_ms) };
            let eighths = PATTERN.iter().zip((start_ms..).step_by(EIGHTH_MS as usize));
            std::iter::once(bass).chain(eighths.map(|(&tone, start_ms)| pluck(chord[tone], start_ms)))
        })
        .collect();
    render(bar_ms * CHORDS.len() as u32, &notes)
}

fn pluck(key: u8, start_ms: u32) -> Note {
    Note {
        start_ms,
        length_ms: EIGHTH_MS * 4,
        frequency: 440.0 * 2f64.powf((f64::from(key) - 69.0) / 12.0),
        amplitude: 0.045,
        decay_ms: 450,
        harmonics: [0.35, 0.12],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, SILENCE};

    #[test]
    fn the_loop_is_quiet_but_never_silent() {
        let music = music();
        for position in (0..music.len()).step_by(960) {
            let mut frame = SILENCE;
            music.read_looped(position, &mut frame);
            let level = Level::measure(&frame).dbov();
            assert!((18..50).contains(&level), "-{level} dBov at sample {position}");
        }
    }
}
