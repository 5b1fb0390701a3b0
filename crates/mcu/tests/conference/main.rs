//! A conference as its participants hear it: phones with real codecs speak tones, and listen.

mod allocation;
mod analysis;
mod announcements;
mod background;
mod commands;
mod continuity;
mod drift;
mod hearing;
mod listening;
mod loudness;
mod onset;
mod parting;
mod phone;
mod recording;
mod sharing;
mod sounds;
mod world;
