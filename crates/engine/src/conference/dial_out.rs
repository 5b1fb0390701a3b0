//! From Focus to INVITE: the conference calls somebody.

use base::{LegId, OfferId, Termination, TerminationReason, UserUri};
use call::{Body, Dial, Target};
use mcu_api::Direction;
use routing::CallKind;
use sip_api::{Headers, NameAddr, SipUri};

use crate::Engine;
use crate::conference::leg::{Branch, DialOut, Leg, LegKind, MediaLeg, MediaOrigin};
use crate::destination::{Answerer, Destination, Found, Guide, Ring, RingTarget};
use crate::event::EngineEvent;
use crate::people::way::{Lost, Way, refusal_for_all};
use crate::translate::NOT_WANTED;

/// Hops a conference's call may go.
const HOPS: u8 = 70;

/// What a device is told whose user has taken the call elsewhere or declined it, so that it counts no missed call.
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
        let way = found.ok().map(|destination| Way::new(CallKind::ConferenceDialOut, None, destination, HOPS));
        let dial_out = DialOut {
            display_name,
            requested_by,
            way,
            offer: None,
            answered_by: None,
            trunk: None,
            ringing: Vec::new(),
            alerting: false,
        };
        let media = MediaLeg::new(MediaOrigin::Outgoing(Box::new(dial_out)));
        let mut entry = Leg::new(conference.clone(), target.clone(), LegKind::Media(Box::new(media)), self.now);
        entry.address = Some(target.to_string());
        entry.listed = Some(target);
        self.legs.insert(leg, entry);
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
        let guide = Guide { directory: &self.directory, config: &self.config };
        let Some(dial_out) = self.legs.get_mut(&leg).and_then(Leg::dial_out) else { return };
        let lost = Lost { status: 480, termination: Termination::failed(TerminationReason::NoAnswer) };
        let step = dial_out.way.as_mut().map_or(Err(lost), |way| way.next(&guide));
        self.take_dial_out_step(leg, step);
    }

    fn take_dial_out_step(&mut self, leg: LegId, step: Result<Ring, Lost>) {
        match step {
            Ok(ring) => self.ring_dial_out(leg, ring),
            Err(lost) => self.end_leg(leg, lost.termination),
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
        let (to, silence_limit) = (ring.to(dial_out.display_name.clone()), ring.silence_limit());
        let (mode, limit) = (ring.mode, ring.limit);
        let mut headers = dial_out.way.as_ref().map(|way| way.diversions.headers(&self.config)).unwrap_or_default();
        let (legs, branches) = self.branches_of(&conference, ring.targets);
        self.branches.extend(branches.iter().map(|branch| (branch.leg, leg)));
        self.offers.insert(offer, leg);
        if let Some(dial_out) = self.legs.get_mut(&leg).and_then(Leg::dial_out) {
            dial_out.offer = Some(offer);
            dial_out.ringing = branches;
            self.groups.note_outside(dial_out.people());
        }
        headers.extend(self.dial_out_headers(&conference, requested_by.as_ref()));
        self.call(call::Input::Dial(Box::new(Dial {
            mode,
            headers,
            ring_limit: limit.unwrap_or(self.config.limits.dial_out_ring),
            silence_limit,
            cancel_reason: vec![NOT_WANTED.to_owned()],
            ..Dial::new(offer, legs, self.caller_id(&conference, false), to, Body::new("application/sdp", description))
        })));
    }

    /// A SIP leg for each target. A trunk is shown a telephone number as the caller.
    fn branches_of(
        &mut self,
        conference: &base::ConferenceId,
        targets: Vec<RingTarget>,
    ) -> (Vec<(LegId, Target)>, Vec<Branch>) {
        let by_trunk = self.caller_id(conference, true).to_string();
        let mut legs = Vec::new();
        let mut branches = Vec::new();
        for RingTarget { mut target, who, trunk } in targets {
            if trunk.is_some() {
                target.headers.push(("From".to_owned(), by_trunk.clone()));
            }
            let leg = self.calls.allocate_leg();
            branches.push(Branch { leg, who, trunk });
            legs.push((leg, target));
        }
        (legs, branches)
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
        entry.call_id = self.calls.dialog_names(branch).map(|names| names.call_id);
        let over = entry.ended.is_some();
        if let Some(dial_out) = entry.media().and_then(|media| media.dial_out()) {
            self.groups.note_outside(dial_out.people());
            dial_out.offer = None;
            let rung = dial_out.ringing.iter().find(|rung| rung.leg == branch);
            dial_out.answered_by = rung.and_then(Branch::answered_by);
            dial_out.trunk = rung.and_then(|rung| rung.trunk.clone());
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

    /// Nobody answered: try the next trunk, or wherever the callee's settings send the call; else tell the Focus.
    pub(crate) fn on_offer_failed(&mut self, offer: OfferId, termination: Termination, status: Option<u16>) {
        let Some(leg) = self.offers.remove(&offer) else { return };
        let guide = Guide { directory: &self.directory, config: &self.config };
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let over = entry.ended.is_some();
        let Some(dial_out) = entry.media().and_then(|media| media.dial_out()) else { return };
        self.groups.note_outside(dial_out.people());
        dial_out.offer = None;
        let rang = std::mem::take(&mut dial_out.alerting);
        let step = dial_out.way.as_mut().filter(|_| !over).map(|way| way.after(&guide, termination, status, rang));
        match step {
            Some(Ok(ring)) => self.ring_dial_out(leg, ring),
            Some(Err(_)) | None => self.leg_over(leg, termination),
        }
    }

    /// A device refused. If it sends the call elsewhere, whoever else rings is left alone and the call goes on there,
    /// by the rights of who asked for it; in the roster it stays the same endpoint. If it refused for all, nobody rings on.
    pub(crate) fn on_dial_out_refused(
        &mut self,
        branch: LegId,
        termination: Termination,
        status: Option<u16>,
        headers: &Headers,
    ) {
        let Some(&leg) = self.branches.get(&branch) else { return };
        let Some(entry) = self.legs.get(&leg) else { return };
        let LegKind::Media(media) = &entry.kind else { return };
        let MediaOrigin::Outgoing(dial_out) = &media.origin else { return };
        let Some(offer) = dial_out.offer else { return };
        let is_callees = |rung: &Branch| rung.leg == branch && rung.who == Answerer::Callee;
        if !dial_out.ringing.iter().any(is_callees) {
            return;
        }
        let payer = self.payer(&entry.conference, dial_out.requested_by.as_ref()).cloned();
        let guide = Guide { directory: &self.directory, config: &self.config };
        let Some(dial_out) = self.legs.get_mut(&leg).and_then(Leg::dial_out) else { return };
        self.groups.note_outside(dial_out.people());
        let Some(way) = &mut dial_out.way else { return };
        let (step, reason) = if way.deflect(&guide, status, headers, payer.as_ref()) {
            (way.next(&guide), COMPLETED_ELSEWHERE.to_owned())
        } else if let Some(reason) = refusal_for_all(status) {
            (way.after(&guide, termination, status, dial_out.alerting), reason)
        } else {
            return;
        };
        (dial_out.alerting, dial_out.offer) = (false, None);
        self.offers.remove(&offer);
        self.call(call::Input::Cancel { offer, reason: vec![reason] });
        self.take_dial_out_step(leg, step);
    }

    /// Somebody we call wants to know who we are, and we cannot tell him: the operator should know.
    pub(crate) fn on_unauthorized(&mut self, uri: &SipUri, why: call::Unanswered) {
        let trunk = self.directory.trunk_at(uri).map(|trunk| trunk.name.clone());
        self.event(EngineEvent::Unauthorized { trunk, host: uri.host.clone(), why });
    }
}
