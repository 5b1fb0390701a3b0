//! Calls and registrations by trunks.

use super::*;

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
    let record = world.call_records()[0];
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
