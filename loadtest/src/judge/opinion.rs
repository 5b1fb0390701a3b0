//! The opinion a listener would have, estimated by the E-model (ITU-T G.107) with everything else at its default.
//!
//! R = 93.2 - Id - Ie,eff. Id: above 177.3 ms of delay, 0.024 d + 0.11 (d - 177.3), below 0.024 d. Ie,eff = Ie + (95 - Ie)
//! Ppl / (Ppl / BurstR + Bpl). G.711 with concealment: Ie 0, Bpl 25.1 (G.113 table I.4). Opus has no entry in G.113; it is
//! given Ie 0 and Bpl 30, for its own concealment and in-band correction, which makes it an estimate of ours.

use crate::plan::Codec;

/// Ends' own share of the delay: packetisation and a phone's buffer, in ms.
const ENDS_MS: f64 = 60.0;

/// Mean opinion score from 1 to 4.5. `loss` is 0 to 1, `delay_ms` what the server adds.
pub fn score(codec: Codec, loss: f64, delay_ms: f64) -> f64 {
    let robustness = match codec {
        Codec::Opus => 30.0,
        Codec::Pcmu | Codec::Pcma => 25.1,
    };
    let percent = (loss * 100.0).clamp(0.0, 100.0);
    let equipment = 95.0 * percent / (percent + robustness);
    let delay = delay_ms.max(0.0) + ENDS_MS;
    let late = 0.024 * delay + if delay > 177.3 { 0.11 * (delay - 177.3) } else { 0.0 };
    of_rating((93.2 - late - equipment).clamp(0.0, 100.0))
}

/// G.107 B.4.
fn of_rating(rating: f64) -> f64 {
    (1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6).clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_line_is_good_and_worse_lines_are_worse() {
        let clean = score(Codec::Pcmu, 0.0, 30.0);
        assert!((4.3..4.42).contains(&clean), "{clean}");
        let scores = [0.01, 0.05, 0.2, 1.0].map(|loss| score(Codec::Opus, loss, 30.0));
        assert!(scores.windows(2).all(|pair| pair[0] > pair[1]), "{scores:?}");
        assert!(score(Codec::Pcmu, 0.0, 300.0) < clean - 0.3);
    }
}
