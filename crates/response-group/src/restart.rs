//! After a restart: what the journal says was under way is ended or attached again (routing.md 3.7).
//!
//! A response may have been lost while the process was down, so nothing is waited for without a limit: every offer is
//! cancelled once, unconditionally, and guarded for 64 times T1; every caller's media must be back within seconds, or
//! within a minute where a phone has to register anew first.

use base::CallId;

use crate::call::{Before, Phase};
use crate::input::OfferNo;
use crate::offer::{OfferState, seconds};
use crate::output::{CancelWhen, Failure, Outcome, Output, Release, Withdrawal};
use crate::timers::{CallTimer, OfferTimer, Timer};
use crate::{Domain, Fault};

impl Domain {
    pub(crate) fn restarted(&mut self) {
        for agent in &mut self.agents {
            // What was outside the groups did not survive either.
            (agent.external_calls, agent.unanswered) = (0, None);
        }
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for id in calls {
            self.call_after_restart(id);
        }
        let offers: Vec<OfferNo> = self.offers.keys().copied().collect();
        for number in offers {
            self.offer_after_restart(number);
        }
        for agent in 0..self.agents.len() {
            self.agent_changed(crate::agent::AgentIx(u32::try_from(agent).expect("agents are numbered in 32 bits")));
        }
    }

    fn call_after_restart(&mut self, id: CallId) {
        let call = self.calls.get_mut(&id).expect("taken from the table");
        call.monitors.clear();
        call.back = false;
        let joining = match call.phase {
            Phase::Connecting(offer) => Some(offer),
            _ => None,
        };
        if let Some(offer) = joining {
            self.outbox.push_back(Output::Unbridge { call: id, offer });
        }
        let before = match call.phase.clone() {
            Phase::Greeting(step) => Before::Greeting(step),
            Phase::Queued | Phase::Connecting(_) => Before::Waiting,
            Phase::Connected(offer) => Before::Connected(offer),
            Phase::Reattaching(before) => before,
            // The target's phones are silenced, and rung anew when the caller is back. The agent who sent him there has lost
            // sight of both.
            Phase::Forwarding { target, outcome, back, .. } => Before::Forwarding { target, outcome, back },
        };
        let agent = match before {
            Before::Connected(offer) => self.offers.get(&offer).and_then(|entry| Some((offer, entry.dialog?))),
            _ => None,
        };
        // Whoever's phone was cut off by the restart had no turn.
        for offer in call.offers.drain(..).chain(joining) {
            call.tried.remove(self.offers[&offer].agent);
        }
        call.phase = Phase::Reattaching(before);
        call.overtime = false;
        use CallTimer::{Announce, Bridge, Forward, Queue, Retry, Step};
        for timer in [Step, Queue, Retry, Announce, Bridge, Forward] {
            self.timers.clear(Timer::Call(id, timer));
        }
        self.place_among_hungry(id);
        let limit = self.now + seconds(self.config.timing.reattach_seconds);
        self.timers.set(Timer::Call(id, CallTimer::Reattach), limit);
        self.outbox.push_back(Output::Reattach { call: id, agent });
    }

    fn offer_after_restart(&mut self, number: OfferNo) {
        let Some(offer) = self.offers.get_mut(&number) else { return };
        match offer.state {
            OfferState::Inviting | OfferState::Ringing | OfferState::Withdrawing(_) => {
                let reason = Withdrawal::Restart;
                offer.state = OfferState::Withdrawing(reason);
                let cancel = CancelWhen::Unconditional;
                self.outbox.push_back(Output::Withdraw { offer: number, reason, cancel });
                self.guard_after_restart(number);
            }
            OfferState::Confirming | OfferState::Connecting => {
                self.release(number, Release::Restart);
                self.guard_after_restart(number);
            }
            OfferState::Releasing(_) => {
                for dialog in offer.ending.clone() {
                    self.ack_bye(number, dialog, Release::Restart);
                }
                self.guard_after_restart(number);
            }
            OfferState::Talking => {
                let call = self.calls.get(&offer.call);
                if call.is_none_or(|call| call.phase.agent() != Some(number)) {
                    self.release(number, Release::Restart);
                }
            }
        }
    }

    /// The server ends in order: every caller has his outcome, every phone its end.
    pub(crate) fn stopping(&mut self) {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for id in calls {
            let outcome = match &self.calls[&id].phase {
                Phase::Connected(_) | Phase::Reattaching(Before::Connected(_)) => Outcome::Answered,
                Phase::Forwarding { outcome, .. } | Phase::Reattaching(Before::Forwarding { outcome, .. }) => {
                    outcome.clone()
                }
                _ => Outcome::Failed { why: Failure::Stopping },
            };
            self.drop_offers(id, Withdrawal::CallerGone);
            self.close_last_segment(id, Outcome::Failed { why: Failure::Stopping });
            self.end_call(id, outcome, true);
        }
    }

    fn guard_after_restart(&mut self, number: OfferNo) {
        let limit = self.now + seconds(self.config.timing.restart_guard_seconds);
        let guard = Some((OfferTimer::Guard, limit)).filter(|_| !self.has(Fault::NoRestartGuard));
        self.arm(number, guard);
    }

    /// Should his agent not come back in time, he is not lost with him.
    pub(crate) fn caller_back(&mut self, id: CallId) {
        match self.calls.get_mut(&id).filter(|call| matches!(call.phase, Phase::Reattaching(_))) {
            Some(call) => call.back = true,
            None => self.stale(),
        }
    }

    /// A phone of the call cannot be reached before it registers anew, which takes longer than an answer.
    pub(crate) fn phones_awaited(&mut self, id: CallId) {
        match self.calls.get(&id).filter(|call| matches!(call.phase, Phase::Reattaching(_))) {
            Some(_) => {
                let limit = self.now + seconds(self.config.timing.awaited_seconds);
                self.timers.set(Timer::Call(id, CallTimer::Reattach), limit);
            }
            None => self.stale(),
        }
    }

    /// The time in which the media of a call must be here again is over.
    pub(crate) fn reattach_timer(&mut self, id: CallId) {
        let caller = self.calls.get(&id).is_some_and(|call| call.back);
        self.reattached(id, caller, false);
    }

    /// The media of a call are here again, or not: the caller keeps his place or his agent, or has a named outcome.
    pub(crate) fn reattached(&mut self, id: CallId, caller: bool, agent: bool) {
        let Some(Phase::Reattaching(before)) = self.calls.get(&id).map(|call| call.phase.clone()) else {
            return self.stale();
        };
        self.timers.clear(Timer::Call(id, CallTimer::Reattach));
        if !caller {
            return self.fail_call(id, Failure::Restart);
        }
        self.count_answer(id, true);
        match before {
            Before::Greeting(step) => self.step_again(id, step),
            Before::Waiting => self.wait_again(id),
            Before::Connected(offer) if agent && self.is_talking(offer) => {
                self.calls.get_mut(&id).expect("just found").phase = Phase::Connected(offer);
            }
            Before::Connected(offer) => self.lose_agent(id, offer),
            Before::Forwarding { target, outcome, back } => self.ring_target(id, target, outcome, back, None),
        }
    }

    fn is_talking(&self, offer: OfferNo) -> bool {
        self.offers.get(&offer).is_some_and(|offer| offer.state == OfferState::Talking)
    }

    /// Only the caller came back: he is served again, at the head of the line.
    fn lose_agent(&mut self, id: CallId, offer: OfferNo) {
        self.end_talk(id, Outcome::Failed { why: Failure::Restart });
        self.outbox.push_back(Output::Unbridge { call: id, offer });
        self.wait_again(id);
        if self.is_talking(offer) {
            self.release(offer, Release::Restart);
        }
    }
}
