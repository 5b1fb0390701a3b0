//! What a conference needs now and then and others need at other times.

use std::sync::Arc;

use mixer::CodecFactory;

use crate::sound::SoundPool;
use crate::stream::StreamPool;

/// Decoders and encoders that wait to be used. They are dear to make and large, and most legs never speak; so conferences of
/// one thread share them: see [`crate::Conference::with_pools`].
pub struct Pools {
    pub(crate) decoders: SoundPool,
    pub(crate) streams: StreamPool,
}

impl Pools {
    /// Empty pools.
    pub fn new(codecs: Arc<dyn CodecFactory>) -> Self {
        Self { decoders: SoundPool::new(Arc::clone(&codecs)), streams: StreamPool::new(codecs) }
    }

    /// Another tick begins. What nobody needed for 30 s goes, little by little.
    pub fn turn(&mut self) {
        self.decoders.turn();
        self.streams.turn();
    }

    /// Makes what the next ticks may need. To be called between ticks, after commands and after a tick: it allocates, and takes a
    /// fraction of a millisecond when many formats are new.
    pub fn prepare(&mut self) {
        self.streams.prepare();
    }

    /// Listeners who had to wait for a stream of their own so far, for a prompt or to hear louder, since as many as one thread
    /// may encode were in use, or at one tick more began than were ready. Until one is free they hear what all hear.
    pub const fn waited(&self) -> u64 {
        self.streams.waited()
    }
}
