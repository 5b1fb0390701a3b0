//! A C3P command as a request to the Focus: who may send it where, and what its keys name (c3p.md 2.3, 2.6 to 2.8).

use base::{ConferenceId, EndpointId, UserUri};
use c3p::{
    AddUser, AddedUser, Command, ConferenceKeys, ConferenceUri, Diagnostic, FailureReason, McuType, Request,
    ResponseBody, connection_key,
};
use focus::{ControlRequest, DialOut};

use crate::Engine;
use crate::roster_document::MEDIA_ID;

/// Why a C3P request was refused before any machine saw it.
#[derive(Debug)]
pub(crate) struct Refused {
    /// For the C3P response.
    pub(crate) reason: FailureReason,
    /// For the `ms-diagnostics` header.
    pub(crate) diagnostic: Diagnostic,
}

/// What a command of the wire is.
pub(crate) enum Control {
    /// A request to the Focus.
    Focus(ControlRequest),
    /// A question for connection information, with its answer.
    DialIn(ResponseBody),
}

impl Engine {
    /// `from` is who the edge has proven, `to` is the conference.
    pub(crate) fn check_envelope(
        &self,
        conference: &ConferenceId,
        who: &UserUri,
        request: &Request,
    ) -> Result<(), Refused> {
        let from = UserUri::parse(&request.envelope.from).map(|from| from.address_of_record());
        if from.as_ref() != Ok(who) {
            return Err(refused(FailureReason::Forbidden, Diagnostic::FromInvalid));
        }
        match ConferenceUri::parse(&request.envelope.to).ok().as_ref().and_then(ConferenceUri::conference) {
            Some(to) if to.conference_id == *conference => Ok(()),
            _ => Err(refused(FailureReason::RequestMalformed, Diagnostic::ToInvalid)),
        }
    }

    pub(crate) fn check_conference_key(&self, conference: &ConferenceId, key: &str) -> Result<(), Refused> {
        match ConferenceUri::parse(key) {
            Ok(ConferenceUri::Focus(focus)) if focus.conference_id == *conference => Ok(()),
            _ => Err(refused(FailureReason::ConferenceDoesNotExist, Diagnostic::ConfEntityInvalid)),
        }
    }

    fn check_conference_keys(&self, conference: &ConferenceId, keys: &ConferenceKeys) -> Result<(), Refused> {
        match keys {
            ConferenceKeys::Entity(key) => self.check_conference_key(conference, key),
            ConferenceKeys::ConferenceId(id) if id == conference.as_str() => Ok(()),
            ConferenceKeys::ConferenceId(_) => {
                Err(refused(FailureReason::ConferenceDoesNotExist, Diagnostic::ConfEntityInvalid))
            }
        }
    }

    /// A command of the wire as a request to the Focus.
    pub(crate) fn control_request(&mut self, conference: &ConferenceId, command: &Command) -> Result<Control, Refused> {
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
            Command::DeleteConference(delete) => {
                self.check_conference_keys(conference, &delete.keys)?;
                ControlRequest::DeleteConference
            }
            Command::GetConference(get) => {
                self.check_conference_keys(conference, &get.keys)?;
                ControlRequest::GetConference
            }
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
        let display_name = add_user.user.display_text.clone().or_else(|| self.account_name(&target));
        Ok(Control::Focus(ControlRequest::DialOut(DialOut {
            leg: self.calls.allocate_leg(),
            target_is_account: self.is_account(&target),
            user,
            endpoint: parse_endpoint(&endpoint.entity)?,
            target,
            display_name,
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

/// There is an audio MCU and no other.
fn check_mcu(conference: &ConferenceId, mcu_uri: &str) -> Result<(), Refused> {
    match ConferenceUri::parse(mcu_uri) {
        Ok(ConferenceUri::Mcu(focus, McuType::AudioVideo)) if focus.conference_id == *conference => Ok(()),
        _ => Err(refused(FailureReason::McuTypeNotAvailable, Diagnostic::McuUriInvalid)),
    }
}

pub(crate) fn parse_user(text: &str) -> Result<UserUri, Refused> {
    UserUri::parse(text).map_err(|_| refused(FailureReason::InvalidUserEntity, Diagnostic::TargetUserInvalid))
}

pub(crate) fn parse_endpoint(text: &str) -> Result<EndpointId, Refused> {
    EndpointId::parse(text).map_err(|_| refused(FailureReason::RequestMalformed, Diagnostic::EndpointEntityInvalid))
}

pub(crate) const fn refused(reason: FailureReason, diagnostic: Diagnostic) -> Refused {
    Refused { reason, diagnostic }
}

const fn not_supported() -> Refused {
    refused(FailureReason::NotSupported, Diagnostic::NotImplemented)
}
