//! C3P requests, responses and conference-info documents, to and from typed values.
//!
//! Decides what is a well-formed document and what is not; everything else it hands on. It is the only place that
//! knows XML element names, namespaces and enumerated wire strings. It must not know SIP, HTTP or policy: URIs, times
//! and identifiers are texts here unless the wire gives them a form, and what a value means is for others.
//!
//! Reading is total: any bytes give a value or a [`ParseError`], in time and memory in proportion to them and within
//! the bounds of [`Limit`]. Elements and attributes it does not know are skipped, as is `cis:separator`.
//! Writing cannot fail and gives well-formed text, whatever the values hold.
//!
//! Start reading at [`Request`] and [`Command`], then [`Response`], then [`conference_info::ConferenceInfo`]. The
//! words of the wire, with how sure we are of each, stand in `wire`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod app_invite;
mod command;
pub mod conference_info;
mod diagnostic;
mod error;
mod request;
mod response;
pub mod uri;
mod wire;
mod xml;

pub use app_invite::{AppInvite, InstantMessaging};
pub use base::{AccessType, Role};
pub use command::{
    AddEndpointMedia, AddUser, Command, ConferenceKeys, DeleteConference, DeleteEndpoint, DeleteEndpointMedia,
    DeleteUser, EndorseUser, EndpointKeys, GetConference, JoiningEndpoint, MediaKeys, MediaRequest, ModifyConference,
    ModifyConferenceLock, ModifyEndpoint, ModifyEndpointMedia, ModifyUserRoles, ModifyUsersMediaFilters, MuteAll,
    Participant, SetLobbyAccess, UserKeys,
};
pub use diagnostic::Diagnostic;
pub use error::{BadElement, ErrorKind, Limit, ParseError};
pub use request::{Envelope, Request, parse_request};
pub use response::{
    AccessRegion, AddedUser, Capabilities, Failure, KeyValue, Outcome, Response, ResponseBody, parse_response,
};
pub use uri::{ConferenceUri, FocusUri, InvalidUri, factory_uri};
pub use wire::reason::FailureReason;
pub use wire::token::{
    Code, DisconnectionMethod, EndpointStatus, JoiningMethod, LobbyAccess, McuType, MediaFilter, MediaStatus,
    MediaType, SessionType, State, Verb, connection_key,
};
pub use xml::OpaqueXml;
