//! What an operator may write, and what he is told when he may not; hours, with the nights the clocks change.

mod common;

use common::{World, config, order};
use response_group::{Input, ResponseGroup, replay};

const ISSUE: &str = "
[[response_group]]
uri = \"sip:sales@example.com\"
name = \"Sales\"
method = \"parallel\"
participation = \"informal\"
agents = [\"sip:bob@example.com\", \"sip:carol@example.com\"]
alert_time_seconds = 20
[response_group.queue]
timeout_seconds = 120
timeout_action = { kind = \"forward\", target = \"sip:frank@example.com\" }
overflow_threshold = 10
overflow_candidate = \"newest\"
overflow_action = { kind = \"disconnect\" }
";

#[test]
fn the_short_form_is_read_and_survives_the_journal() {
    let read = config(ISSUE);
    assert_eq!(read.validate(), Ok(()));
    assert_eq!(read.groups[0].agent_groups[0].agents.len(), 2);
    let text = serde_json::to_string(&read).expect("it can be written");
    assert_eq!(serde_json::from_str::<response_group::Config>(&text).expect("it can be read"), read);
}

#[test]
fn unknown_keys_are_refused() {
    let text = "uri = \"sip:a@x\"\nagents = []\nring_time = 3";
    assert!(toml::from_str::<ResponseGroup>(text).is_err());
}

/// The keys of the problems of a group with these lines, and of a second group.
fn problems(lines: &str) -> Vec<String> {
    let text = format!(
        "[[response_group]]\nuri = \"sip:one@x\"\n{lines}\n[[response_group]]\nuri = \"sip:two@x\"\nagents = [\"sip:b@x\"]\n"
    );
    let problems = config(&text).validate().err().unwrap_or_default();
    assert!(problems.iter().all(|problem| !problem.remedy.is_empty()));
    problems.into_iter().map(|problem| problem.key).collect()
}

#[test]
fn each_mistake_is_named_by_its_key() {
    let agents = "agents = [\"sip:a@x\"]";
    let cases = [
        (agents.to_owned(), vec![]),
        ("agents = []".to_owned(), vec!["response_group[1].agents"]),
        ("agents = []\nqueue.no_agent_action.kind = \"disconnect\"".to_owned(), vec![]),
        ("agents = [\"sip:a@x\", \"sip:a@x\"]".to_owned(), vec!["response_group[1].agent_group[1].agents[2]"]),
        ("agents = [\"sip:two@x\"]".to_owned(), vec!["response_group[1].agent_group[1].agents[1]"]),
        (format!("{agents}\nalert_time_seconds = 9"), vec!["response_group[1].agent_group[1].alert_time_seconds"]),
        (format!("{agents}\nalert_time_seconds = 181"), vec!["response_group[1].agent_group[1].alert_time_seconds"]),
        (
            format!("{agents}\nqueue.overflow_action = {{ kind = \"group\", target = \"sip:one@x\" }}"),
            vec!["response_group[1].queue.overflow_action"],
        ),
        (
            format!("{agents}\nqueue.timeout_action = {{ kind = \"group\", target = \"sip:nobody@x\" }}"),
            vec!["response_group[1].queue.timeout_action"],
        ),
        (format!("{agents}\ntime_zone = \"Moon/Base\""), vec!["response_group[1].time_zone"]),
        (
            format!("{agents}\nhours = [{{ days = [\"mon\"], from = \"9\", to = \"24:01\" }}]"),
            vec!["response_group[1].hours[1].from", "response_group[1].hours[1].to"],
        ),
        (
            format!(
                "{agents}\nhours = [{{ days = [\"sun\"], from = \"22:00\", to = \"06:00\" }}, \
                 {{ days = [\"mon\"], from = \"05:00\", to = \"12:00\" }}]"
            ),
            vec!["response_group[1].hours[2]"],
        ),
        (
            format!("{agents}\nholidays = [{{ name = \"x\", from = \"2026-12-26\", to = \"2026-12-24\" }}]"),
            vec!["response_group[1].holidays[1]"],
        ),
        (format!("{agents}\nqueue.timeout_seconds = 5"), vec!["response_group[1].queue.timeout_seconds"]),
    ];
    for (lines, expected) in cases {
        assert_eq!(problems(&lines), expected, "{lines}");
    }
}

/// Only whoever configures a running server can write them: 0 seconds would hang up every conversation.
#[test]
fn every_waiting_time_and_bound_has_its_range() {
    let timing = serde_json::to_value(config(ISSUE).timing).expect("an object");
    let names: Vec<String> = timing.as_object().expect("an object").keys().cloned().collect();
    assert_eq!(names.len(), 15);
    let told = |name: &str, value: u32| {
        let written = serde_json::json!({ "groups": [], "timing": { name: value } });
        let read: response_group::Config = serde_json::from_value(written).expect("it can be read");
        read.validate().err().unwrap_or_default()
    };
    for name in &names {
        let problems = told(name, u32::MAX);
        assert_eq!(problems.len(), 1, "{name}");
        assert_eq!((&*problems[0].key, &*problems[0].value), (&*format!("timing.{name}"), "4294967295"));
    }
    let may_be_none = ["machine_answer_millis", "timeout_grace_seconds", "unreachable_delay_seconds"];
    for name in names.iter().filter(|name| !may_be_none.contains(&name.as_str())) {
        assert!(told(name, 0)[0].remedy.starts_with("write a number from "), "{name}");
    }
    assert!(serde_json::from_str::<response_group::Config>(r#"{"groups": [], "foo": 1}"#).is_err());
}

#[test]
fn groups_whose_full_queues_refer_to_each_other_are_refused() {
    let group = |name: &str, next: &str| {
        format!(
            "[[response_group]]\nuri = \"sip:{name}@x\"\nagents = [\"sip:agent@x\"]\n\
             queue.overflow_action = {{ kind = \"group\", target = \"sip:{next}@x\" }}\n"
        )
    };
    let text = format!("{}{}{}", group("a", "b"), group("b", "c"), group("c", "a"));
    let keys: Vec<String> = config(&text).validate().err().unwrap_or_default().into_iter().map(|p| p.key).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| key.ends_with("queue.overflow_action")));
}

/// Whether a call at that second finds the group open.
fn open(lines: &str, unix_seconds: i64) -> bool {
    let text = format!("[[response_group]]\nuri = \"sip:sales@example.com\"\nagents = [\"sip:b@x\"]\n{lines}");
    let mut world = World::new(config(&text));
    world.unix_seconds = unix_seconds;
    world.call("sales");
    world.log.iter().find_map(order).is_some()
}

#[test]
fn hours_hold_in_their_own_zone_also_in_the_nights_the_clocks_change() {
    let zurich = |from: &str, to: &str| {
        format!("time_zone = \"Europe/Zurich\"\nhours = [{{ days = [\"sun\"], from = {from:?}, to = {to:?} }}]")
    };
    // 2026-03-29: at 01:00Z the clocks go from 02:00 to 03:00. 2026-10-25: at 01:00Z they go from 03:00 to 02:00.
    let spring = 1_774_746_000;
    let autumn = 1_792_890_000;
    let cases = [
        ("the minute before the gap", zurich("01:00", "02:00"), spring - 60, true),
        ("the gap is skipped", zurich("02:00", "03:00"), spring, false),
        ("after the gap", zurich("03:00", "04:00"), spring, true),
        ("the hour that comes twice, first", zurich("02:00", "03:00"), autumn - 1_800, true),
        ("the hour that comes twice, again", zurich("02:00", "03:00"), autumn + 1_800, true),
        ("after it", zurich("02:00", "03:00"), autumn + 3_600, false),
        ("over midnight", zurich("22:00", "06:00"), autumn + 86_400 - 3_600, true),
    ];
    for (name, lines, at, expected) in cases {
        assert_eq!(open(&lines, at), expected, "{name}");
    }
}

#[test]
fn holidays_close_a_group_and_cover_their_last_day() {
    let lines = "holidays = [{ name = \"days off\", from = \"2026-12-24\", to = \"2026-12-26\" }]";
    // 2026-12-23T23:59:59Z and on.
    let eve = 1_798_070_399;
    assert!(open(lines, eve));
    assert!(!open(lines, eve + 1));
    assert!(!open(lines, eve + 3 * 86_400));
    assert!(open(lines, eve + 3 * 86_400 + 1));
}

#[test]
fn the_story_of_a_call_says_why_each_agent_was_or_was_not_rung() {
    let mut world = World::new(config(&ISSUE.replace("parallel", "serial")));
    let call = world.call("sales");
    world.refuses("bob", response_group::Refusal::Busy).takes("carol", call).tell(Input::CallerLeft { call });
    let story = response_group::explain(&world.journal, "ref-1").expect("a journal").expect("the call");
    assert_eq!(story.call, call);
    let whys: Vec<Vec<String>> = story
        .lines
        .iter()
        .filter(|line| !line.agents.is_empty())
        .map(|line| line.agents.iter().map(|agent| format!("{:?}", agent.why)).collect())
        .collect();
    assert_eq!(whys.len(), 2);
    assert_eq!(whys[0], ["RingsForThis", "Ready"]);
    assert!(whys[1][0].starts_with("CoolDown") && whys[1][1] == "RingsForThis");
    let told: Vec<&str> = story.lines.iter().map(|line| line.what.as_str()).collect();
    assert!(told[0].starts_with("sip:") && told[0].ends_with("calls sip:sales@example.com"), "{told:?}");
    let rung = "in the order of the list: of 2 ready in the agent group";
    assert!(told.iter().any(|line| line.starts_with(rung)), "{told:?}");
    assert!(told.iter().any(|line| line.ends_with("is over: the phone is busy")), "{told:?}");
    assert_eq!(told.last(), Some(&"the call is over: an agent talked with the caller"));
    assert_eq!(response_group::explain(&world.journal, "unknown").expect("a journal"), None);
}

#[test]
fn a_journal_with_a_gap_is_not_replayed() {
    let mut world = World::new(config(ISSUE));
    world.call("sales");
    world.journal.remove(1);
    assert!(replay(&world.journal).is_err());
    assert!(replay(&[]).is_err());
}
