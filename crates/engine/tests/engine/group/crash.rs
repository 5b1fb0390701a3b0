//! The process dies: whatever it had on the wire is ended or taken up by the next one, at whatever moment it was.

use std::collections::BTreeMap;

use super::taken_up::rings;
use crate::world::groups::{config, dial, ok, parallel, records, request_of, restarted, sales};
use crate::world::{Step, World, answer_to, in_dialog, out_of_dialog, sdp_body, user};
use base::{CallId, Duration, UserUri};
use engine::{
    EngineEvent, GroupCommand, GroupJournal, GroupVisit, Input, ObjectionKind, UserAccount, WireLeg, WireRecord,
};
use mcu_api::McuCommand;
use response_group::{Action, AgentStatus, Config, Confirm, Decision, Entry, Method as Hunt, MonitorMode};
use sip_api::{Method, Request, SipCommand, SipEvent};

pub(super) fn with_key() -> Config {
    let mut group = sales(Hunt::Parallel, &["bob", "cleo"]);
    group.agent_groups[0].confirm = Confirm::Always;
    config(group)
}

fn is_over(record: &GroupJournal) -> bool {
    matches!(record, GroupJournal::Wire(WireRecord::Over { .. }))
}

#[test]
fn what_is_over_is_written_down_and_a_restart_leaves_it_alone() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    let (transaction, invite) = &caller.rung[0];
    world.respond(*transaction, ok(invite));
    world.respond(caller.rung[1].0, answer_to(&caller.rung[1].1, 487));
    world.request(caller.bye(), None);
    world.pass(Duration::from_secs(1));
    let so_far = world.journal.iter().filter(|record| is_over(record)).count();
    assert_eq!(so_far, 2, "the loser and the caller; the winner's BYE has no answer, and may be lost");
    for (transaction, bye) in world.take_requests(&Method::Bye) {
        world.respond(transaction, answer_to(&bye, 200));
    }
    world.pass(Duration::from_secs(120));
    let over = |record: &GroupJournal| match record {
        GroupJournal::Wire(WireRecord::Over { leg }) => Some(leg.clone()),
        _ => None,
    };
    let over: Vec<WireLeg> = world.journal.iter().filter_map(over).collect();
    assert_eq!(over.len(), 3, "the caller, the winner, the loser: {over:?}");
    let after = restarted(&world, config(sales(Hunt::Parallel, &["bob", "cleo"])), &world.journal);
    assert!(after.sip.is_empty(), "{:?}", after.sip);
}

/// A crash long after a call has nothing to take up of it, even if nothing else has happened since.
#[test]
fn what_ended_is_written_down_at_once() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    for (transaction, invite) in &caller.rung {
        world.respond(*transaction, answer_to(invite, 180));
    }
    let over = |world: &World| {
        let is_over = |record: &&GroupJournal| matches!(record, GroupJournal::Wire(WireRecord::Over { .. }));
        world.journal.iter().filter(is_over).count()
    };
    world.request(caller.bye(), None);
    for (transaction, invite) in &caller.rung {
        world.respond(*transaction, answer_to(invite, 487));
    }
    assert_eq!(over(&world), 2, "nothing has come since the last phone's end");
    assert_eq!(world.engine.poll_timeout(), Some(world.now), "so an input is asked for at once");
    world.input(Input::TimerFired);
    assert_eq!(over(&world), 3, "the caller's dialog and both phones");
    assert!(world.engine.poll_timeout().is_none_or(|due| due > world.now), "once");
}

#[test]
fn agents_are_shown_the_same_name_of_a_caller_after_a_restart() {
    let ann = UserAccount {
        uri: user("ann"),
        display_name: Some("Ann Miller".to_owned()),
        location_profile: None,
        number: None,
    };
    let groups = || config(sales(Hunt::Parallel, &["bob"]));
    let mut world = World::with(|directory| directory.add_user(ann));
    world.open_groups(groups(), &[]);
    world.register("bob", &[41_000]);
    let shown =
        |invite: &Request| invite.headers.get("From").is_some_and(|from| from.contains("\"Sales: Ann Miller\""));
    let caller = dial(&mut world, 1);
    assert!(shown(&caller.rung[0].1), "{:?}", caller.rung[0].1);
    for journal in [world.journal.clone(), world.engine.group_checkpoint().expect("there are groups")] {
        let mut after = restarted(&world, groups(), &journal);
        let requests = after.take_requests(&Method::Invite);
        let is_his = |request: &Request| request.call_id() == caller.invite.call_id();
        let (his, repeated): (Vec<_>, Vec<_>) = requests.iter().partition(|(_, request)| is_his(request));
        let [(transaction, reinvite)] = his[..] else { panic!("he is taken up: {requests:?}") };
        after.respond(*transaction, ok(reinvite));
        for (transaction, invite) in repeated {
            after.respond(*transaction, answer_to(invite, 487));
        }
        after.register("bob", &[41_000]);
        after.pass(Duration::from_secs(10));
        let rung = after.take_requests(&Method::Invite);
        assert!(rung.len() == 1 && shown(&rung[0].1), "{rung:?}");
        let third = after.engine.group_checkpoint().expect("there are groups");
        let keeps = |record: &GroupJournal| matches!(record, GroupJournal::Wire(WireRecord::CallerUp { about, .. }) if about.shown.as_ref().is_some_and(|name| name.contains("Ann Miller")));
        assert!(third.iter().any(keeps), "and the process after that: {third:?}");
    }
}

/// From a call's beginning to its end: two phones ring, one answers and presses the key, a supervisor listens, the caller
/// is sent to somebody else, a feature code is dialled.
fn story() -> World {
    let mut world = World::new();
    world.open_groups(with_key(), &[]);
    for (name, port) in [("bob", 41_000), ("cleo", 42_000), ("dave", 43_000), ("mailbox", 44_000)] {
        world.register(name, &[port]);
    }
    let caller = dial(&mut world, 1);
    for (transaction, invite) in &caller.rung {
        world.respond(*transaction, answer_to(invite, 180));
    }
    let (winner, invite) = &caller.rung[0];
    world.respond(*winner, ok(invite));
    let asked = world.mcu.iter().rev().find_map(|command| match command {
        McuCommand::Announce { leg, .. } => Some(*leg),
        _ => None,
    });
    world.digits(asked.expect("he is asked for the key"), "1");
    world.respond(caller.rung[1].0, answer_to(&caller.rung[1].1, 487));
    let watch = GroupCommand::Monitor { call: CallId(1), supervisor: user("dave"), mode: MonitorMode::Listen };
    world.input(Input::Group(watch));
    let (transaction, invite) = rings(&mut world, "dave");
    world.respond(transaction, ok(&invite));
    let target = Action::Forward { target: user("mailbox") };
    world.input(Input::Group(GroupCommand::Transfer { call: CallId(1), target }));
    let (transaction, invite) = rings(&mut world, "mailbox");
    world.respond(transaction, ok(&invite));
    let code = out_of_dialog(Method::Invite, "sip:*55@example.com", "bob", "code")
        .with_body("application/sdp", sdp_body(34_000));
    let transaction = world.request(code.clone(), Some(user("bob")));
    let answer = world.take_responses(transaction).pop().expect("he is answered");
    world.ack(in_dialog(Method::Ack, &code, &answer, 1));
    world.request(caller.bye(), None);
    for (transaction, bye) in world.take_requests(&Method::Bye) {
        world.respond(transaction, answer_to(&bye, 200));
    }
    world.pass(Duration::from_secs(40));
    world.input(Input::GroupCallsStored { calls: vec![CallId(1)] });
    let visits = world.events.iter().filter_map(visit_of).map(|visit| visit.id.clone()).collect();
    world.input(Input::GroupVisitsStored { visits });
    world.input(Input::TimerFired);
    world
}

type Line = (UserUri, CallId, base::ConversationKind, i64);

/// What the store knows a line of a history by.
fn key(line: &base::ConversationEntry) -> Line {
    (line.user.clone(), line.call, line.kind, line.started)
}

/// Agents and what their histories say, as the machine decided over both processes.
fn lines_of_agents(entries: &[Entry]) -> Vec<UserUri> {
    let outputs = response_group::replay(entries).map(|(_, outputs)| outputs).unwrap_or_default();
    let lines = outputs.into_iter().filter_map(|output| match output {
        response_group::Output::History(entry) => Some(entry.agent),
        _ => None,
    });
    lines.collect()
}

/// What a call leaves is in the store once, whether or not the process that died had stored it.
fn check_left(cut: usize, before: &[Step], after: &World, entries: &[Entry], came: bool) {
    let stored = before.iter().any(|step| matches!(step, Step::Written(GroupJournal::Wire(WireRecord::Stored { .. }))));
    let expected = usize::from(came && !stored);
    assert_eq!(records(after).len(), expected, "cut {cut}: one record, unless the store has said that it has it");
    let lines: Vec<Line> =
        after.events.iter().filter_map(line_of).filter(|line| line.errand.is_none()).map(key).collect();
    for user in lines_of_agents(entries).into_iter().chain(came.then(|| user("ann"))) {
        let his = lines.iter().filter(|(owner, ..)| *owner == user).count();
        assert_eq!(his, expected, "cut {cut}: a line for {user}, of {lines:?}");
    }
    let said = |step: &Step| match step {
        Step::Said(event) => line_of(event).filter(|line| line.kind.as_str().starts_with("group_call")).map(key),
        _ => None,
    };
    for line in before.iter().filter_map(said).filter(|_| expected > 0) {
        assert!(lines.contains(&line), "cut {cut}: {line:?} is known as the same line by {lines:?}");
    }
}

fn visit_of(event: &EngineEvent) -> Option<&GroupVisit> {
    match event {
        EngineEvent::GroupVisitEnded { visit, .. } => Some(visit),
        _ => None,
    }
}

/// What a supervisor's call and one to a feature code leave is there once as well, from the moment his phone was to ring or
/// his code was taken.
fn check_visits(cut: usize, before: &[Step], after: &World) {
    let mut owed: BTreeMap<String, GroupVisit> = BTreeMap::new();
    for step in before {
        match step {
            Step::Written(GroupJournal::Wire(WireRecord::Visit { visit })) => {
                owed.insert(visit.id.clone(), (**visit).clone());
            }
            Step::Written(GroupJournal::Wire(WireRecord::VisitsStored { visits })) => {
                visits.iter().for_each(|id| drop(owed.remove(id)));
            }
            _ => {}
        }
    }
    let told: Vec<&GroupVisit> = after.events.iter().filter_map(visit_of).collect();
    assert_eq!(told.len(), owed.len(), "cut {cut}: {told:?}");
    for visit in told {
        let known = &owed[&visit.id];
        assert_eq!((visit.answered, &visit.user), (known.answered, &known.user), "cut {cut}");
        assert!(visit.ended >= visit.since && visit.termination.is_some(), "cut {cut}: {visit:?}");
        assert!(known.termination.is_none() || visit == known, "cut {cut}: how it ended was written down");
        let lines = after.events.iter().filter_map(line_of).filter(|line| line.errand == Some(visit.errand));
        assert_eq!(lines.filter(|line| line.user == visit.user).count(), 1, "cut {cut}: one line for {visit:?}");
    }
    for step in before {
        let Step::Said(event) = step else { continue };
        if let Some(visit) = visit_of(event).filter(|visit| owed.contains_key(&visit.id)) {
            assert_eq!(owed[&visit.id], *visit, "cut {cut}: the next process tells the same");
        }
    }
    let rung = |step: &Step| {
        matches!(step, Step::Sent(SipCommand::Send { request, .. })
        if request.method == Method::Invite && request.uri.user.as_deref() == Some("dave"))
    };
    let stored =
        before.iter().any(|step| matches!(step, Step::Written(GroupJournal::Wire(WireRecord::VisitsStored { .. }))));
    assert!(!before.iter().any(rung) || stored || owed.values().any(|visit| visit.user == user("dave")), "cut {cut}");
}

fn line_of(event: &EngineEvent) -> Option<&base::ConversationEntry> {
    match event {
        EngineEvent::Conversation(line) | EngineEvent::ConversationAgain(line) => Some(line),
        _ => None,
    }
}

/// The Call-IDs of INVITEs that are not over and of dialogs that stand, after these steps.
fn on_the_wire(steps: &[Step]) -> Vec<String> {
    let mut sent = BTreeMap::new();
    let mut received = BTreeMap::new();
    let mut up: BTreeMap<String, ()> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Told(Input::Sip(SipEvent::Request { transaction, request, .. })) => {
                received.insert(*transaction, request.clone());
                if request.method == Method::Bye {
                    up.remove(request.call_id());
                }
            }
            Step::Told(Input::Sip(SipEvent::Response { transaction, response, .. })) => {
                let invite = sent.get(transaction).filter(|request: &&Request| request.method == Method::Invite);
                if let Some(invite) = invite.filter(|_| response.status >= 300) {
                    up.remove(invite.call_id());
                }
            }
            Step::Sent(SipCommand::Send { transaction, request, .. }) => {
                sent.insert(*transaction, request.clone());
                match request.method {
                    Method::Invite => drop(up.insert(request.call_id().to_owned(), ())),
                    Method::Bye => drop(up.remove(request.call_id())),
                    _ => {}
                }
            }
            Step::Sent(SipCommand::Respond { transaction, response }) if response.status == 200 => {
                let invite = received.get(transaction).filter(|request: &&Request| request.method == Method::Invite);
                if let Some(invite) = invite {
                    up.insert(invite.call_id().to_owned(), ());
                }
            }
            _ => {}
        }
    }
    up.into_keys().collect()
}

/// I14 and I17 on the wire: wherever the process dies, the next one says a word to everybody who is left, each agent is
/// free again, and the caller has his outcome.
#[test]
fn whenever_the_process_dies_nobody_is_left_on_the_line() {
    let world = story();
    assert!(on_the_wire(&world.log).is_empty(), "the story ends: {:?}", on_the_wire(&world.log));
    for cut in 0..=world.log.len() {
        let (before, _) = world.log.split_at(cut);
        let written = |step: &Step| match step {
            Step::Written(record) => Some(record.clone()),
            _ => None,
        };
        let journal: Vec<GroupJournal> = before.iter().filter_map(written).collect();
        let mut after = restarted(&world, with_key(), &journal);
        let told: Vec<String> = after
            .sip
            .iter()
            .filter_map(|command| match command {
                SipCommand::Send { request, .. } => Some(request.call_id().to_owned()),
                _ => None,
            })
            .collect();
        for call_id in on_the_wire(before) {
            assert!(told.contains(&call_id), "cut {cut}: {call_id} is left alone; told: {told:?}; {:?}", before.last());
        }
        after.register("bob", &[41_000]);
        after.register("cleo", &[42_000]);
        after.pass(Duration::from_secs(120));
        let load = after.engine.load();
        assert_eq!((load.group_calls, load.group_legs), (0, 0), "cut {cut}: {load:?}");
        if let Some(board) = after.engine.wallboard(after.now) {
            for agent in &board.agents {
                assert_eq!(agent.status, AgentStatus::Free, "cut {cut}: {}", agent.uri);
            }
        }
        // Its outcome is in the journal of one of the two processes.
        let came = journal.iter().any(|record| {
            matches!(record, GroupJournal::Machine(Entry::Told { told: response_group::Input::CallerArrived(_), .. }))
        });
        let machine = |records: &[GroupJournal]| -> Vec<Entry> {
            let entries = records.iter().filter_map(|record| match record {
                GroupJournal::Machine(entry) => Some(entry.clone()),
                GroupJournal::Wire(_) => None,
            });
            entries.collect()
        };
        // What the first one was told decides as it did then, also where its last lines are lost.
        let replayed = response_group::replay(&machine(&journal)).map(|(_, outputs)| outputs).unwrap_or_default();
        let decided = replayed.into_iter().filter_map(|output| match output {
            response_group::Output::Journal(entry) => Some(*entry),
            _ => None,
        });
        let ended = decided
            .chain(machine(&after.journal))
            .filter(|entry| matches!(entry, Entry::Decided { decided: Decision::Ended { .. }, .. }));
        assert_eq!(ended.count(), usize::from(came), "cut {cut}: one outcome for one caller");
        let entries: Vec<Entry> = machine(&journal).into_iter().chain(machine(&after.journal)).collect();
        check_left(cut, before, &after, &entries, came);
        check_visits(cut, before, &after);
    }
}

/// A journal that begins with a checkpoint says the same as the one before it: wherever it is begun, a restart does what it
/// would have done.
#[test]
fn a_new_journal_says_all_that_the_old_one_said() {
    let mut world = World::new();
    world.open_groups(with_key(), &[]);
    world.register("bob", &[41_000]);
    world.input(Input::Group(GroupCommand::SignIn {
        agent: user("bob"),
        signed_in: true,
        group: None,
        agent_group: None,
    }));
    world.input(Input::Group(GroupCommand::Opt { agent: user("cleo"), opted_in: false }));
    let mut later = with_key();
    later.groups[0].name = "Changed at run time".to_owned();
    world.input(Input::Group(GroupCommand::Configure { config: Box::new(later.clone()) }));
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 180));
    let text = |records: &[GroupJournal]| -> Vec<String> {
        records.iter().map(|record| serde_json::to_string(record).expect("it can be written")).collect()
    };
    let begun = text(&world.engine.group_checkpoint().expect("there are groups"));
    let begun: Vec<GroupJournal> = begun.iter().map(|line| serde_json::from_str(line).expect("and read")).collect();
    let sent = |journal: &[GroupJournal]| {
        let after = restarted(&world, with_key(), journal);
        let requests = after.sip.iter().filter_map(|command| match command {
            SipCommand::Send { request, .. } => Some((request.method.clone(), request.call_id().to_owned())),
            _ => None,
        });
        assert_eq!(after.engine.group_config(), Some(&later), "what was changed at run time lasts");
        let board = after.engine.wallboard(after.now).expect("there are groups");
        let agents: Vec<_> = board.agents.iter().map(|agent| (agent.signed_in, agent.opted_in)).collect();
        assert_eq!(agents, [(true, true), (false, false)], "sign-ins and opt-outs last");
        requests.collect::<Vec<_>>()
    };
    assert_eq!(sent(&begun), sent(&world.journal));
    assert!(sent(&begun).len() >= 2, "the phone and the caller");
}

/// The file wins, and says so of each thing that it takes back; of what it says too it does not.
#[test]
fn changes_that_a_changed_file_overrules_are_told_one_by_one() {
    let mut world = World::new();
    world.open_groups(with_key(), &[]);
    let mut now = with_key();
    now.groups[0].name = "Changed at run time".to_owned();
    now.groups[0].language = Some("de".to_owned());
    now.groups[0].queue.timeout_seconds = Some(70);
    now.timing.reattach_seconds += 1;
    let mut more = sales(Hunt::Serial, &["cleo"]);
    more.uri = user("more");
    now.groups.push(more);
    world.input(Input::Group(GroupCommand::Configure { config: Box::new(now) }));
    let mut file = with_key();
    file.groups[0].language = Some("de".to_owned());
    file.groups[0].target_seconds += 1;
    let dropped = |file: Config| -> Vec<(Option<UserUri>, Option<String>)> {
        let after = restarted(&world, file, &world.journal);
        let changes = after.events.iter().filter_map(|event| match event {
            EngineEvent::GroupChangeDropped(change) => Some((change.group.clone(), change.key.clone())),
            _ => None,
        });
        changes.collect()
    };
    let key = |name: &str| Some(name.to_owned());
    let sales = world.engine.group_config().expect("there are groups").groups[0].uri.clone();
    let wanted = [
        (None, key("timing")),
        (Some(user("more")), None),
        (Some(sales.clone()), key("name")),
        (Some(sales), key("queue")),
    ];
    assert_eq!(dropped(file), wanted);
    assert_eq!(dropped(with_key()), [], "the file is the same, so that the changes last");
}

#[test]
fn a_journal_that_cannot_be_replayed_is_no_empty_one() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    world.request(caller.bye(), None);
    let journal = world.journal.split_off(3);
    let refused = World::new().engine.open_groups(world.now, with_key(), &journal).expect_err("half a history is none");
    assert!(refused[0].remedy.contains("move the file away"), "{refused:?}");
}

/// While the journal cannot be written groups take no calls and no changes; what is on the line goes on.
#[test]
fn without_a_journal_groups_refuse_calls() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    world.input(Input::GroupJournal { sound: false });
    let invite = out_of_dialog(Method::Invite, "sip:sales@example.com", "ann", "c2")
        .with_body("application/sdp", sdp_body(30_002));
    let transaction = world.request(invite.clone(), Some(user("ann")));
    let refused = world.take_responses(transaction).pop().expect("he is refused");
    assert_eq!((refused.status, refused.headers.get("Retry-After").is_some()), (503, true));
    let opt = GroupCommand::Opt { agent: user("bob"), opted_in: false };
    assert!(world.engine.group_objection(&opt).is_some_and(|why| why.kind == ObjectionKind::JournalFailed));
    world.respond(caller.rung[0].0, ok(&caller.rung[0].1));
    assert_eq!(world.engine.wallboard(world.now).expect("groups").groups[0].talking, 1);
    world.input(Input::GroupJournal { sound: true });
    assert!(world.engine.group_objection(&opt).is_none());
}

/// The next process counts the requests of a dialog from where no earlier one came, and so does the one after it: a phone takes
/// none of them for a retransmission.
#[test]
fn every_process_has_its_own_numbers_in_a_dialog() {
    let mut first = parallel();
    let groups = || config(sales(Hunt::Parallel, &["bob", "cleo"]));
    dial(&mut first, 1);
    let number = |process: &mut World| -> Vec<u32> {
        // A caller's ports are there again before he is offered them.
        let offers = process.take_requests(&Method::Invite);
        let to_caller = offers.iter().filter(|(_, invite)| invite.call_id() == "c1");
        to_caller.filter_map(|(_, invite)| invite.cseq()).collect()
    };
    let mut second = restarted(&first, groups(), &first.journal);
    let in_second = number(&mut second);
    let journal: Vec<GroupJournal> = first.journal.iter().chain(&second.journal).cloned().collect();
    let mut third = restarted(&second, groups(), &journal);
    let in_third = number(&mut third);
    assert_eq!((in_second.len(), in_third.len()), (1, 1));
    assert!(in_second < in_third, "{in_second:?}, then {in_third:?}");
}

/// Another device of the agent who answered still rings: he is rung for nobody else until it is silent, also when the process
/// died in between.
#[test]
fn after_a_crash_an_agent_is_not_rung_while_a_device_of_his_still_rings() {
    let group = || config(sales(Hunt::Parallel, &["bob"]));
    let mut world = World::new();
    world.open_groups(group(), &[]);
    world.register("bob", &[41_000, 41_002]);
    let caller = dial(&mut world, 1);
    assert_eq!(caller.rung.len(), 2, "both devices");
    for (transaction, invite) in &caller.rung {
        world.respond(*transaction, answer_to(invite, 180));
    }
    world.respond(caller.rung[0].0, ok(&caller.rung[0].1));
    let mut after = restarted(&world, group(), &world.journal);
    after.register("bob", &[41_000, 41_002]);
    for (transaction, bye) in after.take_requests(&Method::Bye) {
        after.respond(transaction, answer_to(&bye, 200));
    }
    let repeated = after.take_requests(&Method::Invite);
    let still = repeated.iter().find(|(_, invite)| invite.call_id() == caller.rung[1].1.call_id());
    let (transaction, invite) = still.expect("the second device's INVITE, to be cancelled").clone();
    let invite_of_next = |world: &mut World| {
        let next = out_of_dialog(Method::Invite, "sip:sales@example.com", "ann", "c2")
            .with_body("application/sdp", sdp_body(30_002));
        world.request(next, Some(user("ann")));
        world.pass(Duration::from_secs(6));
        world.take_requests(&Method::Invite).iter().filter(|(_, invite)| invite.uri.to_string().contains("bob")).count()
    };
    assert_eq!(invite_of_next(&mut after), 0, "his second device still rings");
    after.respond(transaction, answer_to(&invite, 487));
    after.pass(Duration::from_secs(12));
    let rung = after.take_requests(&Method::Invite);
    assert!(rung.iter().any(|(_, invite)| invite.uri.to_string().contains("bob")), "now he is free");
}

/// The second device of an agent answered beside the first: the process that said BYE to it may have died before the BYE
/// arrived.
#[test]
fn a_device_that_answered_too_late_is_said_bye_by_the_next_process_too() {
    let group = || config(sales(Hunt::Parallel, &["bob"]));
    let mut world = World::new();
    world.open_groups(group(), &[]);
    world.register("bob", &[41_000, 41_002]);
    let caller = dial(&mut world, 1);
    let [(first, one), (second, two)] = &caller.rung[..] else { panic!("both devices: {:?}", caller.rung) };
    for (transaction, invite) in [(first, one), (second, two)] {
        world.respond(*transaction, answer_to(invite, 180));
    }
    world.respond(*first, ok(one));
    world.respond(*second, ok(two));
    let (transaction, bye) = request_of(&mut world, &Method::Bye, two.call_id()).expect("nobody wants it");
    let mut after = restarted(&world, group(), &world.journal);
    let (_, again) = request_of(&mut after, &Method::Bye, two.call_id()).expect("the BYE may be lost");
    assert_eq!(again.headers.get("To"), bye.headers.get("To"), "in the same dialog");
    assert!(again.cseq() > bye.cseq());
    assert!(request_of(&mut after, &Method::Invite, two.call_id()).is_none(), "its INVITE is over");
    world.respond(transaction, answer_to(&bye, 200));
    world.input(Input::TimerFired);
    let mut after = restarted(&world, group(), &world.journal);
    assert!(request_of(&mut after, &Method::Bye, two.call_id()).is_none(), "it was answered");
}
