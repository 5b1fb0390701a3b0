//! Response groups on the wire: the machine of crate `response-group` between the call machine and the MCU.
//!
//! It decides nothing about callers and agents. Each caller is a small conference of its own: his media stays on our
//! mixer from his 200 to his BYE, whoever else comes and goes, so that nobody needs a re-INVITE when an agent answers.
//! Each offer is an INVITE of its own, to an agent's own devices and to nothing else; no redirection is ever followed
//! (rules R1 to R6). What the machine is told is in the journal before anything that follows from it leaves.
//!
//! Start reading at [`Engine::tell_groups`]; then `caller` (who calls), `offer` (who is rung), `answered` (who talks with him),
//! `audio` (what a caller hears), `forward` (calls that leave the group), `transfer` (who sends them away), `outside` (who is busy otherwise), `restart` and
//! `command`.

mod answered;
mod audio;
mod caller;
mod command;
mod consultation;
mod dropped;
mod errand;
mod forward;
mod headers;
mod journal;
mod ledger;
mod media;
mod offer;
mod onward;
mod output;
mod outside;
mod restart;
mod silenced;
mod supervisor;
mod transfer;
mod unstored;
mod visit;
mod wire;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use base::{CallId, ConferenceId, Duration, LegId, OfferId, Timestamp, UserUri};
use mcu_api::McuEvent;
use response_group::{Domain, KeptOut, OfferNo};
use routing::{CallKind, RingPlan, Unavailable};
use sip_api::{SipEvent, SipUri};

use crate::destination::devices;
use crate::{Effect, Engine};

pub use audio::is_phrase;
pub use command::{GroupCommand, objection_to_groups, objection_to_telephone};
pub use dropped::{DroppedChange, dropped_keys};
pub use errand::GroupCodes;
pub use journal::{AboutCaller, GroupJournal, SentInvite, WireLeg, WireRecord};
pub use ledger::{GroupCallRecord, GroupLegRecord, Onward};
pub use unstored::EndedCall;
pub use visit::GroupVisit;

use caller::Caller;
use errand::Errand;
use media::Seat;
use offer::Offer;
use restart::{Attaching, is_lost};
use silenced::Silenced;
use visit::Visits;
use wire::OnWire;

/// What the ids of callers' conferences begin with; no user's conference is called so.
const CONFERENCE: &str = "RESPONSEGROUP";

/// Whose a leg is, on the SIP side, on the media side, or on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The caller, on both sides.
    Caller(CallId),
    /// A device of an agent, on the SIP side.
    Device(OfferNo),
    /// A place in a caller's conference, on the media side.
    Seat(CallId),
    /// The target a caller is forwarded to, on the SIP side.
    Target(CallId),
    /// A supervisor, on the SIP side.
    Supervisor(CallId),
    /// A user who dialled a feature code, on both sides.
    Errand,
    /// Whoever an earlier process was connected with or rang, and only has to be told that it is over.
    Leftover,
}

/// What a running dial of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Offer(OfferNo),
    Forward(CallId),
    Supervisor(CallId, LegId),
    /// Nothing is dialled: the agent of an earlier process is given a seat again.
    Reattach(OfferNo),
    /// The same of whom a caller was sent on to.
    ReattachTarget(CallId),
    /// An INVITE of an earlier process is repeated, only to be cancelled.
    Silence,
}

/// Every response group, its callers and its offers as they stand on the wire.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    domain: Option<Domain>,
    /// What is added to the engine's time to give the machine's, which goes on over restarts.
    epoch: Duration,
    next_call: u64,
    /// What the machine has not been told yet, in order.
    news: VecDeque<response_group::Input>,
    /// Who began or ended something outside the groups since the machine was told last.
    stirred: BTreeSet<UserUri>,
    callers: HashMap<CallId, Caller>,
    offers: HashMap<OfferNo, Offer>,
    seats: HashMap<LegId, Seat>,
    errands: HashMap<LegId, Errand>,
    /// What calls leave.
    ledger: ledger::Ledger,
    /// Calls of supervisors and to feature codes.
    visits: Visits,
    legs: HashMap<LegId, Role>,
    /// SIP legs that have put the other side on hold.
    holding: HashSet<LegId>,
    /// Legs the MCU has lost, until they have ended on the SIP side too.
    lost: HashSet<LegId>,
    /// Agents who are asked to come to another group's caller, and the offer each has taken.
    lent: HashMap<LegId, OfferNo>,
    /// Agents who were to come and are not wanted there any more, but have not said yet whether they come.
    astray: HashSet<LegId>,
    dials: HashMap<OfferId, Purpose>,
    /// Devices whose INVITE is not over although their agent's offer is: another device of his answered or refused.
    silencing: HashMap<LegId, Silenced>,
    /// Offers whose last word waits for devices that have not said anything, and until when.
    deaf: HashMap<OfferNo, Timestamp>,
    /// The Call-IDs of offers that were sent and have not been heard of.
    unheard: HashMap<String, OfferNo>,
    /// What is on the wire, as the journal says.
    wire: OnWire,
    /// What each leg that the journal knows is called there.
    recorded: HashMap<LegId, WireLeg>,
    /// Legs whose end is to be written down, once nothing of theirs is under way any more.
    over: Vec<(LegId, WireLeg)>,
    /// The server stops: the machine has been told.
    stopping: bool,
    /// The journal cannot be written, so that no call may come that a crash would lose.
    mute: bool,
    /// What an earlier process had on the wire and nobody has taken up yet; empty once the groups are open.
    earlier: OnWire,
    /// Callers whose media are on their way back after a restart.
    attaching: HashMap<CallId, Attaching>,
}

impl Groups {
    /// Callers, offers and feature calls that are under way, and calls that are not recorded yet.
    pub(crate) fn len(&self) -> usize {
        let unrecorded = self.ledger.waiting(|call| self.callers.contains_key(call));
        self.callers.len() + self.offers.len() + self.errands.len() + unrecorded + self.visits.waiting()
    }

    /// Callers, agents' devices, forwarded callers' targets and feature calls.
    pub(crate) fn leg_count(&self) -> usize {
        self.legs.values().filter(|role| !matches!(role, Role::Seat(_))).count()
    }

    /// Whether a conference is a caller's.
    pub(crate) fn is_conference(id: &ConferenceId) -> bool {
        id.as_str().starts_with(CONFERENCE)
    }

    fn role(&self, leg: LegId) -> Option<Role> {
        self.legs.get(&leg).copied()
    }
}

impl Engine {
    /// The machine's time: microseconds since 1970, as far as the clock has not been set back.
    pub(crate) fn group_time(&self) -> Timestamp {
        self.now + self.groups.epoch
    }

    /// When the machine's next timer is due, in the engine's time.
    pub(crate) fn group_timeout(&self) -> Option<Timestamp> {
        let machine = self.groups.domain.as_ref()?.poll_timeout().map(|due| due - self.groups.epoch);
        machine.into_iter().chain(self.onward_timeout()).chain(self.deaf_timeout()).min()
    }

    /// Fires the machine's timers that are due.
    pub(crate) fn fire_group_timers(&mut self) {
        self.fire_onward_timers();
        self.fire_deaf_timers();
        if self.group_timeout().is_some_and(|due| due <= self.now) {
            self.tell_groups(response_group::Input::TimerFired);
        }
    }

    /// The machine will be told this, after what it is to be told before.
    pub(crate) fn tell_groups(&mut self, news: response_group::Input) {
        self.groups.news.push_back(news);
    }

    /// Tells the machine the next thing and does what follows; `false` when there is nothing to tell.
    pub(crate) fn advance_groups(&mut self) -> bool {
        self.tell_outside();
        let Some(news) = self.groups.news.pop_front() else { return false };
        let now = self.group_time();
        let timer = matches!(news, response_group::Input::TimerFired);
        let configured = matches!(news, response_group::Input::Configured { .. });
        let Some(domain) = &mut self.groups.domain else { return true };
        domain.handle(now, news);
        self.drain_groups();
        if timer {
            self.fire_group_timers();
        }
        if configured {
            // Only now it is known who is an agent; the devices of new ones may have been there for long.
            self.tell_registrations();
        }
        true
    }

    /// Whether there are response groups that take no calls, because their journal cannot be written.
    pub fn groups_refuse_calls(&self) -> bool {
        self.groups.mute && self.groups.domain.is_some()
    }

    /// The journal can be written again, or cannot: then groups take no calls and no changes.
    pub(crate) fn note_journal(&mut self, sound: bool) {
        self.groups.mute = !sound;
    }

    /// Carries out what the machine wants.
    fn drain_groups(&mut self) {
        while let Some(output) = self.groups.domain.as_mut().and_then(Domain::poll_output) {
            self.on_group_output(output);
        }
    }

    fn journal(&mut self, record: GroupJournal) {
        self.effects.push_back(Effect::Journal(Box::new(record)));
    }

    /// The group an address of ours is, if it is one.
    pub(crate) fn group_of(&self, uri: &SipUri) -> Option<UserUri> {
        let domain = self.groups.domain.as_ref()?;
        let user = uri.user.as_deref().filter(|_| self.config.is_own_host(&uri.host))?;
        let own = self.config.own_user(user)?;
        domain.config().groups.iter().map(|group| &group.uri).find(|group| **group == own).cloned()
    }

    /// 100 Trying is news only to the groups: the phone is there, although it does not ring yet.
    pub(crate) fn note_trying(&mut self, event: &SipEvent) {
        let SipEvent::Response { response, .. } = event else { return };
        if self.groups.unheard.is_empty() || response.status != 100 {
            return;
        }
        let call_id = response.headers.get("Call-ID").unwrap_or("");
        if let Some(offer) = self.groups.unheard.remove(call_id) {
            self.tell_groups(response_group::Input::OfferProgressed { offer, ringing: false });
        }
    }

    /// Devices of a user came or went, or he changed his settings: an agent without a device that may ring is not
    /// offered calls.
    pub(crate) fn note_reachable(&mut self, user: &UserUri) {
        if !self.is_agent(user) {
            return;
        }
        let by = self.kept_out(user);
        let registered = match by {
            Some(_) => !devices(&self.directory, user).is_empty(),
            None => !self.own_devices(user).is_empty(),
        };
        let mut changes = vec![response_group::AgentChange::Registered { registered }];
        if self.groups.domain.as_ref().is_some_and(|domain| domain.kept_out(user) != by) {
            changes.push(response_group::AgentChange::KeptOut { by });
        }
        for change in changes {
            self.tell_groups(response_group::Input::AgentChanged { agent: user.clone(), change });
        }
    }

    /// What in a user's settings keeps him from calls of groups.
    fn kept_out(&self, user: &UserUri) -> Option<KeptOut> {
        match routing::plan(self.directory.user_profile(user), CallKind::ResponseGroupOffer) {
            RingPlan::Refuse(Unavailable::DoNotDisturb) => Some(KeptOut::DoNotDisturb),
            RingPlan::Refuse(Unavailable::DelegatesOnly) => Some(KeptOut::DelegatesOnly),
            RingPlan::Refuse(Unavailable::DiversionBlocked) | RingPlan::Divert(_) | RingPlan::Ring(_) => None,
        }
    }

    /// A group as it is configured now.
    fn group_conf(&self, uri: &UserUri) -> Option<&response_group::ResponseGroup> {
        let groups = self.groups.domain.iter().flat_map(|domain| &domain.config().groups);
        groups.into_iter().find(|group| group.uri == *uri)
    }

    fn is_agent(&self, user: &UserUri) -> bool {
        let groups = self.groups.domain.iter().flat_map(|domain| &domain.config().groups);
        groups.flat_map(|group| &group.agent_groups).flat_map(|group| &group.agents).any(|agent| agent.uri == *user)
    }

    /// Takes an output of the call machine that is about a group; gives back any other.
    pub(crate) fn on_group_call(&mut self, output: call::Output) -> Option<call::Output> {
        use call::Output;
        match output {
            Output::Ringing { offer, status, .. } if self.groups.dials.contains_key(&offer) => {
                self.on_dial_ringing(offer, status);
            }
            Output::Answered { offer, leg, body, headers } if self.groups.dials.contains_key(&offer) => {
                self.on_dial_answered(offer, leg, body, &headers);
            }
            // What became of each leg says more than what became of them all.
            Output::OfferFailed { offer, termination, status } if self.groups.dials.contains_key(&offer) => {
                self.on_dial_failed(offer, termination, status);
            }
            output => {
                let Some((leg, role)) = self.group_leg(&output) else { return Some(output) };
                self.on_group_leg(leg, role, output);
            }
        }
        None
    }

    fn group_leg(&self, output: &call::Output) -> Option<(LegId, Role)> {
        use call::Output;
        let leg = match output {
            Output::Incoming { .. } | Output::Ringing { .. } | Output::Answered { .. } => return None,
            other => other.leg()?,
        };
        Some((leg, self.groups.role(leg)?))
    }

    fn on_group_leg(&mut self, leg: LegId, role: Role, output: call::Output) {
        use call::Output;
        match output {
            Output::Confirmed { body, .. } => self.on_group_confirmed(leg, role, body),
            Output::Offered { body, .. } => self.on_group_offered(leg, body),
            Output::ReofferAnswered { result, .. } => self.on_group_reoffer_answered(leg, role, result.ok().flatten()),
            // What refreshed the consultation; the answer to our offer is yet to come.
            Output::Refreshed { .. } if self.is_taken_over(role, leg) => {}
            Output::Refreshed { body, .. } => self.on_group_reoffer_answered(leg, role, Some(body)),
            Output::Info { id, body, .. } => self.on_group_info(role, id, body),
            Output::Referred { refer, refer_to, .. } => self.on_group_referred(role, refer, &refer_to),
            Output::Ended { termination, status, headers, .. } => {
                self.release_hold(leg);
                self.groups.legs.remove(&leg);
                self.groups.lost.remove(&leg);
                self.groups.astray.remove(&leg);
                self.groups.silencing.remove(&leg);
                self.record_unwanted(leg);
                self.note_over(leg);
                match role {
                    Role::Caller(call) if is_lost(termination, status) && self.is_attaching(call) => {
                        self.on_caller_lost(call);
                    }
                    Role::Caller(call) => self.on_caller_ended(call, termination),
                    Role::Device(offer) => self.on_device_ended(offer, leg, termination, status, &headers),
                    Role::Target(call) => self.on_target_ended(call, leg, (termination, status), &headers),
                    Role::Supervisor(call) => self.on_supervisor_ended(call, leg, termination),
                    Role::Errand => self.on_errand_ended(leg, termination),
                    Role::Seat(_) | Role::Leftover => {}
                }
            }
            _ => {}
        }
    }

    /// Takes an event of the media side that is about a group; gives back any other.
    pub(crate) fn on_group_mcu(&mut self, event: McuEvent) -> Option<McuEvent> {
        self.note_group_figures(&event);
        match event {
            McuEvent::LegReserved { leg, rtp, rtcp } if self.groups.role(leg).is_some() => {
                let local = self.local_media(rtp, rtcp);
                self.on_group_reserved(leg, local);
            }
            McuEvent::LegFailed { leg, .. } if self.groups.role(leg).is_some() => self.on_group_media_lost(leg),
            McuEvent::Digit { leg, digit } if self.groups.role(leg).is_some() => self.on_group_digit(leg, digit),
            McuEvent::AnnouncementEnded { leg, .. } if self.groups.role(leg).is_some() => {
                self.on_group_announced(leg);
            }
            McuEvent::MediaTimeout { leg } if self.groups.role(leg).is_some() => self.on_group_silence(leg),
            McuEvent::ConferenceFailed { conference, legs } if Groups::is_conference(&conference) => {
                legs.into_iter().for_each(|leg| self.on_group_media_lost(leg));
            }
            McuEvent::ActiveSpeakers { conference, .. } if Groups::is_conference(&conference) => {}
            McuEvent::LegRemoved { leg, .. } if self.groups.role(leg).is_some() => {}
            event => return Some(event),
        }
        None
    }
}
