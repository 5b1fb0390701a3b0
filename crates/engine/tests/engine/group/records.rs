//! What a response group's call leaves: lines in the histories of everybody it concerned, and one record.

use crate::world::groups::{
    Caller, SDP, bye_of_callee, cancels, check_drained, dial, history, ok, open, outcomes, parallel, records, sales,
    story,
};
use crate::world::{World, answer_to, flow, in_dialog, out_of_dialog, sdp_body, user};
use base::{
    CallId, ConversationKind, Duration, GroupErrand, Termination, TerminationReason, TerminationResult, UserUri,
};
use engine::{EngineEvent, GroupCommand, GroupJournal, GroupLegRecord, GroupVisit, Input};
use mcu_api::{LegStatistics, McuEvent};
use response_group::{Action, Entry, Failure, Method as Hunt, MonitorMode, Outcome, Queue, ResponseGroup, SegmentKind};
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
    assert_eq!(line.termination, Termination::cancelled(TerminationReason::Departed), "by BYE, for he was answered");
    assert_eq!(records(&world)[0].termination, line.termination);
    let waited = &records(&world)[0].call.segments[0];
    assert_eq!(waited.outcome, Outcome::Abandoned);
    assert_eq!(records(&world)[0].termination_of(waited), line.termination);
    for agent in ["bob", "cleo"] {
        let lines: Vec<_> = history(&world, agent).iter().map(|line| (line.kind, line.termination)).collect();
        assert_eq!(lines, [(ConversationKind::GroupCallAbandoned, line.termination)], "{agent}");
    }
}

#[test]
fn agents_who_were_rung_when_the_server_stopped_are_told_so() {
    let mut world = parallel();
    dial(&mut world, 1);
    world.input(Input::Stop);
    let line = history(&world, "bob").pop().expect("a line");
    assert_eq!(line.kind, ConversationKind::GroupCallNotAnswered);
    assert_eq!(line.termination, Termination::cancelled(TerminationReason::ServerStopping));
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
    world.input(Input::SetUserProfile { user: user("cleo"), profile: Box::new(mailbox) });
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
    world.input(Input::Stop);
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
    world.input(Input::Sip(answer));
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
        world.input(Input::Mcu(McuEvent::LegRemoved { leg, statistics }));
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
    let invite = out_of_dialog(Method::Invite, "sip:sales@example.com", "ann", "c2")
        .with_body("application/sdp", sdp_body(30_002));
    let transaction = world.request(invite, Some(user("ann")));
    world.pass(Duration::from_secs(1));
    assert!(!world.take_responses(transaction).is_empty());
    let record = records(&world).pop().expect("a record");
    assert!(record.call.segments.is_empty() && record.legs.is_empty(), "{record:?}");
    let line = history(&world, "ann").pop().expect("his line");
    assert_eq!((line.kind, line.termination.reason), (ConversationKind::Outgoing, TerminationReason::Busy));
}

/// What supervisors and callers of feature codes left: the call, and how its media fared.
fn visits(world: &World) -> Vec<(GroupVisit, Option<GroupLegRecord>)> {
    let visits = world.events.iter().filter_map(|event| match event {
        EngineEvent::GroupVisitEnded { visit, leg } => Some(((**visit).clone(), leg.as_deref().cloned())),
        _ => None,
    });
    visits.collect()
}

fn supervise(world: &mut World, mode: MonitorMode) {
    world.input(Input::Group(GroupCommand::Monitor { call: CallId(1), supervisor: user("dave"), mode }));
}

#[test]
fn a_supervisor_leaves_a_line_and_a_record_and_the_story_says_who_listened() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    world.register("dave", &[43_000]);
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, ok(&caller.rung[0].1));
    supervise(&mut world, MonitorMode::Listen);
    let (transaction, invite) = world.take_requests(&Method::Invite).pop().expect("his phone rings");
    world.pass(Duration::from_secs(2));
    world.respond(transaction, ok(&invite));
    world.pass(Duration::from_secs(5));
    supervise(&mut world, MonitorMode::Whisper);
    world.pass(Duration::from_secs(3));
    world.request(caller.bye(), None);
    check_drained(&mut world);

    let (visit, leg) = visits(&world).pop().expect("it is recorded");
    assert_eq!((&visit.user, &visit.with, visit.call), (&user("dave"), &user("sales"), CallId(1)));
    assert_eq!((visit.errand, visit.agent), (GroupErrand::Whisper, Some(user("bob"))), "the furthest he went");
    let answered = visit.answered.expect("he answered");
    assert_eq!(answered.since(visit.since), Duration::from_secs(2));
    assert_eq!(visit.ended.since(answered), Duration::from_secs(8));
    assert_eq!(leg.expect("he had audio").call_id, invite.call_id());
    let line = history(&world, "dave").pop().expect("his line");
    assert_eq!((line.kind, &line.peer), (ConversationKind::Outgoing, &user("sales")));
    assert_eq!((line.errand, &line.answered_by), (Some(GroupErrand::Whisper), &Some(user("bob"))));

    let entries: Vec<Entry> = world
        .journal
        .iter()
        .filter_map(|record| match record {
            GroupJournal::Machine(entry) => Some(entry.clone()),
            GroupJournal::Wire(_) => None,
        })
        .collect();
    let story = response_group::explain(&entries, "1").expect("it can be replayed").expect("it is there");
    let told: Vec<&str> =
        story.lines.iter().map(|line| line.what.as_str()).filter(|what| what.contains("dave")).collect();
    assert_eq!(
        told,
        [
            "sip:dave@example.com listens",
            "sip:dave@example.com listens no longer, after 5.000 s; sip:dave@example.com whispers to the agent",
            "sip:dave@example.com whispers to the agent no longer, after 3.000 s",
        ]
    );
}

#[test]
fn a_supervisor_who_does_not_answer_has_a_line_and_no_record_of_a_conversation() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    world.register("dave", &[43_000]);
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, ok(&caller.rung[0].1));
    supervise(&mut world, MonitorMode::Barge);
    let (transaction, invite) = world.take_requests(&Method::Invite).pop().expect("his phone rings");
    world.respond(transaction, answer_to(&invite, 486));
    let line = history(&world, "dave").pop().expect("his line");
    assert_eq!((line.kind, line.errand, line.answered), (ConversationKind::Outgoing, Some(GroupErrand::Barge), None));
    assert_eq!(line.termination.reason, TerminationReason::Busy);
    assert!(visits(&world).pop().is_some_and(|(visit, leg)| visit.answered.is_none() && leg.is_none()));
    world.request(caller.bye(), None);
    check_drained(&mut world);
}

#[test]
fn calls_to_feature_codes_leave_lines_and_records_also_when_they_are_refused() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    for (who, code, status) in [("bob", "*57", 200), ("dave", "*55", 403)] {
        let invite = out_of_dialog(Method::Invite, &format!("sip:{code}@example.com"), who, code)
            .with_body(SDP, sdp_body(34_000));
        let transaction = world.request(invite.clone(), Some(user(who)));
        let answer = world.take_responses(transaction).pop().expect("he is answered");
        assert_eq!(answer.status, status);
        if status == 200 {
            world.ack(in_dialog(Method::Ack, &invite, &answer, 1));
        }
        let line = history(&world, who).pop().expect("his line");
        assert_eq!((line.kind, line.peer), (ConversationKind::Outgoing, user(code)));
        let (visit, _) = visits(&world).pop().expect("it is told");
        let (errand, answered, reason) = match status {
            200 => (GroupErrand::Pause, true, TerminationReason::Departed),
            _ => (GroupErrand::SignIn, false, TerminationReason::Forbidden),
        };
        assert_eq!((line.errand, line.termination.reason), (Some(errand), reason));
        assert_eq!((line.answered.is_some(), visit.answered.is_some()), (answered, answered));
        assert_eq!(visit.errand, errand);
    }
    check_drained(&mut world);
}

/// A phone may send BYE with its 200, and either may be heard of first (RFC 3261 15 lets a callee do so only after the ACK).
#[test]
fn an_agent_who_answers_and_hangs_up_at_once_has_answered() {
    for overtaken in [true, false] {
        let mut world = open(sales(Hunt::Serial, &["bob", "cleo"]));
        world.register("bob", &[41_000, 41_002]);
        let caller = dial(&mut world, 1);
        let [(transaction, invite), (other, others)] = caller.rung.clone().try_into().expect("two devices of bob");
        world.respond(other, answer_to(&others, 180));
        world.pass(Duration::from_secs(4));
        let bye = bye_of_callee(&invite, &ok(&invite), 1);
        if overtaken {
            world.request(bye, None);
            world.respond(transaction, ok(&invite));
        } else {
            world.respond(transaction, ok(&invite));
            world.request(bye, None);
        }
        assert_eq!(cancels(&mut world).iter().map(|(cancelled, _)| *cancelled).collect::<Vec<_>>(), [other]);
        world.respond(other, answer_to(&others, 487));
        if overtaken {
            let (transaction, invite) = world.take_requests(&Method::Invite).pop().expect("cleo is rung");
            world.respond(transaction, ok(&invite));
            world.pass(Duration::from_secs(7));
            world.request(caller.bye(), None);
        }
        check_drained(&mut world);

        let his = history(&world, "bob").pop().expect("his line");
        let departed = (TerminationResult::Completed, TerminationReason::Departed);
        assert_eq!(his.kind, ConversationKind::GroupCallAnsweredByYou, "overtaken: {overtaken}");
        assert_eq!((his.termination.result, his.termination.reason), departed);
        assert_eq!(his.answered.map(|answered| (answered - his.started, his.ended - answered)), Some((4_000, 0)));
        let callers = history(&world, "ann").pop().expect("her line");
        assert_eq!((callers.termination.result, callers.termination.reason), departed);
        assert_eq!(callers.ended - callers.started, if overtaken { 11_000 } else { 4_000 });
        assert_eq!(callers.answered_by, overtaken.then(|| user("cleo")));
        assert_eq!(outcomes(&world), [Outcome::Answered]);
        let story = story(&world, "1");
        let wanted = match overtaken {
            true => "offer 1 to sip:bob@example.com is over: the agent answered and hung up at once",
            false => "offer 1 to sip:bob@example.com is over: the conversation has ended",
        };
        assert!(story.iter().any(|line| line == wanted), "{story:?}");
        let record = records(&world).pop().expect("a record");
        let talks = record.call.segments.iter().filter_map(|part| match &part.kind {
            SegmentKind::Talk { agent } => Some((agent.clone(), part.to.since(part.from).as_secs())),
            _ => None,
        });
        let wanted: &[_] = if overtaken { &[(user("bob"), 0), (user("cleo"), 7)] } else { &[] };
        assert_eq!(talks.collect::<Vec<_>>(), wanted);
    }
}

/// Nobody knows whether such a caller ever heard anything: he was not served, whoever was on the line.
#[test]
fn a_caller_whose_phone_never_acknowledges_is_told_of_as_such() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let invite = out_of_dialog(Method::Invite, "sip:sales@example.com", "ann", "c1").with_body(SDP, sdp_body(30_000));
    let transaction = world.request(invite, Some(user("ann")));
    let rung = world.take_requests(&Method::Invite);
    world.respond(rung[0].0, ok(&rung[0].1));
    world.pass(Duration::from_secs(32));
    let answered = |world: &World| {
        let board = world.engine.wallboard(world.now).expect("there are groups");
        let counters = &board.groups[0].counters;
        (board.groups[0].talking, counters.answered, counters.answered_in_target, counters.other)
    };
    assert_eq!(answered(&world), (1, 0, 0, 0), "an agent is on the line, and nobody knows whether the caller is");
    world.input(Input::Sip(SipEvent::AckMissing { transaction }));
    world.pass(Duration::from_secs(33));
    assert_eq!(answered(&world), (0, 0, 0, 1));
    assert_eq!(outcomes(&world), [Outcome::Failed { why: Failure::NotConfirmed }]);
    assert_eq!(records(&world)[0].termination, Termination::failed(TerminationReason::NoAck));
    for name in ["ann", "bob"] {
        let line = history(&world, name).pop().expect("a line");
        assert_eq!(line.termination, Termination::failed(TerminationReason::NoAck), "{name}");
    }
    let told = story(&world, "c1");
    let says = |wanted: &str| assert!(told.iter().any(|line| line.contains(wanted)), "{wanted}: {told:#?}");
    says("the caller's phone never confirmed the call (no ACK)");
    says("the call is over: it was lost, the caller's phone never confirmed the call");
    assert!(!told.iter().any(|line| line == "the caller hung up"), "{told:#?}");
}
