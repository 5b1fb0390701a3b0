//! Random callers, agents, phones, clocks and crashes; every invariant that shows from outside, and the replay.

mod common;

use base::{CallId, Duration};
use common::{World, sales};
use proptest::prelude::*;
use response_group::{
    Action, AgentChange, DialogNo, Input, OfferNo, Output, Presence, Refusal, SupervisorCommand, Unanswered,
};

const AGENTS: [&str; 4] = ["a", "b", "c", "tel:+14255550100"];

/// What the world outside does next. Numbers choose among the offers and calls there are.
#[derive(Clone, Debug)]
enum Act {
    Call,
    Leave(u8),
    Digit(u8),
    Progress(u8, bool),
    Divert(u8),
    Answer(u8, u8, bool),
    Refuse(u8, u8),
    Confirm(u8, bool),
    End(u8, u8),
    Bridge(u8, bool),
    Forwarded(u8, bool),
    Transfer(u8, bool),
    Supervise(u8),
    Agent(u8, u8),
    Wait(u16),
    Reconfigure(u8),
    Crash,
    Rotate,
    Back(u8),
    Confirmed(u8),
    Reattach(u8, bool, bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Call),
        2 => any::<u8>().prop_map(Act::Leave),
        1 => any::<u8>().prop_map(Act::Digit),
        4 => (any::<u8>(), any::<bool>()).prop_map(|(offer, rings)| Act::Progress(offer, rings)),
        1 => any::<u8>().prop_map(Act::Divert),
        6 => (any::<u8>(), 0..3_u8, prop::bool::weighted(0.1)).prop_map(|(offer, dialog, machine)| Act::Answer(offer, dialog, machine)),
        4 => (any::<u8>(), 0..7_u8).prop_map(|(offer, how)| Act::Refuse(offer, how)),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(offer, yes)| Act::Confirm(offer, yes)),
        4 => (any::<u8>(), 0..3_u8).prop_map(|(offer, dialog)| Act::End(offer, dialog)),
        6 => (any::<u8>(), prop::bool::weighted(0.9)).prop_map(|(call, ok)| Act::Bridge(call, ok)),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(call, ok)| Act::Forwarded(call, ok)),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(offer, away)| Act::Transfer(offer, away)),
        1 => any::<u8>().prop_map(Act::Supervise),
        2 => (0..4_u8, 0..9_u8).prop_map(|(agent, what)| Act::Agent(agent, what)),
        6 => (0..9_000_u16).prop_map(Act::Wait),
        1 => (0..5_u8).prop_map(Act::Reconfigure),
        1 => Just(Act::Crash),
        1 => Just(Act::Rotate),
        2 => any::<u8>().prop_map(Act::Back),
        2 => any::<u8>().prop_map(Act::Confirmed),
        3 => (any::<u8>(), any::<bool>(), any::<bool>()).prop_map(|(call, here, agent)| Act::Reattach(call, here, agent)),
    ]
}

const METHODS: [&str; 5] = ["parallel", "serial", "longest-idle", "round-robin", "attendant"];

fn lines(method: usize) -> String {
    format!(
        "method = {:?}\nanonymous = {}\nalert_time_seconds = 12\nwrap_up_seconds = 3\nmax_fork = 3\npause_after_no_answers = 3\n\
         exit_key = {{ digit = \"0\", action = {{ kind = \"disconnect\" }} }}\n\
         [response_group.queue]\ntimeout_seconds = 40\noverflow_threshold = 4\noverflow_candidate = \"oldest\"\n\
         timeout_action = {{ kind = \"forward\", target = \"sip:frank@example.com\" }}\n{}",
        METHODS[method],
        method.is_multiple_of(2),
        if method.is_multiple_of(2) { "" } else { "no_agent_action = { kind = \"disconnect\" }" }
    )
}

/// The offers and calls of the story so far.
struct Seen {
    offers: Vec<OfferNo>,
    calls: Vec<CallId>,
}

impl Seen {
    /// Mostly a recent one, now and then one long closed.
    fn offer(&self, number: u8) -> OfferNo {
        let recent = &self.offers[self.offers.len().saturating_sub(6)..];
        recent.get(usize::from(number) % 8).copied().unwrap_or(OfferNo(u64::from(number)))
    }

    fn call(&self, number: u8) -> CallId {
        let recent = &self.calls[self.calls.len().saturating_sub(5)..];
        recent.get(usize::from(number) % 6).copied().unwrap_or(CallId(u64::from(number)))
    }
}

fn refusal(how: u8) -> Refusal {
    match how {
        0 => Refusal::Busy,
        1 => Refusal::Declined,
        2 => Refusal::Redirected,
        3 => Refusal::Unreachable,
        4 => Refusal::Unavailable { retry_after_seconds: 20 },
        5 => Refusal::Cancelled,
        _ => Refusal::Failed { status: 500 },
    }
}

fn change(what: u8) -> AgentChange {
    match what {
        0 => AgentChange::Registered { registered: false },
        1 => AgentChange::Registered { registered: true },
        2 => AgentChange::Presence { presence: Presence::DoNotDisturb, lease_seconds: None },
        3 => AgentChange::Presence { presence: Presence::Available, lease_seconds: Some(30) },
        4 => AgentChange::Opted { opted_in: false },
        5 => AgentChange::Opted { opted_in: true },
        6 => AgentChange::ExternalCalls { count: 1, unanswered: None },
        7 => AgentChange::ExternalCalls { count: 0, unanswered: Some(Unanswered::Calling) },
        _ => AgentChange::ExternalCalls { count: 0, unanswered: None },
    }
}

fn perform(world: &mut World, seen: &mut Seen, act: &Act) {
    let input = match *act {
        Act::Call => {
            seen.calls.push(world.call("sales"));
            return;
        }
        Act::Wait(millis) => {
            world.wait(Duration::from_millis(u64::from(millis)));
            return;
        }
        Act::Crash => {
            world.crash();
            return;
        }
        Act::Rotate => {
            world.begin_journal();
            return;
        }
        Act::Leave(call) => Input::CallerLeft { call: seen.call(call) },
        Act::Digit(call) => Input::CallerDigit { call: seen.call(call), digit: '0' },
        Act::Progress(offer, ringing) => Input::OfferProgressed { offer: seen.offer(offer), ringing },
        Act::Divert(offer) => Input::OfferDiverting { offer: seen.offer(offer) },
        Act::Answer(offer, dialog, diverted) => {
            let (offer, dialog) = (seen.offer(offer), DialogNo(u32::from(dialog)));
            if world.watch.is_gone(offer, dialog) {
                return;
            }
            Input::OfferAnswered { offer, dialog, diverted }
        }
        Act::Refuse(offer, how) => {
            // After an answer there is no other final response of the same offer.
            let offer = seen.offer(offer);
            if world.watch.answered(offer) {
                return;
            }
            Input::OfferRefused { offer, refusal: refusal(how) }
        }
        Act::Confirm(offer, accepted) => Input::OfferConfirmed { offer: seen.offer(offer), accepted },
        Act::End(offer, dialog) => {
            Input::OfferDialogEnded { offer: seen.offer(offer), dialog: DialogNo(u32::from(dialog)) }
        }
        Act::Bridge(call, true) => Input::Bridged { call: seen.call(call), unconfirmed: call % 2 == 1 },
        Act::Confirmed(call) => Input::CallerConfirmed { call: seen.call(call) },
        Act::Bridge(call, false) => Input::BridgeFailed { call: seen.call(call) },
        Act::Forwarded(call, connected) => Input::ForwardEnded { call: seen.call(call), connected, status: None },
        Act::Transfer(offer, away) => {
            let forward = Action::Forward { target: common::uri("frank") };
            let target = if away { forward } else { Action::Group { target: common::uri("sales") } };
            Input::AgentTransferred { offer: seen.offer(offer), target, consulted: false }
        }
        Act::Supervise(call) => Input::Supervise {
            call: seen.call(call),
            command: SupervisorCommand::Transfer { target: Action::Group { target: common::uri("sales") } },
        },
        Act::Agent(agent, what) => {
            Input::AgentChanged { agent: common::uri(AGENTS[usize::from(agent)]), change: change(what) }
        }
        Act::Reconfigure(method) => {
            // A group that says what becomes of callers whom nobody can serve may lose all of its agents.
            let agents = if method == 3 { &[] } else { &AGENTS[usize::from(method % 2)..] };
            Input::Configured { config: Box::new(sales(&lines(usize::from(method)), agents)) }
        }
        Act::Back(call) => Input::CallerBack { call: seen.call(call) },
        Act::Reattach(call, caller, agent) => Input::Reattached { call: seen.call(call), caller, agent },
    };
    world.tell(input);
}

fn note_offers(world: &World, seen: &mut Seen, from: usize) {
    let made = world.log[from..].iter().filter_map(common::order);
    seen.offers.extend(made.map(|order| order.offer));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_shrink_iters: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold_whatever_happens(method in 0..5_usize, acts in prop::collection::vec(act(), 1..120)) {
        let mut world = World::new(sales(&lines(method), &AGENTS));
        let mut seen = Seen { offers: Vec::new(), calls: Vec::new() };
        for act in &acts {
            let from = world.log.len();
            perform(&mut world, &mut seen, act);
            note_offers(&world, &mut seen, from);
            let anonymous = world.domain.config().groups[0].anonymous;
            for output in &world.log[from..] {
                if let Output::Bridge { anonymous: said, .. } = output {
                    prop_assert_eq!(*said, anonymous, "whether the agent is shown is the group's business");
                }
            }
        }
        // Everybody leaves and nobody answers any more: everything comes to rest by itself (I8, I9).
        for call in seen.calls.clone() {
            world.tell(Input::CallerLeft { call });
        }
        world.wait_seconds(400);
        let now = world.now;
        world.watch.at_rest(now);
        prop_assert_eq!(&world.watch.faults, &Vec::<String>::new());
        let snapshot = world.domain.snapshot(now);
        for group in &snapshot.groups {
            let counters = &group.counters;
            let sent_on = counters.abandoned + counters.overflowed + counters.timed_out + counters.no_agent;
            let counted = counters.answered + sent_on + counters.other;
            prop_assert!(counted >= counters.offered, "each stay in a line is counted: {:?}", counters);
        }
        prop_assert!(snapshot.groups.iter().all(|group| group.waiting == 0 && group.talking == 0));
        for agent in &snapshot.agents {
            let held = matches!(
                agent.status,
                response_group::AgentStatus::Ringing { .. }
                    | response_group::AgentStatus::Draining
                    | response_group::AgentStatus::Talking { .. }
            );
            prop_assert!(!held, "{:?} is {:?} for ever", agent.uri, agent.status);
        }
        world.check();
    }
}
