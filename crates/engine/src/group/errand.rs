//! Feature codes: an agent dials `*55` to sign in and `*56` to sign out, and is told that he has.

use base::{ConferenceId, LegId, Termination, TerminationReason, UserUri};
use call::{Body, Invitation};
use mcu_api::{AloneAudio, Announcement, McuCommand, Phrase, Spoken};
use response_group::{AgentChange, Input};
use sdp::LocalMedia;
use sip_api::SipUri;

use super::Role;
use super::media::GroupMedia;
use crate::Engine;

/// Dialled to sign in.
const SIGN_IN: &str = "*55";
/// Dialled to sign out.
const SIGN_OUT: &str = "*56";

/// A call to a feature code.
#[derive(Debug)]
pub(super) struct Errand {
    conference: ConferenceId,
    invitation: Option<Box<Invitation>>,
    pub(super) media: GroupMedia,
    phrase: Phrase,
}

impl Engine {
    /// What a feature code of ours means: whether the caller wants to be signed in.
    pub(crate) fn feature_code(&self, uri: &SipUri) -> Option<bool> {
        self.groups.domain.as_ref()?;
        match uri.user.as_deref().filter(|_| self.config.is_own_host(&uri.host))? {
            SIGN_IN => Some(true),
            SIGN_OUT => Some(false),
            _ => None,
        }
    }

    /// An agent signs in or out from his phone. Whoever is not an agent gets 403.
    pub(crate) fn run_errand(&mut self, leg: LegId, call: Box<Invitation>, signed_in: bool) {
        let Some(agent) = call.user.clone() else { return self.challenge(leg) };
        if !self.is_agent(&agent) {
            return self.reject(leg, 403);
        }
        self.sign_agent(agent, signed_in);
        let conference = self.make_group_conference(leg.0 | (1 << 63), AloneAudio::Silence);
        let phrase = if signed_in { Phrase::SignedIn } else { Phrase::SignedOut };
        let errand =
            Errand { conference: conference.clone(), invitation: Some(call), media: GroupMedia::default(), phrase };
        self.groups.errands.insert(leg, errand);
        self.groups.legs.insert(leg, Role::Errand);
        self.mcu(McuCommand::ReserveLeg { conference, leg });
    }

    /// He signed in or out, by whatever way.
    pub(super) fn sign_agent(&mut self, agent: UserUri, signed_in: bool) {
        self.tell_groups(Input::AgentChanged { agent, change: AgentChange::SignedIn { signed_in } });
    }

    pub(super) fn on_errand_reserved(&mut self, leg: LegId, local: LocalMedia) {
        let Some(errand) = self.groups.errands.get_mut(&leg) else { return };
        errand.media = GroupMedia::new(local);
        let Some(invitation) = errand.invitation.take() else { return };
        match errand.media.answer(invitation.body.as_ref()) {
            Ok(body) => {
                self.call(call::Input::Accept { leg, body: Some(body), headers: Vec::new() });
                self.record_up(leg);
            }
            Err(refusal) => self.reject(leg, refusal.status()),
        }
    }

    pub(super) fn on_errand_confirmed(&mut self, leg: LegId, body: Option<Body>) {
        let Some(errand) = self.groups.errands.get_mut(&leg) else { return };
        if errand.media.awaits_answer() && !errand.media.take_answer(body.as_ref()) {
            return self.hang_up_sip(leg, Termination::failed(TerminationReason::MediaNotSupported));
        }
        let (agreed, phrase) = (errand.media.agreed(), errand.phrase);
        self.connect_group_leg(leg, agreed);
        let announcement = Announcement { language: "en".to_owned(), parts: vec![Spoken::Phrase(phrase)] };
        self.command_leg(leg, McuCommand::Announce { leg, announcement });
    }

    pub(super) fn on_errand_ended(&mut self, leg: LegId) {
        if let Some(errand) = self.groups.errands.remove(&leg) {
            self.mcu(McuCommand::EndConference { conference: errand.conference });
        }
    }
}
