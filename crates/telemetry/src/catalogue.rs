//! Every metric family: its name, its meaning, its labels.

use prometheus::core::Collector;
use prometheus::{
    Counter, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

/// Stands before every name.
const PREFIX: &str = "convoke";

/// Waiting times in a queue: what a service level speaks of, and what nobody should have to wait.
const WAIT_SECONDS: &[f64] = &[1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0];

/// Lengths of calls in seconds: a mistake, a message, a talk, a meeting, a day.
const CALL_SECONDS: &[f64] = &[1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 86_400.0];

/// Estimates of quality: nearly all dissatisfied, many, some, satisfied (ITU-T G.107 annex B).
const MOS: &[f64] = &[2.0, 2.58, 3.1, 3.6, 4.03, 4.34, 4.5];

/// Shares of packets or frames.
const RATIOS: &[f64] = &[0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

/// Delays in seconds, from a good local network to one over satellites.
const DELAYS: &[f64] = &[0.001, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.4, 0.8];

/// The families. A field is called as its family, without prefix and suffix; `sip.requests` is `convoke_sip_requests_total`.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) sip: Sip,
    pub(crate) leg: Legs,
    pub(crate) media: Media,
    pub(crate) group: Groups,
    pub(crate) conferences: IntGauge,
    pub(crate) legs: IntGauge,
    pub(crate) registered_users: IntGauge,
    pub(crate) conferences_started: IntCounter,
    pub(crate) conferences_ended: IntCounter,
    pub(crate) commands: IntCounterVec,
    pub(crate) legs_ended: IntCounterVec,
    pub(crate) calls_refused: IntCounterVec,
    pub(crate) no_room: IntCounterVec,
    pub(crate) call_duration: Histogram,
    pub(crate) recordings_ended: IntCounterVec,
    pub(crate) conversations: IntCounterVec,
    pub(crate) missed_call_notices: IntCounter,
    pub(crate) journal_failures: IntCounter,
    pub(crate) cdr_write_failures: IntCounter,
    pub(crate) cdrs_lost: IntCounter,
    pub(crate) cdrs_waiting: IntGauge,
    pub(crate) trunk_registered: IntGaugeVec,
    pub(crate) build: IntGaugeVec,
}

impl Catalogue {
    /// Makes every family and registers it.
    pub(crate) fn register(registry: &Registry) -> Self {
        let made = Maker(registry);
        Self {
            sip: Sip::register(&made),
            leg: Legs::register(&made),
            media: Media::register(&made),
            group: Groups::register(&made),
            conferences: made.gauge("conferences", "Conferences alive."),
            legs: made.gauge("legs", "Legs alive, Focus dialogs among them."),
            registered_users: made.gauge("registered_users", "Users with a registered device."),
            conferences_started: made.counter("conferences_started_total", "Conferences that became active."),
            conferences_ended: made.counter("conferences_ended_total", "Conferences that were deactivated."),
            commands: made.counters("commands_total", "C3P commands answered.", &["command", "outcome"]),
            legs_ended: made.counters("legs_ended_total", "Legs that ended, answered or not.", &["reason"]),
            calls_refused: made.counters(
                "calls_refused_total",
                "Calls refused because their caller has too many, by the bound he would have exceeded.",
                &["bound"],
            ),
            no_room: made.counters(
                "legs_without_room_total",
                "Legs that could not be given audio: no port was free, or a worker had no time left.",
                &["reason"],
            ),
            call_duration: made.histogram("call_duration_seconds", "Talking time of answered legs.", CALL_SECONDS),
            recordings_ended: made.counters("recordings_ended_total", "Recordings that ended.", &["outcome"]),
            conversations: made.counters("conversations_total", "Lines written to users' call histories.", &["kind"]),
            missed_call_notices: made
                .counter("missed_call_notices_total", "Missed calls that users' devices were told of."),
            journal_failures: made.counter(
                "journal_failures_total",
                "Times the response groups' journal could not be written; until it can, groups take no calls.",
            ),
            cdr_write_failures: made.counter(
                "cdr_write_failures_total",
                "Times the database did not take call detail records; they are kept and tried again.",
            ),
            cdrs_lost: made.counter(
                "cdrs_lost_total",
                "Call detail records that were given up; each stands in the log, at error level.",
            ),
            cdrs_waiting: made.gauge("cdrs_waiting", "Call detail records that wait for the disk to take them."),
            trunk_registered: made.gauges(
                "trunk_registered",
                "Whether we are registered at a trunk that wants it: 1 or 0.",
                &["trunk"],
            ),
            build: made.gauges("build_info", "Always 1; the version that runs.", &["version"]),
        }
    }
}

/// The SIP edge.
#[derive(Debug)]
pub(crate) struct Sip {
    pub(crate) requests: IntCounterVec,
    pub(crate) messages: IntCounterVec,
    pub(crate) rejected: IntCounterVec,
    pub(crate) dropped: IntCounterVec,
    pub(crate) registrations: IntCounter,
    pub(crate) authentication_failures: IntCounter,
    pub(crate) transactions: IntGauge,
    pub(crate) connections: IntGauge,
}

impl Sip {
    fn register(made: &Maker<'_>) -> Self {
        Self {
            requests: made.counters("sip_requests_total", "SIP requests given to the server's logic.", &["method"]),
            messages: made.counters("sip_messages_total", "SIP messages, retransmissions included.", &["direction"]),
            rejected: made.counters(
                "sip_rejected_total",
                "SIP requests answered with an error before they reached the server's logic.",
                &["reason"],
            ),
            dropped: made.counters(
                "sip_dropped_total",
                "SIP messages and connections dropped without an answer.",
                &["reason"],
            ),
            registrations: made.counter("sip_registrations_total", "REGISTER requests answered with 200."),
            authentication_failures: made.counter("sip_authentication_failures_total", "Wrong passwords."),
            transactions: made.gauge("sip_transactions", "SIP transactions under way."),
            connections: made.gauge("sip_connections", "Open SIP connections."),
        }
    }
}

/// How connected legs fare; each reports every 5 s.
#[derive(Debug)]
pub(crate) struct Legs {
    pub(crate) mos: Histogram,
    pub(crate) loss: Histogram,
    pub(crate) late: Histogram,
    pub(crate) concealed: Histogram,
    pub(crate) jitter: Histogram,
    pub(crate) buffer_delay: Histogram,
    pub(crate) buffer_delay_max: Histogram,
    pub(crate) round_trip: Histogram,
    pub(crate) one_way: IntCounter,
}

impl Legs {
    fn register(made: &Maker<'_>) -> Self {
        Self {
            mos: made.histogram(
                "leg_mos",
                "Estimated listening quality of connected legs (E-model, MOS-LQ), each every 5 s.",
                MOS,
            ),
            loss: made.histogram("leg_loss_ratio", "Packets of connected legs lost so far, each every 5 s.", RATIOS),
            late: made.histogram(
                "leg_late_ratio",
                "Packets of connected legs that came too late to be played so far, each every 5 s.",
                RATIOS,
            ),
            concealed: made.histogram(
                "leg_concealed_ratio",
                "20 ms frames of connected legs made up so far, each every 5 s.",
                RATIOS,
            ),
            jitter: made.histogram(
                "leg_jitter_seconds",
                "Interarrival jitter of connected legs, each every 5 s.",
                DELAYS,
            ),
            buffer_delay: made.histogram(
                "leg_buffer_delay_seconds",
                "Delay of the jitter buffers of connected legs, each every 5 s.",
                DELAYS,
            ),
            buffer_delay_max: made.histogram(
                "leg_buffer_delay_max_seconds",
                "Bounds of the delay of the jitter buffers of connected legs, each every 5 s.",
                DELAYS,
            ),
            round_trip: made.histogram(
                "leg_round_trip_seconds",
                "Round trip of connected legs where it was measured, each every 5 s.",
                DELAYS,
            ),
            one_way: made.counter(
                "leg_one_way_reports_total",
                "Reports of connected legs of which only one direction carries audio; one leg reports every 5 s.",
            ),
        }
    }
}

/// The media workers.
#[derive(Debug)]
pub(crate) struct Media {
    pub(crate) mixer_ticks: IntCounter,
    pub(crate) mixer_ticks_late: IntCounter,
    pub(crate) mixer_ticks_skipped: IntCounter,
    pub(crate) mixer_tick_time: Counter,
    pub(crate) mixer_tick_longest: Gauge,
    pub(crate) listeners_waited: IntCounter,
    pub(crate) rtp_packets: IntCounterVec,
    pub(crate) rtp_packets_dropped: IntCounter,
    pub(crate) rtp_packets_unsent: IntCounter,
    pub(crate) conferences_failed: IntCounter,
    pub(crate) commands_refused: IntCounter,
    pub(crate) conferences: IntGauge,
    pub(crate) legs: IntGauge,
    pub(crate) ports_draining: IntGauge,
    pub(crate) ports_taken: IntCounter,
    pub(crate) worker_busy: Gauge,
}

impl Media {
    fn register(made: &Maker<'_>) -> Self {
        Self {
            mixer_ticks: made.counter("mixer_ticks_total", "Ticks of the media workers."),
            mixer_ticks_late: made.counter("mixer_ticks_late_total", "Ticks that began more than 5 ms late."),
            mixer_ticks_skipped: made.counter("mixer_ticks_skipped_total", "Ticks left out to catch up."),
            mixer_tick_time: made.seconds_counter("mixer_tick_seconds_total", "Time spent in ticks."),
            mixer_tick_longest: made.real_gauge("mixer_tick_longest_seconds", "The longest tick since the start."),
            listeners_waited: made.counter(
                "mixer_listeners_waited_total",
                "Listeners who had to wait for a stream of their own (a prompt, another loudness): 128 were in use, or many came at once.",
            ),
            rtp_packets: made.counters("rtp_packets_total", "Media datagrams.", &["direction"]),
            rtp_packets_dropped: made.counter("rtp_packets_dropped_total", "Media datagrams received and dropped."),
            rtp_packets_unsent: made.counter("rtp_packets_unsent_total", "Media datagrams the system did not take."),
            conferences_failed: made.counter(
                "media_conferences_failed_total",
                "Conferences ended by a defect or an overflowing queue of their media worker.",
            ),
            commands_refused: made
                .counter("media_commands_refused_total", "Commands refused because a media worker's queue was full."),
            conferences: made.gauge("media_conferences", "Conferences the media workers mix now."),
            legs: made.gauge("media_legs", "Legs the media workers carry now."),
            ports_draining: made.gauge(
                "media_ports_draining",
                "Port pairs of legs that ended, kept for a while so that no other leg gets their late packets.",
            ),
            ports_taken: made.counter(
                "media_ports_taken_total",
                "Media ports that were found taken by another program and passed over.",
            ),
            worker_busy: made.real_gauge(
                "media_worker_busy_ratio",
                "Share of its time that the busiest media worker spent in ticks in the last second, 0 to 1.",
            ),
        }
    }
}

/// Response groups and their agents.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) waiting: IntGaugeVec,
    pub(crate) longest_wait: IntGaugeVec,
    pub(crate) talking: IntGaugeVec,
    pub(crate) ready_agents: IntGaugeVec,
    pub(crate) calls: IntCounterVec,
    pub(crate) wait: HistogramVec,
    pub(crate) agents: IntGaugeVec,
}

impl Groups {
    fn register(made: &Maker<'_>) -> Self {
        Self {
            waiting: made.gauges("group_waiting_callers", "Callers who wait in a response group.", &["group"]),
            longest_wait: made.gauges(
                "group_longest_wait_seconds",
                "How long the first caller in line has waited.",
                &["group"],
            ),
            talking: made.gauges("group_talking_callers", "Callers who talk with an agent.", &["group"]),
            ready_agents: made.gauges(
                "group_ready_agents",
                "Agents who would be offered a call now.",
                &["group"],
            ),
            calls: made.counters(
                "group_calls_total",
                "Callers of a response group by what became of them; `offered` counts all who waited.",
                &["group", "result"],
            ),
            wait: made.histograms(
                "group_wait_seconds",
                "Waiting time of response groups' callers by what became of them; `answered-in-target` and `answered-late` \
                 were connected.",
                WAIT_SECONDS,
                &["group", "result"],
            ),
            agents: made.gauges("group_agents", "Agents of response groups by state.", &["state"]),
        }
    }
}

/// Makes families. The names stand in the catalogue above, so a refusal is a defect that every start would show.
struct Maker<'r>(&'r Registry);

impl Maker<'_> {
    fn registered<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let collector = made.expect("a name and labels of the catalogue are valid");
        self.0.register(Box::new(collector.clone())).expect("a name stands in the catalogue once");
        collector
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.registered(IntCounter::with_opts(options(name, help)))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.registered(IntCounterVec::new(options(name, help), labels))
    }

    fn seconds_counter(&self, name: &str, help: &str) -> Counter {
        self.registered(Counter::with_opts(options(name, help)))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.registered(IntGauge::with_opts(options(name, help)))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.registered(IntGaugeVec::new(options(name, help), labels))
    }

    fn real_gauge(&self, name: &str, help: &str) -> Gauge {
        self.registered(Gauge::with_opts(options(name, help)))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).namespace(PREFIX).buckets(buckets.to_vec());
        self.registered(Histogram::with_opts(options))
    }

    fn histograms(&self, name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> HistogramVec {
        let options = HistogramOpts::new(name, help).namespace(PREFIX).buckets(buckets.to_vec());
        self.registered(HistogramVec::new(options, labels))
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(PREFIX)
}
