//! The ring in which a jitter buffer keeps packets, by extended sequence number.

use base::Timestamp;

use crate::AudioLevel;

/// Places in the ring: for what is kept within the bound, and for a few that are out of order.
const CAPACITY: std::ops::RangeInclusive<usize> = 8..=128;
/// Places beyond those that the bound asks for.
const SPARE: usize = 4;
/// Bytes each place has from the start: 20 ms of G.711, or of Opus at 64 kbit/s. The worker allocates nothing when a leg that
/// had one packet at a time suddenly has many.
const PAYLOAD_BYTES: usize = 160;
/// Places that are enough on a good network: of a packet that waits and of the next one.
const PLACES_MOSTLY: usize = 2;

/// One packet. Its payload buffer is used again and again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    /// Extended sequence number.
    pub(crate) sequence: u64,
    /// Extended RTP timestamp of the first sample.
    pub(crate) timestamp: i64,
    /// Extended RTP timestamp after the last sample.
    pub(crate) end: i64,
    pub(crate) arrival: Timestamp,
    pub(crate) level: Option<AudioLevel>,
    /// What follows this packet is a pause.
    pub(crate) pauses: bool,
    pub(crate) payload: Vec<u8>,
}

impl Slot {
    /// Whether there is something to play in it.
    pub(crate) fn is_audio(&self) -> bool {
        self.end > self.timestamp
    }
}

/// The packet comes after its place was given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOld;

/// A ring of packets.
///
/// The ring itself holds only where they are: a packet takes the first place whose packet was taken, which is mostly the one
/// that was used 20 ms ago and is still in the processor's cache.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// Empty until the first packet comes: a leg that only listens costs nothing. Its length is a power of two.
    ring: Vec<Entry>,
    /// As many as the ring has entries. Those with a number below `next` are not needed any more.
    packets: Vec<Slot>,
    /// The next sequence number that has not been taken or given up.
    next: u64,
    /// The highest sequence number filed.
    newest: u64,
    /// Something was taken: what is older than that cannot be filed any more.
    begun: bool,
}

/// A packet that came: its number, 0 for none, and where it is, or was until another one needed the place.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    sequence: u64,
    place: u8,
}

impl Slots {
    /// Forgets all packets; keeps their memory.
    pub(crate) fn clear(&mut self) {
        (self.next, self.newest, self.begun) = (0, 0, false);
        self.ring.fill(Entry::default());
        self.packets.iter_mut().for_each(|slot| slot.sequence = 0);
    }

    /// Makes room for so many packets; what is here stays.
    pub(crate) fn fit(&mut self, packets: usize) {
        let capacity = (packets + SPARE).next_power_of_two().clamp(*CAPACITY.start(), *CAPACITY.end());
        if capacity <= self.ring.len() {
            return;
        }
        let before = std::mem::replace(&mut self.ring, vec![Entry::default(); capacity]);
        for entry in before.into_iter().filter(|entry| entry.sequence != 0) {
            let at = self.index(entry.sequence);
            self.ring[at] = entry;
        }
        let place = || Slot { payload: Vec::with_capacity(PAYLOAD_BYTES), ..Slot::default() };
        self.packets.resize_with(capacity, place);
    }

    /// Files a packet; a duplicate is ignored. Answers how many older packets had to be given up for it.
    ///
    /// Sequence numbers begin at 1; `payload` is copied.
    pub(crate) fn insert(&mut self, packet: Slot, payload: &[u8]) -> Result<u64, TooOld> {
        let sequence = packet.sequence;
        if self.ring.is_empty() {
            self.fit(0);
        }
        if self.newest == 0 {
            (self.next, self.newest) = (sequence, sequence);
        }
        if sequence < self.next {
            if self.begun || sequence + (self.ring.len() as u64) <= self.newest {
                return Err(TooOld);
            }
            self.next = sequence;
        }
        let given_up = self.make_room(sequence);
        self.newest = self.newest.max(sequence);
        if !self.knows(sequence) {
            let place = self.free_place();
            let slot = &mut self.packets[place];
            let mut buffer = std::mem::take(&mut slot.payload);
            buffer.clear();
            buffer.extend_from_slice(payload);
            *slot = Slot { payload: buffer, ..packet };
            let at = self.index(sequence);
            self.ring[at] = Entry { sequence, place: place as u8 };
        }
        Ok(given_up)
    }

    /// The places that packets mostly take, and where in the ring the next one is entered.
    pub(crate) fn memory_ahead(&self, fetch: &mut impl FnMut(*const u8, usize)) {
        self.packets
            .iter()
            .take(PLACES_MOSTLY)
            .for_each(|slot| fetch(std::ptr::from_ref(slot).cast(), size_of::<Slot>()));
        if let Some(entry) = self.ring.get(self.index(self.newest + 1)) {
            fetch(std::ptr::from_ref(entry).cast(), size_of::<Entry>());
        }
    }

    /// The first place whose packet is not needed any more.
    fn free_place(&self) -> usize {
        let free = self.packets.iter().position(|slot| slot.sequence < self.next);
        free.expect("there are as many places as numbers from `next` to the newest, and this one had none")
    }

    /// Whether a packet with this number came, be it taken or not, as far as that is remembered.
    pub(crate) fn knows(&self, sequence: u64) -> bool {
        self.ring.get(self.index(sequence)).is_some_and(|entry| entry.sequence == sequence && sequence != 0)
    }

    /// The next packet that is here, whether its predecessors are or not.
    pub(crate) fn first(&self) -> Option<&Slot> {
        self.at_or_after(self.next)
    }

    /// The next packet that is here with `sequence` or a higher number.
    pub(crate) fn at_or_after(&self, sequence: u64) -> Option<&Slot> {
        (sequence.max(self.next)..=self.newest).find_map(|sequence| self.get(sequence))
    }

    /// A packet by its number.
    pub(crate) fn get(&self, sequence: u64) -> Option<&Slot> {
        let entry = self.ring.get(self.index(sequence)).filter(|entry| entry.sequence == sequence && sequence != 0)?;
        self.packets.get(usize::from(entry.place)).filter(|slot| slot.sequence == sequence)
    }

    /// The number that comes next when nothing is lost.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next
    }

    /// The highest packet that is here and not taken.
    pub(crate) fn last(&self) -> Option<&Slot> {
        self.get(self.newest).filter(|_| self.newest >= self.next)
    }

    /// Takes the packet `sequence` and gives up everything before it. Its payload stays readable until another packet
    /// needs the place.
    pub(crate) fn take(&mut self, sequence: u64) {
        self.next = self.next.max(sequence + 1);
        self.begun = true;
    }

    fn make_room(&mut self, sequence: u64) -> u64 {
        let oldest = (sequence + 1).saturating_sub(self.ring.len() as u64);
        if oldest <= self.next {
            return 0;
        }
        let end = oldest.min(self.newest + 1);
        let given_up = (self.next..end).filter(|&sequence| self.get(sequence).is_some()).count();
        self.next = oldest;
        self.begun = true;
        given_up as u64
    }

    fn index(&self, sequence: u64) -> usize {
        sequence as usize & self.ring.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(slots: &mut Slots, sequence: u64) -> Result<u64, TooOld> {
        slots.insert(Slot { sequence, end: 160, ..Slot::default() }, &[sequence as u8])
    }

    #[test]
    fn where_the_next_packet_goes_is_named_ahead() {
        let named = |slots: &Slots| {
            let mut named = Vec::new();
            slots.memory_ahead(&mut |memory, bytes| named.push(memory.addr()..memory.addr() + bytes));
            named
        };
        let mut slots = Slots::default();
        assert!(named(&slots).is_empty(), "there is none before the first packet");
        for sequence in 1..=20 {
            let before = named(&slots);
            file(&mut slots, sequence).expect("it is new");
            let slot = std::ptr::from_ref(slots.get(sequence).expect("filed")).addr();
            let entry = std::ptr::from_ref(&slots.ring[slots.index(sequence)]).addr();
            if sequence > 1 {
                assert!([slot, entry].iter().all(|at| before.iter().any(|memory| memory.contains(at))), "{sequence}");
            }
            slots.take(sequence);
        }
    }

    #[test]
    fn packets_come_out_in_order() {
        let mut slots = Slots::default();
        for sequence in [11, 10, 13, 13, 12] {
            assert_eq!(file(&mut slots, sequence), Ok(0));
        }
        for sequence in 10..=13 {
            assert_eq!(slots.first().map(|slot| (slot.sequence, slot.payload[0])), Some((sequence, sequence as u8)));
            slots.take(sequence);
        }
        assert!(slots.first().is_none());
        assert_eq!(file(&mut slots, 13), Err(TooOld));
    }

    #[test]
    fn a_far_packet_pushes_old_ones_out() {
        let mut slots = Slots::default();
        for sequence in 1..=3 {
            assert_eq!(file(&mut slots, sequence), Ok(0));
        }
        slots.fit(60);
        assert_eq!(file(&mut slots, 66), Ok(2));
        assert_eq!(slots.first().map(|slot| slot.sequence), Some(3));
        assert_eq!(file(&mut slots, 1_000_000), Ok(2));
        assert_eq!(slots.first().map(|slot| slot.sequence), Some(1_000_000));
    }

    #[test]
    fn a_packet_at_a_time_takes_one_place_and_is_known_afterwards() {
        let mut slots = Slots::default();
        for sequence in 1..=6 {
            assert_eq!(file(&mut slots, sequence), Ok(0));
            slots.take(sequence);
            assert_eq!(
                slots.get(sequence).map(|slot| slot.payload[0]),
                Some(sequence as u8),
                "readable when it was taken"
            );
        }
        assert_eq!(slots.packets.iter().filter(|slot| slot.sequence != 0).count(), 1);
        assert!((1..=6).all(|sequence| slots.knows(sequence)));
        assert!(slots.get(5).is_none() && !slots.knows(7));
    }

    #[test]
    fn however_many_wait_there_is_a_place_for_each() {
        let mut slots = Slots::default();
        slots.fit(1_000);
        (1..=300).for_each(|sequence| assert!(file(&mut slots, sequence).is_ok()));
        assert_eq!((slots.packets.len(), slots.first().map(|slot| slot.sequence)), (128, Some(173)));
        for sequence in 173..=300 {
            assert_eq!(slots.first().map(|slot| (slot.sequence, slot.payload[0])), Some((sequence, sequence as u8)));
            slots.take(sequence);
        }
    }

    /// The worker allocates nothing when packets that were sent one by one come all at once.
    #[test]
    fn every_place_has_its_memory_from_the_start() {
        let mut slots = Slots::default();
        slots.fit(6);
        let memory = |slots: &Slots| slots.packets.iter().map(|slot| slot.payload.as_ptr()).collect::<Vec<_>>();
        let before = memory(&slots);
        for sequence in 1..=16 {
            let packet = Slot { sequence, end: 160, ..Slot::default() };
            assert_eq!(slots.insert(packet, &[0; PAYLOAD_BYTES]), Ok(0));
        }
        assert_eq!(memory(&slots), before);
    }

    #[test]
    fn a_ring_that_grows_keeps_its_packets() {
        let mut slots = Slots::default();
        (9..=15).for_each(|sequence| assert_eq!(file(&mut slots, sequence), Ok(0)));
        slots.take(9);
        slots.fit(20);
        assert_eq!(file(&mut slots, 34), Ok(0));
        for sequence in (10..=15).chain([34]) {
            assert_eq!(slots.first().map(|slot| (slot.sequence, slot.payload[0])), Some((sequence, sequence as u8)));
            slots.take(sequence);
        }
        assert!(slots.first().is_none());
    }
}
