//! The server's process dies, at any boundary between two effects, and another one begins on its journal.

use base::Duration;
use engine::{Effect, Engine, GroupJournal, Input, WireRecord};
use sip_api::SipEvent;

use super::{Event, World};
use crate::scene;
use crate::stack::Out;

/// After which time everybody who was on the line has heard of a new process: 64 times T1 for what has to be repeated,
/// and the time in which media are attached again.
const HEARD_WITHIN: Duration = Duration::from_secs(32 + 32 + 10);

/// Longer than any datagram is on its way.
const FLIGHT: Duration = Duration::from_secs(1);

/// The process that serves, or the last one that did.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// How many there were before.
    pub(super) number: u32,
    /// It is dead, and the next one has not begun.
    pub(super) down: bool,
    /// The response groups' journal.
    pub(super) journal: Vec<GroupJournal>,
    /// How much of it has reached the disk for certain: something that came after it has been carried out.
    safe: usize,
    /// How many effects it still carries out.
    dies_in: Option<u64>,
}

impl Process {
    /// Whether this effect is not carried out any more.
    pub(super) fn dies_now(&mut self) -> bool {
        let Some(left) = &mut self.dies_in else { return false };
        let now = *left == 0;
        *left = left.saturating_sub(1);
        now
    }

    /// An effect is about to be carried out: before it, the journal is safe.
    pub(super) fn carries_out(&mut self, effect: &Effect) {
        match effect {
            Effect::Journal(record) => self.journal.push((**record).clone()),
            _ => self.safe = self.journal.len(),
        }
    }
}

impl World {
    /// It dies now, or in the middle of one of the next inputs.
    pub(super) fn kill_soon(&mut self) {
        if self.process.down {
            return;
        }
        match self.dice.between(0, 40) {
            0 => self.die(),
            effects => self.process.dies_in = Some(effects),
        }
    }

    /// What it had not carried out is not done, and of its journal the lines may be lost that nothing depends on yet.
    pub(super) fn die(&mut self) {
        self.count("server killed");
        let (safe, all) = (self.process.safe, self.process.journal.len());
        let kept = safe + self.dice.upto(all - safe);
        if kept < all {
            self.count("journal lines lost");
        }
        self.process.journal.truncate(kept);
        self.process.safe = kept;
        self.note(|_| format!("the server is killed; its journal keeps {kept} of {all} lines"));
        let sends_out = self.dice.chance(0.5);
        while let Some(out) = self.edge.poll() {
            match out {
                Out::Transmit(packet) if sends_out => self.transmit(packet),
                _ => {}
            }
        }
        self.store.server_died(all);
        self.process.number += 1;
        self.process.down = true;
        self.process.dies_in = None;
        self.edge = self.edge.of_next_process();
        self.mcu = self.mcu.of_next_process();
        if let Err(rule) = self.checker.server_died(&self.process.journal) {
            self.broke(rule);
        }
        self.phones.iter_mut().for_each(|phone| phone.server_died());
        let down = self.dice.millis(100, 9_000);
        self.queue.push(self.now + down, Event::Restart);
    }

    /// Another process begins. It may die, too, before it has done what a restart asks for.
    pub(super) fn restart(&mut self) {
        self.count("server restarted");
        self.note(|_| "the server begins anew".to_owned());
        self.process.down = false;
        self.queue.push(self.now + FLIGHT, Event::Quiet(self.process.number));
        self.engine = Engine::new(scene::config(&self.swarm), scene::directory(), self.dice.seed());
        if self.dice.chance(0.25) {
            self.process.dies_in = Some(self.dice.between(1, 40));
        }
        self.unsettled = true;
        let before = self.process.journal.len();
        self.open_groups();
        let taken_up =
            |record: &GroupJournal| matches!(record, GroupJournal::Wire(WireRecord::Up { onward: Some(_), .. }));
        if self.process.journal[before.min(self.process.journal.len())..].iter().any(taken_up) {
            self.count("conversation outside the groups attached again");
        }
        for (user, bindings) in self.registered.clone() {
            self.tell(Input::Sip(SipEvent::BindingsChanged { user, bindings }));
        }
        self.queue.push(self.now + HEARD_WITHIN, Event::Survey(self.process.number));
    }

    /// Nobody who was on the line or rang when a process died is left alone by the next one (I17).
    pub(super) fn survey(&mut self, process: u32) {
        if process != self.process.number {
            return;
        }
        let alone: Vec<String> = self.phones.iter().flat_map(|phone| phone.left_alone()).collect();
        if !alone.is_empty() {
            self.broke(format!("left alone by the process that died and by the next one: {}", alone.join("; ")));
        }
    }
}
