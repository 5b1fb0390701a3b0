//! The jitter buffer: packets in, in any order; one decision out for each 20 ms.
//!
//! Packets lie in a ring by sequence number; media time (the extended RTP timestamp) says what comes next. While
//! speech runs, units are handed out back to back from `position` on; after a pause the first packet waits until it is
//! *due*, which the delay estimator tells. A wrong delay is mended where nobody hears it: a quiet unit is dropped when
//! we are late, silence is inserted when we are early. Lateness that lasts is mended anyway. Where somebody plays the audio
//! and can do that a little faster or slower, the delay that a wrong clock makes is mended so: see [`JitterBuffer::pace`].
//!
//! Whatever happens, a packet is not handed out after it has lain here longer than the bound (ARCHITECTURE.md, invariant 4).

use base::{Duration, Timestamp};
use mcu_api::Codec;

use crate::delay::DelayEstimator;
use crate::drift::Pace;
use crate::mos::Reception;
use crate::slots::{Slot, Slots};
use crate::unit::{self, UNIT_MS, Unit};
use crate::{AudioLevel, Frame, Pulled, opus_packet};

/// A tick, microseconds.
const UNIT_US: i64 = UNIT_MS as i64 * 1_000;
/// How late we may be, beyond one packet, before a quiet unit is dropped. More than the room made for a slow sender, so
/// that not one and the other take turns.
const LATE_SLACK_US: i64 = 6_000;
/// How long lateness may last before a unit is dropped though it is not quiet.
const LATE_PATIENCE: Duration = Duration::from_secs(1);
/// Units concealed in a row before it is called silence: longer than any concealment sounds like speech.
const CONCEALED_MAX: u32 = 10;
/// The same where nothing at all is here, of a peer that was seen to stop sending without a word: a pause is more likely
/// than a loss.
const CONCEALED_MAX_PAUSING: u32 = 2;
/// Ticks to wait for the rest of a unit of which a part is here.
const PART_PATIENCE: u32 = 2;
/// Share of lost units above which Opus is held back one unit longer, so that the packet after a lost one is already
/// here with its in-band FEC.
const LOSS_WORTH_FEC: f32 = 0.01;
/// Weight of one unit in the running share of lost units.
const LOSS_WEIGHT: f32 = 1.0 / 128.0;

/// What is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct JitterCounters {
    pub(crate) late_packets: u64,
    /// What was played and what was made up, in frames of 20 ms.
    pub(crate) reception: Reception,
    /// How long the packet that was handed out last had waited, until it is played, microseconds.
    pub(crate) delay_us: i64,
}

/// One packet on its way in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) at: Timestamp,
    /// Extended sequence number.
    pub(crate) sequence: u64,
    /// Extended RTP timestamp.
    pub(crate) timestamp: i64,
    pub(crate) payload: &'a [u8],
    pub(crate) level: Option<AudioLevel>,
}

/// The jitter buffer of one stream.
#[derive(Debug)]
pub(crate) struct JitterBuffer {
    codec: Codec,
    /// In microseconds, as all that is compared for each packet.
    delay_max_us: i64,
    slots: Slots,
    delay: DelayEstimator,
    /// Length of the latest packet in clock units.
    packet_length: i64,
    /// Media time of the next unit while speech runs.
    position: i64,
    /// End of what was handed out or finally given up; older media is late.
    floor: i64,
    /// Units are handed out back to back.
    running: bool,
    /// The sender said that it pauses (DTX, comfort noise, a digit).
    paused: bool,
    /// How loud the background is of which it sends nothing, in dB below overload, as it said.
    noise: Option<u8>,
    concealed_run: u32,
    /// What was handed out last; `None` before the first unit.
    handed: Option<Handed>,
    /// The peer's last gap was a pause that it did not announce.
    stops_unannounced: bool,
    part_waits: u32,
    /// Pulls still to be answered [`Pulled::Continued`].
    continued: u8,
    /// Clock units handed out beyond whole units.
    surplus: i64,
    late_since: Option<Timestamp>,
    loss: f32,
    pace: Pace,
    /// The tick in which the pace was asked for.
    paced: Option<Timestamp>,
    /// What was handed out, is not played, and comes before the unit that is pulled.
    held_us: i64,
    unit: Unit,
    counters: JitterCounters,
}

/// Where the stream stood when a unit was handed out, to tell afterwards what the gap behind it was.
#[derive(Clone, Copy, Debug)]
struct Handed {
    /// Extended timestamp of its end.
    end: i64,
    /// The sequence number that comes next, when nothing is lost and what is no audio is left out.
    next_sequence: u64,
}

/// What is to be done in this tick.
enum Decision {
    Play,
    /// Conceal; the sequence number is that of the packet right after the gap.
    Conceal(Option<u64>),
    Silence,
}

/// What the delay needs.
enum Correction {
    None,
    Insert,
    Drop,
}

impl JitterBuffer {
    /// An empty buffer.
    pub(crate) fn new(codec: Codec, delay_max: Duration) -> Self {
        Self {
            codec,
            delay_max_us: delay_max.as_micros() as i64,
            slots: Slots::default(),
            delay: DelayEstimator::new(),
            packet_length: 0,
            position: i64::MIN,
            floor: i64::MIN,
            running: false,
            paused: false,
            noise: None,
            concealed_run: 0,
            handed: None,
            stops_unannounced: false,
            part_waits: 0,
            continued: 0,
            surplus: 0,
            late_since: None,
            loss: 0.0,
            pace: Pace::default(),
            paced: None,
            held_us: 0,
            unit: Unit::default(),
            counters: JitterCounters::default(),
        }
    }

    /// Forgets the stream; the next packet begins a new one, of another codec perhaps. The counters stay.
    pub(crate) fn restart(&mut self, codec: Codec) {
        let mut slots = std::mem::take(&mut self.slots);
        slots.clear();
        let delay_max = Duration::from_micros(self.delay_max_us as u64);
        *self = Self { slots, counters: self.counters, ..Self::new(codec, delay_max) };
    }

    /// What was counted since the buffer was made.
    pub(crate) fn counters(&self) -> JitterCounters {
        self.counters
    }

    /// What it points to that the next packet and the next pull use.
    pub(crate) fn memory_ahead(&self, fetch: &mut impl FnMut(*const u8, usize)) {
        self.slots.memory_ahead(fetch);
    }

    /// Files a packet of audio. A payload that has no length is a pause.
    pub(crate) fn insert(&mut self, arrival: &Arrival<'_>) {
        let Some(samples) = unit::samples(self.codec, arrival.payload) else { return self.insert_pause(arrival) };
        if self.packet_length != i64::from(samples) {
            self.packet_length = i64::from(samples);
            let lasts_us = self.to_us(self.packet_length).max(1);
            self.slots.fit(usize::try_from(self.delay_max_us / lasts_us).unwrap_or(usize::MAX / 2));
        }
        self.delay.observe(arrival.at, micros(arrival.at) - self.to_us(arrival.timestamp));
        let end = arrival.timestamp + self.packet_length;
        let seen = self.slots.knows(arrival.sequence);
        if end <= self.floor {
            self.counters.late_packets += u64::from(!seen);
            return;
        }
        let starved = self.slots.first().is_none();
        let pauses = self.codec == Codec::Opus && opus_packet::is_dtx(arrival.payload);
        self.file(arrival, end, pauses);
        // What was concealed while nothing was here may still be played: it was late, not lost.
        if starved && (self.floor..self.position).contains(&arrival.timestamp) {
            self.position = arrival.timestamp;
        }
        self.hold_bound();
    }

    /// Files a packet without audio of the codec: comfort noise, with its level, or a telephone-event, without one. Its
    /// sequence number is accounted for, and what follows it is a pause, not a loss.
    pub(crate) fn insert_pause(&mut self, arrival: &Arrival<'_>) {
        self.file(arrival, arrival.timestamp, true);
    }

    /// How much faster than it came the audio is to be played in this tick, in parts per million, by a player who decodes it
    /// and holds so much that he has not played. As many units as he needs are pulled afterwards, at the same time.
    pub(crate) fn pace(&mut self, now: Timestamp, held: Duration) -> i32 {
        let held_us = held.as_micros() as i64;
        (self.paced, self.held_us) = (Some(now), held_us - UNIT_US);
        let late_us = self.running.then(|| {
            let next_us = self.to_us(self.position) - i64::from(self.continued) * UNIT_US;
            self.due_us(now) - next_us
        });
        self.pace.turn(late_us, self.is_late_for_long(now), held_us, self.delay.drift_ppm())
    }

    /// The next 20 ms.
    pub(crate) fn pull(&mut self, now: Timestamp) -> Pulled<'_> {
        self.held_us = if self.paced == Some(now) { self.held_us + UNIT_US } else { 0 };
        if self.continued > 0 {
            self.continued -= 1;
            return Pulled::Continued;
        }
        match self.decide(now) {
            Decision::Play => self.play(now),
            Decision::Conceal(next) => {
                self.concealed_run += 1;
                let next = next.and_then(|sequence| self.slots.get(sequence));
                let recovered =
                    self.codec == Codec::Opus && next.is_some_and(|slot| opus_packet::has_fec(&slot.payload));
                self.counters.reception.recovered += u64::from(recovered);
                Pulled::Lost { next: next.map(|slot| slot.payload.as_slice()) }
            }
            Decision::Silence => match self.noise.filter(|_| self.paused) {
                Some(minus_dbov) => Pulled::Noise { minus_dbov },
                None => Pulled::Silence,
            },
        }
    }

    fn decide(&mut self, now: Timestamp) -> Decision {
        self.clear_away(now);
        if self.running {
            match self.correction(now) {
                Correction::None => {}
                Correction::Insert => return Decision::Silence,
                Correction::Drop => self.drop_unit(),
            }
            self.clear_away(now);
        }
        let Some(first) = self.slots.first() else { return self.starve(now) };
        let (sequence, start, arrival) = (first.sequence, first.timestamp, first.arrival);
        let due = self.due_us(now) >= self.to_us(start);
        let last_chance = self.waited_us(now, arrival) + UNIT_US > self.bound_us();
        if self.running && start <= self.position {
            return self.play_or_wait_for_rest();
        }
        // Behind a gap: when the packet is due, what is missing is skipped instead of concealed.
        if due || last_chance {
            self.position = start.max(self.floor);
            self.running = true;
            return self.play_or_wait_for_rest();
        }
        if self.running { self.bridge(sequence, start) } else { Decision::Silence }
    }

    /// Nothing is here: late, lost, or a pause. Where the delay is to grow it grows here, since something has to be made up
    /// anyway.
    fn starve(&mut self, now: Timestamp) -> Decision {
        if !self.running {
            return Decision::Silence;
        }
        let early = self.due_us(now) < self.to_us(self.position);
        if !early || self.concealed_run > 0 {
            self.position += self.unit_length();
        }
        let conceal_most = if self.stops_unannounced { CONCEALED_MAX_PAUSING } else { CONCEALED_MAX };
        if self.paused || self.concealed_run >= conceal_most {
            self.running = false;
            return Decision::Silence;
        }
        Decision::Conceal(None)
    }

    /// The next packet begins at `start`, after the unit that is wanted, and is not due.
    fn bridge(&mut self, sequence: u64, start: i64) -> Decision {
        let wanted_end = self.position + self.unit_length();
        self.position = wanted_end.min(start);
        let nothing_missing = sequence == self.slots.next_sequence();
        if self.paused || nothing_missing || self.concealed_run >= CONCEALED_MAX {
            self.running = false;
            return Decision::Silence;
        }
        // A packet that comes after its place was concealed with the help of a later one is of no use any more.
        self.floor = self.position;
        Decision::Conceal((wanted_end == start).then_some(sequence))
    }

    /// A unit made of short packets may be here in part only: give the rest a moment before the unit is played short.
    fn play_or_wait_for_rest(&mut self) -> Decision {
        let (end, follower) = self.contiguous_end();
        let complete = end - self.position >= self.unit_length();
        if complete || follower || self.part_waits >= PART_PATIENCE {
            self.part_waits = 0;
            return Decision::Play;
        }
        self.part_waits += 1;
        Decision::Conceal(None)
    }

    /// Where the media that is here without a gap from `position` on ends, and whether anything lies beyond that.
    fn contiguous_end(&self) -> (i64, bool) {
        let wanted = self.position + self.unit_length();
        let mut end = self.position;
        let mut sequence = 0;
        while let Some(slot) = self.slots.at_or_after(sequence) {
            if slot.timestamp > end || !slot.is_audio() {
                return (end, true);
            }
            end = end.max(slot.end);
            if end >= wanted {
                return (end, true);
            }
            sequence = slot.sequence + 1;
        }
        (end, false)
    }

    fn play(&mut self, now: Timestamp) -> Pulled<'_> {
        let first = self.slots.first().expect("a unit is played only when a packet is here");
        let (level, sequence, arrival) = (first.level, first.sequence, first.arrival);
        self.counters.delay_us = self.waited_us(now, arrival);
        let start = self.position;
        self.judge_gap(sequence, start);
        let taken = self.unit.fill(self.codec, &self.slots, start);
        self.handed =
            Some(Handed { end: taken.end, next_sequence: taken.last.map_or(sequence, |last| last.max(sequence) + 1) });
        self.paused = taken.pauses;
        self.noise = None;
        self.position = taken.end;
        self.floor = taken.end;
        if let Some(sequence) = taken.last {
            self.slots.take(sequence);
        }
        self.concealed_run = 0;
        self.count_loss(0.0);
        let units = self.units(taken.end - start);
        self.continued = units - 1;
        self.counters.reception.played += u64::from(units);
        Pulled::Frame(Frame { payload: self.unit.payload(&self.slots), units, level })
    }

    /// The unit from `start` on, of the packet `sequence`, ends a gap if there was one: only now its numbers tell what it
    /// was. Missing numbers were lost (or came too late), all of them, however long the gap. Without any, media time that
    /// went on was a pause (RFC 3550 5.1, RFC 7587 3.1.3), whatever was made up meanwhile; what was made up beyond the media
    /// time that passed bridged a delay.
    fn judge_gap(&mut self, sequence: u64, start: i64) {
        let Some(handed) = self.handed else { return };
        let passed = (start - handed.end).max(0);
        let missing = i64::try_from(sequence.saturating_sub(handed.next_sequence)).unwrap_or(i64::MAX);
        let missing = missing.saturating_mul(self.packet_length).min(passed);
        let [passed, missing] =
            [passed, missing].map(|length| length as u64).map(|l| l.div_ceil(self.unit_length() as u64));
        let delayed = u64::from(self.concealed_run).saturating_sub(passed);
        let lost = missing + delayed;
        if lost > 0 {
            self.stops_unannounced = false;
            self.counters.reception.gaps += 1;
            self.counters.reception.concealed += lost;
            (0..lost.min(u64::from(CONCEALED_MAX))).for_each(|_| self.count_loss(1.0));
        } else if self.concealed_run > 0 {
            self.stops_unannounced = true;
        }
    }

    /// A packet is done with that gave no sound and was not lost.
    fn account(&mut self) {
        if let Some(handed) = &mut self.handed {
            handed.next_sequence += 1;
        }
    }

    /// How many ticks a payload lasts. What is left over counts for the next one: packets of 30 ms last 1, 2, 1, 2 ...
    fn units(&mut self, length: i64) -> u8 {
        let total = length + self.surplus;
        let units = (total / self.unit_length()).clamp(1, 6);
        self.surplus = (total - units * self.unit_length()).max(0);
        units as u8
    }

    /// Whether the delay should change now. Asked before a unit is handed out while units run.
    fn correction(&mut self, now: Timestamp) -> Correction {
        let Some(first) = self.slots.first().filter(|slot| slot.is_audio() && slot.timestamp <= self.position) else {
            return Correction::None;
        };
        let late_us = self.due_us(now) - self.to_us(self.position);
        let quiet = || unit::is_quiet(self.codec, first);
        let droppable = self.droppable_end(first);
        // While what is here is played faster, that is enough.
        let mended_us = if self.paced == Some(now) && self.pace.ppm() > 0 { UNIT_US } else { 0 };
        // A tick takes what came within 20 ms, so no delay is finer than that.
        if late_us > self.to_us(droppable - self.position).max(UNIT_US) + LATE_SLACK_US + mended_us {
            self.late_since.get_or_insert(now);
            let more_here = self.slots.last().is_some_and(|last| last.end >= droppable + self.unit_length());
            let drop = more_here && (self.is_late_for_long(now) || quiet());
            return if drop { Correction::Drop } else { Correction::None };
        }
        self.late_since = None;
        // A sender whose clock is slow comes later and later: room is made for that before a packet is missing.
        if late_us + self.held_us < self.delay.slowing_us() && quiet() { Correction::Insert } else { Correction::None }
    }

    fn is_late_for_long(&self, now: Timestamp) -> bool {
        self.late_since.is_some_and(|since| now.since(since) >= LATE_PATIENCE)
    }

    /// Drops one unit (Opus: one packet) at `position`.
    fn drop_unit(&mut self) {
        self.late_since = None;
        let Some(first) = self.slots.first() else { return };
        let (sequence, first_end) = (first.sequence, first.end);
        self.position = self.droppable_end(first);
        self.floor = self.position;
        if let Some(handed) = &mut self.handed {
            handed.end = handed.end.max(self.position);
        }
        if first_end <= self.position {
            self.slots.take(sequence);
            self.account();
        }
    }

    fn droppable_end(&self, first: &Slot) -> i64 {
        match self.codec {
            Codec::Opus => first.end,
            Codec::Pcmu | Codec::Pcma => self.position + self.unit_length(),
        }
    }

    /// Takes what needs no time: markers of a pause, and audio whose time has passed.
    fn take_pauses(&mut self) {
        while let Some(first) = self.slots.first() {
            let passed = first.end <= self.floor;
            if first.is_audio() && !passed {
                return;
            }
            if !first.is_audio() {
                self.paused = true;
                self.noise = first.level.map(|level| level.minus_dbov);
            }
            let sequence = first.sequence;
            self.slots.take(sequence);
            self.account();
        }
    }

    /// Takes all that is not to be played. Behind a packet that was out of order there may be an older one.
    fn clear_away(&mut self, now: Timestamp) {
        loop {
            let before = self.slots.next_sequence();
            self.expire(now);
            self.take_pauses();
            if self.slots.next_sequence() == before {
                return;
            }
        }
    }

    /// Drops what has waited longer than the bound.
    fn expire(&mut self, now: Timestamp) {
        while self.slots.first().is_some_and(|first| self.waited_us(now, first.arrival) > self.bound_us()) {
            self.give_up_first();
        }
    }

    /// Drops the oldest packets until what is here can be played within the bound.
    fn hold_bound(&mut self) {
        while let (Some(first), Some(last)) = (self.slots.first(), self.slots.last()) {
            let from = first.timestamp.max(self.floor);
            // A packet of Opus is handed out as a whole, others are in units of 20 ms.
            let last_begins = match self.codec {
                Codec::Opus => last.timestamp,
                Codec::Pcmu | Codec::Pcma => last.timestamp.max(last.end - self.unit_length()),
            };
            if first.sequence == last.sequence || self.to_us(last_begins - from) <= self.bound_us() {
                return;
            }
            self.give_up_first();
        }
    }

    fn give_up_first(&mut self) {
        let Some(first) = self.slots.first() else { return };
        let (sequence, end, audio) = (first.sequence, first.end, first.is_audio());
        self.slots.take(sequence);
        self.counters.late_packets += u64::from(audio);
        self.paused |= !audio;
        self.floor = self.floor.max(end);
        self.position = self.position.max(end);
    }

    fn file(&mut self, arrival: &Arrival<'_>, end: i64, pauses: bool) {
        let slot = Slot {
            sequence: arrival.sequence,
            timestamp: arrival.timestamp,
            end,
            arrival: arrival.at,
            level: arrival.level,
            pauses,
            payload: Vec::new(),
        };
        let duplicate = self.slots.knows(arrival.sequence);
        self.counters.late_packets += match self.slots.insert(slot, arrival.payload) {
            Ok(given_up) => given_up,
            Err(_) => u64::from(!duplicate),
        };
    }

    fn count_loss(&mut self, lost: f32) {
        self.loss += (lost - self.loss) * LOSS_WEIGHT;
    }

    /// The media time, in microseconds, that is to be played now.
    fn due_us(&self, now: Timestamp) -> i64 {
        let length = self.packet_length.max(1);
        let unit = self.unit_length();
        // The last part of a unit made of short packets comes later than its first.
        let assembly = if length % unit == 0 { 0 } else { unit - gcd(unit, length) };
        let fec = if self.codec == Codec::Opus && self.loss > LOSS_WORTH_FEC { UNIT_US } else { 0 };
        let wanted = self.delay.target_us() + self.to_us(assembly) + fec;
        // So late that it is mended, and with what the player holds, a packet is still handed out within the bound.
        let most = self.bound_us() - self.to_us(length.max(unit)) - LATE_SLACK_US - self.held_us.max(0);
        micros(now).saturating_sub(self.delay.fastest_us()) - wanted.min(most).max(0)
    }

    /// How long what arrived at `arrival` has waited when it is played, if that is pulled now.
    fn waited_us(&self, now: Timestamp, arrival: Timestamp) -> i64 {
        (micros(now) - micros(arrival)).max(0) + self.held_us
    }

    /// The longest time a packet may lie here, microseconds: never less than it takes to hand it out.
    pub(crate) fn bound_us(&self) -> i64 {
        self.delay_max_us.max(self.to_us(self.packet_length + self.unit_length()))
    }

    /// 20 ms in clock units.
    fn unit_length(&self) -> i64 {
        i64::from(self.codec.clock_rate() / 1_000 * UNIT_MS)
    }

    fn to_us(&self, clock_units: i64) -> i64 {
        // Divisors that are known when this is compiled cost a multiplication; this is asked often.
        match self.codec {
            Codec::Opus => clock_units * 125 / 6,
            Codec::Pcmu | Codec::Pcma => clock_units * 125,
        }
    }
}

fn micros(at: Timestamp) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX)
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
