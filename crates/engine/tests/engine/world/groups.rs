//! Response groups in a world: a group `sales`, its callers, and what became of them.

use base::{ConversationEntry, Duration};
use engine::{EngineEvent, GroupCallRecord, GroupJournal};
use response_group::{Agent, AgentGroup, Config, Entry, Method as Hunt, Outcome, ResponseGroup};
use sip_api::{ClientTransactionId, Method, Request, Response, ServerTransactionId, SipCommand};

use super::{World, answer_to, in_dialog, in_dialog_of_callee, out_of_dialog, sdp_body, user};

pub(crate) const SDP: &str = "application/sdp";
pub(crate) const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

pub(crate) fn sales(method: Hunt, agents: &[&str]) -> ResponseGroup {
    let agents = agents.iter().map(|name| Agent::new(user(name))).collect();
    let agent_group = AgentGroup { method, agents, ..AgentGroup::default() };
    ResponseGroup::new(user("sales"), "Sales", agent_group)
}

pub(crate) fn config(group: ResponseGroup) -> Config {
    Config { groups: vec![group], ..Config::default() }
}

pub(crate) fn parallel() -> World {
    open(sales(Hunt::Parallel, &["bob", "cleo"]))
}

pub(crate) fn open(group: ResponseGroup) -> World {
    let mut world = World::new();
    world.open_groups(config(group), &[]);
    world.register("bob", &[41_000]);
    world.register("cleo", &[42_000]);
    world
}

/// A caller who was answered, and the INVITEs of the agents.
pub(crate) struct Caller {
    pub(crate) invite: Request,
    pub(crate) transaction: ServerTransactionId,
    pub(crate) ok: Response,
    pub(crate) rung: Vec<(ClientTransactionId, Request)>,
}

impl Caller {
    pub(crate) fn bye(&self) -> Request {
        in_dialog(Method::Bye, &self.invite, &self.ok, 2)
    }
}

pub(crate) fn dial(world: &mut World, number: usize) -> Caller {
    let call_id = format!("c{number}");
    let invite =
        out_of_dialog(Method::Invite, "sip:sales@example.com", "ann", &call_id).with_body(SDP, sdp_body(30_000));
    let transaction = world.request(invite.clone(), Some(user("ann")));
    let rung = world.take_requests(&Method::Invite);
    let ok = world.take_responses(transaction).pop().expect("he is answered");
    assert_eq!(ok.status, 200, "callers are answered before they wait");
    world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
    Caller { invite, transaction, ok, rung }
}

pub(crate) fn ok(invite: &Request) -> Response {
    answer_to(invite, 200).with_body(SDP, sdp_body(31_000))
}

pub(crate) fn cancels(world: &mut World) -> Vec<(ClientTransactionId, Vec<String>)> {
    let cancels = world.sip.iter().filter_map(|command| match command {
        SipCommand::Cancel { transaction, reason } => Some((*transaction, reason.clone())),
        _ => None,
    });
    let found = cancels.collect();
    world.sip.retain(|command| !matches!(command, SipCommand::Cancel { .. }));
    found
}

pub(crate) fn acks(world: &World) -> usize {
    world.sip.iter().filter(|command| matches!(command, SipCommand::SendAck { .. })).count()
}

pub(crate) fn outcomes(world: &World) -> Vec<Outcome> {
    let records = world.events.iter().filter_map(|event| match event {
        EngineEvent::GroupCallEnded(record) => Some(record.call.outcome.clone()),
        _ => None,
    });
    records.collect()
}

/// Every request of ours that is not an INVITE is answered, and nothing is left.
pub(crate) fn check_drained(world: &mut World) {
    for (transaction, request) in world.take_requests(&Method::Bye) {
        let ok = answer_to(&request, 200);
        world.respond(transaction, ok);
    }
    world.pass(Duration::from_secs(120));
    let load = world.engine.load();
    assert_eq!((load.group_calls, load.group_legs), (0, 0), "{load:?}");
    assert_eq!((load.calls.legs, load.calls.offers), (0, 0), "{load:?}");
}

/// The lines of a user's history, in the order in which they were written.
pub(crate) fn history(world: &World, name: &str) -> Vec<ConversationEntry> {
    let lines = world.events.iter().filter_map(|event| match event {
        EngineEvent::Conversation(entry) if entry.user == user(name) => Some((**entry).clone()),
        _ => None,
    });
    lines.collect()
}

/// The records of calls that are over.
pub(crate) fn records(world: &World) -> Vec<GroupCallRecord> {
    let records = world.events.iter().filter_map(|event| match event {
        EngineEvent::GroupCallEnded(record) => Some((**record).clone()),
        _ => None,
    });
    records.collect()
}

/// What `explain call` tells of a call.
pub(crate) fn story(world: &World, call: &str) -> Vec<String> {
    let entries = world.journal.iter().filter_map(|record| match record {
        GroupJournal::Machine(entry) => Some(entry.clone()),
        GroupJournal::Wire(_) => None,
    });
    let entries: Vec<Entry> = entries.collect();
    let story = response_group::explain(&entries, call).expect("it can be replayed").expect("it is there");
    story.lines.into_iter().map(|line| line.what).collect()
}

/// A new process on the journal, two seconds later.
pub(crate) fn restarted(world: &World, groups: Config, journal: &[GroupJournal]) -> World {
    let mut after = World::next();
    after.now = world.now + Duration::from_secs(2);
    after.open_groups(groups, journal);
    after
}

/// The one request of a method in a dialog, taken out.
pub(crate) fn request_of(world: &mut World, method: &Method, call_id: &str) -> Option<(ClientTransactionId, Request)> {
    let requests = world.take_requests(method);
    let (mut his, others): (Vec<_>, Vec<_>) =
        requests.into_iter().partition(|(_, request)| request.call_id() == call_id);
    world.put_back(others);
    his.pop()
}

/// A BYE of whoever was called, in the dialog that his answer made.
pub(crate) fn bye_of_callee(invite: &Request, answer: &Response, number: u32) -> Request {
    in_dialog_of_callee(Method::Bye, invite, answer, number)
}
