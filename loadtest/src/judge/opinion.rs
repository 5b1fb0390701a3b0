//! The opinion a listener would have of what he heard, estimated by the E-model (ITU-T G.107), as the server's own estimate
//! of its peers is, with the same constants; whoever compares the two compares what was heard, not two models.
//!
//! ```text
//! R      = 93.2 - Ie_eff
//! Ie_eff = Ie + (95 - Ie) * Ppl / (Ppl / BurstR + Bpl)            G.107 (7-29)
//! MOS    = 1 + 0.035 R + R (R - 60) (100 - R) * 7e-6              G.107 annex B
//! ```
//!
//! `Ppl` is the share of frames a phone has to make up, in percent, and not what the network lost: a frame of which the next
//! packet brings a copy counts for a quarter. `BurstR` is the mean length of a gap against that of random loss, 1 to 4.
//! Delay has figures of its own and is left out, so this is the listening quality.
//!
//! G.711 with concealment: Ie 0, Bpl 25.1 (G.113 table I.4). G.113 has no Opus. What is published for it (Alahmadi, Pocta,
//! Melvin, ACM TOMM 17-4, 2021) stands on the scale for super-wideband speech, whose top is 148 and not 93.2: Bpl 11 to 17
//! for random loss without error correction, and Ie 11 to 38 by bit rate. On the narrow scale, where wideband coding has no
//! impairment to show, Opus has Ie 0 and, by convention of ours, Bpl 20: a little less robust than G.711, since a lost packet
//! also disturbs the decoder's state. It says which of two runs sounds better, and no more than about that for other codecs.

use crate::media::leg::LegRecord;
use crate::plan::Codec;

/// R of a connection whose parameters all have their default values.
const R_DEFAULT: f64 = 93.2;
/// What a frame counts for that was brought back by error correction.
const RECOVERED_WEIGHT: f64 = 0.25;

/// The constants in a line, for reports.
pub const CONSTANTS: &str = "E-model G.107: R 93.2, Ie 0, Bpl 25.1 (G.711) and 20 (Opus), BurstR 1 to 4; a frame that error \
     correction brought back counts for a quarter; delay left out";

/// What a listener heard, in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Frames {
    /// Those that came.
    pub received: f64,
    /// Those that did not.
    pub lost: f64,
    /// Of those, the ones the next packet had a copy of.
    pub recovered: f64,
    /// Runs of frames that did not come.
    pub gaps: f64,
}

impl Frames {
    /// Of a caller.
    pub fn of(record: &LegRecord) -> Self {
        let lost = record.lost.max(0) as f64;
        let recovered = (record.recovered as f64).min(lost);
        Self { received: record.received as f64, lost, recovered, gaps: record.gaps as f64 }
    }

    /// Mean opinion score from 1 to 4.5.
    pub fn opinion(self, codec: Codec) -> f64 {
        let robustness = match codec {
            Codec::Opus => 20.0,
            Codec::Pcmu | Codec::Pcma => 25.1,
        };
        let all = (self.received + self.lost).max(1.0);
        let made_up = 100.0 * (self.lost - (1.0 - RECOVERED_WEIGHT) * self.recovered) / all;
        let burst_ratio = (self.lost / self.gaps.max(1.0) * (1.0 - self.lost / all)).clamp(1.0, 4.0);
        of_rating(R_DEFAULT - 95.0 * made_up / (made_up / burst_ratio + robustness))
    }
}

/// G.107 annex B.
fn of_rating(rating: f64) -> f64 {
    let rating = rating.clamp(0.0, 100.0);
    (1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6).clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean gap of random loss is 1 / (1 - share).
    fn random(lost: f64, recovered: f64) -> Frames {
        Frames { received: 100.0 - lost, lost, recovered, gaps: lost * (1.0 - lost / 100.0) }
    }

    /// The values the server's own tests hold its estimate to.
    #[test]
    fn the_estimate_is_that_of_the_server() {
        let cases = [
            (Codec::Pcmu, random(0.0, 0.0), 4.41),
            (Codec::Pcmu, random(5.0, 0.0), 3.92),
            (Codec::Pcma, random(20.0, 0.0), 2.64),
            (Codec::Opus, random(5.0, 0.0), 3.76),
            (Codec::Opus, random(20.0, 0.0), 2.35),
            (Codec::Opus, random(5.0, 5.0), 4.28),
            (Codec::Opus, random(20.0, 16.0), 3.41),
        ];
        for (codec, frames, wanted) in cases {
            let got = frames.opinion(codec);
            assert!((got - wanted).abs() < 0.03, "{codec:?} {frames:?}: {got} instead of {wanted}");
        }
    }

    #[test]
    fn bursts_are_worse_and_nothing_is_no_number() {
        let bursts = Frames { gaps: 2.0, ..random(10.0, 0.0) };
        assert!(bursts.opinion(Codec::Opus) + 0.2 < random(10.0, 0.0).opinion(Codec::Opus));
        assert!(Frames::default().opinion(Codec::Pcmu) > 4.0);
        let silence = Frames { lost: 100.0, gaps: 1.0, ..Frames::default() };
        assert!((1.0..1.5).contains(&silence.opinion(Codec::Opus)));
    }
}
