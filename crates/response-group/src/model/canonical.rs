//! When two states are the same: what distinguishes one from another, with offers numbered anew.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Attaching, State};
use crate::input::OfferNo;
use crate::offer::OfferState;
use crate::timers::Timer;

impl State {
    /// A digest of the canonical form.
    pub(super) fn key(&self) -> u128 {
        let text = self.canonical();
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, &text).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(1) << 64 | half(2)
    }

    /// What distinguishes this state from another, with offers numbered anew.
    pub(super) fn canonical(&self) -> String {
        let mut text = String::with_capacity(512);
        let domain = &self.domain;
        let mut numbers: Vec<OfferNo> =
            domain.offers.keys().copied().chain(self.legs.iter().map(|leg| leg.offer)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let number = |offer: OfferNo| numbers.binary_search(&offer).map_or(99, |place| place);
        for (id, call) in &domain.calls {
            let phase = match &call.phase {
                crate::call::Phase::Connecting(offer) => format!("joining{}", number(*offer)),
                crate::call::Phase::Connected(offer) => format!("talking{}", number(*offer)),
                crate::call::Phase::Reattaching(crate::call::Before::Connected(offer)) => {
                    format!("attaching{}{}", number(*offer), call.back)
                }
                crate::call::Phase::Forwarding { agent, back, .. } => {
                    format!("forwarding{:?}{back}", agent.map(number))
                }
                phase => format!("{phase:?}"),
            };
            let offers: Vec<usize> = call.offers.iter().map(|offer| number(*offer)).collect();
            let _ = write!(text, "C{}{phase}{offers:?}{:?}{:?}", id.0, call.tried, call.round);
            let _ = write!(text, "{}{}{}", call.overtime, call.in_line, call.hungry.len());
            let before = domain.calls.values().filter(|other| other.key < call.key).count();
            let declined: Vec<u32> = call.declined.keys().map(|agent| agent.0).collect();
            let _ = write!(text, "g{}h{}b{before}d{declined:?};", call.group.0, call.hops);
        }
        for (id, offer) in &domain.offers {
            let state = match offer.state {
                OfferState::Withdrawing(_) => "withdrawing".to_owned(),
                OfferState::Releasing(_) => format!("releasing{}", offer.won),
                state => format!("{state:?}"),
            };
            let _ = write!(text, "O{}c{}a{}{state}", number(*id), offer.call.0, offer.agent.0);
            let _ = write!(text, "{:?}{}{};", offer.dialog, offer.ending.len(), offer.provisional);
        }
        for agent in &domain.agents {
            let talks: Vec<usize> = agent.talks.iter().map(|offer| number(*offer)).collect();
            let _ = write!(text, "A{:?}{talks:?}{:?}", agent.ring.map(number), agent.cool_down_until.is_some());
            let _ = write!(text, "{}", agent.registered);
        }
        for (timer, _) in domain.timers.all() {
            match timer {
                Timer::Offer(offer, kind) => {
                    let _ = write!(text, "T{}{kind:?}", number(offer));
                }
                Timer::Call(call, kind) => {
                    let _ = write!(text, "T{}{kind:?}", call.0);
                }
                Timer::Agent(agent, kind) => {
                    let _ = write!(text, "T{}{kind:?}", agent.0);
                }
                Timer::NoAgent(_) => text.push('N'),
            }
        }
        for leg in &self.legs {
            let mut up = leg.up.clone();
            up.sort_unstable();
            let _ = write!(
                text,
                "L{}a{}{:?}{}{}{}{up:?};",
                number(leg.offer),
                leg.agent,
                leg.phone,
                leg.cancel,
                leg.bye,
                leg.released
            );
        }
        let asking: Vec<usize> = self.asking.iter().map(|offer| number(*offer)).collect();
        let _ = write!(text, "J{:?}K{asking:?}", self.joining);
        for Attaching { call, with_agent, back } in &self.attaching {
            let _ = write!(text, "R{}{with_agent}{back}", call.0);
        }
        let _ = write!(text, "W{:?}S{}", self.forwarding, self.transfers.len());
        let _ = write!(text, "X{}D{}F{}", self.crashes, self.departures, self.faults.len().min(1));
        text
    }
}
