//! Who makes the offer, and who answers it.

use super::*;

/// An INVITE of ann without an offer rings bob; his 200 with the offer has come.
fn asked_for_an_offer() -> (World, Call, Response) {
    let mut world = World::new();
    world.register("bob", &[41_000]);
    let call = place(&mut world, out_of_dialog(Method::Invite, "sip:bob@example.com", "ann", "c1"));
    let (transaction, request) = &call.rung[0];
    assert!(request.body.is_empty());
    assert!(!request.headers.has_token("Supported", "100rel"), "the offer is to come in the 200");
    world.respond(*transaction, answer_to(request, 200).with_body(SDP, sdp_body(31_000)));
    let ok = final_response(&mut world, call.transaction);
    assert_eq!((ok.status, &ok.body), (200, &sdp_body(31_000).into()));
    assert!(acks(&world).is_empty(), "the callee's ACK waits for the answer");
    (world, call, ok)
}

fn acks(world: &World) -> Vec<Request> {
    let ack = |command: &SipCommand| match command {
        SipCommand::SendAck { request, .. } => Some(request.clone()),
        _ => None,
    };
    world.sip.iter().filter_map(ack).collect()
}

#[test]
fn an_offer_in_the_200_is_answered_in_the_ack() {
    let (mut world, call, ok) = asked_for_an_offer();
    let (transaction, request) = &call.rung[0];
    world.respond(*transaction, answer_to(request, 200).with_body(SDP, sdp_body(31_000)));
    assert!(world.take_requests(&Method::Bye).is_empty(), "a repeated 200 is not another answer");
    world.ack(in_dialog(Method::Ack, &call.invite, &ok, 1).with_body(SDP, sdp_body(30_000)));
    let answers = acks(&world);
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0].call_id(), &answers[0].body), (request.call_id(), &sdp_body(30_000).into()));
    world.respond(*transaction, answer_to(request, 200).with_body(SDP, sdp_body(31_000)));
    assert_eq!(acks(&world).len(), 2, "a repeated 200 gets the same ACK");
    let hold = in_dialog(Method::Invite, &call.invite, &ok, 2).with_body(SDP, sdp_body(30_002));
    world.request(hold, None);
    assert_eq!(world.take_requests(&Method::Invite)[0].1.body, sdp_body(30_002), "the session can be changed");
}

#[test]
fn a_caller_who_does_not_answer_the_offer_ends_the_call_for_both() {
    let (mut world, call, ok) = asked_for_an_offer();
    world.ack(in_dialog(Method::Ack, &call.invite, &ok, 1));
    assert_eq!(acks(&world).len(), 1, "the callee's 200 is acknowledged before his BYE");
    assert_eq!(world.take_requests(&Method::Bye).len(), 2);

    let (mut world, call, _) = asked_for_an_offer();
    world.input(engine::Input::Sip(sip_api::SipEvent::AckMissing { transaction: call.transaction }));
    assert_eq!((acks(&world).len(), world.take_requests(&Method::Bye).len()), (1, 2));
    nothing_is_left(&mut world);
}

#[test]
fn a_200_without_an_offer_to_an_invite_without_one_is_no_session() {
    let mut world = World::new();
    world.register("bob", &[41_000]);
    let call = place(&mut world, out_of_dialog(Method::Invite, "sip:bob@example.com", "ann", "c1"));
    world.respond(call.rung[0].0, answer_to(&call.rung[0].1, 200));
    assert_eq!(status(&mut world, call.transaction), 502);
    nothing_is_left(&mut world);
}

#[test]
fn whoever_answers_an_offer_with_something_else_is_a_bad_gateway() {
    for body in [None, Some("<html>not found</html>")] {
        let mut world = World::new();
        world.register("bob", &[41_000]);
        let invite = out_of_dialog(Method::Invite, "sip:bob@example.com", "ann", "c1");
        let call = place(&mut world, invite.with_body("application/sdp", sdp_body(30_000)));
        let answer = answer_to(&call.rung[0].1, 200);
        let answer = body.map_or_else(|| answer.clone(), |body| answer.clone().with_body("text/html", body));
        world.respond(call.rung[0].0, answer);
        assert_eq!(world.take_requests(&Method::Bye).len(), 1, "his call is ended");
        assert_eq!(status(&mut world, call.transaction), 502, "{body:?}");
    }
}

const TWO_OFFERS: &str = "--b\r\nContent-Type: application/sdp\r\nContent-Disposition: session; handling=optional; \
    ms-proxy-2007fallback\r\n\r\nv=0\r\ns=06\r\n\r\n--b\r\nContent-Type: application/sdp\r\nContent-Disposition: \
    session; handling=optional\r\n\r\nv=0\r\ns=19\r\n\r\n--b--\r\n";

#[test]
fn c69_a_callee_who_cannot_read_two_offers_gets_the_marked_one_once() {
    let mut world = World::new();
    world.register("bob", &[41_000]);
    let two = invite("sip:bob@example.com").with_body("multipart/alternative;boundary=b", TWO_OFFERS);
    let call = place(&mut world, two);
    world.respond(call.rung[0].0, answer_to(&call.rung[0].1, 415));
    let (again, request) = world.take_requests(&Method::Invite).pop().expect("once more");
    assert_eq!((request.headers.get("Content-Type"), &request.body), (Some(SDP), &"v=0\r\ns=06\r\n".into()));
    assert_eq!((request.call_id(), request.cseq()), (call.rung[0].1.call_id(), Some(2)));
    world.respond(again, answer_to(&request, 415));
    assert!(world.take_requests(&Method::Invite).is_empty());
    assert_eq!(status(&mut world, call.transaction), 415);
    nothing_is_left(&mut world);
}

/// Where the caller falls back to dial-out when he is refused so (C69).
#[test]
fn c69_an_invitation_to_a_conference_is_refused_with_415_or_accepted_without_a_body() {
    for (answer, wanted) in [(415, 415), (200, 200)] {
        let mut world = World::new();
        world.register("bob", &[41_000]);
        let app_invite = invite("sip:bob@example.com").with_body("application/ms-conf-invite+xml", "<Conferencing/>");
        let call = place(&mut world, app_invite);
        let (transaction, request) = &call.rung[0];
        assert_eq!(request.headers.get("Content-Type"), Some("application/ms-conf-invite+xml"));
        world.respond(*transaction, answer_to(request, answer));
        let told = final_response(&mut world, call.transaction);
        assert_eq!((told.status, told.body.len()), (wanted, 0));
        assert!(world.take_requests(&Method::Bye).is_empty());
    }
}

/// ann, whose phone knows 100rel, calls bob.
fn ring_reliably() -> (World, Call) {
    let mut world = World::new();
    world.register("bob", &[41_000]);
    let mut invite = invite("sip:bob@example.com");
    invite.headers.set("Supported", "timer, 100rel");
    let call = place(&mut world, invite);
    (world, call)
}

#[test]
fn c32_early_media_goes_reliably_to_a_caller_who_knows_100rel() {
    let (mut world, call) = ring_reliably();
    let (transaction, request) = &call.rung[0];
    world.respond(*transaction, answer_to(request, 183).with_body(SDP, sdp_body(31_000)));
    let told = final_response(&mut world, call.transaction);
    let rseq = told.headers.get("RSeq").expect("it is numbered").to_owned();
    assert_eq!((told.status, told.headers.get("Require"), &told.body), (183, Some("100rel"), &sdp_body(31_000).into()));
    let mut prack = in_dialog(Method::Prack, &call.invite, &told, 2);
    prack.headers.push("RAck", format!("{rseq} 1 INVITE"));
    let prack = world.request(prack, None);
    assert_eq!(status(&mut world, prack), 200);
    world.respond(*transaction, answer_to(request, 200).with_body(SDP, sdp_body(31_000)));
    let ok = final_response(&mut world, call.transaction);
    assert_eq!(ok.status, 200);
    world.ack(in_dialog(Method::Ack, &call.invite, &ok, 1));
    assert!(world.take_requests(&Method::Invite).is_empty(), "nothing has changed");
}

#[test]
fn an_answer_that_differs_from_the_early_one_is_offered_once_the_caller_is_connected() {
    let (mut world, call) = ring_reliably();
    let (transaction, request) = &call.rung[0];
    world.respond(*transaction, answer_to(request, 183).with_body(SDP, sdp_body(31_000)));
    let told = final_response(&mut world, call.transaction);
    let mut prack = in_dialog(Method::Prack, &call.invite, &told, 2);
    prack.headers.push("RAck", format!("{} 1 INVITE", told.headers.get("RSeq").expect("it is numbered")));
    world.request(prack, None);
    world.respond(*transaction, answer_to(request, 200).with_body(SDP, sdp_body(31_008)));
    let ok = final_response(&mut world, call.transaction);
    assert_eq!((ok.status, &ok.body), (200, &sdp_body(31_000).into()));
    world.ack(in_dialog(Method::Ack, &call.invite, &ok, 1));
    let (_, reinvite) = world.take_requests(&Method::Invite).pop().expect("the caller is told");
    assert_eq!((reinvite.call_id(), &reinvite.body), (call.invite.call_id(), &sdp_body(31_008).into()));
}
