//! What the engine knows of the world: accounts, their registered devices, and the scheduled conferences.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

use base::{ConferenceId, ConferenceNumber, Duration, UserUri};
use call::Credentials;
use focus::ConferenceRecord;
use routing::{ProfileProblem, Router, Trunk, UserProfile, World};
use sip_api::{Binding, SipUri};

use crate::conference::entry_exit::EntryExit;
use crate::control::schedule::{Expiry, Schedule};

/// What the ids of permanent conferences begin with.
const PERMANENT: &str = "PERMANENT";

/// An account of this server.
#[derive(Clone, Debug)]
pub struct UserAccount {
    /// Address of record.
    pub uri: UserUri,
    /// How the user is shown.
    pub display_name: Option<String>,
    /// Name of the location profile that normalises the numbers he dials; `None` means `default`.
    pub location_profile: Option<String>,
    /// His telephone number, `+` first, if he has one.
    pub number: Option<String>,
}

/// Accounts, registrations, scheduled conferences and the dial plan.
#[derive(Debug, Default)]
pub struct Directory {
    users: HashMap<UserUri, UserAccount>,
    user_numbers: HashMap<String, UserUri>,
    /// Call-routing settings of the users who have any.
    profiles: HashMap<UserUri, UserProfile>,
    no_profile: UserProfile,
    bindings: HashMap<UserUri, Vec<Binding>>,
    conferences: BTreeMap<ConferenceId, Schedule>,
    /// When which conference is deleted.
    expiries: BTreeSet<(i64, ConferenceId)>,
    /// How long conferences are kept that are of no use and name no time; zero: for ever.
    unused: Duration,
    conference_numbers: HashMap<ConferenceNumber, ConferenceId>,
    /// Conferences of the configuration, which no command changes.
    permanent: BTreeSet<ConferenceId>,
    /// Conferences that are recorded whenever they are held.
    recorded: BTreeSet<ConferenceId>,
    /// What conferences hear of comings and goings that do not hear what is usual.
    entry_exit: BTreeMap<ConferenceId, EntryExit>,
    router: Router,
    /// Where the trunks are, with their names.
    trunk_addresses: Vec<(SocketAddr, String)>,
    /// What the challenges of each trunk are answered with, by its name.
    trunk_credentials: HashMap<String, Credentials>,
}

impl Directory {
    /// A directory with a dial plan and nobody in it.
    pub fn new(router: Router) -> Self {
        Self { router, ..Self::default() }
    }

    /// Gives the trunk of this name credentials.
    pub fn set_trunk_credentials(&mut self, trunk: String, credentials: Credentials) {
        self.trunk_credentials.insert(trunk, credentials);
    }

    /// Notes where a trunk is, so that records can name it; a port of 0 is any.
    pub fn set_trunk_address(&mut self, trunk: String, address: SocketAddr) {
        self.trunk_addresses.push((address, trunk));
    }

    /// The trunk at an address: that of this very port, or the only one of this machine.
    pub(crate) fn trunk_from(&self, address: SocketAddr) -> Option<&str> {
        let mut there = self.trunk_addresses.iter().filter(|(known, _)| known.ip() == address.ip());
        let exact = there.clone().find(|(known, _)| known.port() == address.port());
        let (_, name) = exact.or_else(|| {
            let first = there.next()?;
            there.all(|(_, name)| *name == first.1).then_some(first)
        })?;
        Some(name)
    }

    /// What the challenges of a trunk are answered with.
    pub(crate) fn trunk_credentials(&self, trunk: &str) -> Option<&Credentials> {
        self.trunk_credentials.get(trunk)
    }

    /// The trunk of this name.
    pub(crate) fn trunk_named(&self, name: &str) -> Option<&Trunk> {
        self.router.trunks.iter().find(|trunk| trunk.name == name)
    }

    /// The trunk that a Request-URI of ours leads to.
    pub(crate) fn trunk_at(&self, uri: &SipUri) -> Option<&Trunk> {
        self.router.trunks.iter().find(|trunk| trunk.target.host == uri.host && trunk.target.port == uri.port)
    }

    /// Adds or replaces an account.
    pub fn add_user(&mut self, account: UserAccount) {
        if let Some(number) = &account.number {
            self.user_numbers.insert(number.clone(), account.uri.clone());
        }
        self.users.insert(account.uri.clone(), account);
    }

    /// Adds or replaces a scheduled conference.
    pub fn add_conference(&mut self, record: ConferenceRecord) {
        self.add_schedule(record.into());
    }

    /// Adds or replaces a scheduled conference with what its Factory keeps of it.
    pub fn add_schedule(&mut self, schedule: Schedule) {
        let id = schedule.record.id.clone();
        self.remove_conference(&id);
        if let Some(number) = &schedule.record.number {
            self.conference_numbers.insert(number.clone(), id.clone());
        }
        if let Some(expiry) = self.expiry(&schedule) {
            self.expiries.insert((expiry, id.clone()));
        }
        self.conferences.insert(id, schedule);
    }

    /// Deletes conferences that name no expiry time so long after they were last of use; zero: never. For those that are
    /// added from now on.
    pub fn delete_unused_after(&mut self, unused: Duration) {
        self.unused = unused;
    }

    /// When a conference is deleted, in milliseconds since 1970.
    pub(crate) fn expiry(&self, schedule: &Schedule) -> Option<i64> {
        match schedule.expiry {
            Expiry::Never => None,
            Expiry::At(time) => Some(time),
            Expiry::Unused if self.unused.is_zero() => None,
            Expiry::Unused => Some(schedule.used.saturating_add(i64::try_from(self.unused.as_millis()).ok()?)),
        }
    }

    /// A scheduled conference is of use; `false` when that changes nothing for it.
    pub(crate) fn note_use(&mut self, id: &ConferenceId, now: i64) -> bool {
        let Some(known) = self.conferences.get(id).filter(|schedule| schedule.expiry == Expiry::Unused) else {
            return false;
        };
        if known.used >= now {
            return false;
        }
        let schedule = Schedule { used: now, ..known.clone() };
        self.add_schedule(schedule);
        true
    }

    /// A scheduled conference with what its Factory keeps of it.
    pub(crate) fn schedule(&self, id: &ConferenceId) -> Option<&Schedule> {
        self.conferences.get(id)
    }

    /// The conference that is deleted first, and when, in milliseconds since 1970.
    pub(crate) fn next_expiry(&self) -> Option<&(i64, ConferenceId)> {
        self.expiries.first()
    }

    /// Nothing is to happen to a conference any more when its time comes.
    pub(crate) fn forget_expiry(&mut self, id: &ConferenceId) {
        let Some(expiry) = self.conferences.get(id).and_then(|schedule| self.expiry(schedule)) else { return };
        self.expiries.remove(&(expiry, id.clone()));
        if let Some(schedule) = self.conferences.get_mut(id) {
            schedule.expiry = Expiry::Never;
        }
    }

    /// Adds a conference of the configuration: it is always there, and no command changes or deletes it.
    pub fn add_permanent_conference(&mut self, record: ConferenceRecord) {
        self.permanent.insert(record.id.clone());
        self.add_conference(record);
    }

    /// Lets a conference be recorded whenever it is held. Whoever joins is told so.
    pub fn record_conference(&mut self, id: ConferenceId) {
        self.recorded.insert(id);
    }

    /// Whether a conference is recorded.
    pub(crate) fn is_recorded(&self, id: &ConferenceId) -> bool {
        self.recorded.contains(id)
    }

    /// Sets what a conference hears when somebody comes or goes.
    pub fn set_entry_exit(&mut self, id: ConferenceId, what: EntryExit) {
        self.entry_exit.insert(id, what);
    }

    /// What a conference hears when somebody comes or goes, if that was set.
    pub(crate) fn entry_exit(&self, id: &ConferenceId) -> Option<EntryExit> {
        self.entry_exit.get(id).copied()
    }

    /// The id of a permanent conference, made of its number: the same at every start. Nobody else can have it.
    pub fn permanent_id(number: &ConferenceNumber) -> ConferenceId {
        ConferenceId::parse(&format!("{PERMANENT}{:0>15}", number.as_str())).expect("letters and digits make an id")
    }

    /// Whether an id has the form of a permanent conference's.
    pub(crate) fn is_permanent_id(id: &ConferenceId) -> bool {
        id.as_str()
            .strip_prefix(PERMANENT)
            .is_some_and(|rest| rest.len() == 15 && rest.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// Whether the configuration made this conference.
    pub(crate) fn is_permanent(&self, id: &ConferenceId) -> bool {
        self.permanent.contains(id)
    }

    /// Forgets a scheduled conference.
    pub fn remove_conference(&mut self, id: &ConferenceId) {
        self.forget_expiry(id);
        let removed = self.conferences.remove(id);
        if let Some(number) = removed.and_then(|schedule| schedule.record.number) {
            self.conference_numbers.remove(&number);
        }
    }

    /// The name of the user whose telephone number this is (`tel:` and the number): who calls from a telephone is known by
    /// it.
    pub(crate) fn name_of_number(&self, caller: &UserUri) -> Option<String> {
        let number = caller.as_str().strip_prefix("tel:")?;
        let owner = self.users.values().find(|account| account.number.as_deref() == Some(number))?;
        owner.display_name.clone()
    }

    /// An account.
    pub fn user(&self, uri: &UserUri) -> Option<&UserAccount> {
        self.users.get(uri)
    }

    /// The call-routing settings of a user; those of somebody who has none let his own devices ring.
    pub fn user_profile(&self, user: &UserUri) -> &UserProfile {
        self.profiles.get(user).unwrap_or(&self.no_profile)
    }

    /// What is wrong with call-routing settings for a user, if he gave himself these.
    pub fn profile_problems(&self, user: &UserUri, profile: &UserProfile) -> Vec<ProfileProblem> {
        let location = self.users.get(user).and_then(|account| account.location_profile.as_deref());
        profile.problems(user, location, World { router: &self.router, directory: self })
    }

    /// Replaces the call-routing settings of a user.
    pub fn set_user_profile(&mut self, user: UserUri, profile: UserProfile) {
        self.profiles.insert(user, profile);
    }

    /// The registered devices of a user, best first.
    pub fn bindings(&self, user: &UserUri) -> &[Binding] {
        self.bindings.get(user).map_or(&[], Vec::as_slice)
    }

    /// Users with at least one registered device.
    pub fn registered(&self) -> usize {
        self.bindings.len()
    }

    /// A scheduled conference.
    pub fn conference(&self, id: &ConferenceId) -> Option<&ConferenceRecord> {
        self.conferences.get(id).map(|schedule| &schedule.record)
    }

    /// The conference of a number.
    pub fn conference_of_number(&self, number: &ConferenceNumber) -> Option<&ConferenceId> {
        self.conference_numbers.get(number)
    }

    /// Every scheduled conference.
    pub fn conferences(&self) -> impl Iterator<Item = &ConferenceRecord> {
        self.conferences.values().map(|schedule| &schedule.record)
    }

    /// Whether there is a way to the telephone network.
    pub(crate) fn has_trunk(&self) -> bool {
        !self.router.trunks.is_empty()
    }

    /// Where a target goes when this user asks for it.
    pub(crate) fn route(&self, requester: Option<&UserUri>, target: &str) -> routing::Routing {
        let profile = requester.and_then(|user| self.users.get(user)).and_then(|user| user.location_profile.as_deref());
        self.router.route(routing::Target { requester, profile, target }, self)
    }

    /// Where a target goes when a response group asks for it: the operator has allowed it by naming it.
    pub(crate) fn route_for(&self, group: &UserUri, target: &str) -> routing::Routing {
        self.router.route(routing::Target { requester: Some(group), profile: None, target }, self)
    }

    pub(crate) fn set_bindings(&mut self, user: UserUri, bindings: Vec<Binding>) {
        if bindings.is_empty() {
            self.bindings.remove(&user);
        } else {
            self.bindings.insert(user, bindings);
        }
    }
}

impl routing::Directory for Directory {
    fn is_user(&self, user: &UserUri) -> bool {
        self.users.contains_key(user)
    }

    fn user_of_number(&self, number: &str) -> Option<UserUri> {
        self.user_numbers.get(number).cloned()
    }

    fn is_conference(&self, number: &ConferenceNumber) -> bool {
        self.conference_numbers.contains_key(number)
    }

    fn user_profile(&self, user: &UserUri) -> Option<&UserProfile> {
        self.profiles.get(user)
    }
}
