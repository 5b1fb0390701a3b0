//! Callers who are sent elsewhere: by the queue's time-out or overflow, by an agent or by a supervisor.
//!
//! The caller stays on our mixer; the target is dialled into his conference. The target's own settings and redirections
//! are honoured, for this is no offer any more (rule R12); but for his mailbox, where no group's call may end (R1).

use base::{CallId, LegId, OfferId, Shown, SubscriptionId, Termination, TerminationReason, Timestamp, UserUri};
use call::{Body, Dial};
use mcu_api::{LegMedia, McuCommand};
use response_group::{Action, Input, SupervisorCommand};
use routing::CallKind;
use sip_api::{Headers, NameAddr};

use super::caller::Caller;
use super::headers::HOPS_HEADER;
use super::ledger::{GroupLegs, unix_ms};
use super::media::GroupMedia;
use super::{Purpose, Role, WireRecord};
use crate::Engine;
use crate::conference::dial_out::COMPLETED_ELSEWHERE;
use crate::destination::{Answerer, Destination, Found, Guide, Ring, RingTarget};
use crate::event::EngineEvent;
use crate::people::bridge::Rung;
use crate::people::history::Story;
use crate::people::replaces::Replaces;
use crate::people::way::{Lost, Way};

/// How long a target may ring.
const RING_LIMIT: base::Duration = base::Duration::from_secs(120);

/// A caller on his way to somebody outside the groups, or with him.
#[derive(Debug)]
pub(super) struct Forwarding {
    pub(super) seat: LegId,
    pub(super) media: GroupMedia,
    pub(super) answered: Option<LegId>,
    /// A colleague whom the agent asked first; he answers an offer inside his dialog.
    pub(super) consulted: Option<LegId>,
    dial: Option<OfferId>,
    way: Way,
    /// Who was rung, leg by leg.
    rung: Vec<Rung>,
    /// Since which of these it is the dial under way.
    ringing: usize,
    pub(super) rang: bool,
    hops: u32,
    since: Timestamp,
    /// When it was answered, and by whom: a user, or a number as `tel:`.
    taken: Option<(Timestamp, UserUri)>,
}

impl Forwarding {
    /// A conversation of an earlier process, with whom it is and since when, as far as this process goes.
    pub(super) fn taken_up(seat: LegId, leg: LegId, way: Way, taken: (Timestamp, UserUri)) -> Self {
        Self {
            seat,
            media: GroupMedia::default(),
            answered: Some(leg),
            consulted: None,
            dial: None,
            way,
            rung: Vec::new(),
            ringing: 0,
            rang: true,
            hops: 0,
            since: taken.0,
            taken: Some(taken),
        }
    }

    /// Who answered, if he is somebody we know.
    pub(super) fn person(&self) -> Option<&UserUri> {
        self.taken.as_ref().map(|(_, who)| who)
    }

    /// Whether somebody's phone rings.
    pub(super) fn rings(&self, user: &UserUri) -> bool {
        self.dial.is_some() && self.rung[self.ringing..].iter().any(|rung| rung.person.as_ref() == Some(user))
    }

    /// Whoever this came to.
    fn people(&self) -> impl Iterator<Item = &UserUri> {
        self.rung.iter().filter_map(|rung| rung.person.as_ref()).chain(self.person())
    }
}

impl Engine {
    /// Where a group sends somebody: by its own right, because the operator has written it down.
    pub(super) fn find_for_group(&self, group: &UserUri, target: &str) -> Found {
        let target = sip_api::SipUri::parse(target).map_or_else(|_| target.to_owned(), |uri| self.dialled(&uri));
        self.guide().found(self.directory.route_for(group, &target))
    }

    /// The machine sends a caller to a target.
    pub(super) fn forward_caller(&mut self, call: CallId, target: UserUri, hops: u32) {
        let Some(caller) = self.groups.callers.get(&call) else { return };
        let (group, consulted) = (caller.group.clone(), caller.consulted);
        let destination = match self.find_for_group(&group, target.as_str()) {
            // He is on the line already.
            _ if consulted.is_some() => Destination::Devices(target),
            Found::Person(destination) => destination,
            Found::Conference(_) => return self.forward_failed(call, TerminationReason::InvalidTarget, 501),
            Found::Nobody(why) => return self.forward_failed(call, TerminationReason::InvalidTarget, why.status()),
        };
        let Some(seat) = self.take_seat(call, Purpose::Forward(call)) else {
            return self.forward_failed(call, TerminationReason::LimitReached, 503);
        };
        let since = self.now;
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        let mut way =
            Way::new(CallKind::ResponseGroupForward, Some(caller.person.clone()), destination, caller.hops_left);
        way.diversions.begin_at(&group);
        caller.forward = Some(Forwarding {
            seat,
            media: GroupMedia::default(),
            answered: None,
            consulted: caller.consulted.take(),
            dial: None,
            way,
            rung: Vec::new(),
            ringing: 0,
            rang: false,
            hops,
            since,
            taken: None,
        });
    }

    /// The seat has its ports: the target's devices, or the next trunk, are rung.
    pub(super) fn ring_target(&mut self, call: CallId, seat: LegId) {
        let forward = self.groups.callers.get(&call).and_then(|caller| caller.forward.as_ref());
        if let Some(leg) = forward.and_then(|forward| forward.consulted) {
            return self.take_over_colleague(call, seat, leg);
        }
        let media = self.seat_media(seat);
        let guide = Guide { directory: &self.directory, config: &self.config };
        let forward = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut());
        let (Some(media), Some(forward)) = (media, forward) else { return };
        forward.media = media;
        let step = forward.way.next(&guide);
        self.take_forward_step(call, step);
    }

    fn take_forward_step(&mut self, call: CallId, step: Result<Ring, Lost>) {
        match step {
            Ok(ring) => self.ring_places(call, ring),
            Err(lost) => self.forward_failed(call, lost.termination.reason, lost.status),
        }
    }

    fn ring_places(&mut self, call: CallId, ring: Ring) {
        let Some(caller) = self.groups.callers.get(&call) else { return };
        let (from, mut headers) = (caller.from.clone(), caller.passed_on.clone());
        headers.extend(self.referred_by(caller));
        let number = self.caller_uri(&caller.person, true);
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        let Some(forward) = caller.forward.as_mut() else { return };
        headers.extend(forward.way.diversions.headers(&self.config));
        headers.push((HOPS_HEADER.to_owned(), (forward.hops + 1).to_string()));
        let Some(body) = forward.media.offer() else { return };
        let dial = self.calls.allocate_offer();
        forward.dial = Some(dial);
        forward.rang = false;
        let (to, silence_limit, mode) = (ring.to(None), ring.silence_limit(), ring.mode);
        let ring_limit = ring.limit.unwrap_or(RING_LIMIT);
        let tag = self.new_tag();
        let number = NameAddr { uri: number, params: Vec::new(), ..from.clone() }.with_tag(&tag);
        let from = NameAddr { uri: from.uri.address_of_record(), params: Vec::new(), ..from }.with_tag(&tag);
        let (mut targets, mut people) = (Vec::new(), Vec::new());
        for RingTarget { mut target, who, trunk } in ring.targets {
            if trunk.is_some() {
                target.headers.push(("From".to_owned(), number.to_string()));
            }
            targets.push(target);
            people.push((who, trunk));
        }
        let (legs, invites) = self.name_invites(targets, Role::Target(call), &from, &to);
        if let Some(forward) = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut()) {
            let rung = legs.iter().zip(people).map(|((leg, _), (who, trunk))| {
                let person = who.person(&forward.way.destination);
                Rung { leg: *leg, who, person, trunk }
            });
            forward.ringing = forward.rung.len();
            forward.rung.extend(rung);
        }
        self.note_forward(call);
        self.groups.dials.insert(dial, Purpose::Forward(call));
        self.record(WireRecord::Called { invites });
        self.call(call::Input::Dial(Box::new(Dial {
            mode,
            headers,
            ring_limit,
            silence_limit,
            cancel_reason: vec![COMPLETED_ELSEWHERE.to_owned()],
            ..Dial::new(dial, legs, from, to, body)
        })));
    }

    /// The agent who sends a caller on (RFC 3892), or his group, if it keeps its agents to itself.
    fn referred_by(&self, caller: &Caller) -> Option<(String, String)> {
        let agent = caller.sent_by.as_ref().filter(|_| caller.transfer.is_some())?;
        let anonymous = self.group_conf(&caller.group).is_none_or(|group| group.anonymous);
        let shown = if anonymous { &caller.group } else { agent };
        Some(("Referred-By".to_owned(), format!("<{shown}>")))
    }

    /// A device of the target rings: no other trunk may be tried any more.
    pub(super) fn on_target_ringing(&mut self, call: CallId) {
        if let Some(forward) = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut()) {
            forward.rang = true;
        }
    }

    /// The target answered: caller and he are joined.
    pub(super) fn on_target_answered(&mut self, call: CallId, leg: LegId, body: Option<&Body>) {
        self.record_up(leg);
        let forward = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut());
        let Some(forward) = forward else {
            return self.hang_up_sip(leg, Termination::cancelled(TerminationReason::RequestCancelled));
        };
        forward.dial = None;
        if !forward.media.take_answer(body) {
            self.hang_up_sip(leg, Termination::failed(TerminationReason::MediaNotSupported));
            return self.forward_failed(call, TerminationReason::MediaNotSupported, 488);
        }
        self.join_target(call, leg);
    }

    /// His audio joins the caller's.
    pub(super) fn join_target(&mut self, call: CallId, leg: LegId) {
        let forward = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut());
        let Some((forward, agreed)) =
            forward.and_then(|forward| forward.media.agreed().map(|agreed| (forward, agreed)))
        else {
            return;
        };
        let seat = forward.seat;
        forward.answered = Some(leg);
        let rung = forward.rung.iter().find(|rung| rung.leg == leg);
        let who = rung.map_or_else(|| forward.way.destination.person(), |rung| rung.person.clone());
        if let Some(who) = who.clone() {
            self.note_target(call, GroupLegs { sip: leg, media: seat }, who, &agreed);
        }
        self.note_forward(call);
        self.connect_group_leg(seat, Some(agreed));
        self.command_leg(seat, McuCommand::SetInMix { leg: seat, in_mix: true });
        self.hush_caller(call);
        self.ensure_accepted(call);
        self.show_partner(call, who.as_ref());
        self.tell_groups(Input::ForwardEnded { call, connected: true, status: None });
        self.report_transfer(call, 200);
    }

    /// Who it is that answered, for the record; those who rang with him hear of it now.
    fn note_target(&mut self, call: CallId, legs: GroupLegs, who: UserUri, agreed: &LegMedia) {
        let now = self.now;
        let forward = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut());
        let Some(forward) = forward else { return };
        forward.taken = Some((now, who.clone()));
        self.note_group_leg(call, legs, Some(who.clone()), agreed);
        self.note_onward(call, who);
        self.tell_those_rung(call, Termination::cancelled(TerminationReason::AnsweredElsewhere));
    }

    /// Whoever it came to may be free now, or is not any more.
    fn note_forward(&mut self, call: CallId) {
        if let Some(forward) = self.groups.callers.get(&call).and_then(|caller| caller.forward.as_ref()) {
            self.groups.stirred.extend(forward.people().cloned());
        }
    }

    /// A line for everybody the forwarded call came to and who is not in it.
    fn tell_those_rung(&mut self, call: CallId, termination: Termination) {
        let forward = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut());
        let Some(visits) = forward.map(|forward| std::mem::take(&mut forward.way.visits)) else { return };
        let story = self.groups.callers.get(&call).and_then(|caller| story(call, caller, termination));
        let lines = story.map(|story| self.lines_of_others(&story, &visits)).unwrap_or_default();
        lines.into_iter().for_each(|line| self.write_history(line));
    }

    /// Whom a caller was sent on to and talks with.
    pub(super) fn person_sent_to(&self, call: CallId) -> Option<UserUri> {
        self.groups.callers.get(&call)?.forward.as_ref()?.person().cloned()
    }

    /// The conversation with the target is over: a line for him. It may have begun in an earlier process.
    fn tell_target(&mut self, call: CallId) {
        let termination = match (self.groups.attaching.contains_key(&call), self.groups.stopping) {
            (true, _) => Termination::failed(TerminationReason::McuLost),
            (false, true) => Termination::completed(TerminationReason::ServerStopping),
            (false, false) => Termination::completed(TerminationReason::Departed),
        };
        let story = self.groups.callers.get(&call).and_then(|caller| story(call, caller, termination));
        if let Some(mut line) = story.and_then(|story| self.line_of_callee(&story)) {
            if let Some(from) = self.groups.ledger.talks_on(call).map(|(_, onward)| unix_ms(onward.from)) {
                line.started = line.started.min(from);
                line.answered = line.answered.map(|answered| answered.min(from));
            }
            self.write_history(line);
        }
        self.end_onward(call, termination);
    }

    /// Nobody answered there: the next trunk if there is one, else the machine decides.
    pub(super) fn on_target_failed(&mut self, call: CallId, termination: Termination, status: Option<u16>) {
        let guide = Guide { directory: &self.directory, config: &self.config };
        let Some(forward) = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut()) else {
            return;
        };
        forward.dial = None;
        let step = forward.way.after(&guide, termination, status, forward.rang);
        self.take_forward_step(call, step);
    }

    /// Whom the caller was sent to is not reached: `status` is what whoever sent him is told (RFC 3515 2.4.5).
    pub(super) fn forward_failed(&mut self, call: CallId, reason: TerminationReason, status: u16) {
        self.note_refusal(call, reason);
        self.note_forward(call);
        self.tell_those_rung(call, Termination::failed(reason));
        let caller = self.groups.callers.get_mut(&call);
        let (forward, asked) =
            caller.map(|caller| (caller.forward.take(), caller.consulted.take())).unwrap_or_default();
        if let Some(forward) = &forward {
            self.leave_seat(forward.seat);
        }
        let media = forward.as_ref().map(|forward| &forward.media);
        if let Some(leg) = asked.or(forward.as_ref().and_then(|forward| forward.consulted)) {
            self.give_colleague_back(leg, media);
        }
        self.report_transfer(call, status);
        self.tell_groups(Input::ForwardEnded { call, connected: false, status: Some(status) });
    }

    /// A device of the target refused or hung up.
    pub(super) fn on_target_ended(
        &mut self,
        call: CallId,
        leg: LegId,
        (termination, status): (Termination, Option<u16>),
        headers: &Headers,
    ) {
        let Some(caller) = self.groups.callers.get(&call) else { return };
        let Some(forward) = &caller.forward else { return };
        if forward.answered == Some(leg) {
            let leg = caller.leg;
            return self.hang_up_sip(leg, Termination::completed(TerminationReason::Departed));
        }
        if self.is_taken_over(Role::Target(call), leg) {
            return self.on_colleague_ended(call, leg, (termination, status), headers);
        }
        let guide = Guide { directory: &self.directory, config: &self.config };
        let Some(forward) = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut()) else {
            return;
        };
        // A helper's device does not decide where somebody else's call goes.
        if forward.rung.iter().any(|rung| rung.leg == leg && rung.who != Answerer::Callee) {
            return;
        }
        let Some(dial) = forward.dial.filter(|_| forward.way.deflect(&guide, status, headers, None)) else { return };
        let seat = forward.seat;
        self.groups.dials.remove(&dial);
        self.call(call::Input::Cancel { offer: dial, reason: vec![COMPLETED_ELSEWHERE.to_owned()] });
        self.ring_target(call, seat);
    }

    /// The caller's leg is over: the target is let go.
    pub(super) fn end_forward(&mut self, call: CallId) {
        match self.groups.callers.get(&call).and_then(|caller| caller.forward.as_ref()).map(|it| it.taken.is_some()) {
            Some(true) => self.tell_target(call),
            Some(false) => self.tell_those_rung(call, Termination::cancelled(TerminationReason::RequestCancelled)),
            None => {}
        }
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        if let Some(leg) = caller.consulted.take() {
            self.give_colleague_back(leg, None);
        }
        self.note_forward(call);
        let Some(forward) = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.take()) else { return };
        match (forward.answered, forward.consulted) {
            (Some(leg), _) => self.hang_up_sip(leg, Termination::completed(TerminationReason::Departed)),
            (None, Some(leg)) => self.give_colleague_back(leg, Some(&forward.media)),
            (None, None) => {}
        }
        if let Some(dial) = forward.dial {
            self.groups.dials.remove(&dial);
            self.call(call::Input::Cancel { offer: dial, reason: vec![COMPLETED_ELSEWHERE.to_owned()] });
        }
    }

    /// REFER: only the agent who talks with the caller may send him elsewhere, at once or to a colleague whom he has asked first
    /// (`Replaces`).
    pub(super) fn on_group_referred(&mut self, role: Role, refer: SubscriptionId, refer_to: &NameAddr) {
        if let Role::Supervisor(_) = role {
            // His dialog is about what he hears, not about whom he hears.
            let why = "who supervises a call takes part in it alone; callers are sent on by the command transfer";
            let headers = vec![("Warning".to_owned(), format!("399 {} \"{why}\"", self.config.domain))];
            return self.call(call::Input::RespondRefer { refer, status: 403, headers });
        }
        let (Role::Device(offer), Ok(person)) = (role, UserUri::parse(&self.dialled(&refer_to.uri))) else {
            return self.call(call::Input::RespondRefer { refer, status: 603, headers: Vec::new() });
        };
        let replaces = Replaces::in_uri(refer_to.uri.headers.as_deref());
        match &replaces {
            Some(None) => return self.call(call::Input::RespondRefer { refer, status: 400, headers: Vec::new() }),
            None if refer_to.uri.headers.is_some() => {
                return self.call(call::Input::RespondRefer { refer, status: 501, headers: Vec::new() });
            }
            _ => {}
        }
        let order = self.groups.offers.get(&offer).map(|offer| &offer.order);
        let (call, agent) = (order.map(|order| order.call), order.map(|order| order.agent.clone()));
        let circle = call.zip(agent.as_ref()).and_then(|(call, agent)| self.circle(call, agent, &person));
        let Some(caller) = call.and_then(|call| self.groups.callers.get_mut(&call)) else {
            return self.call(call::Input::RespondRefer { refer, status: 603, headers: Vec::new() });
        };
        if caller.transfer.is_some() {
            // The first one is not decided yet (RFC 3261 21.4.27).
            return self.call(call::Input::RespondRefer { refer, status: 491, headers: Vec::new() });
        }
        if caller.bridged != Some(offer) {
            return self.call(call::Input::RespondRefer { refer, status: 603, headers: Vec::new() });
        }
        if let Some(Some(replaces)) = replaces {
            if let Err(status) = self.transfer_to_colleague(offer, refer, &replaces) {
                self.call(call::Input::RespondRefer { refer, status, headers: Vec::new() });
            }
            return;
        }
        if let Some(status) = circle {
            return self.call(call::Input::RespondRefer { refer, status, headers: Vec::new() });
        }
        (caller.transfer, caller.sent_by) = (Some(refer), agent);
        self.call(call::Input::RespondRefer { refer, status: 202, headers: Vec::new() });
        let target = self.action_to(person.address_of_record());
        let queues = matches!(target, Action::Group { .. });
        self.tell_groups(Input::AgentTransferred { offer, target, consulted: false });
        if let Some(call) = call.filter(|_| queues) {
            // He waits there now, and the agent has done his part.
            self.report_transfer(call, 200);
        }
    }

    /// The refusal, where the caller is to be sent to herself, or to the agent who talks with her.
    fn circle(&self, call: CallId, agent: &UserUri, target: &UserUri) -> Option<u16> {
        let caller = self.groups.callers.get(&call)?;
        let Found::Person(destination) = self.find_for_group(&caller.group, target.as_str()) else { return None };
        let person = destination.person()?;
        match (person == caller.person, person == *agent) {
            (true, _) => Some(482),
            (false, true) => Some(403),
            (false, false) => None,
        }
    }

    /// Sending somebody to an address that may be another group's.
    pub(super) fn action_to(&self, target: UserUri) -> Action {
        let group = sip_api::SipUri::parse(target.as_str()).ok().and_then(|uri| self.group_of(&uri));
        group.map_or(Action::Forward { target }, |target| Action::Group { target })
    }

    /// Tells whoever sent a caller elsewhere what became of that: an agent by NOTIFY, a supervisor by an event.
    fn report_transfer(&mut self, call: CallId, status: u16) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        let (refer, supervised) = (caller.transfer.take(), std::mem::take(&mut caller.sent_by_supervisor));
        if let Some(refer) = refer {
            self.call(call::Input::ReferProgress { refer, status });
        }
        if supervised {
            self.event(EngineEvent::GroupTransfer { call, reached: status == 200 });
        }
    }

    /// Why nobody can be sent to a target of which the groups know nothing bad: the dial plan leads nowhere, or back to those
    /// who are in the call.
    pub(super) fn target_objection(&self, call: CallId, target: &Action) -> Option<String> {
        let Action::Forward { target } = target else { return None };
        let caller = self.groups.callers.get(&call)?;
        match self.find_for_group(&caller.group, target.as_str()) {
            Found::Person(destination) => {
                let person = destination.person()?;
                let why = if person == caller.person {
                    "he is the caller of this very call"
                } else if self.partner_of(caller) == Some(&person) {
                    "he talks in this very call already"
                } else {
                    return None;
                };
                Some(format!("target = {}: {why}; name somebody else", Shown(target.as_str())))
            }
            Found::Conference(_) => Some(format!(
                "target = {}: this is a conference; name a user, a number or a group",
                Shown(target.as_str())
            )),
            Found::Nobody(why) => {
                Some(format!("target = {}: {why}; name a user, a number or a group", Shown(target.as_str())))
            }
        }
    }

    /// A supervisor sends a caller elsewhere.
    pub(super) fn send_by_supervisor(&mut self, call: CallId, target: Action) {
        if let Some(caller) = self.groups.callers.get_mut(&call) {
            caller.sent_by_supervisor = true;
        }
        self.tell_groups(Input::Supervise { call, command: SupervisorCommand::Transfer { target } });
    }

    /// The caller waits in another group now.
    pub(super) fn on_caller_moved(&mut self, call: CallId) {
        if self.groups.callers.get(&call).is_some_and(|caller| caller.sent_by_supervisor) {
            self.report_transfer(call, 200);
        }
    }

    /// A supervisor's command was refused, whichever it was.
    pub(super) fn on_supervisor_refused(&mut self, call: CallId, why: String) {
        if let Some(caller) = self.groups.callers.get_mut(&call) {
            caller.sent_by_supervisor = false;
        }
        self.event(EngineEvent::GroupSupervisorRefused { call, why });
    }

    /// A seat that is nobody's offer was lost: a target's or a supervisor's.
    pub(super) fn on_extra_seat_lost(&mut self, seat: LegId, termination: Termination) {
        let target = self.groups.callers.values().filter_map(|caller| caller.forward.as_ref());
        let supervisors = self.groups.callers.values().flat_map(|caller| &caller.supervisors);
        let legs = target.filter(|forward| forward.seat == seat).filter_map(|forward| forward.answered);
        let watching = supervisors.filter(|supervisor| supervisor.seat == seat).filter_map(|one| one.leg);
        let lost: Vec<LegId> = legs.chain(watching).collect();
        lost.into_iter().for_each(|leg| self.hang_up_sip(leg, termination));
    }
}

/// A forwarded call as the histories of those it went to tell it: the group was called first.
fn story(call: CallId, caller: &Caller, termination: Termination) -> Option<Story<'_>> {
    let forward = caller.forward.as_ref()?;
    Some(Story {
        call,
        call_id: Some(caller.call_id.clone()),
        caller: &caller.person,
        caller_name: caller.from.display_name.as_deref(),
        dialled: Some(&caller.group),
        callee: forward.person(),
        at: forward.way.destination.person(),
        since: forward.since,
        answered: forward.taken.as_ref().map(|(at, _)| *at),
        termination,
    })
}
