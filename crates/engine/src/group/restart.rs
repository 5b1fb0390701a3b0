//! Beginning, and beginning anew on the journal of a process that ended: phones that still ring are silenced, callers
//! who still hold the line are given their audio back (routing.md 3.7).

use std::collections::HashMap;

use base::{CallId, Duration, LegId, Timestamp, UserUri};
use call::{Body, Dial, DialogRecord, Target};
use mcu_api::{AloneAudio, McuCommand};
use response_group::{Config, DialogNo, Domain, Entry, Input, OfferNo, OfferOrder, Problem, Refusal};
use sip_api::{Flow, NameAddr, SipUri, Transport};

use super::caller::Caller;
use super::offer::Offer;
use super::{GroupJournal, Purpose, Role, SentInvite, WireRecord};
use crate::Engine;
use crate::dial_out::COMPLETED_ELSEWHERE;

/// What an earlier process had on the wire.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    invites: HashMap<OfferNo, Vec<SentInvite>>,
    agents: HashMap<OfferNo, DialogRecord>,
    callers: HashMap<CallId, DialogRecord>,
    arrivals: HashMap<CallId, (UserUri, String)>,
    /// Callers who are being attached again: who has answered, of himself and his agent.
    attaching: HashMap<CallId, Attaching>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Attaching {
    caller: Option<bool>,
    /// `None` when there is no agent to wait for.
    agent: Option<Option<bool>>,
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
        if let Ok(domain) = Domain::restore(at, &entries) {
            self.groups.earlier = Earlier::of(records, &entries);
            self.groups.next_call = last_call(&entries);
            let changed = last_file(records) != Some(&file);
            self.begin_anew(domain, file, changed);
        } else if !file.groups.is_empty() {
            self.groups.domain = Some(Domain::new(at, file.clone())?);
            self.journal(GroupJournal::Wire(WireRecord::File { config: Box::new(file) }));
            self.drain_groups();
            self.tell_registrations();
        }
        self.settle();
        Ok(())
    }

    fn begin_anew(&mut self, domain: Domain, file: Config, changed: bool) {
        self.groups.domain = Some(domain);
        self.drain_groups();
        self.tell_registrations();
        if changed {
            self.journal(GroupJournal::Wire(WireRecord::File { config: Box::new(file.clone()) }));
            self.tell_groups(Input::Configured { config: Box::new(file) });
        }
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

    /// Whose devices are registered: nobody's, right after a start.
    pub(super) fn tell_registrations(&mut self) {
        let groups = self.groups.domain.iter().flat_map(|domain| &domain.config().groups);
        let agents = groups.flat_map(|group| &group.agent_groups).flat_map(|group| &group.agents);
        let mut agents: Vec<UserUri> = agents.map(|agent| agent.uri.clone()).collect();
        agents.sort_unstable();
        agents.dedup();
        for agent in agents {
            self.note_reachable(&agent);
        }
    }

    /// An offer of an earlier process. Its INVITE is sent once more, which the phone takes for a retransmission and
    /// answers with its last response; upon that the CANCEL leaves. What never left needs no end.
    pub(super) fn repeat_and_cancel(&mut self, number: OfferNo) {
        let invites = self.groups.earlier.invites.remove(&number).unwrap_or_default();
        let targets: Vec<Target> = invites.iter().filter_map(target_of).collect();
        let parties = invites
            .first()
            .and_then(|invite| Some((NameAddr::parse(&invite.from).ok()?, NameAddr::parse(&invite.to).ok()?)));
        let (Some((from, to)), false) = (parties, targets.is_empty()) else {
            return self.tell_groups(Input::OfferRefused { offer: number, refusal: Refusal::Cancelled });
        };
        let dial = self.calls.allocate_offer();
        let legs: Vec<_> = targets.into_iter().map(|target| (self.calls.allocate_leg(), target)).collect();
        let ids: Vec<LegId> = legs.iter().map(|(leg, _)| *leg).collect();
        self.groups.offers.insert(number, Offer::new(forgotten_order(number)));
        self.file_repeated(number, dial, &ids);
        // The phone has the description of the first one; this is not looked at.
        let body = Body::new("application/sdp", "v=0\r\n");
        self.call(call::Input::Dial(Box::new(Dial {
            ring_limit: Duration::from_secs(32),
            cancel_reason: vec![COMPLETED_ELSEWHERE.to_owned()],
            ..Dial::new(dial, legs, from, to, body)
        })));
        self.call(call::Input::Cancel { offer: dial, reason: vec![COMPLETED_ELSEWHERE.to_owned()] });
    }

    /// The machine wants a caller's media here again, and his agent's if he had one.
    pub(super) fn reattach(&mut self, call: CallId, agent: Option<(OfferNo, DialogNo)>) {
        let dialog = self.groups.earlier.callers.remove(&call);
        let arrival = self.groups.earlier.arrivals.remove(&call);
        let (Some(dialog), Some((group, caller))) = (dialog, arrival) else {
            return self.tell_groups(Input::Reattached { call, caller: false, agent: false });
        };
        let leg = self.calls.allocate_leg();
        let conference = self.make_group_conference(call.0, AloneAudio::Music);
        let from = NameAddr::parse(&dialog.remote).or_else(|_| NameAddr::parse(&format!("<{caller}>")));
        let Ok(from) = from else {
            return self.tell_groups(Input::Reattached { call, caller: false, agent: false });
        };
        let mut restored = Caller::new(leg, conference, group, from);
        restored.accepted = true;
        self.groups.callers.insert(call, restored);
        self.groups.legs.insert(leg, Role::Caller(call));
        self.call(call::Input::Restore { leg, record: Box::new(dialog) });
        let mut attaching = Attaching::default();
        if let Some((offer, _)) = agent {
            attaching.agent = Some(self.restore_agent(call, offer));
        }
        self.groups.earlier.attaching.insert(call, attaching);
        self.reserve_caller(call);
    }

    /// `Some(false)` when there is no agent to be reached any more.
    fn restore_agent(&mut self, call: CallId, number: OfferNo) -> Option<bool> {
        let Some(dialog) = self.groups.earlier.agents.remove(&number) else { return Some(false) };
        let leg = self.calls.allocate_leg();
        let mut offer = Offer::new(OfferOrder { call, ..forgotten_order(number) });
        offer.answered = Some(leg);
        self.groups.offers.insert(number, offer);
        self.groups.legs.insert(leg, Role::Device(number));
        self.call(call::Input::Restore { leg, record: Box::new(dialog) });
        let seat = self.take_seat(call, Purpose::Reattach(number))?;
        if let Some(offer) = self.groups.offers.get_mut(&number) {
            offer.seat = Some(seat);
        }
        if let Some(caller) = self.groups.callers.get_mut(&call) {
            caller.bridged = Some(number);
        }
        None
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

    /// One of the two has answered or gone. With the last of them the machine is told.
    pub(super) fn note_reattached(&mut self, _leg: LegId, role: Role, good: bool) {
        let call = match role {
            Role::Caller(call) => call,
            Role::Device(offer) => match self.groups.offers.get(&offer) {
                Some(offer) => offer.order.call,
                None => return,
            },
            _ => return,
        };
        let Some(attaching) = self.groups.earlier.attaching.get_mut(&call) else { return };
        match role {
            Role::Caller(_) => attaching.caller = Some(good),
            _ => attaching.agent = Some(Some(good)),
        }
        self.finish_reattaching(call);
    }

    fn finish_reattaching(&mut self, call: CallId) {
        let Some(attaching) = self.groups.earlier.attaching.get(&call).copied() else { return };
        let (Some(caller), agent) = (attaching.caller, attaching.agent.unwrap_or(Some(false))) else { return };
        let Some(agent) = agent else { return };
        self.groups.earlier.attaching.remove(&call);
        if caller {
            self.play_to_caller(call);
        }
        self.tell_groups(Input::Reattached { call, caller, agent });
        let seat = self.groups.callers.get(&call).and_then(|caller| caller.bridged);
        let seat = seat.and_then(|offer| self.groups.offers.get(&offer)?.seat);
        if let Some(leg) = seat.filter(|_| caller && agent) {
            self.command_leg(leg, McuCommand::SetInMix { leg, in_mix: true });
        }
    }
}

impl Earlier {
    fn of(records: &[GroupJournal], entries: &[Entry]) -> Self {
        let mut earlier = Self::default();
        for record in records {
            match record {
                GroupJournal::Wire(WireRecord::Invited { offer, invites }) => {
                    earlier.invites.insert(*offer, invites.clone());
                }
                GroupJournal::Wire(WireRecord::AgentUp { offer, dialog }) => {
                    earlier.agents.insert(*offer, (**dialog).clone());
                }
                GroupJournal::Wire(WireRecord::CallerUp { call, dialog }) => {
                    earlier.callers.insert(*call, (**dialog).clone());
                }
                GroupJournal::Wire(WireRecord::File { .. }) | GroupJournal::Machine(_) => {}
            }
        }
        for entry in entries {
            if let Entry::Told { told: Input::CallerArrived(arrival), .. } = entry {
                earlier.arrivals.insert(arrival.call, (arrival.group.clone(), arrival.caller.clone()));
            }
        }
        earlier
    }
}

fn machine_entry(record: &GroupJournal) -> Option<Entry> {
    match record {
        GroupJournal::Machine(entry) => Some(entry.clone()),
        GroupJournal::Wire(_) => None,
    }
}

fn entry_time(entry: &Entry) -> Timestamp {
    match entry {
        Entry::Opened { at, .. } | Entry::Told { at, .. } | Entry::Decided { at, .. } => *at,
    }
}

fn last_call(entries: &[Entry]) -> u64 {
    let calls = entries.iter().filter_map(|entry| match entry {
        Entry::Told { told: Input::CallerArrived(arrival), .. } => Some(arrival.call.0),
        _ => None,
    });
    calls.max().unwrap_or(0)
}

fn last_file(records: &[GroupJournal]) -> Option<&Config> {
    records.iter().rev().find_map(|record| match record {
        GroupJournal::Wire(WireRecord::File { config }) => Some(&**config),
        _ => None,
    })
}

fn target_of(invite: &SentInvite) -> Option<Target> {
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
