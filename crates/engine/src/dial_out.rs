//! From Focus to INVITE: the conference calls somebody.

use base::{LegId, OfferId, Termination, TerminationReason, UserUri};
use call::{Body, Dial, RingMode};
use mcu_api::Direction;
use sip_api::{Headers, NameAddr, SipUri};

use crate::Engine;
use crate::destination::{Destination, Found, Ring};
use crate::diversion::Diversions;
use crate::leg::{DialOut, Leg, LegKind, MediaLeg, MediaOrigin};

/// What a losing or given-up device is told, so that it counts no missed call (routing.md 2.4).
pub(crate) const COMPLETED_ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

impl Engine {
    /// The Focus wants somebody called: find out where, then ask the MCU for ports.
    pub(crate) fn place_call(
        &mut self,
        conference: &base::ConferenceId,
        leg: LegId,
        target: UserUri,
        display_name: Option<String>,
        requested_by: Option<UserUri>,
    ) {
        let found = self.dial_out_destination(conference, &target, requested_by.as_ref());
        let refused = found.as_ref().err().copied();
        let destination = found.ok();
        let diversions = Diversions::starting_at(destination.as_ref());
        let dial_out = DialOut {
            display_name,
            requested_by,
            destination,
            diversions,
            offer: None,
            ringing: Vec::new(),
            alerting: false,
        };
        let media = MediaLeg::new(MediaOrigin::Outgoing(dial_out));
        self.legs.insert(leg, Leg::new(conference.clone(), target, LegKind::Media(Box::new(media)), self.now));
        match refused {
            None => self.reserve(leg),
            Some(reason) => self.end_leg(leg, Termination::failed(reason)),
        }
    }

    fn dial_out_destination(
        &self,
        conference: &base::ConferenceId,
        target: &UserUri,
        requested_by: Option<&UserUri>,
    ) -> Result<Destination, TerminationReason> {
        match self.find(self.payer(conference, requested_by), target.as_str()) {
            Found::Person(destination) => Ok(destination),
            Found::Nobody(why) if why.status() == 403 => Err(TerminationReason::Forbidden),
            Found::Conference(_) | Found::Nobody(_) => Err(TerminationReason::InvalidTarget),
        }
    }

    /// By whose rights and location profile a dial-out goes: who asked, or the organizer when it was the operator
    /// (c3p.md 4.4).
    fn payer<'a>(&'a self, conference: &base::ConferenceId, requested_by: Option<&'a UserUri>) -> Option<&'a UserUri> {
        let organizer = || Some(&self.conferences.get(conference)?.record().organizer);
        requested_by.or_else(organizer)
    }

    /// Ports are there: send the INVITEs.
    pub(crate) fn dial(&mut self, leg: LegId) {
        let Some(dial_out) = self.legs.get_mut(&leg).and_then(Leg::dial_out) else { return };
        match dial_out.destination.as_mut().and_then(|destination| destination.next_ring(&self.directory)) {
            Some(ring) => self.ring_dial_out(leg, ring),
            None => self.end_leg(leg, Termination::failed(TerminationReason::NoAnswer)),
        }
    }

    fn ring_dial_out(&mut self, leg: LegId, ring: Ring) {
        let offer = self.calls.allocate_offer();
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let conference = entry.conference.clone();
        let Some(media) = entry.media() else { return };
        let Some(local) = &media.local else { return };
        let (description, pending) = sdp::offer(local, Direction::SendRecv, None);
        media.pending = Some(pending);
        let Some(dial_out) = media.dial_out() else { return };
        let requested_by = dial_out.requested_by.clone();
        let to = ring.to(dial_out.display_name.clone());
        let (by_trunk, silence_limit) = (ring.by_trunk, ring.silence_limit());
        let legs: Vec<_> = ring.targets.into_iter().map(|target| (self.calls.allocate_leg(), target)).collect();
        dial_out.offer = Some(offer);
        dial_out.ringing = legs.iter().map(|(branch, _)| *branch).collect();
        self.branches.extend(legs.iter().map(|(branch, _)| (*branch, leg)));
        self.offers.insert(offer, leg);
        self.call(call::Input::Dial(Box::new(Dial {
            offer,
            legs,
            mode: RingMode::Parallel,
            from: self.caller_id(&conference, by_trunk),
            to,
            headers: self.dial_out_headers(&conference, requested_by.as_ref()),
            body: Body::new("application/sdp", description),
            ring_limit: self.config.limits.dial_out_ring,
            silence_limit,
            cancel_reason: vec![COMPLETED_ELSEWHERE.to_owned()],
            follow_redirects: 0,
            refuse_forwarding: false,
            answer_challenges: false,
        })));
    }

    /// Caller id is the conference's: its number towards people here, the operator's number towards the telephone
    /// network.
    fn caller_id(&self, conference: &base::ConferenceId, by_trunk: bool) -> NameAddr {
        let record = self.conferences.get(conference).map(focus::Focus::record);
        let number = record.and_then(|record| record.number.as_ref().map(|number| number.as_str().to_owned()));
        let user = match (&self.config.caller_number, by_trunk) {
            (Some(caller_number), true) => caller_number.clone(),
            _ => number.unwrap_or_else(|| conference.as_str().to_owned()),
        };
        let subject = record.and_then(|record| record.subject.clone());
        NameAddr {
            display_name: Some(subject.unwrap_or_else(|| "Conference".to_owned())),
            uri: SipUri::sip(Some(&user), &self.config.domain, None),
            params: Vec::new(),
        }
    }

    fn dial_out_headers(&self, conference: &base::ConferenceId, by: Option<&UserUri>) -> call::ExtraHeaders {
        let mut headers = vec![("Contact".to_owned(), self.conference_contact(conference))];
        if let Some(by) = by {
            headers.push(("Referred-By".to_owned(), format!("<{by}>")));
        }
        headers
    }

    /// A device rings: the roster says so, once.
    pub(crate) fn on_ringing(&mut self, offer: OfferId, status: u16) {
        let Some(&leg) = self.offers.get(&offer) else { return };
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let conference = entry.conference.clone();
        let Some(dial_out) = entry.media().and_then(|media| media.dial_out()) else { return };
        if !dial_out.alerting && matches!(status, 180 | 183) {
            dial_out.alerting = true;
            self.focus(&conference, focus::Input::LegAlerting { leg });
        }
    }

    /// Somebody answered: his device is the leg now.
    pub(crate) fn on_answered(&mut self, offer: OfferId, branch: LegId, body: Option<Body>) {
        let Some(leg) = self.offers.remove(&offer) else { return };
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        entry.sip = Some(branch);
        let over = entry.ended.is_some();
        if let Some(dial_out) = entry.media().and_then(|media| media.dial_out()) {
            dial_out.offer = None;
        }
        if over {
            // The Focus gave him up while his answer was on the way.
            self.hang_up_sip(branch, Termination::cancelled(TerminationReason::RequestCancelled));
        } else if self.take_answer(leg, body.as_ref()) {
            self.leg_connected(leg);
        } else {
            self.end_leg(leg, Termination::failed(TerminationReason::MediaNotSupported));
        }
    }

    /// Nobody answered: try the next trunk if the failure allows it, else tell the Focus.
    pub(crate) fn on_offer_failed(&mut self, offer: OfferId, termination: Termination, status: Option<u16>) {
        let Some(leg) = self.offers.remove(&offer) else { return };
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let over = entry.ended.is_some();
        let Some(dial_out) = entry.media().and_then(|media| media.dial_out()) else { return };
        dial_out.offer = None;
        let destination = dial_out.destination.as_ref();
        let rang = dial_out.alerting;
        if !over && destination.is_some_and(|there| there.has_another_way(termination, status, rang)) {
            return self.dial(leg);
        }
        self.leg_over(leg, termination);
    }

    /// A device refused. If it sends the call elsewhere, whoever else rings is left alone and the call goes on there,
    /// by the rights of who asked for it; in the roster it stays the same endpoint.
    pub(crate) fn divert_dial_out(&mut self, branch: LegId, status: Option<u16>, headers: &Headers) {
        let Some(&leg) = self.branches.get(&branch) else { return };
        let Some(entry) = self.legs.get(&leg) else { return };
        let LegKind::Media(media) = &entry.kind else { return };
        let MediaOrigin::Outgoing(dial_out) = &media.origin else { return };
        let (Some(from), Some(offer)) = (&dial_out.destination, dial_out.offer) else { return };
        if !dial_out.ringing.contains(&branch) {
            return;
        }
        let payer = self.payer(&entry.conference, dial_out.requested_by.as_ref());
        let places = self.redirections(status, headers, from, payer);
        let Some(dial_out) = self.legs.get_mut(&leg).and_then(Leg::dial_out) else { return };
        let Some(next) = dial_out.diversions.choose(places) else { return };
        dial_out.destination = Some(next);
        dial_out.alerting = false;
        self.offers.remove(&offer);
        self.call(call::Input::Cancel { offer, reason: vec![COMPLETED_ELSEWHERE.to_owned()] });
        self.dial(leg);
    }

    /// No trunk has credentials yet; the challenged request fails with 401.
    pub(crate) fn on_challenged(&mut self, challenge: sip_api::ClientTransactionId) {
        self.call(call::Input::Authorize { challenge, headers: Vec::new() });
    }
}
