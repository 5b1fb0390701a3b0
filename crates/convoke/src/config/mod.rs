//! The configuration: one TOML file, overridden by environment variables, checked before anything starts.
//!
//! Decides which keys there are, what they default to and what is refused. Must not know what the parts do with them
//! (`assemble.rs` does). Everything that is wrong is told with the key, its value and what to write instead.
//! Start reading at [`Config`]; [`keys`] is the table behind the reference and the search for unknown keys.

mod check;
mod entries;
mod focus;
mod groups;
mod key;
mod keys;
mod load;
mod probe;
mod problem;
mod reference;
mod sections;

use std::path::PathBuf;

use serde::Deserialize;

pub(crate) use check::check;
pub(crate) use entries::{AccessNumber, Conference, EntryExit, LocationProfile, Trunk, User};
pub(crate) use focus::Focus;
pub(crate) use groups::GroupSounds;
pub(crate) use load::{load, parse};
pub(crate) use probe::{probe, probe_languages};
pub(crate) use problem::{ConfigError, Finding};
pub(crate) use reference::print_default;
pub(crate) use sections::{Database, Http, Media, Sip, Srtp, Transport};

/// Everything that can be configured. The defaults serve an evaluation on loopback.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the database lives.
    pub(crate) data_dir: PathBuf,
    /// The SIP domain of all users and conferences, and the realm of their passwords.
    pub(crate) domain: String,
    /// E.164 number shown to called telephones.
    pub(crate) caller_number: Option<String>,
    /// How long running conferences may go on after SIGTERM, in seconds.
    pub(crate) drain_seconds: u64,
    /// Whether attendees may call third parties in, unless a `[[conference]]` says otherwise.
    pub(crate) attendees_may_dial_out: bool,
    pub(crate) sip: Sip,
    pub(crate) focus: Focus,
    pub(crate) http: Http,
    pub(crate) media: Media,
    pub(crate) database: Database,
    #[serde(rename = "user")]
    pub(crate) users: Vec<User>,
    #[serde(rename = "conference")]
    pub(crate) conferences: Vec<Conference>,
    #[serde(rename = "access_number")]
    pub(crate) access_numbers: Vec<AccessNumber>,
    #[serde(rename = "trunk")]
    pub(crate) trunks: Vec<Trunk>,
    #[serde(rename = "location_profile")]
    pub(crate) location_profiles: Vec<LocationProfile>,
    #[serde(rename = "response_groups")]
    pub(crate) group_codes: engine::GroupCodes,
    #[serde(rename = "response_group")]
    pub(crate) response_groups: Vec<response_group::ResponseGroup>,
    /// The file this was read from; not a key.
    #[serde(skip)]
    pub(crate) file: Option<PathBuf>,
    /// The keys that environment variables set, with their names; not a key.
    #[serde(skip)]
    pub(crate) variables: Vec<(String, String)>,
}

impl Config {
    /// Where the database is: what is configured, or a file in `data_dir`.
    pub(crate) fn database_url(&self) -> String {
        let in_data_dir = || format!("sqlite:{}", self.data_dir.join("convoke.db").display());
        self.database.url.clone().unwrap_or_else(in_data_dir)
    }

    /// The languages the server is to speak, each with the key that says so.
    pub(crate) fn spoken_languages(&self) -> Vec<(String, &str)> {
        let own = Some(self.media.language.as_str()).filter(|language| !language.is_empty());
        let mut spoken: Vec<(String, &str)> = own.map(|own| ("media.language".to_owned(), own)).into_iter().collect();
        let numbers = self.access_numbers.iter().enumerate();
        spoken.extend(
            numbers.map(|(at, number)| (format!("access_number[{}].language", at + 1), number.language.as_str())),
        );
        let groups = self.response_groups.iter().enumerate();
        spoken.extend(groups.filter_map(|(at, group)| {
            Some((format!("response_group[{}].language", at + 1), group.language.as_deref()?))
        }));
        spoken
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "convoke-data".into(),
            domain: "localhost".to_owned(),
            caller_number: None,
            drain_seconds: 3600,
            attendees_may_dial_out: false,
            sip: Sip::default(),
            focus: Focus::default(),
            http: Http::default(),
            media: Media::default(),
            database: Database::default(),
            users: Vec::new(),
            conferences: Vec::new(),
            access_numbers: Vec::new(),
            trunks: Vec::new(),
            location_profiles: Vec::new(),
            group_codes: engine::GroupCodes::default(),
            response_groups: Vec::new(),
            file: None,
            variables: Vec::new(),
        }
    }
}
