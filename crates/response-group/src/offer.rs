//! One agent rung for one caller: from the INVITE to the moment nothing of it is left.
//!
//! | State       | progressed | answered             | refused | dialog ended | withdrawn      |
//! |-------------|------------|----------------------|---------|--------------|----------------|
//! | Inviting    | Ringing    | Confirming or winner | closed  |              | Withdrawing    |
//! | Ringing     |            | Confirming or winner | closed  |              | Withdrawing    |
//! | Confirming  |            | second: ACK, BYE     |         | closed       | Releasing      |
//! | Connecting  |            | second: ACK, BYE     |         | closed       | Releasing      |
//! | Talking     |            | second: ACK, BYE     |         | closed       | Releasing      |
//! | Withdrawing | CANCEL now | ACK, BYE; Releasing  | closed  |              |                |
//! | Releasing   |            | ACK, BYE             |         | closed       |                |
//!
//! Withdrawing and Releasing own the agent; both end after 64 times T1 at the latest. An answer nobody knows of is
//! acknowledged and ended all the same (B24).

use base::{CallId, Duration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::agent::AgentIx;
use crate::config::{Confirm, Cursor};
use crate::group::PoolIx;
use crate::input::{DialogNo, OfferNo, Refusal};
use crate::output::{CancelWhen, CloseReason, Decision, OfferOrder, Output, Release, Withdrawal};
use crate::timers::{OfferTimer, Timer};
use crate::{Domain, Fault};

/// Dialogs of one offer whose end is waited for; further ones are ended without.
const DIALOGS_MAX: usize = 16;

/// One offer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Offer {
    pub(crate) call: CallId,
    pub(crate) agent: AgentIx,
    pub(crate) pool: PoolIx,
    pub(crate) made: Timestamp,
    pub(crate) alert_until: Timestamp,
    pub(crate) state: OfferState,
    /// A provisional response was reported.
    pub(crate) provisional: bool,
    /// The dialog that answered first.
    pub(crate) dialog: Option<DialogNo>,
    /// Dialogs that were ended but are not gone.
    pub(crate) ending: Vec<DialogNo>,
    /// The limit of its present state.
    pub(crate) armed: Option<OfferTimer>,
    pub(crate) talk_from: Option<Timestamp>,
    /// It won at some time, so that it counts as a conversation.
    pub(crate) won: bool,
    /// Its phone could not be reached any more.
    #[serde(default)]
    pub(crate) lost: bool,
}

/// Where an offer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum OfferState {
    Inviting,
    Ringing,
    Confirming,
    Connecting,
    Talking,
    Withdrawing(Withdrawal),
    Releasing(CloseReason),
}

impl Domain {
    /// Rings an agent for a call.
    pub(crate) fn make_offer(&mut self, call: CallId, agent: AgentIx, pool: PoolIx) -> OfferNo {
        self.next_offer += 1;
        let number = OfferNo(self.next_offer);
        let alert = seconds(self.pools[pool.0 as usize].conf.alert_time_seconds);
        self.output_offer(number, call, agent, pool);
        let offer = Offer {
            call,
            agent,
            pool,
            made: self.now,
            alert_until: self.now + alert,
            state: OfferState::Inviting,
            provisional: false,
            dialog: None,
            ending: Vec::new(),
            armed: None,
            talk_from: None,
            won: false,
            lost: false,
        };
        let patience = self.now + seconds(self.config.timing.no_provisional_seconds);
        let limit = patience.min(offer.alert_until);
        self.offers.insert(number, offer);
        self.arm(number, Some((OfferTimer::Provisional, limit)));
        let entry = &mut self.agents[agent.0 as usize];
        entry.ring = Some(number);
        entry.counters.offered += 1;
        self.agent_changed(agent);
        number
    }

    fn output_offer(&mut self, number: OfferNo, call: CallId, agent: AgentIx, pool: PoolIx) {
        let call = &self.calls[&call];
        let conf = &self.group(call.group).conf;
        let entry = &self.agents[agent.0 as usize];
        let order = OfferOrder {
            offer: number,
            call: call.id,
            agent: entry.uri.clone(),
            pstn: entry.pstn,
            group: conf.uri.clone(),
            group_name: conf.name.clone(),
            caller: call.caller.clone(),
            labels: call.labels.clone(),
            waited_seconds: whole_seconds(self.now.since(call.arrived)),
            expires_seconds: self.pools[pool.0 as usize].conf.alert_time_seconds + 5,
            hops: call.hops,
        };
        self.outbox.push_back(Output::Offer(order));
    }

    pub(crate) fn offer_progressed(&mut self, number: OfferNo, ringing: bool) {
        let Some(offer) = self.offers.get_mut(&number) else { return self.stale() };
        let first = !std::mem::replace(&mut offer.provisional, true);
        if offer.state == OfferState::Inviting {
            if ringing {
                offer.state = OfferState::Ringing;
            }
            let until = offer.alert_until;
            if first {
                self.arm(number, Some((OfferTimer::Alert, until)));
            }
        }
    }

    /// 181: somebody on the way follows a diversion, so that the phone that rings may be anybody's.
    pub(crate) fn offer_diverting(&mut self, number: OfferNo) {
        let Some(offer) = self.offers.get_mut(&number) else { return self.stale() };
        offer.provisional = true;
        if matches!(offer.state, OfferState::Inviting | OfferState::Ringing) {
            self.withdraw(number, Withdrawal::Diverting);
        }
    }

    pub(crate) fn offer_answered(&mut self, number: OfferNo, dialog: DialogNo, diverted: bool) {
        let Some(offer) = self.offers.get(&number) else {
            self.stale();
            return self.ack_bye(number, dialog, Release::LateAnswer);
        };
        if offer.dialog == Some(dialog) || offer.ending.contains(&dialog) {
            return self.stale();
        }
        match offer.state {
            OfferState::Inviting | OfferState::Ringing => self.first_answer(number, dialog, diverted),
            OfferState::Confirming | OfferState::Connecting | OfferState::Talking => {
                self.end_dialog(number, dialog, Release::SecondAnswer);
            }
            OfferState::Withdrawing(_) if self.has(Fault::DropsLateAnswers) => {}
            OfferState::Withdrawing(_) => {
                self.end_dialog(number, dialog, Release::LateAnswer);
                self.releasing(number, CloseReason::Released(Release::LateAnswer));
            }
            OfferState::Releasing(_) => self.end_dialog(number, dialog, Release::LateAnswer),
        }
    }

    fn first_answer(&mut self, number: OfferNo, dialog: DialogNo, diverted: bool) {
        let pstn_limit = Duration::from_millis(u64::from(self.config.timing.machine_answer_millis));
        let offer = self.offers.get_mut(&number).expect("the caller found it");
        offer.dialog = Some(dialog);
        let pstn = self.agents[offer.agent.0 as usize].pstn;
        if diverted || (pstn && self.now.since(offer.made) < pstn_limit) {
            self.keep_away(number);
            let pause = self.now + seconds(self.config.timing.unreachable_delay_seconds);
            self.cool_down(self.offers[&number].agent, pause);
            return self.release(number, Release::Machine);
        }
        if self.wants_key(number) {
            self.offers.get_mut(&number).expect("the caller found it").state = OfferState::Confirming;
            let limit = self.now + seconds(self.config.timing.confirm_seconds);
            self.arm(number, Some((OfferTimer::Confirm, limit)));
            let language = self.language_of(self.offers[&number].call);
            return self.outbox.push_back(Output::AskConfirm { offer: number, dialog, language });
        }
        self.win(number);
    }

    /// Whether whoever answers must press a key before he has the caller.
    fn wants_key(&self, number: OfferNo) -> bool {
        let offer = &self.offers[&number];
        match self.pools[offer.pool.0 as usize].conf.confirm {
            Confirm::Always => true,
            Confirm::Pstn => self.agents[offer.agent.0 as usize].pstn,
            Confirm::Never => false,
        }
    }

    pub(crate) fn offer_confirmed(&mut self, number: OfferNo, accepted: bool) {
        match self.offers.get(&number) {
            Some(offer) if offer.state == OfferState::Confirming && accepted => self.win(number),
            Some(offer) if offer.state == OfferState::Confirming => self.not_confirmed(number),
            _ => self.stale(),
        }
    }

    /// He answered but does not take it: for the call that is a decline.
    pub(crate) fn not_confirmed(&mut self, number: OfferNo) {
        self.remember_decline(number);
        self.release(number, Release::NotConfirmed);
    }

    /// The offer has its caller: every other one of the call is withdrawn in the same step.
    fn win(&mut self, number: OfferNo) {
        let offer = self.offers.get_mut(&number).expect("the caller found it");
        offer.state = OfferState::Connecting;
        offer.won = true;
        let (call, agent, pool) = (offer.call, offer.agent, offer.pool);
        self.arm(number, None);
        let entry = &mut self.agents[agent.0 as usize];
        entry.ring = None;
        entry.talks.push(number);
        entry.no_answers = 0;
        let uri = entry.uri.clone();
        let position = entry.memberships.iter().find(|member| member.pool == pool).map(|member| member.position);
        let pool = &mut self.pools[pool.0 as usize];
        if pool.conf.round_robin_cursor == Cursor::Answered {
            pool.cursor = position;
        }
        self.decide(Decision::Won { call, offer: number, agent: uri });
        self.agent_changed(agent);
        self.connect(call, number);
    }

    pub(crate) fn offer_refused(&mut self, number: OfferNo, refusal: Refusal) {
        let Some(offer) = self.offers.get(&number) else { return self.stale() };
        match offer.state {
            OfferState::Inviting | OfferState::Ringing => {
                let refusal = match refusal {
                    // Whoever is asked for the key takes nothing by his answer alone.
                    Refusal::HungUp if self.wants_key(number) => Refusal::Declined,
                    refusal => refusal,
                };
                if matches!(refusal, Refusal::Declined | Refusal::HungUp) {
                    self.remember_decline(number);
                }
                if refusal == Refusal::HungUp {
                    self.note_hung_up(number);
                }
                self.cool_down_after(number, refusal);
                self.close(number, close_reason(refusal));
            }
            OfferState::Withdrawing(reason) => self.close(number, CloseReason::Withdrawn(reason)),
            _ => self.stale(),
        }
    }

    /// He does not take the call, which is kept from him for the grace period.
    fn remember_decline(&mut self, number: OfferNo) {
        let offer = &self.offers[&number];
        let pause = self.now + seconds(self.pools[offer.pool.0 as usize].conf.decline_delay_seconds);
        let agent = offer.agent;
        self.agents[agent.0 as usize].counters.declined += 1;
        self.cool_down(agent, pause);
        self.keep_away(number);
    }

    /// The call is kept from this agent for the grace period (B11).
    fn keep_away(&mut self, number: OfferNo) {
        let offer = &self.offers[&number];
        let until = self.now + seconds(self.pools[offer.pool.0 as usize].conf.decline_grace_seconds);
        if let Some(call) = self.calls.get_mut(&offer.call) {
            call.declined.insert(offer.agent, until);
        }
    }

    fn cool_down_after(&mut self, number: OfferNo, refusal: Refusal) {
        let offer = &self.offers[&number];
        let conf = &self.pools[offer.pool.0 as usize].conf;
        let unreachable = self.config.timing.unreachable_delay_seconds;
        let pause = match refusal {
            Refusal::Busy => conf.busy_delay_seconds,
            Refusal::Declined | Refusal::HungUp => conf.decline_delay_seconds,
            Refusal::Unavailable { retry_after_seconds } => unreachable.max(retry_after_seconds.min(3_600)),
            Refusal::Unreachable
            | Refusal::Redirected
            | Refusal::NoRoom
            | Refusal::Failed { .. }
            | Refusal::Cancelled => unreachable,
        };
        self.cool_down(offer.agent, self.now + seconds(pause));
    }

    pub(crate) fn offer_dialog_ended(&mut self, number: OfferNo, dialog: DialogNo) {
        let Some(offer) = self.offers.get_mut(&number) else { return self.stale() };
        offer.ending.retain(|ending| *ending != dialog);
        let of_winner = offer.dialog == Some(dialog);
        if of_winner {
            offer.dialog = None;
        }
        match offer.state {
            OfferState::Confirming if of_winner => {
                self.remember_decline(number);
                self.close_unless_ending(number, CloseReason::Declined);
            }
            OfferState::Connecting if of_winner => {
                self.close_unless_ending(number, CloseReason::Released(Release::BridgeFailed));
            }
            OfferState::Talking if of_winner => {
                let lost = offer.lost;
                self.close_unless_ending(number, if lost { CloseReason::Lost } else { CloseReason::Won });
            }
            OfferState::Releasing(reason) => self.close_unless_ending(number, reason),
            _ => {}
        }
    }

    /// Nobody hung up: his phone was not there any more.
    pub(crate) fn offer_lost(&mut self, number: OfferNo) {
        match self.offers.get_mut(&number).filter(|offer| offer.state == OfferState::Talking) {
            Some(offer) => offer.lost = true,
            None => self.stale(),
        }
    }

    /// Closes the offer, or waits for a second device that is still being told.
    fn close_unless_ending(&mut self, number: OfferNo, reason: CloseReason) {
        let offer = &self.offers[&number];
        if offer.dialog.is_none() && offer.ending.is_empty() {
            return self.close(number, reason);
        }
        if !matches!(offer.state, OfferState::Releasing(_)) {
            self.releasing(number, reason);
        }
    }

    /// Stops the ringing. The agent stays the offer's until its final response (B23).
    pub(crate) fn withdraw(&mut self, number: OfferNo, reason: Withdrawal) {
        let offer = self.offers.get_mut(&number).expect("only open offers are withdrawn");
        offer.state = OfferState::Withdrawing(reason);
        let (agent, call) = (offer.agent, offer.call);
        let cancel = if offer.provisional { CancelWhen::Now } else { CancelWhen::AfterProvisional };
        self.outbox.push_back(Output::Withdraw { offer: number, reason, cancel });
        self.guard(number);
        // It can win no more. It never did, so that there is no conversation to be charged.
        self.lost_offer(call, number);
        if self.has(Fault::FreesAtWithdrawal) {
            self.agents[agent.0 as usize].ring = None;
        }
        self.agent_changed(agent);
    }

    /// Ends the dialog that answered, and with it the offer.
    pub(crate) fn release(&mut self, number: OfferNo, reason: Release) {
        let offer = self.offers.get_mut(&number).expect("only open offers are released");
        let closed = match offer.state {
            OfferState::Talking => CloseReason::Won,
            _ => CloseReason::Released(reason),
        };
        if let Some(dialog) = offer.dialog.take() {
            self.end_dialog(number, dialog, reason);
        }
        self.releasing(number, closed);
    }

    fn releasing(&mut self, number: OfferNo, reason: CloseReason) {
        let offer = self.offers.get_mut(&number).expect("only open offers are released");
        offer.state = OfferState::Releasing(reason);
        let (agent, call) = (offer.agent, offer.call);
        self.guard(number);
        self.stop_talking(number);
        self.lost_offer(call, number);
        self.agent_changed(agent);
    }

    fn end_dialog(&mut self, number: OfferNo, dialog: DialogNo, reason: Release) {
        if let Some(offer) = self.offers.get_mut(&number).filter(|offer| offer.ending.len() < DIALOGS_MAX) {
            offer.ending.push(dialog);
        }
        self.ack_bye(number, dialog, reason);
    }

    pub(crate) fn ack_bye(&mut self, offer: OfferNo, dialog: DialogNo, reason: Release) {
        self.outbox.push_back(Output::AckBye { offer, dialog, reason });
    }

    /// Bounds the ending of an offer (I4, I9).
    pub(crate) fn guard(&mut self, number: OfferNo) {
        let limit = Duration::from_millis(u64::from(self.config.timing.t1_millis)) * 64;
        self.arm(number, Some((OfferTimer::Guard, self.now + limit)));
    }

    /// Sets the one limit an offer has at a time, instead of the one it had.
    pub(crate) fn arm(&mut self, number: OfferNo, limit: Option<(OfferTimer, Timestamp)>) {
        let offer = self.offers.get_mut(&number).expect("only open offers have limits");
        if let Some(old) = std::mem::replace(&mut offer.armed, limit.map(|(timer, _)| timer)) {
            self.timers.clear(Timer::Offer(number, old));
        }
        if let Some((timer, at)) = limit {
            self.timers.set(Timer::Offer(number, timer), at);
        }
    }

    /// Charges the conversation to the agent, until his leg ends and not longer (I19).
    fn stop_talking(&mut self, number: OfferNo) {
        let offer = self.offers.get_mut(&number).expect("the caller found it");
        let Some(from) = offer.talk_from.take() else { return };
        let length = self.now.since(from);
        let micros = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        self.agents[offer.agent.0 as usize].counters.talk_micros += micros;
        let group = self.pools[offer.pool.0 as usize].group;
        self.groups[group.0 as usize].handled(length);
    }

    /// Nothing of the offer is left: the agent is his own again, after the pauses that are due.
    pub(crate) fn close(&mut self, number: OfferNo, reason: CloseReason) {
        self.arm(number, None);
        self.stop_talking(number);
        let offer = self.offers.remove(&number).expect("only open offers are closed");
        let entry = &mut self.agents[offer.agent.0 as usize];
        if entry.ring == Some(number) {
            entry.ring = None;
        }
        entry.talks.retain(|talk| *talk != number);
        let agent = entry.uri.clone();
        self.decide(Decision::OfferClosed { call: offer.call, offer: number, agent, reason });
        match reason {
            CloseReason::Won if offer.won => self.wrap_up(offer.agent, offer.pool),
            // He talked until he was lost; there is nothing for him to wrap up.
            CloseReason::Lost => self.agents[offer.agent.0 as usize].idle_since = self.now,
            _ => {}
        }
        self.agent_changed(offer.agent);
        self.lost_offer(offer.call, number);
    }

    pub(crate) fn offer_timer(&mut self, number: OfferNo, timer: OfferTimer) {
        match timer {
            OfferTimer::Alert => {
                self.let_ring_out(number);
                self.withdraw(number, Withdrawal::Alert);
            }
            OfferTimer::Provisional => {
                let agent = self.offers[&number].agent;
                self.cool_down(agent, self.now + seconds(self.config.timing.unreachable_delay_seconds));
                self.withdraw(number, Withdrawal::NoProvisional);
            }
            OfferTimer::Confirm => self.not_confirmed(number),
            OfferTimer::Talk => self.release(number, Release::TalkLimit),
            OfferTimer::Guard => {
                let agent = self.offers[&number].agent;
                self.cool_down(agent, self.now + seconds(self.config.timing.unreachable_delay_seconds));
                let reason = match self.offers[&number].state {
                    OfferState::Withdrawing(reason) => CloseReason::Withdrawn(reason),
                    OfferState::Releasing(reason) => reason,
                    _ => CloseReason::Unreachable,
                };
                self.close(number, reason);
            }
        }
    }

    /// Counts an alert that rang out; after some in a row the agent is paused, visibly and for a time (B12).
    fn let_ring_out(&mut self, number: OfferNo) {
        let offer = &self.offers[&number];
        let (agent, conf) = (offer.agent, &self.pools[offer.pool.0 as usize].conf);
        let (limit, pause) = (conf.pause_after_no_answers, conf.pause_seconds);
        let entry = &mut self.agents[agent.0 as usize];
        entry.counters.not_answered += 1;
        entry.no_answers += 1;
        if limit.is_some_and(|limit| entry.no_answers >= limit) {
            entry.no_answers = 0;
            self.pause(agent, self.now + seconds(pause));
        }
    }
}

fn close_reason(refusal: Refusal) -> CloseReason {
    match refusal {
        Refusal::Busy => CloseReason::Busy,
        Refusal::Declined => CloseReason::Declined,
        Refusal::HungUp => CloseReason::HungUp,
        Refusal::Redirected => CloseReason::Redirected,
        Refusal::Unreachable => CloseReason::Unreachable,
        Refusal::NoRoom => CloseReason::NoRoom,
        Refusal::Unavailable { .. } => CloseReason::Failed(503),
        Refusal::Cancelled => CloseReason::Failed(487),
        Refusal::Failed { status } => CloseReason::Failed(status),
    }
}

pub(crate) fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}

/// Whole seconds of a length; the largest number for one that does not fit.
pub(crate) fn whole_seconds(length: Duration) -> u32 {
    u32::try_from(length.as_secs()).unwrap_or(u32::MAX)
}
