//! Agents of a group: what keeps them from calls, and what they do with the calls they have.

use crate::world::groups::{Caller, SDP, cancels, config, dial, ok, sales};
use crate::world::{World, answer_to, in_dialog, in_dialog_of_callee, out_of_dialog, sdp_body, user};
use base::{Duration, UserUri};
use engine::{Directory, GroupCommand, Input};
use response_group::{
    Action, Agent, AgentGroup, AgentStatus, AnswerMode, Config, Ineligible, Method as Hunt, Participation,
    ResponseGroup,
};
use routing::UserProfile;
use sip_api::{Method, Request, Response};

fn open_with(groups: Config, change: impl FnOnce(&mut Directory)) -> World {
    let mut world = World::with(change);
    world.open_groups(groups, &[]);
    world.register("bob", &[41_000]);
    world.register("cleo", &[42_000]);
    world
}

fn status_of(world: &World, name: &str) -> AgentStatus {
    let board = world.engine.wallboard(world.now).expect("there are groups");
    board.agents.into_iter().find(|agent| agent.uri == user(name)).expect("he is an agent").status
}

#[test]
fn what_an_agent_has_set_himself_is_said_as_what_it_is() {
    let cases = [
        (UserProfile { do_not_disturb: true, ..UserProfile::default() }, Ineligible::DoNotDisturb),
        (
            UserProfile { delegates_only: true, delegates: vec![user("dave")], ..UserProfile::default() },
            Ineligible::DelegatesOnly,
        ),
    ];
    for (profile, why) in cases {
        let mut world = open_with(config(sales(Hunt::Parallel, &["bob"])), |directory| {
            directory.set_user_profile(user("bob"), profile);
        });
        assert_eq!(status_of(&world, "bob"), AgentStatus::NotAvailable { why });
        let caller = dial(&mut world, 1);
        assert!(caller.rung.is_empty());
        let profile = Box::new(UserProfile::default());
        world.input(Input::SetUserProfile { user: user("bob"), profile });
        assert_eq!(world.take_requests(&Method::Invite).len(), 1, "he is rung as soon as he may be");
        world.request(caller.bye(), None);
    }
    let mut world = open_with(config(sales(Hunt::Parallel, &["bob"])), |_| {});
    world.register("bob", &[]);
    assert_eq!(status_of(&world, "bob"), AgentStatus::NotAvailable { why: Ineligible::NotRegistered });
}

/// REFER of the agent who answered this INVITE.
fn refer(invite: &Request, answer: &Response, number: u32, target: &str) -> Request {
    let mut refer = in_dialog_of_callee(Method::Refer, invite, answer, number);
    refer.headers.push("Refer-To", format!("<sip:{target}@example.com>"));
    refer
}

#[test]
fn a_transfer_to_another_group_is_reported_to_its_end() {
    let support = ResponseGroup { uri: user("support"), ..sales(Hunt::Serial, &["cleo"]) };
    let groups = Config { groups: vec![sales(Hunt::Serial, &["bob"]), support], ..Config::default() };
    let mut world = open_with(groups, |_| {});
    let caller = dial(&mut world, 1);
    let (transaction, invite) = &caller.rung[0];
    let answer = ok(invite);
    world.respond(*transaction, answer.clone());
    let transaction = world.request(refer(invite, &answer, 1, "support"), None);
    assert_eq!(world.take_responses(transaction)[0].status, 202);
    let said = world.take_bodies(&Method::Notify);
    assert!(said.last().is_some_and(|line| line.starts_with("SIP/2.0 200")), "{said:?}");
    assert_eq!(world.take_requests(&Method::Bye).len(), 1, "bob has done his part");
    let rung = world.take_requests(&Method::Invite);
    assert!(rung.iter().any(|(_, invite)| invite.uri.to_string().contains("cleo")));
    world.request(caller.bye(), None);
}

#[test]
fn a_second_transfer_waits_for_the_first() {
    let mut world = open_with(config(sales(Hunt::Serial, &["bob"])), |_| {});
    world.register("dave", &[43_000]);
    let caller = dial(&mut world, 1);
    let (transaction, invite) = &caller.rung[0];
    let answer = ok(invite);
    world.respond(*transaction, answer.clone());
    let first = world.request(refer(invite, &answer, 1, "dave"), None);
    let second = world.request(refer(invite, &answer, 2, "cleo"), None);
    assert_eq!(world.take_responses(first)[0].status, 202);
    assert_eq!(world.take_responses(second)[0].status, 491);
    let rung = world.take_requests(&Method::Invite);
    assert_eq!(rung.len(), 1);
    world.take_bodies(&Method::Notify);
    world.respond(rung[0].0, ok(&rung[0].1));
    let said = world.take_bodies(&Method::Notify);
    assert!(said.last().is_some_and(|line| line.starts_with("SIP/2.0 200")), "the first has its end: {said:?}");
}

/// What the file may not say may not be said at run time either.
#[test]
fn a_change_at_run_time_is_checked_as_the_file_is() {
    let world = open_with(config(sales(Hunt::Serial, &["bob"])), |directory| {
        let profile =
            UserProfile { forward_always: Some(base::Pii::new("sip:sales@example.com")), ..UserProfile::default() };
        directory.set_user_profile(user("dave"), profile);
    });
    let named = |uri: &str| ResponseGroup { uri: UserUri::parse(uri).expect("valid"), ..sales(Hunt::Serial, &["bob"]) };
    let to = |target: &str| {
        let mut group = sales(Hunt::Serial, &["bob"]);
        let target = UserUri::parse(target).expect("valid");
        group.queue.timeout_action = Action::Forward { target }.into();
        group
    };
    let silent = ResponseGroup {
        answer: AnswerMode::OnAgent,
        welcome: Some("welcome".to_owned()),
        ..sales(Hunt::Serial, &["bob"])
    };
    let cases = [
        (sales(Hunt::Serial, &["zoe"]), "there is no such user"),
        (named("sip:sales@elsewhere.org"), "not of this server's domain"),
        (named("sip:ann@example.com"), "a user has this address"),
        (named("sip:1234@example.com"), "a conference has this number"),
        (to("sip:zoe@example.com"), "there is no such user"),
        (to("sip:dave@example.com"), "leads back to this group"),
        (silent, "ringing only"),
    ];
    for (group, why) in cases {
        let command = GroupCommand::Configure { config: Box::new(config(group)) };
        let told = world.engine.group_objection(&command).expect(why).to_string();
        assert!(told.contains(why), "{told} lacks {why}");
    }
    let good = GroupCommand::Configure { config: Box::new(config(to("sip:cleo@example.com"))) };
    assert_eq!(world.engine.group_objection(&good), None);
}

fn dial_code(world: &mut World, name: &str, code: &str) -> u16 {
    let invite = out_of_dialog(Method::Invite, &format!("sip:{code}@example.com"), name, &format!("{name}-{code}"))
        .with_body(SDP, sdp_body(34_000));
    let transaction = world.request(invite.clone(), Some(user(name)));
    let answer = world.take_responses(transaction).pop().expect("a final answer");
    if answer.status == 200 {
        world.ack(in_dialog(Method::Ack, &invite, &answer, 1));
        assert_eq!(world.take_requests(&Method::Bye).len(), 1, "told, then hung up");
    }
    answer.status
}

fn signed_in_to(world: &World, name: &str) -> Vec<String> {
    let board = world.engine.wallboard(world.now).expect("there are groups");
    let agent = board.agents.into_iter().find(|agent| agent.uri == user(name)).expect("he is an agent");
    agent.signed_in_to.into_iter().map(|(group, agents)| format!("{}/{agents}", group.user_part())).collect()
}

/// Two formal groups, `700` with two agent groups and `sales`.
fn formal() -> Config {
    let formal = |name: &str, agents: &[&str]| AgentGroup {
        name: name.to_owned(),
        participation: Participation::Formal,
        agents: agents.iter().map(|name| Agent::new(user(name))).collect(),
        ..AgentGroup::default()
    };
    let first = ResponseGroup::new(user("sales"), "Sales", formal("agents", &["bob", "cleo"]));
    let mut second = ResponseGroup::new(user("700"), "Support", formal("first", &["bob"]));
    second.agent_groups.push(formal("second", &["bob", "cleo"]));
    Config { groups: vec![first, second], ..Config::default() }
}

#[test]
fn agents_sign_in_to_one_group_or_to_all_by_code() {
    let mut world = open_with(formal(), |_| {});
    assert_eq!(dial_code(&mut world, "bob", "*55700"), 200);
    assert_eq!(signed_in_to(&world, "bob"), ["700/first", "700/second"]);
    let caller = dial(&mut world, 1);
    assert!(caller.rung.is_empty(), "he has not signed in to sales");
    assert_eq!(dial_code(&mut world, "bob", "*55"), 200);
    assert_eq!(world.take_requests(&Method::Invite).len(), 1, "now he has");
    assert_eq!(dial_code(&mut world, "bob", "*56sales"), 200);
    assert_eq!(signed_in_to(&world, "bob"), ["700/first", "700/second"]);
    assert_eq!(dial_code(&mut world, "bob", "*56"), 200);
    assert!(signed_in_to(&world, "bob").is_empty());
    assert_eq!(dial_code(&mut world, "dave", "*55"), 403, "he is no agent");
    assert_eq!(dial_code(&mut world, "ann", "*55700"), 403);
    world.request(caller.bye(), None);
}

#[test]
fn agents_sign_in_to_one_agent_group_by_command() {
    let mut world = open_with(formal(), |_| {});
    let sign_in = |group: Option<&str>, agent_group: Option<&str>| GroupCommand::SignIn {
        agent: user("cleo"),
        signed_in: true,
        group: group.map(user),
        agent_group: agent_group.map(str::to_owned),
    };
    world.input(Input::Group(sign_in(Some("700"), Some("second"))));
    assert_eq!(signed_in_to(&world, "cleo"), ["700/second"]);
    let refused = |world: &World, command| world.engine.group_objection(&command).expect("refused").to_string();
    assert!(refused(&world, sign_in(Some("700"), Some("first"))).contains("no agent of \"first\""));
    assert!(refused(&world, sign_in(Some("nobody"), None)).contains("no agent of sip:nobody@example.com"));
    assert!(refused(&world, sign_in(None, Some("second"))).contains("write group"));
    let old = r#"{"sign_in": {"agent": "sip:cleo@example.com", "signed_in": true}}"#;
    world.input(Input::Group(serde_json::from_str(old).expect("the form without a group is read")));
    assert_eq!(signed_in_to(&world, "cleo"), ["sales/agents", "700/second"]);
}

#[test]
fn an_agent_makes_a_pause_by_code() {
    let mut world = open_with(config(sales(Hunt::Serial, &["bob"])), |_| {});
    assert_eq!(dial_code(&mut world, "bob", "*57"), 200);
    assert!(matches!(status_of(&world, "bob"), AgentStatus::Paused { .. }));
    let caller = dial(&mut world, 1);
    assert!(caller.rung.is_empty());
    assert_eq!(dial_code(&mut world, "bob", "*58"), 200);
    assert_eq!(world.take_requests(&Method::Invite).len(), 1);
    world.request(caller.bye(), None);
}

/// Two devices of one agent, of which the second says nothing at all.
fn with_a_dead_device() -> World {
    let mut world = World::new();
    world.open_groups(config(sales(Hunt::Parallel, &["bob"])), &[]);
    world.register("bob", &[41_000, 41_002]);
    world
}

fn hang_up_first(world: &mut World, caller: &Caller) {
    world.request(caller.bye(), None);
    for (transaction, bye) in world.take_requests(&Method::Bye) {
        world.respond(transaction, answer_to(&bye, 200));
    }
}

#[test]
fn a_device_that_never_said_anything_does_not_keep_its_agent_from_the_next_caller() {
    let mut world = with_a_dead_device();
    let first = dial(&mut world, 1);
    assert_eq!(first.rung.len(), 2);
    let live = first.rung[0].1.uri.clone();
    world.respond(first.rung[0].0, ok(&first.rung[0].1));
    hang_up_first(&mut world, &first);
    assert_eq!(status_of(&world, "bob"), AgentStatus::Free);
    let second = dial(&mut world, 2);
    let rung: Vec<_> = second.rung.iter().map(|(_, invite)| invite.uri.clone()).collect();
    assert_eq!(rung, [live], "the live phone, and not once more the one that is being silenced");
    world.respond(second.rung[0].0, answer_to(&second.rung[0].1, 180));
    world.respond(second.rung[0].0, ok(&second.rung[0].1));
    hang_up_first(&mut world, &second);
    world.pass(Duration::from_secs(70));
    assert_eq!(dial(&mut world, 3).rung.len(), 2, "then it is tried again");
}

#[test]
fn a_device_that_rang_is_silent_before_its_agent_is_rung_for_the_next_caller() {
    let mut world = with_a_dead_device();
    let first = dial(&mut world, 1);
    world.respond(first.rung[1].0, answer_to(&first.rung[1].1, 180));
    world.respond(first.rung[0].0, ok(&first.rung[0].1));
    hang_up_first(&mut world, &first);
    let second = dial(&mut world, 2);
    assert!(second.rung.is_empty(), "his second phone may still ring");
    world.respond(first.rung[1].0, answer_to(&first.rung[1].1, 487));
    world.pass(Duration::from_secs(6));
    assert_eq!(world.take_requests(&Method::Invite).len(), 2);
}

#[test]
fn the_word_of_a_live_device_does_not_wait_for_one_that_says_nothing() {
    let mut world = with_a_dead_device();
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 486));
    assert!(matches!(status_of(&world, "bob"), AgentStatus::Ringing { .. }), "the other one may have its say");
    world.pass(Duration::from_millis(1_100));
    assert!(matches!(status_of(&world, "bob"), AgentStatus::CoolDown { .. }), "{:?}", status_of(&world, "bob"));
    assert_eq!(cancels(&mut world).len(), 1);
    let closed = world.journal.iter().any(|record| format!("{record:?}").contains("reason: Busy"));
    assert!(closed, "it is written down that he was busy");
    world.pass(Duration::from_secs(20));
    let again = world.take_requests(&Method::Invite);
    assert_eq!(again.len(), 1, "the live one is rung again after his pause");
    // Cancelled: the live one says that it has stopped, and nobody waits for the other.
    world.respond(again[0].0, answer_to(&again[0].1, 180));
    world.request(caller.bye(), None);
    world.respond(again[0].0, answer_to(&again[0].1, 487));
    assert_eq!(status_of(&world, "bob"), AgentStatus::Free);
}

#[test]
fn a_caller_who_leaves_sets_an_agent_free_whose_other_device_says_nothing() {
    let mut world = with_a_dead_device();
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 180));
    world.pass(Duration::from_secs(2));
    world.request(caller.bye(), None);
    world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 487));
    assert_eq!(status_of(&world, "bob"), AgentStatus::Free);
    assert_eq!(dial(&mut world, 2).rung.len(), 1);
}

/// RFC 3261 16.7: a 6xx ends the fork, here that of one agent's devices. What else a device says leaves the others ringing.
#[test]
fn who_declines_on_one_device_is_not_rung_on_the_others() {
    for (status, cancelled) in [(603, 1), (600, 1), (486, 0), (302, 0)] {
        let mut world = with_a_dead_device();
        let caller = dial(&mut world, 1);
        for (transaction, invite) in &caller.rung {
            world.respond(*transaction, answer_to(invite, 180));
        }
        world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, status));
        let stopped: Vec<_> = cancels(&mut world).into_iter().map(|(transaction, _)| transaction).collect();
        assert_eq!(stopped.len(), cancelled, "{status}");
        if status == 603 {
            assert_eq!(stopped, [caller.rung[1].0]);
            world.respond(caller.rung[1].0, answer_to(&caller.rung[1].1, 487));
            let written = world.journal.iter().any(|record| format!("{record:?}").contains("reason: Declined"));
            assert!(written, "it is written down that he declined");
        }
        world.request(caller.bye(), None);
    }
}

#[test]
fn agents_may_pass_a_caller_on_as_often_as_they_like() {
    let support = ResponseGroup { uri: user("support"), ..sales(Hunt::Serial, &["cleo"]) };
    let groups = Config { groups: vec![sales(Hunt::Serial, &["bob"]), support], ..Config::default() };
    let mut world = open_with(groups, |_| {});
    let caller = dial(&mut world, 1);
    let mut rung = caller.rung[0].clone();
    for turn in 0..8 {
        let answer = ok(&rung.1);
        world.respond(rung.0, answer.clone());
        let target = if turn % 2 == 0 { "support" } else { "sales" };
        let transaction = world.request(refer(&rung.1, &answer, 1, target), None);
        assert_eq!(world.take_responses(transaction)[0].status, 202);
        world.take_bodies(&Method::Notify);
        let byes = world.take_requests(&Method::Bye);
        assert_eq!(byes.len(), 1, "the agent has done his part, the caller stays: transfer {turn}");
        world.respond(byes[0].0, answer_to(&byes[0].1, 200));
        rung = world.take_requests(&Method::Invite).pop().expect("the next agent is rung");
    }
    world.request(caller.bye(), None);
}
