//! A C3P command as a request to the Focus: who may send it where, and what its keys name (c3p.md 2.3, 2.6 to 2.8).

use base::{ConferenceId, EndpointId, UserUri};
use c3p::{
    AddUser, AddedUser, Command, ConferenceKeys, ConferenceUri, Diagnostic, FailureReason, FocusUri, McuType, Request,
    ResponseBody, connection_key,
};
use focus::{AdmissionChange, ControlRequest, DialOut, Lobby, LobbyAccess, UsersMediaFilters};

use crate::Engine;
use crate::control::factory::promotes;
use crate::control::roster_document::MEDIA_ID;

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
            Some(to) if self.names(to, conference) => Ok(()),
            _ => Err(refused(FailureReason::RequestMalformed, Diagnostic::ToInvalid)),
        }
    }

    pub(crate) fn check_conference_key(&self, conference: &ConferenceId, key: &str) -> Result<(), Refused> {
        match ConferenceUri::parse(key) {
            Ok(ConferenceUri::Focus(focus)) if self.names(&focus, conference) => Ok(()),
            _ => Err(refused(FailureReason::ConferenceDoesNotExist, Diagnostic::ConfEntityInvalid)),
        }
    }

    /// Whether a URI is this conference's: its id alone is not enough, it is unique for its organizer only (c3p.md 1.2).
    fn names(&self, uri: &FocusUri, conference: &ConferenceId) -> bool {
        uri.conference_id == *conference && self.is_conference_of(uri)
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
            self.check_mcu(conference, mcu_uri)?;
        }
        match command {
            Command::AddUser(add_user) => {
                self.check_conference_key(conference, &add_user.conference)?;
                self.add_user(conference, add_user)
            }
            _ => self.conference_request(conference, command).map(Control::Focus),
        }
    }

    /// What is asked of the conference as a whole.
    fn conference_request(&self, conference: &ConferenceId, command: &Command) -> Result<ControlRequest, Refused> {
        match command {
            Command::ModifyConferenceLock(lock) => {
                self.check_conference_key(conference, &lock.conference)?;
                Ok(modify_lock(lock))
            }
            Command::ModifyConference(modify) => {
                let mute_all = modify.mute_all().ok_or(not_supported())?;
                self.check_mcu(conference, mute_all.mcu_uri)?;
                let muted = mute_all.ingress == c3p::MediaFilter::Block;
                Ok(ControlRequest::MuteAll { muted, except_presenters: true })
            }
            Command::DeleteConference(delete) => {
                self.check_conference_keys(conference, &delete.keys)?;
                Ok(ControlRequest::DeleteConference)
            }
            Command::GetConference(get) => {
                self.check_conference_keys(conference, &get.keys)?;
                Ok(ControlRequest::GetConference)
            }
            Command::SetLobbyAccess(lobby) => {
                self.check_conference_key(conference, &lobby.conference)?;
                set_lobby_access(lobby)
            }
            Command::ModifyUsersMediaFilters(filters) => {
                self.check_conference_key(conference, &filters.conference)?;
                users_media_filters(filters)
            }
            _ => self.participant_request(conference, command),
        }
    }

    /// What is asked about one user, his endpoint or its stream. Every other command is none of a Focus.
    fn participant_request(&self, conference: &ConferenceId, command: &Command) -> Result<ControlRequest, Refused> {
        match command {
            Command::DeleteUser(delete) => {
                self.check_conference_key(conference, &delete.keys.conference)?;
                Ok(ControlRequest::DeleteUser { user: parse_user(&delete.keys.user)? })
            }
            Command::ModifyUserRoles(modify) => {
                self.check_conference_key(conference, &modify.keys.conference)?;
                Ok(ControlRequest::ModifyUserRoles { user: parse_user(&modify.keys.user)?, role: modify.role })
            }
            Command::ModifyEndpoint(modify) => {
                self.check_conference_key(conference, &modify.keys.conference)?;
                modify_endpoint(modify)
            }
            Command::DeleteEndpoint(delete) => {
                self.check_conference_key(conference, &delete.keys.conference)?;
                delete_endpoint(&delete.keys.user, &delete.keys.endpoint)
            }
            Command::ModifyEndpointMedia(modify) => {
                self.check_conference_key(conference, &modify.keys.conference)?;
                endpoint_media(&modify.keys.user, &modify.keys.endpoint, &modify.media)
            }
            Command::AddEndpointMedia(add) => {
                self.check_conference_key(conference, &add.keys.conference)?;
                Err(refused(no_further_media(add), Diagnostic::AuthorizationFailed))
            }
            Command::DeleteEndpointMedia(delete) => {
                self.check_conference_key(conference, &delete.keys.conference)?;
                check_media(&delete.keys.media)?;
                delete_endpoint(&delete.keys.user, &delete.keys.endpoint)
            }
            _ => Err(not_supported()),
        }
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

    /// There is an audio MCU and no other.
    fn check_mcu(&self, conference: &ConferenceId, mcu_uri: &str) -> Result<(), Refused> {
        match ConferenceUri::parse(mcu_uri) {
            Ok(ConferenceUri::Mcu(focus, McuType::AudioVideo)) if self.names(&focus, conference) => Ok(()),
            _ => Err(refused(FailureReason::McuTypeNotAvailable, Diagnostic::McuUriInvalid)),
        }
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

/// A client that says whether callers pass the lobby knows that there is one, so from then on there is.
fn modify_lock(lock: &c3p::ModifyConferenceLock) -> ControlRequest {
    let admission = AdmissionChange {
        access: lock.admission_policy,
        lobby: lock.pstn_lobby_bypass.map(lobby),
        promote_authenticated: lock.autopromote.map(promotes),
    };
    ControlRequest::ModifyConferenceLock { locked: lock.locked, admission }
}

/// The lobby a client asks for when it says whether telephone callers pass it.
pub(crate) const fn lobby(phones_pass: bool) -> Lobby {
    if phones_pass { Lobby::PhonesPass } else { Lobby::On }
}

fn set_lobby_access(lobby: &c3p::SetLobbyAccess) -> Result<ControlRequest, Refused> {
    let access = match lobby.access {
        c3p::LobbyAccess::Granted => LobbyAccess::Granted,
        c3p::LobbyAccess::Denied => LobbyAccess::Denied,
    };
    Ok(ControlRequest::SetLobbyAccess { users: parse_users(&lobby.users)?, access })
}

fn users_media_filters(filters: &c3p::ModifyUsersMediaFilters) -> Result<ControlRequest, Refused> {
    Ok(ControlRequest::ModifyUsersMediaFilters(UsersMediaFilters {
        users: parse_users(&filters.users)?,
        role: filters.role,
        except: parse_users(&filters.except)?,
        ingress: filters.ingress.map(media_filter),
        egress: filters.egress.map(media_filter),
    }))
}

/// What can be changed of an endpoint is its one stream.
fn modify_endpoint(modify: &c3p::ModifyEndpoint) -> Result<ControlRequest, Refused> {
    let [media] = modify.media.as_slice() else { return Err(not_supported()) };
    endpoint_media(&modify.keys.user, &modify.keys.endpoint, media)
}

fn delete_endpoint(user: &str, endpoint: &str) -> Result<ControlRequest, Refused> {
    Ok(ControlRequest::DeleteEndpoint { user: parse_user(user)?, endpoint: parse_endpoint(endpoint)? })
}

/// An audio endpoint has its one stream from the start, and there is no other kind.
fn no_further_media(add: &c3p::AddEndpointMedia) -> FailureReason {
    match &add.media.media_type {
        Some(c3p::MediaType::Other(_)) => FailureReason::MediaNotSupported,
        Some(c3p::MediaType::Audio) | None => FailureReason::MediaExists,
    }
}

const fn media_filter(filter: c3p::MediaFilter) -> focus::MediaFilter {
    match filter {
        c3p::MediaFilter::Block => focus::MediaFilter::Block,
        c3p::MediaFilter::Unblock => focus::MediaFilter::Unblock,
    }
}

fn check_media(id: &str) -> Result<(), Refused> {
    match id == MEDIA_ID {
        true => Ok(()),
        false => Err(refused(FailureReason::MediaDoesNotExist, Diagnostic::AuthorizationFailed)),
    }
}

fn parse_users(users: &[String]) -> Result<Vec<UserUri>, Refused> {
    users.iter().map(|user| parse_user(user)).collect()
}

/// Mute is a filter, or, with clients that send no filter, the status alone (c3p.md 2.8).
fn endpoint_media(user: &str, endpoint: &str, media: &c3p::conference_info::Media) -> Result<ControlRequest, Refused> {
    check_media(&media.id)?;
    let by_status = media.status.map(|status| match status {
        c3p::MediaStatus::RecvOnly | c3p::MediaStatus::Inactive => focus::MediaFilter::Block,
        c3p::MediaStatus::SendRecv | c3p::MediaStatus::SendOnly => focus::MediaFilter::Unblock,
    });
    Ok(ControlRequest::ModifyEndpointMedia {
        user: parse_user(user)?,
        endpoint: parse_endpoint(endpoint)?,
        ingress: media.ingress.map(media_filter).or(by_status),
        egress: media.egress.map(media_filter),
    })
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
