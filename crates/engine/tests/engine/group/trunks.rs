//! Groups and the telephone network: agents and targets behind a trunk.

use crate::world::groups::{ELSEWHERE, bye_of_callee, cancels, check_drained, config, dial, ok, sales, story};
use crate::world::{World, answer_to, user};
use base::{CallId, Duration, Pii, UserUri};
use engine::{GroupCommand, Input};
use response_group::{Action, Agent, AgentGroup, AgentStatus, Method as Hunt, ResponseGroup};
use sip_api::{ClientTransactionId, Method, Request};

const NUMBER: &str = "tel:+4930123456";

/// The trunk wants to know who calls.
fn challenge(request: &Request) -> sip_api::Response {
    answer_to(request, 407).with_header("Proxy-Authenticate", "Digest realm=\"gw\", nonce=\"n\", qop=\"auth\"")
}

fn world(group: ResponseGroup) -> World {
    let mut world = World::with(|directory| {
        let credentials = call::Credentials { username: "line7".to_owned(), password: Pii::new("sesame") };
        directory.set_trunk_credentials("one".to_owned(), credentials);
    });
    world.open_groups(config(group), &[]);
    world
}

/// The INVITE to the first trunk, once more after its challenge.
fn authorised(
    world: &mut World,
    (transaction, invite): (ClientTransactionId, Request),
) -> (ClientTransactionId, Request) {
    assert_eq!(invite.uri.port, Some(5_070));
    world.respond(transaction, challenge(&invite));
    let (again, invite) = world.take_requests(&Method::Invite).pop().expect("once more");
    assert!(invite.headers.get("Proxy-Authorization").is_some_and(|answer| answer.contains("line7")), "{invite:?}");
    (again, invite)
}

#[test]
fn an_agent_behind_a_trunk_that_challenges_is_rung_with_its_credentials_and_ended_with_them() {
    let mut world = behind_trunks();
    let mut caller = dial(&mut world, 1);
    let (again, invite) = authorised(&mut world, caller.rung.pop().expect("the trunk is asked"));
    world.respond(again, answer_to(&invite, 180));
    world.pass(Duration::from_secs(3));
    world.respond(again, ok(&invite));
    assert_eq!(world.engine.wallboard(world.now).expect("groups").groups[0].talking, 1, "one offer, and no refusal");
    world.request(caller.bye(), None);
    let (transaction, bye) = world.take_requests(&Method::Bye).pop().expect("he is hung up");
    assert!(bye.headers.get("Proxy-Authorization").is_some(), "without a further challenge");
    world.respond(transaction, answer_to(&bye, 200));
}

fn behind_trunks() -> World {
    let agents = vec![Agent::new(UserUri::parse(NUMBER).expect("valid"))];
    let agent_group =
        AgentGroup { method: Hunt::Serial, agents, confirm: response_group::Confirm::Never, ..AgentGroup::default() };
    world(ResponseGroup::new(user("sales"), "Sales", agent_group))
}

fn invites(world: &mut World) -> Vec<(ClientTransactionId, Request)> {
    world.take_requests(&Method::Invite)
}

#[test]
fn an_agent_behind_a_trunk_that_says_nothing_is_rung_by_the_next_one() {
    let mut world = behind_trunks();
    let mut caller = dial(&mut world, 1);
    let (first, silent) = caller.rung.pop().expect("the first trunk");
    assert_eq!(silent.uri.port, Some(5_070));
    world.pass(Duration::from_millis(4_900));
    assert!(invites(&mut world).is_empty());
    world.pass(Duration::from_millis(200));
    let (second, invite) = invites(&mut world).pop().expect("the second trunk");
    assert_eq!(invite.uri.port, Some(5_072));
    assert_eq!(cancels(&mut world).len(), 1, "the first one's INVITE");
    world.respond(second, answer_to(&invite, 180));
    // What the first one says at last is about its INVITE alone.
    world.respond(first, answer_to(&silent, 487));
    world.pass(Duration::from_secs(5));
    world.respond(second, ok(&invite));
    assert_eq!(world.engine.wallboard(world.now).expect("groups").groups[0].talking, 1);
    assert!(story(&world, "c1").iter().all(|line| !line.contains("rung no longer")), "{:?}", story(&world, "c1"));
    world.request(caller.bye(), None);
    check_drained(&mut world);
}

#[test]
fn an_agent_whom_no_trunk_reaches_is_given_up_and_soon_tried_by_a_trunk_that_speaks() {
    let mut world = behind_trunks();
    let caller = dial(&mut world, 1);
    world.pass(Duration::from_millis(5_100));
    let (second, invite) = invites(&mut world).pop().expect("the second trunk");
    world.pass(Duration::from_millis(5_100));
    let told = story(&world, "c1");
    assert!(told.iter().any(|line| line.contains("the phone was not reached")), "{told:?}");
    world.respond(second, answer_to(&invite, 487));
    world.pass(Duration::from_secs(6));
    let (third, invite) = invites(&mut world).pop().expect("tried again");
    assert_eq!(invite.uri.port, Some(5_072), "the first trunk still owes a word about its INVITE");
    world.respond(third, answer_to(&invite, 180));
    let agent = &world.engine.wallboard(world.now).expect("groups").agents[0];
    assert!(matches!(agent.status, AgentStatus::Ringing { .. }), "{agent:?}");
    world.request(caller.bye(), None);
    world.respond(third, answer_to(&invite, 487));
    check_drained(&mut world);
}

#[test]
fn who_leaves_while_the_second_trunk_rings_stops_it() {
    let mut world = behind_trunks();
    let mut caller = dial(&mut world, 1);
    let (first, refused) = caller.rung.pop().expect("the first trunk");
    world.respond(first, answer_to(&refused, 503));
    let (second, invite) = invites(&mut world).pop().expect("the second trunk");
    world.respond(second, answer_to(&invite, 180));
    world.request(caller.bye(), None);
    assert_eq!(cancels(&mut world), [(second, vec![ELSEWHERE.to_owned()])]);
    world.respond(second, answer_to(&invite, 487));
    check_drained(&mut world);
}

/// A forward through a trunk shows the number of the caller, or the operator's; a forward to a user shows the caller himself.
#[test]
fn a_forward_shows_a_trunk_a_number_and_a_user_the_caller() {
    let from = |target: &str, number: Option<&str>| {
        let mut world = World::configured(|config| config.caller_number = number.map(str::to_owned));
        world.open_groups(config(sales(Hunt::Serial, &["bob"])), &[]);
        world.register("bob", &[41_000]);
        world.register("dave", &[43_000]);
        let caller = dial(&mut world, 1);
        world.respond(caller.rung[0].0, ok(&caller.rung[0].1));
        let target = Action::Forward { target: UserUri::parse(target).expect("valid") };
        world.input(Input::Group(GroupCommand::Transfer { call: CallId(1), target }));
        let (_, invite) = world.take_requests(&Method::Invite).pop().expect("the target is called");
        world.request(bye_of_callee(&caller.rung[0].1, &ok(&caller.rung[0].1), 2), None);
        let from = invite.headers.name_addr("From").expect("one").expect("valid");
        (from.uri.user.clone(), invite.uri.port)
    };
    let shown = |user: &str| Some(user.to_owned());
    assert_eq!(from(NUMBER, Some("+4989100")), (shown("+4989100"), Some(5_070)));
    assert_eq!(from("sip:dave@example.com", Some("+4989100")), (shown("ann"), Some(43_000)));
}

/// A supervisor who takes no part cannot be sent away, and one whose phone has not rung yet is told that he is out.
#[test]
fn to_stop_a_supervisor_has_an_outcome() {
    let mut world = World::new();
    world.open_groups(config(sales(Hunt::Serial, &["bob"])), &[]);
    world.register("bob", &[41_000]);
    world.register("dave", &[43_000]);
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, ok(&caller.rung[0].1));
    let stop = GroupCommand::StopMonitor { call: CallId(1), supervisor: user("dave") };
    assert!(world.engine.group_objection(&stop).is_some_and(|why| why.to_string().contains("does not take part")));
    let mode = response_group::MonitorMode::Listen;
    world.input(Input::Group(GroupCommand::Monitor { call: CallId(1), supervisor: user("dave"), mode }));
    assert_eq!(world.engine.group_objection(&stop), None);
    let (transaction, invite) = world.take_requests(&Method::Invite).pop().expect("dave is rung");
    world.respond(transaction, ok(&invite));
    world.input(Input::Group(stop.clone()));
    let gone = |event: &engine::EngineEvent| {
        matches!(event, engine::EngineEvent::GroupSupervisor { state: engine::SupervisorState::Left, .. })
    };
    assert!(world.events.iter().any(gone));
    assert!(world.engine.group_objection(&stop).is_some());
    world.request(caller.bye(), None);
}
