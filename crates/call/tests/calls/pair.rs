//! Two machines back to back over a faulty network, with random decisions above both, in virtual time.

use std::collections::BTreeMap;

use base::{Duration, LegId, SubscriptionId, TerminationReason as Why, Timestamp};
use call::{Body, CallConfig, Calls, Input, NotifyState, Output, RingMode};
use proptest::prelude::*;

use crate::support::checker::Checker;
use crate::support::edge::{Edge, Wire};
use crate::support::solo::{completed, failed};
use crate::support::{Rng, dial, sdp, seconds};

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
struct Faults {
    /// Longest delay of a message in milliseconds; messages overtake each other within it.
    delay_ms: u64,
    /// Messages lost, of a hundred.
    lost: u64,
    /// Messages doubled, of a hundred.
    doubled: u64,
}

const GOOD: Faults = Faults { delay_ms: 1, lost: 0, doubled: 0 };

struct Node {
    calls: Calls,
    edge: Edge,
    checker: Checker,
    connected: Vec<LegId>,
    subscriptions: Vec<SubscriptionId>,
    seen: BTreeMap<&'static str, usize>,
}

struct Pair {
    nodes: [Node; 2],
    now: Timestamp,
    rng: Rng,
    faults: Faults,
    wire: BTreeMap<(Timestamp, u64), (usize, Wire)>,
    sequence: u64,
    /// Whether decisions are taken at random; else every call is answered.
    wild: bool,
}

impl Pair {
    fn new(seed: u64, faults: Faults, wild: bool) -> Self {
        let node = |name, first_id| Node {
            calls: Calls::new(CallConfig { first_id, id_step: 2, ..CallConfig::default() }),
            edge: Edge::new(name),
            checker: Checker::default(),
            connected: Vec::new(),
            subscriptions: Vec::new(),
            seen: BTreeMap::new(),
        };
        let nodes = [node("a", 1), node("b", 2)];
        Self { nodes, now: Timestamp::ZERO, rng: Rng(seed), faults, wire: BTreeMap::new(), sequence: 0, wild }
    }

    fn input(&mut self, node: usize, input: Input) {
        let (now, rng) = (self.now, &mut self.rng);
        self.nodes[node].calls.handle(now, input, &mut || rng.next());
        self.settle(node);
    }

    /// Carries outputs down, messages out, and events up, until the node is quiet.
    fn settle(&mut self, node: usize) {
        loop {
            if let Some(output) = self.nodes[node].calls.poll_output() {
                self.nodes[node].checker.see(&output);
                self.on_output(node, output);
            } else if let Some(wire) = take_first(&mut self.nodes[node].edge.out) {
                self.transmit(1 - node, wire);
            } else if let Some(event) = take_first(&mut self.nodes[node].edge.up) {
                let (now, rng) = (self.now, &mut self.rng);
                self.nodes[node].calls.handle(now, Input::Sip(event), &mut || rng.next());
            } else {
                return;
            }
        }
    }

    fn transmit(&mut self, to: usize, wire: Wire) {
        if self.rng.below(100) < self.faults.lost {
            return;
        }
        let copies = 1 + u64::from(self.rng.below(100) < self.faults.doubled);
        for _ in 0..copies {
            self.sequence += 1;
            let delay = Duration::from_micros(1 + self.rng.below(self.faults.delay_ms * 1_000));
            self.wire.insert((self.now + delay, self.sequence), (to, wire.clone()));
        }
    }

    fn on_output(&mut self, node: usize, output: Output) {
        let word = format!("{output:?}");
        let word = word.split([' ', '{', '(']).next().unwrap_or("").to_owned();
        *self.nodes[node].seen.entry(Box::leak(word.into_boxed_str())).or_default() += 1;
        let now = self.now;
        match output {
            Output::Sip(command) => self.nodes[node].edge.command(now, command),
            Output::Incoming { leg, .. } => self.on_incoming(node, leg),
            Output::Answered { leg, .. } | Output::Confirmed { leg, .. } => self.nodes[node].connected.push(leg),
            Output::Ended { leg, .. } => self.nodes[node].connected.retain(|known| *known != leg),
            Output::Offered { leg, .. } => {
                let refuse = self.wild && self.rng.below(4) == 0;
                let input = match refuse {
                    true => Input::RefuseOffer { leg, status: 488 },
                    false => Input::AnswerOffer { leg, body: Some(sdp("answer")) },
                };
                self.later(node, input);
            }
            Output::Info { id, .. } => self.later(node, Input::RespondInfo { id, status: 202, headers: Vec::new() }),
            Output::Referred { refer, .. } => {
                self.later(node, Input::RespondRefer { refer, status: 202, headers: Vec::new() })
            }
            Output::Subscribed { subscription, expires, .. } => {
                self.later(node, Input::AcceptSubscription { subscription, expires });
                self.nodes[node].subscriptions.push(subscription);
            }
            _ => {}
        }
    }

    /// A decision that falls while outputs are still being drained.
    fn later(&mut self, node: usize, input: Input) {
        let (now, rng) = (self.now, &mut self.rng);
        self.nodes[node].calls.handle(now, input, &mut || rng.next());
    }

    fn on_incoming(&mut self, node: usize, leg: LegId) {
        let accept = Input::Accept { leg, body: Some(sdp("answer")), headers: Vec::new() };
        let ring = |status, reliable| Input::Progress { leg, status, body: Some(sdp("early")), reliable };
        let inputs = match if self.wild { self.rng.below(8) } else { 0 } {
            0 => vec![accept],
            1 => vec![ring(183, true), accept],
            2 => vec![ring(180, false)],
            3 => vec![Input::Reject { leg, status: 486, headers: Vec::new(), body: None }],
            4 => vec![accept, Input::HangUp { leg, reason: Vec::new(), termination: completed(Why::Booted) }],
            5 => vec![ring(180, true)],
            6 => vec![Input::Challenge { leg }],
            _ => vec![],
        };
        inputs.into_iter().for_each(|input| self.later(node, input));
    }

    /// Lets time pass until this moment.
    fn run_until(&mut self, until: Timestamp) {
        loop {
            let wire = self.wire.keys().next().map(|(at, _)| *at);
            let timers = self.nodes.iter().flat_map(|node| [node.calls.poll_timeout(), node.edge.next()]);
            let Some(at) = timers.chain([wire]).flatten().min().filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            self.step();
        }
        self.now = until;
    }

    fn step(&mut self) {
        let now = self.now;
        if let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= now) {
            let (node, wire) = entry.remove();
            self.nodes[node].edge.receive(now, wire);
            return self.settle(node);
        }
        for node in 0..2 {
            if self.nodes[node].edge.next().is_some_and(|at| at <= now) {
                self.nodes[node].edge.fire(now);
                self.settle(node);
            }
            if self.nodes[node].calls.poll_timeout().is_some_and(|at| at <= now) {
                let rng = &mut self.rng;
                self.nodes[node].calls.handle_timeout(now, &mut || rng.next());
                self.settle(node);
            }
        }
    }

    fn run(&mut self, length: Duration) {
        self.run_until(self.now + length);
    }

    fn dial(&mut self, node: usize, count: usize, mode: RingMode) {
        let calls = &mut self.nodes[node].calls;
        let offer = calls.allocate_offer();
        let legs: Vec<LegId> = (0..count).map(|_| calls.allocate_leg()).collect();
        self.nodes[node].checker.dialled(offer, &legs);
        let mut dial = dial(offer, &legs, mode);
        dial.ring_limit = seconds(20);
        self.input(node, Input::Dial(Box::new(dial)));
    }

    /// Something happens above one of the nodes.
    fn act(&mut self) {
        let node = self.rng.below(2) as usize;
        let connected = self.nodes[node].connected.clone();
        let chosen = (!connected.is_empty()).then(|| connected[self.rng.below(connected.len() as u64) as usize]);
        match (self.rng.below(10), chosen) {
            (0, _) => self.dial(node, 3, RingMode::Staged { first: 1, after: seconds(3) }),
            (1, _) | (_, None) => self.dial(node, 2, RingMode::Serial { each: seconds(5) }),
            (2 | 3, Some(leg)) => self.input(node, Input::Reoffer { leg, body: sdp("new") }),
            (4 | 5, Some(leg)) => self.input(node, Input::SendInfo { leg, body: Body::new("x/y", "x"), instead: None }),
            (6, Some(leg)) => {
                let termination = completed(Why::Booted);
                self.input(node, Input::HangUp { leg, reason: Vec::new(), termination });
            }
            (7, _) => {
                let open = self.nodes[node].checker.open_offers.first().copied();
                if let Some(offer) = open {
                    self.input(node, Input::Cancel { offer, reason: Vec::new() });
                }
            }
            (8, _) => {
                let open = self.nodes[node].checker.open_legs.last().copied();
                if let Some(leg) = open {
                    let termination = failed(Why::Declined);
                    self.input(node, Input::HangUp { leg, reason: Vec::new(), termination });
                }
            }
            _ => {}
        }
    }

    /// Ends everything from above, waits, and looks whether anything is left.
    fn check_drained(&mut self) {
        for node in 0..2 {
            for leg in self.nodes[node].checker.open_legs.clone() {
                let termination = completed(Why::ConferenceEnded);
                self.input(node, Input::HangUp { leg, reason: Vec::new(), termination });
            }
            for subscription in std::mem::take(&mut self.nodes[node].subscriptions) {
                let state = NotifyState::Terminated("noresource".to_owned());
                self.input(node, Input::Notify { subscription, body: None, state });
            }
        }
        self.run(seconds(400));
        for node in 0..2 {
            for leg in self.nodes[node].checker.open_legs.clone() {
                let termination = completed(Why::ConferenceEnded);
                self.input(node, Input::HangUp { leg, reason: Vec::new(), termination });
            }
        }
        self.run(seconds(400));
        for node in &self.nodes {
            node.checker.check_drained();
            node.edge.check_drained();
            assert_eq!(node.calls.load(), call::Load::default(), "{:#?}", node.calls);
        }
    }

    fn seen(&self, node: usize, what: &str) -> usize {
        self.nodes[node].seen.get(what).copied().unwrap_or(0)
    }
}

fn take_first<T>(list: &mut Vec<T>) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(0))
}

#[test]
fn a_call_is_set_up_used_and_ended() {
    let mut pair = Pair::new(1, GOOD, false);
    pair.dial(0, 1, RingMode::Parallel);
    pair.run(seconds(1));
    assert_eq!((pair.seen(0, "Answered"), pair.seen(1, "Confirmed")), (1, 1));
    let (ours, theirs) = (pair.nodes[0].connected[0], pair.nodes[1].connected[0]);
    pair.input(0, Input::SendInfo { leg: ours, body: Body::new("x/y", "x"), instead: None });
    pair.input(1, Input::Reoffer { leg: theirs, body: sdp("hold") });
    pair.run(seconds(1));
    assert_eq!((pair.seen(0, "InfoAnswered"), pair.seen(1, "ReofferAnswered")), (1, 1));
    pair.check_drained();
}

#[test]
fn offers_from_both_sides_at_once_are_both_answered_in_the_end() {
    for seed in 0..20 {
        let mut pair = Pair::new(seed, GOOD, false);
        pair.dial(0, 1, RingMode::Parallel);
        pair.run(seconds(1));
        for node in 0..2 {
            let leg = pair.nodes[node].connected[0];
            pair.input(node, Input::Reoffer { leg, body: sdp("new") });
        }
        pair.run(seconds(10));
        assert_eq!((pair.seen(0, "ReofferAnswered"), pair.seen(1, "ReofferAnswered")), (1, 1), "seed {seed}");
        pair.check_drained();
    }
}

#[test]
fn a_session_is_kept_alive_for_hours() {
    let mut pair = Pair::new(1, GOOD, false);
    pair.dial(0, 1, RingMode::Parallel);
    pair.run(seconds(4 * 3_600));
    assert_eq!((pair.nodes[0].connected.len(), pair.nodes[1].connected.len()), (1, 1));
    pair.check_drained();
}

#[test]
fn a_peer_that_vanishes_is_noticed_by_the_session_timer() {
    let mut pair = Pair::new(1, GOOD, false);
    pair.dial(0, 1, RingMode::Parallel);
    pair.run(seconds(1));
    pair.faults.lost = 100;
    pair.run(seconds(1_800));
    assert_eq!((pair.seen(0, "Ended"), pair.seen(1, "Ended")), (1, 1));
    pair.check_drained();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// One end per leg, one decision per offer, every request answered, every 2xx acknowledged, nothing left over:
    /// whatever the network does and whatever is decided when.
    #[test]
    fn everything_ends_once_and_drains(
        seed in any::<u64>(),
        delay_ms in prop_oneof![Just(1_u64), Just(50), Just(700), Just(5_000)],
        lost in prop_oneof![Just(0_u64), Just(5), Just(30)],
        doubled in prop_oneof![Just(0_u64), Just(20)],
        steps in 1_usize..60,
    ) {
        let mut pair = Pair::new(seed, Faults { delay_ms, lost, doubled }, true);
        for _ in 0..steps {
            pair.act();
            let pause = pair.rng.below(4_000);
            pair.run(Duration::from_millis(pause));
        }
        pair.check_drained();
    }
}
