//! Settings of the engine, composed of those of its machines.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use base::{Limits, UserUri};
use call::CallConfig;
use focus::FocusConfig;
use mcu_api::{Codec, ConferenceMedia, RecordingFormat};
use sdp::SrtpPolicy;

use crate::conference::attendant::AccessNumber;
use crate::conference::keypad::KeyMap;
use crate::group::GroupCodes;

/// Settings of an [`Engine`](crate::Engine).
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The SIP domain of users and conferences.
    pub domain: String,
    /// Further host names and addresses that mean this server in a Request-URI.
    pub hosts: Vec<String>,
    /// User part of the URI that makes a conference when it is called (RFC 4579 5.4).
    pub factory_user: String,
    /// Whether media is encrypted (requirement C35).
    pub srtp: SrtpPolicy,
    /// Codecs in order of preference.
    pub codecs: Vec<Codec>,
    /// The ports our legs receive media on; media is never sent to them. `None` when that is not known.
    pub media_ports: Option<RangeInclusive<u16>>,
    /// What each conference's data plane does by itself.
    pub media: ConferenceMedia,
    /// What recordings are written as.
    pub recording_format: RecordingFormat,
    /// When the process started, in milliseconds since 1970; for dates that people read.
    pub unix_start_ms: i64,
    /// Settings of each Focus.
    pub focus: FocusConfig,
    /// Settings of the call machine.
    pub call: CallConfig,
    /// The server's certificate in base64, for clients that ask for it (c3p.md 2.4); `None` without TLS.
    pub certificate: Option<String>,
    /// What keys do inside a conference; `None` = nothing.
    pub keypad: Option<KeyMap>,
    /// Language of announcements, a BCP 47 tag.
    pub language: String,
    /// Telephone numbers that lead to the attendant, who asks for a conference.
    pub access_numbers: Vec<AccessNumber>,
    /// The telephone number shown to people who are dialled through a trunk, if the operator has one.
    pub caller_number: Option<String>,
    /// Whether attendees may call third parties into conferences that users schedule or make by a call.
    pub attendees_may_dial_out: bool,
    /// What agents of response groups dial to sign in and out and to make a pause.
    pub group_codes: GroupCodes,
    /// Addresses of trunks that are trusted: they may call users here, and what they say of a caller (RFC 3325) and of a
    /// call's way (`History-Info`, `Ms-Sensitivity`) is believed.
    pub trusted_peers: Vec<IpAddr>,
    /// The server's bounds. Used here: `conferences`, `legs`, `dial_out_ring`, `port_drain`, and those of
    /// one caller.
    pub limits: Limits,
}

impl EngineConfig {
    /// Whether a host in a URI means this server.
    pub fn is_own_host(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']);
        host.eq_ignore_ascii_case(&self.domain) || self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }

    /// The address of record of a user part in our domain.
    pub fn own_user(&self, user: &str) -> Option<UserUri> {
        UserUri::parse(&format!("sip:{user}@{}", self.domain)).ok()
    }
}
