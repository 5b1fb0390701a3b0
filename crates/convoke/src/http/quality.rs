//! How the audio of a device fares, in JSON: figures in the units of a person, and what the estimate is made of.

use engine::EndpointQuality;
use serde::Serialize;

/// How the audio of a device fares, in the units of a person.
#[derive(Serialize)]
pub(super) struct Quality {
    mos: Option<f32>,
    /// What `mos` is made of.
    e_model: Option<EModel>,
    received_packets: u64,
    lost_packets: u64,
    late_packets: u64,
    concealed_frames: u64,
    jitter_ms: Option<f32>,
    buffer_delay_ms: Option<f32>,
    buffer_delay_max_ms: Option<f32>,
    round_trip_ms: Option<f32>,
    remote_loss_percent: u8,
    one_way: bool,
}

/// The constants and inputs of the estimate, in the symbols of ITU-T G.107, and the rating they give.
#[derive(Serialize)]
struct EModel {
    r: f64,
    r_default: f64,
    ie: f64,
    bpl: f64,
    ppl_percent: f64,
    burst_r: f64,
}

impl From<&mcu_api::EModel> for EModel {
    fn from(of: &mcu_api::EModel) -> Self {
        Self {
            r: (of.rating() * 10.0).round() / 10.0,
            r_default: mcu_api::EModel::R_DEFAULT,
            ie: f64::from(of.equipment_tenths) / 10.0,
            bpl: f64::from(of.robustness_tenths) / 10.0,
            ppl_percent: f64::from(of.loss_hundredths) / 100.0,
            burst_r: f64::from(of.burst_ratio_hundredths) / 100.0,
        }
    }
}

impl From<&EndpointQuality> for Quality {
    fn from(view: &EndpointQuality) -> Self {
        let milliseconds = |micros: u32| micros as f32 / 1_000.0;
        // Before the first report, or a packet, there is nothing to tell of what came.
        let of_received = |micros: u32| (view.received_packets > 0).then(|| milliseconds(micros));
        Self {
            mos: (view.mos_hundredths > 0).then(|| f32::from(view.mos_hundredths) / 100.0),
            e_model: (view.mos_hundredths > 0).then(|| EModel::from(&view.e_model)),
            received_packets: view.received_packets,
            lost_packets: view.lost_packets,
            late_packets: view.late_packets,
            concealed_frames: view.concealed_frames,
            jitter_ms: of_received(view.jitter_us),
            buffer_delay_ms: of_received(view.buffer_delay_us),
            buffer_delay_max_ms: of_received(view.buffer_delay_max_us),
            round_trip_ms: (view.round_trip_us > 0).then(|| milliseconds(view.round_trip_us)),
            remote_loss_percent: view.remote_loss_percent,
            one_way: view.one_way,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(mos_hundredths: u16, e_model: mcu_api::EModel) -> EndpointQuality {
        EndpointQuality::from(&mcu_api::LegStatistics {
            mos_hundredths,
            e_model,
            received_packets: 250,
            buffer_delay_us: 41_500,
            buffer_delay_max_us: 120_000,
            ..mcu_api::LegStatistics::default()
        })
    }

    #[test]
    fn the_estimate_stands_beside_its_inputs_and_the_delay_beside_its_bound() {
        let e_model = mcu_api::EModel {
            equipment_tenths: 0,
            robustness_tenths: 251,
            loss_hundredths: 500,
            burst_ratio_hundredths: 100,
        };
        let shown = serde_json::to_value(Quality::from(&view(392, e_model))).expect("JSON");
        let expected = serde_json::json!({
            "r": 77.4, "r_default": 93.2, "ie": 0.0, "bpl": 25.1, "ppl_percent": 5.0, "burst_r": 1.0,
        });
        assert_eq!((&shown["e_model"], e_model.mos_hundredths()), (&expected, 392));
        assert_eq!((&shown["buffer_delay_ms"], &shown["buffer_delay_max_ms"]), (&41.5.into(), &120.0.into()));
        let unknown = serde_json::to_value(Quality::from(&view(0, mcu_api::EModel::default()))).expect("JSON");
        assert!(unknown["e_model"].is_null() && unknown["mos"].is_null());
        let unheard = EndpointQuality::from(&mcu_api::LegStatistics::default());
        let unheard = serde_json::to_value(Quality::from(&unheard)).expect("JSON");
        for field in ["jitter_ms", "buffer_delay_ms", "buffer_delay_max_ms", "round_trip_ms"] {
            assert!(unheard[field].is_null(), "{field}: {}", unheard[field]);
        }
    }
}
