//! Agents of a group: what keeps them from calls, and what they do with the calls they have.

mod world;

use base::UserUri;
use engine::{Directory, GroupCommand, Input};
use response_group::{Action, AgentStatus, AnswerMode, Config, Ineligible, Method as Hunt, ResponseGroup};
use routing::UserProfile;
use sip_api::{Method, Request, Response};
use world::group::{config, dial, ok, sales};
use world::{World, in_dialog, user};

fn open_with(groups: Config, change: impl FnOnce(&mut Directory)) -> World {
    let mut world = World::with(change);
    world.open_groups(groups, &[]);
    world.register("bob", &[41_000]);
    world.register("cleo", &[42_000]);
    world
}

fn status_of(world: &World, name: &str) -> AgentStatus {
    let board = world.engine.wallboard().expect("there are groups");
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
    let mut refer = in_dialog(Method::Refer, invite, answer, number);
    let (from, to) = (invite.headers.get("From").expect("one"), answer.headers.get("To").expect("one"));
    refer.headers.set("From", to);
    refer.headers.set("To", from);
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
        let profile = UserProfile { forward_always: Some(base::Pii::new("sip:sales@example.com")), ..UserProfile::default() };
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
        let told = world.engine.group_objection(&command).unwrap_or_default();
        assert!(told.contains(why), "{told} lacks {why}");
    }
    let good = GroupCommand::Configure { config: Box::new(config(to("sip:cleo@example.com"))) };
    assert_eq!(world.engine.group_objection(&good), None);
}
