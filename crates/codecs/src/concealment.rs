//! What a lost G.711 packet sounds like.

/// Samples remembered: 40 ms, enough to compare two of the longest pitch periods.
const HISTORY: usize = 320;

/// Pitch periods tried: 2.5 to 15 ms, voices from 400 down to 66 Hz.
const PERIODS: std::ops::RangeInclusive<usize> = 20..=120;

/// Samples over which two periods are compared: 20 ms.
const COMPARED: usize = 160;

/// Samples over which the made-up sound gives way to the real one: 5 ms.
const OVERLAP: usize = 40;

/// Made-up samples at full strength (10 ms) and until nothing is left (60 ms): a voice changes, a drone disturbs.
const FULL: usize = 80;
const GONE: usize = 480;

/// Goes on with the last pitch period of what was heard, and fades it out; in the manner of G.711 appendix I.
#[derive(Clone)]
pub(crate) struct Concealment {
    heard: [i16; HISTORY],
    /// The period being repeated, while packets are missing.
    period: Option<usize>,
    /// Samples made up since the last packet.
    made_up: usize,
}

impl Concealment {
    pub(crate) const fn new() -> Self {
        Self { heard: [0; HISTORY], period: None, made_up: 0 }
    }

    /// Takes decoded samples, and softens their beginning if they follow a loss.
    pub(crate) fn hear(&mut self, samples: &mut [i16]) {
        if self.period.is_some() {
            let mut made_up = [0; OVERLAP];
            let overlap = samples.len().min(OVERLAP);
            self.continue_into(&mut made_up[..overlap]);
            for (at, (sample, made_up)) in samples[..overlap].iter_mut().zip(made_up).enumerate() {
                let share = (at + 1) as f32 / (overlap + 1) as f32;
                *sample = (f32::from(*sample) * share + f32::from(made_up) * (1.0 - share)).round() as i16;
            }
            self.period = None;
            self.made_up = 0;
        }
        let kept = samples.len().min(HISTORY);
        self.heard.copy_within(kept.., 0);
        self.heard[HISTORY - kept..].copy_from_slice(&samples[samples.len() - kept..]);
    }

    /// Fills `samples` with what might have been in a lost packet.
    pub(crate) fn conceal(&mut self, samples: &mut [i16]) {
        self.period.get_or_insert_with(|| likely_period(&self.heard));
        self.continue_into(samples);
    }

    fn continue_into(&mut self, samples: &mut [i16]) {
        let Some(period) = self.period else { return };
        for sample in samples {
            let source = self.heard[HISTORY - period + self.made_up % period];
            *sample = (f32::from(source) * strength(self.made_up)).round() as i16;
            self.made_up = self.made_up.saturating_add(1);
        }
    }
}

/// How much of the repeated period is left after so many made-up samples.
fn strength(made_up: usize) -> f32 {
    let faded = made_up.saturating_sub(FULL) as f32 / (GONE - FULL) as f32;
    (1.0 - faded).max(0.0)
}

/// The shift at which the last 20 ms resemble most what came before them.
fn likely_period(heard: &[i16; HISTORY]) -> usize {
    let recent = &heard[HISTORY - COMPARED..];
    let likeness = |period: usize| {
        let earlier = &heard[HISTORY - COMPARED - period..HISTORY - period];
        let (product, energy) = recent.iter().zip(earlier).fold((0i64, 1i64), |(product, energy), (&now, &then)| {
            let (now, then) = (i64::from(now), i64::from(then));
            (product + now * then, energy + then * then)
        });
        product as f64 / (energy as f64).sqrt()
    };
    // The longest of equally likely periods: the less often a period is repeated, the less it drones.
    PERIODS.max_by(|&one, &two| likeness(one).total_cmp(&likeness(two))).expect("there are periods to choose from")
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn voice(from: usize, samples: usize) -> Vec<i16> {
        let at = |n: usize| TAU * n as f64 / 64.0;
        (from..from + samples).map(|n| (8_000.0 * (at(n).sin() + 0.5 * (2.0 * at(n)).sin())) as i16).collect()
    }

    #[test]
    fn a_steady_voice_goes_on_over_one_lost_packet() {
        let mut concealment = Concealment::new();
        concealment.hear(&mut voice(0, 320));
        let mut lost = [0; 160];
        concealment.conceal(&mut lost);
        for (got, wanted) in lost[..FULL].iter().zip(voice(320, FULL)) {
            assert!((got - wanted).abs() < 200, "{got} instead of {wanted}");
        }
        let mut next = voice(480, 160);
        concealment.hear(&mut next);
        let joined: Vec<i16> = lost.into_iter().chain(next).collect();
        let step = joined.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max();
        assert!(step.expect("samples") < 1_800, "a step of {step:?}");
    }

    #[test]
    fn a_long_loss_ends_in_silence() {
        let mut concealment = Concealment::new();
        concealment.hear(&mut voice(0, 160));
        let mut lost = [1; 640];
        concealment.conceal(&mut lost);
        assert!(lost[GONE..].iter().all(|&sample| sample == 0));
        assert!(lost[..FULL].iter().any(|&sample| sample != 0));
    }

    #[test]
    fn before_the_first_packet_there_is_silence() {
        let mut lost = [1; 160];
        Concealment::new().conceal(&mut lost);
        assert_eq!(lost, [0; 160]);
    }
}
