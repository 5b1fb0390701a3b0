//! An offer on the wire: one INVITE for each device of one agent, and what becomes of it (routing.md 2.2 to 2.4).

use base::{Duration, LegId, OfferId, Termination, TerminationReason, Timestamp, UserUri};
use call::{Body, Dial, Target};
use rand::RngCore;
use response_group::{DialogNo, Input, OfferNo, OfferOrder, Refusal};
use routing::{CallKind, RingPlan};
use sip_api::{Headers, NameAddr};

use super::headers::{is_diverted, offer_from, offer_headers};
use super::media::GroupMedia;
use super::restart::is_lost;
use super::silenced::Silenced;
use super::{Purpose, Role, WireRecord};
use crate::Engine;
use crate::conference::dial_out::COMPLETED_ELSEWHERE;
use crate::destination::{Destination, Found, devices};

/// What a phone says to a description none of whose audio it takes (RFC 3261 21.4.26).
const NOT_ACCEPTABLE_HERE: u16 = 488;

/// The one dialog of an offer that can win: the call machine acknowledges and ends every further answer itself.
pub(super) const WINNER: DialogNo = DialogNo(0);

/// An offer as it stands on the wire.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) order: OfferOrder,
    /// Where the agent will sit in the caller's conference.
    pub(super) seat: Option<LegId>,
    pub(super) media: GroupMedia,
    /// The dial that is running.
    pub(super) dial: Option<OfferId>,
    /// Legs whose INVITE is not over.
    pub(super) open: Vec<LegId>,
    /// Who answered.
    pub(super) answered: Option<LegId>,
    /// The machine does not want it any more.
    pub(super) withdrawn: bool,
    /// How its devices refused it so far.
    pub(super) refusal: Option<Refusal>,
    /// A device has had a last word, whichever it was.
    pub(super) spoke: bool,
    /// A device answered when the offer was withdrawn already.
    pub(super) late: bool,
    /// When its INVITEs left; `None` for those of an earlier process, which may have rung whatever is heard of them now.
    pub(super) sent: Option<Timestamp>,
    /// Trunks that are left, for an agent on the telephone network.
    destination: Option<Destination>,
    /// How long each of them may say nothing, where there are several.
    trunk_patience: Option<Duration>,
    rang: bool,
    /// His phone takes nothing but encrypted audio.
    encrypted: bool,
}

impl Offer {
    pub(super) fn new(order: OfferOrder) -> Self {
        Self {
            order,
            seat: None,
            media: GroupMedia::default(),
            dial: None,
            open: Vec::new(),
            answered: None,
            withdrawn: false,
            refusal: None,
            spoke: false,
            late: false,
            sent: None,
            destination: None,
            trunk_patience: None,
            rang: false,
            encrypted: false,
        }
    }
}

impl Engine {
    /// The machine wants an agent rung. His ports are there before his INVITE leaves, so that his first word is heard.
    pub(super) fn place_offer(&mut self, order: OfferOrder) {
        let (number, call, alone) = (order.offer, order.call, self.may_be_asked(&order));
        let Some(shared) = self.groups.callers.get(&call).map(|caller| caller.seat) else {
            return self.tell_groups(Input::OfferRefused { offer: number, refusal: Refusal::Unreachable });
        };
        self.groups.offers.insert(number, Offer::new(order));
        match shared.filter(|_| !alone) {
            Some(seat) => {
                self.seat_offer(number, seat);
                self.share_seat(seat, Purpose::Offer(number));
            }
            None => {
                let Some(seat) = self.take_seat(call, Purpose::Offer(number)) else {
                    return self.close_offer(number, Refusal::Unreachable);
                };
                self.seat_offer(number, seat);
                if let Some(caller) = self.groups.callers.get_mut(&call).filter(|_| !alone) {
                    caller.seat = Some(seat);
                }
            }
        }
    }

    fn seat_offer(&mut self, number: OfferNo, seat: LegId) {
        if let Some(offer) = self.groups.offers.get_mut(&number) {
            offer.seat = Some(seat);
        }
    }

    /// Whether he may have to press a key first. Then he sits alone for a while, and cannot share a seat.
    fn may_be_asked(&self, order: &OfferOrder) -> bool {
        let groups = self.groups.domain.iter().flat_map(|domain| &domain.config().groups);
        let group = groups.into_iter().find(|group| group.uri == order.group);
        let always = |group: &response_group::AgentGroup| group.confirm == response_group::Confirm::Always;
        order.pstn || group.is_some_and(|group| group.agent_groups.iter().any(always))
    }

    /// The ports are there: the INVITEs leave.
    pub(super) fn send_offer(&mut self, number: OfferNo) {
        let Some(offer) = self.groups.offers.get(&number) else { return };
        let (seat, order) = (offer.seat, offer.order.clone());
        if offer.withdrawn {
            return self.close_offer(number, Refusal::Cancelled);
        }
        let Some(media) = seat.and_then(|seat| self.seat_media(seat)) else {
            return self.close_offer(number, Refusal::Unreachable);
        };
        let targets = match order.pstn {
            true => self.trunk_targets(number),
            false => self.without_silenced(&order.agent, self.own_devices(&order.agent)),
        };
        if targets.is_empty() || !self.groups.callers.contains_key(&order.call) {
            return self.close_offer(number, Refusal::Unreachable);
        }
        let Some(offer) = self.groups.offers.get_mut(&number) else { return };
        offer.media = if offer.encrypted { media.encrypted() } else { media };
        let Some(body) = offer.media.offer() else { return };
        self.invite(number, &order, targets, body);
    }

    /// The agent's own registered devices. Of his settings only one counts: who wants nothing but his delegates to ring is
    /// not rung, and neither are they (rule R4).
    pub(super) fn own_devices(&self, agent: &UserUri) -> Vec<Target> {
        match routing::plan(self.directory.user_profile(agent), CallKind::ResponseGroupOffer) {
            RingPlan::Ring(_) => devices(&self.directory, agent),
            RingPlan::Refuse(_) | RingPlan::Divert(_) => Vec::new(),
        }
    }

    /// The next trunk to an agent on the telephone network, by the group's own right: the operator has named him. One that
    /// has not yet said anything to an INVITE for him is passed over.
    fn trunk_targets(&mut self, number: OfferNo) -> Vec<Target> {
        let Some(offer) = self.groups.offers.get_mut(&number) else { return Vec::new() };
        let (known, group, agent) = (offer.destination.take(), offer.order.group.clone(), offer.order.agent.clone());
        let ring = ring_limit(&offer.order);
        let mut patience = offer.trunk_patience;
        let destination = known.or_else(|| match self.find_for_group(&group, agent.as_str()) {
            Found::Person(destination) => {
                patience = destination.trunk_patience(ring);
                Some(destination)
            }
            Found::Conference(_) | Found::Nobody(_) => None,
        });
        let Some(mut destination) = destination else { return Vec::new() };
        let mut targets = Vec::new();
        for _ in 0..routing::TRUNK_ATTEMPTS_MAX {
            let ring = destination.next_ring(&self.directory).map(|ring| ring.targets).unwrap_or_default();
            targets = self.without_silenced(&agent, ring.into_iter().map(|place| place.target).collect());
            if !targets.is_empty() {
                break;
            }
        }
        if let Some(offer) = self.groups.offers.get_mut(&number) {
            offer.destination = Some(destination);
            offer.trunk_patience = patience;
        }
        targets
    }

    /// One INVITE for each device, each under a Call-ID of its own, which is in the journal before it leaves.
    fn invite(&mut self, number: OfferNo, order: &OfferOrder, targets: Vec<Target>, body: Body) {
        let Some(caller) = self.groups.callers.get(&order.call) else { return };
        // Towards the telephone network his number, or the operator's, as in any other call.
        let shown = order.pstn.then(|| self.caller_uri(&caller.person, true));
        let alert = self.group_conf(&order.group).and_then(|group| group.alert_info.as_deref());
        let (headers, from) = (offer_headers(order, caller, alert, &self.directory), offer_from(order, caller, shown));
        let from = from.with_tag(&self.new_tag());
        let to = NameAddr::parse(&format!("<{}>", order.agent)).unwrap_or_else(|_| from.clone());
        let dial = self.calls.allocate_offer();
        let (legs, invites) = self.name_invites(targets, Role::Device(number), &from, &to);
        self.groups.unheard.extend(invites.iter().map(|invite| (invite.call_id.clone(), number)));
        let mut silence_limit = None;
        if let Some(offer) = self.groups.offers.get_mut(&number) {
            offer.sent = Some(self.now);
            offer.dial = Some(dial);
            offer.open = legs.iter().map(|(leg, _)| *leg).collect();
            silence_limit = offer.trunk_patience;
        }
        if silence_limit.is_some() {
            // Here it is seen to that no trunk is silent for long. The machine, which would give up the agent with the
            // first one that is, has only to know that he is being reached.
            self.tell_groups(Input::OfferProgressed { offer: number, ringing: false });
        }
        self.groups.dials.insert(dial, Purpose::Offer(number));
        self.record(WireRecord::Invited { offer: number, invites });
        self.call(call::Input::Dial(Box::new(Dial {
            headers,
            ring_limit: ring_limit(order),
            silence_limit,
            cancel_reason: vec![COMPLETED_ELSEWHERE.to_owned()],
            ..Dial::new(dial, legs, from, to, body)
        })));
    }

    pub(super) fn new_tag(&mut self) -> String {
        format!("{:016x}", self.random.next_u64())
    }

    pub(super) fn new_call_id(&mut self) -> String {
        format!("{:016x}{:016x}@{}", self.random.next_u64(), self.random.next_u64(), self.config.domain)
    }

    /// Files a dial of an earlier process that is about to be cancelled.
    pub(super) fn file_repeated(&mut self, number: OfferNo, dial: OfferId, legs: Vec<LegId>) {
        let Some(offer) = self.groups.offers.get_mut(&number) else { return };
        offer.dial = Some(dial);
        offer.open = legs;
        self.groups.dials.insert(dial, Purpose::Offer(number));
    }

    /// A phone rings, or a server on the way says that it diverts. Early media of agents is never relayed (B20).
    pub(super) fn on_dial_ringing(&mut self, dial: OfferId, status: u16) {
        let number = match self.groups.dials.get(&dial).copied() {
            Some(Purpose::Offer(number)) => number,
            Some(Purpose::Forward(call)) => return self.on_target_ringing(call),
            _ => return,
        };
        self.hear_of(number);
        let Some(offer) = self.groups.offers.get_mut(&number) else { return };
        offer.rang |= matches!(status, 180 | 183);
        self.tell_groups(match status {
            181 => Input::OfferDiverting { offer: number },
            _ => Input::OfferProgressed { offer: number, ringing: matches!(status, 180 | 183) },
        });
    }

    /// 100 Trying is no news any more.
    fn hear_of(&mut self, number: OfferNo) {
        self.groups.unheard.retain(|_, offer| *offer != number);
    }

    /// A 2xx. It is acknowledged already; the machine decides whether it wins.
    pub(super) fn on_dial_answered(&mut self, dial: OfferId, leg: LegId, body: Option<Body>, headers: &Headers) {
        match self.groups.dials.remove(&dial) {
            Some(Purpose::Offer(number)) => self.on_offer_answered(number, leg, body.as_ref(), headers),
            Some(Purpose::Forward(call)) => self.on_target_answered(call, leg, body.as_ref()),
            Some(Purpose::Supervisor(call, seat)) => self.on_supervisor_answered(call, seat, leg, body.as_ref()),
            Some(Purpose::Reattach(_) | Purpose::ReattachTarget(_) | Purpose::Silence) | None => {}
        }
    }

    fn on_offer_answered(&mut self, number: OfferNo, leg: LegId, body: Option<&Body>, headers: &Headers) {
        self.hear_of(number);
        let Some(offer) = self.groups.offers.get_mut(&number) else { return };
        offer.answered = Some(leg);
        offer.dial = None;
        let diverted = is_diverted(headers, &offer.order);
        offer.media.take_answer(body);
        if let Some(dialog) = self.calls.dialog_record(leg) {
            self.record(WireRecord::AgentUp { offer: number, dialog: Box::new(dialog) });
        }
        self.tell_groups(Input::OfferAnswered { offer: number, dialog: WINNER, diverted });
    }

    /// Every device was tried and none answered; what each said came before.
    pub(super) fn on_dial_failed(&mut self, dial: OfferId, termination: Termination, status: Option<u16>) {
        match self.groups.dials.remove(&dial) {
            Some(Purpose::Offer(number)) => self.on_device_dial_failed(number, dial, termination, status),
            Some(Purpose::Forward(call)) => self.on_target_failed(call, termination, status),
            Some(Purpose::Supervisor(call, seat)) => self.on_supervisor_failed(call, seat, termination),
            Some(Purpose::Reattach(_) | Purpose::ReattachTarget(_) | Purpose::Silence) | None => {}
        }
    }

    /// A trunk that said nothing for too long fails before its INVITE is over, which is cancelled meanwhile: the next one
    /// is tried, or the agent cannot be reached.
    fn on_device_dial_failed(&mut self, number: OfferNo, dial: OfferId, termination: Termination, status: Option<u16>) {
        let Some(offer) = self.groups.offers.get_mut(&number).filter(|offer| offer.dial == Some(dial)) else { return };
        offer.dial = None;
        let silent = termination.reason == TerminationReason::ServiceUnavailable && status.is_none();
        if !silent || offer.trunk_patience.is_none() || offer.withdrawn || offer.open.is_empty() {
            return;
        }
        let agent = &offer.order.agent;
        let silenced = |leg: LegId| (leg, Silenced { agent: agent.clone(), rang: false });
        self.groups.silencing.extend(std::mem::take(&mut offer.open).into_iter().map(silenced));
        let refusal = worse(offer.refusal, Refusal::Unreachable);
        offer.refusal = Some(refusal);
        self.try_another_way(number, termination, status, refusal);
    }

    /// An attempt came to nothing: the next trunk, if there is one and this was not the agent's own word; or once more to
    /// phones that want no audio that may be in the clear (routing.md 2.3).
    fn try_another_way(&mut self, number: OfferNo, termination: Termination, status: Option<u16>, refusal: Refusal) {
        let Some(offer) = self.groups.offers.get(&number) else { return };
        let another = |there: &Destination| there.has_another_way(termination, status, offer.rang);
        if !offer.withdrawn && offer.destination.as_ref().is_some_and(another) {
            return self.send_offer(number);
        }
        let refused = refusal == Refusal::Failed { status: NOT_ACCEPTABLE_HERE } && !offer.order.pstn;
        if refused && !offer.withdrawn && !offer.rang && offer.media.leaves_encryption_open() {
            let offer = self.groups.offers.get_mut(&number).expect("just found");
            (offer.encrypted, offer.refusal) = (true, None);
            return self.send_offer(number);
        }
        self.close_offer(number, refusal);
    }

    /// The machine gives an offer up. It stays known until each of its INVITEs is really over.
    pub(super) fn withdraw_offer(&mut self, number: OfferNo) {
        let Some(offer) = self.groups.offers.get_mut(&number) else { return self.repeat_and_cancel(number) };
        offer.withdrawn = true;
        let (dial, unsent) = (offer.dial, offer.open.is_empty() && offer.answered.is_none());
        match dial {
            Some(dial) => {
                self.call(call::Input::Cancel { offer: dial, reason: vec![COMPLETED_ELSEWHERE.to_owned()] });
            }
            // Its ports have not come yet, so nothing has left.
            None if unsent => self.close_offer(number, Refusal::Cancelled),
            None => {}
        }
    }

    /// The agent's seat is lost, or could not be had in the first place.
    pub(super) fn lose_offer(&mut self, number: OfferNo) {
        match self.groups.offers.get(&number) {
            Some(offer) if offer.sent.is_none() && offer.open.is_empty() && !offer.withdrawn => {
                self.close_offer(number, Refusal::NoRoom);
            }
            _ => self.withdraw_offer(number),
        }
    }

    /// The INVITE of a device is over, or the dialog of the agent who answered.
    pub(super) fn on_device_ended(
        &mut self,
        number: OfferNo,
        leg: LegId,
        termination: Termination,
        status: Option<u16>,
        headers: &Headers,
    ) {
        let Some(offer) = self.groups.offers.get_mut(&number) else { return };
        if offer.answered == Some(leg) {
            offer.open.retain(|open| *open != leg);
            let call = offer.order.call;
            if is_lost(termination, status) && self.is_attaching(call) {
                self.tell_groups(Input::OfferLost { offer: number });
            }
            return self.end_answered_offer(number);
        }
        // What becomes of the INVITE to a trunk that was silent says nothing of the next one's.
        let Some(place) = offer.open.iter().position(|open| *open == leg) else { return };
        offer.open.remove(place);
        offer.spoke |= status.is_some();
        offer.late |= offer.withdrawn && status.is_some_and(|status| (200..300).contains(&status));
        let hung_up = !offer.withdrawn && termination == Termination::completed(TerminationReason::Departed);
        let heard = match hung_up {
            true => Refusal::HungUp,
            false => refusal_of(&offer.order, offer.withdrawn, status, headers),
        };
        offer.refusal = Some(worse(offer.refusal, heard));
        let refusal = offer.refusal.unwrap_or(heard);
        // A 6xx speaks for the person: his other devices stop (RFC 3261 16.7, 5). A trunk's says nothing of another trunk.
        // So does an answer, whatever became of it.
        let refused = status.is_some_and(|status| (600..700).contains(&status)) && !offer.order.pstn;
        let global = refused || hung_up;
        if let Some(dial) = offer.dial.filter(|_| global && offer.answered.is_none() && !offer.withdrawn) {
            self.call(call::Input::Cancel { offer: dial, reason: vec![COMPLETED_ELSEWHERE.to_owned()] });
        }
        let Some(offer) = self.groups.offers.get_mut(&number) else { return };
        if !offer.open.is_empty() || offer.answered.is_some() {
            return self.mind_the_deaf(number);
        }
        if offer.late {
            // Acknowledged and ended already; the machine and its journal are to know of it.
            return self.tell_groups(Input::OfferAnswered { offer: number, dialog: WINNER, diverted: false });
        }
        self.try_another_way(number, termination, status, refusal);
    }

    pub(super) fn end_answered_offer(&mut self, number: OfferNo) {
        let call = self.groups.offers.get(&number).map(|offer| offer.order.call);
        self.forget_offer(number);
        self.tell_groups(Input::OfferDialogEnded { offer: number, dialog: WINNER });
        if let Some(call) = call {
            self.note_agent_gone(call);
        }
    }

    /// Nobody answered, and no INVITE is left.
    pub(super) fn close_offer(&mut self, number: OfferNo, refusal: Refusal) {
        self.forget_offer(number);
        self.tell_groups(Input::OfferRefused { offer: number, refusal });
    }

    /// The offer is over on the wire; a seat that somebody else can still take stays.
    pub(super) fn forget_offer(&mut self, number: OfferNo) {
        self.hear_of(number);
        let Some(offer) = self.groups.offers.remove(&number) else { return };
        self.groups.deaf.remove(&number);
        let ringing = offer.open.iter().filter(|leg| offer.answered != Some(**leg));
        let silenced = |leg: &LegId| (*leg, Silenced { agent: offer.order.agent.clone(), rang: offer.sent.is_none() });
        self.groups.silencing.extend(ringing.map(silenced));
        let Some(seat) = offer.seat else { return };
        let wanted = self.groups.callers.get(&offer.order.call).is_some_and(|caller| caller.seat == Some(seat));
        let used = self.groups.offers.values().any(|other| other.seat == Some(seat));
        // A loser's INVITE ends while the winner sits there.
        if offer.answered.is_some() || !(wanted || used) {
            self.leave_seat(seat);
        }
        if let Some(caller) = self.groups.callers.get_mut(&offer.order.call)
            && caller.bridged == Some(number)
        {
            caller.bridged = None;
        }
    }
}

/// How long an offer's INVITE may be under way.
fn ring_limit(order: &OfferOrder) -> Duration {
    Duration::from_secs(u64::from(order.expires_seconds))
}

/// What a device's last word means (routing.md 2.3). A 503 of a trunk is the trunk's, and says nothing of the agent.
fn refusal_of(order: &OfferOrder, withdrawn: bool, status: Option<u16>, headers: &Headers) -> Refusal {
    match status {
        _ if withdrawn => Refusal::Cancelled,
        None | Some(404 | 408 | 410 | 480 | 484 | 487) => Refusal::Unreachable,
        Some(486 | 600) => Refusal::Busy,
        Some(403 | 603 | 607 | 608) => Refusal::Declined,
        Some(300..=399) => Refusal::Redirected,
        Some(503) if order.pstn => Refusal::Unreachable,
        Some(503) => {
            let after = headers.get("Retry-After").and_then(|value| value.split([' ', ';', '(']).next()?.parse().ok());
            Refusal::Unavailable { retry_after_seconds: after.unwrap_or(0) }
        }
        Some(status) => Refusal::Failed { status },
    }
}

/// Which of two devices' refusals says more about their agent: what a person did, before what a network did.
fn worse(one: Option<Refusal>, other: Refusal) -> Refusal {
    let weight = |refusal: &Refusal| match refusal {
        Refusal::HungUp => 7,
        Refusal::Declined => 6,
        Refusal::Busy => 5,
        Refusal::Redirected => 4,
        Refusal::Unavailable { .. } => 3,
        Refusal::Failed { .. } => 2,
        Refusal::Unreachable | Refusal::NoRoom => 1,
        Refusal::Cancelled => 0,
    };
    one.filter(|one| weight(one) >= weight(&other)).unwrap_or(other)
}

#[cfg(test)]
mod tests {
    use base::CallId;

    use super::*;

    fn order(pstn: bool) -> OfferOrder {
        let user = |name: &str| UserUri::parse(&format!("sip:{name}@example.com")).expect("valid");
        OfferOrder {
            offer: OfferNo(1),
            call: CallId(1),
            agent: user("bob"),
            pstn,
            group: user("sales"),
            group_name: "Sales".to_owned(),
            caller: "sip:ann@example.com".to_owned(),
            labels: Vec::new(),
            waited_seconds: 0,
            expires_seconds: 25,
            hops: 0,
        }
    }

    #[test]
    fn refusals_follow_the_table() {
        let order = order(false);
        let of = |status| refusal_of(&order, false, Some(status), &Headers::new().with("Retry-After", "12 (busy)"));
        let cases: &[(u16, Refusal)] = &[
            (302, Refusal::Redirected),
            (380, Refusal::Redirected),
            (403, Refusal::Declined),
            (404, Refusal::Unreachable),
            (408, Refusal::Unreachable),
            (480, Refusal::Unreachable),
            (486, Refusal::Busy),
            (488, Refusal::Failed { status: 488 }),
            (503, Refusal::Unavailable { retry_after_seconds: 12 }),
            (600, Refusal::Busy),
            (603, Refusal::Declined),
        ];
        for (status, refusal) in cases {
            assert_eq!(of(*status), *refusal, "{status}");
        }
        assert_eq!(refusal_of(&order, true, Some(487), &Headers::new()), Refusal::Cancelled);
        assert_eq!(refusal_of(&order, false, None, &Headers::new()), Refusal::Unreachable);
    }

    #[test]
    fn a_trunk_without_service_does_not_pause_the_agent_behind_it() {
        let busy = Headers::new().with("Retry-After", "600");
        assert_eq!(refusal_of(&order(true), false, Some(503), &busy), Refusal::Unreachable);
    }

    #[test]
    fn what_a_person_did_says_more_than_what_a_network_did() {
        assert_eq!(worse(Some(Refusal::Unreachable), Refusal::Declined), Refusal::Declined);
        assert_eq!(worse(Some(Refusal::Busy), Refusal::Redirected), Refusal::Busy);
        assert_eq!(worse(None, Refusal::Cancelled), Refusal::Cancelled);
    }
}
