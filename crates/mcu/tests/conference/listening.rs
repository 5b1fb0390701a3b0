//! Speech through loss, for an objective measure outside: `scripts/measure-speech-quality`.

use std::path::Path;

use base::LegId;
use codecs::Codecs;
use mcu::Port;
use mcu_api::{Announcement, Codec, McuEvent, Phrase, Spoken};
use prompts::{Clips, Languages, Piece, compose};

use crate::phone::Phone;
use crate::world::{SETTINGS, World};

/// About half a minute of sentences.
fn speech() -> Vec<i16> {
    let phrases = [Phrase::AllBusy, Phrase::LessThanOneMinute, Phrase::EnterPin, Phrase::WaitInLobby, Phrase::Closed];
    let parts = phrases.into_iter().cycle().take(12).map(Spoken::Phrase).collect();
    let mut clips = Clips::new();
    let mut speech = vec![0; 24_000];
    for piece in compose(&Languages::shipped(), &Announcement { language: "en".to_owned(), parts }) {
        if let Piece::Clip(language, name) = piece {
            let clip = clips.get(&language, &name, &Codecs).expect("shipped");
            let start = speech.len();
            speech.resize(start + clip.len() + 12_000, 0);
            clip.copy(0, &mut speech[start..start + clip.len()]);
        }
    }
    speech
}

/// What a listener without loss hears of a talker of whose packets so many percent are lost, and the talker's MOS as
/// estimated.
fn through_loss(talker: Phone, percent: u64) -> (Vec<i16>, u16) {
    let length = talker.speech.as_ref().map_or(0, Vec::len);
    let mut world = World::new(SETTINGS);
    world.join(talker);
    world.join(Phone::new(1, Codec::Opus, 500.0).silent());
    let mut dice = 7_u64;
    for _ in 0..length / 960 + 10 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lost = (dice >> 33) % 100 < percent;
        let mut packet = world.phone(0).speak();
        let from = world.phone(0).media.remote_rtp;
        if !lost {
            world.conference.handle_packet(world.now, LegId(0), Port::Rtp, from, &mut packet);
        }
        world.step();
    }
    let mos = world.events.iter().rev().find_map(|event| match event {
        McuEvent::LegQuality { leg: LegId(0), statistics } => Some(statistics.mos_hundredths),
        _ => None,
    });
    (world.phone(1).heard.clone(), mos.unwrap_or_default())
}

fn write(folder: &Path, name: &str, samples: &[i16]) {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    std::fs::write(folder.join(name), bytes).expect("written");
}

/// Writes 48 kHz mono samples of 16 bits into the folder that `CONVOKE_LISTENING` names.
#[test]
#[ignore = "makes files for scripts/measure-speech-quality"]
fn speech_through_loss() {
    let folder = std::env::var("CONVOKE_LISTENING").expect("a folder");
    let folder = Path::new(&folder);
    let speech = speech();
    write(folder, "original.raw", &speech);
    for (name, codec, fec) in
        [("opus-fec", Codec::Opus, true), ("opus", Codec::Opus, false), ("g711", Codec::Pcma, false)]
    {
        for percent in [0, 5, 20] {
            let mut phone = Phone::new(0, codec, 500.0);
            phone.speech = Some(speech.clone());
            let (heard, mos) = through_loss(if fec { phone.with_fec() } else { phone }, percent);
            write(folder, &format!("{name}-{percent}-{mos}.raw"), &heard);
        }
    }
}

#[test]
fn the_estimate_stands_where_promised() {
    let speech = speech();
    for (percent, mos_min) in [(5, 380), (20, 300)] {
        let mut phone = Phone::new(0, Codec::Opus, 500.0);
        phone.speech = Some(speech.clone());
        let (heard, mos) = through_loss(phone.with_fec(), percent);
        assert!(mos >= mos_min, "{percent} % loss: {mos}");
        assert!(heard.len() >= speech.len());
    }
}
