//! Being called: rings, answers, refuses, forks, redirects, says nothing; and what the server sends in a call.

use sip_api::{Method, NameAddr, Request, Response, ServerTransactionId};

use super::dialog::{Dialog, Kind, State, useless_description};
use super::{Action, Cx, Phone, SDP};

/// How long after its INVITE a phone must not ring any more, in seconds: ring limit, 64*T1 for the CANCEL, and air.
const RINGING_MAX: u64 = 60 + 33 + 7;

/// The same when a person calls: Timer C in place of the ring limit.
const RINGING_FOR_A_PERSON_MAX: u64 = 180 + 33 + 7;

impl Phone {
    /// Somebody calls.
    pub(super) fn on_invite(&mut self, cx: &mut Cx<'_>, transaction: ServerTransactionId, invite: Request) {
        let call = invite.call_id().to_owned();
        self.rings_for_one_group(cx, &invite);
        let port = self.next_port();
        let conference = invite.headers.get("Contact").is_some_and(|contact| contact.contains("isfocus"));
        let limit = if conference { RINGING_MAX } else { RINGING_FOR_A_PERSON_MAX };
        let mut dialog = Dialog::new(Kind::Audio, invite, false, self.contact(), port);
        dialog.state = State::Ringing(transaction);
        self.dialogs.insert(call.clone(), dialog);
        cx.count("phone called");
        cx.later(base::Duration::from_secs(limit), Action::StillRinging(call.clone()));
        if cx.happens(cx.swarm.silent_phones, 0.15) {
            cx.count("phone only sends 100");
            return;
        }
        if cx.happens(cx.swarm.redirects, 0.15) {
            cx.count("redirected");
            let moved = Response::new(302).with_header("Contact", format!("<{}>", cx.elsewhere));
            self.respond(transaction, moved);
            return self.over(&call);
        }
        let soon = cx.dice.millis(0, 3_000);
        if cx.happens(cx.swarm.refusals, 0.3) {
            let status = *cx.dice.pick(&[486, 603, 404, 480, 488, 503, 500, 600]).expect("not empty");
            return cx.later(soon, Action::Refuse(call, status));
        }
        cx.later(soon, Action::Ring(call.clone()));
        if cx.happens(cx.swarm.no_answer, 0.3) {
            cx.count("phone rings out");
            return;
        }
        let ringing = cx.dice.millis(200, 25_000);
        cx.later(soon + ringing, Action::Answer(call));
    }

    /// I2 at the phone itself: it never rings for two offers of response groups.
    fn rings_for_one_group(&self, cx: &mut Cx<'_>, invite: &Request) {
        let offer = |request: &Request| request.headers.get("X-RG-Offer").map(str::to_owned);
        let Some(new) = offer(invite) else { return };
        let ringing = self.dialogs.values().filter(|dialog| matches!(dialog.state, State::Ringing(_)));
        if let Some(known) = ringing.filter_map(|dialog| offer(&dialog.first)).find(|known| *known != new) {
            cx.broken(format!("{} rings for the offers {known} and {new} at once", self.name));
        }
    }

    /// 180, or early media.
    pub(super) fn ring(&mut self, cx: &mut Cx<'_>, call: &str) {
        let Some(dialog) = self.dialogs.get_mut(call) else { return };
        let State::Ringing(transaction) = dialog.state else { return };
        let early = cx.happens(cx.swarm.early_media, 0.4);
        let mut response = dialog.response(if early { 183 } else { 180 });
        if early {
            cx.count("early media");
            response = response.with_body(SDP, dialog.description("sendrecv"));
            if cx.dice.chance(0.5) && dialog.first.headers.has_token("Supported", "100rel") {
                response = response.with_header("Require", "100rel").with_header("RSeq", "1");
            }
        }
        self.respond(transaction, response);
    }

    /// 200, sometimes with a useless answer, sometimes from two devices at once.
    pub(super) fn answer(&mut self, cx: &mut Cx<'_>, call: &str) {
        let contact = self.contact();
        let Some(dialog) = self.dialogs.get_mut(call) else { return };
        let State::Ringing(transaction) = dialog.state else { return };
        dialog.state = State::Up;
        dialog.answered.push(transaction);
        let body = match (cx.happens(cx.swarm.bad_answers, 0.2), cx.dice.chance(0.5)) {
            (true, true) => None,
            (true, false) => Some(useless_description(dialog.port)),
            (false, _) => Some(dialog.description("sendrecv")),
        };
        let answer = |tagged: &NameAddr| {
            let ok = Response::new(200)
                .with_header("To", tagged.to_string())
                .with_header("Contact", contact.as_str())
                .with_header("Allow", "INVITE, ACK, BYE, CANCEL, INFO, UPDATE");
            match &body {
                Some(body) => ok.with_body(SDP, body.clone()),
                None => ok,
            }
        };
        let first = answer(&dialog.local);
        let fork = cx.happens(cx.swarm.forks, 0.3).then(|| fork_of(&dialog.local));
        let second = fork.as_ref().map(answer);
        dialog.fork = fork;
        self.respond(transaction, first);
        cx.count("dial-out answered");
        if let Some(second) = second {
            cx.count("answered twice");
            self.stack.respond_again(transaction, second);
        }
        self.converse(cx, call);
    }

    /// A refusal.
    pub(super) fn refuse(&mut self, cx: &mut Cx<'_>, call: &str, status: u16) {
        let Some(State::Ringing(transaction)) = self.dialogs.get(call).map(|dialog| dialog.state) else { return };
        cx.count("phone refused");
        self.respond(transaction, Response::new(status));
        self.over(call);
    }

    /// The server gives up. Sometimes somebody lifts the receiver at that very moment.
    pub(super) fn on_cancelled(&mut self, cx: &mut Cx<'_>, transaction: ServerTransactionId) {
        let ringing = State::Ringing(transaction);
        self.dialogs.values_mut().filter(|known| known.state == ringing).for_each(|known| known.survivor = false);
        let Some(call) =
            self.dialogs.values().find(|dialog| dialog.state == ringing).map(|known| known.call_id.clone())
        else {
            return;
        };
        if cx.happens(cx.swarm.late_answers, 0.4) {
            cx.count("answered across CANCEL");
            return self.answer(cx, &call);
        }
        cx.count("ringing cancelled");
        self.respond(transaction, Response::new(487));
        self.over(&call);
    }

    /// No phone rings for ever: CANCEL or the answer of another device must have reached it.
    pub(super) fn still_ringing(&mut self, cx: &mut Cx<'_>, call: &str) {
        if self.dialogs.get(call).is_some_and(|dialog| matches!(dialog.state, State::Ringing(_))) {
            cx.broken(format!("{} still rings, call {call}", self.name));
        }
    }

    /// The server hangs up one of our tags.
    pub(super) fn on_bye(&mut self, cx: &mut Cx<'_>, call: &str, transaction: ServerTransactionId, bye: &Request) {
        self.respond(transaction, Response::new(200));
        let Some(dialog) = self.dialogs.get_mut(call) else { return };
        let to = bye.to_tag();
        let fork_tag = dialog.fork.as_ref().and_then(NameAddr::tag).map(str::to_owned);
        if to == fork_tag && fork_tag.is_some() {
            cx.count("fork hung up");
            dialog.fork = None;
            dialog.second = true;
        } else if let Some(fork) = dialog.fork.take().filter(|_| dialog.state == State::Up) {
            cx.count("fork hung up");
            dialog.local = fork;
            dialog.second = true;
        } else {
            self.over(call);
        }
    }

    /// A re-INVITE or UPDATE of the server: a session refresh.
    pub(super) fn on_offer(&mut self, call: &str, transaction: ServerTransactionId, request: &Request) {
        let contact = self.contact();
        let Some(dialog) = self.dialogs.get_mut(call) else { return };
        if dialog.state == State::Over {
            return self.respond(transaction, Response::new(481));
        }
        let invite = request.method == Method::Invite;
        if invite {
            dialog.answered.push(transaction);
        }
        let mut ok = Response::new(200).with_header("Contact", contact);
        if invite || !request.body.is_empty() {
            ok = ok.with_body(SDP, dialog.description("sendrecv"));
        }
        if let Some(interval) = request.headers.get("Session-Expires") {
            ok = ok.with_header("Session-Expires", interval.to_owned());
        }
        self.respond(transaction, ok);
    }

    pub(super) fn on_ack(&mut self, cx: &mut Cx<'_>, ack: &Request) {
        if let Some(dialog) = self.dialogs.get_mut(ack.call_id()) {
            dialog.confirmed = true;
            cx.count("2xx acknowledged");
        }
    }

    pub(super) fn over(&mut self, call: &str) {
        if let Some(dialog) = self.dialogs.get_mut(call) {
            dialog.state = State::Over;
        }
    }

    pub(super) fn next_port(&mut self) -> u16 {
        self.calls += 1;
        self.first_port + 2 * u16::try_from(self.calls % 150).expect("less than 150")
    }
}

/// The same device under another tag.
fn fork_of(local: &NameAddr) -> NameAddr {
    let mut fork = local.clone();
    fork.params.retain(|(name, _)| name != "tag");
    fork.with_tag(&format!("{}fork", local.tag().unwrap_or("")))
}
