//! What subscribers are told.

use base::TerminationReason;
use focus::{
    AdmissionChange, ControlRequest, ElementState, EndpointStatus, Input, Outcome, Output, Requester, SubscriptionEnd,
};

use crate::world::{View, World, account, document, documents, outcome, phone, user};

#[test]
fn the_first_document_is_full_and_changes_follow_with_the_next_versions() {
    let mut w = World::new();
    w.attend("ann");
    let (_, outputs) = w.subscribe(account("ann"));
    let (_, version, full) = documents(&outputs)[0];
    assert_eq!((version, full.state, full.users.len()), (1, ElementState::Full, 1));
    assert!(full.description.is_some() && full.conference.active);
    let (_, outputs) = w.join_focus(account("bob"), "bob", "bob-pc");
    let (_, version, partial) = documents(&outputs)[0];
    assert_eq!((version, partial.state, partial.users.len()), (2, ElementState::Partial, 1));
    assert_eq!((&partial.users[0].entity, partial.conference.user_count), (&user("bob"), 2));
}

#[test]
fn one_input_makes_one_document() {
    let mut w = World::new();
    for name in ["ann", "bob", "cleo"] {
        w.talk(name);
    }
    w.subscribe(Requester::Operator);
    let outputs = w.ask(account("ann"), ControlRequest::MuteAll { muted: true, except_presenters: true });
    assert_eq!(document(&outputs).users.len(), 2);
}

#[test]
fn subscribers_share_the_document() {
    let mut w = World::new();
    w.attend("ann");
    w.subscribe(account("ann"));
    w.subscribe(Requester::Operator);
    let (_, outputs) = w.join_focus(account("bob"), "bob", "bob-pc");
    let shared: Vec<_> = documents(&outputs).iter().map(|(_, _, document)| std::ptr::from_ref(*document)).collect();
    assert_eq!(shared.len(), 2);
    assert_eq!(shared[0], shared[1]);
}

#[test]
fn a_refresh_brings_everything_again() {
    let mut w = World::new();
    w.attend("ann");
    let (subscription, _) = w.subscribe(account("ann"));
    let outputs = w.give(Input::Subscribe { subscription, requester: account("ann") });
    let (_, version, full) = documents(&outputs)[0];
    assert_eq!((version, full.state), (2, ElementState::Full));
}

#[test]
fn only_participants_the_organizer_and_the_operator_may_watch() {
    let mut w = World::new();
    w.attend("bob");
    for (requester, may) in [
        (account("bob"), true),
        (account("ann"), true),
        (Requester::Operator, true),
        (account("cleo"), false),
        (account("zoe"), false),
        (phone("bob"), false),
    ] {
        let (subscription, outputs) = w.subscribe(requester.clone());
        let refused = [Output::SubscriptionEnded { subscription, reason: SubscriptionEnd::Forbidden }];
        assert_eq!(outputs != refused, may, "{requester:?}");
        let outputs = w.ask(requester.clone(), ControlRequest::GetConference);
        assert_eq!(matches!(outcome(&outputs), Outcome::Conference(_)), may, "{requester:?}");
    }
}

#[test]
fn who_leaves_hears_of_it_and_of_nothing_more() {
    let mut w = World::new();
    w.attend("ann");
    let bob = w.attend("bob");
    let (subscription, _) = w.subscribe(account("bob"));
    let outputs = w.end(bob, TerminationReason::Departed);
    assert_eq!(document(&outputs).users[0].state, ElementState::Deleted);
    assert!(outputs.contains(&Output::SubscriptionEnded { subscription, reason: SubscriptionEnd::Left }));
    assert_eq!(documents(&w.join_focus(account("cleo"), "cleo", "cleo-pc").1), []);
}

#[test]
fn subscriptions_are_bounded_and_can_be_given_up() {
    let mut w = World::with(|_, config| config.limits.subscriptions_per_conference = 1);
    w.attend("ann");
    let (first, _) = w.subscribe(account("ann"));
    let (second, outputs) = w.subscribe(account("ann"));
    let refused = Output::SubscriptionEnded { subscription: second, reason: SubscriptionEnd::LimitReached };
    assert_eq!(outputs, [refused]);
    w.give(Input::Unsubscribe { subscription: first });
    assert_eq!(documents(&w.subscribe(account("ann")).1).len(), 1);
}

#[test]
fn an_endpoint_that_ends_is_named_in_a_partial_user() {
    let mut w = World::new();
    w.attend("ann");
    w.subscribe(account("ann"));
    w.attend("bob");
    let audio = w.talk("bob");
    let outputs = w.end(audio, TerminationReason::MediaTimeout);
    let bob = &document(&outputs).users[0];
    assert_eq!(bob.state, ElementState::Partial);
    let states: Vec<_> = bob.endpoints.iter().map(|endpoint| (endpoint.state, endpoint.status)).collect();
    let (stays, goes) = (EndpointStatus::Connected, EndpointStatus::Disconnected);
    assert_eq!(states, [(ElementState::Full, stays), (ElementState::Deleted, goes)]);
}

#[test]
fn hold_is_shown_and_the_user_still_counts() {
    let mut w = World::new();
    let bob = w.talk("bob");
    w.subscribe(Requester::Operator);
    let outputs = w.give(Input::LegHeld { leg: bob, held: true });
    assert_eq!(document(&outputs).users[0].endpoints[0].status, EndpointStatus::OnHold);
    assert_eq!(document(&outputs).conference.user_count, 1);
    assert_eq!(w.give(Input::LegHeld { leg: bob, held: true }), [], "a repeated report is no change");
    w.give(Input::LegHeld { leg: bob, held: false });
    assert_eq!(w.status(bob), Some(EndpointStatus::Connected));
}

#[test]
fn who_is_only_called_does_not_count() {
    let mut w = World::new();
    w.attend("ann");
    w.dial(account("ann"), "bob");
    let shown = w.focus.roster_document();
    assert_eq!((shown.users.len(), shown.conference.user_count), (2, 1));
}

#[test]
fn a_lock_is_a_change_without_users() {
    let mut w = World::new();
    w.attend("ann");
    w.subscribe(account("ann"));
    let outputs = w.ask(
        account("ann"),
        ControlRequest::ModifyConferenceLock { locked: true, admission: AdmissionChange::default() },
    );
    assert!(document(&outputs).users.is_empty() && document(&outputs).conference.locked);
    let outputs = w.ask(
        account("ann"),
        ControlRequest::ModifyConferenceLock { locked: true, admission: AdmissionChange::default() },
    );
    assert_eq!(documents(&outputs), []);
}

#[test]
fn a_thousand_joins_cost_a_thousand_users_in_documents() {
    let mut w = World::new();
    w.attend("ann");
    let (_, outputs) = w.subscribe(Requester::Operator);
    let mut view = View::default();
    view.apply(document(&outputs));
    let mut published = 0;
    for number in 0..1000 {
        let name = format!("u{number}");
        let (_, outputs) = w.join_focus(account(&name), &name, "pc");
        published += document(&outputs).users.len();
        view.apply(document(&outputs));
    }
    assert_eq!((published, view.users.len()), (1000, 1001));
}
