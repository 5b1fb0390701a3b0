//! A client of C3P: joins the Focus, sends commands by INFO and SERVICE, watches the roster.

use std::collections::BTreeMap;

use base::{Duration, Role};
use c3p::conference_info::{ConferenceInfo, Description};
use c3p::{
    AddUser, Command, ConferenceKeys, DeleteConference, Envelope, FocusUri, JoiningEndpoint, JoiningMethod, Outcome,
    Participant, SessionType,
};
use sip_api::{Method, Request, Response, ServerTransactionId};

use super::dialog::{Dialog, Kind, Sent, State};
use super::orders::Orders;
use super::{Action, C3P, Cx, Phone};
use crate::roster::RosterCopy;

/// The commands of one Focus dialog, and what has been answered.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    /// The conference; `None` in dialogs without C3P.
    pub(super) focus: Option<FocusUri>,
    next: u64,
    states: BTreeMap<u64, CommandState>,
    /// The last dial-out, for sending it again.
    pub(super) last_dial_out: Option<Command>,
    pub(super) endpoints: u64,
    /// The join itself has its verdict, after a wait in the lobby.
    let_in: bool,
}

#[derive(Debug, Default)]
struct CommandState {
    /// 202 came.
    taken: bool,
    verdicts: u32,
}

impl Phone {
    /// Joins a Focus.
    pub(super) fn join(&mut self, cx: &mut Cx<'_>, focus: &FocusUri) {
        let Some(account) = self.account.clone() else { return };
        let invite = self.first_request(cx, Method::Invite, &focus.to_string());
        let port = self.next_port();
        let endpoint = JoiningEndpoint {
            entity: format!("{{device-{port}}}"),
            session_type: Some(SessionType::Focus),
            lobby_capable: Some(true),
            ..no_endpoint()
        };
        let user = Participant {
            entity: account.to_string(),
            display_text: Some(self.name.clone()),
            role: Some(Role::Attendee),
            endpoint: Some(endpoint),
        };
        let add_user = AddUser { conference: focus.to_string(), user, mcu_uri: None };
        let body = document(0, account.as_str(), &focus.to_string(), Command::AddUser(Box::new(add_user)));
        let mut dialog = Dialog::new(Kind::Focus, invite.with_body(C3P, body), true, self.contact(), port);
        dialog.commands.focus = Some(focus.clone());
        cx.count("Focus join");
        self.open(cx, dialog);
    }

    /// The client is in: a day's work.
    pub(super) fn work(&mut self, cx: &mut Cx<'_>, call: &str) {
        let call = call.to_owned();
        if cx.closing {
            return self.hang_up(cx, &call);
        }
        cx.count("Focus joined");
        for _ in 0..cx.dice.between(2, 14) {
            let after = cx.dice.millis(0, 90_000);
            cx.later(after, Action::Command(call.clone()));
        }
        if cx.swarm.subscriptions {
            let after = cx.dice.millis(0, 10_000);
            cx.later(after, Action::Subscribe(call.clone()));
        }
        if cx.happens(cx.swarm.short_sessions, 0.3) {
            let after = cx.dice.millis(0, 40_000);
            cx.later(after, Action::Refresh(call.clone()));
        }
        if cx.happens(cx.swarm.hang_ups, 0.4) {
            let after = cx.dice.millis(0, 120_000);
            cx.later(after, Action::HangUp(call));
        }
    }

    /// Sends some command.
    pub(super) fn command(&mut self, cx: &mut Cx<'_>, call: &str) {
        let roster = self.known_roster();
        let Some(dialog) = self.dialogs.get_mut(call).filter(|dialog| dialog.state == State::Up) else { return };
        let Some(focus) = dialog.commands.focus.clone() else { return };
        let own = self.account.as_ref().map(ToString::to_string).unwrap_or_default();
        let device = format!("{}-{}", self.name, dialog.port);
        let mut orders = Orders { focus, own, device, roster, commands: &mut dialog.commands };
        let Some(command) = orders.some(cx) else { return };
        let dials = matches!(&command, Command::AddUser(add_user) if add_user.is_dial_out());
        if dials {
            dialog.commands.last_dial_out = Some(command.clone());
        }
        if dials && cx.happens(cx.swarm.retries, 0.5) {
            let soon = cx.dice.millis(0, 20_000);
            cx.later(soon, Action::Retry(call.to_owned()));
        }
        self.send_command(cx, call, command);
    }

    /// Sends the last dial-out once more: it must not ring twice.
    pub(super) fn retry(&mut self, cx: &mut Cx<'_>, call: &str) {
        let Some(dialog) = self.dialogs.get(call).filter(|dialog| dialog.state == State::Up) else { return };
        if let Some(command) = dialog.commands.last_dial_out.clone() {
            cx.count("dial-out retried");
            self.send_command(cx, call, command);
        }
    }

    fn send_command(&mut self, cx: &mut Cx<'_>, call: &str, command: Command) {
        let from = self.account.as_ref().map(ToString::to_string).unwrap_or_default();
        let Some(dialog) = self.dialogs.get_mut(call) else { return };
        let Some(focus) = dialog.commands.focus.as_ref().map(ToString::to_string) else { return };
        dialog.commands.next += 1;
        let id = dialog.commands.next;
        dialog.commands.states.insert(id, CommandState::default());
        // A dial-out may wait for its leader's, and each rings for a minute at most; the rest is settled at once.
        let due = if matches!(command, Command::AddUser(_)) { 180 } else { 60 };
        let info = dialog.request(Method::Info).with_body(C3P, document(id, &from, &focus, command));
        cx.later(Duration::from_secs(due), Action::CommandDue(call.to_owned(), id));
        cx.count("command sent");
        self.send(cx, call, Sent::Command(id), info);
    }

    pub(super) fn on_command_taken(&mut self, cx: &mut Cx<'_>, call: &str, id: u64, status: u16) {
        let Some(dialog) = self.dialogs.get_mut(call) else { return };
        let state = dialog.commands.states.entry(id).or_default();
        if status == 202 {
            state.taken = true;
        } else if state.verdicts > 0 {
            cx.broken(format!("{}: command {id} has a verdict but its INFO was answered {status}", self.name));
        }
    }

    /// A command that was taken and whose dialog stands must have its verdict.
    pub(super) fn command_due(&mut self, cx: &mut Cx<'_>, call: &str, id: u64) {
        let Some(dialog) = self.dialogs.get(call).filter(|dialog| dialog.state == State::Up) else { return };
        if dialog.commands.states.get(&id).is_some_and(|state| state.taken && state.verdicts == 0) {
            cx.broken(format!("{}: command {id} of call {call} has no verdict", self.name));
        }
    }

    /// A verdict of the server.
    pub(super) fn on_info(&mut self, cx: &mut Cx<'_>, call: &str, transaction: ServerTransactionId, info: &Request) {
        self.respond(transaction, Response::new(200));
        let Some(dialog) = self.dialogs.get_mut(call) else { return };
        let Ok(response) = c3p::parse_response(&info.body) else {
            return cx.broken(format!("{}: an INFO that is no C3P response", self.name));
        };
        let id = response.envelope.request_id;
        if id == 0 && !dialog.commands.let_in {
            // The join itself: it waited in the lobby.
            dialog.commands.let_in = true;
            return cx.count("lobby decided");
        }
        let Some(state) = dialog.commands.states.get_mut(&id) else {
            return cx.broken(format!("{}: a response to request {id}, which was never made", self.name));
        };
        if state.verdicts > 0 {
            return cx.broken(format!("{}: command {id} is answered again after its verdict", self.name));
        }
        cx.count(match response.outcome {
            Outcome::Pending(_) => return cx.count("command pending"),
            Outcome::Success(_) => "command succeeded",
            Outcome::Failure(_) => "command failed",
        });
        state.verdicts += 1;
    }

    /// A SERVICE to the Focus Factory.
    pub(super) fn factory(&mut self, cx: &mut Cx<'_>) {
        let Some(account) = self.account.clone() else { return };
        let factory = c3p::factory_uri(&account);
        let made = self.scheduled.clone();
        let schedule = |id: String| {
            let mut info = ConferenceInfo::new("", c3p::State::Full);
            info.description = Some(Description { conference_id: Some(id), ..Description::default() });
            info
        };
        let command = match (cx.dice.between(0, 3), cx.dice.pick(&made)) {
            (1, Some(id)) => {
                let keys = ConferenceKeys::ConferenceId(id.clone());
                Command::DeleteConference(DeleteConference { keys })
            }
            (2, _) => Command::GetConferences,
            _ => {
                let id = format!("SIM{:09}", cx.dice.between(0, 999_999_999));
                self.scheduled.push(id.clone());
                Command::AddConference(Box::new(schedule(id)))
            }
        };
        let service = self.first_request(cx, Method::Service, &factory);
        let body = document(self.calls, account.as_str(), &factory, command);
        let port = self.next_port();
        let mut dialog = Dialog::new(Kind::Single, service.with_body(C3P, body), true, self.contact(), port);
        dialog.state = State::Asking;
        cx.count("SERVICE");
        self.open(cx, dialog);
        if let Some(id) = self.scheduled.last().filter(|_| !cx.closing && cx.dice.chance(0.5)) {
            let after = cx.dice.millis(500, 20_000);
            cx.later(after, Action::Call { target: format!("sip:{id}@{}", crate::DOMAIN), digits: None });
        }
    }

    /// The response to a SUBSCRIBE or SERVICE that opens a dialog of its own.
    pub(super) fn on_single_answer(&mut self, cx: &mut Cx<'_>, call: &str, request: &Request, response: &Response) {
        if response.status == 401 && self.try_with_credentials(cx, call, request) {
            return;
        }
        match request.method {
            Method::Subscribe if response.is_success() => {
                if let Some(dialog) = self.dialogs.get_mut(call).filter(|dialog| dialog.state == State::Asking) {
                    dialog.establish(response);
                    dialog.state = State::Up;
                }
                self.on_subscribe_answer(cx, call, response.status);
            }
            Method::Service if response.is_success() => {
                if c3p::parse_response(&response.body).is_err() {
                    cx.broken(format!("{}: a SERVICE is answered with no C3P response", self.name));
                }
                self.over(call);
            }
            _ => self.over(call),
        }
    }

    /// Subscribes to the roster: in the Focus dialog, or in one of its own.
    pub(super) fn subscribe(&mut self, cx: &mut Cx<'_>, call: &str) {
        let Some(dialog) = self.dialogs.get_mut(call).filter(|dialog| dialog.state == State::Up) else { return };
        let Some(focus) = dialog.commands.focus.as_ref().map(ToString::to_string) else { return };
        cx.count("SUBSCRIBE");
        let expires = *cx.dice.pick(&["60", "90", "300", "3600"]).expect("not empty");
        if cx.dice.chance(0.4) {
            dialog.roster = Some(RosterCopy::default());
            let subscribe = with_event(dialog.request(Method::Subscribe), expires);
            return self.send(cx, call, Sent::Subscribe, subscribe);
        }
        let subscribe = with_event(self.first_request(cx, Method::Subscribe, &focus), expires);
        let port = self.next_port();
        let mut dialog = Dialog::new(Kind::Roster, subscribe, true, self.contact(), port);
        dialog.roster = Some(RosterCopy::default());
        self.open(cx, dialog);
    }

    pub(super) fn on_subscribe_answer(&mut self, cx: &mut Cx<'_>, call: &str, status: u16) {
        if (200..300).contains(&status) && !cx.closing {
            let after = cx.dice.millis(10_000, 70_000);
            cx.later(after, Action::Resubscribe(call.to_owned()));
        }
    }

    /// Refreshes a subscription, or ends it.
    pub(super) fn resubscribe(&mut self, cx: &mut Cx<'_>, call: &str) {
        let Some(dialog) = self.dialogs.get_mut(call).filter(|dialog| dialog.is_watching()) else { return };
        let expires = *cx.dice.pick(&["60", "120", "0"]).expect("not empty");
        let subscribe = with_event(dialog.request(Method::Subscribe), expires);
        if let Some(copy) = &mut dialog.roster {
            copy.refreshing = true;
        }
        cx.count("subscription refreshed");
        self.send(cx, call, Sent::Subscribe, subscribe);
    }

    pub(super) fn end_subscription(&mut self, cx: &mut Cx<'_>, call: &str) {
        let Some(dialog) = self.dialogs.get_mut(call).filter(|dialog| dialog.is_watching()) else { return };
        let subscribe = with_event(dialog.request(Method::Subscribe), "0");
        self.send(cx, call, Sent::Other, subscribe);
    }

    /// A roster document, or the end of a subscription.
    pub(super) fn on_notify(
        &mut self,
        cx: &mut Cx<'_>,
        call: &str,
        transaction: ServerTransactionId,
        notify: &Request,
    ) {
        self.respond(transaction, Response::new(200));
        let Some(dialog) = self.dialogs.get_mut(call) else { return };
        if notify.headers.get("Event") != Some("conference") {
            return cx.count("transfer notified");
        }
        cx.count("roster document");
        if let Some(copy) = dialog.roster.as_mut().filter(|copy| copy.over && copy.refreshing) {
            *copy = RosterCopy::default();
        }
        let Some(copy) = dialog.roster.as_mut().filter(|copy| !copy.over) else {
            return cx.broken(format!("{}: a roster document outside a subscription", self.name));
        };
        if !notify.body.is_empty() {
            let applied = match c3p::conference_info::parse(&notify.body) {
                Ok(document) => copy.apply(&document),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = applied {
                cx.broken(format!("{}: {error}", self.name));
            }
        }
        if notify.headers.get("Subscription-State").is_some_and(|state| state.starts_with("terminated")) {
            copy.over = true;
            if dialog.kind == Kind::Roster {
                dialog.state = State::Over;
            }
        }
    }

    fn known_roster(&self) -> Option<RosterCopy> {
        self.dialogs.values().filter_map(|dialog| dialog.roster.clone()).find(|copy| !copy.over && copy.has_begun())
    }
}

impl Dialog {
    fn is_watching(&self) -> bool {
        let alive = self.roster.as_ref().is_some_and(|copy| !copy.over);
        alive && self.remote.tag().is_some() && self.state == State::Up
    }
}

/// An endpoint of which nothing is said.
pub(super) fn no_endpoint() -> JoiningEndpoint {
    JoiningEndpoint {
        entity: String::new(),
        session_type: None,
        endpoint_uri: None,
        refer_to_uri: None,
        on_behalf_of: None,
        joining_method: None::<JoiningMethod>,
        media: Vec::new(),
        lobby_capable: None,
    }
}

fn document(request_id: u64, from: &str, to: &str, command: Command) -> String {
    let envelope = Envelope { request_id, from: from.to_owned(), to: to.to_owned() };
    c3p::Request { envelope, command }.to_xml()
}

fn with_event(mut subscribe: Request, expires: &str) -> Request {
    subscribe.headers.push("Event", "conference");
    subscribe.headers.push("Accept", "application/conference-info+xml");
    subscribe.headers.push("Expires", expires.to_owned());
    subscribe
}
