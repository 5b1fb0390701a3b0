//! When a conference begins and ends (c3p.md 8.1, 8.3).
//!
//! It begins with its first endpoint; a Focus whose first visitor is refused, or hangs up while he enters the PIN, is over
//! without having begun. It ends when a presenter ends it, when everybody left, when no authenticated user
//! has been in for the grace time, when nobody has joined for the longest time, or from outside. The organizer's leaving
//! does not end it. Permanent conferences end like others: their record stays, and the next join makes a new Focus.

use base::{Duration, Termination, TerminationReason, Timestamp};

use crate::Focus;
use crate::legs::EndedBy;
use crate::output::{EndReason, FocusEvent, Output, Prompt};
use crate::timers::Timer;

/// Where a conference is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody was in yet.
    Idle,
    /// Somebody is or was in.
    Active,
    /// Over.
    Ended,
}

impl Focus {
    /// Does what was to be done at or before `now`.
    pub(crate) fn timer_fired(&mut self, now: Timestamp) {
        while !self.is_ended()
            && let Some(timer) = self.timers.pop_due(now)
        {
            match timer {
                Timer::Empty => self.end(now, EndReason::Empty),
                Timer::Unauthenticated => self.end(now, EndReason::NoAuthenticatedUser),
                Timer::Length => self.end(now, EndReason::MaximumLength),
                Timer::UnauthenticatedNotice | Timer::LengthNotice => self.announce_end(),
                // What is due is published after each input.
                Timer::Roster => {}
                Timer::SetUp(leg) => self.leg_set_up_timed_out(now, leg),
                Timer::Pending(leg) => self.dial_out_pending(now, leg),
                Timer::Pin(leg) => self.pin_entry_timed_out(leg),
                Timer::Lobby(leg) => self.lobby_wait_over(now, leg),
            }
        }
    }

    /// Notes that an endpoint came into the roster.
    pub(crate) fn activated(&mut self) {
        if self.phase == Phase::Idle {
            self.phase = Phase::Active;
            self.outbox.event(FocusEvent::Activated);
        }
    }

    /// Notes a join: the longest time without one starts anew.
    pub(crate) fn somebody_joined(&mut self, now: Timestamp) {
        self.arm(Timer::Length, Timer::LengthNotice, now, self.config.max_without_join);
    }

    /// Starts and stops the timers that depend on who is in, and ends what nobody is in.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        if !self.roster.is_empty() || !self.pin_entries.is_empty() {
            self.timers.cancel(Timer::Empty);
        } else if !self.timers.is_set(Timer::Empty) {
            let wait = self.config.empty_linger;
            if wait.is_zero() || self.phase == Phase::Idle {
                return self.end(now, EndReason::Empty);
            }
            self.timers.set(Timer::Empty, now + wait);
        }
        let unauthenticated = !self.roster.is_empty() && self.roster.authenticated_in() == 0;
        if !unauthenticated {
            self.timers.cancel(Timer::Unauthenticated);
            self.timers.cancel(Timer::UnauthenticatedNotice);
        } else if !self.timers.is_set(Timer::Unauthenticated) {
            let grace = self.config.unauthenticated_grace;
            self.arm(Timer::Unauthenticated, Timer::UnauthenticatedNotice, now, grace);
        }
    }

    /// Ends the conference: every leg is hung up, every command answered, every subscriber told; then nothing more.
    pub(crate) fn end(&mut self, now: Timestamp, reason: EndReason) {
        self.phase = Phase::Ended;
        let cause = match reason {
            EndReason::ServerStopping => TerminationReason::ServerStopping,
            EndReason::McuLost => TerminationReason::McuLost,
            _ => TerminationReason::ConferenceEnded,
        };
        self.end_pin_entries(Termination::cancelled(cause));
        let legs: Vec<_> = self.roster.legs().collect();
        for leg in legs {
            match reason {
                EndReason::McuLost => self.end_leg(now, leg, Termination::failed(cause), None, EndedBy::Focus),
                _ => self.dismiss(now, leg, cause, None),
            }
        }
        self.timers.clear();
        self.publish_end(now);
        self.outbox.push(Output::ConferenceEnded { reason });
    }

    /// Starts an end timer and the notice before it; a length of zero means never.
    fn arm(&mut self, timer: Timer, notice: Timer, now: Timestamp, length: Duration) {
        if length.is_zero() {
            return;
        }
        self.timers.set(timer, now + length);
        if let Some(before) = length.checked_sub(self.config.ending_notice).filter(|before| *before < length) {
            self.timers.set(notice, now + before);
        }
    }

    fn announce_end(&mut self) {
        let audio = self.roster.users().flat_map(|(_, user)| user.endpoints());
        for endpoint in audio.filter(|endpoint| endpoint.is_in_audio()) {
            self.outbox.push(Output::Prompt { leg: endpoint.leg, prompt: Prompt::Ending });
        }
    }
}
