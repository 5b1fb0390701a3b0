//! Why an offer or answer is not taken.

/// Why a session description is refused: what to respond and what to say.
///
/// For an answer there is nothing to respond; the caller acknowledges it and ends the dialog.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// The kind, for counting and for choosing a [`base::TerminationReason`].
    pub kind: RefusalKind,
    /// A sentence for the peer's operator; holds nothing of the peer's own text.
    pub text: &'static str,
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// It cannot be read.
    Unreadable,
    /// It is larger than we read.
    TooLarge,
    /// It has more lines, formats or candidates than we look at (reliability.md A6).
    TooMany,
    /// There is no audio line that is switched on.
    NoAudio,
    /// No codec in common.
    NoCommonCodec,
    /// The transport is not one we speak: DTLS-SRTP, TCP ...
    Transport,
    /// SRTP is wanted by one side and cannot be had from the other.
    Encryption,
    /// The media address is of the other family, a host name, or missing.
    AddressFamily,
    /// The media address is one we never send to (reliability.md A15).
    ForbiddenAddress,
    /// The answer does not fit our offer.
    Mismatch,
}

impl Refusal {
    pub(crate) const fn new(kind: RefusalKind, text: &'static str) -> Self {
        Self { kind, text }
    }

    /// The SIP status that refuses an offer: 400, 413 or 488.
    pub const fn status(&self) -> u16 {
        match self.kind {
            RefusalKind::Unreadable => 400,
            RefusalKind::TooLarge => 413,
            _ => 488,
        }
    }

    /// The warn-code of RFC 3261 20.43.
    pub const fn warn_code(&self) -> u16 {
        match self.kind {
            RefusalKind::NoAudio => 304,
            RefusalKind::NoCommonCodec => 305,
            RefusalKind::Transport | RefusalKind::Encryption => 302,
            RefusalKind::AddressFamily => 301,
            _ => 399,
        }
    }

    /// The value of a `Warning` header; `agent` is our host name or pseudonym.
    pub fn warning(&self, agent: &str) -> String {
        format!("{} {agent} \"{}\"", self.warn_code(), self.text)
    }
}
