//! What subscribers are told.

use std::collections::BTreeMap;

use base::{Duration, SubscriptionId, TerminationReason};
use focus::{
    AdmissionChange, ControlRequest, ElementState, EndpointStatus, Input, Outcome, Output, Requester, SubscriptionEnd,
};

use crate::world::{View, World, account, document, documents, outcome, outcomes, phone, user};

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

/// Ann and the operator watch a conference that gathers changes for 100 ms.
fn gathering() -> World {
    let mut w = World::with(|_, config| config.roster_interval = MOMENT);
    w.attend("ann");
    w.subscribe(account("ann"));
    w.subscribe(Requester::Operator);
    w.pass(MOMENT * 2);
    w
}

const MOMENT: Duration = Duration::from_millis(100);

#[test]
fn changes_that_follow_each_other_closely_are_one_document() {
    let mut w = gathering();
    let first = w.join_focus(account("bob"), "bob", "bob-pc").1;
    assert_eq!(documents(&first).len(), 2, "the first change is told at once");
    let (_, cleo) = w.join_focus(account("cleo"), "cleo", "cleo-pc");
    assert!(matches!(outcome(&cleo), Outcome::Joined { .. }), "a join waits for nothing");
    let locked = lock(&mut w, true);
    assert_eq!((documents(&cleo), documents(&locked)), (vec![], vec![]), "nothing is told yet");
    assert_eq!(outcomes(&locked), [], "and no outcome runs ahead of it");
    assert_eq!(w.pass(MOMENT - Duration::from_millis(1)), []);
    let outputs = w.pass(Duration::from_millis(1));
    let told = documents(&outputs);
    assert_eq!(told.iter().map(|(_, version, _)| *version).collect::<Vec<_>>(), [3, 3]);
    assert_eq!((told[0].2.users.len(), told[0].2.conference.locked), (1, true));
    assert_eq!(outcome(&outputs), Outcome::Done);
    assert!(matches!(outputs.last(), Some(Output::Outcome { .. })), "{outputs:?}");
    assert_eq!(w.pass(MOMENT * 10), [], "and nothing after it");
}

fn lock(w: &mut World, locked: bool) -> Vec<Output> {
    w.ask(account("ann"), ControlRequest::ModifyConferenceLock { locked, admission: AdmissionChange::default() })
}

#[test]
fn who_subscribes_meanwhile_gets_the_whole_roster_with_the_others_change() {
    let mut w = gathering();
    w.attend("bob");
    w.attend("cleo");
    let (subscription, outputs) = w.subscribe(account("cleo"));
    assert_eq!(outputs, []);
    let outputs = w.pass(MOMENT);
    let own: Vec<_> = documents(&outputs).into_iter().filter(|(id, ..)| *id == subscription).collect();
    let [(_, 1, full)] = own[..] else { panic!("{own:?}") };
    assert_eq!((full.state, full.users.len()), (ElementState::Full, 3));
    assert_eq!(documents(&outputs).len(), 3);
}

#[test]
fn who_came_and_went_between_two_documents_is_in_none() {
    let mut w = gathering();
    w.attend("bob");
    let cleo = w.attend("cleo");
    w.end(cleo, TerminationReason::Departed);
    assert_eq!(w.pass(MOMENT), []);
    assert_eq!(w.names(), ["ann", "bob"]);
}

#[test]
fn who_went_and_came_again_between_two_documents_has_his_new_devices_alone() {
    for back_with in ["another", "pc"] {
        let mut w = gathering();
        let mut view = View::default();
        view.apply(&w.focus.roster_document());
        let (old, first) = w.join_focus(account("bob"), "bob", "pc");
        view.apply(documents(&first)[0].2);
        w.end(old, TerminationReason::TransportFailed);
        w.join_focus(account("bob"), "bob", back_with);
        let outputs = w.pass(MOMENT);
        let bob = &documents(&outputs)[0].2.users[0];
        let gone: Vec<_> = bob.endpoints.iter().filter(|endpoint| endpoint.state == ElementState::Deleted).collect();
        assert!(gone.iter().all(|endpoint| endpoint.disconnection.is_some()));
        assert_eq!(gone.len(), usize::from(back_with == "another"), "what is there is not told to be gone");
        view.apply(documents(&outputs)[0].2);
        let mut truth = View::default();
        truth.apply(&w.focus.roster_document());
        assert_eq!(view, truth, "{back_with}");
    }
}

#[test]
fn who_is_sent_away_is_told_before_his_dialog_ends() {
    let mut w = gathering();
    w.attend("bob");
    let (_, cleo) = w.join_focus(account("cleo"), "cleo", "cleo-pc");
    assert_eq!(documents(&cleo), []);
    let outputs = w.ask(account("ann"), ControlRequest::DeleteUser { user: user("cleo") });
    let [.., Output::Outcome { outcome: Outcome::Done, .. }, Output::HangUp { .. }] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(documents(&outputs), [], "nobody was told of her, so nobody is told that she has gone");
}

#[test]
fn a_dial_out_is_answered_with_the_document_that_shows_it() {
    let mut w = gathering();
    w.attend("cleo");
    let (leg, command, dialled) = w.dial(account("ann"), "bob");
    assert_eq!(documents(&dialled), []);
    let outputs = w.connect(leg);
    assert_eq!(documents(&outputs)[0].2.users[0].endpoints[0].status, EndpointStatus::DialingOut, "first things first");
    assert_eq!(outcomes(&outputs), []);
    let outputs = w.pass(MOMENT);
    assert_eq!(documents(&outputs)[0].2.users[0].endpoints[0].status, EndpointStatus::Connected);
    assert!(matches!(outcomes(&outputs)[..], [(answered, Outcome::Joined { .. })] if answered == command));
    let (refused, _, outputs) = w.dial(account("bob"), "cleo");
    assert!(matches!(outcome(&outputs), Outcome::Failure(_)), "{refused:?}: a refusal waits for nothing");
}

#[test]
fn three_hundred_who_join_within_a_second_cost_each_of_them_a_few_documents() {
    let sent = |interval: Duration| {
        let mut w = World::with(|_, config| config.roster_interval = interval);
        let mut views: BTreeMap<SubscriptionId, View> = BTreeMap::new();
        let mut sent = 0;
        for number in 0..300 {
            let name = format!("u{number}");
            let mut outputs = w.join_focus(account(&name), &name, "pc").1;
            outputs.extend(w.subscribe(account(&name)).1);
            outputs.extend(w.pass(Duration::from_micros(3_333)));
            for (subscription, _, document) in documents(&outputs) {
                views.entry(subscription).or_default().apply(document);
                sent += 1;
            }
        }
        for (subscription, _, document) in documents(&w.pass(interval)) {
            views.entry(subscription).or_default().apply(document);
            sent += 1;
        }
        let mut truth = View::default();
        truth.apply(&w.focus.roster_document());
        assert!(views.len() == 300 && views.values().all(|view| *view == truth));
        sent
    };
    let (one_by_one, gathered) = (sent(Duration::ZERO), sent(MOMENT));
    assert_eq!(one_by_one, 300 * 299 / 2 + 300, "each join is told to all who are in, and then everything to him");
    assert!(gathered * 20 < one_by_one, "{gathered} instead of {one_by_one}");
}
