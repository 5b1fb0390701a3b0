//! The loudness of a CELT frame from the coarse energies of its bands (RFC 6716 4.3.2.1).
//!
//! They are written in steps of 6 dB, each frame predicted from the one before. The finer steps that follow them are
//! not read; over 21 bands what that leaves out averages to a decibel or two. Nor is it a harm when a frame is missing:
//! of what the prediction then has wrong, half is gone with each further frame of 20 ms.

use mixer::Level;

use super::frames::CeltShape;
use super::range::RangeDecoder;

const BANDS: usize = 21;

/// Mean energy of each band, in steps of 6 dB (RFC 6716 4.3.2.1, reference code), and what the de-emphasis filter of
/// RFC 6716 4.3.7.2, `1 / (1 - 0.85 / z)`, adds to it in the middle of the band.
const OFFSETS: [f32; BANDS] = [
    9.168, 8.945, 8.378, 7.851, 7.496, 7.133, 6.706, 6.466, 6.802, 6.408, 6.094, 5.799, 6.015, 5.506, 4.975, 4.934,
    4.577, 4.608, 4.486, 3.905, 2.992,
];

/// Prediction from the frame before, and along the bands, by the length of the frame.
const FROM_BEFORE: [f32; 4] = [29_440.0 / 32_768.0, 26_112.0 / 32_768.0, 21_248.0 / 32_768.0, 16_384.0 / 32_768.0];
const ALONG: [f32; 4] = [30_147.0 / 32_768.0, 22_282.0 / 32_768.0, 12_124.0 / 32_768.0, 6_554.0 / 32_768.0];
/// The latter in a frame that stands alone.
const ALONG_ALONE: f32 = 4_915.0 / 32_768.0;

/// Step of 6 dB at which a full-scale square wave lies; found by comparison with what the decoder makes of noise.
const OVERLOAD: f32 = 15.56;

/// Step of the post-filter's gain (RFC 6716 4.3.7.1).
const GAIN_STEP: f32 = 0.09375;

/// What is remembered of the frame before, for each channel.
#[derive(Default)]
pub(super) struct Energies {
    channels: [[f32; BANDS]; 2],
}

impl Energies {
    /// The level of the next frame.
    pub(super) fn read(&mut self, frame: &[u8], shape: CeltShape) -> Level {
        if frame.len() <= 1 {
            return Level::SILENT;
        }
        let mut decoder = RangeDecoder::new(frame);
        if decoder.bit(15) {
            return Level::SILENT;
        }
        let lift = post_filter_lift(&mut decoder);
        if shape.log_length > 0 && decoder.tell() + 3 <= decoder.bits() {
            let _transient = decoder.bit(3);
        }
        let alone = decoder.tell() + 3 <= decoder.bits() && decoder.bit(3);
        self.read_energies(&mut decoder, shape, alone);
        self.level(shape, lift)
    }

    fn read_energies(&mut self, decoder: &mut RangeDecoder<'_>, shape: CeltShape, alone: bool) {
        let length = shape.log_length;
        let model = &MODELS[length][usize::from(alone)];
        let (from_before, along) = if alone { (0.0, ALONG_ALONE) } else { (FROM_BEFORE[length], ALONG[length]) };
        let mut below = [0.0; 2];
        for (band, &(zero, decay)) in model.iter().enumerate().take(shape.bands) {
            for (energies, below) in self.channels.iter_mut().zip(&mut below).take(shape.channels) {
                let steps = match decoder.bits().saturating_sub(decoder.tell()) {
                    15.. => decoder.laplace(u32::from(zero) << 7, u32::from(decay) << 6),
                    2.. => decoder.small(),
                    1 => -i32::from(decoder.bit(1)),
                    0 => -1,
                };
                let steps = steps as f32;
                energies[band] = (from_before * energies[band].max(-9.0) + *below + steps).clamp(-28.0, 28.0);
                *below += steps - along * steps;
            }
        }
    }

    fn level(&self, shape: CeltShape, lift: f32) -> Level {
        let power = |energies: &[f32; BANDS]| -> f32 {
            let bands = energies.iter().zip(&OFFSETS).take(shape.bands);
            bands.map(|(energy, offset)| (2.0 * (energy + offset - OVERLOAD + lift)).exp2()).sum()
        };
        let loudest = self.channels[..shape.channels].iter().map(power).fold(0.0, f32::max);
        Level::of_power(loudest.into())
    }
}

/// By how many steps of 6 dB the post-filter lifts the harmonics of a pitch, which the encoder has lowered as much. What
/// lies between them is gauged too loud by that, and nothing too quiet.
fn post_filter_lift(decoder: &mut RangeDecoder<'_>) -> f32 {
    if decoder.tell() + 16 > decoder.bits() || !decoder.bit(1) {
        return 0.0;
    }
    let octave = decoder.uniform(6);
    let _pitch = decoder.bits_from_end(4 + octave);
    let gain = GAIN_STEP * (decoder.bits_from_end(3) + 1) as f32;
    if decoder.tell() + 2 <= decoder.bits() {
        // The tap set: 0 half of the time, else 1 or 2, as a small number is written.
        decoder.small();
    }
    -(1.0 - gain).log2()
}

/// Frequency of zero (of 256) and decay (of 256) of each band's Laplace distribution: by the length of the frame, and
/// whether it stands alone (RFC 6716 4.3.2.1, reference code).
const MODELS: [[[(u8, u8); BANDS]; 2]; 4] = [
    [
        [
            (72, 127),
            (65, 129),
            (66, 128),
            (65, 128),
            (64, 128),
            (62, 128),
            (64, 128),
            (64, 128),
            (92, 78),
            (92, 79),
            (92, 78),
            (90, 79),
            (116, 41),
            (115, 40),
            (114, 40),
            (132, 26),
            (132, 26),
            (145, 17),
            (161, 12),
            (176, 10),
            (177, 11),
        ],
        [
            (24, 179),
            (48, 138),
            (54, 135),
            (54, 132),
            (53, 134),
            (56, 133),
            (55, 132),
            (55, 132),
            (61, 114),
            (70, 96),
            (74, 88),
            (75, 88),
            (87, 74),
            (89, 66),
            (91, 67),
            (100, 59),
            (108, 50),
            (120, 40),
            (122, 37),
            (97, 43),
            (78, 50),
        ],
    ],
    [
        [
            (83, 78),
            (84, 81),
            (88, 75),
            (86, 74),
            (87, 71),
            (90, 73),
            (93, 74),
            (93, 74),
            (109, 40),
            (114, 36),
            (117, 34),
            (117, 34),
            (143, 17),
            (145, 18),
            (146, 19),
            (162, 12),
            (165, 10),
            (178, 7),
            (189, 6),
            (190, 8),
            (177, 9),
        ],
        [
            (23, 178),
            (54, 115),
            (63, 102),
            (66, 98),
            (69, 99),
            (74, 89),
            (71, 91),
            (73, 91),
            (78, 89),
            (86, 80),
            (92, 66),
            (93, 64),
            (102, 59),
            (103, 60),
            (104, 60),
            (117, 52),
            (123, 44),
            (138, 35),
            (133, 31),
            (97, 38),
            (77, 45),
        ],
    ],
    [
        [
            (61, 90),
            (93, 60),
            (105, 42),
            (107, 41),
            (110, 45),
            (116, 38),
            (113, 38),
            (112, 38),
            (124, 26),
            (132, 27),
            (136, 19),
            (140, 20),
            (155, 14),
            (159, 16),
            (158, 18),
            (170, 13),
            (177, 10),
            (187, 8),
            (192, 6),
            (175, 9),
            (159, 10),
        ],
        [
            (21, 178),
            (59, 110),
            (71, 86),
            (75, 85),
            (84, 83),
            (91, 66),
            (88, 73),
            (87, 72),
            (92, 75),
            (98, 72),
            (105, 58),
            (107, 54),
            (115, 52),
            (114, 55),
            (112, 56),
            (129, 51),
            (132, 40),
            (150, 33),
            (140, 29),
            (98, 35),
            (77, 42),
        ],
    ],
    [
        [
            (42, 121),
            (96, 66),
            (108, 43),
            (111, 40),
            (117, 44),
            (123, 32),
            (120, 36),
            (119, 33),
            (127, 33),
            (134, 34),
            (139, 21),
            (147, 23),
            (152, 20),
            (158, 25),
            (154, 26),
            (166, 21),
            (173, 16),
            (184, 13),
            (184, 10),
            (150, 13),
            (139, 15),
        ],
        [
            (22, 178),
            (63, 114),
            (74, 82),
            (84, 83),
            (92, 82),
            (103, 62),
            (96, 72),
            (96, 67),
            (101, 73),
            (107, 72),
            (113, 55),
            (118, 52),
            (125, 52),
            (118, 52),
            (117, 55),
            (135, 49),
            (137, 39),
            (157, 32),
            (145, 29),
            (97, 33),
            (77, 40),
        ],
    ],
];
