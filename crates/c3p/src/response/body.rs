//! The answers to commands that succeeded.

use super::{Capabilities, KeyValue};
use crate::Verb;
use crate::command::{ConferenceKeys, Participant, read_certificate, write_certificate};
use crate::conference_info::ConferenceInfo;
use crate::error::BadElement;
use crate::wire::token::ENDORSE_SUCCESS;
use crate::wire::{Namespace, name};
use crate::xml::{Element, Writer};

/// The answer to a command that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseBody {
    /// What the Factory can do.
    GetConferencingCapabilities(Capabilities),
    /// The schedule as it was stored; its entity is the Focus URI.
    AddConference(Box<ConferenceInfo>),
    /// The schedule as it was stored, from the Factory.
    ModifyConference(Option<Box<ConferenceInfo>>),
    /// The conference that ended, from the Focus.
    DeleteConference(Option<Box<ConferenceInfo>>),
    /// Summaries of the organiser's conferences.
    GetConferences(Vec<ConferenceInfo>),
    /// The conference.
    GetConference(Box<ConferenceInfo>),
    /// The Factory's X.509 certificate in base64.
    GetEncryptionKey(String),
    /// Who is in, in which role.
    AddUser(Box<AddedUser>),
    /// He is out.
    DeleteUser,
    /// He has the role.
    ModifyUserRoles,
    /// It is locked or unlocked.
    ModifyConferenceLock,
    /// The stream is changed.
    ModifyEndpointMedia,
    /// The user is vouched for.
    EndorseUser,
    /// They are in, or away.
    SetLobbyAccess,
    /// The filters are set.
    ModifyUsersMediaFilters,
    /// The endpoint is changed.
    ModifyEndpoint,
    /// The endpoint is out.
    DeleteEndpoint,
    /// The stream is there.
    AddEndpointMedia,
    /// The stream is gone.
    DeleteEndpointMedia,
}

impl ResponseBody {
    /// The command this answers.
    pub const fn verb(&self) -> Verb {
        match self {
            Self::GetConferencingCapabilities(_) => Verb::GetConferencingCapabilities,
            Self::AddConference(_) => Verb::AddConference,
            Self::ModifyConference(_) => Verb::ModifyConference,
            Self::DeleteConference(_) => Verb::DeleteConference,
            Self::GetConferences(_) => Verb::GetConferences,
            Self::GetConference(_) => Verb::GetConference,
            Self::GetEncryptionKey(_) => Verb::GetEncryptionKey,
            Self::AddUser(_) => Verb::AddUser,
            Self::DeleteUser => Verb::DeleteUser,
            Self::ModifyUserRoles => Verb::ModifyUserRoles,
            Self::ModifyConferenceLock => Verb::ModifyConferenceLock,
            Self::ModifyEndpointMedia => Verb::ModifyEndpointMedia,
            Self::EndorseUser => Verb::EndorseUser,
            Self::SetLobbyAccess => Verb::SetLobbyAccess,
            Self::ModifyUsersMediaFilters => Verb::ModifyUsersMediaFilters,
            Self::ModifyEndpoint => Verb::ModifyEndpoint,
            Self::DeleteEndpoint => Verb::DeleteEndpoint,
            Self::AddEndpointMedia => Verb::AddEndpointMedia,
            Self::DeleteEndpointMedia => Verb::DeleteEndpointMedia,
        }
    }

    pub(super) fn read(verb: Verb, element: Element<'_>) -> Result<Self, BadElement> {
        let required = || Ok(Box::new(ConferenceInfo::read(element.required(name::CONFERENCE_INFO)?)?));
        let optional = || match element.optional(name::CONFERENCE_INFO)? {
            Some(info) => Ok(Some(Box::new(ConferenceInfo::read(info)?))),
            None => Ok(None),
        };
        let all = || element.children_named(name::CONFERENCE_INFO).map(ConferenceInfo::read).collect::<Result<_, _>>();
        Ok(match verb {
            Verb::GetConferencingCapabilities => Self::GetConferencingCapabilities(Capabilities::read(element)?),
            Verb::AddConference => Self::AddConference(required()?),
            Verb::ModifyConference => Self::ModifyConference(optional()?),
            Verb::DeleteConference => Self::DeleteConference(optional()?),
            Verb::GetConferences => Self::GetConferences(all()?),
            Verb::GetConference => Self::GetConference(required()?),
            Verb::GetEncryptionKey => {
                Self::GetEncryptionKey(read_certificate(element)?.ok_or(BadElement::missing(name::ENCRYPTION_KEY))?)
            }
            Verb::AddUser => Self::AddUser(Box::new(AddedUser::read(element)?)),
            Verb::DeleteUser => Self::DeleteUser,
            Verb::ModifyUserRoles => Self::ModifyUserRoles,
            Verb::ModifyConferenceLock => Self::ModifyConferenceLock,
            Verb::ModifyEndpointMedia => Self::ModifyEndpointMedia,
            Verb::EndorseUser => Self::EndorseUser,
            Verb::SetLobbyAccess => Self::SetLobbyAccess,
            Verb::ModifyUsersMediaFilters => Self::ModifyUsersMediaFilters,
            Verb::ModifyEndpoint => Self::ModifyEndpoint,
            Verb::DeleteEndpoint => Self::DeleteEndpoint,
            Verb::AddEndpointMedia => Self::AddEndpointMedia,
            Verb::DeleteEndpointMedia => Self::DeleteEndpointMedia,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        match self {
            Self::GetConferencingCapabilities(capabilities) => capabilities.write(writer),
            Self::AddConference(info) | Self::GetConference(info) => info.write(writer),
            Self::ModifyConference(info) | Self::DeleteConference(info) => {
                info.iter().for_each(|info| info.write(writer));
            }
            Self::GetConferences(infos) => infos.iter().for_each(|info| info.write(writer)),
            Self::GetEncryptionKey(certificate) => write_certificate(writer, Some(certificate)),
            Self::AddUser(added) => added.write(writer),
            Self::EndorseUser => writer.attribute(name::RESULT, ENDORSE_SUCCESS),
            Self::DeleteUser
            | Self::ModifyUserRoles
            | Self::ModifyConferenceLock
            | Self::ModifyEndpointMedia
            | Self::SetLobbyAccess
            | Self::ModifyUsersMediaFilters
            | Self::ModifyEndpoint
            | Self::DeleteEndpoint
            | Self::AddEndpointMedia
            | Self::DeleteEndpointMedia => (),
        }
    }
}

/// The answer to `addUser`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedUser {
    /// The Focus URI as the request had it.
    pub conference: String,
    /// The user as the request had him, with the role granted; with the endpoint only if it really joins.
    pub user: Participant,
    /// Where to connect; see [`crate::connection_key`].
    pub connection_info: Vec<KeyValue>,
}

impl AddedUser {
    /// The value of a key of the connection information; keys are compared without regard to case.
    pub fn connection(&self, key: &str) -> Option<&str> {
        let entry = self.connection_info.iter().find(|entry| entry.key.eq_ignore_ascii_case(key))?;
        Some(&entry.value)
    }
}

impl AddedUser {
    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let connection_info = match element.optional_in(name::CONNECTION_INFO, Namespace::Mscp)? {
            Some(info) => KeyValue::read_all(info)?,
            None => Vec::new(),
        };
        Ok(Self {
            conference: ConferenceKeys::read_entity(element)?,
            user: Participant::read(element.required(name::USER)?)?,
            connection_info,
        })
    }

    fn write(&self, writer: &mut Writer) {
        ConferenceKeys::write_entity(writer, &self.conference);
        self.user.write(writer);
        KeyValue::write_all(writer, name::CONNECTION_INFO, &self.connection_info);
    }
}
