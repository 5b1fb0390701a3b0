//! A call that stands: what either side sends, and how it ends.

use super::*;

#[test]
fn either_side_hangs_up_and_there_is_one_record() {
    for caller_hangs_up in [true, false] {
        let (mut world, talk) = talk();
        world.pass(Duration::from_secs(3));
        let mut bye =
            if caller_hangs_up { talk.caller_sends(Method::Bye, 2) } else { talk.callee_sends(Method::Bye, 1) };
        bye.headers.push("Reason", "Q.850;cause=16");
        let transaction = world.request(bye, None);
        assert_eq!(status(&mut world, transaction), 200);
        let byes = world.take_requests(&Method::Bye);
        assert_eq!(byes.len(), 1);
        assert_eq!(byes[0].1.headers.get("Reason"), Some("Q.850;cause=16"));
        let other = if caller_hangs_up { talk.callee.call_id() } else { talk.invite.call_id() };
        assert_eq!(byes[0].1.call_id(), other);
        world.respond(byes[0].0, answer_to(&byes[0].1, 200));
        let records = world.call_records();
        assert_eq!(records.len(), 1);
        assert_eq!((&records[0].caller, &records[0].callee), (&user("ann"), &user("bob")));
        assert_eq!(records[0].ended.since(records[0].connected), Duration::from_secs(3));
        assert_eq!(records[0].termination.reason, TerminationReason::Departed);
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_caller_who_never_acknowledges_is_hung_up_with_his_callee() {
    let (mut world, call) = ring(&[41_000]);
    let ok = answer_to(&call.rung[0].1, 200).with_body(SDP, sdp_body(31_000));
    world.respond(call.rung[0].0, ok);
    world.input(engine::Input::Sip(sip_api::SipEvent::AckMissing { transaction: call.transaction }));
    assert_eq!(world.take_requests(&Method::Bye).len(), 2);
    assert_eq!(world.call_records().len(), 1);
}

#[test]
fn hold_and_resume_pass_through_both_ways() {
    let (mut world, talk) = talk();
    let mut number = [1, 0];
    for (method, from_caller, direction) in [
        (Method::Invite, true, "sendonly"),
        (Method::Invite, false, "inactive"),
        (Method::Update, true, "sendrecv"),
        (Method::Invite, false, "sendrecv"),
    ] {
        let offer = format!("{}a={direction}\r\n", sdp_body(30_000));
        let answer = format!("{}a=answer-{direction}\r\n", sdp_body(31_000));
        let side = usize::from(!from_caller);
        number[side] += 1;
        let request = match from_caller {
            true => talk.caller_sends(method.clone(), number[side]),
            false => talk.callee_sends(method.clone(), number[side]),
        };
        let transaction = world.request(request.with_body(SDP, offer.clone()), None);
        let (relayed, reinvite) = world.take_requests(&Method::Invite).pop().expect("the offer goes on");
        assert_eq!(reinvite.body, offer);
        let ok = answer_to(&reinvite, 200).with_body(SDP, answer.clone());
        world.respond(relayed, ok);
        let response = final_response(&mut world, transaction);
        assert_eq!((response.status, response.body), (200, answer.into()), "{direction}");
        if method == Method::Invite {
            world.ack(match from_caller {
                true => talk.caller_sends(Method::Ack, number[side]),
                false => talk.callee_sends(Method::Ack, number[side]),
            });
        }
    }
}

#[test]
fn a_refused_offer_leaves_the_call_as_it_was() {
    let (mut world, talk) = talk();
    let transaction = world.request(talk.caller_sends(Method::Invite, 2).with_body(SDP, sdp_body(30_002)), None);
    let (relayed, reinvite) = world.take_requests(&Method::Invite).pop().expect("the offer goes on");
    world.respond(relayed, answer_to(&reinvite, 488));
    assert_eq!(status(&mut world, transaction), 488);
    assert_eq!(world.engine.call_count(), 1);
}

#[test]
fn two_offers_at_once_do_not_wait_for_each_other() {
    let (mut world, talk) = talk();
    let first = world.request(talk.caller_sends(Method::Invite, 2).with_body(SDP, sdp_body(30_002)), None);
    let (relayed, reinvite) = world.take_requests(&Method::Invite).pop().expect("the offer goes on");
    let second = world.request(talk.callee_sends(Method::Invite, 1).with_body(SDP, sdp_body(31_002)), None);
    assert_eq!(status(&mut world, second), 491);
    world.respond(relayed, answer_to(&reinvite, 200).with_body(SDP, sdp_body(31_000)));
    assert_eq!(status(&mut world, first), 200);
}

#[test]
fn an_offer_that_was_taken_back_is_undone_at_the_other_side() {
    let (mut world, talk) = talk();
    let transaction = world.request(talk.caller_sends(Method::Invite, 2).with_body(SDP, sdp_body(30_002)), None);
    let (relayed, reinvite) = world.take_requests(&Method::Invite).pop().expect("the offer goes on");
    let cancel = sip_api::SipEvent::Cancelled { transaction, reason: Vec::new() };
    world.input(engine::Input::Sip(cancel));
    assert_eq!(status(&mut world, transaction), 487);
    world.respond(relayed, answer_to(&reinvite, 200).with_body(SDP, sdp_body(31_000)));
    let (_, again) = world.take_requests(&Method::Invite).pop().expect("the old description is offered");
    assert_eq!(again.body, sdp_body(30_000));
}

#[test]
fn who_asks_for_an_offer_gets_the_other_sides_last_description() {
    let (mut world, talk) = talk();
    let transaction = world.request(talk.caller_sends(Method::Invite, 2), None);
    let ok = final_response(&mut world, transaction);
    assert_eq!((ok.status, ok.body), (200, sdp_body(31_000).into()));
    world.ack(talk.caller_sends(Method::Ack, 2).with_body(SDP, sdp_body(30_000)));
    assert!(world.take_requests(&Method::Invite).is_empty(), "nothing has changed");
    let transaction = world.request(talk.caller_sends(Method::Invite, 3), None);
    assert_eq!(status(&mut world, transaction), 200);
    world.ack(talk.caller_sends(Method::Ack, 3).with_body(SDP, sdp_body(30_002)));
    let (_, reinvite) = world.take_requests(&Method::Invite).pop().expect("the callee learns the new address");
    assert_eq!(reinvite.body, sdp_body(30_002));
}

#[test]
fn info_passes_through_both_ways() {
    let (mut world, talk) = talk();
    for from_caller in [true, false] {
        let info = if from_caller { talk.caller_sends(Method::Info, 2) } else { talk.callee_sends(Method::Info, 1) };
        let transaction = world.request(info.with_body("application/dtmf-relay", "Signal=5\r\n"), None);
        let (relayed, info) = world.take_requests(&Method::Info).pop().expect("it goes on");
        assert_eq!(info.body, "Signal=5\r\n");
        assert_eq!(info.headers.get("Content-Type"), Some("application/dtmf-relay"));
        assert!(world.take_responses(transaction).is_empty(), "the other side answers");
        world.respond(relayed, answer_to(&info, 200));
        assert_eq!(status(&mut world, transaction), 200);
    }
}

#[test]
fn a_server_that_stops_hangs_everybody_up() {
    let (mut world, _) = talk();
    world.input(engine::Input::Stop);
    let byes = world.take_requests(&Method::Bye);
    assert_eq!(byes.len(), 2);
    assert!(byes.iter().all(|(_, bye)| bye.headers.get("Reason").is_some_and(|reason| reason.contains("503"))));
    assert_eq!(world.call_records().len(), 1);
}

#[test]
fn a_peer_who_no_longer_refreshes_is_gone_for_both() {
    let (mut world, _) = talk();
    world.pass(Duration::from_secs(1_900));
    assert_eq!(world.engine.call_count(), 0, "nobody answers the refreshes");
    assert_eq!(world.call_records().len(), 1);
}
