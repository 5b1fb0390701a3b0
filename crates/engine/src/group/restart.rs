//! Beginning, and beginning anew on the journal of a process that ended: phones that still ring are silenced, callers
//! who still hold the line are given their audio back (routing.md 3.7). Every other dialog is ended.

use base::{CallId, Duration, LegId, OfferId, Termination, TerminationReason, Timestamp, UserUri};
use call::{Body, Dial, Target};
use mcu_api::{AloneAudio, McuCommand};
use response_group::{Config, DialogNo, Domain, Entry, Input, JournalError, OfferNo, OfferOrder, Problem, Refusal};
use sip_api::{Flow, NameAddr, SipUri, Transport};

use super::caller::Caller;
use super::dropped::dropped_changes;
use super::ledger::Ledger;
use super::offer::Offer;
use super::visit::Visits;
use super::wire::{OnWire, UpCaller};
use super::{AboutCaller, GroupJournal, Purpose, Role, SentInvite, WireLeg, WireRecord};
use crate::Engine;
use crate::conference::dial_out::COMPLETED_ELSEWHERE;
use crate::event::EngineEvent;

/// A caller who is being attached again: who has answered, of himself and whom he talks with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attaching {
    caller: Option<bool>,
    /// An agent, or whom the caller was sent on to; `None` when there is nobody to wait for.
    other: Option<Option<bool>>,
    /// Until when both must have answered, where the machine has no limit of its own.
    until: Option<Timestamp>,
}

impl Attaching {
    /// Nobody has answered yet, of two who talk outside the groups.
    pub(super) fn onward(until: Timestamp) -> Self {
        Self { caller: None, other: Some(None), until: Some(until) }
    }

    /// Until when both must have answered.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.until
    }
}

impl Engine {
    /// Opens the response groups: `records` is what the journal holds, in order; `file` are the groups of the
    /// configuration. They hold unless they are the same as at the last start: then what was changed at run time lasts.
    ///
    /// Drain the effects afterwards: among them is the beginning of a new journal, and after a crash what it asks for.
    pub fn open_groups(&mut self, now: Timestamp, file: Config, records: &[GroupJournal]) -> Result<(), Vec<Problem>> {
        file.validate()?;
        self.now = now;
        let entries: Vec<Entry> = records.iter().filter_map(machine_entry).collect();
        self.set_epoch(&entries);
        let at = self.group_time();
        if !entries.is_empty() {
            let (domain, left) = Domain::restore(at, &entries).map_err(|error| vec![unreadable(&error)])?;
            self.groups.ledger = Ledger::of_earlier(records, left, self.config.limits.unstored_group_calls);
            let last = entries.iter().map(entry_time).max().unwrap_or(at);
            self.groups.visits = Visits::of_earlier(records, last, self.config.limits.unstored_group_calls);
            self.groups.wire = OnWire::of(records);
            self.groups.earlier = self.groups.wire.clone();
            self.groups.next_call = domain.last_call().0;
            let changed = self.groups.wire.file.as_deref() != Some(&file);
            if let Some(then) = self.groups.wire.file.as_deref().filter(|_| changed) {
                let dropped = dropped_changes(then, domain.config(), &file);
                dropped.into_iter().for_each(|change| self.event(EngineEvent::GroupChangeDropped(change)));
            }
            self.begin_anew(domain, file, changed);
        } else if !file.groups.is_empty() {
            self.groups.domain = Some(Domain::new(at, file.clone())?);
            self.record(WireRecord::File { config: Box::new(file) });
            self.drain_groups();
            self.tell_registrations();
        }
        self.settle();
        self.reattach_onward();
        self.settle_earlier_calls();
        self.settle_earlier_visits();
        self.settle();
        let left = std::mem::take(&mut self.groups.earlier).into_leftovers();
        self.end_leftovers(left);
        self.settle();
        Ok(())
    }

    fn begin_anew(&mut self, domain: Domain, file: Config, changed: bool) {
        self.groups.domain = Some(domain);
        self.drain_groups();
        self.tell_registrations();
        if changed {
            self.record(WireRecord::File { config: Box::new(file.clone()) });
            self.tell_groups(Input::Configured { config: Box::new(file) });
        }
    }

    /// The server stops: every caller is told, heard out for as long as he listens, and hung up; what rings is cancelled.
    /// When it is said once more, whoever still listens is hung up at once.
    pub(crate) fn stop_groups(&mut self) {
        let again = std::mem::replace(&mut self.groups.stopping, true);
        if !again {
            self.tell_groups(Input::Stopping);
        }
        let termination = Termination::completed(TerminationReason::ServerStopping);
        // With those whom the machine has sent elsewhere it has done.
        let done = |caller: &&Caller| again || (caller.over && !caller.audio.is_farewell());
        let mut legs: Vec<LegId> = self.groups.callers.values().filter(done).map(|caller| caller.leg).collect();
        legs.extend(self.groups.errands.keys());
        legs.sort_unstable();
        legs.into_iter().for_each(|leg| self.hang_up_sip(leg, termination));
    }

    /// Other groups hold from now on.
    pub(super) fn configure_groups(&mut self, config: Config) {
        if self.groups.domain.is_none() {
            let Ok(domain) = Domain::new(self.group_time(), config) else { return };
            self.groups.domain = Some(domain);
            self.drain_groups();
        } else {
            self.tell_groups(Input::Configured { config: Box::new(config) });
        }
        self.tell_registrations();
    }

    /// The machine's time is the calendar's; it does not go back, even where the clock was set back meanwhile.
    fn set_epoch(&mut self, entries: &[Entry]) {
        let started = Duration::from_millis(u64::try_from(self.config.unix_start_ms).unwrap_or(0));
        let last = entries.iter().map(entry_time).max().unwrap_or(Timestamp::ZERO);
        let last = last.since(Timestamp::ZERO).saturating_sub(self.now.since(Timestamp::ZERO));
        self.groups.epoch = started.max(last);
    }

    /// Whose devices are registered and what agents do outside the groups: nothing, right after a start.
    pub(super) fn tell_registrations(&mut self) {
        let groups = self.groups.domain.iter().flat_map(|domain| &domain.config().groups);
        let agents = groups.flat_map(|group| &group.agent_groups).flat_map(|group| &group.agents);
        let mut agents: Vec<UserUri> = agents.map(|agent| agent.uri.clone()).collect();
        agents.sort_unstable();
        agents.dedup();
        for agent in agents {
            self.note_reachable(&agent);
            self.note_outside(agent);
        }
    }

    /// An offer of an earlier process whose phones may still ring. What never left needs no end.
    pub(super) fn repeat_and_cancel(&mut self, number: OfferNo) {
        let invites = self.groups.earlier.take_invites(number);
        let mut offer = Offer::new(forgotten_order(number));
        offer.withdrawn = true;
        self.groups.offers.insert(number, offer);
        let Some((dial, legs)) = self.repeat_invites(&invites, Role::Device(number)) else {
            return self.close_offer(number, Refusal::Cancelled);
        };
        self.file_repeated(number, dial, legs);
    }

    /// Sends INVITEs of an earlier process once more, which their phones take for retransmissions and answer with their
    /// last responses; upon that the CANCELs leave. `None` when there are none, or none that can be read.
    pub(super) fn repeat_invites(&mut self, invites: &[SentInvite], role: Role) -> Option<(OfferId, Vec<LegId>)> {
        let first = invites.first()?;
        let (from, to) = (NameAddr::parse(&first.from).ok()?, NameAddr::parse(&first.to).ok()?);
        // Who has no account here never registers, so that nothing waits for him.
        let owner = UserUri::parse(&to.uri.to_string()).ok();
        let dial = self.calls.allocate_offer();
        let mut legs = Vec::new();
        for invite in invites {
            let Some(target) = target_of(invite, owner.clone()) else { continue };
            let leg = self.calls.allocate_leg();
            self.groups.legs.insert(leg, role);
            self.groups.recorded.insert(leg, WireLeg::CallId(invite.call_id.clone()));
            legs.push((leg, target));
        }
        let ids: Vec<LegId> = legs.iter().map(|(leg, _)| *leg).collect();
        if ids.is_empty() {
            return None;
        }
        self.groups.dials.insert(dial, Purpose::Silence);
        // The phone has the description of the first one; this is not looked at.
        let body = Body::new("application/sdp", "v=0\r\n");
        self.call(call::Input::Dial(Box::new(Dial {
            ring_limit: Duration::from_secs(32),
            cancel_reason: vec![COMPLETED_ELSEWHERE.to_owned()],
            ..Dial::new(dial, legs, from, to, body)
        })));
        self.call(call::Input::Cancel { offer: dial, reason: vec![COMPLETED_ELSEWHERE.to_owned()] });
        Some((dial, ids))
    }

    /// The machine wants a caller's media here again, and his agent's if he had one.
    pub(super) fn reattach(&mut self, call: CallId, agent: Option<(OfferNo, DialogNo)>) {
        let parties = self.groups.domain.as_ref().and_then(|domain| domain.parties(call));
        let parties = parties.map(|(caller, group)| (caller.to_owned(), group.clone()));
        if parties.and_then(|(caller, group)| self.restore_caller(call, group, &caller)).is_none() {
            return self.tell_groups(Input::Reattached { call, caller: false, agent: false });
        }
        let mut attaching = Attaching::default();
        if let Some((offer, _)) = agent {
            attaching.other = Some(self.restore_agent(call, offer));
            let known = self.groups.domain.as_ref().and_then(|domain| domain.agent_of(offer)).cloned();
            if let Some(caller) = self.groups.callers.get_mut(&call) {
                caller.shown = known;
            }
        }
        self.groups.attaching.insert(call, attaching);
        self.reserve_caller(call);
        if self.waits_for_phones(call) {
            self.tell_groups(Input::PhonesAwaited { call });
        }
    }

    /// Whether a phone of this call was connected with the process that ended, and may register anew.
    fn waits_for_phones(&self, call: CallId) -> bool {
        let Some(caller) = self.groups.callers.get(&call) else { return false };
        let agent = caller.bridged.and_then(|offer| self.groups.offers.get(&offer)?.answered);
        self.may_register_anew(caller.leg) || agent.is_some_and(|leg| self.may_register_anew(leg))
    }

    /// Whether this leg's phone is a user's who was connected with the process that ended.
    pub(super) fn may_register_anew(&self, leg: LegId) -> bool {
        let dialog = self.calls.dialog_record(leg).filter(|dialog| dialog.user.is_some());
        dialog.and_then(|dialog| dialog.sip_flow()).is_some_and(|flow| flow.transport != Transport::Udp)
    }

    /// The dialog with a caller of an earlier process, with a new conference of his own; `None` when there is none any more.
    pub(super) fn restore_caller(&mut self, call: CallId, group: UserUri, person: &str) -> Option<()> {
        let UpCaller { dialog, about } = self.groups.earlier.take_caller(call)?;
        let from = NameAddr::parse(about.shown.as_ref().unwrap_or(&dialog.remote)).ok()?;
        let conference = self.make_group_conference(call.0, AloneAudio::Music);
        let about = AboutCaller { shown: Some(from.to_string()), ..about };
        let call_id = dialog.names.call_id.clone();
        let leg = self.take_up(WireLeg::Caller(call), Role::Caller(call), *dialog, about.clone());
        let mut restored = Caller::new(leg, call_id, conference, group, from);
        restored.accepted = true;
        (restored.confirmed, restored.recorded) = (true, true);
        (restored.follows_from, restored.passed_on) = (about.follows_from, about.passed_on);
        restored.user = UserUri::parse(person).ok();
        // Whoever claims an account must have proved it to call; a trunk's word is not kept.
        restored.proved = restored.user.as_ref().is_some_and(|user| self.directory.user(user).is_some());
        let user = restored.user.clone();
        self.groups.callers.insert(call, restored);
        self.groups.stirred.extend(user);
        Some(())
    }

    /// `Some(false)` when there is no agent to be reached any more.
    fn restore_agent(&mut self, call: CallId, number: OfferNo) -> Option<bool> {
        if self.take_up_agent(number, call).is_none() {
            return Some(false);
        }
        let seat = self.take_seat(call, Purpose::Reattach(number))?;
        if let Some(offer) = self.groups.offers.get_mut(&number) {
            offer.seat = Some(seat);
        }
        if let Some(caller) = self.groups.callers.get_mut(&call) {
            caller.bridged = Some(number);
        }
        None
    }

    /// The dialog of the agent who answered an offer in an earlier process; `None` when it is over, or there was none.
    pub(super) fn take_up_agent(&mut self, number: OfferNo, call: CallId) -> Option<LegId> {
        let dialog = self.groups.earlier.take_agent(number)?;
        let name = WireLeg::CallId(dialog.names.call_id.clone());
        let leg = self.take_up(name, Role::Device(number), dialog, AboutCaller::default());
        let forgotten = forgotten_order(number);
        let known = self.groups.domain.as_ref().and_then(|domain| domain.agent_of(number)).cloned();
        let agent = known.unwrap_or_else(|| forgotten.agent.clone());
        let mut offer = Offer::new(OfferOrder { call, agent, ..forgotten });
        offer.answered = Some(leg);
        self.groups.offers.insert(number, offer);
        Some(leg)
    }

    /// The caller has ports again: he is offered them.
    pub(super) fn reoffer_caller(&mut self, call: CallId) {
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        let leg = caller.leg;
        if let Some(body) = caller.media.offer() {
            self.call(call::Input::Reoffer { leg, body });
        }
    }

    /// His agent has.
    pub(super) fn reoffer_agent(&mut self, number: OfferNo, seat: LegId) {
        let media = self.seat_media(seat);
        let Some(offer) = self.groups.offers.get_mut(&number) else { return };
        let (Some(media), Some(leg)) = (media, offer.answered) else { return };
        offer.media = media;
        if let Some(body) = offer.media.offer() {
            self.call(call::Input::Reoffer { leg, body });
        }
    }

    /// Whether a call is being attached again.
    pub(super) fn is_attaching(&self, call: CallId) -> bool {
        self.groups.attaching.contains_key(&call)
    }

    /// The caller could not be had again: nobody hung up.
    pub(super) fn on_caller_lost(&mut self, call: CallId) {
        self.end_caller(call, None, Input::Reattached { call, caller: false, agent: false });
    }

    /// Caller and agent are parted: if the caller was waiting for his agent's audio only, he is not any more.
    pub(super) fn attach_alone(&mut self, call: CallId) {
        let attaching = self.groups.attaching.remove(&call);
        if attaching.is_some_and(|attaching| attaching.caller == Some(true)) {
            self.play_to_caller(call);
        }
    }

    /// One of the two has answered or gone. With the last of them the machine is told.
    pub(super) fn note_reattached(&mut self, role: Role, good: bool) {
        let call = match role {
            Role::Caller(call) | Role::Target(call) => call,
            Role::Device(offer) => match self.groups.offers.get(&offer) {
                Some(offer) => offer.order.call,
                None => return,
            },
            _ => return,
        };
        let Some(attaching) = self.groups.attaching.get_mut(&call) else { return };
        match role {
            Role::Caller(_) => attaching.caller = Some(good),
            _ => attaching.other = Some(Some(good)),
        }
        let waits = good && matches!(role, Role::Caller(_)) && attaching.other == Some(None);
        if waits && self.groups.callers.get(&call).is_some_and(|caller| !caller.over) {
            self.tell_groups(Input::CallerBack { call });
        }
        self.finish_reattaching(call);
    }

    /// His dialog is over while he was offered his audio: the caller is not kept waiting for him.
    pub(super) fn note_agent_gone(&mut self, call: CallId) {
        if let Some(attaching) = self.groups.attaching.get_mut(&call).filter(|it| it.other == Some(None)) {
            attaching.other = Some(Some(false));
            self.finish_reattaching(call);
        }
    }

    fn finish_reattaching(&mut self, call: CallId) {
        let Some(attaching) = self.groups.attaching.get(&call).copied() else { return };
        let (Some(caller), Some(agent)) = (attaching.caller, attaching.other.unwrap_or(Some(false))) else { return };
        if self.groups.callers.get(&call).is_some_and(|caller| caller.over) {
            return self.finish_onward(call, caller && agent);
        }
        self.groups.attaching.remove(&call);
        if caller {
            self.play_to_caller(call);
        }
        self.tell_groups(Input::Reattached { call, caller, agent });
        let seat = self.groups.callers.get(&call).and_then(|caller| caller.bridged);
        let seat = seat.and_then(|offer| self.groups.offers.get(&offer)?.seat);
        if let Some(leg) = seat.filter(|_| caller && agent) {
            self.command_leg(leg, McuCommand::SetInMix { leg, in_mix: true });
            // The re-INVITE named the group in its From, and what was told last may have died with the process.
            let shown = self.groups.callers.get(&call).and_then(|caller| caller.shown.clone());
            self.tell_partner(call, shown.as_ref());
        }
    }
}

/// Whether the end of a leg says only that its phone or its media could not be had. A phone that does not know the dialog any
/// more (481) has hung up.
pub(super) fn is_lost(termination: Termination, status: Option<u16>) -> bool {
    let lost = [TerminationReason::TransportFailed, TerminationReason::McuLost];
    lost.contains(&termination.reason) && status != Some(481)
}

fn machine_entry(record: &GroupJournal) -> Option<Entry> {
    match record {
        GroupJournal::Machine(entry) => Some(entry.clone()),
        GroupJournal::Wire(_) => None,
    }
}

fn entry_time(entry: &Entry) -> Timestamp {
    match entry {
        Entry::Opened { at, .. }
        | Entry::Checkpoint { at, .. }
        | Entry::Told { at, .. }
        | Entry::Decided { at, .. } => *at,
    }
}

/// Half a history is none: without it phones would ring for nobody and callers would be forgotten.
fn unreadable(error: &JournalError) -> Problem {
    Problem {
        key: "data_dir".to_owned(),
        value: "the journal of the response groups".to_owned(),
        remedy: format!("it cannot be replayed, for {error}; move the file away to begin anew"),
    }
}

fn target_of(invite: &SentInvite, owner: Option<UserUri>) -> Option<Target> {
    let flow = invite.flow.as_ref().and_then(|(transport, local, remote)| {
        let known = [Transport::Udp, Transport::Tcp, Transport::Tls];
        let transport = known.into_iter().find(|known| known.as_str() == transport)?;
        Some(Flow { transport, local: *local, remote: *remote })
    });
    let route: Result<Vec<_>, _> = invite.route.iter().map(|route| NameAddr::parse(route)).collect();
    let mut target = Target::new(SipUri::parse(&invite.uri).ok()?);
    target.flow = flow;
    target.route = route.ok()?;
    target.headers = vec![("Call-ID".to_owned(), invite.call_id.clone())];
    target.owner = owner;
    target.repeated = true;
    Some(target)
}

/// What is left of an order whose process ended: only its end is wanted.
fn forgotten_order(offer: OfferNo) -> OfferOrder {
    let nobody = UserUri::parse("sip:nobody@invalid").expect("it is a URI");
    OfferOrder {
        offer,
        call: CallId(0),
        agent: nobody.clone(),
        pstn: false,
        group: nobody,
        group_name: String::new(),
        caller: String::new(),
        labels: Vec::new(),
        waited_seconds: 0,
        expires_seconds: 32,
        hops: 0,
    }
}
