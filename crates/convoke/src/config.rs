//! Interim configuration.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use base::{AccessType, ConferenceNumber, Pii, UserUri};
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) domain: String,
    pub(crate) caller_number: Option<String>,
    pub(crate) drain_seconds: u64,
    pub(crate) sip: Sip,
    pub(crate) http: Http,
    pub(crate) media: Media,
    pub(crate) database: Database,
    #[serde(rename = "user")]
    pub(crate) users: Vec<User>,
    #[serde(rename = "conference")]
    pub(crate) conferences: Vec<Conference>,
    #[serde(rename = "trunk")]
    pub(crate) trunks: Vec<Trunk>,
    #[serde(rename = "location_profile")]
    pub(crate) location_profiles: Vec<LocationProfile>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "convoke-data".into(),
            domain: "localhost".into(),
            caller_number: None,
            drain_seconds: 3600,
            sip: Sip::default(),
            http: Http::default(),
            media: Media::default(),
            database: Database::default(),
            users: vec![],
            conferences: vec![],
            trunks: vec![],
            location_profiles: vec![],
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Transport {
    Udp,
    Tcp,
    Tls,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Listen {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
}

impl TryFrom<String> for Listen {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (t, a) = text.split_once(':').ok_or("listen")?;
        let transport = match t {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            _ => return Err("transport".into()),
        };
        Ok(Self { transport, address: a.parse().map_err(|_| "address".to_owned())? })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sip {
    pub(crate) listen: Vec<Listen>,
    pub(crate) tls: Option<Tls>,
    pub(crate) dscp: Option<u8>,
}
impl Default for Sip {
    fn default() -> Self {
        let l = |s: &str| Listen::try_from(s.to_owned()).expect("valid");
        Self { listen: vec![l("udp:127.0.0.1:5060"), l("tcp:127.0.0.1:5060")], tls: None, dscp: None }
    }
}
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: Option<PathBuf>,
    pub(crate) server_ca: Option<PathBuf>,
}
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
}
impl Default for Http {
    fn default() -> Self {
        Self { listen: ([127, 0, 0, 1], 8080).into() }
    }
}
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Srtp {
    Off,
    Support,
    Require,
}
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Media {
    pub(crate) address: IpAddr,
    pub(crate) advertised: Option<IpAddr>,
    ports: String,
    pub(crate) workers: Option<usize>,
    pub(crate) dscp: Option<u8>,
    pub(crate) srtp: Srtp,
    pub(crate) music_when_alone: bool,
    pub(crate) entry_exit_tones: bool,
}
impl Media {
    pub(crate) fn ports(&self) -> std::ops::RangeInclusive<u16> {
        let (a, b) = self.ports.split_once('-').expect("ports");
        a.parse().expect("p")..=b.parse().expect("p")
    }
}
impl Default for Media {
    fn default() -> Self {
        Self {
            address: [127, 0, 0, 1].into(),
            advertised: None,
            ports: "20000-21999".into(),
            workers: None,
            dscp: Some(46),
            srtp: Srtp::Support,
            music_when_alone: true,
            entry_exit_tones: true,
        }
    }
}
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Database {
    pub(crate) url: Option<String>,
}
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) uri: UserUri,
    pub(crate) password: Pii,
    pub(crate) display_name: Option<String>,
    pub(crate) location_profile: Option<String>,
    pub(crate) number: Option<String>,
}
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Conference {
    pub(crate) number: ConferenceNumber,
    pub(crate) pin: Option<Pii>,
    pub(crate) access: AccessType,
    pub(crate) organizer: Option<UserUri>,
    pub(crate) subject: Option<String>,
}
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Trunk {
    pub(crate) name: String,
    pub(crate) target: String,
    #[serde(default)]
    pub(crate) allow: Vec<String>,
    #[serde(default)]
    pub(crate) deny: Vec<String>,
}
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct LocationProfile {
    pub(crate) name: String,
    #[serde(rename = "rule")]
    pub(crate) rules: Vec<Rule>,
}
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Rule {
    pub(crate) pattern: String,
    pub(crate) translation: String,
}

pub(crate) fn parse(text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|e| e.to_string())
}
pub(crate) fn load(path: Option<&Path>) -> Result<Config, String> {
    match path {
        Some(p) => parse(&std::fs::read_to_string(p).map_err(|e| e.to_string())?),
        None => Ok(Config::default()),
    }
}
pub(crate) fn print_default() -> String {
    "# interim\n".into()
}
pub(crate) struct Finding;
impl std::fmt::Display for Finding {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
impl Finding {
    pub(crate) fn is_error(&self) -> bool {
        false
    }
}
pub(crate) fn check(_: &Config) -> Vec<Finding> {
    vec![]
}
pub(crate) fn probe(_: &Config) -> Vec<Finding> {
    vec![]
}
