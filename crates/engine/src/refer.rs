//! REFER inside a dialog: "add this person" for phones without C3P (RFC 4579 5.5).

use base::{EndpointId, LegId, SubscriptionId, UserUri};
use focus::{ControlRequest, DialOut, FailureReason, Outcome, Requester};
use rand::RngCore;
use sip_api::NameAddr;

use crate::{Engine, Origin};

impl Engine {
    /// A participant asks us to call somebody.
    pub(crate) fn on_referred(&mut self, sip_leg: LegId, refer: SubscriptionId, refer_to: &NameAddr) {
        let leg = self.conference_leg(sip_leg);
        let Some(conference) = self.legs.get(&leg).map(|entry| entry.conference.clone()) else {
            return self.call(call::Input::RespondRefer { refer, status: 403 });
        };
        let wants_other_method = refer_to.uri.param("method").is_some_and(|method| method != "INVITE");
        let target = UserUri::parse(&refer_to.uri.to_string()).ok().filter(|_| !wants_other_method);
        let Some(target) = target.map(|target| target.address_of_record()) else {
            return self.call(call::Input::RespondRefer { refer, status: 400 });
        };
        self.call(call::Input::RespondRefer { refer, status: 202 });
        let dial_out = self.dial_out_to(target.clone(), target, refer_to.display_name.clone());
        let command = self.command_of(Origin::Refer { refer });
        let request = ControlRequest::DialOut(dial_out);
        self.focus(&conference, focus::Input::Command { command, requester: Requester::Participant(leg), request });
    }

    /// A dial-out with a new leg and a new endpoint.
    pub(crate) fn dial_out_to(&mut self, user: UserUri, target: UserUri, display_name: Option<String>) -> DialOut {
        DialOut {
            leg: self.calls.allocate_leg(),
            endpoint: self.new_endpoint(),
            target_is_account: self.is_account(&target),
            user,
            target,
            display_name,
            role: None,
        }
    }

    /// Whether whoever answers at this address is an account of this server.
    pub(crate) fn is_account(&self, target: &UserUri) -> bool {
        self.directory.user(&target.address_of_record()).is_some()
    }

    /// A brace-wrapped GUID, as endpoints are named by custom (c3p.md 2.5).
    fn new_endpoint(&mut self) -> EndpointId {
        let (high, low) = (self.random.next_u64(), self.random.next_u64());
        let text = format!(
            "{{{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}}}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | (low >> 50),
            low & 0xffff_ffff_ffff
        );
        EndpointId::parse(&text).expect("a GUID in braces is an endpoint entity")
    }

    /// How the dial-out fares, for the referrer.
    pub(crate) fn on_refer_outcome(&mut self, refer: SubscriptionId, outcome: &Outcome) {
        let status = match outcome {
            Outcome::Pending | Outcome::NeedPin { .. } => 100,
            Outcome::Joined { .. } | Outcome::Done | Outcome::Conference(_) => 200,
            Outcome::Failure(failure) if failure.reason == FailureReason::OtherFailure => 486,
            Outcome::Failure(failure) => crate::translate::refusal_status(failure.reason),
        };
        self.call(call::Input::ReferProgress { refer, status });
    }
}
