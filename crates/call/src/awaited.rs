//! Devices whose connection ended with the process that had it. What cannot be sent to one of them now waits until it
//! registers anew, and goes over the new connection then (RFC 5626 5.3: a flow is found by the binding, not by the Contact).
//!
//! Only what an earlier process of this server left waits: a re-INVITE and a BYE in a dialog that was taken up, and an INVITE
//! that is repeated to be cancelled. Route set and target of the dialog stay what they are.

use base::{Duration, Timestamp, UserUri};
use sip_api::{Binding, ClientTransactionId, Flow, SipCommand, SipUri, Transport};

use crate::leg::LegState;
use crate::peer::same;
use crate::timer::Timer;
use crate::transaction::{ClientTransaction, Purpose};
use crate::{Calls, Cx};

/// How long a request waits for its device. A phone notices at once that its connection is gone; one that found no server at
/// its first attempt tries again about 30 s later (RFC 5626 4.5 and appendix A).
const PATIENCE: Duration = Duration::from_secs(35);

/// Flows that one request is tried over, so that a phone which comes and goes does not keep it for ever.
const TRIES: usize = 8;

/// The device a request waits for.
#[derive(Clone, Debug)]
pub(crate) struct Awaited {
    user: UserUri,
    /// Where its requests are addressed to.
    contact: SipUri,
    /// Its `+sip.instance`, if it was registered with one.
    instance: Option<String>,
    /// The flows it was not reached by; the first one is the lost one.
    tried: Vec<Flow>,
    /// Until when it is waited for.
    until: Timestamp,
}

impl Awaited {
    /// Among a user's bindings the new one of this device: of the same instance, or else with the same user part in its
    /// Contact, rather from the same host, or else the only one he has.
    fn found_among(&self, bindings: &[Binding]) -> Option<Flow> {
        let is_new =
            |binding: &&Binding| binding.path.is_empty() && !self.tried.iter().any(|tried| same(tried, &binding.flow));
        let is_meant = |binding: &&Binding| match &self.instance {
            Some(instance) => binding.instance.as_ref() == Some(instance),
            None => bindings.len() == 1 || binding.contact.user == self.contact.user,
        };
        let host = self.tried.first().map(|lost| lost.remote.ip());
        let candidates = bindings.iter().filter(is_new).filter(is_meant);
        candidates.min_by_key(|binding| host != Some(binding.flow.remote.ip())).map(|binding| binding.flow)
    }
}

impl Calls {
    /// A request could not be sent; whether it waits for its device, or goes out again.
    pub(crate) fn wait_for_device(&mut self, cx: &Cx<'_>, id: ClientTransactionId) -> bool {
        let Some(awaited) = self.device_of(cx.now, id) else { return false };
        let flow = self.devices.get(&awaited.user).and_then(|bindings| awaited.found_among(bindings));
        let until = awaited.until;
        if let Some(transaction) = self.clients.get_mut(&id) {
            transaction.awaited = Some(Box::new(awaited));
        }
        match flow {
            Some(flow) => self.send_over(id, flow),
            None => self.timers.set(Timer::Device(id), until),
        }
        true
    }

    /// Devices of a user are registered from somewhere else than before: what waits for one of them leaves.
    pub(crate) fn reach_devices(&mut self, user: &UserUri) {
        let Some(bindings) = self.devices.get(user) else { return };
        let waits = |id: &ClientTransactionId| self.timers.is_set(Timer::Device(*id));
        let due = self.clients.iter().filter(|(id, _)| waits(id)).filter_map(|(id, transaction)| {
            let awaited = transaction.awaited.as_ref().filter(|awaited| awaited.user == *user)?;
            Some((*id, awaited.found_among(bindings)?))
        });
        let due: Vec<(ClientTransactionId, Flow)> = due.collect();
        due.into_iter().for_each(|(id, flow)| self.send_over(id, flow));
    }

    /// The device a request that could not be sent may wait for.
    fn device_of(&self, now: Timestamp, id: ClientTransactionId) -> Option<Awaited> {
        let transaction = self.clients.get(&id)?;
        let lost = transaction.flow.filter(|flow| flow.transport != Transport::Udp)?;
        if let Some(known) = &transaction.awaited {
            let mut awaited = Awaited::clone(known);
            awaited.tried.push(lost);
            return (now < awaited.until && awaited.tried.len() < TRIES).then_some(awaited);
        }
        let (user, contact) = self.addressee(transaction)?;
        let is_its = |binding: &&Binding| same(&binding.flow, &lost) || binding.contact == contact;
        let known = self.devices.get(&user).and_then(|bindings| bindings.iter().find(is_its));
        let instance = known.and_then(|binding| binding.instance.clone());
        Some(Awaited { user, contact, instance, tried: vec![lost], until: now + PATIENCE })
    }

    /// Whose device a request is for that an earlier process left to us, and its address; `None` where proxies are on the way.
    fn addressee(&self, transaction: &ClientTransaction) -> Option<(UserUri, SipUri)> {
        match transaction.purpose {
            Purpose::Invite(leg) => {
                let leg = self.legs.get(&leg).filter(|leg| leg.state == LegState::Cancelling)?;
                let (target, _) = leg.dialled().filter(|(target, _)| target.repeated && target.route.is_empty())?;
                Some((target.owner.clone()?, target.uri.clone()))
            }
            Purpose::Reinvite(_) | Purpose::Bye(_) => {
                let entry = self.dialogs.get(transaction.dialog?).filter(|entry| entry.earlier)?;
                Some((entry.user.clone()?, entry.dialog.direct_target()?.clone()))
            }
            Purpose::Update(_) | Purpose::Prack(_) | Purpose::Info(_) | Purpose::Notify(_) => None,
        }
    }

    /// Sends a request that never left over another flow, unless it has become needless.
    fn send_over(&mut self, id: ClientTransactionId, flow: Flow) {
        self.timers.clear(Timer::Device(id));
        let Some(mut transaction) = self.clients.remove(&id) else { return };
        let purpose = transaction.purpose;
        let given_up = match purpose {
            Purpose::Invite(leg) => self.legs.get(&leg).and_then(|leg| leg.ending.clone()),
            _ => None,
        };
        let wanted = match purpose {
            Purpose::Invite(_) => given_up.is_some(),
            Purpose::Reinvite(leg) => self.legs.contains_key(&leg),
            _ => true,
        };
        if !wanted {
            return;
        }
        if let Some(entry) = transaction.dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) {
            entry.dialog.heard_over(flow);
        }
        transaction.flow = Some(flow);
        let again = self.launch(transaction);
        self.note_bye_over(purpose);
        if let (Purpose::Invite(leg), Some(ending)) = (purpose, given_up) {
            if let Some(outgoing) = self.legs.get_mut(&leg).and_then(|leg| leg.outgoing()) {
                outgoing.transaction = Some(again);
            }
            self.push(crate::Output::Sip(SipCommand::Cancel { transaction: again, reason: ending.reason }));
        }
    }
}
