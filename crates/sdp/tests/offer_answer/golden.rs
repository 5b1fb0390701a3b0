//! Offers of real clients and the answer each must get.

use crate::common::{golden, local};
use mcu_api::{Codec, Direction, SrtpProfile};
use sdp::{RefusalKind, SrtpPolicy, answer, select_sdp};

const OUTSIDE: &str = "192.0.2.10";
const MULTIPART: &[u8] = include_bytes!("../../../../tests/golden/sdp/communicator-offer.multipart");

#[test]
fn every_client_gets_the_answer_it_must_get() {
    use SrtpPolicy::{Off, Require, Support};
    let opus = |payload_type, events| Ok((Codec::Opus, payload_type, Some(events), None));
    let cases = [
        // client, our address, policy, (codec, payload type, telephone-events, profile)
        ("baresip", "127.0.0.1", Off, opus(96, 101)),
        ("baresip", "127.0.0.1", Support, opus(96, 101)),
        ("baresip", "127.0.0.1", Require, Err(RefusalKind::Encryption)),
        ("baresip", OUTSIDE, Off, Err(RefusalKind::ForbiddenAddress)),
        ("baresip-srtp", OUTSIDE, Off, Err(RefusalKind::Encryption)),
        ("baresip-srtp", OUTSIDE, Require, Ok((Codec::Opus, 96, Some(101), Some(SrtpProfile::AesCm128HmacSha1_80)))),
        ("baresip-dtls", OUTSIDE, Support, Err(RefusalKind::Transport)),
        ("linphone", OUTSIDE, Support, opus(96, 101)),
        ("linphone-ip6", OUTSIDE, Support, Err(RefusalKind::AddressFamily)),
        ("linphone-ip6", "[2001:db8::10]", Support, opus(96, 101)),
        ("linphone-srtp", OUTSIDE, Support, Ok((Codec::Opus, 96, Some(101), Some(SrtpProfile::AeadAes128Gcm)))),
        ("desk-phone", OUTSIDE, Off, Ok((Codec::Pcmu, 0, Some(101), None))),
        ("desk-phone", OUTSIDE, Support, Ok((Codec::Pcmu, 0, Some(101), Some(SrtpProfile::AesCm128HmacSha1_32)))),
        ("sipp", "127.0.0.1", Support, Ok((Codec::Pcmu, 0, None, None))),
        ("gateway-hold", OUTSIDE, Support, Ok((Codec::Pcma, 8, Some(101), None))),
        ("chrome", OUTSIDE, Support, Err(RefusalKind::Transport)),
        ("communicator-srtp", OUTSIDE, Off, Err(RefusalKind::Encryption)),
        (
            "communicator-srtp",
            OUTSIDE,
            Require,
            Ok((Codec::Pcma, 8, Some(101), Some(SrtpProfile::AesCm128HmacSha1_80))),
        ),
    ];
    for (client, address, policy, wanted) in cases {
        let result = answer(golden(client), &local(address, policy, 7), None).map(|(_, session)| {
            let media = session.media();
            assert_eq!(media.send_payload_type, media.receive_payload_type, "{client}: echoed payload type");
            (media.codec, media.send_payload_type, media.telephone_event, media.srtp.as_ref().map(|keys| keys.profile))
        });
        assert_eq!(result.map_err(|refusal| refusal.kind), wanted, "{client} at {address} with {policy:?}");
    }
}

#[test]
fn the_answer_to_linphone_reads_like_this() {
    let (answer, session) = answer(golden("linphone"), &local(OUTSIDE, SrtpPolicy::Off, 7), None).expect("answered");
    let wanted = "v=0\r
o=- 4711 1 IN IP4 192.0.2.10\r
s=-\r
c=IN IP4 192.0.2.10\r
t=0 0\r
m=audio 20000 RTP/AVPF 96 101\r
a=rtpmap:96 opus/48000/2\r
a=fmtp:96 useinbandfec=1\r
a=rtpmap:101 telephone-event/48000\r
a=fmtp:101 0-15\r
a=rtcp:20001\r
a=ptime:20\r
a=maxptime:60\r
a=sendrecv\r
m=video 0 RTP/AVPF 96 97\r
";
    assert_eq!(String::from_utf8_lossy(&answer), wanted);
    let media = session.media();
    assert!(media.opus_fec && media.comfort_noise.is_none() && media.audio_level_extension.is_none());
    assert_eq!((media.remote_rtp.port(), media.remote_rtcp.port()), (7078, 7079));
}

#[test]
fn keys_are_answered_with_the_tag_of_the_chosen_line() {
    let (answer, session) =
        answer(golden("baresip-srtp"), &local(OUTSIDE, SrtpPolicy::Require, 7), None).expect("answered");
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains("m=audio 20000 RTP/SAVP 96 101\r\n"), "{text}");
    assert!(text.contains("a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:BwcHBwcH"), "{text}");
    assert_eq!(text.matches("a=crypto").count(), 1, "{text}");
    let keys = session.media().srtp.as_ref().expect("encrypted");
    assert_eq!((keys.local[0], keys.remote[29], keys.remote.len()), (7, 29, 30));
}

#[test]
fn the_old_hold_is_understood() {
    let (answer, session) =
        answer(golden("gateway-hold"), &local(OUTSIDE, SrtpPolicy::Off, 7), None).expect("answered");
    assert_eq!(session.media().direction, Direction::RecvOnly);
    assert_eq!(session.media().packet_time_ms, 40);
    assert!(String::from_utf8_lossy(&answer).contains("a=recvonly\r\n"));
}

#[test]
fn of_two_bodies_the_newer_one_is_answered() {
    let content_type = "multipart/alternative;boundary=\"----=_NextPart_000_0001\"";
    let offer = select_sdp(content_type, MULTIPART).expect("a session description");
    let (answer, session) = answer(&offer, &local(OUTSIDE, SrtpPolicy::Support, 7), None).expect("answered");
    assert_eq!(session.media().remote_rtp.port(), 50026, "the second part");
    let keys = session.media().srtp.as_ref().expect("encrypted");
    assert_eq!((session.media().codec, keys.remote_mki.as_slice()), (Codec::Pcma, &[1][..]));
    assert!(!String::from_utf8_lossy(&answer).contains("candidate"));
}
