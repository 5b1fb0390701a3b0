use super::*;
use crate::config::parse;

const ANN: &str = "[[user]]\nuri = \"sip:ann@localhost\"\npassword = \"long enough\"\n";
const BEYOND: &str = "[sip]\nlisten = [\"udp:192.0.2.1:5060\"]\n";

fn findings(text: &str) -> Vec<String> {
    check(&parse(text).expect(text)).iter().map(Finding::to_string).collect()
}

#[test]
fn the_defaults_are_without_findings() {
    assert_eq!(check(&Config::default()), []);
}

#[test]
fn what_is_wrong_is_told_with_key_value_and_remedy() {
    let profile = "[[location_profile]]\nname = \"default\"\n";
    let table: &[(&str, &[&str])] = &[
        ("domain = \"a b\"", &["error: domain = \"a b\"", "voice.example.com"]),
        ("domain = \"a.example:5060\"", &["error: domain", "without scheme"]),
        ("caller_number = \"030123\"", &["error: caller_number = \"030123\"", "write +"]),
        ("drain_seconds = 100000", &["error: drain_seconds = 100000", "0 to 86400"]),
        ("data_dir = \"\"", &["error: data_dir", "name a directory"]),
        ("[database]\nurl = \"postgres://u:secret@h/d\"", &["error: database.url", "SQLite"]),
        ("[sip]\nlisten = []", &["error: sip.listen = []"]),
        ("[sip]\nlisten = [\"udp:[::1]:1\", \"udp:[::1]:1\"]", &["error: sip.listen[2] = \"udp:[::1]:1\"", "twice"]),
        ("[sip]\nlisten = [\"tls:127.0.0.1:5061\"]", &["error: sip.listen[1]", "needs a certificate", "[sip.tls]"]),
        ("[sip.tls]\ncertificate = \"c\"\nkey = \"k\"", &["warning: sip.tls", "sip.listen"]),
        (
            "[sip.tls]\ncertificate = \"c\"\nkey = \"k\"\nclient_required = true",
            &["error: sip.tls.client_required = true", "client_ca"],
        ),
        ("[sip]\nadvertised = \"0.0.0.0\"", &["error: sip.advertised = \"0.0.0.0\"", "they reach"]),
        ("[sip]\nadvertised = \"sip.example.com:5060\"", &["error: sip.advertised", "without a port"]),
        ("[media]\nadvertised = \"203.0.113.5\"", &["warning: sip.advertised", "203.0.113.5"]),
        ("[sip]\nhost_names = [\"ok.example\", \"a b\"]", &["error: sip.host_names[2] = \"a b\"", "host name"]),
        ("[sip]\ndscp = 64", &["error: sip.dscp = 64", "0 to 63"]),
        ("[sip]\nsession_expires_seconds = 89", &["error: sip.session_expires_seconds = 89", "90 to 7200"]),
        ("[sip]\nunanswered_per_source = 0", &["error: sip.unanswered_per_source = 0", "1 to 100000"]),
        ("[sip]\nsubscription_seconds = 59", &["error: sip.subscription_seconds = 59", "60 to 86400"]),
        ("[sip]\nconnections_per_source = 0", &["error: sip.connections_per_source = 0", "1 to 20000"]),
        ("[http]\nrequest_seconds = 0", &["error: http.request_seconds = 0", "1 to 300"]),
        ("[http]\nconnections = 50", &["error: http.connections_per_source = 100", "1 to 50"]),
        ("[media]\ndscp = 99", &["error: media.dscp = 99"]),
        ("[media]\nworkers = 0", &["error: media.workers = 0", "1 to 256"]),
        (
            "[media]\nlanguage = \"\"\n[[conference]]\nnumber = \"1\"\nentry_exit = \"announce\"",
            &["error: media.language", "name one"],
        ),
        ("[media]\njitter_buffer_ms = 30", &["error: media.jitter_buffer_ms = 30", "40 to 500"]),
        ("[media]\nsilence_seconds = 29", &["error: media.silence_seconds = 29", "30 to 86400", "0 for never"]),
        ("[media]\nopus_bitrate = 6000", &["error: media.opus_bitrate = 6000", "12000 to 128000"]),
        ("[media]\nopus_complexity = 11", &["error: media.opus_complexity = 11", "0 to 10"]),
        ("[media]\naddress = \"0.0.0.0\"", &["error: media.address = \"0.0.0.0\"", "media.advertised"]),
        ("[media]\nadvertised = \"0.0.0.0\"", &["error: media.advertised"]),
        (
            "[[user]]\nuri = \"sip:a@b.example\"\npassword = \"\"",
            &["sip:a@localhost", "error: user[1].password: it is empty"],
        ),
        ("[[access_number]]\nnumber = \"030\"", &["error: access_number[1].number = \"030\"", "write +"]),
        (
            "[[access_number]]\nnumber = \"+4930123450\"\nlanguage = \"fr\"\nregion = \" \"",
            &["error: access_number[1].language = \"fr\"", "en, de", "error: access_number[1].region"],
        ),
        (
            "[[access_number]]\nnumber = \"+4930123450\"\n[[access_number]]\nnumber = \"+4930123450\"",
            &["error: access_number[2].number", "access_number[1].number is the same"],
        ),
        ("[[conference]]\nnumber = \"1\"\npin = \"12\"", &["error: conference[1].pin: write 3 to 24 digits"]),
        ("[[conference]]\nnumber = \"1\"\n[[conference]]\nnumber = \"1\"", &["error: conference[2].number = \"1\""]),
        ("[[conference]]\nnumber = \"1\"\naccess = \"closed\"", &["warning: conference[1].access", "nobody may enter"]),
        (
            "[[conference]]\nnumber = \"1\"\norganizer = \"sip:x@y\"",
            &["warning: conference[1].organizer", "no account"],
        ),
        (
            "[[trunk]]\nname = \"t\"\ntarget = \"h:1\"",
            &["error: trunk[1].target = \"h:1\"", "warning: location_profile", "+"],
        ),
        (
            "[[trunk]]\nname = \"t\"\ntarget = \"udp:h:1\"\nusername = \"u\"",
            &["error: trunk[1].password", "both or neither"],
        ),
        (
            "[[trunk]]\nname = \"t\"\ntarget = \"udp:h:1\"\nregister = true",
            &["error: trunk[1].username", "needs an account"],
        ),
        (
            "[[trunk]]\nname = \"t\"\ntarget = \"udp:h:1\"\npassword = \"p\"",
            &["error: trunk[1].username", "both or neither"],
        ),
        (
            "[[trunk]]\nname = \"\"\ntarget = \"udp:h:1\"\nallow = [\"49\"]",
            &["trunk[1].name", "error: trunk[1].allow = \"49\""],
        ),
        (
            "[[location_profile]]\nname = \"a\"\nemergency = [\"+112\"]",
            &["error: location_profile[1].emergency = \"+112\"", "as they are dialled"],
        ),
        ("[[location_profile]]\nname = \"a b\"", &["error: location_profile[1].name = \"a b\""]),
    ];
    for (text, fragments) in table {
        let told = findings(text).join("\n");
        for fragment in *fragments {
            assert!(told.contains(fragment), "{text}\nsays: {told}\nlacks: {fragment}");
        }
        assert!(!told.contains("secret"));
    }
    let rule = "[[location_profile.rule]]\npattern = \"(\"\ntranslation = \"+1\"\n";
    let told = findings(&format!("{profile}{profile}{rule}")).join("\n");
    assert!(
        told.contains("location_profile[2].name") && told.contains("location_profile[2].rule[1] = { pattern"),
        "{told}"
    );
}

#[test]
fn users_and_numbers_are_there_once() {
    let cases = [
        (format!("{ANN}{ANN}"), "error: user[2].uri = \"sip:ann@localhost\": user[1] is the same user"),
        (format!("{ANN}number = \"12 3\""), "error: user[1].number = \"12 3\""),
        (format!("{ANN}location_profile = \"x\""), "error: user[1].location_profile = \"x\""),
        (
            format!("{ANN}number = \"7\"\n[[conference]]\nnumber = \"7\""),
            "conference[1].number = \"7\": user[1].number",
        ),
    ];
    for (text, fragment) in cases {
        let told = findings(&text).join("\n");
        assert!(told.contains(fragment), "{text}\nsays: {told}");
    }
    let trunk = "[[trunk]]\nname = \"t\"\ntarget = \"udp:h:1\"\n";
    assert!(findings(&format!("{trunk}{trunk}")).join("\n").contains("error: trunk[2].name = \"t\": trunk[1]"));
}

#[test]
fn beyond_loopback_more_is_unwise() {
    let anonymous = "[[conference]]\nnumber = \"1\"\naccess = \"anonymous\"\n";
    assert_eq!(findings(anonymous), Vec::<String>::new());
    let told = findings(&format!("{BEYOND}[http]\nlisten = \"0.0.0.0:80\"\n[media]\nsrtp = \"require\"\n{anonymous}"))
        .join("\n");
    for key in ["sip.listen", "http.listen", "media.srtp", "media.address", "domain", "conference[1].access"] {
        assert!(told.contains(&format!("warning: {key}")), "{key} is not in\n{told}");
    }
    assert!(!told.contains("error"), "{told}");
}

#[test]
fn a_file_that_everybody_reads_is_told() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), ANN).expect("writable");
    for (mode, count) in [(0o644, 1), (0o600, 0)] {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).expect("own file");
        let config = Config { file: Some(file.path().to_owned()), ..parse(ANN).expect("valid") };
        assert_eq!(check(&config).len(), count, "{mode:o}");
    }
}

#[test]
fn call_routing_settings_are_told_with_key_value_and_remedy() {
    let bob = "[[user]]\nuri = \"sip:bob@localhost\"\npassword = \"long enough\"\n[user.routing]\n";
    let table: &[(&str, &[&str])] = &[
        ("forward_busy = \"sip:ann@localhost\"\nring_seconds = 18", &[]),
        (
            "forward_always = \"sip:bob@localhost\"",
            &["error: user[2].routing.forward_always = \"sip:bob@localhost\"", "himself"],
        ),
        ("team = [\"sip:nobody@localhost\"]", &["error: user[2].routing.team = \"sip:nobody@localhost\"", "[[user]]"]),
        ("simultaneous_ring = \"+14255550122\"", &["warning: user[2].routing.simultaneous_ring", "[[trunk]]"]),
        ("delegates_only = true", &["error: user[2].routing.delegates_only = \"true\"", "name delegates"]),
    ];
    for (settings, fragments) in table {
        let told = findings(&format!("{ANN}{bob}{settings}\n")).join("\n");
        assert_eq!(told.is_empty(), fragments.is_empty(), "{settings}\nsays: {told}");
        for fragment in *fragments {
            assert!(told.contains(fragment), "{settings}\nsays: {told}\nlacks: {fragment}");
        }
    }
    let circle = format!(
        "{ANN}[user.routing]\nforward_always = \"sip:bob@localhost\"\n{bob}forward_always = \"sip:ann@localhost\"\n"
    );
    let told = findings(&circle);
    assert!(told.len() == 2 && told.iter().all(|line| line.contains("circle")), "{told:?}");
}

#[test]
fn a_trusted_trunk_is_named_by_its_address_or_by_a_name() {
    for target in ["udp:192.0.2.1:5060", "udp:[2001:db8::1]:5060", "udp:sip.provider.example:5060"] {
        let profile = "[[location_profile]]\nname = \"default\"\n";
        let trunk = format!("[[trunk]]\nname = \"t\"\ntarget = \"{target}\"\ntrusted = true\n");
        assert_eq!(findings(&format!("{profile}{trunk}")), Vec::<String>::new(), "{target}");
    }
}
