//! Conversations outside the groups, across a restart: a caller who was sent on and whom he talks with are given their audio
//! back together, or hung up together. For the machine the call is over; its record waits for the end of the conversation.

use base::{CallId, Duration, LegId, Termination, TerminationReason, Timestamp};

use super::forward::Forwarding;
use super::restart::Attaching;
use super::{AboutCaller, Purpose, Role, WireLeg};
use crate::Engine;
use crate::destination::Found;
use crate::people::way::Way;
use mcu_api::McuCommand;
use routing::CallKind;

impl Engine {
    /// Takes up every such conversation of an earlier process.
    pub(super) fn reattach_onward(&mut self) {
        for (call, target) in self.groups.earlier.take_targets() {
            if self.reattach_target(call, &target).is_none() {
                self.groups.earlier.put_back(target);
            }
        }
    }

    fn reattach_target(&mut self, call: CallId, target: &call::DialogRecord) -> Option<()> {
        let (record, onward) = self.groups.ledger.talks_on(call)?;
        let (group, person, with) = (record.group.clone(), record.caller.clone(), onward.with.clone());
        let Found::Person(destination) = self.find_for_group(&group, with.as_str()) else { return None };
        self.restore_caller(call, group, &person)?;
        let name = WireLeg::CallId(target.names.call_id.clone());
        let leg = self.take_up(name, Role::Target(call), target.clone(), AboutCaller::default());
        let seat = self.take_seat(call, Purpose::ReattachTarget(call));
        let now = self.now;
        let awaited = self.may_register_anew(leg) || self.may_register_anew(self.groups.callers.get(&call)?.leg);
        let until = now + self.reattach_limit(awaited);
        let caller = self.groups.callers.get_mut(&call)?;
        caller.over = true;
        let way = Way::new(CallKind::ResponseGroupForward, Some(caller.person.clone()), destination, caller.hops_left);
        match seat {
            Some(seat) => {
                caller.forward = Some(Forwarding::taken_up(seat, leg, way, (now, with.clone())));
                self.note_outside(with);
                self.groups.attaching.insert(call, Attaching::onward(until));
                self.reserve_caller(call);
            }
            // His conference is new, so that this does not happen.
            None => self.hang_up_sip(leg, Termination::failed(TerminationReason::McuLost)),
        }
        Some(())
    }

    /// The target's seat has ports: he is offered them.
    pub(super) fn reoffer_target(&mut self, call: CallId, seat: LegId) {
        let media = self.seat_media(seat);
        let forward = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut());
        let (Some(media), Some(forward)) = (media, forward) else { return };
        forward.media = media;
        let (Some(body), Some(leg)) = (forward.media.offer(), forward.answered) else { return };
        self.call(call::Input::Reoffer { leg, body });
    }

    fn reattach_limit(&self, awaited: bool) -> Duration {
        let timing = self.groups.domain.as_ref().map(|domain| &domain.config().timing);
        let limit = timing.map(|timing| if awaited { timing.awaited_seconds } else { timing.reattach_seconds });
        Duration::from_secs(limit.unwrap_or(0).into())
    }

    /// When the time of those who have not answered is over.
    pub(super) fn onward_timeout(&self) -> Option<Timestamp> {
        self.groups.attaching.values().filter_map(Attaching::until).min()
    }

    /// Gives up who has not answered in time.
    pub(super) fn fire_onward_timers(&mut self) {
        let due = |attaching: &Attaching| attaching.until().is_some_and(|until| until <= self.now);
        let mut late: Vec<CallId> =
            self.groups.attaching.iter().filter(|(_, it)| due(it)).map(|(call, _)| *call).collect();
        late.sort_unstable();
        late.into_iter().for_each(|call| self.finish_onward(call, false));
    }

    /// Both have answered, or one of them has not.
    pub(super) fn finish_onward(&mut self, call: CallId, good: bool) {
        let Some(caller) = self.groups.callers.get(&call) else {
            self.groups.attaching.remove(&call);
            return;
        };
        let (leg, seat) = (caller.leg, caller.forward.as_ref().map(|forward| forward.seat));
        match seat.filter(|_| good) {
            Some(seat) => {
                self.groups.attaching.remove(&call);
                self.play_to_caller(call);
                self.command_leg(seat, McuCommand::SetInMix { leg: seat, in_mix: true });
                let with = self.person_sent_to(call);
                self.tell_partner(call, with.as_ref());
            }
            None => self.hang_up_sip(leg, Termination::failed(TerminationReason::McuLost)),
        }
    }
}
