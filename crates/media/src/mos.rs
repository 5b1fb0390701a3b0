//! How good what a peer sends probably sounds: the E-model (ITU-T G.107), reduced to what a receiver knows.
//!
//! ```text
//! R      = 93.2 - Ie_eff
//! Ie_eff = Ie + (95 - Ie) * Ppl / (Ppl / BurstR + Bpl)            G.107 (7-29)
//! MOS    = 1 + 0.035 R + R (R - 60) (100 - R) * 7e-6              G.107 annex B, for 0 < R < 100
//! ```
//!
//! The formulas are those of [`EModel`], which carries the inputs to wherever the figure is shown.
//! 93.2 is the R of all default values. Delay and echo (`Id`) are left out, so this is the listening quality, MOS-LQ.
//! `Ppl` is the share of 20 ms frames that had to be made up, in percent, whether their packets were lost or came too
//! late. A frame that in-band error correction brought back counts for a quarter, since it is a copy of lower quality.
//! `BurstR` is the mean length of a gap against the one that random loss of that share would have, 1 to 4.
//!
//! | Codec | Ie | Bpl | Source |
//! | --- | --- | --- | --- |
//! | G.711 | 0 | 25.1 | G.113 table I.4, with concealment of appendix I |
//! | Opus | 0 | 20 | none: G.113 has no value for Opus; taken a little below G.711, since a lost packet also disturbs the decoder's state |
//!
//! `scripts/measure-speech-quality` sets it beside PESQ-WB of synthetic speech through the whole mixer (E-model / PESQ):
//! Opus with error correction 4.41 / 3.14, 4.15 / 2.76 and 3.03 / 1.89 at 0, 5 and 20 % random loss; without 4.41 / 3.46,
//! 3.73 / 2.40, 2.23 / 1.50; A-law 4.41 / 3.00, 3.89 / 2.33, 2.52 / 1.50. The order is the same; PESQ, which also counts
//! two codings and the band, is lower throughout and falls faster.

use mcu_api::{Codec, EModel};

/// What a frame counts for that was brought back by error correction.
const RECOVERED_WEIGHT: f64 = 0.25;
/// Frames that must have been expected before anything is estimated: 1 s.
const FRAMES_MIN: u64 = 50;

/// What was heard of a peer, in frames of 20 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reception {
    /// Frames that were here.
    pub(crate) played: u64,
    /// Frames that were made up, with or without error correction.
    pub(crate) concealed: u64,
    /// Of those, the ones the next packet had a copy of.
    pub(crate) recovered: u64,
    /// Gaps: runs of frames that were made up.
    pub(crate) gaps: u64,
}

impl Reception {
    /// What the estimate is made of; `None` while too little was heard.
    pub(crate) fn e_model(self, codec: Codec) -> Option<EModel> {
        let expected = self.played + self.concealed;
        if expected < FRAMES_MIN {
            return None;
        }
        let recovered = self.recovered.min(self.concealed) as f64;
        let lost = (self.concealed as f64 - recovered + RECOVERED_WEIGHT * recovered) / expected as f64;
        let (equipment_tenths, robustness_tenths) = match codec {
            Codec::Pcmu | Codec::Pcma => (0, 251),
            Codec::Opus => (0, 200),
        };
        Some(EModel {
            equipment_tenths,
            robustness_tenths,
            loss_hundredths: (10_000.0 * lost).round() as u16,
            burst_ratio_hundredths: (100.0 * self.burst_ratio()).round() as u16,
        })
    }

    fn burst_ratio(self) -> f64 {
        if self.gaps == 0 {
            return 1.0;
        }
        let mean_gap = self.concealed as f64 / self.gaps as f64;
        let share = self.concealed as f64 / (self.played + self.concealed) as f64;
        (mean_gap * (1.0 - share)).clamp(1.0, 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The estimate in hundredths; 0 while too little was heard.
    fn estimate(codec: Codec, reception: Reception) -> u16 {
        reception.e_model(codec).map_or(0, |model| model.mos_hundredths())
    }

    fn heard(lost_percent: u64, recovered_percent: u64) -> Reception {
        let (concealed, recovered) = (lost_percent * 100, recovered_percent * 100);
        // Random loss: the mean gap is 1 / (1 - share).
        let gaps = concealed * (100 - lost_percent) / 100;
        Reception { played: 10_000 - concealed, concealed, recovered, gaps }
    }

    #[test]
    fn the_estimate_follows_the_loss() {
        let cases = [
            (Codec::Pcmu, heard(0, 0), 441),
            (Codec::Pcmu, heard(5, 0), 392),
            (Codec::Pcma, heard(20, 0), 264),
            (Codec::Opus, heard(5, 0), 376),
            (Codec::Opus, heard(20, 0), 235),
            (Codec::Opus, heard(5, 5), 428),
            (Codec::Opus, heard(20, 16), 341),
        ];
        for (codec, reception, wanted) in cases {
            let got = estimate(codec, reception);
            assert!(got.abs_diff(wanted) <= 3, "{codec:?} {reception:?}: {got} instead of {wanted}");
        }
    }

    #[test]
    fn bursts_are_worse_than_the_same_loss_at_random() {
        let random = heard(10, 0);
        let bursts = Reception { gaps: random.concealed / 4, ..random };
        assert!(estimate(Codec::Opus, bursts) + 20 < estimate(Codec::Opus, random));
    }

    #[test]
    fn any_figures_give_a_mos_or_none() {
        let all = [0, 1, 49, 50, 1_000, 1 << 40];
        for played in all {
            for concealed in all {
                for (recovered, gaps) in [(0, 0), (concealed, 1), (1 << 41, 1 << 41)] {
                    let mos = estimate(Codec::Opus, Reception { played, concealed, recovered, gaps });
                    assert!(mos == 0 || (100..=450).contains(&mos));
                }
            }
        }
    }
}
