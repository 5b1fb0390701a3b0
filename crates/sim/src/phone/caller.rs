//! Calling, talking, and hanging up.

use sip_api::{Method, NameAddr, Request, Response, SipUri};

use super::dialog::{Dialog, Kind, Sent, State};
use super::{Action, Cx, Phone, SDP};

impl Phone {
    /// Calls a conference.
    pub(super) fn place_call(&mut self, cx: &mut Cx<'_>, target: &str, digits: Option<&'static str>) {
        let mut invite = self.first_request(cx, Method::Invite, target);
        let offers = !cx.happens(cx.swarm.offerless, 0.3);
        self.ask_for_session_timer(cx, &mut invite);
        let port = self.next_port();
        let mut dialog = Dialog::new(Kind::Audio, invite, true, self.contact(), port);
        dialog.digits = digits;
        dialog.never_acks = cx.happens(cx.swarm.missing_acks, 0.1);
        if offers {
            let description = dialog.description("sendrecv");
            dialog.first = dialog.first.with_body(SDP, description);
        }
        cx.count("call placed");
        let call = self.open(cx, dialog);
        if cx.happens(cx.swarm.caller_cancels, 0.2) {
            let soon = cx.dice.millis(0, 1_500);
            cx.later(soon, Action::Abandon(call));
        }
    }

    /// The first request of a dialog, with credentials unless it will be asked for them.
    pub(super) fn first_request(&mut self, cx: &mut Cx<'_>, method: Method, target: &str) -> Request {
        self.calls += 1;
        let mut request = Request::new(method.clone(), SipUri::parse(target).expect("targets are valid"));
        let from = match &self.account {
            Some(account) => account.to_string(),
            None => format!("sip:{}@elsewhere.example", self.name),
        };
        for (name, value) in [
            ("From", format!("<{from}>;tag=c{}", self.calls)),
            ("To", format!("<{target}>")),
            ("Call-ID", format!("{}-{}", self.name, self.calls)),
            ("CSeq", format!("1 {method}")),
            ("Contact", self.contact()),
            ("Supported", "timer".to_owned()),
            ("Max-Forwards", "70".to_owned()),
        ] {
            request.headers.push(name, value);
        }
        if let Some(account) = self.account.as_ref().filter(|_| cx.dice.chance(0.8)) {
            request.headers.push("Authorization", account.to_string());
        }
        request
    }

    fn ask_for_session_timer(&mut self, cx: &mut Cx<'_>, invite: &mut Request) {
        if cx.happens(cx.swarm.short_sessions, 0.5) {
            let refresher = *cx.dice.pick(&["uac", "uas"]).expect("not empty");
            invite.headers.push("Session-Expires", format!("90;refresher={refresher}"));
        }
    }

    /// Sends the first request of a dialog.
    pub(super) fn open(&mut self, cx: &Cx<'_>, dialog: Dialog) -> String {
        let (call, request) = (dialog.call_id.clone(), dialog.first.clone());
        self.dialogs.insert(call.clone(), dialog);
        self.send(cx, &call, Sent::First, request);
        call
    }

    /// Hangs up before the answer.
    pub(super) fn abandon(&mut self, cx: &mut Cx<'_>, call: &str) {
        let Some(dialog) = self.dialogs.get_mut(call).filter(|dialog| dialog.state == State::Asking) else { return };
        let first = dialog.sent.iter().filter(|(_, (sent, _))| *sent == Sent::First);
        let latest = first.map(|(id, _)| *id).max();
        if dialog.first.method == Method::Invite
            && let Some(id) = latest
        {
            cx.count("caller cancelled");
            dialog.state = State::Over;
            self.stack.cancel(id, Vec::new());
        }
    }

    /// The final response to an INVITE that opens a dialog.
    pub(super) fn on_call_answer(&mut self, cx: &mut Cx<'_>, call: &str, invite: &Request, response: &Response) {
        if response.is_success() {
            return self.on_admitted(cx, call, invite, response);
        }
        if response.status == 401 && self.try_with_credentials(cx, call, invite) {
            return;
        }
        cx.count("call refused");
        self.over(call);
    }

    /// Repeats a challenged request with credentials; false when there are none.
    pub(super) fn try_with_credentials(&mut self, cx: &mut Cx<'_>, call: &str, request: &Request) -> bool {
        let tried = request.headers.get("Authorization").is_some();
        let Some(account) = self.account.as_ref().filter(|_| !tried).map(ToString::to_string) else { return false };
        let Some(dialog) = self.dialogs.get_mut(call).filter(|dialog| dialog.state == State::Asking) else {
            return false;
        };
        cx.count("challenged");
        dialog.cseq += 1;
        let mut again = request.clone();
        again.headers.push("Authorization", account);
        again.headers.set("CSeq", format!("{} {}", dialog.cseq, request.method));
        self.send(cx, call, Sent::First, again);
        true
    }

    /// A 2xx, perhaps once more, perhaps after we hung up.
    fn on_admitted(&mut self, cx: &mut Cx<'_>, call: &str, invite: &Request, response: &Response) {
        let Some(dialog) = self.dialogs.get_mut(call) else { return };
        let begins = dialog.remote.tag().is_none();
        dialog.establish(response);
        if dialog.never_acks {
            if begins && dialog.state == State::Asking {
                dialog.state = State::Up;
            }
            return;
        }
        let mut ack = dialog.ack(invite.cseq().unwrap_or(1));
        if invite.body.is_empty() && !response.body.is_empty() {
            ack = ack.with_body(SDP, dialog.description("sendrecv"));
        }
        let abandoned = dialog.state == State::Over;
        self.stack.send_ack(ack, cx.server);
        if begins && abandoned {
            cx.count("answer crossed caller's CANCEL");
            self.bye(cx, call);
        } else if begins {
            cx.count("call answered");
            self.set_up(cx, call);
        }
    }

    fn set_up(&mut self, cx: &mut Cx<'_>, call: &str) {
        let Some(dialog) = self.dialogs.get_mut(call) else { return };
        dialog.state = State::Up;
        match dialog.kind {
            Kind::Focus => self.work(cx, call),
            _ => self.converse(cx, call),
        }
    }

    /// What people do during a call.
    pub(super) fn converse(&mut self, cx: &mut Cx<'_>, call: &str) {
        let call = call.to_owned();
        let maybe = |cx: &mut Cx<'_>, on: bool, share: f64, most: u64, action: Action| {
            if cx.happens(on, share) {
                let after = cx.dice.millis(0, most);
                cx.later(after, action);
            }
        };
        if cx.closing {
            return maybe(cx, true, 1.0, 5_000, Action::HangUp(call));
        }
        maybe(cx, cx.swarm.hang_ups, 0.6, 90_000, Action::HangUp(call.clone()));
        for direction in ["inactive", "sendrecv", "sendonly", "sendrecv"] {
            maybe(cx, cx.swarm.holds, 0.4, 60_000, Action::Hold(call.clone(), direction));
        }
        for _ in 0..3 {
            maybe(cx, cx.swarm.short_sessions, 0.7, 45_000, Action::Refresh(call.clone()));
        }
        maybe(cx, cx.swarm.refers, 0.3, 40_000, Action::Refer(call.clone()));
        maybe(cx, cx.swarm.vanishing, 0.1, 60_000, Action::Vanish);
        let has_digits = self.dialogs.get(&call).is_some_and(|dialog| dialog.digits.is_some());
        maybe(cx, cx.swarm.digits || has_digits, 0.8, 8_000, Action::Press(call));
    }

    /// Hold, resume.
    pub(super) fn hold(&mut self, cx: &mut Cx<'_>, call: &str, direction: &str) {
        let Some(dialog) = self.dialogs.get_mut(call).filter(|dialog| dialog.may_ask()) else { return };
        let description = dialog.description(direction);
        let reinvite = dialog.request(Method::Invite).with_body(SDP, description);
        cx.count("re-INVITE");
        self.send(cx, call, Sent::Reinvite, reinvite);
    }

    /// Refreshes the session: UPDATE, or a re-INVITE with or without an offer.
    pub(super) fn refresh(&mut self, cx: &mut Cx<'_>, call: &str) {
        let Some(dialog) = self.dialogs.get_mut(call).filter(|dialog| dialog.may_ask()) else { return };
        let update = cx.dice.chance(0.5);
        let mut request = dialog.request(if update { Method::Update } else { Method::Invite });
        if !update && dialog.kind == Kind::Audio && cx.dice.chance(0.5) {
            request = request.with_body(SDP, dialog.description("sendrecv"));
        }
        request.headers.push("Session-Expires", "90;refresher=uac");
        cx.count(if update { "UPDATE" } else { "re-INVITE" });
        self.send(cx, call, if update { Sent::Other } else { Sent::Reinvite }, request);
    }

    pub(super) fn on_reinvite_answer(&mut self, cx: &Cx<'_>, call: &str, reinvite: &Request, response: &Response) {
        let Some(dialog) = self.dialogs.get_mut(call).filter(|_| response.is_success()) else { return };
        let mut ack = dialog.ack(reinvite.cseq().unwrap_or(1));
        if reinvite.body.is_empty() && !response.body.is_empty() {
            ack = ack.with_body(SDP, dialog.description("sendrecv"));
        }
        self.stack.send_ack(ack, cx.server);
    }

    /// "Call this person, too."
    pub(super) fn refer(&mut self, cx: &mut Cx<'_>, call: &str) {
        let Some(person) = cx.dice.pick(cx.people).cloned() else { return };
        let Some(dialog) = self.dialogs.get_mut(call).filter(|dialog| dialog.state == State::Up) else { return };
        let mut refer = dialog.request(Method::Refer);
        refer.headers.push("Refer-To", format!("<{person}>"));
        cx.count("REFER");
        self.send(cx, call, Sent::Other, refer);
    }

    pub(super) fn press(&mut self, cx: &mut Cx<'_>, call: &str) {
        let Some(dialog) = self.dialogs.get(call).filter(|dialog| dialog.state == State::Up) else { return };
        let digits = dialog.digits.unwrap_or("42*#");
        cx.wishes.push(super::Wish::Press(dialog.port, digits));
    }

    /// Ends whatever the call is: BYE, CANCEL, the end of a subscription. A phone that rings waits for the server.
    pub(super) fn hang_up(&mut self, cx: &mut Cx<'_>, call: &str) {
        let Some(dialog) = self.dialogs.get(call) else { return };
        match (dialog.kind, dialog.state) {
            (Kind::Roster, State::Up) => self.end_subscription(cx, call),
            (Kind::Audio | Kind::Focus, State::Up) if dialog.fork.is_some() || !dialog.confirmed => {
                // Which of two answers counts is not known yet, or BYE must wait for the ACK (RFC 3261 15).
                let soon = cx.dice.millis(500, 1_500);
                cx.later(soon, Action::HangUp(call.to_owned()));
            }
            (Kind::Audio | Kind::Focus, State::Up) => {
                cx.count("phone hung up");
                self.bye(cx, call);
            }
            (Kind::Audio | Kind::Focus, State::Asking) => self.abandon(cx, call),
            _ => {}
        }
    }

    fn bye(&mut self, cx: &Cx<'_>, call: &str) {
        let Some(dialog) = self.dialogs.get_mut(call) else { return };
        let bye = dialog.request(Method::Bye);
        dialog.state = State::Over;
        self.send(cx, call, Sent::Other, bye);
    }
}

impl Dialog {
    /// Whether a re-INVITE or UPDATE may be sent.
    fn may_ask(&self) -> bool {
        self.state == State::Up && self.kind != Kind::Roster && NameAddr::tag(&self.remote).is_some()
    }
}
