//! `conference-description`: what a conference is about, how it is reached, who may enter.

use std::fmt;

use base::AccessType;

use crate::error::BadElement;
use crate::wire::token::{admission_policy, parse_admission_policy, parse_bool};
use crate::wire::{Name, Namespace, name};
use crate::xml::{Element, OpaqueXml, Writer};
use crate::{McuType, State};

/// `conference-description`. Times are `xs:dateTime` in UTC, as they stand on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// A longer description.
    pub display_text: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// Where its MCUs are reached; all of them, or absent.
    pub conf_uris: Vec<ConfUri>,
    /// The id within the organiser's conferences; its form is the Factory's business.
    pub conference_id: Option<String>,
    /// When the record changed last; in responses.
    pub last_update: Option<String>,
    /// When it was active last; in responses.
    pub last_activate: Option<String>,
    /// Whether it is active; in responses.
    pub is_active: Option<bool>,
    /// When the Factory may delete it.
    pub expiry_time: Option<String>,
    /// Who may enter.
    pub admission_policy: Option<AccessType>,
    /// The secret that admits anonymous users.
    pub passcode: Option<Passcode>,
    /// Whether anonymous users may do without it.
    pub passcode_optional: Option<bool>,
    /// The organiser's display name.
    pub organizer: Option<String>,
    /// Where a browser joins.
    pub join_url: Option<String>,
    /// Presence asks for a number to dial; a response has the number.
    pub pstn_access: Option<PstnAccess>,
    /// Whether callers from the telephone network pass the lobby.
    pub pstn_lobby_bypass: Option<bool>,
    /// Who becomes a presenter by himself: a bit mask (c3p.md 2.4).
    pub autopromote: Option<u32>,
    /// A compatibility number.
    pub server_mode: Option<u32>,
    /// What the scheduling client keeps here for itself.
    pub organizer_data: Option<OpaqueXml>,
    /// What every participant is given.
    pub notification_data: Option<OpaqueXml>,
}

/// One address of a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfUri {
    /// The URI.
    pub uri: String,
    /// Its text for people.
    pub display_text: Option<String>,
    /// What it is for: the token of an MCU type.
    pub purpose: Option<String>,
}

impl ConfUri {
    /// The address of an MCU; purpose and text are its token.
    pub fn mcu(uri: impl Into<String>, mcu: McuType) -> Self {
        let token = mcu.as_str().to_owned();
        Self { uri: uri.into(), display_text: Some(token.clone()), purpose: Some(token) }
    }
}

/// How people dial in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PstnAccess {
    /// The number that names the conference to the attendant.
    pub id: Option<String>,
}

/// The secret of an anonymous join. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Passcode(String);

impl Passcode {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for checking and for the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passcode(..)")
    }
}

impl Description {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let conf_uris = match element.optional(name::CONF_URIS)? {
            Some(list) => list.children_named(name::ENTRY).map(ConfUri::read).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let organizer = match element.optional(name::ORGANIZER)? {
            Some(organizer) => organizer.optional_in(name::DISPLAY_NAME, Namespace::Msci)?.map(|n| n.text().to_owned()),
            None => None,
        };
        Ok(Self {
            display_text: element.text_of(name::DISPLAY_TEXT)?,
            subject: element.text_of(name::SUBJECT)?,
            conf_uris,
            conference_id: element.trimmed_of(name::CONFERENCE_ID)?,
            last_update: element.trimmed_of(name::LAST_UPDATE)?,
            last_activate: element.trimmed_of(name::LAST_ACTIVATE)?,
            is_active: element.value_of(name::IS_ACTIVE, parse_bool)?,
            expiry_time: element.trimmed_of(name::EXPIRY_TIME)?,
            admission_policy: element.value_of(name::ADMISSION_POLICY, parse_admission_policy)?,
            passcode: element.trimmed_of(name::PASSCODE)?.map(Passcode),
            passcode_optional: element.value_of(name::PASSCODE_OPTIONAL, parse_bool)?,
            organizer,
            join_url: element.trimmed_of(name::JOIN_URL)?,
            pstn_access: element.optional(name::PSTN_ACCESS)?.map(PstnAccess::read).transpose()?,
            pstn_lobby_bypass: element.value_of(name::PSTN_LOBBY_BYPASS, parse_bool)?,
            autopromote: element.value_of(name::AUTOPROMOTE, |text| text.parse().ok())?,
            server_mode: element.value_of(name::SERVER_MODE, |text| text.parse().ok())?,
            organizer_data: read_opaque(element, name::ORGANIZER_DATA)?,
            notification_data: read_opaque(element, name::NOTIFICATION_DATA)?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.element(name::DESCRIPTION, |writer| {
            writer.optional_leaf(name::DISPLAY_TEXT, self.display_text.as_deref());
            writer.optional_leaf(name::SUBJECT, self.subject.as_deref());
            self.write_conf_uris(writer);
            writer.optional_leaf(name::CONFERENCE_ID, self.conference_id.as_deref());
            writer.optional_leaf(name::LAST_UPDATE, self.last_update.as_deref());
            writer.optional_leaf(name::LAST_ACTIVATE, self.last_activate.as_deref());
            writer.optional_bool(name::IS_ACTIVE, self.is_active);
            writer.optional_leaf(name::EXPIRY_TIME, self.expiry_time.as_deref());
            writer.optional_leaf(name::ADMISSION_POLICY, self.admission_policy.map(admission_policy));
            writer.optional_leaf(name::PASSCODE, self.passcode.as_ref().map(Passcode::expose));
            writer.optional_bool(name::PASSCODE_OPTIONAL, self.passcode_optional);
            if let Some(organizer) = &self.organizer {
                writer.element(name::ORGANIZER, |writer| writer.leaf(name::DISPLAY_NAME, organizer));
            }
            if let Some(access) = &self.pstn_access {
                writer.element(name::PSTN_ACCESS, |writer| writer.optional_leaf(name::PSTN_ID, access.id.as_deref()));
            }
            writer.optional_leaf(name::JOIN_URL, self.join_url.as_deref());
            if let Some(data) = &self.organizer_data {
                writer.opaque(name::ORGANIZER_DATA, data);
            }
            if let Some(data) = &self.notification_data {
                writer.opaque(name::NOTIFICATION_DATA, data);
            }
            self.write_later_additions(writer);
        });
    }

    fn write_conf_uris(&self, writer: &mut Writer) {
        if self.conf_uris.is_empty() {
            return;
        }
        writer.element(name::CONF_URIS, |writer| {
            writer.attribute(name::STATE, State::Full.as_str());
            for conf_uri in &self.conf_uris {
                conf_uri.write(writer);
            }
        });
    }

    /// What came with a later protocol version stands behind a separator, so that an older reader stops there
    /// (c3p.md 1.4).
    fn write_later_additions(&self, writer: &mut Writer) {
        if self.pstn_lobby_bypass.is_none() && self.autopromote.is_none() && self.server_mode.is_none() {
            return;
        }
        writer.empty(name::SEPARATOR);
        writer.optional_number(name::AUTOPROMOTE, self.autopromote);
        writer.optional_bool(name::PSTN_LOBBY_BYPASS, self.pstn_lobby_bypass);
        writer.optional_number(name::SERVER_MODE, self.server_mode);
    }
}

fn read_opaque(element: Element<'_>, name: Name<'static>) -> Result<Option<OpaqueXml>, BadElement> {
    Ok(element.optional(name)?.map(|child| child.opaque().cloned().unwrap_or_default()))
}

impl ConfUri {
    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            uri: element.required(name::URI)?.trimmed().to_owned(),
            display_text: element.text_of(name::DISPLAY_TEXT)?,
            purpose: element.trimmed_of(name::PURPOSE)?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.element(name::ENTRY, |writer| {
            writer.leaf(name::URI, &self.uri);
            writer.optional_leaf(name::DISPLAY_TEXT, self.display_text.as_deref());
            writer.optional_leaf(name::PURPOSE, self.purpose.as_deref());
        });
    }
}

impl PstnAccess {
    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let id = element.optional_in(name::PSTN_ID, Namespace::Msci)?;
        Ok(Self { id: id.map(|id| id.trimmed().to_owned()) })
    }
}
