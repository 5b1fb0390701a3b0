//! The audio of groups' legs: seats in callers' conferences, and session descriptions for them.

use std::net::SocketAddr;

use base::{CallId, ConferenceId, LegId};
use call::Body;
use mcu_api::{AloneAudio, ConferenceMedia, Direction, LegMedia, McuCommand};
use sdp::{LocalMedia, PendingOffer, Session, SrtpPolicy};

use super::ledger::GroupLegs;
use super::{CONFERENCE, Purpose, Role};
use crate::Engine;
use crate::conference::media_leg::{self, SDP};

/// One leg's side of the negotiation.
#[derive(Debug, Default)]
pub(super) struct GroupMedia {
    /// Our addresses and keys, once there are ports.
    pub(super) local: Option<LocalMedia>,
    pending: Option<PendingOffer>,
    session: Option<Session>,
}

impl GroupMedia {
    /// Our side of a new negotiation.
    pub(super) fn new(local: LocalMedia) -> Self {
        Self { local: Some(local), ..Self::default() }
    }

    /// Whether the peer of an offer of ours may choose to encrypt or not.
    pub(super) fn leaves_encryption_open(&self) -> bool {
        self.local.as_ref().is_some_and(|local| local.srtp == SrtpPolicy::Support)
    }

    /// The same for a peer who is offered encrypted audio alone.
    pub(super) fn encrypted(self) -> Self {
        Self { local: self.local.map(|local| LocalMedia { srtp: SrtpPolicy::Require, ..local }), ..self }
    }

    /// Answers the peer's offer, or makes one when he has none.
    pub(super) fn answer(&mut self, offer: Option<&Body>) -> Result<Body, sdp::Refusal> {
        let Some(local) = &self.local else {
            return Err(sdp::Refusal { kind: sdp::RefusalKind::NoAudio, text: "there is no port for it yet" });
        };
        let Some(offer) = offer else { return Ok(self.offer().unwrap_or_else(|| Body::new(SDP, Vec::new()))) };
        let (answer, session) = media_leg::answer(offer, local, self.session.as_ref())?;
        self.session = Some(session);
        Ok(answer)
    }

    /// An offer of ours; `None` while there are no ports.
    pub(super) fn offer(&mut self) -> Option<Body> {
        let (description, pending) = sdp::offer(self.local.as_ref()?, Direction::SendRecv, self.session.as_ref());
        self.pending = Some(pending);
        Some(Body::new(SDP, description))
    }

    /// Takes the answer to our offer; `false` when it is no good.
    pub(super) fn take_answer(&mut self, body: Option<&Body>) -> bool {
        let Some(pending) = self.pending.take() else { return false };
        let Some(session) = body.and_then(|body| media_leg::take_answer(pending, body)) else { return false };
        self.session = Some(session);
        true
    }

    /// Whether our offer waits for its answer.
    pub(super) fn awaits_answer(&self) -> bool {
        self.pending.is_some()
    }

    /// Our last description once more.
    pub(super) fn described(&self) -> Option<Body> {
        self.session.as_ref().map(|session| Body::new(SDP, session.local_description().to_vec()))
    }

    /// What was agreed.
    pub(super) fn agreed(&self) -> Option<LegMedia> {
        self.session.as_ref().map(|session| session.media().clone())
    }
}

/// A place in a caller's conference for whoever answers. Several phones may be offered the same place, because only one
/// of them can take it; each has keys of its own.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) call: CallId,
    /// Its ports, once the MCU has leased them.
    ports: Option<(SocketAddr, SocketAddr)>,
    /// Who waits for them.
    waiting: Vec<Purpose>,
}

impl Engine {
    /// Makes the conference of a caller.
    pub(super) fn make_group_conference(&mut self, number: u64, alone: AloneAudio) -> ConferenceId {
        let id = ConferenceId::parse(&format!("{CONFERENCE}{number}")).expect("letters and digits, at most 32");
        let media = ConferenceMedia { alone, entry_exit_tones: false, ..self.config.media };
        self.mcu(McuCommand::CreateConference { conference: id.clone(), media });
        id
    }

    /// A new seat; whoever it is for goes on when its ports are there.
    pub(super) fn take_seat(&mut self, call: CallId, purpose: Purpose) -> Option<LegId> {
        let caller = self.groups.callers.get(&call)?;
        // Of a caller who is gone, or whose conference is, nothing is left to sit in.
        if !self.groups.legs.contains_key(&caller.leg) || self.groups.lost.contains(&caller.leg) {
            return None;
        }
        let conference = caller.conference.clone();
        let seat = self.calls.allocate_leg();
        self.groups.legs.insert(seat, Role::Seat(call));
        self.groups.seats.insert(seat, Seat { call, ports: None, waiting: vec![purpose] });
        self.groups.ledger.open_leg(call, seat);
        self.mcu(McuCommand::ReserveLeg { conference, leg: seat });
        Some(seat)
    }

    /// Goes on with somebody for whom there is a seat, now or as soon as it has ports.
    pub(super) fn share_seat(&mut self, leg: LegId, purpose: Purpose) {
        let Some(seat) = self.groups.seats.get_mut(&leg) else { return };
        if seat.ports.is_none() {
            seat.waiting.push(purpose);
        } else {
            self.seated(leg, purpose);
        }
    }

    /// Our side of a negotiation about a seat, with fresh keys.
    pub(super) fn seat_media(&mut self, leg: LegId) -> Option<GroupMedia> {
        let (rtp, rtcp) = self.groups.seats.get(&leg)?.ports?;
        Some(GroupMedia::new(self.local_media(rtp, rtcp)))
    }

    /// Gives a seat up.
    pub(super) fn leave_seat(&mut self, leg: LegId) {
        let Some(seat) = self.groups.seats.remove(&leg) else { return };
        self.groups.legs.remove(&leg);
        if let Some(caller) = self.groups.callers.get_mut(&seat.call)
            && caller.seat == Some(leg)
        {
            caller.seat = None;
        }
        if !self.groups.lost.remove(&leg) {
            self.mcu(McuCommand::RemoveLeg { leg });
        }
    }

    /// The ports of a caller, a seat or a feature call are there.
    pub(super) fn on_group_reserved(&mut self, leg: LegId, local: LocalMedia) {
        match self.groups.role(leg) {
            Some(Role::Caller(call)) => self.on_caller_reserved(call, local),
            Some(Role::Errand) => self.on_errand_reserved(leg, local),
            Some(Role::Seat(_)) => {
                let Some(seat) = self.groups.seats.get_mut(&leg) else { return };
                seat.ports = Some((local.rtp, local.rtcp));
                for purpose in std::mem::take(&mut seat.waiting) {
                    self.seated(leg, purpose);
                }
            }
            _ => {}
        }
    }

    fn seated(&mut self, seat: LegId, purpose: Purpose) {
        match purpose {
            Purpose::Offer(offer) => self.send_offer(offer),
            Purpose::Forward(call) => self.ring_target(call, seat),
            Purpose::Supervisor(call, _) => self.ring_supervisor(call, seat),
            Purpose::Reattach(offer) => self.reoffer_agent(offer, seat),
            Purpose::ReattachTarget(call) => self.reoffer_target(call, seat),
            Purpose::Silence => {}
        }
    }

    /// A command about a leg, if the MCU still has it: conferences end and fail while other news is on its way.
    pub(super) fn command_leg(&mut self, leg: LegId, command: McuCommand) {
        if self.groups.legs.contains_key(&leg) && !self.groups.lost.contains(&leg) {
            self.mcu(command);
        }
    }

    /// Tells the MCU what was agreed about a leg.
    pub(super) fn connect_group_leg(&mut self, leg: LegId, media: Option<LegMedia>) {
        if let Some(media) = media {
            self.command_leg(leg, McuCommand::ConnectLeg { leg, media });
        }
    }

    /// The peer offers a new description: hold, resume, another address. Each leg is answered from here; whom he puts on
    /// hold hears music and is sent nothing.
    pub(super) fn on_group_offered(&mut self, leg: LegId, body: Option<Body>) {
        let Some((seat, media)) = self.group_media(leg) else {
            return self.call(call::Input::RefuseOffer { leg, status: 488 });
        };
        match media.answer(body.as_ref()) {
            Ok(answer) => {
                let agreed = media.agreed().filter(|_| body.is_some());
                self.call(call::Input::AnswerOffer { leg, body: Some(answer) });
                if let Some(agreed) = &agreed {
                    self.note_group_hold(leg, !agreed.direction.sends());
                }
                self.connect_group_leg(seat, agreed);
            }
            Err(refusal) => self.call(call::Input::RefuseOffer { leg, status: refusal.status() }),
        }
    }

    /// Whoever does not want to hear us has put the other one on hold. Outside the mix that one hears his background.
    fn note_group_hold(&mut self, leg: LegId, held: bool) {
        let changed = if held { self.groups.holding.insert(leg) } else { self.groups.holding.remove(&leg) };
        if let Some(other) = self.other_side(leg).filter(|_| changed) {
            self.command_leg(other, McuCommand::SetInMix { leg: other, in_mix: !held });
        }
    }

    /// A leg is over or no longer talks with the caller: whom it held is held by nobody.
    pub(super) fn release_hold(&mut self, leg: LegId) {
        if self.groups.holding.contains(&leg) {
            self.note_group_hold(leg, false);
        }
    }

    /// On the media side, whom a SIP leg talks with.
    fn other_side(&self, leg: LegId) -> Option<LegId> {
        let caller = |call: &CallId| self.groups.callers.get(call);
        match self.groups.role(leg)? {
            Role::Caller(call) => {
                let caller = caller(&call)?;
                let agent = caller.bridged.and_then(|offer| self.groups.offers.get(&offer)?.seat);
                let target = caller.forward.as_ref().filter(|forward| forward.answered.is_some());
                agent.or(target.map(|target| target.seat))
            }
            Role::Device(number) => {
                let caller = caller(&self.groups.offers.get(&number)?.order.call)?;
                (caller.bridged == Some(number)).then_some(caller.leg)
            }
            Role::Target(call) => caller(&call).map(|caller| caller.leg),
            Role::Seat(_) | Role::Supervisor(_) | Role::Errand | Role::Leftover => None,
        }
    }

    /// The peer answered an offer of ours inside the dialog.
    pub(super) fn on_group_reoffer_answered(&mut self, leg: LegId, role: Role, body: Option<Body>) {
        if let Role::Target(call) = role
            && self.is_taken_over(role, leg)
        {
            return self.on_colleague_answered(call, leg, body.as_ref());
        }
        if self.groups.astray.remove(&leg) {
            if body.is_some() {
                self.lead_back(leg);
            }
            return;
        }
        let answered = match self.group_media(leg) {
            Some((seat, media)) if media.awaits_answer() => {
                let good = media.take_answer(body.as_ref());
                let agreed = media.agreed().filter(|_| good);
                let party = match role {
                    Role::Caller(call) => Some((call, None)),
                    Role::Target(call) => Some((call, self.person_sent_to(call))),
                    Role::Device(offer) => {
                        self.groups.offers.get(&offer).map(|offer| (offer.order.call, Some(offer.order.agent.clone())))
                    }
                    _ => None,
                };
                if let (Some((call, party)), Some(agreed)) = (party, &agreed) {
                    self.note_group_leg(call, GroupLegs { sip: leg, media: seat }, party, agreed);
                }
                self.connect_group_leg(seat, agreed);
                good
            }
            _ => false,
        };
        self.note_reattached(role, answered);
    }

    /// The negotiation of a SIP leg, and the leg of the MCU it is about.
    fn group_media(&mut self, leg: LegId) -> Option<(LegId, &mut GroupMedia)> {
        match self.groups.role(leg)? {
            Role::Caller(call) => self.groups.callers.get_mut(&call).map(|caller| (leg, &mut caller.media)),
            Role::Device(offer) => {
                let offer = self.groups.offers.get_mut(&offer).filter(|offer| offer.answered == Some(leg))?;
                Some((offer.seat?, &mut offer.media))
            }
            Role::Target(call) => {
                let forward = self.groups.callers.get_mut(&call)?.forward.as_mut()?;
                (forward.answered == Some(leg)).then_some((forward.seat, &mut forward.media))
            }
            Role::Supervisor(call) => {
                let supervisors = &mut self.groups.callers.get_mut(&call)?.supervisors;
                let supervisor = supervisors.iter_mut().find(|supervisor| supervisor.leg == Some(leg))?;
                Some((supervisor.seat, &mut supervisor.media))
            }
            Role::Errand => self.groups.errands.get_mut(&leg).map(|errand| (leg, &mut errand.media)),
            Role::Seat(_) | Role::Leftover => None,
        }
    }
}
