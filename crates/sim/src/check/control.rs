//! Rules about rosters, legs and dial-outs, by what the engine tells of them.

use std::collections::{BTreeMap, BTreeSet};

use base::{ConferenceId, EndpointId, LegId, UserUri};
use engine::{ConferenceView, LegRecord};
use focus::{EndpointStatus, FocusEvent, SessionType};
use sip_api::Method;

use crate::stack::Stack;

/// What the events have told.
#[derive(Debug, Default)]
pub(super) struct Control {
    joined: BTreeMap<LegId, Joined>,
    dialled: BTreeMap<LegId, (ConferenceId, UserUri, EndpointId)>,
    was_in: BTreeSet<LegId>,
    left: BTreeSet<LegId>,
    recorded: BTreeSet<LegId>,
}

/// An endpoint that is in.
#[derive(Debug)]
pub(super) struct Joined {
    /// For people.
    pub(super) name: String,
    conference: ConferenceId,
    user: UserUri,
    endpoint: EndpointId,
    audio: bool,
}

impl Joined {
    /// Whether a roster shows it as muted; `None` when it does not show it.
    pub(super) fn muted_in(&self, view: &ConferenceView) -> Option<bool> {
        let here = (view.id == self.conference).then_some(view)?;
        let user = here.participants.iter().find(|user| user.user == self.user.as_str())?;
        let endpoint = user.endpoints.iter().find(|endpoint| endpoint.endpoint == self.endpoint.as_str())?;
        Some(endpoint.muted)
    }
}

impl Control {
    pub(super) fn happened(&mut self, conference: &ConferenceId, event: &FocusEvent) -> Result<(), String> {
        match event {
            FocusEvent::EndpointJoined { user, endpoint, leg, session, .. } => {
                let joined = Joined {
                    name: format!("{user} {endpoint}"),
                    conference: conference.clone(),
                    user: user.clone(),
                    endpoint: endpoint.clone(),
                    audio: *session == SessionType::AudioVideo,
                };
                if !self.was_in.insert(*leg) || self.left.contains(leg) {
                    return Err(format!("{} ({leg:?}) joins again, or after it left", joined.name));
                }
                self.joined.insert(*leg, joined);
            }
            FocusEvent::EndpointLeft { user, endpoint, leg, was_in, .. } => {
                self.dialled.remove(leg);
                let joined = self.joined.remove(leg).is_some();
                if !self.left.insert(*leg) || joined != *was_in {
                    return Err(format!("{user} {endpoint} ({leg:?}) leaves again, or was never in"));
                }
            }
            FocusEvent::DialOutRequested { user, endpoint, leg, .. } => {
                let key = (conference.clone(), user.clone(), endpoint.clone());
                if self.dialled.values().any(|known| *known == key) {
                    return Err(format!("{user} {endpoint} is called twice in {conference}"));
                }
                self.dialled.insert(*leg, key);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn recorded(&mut self, record: &LegRecord) -> Result<(), String> {
        let leg = record.leg;
        if !self.recorded.insert(leg) {
            return Err(format!("{leg:?} has two records"));
        }
        if self.joined.contains_key(&leg) {
            return Err(format!("{leg:?} has its record while it is in the roster"));
        }
        if self.was_in.contains(&leg) && record.connected.is_none() {
            return Err(format!("{leg:?} was in, and its record says it never was connected"));
        }
        Ok(())
    }

    /// Who joined and has not left is who the rosters show as connected.
    pub(super) fn agrees_with(&self, views: &[ConferenceView]) -> Result<(), String> {
        let mut told: BTreeSet<(&str, &str, &str)> = BTreeSet::new();
        for joined in self.joined.values().filter(|joined| joined.audio) {
            told.insert((joined.conference.as_str(), joined.user.as_str(), joined.endpoint.as_str()));
        }
        let mut shown = BTreeSet::new();
        for view in views {
            for (user, endpoint) in endpoints(view).filter(|(_, endpoint)| endpoint.audio && is_in(endpoint.status)) {
                shown.insert((view.id.as_str(), user, endpoint.endpoint.as_str()));
            }
        }
        if told == shown { Ok(()) } else { Err(format!("the events tell of {told:?}, the rosters show {shown:?}")) }
    }

    /// Endpoints in with audio.
    pub(super) fn audio(&self) -> impl Iterator<Item = (LegId, &Joined)> {
        self.joined.iter().filter(|(_, joined)| joined.audio).map(|(leg, joined)| (*leg, joined))
    }

    pub(super) fn has_audio(&self, leg: LegId) -> bool {
        self.joined.get(&leg).is_some_and(|joined| joined.audio)
    }

    pub(super) fn at_rest(&self, reserved: &BTreeSet<LegId>) -> Result<(), String> {
        if let Some(leg) = reserved.iter().find(|leg| !self.recorded.contains(leg)) {
            return Err(format!("{leg:?} has no record"));
        }
        if self.joined.is_empty() && self.dialled.is_empty() {
            return Ok(());
        }
        Err(format!("some never left: {:?}, {:?}", self.joined, self.dialled))
    }
}

/// Whether a caller of this leg has been answered but has not acknowledged it.
pub(super) fn is_coming_in(views: &[ConferenceView], conference: &ConferenceId, leg: LegId) -> bool {
    let name = format!("{{leg-{leg}}}");
    let view = views.iter().find(|view| view.id == *conference);
    view.is_some_and(|view| {
        endpoints(view).any(|(_, endpoint)| endpoint.endpoint == name && endpoint.status == EndpointStatus::DialingIn)
    })
}

/// Every INVITE that nobody has answered or cancelled belongs to an endpoint which is being called.
pub(super) fn rings_for_a_reason(views: &[ConferenceView], edge: &Stack) -> Result<(), String> {
    let calls = edge
        .open_requests()
        .filter(|(request, cancelled)| request.method == Method::Invite && request.to_tag().is_none() && !cancelled);
    for (request, _) in calls {
        let contact = request.headers.name_addr("Contact").and_then(Result::ok);
        let Some(contact) = contact.filter(|contact| contact.param("isfocus").is_some()) else { continue };
        let conference = contact.uri.user.unwrap_or_default();
        let view = views.iter().find(|view| view.id.as_str() == conference);
        let calling = |status| matches!(status, EndpointStatus::DialingOut | EndpointStatus::Alerting);
        if !view.is_some_and(|view| endpoints(view).any(|(_, endpoint)| calling(endpoint.status))) {
            return Err(format!("{conference} calls nobody, but {} is still being rung", request.uri));
        }
    }
    Ok(())
}

fn endpoints(view: &ConferenceView) -> impl Iterator<Item = (&str, &engine::EndpointView)> {
    view.participants.iter().flat_map(|user| user.endpoints.iter().map(|endpoint| (user.user.as_str(), endpoint)))
}

fn is_in(status: EndpointStatus) -> bool {
    matches!(status, EndpointStatus::Connected | EndpointStatus::OnHold)
}
