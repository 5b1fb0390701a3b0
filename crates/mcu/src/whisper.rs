//! What some say to one leg alone.

use base::LegId;
use mixer::{Frame, Sum};

/// Listeners that are whispered to at one tick; a further one hears nothing of it.
const LISTENERS_MAX: usize = 64;

/// This tick's whispers, by who hears them.
#[derive(Default)]
pub(crate) struct Whispers {
    heard: Vec<(LegId, Sum)>,
}

impl Whispers {
    /// Begins another tick.
    pub(crate) fn clear(&mut self) {
        self.heard.clear();
    }

    /// Adds what somebody whispers; without a frame it is a pause between two words.
    pub(crate) fn add(&mut self, listener: LegId, frame: Option<&Frame>) {
        let known = self.heard.iter().position(|(leg, _)| *leg == listener);
        let at = known.unwrap_or(self.heard.len());
        if at == LISTENERS_MAX {
            return;
        }
        if at == self.heard.len() {
            self.heard.push((listener, Sum::new()));
        }
        if let Some(frame) = frame {
            self.heard[at].1.add(frame);
        }
    }

    /// What is whispered to a leg.
    pub(crate) fn to(&self, listener: LegId) -> Option<&Sum> {
        self.heard.iter().find(|(leg, _)| *leg == listener).map(|(_, sum)| sum)
    }
}
