//! The roster as a subscriber puts it together out of full and partial documents (RFC 4575 4.6, c3p.md 3).

use std::collections::BTreeMap;

use c3p::State;
use c3p::conference_info::{ConferenceInfo, Endpoint, User};

/// What one subscriber knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct RosterCopy {
    /// The conference, as its Focus URI.
    pub(crate) entity: String,
    version: Option<u32>,
    pub(crate) snapshot: Snapshot,
    /// The subscription is over.
    pub(crate) over: bool,
    /// A refresh is on its way; if it comes too late it opens a new subscription.
    pub(crate) refreshing: bool,
}

/// A roster in comparable form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) locked: bool,
    /// Role and endpoints of each user.
    pub(crate) users: BTreeMap<String, (String, BTreeMap<String, EndpointSnapshot>)>,
}

/// An endpoint in comparable form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointSnapshot {
    pub(crate) status: String,
    pub(crate) muted: bool,
    pub(crate) audio: bool,
    /// It is in the lobby.
    pub(crate) waits: bool,
}

impl RosterCopy {
    /// Whether a document has come yet.
    pub(crate) fn has_begun(&self) -> bool {
        self.version.is_some()
    }

    /// Takes a document in; versions rise by one and the first document is full.
    pub(crate) fn apply(&mut self, document: &ConferenceInfo) -> Result<(), String> {
        let version = document.version.ok_or("a roster document has no version")?;
        match self.version {
            Some(before) if version != before + 1 => return Err(format!("version {version} follows {before}")),
            None if document.state != State::Full => return Err("the first document is not full".to_owned()),
            _ => self.version = Some(version),
        }
        self.entity.clone_from(&document.entity);
        if document.state != State::Partial {
            self.snapshot = Snapshot::default();
        }
        if let Some(locked) = document.conference_state.as_ref().and_then(|state| state.locked) {
            self.snapshot.locked = locked;
        }
        let users = document.users.iter().flat_map(|users| &users.users);
        for user in users {
            self.apply_user(user)?;
        }
        let count = document.conference_state.as_ref().and_then(|state| state.user_count);
        match count {
            Some(count) if count as usize != self.snapshot.users_in() => {
                Err(format!("user-count {count} with {:?}", self.snapshot))
            }
            _ => Ok(()),
        }
    }

    fn apply_user(&mut self, user: &User) -> Result<(), String> {
        let users = &mut self.snapshot.users;
        match user.state {
            State::Deleted => {
                return match users.remove(&user.entity) {
                    Some(_) => Ok(()),
                    None => Err(format!("{} is deleted who was not there", user.entity)),
                };
            }
            State::Full => drop(users.remove(&user.entity)),
            State::Partial if !users.contains_key(&user.entity) => {
                return Err(format!("{} is partial who was not there", user.entity));
            }
            State::Partial => {}
        }
        let (role, endpoints) = users.entry(user.entity.clone()).or_default();
        if let Some(first) = user.roles.first() {
            *role = format!("{first:?}");
        }
        for endpoint in &user.endpoints {
            match endpoint.state {
                State::Deleted => drop(endpoints.remove(&endpoint.entity)),
                State::Full | State::Partial => drop(endpoints.insert(endpoint.entity.clone(), snapshot(endpoint))),
            }
        }
        Ok(())
    }
}

impl Snapshot {
    /// Users in the lobby.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = String> + '_ {
        let waits = self.users.iter().filter(|(_, (_, endpoints))| endpoints.values().any(|endpoint| endpoint.waits));
        waits.map(|(user, _)| user.clone())
    }

    fn users_in(&self) -> usize {
        let is_in = |endpoint: &EndpointSnapshot| {
            ["connected", "on-hold"].contains(&endpoint.status.as_str()) && !endpoint.waits
        };
        self.users.values().filter(|(_, endpoints)| endpoints.values().any(is_in)).count()
    }
}

fn snapshot(endpoint: &Endpoint) -> EndpointSnapshot {
    EndpointSnapshot {
        status: endpoint.status.map_or("", |status| status.as_str()).to_owned(),
        muted: endpoint.media.iter().any(|media| media.ingress == Some(c3p::MediaFilter::Block)),
        audio: !endpoint.media.is_empty(),
        waits: is_in_lobby(endpoint),
    }
}

/// In the lobby an endpoint is `on-hold`, which a Focus dialog never is otherwise, and its audio `pending`.
fn is_in_lobby(endpoint: &Endpoint) -> bool {
    let audio = endpoint.media.first().is_none_or(|media| media.media_state == Some(c3p::EndpointStatus::Pending));
    endpoint.status == Some(c3p::EndpointStatus::OnHold) && audio
}

/// The Focus's own roster of a live conference.
pub(crate) fn own_roster(view: &engine::ConferenceView) -> Snapshot {
    let endpoint = |endpoint: &engine::EndpointView| {
        let status = endpoint.status_text().to_owned();
        let waits = endpoint.status == focus::EndpointStatus::Waiting;
        (endpoint.endpoint.clone(), EndpointSnapshot { status, muted: endpoint.muted, audio: endpoint.audio, waits })
    };
    let users = view.participants.iter().map(|participant| {
        let endpoints = participant.endpoints.iter().map(endpoint).collect();
        (participant.user.clone(), (format!("{:?}", participant.role), endpoints))
    });
    Snapshot { locked: view.locked, users: users.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use c3p::conference_info::Users;

    fn document(state: State, version: u32, users: Vec<User>) -> ConferenceInfo {
        let mut document = ConferenceInfo::new("sip:x", state);
        document.version = Some(version);
        document.users = Some(Users { state, users });
        document
    }

    #[test]
    fn a_gap_in_the_versions_is_noticed() {
        let mut copy = RosterCopy::default();
        assert!(copy.apply(&document(State::Partial, 1, Vec::new())).is_err(), "the first one must be full");
        copy.apply(&document(State::Full, 1, vec![User::new("sip:a@x", State::Full)])).expect("the first one");
        assert!(copy.apply(&document(State::Partial, 3, Vec::new())).is_err());
    }

    #[test]
    fn who_is_deleted_must_have_been_there() {
        let mut copy = RosterCopy::default();
        copy.apply(&document(State::Full, 1, vec![User::new("sip:a@x", State::Full)])).expect("the first one");
        copy.apply(&document(State::Partial, 2, vec![User::deleted("sip:a@x")])).expect("he was there");
        assert!(copy.snapshot.users.is_empty());
        assert!(copy.apply(&document(State::Partial, 3, vec![User::deleted("sip:a@x")])).is_err());
    }
}
