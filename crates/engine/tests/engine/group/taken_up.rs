//! Whom the process had on the line when it died: he is taken up by the next one, served again or hung up.

use super::crash::with_key;
use crate::world::groups::{
    check_drained, config, dial, history, ok, outcomes, parallel, records, request_of, restarted, sales,
};
use crate::world::{World, answer_to, user};
use base::{CallId, Duration, Termination, TerminationReason};
use engine::{GroupCommand, GroupJournal, Input};
use mcu_api::McuCommand;
use response_group::{Action, Config, Failure, Method as Hunt, Outcome};
use sip_api::{ClientFailure, ClientTransactionId, Method, Request, SipCommand, SipEvent};

pub(super) fn rings(world: &mut World, name: &str) -> (ClientTransactionId, Request) {
    let rung = world.take_requests(&Method::Invite);
    let invite = rung.iter().find(|(_, invite)| invite.uri.to_string().contains(name)).expect("he is rung").clone();
    world.put_back(rung.into_iter().filter(|(transaction, _)| *transaction != invite.0).collect());
    world.respond(invite.0, answer_to(&invite.1, 180));
    invite
}

fn call_ids(requests: Vec<(ClientTransactionId, Request)>) -> Vec<String> {
    requests.into_iter().map(|(_, request)| request.call_id().to_owned()).collect()
}

#[test]
fn an_agent_who_was_asked_for_the_key_is_hung_up_by_the_next_process() {
    let mut world = World::new();
    world.open_groups(with_key(), &[]);
    world.register("bob", &[41_000]);
    let caller = dial(&mut world, 1);
    let (transaction, invite) = &caller.rung[0];
    world.respond(*transaction, answer_to(invite, 180));
    world.respond(*transaction, ok(invite));
    let mut after = restarted(&world, with_key(), &world.journal);
    let byes = after.take_requests(&Method::Bye);
    assert_eq!(call_ids(byes), [invite.call_id()], "bob answered and nobody else did");
}

fn plain() -> Config {
    config(sales(Hunt::Parallel, &["bob", "cleo"]))
}

/// A caller who was sent to dave, whose phone rings; and the journal so far.
fn sent_to_dave() -> (World, crate::world::groups::Caller, (ClientTransactionId, Request), Vec<GroupJournal>) {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    let target = Action::Forward { target: user("dave") };
    world.register("dave", &[43_000]);
    world.input(Input::Group(GroupCommand::Transfer { call: CallId(1), target }));
    let ringing = rings(&mut world, "dave");
    let journal = world.journal.clone();
    (world, caller, ringing, journal)
}

#[test]
fn a_target_who_was_rung_is_silenced_by_the_next_process_and_rung_anew_for_the_caller() {
    let (world, caller, (_, invite), journal) = sent_to_dave();
    let mut after = restarted(&world, plain(), &journal);
    after.register("dave", &[43_000]);
    let (transaction, repeated) = request_of(&mut after, &Method::Invite, invite.call_id()).expect("once more");
    assert!(after.sip.iter().any(|command| matches!(command, SipCommand::Cancel { .. })));
    after.respond(transaction, answer_to(&repeated, 487));
    let (transaction, reinvite) =
        request_of(&mut after, &Method::Invite, caller.invite.call_id()).expect("he is taken up");
    after.respond(transaction, ok(&reinvite));
    let (transaction, anew) = rings(&mut after, "dave");
    assert_ne!(anew.call_id(), invite.call_id());
    after.respond(transaction, ok(&anew));
    assert!(after.take_requests(&Method::Bye).is_empty(), "they talk");
    after.request(caller.bye(), None);
    assert_eq!(outcomes(&after), [Outcome::Transferred { target: Some(user("dave")) }]);
    check_drained(&mut after);
}

#[test]
fn a_caller_who_was_being_sent_on_and_does_not_come_back_has_an_outcome() {
    let (world, caller, ..) = sent_to_dave();
    let hung_up = Outcome::Transferred { target: Some(user("dave")) };
    for (status, outcome) in [(488, Outcome::Failed { why: Failure::Restart }), (481, hung_up)] {
        let mut after = restarted(&world, plain(), &world.journal);
        for (transaction, request) in after.take_requests(&Method::Invite) {
            let his = request.call_id() == caller.invite.call_id();
            after.respond(transaction, answer_to(&request, if his { status } else { 487 }));
        }
        assert_eq!(outcomes(&after), [outcome]);
        assert_eq!(history(&after, "ann").len(), 1, "an entry for the caller");
        check_drained(&mut after);
    }
}

/// A caller who waits, or talks with bob; the journal so far is the world's.
fn in_hand(talking: bool) -> (World, crate::world::groups::Caller) {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    for (transaction, invite) in &caller.rung {
        world.respond(*transaction, answer_to(invite, 180));
    }
    if talking {
        let (transaction, invite) = &caller.rung[0];
        world.respond(*transaction, ok(invite));
        world.respond(caller.rung[1].0, answer_to(&caller.rung[1].1, 487));
    }
    (world, caller)
}

#[test]
fn a_caller_whose_phone_cannot_be_reached_after_a_crash_is_lost_and_has_not_hung_up() {
    for talking in [false, true] {
        let (world, caller) = in_hand(talking);
        let mut after = restarted(&world, plain(), &world.journal);
        let (transaction, _) = request_of(&mut after, &Method::Invite, caller.invite.call_id()).expect("taken up");
        let failed = SipEvent::Failed { transaction, failure: ClientFailure::Transport };
        after.input(Input::Sip(failed));
        assert_eq!(outcomes(&after), [Outcome::Failed { why: Failure::Restart }], "talking: {talking}");
        for (transaction, request) in after.take_requests(&Method::Invite) {
            after.respond(transaction, answer_to(&request, 487));
        }
        check_drained(&mut after);
    }
}

/// The agent's phone does not know the call any more, cannot be reached, or does not answer: the caller holds the line.
#[test]
fn a_caller_whose_agent_is_gone_after_a_crash_is_served_again() {
    for (status, caller_first) in
        [(Some(481), true), (Some(481), false), (Some(0), true), (Some(0), false), (None, true)]
    {
        let (world, caller) = in_hand(true);
        let bob = caller.rung[0].1.call_id();
        let mut after = restarted(&world, plain(), &world.journal);
        after.register("cleo", &[42_000]);
        let (his, reinvite) = request_of(&mut after, &Method::Invite, caller.invite.call_id()).expect("taken up");
        let (bobs, asked) = request_of(&mut after, &Method::Invite, bob).expect("taken up");
        if caller_first {
            after.respond(his, ok(&reinvite));
        }
        match status {
            Some(0) => {
                after.input(Input::Sip(SipEvent::Failed { transaction: bobs, failure: ClientFailure::Transport }))
            }
            Some(status) => after.respond(bobs, answer_to(&asked, status)),
            None => after.pass(Duration::from_secs(10)),
        }
        if !caller_first {
            after.respond(his, ok(&reinvite));
        }
        let byes = call_ids(after.take_requests(&Method::Bye));
        let to_caller = byes.iter().any(|call_id| call_id == caller.invite.call_id());
        assert!(!to_caller && outcomes(&after).is_empty(), "{status:?}: he is served again");
        let (transaction, invite) = rings(&mut after, "cleo");
        after.respond(transaction, ok(&invite));
        after.pass(Duration::from_secs(3));
        after.request(caller.bye(), None);
        assert_eq!(outcomes(&after), [Outcome::Answered]);
        check_drained(&mut after);
    }
}

/// Those who talk outside the groups are given their audio back, and the record says how long they talked in all.
#[test]
fn a_caller_and_whom_he_was_sent_to_talk_on_after_a_crash() {
    let (mut world, caller, (transaction, invite), _) = sent_to_dave();
    world.respond(transaction, ok(&invite));
    let talking_from = world.now;
    world.pass(Duration::from_secs(5));
    let checkpoint = world.engine.group_checkpoint().expect("there are groups");
    for journal in [world.journal.clone(), checkpoint] {
        let mut after = restarted(&world, plain(), &journal);
        for call_id in [caller.invite.call_id(), invite.call_id()] {
            let (transaction, reinvite) = request_of(&mut after, &Method::Invite, call_id).expect("is taken up");
            after.respond(transaction, ok(&reinvite));
        }
        assert!(after.take_requests(&Method::Bye).is_empty(), "they talk");
        let mixed = after.mcu.iter().filter(|command| matches!(command, McuCommand::SetInMix { in_mix: true, .. }));
        assert_eq!(mixed.count(), 1, "the target is heard again");
        assert!(records(&after).is_empty(), "the call goes on");
        after.pass(Duration::from_secs(5));
        after.request(caller.bye(), None);
        let records = records(&after);
        let [record] = &records[..] else { panic!("one record: {records:?}") };
        let onward = record.onward.as_ref().expect("they talked");
        assert_eq!(onward.to.since(onward.from), after.now.since(talking_from));
        assert_eq!(record.legs.len(), 2, "his leg and the target's: {:?}", record.legs);
        let lines = history(&after, "dave");
        let [line] = &lines[..] else { panic!("one line: {lines:?}") };
        assert_eq!(line.ended - line.answered.expect("he answered"), 12_000);
        check_drained(&mut after);
    }
}

#[test]
fn when_one_of_them_does_not_come_back_the_other_is_hung_up() {
    let (mut world, caller, (transaction, invite), _) = sent_to_dave();
    world.respond(transaction, ok(&invite));
    let ids = [caller.invite.call_id(), invite.call_id()];
    for (gone, left) in [(ids[0], ids[1]), (ids[1], ids[0])] {
        let mut after = restarted(&world, plain(), &world.journal);
        let (transaction, reinvite) = request_of(&mut after, &Method::Invite, left).expect("is taken up");
        after.respond(transaction, ok(&reinvite));
        let (transaction, reinvite) = request_of(&mut after, &Method::Invite, gone).expect("is taken up");
        after.respond(transaction, answer_to(&reinvite, 481));
        assert!(request_of(&mut after, &Method::Bye, left).is_some());
        let records = records(&after);
        let [record] = &records[..] else { panic!("one record: {records:?}") };
        assert_eq!(record.termination, Termination::failed(TerminationReason::McuLost));
        check_drained(&mut after);
    }
}
