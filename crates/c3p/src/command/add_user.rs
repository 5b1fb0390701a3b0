//! `addUser`: join, dial out, or ask for connection information (c3p.md 2.5 to 2.7).

use base::{EndpointId, Role, UserUri};

use super::{ConferenceKeys, read_mcu_uri};
use crate::conference_info::{read_roles, write_roles};
use crate::error::BadElement;
use crate::wire::token::parse_bool;
use crate::wire::{Name, Namespace, name};
use crate::xml::{Element, Writer};
use crate::{Diagnostic, JoiningMethod, MediaType, SessionType};

/// `addUser`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddUser {
    /// The Focus URI.
    pub conference: String,
    /// Who is to be in.
    pub user: Participant,
    /// The MCU that dials, or that he wants connection information of; absent when he joins the focus itself.
    pub mcu_uri: Option<String>,
}

/// The one user of an `addUser`, in the request as in the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// His URI; a `sip:` or `tel:` URI by its form.
    pub entity: String,
    /// The name to show.
    pub display_text: Option<String>,
    /// The role wanted; in a response, the role granted.
    pub role: Option<Role>,
    /// The device; in a response, only if it is really joining.
    pub endpoint: Option<JoiningEndpoint>,
}

/// The one endpoint of an `addUser`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoiningEndpoint {
    /// Its name: an endpoint entity by its form, a brace-wrapped GUID by custom.
    pub entity: String,
    /// What it is to be connected to.
    pub session_type: Option<SessionType>,
    /// Whom to dial: a `sip:` or `tel:` URI by its form.
    pub endpoint_uri: Option<String>,
    /// Whom to dial instead: a `sip:` or `tel:` URI by its form.
    pub refer_to_uri: Option<String>,
    /// For whom the session is held; echoed in the response.
    pub on_behalf_of: Option<String>,
    /// `dialed-out` asks the MCU to dial; `dialed-in` asks for connection information; absent for a plain join.
    pub joining_method: Option<JoiningMethod>,
    /// The streams wanted.
    pub media: Vec<MediaRequest>,
    /// Whether the client understands the lobby; absent when it sent no client information.
    pub lobby_capable: Option<bool>,
}

/// A stream wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRequest {
    /// Its name within the endpoint.
    pub id: String,
    /// What it carries.
    pub media_type: MediaType,
}

impl AddUser {
    /// Whether the MCU is to dial.
    pub fn is_dial_out(&self) -> bool {
        self.joining_method() == Some(JoiningMethod::DialedOut)
    }

    /// How the endpoint is to come in, if the request says so.
    pub fn joining_method(&self) -> Option<JoiningMethod> {
        self.user.endpoint.as_ref().and_then(|endpoint| endpoint.joining_method)
    }

    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let user = element.required(name::USER).map_err(|bad| bad.or_diagnostic(Diagnostic::TargetUserInvalid))?;
        for endpoint in user.children_named(name::ENDPOINT) {
            check_server_filled(endpoint)?;
        }
        Ok(Self {
            conference: ConferenceKeys::read_entity(element)?,
            user: Participant::read(user)?,
            mcu_uri: read_mcu_uri(element),
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        ConferenceKeys::write_entity(writer, &self.conference);
        self.user.write(writer);
    }
}

impl Participant {
    /// Reads a `user` element. Errors carry the id of their own, or that of an invalid `addUser` body.
    pub(crate) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Self::read_parts(element).map_err(|bad| bad.or_diagnostic(Diagnostic::AddUserInvalid))
    }

    fn read_parts(element: Element<'_>) -> Result<Self, BadElement> {
        let target_invalid = |bad: BadElement| bad.or_diagnostic(Diagnostic::TargetUserInvalid);
        let entity = element.required_attribute(name::ENTITY).map_err(target_invalid)?.trim();
        check_uri(name::ENTITY, entity).map_err(target_invalid)?;
        Ok(Self {
            entity: entity.to_owned(),
            display_text: element.text_of(name::DISPLAY_TEXT)?,
            role: read_role(element)?,
            endpoint: element.optional(name::ENDPOINT)?.map(JoiningEndpoint::read).transpose()?,
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.element(name::USER, |writer| {
            writer.attribute(name::ENTITY, &self.entity);
            writer.optional_leaf(name::DISPLAY_TEXT, self.display_text.as_deref());
            write_roles(writer, self.role.as_slice());
            if let Some(endpoint) = &self.endpoint {
                endpoint.write(writer);
            }
        });
    }
}

impl JoiningEndpoint {
    /// An endpoint with nothing but its entity.
    pub fn new(entity: impl Into<String>) -> Self {
        Self {
            entity: entity.into(),
            session_type: None,
            endpoint_uri: None,
            refer_to_uri: None,
            on_behalf_of: None,
            joining_method: None,
            media: Vec::new(),
            lobby_capable: None,
        }
    }

    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let entity = element.attribute(name::ENTITY).map(str::trim).unwrap_or_default();
        if EndpointId::parse(entity).is_err() {
            return Err(BadElement::new(name::ENTITY, "it does not name an endpoint")
                .or_diagnostic(Diagnostic::EndpointEntityInvalid));
        }
        let lobby_capable = match element.optional(name::CLIENT_INFO)? {
            Some(client) => client.value_of(name::LOBBY_CAPABLE, parse_bool)?,
            None => None,
        };
        Ok(Self {
            entity: entity.to_owned(),
            session_type: element.attribute_or_bare(name::SESSION_TYPE).map(SessionType::parse),
            endpoint_uri: read_uri(element, name::ENDPOINT_URI)?,
            refer_to_uri: read_uri(element, name::REFER_TO_URI)?,
            on_behalf_of: element.attribute_or_bare(name::ON_BEHALF_OF).map(str::to_owned),
            joining_method: element
                .value_of(name::JOINING_METHOD, JoiningMethod::parse)
                .map_err(|bad| bad.or_diagnostic(Diagnostic::JoiningMethodInvalid))?,
            media: element.children_named(name::MEDIA).map(MediaRequest::read).collect::<Result<_, _>>()?,
            lobby_capable,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.element(name::ENDPOINT, |writer| {
            writer.attribute(name::ENTITY, &self.entity);
            writer.optional_attribute(name::SESSION_TYPE, self.session_type.as_ref().map(SessionType::as_str));
            writer.optional_attribute(name::ENDPOINT_URI, self.endpoint_uri.as_deref());
            writer.optional_attribute(name::REFER_TO_URI, self.refer_to_uri.as_deref());
            writer.optional_attribute(name::ON_BEHALF_OF, self.on_behalf_of.as_deref());
            writer.optional_leaf(name::JOINING_METHOD, self.joining_method.map(JoiningMethod::as_str));
            for media in &self.media {
                media.write(writer);
            }
            if self.lobby_capable.is_some() {
                writer.element(name::CLIENT_INFO, |writer| {
                    writer.empty(name::SEPARATOR);
                    writer.optional_bool(name::LOBBY_CAPABLE, self.lobby_capable);
                });
            }
        });
    }
}

impl MediaRequest {
    /// Audio.
    pub fn audio(id: impl Into<String>) -> Self {
        Self { id: id.into(), media_type: MediaType::Audio }
    }

    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            id: element.required_attribute(name::ID)?.to_owned(),
            media_type: MediaType::parse(element.required(name::TYPE)?.trimmed()),
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.element(name::MEDIA, |writer| {
            writer.attribute(name::ID, &self.id);
            writer.leaf(name::TYPE, self.media_type.as_str());
        });
    }
}

/// At most one `roles`, with at most one entry.
fn read_role(user: Element<'_>) -> Result<Option<Role>, BadElement> {
    let role_invalid = |bad: BadElement| bad.or_diagnostic(Diagnostic::RoleInvalid);
    let Some(roles) = user.optional(name::ROLES).map_err(role_invalid)? else { return Ok(None) };
    match read_roles(roles)?.as_slice() {
        [] => Ok(None),
        [role] => Ok(Some(*role)),
        _ => Err(role_invalid(BadElement::new(name::ROLES, "it has more than one entry"))),
    }
}

/// Clients leave it to the server to say how a user was authenticated and from where (c3p.md 2.6).
fn check_server_filled(endpoint: Element<'_>) -> Result<(), BadElement> {
    for name in [name::AUTH_METHOD, name::ACCESS_METHOD] {
        if endpoint.optional_in(name, Namespace::Ci)?.is_some_and(|child| !child.trimmed().is_empty()) {
            return Err(
                BadElement::new(name, "only the server fills it").or_diagnostic(Diagnostic::AuthMethodNotAcceptable)
            );
        }
    }
    Ok(())
}

fn read_uri(element: Element<'_>, attribute: Name<'static>) -> Result<Option<String>, BadElement> {
    let Some(uri) = element.attribute_or_bare(attribute).map(str::trim) else { return Ok(None) };
    check_uri(attribute, uri)?;
    Ok(Some(uri.to_owned()))
}

fn check_uri(attribute: Name<'static>, uri: &str) -> Result<(), BadElement> {
    match UserUri::parse(uri) {
        Ok(_) => Ok(()),
        Err(_) => Err(BadElement::new(attribute, "it is not a sip, sips or tel URI")),
    }
}
