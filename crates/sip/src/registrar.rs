//! Who is reachable where (RFC 3261 10.3): the bindings of our users. A pure machine; time and flow are arguments.
//!
//! A request that reaches it has been authenticated and its To belongs to the user. It changes all bindings of the
//! request or none.

use std::collections::{BTreeSet, HashMap};

use base::{Duration, Timestamp, UserUri};
use sip_api::{Binding, Flow, NameAddr, Request, Response, Scheme, SipUri};

use crate::config::RegistrationTimes;
use crate::registration::Registration;

/// The bindings of all users.
pub(crate) struct Registrar {
    times: RegistrationTimes,
    per_user: usize,
    users: HashMap<UserUri, Vec<Entry>>,
    /// When the first device of each user expires; one entry for each of `users`.
    deadlines: BTreeSet<(Timestamp, UserUri)>,
}

#[derive(Clone, Debug)]
struct Entry {
    binding: Binding,
    call_id: String,
    cseq: u32,
    expires: Timestamp,
}

/// One Contact of a REGISTER.
struct Wish {
    binding: Binding,
    /// Zero removes the binding.
    lifetime: Duration,
}

impl Registrar {
    /// An empty registrar.
    pub(crate) fn new(times: RegistrationTimes, per_user: usize) -> Self {
        Self { times, per_user, users: HashMap::new(), deadlines: BTreeSet::new() }
    }

    /// Carries out a REGISTER of `user`; the answer, and whether his devices changed.
    pub(crate) fn register(
        &mut self,
        now: Timestamp,
        user: &UserUri,
        request: &Request,
        flow: Flow,
    ) -> (Response, bool) {
        let before = self.bindings(user);
        self.keep(user, |entry| entry.expires > now);
        let response = match self.apply(now, user, request, flow) {
            Err(refusal) => refusal,
            Ok(entries) => {
                let response = success(now, request, &entries);
                self.set(user, entries);
                response
            }
        };
        (response, self.bindings(user) != before)
    }

    /// The devices of a user, best first.
    pub(crate) fn bindings(&self, user: &UserUri) -> Vec<Binding> {
        let mut bindings: Vec<Binding> =
            self.users.get(user).into_iter().flatten().map(|entry| entry.binding.clone()).collect();
        bindings.sort_by_key(|binding| std::cmp::Reverse(binding.preference));
        bindings
    }

    /// The devices of a user with all that must last.
    pub(crate) fn registrations(&self, now: Timestamp, user: &UserUri) -> Vec<Registration> {
        let entries = self.users.get(user).into_iter().flatten();
        entries
            .map(|entry| Registration {
                user: user.clone(),
                binding: entry.binding.clone(),
                call_id: entry.call_id.clone(),
                cseq: entry.cseq,
                lifetime: entry.expires.since(now),
            })
            .collect()
    }

    /// Takes a device back that an earlier process knew, whose lifetime counts from `since`; whether it is registered
    /// now by this. A device that has registered itself meanwhile knows better.
    pub(crate) fn restore(&mut self, now: Timestamp, since: Timestamp, kept: Registration) -> bool {
        let Registration { user, binding, call_id, cseq, lifetime } = kept;
        let expires = since + lifetime.min(self.times.max);
        let mut entries = self.users.get(&user).cloned().unwrap_or_default();
        let is_known = entries.iter().any(|entry| same_device(&entry.binding, &binding));
        if expires <= now || is_known || entries.len() >= self.per_user {
            return false;
        }
        entries.push(Entry { binding, call_id, cseq, expires });
        self.set(&user, entries);
        true
    }

    /// Forgets what has expired; the users whose devices changed.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Vec<UserUri> {
        let mut changed = Vec::new();
        while let Some((_, user)) = self.deadlines.first().filter(|(at, _)| *at <= now).cloned() {
            self.keep(&user, |entry| entry.expires > now);
            changed.push(user);
        }
        changed
    }

    /// Forgets what was registered over a connection that is closed now: nobody can be reached over it any more
    /// (RFC 5626 in spirit). The users whose devices changed.
    pub(crate) fn connection_closed(&mut self, flow: &Flow) -> Vec<UserUri> {
        let over_it = |entries: &[Entry]| entries.iter().any(|entry| entry.binding.flow == *flow);
        let users = self.users.iter().filter(|(_, entries)| over_it(entries));
        let changed: Vec<UserUri> = users.map(|(user, _)| user.clone()).collect();
        changed.iter().for_each(|user| self.keep(user, |entry| entry.binding.flow != *flow));
        changed
    }

    /// When the next binding expires.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// How many devices are registered.
    pub(crate) fn len(&self) -> usize {
        self.users.values().map(Vec::len).sum()
    }

    fn keep(&mut self, user: &UserUri, keep: impl Fn(&Entry) -> bool) {
        let Some(entries) = self.users.get(user) else { return };
        if !entries.iter().all(&keep) {
            let kept = entries.iter().filter(|entry| keep(entry)).cloned().collect();
            self.set(user, kept);
        }
    }

    /// Replaces the devices of a user.
    fn set(&mut self, user: &UserUri, entries: Vec<Entry>) {
        if let Some(before) = self.users.remove(user).and_then(|entries| first_expiry(&entries)) {
            self.deadlines.remove(&(before, user.clone()));
        }
        if let Some(next) = first_expiry(&entries) {
            self.deadlines.insert((next, user.clone()));
            self.users.insert(user.clone(), entries);
        }
    }

    /// The entries the user will have, or the refusal.
    fn apply(&self, now: Timestamp, user: &UserUri, request: &Request, flow: Flow) -> Result<Vec<Entry>, Response> {
        let mut entries = self.users.get(user).cloned().unwrap_or_default();
        let (call_id, cseq) = (request.call_id(), request.cseq().unwrap_or(0));
        // RFC 3261 10.3, steps 6 and 7: a request that is older than what it would change fails as a whole.
        let outdated = |entry: &Entry| entry.call_id == call_id && cseq <= entry.cseq;
        if request.headers.values("Contact").contains(&"*") {
            let alone = request.headers.values("Contact").len() == 1;
            if !alone || request.headers.get("Expires") != Some("0") || entries.iter().any(outdated) {
                return Err(refusal(400, "Contact: * needs Expires: 0 and stands alone"));
            }
            return Ok(Vec::new());
        }
        for wish in self.wishes(request, flow)? {
            let known = entries.iter().position(|entry| same_device(&entry.binding, &wish.binding));
            if known.is_some_and(|index| outdated(&entries[index])) {
                return Err(refusal(400, "CSeq is not higher than before"));
            }
            if let Some(index) = known {
                entries.remove(index);
            }
            if !wish.lifetime.is_zero() {
                let expires = now + wish.lifetime;
                entries.push(Entry { binding: wish.binding, call_id: call_id.to_owned(), cseq, expires });
            }
        }
        if entries.len() > self.per_user {
            return Err(refusal(403, "Too many devices"));
        }
        Ok(entries)
    }

    fn wishes(&self, request: &Request, flow: Flow) -> Result<Vec<Wish>, Response> {
        let headers = &request.headers;
        let path = headers.name_addrs("Path").map_err(|_| refusal(400, "malformed Path"))?;
        let contacts = headers.name_addrs("Contact").map_err(|_| refusal(400, "malformed Contact"))?;
        let general = headers.get("Expires").map(|text| self.seconds(text));
        contacts.into_iter().map(|contact| self.wish(contact, general, &path, flow)).collect()
    }

    fn wish(
        &self,
        contact: NameAddr,
        general: Option<Duration>,
        path: &[NameAddr],
        flow: Flow,
    ) -> Result<Wish, Response> {
        if contact.uri.scheme == Scheme::Tel || contact.uri.user.is_none() && contact.uri.host.is_empty() {
            return Err(refusal(400, "Contact must be a SIP URI"));
        }
        let own = contact.param("expires").map(|text| self.seconds(text));
        let lifetime = own.or(general).unwrap_or(self.times.default);
        if !lifetime.is_zero() && lifetime < self.times.min {
            return Err(
                refusal(423, "Interval Too Brief").with_header("Min-Expires", self.times.min.as_secs().to_string())
            );
        }
        let instance = contact.param("+sip.instance").map(|value| value.trim_matches('"').to_owned());
        let preference = contact.param("q").map_or(1_000, preference);
        let binding = Binding { contact: contact.uri, path: path.to_vec(), flow, instance, preference };
        Ok(Wish { binding, lifetime: lifetime.min(self.times.max) })
    }

    /// A lifetime in seconds; one that cannot be read is the default (RFC 3261 20.19), one out of range the longest.
    fn seconds(&self, text: &str) -> Duration {
        match text.trim() {
            "" => self.times.default,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_or(self.times.max, Duration::from_secs)
            }
            _ => self.times.default,
        }
    }
}

fn first_expiry(entries: &[Entry]) -> Option<Timestamp> {
    entries.iter().map(|entry| entry.expires).min()
}

/// 200 with the list of what is registered now.
fn success(now: Timestamp, request: &Request, entries: &[Entry]) -> Response {
    let mut response = Response::new(200);
    for path in request.headers.get_all("Path") {
        response.headers.push("Path", path);
    }
    for Entry { binding, expires, .. } in entries {
        let seconds = expires.since(now).as_secs();
        let (whole, part) = (binding.preference / 1_000, binding.preference % 1_000);
        let mut value = format!("<{}>;expires={seconds};q={whole}.{part:03}", binding.contact);
        if let Some(instance) = &binding.instance {
            value.push_str(&format!(";+sip.instance=\"{instance}\""));
        }
        response.headers.push("Contact", value);
    }
    response
}

fn refusal(status: u16, phrase: &str) -> Response {
    let mut response = Response::new(status);
    response.reason = phrase.to_owned();
    response
}

/// Whether a registration replaces another: the same instance id, else the same URI.
fn same_device(one: &Binding, other: &Binding) -> bool {
    match (&one.instance, &other.instance) {
        (Some(one), Some(other)) => one == other,
        _ => same_uri(&one.contact, &other.contact),
    }
}

fn same_uri(one: &SipUri, other: &SipUri) -> bool {
    let sorted = |uri: &SipUri| {
        let mut uri = uri.clone();
        uri.params.sort();
        uri
    };
    sorted(one) == sorted(other)
}

/// `q` from 0 to 1 with up to three decimals, times 1000 (RFC 3261 20.10); anything else counts as 1.
fn preference(text: &str) -> u16 {
    match text.trim().split_once('.').unwrap_or((text.trim(), "")) {
        ("0", part) if part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{part:0<3}").parse().unwrap_or(1_000)
        }
        _ => 1_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_api::{Method, Transport};

    const START: Timestamp = Timestamp::from_millis(1_000);

    fn flow(port: u16) -> Flow {
        let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        Flow { transport: Transport::Tcp, local: address(5060), remote: address(port) }
    }

    struct World {
        registrar: Registrar,
        user: UserUri,
        cseq: u32,
    }

    impl World {
        fn new() -> Self {
            let user = UserUri::parse("sip:ann@example.com").expect("valid");
            Self { registrar: Registrar::new(RegistrationTimes::default(), 3), user, cseq: 0 }
        }

        fn register(&mut self, now: Timestamp, headers: &[(&str, &str)]) -> (u16, bool) {
            self.cseq += 1;
            let cseq = self.cseq;
            self.register_as(now, cseq, headers)
        }

        fn register_as(&mut self, now: Timestamp, cseq: u32, headers: &[(&str, &str)]) -> (u16, bool) {
            let mut request = Request::new(Method::Register, SipUri::sip(None, "example.com", None));
            request.headers.push("Call-ID", "c");
            request.headers.push("CSeq", format!("{cseq} REGISTER"));
            headers.iter().for_each(|(name, value)| request.headers.push(name, *value));
            let (response, changed) = self.registrar.register(now, &self.user, &request, flow(1));
            (response.status, changed)
        }

        fn contacts(&self) -> Vec<String> {
            let bindings = self.registrar.bindings(&self.user);
            bindings.iter().map(|binding| binding.contact.to_string()).collect()
        }
    }

    #[test]
    fn devices_come_refresh_and_go() {
        let mut world = World::new();
        let contact = ("Contact", "<sip:ann@10.0.0.1:5060>");
        assert_eq!(world.register(START, &[contact]), (200, true));
        assert_eq!(world.register(START, &[contact, ("Expires", "120")]), (200, false), "a refresh changes nothing");
        assert_eq!(world.register(START, &[]), (200, false), "a query changes nothing");
        assert_eq!(world.registrar.next_expiry(), Some(START + Duration::from_secs(120)));
        assert_eq!(world.register(START, &[("m", "<sip:ann@10.0.0.2>;q=0.7, <sip:ann@10.0.0.3>;q=0.75")]), (200, true));
        assert_eq!(world.contacts(), ["sip:ann@10.0.0.1:5060", "sip:ann@10.0.0.3", "sip:ann@10.0.0.2"]);
        assert_eq!(world.register(START, &[("Contact", "<sip:ann@10.0.0.2>;expires=0")]), (200, true));
        assert_eq!(world.register(START, &[("Contact", "*"), ("Expires", "0")]), (200, true));
        assert_eq!((world.contacts().len(), world.registrar.len()), (0, 0));
    }

    #[test]
    fn lifetimes_are_kept_in_bounds() {
        let mut world = World::new();
        for (value, status, seconds) in [
            ("59", 423, None),
            ("60", 200, Some(60)),
            ("999999999999999999999999", 200, Some(3600)),
            ("nonsense", 200, Some(600)),
            ("7200", 200, Some(3600)),
        ] {
            let answer = world.register(START, &[("Contact", "<sip:ann@10.0.0.1>"), ("Expires", value)]);
            assert_eq!(answer.0, status, "{value}");
            let expected = seconds.map(|seconds| START + Duration::from_secs(seconds));
            assert_eq!(world.registrar.next_expiry(), expected, "{value}");
            world.registrar.expire(START + Duration::from_secs(9_999));
        }
    }

    #[test]
    fn an_old_request_changes_nothing() {
        let mut world = World::new();
        assert_eq!(world.register_as(START, 5, &[("Contact", "<sip:ann@10.0.0.1>")]), (200, true));
        assert_eq!(world.register_as(START, 5, &[("Contact", "<sip:ann@10.0.0.1>;expires=0")]), (400, false));
        let two = [("Contact", "<sip:ann@10.0.0.9>"), ("Contact", "<sip:ann@10.0.0.1>")];
        assert_eq!(world.register_as(START, 4, &two), (400, false));
        assert_eq!(world.register_as(START, 4, &[("Contact", "*"), ("Expires", "0")]), (400, false));
        assert_eq!(world.contacts(), ["sip:ann@10.0.0.1"], "all or nothing");
    }

    #[test]
    fn the_same_instance_replaces_itself() {
        let mut world = World::new();
        let contact = |host: &str| format!("<sip:ann@{host}>;+sip.instance=\"<urn:uuid:1>\"");
        world.register(START, &[("Contact", &contact("10.0.0.1"))]);
        assert_eq!(world.register(START, &[("Contact", &contact("10.0.0.2"))]), (200, true));
        assert_eq!(world.contacts(), ["sip:ann@10.0.0.2"]);
        assert_eq!(world.registrar.bindings(&world.user)[0].instance.as_deref(), Some("<urn:uuid:1>"));
    }

    #[test]
    fn a_device_goes_on_in_the_next_process_where_it_was() {
        let mut world = World::new();
        world.register(START, &[("Contact", "<sip:ann@10.0.0.1>;expires=100")]);
        let later = START + Duration::from_secs(40);
        let kept = world.registrar.registrations(later, &world.user);
        assert_eq!((kept.len(), kept[0].lifetime, kept[0].cseq), (1, Duration::from_secs(60), 1));
        let mut next = World::new();
        let mut restore = |now, kept: &Registration| next.registrar.restore(now, START, kept.clone());
        assert!(!restore(START + Duration::from_secs(60), &kept[0]), "its time is over");
        assert!(restore(later, &kept[0]));
        assert!(!restore(later, &kept[0]), "it is there");
        assert_eq!(next.contacts(), ["sip:ann@10.0.0.1"]);
        assert_eq!(next.registrar.next_expiry(), Some(START + Duration::from_secs(60)));
        let gone = [("Contact", "<sip:ann@10.0.0.1>;expires=0")];
        assert_eq!(next.register_as(later, 1, &gone), (400, false), "a request of before is still an old one");
        assert_eq!(next.register_as(later, 2, &gone), (200, true));
    }

    #[test]
    fn refusals() {
        let mut world = World::new();
        for (headers, status) in [
            (vec![("Contact", "*")], 400),
            (vec![("Contact", "*"), ("Contact", "<sip:a@b>"), ("Expires", "0")], 400),
            (vec![("Contact", "<name:John>")], 400),
            (vec![("Contact", "<tel:+1>")], 400),
            (vec![("Contact", "<sip:a@b>"), ("Path", "nonsense")], 400),
            (vec![("Contact", "<sip:a@1>,<sip:a@2>,<sip:a@3>,<sip:a@4>")], 403),
        ] {
            assert_eq!(world.register(START, &headers), (status, false), "{headers:?}");
        }
        assert_eq!(world.registrar.len(), 0);
    }

    #[test]
    fn time_and_closed_connections_take_devices_away() {
        let mut world = World::new();
        world.register(START, &[("Contact", "<sip:ann@10.0.0.1>;expires=60, <sip:ann@10.0.0.2>;expires=70")]);
        assert!(world.registrar.expire(START + Duration::from_secs(59)).is_empty());
        assert_eq!(world.registrar.expire(START + Duration::from_secs(60)), [world.user.clone()]);
        assert_eq!(world.contacts(), ["sip:ann@10.0.0.2"]);
        assert!(world.registrar.connection_closed(&flow(2)).is_empty());
        assert_eq!(world.registrar.connection_closed(&flow(1)), [world.user.clone()]);
        assert_eq!(world.contacts(), Vec::<String>::new());
    }
}
