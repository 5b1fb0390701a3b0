//! Who rings, for how long, and who wins.

use super::*;

#[test]
fn every_device_rings_with_the_callers_own_description_and_the_first_answer_wins() {
    let (mut world, call) = ring(&[41_000, 41_002]);
    for (_, request) in &call.rung {
        assert_eq!(request.body, call.invite.body);
        assert_eq!(request.headers.get("Max-Forwards"), Some("69"));
        assert_ne!(request.call_id(), call.invite.call_id());
        assert!(request.headers.get("From").is_some_and(|from| from.starts_with("\"ann\" <sip:ann@example.com>")));
    }
    world.respond(call.rung[0].0, answer_to(&call.rung[0].1, 180));
    assert_eq!(status(&mut world, call.transaction), 180);
    let ok = answer_to(&call.rung[1].1, 200).with_body(SDP, sdp_body(31_000));
    world.respond(call.rung[1].0, ok);
    let ok = final_response(&mut world, call.transaction);
    assert_eq!((ok.status, ok.body), (200, sdp_body(31_000).into()));
    let cancelled = cancelled(&world);
    assert_eq!(cancelled.len(), 1);
    assert_eq!(cancelled[0].0, call.rung[0].0);
    assert!(cancelled[0].1[0].contains("Call completed elsewhere"), "{cancelled:?}");
    assert!(world.mcu.is_empty(), "no conference and no media of ours");
    assert!(world.engine.conferences().is_empty());
}

#[test]
fn a_multipart_offer_is_not_touched() {
    let mut world = World::new();
    world.register("bob", &[41_000]);
    let body = "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--\r\n";
    let multipart = "multipart/alternative;boundary=b";
    let call = place(&mut world, invite("sip:bob@example.com").with_body(multipart, body));
    let (_, request) = &call.rung[0];
    assert_eq!((request.headers.get("Content-Type"), &request.body), (Some(multipart), &body.into()));
}

#[test]
fn early_media_goes_along_while_there_is_one_early_dialog() {
    let (mut world, call) = ring(&[41_000]);
    let (transaction, request) = &call.rung[0];
    let preview = |tag: &str| {
        let mut response = answer_to(request, 183).with_body(SDP, sdp_body(31_000));
        response.headers.set("To", format!("<sip:bob@example.com>;tag={tag}"));
        response
    };
    world.respond(*transaction, preview("one"));
    let told = final_response(&mut world, call.transaction);
    assert_eq!((told.status, told.body), (183, sdp_body(31_000).into()));
    world.respond(*transaction, preview("two"));
    let told = final_response(&mut world, call.transaction);
    assert_eq!((told.status, told.body.len()), (180, 0), "two early dialogs: whose media would it be?");
}

#[test]
fn early_media_of_one_of_several_devices_is_a_ringing_tone() {
    let (mut world, call) = ring(&[41_000, 41_002]);
    for (transaction, request) in &call.rung {
        world.respond(*transaction, answer_to(request, 183).with_body(SDP, sdp_body(31_000)));
    }
    let told = world.take_responses(call.transaction);
    assert_eq!(told.iter().map(|told| (told.status, told.body.len())).collect::<Vec<_>>(), [(180, 0)]);
}

#[test]
fn the_callees_refusal_is_the_callers() {
    for (refusal, told) in [
        (486, 486),
        (603, 603),
        (404, 404),
        (480, 480),
        (488, 488),
        (600, 600),
        (408, 480),
        (302, 480),
        (401, 500),
        (503, 500),
    ] {
        let (mut world, call) = ring(&[41_000]);
        world.respond(call.rung[0].0, answer_to(&call.rung[0].1, refusal));
        assert_eq!(status(&mut world, call.transaction), told, "{refusal}");
        assert!(world.call_records().is_empty());
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_has_no_device_is_not_available_and_no_mailbox_answers() {
    let mut world = World::new();
    let call = place(&mut world, invite("sip:bob@example.com"));
    assert_eq!(status(&mut world, call.transaction), 480);
    nothing_is_left(&mut world);
}

#[test]
fn nobody_answers_for_ever() {
    let (mut world, call) = ring(&[41_000]);
    world.respond(call.rung[0].0, answer_to(&call.rung[0].1, 180));
    world.take_responses(call.transaction);
    world.pass(Duration::from_secs(121));
    assert_eq!(status(&mut world, call.transaction), 480);
    assert_eq!(cancelled(&world), [(call.rung[0].0, Vec::new())], "a missed call is one");
    nothing_is_left(&mut world);
}

#[test]
fn the_caller_gives_up_and_his_reason_goes_along() {
    let (mut world, call) = ring(&[41_000, 41_002]);
    world.respond(call.rung[0].0, answer_to(&call.rung[0].1, 180));
    let reason = vec!["SIP;cause=200;text=\"Call completed elsewhere\"".to_owned()];
    world.take_responses(call.transaction);
    world.input(engine::Input::Sip(sip_api::SipEvent::Cancelled {
        transaction: call.transaction,
        reason: reason.clone(),
    }));
    assert_eq!(status(&mut world, call.transaction), 487);
    let cancelled = cancelled(&world);
    assert_eq!(cancelled.len(), 2);
    assert!(cancelled.iter().all(|(_, told)| *told == reason));
    nothing_is_left(&mut world);
}

#[test]
fn an_answer_that_crosses_the_callers_cancel_is_hung_up() {
    let (mut world, call) = ring(&[41_000]);
    let cancel = sip_api::SipEvent::Cancelled { transaction: call.transaction, reason: Vec::new() };
    world.input(engine::Input::Sip(cancel));
    let ok = answer_to(&call.rung[0].1, 200).with_body(SDP, sdp_body(31_000));
    world.respond(call.rung[0].0, ok);
    assert_eq!(world.take_requests(&Method::Bye).len(), 1);
    assert!(world.call_records().is_empty());
}
