//! Ordinary calls between people: two legs, first answer wins, and everything passes through.

use crate::world::{World, answer_to, in_dialog, out_of_dialog, sdp_body, user};
use base::{Duration, TerminationReason};
use engine::{CallRecord, EngineEvent};
use sip_api::{ClientTransactionId, Method, Request, Response, ServerTransactionId, SipCommand};

const SDP: &str = "application/sdp";

/// A call of ann, and whoever rings because of it.
struct Call {
    invite: Request,
    transaction: ServerTransactionId,
    rung: Vec<(ClientTransactionId, Request)>,
}

/// A call that stands: the dialogs of both legs.
struct Talk {
    invite: Request,
    ok: Response,
    callee: Request,
    callee_ok: Response,
}

fn invite(target: &str) -> Request {
    out_of_dialog(Method::Invite, target, "ann", "c1").with_body(SDP, sdp_body(30_000))
}

fn place(world: &mut World, invite: Request) -> Call {
    let transaction = world.request(invite.clone(), Some(user("ann")));
    let rung = world.take_requests(&Method::Invite);
    Call { invite, transaction, rung }
}

fn ring(ports: &[u16]) -> (World, Call) {
    let mut world = World::new();
    world.register("bob", ports);
    let call = place(&mut world, invite("sip:bob@example.com"));
    assert_eq!(call.rung.len(), ports.len());
    (world, call)
}

fn talk() -> (World, Talk) {
    let (mut world, call) = ring(&[41_000]);
    let (transaction, callee) = call.rung[0].clone();
    let callee_ok = answer_to(&callee, 200).with_body(SDP, sdp_body(31_000));
    world.respond(transaction, callee_ok.clone());
    let ok = final_response(&mut world, call.transaction);
    assert_eq!(ok.status, 200);
    world.ack(in_dialog(Method::Ack, &call.invite, &ok, 1));
    world.sip.clear();
    (world, Talk { invite: call.invite, ok, callee, callee_ok })
}

impl Talk {
    /// A request of the caller.
    fn caller_sends(&self, method: Method, number: u32) -> Request {
        in_dialog(method, &self.invite, &self.ok, number)
    }

    /// A request of the callee: his From is our To.
    fn callee_sends(&self, method: Method, number: u32) -> Request {
        let mut request = in_dialog(method, &self.callee, &self.callee_ok, number);
        let (from, to) = (request.headers.get("From").map(str::to_owned), request.headers.get("To").map(str::to_owned));
        request.headers.set("From", to.expect("it has one"));
        request.headers.set("To", from.expect("it has one"));
        request
    }
}

fn final_response(world: &mut World, transaction: ServerTransactionId) -> Response {
    world.take_responses(transaction).pop().expect("a final response")
}

fn status(world: &mut World, transaction: ServerTransactionId) -> u16 {
    final_response(world, transaction).status
}

fn records(world: &World) -> Vec<&CallRecord> {
    fn record(event: &EngineEvent) -> Option<&CallRecord> {
        match event {
            EngineEvent::CallEnded(record) => Some(record),
            _ => None,
        }
    }
    world.events.iter().filter_map(record).collect()
}

fn cancelled(world: &World) -> Vec<(ClientTransactionId, Vec<String>)> {
    let cancel = |command: &SipCommand| match command {
        SipCommand::Cancel { transaction, reason } => Some((*transaction, reason.clone())),
        _ => None,
    };
    world.sip.iter().filter_map(cancel).collect()
}

fn nothing_is_left(world: &mut World) {
    world.pass(Duration::from_secs(200));
    assert_eq!(world.engine.call_count(), 0);
    assert_eq!(world.engine.poll_timeout(), None, "every timer drains");
}

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
        assert!(records(&world).is_empty());
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
    assert!(records(&world).is_empty());
}

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
        let records = records(&world);
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
    assert_eq!(records(&world).len(), 1);
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
fn who_claims_our_domain_must_prove_it_and_strangers_are_refused() {
    let mut world = World::new();
    world.register("bob", &[41_000]);
    let transaction = world.request(invite("sip:bob@example.com"), None);
    assert!(world.is_challenged(transaction));
    let mut stranger = invite("sip:bob@example.com");
    stranger.headers.set("From", "<sip:eve@elsewhere.example>;tag=x");
    stranger.headers.set("Call-ID", "c2");
    let transaction = world.request(stranger, None);
    assert_eq!(status(&mut world, transaction), 403);
    assert!(world.take_requests(&Method::Invite).is_empty());
}

#[test]
fn hops_are_counted_down_and_end() {
    for (hops, told) in [("1", None), ("0", Some(483)), ("many", Some(483))] {
        let mut world = World::new();
        world.register("bob", &[41_000]);
        let mut invite = invite("sip:bob@example.com");
        invite.headers.set("Max-Forwards", hops);
        let call = place(&mut world, invite);
        match told {
            Some(told) => assert_eq!(status(&mut world, call.transaction), told),
            None => assert_eq!(call.rung[0].1.headers.get("Max-Forwards"), Some("0")),
        }
    }
}

#[test]
fn a_call_of_ours_that_comes_back_is_a_loop() {
    let (mut world, call) = ring(&[41_000]);
    let mut back = call.rung[0].1.clone();
    back.headers.set("Max-Forwards", "68");
    let transaction = world.request(back.clone(), None);
    assert_eq!(status(&mut world, transaction), 482);
    world.respond(call.rung[0].0, answer_to(&call.rung[0].1, 482));
    assert_eq!(status(&mut world, call.transaction), 482);
    nothing_is_left(&mut world);
}

#[test]
fn a_number_goes_out_by_a_trunk_and_to_the_next_one_when_it_is_down() {
    let mut world = World::new();
    let call = place(&mut world, invite("sip:03055501234@example.com"));
    let (first, request) = &call.rung[0];
    assert_eq!(request.uri.to_string(), "sip:+493055501234@127.0.0.1:5070;transport=udp;user=phone");
    world.respond(*first, answer_to(request, 503));
    let (second, request) = world.take_requests(&Method::Invite).pop().expect("the second trunk");
    assert_eq!(request.uri.port, Some(5072));
    world.respond(second, answer_to(&request, 200).with_body(SDP, sdp_body(31_000)));
    let ok = final_response(&mut world, call.transaction);
    assert_eq!(ok.status, 200);
    world.ack(in_dialog(Method::Ack, &call.invite, &ok, 1));
    world.request(in_dialog(Method::Bye, &call.invite, &ok, 2), None);
    let record = records(&world)[0];
    assert_eq!((record.callee.as_str(), record.address.as_deref()), ("tel:+493055501234", Some("03055501234")));
    assert_eq!((record.trunk.as_deref(), record.call_id.as_deref()), (Some("two"), Some(request.call_id())));
}

fn challenge(request: &Request) -> Response {
    answer_to(request, 407).with_header("Proxy-Authenticate", "Digest realm=\"gw\", nonce=\"n\", qop=\"auth\"")
}

fn with_credentials(trunk: &str) -> World {
    World::with(|directory| {
        let password = base::Pii::new("sesame open");
        let credentials = call::Credentials { username: "line7".to_owned(), password };
        directory.set_trunk_credentials(trunk.to_owned(), credentials);
    })
}

fn unauthorized(world: &World) -> Vec<(Option<String>, call::Unanswered)> {
    let refused = |event: &EngineEvent| match event {
        EngineEvent::Unauthorized { trunk, why, .. } => Some((trunk.clone(), *why)),
        _ => None,
    };
    world.events.iter().filter_map(refused).collect()
}

#[test]
fn a_trunk_that_challenges_is_told_its_own_credentials() {
    let mut world = with_credentials("one");
    let call = place(&mut world, invite("sip:03055501234@example.com"));
    let (first, request) = &call.rung[0];
    world.respond(*first, challenge(request));
    let (second, request) = world.take_requests(&Method::Invite).pop().expect("once more");
    assert!(request.headers.get("Proxy-Authorization").is_some_and(|value| value.contains("username=\"line7\"")));
    world.respond(second, answer_to(&request, 200).with_body(SDP, sdp_body(31_000)));
    assert_eq!(status(&mut world, call.transaction), 200);
    assert!(unauthorized(&world).is_empty());
}

#[test]
fn a_trunk_that_refuses_our_credentials_fails_the_call_and_the_operator_is_told() {
    for (owner, why) in [("one", call::Unanswered::Refused), ("two", call::Unanswered::NoCredentials)] {
        let mut world = with_credentials(owner);
        let call = place(&mut world, invite("sip:03055501234@example.com"));
        let (mut transaction, mut request) = call.rung[0].clone();
        world.respond(transaction, challenge(&request));
        if let Some(next) = world.take_requests(&Method::Invite).pop() {
            (transaction, request) = next;
            world.respond(transaction, challenge(&request));
        }
        assert!(world.take_requests(&Method::Invite).is_empty(), "not once more, and not by the next trunk");
        assert_eq!(status(&mut world, call.transaction), 500);
        assert_eq!(unauthorized(&world), [(Some("one".to_owned()), why)]);
        assert!(!format!("{:?}", world.engine).contains("sesame"), "the password is not printed");
        nothing_is_left(&mut world);
    }
}

fn registrations(world: &World) -> Vec<(String, call::RegistrationStatus)> {
    let told = |event: &EngineEvent| match event {
        EngineEvent::TrunkRegistration { trunk, status } => Some((trunk.clone(), *status)),
        _ => None,
    };
    world.events.iter().filter_map(told).collect()
}

#[test]
fn a_trunk_that_wants_it_is_registered_at_and_its_state_is_told_when_it_changes() {
    use call::RegistrationStatus::{Failed, Registered};
    let mut world = with_credentials("two");
    assert!(world.engine.register_at_trunk("two") && !world.engine.register_at_trunk("one"));
    world.input(engine::Input::TimerFired);
    let (first, request) = world.take_requests(&Method::Register).pop().expect("it registers");
    assert_eq!(request.uri.to_string(), "sip:127.0.0.1:5072;transport=udp");
    let refused =
        answer_to(&request, 401).with_header("WWW-Authenticate", "Digest realm=\"gw\", nonce=\"n\", qop=\"auth\"");
    world.respond(first, refused);
    let (second, request) = world.take_requests(&Method::Register).pop().expect("with the answer");
    world.respond(second, answer_to(&request, 200).with_header("Expires", "100"));
    world.pass(Duration::from_secs(91));
    let (third, request) = world.take_requests(&Method::Register).pop().expect("before it runs out");
    world.respond(third, answer_to(&request, 200).with_header("Expires", "100"));
    world.pass(Duration::from_secs(91));
    let (fourth, request) = world.take_requests(&Method::Register).pop().expect("again");
    world.respond(fourth, answer_to(&request, 403));
    world.pass(Duration::from_secs(31));
    assert_eq!(world.take_requests(&Method::Register).len(), 1, "it tries again");
    let two = |status| ("two".to_owned(), status);
    assert_eq!(registrations(&world), [two(Registered), two(Failed(Some(403)))]);
}

#[test]
fn a_server_that_stops_takes_its_leave_of_its_trunk() {
    use call::RegistrationStatus::{Ended, Registered};
    let mut world = with_credentials("two");
    assert!(world.engine.register_at_trunk("two"));
    world.input(engine::Input::TimerFired);
    let (first, request) = world.take_requests(&Method::Register).pop().expect("it registers");
    world.respond(first, answer_to(&request, 200).with_header("Expires", "100"));
    for _ in 0..2 {
        world.input(engine::Input::Stop);
    }
    let leaves = world.take_requests(&Method::Register);
    let [(leave, request)] = &leaves[..] else { panic!("once: {leaves:?}") };
    assert_eq!((request.headers.get("Expires"), world.engine.registrations_ending()), (Some("0"), 1));
    world.respond(*leave, answer_to(request, 200));
    world.pass(Duration::from_secs(3_600));
    assert_eq!((world.take_requests(&Method::Register).len(), world.engine.registrations_ending()), (0, 0));
    let two = |status| ("two".to_owned(), status);
    assert_eq!(registrations(&world), [two(Registered), two(Ended)]);
}

#[test]
fn a_tel_uri_is_a_number() {
    let mut world = World::new();
    let call = place(&mut world, invite("tel:+493055501234"));
    assert_eq!(call.rung.len(), 1);
}

#[test]
fn an_extension_goes_with_the_number_to_the_trunk() {
    for target in ["tel:+49-30-55501234;ext=77", "sip:03055501234;ext=77@example.com", "sip:03055501234x77@example.com"]
    {
        let mut world = World::new();
        let call = place(&mut world, invite(target));
        let uri = call.rung[0].1.uri.to_string();
        assert_eq!(uri, "sip:+493055501234;ext=77@127.0.0.1:5070;transport=udp;user=phone", "{target}");
    }
}

#[test]
fn what_leads_nowhere_is_refused() {
    let no_conference = "sip:ann@example.com;gruu;opaque=app:conf:focus:id:NOSUCHCONF";
    for (target, told) in [
        ("sip:nobody@example.com", 404),
        ("sip:x@elsewhere.example", 403),
        ("sip:12@example.com", 404),
        ("sip:+12@example.com", 484),
        (no_conference, 404),
    ] {
        let mut world = World::new();
        let call = place(&mut world, invite(target));
        assert_eq!(status(&mut world, call.transaction), told, "{target}");
    }
}

#[test]
fn a_called_user_sends_the_call_to_his_other_phone() {
    let (mut world, call) = ring(&[41_000, 41_002]);
    let mut moved = answer_to(&call.rung[0].1, 302);
    moved.headers.set("Contact", "<sip:03055501234@127.0.0.1>");
    world.respond(call.rung[0].0, moved);
    assert_eq!(cancelled(&world).iter().map(|(transaction, _)| *transaction).collect::<Vec<_>>(), [call.rung[1].0]);
    let (trunk, request) = world.take_requests(&Method::Invite).pop().expect("it goes on by a trunk");
    assert_eq!(request.uri.user.as_deref(), Some("+493055501234"));
    world.respond(trunk, answer_to(&request, 486));
    assert_eq!(status(&mut world, call.transaction), 486);
    nothing_is_left(&mut world);
}

#[test]
fn two_users_who_divert_to_each_other_end_it() {
    let mut world = World::new();
    world.register("bob", &[41_000]);
    world.register("cleo", &[42_000]);
    let call = place(&mut world, invite("sip:bob@example.com"));
    let moved = |request: &Request, to: &str| {
        let mut moved = answer_to(request, 302);
        moved.headers.set("Contact", format!("<sip:{to}@example.com>"));
        moved
    };
    world.respond(call.rung[0].0, moved(&call.rung[0].1, "cleo"));
    let (transaction, request) = world.take_requests(&Method::Invite).pop().expect("cleo rings");
    assert_eq!(request.uri.port, Some(42_000));
    world.respond(transaction, moved(&request, "bob"));
    assert!(world.take_requests(&Method::Invite).is_empty(), "bob has been rung already");
    assert_eq!(status(&mut world, call.transaction), 482);
}

#[test]
fn a_server_that_stops_hangs_everybody_up() {
    let (mut world, _) = talk();
    world.input(engine::Input::Stop);
    let byes = world.take_requests(&Method::Bye);
    assert_eq!(byes.len(), 2);
    assert!(byes.iter().all(|(_, bye)| bye.headers.get("Reason").is_some_and(|reason| reason.contains("503"))));
    assert_eq!(records(&world).len(), 1);
}

#[test]
fn a_peer_who_no_longer_refreshes_is_gone_for_both() {
    let (mut world, _) = talk();
    world.pass(Duration::from_secs(1_900));
    assert_eq!(world.engine.call_count(), 0, "nobody answers the refreshes");
    assert_eq!(records(&world).len(), 1);
}

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
