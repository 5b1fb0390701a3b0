//! A Focus's roster as a conference-info document: names for names, without policy (c3p.md 3.3).
//!
//! How well each is heard is not in it. Neither RFC 4575 nor its extension has a place for that, and each change of the
//! document raises its version and is sent to every subscriber: the figures of n legs, new every 5 s, would be n * n
//! notifications. They are shown by HTTP instead, in metrics and in call detail records.

use base::LegId;
use c3p::conference_info::{
    ConfUri, ConferenceInfo, ConferenceState, ConferenceView, Description, Endpoint, EntityState, EntityView,
    ExecutionInfo, Media, PstnAccess, User, Users, ViewMedia,
};
use c3p::{FocusUri, McuType, MediaStatus, MediaType, SessionType, State};
use focus::{
    ConferenceDescription, ElementState, EndpointElement, EndpointStatus, MediaFilter, RosterDocument, UserElement,
};

/// The only stream of an audio endpoint.
pub(crate) const MEDIA_ID: &str = "1";

/// The conference's audio.
const MAIN_AUDIO: &str = "main-audio";

/// The document without its version, which is each subscriber's own.
pub(crate) fn conference_info(focus: &FocusUri, roster: &RosterDocument) -> ConferenceInfo {
    let state = element_state(roster.state);
    let mut info = ConferenceInfo::new(focus.to_string(), state);
    info.description = roster.description.as_deref().map(|description| describe(focus, description));
    info.conference_state = Some(ConferenceState {
        user_count: u32::try_from(roster.conference.user_count).ok(),
        active: Some(roster.conference.active),
        locked: Some(roster.conference.locked),
    });
    info.users = Some(Users { state, users: roster.users.iter().map(|element| user(element)).collect() });
    info.view = Some(view(focus, state, roster.conference.locked));
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

fn view(focus: &FocusUri, state: State, locked: bool) -> ConferenceView {
    let entity = |entity: String, media: Vec<ViewMedia>| EntityView {
        entity,
        state,
        entity_state: Some(EntityState { locked: Some(locked), media, initial_filters: Vec::new() }),
    };
    let audio = ViewMedia { label: MAIN_AUDIO.to_owned(), media_type: MediaType::Audio };
    ConferenceView {
        state,
        entity_views: vec![
            entity(focus.to_string(), Vec::new()),
            entity(focus.mcu_uri(McuType::AudioVideo), vec![audio]),
        ],
    }
}

fn user(element: &UserElement) -> User {
    let mut user = User::new(element.entity.as_str(), element_state(element.state));
    if element.state != ElementState::Deleted {
        user.display_text = element.display_name.clone();
        user.roles = vec![element.role];
    }
    user.endpoints = element.endpoints.iter().map(endpoint).collect();
    user
}

fn endpoint(element: &EndpointElement) -> Endpoint {
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
    endpoint.joining_info =
        element.joined_by.as_ref().map(|by| ExecutionInfo { by: Some(by.to_string()), ..ExecutionInfo::default() });
    if let Some(disconnection) = &element.disconnection {
        endpoint.disconnection_method = Some(match disconnection.method {
            focus::DisconnectionMethod::Departed => c3p::DisconnectionMethod::Departed,
            focus::DisconnectionMethod::Booted => c3p::DisconnectionMethod::Booted,
            focus::DisconnectionMethod::Failed => c3p::DisconnectionMethod::Failed,
            focus::DisconnectionMethod::Busy => c3p::DisconnectionMethod::Busy,
        });
        endpoint.disconnection_info = Some(ExecutionInfo {
            when: None,
            reason: Some(disconnection.termination.reason.as_str().to_owned()),
            by: disconnection.by.as_ref().map(ToString::to_string),
        });
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
