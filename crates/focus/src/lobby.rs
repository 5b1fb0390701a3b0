//! The lobby: who waits until a presenter lets him in or sends him away (c3p.md 2.8, 3.3).
//!
//! Who waits stands in the roster, so that presenters see him, but has no rights, hears no one and is heard by no one.
//! A user waits with all his devices or with none: the first word for him is for all of them.

use base::{CommandId, LegId, Termination, TerminationReason, Timestamp, UserUri};

use crate::Focus;
use crate::command::{Failure, FailureReason, LobbyAccess, Outcome};
use crate::control::{FORBIDDEN, Rights};
use crate::document::EndpointStatus;
use crate::legs::EndedBy;
use crate::roster::User;
use crate::timers::Timer;

impl Focus {
    /// Begins the wait of a listed endpoint.
    pub(crate) fn wait_in_lobby(&mut self, now: Timestamp, command: CommandId, leg: LegId, answered: bool) {
        self.roster.update(leg, |endpoint| endpoint.answered = answered);
        self.waiting.insert(leg, command);
        self.timers.set(Timer::Lobby(leg), now + self.config.lobby_wait);
        if !answered {
            self.timers.set(Timer::SetUp(leg), now + self.config.answer_wait);
        }
    }

    /// The call of somebody who waits is answered; he goes on waiting.
    pub(crate) fn waiting_leg_answered(&mut self, leg: LegId) {
        if self.waiting.contains_key(&leg) {
            self.timers.cancel(Timer::SetUp(leg));
            self.roster.update(leg, |endpoint| endpoint.answered = true);
        }
    }

    /// Lets people in or sends them away. Who is named and does not wait is passed over: while a presenter decides,
    /// people hang up. It failed only if none of those named waits.
    pub(crate) fn set_lobby_access(
        &mut self,
        now: Timestamp,
        rights: &Rights,
        users: &[UserUri],
        access: LobbyAccess,
    ) -> Result<Outcome, Failure> {
        if !rights.leads() {
            return Err(FORBIDDEN);
        }
        let waits = |user: &&UserUri| self.roster.user(user).is_some_and(User::is_waiting);
        let meant: Vec<UserUri> = match users {
            [] => self.roster.users().map(|(entity, _)| entity).filter(waits).cloned().collect(),
            named => named.iter().filter(waits).cloned().collect(),
        };
        if meant.is_empty() && !users.is_empty() {
            let is_in = users.iter().any(|user| self.roster.user(user).is_some());
            let reason = if is_in { FailureReason::AlreadyAdmitted } else { FailureReason::UserDoesNotExist };
            return Err(reason.into());
        }
        for user in meant {
            match access {
                LobbyAccess::Granted => self.admit_waiting(now, &user),
                LobbyAccess::Denied => self.deny_waiting(now, rights, &user),
            }
        }
        Ok(Outcome::Done)
    }

    /// Lets a user in with every device he waits with; nothing happens if he does not wait.
    pub(crate) fn admit_waiting(&mut self, now: Timestamp, user: &UserUri) {
        for leg in self.waiting_legs(user) {
            self.admit_waiting_leg(now, leg);
        }
    }

    /// Nobody let him in for too long.
    pub(crate) fn lobby_wait_over(&mut self, now: Timestamp, leg: LegId) {
        self.end_leg(now, leg, Termination::failed(TerminationReason::NoAnswer), None, EndedBy::Focus);
    }

    /// A leg is not in the lobby any more; gives the command that brought it there and has no outcome yet.
    pub(crate) fn leave_lobby(&mut self, leg: LegId) -> Option<CommandId> {
        self.timers.cancel(Timer::Lobby(leg));
        self.waiting.remove(&leg)
    }

    fn admit_waiting_leg(&mut self, now: Timestamp, leg: LegId) {
        let Some(command) = self.leave_lobby(leg) else { return };
        let (Some(user), Some(endpoint)) = (self.roster.user_of(leg).cloned(), self.roster.endpoint(leg).cloned())
        else {
            return;
        };
        match endpoint.answered {
            true => self.leg_is_in(now, leg),
            // The timer of its answer goes on.
            false => self.roster.update(leg, |endpoint| endpoint.status = EndpointStatus::DialingIn),
        }
        let role = self.roster.user(&user).map_or(base::Role::Attendee, |user| user.role);
        self.answer_at_once(command, Outcome::Joined { user, endpoint: endpoint.id, role });
    }

    fn deny_waiting(&mut self, now: Timestamp, rights: &Rights, user: &UserUri) {
        let termination = Termination::failed(TerminationReason::Forbidden);
        for leg in self.waiting_legs(user) {
            self.end_leg(now, leg, termination, rights.user.as_ref(), EndedBy::Focus);
        }
    }

    fn waiting_legs(&self, user: &UserUri) -> Vec<LegId> {
        let endpoints = self.roster.user(user).map_or(&[][..], User::endpoints);
        let waits = endpoints.iter().filter(|endpoint| endpoint.status == EndpointStatus::Waiting);
        waits.map(|endpoint| endpoint.leg).collect()
    }
}
