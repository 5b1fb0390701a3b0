//! The way of a call to whoever takes it: the settings of each user it comes to, as rings and diversions.

use base::{Duration, Termination, TerminationReason, UserUri};
use call::RingMode;
use routing::{CallKind, Diversion, DiversionReason, RingPlan, RingWho, Ringing, Sensitivity, plan_sensitive};
use sip_api::Headers;

use crate::conference::dial_out::COMPLETED_ELSEWHERE;
use crate::destination::{Answerer, Destination, Guide, Ring, RingTarget, devices};
use crate::people::diversion::{DeadEnd, Diversions, places_of, redirections};

/// An answer of a simultaneous ring by a trunk that comes sooner is a carrier's mailbox (routing.md 1.1).
const MACHINE_WITHIN: Duration = Duration::from_millis(1_500);

/// Where a call is, where it has been, and what the settings of the user it is at still say.
#[derive(Debug)]
pub(crate) struct Way {
    kind: CallKind,
    sensitivity: Sensitivity,
    /// Who calls; his own devices do not ring for him.
    caller: Option<UserUri>,
    /// Where the call is now.
    pub(crate) destination: Destination,
    /// Where it has been.
    pub(crate) diversions: Diversions,
    /// The settings that ring now.
    settings: Option<Box<Ringing>>,
    /// A redirection led nowhere.
    dead_end: Option<DeadEnd>,
    /// Everybody it was offered to, for their histories.
    pub(crate) visits: Vec<Visit>,
}

/// One user a call was offered to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    /// Who.
    pub(crate) user: UserUri,
    /// For whom he was rung, if it was not for himself.
    pub(crate) on_behalf_of: Option<UserUri>,
    /// Why the call left him for another place, and whether that is a mailbox.
    pub(crate) left: Option<(DiversionReason, bool)>,
    /// He declined it.
    pub(crate) declined: bool,
}

/// A call that can go nowhere any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// What the caller is told.
    pub(crate) status: u16,
    /// Why.
    pub(crate) termination: Termination,
}

impl Lost {
    fn unavailable(status: u16) -> Self {
        Self { status, termination: Termination::failed(TerminationReason::NoAnswer) }
    }

    fn at(dead_end: DeadEnd) -> Self {
        Self { status: dead_end.status(), termination: Termination::failed(TerminationReason::InvalidTarget) }
    }
}

/// What the user's other devices are told when he refused a call on one of them for all (RFC 3261 16.7: a 6xx ends every
/// branch); `None` when the device spoke for itself alone. Who declined knows of the call and counts no missed one.
pub(crate) fn refusal_for_all(status: Option<u16>) -> Option<String> {
    match status? {
        603 | 607 | 608 => Some(COMPLETED_ELSEWHERE.to_owned()),
        status @ 600..=699 => Some(format!("SIP;cause={status}")),
        _ => None,
    }
}

/// What became of a ringing, as far as a user's settings tell cases apart.
enum Setback {
    Busy,
    Declined,
    NoAnswer,
    Unreachable,
    Other,
}

impl Way {
    /// The way of a call that is about to be rung. `hops` is what `Max-Forwards` leaves for the first INVITE.
    pub(crate) fn new(kind: CallKind, caller: Option<UserUri>, destination: Destination, hops: u8) -> Self {
        Self {
            kind,
            sensitivity: Sensitivity::Normal,
            caller,
            diversions: Diversions::starting_at(&destination, hops),
            destination,
            settings: None,
            dead_end: None,
            visits: Vec::new(),
        }
    }

    /// Takes up what a trusted peer asks and tells in its INVITE; nobody else is believed.
    pub(crate) fn trust(&mut self, headers: &Headers, guide: &Guide<'_>) {
        self.sensitivity = headers.get("Ms-Sensitivity").map(Sensitivity::parse).unwrap_or_default();
        self.diversions.take_up(headers, guide.config);
    }

    /// Whom to ring now.
    pub(crate) fn next(&mut self, guide: &Guide<'_>) -> Result<Ring, Lost> {
        // Each turn goes on to another place, and the diversions are counted.
        loop {
            let Destination::Devices(user) = &self.destination else {
                return self.destination.next_ring(guide.directory).ok_or(Lost::unavailable(480));
            };
            let user = user.clone();
            match plan_sensitive(guide.directory.user_profile(&user), self.kind, self.sensitivity) {
                RingPlan::Refuse(why) => {
                    self.visit(&user, None);
                    return Err(Lost::unavailable(why.status()));
                }
                RingPlan::Divert(diversion) => {
                    self.visit(&user, None);
                    self.divert(guide, &user, &diversion).map_err(Lost::at)?;
                }
                RingPlan::Ring(ringing) => {
                    self.visit(&user, None);
                    let ring = self.ring(guide, &user, &ringing);
                    let elsewhere = ringing.on_unregistered.clone();
                    self.settings = Some(ringing);
                    match (ring, elsewhere) {
                        (Some(ring), _) => return Ok(ring),
                        (None, Some(elsewhere)) => self.divert(guide, &user, &elsewhere).map_err(Lost::at)?,
                        (None, None) => return Err(Lost::unavailable(480)),
                    }
                }
            }
        }
    }

    /// Whom to ring after a ringing came to nothing; `rang` says whether anything rang.
    pub(crate) fn after(
        &mut self,
        guide: &Guide<'_>,
        termination: Termination,
        status: Option<u16>,
        rang: bool,
    ) -> Result<Ring, Lost> {
        if self.destination.has_another_way(termination, status, rang) {
            return self.next(guide);
        }
        let setback = setback(termination, status);
        let lost = Lost { status: self.status_for_caller(termination, status), termination };
        let Destination::Devices(user) = self.destination.clone() else { return Err(lost) };
        if let (Setback::Declined, Some(visit)) = (&setback, self.own_visit(&user)) {
            visit.declined = true;
        }
        let Some(settings) = self.settings.take() else { return Err(lost) };
        let diversion = match setback {
            Setback::Busy => settings.on_busy,
            Setback::Declined => settings.on_decline,
            Setback::NoAnswer => settings.on_no_answer,
            Setback::Unreachable => settings.on_unregistered,
            Setback::Other => None,
        };
        match diversion.map(|diversion| self.divert(guide, &user, &diversion)) {
            Some(Ok(())) => self.next(guide),
            Some(Err(dead_end @ (DeadEnd::Loop | DeadEnd::TooManyHops))) => Err(Lost::at(dead_end)),
            Some(Err(DeadEnd::Nowhere)) | None => Err(lost),
        }
    }

    /// A device of the user sends the call elsewhere (R12). Whether it goes.
    pub(crate) fn deflect(
        &mut self,
        guide: &Guide<'_>,
        status: Option<u16>,
        headers: &Headers,
        by_rights_of: Option<&UserUri>,
    ) -> bool {
        let Destination::Devices(user) = self.destination.clone() else { return false };
        let payer = by_rights_of.unwrap_or(&user);
        let places = redirections(guide, status, headers, self.settings.as_deref(), Some(payer));
        if places.is_empty() {
            return false;
        }
        match self.diversions.choose(places, DiversionReason::Deflection) {
            Ok(next) => {
                self.leave(&user, DiversionReason::Deflection, false);
                self.destination = next;
                self.settings = None;
                true
            }
            Err(dead_end) => {
                self.dead_end = Some(dead_end);
                false
            }
        }
    }

    fn divert(&mut self, guide: &Guide<'_>, user: &UserUri, diversion: &Diversion) -> Result<(), DeadEnd> {
        let places = places_of(guide, user, diversion);
        let next = self.diversions.choose(places.iter().map(|(place, _)| place.clone()), diversion.reason)?;
        let voicemail = places.iter().any(|(place, voicemail)| *place == next && *voicemail);
        self.leave(user, diversion.reason, voicemail);
        self.destination = next;
        self.settings = None;
        Ok(())
    }

    /// Everybody who rings by these settings; `None` when nobody has a device.
    fn ring(&mut self, guide: &Guide<'_>, user: &UserUri, ringing: &Ringing) -> Option<Ring> {
        let mut targets: Vec<RingTarget> = Vec::new();
        let (mut first, mut after) = (0, Duration::ZERO);
        for wanted in &ringing.targets {
            let more = self.targets(guide, user, &wanted.who);
            if let Some(Answerer::Helper(helper)) = more.first().map(|target| target.who.clone()) {
                if targets.iter().any(|target| target.who == Answerer::Helper(helper.clone())) {
                    continue;
                }
                self.visit(&helper, Some(user));
            }
            if wanted.after == Duration::ZERO {
                first += more.len();
            } else {
                after = wanted.after;
            }
            targets.extend(more);
        }
        let staged = first > 0 && first < targets.len();
        let mode = if staged { RingMode::Staged { first, after } } else { RingMode::Parallel };
        Ring::at_once(targets).map(|ring| Ring { mode, limit: ringing.ring_limit, ..ring })
    }

    fn targets(&self, guide: &Guide<'_>, user: &UserUri, who: &RingWho) -> Vec<RingTarget> {
        match who {
            RingWho::OwnDevices => devices(guide.directory, user)
                .into_iter()
                .map(|target| RingTarget { target, who: Answerer::Callee, trunk: None })
                .collect(),
            RingWho::Elsewhere(place) => match guide.find_place(user, place) {
                Some(Destination::Devices(other)) => self.helper(guide, &other, "forwarding"),
                Some(place) => self.elsewhere(guide, place),
                None => Vec::new(),
            },
            RingWho::Team(member) => self.helper(guide, member, "team-call"),
            RingWho::Delegate(delegate) => self.helper(guide, delegate, "delegation"),
        }
    }

    /// The devices of somebody who rings for the user. His own settings do not count, but who does not want to be
    /// disturbed is not; nor does the caller ring for himself.
    fn helper(&self, guide: &Guide<'_>, helper: &UserUri, why: &str) -> Vec<RingTarget> {
        if self.caller.as_ref() == Some(helper) || guide.directory.user_profile(helper).do_not_disturb {
            return Vec::new();
        }
        let headers = self.diversions.helper_headers(helper, why, guide.config);
        let devices = devices(guide.directory, helper).into_iter().map(|mut target| {
            target.headers.extend(headers.iter().cloned());
            RingTarget { target, who: Answerer::Helper(helper.clone()), trunk: None }
        });
        devices.collect()
    }

    /// A place outside, by the first trunk.
    fn elsewhere(&self, guide: &Guide<'_>, mut place: Destination) -> Vec<RingTarget> {
        let Some(person) = place.person() else { return Vec::new() };
        let rung = place.next_ring(guide.directory).map(|ring| ring.targets).unwrap_or_default();
        let rung = rung.into_iter().map(|mut rung| {
            rung.target.machine_within = rung.trunk.as_ref().map(|_| MACHINE_WITHIN);
            RingTarget { who: Answerer::Elsewhere(person.clone()), ..rung }
        });
        rung.collect()
    }

    fn visit(&mut self, user: &UserUri, on_behalf_of: Option<&UserUri>) {
        let on_behalf_of = on_behalf_of.cloned();
        self.visits.push(Visit { user: user.clone(), on_behalf_of, left: None, declined: false });
    }

    fn leave(&mut self, user: &UserUri, reason: DiversionReason, voicemail: bool) {
        if let Some(visit) = self.own_visit(user) {
            visit.left = Some((reason, voicemail));
        }
    }

    /// The visit to a user for himself.
    fn own_visit(&mut self, user: &UserUri) -> Option<&mut Visit> {
        self.visits.iter_mut().find(|visit| visit.user == *user && visit.on_behalf_of.is_none())
    }

    /// What the caller is told of a failure: the callee's own status, unless it is about our side of the call alone.
    fn status_for_caller(&self, termination: Termination, status: Option<u16>) -> u16 {
        match (status, self.dead_end) {
            (Some(300..=399), Some(dead_end)) => dead_end.status(),
            (None, _) if termination.reason == TerminationReason::LimitReached => 503,
            // Nobody answered, or the device is not there any more; nor is anybody where a redirection cannot be
            // followed, or where somebody else stopped the ringing.
            (None | Some(300..=399 | 408 | 487), _) => 480,
            // It is we who lack credentials. A 503 would say that this server is overloaded (RFC 3261 16.7).
            (Some(401 | 407 | 503), _) => 500,
            (Some(status), _) => status,
        }
    }
}

fn setback(termination: Termination, status: Option<u16>) -> Setback {
    match (status, termination.reason) {
        (Some(486 | 600), _) => Setback::Busy,
        (Some(603 | 607 | 608), _) => Setback::Declined,
        (Some(408 | 487), _) | (None, TerminationReason::NoAnswer) => Setback::NoAnswer,
        (Some(404 | 410 | 480 | 500..=599), _)
        | (None, TerminationReason::TransportFailed | TerminationReason::ServiceUnavailable) => Setback::Unreachable,
        _ => Setback::Other,
    }
}
