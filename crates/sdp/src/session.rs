//! What both sides agreed on, kept between one offer and the next.

use std::collections::BTreeMap;
use std::fmt;

use mcu_api::LegMedia;

/// The state of one media session: what was agreed, and what the next offer must keep.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// The session id of our `o=` line.
    pub(crate) id: u64,
    /// The version of our `o=` line.
    pub(crate) version: u64,
    /// Our last description, as sent.
    pub(crate) local: Vec<u8>,
    /// What was agreed.
    pub(crate) media: LegMedia,
    /// Every media line, in order; a line once used never disappears (RFC 3264 8).
    pub(crate) lines: Vec<Slot>,
    /// The transport of the audio line as last agreed.
    pub(crate) proto: String,
    /// Payload types either side ever gave a meaning; it must not change (RFC 3264 8.3.2).
    pub(crate) payload_types: BTreeMap<u8, String>,
}

/// One media line of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The audio line in use.
    Audio,
    /// A line that was refused, with its media, transport and formats.
    Refused {
        /// `audio`, `video` ...
        media: String,
        /// `RTP/AVP` ...
        proto: String,
        /// Formats as they came.
        fmt: String,
    },
}

impl Session {
    /// What was agreed, for the media side.
    pub fn media(&self) -> &LegMedia {
        &self.media
    }

    /// The version of our last description; it rises when the description changes (RFC 3264 8).
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Our last description, as sent.
    pub fn local_description(&self) -> &[u8] {
        &self.local
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("media", &self.media)
            .finish_non_exhaustive()
    }
}
