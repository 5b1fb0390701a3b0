//! Commands and packets in any order do no harm.

use std::collections::BTreeSet;
use std::sync::Arc;

use base::{Duration, LegId, Timestamp};
use codecs::Codecs;
use mcu::Port;
use mcu_api::{AloneAudio, Codec, ConferenceMedia, Direction, MediaFilter, Prompt};
use proptest::prelude::*;

use crate::phone::Phone;
use crate::world::{SETTINGS, Sink, conference, identity};

#[derive(Clone, Debug)]
enum Step {
    Add(u64),
    Connect { leg: u64, codec: Codec, direction: Direction, packet_time_ms: u8, opus_fec: bool },
    SetInMix(u64, bool),
    SetFilters(u64, bool, bool),
    SetGain(u64, i8, i8),
    PlayPrompt(u64, Prompt),
    Remove(u64),
    Speak(u64),
    Garbage(u64, bool, Vec<u8>),
    Configure { music: bool, tones: bool },
    Ticks(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leg = || 0u64..5;
    let codec = prop_oneof![Just(Codec::Opus), Just(Codec::Pcmu), Just(Codec::Pcma)];
    let direction = prop_oneof![
        Just(Direction::SendRecv),
        Just(Direction::SendRecv),
        Just(Direction::SendOnly),
        Just(Direction::RecvOnly),
        Just(Direction::Inactive)
    ];
    let prompt = prop_oneof![Just(Prompt::Entry), Just(Prompt::WrongPin), Just(Prompt::Ending)];
    let connect = (leg(), codec, direction, any::<u8>(), any::<bool>()).prop_map(
        |(leg, codec, direction, packet_time_ms, opus_fec)| Step::Connect {
            leg,
            codec,
            direction,
            packet_time_ms,
            opus_fec,
        },
    );
    let step = prop_oneof![
        3 => leg().prop_map(Step::Add),
        4 => connect,
        1 => (leg(), any::<bool>()).prop_map(|(leg, in_mix)| Step::SetInMix(leg, in_mix)),
        1 => (leg(), any::<bool>(), any::<bool>()).prop_map(|(leg, mute, deaf)| Step::SetFilters(leg, mute, deaf)),
        1 => (leg(), any::<i8>(), any::<i8>()).prop_map(|(leg, ingress, egress)| Step::SetGain(leg, ingress, egress)),
        1 => (leg(), prompt).prop_map(|(leg, prompt)| Step::PlayPrompt(leg, prompt)),
        1 => leg().prop_map(Step::Remove),
        6 => leg().prop_map(Step::Speak),
        1 => (leg(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..64))
            .prop_map(|(leg, rtcp, bytes)| Step::Garbage(leg, rtcp, bytes)),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(music, tones)| Step::Configure { music, tones }),
        8 => (1u8..6).prop_map(Step::Ticks),
    ];
    prop::collection::vec(step, 1..80)
}

fn filter(block: bool) -> MediaFilter {
    if block { MediaFilter::Block } else { MediaFilter::Unblock }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_order_of_commands_and_packets_is_survived(steps in steps()) {
        let mut conference = conference(SETTINGS, Arc::new(Codecs));
        let mut now = Timestamp::from_millis(500);
        let mut sink = Sink::default();
        let mut phones: Vec<Phone> = (0..5).map(|leg| Phone::new(leg, Codec::Opus, 500.0)).collect();
        let mut present = BTreeSet::new();
        for step in steps {
            match step {
                Step::Add(leg) => {
                    prop_assert_eq!(conference.add_leg(LegId(leg), identity(LegId(leg))), present.insert(leg));
                }
                Step::Connect { leg, codec, direction, packet_time_ms, opus_fec } => {
                    let phone = Phone::new(leg, codec, 500.0).with(|media| {
                        media.direction = direction;
                        media.packet_time_ms = packet_time_ms;
                        media.opus_fec = opus_fec;
                    });
                    prop_assert_eq!(conference.connect(now, phone.leg, &phone.media), Ok(()));
                    phones[leg as usize] = phone;
                }
                Step::SetInMix(leg, in_mix) => conference.set_in_mix(LegId(leg), in_mix),
                Step::SetFilters(leg, mute, deaf) => {
                    conference.set_filters(LegId(leg), filter(mute), filter(deaf));
                }
                Step::SetGain(leg, ingress, egress) => conference.set_gain(LegId(leg), ingress, egress),
                Step::PlayPrompt(leg, prompt) => conference.play_prompt(LegId(leg), prompt),
                Step::Remove(leg) => {
                    let removed = conference.remove_leg(now, LegId(leg), &mut sink);
                    prop_assert_eq!(removed.is_some(), present.remove(&leg), "exactly once");
                }
                Step::Speak(leg) => {
                    let phone = &mut phones[leg as usize];
                    let mut packet = phone.speak();
                    conference.handle_packet(now, phone.leg, Port::Rtp, phone.media.remote_rtp, &mut packet);
                }
                Step::Garbage(leg, rtcp, mut bytes) => {
                    let port = if rtcp { Port::Rtcp } else { Port::Rtp };
                    let source = phones[leg as usize].media.remote_rtp;
                    conference.handle_packet(now, LegId(leg), port, source, &mut bytes);
                }
                Step::Configure { music, tones } => {
                    let alone = if music { AloneAudio::Music } else { AloneAudio::Silence };
                    conference.configure(ConferenceMedia { alone, entry_exit_tones: tones, ..SETTINGS });
                }
                Step::Ticks(ticks) => for _ in 0..ticks {
                    now = now + Duration::from_millis(20);
                    sink.clear();
                    conference.tick(now);
                    conference.send(now, &mut sink);
                    while conference.poll_event().is_some() {}
                }
            }
            prop_assert_eq!(conference.legs().map(|leg| leg.0).collect::<BTreeSet<_>>(), present.clone());
        }
    }
}
