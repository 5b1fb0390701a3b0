//! Somebody in a call sends the other on (RFC 5589), or goes on with it on another device (RFC 3891).

use crate::world::{World, answer_to, in_dialog, in_dialog_of_callee, out_of_dialog, sdp_body, user};
use base::{Duration, TerminationReason};
use engine::Input;
use sip_api::{ClientTransactionId, Method, Request, Response, SipCommand, SipEvent};

const SDP: &str = "application/sdp";

/// One end of a call that stands, as its phone sees the dialog.
struct End {
    invite: Request,
    ok: Response,
    /// The phone was called: its From is our To.
    called: bool,
}

impl End {
    fn sends(&self, method: Method, number: u32) -> Request {
        let in_his = if self.called { in_dialog_of_callee } else { in_dialog };
        in_his(method, &self.invite, &self.ok, number)
    }

    fn refer(&self, number: u32, refer_to: &str) -> Request {
        let mut refer = self.sends(Method::Refer, number);
        refer.headers.push("Refer-To", refer_to);
        refer
    }

    /// The value of `Replaces` that names this dialog to us.
    fn replaces(&self) -> String {
        let (one, other) = (self.invite.from_tag().expect("tagged"), self.ok.to_tag().expect("tagged"));
        let (to_tag, from_tag) = if self.called { (one, other) } else { (other, one) };
        format!("{};to-tag={to_tag};from-tag={from_tag}", self.invite.call_id())
    }

    fn escaped_replaces(&self) -> String {
        self.replaces().replace(';', "%3B").replace('=', "%3D").replace('@', "%40")
    }

    fn is_mine(&self, request: &Request) -> bool {
        request.call_id() == self.invite.call_id()
    }
}

/// A world in which ann, bob, cleo and dave each have a phone.
fn world() -> World {
    let mut world = World::new();
    for (name, port) in [("ann", 40_900), ("bob", 41_000), ("cleo", 42_000), ("dave", 43_000)] {
        world.register(name, &[port]);
    }
    world
}

/// ann has called bob and talks with him.
fn talking() -> (World, End, End) {
    let mut world = world();
    let (ann, bob) = talk(&mut world, ("ann", 30_000), ("bob", 31_000));
    (world, ann, bob)
}

/// Two people talk; their media is at these ports.
fn talk(world: &mut World, from: (&str, u16), to: (&str, u16)) -> (End, End) {
    let call_id = format!("{}-{}", from.0, to.0);
    let invite = out_of_dialog(Method::Invite, &format!("sip:{}@example.com", to.0), from.0, &call_id);
    let invite = invite.with_body(SDP, sdp_body(from.1));
    let transaction = world.request(invite.clone(), Some(user(from.0)));
    let (ringing, request) = world.take_requests(&Method::Invite).pop().expect("the callee rings");
    let callee_ok = answer_to(&request, 200).with_body(SDP, sdp_body(to.1));
    world.respond(ringing, callee_ok.clone());
    let ok = world.take_responses(transaction).pop().expect("an answer");
    world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
    world.sip.clear();
    (End { invite, ok, called: false }, End { invite: request, ok: callee_ok, called: true })
}

fn status(world: &mut World, request: Request) -> u16 {
    status_by(world, request, None)
}

fn status_by(world: &mut World, request: Request, by: Option<&str>) -> u16 {
    let transaction = world.request(request, by.map(user));
    world.take_responses(transaction).pop().expect("a response").status
}

fn one(world: &mut World, method: &Method) -> (ClientTransactionId, Request) {
    let mut requests = world.take_requests(method);
    assert_eq!(requests.len(), 1, "{method}: {requests:?}");
    requests.remove(0)
}

/// What the referrer was told, as statuses.
fn told(world: &mut World) -> Vec<u16> {
    let bodies = world.take_bodies(&Method::Notify);
    bodies.iter().filter_map(|body| body.split(' ').nth(1)?.parse().ok()).collect()
}

fn acks_of(world: &World, end: &Request) -> Vec<Request> {
    let ack = |command: &SipCommand| match command {
        SipCommand::SendAck { request, .. } if request.call_id() == end.call_id() => Some(request.clone()),
        _ => None,
    };
    world.sip.iter().filter_map(ack).collect()
}

/// The call between these two goes on: what one offers reaches the other.
fn they_still_talk(world: &mut World, from: &End, number: u32, to: &End) {
    world.take_requests(&Method::Invite);
    let hold = from.sends(Method::Invite, number).with_body(SDP, sdp_body(39_998));
    let transaction = world.request(hold, None);
    let (relayed, reinvite) = one(world, &Method::Invite);
    assert!(to.is_mine(&reinvite));
    assert_eq!(reinvite.body, sdp_body(39_998));
    world.respond(relayed, answer_to(&reinvite, 200).with_body(SDP, sdp_body(39_996)));
    assert_eq!(world.take_responses(transaction).pop().expect("an answer").status, 200);
    world.ack(from.sends(Method::Ack, number));
}

fn nothing_is_left(world: &mut World) {
    world.pass(Duration::from_secs(2_500));
    assert_eq!(world.engine.call_count(), 0);
    let load = world.engine.load();
    assert_eq!((load.bridge_legs, load.calls.legs, load.calls.subscriptions), (0, 0, 0), "{load:?}");
}

/// cleo, who is rung because of a transfer, answers with an offer; gives her end.
fn cleo_answers(world: &mut World, ringing: ClientTransactionId, invite: Request) -> End {
    let ok = answer_to(&invite, 200).with_body(SDP, sdp_body(32_000));
    world.respond(ringing, ok.clone());
    End { invite, ok, called: true }
}

#[test]
fn a_blind_transfer_joins_the_other_with_the_target() {
    for caller_transfers in [true, false] {
        let (mut world, ann, bob) = talking();
        let (sender, sent) = if caller_transfers { (&ann, &bob) } else { (&bob, &ann) };
        assert_eq!(status(&mut world, sender.refer(2, "<sip:cleo@example.com>")), 202);
        let (ringing, invite) = one(&mut world, &Method::Invite);
        let names = if caller_transfers { ["bob", "ann"] } else { ["ann", "bob"] };
        assert!(invite.body.is_empty(), "the target makes the offer (RFC 3725 4.1)");
        assert!(invite.headers.get("From").is_some_and(|from| from.contains(&format!("sip:{}@", names[0]))));
        assert_eq!(invite.headers.get("Referred-By"), Some(format!("<sip:{}@example.com>", names[1]).as_str()));
        world.respond(ringing, answer_to(&invite, 180));
        assert_eq!(told(&mut world), [100, 180]);

        let cleo = cleo_answers(&mut world, ringing, invite);
        assert!(acks_of(&world, &cleo.invite).is_empty());
        let (relayed, reinvite) = one(&mut world, &Method::Invite);
        assert!(sent.is_mine(&reinvite));
        assert_eq!(reinvite.body, sdp_body(32_000));
        world.respond(relayed, answer_to(&reinvite, 200).with_body(SDP, sdp_body(31_000)));
        assert_eq!(acks_of(&world, &cleo.invite)[0].body, sdp_body(31_000));
        assert_eq!(told(&mut world), [200]);
        let (_, bye) = one(&mut world, &Method::Bye);
        assert!(sender.is_mine(&bye), "who has transferred is not in it any more");
        assert_eq!(world.call_records()[0].termination.reason, TerminationReason::Replaced);
        assert_eq!(world.engine.call_count(), 1);
        they_still_talk(&mut world, sent, 9, &cleo);

        assert_eq!(status(&mut world, cleo.sends(Method::Bye, 2)), 200);
        let (_, bye) = one(&mut world, &Method::Bye);
        assert!(sent.is_mine(&bye));
        let records = world.call_records();
        assert_eq!(records.len(), 2);
        assert_eq!((&records[1].caller, &records[1].callee), (&user(names[0]), &user("cleo")));
        nothing_is_left(&mut world);
    }
}

#[test]
fn a_target_who_does_not_answer_leaves_the_call_as_it_was() {
    let (mut world, ann, bob) = talking();
    assert_eq!(status(&mut world, ann.refer(2, "<sip:cleo@example.com>")), 202);
    let (ringing, invite) = one(&mut world, &Method::Invite);
    world.respond(ringing, answer_to(&invite, 486));
    assert_eq!(told(&mut world), [100, 486]);
    assert!(world.take_requests(&Method::Bye).is_empty());
    they_still_talk(&mut world, &ann, 3, &bob);
    they_still_talk(&mut world, &bob, 1, &ann);
    assert_eq!(status(&mut world, ann.refer(4, "<sip:dave@example.com>")), 202, "another may be tried");
}

#[test]
fn a_target_whose_offer_is_refused_is_ended_and_the_call_goes_on() {
    let (mut world, ann, bob) = talking();
    status(&mut world, ann.refer(2, "<sip:cleo@example.com>"));
    let (ringing, invite) = one(&mut world, &Method::Invite);
    let cleo = cleo_answers(&mut world, ringing, invite);
    let (relayed, reinvite) = one(&mut world, &Method::Invite);
    world.respond(relayed, answer_to(&reinvite, 488));
    assert_eq!(acks_of(&world, &cleo.invite).len(), 1);
    let (_, bye) = one(&mut world, &Method::Bye);
    assert!(cleo.is_mine(&bye));
    assert_eq!(told(&mut world), [100, 488]);
    they_still_talk(&mut world, &ann, 3, &bob);
}

#[test]
fn who_transfers_and_hangs_up_at_once_leaves_the_other_to_the_target() {
    for answer in [200, 603] {
        let (mut world, ann, bob) = talking();
        status(&mut world, ann.refer(2, "<sip:cleo@example.com>"));
        assert_eq!(status(&mut world, ann.sends(Method::Bye, 3)), 200);
        assert!(world.take_requests(&Method::Bye).is_empty(), "bob waits for cleo");
        let (ringing, invite) = one(&mut world, &Method::Invite);
        if answer == 200 {
            let cleo = cleo_answers(&mut world, ringing, invite);
            let (relayed, reinvite) = one(&mut world, &Method::Invite);
            world.respond(relayed, answer_to(&reinvite, 200).with_body(SDP, sdp_body(31_000)));
            assert_eq!(acks_of(&world, &cleo.invite)[0].body, sdp_body(31_000));
            they_still_talk(&mut world, &cleo, 2, &bob);
        } else {
            world.respond(ringing, answer_to(&invite, answer));
            let (_, bye) = one(&mut world, &Method::Bye);
            assert!(bob.is_mine(&bye), "nobody is left for him");
        }
        assert_eq!(told(&mut world), [100, answer]);
        assert_eq!(world.call_records().len(), 1);
        nothing_is_left(&mut world);
    }
}

#[test]
fn who_is_sent_on_and_hangs_up_ends_it_for_everybody() {
    let (mut world, ann, bob) = talking();
    status(&mut world, ann.refer(2, "<sip:cleo@example.com>"));
    let (ringing, invite) = one(&mut world, &Method::Invite);
    world.respond(ringing, answer_to(&invite, 180));
    assert_eq!(told(&mut world), [100, 180]);
    status(&mut world, bob.sends(Method::Bye, 1));
    assert_eq!(told(&mut world), [480]);
    assert!(
        world
            .sip
            .iter()
            .any(|command| matches!(command, SipCommand::Cancel { transaction, .. } if *transaction == ringing))
    );
    let (_, bye) = one(&mut world, &Method::Bye);
    assert!(ann.is_mine(&bye));
    nothing_is_left(&mut world);
}

#[test]
fn a_target_who_hangs_up_before_he_is_joined_is_forgotten() {
    let (mut world, ann, bob) = talking();
    status(&mut world, ann.refer(2, "<sip:cleo@example.com>"));
    let (ringing, invite) = one(&mut world, &Method::Invite);
    let cleo = cleo_answers(&mut world, ringing, invite);
    let (relayed, reinvite) = one(&mut world, &Method::Invite);
    status(&mut world, cleo.sends(Method::Bye, 1));
    world.respond(relayed, answer_to(&reinvite, 200).with_body(SDP, sdp_body(31_000)));
    let (again, reinvite) = one(&mut world, &Method::Invite);
    assert!(bob.is_mine(&reinvite));
    assert_eq!(reinvite.body, sdp_body(30_000), "bob is told ann's description again");
    world.respond(again, answer_to(&reinvite, 200).with_body(SDP, sdp_body(31_000)));
    assert_eq!(told(&mut world), [100, 480]);
    they_still_talk(&mut world, &ann, 3, &bob);
}

#[test]
fn what_cannot_be_carried_out_is_refused_at_once() {
    for (refer_to, refusal) in [
        ("<sip:nobody@example.com>", 404),
        ("<sip:x@elsewhere.example>", 403),
        ("<sip:bob@example.com>", 482),
        ("<sip:1234@example.com>", 501),
        ("<sip:cleo@example.com;method=BYE>", 501),
        ("<sip:cleo@example.com?Replaces=x>", 400),
        ("<sip:cleo@example.com?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>", 481),
    ] {
        let (mut world, ann, bob) = talking();
        assert_eq!(status(&mut world, ann.refer(2, refer_to)), refusal, "{refer_to}");
        they_still_talk(&mut world, &ann, 3, &bob);
    }
}

/// Phones put the other on hold and send the REFER in the same breath.
#[test]
fn a_hold_that_is_under_way_is_finished_before_the_two_are_joined() {
    let (mut world, ann, bob) = talking();
    let hold = world.request(ann.sends(Method::Invite, 2).with_body(SDP, sdp_body(30_008)), None);
    let (held, reinvite) = one(&mut world, &Method::Invite);
    assert_eq!(status(&mut world, ann.refer(3, "<sip:cleo@example.com>")), 202);
    let (ringing, invite) = one(&mut world, &Method::Invite);
    cleo_answers(&mut world, ringing, invite);
    assert!(world.take_requests(&Method::Invite).is_empty(), "bob has not answered the hold");
    world.respond(held, answer_to(&reinvite, 200).with_body(SDP, sdp_body(31_000)));
    assert_eq!(world.take_responses(hold).pop().expect("an answer").status, 200);
    let (_, reinvite) = one(&mut world, &Method::Invite);
    assert!(bob.is_mine(&reinvite));
    assert_eq!(reinvite.body, sdp_body(32_000));
}

#[test]
fn one_transfer_at_a_time() {
    let (mut world, ann, bob) = talking();
    assert_eq!(status(&mut world, ann.refer(2, "<sip:cleo@example.com>")), 202);
    assert_eq!(status(&mut world, bob.refer(1, "<sip:dave@example.com>")), 491);
    assert_eq!(world.take_requests(&Method::Invite).len(), 1);
}

/// ann talks to bob and has asked cleo.
fn consulted() -> (World, [End; 4]) {
    let (mut world, ann, bob) = talking();
    let (again, cleo) = talk(&mut world, ("ann", 30_002), ("cleo", 32_000));
    (world, [ann, bob, again, cleo])
}

#[test]
fn an_attended_transfer_joins_the_two_who_were_asked() {
    let (mut world, [ann, bob, again, cleo]) = consulted();
    let refer_to = format!("<sip:cleo@example.com?Replaces={}>", again.escaped_replaces());
    assert_eq!(status(&mut world, ann.refer(2, &refer_to)), 202);
    let (asked, reinvite) = one(&mut world, &Method::Invite);
    assert!(cleo.is_mine(&reinvite) && reinvite.body.is_empty());
    let ok = answer_to(&reinvite, 200).with_body(SDP, sdp_body(32_004));
    world.respond(asked, ok.clone());
    let (relayed, reinvite) = one(&mut world, &Method::Invite);
    assert!(bob.is_mine(&reinvite));
    assert_eq!(reinvite.body, sdp_body(32_004));
    world.respond(asked, ok);
    assert!(acks_of(&world, &cleo.invite).is_empty(), "her answer is not there yet");
    world.respond(relayed, answer_to(&reinvite, 200).with_body(SDP, sdp_body(31_004)));
    assert_eq!(acks_of(&world, &cleo.invite)[0].body, sdp_body(31_004));
    assert_eq!(told(&mut world), [100, 200]);
    let byes = world.take_requests(&Method::Bye);
    assert_eq!(byes.len(), 2);
    assert!(byes.iter().any(|(_, bye)| ann.is_mine(bye)) && byes.iter().any(|(_, bye)| again.is_mine(bye)));
    assert_eq!((world.call_records().len(), world.engine.call_count()), (2, 1));
    they_still_talk(&mut world, &cleo, 1, &bob);
    status(&mut world, bob.sends(Method::Bye, 9));
    let (_, bye) = one(&mut world, &Method::Bye);
    assert!(cleo.is_mine(&bye));
    assert_eq!(world.call_records().len(), 3);
    nothing_is_left(&mut world);
}

#[test]
fn an_attended_transfer_that_fails_leaves_both_calls_as_they_were() {
    for refused_by_target in [true, false] {
        let (mut world, [ann, bob, again, cleo]) = consulted();
        let refer_to = format!("<sip:cleo@example.com?Replaces={}>", again.escaped_replaces());
        assert_eq!(status(&mut world, ann.refer(2, &refer_to)), 202);
        let (asked, reinvite) = one(&mut world, &Method::Invite);
        if refused_by_target {
            world.respond(asked, answer_to(&reinvite, 488));
        } else {
            world.respond(asked, answer_to(&reinvite, 200).with_body(SDP, sdp_body(32_004)));
            let (relayed, reinvite) = one(&mut world, &Method::Invite);
            world.respond(relayed, answer_to(&reinvite, 488));
            assert_eq!(acks_of(&world, &cleo.invite)[0].body, sdp_body(30_002), "her session stays as it was");
        }
        assert_eq!(told(&mut world), [100, 488]);
        assert!(world.take_requests(&Method::Bye).is_empty());
        they_still_talk(&mut world, &ann, 3, &bob);
        they_still_talk(&mut world, &again, 2, &cleo);
    }
}

#[test]
fn a_call_of_others_is_not_joined() {
    let (mut world, ann, bob) = talking();
    let (dave, cleo) = talk(&mut world, ("dave", 30_002), ("cleo", 32_000));
    let refer_to = format!("<sip:cleo@example.com?Replaces={}>", dave.escaped_replaces());
    assert_eq!(status(&mut world, ann.refer(2, &refer_to)), 403);
    they_still_talk(&mut world, &ann, 3, &bob);
    they_still_talk(&mut world, &dave, 2, &cleo);
}

/// An INVITE that wants the place of one end.
fn replacing(name: &str, replaces: &str, call_id: &str) -> Request {
    let mut invite = out_of_dialog(Method::Invite, "sip:bob@example.com", name, call_id);
    invite.headers.push("Require", "replaces");
    invite.headers.push("Replaces", replaces);
    invite.with_body(SDP, sdp_body(33_000))
}

#[test]
fn a_user_goes_on_with_his_call_on_another_phone() {
    for callee_moves in [false, true] {
        let (mut world, ann, bob) = talking();
        let (name, old, other) = if callee_moves { ("bob", &bob, &ann) } else { ("ann", &ann, &bob) };
        let invite = replacing(name, &old.replaces(), "r1");
        let transaction = world.request(invite.clone(), Some(user(name)));
        let (relayed, reinvite) = one(&mut world, &Method::Invite);
        assert!(other.is_mine(&reinvite));
        assert_eq!(reinvite.body, sdp_body(33_000));
        assert_eq!(status_by(&mut world, replacing(name, &old.replaces(), "r2"), Some(name)), 481, "the first has it");
        world.respond(relayed, answer_to(&reinvite, 200).with_body(SDP, sdp_body(31_000)));
        let ok = world.take_responses(transaction).pop().expect("an answer");
        assert_eq!((ok.status, &ok.body), (200, &sdp_body(31_000).into()));
        let (_, bye) = one(&mut world, &Method::Bye);
        assert!(old.is_mine(&bye));
        world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
        let new = End { invite, ok, called: false };
        they_still_talk(&mut world, &new, 2, other);
        status(&mut world, new.sends(Method::Bye, 3));
        let (_, bye) = one(&mut world, &Method::Bye);
        assert!(other.is_mine(&bye));
        assert_eq!(world.call_records().len(), 1);
        nothing_is_left(&mut world);
    }
}

#[test]
fn nobody_else_takes_a_place_and_a_place_that_is_not_there_is_not_taken() {
    let (mut world, ann, bob) = talking();
    let early = format!("{};early-only", ann.replaces());
    for (name, replaces, refusal) in [
        ("dave", ann.replaces(), 403),
        ("bob", ann.replaces(), 403),
        ("ann", early, 486),
        ("ann", ann.replaces().replace("to-tag=", "to-tag=x"), 481),
        ("ann", "x".to_owned(), 400),
    ] {
        let invite = replacing(name, &replaces, &format!("r-{name}-{refusal}"));
        assert_eq!(status_by(&mut world, invite, Some(name)), refusal, "{name} {replaces}");
    }
    let transaction = world.request(replacing("ann", &ann.replaces(), "r-nobody"), None);
    assert!(world.is_challenged(transaction));
    they_still_talk(&mut world, &ann, 2, &bob);
}

#[test]
fn a_replacement_that_is_refused_or_given_up_leaves_the_call_as_it_was() {
    for given_up in [false, true] {
        let (mut world, ann, bob) = talking();
        let transaction = world.request(replacing("ann", &ann.replaces(), "r1"), Some(user("ann")));
        let (relayed, reinvite) = one(&mut world, &Method::Invite);
        if given_up {
            world.input(Input::Sip(SipEvent::Cancelled { transaction, reason: Vec::new() }));
            assert_eq!(world.take_responses(transaction).pop().expect("refused").status, 487);
            world.respond(relayed, answer_to(&reinvite, 200).with_body(SDP, sdp_body(31_000)));
            let (again, reinvite) = one(&mut world, &Method::Invite);
            assert_eq!(reinvite.body, sdp_body(30_000), "the old description is offered again");
            world.respond(again, answer_to(&reinvite, 200).with_body(SDP, sdp_body(31_000)));
        } else {
            world.respond(relayed, answer_to(&reinvite, 488));
            assert_eq!(world.take_responses(transaction).pop().expect("refused").status, 488);
        }
        they_still_talk(&mut world, &ann, 2, &bob);
    }
}
