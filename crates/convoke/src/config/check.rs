//! What can be seen to be wrong in a configuration without touching the machine it is to run on.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;

use base::{AccessType, UserUri};
use routing::{DEFAULT_PROFILE, TrunkTarget};

use super::{Conference, Config, EntryExit, Finding, LocationProfile, Srtp, Transport};

/// Characters below which a password is guessed.
const PASSWORD_MIN: usize = 8;

/// Threads beyond which a number is surely a slip.
const WORKERS_MAX: usize = 256;
/// Bit rates of a mix in Opus.
const OPUS_BITRATES: std::ops::RangeInclusive<u32> = 12_000..=128_000;
/// The hardest that Opus can be made to try.
const OPUS_COMPLEXITY_MAX: u8 = 10;
/// Bounds of a jitter buffer in milliseconds: two packets, and what a conversation can bear.
const JITTER_BUFFER_MS: std::ops::RangeInclusive<u16> = 40..=500;
/// Below, a network that fails for half a minute would end calls.
const SILENCE_SECONDS: std::ops::RangeInclusive<u32> = 30..=86_400;

/// Session intervals: the shortest of RFC 4028 5, and two hours.
const SESSION_EXPIRES_SECONDS: std::ops::RangeInclusive<u32> = 90..=7_200;
/// Subscriptions: the shortest granted, and a day.
const SUBSCRIPTION_SECONDS: std::ops::RangeInclusive<u32> = 60..=86_400;
/// Connections of one address: at most all that SIP takes.
const CONNECTIONS_PER_SOURCE: std::ops::RangeInclusive<u32> = 1..=20_000;

/// Calls of one caller: one, and more than any server has ports for.
const CALLS: std::ops::RangeInclusive<u32> = 1..=100_000;

/// Longest drain: a day.
const DRAIN_SECONDS_MAX: u64 = 86_400;

/// Everything that is wrong (errors: the server does not start) or unwise (warnings).
pub(crate) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    check_general(config, &mut findings);
    check_sip(config, &mut findings);
    check_http(config, &mut findings);
    check_media(config, &mut findings);
    super::focus::check(&config.focus, &mut findings);
    check_users(config, &mut findings);
    check_conferences(config, &mut findings);
    check_access_numbers(config, &mut findings);
    check_numbers(config, &mut findings);
    check_trunks(config, &mut findings);
    check_profiles(config, &mut findings);
    super::groups::check(config, &mut findings);
    check_exposure(config, &mut findings);
    if !findings.iter().any(Finding::is_error) {
        check_routing(config, &mut findings);
    }
    findings.iter_mut().for_each(|finding| finding.note_source(&config.variables));
    findings
}

/// Users' call-routing settings, against everything that exists; so the rest must be right.
fn check_routing(config: &Config, findings: &mut Vec<Finding>) {
    let Ok(directory) = crate::assemble::directory(config, Vec::new()) else { return };
    for (index, user) in config.users.iter().enumerate() {
        for problem in directory.profile_problems(&user.uri, &user.routing) {
            let key = format!("user[{}].routing.{}", index + 1, problem.key);
            findings.push(match problem.is_error {
                true => Finding::error(key, quoted(&problem.value), problem.why),
                false => Finding::warning(key, quoted(&problem.value), problem.why),
            });
        }
    }
}

fn quoted(text: &str) -> Option<String> {
    Some(format!("{text:?}"))
}

fn check_general(config: &Config, findings: &mut Vec<Finding>) {
    let domain = config.domain.as_str();
    let valid = UserUri::parse(&format!("sip:conferences@{domain}"))
        .is_ok_and(|uri| uri.host().eq_ignore_ascii_case(domain))
        && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte));
    if !valid {
        let why =
            "it is not a host name or IP address; write it without scheme, user and port, as in \"voice.example.com\"";
        findings.push(Finding::error("domain", quoted(domain), why));
    }
    if let Some(number) = config.caller_number.as_deref().filter(|number| !is_global(number)) {
        findings.push(Finding::error(
            "caller_number",
            quoted(number),
            "write + and 7 to 15 digits, as in \"+4930123450\"",
        ));
    }
    if config.drain_seconds > DRAIN_SECONDS_MAX {
        let value = Some(config.drain_seconds.to_string());
        findings.push(Finding::error("drain_seconds", value, format!("write 0 to {DRAIN_SECONDS_MAX}")));
    }
    if config.data_dir.as_os_str().is_empty() {
        findings.push(Finding::error("data_dir", quoted(""), "it is empty; name a directory"));
    }
    let url = config.database.url.as_deref();
    if let Some(url) = url.filter(|url| url.is_empty() || (url.contains("://") && !url.starts_with("sqlite:"))) {
        // What stands in a URL of another database may be a password.
        let scheme = url.split("://").next().unwrap_or_default();
        findings.push(Finding::error(
            "database.url",
            quoted(&format!("{scheme}:...")),
            "this version stores in SQLite; write sqlite: and a path",
        ));
    }
}

fn check_sip(config: &Config, findings: &mut Vec<Finding>) {
    let sip = &config.sip;
    if sip.listen.is_empty() {
        let why = "nothing could reach the server; name an address, as in [\"udp:127.0.0.1:5060\"]";
        findings.push(Finding::error("sip.listen", Some("[]".to_owned()), why));
    }
    for (index, listen) in sip.listen.iter().enumerate() {
        let key = format!("sip.listen[{}]", index + 1);
        if listen.address.port() != 0 && sip.listen[..index].contains(listen) {
            findings.push(Finding::error(&key, quoted(&listen.to_string()), "it stands there twice; remove one"));
        }
        if listen.transport == Transport::Tls && sip.tls.is_none() {
            let why = "TLS needs a certificate; set certificate and key in [sip.tls], or remove the address";
            findings.push(Finding::error(&key, quoted(&listen.to_string()), why));
        }
    }
    if sip.tls.is_some() && !sip.listen.iter().any(|listen| listen.transport == Transport::Tls) {
        let why = "nothing listens by TLS; add an address like \"tls:192.0.2.10:5061\" to sip.listen";
        findings.push(Finding::warning("sip.tls", None, why));
    }
    if sip.tls.as_ref().is_some_and(|tls| tls.client_required && tls.client_ca.is_none()) {
        let why = "nobody could come in: there is no authority whose certificates are believed; set sip.tls.client_ca";
        findings.push(Finding::error("sip.tls.client_required", Some("true".to_owned()), why));
    }
    for (key, value, range) in [
        ("sip.session_expires_seconds", sip.session_expires_seconds, SESSION_EXPIRES_SECONDS),
        ("sip.subscription_seconds", sip.subscription_seconds, SUBSCRIPTION_SECONDS),
        ("sip.connections_per_source", sip.connections_per_source, CONNECTIONS_PER_SOURCE),
        ("sip.calls_per_account", sip.calls_per_account, CALLS),
        ("sip.calls_per_source", sip.calls_per_source, CALLS),
        ("sip.unanswered_per_account", sip.unanswered_per_account, CALLS),
        ("sip.unanswered_per_source", sip.unanswered_per_source, CALLS),
    ] {
        if !range.contains(&value) {
            let why = format!("write {} to {}", range.start(), range.end());
            findings.push(Finding::error(key, Some(value.to_string()), why));
        }
    }
    if let Some(advertised) = &sip.advertised {
        let address = advertised.parse::<IpAddr>();
        if address.is_ok_and(|address| address.is_unspecified() || address.is_multicast()) || !is_host(advertised) {
            let why = "peers cannot send to it; write the host name or IP address they reach, without a port";
            findings.push(Finding::error("sip.advertised", quoted(advertised), why));
        }
    } else if let Some(media) = config.media.advertised.filter(|media| *media != config.media.address) {
        let why = format!("phones are told {media} for media, but for SIP the address listened on; set it as well");
        findings.push(Finding::warning("sip.advertised", None, why));
    }
    for (index, name) in sip.host_names.iter().enumerate().filter(|(_, name)| !is_host(name)) {
        let why = "it is no host name or IP address; write it without scheme and port, as in \"sip.example.com\"";
        findings.push(Finding::error(format!("sip.host_names[{}]", index + 1), quoted(name), why));
    }
    check_dscp("sip.dscp", sip.dscp, findings);
}

/// Whether a text can stand as the host of a URI; IPv6 without brackets.
fn is_host(text: &str) -> bool {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    text.parse::<IpAddr>().is_ok() || (!text.is_empty() && text.bytes().all(named))
}

fn check_dscp(key: &str, dscp: Option<u8>, findings: &mut Vec<Finding>) {
    if let Some(dscp) = dscp.filter(|&dscp| dscp > 63) {
        findings.push(Finding::error(key, Some(dscp.to_string()), "a code point has six bits; write 0 to 63"));
    }
}

fn check_http(config: &Config, findings: &mut Vec<Finding>) {
    let http = &config.http;
    let values = [
        ("http.request_seconds", http.request_seconds, 300),
        ("http.connections", http.connections as u64, 100_000),
        ("http.connections_per_source", http.connections_per_source as u64, http.connections as u64),
    ];
    for (key, value, most) in values {
        if !(1..=most.max(1)).contains(&value) {
            findings.push(Finding::error(key, Some(value.to_string()), format!("write 1 to {most}")));
        }
    }
}

fn check_media(config: &Config, findings: &mut Vec<Finding>) {
    let media = &config.media;
    check_dscp("media.dscp", media.dscp, findings);
    if media.address.is_unspecified() && media.advertised.is_none() {
        let why = "phones cannot send to it; set media.advertised to the address they reach, or name one address";
        findings.push(Finding::error("media.address", quoted(&media.address.to_string()), why));
    }
    if let Some(advertised) = media.advertised.filter(|address| address.is_unspecified() || address.is_multicast()) {
        findings.push(Finding::error(
            "media.advertised",
            quoted(&advertised.to_string()),
            "phones cannot send to it; write the address they reach",
        ));
    }
    if let Some(workers) = media.workers.filter(|workers| !(1..=WORKERS_MAX).contains(workers)) {
        let why = format!("write 1 to {WORKERS_MAX}, or remove the key for one thread per core");
        findings.push(Finding::error("media.workers", Some(workers.to_string()), why));
    }
    if !OPUS_BITRATES.contains(&media.opus_bitrate) {
        let why = format!("write {} to {}", OPUS_BITRATES.start(), OPUS_BITRATES.end());
        findings.push(Finding::error("media.opus_bitrate", Some(media.opus_bitrate.to_string()), why));
    }
    if media.opus_complexity > OPUS_COMPLEXITY_MAX {
        let why = format!("write 0 to {OPUS_COMPLEXITY_MAX}");
        findings.push(Finding::error("media.opus_complexity", Some(media.opus_complexity.to_string()), why));
    }
    if !JITTER_BUFFER_MS.contains(&media.jitter_buffer_ms) {
        let why = format!("write {} to {}", JITTER_BUFFER_MS.start(), JITTER_BUFFER_MS.end());
        findings.push(Finding::error("media.jitter_buffer_ms", Some(media.jitter_buffer_ms.to_string()), why));
    }
    if media.silence_seconds != 0 && !SILENCE_SECONDS.contains(&media.silence_seconds) {
        let why = format!("write {} to {}, or 0 for never", SILENCE_SECONDS.start(), SILENCE_SECONDS.end());
        findings.push(Finding::error("media.silence_seconds", Some(media.silence_seconds.to_string()), why));
    }
    check_language(config, findings);
    if media.recordings_dir.is_none() && config.conferences.iter().any(|conference| conference.record) {
        let why = "a [[conference]] is to be recorded; name the directory for it";
        findings.push(Finding::error("media.recordings_dir", None, why));
    }
    let all_tls = config.sip.listen.iter().all(|listen| listen.transport == Transport::Tls);
    if media.srtp == Srtp::Require && !all_tls && !is_local(config) {
        let why = "the keys of the media travel in SIP, which some phones may speak without TLS; listen by tls: only";
        findings.push(Finding::warning("media.srtp", quoted("require"), why));
    }
}

fn check_language(config: &Config, findings: &mut Vec<Finding>) {
    let language = &config.media.language;
    if !language.is_empty() && !may_be_spoken(config, language) {
        let shipped = prompts::Languages::shipped();
        findings.push(unknown_language("media.language", language, shipped.iter().map(prompts::Language::tag)));
    }
    let announces = |conference: &Conference| conference.entry_exit == Some(EntryExit::Announce);
    if language.is_empty() && config.conferences.iter().any(announces) {
        let why = "a [[conference]] announces who enters and leaves, and there is no language to do it in; name one";
        findings.push(Finding::error("media.language", quoted(language), why));
    }
}

/// Whether there are, or may be, prompts in a language. Which ones a directory of languages holds, and whether they are
/// whole, is looked at where files are: see `probe`.
pub(super) fn may_be_spoken(config: &Config, tag: &str) -> bool {
    config.media.languages_dir.is_some() || prompts::Languages::shipped().find(tag).is_some()
}

/// There are no prompts in a language.
pub(super) fn unknown_language<'a>(
    key: impl Into<String>,
    language: &str,
    known: impl Iterator<Item = &'a str>,
) -> Finding {
    let known = known.collect::<Vec<_>>().join(", ");
    let key = key.into();
    let silent = if key == "media.language" { ", or an empty text for tones" } else { "" };
    Finding::error(key, quoted(language), format!("there are no prompts in it; write one of {known}{silent}"))
}

fn check_users(config: &Config, findings: &mut Vec<Finding>) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, user) in config.users.iter().enumerate() {
        let key = |name: &str| format!("user[{}].{name}", index + 1);
        let uri = quoted(user.uri.as_str());
        // The password belongs to the user part, so that is what must be there once.
        if let Some(first) = seen.insert(user.uri.user_part(), index) {
            findings.push(Finding::error(
                key("uri"),
                uri.clone(),
                format!("user[{}] is the same user; remove one", first + 1),
            ));
        }
        if !user.uri.host().eq_ignore_ascii_case(&config.domain) {
            let why = format!(
                "he is not of this server's domain; write sip:{}@{}, or change domain",
                user.uri.user_part(),
                config.domain
            );
            findings.push(Finding::error(key("uri"), uri, why));
        }
        let length = user.password.expose().chars().count();
        if length == 0 {
            findings.push(Finding::error(key("password"), None, "it is empty; write at least 8 characters"));
        } else if length < PASSWORD_MIN && !is_local(config) {
            findings.push(Finding::warning(
                key("password"),
                None,
                "it is short and will be guessed; write at least 8 characters",
            ));
        }
        if let Some(number) = user.number.as_deref().filter(|number| !is_global(number) && !is_extension(number)) {
            let why = "write + and 7 to 15 digits, or 1 to 15 digits for an extension, without blanks";
            findings.push(Finding::error(key("number"), quoted(number), why));
        }
        if let Some(name) = &user.location_profile
            && !config.location_profiles.iter().any(|profile| profile.name == *name)
        {
            let why = format!("there is no such profile; {}", known(&config.location_profiles));
            findings.push(Finding::error(key("location_profile"), quoted(name), why));
        }
    }
}

fn known(profiles: &[LocationProfile]) -> String {
    let names: Vec<&str> = profiles.iter().map(|profile| profile.name.as_str()).collect();
    if names.is_empty() {
        "add a [[location_profile]] of that name".to_owned()
    } else {
        format!("write one of {names:?}")
    }
}

fn check_conferences(config: &Config, findings: &mut Vec<Finding>) {
    for (index, conference) in config.conferences.iter().enumerate() {
        let key = |name: &str| format!("conference[{}].{name}", index + 1);
        if conference.pin.as_ref().is_some_and(|pin| focus::Pin::parse(pin.expose()).is_err()) {
            findings.push(Finding::error(key("pin"), None, "write 3 to 24 digits"));
        }
        if conference.access == AccessType::Anonymous && conference.pin.is_none() && !is_local(config) {
            let why = format!("whoever calls {} may enter, without account or PIN; set a pin", conference.number);
            findings.push(Finding::warning(key("access"), quoted("anonymous"), why));
        }
        if conference.access == AccessType::Closed && conference.organizer.is_none() {
            let why = "nobody may enter: there is no organizer; set organizer to the URI of a [[user]]";
            findings.push(Finding::warning(key("access"), quoted("closed"), why));
        }
        if let Some(organizer) = &conference.organizer
            && !config.users.iter().any(|user| user.uri == organizer.address_of_record())
        {
            let why = "he has no account, so nobody can lead the conference; add a [[user]] with this uri";
            findings.push(Finding::warning(key("organizer"), quoted(organizer.as_str()), why));
        }
    }
}

fn check_access_numbers(config: &Config, findings: &mut Vec<Finding>) {
    for (index, access) in config.access_numbers.iter().enumerate() {
        let key = |name: &str| format!("access_number[{}].{name}", index + 1);
        if !is_global(&access.number) {
            let why = "write + and 7 to 15 digits, as in \"+4930123450\"";
            findings.push(Finding::error(key("number"), quoted(&access.number), why));
        }
        if !may_be_spoken(config, &access.language) {
            let shipped = prompts::Languages::shipped();
            let shipped = shipped.iter().map(prompts::Language::tag);
            findings.push(unknown_language(key("language"), &access.language, shipped));
        }
        if access.region.trim().is_empty() {
            let why = "it is empty; name the place as people know it, or remove the key";
            findings.push(Finding::error(key("region"), quoted(&access.region), why));
        }
    }
}

/// A number reaches one user, one conference or the attendant.
fn check_numbers(config: &Config, findings: &mut Vec<Finding>) {
    let mut seen: HashMap<&str, String> = HashMap::new();
    let users = config.users.iter().enumerate();
    let users =
        users.filter_map(|(index, user)| Some((user.number.as_deref()?, format!("user[{}].number", index + 1))));
    let names =
        config.users.iter().enumerate().filter(|(_, user)| user.number.as_deref() != Some(user.uri.user_part()));
    let names = names
        .filter(|(_, user)| is_extension(user.uri.user_part()))
        .map(|(index, user)| (user.uri.user_part(), format!("user[{}].uri", index + 1)));
    let conferences = config.conferences.iter().enumerate();
    let conferences =
        conferences.map(|(index, one)| (one.number.as_str(), format!("conference[{}].number", index + 1)));
    let access = config.access_numbers.iter().enumerate();
    let access = access.map(|(index, one)| (one.number.as_str(), format!("access_number[{}].number", index + 1)));
    for (number, key) in users.chain(names).chain(conferences).chain(access) {
        if let Some(first) = seen.get(number) {
            findings.push(Finding::error(key, quoted(number), format!("{first} is the same number; choose another")));
        } else {
            seen.insert(number, key);
        }
    }
}

fn check_trunks(config: &Config, findings: &mut Vec<Finding>) {
    for (index, trunk) in config.trunks.iter().enumerate() {
        let key = |name: &str| format!("trunk[{}].{name}", index + 1);
        if trunk.name.is_empty() {
            findings.push(Finding::error(key("name"), quoted(""), "it is empty; give the trunk a name"));
        }
        if let Some(first) = config.trunks[..index].iter().position(|other| other.name == trunk.name) {
            findings.push(Finding::error(
                key("name"),
                quoted(&trunk.name),
                format!("trunk[{}] has this name; choose another", first + 1),
            ));
        }
        if let Err(error) = TrunkTarget::parse(&trunk.target) {
            findings.push(Finding::error(
                key("target"),
                quoted(&trunk.target),
                format!("{error}; write for example udp:sip.provider.example:5060"),
            ));
        }
        let lacking = match (&trunk.username, &trunk.password) {
            (Some(_), None) => Some(("password", "username is set, so the provider wants one; write both or neither")),
            (None, None) if trunk.register => {
                Some(("username", "register = true needs an account; write username and password"))
            }
            (None, Some(_)) => Some(("username", "password is set, so the provider wants one; write both or neither")),
            _ => None,
        };
        if let Some((name, why)) = lacking {
            findings.push(Finding::error(key(name), None, why));
        }
        for (name, prefixes) in [("allow", &trunk.allow), ("deny", &trunk.deny)] {
            for prefix in prefixes.iter().filter(|prefix| !is_prefix(prefix)) {
                findings.push(Finding::error(key(name), quoted(prefix), "a prefix is + and digits, as in \"+49\""));
            }
        }
    }
    let has_default = config.location_profiles.iter().any(|profile| profile.name == DEFAULT_PROFILE);
    if !config.trunks.is_empty() && !has_default {
        let why = format!(
            "none is named {DEFAULT_PROFILE:?}, so users without a profile can dial only numbers with +; add one"
        );
        findings.push(Finding::warning("location_profile", None, why));
    }
}

fn check_profiles(config: &Config, findings: &mut Vec<Finding>) {
    for (index, profile) in config.location_profiles.iter().enumerate() {
        let key = format!("location_profile[{}]", index + 1);
        let is_dialled = |number: &&String| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        for number in profile.emergency.iter().filter(|number| !is_dialled(number)) {
            let why = "an emergency number is digits as they are dialled, as in \"112\"";
            findings.push(Finding::error(format!("{key}.emergency"), quoted(number), why));
        }
        if let Some(first) = config.location_profiles[..index].iter().position(|other| other.name == profile.name) {
            let why = format!("location_profile[{}] has this name; choose another", first + 1);
            findings.push(Finding::error(format!("{key}.name"), quoted(&profile.name), why));
        }
        let rules: Vec<routing::Rule> = profile
            .rules
            .iter()
            .map(|rule| routing::Rule { pattern: rule.pattern.clone(), translation: rule.translation.clone() })
            .collect();
        let Err(error) = routing::LocationProfile::compile(&profile.name, &rules) else { continue };
        let finding = match error.rule.and_then(|rule| Some((rule, profile.rules.get(rule)?))) {
            Some((number, rule)) => {
                let value = format!("{{ pattern = {:?}, translation = {:?} }}", rule.pattern, rule.translation);
                Finding::error(
                    format!("{key}.rule[{}]", number + 1),
                    Some(value),
                    format!("{}; correct the rule", error.why),
                )
            }
            None => Finding::error(format!("{key}.name"), quoted(&profile.name), error.why),
        };
        findings.push(finding);
    }
}

/// What is unwise once somebody else can reach the server.
fn check_exposure(config: &Config, findings: &mut Vec<Finding>) {
    check_file(config, findings);
    if !config.http.listen.ip().is_loopback() {
        let why = "HTTP is spoken without TLS; stay on loopback behind a reverse proxy that ends TLS";
        findings.push(Finding::warning("http.listen", quoted(&config.http.listen.to_string()), why));
    }
    let beyond: Vec<IpAddr> =
        config.sip.listen.iter().map(|one| one.address.ip()).filter(|ip| !ip.is_loopback()).collect();
    if beyond.is_empty() {
        return;
    }
    if !config.sip.listen.iter().any(|listen| listen.transport == Transport::Tls) {
        let why = "SIP goes over the network without TLS; add a tls: address and [sip.tls]";
        findings.push(Finding::warning("sip.listen", quoted(&beyond[0].to_string()), why));
    }
    if config.media.advertised.unwrap_or(config.media.address).is_loopback() {
        let why = "phones elsewhere will hear nothing; set it, or media.advertised, to an address they reach";
        findings.push(Finding::warning("media.address", quoted(&config.media.address.to_string()), why));
    }
    if config.domain.eq_ignore_ascii_case("localhost") {
        findings.push(Finding::warning(
            "domain",
            quoted("localhost"),
            "phones elsewhere look for it on themselves; set the server's host name",
        ));
    }
}

fn check_file(config: &Config, findings: &mut Vec<Finding>) {
    let has_secrets = !config.users.is_empty()
        || config.conferences.iter().any(|conference| conference.pin.is_some())
        || config.trunks.iter().any(|trunk| trunk.password.is_some());
    let Some(file) = config.file.as_ref().filter(|_| has_secrets) else { return };
    let others_read = std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0);
    if others_read {
        let why = format!("every user of this machine can read the passwords in it; run chmod 600 {}", file.display());
        findings.push(Finding::warning(format!("--config {}", file.display()), None, why));
    }
}

/// Whether only this machine reaches the server by SIP.
fn is_local(config: &Config) -> bool {
    config.sip.listen.iter().all(|listen| listen.address.ip().is_loopback())
}

fn is_global(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| (7..=15).contains(&digits.len()) && is_digits(digits))
}

fn is_extension(number: &str) -> bool {
    (1..=15).contains(&number.len()) && is_digits(number)
}

fn is_prefix(prefix: &str) -> bool {
    prefix.strip_prefix('+').is_some_and(|digits| digits.len() <= 15 && is_digits(digits))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
