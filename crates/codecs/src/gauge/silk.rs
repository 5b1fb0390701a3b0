//! How strong the excitation of a SILK frame is, from the first of the gains at its beginning (RFC 6716 4.2.7.4).
//!
//! It is no level: what a filter makes of the excitation is told further on. A tone has an excitation 35 dB weaker than
//! noise of the same level. But it changes as soon as the sound does.

use super::range::RangeDecoder;

/// How often, of 256 times, a frame that is no voice has each value: of its kind (RFC 6716 4.2.7.3), of the upper bits of its
/// first gain, of the change from one gain to the next.
const KIND: [u8; 2] = [26, 230];
const GAIN: [u8; 8] = [32, 112, 68, 29, 12, 1, 1, 1];
const CHANGE: [u8; 41] = [
    6, 5, 11, 31, 132, 21, 8, 4, 3, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1,
];
/// What a change of none is written as.
const NO_CHANGE: u32 = 4;
/// Changes this far up are written in steps of two.
const DOUBLE_STEPS: u32 = 16;
/// The greatest gain, and how many decibels that is above the least one.
const GAIN_MAX: u32 = 63;
const GAIN_MAX_DB: u32 = 86;

/// The stronger of the first two gains, in decibels above the least one: 0 to 86. Only for a frame in mono without
/// voice; `flags` are its voice activity flags. `None` when frames for error correction stand before the gains.
pub(super) fn excitation(frame: &[u8], flags: u8) -> Option<u8> {
    let mut decoder = RangeDecoder::new(frame);
    for _ in 0..flags {
        decoder.bit(1);
    }
    let has_correction = decoder.bit(1);
    if has_correction {
        return None;
    }
    decoder.one_of(&KIND);
    let first = decoder.one_of(&GAIN) * 8 + decoder.uniform(8);
    let change = decoder.one_of(&CHANGE);
    let second = (2 * change).saturating_sub(DOUBLE_STEPS).max((first + change).saturating_sub(NO_CHANGE));
    let gain = first.max(second).min(GAIN_MAX);
    Some((gain * GAIN_MAX_DB / GAIN_MAX) as u8)
}
