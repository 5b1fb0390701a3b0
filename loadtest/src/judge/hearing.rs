//! Who heard whom: in each turn some members of each conference send a tone of their own; in what the others received,
//! theirs must be and no other, and nobody may hear himself.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};
use testkit::tone::{HEARD_DB, TONES, level_db};
use testkit::wav::Sound;

use crate::judge::sound::{Ear, payload_of, units_per_sample};
use crate::media::clips::RATE;
use crate::media::leg::{Heard, LegRecord};
use crate::plan::Codec;

/// A tone below this is not heard; between this and [`HEARD_DB`] it is neither there nor away, and wrong both ways.
const SILENT_DB: f64 = -50.0;
/// Nor is a tone that stands out of the noise at its sides by less than this, in dB: a codec leaves that much of it between
/// tones that are sent at once.
const ABOVE_NOISE_DB: f64 = 6.0;
/// Where the sides of a tone are, in Hz from it: out of its reach, and of that of any other in [`TONES`].
const SIDE_HZ: u32 = 80;
/// After its start and before its end, this much of a turn is not judged: the way there, and the onset, in ms.
const LEAD_MS: i64 = 350;
const TAIL_MS: i64 = 50;
/// At the beginning of a window the decoder finds its way in; so many samples are not judged.
const WARM_UP: usize = RATE / 10;
/// Tones are looked for in pieces of this length: 50 ms, in which those of [`TONES`] are still told apart by 60 dB.
const PIECE_SAMPLES: usize = RATE / 20;
/// A longer hole than this in the time line is none: another stream began.
const HOLE_MAX: usize = RATE;
/// Fewer samples than this are not enough to tell tones apart.
const SAMPLES_MIN: usize = RATE / 5;

/// One turn: who sent which tone, and when.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Callers and the index of their tone.
    pub tones: Vec<(usize, usize)>,
    /// When it began and ended, see [`crate::sys::wall_nanos`].
    pub from: i64,
    /// Its end.
    pub to: i64,
}

/// Somebody in a conference.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// His number.
    pub caller: usize,
    /// His conference.
    pub conference: usize,
    /// His codec.
    pub codec: Codec,
}

/// What one member heard of one tone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Who listened.
    pub listener: usize,
    /// Who sent the tone.
    pub talker: usize,
    /// The level he heard it at, in dB of full scale.
    pub level_db: f64,
    /// Whether he should have.
    pub should: bool,
    /// Whether that is so.
    pub right: bool,
}

/// The whole check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// Everything that was compared.
    pub cells: Vec<Cell>,
    /// Faults in words, at most [`Matrix::FAULTS_MAX`].
    pub faults: Vec<String>,
}

impl Matrix {
    /// More faults than these are only counted.
    pub const FAULTS_MAX: usize = 40;

    /// Compares what was heard with what should have been. Whoever called again has several records.
    pub fn judge(members: &[Member], turns: &[Turn], records: &HashMap<usize, Vec<&LegRecord>>) -> Self {
        let mut matrix = Self::default();
        let mut known = HashMap::new();
        for turn in turns {
            for member in members {
                let Some(records) = records.get(&member.caller) else { continue };
                let levels = levels_in(records, member.codec, turn, &mut known);
                matrix.compare(member, turn, members, &levels);
            }
        }
        matrix
    }

    /// Pairs that are wrong.
    pub fn wrong(&self) -> usize {
        self.cells.iter().filter(|cell| !cell.right).count()
    }

    /// The loudest that anybody heard himself; NaN when nobody listened.
    pub fn own_voice_db(&self) -> f64 {
        let own = self.cells.iter().filter(|cell| cell.listener == cell.talker);
        own.map(|cell| cell.level_db).fold(f64::NAN, f64::max)
    }

    fn compare(&mut self, listener: &Member, turn: &Turn, members: &[Member], levels: &Levels) {
        for (talker, tone) in &turn.tones {
            let Some(theirs) = members.iter().find(|member| member.caller == *talker) else { continue };
            let same = theirs.conference == listener.conference;
            // A tone that somebody of the own conference sends too says nothing about another conference.
            let hidden = !same
                && turn.tones.iter().any(|(other, theirs)| {
                    theirs == tone && members.iter().any(|m| m.caller == *other && m.conference == listener.conference)
                });
            // Of all others one conference each suffices: the next one.
            let neighbour = theirs.conference == listener.conference + 1;
            if hidden || (!same && !neighbour) {
                continue;
            }
            let (level, noise) = levels[*tone];
            let silent_db = SILENT_DB.max(noise + ABOVE_NOISE_DB).min(HEARD_DB);
            let should = same && *talker != listener.caller;
            let right = if should { level >= HEARD_DB } else { level <= silent_db };
            if !right && self.faults.len() < Self::FAULTS_MAX {
                let verb = if should { "does not hear" } else { "hears" };
                self.faults.push(format!("caller {} {verb} caller {talker} ({level:.0} dB)", listener.caller));
            }
            let level_db = level.max(-90.0);
            self.cells.push(Cell { listener: listener.caller, talker: *talker, level_db, should, right });
        }
    }
}

/// The level of each tone, and of the noise at its sides.
type Levels = [(f64, f64); TONES.len()];

/// The level of each tone in what was received during a turn. Streams that are shared by many are decoded once.
fn levels_in(records: &[&LegRecord], codec: Codec, turn: &Turn, known: &mut HashMap<u64, Levels>) -> Levels {
    let (from, to) = (turn.from + LEAD_MS * 1_000_000, turn.to - TAIL_MS * 1_000_000);
    let heard_in = |record: &&'_ LegRecord| record.heard.iter().any(|heard| (from..to).contains(&heard.at));
    let record = records.iter().find(|record| heard_in(record));
    let packets: Vec<(usize, &[u8])> = record.map_or_else(Vec::new, |record| {
        let mut window = record.heard.iter().filter(|heard| (from..to).contains(&heard.at)).peekable();
        let start = window.peek().map_or(0, |first| first.timestamp);
        let units = units_per_sample(codec);
        let begins = |heard: &Heard| (heard.timestamp.wrapping_sub(start) / units) as usize;
        let mut packets: Vec<_> = window.map(|heard| (begins(heard), payload_of(record, heard))).collect();
        packets.sort_by_key(|&(begins, _)| begins);
        packets
    });
    let mut hasher = DefaultHasher::new();
    (codec, turn.from).hash(&mut hasher);
    packets.hash(&mut hasher);
    *known.entry(hasher.finish()).or_insert_with(|| levels_of(&packets, codec))
}

/// The same in packets with the samples at which they begin. What is missing is silence, so that what comes after it keeps
/// its time: else the pieces of a tone between lost packets would extinguish each other.
fn levels_of(packets: &[(usize, &[u8])], codec: Codec) -> Levels {
    let mut ear = Ear::new(codec);
    let mut samples: Vec<i16> = Vec::new();
    for &(begins, payload) in packets {
        if (samples.len()..samples.len() + HOLE_MAX).contains(&begins) {
            samples.resize(begins, 0);
        }
        samples.extend(ear.decode(payload));
    }
    samples.drain(..WARM_UP.min(samples.len()));
    if samples.len() < SAMPLES_MIN {
        return [(f64::NEG_INFINITY, f64::NEG_INFINITY); TONES.len()];
    }
    TONES.map(|tone| {
        let sides = [tone - SIDE_HZ, tone + SIDE_HZ].map(|side| mean_level_db(&samples, side));
        (mean_level_db(&samples, tone), sides[0].max(sides[1]))
    })
}

/// The level of a tone by its mean power in short pieces: after a lost packet its phase may be another, since a codec that
/// lacks a part of the past goes on as it can. Over the whole length it would then extinguish itself, though one hears it.
fn mean_level_db(samples: &[i16], tone: u32) -> f64 {
    let pieces = samples.chunks_exact(PIECE_SAMPLES);
    let count = pieces.len() as f64;
    let power = pieces.map(|piece| {
        let sound = Sound { rate: RATE as u32, samples: piece.to_vec() };
        10_f64.powf(level_db(&sound, tone) / 10.0)
    });
    10.0 * (power.sum::<f64>() / count).log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::clips::{Clips, Sound as Clip};

    const TURN_NANOS: i64 = 1_000_000_000;

    /// What somebody hears who is sent these tones, each in its own turn; `None` is silence.
    fn record(caller: usize, codec: Codec, heard: &[Option<usize>]) -> LegRecord {
        let clips = Clips::shared(codec);
        let mut record = LegRecord { caller, ..LegRecord::default() };
        for (turn, tone) in heard.iter().enumerate() {
            let frames = clips.of(tone.map_or(Clip::Silence, Clip::Tone));
            for (index, frame) in frames.iter().enumerate() {
                let at = turn as i64 * TURN_NANOS + index as i64 * 20_000_000;
                let (start, length) = (record.payloads.len() as u32, frame.payload.len() as u16);
                record.payloads.extend(&frame.payload);
                let timestamp = (at / 125_000) as u32 * units_per_sample(codec);
                record.heard.push(Heard { at, timestamp, start, length });
            }
        }
        record
    }

    fn judge(heard: [&[Option<usize>]; 3]) -> Matrix {
        let codecs = [Codec::Opus, Codec::Pcmu, Codec::Pcma];
        let members: Vec<Member> =
            (0..3).map(|caller| Member { caller, conference: caller / 2, codec: codecs[caller] }).collect();
        let turns: Vec<Turn> = (0..2)
            .map(|turn| Turn {
                tones: vec![(turn as usize, 3 + turn as usize)],
                from: turn * TURN_NANOS,
                to: (turn + 1) * TURN_NANOS,
            })
            .collect();
        let records: Vec<LegRecord> = (0..3).map(|caller| record(caller, codecs[caller], heard[caller])).collect();
        let by_caller = records.iter().map(|record| (record.caller, vec![record])).collect();
        Matrix::judge(&members, &turns, &by_caller)
    }

    const RIGHT: [&[Option<usize>]; 3] = [&[None, Some(4)], &[Some(3), None], &[None, None]];

    #[test]
    fn a_right_mix_is_right() {
        let matrix = judge(RIGHT);
        assert_eq!((matrix.wrong(), matrix.cells.len()), (0, 4), "{:?}", matrix.faults);
        assert!(matrix.own_voice_db() < -60.0);
    }

    #[test]
    fn each_wrong_mix_is_found() {
        let wrong: [(&str, [&[Option<usize>]; 3]); 3] = [
            ("caller 1 does not hear caller 0", [RIGHT[0], &[None, None], RIGHT[2]]),
            ("caller 0 hears caller 0", [&[Some(3), Some(4)], RIGHT[1], RIGHT[2]]),
            ("caller 0 does not hear caller 1", [&[None], RIGHT[1], RIGHT[2]]),
        ];
        for (words, heard) in wrong {
            let matrix = judge(heard);
            assert_eq!(matrix.wrong(), 1, "{words}: {:?}", matrix.faults);
            assert!(matrix.faults[0].starts_with(words), "{:?}", matrix.faults);
        }
    }

    #[test]
    fn a_tone_is_heard_between_lost_packets() {
        let members = [0, 1].map(|caller| Member { caller, conference: 0, codec: Codec::Opus });
        let mut random = crate::statistics::Random::new(1);
        for tone in (0..TONES.len()).cycle().take(60) {
            let turn = Turn { tones: vec![(1, tone)], from: 0, to: TURN_NANOS };
            let (mut heard, own) = (record(0, Codec::Opus, &[Some(tone)]), record(1, Codec::Opus, &[None]));
            heard.heard.retain(|_| random.unit() > 0.36);
            let matrix = Matrix::judge(&members, &[turn], &HashMap::from([(0, vec![&heard]), (1, vec![&own])]));
            assert_eq!(matrix.faults, Vec::<String>::new(), "{} Hz", TONES[tone]);
        }
    }

    #[test]
    fn a_tone_whose_phase_slips_is_heard() {
        let members = [0, 1].map(|caller| Member { caller, conference: 0, codec: Codec::Pcmu });
        let turn = Turn { tones: vec![(1, 3)], from: 0, to: TURN_NANOS };
        let (mut heard, own) = (record(0, Codec::Pcmu, &[Some(3)]), record(1, Codec::Pcmu, &[None]));
        // In place of each packet stands the one after the next, and so the tone is a fifth of a period off each time.
        let count = heard.heard.len();
        let starts: Vec<u32> = (0..count).map(|index| heard.heard[2 * index % count].start).collect();
        heard.heard.iter_mut().zip(starts).for_each(|(packet, start)| packet.start = start);
        let matrix = Matrix::judge(&members, &[turn], &HashMap::from([(0, vec![&heard]), (1, vec![&own])]));
        assert_eq!(matrix.faults, Vec::<String>::new());
    }

    #[test]
    fn whoever_called_again_is_judged_by_what_he_heard_before() {
        let members = [0, 1].map(|caller| Member { caller, conference: 0, codec: Codec::Pcmu });
        let turn = Turn { tones: vec![(1, 5)], from: 0, to: TURN_NANOS };
        let (before, own) = (record(0, Codec::Pcmu, &[Some(5)]), record(1, Codec::Pcmu, &[None]));
        let after = LegRecord::default();
        let records = HashMap::from([(0, vec![&before, &after]), (1, vec![&after, &own])]);
        assert_eq!(Matrix::judge(&members, &[turn], &records).faults, Vec::<String>::new());
    }

    /// A second of tones, each with its amplitude, in noise that leaves about -46 dB at each frequency.
    fn noisy(caller: usize, tones: &[(usize, f64)]) -> LegRecord {
        let mut random = crate::statistics::Random::new(7);
        let mut sample = |index: usize| {
            let sent = |&(tone, amplitude): &(usize, f64)| {
                amplitude * (std::f64::consts::TAU * f64::from(TONES[tone]) * index as f64 / RATE as f64).sin()
            };
            tones.iter().map(sent).sum::<f64>() + 0.14 * (random.unit() - 0.5)
        };
        let mut record = LegRecord { caller, ..LegRecord::default() };
        for frame in 0..50 {
            let samples = (0..160).map(|index| (sample(frame * 160 + index) * 32_767.0) as i16);
            let start = record.payloads.len() as u32;
            record.payloads.extend(samples.map(testkit::g711::encode_ulaw));
            record.heard.push(Heard {
                at: frame as i64 * 20_000_000,
                timestamp: frame as u32 * 160,
                start,
                length: 160,
            });
        }
        record
    }

    #[test]
    fn noise_beside_several_tones_is_nobodys_voice_but_a_leak_in_it_is() {
        let members = [0, 1, 2].map(|caller| Member { caller, conference: 0, codec: Codec::Pcmu });
        let turn = Turn { tones: vec![(0, 1), (1, 4), (2, 7)], from: 0, to: TURN_NANOS };
        let faults = |own: f64| {
            let heard = noisy(0, &[(1, own), (4, 0.22), (7, 0.22)]);
            Matrix::judge(&members, std::slice::from_ref(&turn), &HashMap::from([(0, vec![&heard])]))
        };
        let right = faults(0.0);
        assert!(right.faults.is_empty() && right.own_voice_db() > SILENT_DB, "{right:?}");
        assert_eq!(faults(0.011).faults, ["caller 0 hears caller 0 (-39 dB)"]);
    }

    #[test]
    fn a_neighbours_voice_is_a_leak() {
        let members = [0, 1].map(|caller| Member { caller, conference: caller, codec: Codec::Pcmu });
        let turn = Turn { tones: vec![(1, 5)], from: 0, to: TURN_NANOS };
        let leaky = record(0, Codec::Pcmu, &[Some(5)]);
        let own = record(1, Codec::Pcmu, &[None]);
        let matrix = Matrix::judge(&members, &[turn], &HashMap::from([(0, vec![&leaky]), (1, vec![&own])]));
        assert_eq!((matrix.wrong(), matrix.cells.len()), (1, 2), "{:?}", matrix.faults);
    }
}
