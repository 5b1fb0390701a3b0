//! `users`: who is in, with which devices, and what their media do.

use base::Role;

use super::read_state;
use crate::error::BadElement;
use crate::wire::token::{parse_role, role};
use crate::wire::{Namespace, name};
use crate::xml::{Element, Writer};
use crate::{
    DisconnectionMethod, EndpointStatus, JoiningMethod, MediaFilter, MediaStatus, MediaType, SessionType, State,
};

/// `users`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    /// Whether these are all users or those that changed.
    pub state: State,
    /// The users.
    pub users: Vec<User>,
}

/// A user: a person, however many devices he joined with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// His URI.
    pub entity: String,
    /// Whether all of him is here, what changed, or that he is gone.
    pub state: State,
    /// His name.
    pub display_text: Option<String>,
    /// His roles; one by custom.
    pub roles: Vec<Role>,
    /// His devices, one for each session: the focus itself and each MCU.
    pub endpoints: Vec<Endpoint>,
}

/// One session of one device of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name, a brace-wrapped GUID by custom.
    pub entity: String,
    /// Whether all of it is here, what changed, or that it is gone.
    pub state: State,
    /// What it is connected to.
    pub session_type: Option<SessionType>,
    /// Its own address.
    pub endpoint_uri: Option<String>,
    /// Where it stands.
    pub status: Option<EndpointStatus>,
    /// How it came in.
    pub joining_method: Option<JoiningMethod>,
    /// When, why and by whom it came in.
    pub joining_info: Option<ExecutionInfo>,
    /// How it went out.
    pub disconnection_method: Option<DisconnectionMethod>,
    /// When, why and by whom it went out.
    pub disconnection_info: Option<ExecutionInfo>,
    /// How the user was authenticated; filled by the server.
    pub auth_method: Option<String>,
    /// From where he came; filled by the server.
    pub access_method: Option<String>,
    /// Its streams.
    pub media: Vec<Media>,
}

/// When, why and by whom something was done (RFC 4575 5.6.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionInfo {
    /// When: an `xs:dateTime` as it stands on the wire.
    pub when: Option<String>,
    /// Why: often the value of a SIP `Reason` header.
    pub reason: Option<String>,
    /// By whom: a URI.
    pub by: Option<String>,
}

/// One stream of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Its name within the endpoint.
    pub id: String,
    /// What it carries.
    pub media_type: Option<MediaType>,
    /// Which of the conference's streams it belongs to, such as `main-audio`.
    pub label: Option<String>,
    /// Its RTP synchronisation source.
    pub src_id: Option<String>,
    /// Which way it flows.
    pub status: Option<MediaStatus>,
    /// Where it stands, as a session of its own.
    pub media_state: Option<EndpointStatus>,
    /// From the participant into the mix; `Block` is mute.
    pub ingress: Option<MediaFilter>,
    /// From the mix to the participant.
    pub egress: Option<MediaFilter>,
}

impl User {
    /// A user with nothing but his entity.
    pub fn new(entity: impl Into<String>, state: State) -> Self {
        Self { entity: entity.into(), state, display_text: None, roles: Vec::new(), endpoints: Vec::new() }
    }

    /// A user who is gone.
    pub fn deleted(entity: impl Into<String>) -> Self {
        Self::new(entity, State::Deleted)
    }

    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let roles = match element.optional(name::ROLES)? {
            Some(roles) => read_roles(roles)?,
            None => Vec::new(),
        };
        Ok(Self {
            entity: element.required_attribute(name::ENTITY)?.to_owned(),
            state: read_state(element.attribute(name::STATE))?,
            display_text: element.text_of(name::DISPLAY_TEXT)?,
            roles,
            endpoints: element.children_named(name::ENDPOINT).map(Endpoint::read).collect::<Result<_, _>>()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.element(name::USER, |writer| {
            writer.attribute(name::ENTITY, &self.entity);
            writer.attribute(name::STATE, self.state.as_str());
            writer.optional_leaf(name::DISPLAY_TEXT, self.display_text.as_deref());
            write_roles(writer, &self.roles);
            for endpoint in &self.endpoints {
                endpoint.write(writer);
            }
        });
    }
}

impl Users {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            state: read_state(element.attribute(name::STATE))?,
            users: element.children_named(name::USER).map(User::read).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.element(name::USERS, |writer| {
            writer.attribute(name::STATE, self.state.as_str());
            for user in &self.users {
                user.write(writer);
            }
        });
    }
}

impl Endpoint {
    /// An endpoint with nothing but its entity.
    pub fn new(entity: impl Into<String>, state: State) -> Self {
        Self {
            entity: entity.into(),
            state,
            session_type: None,
            endpoint_uri: None,
            status: None,
            joining_method: None,
            joining_info: None,
            disconnection_method: None,
            disconnection_info: None,
            auth_method: None,
            access_method: None,
            media: Vec::new(),
        }
    }

    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let server_filled =
            |name| Ok(element.optional_in(name, Namespace::Ci)?.map(|child| child.trimmed().to_owned()));
        Ok(Self {
            entity: element.required_attribute(name::ENTITY)?.to_owned(),
            state: read_state(element.attribute(name::STATE))?,
            session_type: element.attribute_or_bare(name::SESSION_TYPE).map(SessionType::parse),
            endpoint_uri: element.attribute_or_bare(name::ENDPOINT_URI).map(str::to_owned),
            status: element.value_of(name::STATUS, EndpointStatus::parse)?,
            joining_method: element.value_of(name::JOINING_METHOD, JoiningMethod::parse)?,
            joining_info: element.optional(name::JOINING_INFO)?.map(ExecutionInfo::read).transpose()?,
            disconnection_method: element.value_of(name::DISCONNECTION_METHOD, DisconnectionMethod::parse)?,
            disconnection_info: element.optional(name::DISCONNECTION_INFO)?.map(ExecutionInfo::read).transpose()?,
            auth_method: server_filled(name::AUTH_METHOD)?,
            access_method: server_filled(name::ACCESS_METHOD)?,
            media: element.children_named(name::MEDIA).map(Media::read).collect::<Result<_, _>>()?,
        })
    }

    /// Children in the order of RFC 4575's schema, extensions last.
    fn write(&self, writer: &mut Writer) {
        writer.element(name::ENDPOINT, |writer| {
            writer.attribute(name::ENTITY, &self.entity);
            if self.state != State::Full {
                writer.attribute(name::STATE, self.state.as_str());
            }
            writer.optional_attribute(name::SESSION_TYPE, self.session_type.as_ref().map(SessionType::as_str));
            writer.optional_attribute(name::ENDPOINT_URI, self.endpoint_uri.as_deref());
            writer.optional_leaf(name::STATUS, self.status.map(EndpointStatus::as_str));
            writer.optional_leaf(name::JOINING_METHOD, self.joining_method.map(JoiningMethod::as_str));
            if let Some(info) = &self.joining_info {
                writer.element(name::JOINING_INFO, |writer| info.write(writer));
            }
            let method = self.disconnection_method.map(DisconnectionMethod::as_str);
            writer.optional_leaf(name::DISCONNECTION_METHOD, method);
            if let Some(info) = &self.disconnection_info {
                writer.element(name::DISCONNECTION_INFO, |writer| info.write(writer));
            }
            for media in &self.media {
                media.write(writer);
            }
            writer.optional_leaf(name::AUTH_METHOD, self.auth_method.as_deref());
            writer.optional_leaf(name::ACCESS_METHOD, self.access_method.as_deref());
        });
    }
}

impl ExecutionInfo {
    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            when: element.trimmed_of(name::WHEN)?,
            reason: element.text_of(name::REASON)?,
            by: element.trimmed_of(name::BY)?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.optional_leaf(name::WHEN, self.when.as_deref());
        writer.optional_leaf(name::REASON, self.reason.as_deref());
        writer.optional_leaf(name::BY, self.by.as_deref());
    }
}

impl Media {
    /// A stream with nothing but its id.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            media_type: None,
            label: None,
            src_id: None,
            status: None,
            media_state: None,
            ingress: None,
            egress: None,
        }
    }

    pub(crate) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            id: element.required_attribute(name::ID)?.to_owned(),
            media_type: element.optional(name::TYPE)?.map(|child| MediaType::parse(child.trimmed())),
            label: element.trimmed_of(name::LABEL)?,
            src_id: element.trimmed_of(name::SRC_ID)?,
            status: element.value_of(name::STATUS, MediaStatus::parse)?,
            media_state: element.value_of(name::MEDIA_STATE, EndpointStatus::parse)?,
            ingress: element.value_of(name::INGRESS_FILTER, MediaFilter::parse)?,
            egress: element.value_of(name::EGRESS_FILTER, MediaFilter::parse)?,
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.element(name::MEDIA, |writer| {
            writer.attribute(name::ID, &self.id);
            writer.optional_leaf(name::TYPE, self.media_type.as_ref().map(MediaType::as_str));
            writer.optional_leaf(name::LABEL, self.label.as_deref());
            writer.optional_leaf(name::SRC_ID, self.src_id.as_deref());
            writer.optional_leaf(name::STATUS, self.status.map(MediaStatus::as_str));
            writer.optional_leaf(name::MEDIA_STATE, self.media_state.map(EndpointStatus::as_str));
            writer.optional_leaf(name::INGRESS_FILTER, self.ingress.map(MediaFilter::as_str));
            writer.optional_leaf(name::EGRESS_FILTER, self.egress.map(MediaFilter::as_str));
        });
    }
}

/// Reads the entries of a `roles` or `user-roles` element.
pub(crate) fn read_roles(element: Element<'_>) -> Result<Vec<Role>, BadElement> {
    element
        .children_named(name::ENTRY)
        .map(|entry| entry.value(name::ROLES, parse_role))
        .collect::<Result<_, _>>()
        .map_err(|bad| bad.or_diagnostic(crate::Diagnostic::RoleInvalid))
}

/// Writes a `roles` element, if there is a role.
pub(crate) fn write_roles(writer: &mut Writer, roles: &[Role]) {
    if roles.is_empty() {
        return;
    }
    writer.element(name::ROLES, |writer| {
        for entry in roles {
            writer.leaf(name::ENTRY, role(*entry));
        }
    });
}
