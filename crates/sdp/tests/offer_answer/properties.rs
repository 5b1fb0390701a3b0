//! What holds for every input.

use crate::common::{OFFERS, local};
use mcu_api::{Codec, Direction};
use proptest::prelude::*;
use sdp::{PendingOffer, SrtpPolicy, accept_answer, answer, offer, select_sdp};

fn policies() -> impl Strategy<Value = SrtpPolicy> {
    prop_oneof![Just(SrtpPolicy::Off), Just(SrtpPolicy::Support), Just(SrtpPolicy::Require)]
}

fn directions() -> impl Strategy<Value = Direction> {
    prop_oneof![
        Just(Direction::SendRecv),
        Just(Direction::SendOnly),
        Just(Direction::RecvOnly),
        Just(Direction::Inactive)
    ]
}

fn codecs() -> impl Strategy<Value = Vec<Codec>> {
    Just(vec![Codec::Opus, Codec::Pcmu, Codec::Pcma])
        .prop_shuffle()
        .prop_flat_map(|all| (1..=all.len()).prop_map(move |count| all[..count].to_vec()))
}

/// Feeds bytes to every reader of the crate.
fn feed(bytes: &[u8], policy: SrtpPolicy) -> Result<(), TestCaseError> {
    let ours = local("192.0.2.10", policy, 7);
    if let Ok((text, session)) = answer(bytes, &ours, None) {
        let offered = String::from_utf8_lossy(bytes).lines().filter(|line| line.starts_with("m=")).count();
        let answered = String::from_utf8_lossy(&text).lines().filter(|line| line.starts_with("m=")).count();
        prop_assert_eq!(offered, answered, "as many lines are answered as were offered");
        prop_assert!(policy != SrtpPolicy::Require || session.media().srtp.is_some());
        prop_assert!(policy != SrtpPolicy::Off || session.media().srtp.is_none());
        let _ = answer(bytes, &ours, Some(&session));
    }
    let (_, pending) = offer(&ours, Direction::SendRecv, None);
    if let Ok(session) = accept_answer(pending, bytes) {
        prop_assert!(policy != SrtpPolicy::Require || session.media().srtp.is_some());
    }
    Ok(())
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600), policy in policies()) {
        feed(&bytes, policy)?;
        let _ = select_sdp("multipart/mixed;boundary=-", &bytes);
    }

    #[test]
    fn mutated_offers_are_survived(
        which in 0..OFFERS.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..12),
        policy in policies(),
    ) {
        let mut bytes = OFFERS[which].1.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        feed(&bytes, policy)?;
    }

    #[test]
    fn shuffled_lines_are_survived(
        lines in proptest::collection::vec((0..OFFERS.len(), any::<prop::sample::Index>()), 0..60),
        policy in policies(),
    ) {
        let mut text = "v=0\r\n".to_owned();
        for (which, at) in lines {
            let lines: Vec<&str> = OFFERS[which].1.lines().collect();
            text.push_str(lines[at.index(lines.len())]);
            text.push_str("\r\n");
        }
        feed(text.as_bytes(), policy)?;
    }

    #[test]
    fn both_sides_agree(
        policy_a in policies(), policy_b in policies(), codecs_a in codecs(), codecs_b in codecs(),
        direction in directions(), events in any::<(bool, bool)>(),
    ) {
        let mut a = local("192.0.2.10", policy_a, 7);
        let mut b = local("192.0.2.20", policy_b, 9);
        a.codecs = codecs_a;
        b.codecs = codecs_b;
        (a.telephone_event, b.telephone_event) = events;
        let (sent, pending) = offer(&a, direction, None);
        let best = b.codecs.first().filter(|codec| a.codecs.contains(codec));
        let common = best.or_else(|| a.codecs.iter().find(|codec| b.codecs.contains(codec)));
        let encryptable = match (policy_a, policy_b) {
            (SrtpPolicy::Off, SrtpPolicy::Require) | (SrtpPolicy::Require, SrtpPolicy::Off) => None,
            (SrtpPolicy::Off, _) | (_, SrtpPolicy::Off) => Some(false),
            _ => Some(true),
        };
        let result = answer(&sent, &b, None);
        prop_assert_eq!(result.is_ok(), common.is_some() && encryptable.is_some());
        let Ok((reply, at_b)) = result else { return Ok(()) };
        let at_a = accept_answer(pending, &reply).expect("our own answer fits our own offer");
        check_agreement(at_a.media(), at_b.media())?;
        prop_assert_eq!(Some(&at_a.media().codec), common);
        prop_assert_eq!(Some(at_a.media().srtp.is_some()), encryptable);
        prop_assert_eq!(at_a.media().direction, direction);

        // The other side makes the next offer in the same session: hold and back.
        let (hold, pending): (_, PendingOffer) = offer(&b, Direction::SendOnly, Some(&at_b));
        let (reply, at_a) = answer(&hold, &a, Some(&at_a)).expect("a hold is answered");
        let at_b = accept_answer(pending, &reply).expect("our own answer fits our own offer");
        check_agreement(at_a.media(), at_b.media())?;
        prop_assert_eq!(at_b.media().direction, Direction::SendOnly);
        prop_assert_eq!(Some(at_b.media().srtp.is_some()), encryptable);
    }
}

fn check_agreement(a: &mcu_api::LegMedia, b: &mcu_api::LegMedia) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.codec, b.codec);
    prop_assert_eq!(a.send_payload_type, b.receive_payload_type);
    prop_assert_eq!(a.receive_payload_type, b.send_payload_type);
    prop_assert_eq!(a.telephone_event, b.telephone_event);
    prop_assert_eq!(a.rtcp_mux, b.rtcp_mux);
    prop_assert_eq!(a.audio_level_extension, b.audio_level_extension);
    prop_assert_eq!((a.direction.sends(), a.direction.receives()), (b.direction.receives(), b.direction.sends()));
    let keys = |media: &mcu_api::LegMedia| media.srtp.as_ref().map(|keys| (keys.local.clone(), keys.remote.clone()));
    prop_assert_eq!(keys(a), keys(b).map(|(local, remote)| (remote, local)));
    prop_assert_eq!(a.srtp.as_ref().map(|keys| keys.profile), b.srtp.as_ref().map(|keys| keys.profile));
    Ok(())
}
