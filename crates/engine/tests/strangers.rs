//! Callers without an account, many from one address.

mod world;

use base::Limits;
use engine::Input;
use sip_api::{Method, Request, Response, ServerTransactionId, SipEvent};
use world::{World, answer_to, flow, in_dialog, out_of_dialog, sdp_body};

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

#[test]
fn one_address_holds_a_bounded_number_of_guests_and_others_still_come_in() {
    const ONE: [u8; 4] = [192, 0, 2, 1];
    let mut world = World::new();
    let bound = Limits::default().guest_legs_per_source as u64;
    let first = guest(&mut world, 0, ONE);
    for number in 1..bound {
        assert_eq!(guest(&mut world, number, ONE).1.status, 200, "guest {number} is asked for the PIN");
    }
    let (_, refused) = guest(&mut world, bound, ONE);
    assert_eq!((refused.status, refused.headers.get("Retry-After").is_some()), (503, true));
    assert_eq!(guest(&mut world, bound + 1, [192, 0, 2, 2]).1.status, 200, "another address");
    for number in bound + 2..bound + 5 {
        assert_eq!(guest(&mut world, number, [127, 0, 0, 1]).1.status, 200, "this machine itself");
    }
    let (invite, ok) = first;
    world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
    let bye = in_dialog(Method::Bye, &invite, &ok, 2);
    assert_eq!(ask(&mut world, 200_000, bye.clone(), [192, 0, 2, 2]).status, 403, "it is not his call");
    assert_eq!(ask(&mut world, 200_001, bye, ONE).status, 200);
    assert_eq!(guest(&mut world, bound + 5, ONE).1.status, 200, "one has left");
    assert_eq!(guest(&mut world, bound + 6, ONE).1.status, 503);
}

#[test]
fn who_comes_by_an_access_number_counts_once_with_the_attendant_and_in_the_conference() {
    const ONE: [u8; 4] = [192, 0, 2, 1];
    let mut world = World::configured(|config| config.limits.guest_legs_per_source = 2);
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
    assert_eq!(guest(&mut world, 8, ONE).1.status, 200, "he has left, once");
    assert_eq!(guest(&mut world, 9, ONE).1.status, 503);
}
