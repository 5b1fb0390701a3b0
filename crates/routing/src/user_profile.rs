//! What a user wants done with calls for him (requirements C57, C58).

use std::collections::BTreeSet;

use base::{Pii, UserUri};
use serde::{Deserialize, Serialize};

use crate::router::{Directory, Router, Target};
use crate::verdict::{RefusedTarget, Verdict};

/// A user's call-routing settings. All are optional; a user without any has his own devices rung.
///
/// A place is a `sip:`, `sips:` or `tel:` URI, or digits; digits are normalised by the user's own location profile when
/// a call goes there, and the call is his expense and by his rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserProfile {
    /// A further place that rings together with his own devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simultaneous_ring: Option<Pii>,
    /// Every call goes here at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_always: Option<Pii>,
    /// Calls nobody has answered after [`UserProfile::ring_seconds`], or that find no device at all, go here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_no_answer: Option<Pii>,
    /// Calls that find him busy or that he declines go here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_busy: Option<Pii>,
    /// How long everybody rings before a call is redirected, in seconds: 1 to 180.
    pub ring_seconds: u16,
    /// Users who ring for him as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub team: Vec<UserUri>,
    /// After how many seconds the team joins in: 0 to 60.
    pub team_delay_seconds: u16,
    /// Users who answer for him; they ring at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delegates: Vec<UserUri>,
    /// Only the delegates ring, not he (rule R4).
    pub delegates_only: bool,
    /// His mailbox: where a call goes when no other redirection applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voicemail: Option<Pii>,
    /// His own devices do not ring, nor does his team.
    pub do_not_disturb: bool,
}

impl Default for UserProfile {
    fn default() -> Self {
        Self {
            simultaneous_ring: None,
            forward_always: None,
            forward_no_answer: None,
            forward_busy: None,
            ring_seconds: Self::RING_SECONDS,
            team: Vec::new(),
            team_delay_seconds: 0,
            delegates: Vec::new(),
            delegates_only: false,
            voicemail: None,
            do_not_disturb: false,
        }
    }
}

impl UserProfile {
    /// Default of [`UserProfile::ring_seconds`].
    pub const RING_SECONDS: u16 = 18;

    /// Longest [`UserProfile::ring_seconds`]: the caller's INVITE may not stay unanswered for longer (Timer C).
    pub const RING_SECONDS_MAX: u16 = 180;

    /// Longest [`UserProfile::team_delay_seconds`].
    pub const TEAM_DELAY_SECONDS_MAX: u16 = 60;

    /// Most users in a team, and most delegates.
    pub const HELPERS_MAX: usize = 10;
}

/// One thing that is wrong with a user's settings: the key, its value, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileProblem {
    /// The key, such as `forward_always`.
    pub key: &'static str,
    /// Its value; in full, because it is told to whoever wrote it.
    pub value: String,
    /// What is wrong, and what to write instead.
    pub why: String,
    /// The settings are refused; otherwise they work, but not as they may be meant.
    pub is_error: bool,
}

/// The world a user's settings are checked against.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The dial plan.
    pub router: &'a Router,
    /// Who exists, and the settings of the others.
    pub directory: &'a dyn Directory,
}

impl UserProfile {
    /// Everything that is wrong with these settings of this user, whose dialled numbers go through this location profile.
    pub fn problems(&self, user: &UserUri, location_profile: Option<&str>, world: World<'_>) -> Vec<ProfileProblem> {
        let mut check = Check { user, location_profile, world, problems: Vec::new() };
        check.times(self);
        check.places(self);
        check.helpers("team", &self.team);
        check.helpers("delegates", &self.delegates);
        if self.delegates_only && self.delegates.is_empty() {
            let why = "nobody would ever ring; name delegates or leave delegates_only out";
            check.error("delegates_only", "true", why);
        }
        check.forwarding_circle(self);
        check.problems
    }
}

/// Settings on their way through the checks.
struct Check<'a> {
    user: &'a UserUri,
    location_profile: Option<&'a str>,
    world: World<'a>,
    problems: Vec<ProfileProblem>,
}

impl Check<'_> {
    fn error(&mut self, key: &'static str, value: impl Into<String>, why: impl Into<String>) {
        self.problems.push(ProfileProblem { key, value: value.into(), why: why.into(), is_error: true });
    }

    fn warn(&mut self, key: &'static str, value: impl Into<String>, why: impl Into<String>) {
        self.problems.push(ProfileProblem { key, value: value.into(), why: why.into(), is_error: false });
    }

    fn times(&mut self, profile: &UserProfile) {
        if !(1..=UserProfile::RING_SECONDS_MAX).contains(&profile.ring_seconds) {
            let why = format!("write 1 to {} seconds", UserProfile::RING_SECONDS_MAX);
            self.error("ring_seconds", profile.ring_seconds.to_string(), why);
        }
        if profile.team_delay_seconds > UserProfile::TEAM_DELAY_SECONDS_MAX {
            let why = format!("write 0 to {} seconds", UserProfile::TEAM_DELAY_SECONDS_MAX);
            self.error("team_delay_seconds", profile.team_delay_seconds.to_string(), why);
        }
        let has_redirection = profile.forward_no_answer.is_some() || profile.voicemail.is_some();
        if !profile.team.is_empty() && has_redirection && profile.team_delay_seconds >= profile.ring_seconds {
            let why = "the team would never ring, because ring_seconds are over before; write less than ring_seconds";
            self.error("team_delay_seconds", profile.team_delay_seconds.to_string(), why);
        }
    }

    fn places(&mut self, profile: &UserProfile) {
        let places = [
            ("simultaneous_ring", &profile.simultaneous_ring),
            ("forward_always", &profile.forward_always),
            ("forward_no_answer", &profile.forward_no_answer),
            ("forward_busy", &profile.forward_busy),
            ("voicemail", &profile.voicemail),
        ];
        for (key, place) in places {
            if let Some(place) = place {
                self.place(key, place.expose());
            }
        }
    }

    fn place(&mut self, key: &'static str, place: &str) {
        match self.verdict(place) {
            Verdict::LocalUser(there) if there == *self.user => {
                self.error(key, place, "it is the user himself; name somebody else or leave it out");
            }
            Verdict::LocalUser(_) | Verdict::Trunk { .. } | Verdict::External(_) => {}
            Verdict::Conference(_) => {
                self.error(key, place, "it is a conference, which nobody can be sent to; name a user or a number");
            }
            Verdict::Refused(why @ (RefusedTarget::NoTrunk | RefusedTarget::PrefixDenied)) => {
                self.warn(key, place, format!("{why}, so nobody will ring there; add a [[trunk]] that carries it"));
            }
            Verdict::Refused(RefusedTarget::UnknownUser) => {
                let why = "no user here has this address or number; name one, or a number outside (a response group cannot \
                           be a target)";
                self.error(key, place, why);
            }
            Verdict::Refused(why) => {
                let remedy = "write the sip: address of a [[user]], or a number as +14255550122";
                self.error(key, place, format!("{why}; {remedy}"));
            }
        }
    }

    fn verdict(&self, place: &str) -> Verdict {
        let target = Target { requester: Some(self.user), profile: self.location_profile, target: place };
        self.world.router.route(target, self.world.directory).verdict
    }

    fn helpers(&mut self, key: &'static str, helpers: &[UserUri]) {
        if helpers.len() > UserProfile::HELPERS_MAX {
            let why = format!("at most {} users; leave some out", UserProfile::HELPERS_MAX);
            self.error(key, format!("{} users", helpers.len()), why);
        }
        let mut seen = BTreeSet::new();
        for helper in helpers {
            let value = helper.as_str();
            if helper == self.user {
                self.error(key, value, "it is the user himself; leave him out, his own devices ring anyway");
            } else if !self.world.directory.is_user(helper) {
                self.error(key, value, "there is no [[user]] with this uri; correct it or add the account");
            } else if !seen.insert(helper) {
                self.error(key, value, "it is named twice; leave one out");
            }
        }
    }

    /// A forwards every call to B and B to A: nobody could reach either of them. A circle of other redirections is
    /// allowed, since colleagues stand in for each other; a call goes round it once at most.
    fn forwarding_circle(&mut self, profile: &UserProfile) {
        let Some(first) = &profile.forward_always else { return };
        let mut circle = vec![self.user.clone()];
        let mut next = self.forwarded_to(self.user, self.location_profile, first);
        while let Some(user) = next {
            if user == *self.user && circle.len() > 1 {
                let names: Vec<&str> = circle.iter().map(UserUri::as_str).collect();
                let why = format!(
                    "it leads in a circle ({}, and back); let one of them ring or forward elsewhere",
                    names.join(", then ")
                );
                return self.error("forward_always", first.expose(), why);
            }
            if circle.contains(&user) {
                return;
            }
            next = self
                .world
                .directory
                .user_profile(&user)
                .and_then(|profile| profile.forward_always.as_ref())
                .and_then(|place| self.forwarded_to(&user, None, place));
            circle.push(user);
        }
    }

    fn forwarded_to(&self, by: &UserUri, location_profile: Option<&str>, place: &Pii) -> Option<UserUri> {
        let target = Target { requester: Some(by), profile: location_profile, target: place.expose() };
        match self.world.router.route(target, self.world.directory).verdict {
            Verdict::LocalUser(user) => Some(user),
            _ => None,
        }
    }
}
