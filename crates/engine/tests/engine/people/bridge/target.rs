//! Where a call goes, and where it must not.

use super::*;

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
