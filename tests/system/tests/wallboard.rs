//! The wallboard's stream: whoever comes is shown what is, then told what changes, with nothing left out or told twice.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use system_tests::{PASSWORD, Server, ServerOptions, alone};
use testkit::{AgentOptions, AnswerMode, PhoneOptions, ScriptedPhone};

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// One reader of the events.
struct Reader {
    stream: BufReader<TcpStream>,
    since: Instant,
}

impl Reader {
    fn open(server: &Server) -> Self {
        let mut stream = TcpStream::connect(server.http()).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        // Of HTTP/1.0, so that the body comes as it is.
        write!(stream, "GET /api/v1/response-groups/events HTTP/1.0\r\nHost: {}\r\n\r\n", server.http()).expect("sent");
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("a status");
        assert!(line.contains(" 200 "), "{line}");
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).expect("a header");
        }
        Self { stream: reader, since: Instant::now() }
    }

    /// The next event's name and data.
    fn next(&mut self) -> (String, Value) {
        let (mut name, mut data) = (String::new(), Value::Null);
        loop {
            let mut line = String::new();
            assert!(self.stream.read_line(&mut line).expect("in time") > 0, "the stream ended");
            // Comments keep the stream alive.
            assert!(self.since.elapsed() < DEADLINE, "nothing happens");
            match line.trim_end().split_once(": ") {
                Some(("event", text)) => text.clone_into(&mut name),
                Some(("data", text)) => data = serde_json::from_str(text).expect("JSON"),
                _ if line.trim().is_empty() && !name.is_empty() => return (name, data),
                _ => {}
            }
        }
    }

    /// How many wait in the group from the snapshot on, for so many events of the queue. Each makes a difference of one.
    fn follow(mut self, events: usize) {
        let (name, shown) = self.next();
        assert_eq!(name, "snapshot");
        let mut waiting = shown["groups"][0]["waiting"].as_i64().expect("a number");
        assert_eq!(shown["groups"][0]["callers"].as_array().map(Vec::len), usize::try_from(waiting).ok());
        let mut heard = 0;
        while heard < events {
            let (name, data) = self.next();
            assert_ne!(name, "snapshot", "no other groups hold");
            if name != "queue" {
                continue;
            }
            let difference = if data["event"] == "queued" { 1 } else { -1 };
            assert_eq!(data["waiting"].as_i64(), Some(waiting + difference), "after {waiting}: {data}");
            waiting += difference;
            heard += 1;
        }
    }
}

fn server() -> Server {
    let group = "\n[[response_group]]\nuri = \"sip:sales@127.0.0.1\"\nagents = [\"sip:user1@127.0.0.1\"]\n";
    Server::start(&ServerOptions { extra: group.to_owned(), ..ServerOptions::default() })
}

/// Calls the group and hangs up, again and again, until it is told to stop.
async fn come_and_go(server: &Server, user: &str, enough: &AtomicBool) {
    let options = AgentOptions::new(user, server.domain(), PASSWORD, server.sip());
    let options = PhoneOptions::new(options).answering(AnswerMode::Refuse(486));
    let phone = ScriptedPhone::open(options).await.expect("free port");
    while !enough.load(Ordering::Acquire) {
        let call = phone.call(&format!("sip:sales@{}", server.sip())).await.expect("answered");
        call.hang_up().await.expect("BYE is answered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_in_between_misses_nothing_and_hears_nothing_twice() {
    let _turn = alone();
    let (server, enough) = (Arc::new(server()), Arc::new(AtomicBool::new(false)));
    let readers = tokio::task::spawn_blocking({
        let (server, enough) = (Arc::clone(&server), Arc::clone(&enough));
        move || {
            let followed = std::panic::catch_unwind(|| (0..60).for_each(|_| Reader::open(&server).follow(6)));
            enough.store(true, Ordering::Release);
            followed
        }
    });
    let [first, second, third] = ["user7", "user8", "user9"].map(|user| come_and_go(&server, user, &enough));
    tokio::join!(first, second, third);
    if let Err(failure) = readers.await.expect("they are never cancelled") {
        std::panic::resume_unwind(failure);
    }
}

#[test]
fn other_groups_make_a_new_snapshot() {
    let _turn = alone();
    let server = server();
    let mut reader = Reader::open(&server);
    let (name, shown) = reader.next();
    let (_, board) = server.get("/api/v1/response-groups").expect("HTTP answers");
    let board: Value = serde_json::from_str(&board).expect("JSON");
    assert_eq!((name.as_str(), &shown), ("snapshot", &board), "the same as is shown by itself");
    let group = |user: &str| format!(r#"{{"uri": "sip:{user}@127.0.0.1", "agents": ["sip:user1@127.0.0.1"]}}"#);
    let groups = format!("{}, {}", group("sales"), group("help"));
    let command = format!(r#"{{"command": "configure", "config": {{"groups": [{groups}]}}}}"#);
    let (status, told) = server.post("/api/v1/response-groups/commands", &command).expect("HTTP answers");
    assert_eq!(status, 204, "{told}");
    let shown = loop {
        let (name, data) = reader.next();
        if name == "snapshot" {
            break data;
        }
    };
    assert_eq!(shown["groups"][1]["uri"], "sip:help@127.0.0.1");
}
