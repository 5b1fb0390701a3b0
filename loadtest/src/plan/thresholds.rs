//! Every figure a plan may set a bound for: its name, its unit and which way is better.

use serde::{Deserialize, Serialize};

/// A figure of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// As in the plan and in the reports.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The least and the greatest bound that mean something.
    pub range: (f64, f64),
    /// Greater is better; the bound is then the least good value.
    pub rises: bool,
    /// Only the server's own process and metrics can tell it.
    pub of_server: bool,
}

macro_rules! measures {
    ($($name:ident $unit:literal $least:literal..$most:literal $rises:literal $of_server:literal $about:literal;)*) => {
        /// Bounds by figure; those that are not set are reported only.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Thresholds {
            $(#[doc = $about] #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<f64>,)*
        }

        /// All figures in the order of the reports.
        pub const MEASURES: &[Measure] = &[$(Measure {
            name: stringify!($name), unit: $unit, about: $about, range: ($least, $most), rises: $rises, of_server: $of_server,
        },)*];

        impl Thresholds {
            /// The bounds that are set.
            pub fn set(&self) -> impl Iterator<Item = (&'static Measure, f64)> {
                let values = [$(self.$name),*];
                MEASURES.iter().zip(values).filter_map(|(measure, value)| Some((measure, value?)))
            }
        }
    };
}

measures! {
    callers_held "" 1.0..1e9 true false "Callers at once before a bound breaks; only a search tells.";
    failures "" 0.0..1e9 false false "Joins that failed, and callers the server hung up on.";
    join_p50_ms "ms" 0.0..1e9 false false "From INVITE to the first audio, median.";
    join_p99_ms "ms" 0.0..1e9 false false "From INVITE to the first audio, 99th percentile.";
    answer_p99_ms "ms" 0.0..1e9 false false "From INVITE to 200, 99th percentile.";
    joins_per_second "/s" 0.0..1e9 true false "Joins answered in each second of the ramp.";
    hearing_wrong "" 0.0..1e9 false false "Pairs of which one hears the other and should not, or the other way round.";
    own_voice_db "dB" -100.0..0.0 false false "The loudest that anybody hears his own tone, in dB of full scale.";
    delay_p50_ms "ms" 0.0..1e9 false false "Added delay of a chirp, median.";
    delay_p99_ms "ms" 0.0..1e9 false false "Added delay of a chirp, 99th percentile.";
    chirps_lost_percent "%" 0.0..100.0 false false "Chirps that did not arrive.";
    loss_percent "%" 0.0..100.0 false false "Packets the callers missed, of those the server numbered.";
    gap_p99_ms "ms" 0.0..1e9 false false "Longest time without a packet, 99th percentile of the callers.";
    jitter_p99_ms "ms" 0.0..1e9 false false "Interarrival jitter (RFC 3550), 99th percentile of the callers.";
    mos_p05 "" 1.0..4.4 true false "Estimated opinion of the callers' 5th percentile (E-model), 1 to 4.4.";
    mos_median "" 1.0..4.4 true false "Estimated opinion of the median caller.";
    server_loss_percent "%" 0.0..100.0 false false "Packets the server says it missed, mean of its last reports.";
    late_ticks_percent "%" 0.0..100.0 false true "Ticks of the mixer that began more than 5 ms late.";
    skipped_ticks "" 0.0..1e9 false true "Ticks of the mixer that were left out.";
    cpu_ms "ms" 0.0..1e9 false true "Processor time of the server for each participant and second.";
    join_cpu_ms "ms" 0.0..1e9 false true "Processor time of the server for each join.";
    memory_kib "KiB" 0.0..1e9 false true "Memory of the server for each participant.";
    kbit_each "kbit/s" 0.0..1e9 false false "What each caller receives, with the headers of IP, UDP and RTP.";
}

impl Measure {
    /// Whether a value is good enough; one that could not be measured is not.
    pub fn is_met(&self, value: f64, bound: f64) -> bool {
        if self.rises { value >= bound } else { value <= bound }
    }

    /// The sign between a value and its bound.
    pub const fn sign(&self) -> &'static str {
        if self.rises { ">=" } else { "<=" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_at_their_edge_and_for_nothing_unmeasured() {
        let find = |name| MEASURES.iter().find(|measure| measure.name == name).expect("known");
        let (falling, rising) = (find("cpu_ms"), find("mos_p05"));
        assert_eq!([0.9, 1.0, 1.1, f64::NAN].map(|value| falling.is_met(value, 1.0)), [true, true, false, false]);
        assert_eq!([3.9, 4.0, 4.1, f64::NAN].map(|value| rising.is_met(value, 4.0)), [false, true, true, false]);
    }

    #[test]
    fn set_bounds_come_with_their_measure() {
        let bounds = Thresholds { failures: Some(0.0), cpu_ms: Some(1.5), ..Thresholds::default() };
        let set: Vec<_> = bounds.set().map(|(measure, bound)| (measure.name, bound)).collect();
        assert_eq!(set, [("failures", 0.0), ("cpu_ms", 1.5)]);
    }
}
