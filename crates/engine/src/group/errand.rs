//! Feature codes: an agent dials `*55` to sign in and `*56` to sign out, `*57` to get no calls and `*58` to get them again, and
//! is told that it was done. A group's name behind the code (`*55700` for `sip:700@...`) means that group alone.

use base::{CallId, ConferenceId, GroupErrand, LegId, Termination, TerminationReason, UserUri};
use call::{Body, Invitation};
use mcu_api::{AloneAudio, Announcement, McuCommand, Phrase, Spoken};
use response_group::{AgentChange, Input};
use sdp::LocalMedia;
use serde::{Deserialize, Serialize};
use sip_api::SipUri;

use super::Role;
use super::media::GroupMedia;
use crate::Engine;

/// The longest pause an agent may make, in seconds: until he ends it, within a day.
pub(super) const PAUSE_SECONDS: u32 = 86_400;

/// What agents dial to sign in and out and to make a pause (`[response_groups]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupCodes {
    /// Signs in; default `*55`.
    pub sign_in_code: String,
    /// Signs out; default `*56`.
    pub sign_out_code: String,
    /// Begins a pause; default `*57`.
    pub pause_code: String,
    /// Ends it; default `*58`.
    pub resume_code: String,
}

impl Default for GroupCodes {
    fn default() -> Self {
        let [sign_in_code, sign_out_code, pause_code, resume_code] = ["*55", "*56", "*57", "*58"].map(str::to_owned);
        Self { sign_in_code, sign_out_code, pause_code, resume_code }
    }
}

/// What somebody dialled a code for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// To sign in or out: at one group, or everywhere.
    Sign { group: Option<UserUri>, signed_in: bool },
    /// To begin or end a pause.
    Pause(bool),
}

impl Feature {
    const fn errand(&self) -> GroupErrand {
        match self {
            Self::Sign { signed_in: true, .. } => GroupErrand::SignIn,
            Self::Sign { signed_in: false, .. } => GroupErrand::SignOut,
            Self::Pause(true) => GroupErrand::Pause,
            Self::Pause(false) => GroupErrand::Resume,
        }
    }

    fn phrase(&self) -> Phrase {
        match self {
            Self::Sign { signed_in: true, .. } => Phrase::SignedIn,
            Self::Sign { signed_in: false, .. } => Phrase::SignedOut,
            Self::Pause(true) => Phrase::Paused,
            Self::Pause(false) => Phrase::Resumed,
        }
    }
}

/// A call to a feature code.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) user: UserUri,
    conference: ConferenceId,
    invitation: Option<Box<Invitation>>,
    pub(super) media: GroupMedia,
    phrase: Phrase,
}

impl Engine {
    /// What a feature code of ours means.
    pub(crate) fn feature_code(&self, uri: &SipUri) -> Option<Feature> {
        let domain = self.groups.domain.as_ref()?;
        let dialled = uri.user.as_deref().filter(|_| self.config.is_own_host(&uri.host))?;
        let codes = &self.config.group_codes;
        if dialled == codes.pause_code || dialled == codes.resume_code {
            return Some(Feature::Pause(dialled == codes.pause_code));
        }
        let signs = [(&codes.sign_in_code, true), (&codes.sign_out_code, false)];
        signs.into_iter().find_map(|(code, signed_in)| {
            let rest = dialled.strip_prefix(code.as_str())?;
            let named = || self.config.own_user(rest).filter(|group| domain.has_group(group));
            let group = if rest.is_empty() { None } else { Some(named()?) };
            Some(Feature::Sign { group, signed_in })
        })
    }

    /// An agent wants something from his phone. Whoever is not an agent, or not of that group, gets 403 and reads why.
    pub(crate) fn run_errand(&mut self, leg: LegId, call: Box<Invitation>, feature: &Feature) {
        let Some(agent) = call.user.clone() else { return self.challenge(leg) };
        let phrase = feature.phrase();
        let code = call.request.uri.user.as_deref().and_then(|code| self.config.own_user(code));
        let dialled = code.unwrap_or_else(|| agent.clone());
        let objection = match feature {
            Feature::Sign { group: Some(group), .. } => self.group_stranger(&agent, group, None),
            Feature::Sign { group: None, .. } | Feature::Pause(_) => {
                (!self.is_agent(&agent)).then(|| format!("{agent} is an agent of no response group"))
            }
        };
        if let Some(why) = objection {
            // He has proved who he is, so that he may read it.
            let warning = format!("399 {} \"{why}\"", self.config.domain);
            let headers = vec![("Warning".to_owned(), warning)];
            self.begin_visit(leg, CallId(leg.0), feature.errand(), agent, dialled);
            self.end_visit(leg, Termination::failed(TerminationReason::Forbidden));
            return self.call(call::Input::Reject { leg, status: 403, headers, body: None });
        }
        self.begin_visit(leg, CallId(leg.0), feature.errand(), agent.clone(), dialled);
        self.note_outside(agent.clone());
        let user = agent.clone();
        match feature {
            Feature::Sign { group, signed_in } => self.sign_agent(agent, group.clone(), None, *signed_in),
            Feature::Pause(pauses) => {
                let seconds = if *pauses { PAUSE_SECONDS } else { 0 };
                self.tell_groups(Input::AgentChanged { agent, change: AgentChange::Paused { seconds } });
            }
        }
        let conference = self.make_group_conference(leg.0 | (1 << 63), AloneAudio::Silence);
        let media = GroupMedia::default();
        let errand = Errand { user, conference: conference.clone(), invitation: Some(call), media, phrase };
        self.groups.errands.insert(leg, errand);
        self.groups.legs.insert(leg, Role::Errand);
        self.mcu(McuCommand::ReserveLeg { conference, leg });
    }

    /// He signed in or out, by whatever way: at one group, at one of its agent groups, or everywhere.
    pub(super) fn sign_agent(
        &mut self,
        agent: UserUri,
        group: Option<UserUri>,
        agent_group: Option<String>,
        signed_in: bool,
    ) {
        self.tell_groups(match group {
            Some(group) => Input::AgentSigned { agent, group, agent_group, signed_in },
            None => Input::AgentChanged { agent, change: AgentChange::SignedIn { signed_in } },
        });
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
        self.answer_visit(leg, leg, None, agreed.as_ref());
        self.connect_group_leg(leg, agreed);
        let language = self.spoken_language(None);
        let announcement = Announcement { language, parts: vec![Spoken::Phrase(phrase)] };
        self.command_leg(leg, McuCommand::Announce { leg, announcement });
    }

    pub(super) fn on_errand_ended(&mut self, leg: LegId, termination: Termination) {
        self.end_visit(leg, termination);
        if let Some(errand) = self.groups.errands.remove(&leg) {
            self.note_outside(errand.user);
            self.mcu(McuCommand::EndConference { conference: errand.conference });
        }
    }
}
