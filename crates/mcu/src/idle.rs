//! What is dear to make and not needed at the moment.

/// Ticks for which something is kept: 30 s. Who spoke a while ago may speak again; after a loud minute its memory need not be held
/// for good.
pub(crate) const KEPT_TICKS: u64 = 1_500;

/// Things that wait to be used again, the one that was given back last on top.
pub(crate) struct Idle<T> {
    /// Each with the tick at which it was given back.
    things: Vec<(u64, T)>,
    most: usize,
    tick: u64,
}

impl<T> Idle<T> {
    /// Keeps at most so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { things: Vec::with_capacity(most), most, tick: 0 }
    }

    /// Another tick begins; what was not needed for long goes.
    pub(crate) fn turn(&mut self) {
        self.tick += 1;
        if self.things.first().is_some_and(|(since, _)| since + KEPT_TICKS < self.tick) {
            self.things.remove(0);
        }
    }

    /// How many fit.
    pub(crate) fn count(&self, fits: impl Fn(&T) -> bool) -> usize {
        self.things.iter().filter(|(_, thing)| fits(thing)).count()
    }

    /// Takes one that fits; of several, the one that was needed last.
    pub(crate) fn take(&mut self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let at = self.things.iter().rposition(|(_, thing)| fits(thing))?;
        Some(self.things.remove(at).1)
    }

    /// Takes one back, unless there are enough.
    pub(crate) fn give(&mut self, thing: T) {
        if self.things.len() < self.most {
            self.things.push((self.tick, thing));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_stays_and_the_rest_goes() {
        let mut idle = Idle::new(3);
        ["a", "b", "c", "d"].into_iter().for_each(|thing| idle.give(thing));
        assert_eq!(idle.take(|_| true), Some("c"), "the fourth found no room");
        for _ in 0..2 * KEPT_TICKS {
            idle.turn();
            let thing = idle.take(|&thing| thing == "b").expect("it is used all the time");
            idle.give(thing);
        }
        assert_eq!((idle.take(|_| true), idle.take(|_| true)), (Some("b"), None));
    }
}
