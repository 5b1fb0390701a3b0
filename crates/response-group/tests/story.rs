//! The story of a call: what its caller went through is told as it was, and for the reason that was.

mod common;

use common::{World, config, sales, uri};
use response_group::{Action, Input, Refusal, Why};

/// What is told of the first call.
fn told(world: &World) -> Vec<String> {
    let story = response_group::explain(&world.journal, "ref-1").expect("a journal").expect("the call");
    story.lines.into_iter().map(|line| line.what).collect()
}

fn has(told: &[String], wanted: &str) {
    assert!(told.iter().any(|line| line == wanted), "{wanted:?} is not in {told:#?}");
}

const QUESTION: &str = "question = { prompt = \"which\", wait_seconds = 5, answer = [{ digit = \"1\", label = \"bills\" }, { digit = \"2\" }] }";

#[test]
fn questions_are_told_with_the_keys_that_were_pressed() {
    let mut world = World::new(sales(QUESTION, &["bob"]));
    let call = world.call("sales");
    world.tell(Input::CallerDigit { call, digit: '7' }).tell(Input::CallerDigit { call, digit: '1' });
    let told = told(&world);
    has(&told, "the caller is asked \"which\"");
    has(&told, "the caller pressed 7, which is no answer");
    has(&told, "the caller is asked \"which\", attempt 2");
    has(&told, "the caller pressed 1, bills");
}

#[test]
fn a_question_that_nobody_answers_is_told() {
    let mut world = World::new(sales(QUESTION, &["bob"]));
    let call = world.call("sales");
    world.tell(Input::AnnouncementEnded { call }).wait_seconds(5);
    world.tell(Input::AnnouncementEnded { call }).wait_seconds(5);
    let told = told(&world);
    has(&told, "the caller pressed no key in time");
    has(&told, "the caller pressed no key in time; the first answer counts");
    assert_eq!(told.iter().filter(|line| line.contains("no key")).count(), 2, "{told:#?}");
}

#[test]
fn who_goes_to_another_group_is_not_told_to_have_been_hung_up() {
    let mut world = World::bare(config(
        "[[response_group]]\nuri = \"sip:sales@example.com\"\nagents = [\"sip:bob@example.com\"]\n\
         queue.no_agent_action = { kind = \"group\", target = \"sip:help@example.com\" }\n\
         [[response_group]]\nuri = \"sip:help@example.com\"\nagents = [\"sip:carol@example.com\"]\n",
    ));
    world.call("sales");
    world.wait_seconds(1);
    has(&told(&world), "the caller goes to the group sip:help@example.com: no agent was there to take calls");
}

#[test]
fn a_transfer_that_fails_is_told_to_its_end() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    world.takes("bob", call);
    let offer = world.offer("bob");
    world.tell(Input::AgentTransferred { offer, target: Action::Forward { target: uri("frank") }, consulted: false });
    world.tell(Input::ForwardEnded { call, connected: false, status: None }).bridged(call);
    let told = told(&world);
    has(&told, "sip:bob@example.com has the caller sent to sip:frank@example.com");
    has(&told, "sip:frank@example.com is called for the caller");
    has(&told, "sip:frank@example.com was not reached; sip:bob@example.com gets the caller back");
    has(&told, "caller and agent are connected again");
    assert_eq!(told.iter().filter(|line| *line == "caller and agent are connected").count(), 1);
}

#[test]
fn a_forward_is_told_with_who_was_called_and_that_he_answered() {
    let lines = "queue.no_agent_action = { kind = \"forward\", target = \"sip:frank@example.com\" }";
    let mut world = World::bare(sales(lines, &["bob"]));
    let call = world.call("sales");
    world.wait_seconds(1).tell(Input::ForwardEnded { call, connected: true, status: None });
    let told = told(&world);
    has(&told, "sip:frank@example.com is called for the caller");
    has(&told, "sip:frank@example.com answered");
}

#[test]
fn a_silent_phone_is_told_when_it_is_given_up() {
    let mut world = World::new(sales("", &["bob", "carol"]));
    world.call("sales");
    world.rings("carol").wait_seconds(5);
    has(&told(&world), "sip:bob@example.com is rung no longer: the phone did not say that it rings");
}

#[test]
fn an_agent_who_is_paused_for_alerts_that_rang_out_is_told_as_paused() {
    let lines = "alert_time_seconds = 10\npause_after_no_answers = 2\npause_seconds = 100";
    let mut world = World::new(sales(lines, &["bob"]));
    world.call("sales");
    world.rings("bob").wait_seconds(10);
    world.refuses("bob", Refusal::Cancelled).wait_seconds(5);
    has(&told(&world), "sip:bob@example.com is rung no longer: it rang as long as it may");
    world.rings("bob").wait_seconds(10);
    has(&told(&world), "sip:bob@example.com is rung no longer: it rang as long as it may; he is paused for 100 s");
}

#[test]
fn a_holiday_is_told_as_one() {
    let lines = "holidays = [{ name = \"day off\", from = \"2025-06-15\" }]";
    let mut world = World::new(sales(lines, &["bob"]));
    world.call("sales");
    has(&told(&world), "sip:caller1@example.com calls sip:sales@example.com, where it is a holiday");
}

#[test]
fn a_wrong_key_is_told_as_one() {
    let mut world = World::new(sales("confirm = \"always\"", &["bob"]));
    world.call("sales");
    world.rings("bob").answers("bob");
    let offer = world.offer("bob");
    world.tell(Input::OfferConfirmed { offer, accepted: false }).hangs_up("bob");
    let told = told(&world);
    has(&told, "sip:bob@example.com pressed another key");
    assert!(told.iter().any(|line| line.ends_with("the key that takes the call was not pressed")), "{told:#?}");
}

#[test]
fn several_phones_are_rung() {
    let mut world = World::new(sales("", &["bob", "carol"]));
    world.call("sales");
    assert!(told(&world).iter().any(|line| line.ends_with("(offer 2) are rung")));
}

/// A supervisor's command names the call, and whoever gives it has to find it.
#[test]
fn the_wallboard_lists_conversations_with_their_calls() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    let talks = |world: &World| world.domain.snapshot(world.now).groups[0].talks.clone();
    world.wait_seconds(2);
    assert!(talks(&world).is_empty());
    world.takes("bob", call);
    let since = world.now;
    world.wait_seconds(3);
    let there = talks(&world);
    let [talk] = there.as_slice() else { panic!("one conversation: {there:?}") };
    assert_eq!((talk.call, &talk.agent, talk.since), (call, &uri("bob"), since));
    assert_eq!(talk.caller, "sip:caller1@example.com");
    world.tell(Input::CallerLeft { call });
    assert!(talks(&world).is_empty());
}

#[test]
fn whoever_is_hung_up_is_not_told_to_talk() {
    let mut world = World::new(sales("", &["bob"]));
    let call = world.call("sales");
    world.rings("bob").answers("bob").tell(Input::BridgeFailed { call });
    let story = response_group::explain(&world.journal, "ref-1").expect("a journal").expect("the call");
    let line = story.lines.into_iter().rfind(|line| !line.agents.is_empty()).expect("the caller waits again");
    assert_eq!(line.agents[0].why, Why::Draining);
}

#[test]
fn it_is_told_that_settings_changed_meanwhile() {
    let mut world = World::new(sales("", &["bob"]));
    world.call("sales");
    world.tell(Input::Configured { config: Box::new(sales("", &["carol"])) });
    has(&told(&world), "other settings of the groups hold");
}
