//! Where the sound of a conference goes that is recorded.

use base::Timestamp;
use mixer::Frame;

/// Takes the sound of a conference; dropping it ends the recording, with what was taken last unless
/// [`Recorder::end`] told more.
///
/// It works in the tick: it must neither block nor allocate, so it hands the frames over to somebody who writes them.
pub trait Recorder: Send {
    /// Takes the 20 ms of the tick at `now`. Ticks that were left out are missing; the times tell.
    fn record(&mut self, now: Timestamp, frame: &Frame);

    /// The recording was to end at that time; nothing is recorded after it.
    fn end(&mut self, at: Timestamp);
}
