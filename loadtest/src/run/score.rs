//! Who sounds when: a pure function of the plan.

use crate::judge::hearing::Member;
use crate::plan::Plan;

/// Tones that are told apart.
const TONES: usize = 12;
/// From one conference to the next the tones move on by this many, so that neighbours never share one in a turn.
const STRIDE: usize = 5;
/// Conferences in which the delay is measured.
const CHIRPING_MAX: usize = 8;
/// Listeners who record all the time, over all conferences.
const EARS_MAX: usize = 16;

/// The score of one plan. Caller `i` is in conference `i % conferences`.
pub struct Score {
    conferences: usize,
    participants: usize,
    talkers: usize,
    speakers: usize,
    together: usize,
    /// Who chirps, and who listens to him.
    delays: Vec<(usize, Vec<usize>)>,
}

impl Score {
    /// Of a plan.
    pub fn new(plan: &Plan) -> Self {
        let shape = &plan.shape;
        let mut score = Self {
            conferences: shape.conferences,
            participants: shape.participants,
            talkers: shape.talkers,
            speakers: plan.check.speakers.min(shape.participants),
            together: plan.check.together,
            delays: Vec::new(),
        };
        if plan.check.delay {
            score.delays = score.listening_posts(plan);
        }
        score
    }

    /// Everybody's place.
    pub fn members(plan: &Plan) -> Vec<Member> {
        (0..plan.callers())
            .map(|caller| Member { caller, conference: caller % plan.shape.conferences, codec: plan.codec_of(caller) })
            .collect()
    }

    /// The turns of the roll call: callers and the index of their tone.
    pub fn turns(&self) -> Vec<Vec<(usize, usize)>> {
        let groups = (0..self.speakers).collect::<Vec<_>>();
        groups
            .chunks(self.together)
            .map(|group| {
                let tone = |conference: usize, member: usize| (member + conference * STRIDE) % TONES;
                (0..self.conferences)
                    .flat_map(|conference| group.iter().map(move |member| (conference, *member)))
                    .map(|(conference, member)| (self.caller(conference, member), tone(conference, member)))
                    .collect()
            })
            .collect()
    }

    /// Who speaks in a turn of the talk, but for those who chirp.
    pub fn talkers(&self, turn: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.conferences).flat_map(move |conference| {
            let chirper = self.chirpers().find(|caller| caller % self.conferences == conference);
            let free = self.participants - usize::from(chirper.is_some());
            let count = self.talkers.saturating_sub(usize::from(chirper.is_some()));
            let voices = (0..count.min(free)).map(move |voice| (turn * count + voice) % free);
            // Whoever stands behind the chirper moves up by one.
            voices.map(move |member| {
                let after = chirper.is_some_and(|chirper| member >= chirper / self.conferences);
                self.caller(conference, member + usize::from(after))
            })
        })
    }

    /// Who chirps.
    pub fn chirpers(&self) -> impl Iterator<Item = usize> + '_ {
        self.delays.iter().map(|(chirper, _)| *chirper)
    }

    /// Who records all the time.
    pub fn ears(&self) -> impl Iterator<Item = usize> + '_ {
        self.delays.iter().flat_map(|(_, ears)| ears.iter().copied())
    }

    /// Who chirps for whom.
    pub fn delays(&self) -> &[(usize, Vec<usize>)] {
        &self.delays
    }

    /// Whose turn it is to hang up and call again: never one who is listened to or listens.
    pub fn leaver(&self, count: usize) -> Option<usize> {
        let free = self.participants.checked_sub(self.talkers + 3).filter(|free| *free > 0)?;
        let member = self.participants - 1 - count / self.conferences % free;
        let caller = self.caller(count % self.conferences, member);
        (!self.ears().chain(self.chirpers()).any(|other| other == caller)).then_some(caller)
    }

    const fn caller(&self, conference: usize, member: usize) -> usize {
        member * self.conferences + conference
    }

    /// In the first conferences: the first member with a good network, and listeners with one.
    fn listening_posts(&self, plan: &Plan) -> Vec<(usize, Vec<usize>)> {
        let chirping = self.conferences.min(CHIRPING_MAX);
        (0..chirping)
            .filter_map(|conference| {
                let members = (0..self.participants).map(|member| self.caller(conference, member));
                let mut clean = members.filter(|caller| !plan.is_impaired(*caller));
                let chirper = clean.next()?;
                Some((chirper, clean.take((EARS_MAX / chirping).max(1)).collect()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(more: &str) -> Plan {
        let text = format!(
            "name = 'x'\nabout = 'y'\n[shape]\nconferences = 3\nparticipants = 5\ntalkers = 2\nhold_seconds = 4\n{more}"
        );
        Plan::parse(&text).expect("valid")
    }

    #[test]
    fn everybody_who_should_has_a_turn_and_neighbours_differ() {
        let score = Score::new(&plan("[check]\nspeakers = 4\ntogether = 3\n"));
        let turns = score.turns();
        assert_eq!(turns.iter().map(Vec::len).collect::<Vec<_>>(), [9, 3]);
        for turn in &turns {
            for (caller, tone) in turn {
                let clash = |(other, theirs): &&(usize, usize)| theirs == tone && (other % 3).abs_diff(caller % 3) == 1;
                assert_eq!(turn.iter().find(clash), None);
            }
        }
    }

    #[test]
    fn talkers_take_turns_beside_the_chirper() {
        let score = Score::new(&plan("[check]\ndelay = true\n"));
        assert_eq!(score.chirpers().collect::<Vec<_>>(), [0, 1, 2]);
        let of_first = |turn| score.talkers(turn).filter(|caller| caller % 3 == 0).collect::<Vec<_>>();
        assert_eq!([of_first(0), of_first(1), of_first(4)], [[3], [6], [3]]);
        assert!(score.ears().all(|ear| ear >= 3));
    }

    #[test]
    fn without_chirps_all_talkers_are_voices() {
        let score = Score::new(&plan(""));
        assert_eq!(score.talkers(0).collect::<Vec<_>>(), [0, 3, 1, 4, 2, 5]);
        assert_eq!(score.talkers(2).filter(|caller| caller % 3 == 0).collect::<Vec<_>>(), [12, 0]);
    }

    #[test]
    fn whoever_leaves_is_not_needed() {
        let mut small = plan("");
        assert_eq!(Score::new(&small).leaver(0), None);
        small.shape.participants = 10;
        let score = Score::new(&small);
        assert!((0..100).filter_map(|count| score.leaver(count)).all(|caller| caller / 3 >= 5));
    }
}
