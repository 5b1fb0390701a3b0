//! The configuration, handed to each part in the part's own words. Passwords become hashes here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use base::{Duration, Limits, UserUri};
use call::CallConfig;
use engine::{AccessNumber, Directory, EngineConfig, Schedule, UserAccount};
use focus::{ConferenceRecord, FocusConfig, Pin};
use mcu_api::{AloneAudio, ConferenceMedia};
use media_io::{FoundLanguage, MediaConfig};
use routing::{LocationProfile, Router, Rule, Trunk, TrunkTarget};
use sdp::SrtpPolicy;
use sip::{Credentials, Ha1, ListenAddress, SipConfig, TlsConfig, TrustAnchors};

use crate::calendar::Calendar;
use crate::clock::Clock;
use crate::config::{self, Config};

/// User part of the URI that makes a conference when a phone calls it (RFC 4579 5.4).
const FACTORY_USER: &str = "conference-factory";

/// The accounts' hashed passwords. The realm is the domain.
pub(crate) struct Accounts {
    hashes: HashMap<String, Ha1>,
    realm: String,
}

impl Accounts {
    /// Hashes the configured passwords.
    pub(crate) fn new(config: &Config) -> Self {
        let realm = config.domain.to_ascii_lowercase();
        let hashes = config
            .users
            .iter()
            .map(|user| {
                let name = user.uri.user_part().to_owned();
                let hash = Ha1::of_password(&name, &realm, user.password.expose());
                (name, hash)
            })
            .collect();
        Self { hashes, realm }
    }
}

impl Credentials for Accounts {
    fn ha1(&self, user: &str, realm: &str) -> Option<Ha1> {
        if realm != self.realm {
            return None;
        }
        self.hashes.get(user).cloned()
    }
}

/// Settings of the SIP edge.
pub(crate) fn sip_config(config: &Config, trusted_peers: Vec<IpAddr>) -> SipConfig {
    let listen = config
        .sip
        .listen
        .iter()
        .map(|listen| ListenAddress::new(transport(listen.transport), listen.address))
        .collect();
    SipConfig {
        tls: config.sip.tls.as_ref().map(|tls| TlsConfig {
            certificate: tls.certificate.clone(),
            key: tls.key.clone(),
            client_ca: tls.client_ca.clone(),
            client_required: tls.client_required,
            server_ca: tls.server_ca.clone().map_or(TrustAnchors::System, TrustAnchors::File),
        }),
        dscp: config.sip.dscp,
        server_name: concat!("Convoke/", env!("CARGO_PKG_VERSION")).to_owned(),
        trusted_peers,
        domains: own_hosts(config, &machine_addresses()),
        advertised: config.sip.advertised.clone(),
        connections_per_source: config.sip.connections_per_source as usize,
        ..SipConfig::new(&config.domain, listen)
    }
}

/// The hosts that mean this server beside its domain. An address of all addresses stands for those the machine has.
fn own_hosts(config: &Config, machine: &[IpAddr]) -> Vec<String> {
    let sip = &config.sip;
    let mut addresses = Vec::new();
    for listen in &sip.listen {
        let address = listen.address.ip();
        match address.is_unspecified() {
            true => addresses.extend(machine.iter().filter(|own| own.is_ipv4() == address.is_ipv4())),
            false => addresses.push(address),
        }
    }
    let mut hosts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    hosts.extend(sip.advertised.iter().chain(&sip.host_names).map(|host| host.to_ascii_lowercase()));
    hosts.push("localhost".to_owned());
    hosts.sort();
    hosts.dedup();
    hosts
}

/// The addresses the machine has now.
fn machine_addresses() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.iter().map(|interface| interface.ip()).collect(),
        Err(error) => {
            tracing::warn!(%error, "the machine's addresses cannot be listed; name them in sip.host_names");
            Vec::new()
        }
    }
}

fn transport(transport: config::Transport) -> sip_api::Transport {
    match transport {
        config::Transport::Udp => sip_api::Transport::Udp,
        config::Transport::Tcp => sip_api::Transport::Tcp,
        config::Transport::Tls => sip_api::Transport::Tls,
    }
}

/// Settings of the media side.
pub(crate) fn media_config(config: &Config, languages: Vec<FoundLanguage>, clock: Clock) -> MediaConfig {
    let defaults = MediaConfig::default();
    MediaConfig {
        address: config.media.address,
        advertised: config.media.advertised.unwrap_or(config.media.address),
        ports: config.media.leg_ports(),
        workers: config.media.workers.unwrap_or(defaults.workers),
        dscp: config.media.dscp,
        language: Some(config.media.language.clone()).filter(|language| !language.is_empty()),
        languages: languages.into(),
        prompts_dir: config.media.prompts_dir.clone(),
        recordings_dir: config.media.recordings_dir.clone(),
        automatic_level: config.media.automatic_level,
        noise_gate: config.media.noise_gate,
        epoch: clock.epoch(),
        ..defaults
    }
}

/// Settings of the engine.
pub(crate) fn engine_config(config: &Config, calendar: Calendar, trusted_peers: Vec<IpAddr>) -> EngineConfig {
    let limits = limits(config);
    EngineConfig {
        domain: config.domain.to_ascii_lowercase(),
        hosts: own_hosts(config, &machine_addresses()),
        group_codes: config.group_codes.clone(),
        factory_user: FACTORY_USER.to_owned(),
        srtp: match config.media.srtp {
            config::Srtp::Off => SrtpPolicy::Off,
            config::Srtp::Support => SrtpPolicy::Support,
            config::Srtp::Require => SrtpPolicy::Require,
        },
        codecs: sdp::LocalMedia::DEFAULT_CODECS.to_vec(),
        media_ports: Some(config.media.ports()),
        media: ConferenceMedia {
            alone: if config.media.music_when_alone { AloneAudio::Music } else { AloneAudio::Silence },
            entry_exit_tones: config.media.entry_exit_tones,
            media_silence_ms: u32::try_from(limits.media_silence.as_millis()).unwrap_or(u32::MAX),
            jitter_delay_max_ms: u16::try_from(limits.jitter_delay.as_millis()).unwrap_or(u16::MAX),
        },
        unix_start_ms: calendar.start(),
        focus: focus_config(config, &limits),
        call: CallConfig {
            domain: config.domain.to_ascii_lowercase(),
            limits: limits.clone(),
            session_expires: seconds(config.sip.session_expires_seconds),
            subscription_max: seconds(config.sip.subscription_seconds),
            ..CallConfig::default()
        },
        certificate: config.sip.tls.as_ref().and_then(|tls| certificate(&tls.certificate)),
        keypad: config.media.keypad.then(engine::KeyMap::default),
        language: config.media.language.clone(),
        caller_number: config.caller_number.clone(),
        attendees_may_dial_out: config.attendees_may_dial_out,
        recording_format: config.media.recording_format,
        access_numbers: config.access_numbers.iter().map(access_number).collect(),
        trusted_peers,
        limits,
    }
}

/// The bounds that can be configured, beside those that cannot.
fn limits(config: &Config) -> Limits {
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        jitter_delay: Duration::from_millis(config.media.jitter_buffer_ms.into()),
        media_silence: seconds(config.media.silence_seconds),
        legs_per_conference: count(config.focus.legs_max),
        dial_outs_per_conference: count(config.focus.dial_outs_max),
        dial_out_ring: seconds(config.focus.ring_seconds),
        calls_per_account: count(config.sip.calls_per_account),
        calls_per_source: count(config.sip.calls_per_source),
        unanswered_per_account: count(config.sip.unanswered_per_account),
        unanswered_per_source: count(config.sip.unanswered_per_source),
        ..Limits::default()
    }
}

/// Settings of each conference.
fn focus_config(config: &Config, limits: &Limits) -> FocusConfig {
    let focus = &config.focus;
    FocusConfig {
        limits: limits.clone(),
        max_without_join: seconds(focus.without_join_hours * 60 * 60),
        unauthenticated_grace: seconds(focus.unauthenticated_minutes * 60),
        ending_notice: seconds(focus.ending_notice_seconds),
        empty_linger: seconds(focus.empty_linger_seconds),
        roster_interval: Duration::from_millis(focus.roster_interval_ms.into()),
        pending_interval: seconds(focus.pending_seconds),
        lobby_wait: seconds(focus.lobby_minutes * 60),
        pin_tries: u8::try_from(focus.pin_tries).unwrap_or(u8::MAX),
        pin_wait: seconds(focus.pin_seconds),
        endpoints_per_user: usize::try_from(focus.endpoints_per_user).unwrap_or(usize::MAX),
        ..FocusConfig::default()
    }
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(number.into())
}

/// The first certificate of a PEM file, in base64 without line breaks.
fn certificate(path: &std::path::Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    Some(body.split_whitespace().collect())
}

fn access_number(access: &config::AccessNumber) -> AccessNumber {
    AccessNumber { number: access.number.clone(), language: access.language.clone(), region: access.region.clone() }
}

/// Accounts with their settings, permanent and stored conferences, and the dial plan.
pub(crate) fn directory(config: &Config, stored: Vec<Schedule>) -> Result<Directory, String> {
    let mut directory = Directory::new(router(config)?);
    directory.delete_unused_after(seconds(config.focus.unused_days * 24 * 60 * 60));
    for user in &config.users {
        directory.add_user(UserAccount {
            uri: user.uri.clone(),
            display_name: user.display_name.clone(),
            location_profile: user.location_profile.clone(),
            number: user.number.clone(),
        });
    }
    for user in &config.users {
        directory.set_user_profile(user.uri.clone(), user.routing.clone());
    }
    for trunk in &config.trunks {
        if let (Some(username), Some(password)) = (&trunk.username, &trunk.password) {
            let credentials = call::Credentials { username: username.clone(), password: password.clone() };
            directory.set_trunk_credentials(trunk.name.clone(), credentials);
        }
    }
    for mut schedule in stored {
        schedule.record.attendees_may_dial_out = config.attendees_may_dial_out;
        directory.add_schedule(schedule);
    }
    for conference in &config.conferences {
        let record = permanent(conference, config);
        if conference.record {
            directory.record_conference(record.id.clone());
        }
        if let Some(what) = conference.entry_exit {
            let what = match what {
                config::EntryExit::Tones => engine::EntryExit::Tones,
                config::EntryExit::Announce => engine::EntryExit::Announce,
                config::EntryExit::Off => engine::EntryExit::Off,
            };
            directory.set_entry_exit(record.id.clone(), what);
        }
        directory.add_permanent_conference(record);
    }
    Ok(directory)
}

/// A conference of the configuration; its organizer need not have an account.
fn permanent(conference: &config::Conference, config: &Config) -> ConferenceRecord {
    let nobody =
        || UserUri::parse(&format!("sip:conferences@{}", config.domain)).expect("the domain was checked at load");
    ConferenceRecord {
        id: Directory::permanent_id(&conference.number),
        number: Some(conference.number.clone()),
        organizer: conference.organizer.clone().unwrap_or_else(nobody),
        organizer_name: None,
        subject: conference.subject.clone(),
        access: conference.access,
        pin: conference.pin.as_ref().and_then(|pin| Pin::parse(pin.expose()).ok()),
        invited: Vec::new(),
        locked: false,
        attendees_may_dial_out: conference.attendees_may_dial_out.unwrap_or(config.attendees_may_dial_out),
        lobby: focus::Lobby::Off,
        promote_authenticated: false,
    }
}

/// The dial plan.
pub(crate) fn router(config: &Config) -> Result<Router, String> {
    let mut router = Router {
        domains: vec![config.domain.to_ascii_lowercase()],
        allow_external_sip: config.sip.external_calls,
        ..Router::default()
    };
    for profile in &config.location_profiles {
        let rules: Vec<Rule> = profile
            .rules
            .iter()
            .map(|rule| Rule { pattern: rule.pattern.clone(), translation: rule.translation.clone() })
            .collect();
        let compiled = LocationProfile::compile(&profile.name, &rules).map_err(|error| error.to_string())?;
        router.profiles.insert(profile.name.clone(), compiled.with_emergency(&profile.emergency));
    }
    for trunk in &config.trunks {
        let target = TrunkTarget::parse(&trunk.target)
            .map_err(|error| format!("trunk {:?}: target = {:?}: {error}", trunk.name, trunk.target))?;
        router.trunks.push(Trunk {
            name: trunk.name.clone(),
            target,
            allow: trunk.allow.clone(),
            deny: trunk.deny.clone(),
        });
    }
    Ok(router)
}

/// The codecs of every media worker.
pub(crate) fn codecs(config: &Config) -> Arc<dyn mixer::CodecFactory> {
    let media = &config.media;
    let (bitrate, complexity, speech_mode) = (media.opus_bitrate, media.opus_complexity, media.opus_speech_mode);
    Arc::new(codecs::TunedCodecs(codecs::OpusMix { bitrate, complexity, speech_mode }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_makes_each_of_them_our_own() {
        let machine = ["127.0.0.1", "192.0.2.7", "::1", "2001:db8::7"].map(|text| text.parse().expect("address"));
        let text =
            "[sip]\nlisten = [\"udp:0.0.0.0:5060\"]\nadvertised = \"203.0.113.5\"\nhost_names = [\"SIP.example\"]";
        let config = config::parse(text).expect("valid");
        assert_eq!(own_hosts(&config, &machine), ["127.0.0.1", "192.0.2.7", "203.0.113.5", "localhost", "sip.example"]);
        let config = config::parse("[sip]\nlisten = [\"tcp:[2001:db8::7]:5060\"]").expect("valid");
        assert_eq!(own_hosts(&config, &machine), ["2001:db8::7", "localhost"]);
    }

    #[test]
    fn attendees_dial_out_where_the_conference_or_else_the_server_lets_them() {
        let may = |text: &str| {
            let config = config::parse(text).expect("valid");
            let stored = Schedule::from(ConferenceRecord {
                id: base::ConferenceId::parse("WEEKLY2026").expect("valid"),
                ..permanent(&config.conferences[0], &Config::default())
            });
            let directory = directory(&config, vec![stored]).expect("valid");
            let may = |record: &ConferenceRecord| record.attendees_may_dial_out;
            let of_users = directory.conferences().find(|record| record.id.as_str() == "WEEKLY2026").map(may);
            let as_made = engine_config(&config, Calendar::start_now(), Vec::new()).attendees_may_dial_out;
            assert_eq!(of_users, Some(as_made), "stored conferences are as those made now");
            let permanent = directory.conferences().find(|record| record.id.as_str() != "WEEKLY2026").map(may);
            (of_users == Some(true), permanent == Some(true))
        };
        let conference = "[[conference]]\nnumber = \"7000\"\n";
        let (yes, no) = ("attendees_may_dial_out = true\n", "attendees_may_dial_out = false\n");
        assert_eq!(may(conference), (false, false));
        assert_eq!(may(&format!("{yes}{conference}")), (true, true));
        assert_eq!(may(&format!("{conference}{yes}")), (false, true));
        assert_eq!(may(&format!("{yes}{conference}{no}")), (true, false));
    }

    #[test]
    fn the_life_cycle_and_the_bounds_of_conferences_are_settings() {
        let text = "[sip]\nsession_expires_seconds = 600\nsubscription_seconds = 900\n[focus]\nwithout_join_hours = 2\n\
                    unauthenticated_minutes = 3\nending_notice_seconds = 4\nempty_linger_seconds = 5\nring_seconds = 16\n\
                    pending_seconds = 7\nlobby_minutes = 8\npin_tries = 9\npin_seconds = 10\nlegs_max = 11\nroster_interval_ms = 13\n\
                    dial_outs_max = 12";
        let config = config::parse(text).expect("valid");
        assert_eq!(config::check(&config), []);
        let made = engine_config(&config, Calendar::start_now(), Vec::new());
        let limits = Limits {
            legs_per_conference: 11,
            dial_outs_per_conference: 12,
            dial_out_ring: seconds(16),
            ..Limits::default()
        };
        let expected = FocusConfig {
            limits: limits.clone(),
            max_without_join: seconds(2 * 3_600),
            unauthenticated_grace: seconds(3 * 60),
            ending_notice: seconds(4),
            empty_linger: seconds(5),
            roster_interval: Duration::from_millis(13),
            pending_interval: seconds(7),
            lobby_wait: seconds(8 * 60),
            pin_tries: 9,
            pin_wait: seconds(10),
            ..FocusConfig::default()
        };
        assert_eq!((made.focus, &made.limits), (expected, &limits));
        assert_eq!((made.call.session_expires, made.call.subscription_max), (seconds(600), seconds(900)));
        let defaults = engine_config(&Config::default(), Calendar::start_now(), Vec::new());
        assert_eq!(defaults.focus, FocusConfig::default(), "what stands in the reference is what the Focus does");
    }

    /// Where a target goes by a configuration, for somebody who has proven who he is.
    fn verdict(text: &str, target: &str) -> routing::Verdict {
        struct Nobody;
        impl routing::Directory for Nobody {
            fn is_user(&self, _: &UserUri) -> bool {
                false
            }
            fn user_of_number(&self, _: &str) -> Option<UserUri> {
                None
            }
            fn is_conference(&self, _: &base::ConferenceNumber) -> bool {
                false
            }
        }
        let ann = UserUri::parse("sip:ann@localhost").expect("valid");
        let router = router(&config::parse(text).expect("valid")).expect("valid");
        router.route(routing::Target { requester: Some(&ann), profile: None, target }, &Nobody).verdict
    }

    #[test]
    fn other_domains_are_called_only_when_that_is_allowed() {
        use routing::{RefusedTarget, Verdict};
        let eve = "sip:eve@elsewhere.example";
        assert_eq!(verdict("", eve), Verdict::Refused(RefusedTarget::ExternalDenied));
        assert!(matches!(verdict("[sip]\nexternal_calls = true", eve), Verdict::External(_)));
    }

    #[test]
    fn emergency_numbers_are_refused_before_any_rule() {
        use routing::{RefusedTarget, Verdict};
        let rules = "[[trunk]]\nname = \"t\"\ntarget = \"udp:h:1\"\n[[location_profile]]\nname = \"default\"\n";
        let rule = "[[location_profile.rule]]\npattern = '(\\d+)'\ntranslation = '+4930${1}000'\n";
        assert!(matches!(verdict(&format!("{rules}{rule}"), "1120"), Verdict::Trunk { .. }));
        let told = verdict(&format!("{rules}emergency = [\"112\"]\n{rule}"), "112");
        assert_eq!(told, Verdict::Refused(RefusedTarget::Emergency));
    }
}
