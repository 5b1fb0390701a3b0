//! Phones whose connections ended with the process: what is to be said to them waits until they register anew.

use super::taken_up::rings;
use crate::world::groups::{
    Caller, check_drained, config, dial, ok, outcomes, parallel, request_of, restarted, sales, story,
};
use crate::world::{World, answer_to, user};
use base::Duration;
use engine::Input;
use response_group::{AgentStatus, Config, Failure, Method as Hunt, Outcome};
use sip_api::{ClientFailure, ClientTransactionId, Flow, Method, SipCommand, SipEvent, Transport};

fn plain() -> Config {
    config(sales(Hunt::Parallel, &["bob"]))
}

/// Ann waits while bob's phone rings, or they talk. Both came by TLS.
fn by_tls(talking: bool) -> (World, Caller) {
    let mut world = World::new();
    world.transport = Transport::Tls;
    world.open_groups(plain(), &[]);
    world.register("bob", &[41_000]);
    let caller = dial(&mut world, 1);
    let (transaction, invite) = &caller.rung[0];
    world.respond(*transaction, if talking { ok(invite) } else { answer_to(invite, 180) });
    (world, caller)
}

/// Says of everything that was sent that it could not be, as long as something is.
fn nobody_listens(world: &mut World) {
    loop {
        let sent = world.sip.extract_if(.., |command| matches!(command, SipCommand::Send { .. }));
        let sent: Vec<_> = sent.collect();
        if sent.is_empty() {
            return;
        }
        for command in sent {
            let SipCommand::Send { transaction, .. } = command else { continue };
            world.input(Input::Sip(SipEvent::Failed { transaction, failure: ClientFailure::Transport }));
        }
    }
}

/// The process that comes after a crash, to which nobody is connected.
fn alone(world: &World) -> World {
    let mut after = restarted(world, plain(), &world.journal);
    after.transport = Transport::Tls;
    // What the store knows of him, which is not true any more.
    after.register("bob", &[41_000]);
    nobody_listens(&mut after);
    after.sip.clear();
    after
}

fn status_of_bob(world: &World) -> AgentStatus {
    let board = world.engine.wallboard(world.now).expect("there are groups");
    board.agents.iter().find(|agent| agent.uri == user("bob")).expect("an agent").status.clone()
}

fn way_of(world: &World, transaction: ClientTransactionId) -> Option<Flow> {
    world.sip.iter().find_map(|command| match command {
        SipCommand::Send { transaction: sent, flow, .. } if *sent == transaction => *flow,
        _ => None,
    })
}

/// The one request to a phone that has registered from this port.
fn sent_to(world: &mut World, port: u16, method: &Method, call_id: &str) -> ClientTransactionId {
    let is_it = |command: &SipCommand| match command {
        SipCommand::Send { transaction, request, .. } => {
            (request.method == *method && request.call_id() == call_id).then_some(*transaction)
        }
        _ => None,
    };
    let found: Vec<ClientTransactionId> = world.sip.iter().filter_map(is_it).collect();
    let [transaction] = found[..] else { panic!("one {method} of {call_id}: {:?}", world.sip) };
    assert_eq!(way_of(world, transaction), Some(world.flow(port)), "over the new connection");
    transaction
}

#[test]
fn a_caller_keeps_his_place_when_he_registers_anew_and_a_ringing_phone_is_silenced_when_it_does() {
    let (world, caller) = by_tls(false);
    let offer = caller.rung[0].1.clone();
    let mut after = alone(&world);
    after.pass(Duration::from_secs(20));
    assert!(outcomes(&after).is_empty() && after.sip.is_empty(), "both are waited for");
    assert_ne!(status_of_bob(&after), AgentStatus::Free, "his phone rings");

    after.register("ann", &[50_000]);
    let his = sent_to(&mut after, 50_000, &Method::Invite, caller.invite.call_id());
    let (_, reinvite) = request_of(&mut after, &Method::Invite, caller.invite.call_id()).expect("just seen");
    after.respond(his, ok(&reinvite));
    assert!(after.take_requests(&Method::Invite).is_empty(), "bob is not rung on top of the old ringing");

    after.register("bob", &[51_000]);
    let old = sent_to(&mut after, 51_000, &Method::Invite, offer.call_id());
    let cancelled =
        |command: &SipCommand| matches!(command, SipCommand::Cancel { transaction, .. } if *transaction == old);
    assert!(after.sip.iter().any(cancelled), "{:?}", after.sip);
    let (_, repeated) = request_of(&mut after, &Method::Invite, offer.call_id()).expect("just seen");
    assert_eq!(repeated.headers.get("CSeq"), offer.headers.get("CSeq"), "a retransmission");
    after.respond(old, answer_to(&repeated, 487));
    let (transaction, anew) = rings(&mut after, "bob");
    assert_ne!(anew.call_id(), offer.call_id());
    after.respond(transaction, ok(&anew));
    after.request(caller.bye(), Some(user("ann")));
    assert_eq!(outcomes(&after), [Outcome::Answered]);
    check_drained(&mut after);
}

#[test]
fn caller_and_agent_talk_on_when_both_have_registered_anew() {
    let (world, caller) = by_tls(true);
    let bob = caller.rung[0].1.call_id();
    let mut after = alone(&world);
    after.pass(Duration::from_secs(30));
    assert!(matches!(status_of_bob(&after), AgentStatus::Talking { .. }));
    for (name, port, call_id) in [("bob", 51_000, bob), ("ann", 50_000, caller.invite.call_id())] {
        after.register(name, &[port]);
        let transaction = sent_to(&mut after, port, &Method::Invite, call_id);
        let (_, reinvite) = request_of(&mut after, &Method::Invite, call_id).expect("just seen");
        after.respond(transaction, ok(&reinvite));
    }
    after.pass(Duration::from_secs(60));
    assert!(after.take_requests(&Method::Bye).is_empty() && outcomes(&after).is_empty(), "they talk");
    after.request(caller.bye(), Some(user("ann")));
    assert_eq!(outcomes(&after), [Outcome::Answered]);
    check_drained(&mut after);
}

#[test]
fn who_does_not_register_in_time_is_lost_and_is_hung_up_if_he_comes_later() {
    let (world, caller) = by_tls(true);
    let bob = caller.rung[0].1.call_id();
    let mut after = alone(&world);
    after.pass(Duration::from_secs(34));
    assert!(outcomes(&after).is_empty());
    after.pass(Duration::from_secs(2));
    nobody_listens(&mut after);
    assert_eq!(outcomes(&after), [Outcome::Failed { why: Failure::Restart }]);
    after.pass(Duration::from_secs(20));
    for (name, port, call_id) in [("ann", 50_000, caller.invite.call_id()), ("bob", 51_000, bob)] {
        after.register(name, &[port]);
        let transaction = sent_to(&mut after, port, &Method::Bye, call_id);
        let (_, bye) = request_of(&mut after, &Method::Bye, call_id).expect("just seen");
        after.respond(transaction, answer_to(&bye, 200));
    }
    assert_eq!(status_of_bob(&after), AgentStatus::Free);
    check_drained(&mut after);
}

#[test]
fn only_the_phone_that_was_lost_gets_what_waits() {
    let (world, caller) = by_tls(false);
    let mut after = alone(&world);
    after.register("cleo", &[52_000]);
    assert!(after.sip.is_empty(), "somebody else: {:?}", after.sip);
    // A phone that comes and goes: each of its connections is tried once.
    for port in [50_001, 50_002] {
        after.register("ann", &[port]);
        sent_to(&mut after, port, &Method::Invite, caller.invite.call_id());
        nobody_listens(&mut after);
        after.register("ann", &[port]);
        assert!(after.sip.is_empty(), "{:?}", after.sip);
    }
    let told = story_of(&world, &after);
    assert!(told.iter().any(|line| line.contains("it is waited for until it registers anew")), "{told:#?}");
    after.request(caller.bye(), Some(user("ann")));
    check_drained(&mut after);
}

/// What both processes have written down of the call.
fn story_of(before: &World, after: &World) -> Vec<String> {
    let mut whole = parallel();
    whole.journal = before.journal.iter().chain(&after.journal).cloned().collect();
    story(&whole, "1")
}
