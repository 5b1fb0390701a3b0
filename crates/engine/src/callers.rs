//! How many calls one account, or one address of callers without an account, has at once: each holds a pair of media
//! ports, for a while even after it is over, and nobody may hold them all.
//!
//! All calls that come in count alike, whatever they are for: conferences, Focus dialogs, response groups, access numbers,
//! people. Whoever claims to be an account is counted when he has proved it; until then he is challenged and holds
//! nothing. Trusted trunks are not counted: they stand for everybody behind them, and are bounded by the ports.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};

use base::{Duration, LegId, Limits, Timestamp, UserUri};
use call::Invitation;

use crate::Engine;
use crate::event::EngineEvent;

/// When who has too many calls may try again, in seconds: his ports drain meanwhile.
const RETRY_AFTER: &str = "5";

/// For whom a call is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Account(UserUri),
    /// An IPv4 address, or the network of an IPv6 address: a host has as many of these as it likes.
    Source(IpAddr),
}

/// A bound on the calls of one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallBound {
    /// Calls of one account, [`Limits::calls_per_account`].
    AccountCalls,
    /// Calls of one account that are not answered yet, [`Limits::unanswered_per_account`].
    AccountUnanswered,
    /// Calls from one address, [`Limits::calls_per_source`].
    SourceCalls,
    /// Calls from one address that are not answered yet, [`Limits::unanswered_per_source`].
    SourceUnanswered,
}

impl CallBound {
    /// The label of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountCalls => "account_calls",
            Self::AccountUnanswered => "account_unanswered",
            Self::SourceCalls => "source_calls",
            Self::SourceUnanswered => "source_unanswered",
        }
    }

    /// The refusal: who has too much himself is busy; an address may be shared by many who are not.
    fn status(self) -> u16 {
        match self {
            Self::AccountCalls | Self::AccountUnanswered => 486,
            Self::SourceCalls | Self::SourceUnanswered => 503,
        }
    }

    fn value(self, limits: &Limits) -> usize {
        match self {
            Self::AccountCalls => limits.calls_per_account,
            Self::AccountUnanswered => limits.unanswered_per_account,
            Self::SourceCalls => limits.calls_per_source,
            Self::SourceUnanswered => limits.unanswered_per_source,
        }
    }

    /// What the caller is told.
    fn why(self, limits: &Limits) -> String {
        let most = self.value(limits);
        match self {
            Self::AccountCalls => format!("This account has {most} calls, and may have no more"),
            Self::AccountUnanswered => format!("{most} calls of this account wait for an answer; no more may"),
            Self::SourceCalls => format!("{most} calls come from this address, and no more may"),
            Self::SourceUnanswered => format!("{most} calls from this address wait for an answer; no more may"),
        }
    }
}

#[derive(Debug)]
struct Held {
    holder: Holder,
    answered: bool,
    /// It has media ports, which drain when it ends.
    has_ports: bool,
}

#[derive(Debug, Default)]
struct Count {
    /// Calls, those whose ports still drain among them.
    calls: usize,
    unanswered: usize,
}

/// The calls that came in, by who holds them. Its tables are no larger than that of the legs, and what drained in
/// [`Limits::port_drain`].
#[derive(Debug, Default)]
pub(crate) struct Callers {
    legs: HashMap<LegId, Held>,
    /// No entry is zero.
    counts: HashMap<Holder, Count>,
    /// Ends of calls whose ports still drain, in order.
    draining: VecDeque<(Timestamp, Holder)>,
}

impl Callers {
    /// Counts a call, or names the bound it would break.
    fn enter(&mut self, now: Timestamp, leg: LegId, holder: Holder, limits: &Limits) -> Result<(), CallBound> {
        self.forget_drained(now);
        let count = self.counts.get(&holder);
        let (calls, unanswered) = count.map_or((0, 0), |count| (count.calls, count.unanswered));
        let (of_calls, of_unanswered) = match holder {
            Holder::Account(_) => (CallBound::AccountCalls, CallBound::AccountUnanswered),
            Holder::Source(_) => (CallBound::SourceCalls, CallBound::SourceUnanswered),
        };
        for (held, bound) in [(calls, of_calls), (unanswered, of_unanswered)] {
            if held >= bound.value(limits) {
                return Err(bound);
            }
        }
        let count = self.counts.entry(holder.clone()).or_default();
        count.calls += 1;
        count.unanswered += 1;
        self.legs.insert(leg, Held { holder, answered: false, has_ports: false });
        Ok(())
    }

    /// A call is answered, and that is acknowledged.
    fn answered(&mut self, leg: LegId) {
        let Some(held) = self.legs.get_mut(&leg) else { return };
        if !std::mem::replace(&mut held.answered, true)
            && let Some(count) = self.counts.get_mut(&held.holder)
        {
            count.unanswered -= 1;
        }
    }

    /// Ports are leased for a call.
    pub(crate) fn took_ports(&mut self, leg: LegId) {
        if let Some(held) = self.legs.get_mut(&leg) {
            held.has_ports = true;
        }
    }

    /// A call is over.
    fn ended(&mut self, now: Timestamp, leg: LegId, port_drain: Duration) {
        self.answered(leg);
        let Some(held) = self.legs.remove(&leg) else { return };
        if held.has_ports {
            self.draining.push_back((now + port_drain, held.holder));
        } else {
            self.give_back(&held.holder);
        }
        self.forget_drained(now);
    }

    fn forget_drained(&mut self, now: Timestamp) {
        while let Some((_, holder)) = self.draining.pop_front_if(|(until, _)| *until <= now) {
            self.give_back(&holder);
        }
    }

    fn give_back(&mut self, holder: &Holder) {
        if let Some(count) = self.counts.get_mut(holder) {
            count.calls -= 1;
            if count.calls == 0 {
                self.counts.remove(holder);
            }
        }
    }
}

impl Engine {
    /// Follows what becomes of calls that come in. A call too many of its caller is refused here; `false` then.
    pub(crate) fn count_call(&mut self, output: &call::Output) -> bool {
        match output {
            call::Output::Incoming { leg, call } => {
                let Some(holder) = self.holder(call) else { return true };
                let entered = self.callers.enter(self.now, *leg, holder, &self.config.limits);
                if let Err(bound) = entered {
                    self.refuse_call_of(*leg, bound);
                }
                return entered.is_ok();
            }
            call::Output::Confirmed { leg, .. } => self.callers.answered(*leg),
            call::Output::Ended { leg, .. } => {
                self.callers.ended(self.now, *leg, self.config.limits.port_drain);
            }
            _ => {}
        }
        true
    }

    /// For whom a call is counted; `None` for trusted trunks, and for who claims an account without proof.
    fn holder(&self, call: &Invitation) -> Option<Holder> {
        if let Some(user) = &call.user {
            return Some(Holder::Account(user.clone()));
        }
        let source = call.flow.remote.ip();
        let is_guest = !self.config.trusted_peers.contains(&source) && self.requester(call).is_some();
        is_guest.then(|| Holder::Source(network(source)))
    }

    fn refuse_call_of(&mut self, leg: LegId, bound: CallBound) {
        self.event(EngineEvent::CallRefused { bound });
        let warning = format!("399 {} \"{}\"", self.config.domain, bound.why(&self.config.limits));
        let headers = vec![("Retry-After".to_owned(), RETRY_AFTER.to_owned()), ("Warning".to_owned(), warning)];
        self.call(call::Input::Reject { leg, status: bound.status(), headers, body: None });
    }
}

/// The address a source is counted by: IPv6 by its /64, which is one site's.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000);
    const DRAIN: Duration = Duration::from_secs(2);

    fn limits() -> Limits {
        Limits { calls_per_account: 3, unanswered_per_account: 2, calls_per_source: 4, ..Limits::default() }
    }

    fn ann() -> Holder {
        Holder::Account(UserUri::parse("sip:ann@example.com").expect("valid"))
    }

    #[test]
    fn calls_count_while_their_ports_drain_and_no_longer() {
        let mut callers = Callers::default();
        let enter = |callers: &mut Callers, now, leg| callers.enter(now, LegId(leg), ann(), &limits());
        for leg in 1..=3 {
            assert_eq!(enter(&mut callers, START, leg), Ok(()));
            callers.answered(LegId(leg));
            callers.took_ports(LegId(leg));
        }
        assert_eq!(enter(&mut callers, START, 4), Err(CallBound::AccountCalls));
        callers.ended(START, LegId(1), DRAIN);
        assert_eq!(enter(&mut callers, START, 5), Err(CallBound::AccountCalls), "its ports drain");
        let drained = START + DRAIN;
        assert_eq!(enter(&mut callers, drained, 6), Ok(()));
        let source = Holder::Source(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(callers.enter(drained, LegId(7), source, &limits()), Ok(()), "another holder");
        for leg in 1..=7 {
            callers.ended(drained, LegId(leg), DRAIN);
        }
        callers.forget_drained(drained + DRAIN);
        assert!(callers.counts.is_empty() && callers.legs.is_empty() && callers.draining.is_empty(), "{callers:?}");
    }

    #[test]
    fn few_calls_may_wait_for_an_answer_and_one_that_never_had_ports_leaves_at_once() {
        let mut callers = Callers::default();
        for leg in 1..=2 {
            assert_eq!(callers.enter(START, LegId(leg), ann(), &limits()), Ok(()));
        }
        assert_eq!(callers.enter(START, LegId(3), ann(), &limits()), Err(CallBound::AccountUnanswered));
        callers.answered(LegId(1));
        callers.answered(LegId(1));
        assert_eq!(callers.enter(START, LegId(3), ann(), &limits()), Ok(()));
        callers.ended(START, LegId(2), DRAIN);
        assert_eq!(callers.enter(START, LegId(4), ann(), &limits()), Ok(()), "no ports, no drain");
    }

    #[test]
    fn a_source_is_an_address_or_the_network_of_a_site() {
        for (address, counted) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            assert_eq!(network(address.parse().expect("valid")).to_string(), counted);
        }
    }
}
