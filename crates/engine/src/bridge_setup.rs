//! From one person's INVITE to another's devices: ringing, the first answer, and every way it comes to nothing.

use base::{CallId, LegId, Termination, TerminationReason};
use call::{Body, Dial, Invitation, RingMode};
use routing::RefusedTarget;
use sip_api::{Headers, NameAddr, Request, SipUri};

use crate::Engine;
use crate::bridge::{Bridge, Exchange, Party, Ringing, Side};
use crate::destination::{Destination, Found, Ring};
use crate::dial_out::COMPLETED_ELSEWHERE;
use crate::diversion::Diversions;

/// How long a person's devices may ring; less than the caller's own INVITE may stay unanswered (Timer C).
const RING_LIMIT: base::Duration = base::Duration::from_secs(120);

/// Hops of a request that does not count them (RFC 3261 8.1.1.6).
const HOPS: u8 = 70;

/// Headers of the caller that his callee is shown. Those that make phones act (`Alert-Info`, `Answer-Mode`) are not
/// among them: a stranger must not switch a microphone on.
const PASSED_ON: [&str; 3] = ["Subject", "Priority", "Privacy"];

impl Engine {
    /// An INVITE that is for no conference: a call to a person, by a user who has proven who he is.
    pub(crate) fn call_person(&mut self, leg: LegId, call: Box<Invitation>) {
        if call.user.is_none() {
            let claims_to_be_ours = self.config.is_own_host(&call.from.uri.host);
            return if claims_to_be_ours { self.challenge(leg) } else { self.reject(leg, 403) };
        }
        if self.draining {
            return self.refuse_for_want_of_room(leg);
        }
        let Some(hops) = hops_left(&call.request) else { return self.reject(leg, 483) };
        match self.find(call.user.as_ref(), &self.dialled(&call.request.uri)) {
            Found::Person(destination) => self.bridge(leg, *call, hops, destination),
            Found::Conference(number) => match self.directory.conference_of_number(&number).cloned() {
                Some(conference) => self.join_media(leg, conference, call),
                None => self.reject(leg, 404),
            },
            // A conference URI that leads here names a conference that does not exist.
            Found::Nobody(RefusedTarget::Service) => self.reject(leg, 404),
            Found::Nobody(why) => self.reject(leg, why.status()),
        }
    }

    fn bridge(&mut self, leg: LegId, call: Invitation, hops: u8, destination: Destination) {
        let Invitation { request, from, to, body, user, .. } = call;
        let Some(user) = user else { return };
        let Some(callers_media) = body else {
            // The offer would have to be the callee's, and his 200 be acknowledged before the caller has answered it.
            let warning = format!("399 {} \"An offer is needed\"", self.config.domain);
            let headers = vec![("Warning".to_owned(), warning)];
            return self.call(call::Input::Reject { leg, status: 488, headers, body: None });
        };
        let account = self.directory.user(&user).and_then(|account| account.display_name.clone());
        let mut headers = vec![("Max-Forwards".to_owned(), hops.to_string())];
        for name in PASSED_ON {
            headers.extend(request.headers.get(name).map(|value| (name.to_owned(), value.to_owned())));
        }
        let call = self.bridges.insert(Bridge {
            caller: Party { leg, user, display_name: from.display_name.or(account), to, headers },
            diversions: Diversions::starting_at(Some(&destination)),
            destination,
            ringing: None,
            told: None,
            previewed: None,
            answered: None,
            since: self.now,
            exchange: Exchange::Idle,
            callers_media,
            callees_media: None,
            infos_to_caller: Default::default(),
            infos_to_callee: Default::default(),
        });
        self.ring_person(call);
    }

    /// Rings every device, or the next trunk.
    fn ring_person(&mut self, call: CallId) {
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        match bridge.destination.next_ring(&self.directory) {
            Some(ring) => self.ring_targets(call, ring),
            None => self.refuse_caller(call, 480),
        }
    }

    fn ring_targets(&mut self, call: CallId, ring: Ring) {
        let (offer, silence_limit, by_trunk) = (self.calls.allocate_offer(), ring.silence_limit(), ring.by_trunk);
        let legs: Vec<_> = ring.targets.into_iter().map(|target| (self.calls.allocate_leg(), target)).collect();
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let to = bridge.caller.to.clone();
        let headers = bridge.caller.headers.clone();
        let body = bridge.callers_media.clone();
        let (user, display_name) = (bridge.caller.user.clone(), bridge.caller.display_name.clone());
        let rung = legs.iter().map(|(leg, _)| *leg).collect();
        self.bridges.ring(call, Ringing { offer, legs: rung, rang: false });
        self.call(call::Input::Dial(Box::new(Dial {
            offer,
            legs,
            mode: RingMode::Parallel,
            from: NameAddr { display_name, uri: self.caller_uri(&user, by_trunk), params: Vec::new() },
            to,
            headers,
            body,
            ring_limit: RING_LIMIT,
            silence_limit,
            cancel_reason: Vec::new(),
            follow_redirects: 0,
            refuse_forwarding: false,
            answer_challenges: false,
        })));
    }

    /// The caller's address; towards the telephone network his number, or the operator's if he has none.
    fn caller_uri(&self, user: &base::UserUri, by_trunk: bool) -> SipUri {
        let own = self.directory.user(user).and_then(|account| account.number.as_ref());
        let number = own.or(self.config.caller_number.as_ref()).filter(|_| by_trunk);
        let user_part = number.map_or(user.user_part(), String::as_str);
        SipUri::sip(Some(user_part), &self.config.domain, None)
    }

    /// A device rings: the caller is told. Early media goes along only while it is clear whose it is: one device, one
    /// early dialog.
    pub(crate) fn on_bridge_ringing(
        &mut self,
        call: CallId,
        leg: LegId,
        status: u16,
        body: Option<Body>,
        early_dialogs: usize,
    ) {
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let Some(ringing) = &mut bridge.ringing else { return };
        ringing.rang = true;
        let unambiguous = ringing.legs.len() == 1 && early_dialogs == 1;
        let first = bridge.previewed.is_none_or(|previewed| previewed == leg);
        let preview = body.clone().filter(|_| unambiguous && first);
        if preview.is_some() {
            bridge.previewed = Some(leg);
        }
        // Without the media that 183 announces the caller must make the ringing tone himself.
        let status = if status == 183 && body.is_some() && preview.is_none() { 180 } else { status };
        let news = Some((status, preview.clone()));
        if bridge.told != news {
            bridge.told = news;
            let leg = bridge.caller.leg;
            self.call(call::Input::Progress { leg, status, body: preview, reliable: false });
        }
    }

    /// The first answer is the caller's.
    pub(crate) fn on_bridge_answered(&mut self, call: CallId, leg: LegId, body: Option<Body>) {
        self.bridges.stop_ringing(call);
        let now = self.now;
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let caller = bridge.caller.leg;
        let Some(body) = body else {
            self.hang_up_sip(leg, Termination::failed(TerminationReason::ProtocolError));
            return self.refuse_caller(call, 500);
        };
        bridge.answered = Some((leg, now));
        bridge.set_media(Side::Callee, body.clone());
        self.call(call::Input::Accept { leg: caller, body: Some(body), headers: Vec::new() });
    }

    /// Nobody answered: the next trunk if the failure allows it, else the caller is told why.
    pub(crate) fn on_bridge_offer_failed(&mut self, call: CallId, termination: Termination, status: Option<u16>) {
        let Some(ringing) = self.bridges.stop_ringing(call) else { return };
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        if bridge.destination.has_another_way(termination, status, ringing.rang) {
            return self.ring_person(call);
        }
        self.refuse_caller(call, status_for_caller(termination, status));
    }

    /// A device refused. If its user sends the call elsewhere, it goes on there at his expense and by his rights.
    pub(crate) fn divert_bridge(&mut self, call: CallId, leg: LegId, status: Option<u16>, headers: &Headers) {
        let Some(bridge) = self.bridges.get(call) else { return };
        let Some(ringing) = bridge.ringing.as_ref().filter(|ringing| ringing.legs.contains(&leg)) else { return };
        let offer = ringing.offer;
        let Destination::Devices(user) = &bridge.destination else { return };
        let places = self.redirections(status, headers, &bridge.destination, Some(user));
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let Some(next) = bridge.diversions.choose(places) else { return };
        bridge.destination = next;
        self.bridges.stop_ringing(call);
        self.call(call::Input::Cancel { offer, reason: vec![COMPLETED_ELSEWHERE.to_owned()] });
        self.ring_person(call);
    }

    /// The caller's INVITE is refused, and the call with it.
    fn refuse_caller(&mut self, call: CallId, status: u16) {
        if let Some(bridge) = self.bridges.remove(call) {
            self.reject(bridge.caller.leg, status);
        }
    }
}

/// `Max-Forwards` of the next hop; `None` when there may be none.
pub(crate) fn hops_left(request: &Request) -> Option<u8> {
    match request.headers.get("Max-Forwards") {
        Some(hops) => hops.parse::<u8>().ok()?.checked_sub(1),
        None => Some(HOPS),
    }
}

/// What the caller is told of a failure: the callee's own status, unless it is about our side of the call alone.
fn status_for_caller(termination: Termination, status: Option<u16>) -> u16 {
    match status {
        None if termination.reason == TerminationReason::LimitReached => 503,
        // Nobody answered, or the device is not there any more; nor is anybody where a redirection cannot be followed,
        // or where somebody else stopped the ringing.
        None | Some(300..=399 | 408 | 487) => 480,
        // It is we who lack credentials. A 503 would say that this server is overloaded (RFC 3261 16.7).
        Some(401 | 407 | 503) => 500,
        Some(status) => status,
    }
}
