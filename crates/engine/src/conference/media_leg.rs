//! The audio of a leg: ports from the MCU, descriptions from `sdp`, and both brought together.

use base::{ConferenceId, LegId, Termination, TerminationReason};
use call::Body;
use mcu_api::{Direction, LegFailure, McuCommand, McuEvent, Phrase, Spoken, SrtpProfile};
use rand::RngCore;
use sdp::{LocalKey, LocalMedia, Session, SrtpPolicy};

use crate::conference::attendant::is_attendants;
use crate::conference::leg::MediaOrigin;
use crate::conference::pin_guard::Guesser;
use crate::digits::{Way, key_in};
use crate::event::EngineEvent;
use crate::{Effect, Engine};

/// The media type of session descriptions.
pub(crate) const SDP: &str = "application/sdp";

impl Engine {
    /// Asks the MCU for ports; the leg goes on in [`Engine::on_reserved`].
    pub(crate) fn reserve(&mut self, leg: LegId) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let conference = entry.conference.clone();
        if let Some(media) = entry.media() {
            media.in_mcu = true;
        }
        self.bring_into_mcu(&conference);
        self.mcu(McuCommand::ReserveLeg { conference, leg });
    }

    /// Sorts what the media side tells.
    pub(crate) fn on_mcu(&mut self, event: McuEvent) {
        match event {
            McuEvent::LegReserved { leg, rtp, rtcp } => {
                let local = self.local_media(rtp, rtcp);
                self.on_reserved(leg, local);
            }
            McuEvent::LegFailed { leg, failure } => self.on_leg_failed(leg, failure),
            McuEvent::MediaStarted { .. } => {}
            McuEvent::Digit { leg, digit } => self.on_digit(leg, Way::Event, digit),
            McuEvent::ActiveSpeakers { conference, speakers } => {
                self.focus(&conference, focus::Input::SpeakersChanged { legs: speakers });
            }
            McuEvent::MediaTimeout { leg } => self.end_leg(leg, Termination::failed(TerminationReason::MediaTimeout)),
            McuEvent::LegRemoved { leg, statistics } => {
                if let Some(media) = self.legs.get_mut(&leg).and_then(|leg| leg.media()) {
                    media.statistics = statistics;
                    media.in_mcu = false;
                }
                self.finish_leg(leg);
            }
            McuEvent::ConferenceFailed { conference, legs } => self.on_conference_failed(&conference, &legs),
            McuEvent::LegQuality { leg, statistics } => {
                if let Some(media) = self.legs.get_mut(&leg).and_then(|leg| leg.media()) {
                    media.statistics = statistics;
                }
                self.event(EngineEvent::LegQuality(Box::new(statistics)));
            }
            McuEvent::AnnouncementEnded { leg, .. } => self.on_announcement_ended(leg),
            McuEvent::RecordingEnded { conference, file, length_ms, error } => {
                if error.is_some() {
                    self.conferences.note_recording_failed(&conference);
                }
                self.event(EngineEvent::RecordingEnded { conference, file, length_ms, error });
            }
        }
    }

    pub(crate) fn local_media(&mut self, rtp: std::net::SocketAddr, rtcp: std::net::SocketAddr) -> LocalMedia {
        let keys = match self.config.srtp {
            SrtpPolicy::Off => Vec::new(),
            SrtpPolicy::Support | SrtpPolicy::Require => {
                // The cheapest first: with GCM a packet takes two thirds of the time (`cargo bench -p media`).
                [SrtpProfile::AeadAes128Gcm, SrtpProfile::AesCm128HmacSha1_80, SrtpProfile::AesCm128HmacSha1_32]
                    .into_iter()
                    .map(|profile| {
                        let mut key = vec![0; profile.key_length()];
                        self.random.fill_bytes(&mut key);
                        LocalKey { profile, key }
                    })
                    .collect()
            }
        };
        LocalMedia {
            rtp,
            rtcp,
            srtp: self.config.srtp,
            keys,
            // RFC 8866 5.2 wants a numeric id; some phones read it as a signed 64-bit number.
            session_id: self.random.next_u64() >> 2,
            codecs: self.config.codecs.clone(),
            telephone_event: true,
            own_ports: self.config.media_ports.clone(),
        }
    }

    /// Ports are there: answer the caller, or call the target.
    fn on_reserved(&mut self, leg: LegId, local: LocalMedia) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        if entry.ended.is_some() {
            return;
        }
        let Some(media) = entry.media() else { return };
        media.local = Some(local);
        match &media.origin {
            MediaOrigin::Incoming(Some(_)) => self.answer_caller(leg),
            MediaOrigin::Incoming(None) => self.move_caller(leg),
            MediaOrigin::Outgoing(_) => self.dial(leg),
        }
    }

    /// Sends the 200 to somebody who called, with our answer, or with our offer if he made none.
    fn answer_caller(&mut self, leg: LegId) {
        // The attendant is no focus.
        let in_conference = self.legs.get(&leg).filter(|entry| !is_attendants(&entry.conference));
        let contact = in_conference.map(|entry| self.conference_contact(&entry.conference));
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let Some(media) = entry.media() else { return };
        let (MediaOrigin::Incoming(invitation), Some(local)) = (&mut media.origin, &media.local) else { return };
        let Some(invitation) = invitation.take() else { return };
        let body = match &invitation.body {
            Some(body) => match answer(body, local, None) {
                Ok((answer, session)) => {
                    media.session = Some(session);
                    answer
                }
                Err(refusal) => return self.refuse_media(leg, &refusal),
            },
            None => {
                let (offer, pending) = sdp::offer(local, Direction::SendRecv, None);
                media.pending = Some(pending);
                Body::new(SDP, offer)
            }
        };
        let headers = contact.into_iter().map(|contact| ("Contact".to_owned(), contact)).collect();
        self.call(call::Input::Accept { leg, body: Some(body), headers });
    }

    fn refuse_media(&mut self, leg: LegId, refusal: &sdp::Refusal) {
        let warning = refusal.warning(&self.config.domain);
        let headers = vec![("Warning".to_owned(), warning)];
        self.call(call::Input::Reject { leg, status: refusal.status(), headers, body: None });
        self.drop_leg(leg, Termination::failed(TerminationReason::MediaNotSupported));
    }

    /// The caller acknowledged our 200: he is in, once we know his media. Nothing is sent before that, because only the
    /// ACK proves that he is where his INVITE said, and not somebody else who would drown in our audio.
    pub(crate) fn on_confirmed(&mut self, leg: LegId, body: Option<Body>) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        if let Some(media) = entry.media()
            && let Some(pending) = media.pending.take()
        {
            let Some(session) = body.and_then(|body| take_answer(pending, &body)) else {
                return self.end_leg(leg, Termination::failed(TerminationReason::MediaNotSupported));
            };
            media.session = Some(session);
        }
        self.connect_media(leg);
        self.leg_connected(leg);
    }

    /// Takes the answer to our offer and tells the MCU; `false` when the answer is no good.
    pub(crate) fn take_answer(&mut self, leg: LegId, body: Option<&Body>) -> bool {
        let Some(media) = self.legs.get_mut(&leg).and_then(|leg| leg.media()) else { return false };
        let Some(pending) = media.pending.take() else { return false };
        let Some(session) = body.and_then(|body| take_answer(pending, body)) else { return false };
        media.session = Some(session);
        self.connect_media(leg);
        true
    }

    /// Tells the MCU what was agreed.
    fn connect_media(&mut self, leg: LegId) {
        let Some(media) = self.legs.get_mut(&leg).and_then(|leg| leg.media()) else { return };
        let Some(mut agreed) = media.session.as_ref().map(|session| session.media().clone()) else { return };
        agreed.remote_signalling = media.guesser.as_ref().and_then(Guesser::address);
        let is_kept_out = media.pin_entry.is_some() || media.in_lobby;
        if is_kept_out {
            self.mcu(McuCommand::SetInMix { leg, in_mix: false });
        }
        self.mcu(McuCommand::ConnectLeg { leg, media: agreed });
    }

    /// The leg is up on both sides.
    pub(crate) fn leg_connected(&mut self, leg: LegId) {
        let now = self.now;
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        entry.connected.get_or_insert(entry.answered.unwrap_or(now));
        let peer = entry.peer.clone();
        self.note_outside(peer);
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let waits = entry.media().is_some_and(|media| media.in_lobby);
        let conference = entry.conference.clone();
        let has_audio = entry.media().is_some();
        let recorded = has_audio && self.is_being_recorded(&conference);
        self.focus(&conference, focus::Input::LegConnected { leg });
        // In one announcement, for a second one would cut the first off; whoever is recorded has to know it.
        let said = [(recorded, Phrase::Recorded), (waits, Phrase::WaitInLobby)];
        let said: Vec<Spoken> =
            said.iter().filter(|(due, _)| *due).map(|(_, phrase)| Spoken::Phrase(*phrase)).collect();
        if !said.is_empty() {
            self.say(leg, said);
        }
        self.greet(leg);
    }

    /// The peer offers a new description: hold, resume, another address.
    pub(crate) fn on_offered(&mut self, sip_leg: LegId, body: Option<Body>) {
        let leg = self.conference_leg(sip_leg);
        let Some(media) = self.legs.get_mut(&leg).and_then(|leg| leg.media()) else {
            // A Focus dialog has no session description; its re-INVITE only refreshes the session (RFC 4028).
            return self.call(call::Input::AnswerOffer { leg: sip_leg, body: None });
        };
        let Some(local) = &media.local else {
            return self.call(call::Input::RefuseOffer { leg: sip_leg, status: 491 });
        };
        let Some(body) = body else {
            let (offer, pending) = sdp::offer(local, Direction::SendRecv, media.session.as_ref());
            media.pending = Some(pending);
            return self.call(call::Input::AnswerOffer { leg: sip_leg, body: Some(Body::new(SDP, offer)) });
        };
        match answer(&body, local, media.session.as_ref()) {
            Ok((answer, session)) => {
                media.session = Some(session);
                self.call(call::Input::AnswerOffer { leg: sip_leg, body: Some(answer) });
                self.connect_media(leg);
                self.report_hold(leg);
            }
            Err(refusal) => self.call(call::Input::RefuseOffer { leg: sip_leg, status: refusal.status() }),
        }
    }

    /// The peer answered an offer of ours inside the dialog.
    pub(crate) fn on_reoffer_answered(&mut self, sip_leg: LegId, result: Result<Option<Body>, u16>) {
        let leg = self.conference_leg(sip_leg);
        let taken = result.is_ok_and(|body| self.take_answer(leg, body.as_ref()));
        if !self.on_moved(leg, taken) && taken {
            self.report_hold(leg);
        }
    }

    /// Tells the Focus when a leg went on hold or came back: whoever does not want to hear us is on hold.
    fn report_hold(&mut self, leg: LegId) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let conference = entry.conference.clone();
        let Some(media) = entry.media() else { return };
        let held = media.session.as_ref().is_some_and(|session| !session.media().direction.sends());
        if held != media.held {
            media.held = held;
            self.focus(&conference, focus::Input::LegHeld { leg, held });
        }
    }

    /// Somebody pressed a key: he enters a PIN, or says what he wants of the conference.
    pub(crate) fn on_digit(&mut self, leg: LegId, way: Way, digit: char) {
        let now = self.now;
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let conference = entry.conference.clone();
        if !entry.media().is_some_and(|media| media.digits.is_new(now, way, digit)) {
            return;
        }
        if entry.media().is_some_and(|media| media.attended.is_some()) {
            return self.on_attendant_key(leg, digit);
        }
        let Some(entered) = entry.media().and_then(|media| media.pin_entry.as_mut()) else {
            return self.on_key(leg, digit);
        };
        let Some(pin) = key_in(entered, digit, focus::Pin::LENGTH_MAX) else { return };
        let pin = focus::Pin::entered(&pin);
        self.focus(&conference, focus::Input::EnterPin { leg, pin });
    }

    /// The operator is to hear of every leg that there was no room for, whatever became of its call.
    pub(crate) fn note_want_of_room(&mut self, event: &McuEvent) {
        if let McuEvent::LegFailed { failure: failure @ (LegFailure::NoPort | LegFailure::Overload), .. } = event {
            self.effects.push_back(Effect::Event(EngineEvent::NoRoom { failure: *failure }));
        }
    }

    fn on_leg_failed(&mut self, leg: LegId, failure: LegFailure) {
        let reason = match failure {
            LegFailure::NoPort | LegFailure::Overload => TerminationReason::LimitReached,
            LegFailure::BadKeys => TerminationReason::MediaNotSupported,
            LegFailure::NoConference | LegFailure::Internal => TerminationReason::McuLost,
        };
        if let Some(media) = self.legs.get_mut(&leg).and_then(|leg| leg.media()) {
            media.in_mcu = false;
        }
        self.end_leg(leg, Termination::failed(reason));
    }

    fn on_conference_failed(&mut self, conference: &ConferenceId, legs: &[LegId]) {
        for leg in legs {
            if let Some(media) = self.legs.get_mut(leg).and_then(|leg| leg.media()) {
                media.in_mcu = false;
            }
        }
        self.focus(conference, focus::Input::End { reason: focus::EndReason::McuLost });
        if is_attendants(conference) {
            return legs.iter().for_each(|leg| self.end_leg(*leg, Termination::failed(TerminationReason::McuLost)));
        }
        // A leg that ended before waited only for the figures that do not come any more.
        for leg in legs {
            self.finish_leg(*leg);
        }
    }

    /// The conference leg a SIP leg belongs to: itself, unless it was dialled.
    pub(crate) fn conference_leg(&self, sip_leg: LegId) -> LegId {
        self.branches.get(&sip_leg).copied().unwrap_or(sip_leg)
    }
}

/// Answers an offer.
pub(crate) fn answer(
    body: &Body,
    local: &LocalMedia,
    previous: Option<&Session>,
) -> Result<(Body, Session), sdp::Refusal> {
    let offer = sdp::select_sdp(&body.content_type, &body.bytes)
        .ok_or(sdp::Refusal { kind: sdp::RefusalKind::Unreadable, text: "the body holds no session description" })?;
    let (answer, session) = sdp::answer(&offer, local, previous)?;
    Ok((Body::new(SDP, answer), session))
}

/// Takes the answer to an offer of ours; `None` when it is no good.
pub(crate) fn take_answer(pending: sdp::PendingOffer, body: &Body) -> Option<Session> {
    let answer = sdp::select_sdp(&body.content_type, &body.bytes)?;
    sdp::accept_answer(pending, &answer).ok()
}
