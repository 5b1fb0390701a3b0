//! A Focus's roster as a conference-info document: names for names, without policy (c3p.md 3.3).
//!
//! How well each is heard is not in it. Neither RFC 4575 nor its extension has a place for that, and each change of the
//! document raises its version and is sent to every subscriber: the figures of n legs, new every 5 s, would be n * n
//! notifications. They are shown by HTTP instead, in metrics and in call detail records.

use base::{LegId, Timestamp};
use c3p::conference_info::{
    ConfUri, ConferenceInfo, ConferenceState, ConferenceView, Description, Endpoint, EntityState, EntityView,
    ExecutionInfo, InitialFilter, Media, PstnAccess, User, Users, ViewMedia,
};
use c3p::{FocusUri, McuType, MediaStatus, MediaType, SessionType, State};
use focus::{
    ConferenceDescription, ElementState, EndpointElement, EndpointStatus, MediaFilter, RosterDocument, UserElement,
};

use crate::control::schedule::{format_time, unix_ms};

/// The only stream of an audio endpoint.
pub(crate) const MEDIA_ID: &str = "1";

/// The conference's audio.
const MAIN_AUDIO: &str = "main-audio";

/// `authMethod` of somebody who has proven that he has an account here [M-low].
const AUTH_ENTERPRISE: &str = "enterprise";

/// `authMethod` of everybody else [M-low].
const AUTH_ANONYMOUS: &str = "anonymous";

/// `accessMethod`: there is no Edge that somebody could have come by, so everybody comes straight to the server [M-low].
const ACCESS_INTERNAL: &str = "internal";

/// The document without its version, which is each subscriber's own. `unix_start_ms` is when the engine's time began, in
/// milliseconds since 1970.
pub(crate) fn conference_info(focus: &FocusUri, roster: &RosterDocument, unix_start_ms: i64) -> ConferenceInfo {
    let state = element_state(roster.state);
    let mut info = ConferenceInfo::new(focus.to_string(), state);
    info.description = roster.description.as_deref().map(|description| describe(focus, description));
    info.conference_state = Some(ConferenceState {
        user_count: u32::try_from(roster.conference.user_count).ok(),
        active: Some(roster.conference.active),
        locked: Some(roster.conference.locked),
    });
    info.users =
        Some(Users { state, users: roster.users.iter().map(|element| user(element, unix_start_ms)).collect() });
    info.view = Some(view(focus, state, roster.conference));
    info
}

/// What a conference is, for its members and its organizer.
pub(crate) fn describe(focus: &FocusUri, description: &ConferenceDescription) -> Description {
    Description {
        subject: description.subject.clone(),
        conf_uris: vec![ConfUri::mcu(focus.mcu_uri(McuType::AudioVideo), McuType::AudioVideo)],
        conference_id: Some(description.id.to_string()),
        admission_policy: Some(description.access),
        organizer: Some(description.organizer_name.clone().unwrap_or_else(|| description.organizer.to_string())),
        pstn_access: description.number.as_ref().map(|number| PstnAccess { id: Some(number.to_string()) }),
        ..Description::default()
    }
}

fn view(focus: &FocusUri, state: State, conference: focus::ConferenceState) -> ConferenceView {
    let locked = Some(conference.locked);
    let entity = |entity: String, media: Vec<ViewMedia>, initial_filters: Vec<InitialFilter>| EntityView {
        entity,
        state,
        entity_state: Some(EntityState { locked, media, initial_filters }),
    };
    let audio = ViewMedia { label: MAIN_AUDIO.to_owned(), media_type: MediaType::Audio };
    let ingress = if conference.mutes_attendees { c3p::MediaFilter::Block } else { c3p::MediaFilter::Unblock };
    let initial = InitialFilter::for_everybody(ingress);
    ConferenceView {
        state,
        entity_views: vec![
            entity(focus.to_string(), Vec::new(), Vec::new()),
            entity(focus.mcu_uri(McuType::AudioVideo), vec![audio], vec![initial]),
        ],
    }
}

fn user(element: &UserElement, unix_start_ms: i64) -> User {
    let mut user = User::new(element.entity.as_str(), element_state(element.state));
    if element.state != ElementState::Deleted {
        user.display_text = element.display_name.clone();
        user.roles = vec![element.role];
    }
    user.endpoints = element.endpoints.iter().map(|element| endpoint(element, unix_start_ms)).collect();
    user
}

fn endpoint(element: &EndpointElement, unix_start_ms: i64) -> Endpoint {
    let date = |at: Timestamp| format_time(unix_ms(unix_start_ms, at));
    let mut endpoint = Endpoint::new(element.entity.as_str(), element_state(element.state));
    endpoint.session_type = Some(match element.session {
        focus::SessionType::Focus => SessionType::Focus,
        focus::SessionType::AudioVideo => SessionType::Mcu(McuType::AudioVideo),
    });
    endpoint.endpoint_uri = element.uri.as_ref().map(ToString::to_string);
    endpoint.status = Some(status(element.status));
    endpoint.joining_method = Some(match element.joining_method {
        focus::JoiningMethod::DialedIn => c3p::JoiningMethod::DialedIn,
        focus::JoiningMethod::DialedOut => c3p::JoiningMethod::DialedOut,
    });
    let (joined, by) = (element.joined.map(date), element.joined_by.as_ref().map(ToString::to_string));
    if joined.is_some() || by.is_some() {
        endpoint.joining_info = Some(ExecutionInfo { when: joined, reason: None, by });
    }
    if let Some(disconnection) = &element.disconnection {
        endpoint.disconnection_method = Some(match disconnection.method {
            focus::DisconnectionMethod::Departed => c3p::DisconnectionMethod::Departed,
            focus::DisconnectionMethod::Booted => c3p::DisconnectionMethod::Booted,
            focus::DisconnectionMethod::Failed => c3p::DisconnectionMethod::Failed,
            focus::DisconnectionMethod::Busy => c3p::DisconnectionMethod::Busy,
        });
        endpoint.disconnection_info = Some(ExecutionInfo {
            when: Some(date(disconnection.at)),
            reason: Some(disconnection.termination.reason.as_str().to_owned()),
            by: disconnection.by.as_ref().map(ToString::to_string),
        });
    }
    if element.state != ElementState::Deleted {
        let auth = if element.authenticated { AUTH_ENTERPRISE } else { AUTH_ANONYMOUS };
        endpoint.auth_method = Some(auth.to_owned());
        endpoint.access_method = Some(ACCESS_INTERNAL.to_owned());
    }
    if element.session == focus::SessionType::AudioVideo && element.state != ElementState::Deleted {
        endpoint.media = vec![audio(element)];
    }
    endpoint
}

/// The audio of an endpoint, seen from the endpoint: who is muted only receives.
fn audio(element: &EndpointElement) -> Media {
    let mut media = Media::new(MEDIA_ID);
    media.media_type = Some(MediaType::Audio);
    media.label = Some(MAIN_AUDIO.to_owned());
    media.src_id = Some(source_id(element.leg).to_string());
    media.status = Some(match (element.status, element.ingress, element.egress) {
        (EndpointStatus::OnHold | EndpointStatus::Waiting, ..) | (_, MediaFilter::Block, MediaFilter::Block) => {
            MediaStatus::Inactive
        }
        (_, MediaFilter::Block, MediaFilter::Unblock) => MediaStatus::RecvOnly,
        (_, MediaFilter::Unblock, MediaFilter::Block) => MediaStatus::SendOnly,
        (_, MediaFilter::Unblock, MediaFilter::Unblock) => MediaStatus::SendRecv,
    });
    // Tells somebody in the lobby from somebody who put us on hold.
    media.media_state = Some(match element.status {
        EndpointStatus::Waiting => c3p::EndpointStatus::Pending,
        other => status(other),
    });
    media.ingress = Some(filter(element.ingress));
    media.egress = Some(filter(element.egress));
    media
}

/// A number for the stream that a client may compare; the leg's, folded into 32 bits.
fn source_id(leg: LegId) -> u32 {
    u32::try_from(leg.0 & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

const fn element_state(state: ElementState) -> State {
    match state {
        ElementState::Full => State::Full,
        ElementState::Partial => State::Partial,
        ElementState::Deleted => State::Deleted,
    }
}

/// A status in the roster's words.
pub(crate) const fn status(status: EndpointStatus) -> c3p::EndpointStatus {
    match status {
        EndpointStatus::Pending => c3p::EndpointStatus::Pending,
        EndpointStatus::DialingOut => c3p::EndpointStatus::DialingOut,
        EndpointStatus::Alerting => c3p::EndpointStatus::Alerting,
        EndpointStatus::DialingIn => c3p::EndpointStatus::DialingIn,
        EndpointStatus::Connected => c3p::EndpointStatus::Connected,
        // c3p.md 3.3: this is how clients know that somebody waits in the lobby.
        EndpointStatus::OnHold | EndpointStatus::Waiting => c3p::EndpointStatus::OnHold,
        EndpointStatus::Disconnected => c3p::EndpointStatus::Disconnected,
    }
}

const fn filter(filter: MediaFilter) -> c3p::MediaFilter {
    match filter {
        MediaFilter::Unblock => c3p::MediaFilter::Unblock,
        MediaFilter::Block => c3p::MediaFilter::Block,
    }
}
