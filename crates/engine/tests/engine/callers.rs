//! Callers without an account, and callers with too many calls.

use crate::world::{World, answer_to, flow, in_dialog, out_of_dialog, sdp_body, user};
use base::Limits;
use engine::{CallBound, EngineEvent, Input};
use sip_api::{Method, Request, Response, ServerTransactionId, SipEvent};

/// A guest calls the conference with a PIN; his INVITE and the final response.
fn guest(world: &mut World, number: u64, from: [u8; 4]) -> (Request, Response) {
    let mut invite = out_of_dialog(Method::Invite, "sip:2345@example.com", "guest", &format!("guest-{number}"));
    invite.headers.set("From", format!("<sip:guest{number}@elsewhere.example>;tag=x"));
    let invite = invite.with_body("application/sdp", sdp_body(30_000));
    let answer = ask(world, 100_000 + number, invite.clone(), from);
    (invite, answer)
}

/// A request from an address, and its final response.
fn ask(world: &mut World, transaction: u64, request: Request, from: [u8; 4]) -> Response {
    let transaction = ServerTransactionId(transaction);
    let mut flow = flow(40_000);
    flow.remote.set_ip(from.into());
    world.input(Input::Sip(SipEvent::Request { transaction, request, flow, user: None }));
    world.take_responses(transaction).pop().expect("a final response")
}

#[test]
fn who_is_anonymous_is_told_why_he_reaches_nothing_but_conferences() {
    for (target, status, id) in [
        ("sip:ann@example.com;gruu;opaque=app:conf:focusfactory", 403, "3020;"),
        ("sip:bob@example.com", 403, "3021;"),
        ("sip:ann@example.com;gruu;opaque=app:conf:focus:id:NOSUCHCONFERENCE", 404, "3022;"),
        ("sip:ann@example.com;gruu;opaque=app:conf:audio-video:id:NOSUCHCONFERENCE", 404, "3022;"),
        ("sip:ann@example.com;gruu;opaque=app:conf:chat:id:NOSUCHCONFERENCE", 404, "3022;"),
    ] {
        let mut world = World::new();
        let mut invite = out_of_dialog(Method::Invite, target, "guest", "guest-1");
        invite.headers.set("From", "<sip:guest@elsewhere.example>;tag=x");
        let transaction = world.request(invite.with_body("application/sdp", sdp_body(30_000)), None);
        let refused = world.take_responses(transaction).pop().expect("a final response");
        let told = refused.headers.get("ms-diagnostics").map(|value| value.starts_with(id));
        assert_eq!((refused.status, told), (status, Some(true)), "{target}");

        let mut of_ours = out_of_dialog(Method::Invite, target, "nobody", "nobody-1");
        of_ours.headers.set("From", "<sip:nobody@example.com>;tag=x");
        let transaction = world.request(of_ours.with_body("application/sdp", sdp_body(30_000)), None);
        let diagnosed = world.take_responses(transaction).iter().any(|one| one.headers.get("ms-diagnostics").is_some());
        assert!(!diagnosed, "{target}: whether an account exists is not told");
    }
}

/// A world in which callers may have few calls.
fn bounded() -> World {
    World::configured(|config| {
        config.limits = Limits {
            calls_per_source: 4,
            unanswered_per_source: 3,
            calls_per_account: 3,
            unanswered_per_account: 2,
            ..Limits::default()
        };
        config.trusted_peers = vec![TRUNK.into()];
    })
}

const TRUNK: [u8; 4] = [192, 0, 2, 99];

/// The bounds that calls were refused for.
fn refused(world: &World) -> Vec<CallBound> {
    let bound = |event: &EngineEvent| match event {
        EngineEvent::CallRefused { bound } => Some(*bound),
        _ => None,
    };
    world.events.iter().filter_map(bound).collect()
}

#[test]
fn an_address_holds_few_guests_and_another_one_has_its_own() {
    for one in [[192, 0, 2, 1], [127, 0, 0, 1]] {
        let mut world = bounded();
        let mut calls = Vec::new();
        for number in 0..4 {
            let (invite, ok) = guest(&mut world, number, one);
            assert_eq!(ok.status, 200, "guest {number} is asked for the PIN");
            world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
            calls.push((invite, ok));
        }
        let (_, too_many) = guest(&mut world, 4, one);
        let warning = too_many.headers.get("Warning").unwrap_or("");
        assert_eq!((too_many.status, too_many.headers.get("Retry-After")), (503, Some("5")));
        assert!(warning.starts_with("399 example.com \"4 calls come from this address"), "{warning}");
        assert_eq!(guest(&mut world, 5, [192, 0, 2, 2]).1.status, 200, "another address");
        assert_eq!(guest(&mut world, 6, TRUNK).1.status, 200, "a trusted trunk");
        let (invite, ok) = &calls[0];
        let bye = in_dialog(Method::Bye, invite, ok, 2);
        assert_eq!(ask(&mut world, 200_000, bye.clone(), [192, 0, 2, 2]).status, 403, "it is not his call");
        assert_eq!(ask(&mut world, 200_001, bye, one).status, 200);
        assert_eq!(guest(&mut world, 7, one).1.status, 503, "its ports drain");
        world.pass(Limits::default().port_drain);
        assert_eq!(guest(&mut world, 8, one).1.status, 200, "one has left");
        assert_eq!(guest(&mut world, 9, one).1.status, 503);
        assert_eq!(refused(&world), [CallBound::SourceCalls; 3]);
    }
}

#[test]
fn few_guests_of_an_address_may_wait_for_an_answer() {
    let mut world = bounded();
    let one = [192, 0, 2, 1];
    let first = guest(&mut world, 0, one);
    for number in 1..3 {
        assert_eq!(guest(&mut world, number, one).1.status, 200);
    }
    assert_eq!(guest(&mut world, 3, one).1.status, 503, "none of the three has acknowledged his answer");
    assert_eq!(refused(&world), [CallBound::SourceUnanswered]);
    world.ack(in_dialog(Method::Ack, &first.0, &first.1, 1));
    assert_eq!(guest(&mut world, 4, one).1.status, 200);
}

#[test]
fn an_account_that_calls_and_hangs_up_again_and_again_takes_its_own_ports_only() {
    let mut world = bounded();
    let call = |world: &mut World, name: &str, number: u64| {
        let invite = out_of_dialog(Method::Invite, "sip:1234@example.com", name, &format!("{name}-{number}"));
        let invite = invite.with_body("application/sdp", sdp_body(30_000));
        let transaction = world.request(invite.clone(), Some(user(name)));
        let answer = world.take_responses(transaction).pop().expect("a final response");
        if answer.status == 200 {
            world.ack(in_dialog(Method::Ack, &invite, &answer, 1));
            world.request(in_dialog(Method::Bye, &invite, &answer, 2), Some(user(name)));
        }
        answer
    };
    let statuses: Vec<u16> = (0..499).map(|number| call(&mut world, "ann", number).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3);
    assert!(statuses[3..].iter().all(|status| *status == 486));
    assert_eq!(refused(&world).len(), 496);
    let told = call(&mut world, "ann", 500);
    assert_eq!(told.headers.get("Retry-After"), Some("5"));
    assert!(told.headers.get("Warning").is_some_and(|text| text.contains("This account has 3 calls")), "{told:?}");
    assert_eq!(call(&mut world, "bob", 0).status, 200, "somebody else at the same address");
    world.pass(Limits::default().port_drain);
    assert_eq!(call(&mut world, "ann", 501).status, 200);
}

#[test]
fn who_must_prove_who_he_is_holds_nothing_until_he_has() {
    let mut world = bounded();
    for number in 0..10 {
        let invite = out_of_dialog(Method::Invite, "sip:1234@example.com", "ann", &format!("ann-{number}"));
        let transaction = world.request(invite.with_body("application/sdp", sdp_body(30_000)), None);
        assert!(world.is_challenged(transaction));
    }
    assert!(refused(&world).is_empty());
}

#[test]
fn who_comes_by_an_access_number_counts_once_with_the_attendant_and_in_the_conference() {
    const ONE: [u8; 4] = [192, 0, 2, 1];
    let mut world = World::configured(|config| config.limits.calls_per_source = 2);
    let dial_in = |world: &mut World, number: u64| {
        let target = "sip:+14255550100@example.com";
        let mut invite = out_of_dialog(Method::Invite, target, "x", &format!("phone-{number}"));
        invite.headers.set("From", format!("<sip:+4930{number}@pstn.example>;tag=x"));
        let invite = invite.with_body("application/sdp", sdp_body(30_000));
        let ok = ask(world, 300_000 + number, invite.clone(), ONE);
        if ok.status == 200 {
            world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
        }
        (invite, ok)
    };
    let (invite, ok) = dial_in(&mut world, 1);
    let leg = world.legs_in_mcu()[0];
    assert_eq!(guest(&mut world, 2, ONE).1.status, 200);
    assert_eq!((dial_in(&mut world, 3).1.status, guest(&mut world, 4, ONE).1.status), (503, 503));
    // The conference is closed to him, and he is with the attendant again; the other one asks for its PIN.
    for number in ["1234#", "2345#"] {
        world.digits(leg, number);
        assert_eq!((dial_in(&mut world, 5).1.status, guest(&mut world, 6, ONE).1.status), (503, 503), "{number}");
    }
    let (transaction, offer) = world.take_requests(&Method::Invite).pop().expect("he is moved");
    world.respond(transaction, answer_to(&offer, 200).with_body("application/sdp", sdp_body(30_000)));
    assert_eq!(guest(&mut world, 7, ONE).1.status, 503);
    assert_eq!(ask(&mut world, 400_000, in_dialog(Method::Bye, &invite, &ok, 2), ONE).status, 200);
    world.pass(Limits::default().port_drain);
    assert_eq!(guest(&mut world, 8, ONE).1.status, 200, "he has left, once");
    assert_eq!(guest(&mut world, 9, ONE).1.status, 503);
}
