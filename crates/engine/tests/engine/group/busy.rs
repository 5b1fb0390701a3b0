//! Agents who are busy outside the groups: whoever calls somebody, or is being rung, is not offered calls either.

use crate::world::groups::{Caller, SDP, check_drained, config, dial, ok, open, sales};
use crate::world::{World, answer_to, in_dialog, out_of_dialog, sdp_body, user};
use engine::{EngineEvent, GroupJournal, SupervisorState};
use response_group::{AgentStatus, Entry, Ineligible, Method as Hunt, Why};
use sip_api::{ClientTransactionId, Method, Request, ServerTransactionId};

type Rung = Vec<(ClientTransactionId, Request)>;

fn status(world: &World) -> AgentStatus {
    let board = world.engine.wallboard(world.now).expect("there are groups");
    board.agents.into_iter().find(|agent| agent.uri == user("bob")).expect("he is an agent").status
}

fn busy(why: Ineligible) -> AgentStatus {
    AgentStatus::NotAvailable { why }
}

/// Why bob was not rung, as `explain call` says.
fn told_of_bob(world: &World) -> String {
    let machine = world.journal.iter().filter_map(|record| match record {
        GroupJournal::Machine(entry) => Some(entry.clone()),
        GroupJournal::Wire(_) => None,
    });
    let entries: Vec<Entry> = machine.collect();
    let story = response_group::explain(&entries, "c1").expect("it can be replayed").expect("it is there");
    let line = story.lines.into_iter().find(|line| !line.agents.is_empty()).expect("a decision");
    match line.agents[0].why {
        Why::Ineligible { reason } => reason.to_string(),
        why => format!("{why:?}"),
    }
}

/// Who calls whom outside the groups: the INVITE, and whom it rings.
fn call(world: &mut World, from: &str, to: &str) -> (Request, ServerTransactionId, Rung) {
    let target = format!("sip:{to}@example.com");
    let invite = out_of_dialog(Method::Invite, &target, from, "direct").with_body(SDP, sdp_body(36_000));
    let transaction = world.request(invite.clone(), Some(user(from)));
    let rung = world.take_requests(&Method::Invite);
    (invite, transaction, rung)
}

fn cancel(world: &mut World, transaction: ServerTransactionId, rung: &Rung) {
    world.input(engine::Input::Sip(sip_api::SipEvent::Cancelled { transaction, reason: Vec::new() }));
    for (client, invite) in rung {
        let terminated = answer_to(invite, 487);
        world.respond(*client, terminated);
    }
}

/// bob has just become free, and a caller waits.
fn is_rung_now(world: &mut World, caller: &Caller) {
    assert_eq!(status(world), AgentStatus::Ringing { call: base::CallId(1) });
    let rung = world.take_requests(&Method::Invite);
    assert_eq!(rung.len(), 1, "as soon as he is free, without waiting for anything");
    world.put_back(rung);
    world.request(caller.bye(), None);
    for (client, invite) in world.take_requests(&Method::Invite) {
        let terminated = answer_to(&invite, 487);
        world.respond(client, terminated);
    }
    check_drained(world);
}

#[test]
fn an_agent_who_calls_somebody_is_not_rung_until_that_is_over() {
    let mut world = open(sales(Hunt::Parallel, &["bob"]));
    let (_, transaction, rung) = call(&mut world, "bob", "cleo");
    assert_eq!(rung.len(), 1);
    assert_eq!(status(&world), busy(Ineligible::Calling));
    let caller = dial(&mut world, 1);
    assert!(caller.rung.is_empty(), "he dials");
    assert_eq!(told_of_bob(&world), "he is calling somebody");
    cancel(&mut world, transaction, &rung);
    is_rung_now(&mut world, &caller);
}

#[test]
fn an_agent_whose_phone_rings_for_a_direct_call_is_not_rung_until_that_is_over() {
    let mut world = open(sales(Hunt::Parallel, &["bob"]));
    let (invite, transaction, rung) = call(&mut world, "dave", "bob");
    assert_eq!(status(&world), busy(Ineligible::RungOutside));
    let caller = dial(&mut world, 1);
    assert!(caller.rung.is_empty(), "his phone rings already");
    assert_eq!(told_of_bob(&world), "his phone rings for another call");
    let answer = ok(&rung[0].1);
    world.respond(rung[0].0, answer);
    let accepted = world.take_responses(transaction).pop().expect("answered");
    world.ack(in_dialog(Method::Ack, &invite, &accepted, 1));
    assert_eq!(status(&world), busy(Ineligible::ExternalCall));
    assert!(world.take_requests(&Method::Invite).is_empty());
    world.request(in_dialog(Method::Bye, &invite, &accepted, 2), None);
    is_rung_now(&mut world, &caller);
}

#[test]
fn who_declines_a_direct_call_is_rung_at_once_and_who_has_the_next_device_is_not() {
    let mut world = open(sales(Hunt::Parallel, &["bob"]));
    world.register("bob", &[41_000, 41_002]);
    let (_, _, rung) = call(&mut world, "dave", "bob");
    assert_eq!(rung.len(), 2);
    let caller = dial(&mut world, 1);
    let busy_here = answer_to(&rung[0].1, 486);
    world.respond(rung[0].0, busy_here);
    assert_eq!(status(&world), busy(Ineligible::RungOutside), "the other device still rings");
    let busy_here = answer_to(&rung[1].1, 486);
    world.respond(rung[1].0, busy_here);
    assert!(matches!(status(&world), AgentStatus::Ringing { .. }));
    assert_eq!(world.take_requests(&Method::Invite).len(), 2);
    world.request(caller.bye(), None);
}

/// A conference calls him.
#[test]
fn an_agent_whom_a_conference_calls_is_not_rung_until_that_is_over() {
    let mut world = open(sales(Hunt::Parallel, &["bob"]));
    let join = out_of_dialog(Method::Invite, "sip:1234@example.com", "ann", "j1").with_body(SDP, sdp_body(36_000));
    let transaction = world.request(join.clone(), Some(user("ann")));
    let admitted = world.take_responses(transaction).pop().expect("she is in");
    world.ack(in_dialog(Method::Ack, &join, &admitted, 1));
    let mut refer = in_dialog(Method::Refer, &join, &admitted, 2);
    refer.headers.push("Refer-To", "<sip:bob@example.com>");
    world.request(refer, None);
    let rung = world.take_requests(&Method::Invite);
    assert_eq!(rung.len(), 1);
    assert_eq!(status(&world), busy(Ineligible::RungOutside));
    let declined = answer_to(&rung[0].1, 486);
    world.respond(rung[0].0, declined);
    assert_eq!(status(&world), AgentStatus::Free);
}

/// A supervisor sends a group's caller on to him.
#[test]
fn an_agent_to_whom_a_caller_is_sent_on_is_not_rung_meanwhile() {
    let mut world = open(sales(Hunt::Serial, &["cleo", "bob"]));
    world.register("dave", &[43_000]);
    let caller = dial(&mut world, 1);
    let (client, invite) = &caller.rung[0];
    world.respond(*client, ok(invite));
    let transfer = |target: &str| {
        let target = response_group::Action::Forward { target: user(target) };
        engine::Input::Group(engine::GroupCommand::Transfer { call: base::CallId(1), target })
    };
    world.input(transfer("bob"));
    let rung = world.take_requests(&Method::Invite);
    assert_eq!(rung.len(), 1);
    assert_eq!(status(&world), busy(Ineligible::RungOutside));
    let declined = answer_to(&rung[0].1, 603);
    world.respond(rung[0].0, declined);
    assert!(matches!(status(&world), AgentStatus::Ringing { .. }), "the caller waits again, and now he may be rung");
}

#[test]
fn an_attendant_group_rings_whoever_is_not_to_be_left_in_peace() {
    let mut world = open(sales(Hunt::Attendant, &["bob"]));
    let (_, transaction, rung) = call(&mut world, "bob", "cleo");
    let caller = dial(&mut world, 1);
    assert_eq!(caller.rung.len(), 1, "its agents are rung whatever else they do");
    cancel(&mut world, transaction, &rung);
    world.request(caller.bye(), None);
}

/// Changed groups make somebody an agent who calls somebody at that moment.
#[test]
fn whoever_becomes_an_agent_while_he_calls_somebody_is_not_rung() {
    let mut world = open(sales(Hunt::Parallel, &["cleo"]));
    world.register("dave", &[43_000]);
    call(&mut world, "bob", "dave");
    let later = Box::new(config(sales(Hunt::Parallel, &["bob"])));
    world.input(engine::Input::Group(engine::GroupCommand::Configure { config: later }));
    assert_eq!(status(&world), busy(Ineligible::Calling));
}

/// He signs in from his phone while a caller waits: he is rung when he has put it down.
#[test]
fn an_agent_who_dials_a_feature_code_is_not_rung_until_that_is_over() {
    let mut group = sales(Hunt::Parallel, &["bob"]);
    group.agent_groups[0].participation = response_group::Participation::Formal;
    let mut world = open(group);
    let caller = dial(&mut world, 1);
    let code = out_of_dialog(Method::Invite, "sip:*55@example.com", "bob", "code").with_body(SDP, sdp_body(36_000));
    let transaction = world.request(code.clone(), Some(user("bob")));
    let accepted = world.take_responses(transaction).pop().expect("he is answered");
    assert_eq!(status(&world), busy(Ineligible::ExternalCall));
    assert!(world.take_requests(&Method::Invite).is_empty(), "he is still told that it was done");
    world.ack(in_dialog(Method::Ack, &code, &accepted, 1));
    assert_eq!(world.take_requests(&Method::Bye).len(), 1, "told, then hung up");
    is_rung_now(&mut world, &caller);
}

/// That is when the caller hangs up, or is sent on.
#[test]
fn an_agent_who_supervises_is_not_rung_until_that_is_over() {
    for sent_on in [false, true] {
        let mut world = open(sales(Hunt::Serial, &["cleo", "bob"]));
        world.register("dave", &[43_000]);
        let first = dial(&mut world, 1);
        world.respond(first.rung[0].0, ok(&first.rung[0].1));
        let call = base::CallId(1);
        let mode = response_group::MonitorMode::Listen;
        let command = engine::GroupCommand::Monitor { call, supervisor: user("bob"), mode };
        world.input(engine::Input::Group(command));
        let rung = world.take_requests(&Method::Invite);
        assert_eq!(status(&world), busy(Ineligible::RungOutside));
        world.respond(rung[0].0, ok(&rung[0].1));
        assert_eq!(status(&world), busy(Ineligible::ExternalCall));
        if sent_on {
            let target = response_group::Action::Forward { target: user("dave") };
            world.input(engine::Input::Group(engine::GroupCommand::Transfer { call, target }));
        } else {
            world.request(first.bye(), None);
        }
        let bye = world.take_requests(&Method::Bye);
        let (transaction, bye) = bye.iter().find(|(_, bye)| bye.call_id() == rung[0].1.call_id()).expect("hung up");
        world.respond(*transaction, answer_to(bye, 200));
        assert_eq!(status(&world), AgentStatus::Free, "sent on: {sent_on}");
        let left =
            |event: &EngineEvent| matches!(event, EngineEvent::GroupSupervisor { state: SupervisorState::Left, .. });
        assert_eq!(world.events.iter().filter(|event| left(event)).count(), 1, "sent on: {sent_on}");
    }
}
