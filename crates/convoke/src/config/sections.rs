//! The sections that stand once: `[sip]`, `[http]`, `[media]`, `[database]`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use mcu_api::RecordingFormat;
use serde::Deserialize;

/// `[sip]`: where SIP is spoken.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sip {
    pub(crate) listen: Vec<Listen>,
    /// The host told to peers in place of the address listened on.
    pub(crate) advertised: Option<String>,
    /// Further host names that mean this server.
    pub(crate) host_names: Vec<String>,
    pub(crate) tls: Option<Tls>,
    /// Differentiated services code point of SIP packets, 0 to 63.
    pub(crate) dscp: Option<u8>,
    /// Users may call addresses of other domains.
    pub(crate) external_calls: bool,
    /// Session interval asked for and granted (RFC 4028).
    pub(crate) session_expires_seconds: u32,
    /// Longest subscription granted.
    pub(crate) subscription_seconds: u32,
    /// Open connections of one address.
    pub(crate) connections_per_source: u32,
    /// Calls of one account at once.
    pub(crate) calls_per_account: u32,
    /// Calls at once of callers without an account from one address.
    pub(crate) calls_per_source: u32,
    /// Those of them that wait for an answer.
    pub(crate) unanswered_per_account: u32,
    pub(crate) unanswered_per_source: u32,
}

impl Default for Sip {
    fn default() -> Self {
        let address = (Ipv4Addr::LOCALHOST, 5060).into();
        let listen = [Transport::Udp, Transport::Tcp].map(|transport| Listen { transport, address });
        Self {
            listen: listen.to_vec(),
            advertised: None,
            host_names: Vec::new(),
            tls: None,
            dscp: None,
            external_calls: false,
            session_expires_seconds: 1_800,
            subscription_seconds: 3_600,
            connections_per_source: 1_000,
            calls_per_account: 200,
            calls_per_source: 500,
            unanswered_per_account: 50,
            unanswered_per_source: 200,
        }
    }
}

/// A transport SIP listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
    Tls,
}

/// One listening address, written `udp:127.0.0.1:5060`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Listen {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
}

impl TryFrom<String> for Listen {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WANTED: &str = "write udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT with an IP address, as in \
                              \"udp:127.0.0.1:5060\"";
        let (transport, address) = text.split_once(':').ok_or(WANTED)?;
        let transport = match transport {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            _ => return Err(WANTED),
        };
        Ok(Self { transport, address: address.parse().map_err(|_| WANTED)? })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        };
        write!(f, "{transport}:{}", self.address)
    }
}

/// `[sip.tls]`: the server's certificate, and whom it believes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: Option<PathBuf>,
    /// Clients without a certificate are refused.
    #[serde(default)]
    pub(crate) client_required: bool,
    pub(crate) server_ca: Option<PathBuf>,
}

/// `[http]`: the web side.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    /// How long the head of a request may take, and its body.
    pub(crate) request_seconds: u64,
    /// Open connections in all.
    pub(crate) connections: usize,
    /// Open connections of one address.
    pub(crate) connections_per_source: usize,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            request_seconds: 10,
            connections: 1_000,
            connections_per_source: 100,
        }
    }
}

/// `[media]`: RTP and what people hear beside each other.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Media {
    pub(crate) address: IpAddr,
    pub(crate) advertised: Option<IpAddr>,
    ports: PortRange,
    pub(crate) workers: Option<usize>,
    pub(crate) opus_bitrate: u32,
    pub(crate) opus_complexity: u8,
    pub(crate) opus_speech_mode: bool,
    pub(crate) jitter_buffer_ms: u16,
    /// How long a phone that should send may send nothing; 0: for ever.
    pub(crate) silence_seconds: u32,
    pub(crate) dscp: Option<u8>,
    pub(crate) srtp: Srtp,
    pub(crate) music_when_alone: bool,
    pub(crate) entry_exit_tones: bool,
    /// Keys of a telephone command the conference.
    pub(crate) keypad: bool,
    /// Language of the prompts; empty for tones.
    pub(crate) language: String,
    /// Languages beside those that are shipped.
    pub(crate) languages_dir: Option<PathBuf>,
    /// The operator's sound files.
    pub(crate) prompts_dir: Option<PathBuf>,
    /// Where recordings are written.
    pub(crate) recordings_dir: Option<PathBuf>,
    /// What they are written as.
    pub(crate) recording_format: RecordingFormat,
    /// Voices are levelled.
    pub(crate) automatic_level: bool,
    /// Background is taken away while nothing is said.
    pub(crate) noise_gate: bool,
}

impl Media {
    /// The ports for RTP and RTCP: the first is even, the last odd.
    pub(crate) fn ports(&self) -> RangeInclusive<u16> {
        self.ports.first..=self.ports.last
    }

    /// The ports legs are given theirs from: all but the first two, which mark the range as ours.
    pub(crate) fn leg_ports(&self) -> RangeInclusive<u16> {
        self.ports.first + 2..=self.ports.last
    }

    /// Legs the port range has room for.
    pub(crate) fn legs(&self) -> usize {
        self.leg_ports().len() / 2
    }
}

impl Default for Media {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            advertised: None,
            ports: PortRange { first: 20_000, last: 21_999 },
            workers: None,
            opus_bitrate: 64_000,
            opus_complexity: 0,
            opus_speech_mode: false,
            jitter_buffer_ms: 120,
            silence_seconds: 300,
            dscp: Some(46),
            srtp: Srtp::Support,
            music_when_alone: true,
            entry_exit_tones: true,
            keypad: true,
            language: "en".to_owned(),
            languages_dir: None,
            prompts_dir: None,
            recordings_dir: None,
            recording_format: RecordingFormat::Opus,
            automatic_level: true,
            noise_gate: false,
        }
    }
}

/// A range of whole RTP and RTCP pairs, written `20000-21999`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct PortRange {
    first: u16,
    last: u16,
}

impl TryFrom<String> for PortRange {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WANTED: &str = "write FIRST-LAST with two ports from 1024 to 65535, as in \"20000-21999\"";
        let (first, last) = text.split_once('-').ok_or(WANTED)?;
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|&port| port >= 1024).ok_or(WANTED);
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err("the first port lies above the last; exchange them");
        }
        // RTP takes an even port and RTCP the odd one above it (RFC 3550 11).
        if first % 2 == 1 || last % 2 == 0 {
            return Err("ports serve in pairs; begin with an even port and end with an odd one");
        }
        if last - first < 3 {
            return Err("it holds a single leg; a conference needs at least 4 ports, two for each leg");
        }
        Ok(Self { first, last })
    }
}

/// Whether media is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Srtp {
    Off,
    Support,
    Require,
}

/// `[database]`: where conferences and call detail records last.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Database {
    pub(crate) url: Option<String>,
}
