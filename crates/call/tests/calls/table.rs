//! What a leg does in each state with each arrival, as a picture: `tests/golden/leg_table.txt`.
//!
//! Run with `UPDATE_GOLDEN=1` to draw it anew, and read the difference.

use base::{LegId, OfferId, TerminationReason as Why};
use call::{Body, Input, Output, RingMode};
use sip_api::{ClientFailure, ClientTransactionId, Method, Request, ServerTransactionId, SipCommand, SipEvent};

use crate::support::solo::{Peer, Solo, completed, response, responses};
use crate::support::{flow, sdp, seconds};

/// A leg brought into one state, and whatever an arrival needs.
struct Scene {
    solo: Solo,
    leg: LegId,
    offer: Option<OfferId>,
    peer: Option<Peer>,
    invite: Option<(ClientTransactionId, Request)>,
    server: Option<ServerTransactionId>,
}

type Stage = fn() -> Scene;
type Arrival = fn(&mut Scene) -> Option<Vec<Output>>;

const STATES: [(&str, Stage); 9] = [
    ("invited", invited),
    ("answering", answering),
    ("answered", answered),
    ("leaving", leaving),
    ("queued", queued),
    ("calling", calling),
    ("ringing", ringing),
    ("cancelling", cancelling),
    ("connected", connected),
];

const ARRIVALS: [(&str, Arrival); 26] = [
    ("100", |scene| scene.respond(100)),
    ("180", |scene| scene.respond(180)),
    ("200", |scene| scene.respond(200)),
    ("302", |scene| scene.respond(302)),
    ("486", |scene| scene.respond(486)),
    ("no final response", Scene::lost),
    ("CANCEL", Scene::cancel),
    ("ACK", |scene| scene.ack()),
    ("no ACK", Scene::ack_missing),
    ("BYE", |scene| scene.request(Method::Bye, "")),
    ("re-INVITE", |scene| scene.request(Method::Invite, "offer")),
    ("UPDATE", |scene| scene.request(Method::Update, "")),
    ("UPDATE with offer", |scene| scene.request(Method::Update, "offer")),
    ("INFO", |scene| scene.request(Method::Info, "x")),
    ("REFER", |scene| scene.request(Method::Refer, "")),
    ("OPTIONS", |scene| scene.request(Method::Options, "")),
    ("Accept", |scene| scene.input(|leg| Input::Accept { leg, body: Some(sdp("a")), headers: Vec::new() })),
    ("Progress", |scene| scene.input(|leg| Input::Progress { leg, status: 180, body: None, reliable: false })),
    ("Reject", |scene| scene.input(|leg| Input::Reject { leg, status: 486, headers: Vec::new(), body: None })),
    ("Challenge", |scene| scene.input(|leg| Input::Challenge { leg })),
    ("HangUp", |scene| scene.input(hang_up)),
    ("Cancel of the offer", Scene::cancel_offer),
    ("Reoffer", |scene| scene.input(|leg| Input::Reoffer { leg, body: sdp("new") })),
    ("AnswerOffer", |scene| scene.input(|leg| Input::AnswerOffer { leg, body: Some(sdp("new")) })),
    ("SendInfo", |scene| scene.input(|leg| Input::SendInfo { leg, body: Body::new("x/y", "x"), instead: None })),
    ("three minutes", |scene| Some(scene.solo.elapse(seconds(180)))),
];

fn hang_up(leg: LegId) -> Input {
    Input::HangUp { leg, reason: Vec::new(), termination: completed(Why::Booted) }
}

fn scene(solo: Solo, leg: LegId) -> Scene {
    Scene { solo, leg, offer: None, peer: None, invite: None, server: None }
}

fn invited() -> Scene {
    let mut solo = Solo::new();
    let (leg, mut peer, server) = solo.invited("a", |_| {});
    let outputs = solo.input(Input::Progress { leg, status: 180, body: None, reliable: false });
    peer.our_tag = responses(&outputs)[0].1.to_tag();
    Scene { peer: Some(peer), server: Some(server), ..scene(solo, leg) }
}

fn answering() -> Scene {
    let mut solo = Solo::new();
    let (leg, mut peer, server) = solo.invited("a", |_| {});
    let outputs = solo.input(Input::Progress { leg, status: 183, body: Some(sdp("early")), reliable: true });
    peer.our_tag = responses(&outputs)[0].1.to_tag();
    solo.input(Input::Accept { leg, body: Some(sdp("answer")), headers: Vec::new() });
    Scene { peer: Some(peer), server: Some(server), ..scene(solo, leg) }
}

fn answered() -> Scene {
    let mut solo = Solo::new();
    let (leg, peer, server) = solo.accepted("a");
    Scene { peer: Some(peer), server: Some(server), ..scene(solo, leg) }
}

fn leaving() -> Scene {
    let mut before = answered();
    let leg = before.leg;
    before.solo.input(hang_up(leg));
    before
}

fn dialled(mode: RingMode, index: usize) -> Scene {
    let mut solo = Solo::new();
    let (offer, legs, mut invites) = solo.dialled(index + 1, mode, |_| {});
    let invite = if invites.len() > index { Some(invites.remove(index)) } else { None };
    Scene { offer: Some(offer), invite, ..scene(solo, legs[index]) }
}

fn queued() -> Scene {
    dialled(RingMode::Serial { each: seconds(30) }, 1)
}

fn calling() -> Scene {
    dialled(RingMode::Parallel, 0)
}

fn ringing() -> Scene {
    let mut before = calling();
    before.respond(180);
    let (_, invite) = before.invite.as_ref().expect("dialled");
    before.peer = Some(Peer::callee(invite, "b"));
    before
}

fn cancelling() -> Scene {
    let mut before = ringing();
    let leg = before.leg;
    before.solo.input(hang_up(leg));
    before
}

fn connected() -> Scene {
    let mut before = ringing();
    before.respond(200);
    before
}

impl Scene {
    fn respond(&mut self, status: u16) -> Option<Vec<Output>> {
        let (transaction, invite) = self.invite.clone()?;
        Some(self.solo.respond(transaction, response(&invite, status, "b")))
    }

    fn lost(&mut self) -> Option<Vec<Output>> {
        let (transaction, _) = self.invite.clone()?;
        Some(self.solo.sip(SipEvent::Failed { transaction, failure: ClientFailure::Timeout }))
    }

    fn cancel(&mut self) -> Option<Vec<Output>> {
        let transaction = self.server?;
        Some(self.solo.sip(SipEvent::Cancelled { transaction, reason: Vec::new() }))
    }

    fn ack(&mut self) -> Option<Vec<Output>> {
        self.server?;
        let request = self.peer.as_ref()?.ack();
        Some(self.solo.sip(SipEvent::Ack { request, flow: flow() }))
    }

    fn ack_missing(&mut self) -> Option<Vec<Output>> {
        let transaction = self.server?;
        Some(self.solo.sip(SipEvent::AckMissing { transaction }))
    }

    fn request(&mut self, method: Method, body: &str) -> Option<Vec<Output>> {
        let mut request = self.peer.as_mut()?.request(method);
        request.headers.push("Refer-To", "<sip:carol@x>");
        if !body.is_empty() {
            request = request.with_body("application/sdp", body.to_owned());
        }
        Some(self.solo.request(request).1)
    }

    fn input(&mut self, input: impl FnOnce(LegId) -> Input) -> Option<Vec<Output>> {
        Some(self.solo.input(input(self.leg)))
    }

    fn cancel_offer(&mut self) -> Option<Vec<Output>> {
        let offer = self.offer?;
        Some(self.solo.input(Input::Cancel { offer, reason: Vec::new() }))
    }
}

/// An output in a few words.
fn word(output: &Output) -> String {
    match output {
        Output::Sip(SipCommand::Respond { response, .. }) => response.status.to_string(),
        Output::Sip(SipCommand::Challenge { .. }) => "401".to_owned(),
        Output::Sip(SipCommand::Send { request, .. } | SipCommand::SendUnanswered { request, .. }) => {
            request.method.to_string()
        }
        Output::Sip(SipCommand::SendAck { .. }) => "ACK".to_owned(),
        Output::Sip(SipCommand::Cancel { .. }) => "CANCEL".to_owned(),
        Output::OfferFailed { termination, .. } => format!("OfferFailed({})", termination.reason.as_str()),
        Output::Ended { termination, .. } => format!("Ended({})", termination.reason.as_str()),
        other => {
            let text = format!("{other:?}");
            text.split([' ', '{', '(']).next().unwrap_or("").to_owned()
        }
    }
}

fn draw() -> String {
    let mut table = String::from("# state, arrival: outputs -> next state. What changes nothing is left out.\n");
    for (state, stage) in STATES {
        table.push_str(&format!("\n{state}\n"));
        for (name, arrival) in ARRIVALS {
            let mut scene = stage();
            assert_eq!(scene.solo.calls.leg_state(scene.leg), Some(state));
            let Some(outputs) = arrival(&mut scene) else { continue };
            let next = scene.solo.calls.leg_state(scene.leg).unwrap_or("-");
            if outputs.is_empty() && next == state {
                continue;
            }
            let words: Vec<String> = outputs.iter().map(word).collect();
            table.push_str(&format!("  {name:<20} {} -> {next}\n", words.join(" ")));
        }
    }
    table
}

#[test]
fn the_table_of_states_and_arrivals_is_as_drawn() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/leg_table.txt");
    let drawn = draw();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &drawn).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(golden == drawn, "the table changed; look at the difference with UPDATE_GOLDEN=1\n{drawn}");
}
