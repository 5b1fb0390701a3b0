//! Label values of closed sets.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Stands for everything that is not in a set.
pub(crate) const OTHER: &str = "other";

/// SIP methods that are told apart (RFC 3261, 3262, 3311, 3428, 3515, 3903, 6086, 6665).
pub(crate) const METHODS: &[&str] = &[
    "ACK",
    "BYE",
    "CANCEL",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "PUBLISH",
    "REFER",
    "REGISTER",
    "SERVICE",
    "SUBSCRIBE",
    "UPDATE",
];

/// The method as a label; one that is not in the table, which anybody may send, is `other`.
pub(crate) fn method(text: &str) -> &'static str {
    METHODS.iter().find(|method| **method == text).copied().unwrap_or(OTHER)
}

/// Values of one label that the program's own tables supply. Their type keeps out what came from the network; the bound
/// keeps a table that grew by mistake from flooding the scraper.
#[derive(Debug, Default)]
pub(crate) struct Words(Mutex<HashSet<&'static str>>);

impl Words {
    /// Values told apart; a further one is `other`.
    pub(crate) const MAX: usize = 64;

    pub(crate) fn admit(&self, word: &'static str) -> &'static str {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(word) || (known.len() < Self::MAX && known.insert(word)) { word } else { OTHER }
    }
}
