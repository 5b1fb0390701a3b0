//! What is seen of a run while it lasts: packets, failures, and the processor time of the server, of ourselves and of the
//! whole machine.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::media::losses::Losses;
use crate::media::wheel::{Pulse, Wheel};
use crate::usage::{Usage, machine_seconds};

/// Time between two samples.
const SAMPLING: Duration = Duration::from_millis(500);

/// The state of a run at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds since the run began.
    pub at: f64,
    /// Callers in a conference.
    pub joined: usize,
    /// Joins that failed so far, and callers the server hung up on.
    pub failures: usize,
    /// Packets sent in each second since the sample before.
    pub sent_rate: f64,
    /// Packets received in each second since the sample before.
    pub received_rate: f64,
    /// Packets lost since the sample before, in percent of those expected. While the run lasts, those that are known by now:
    /// a gap is known at its end, and [`Sample::attribute`] tells in the report when it was.
    pub loss_percent: f64,
    /// The same of the whole run so far.
    #[serde(default)]
    pub loss_so_far_percent: f64,
    /// Processor time of the server, in percent of one core; 0 when it cannot be seen.
    pub server_cpu_percent: f64,
    /// Memory of the server in KiB; 0 when it cannot be seen.
    pub server_kib: f64,
    /// Processor time of this process, in percent of one core.
    pub own_cpu_percent: f64,
}

impl Sample {
    /// Says of each sample what was lost in its time; `started` is when the run began, see [`crate::sys::wall_nanos`].
    pub fn attribute(samples: &mut [Self], losses: &Losses, started: i64) {
        let moment = |seconds: f64| started + (seconds * 1e9) as i64;
        let mut from = 0.0;
        for sample in samples {
            let lost = losses.between(moment(from), moment(sample.at));
            sample.loss_percent = percent_lost(lost, sample.received_rate * (sample.at - from));
            from = sample.at;
        }
    }
}

fn percent_lost(lost: f64, received: f64) -> f64 {
    100.0 * lost / (received + lost).max(1.0)
}

/// Makes the samples.
pub struct Gauge {
    started: Instant,
    at: Instant,
    packets: [u64; 3],
    server: Option<Usage>,
    own: Option<Usage>,
}

impl Gauge {
    /// A gauge that has seen nothing since `started`.
    pub const fn new(started: Instant, server: Option<Usage>) -> Self {
        Self { started, at: started, packets: [0; 3], server, own: None }
    }

    /// When the next sample is due.
    pub fn next(&self) -> Instant {
        self.at + SAMPLING
    }

    /// What changed since the last sample.
    pub fn sample(&mut self, wheels: &[Wheel], server: Option<Usage>, joined: usize, failures: usize) -> Sample {
        let now = Instant::now();
        let sum = |pick: fn(&Pulse) -> u64| wheels.iter().map(|wheel| pick(&wheel.pulse)).sum();
        let packets: [u64; 3] = [
            sum(|pulse| pulse.sent.load(Ordering::Relaxed)),
            sum(|pulse| pulse.received.load(Ordering::Relaxed)),
            sum(|pulse| pulse.lost.load(Ordering::Relaxed)),
        ];
        let own = Usage::of(std::process::id()).ok();
        let seconds = (now - self.at).as_secs_f64();
        let [sent, received, lost] = [0, 1, 2].map(|at| packets[at].saturating_sub(self.packets[at]) as f64);
        let sample = Sample {
            at: (now - self.started).as_secs_f64(),
            joined,
            failures,
            sent_rate: sent / seconds,
            received_rate: received / seconds,
            loss_percent: percent_lost(lost, received),
            loss_so_far_percent: percent_lost(packets[2] as f64, packets[1] as f64),
            server_cpu_percent: 100.0 * used(server, self.server) / seconds,
            server_kib: server.map_or(0.0, |usage| usage.resident_kib),
            own_cpu_percent: 100.0 * used(own, self.own) / seconds,
        };
        *self = Self { started: self.started, at: now, packets, server, own };
        sample
    }
}

/// The state when the measurement began.
pub struct Before {
    /// When that was.
    pub at: Instant,
    /// What the server had used.
    pub usage: Option<Usage>,
    /// What it had counted.
    pub metrics: BTreeMap<String, f64>,
    own: Option<Usage>,
    machine: Option<(f64, f64)>,
}

impl Before {
    /// The state now.
    pub fn now(usage: Option<Usage>, metrics: BTreeMap<String, f64>) -> Self {
        Self { at: Instant::now(), usage, metrics, own: Usage::of(std::process::id()).ok(), machine: machine_seconds() }
    }

    /// The share of the machine's processor time that neither we nor the server used since then, in percent.
    pub fn others_percent(&self, server: Option<Usage>) -> f64 {
        let own = Usage::of(std::process::id()).ok();
        match (machine_seconds(), self.machine) {
            (Some(now), Some(before)) if now.1 > before.1 => {
                let ours = used(own, self.own) + used(server, self.usage);
                (100.0 * (now.0 - before.0 - ours) / (now.1 - before.1)).max(0.0)
            }
            _ => 0.0,
        }
    }
}

/// Processor seconds between two looks; 0 when the process cannot be seen.
fn used(now: Option<Usage>, before: Option<Usage>) -> f64 {
    match (now, before) {
        (Some(now), Some(before)) => now.cpu_seconds - before.cpu_seconds,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 50 packets a second; from second 10 to 12 the line is cut, and the gap shows in the sample at 12.5.
    #[test]
    fn samples_show_a_cut_while_it_lasts() {
        let mut losses = Losses::default();
        losses.add(1_010_000_000_000, 1_012_000_000_000, 100);
        let sample = |half: usize| Sample {
            at: half as f64 / 2.0,
            received_rate: if (21..=24).contains(&half) { 0.0 } else { 50.0 },
            loss_percent: if half == 25 { 80.0 } else { 0.0 },
            ..Sample::default()
        };
        let mut samples: Vec<Sample> = (1..30).map(sample).collect();
        Sample::attribute(&mut samples, &losses, 1_000_000_000_000);
        for sample in samples {
            let cut = (10.1..12.1).contains(&sample.at);
            assert!(if cut { sample.loss_percent > 99.0 } else { sample.loss_percent < 20.0 }, "{sample:?}");
        }
    }
}
