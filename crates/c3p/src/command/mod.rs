//! What a request asks for.

mod add_user;
mod control;
mod endpoint;
mod keys;
mod many_users;
mod schedule;

pub use add_user::{AddUser, JoiningEndpoint, MediaRequest, Participant};
pub use control::{DeleteUser, EndorseUser, ModifyConferenceLock, ModifyEndpointMedia, ModifyUserRoles};
pub use endpoint::{AddEndpointMedia, DeleteEndpoint, DeleteEndpointMedia, ModifyEndpoint};
pub use keys::{ConferenceKeys, EndpointKeys, MediaKeys, UserKeys};
pub use many_users::{ModifyUsersMediaFilters, SetLobbyAccess};
pub use schedule::{DeleteConference, GetConference, ModifyConference, MuteAll};
pub(crate) use schedule::{read_certificate, write_certificate};

use crate::conference_info::ConferenceInfo;
use crate::error::BadElement;
use crate::wire::{Name, name};
use crate::xml::{Element, Writer};
use crate::{Diagnostic, Verb};

/// A command: the one child of a `request` (c3p.md 2.4 to 2.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// To the Factory: what can it do?
    GetConferencingCapabilities,
    /// To the Factory: create a conference. The entity is empty, the conference id is the client's choice.
    AddConference(Box<ConferenceInfo>),
    /// To the Factory: replace a schedule. To an MCU, through the Focus: change its state.
    ModifyConference(Box<ModifyConference>),
    /// To the Factory: delete the record. To the Focus: end the conference.
    DeleteConference(DeleteConference),
    /// To the Factory: list my conferences.
    GetConferences,
    /// To the Factory, the Focus or an MCU: read one conference.
    GetConference(GetConference),
    /// To the Factory: its certificate.
    GetEncryptionKey,
    /// To the Focus: let me join, or bring somebody in.
    AddUser(Box<AddUser>),
    /// To the Focus: eject somebody, or let me go.
    DeleteUser(DeleteUser),
    /// To the Focus: promote or demote somebody.
    ModifyUserRoles(ModifyUserRoles),
    /// To the Focus: lock or unlock.
    ModifyConferenceLock(ModifyConferenceLock),
    /// To an MCU, through the Focus: mute or unmute somebody.
    ModifyEndpointMedia(Box<ModifyEndpointMedia>),
    /// To the Focus: a trusted party vouches for a user.
    EndorseUser(EndorseUser),
    /// To the Focus: let people who wait in the lobby in, or send them away.
    SetLobbyAccess(SetLobbyAccess),
    /// To an MCU, through the Focus: mute or unmute many.
    ModifyUsersMediaFilters(Box<ModifyUsersMediaFilters>),
    /// To an MCU, through the Focus: change an endpoint.
    ModifyEndpoint(Box<ModifyEndpoint>),
    /// To an MCU, through the Focus: eject one endpoint of a user.
    DeleteEndpoint(DeleteEndpoint),
    /// To an MCU, through the Focus: add a stream to an endpoint.
    AddEndpointMedia(Box<AddEndpointMedia>),
    /// To an MCU, through the Focus: end a stream of an endpoint.
    DeleteEndpointMedia(DeleteEndpointMedia),
}

impl Command {
    /// The name of the command.
    pub const fn verb(&self) -> Verb {
        match self {
            Self::GetConferencingCapabilities => Verb::GetConferencingCapabilities,
            Self::AddConference(_) => Verb::AddConference,
            Self::ModifyConference(_) => Verb::ModifyConference,
            Self::DeleteConference(_) => Verb::DeleteConference,
            Self::GetConferences => Verb::GetConferences,
            Self::GetConference(_) => Verb::GetConference,
            Self::GetEncryptionKey => Verb::GetEncryptionKey,
            Self::AddUser(_) => Verb::AddUser,
            Self::DeleteUser(_) => Verb::DeleteUser,
            Self::ModifyUserRoles(_) => Verb::ModifyUserRoles,
            Self::ModifyConferenceLock(_) => Verb::ModifyConferenceLock,
            Self::ModifyEndpointMedia(_) => Verb::ModifyEndpointMedia,
            Self::EndorseUser(_) => Verb::EndorseUser,
            Self::SetLobbyAccess(_) => Verb::SetLobbyAccess,
            Self::ModifyUsersMediaFilters(_) => Verb::ModifyUsersMediaFilters,
            Self::ModifyEndpoint(_) => Verb::ModifyEndpoint,
            Self::DeleteEndpoint(_) => Verb::DeleteEndpoint,
            Self::AddEndpointMedia(_) => Verb::AddEndpointMedia,
            Self::DeleteEndpointMedia(_) => Verb::DeleteEndpointMedia,
        }
    }

    /// The MCU the command is for, as the client wrote it; `None` when the Focus or Factory executes it.
    pub fn mcu_uri(&self) -> Option<&str> {
        match self {
            Self::ModifyConference(command) => command.mcu_uri.as_deref(),
            Self::GetConference(command) => command.mcu_uri.as_deref(),
            Self::AddUser(command) => command.mcu_uri.as_deref(),
            Self::DeleteUser(command) => command.mcu_uri.as_deref(),
            Self::ModifyEndpointMedia(command) => command.mcu_uri.as_deref(),
            Self::ModifyUsersMediaFilters(command) => command.mcu_uri.as_deref(),
            Self::ModifyEndpoint(command) => command.mcu_uri.as_deref(),
            Self::DeleteEndpoint(command) => command.mcu_uri.as_deref(),
            Self::AddEndpointMedia(command) => command.mcu_uri.as_deref(),
            Self::DeleteEndpointMedia(command) => command.mcu_uri.as_deref(),
            _ => None,
        }
    }

    /// Reads the command element of that verb.
    pub(crate) fn read(verb: Verb, element: Element<'_>) -> Result<Self, BadElement> {
        let command = Self::read_body(verb, element)?;
        // A command for one MCU must not be taken for one to the whole conference.
        if command.mcu_uri().is_none() && read_mcu_uri(element).is_some() {
            return Err(BadElement::new(name::MCU_URI, "this command may not target an MCU")
                .or_diagnostic(Diagnostic::McuTargetNotAllowed));
        }
        Ok(command)
    }

    fn read_body(verb: Verb, element: Element<'_>) -> Result<Self, BadElement> {
        Ok(match verb {
            Verb::GetConferencingCapabilities => Self::GetConferencingCapabilities,
            Verb::AddConference => {
                Self::AddConference(Box::new(ConferenceInfo::read(element.required(name::CONFERENCE_INFO)?)?))
            }
            Verb::ModifyConference => Self::ModifyConference(Box::new(ModifyConference::read(element)?)),
            Verb::DeleteConference => Self::DeleteConference(DeleteConference::read(element)?),
            Verb::GetConferences => Self::GetConferences,
            Verb::GetConference => Self::GetConference(GetConference::read(element)?),
            Verb::GetEncryptionKey => Self::GetEncryptionKey,
            Verb::AddUser => Self::AddUser(Box::new(AddUser::read(element)?)),
            Verb::DeleteUser => Self::DeleteUser(DeleteUser::read(element)?),
            Verb::ModifyUserRoles => Self::ModifyUserRoles(ModifyUserRoles::read(element)?),
            Verb::ModifyConferenceLock => Self::ModifyConferenceLock(ModifyConferenceLock::read(element)?),
            Verb::ModifyEndpointMedia => Self::ModifyEndpointMedia(Box::new(ModifyEndpointMedia::read(element)?)),
            Verb::EndorseUser => Self::EndorseUser(EndorseUser::read(element)?),
            Verb::SetLobbyAccess => Self::SetLobbyAccess(SetLobbyAccess::read(element)?),
            Verb::ModifyUsersMediaFilters => {
                Self::ModifyUsersMediaFilters(Box::new(ModifyUsersMediaFilters::read(element)?))
            }
            Verb::ModifyEndpoint => Self::ModifyEndpoint(Box::new(ModifyEndpoint::read(element)?)),
            Verb::DeleteEndpoint => Self::DeleteEndpoint(DeleteEndpoint::read(element)?),
            Verb::AddEndpointMedia => Self::AddEndpointMedia(Box::new(AddEndpointMedia::read(element)?)),
            Verb::DeleteEndpointMedia => Self::DeleteEndpointMedia(DeleteEndpointMedia::read(element)?),
        })
    }

    /// Writes the command element.
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.element(Name::c3p(self.verb().as_str()), |writer| {
            writer.optional_attribute(name::MCU_URI, self.mcu_uri());
            match self {
                Self::GetConferencingCapabilities | Self::GetConferences | Self::GetEncryptionKey => (),
                Self::AddConference(info) => info.write(writer),
                Self::ModifyConference(command) => command.info.write(writer),
                Self::DeleteConference(command) => command.keys.write(writer),
                Self::GetConference(command) => command.write(writer),
                Self::AddUser(command) => command.write(writer),
                Self::DeleteUser(command) => command.keys.write(writer),
                Self::ModifyUserRoles(command) => command.write(writer),
                Self::ModifyConferenceLock(command) => command.write(writer),
                Self::ModifyEndpointMedia(command) => command.write(writer),
                Self::EndorseUser(command) => command.write(writer),
                Self::SetLobbyAccess(command) => command.write(writer),
                Self::ModifyUsersMediaFilters(command) => command.write(writer),
                Self::ModifyEndpoint(command) => command.write(writer),
                Self::DeleteEndpoint(command) => command.keys.write(writer),
                Self::AddEndpointMedia(command) => command.write(writer),
                Self::DeleteEndpointMedia(command) => command.keys.write(writer),
            }
        });
    }
}

/// The MCU a command element names, in either spelling (c3p.md 1.4).
fn read_mcu_uri(element: Element<'_>) -> Option<String> {
    element.attribute_or_bare(name::MCU_URI).map(|uri| uri.trim().to_owned())
}
