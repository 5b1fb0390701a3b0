//! Session descriptions and the bodies around them.

use fuzz::target;
use mcu_api::{Direction, SrtpProfile};
use sdp::{LocalKey, LocalMedia, SrtpPolicy, accept_answer, answer, offer, select_sdp};

const WORDS: &[&str] = &[
    "m=audio 4000 RTP/AVP 0 8 96\r\n",
    "m=audio 4000 RTP/SAVP 0\r\n",
    "m=video 0 RTP/AVP 31\r\n",
    "c=IN IP4 192.0.2.1\r\n",
    "c=IN IP6 2001:db8::1\r\n",
    "c=IN IP4 0.0.0.0\r\n",
    "a=rtpmap:96 opus/48000/2\r\n",
    "a=fmtp:96 useinbandfec=1;stereo=1\r\n",
    "a=rtpmap:101 telephone-event/8000\r\n",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5\r\n",
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n",
    "a=sendonly\r\n",
    "a=inactive\r\n",
    "a=rtcp-mux\r\n",
    "a=rtcp:4001 IN IP4 192.0.2.9\r\n",
    "a=ptime:60\r\n",
    "\r\n--",
    "Content-Type: application/sdp\r\n\r\n",
];

fn locals() -> Vec<LocalMedia> {
    let plain = LocalMedia::plain(([192, 0, 2, 1], 20_000).into(), ([192, 0, 2, 1], 20_001).into(), 7);
    let keys = vec![LocalKey { profile: SrtpProfile::AesCm128HmacSha1_80, key: vec![7; 30] }];
    let support = LocalMedia { srtp: SrtpPolicy::Support, keys: keys.clone(), ..plain.clone() };
    let require = LocalMedia { srtp: SrtpPolicy::Require, keys, ..plain.clone() };
    vec![plain, support, require]
}

#[test]
fn offers() {
    target("sdp-offer").files("golden/sdp").words(WORDS).rounds(4_000).run(|bytes| {
        for local in locals() {
            let Ok((first, session)) = answer(bytes, &local, None) else { continue };
            let (again, _) = answer(bytes, &local, Some(&session)).expect("the same offer is acceptable again");
            assert!(!first.is_empty() && !again.is_empty());
            // What we answer is what somebody who made an offer could read.
            let (_, pending) = offer(&local, Direction::SendRecv, None);
            let _fits_or_not = accept_answer(pending, &first);
            let (_, pending) = offer(&local, Direction::SendOnly, Some(&session));
            let _fits_or_not = accept_answer(pending, bytes);
        }
    });
}

#[test]
fn answers() {
    let peer = LocalMedia::plain(([192, 0, 2, 9], 4_000).into(), ([192, 0, 2, 9], 4_001).into(), 9);
    let made: Vec<Vec<u8>> = locals()
        .into_iter()
        .filter_map(|local| {
            let (offered, _) = offer(&local, Direction::SendRecv, None);
            let peer = LocalMedia { srtp: local.srtp, keys: local.keys, ..peer.clone() };
            answer(&offered, &peer, None).ok().map(|(answered, _)| answered)
        })
        .collect();
    assert_eq!(made.len(), 3);
    target("sdp-answer").files("golden/sdp").seeds(made).words(WORDS).rounds(8_000).run(|bytes| {
        for local in locals() {
            let (_, pending) = offer(&local, Direction::SendRecv, None);
            if let Ok(session) = accept_answer(pending, bytes) {
                assert!(session.media().srtp.is_some() || local.srtp != SrtpPolicy::Require, "a downgrade");
            }
        }
    });
}

#[test]
fn multipart() {
    let body = "preamble\r\n--b\r\nContent-Type: application/sdp\r\nContent-Disposition: session; \
                handling=optional; ms-proxy-2007fallback\r\n\r\nv=0\r\n--b\r\nContent-Type: multipart/alternative; \
                boundary=\"c\"\r\n\r\n--c\r\nContent-Type: application/sdp\r\n\r\nv=1\r\n--c--\r\n--b--\r\n";
    target("multipart").files("golden/sdp").seeds([body]).words(WORDS).rounds(20_000).run(|bytes| {
        for content_type in ["application/sdp", "multipart/mixed; boundary=b", "multipart/alternative;boundary=\"b\""] {
            if let Some(found) = select_sdp(content_type, bytes) {
                assert!(found.len() <= bytes.len() && !found.is_empty() || content_type != "application/sdp");
            }
        }
        // The beginning names the type, so that its parameters are mutated too.
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let _maybe = select_sdp(&String::from_utf8_lossy(&bytes[..end]), bytes);
    });
}
