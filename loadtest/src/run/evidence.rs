//! What was seen in a run, before anybody judges it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::judge::hearing::Turn;
use crate::media::wheel::Harvest;
use crate::run::gauge::Sample;
use crate::statistics::Histogram;
use crate::usage::Usage;

/// When somebody was answered.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Joining {
    /// Seconds from the start of the run to his call.
    pub at: f64,
    /// From his call to the answer, in ms.
    pub answer_ms: f64,
}

/// What was seen in a run.
pub struct Evidence {
    /// What the media threads saw.
    pub harvests: Vec<Harvest>,
    /// The turns of the roll call.
    pub turns: Vec<Turn>,
    /// How long the talk was measured.
    pub seconds: f64,
    /// How long the joining took.
    pub ramp_seconds: f64,
    /// Seconds from the first join to the talk; on average half of those of the ramp had everybody in.
    pub quiet_seconds: f64,
    /// Who was in at the end of the talk.
    pub joined: usize,
    /// Joins that failed, and callers the server hung up on.
    pub failures: usize,
    /// The same in words.
    pub faults: Vec<String>,
    /// Answered joins.
    pub joinings: Vec<Joining>,
    /// Samples over the whole run.
    pub samples: Vec<Sample>,
    /// What the server had used when idle, when the talk began and when it ended.
    pub usage: [Option<Usage>; 3],
    /// Its metrics when the talk began and when it ended.
    pub metrics: [BTreeMap<String, f64>; 2],
    /// Datagrams the kernel dropped at our sockets.
    pub drops: u64,
    /// The share of the machine's processor time that other programs took during the talk, in percent.
    pub others_percent: f64,
    /// Why it ended before its time, if it did; the talk was then not measured.
    pub broke_off: Option<String>,
}

impl Evidence {
    /// How late packets were sent, in ms.
    pub(crate) fn lateness(&self) -> Histogram {
        let mut all = Histogram::new(0.25, 400);
        self.harvests.iter().for_each(|harvest| all.merge(&harvest.lateness));
        all
    }

    /// The share of their time the media threads worked, in percent, the busiest one's.
    pub(crate) fn busy_percent(&self) -> f64 {
        100.0 * self.harvests.iter().map(|harvest| harvest.busy).fold(0.0, f64::max)
    }
}
