//! Calls between two people: their ways by the settings of users, their histories, transfer and replacement.

pub(crate) mod bridge;
pub(crate) mod bridge_session;
pub(crate) mod bridge_setup;
pub(crate) mod diversion;
pub(crate) mod history;
pub(crate) mod message_summary;
pub(crate) mod replacement;
pub(crate) mod replaces;
pub(crate) mod transfer;
pub(crate) mod way;
