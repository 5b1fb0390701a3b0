//! What the tests say of a phone before it starts, whoever wrote it.

use std::path::{Path, PathBuf};

use testkit::tone;
use testkit::wav::{self, Sound};

/// Seconds of tone a phone has before it starts again.
const TONE_SECONDS: f64 = 60.0;

/// What a phone offers to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Opus at 48 kHz.
    Opus,
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// How a phone is set up.
#[derive(Clone, Debug)]
pub struct LineOptions {
    /// User name.
    pub user: String,
    /// `HOST:PORT` of the registrar; `None` for a phone without one.
    pub server: Option<String>,
    /// `udp`, `tcp` or `tls`.
    pub transport: &'static str,
    /// The one codec.
    pub codec: Codec,
    /// Insist on SRTP with keys in the SDP (SDES).
    pub srtp: bool,
    /// The CA that must have signed the server's certificate, for TLS.
    pub ca: Option<PathBuf>,
    /// The tone it plays, in Hz.
    pub tone: u32,
}

impl LineOptions {
    /// A phone with Opus over UDP and without a registrar.
    pub fn new(user: &str, tone: u32) -> Self {
        Self { user: user.to_owned(), server: None, transport: "udp", codec: Codec::Opus, srtp: false, ca: None, tone }
    }

    /// Registered there.
    #[must_use]
    pub fn at(mut self, server: impl Into<String>) -> Self {
        self.server = Some(server.into());
        self
    }

    /// With another codec.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Over another transport.
    #[must_use]
    pub fn over(mut self, transport: &'static str) -> Self {
        self.transport = transport;
        self
    }

    /// Over TLS with SRTP, trusting that CA alone.
    #[must_use]
    pub fn secure(mut self, ca: &Path) -> Self {
        (self.transport, self.srtp, self.ca) = ("tls", true, Some(ca.to_owned()));
        self
    }

    /// Puts what its microphone hears, a tone without end, into a file of that folder.
    pub(crate) fn write_tone(&self, folder: &Path) -> PathBuf {
        let path = folder.join("tone.wav");
        let tone: Sound = tone::sine(self.tone, TONE_SECONDS, 48_000);
        wav::write(&path, &tone).expect("written");
        path
    }
}
