//! What is seen from outside: metrics, log lines, and call detail records out of the engine's events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::Duration;
use call::RegistrationStatus;
use engine::EngineEvent;
use focus::FocusEvent;
use mcu_api::{LegFailure, LegStatistics};
use media_io::MediaServer;
use response_group::{AgentStatus, QueueResult, WallboardEvent};
use sip::Edge;
use telemetry::{CdrFigures, GroupFigures, LegFigures, MediaFigures, Metrics, SipFigures};

use crate::happenings::{Happenings, Listener};
use crate::pump::Load;
use crate::storage::{CdrTally, StorageQueue};

/// The metrics, with the parts that count for themselves.
pub(crate) struct Gauges {
    metrics: Metrics,
    edge: Arc<Edge>,
    media: Arc<MediaServer>,
    cdrs: Arc<CdrTally>,
    /// Packets that legs received and refused: from elsewhere, replayed, wrongly keyed, malformed.
    rejected: AtomicU64,
    /// What happens in the response groups, for those who listen.
    happenings: Happenings,
}

impl Gauges {
    /// Metrics of a server that has just started.
    pub(crate) fn new(edge: Arc<Edge>, media: Arc<MediaServer>, cdrs: Arc<CdrTally>) -> Self {
        Self {
            metrics: Metrics::new(),
            edge,
            media,
            cdrs,
            rejected: AtomicU64::new(0),
            happenings: Happenings::default(),
        }
    }

    /// All metrics at this moment, in the text format of Prometheus.
    pub(crate) fn render(&self, load: &Load, board: Option<&response_group::Snapshot>) -> String {
        self.metrics.set_load(load.conferences, load.legs, load.registered);
        self.take_sip();
        self.take_media();
        self.metrics.set_cdrs(&CdrFigures {
            failures: self.cdrs.failures(),
            lost: self.cdrs.lost(),
            waiting: self.cdrs.waiting(),
        });
        if let Some(board) = board {
            self.take_groups(board);
        }
        self.metrics.render()
    }

    /// A request reached the engine.
    pub(crate) fn request(&self, method: &str) {
        self.metrics.sip_request(method);
    }

    fn take_groups(&self, board: &response_group::Snapshot) {
        let groups: Vec<GroupFigures<'_>> = board
            .groups
            .iter()
            .map(|group| GroupFigures {
                group: group.uri.user_part(),
                waiting: u64::from(group.waiting),
                longest_wait: Duration::from_secs(group.longest_wait_seconds),
                talking: u64::from(group.talking),
                ready_agents: u64::from(group.ready_agents),
                offered: group.counters.offered,
                answered: group.counters.answered,
                answered_in_target: group.counters.answered_in_target,
                abandoned: group.counters.abandoned,
                overflowed: group.counters.overflowed,
                timed_out: group.counters.timed_out,
                no_agent: group.counters.no_agent,
                other: group.counters.other,
            })
            .collect();
        self.metrics.set_groups(&groups, board.agents.iter().map(|agent| agent_state(&agent.status)));
    }

    fn take_sip(&self) {
        let counters = self.edge.counters();
        let rejected: Vec<_> = counters.rejected.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
        let dropped: Vec<_> = counters.dropped.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
        self.metrics.set_sip(&SipFigures {
            received: counters.received,
            sent: counters.sent,
            rejected: &rejected,
            dropped: &dropped,
            registrations: counters.registrations,
            authentication_failures: counters.authentication_failures,
            transactions: counters.transactions,
            connections: counters.connections,
        });
    }

    fn take_media(&self) {
        let counters = self.media.counters();
        self.metrics.set_media(&MediaFigures {
            ticks: counters.ticks,
            ticks_late: counters.ticks_late,
            ticks_skipped: counters.ticks_skipped,
            tick_time: Duration::from_micros(counters.tick_us),
            tick_longest: Duration::from_micros(counters.tick_us_max),
            listeners_waited: counters.listeners_waited,
            packets_received: counters.packets_received,
            packets_sent: counters.packets_sent,
            packets_dropped: counters.packets_dropped + self.rejected.load(Ordering::Relaxed),
            packets_unsent: counters.packets_unsent,
            conferences_failed: counters.conferences_failed,
            commands_refused: counters.commands_refused,
            conferences: counters.conferences,
            legs: counters.legs,
            ports_draining: counters.ports_draining,
            ports_taken: counters.ports_taken,
            busy_per_mille: counters.busy_per_mille_max,
        });
    }
}

/// Takes the engine's events.
pub(crate) struct Watch {
    gauges: Arc<Gauges>,
}

impl Watch {
    /// A watch that counts in these metrics.
    pub(crate) fn new(gauges: Arc<Gauges>) -> Self {
        Self { gauges }
    }

    /// A request reached the engine.
    pub(crate) fn request(&self, method: &str) {
        self.gauges.request(method);
    }

    /// One who is told this wallboard of the response groups, and what happens from now on; `None` when too many are.
    pub(crate) fn listen(&self, board: Option<response_group::Snapshot>) -> Option<Listener> {
        self.gauges.happenings.listen(board)
    }

    /// Other groups hold: whoever listens begins anew with this wallboard.
    pub(crate) fn tell_board(&self, board: Option<response_group::Snapshot>) {
        self.gauges.happenings.tell_board(board);
    }

    /// The response groups' journal could not be written so many times since this was asked last.
    pub(crate) fn journal_failures(&self, count: u64) {
        if count > 0 {
            self.gauges.metrics.journal_failures(count);
        }
    }

    /// Something happened: count it, log it, and record what is owed a record.
    pub(crate) fn note(&self, event: EngineEvent, storage: &StorageQueue) {
        let metrics = &self.gauges.metrics;
        self.gauges.happenings.tell(&event);
        match event {
            EngineEvent::ConferenceStarted { conference } => {
                metrics.conference_started();
                tracing::info!(%conference, "conference started");
            }
            EngineEvent::ConferenceEnded { conference, reason } => {
                metrics.conference_ended();
                tracing::info!(%conference, ?reason, "conference ended");
            }
            // Who speaks changes several times a second and is nobody's log line.
            EngineEvent::Conference { event: FocusEvent::SpeakersChanged { .. }, .. } => {}
            EngineEvent::Conference { conference, event } => log_conference(&conference, &event),
            EngineEvent::PinGuessing { conference } => {
                tracing::warn!(%conference, "a caller with too many wrong PINs was refused");
            }
            EngineEvent::CallRefused { bound } => {
                metrics.call_refused(bound.as_str());
                tracing::debug!(bound = bound.as_str(), "a caller has too many calls");
            }
            EngineEvent::NoRoom { failure } => {
                let (reason, remedy) = want_of_room(failure);
                metrics.no_room(reason);
                tracing::warn!(reason, remedy, "there was no room for the audio of a call");
            }
            EngineEvent::TrunkRegistration { trunk, status } => {
                metrics.set_trunk_registered(&trunk, status == RegistrationStatus::Registered);
                log_registration(&trunk, status);
            }
            EngineEvent::Unauthorized { trunk, host, why } => log_unauthorized(trunk.as_deref(), &host, why),
            EngineEvent::Command { command, success } => {
                metrics.command(command, success);
                tracing::debug!(command, success, "C3P command answered");
            }
            EngineEvent::LegQuality(statistics) => metrics.leg_quality(&leg_figures(&statistics)),
            EngineEvent::RecordingEnded { conference, file, length_ms, error } => {
                metrics.recording_ended(error.is_none());
                match error {
                    None => tracing::info!(%conference, file, length_ms, "recording complete"),
                    Some(error) => tracing::error!(%conference, file, length_ms, error, "recording failed"),
                }
            }
            EngineEvent::LegEnded(leg) => {
                metrics.leg_ended(leg.termination.reason, leg.connected.map(|at| leg.ended.since(at)));
                tracing::info!(leg = %leg.leg, conference = %leg.conference, reason = leg.termination.reason.as_str(), "leg ended");
                self.gauges.rejected.fetch_add(leg.statistics.rejected_packets, Ordering::Relaxed);
                storage.record_leg(&leg);
            }
            EngineEvent::GroupCallEnded(record) => {
                let call = &record.call;
                let (number, call_id) = (call.call, &call.reference);
                tracing::info!(group_call = %number, call_id, group = %call.group, outcome = ?call.outcome, "group call ended");
                storage.record_group_call(&record);
            }
            EngineEvent::GroupVisitEnded { visit, leg } => {
                let (errand, call_id) = (visit.errand.as_str(), &visit.call_id);
                match visit.errand.is_supervision() {
                    true => tracing::info!(group_call = %visit.call, errand, call_id, "supervisor ended"),
                    // It is no call of a group's, and has no story.
                    false => tracing::info!(errand, call_id, "feature code ended"),
                }
                storage.record_group_visit(&visit, leg.as_deref());
            }
            EngineEvent::GroupAgent { agent, state } => tracing::debug!(%agent, ?state, "agent"),
            EngineEvent::Wallboard(event) => {
                tracing::debug!(?event, "wallboard");
                if let WallboardEvent::LeftQueue { group, waited_millis, result, .. } = event {
                    let waited = Duration::from_millis(waited_millis);
                    metrics.group_waited(group.user_part(), queue_result(result), waited);
                }
            }
            EngineEvent::GroupSupervisor { call, state, .. } => {
                tracing::info!(group_call = %call, ?state, "supervisor")
            }
            EngineEvent::GroupTransfer { call, reached } => {
                tracing::info!(group_call = %call, reached, "supervisor's transfer")
            }
            EngineEvent::GroupChangeDropped(change) => {
                let group = change.group.as_ref().map_or("all", |group| group.as_str());
                let key = change.key.as_deref().unwrap_or("the whole group");
                tracing::warn!(
                    group,
                    key,
                    "a change at run time is dropped, for the configuration file says something else since; write it there, or make it again with a configure command"
                );
            }
            EngineEvent::GroupSupervisorRefused { call, why } => {
                tracing::info!(group_call = %call, why, "supervisor refused")
            }
            EngineEvent::CallEnded(call) => {
                metrics.leg_ended(call.termination.reason, Some(call.ended.since(call.connected)));
                tracing::info!(call = %call.call, reason = call.termination.reason.as_str(), "call ended");
                storage.record_call(&call);
            }
            EngineEvent::Conversation(entry) => {
                metrics.conversation(entry.kind);
                tracing::info!(call = %entry.call, kind = entry.kind.as_str(), "call history written");
                storage.record_conversation(*entry);
            }
            EngineEvent::ConversationAgain(entry) => storage.record_conversation_again(*entry),
            EngineEvent::MissedCallNotice { user, devices } => {
                metrics.missed_call_notice();
                tracing::info!(%user, devices, "missed call told");
            }
        }
    }
}

/// Why a leg could not be given audio, as a label, and what to do.
const fn want_of_room(failure: LegFailure) -> (&'static str, &'static str) {
    match failure {
        LegFailure::NoPort => ("no-port", "every port of media.ports is taken: widen the range"),
        _ => ("overload", "a worker has no time left: spread the calls over more processors or servers"),
    }
}

fn log_registration(trunk: &str, status: RegistrationStatus) {
    match status {
        RegistrationStatus::New => {}
        RegistrationStatus::Registered => tracing::info!(trunk, "registered at the trunk"),
        RegistrationStatus::Ended => tracing::info!(trunk, "no longer registered at the trunk"),
        RegistrationStatus::Failed(status) => {
            tracing::error!(trunk, status, "not registered at the trunk; tried again, longer and longer apart");
        }
        RegistrationStatus::Unauthorized(why) => {
            let remedy = "check username and password of this [[trunk]]";
            tracing::error!(trunk, ?why, remedy, "the trunk does not let us register; tried again later");
        }
    }
}

/// A call could not be made because somebody asked who we are.
fn log_unauthorized(trunk: Option<&str>, host: &str, why: call::Unanswered) {
    let remedy = match (why, trunk) {
        (call::Unanswered::NoCredentials, Some(_)) => {
            "it asks for credentials; set username and password of this [[trunk]]"
        }
        (call::Unanswered::NoCredentials, None) => "it asks for credentials, and there are none for it",
        (call::Unanswered::Refused, _) => {
            "it does not accept the credentials; check username and password of this [[trunk]]"
        }
        (call::Unanswered::Unsupported, _) => {
            "its challenge cannot be answered; it must offer Digest with SHA-256 or MD5, and qop=auth if any"
        }
    };
    tracing::error!(trunk, host, remedy, "a call was refused for want of credentials");
}

/// An agent's state as a label: never who he is.
fn agent_state(status: &AgentStatus) -> &'static str {
    match status {
        AgentStatus::Free => "free",
        AgentStatus::Ringing { .. } => "ringing",
        AgentStatus::Draining => "draining",
        AgentStatus::Talking { .. } => "talking",
        AgentStatus::WrapUp { .. } => "wrap-up",
        AgentStatus::CoolDown { .. } => "cool-down",
        AgentStatus::Paused { .. } => "paused",
        AgentStatus::NotAvailable { .. } => "not-available",
    }
}

/// What became of one who waited, as a label.
const fn queue_result(result: QueueResult) -> &'static str {
    match result {
        QueueResult::AnsweredInTarget => "answered-in-target",
        QueueResult::AnsweredLate => "answered-late",
        QueueResult::Abandoned => "abandoned",
        QueueResult::Overflowed => "overflowed",
        QueueResult::TimedOut => "timed-out",
        QueueResult::NoAgent => "no-agent",
        QueueResult::Other => "other",
    }
}

fn leg_figures(of: &LegStatistics) -> LegFigures {
    LegFigures {
        received_packets: of.received_packets,
        lost_packets: of.lost_packets,
        late_packets: of.late_packets,
        concealed_frames: of.concealed_frames,
        jitter: Duration::from_micros(of.jitter_us.into()),
        buffer_delay: Duration::from_micros(of.buffer_delay_us.into()),
        buffer_delay_max: Duration::from_micros(of.buffer_delay_max_us.into()),
        round_trip: (of.round_trip_us > 0).then(|| Duration::from_micros(of.round_trip_us.into())),
        mos_hundredths: of.mos_hundredths,
        one_way: of.one_way,
    }
}

/// Telephone numbers may stand in user URIs, so that below debug level only the kind of event is told.
fn log_conference(conference: &base::ConferenceId, event: &FocusEvent) {
    let kind = match event {
        FocusEvent::Activated => "activated",
        FocusEvent::EndpointJoined { .. } => "endpoint joined",
        FocusEvent::EndpointLeft { .. } => "endpoint left",
        FocusEvent::EnteredLobby { .. } => "waits in the lobby",
        FocusEvent::AdmissionChanged { .. } => "admission changed",
        FocusEvent::JoinRefused { .. } => "join refused",
        FocusEvent::DialOutRequested { .. } => "dial-out requested",
        FocusEvent::RoleChanged { .. } => "role changed",
        FocusEvent::LockChanged { .. } => "lock changed",
        FocusEvent::FiltersChanged { .. } => "filters changed",
        FocusEvent::SpeakersChanged { .. } => "speakers changed",
    };
    tracing::info!(%conference, kind, "conference event");
    tracing::debug!(%conference, ?event, "conference event in full");
}

/// Sends the log to standard error. `CONVOKE_LOG` chooses what is in it, in the syntax of `tracing`.
pub(crate) fn start_log() -> Result<(), String> {
    let filter = std::env::var("CONVOKE_LOG").unwrap_or_else(|_| "info".to_owned());
    telemetry::start_log(&filter, false).map_err(|error| error.to_string())
}
