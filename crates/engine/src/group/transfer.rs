//! Who may send a caller elsewhere, and hears what became of it: the agent who talks with him, by REFER, and a supervisor, by
//! command. Where the caller goes is `forward`'s.

use base::{CallId, Shown, SubscriptionId, UserUri};
use response_group::{Action, Input, SupervisorCommand};
use sip_api::NameAddr;

use super::Role;
use crate::Engine;
use crate::destination::Found;
use crate::event::EngineEvent;
use crate::people::replaces::Replaces;

impl Engine {
    /// REFER: only the agent who talks with the caller may send him elsewhere, at once or to a colleague whom he has asked first
    /// (`Replaces`).
    pub(super) fn on_group_referred(&mut self, role: Role, refer: SubscriptionId, refer_to: &NameAddr) {
        if let Role::Supervisor(_) = role {
            // His dialog is about what he hears, not about whom he hears.
            let why = "who supervises a call takes part in it alone; callers are sent on by the command transfer";
            let headers = vec![("Warning".to_owned(), format!("399 {} \"{why}\"", self.config.domain))];
            return self.call(call::Input::RespondRefer { refer, status: 403, headers });
        }
        if let Role::Caller(consultation) = role
            && let Some(offer) = self.offer_named(refer_to)
        {
            if let Err(status) = self.borrow_agent(offer, refer, consultation) {
                self.call(call::Input::RespondRefer { refer, status, headers: Vec::new() });
            }
            return;
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
    pub(super) fn report_transfer(&mut self, call: CallId, status: u16) {
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
}
