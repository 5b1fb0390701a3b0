//! When a conference ends.

use base::{AccessType, Duration, Termination, TerminationReason};
use focus::{
    ControlRequest, EndReason, FailureReason, FocusEvent, Input, Outcome, Output, Pin, Prompt, SubscriptionEnd,
};

use crate::world::{World, account, documents, hung_up, outcomes, phone};

const MINUTE: Duration = Duration::from_secs(60);

fn ended(outputs: &[Output]) -> Option<EndReason> {
    match outputs.last() {
        Some(Output::ConferenceEnded { reason }) => Some(*reason),
        _ => None,
    }
}

#[test]
fn it_ends_when_the_last_participant_leaves() {
    let mut w = World::new();
    let (ann, bob) = (w.attend("ann"), w.attend("bob"));
    assert_eq!(ended(&w.end(ann, TerminationReason::Departed)), None, "the organizer's leaving does not end it");
    assert_eq!(ended(&w.end(bob, TerminationReason::Departed)), Some(EndReason::Empty));
    assert!(w.focus.is_ended());
    assert_eq!(w.focus.poll_timeout(), None);
    let (_, outputs) = w.join_focus(account("ann"), "ann", "ann-pc");
    assert_eq!(outputs, [], "it is inert");
}

#[test]
fn it_may_linger() {
    let mut w = World::with(|_, config| config.empty_linger = MINUTE);
    let ann = w.attend("ann");
    w.end(ann, TerminationReason::Departed);
    assert_eq!(w.pass(Duration::from_secs(59)), []);
    let ann = w.attend("ann");
    assert_eq!(ended(&w.pass(2 * MINUTE)), None);
    w.end(ann, TerminationReason::Departed);
    assert_eq!(ended(&w.pass(MINUTE)), Some(EndReason::Empty));
}

#[test]
fn it_does_not_begin_with_somebody_who_is_refused_or_hangs_up_before_he_entered_the_pin() {
    let begun = |outputs: &[Output]| outputs.contains(&Output::Event(FocusEvent::Activated));
    let mut w = World::with(|record, config| {
        record.access = AccessType::Closed;
        config.empty_linger = MINUTE;
    });
    let (_, outputs) = w.join_focus(account("zoe"), "zoe", "zoe-pc");
    assert_eq!((begun(&outputs), ended(&outputs)), (false, Some(EndReason::Empty)), "{outputs:?}");

    let mut w = World::with(|record, _| {
        record.access = AccessType::Anonymous;
        record.pin = Some(Pin::parse("4711").expect("valid"));
    });
    let (caller, outputs) = w.join_media(phone("+1425"), "", None);
    assert_eq!((begun(&outputs), ended(&outputs)), (false, None), "he is asked for the PIN");
    let outputs = w.end(caller, TerminationReason::Departed);
    assert_eq!((begun(&outputs), ended(&outputs)), (false, Some(EndReason::Empty)), "{outputs:?}");
}

#[test]
fn a_failed_dial_out_into_an_empty_conference_ends_it() {
    let mut w = World::new();
    let (leg, _, _) = w.dial(focus::Requester::Operator, "bob");
    let outputs = w.end(leg, TerminationReason::Busy);
    assert_eq!(ended(&outputs), Some(EndReason::Empty));
    assert_eq!(outcomes(&outputs).len(), 1);
}

#[test]
fn it_ends_ten_minutes_after_the_last_authenticated_user_left() {
    let mut w = World::with(|record, _| record.access = AccessType::Anonymous);
    let ann = w.attend("ann");
    let (guest, _) = w.join_media(phone("+1425"), "", None);
    w.connect(guest);
    assert_eq!(w.pass(60 * MINUTE), []);
    w.end(ann, TerminationReason::Departed);
    assert_eq!(w.pass(9 * MINUTE), [Output::Prompt { leg: guest, prompt: Prompt::Ending }]);
    let ann = w.attend("ann");
    assert_eq!(w.pass(20 * MINUTE), [], "she is back");
    w.end(ann, TerminationReason::Departed);
    let outputs = w.pass(10 * MINUTE);
    assert_eq!(ended(&outputs), Some(EndReason::NoAuthenticatedUser));
    assert_eq!(hung_up(&outputs), [(guest, Termination::completed(TerminationReason::ConferenceEnded))]);
}

#[test]
fn a_called_account_is_an_authenticated_user_and_a_called_phone_is_not() {
    for (is_account, expected) in [(true, None), (false, Some(EndReason::NoAuthenticatedUser))] {
        let mut w = World::new();
        let (leg, _, _) =
            w.dial_with(focus::Requester::Operator, "bob", |request| request.target_is_account = is_account);
        w.connect(leg);
        assert_eq!(ended(&w.pass(11 * MINUTE)), expected);
    }
}

#[test]
fn it_ends_a_day_after_the_last_join() {
    let day = 24 * 60 * MINUTE;
    let mut w = World::new();
    w.attend("ann");
    assert_eq!(ended(&w.pass(day - MINUTE)), None);
    w.attend("bob");
    assert_eq!(ended(&w.pass(day - MINUTE)), None);
    assert_eq!(ended(&w.pass(MINUTE)), Some(EndReason::MaximumLength));
}

#[test]
fn limits_of_zero_are_off() {
    let mut w = World::with(|record, config| {
        record.access = AccessType::Anonymous;
        config.unauthenticated_grace = Duration::ZERO;
        config.max_without_join = Duration::ZERO;
    });
    let (guest, _) = w.join_media(phone("+1425"), "", None);
    w.connect(guest);
    assert_eq!(w.focus.poll_timeout(), None);
}

#[test]
fn deleting_it_answers_every_command_and_ends_every_leg() {
    let mut w = World::with(|record, _| {
        record.access = AccessType::Anonymous;
        record.pin = Some(Pin::parse("4711").expect("valid"));
    });
    let ann = w.attend("ann");
    let (watch, _) = w.subscribe(account("ann"));
    let (bob, dial, _) = w.dial(account("ann"), "bob");
    let (caller, _) = w.join_media(phone("+1425"), "", None);
    let outputs = w.ask(account("ann"), ControlRequest::DeleteConference);
    let answers = outcomes(&outputs);
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0].1, Outcome::Done);
    let cancelled = |outcome: &Outcome| matches!(outcome, Outcome::Failure(failure) if failure.reason == FailureReason::RequestCancelled);
    assert!(answers[1..].iter().all(|(_, outcome)| cancelled(outcome)), "{answers:?}");
    assert!(answers.iter().any(|(command, _)| *command == dial));
    let mut legs: Vec<_> = hung_up(&outputs).into_iter().map(|(leg, _)| leg).collect();
    legs.sort();
    assert_eq!(legs, [ann, bob, caller]);
    assert_eq!(documents(&outputs).len(), 1);
    assert!(
        outputs.contains(&Output::SubscriptionEnded { subscription: watch, reason: SubscriptionEnd::ConferenceEnded })
    );
    assert_eq!(ended(&outputs), Some(EndReason::Deleted));
}

#[test]
fn it_is_ended_from_outside() {
    for (reason, termination) in [
        (EndReason::ServerStopping, Termination::completed(TerminationReason::ServerStopping)),
        (EndReason::McuLost, Termination::failed(TerminationReason::McuLost)),
    ] {
        let mut w = World::new();
        let ann = w.attend("ann");
        let outputs = w.give(Input::End { reason });
        assert_eq!(hung_up(&outputs), [(ann, termination)]);
        assert_eq!(ended(&outputs), Some(reason));
    }
}

#[test]
fn it_is_activated_once() {
    let mut w = World::with(|_, config| config.empty_linger = MINUTE);
    let activated = |outputs: &[Output]| outputs.contains(&Output::Event(FocusEvent::Activated));
    let (ann, outputs) = w.join_focus(account("ann"), "ann", "ann-pc");
    assert!(activated(&outputs));
    w.end(ann, TerminationReason::Departed);
    assert!(!activated(&w.join_focus(account("ann"), "ann", "ann-pc").1));
}
