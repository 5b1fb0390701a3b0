//! The watch over all invariants must be able to find a breach of each: here it is told stories that no machine may tell.

mod common;

use base::{CallId, Duration, Timestamp, UserUri};
use common::{World, sales, uri};
use response_group::watch::Watch;
use response_group::{
    AgentStatus, Arrival, CallRecord, CancelWhen, CloseReason, Config, Decision, DialogNo, Entry, Input, Method,
    OfferNo, OfferOrder, Outcome, Output, Refusal, Withdrawal,
};

const CALL: CallId = CallId(1);

fn at(seconds: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(seconds)
}

/// A watch that has seen a caller come and every agent free.
struct Story {
    watch: Watch,
    now: Timestamp,
    method: Method,
    offers: u64,
}

impl Story {
    fn begin(method: &str, agents: &[&str]) -> Self {
        let config = config(method, agents);
        let method = config.groups[0].agent_groups[0].method;
        let mut story = Self { watch: Watch::new(at(0), &config), now: at(1), method, offers: 0 };
        for agent in agents {
            story.saw(Output::AgentState { agent: uri(agent), state: AgentStatus::Free });
        }
        story.watch.told(
            story.now,
            &Input::CallerArrived(Arrival {
                call: CALL,
                reference: String::new(),
                group: uri("sales"),
                caller: "sip:ann@example.com".to_owned(),
                unix_seconds: 0,
                hops: 0,
            }),
        );
        story
    }

    fn saw(&mut self, output: Output) -> &mut Self {
        self.watch.saw(self.now, &output);
        self
    }

    fn told(&mut self, input: &Input) -> &mut Self {
        self.watch.told(self.now, input);
        self
    }

    fn decided(&mut self, decided: Decision) -> &mut Self {
        let entry = Entry::Decided { seq: 1, at: self.now, decided };
        self.saw(Output::Journal(Box::new(entry)))
    }

    /// An agent is rung, and told that he is.
    fn offer(&mut self, agent: &str) -> OfferNo {
        self.offers += 1;
        let offer = OfferNo(self.offers);
        let agent: UserUri = uri(agent);
        self.saw(Output::Offer(order(offer, &agent)));
        let agents = vec![(agent.clone(), offer)];
        let (call, agent_group, method) = (CALL, "agents".to_owned(), self.method);
        self.decided(Decision::Offered { call, agent_group, method, agents, ready: 1 });
        self.saw(Output::AgentState { agent, state: AgentStatus::Ringing { call: CALL } });
        offer
    }

    /// His phone refuses and he is free again.
    fn refuses(&mut self, agent: &str, offer: OfferNo, refusal: Refusal) -> &mut Self {
        self.told(&Input::OfferRefused { offer, refusal });
        self.saw(Output::AgentState { agent: uri(agent), state: AgentStatus::Free }).step()
    }

    fn step(&mut self) -> &mut Self {
        self.watch.end_of_step(self.now);
        self
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now + Duration::from_secs(seconds);
        self
    }

    fn finds(&mut self, invariant: &str) {
        self.step();
        let found = self.watch.faults.iter().any(|fault| fault.contains(invariant));
        assert!(found, "{invariant} is not found: {:?}", self.watch.faults);
    }

    fn finds_nothing(&mut self) {
        self.step();
        assert_eq!(self.watch.faults, Vec::<String>::new());
    }
}

fn config(method: &str, agents: &[&str]) -> Config {
    sales(&format!("method = {method:?}"), agents)
}

fn order(offer: OfferNo, agent: &UserUri) -> OfferOrder {
    OfferOrder {
        offer,
        call: CALL,
        agent: agent.clone(),
        pstn: false,
        group: uri("sales"),
        group_name: "Sales".to_owned(),
        caller: String::new(),
        labels: Vec::new(),
        waited_seconds: 0,
        expires_seconds: 25,
        hops: 0,
    }
}

fn record(now: Timestamp) -> CallRecord {
    CallRecord {
        call: CALL,
        reference: String::new(),
        group: uri("sales"),
        caller: String::new(),
        arrived: now,
        ended: now,
        outcome: Outcome::Abandoned,
        segments: Vec::new(),
    }
}

#[test]
fn i4_an_offer_whose_call_has_ended_is_found() {
    let mut story = Story::begin("serial", &["a"]);
    story.offer("a");
    let now = story.now;
    story.saw(Output::Cdr(record(now))).finds("I4");
}

#[test]
fn i4_an_agent_who_is_silenced_for_ever_is_found() {
    let mut story = Story::begin("serial", &["a"]);
    let offer = story.offer("a");
    story.told(&Input::OfferProgressed { offer, ringing: true }).wait(20);
    let (reason, cancel) = (Withdrawal::Alert, CancelWhen::Now);
    story.saw(Output::Withdraw { offer, reason, cancel });
    story.saw(Output::AgentState { agent: uri("a"), state: AgentStatus::Draining }).wait(32).finds_nothing();
    story.wait(2).finds("I4");
}

#[test]
fn i11_a_second_turn_in_one_pass_is_found_and_one_after_the_pause_is_none() {
    let again = |pause: u64| {
        let mut story = Story::begin("serial", &["a"]);
        let offer = story.offer("a");
        story.refuses("a", offer, Refusal::Busy).wait(pause);
        story.offer("a");
        story
    };
    again(4).finds("I11");
    again(5).finds_nothing();
}

#[test]
fn i11_an_offer_during_the_grace_after_a_decline_is_found() {
    let mut story = Story::begin("serial", &["a"]);
    let offer = story.offer("a");
    story.refuses("a", offer, Refusal::Declined).wait(59);
    story.offer("a");
    story.finds("I11");
}

#[test]
fn i12_who_is_passed_over_is_found_in_each_method_that_takes_turns() {
    for method in ["serial", "round-robin", "longest-idle"] {
        let mut story = Story::begin(method, &["a", "b"]);
        story.offer("b");
        story.finds("I12");
    }
    let mut story = Story::begin("parallel", &["a", "b"]);
    story.offer("b");
    story.finds_nothing();
}

#[test]
fn i12_the_longest_idle_is_who_talked_longest_ago() {
    let mut story = Story::begin("longest-idle", &["a", "b"]);
    let offer = story.offer("a");
    let (call, agent) = (CALL, uri("a"));
    story.decided(Decision::OfferClosed { call, offer, agent, reason: CloseReason::Won });
    story.saw(Output::AgentState { agent: uri("a"), state: AgentStatus::Free });
    story.decided(Decision::Moved { call, group: uri("sales"), why: Outcome::Abandoned }).finds_nothing();
    story.wait(40);
    story.told(&Input::OfferDialogEnded { offer, dialog: DialogNo(1) });
    story.offer("a");
    story.finds("I12");
}

#[test]
fn i18_a_removed_agent_who_is_rung_and_an_offer_that_new_groups_end_are_found() {
    let other = Input::Configured { config: Box::new(config("serial", &["b"])) };
    let mut story = Story::begin("serial", &["a", "b"]);
    story.told(&other).step();
    story.offer("a");
    story.finds("I18");

    let mut story = Story::begin("serial", &["a", "b"]);
    let offer = story.offer("a");
    story.step().told(&Input::OfferProgressed { offer, ringing: true }).step().wait(3).told(&other);
    let (reason, cancel) = (Withdrawal::CallerGone, CancelWhen::Now);
    story.saw(Output::Withdraw { offer, reason, cancel }).finds("I18");
}

/// His phone answered and so did his second device, which is being hung up; now the phone hangs up, which ends the call.
#[test]
fn a_second_device_that_is_still_being_hung_up_is_no_breach() {
    let mut world = World::new(config("serial", &["a"]));
    let call = world.call("sales");
    for dialog in [DialogNo(1), DialogNo(2)] {
        world.tell(Input::OfferAnswered { offer: OfferNo(1), dialog, diverted: false });
    }
    world.tell(Input::Bridged { call, unconfirmed: false });
    world.tell(Input::OfferDialogEnded { offer: OfferNo(1), dialog: DialogNo(1) });
    world.call("sales");
    assert_eq!(world.watch.faults, Vec::<String>::new());
}

/// A phone that answers when its offer was given up is hung up at once; its agent may be rung meanwhile.
#[test]
fn an_answer_after_the_last_moment_keeps_nobody_from_calls() {
    let mut world = World::new(config("serial", &["a"]));
    world.call("sales");
    world.wait_seconds(37);
    world.tell(Input::OfferAnswered { offer: OfferNo(1), dialog: DialogNo(1), diverted: false });
    world.wait_seconds(5);
    world.call("sales");
    assert_eq!(world.watch.faults, Vec::<String>::new());
    assert!(world.watch.offers_made > 1, "he is rung again");
}
