//! From Focus to INVITE: the conference calls somebody.

use base::{LegId, OfferId, Termination, TerminationReason, UserUri};
use call::{Body, Dial, RingMode, Target};
use mcu_api::Direction;
use routing::{AttemptOutcome, Failover, TrunkChoice, TrunkTransport, Verdict};
use sip_api::{NameAddr, SipUri};

use crate::Engine;
use crate::leg::{Destination, DialOut, Leg, LegKind, MediaLeg, MediaOrigin};

/// What a losing or given-up device is told, so that it counts no missed call (routing.md 2.4).
const COMPLETED_ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

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
        let destination = self.destination(&target, requested_by.as_ref());
        let peer = target.clone();
        let reachable = destination.is_ok();
        let dial_out = DialOut {
            target,
            display_name,
            requested_by,
            destination: destination.unwrap_or(Destination::External),
            offer: None,
            alerting: false,
        };
        let media = MediaLeg::new(MediaOrigin::Outgoing(dial_out));
        self.legs.insert(leg, Leg::new(conference.clone(), peer, LegKind::Media(Box::new(media)), self.now));
        if reachable {
            self.reserve(leg);
        } else {
            self.end_leg(leg, Termination::failed(TerminationReason::InvalidTarget));
        }
    }

    fn destination(&self, target: &UserUri, requested_by: Option<&UserUri>) -> Result<Destination, ()> {
        match self.directory.route(requested_by, target.as_str()).verdict {
            Verdict::LocalUser(user) => Ok(Destination::Devices(user)),
            Verdict::Trunk { number, trunks, .. } => Ok(Destination::Trunks { number, left: trunks }),
            Verdict::External(_) => Ok(Destination::External),
            Verdict::Conference(_) | Verdict::Refused(_) => Err(()),
        }
    }

    /// Ports are there: send the INVITEs.
    pub(crate) fn dial(&mut self, leg: LegId) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let Some(media) = entry.media() else { return };
        let Some(local) = media.local.clone() else { return };
        let Some(dial_out) = media.dial_out() else { return };
        let trunk = match &mut dial_out.destination {
            Destination::Trunks { left, .. } if left.is_empty() => None,
            Destination::Trunks { left, .. } => Some(left.remove(0)),
            Destination::Devices(_) | Destination::External => None,
        };
        let targets = self.targets(leg, trunk.as_ref());
        if targets.is_empty() {
            return self.end_leg(leg, Termination::failed(TerminationReason::NoAnswer));
        }
        let (description, pending) = sdp::offer(&local, Direction::SendRecv, None);
        let offer = self.calls.allocate_offer();
        let legs: Vec<(LegId, Target)> =
            targets.into_iter().map(|target| (self.calls.allocate_leg(), target)).collect();
        for (branch, _) in &legs {
            self.branches.insert(*branch, leg);
        }
        self.offers.insert(offer, leg);
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        let conference = entry.conference.clone();
        let Some(media) = entry.media() else { return };
        media.pending = Some(pending);
        let Some(dial_out) = media.dial_out() else { return };
        dial_out.offer = Some(offer);
        let to = NameAddr {
            display_name: dial_out.display_name.clone(),
            uri: legs.first().map_or_else(|| SipUri::sip(None, "invalid", None), |(_, first)| first.uri.clone()),
            params: Vec::new(),
        };
        let requested_by = dial_out.requested_by.clone();
        let dial = Dial {
            offer,
            legs,
            mode: RingMode::Parallel,
            from: self.caller_id(&conference, trunk.is_some()),
            to,
            headers: self.dial_out_headers(&conference, requested_by.as_ref()),
            body: Body::new("application/sdp", description),
            ring_limit: self.config.limits.dial_out_ring,
            silence_limit: trunk.is_some().then_some(TRUNK_SILENCE_LIMIT),
            cancel_reason: vec![COMPLETED_ELSEWHERE.to_owned()],
            follow_redirects: u8::from(trunk.is_none()),
            refuse_forwarding: false,
            answer_challenges: false,
        };
        self.call(call::Input::Dial(Box::new(dial)));
    }

    fn targets(&self, leg: LegId, trunk: Option<&TrunkChoice>) -> Vec<Target> {
        let Some(LegKind::Media(media)) = self.legs.get(&leg).map(|leg| &leg.kind) else { return Vec::new() };
        let MediaOrigin::Outgoing(dial_out) = &media.origin else { return Vec::new() };
        match (&dial_out.destination, trunk) {
            (Destination::Devices(user), _) => self
                .directory
                .bindings(user)
                .iter()
                .map(|binding| Target {
                    uri: binding.contact.clone(),
                    flow: Some(binding.flow),
                    route: binding.path.clone(),
                    headers: Vec::new(),
                })
                .collect(),
            (Destination::Trunks { number, .. }, Some(trunk)) => vec![Target::new(trunk_uri(number, trunk))],
            (Destination::Trunks { .. }, None) => Vec::new(),
            (Destination::External, _) => {
                SipUri::parse(dial_out.target.as_str()).map(Target::new).into_iter().collect()
            }
        }
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
        let outcome = match (status, termination.reason) {
            (Some(status), _) => AttemptOutcome::Response { status },
            (None, TerminationReason::TransportFailed) => AttemptOutcome::TransportFailed,
            (None, _) => AttemptOutcome::Timeout,
        };
        let trunks_left = matches!(&dial_out.destination, Destination::Trunks { left, .. } if !left.is_empty());
        if !over && trunks_left && routing::failover(outcome, dial_out.alerting) == Failover::TryNext {
            return self.dial(leg);
        }
        self.leg_over(leg, termination);
    }

    /// No trunk has credentials yet; the challenged request fails with 401.
    pub(crate) fn on_challenged(&mut self, challenge: sip_api::ClientTransactionId) {
        self.call(call::Input::Authorize { challenge, headers: Vec::new() });
    }
}

/// How long a trunk may say nothing at all before the next one is tried (routing.md 5.3).
const TRUNK_SILENCE_LIMIT: base::Duration = base::Duration::from_secs(5);

fn trunk_uri(number: &base::Pii, trunk: &TrunkChoice) -> SipUri {
    let mut uri = SipUri::sip(Some(number.expose()), &trunk.target.host, Some(trunk.target.port));
    let transport = match trunk.target.transport {
        TrunkTransport::Udp => "udp",
        TrunkTransport::Tcp => "tcp",
        TrunkTransport::Tls => "tls",
    };
    uri.set_param("transport", Some(transport));
    uri.set_param("user", Some("phone"));
    uri
}
