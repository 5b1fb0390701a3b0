//! What the server says: phrases and numbers in languages, and the sound files they come from.
//!
//! Decides which clips, one after another, make an announcement ([`compose`]): the phrase of a language, a number by the
//! language's rule, digits one by one; and reads sound files, the shipped ones ([`Clips`]) and the operator's
//! ([`read_sound`]), into samples at the mixer's rate. Texts and sounds of a language stand side by side in
//! `languages/`; `scripts/make-prompts` speaks the texts.
//! Must not know: file systems, who is told what and when, codec libraries (they come as a [`mixer::CodecFactory`]).
//! Start reading at [`compose`], then [`Language`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod clips;
mod compose;
mod language;
mod ogg_opus;
mod rate;
mod sound;
mod wav;

pub use clips::Clips;
pub use compose::{Piece, compose};
pub use language::{Language, Languages, primary, texts};
pub use ogg_opus::{OpusHead, OpusTags};
pub use sound::{SECONDS_MAX, SoundError, read_sound};
