//! Commands to a conference that is on (c3p.md 2.8).

use base::{AccessType, Role};

use super::{ConferenceKeys, MediaKeys, UserKeys, read_mcu_uri};
use crate::Diagnostic;
use crate::conference_info::{Media, read_roles};
use crate::error::BadElement;
use crate::wire::token::{admission_policy, parse_admission_policy, parse_bool, role};
use crate::wire::{Namespace, name};
use crate::xml::{Element, Writer};

/// `deleteUser`: eject somebody, or let me go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteUser {
    /// Whom.
    pub keys: UserKeys,
    /// From which MCU alone; absent for the whole conference.
    pub mcu_uri: Option<String>,
}

impl DeleteUser {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self { keys: UserKeys::read(element)?, mcu_uri: read_mcu_uri(element) })
    }
}

/// `modifyUserRoles`: promote or demote somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModifyUserRoles {
    /// Whom.
    pub keys: UserKeys,
    /// His new role.
    pub role: Role,
}

impl ModifyUserRoles {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let role_invalid = |bad: BadElement| bad.or_diagnostic(Diagnostic::RoleInvalid);
        let keys = UserKeys::read(element)?;
        let roles = read_roles(element.required(name::USER_ROLES).map_err(role_invalid)?)?;
        let [role] = roles.as_slice() else {
            return Err(role_invalid(BadElement::new(name::USER_ROLES, "it must have exactly one entry")));
        };
        Ok(Self { keys, role: *role })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        self.keys.write(writer);
        writer.element(name::USER_ROLES, |writer| writer.leaf(name::ENTRY, role(self.role)));
    }
}

/// `modifyConferenceLock`: lock or unlock; later clients say who may enter, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModifyConferenceLock {
    /// The Focus URI.
    pub conference: String,
    /// Whether nobody may enter.
    pub locked: bool,
    /// Who may enter.
    pub admission_policy: Option<AccessType>,
    /// Whether callers from the telephone network pass the lobby.
    pub pstn_lobby_bypass: Option<bool>,
    /// Who becomes a presenter by himself: a bit mask (c3p.md 2.4).
    pub autopromote: Option<u32>,
}

impl ModifyConferenceLock {
    /// The later elements stand in the C3P namespace with one client and in the extension namespace with others.
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let later = |name| element.optional_in(name, Namespace::C3p);
        let policy = later(name::ADMISSION_POLICY)?;
        let bypass = later(name::PSTN_LOBBY_BYPASS)?;
        let autopromote = later(name::AUTOPROMOTE)?;
        Ok(Self {
            conference: ConferenceKeys::read_entity(element)?,
            locked: element.required(name::LOCK_LOCKED)?.value(name::LOCK_LOCKED, parse_bool)?,
            admission_policy: policy.map(|e| e.value(name::ADMISSION_POLICY, parse_admission_policy)).transpose()?,
            pstn_lobby_bypass: bypass.map(|e| e.value(name::PSTN_LOBBY_BYPASS, parse_bool)).transpose()?,
            autopromote: autopromote.map(|e| e.value(name::AUTOPROMOTE, |text| text.parse().ok())).transpose()?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        ConferenceKeys::write_entity(writer, &self.conference);
        writer.optional_bool(name::LOCK_LOCKED, Some(self.locked));
        writer.optional_leaf(name::ADMISSION_POLICY, self.admission_policy.map(admission_policy));
        writer.optional_bool(name::PSTN_LOBBY_BYPASS, self.pstn_lobby_bypass);
        writer.optional_number(name::AUTOPROMOTE, self.autopromote);
    }
}

/// `modifyEndpointMedia`: mute or unmute somebody. Muted is an ingress filter of `block` with status `recvonly`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModifyEndpointMedia {
    /// Which stream.
    pub keys: MediaKeys,
    /// What it is to be; its id equals the one of the keys.
    pub media: Media,
    /// The MCU that carries it.
    pub mcu_uri: Option<String>,
}

impl ModifyEndpointMedia {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let keys = MediaKeys::read(element)?;
        let media = Media::read(element.required(name::MEDIA)?)?;
        if media.id != keys.media {
            return Err(BadElement::new(name::ID, "it differs from the mediaId of the keys"));
        }
        Ok(Self { keys, media, mcu_uri: read_mcu_uri(element) })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        self.keys.write(writer);
        self.media.write(writer);
    }
}

/// `endorseUser`: a trusted party vouches for a user. That the body has keys and one `user` is \[M\].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndorseUser {
    /// The Focus URI.
    pub conference: String,
    /// The URI of the user vouched for.
    pub user: String,
}

impl EndorseUser {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let target_invalid = |bad: BadElement| bad.or_diagnostic(Diagnostic::TargetUserInvalid);
        let user = element.required(name::USER).map_err(target_invalid)?;
        Ok(Self {
            conference: ConferenceKeys::read_entity(element)?,
            user: user.required_attribute(name::ENTITY).map_err(target_invalid)?.trim().to_owned(),
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        ConferenceKeys::write_entity(writer, &self.conference);
        writer.element(name::USER, |writer| writer.attribute(name::ENTITY, &self.user));
    }
}
