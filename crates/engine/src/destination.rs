//! Where a call goes: the verdict of the dial plan as targets to ring.

use base::{Duration, Pii, Termination, TerminationReason, UserUri};
use call::{RingMode, Target};
use routing::{AttemptOutcome, Failover, RefusedTarget, TrunkChoice, TrunkTarget, TrunkTransport, Verdict};
use sip_api::{NameAddr, SipUri};

use crate::{Directory, Engine, EngineConfig};

/// How long a trunk may say nothing at all before the next one is tried (routing.md 5.3).
const TRUNK_SILENCE_LIMIT: Duration = Duration::from_secs(5);

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Every device of a user of this server.
    Devices(UserUri),
    /// The telephone network, by these trunks in order.
    Trunks {
        /// The global number.
        number: Pii,
        /// The extension behind it.
        extension: Option<String>,
        /// The trunks that have not been tried.
        left: Vec<TrunkChoice>,
    },
    /// A user of another server.
    External(UserUri),
}

/// What a verdict of the dial plan means for a call to a person.
#[derive(Debug)]
pub(crate) enum Found {
    /// He can be rung.
    Person(Destination),
    /// It is a conference, which nobody rings.
    Conference(base::ConferenceNumber),
    /// Nowhere.
    Nobody(RefusedTarget),
}

/// Whom to ring now.
#[derive(Debug)]
pub(crate) struct Ring {
    /// The targets; at least one.
    pub(crate) targets: Vec<RingTarget>,
    /// In which order.
    pub(crate) mode: RingMode,
    /// How long, if the callee's settings say so.
    pub(crate) limit: Option<Duration>,
}

/// One place to ring.
#[derive(Debug)]
pub(crate) struct RingTarget {
    /// Where.
    pub(crate) target: Target,
    /// Who answers there.
    pub(crate) who: Answerer,
    /// The name of the trunk it goes out by, if it does.
    pub(crate) trunk: Option<String>,
}

/// Who it is that answers at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answerer {
    /// Whom the call goes to.
    Callee,
    /// He himself at the place of his simultaneous ring: a number as `tel:`, or a user of another server.
    Elsewhere(UserUri),
    /// Another user, who rings for him.
    Helper(UserUri),
}

impl Answerer {
    /// Who that is, of a call to `callee`: a user, or a number as `tel:`.
    pub(crate) fn person(&self, callee: &Destination) -> Option<UserUri> {
        match self {
            Self::Callee => callee.person(),
            Self::Elsewhere(person) | Self::Helper(person) => Some(person.clone()),
        }
    }
}

impl Ring {
    /// All targets at once.
    pub(crate) fn at_once(targets: Vec<RingTarget>) -> Option<Self> {
        (!targets.is_empty()).then_some(Self { targets, mode: RingMode::Parallel, limit: None })
    }

    /// How long each target may send nothing at all: a trunk that is down must make room for the next one.
    pub(crate) fn silence_limit(&self) -> Option<Duration> {
        self.targets.iter().all(|target| target.trunk.is_some()).then_some(TRUNK_SILENCE_LIMIT)
    }

    /// Who is called, as `To` shows him.
    pub(crate) fn to(&self, display_name: Option<String>) -> NameAddr {
        let uri = self.targets.first().map(|first| first.target.uri.clone());
        NameAddr { display_name, uri: uri.unwrap_or_else(|| SipUri::sip(None, "invalid", None)), params: Vec::new() }
    }
}

impl Destination {
    /// One text for each place, to recognise it by.
    pub(crate) fn place(&self) -> &str {
        match self {
            Self::Devices(user) | Self::External(user) => user.as_str(),
            Self::Trunks { number, .. } => number.expose(),
        }
    }

    /// Who is there: a user, or a number as `tel:`.
    pub(crate) fn person(&self) -> Option<UserUri> {
        match self {
            Self::Devices(user) | Self::External(user) => Some(user.clone()),
            Self::Trunks { number, .. } => UserUri::parse(&format!("tel:{}", number.expose())).ok(),
        }
    }

    /// Whom to ring next, whatever the user's settings are; `None` when no device is registered or no trunk is left.
    pub(crate) fn next_ring(&mut self, directory: &Directory) -> Option<Ring> {
        let (targets, trunk) = match self {
            Self::Devices(user) => (devices(directory, user), None),
            Self::External(user) => (SipUri::parse(user.as_str()).map(Target::new).into_iter().collect(), None),
            Self::Trunks { left, .. } if left.is_empty() => return None,
            Self::Trunks { number, extension, left } => {
                let trunk = left.remove(0);
                let credentials = directory.trunk_credentials(&trunk.name).cloned();
                let uri = trunk_uri(number, extension.as_deref(), &trunk);
                (vec![Target { credentials, ..Target::new(uri) }], Some(trunk.name))
            }
        };
        Ring::at_once(
            targets
                .into_iter()
                .map(|target| RingTarget { target, who: Answerer::Callee, trunk: trunk.clone() })
                .collect(),
        )
    }

    /// How long each of several trunks may send nothing at all to somebody who is rung for `ring`: each leaves the others
    /// their share, and the last one some time to ring. `None` where one trunk at most leads.
    pub(crate) fn trunk_patience(&self, ring: Duration) -> Option<Duration> {
        let shares = u32::try_from(routing::TRUNK_ATTEMPTS_MAX).unwrap_or(u32::MAX).saturating_add(1);
        let several = matches!(self, Self::Trunks { left, .. } if left.len() > 1);
        several.then(|| TRUNK_SILENCE_LIMIT.min(ring / shares))
    }

    /// Whether an attempt failed in a way that lets the next trunk try. `rang` forbids it: the far end was reached.
    pub(crate) fn has_another_way(&self, termination: Termination, status: Option<u16>, rang: bool) -> bool {
        let outcome = match (status, termination.reason) {
            (Some(status), _) => AttemptOutcome::Response { status },
            (None, TerminationReason::TransportFailed) => AttemptOutcome::TransportFailed,
            (None, _) => AttemptOutcome::Timeout,
        };
        let trunks_left = matches!(self, Self::Trunks { left, .. } if !left.is_empty());
        trunks_left && routing::failover(outcome, rang) == Failover::TryNext
    }
}

/// Who exists, and by which names this server goes: what it takes to find the way of a call.
#[derive(Clone, Copy)]
pub(crate) struct Guide<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) config: &'a EngineConfig,
}

impl Guide<'_> {
    /// Where a target goes when this user asks for it. Who has no account here asks as anonymous, whatever he is called.
    pub(crate) fn find(&self, requester: Option<&UserUri>, target: &str) -> Found {
        let requester = requester.filter(|requester| self.directory.user(requester).is_some());
        self.found(self.directory.route(requester, target))
    }

    /// What a verdict means for a call to a person.
    pub(crate) fn found(&self, routing: routing::Routing) -> Found {
        match routing.verdict {
            Verdict::LocalUser(user) => Found::Person(Destination::Devices(user)),
            Verdict::Trunk { number, extension, trunks } => {
                Found::Person(Destination::Trunks { number, extension, left: trunks })
            }
            Verdict::External(user) => Found::Person(Destination::External(user)),
            Verdict::Conference(number) => Found::Conference(number),
            Verdict::Refused(why) => Found::Nobody(why),
        }
    }

    /// A URI as the dial plan wants it: every name and address of this server is its domain, the port is dropped.
    pub(crate) fn dialled(&self, uri: &SipUri) -> String {
        let mut uri = SipUri { headers: None, ..uri.clone() };
        if self.config.is_own_host(&uri.host) {
            uri.host.clone_from(&self.config.domain);
            uri.port = None;
        }
        uri.to_string()
    }

    /// What was dialled, for a record: the user part at a name of this server, else the URI.
    pub(crate) fn address(&self, uri: &SipUri) -> String {
        let here = uri.user.clone().filter(|_| self.config.is_own_host(&uri.host));
        here.unwrap_or_else(|| SipUri { headers: None, ..uri.clone() }.to_string())
    }

    /// A place of a user's settings, by his rights.
    pub(crate) fn find_place(&self, user: &UserUri, place: &Pii) -> Option<Destination> {
        let text = SipUri::parse(place.expose()).map_or_else(|_| place.expose().to_owned(), |uri| self.dialled(&uri));
        match self.find(Some(user), &text) {
            Found::Person(destination) => Some(destination),
            Found::Conference(_) | Found::Nobody(_) => None,
        }
    }
}

impl Engine {
    pub(crate) fn guide(&self) -> Guide<'_> {
        Guide { directory: &self.directory, config: &self.config }
    }

    /// Where a target goes when this user asks for it; see [`Guide::find`].
    pub(crate) fn find(&self, requester: Option<&UserUri>, target: &str) -> Found {
        self.guide().find(requester, target)
    }

    /// A URI as the dial plan wants it; see [`Guide::dialled`].
    pub(crate) fn dialled(&self, uri: &SipUri) -> String {
        self.guide().dialled(uri)
    }
}

/// The registered devices of a user as targets, best first.
pub(crate) fn devices(directory: &Directory, user: &UserUri) -> Vec<Target> {
    let device = |binding: &sip_api::Binding| Target {
        flow: Some(binding.flow),
        route: binding.path.clone(),
        owner: Some(user.clone()),
        ..Target::new(binding.contact.clone())
    };
    directory.bindings(user).iter().map(device).collect()
}

/// The extension stands in the user part, as in a `tel:` URI (RFC 3261 19.1.6).
fn trunk_uri(number: &Pii, extension: Option<&str>, trunk: &TrunkChoice) -> SipUri {
    let extension = extension.map(|digits| format!(";ext={digits}")).unwrap_or_default();
    let mut uri = trunk_address(&trunk.target);
    uri.user = Some(format!("{}{extension}", number.expose()));
    uri.set_param("user", Some("phone"));
    uri
}

/// A trunk itself, without a number behind it.
pub(crate) fn trunk_address(target: &TrunkTarget) -> SipUri {
    let mut uri = SipUri::sip(None, &target.host, target.port);
    let transport = match target.transport {
        TrunkTransport::Udp => "udp",
        TrunkTransport::Tcp => "tcp",
        TrunkTransport::Tls => "tls",
    };
    uri.set_param("transport", Some(transport));
    uri
}
