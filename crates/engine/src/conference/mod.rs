//! Conferences and the legs in them: calls in, calls out, their audio, and what their keys do.

pub(crate) mod attendant;
pub(crate) mod conferences;
pub(crate) mod dial_out;
pub(crate) mod entry_exit;
pub(crate) mod focus_output;
pub(crate) mod incoming;
pub(crate) mod keypad;
pub(crate) mod keys;
pub(crate) mod leg;
pub(crate) mod loudness;
pub(crate) mod media_leg;
pub(crate) mod pin_guard;
