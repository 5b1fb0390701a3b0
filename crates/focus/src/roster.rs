//! Who is in: users, their endpoints, the legs these are, and what changed since the last document.
//!
//! A change costs what the changed user costs: each user keeps his published form behind an `Arc`, a partial document
//! takes those of the changed users, and a full one takes all of them without copying any.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use base::{EndpointId, LegId, Role, Timestamp, UserUri};

use crate::document::{
    ConferenceState, Disconnection, ElementState, EndpointElement, EndpointStatus, JoiningMethod, MediaFilter,
    SessionType, UserElement,
};

/// One device of a user, which is one leg.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) leg: LegId,
    pub(crate) session: SessionType,
    pub(crate) status: EndpointStatus,
    pub(crate) method: JoiningMethod,
    /// Whom a dial-out calls, or who an unproven caller says he is.
    pub(crate) uri: Option<UserUri>,
    /// Who asked for the dial-out; `None` is the operator, or nobody.
    pub(crate) by: Option<UserUri>,
    /// When it came in.
    pub(crate) joined: Option<Timestamp>,
    /// The server knows who is at this endpoint.
    pub(crate) authenticated: bool,
    /// It waits in the lobby, and its call or dialog is answered.
    pub(crate) answered: bool,
    /// The participant muted it himself.
    pub(crate) self_muted: bool,
    pub(crate) ingress: MediaFilter,
    pub(crate) egress: MediaFilter,
}

impl Endpoint {
    /// An endpoint that comes in by itself and hears and is heard.
    pub(crate) fn new(id: EndpointId, leg: LegId, session: SessionType, status: EndpointStatus) -> Self {
        Self {
            id,
            leg,
            session,
            status,
            method: JoiningMethod::DialedIn,
            uri: None,
            by: None,
            joined: None,
            authenticated: false,
            answered: false,
            self_muted: false,
            ingress: MediaFilter::Unblock,
            egress: MediaFilter::Unblock,
        }
    }

    /// Whether it carries audio of somebody who is in the conference.
    pub(crate) fn is_in_audio(&self) -> bool {
        self.session == SessionType::AudioVideo && self.status.is_in()
    }

    fn element(&self) -> EndpointElement {
        EndpointElement {
            entity: self.id.clone(),
            state: ElementState::Full,
            leg: self.leg,
            session: self.session,
            uri: self.uri.clone(),
            status: self.status,
            joining_method: self.method,
            joined: self.joined,
            joined_by: self.by.clone(),
            authenticated: self.authenticated,
            ingress: self.ingress,
            egress: self.egress,
            disconnection: None,
        }
    }
}

/// One person.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) display_name: Option<String>,
    pub(crate) role: Role,
    endpoints: Vec<Endpoint>,
    /// As the last document showed him; `None` when none did yet.
    published: Option<Arc<UserElement>>,
}

impl User {
    /// His devices, oldest first.
    pub(crate) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Whether he waits in the lobby. He does so with all his devices or with none.
    pub(crate) fn is_waiting(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.status == EndpointStatus::Waiting)
    }

    fn presence(&self) -> Presence {
        let is_in = |endpoint: &&Endpoint| endpoint.status.is_in();
        Presence {
            users_in: self.endpoints.iter().filter(is_in).count().min(1),
            authenticated_in: self.endpoints.iter().filter(is_in).filter(|endpoint| endpoint.authenticated).count(),
            waiting: self.endpoints.iter().filter(|endpoint| endpoint.status == EndpointStatus::Waiting).count(),
        }
    }

    fn element(&self, entity: &UserUri) -> UserElement {
        UserElement {
            entity: entity.clone(),
            state: ElementState::Full,
            display_name: self.display_name.clone(),
            role: self.role,
            endpoints: self.endpoints.iter().map(Endpoint::element).collect(),
        }
    }
}

/// What one user, or everybody together, adds up to.
#[derive(Clone, Copy, Debug, Default)]
struct Presence {
    /// Users who are in the conference.
    users_in: usize,
    /// Endpoints in the conference that belong to authenticated users.
    authenticated_in: usize,
    /// Endpoints in the lobby.
    waiting: usize,
}

impl Presence {
    /// The total after one of its parts changed.
    fn with(self, before: Self, after: Self) -> Self {
        Self {
            users_in: self.users_in + after.users_in - before.users_in,
            authenticated_in: self.authenticated_in + after.authenticated_in - before.authenticated_in,
            waiting: self.waiting + after.waiting - before.waiting,
        }
    }
}

/// What [`Roster::remove`] took out.
#[derive(Debug)]
pub(crate) struct Removed {
    pub(crate) user: UserUri,
    pub(crate) endpoint: Endpoint,
}

/// What happened to one user since the last document, beyond how he is now.
#[derive(Debug, Default)]
struct Change {
    /// Endpoints of the last document that are gone. What came and went since then is in no document.
    ended: Vec<EndpointElement>,
    /// How the last document showed him, when he has been gone since.
    left: Option<Arc<UserElement>>,
}

/// Everybody who is in the conference, comes in, or is called.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    users: BTreeMap<UserUri, User>,
    legs: BTreeMap<LegId, UserUri>,
    changes: BTreeMap<UserUri, Change>,
    totals: Presence,
}

impl Roster {
    /// Whether there is nobody at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Legs of all users.
    pub(crate) fn legs(&self) -> impl Iterator<Item = LegId> {
        self.legs.keys().copied()
    }

    /// How many legs there are.
    pub(crate) fn leg_count(&self) -> usize {
        self.legs.len()
    }

    /// How many endpoints of authenticated users are in the conference.
    pub(crate) fn authenticated_in(&self) -> usize {
        self.totals.authenticated_in
    }

    /// How many endpoints wait in the lobby.
    pub(crate) fn waiting(&self) -> usize {
        self.totals.waiting
    }

    /// A user.
    pub(crate) fn user(&self, user: &UserUri) -> Option<&User> {
        self.users.get(user)
    }

    /// Everybody.
    pub(crate) fn users(&self) -> impl Iterator<Item = (&UserUri, &User)> {
        self.users.iter()
    }

    /// Whose leg it is.
    pub(crate) fn user_of(&self, leg: LegId) -> Option<&UserUri> {
        self.legs.get(&leg)
    }

    /// The endpoint a leg is.
    pub(crate) fn endpoint(&self, leg: LegId) -> Option<&Endpoint> {
        let user = self.users.get(self.legs.get(&leg)?)?;
        user.endpoints.iter().find(|endpoint| endpoint.leg == leg)
    }

    /// Whether a leg is being called and no document has said so yet.
    pub(crate) fn is_unseen_dial_out(&self, leg: LegId) -> bool {
        let user = self.legs.get(&leg).and_then(|entity| self.users.get(entity));
        let shown = user.and_then(|user| user.published.as_ref());
        let shown = shown.and_then(|shown| shown.endpoints.iter().find(|endpoint| endpoint.leg == leg));
        let is_called = self.endpoint(leg).is_some_and(|endpoint| endpoint.status == EndpointStatus::DialingOut);
        is_called && shown.is_none_or(|shown| shown.status != EndpointStatus::DialingOut)
    }

    /// An endpoint by its names.
    pub(crate) fn find(&self, user: &UserUri, id: &EndpointId) -> Option<&Endpoint> {
        self.users.get(user)?.endpoints.iter().find(|endpoint| endpoint.id == *id)
    }

    /// Puts an endpoint in; one of the same user with the same id gives way and is returned.
    pub(crate) fn insert(
        &mut self,
        entity: &UserUri,
        display_name: Option<String>,
        role: Role,
        endpoint: Endpoint,
    ) -> Option<Endpoint> {
        self.users.entry(entity.clone()).or_insert(User {
            display_name: None,
            role,
            endpoints: Vec::new(),
            published: None,
        });
        self.legs.insert(endpoint.leg, entity.clone());
        let replaced = self.change(entity, |user| {
            user.role = role;
            user.display_name = display_name.or(user.display_name.take());
            match user.endpoints.iter().position(|old| old.id == endpoint.id) {
                Some(at) => Some(std::mem::replace(&mut user.endpoints[at], endpoint)),
                None => {
                    user.endpoints.push(endpoint);
                    None
                }
            }
        });
        if let Some(old) = &replaced {
            self.legs.remove(&old.leg);
        }
        replaced
    }

    /// Changes the endpoint a leg is.
    pub(crate) fn update(&mut self, leg: LegId, change: impl FnOnce(&mut Endpoint)) {
        let Some(entity) = self.legs.get(&leg).cloned() else { return };
        self.change(&entity, |user| user.endpoints.iter_mut().find(|endpoint| endpoint.leg == leg).map(change));
    }

    /// Gives a user another role.
    pub(crate) fn set_role(&mut self, entity: &UserUri, role: Role) {
        self.change(entity, |user| {
            user.role = role;
            Some(())
        });
    }

    /// Takes out the endpoint a leg is, and its user with his last one.
    pub(crate) fn remove(&mut self, leg: LegId, disconnection: Disconnection) -> Option<Removed> {
        let entity = self.legs.remove(&leg)?;
        let endpoint = self.change(&entity, |user| {
            let at = user.endpoints.iter().position(|endpoint| endpoint.leg == leg)?;
            Some(user.endpoints.remove(at))
        })?;
        let change = self.changes.entry(entity.clone()).or_default();
        if let Entry::Occupied(user) = self.users.entry(entity.clone())
            && user.get().endpoints.is_empty()
        {
            change.left = change.left.take().or(user.remove().published);
        }
        let shown = self.users.get(&entity).and_then(|user| user.published.as_ref()).or(change.left.as_ref());
        if shown.is_some_and(|shown| shown.endpoints.iter().any(|known| known.entity == endpoint.id)) {
            change.ended.retain(|ended| ended.entity != endpoint.id);
            change.ended.push(EndpointElement {
                state: ElementState::Deleted,
                status: EndpointStatus::Disconnected,
                disconnection: Some(disconnection),
                ..endpoint.element()
            });
        }
        Some(Removed { user: entity, endpoint })
    }

    /// The conference as a whole.
    pub(crate) fn state(&self, locked: bool, mutes_attendees: bool) -> ConferenceState {
        ConferenceState { user_count: self.totals.users_in, active: !self.users.is_empty(), locked, mutes_attendees }
    }

    /// All users as they are now.
    pub(crate) fn current(&self) -> Vec<Arc<UserElement>> {
        let as_he_is = |(entity, user): (&UserUri, &User)| match &user.published {
            Some(published) if !self.changes.contains_key(entity) => Arc::clone(published),
            _ => Arc::new(user.element(entity)),
        };
        self.users.iter().map(as_he_is).collect()
    }

    /// Whether anything may have changed since the last document.
    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The users who changed since the last call, for a partial document.
    pub(crate) fn publish(&mut self) -> Vec<Arc<UserElement>> {
        let changes = std::mem::take(&mut self.changes);
        changes.into_iter().filter_map(|(entity, change)| self.publish_user(&entity, change)).collect()
    }

    fn publish_user(&mut self, entity: &UserUri, change: Change) -> Option<Arc<UserElement>> {
        let Some(user) = self.users.get_mut(entity) else {
            let last = change.left?;
            let (display_name, role) = (last.display_name.clone(), last.role);
            let (state, endpoints) = (ElementState::Deleted, change.ended);
            return Some(Arc::new(UserElement { entity: entity.clone(), state, display_name, role, endpoints }));
        };
        let element = Arc::new(user.element(entity));
        let shown = user.published.replace(Arc::clone(&element)).or(change.left);
        let is_back = |ended: &EndpointElement| element.endpoints.iter().any(|now| now.entity == ended.entity);
        let ended: Vec<_> = change.ended.into_iter().filter(|ended| !is_back(ended)).collect();
        if ended.is_empty() {
            return (shown.as_ref() != Some(&element)).then_some(element);
        }
        let mut partial = UserElement { state: ElementState::Partial, ..(*element).clone() };
        partial.endpoints.extend(ended);
        Some(Arc::new(partial))
    }

    /// Changes one user, keeps the totals right and remembers that he changed.
    fn change<T>(&mut self, entity: &UserUri, change: impl FnOnce(&mut User) -> Option<T>) -> Option<T> {
        let user = self.users.get_mut(entity)?;
        let before = user.presence();
        let result = change(user);
        self.totals = self.totals.with(before, user.presence());
        self.changes.entry(entity.clone()).or_default();
        result
    }
}
