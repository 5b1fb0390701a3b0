//! Tables of the queue and the supervisor.

mod common;

use base::{CallId, LegId};
use common::{World, config, order, sales, uri};
use response_group::{
    Action, AgentChange, AgentStatus, Announcement, Failure, Input, MonitorMode, Outcome, Output, Presence, Refusal,
    Rejection, Segment, SupervisorCommand, Withdrawal,
};

/// Each call is taken at once and ended at once; who was rung for it.
#[test]
fn a_pass_tries_everybody_once_and_the_next_one_begins_after_retry() {
    let lines = "method = \"serial\"\nalert_time_seconds = 10\n[response_group.queue]\nretry_seconds = 7";
    let mut world = World::new(sales(lines, &["a", "b"]));
    world.call("sales");
    for agent in ["a", "b"] {
        world.rings(agent).wait_seconds(10).refuses(agent, Refusal::Cancelled);
    }
    world.wait_seconds(6);
    assert_eq!(world.all_rung(), ["a", "b"]);
    world.wait_seconds(1);
    assert_eq!(world.all_rung(), ["a", "b", "a"]);
    world.check();
}

#[test]
fn a_smaller_number_is_served_first_across_groups() {
    let text = "
        [[response_group]]
        uri = \"sip:sales@example.com\"
        agents = [\"sip:bob@example.com\"]
        [[response_group]]
        uri = \"sip:vip@example.com\"
        agents = [\"sip:bob@example.com\"]
        [response_group.queue]
        priority = 1";
    let mut world = World::new(config(text));
    let talking = world.call("sales");
    world.takes("bob", talking);
    world.call("sales");
    let vip = world.call("vip");
    world.hangs_up("bob");
    assert_eq!(world.last.iter().filter_map(order).map(|order| order.call).collect::<Vec<_>>(), [vip]);
    world.check();
}

#[test]
fn a_phone_that_rings_has_five_seconds_after_the_time_out() {
    let queue = "[response_group.queue]\ntimeout_seconds = 10";
    let mut world = World::new(sales(&format!("alert_time_seconds = 60\n{queue}"), &["bob"]));
    let call = world.call("sales");
    world.rings("bob").wait_seconds(14);
    assert_eq!(world.outcome(call), None);
    world.wait_seconds(1);
    assert_eq!(world.outcome(call), Some(Outcome::TimedOut { target: None }));
    assert!(world.log.iter().any(|output| matches!(output, Output::Withdraw { reason: Withdrawal::QueueTimeout, .. })));

    let mut world = World::new(sales(&format!("alert_time_seconds = 60\n{queue}"), &["bob"]));
    let call = world.call("sales");
    world.rings("bob").wait_seconds(14).answers("bob").bridged(call);
    assert_eq!(world.outcome(call), None);

    let after_alert = format!("alert_time_seconds = 60\n{queue}\ndeadline = \"after_alert\"");
    let mut world = World::new(sales(&after_alert, &["bob"]));
    let call = world.call("sales");
    world.rings("bob").wait_seconds(59);
    assert_eq!(world.outcome(call), None);
    world.wait_seconds(1);
    assert_eq!(world.outcome(call), Some(Outcome::TimedOut { target: None }));
    world.check();
}

#[test]
fn a_dead_phone_does_not_eat_the_alert_time() {
    let mut world = World::new(sales("method = \"serial\"", &["dead", "bob"]));
    world.call("sales");
    world.wait_seconds(5);
    assert_eq!(world.all_rung(), ["dead", "bob"]);
    world.check();
}

#[test]
fn the_newest_overflows_by_default_and_zero_lets_nobody_wait() {
    // Bob's phone rings for the first; who is rung for does not wait in the sense of the threshold.
    for (threshold, fit) in [(0, 1), (1, 2), (3, 4)] {
        let mut world =
            World::new(sales(&format!("[response_group.queue]\noverflow_threshold = {threshold}"), &["bob"]));
        let calls: Vec<_> = (0..5).map(|_| world.call("sales")).collect();
        let waiting = calls.iter().filter(|call| world.outcome(**call).is_none()).count();
        assert_eq!(waiting, fit, "threshold {threshold}");
        world.check();
    }
}

#[test]
fn callers_for_whom_an_agent_is_free_never_overflow() {
    for threshold in [0, 1] {
        let lines = format!("method = \"serial\"\n[response_group.queue]\noverflow_threshold = {threshold}");
        let agents = ["ann", "bob", "carol"];
        let mut world = World::new(sales(&lines, &agents));
        let calls = [world.call("sales"), world.call("sales"), world.call("sales")];
        assert_eq!(world.all_rung(), agents, "threshold {threshold}");
        assert!(calls.iter().all(|call| world.outcome(*call).is_none()), "threshold {threshold}");
        world.check();
    }
}

#[test]
fn i20_a_group_without_anybody_still_acts() {
    let lines = "[response_group.queue]\nno_agent_action = { kind = \"disconnect\" }";
    let mut world = World::new(sales(lines, &[]));
    let call = world.call("sales");
    assert_eq!(world.outcome(call), Some(Outcome::NoAgent { target: None }));

    for (scope, outcome) in [("all", Some(Outcome::NoAgent { target: None })), ("new", None)] {
        let mut world = World::new(sales(&format!("{lines}\nno_agent_applies_to = {scope:?}"), &["bob"]));
        let talking = world.call("sales");
        world.takes("bob", talking);
        let waiting = world.call("sales");
        world.agent("bob", AgentChange::Opted { opted_in: false }).wait_seconds(1);
        assert_eq!(world.outcome(waiting), outcome);
        assert_eq!(world.outcome(talking), None);
        world.check();
    }
}

#[test]
fn i20_the_last_agent_goes_while_his_phone_rings() {
    let lines = "[response_group.queue]\nno_agent_action = { kind = \"disconnect\" }";
    let gone = |world: &mut World| {
        world.agent("bob", AgentChange::Registered { registered: false });
    };
    let refused = |world: &mut World| {
        gone(world);
        world.refuses("bob", Refusal::Busy);
    };
    let rings_out = |world: &mut World| {
        gone(world);
        world.wait_seconds(20);
    };
    let drops = |world: &mut World| {
        gone(world);
        world.answers("bob").hangs_up("bob");
    };
    let group_without_agents = |world: &mut World| {
        world.tell(Input::Configured { config: Box::new(sales(lines, &[])) });
        assert_eq!(world.watch.faults, Vec::<String>::new());
        world.refuses("bob", Refusal::Declined);
    };
    let crash = |world: &mut World| {
        world.crash();
        gone(world);
        world.tell(Input::Reattached { call: CallId(1), caller: true, agent: false });
    };
    let ways: [&dyn Fn(&mut World); 5] = [&refused, &rings_out, &drops, &group_without_agents, &crash];
    for (way, happens) in ways.into_iter().enumerate() {
        let mut world = World::new(sales(lines, &["bob"]));
        let call = world.call("sales");
        world.rings("bob");
        happens(&mut world);
        world.wait_seconds(0);
        assert_eq!(world.outcome(call), Some(Outcome::NoAgent { target: None }), "way {way}");
        assert_eq!(world.watch.faults, Vec::<String>::new(), "way {way}");
    }
}

#[test]
fn a_phone_silenced_by_a_restart_is_rung_again_at_once() {
    let lines = "method = \"serial\"\n[response_group.queue]\nretry_seconds = 60";
    let mut world = World::new(sales(lines, &["bob", "carol"]));
    let call = world.call("sales");
    world.rings("bob").refuses("bob", Refusal::Busy);
    world.rings("carol").crash();
    world.tell(Input::Reattached { call, caller: true, agent: false });
    world.refuses("carol", Refusal::Cancelled);
    assert_eq!(world.all_rung(), ["bob", "carol", "carol"], "bob had his turn, carol's was cut off");
    // So was one whose media were being joined.
    world.rings("carol").answers("carol").crash();
    world.tell(Input::Reattached { call, caller: true, agent: false });
    world.hangs_up("carol");
    assert_eq!(world.all_rung(), ["bob", "carol", "carol", "carol"]);
    assert_eq!(world.watch.faults, Vec::<String>::new());
}

#[test]
fn whose_agent_does_not_come_back_after_a_restart_is_served_again() {
    for back in [true, false] {
        let mut world = World::new(sales("method = \"serial\"", &["bob", "carol"]));
        let call = world.call("sales");
        world.takes("bob", call).crash();
        if back {
            world.tell(Input::CallerBack { call });
        }
        world.wait_seconds(10);
        let lost = (!back).then_some(Outcome::Failed { why: Failure::Restart });
        assert_eq!(world.outcome(call), lost, "his audio is here: {back}");
        let group = &world.domain.snapshot(world.now).groups[0];
        assert_eq!((group.waiting, group.talking), (u32::from(back), 0));
        if back {
            assert_eq!(world.all_rung(), ["bob", "carol"]);
        }
        assert_eq!(world.watch.faults, Vec::<String>::new());
    }
}

#[test]
fn callers_are_passed_from_group_to_group_and_not_for_ever() {
    let group = |name: &str, next: &str| {
        format!(
            "[[response_group]]\nuri = \"sip:{name}@example.com\"\nagents = [\"sip:bob@example.com\"]\n\
             [response_group.queue]\ntimeout_seconds = 10\n\
             timeout_action = {{ kind = \"group\", target = \"sip:{next}@example.com\" }}\n"
        )
    };
    let mut world = World::bare(config(&format!("{}{}", group("one", "two"), group("two", "one"))));
    let call = world.call("one");
    world.wait_seconds(120);
    assert_eq!(world.outcome(call), Some(Outcome::Failed { why: Failure::Loop }));
    world.check();
}

#[test]
fn an_unknown_group_is_refused_with_an_outcome() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("nobody");
    assert_eq!(world.outcome(call), Some(Outcome::Rejected { why: Rejection::UnknownGroup }));
    world.check();
}

#[test]
fn place_and_wait_are_said_when_they_became_better() {
    let lines = "[response_group.announcements]\nposition = true\nestimated_wait = true\nevery_seconds = 15";
    let mut world = World::new(sales(lines, &["bob"]));
    let first = world.call("sales");
    world.takes("bob", first);
    let second = world.call("sales");
    let third = world.call("sales");
    let places = |world: &World| -> Vec<(CallId, u32)> {
        let place = |output: &Output| match output {
            Output::Announce {
                call,
                announcement: Announcement::Queue { position: Some(place), wait_seconds: Some(_) },
                ..
            } => Some((*call, *place)),
            _ => None,
        };
        world.log.iter().filter_map(place).collect()
    };
    world.wait_seconds(40);
    assert_eq!(places(&world), [(second, 1), (third, 2)]);
    world.tell(Input::CallerLeft { call: second }).wait_seconds(15);
    assert_eq!(places(&world), [(second, 1), (third, 2), (third, 1)]);
    world.check();
}

#[test]
fn several_calls_of_one_agent_ring_one_at_a_time() {
    let mut world = World::new(sales("max_calls = 2", &["bob"]));
    let one = world.call("sales");
    world.takes("bob", one);
    let two = world.call("sales");
    let three = world.call("sales");
    world.takes("bob", two);
    assert_eq!(world.status("bob"), AgentStatus::Talking { calls: 2 });
    assert_eq!(world.outcome(three), None);
    assert_eq!(world.all_rung(), ["bob", "bob"]);
    world.check();
}

#[test]
fn a_supervisor_listens_whispers_barges_and_transfers() {
    let mut world = World::new(sales("anonymous = true", &["bob"]));
    let call = world.call("sales");
    let leg = LegId(77);
    let monitor = |mode| Input::Supervise { call, command: SupervisorCommand::Monitor { leg, mode, supervisor: None } };
    world.tell(monitor(MonitorMode::Listen));
    assert!(world.did(|output| matches!(output, Output::SupervisorRefused { .. })));
    world.rings("bob").answers("bob");
    assert!(world.did(|output| matches!(output, Output::Bridge { anonymous: true, .. })));
    world.bridged(call);
    for mode in [MonitorMode::Listen, MonitorMode::Whisper, MonitorMode::Barge] {
        world.tell(monitor(mode));
        assert!(world.did(|output| *output == Output::Monitor { call, leg, mode: Some(mode) }));
    }
    let target = Action::Forward { target: uri("frank") };
    world.tell(Input::Supervise { call, command: SupervisorCommand::Transfer { target } });
    assert!(world.did(|output| *output == Output::Monitor { call, leg, mode: None }));
    assert!(world.did(|output| matches!(output, Output::Forward { .. })));
    world.hangs_up("bob");
    assert_eq!(world.status("bob"), AgentStatus::Free);
    // The target does not answer: the caller is served again.
    world.tell(Input::ForwardEnded { call, connected: false, status: None });
    assert_eq!(world.rung(), Vec::<String>::new());
    world.wait_seconds(5);
    assert_eq!(world.all_rung(), ["bob", "bob"]);
    world.check();
}

#[test]
fn an_agent_gets_the_caller_back_when_the_transfer_fails() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    world.takes("bob", call);
    let offer = world.offer("bob");
    world.tell(Input::AgentTransferred { offer, target: Action::Forward { target: uri("frank") }, consulted: false });
    world.tell(Input::ForwardEnded { call, connected: false, status: None });
    assert!(world.did(|output| matches!(output, Output::Bridge { .. })));
    world.bridged(call).hangs_up("bob");
    assert_eq!(world.outcome(call), Some(Outcome::Answered));
    world.check();
}

#[test]
fn i17_after_a_crash_agents_become_free_and_callers_keep_their_place() {
    let mut world = World::new(sales("method = \"serial\"", &["bob", "carol", "dave"]));
    let talking = world.call("sales");
    world.takes("bob", talking);
    let ringing = world.call("sales");
    world.rings("carol");
    let (waiting, lost) = (world.call("sales"), world.call("sales"));
    world.rings("dave").tell(Input::CallerLeft { call: waiting });
    world.crash();
    let reattached: Vec<_> = world
        .last
        .iter()
        .filter_map(|output| match output {
            Output::Reattach { call, agent } => Some((*call, agent.is_some())),
            _ => None,
        })
        .collect();
    assert_eq!(reattached, [(talking, true), (ringing, false), (lost, false)]);
    world.tell(Input::Reattached { call: talking, caller: true, agent: true });
    world.tell(Input::Reattached { call: ringing, caller: true, agent: false });
    world.wait_seconds(5);
    assert_eq!(world.outcome(lost), Some(Outcome::Failed { why: Failure::Restart }));
    assert_eq!(world.domain.snapshot(world.now).groups[0].callers[0].call, ringing);
    // The answers to our CANCELs were lost; the guard frees the agents all the same.
    world.wait_seconds(40);
    assert_eq!(world.log.iter().rev().find_map(order).map(|order| order.call), Some(ringing));
    assert_eq!(world.status("bob"), AgentStatus::Talking { calls: 1 });
    world.hangs_up("bob");
    assert_eq!(world.outcome(talking), Some(Outcome::Answered));
    assert_eq!(world.watch.faults, Vec::<String>::new());
}

#[test]
fn i18_callers_of_a_removed_group_have_an_outcome() {
    let mut world = World::new(sales("", &["bob"]));
    let (ringing, waiting) = (world.call("sales"), world.call("sales"));
    let other = config("[[response_group]]\nuri = \"sip:help@example.com\"\nagents = [\"sip:carol@example.com\"]");
    world.tell(Input::Configured { config: Box::new(other) });
    assert_eq!(world.outcome(waiting), Some(Outcome::Failed { why: Failure::GroupRemoved }));
    world.takes("bob", ringing).hangs_up("bob");
    assert_eq!(world.outcome(ringing), Some(Outcome::Answered));
    world.check();
}

#[test]
fn who_waits_already_waits_as_long_as_the_group_says_now() {
    let of = |limit: &str| Input::Configured {
        config: Box::new(sales(&format!("[response_group.queue]\n{limit}"), &["bob"])),
    };
    let timed_out = Some(Outcome::TimedOut { target: None });
    let mut world = World::new(sales("", &["bob"]));
    world.agent("bob", AgentChange::Presence { presence: Presence::Busy, lease_seconds: None });
    let first = world.call("sales");
    world.wait_seconds(4).tell(of("timeout_seconds = 10")).wait_seconds(5);
    assert_eq!(world.outcome(first), None);
    world.wait_seconds(1);
    assert_eq!(world.outcome(first), timed_out, "counted from when he began to wait");

    let second = world.call("sales");
    world.wait_seconds(4).tell(of("")).wait_seconds(26);
    assert_eq!(world.outcome(second), None, "no limit any more");
    world.tell(of("timeout_seconds = 20")).wait_seconds(0);
    assert_eq!(world.outcome(second), timed_out, "he has waited longer than that");
    world.check();
}

#[test]
fn each_part_of_a_call_says_what_became_of_the_caller() {
    let lines = "exit_key = { digit = \"0\", action = { kind = \"disconnect\" } }\n[response_group.queue]\n\
                 timeout_seconds = 10\ntimeout_action = { kind = \"forward\", target = \"sip:frank@example.com\" }";
    let parts = |world: &World| -> Vec<(u64, Outcome)> {
        let record = world.log.iter().find_map(|output| match output {
            Output::Cdr(record) => Some(record.clone()),
            _ => None,
        });
        let length = |part: &Segment| (part.to.since(part.from).as_secs(), part.outcome.clone());
        record.expect("the call is over").segments.iter().map(length).collect()
    };
    let failed = |why| Outcome::Failed { why };
    let mut world = World::bare(sales(lines, &["bob"]));
    let call = world.call("sales");
    world.wait_seconds(13).tell(Input::ForwardEnded { call, connected: false, status: None });
    assert_eq!(parts(&world), [(10, Outcome::TimedOut { target: None }), (3, failed(Failure::ForwardFailed))]);

    let mut world = World::bare(sales(lines, &["bob"]));
    let call = world.call("sales");
    world.wait_seconds(2).tell(Input::CallerDigit { call, digit: '0' });
    assert_eq!(parts(&world), [(2, Outcome::ChoseExit { target: None })]);

    let mut world = World::new(sales(lines, &["bob"]));
    let call = world.call("sales");
    world.wait_seconds(1).takes("bob", call).wait_seconds(4).tell(Input::Stopping);
    assert_eq!(parts(&world), [(1, Outcome::Answered), (4, failed(Failure::Stopping))]);
    assert_eq!(world.outcome(call), Some(Outcome::Answered));
}

#[test]
fn the_wallboard_counts() {
    let mut world = World::new(sales("target_seconds = 20\n[response_group.queue]\noverflow_threshold = 1", &["bob"]));
    let (one, two) = (world.call("sales"), world.call("sales"));
    world.call("sales");
    world.takes("bob", one).tell(Input::CallerLeft { call: two });
    let three = world.call("sales");
    world.wait_seconds(30).hangs_up("bob").takes("bob", three);
    let group = &world.domain.snapshot(world.now).groups[0];
    let counters = &group.counters;
    assert_eq!((counters.offered, counters.answered, counters.answered_in_target), (3, 2, 1));
    assert_eq!((counters.abandoned, counters.overflowed, group.waiting, group.talking), (1, 1, 0, 1));
    world.check();
}

#[test]
fn whose_phone_never_acknowledges_counts_as_answered_nowhere() {
    let answered = |world: &World| {
        let counters = &world.domain.snapshot(world.now).groups[0].counters;
        (counters.offered, counters.answered, counters.answered_in_target, counters.other)
    };
    let counts = |counted, happens: &dyn Fn(&mut World, CallId)| {
        let mut world = World::new(sales("", &["bob"]));
        let call = world.call("sales");
        world.rings("bob").answers("bob").tell(Input::Bridged { call, unconfirmed: true });
        assert_eq!(answered(&world), (1, 0, 0, 0), "nobody knows yet whether he hears anything");
        happens(&mut world, call);
        assert_eq!(answered(&world), counted);
        world.tell(Input::CallerConfirmed { call });
        assert_eq!(answered(&world), counted, "once");
        world.check();
    };
    counts((1, 0, 0, 1), &|world, call| {
        world.tell(Input::CallerNotConfirmed { call });
    });
    counts((1, 1, 1, 0), &|world, call| {
        world.tell(Input::CallerConfirmed { call });
    });
    // BYE before the ACK: he was there.
    counts((1, 1, 1, 0), &|world, call| {
        world.tell(Input::CallerLeft { call });
    });
    counts((1, 1, 1, 0), &|world, _| {
        world.hangs_up("bob");
    });
    counts((1, 1, 1, 0), &|world, call| {
        world.crash().tell(Input::Reattached { call, caller: true, agent: true });
    });
}

#[test]
fn i17_whoever_was_being_sent_on_when_the_process_ended_is_sent_on_anew_or_has_an_outcome_that_says_so() {
    let forward = "[response_group.queue]\ntimeout_seconds = 10\n\
        timeout_action = { kind = \"forward\", target = \"sip:frank@example.com\" }";
    let mut world = World::new(sales(forward, &["a"]));
    let call = world.call("sales");
    world.rings("a").wait_seconds(16);
    assert!(world.log.iter().any(|output| matches!(output, Output::Forward { .. })), "he is on his way");
    world.crash();
    assert_eq!(world.outcome(call), None);
    world.tell(Input::Reattached { call, caller: true, agent: false });
    assert!(world.did(|output| matches!(output, Output::Forward { .. })), "he is on his way again");
    world.crash();
    world.tell(Input::Reattached { call, caller: false, agent: false });
    assert_eq!(world.outcome(call), Some(Outcome::Failed { why: Failure::Restart }));
    assert_eq!(world.histories(call), [("a".to_owned(), response_group::HistoryKind::GroupCallNotAnswered)]);
    assert!(world.did(|output| matches!(output, Output::Disconnect { .. })), "and he is hung up");
}

#[test]
fn who_talked_with_an_agent_and_gives_up_waiting_again_was_answered() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    world.takes("bob", call).wait_seconds(3);
    let target = Action::Forward { target: uri("frank") };
    world.tell(Input::Supervise { call, command: SupervisorCommand::Transfer { target } });
    world
        .tell(Input::ForwardEnded { call, connected: false, status: None })
        .wait_seconds(1)
        .tell(Input::CallerLeft { call });
    assert_eq!(world.outcome(call), Some(Outcome::Answered));
    let record = world.log.iter().find_map(|output| match output {
        Output::Cdr(record) => Some(record.clone()),
        _ => None,
    });
    let last = record.and_then(|record| record.segments.last().cloned()).expect("he waited again");
    assert_eq!(last.outcome, Outcome::Abandoned, "which he gave up");
    let counters = &world.domain.snapshot(world.now).groups[0].counters;
    assert_eq!((counters.offered, counters.answered, counters.abandoned), (1, 1, 0));
    world.check();
}

#[test]
fn who_is_answered_twice_in_one_line_counts_once() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    world.takes("bob", call);
    let target = Action::Forward { target: uri("frank") };
    world.tell(Input::Supervise { call, command: SupervisorCommand::Transfer { target } });
    world.hangs_up("bob").tell(Input::ForwardEnded { call, connected: false, status: None }).wait_seconds(6);
    world.takes("bob", call).hangs_up("bob");
    let counters = &world.domain.snapshot(world.now).groups[0].counters;
    assert_eq!((counters.offered, counters.answered), (1, 1));
    world.check();
}

#[test]
fn the_wallboard_shows_a_pause_although_another_group_would_not_have_the_agent_anyway() {
    let groups = "[[response_group]]\nuri = \"sip:one@example.com\"\nagents = [\"sip:bob@example.com\"]\n\
                  [[response_group]]\nuri = \"sip:two@example.com\"\nparticipation = \"formal\"\n\
                  agents = [\"sip:bob@example.com\"]\n";
    let mut world = World::bare(config(groups));
    world.agent("bob", AgentChange::Registered { registered: true });
    assert_eq!(world.status("bob"), AgentStatus::Free);
    let call = world.call("one");
    world.refuses("bob", Refusal::Busy).tell(Input::CallerLeft { call });
    assert!(matches!(world.status("bob"), AgentStatus::CoolDown { .. }));
    world.agent("bob", AgentChange::Paused { seconds: 60 });
    assert!(matches!(world.status("bob"), AgentStatus::Paused { .. }));
}
