//! From an agent's acceptance to the end of the call.

use base::CallId;

use crate::Domain;
use crate::call::{Before, Disposition, Phase, Step};
use crate::config::{Action, AnswerMode};
use crate::input::{OfferNo, SupervisorCommand};
use crate::offer::{OfferState, seconds};
use crate::output::{
    CallRecord, Decision, Failure, HistoryEntry, HistoryKind, Outcome, Output, QueueResult, Release, Segment,
    SegmentKind, Sound, WallboardEvent, Withdrawal,
};
use crate::queueing::last_words;
use crate::timers::{CallTimer, OfferTimer, Timer};

impl Domain {
    /// An offer won: the others of the call are withdrawn, the media are joined. The caller keeps his place (B25).
    pub(crate) fn connect(&mut self, id: CallId, winner: OfferNo) {
        let limit = self.now + seconds(self.config.timing.bridge_seconds);
        let call = self.calls.get_mut(&id).expect("an offer that can win has its call");
        call.phase = Phase::Connecting(winner);
        call.overtime = false;
        call.offers.retain(|offer| *offer != winner);
        for timer in [CallTimer::Queue, CallTimer::Retry, CallTimer::Announce] {
            self.timers.clear(Timer::Call(id, timer));
        }
        self.timers.set(Timer::Call(id, CallTimer::Bridge), limit);
        self.drop_offers(id, Withdrawal::LostRace);
        self.place_among_hungry(id);
        self.answer_late(id);
        self.bridge(id, winner);
    }

    /// The caller's 200, where it was put off until an agent is there.
    pub(crate) fn answer_late(&mut self, id: CallId) {
        let call = self.calls.get_mut(&id).expect("only calls in hand are answered");
        if !call.answered {
            call.answered = true;
            self.outbox.push_back(Output::AnswerCaller { call: id, mode: AnswerMode::Immediate });
        }
    }

    fn bridge(&mut self, id: CallId, offer: OfferNo) {
        let Some(dialog) = self.offers.get(&offer).and_then(|offer| offer.dialog) else { return };
        let anonymous = self.group(self.calls[&id].group).conf.anonymous;
        self.outbox.push_back(Output::Bridge { call: id, offer, dialog, anonymous });
    }

    /// Ends every offer that might still win.
    pub(crate) fn drop_offers(&mut self, id: CallId, why: Withdrawal) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        // The one who drops them decides what becomes of the call, not a time-out that waited for them.
        call.overtime = false;
        let offers = std::mem::take(&mut call.offers);
        for number in offers {
            self.drop_offer(number, why);
        }
    }

    pub(crate) fn drop_offer(&mut self, number: OfferNo, why: Withdrawal) {
        match self.offers[&number].state {
            OfferState::Inviting | OfferState::Ringing => self.withdraw(number, why),
            OfferState::Confirming | OfferState::Connecting | OfferState::Talking => {
                let reason = if why == Withdrawal::LostRace { Release::LostRace } else { Release::CallerGone };
                self.release(number, reason);
            }
            OfferState::Withdrawing(_) | OfferState::Releasing(_) => {}
        }
    }

    pub(crate) fn bridged(&mut self, id: CallId, unconfirmed: bool) {
        let Some(call) = self.calls.get_mut(&id) else { return self.stale() };
        let Phase::Connecting(number) = call.phase else { return self.stale() };
        call.phase = Phase::Connected(number);
        let offer = self.offers.get_mut(&number).expect("a call that connects has its offer");
        offer.state = OfferState::Talking;
        offer.talk_from = Some(self.now);
        call.hops = 0;
        call.offered.insert(offer.agent, true);
        call.talks_with = Some(offer.agent);
        let agent = offer.agent;
        let (group, key) = (call.group, call.key);
        self.agents[agent.0 as usize].counters.answered += 1;
        self.timers.clear(Timer::Call(id, CallTimer::Bridge));
        let limit = self.now + seconds(self.config.timing.talk_seconds);
        self.arm(number, Some((OfferTimer::Talk, limit)));
        let target = seconds(self.group(group).conf.target_seconds);
        let waited = key.map(|key| self.now.since(key.queued)).unwrap_or_default();
        let result = if waited <= target { QueueResult::AnsweredInTarget } else { QueueResult::AnsweredLate };
        if self.calls[&id].in_line {
            if unconfirmed {
                self.count_later(id, result);
            }
            self.leave_line(id, result, Outcome::Answered);
        }
        self.groups[group.0 as usize].talking += 1;
    }

    /// Whoever's phone never acknowledges the 200 was not answered: that he was is counted when it does, or when his call ends
    /// and nobody complains.
    fn count_later(&mut self, id: CallId, result: QueueResult) {
        self.count_answer(id, true);
        let call = self.calls.get_mut(&id).expect("only calls in hand are counted");
        if !std::mem::replace(&mut call.counted, true) {
            call.unconfirmed = Some((call.group, result));
        }
    }

    /// Counts what was put off, as what it seemed to be where the caller was there.
    pub(crate) fn count_answer(&mut self, id: CallId, was_there: bool) {
        let Some((group, result)) = self.calls.get_mut(&id).and_then(|call| call.unconfirmed.take()) else { return };
        self.groups[group.0 as usize].count(if was_there { result } else { QueueResult::Other });
    }

    pub(crate) fn caller_confirmed(&mut self, id: CallId) {
        match self.calls.get(&id).is_some_and(|call| call.unconfirmed.is_some()) {
            true => self.count_answer(id, true),
            false => self.stale(),
        }
    }

    /// The caller goes back to the head of the line, with his old place, and is offered at once (B2).
    pub(crate) fn bridge_failed(&mut self, id: CallId) {
        match self.calls.get(&id).map(|call| call.phase.clone()) {
            Some(Phase::Connecting(number)) => self.release(number, Release::BridgeFailed),
            _ => self.stale(),
        }
    }

    /// An offer of the call can no longer win, or its conversation ended.
    pub(crate) fn lost_offer(&mut self, id: CallId, number: OfferNo) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.offers.retain(|offer| *offer != number);
        match &mut call.phase {
            Phase::Queued if call.overtime && call.offers.is_empty() => self.time_out(id),
            Phase::Queued => {
                // Only a call without live offers begins a new round.
                self.wake_call(id);
            }
            Phase::Connecting(winner) if *winner == number => {
                self.outbox.push_back(Output::Unbridge { call: id, offer: number });
                self.wait_again(id);
            }
            Phase::Connected(winner) if *winner == number => self.end_call(id, Outcome::Answered, true),
            Phase::Forwarding { agent, .. } if *agent == Some(number) => *agent = None,
            _ => {}
        }
    }

    /// An agent answered and hung up before he could be given the caller, who waits on: in the record a conversation of no
    /// length, unless he has one there.
    pub(crate) fn note_hung_up(&mut self, number: OfferNo) {
        let (now, offer) = (self.now, &self.offers[&number]);
        let agent = self.agents[offer.agent.0 as usize].uri.clone();
        let Some(call) = self.calls.get_mut(&offer.call).filter(|call| !call.has_talk_of(&agent)) else { return };
        let group = self.groups[call.group.0 as usize].conf.uri.clone();
        call.end_segment(now, SegmentKind::Queue { group }, Outcome::Answered);
        let kind = SegmentKind::Talk { agent };
        call.segments.push(Segment { kind, from: now, to: now, outcome: Outcome::Answered });
    }

    /// Waits with the place he had; when he was connected already he enters the line with it again.
    pub(crate) fn wait_again(&mut self, id: CallId) {
        self.timers.clear(Timer::Call(id, CallTimer::Bridge));
        self.timers.clear(Timer::Call(id, CallTimer::Forward));
        let call = self.calls.get_mut(&id).expect("only calls in hand wait");
        call.phase = Phase::Queued;
        call.overtime = false;
        let key = call.key.expect("a call that was connected has waited");
        if !call.in_line {
            call.in_line = true;
            let group = &mut self.groups[call.group.0 as usize];
            group.line.insert(key);
            call.deadline = group.conf.queue.timeout_seconds.map(|timeout| self.now + seconds(timeout));
            let event = WallboardEvent::Queued { group: group.conf.uri.clone(), waiting: group.waiting() };
            self.outbox.push_back(Output::Wallboard(event));
        }
        let name = self.group(self.calls[&id].group).conf.music.clone();
        self.outbox.push_back(Output::Sound { call: id, sound: Sound::Music { name } });
        self.arm_waiting(id);
        self.place_among_hungry(id);
        self.wake_call(id);
    }

    /// Closes the segment of a conversation, once.
    pub(crate) fn end_talk(&mut self, id: CallId, outcome: Outcome) {
        let now = self.now;
        let call = self.calls.get_mut(&id).expect("only calls in hand talk");
        let Some(agent) = call.talks_with.take() else { return };
        let group = &mut self.groups[call.group.0 as usize];
        group.talking = group.talking.saturating_sub(1);
        let agent = self.agents[agent.0 as usize].uri.clone();
        call.end_segment(now, SegmentKind::Talk { agent }, outcome);
    }

    /// The caller is gone: of himself, or because of a failure, so that what he had was no service to him.
    pub(crate) fn caller_left(&mut self, id: CallId, failure: Option<Failure>) {
        let Some(call) = self.calls.get(&id) else { return self.stale() };
        let outcome = match call.phase.clone() {
            Phase::Connected(_) => Outcome::Answered,
            Phase::Forwarding { outcome, .. } | Phase::Reattaching(Before::Forwarding { outcome, .. }) => {
                self.close_last_segment(id, Outcome::Abandoned);
                outcome
            }
            Phase::Greeting(Step::Parting { why, .. }) => why.outcome(None),
            Phase::Reattaching(Before::Connected(_)) => Outcome::Answered,
            // He was served once, and gave up only the rest.
            _ if call.offered.values().any(|talked| *talked) => {
                self.leave_line(id, QueueResult::Abandoned, Outcome::Abandoned);
                self.close_last_segment(id, Outcome::Abandoned);
                Outcome::Answered
            }
            _ => Outcome::Abandoned,
        };
        let outcome = match (outcome, failure) {
            (Outcome::Answered | Outcome::Abandoned, Some(why)) => Outcome::Failed { why },
            (outcome, _) => outcome,
        };
        self.end_call(id, outcome, false);
    }

    /// The end of a call; where `disconnect` says so the caller's leg is ended too, and he is told why.
    pub(crate) fn end_call(&mut self, id: CallId, outcome: Outcome, disconnect: bool) {
        if disconnect {
            let words = last_words(&outcome).map(str::to_owned);
            self.end_call_saying(id, outcome, words);
        } else {
            self.finish_call(id, outcome, None);
        }
    }

    /// Ends the caller's leg too, with these words.
    pub(crate) fn end_call_saying(&mut self, id: CallId, outcome: Outcome, prompt: Option<String>) {
        let language = self.language_of(id);
        let farewell = Output::Disconnect { call: id, outcome: outcome.clone(), prompt, language };
        self.finish_call(id, outcome, Some(farewell));
    }

    /// One outcome, one record, one history entry for each agent who was offered it (I7, I8).
    fn finish_call(&mut self, id: CallId, outcome: Outcome, farewell: Option<Output>) {
        let result = if outcome == Outcome::Abandoned { QueueResult::Abandoned } else { QueueResult::Other };
        self.leave_line(id, result, outcome.clone());
        self.close_last_segment(id, outcome.clone());
        self.count_answer(id, !matches!(outcome, Outcome::Failed { .. }));
        for timer in [CallTimer::Step, CallTimer::Bridge, CallTimer::Forward, CallTimer::Reattach] {
            self.timers.clear(Timer::Call(id, timer));
        }
        let call = self.calls.remove(&id).expect("only calls in hand end");
        self.decide(Decision::Ended { call: id, outcome: outcome.clone() });
        for leg in &call.monitors {
            self.outbox.push_back(Output::Monitor { call: id, leg: *leg, mode: None });
        }
        if let Some(offer) = call.phase.bridged() {
            self.outbox.push_back(Output::Unbridge { call: id, offer });
        }
        if let Some(agent) = call.phase.agent().filter(|agent| self.offers.contains_key(agent)) {
            self.drop_offer(agent, Withdrawal::CallerGone);
        }
        for number in &call.offers {
            self.drop_offer(*number, Withdrawal::CallerGone);
        }
        self.outbox.extend(farewell);
        let answered = call.offered.values().any(|talked| *talked);
        for (agent, talked) in &call.offered {
            let agent = self.agents[agent.0 as usize].uri.clone();
            let kind = match outcome {
                _ if *talked || call.has_talk_of(&agent) => HistoryKind::GroupCallAnsweredByYou,
                _ if answered => HistoryKind::GroupCallAnsweredByOther,
                Outcome::Abandoned => HistoryKind::GroupCallAbandoned,
                _ => HistoryKind::GroupCallNotAnswered,
            };
            self.outbox.push_back(Output::History(HistoryEntry {
                call: id,
                agent,
                group: call.called.clone(),
                caller: call.caller.clone(),
                kind,
                arrived: call.arrived,
            }));
        }
        self.outbox.push_back(Output::Cdr(CallRecord {
            call: id,
            reference: call.reference,
            group: call.called,
            caller: call.caller,
            arrived: call.arrived,
            ended: self.now,
            outcome,
            segments: call.segments,
        }));
    }

    /// What the caller did last goes into the record too, so that segments make up the whole call (I19).
    pub(crate) fn close_last_segment(&mut self, id: CallId, outcome: Outcome) {
        let now = self.now;
        let group = self.group(self.calls[&id].group).conf.uri.clone();
        let call = self.calls.get_mut(&id).expect("only calls in hand end");
        match call.phase.clone() {
            Phase::Greeting(_) | Phase::Reattaching(Before::Greeting(_)) => {
                call.end_segment(now, SegmentKind::Greeting { group }, outcome);
            }
            Phase::Queued | Phase::Connecting(_) | Phase::Reattaching(Before::Waiting) => {
                call.end_segment(now, SegmentKind::Queue { group }, outcome);
            }
            Phase::Connected(_) | Phase::Reattaching(Before::Connected(_)) => self.end_talk(id, outcome),
            Phase::Forwarding { target, .. } | Phase::Reattaching(Before::Forwarding { target, .. }) => {
                call.end_segment(now, SegmentKind::Forward { target }, outcome);
            }
        }
    }

    pub(crate) fn forward_ended(&mut self, id: CallId, connected: bool) {
        let Some(call) = self.calls.get(&id) else { return self.stale() };
        let Phase::Forwarding { outcome, agent, back, .. } = call.phase.clone() else { return self.stale() };
        self.timers.clear(Timer::Call(id, CallTimer::Forward));
        let part = if connected { Outcome::Answered } else { Outcome::Failed { why: Failure::ForwardFailed } };
        self.close_last_segment(id, part);
        if connected {
            return self.end_call(id, outcome, false);
        }
        match agent.filter(|agent| self.offers.contains_key(agent)) {
            Some(agent) => self.return_to(id, agent),
            None if back => self.wait_again(id),
            None => self.fail_call(id, Failure::ForwardFailed),
        }
    }

    /// The agent who transferred is still there: he gets the caller back.
    fn return_to(&mut self, id: CallId, agent: OfferNo) {
        let limit = self.now + seconds(self.config.timing.bridge_seconds);
        self.timers.set(Timer::Call(id, CallTimer::Bridge), limit);
        self.arm(agent, None);
        self.offers.get_mut(&agent).expect("just found").state = OfferState::Connecting;
        self.calls.get_mut(&id).expect("just found").phase = Phase::Connecting(agent);
        self.bridge(id, agent);
    }

    pub(crate) fn agent_transferred(&mut self, number: OfferNo, target: Action) {
        let call = self.offers.get(&number).filter(|offer| offer.state == OfferState::Talking).map(|offer| offer.call);
        let connected = |id: &CallId| self.calls.get(id).is_some_and(|call| call.phase == Phase::Connected(number));
        let Some(id) = call.filter(connected) else { return self.stale() };
        self.part_from_agent(id, number);
        match target {
            // The agent waits for the target to answer; should it fail he may have the caller back.
            Action::Forward { target } => self.forward(id, target, Disposition::Transfer, Some(number)),
            target => {
                self.send_on(id, Some(number), target);
            }
        }
    }

    fn part_from_agent(&mut self, id: CallId, number: OfferNo) {
        self.end_talk(id, Outcome::Transferred { target: None });
        self.outbox.push_back(Output::Unbridge { call: id, offer: number });
        self.stop_monitors(id);
    }

    /// Releases the agent, if there is one, and sends the caller elsewhere.
    fn send_on(&mut self, id: CallId, agent: Option<OfferNo>, target: Action) {
        let call = self.calls.get_mut(&id).expect("only calls in hand are sent on");
        // The call no longer belongs to the agent's leg, so that its end is not the call's.
        call.phase = Phase::Queued;
        if let Some(agent) = agent {
            self.drop_offer(agent, Withdrawal::CallerGone);
        }
        self.drop_offers(id, Withdrawal::CallerGone);
        self.dispose(id, Disposition::Transfer, target.into());
    }

    pub(crate) fn supervise(&mut self, id: CallId, command: SupervisorCommand) {
        let Some(call) = self.calls.get_mut(&id) else {
            // He leaves because it has.
            if !matches!(command, SupervisorCommand::Leave { .. }) {
                self.refuse_supervisor(id, "the call has ended");
            }
            return;
        };
        match (command, call.phase.clone()) {
            (SupervisorCommand::Monitor { leg, mode, .. }, Phase::Connected(_)) => {
                if !call.monitors.contains(&leg) {
                    call.monitors.push(leg);
                }
                self.outbox.push_back(Output::Monitor { call: id, leg, mode: Some(mode) });
            }
            (SupervisorCommand::Monitor { .. }, _) => self.refuse_supervisor(id, "the caller is not connected"),
            (SupervisorCommand::Leave { leg }, _) if call.monitors.contains(&leg) => {
                call.monitors.retain(|other| *other != leg);
                self.outbox.push_back(Output::Monitor { call: id, leg, mode: None });
            }
            // He was sent away, or never came so far.
            (SupervisorCommand::Leave { .. }, _) => {}
            (SupervisorCommand::Transfer { target }, Phase::Connected(agent)) => {
                self.part_from_agent(id, agent);
                self.send_on(id, Some(agent), target);
            }
            (SupervisorCommand::Transfer { target }, Phase::Queued) => self.send_on(id, None, target),
            (SupervisorCommand::Transfer { .. }, _) => {
                self.refuse_supervisor(id, "the caller neither waits nor talks");
            }
        }
    }

    fn stop_monitors(&mut self, id: CallId) {
        let call = self.calls.get_mut(&id).expect("only calls in hand are supervised");
        for leg in std::mem::take(&mut call.monitors) {
            self.outbox.push_back(Output::Monitor { call: id, leg, mode: None });
        }
    }

    fn refuse_supervisor(&mut self, call: CallId, why: &str) {
        self.outbox.push_back(Output::SupervisorRefused { call, why: why.to_owned() });
    }

    pub(crate) fn caller_digit(&mut self, id: CallId, digit: char) {
        let Some(call) = self.calls.get(&id) else { return self.stale() };
        match call.phase.clone() {
            Phase::Greeting(step) => self.greeting_digit(id, step, digit),
            Phase::Queued => {
                let exit = self.group(call.group).conf.exit_key.clone();
                let Some(exit) = exit.filter(|exit| exit.digit == digit) else { return };
                self.drop_offers(id, Withdrawal::CallerGone);
                self.dispose(id, Disposition::Exit, exit.action);
            }
            _ => {}
        }
    }

    pub(crate) fn announcement_ended(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return self.stale() };
        match call.phase.clone() {
            Phase::Greeting(step) => self.step_ended(id, step),
            Phase::Queued => {
                let name = self.group(call.group).conf.music.clone();
                self.outbox.push_back(Output::Sound { call: id, sound: Sound::Music { name } });
            }
            _ => self.stale(),
        }
    }

    pub(crate) fn call_timer(&mut self, id: CallId, timer: CallTimer) {
        match timer {
            CallTimer::Step => self.step_timer(id),
            CallTimer::Queue => self.queue_timer(id),
            CallTimer::Retry => self.next_pass(id),
            CallTimer::Announce => self.announce_timer(id),
            CallTimer::Bridge => self.bridge_failed(id),
            CallTimer::Forward => self.forward_ended(id, false),
            CallTimer::Reattach => self.reattach_timer(id),
        }
    }
}

impl Phase {
    /// The offer whose media the caller's are joined with, or about to be.
    fn bridged(&self) -> Option<OfferNo> {
        match self {
            Self::Connecting(offer) | Self::Connected(offer) | Self::Reattaching(Before::Connected(offer)) => {
                Some(*offer)
            }
            _ => None,
        }
    }

    /// The offer that won the call, while its agent's leg belongs to it.
    pub(crate) fn agent(&self) -> Option<OfferNo> {
        match self {
            Self::Forwarding { agent, .. } => *agent,
            phase => phase.bridged(),
        }
    }
}
