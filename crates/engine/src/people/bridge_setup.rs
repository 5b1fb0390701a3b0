//! From one person's INVITE to another's devices: ringing, the first answer, and every way it comes to nothing.

use base::{CallId, LegId, Termination, TerminationReason, UserUri};
use call::{Body, Dial, Invitation};
use routing::{CallKind, RefusedTarget};
use sip_api::{Headers, NameAddr, Request, SipUri};

use crate::Engine;
use crate::conference::dial_out::COMPLETED_ELSEWHERE;
use crate::control::multipart::fallback_of;
use crate::destination::{Answerer, Destination, Found, Guide, Ring, RingTarget};
use crate::people::bridge::{Bridge, Party, Ringing, Rung, Side};
use crate::people::way::{Lost, Way, refusal_for_all};

/// How long a person's devices may ring; less than the caller's own INVITE may stay unanswered (Timer C).
const RING_LIMIT: base::Duration = base::Duration::from_secs(120);

/// Hops of a request that does not count them (RFC 3261 8.1.1.6).
const HOPS: u8 = 70;

/// Headers of the caller that his callee is shown. Those that make phones act (`Alert-Info`, `Answer-Mode`) are not
/// among them: a stranger must not switch a microphone on.
const PASSED_ON: [&str; 3] = ["Subject", "Priority", "Privacy"];

impl Engine {
    /// An INVITE that is for no conference: a call to a person, by a user who has proven who he is or by a trusted trunk.
    pub(crate) fn call_person(&mut self, leg: LegId, call: Box<Invitation>) {
        let Some(caller) = self.caller_of(&call) else {
            let claims_to_be_ours = self.config.is_own_host(&call.from.uri.host);
            return if claims_to_be_ours { self.challenge(leg) } else { self.reject(leg, 403) };
        };
        if self.draining {
            return self.refuse_for_want_of_room(leg);
        }
        let Some(hops) = hops_left(&call.request) else { return self.reject(leg, 483) };
        match self.find(call.user.as_ref(), &self.dialled(&call.request.uri)) {
            Found::Person(destination) => self.bridge(leg, *call, caller, hops, destination),
            Found::Conference(number) => match self.directory.conference_of_number(&number).cloned() {
                Some(conference) => self.join_media(leg, conference, call),
                None => self.reject(leg, 404),
            },
            // A conference URI that leads here names a conference that does not exist.
            Found::Nobody(RefusedTarget::Service) => self.reject(leg, 404),
            Found::Nobody(why) => self.reject(leg, why.status()),
        }
    }

    fn bridge(&mut self, leg: LegId, call: Invitation, caller: Caller, hops: u8, destination: Destination) {
        let trunk = self.trunk_of(&call);
        let Invitation { request, from, to, body: callers_media, reliable_provisional, .. } = call;
        let account = self.directory.user(&caller.user).and_then(|account| account.display_name.clone());
        let passed_on = |name: &str| request.headers.get(name).map(|value| (name.to_owned(), value.to_owned()));
        let headers = PASSED_ON.iter().filter_map(|name| passed_on(name)).collect();
        let mut way = Way::new(CallKind::Direct, Some(caller.user.clone()), destination, hops);
        if caller.is_trusted {
            way.trust(&request.headers, &self.guide());
        }
        let display_name = from.display_name.or(account);
        let call_id = Some(request.call_id().to_owned());
        let caller = Party { leg, call_id, user: caller.user, display_name, trunk, to, headers };
        let reliable = reliable_provisional && callers_media.is_some();
        let call = CallId(leg.0);
        let address = Some(self.guide().address(&request.uri));
        let bridge = Bridge { reliable, address, ..Bridge::new(caller, way, callers_media, self.now) };
        self.bridges.insert(call, bridge);
        self.bridges.claim(leg, call);
        self.ring_person(call);
    }

    /// Rings whoever the call comes to first.
    pub(crate) fn ring_person(&mut self, call: CallId) {
        let guide = Guide { directory: &self.directory, config: &self.config };
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let step = bridge.way.next(&guide);
        self.take_step(call, step);
    }

    fn take_step(&mut self, call: CallId, step: Result<Ring, Lost>) {
        match step {
            Ok(ring) => self.ring_targets(call, ring),
            Err(lost) => self.refuse_caller(call, lost),
        }
    }

    fn ring_targets(&mut self, call: CallId, ring: Ring) {
        self.tell_of_diversion(call);
        let (offer, silence_limit) = (self.calls.allocate_offer(), ring.silence_limit());
        let Some(bridge) = self.bridges.get(call) else { return };
        let (user, display_name) = (bridge.caller.user.clone(), bridge.caller.display_name.clone());
        let from = |by_trunk| {
            let uri = self.caller_uri(&user, by_trunk);
            NameAddr { display_name: display_name.clone(), uri, params: Vec::new() }
        };
        let (here, by_trunk) = (from(false), from(true));
        let mut headers = bridge.way.diversions.headers(&self.config);
        headers.extend(bridge.caller.headers.iter().cloned());
        let (to, body) = (bridge.caller.to.clone(), bridge.callers_media.clone());
        let mut legs = Vec::new();
        let mut rung = Vec::new();
        for RingTarget { mut target, who, trunk } in ring.targets {
            if trunk.is_some() {
                target.headers.push(("From".to_owned(), by_trunk.to_string()));
            }
            let leg = self.calls.allocate_leg();
            let person = who.person(&bridge.way.destination);
            rung.push(Rung { leg, who, person, trunk });
            legs.push((leg, target));
        }
        self.bridges.ring(call, Ringing { offer, legs: rung, rang: false });
        self.call(call::Input::Dial(Box::new(Dial {
            mode: ring.mode,
            fallback: body.as_ref().and_then(fallback_of),
            headers,
            ring_limit: ring.limit.unwrap_or(RING_LIMIT),
            silence_limit,
            ..Dial::new(offer, legs, here, to, body)
        })));
    }

    /// The caller is told that his call goes elsewhere, once for each time it does.
    fn tell_of_diversion(&mut self, call: CallId) {
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let count = bridge.way.diversions.count();
        if count > bridge.diversions_told {
            bridge.diversions_told = count;
            bridge.told = None;
            self.tell_caller(call, 181, None);
        }
    }

    /// How the ringing fares, for whoever waits for it: the caller, or who has transferred him.
    fn tell_caller(&mut self, call: CallId, status: u16, body: Option<Body>) {
        let Some(bridge) = self.bridges.get(call) else { return };
        let (leg, reliable) = (bridge.caller.leg, body.is_some());
        match bridge.referred {
            Some(transfer) => self.call(call::Input::ReferProgress { refer: transfer.refer, status }),
            None => self.call(call::Input::Progress { leg, status, body, reliable }),
        }
    }

    /// The caller's address; towards the telephone network his number, or the operator's if he has none.
    pub(crate) fn caller_uri(&self, user: &UserUri, by_trunk: bool) -> SipUri {
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
        let unambiguous = ringing.legs.len() == 1 && early_dialogs == 1 && bridge.callers_media.is_some();
        // What was sent reliably is the answer, and there is but one.
        let first = bridge.previewed.as_ref().is_none_or(|(previewed, _)| *previewed == leg && !bridge.reliable);
        let preview = body.clone().filter(|_| unambiguous && first);
        if let Some(preview) = &preview {
            bridge.previewed = Some((leg, preview.clone()));
        }
        // Without the media that 183 announces the caller must make the ringing tone himself.
        let status = if status == 183 && body.is_some() && preview.is_none() { 180 } else { status };
        let news = Some((status, preview.clone()));
        if bridge.told != news {
            bridge.told = news;
            self.tell_caller(call, status, preview);
        }
    }

    /// The first answer is the caller's.
    pub(crate) fn on_bridge_answered(&mut self, call: CallId, leg: LegId, body: Option<Body>) {
        let ringing = self.bridges.stop_ringing(call);
        let (now, call_id) = (self.now, self.calls.dialog_names(leg).map(|names| names.call_id));
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let caller = bridge.caller.leg;
        // What is no session description (an invitation to a conference, say) wants none in return (C69).
        let is_session = bridge.callers_media.as_ref().is_none_or(Body::describes_session);
        if is_session && !body.as_ref().is_some_and(Body::describes_session) {
            let termination = Termination::failed(TerminationReason::ProtocolError);
            self.hang_up_sip(leg, termination);
            // The fault is neither the caller's nor ours (RFC 3261 21.5.3).
            return self.refuse_caller(call, Lost { status: 502, termination });
        }
        let rung = ringing.as_ref().and_then(|ringing| ringing.rung(leg));
        bridge.callee = rung.map_or_else(|| bridge.way.destination.person(), |rung| rung.person.clone());
        bridge.trunk = rung.and_then(|rung| rung.trunk.clone());
        bridge.call_id = call_id;
        bridge.answered = Some((leg, now));
        bridge.callees_media.clone_from(&body);
        if bridge.referred.is_some() {
            return self.join_when_idle(call);
        }
        // The answer that went out reliably stands; another one is an offer of its own, once the caller is connected.
        let given = bridge.previewed.take().filter(|_| bridge.reliable).map(|(_, given)| given);
        let changed = given.is_some() && given != body;
        self.call(call::Input::Accept { leg: caller, body: given.or(body), headers: Vec::new() });
        if changed {
            self.tell_media(call, Side::Caller);
        }
        self.tell_the_others(call);
    }

    /// The caller acknowledged the answer. To an INVITE without an offer that was the callee's offer, and this is the
    /// answer, for which the callee's ACK waits.
    pub(crate) fn on_bridge_confirmed(&mut self, call: CallId, leg: LegId, body: Option<Body>) {
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let Some(callee) = bridge.leg(Side::Callee).filter(|_| bridge.callers_media.is_none()) else { return };
        match body {
            Some(body) => {
                bridge.set_media(Side::Caller, body.clone());
                self.call(call::Input::AnswerOffer { leg: callee, body: Some(body) });
            }
            None => self.hang_up_sip(leg, Termination::failed(TerminationReason::ProtocolError)),
        }
    }

    /// Nobody answered: the next trunk, or wherever the callee's settings send the call; else the caller is told why.
    pub(crate) fn on_bridge_offer_failed(&mut self, call: CallId, termination: Termination, status: Option<u16>) {
        let Some(ringing) = self.bridges.stop_ringing(call) else { return };
        let guide = Guide { directory: &self.directory, config: &self.config };
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let step = bridge.way.after(&guide, termination, status, ringing.rang);
        self.take_step(call, step);
    }

    /// A device of the callee refused. If it sends the call elsewhere, the call goes on there at its user's expense and
    /// by his rights; if it refused for all, it is refused for everybody who rings for him.
    pub(crate) fn on_bridge_leg_refused(
        &mut self,
        call: CallId,
        leg: LegId,
        termination: Termination,
        status: Option<u16>,
        headers: &Headers,
    ) {
        let guide = Guide { directory: &self.directory, config: &self.config };
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let Some(ringing) = &bridge.ringing else { return };
        if ringing.rung(leg).map(|rung| &rung.who) != Some(&Answerer::Callee) {
            return;
        }
        let (offer, rang) = (ringing.offer, ringing.rang);
        let (step, reason) = if bridge.way.deflect(&guide, status, headers, None) {
            (bridge.way.next(&guide), COMPLETED_ELSEWHERE.to_owned())
        } else if let Some(reason) = refusal_for_all(status) {
            (bridge.way.after(&guide, termination, status, rang), reason)
        } else {
            return;
        };
        self.bridges.stop_ringing(call);
        self.call(call::Input::Cancel { offer, reason: vec![reason] });
        self.take_step(call, step);
    }

    /// The caller's INVITE is refused, and the call with it.
    fn refuse_caller(&mut self, call: CallId, lost: Lost) {
        if self.bridges.get(call).is_some_and(|bridge| bridge.referred.is_some()) {
            return self.fail_transfer(call, lost.status, None);
        }
        let Some(bridge) = self.bridges.remove(call) else { return };
        let leg = bridge.caller.leg;
        self.write_histories(call, &bridge, lost.termination);
        let headers = match lost.status {
            482 | 483 => {
                let warning = format!("399 {} \"The call was forwarded in a circle\"", self.config.domain);
                vec![("Warning".to_owned(), warning)]
            }
            _ => Vec::new(),
        };
        self.call(call::Input::Reject { leg, status: lost.status, headers, body: None });
    }

    /// Who calls, as far as it is proven: a user of ours, or whoever a trusted trunk says (RFC 3325).
    fn caller_of(&self, call: &Invitation) -> Option<Caller> {
        if let Some(user) = &call.user {
            return Some(Caller { user: user.clone(), is_trusted: false });
        }
        Some(Caller { user: person_of(&self.told_by_trunk(call)?.uri)?, is_trusted: true })
    }

    /// The name of the trusted trunk a call came by, if it did.
    pub(crate) fn trunk_of(&self, call: &Invitation) -> Option<String> {
        let address = call.flow.remote;
        let is_by_trunk = call.user.is_none() && self.config.trusted_peers.contains(&address.ip());
        is_by_trunk.then(|| self.directory.trunk_from(address).map(str::to_owned)).flatten()
    }

    /// Who calls, if a trusted trunk says so: by `P-Asserted-Identity`, or else by `From` (RFC 3325).
    pub(crate) fn told_by_trunk(&self, call: &Invitation) -> Option<NameAddr> {
        let address = call.flow.remote.ip();
        if call.user.is_some() || !self.config.trusted_peers.contains(&address) {
            return None;
        }
        let asserted = call.request.headers.name_addrs("P-Asserted-Identity").unwrap_or_default();
        Some(asserted.into_iter().next().unwrap_or_else(|| call.from.clone()))
    }
}

/// Who calls.
struct Caller {
    user: UserUri,
    /// What his INVITE says of the call's way is believed.
    is_trusted: bool,
}

/// A caller as histories and records name him: a telephone number as `tel:`; `None` when he has no name that can be kept.
pub(crate) fn person_of(uri: &SipUri) -> Option<UserUri> {
    match uri.user.as_deref().filter(|user| user.starts_with('+')) {
        Some(number) => UserUri::parse(&format!("tel:{number}")).ok(),
        None => UserUri::parse(&uri.to_string()).ok().map(|user| user.address_of_record()),
    }
}

/// `Max-Forwards` of the next hop; `None` when there may be none.
pub(crate) fn hops_left(request: &Request) -> Option<u8> {
    match request.headers.get("Max-Forwards") {
        Some(hops) => hops.parse::<u8>().ok()?.checked_sub(1),
        None => Some(HOPS),
    }
}
