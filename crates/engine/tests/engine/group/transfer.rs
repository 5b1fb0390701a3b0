//! Agents who send their callers elsewhere: what the target is told, and what they are told themselves.

use crate::world::groups::{Caller, dial, ok, open, sales, story};
use crate::world::{World, answer_to, in_dialog_of_callee, user};
use engine::{GroupCommand, Input};
use response_group::{Method as Hunt, MonitorMode, ResponseGroup};
use sip_api::{Method, Request, Response};

/// ann talks with bob, an agent; dave has a phone.
fn talking(anonymous: bool) -> (World, Caller, Response) {
    let mut world = open(ResponseGroup { anonymous, ..sales(Hunt::Serial, &["bob"]) });
    world.register("dave", &[43_000]);
    world.register("ann", &[44_000]);
    let caller = dial(&mut world, 1);
    let (transaction, invite) = &caller.rung[0];
    let answer = ok(invite);
    world.respond(*transaction, answer.clone());
    (world, caller, answer)
}

/// REFER of the agent who answered this INVITE.
fn refer(caller: &Caller, answer: &Response, target: &str) -> Request {
    let mut refer = in_dialog_of_callee(Method::Refer, &caller.rung[0].1, answer, 1);
    refer.headers.push("Refer-To", format!("<sip:{target}@example.com>"));
    refer
}

#[test]
fn an_agent_is_told_with_which_status_the_target_refused() {
    for status in [486, 404, 603] {
        let (mut world, caller, answer) = talking(false);
        world.request(refer(&caller, &answer, "dave"), None);
        let rung = world.take_requests(&Method::Invite);
        world.take_bodies(&Method::Notify);
        let refusal = answer_to(&rung[0].1, status);
        world.respond(rung[0].0, refusal);
        let said = world.take_bodies(&Method::Notify).pop().expect("he is told");
        assert!(said.starts_with(&format!("SIP/2.0 {status}")), "{status}: {said}");
        let told = story(&world, "c1");
        let wanted = format!("sip:dave@example.com was not reached (SIP status {status}); sip:bob@example.com gets");
        assert!(told.iter().any(|line| line.starts_with(&wanted)), "{wanted}: {told:#?}");
    }
    let (mut world, caller, answer) = talking(false);
    world.request(refer(&caller, &answer, "zoe"), None);
    let said = world.take_bodies(&Method::Notify).pop().expect("he is told");
    assert!(said.starts_with("SIP/2.0 404"), "there is no such user: {said}");
}

#[test]
fn the_target_is_told_who_sends_the_caller_and_by_which_group() {
    for (anonymous, by) in [(false, "<sip:bob@example.com>"), (true, "<sip:sales@example.com>")] {
        let (mut world, caller, answer) = talking(anonymous);
        world.request(refer(&caller, &answer, "dave"), None);
        let (_, invite) = world.take_requests(&Method::Invite).pop().expect("he is rung");
        assert_eq!(invite.headers.get("Referred-By"), Some(by));
        assert_eq!(invite.headers.get("Diversion"), Some("<sip:sales@example.com>;reason=unconditional"));
        let history: Vec<&str> = invite.headers.get_all("History-Info").collect();
        let dave = "<sip:dave@example.com;cause=302>;index=1.1;mp=1";
        assert_eq!(history, ["<sip:sales@example.com>;index=1", dave]);
    }
}

#[test]
fn nobody_is_sent_back_to_himself() {
    for (target, status) in [("ann", 482), ("bob", 403)] {
        let (mut world, caller, answer) = talking(false);
        let transaction = world.request(refer(&caller, &answer, target), None);
        assert_eq!(world.take_responses(transaction).pop().expect("refused").status, status, "{target}");
        assert!(world.take_requests(&Method::Invite).is_empty(), "{target} is not rung");
    }
}

#[test]
fn it_is_told_who_transferred() {
    let (mut world, caller, answer) = talking(false);
    world.request(refer(&caller, &answer, "dave"), None);
    let rung = world.take_requests(&Method::Invite);
    world.respond(rung[0].0, ok(&rung[0].1));
    let told = story(&world, "c1");
    let wanted = "the call is over: sip:bob@example.com transferred the caller; he was sent to sip:dave@example.com";
    assert!(told.iter().any(|line| line == wanted), "{told:#?}");
}

/// Whoever listens cannot send anybody anywhere from his phone, least of all those he listens to to one another.
#[test]
fn a_supervisor_who_refers_is_told_why_not() {
    for target in ["ann", "bob", "dave"] {
        let (mut world, caller, _) = talking(false);
        let mode = MonitorMode::Listen;
        let monitor = GroupCommand::Monitor { call: base::CallId(1), supervisor: user("dave"), mode };
        world.input(Input::Group(monitor));
        let (transaction, invite) = world.take_requests(&Method::Invite).pop().expect("his phone rings");
        let answer = ok(&invite);
        world.respond(transaction, answer.clone());
        let mut refer = in_dialog_of_callee(Method::Refer, &invite, &answer, 1);
        refer.headers.push("Refer-To", format!("<sip:{target}@example.com>"));
        let transaction = world.request(refer, None);
        let refused = world.take_responses(transaction).pop().expect("refused");
        assert_eq!(refused.status, 403, "{target}");
        let why = refused.headers.get("Warning").expect("why");
        assert!(why.contains("callers are sent on by the command transfer"), "{why}");
        assert!(world.take_requests(&Method::Invite).is_empty() && world.take_requests(&Method::Bye).is_empty());
        world.request(caller.bye(), None);
    }
}
