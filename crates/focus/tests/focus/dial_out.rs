//! Whom the conference calls, and in which order.

use base::{Duration, Role, Termination, TerminationReason as Reason};
use focus::{
    AdmissionChange, ControlRequest, Diagnostic, DisconnectionMethod, ElementState, EndpointStatus, FailureReason,
    Input, Outcome, Output, Requester,
};

use crate::world::{
    World, account, dialled, document, endpoint, failure, granted, hung_up, outcome, outcomes, phone, user,
};

#[test]
fn a_dial_out_goes_through_its_states_and_succeeds_when_connected() {
    let mut w = World::new();
    w.attend("ann");
    let (_, outputs) = w.subscribe(account("ann"));
    assert_eq!(document(&outputs).state, ElementState::Full);
    let (leg, command, outputs) = w.dial(account("ann"), "bob");
    assert_eq!(dialled(&outputs), [leg]);
    assert_eq!(outcome(&outputs), Outcome::Pending);
    assert_eq!(document(&outputs).users[0].endpoints[0].status, EndpointStatus::DialingOut);
    let outputs = w.give(Input::LegAlerting { leg });
    assert_eq!(document(&outputs).users[0].endpoints[0].status, EndpointStatus::Alerting);
    let outputs = w.connect(leg);
    let shown = outputs.iter().position(|output| matches!(output, Output::Notify { .. }));
    let success = outputs.iter().position(|output| matches!(output, Output::Outcome { .. }));
    assert!(shown < success, "the roster shows him before the requester hears of it: {outputs:?}");
    assert_eq!(document(&outputs).users[0].endpoints[0].status, EndpointStatus::Connected);
    let joined = Outcome::Joined { user: user("bob"), endpoint: endpoint("bob-phone"), role: Role::Attendee };
    assert_eq!(outcomes(&outputs), [(command, joined)]);
}

#[test]
fn failures_are_told_apart() {
    let table = [
        (Reason::Busy, FailureReason::OtherFailure, DisconnectionMethod::Busy),
        (Reason::Declined, FailureReason::OtherFailure, DisconnectionMethod::Failed),
        (Reason::NoAnswer, FailureReason::Timeout, DisconnectionMethod::Failed),
        (Reason::InvalidTarget, FailureReason::InvalidUserEntity, DisconnectionMethod::Failed),
        (Reason::Forbidden, FailureReason::Forbidden, DisconnectionMethod::Failed),
        (Reason::MediaNotSupported, FailureReason::MediaNotSupported, DisconnectionMethod::Failed),
        (Reason::ServiceUnavailable, FailureReason::OtherFailure, DisconnectionMethod::Failed),
        (Reason::McuLost, FailureReason::ServerInternalError, DisconnectionMethod::Failed),
    ];
    for (ended, reason, method) in table {
        let mut w = World::new();
        w.attend("ann");
        w.subscribe(account("ann"));
        let (leg, _, _) = w.dial(account("ann"), "bob");
        let outputs = w.end(leg, ended);
        assert_eq!((failure(&outputs).reason, hung_up(&outputs)), (reason, vec![]), "{ended:?}");
        assert_eq!(failure(&outputs).termination, Some(Termination::failed(ended)));
        let bob = &document(&outputs).users[0];
        assert_eq!((bob.state, bob.endpoints[0].status), (ElementState::Deleted, EndpointStatus::Disconnected));
        assert_eq!(bob.endpoints[0].disconnection.as_ref().expect("it ended").method, method, "{ended:?}");
    }
}

#[test]
fn a_retry_does_not_ring_twice_and_both_get_the_outcome() {
    let mut w = World::new();
    w.attend("ann");
    w.attend("pat");
    let (leg, first, _) = w.dial(account("ann"), "bob");
    let (_, second, outputs) = w.dial(account("pat"), "bob");
    assert_eq!((dialled(&outputs), outcome(&outputs)), (vec![], Outcome::Pending));
    let outputs = w.connect(leg);
    assert_eq!(outcomes(&outputs).iter().map(|(command, _)| *command).collect::<Vec<_>>(), [first, second]);
    let (_, _, outputs) = w.dial(account("ann"), "bob");
    assert_eq!(granted(&outputs), Role::Attendee, "he is in already");
    assert_eq!(dialled(&outputs), []);
}

#[test]
fn retries_are_bounded() {
    let mut w = World::with(|_, config| config.commands_per_dial_out = 2);
    w.attend("ann");
    w.dial(account("ann"), "bob");
    w.dial(account("ann"), "bob");
    let (_, _, outputs) = w.dial(account("ann"), "bob");
    assert_eq!(failure(&outputs).reason, FailureReason::OtherFailure);
}

#[test]
fn a_retry_of_a_running_dial_out_is_no_invitation_into_a_locked_conference() {
    let mut w = World::new();
    w.attend("ann");
    let (leg, _, _) = w.dial(account("ann"), "bob");
    w.ask(account("ann"), ControlRequest::ModifyConferenceLock { locked: true, admission: AdmissionChange::default() });
    let (_, _, outputs) = w.dial(account("ann"), "bob");
    assert_eq!(outcome(&outputs), Outcome::Pending);
    assert_eq!(outcomes(&w.connect(leg)).len(), 2);
}

#[test]
fn a_lock_does_not_cancel_what_is_alerting() {
    let mut w = World::new();
    w.attend("ann");
    let (leg, _, _) = w.dial(account("ann"), "bob");
    w.give(Input::LegAlerting { leg });
    let outputs = w.ask(
        account("ann"),
        ControlRequest::ModifyConferenceLock { locked: true, admission: AdmissionChange::default() },
    );
    assert_eq!(hung_up(&outputs), []);
    assert_eq!(granted(&w.connect(leg)), Role::Attendee);
}

#[test]
fn delete_user_cancels_a_dial_out_and_wins_the_race() {
    let mut w = World::new();
    w.attend("ann");
    let (leg, dial, _) = w.dial(account("ann"), "bob");
    let outputs = w.ask(account("ann"), ControlRequest::DeleteUser { user: user("bob") });
    let answers = outcomes(&outputs);
    assert!(
        matches!(&answers[..], [(first, Outcome::Failure(failure)), (_, Outcome::Done)]
        if *first == dial && failure.reason == FailureReason::RequestCancelled),
        "{answers:?}"
    );
    assert_eq!(hung_up(&outputs), [(leg, Termination::cancelled(Reason::Booted))]);
    assert_eq!(w.connect(leg), [], "the 200 that crossed the CANCEL changes nothing");
    assert_eq!(w.end(leg, Reason::RequestCancelled), []);
    assert_eq!(w.names(), ["ann"]);
}

#[test]
fn pending_is_repeated_until_the_ring_limit() {
    let mut w = World::new();
    w.attend("ann");
    let (leg, command, _) = w.dial(account("ann"), "bob");
    let outputs = w.pass(Duration::from_secs(59));
    assert_eq!(outcomes(&outputs), [(command, Outcome::Pending), (command, Outcome::Pending)]);
    let outputs = w.pass(Duration::from_secs(1));
    let answers = outcomes(&outputs);
    assert!(matches!(answers.last(), Some((_, Outcome::Failure(failure))) if failure.reason == FailureReason::Timeout));
    assert_eq!(hung_up(&outputs), [(leg, Termination::failed(Reason::NoAnswer))]);
}

#[test]
fn the_leaders_own_leg_is_called_first() {
    let mut w = World::new();
    w.attend("ann");
    let (own, _, outputs) = w.dial(account("ann"), "ann");
    assert_eq!(dialled(&outputs), [own]);
    let (bob, _, outputs) = w.dial(account("ann"), "bob");
    assert_eq!(dialled(&outputs), []);
    assert_eq!(w.status(bob), Some(EndpointStatus::Pending));
    w.give(Input::LegAlerting { leg: own });
    let outputs = w.connect(own);
    assert_eq!(dialled(&outputs), [bob]);
    assert_eq!(w.status(bob), Some(EndpointStatus::DialingOut));
}

#[test]
fn without_the_leader_nobody_else_is_called() {
    let mut w = World::new();
    w.attend("ann");
    let (own, _, _) = w.dial(account("ann"), "ann");
    let (bob, second, _) = w.dial(account("ann"), "bob");
    let outputs = w.end(own, Reason::Declined);
    assert_eq!(dialled(&outputs), []);
    assert_eq!(hung_up(&outputs), [], "a leg that was never called is not hung up");
    let cancelled = outcomes(&outputs).into_iter().find(|(command, _)| *command == second);
    assert!(
        matches!(cancelled, Some((_, Outcome::Failure(failure))) if failure.reason == FailureReason::RequestCancelled)
    );
    assert_eq!(w.status(bob), None);
}

#[test]
fn a_leader_who_dials_in_meanwhile_is_up_as_well() {
    let mut w = World::new();
    w.attend("ann");
    w.dial(account("ann"), "ann");
    let (bob, _, _) = w.dial(account("ann"), "bob");
    let (audio, _) = w.join_media(account("ann"), "ann-audio", None);
    assert_eq!(dialled(&w.connect(audio)), [bob]);
}

#[test]
fn only_the_requesters_own_leg_is_waited_for() {
    let mut w = World::new();
    w.attend("ann");
    w.attend("pat");
    w.dial(account("ann"), "ann");
    let (bob, _, outputs) = w.dial(account("pat"), "bob");
    assert_eq!(dialled(&outputs), [bob]);
    let mut w = World::new();
    w.talk("ann");
    w.dial(account("ann"), "ann");
    let (bob, _, outputs) = w.dial(account("ann"), "bob");
    assert_eq!(dialled(&outputs), [bob], "she is in with audio already");
}

#[test]
fn the_operator_dials_for_the_organizer() {
    let mut w = World::new();
    let (own, _, outputs) = w.dial(Requester::Operator, "ann");
    assert_eq!(dialled(&outputs), [own]);
    let (bob, _, outputs) = w.dial(Requester::Operator, "bob");
    assert_eq!(dialled(&outputs), []);
    assert_eq!(dialled(&w.connect(own)), [bob]);
}

#[test]
fn a_queued_dial_out_can_be_deleted() {
    let mut w = World::new();
    w.attend("ann");
    let (own, _, _) = w.dial(account("ann"), "ann");
    w.dial(account("ann"), "bob");
    let outputs = w.ask(account("ann"), ControlRequest::DeleteUser { user: user("bob") });
    assert_eq!(hung_up(&outputs), []);
    assert_eq!(dialled(&w.connect(own)), []);
}

#[test]
fn a_deleted_dial_out_is_forgotten_by_the_queue() {
    let mut w = World::new();
    w.attend("ann");
    w.attend("pat");
    let (own, _, _) = w.dial(account("ann"), "ann");
    let (bob, _, _) = w.dial(account("ann"), "bob");
    w.ask(account("ann"), ControlRequest::DeleteUser { user: user("bob") });
    let (_, _, outputs) = w.dial_with(account("pat"), "cleo", |request| request.leg = bob);
    assert_eq!(dialled(&outputs), [bob], "the number was never used");
    assert_eq!(dialled(&w.connect(own)), []);
}

#[test]
fn authorisation_has_its_diagnostics() {
    let third_party = |w: &mut World| w.dial(account("bob"), "zoe").2;
    let as_presenter =
        |w: &mut World| w.dial_with(account("bob"), "zoe", |request| request.role = Some(Role::Presenter)).2;
    let elsewhere = |w: &mut World| w.dial_with(account("bob"), "pat", |request| request.target = user("+1900")).2;
    let as_organizer =
        |w: &mut World| w.dial_with(account("ann"), "zoe", |request| request.role = Some(Role::Organizer)).2;
    let stranger = |w: &mut World| w.dial(account("zoe"), "zoe").2;
    let claimed = |w: &mut World| w.dial(phone("ann"), "zoe").2;
    type Case<'a> = (&'a str, bool, &'a dyn Fn(&mut World) -> Vec<Output>, FailureReason, Diagnostic);
    let cases: [Case<'_>; 6] = [
        ("third party", false, &third_party, FailureReason::Forbidden, Diagnostic::ATTENDEE_DIAL_OUT),
        ("presenter", true, &as_presenter, FailureReason::Forbidden, Diagnostic::ATTENDEE_DIAL_OUT_TO_PRESENTER),
        ("elsewhere", true, &elsewhere, FailureReason::Forbidden, Diagnostic::AUTHORISATION_FAILED),
        ("organizer", true, &as_organizer, FailureReason::InvalidRole, Diagnostic::ROLE_INVALID),
        ("stranger", true, &stranger, FailureReason::Forbidden, Diagnostic::AUTHORISATION_FAILED),
        ("claimed", true, &claimed, FailureReason::Forbidden, Diagnostic::AUTHORISATION_FAILED),
    ];
    for (name, allowed, ask, reason, diagnostic) in cases {
        let mut w = World::with(|record, _| record.attendees_may_dial_out = allowed);
        w.attend("ann");
        w.attend("bob");
        let outputs = ask(&mut w);
        let refusal = failure(&outputs);
        assert_eq!((refusal.reason, refusal.diagnostic), (reason, Some(diagnostic)), "{name}");
        assert_eq!(dialled(&outputs), [], "{name}");
    }
}

#[test]
fn attendees_may_call_themselves_and_where_allowed_others() {
    let mut w = World::with(|record, _| record.attendees_may_dial_out = true);
    w.attend("bob");
    let (own, _, outputs) = w.dial(account("bob"), "bob");
    assert_eq!(dialled(&outputs), [own]);
    w.connect(own);
    for (name, role) in [("zoe", Role::Attendee), ("pat", Role::Presenter)] {
        let (leg, _, outputs) = w.dial(account("bob"), name);
        assert_eq!(dialled(&outputs), [leg]);
        assert_eq!(granted(&w.connect(leg)), role);
    }
    let mut w = World::new();
    w.attend("bob");
    let (leg, _, outputs) = w.dial_with(account("bob"), "bob", |request| request.target = user("+1425"));
    assert_eq!(dialled(&outputs), [leg]);
}

#[test]
fn a_phone_that_dialled_in_dials_nobody() {
    let mut w = World::with(|record, _| {
        record.access = base::AccessType::Anonymous;
        record.attendees_may_dial_out = true;
    });
    let (guest, _) = w.join_media(phone("+1425"), "", None);
    w.connect(guest);
    let (_, _, outputs) = w.dial(Requester::Participant(guest), "bob");
    assert_eq!(failure(&outputs).diagnostic, Some(Diagnostic::ANONYMOUS_DESTINATION));
}

#[test]
fn a_presenter_brings_in_whom_he_likes_as_what_he_likes() {
    let mut w = World::new();
    w.attend("pat");
    let (leg, _, _) = w.dial_with(account("pat"), "zoe", |request| request.role = Some(Role::Presenter));
    assert_eq!(granted(&w.connect(leg)), Role::Presenter);
    let (leg, _, _) = w.dial_with(account("pat"), "bob", |request| request.display_name = Some("Bob".into()));
    assert_eq!(granted(&w.connect(leg)), Role::Attendee);
    let (_, _, outputs) = w.dial_with(account("pat"), "bob", |request| {
        request.endpoint = endpoint("bob-mobile");
        request.display_name = Some("Not Bob".into());
        request.role = Some(Role::Presenter);
    });
    assert_eq!(dialled(&outputs).len(), 1);
    assert_eq!(w.focus.role_of(&user("bob")), Some(Role::Attendee), "a dial-out promotes nobody who is in");
    let shown = w.focus.roster_document();
    assert!(shown.users.iter().any(|user| user.display_name.as_deref() == Some("Bob")), "nor renames him");
}

#[test]
fn dial_outs_are_bounded() {
    let mut w = World::with(|_, config| config.limits.dial_outs_per_conference = 1);
    w.attend("ann");
    let (leg, _, _) = w.dial(account("ann"), "bob");
    let (_, _, outputs) = w.dial(account("ann"), "cleo");
    assert_eq!(failure(&outputs).reason, FailureReason::OtherFailure);
    w.connect(leg);
    let (leg, _, outputs) = w.dial(account("ann"), "cleo");
    assert_eq!(dialled(&outputs), [leg]);
}

#[test]
fn a_phone_that_dials_in_before_it_is_reached_takes_the_place_of_the_dial_out() {
    let mut w = World::new();
    w.attend("ann");
    let (leg, command, _) = w.dial(account("ann"), "bob");
    let (new, outputs) = w.join_media(account("bob"), "bob-phone", None);
    assert_eq!(hung_up(&outputs), [(leg, Termination::cancelled(Reason::Replaced))]);
    let answers = outcomes(&outputs);
    assert!(answers.iter().any(|(answered, outcome)| *answered == command && outcome.is_final()), "{answers:?}");
    assert_eq!(w.status(new), Some(EndpointStatus::DialingIn));
}
