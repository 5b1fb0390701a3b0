//! What the HTTP side does not do: one shape for every refusal of every path, whatever is sent.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use system_tests::{Server, ServerOptions};

/// Every path with the methods it takes, and whether it answers to this machine alone.
const PATHS: &[(&str, &str, bool)] = &[
    ("/", "GET", false),
    ("/healthz", "GET", false),
    ("/readyz", "GET", false),
    ("/metrics", "GET", false),
    ("/api/v1/conferences", "GET", false),
    ("/api/v1/conferences/K3V9PX2Q/gain", "PUT", true),
    ("/api/v1/response-groups", "GET", false),
    ("/api/v1/response-groups/events", "GET", false),
    ("/api/v1/response-groups/sales", "GET", false),
    ("/api/v1/response-groups/commands", "POST", true),
    ("/api/v1/response-groups-configuration", "GET", true),
    ("/api/v1/call-detail-records", "GET", true),
    ("/api/v1/users/user1/calls", "GET", true),
    ("/api/v1/users/user1/calls/seen", "POST", true),
    ("/api/v1/users/user1/routing", "GET,PUT,DELETE", true),
];

/// The paths that take a body, each with one that it takes the form of.
const BODIES: &[(&str, &str, &str)] = &[
    ("PUT", "/api/v1/conferences/K3V9PX2Q/gain", r#"{"endpoint": "x"}"#),
    (
        "POST",
        "/api/v1/response-groups/commands",
        r#"{"command": "pause", "agent": "sip:user9@127.0.0.1", "seconds": 1}"#,
    ),
    ("PUT", "/api/v1/users/user1/routing", r#"{"forward_busy": "sip:nobody@127.0.0.1"}"#),
];

fn server() -> Server {
    let group = "\n[[response_group]]\nuri = \"sip:sales@127.0.0.1\"\nagents = [\"sip:user1@127.0.0.1\"]\n";
    Server::start(&ServerOptions { extra: group.to_owned(), numbered_users: 2, ..ServerOptions::default() })
}

/// What a request was answered with.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// The error, whose shape is looked at.
    fn error(&self, sent: &str) -> Value {
        let Self { status, head, body } = self;
        assert!(*status >= 400, "{sent}: {status} {body}");
        assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{sent}: {head}");
        let told: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{sent}: {body}: {error}"));
        let whole = told.as_object().expect("an object");
        assert!(whole.len() == 1, "{sent}: {body}");
        let error = told["error"].as_object().expect("an object");
        assert!(error.keys().all(|key| ["code", "message", "field", "problems"].contains(&key.as_str())), "{body}");
        let code = error["code"].as_str().expect("a word");
        assert!(!code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{body}");
        assert!(error.get("field").is_none_or(|field| field.is_string()), "{body}");
        let message = error["message"].as_str().expect("a sentence");
        assert!((10..2_000).contains(&message.len()) && !message.contains(char::is_control), "{sent}: {body}");
        for word in
            ["expected", "invalid type", "invalid value", "missing field", "unknown field", "variant", "serialize"]
        {
            assert!(!message.contains(word), "{sent}: {message}");
        }
        told["error"].clone()
    }

    /// The same, of this status and code; and its field.
    fn refused(&self, status: u16, code: &str, sent: &str) -> Option<String> {
        let error = self.error(sent);
        assert_eq!((self.status, error["code"].as_str()), (status, Some(code)), "{sent}: {}", self.body);
        error["field"].as_str().map(str::to_owned)
    }
}

/// Says something to the server; one `Host` that is its own unless `more` has another.
fn ask(server: &Server, method: &str, path: &str, more: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(server.http()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let host = if more.contains("Host:") { String::new() } else { format!("Host: {}\r\n", server.http()) };
    let length =
        if more.contains("Transfer-Encoding") { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{method} {path} HTTP/1.1\r\n{host}{more}{length}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    // A body that is too large is refused before it has gone out.
    let _refused_early = stream.write_all(body);
    let mut answer = Vec::new();
    let _closed_early = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {path}: {answer}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Two who edit the same: the second is told, and what the first has written stays.
#[test]
fn nobody_overwrites_what_he_has_not_seen() {
    let server = server();
    let version = |path: &str| {
        let answer = ask(&server, "GET", path, "", b"");
        let tag = answer.head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a version");
        (tag.to_owned(), answer.body)
    };
    let (groups, routing) = ("/api/v1/response-groups-configuration", "/api/v1/users/user1/routing");
    let commands = "/api/v1/response-groups/commands";
    let configure = |alert: u32| {
        let mut config: Value = serde_json::from_str(&version(groups).1).expect("JSON");
        config["groups"][0]["agent_group"][0]["alert_time_seconds"] = alert.into();
        serde_json::json!({"command": "configure", "config": config}).to_string()
    };
    let settings = |seconds: u32| format!("{{\"ring_seconds\": {seconds}}}");
    let bodies: [&dyn Fn(u32) -> String; 2] = [&configure, &settings];
    let ways = [(groups, "POST", commands), (routing, "PUT", routing)];
    for ((read, method, write), body) in ways.into_iter().zip(bodies) {
        let (seen, _) = version(read);
        let change = |more: &str, value: u32| ask(&server, method, write, more, body(value).as_bytes());
        assert!(change(&format!("If-Match: {seen}\r\n"), 31).status < 300, "{write}");
        let (now, shown) = version(read);
        assert_ne!(now, seen, "{write}");
        change(&format!("If-Match: {seen}\r\n"), 32).refused(412, "precondition-failed", write);
        change("If-None-Match: *\r\n", 33).refused(412, "precondition-failed", write);
        change("If-Match: 7\r\n", 34).refused(400, "invalid-value", write);
        assert_eq!(version(read), (now.clone(), shown), "{write}: what is refused has changed nothing");
        assert!(change(&format!("If-Match: {now}\r\n"), 35).status < 300, "{write}");
        assert!(change("", 36).status < 300, "{write}: who does not ask is not asked");
    }
    let created = ask(&server, "PUT", "/api/v1/users/user2/routing", "If-None-Match: *\r\n", settings(30).as_bytes());
    assert_eq!(created.status, 200, "user2 has no settings: {}", created.body);
    let deleted = ask(&server, "DELETE", routing, "If-Match: \"other\"\r\n", b"");
    deleted.refused(412, "precondition-failed", routing);
}

/// A path that is served and not in the table would go unlooked at.
#[test]
fn the_table_has_every_path_that_is_served() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/convoke/src");
    let read = |folder: &Path| -> Vec<String> {
        let files = folder.read_dir().expect("a folder").filter_map(Result::ok).map(|entry| entry.path());
        files.filter(|path| path.is_file()).map(|path| std::fs::read_to_string(path).expect("text")).collect()
    };
    let mut served = 0;
    for text in [read(&sources), read(&sources.join("http"))].concat() {
        for route in text.split(".route(\"/").skip(1).filter_map(|rest| rest.split('"').next()) {
            let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
            let route = parts(route);
            let fits = |path: &str| {
                let path = parts(path.trim_start_matches('/'));
                path.len() == route.len()
                    && route.iter().zip(&path).all(|(one, other)| one == other || one.starts_with('{'))
            };
            assert!(PATHS.iter().any(|(path, ..)| fits(path)), "{route:?} is not in the table");
            served += 1;
        }
    }
    // The door's own tests serve `/` once more.
    assert_eq!(served, PATHS.len() + 1, "the table has a path that is not served");
}

#[test]
fn every_path_refuses_in_one_shape() {
    let server = server();
    for (path, methods, here) in PATHS {
        for method in ["PATCH", "POST", "DELETE", "OPTIONS"].iter().filter(|method| !methods.contains(**method)) {
            let answer = ask(&server, method, path, "", b"");
            answer.refused(405, "method-not-allowed", path);
            let allowed = answer.head.lines().find_map(|line| line.strip_prefix("allow: ")).expect("Allow");
            assert!(methods.split(',').all(|method| allowed.contains(method)), "{path}: {allowed}");
        }
        for more in ["Host: evil.example\r\n", "Origin: http://evil.example\r\n"].iter().filter(|_| *here) {
            let method = methods.split(',').next().expect("one");
            ask(&server, method, path, more, b"{}").refused(403, "not-from-here", path);
        }
        ask(&server, "GET", &format!("{path}/nothing/here"), "", b"").refused(404, "no-such-route", path);
        let (too_long, chunked) = (vec![b'x'; (2 << 20) + 1], "Transfer-Encoding: chunked\r\n");
        ask(&server, "POST", path, "", &too_long).refused(413, "body-too-large", path);
        ask(&server, "POST", path, chunked, b"zz\r\n").refused(400, "broken-body", path);
    }
    for path in ["/api", "/api/v1/", "/api/v1/%ff", "/%0d%0a", "/api/v1/response-groups/sales/x"] {
        ask(&server, "GET", path, "", b"").refused(404, "no-such-route", path);
    }
    for (path, code) in [
        ("/api/v1/users/nobody/calls", "no-such-user"),
        ("/api/v1/users/nobody/routing", "no-such-user"),
        ("/api/v1/response-groups/nobody", "no-such-group"),
    ] {
        assert!(ask(&server, "GET", path, "", b"").refused(404, code, path).is_some());
    }
    for path in ["/api/v1/users/%ff/calls", "/api/v1/users/%ff/routing", "/api/v1/response-groups/%ff"] {
        ask(&server, "GET", path, "", b"").refused(400, "invalid-parameter", path);
    }
    for path in ["/api/v1/users/user1/calls", "/api/v1/call-detail-records"] {
        for (query, field) in [
            ("limit=0", "limit"),
            ("before=%0a", "before"),
            ("limit=1&limit=2", "limit"),
            ("foo", "foo"),
            ("%ff=1", "?"),
        ] {
            let path = format!("{path}?{query}");
            let told = ask(&server, "GET", &path, "", b"").refused(400, "invalid-parameter", &path);
            assert!(field == "?" || told.as_deref() == Some(field), "{path}: {told:?}");
        }
    }
}

#[test]
fn every_body_that_is_wrong_is_refused_with_its_field() {
    let server = server();
    let deep = "[".repeat(500);
    let long = "x".repeat(1 << 20);
    for (method, path, good) in BODIES {
        let rest = good.trim_start_matches('{');
        let key = rest.split('"').nth(1).expect("a key");
        let (first, tail) = rest.split_at(rest.find(',').unwrap_or(rest.len() - 1));
        for (body, code, field) in [
            (String::new(), "malformed-json", None),
            ("{".to_owned(), "malformed-json", None),
            (deep.clone(), "malformed-json", None),
            (format!("{good}{good}"), "malformed-json", None),
            ("[]".to_owned(), "wrong-type", None),
            ("null".to_owned(), "wrong-type", None),
            (format!("\"{long}\""), "wrong-type", None),
            (format!("{{\"{key}\": [{rest}"), "malformed-json", None),
            (format!("{{\"{key}\": []{tail}"), "wrong-type", Some(key)),
            (format!("{{\"{key}\": {{}}{tail}"), "wrong-type", Some(key)),
            (format!("{{\"{key}\": 7{tail}"), "wrong-type", Some(key)),
        ] {
            let sent = format!("{method} {path} {}", &body[..body.len().min(100)]);
            let told = ask(&server, method, path, "", body.as_bytes()).refused(400, code, &sent);
            assert_eq!(told.as_deref(), field, "{sent}");
        }
        let twice = format!("{{{first}, {rest}");
        let told = ask(&server, method, path, "", twice.as_bytes()).refused(400, "duplicate-key", &twice);
        assert_eq!(told.as_deref(), Some(key), "{twice}");
        let strange = format!("{{\"{long}\": 1, {rest}");
        let answer = ask(&server, method, path, "", strange.as_bytes());
        assert!(answer.refused(400, "unknown-key", path).is_some_and(|field| field.starts_with("xxx")));
        assert!(answer.body.len() < 4_000, "what was sent is not sent back whole: {}", answer.body.len());
        // Well formed, and impossible.
        let answer = ask(&server, method, path, "", good.as_bytes());
        let code = answer.error(good)["code"].clone();
        assert!(
            ["no-such-conference", "not-an-agent", "invalid-settings"].contains(&code.as_str().expect("a word")),
            "{code}"
        );
    }
}

#[test]
fn what_cannot_be_done_names_what_is_to_blame() {
    let server = server();
    let group = |keys: &str| {
        format!(r#"{{"command": "configure", "config": {{"groups": [{{"uri": "sip:sales@127.0.0.1", {keys}}}]}}}}"#)
    };
    let commands = "/api/v1/response-groups/commands";
    let settings = "/api/v1/users/user1/routing";
    let gain = "/api/v1/conferences/K3V9PX2Q/gain";
    let long = "x".repeat(1 << 20);
    for (method, path, body, status, code, field) in [
        (
            "POST",
            commands,
            group(r#""agents": ["sip:user1@127.0.0.1", ["x"]]"#),
            400,
            "wrong-type",
            "config.groups[0].agents[1]",
        ),
        (
            "POST",
            commands,
            group(r#""agents": ["sip:user8@127.0.0.1"]"#),
            422,
            "invalid-configuration",
            "config.groups[0].agents[0]",
        ),
        (
            "POST",
            commands,
            group(&format!(r#""alert_info": "{long}", "agents": ["sip:user1@127.0.0.1"]"#)),
            422,
            "invalid-configuration",
            "config.groups[0].alert_info",
        ),
        (
            "POST",
            commands,
            group(&format!(r#""music": "{long}", "agents": ["sip:user1@127.0.0.1"]"#)),
            422,
            "invalid-configuration",
            "config.groups[0].music",
        ),
        (
            "POST",
            commands,
            r#"{"command": "pause", "agent": "sip:user1@127.0.0.1", "seconds": 86401}"#.to_owned(),
            400,
            "out-of-range",
            "seconds",
        ),
        (
            "POST",
            commands,
            r#"{"command": "opt", "agent": "user1", "opted_in": true}"#.to_owned(),
            400,
            "invalid-value",
            "agent",
        ),
        (
            "POST",
            commands,
            r#"{"command": "stop_monitor", "call": 1, "supervisor": "sip:user2@127.0.0.1"}"#.to_owned(),
            422,
            "not-a-supervisor",
            "supervisor",
        ),
        (
            "POST",
            commands,
            r#"{"command": "monitor", "call": 1, "supervisor": "sip:user2@127.0.0.1", "mode": "barge"}"#.to_owned(),
            422,
            "no-such-call",
            "call",
        ),
        (
            "POST",
            commands,
            format!(
                r#"{{"command": "sign_in", "agent": "sip:user1@127.0.0.1", "signed_in": true, "group": "sip:sales@127.0.0.1", "agent_group": "{long}"}}"#
            ),
            422,
            "not-an-agent",
            "agent",
        ),
        (
            "PUT",
            settings,
            r#"{"ring_seconds": 0, "forward_busy": "sip:nobody@127.0.0.1"}"#.to_owned(),
            422,
            "invalid-settings",
            "ring_seconds",
        ),
        ("PUT", settings, format!(r#"{{"voicemail": "{long}"}}"#), 422, "invalid-settings", "voicemail"),
        ("PUT", gain, r#"{"endpoint": "x", "ingress_db": 13}"#.to_owned(), 400, "out-of-range", "ingress_db"),
        (
            "PUT",
            "/api/v1/conferences/short/gain",
            r#"{"endpoint": "x"}"#.to_owned(),
            400,
            "invalid-parameter",
            "conference",
        ),
    ] {
        let sent = format!("{path} {}", &body[..body.len().min(200)]);
        let answer = ask(&server, method, path, "", body.as_bytes());
        assert_eq!(answer.refused(status, code, &sent).as_deref(), Some(field), "{}", answer.body);
        assert!(answer.body.len() < 4_000, "{sent}: {} bytes came back", answer.body.len());
    }
    let both = ask(&server, "PUT", settings, "", br#"{"ring_seconds": 0, "forward_busy": "sip:nobody@127.0.0.1"}"#);
    let problems = both.error("two problems")["problems"].clone();
    assert_eq!((&problems[0]["field"], &problems[1]["field"]), (&"ring_seconds".into(), &"forward_busy".into()));
}
