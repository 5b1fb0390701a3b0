//! An offer: several targets rung for one purpose. The first answer wins; the decision falls exactly once.

use std::collections::{BTreeSet, VecDeque};

use base::{LegId, OfferId, Termination, TerminationReason, TerminationResult};
use sip_api::Headers;

use crate::ending::ELSEWHERE;
use crate::input::{Dial, RingMode};
use crate::leg::{Ending, Invite, Leg, LegState, Outgoing};
use crate::output::Output;
use crate::timer::Timer;
use crate::{Calls, Cx};

/// A set of legs, and who of them can still win.
#[derive(Debug)]
pub(crate) struct OfferSet {
    /// What was asked for; its list of legs is empty.
    pub(crate) dial: Dial,
    /// Legs whose turn has not come.
    waiting: VecDeque<LegId>,
    /// Legs that are rung and can still win.
    active: Vec<LegId>,
    /// Legs that have not ended; not the winner, whose call goes on.
    open: BTreeSet<LegId>,
    /// The best failure so far.
    best: Option<Verdict>,
    /// Whether anybody has been rung.
    begun: bool,
    /// Whether `Answered` or `OfferFailed` has been said.
    decided: bool,
}

/// How one leg, or the whole offer, failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) termination: Termination,
    pub(crate) status: Option<u16>,
}

impl Verdict {
    /// The order of RFC 3261 16.7 step 6, best first: 6xx, then the lowest class, and in 4xx those that tell the
    /// caller what to change. A target that was silent or out of reach counts as 408 and 503; one that was given up
    /// from this side says least.
    fn rank(self) -> (u16, u16) {
        if self.termination.result == TerminationResult::Cancelled {
            return (u16::MAX, 0);
        }
        let local = match self.termination.reason {
            TerminationReason::ServiceUnavailable | TerminationReason::TransportFailed => 503,
            _ => 408,
        };
        match self.status.unwrap_or(local) {
            600..=699 => (0, 0),
            status @ (401 | 407 | 415 | 420 | 484) => (status / 100, 0),
            status => (status / 100, 1),
        }
    }

    /// The better of two; the earlier one when they are equal.
    fn better(self, other: Option<Self>) -> Self {
        other.filter(|other| other.rank() <= self.rank()).unwrap_or(self)
    }
}

impl OfferSet {
    /// This leg can no longer win.
    fn forget(&mut self, leg: LegId) {
        self.active.retain(|active| *active != leg);
        self.waiting.retain(|waiting| *waiting != leg);
    }
}

impl Calls {
    /// Rings a set of targets.
    pub(crate) fn dial(&mut self, cx: &mut Cx<'_>, mut dial: Dial) {
        let offer = dial.offer;
        let legs = std::mem::take(&mut dial.legs);
        let known = self.offers.contains_key(&offer) || legs.iter().any(|(leg, _)| self.legs.contains_key(leg));
        if known {
            return self.ignore();
        }
        let room = self.config.limits.legs.saturating_sub(self.legs.len()).min(self.config.legs_per_offer);
        let limit = dial.ring_limit.min(self.config.timer_c);
        let mut set = OfferSet {
            dial,
            waiting: VecDeque::new(),
            active: Vec::new(),
            open: BTreeSet::new(),
            best: None,
            begun: false,
            decided: false,
        };
        let beyond = Verdict { termination: Termination::failed(TerminationReason::LimitReached), status: None };
        for (index, (id, target)) in legs.into_iter().enumerate() {
            if index < room {
                set.waiting.push_back(id);
                set.open.insert(id);
                self.legs.insert(id, new_leg(&set.dial, target));
            } else {
                set.best = Some(beyond.better(set.best));
                let headers = Box::default();
                self.push(Output::Ended { leg: id, termination: beyond.termination, status: None, headers });
            }
        }
        self.timers.set(Timer::RingLimit(offer), cx.now + limit);
        self.offers.insert(offer, set);
        self.ring_next(cx, offer);
    }

    /// Rings whoever is next: all, or one when nobody rings. Without anybody left, the offer has failed.
    fn ring_next(&mut self, cx: &mut Cx<'_>, offer: OfferId) {
        let Some(set) = self.offers.get_mut(&offer).filter(|set| !set.decided && set.active.is_empty()) else {
            return;
        };
        let turn = match set.dial.mode {
            RingMode::Parallel => set.waiting.len(),
            RingMode::Serial { each } => {
                self.timers.set(Timer::NextTarget(offer), cx.now + each);
                1
            }
            RingMode::Staged { first, after } if !set.begun => {
                self.timers.set(Timer::NextTarget(offer), cx.now + after);
                first.max(1)
            }
            RingMode::Staged { .. } => set.waiting.len(),
        };
        set.begun = true;
        let next: Vec<LegId> = set.waiting.drain(..turn.min(set.waiting.len())).collect();
        if next.is_empty() {
            let nobody = Verdict { termination: Termination::failed(TerminationReason::InvalidTarget), status: None };
            let verdict = set.best.unwrap_or(nobody);
            return self.fail_offer(offer, verdict);
        }
        set.active.clone_from(&next);
        for leg in next {
            self.start_leg(cx, leg, offer);
        }
    }

    /// A leg can no longer win; somebody else's turn, or the end of the offer.
    pub(crate) fn lose(&mut self, cx: &mut Cx<'_>, offer: OfferId, leg: LegId, verdict: Verdict) {
        if let Some(set) = self.offers.get_mut(&offer) {
            set.forget(leg);
            set.best = Some(verdict.better(set.best));
        }
        self.ring_next(cx, offer);
    }

    /// The offer has a winner: the others are cancelled.
    pub(crate) fn win_offer(&mut self, cx: &mut Cx<'_>, offer: OfferId, winner: LegId) {
        if let Some(set) = self.offers.get_mut(&offer) {
            set.forget(winner);
            set.open.remove(&winner);
        }
        let termination = Termination::cancelled(TerminationReason::AnsweredElsewhere);
        let ending = Ending { termination, reason: vec![ELSEWHERE.to_owned()] };
        self.settle(cx, offer, &ending, termination);
    }

    /// Somebody above gives the offer up.
    pub(crate) fn cancel_offer(&mut self, cx: &mut Cx<'_>, offer: OfferId, reason: Vec<String>) {
        if self.offers.get(&offer).is_none_or(|set| set.decided) {
            return self.ignore();
        }
        let termination = Termination::cancelled(TerminationReason::RequestCancelled);
        self.fail_offer(offer, Verdict { termination, status: None });
        self.settle(cx, offer, &Ending { termination, reason }, termination);
    }

    /// The offer has rung long enough.
    pub(crate) fn on_ring_limit(&mut self, cx: &mut Cx<'_>, offer: OfferId) {
        let Some(set) = self.offers.get(&offer).filter(|set| !set.decided) else { return };
        let ending = no_answer(set.dial.cancel_reason.clone());
        let verdict = Verdict { termination: ending.termination, status: None }.better(set.best);
        self.fail_offer(offer, verdict);
        self.settle(cx, offer, &ending, Termination::cancelled(TerminationReason::RequestCancelled));
    }

    /// The target of a serial offer has rung long enough, or those who wait in a staged one join in.
    pub(crate) fn on_next_target(&mut self, cx: &mut Cx<'_>, offer: OfferId) {
        let Some(set) = self.offers.get_mut(&offer).filter(|set| !set.decided) else { return };
        if matches!(set.dial.mode, RingMode::Staged { .. }) {
            let joining = std::mem::take(&mut set.waiting);
            set.active.extend(&joining);
            return joining.into_iter().for_each(|leg| self.start_leg(cx, leg, offer));
        }
        let (reason, active) = (set.dial.cancel_reason.clone(), set.active.clone());
        let ending = no_answer(reason);
        for leg in active {
            self.give_up(cx, leg, ending.clone());
        }
    }

    fn fail_offer(&mut self, offer: OfferId, verdict: Verdict) {
        if let Some(set) = self.offers.get_mut(&offer) {
            set.decided = true;
        }
        let Verdict { termination, status } = verdict;
        self.push(Output::OfferFailed { offer, termination, status });
        self.forget_offer(offer);
    }

    /// The decision has fallen: who rings is cancelled, who waits ends at once.
    fn settle(&mut self, cx: &mut Cx<'_>, offer: OfferId, ringing: &Ending, waiting: Termination) {
        let Some(set) = self.offers.get_mut(&offer) else { return };
        set.decided = true;
        let (active, queued) = (std::mem::take(&mut set.active), std::mem::take(&mut set.waiting));
        for leg in active {
            self.cancel_leg(cx, leg, ringing.clone());
        }
        for leg in queued {
            self.end_leg(leg, waiting, None, Headers::new());
        }
        self.forget_offer(offer);
    }

    /// One of its legs ended.
    pub(crate) fn close_in_offer(&mut self, offer: OfferId, leg: LegId) {
        if let Some(set) = self.offers.get_mut(&offer) {
            set.open.remove(&leg);
        }
        self.forget_offer(offer);
    }

    /// Forgets an offer that is decided and has no legs left; its timers go with the decision.
    fn forget_offer(&mut self, offer: OfferId) {
        let Some(set) = self.offers.get(&offer).filter(|set| set.decided) else { return };
        let empty = set.open.is_empty();
        self.timers.clear(Timer::RingLimit(offer));
        self.timers.clear(Timer::NextTarget(offer));
        if empty {
            self.offers.remove(&offer);
        }
    }
}

fn no_answer(reason: Vec<String>) -> Ending {
    Ending { termination: Termination::failed(TerminationReason::NoAnswer), reason }
}

fn new_leg(dial: &Dial, target: crate::input::Target) -> Leg {
    let outgoing = Outgoing {
        offer: dial.offer,
        target,
        call_id: None,
        transaction: None,
        heard: false,
        early: Vec::new(),
        redirects_left: dial.follow_redirects,
        fell_back: false,
        pracks: 0,
        machine_until: None,
        departed: Vec::new(),
    };
    Leg::new(LegState::Queued, Invite::Outgoing(Box::new(outgoing)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ending::refusal;

    #[test]
    fn the_best_failure_is_chosen_by_rfc_3261_16_7() {
        let failed = |status| Verdict { termination: refusal(status), status: Some(status) };
        let cases: [(&[u16], u16); 6] = [
            (&[486, 603, 404], 603),
            (&[503, 486], 486),
            (&[486, 404], 486),
            (&[480, 484], 484),
            (&[486, 302], 302),
            (&[503, 500], 503),
        ];
        for (statuses, best) in cases {
            let chosen = statuses.iter().fold(None, |best, status| Some(failed(*status).better(best)));
            assert_eq!(chosen, Some(failed(best)), "{statuses:?}");
        }
        let silent = Verdict { termination: Termination::failed(TerminationReason::NoAnswer), status: None };
        assert_eq!(silent.better(Some(failed(503))), silent);
    }
}
