//! The entries that stand any number of times: `[[user]]`, `[[conference]]`, `[[access_number]]`, `[[trunk]]`, `[[location_profile]]`.

use base::{AccessType, ConferenceNumber, Pii, UserUri};
use routing::UserProfile;
use serde::Deserialize;

/// An account.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) uri: UserUri,
    pub(crate) password: Pii,
    pub(crate) display_name: Option<String>,
    /// The profile his dialled digits go through; without one, the profile named `default`.
    pub(crate) location_profile: Option<String>,
    /// E.164, or digits for an extension.
    pub(crate) number: Option<String>,
    #[serde(default)]
    pub(crate) role: UserRole,
    /// What is done with calls for him, until he changes it at run time.
    #[serde(default)]
    pub(crate) routing: UserProfile,
}

/// What an account may do beside conferencing; the server does not tell them apart yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UserRole {
    #[default]
    User,
    /// Runs the server.
    Operator,
}

/// A permanent conference.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conference {
    pub(crate) number: ConferenceNumber,
    pub(crate) pin: Option<Pii>,
    #[serde(default = "open")]
    pub(crate) access: AccessType,
    pub(crate) organizer: Option<UserUri>,
    pub(crate) subject: Option<String>,
    #[serde(default)]
    pub(crate) record: bool,
    /// `None` is what `[media] entry_exit_tones` says.
    pub(crate) entry_exit: Option<EntryExit>,
    /// `None` is what the key of that name before the first section says.
    pub(crate) attendees_may_dial_out: Option<bool>,
}

/// What is heard when somebody comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EntryExit {
    Tones,
    Announce,
    Off,
}

fn open() -> AccessType {
    AccessType::Open
}

/// A telephone number that leads to the attendant.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessNumber {
    /// E.164.
    pub(crate) number: String,
    #[serde(default = "english")]
    pub(crate) language: String,
    /// As scheduling clients show it.
    #[serde(default = "nowhere")]
    pub(crate) region: String,
}

fn english() -> String {
    "en".to_owned()
}

fn nowhere() -> String {
    "default".to_owned()
}

/// A way into the telephone network.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trunk {
    pub(crate) name: String,
    pub(crate) target: String,
    #[serde(default)]
    pub(crate) allow: Vec<String>,
    #[serde(default)]
    pub(crate) deny: Vec<String>,
    /// What its challenges are answered with; both or neither.
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Pii>,
    /// We register there, so that the provider knows where we are.
    #[serde(default)]
    pub(crate) register: bool,
    /// It may call users here, and is believed on who calls and where a call has been.
    #[serde(default)]
    pub(crate) trusted: bool,
}

/// How dialled digits become numbers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocationProfile {
    pub(crate) name: String,
    /// As dialled; recognised before any rule.
    #[serde(default)]
    pub(crate) emergency: Vec<String>,
    #[serde(default, rename = "rule")]
    pub(crate) rules: Vec<Rule>,
}

/// One rule; the first that matches wins.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) pattern: String,
    pub(crate) translation: String,
}
