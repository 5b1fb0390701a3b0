//! The complaints about other queues, B1 to B26, as far as the machine decides them (routing.md 1.12).

mod common;

use base::Duration;
use common::{World, order, sales, uri};
use response_group::{
    Action, AgentChange, AgentStatus, CancelWhen, DialogNo, HistoryKind, Input, Outcome, Output, Presence, Refusal,
    Release, SegmentKind, Sound, Withdrawal,
};

fn bridges(world: &World) -> usize {
    world.log.iter().filter(|output| matches!(output, Output::Bridge { .. })).count()
}

fn ack_byes(outputs: &[Output]) -> Vec<Release> {
    let reason = |output: &Output| match output {
        Output::AckBye { reason, .. } => Some(*reason),
        _ => None,
    };
    outputs.iter().filter_map(reason).collect()
}

#[test]
fn b1_two_agents_answer_and_one_wins() {
    let mut world = World::new(sales("", &["bob", "carol"]));
    let call = world.call("sales");
    world.rings("bob").rings("carol").answers("bob").answers("carol");
    assert_eq!((bridges(&world), ack_byes(&world.last)), (1, vec![Release::LateAnswer]));
    world.bridged(call);
    world.check();
}

#[test]
fn b1_two_devices_of_one_agent_answer_and_one_wins() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    world.rings("bob").answers_as("bob", 1).answers_as("bob", 2);
    assert_eq!((bridges(&world), ack_byes(&world.last)), (1, vec![Release::SecondAnswer]));
    world.bridged(call).tell(Input::CallerLeft { call });
    world.hangs_up("bob");
    assert_eq!(world.status("bob"), AgentStatus::Talking { calls: 1 });
    let offer = world.offer("bob");
    world.tell(Input::OfferDialogEnded { offer, dialog: DialogNo(2) });
    assert_eq!(world.status("bob"), AgentStatus::Free);
    world.check();
}

#[test]
fn b2_an_agent_who_drops_before_the_bridge_costs_the_caller_nothing() {
    let mut world = World::new(sales("method = \"serial\"", &["bob", "carol"]));
    let first = world.call("sales");
    let second = world.call("sales");
    world.rings("bob").answers("bob").hangs_up("bob");
    assert_eq!(world.all_rung(), ["bob", "carol"], "bob had the first caller, carol is rung for the second");
    let snapshot = world.domain.snapshot(world.now);
    let callers: Vec<_> = snapshot.groups[0].callers.iter().map(|waiting| waiting.call).collect();
    assert_eq!(callers, [first, second]);
    assert_eq!(world.outcome(first), None);
    world.check();
}

/// His BYE was faster than his 200: nobody is silenced for him, the caller waits on, and what was is told as it was.
#[test]
fn b2_an_agent_who_answers_and_hangs_up_at_once_is_told_so_and_costs_the_caller_nothing() {
    let mut world = World::new(sales("queue.retry_seconds = 1", &["bob", "carol"]));
    let call = world.call("sales");
    world.rings("bob").rings("carol").wait_seconds(3).refuses("bob", Refusal::HungUp);
    assert!(!world.log.iter().any(|output| matches!(output, Output::Withdraw { .. })), "carol rings on");
    world.refuses("carol", Refusal::Busy).wait_seconds(7);
    assert_eq!(world.all_rung(), ["bob", "carol", "carol"], "bob is left alone with this call for a while");
    world.takes("carol", call).wait_seconds(9).tell(Input::CallerLeft { call });
    let kinds = [HistoryKind::GroupCallAnsweredByYou; 2];
    assert_eq!(world.histories(call).into_iter().map(|(_, kind)| kind).collect::<Vec<_>>(), kinds);
    let record = world.log.iter().find_map(|output| match output {
        Output::Cdr(record) => Some(record.clone()),
        _ => None,
    });
    let record = record.expect("the call is over");
    let talk = |agent: &str| SegmentKind::Talk { agent: uri(agent) };
    let talked = |agent: &str| {
        record
            .segments
            .iter()
            .filter(|part| part.kind == talk(agent))
            .map(|part| part.to.since(part.from))
            .collect::<Vec<_>>()
    };
    assert_eq!((talked("bob"), talked("carol")), (vec![Duration::ZERO], vec![Duration::from_secs(9)]));
    world.hangs_up("carol");
    world.check();
}

#[test]
fn who_was_to_be_asked_for_the_key_has_answered_nothing_by_hanging_up() {
    let mut world = World::new(sales("confirm = \"always\"", &["bob"]));
    let call = world.call("sales");
    world.rings("bob").refuses("bob", Refusal::HungUp).tell(Input::CallerLeft { call });
    assert_eq!(world.histories(call), [("bob".to_owned(), HistoryKind::GroupCallAbandoned)]);
    world.check();
}

#[test]
fn b3_b19_a_burst_reserves_every_agent_once() {
    let agents = ["a", "b", "c"];
    for method in ["parallel", "serial", "longest-idle", "round-robin", "attendant"] {
        let mut world = World::new(sales(&format!("method = {method:?}"), &agents));
        for _ in 0..10 {
            world.call("sales");
        }
        let mut rung = world.all_rung();
        rung.sort();
        assert_eq!(rung, agents, "{method}");
        world.check();
    }
}

#[test]
fn b4_a_call_ends_with_its_leg() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    world.takes("bob", call).hangs_up("bob");
    assert_eq!(world.outcome(call), Some(Outcome::Answered));
    assert!(world.did(|output| matches!(output, Output::Disconnect { .. })));
    world.check();
}

#[test]
fn b5_a_caller_who_leaves_before_the_first_provisional_takes_the_offer_with_him() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    let offer = world.offer("bob");
    world.tell(Input::CallerLeft { call });
    let withdraw = Output::Withdraw { offer, reason: Withdrawal::CallerGone, cancel: CancelWhen::AfterProvisional };
    assert!(world.did(|output| *output == withdraw));
    assert_eq!(world.status("bob"), AgentStatus::Draining);
    world.check();
}

#[test]
fn b6_a_lost_completion_ends_by_itself() {
    let mut world = World::new(sales("[response_group.queue]\ntimeout_seconds = 30", &["bob"]));
    let call = world.call("sales");
    world.wait_seconds(300);
    assert_eq!(world.outcome(call), Some(Outcome::TimedOut { target: None }));
    assert_eq!(world.status("bob"), AgentStatus::Free);
    world.check();
}

#[test]
fn b7_an_agent_whose_bye_is_lost_is_free_after_the_guard() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    world.takes("bob", call).tell(Input::CallerLeft { call });
    world.wait_seconds(31);
    assert_ne!(world.status("bob"), AgentStatus::Free);
    world.wait_seconds(10);
    assert_eq!(world.status("bob"), AgentStatus::Free);
    world.check();
}

#[test]
fn b8_no_refusal_of_an_agent_ends_the_caller() {
    let refusals = [
        Refusal::Busy,
        Refusal::Declined,
        Refusal::HungUp,
        Refusal::Redirected,
        Refusal::Unreachable,
        Refusal::Unavailable { retry_after_seconds: 30 },
        Refusal::Cancelled,
        Refusal::Failed { status: 500 },
    ];
    for refusal in refusals {
        let mut world = World::new(sales("method = \"serial\"", &["bob", "carol"]));
        let call = world.call("sales");
        world.refuses("bob", refusal);
        assert_eq!(world.rung(), ["carol"], "{refusal:?}");
        assert_eq!(world.outcome(call), None);
        world.check();
    }
}

#[test]
fn b9_each_agent_has_his_own_wrap_up() {
    let mut world = World::new(sales("method = \"serial\"\nwrap_up_seconds = 30", &["bob", "carol"]));
    let (one, two) = (world.call("sales"), world.call("sales"));
    world.takes("bob", one).takes("carol", two).hangs_up("bob").wait_seconds(20).hangs_up("carol").wait_seconds(11);
    assert_eq!(world.status("bob"), AgentStatus::Free);
    assert!(matches!(world.status("carol"), AgentStatus::WrapUp { .. }));
    world.check();
}

#[test]
fn b10_an_unavailable_agent_anywhere_in_the_list_halts_nothing() {
    for absent in ["a", "b", "c"] {
        let mut world = World::new(sales("method = \"serial\"", &["a", "b", "c"]));
        world.agent(absent, AgentChange::Registered { registered: false });
        for _ in 0..3 {
            world.call("sales");
        }
        assert_eq!(world.all_rung().len(), 2, "without {absent}");
        world.check();
    }
}

#[test]
fn b11_who_declines_is_not_offered_the_call_again_during_the_grace() {
    let mut world = World::new(sales("decline_grace_seconds = 60", &["bob"]));
    world.call("sales");
    world.refuses("bob", Refusal::Declined).wait_seconds(59);
    assert_eq!(world.all_rung(), ["bob"]);
    world.wait_seconds(2);
    assert_eq!(world.all_rung(), ["bob", "bob"]);
    world.check();
}

#[test]
fn b11_who_declines_one_call_is_offered_another() {
    let mut world = World::new(sales("", &["bob"]));
    world.call("sales");
    world.refuses("bob", Refusal::Declined);
    let second = world.call("sales");
    world.wait_seconds(1);
    assert_eq!(world.log.iter().rev().find_map(order).map(|order| order.call), Some(second));
    world.check();
}

#[test]
fn b12_an_agent_who_lets_it_ring_is_paused_visibly_and_for_a_time() {
    let lines = "alert_time_seconds = 10\npause_after_no_answers = 2\npause_seconds = 100";
    let mut world = World::new(sales(lines, &["bob"]));
    world.call("sales");
    for _ in 0..2 {
        world.rings("bob").wait_seconds(10).refuses("bob", Refusal::Cancelled).wait_seconds(5);
    }
    assert!(matches!(world.status("bob"), AgentStatus::Paused { .. }));
    world.wait_seconds(100);
    assert_eq!(world.all_rung().len(), 3);
    world.check();
}

#[test]
fn b13_the_wrap_up_belongs_to_the_agent_whatever_group_the_call_came_from_and_also_after_a_transfer() {
    let text = "
        [[response_group]]
        uri = \"sip:sales@example.com\"
        agents = [\"sip:bob@example.com\"]
        wrap_up_seconds = 30
        [[response_group]]
        uri = \"sip:help@example.com\"
        agents = [\"sip:bob@example.com\"]
        wrap_up_seconds = 30";
    let mut world = World::new(common::config(text));
    let call = world.call("sales");
    world.takes("bob", call);
    let offer = world.offer("bob");
    world.tell(Input::AgentTransferred { offer, target: Action::Group { target: uri("help") }, consulted: false });
    world.hangs_up("bob").wait_seconds(29);
    assert_eq!(world.all_rung(), ["bob"]);
    world.wait_seconds(2);
    assert_eq!(world.all_rung(), ["bob", "bob"]);
    world.check();
}

#[test]
fn b14_talk_is_charged_to_the_agent_until_his_leg_ends() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    world.takes("bob", call).wait_seconds(20);
    let offer = world.offer("bob");
    world.tell(Input::AgentTransferred { offer, target: Action::Forward { target: uri("frank") }, consulted: false });
    world.hangs_up("bob").wait_seconds(3_600 / 60);
    world.tell(Input::ForwardEnded { call, connected: true, status: None });
    let snapshot = world.domain.snapshot(world.now);
    assert_eq!(snapshot.agents[0].talk_seconds, 20);
    assert_eq!(world.outcome(call), Some(Outcome::Transferred { target: Some(uri("frank")) }));
    world.check();
}

#[test]
fn b15_a_redirection_is_final() {
    let mut world = World::new(sales("", &["bob"]));
    world.call("sales");
    world.refuses("bob", Refusal::Redirected);
    assert_eq!(world.all_rung(), ["bob"]);
    assert!(matches!(world.status("bob"), AgentStatus::CoolDown { .. }));
    world.check();
}

#[test]
fn b16_b17_the_key_is_a_property_of_the_offer() {
    let cases = [("never", "bob", false), ("pstn", "bob", false), ("pstn", "tel:+1", true), ("always", "bob", true)];
    for (confirm, agent, asked) in cases {
        let mut world = World::new(sales(&format!("confirm = {confirm:?}"), &[agent]));
        world.call("sales");
        world.rings(agent).wait_seconds(3).answers(agent);
        assert_eq!(world.did(|output| matches!(output, Output::AskConfirm { .. })), asked, "{confirm} {agent}");
        assert_eq!(bridges(&world), usize::from(!asked));
        world.check();
    }
}

#[test]
fn b16_without_the_key_the_call_goes_on_and_with_it_he_wins() {
    let mut world = World::new(sales("confirm = \"always\"", &["bob", "carol"]));
    let call = world.call("sales");
    world.rings("bob").rings("carol").answers("bob").wait_seconds(10);
    assert!(world.did(|output| matches!(output, Output::AckBye { reason: Release::NotConfirmed, .. })));
    world.answers("carol");
    let offer = world.offer("carol");
    world.tell(Input::OfferConfirmed { offer, accepted: true }).bridged(call);
    assert_eq!(bridges(&world), 1);
    world.check();
}

#[test]
fn b18_a_first_answer_silences_only_the_phones_of_its_own_call() {
    let mut world = World::new(sales("method = \"serial\"", &["bob", "carol"]));
    let (one, two) = (world.call("sales"), world.call("sales"));
    world.rings("bob").rings("carol").answers("bob");
    assert!(!world.did(|output| matches!(output, Output::Withdraw { .. })));
    world.bridged(one).answers("carol").bridged(two);
    world.check();
}

#[test]
fn b20_b21_the_caller_hears_music_until_the_bridge_and_nothing_of_a_ringing_phone() {
    let mut world = World::new(sales("music = \"calm\"", &["bob"]));
    let call = world.call("sales");
    let music = Output::Sound { call, sound: Sound::Music { name: Some("calm".to_owned()) } };
    assert!(world.did(|output| *output == music));
    world.rings("bob");
    assert!(!world.did(|output| matches!(output, Output::Sound { .. } | Output::Bridge { .. })));
    world.answers("bob").bridged(call);
    assert!(!world.did(|output| matches!(output, Output::Sound { .. })));
    world.check();
}

#[test]
fn b23_the_agent_is_not_free_before_the_final_response() {
    let mut world = World::new(sales("", &["bob", "carol"]));
    let one = world.call("sales");
    world.call("sales");
    world.rings("bob").rings("carol").takes("bob", one);
    assert_eq!(world.status("carol"), AgentStatus::Draining);
    assert_eq!(world.rung(), Vec::<String>::new());
    world.refuses("carol", Refusal::Cancelled);
    assert_eq!(world.rung(), ["carol"]);
    world.check();
}

#[test]
fn b24_an_answer_after_cancel_is_acknowledged_and_ended_and_so_is_one_nobody_knows() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    world.rings("bob").tell(Input::CallerLeft { call }).answers("bob");
    assert_eq!(ack_byes(&world.last), [Release::LateAnswer]);
    world.hangs_up("bob");
    assert_eq!(world.status("bob"), AgentStatus::Free);
    world.answers_as("bob", 7);
    assert_eq!(ack_byes(&world.last), [Release::LateAnswer]);
    world.check();
}

#[test]
fn b25_the_caller_keeps_his_place_until_he_is_connected() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    world.rings("bob").answers("bob");
    assert_eq!(world.domain.snapshot(world.now).groups[0].waiting, 1);
    world.bridged(call);
    assert_eq!(world.domain.snapshot(world.now).groups[0].waiting, 0);
    world.check();
}

#[test]
fn b26_busy_is_a_pause_and_not_a_miss() {
    let mut world = World::new(sales("method = \"serial\"", &["bob", "carol"]));
    world.agent("bob", AgentChange::Presence { presence: Presence::Available, lease_seconds: None });
    world.call("sales");
    world.refuses("bob", Refusal::Busy);
    assert_eq!(world.rung(), ["carol"]);
    let snapshot = world.domain.snapshot(world.now);
    assert_eq!((snapshot.agents[0].not_answered, snapshot.agents[0].declined), (0, 0));
    world.check();
}

#[test]
fn glare_1_the_callers_bye_crosses_the_agents_200() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    world.rings("bob").answers("bob").tell(Input::CallerLeft { call });
    assert_eq!(ack_byes(&world.last), [Release::CallerGone]);
    assert_eq!(world.outcome(call), Some(Outcome::Abandoned));
    world.check();
}

#[test]
fn glare_3_4_an_answer_that_came_before_the_timer_was_looked_at_wins() {
    let mut world = World::new(sales("[response_group.queue]\ntimeout_seconds = 20", &["bob"]));
    let call = world.call("sales");
    world.rings("bob");
    // The clock has passed alert time and time-out; the answer was dequeued first.
    world.now = world.now + Duration::from_secs(21);
    world.answers("bob");
    assert_eq!(bridges(&world), 1);
    world.tell(Input::TimerFired).bridged(call);
    assert_eq!(world.outcome(call), None);
    world.check();
}

#[test]
fn glare_6_the_oldest_overflows_unless_phones_ring_for_him() {
    let lines = "[response_group.queue]\noverflow_threshold = 2\noverflow_candidate = \"oldest\"";
    let mut world = World::new(sales(lines, &["bob"]));
    let calls = [(); 4].map(|()| world.call("sales"));
    let overflowed = Some(Outcome::Overflowed { target: None });
    // Bob's phone rings for the first; two may wait, and the fourth takes the place of the second.
    assert_eq!(calls.map(|call| world.outcome(call)), [None, overflowed, None, None]);
    world.check();
}

#[test]
fn glare_10_other_groups_hold_for_new_offers_only() {
    let mut world = World::new(sales("", &["bob", "carol"]));
    let call = world.call("sales");
    world.rings("bob");
    let config = Box::new(sales("", &["carol"]));
    world.tell(Input::Configured { config });
    assert!(!world.did(|output| matches!(output, Output::Withdraw { .. })));
    world.answers("bob").bridged(call).hangs_up("bob");
    world.refuses("carol", Refusal::Cancelled);
    world.call("sales");
    assert_eq!(world.rung(), ["carol"]);
    world.check();
}
