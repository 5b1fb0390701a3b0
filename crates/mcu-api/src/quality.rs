//! How a leg fares: what was counted, and what is estimated from it.

use serde::{Deserialize, Serialize};

/// What was counted on one leg since it was reserved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LegStatistics {
    /// RTP packets received and accepted.
    pub received_packets: u64,
    /// RTP payload bytes received.
    pub received_bytes: u64,
    /// RTP packets sent.
    pub sent_packets: u64,
    /// RTP payload bytes sent.
    pub sent_bytes: u64,
    /// Packets that never arrived.
    pub lost_packets: u64,
    /// Packets that arrived too late to be played.
    pub late_packets: u64,
    /// 20 ms frames made up by loss concealment.
    pub concealed_frames: u64,
    /// Packets dropped: wrong source, wrong tag, replay, malformed.
    pub rejected_packets: u64,
    /// Interarrival jitter (RFC 3550 6.4.1), microseconds.
    pub jitter_us: u32,
    /// Delay of the jitter buffer now, microseconds.
    pub buffer_delay_us: u32,
    /// Bound of that delay, microseconds: that of the conference, or a packet's length where packets are longer.
    pub buffer_delay_max_us: u32,
    /// Round trip from RTCP, microseconds; 0 = not measured.
    pub round_trip_us: u32,
    /// Estimated listening quality of what we receive, MOS-LQ in hundredths, 100 to 450 (E-model, ITU-T G.107); 0 = not
    /// estimated.
    pub mos_hundredths: u16,
    /// What that estimate was made of; all zero when there is none.
    pub e_model: EModel,
    /// Loss of what we send, as the peer reported it last by RTCP, in 1/256 (RFC 3550 6.4.1): of the packets between its last
    /// two reports, not of the whole call. 0 until it reports, so also for a peer that never does; 255 is all; the peer may
    /// lie, so that nothing but error correction and [`LegStatistics::one_way`] depends on it.
    pub remote_loss_fraction: u8,
    /// Only one direction carries audio although both should.
    pub one_way: bool,
}

/// The inputs of the E-model (ITU-T G.107) for one leg. The rating `R` is [`EModel::R_DEFAULT`] - `Ie_eff` with
/// `Ie_eff = Ie + (95 - Ie) Ppl / (Ppl / BurstR + Bpl)`; delay and echo are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EModel {
    /// `Ie`: impairment by the codec alone, in tenths.
    pub equipment_tenths: u16,
    /// `Bpl`: how well the codec stands loss, in tenths.
    pub robustness_tenths: u16,
    /// `Ppl`: frames that had to be made up, in hundredths of a percent; one that error correction brought back counts
    /// for a quarter.
    pub loss_hundredths: u16,
    /// `BurstR`: mean length of a gap against that of random loss, in hundredths, 100 to 400.
    pub burst_ratio_hundredths: u16,
}

impl EModel {
    /// `R` of a connection whose parameters all have their default values.
    pub const R_DEFAULT: f64 = 93.2;

    /// The rating `R`.
    pub fn rating(&self) -> f64 {
        let equipment = f64::from(self.equipment_tenths) / 10.0;
        let robustness = f64::from(self.robustness_tenths) / 10.0;
        let loss = f64::from(self.loss_hundredths) / 100.0;
        let burst_ratio = f64::from(self.burst_ratio_hundredths.max(100)) / 100.0;
        let effective = equipment + (95.0 - equipment) * loss / (loss / burst_ratio + robustness.max(1.0));
        Self::R_DEFAULT - effective
    }

    /// The quality that belongs to it, MOS in hundredths (G.107 annex B).
    pub fn mos_hundredths(&self) -> u16 {
        let rating = self.rating().clamp(0.0, 100.0);
        let mos = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
        (mos.clamp(1.0, 4.5) * 100.0).round() as u16
    }
}
