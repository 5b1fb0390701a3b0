//! The rules of the source documents, R1 to R12, as far as the machine decides them (routing.md section 0).

mod common;

use base::CallId;
use common::{World, order, sales, uri};
use response_group::{
    AgentChange, CancelWhen, CloseReason, Decision, Entry, HistoryKind, Input, Outcome, Output, Presence, Refusal,
    Withdrawal,
};

#[test]
fn r1_a_telephone_that_answers_too_fast_is_a_mailbox_and_the_caller_goes_on_waiting() {
    let mut world = World::new(sales("", &["tel:+14255550100", "bob"]));
    let call = world.call("sales");
    world.wait(base::Duration::from_millis(900));
    world.tell(Input::OfferAnswered {
        offer: world.offer("tel:+14255550100"),
        dialog: response_group::DialogNo(1),
        diverted: false,
    });
    assert!(world.did(|output| matches!(output, Output::AckBye { .. })));
    assert!(!world.did(|output| matches!(output, Output::Bridge { .. } | Output::AskConfirm { .. })));
    world.takes("bob", call);
    assert!(world.did(|output| matches!(output, Output::Wallboard(_))));
    world.check();
}

#[test]
fn r1_a_mailbox_is_not_rung_again_for_the_same_caller_before_the_grace_is_over() {
    let mut world = World::new(sales("decline_grace_seconds = 60", &["tel:+14255550100"]));
    let offers = |world: &World| world.log.iter().filter_map(order).count();
    world.call("sales");
    let offer = world.offer("tel:+14255550100");
    world.tell(Input::OfferAnswered { offer, dialog: response_group::DialogNo(1), diverted: false });
    world.tell(Input::OfferDialogEnded { offer, dialog: response_group::DialogNo(1) });
    world.wait_seconds(59);
    assert_eq!(offers(&world), 1);
    world.wait_seconds(1);
    assert_eq!(offers(&world), 2);
    world.check();
}

#[test]
fn r1_an_answer_whose_headers_tell_of_a_diversion_never_wins() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    let offer = world.offer("bob");
    world.rings("bob");
    world.tell(Input::OfferAnswered { offer, dialog: response_group::DialogNo(1), diverted: true });
    assert!(world.did(|output| matches!(output, Output::AckBye { .. })));
    assert!(!world.did(|output| matches!(output, Output::Bridge { .. })));
    assert_eq!(world.outcome(call), None);
    world.check();
}

#[test]
fn r3_only_configured_agents_are_ever_offered_and_a_redirection_makes_no_offer() {
    let mut world = World::new(sales("method = \"serial\"", &["bob"]));
    world.call("sales");
    world.refuses("bob", Refusal::Redirected);
    assert_eq!(world.rung(), Vec::<String>::new());
    world.wait_seconds(4);
    assert_eq!(world.all_rung(), ["bob"]);
    world.check();
}

#[test]
fn r3_a_diversion_on_the_way_withdraws_the_offer() {
    let mut world = World::new(sales("", &["bob"]));
    world.call("sales");
    let offer = world.offer("bob");
    world.tell(Input::OfferDiverting { offer });
    let withdrawn = Output::Withdraw { offer, reason: Withdrawal::Diverting, cancel: CancelWhen::Now };
    assert!(world.did(|output| *output == withdrawn));
    world.check();
}

#[test]
fn r4_an_agent_without_own_devices_is_never_rung() {
    let mut world = World::bare(sales("", &["bob", "carol"]));
    world.agent("carol", AgentChange::Registered { registered: true });
    world.call("sales");
    assert_eq!(world.all_rung(), ["carol"]);
    world.check();
}

#[test]
fn r5_the_groups_alert_time_alone_decides_how_long_a_phone_rings() {
    let mut world = World::new(sales("alert_time_seconds = 30", &["bob"]));
    world.call("sales");
    let order = world.log.iter().find_map(order).expect("an offer").clone();
    assert_eq!(order.expires_seconds, 35);
    world.rings("bob").wait_seconds(29);
    assert!(!world.log.iter().any(|output| matches!(output, Output::Withdraw { .. })));
    world.wait_seconds(1);
    assert!(world.log.iter().any(|output| matches!(output, Output::Withdraw { reason: Withdrawal::Alert, .. })));
    world.check();
}

#[test]
fn r6_r7_losers_time_outs_and_lost_callers_make_history_and_never_a_missed_call() {
    let mut world = World::new(sales("", &["bob", "carol"]));
    let answered = world.call("sales");
    world.rings("carol").takes("bob", answered).refuses("carol", Refusal::Cancelled);
    world.tell(Input::CallerLeft { call: answered });
    let kinds = [
        ("bob".to_owned(), HistoryKind::GroupCallAnsweredByYou),
        ("carol".to_owned(), HistoryKind::GroupCallAnsweredByOther),
    ];
    assert_eq!(world.histories(answered), kinds);
    world.hangs_up("bob");

    let abandoned = world.call("sales");
    world.rings("bob").rings("carol").tell(Input::CallerLeft { call: abandoned });
    assert!(world.histories(abandoned).iter().all(|(_, kind)| *kind == HistoryKind::GroupCallAbandoned));
    assert_eq!(world.histories(abandoned).len(), 2);
    world.refuses("bob", Refusal::Cancelled).refuses("carol", Refusal::Cancelled);

    let unanswered = sales("[response_group.queue]\ntimeout_seconds = 10", &["bob"]);
    let mut world = World::new(unanswered);
    let call = world.call("sales");
    world.rings("bob").wait_seconds(16);
    assert_eq!(world.outcome(call), Some(Outcome::TimedOut { target: None }));
    assert_eq!(world.histories(call), [("bob".to_owned(), HistoryKind::GroupCallNotAnswered)]);
    world.check();
}

#[test]
fn every_withdrawal_carries_the_mark_that_is_the_same_for_all_triggers() {
    // The output has no place for a reason that would let a phone count a missed call: alert, race and caller alike
    // are withdrawals, and the wire sends cause 200 with each.
    type Trigger = fn(&mut World, CallId);
    let triggers: [(Withdrawal, Trigger); 7] = [
        (Withdrawal::LostRace, |world, _| {
            world.rings("bob").answers("carol");
        }),
        (Withdrawal::Alert, |world, _| {
            world.rings("bob").rings("carol").wait_seconds(21);
        }),
        (Withdrawal::NoProvisional, |world, _| {
            world.wait_seconds(6);
        }),
        (Withdrawal::Diverting, |world, _| {
            let offer = world.offer("bob");
            world.tell(Input::OfferDiverting { offer });
        }),
        (Withdrawal::CallerGone, |world, call| {
            world.rings("bob").tell(Input::CallerLeft { call });
        }),
        (Withdrawal::QueueTimeout, |world, _| {
            world.wait_seconds(2).rings("bob").wait_seconds(20);
        }),
        (Withdrawal::Restart, |world, _| {
            world.rings("bob").crash();
        }),
    ];
    for (reason, trigger) in triggers {
        let lines = match reason {
            Withdrawal::QueueTimeout => "[response_group.queue]\ntimeout_seconds = 10",
            _ => "",
        };
        let mut world = World::new(sales(lines, &["bob", "carol"]));
        let call = world.call("sales");
        trigger(&mut world, call);
        let bob = world.offer("bob");
        let withdrawn = world.log.iter().find_map(|output| match output {
            Output::Withdraw { offer, reason, .. } if *offer == bob => Some(*reason),
            _ => None,
        });
        assert_eq!(withdrawn, Some(reason));
        world.tell(Input::OfferRefused { offer: bob, refusal: Refusal::Cancelled });
        let closed = |output: &Output| match output {
            Output::Journal(entry) => matches!(&**entry,
                Entry::Decided { decided: Decision::OfferClosed { offer, reason: why, .. }, .. }
                    if *offer == bob && *why == CloseReason::Withdrawn(reason)),
            _ => false,
        };
        assert!(world.log.iter().any(closed), "{reason:?}: it closes with the reason it was withdrawn for");
        let told = serde_json::to_string(&world.log).expect("outputs can be written");
        assert!(!told.to_lowercase().contains("missed"), "{reason:?} makes no missed call");
    }
}

#[test]
fn presence_decides_for_all_methods_but_attendant() {
    let cases = [
        (Presence::Available, true, true),
        (Presence::Busy, false, true),
        (Presence::InCall, false, true),
        (Presence::InMeeting, false, true),
        (Presence::Away, false, true),
        (Presence::DoNotDisturb, false, false),
        (Presence::Offline, false, true),
        (Presence::Unknown, false, true),
    ];
    for (presence, for_presence_methods, for_attendant) in cases {
        for method in ["parallel", "serial", "longest-idle", "round-robin", "attendant"] {
            let mut world = World::new(sales(&format!("method = {method:?}"), &["bob"]));
            world.agent("bob", AgentChange::Presence { presence, lease_seconds: None });
            world.call("sales");
            let wanted = if method == "attendant" { for_attendant } else { for_presence_methods };
            assert_eq!(!world.all_rung().is_empty(), wanted, "{method} with {presence:?}");
            world.check();
        }
    }
}

#[test]
fn stale_presence_counts_as_offline() {
    let mut world = World::new(sales("", &["bob"]));
    world.agent("bob", AgentChange::Presence { presence: Presence::Available, lease_seconds: Some(60) });
    world.wait_seconds(61);
    world.call("sales");
    assert_eq!(world.all_rung(), Vec::<String>::new());
    world.agent("bob", AgentChange::Presence { presence: Presence::Available, lease_seconds: Some(60) });
    assert_eq!(world.all_rung(), ["bob"]);
    world.check();
}

#[test]
fn formal_agents_get_calls_only_while_signed_in() {
    let mut world = World::new(sales("participation = \"formal\"", &["bob"]));
    let call = world.call("sales");
    assert_eq!(world.all_rung(), Vec::<String>::new());
    world.agent("bob", AgentChange::SignedIn { signed_in: true });
    assert_eq!(world.rung(), ["bob"]);
    // Signing out while the phone rings does not take the call away (routing.md 2.7, 5).
    world.agent("bob", AgentChange::SignedIn { signed_in: false });
    world.takes("bob", call);
    assert_eq!(world.outcome(call), None);
    world.check();
}

#[test]
fn r12_suppression_belongs_to_the_offer_and_the_callers_forward_is_not_one() {
    let lines = "[response_group.queue]\ntimeout_seconds = 10\ntimeout_action = { kind = \"forward\", target = \"sip:frank@example.com\" }";
    let mut world = World::new(sales(lines, &["bob"]));
    let call = world.call("sales");
    world.refuses("bob", Refusal::Busy).wait_seconds(10);
    assert!(world.log.iter().any(|output| matches!(output, Output::Forward { .. })));
    assert!(world.log.iter().filter_map(order).all(|order| order.agent == uri("bob")));
    world.rings("bob").refuses("bob", Refusal::Cancelled);
    world.tell(Input::ForwardEnded { call, connected: true, status: None });
    assert_eq!(world.outcome(call), Some(Outcome::TimedOut { target: Some(uri("frank")) }));
    world.check();
}
