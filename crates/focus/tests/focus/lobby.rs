//! The lobby: who waits, what he may do meanwhile, and how the wait ends.

use base::{AccessType, Duration, Role, TerminationReason};
use focus::{
    AdmissionChange, ControlRequest, EndpointStatus, FailureReason, Focus, Lobby, LobbyAccess, MediaFilter, Outcome,
    Output, Requester, SubscriptionEnd, UsersMediaFilters,
};

use crate::world::{World, account, document, endpoint, failure, hung_up, outcome, outcomes, phone, user};

/// A closed conference with a lobby and Ann in it.
fn closed() -> World {
    let mut w = World::with(|record, _| (record.access, record.lobby) = (AccessType::Closed, Lobby::On));
    w.attend("ann");
    w
}

fn waits(outputs: &[Output]) -> bool {
    matches!(outcome(outputs), Outcome::Waiting { .. })
}

fn grant(names: &[&str]) -> ControlRequest {
    ControlRequest::SetLobbyAccess {
        users: names.iter().map(|name| user(name)).collect(),
        access: LobbyAccess::Granted,
    }
}

fn deny(name: &str) -> ControlRequest {
    ControlRequest::SetLobbyAccess { users: vec![user(name)], access: LobbyAccess::Denied }
}

#[derive(Debug, PartialEq)]
enum Entry {
    In,
    Waits,
    Pin,
    Refused(FailureReason),
}

#[test]
fn who_waits_is_a_table() {
    use AccessType::{Anonymous, Closed, Open};
    use Entry::{In, Pin, Refused, Waits};
    use Lobby::{Off, On, PhonesPass};
    let zoe = || account("zoe");
    for (lobby, access, locked, with_pin, requester, pin, expected) in [
        (Off, Closed, false, false, zoe(), None, Refused(FailureReason::Forbidden)),
        (On, Closed, false, false, zoe(), None, Waits),
        (On, Closed, false, false, account("bob"), None, In),
        (On, Open, false, false, zoe(), None, In),
        (On, Open, true, false, zoe(), None, Waits),
        (On, Open, true, false, account("bob"), None, Waits),
        (On, Open, true, false, account("pat"), None, In),
        (On, Open, true, false, account("ann"), None, In),
        (On, Open, false, false, phone("x"), None, Waits),
        (PhonesPass, Open, false, false, phone("x"), None, Waits),
        (On, Anonymous, false, false, phone("x"), None, Waits),
        (PhonesPass, Anonymous, false, false, phone("x"), None, In),
        (On, Anonymous, false, true, phone("x"), None, Pin),
        (On, Anonymous, false, true, phone("x"), Some("4711"), Waits),
        (PhonesPass, Anonymous, false, true, phone("x"), Some("4711"), In),
        (PhonesPass, Anonymous, true, true, phone("x"), None, Pin),
        (PhonesPass, Anonymous, true, true, phone("x"), Some("4711"), Waits),
        (On, Closed, false, true, phone("x"), Some("4711"), Waits),
    ] {
        let mut w = World::with(|record, _| {
            (record.access, record.lobby, record.locked) = (access, lobby, locked);
            record.pin = with_pin.then(|| focus::Pin::entered("4711"));
        });
        let (_, outputs) = w.join_media(requester.clone(), "", pin);
        let entry = match outcome(&outputs) {
            Outcome::Joined { .. } => In,
            Outcome::Waiting { .. } => Waits,
            Outcome::NeedPin { .. } => Pin,
            Outcome::Failure(failure) => Refused(failure.reason),
            other => panic!("{other:?}"),
        };
        assert_eq!(entry, expected, "{requester:?} {lobby:?} {access:?} locked {locked} PIN {pin:?}");
    }
}

#[test]
fn a_client_that_knows_no_lobby_is_refused() {
    let mut w = closed();
    let (command, leg) = (base::CommandId(900), base::LegId(900));
    let outputs = w.give(focus::Input::JoinFocus(focus::JoinFocus {
        command,
        leg,
        requester: account("zoe"),
        user: user("zoe"),
        endpoint: endpoint("zoe-pc"),
        display_name: None,
        pin: None,
        lobby_capable: false,
    }));
    assert_eq!(failure(&outputs).reason, FailureReason::Forbidden);
}

#[test]
fn presenters_see_who_waits_and_let_him_in() {
    let mut w = closed();
    let (_, subscribed) = w.subscribe(account("ann"));
    assert_eq!(document(&subscribed).users.len(), 1);
    let (leg, outputs) = w.join_focus(account("zoe"), "zoe", "zoe-pc");
    assert!(waits(&outputs));
    assert_eq!(document(&outputs).users[0].endpoints[0].status, EndpointStatus::Waiting);
    assert_eq!(document(&outputs).conference.user_count, 1, "who waits is not in");

    let outputs = w.ask(account("pat"), grant(&["zoe"]));
    let done = outcomes(&outputs);
    assert!(matches!(done[0].1, Outcome::Joined { role: Role::Attendee, .. }), "{done:?}");
    assert_eq!(done[1].1, Outcome::Done);
    assert_eq!(w.status(leg), Some(EndpointStatus::Connected));
    assert_eq!(failure(&w.ask(account("ann"), grant(&["zoe"]))).reason, FailureReason::AlreadyAdmitted);
    assert_eq!(failure(&w.ask(account("ann"), grant(&["bob"]))).reason, FailureReason::UserDoesNotExist);
}

#[test]
fn who_waits_may_do_nothing_and_sees_nothing() {
    let mut w = closed();
    let (leg, _) = w.join_focus(account("zoe"), "zoe", "zoe-pc");
    for requester in [account("zoe"), Requester::Participant(leg)] {
        for request in [grant(&["zoe"]), ControlRequest::GetConference, ControlRequest::DeleteConference] {
            assert_eq!(failure(&w.ask(requester.clone(), request)).reason, FailureReason::Forbidden);
        }
        let (_, outputs) = w.subscribe(requester.clone());
        let refused =
            |output: &Output| matches!(output, Output::SubscriptionEnded { reason: SubscriptionEnd::Forbidden, .. });
        assert!(outputs.iter().any(refused), "{outputs:?}");
        let (_, _, outputs) = w.dial(requester, "zoe");
        assert_eq!(failure(&outputs).reason, FailureReason::Forbidden, "he cannot call himself in");
    }
    let (second, outputs) = w.join_media(account("zoe"), "zoe-audio", None);
    assert!(waits(&outputs), "his second device waits too");
    w.connect(second);
    w.ask(account("ann"), grant(&["zoe"]));
    assert_eq!([w.status(leg), w.status(second)], [Some(EndpointStatus::Connected); 2], "one word is for both");
}

#[test]
fn a_caller_hears_nobody_until_he_is_let_in() {
    let mut w = World::with(|record, _| (record.access, record.lobby) = (AccessType::Anonymous, Lobby::On));
    w.attend("ann");
    let (early, _) = w.join_media(phone("x"), "", None);
    let (late, _) = w.join_media(phone("y"), "", None);
    assert!(w.connect(late).iter().all(|output| !matches!(output, Output::Outcome { .. })));
    assert_eq!(w.status(late), Some(EndpointStatus::Waiting));
    w.ask(account("ann"), grant(&[]));
    assert_eq!(w.status(late), Some(EndpointStatus::Connected));
    assert_eq!(w.status(early), Some(EndpointStatus::DialingIn), "his call is not answered yet");
    w.connect(early);
    assert_eq!(w.status(early), Some(EndpointStatus::Connected));
}

#[test]
fn who_is_denied_or_waits_too_long_is_hung_up_with_his_answer() {
    let mut w = closed();
    let (leg, _) = w.join_focus(account("zoe"), "zoe", "zoe-pc");
    let outputs = w.ask(account("ann"), deny("zoe"));
    assert!(matches!(outcomes(&outputs)[0].1, Outcome::Failure(failure) if failure.reason == FailureReason::Forbidden));
    assert_eq!(hung_up(&outputs)[0].0, leg);

    let (leg, _) = w.join_focus(account("zoe"), "zoe", "zoe-pc");
    let wait = focus::FocusConfig::default().lobby_wait;
    assert_eq!(hung_up(&w.pass(wait - Duration::from_secs(1))), []);
    let outputs = w.pass(Duration::from_secs(1));
    assert_eq!(failure(&outputs).reason, FailureReason::Timeout);
    assert_eq!(hung_up(&outputs)[0].0, leg);
}

#[test]
fn a_presenter_who_calls_somebody_lets_him_in_and_an_attendee_may_not() {
    let mut w = World::with(|record, _| {
        (record.access, record.lobby) = (AccessType::Closed, Lobby::On);
        record.attendees_may_dial_out = true;
    });
    w.attend("ann");
    w.attend("bob");
    let (leg, _) = w.join_focus(account("zoe"), "zoe", "zoe-pc");
    assert_eq!(failure(&w.dial(account("bob"), "zoe").2).reason, FailureReason::Forbidden);
    assert_eq!(w.status(leg), Some(EndpointStatus::Waiting));
    w.dial(account("ann"), "zoe");
    assert_eq!(w.status(leg), Some(EndpointStatus::Connected));
}

#[test]
fn the_lobby_has_a_bound() {
    let mut w = World::with(|record, config| {
        (record.access, record.lobby) = (AccessType::Closed, Lobby::On);
        config.lobby_places = 2;
    });
    w.attend("ann");
    for name in ["zoe", "yan"] {
        assert!(waits(&w.join_focus(account(name), name, "pc").1));
    }
    let (_, outputs) = w.join_focus(account("xia"), "xia", "pc");
    assert_eq!(failure(&outputs).reason, FailureReason::MaximumMeetingSizeExceeded);
}

#[test]
fn presenters_change_who_may_enter_while_it_is_on() {
    let mut w = World::new();
    w.attend("ann");
    w.subscribe(account("ann"));
    let admission =
        AdmissionChange { access: Some(AccessType::Closed), lobby: Some(Lobby::On), ..AdmissionChange::default() };
    let change = ControlRequest::ModifyConferenceLock { locked: false, admission };
    assert_eq!(failure(&w.ask(account("bob"), change.clone())).reason, FailureReason::Forbidden);
    let outputs = w.ask(account("ann"), change);
    let description = document(&outputs).description.as_ref().expect("it is told");
    assert_eq!(description.access, AccessType::Closed);
    assert!(waits(&w.join_focus(account("zoe"), "zoe", "zoe-pc").1));
}

#[test]
fn authenticated_users_are_promoted_where_the_schedule_says_so_and_nobody_else() {
    let mut w = World::with(|record, _| (record.access, record.promote_authenticated) = (AccessType::Anonymous, true));
    assert!(matches!(
        outcome(&w.join_focus(account("zoe"), "zoe", "pc").1),
        Outcome::Joined { role: Role::Presenter, .. }
    ));
    let (_, outputs) = w.join_media(phone("x"), "", None);
    assert!(matches!(outcome(&outputs), Outcome::Joined { role: Role::Attendee, .. }));
}

#[test]
fn presenters_change_who_is_promoted_while_it_is_on_and_who_is_in_keeps_his_role() {
    let mut w = World::new();
    w.attend("ann");
    let promote = |on| ControlRequest::ModifyConferenceLock {
        locked: false,
        admission: AdmissionChange { promote_authenticated: Some(on), ..AdmissionChange::default() },
    };
    let role_of = |w: &mut World, name| match outcome(&w.join_focus(account(name), name, "pc").1) {
        Outcome::Joined { role, .. } => role,
        other => panic!("{other:?}"),
    };
    assert_eq!(role_of(&mut w, "zoe"), Role::Attendee);
    w.ask(account("ann"), promote(true));
    assert_eq!(role_of(&mut w, "yves"), Role::Presenter);
    w.ask(account("ann"), promote(false));
    assert_eq!(role_of(&mut w, "xia"), Role::Attendee);
    let document = w.focus.roster_document();
    let role = |name: &str| document.users.iter().find(|one| one.entity == user(name)).map(|one| one.role);
    assert_eq!((role("zoe"), role("yves")), (Some(Role::Attendee), Some(Role::Presenter)));
}

fn muted(focus: &Focus) -> Vec<String> {
    let document = focus.roster_document();
    let endpoints = document.users.iter().flat_map(|user| user.endpoints.iter().map(move |one| (user, one)));
    let muted = endpoints.filter(|(_, endpoint)| endpoint.ingress == MediaFilter::Block);
    muted.map(|(user, _)| user.entity.user_part().to_owned()).collect()
}

#[test]
fn filters_of_many_are_set_at_once() {
    let all = UsersMediaFilters {
        users: Vec::new(),
        role: None,
        except: Vec::new(),
        ingress: Some(MediaFilter::Block),
        egress: None,
    };
    let some = |names: &[&str]| names.iter().map(|name| user(name)).collect::<Vec<_>>();
    for (filters, expected, later) in [
        (all.clone(), vec!["bob", "cleo", "pat"], true),
        (UsersMediaFilters { except: some(&["bob"]), ..all.clone() }, vec!["cleo", "pat"], true),
        (UsersMediaFilters { role: Some(Role::Attendee), ..all.clone() }, vec!["bob", "cleo"], true),
        (UsersMediaFilters { role: Some(Role::Presenter), ..all.clone() }, vec!["pat"], false),
        (UsersMediaFilters { users: some(&["cleo", "ann", "nobody"]), ..all.clone() }, vec!["cleo"], false),
    ] {
        let mut w = World::new();
        for name in ["ann", "bob", "cleo", "pat"] {
            w.talk(name);
        }
        let request = ControlRequest::ModifyUsersMediaFilters(filters.clone());
        assert_eq!(failure(&w.ask(account("bob"), request.clone())).reason, FailureReason::Forbidden);
        assert_eq!(outcome(&w.ask(account("ann"), request)), Outcome::Done);
        assert_eq!(muted(&w.focus), expected, "{filters:?}");
        w.talk("zoe");
        assert_eq!(muted(&w.focus).contains(&"zoe".to_owned()), later, "{filters:?}");
    }
    let mut w = World::new();
    w.talk("ann");
    let strangers = UsersMediaFilters { users: some(&["nobody"]), ..all };
    let outputs = w.ask(account("ann"), ControlRequest::ModifyUsersMediaFilters(strangers));
    assert_eq!(failure(&outputs).reason, FailureReason::UserDoesNotExist);
}

#[test]
fn a_failed_wait_is_a_refusal_of_the_leg_alone() {
    let mut w = closed();
    let (leg, _) = w.join_media(account("zoe"), "zoe-audio", None);
    let outputs = w.end(leg, TerminationReason::Departed);
    assert!(matches!(outcome(&outputs), Outcome::Failure(_)));
    assert_eq!(w.names(), ["ann"]);
}
