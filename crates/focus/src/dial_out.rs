//! Whom the conference calls, on whose word, and in which order (c3p.md 2.6, 4.1, 4.4; requirements C8 to C11).

use std::collections::{BTreeMap, BTreeSet};

use base::{CommandId, LegId, Role, TerminationReason, Timestamp, UserUri};

use crate::Focus;
use crate::command::{Diagnostic, DialOut, Failure, FailureReason, Outcome};
use crate::control::Rights;
use crate::document::{EndpointStatus, JoiningMethod, SessionType};
use crate::output::{FocusEvent, Output};
use crate::roster::{Endpoint, User};
use crate::timers::Timer;

/// The dial-outs under way: who waits for their outcome, and which of them wait for their leader.
#[derive(Debug, Default)]
pub(crate) struct DialOuts {
    /// Commands that get the outcome of a leg that is being set up.
    waiters: BTreeMap<LegId, Vec<CommandId>>,
    /// Legs that are called when their leader's own leg is up.
    queued: BTreeMap<UserUri, Vec<LegId>>,
    under_way: BTreeSet<LegId>,
}

impl DialOuts {
    /// The commands that wait for a leg; they wait no more.
    pub(crate) fn take_waiters(&mut self, leg: LegId) -> Vec<CommandId> {
        self.under_way.remove(&leg);
        self.waiters.remove(&leg).unwrap_or_default()
    }

    /// Takes an ended leg out of the queue it may stand in.
    pub(crate) fn forget(&mut self, leg: LegId) {
        self.queued.retain(|_, legs| {
            legs.retain(|queued| *queued != leg);
            !legs.is_empty()
        });
    }
}

/// How a leader's own leg is getting on.
enum Leader {
    /// He is in, with audio.
    Up,
    /// His phone is being called.
    BeingDialled,
    /// Neither.
    Absent,
}

impl Focus {
    /// Authorises a dial-out, finds out whether it is under way already, and calls or queues it.
    pub(crate) fn dial_out(&mut self, now: Timestamp, command: CommandId, rights: &Rights, request: DialOut) {
        let role = match self.authorise_dial_out(rights, &request) {
            Ok(role) => role,
            Err(failure) => return self.fail(command, failure),
        };
        if let Some(known) = self.roster.find(&request.user, &request.endpoint).cloned() {
            return self.attach(now, command, &request.user, &known);
        }
        if let Err(failure) = self.room_for_dial_out(&request) {
            return self.fail(command, failure);
        }
        let (leg, user) = (request.leg, request.user.clone());
        let leader = rights.user.clone().unwrap_or_else(|| self.record.organizer.clone());
        self.list_dial_out(now, command, rights, request, role);
        match self.leader(&leader) {
            Leader::BeingDialled if leader != user => self.dial_outs.queued.entry(leader).or_default().push(leg),
            _ => self.dial(now, leg),
        }
    }

    /// Goes on with the dial-outs that wait for a leader, once it is settled whether he is in.
    ///
    /// C10: the leader's own leg is called first, the others when it is up. Without him nobody is called at all: they
    /// would answer into a conference that its leader never reached.
    pub(crate) fn release_waiting(&mut self, now: Timestamp, leader: &UserUri) {
        if self.is_ended() || !self.dial_outs.queued.contains_key(leader) {
            return;
        }
        let state = self.leader(leader);
        if matches!(state, Leader::BeingDialled) {
            return;
        }
        for leg in self.dial_outs.queued.remove(leader).unwrap_or_default() {
            match state {
                Leader::Up => self.dial(now, leg),
                _ => self.dismiss(now, leg, TerminationReason::RequestCancelled, Some(leader)),
            }
        }
    }

    /// Tells those who wait for a leg that it is still under way.
    pub(crate) fn dial_out_pending(&mut self, now: Timestamp, leg: LegId) {
        let Some(waiters) = self.dial_outs.waiters.get(&leg).cloned() else { return };
        for command in waiters {
            self.answer(command, Outcome::Pending);
        }
        self.timers.set(Timer::Pending(leg), now + self.config.pending_interval);
    }

    /// Who may call whom (c3p.md 4.4, ErrorIds 3014 to 3019), and the role a new user gets.
    ///
    /// * Nobody is made organizer.
    /// * Who neither is in the conference nor on its list may call nobody; neither may somebody without an account,
    ///   unless a presenter promoted him.
    /// * Presenters call whom they like, as attendee or presenter.
    /// * An attendee may call himself; a third party only where the conference allows it, and as presenter only
    ///   somebody who is one by the list or already. Such a one he may call only at that user's own address: a
    ///   phone of the attendee's choice must not act as a presenter.
    fn authorise_dial_out(&self, rights: &Rights, request: &DialOut) -> Result<Role, Failure> {
        let forbidden = |diagnostic| Err(Failure::diagnosed(FailureReason::Forbidden, diagnostic));
        let is_organizer = request.user == self.record.organizer;
        if request.role == Some(Role::Organizer) && !is_organizer {
            return Err(Failure::diagnosed(FailureReason::InvalidRole, Diagnostic::ROLE_INVALID));
        }
        let waits = self.roster.user(&request.user).is_some_and(User::is_waiting);
        let present = self.roster.user(&request.user).map(|user| user.role);
        let entitled = present.max(self.record.listed_role(&request.user)).unwrap_or(Role::Attendee);
        let granted = if is_organizer { Role::Organizer } else { request.role.unwrap_or(entitled) };
        match rights.role {
            None => forbidden(Diagnostic::AUTHORISATION_FAILED),
            Some(Role::Presenter | Role::Organizer) => Ok(granted),
            Some(Role::Attendee) if !rights.authenticated => forbidden(Diagnostic::ANONYMOUS_DESTINATION),
            // He would come in past the presenters, who have not decided yet.
            Some(Role::Attendee) if waits => forbidden(Diagnostic::ATTENDEE_DIAL_OUT),
            Some(Role::Attendee) if rights.is(&request.user) => Ok(entitled),
            Some(Role::Attendee) if !self.record.attendees_may_dial_out => forbidden(Diagnostic::ATTENDEE_DIAL_OUT),
            Some(Role::Attendee) if granted > entitled => forbidden(Diagnostic::ATTENDEE_DIAL_OUT_TO_PRESENTER),
            Some(Role::Attendee) if entitled > Role::Attendee && request.target != request.user => {
                forbidden(Diagnostic::AUTHORISATION_FAILED)
            }
            Some(Role::Attendee) => Ok(granted),
        }
    }

    /// A retry with a known endpoint id does not ring twice: it gets the outcome of what is under way.
    fn attach(&mut self, now: Timestamp, command: CommandId, user: &UserUri, known: &Endpoint) {
        if known.session == SessionType::Focus {
            return self.fail(command, FailureReason::OtherFailure.into());
        }
        self.admit_waiting(now, user);
        let status = self.roster.endpoint(known.leg).map_or(known.status, |endpoint| endpoint.status);
        if status.is_in() {
            let role = self.roster.user(user).map_or(Role::Attendee, |user| user.role);
            return self.answer(command, Outcome::Joined { user: user.clone(), endpoint: known.id.clone(), role });
        }
        let waiters = self.dial_outs.waiters.entry(known.leg).or_default();
        if waiters.contains(&command) {
            return;
        }
        if waiters.len() >= self.config.commands_per_dial_out {
            return self.fail(command, FailureReason::OtherFailure.into());
        }
        waiters.push(command);
        if !self.timers.is_set(Timer::Pending(known.leg)) {
            self.timers.set(Timer::Pending(known.leg), now + self.config.pending_interval);
        }
        self.answer(command, Outcome::Pending);
    }

    /// Lock and limits. Nobody new is invited into a locked conference, whoever asks (c3p.md 8.2), but its organizer
    /// may be called in; a dial-out that is under way when the lock arrives goes on (c3p.md 8.4).
    fn room_for_dial_out(&self, request: &DialOut) -> Result<(), Failure> {
        let known = self.roster.user(&request.user).is_some() || request.user == self.record.organizer;
        if self.locked && !known {
            return Err(FailureReason::ConferenceLocked.into());
        }
        if self.holds(request.leg) {
            return Err(FailureReason::ServerInternalError.into());
        }
        if self.dial_outs.under_way.len() >= self.config.limits.dial_outs_per_conference {
            return Err(FailureReason::OtherFailure.into());
        }
        self.room_for(&request.user)
    }

    /// Puts an authorised dial-out into the roster and tells who asked that it is under way.
    fn list_dial_out(&mut self, now: Timestamp, command: CommandId, rights: &Rights, request: DialOut, role: Role) {
        let DialOut { leg, user, endpoint: id, target, display_name, .. } = request;
        // Somebody who is in already keeps his role and his name.
        let (role, display_name) = match self.roster.user(&user) {
            Some(user) => (user.role, None),
            None => (role, display_name),
        };
        let mut endpoint = Endpoint::new(id.clone(), leg, SessionType::AudioVideo, EndpointStatus::Pending);
        endpoint.method = JoiningMethod::DialedOut;
        endpoint.uri = Some(target.clone());
        endpoint.by.clone_from(&rights.user);
        endpoint.authenticated = request.target_is_account || (rights.authenticated && rights.is(&user));
        endpoint.ingress = self.ingress_on_joining(SessionType::AudioVideo, role);
        // A presenter who calls somebody wants him in, whatever he waits with.
        self.admit_waiting(now, &user);
        self.roster.insert(&user, display_name, role, endpoint);
        self.activated();
        self.dial_outs.under_way.insert(leg);
        self.dial_outs.waiters.insert(leg, vec![command]);
        self.timers.set(Timer::Pending(leg), now + self.config.pending_interval);
        self.answer(command, Outcome::Pending);
        self.outbox.event(FocusEvent::DialOutRequested { user, endpoint: id, leg, target, by: rights.user.clone() });
    }

    /// Calls a listed dial-out.
    fn dial(&mut self, now: Timestamp, leg: LegId) {
        self.roster.update(leg, |endpoint| endpoint.status = EndpointStatus::DialingOut);
        let (Some(user), Some(endpoint)) = (self.roster.user_of(leg), self.roster.endpoint(leg)) else { return };
        let dial = Output::Dial {
            leg,
            user: user.clone(),
            target: endpoint.uri.clone().unwrap_or_else(|| user.clone()),
            display_name: self.roster.user(user).and_then(|user| user.display_name.clone()),
            requested_by: endpoint.by.clone(),
        };
        self.outbox.push(dial);
        self.timers.set(Timer::SetUp(leg), now + self.config.limits.dial_out_ring);
    }

    /// Only legs that are really being called count as being dialled, so every queue waits for a ring time at most and
    /// two leaders cannot wait for each other.
    fn leader(&self, leader: &UserUri) -> Leader {
        let endpoints = self.roster.user(leader).map_or(&[][..], |user| user.endpoints());
        if endpoints.iter().any(Endpoint::is_in_audio) {
            return Leader::Up;
        }
        let dialled = |status| matches!(status, EndpointStatus::DialingOut | EndpointStatus::Alerting);
        match endpoints.iter().any(|endpoint| dialled(endpoint.status)) {
            true => Leader::BeingDialled,
            false => Leader::Absent,
        }
    }
}
