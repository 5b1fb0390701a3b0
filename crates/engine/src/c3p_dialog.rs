//! C3P in a Focus dialog: `addUser` by INVITE, commands by INFO, verdicts by INFO (c3p.md 2.2, 2.5 to 2.8).

use base::{ConferenceId, EndpointId, LegId, Termination, TerminationReason, UserUri};
use c3p::{
    AddUser, AddedUser, Command, ConferenceUri, Diagnostic, FailureReason, McuType, Participant, Request, Response,
    ResponseBody, connection_key,
};
use call::{Body, Invitation};
use focus::{ControlRequest, DialOut, JoinFocus, Outcome, Requester};
use sip_api::ServerTransactionId;

use crate::event::EngineEvent;
use crate::leg::{Leg, LegKind};
use crate::roster_document::{MEDIA_ID, conference_info};
use crate::{Engine, Origin};

/// The media type of C3P.
pub(crate) const C3P: &str = "application/cccp+xml";

/// Why a C3P request was refused before any machine saw it.
#[derive(Debug)]
pub(crate) struct Refused {
    /// For the C3P response.
    pub(crate) reason: FailureReason,
    /// For the `ms-diagnostics` header.
    pub(crate) diagnostic: Diagnostic,
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
            Ok((user, endpoint, display_name)) => (user, endpoint, display_name),
            Err(refused) => return self.refuse_focus_join(leg, &request, &refused),
        };
        if !self.activate(conference) {
            return self.refuse_for_want_of_room(leg);
        }
        let (user, endpoint, display_name) = join;
        let mut entry = Leg::new(conference.clone(), user.clone(), LegKind::FocusDialog, self.now);
        entry.sip = Some(leg);
        self.legs.insert(leg, entry);
        let pin = c3p::uri::conference_key(&call.request.uri.to_string()).map(focus::Pin::entered);
        let command = self.command_of(Origin::FocusJoin { leg, request: Box::new(request) });
        let join = JoinFocus { command, leg, requester, user, endpoint, display_name, pin };
        self.focus(conference, focus::Input::JoinFocus(join));
    }

    fn focus_join(
        &self,
        conference: &ConferenceId,
        requester: &Requester,
        request: &Request,
    ) -> Result<(UserUri, EndpointId, Option<String>), Refused> {
        let (Requester::Authenticated(who) | Requester::Unauthenticated(who)) = requester else {
            return Err(refused(FailureReason::Forbidden, Diagnostic::AuthorizationFailed));
        };
        self.check_envelope(conference, who, request)?;
        let Command::AddUser(add_user) = &request.command else {
            return Err(refused(FailureReason::NotSupported, Diagnostic::AddUserInvalid));
        };
        self.check_conference_key(conference, &add_user.conference)?;
        let user = parse_user(&add_user.user.entity)?;
        let Some(endpoint) = &add_user.user.endpoint else {
            return Err(refused(FailureReason::RequestMalformed, Diagnostic::EndpointEntityInvalid));
        };
        let endpoint = parse_endpoint(&endpoint.entity)?;
        Ok((user.address_of_record(), endpoint, add_user.user.display_text.clone()))
    }

    /// What the Focus said to a device that joins.
    pub(crate) fn on_focus_join_outcome(&mut self, leg: LegId, request: &Request, outcome: &Outcome) {
        let Command::AddUser(add_user) = &request.command else { return };
        match outcome {
            Outcome::Joined { role, .. } => {
                let contact = self.legs.get(&leg).map(|entry| self.conference_contact(&entry.conference));
                let user = Participant { role: Some(*role), ..add_user.user.clone() };
                let response = success(request, added(add_user, user));
                let headers = contact.into_iter().map(|contact| ("Contact".to_owned(), contact)).collect();
                self.note_command(request, true);
                self.call(call::Input::Accept { leg, body: Some(Body::new(C3P, response)), headers });
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

    fn refuse_focus_join(&mut self, leg: LegId, request: &Request, refused: &Refused) {
        let response = failure(request, refused.reason.clone());
        self.note_command(request, false);
        self.reject_diagnosed(leg, 403, refused.diagnostic, Vec::new(), Some(response));
    }

    fn reject_diagnosed(
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
        let is_focus_dialog = self.legs.get(&leg).is_some_and(|entry| matches!(entry.kind, LegKind::FocusDialog));
        let Some(body) = body else {
            // RFC 6086 4.2.2: an INFO without a body is a keep-alive of old phones.
            return self.call(call::Input::RespondInfo { id, status: 200, headers: Vec::new() });
        };
        if !is_focus_dialog || !body.content_type.starts_with(C3P) {
            return self.call(call::Input::RespondInfo { id, status: 415, headers: Vec::new() });
        }
        match c3p::parse_request(&body.bytes) {
            Ok(request) => {
                self.call(call::Input::RespondInfo { id, status: 202, headers: Vec::new() });
                self.run_command(leg, request);
            }
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

    fn run_command(&mut self, leg: LegId, request: Request) {
        let Some(entry) = self.legs.get(&leg) else { return };
        let (conference, who) = (entry.conference.clone(), entry.peer.clone());
        let checked = self.check_envelope(&conference, &who, &request);
        match checked.and_then(|()| self.control_request(&conference, &request.command)) {
            Ok(Control::Focus(control)) => {
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
        let response = match outcome {
            Outcome::Pending | Outcome::NeedPin { .. } => {
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
                Some(body) => success(request, body),
                None => failure(request, FailureReason::NotSupported),
            },
        };
        self.note_command(request, !matches!(outcome, Outcome::Failure(_)));
        self.send_c3p(leg, response);
    }

    fn answer(&self, leg: LegId, request: &Request, outcome: &Outcome) -> Option<ResponseBody> {
        let conference = &self.legs.get(&leg)?.conference;
        let focus = Self::focus_uri(self.directory.conference(conference)?);
        Some(match (&request.command, outcome) {
            (Command::AddUser(add_user), Outcome::Joined { role, .. }) => {
                added(add_user, Participant { role: Some(*role), ..add_user.user.clone() })
            }
            (Command::GetConference(_), Outcome::Conference(roster)) => {
                ResponseBody::GetConference(Box::new(conference_info(&focus, roster)))
            }
            (Command::DeleteUser(_), _) => ResponseBody::DeleteUser,
            (Command::ModifyUserRoles(_), _) => ResponseBody::ModifyUserRoles,
            (Command::ModifyConferenceLock(_), _) => ResponseBody::ModifyConferenceLock,
            (Command::ModifyEndpointMedia(_), _) => ResponseBody::ModifyEndpointMedia,
            (Command::ModifyConference(_), _) => ResponseBody::ModifyConference(None),
            (Command::DeleteConference(_), _) => {
                let info = c3p::conference_info::ConferenceInfo::new(focus.to_string(), c3p::State::Deleted);
                ResponseBody::DeleteConference(Some(Box::new(info)))
            }
            _ => return None,
        })
    }

    fn send_c3p(&mut self, leg: LegId, response: String) {
        if let Some(sip) = self.legs.get(&leg).and_then(|entry| entry.sip) {
            self.call(call::Input::SendInfo { leg: sip, body: Body::new(C3P, response) });
        }
    }

    pub(crate) fn note_command(&mut self, request: &Request, success: bool) {
        self.event(EngineEvent::Command { command: request.command.verb().as_str(), success });
    }

    /// `from` is who the edge has proven, `to` is the conference.
    fn check_envelope(&self, conference: &ConferenceId, who: &UserUri, request: &Request) -> Result<(), Refused> {
        let from = UserUri::parse(&request.envelope.from).map(|from| from.address_of_record());
        if from.as_ref() != Ok(who) {
            return Err(refused(FailureReason::Forbidden, Diagnostic::FromInvalid));
        }
        match ConferenceUri::parse(&request.envelope.to).ok().as_ref().and_then(ConferenceUri::conference) {
            Some(to) if to.conference_id == *conference => Ok(()),
            _ => Err(refused(FailureReason::RequestMalformed, Diagnostic::ToInvalid)),
        }
    }

    fn check_conference_key(&self, conference: &ConferenceId, key: &str) -> Result<(), Refused> {
        match ConferenceUri::parse(key) {
            Ok(ConferenceUri::Focus(focus)) if focus.conference_id == *conference => Ok(()),
            _ => Err(refused(FailureReason::ConferenceDoesNotExist, Diagnostic::ConfEntityInvalid)),
        }
    }

    /// A command of the wire as a request to the Focus.
    fn control_request(&mut self, conference: &ConferenceId, command: &Command) -> Result<Control, Refused> {
        if let Some(mcu_uri) = command.mcu_uri() {
            check_mcu(conference, mcu_uri)?;
        }
        let control = match command {
            Command::AddUser(add_user) => {
                self.check_conference_key(conference, &add_user.conference)?;
                return self.add_user(conference, add_user);
            }
            Command::DeleteUser(delete) => {
                self.check_conference_key(conference, &delete.keys.conference)?;
                ControlRequest::DeleteUser { user: parse_user(&delete.keys.user)? }
            }
            Command::ModifyUserRoles(modify) => {
                self.check_conference_key(conference, &modify.keys.conference)?;
                ControlRequest::ModifyUserRoles { user: parse_user(&modify.keys.user)?, role: modify.role }
            }
            Command::ModifyConferenceLock(lock) => {
                self.check_conference_key(conference, &lock.conference)?;
                ControlRequest::ModifyConferenceLock { locked: lock.locked }
            }
            Command::ModifyEndpointMedia(modify) => {
                self.check_conference_key(conference, &modify.keys.conference)?;
                modify_endpoint_media(modify)?
            }
            Command::ModifyConference(modify) => match modify.mute_all() {
                Some(mute_all) => {
                    check_mcu(conference, mute_all.mcu_uri)?;
                    let muted = mute_all.ingress == c3p::MediaFilter::Block;
                    ControlRequest::MuteAll { muted, except_presenters: true }
                }
                None => return Err(not_supported()),
            },
            Command::DeleteConference(_) => ControlRequest::DeleteConference,
            Command::GetConference(_) => ControlRequest::GetConference,
            Command::GetConferencingCapabilities
            | Command::AddConference(_)
            | Command::GetConferences
            | Command::GetEncryptionKey
            | Command::EndorseUser(_) => return Err(not_supported()),
        };
        Ok(Control::Focus(control))
    }

    fn add_user(&mut self, conference: &ConferenceId, add_user: &AddUser) -> Result<Control, Refused> {
        let user = parse_user(&add_user.user.entity)?;
        let Some(endpoint) = &add_user.user.endpoint else {
            return Err(refused(FailureReason::RequestMalformed, Diagnostic::EndpointEntityInvalid));
        };
        match endpoint.joining_method {
            Some(c3p::JoiningMethod::DialedOut) => {}
            Some(c3p::JoiningMethod::DialedIn) => return self.connection_info(conference, add_user),
            Some(c3p::JoiningMethod::FocusOwner) | None => {
                return Err(refused(FailureReason::RequestMalformed, Diagnostic::JoiningMethodInvalid));
            }
        }
        let wanted = endpoint.refer_to_uri.as_ref().or(endpoint.endpoint_uri.as_ref());
        let target = match wanted {
            Some(uri) => parse_user(uri)?,
            None => user.clone(),
        };
        Ok(Control::Focus(ControlRequest::DialOut(DialOut {
            leg: self.calls.allocate_leg(),
            target_is_account: self.is_account(&target),
            user,
            endpoint: parse_endpoint(&endpoint.entity)?,
            target,
            display_name: add_user.user.display_text.clone(),
            role: add_user.user.role,
        })))
    }

    /// Dial-in: where the client may send its media INVITE (c3p.md 2.7).
    fn connection_info(&self, conference: &ConferenceId, add_user: &AddUser) -> Result<Control, Refused> {
        let Some(record) = self.directory.conference(conference) else { return Err(not_supported()) };
        let mcu = Self::focus_uri(record).mcu_uri(McuType::AudioVideo);
        let entry = |key: &str| c3p::KeyValue { key: key.to_owned(), value: mcu.clone() };
        Ok(Control::DialIn(ResponseBody::AddUser(Box::new(AddedUser {
            conference: add_user.conference.clone(),
            user: add_user.user.clone(),
            connection_info: vec![entry(connection_key::MCU_SERVER_URI), entry(connection_key::MCU_CONFERENCE_URI)],
        }))))
    }
}

/// What a command of the wire is.
enum Control {
    /// A request to the Focus.
    Focus(ControlRequest),
    /// A question for connection information, with its answer.
    DialIn(ResponseBody),
}

/// Mute is a filter, or, with clients that send no filter, the status alone (c3p.md 2.8).
fn modify_endpoint_media(modify: &c3p::ModifyEndpointMedia) -> Result<ControlRequest, Refused> {
    if modify.keys.media != MEDIA_ID {
        return Err(refused(FailureReason::MediaDoesNotExist, Diagnostic::AuthorizationFailed));
    }
    let filter = |filter: c3p::MediaFilter| match filter {
        c3p::MediaFilter::Block => focus::MediaFilter::Block,
        c3p::MediaFilter::Unblock => focus::MediaFilter::Unblock,
    };
    let by_status = modify.media.status.map(|status| match status {
        c3p::MediaStatus::RecvOnly | c3p::MediaStatus::Inactive => focus::MediaFilter::Block,
        c3p::MediaStatus::SendRecv | c3p::MediaStatus::SendOnly => focus::MediaFilter::Unblock,
    });
    Ok(ControlRequest::ModifyEndpointMedia {
        user: parse_user(&modify.keys.user)?,
        endpoint: parse_endpoint(&modify.keys.endpoint)?,
        ingress: modify.media.ingress.map(filter).or(by_status),
        egress: modify.media.egress.map(filter),
    })
}

fn check_mcu(conference: &ConferenceId, mcu_uri: &str) -> Result<(), Refused> {
    match ConferenceUri::parse(mcu_uri) {
        Ok(ConferenceUri::Mcu(focus, mcu)) if focus.conference_id == *conference => match mcu {
            McuType::AudioVideo => Ok(()),
            _ => Err(refused(FailureReason::McuTypeNotAvailable, Diagnostic::McuUriInvalid)),
        },
        _ => Err(refused(FailureReason::McuTypeNotAvailable, Diagnostic::McuUriInvalid)),
    }
}

fn parse_user(text: &str) -> Result<UserUri, Refused> {
    UserUri::parse(text).map_err(|_| refused(FailureReason::InvalidUserEntity, Diagnostic::TargetUserInvalid))
}

fn parse_endpoint(text: &str) -> Result<EndpointId, Refused> {
    EndpointId::parse(text).map_err(|_| refused(FailureReason::RequestMalformed, Diagnostic::EndpointEntityInvalid))
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

pub(crate) const fn refused(reason: FailureReason, diagnostic: Diagnostic) -> Refused {
    Refused { reason, diagnostic }
}

const fn not_supported() -> Refused {
    refused(FailureReason::NotSupported, Diagnostic::NotImplemented)
}

fn diagnostic(diagnostic: focus::Diagnostic) -> Diagnostic {
    let known = Diagnostic::ALL.iter().find(|known| known.id() == diagnostic.0);
    known.copied().unwrap_or(Diagnostic::AuthorizationFailed)
}

fn failure_details(failure: &focus::Failure) -> Vec<c3p::KeyValue> {
    let entry = |key: &str, value: String| c3p::KeyValue { key: key.to_owned(), value };
    let diagnostic = failure.diagnostic.map(|diagnostic| entry("ms-diagnostics", diagnostic.0.to_string()));
    let termination = failure.termination.map(|end| entry("reason", end.reason.as_str().to_owned()));
    diagnostic.into_iter().chain(termination).collect()
}

/// The Focus's reasons in the words of the wire. A locked conference has none of its own (c3p.md 2.9).
fn failure_reason(reason: focus::FailureReason) -> FailureReason {
    match reason {
        focus::FailureReason::Forbidden | focus::FailureReason::ConferenceLocked => FailureReason::Forbidden,
        focus::FailureReason::AnonymousUsersNotAllowed => FailureReason::AnonymousUsersNotAllowed,
        focus::FailureReason::InvalidPasscode => FailureReason::InvalidPasscode,
        focus::FailureReason::InvalidRole => FailureReason::InvalidRole,
        focus::FailureReason::InvalidUserEntity => FailureReason::InvalidUserEntity,
        focus::FailureReason::UserDoesNotExist => FailureReason::UserDoesNotExist,
        focus::FailureReason::EndpointDoesNotExist => FailureReason::EndpointDoesNotExist,
        focus::FailureReason::MediaDoesNotExist => FailureReason::MediaDoesNotExist,
        focus::FailureReason::MaximumMeetingSizeExceeded => FailureReason::MaximumMeetingSizeExceeded,
        focus::FailureReason::MediaNotSupported => FailureReason::MediaNotSupported,
        focus::FailureReason::Timeout => FailureReason::Timeout,
        focus::FailureReason::RequestCancelled => FailureReason::RequestCancelled,
        focus::FailureReason::ServerBusy => FailureReason::ServerBusy,
        focus::FailureReason::ServerInternalError => FailureReason::ServerInternalError,
        focus::FailureReason::OtherFailure => FailureReason::OtherFailure,
    }
}
