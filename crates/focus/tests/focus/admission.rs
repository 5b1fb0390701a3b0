//! Who comes in, and as what.

use base::{AccessType, Duration, Role, Termination, TerminationReason, UserUri};
use focus::{
    AdmissionChange, ControlRequest, Diagnostic, EndpointStatus, FailureReason, Input, Outcome, Output, Pin, Prompt,
    Requester,
};

use crate::world::{World, account, failure, granted, hung_up, outcome, phone, user};

fn conference(access: AccessType, pin: Option<&str>) -> World {
    World::with(|record, _| {
        record.access = access;
        record.pin = pin.map(|pin| Pin::parse(pin).expect("valid"));
    })
}

#[test]
fn access_type_pin_and_identity_decide() {
    use AccessType::{Anonymous, Closed, Open};
    use FailureReason::{AnonymousUsersNotAllowed, Forbidden};
    let admitted = None;
    let table = [
        (Open, None, account("ann"), None, admitted),
        (Open, None, account("bob"), None, admitted),
        (Open, None, account("zoe"), None, admitted),
        (Open, Some("4711"), account("zoe"), None, admitted),
        (Open, None, phone("+1425"), None, Some(AnonymousUsersNotAllowed)),
        (Open, Some("4711"), phone("+1425"), Some("4711"), admitted),
        (Closed, None, account("ann"), None, admitted),
        (Closed, None, account("bob"), None, admitted),
        (Closed, None, account("zoe"), None, Some(Forbidden)),
        (Closed, Some("4711"), account("zoe"), Some("4711"), Some(Forbidden)),
        (Closed, Some("4711"), phone("+1425"), Some("4711"), Some(AnonymousUsersNotAllowed)),
        (Closed, None, phone("bob"), None, Some(AnonymousUsersNotAllowed)),
        (Anonymous, None, phone("+1425"), None, admitted),
        (Anonymous, None, account("zoe"), None, admitted),
        (Anonymous, Some("4711"), account("zoe"), None, admitted),
        (Anonymous, Some("4711"), phone("+1425"), Some("4711"), admitted),
    ];
    for (row, (access, with_pin, requester, entered, refused)) in table.into_iter().enumerate() {
        let mut w = conference(access, with_pin);
        let (leg, outputs) = w.join_media(requester, "", entered);
        match refused {
            None => assert!(matches!(outcome(&outputs), Outcome::Joined { .. }), "row {row}: {outputs:?}"),
            Some(reason) => {
                let refusal = failure(&outputs);
                assert_eq!(refusal.reason, reason, "row {row}");
                assert_eq!(refusal.diagnostic, Some(Diagnostic::AUTHORISATION_FAILED), "row {row}");
            }
        }
        assert_eq!(w.focus.holds(leg), refused.is_none(), "row {row}: a refused join is never the Focus's");
        assert_eq!(hung_up(&outputs), [], "row {row}: the refusal itself ends the call");
    }
}

#[test]
fn a_caller_without_pin_is_asked_three_times() {
    let mut w = conference(AccessType::Anonymous, Some("4711"));
    let (leg, outputs) = w.join_media(phone("+1425"), "", None);
    assert_eq!(outcome(&outputs), Outcome::NeedPin { tries_left: 3 });
    assert_eq!(w.connect(leg), [Output::Prompt { leg, prompt: Prompt::EnterPin }]);
    for tries_left in [2, 1] {
        let outputs = w.enter_pin(leg, "4712");
        assert_eq!(outcome(&outputs), Outcome::NeedPin { tries_left });
        assert!(outputs.contains(&Output::Prompt { leg, prompt: Prompt::WrongPin }));
    }
    let outputs = w.enter_pin(leg, "4713");
    assert_eq!(failure(&outputs).reason, FailureReason::InvalidPasscode);
    assert_eq!(hung_up(&outputs), [(leg, Termination::failed(TerminationReason::Forbidden))]);
    assert_eq!(w.enter_pin(leg, "4711"), [], "he is gone");
}

#[test]
fn the_right_pin_lets_an_answered_caller_straight_in() {
    let mut w = conference(AccessType::Open, Some("4711"));
    let (leg, _) = w.join_media(phone("+1425"), "", None);
    w.connect(leg);
    assert_eq!(w.names(), [""; 0], "who is entering the PIN is not in");
    assert_eq!(granted(&w.enter_pin(leg, "4711")), Role::Attendee);
    assert_eq!(w.status(leg), Some(EndpointStatus::Connected));
}

#[test]
fn a_wrong_pin_that_came_with_the_call_is_the_first_try() {
    let mut w = conference(AccessType::Open, Some("4711"));
    let (leg, outputs) = w.join_media(phone("+1425"), "", Some("1"));
    assert_eq!(outcome(&outputs), Outcome::NeedPin { tries_left: 2 });
    w.enter_pin(leg, "2");
    assert_eq!(failure(&w.enter_pin(leg, "3")).reason, FailureReason::InvalidPasscode);
}

#[test]
fn who_enters_nothing_is_turned_away() {
    let mut w = conference(AccessType::Anonymous, Some("4711"));
    let (leg, _) = w.join_media(phone("+1425"), "", None);
    w.pass(Duration::from_secs(29));
    w.connect(leg);
    assert_eq!(w.pass(Duration::from_secs(29)), [], "the time counts from the prompt");
    let outputs = w.pass(Duration::from_secs(1));
    assert_eq!(failure(&outputs).reason, FailureReason::Timeout);
    assert_eq!(hung_up(&outputs).len(), 1);
}

#[test]
fn a_caller_who_hangs_up_while_entering_the_pin_is_answered_once() {
    let mut w = conference(AccessType::Anonymous, Some("4711"));
    w.attend("ann");
    let timeout = w.focus.poll_timeout();
    let (leg, _) = w.join_media(phone("+1425"), "", None);
    assert_ne!(w.focus.poll_timeout(), timeout);
    let outputs = w.end(leg, TerminationReason::Departed);
    assert_eq!(w.focus.poll_timeout(), timeout, "nobody waits for his PIN any more");
    assert_eq!(failure(&outputs).reason, FailureReason::RequestCancelled);
    assert_eq!(hung_up(&outputs), []);
    assert_eq!(w.end(leg, TerminationReason::Departed), []);
}

#[test]
fn a_lock_that_arrives_while_he_types_keeps_the_caller_out() {
    let mut w = conference(AccessType::Anonymous, Some("4711"));
    w.attend("ann");
    let (leg, _) = w.join_media(phone("+1425"), "", None);
    w.ask(account("ann"), ControlRequest::ModifyConferenceLock { locked: true, admission: AdmissionChange::default() });
    let outputs = w.enter_pin(leg, "4711");
    assert_eq!(failure(&outputs).reason, FailureReason::ConferenceLocked);
    assert_eq!(hung_up(&outputs).len(), 1);
}

#[test]
fn a_focus_join_without_account_brings_its_pin_along() {
    let mut w = conference(AccessType::Anonymous, Some("4711"));
    let (_, outputs) = w.join_focus(phone("zed"), "zed", "zed-browser");
    assert_eq!(failure(&outputs).reason, FailureReason::InvalidPasscode);
}

#[test]
fn roles_come_from_the_list() {
    let mut w = World::new();
    for (name, role) in [("ann", Role::Organizer), ("pat", Role::Presenter), ("bob", Role::Attendee)] {
        let (_, outputs) = w.join_focus(account(name), name, name);
        assert_eq!(granted(&outputs), role, "{name}");
    }
}

#[test]
fn a_list_entry_makes_nobody_organizer() {
    let mut w = World::with(|record, _| record.invited.push((user("eve"), Role::Organizer)));
    let (_, outputs) = w.join_focus(account("eve"), "eve", "eve-pc");
    assert_eq!(granted(&outputs), Role::Presenter);
}

#[test]
fn nobody_joins_as_somebody_else() {
    let mut w = World::new();
    let (_, outputs) = w.join_focus(account("bob"), "ann", "bob-pc");
    assert_eq!(failure(&outputs).reason, FailureReason::InvalidUserEntity);
    let mut w = World::new();
    let (_, outputs) = w.join_focus(Requester::Operator, "bob", "bob-pc");
    assert_eq!(granted(&outputs), Role::Attendee, "the operator vouches for others");
}

#[test]
fn a_claimed_name_gives_no_rights_and_replaces_nobody() {
    let mut w = conference(AccessType::Anonymous, None);
    let ann = w.talk("ann");
    let (leg, outputs) = w.join_media(phone("ann"), "ann-audio", None);
    let Outcome::Joined { user: guest, role, .. } = outcome(&outputs) else { panic!("{outputs:?}") };
    assert_eq!((guest.host(), role), ("anonymous.invalid", Role::Attendee));
    assert_eq!(w.status(ann), Some(EndpointStatus::Connected));
    assert_eq!(w.shown(leg).expect("in").uri, Some(user("ann")), "what he says is shown as his address");
    w.connect(leg);
    for requester in [phone("ann"), Requester::Participant(leg)] {
        let outputs = w.ask(requester, ControlRequest::DeleteUser { user: user("ann") });
        assert_eq!(failure(&outputs).reason, FailureReason::Forbidden);
    }
}

#[test]
fn callers_without_a_number_are_different_people() {
    let mut w = conference(AccessType::Anonymous, None);
    let nobody = Requester::Unauthenticated(UserUri::parse("sip:anonymous@anonymous.invalid").expect("valid"));
    w.join_media(nobody.clone(), "", None);
    w.join_media(nobody, "", None);
    assert_eq!(w.names().len(), 2);
}

#[test]
fn a_locked_conference_takes_nobody_new_but_the_organizer() {
    let locked = || World::with(|record, _| record.locked = true);
    let (_, outputs) = locked().join_focus(account("bob"), "bob", "bob-pc");
    assert_eq!(failure(&outputs).reason, FailureReason::ConferenceLocked);
    let mut w = locked();
    w.attend("ann");
    let (_, outputs) = w.join_focus(account("pat"), "pat", "pat-pc");
    assert_eq!(failure(&outputs).reason, FailureReason::ConferenceLocked);
    let (_, _, outputs) = w.dial(account("ann"), "cleo");
    assert_eq!(failure(&outputs).reason, FailureReason::ConferenceLocked, "nobody is invited while it is locked");
}

#[test]
fn a_lock_leaves_those_alone_who_are_in() {
    let mut w = World::new();
    w.attend("ann");
    let bob = w.attend("bob");
    w.ask(account("ann"), ControlRequest::ModifyConferenceLock { locked: true, admission: AdmissionChange::default() });
    assert!(w.focus.is_locked());
    assert_eq!(w.status(bob), Some(EndpointStatus::Connected));
    w.attend("bob");
    w.talk("bob");
    assert_eq!(w.end(bob, TerminationReason::Departed), [], "the replaced leg is forgotten");
}

#[test]
fn a_rejoin_replaces_the_older_leg_of_the_endpoint() {
    let mut w = World::new();
    w.attend("ann");
    let old = w.attend("bob");
    let (new, outputs) = w.join_focus(account("bob"), "bob", "bob-pc");
    assert_eq!(hung_up(&outputs), [(old, Termination::completed(TerminationReason::Replaced))]);
    assert_eq!((w.status(old), w.status(new)), (None, Some(EndpointStatus::Connected)));
    assert_eq!(w.names(), ["ann", "bob"]);
}

#[test]
fn the_organizer_regains_his_role_on_rejoin() {
    let mut w = World::new();
    w.attend("ann");
    w.attend("pat");
    w.ask(account("pat"), ControlRequest::ModifyUserRoles { user: user("ann"), role: Role::Attendee });
    assert_eq!(w.focus.role_of(&user("ann")), Some(Role::Attendee));
    let (_, outputs) = w.join_focus(account("ann"), "ann", "ann-pc");
    assert_eq!(granted(&outputs), Role::Organizer);
}

#[test]
fn a_promoted_attendee_keeps_his_role_while_one_endpoint_is_in() {
    let mut w = World::new();
    w.attend("ann");
    let pc = w.attend("bob");
    w.ask(account("ann"), ControlRequest::ModifyUserRoles { user: user("bob"), role: Role::Presenter });
    let (audio, outputs) = w.join_media(account("bob"), "bob-audio", None);
    assert_eq!(granted(&outputs), Role::Presenter);
    w.end(pc, TerminationReason::Departed);
    w.end(audio, TerminationReason::Departed);
    let (_, outputs) = w.join_focus(account("bob"), "bob", "bob-pc");
    assert_eq!(granted(&outputs), Role::Attendee);
}

#[test]
fn a_full_conference_takes_nobody_but_replacements() {
    let mut w = World::with(|_, config| config.limits.legs_per_conference = 2);
    w.attend("ann");
    w.attend("bob");
    let (_, outputs) = w.join_focus(account("cleo"), "cleo", "cleo-pc");
    assert_eq!(failure(&outputs).reason, FailureReason::MaximumMeetingSizeExceeded);
    w.attend("bob");
}

#[test]
fn one_account_has_a_bounded_number_of_endpoints() {
    let mut w = World::with(|_, config| config.endpoints_per_user = 2);
    w.join_focus(account("bob"), "bob", "one");
    w.join_focus(account("bob"), "bob", "two");
    let (_, outputs) = w.join_focus(account("bob"), "bob", "three");
    assert_eq!(failure(&outputs).reason, FailureReason::TooManyEndpoints);
}

#[test]
fn a_focus_endpoint_and_an_audio_endpoint_cannot_share_a_name() {
    let mut w = World::new();
    let pc = w.attend("bob");
    let (_, outputs) = w.join_media(account("bob"), "bob-pc", None);
    assert_eq!(failure(&outputs).reason, FailureReason::OtherFailure);
    assert_eq!(w.status(pc), Some(EndpointStatus::Connected));
}

#[test]
fn an_admitted_leg_that_is_never_answered_is_ended() {
    let mut w = World::new();
    w.attend("ann");
    let (leg, _) = w.join_media(account("bob"), "bob-audio", None);
    assert_eq!(w.status(leg), Some(EndpointStatus::DialingIn));
    let outputs = w.pass(Duration::from_secs(60));
    assert_eq!(hung_up(&outputs), [(leg, Termination::failed(TerminationReason::NoAck))]);
    assert_eq!(w.give(Input::LegConnected { leg }), [], "a late answer changes nothing");
}
