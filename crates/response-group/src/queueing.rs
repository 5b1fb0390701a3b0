//! Waiting: entering the line, overflow, time-out, nobody there, announcements.

use base::{CallId, Timestamp, UserUri};

use crate::Domain;
use crate::call::{Disposition, Phase, Step};
use crate::config::{Action, AnswerMode, Deadline, Disposal, NoAgentScope, OverflowCandidate};
use crate::group::{CallKey, GroupIx, PoolIx};
use crate::input::OfferNo;
use crate::offer::{OfferState, seconds};
use crate::output::{
    Announcement, Decision, Failure, Outcome, Output, QueueResult, SegmentKind, Sound, WallboardEvent, Withdrawal,
};
use crate::timers::{CallTimer, Timer};

impl Domain {
    /// The caller begins to wait at his group, if there is somebody to wait for and room to wait.
    pub(crate) fn enqueue(&mut self, id: CallId) {
        self.timers.clear(Timer::Call(id, CallTimer::Step));
        let group = self.calls[&id].group;
        let all = self.group(group).pools.clone();
        let call = self.calls.get_mut(&id).expect("only calls in hand queue");
        if call.pools.is_empty() {
            call.pools = all;
        }
        if let Some(disposal) = self.disposal_without_agents(id) {
            return self.dispose(id, Disposition::NoAgent, disposal);
        }
        if !self.make_room(id, group) {
            return;
        }
        self.join_line(id, group);
        self.wake_call(id);
    }

    /// What the queue says about callers nobody could serve, when nobody could serve this one.
    fn disposal_without_agents(&self, id: CallId) -> Option<Disposal> {
        let call = &self.calls[&id];
        let disposal = self.group(call.group).conf.queue.no_agent_action.clone()?;
        let nobody = call.pools.iter().all(|pool| self.pools[pool.0 as usize].present == 0);
        nobody.then_some(disposal)
    }

    /// Overflow (routing.md 2.7, 6): whether the newcomer may wait, if he has to. It is about those who wait: neither he
    /// for whom a phone can be rung now counts, nor those for whom one rings.
    fn make_room(&mut self, id: CallId, group: GroupIx) -> bool {
        let entry = self.group(group);
        let queue = &entry.conf.queue;
        let (disposal, candidate) = (queue.overflow_action.clone(), queue.overflow_candidate);
        let Some(threshold) = queue.overflow_threshold.map(|threshold| threshold as usize) else { return true };
        let waits = |key: &&CallKey| {
            let call = &self.calls[&key.call];
            call.offers.is_empty() && !matches!(call.phase, Phase::Connecting(_))
        };
        let full =
            entry.line.len() >= threshold && entry.line.iter().filter(waits).take(threshold).count() == threshold;
        if !full || self.begin_round(&self.calls[&id]).is_some() {
            return true;
        }
        let oldest = match candidate {
            OverflowCandidate::Newest => None,
            OverflowCandidate::Oldest => self.oldest_without_ringing(group),
        };
        self.dispose(oldest.unwrap_or(id), Disposition::Overflow, disposal);
        oldest.is_some()
    }

    /// Who waits longest without a phone ringing for him.
    fn oldest_without_ringing(&self, group: GroupIx) -> Option<CallId> {
        let line = &self.group(group).line;
        let silent = |key: &&CallKey| {
            let call = &self.calls[&key.call];
            call.phase == Phase::Queued && call.offers.is_empty()
        };
        let firsts = (0..=9).filter_map(|priority| line.of_priority(priority).find(silent));
        firsts.min_by_key(|key| (key.queued, key.seq)).map(|key| key.call)
    }

    fn join_line(&mut self, id: CallId, group: GroupIx) {
        let (now, seq) = (self.now, self.seq);
        let conf = &self.groups[group.0 as usize].conf;
        let uri = conf.uri.clone();
        let usual = conf.queue.priority;
        let deadline = conf.queue.timeout_seconds.map(|timeout| now + seconds(timeout));
        let sound = match conf.answer {
            AnswerMode::OnAgent => Sound::Ringback,
            _ => Sound::Music { name: conf.music.clone() },
        };
        let call = self.calls.get_mut(&id).expect("the caller found it");
        call.end_segment(now, SegmentKind::Greeting { group: uri.clone() }, Outcome::Answered);
        let key = CallKey { priority: call.priority.unwrap_or(usual), queued: now, seq, call: id };
        call.key = Some(key);
        call.in_line = true;
        call.phase = Phase::Queued;
        call.deadline = deadline;
        call.overtime = false;
        call.counted = false;
        let entry = &mut self.groups[group.0 as usize];
        entry.line.insert(key);
        entry.counters.offered += 1;
        let waiting = entry.waiting();
        self.outbox.push_back(Output::Sound { call: id, sound });
        self.outbox.push_back(Output::Wallboard(WallboardEvent::Queued { group: uri, waiting }));
        self.arm_waiting(id);
    }

    /// Sets the times of a call that waits (again).
    pub(crate) fn arm_waiting(&mut self, id: CallId) {
        let call = &self.calls[&id];
        if let Some(deadline) = call.deadline {
            self.timers.set(Timer::Call(id, CallTimer::Queue), deadline);
        }
        let said = &self.group(call.group).conf.announcements;
        if said.position || said.estimated_wait {
            let at = self.now + seconds(said.every_seconds);
            self.timers.set(Timer::Call(id, CallTimer::Announce), at);
        }
    }

    /// Takes the caller out of the line, with what became of him.
    pub(crate) fn leave_line(&mut self, id: CallId, result: QueueResult, outcome: Outcome) {
        for timer in [CallTimer::Queue, CallTimer::Retry, CallTimer::Announce] {
            self.timers.clear(Timer::Call(id, timer));
        }
        let now = self.now;
        let call = self.calls.get_mut(&id).expect("only calls in hand wait");
        let Some(key) = call.key.filter(|_| call.in_line) else { return };
        call.in_line = false;
        let hungry = std::mem::take(&mut call.hungry);
        let waited = now.since(key.queued);
        let group = &mut self.groups[call.group.0 as usize];
        group.line.remove(&key);
        if !std::mem::replace(&mut call.counted, true) {
            group.count(result);
        }
        let uri = group.conf.uri.clone();
        call.end_segment(now, SegmentKind::Queue { group: uri.clone() }, outcome);
        let event = WallboardEvent::LeftQueue {
            group: uri,
            waiting: group.waiting(),
            waited_millis: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
            result,
        };
        for pool in hungry {
            self.pools[pool.0 as usize].hungry.remove(&key);
        }
        self.outbox.push_back(Output::Wallboard(event));
    }

    /// The queue's time-out, and the end of the grace after it.
    pub(crate) fn queue_timer(&mut self, id: CallId) {
        let call = &self.calls[&id];
        if call.phase != Phase::Queued {
            return;
        }
        let grace = self.grace_until(id).filter(|_| !call.overtime);
        match grace {
            Some(until) => {
                self.calls.get_mut(&id).expect("just found").overtime = true;
                self.timers.set(Timer::Call(id, CallTimer::Queue), until);
                self.place_among_hungry(id);
            }
            None => self.time_out(id),
        }
    }

    /// Until when phones that ring may still win after the time-out; `None` when none rings.
    fn grace_until(&self, id: CallId) -> Option<Timestamp> {
        let call = &self.calls[&id];
        let rule = self.group(call.group).conf.queue.deadline;
        let grace = self.now + seconds(self.config.timing.timeout_grace_seconds);
        let confirm = self.now + seconds(self.config.timing.confirm_seconds);
        let until = |offer: &OfferNo| {
            let offer = &self.offers[offer];
            match (offer.state, rule) {
                (OfferState::Confirming, _) => Some(confirm),
                (OfferState::Ringing, Deadline::Strict) => Some(offer.alert_until.min(grace)),
                (OfferState::Ringing | OfferState::Inviting, Deadline::AfterAlert) => Some(offer.alert_until),
                _ => None,
            }
        };
        call.offers.iter().filter_map(until).max()
    }

    pub(crate) fn time_out(&mut self, id: CallId) {
        let disposal = self.group(self.calls[&id].group).conf.queue.timeout_action.clone();
        self.drop_offers(id, Withdrawal::QueueTimeout);
        self.dispose(id, Disposition::TimeOut, disposal);
    }

    /// Whether a caller waits whom nobody can serve, and for whom no phone rings that might still be answered.
    pub(crate) fn is_forlorn(&self, id: CallId) -> bool {
        let call = &self.calls[&id];
        let group = self.group(call.group);
        let applies = !group.gone && group.conf.queue.no_agent_applies_to == NoAgentScope::All;
        let waits = call.phase == Phase::Queued && call.offers.is_empty();
        applies && waits && self.disposal_without_agents(id).is_some()
    }

    /// Has forlorn callers sent on. Asked when an agent group loses its last agent; a call that comes to rest asks for
    /// itself. Between the two nobody is forgotten, whatever rang when the last agent went (I20).
    pub(crate) fn mind_the_forlorn(&mut self, group: GroupIx) {
        if self.first_forlorn(group).is_some() {
            self.timers.set(Timer::NoAgent(group), self.now);
        }
    }

    fn first_forlorn(&self, group: GroupIx) -> Option<CallId> {
        self.group(group).line.iter().map(|key| key.call).find(|call| self.is_forlorn(*call))
    }

    /// Sends one caller of a group without agents on; the timer comes again while there are more.
    pub(crate) fn no_agent_timer(&mut self, group: GroupIx) {
        let Some(id) = self.first_forlorn(group) else { return };
        let disposal = self.disposal_without_agents(id).expect("so it was found");
        self.dispose(id, Disposition::NoAgent, disposal);
        self.mind_the_forlorn(group);
    }

    /// Says place and estimated wait, if they are wanted and became better.
    pub(crate) fn announce_timer(&mut self, id: CallId) {
        let call = &self.calls[&id];
        let Some(key) = call.key.filter(|_| call.phase == Phase::Queued) else { return };
        let group = self.group(call.group);
        let said = &group.conf.announcements;
        let every = seconds(said.every_seconds);
        let place = u32::try_from(group.line.place(&key)).unwrap_or(u32::MAX).saturating_add(1);
        let better = call.place_told.is_none_or(|told| place < told);
        if better || !said.only_when_better {
            let announcement = Announcement::Queue {
                position: said.position.then_some(place),
                wait_seconds: said.estimated_wait.then(|| self.estimated_wait(call.group, &call.pools, place)),
            };
            let language = group.conf.language.clone();
            self.outbox.push_back(Output::Announce { call: id, announcement, language });
            self.calls.get_mut(&id).expect("just found").place_told = Some(place);
        }
        self.timers.set(Timer::Call(id, CallTimer::Announce), self.now + every);
    }

    /// Callers before him, times how long one occupies an agent, shared among the agents who are there.
    fn estimated_wait(&self, group: GroupIx, pools: &[PoolIx], place: u32) -> u32 {
        let present: u32 = pools.iter().map(|pool| self.pools[pool.0 as usize].present).sum();
        let wait = self.group(group).handling * place / present.max(1);
        u32::try_from(wait.as_secs()).unwrap_or(u32::MAX)
    }

    /// Sends the caller elsewhere, after a prompt if there is one and he can hear it.
    pub(crate) fn dispose(&mut self, id: CallId, why: Disposition, disposal: Disposal) {
        let result = queue_result(why);
        if !self.calls[&id].in_line {
            self.count_turned_away(id, result);
        }
        self.leave_line(id, result, why.outcome(None));
        let call = &self.calls[&id];
        let can_hear = call.answered || self.group(call.group).conf.answer != AnswerMode::OnAgent;
        match disposal.prompt {
            None if disposal.action == Action::Disconnect => self.end_call(id, why.outcome(None), true),
            Some(prompt) if can_hear && !prompt.is_empty() => {
                self.play(id, Step::Parting { action: disposal.action, why }, prompt);
            }
            _ => self.send_away(id, why, disposal.action),
        }
    }

    /// He has heard what was to be said. Passing from group to group is bounded by the hops, where no person does it.
    pub(crate) fn send_away(&mut self, id: CallId, why: Disposition, action: Action) {
        if matches!(self.calls[&id].phase, Phase::Greeting(_)) {
            self.close_last_segment(id, why.outcome(None));
        }
        match action {
            Action::Disconnect => self.end_call_saying(id, why.outcome(None), None),
            Action::Forward { target } => self.forward(id, target, why, None),
            Action::Group { target } => self.move_to_group(id, &target, why),
        }
    }

    /// Who is not let into the line at all counts too.
    fn count_turned_away(&mut self, id: CallId, result: QueueResult) {
        if !matches!(result, QueueResult::Overflowed | QueueResult::NoAgent) {
            return;
        }
        let group = &mut self.groups[self.calls[&id].group.0 as usize];
        group.count(result);
        let event = WallboardEvent::LeftQueue {
            group: group.conf.uri.clone(),
            waiting: group.waiting(),
            waited_millis: 0,
            result,
        };
        self.outbox.push_back(Output::Wallboard(event));
    }

    fn move_to_group(&mut self, id: CallId, target: &UserUri, why: Disposition) {
        let found = self.group_by_uri.get(target).copied().filter(|group| !self.group(*group).gone);
        let Some(group) = found else { return self.fail_call(id, Failure::GroupRemoved) };
        let hops_max = self.config.timing.hops_max;
        let call = self.calls.get_mut(&id).expect("only calls in hand are moved");
        call.hops = if why == Disposition::Transfer { 0 } else { call.hops + 1 };
        if call.hops > hops_max {
            return self.fail_call(id, Failure::Loop);
        }
        call.group = group;
        call.pools.clear();
        call.tried.clear();
        call.round = None;
        call.key = None;
        call.priority = None;
        call.place_told = None;
        call.told_waiting = false;
        let moved = Decision::Moved { call: id, group: target.clone(), why: why.outcome(None) };
        self.decide(moved);
        if !self.turn_away_if_closed(id, false) {
            self.answer_caller(id);
            self.enqueue(id);
        }
    }

    pub(crate) fn forward(&mut self, id: CallId, target: UserUri, why: Disposition, agent: Option<OfferNo>) {
        let outcome = why.outcome(Some(target.clone()));
        // Who was queueing or talking when somebody sent him on is served again when that fails.
        let back = why == Disposition::Transfer && self.calls[&id].key.is_some();
        self.ring_target(id, target, outcome, back, agent);
    }

    /// Has the target rung; the arguments are those of [`Phase::Forwarding`].
    pub(crate) fn ring_target(
        &mut self,
        id: CallId,
        target: UserUri,
        outcome: Outcome,
        back: bool,
        agent: Option<OfferNo>,
    ) {
        let limit = self.now + seconds(self.config.timing.forward_seconds);
        let call = self.calls.get_mut(&id).expect("only calls in hand are forwarded");
        call.phase = Phase::Forwarding { target: target.clone(), outcome, agent, back };
        let hops = call.hops + 1;
        self.timers.set(Timer::Call(id, CallTimer::Forward), limit);
        self.outbox.push_back(Output::Forward { call: id, target, hops });
    }

    /// A call that passes through is ended with its group; one that rings is let finish.
    pub(crate) fn end_if_group_is_gone(&mut self, id: CallId) {
        if self.calls[&id].offers.is_empty() {
            self.fail_call(id, Failure::GroupRemoved);
        }
    }

    pub(crate) fn fail_call(&mut self, id: CallId, why: Failure) {
        self.end_call(id, Outcome::Failed { why }, true);
    }
}

/// What a caller hears who is hung up, when the configuration does not say it: no one is left wondering.
pub(crate) fn last_words(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Overflowed { .. } | Outcome::TimedOut { .. } | Outcome::NoAgent { .. } => Some("nobody-available"),
        Outcome::Closed { .. } => Some("closed"),
        Outcome::ChoseExit { .. } | Outcome::Transferred { .. } => Some("goodbye"),
        Outcome::Failed { why: Failure::Loop | Failure::GroupRemoved | Failure::ForwardFailed } => {
            Some("nobody-available")
        }
        Outcome::Failed { why: Failure::Stopping } => Some("call-again"),
        Outcome::Failed {
            why: Failure::Restart | Failure::NotConfirmed | Failure::NoRoom | Failure::NoCommonMedia,
        }
        | Outcome::Answered
        | Outcome::Abandoned
        | Outcome::Rejected { .. } => None,
    }
}

fn queue_result(why: Disposition) -> QueueResult {
    match why {
        Disposition::Overflow => QueueResult::Overflowed,
        Disposition::TimeOut => QueueResult::TimedOut,
        Disposition::NoAgent => QueueResult::NoAgent,
        Disposition::Closed | Disposition::Exit | Disposition::Transfer => QueueResult::Other,
    }
}
