//! The dial plan: from a target to a verdict.

use std::collections::BTreeMap;

use base::{ConferenceNumber, Pii, UserUri};

use crate::clean::{Cleaned, clean, looks_like_number};
use crate::number::{Normalized, Number};
use crate::profile::LocationProfile;
use crate::trunk::{Trunk, choose_trunks};
use crate::user_profile::UserProfile;
use crate::verdict::{RefusedTarget, Routing, Verdict};

/// The profile of a user who has none of his own.
pub const DEFAULT_PROFILE: &str = "default";

/// Who and what exists here; asked for each target, because conferences come and go.
pub trait Directory {
    /// Whether this address of record (`sip:` form) is a user of this server.
    fn is_user(&self, user: &UserUri) -> bool;
    /// The user whose telephone number (`+` first) or extension this is.
    fn user_of_number(&self, number: &str) -> Option<UserUri>;
    /// Whether this is the number of a conference of this server.
    fn is_conference(&self, number: &ConferenceNumber) -> bool;
    /// The call-routing settings of a user, if he has any.
    fn user_profile(&self, _user: &UserUri) -> Option<&UserProfile> {
        None
    }
}

/// The dial plan.
#[derive(Clone, Debug, Default)]
pub struct Router {
    /// Domains and addresses of this server, lower case.
    pub domains: Vec<String>,
    /// Location profiles by name; a user without one has [`DEFAULT_PROFILE`].
    pub profiles: BTreeMap<String, LocationProfile>,
    /// Trunks in order of preference.
    pub trunks: Vec<Trunk>,
    /// Calls to other servers are allowed.
    pub allow_external_sip: bool,
}

/// A target and who wants it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The authenticated user who asks; `None` for anonymous.
    pub requester: Option<&'a UserUri>,
    /// The name of his location profile; `None` for [`DEFAULT_PROFILE`].
    pub profile: Option<&'a str>,
    /// A dialled string, a `sip:`, `sips:` or `tel:` URI.
    pub target: &'a str,
}

impl Router {
    /// Where the target goes, and why. Numbers are normalised before they are judged, users and conferences of this
    /// server come before trunks (a call to a colleague does not go out and back), and what nothing allows is refused.
    pub fn route(&self, target: Target<'_>, directory: &dyn Directory) -> Routing {
        let mut inquiry = Inquiry { router: self, target, directory, explanation: Vec::new() };
        let verdict = inquiry.decide().unwrap_or_else(Verdict::Refused);
        inquiry.explain(match &verdict {
            Verdict::LocalUser(user) => format!("It goes to the user {user}."),
            Verdict::Conference(number) => format!("It goes to the conference {number}."),
            Verdict::Trunk { number, trunks, .. } => {
                let names: Vec<&str> = trunks.iter().map(|trunk| trunk.name.as_str()).collect();
                format!("{number} goes out by {}.", names.join(", then "))
            }
            Verdict::External(user) => format!("It goes to another server, {}, because that is allowed.", user.host()),
            Verdict::Refused(why) => format!("It is refused: {why}."),
        });
        Routing { verdict, explanation: inquiry.explanation }
    }
}

/// One question on its way through the plan.
struct Inquiry<'a> {
    router: &'a Router,
    target: Target<'a>,
    directory: &'a dyn Directory,
    explanation: Vec<String>,
}

impl<'a> Inquiry<'a> {
    fn explain(&mut self, sentence: String) {
        self.explanation.push(sentence);
    }

    fn decide(&mut self) -> Result<Verdict, RefusedTarget> {
        let text = self.target.target.trim();
        match text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
            Some("sip" | "sips") => self.decide_uri(text),
            _ if looks_like_number(text) => self.decide_number(text),
            Some("tel") => self.decide_number(text),
            _ => self.decide_name(text),
        }
    }

    /// A `sip:` or `sips:` URI.
    fn decide_uri(&mut self, text: &str) -> Result<Verdict, RefusedTarget> {
        let uri = UserUri::parse(text).map_err(|_| RefusedTarget::Unreadable)?;
        if !text.contains('@') {
            return Err(RefusedTarget::Unreadable);
        }
        if is_service(&uri) {
            return Err(RefusedTarget::Service);
        }
        if !self.router.domains.iter().any(|domain| domain == uri.host()) {
            self.explain(format!("{} is not a domain of this server.", uri.host()));
            return self.decide_external(uri);
        }
        let user = uri.user_part();
        if let Some(verdict) = self.find_user(user, uri.host()) {
            return Ok(verdict);
        }
        if looks_like_number(user) {
            return self.decide_number(user);
        }
        Err(RefusedTarget::UnknownUser)
    }

    /// A bare name: a user of our first domain.
    fn decide_name(&mut self, text: &str) -> Result<Verdict, RefusedTarget> {
        if text.contains('@') {
            return self.decide_uri(&format!("sip:{text}"));
        }
        self.find_user_here(text).ok_or(RefusedTarget::Unreadable)
    }

    fn find_user_here(&mut self, user: &str) -> Option<Verdict> {
        let router: &'a Router = self.router;
        self.find_user(user, router.domains.first()?)
    }

    fn find_user(&mut self, user: &str, domain: &str) -> Option<Verdict> {
        let user = UserUri::parse(&format!("sip:{user}@{domain}")).ok()?.address_of_record();
        if !self.directory.is_user(&user) {
            return None;
        }
        self.explain(format!("{user} is a user of this server."));
        Some(Verdict::LocalUser(user))
    }

    fn decide_external(&mut self, uri: UserUri) -> Result<Verdict, RefusedTarget> {
        if !self.router.allow_external_sip {
            return Err(RefusedTarget::ExternalDenied);
        }
        if self.target.requester.is_none() {
            return Err(RefusedTarget::NotAuthenticated);
        }
        Ok(Verdict::External(uri))
    }

    /// A dialled string.
    fn decide_number(&mut self, dialled: &str) -> Result<Verdict, RefusedTarget> {
        let cleaned = clean(dialled).map_err(RefusedTarget::InvalidNumber)?;
        let profile = self.profile(cleaned.context.as_deref());
        // A conference is reached by its number even where no profile exists (README, "Configuration").
        let emergency = profile.is_some_and(|profile| profile.is_emergency(&cleaned.digits));
        if !emergency && let Some(verdict) = self.find_here(&cleaned.digits) {
            return Ok(verdict);
        }
        let normalized = match profile {
            Some(profile) => self.normalize(profile, cleaned),
            None if self.names_unknown_profile() => return Err(RefusedTarget::UnknownProfile),
            None => global_only(cleaned),
        };
        match normalized.number {
            Number::Emergency(_) => Err(RefusedTarget::Emergency),
            Number::Invalid(why) => Err(RefusedTarget::InvalidNumber(why)),
            Number::Extension(digits) => self.find_number(digits.expose()).ok_or(RefusedTarget::UnknownUser),
            Number::E164(number) => match self.find_number(number.expose()) {
                Some(verdict) => Ok(verdict),
                None => self.decide_trunk(number, normalized.extension),
            },
        }
    }

    /// The profile a `phone-context` names, else the requester's, else the default.
    fn profile(&self, context: Option<&str>) -> Option<&'a LocationProfile> {
        let router: &'a Router = self.router;
        let by_context = context.and_then(|context| {
            router.profiles.iter().find(|(name, _)| {
                // `PROFILE` or `PROFILE@domain` (c3p.md 6.4).
                context.split('@').next().is_some_and(|context| context.eq_ignore_ascii_case(name))
            })
        });
        let own = || router.profiles.get_key_value(self.target.profile.unwrap_or(DEFAULT_PROFILE));
        by_context.or_else(own).map(|(_, profile)| profile)
    }

    /// Nobody configured a `default`; but a profile named for the user must exist.
    fn names_unknown_profile(&self) -> bool {
        self.target.profile.is_some_and(|name| name != DEFAULT_PROFILE)
    }

    fn normalize(&mut self, profile: &LocationProfile, cleaned: Cleaned) -> Normalized {
        let normalized = profile.normalize_cleaned(cleaned);
        let name = profile.name();
        self.explain(match (&normalized.number, normalized.rule) {
            (number, Some(rule)) => {
                let made = match number {
                    Number::E164(digits) => format!("the global number {digits}"),
                    Number::Extension(digits) => format!("the extension {digits}"),
                    _ => "something that is no number".to_owned(),
                };
                format!("Rule {} of profile {name} makes it {made}.", rule + 1)
            }
            (Number::E164(number), None) => format!("{number} is a global number already."),
            (Number::Emergency(_), None) => format!("It is an emergency number of profile {name}."),
            _ => format!("Profile {name} makes no number of it."),
        });
        normalized
    }

    /// A user or conference of this server with exactly this number.
    fn find_number(&mut self, digits: &str) -> Option<Verdict> {
        if let Some(user) = self.directory.user_of_number(digits) {
            self.explain(format!("The number belongs to {user}."));
            return Some(Verdict::LocalUser(user));
        }
        let number = ConferenceNumber::parse(digits.strip_prefix('+').unwrap_or(digits)).ok()?;
        if !self.directory.is_conference(&number) {
            return None;
        }
        self.explain(format!("{number} is the number of a conference."));
        Some(Verdict::Conference(number))
    }

    /// A user named by digits, or whatever has this number here.
    fn find_here(&mut self, digits: &str) -> Option<Verdict> {
        self.find_user_here(digits).or_else(|| self.find_number(digits))
    }

    fn decide_trunk(&mut self, number: Pii, extension: Option<String>) -> Result<Verdict, RefusedTarget> {
        if self.target.requester.is_none() {
            return Err(RefusedTarget::NotAuthenticated);
        }
        if self.router.trunks.is_empty() {
            return Err(RefusedTarget::NoTrunk);
        }
        let (trunks, sentences) = choose_trunks(&self.router.trunks, number.expose());
        self.explanation.extend(sentences);
        if trunks.is_empty() {
            return Err(RefusedTarget::PrefixDenied);
        }
        Ok(Verdict::Trunk { number, extension, trunks })
    }
}

/// Without any profile a global number is still one.
fn global_only(cleaned: Cleaned) -> Normalized {
    LocationProfile::without_rules().normalize_cleaned(cleaned)
}

/// Whether a URI names a focus, a factory or another server role (c3p.md 1.2) rather than a person's device.
fn is_service(uri: &UserUri) -> bool {
    let mut parameters = uri.as_str().split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    parameters.any(|(name, value)| {
        let value = value.to_ascii_lowercase();
        name.eq_ignore_ascii_case("opaque") && (value.starts_with("app:") || value.starts_with("srvr:"))
    })
}
