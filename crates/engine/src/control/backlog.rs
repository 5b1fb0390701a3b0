//! C3P responses that a client has not taken yet. One is under way at a time, so they wait; a command is acknowledged only
//! while there is a place for its verdict.

/// The responses owed to one Focus dialog.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Commands acknowledged whose verdict is not known.
    commands: usize,
    /// Responses under way or waiting.
    responses: usize,
}

impl Backlog {
    /// Whether one more response has a place among `room` beside the verdicts owed.
    pub(crate) fn has_place(&self, room: usize) -> bool {
        self.commands + self.responses < room
    }

    /// A command was acknowledged; its verdict comes later.
    pub(crate) fn owe(&mut self) {
        self.commands += 1;
    }

    /// Its verdict is known.
    pub(crate) fn settle(&mut self) {
        self.commands = self.commands.saturating_sub(1);
    }

    /// A response was given to the call machine.
    pub(crate) fn sent(&mut self) {
        self.responses += 1;
    }

    /// The call machine has said what became of it.
    pub(crate) fn answered(&mut self) {
        self.responses = self.responses.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_keeps_the_place_it_was_promised() {
        let mut backlog = Backlog::default();
        backlog.owe();
        backlog.sent();
        assert!(backlog.has_place(3) && !backlog.has_place(2), "one is owed and one under way");
        backlog.settle();
        backlog.sent();
        assert!(!backlog.has_place(2));
        backlog.answered();
        assert!(backlog.has_place(2));
    }
}
