//! What is wrong with a configuration on this machine: taken ports, unreadable files, limits. Everything that is
//! opened is closed again.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use media_io::FoundLanguage;
use routing::TrunkTarget;

use super::check::unknown_language;
use super::{Config, Finding, Transport};
use crate::guard;

/// File descriptors beside those of media: listeners, database, connections of HTTP and SIP.
const DESCRIPTORS_BESIDE_MEDIA: usize = 256;

/// Tries what the server will need. Its ports are not tried while it runs on its data directory, for it has them.
pub(crate) fn probe(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    match guard::served(&config.data_dir) {
        Some(told) => {
            let why = format!("{told}; whether ports are free was not tried, for it has its own");
            findings.push(Finding::warning("data_dir", Some(format!("{:?}", config.data_dir)), why));
        }
        None => {
            probe_listeners(config, &mut findings);
            probe_media(config, &mut findings);
        }
    }
    findings.extend(probe_languages(config).0);
    probe_directory(&config.data_dir, &mut findings);
    probe_certificates(config, &mut findings);
    probe_trunks(config, &mut findings);
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    findings.extend(descriptor_limit(&limits).and_then(|limit| judge_descriptors(limit, config.media.legs())));
    findings
}

fn probe_listeners(config: &Config, findings: &mut Vec<Finding>) {
    for (index, listen) in config.sip.listen.iter().enumerate() {
        let result = match listen.transport {
            Transport::Udp => UdpSocket::bind(listen.address).map(drop),
            Transport::Tcp | Transport::Tls => TcpListener::bind(listen.address).map(drop),
        };
        if let Err(error) = result {
            findings.push(not_bound(format!("sip.listen[{}]", index + 1), &listen.to_string(), &error));
        }
    }
    if let Err(error) = TcpListener::bind(config.http.listen) {
        findings.push(not_bound("http.listen".to_owned(), &config.http.listen.to_string(), &error));
    }
}

fn not_bound(key: String, value: &str, error: &io::Error) -> Finding {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "stop the program that has it, or choose another port",
        io::ErrorKind::AddrNotAvailable => "write an address of this machine",
        io::ErrorKind::PermissionDenied => "choose a port from 1024, or give the service CAP_NET_BIND_SERVICE",
        _ => "choose another address",
    };
    Finding::error(key, Some(format!("{value:?}")), format!("{error}; {remedy}"))
}

fn probe_media(config: &Config, findings: &mut Vec<Finding>) {
    let address = config.media.address;
    if let Err(error) = UdpSocket::bind(SocketAddr::new(address, 0)) {
        findings.push(not_bound("media.address".to_owned(), &address.to_string(), &error));
        return;
    }
    let ports = config.media.ports();
    let bind = |port| UdpSocket::bind(SocketAddr::new(address, port));
    let value = format!("\"{}-{}\"", ports.start(), ports.end());
    // The server marks the range as its own by the first.
    if let Err(error) = bind(*ports.start()) {
        let why =
            format!("port {} cannot be had: {error}; stop the program that has it, or choose others", ports.start());
        findings.push(Finding::error("media.ports", Some(value), why));
        return;
    }
    let taken = ports.clone().filter(|&port| bind(port).is_err()).count();
    if taken > 0 {
        let why = format!(
            "{taken} of {} ports are taken and will be passed over; stop what has them, or choose others",
            ports.len()
        );
        findings.push(Finding::warning("media.ports", Some(value), why));
    }
}

/// Looks for the addresses of trusted trunks, which are recognised by them.
fn probe_trunks(config: &Config, findings: &mut Vec<Finding>) {
    for (index, trunk) in config.trunks.iter().enumerate().filter(|(_, trunk)| trunk.trusted) {
        let Ok(target) = TrunkTarget::parse(&trunk.target) else { continue };
        if target.address().is_some() || has_addresses(&target) {
            continue;
        }
        let why = "it is trusted, but its name has no address: its requests would be treated as anybody's; correct the name, or \
                   write an IP address";
        findings.push(Finding::warning(
            format!("trunk[{}].target", index + 1),
            Some(format!("{:?}", trunk.target)),
            why,
        ));
    }
}

/// Asks as the server does at its start.
fn has_addresses(target: &TrunkTarget) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.is_ok_and(|runtime| !runtime.block_on(crate::trusted::addresses(target)).is_empty())
}

/// Reads the languages of `languages_dir`: each that is spoken must be whole. One that nobody speaks may be under way.
pub(crate) fn probe_languages(config: &Config) -> (Vec<Finding>, Vec<FoundLanguage>) {
    let Some(directory) = &config.media.languages_dir else { return Default::default() };
    let (key, value) = ("media.languages_dir", Some(format!("{directory:?}")));
    let found = match media_io::read_languages(directory, &codecs::Codecs) {
        Ok(found) => found,
        Err(error) => return (vec![Finding::error(key, value, error.to_string())], Vec::new()),
    };
    let spoken = config.spoken_languages();
    let mut findings = Vec::new();
    for (tag, error) in &found.incomplete {
        let speaks = |(_, wanted): &&(String, &str)| prompts::primary(wanted).eq_ignore_ascii_case(tag);
        let keys: Vec<&str> = spoken.iter().filter(speaks).map(|(key, _)| key.as_str()).collect();
        findings.push(if keys.is_empty() {
            Finding::warning(key, value.clone(), format!("{error}; until then it is left out"))
        } else {
            Finding::error(key, value.clone(), format!("{error}, or choose another language in {}", keys.join(", ")))
        });
    }
    let shipped = prompts::Languages::shipped();
    let complete = found.complete.iter().map(FoundLanguage::tag);
    let known: Vec<&str> = shipped.iter().map(prompts::Language::tag).chain(complete).collect();
    let incomplete: Vec<&str> = found.incomplete.iter().map(|(tag, _)| tag.as_str()).collect();
    for (key, language) in spoken {
        let is_there = |tag: &&str| tag.eq_ignore_ascii_case(prompts::primary(language));
        if !known.iter().chain(&incomplete).any(is_there) {
            findings.push(unknown_language(key, language, known.iter().copied()));
        }
    }
    (findings, found.complete)
}

/// Tries the directory, or the nearest one above it that exists: the server makes what is missing.
fn probe_directory(directory: &Path, findings: &mut Vec<Finding>) {
    let current = Path::new(".");
    let existing = directory.ancestors().find(|path| path.exists()).unwrap_or(current);
    let existing = if existing.as_os_str().is_empty() { current } else { existing };
    let trial = existing.join(format!(".convoke-check-{}", std::process::id()));
    let result = File::create_new(&trial).and_then(|_| std::fs::remove_file(&trial));
    if let Err(error) = result {
        let why =
            format!("{} cannot be written to: {error}; choose a directory this user may write to", existing.display());
        findings.push(Finding::error("data_dir", Some(format!("{directory:?}")), why));
    }
}

fn probe_certificates(config: &Config, findings: &mut Vec<Finding>) {
    let Some(tls) = &config.sip.tls else { return };
    let files = [
        ("certificate", Some(&tls.certificate)),
        ("key", Some(&tls.key)),
        ("client_ca", tls.client_ca.as_ref()),
        ("server_ca", tls.server_ca.as_ref()),
    ];
    for (name, path) in files {
        let Some(path) = path else { continue };
        let why = match std::fs::read(path) {
            Ok(bytes) if String::from_utf8_lossy(&bytes).contains("-----BEGIN ") => continue,
            Ok(_) => "it is not PEM; convert it with openssl".to_owned(),
            Err(error) => format!("{error}; name a file that this user may read"),
        };
        findings.push(Finding::error(format!("sip.tls.{name}"), Some(format!("{path:?}")), why));
    }
}

/// The hard limit of open files (the server raises the soft one to it) in the text of `/proc/self/limits`; `None` when there is no limit or no such line.
fn descriptor_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn judge_descriptors(limit: usize, legs: usize) -> Option<Finding> {
    let needed = 2 * legs + DESCRIPTORS_BESIDE_MEDIA;
    (limit < needed).then(|| {
        let room = limit.saturating_sub(DESCRIPTORS_BESIDE_MEDIA) / 2;
        let why = format!(
            "the ports serve {legs} legs, which need {needed} file descriptors, but {limit} are allowed: enough for \
             {room} legs; raise the limit (LimitNOFILE={needed}, ulimit -Hn {needed})"
        );
        Finding::warning("media.ports", None, why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn told(text: &str) -> String {
        let findings: Vec<String> = probe(&parse(text).expect(text)).iter().map(Finding::to_string).collect();
        findings.join("\n")
    }

    #[test]
    fn taken_ports_are_told_and_free_ones_are_released() {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let (tcp, udp) = ((tcp.local_addr().expect("bound"), tcp), (udp.local_addr().expect("bound"), udp));
        let text = format!("[sip]\nlisten = [\"udp:{}\", \"tcp:127.0.0.1:0\"]\n[http]\nlisten = \"{}\"", udp.0, tcp.0);
        let first = told(&text);
        assert!(first.contains("error: sip.listen[1]") && first.contains("error: http.listen"), "{first}");
        assert!(!first.contains("sip.listen[2]"), "{first}");
        drop((tcp.1, udp.1));
        let second = told(&text);
        assert!(!second.contains("listen"), "{second}");
    }

    #[test]
    fn without_the_first_audio_port_there_is_no_server_and_others_are_passed_over() {
        let text =
            "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\n[media]\nports = \"23530-23539\"";
        let bind = |port: u16| UdpSocket::bind(("127.0.0.1", port)).expect("free");
        let other = bind(23_535);
        assert!(told(text).contains("warning: media.ports = \"23530-23539\": 1 of 10 ports"), "{}", told(text));
        let _first = bind(23_530);
        drop(other);
        assert!(
            told(text).contains("error: media.ports = \"23530-23539\": port 23530 cannot be had"),
            "{}",
            told(text)
        );
    }

    #[test]
    fn ports_are_not_tried_beside_the_server_that_has_them() {
        let directory = tempfile::tempdir().expect("a directory");
        let http = TcpListener::bind("127.0.0.1:0").expect("a port");
        let text = format!(
            "data_dir = {:?}\n[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[http]\nlisten = \"{}\"\n[media]\nports = \"23520-23523\"",
            directory.path(),
            http.local_addr().expect("bound")
        );
        let server = guard::Guards::take(&parse(&text).expect("valid")).expect("free");
        let beside = told(&text);
        assert!(beside.contains("warning: data_dir") && beside.contains("a server runs on it (process"), "{beside}");
        assert!(!beside.contains("error"), "{beside}");
        drop(server);
        let alone = told(&text);
        assert!(alone.contains("error: http.listen") && !alone.contains("a server runs"), "{alone}");
    }

    #[test]
    fn languages_are_looked_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let told = |text: &str| {
            let (findings, _) = probe_languages(&parse(text).expect(text));
            findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n")
        };
        let of = |directory: &Path, language: &str| {
            told(&format!("[media]\nlanguages_dir = {directory:?}\nlanguage = {language:?}"))
        };
        assert_eq!(of(directory.path(), "de-AT"), "");
        let unknown = of(directory.path(), "fr");
        assert!(unknown.contains("error: media.language = \"fr\"") && unknown.contains("en, de"), "{unknown}");
        std::fs::create_dir(directory.path().join("fr")).expect("writable");
        let unused = of(directory.path(), "en");
        assert!(unused.starts_with("warning: media.languages_dir") && unused.contains("lacks enter-pin"), "{unused}");
        for used in [
            "language = \"fr-CH\"",
            "[[access_number]]\nnumber = \"+4930123450\"\nlanguage = \"fr\"\nregion = \"Bern\"",
            "[[response_group]]\nuri = \"sip:sales@localhost\"\nlanguage = \"fr\"",
        ] {
            let incomplete = told(&format!("[media]\nlanguages_dir = {:?}\n{used}", directory.path()));
            assert!(incomplete.starts_with("error: media.languages_dir"), "{used}: {incomplete}");
            assert!(incomplete.contains("hash, 0 to 99") && !incomplete.contains('\n'), "{used}: {incomplete}");
        }
        assert!(of(&directory.path().join("none"), "en").contains("cannot be read"));
    }

    #[test]
    fn unusable_files_and_directories_are_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        std::fs::write(&file, "no certificate").expect("writable");
        let text = format!(
            "data_dir = {:?}\n[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[sip.tls]\ncertificate = {file:?}\nkey = \"/nonexistent\"",
            file.join("below")
        );
        let told = told(&text);
        for fragment in ["error: data_dir", "sip.tls.certificate", "not PEM", "sip.tls.key = \"/nonexistent\""] {
            assert!(told.contains(fragment), "{fragment} is not in\n{told}");
        }
    }

    #[test]
    fn a_trusted_trunk_without_an_address_is_told() {
        let trunk =
            |target: &str, trusted| format!("[[trunk]]\nname = \"t\"\ntarget = \"{target}\"\ntrusted = {trusted}\n");
        let nowhere = "udp:nowhere.invalid:5060";
        let found = told(&trunk(nowhere, true));
        let expected =
            "warning: trunk[1].target = \"udp:nowhere.invalid:5060\": it is trusted, but its name has no address";
        assert!(found.contains(expected), "{found}");
        for harmless in [trunk(nowhere, false), trunk("udp:localhost:5060", true), trunk("udp:192.0.2.1:5060", true)] {
            let found = told(&harmless);
            assert!(!found.contains("trunk["), "{found}");
        }
    }

    #[test]
    fn a_writable_directory_is_left_as_it_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut findings = Vec::new();
        probe_directory(&directory.path().join("new"), &mut findings);
        assert_eq!(findings, []);
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 0);
    }

    #[test]
    fn too_few_file_descriptors_are_told_with_the_number() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024        4096        files\n";
        assert_eq!(descriptor_limit(limits), Some(4096));
        assert_eq!(descriptor_limit("Max open files   unlimited   unlimited   files"), None);
        let finding = judge_descriptors(1024, 1000).expect("too few").to_string();
        assert!(finding.contains("2256") && finding.contains("384 legs"), "{finding}");
        assert_eq!(judge_descriptors(2256, 1000), None);
    }
}
