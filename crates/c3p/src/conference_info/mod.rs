//! Conference-info: the roster, and the document that schedules a conference (RFC 4575; c3p.md 2.4, 3.3).
//!
//! One type serves both: as a root of its own it is what subscribers are notified of, within a C3P command it is a
//! schedule or a change to one MCU's state.

mod description;
mod users;
mod view;

pub use description::{ConfUri, Description, Passcode, PstnAccess};
pub use users::{Endpoint, ExecutionInfo, Media, User, Users};
pub(crate) use users::{read_roles, write_roles};
pub use view::{ConferenceView, EntityState, EntityView, InitialFilter, ViewMedia};

use crate::error::{BadElement, ErrorKind, ParseError};
use crate::wire::token::parse_bool;
use crate::wire::{Namespace, name};
use crate::xml::{Document, Element, Writer, read, read_within};
use crate::{AccessType, State};

/// A conference-info document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConferenceInfo {
    /// The Focus URI; empty in `addConference`, where the Factory makes it.
    pub entity: String,
    /// How complete the document is.
    pub state: State,
    /// Counts the notifications of one subscription, from 0 or 1 up by one. Absent within C3P.
    pub version: Option<u32>,
    /// A permanent conference, such as a user's own meeting room.
    pub is_static: bool,
    /// What it is about and where it is reached.
    pub description: Option<Description>,
    /// Whether it is active and locked.
    pub conference_state: Option<ConferenceState>,
    /// Who is in.
    pub users: Option<Users>,
    /// The state of the focus and of each MCU; in a schedule, which MCUs are wanted.
    pub view: Option<ConferenceView>,
}

/// `conference-state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConferenceState {
    /// How many users are in.
    pub user_count: Option<u32>,
    /// Whether it is active.
    pub active: Option<bool>,
    /// Whether it is locked.
    pub locked: Option<bool>,
}

/// Reads a document whose root is `conference-info`: the body of a roster notification.
pub fn parse(body: &[u8]) -> Result<ConferenceInfo, ParseError> {
    from_document(&read(body)?)
}

/// As [`parse`], but up to `body_max` bytes and in proportion more elements: for a client of a focus it trusts. A
/// user with two sessions takes about 660 bytes, so that a full roster of 400 users is larger than [`parse`] reads.
pub fn parse_within(body: &[u8], body_max: usize) -> Result<ConferenceInfo, ParseError> {
    from_document(&read_within(body, body_max)?)
}

fn from_document(document: &Document) -> Result<ConferenceInfo, ParseError> {
    if !document.root().is(name::CONFERENCE_INFO) {
        return Err(ErrorKind::NotC3p { why: "the root is not conference-info" }.into());
    }
    Ok(ConferenceInfo::read(document.root())?)
}

impl ConferenceInfo {
    /// A document with nothing in it but its entity and state.
    pub fn new(entity: impl Into<String>, state: State) -> Self {
        Self {
            entity: entity.into(),
            state,
            version: None,
            is_static: false,
            description: None,
            conference_state: None,
            users: None,
            view: None,
        }
    }

    /// A notification that some users changed, for [`ConferenceInfo::prepare`]; cost is in proportion to `users`.
    pub fn partial(entity: impl Into<String>, users: Vec<User>) -> Self {
        Self { users: Some(Users { state: State::Partial, users }), ..Self::new(entity, State::Partial) }
    }

    /// The whole document, with its own version.
    pub fn to_xml(&self) -> String {
        self.write_document(self.version).0
    }

    /// The document without its version: written once, then sent to every subscriber, each with a version of his own.
    pub fn prepare(&self) -> PreparedInfo {
        let (text, version_at) = self.write_document(None);
        PreparedInfo { text, version_at }
    }

    /// The admission policy, if the document states one.
    pub fn admission_policy(&self) -> Option<AccessType> {
        self.description.as_ref().and_then(|description| description.admission_policy)
    }

    /// Returns the text and where in it a version attribute may be inserted.
    fn write_document(&self, version: Option<u32>) -> (String, usize) {
        let mut version_at = 0;
        let text =
            Writer::document(Namespace::Ci, &[Namespace::Msci, Namespace::Ci], name::CONFERENCE_INFO, |writer| {
                self.write_attributes(writer);
                version_at = writer.position();
                writer.optional_attribute(name::VERSION, version.map(|version| version.to_string()).as_deref());
                self.write_content(writer);
            });
        (text, version_at)
    }

    /// Writes it as an element of a C3P body.
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.element(name::CONFERENCE_INFO, |writer| {
            self.write_attributes(writer);
            writer.optional_attribute(name::VERSION, self.version.map(|version| version.to_string()).as_deref());
            self.write_content(writer);
        });
    }

    fn write_attributes(&self, writer: &mut Writer) {
        writer.attribute(name::ENTITY, &self.entity);
        writer.attribute(name::STATE, self.state.as_str());
        if self.is_static {
            writer.attribute(name::STATIC, "true");
        }
    }

    fn write_content(&self, writer: &mut Writer) {
        if let Some(description) = &self.description {
            description.write(writer);
        }
        if let Some(state) = &self.conference_state {
            state.write(writer);
        }
        if let Some(users) = &self.users {
            users.write(writer);
        }
        if let Some(view) = &self.view {
            view.write(writer);
        }
    }

    /// Reads the element.
    pub(crate) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let version = element
            .attribute(name::VERSION)
            .map(|text| text.trim().parse().map_err(|_| BadElement::new(name::VERSION, "it is not an unsigned number")))
            .transpose()?;
        let is_static = match element.attribute(name::STATIC) {
            None => false,
            Some(text) => parse_bool(text.trim()).ok_or(BadElement::new(name::STATIC, "it is not a boolean"))?,
        };
        Ok(Self {
            entity: element.attribute(name::ENTITY).unwrap_or_default().to_owned(),
            state: read_state(element.attribute(name::STATE))?,
            version,
            is_static,
            description: element.optional(name::DESCRIPTION)?.map(Description::read).transpose()?,
            conference_state: element.optional(name::CONFERENCE_STATE)?.map(ConferenceState::read).transpose()?,
            users: element.optional(name::USERS)?.map(Users::read).transpose()?,
            view: element.optional(name::CONFERENCE_VIEW)?.map(ConferenceView::read).transpose()?,
        })
    }
}

impl ConferenceState {
    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            user_count: element.value_of(name::USER_COUNT, |text| text.parse().ok())?,
            active: element.value_of(name::ACTIVE, parse_bool)?,
            locked: element.value_of(name::LOCKED, parse_bool)?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.element(name::CONFERENCE_STATE, |writer| {
            writer.optional_number(name::USER_COUNT, self.user_count);
            writer.optional_bool(name::ACTIVE, self.active);
            writer.optional_bool(name::LOCKED, self.locked);
        });
    }
}

/// A roster document that lacks only its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedInfo {
    text: String,
    version_at: usize,
}

impl PreparedInfo {
    /// The document for one subscriber.
    pub fn with_version(&self, version: u32) -> String {
        let (head, tail) = self.text.split_at(self.version_at);
        format!("{head} version=\"{version}\"{tail}")
    }
}

/// The state of a document or element; absent means full (RFC 4575 5.1).
fn read_state(text: Option<&str>) -> Result<State, BadElement> {
    match text {
        None => Ok(State::Full),
        Some(text) => {
            State::parse(text.trim()).ok_or(BadElement::new(name::STATE, "it is not full, partial or deleted"))
        }
    }
}
