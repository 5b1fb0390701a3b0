//! One rule of offer/answer at a time.

use crate::common::{golden, local};
use mcu_api::{Codec, Direction, OpusLimits};
use sdp::{LocalMedia, RefusalKind, Session, SrtpPolicy, accept_answer, answer, offer};

const HEAD: &str = "v=0\no=- 1 1 IN IP4 192.0.2.20\ns=-\nc=IN IP4 192.0.2.20\nt=0 0\n";
const OURS: &str = "192.0.2.10";

fn answered(body: &str) -> (String, Session) {
    answered_with(body, SrtpPolicy::Off)
}

fn answered_with(body: &str, policy: SrtpPolicy) -> (String, Session) {
    let (text, session) = answer(format!("{HEAD}{body}").as_bytes(), &local(OURS, policy, 7), None).expect(body);
    (String::from_utf8(text).expect("ASCII"), session)
}

fn refused(body: &str, policy: SrtpPolicy) -> RefusalKind {
    answer(format!("{HEAD}{body}").as_bytes(), &local(OURS, policy, 7), None).expect_err(body).kind
}

#[test]
fn direction_is_mirrored() {
    for (offered, wanted, text) in [
        ("sendrecv", Direction::SendRecv, "a=sendrecv"),
        ("sendonly", Direction::RecvOnly, "a=recvonly"),
        ("recvonly", Direction::SendOnly, "a=sendonly"),
        ("inactive", Direction::Inactive, "a=inactive"),
    ] {
        let (answer, session) = answered(&format!("m=audio 4000 RTP/AVP 0\na={offered}\n"));
        assert_eq!(session.media().direction, wanted);
        assert!(answer.contains(text), "{answer}");
        // At session level it holds for every line; at media level it wins.
        let (_, session) = answered(&format!("a=inactive\nm=audio 4000 RTP/AVP 0\na={offered}\n"));
        assert_eq!(session.media().direction, wanted);
        let (_, session) = answered(&format!("a={offered}\nm=audio 4000 RTP/AVP 0\n"));
        assert_eq!(session.media().direction, wanted);
    }
}

#[test]
fn packet_times_are_rounded_to_what_we_make() {
    for (lines, wanted) in [
        ("", 20),
        ("a=ptime:20\n", 20),
        ("a=ptime:10\n", 20),
        ("a=ptime:30\n", 20),
        ("a=ptime:40\n", 40),
        ("a=ptime:60\n", 60),
        ("a=ptime:200\n", 60),
        ("a=ptime:60\na=maxptime:40\n", 40),
        ("a=ptime:20.0\n", 20),
        ("a=ptime:x\n", 20),
    ] {
        let (answer, session) = answered(&format!("m=audio 4000 RTP/AVP 0\n{lines}"));
        assert_eq!(session.media().packet_time_ms, wanted, "{lines}");
        assert!(answer.contains(&format!("a=ptime:{wanted}\r\n")), "{answer}");
    }
}

#[test]
fn rtcp_goes_where_the_peer_says() {
    for (lines, mux, remote) in [
        ("", false, "192.0.2.20:4001"),
        ("a=rtcp:5000\n", false, "192.0.2.20:5000"),
        ("a=rtcp:5000 IN IP4 192.0.2.21\n", false, "192.0.2.21:5000"),
        ("a=rtcp:5000 IN IP4 127.0.0.1\n", false, "192.0.2.20:5000"),
        ("a=rtcp:5000\na=rtcp-mux\n", true, "192.0.2.20:4000"),
    ] {
        let (answer, session) = answered(&format!("m=audio 4000 RTP/AVP 0\n{lines}"));
        let media = session.media();
        assert_eq!((media.rtcp_mux, media.remote_rtcp.to_string().as_str()), (mux, remote), "{lines}");
        assert_eq!((answer.contains("a=rtcp-mux"), answer.contains("a=rtcp:20001")), (mux, !mux), "{answer}");
    }
}

#[test]
fn our_first_codec_is_chosen_where_it_is_offered_and_else_the_offerers_first() {
    const OPUS: &str = "a=rtpmap:107 OPUS/48000/2\na=fmtp:107 useinbandfec=1; stereo=0\n";
    let usual = LocalMedia::DEFAULT_CODECS.to_vec();
    for (offered, ours, wanted) in [
        ("8 0 107", &usual, (Codec::Opus, 107)),
        ("9 8 0", &usual, (Codec::Pcma, 8)),
        ("8 0", &usual, (Codec::Pcma, 8)),
        ("0 8", &usual, (Codec::Pcmu, 0)),
        ("8 0 107", &vec![Codec::Pcma, Codec::Opus], (Codec::Pcma, 8)),
        ("8 107 0", &vec![Codec::Pcmu, Codec::Opus], (Codec::Pcmu, 0)),
        ("8 0 107", &vec![Codec::Pcmu], (Codec::Pcmu, 0)),
    ] {
        let mut local = local(OURS, SrtpPolicy::Off, 7);
        local.codecs.clone_from(ours);
        let body = format!("m=audio 4000 RTP/AVP {offered}\n{OPUS}");
        let (printed, session) = answer(format!("{HEAD}{body}").as_bytes(), &local, None).expect("answered");
        assert_eq!((session.media().codec, session.media().send_payload_type), wanted, "{offered}");
        let line = format!("m=audio 20000 RTP/AVP {}", wanted.1);
        assert!(String::from_utf8_lossy(&printed).contains(&line), "{line}");
    }
}

#[test]
fn telephone_events_follow_the_clock_of_the_codec() {
    let body = "m=audio 4000 RTP/AVP 107 0 100 101\na=rtpmap:107 opus/48000/2\na=rtpmap:100 telephone-event/8000\n\
                a=rtpmap:101 telephone-event/48000\n";
    let mut ours = local(OURS, SrtpPolicy::Off, 7);
    for (codecs, wanted) in [(vec![Codec::Opus], 101), (vec![Codec::Pcmu], 100)] {
        ours.codecs = codecs;
        let (_, session) = answer(format!("{HEAD}{body}").as_bytes(), &ours, None).expect("answered");
        assert_eq!(session.media().telephone_event, Some(wanted));
    }
    ours.telephone_event = false;
    let (_, session) = answer(format!("{HEAD}{body}").as_bytes(), &ours, None).expect("answered");
    assert_eq!(session.media().telephone_event, None);
}

#[test]
fn every_line_is_answered_and_the_first_usable_one_is_taken() {
    let body = "m=audio 0 RTP/AVP 0\nm=image 5000 udptl t38\nm=audio 4000 RTP/AVP 18\nm=audio 4100 RTP/AVP 8\n\
                m=audio 4200 RTP/AVP 0\nm=video 4300 RTP/AVP 97\n";
    let (answer, session) = answered(body);
    let lines: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        lines,
        [
            "m=audio 0 RTP/AVP 0",
            "m=image 0 udptl t38",
            "m=audio 0 RTP/AVP 18",
            "m=audio 20000 RTP/AVP 8",
            "m=audio 0 RTP/AVP 0",
            "m=video 0 RTP/AVP 97"
        ]
    );
    assert_eq!(session.media().remote_rtp.port(), 4100);
}

#[test]
fn an_encrypted_line_is_preferred_where_encryption_is_supported() {
    let crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\n";
    let body = format!("m=audio 4000 RTP/AVP 0\nm=audio 4100 RTP/SAVP 0\n{crypto}");
    let (_, session) = answered_with(&body, SrtpPolicy::Support);
    assert_eq!((session.media().remote_rtp.port(), session.media().srtp.is_some()), (4100, true));
    let (_, session) = answered_with(&body, SrtpPolicy::Off);
    assert_eq!((session.media().remote_rtp.port(), session.media().srtp.is_some()), (4000, false));
}

#[test]
fn refusals_name_their_kind() {
    use RefusalKind::{AddressFamily, Encryption, ForbiddenAddress, NoAudio, NoCommonCodec, TooMany, Transport};
    let formats: String = (0..70).map(|_| " 0").collect();
    let lines = "m=audio 4000 RTP/AVP 0\n".repeat(9);
    let candidates = "a=candidate:1 1 UDP 1 192.0.2.1 1 typ host\n".repeat(33);
    for (body, policy, wanted) in [
        ("", SrtpPolicy::Off, NoAudio),
        ("m=video 4000 RTP/AVP 97\n", SrtpPolicy::Off, NoAudio),
        ("m=audio 0 RTP/AVP 0\n", SrtpPolicy::Off, NoAudio),
        ("m=audio 4000 RTP/AVP 18 3\n", SrtpPolicy::Off, NoCommonCodec),
        ("m=audio 4000 TCP/RTP/AVP 0\n", SrtpPolicy::Off, Transport),
        ("m=audio 4000 RTP/SAVP 0\n", SrtpPolicy::Support, Encryption),
        ("m=audio 4000 RTP/SAVPF 0\na=fingerprint:sha-256 00\n", SrtpPolicy::Support, Transport),
        ("m=audio 4000 RTP/AVP 0\n", SrtpPolicy::Require, Encryption),
        ("m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::1\n", SrtpPolicy::Off, AddressFamily),
        ("m=audio 4000 RTP/AVP 0\nc=IN IP4 phone.example.com\n", SrtpPolicy::Off, AddressFamily),
        ("m=audio 4000 RTP/AVP 0\nc=IN IP4 169.254.169.254\n", SrtpPolicy::Off, ForbiddenAddress),
        ("m=audio 4000 RTP/AVP 0\nc=IN IP4 255.255.255.255\n", SrtpPolicy::Off, ForbiddenAddress),
        ("m=audio 4000 RTP/AVP 0\nc=IN IP4 224.2.1.1/127\n", SrtpPolicy::Off, ForbiddenAddress),
        ("m=audio 20000 RTP/AVP 0\nc=IN IP4 192.0.2.10\n", SrtpPolicy::Off, ForbiddenAddress),
        (&format!("m=audio 4000 RTP/AVP{formats}\n"), SrtpPolicy::Off, TooMany),
        (&lines, SrtpPolicy::Off, TooMany),
        (&format!("m=audio 4000 RTP/AVP 0\n{candidates}"), SrtpPolicy::Off, TooMany),
    ] {
        assert_eq!(refused(body, policy), wanted, "{body}");
    }
}

#[test]
fn unreadable_and_oversized_offers_have_their_own_status() {
    let ours = local(OURS, SrtpPolicy::Off, 7);
    for (offer, status) in [
        (b"".to_vec(), 400),
        (b"hello".to_vec(), 400),
        (b"v=1\n".to_vec(), 400),
        (b"v=0\nm=audio x RTP/AVP 0\n".to_vec(), 400),
        (b"v=0\nm=audio 70000 RTP/AVP 0\n".to_vec(), 400),
        (vec![b'a'; 16 * 1024 + 1], 413),
        (format!("{HEAD}m=audio 4000 RTP/AVP 18\n").into_bytes(), 488),
    ] {
        assert_eq!(answer(&offer, &ours, None).expect_err("refused").status(), status);
    }
    let refusal = answer(format!("{HEAD}m=audio 4000 RTP/AVP 18\n").as_bytes(), &ours, None).expect_err("refused");
    assert_eq!(refusal.warning("convoke"), "305 convoke \"there is no codec in common: offer Opus, PCMU or PCMA\"");
}

#[test]
fn the_audio_level_is_answered_when_the_peer_sends_it() {
    let uri = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
    for (extmap, wanted) in [
        (format!("a=extmap:3 {uri}\n"), Some(3)),
        (format!("a=extmap:3/sendonly {uri} vad=on\n"), Some(3)),
        (format!("a=extmap:3/recvonly {uri}\n"), None),
        (format!("a=extmap:15 {uri}\n"), None),
        (format!("a=extmap:0 {uri}\n"), None),
        ("a=extmap:3 urn:other\n".to_owned(), None),
    ] {
        let (answer, session) = answered(&format!("m=audio 4000 RTP/AVP 0\n{extmap}"));
        assert_eq!(session.media().audio_level_extension, wanted, "{extmap}");
        assert_eq!(answer.contains("a=extmap:3"), wanted.is_some());
    }
}

#[test]
fn the_version_rises_only_when_something_changed() {
    let ours = local(OURS, SrtpPolicy::Off, 7);
    let (first, session) = answer(golden("desk-phone"), &ours, None).expect("answered");
    let (second, session) = answer(golden("desk-phone"), &ours, Some(&session)).expect("answered");
    assert_eq!((session.version(), &first), (1, &second));
    let hold = String::from_utf8_lossy(golden("desk-phone")).replace("a=sendrecv", "a=sendonly");
    let (_, session) = answer(hold.as_bytes(), &ours, Some(&session)).expect("answered");
    assert_eq!((session.version(), session.media().direction), (2, Direction::RecvOnly));
    let origin = origin_line(&session);
    assert!(origin.starts_with("o=- 4711 2 "), "{origin}");
}

fn origin_line(session: &Session) -> String {
    let text = String::from_utf8_lossy(session.local_description()).into_owned();
    text.lines().find(|line| line.starts_with("o=")).expect("an origin line").to_owned()
}

#[test]
fn an_offer_in_a_session_keeps_lines_payload_types_and_keys() {
    let ours = local(OURS, SrtpPolicy::Support, 7);
    let body = format!(
        "{HEAD}m=video 4300 RTP/AVP 97\nm=audio 4000 RTP/AVP 111 107\na=rtpmap:107 opus/48000/2\n\
         a=rtpmap:111 speex/16000\n\
         a=crypto:5 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\n"
    );
    let (_, session) = answer(body.as_bytes(), &ours, None).expect("answered");
    let fresh_keys = local(OURS, SrtpPolicy::Support, 9);
    let (hold, pending) = offer(&fresh_keys, Direction::SendOnly, Some(&session));
    let hold = String::from_utf8(hold).expect("ASCII");
    assert!(hold.contains("m=video 0 RTP/AVP 97\r\nm=audio 20000 RTP/AVP 107 0 8 13 101 110\r\n"), "{hold}");
    assert!(hold.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:BwcH"), "the key in use comes first: {hold}");
    assert!(hold.contains("o=- 4711 2 ") && hold.contains("a=sendonly"), "{hold}");

    let reply = format!(
        "{HEAD}m=video 0 RTP/AVP 97\nm=audio 4000 RTP/AVP 107\na=rtpmap:107 opus/48000/2\na=recvonly\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\n"
    );
    let held = accept_answer(pending, reply.as_bytes()).expect("agreed");
    assert_eq!(held.media().direction, Direction::SendOnly);
    assert_eq!(held.media().srtp, session.media().srtp);
}

#[test]
fn an_encrypted_session_is_never_downgraded() {
    let ours = local(OURS, SrtpPolicy::Support, 7);
    let (_, session) = answer(golden("desk-phone"), &ours, None).expect("answered");
    assert!(session.media().srtp.is_some());
    let plain: String = String::from_utf8_lossy(golden("desk-phone"))
        .lines()
        .filter(|line| !line.starts_with("a=crypto"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    let refusal = answer(plain.as_bytes(), &ours, Some(&session)).expect_err("a downgrade");
    assert_eq!(refusal.kind, RefusalKind::Encryption);
    let (_, pending) = offer(&ours, Direction::SendRecv, Some(&session));
    assert_eq!(accept_answer(pending, plain.as_bytes()).expect_err("a downgrade").kind, RefusalKind::Encryption);
}

#[test]
fn answers_are_held_against_the_offer() {
    let reply = |body: &str| format!("{HEAD}{body}");
    let crypto = "a=crypto:1 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==\n";
    let unoffered = "a=crypto:4 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==\n";
    let other_suite = "a=crypto:2 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==\n";
    use SrtpPolicy::{Off, Require, Support};
    for (policy, body, wanted) in [
        (Off, "m=audio 4000 RTP/AVP 0\n".to_owned(), Ok(false)),
        (Off, format!("m=audio 4000 RTP/SAVP 0\n{crypto}"), Err(RefusalKind::Encryption)),
        (Support, "m=audio 4000 RTP/AVP 0\n".to_owned(), Ok(false)),
        (Support, format!("m=audio 4000 RTP/AVP 0\n{crypto}"), Ok(true)),
        (Support, format!("m=audio 4000 RTP/SAVP 0\n{crypto}"), Ok(true)),
        (Support, "m=audio 4000 RTP/SAVP 0\n".to_owned(), Err(RefusalKind::Encryption)),
        (Require, format!("m=audio 4000 RTP/SAVP 0\n{crypto}"), Ok(true)),
        (Require, "m=audio 4000 RTP/AVP 0\n".to_owned(), Err(RefusalKind::Encryption)),
        (Require, format!("m=audio 4000 RTP/SAVP 0\n{unoffered}"), Err(RefusalKind::Encryption)),
        (Require, format!("m=audio 4000 RTP/SAVP 0\n{other_suite}"), Err(RefusalKind::Encryption)),
        (Off, String::new(), Err(RefusalKind::Mismatch)),
        (Off, "m=audio 4000 RTP/AVP 0\n".repeat(2), Err(RefusalKind::Mismatch)),
        (Off, "m=video 4000 RTP/AVP 0\n".to_owned(), Err(RefusalKind::Mismatch)),
        (Off, "m=audio 0 RTP/AVP 0\n".to_owned(), Err(RefusalKind::NoAudio)),
        (Off, "m=audio 4000 RTP/AVP 18\n".to_owned(), Err(RefusalKind::NoCommonCodec)),
    ] {
        let (_, pending) = offer(&local(OURS, policy, 7), Direction::SendRecv, None);
        let result = accept_answer(pending, reply(&body).as_bytes());
        let result = result.map(|session| session.media().srtp.is_some()).map_err(|refusal| refusal.kind);
        assert_eq!(result, wanted, "{policy:?} {body}");
    }
}

#[test]
fn payload_types_may_differ_by_direction() {
    let (_, pending) = offer(&local(OURS, SrtpPolicy::Off, 7), Direction::SendRecv, None);
    let reply = format!(
        "{HEAD}m=audio 4000 RTP/AVP 97 100\na=rtpmap:97 opus/48000/2\na=fmtp:97 stereo=1;useinbandfec=1;usedtx=1\n\
         a=rtpmap:100 telephone-event/48000\n"
    );
    let session = accept_answer(pending, reply.as_bytes()).expect("agreed");
    let media = session.media();
    assert_eq!((media.send_payload_type, media.receive_payload_type, media.telephone_event), (97, 111, Some(110)));
    assert!(media.opus_fec && media.opus_dtx);
}

/// RFC 7587 6.1: what a receiver says it takes at most, in offers and in answers.
#[test]
fn the_limits_of_an_opus_receiver_are_kept_in_few_steps() {
    for (parameters, bitrate, playback_rate) in [
        ("useinbandfec=1", None, None),
        ("maxaveragebitrate=510000;maxplaybackrate=48000", None, None),
        ("maxaveragebitrate=64000", None, None),
        ("maxaveragebitrate=40000; maxplaybackrate=16000", Some(32_000), Some(16_000)),
        ("maxaveragebitrate=15999;maxplaybackrate=44100", Some(12_000), Some(24_000)),
        ("maxaveragebitrate=1;maxplaybackrate=1", Some(6_000), Some(8_000)),
        ("maxaveragebitrate=many;maxplaybackrate=", None, None),
    ] {
        let line = format!("m=audio 4000 RTP/AVP 97\na=rtpmap:97 opus/48000/2\na=fmtp:97 {parameters}\n");
        let wanted = OpusLimits { bitrate, playback_rate };
        assert_eq!(answered(&line).1.media().opus_limits, wanted, "{parameters}");
        let (_, pending) = offer(&local(OURS, SrtpPolicy::Off, 7), Direction::SendRecv, None);
        let session = accept_answer(pending, format!("{HEAD}{line}").as_bytes()).expect("agreed");
        assert_eq!(session.media().opus_limits, wanted, "{parameters}");
    }
}

#[test]
fn no_key_is_printed() {
    let (_, session) = answer(golden("linphone-srtp"), &local(OURS, SrtpPolicy::Require, 7), None).expect("answered");
    let (_, pending) = offer(&local(OURS, SrtpPolicy::Require, 7), Direction::SendRecv, Some(&session));
    let offer = sdp::Offer::parse(golden("linphone-srtp")).expect("readable");
    let printed = format!("{session:?} {pending:?} {offer:?} {:?}", local(OURS, SrtpPolicy::Require, 7));
    assert!(!printed.contains("7, 7") && !printed.contains("0, 1, 2") && !printed.contains("inline"), "{printed}");
}

#[test]
fn comfort_noise_goes_with_g711_and_not_with_opus() {
    let body = |formats: &str| {
        format!("{HEAD}m=audio 4000 RTP/AVP {formats}\na=rtpmap:107 opus/48000/2\na=rtpmap:101 telephone-event/8000\n")
    };
    let local = local(OURS, SrtpPolicy::Off, 7);
    for (formats, wanted, answered) in [
        ("0 13 101", Some(13), "RTP/AVP 0 13 101\r\n"),
        ("0 101", None, "RTP/AVP 0 101\r\n"),
        ("107 0 13 101", None, "RTP/AVP 107 101\r\n"),
    ] {
        let (answer, session) = answer(body(formats).as_bytes(), &local, None).expect("answered");
        assert_eq!(session.media().comfort_noise, wanted, "{formats}");
        assert!(String::from_utf8_lossy(&answer).contains(answered), "{formats}");
        let (_, pending) = offer(&local, Direction::SendRecv, None);
        let session = accept_answer(pending, body(formats).as_bytes()).expect("accepted");
        assert_eq!(session.media().comfort_noise, wanted, "the answer {formats}");
    }
}
