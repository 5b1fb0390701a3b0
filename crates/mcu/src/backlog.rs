//! The last packets of a leg that nobody listens to.

/// Packets kept. A decoder that has heard the three before it plays the fourth as if it had heard all: what CELT
/// predicts from the past is halved with each packet, and SILK looks back 18 ms.
const DEPTH: usize = 4;

/// Room for a packet from the start, so that filing the next ones seldom allocates.
const USUAL_LENGTH: usize = 256;

/// A few packets that were not decoded, in case their leg is listened to after all: its decoder begins warm and
/// the first syllable is whole.
#[derive(Default)]
pub(crate) struct Backlog {
    /// Empty until the first packet comes.
    packets: Vec<Packet>,
    /// Where the next one is filed.
    next: usize,
    /// How many there are.
    kept: usize,
    /// Ticks since the newest one began to play.
    elapsed: u8,
}

#[derive(Default)]
struct Packet {
    payload: Vec<u8>,
    /// 20 ms units.
    units: u8,
}

impl Backlog {
    /// Files a packet that begins to play at this tick.
    pub(crate) fn file(&mut self, payload: &[u8], units: u8) {
        if self.packets.is_empty() {
            let room = || Packet { payload: Vec::with_capacity(USUAL_LENGTH), units: 0 };
            self.packets.resize_with(DEPTH, room);
        }
        let packet = &mut self.packets[self.next];
        packet.payload.clear();
        packet.payload.extend_from_slice(payload);
        packet.units = units;
        self.next = (self.next + 1) % DEPTH;
        self.kept = DEPTH.min(self.kept + 1);
        self.elapsed = 0;
    }

    /// The place in which the next packet is filed.
    pub(crate) fn memory_ahead(&self, fetch: &mut impl FnMut(*const u8, usize)) {
        if let Some(packet) = self.packets.get(self.next) {
            fetch(std::ptr::from_ref(packet).cast(), size_of::<Packet>());
        }
    }

    /// A further tick goes by: of the newest packet, or in place of one that is lost.
    pub(crate) fn go_on(&mut self) {
        self.elapsed = self.elapsed.saturating_add(1);
    }

    /// Forgets all packets: what comes next does not continue them.
    pub(crate) fn clear(&mut self) {
        self.kept = 0;
    }

    /// The packets with their lengths in units, oldest first.
    pub(crate) fn packets(&self) -> impl ExactSizeIterator<Item = (&[u8], u8)> {
        let oldest = self.next + DEPTH - self.kept;
        (oldest..oldest + self.kept).map(|at| {
            let packet = &self.packets[at % DEPTH];
            (packet.payload.as_slice(), packet.units)
        })
    }

    /// Units of the newest packet whose time has passed.
    pub(crate) fn elapsed(&self) -> u8 {
        self.elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_packets_are_kept_in_order() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.packets().count(), 0);
        for number in 1..=6 {
            let mut named = None;
            backlog.memory_ahead(&mut |memory, _| named = Some(memory));
            backlog.file(&[number], 1);
            let filed = &backlog.packets[(backlog.next + DEPTH - 1) % DEPTH];
            assert!(
                number == 1 || named == Some(std::ptr::from_ref(filed).cast()),
                "{number} is filed where it was named"
            );
        }
        backlog.go_on();
        let kept: Vec<u8> = backlog.packets().map(|(payload, _)| payload[0]).collect();
        assert_eq!((kept, backlog.elapsed()), (vec![3, 4, 5, 6], 1));
        backlog.clear();
        backlog.file(&[9], 2);
        assert_eq!(backlog.packets().collect::<Vec<_>>(), [(&[9][..], 2)]);
    }
}
