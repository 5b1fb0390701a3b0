//! Listeners who share what they hear and part again hear the same as if each were the only one.

use base::LegId;
use mcu_api::{Codec, MediaFilter, Prompt};
use proptest::prelude::*;

use crate::analysis::rms;
use crate::phone::Phone;
use crate::world::{SETTINGS, World};

/// Listeners, whose packets differ in length.
const LISTENERS: u64 = 4;

#[derive(Clone, Copy, Debug)]
enum Change {
    Gain(i8),
    Prompt(Prompt),
    Deaf(bool),
}

/// At a tick, something changes for some listeners: a bit for each.
type Changes = Vec<(usize, u64, Change)>;

fn changes() -> impl Strategy<Value = Changes> {
    let change = prop_oneof![
        4 => prop_oneof![Just(-6), Just(0), Just(3), Just(12)].prop_map(Change::Gain),
        4 => prop_oneof![Just(Prompt::Entry), Just(Prompt::Muted)].prop_map(Change::Prompt),
        1 => any::<bool>().prop_map(Change::Deaf),
    ];
    prop::collection::vec((0..60usize, 1..1u64 << LISTENERS, change), 1..12)
}

/// What these listeners hear in two seconds. The one who talks is loud enough for a limiter.
fn heard(listeners: &[u64], changes: &Changes) -> Vec<Vec<i16>> {
    let mut world = World::new(SETTINGS);
    let mut talker = Phone::new(0, Codec::Pcmu, 400.0);
    talker.amplitude = 0.4;
    world.join(talker);
    for &leg in listeners {
        let packet_time = [20, 20, 40, 60][leg as usize - 1];
        world.join(Phone::new(leg, Codec::Pcmu, 0.0).silent().with(|media| media.packet_time_ms = packet_time));
    }
    for tick in 0..100 {
        for (_, whom, change) in changes.iter().filter(|(at, ..)| *at + 15 == tick) {
            for leg in listeners.iter().filter(|&&leg| whom & 1 << (leg - 1) != 0).map(|&leg| LegId(leg)) {
                match *change {
                    Change::Gain(gain) => world.conference.set_gain(leg, 0, gain),
                    Change::Prompt(prompt) => world.conference.play_prompt(leg, prompt),
                    Change::Deaf(deaf) => {
                        let egress = if deaf { MediaFilter::Block } else { MediaFilter::Unblock };
                        world.conference.set_filters(leg, MediaFilter::Unblock, egress);
                    }
                }
            }
        }
        world.tick();
    }
    listeners.iter().map(|&leg| std::mem::take(&mut world.phone(leg).heard)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_listener_hears_the_same_whatever_others_hear(changes in changes()) {
        let listeners: Vec<u64> = (1..=LISTENERS).collect();
        for (leg, together) in listeners.iter().zip(heard(&listeners, &changes)) {
            let alone = heard(&[*leg], &changes).remove(0);
            prop_assert_eq!(together.len(), alone.len());
            for (number, (together, alone)) in together.chunks(960).zip(alone.chunks(960)).enumerate() {
                let difference: Vec<i16> = together.iter().zip(alone).map(|(one, other)| one.wrapping_sub(*other)).collect();
                let (difference, loudness) = (rms(&difference), rms(alone));
                prop_assert!(difference <= 0.03 * loudness + 0.001, "leg {leg}, frame {number}: {difference} of {loudness}");
            }
        }
    }
}
