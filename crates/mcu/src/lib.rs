//! The data plane of one conference: its legs, its mixes, its prompts.
//!
//! Decides, once in every 20 ms, who is heard, what each leg hears, and which legs can share one encoded mix: of `k`
//! talkers come `k + 1` mixes, each encoded once for each format, however many listen; and one more for each loudness and each
//! prompt that listeners hear otherwise. Commands take effect at the next tick. The tick allocates nothing while the set of talkers stays the same.
//! Must not know: who is admitted and why, sockets, clocks, codec libraries (they come as a
//! [`mixer::CodecFactory`]), random numbers (they come with each leg).
//! Start reading at [`Conference`], then at the module `tick`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod announcement;
mod attention;
mod backlog;
mod branch;
mod conference;
mod idle;
mod leg;
mod leg_map;
mod listener;
mod playlist;
mod pools;
mod program;
mod ready;
mod recorder;
mod shared;
mod sound;
mod stream;
mod tick;
mod voice;
mod whisper;

pub use conference::{Conference, LegIdentity, MemoryAhead, PacketSink};
pub use leg_map::{LegHasher, LegMap};
pub use media::Port;
pub use playlist::{Playlist, PlaylistItem};
pub use pools::Pools;
pub use recorder::Recorder;
