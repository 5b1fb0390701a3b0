//! Devices that are still to be silenced although their agent's offer is decided, and devices that never said anything.
//!
//! A device that gave any response may ring until its INVITE is over: nobody rings its agent meanwhile (I4). A device of
//! which nothing was ever heard, a binding that a phone left behind, keeps neither its agent nor the word of his other
//! devices: a live one says 100 Trying within 200 ms (RFC 3261 17.2.1), unless the first INVITE was lost.

use base::{Duration, LegId, Timestamp, UserUri};
use call::Target;
use response_group::{Input, OfferNo};

use super::offer::WINNER;
use crate::Engine;
use crate::conference::dial_out::COMPLETED_ELSEWHERE;

/// For how long after its INVITE a device that has said nothing may still be there: T1 until the INVITE is repeated, and
/// as long again for the response (RFC 3261 17.1.1.1).
const PATIENCE: Duration = Duration::from_secs(1);

/// A device whose INVITE outlives its agent's offer.
#[derive(Debug)]
pub(super) struct Silenced {
    pub(super) agent: UserUri,
    /// It may have rung in an earlier process, whatever it has said to this one.
    pub(super) rang: bool,
}

impl Engine {
    /// Of an agent's devices those that may be rung now; none while another one that was rung may still ring.
    pub(super) fn without_silenced(&self, agent: &UserUri, targets: Vec<Target>) -> Vec<Target> {
        let of_his = self.groups.silencing.iter().filter(|(_, silenced)| silenced.agent == *agent);
        let mut deaf = Vec::new();
        for (leg, silenced) in of_his {
            match self.calls.dialled(*leg) {
                Some((target, false)) if !silenced.rang => deaf.push(target),
                _ => return Vec::new(),
            }
        }
        // The Contact names the device, whatever way leads to it meanwhile.
        let is_deaf = |target: &Target| deaf.iter().any(|other| other.uri == target.uri);
        targets.into_iter().filter(|target| !is_deaf(target)).collect()
    }

    /// A device of an offer had its last word, and others have not. Those that have said nothing are not waited for.
    pub(super) fn mind_the_deaf(&mut self, number: OfferNo) {
        self.groups.deaf.remove(&number);
        let Some(offer) = self.groups.offers.get(&number) else { return };
        let Some(refusal) = offer.refusal.filter(|_| offer.spoke && !offer.order.pstn) else { return };
        let was_heard = |leg: &LegId| self.calls.dialled(*leg).is_some_and(|(_, heard)| heard);
        if offer.answered.is_some() || offer.open.is_empty() || offer.open.iter().any(was_heard) {
            return;
        }
        let Some(until) = offer.sent.map(|sent| sent + PATIENCE) else { return };
        let (dial, late) = (offer.dial, offer.late);
        if self.now < until {
            self.groups.deaf.insert(number, until);
            return;
        }
        if late {
            self.tell_groups(Input::OfferAnswered { offer: number, dialog: WINNER, diverted: false });
        } else {
            self.close_offer(number, refusal);
        }
        if let Some(dial) = dial {
            self.call(call::Input::Cancel { offer: dial, reason: vec![COMPLETED_ELSEWHERE.to_owned()] });
        }
    }

    pub(super) fn deaf_timeout(&self) -> Option<Timestamp> {
        self.groups.deaf.values().min().copied()
    }

    pub(super) fn fire_deaf_timers(&mut self) {
        let due = self.groups.deaf.iter().filter(|(_, until)| **until <= self.now);
        let mut due: Vec<OfferNo> = due.map(|(number, _)| *number).collect();
        due.sort_unstable();
        due.into_iter().for_each(|number| self.mind_the_deaf(number));
    }
}
