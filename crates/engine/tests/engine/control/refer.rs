//! REFER to a conference: adding people, sending them away, and called users who send the call elsewhere.

use crate::world::{World, answer_to, in_dialog, out_of_dialog, sdp_body, user};
use focus::EndpointStatus::{Alerting, Connected, DialingOut};
use sip_api::{ClientTransactionId, Method, Request, Response, SipCommand};

const CONFERENCE: &str = "sip:1234@example.com";

/// A world in which ann, whose conference it is, is in.
fn meeting() -> (World, Request, Response) {
    let mut world = World::new();
    let invite = out_of_dialog(Method::Invite, CONFERENCE, "ann", "c1").with_body("application/sdp", sdp_body(30_000));
    let transaction = world.request(invite.clone(), Some(user("ann")));
    let ok = world.take_responses(transaction).pop().expect("a final response");
    assert_eq!(ok.status, 200);
    world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
    (world, invite, ok)
}

fn refer(from: &str, call_id: &str, refer_to: &str) -> Request {
    let mut refer = out_of_dialog(Method::Refer, CONFERENCE, from, call_id);
    refer.headers.push("Refer-To", refer_to);
    refer
}

/// Has ann refer outside her dialog; expects 202 and gives whom that rings.
fn add(world: &mut World, refer_to: &str) -> Vec<(ClientTransactionId, Request)> {
    let transaction = world.request(refer("ann", "r1", refer_to), Some(user("ann")));
    assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(202));
    world.take_requests(&Method::Invite)
}

fn moved(request: &Request, status: u16, contact: &str) -> Response {
    let mut moved = answer_to(request, status);
    moved.headers.set("Contact", contact);
    moved
}

fn answer(world: &mut World, rung: &(ClientTransactionId, Request)) {
    world.respond(rung.0, answer_to(&rung.1, 200).with_body("application/sdp", sdp_body(31_000)));
}

fn last_progress(world: &mut World) -> String {
    let bodies = world.take_bodies(&Method::Notify);
    bodies.last().expect("the referrer is told").trim().to_owned()
}

#[test]
fn a_user_adds_somebody_outside_his_dialog_and_is_told_how_it_goes() {
    let (mut world, ..) = meeting();
    world.register("cleo", &[41_000]);
    let rung = add(&mut world, "<sip:cleo@example.com>");
    assert_eq!(last_progress(&mut world), "SIP/2.0 100 Trying");
    assert_eq!(world.statuses()[1], ("sip:cleo@example.com".to_owned(), vec![DialingOut]));
    answer(&mut world, &rung[0]);
    assert_eq!(world.statuses()[1].1, [Connected]);
    assert_eq!(last_progress(&mut world), "SIP/2.0 200 OK");
}

#[test]
fn who_refers_must_prove_who_he_is_and_lead_the_conference() {
    let (mut world, ..) = meeting();
    world.register("cleo", &[41_000]);
    let transaction = world.request(refer("ann", "r1", "<sip:cleo@example.com>"), None);
    assert!(world.is_challenged(transaction));
    let transaction = world.request(refer("bob", "r2", "<sip:cleo@example.com>"), Some(user("bob")));
    assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(403));
    assert!(world.take_requests(&Method::Notify).is_empty(), "no subscription began");
    assert!(world.take_requests(&Method::Invite).is_empty());
    assert_eq!(world.engine.load().calls.subscriptions, 0);
}

#[test]
fn what_can_only_fail_is_refused_at_once() {
    let (mut world, ..) = meeting();
    for (refer_to, status) in [
        ("<sip:nobody@example.com>", 404),
        ("<sip:cleo@elsewhere.example>", 403),
        ("<sip:bob@example.com;method=BYE>", 404),
    ] {
        let transaction = world.request(refer("ann", refer_to, refer_to), Some(user("ann")));
        let answered = world.take_responses(transaction).pop().map(|response| response.status);
        assert_eq!(answered, Some(status), "{refer_to}");
        assert!(world.take_requests(&Method::Notify).is_empty(), "{refer_to}");
    }
    assert_eq!(world.statuses().len(), 1, "ann is alone");
}

#[test]
fn a_conference_takes_nobody_out_of_another_call() {
    let (mut world, ..) = meeting();
    world.register("cleo", &[41_000]);
    let refer_to = "<sip:cleo@example.com?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>";
    let transaction = world.request(refer("ann", "r1", refer_to), Some(user("ann")));
    assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(501));
    assert!(world.take_requests(&Method::Invite).is_empty());
}

#[test]
fn a_refer_to_no_live_conference_is_refused() {
    let mut world = World::new();
    for (target, status) in [(CONFERENCE, 403), ("sip:bob@example.com", 404)] {
        let mut request = refer("ann", target, "<sip:cleo@example.com>");
        request.uri = crate::world::uri(target);
        let transaction = world.request(request, Some(user("ann")));
        assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(status), "{target}");
    }
}

#[test]
fn a_refer_with_method_bye_sends_somebody_away() {
    let (mut world, invite, ok) = meeting();
    world.register("cleo", &[41_000]);
    for inside in [true, false] {
        let rung = add(&mut world, "<sip:cleo@example.com>");
        answer(&mut world, &rung[0]);
        world.take_bodies(&Method::Notify);
        let refer_to = "<sip:cleo@example.com;method=BYE>";
        let request = match inside {
            true => {
                let mut request = in_dialog(Method::Refer, &invite, &ok, 2);
                request.headers.push("Refer-To", refer_to);
                request
            }
            false => refer("ann", "r2", refer_to),
        };
        world.request(request, (!inside).then(|| user("ann")));
        assert_eq!(last_progress(&mut world), "SIP/2.0 200 OK");
        let byes = world.take_requests(&Method::Bye);
        assert_eq!(byes.len(), 1);
        assert!(byes[0].1.headers.get("Reason").is_some_and(|reason| reason.contains("Removed")));
        assert_eq!(world.statuses().len(), 1, "ann is alone");
    }
    let transaction = world.request(refer("bob", "r3", "<sip:ann@example.com;method=BYE>"), Some(user("bob")));
    assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(403));
}

#[test]
fn a_refer_with_another_method_is_not_understood() {
    let (mut world, ..) = meeting();
    let transaction = world.request(refer("ann", "r1", "<sip:cleo@example.com;method=MESSAGE>"), Some(user("ann")));
    assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(400));
}

#[test]
fn a_called_user_sends_the_conference_to_his_telephone() {
    for contact in ["<tel:03055501234>", "<sip:03055501234@127.0.0.1:5060>", "<sip:x@[::1]>;q=0.9, <tel:03055501234>"] {
        let (mut world, ..) = meeting();
        world.register("cleo", &[41_000, 41_002]);
        let rung = add(&mut world, "<sip:cleo@example.com>");
        world.respond(rung[1].0, answer_to(&rung[1].1, 180));
        assert_eq!(world.statuses()[1].1, [Alerting]);
        world.respond(rung[0].0, moved(&rung[0].1, 302, contact));
        let cancelled = world
            .sip
            .iter()
            .any(|command| matches!(command, SipCommand::Cancel { transaction, .. } if *transaction == rung[1].0));
        assert!(cancelled, "his other device stops ringing");
        let trunk = world.take_requests(&Method::Invite).pop().expect("it goes on by a trunk");
        assert_eq!(trunk.1.uri.user.as_deref(), Some("+493055501234"), "{contact}");
        assert_eq!(world.statuses()[1].1, [Alerting], "the same endpoint, and no other");
        world.respond(rung[1].0, moved(&rung[1].1, 302, "<sip:bob@example.com>"));
        assert!(world.take_requests(&Method::Invite).is_empty(), "who was cancelled has no say any more");
        answer(&mut world, &trunk);
        assert_eq!(world.statuses()[1], ("sip:cleo@example.com".to_owned(), vec![Connected]));
        assert_eq!(last_progress(&mut world), "SIP/2.0 200 OK");
    }
}

#[test]
fn a_diversion_that_leads_nowhere_is_a_failure() {
    for contact in [
        "<sip:cleo@example.com>",
        "<sip:nobody@example.com>",
        "<sip:x@elsewhere.example>",
        "<sip:1234@example.com>",
        "garbage",
    ] {
        let (mut world, ..) = meeting();
        world.register("cleo", &[41_000]);
        let rung = add(&mut world, "<sip:cleo@example.com>");
        world.respond(rung[0].0, moved(&rung[0].1, 302, contact));
        assert!(world.take_requests(&Method::Invite).is_empty(), "{contact}");
        assert_eq!(world.statuses().len(), 1, "{contact}");
        assert_eq!(last_progress(&mut world), "SIP/2.0 404 Not Found", "{contact}");
    }
}

#[test]
fn a_call_is_diverted_four_times_at_most() {
    let (mut world, ..) = meeting();
    for (name, port) in [("cleo", 41_000), ("bob", 42_000), ("ann", 43_000), ("dave", 44_000), ("mailbox", 45_000)] {
        world.register(name, &[port]);
    }
    let mut rung = add(&mut world, "<sip:cleo@example.com>");
    for next in ["sip:bob@example.com", "sip:ann@example.com", "sip:dave@example.com", "sip:mailbox@example.com"] {
        world.respond(rung[0].0, moved(&rung[0].1, 301, &format!("<{next}>")));
        rung = world.take_requests(&Method::Invite);
        assert_eq!(rung.len(), 1, "{next}");
    }
    world.respond(rung[0].0, moved(&rung[0].1, 302, "<tel:03055501234>"));
    assert!(world.take_requests(&Method::Invite).is_empty());
    assert_eq!(last_progress(&mut world), "SIP/2.0 404 Not Found");
}

#[test]
fn who_was_ejected_while_he_rang_cannot_divert_any_more() {
    let (mut world, ..) = meeting();
    world.mcu_is_slow = true;
    world.register("cleo", &[41_000]);
    let rung = add(&mut world, "<sip:cleo@example.com>");
    world.request(refer("ann", "r2", "<sip:cleo@example.com;method=BYE>"), Some(user("ann")));
    world.respond(rung[0].0, moved(&rung[0].1, 302, "<sip:bob@example.com>"));
    assert!(world.take_requests(&Method::Invite).is_empty());
    assert_eq!(world.statuses().len(), 1);
}
