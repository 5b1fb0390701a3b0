//! Ordinary calls between people: two legs, first answer wins, and everything passes through.

mod offer;
mod ringing;
mod session;
mod target;
mod trunk;

use crate::world::{World, answer_to, in_dialog, in_dialog_of_callee, out_of_dialog, sdp_body, user};
use base::{Duration, TerminationReason};
use engine::EngineEvent;
use sip_api::{ClientTransactionId, Method, Request, Response, ServerTransactionId, SipCommand};

const SDP: &str = "application/sdp";

/// A call of ann, and whoever rings because of it.
struct Call {
    invite: Request,
    transaction: ServerTransactionId,
    rung: Vec<(ClientTransactionId, Request)>,
}

/// A call that stands: the dialogs of both legs.
struct Talk {
    invite: Request,
    ok: Response,
    callee: Request,
    callee_ok: Response,
}

fn invite(target: &str) -> Request {
    out_of_dialog(Method::Invite, target, "ann", "c1").with_body(SDP, sdp_body(30_000))
}

fn place(world: &mut World, invite: Request) -> Call {
    let transaction = world.request(invite.clone(), Some(user("ann")));
    let rung = world.take_requests(&Method::Invite);
    Call { invite, transaction, rung }
}

fn ring(ports: &[u16]) -> (World, Call) {
    let mut world = World::new();
    world.register("bob", ports);
    let call = place(&mut world, invite("sip:bob@example.com"));
    assert_eq!(call.rung.len(), ports.len());
    (world, call)
}

fn talk() -> (World, Talk) {
    let (mut world, call) = ring(&[41_000]);
    let (transaction, callee) = call.rung[0].clone();
    let callee_ok = answer_to(&callee, 200).with_body(SDP, sdp_body(31_000));
    world.respond(transaction, callee_ok.clone());
    let ok = final_response(&mut world, call.transaction);
    assert_eq!(ok.status, 200);
    world.ack(in_dialog(Method::Ack, &call.invite, &ok, 1));
    world.sip.clear();
    (world, Talk { invite: call.invite, ok, callee, callee_ok })
}

impl Talk {
    /// A request of the caller.
    fn caller_sends(&self, method: Method, number: u32) -> Request {
        in_dialog(method, &self.invite, &self.ok, number)
    }

    /// A request of the callee.
    fn callee_sends(&self, method: Method, number: u32) -> Request {
        in_dialog_of_callee(method, &self.callee, &self.callee_ok, number)
    }
}

fn final_response(world: &mut World, transaction: ServerTransactionId) -> Response {
    world.take_responses(transaction).pop().expect("a final response")
}

fn status(world: &mut World, transaction: ServerTransactionId) -> u16 {
    final_response(world, transaction).status
}

fn cancelled(world: &World) -> Vec<(ClientTransactionId, Vec<String>)> {
    let cancel = |command: &SipCommand| match command {
        SipCommand::Cancel { transaction, reason } => Some((*transaction, reason.clone())),
        _ => None,
    };
    world.sip.iter().filter_map(cancel).collect()
}

fn nothing_is_left(world: &mut World) {
    world.pass(Duration::from_secs(200));
    assert_eq!(world.engine.call_count(), 0);
    assert_eq!(world.engine.poll_timeout(), None, "every timer drains");
}
