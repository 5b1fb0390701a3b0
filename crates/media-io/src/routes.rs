//! Which worker hosts which conference and leg: the control side's view.

use std::cmp::Reverse;
use std::collections::HashMap;

use base::{ConferenceId, LegId};
use mcu_api::{McuCommand, McuEvent};

/// Width of the steps in which workers' loads are compared, per mille.
const EQUALLY_BUSY: u64 = 50;

/// A worker that has less than each of these has room to spare: share of its time per mille, legs, conferences. The last is for
/// conferences that come at once and have yet to grow.
const ROOMY_BUSY: u64 = 150;
const ROOMY_LEGS: usize = 100;
const ROOMY_CONFERENCES: usize = 10;

/// Where conferences and legs are.
#[derive(Debug)]
pub(crate) struct Routes {
    conferences: HashMap<ConferenceId, usize>,
    legs: HashMap<LegId, (usize, ConferenceId)>,
    /// Legs of each worker, and conferences, which count little.
    load: Vec<(usize, usize)>,
}

/// Where a command goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To this worker; the conference is the one the command is about.
    To(usize, ConferenceId),
    /// The leg cannot be reserved: its conference does not exist.
    NoConference(LegId),
    /// Nobody knows what it is about: it has ended meanwhile. Nothing is to be done.
    Nowhere,
}

impl Routes {
    pub(crate) fn new(workers: usize) -> Self {
        Self { conferences: HashMap::new(), legs: HashMap::new(), load: vec![(0, 0); workers] }
    }

    /// Finds the worker for a command. A new conference goes to the fullest worker with room to spare: each further one that
    /// wakes has to fetch codecs and network code into its core's cache once more, which costs a tenth in ten rooms of ten.
    /// When there is none, it goes to the worker that is least busy by `busy_per_mille`, and among those about equally
    /// busy to the one with the fewest legs: what was placed just now is not measured yet.
    pub(crate) fn route(&mut self, command: &McuCommand, busy_per_mille: impl Fn(usize) -> u64) -> Route {
        match command {
            McuCommand::CreateConference { conference, .. } => {
                let worker = match self.conferences.get(conference) {
                    Some(&worker) => worker,
                    None => self.place(conference, busy_per_mille),
                };
                Route::To(worker, conference.clone())
            }
            McuCommand::StartRecording { conference, .. }
            | McuCommand::StopRecording { conference }
            | McuCommand::AnnounceToAll { conference, .. } => match self.conferences.get(conference) {
                Some(&worker) => Route::To(worker, conference.clone()),
                None => Route::Nowhere,
            },
            McuCommand::EndConference { conference } => match self.remove_conference(conference) {
                Some(worker) => Route::To(worker, conference.clone()),
                None => Route::Nowhere,
            },
            McuCommand::ReserveLeg { conference, leg } => self.reserve(conference, *leg),
            McuCommand::ConnectLeg { leg, .. }
            | McuCommand::SetInMix { leg, .. }
            | McuCommand::SetFilters { leg, .. }
            | McuCommand::SetGain { leg, .. }
            | McuCommand::PlayPrompt { leg, .. }
            | McuCommand::Announce { leg, .. }
            | McuCommand::StopAnnouncement { leg }
            | McuCommand::SetBackground { leg, .. }
            | McuCommand::SetAudience { leg, .. }
            | McuCommand::RemoveLeg { leg } => match self.legs.get(leg) {
                Some((worker, conference)) => Route::To(*worker, conference.clone()),
                None => Route::Nowhere,
            },
        }
    }

    /// Follows what a worker reports.
    pub(crate) fn follow(&mut self, worker: usize, event: &McuEvent) {
        match event {
            McuEvent::LegFailed { leg, .. } | McuEvent::LegRemoved { leg, .. } => self.remove_leg(*leg),
            McuEvent::ConferenceFailed { conference, legs } => {
                if self.conferences.get(conference) == Some(&worker) {
                    self.remove_conference(conference);
                }
                legs.iter().for_each(|leg| self.remove_leg(*leg));
            }
            _ => {}
        }
    }

    fn place(&mut self, conference: &ConferenceId, busy_per_mille: impl Fn(usize) -> u64) -> usize {
        let is_roomy = |worker: &usize| {
            let (legs, conferences) = self.load[*worker];
            legs < ROOMY_LEGS && conferences < ROOMY_CONFERENCES && busy_per_mille(*worker) < ROOMY_BUSY
        };
        let load = |worker: &usize| (busy_per_mille(*worker) / EQUALLY_BUSY, self.load[*worker]);
        let workers = 0..self.load.len();
        let fullest = workers.clone().filter(is_roomy).min_by_key(|&worker| Reverse(self.load[worker]));
        let worker = fullest.or_else(|| workers.min_by_key(load)).unwrap_or(0);
        self.load[worker].1 += 1;
        self.conferences.insert(conference.clone(), worker);
        worker
    }

    fn reserve(&mut self, conference: &ConferenceId, leg: LegId) -> Route {
        let Some(&worker) = self.conferences.get(conference) else { return Route::NoConference(leg) };
        if self.legs.contains_key(&leg) {
            return Route::Nowhere;
        }
        self.legs.insert(leg, (worker, conference.clone()));
        self.load[worker].0 += 1;
        Route::To(worker, conference.clone())
    }

    fn remove_conference(&mut self, conference: &ConferenceId) -> Option<usize> {
        let worker = self.conferences.remove(conference)?;
        self.load[worker].1 -= 1;
        Some(worker)
    }

    fn remove_leg(&mut self, leg: LegId) {
        if let Some((worker, _)) = self.legs.remove(&leg) {
            self.load[worker].0 -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use mcu_api::{AloneAudio, ConferenceMedia, LegFailure, LegStatistics};

    use super::*;

    const MEDIA: ConferenceMedia = ConferenceMedia {
        alone: AloneAudio::Silence,
        entry_exit_tones: false,
        media_silence_ms: 0,
        jitter_delay_max_ms: 120,
    };

    fn id(name: &str) -> ConferenceId {
        ConferenceId::parse(name).expect("valid")
    }

    fn create(routes: &mut Routes, name: &str) -> Route {
        routes.route(&McuCommand::CreateConference { conference: id(name), media: MEDIA }, |_| 0)
    }

    fn reserve(routes: &mut Routes, name: &str, leg: u64) -> Route {
        routes.route(&McuCommand::ReserveLeg { conference: id(name), leg: LegId(leg) }, |_| 0)
    }

    /// Where a new conference goes.
    fn placed(routes: &mut Routes, name: &str, busy: [u64; 2]) -> usize {
        let command = McuCommand::CreateConference { conference: id(name), media: MEDIA };
        match routes.route(&command, |worker| busy[worker]) {
            Route::To(worker, _) => worker,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn conferences_gather_on_a_worker_with_room_to_spare() {
        let mut routes = Routes::new(2);
        assert_eq!(create(&mut routes, "AAAAAAAA"), Route::To(0, id("AAAAAAAA")));
        assert_eq!(create(&mut routes, "BBBBBBBB"), Route::To(0, id("BBBBBBBB")));
        assert_eq!(create(&mut routes, "AAAAAAAA"), Route::To(0, id("AAAAAAAA")), "again: its settings change");
        (1..=99).for_each(|leg| assert_eq!(reserve(&mut routes, "AAAAAAAA", leg), Route::To(0, id("AAAAAAAA"))));
        assert_eq!(placed(&mut routes, "CCCCCCCC", [0, 0]), 0);
        reserve(&mut routes, "CCCCCCCC", 100);
        assert_eq!(placed(&mut routes, "DDDDDDDD", [0, 0]), 1, "it has a hundred legs");
        routes.follow(0, &McuEvent::LegRemoved { leg: LegId(1), statistics: LegStatistics::default() });
        assert_eq!(placed(&mut routes, "EEEEEEEE", [0, 0]), 0);
        assert_eq!(placed(&mut routes, "FFFFFFFF", [150, 0]), 1, "it has little time to spare");
    }

    #[test]
    fn conferences_that_come_at_once_are_shared_out() {
        let mut routes = Routes::new(2);
        let placed: Vec<_> = (0..24).map(|at| placed(&mut routes, &format!("AAAAAA{at:02}"), [0, 0])).collect();
        assert_eq!((&placed[..10], &placed[10..20], &placed[20..]), (&[0; 10][..], &[1; 10][..], &[0, 1, 0, 1][..]));
    }

    #[test]
    fn a_busy_worker_gets_no_further_conference() {
        let mut routes = Routes::new(2);
        assert_eq!(placed(&mut routes, "AAAAAAAA", [300, 40]), 1);
        assert_eq!(placed(&mut routes, "AAAAAAAA", [300, 40]), 1, "again");
        assert_eq!(placed(&mut routes, "BBBBBBBB", [300, 400]), 0);
    }

    #[test]
    fn what_is_gone_is_not_routed() {
        let mut routes = Routes::new(1);
        assert_eq!(reserve(&mut routes, "AAAAAAAA", 1), Route::NoConference(LegId(1)));
        create(&mut routes, "AAAAAAAA");
        reserve(&mut routes, "AAAAAAAA", 1);
        assert_eq!(reserve(&mut routes, "AAAAAAAA", 1), Route::Nowhere, "a number is used once");
        let remove = McuCommand::RemoveLeg { leg: LegId(1) };
        assert_eq!(routes.route(&remove, |_| 0), Route::To(0, id("AAAAAAAA")));
        routes.follow(0, &McuEvent::LegFailed { leg: LegId(1), failure: LegFailure::NoPort });
        assert_eq!(routes.route(&remove, |_| 0), Route::Nowhere);
        reserve(&mut routes, "AAAAAAAA", 2);
        routes.follow(0, &McuEvent::ConferenceFailed { conference: id("AAAAAAAA"), legs: vec![LegId(2)] });
        assert_eq!(routes.route(&McuCommand::RemoveLeg { leg: LegId(2) }, |_| 0), Route::Nowhere);
        assert_eq!(reserve(&mut routes, "AAAAAAAA", 3), Route::NoConference(LegId(3)));
    }
}
