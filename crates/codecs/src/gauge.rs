//! How loud packets are, read without decoding them.
//!
//! * G.711: the samples are there to be squared.
//! * CELT frames begin with the energy of each band (RFC 6716 4.3.2.1): reading those takes a hundredth of the time
//!   that the sound takes.
//! * SILK and hybrid frames begin with the encoder's voice activity flags (RFC 6716 4.2.3). The encoder gets used to whatever
//!   goes on: a tone, however loud, is no voice to it after a second. So the strength of the excitation is read too; when
//!   it changes, one has to listen.
//!
//! A large conference listens to very few of its legs; this is how it finds out to which.

mod celt;
mod frames;
mod range;
mod silk;

use mixer::{Gauge, Gauged, Level};

use self::celt::Energies;
use self::frames::Packet;
use crate::g711::Law;

/// Reads Opus packets.
#[derive(Default)]
pub(crate) struct OpusGauge {
    energies: Energies,
    /// The last excitation that could be read, in decibels.
    excitation_db: u8,
}

impl Gauge for OpusGauge {
    /// The loudest frame of the packet counts. What cannot be read is silent here: the decoder would refuse it too.
    fn gauge(&mut self, packet: &[u8]) -> Gauged {
        let Some(packet) = Packet::read(packet) else { return Gauged::Level(Level::SILENT) };
        let Some(shape) = packet.celt() else {
            let Some(sounding) = packet.frames().find(|frame| frame.len() > 1) else {
                return Gauged::Level(Level::SILENT);
            };
            if packet.has_voice() {
                return Gauged::Voice;
            }
            let excitation_db = packet.mono_voice_flags().and_then(|flags| silk::excitation(sounding, flags));
            self.excitation_db = excitation_db.unwrap_or(self.excitation_db);
            return Gauged::Background { excitation_db: self.excitation_db };
        };
        let levels = packet.frames().map(|frame| self.energies.read(frame, shape));
        Gauged::Level(levels.max().unwrap_or(Level::SILENT))
    }
}

/// Reads G.711 packets.
pub(crate) struct G711Gauge(pub(crate) Law);

impl Gauge for G711Gauge {
    fn gauge(&mut self, packet: &[u8]) -> Gauged {
        let energy: u64 = packet.iter().map(|&byte| u64::from(self.0.energy(byte))).sum();
        Gauged::Level(Level::of_energy(energy, packet.len()))
    }
}
