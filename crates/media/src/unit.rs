//! Making 20 ms units out of packets of any length.

use mcu_api::Codec;

use crate::opus_packet;
use crate::slots::{Slot, Slots};

/// Length of a unit in milliseconds.
pub(crate) const UNIT_MS: u32 = 20;
/// Bytes of a G.711 unit.
const G711_UNIT: usize = 160;
/// The longest G.711 packet that is read: 200 ms.
const G711_PACKET_MAX: usize = 1_600;
/// 20 ms of Opus in clock units.
const OPUS_UNIT: i64 = 960;
/// At least this far below the overload point, and not called voice, is quiet.
const QUIET_MINUS_DBOV: u8 = 50;

/// Length of a payload in clock units; `None` when it has none.
pub(crate) fn samples(codec: Codec, payload: &[u8]) -> Option<u32> {
    match codec {
        Codec::Opus => opus_packet::samples(payload),
        Codec::Pcmu | Codec::Pcma => (1..=G711_PACKET_MAX).contains(&payload.len()).then_some(payload.len() as u32),
    }
}

/// Whether dropping the packet, or a pause before it, would hardly be heard.
pub(crate) fn is_quiet(codec: Codec, slot: &Slot) -> bool {
    if slot.level.is_some_and(|level| !level.voice && level.minus_dbov >= QUIET_MINUS_DBOV) {
        return true;
    }
    // The two lowest segments of G.711 end near -38 dB.
    match codec {
        Codec::Opus => opus_packet::is_quiet(&slot.payload),
        Codec::Pcmu => slot.payload.iter().all(|byte| !byte & 0x7F < 0x20),
        Codec::Pcma => slot.payload.iter().all(|byte| (byte ^ 0x55) & 0x7F < 0x20),
    }
}

/// What went into a unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// Media time after the unit.
    pub(crate) end: i64,
    /// The last packet that is used up, if any.
    pub(crate) last: Option<u64>,
    /// A pause follows.
    pub(crate) pauses: bool,
}

/// The unit being handed out.
#[derive(Debug, Default)]
pub(crate) struct Unit {
    /// Bytes put together from several packets.
    assembled: Vec<u8>,
    /// The packet that is the unit as it stands.
    whole: Option<u64>,
}

impl Unit {
    /// Makes the unit that begins at `position`; the first packet there must begin at or before it.
    pub(crate) fn fill(&mut self, codec: Codec, slots: &Slots, position: i64) -> Taken {
        self.assembled.clear();
        self.whole = None;
        match codec {
            Codec::Opus => self.fill_opus(slots, position),
            Codec::Pcmu | Codec::Pcma => self.fill_g711(slots, position),
        }
    }

    /// The payload of the unit made last.
    pub(crate) fn payload<'a>(&'a self, slots: &'a Slots) -> &'a [u8] {
        match self.whole.and_then(|sequence| slots.get(sequence)) {
            Some(slot) => &slot.payload,
            None => &self.assembled,
        }
    }

    /// An Opus packet is handed out whole; packets shorter than the unit are joined when they can be.
    fn fill_opus(&mut self, slots: &Slots, position: i64) -> Taken {
        let Some(first) = slots.first() else { return Taken { end: position, last: None, pauses: false } };
        let mut taken = Taken { end: first.end, last: Some(first.sequence), pauses: first.pauses };
        self.whole = Some(first.sequence);
        let short = first.end - first.timestamp < OPUS_UNIT && !first.pauses;
        if !short {
            return taken;
        }
        let wanted = first.timestamp + OPUS_UNIT;
        let mut last = first;
        while let Some(slot) = slots.get(last.sequence + 1).filter(|slot| slot.timestamp == last.end) {
            if slot.end > wanted || slot.pauses || !slot.is_audio() {
                break;
            }
            last = slot;
        }
        let packets = (first.sequence..=last.sequence).filter_map(|sequence| slots.get(sequence));
        if last.sequence != first.sequence
            && opus_packet::join(packets.map(|slot| slot.payload.as_slice()), &mut self.assembled)
        {
            self.whole = None;
            (taken.end, taken.last) = (last.end, Some(last.sequence));
        }
        taken
    }

    /// G.711 is cut and joined at any sample. Where something is missing, the unit's beginning is repeated.
    fn fill_g711(&mut self, slots: &Slots, position: i64) -> Taken {
        let end = position + G711_UNIT as i64;
        let mut taken = Taken { end, last: None, pauses: false };
        let mut at = position;
        let mut sequence = 0;
        while let Some(slot) = slots.at_or_after(sequence).filter(|slot| slot.timestamp <= at && slot.is_audio()) {
            let from = usize::try_from(at - slot.timestamp).unwrap_or(usize::MAX).min(slot.payload.len());
            let length = (slot.payload.len() - from).min(G711_UNIT - self.assembled.len());
            self.assembled.extend_from_slice(&slot.payload[from..from + length]);
            at += length as i64;
            if slot.end <= end {
                taken.last = Some(slot.sequence);
            }
            if at >= end {
                break;
            }
            sequence = slot.sequence + 1;
        }
        let here = self.assembled.len();
        for index in here..G711_UNIT {
            let byte = if here == 0 { 0xFF } else { self.assembled[index - here] };
            self.assembled.push(byte);
        }
        taken
    }
}
