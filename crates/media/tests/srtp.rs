//! A leg's SRTP against another implementation.

mod common;

use mcu_api::{Codec, LegMedia, SrtpKeys, SrtpProfile};
use rtc_srtp::context::Context;
use rtc_srtp::crypto::RTCCryptoProvider;
use rtc_srtp::crypto::providers::RingProvider;
use rtc_srtp::protection_profile::ProtectionProfile;

use crate::common::{PEER, address, leg, media, ms};

const PROFILES: [(SrtpProfile, ProtectionProfile); 3] = [
    (SrtpProfile::AesCm128HmacSha1_80, ProtectionProfile::Aes128CmHmacSha1_80),
    (SrtpProfile::AesCm128HmacSha1_32, ProtectionProfile::Aes128CmHmacSha1_32),
    (SrtpProfile::AeadAes128Gcm, ProtectionProfile::AeadAes128Gcm),
];

fn context(profile: ProtectionProfile, master: &[u8]) -> Context {
    let (key, salt) = master.split_at(16);
    Context::new(key, salt, profile, None, None, RingProvider::new().crypto()).expect("keys fit")
}

/// Longer than the sequence number's 16 bits, with packets of every length, reports among them.
#[test]
fn what_one_protects_the_other_opens() {
    for (ours, theirs) in PROFILES {
        let master = |seed: u8| (0..ours.key_length() as u8).map(|at| at.wrapping_mul(37) ^ seed).collect::<Vec<_>>();
        let (local, remote) = (master(1), master(2));
        let (mut opens, mut protects) = (context(theirs, &local), context(theirs, &remote));
        let keys = SrtpKeys { profile: ours, local, remote, remote_mki: Vec::new() };
        let (mut server, mut phone) = (leg(1), leg(2));
        server.connect(ms(0), &LegMedia { srtp: Some(keys), ..media(Codec::Opus) }).expect("keys fit");
        phone.connect(ms(0), &media(Codec::Opus)).expect("no keys");
        let mut packet = Vec::new();
        let mut reports = 0;
        for number in 0..70_000 {
            let now = ms(20 * number);
            let payload = &[number as u8; 300][..1 + number as usize % 300];
            phone.write_rtp(now, payload, 960, false, None, &mut packet).expect("it has an address");
            let mut protected = protects.encrypt_rtp(&packet).expect("protected");
            server.handle_rtp(now, address(PEER), &mut protected);
            server.pull(now);
            server.write_rtp(now, payload, 960, false, None, &mut packet).expect("it has an address");
            let opened = opens.decrypt_rtp(&packet).expect("authentic");
            assert_eq!(&opened[12..], payload, "{ours:?}: packet {number}");
            if server.poll_rtcp(now, &mut packet).is_some() {
                let opened = opens.decrypt_rtcp(&packet).expect("authentic");
                assert_eq!(opened[4..8], 1_u32.to_be_bytes(), "{ours:?}: the reporter");
                reports += 1;
            }
            if phone.poll_rtcp(now, &mut packet).is_some() {
                let mut protected = protects.encrypt_rtcp(&packet).expect("protected");
                server.handle_rtcp(now, address("192.0.2.1:4001"), &mut protected);
            }
        }
        let counted = server.statistics();
        assert_eq!((counted.received_packets, counted.rejected_packets), (70_000, 0), "{ours:?}");
        assert!(reports > 100, "{ours:?}: {reports} reports");
    }
}
