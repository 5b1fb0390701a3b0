//! The measurements, each against a fresh server, so that none inherits another's memory.

mod groups;
mod joins;
mod signalling;
mod sound;
mod weight;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::audio::{Line, Pacer, Sound, Stream};
use crate::dialog::CallState;
use crate::report::Figure;
use crate::server::{FIRST_CONFERENCE, Server};
use crate::switchboard::{Caller, Switchboard};

/// What all measurements are told.
pub(crate) struct Setting {
    /// The server's binary.
    pub(crate) binary: PathBuf,
    /// How long the steady tone is listened to.
    pub(crate) tone_seconds: u64,
}

type Measure = fn(&Setting) -> Result<Vec<Figure>, Failure>;

/// Name and function of each, in the order of the report.
pub(crate) const MEASUREMENTS: [(&str, Measure); 8] = [
    ("tone", sound::tone),
    ("delay", sound::delay),
    ("join", joins::sequential),
    ("burst", joins::burst),
    ("signalling", signalling::measure),
    ("groups", groups::measure),
    ("memory", weight::memory),
    ("load", weight::load),
];

/// How long a single call may take to be answered.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A server, and the callers around it.
struct Stage {
    server: Server,
    board: Switchboard,
    pacer: Pacer,
}

impl Stage {
    fn set(setting: &Setting) -> Result<Self, Failure> {
        let server = Server::start(&setting.binary)?;
        let board = Switchboard::open(server.sip())?;
        Ok(Self { server, board, pacer: Pacer::start() })
    }

    /// Calls the conference of that index with a new line and waits for the answer.
    fn join(&mut self, conference: usize) -> Result<Joined, Failure> {
        let line = Line::open()?;
        let call = self.board.invite(Caller::Stranger, &number(conference), line.address);
        self.board.pump_until(Instant::now() + ANSWER_LIMIT, |board| board.call(&call).is_settled());
        match (self.board.call(&call).state, self.board.call(&call).remote_audio) {
            (CallState::Answered, Some(remote)) => Ok(Joined { line, remote }),
            (state, _) => Err(Failure(format!("a join came to {state:?}"))),
        }
    }

    /// Lets a leg talk from `start` on.
    fn talk(&self, leg: &Joined, sound: Sound, start: Instant) {
        self.pacer.add(Stream { socket: leg.line.rtp.clone(), to: leg.remote, sound, start });
    }

    /// Works on signalling for a while. Calls the server has ended in that time make the measurement void.
    fn wait(&mut self, time: Duration) -> Result<(), Failure> {
        self.board.pump(Instant::now() + time);
        match self.board.count(|call| call.state == CallState::Dropped) {
            0 => Ok(()),
            count => Err(Failure(format!("the server hung up on {count} callers"))),
        }
    }
}

/// A caller in a conference.
struct Joined {
    line: Line,
    remote: SocketAddr,
}

/// The number of the conference of that index.
fn number(conference: usize) -> String {
    (FIRST_CONFERENCE + conference).to_string()
}
