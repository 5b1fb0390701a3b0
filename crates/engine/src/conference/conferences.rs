//! The live conferences of a shard: their Focuses, whose turn it is to speak, and whose timer is next.

use std::collections::{BTreeSet, HashMap, VecDeque};

use base::{ConferenceId, Timestamp};
use focus::Focus;

#[derive(Debug)]
struct Live {
    focus: Focus,
    /// The time under which the Focus stands in `Conferences::timers`.
    timeout: Option<Timestamp>,
    /// It stands in `Conferences::touched`.
    touched: bool,
    /// The MCU has it.
    in_mcu: bool,
    /// Somebody has joined it (c3p.md 8.1); before, it is nobody's news.
    begun: bool,
    /// It should be recorded, and could not be.
    recording_failed: bool,
}

/// Every live Focus. Only those that were touched are asked for outputs, and only the next timer is looked at.
#[derive(Debug, Default)]
pub(crate) struct Conferences {
    live: HashMap<ConferenceId, Live>,
    touched: VecDeque<ConferenceId>,
    timers: BTreeSet<(Timestamp, ConferenceId)>,
}

impl Conferences {
    /// Takes in a new Focus.
    pub(crate) fn insert(&mut self, conference: ConferenceId, focus: Focus) {
        self.live.insert(
            conference.clone(),
            Live { focus, timeout: None, touched: false, in_mcu: false, begun: false, recording_failed: false },
        );
        self.touch(&conference);
    }

    /// The Focus of a live conference.
    pub(crate) fn get(&self, conference: &ConferenceId) -> Option<&Focus> {
        self.live.get(conference).map(|live| &live.focus)
    }

    /// Notes that the MCU is to have a conference; gives whether it has not had it so far.
    pub(crate) fn enter_mcu(&mut self, conference: &ConferenceId) -> bool {
        self.live.get_mut(conference).is_some_and(|live| !std::mem::replace(&mut live.in_mcu, true))
    }

    /// Notes that somebody has joined a conference.
    pub(crate) fn begin(&mut self, conference: &ConferenceId) {
        if let Some(live) = self.live.get_mut(conference) {
            live.begun = true;
        }
    }

    /// Notes that the recording of a conference failed.
    pub(crate) fn note_recording_failed(&mut self, conference: &ConferenceId) {
        if let Some(live) = self.live.get_mut(conference) {
            live.recording_failed = true;
        }
    }

    /// Whether the recording of a conference failed while it was on.
    pub(crate) fn recording_failed(&self, conference: &ConferenceId) -> bool {
        self.live.get(conference).is_some_and(|live| live.recording_failed)
    }

    /// How many are live, those included that nobody has joined yet.
    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    /// The live conferences in the order of their ids, so that equal inputs have equal effects.
    pub(crate) fn ids(&self) -> Vec<ConferenceId> {
        let mut ids: Vec<ConferenceId> = self.live.keys().cloned().collect();
        ids.sort_unstable();
        ids
    }

    /// The Focus of every conference that somebody has joined, in no order.
    pub(crate) fn begun(&self) -> impl Iterator<Item = &Focus> {
        self.live.values().filter(|live| live.begun).map(|live| &live.focus)
    }

    /// Hands an input to a Focus; nothing happens when the conference is over.
    pub(crate) fn handle(&mut self, now: Timestamp, conference: &ConferenceId, input: focus::Input) {
        if let Some(live) = self.live.get_mut(conference) {
            live.focus.handle(now, input);
            self.touch(conference);
        }
    }

    /// Forgets a conference that is over; gives whether the MCU has it, and whether somebody had joined it.
    pub(crate) fn remove(&mut self, conference: &ConferenceId) -> (bool, bool) {
        let Some(live) = self.live.remove(conference) else { return (false, false) };
        if let Some(at) = live.timeout {
            self.timers.remove(&(at, conference.clone()));
        }
        (live.in_mcu, live.begun)
    }

    /// The next output of any Focus.
    pub(crate) fn poll_output(&mut self, now: Timestamp) -> Option<(ConferenceId, focus::Output)> {
        while let Some(conference) = self.touched.front().cloned() {
            if let Some(live) = self.live.get_mut(&conference) {
                if let Some(output) = live.focus.poll_output() {
                    return Some((conference, output));
                }
                live.touched = false;
                self.rearm(now, &conference);
            }
            self.touched.pop_front();
        }
        None
    }

    /// When the next Focus wants its timer.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Tells every Focus whose time has come.
    pub(crate) fn fire_timers(&mut self, now: Timestamp) {
        while let Some((at, conference)) = self.timers.first().cloned() {
            if at > now {
                return;
            }
            self.timers.pop_first();
            if let Some(live) = self.live.get_mut(&conference) {
                live.timeout = None;
                live.focus.handle(now, focus::Input::TimerFired);
                self.touch(&conference);
            }
        }
    }

    fn touch(&mut self, conference: &ConferenceId) {
        if let Some(live) = self.live.get_mut(conference)
            && !live.touched
        {
            live.touched = true;
            self.touched.push_back(conference.clone());
        }
    }

    /// Puts the Focus under the time it wants now. A time that has passed fires at the next opportunity, never within
    /// the same input, so that a Focus which asks for the present cannot keep the engine busy for ever.
    fn rearm(&mut self, now: Timestamp, conference: &ConferenceId) {
        let Some(live) = self.live.get_mut(conference) else { return };
        let wanted = live.focus.poll_timeout().map(|at| at.max(now));
        if wanted == live.timeout {
            return;
        }
        if let Some(old) = live.timeout.take() {
            self.timers.remove(&(old, conference.clone()));
        }
        if let Some(at) = wanted {
            self.timers.insert((at, conference.clone()));
        }
        live.timeout = wanted;
    }
}
