//! C3P in a Focus dialog: `addUser` by INVITE, commands by INFO, verdicts by INFO (c3p.md 2.2, 2.5 to 2.8).

use base::{ConferenceId, EndpointId, LegId, Termination, TerminationReason, UserUri};
use c3p::{AddUser, AddedUser, Command, Diagnostic, FailureReason, Participant, Request, Response, ResponseBody};
use call::{Body, Invitation};
use focus::{JoinFocus, Outcome, Requester};
use sip_api::ServerTransactionId;

use crate::conference::leg::{Leg, LegKind, user_agent};
use crate::control::c3p_command::{Control, Refused, parse_endpoint, parse_user, refused};
use crate::control::roster_document::conference_info;
use crate::event::EngineEvent;
use crate::translate::{bound_met, refusal_status};
use crate::{Engine, Origin, digits};

/// The media type of C3P.
pub(crate) const C3P: &str = "application/cccp+xml";

/// A device that joins the Focus.
struct Joining {
    user: UserUri,
    endpoint: EndpointId,
    display_name: Option<String>,
    /// It understands that it may have to wait.
    lobby_capable: bool,
}

impl Engine {
    /// An INVITE with `addUser`: a device joins the Focus.
    pub(crate) fn join_focus(&mut self, leg: LegId, conference: &ConferenceId, call: &Invitation) {
        let Some(requester) = self.requester(call) else { return self.challenge(leg) };
        if !call.session_timer {
            let headers = vec![("Require".to_owned(), "timer".to_owned())];
            return self.reject_diagnosed(leg, 421, Diagnostic::SessionTimerMissing, headers, None);
        }
        let body = call.body.as_ref().map_or(&[][..], |body| &body.bytes);
        let request = match c3p::parse_request(body) {
            Ok(request) => request,
            Err(error) => {
                let response = error.failure_response();
                return self.reject_diagnosed(leg, 400, error.diagnostic(), Vec::new(), response);
            }
        };
        let join = match self.focus_join(conference, &requester, &request) {
            Ok(join) => join,
            Err(refused) => return self.refuse_focus_join(leg, &request, &refused),
        };
        if !self.activate(conference) {
            return self.refuse_for_want_of_room(leg);
        }
        let Joining { user, endpoint, display_name, lobby_capable } = join;
        let mut entry = Leg::new(conference.clone(), user.clone(), LegKind::FocusDialog, self.now);
        entry.sip = Some(leg);
        entry.user_agent = user_agent(call);
        self.legs.insert(leg, entry);
        let pin = c3p::uri::conference_key(&call.request.uri.to_string()).map(focus::Pin::entered);
        let command = self.command_of(Origin::FocusJoin { leg, request: Box::new(request), waits: false });
        let join = JoinFocus { command, leg, requester, user, endpoint, display_name, pin, lobby_capable };
        self.focus(conference, focus::Input::JoinFocus(join));
    }

    fn focus_join(
        &self,
        conference: &ConferenceId,
        requester: &Requester,
        request: &Request,
    ) -> Result<Joining, Refused> {
        let (Requester::Authenticated(who) | Requester::Unauthenticated(who)) = requester else {
            return Err(refused(FailureReason::Forbidden, Diagnostic::AuthorizationFailed));
        };
        self.check_envelope(conference, who, request)?;
        let add_user = match &request.command {
            Command::AddUser(add_user) => add_user,
            // Nobody here is trusted to vouch for another (c3p.md 2.5).
            Command::EndorseUser(_) => {
                return Err(refused(FailureReason::OtherFailure, Diagnostic::AuthorizationFailed));
            }
            _ => return Err(refused(FailureReason::NotSupported, Diagnostic::AddUserInvalid)),
        };
        self.check_conference_key(conference, &add_user.conference)?;
        let user = parse_user(&add_user.user.entity)?;
        let Some(endpoint) = &add_user.user.endpoint else {
            return Err(refused(FailureReason::RequestMalformed, Diagnostic::EndpointEntityInvalid));
        };
        Ok(Joining {
            user: user.address_of_record(),
            endpoint: parse_endpoint(&endpoint.entity)?,
            display_name: add_user.user.display_text.clone(),
            lobby_capable: endpoint.lobby_capable == Some(true),
        })
    }

    /// What the Focus said to a device that joins.
    ///
    /// In the lobby the INVITE is answered with `pending`, which a client that knows the lobby understands; what a
    /// presenter decides follows by INFO, like every other verdict.
    pub(crate) fn on_focus_join_outcome(&mut self, leg: LegId, request: &Request, outcome: &Outcome, waits: bool) {
        let Command::AddUser(add_user) = &request.command else { return };
        match outcome {
            _ if waits => self.on_info_outcome(leg, request, outcome),
            Outcome::Joined { role, .. } => {
                let user = Participant { role: Some(*role), ..add_user.user.clone() };
                let response = success(request, added(add_user, user));
                self.note_command(request, true);
                self.accept_focus_join(leg, response);
            }
            Outcome::Waiting { .. } => {
                let pending = c3p::Outcome::Pending(request.command.verb());
                self.accept_focus_join(leg, Response::to(&request.envelope, pending).to_xml());
            }
            Outcome::Failure(full) if bound_met(full.reason).is_some() => {
                self.refuse_full_focus(leg, request, full.reason);
                self.drop_leg(leg, Termination::failed(TerminationReason::LimitReached));
            }
            Outcome::Failure(failure) => {
                let refused = refused(
                    failure_reason(failure.reason),
                    failure.diagnostic.map_or(Diagnostic::AuthorizationFailed, diagnostic),
                );
                self.refuse_focus_join(leg, request, &refused);
                self.drop_leg(leg, Termination::failed(TerminationReason::Forbidden));
            }
            Outcome::Pending | Outcome::NeedPin { .. } | Outcome::Done | Outcome::Conference(_) => {}
        }
    }

    fn accept_focus_join(&mut self, leg: LegId, response: String) {
        let contact = self.legs.get(&leg).map(|entry| self.conference_contact(&entry.conference));
        let headers = contact.into_iter().map(|contact| ("Contact".to_owned(), contact)).collect();
        self.call(call::Input::Accept { leg, body: Some(Body::new(C3P, response)), headers });
    }

    fn refuse_focus_join(&mut self, leg: LegId, request: &Request, refused: &Refused) {
        let response = failure(request, refused.reason.clone());
        self.note_command(request, false);
        self.reject_diagnosed(leg, 403, refused.diagnostic, Vec::new(), Some(response));
    }

    /// There is no room: the status is that of a call (486), and since no id of c3p.md 2.10 says so, a warning does.
    fn refuse_full_focus(&mut self, leg: LegId, request: &Request, why: focus::FailureReason) {
        let body = Body::new(C3P, failure(request, failure_reason(why)));
        self.note_command(request, false);
        let (status, headers) = (refusal_status(why), self.warning_of(why));
        self.call(call::Input::Reject { leg, status, headers, body: Some(body) });
    }

    /// The `Warning` of a refusal for want of room (RFC 3261 20.43).
    pub(crate) fn warning_of(&self, why: focus::FailureReason) -> call::ExtraHeaders {
        let warning = |text| ("Warning".to_owned(), format!("399 {} \"{text}\"", self.config.domain));
        bound_met(why).map(warning).into_iter().collect()
    }

    pub(crate) fn reject_diagnosed(
        &mut self,
        leg: LegId,
        status: u16,
        diagnostic: Diagnostic,
        mut headers: call::ExtraHeaders,
        body: Option<String>,
    ) {
        headers.push(self.diagnostic_header(diagnostic));
        let body = body.map(|body| Body::new(C3P, body));
        self.call(call::Input::Reject { leg, status, headers, body });
    }

    /// `ms-diagnostics: ID;reason="text";source="host"` (c3p.md 2.10).
    pub(crate) fn diagnostic_header(&self, diagnostic: Diagnostic) -> (String, String) {
        let name = if diagnostic.is_public() { "ms-diagnostics-public" } else { "ms-diagnostics" };
        let (id, text, source) = (diagnostic.id(), diagnostic.text(), &self.config.domain);
        (name.to_owned(), format!("{id};reason=\"{text}\";source=\"{source}\""))
    }

    /// An INFO in a dialog: a C3P command, when the dialog is a Focus dialog.
    pub(crate) fn on_info(&mut self, sip_leg: LegId, id: ServerTransactionId, body: Option<Body>) {
        let leg = self.conference_leg(sip_leg);
        let kind = self.legs.get(&leg).map(|entry| &entry.kind);
        let is_focus_dialog = matches!(kind, Some(LegKind::FocusDialog));
        let has_audio = matches!(kind, Some(LegKind::Media(_)));
        let Some(body) = body else {
            // RFC 6086 4.2.2: an INFO without a body is a keep-alive of old phones.
            return self.call(call::Input::RespondInfo { id, status: 200, headers: Vec::new() });
        };
        if has_audio && digits::is_digit_body(&body) {
            return self.on_digit_info(leg, id, &body);
        }
        if !is_focus_dialog || !body.content_type.starts_with(C3P) {
            return self.call(call::Input::RespondInfo { id, status: 415, headers: Vec::new() });
        }
        if !self.has_place(leg) {
            // Acknowledged, its verdict might be lost: a client that does not take them is held back before.
            let headers = vec![("Retry-After".to_owned(), "1".to_owned())];
            return self.call(call::Input::RespondInfo { id, status: 503, headers });
        }
        match c3p::parse_request(&body.bytes) {
            Ok(request) => self.run_command(leg, id, request),
            Err(error) => {
                let headers = vec![self.diagnostic_header(error.diagnostic())];
                let answerable = error.failure_response();
                let status = if answerable.is_some() { 202 } else { 400 };
                self.call(call::Input::RespondInfo { id, status, headers });
                if let Some(response) = answerable {
                    self.send_c3p(leg, response);
                }
            }
        }
    }

    /// A key by INFO, from a phone without telephone-events.
    fn on_digit_info(&mut self, leg: LegId, id: ServerTransactionId, body: &Body) {
        let digit = digits::digit_of(body);
        let status = if digit.is_some() { 200 } else { 400 };
        self.call(call::Input::RespondInfo { id, status, headers: Vec::new() });
        if let Some(digit) = digit {
            self.on_digit(leg, digits::Way::Info, digit);
        }
    }

    /// A command is accepted with 202 whatever becomes of it; its verdict is an INFO of ours (c3p.md 2.2). A rule that
    /// refuses it at once is named in the 202.
    fn run_command(&mut self, leg: LegId, id: ServerTransactionId, request: Request) {
        let Some(entry) = self.legs.get(&leg) else { return };
        let (conference, who) = (entry.conference.clone(), entry.peer.clone());
        let checked = self.check_envelope(&conference, &who, &request);
        let control = checked.and_then(|()| self.control_request(&conference, &request.command));
        let refused = control.as_ref().err().map(|refused| self.diagnostic_header(refused.diagnostic));
        self.call(call::Input::RespondInfo { id, status: 202, headers: refused.into_iter().collect() });
        match control {
            Ok(Control::Focus(control)) => {
                if let Some(entry) = self.legs.get_mut(&leg) {
                    entry.backlog.owe();
                }
                let command = self.command_of(Origin::Info { leg, request: Box::new(request) });
                let requester = Requester::Participant(leg);
                self.focus(&conference, focus::Input::Command { command, requester, request: control });
            }
            Ok(Control::DialIn(body)) => {
                self.note_command(&request, true);
                self.send_c3p(leg, success(&request, body));
            }
            Err(refused) => {
                self.note_command(&request, false);
                self.send_c3p(leg, failure(&request, refused.reason));
            }
        }
    }

    /// The Focus's verdict on a command, for who sent it.
    pub(crate) fn on_info_outcome(&mut self, leg: LegId, request: &Request, outcome: &Outcome) {
        let mut instead = None;
        let response = match outcome {
            // Said again and again, it must not take the place of a verdict.
            Outcome::Pending | Outcome::NeedPin { .. } | Outcome::Waiting { .. } if !self.has_place(leg) => return,
            Outcome::Pending | Outcome::NeedPin { .. } | Outcome::Waiting { .. } => {
                let pending = c3p::Outcome::Pending(request.command.verb());
                return self.send_c3p(leg, Response::to(&request.envelope, pending).to_xml());
            }
            Outcome::Failure(failed) => {
                let details = failure_details(failed);
                let failed =
                    c3p::Failure { verb: request.command.verb(), reason: failure_reason(failed.reason), details };
                Response::to(&request.envelope, c3p::Outcome::Failure(failed)).to_xml()
            }
            Outcome::Joined { .. } | Outcome::Done | Outcome::Conference(_) => match self.answer(leg, request, outcome)
            {
                Some(body) => {
                    // A whole conference may be longer than a datagram; any other answer is short.
                    instead = matches!(outcome, Outcome::Conference(_)).then(|| too_long(request));
                    success(request, body)
                }
                None => failure(request, FailureReason::NotSupported),
            },
        };
        self.note_command(request, !matches!(outcome, Outcome::Failure(_)));
        self.send_c3p_or(leg, response, instead);
    }

    fn answer(&self, leg: LegId, request: &Request, outcome: &Outcome) -> Option<ResponseBody> {
        let conference = &self.legs.get(&leg)?.conference;
        let focus = Self::focus_uri(self.directory.conference(conference)?);
        Some(match (&request.command, outcome) {
            (Command::AddUser(add_user), Outcome::Joined { role, .. }) => {
                added(add_user, Participant { role: Some(*role), ..add_user.user.clone() })
            }
            (Command::GetConference(_), Outcome::Conference(roster)) => {
                ResponseBody::GetConference(Box::new(conference_info(&focus, roster, self.config.unix_start_ms)))
            }
            (Command::DeleteUser(_), _) => ResponseBody::DeleteUser,
            (Command::ModifyUserRoles(_), _) => ResponseBody::ModifyUserRoles,
            (Command::ModifyConferenceLock(_), _) => ResponseBody::ModifyConferenceLock,
            (Command::ModifyEndpointMedia(_), _) => ResponseBody::ModifyEndpointMedia,
            (Command::SetLobbyAccess(_), _) => ResponseBody::SetLobbyAccess,
            (Command::ModifyUsersMediaFilters(_), _) => ResponseBody::ModifyUsersMediaFilters,
            (Command::ModifyEndpoint(_), _) => ResponseBody::ModifyEndpoint,
            (Command::DeleteEndpoint(_), _) => ResponseBody::DeleteEndpoint,
            (Command::DeleteEndpointMedia(_), _) => ResponseBody::DeleteEndpointMedia,
            (Command::ModifyConference(_), _) => ResponseBody::ModifyConference(None),
            (Command::DeleteConference(_), _) => {
                let info = c3p::conference_info::ConferenceInfo::new(focus.to_string(), c3p::State::Deleted);
                ResponseBody::DeleteConference(Some(Box::new(info)))
            }
            _ => return None,
        })
    }

    fn send_c3p(&mut self, leg: LegId, response: String) {
        self.send_c3p_or(leg, response, None);
    }

    /// Sends a response, or another one when it is too long for the way to the client.
    fn send_c3p_or(&mut self, leg: LegId, response: String, instead: Option<String>) {
        if let Some((sip, entry)) = self.legs.get_mut(&leg).and_then(|entry| Some((entry.sip?, entry))) {
            entry.backlog.sent();
            let (body, instead) = (Body::new(C3P, response), instead.map(|instead| Body::new(C3P, instead)));
            self.call(call::Input::SendInfo { leg: sip, body, instead });
        }
    }

    /// The client has taken a C3P response, or cannot.
    pub(crate) fn on_c3p_answered(&mut self, sip_leg: LegId) {
        let leg = self.conference_leg(sip_leg);
        if let Some(entry) = self.legs.get_mut(&leg) {
            entry.backlog.answered();
        }
    }

    /// Whether the call machine has a place for one more response to this client.
    fn has_place(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|entry| entry.backlog.has_place(self.config.call.infos_waiting))
    }

    pub(crate) fn note_command(&mut self, request: &Request, success: bool) {
        self.event(EngineEvent::Command { command: request.command.verb().as_str(), success });
    }
}

fn added(add_user: &AddUser, user: Participant) -> ResponseBody {
    let conference = add_user.conference.clone();
    ResponseBody::AddUser(Box::new(AddedUser { conference, user, connection_info: Vec::new() }))
}

pub(crate) fn success(request: &Request, body: ResponseBody) -> String {
    Response::to(&request.envelope, c3p::Outcome::Success(body)).to_xml()
}

pub(crate) fn failure(request: &Request, reason: FailureReason) -> String {
    Response::to(&request.envelope, c3p::Outcome::failure(request.command.verb(), reason)).to_xml()
}

/// The failure a client gets in place of an answer that cannot be sent to it.
fn too_long(request: &Request) -> String {
    let value = "the answer is longer than a datagram; join over TCP".to_owned();
    let details = vec![c3p::KeyValue { key: "reason".to_owned(), value }];
    let failed = c3p::Failure { verb: request.command.verb(), reason: FailureReason::OtherFailure, details };
    Response::to(&request.envelope, c3p::Outcome::Failure(failed)).to_xml()
}

fn diagnostic(diagnostic: focus::Diagnostic) -> Diagnostic {
    let known = Diagnostic::ALL.iter().find(|known| known.id() == diagnostic.0);
    known.copied().unwrap_or(Diagnostic::AuthorizationFailed)
}

fn failure_details(failure: &focus::Failure) -> Vec<c3p::KeyValue> {
    let entry = |key: &str, value: String| c3p::KeyValue { key: key.to_owned(), value };
    let diagnostic = failure.diagnostic.map(|diagnostic| entry("ms-diagnostics", diagnostic.0.to_string()));
    let termination = failure.termination.map(|end| entry("reason", end.reason.as_str().to_owned()));
    // Two answers of people hide behind `otherFailure`; the status tells them apart (c3p.md 4.3).
    let status = failure.termination.and_then(|end| match end.reason {
        TerminationReason::Busy => Some(486),
        TerminationReason::Declined => Some(603),
        _ => None,
    });
    let status = status.map(|status: u16| entry("sip-status", status.to_string()));
    let bound = bound_met(failure.reason).map(|bound| entry("warning", bound.to_owned()));
    diagnostic.into_iter().chain(termination).chain(status).chain(bound).collect()
}

/// The Focus's reasons in the words of the wire. A locked conference has none of its own (c3p.md 2.9).
fn failure_reason(reason: focus::FailureReason) -> FailureReason {
    match reason {
        focus::FailureReason::Forbidden | focus::FailureReason::ConferenceLocked => FailureReason::Forbidden,
        focus::FailureReason::AnonymousUsersNotAllowed => FailureReason::AnonymousUsersNotAllowed,
        focus::FailureReason::AlreadyAdmitted => FailureReason::AlreadyAdmitted,
        focus::FailureReason::InvalidPasscode => FailureReason::InvalidPasscode,
        focus::FailureReason::InvalidRole => FailureReason::InvalidRole,
        focus::FailureReason::InvalidUserEntity => FailureReason::InvalidUserEntity,
        focus::FailureReason::UserDoesNotExist => FailureReason::UserDoesNotExist,
        focus::FailureReason::EndpointDoesNotExist => FailureReason::EndpointDoesNotExist,
        focus::FailureReason::MediaDoesNotExist => FailureReason::MediaDoesNotExist,
        focus::FailureReason::MaximumMeetingSizeExceeded | focus::FailureReason::TooManyEndpoints => {
            FailureReason::MaximumMeetingSizeExceeded
        }
        focus::FailureReason::MediaNotSupported => FailureReason::MediaNotSupported,
        focus::FailureReason::Timeout => FailureReason::Timeout,
        focus::FailureReason::RequestCancelled => FailureReason::RequestCancelled,
        focus::FailureReason::ServerBusy => FailureReason::ServerBusy,
        focus::FailureReason::ServerInternalError => FailureReason::ServerInternalError,
        focus::FailureReason::OtherFailure => FailureReason::OtherFailure,
    }
}
