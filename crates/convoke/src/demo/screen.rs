//! What the demo shows while it runs: what happened, and below it a line with who is in and who speaks.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::summary::fetch;

/// How often the roster line is drawn anew.
const REDRAW: Duration = Duration::from_millis(250);

/// The terminal.
pub(super) struct Screen {
    http: SocketAddr,
    start: Instant,
    is_terminal: bool,
}

impl Screen {
    /// A screen that asks the server's HTTP side who is in.
    pub(super) fn start(http: SocketAddr) -> Self {
        Self { http, start: Instant::now(), is_terminal: std::io::stdout().is_terminal() }
    }

    /// Something happened.
    pub(super) fn say(&mut self, what: &str) {
        let seconds = self.start.elapsed().as_secs_f32();
        self.clear_line();
        self.write(&format!("[{seconds:5.1} s] {what}\n"));
    }

    /// Shows the roster while something goes on. Without a terminal one line a second is enough.
    pub(super) async fn watch<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        let interval = if self.is_terminal { REDRAW } else { Duration::from_secs(1) };
        let mut ticks = tokio::time::interval(interval);
        loop {
            tokio::select! {
                done = &mut work => {
                    self.clear_line();
                    return done;
                }
                _ = ticks.tick() => self.draw().await,
            }
        }
    }

    /// The last line.
    pub(super) fn finish(&mut self, what: &str) {
        self.say(what);
    }

    async fn draw(&mut self) {
        let Some(line) = roster_line(self.http).await else { return };
        self.clear_line();
        let end = if self.is_terminal { "" } else { "\n" };
        self.write(&format!("          {line}{end}"));
    }

    fn clear_line(&self) {
        if self.is_terminal {
            self.write("\r\x1b[2K");
        }
    }

    /// A terminal that went away does not stop the demo.
    fn write(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }
}

/// `Ada [speaks]  Ben (muted)  Cleo* ...`; a star marks presenters.
async fn roster_line(http: SocketAddr) -> Option<String> {
    let conferences = fetch(http, "/api/v1/conferences").await?;
    let participants = conferences.get(0)?.get("participants")?.as_array()?;
    let entries = participants.iter().filter_map(|participant| {
        let name = participant.get("display_name")?.as_str()?;
        let star = if participant.get("role")?.as_str()? == "attendee" { "" } else { "*" };
        let audio = participant.get("endpoints")?.as_array()?.iter().find(|endpoint| endpoint["audio"] == true)?;
        let state = match (audio["status"].as_str()?, audio["muted"] == true, audio["speaking"] == true) {
            ("connected", true, _) => " (muted)".to_owned(),
            ("connected", _, true) => " [speaks]".to_owned(),
            ("connected", ..) => String::new(),
            (other, ..) => format!(" ({other})"),
        };
        Some(format!("{name}{star}{state}"))
    });
    Some(entries.collect::<Vec<_>>().join("   "))
}
