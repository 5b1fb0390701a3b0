//! Tables of the workflow: what a caller hears and is asked before he waits, and the ways out.

mod common;

use common::{World, config, order, sales, uri};
use response_group::{Announcement, AnswerMode, Failure, Input, Outcome, Output};

/// Each call is taken at once and ended at once; who was rung for it.
#[test]
fn welcome_and_two_questions_lead_to_the_chosen_agents() {
    let text = "
        [[response_group]]
        uri = \"sip:sales@example.com\"
        welcome = \"hello\"
        [response_group.question]
        prompt = \"which\"
        [[response_group.question.answer]]
        digit = \"1\"
        label = \"new\"
        agent_groups = [\"new\"]
        [[response_group.question.answer]]
        digit = \"2\"
        label = \"old\"
        question = { prompt = \"sure\", answer = [{ digit = \"9\", label = \"sure\", agent_groups = [\"old\"] }] }
        [[response_group.agent_group]]
        name = \"new\"
        agents = [\"sip:a@example.com\"]
        [[response_group.agent_group]]
        name = \"old\"
        agents = [\"sip:b@example.com\"]";
    let prompt = |name: &str| {
        let wanted = Announcement::Prompt { name: name.to_owned() };
        move |output: &Output| matches!(output, Output::Announce { announcement, .. } if *announcement == wanted)
    };
    let mut world = World::new(config(text));
    let call = world.call("sales");
    assert!(world.did(prompt("hello")));
    world.tell(Input::AnnouncementEnded { call });
    assert!(world.did(prompt("which")));
    world.tell(Input::CallerDigit { call, digit: '2' });
    assert!(world.did(prompt("sure")));
    world.tell(Input::AnnouncementEnded { call });
    world.tell(Input::CallerDigit { call, digit: '9' });
    assert_eq!(world.rung(), ["b"]);
    assert_eq!(
        world.log.iter().find_map(order).map(|order| order.labels.clone()),
        Some(vec!["old".to_owned(), "sure".to_owned()])
    );

    // Who presses nothing, or the wrong key, is asked again and then taken by the first answer.
    let call = world.call("sales");
    world.tell(Input::AnnouncementEnded { call }).tell(Input::CallerDigit { call, digit: '7' });
    assert!(world.did(prompt("which")));
    world.tell(Input::AnnouncementEnded { call }).wait_seconds(5);
    assert_eq!(world.all_rung(), ["b", "a"]);
    world.check();
}

#[test]
fn a_lost_prompt_holds_nobody() {
    let mut world = World::new(sales("welcome = \"hello\"", &["bob"]));
    world.call("sales");
    world.wait_seconds(119);
    assert_eq!(world.all_rung(), Vec::<String>::new());
    world.wait_seconds(1);
    assert_eq!(world.all_rung(), ["bob"]);
    world.check();
}

#[test]
fn a_closed_group_says_so_and_sends_the_caller_on() {
    let lines = "
        hours = [{ days = [\"mon\"], from = \"09:00\", to = \"17:00\" }]
        closed = { prompt = \"closed\", action = { kind = \"forward\", target = \"sip:frank@example.com\" } }";
    let mut world = World::new(sales(lines, &["bob"]));
    // A Sunday.
    world.unix_seconds = 1_750_000_000;
    let call = world.call("sales");
    assert_eq!(world.all_rung(), Vec::<String>::new());
    world.tell(Input::AnnouncementEnded { call });
    assert!(world.did(|output| matches!(output, Output::Forward { .. })));
    world.tell(Input::ForwardEnded { call, connected: false, status: None });
    assert_eq!(world.outcome(call), Some(Outcome::Failed { why: Failure::ForwardFailed }));
    // Monday, ten o'clock.
    world.unix_seconds = 1_750_068_000;
    world.call("sales");
    assert_eq!(world.rung(), ["bob"]);
    world.check();
}

#[test]
fn the_callers_200_comes_when_the_group_says() {
    for (mode, first) in [
        ("immediate", AnswerMode::Immediate),
        ("early_media", AnswerMode::EarlyMedia),
        ("on_agent", AnswerMode::OnAgent),
    ] {
        let mut world = World::new(sales(&format!("answer = {mode:?}"), &["bob"]));
        let call = world.call("sales");
        assert!(world.did(|output| *output == Output::AnswerCaller { call, mode: first }), "{mode}");
        world.rings("bob").answers("bob");
        let late = world.did(|output| *output == Output::AnswerCaller { call, mode: AnswerMode::Immediate });
        assert_eq!(late, first != AnswerMode::Immediate, "{mode}");
        world.check();
    }
}

#[test]
fn the_exit_key_leaves_the_queue() {
    let mut world = World::new(sales(
        "exit_key = { digit = \"0\", action = { kind = \"forward\", target = \"sip:frank@example.com\" } }",
        &["bob"],
    ));
    let call = world.call("sales");
    world.tell(Input::CallerDigit { call, digit: '5' });
    assert!(!world.did(|output| matches!(output, Output::Forward { .. })));
    world.tell(Input::CallerDigit { call, digit: '0' });
    assert!(world.did(|output| matches!(output, Output::Forward { .. })));
    assert!(world.did(|output| matches!(output, Output::Withdraw { .. })));
    world.tell(Input::ForwardEnded { call, connected: true, status: None });
    assert_eq!(world.outcome(call), Some(Outcome::ChoseExit { target: Some(uri("frank")) }));
    world.check();
}
