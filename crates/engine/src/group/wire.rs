//! What the groups have on the wire, as the journal has it: every INVITE that is not over and every dialog that stands.
//!
//! The running server keeps it so that each end is written down once; a restarted one reads it to end or take up what an
//! earlier process left, and has nothing left of it afterwards.

use std::collections::BTreeMap;

use base::{CallId, LegId, Termination, TerminationReason, Timestamp, UserUri};
use call::{DialogRecord, Target};
use response_group::{Config, OfferNo};
use sip_api::NameAddr;

use super::silenced::Silenced;
use super::{AboutCaller, GroupJournal, Role, SentInvite, WireLeg, WireRecord};
use crate::Engine;

/// What is on the wire.
#[derive(Clone, Debug, Default)]
pub(super) struct OnWire {
    /// The groups of the configuration file at the last start.
    pub(super) file: Option<Box<Config>>,
    callers: BTreeMap<CallId, UpCaller>,
    /// Everybody else, by Call-ID.
    others: BTreeMap<String, Other>,
}

/// A caller whose dialog stands.
#[derive(Clone, Debug)]
pub(super) struct UpCaller {
    pub(super) dialog: Box<DialogRecord>,
    pub(super) about: AboutCaller,
}

/// Somebody who is no waiting caller: an agent's device, a target, a supervisor, a user of a feature code.
#[derive(Clone, Debug, Default)]
struct Other {
    /// The offer he was rung for, if any.
    offer: Option<OfferNo>,
    /// The call whose caller was sent on to him.
    onward: Option<CallId>,
    /// How he was invited, if he was.
    invite: Option<SentInvite>,
    /// His dialog, once he has answered.
    dialog: Option<DialogRecord>,
}

/// What nobody has taken up after a restart.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    pub(super) dialogs: Vec<(WireLeg, DialogRecord)>,
    /// INVITEs, and whether each was an agent's offer.
    pub(super) invites: Vec<(SentInvite, bool)>,
}

impl OnWire {
    /// What a journal leaves on the wire.
    pub(super) fn of(records: &[GroupJournal]) -> Self {
        let mut wire = Self::default();
        for record in records {
            if let GroupJournal::Wire(record) = record {
                wire.note(record);
            }
        }
        wire
    }

    /// Takes one record in.
    pub(super) fn note(&mut self, record: &WireRecord) {
        match record {
            WireRecord::File { config } => self.file = Some(config.clone()),
            WireRecord::Invited { offer, invites } => self.invited(Some(*offer), invites),
            WireRecord::Called { invites } => self.invited(None, invites),
            WireRecord::CallerUp { call, dialog, about } => {
                self.callers.insert(*call, UpCaller { dialog: dialog.clone(), about: about.clone() });
            }
            WireRecord::AgentUp { offer, dialog } => self.answered(Some(*offer), None, dialog),
            WireRecord::Up { dialog, onward } => self.answered(None, *onward, dialog),
            // Nothing of them is on the wire; see `unstored` and `visit`.
            WireRecord::Onward { .. }
            | WireRecord::Ended { .. }
            | WireRecord::Stored { .. }
            | WireRecord::Visit { .. }
            | WireRecord::VisitsStored { .. } => {}
            WireRecord::Over { leg: WireLeg::Caller(call) } => drop(self.callers.remove(call)),
            WireRecord::Over { leg: WireLeg::CallId(call_id) } => drop(self.others.remove(call_id)),
        }
    }

    fn invited(&mut self, offer: Option<OfferNo>, invites: &[SentInvite]) {
        for invite in invites {
            let other = Other { offer, onward: None, invite: Some(invite.clone()), dialog: None };
            self.others.insert(invite.call_id.clone(), other);
        }
    }

    fn answered(&mut self, offer: Option<OfferNo>, onward: Option<CallId>, dialog: &DialogRecord) {
        let other = self.others.entry(dialog.names.call_id.clone()).or_default();
        (other.offer, other.onward) = (offer, onward);
        other.dialog = Some(dialog.clone());
    }

    /// The records that say all this anew.
    pub(super) fn records(&self) -> Vec<WireRecord> {
        let file = self.file.iter().map(|config| WireRecord::File { config: config.clone() });
        let callers = self.callers.iter().map(|(call, UpCaller { dialog, about })| WireRecord::CallerUp {
            call: *call,
            dialog: dialog.clone(),
            about: about.clone(),
        });
        let others = self.others.values().flat_map(|other| {
            let invited = other.invite.clone().map(|invite| match other.offer {
                Some(offer) => WireRecord::Invited { offer, invites: vec![invite] },
                None => WireRecord::Called { invites: vec![invite] },
            });
            let up = other.dialog.clone().map(Box::new).map(|dialog| match other.offer {
                Some(offer) => WireRecord::AgentUp { offer, dialog },
                None => WireRecord::Up { dialog, onward: other.onward },
            });
            invited.into_iter().chain(up)
        });
        file.chain(callers).chain(others).collect()
    }

    /// A caller's dialog, for whoever takes it up.
    pub(super) fn take_caller(&mut self, call: CallId) -> Option<UpCaller> {
        self.callers.remove(&call)
    }

    /// The dialog of the agent who answered an offer, for whoever takes it up.
    pub(super) fn take_agent(&mut self, offer: OfferNo) -> Option<DialogRecord> {
        let answered = |other: &&Other| other.offer == Some(offer) && other.dialog.is_some();
        let call_id = self.others.iter().find(|(_, other)| answered(other)).map(|(call_id, _)| call_id.clone())?;
        self.others.remove(&call_id)?.dialog
    }

    /// The dialogs with those to whom callers were sent on, and whose caller it was, for whoever takes them up.
    pub(super) fn take_targets(&mut self) -> Vec<(CallId, DialogRecord)> {
        let stands = |_: &String, other: &mut Other| other.onward.is_some() && other.dialog.is_some();
        let targets = self.others.extract_if(.., stands);
        targets.filter_map(|(_, other)| other.onward.zip(other.dialog)).collect()
    }

    /// A dialog that nobody takes up.
    pub(super) fn put_back(&mut self, dialog: DialogRecord) {
        self.answered(None, None, &dialog);
    }

    /// The INVITEs of an offer that nobody has answered.
    pub(super) fn take_invites(&mut self, offer: OfferNo) -> Vec<SentInvite> {
        let open = |_: &String, other: &mut Other| other.offer == Some(offer) && other.dialog.is_none();
        self.others.extract_if(.., open).filter_map(|(_, other)| other.invite).collect()
    }

    /// What is left when everybody has taken his own.
    pub(super) fn into_leftovers(self) -> Leftovers {
        let mut left = Leftovers::default();
        left.dialogs.extend(self.callers.into_iter().map(|(call, caller)| (WireLeg::Caller(call), *caller.dialog)));
        for (call_id, other) in self.others {
            match (other.dialog, other.invite) {
                (Some(dialog), _) => left.dialogs.push((WireLeg::CallId(call_id), dialog)),
                (None, Some(invite)) => left.invites.push((invite, other.offer.is_some())),
                (None, None) => {}
            }
        }
        left
    }
}

impl Engine {
    /// What a new journal begins with: all that the one before has to say about what is not over. `None` without groups.
    ///
    /// To be asked for when every effect has been taken.
    pub fn group_checkpoint(&self) -> Option<Vec<GroupJournal>> {
        let machine = GroupJournal::Machine(self.groups.domain.as_ref()?.checkpoint());
        let wire = self.groups.wire.records().into_iter().chain(self.groups.ledger.unstored());
        let wire = wire.chain(self.groups.visits.records());
        let wire = wire.map(GroupJournal::Wire);
        Some(std::iter::once(machine).chain(wire).collect())
    }

    /// Writes down what is about to stand on the wire, or to leave.
    pub(super) fn record(&mut self, record: WireRecord) {
        self.groups.wire.note(&record);
        self.journal(GroupJournal::Wire(record));
    }

    /// Gives each INVITE a Call-ID of its own and remembers whose leg it is; what makes it the same one again is for the
    /// journal.
    pub(super) fn name_invites(
        &mut self,
        targets: Vec<Target>,
        role: Role,
        from: &NameAddr,
        to: &NameAddr,
    ) -> (Vec<(LegId, Target)>, Vec<SentInvite>) {
        let (mut legs, mut invites) = (Vec::new(), Vec::new());
        for mut target in targets {
            let (leg, call_id) = (self.calls.allocate_leg(), self.new_call_id());
            let shown = target.headers.iter().find(|(name, _)| name == "From").map(|(_, from)| from.clone());
            target.headers.push(("Call-ID".to_owned(), call_id.clone()));
            invites.push(SentInvite {
                call_id: call_id.clone(),
                uri: target.uri.to_string(),
                route: target.route.iter().map(NameAddr::to_string).collect(),
                flow: target.flow.map(|flow| (flow.transport.as_str().to_owned(), flow.local, flow.remote)),
                from: shown.unwrap_or_else(|| from.to_string()),
                to: to.to_string(),
            });
            self.groups.legs.insert(leg, role);
            self.groups.recorded.insert(leg, WireLeg::CallId(call_id));
            legs.push((leg, target));
        }
        (legs, invites)
    }

    /// The dialog with a target, a supervisor or a user of a feature code stands.
    pub(super) fn record_up(&mut self, leg: LegId) {
        let Some(dialog) = self.calls.dialog_record(leg) else { return };
        self.groups.recorded.insert(leg, WireLeg::CallId(dialog.names.call_id.clone()));
        let onward = self.onward_call(leg);
        self.record(WireRecord::Up { dialog: Box::new(dialog), onward });
    }

    /// A phone answered although nobody wanted it any more: should its BYE be lost with the process, the next one says it.
    pub(super) fn record_unwanted(&mut self, leg: LegId) {
        if let Some(dialog) = self.calls.unwanted_dialog(leg).cloned().map(Box::new) {
            self.record(WireRecord::Up { dialog, onward: None });
        }
    }

    /// The call whose caller is sent on to whom this leg leads to.
    fn onward_call(&self, leg: LegId) -> Option<CallId> {
        match self.groups.role(leg)? {
            Role::Target(call) => Some(call),
            _ => None,
        }
    }

    /// A leg has ended. That is written down with the next input after its BYE was answered, or with the next one where it
    /// needed none: a process that dies before says BYE once more.
    pub(super) fn note_over(&mut self, leg: LegId) {
        let name = self.groups.recorded.remove(&leg);
        self.groups.over.extend(name.map(|name| (leg, name)));
    }

    /// When an input is wanted so that ended legs are written down.
    pub(crate) fn ended_legs_due(&self) -> Option<Timestamp> {
        self.groups.over.iter().any(|(leg, _)| !self.calls.is_saying_bye(*leg)).then_some(self.now)
    }

    /// Writes down which legs the last input has ended.
    pub(crate) fn record_ended_legs(&mut self) {
        let calls = &self.calls;
        let over = self.groups.over.extract_if(.., |(leg, _)| !calls.is_saying_bye(*leg));
        let over: Vec<WireLeg> = over.map(|(_, name)| name).collect();
        over.into_iter().for_each(|leg| self.record(WireRecord::Over { leg }));
    }

    /// Ends what an earlier process left on the wire and nobody has taken up.
    pub(super) fn end_leftovers(&mut self, left: Leftovers) {
        for (name, dialog) in left.dialogs {
            let leg = self.take_up(name, Role::Leftover, dialog, AboutCaller::default());
            self.hang_up_sip(leg, Termination::failed(TerminationReason::ServiceUnavailable));
        }
        // One dial for each pair of parties: its INVITEs share their From and To.
        let mut dials: BTreeMap<(String, String, bool), Vec<SentInvite>> = BTreeMap::new();
        for (invite, offered) in left.invites {
            dials.entry((invite.from.clone(), invite.to.clone(), offered)).or_default().push(invite);
        }
        for ((_, to, offered), invites) in dials {
            let Some((_, legs)) = self.repeat_invites(&invites, Role::Leftover) else { continue };
            // Another device of the agent answered in the earlier process. He is rung for nobody until these are silent.
            let agent = NameAddr::parse(&to).ok().and_then(|to| UserUri::parse(&to.uri.to_string()).ok());
            if let Some(agent) = agent.filter(|_| offered) {
                let silenced = |leg| (leg, Silenced { agent: agent.clone(), rang: true });
                self.groups.silencing.extend(legs.into_iter().map(silenced));
            }
        }
    }

    /// Goes on with a dialog of an earlier process. The number from which its requests are counted now is written down, so
    /// that a third process uses none of them again; beside it, what is known of a caller.
    pub(super) fn take_up(&mut self, name: WireLeg, role: Role, dialog: DialogRecord, about: AboutCaller) -> LegId {
        let leg = self.calls.allocate_leg();
        self.groups.legs.insert(leg, role);
        self.groups.recorded.insert(leg, name.clone());
        self.call(call::Input::Restore { leg, record: Box::new(dialog) });
        if let Some(dialog) = self.calls.dialog_record(leg).map(Box::new) {
            self.record(match (name, role) {
                (WireLeg::Caller(call), _) => WireRecord::CallerUp { call, dialog, about },
                (WireLeg::CallId(_), Role::Device(offer)) => WireRecord::AgentUp { offer, dialog },
                (WireLeg::CallId(_), _) => WireRecord::Up { dialog, onward: self.onward_call(leg) },
            });
        }
        leg
    }
}
