//! How calls of a group end that no agent took: what callers hear, how they are hung up, and what a stopping server does.

use crate::world::groups::{SDP, cancels, check_drained, config, dial, ok, open, outcomes, parallel, records, sales};
use crate::world::{World, answer_to, in_dialog, out_of_dialog, sdp_body, user};
use base::{CallId, Duration};
use engine::{EngineEvent, GroupCommand, GroupJournal, Input};
use mcu_api::{Announcement, McuCommand, Phrase, Spoken};
use response_group::{Action, Disposal, Failure, Method as Hunt, MonitorMode, Outcome, Queue, ResponseGroup, Segment};
use sip_api::{Method, Request};

fn said(world: &mut World) -> Vec<Announcement> {
    let said = world.mcu.drain(..).filter_map(|command| match command {
        McuCommand::Announce { announcement, .. } => Some(announcement),
        _ => None,
    });
    said.collect()
}

fn impatient(timeout_action: Disposal) -> World {
    let queue = Queue { timeout_seconds: Some(10), timeout_action, ..Queue::default() };
    open(ResponseGroup { queue, language: Some("de".to_owned()), ..sales(Hunt::Serial, &["bob"]) })
}

#[test]
fn who_waited_too_long_is_told_so_before_his_bye() {
    let phrase = |phrase| Announcement { language: "de".to_owned(), parts: vec![Spoken::Phrase(phrase)] };
    let file = Announcement { language: "de".to_owned(), parts: vec![Spoken::File("sorry.wav".to_owned())] };
    let with = |prompt: &str| Disposal { prompt: Some(prompt.to_owned()), action: Action::Disconnect };
    let cases = [
        (Disposal::default(), vec![phrase(Phrase::NobodyAvailable)]),
        (with("goodbye"), vec![phrase(Phrase::Goodbye)]),
        (with("sorry.wav"), vec![file]),
        (with(""), vec![]),
    ];
    for (disposal, words) in cases {
        let mut world = impatient(disposal);
        let caller = dial(&mut world, 1);
        world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 486));
        world.mcu.clear();
        world.pass(Duration::from_secs(11));
        assert_eq!(said(&mut world), words);
        let byes = world.take_requests(&Method::Bye);
        assert_eq!(byes.len(), 1, "then he is hung up");
        world.put_back(byes);
        assert!(matches!(outcomes(&world)[..], [Outcome::TimedOut { target: None }]));
        check_drained(&mut world);
    }
}

#[test]
fn who_is_sent_elsewhere_hears_the_prompt_before_the_target_is_rung() {
    let forward = Disposal { prompt: Some("forwarding".to_owned()), action: Action::Forward { target: user("cleo") } };
    let mut world = impatient(forward);
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 486));
    world.mcu.clear();
    world.pass(Duration::from_secs(11));
    assert_eq!(said(&mut world)[0].parts, [Spoken::Phrase(Phrase::Forwarding)]);
    let rung = world.take_requests(&Method::Invite);
    assert!(rung.iter().any(|(_, invite)| invite.uri.to_string().contains("cleo")));
    world.request(caller.bye(), None);
}

#[test]
fn a_stopping_server_silences_phones_and_hangs_callers_up_with_a_reason() {
    let mut world = parallel();
    let waiting = dial(&mut world, 1);
    for (transaction, invite) in &waiting.rung {
        world.respond(*transaction, answer_to(invite, 180));
    }
    world.mcu.clear();
    world.input(Input::Stop);
    assert_eq!(cancels(&mut world).len(), 2);
    assert_eq!(said(&mut world)[0].parts, [Spoken::Phrase(Phrase::CallAgain)]);
    let byes = world.take_requests(&Method::Bye);
    assert_eq!(byes.len(), 1);
    assert_eq!(byes[0].1.headers.get("Reason"), Some("SIP;cause=503;text=\"Server stopping\""));
    for (transaction, bye) in byes {
        world.respond(transaction, answer_to(&bye, 200));
    }
    for (transaction, invite) in &waiting.rung {
        world.respond(*transaction, answer_to(invite, 487));
    }
    assert_eq!(outcomes(&world), [Outcome::Failed { why: Failure::Stopping }]);
    let late = out_of_dialog(Method::Invite, "sip:sales@example.com", "ann", "late").with_body(SDP, sdp_body(30_002));
    let transaction = world.request(late, Some(user("ann")));
    let refused = world.take_responses(transaction).pop().expect("refused");
    assert_eq!((refused.status, refused.headers.get("Retry-After").is_some()), (503, true));
    world.input(Input::Stop);
    assert_eq!(world.engine.load().group_legs, 0);

    let mut after = World::new();
    after.now = world.now + Duration::from_secs(2);
    after.open_groups(config(sales(Hunt::Parallel, &["bob", "cleo"])), &world.journal);
    assert!(after.sip.is_empty(), "a restart after an orderly stop finds nothing: {:?}", after.sip);
}

#[test]
fn a_stopping_server_ends_conversations_and_forwarded_calls() {
    let mut world = parallel();
    let talking = dial(&mut world, 1);
    world.respond(talking.rung[0].0, ok(&talking.rung[0].1));
    world.respond(talking.rung[1].0, answer_to(&talking.rung[1].1, 487));
    let sent_on = dial(&mut world, 2);
    world.register("dave", &[43_000]);
    for (transaction, invite) in &sent_on.rung {
        world.respond(*transaction, answer_to(invite, 486));
    }
    let target = Action::Forward { target: user("dave") };
    world.input(Input::Group(GroupCommand::Transfer { call: CallId(2), target }));
    let rung = world.take_requests(&Method::Invite);
    world.respond(rung[0].0, ok(&rung[0].1));
    assert!(world.take_requests(&Method::Bye).is_empty());
    world.input(Input::Stop);
    let mut ended: Vec<String> =
        world.take_requests(&Method::Bye).iter().map(|(_, bye)| bye.call_id().to_owned()).collect();
    ended.sort_unstable();
    let mut all =
        [&talking.invite, &talking.rung[0].1, &sent_on.invite, &rung[0].1].map(|one| one.call_id().to_owned());
    all.sort_unstable();
    assert_eq!(ended, all);
}

/// Whom a supervisor sends elsewhere while he waits: the supervisor hears of it, and record and story say it.
#[test]
fn what_becomes_of_a_supervisors_transfer_is_told() {
    let to = |target: &str| Action::Forward { target: user(target) };
    for (target, status, reached) in [(to("dave"), 200, true), (to("dave"), 486, false)] {
        let mut world = parallel();
        let caller = dial(&mut world, 1);
        world.register("dave", &[43_000]);
        world.pass(Duration::from_secs(1));
        world.input(Input::Group(GroupCommand::Transfer { call: CallId(1), target }));
        assert!(transfers(&world).is_empty(), "nothing is decided");
        let (transaction, invite) = world.take_requests(&Method::Invite).pop().expect("dave is rung");
        let answer = if status == 200 { ok(&invite) } else { answer_to(&invite, status) };
        world.respond(transaction, answer);
        assert_eq!(transfers(&world), [reached]);
        world.request(caller.bye(), None);
        for (transaction, invite) in &caller.rung {
            world.respond(*transaction, answer_to(invite, 487));
        }
        let records = records(&world);
        let is_sent_on = |segment: &Segment| matches!(segment.outcome, Outcome::Transferred { .. });
        assert!(records[0].call.segments.iter().any(is_sent_on));
        assert!(told(&world).iter().any(|line| line.starts_with("a supervisor has the caller sent to")));
    }
}

/// Nothing has happened when a command is refused: the agent is not hung up for a target that is not there.
#[test]
fn a_supervisor_is_told_at_once_what_cannot_be() {
    let mut world = parallel();
    let talking = dial(&mut world, 1);
    world.respond(talking.rung[0].0, ok(&talking.rung[0].1));
    world.respond(talking.rung[1].0, answer_to(&talking.rung[1].1, 487));
    let transfer = |target| GroupCommand::Transfer { call: CallId(1), target };
    let forward = |name: &str| transfer(Action::Forward { target: user(name) });
    let monitor =
        |name: &str| GroupCommand::Monitor { call: CallId(1), supervisor: user(name), mode: MonitorMode::Listen };
    let cases = [
        (transfer(Action::Group { target: user("nosuch") }), "target = sip:nosuch@example.com: no such group"),
        (forward("nobody"), "target = sip:nobody@example.com: there is no such user"),
        (forward("sales"), "target = sip:sales@example.com: this is a response group"),
        (forward("1234"), "target = sip:1234@example.com: this is a conference"),
        (forward("ann"), "target = sip:ann@example.com: he is the caller"),
        (forward("bob"), "target = sip:bob@example.com: he talks in this very call already"),
        (monitor("nobody"), "supervisor = sip:nobody@example.com: there is no such user"),
        (monitor("sales"), "supervisor = sip:sales@example.com: there is no such user"),
        (monitor("ann"), "supervisor = sip:ann@example.com: he is the caller"),
        (monitor("bob"), "supervisor = sip:bob@example.com: he talks in this very call"),
        (
            GroupCommand::Pause { agent: user("bob"), seconds: 86_401 },
            "seconds = 86401: write a number from 0 to 86400",
        ),
    ];
    for (command, why) in cases {
        let told = world.engine.group_objection(&command).expect(why).to_string();
        assert!(told.starts_with(why), "{told} is not {why}");
        world.input(Input::Group(command));
        assert!(world.take_requests(&Method::Bye).is_empty() && world.take_requests(&Method::Invite).is_empty());
    }
    for good in [forward("dave"), monitor("dave"), transfer(Action::Group { target: user("sales") })] {
        assert_eq!(world.engine.group_objection(&good), None);
    }
    world.request(talking.bye(), None);
}

#[test]
fn a_supervisor_hears_that_a_caller_waits_in_another_group() {
    let mut world = World::new();
    let mut groups = config(sales(Hunt::Parallel, &["bob"]));
    groups.groups.push(ResponseGroup { uri: user("support"), ..sales(Hunt::Parallel, &["cleo"]) });
    world.open_groups(groups, &[]);
    dial(&mut world, 1);
    let target = Action::Group { target: user("support") };
    world.input(Input::Group(GroupCommand::Transfer { call: CallId(1), target: target.clone() }));
    assert_eq!(transfers(&world), [true]);
    assert!(told(&world).contains(&"a supervisor has the caller sent to sip:support@example.com".to_owned()));
    // What is refused is told as that, and later news of the call is no answer to it.
    let caller = dial(&mut world, 2);
    world.request(caller.bye(), None);
    world.input(Input::Group(GroupCommand::Transfer { call: CallId(2), target }));
    assert_eq!(transfers(&world), [true]);
}

fn transfers(world: &World) -> Vec<bool> {
    let reached = world.events.iter().filter_map(|event| match event {
        EngineEvent::GroupTransfer { reached, .. } => Some(*reached),
        _ => None,
    });
    reached.collect()
}

/// The story of the first call.
fn told(world: &World) -> Vec<String> {
    let entries = world.journal.iter().filter_map(|record| match record {
        GroupJournal::Machine(entry) => Some(entry.clone()),
        GroupJournal::Wire(_) => None,
    });
    let entries: Vec<_> = entries.collect();
    let story = response_group::explain(&entries, "1").expect("a journal").expect("the call");
    story.lines.into_iter().map(|line| line.what).collect()
}

/// He is rung neither for his own call nor for another one while he calls a group himself.
#[test]
fn an_agent_who_calls_a_group_himself_is_not_rung() {
    let mut world = open(sales(Hunt::Parallel, &["bob"]));
    let own = out_of_dialog(Method::Invite, "sip:sales@example.com", "bob", "own").with_body(SDP, sdp_body(30_002));
    let transaction = world.request(own.clone(), Some(user("bob")));
    let answer = world.take_responses(transaction).pop().expect("he is answered");
    world.ack(in_dialog(Method::Ack, &own, &answer, 1));
    let other = dial(&mut world, 1);
    world.pass(Duration::from_secs(6));
    assert!(other.rung.is_empty() && world.take_requests(&Method::Invite).is_empty(), "he is on the telephone");
    world.request(in_dialog(Method::Bye, &own, &answer, 2), None);
    world.pass(Duration::from_secs(6));
    assert_eq!(world.take_requests(&Method::Invite).len(), 1, "now he is free");
}

#[test]
fn an_agent_who_is_a_target_or_a_supervisor_is_not_rung() {
    for supervises in [false, true] {
        let mut world = open(sales(Hunt::Serial, &["cleo", "bob"]));
        let first = dial(&mut world, 1);
        let (transaction, invite) = &first.rung[0];
        world.respond(*transaction, ok(invite));
        let command = if supervises {
            GroupCommand::Monitor { call: CallId(1), supervisor: user("bob"), mode: MonitorMode::Listen }
        } else {
            GroupCommand::Transfer { call: CallId(1), target: Action::Forward { target: user("bob") } }
        };
        world.input(Input::Group(command));
        let rung = world.take_requests(&Method::Invite);
        world.respond(rung[0].0, ok(&rung[0].1));
        let second = dial(&mut world, 2);
        let to_bob = |invite: &Request| invite.uri.to_string().contains("bob");
        assert!(!second.rung.iter().any(|(_, invite)| to_bob(invite)), "supervises: {supervises}");
        world.request(first.bye(), None);
        let told = world.take_requests(&Method::Bye);
        assert!(told.iter().any(|(_, bye)| bye.call_id() == rung[0].1.call_id()), "he is hung up with the caller");
        for (transaction, invite) in &second.rung {
            world.respond(*transaction, answer_to(invite, 486));
        }
        world.pass(Duration::from_secs(6));
        let next = world.take_requests(&Method::Invite);
        assert!(next.iter().any(|(_, invite)| to_bob(invite)), "now he is free; supervises: {supervises}");
    }
}
