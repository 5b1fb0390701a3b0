//! A called user sends the call elsewhere: 301 or 302 with a Contact, for one call only (requirements C13, R12).

use base::UserUri;
use sip_api::{Headers, NameAddr};

use crate::Engine;
use crate::destination::{Destination, Found};

/// How often one call may be sent elsewhere.
const DIVERSIONS_MAX: usize = 2;

/// Contacts of one redirection that are looked at.
const CONTACTS_MAX: usize = 8;

/// Where a call has been, so that it goes nowhere twice.
#[derive(Debug)]
pub(crate) struct Diversions {
    been: Vec<String>,
}

impl Diversions {
    /// A call on its way to its first destination.
    pub(crate) fn starting_at(first: Option<&Destination>) -> Self {
        Self { been: first.iter().map(|first| first.place().to_owned()).collect() }
    }

    /// The first place the call may go to; it is remembered.
    pub(crate) fn choose(&mut self, places: Vec<Destination>) -> Option<Destination> {
        let next = places.into_iter().find(|place| self.is_new(place))?;
        self.been.push(next.place().to_owned());
        Some(next)
    }

    fn is_new(&self, destination: &Destination) -> bool {
        self.been.len() <= DIVERSIONS_MAX && !self.been.iter().any(|been| been == destination.place())
    }
}

impl Engine {
    /// Where a refusal of one device sends the call, best first, if it is a redirection that may be followed: to
    /// somebody here or to the telephone network, as the dial plan says for `requester`. Only people divert calls; a
    /// trunk that redirects has failed.
    pub(crate) fn redirections(
        &self,
        status: Option<u16>,
        headers: &Headers,
        from: &Destination,
        requester: Option<&UserUri>,
    ) -> Vec<Destination> {
        if !matches!(status, Some(301 | 302)) || !matches!(from, Destination::Devices(_)) {
            return Vec::new();
        }
        let mut contacts = headers.name_addrs("Contact").unwrap_or_default();
        contacts.truncate(CONTACTS_MAX);
        contacts.sort_by_key(|contact| std::cmp::Reverse(preference(contact)));
        let places = contacts.iter().map(|contact| self.find(requester, &self.dialled(&contact.uri)));
        let followed = places.filter_map(|found| match found {
            Found::Person(place @ (Destination::Devices(_) | Destination::Trunks { .. })) => Some(place),
            Found::Person(Destination::External(_)) | Found::Conference(_) | Found::Nobody(_) => None,
        });
        followed.collect()
    }
}

/// `q` in thousandths; 1.0 when it is absent or unreadable.
fn preference(contact: &NameAddr) -> u16 {
    let q: f32 = contact.param("q").and_then(|q| q.parse().ok()).unwrap_or(1.0);
    // A float outside the range saturates, and NaN becomes 0.
    (q * 1_000.0) as u16
}
