//! Where a call has been: loop protection, and the headers that tell it to whoever is rung next.

use base::{Pii, UserUri};
use routing::{DiversionReason, Ringing};
use sip_api::{Headers, NameAddr, SipUri};

use crate::EngineConfig;
use crate::destination::{Destination, Found, Guide};

/// How often one call may be sent elsewhere, by settings and by devices.
const DIVERSIONS_MAX: usize = 4;

/// Contacts of one redirection that are looked at.
const CONTACTS_MAX: usize = 8;

/// Entries of a peer's `History-Info` that are looked at.
const HISTORY_MAX: usize = 20;

/// Where a call has been, so that it goes nowhere twice.
#[derive(Debug)]
pub(crate) struct Diversions {
    /// Every place, and why the call left it; the last one is where it is.
    stops: Vec<Stop>,
    /// Places a trusted peer says the call has been at before it came here.
    before: Vec<String>,
    /// How many further hops `Max-Forwards` allows.
    hops: u8,
}

#[derive(Debug)]
struct Stop {
    place: String,
    left: Option<DiversionReason>,
}

/// Why a call cannot go on to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeadEnd {
    /// It has been there.
    Loop,
    /// It has been sent elsewhere too often.
    TooManyHops,
    /// Nobody can be reached there, or not by the rights of whoever sends the call.
    Nowhere,
}

impl DeadEnd {
    /// The SIP status that says so (RFC 3261 21.4).
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Loop => 482,
            Self::TooManyHops => 483,
            Self::Nowhere => 480,
        }
    }
}

impl Diversions {
    /// A call on its way to its first destination.
    pub(crate) fn starting_at(first: &Destination, hops: u8) -> Self {
        Self { stops: vec![Stop { place: first.place().to_owned(), left: None }], before: Vec::new(), hops }
    }

    /// A response group had the call before and sends it on.
    pub(crate) fn begin_at(&mut self, group: &UserUri) {
        self.stops.insert(0, Stop { place: group.to_string(), left: Some(DiversionReason::Unconditional) });
    }

    /// Takes up what a trusted peer says of the way before (RFC 7044). Others could keep a call from a mailbox by it.
    pub(crate) fn take_up(&mut self, headers: &Headers, config: &EngineConfig) {
        let entries = headers.name_addrs("History-Info").unwrap_or_default();
        // The last entry is where the call goes now.
        let left = entries.len().saturating_sub(1).min(HISTORY_MAX);
        let ours = entries[..left].iter().filter(|entry| config.is_own_host(&entry.uri.host));
        self.before = ours
            .filter_map(|entry| entry.uri.user.as_deref())
            .map(|user| match user.starts_with('+') {
                true => user.to_owned(),
                false => format!("sip:{user}@{}", config.domain),
            })
            .collect();
        self.before.retain(|before| Some(before.as_str()) != self.stops.first().map(|stop| stop.place.as_str()));
    }

    /// The first of some places the call may go on to; it is remembered.
    pub(crate) fn choose(
        &mut self,
        places: impl IntoIterator<Item = Destination>,
        reason: DiversionReason,
    ) -> Result<Destination, DeadEnd> {
        let mut why = DeadEnd::Nowhere;
        for place in places {
            match self.check(&place) {
                Ok(()) => {
                    self.go(&place, reason);
                    return Ok(place);
                }
                Err(dead_end) => why = dead_end,
            }
        }
        Err(why)
    }

    fn check(&self, next: &Destination) -> Result<(), DeadEnd> {
        let been = self.stops.iter().map(|stop| &stop.place).chain(&self.before);
        if been.into_iter().any(|been| been == next.place()) {
            return Err(DeadEnd::Loop);
        }
        let hops = self.before.len() + self.stops.len();
        if hops > DIVERSIONS_MAX || self.hops == 0 { Err(DeadEnd::TooManyHops) } else { Ok(()) }
    }

    fn go(&mut self, next: &Destination, reason: DiversionReason) {
        if let Some(here) = self.stops.last_mut() {
            here.left = Some(reason);
        }
        self.hops = self.hops.saturating_sub(1);
        self.stops.push(Stop { place: next.place().to_owned(), left: None });
    }

    /// How often the call has been sent elsewhere.
    pub(crate) fn count(&self) -> usize {
        self.stops.len() - 1
    }

    /// The headers of the next INVITE: `Max-Forwards`, and for a call that was sent elsewhere `History-Info` (RFC 7044)
    /// and `Diversion` (RFC 5806), the last diversion first.
    pub(crate) fn headers(&self, config: &EngineConfig) -> call::ExtraHeaders {
        let mut headers = vec![("Max-Forwards".to_owned(), self.hops.to_string())];
        if self.stops.len() < 2 {
            return headers;
        }
        for stop in self.stops.iter().rev() {
            let Some(reason) = stop.left else { continue };
            let value = format!("<{}>;reason={}", stop.uri(config), reason.word());
            headers.push(("Diversion".to_owned(), value));
        }
        headers.extend(self.history(config).into_iter().map(|entry| ("History-Info".to_owned(), entry)));
        headers
    }

    /// The same for somebody who rings for the user the call is at.
    pub(crate) fn helper_headers(&self, helper: &UserUri, why: &str, config: &EngineConfig) -> call::ExtraHeaders {
        let mut history = self.history(config);
        let parent = index(self.stops.len() - 1);
        history.push(format!("<{helper};ms-retarget-reason={why}>;index={parent}.1;mp={parent}"));
        // Those of the whole offer stand in every INVITE already.
        let shown = if self.stops.len() < 2 { 0 } else { history.len() - 1 };
        history.drain(..shown);
        history.into_iter().map(|entry| ("History-Info".to_owned(), entry)).collect()
    }

    fn history(&self, config: &EngineConfig) -> Vec<String> {
        let mut entries = Vec::new();
        let mut came: Option<DiversionReason> = None;
        for (position, stop) in self.stops.iter().enumerate() {
            let mut uri = stop.uri(config);
            if let Some(reason) = came {
                uri.set_param("cause", Some(&reason.cause().to_string()));
            }
            // A response is told as an escaped Reason header in the URI it came from (RFC 7044 5.2).
            let refused = stop.left.and_then(response_of);
            let reason = refused.map(|status| format!("?Reason=SIP%3Bcause%3D{status}")).unwrap_or_default();
            let parent = position.checked_sub(1).map(|parent| format!(";mp={}", index(parent))).unwrap_or_default();
            entries.push(format!("<{uri}{reason}>;index={}{parent}", index(position)));
            came = stop.left;
        }
        entries
    }
}

impl Stop {
    fn uri(&self, config: &EngineConfig) -> SipUri {
        // A number is a place in our domain: who calls it back comes to us.
        SipUri::parse(&self.place).unwrap_or_else(|_| SipUri::sip(Some(&self.place), &config.domain, None))
    }
}

/// The response behind a diversion, if a device or a timer of ours gave one.
const fn response_of(reason: DiversionReason) -> Option<u16> {
    match reason {
        DiversionReason::Busy => Some(486),
        DiversionReason::NoAnswer => Some(408),
        DiversionReason::Unavailable | DiversionReason::DoNotDisturb => Some(480),
        DiversionReason::Deflection => Some(302),
        DiversionReason::Unconditional => None,
    }
}

/// `1`, `1.1`, `1.1.1` ...: each stop is retargeted from the one before.
fn index(position: usize) -> String {
    format!("1{}", ".1".repeat(position))
}

/// The places a diversion leads to, best first.
pub(crate) fn places_of(guide: &Guide<'_>, user: &UserUri, diversion: &routing::Diversion) -> Vec<(Destination, bool)> {
    let first = (&diversion.place, diversion.to_voicemail);
    let mailbox = diversion.otherwise.as_ref().map(|mailbox: &Pii| (mailbox, true));
    let places = [Some(first), mailbox].into_iter().flatten();
    places.filter_map(|(place, voicemail)| Some((guide.find_place(user, place)?, voicemail))).collect()
}

/// Where a refusal of one device sends the call, best first, if it is a redirection that may be followed: to
/// somebody here or to the telephone network, as the dial plan says for `requester`. Only people divert calls; a
/// trunk that redirects has failed, and so has a device whose user's settings do not count (rule R3).
pub(crate) fn redirections(
    guide: &Guide<'_>,
    status: Option<u16>,
    headers: &Headers,
    settings: Option<&Ringing>,
    requester: Option<&UserUri>,
) -> Vec<Destination> {
    if !matches!(status, Some(301 | 302)) || !settings.is_some_and(|settings| settings.may_deflect) {
        return Vec::new();
    }
    let mut contacts = headers.name_addrs("Contact").unwrap_or_default();
    contacts.truncate(CONTACTS_MAX);
    contacts.sort_by_key(|contact| std::cmp::Reverse(preference(contact)));
    let places = contacts.iter().map(|contact| guide.find(requester, &guide.dialled(&contact.uri)));
    let followed = places.filter_map(|found| match found {
        Found::Person(place @ (Destination::Devices(_) | Destination::Trunks { .. })) => Some(place),
        Found::Person(Destination::External(_)) | Found::Conference(_) | Found::Nobody(_) => None,
    });
    followed.collect()
}

/// `q` in thousandths; 1.0 when it is absent or unreadable.
fn preference(contact: &NameAddr) -> u16 {
    let q: f32 = contact.param("q").and_then(|q| q.parse().ok()).unwrap_or(1.0);
    // A float outside the range saturates, and NaN becomes 0.
    (q * 1_000.0) as u16
}
