//! Users' call-routing settings on the wire: who rings when, where a call goes on, and what is told of it (R2 to R7, R12).

use crate::world::{World, answer_to, flow, in_dialog, out_of_dialog, sdp_body, user};
use base::{ConversationEntry, ConversationKind, Duration, Pii};
use engine::{EngineEvent, Input};
use routing::UserProfile;
use sip_api::{ClientTransactionId, Method, Request, Response, ServerTransactionId, SipCommand, SipEvent};

const SDP: &str = "application/sdp";
const MOBILE: &str = "+491715550123";

type Rung = Vec<(ClientTransactionId, Request)>;

fn place(text: &str) -> Option<Pii> {
    Some(Pii::new(text))
}

/// Everybody has one device; bob's settings are these.
fn world_where_bob(profile: UserProfile) -> World {
    let mut world = World::new();
    for (name, port) in [("bob", 41_000), ("cleo", 42_000), ("dave", 43_000), ("mailbox", 44_000)] {
        world.register(name, &[port]);
    }
    set(&mut world, "bob", profile);
    world
}

fn set(world: &mut World, name: &str, profile: UserProfile) {
    assert_eq!(world.engine.directory().profile_problems(&user(name), &profile), [], "the settings are good");
    world.input(Input::SetUserProfile { user: user(name), profile: Box::new(profile) });
}

fn call(world: &mut World, target: &str) -> (Request, ServerTransactionId, Rung) {
    let invite = out_of_dialog(Method::Invite, target, "ann", "c1").with_body(SDP, sdp_body(30_000));
    let transaction = world.request(invite.clone(), Some(user("ann")));
    let rung = rung(world);
    (invite, transaction, rung)
}

fn call_bob(world: &mut World) -> (Request, ServerTransactionId, Rung) {
    call(world, "sip:bob@example.com")
}

fn rung(world: &mut World) -> Rung {
    world.take_requests(&Method::Invite)
}

/// Who rings, by the user part of the Request-URI.
fn names(rung: &Rung) -> Vec<&str> {
    rung.iter().map(|(_, request)| request.uri.user.as_deref().unwrap_or("")).collect()
}

fn refuse(world: &mut World, rung: &(ClientTransactionId, Request), status: u16) {
    let response = answer_to(&rung.1, status);
    world.respond(rung.0, response);
}

fn answer(world: &mut World, rung: &(ClientTransactionId, Request)) {
    let ok = answer_to(&rung.1, 200).with_body(SDP, sdp_body(31_000));
    world.respond(rung.0, ok);
}

fn statuses(world: &mut World, transaction: ServerTransactionId) -> Vec<u16> {
    world.take_responses(transaction).iter().map(|response| response.status).collect()
}

fn cancelled(world: &mut World) -> Vec<ClientTransactionId> {
    let cancel = |command: &SipCommand| match command {
        SipCommand::Cancel { transaction, .. } => Some(*transaction),
        _ => None,
    };
    world.sip.iter().filter_map(cancel).collect()
}

fn hang_up(world: &mut World, invite: &Request, transaction: ServerTransactionId) {
    let ok: Response = world.take_responses(transaction).pop().expect("it was answered");
    assert_eq!(ok.status, 200);
    world.ack(in_dialog(Method::Ack, invite, &ok, 1));
    world.request(in_dialog(Method::Bye, invite, &ok, 2), None);
}

fn history(world: &World) -> Vec<&ConversationEntry> {
    fn entry(event: &EngineEvent) -> Option<&ConversationEntry> {
        match event {
            EngineEvent::Conversation(entry) => Some(entry),
            _ => None,
        }
    }
    world.events.iter().filter_map(entry).collect()
}

fn kinds(world: &World) -> Vec<(&str, ConversationKind)> {
    history(world).iter().map(|entry| (entry.user.user_part(), entry.kind)).collect()
}

fn lamps(world: &mut World) -> Rung {
    world.take_requests(&Method::Notify)
}

fn headers(request: &Request, name: &str) -> Vec<String> {
    request.headers.get_all(name).map(str::to_owned).collect()
}

#[test]
fn forward_always_goes_on_at_once_and_says_where_it_has_been() {
    let mut world =
        world_where_bob(UserProfile { forward_always: place("sip:cleo@example.com"), ..UserProfile::default() });
    let (invite, transaction, rung) = call_bob(&mut world);
    assert_eq!(names(&rung), ["cleo"]);
    assert_eq!(statuses(&mut world, transaction), [181]);
    let request = &rung[0].1;
    assert_eq!(headers(request, "Diversion"), ["<sip:bob@example.com>;reason=unconditional"]);
    let history_info = ["<sip:bob@example.com>;index=1", "<sip:cleo@example.com;cause=302>;index=1.1;mp=1"];
    assert_eq!(headers(request, "History-Info"), history_info);
    assert_eq!(request.headers.get("Max-Forwards"), Some("68"), "a diversion is a hop");
    answer(&mut world, &rung[0]);
    hang_up(&mut world, &invite, transaction);
    use ConversationKind::{Diverted, Incoming, Outgoing};
    assert_eq!(kinds(&world), [("bob", Diverted), ("ann", Outgoing), ("cleo", Incoming)]);
    let lines = history(&world);
    assert_eq!(lines[1].answered_by, Some(user("cleo")));
    assert_eq!(lines[2].dialled, Some(user("bob")));
    assert!(lines.iter().all(|line| line.sip_call_id.as_deref() == Some(invite.call_id())), "{lines:?}");
    assert!(lamps(&mut world).is_empty(), "nobody missed anything");
}

#[test]
fn busy_goes_to_the_busy_target_and_without_one_to_the_caller() {
    for busy in [486, 600, 603] {
        let settings = UserProfile { forward_busy: place("sip:cleo@example.com"), ..UserProfile::default() };
        let mut world = world_where_bob(settings);
        let (_, _, rung) = call_bob(&mut world);
        assert_eq!(names(&rung), ["bob"]);
        refuse(&mut world, &rung[0], busy);
        let rung = rung_now(&mut world);
        assert_eq!(names(&rung), ["cleo"], "{busy}");
        assert_eq!(headers(&rung[0].1, "Diversion"), ["<sip:bob@example.com>;reason=user-busy"]);
        let first = headers(&rung[0].1, "History-Info").remove(0);
        assert_eq!(first, "<sip:bob@example.com?Reason=SIP%3Bcause%3D486>;index=1");
    }
    let mut world = world_where_bob(UserProfile::default());
    let (_, transaction, rung) = call_bob(&mut world);
    refuse(&mut world, &rung[0], 486);
    assert_eq!(statuses(&mut world, transaction), [486]);
    assert_eq!(kinds(&world)[0], ("bob", ConversationKind::Missed));
}

#[test]
fn no_answer_goes_on_after_the_users_own_seconds() {
    let mut world = world_where_bob(UserProfile {
        forward_no_answer: place("sip:cleo@example.com"),
        ring_seconds: 7,
        ..UserProfile::default()
    });
    let (_, transaction, rung) = call_bob(&mut world);
    refuse(&mut world, &rung[0], 180);
    world.pass(Duration::from_millis(6_900));
    assert!(self::rung(&mut world).is_empty() && cancelled(&mut world).is_empty());
    world.pass(Duration::from_millis(200));
    assert_eq!(cancelled(&mut world), [rung[0].0]);
    let next = self::rung(&mut world);
    assert_eq!(names(&next), ["cleo"]);
    assert_eq!(statuses(&mut world, transaction), [180, 181]);
    refuse(&mut world, &rung[0], 487);
    world.pass(Duration::from_secs(60));
    assert!(cancelled(&mut world).iter().all(|known| *known != next[0].0), "cleo's own settings say for how long");
}

#[test]
fn without_a_target_ring_seconds_do_not_end_the_ringing() {
    let mut world = world_where_bob(UserProfile { ring_seconds: 5, ..UserProfile::default() });
    let (_, transaction, _) = call_bob(&mut world);
    world.pass(Duration::from_secs(60));
    assert!(statuses(&mut world, transaction).is_empty());
}

#[test]
fn a_mailbox_takes_what_nobody_takes_and_the_call_is_missed_all_the_same() {
    let voicemail = UserProfile { voicemail: place("sip:mailbox@example.com"), ..UserProfile::default() };
    for settings in [
        voicemail.clone(),
        UserProfile { do_not_disturb: true, ..voicemail.clone() },
        // To a place that cannot be had, the mailbox stands in.
        UserProfile { forward_no_answer: place("sip:bob2@example.com"), ..voicemail.clone() },
    ] {
        let mut world = world_where_bob(UserProfile::default());
        world.input(Input::SetUserProfile { user: user("bob"), profile: Box::new(settings) });
        let (invite, transaction, mut rung) = call_bob(&mut world);
        if names(&rung) == ["bob"] {
            world.pass(Duration::from_secs(18));
            rung = self::rung(&mut world);
        }
        assert_eq!(names(&rung), ["mailbox"]);
        answer(&mut world, &rung[0]);
        assert_eq!(kinds(&world), [("bob", ConversationKind::Missed)], "he is told at once");
        assert_eq!(lamps(&mut world).len(), 1);
        hang_up(&mut world, &invite, transaction);
        assert_eq!(kinds(&world).len(), 3);
    }
}

#[test]
fn who_has_no_device_is_treated_as_not_answering() {
    let settings = UserProfile { forward_no_answer: place("sip:cleo@example.com"), ..UserProfile::default() };
    let mut world = world_where_bob(settings);
    world.register("bob", &[]);
    let (_, _, rung) = call_bob(&mut world);
    assert_eq!(names(&rung), ["cleo"]);
    assert_eq!(headers(&rung[0].1, "Diversion"), ["<sip:bob@example.com>;reason=unavailable"]);
}

#[test]
fn a_simultaneous_ring_goes_out_by_a_trunk_with_a_number_as_caller() {
    let mut world = world_where_bob(UserProfile { simultaneous_ring: place("0171 5550123"), ..UserProfile::default() });
    let (invite, transaction, rung) = call_bob(&mut world);
    assert_eq!(names(&rung), ["bob", MOBILE], "his own location profile normalised it");
    assert_eq!(headers(&rung[0].1, "Diversion"), Vec::<String>::new());
    world.pass(Duration::from_secs(2));
    answer(&mut world, &rung[1]);
    assert_eq!(cancelled(&mut world), [rung[0].0]);
    hang_up(&mut world, &invite, transaction);
    let lines = history(&world);
    assert_eq!(kinds(&world), [("ann", ConversationKind::Outgoing), ("bob", ConversationKind::Incoming)]);
    assert_eq!(lines[1].answered_by.as_ref().map(|who| who.as_str().to_owned()), Some(format!("tel:{MOBILE}")));
}

#[test]
fn a_mailbox_behind_the_simultaneous_ring_does_not_take_the_call() {
    let mut world = world_where_bob(UserProfile { simultaneous_ring: place(MOBILE), ..UserProfile::default() });
    let (_, transaction, rung) = call_bob(&mut world);
    world.pass(Duration::from_millis(900));
    answer(&mut world, &rung[1]);
    assert_eq!(world.take_requests(&Method::Bye).len(), 1);
    assert!(statuses(&mut world, transaction).is_empty() && cancelled(&mut world).is_empty());
    answer(&mut world, &rung[0]);
    assert_eq!(statuses(&mut world, transaction), [200]);
}

#[test]
fn the_team_joins_in_and_nobody_of_it_is_told_of_a_missed_call() {
    let team = vec![user("cleo"), user("dave"), user("ann")];
    let mut world = world_where_bob(UserProfile { team, team_delay_seconds: 10, ..UserProfile::default() });
    let (_, transaction, first) = call_bob(&mut world);
    assert_eq!(names(&first), ["bob"]);
    world.pass(Duration::from_secs(10));
    let team = rung(&mut world);
    assert_eq!(names(&team), ["cleo", "dave"], "the caller does not ring himself");
    let why = headers(&team[0].1, "History-Info");
    let expected =
        ["<sip:bob@example.com>;index=1", "<sip:cleo@example.com;ms-retarget-reason=team-call>;index=1.1;mp=1"];
    assert_eq!(why, expected);
    world.pass(Duration::from_secs(111));
    assert_eq!(statuses(&mut world, transaction).last(), Some(&480));
    use ConversationKind::{Missed, NotAnsweredForAnother, Outgoing};
    let expected =
        [("bob", Missed), ("cleo", NotAnsweredForAnother), ("dave", NotAnsweredForAnother), ("ann", Outgoing)];
    assert_eq!(kinds(&world), expected);
    let told = lamps(&mut world);
    assert_eq!(names(&told), ["bob"], "one notice, for whom the call was");
}

#[test]
fn delegates_ring_at_once_and_one_who_answers_ends_it_for_the_others() {
    let delegates = vec![user("cleo"), user("dave")];
    let mut world = world_where_bob(UserProfile { delegates, ..UserProfile::default() });
    let (invite, transaction, rung) = call_bob(&mut world);
    assert_eq!(names(&rung), ["bob", "cleo", "dave"]);
    refuse(&mut world, &rung[1], 486);
    assert!(cancelled(&mut world).is_empty(), "a delegate who is busy is nobody else's matter");
    answer(&mut world, &rung[2]);
    assert_eq!(cancelled(&mut world), [rung[0].0]);
    hang_up(&mut world, &invite, transaction);
    use ConversationKind::{AnsweredElsewhere, Incoming, Outgoing};
    let expected = [("bob", AnsweredElsewhere), ("cleo", AnsweredElsewhere), ("ann", Outgoing), ("dave", Incoming)];
    assert_eq!(kinds(&world), expected);
    assert!(lamps(&mut world).is_empty());
}

#[test]
fn r4_with_delegates_only_the_delegates_ring_and_he_does_not() {
    let settings = UserProfile {
        delegates: vec![user("cleo")],
        delegates_only: true,
        simultaneous_ring: place(MOBILE),
        team: vec![user("dave")],
        ..UserProfile::default()
    };
    let mut world = world_where_bob(settings);
    let (_, _, rung) = call_bob(&mut world);
    assert_eq!(names(&rung), ["cleo"]);
}

#[test]
fn do_not_disturb_rings_nobody_and_is_told_apart_from_busy() {
    let mut world = world_where_bob(UserProfile { do_not_disturb: true, ..UserProfile::default() });
    let (_, transaction, rung) = call_bob(&mut world);
    assert_eq!((names(&rung).len(), statuses(&mut world, transaction)), (0, vec![480]));
    assert_eq!(kinds(&world)[0], ("bob", ConversationKind::Missed));
    set(&mut world, "bob", UserProfile { team: vec![user("cleo")], ..UserProfile::default() });
    set(&mut world, "cleo", UserProfile { do_not_disturb: true, ..UserProfile::default() });
    let again = out_of_dialog(Method::Invite, "sip:bob@example.com", "ann", "c2").with_body(SDP, sdp_body(30_000));
    world.request(again, Some(user("ann")));
    assert_eq!(names(&rung_now(&mut world)), ["bob"], "nor is she disturbed for another");
}

fn rung_now(world: &mut World) -> Rung {
    rung(world)
}

#[test]
fn a_decline_counts_for_everybody_who_rings_for_him() {
    let mut world = world_where_bob(UserProfile { delegates: vec![user("cleo")], ..UserProfile::default() });
    let (_, transaction, rung) = call_bob(&mut world);
    refuse(&mut world, &rung[0], 603);
    assert_eq!(cancelled(&mut world), [rung[1].0]);
    assert_eq!(statuses(&mut world, transaction), [603]);
    assert_eq!(kinds(&world)[0], ("bob", ConversationKind::Declined));
    assert!(lamps(&mut world).is_empty(), "he knows of it");
}

/// A 6xx speaks for all devices of a user (RFC 3261 16.7), whoever calls him; any other refusal for its own alone.
#[test]
fn a_refusal_for_all_ends_the_ringing_of_a_call_and_of_a_dial_out() {
    let refused = |world: &mut World, status: u16| {
        let ringing = rung_now(world);
        assert_eq!(ringing.len(), 2, "both devices of his");
        world.respond(ringing[1].0, answer_to(&ringing[1].1, 180));
        refuse(world, &ringing[0], status);
        let reasons = world.sip.iter().filter_map(|command| match command {
            SipCommand::Cancel { transaction, reason } if *transaction == ringing[1].0 => Some(reason.join(",")),
            _ => None,
        });
        reasons.collect::<Vec<_>>()
    };
    for (status, reason, seen) in [
        (603, Some("SIP;cause=200;text=\"Call completed elsewhere\""), ConversationKind::Declined),
        (600, Some("SIP;cause=600"), ConversationKind::Missed),
        (604, Some("SIP;cause=604"), ConversationKind::Missed),
        (486, None, ConversationKind::Missed),
    ] {
        let expected: Vec<&str> = reason.into_iter().collect();
        let two_devices = || {
            let mut world = World::new();
            world.register("bob", &[41_000, 41_002]);
            world
        };
        let mut world = two_devices();
        let call = out_of_dialog(Method::Invite, "sip:bob@example.com", "ann", "c1").with_body(SDP, sdp_body(30_000));
        let transaction = world.request(call, Some(user("ann")));
        assert_eq!(refused(&mut world, status), expected, "a call, {status}");
        let told = statuses(&mut world, transaction);
        assert_eq!(told.contains(&status), reason.is_some(), "{told:?}");
        assert_eq!(kinds(&world).first().copied(), reason.map(|_| ("bob", seen)), "a call, {status}");

        let mut world = two_devices();
        let join = out_of_dialog(Method::Invite, "sip:1234@example.com", "ann", "j1").with_body(SDP, sdp_body(30_000));
        let transaction = world.request(join.clone(), Some(user("ann")));
        let ok = world.take_responses(transaction).pop().expect("she is in");
        world.ack(in_dialog(Method::Ack, &join, &ok, 1));
        let mut refer = in_dialog(Method::Refer, &join, &ok, 2);
        refer.headers.push("Refer-To", "<sip:bob@example.com>");
        world.request(refer, None);
        assert_eq!(refused(&mut world, status), expected, "a dial-out, {status}");
        assert_eq!(world.statuses().len(), if reason.is_some() { 1 } else { 2 }, "a dial-out, {status}");
        assert_eq!(kinds(&world).first().copied(), reason.map(|_| ("bob", seen)), "a dial-out, {status}");
    }
}

#[test]
fn who_forwards_to_each_other_is_a_loop() {
    let mut world = world_where_bob(UserProfile { forward_busy: place("sip:cleo@example.com"), ..Default::default() });
    set(&mut world, "cleo", UserProfile { forward_always: place("sip:bob@example.com"), ..Default::default() });
    let (_, transaction, rung) = call_bob(&mut world);
    refuse(&mut world, &rung[0], 486);
    assert!(self::rung(&mut world).is_empty());
    assert_eq!(statuses(&mut world, transaction), [482]);
    world.pass(Duration::from_secs(200));
    assert_eq!((world.engine.call_count(), world.engine.poll_timeout()), (0, None));
}

#[test]
fn hops_end_a_chain_of_diversions() {
    let mut world =
        world_where_bob(UserProfile { forward_always: place("sip:cleo@example.com"), ..Default::default() });
    let mut invite = out_of_dialog(Method::Invite, "sip:bob@example.com", "ann", "c1").with_body(SDP, sdp_body(30_000));
    invite.headers.set("Max-Forwards", "1");
    let transaction = world.request(invite, Some(user("ann")));
    assert_eq!(statuses(&mut world, transaction), [483]);
}

/// An INVITE of the telephone network, by the trunk at 127.0.0.9 or from elsewhere.
fn from_outside(world: &mut World, trusted: bool, extra: &[(&str, &str)]) -> ServerTransactionId {
    let mut invite = out_of_dialog(Method::Invite, "sip:bob@example.com", "x", "t1").with_body(SDP, sdp_body(30_000));
    invite.headers.set("From", "<sip:+4930999@carrier.example>;tag=t");
    for (name, value) in extra {
        invite.headers.push(name, *value);
    }
    let mut flow = flow(5060);
    flow.remote.set_ip(if trusted { [127, 0, 0, 9].into() } else { [127, 0, 0, 8].into() });
    let transaction = ServerTransactionId(900);
    world.input(Input::Sip(SipEvent::Request { transaction, request: invite, flow, user: None }));
    transaction
}

#[test]
fn a_trusted_trunk_may_call_users_and_nobody_else_may() {
    let mut world = world_where_bob(UserProfile::default());
    let asserted = [("P-Asserted-Identity", "<tel:+4930111>")];
    let transaction = from_outside(&mut world, false, &asserted);
    assert_eq!(statuses(&mut world, transaction), [403]);
    from_outside(&mut world, true, &asserted);
    let rung = rung_now(&mut world);
    assert_eq!(names(&rung), ["bob"]);
    assert!(rung[0].1.headers.get("From").is_some_and(|from| from.contains("sip:+4930111@example.com")));
    refuse(&mut world, &rung[0], 480);
    assert_eq!(history(&world)[0].peer.as_str(), "tel:+4930111");
}

#[test]
fn ms_sensitivity_of_a_trusted_trunk_keeps_a_call_from_diversion_and_a_forged_one_does_not() {
    let settings = UserProfile {
        simultaneous_ring: place(MOBILE),
        team: vec![user("cleo")],
        voicemail: place("sip:mailbox@example.com"),
        ..UserProfile::default()
    };
    for (value, names_rung) in [
        ("private-no-diversion", &["bob"][..]),
        ("Normal-No-Diversion", &["bob", MOBILE]),
        ("normal", &["bob", MOBILE, "cleo"]),
        ("private", &["bob", MOBILE, "cleo"]),
    ] {
        let mut world = world_where_bob(settings.clone());
        let transaction = from_outside(&mut world, true, &[("Ms-Sensitivity", value)]);
        let rung = rung_now(&mut world);
        assert_eq!(names(&rung), names_rung, "{value}");
        assert!(rung.iter().all(|(_, request)| request.headers.get("Ms-Sensitivity").is_none()));
        if value == "private-no-diversion" {
            refuse(&mut world, &rung[0], 486);
            assert_eq!(statuses(&mut world, transaction), [486], "no mailbox either");
        }
    }
    let mut world = world_where_bob(settings);
    let mut forged = out_of_dialog(Method::Invite, "sip:bob@example.com", "ann", "c1").with_body(SDP, sdp_body(30_000));
    forged.headers.push("Ms-Sensitivity", "private-no-diversion");
    forged.headers.push("X-RG-Offer", "1");
    forged.headers.push("History-Info", "<sip:mailbox@example.com>;index=1, <sip:bob@example.com>;index=1.1");
    world.request(forged, Some(user("ann")));
    let rung = rung_now(&mut world);
    assert_eq!(names(&rung), ["bob", MOBILE, "cleo"]);
    for name in ["Ms-Sensitivity", "X-RG-Offer"] {
        assert!(rung.iter().all(|(_, request)| request.headers.get(name).is_none()), "{name} is stripped");
    }
    world.pass(Duration::from_secs(18));
    assert_eq!(names(&self::rung(&mut world)), ["mailbox"], "a forged history keeps nothing from the mailbox");
}

#[test]
fn a_loop_by_way_of_a_trusted_trunk_is_seen() {
    let settings = UserProfile { forward_always: place("sip:cleo@example.com"), ..UserProfile::default() };
    let mut world = world_where_bob(settings);
    let been = "<sip:cleo@example.com>;index=1, <sip:+4917@carrier.example>;index=1.1, <sip:bob@example.com>;index=1.2";
    let transaction = from_outside(&mut world, true, &[("History-Info", been)]);
    assert!(rung(&mut world).is_empty());
    assert_eq!(statuses(&mut world, transaction), [482]);
}

#[test]
fn the_caller_who_gives_up_is_missed() {
    let mut world = world_where_bob(UserProfile::default());
    let (_, transaction, rung) = call_bob(&mut world);
    refuse(&mut world, &rung[0], 180);
    world.input(Input::Sip(SipEvent::Cancelled { transaction, reason: Vec::new() }));
    assert_eq!(kinds(&world), [("bob", ConversationKind::Missed), ("ann", ConversationKind::Outgoing)]);
    let lamp = lamps(&mut world).pop().expect("a notice").1;
    assert_eq!(lamp.headers.get("Event"), Some("message-summary"));
    assert_eq!(lamp.headers.get("Subscription-State"), Some("terminated"));
    let body = String::from_utf8(lamp.body.to_vec()).expect("text");
    assert!(body.starts_with("Messages-Waiting: yes\r\n") && body.contains("Voice-Message: 1/0"), "{body}");
}

#[test]
fn a_device_that_subscribed_is_told_in_its_subscription_only() {
    let mut world = world_where_bob(UserProfile::default());
    let subscribe = |name: &str| {
        let mut request = out_of_dialog(Method::Subscribe, "sip:bob@example.com", name, &format!("s-{name}"));
        request.headers.push("Event", "message-summary");
        request.headers.push("Expires", "600");
        request.headers.set("Contact", "<sip:bob@127.0.0.1:41000>");
        request
    };
    let other = world.request(subscribe("cleo"), Some(user("cleo")));
    assert_eq!(statuses(&mut world, other), [403]);
    let own = world.request(subscribe("bob"), Some(user("bob")));
    assert_eq!(statuses(&mut world, own), [200]);
    let bodies = world.take_bodies(&Method::Notify);
    assert!(bodies.len() == 1 && bodies[0].starts_with("Messages-Waiting: no\r\n"), "{bodies:?}");
    let (_, _, rung) = call_bob(&mut world);
    refuse(&mut world, &rung[0], 480);
    let bodies = world.take_bodies(&Method::Notify);
    assert!(bodies.len() == 1 && bodies[0].contains("1/0"), "{bodies:?}");
    world.input(Input::MissedCallsSeen { user: user("bob") });
    let bodies = world.take_bodies(&Method::Notify);
    assert!(bodies.len() == 1 && bodies[0].starts_with("Messages-Waiting: no\r\n"), "{bodies:?}");
}

#[test]
fn a_device_that_comes_back_learns_of_the_calls_it_missed() {
    let mut world = World::new();
    let (_, transaction, _) = call_bob(&mut world);
    assert_eq!(statuses(&mut world, transaction), [480]);
    assert!(lamps(&mut world).is_empty());
    world.register("bob", &[41_000]);
    assert_eq!(lamps(&mut world).len(), 1);
    world.register("bob", &[41_000]);
    assert!(lamps(&mut world).is_empty(), "a refresh is no news");
}

#[test]
fn r12_a_conference_that_dials_out_follows_the_settings_but_not_to_the_mailbox() {
    let settings = UserProfile {
        forward_busy: place("sip:cleo@example.com"),
        voicemail: place("sip:mailbox@example.com"),
        ..UserProfile::default()
    };
    let mut world = world_where_bob(settings);
    let join = out_of_dialog(Method::Invite, "sip:1234@example.com", "ann", "j1").with_body(SDP, sdp_body(30_000));
    let transaction = world.request(join.clone(), Some(user("ann")));
    let ok = world.take_responses(transaction).pop().expect("she is in");
    world.ack(in_dialog(Method::Ack, &join, &ok, 1));
    let refer = |number: u32| {
        let mut refer = in_dialog(Method::Refer, &join, &ok, number);
        refer.headers.push("Refer-To", "<sip:bob@example.com>");
        refer
    };
    world.request(refer(2), None);
    let first = rung(&mut world);
    assert_eq!(names(&first), ["bob"]);
    refuse(&mut world, &first[0], 486);
    let next = rung(&mut world);
    assert_eq!(names(&next), ["cleo"]);
    assert_eq!(headers(&next[0].1, "Diversion"), ["<sip:bob@example.com>;reason=user-busy"]);
    refuse(&mut world, &next[0], 480);
    set(&mut world, "bob", UserProfile { voicemail: place("sip:mailbox@example.com"), ..UserProfile::default() });
    world.request(refer(3), None);
    let rung = rung_now(&mut world);
    refuse(&mut world, &rung[0], 486);
    assert!(rung_now(&mut world).is_empty(), "a mailbox would talk to the meeting");
    assert_eq!(kinds(&world).last(), Some(&("bob", ConversationKind::Missed)));
    assert_eq!(history(&world)[0].peer.as_str(), "sip:1234@example.com");
}
