//! The metrics as the rest of the server fills them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use base::{ConversationKind, Duration, TerminationReason};
use prometheus::{Counter, IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder};

use crate::catalogue::Catalogue;
use crate::label::{METHODS, OTHER, Words, method};

/// What the SIP edge counted since the start of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct SipFigures<'a> {
    /// Messages received.
    pub received: u64,
    /// Messages sent.
    pub sent: u64,
    /// Requests answered with an error by the edge, by reason.
    pub rejected: &'a [(&'static str, u64)],
    /// Messages and connections dropped, by reason.
    pub dropped: &'a [(&'static str, u64)],
    /// REGISTER requests answered with 200.
    pub registrations: u64,
    /// Wrong passwords.
    pub authentication_failures: u64,
    /// Transactions under way now.
    pub transactions: u64,
    /// Connections open now.
    pub connections: u64,
}

/// How call detail records fared since the start of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct CdrFigures {
    /// Times the database did not take records.
    pub failures: u64,
    /// Records given up.
    pub lost: u64,
    /// Records that wait for the disk now.
    pub waiting: u64,
}

/// What the media workers counted since the start of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct MediaFigures {
    /// Ticks done.
    pub ticks: u64,
    /// Ticks that began late.
    pub ticks_late: u64,
    /// Ticks left out.
    pub ticks_skipped: u64,
    /// Time spent in ticks.
    pub tick_time: Duration,
    /// The longest tick.
    pub tick_longest: Duration,
    /// Listeners who had to wait for a stream of their own.
    pub listeners_waited: u64,
    /// Datagrams received.
    pub packets_received: u64,
    /// Datagrams sent.
    pub packets_sent: u64,
    /// Datagrams received and dropped.
    pub packets_dropped: u64,
    /// Datagrams the system did not take.
    pub packets_unsent: u64,
    /// Conferences ended by a defect or an overflowing queue.
    pub conferences_failed: u64,
    /// Commands refused because a queue was full.
    pub commands_refused: u64,
    /// Conferences mixed now.
    pub conferences: u64,
    /// Legs carried now.
    pub legs: u64,
    /// Port pairs that drain now.
    pub ports_draining: u64,
    /// Ports found taken by another program.
    pub ports_taken: u64,
    /// Share of its time the busiest worker spent in ticks in the last second, per mille.
    pub busy_per_mille: u64,
}

/// A response group as of now; counters since the group was configured first.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupFigures<'a> {
    /// The group, as a label: what stands before the `@`.
    pub group: &'a str,
    /// Callers who wait.
    pub waiting: u64,
    /// How long the first of them has waited.
    pub longest_wait: Duration,
    /// Callers who talk.
    pub talking: u64,
    /// Agents who would be offered a call.
    pub ready_agents: u64,
    /// Callers who began to wait.
    pub offered: u64,
    /// Callers connected.
    pub answered: u64,
    /// Callers connected within the target.
    pub answered_in_target: u64,
    /// Callers who left.
    pub abandoned: u64,
    /// Callers sent away by a full queue.
    pub overflowed: u64,
    /// Callers sent away by the time-out.
    pub timed_out: u64,
    /// Callers sent away because nobody was there.
    pub no_agent: u64,
    /// Callers who went elsewhere for any other reason.
    pub other: u64,
}

/// Every state an agent can be in, as a label.
const AGENT_STATES: [&str; 8] =
    ["free", "ringing", "draining", "talking", "wrap-up", "cool-down", "paused", "not-available"];

/// How one leg fares, as it is reported every few seconds; counts since it joined.
#[derive(Clone, Copy, Debug, Default)]
pub struct LegFigures {
    /// RTP packets received.
    pub received_packets: u64,
    /// RTP packets that never came.
    pub lost_packets: u64,
    /// RTP packets that came too late to be played.
    pub late_packets: u64,
    /// 20 ms frames made up.
    pub concealed_frames: u64,
    /// Interarrival jitter.
    pub jitter: Duration,
    /// Delay of the jitter buffer.
    pub buffer_delay: Duration,
    /// Bound of that delay.
    pub buffer_delay_max: Duration,
    /// Round trip, when it was measured.
    pub round_trip: Option<Duration>,
    /// Estimated MOS in hundredths; 0 = not estimated.
    pub mos_hundredths: u16,
    /// Only one direction carries audio.
    pub one_way: bool,
}

/// What a caller may have too much of.
const CALL_BOUNDS: [&str; 4] = ["account_calls", "account_unanswered", "source_calls", "source_unanswered"];

/// Every metric of the server. Events are counted as they happen; figures that others count are set before
/// [`Metrics::render`].
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Catalogue,
    commands: Words,
    rejected: Words,
    dropped: Words,
    /// Held while figures are set: two scrapes at once must not add the same difference twice.
    setting: Mutex<()>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics at zero. Labels whose sets are known are there from the start, so that an alert sees the first step.
    pub fn new() -> Self {
        let registry = Registry::new();
        let families = Catalogue::register(&registry);
        for reason in TerminationReason::ALL {
            families.legs_ended.with_label_values(&[reason.as_str()]);
        }
        for kind in ConversationKind::ALL {
            families.conversations.with_label_values(&[kind.as_str()]);
        }
        for bound in CALL_BOUNDS {
            families.calls_refused.with_label_values(&[bound]);
        }
        for reason in ["no-port", "overload"] {
            families.no_room.with_label_values(&[reason]);
        }
        for method in METHODS {
            families.sip.requests.with_label_values(&[method]);
        }
        families.build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Self {
            registry,
            families,
            commands: Words::default(),
            rejected: Words::default(),
            dropped: Words::default(),
            setting: Mutex::new(()),
        }
    }

    /// A SIP request reached the server's logic. A method that is not well known counts as `other`.
    pub fn sip_request(&self, name: &str) {
        self.families.sip.requests.with_label_values(&[method(name)]).inc();
    }

    /// A C3P command was answered.
    pub fn command(&self, name: &'static str, success: bool) {
        let outcome = if success { "success" } else { "failure" };
        self.families.commands.with_label_values(&[self.commands.admit(name), outcome]).inc();
    }

    /// A call was refused because its caller has too many.
    pub fn call_refused(&self, bound: &'static str) {
        self.families.calls_refused.with_label_values(&[bound]).inc();
    }

    /// A leg could not be given audio.
    pub fn no_room(&self, reason: &'static str) {
        self.families.no_room.with_label_values(&[reason]).inc();
    }

    /// A conference became active.
    pub fn conference_started(&self) {
        self.families.conferences_started.inc();
    }

    /// A conference was deactivated.
    pub fn conference_ended(&self) {
        self.families.conferences_ended.inc();
    }

    /// A leg ended; `talked` is the time since it was answered, `None` when it never was.
    pub fn leg_ended(&self, reason: TerminationReason, talked: Option<Duration>) {
        self.families.legs_ended.with_label_values(&[reason.as_str()]).inc();
        if let Some(talked) = talked {
            self.families.call_duration.observe(talked.as_secs_f64());
        }
    }

    /// A caller of a response group stopped waiting; `result` says what became of him.
    pub fn group_waited(&self, group: &str, result: &'static str, waited: Duration) {
        self.families.group.wait.with_label_values(&[group, result]).observe(waited.as_secs_f64());
    }

    /// A leg's quality was reported.
    pub fn leg_quality(&self, figures: &LegFigures) {
        let families = &self.families;
        let expected = figures.received_packets + figures.lost_packets;
        if expected > 0 {
            families.leg.loss.observe(figures.lost_packets as f64 / expected as f64);
            families.leg.late.observe((figures.late_packets as f64 / expected as f64).min(1.0));
            families.leg.concealed.observe((figures.concealed_frames as f64 / expected as f64).min(1.0));
            families.leg.jitter.observe(figures.jitter.as_secs_f64());
            families.leg.buffer_delay.observe(figures.buffer_delay.as_secs_f64());
            families.leg.buffer_delay_max.observe(figures.buffer_delay_max.as_secs_f64());
        }
        if let Some(round_trip) = figures.round_trip {
            families.leg.round_trip.observe(round_trip.as_secs_f64());
        }
        if figures.mos_hundredths > 0 {
            families.leg.mos.observe(f64::from(figures.mos_hundredths) / 100.0);
        }
        if figures.one_way {
            families.leg.one_way.inc();
        }
    }

    /// A recording is over.
    pub fn recording_ended(&self, complete: bool) {
        let outcome = if complete { "success" } else { "failure" };
        self.families.recordings_ended.with_label_values(&[outcome]).inc();
    }

    /// A line was written to a user's call history.
    pub fn conversation(&self, kind: ConversationKind) {
        self.families.conversations.with_label_values(&[kind.as_str()]).inc();
    }

    /// A user's devices were told of a missed call.
    pub fn missed_call_notice(&self) {
        self.families.missed_call_notices.inc();
    }

    /// The response groups' journal could not be written so many times.
    pub fn journal_failures(&self, count: u64) {
        self.families.journal_failures.inc_by(count);
    }

    /// How call detail records fare. Counters never go back, whatever is passed.
    pub fn set_cdrs(&self, figures: &CdrFigures) {
        let _setting = self.lock();
        raise(&self.families.cdr_write_failures, figures.failures);
        raise(&self.families.cdrs_lost, figures.lost);
        set(&self.families.cdrs_waiting, figures.waiting);
    }

    /// A trunk that we register at knows us, or does not.
    pub fn set_trunk_registered(&self, trunk: &str, registered: bool) {
        set(&self.families.trunk_registered.with_label_values(&[trunk]), u64::from(registered));
    }

    /// How much the server holds now.
    pub fn set_load(&self, conferences: usize, legs: usize, registered_users: usize) {
        set(&self.families.conferences, conferences as u64);
        set(&self.families.legs, legs as u64);
        set(&self.families.registered_users, registered_users as u64);
    }

    /// The figures of the SIP edge. Counters never go back, whatever is passed.
    pub fn set_sip(&self, figures: &SipFigures<'_>) {
        let _setting = self.lock();
        let families = &self.families;
        raise_each(&families.sip.messages, [("in", figures.received), ("out", figures.sent)]);
        raise_each(&families.sip.rejected, admitted(&self.rejected, figures.rejected));
        raise_each(&families.sip.dropped, admitted(&self.dropped, figures.dropped));
        raise(&families.sip.registrations, figures.registrations);
        raise(&families.sip.authentication_failures, figures.authentication_failures);
        set(&families.sip.transactions, figures.transactions);
        set(&families.sip.connections, figures.connections);
    }

    /// The figures of the media workers. Counters never go back, whatever is passed.
    pub fn set_media(&self, figures: &MediaFigures) {
        let _setting = self.lock();
        let families = &self.families;
        raise(&families.media.mixer_ticks, figures.ticks);
        raise(&families.media.mixer_ticks_late, figures.ticks_late);
        raise(&families.media.mixer_ticks_skipped, figures.ticks_skipped);
        raise_seconds(&families.media.mixer_tick_time, figures.tick_time);
        families.media.mixer_tick_longest.set(figures.tick_longest.as_secs_f64());
        raise(&families.media.listeners_waited, figures.listeners_waited);
        raise_each(&families.media.rtp_packets, [("in", figures.packets_received), ("out", figures.packets_sent)]);
        raise(&families.media.rtp_packets_dropped, figures.packets_dropped);
        raise(&families.media.rtp_packets_unsent, figures.packets_unsent);
        raise(&families.media.conferences_failed, figures.conferences_failed);
        raise(&families.media.commands_refused, figures.commands_refused);
        set(&families.media.conferences, figures.conferences);
        set(&families.media.legs, figures.legs);
        set(&families.media.ports_draining, figures.ports_draining);
        raise(&families.media.ports_taken, figures.ports_taken);
        families.media.worker_busy.set(figures.busy_per_mille as f64 / 1_000.0);
    }

    /// The response groups, and the state of each of their agents; who is in it is nobody's label.
    pub fn set_groups(&self, groups: &[GroupFigures<'_>], agents: impl IntoIterator<Item = &'static str>) {
        let _setting = self.lock();
        let families = &self.families;
        for figures in groups {
            let label = &[figures.group];
            set(&families.group.waiting.with_label_values(label), figures.waiting);
            set(&families.group.longest_wait.with_label_values(label), figures.longest_wait.as_secs());
            set(&families.group.talking.with_label_values(label), figures.talking);
            set(&families.group.ready_agents.with_label_values(label), figures.ready_agents);
            for (result, count) in [
                ("offered", figures.offered),
                ("answered", figures.answered),
                ("answered-in-target", figures.answered_in_target),
                ("abandoned", figures.abandoned),
                ("overflowed", figures.overflowed),
                ("timed-out", figures.timed_out),
                ("no-agent", figures.no_agent),
                ("other", figures.other),
            ] {
                raise(&families.group.calls.with_label_values(&[figures.group, result]), count);
            }
        }
        let mut counts = [0_u64; AGENT_STATES.len()];
        for state in agents {
            if let Some(place) = AGENT_STATES.iter().position(|known| *known == state) {
                counts[place] += 1;
            }
        }
        for (state, count) in AGENT_STATES.into_iter().zip(counts) {
            set(&families.group.agents.with_label_values(&[state]), count);
        }
    }

    /// Every metric in the Prometheus text format, version 0.0.4 (`text/plain; version=0.0.4`).
    pub fn render(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("families of the catalogue have a text form")
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.setting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The figures under labels that are told apart, those that are not summed under `other`.
fn admitted(words: &Words, figures: &[(&'static str, u64)]) -> Vec<(&'static str, u64)> {
    let (mut told_apart, mut other) = (Vec::with_capacity(figures.len()), 0_u64);
    for &(word, value) in figures {
        match words.admit(word) {
            OTHER => other = other.saturating_add(value),
            word => told_apart.push((word, value)),
        }
    }
    if other > 0 {
        told_apart.push((OTHER, other));
    }
    told_apart
}

fn raise_each(family: &IntCounterVec, figures: impl IntoIterator<Item = (&'static str, u64)>) {
    for (label, value) in figures {
        raise(&family.with_label_values(&[label]), value);
    }
}

fn raise(counter: &IntCounter, value: u64) {
    counter.inc_by(value.saturating_sub(counter.get()));
}

fn raise_seconds(counter: &Counter, value: Duration) {
    counter.inc_by((value.as_secs_f64() - counter.get()).max(0.0));
}

fn set(gauge: &IntGauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests;
