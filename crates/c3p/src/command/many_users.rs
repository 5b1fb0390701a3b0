//! Commands about a set of users (c3p.md 2.8): who leaves the lobby, and who is heard.
//!
//! That both carry their users in `users` is \[M-low\]; how `modifyUsersMediaFilters` says whom it leaves out is ours,
//! because no source consulted has its grammar (c3p.md 11).

use base::Role;

use super::{ConferenceKeys, read_mcu_uri};
use crate::conference_info::{read_roles, write_roles};
use crate::error::BadElement;
use crate::wire::{Name, name};
use crate::xml::{Element, Writer};
use crate::{Diagnostic, LobbyAccess, MediaFilter};

/// `setLobbyAccess`: let people who wait in, or send them away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetLobbyAccess {
    /// The Focus URI.
    pub conference: String,
    /// Their URIs as the roster has them; at least one.
    pub users: Vec<String>,
    /// In or away.
    pub access: LobbyAccess,
}

/// `modifyUsersMediaFilters`: mute or unmute all, all but some, or some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModifyUsersMediaFilters {
    /// The Focus URI.
    pub conference: String,
    /// Of these users, by their URIs as the roster has them; nobody named means everybody.
    pub users: Vec<String>,
    /// Those with this role alone.
    pub role: Option<Role>,
    /// But not these.
    pub except: Vec<String>,
    /// From the participants into the mix.
    pub ingress: Option<MediaFilter>,
    /// From the mix to the participants.
    pub egress: Option<MediaFilter>,
    /// The MCU that mixes them.
    pub mcu_uri: Option<String>,
}

impl SetLobbyAccess {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let users = read_users(element, name::USERS)?;
        if users.is_empty() {
            return Err(BadElement::missing(name::USER).or_diagnostic(Diagnostic::TargetUserInvalid));
        }
        Ok(Self {
            conference: ConferenceKeys::read_entity(element)?,
            users,
            access: element.required(name::LOBBY_ACCESS)?.value(name::LOBBY_ACCESS, LobbyAccess::parse)?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        ConferenceKeys::write_entity(writer, &self.conference);
        write_users(writer, name::USERS, &self.users);
        writer.leaf(name::LOBBY_ACCESS, self.access.as_str());
    }
}

impl ModifyUsersMediaFilters {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let role_invalid = |bad: BadElement| bad.or_diagnostic(Diagnostic::RoleInvalid);
        let roles = match element.optional(name::ROLES).map_err(role_invalid)? {
            Some(roles) => read_roles(roles)?,
            None => Vec::new(),
        };
        if roles.len() > 1 {
            return Err(role_invalid(BadElement::new(name::ROLES, "it has more than one entry")));
        }
        Ok(Self {
            conference: ConferenceKeys::read_entity(element)?,
            users: read_users(element, name::USERS)?,
            role: roles.first().copied(),
            except: read_users(element, name::EXCEPT)?,
            ingress: element.value_of(name::INGRESS_FILTER, MediaFilter::parse)?,
            egress: element.value_of(name::EGRESS_FILTER, MediaFilter::parse)?,
            mcu_uri: read_mcu_uri(element),
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        ConferenceKeys::write_entity(writer, &self.conference);
        write_users(writer, name::USERS, &self.users);
        write_roles(writer, self.role.as_slice());
        write_users(writer, name::EXCEPT, &self.except);
        writer.optional_leaf(name::INGRESS_FILTER, self.ingress.map(MediaFilter::as_str));
        writer.optional_leaf(name::EGRESS_FILTER, self.egress.map(MediaFilter::as_str));
    }
}

fn read_users(element: Element<'_>, list: Name<'static>) -> Result<Vec<String>, BadElement> {
    let Some(list) = element.optional(list)? else { return Ok(Vec::new()) };
    list.children_named(name::USER)
        .map(|user| match user.required_attribute(name::ENTITY)?.trim() {
            "" => Err(BadElement::new(name::ENTITY, "it is empty")),
            entity => Ok(entity.to_owned()),
        })
        .collect::<Result<_, _>>()
        .map_err(|bad: BadElement| bad.or_diagnostic(Diagnostic::TargetUserInvalid))
}

fn write_users(writer: &mut Writer, list: Name<'static>, users: &[String]) {
    if users.is_empty() {
        return;
    }
    writer.element(list, |writer| {
        for user in users {
            writer.element(name::USER, |writer| writer.attribute(name::ENTITY, user));
        }
    });
}
