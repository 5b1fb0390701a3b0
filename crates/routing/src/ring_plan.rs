//! Who rings when, and where a call goes that nobody takes: a user's settings applied to one call, as a pure function.

use base::{Duration, Pii, UserUri};

use crate::UserProfile;

/// For whom a user is rung; decides how much of his settings counts (rules R2 to R5, R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// A call from one person to another: everything counts.
    Direct,
    /// A conference calls him: everything counts but the mailbox, which would only talk to the meeting.
    ConferenceDialOut,
    /// A response group sends a caller on to him: everything counts but the mailbox (rule R1).
    ResponseGroupForward,
    /// A response group offers him a call: nothing counts. His own registered devices ring, as long as the group says.
    ResponseGroupOffer,
}

/// What the caller asked of diversion, by `Ms-Sensitivity` (c3p.md 5.5); to be believed from trusted peers only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sensitivity {
    /// Every setting counts.
    #[default]
    Normal,
    /// No forwarding, no mailbox, no team; a simultaneous ring is no diversion and takes place.
    NoDiversion,
    /// As [`Sensitivity::NoDiversion`], and no simultaneous ring either.
    PrivateNoDiversion,
}

impl Sensitivity {
    /// Reads the value of an `Ms-Sensitivity` header. What is unknown is normal, as [MS-SIPRE] 3.9.5.2.1 says.
    pub fn parse(value: &str) -> Self {
        match value.trim().to_ascii_lowercase().as_str() {
            "normal-no-diversion" => Self::NoDiversion,
            "private-no-diversion" => Self::PrivateNoDiversion,
            _ => Self::Normal,
        }
    }
}

/// What happens to a call for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RingPlan {
    /// Nobody here rings; the call goes elsewhere at once.
    Divert(Diversion),
    /// Somebody rings.
    Ring(Box<Ringing>),
    /// Nobody rings, and the call goes nowhere.
    Refuse(Unavailable),
}

/// Who rings, for how long, and what then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ringing {
    /// Who rings, those who ring first before the others. At least one.
    pub targets: Vec<RingTarget>,
    /// How long all may ring before [`Ringing::on_no_answer`]; `None` leaves it to whoever asks (a group's alert time, R5,
    /// or the server's limit).
    pub ring_limit: Option<Duration>,
    /// Where the call goes when nobody answers.
    pub on_no_answer: Option<Diversion>,
    /// Where it goes when the user is busy (486, 600).
    pub on_busy: Option<Diversion>,
    /// Where it goes when the user declines (603).
    pub on_decline: Option<Diversion>,
    /// Where it goes when nobody of the plan has a device to ring.
    pub on_unregistered: Option<Diversion>,
    /// Whether a device of the user may send the call elsewhere by a 3xx (R12); never for a group's offer.
    pub may_deflect: bool,
}

/// One who rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingTarget {
    /// Who.
    pub who: RingWho,
    /// How long after the others, counted from the beginning.
    pub after: Duration,
}

/// Who rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RingWho {
    /// The user's own registered devices.
    OwnDevices,
    /// The place of his simultaneous ring, to be routed by his rights.
    Elsewhere(Pii),
    /// The devices of a member of his team.
    Team(UserUri),
    /// The devices of a delegate.
    Delegate(UserUri),
}

/// Where a call goes on, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diversion {
    /// The place, to be routed by the rights of the user who diverts.
    pub place: Pii,
    /// Why.
    pub reason: DiversionReason,
    /// Whether the place is his mailbox.
    pub to_voicemail: bool,
    /// His mailbox, if the call cannot go to the place, or has been there.
    pub otherwise: Option<Pii>,
}

/// Why a call is diverted (RFC 5806 `reason`, RFC 4458 `cause`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiversionReason {
    /// All calls are.
    Unconditional,
    /// He is busy or declined.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// He has no device that could ring.
    Unavailable,
    /// He does not want to be disturbed.
    DoNotDisturb,
    /// A device of his sent the call on.
    Deflection,
}

impl DiversionReason {
    /// The word of a `Diversion` header (RFC 5806 4).
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unconditional => "unconditional",
            Self::Busy => "user-busy",
            Self::NoAnswer => "no-answer",
            Self::Unavailable => "unavailable",
            Self::DoNotDisturb => "do-not-disturb",
            Self::Deflection => "deflection",
        }
    }

    /// The `cause` of a target URI (RFC 4458 2.1; 302 is an unconditional diversion).
    pub const fn cause(self) -> u16 {
        match self {
            Self::Unconditional => 302,
            Self::Busy => 486,
            Self::NoAnswer => 408,
            Self::Unavailable => 503,
            Self::DoNotDisturb => 404,
            Self::Deflection => 480,
        }
    }
}

/// Why nobody rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unavailable {
    /// He does not want to be disturbed.
    DoNotDisturb,
    /// He answers no calls himself (R4); whoever asks may not turn to the delegates.
    DelegatesOnly,
    /// He sends every call elsewhere, and this one may not be diverted ([MS-SIPRE] 3.9.5.2.2.1).
    DiversionBlocked,
}

impl Unavailable {
    /// The SIP status that says so (RFC 3261 21.4.18).
    pub const fn status(self) -> u16 {
        480
    }
}

/// What happens to a call of this kind for a user with these settings.
pub fn plan(profile: &UserProfile, kind: CallKind) -> RingPlan {
    plan_sensitive(profile, kind, Sensitivity::Normal)
}

/// What happens to a call that may ask not to be diverted.
pub fn plan_sensitive(profile: &UserProfile, kind: CallKind, sensitivity: Sensitivity) -> RingPlan {
    if kind == CallKind::ResponseGroupOffer {
        return group_offer(profile);
    }
    let may_divert = sensitivity == Sensitivity::Normal;
    if profile.forward_always.is_some() && !may_divert {
        return RingPlan::Refuse(Unavailable::DiversionBlocked);
    }
    let settings = Settings { profile, voicemail: kind == CallKind::Direct, may_divert };
    if let Some(place) = &profile.forward_always {
        return RingPlan::Divert(to(place, DiversionReason::Unconditional));
    }
    let ringing = settings.ringing(sensitivity != Sensitivity::PrivateNoDiversion);
    if !ringing.targets.is_empty() {
        return RingPlan::Ring(Box::new(ringing));
    }
    match settings.on_busy(DiversionReason::DoNotDisturb) {
        Some(diversion) => RingPlan::Divert(diversion),
        None if profile.do_not_disturb => RingPlan::Refuse(Unavailable::DoNotDisturb),
        None => RingPlan::Refuse(Unavailable::DelegatesOnly),
    }
}

/// R3 to R5: his own devices, no setting of his, no time of his; and nobody when he said "not me".
fn group_offer(profile: &UserProfile) -> RingPlan {
    if profile.delegates_only {
        return RingPlan::Refuse(Unavailable::DelegatesOnly);
    }
    if profile.do_not_disturb {
        return RingPlan::Refuse(Unavailable::DoNotDisturb);
    }
    let targets = vec![at_once(RingWho::OwnDevices)];
    RingPlan::Ring(Box::new(Ringing { targets, ..Ringing::default() }))
}

/// A user's settings, and which of them this call leaves in force.
struct Settings<'a> {
    profile: &'a UserProfile,
    voicemail: bool,
    may_divert: bool,
}

impl Settings<'_> {
    fn ringing(&self, elsewhere: bool) -> Ringing {
        let on_no_answer = self.divert(&self.profile.forward_no_answer, DiversionReason::NoAnswer);
        let ring = Duration::from_secs(self.profile.ring_seconds.into());
        Ringing {
            targets: self.targets(elsewhere),
            ring_limit: on_no_answer.is_some().then_some(ring),
            on_no_answer,
            on_busy: self.on_busy(DiversionReason::Busy),
            // Some phones' "decline" button says 603 and others' 486: what the caller gets must not depend on it.
            on_decline: self.on_busy(DiversionReason::Busy),
            on_unregistered: self.divert(&self.profile.forward_no_answer, DiversionReason::Unavailable),
            may_deflect: self.may_divert,
        }
    }

    fn targets(&self, elsewhere: bool) -> Vec<RingTarget> {
        let profile = self.profile;
        let himself = !profile.delegates_only && !profile.do_not_disturb;
        let mut targets = Vec::new();
        if himself {
            targets.push(at_once(RingWho::OwnDevices));
            let place = profile.simultaneous_ring.clone().filter(|_| elsewhere);
            targets.extend(place.map(RingWho::Elsewhere).map(at_once));
        }
        if self.may_divert {
            targets.extend(profile.delegates.iter().cloned().map(RingWho::Delegate).map(at_once));
        }
        if himself && self.may_divert {
            let after = Duration::from_secs(profile.team_delay_seconds.into());
            let member = |user: &UserUri| RingTarget { who: RingWho::Team(user.clone()), after };
            targets.extend(profile.team.iter().map(member));
        }
        targets
    }

    fn on_busy(&self, reason: DiversionReason) -> Option<Diversion> {
        self.divert(&self.profile.forward_busy, reason)
    }

    /// The wanted place, else the mailbox, as far as the call may go there.
    fn divert(&self, place: &Option<Pii>, reason: DiversionReason) -> Option<Diversion> {
        if !self.may_divert {
            return None;
        }
        let mailbox = self.profile.voicemail.clone().filter(|_| self.voicemail);
        match place {
            Some(place) => Some(Diversion { otherwise: mailbox, ..to(place, reason) }),
            None => Some(Diversion { to_voicemail: true, ..to(&mailbox?, reason) }),
        }
    }
}

fn to(place: &Pii, reason: DiversionReason) -> Diversion {
    Diversion { place: place.clone(), reason, to_voicemail: false, otherwise: None }
}

fn at_once(who: RingWho) -> RingTarget {
    RingTarget { who, after: Duration::ZERO }
}
