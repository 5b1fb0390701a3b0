//! From INVITE to Focus: somebody calls a conference, or joins its Focus.

use base::{ConferenceId, EndpointId, LegId, Termination, TerminationReason, UserUri};
use c3p::{ConferenceUri, Diagnostic};
use call::Invitation;
use focus::{FailureReason, JoinMedia, Outcome, Requester};
use mcu_api::{Phrase, Spoken};
use sip_api::SipUri;

use crate::conference::leg::{Leg, LegKind, MediaLeg, MediaOrigin, user_agent};
use crate::conference::pin_guard::Guesser;
use crate::event::EngineEvent;
use crate::target::Target;
use crate::{Engine, Origin};

impl Engine {
    /// A new INVITE: find out what it is for.
    pub(crate) fn on_incoming(&mut self, leg: LegId, call: Box<Invitation>) {
        if call.request.headers.get("Replaces").is_some() {
            return self.replace_leg(leg, &call);
        }
        if let Some(group) = self.group_of(&call.request.uri) {
            return self.call_group(leg, group, call);
        }
        if let Some(feature) = self.feature_code(&call.request.uri) {
            return self.run_errand(leg, call, &feature);
        }
        if let Some(access) = self.access_number(&call.request.uri) {
            return self.call_attendant(leg, access, call);
        }
        let is_c3p =
            call.body.as_ref().is_some_and(|body| body.content_type.starts_with(crate::control::c3p_dialog::C3P));
        match self.target(&call.request.uri) {
            Target::Focus(conference) if is_c3p => self.join_focus(leg, &conference, &call),
            Target::Unknown | Target::FocusFactory if self.is_anonymous(&call) => {
                self.refuse_anonymous(leg, &call.request.uri);
            }
            _ if is_c3p => self.reject(leg, 404),
            Target::Focus(conference) | Target::AudioVideo(conference) => self.join_media(leg, conference, call),
            Target::ConferenceFactory => self.join_new_conference(leg, call),
            Target::OtherMcu => self.reject(leg, 488),
            Target::FocusFactory => self.reject(leg, 405),
            Target::Unknown => self.call_person(leg, call),
        }
    }

    pub(crate) fn join_media(&mut self, leg: LegId, conference: ConferenceId, call: Box<Invitation>) {
        let Some(requester) = self.requester(&call) else { return self.challenge(leg) };
        if self.legs.len() >= self.config.limits.legs || !self.activate(&conference) {
            return self.refuse_for_want_of_room(leg);
        }
        let display_name = call.from.display_name.clone();
        let peer = match &requester {
            Requester::Authenticated(user) | Requester::Unauthenticated(user) => user.clone(),
            Requester::Participant(_) | Requester::Operator => return self.reject(leg, 403),
        };
        let claimed = matches!(requester, Requester::Unauthenticated(_)).then(|| peer.clone());
        let (address, call_id) = (call.request.uri.user.clone(), call.request.call_id().to_owned());
        let guesser = Some(self.guesser(&call, &requester));
        let (user_agent, trunk) = (user_agent(&call), self.trunk_of(&call));
        let media = MediaLeg { guesser, ..MediaLeg::new(MediaOrigin::Incoming(Some(call))) };
        let mut entry = Leg::new(conference.clone(), peer, LegKind::Media(Box::new(media)), self.now);
        entry.sip = Some(leg);
        entry.claimed = claimed;
        entry.address = address;
        entry.call_id = Some(call_id);
        entry.user_agent = user_agent;
        entry.trunk = trunk;
        self.legs.insert(leg, entry);
        let command = self.command_of(Origin::MediaJoin { leg });
        let endpoint: Option<EndpointId> = None;
        self.focus(
            &conference,
            focus::Input::JoinMedia(JoinMedia { command, leg, requester, endpoint, display_name, pin: None }),
        );
    }

    /// RFC 4579 5.4: calling the factory makes a conference and joins it.
    fn join_new_conference(&mut self, leg: LegId, call: Box<Invitation>) {
        let Some(user) = call.user.clone() else { return self.challenge(leg) };
        match self.make_ad_hoc_conference(user) {
            Some(conference) => self.join_media(leg, conference, call),
            None => self.refuse_for_want_of_room(leg),
        }
    }

    /// Who calls, as far as the edge has proven it; `None` when he claims to be one of our users and must prove it.
    pub(crate) fn requester(&self, call: &Invitation) -> Option<Requester> {
        if let Some(user) = &call.user {
            return Some(Requester::Authenticated(user.clone()));
        }
        let claimed = UserUri::parse(&call.from.uri.to_string()).ok()?.address_of_record();
        let claims_account = self.config.is_own_host(&call.from.uri.host)
            && self.config.own_user(claimed.user_part()).is_some_and(|user| self.directory.user(&user).is_some());
        (!claims_account).then_some(Requester::Unauthenticated(claimed))
    }

    /// Whether he has no account, claims none in our domain, and does not come by a trusted trunk. Whether an account
    /// exists is not told: whoever claims one must prove it.
    fn is_anonymous(&self, call: &Invitation) -> bool {
        call.user.is_none() && self.told_by_trunk(call).is_none() && !self.config.is_own_host(&call.from.uri.host)
    }

    /// Who is anonymous reaches conferences of this server only (c3p.md 2.10, 4.4).
    fn refuse_anonymous(&mut self, leg: LegId, uri: &SipUri) {
        let (status, diagnostic) = match ConferenceUri::parse(&uri.to_string()) {
            Ok(ConferenceUri::Factory { .. }) => (403, Diagnostic::AnonymousTargetInvalid),
            Ok(ConferenceUri::Focus(_) | ConferenceUri::Mcu(..)) => (404, Diagnostic::AnonymousWithoutFocus),
            Err(_) => (403, Diagnostic::AnonymousNotAuthorized),
        };
        self.reject_diagnosed(leg, status, diagnostic, Vec::new(), None);
    }

    /// To whom his wrong PINs are counted.
    pub(crate) fn guesser(&self, call: &Invitation, requester: &Requester) -> Guesser {
        let address = call.flow.remote.ip();
        match requester {
            Requester::Unauthenticated(caller) if self.config.trusted_peers.contains(&address) => {
                Guesser::Caller(caller.clone())
            }
            _ => Guesser::Address(address),
        }
    }

    /// What the Focus said to somebody who calls.
    pub(crate) fn on_media_join_outcome(&mut self, leg: LegId, outcome: Outcome) {
        match outcome {
            Outcome::Joined { user, .. } => {
                if let Some(entry) = self.legs.get_mut(&leg) {
                    entry.listed = Some(user);
                }
                self.admit(leg);
            }
            Outcome::NeedPin { .. } => self.ask_for_pin(leg),
            Outcome::Waiting { .. } => self.wait_in_lobby(leg),
            Outcome::Failure(failure) => self.refuse_join(leg, failure.reason),
            Outcome::Pending | Outcome::Done | Outcome::Conference(_) => {}
        }
    }

    fn admit(&mut self, leg: LegId) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let is_up = entry.connected.is_some();
        let Some(media) = entry.media() else { return };
        let was_kept_out = media.pin_entry.take().is_some() | std::mem::take(&mut media.in_lobby);
        if was_kept_out && is_up {
            self.mcu(mcu_api::McuCommand::SetInMix { leg, in_mix: true });
        } else if !media.in_mcu {
            self.reserve(leg);
        }
    }

    /// He is answered, but neither hears nor is heard until a presenter lets him in.
    fn wait_in_lobby(&mut self, leg: LegId) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let is_up = entry.connected.is_some();
        let Some(media) = entry.media() else { return };
        media.pin_entry = None;
        media.in_lobby = true;
        if is_up {
            self.say(leg, vec![Spoken::Phrase(Phrase::WaitInLobby)]);
        } else if !media.in_mcu {
            self.reserve(leg);
        }
    }

    fn ask_for_pin(&mut self, leg: LegId) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let conference = entry.conference.clone();
        let Some(media) = entry.media() else { return };
        media.pin_entry.get_or_insert_default();
        let (is_new, guesser) = (!media.in_mcu, media.guesser.clone());
        if is_new && guesser.is_some_and(|guesser| !self.pins.allows(self.now, &conference, &guesser)) {
            self.refuse_guesser(leg, conference);
        } else if is_new {
            self.reserve(leg);
        }
    }

    /// Too many wrong PINs came from there: he is not even answered.
    fn refuse_guesser(&mut self, leg: LegId, conference: ConferenceId) {
        let termination = Termination::failed(TerminationReason::Forbidden);
        if self.return_to_attendant(leg) {
            self.event(EngineEvent::PinGuessing { conference: conference.clone() });
            return self.focus(&conference, focus::Input::LegEnded { leg, termination });
        }
        self.refuse_guessing(leg, conference);
        self.drop_leg(leg, termination);
    }

    /// The same before there is a leg.
    pub(crate) fn refuse_guessing(&mut self, leg: LegId, conference: ConferenceId) {
        self.event(EngineEvent::PinGuessing { conference });
        let headers = vec![("Retry-After".to_owned(), "600".to_owned())];
        self.call(call::Input::Reject { leg, status: 403, headers, body: None });
    }

    /// A caller typed a PIN that is not the conference's.
    pub(crate) fn note_wrong_pin(&mut self, leg: LegId) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let conference = entry.conference.clone();
        if let Some(guesser) = entry.media().and_then(|media| media.guesser.clone()) {
            self.pins.note_wrong(self.now, &conference, &guesser);
        }
    }

    fn refuse_join(&mut self, leg: LegId, reason: FailureReason) {
        let Some(media) = self.legs.get_mut(&leg).and_then(|leg| leg.media()) else { return };
        if media.in_mcu {
            if reason == FailureReason::InvalidPasscode {
                self.note_wrong_pin(leg);
            }
            // He was answered and asked for a PIN; the Focus hangs him up.
            return;
        }
        if self.return_to_attendant(leg) {
            return;
        }
        let Some(media) = self.legs.get_mut(&leg).and_then(|leg| leg.media()) else { return };
        let could_authenticate = match &media.origin {
            MediaOrigin::Incoming(Some(call)) => call.user.is_none(),
            _ => false,
        };
        if could_authenticate && reason == FailureReason::AnonymousUsersNotAllowed {
            self.challenge(leg);
        } else {
            let (status, headers) = (crate::translate::refusal_status(reason), self.warning_of(reason));
            self.call(call::Input::Reject { leg, status, headers, body: None });
        }
        let ended = match reason {
            FailureReason::MaximumMeetingSizeExceeded | FailureReason::TooManyEndpoints => {
                TerminationReason::LimitReached
            }
            _ => TerminationReason::Forbidden,
        };
        self.drop_leg(leg, Termination::failed(ended));
    }

    pub(crate) fn reject(&mut self, leg: LegId, status: u16) {
        self.call(call::Input::Reject { leg, status, headers: Vec::new(), body: None });
    }

    pub(crate) fn challenge(&mut self, leg: LegId) {
        self.call(call::Input::Challenge { leg });
    }

    pub(crate) fn refuse_for_want_of_room(&mut self, leg: LegId) {
        self.reject(leg, 503);
    }
}
