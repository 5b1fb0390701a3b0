//! What a response group's call leaves: lines in the histories of everybody it concerned, and one record.

use crate::world::groups::{Caller, check_drained, dial, history, ok, open, outcomes, parallel, records, sales};
use crate::world::{World, answer_to, flow, user};
use base::{ConversationKind, Duration, TerminationReason, TerminationResult, UserUri};
use mcu_api::{LegStatistics, McuEvent};
use response_group::{Action, Method as Hunt, Outcome, Queue, ResponseGroup, SegmentKind};
use sip_api::{Method, SipEvent};

/// A group whose only agent is busy and whose callers go on to this target after thirty seconds.
fn forwarding(target: &UserUri) -> ResponseGroup {
    let queue = Queue {
        timeout_seconds: Some(30),
        timeout_action: Action::Forward { target: target.clone() }.into(),
        ..Queue::default()
    };
    ResponseGroup { queue, ..sales(Hunt::Serial, &["bob"]) }
}

/// A caller who has waited in vain, and the INVITE to the target of his forward.
fn forwarded(world: &mut World) -> (Caller, sip_api::ClientTransactionId, sip_api::Request) {
    let caller = dial(world, 1);
    world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 486));
    world.pass(Duration::from_secs(31));
    let rung = world.take_requests(&Method::Invite);
    let (transaction, invite) = rung.into_iter().next_back().expect("the target is rung");
    (caller, transaction, invite)
}

#[test]
fn the_caller_has_an_outgoing_line_that_says_who_answered_and_when() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    world.pass(Duration::from_secs(4));
    world.respond(caller.rung[0].0, ok(&caller.rung[0].1));
    world.respond(caller.rung[1].0, answer_to(&caller.rung[1].1, 487));
    world.pass(Duration::from_secs(9));
    assert!(history(&world, "ann").is_empty(), "the call goes on");
    world.request(caller.bye(), None);
    let lines = history(&world, "ann");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!((line.kind, &line.peer), (ConversationKind::Outgoing, &user("sales")));
    assert_eq!(line.peer_name.as_deref(), Some("Sales"));
    assert_eq!(line.answered_by, Some(user("bob")));
    assert_eq!(line.answered.map(|answered| answered - line.started), Some(4_000));
    assert_eq!(line.ended - line.started, 13_000);
    assert_eq!(line.termination.result, TerminationResult::Completed);
    check_drained(&mut world);
}

#[test]
fn the_caller_of_an_anonymous_group_is_not_told_who_answered() {
    let mut world = open(ResponseGroup { anonymous: true, ..sales(Hunt::Serial, &["bob"]) });
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, ok(&caller.rung[0].1));
    world.pass(Duration::from_secs(1));
    world.request(caller.bye(), None);
    let line = history(&world, "ann").pop().expect("his line");
    assert_eq!(line.answered_by, None);
    assert!(line.answered.is_some());
}

#[test]
fn a_caller_who_was_never_served_has_an_outgoing_line_too() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    world.pass(Duration::from_secs(2));
    world.request(caller.bye(), None);
    let line = history(&world, "ann").pop().expect("his line");
    assert_eq!((line.kind, line.answered), (ConversationKind::Outgoing, None));
    assert_eq!(line.termination.reason, TerminationReason::RequestCancelled);
    for agent in ["bob", "cleo"] {
        let kinds: Vec<_> = history(&world, agent).iter().map(|line| line.kind).collect();
        assert_eq!(kinds, [ConversationKind::GroupCallAbandoned], "{agent}");
    }
}

#[test]
fn the_winners_line_has_the_length_of_his_talk_and_the_losers_says_who_won() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    world.pass(Duration::from_secs(3));
    world.respond(caller.rung[0].0, ok(&caller.rung[0].1));
    world.respond(caller.rung[1].0, answer_to(&caller.rung[1].1, 487));
    world.pass(Duration::from_secs(7));
    world.request(caller.bye(), None);
    let won = history(&world, "bob").pop().expect("the winner's line");
    assert_eq!(won.kind, ConversationKind::GroupCallAnsweredByYou);
    assert_eq!(won.answered.map(|answered| (answered - won.started, won.ended - answered)), Some((3_000, 7_000)));
    let lost = history(&world, "cleo").pop().expect("the loser's line");
    assert_eq!(lost.kind, ConversationKind::GroupCallAnsweredByOther);
    assert_eq!(lost.answered_by, Some(user("bob")));
    assert_eq!(lost.ended - lost.started, 3_000, "for him it was over when the other answered");
}

#[test]
fn whom_a_caller_is_forwarded_to_has_an_incoming_call_with_the_groups_name() {
    let mut world = open(forwarding(&user("cleo")));
    let (caller, transaction, invite) = forwarded(&mut world);
    world.respond(transaction, ok(&invite));
    world.pass(Duration::from_secs(5));
    assert!(outcomes(&world).is_empty(), "the record waits for the end of the conversation");
    world.request(caller.bye(), None);
    let line = history(&world, "cleo").pop().expect("her line");
    assert_eq!((line.kind, &line.peer), (ConversationKind::Incoming, &user("ann")));
    assert_eq!(line.dialled, Some(user("sales")));
    assert_eq!(line.answered.map(|answered| line.ended - answered), Some(5_000));
    let outgoing = history(&world, "ann").pop().expect("the caller's line");
    assert_eq!(outgoing.answered_by, Some(user("cleo")));
    check_drained(&mut world);
}

#[test]
fn whom_a_caller_is_forwarded_to_in_vain_has_missed_a_call() {
    for leaves in [true, false] {
        let mut world = open(forwarding(&user("cleo")));
        let (caller, transaction, invite) = forwarded(&mut world);
        world.respond(transaction, answer_to(&invite, 180));
        if leaves {
            world.request(caller.bye(), None);
        } else {
            world.respond(transaction, answer_to(&invite, 480));
        }
        let kinds: Vec<_> = history(&world, "cleo").iter().map(|line| line.kind).collect();
        assert_eq!(kinds, [ConversationKind::Missed], "it is no offer any more");
        assert!(history(&world, "bob").iter().all(|line| !line.kind.is_missed_call()));
    }
}

#[test]
fn the_record_says_why_a_target_was_not_reached_and_that_the_queue_timed_out() {
    let mut world = open(forwarding(&user("cleo")));
    let (_, transaction, invite) = forwarded(&mut world);
    world.pass(Duration::from_secs(2));
    world.respond(transaction, answer_to(&invite, 486));
    for (transaction, bye) in world.take_requests(&Method::Bye) {
        world.respond(transaction, answer_to(&bye, 200));
    }
    world.pass(Duration::from_secs(40));
    for (transaction, bye) in world.take_requests(&Method::Bye) {
        world.respond(transaction, answer_to(&bye, 200));
    }
    let record = records(&world).pop().expect("a record");
    let reasons: Vec<_> = record.call.segments.iter().map(|part| record.termination_of(part).reason).collect();
    assert_eq!(reasons, [TerminationReason::NoAnswer, TerminationReason::Busy]);
    assert_eq!(record.call.segments[0].outcome, Outcome::TimedOut { target: None });
    assert_eq!(record.termination.reason, TerminationReason::Busy);
}

/// R1: his other settings count, as for any call.
#[test]
fn a_group_does_not_send_its_callers_into_the_mailbox_of_a_target() {
    let mut world = open(forwarding(&user("cleo")));
    let mailbox =
        routing::UserProfile { voicemail: Some(base::Pii::new("sip:dave@example.com")), ..Default::default() };
    world.input(engine::Input::SetUserProfile { user: user("cleo"), profile: Box::new(mailbox) });
    world.register("dave", &[43_000]);
    let (_, transaction, invite) = forwarded(&mut world);
    world.respond(transaction, answer_to(&invite, 486));
    assert!(world.take_requests(&Method::Invite).is_empty(), "the mailbox is not rung");
    assert_eq!(history(&world, "dave"), []);
}

/// However he came to talk, a conversation that the server's end cuts off says so.
#[test]
fn a_conversation_cut_off_by_the_servers_end_is_recorded_as_that() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, ok(&caller.rung[0].1));
    world.pass(Duration::from_secs(5));
    world.input(engine::Input::Stop);
    for agent in ["ann", "bob"] {
        let line = history(&world, agent).pop().expect("a line");
        assert_eq!(line.termination.reason, TerminationReason::ServerStopping, "{agent}");
        assert_eq!(line.termination.result, TerminationResult::Completed, "{agent}");
    }
}

#[test]
fn the_record_tells_of_the_talk_after_a_forward_over_a_trunk() {
    let number = UserUri::parse("tel:+4930123456").expect("valid");
    let mut world = open(forwarding(&number));
    world.counted = LegStatistics { received_packets: 55, ..LegStatistics::default() };
    let (caller, transaction, invite) = forwarded(&mut world);
    assert!(invite.uri.to_string().contains("+4930123456"), "{}", invite.uri);
    let answer = SipEvent::Response { transaction, response: ok(&invite), flow: flow(5_070) };
    world.input(engine::Input::Sip(answer));
    world.pass(Duration::from_secs(6));
    world.request(caller.bye(), None);
    let record = records(&world).pop().expect("a record");
    let onward = record.onward.expect("a conversation after the forward");
    assert_eq!((onward.with.clone(), onward.to.since(onward.from)), (number.clone(), Duration::from_secs(6)));
    assert!(matches!(record.call.outcome, Outcome::TimedOut { .. }));
    assert_eq!(record.termination.result, TerminationResult::Completed);
    let parties: Vec<_> = record.legs.iter().map(|leg| leg.party.clone()).collect();
    assert_eq!(parties, [None, Some(number)]);
    let trunks: Vec<_> = record.legs.iter().map(|leg| leg.trunk.as_deref()).collect();
    assert_eq!(trunks, [None, Some("one")], "the caller came by none");
    assert!(record.legs.iter().all(|leg| leg.statistics.received_packets == 55 && !leg.call_id.is_empty()));
    check_drained(&mut world);
}

#[test]
fn the_record_waits_until_the_mcu_has_told_how_each_leg_fared() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, ok(&caller.rung[0].1));
    world.respond(caller.rung[1].0, answer_to(&caller.rung[1].1, 487));
    world.mcu_is_slow = true;
    world.request(caller.bye(), None);
    assert!(records(&world).is_empty());
    assert_eq!(world.engine.load().group_calls, 1, "a server that stops waits for it");
    let legs = world.legs_in_mcu();
    assert_eq!(legs.len(), 2, "caller and agent");
    for (place, leg) in legs.into_iter().enumerate() {
        let statistics = LegStatistics { received_packets: 100 + place as u64, ..LegStatistics::default() };
        world.input(engine::Input::Mcu(McuEvent::LegRemoved { leg, statistics }));
    }
    let record = records(&world).pop().expect("a record");
    let told: Vec<_> = record.legs.iter().map(|leg| (leg.party.clone(), leg.statistics.received_packets)).collect();
    assert_eq!(told, [(None, 100), (Some(user("bob")), 101)]);
    let talked = record.call.segments.iter().any(|segment| matches!(&segment.kind, SegmentKind::Talk { .. }));
    assert_eq!((talked, record.call.outcome), (false, Outcome::Answered), "a talk of no length is no segment");
}

#[test]
fn a_call_that_overflows_at_once_is_recorded_without_segments() {
    let queue = Queue { overflow_threshold: Some(0), ..Queue::default() };
    let mut world = open(ResponseGroup { queue, ..sales(Hunt::Serial, &["bob"]) });
    // The only agent's phone rings for an earlier caller.
    dial(&mut world, 1);
    let invite = crate::world::out_of_dialog(Method::Invite, "sip:sales@example.com", "ann", "c2")
        .with_body("application/sdp", crate::world::sdp_body(30_002));
    let transaction = world.request(invite, Some(user("ann")));
    world.pass(Duration::from_secs(1));
    assert!(!world.take_responses(transaction).is_empty());
    let record = records(&world).pop().expect("a record");
    assert!(record.call.segments.is_empty() && record.legs.is_empty(), "{record:?}");
    let line = history(&world, "ann").pop().expect("his line");
    assert_eq!((line.kind, line.termination.reason), (ConversationKind::Outgoing, TerminationReason::Busy));
}
