//! Incoming legs: what is refused, early media, the answer, its ACK.

use base::TerminationReason as Why;
use call::{Body, CallConfig, Input, Output, RingMode};
use sip_api::{Method, SipCommand, SipEvent};

use crate::support::solo::{
    Peer, Solo, body_text, cancelled, completed, ends, failed, reasons, response, responses, sent, statuses,
};
use crate::support::{sdp, seconds};

fn accept(leg: base::LegId) -> Input {
    Input::Accept { leg, body: Some(sdp("answer")), headers: Vec::new() }
}

#[test]
fn an_invitation_tells_what_the_caller_can_do() {
    let cases = [
        (&[("Supported", "timer")][..], true, false),
        (&[("Session-Expires", "600")][..], true, false),
        (&[("Supported", "100rel")][..], false, true),
        (&[("Require", "100rel")][..], false, true),
        (&[][..], false, false),
    ];
    for (headers, timer, reliable) in cases {
        let mut solo = Solo::new();
        let mut invite = Peer::caller("a").request(Method::Invite);
        headers.iter().for_each(|(name, value)| invite.headers.push(name, *value));
        let (_, outputs) = solo.request_by(invite, Some("sip:ann@example.com"));
        let [Output::Incoming { call, .. }] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!((call.session_timer, call.reliable_provisional), (timer, reliable), "{headers:?}");
        assert_eq!(call.user.as_ref().map(|user| user.as_str()), Some("sip:ann@example.com"));
        assert!(call.body.is_none());
    }
}

#[test]
fn requests_without_a_dialog_are_refused() {
    for method in [Method::Invite, Method::Bye, Method::Info, Method::Update, Method::Prack, Method::Refer] {
        let mut solo = Solo::new();
        let mut stranger = Peer { our_tag: Some("forged".to_owned()), ..Peer::caller("a") };
        let (_, outputs) = solo.request(stranger.request(method.clone()));
        assert_eq!(statuses(&outputs), [481], "{method} with a To tag");
    }
    for method in [Method::Bye, Method::Info, Method::Update, Method::Prack] {
        let (_, outputs) = Solo::new().request(Peer::caller("a").request(method.clone()));
        assert_eq!(statuses(&outputs), [481], "{method} without a To tag");
    }
    for method in [Method::Service, Method::Options, Method::Message, Method::Publish, Method::Notify] {
        let (_, outputs) = Solo::new().request(Peer::caller("a").request(method));
        assert!(matches!(outputs[..], [Output::OutOfDialog { .. }]));
    }
}

#[test]
fn unusable_invitations_are_refused() {
    let table: [(&str, Option<&str>, u16); 5] = [
        ("Require", Some("gruu"), 420),
        ("Contact", None, 400),
        ("Contact", Some("*"), 400),
        ("Record-Route", Some("<nonsense"), 400),
        ("Session-Expires", Some("30"), 422),
    ];
    for (name, value, status) in table {
        let mut invite = Peer::caller("a").request(Method::Invite);
        invite.headers.push("Supported", "timer");
        invite.headers.remove(name);
        if let Some(value) = value {
            invite.headers.push(name, value);
        }
        let (_, outputs) = Solo::new().request(invite);
        let (_, refused) = &responses(&outputs)[0];
        assert_eq!(refused.status, status, "{name} {value:?}");
        match status {
            420 => assert_eq!(refused.headers.get("Unsupported"), Some("gruu")),
            422 => assert_eq!(refused.headers.get("Min-SE"), Some("90")),
            _ => {}
        }
    }
}

#[test]
fn a_merged_invite_gets_482_until_the_leg_is_over() {
    let mut solo = Solo::new();
    let (leg, peer, _) = solo.invited("a", |_| {});
    let merged = peer.numbered(Method::Invite, 1);
    assert_eq!(statuses(&solo.request(merged.clone()).1), [482]);
    solo.input(Input::Reject { leg, status: 486, headers: Vec::new(), body: None });
    assert!(matches!(solo.request(merged).1[..], [Output::Incoming { .. }]));
}

#[test]
fn a_call_of_ours_that_comes_back_gets_482_until_its_leg_is_over() {
    let mut solo = Solo::new();
    let (_, _, invites) = solo.dialled(1, RingMode::Parallel, |_| {});
    let (transaction, invite) = &invites[0];
    assert_eq!(statuses(&solo.request(invite.clone()).1), [482]);
    solo.respond(*transaction, response(invite, 482, "b"));
    assert!(matches!(solo.request(invite.clone()).1[..], [Output::Incoming { .. }]));
}

#[test]
fn beyond_the_bound_of_legs_calls_get_503() {
    let limits = base::Limits { legs: 1, ..base::Limits::default() };
    let mut solo = Solo::with(CallConfig { limits, ..CallConfig::default() });
    solo.invited("a", |_| {});
    let (_, outputs) = solo.request(Peer::caller("b").request(Method::Invite));
    let (_, refused) = &responses(&outputs)[0];
    assert_eq!((refused.status, refused.headers.get("Retry-After")), (503, Some("10")));
}

#[test]
fn a_rejection_carries_its_diagnostics() {
    let mut solo = Solo::new();
    let (leg, _, transaction) = solo.invited("a", |_| {});
    let headers = vec![("ms-diagnostics".to_owned(), "3010;reason=\"session timer missing\"".to_owned())];
    let body = Some(Body::new("application/cccp+xml", "<response/>"));
    let outputs = solo.input(Input::Reject { leg, status: 403, headers, body });
    let (to, refused) = &responses(&outputs)[0];
    assert_eq!((*to, refused.status), (transaction, 403));
    assert!(refused.headers.get("ms-diagnostics").is_some_and(|value| value.starts_with("3010")));
    assert_eq!(refused.content_type().as_deref(), Some("application/cccp+xml"));
    assert!(refused.to_tag().is_some());
    assert_eq!(ends(&outputs), [(leg, failed(Why::Forbidden), Some(403))]);
    solo.check_drained();
}

#[test]
fn a_challenge_ends_the_leg_and_the_next_try_is_a_new_one() {
    let mut solo = Solo::new();
    let (leg, mut peer, transaction) = solo.invited("a", |_| {});
    let outputs = solo.input(Input::Challenge { leg });
    assert!(matches!(outputs[0], Output::Sip(SipCommand::Challenge { transaction: to }) if to == transaction));
    assert_eq!(ends(&outputs), [(leg, failed(Why::Unauthorized), Some(401))]);
    assert!(matches!(solo.request(peer.request(Method::Invite)).1[..], [Output::Incoming { .. }]));
}

#[test]
fn the_200_carries_the_dialog_and_the_ack_connects() {
    let mut solo = Solo::new();
    let (leg, mut peer, _) = solo.invited("a", |_| {});
    let headers = vec![("Contact".to_owned(), "<sip:conf@0.0.0.0:0>;isfocus".to_owned())];
    let outputs = solo.input(Input::Accept { leg, body: Some(sdp("answer")), headers });
    let (_, answer) = &responses(&outputs)[0];
    assert_eq!(answer.headers.get("Contact"), Some("<sip:conf@0.0.0.0:0>;isfocus"));
    assert_eq!(answer.headers.get("Session-Expires"), Some("1800;refresher=uas"));
    assert!(answer.headers.has_token("Allow", "UPDATE"));
    peer.our_tag = answer.to_tag();
    let outputs = solo.ack(&peer);
    assert_eq!(outputs, [Output::Confirmed { leg, body: None }]);
    assert!(solo.ack(&peer).is_empty(), "a retransmitted ACK");
    let outputs = solo.input(Input::Reoffer { leg, body: sdp("hold") });
    let reinvite = &sent(&outputs, &Method::Invite)[0].1;
    assert_eq!(reinvite.headers.get("Contact"), Some("<sip:conf@0.0.0.0:0>;isfocus"), "for the whole dialog");
}

#[test]
fn an_invite_without_an_offer_is_answered_with_one() {
    let mut solo = Solo::new();
    let (leg, mut peer, _) = solo.invited("a", |invite| invite.body = bytes_of(""));
    let outputs = solo.input(Input::Progress { leg, status: 183, body: Some(sdp("early")), reliable: false });
    assert!(responses(&outputs)[0].1.body.is_empty(), "an offer waits for the 200");
    let outputs = solo.input(Input::Accept { leg, body: Some(sdp("offer")), headers: Vec::new() });
    peer.our_tag = responses(&outputs)[0].1.to_tag();
    let request = peer.ack().with_body("application/sdp", "answer");
    let outputs = solo.sip(SipEvent::Ack { request, flow: crate::support::flow() });
    let [Output::Confirmed { body, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(body_text(body.as_ref()).as_deref(), Some("answer"));
}

fn bytes_of(text: &str) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(text.as_bytes())
}

#[test]
fn without_an_ack_the_call_is_ended() {
    let mut solo = Solo::new();
    let (leg, _, transaction) = solo.accepted("a");
    let outputs = solo.sip(SipEvent::AckMissing { transaction });
    assert_eq!(sent(&outputs, &Method::Bye).len(), 1);
    assert_eq!(ends(&outputs), [(leg, failed(Why::NoAck), None)]);
}

#[test]
fn a_hang_up_before_the_ack_waits_for_it() {
    let hang_up = |leg| Input::HangUp {
        leg,
        reason: vec!["SIP;cause=200".to_owned()],
        termination: completed(Why::ConferenceEnded),
    };
    let mut solo = Solo::new();
    let (leg, peer, _) = solo.accepted("a");
    assert!(solo.input(hang_up(leg)).is_empty(), "RFC 3261 15: no BYE before the ACK");
    let outputs = solo.ack(&peer);
    assert_eq!(reasons(&sent(&outputs, &Method::Bye)[0].1.headers), ["SIP;cause=200"]);
    assert_eq!(ends(&outputs), [(leg, completed(Why::ConferenceEnded), None)]);

    let (leg, _, transaction) = solo.accepted("b");
    solo.input(hang_up(leg));
    let outputs = solo.sip(SipEvent::AckMissing { transaction });
    assert_eq!(sent(&outputs, &Method::Bye).len(), 1);
    assert_eq!(ends(&outputs), [(leg, completed(Why::ConferenceEnded), None)]);
}

#[test]
fn a_hang_up_before_the_answer_refuses_with_a_fitting_status() {
    for (reason, status) in [
        (Why::Declined, 603),
        (Why::Busy, 486),
        (Why::ServerStopping, 503),
        (Why::LimitReached, 503),
        (Why::RequestCancelled, 487),
        (Why::NoAnswer, 480),
        (Why::MediaNotSupported, 488),
        (Why::InternalError, 500),
    ] {
        let mut solo = Solo::new();
        let (leg, _, _) = solo.invited("a", |_| {});
        let outputs = solo.input(Input::HangUp { leg, reason: Vec::new(), termination: failed(reason) });
        assert_eq!(statuses(&outputs), [status]);
        let (_, refused) = &responses(&outputs)[0];
        assert_eq!(refused.headers.get("Retry-After").is_some(), status == 503, "{reason:?}");
        assert_eq!(ends(&outputs), [(leg, failed(reason), None)]);
    }
}

#[test]
fn a_cancel_ends_an_unanswered_call() {
    let mut solo = Solo::new();
    let (leg, _, transaction) = solo.invited("a", |_| {});
    let reason = vec!["SIP;cause=200;text=\"Call completed elsewhere\"".to_owned()];
    let outputs = solo.sip(SipEvent::Cancelled { transaction, reason: reason.clone() });
    assert_eq!(statuses(&outputs), [487]);
    let Some(Output::Ended { leg: ended, termination, headers, .. }) = outputs.last() else { panic!("{outputs:?}") };
    assert_eq!((*ended, *termination), (leg, cancelled(Why::RequestCancelled)));
    assert_eq!(reasons(headers), reason, "so that it can be passed on");
    assert!(solo.input(accept(leg)).is_empty(), "too late");
    solo.check_drained();
}

#[test]
fn a_caller_may_say_bye_before_the_answer() {
    let mut solo = Solo::new();
    let (leg, mut peer, _) = solo.invited("a", |_| {});
    let outputs = solo.input(Input::Progress { leg, status: 180, body: None, reliable: false });
    peer.our_tag = responses(&outputs)[0].1.to_tag();
    let (_, outputs) = solo.request(peer.request(Method::Bye));
    assert_eq!(statuses(&outputs), [200, 487]);
    assert_eq!(ends(&outputs), [(leg, cancelled(Why::RequestCancelled), None)]);
}

#[test]
fn nobody_answering_is_no_answer() {
    let mut solo = Solo::new();
    let (leg, _, _) = solo.invited("a", |_| {});
    let outputs = solo.elapse(seconds(180));
    assert_eq!((statuses(&outputs), ends(&outputs)), (vec![408], vec![(leg, failed(Why::NoAnswer), Some(408))]));
    solo.check_drained();
}

#[test]
fn ringing_is_repeated_every_minute() {
    let mut solo = Solo::new();
    let (leg, _, _) = solo.invited("a", |_| {});
    solo.input(Input::Progress { leg, status: 180, body: None, reliable: false });
    assert_eq!(statuses(&solo.elapse(seconds(130))), [180, 180]);
}

#[test]
fn early_media_is_sent_reliably_and_holds_the_answer_back_until_its_prack() {
    let mut solo = Solo::new();
    let (leg, mut peer, _) = solo.invited("a", |_| {});
    let outputs = solo.input(Input::Progress { leg, status: 183, body: Some(sdp("early")), reliable: true });
    let (_, early) = &responses(&outputs)[0];
    assert!(early.headers.has_token("Require", "100rel"));
    let rseq = early.headers.get("RSeq").expect("RSeq").to_owned();
    peer.our_tag = early.to_tag();
    assert_eq!(statuses(&solo.elapse(seconds(2))), [183, 183], "at 0.5 s and 1.5 s");
    assert!(solo.input(accept(leg)).is_empty(), "RFC 3262 3");
    let mut wrong = peer.request(Method::Prack);
    wrong.headers.push("RAck", "1 1 INVITE");
    let is_wrong = rseq != "1";
    assert_eq!(statuses(&solo.request(wrong).1), [if is_wrong { 481 } else { 200 }]);
    let mut prack = peer.request(Method::Prack);
    prack.headers.push("RAck", format!("{rseq} 1 INVITE"));
    assert_eq!(statuses(&solo.request(prack).1), [200, 200], "the PRACK's and the INVITE's");
    assert_eq!(solo.calls.leg_state(leg), Some("answered"));
}

#[test]
fn reliability_follows_what_the_caller_supports_and_requires() {
    for (supported, required, asked, reliable) in [
        (true, false, true, true),
        (true, false, false, false),
        (false, true, false, true),
        (false, false, true, false),
    ] {
        let mut solo = Solo::new();
        let (leg, _, _) = solo.invited("a", |invite| {
            invite.headers.remove("Supported");
            if supported {
                invite.headers.push("Supported", "100rel");
            }
            if required {
                invite.headers.push("Require", "100rel");
            }
        });
        let outputs = solo.input(Input::Progress { leg, status: 180, body: None, reliable: asked });
        assert_eq!(responses(&outputs)[0].1.headers.get("RSeq").is_some(), reliable, "{supported} {required} {asked}");
    }
}

#[test]
fn without_a_prack_the_call_is_refused() {
    let mut solo = Solo::new();
    let (leg, _, _) = solo.invited("a", |_| {});
    solo.input(Input::Progress { leg, status: 180, body: None, reliable: true });
    let outputs = solo.elapse(seconds(32));
    assert_eq!(statuses(&outputs), [180, 180, 180, 180, 180, 180, 504]);
    assert_eq!(ends(&outputs), [(leg, failed(Why::NoAck), Some(504))]);
}

#[test]
fn a_second_reliable_response_waits_for_the_prack_of_the_first() {
    let mut solo = Solo::new();
    let (leg, mut peer, _) = solo.invited("a", |_| {});
    let outputs = solo.input(Input::Progress { leg, status: 180, body: None, reliable: true });
    let (_, first) = &responses(&outputs)[0];
    let rseq: u32 = first.headers.get("RSeq").expect("RSeq").parse().expect("a number");
    peer.our_tag = first.to_tag();
    assert!(solo.input(Input::Progress { leg, status: 183, body: None, reliable: true }).is_empty());
    let mut prack = peer.request(Method::Prack);
    prack.headers.push("RAck", format!("{rseq} 1 INVITE"));
    let (_, outputs) = solo.request(prack);
    assert_eq!(statuses(&outputs), [200, 183]);
    assert_eq!(responses(&outputs)[1].1.headers.get("RSeq"), Some((rseq + 1).to_string().as_str()));
    assert_eq!(statuses(&solo.input(accept(leg))), [200], "nothing described waits, so the answer need not");
}
