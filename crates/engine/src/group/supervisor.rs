//! Supervisors: they hear a conversation, speak to its agent alone, or to both.

use base::{CallId, LegId, OfferId, Shown, Termination, TerminationReason, UserUri};
use call::{Body, Dial};
use mcu_api::{McuCommand, MediaFilter};
use response_group::{Input, MonitorMode, SupervisorCommand};
use sip_api::{NameAddr, SipUri};

use super::caller::Caller;
use super::media::GroupMedia;
use super::visit::errand_of;
use super::{Purpose, Role, WireRecord};
use crate::Engine;
use crate::conference::dial_out::COMPLETED_ELSEWHERE;
use crate::destination::devices;
use crate::event::{EngineEvent, SupervisorState};

/// How long a supervisor's phone may ring.
const RING_LIMIT: base::Duration = base::Duration::from_secs(30);

/// A supervisor in a caller's conference, or on his way there.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) user: UserUri,
    pub(super) seat: LegId,
    pub(super) leg: Option<LegId>,
    pub(super) media: GroupMedia,
    dial: Option<OfferId>,
    mode: MonitorMode,
}

impl Supervisor {
    /// Whether his phone rings for this.
    pub(super) fn is_rung(&self) -> bool {
        self.dial.is_some() && self.leg.is_none()
    }
}

impl Caller {
    /// The supervisor who has this seat.
    fn at_seat(&self, seat: LegId) -> Option<UserUri> {
        self.supervisors.iter().find(|there| there.seat == seat).map(|there| there.user.clone())
    }
}

impl Engine {
    /// A supervisor wants to take part: his phones ring, or, if he is there already, he does it in another way.
    pub(super) fn call_supervisor(&mut self, call: CallId, user: UserUri, mode: MonitorMode) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        if let Some(there) = caller.supervisors.iter_mut().find(|there| there.user == user) {
            there.mode = mode;
            let leg = there.seat;
            if there.leg.is_none() {
                // His phone still rings; once he answers he takes part in this way.
                return;
            }
            let command = SupervisorCommand::Monitor { leg, mode, supervisor: Some(user) };
            return self.tell_groups(Input::Supervise { call, command });
        }
        let purpose = Purpose::Supervisor(call, LegId(0));
        let Some(seat) = self.take_seat(call, purpose) else {
            return self.tell_of_supervisor(call, user, SupervisorState::NotReached);
        };
        // Nobody hears him before the machine has said how he takes part.
        self.command_leg(seat, McuCommand::SetInMix { leg: seat, in_mix: false });
        if let Some(caller) = self.groups.callers.get_mut(&call) {
            let media = GroupMedia::default();
            caller.supervisors.push(Supervisor { user, seat, leg: None, media, dial: None, mode });
        }
    }

    /// Whether a caller is with an agent.
    pub(super) fn talks_with_agent(&self, call: CallId) -> bool {
        self.groups.callers.get(&call).is_some_and(|caller| caller.bridged.is_some())
    }

    /// Why somebody cannot take part in a conversation as its supervisor; `None` when he can.
    pub(super) fn supervisor_objection(&self, call: CallId, user: &UserUri) -> Option<String> {
        let caller = self.groups.callers.get(&call)?;
        let why = if self.directory.user(user).is_none() {
            "there is no such user; name one who has an account here"
        } else if caller.user.as_ref() == Some(user) {
            "he is the caller of this very call; name somebody else"
        } else if self.partner_of(caller) == Some(user) {
            "he talks in this very call already; name somebody else"
        } else {
            return None;
        };
        Some(format!("supervisor = {}: {why}", Shown(user.as_str())))
    }

    /// Whom a caller talks with: an agent, or somebody to whom he was sent on.
    pub(super) fn partner_of<'a>(&'a self, caller: &'a Caller) -> Option<&'a UserUri> {
        let agent = caller.bridged.and_then(|offer| Some(&self.groups.offers.get(&offer)?.order.agent));
        agent.or_else(|| caller.forward.as_ref()?.person())
    }

    /// He wants to leave.
    pub(super) fn dismiss_supervisor(&mut self, call: CallId, user: &UserUri) {
        let Some(caller) = self.groups.callers.get(&call) else { return };
        let Some(there) = caller.supervisors.iter().find(|there| there.user == *user) else { return };
        let seat = there.seat;
        match (there.leg, there.dial) {
            (Some(leg), _) => self.hang_up_sip(leg, Termination::completed(TerminationReason::Departed)),
            (None, Some(offer)) => {
                self.call(call::Input::Cancel { offer, reason: vec![COMPLETED_ELSEWHERE.to_owned()] });
            }
            // He has no ports yet, so that nothing rings.
            (None, None) => self.remove_supervisor(call, seat, SupervisorState::Left),
        }
    }

    /// Whether somebody takes part in a conversation as its supervisor, or is being rung for that.
    pub(super) fn supervises(&self, call: CallId, user: &UserUri) -> bool {
        let caller = self.groups.callers.get(&call);
        caller.is_some_and(|caller| caller.supervisors.iter().any(|there| there.user == *user))
    }

    pub(super) fn ring_supervisor(&mut self, call: CallId, seat: LegId) {
        let Some(media) = self.seat_media(seat) else { return };
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        let group = caller.group.clone();
        let Some(supervisor) = caller.supervisors.iter_mut().find(|there| there.seat == seat) else { return };
        supervisor.media = media;
        let targets = devices(&self.directory, &supervisor.user);
        let (Some(body), false) = (supervisor.media.offer(), targets.is_empty()) else {
            return self.remove_supervisor(call, seat, SupervisorState::NotReached);
        };
        let dial = self.calls.allocate_offer();
        supervisor.dial = Some(dial);
        let (user, mode) = (supervisor.user.clone(), supervisor.mode);
        self.note_outside(user.clone());
        self.begin_visit(seat, call, errand_of(mode), user.clone(), group.clone());
        let uri = |user: &UserUri| SipUri::parse(user.as_str()).unwrap_or_else(|_| SipUri::sip(None, "invalid", None));
        let (from, to) = (NameAddr::new(uri(&group)), NameAddr::new(uri(&user)));
        let from = from.with_tag(&self.new_tag());
        let (legs, invites) = self.name_invites(targets, Role::Supervisor(call), &from, &to);
        self.groups.dials.insert(dial, Purpose::Supervisor(call, seat));
        self.record(WireRecord::Called { invites });
        self.call(call::Input::Dial(Box::new(Dial {
            ring_limit: RING_LIMIT,
            cancel_reason: vec![COMPLETED_ELSEWHERE.to_owned()],
            refuse_forwarding: true,
            ..Dial::new(dial, legs, from, to, body)
        })));
        self.tell_of_supervisor(call, user, SupervisorState::Ringing);
    }

    /// Whoever gave the command was answered long ago; this is how he learns what became of it.
    fn tell_of_supervisor(&mut self, call: CallId, supervisor: UserUri, state: SupervisorState) {
        self.event(EngineEvent::GroupSupervisor { call, supervisor, state });
    }

    pub(super) fn on_supervisor_answered(&mut self, call: CallId, seat: LegId, leg: LegId, body: Option<&Body>) {
        self.record_up(leg);
        let supervisors = self.groups.callers.get_mut(&call).map(|caller| &mut caller.supervisors);
        let Some(there) = supervisors.and_then(|all| all.iter_mut().find(|there| there.seat == seat)) else {
            return self.hang_up_sip(leg, Termination::cancelled(TerminationReason::RequestCancelled));
        };
        there.dial = None;
        there.leg = Some(leg);
        if !there.media.take_answer(body) {
            let termination = Termination::failed(TerminationReason::MediaNotSupported);
            self.end_visit(seat, termination);
            return self.hang_up_sip(leg, termination);
        }
        let (agreed, mode, user) = (there.media.agreed(), there.mode, there.user.clone());
        let agent = self.groups.callers.get(&call).and_then(|caller| caller.bridged);
        let agent = agent.and_then(|offer| Some(self.groups.offers.get(&offer)?.order.agent.clone()));
        self.answer_visit(seat, leg, agent, agreed.as_ref());
        self.note_outside(user.clone());
        self.connect_group_leg(seat, agreed);
        let command = SupervisorCommand::Monitor { leg: seat, mode, supervisor: Some(user) };
        self.tell_groups(Input::Supervise { call, command });
    }

    /// The machine allows it: who hears him is set before he is in the mix.
    pub(super) fn monitor(&mut self, call: CallId, seat: LegId, mode: Option<MonitorMode>) {
        let Some(caller) = self.groups.callers.get(&call) else { return };
        let agent = caller.bridged.and_then(|offer| self.groups.offers.get(&offer)?.seat);
        let Some(mode) = mode else { return self.release_supervisor(call, seat) };
        self.deepen_visit(seat, mode);
        let silent = mode == MonitorMode::Listen;
        let ingress = if silent { MediaFilter::Block } else { MediaFilter::Unblock };
        let only = agent.filter(|_| mode == MonitorMode::Whisper);
        self.command_leg(seat, McuCommand::SetFilters { leg: seat, ingress, egress: MediaFilter::Unblock });
        self.command_leg(seat, McuCommand::SetAudience { leg: seat, only });
        self.command_leg(seat, McuCommand::SetInMix { leg: seat, in_mix: true });
        let there = self.groups.callers.get(&call).and_then(|caller| caller.at_seat(seat));
        if let Some(user) = there {
            self.tell_of_supervisor(call, user, SupervisorState::TakesPart);
        }
    }

    /// The conversation he followed is over, and the caller goes elsewhere or waits again: there is nothing to hear for him.
    fn release_supervisor(&mut self, call: CallId, seat: LegId) {
        let there = self.groups.callers.get(&call).and_then(|caller| caller.at_seat(seat));
        if let Some(user) = there {
            self.dismiss_supervisor(call, &user);
        }
    }

    pub(super) fn on_supervisor_failed(&mut self, call: CallId, seat: LegId, termination: Termination) {
        self.end_visit(seat, termination);
        self.remove_supervisor(call, seat, SupervisorState::NotReached);
    }

    fn remove_supervisor(&mut self, call: CallId, seat: LegId, state: SupervisorState) {
        if let Some(caller) = self.groups.callers.get_mut(&call) {
            let gone: Vec<UserUri> =
                caller.supervisors.extract_if(.., |there| there.seat == seat).map(|there| there.user).collect();
            for user in gone {
                self.note_outside(user.clone());
                self.tell_of_supervisor(call, user, state);
            }
        }
        self.leave_seat(seat);
    }

    pub(super) fn on_supervisor_ended(&mut self, call: CallId, leg: LegId, termination: Termination) {
        self.end_visit_of(leg, termination);
        let supervisors = self.groups.callers.get(&call).map(|caller| &caller.supervisors);
        let there = supervisors.and_then(|all| all.iter().find(|there| there.leg == Some(leg)));
        let Some(seat) = there.map(|there| there.seat) else { return };
        self.remove_supervisor(call, seat, SupervisorState::Left);
        self.tell_groups(Input::Supervise { call, command: SupervisorCommand::Leave { leg: seat } });
    }

    /// The conversation is over: nobody is left to be heard.
    pub(super) fn end_supervisors(&mut self, call: CallId) {
        let Some(caller) = self.groups.callers.get(&call) else { return };
        let users: Vec<UserUri> = caller.supervisors.iter().map(|there| there.user.clone()).collect();
        users.iter().for_each(|user| self.dismiss_supervisor(call, user));
    }
    /// The caller is gone before those who heard him have hung up.
    pub(super) fn forget_supervisors(&mut self, call: CallId, supervisors: Vec<Supervisor>) {
        for there in supervisors {
            self.note_outside(there.user.clone());
            let state = if there.leg.is_some() { SupervisorState::Left } else { SupervisorState::NotReached };
            self.tell_of_supervisor(call, there.user, state);
        }
    }
}
