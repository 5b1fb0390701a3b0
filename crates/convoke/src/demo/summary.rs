//! The page the demo leaves behind.

use std::fmt::Write as _;
use std::net::SocketAddr;

use testkit::ConferenceClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What happened, who was in, and which files there are.
pub(super) struct Summary {
    http: SocketAddr,
    story: Vec<String>,
    roster: Vec<String>,
    files: Vec<String>,
}

impl Summary {
    /// An empty page.
    pub(super) fn new(http: SocketAddr) -> Self {
        Self { http, story: Vec::new(), roster: Vec::new(), files: Vec::new() }
    }

    /// Something happened.
    pub(super) fn note(&mut self, what: &str) {
        self.story.push(what.to_owned());
    }

    /// Takes the roster as it was notified, and how each user came to his state.
    pub(super) async fn take_roster(&mut self, focus: &ConferenceClient) {
        for user in focus.users() {
            let role = focus.user(&user).map(|entry| entry.role).unwrap_or_default();
            // The history is that of his audio.
            let history = focus.history(&user);
            let history = if history.is_empty() { "without a phone".to_owned() } else { history.join(" -> ") };
            self.roster.push(format!("{user}, {role}: {history}"));
        }
        let legs = fetch(self.http, "/api/v1/conferences").await;
        let count = legs.as_ref().and_then(|list| list.get(0)?.get("participants")?.as_array().map(Vec::len));
        if let Some(count) = count {
            self.roster
                .push(format!("{count} participants by the HTTP interface, roster version {}", focus.roster_version()));
        }
    }

    /// A file was written.
    pub(super) fn add_file(&mut self, name: &str) {
        self.files.push(name.to_owned());
    }

    /// The page, in Markdown.
    pub(super) fn page(&self) -> String {
        let mut page =
            String::from("# A conference of robots\n\nEverything went over SIP, RTP and HTTP on loopback.\n");
        for (title, lines) in
            [("What happened", &self.story), ("The roster at the end", &self.roster), ("What they heard", &self.files)]
        {
            write!(page, "\n## {title}\n\n").expect("writing to a String cannot fail");
            for line in lines {
                writeln!(page, "- {line}").expect("writing to a String cannot fail");
            }
        }
        page
    }
}

/// A GET to the server's own HTTP side; `None` when it gives no JSON.
pub(super) async fn fetch(http: SocketAddr, path: &str) -> Option<serde_json::Value> {
    let mut stream = tokio::net::TcpStream::connect(http).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {http}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await.ok()?;
    let (_, body) = response.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}
