//! REFER: "add this person", or with `method=BYE` "send him away", for phones without C3P (RFC 4579).

use base::{ConferenceId, EndpointId, LegId, SubscriptionId, TerminationReason, UserUri};
use focus::{ControlRequest, DialOut, FailureReason, Outcome, Requester};
use rand::RngCore;
use sip_api::{NameAddr, SipUri};

use crate::people::replaces::Replaces;
use crate::target::Target;
use crate::{Engine, Origin};

impl Engine {
    /// A participant asks inside his dialog.
    pub(crate) fn on_referred(&mut self, sip_leg: LegId, refer: SubscriptionId, refer_to: &NameAddr) {
        let leg = self.conference_leg(sip_leg);
        match self.legs.get(&leg).map(|entry| entry.conference.clone()) {
            Some(conference) => self.carry_out(&conference, Requester::Participant(leg), refer, refer_to),
            None => self.call(call::Input::RespondRefer { refer, status: 403, headers: Vec::new() }),
        }
    }

    /// A user asks outside any dialog, by the conference's URI. What he may do is the Focus's decision.
    pub(crate) fn on_referred_from_outside(
        &mut self,
        refer: SubscriptionId,
        refer_to: &NameAddr,
        uri: &SipUri,
        user: Option<UserUri>,
    ) {
        let (Target::Focus(conference) | Target::AudioVideo(conference)) = self.target(uri) else {
            return self.call(call::Input::RespondRefer { refer, status: 404, headers: Vec::new() });
        };
        match user {
            None => self.call(call::Input::ChallengeSubscription { subscription: refer }),
            Some(_) if self.conferences.get(&conference).is_none() => {
                self.call(call::Input::RespondRefer { refer, status: 403, headers: Vec::new() });
            }
            Some(user) => self.carry_out(&conference, Requester::Authenticated(user), refer, refer_to),
        }
    }

    fn carry_out(
        &mut self,
        conference: &ConferenceId,
        requester: Requester,
        refer: SubscriptionId,
        refer_to: &NameAddr,
    ) {
        if Replaces::in_uri(refer_to.uri.headers.as_deref()).is_some() {
            // Whoever is in that call would have to be taken out of it; the caller may add him by his address.
            return self.call(call::Input::RespondRefer { refer, status: 501, headers: Vec::new() });
        }
        let person = UserUri::parse(&refer_to.uri.to_string()).map(|person| person.address_of_record());
        let request = match (person, refer_to.uri.param("method")) {
            (Ok(person), None | Some("INVITE")) => {
                ControlRequest::DialOut(self.dial_out_to(person.clone(), person, refer_to.display_name.clone()))
            }
            (Ok(person), Some("BYE")) => ControlRequest::DeleteUser { user: person },
            _ => return self.call(call::Input::RespondRefer { refer, status: 400, headers: Vec::new() }),
        };
        self.undecided_refers.push(refer);
        let command = self.command_of(Origin::Refer { refer });
        self.focus(conference, focus::Input::Command { command, requester, request });
    }

    /// The machines are quiet, and nobody has refused what a REFER asks: it is accepted, and its outcome follows by
    /// NOTIFY. Gives whether there was one.
    pub(crate) fn accept_refer(&mut self) -> bool {
        let Some(refer) = self.undecided_refers.pop() else { return false };
        self.call(call::Input::RespondRefer { refer, status: 202, headers: Vec::new() });
        true
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

    /// How an account of this server is shown.
    pub(crate) fn account_name(&self, target: &UserUri) -> Option<String> {
        self.directory.user(&target.address_of_record())?.display_name.clone()
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

    /// How it fares, for the referrer. What is refused before the REFER is answered is refused by the answer: no
    /// subscription begins, and no NOTIFY says the same again.
    pub(crate) fn on_refer_outcome(&mut self, refer: SubscriptionId, outcome: &Outcome) {
        let status = match outcome {
            Outcome::Pending | Outcome::NeedPin { .. } | Outcome::Waiting { .. } => 100,
            Outcome::Joined { .. } | Outcome::Done | Outcome::Conference(_) => 200,
            Outcome::Failure(failure) => failure_status(failure),
        };
        let undecided = self.undecided_refers.iter().position(|known| *known == refer);
        match (undecided, status) {
            (Some(_), ..200) => {}
            (Some(place), 200) => {
                self.undecided_refers.remove(place);
                self.call(call::Input::RespondRefer { refer, status: 202, headers: Vec::new() });
                self.call(call::Input::ReferProgress { refer, status });
            }
            (Some(place), _) => {
                self.undecided_refers.remove(place);
                self.call(call::Input::RespondRefer { refer, status, headers: Vec::new() });
            }
            (None, _) => self.call(call::Input::ReferProgress { refer, status }),
        }
    }
}

/// What the called person answered, if that is known, else why the Focus refused.
fn failure_status(failure: &focus::Failure) -> u16 {
    match (failure.termination.map(|termination| termination.reason), failure.reason) {
        (Some(TerminationReason::Busy), _) => 486,
        (Some(TerminationReason::Declined), _) => 603,
        // Too many dial-outs of this conference are under way.
        (None, FailureReason::OtherFailure) => 503,
        (Some(_), FailureReason::OtherFailure) => 480,
        (_, reason) => crate::translate::refusal_status(reason),
    }
}
