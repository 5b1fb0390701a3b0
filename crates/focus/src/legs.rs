//! How the legs of the roster get on: ringing, connected, held, ended.

use base::{LegId, Role, Termination, TerminationReason, Timestamp, UserUri};

use crate::Focus;
use crate::command::{Failure, FailureReason, Outcome};
use crate::document::{Disconnection, EndpointStatus, MediaFilter, SessionType};
use crate::output::{FocusEvent, Output};
use crate::roster::Endpoint;
use crate::timers::Timer;

/// Who ended a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndedBy {
    /// The peer or the network; it is gone already.
    Peer,
    /// This Focus; it must be hung up.
    Focus,
}

impl Focus {
    /// A dialled person's phone rings. Late and repeated reports change nothing.
    pub(crate) fn leg_alerting(&mut self, leg: LegId) {
        if self.roster.endpoint(leg).is_some_and(|endpoint| endpoint.status == EndpointStatus::DialingOut) {
            self.roster.update(leg, |endpoint| endpoint.status = EndpointStatus::Alerting);
        }
    }

    /// A leg is answered and its media is up.
    pub(crate) fn leg_connected(&mut self, now: Timestamp, leg: LegId) {
        self.pin_entry_answered(now, leg);
        self.waiting_leg_answered(leg);
        let under_way = |status| {
            matches!(status, EndpointStatus::DialingOut | EndpointStatus::Alerting | EndpointStatus::DialingIn)
        };
        if self.roster.endpoint(leg).is_some_and(|endpoint| under_way(endpoint.status)) {
            self.leg_is_in(now, leg);
        }
    }

    /// The peer put the leg on hold, or took it back.
    pub(crate) fn leg_held(&mut self, leg: LegId, held: bool) {
        let (from, to) = match held {
            true => (EndpointStatus::Connected, EndpointStatus::OnHold),
            false => (EndpointStatus::OnHold, EndpointStatus::Connected),
        };
        if self.roster.endpoint(leg).is_some_and(|endpoint| endpoint.status == from) {
            self.roster.update(leg, |endpoint| endpoint.status = to);
        }
    }

    /// A leg ended by itself.
    pub(crate) fn leg_ended(&mut self, now: Timestamp, leg: LegId, termination: Termination) {
        self.pin_entry_ended(leg);
        self.end_leg(now, leg, termination, None, EndedBy::Peer);
    }

    /// A leg took too long to be set up.
    pub(crate) fn leg_set_up_timed_out(&mut self, now: Timestamp, leg: LegId) {
        let reason = match self.roster.endpoint(leg).map(|endpoint| endpoint.status) {
            Some(EndpointStatus::DialingIn | EndpointStatus::Waiting) => TerminationReason::NoAck,
            _ => TerminationReason::NoAnswer,
        };
        self.end_leg(now, leg, Termination::failed(reason), None, EndedBy::Focus);
    }

    /// Everything that follows from a leg being in the conference: it is shown, filtered, counted as a join, and the
    /// commands and dial-outs that wait for it go on.
    pub(crate) fn leg_is_in(&mut self, now: Timestamp, leg: LegId) {
        self.roster.update(leg, |endpoint| {
            endpoint.status = EndpointStatus::Connected;
            endpoint.joined = Some(now);
        });
        let (Some(user), Some(endpoint)) = (self.roster.user_of(leg).cloned(), self.roster.endpoint(leg).cloned())
        else {
            return;
        };
        let role = self.roster.user(&user).map_or(Role::Attendee, |user| user.role);
        self.cancel_leg_timers(leg);
        if (endpoint.ingress, endpoint.egress) != (MediaFilter::Unblock, MediaFilter::Unblock) {
            self.outbox.push(Output::SetFilters { leg, ingress: endpoint.ingress, egress: endpoint.egress });
        }
        for command in self.dial_outs.take_waiters(leg) {
            self.answer(command, Outcome::Joined { user: user.clone(), endpoint: endpoint.id.clone(), role });
        }
        let (session, method) = (endpoint.session, endpoint.method);
        self.outbox.event(FocusEvent::EndpointJoined {
            user: user.clone(),
            endpoint: endpoint.id,
            leg,
            session,
            method,
            role,
        });
        self.somebody_joined(now);
        self.release_waiting(now, &user);
    }

    /// Ends a leg as far as the Focus is concerned, once: an unknown leg (late, repeated) changes nothing.
    pub(crate) fn end_leg(
        &mut self,
        now: Timestamp,
        leg: LegId,
        termination: Termination,
        by: Option<&UserUri>,
        ended_by: EndedBy,
    ) {
        let disconnection = Disconnection { method: termination.into(), at: now, termination, by: by.cloned() };
        let Some(removed) = self.roster.remove(leg, disconnection) else { return };
        if ended_by == EndedBy::Focus {
            self.hang_up(&removed.endpoint, termination);
        }
        self.leg_left(&removed.user, &removed.endpoint, termination, by);
        if self.roster.user(&removed.user).is_none() {
            self.subscriptions.user_left(&removed.user);
        }
        self.release_waiting(now, &removed.user);
    }

    /// Ends a leg because somebody or the conference wants it: completed when it was in, else cancelled.
    pub(crate) fn dismiss(&mut self, now: Timestamp, leg: LegId, reason: TerminationReason, by: Option<&UserUri>) {
        let was_in = self.roster.endpoint(leg).is_some_and(|endpoint| endpoint.status.is_in());
        let termination = if was_in { Termination::completed(reason) } else { Termination::cancelled(reason) };
        self.end_leg(now, leg, termination, by, EndedBy::Focus);
    }

    /// The same endpoint joined again: the older leg goes, the user and his subscriptions stay.
    pub(crate) fn leg_replaced(&mut self, user: &UserUri, old: &Endpoint) {
        let reason = TerminationReason::Replaced;
        let termination =
            if old.status.is_in() { Termination::completed(reason) } else { Termination::cancelled(reason) };
        self.hang_up(old, termination);
        self.leg_left(user, old, termination, Some(user));
    }

    /// The filter a new endpoint starts with: attendees are muted while "mute all" holds.
    pub(crate) fn ingress_on_joining(&self, session: SessionType, role: Role) -> MediaFilter {
        match session {
            SessionType::AudioVideo if self.mute_attendees && role < Role::Presenter => MediaFilter::Block,
            _ => MediaFilter::Unblock,
        }
    }

    /// A dial-out that still waits for its turn was never called, so there is nothing to hang up.
    fn hang_up(&mut self, endpoint: &Endpoint, termination: Termination) {
        if endpoint.status != EndpointStatus::Pending {
            self.outbox.push(Output::HangUp { leg: endpoint.leg, termination });
        }
    }

    fn leg_left(&mut self, user: &UserUri, endpoint: &Endpoint, termination: Termination, by: Option<&UserUri>) {
        self.cancel_leg_timers(endpoint.leg);
        self.dial_outs.forget(endpoint.leg);
        if let Some(command) = self.leave_lobby(endpoint.leg) {
            self.fail_at_once(command, failure_of(termination));
        }
        for command in self.dial_outs.take_waiters(endpoint.leg) {
            self.fail(command, failure_of(termination));
        }
        self.outbox.event(FocusEvent::EndpointLeft {
            user: user.clone(),
            endpoint: endpoint.id.clone(),
            leg: endpoint.leg,
            was_in: endpoint.status.is_in(),
            termination,
            by: by.cloned(),
        });
    }

    fn cancel_leg_timers(&mut self, leg: LegId) {
        self.timers.cancel(Timer::SetUp(leg));
        self.timers.cancel(Timer::Pending(leg));
    }
}

/// What a requester is told of a leg that ended before it was connected (c3p.md 4.3).
fn failure_of(termination: Termination) -> Failure {
    use TerminationReason as Reason;
    let reason = match termination.reason {
        Reason::NoAnswer | Reason::NoAck => FailureReason::Timeout,
        Reason::InvalidTarget => FailureReason::InvalidUserEntity,
        Reason::Forbidden | Reason::Unauthorized => FailureReason::Forbidden,
        Reason::MediaNotSupported => FailureReason::MediaNotSupported,
        Reason::Departed | Reason::Booted | Reason::ConferenceEnded | Reason::Replaced | Reason::RequestCancelled => {
            FailureReason::RequestCancelled
        }
        Reason::LimitReached => FailureReason::ServerBusy,
        Reason::McuLost | Reason::ServerStopping | Reason::InternalError => FailureReason::ServerInternalError,
        Reason::Busy
        | Reason::Declined
        | Reason::AnsweredElsewhere
        | Reason::ServiceUnavailable
        | Reason::TransportFailed
        | Reason::SessionExpired
        | Reason::MediaTimeout
        | Reason::ProtocolError => FailureReason::OtherFailure,
    };
    Failure { reason, diagnostic: None, termination: Some(termination) }
}
