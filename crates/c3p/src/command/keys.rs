//! The key elements that say what a command is about (c3p.md 2.3).

use crate::Diagnostic;
use crate::error::BadElement;
use crate::wire::name;
use crate::xml::{Element, Writer};

/// `conferenceKeys`, in either form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConferenceKeys {
    /// By Focus URI: to the Focus.
    Entity(String),
    /// By conference id, within the organiser's conferences: to the Factory.
    ConferenceId(String),
}

/// `userKeys`: a user of a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserKeys {
    /// The Focus URI.
    pub conference: String,
    /// The user's URI as the roster has it.
    pub user: String,
}

/// `endpointKeys`: an endpoint of a user of a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointKeys {
    /// The Focus URI.
    pub conference: String,
    /// The user's URI as the roster has it.
    pub user: String,
    /// The endpoint's entity as the roster has it.
    pub endpoint: String,
}

/// `mediaKeys`: a stream of an endpoint of a user of a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaKeys {
    /// The Focus URI.
    pub conference: String,
    /// The user's URI as the roster has it.
    pub user: String,
    /// The endpoint's entity as the roster has it.
    pub endpoint: String,
    /// The stream's id as the roster has it.
    pub media: String,
}

impl ConferenceKeys {
    /// Reads the `conferenceKeys` of a command. A Focus URI goes before an id when there are both.
    pub(super) fn read(command: Element<'_>) -> Result<Self, BadElement> {
        let keys = command.required(name::CONFERENCE_KEYS).map_err(conference_invalid)?;
        if let Some(entity) = keys.attribute(name::CONF_ENTITY) {
            return Ok(Self::Entity(entity.trim().to_owned()));
        }
        match keys.attribute(name::CONFERENCE_ID) {
            Some(id) => Ok(Self::ConferenceId(id.trim().to_owned())),
            None => Err(conference_invalid(BadElement::missing(name::CONF_ENTITY))),
        }
    }

    /// Reads the Focus URI out of the `conferenceKeys` of a command that goes to a Focus.
    pub(crate) fn read_entity(command: Element<'_>) -> Result<String, BadElement> {
        read_key(command.required(name::CONFERENCE_KEYS).map_err(conference_invalid)?, name::CONF_ENTITY)
            .map_err(conference_invalid)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Entity(entity) => Self::write_entity(writer, entity),
            Self::ConferenceId(id) => {
                writer.element(name::CONFERENCE_KEYS, |writer| writer.attribute(name::CONFERENCE_ID, id));
            }
        }
    }

    pub(crate) fn write_entity(writer: &mut Writer, entity: &str) {
        writer.element(name::CONFERENCE_KEYS, |writer| writer.attribute(name::CONF_ENTITY, entity));
    }
}

impl UserKeys {
    pub(super) fn read(command: Element<'_>) -> Result<Self, BadElement> {
        let keys = command.required(name::USER_KEYS)?;
        Ok(Self {
            conference: read_key(keys, name::CONF_ENTITY).map_err(conference_invalid)?,
            user: read_key(keys, name::USER_ENTITY).map_err(user_invalid)?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.element(name::USER_KEYS, |writer| {
            writer.attribute(name::CONF_ENTITY, &self.conference);
            writer.attribute(name::USER_ENTITY, &self.user);
        });
    }
}

impl EndpointKeys {
    pub(super) fn read(command: Element<'_>) -> Result<Self, BadElement> {
        Self::read_from(command.required(name::ENDPOINT_KEYS)?)
    }

    fn read_from(keys: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            conference: read_key(keys, name::CONF_ENTITY).map_err(conference_invalid)?,
            user: read_key(keys, name::USER_ENTITY).map_err(user_invalid)?,
            endpoint: read_key(keys, name::ENDPOINT_ENTITY)
                .map_err(|bad| bad.or_diagnostic(Diagnostic::EndpointEntityInvalid))?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.element(name::ENDPOINT_KEYS, |writer| {
            writer.attribute(name::CONF_ENTITY, &self.conference);
            writer.attribute(name::USER_ENTITY, &self.user);
            writer.attribute(name::ENDPOINT_ENTITY, &self.endpoint);
        });
    }
}

impl MediaKeys {
    pub(super) fn read(command: Element<'_>) -> Result<Self, BadElement> {
        let keys = command.required(name::MEDIA_KEYS)?;
        let EndpointKeys { conference, user, endpoint } = EndpointKeys::read_from(keys)?;
        Ok(Self { conference, user, endpoint, media: read_key(keys, name::MEDIA_ID)? })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.element(name::MEDIA_KEYS, |writer| {
            writer.attribute(name::CONF_ENTITY, &self.conference);
            writer.attribute(name::USER_ENTITY, &self.user);
            writer.attribute(name::ENDPOINT_ENTITY, &self.endpoint);
            writer.attribute(name::MEDIA_ID, &self.media);
        });
    }
}

/// A key must be there and not be empty.
fn read_key(keys: Element<'_>, attribute: crate::wire::Name<'static>) -> Result<String, BadElement> {
    match keys.required_attribute(attribute)?.trim() {
        "" => Err(BadElement::new(attribute, "it is empty")),
        key => Ok(key.to_owned()),
    }
}

fn conference_invalid(bad: BadElement) -> BadElement {
    bad.or_diagnostic(Diagnostic::ConfEntityInvalid)
}

fn user_invalid(bad: BadElement) -> BadElement {
    bad.or_diagnostic(Diagnostic::TargetUserInvalid)
}
