//! Session timers (RFC 4028) in both roles.

use base::TerminationReason as Why;
use call::{Input, Output};
use sip_api::{Method, Response};

use crate::support::solo::{Solo, ends, failed, response, responses, sent, statuses};
use crate::support::{sdp, seconds};

fn timed(value: &'static str, allow: &'static str) -> impl FnOnce(Response) -> Response {
    move |answer| answer.with_header("Session-Expires", value).with_header("Allow", allow)
}

#[test]
fn we_refresh_by_update_half_way_if_the_peer_allows_it() {
    let mut solo = Solo::new();
    let (leg, _, _) = solo.answered(timed("600;refresher=uac", "INVITE, UPDATE"));
    assert!(solo.elapse(seconds(299)).is_empty());
    let (transaction, update) = sent(&solo.elapse(seconds(1)), &Method::Update).remove(0);
    assert_eq!(update.headers.get("Session-Expires"), Some("600;refresher=uac"));
    assert!(update.body.is_empty());
    let ok = response(&update, 200, "b").with_header("Session-Expires", "600;refresher=uac");
    assert!(solo.respond(transaction, ok).is_empty());
    assert_eq!(sent(&solo.elapse(seconds(300)), &Method::Update).len(), 1, "and so on");
    assert_eq!(solo.calls.leg_state(leg), Some("connected"));
}

#[test]
fn we_refresh_by_reinvite_with_the_same_description_otherwise() {
    let mut solo = Solo::new();
    let (leg, _, _) = solo.answered(timed("600;refresher=uac", "INVITE, BYE"));
    let (transaction, invite) = sent(&solo.elapse(seconds(300)), &Method::Invite).remove(0);
    assert_eq!(&invite.body[..], b"offer");
    let ok = response(&invite, 200, "b").with_header("Session-Expires", "600;refresher=uac");
    let outputs = solo.respond(transaction, ok.with_body("application/sdp", "moved"));
    assert!(outputs.contains(&Output::Refreshed { leg, body: sdp("moved") }), "{outputs:?}");
}

#[test]
fn an_update_that_is_not_known_after_all_is_followed_by_a_reinvite() {
    let mut solo = Solo::new();
    solo.answered(timed("600;refresher=uac", "INVITE, UPDATE"));
    let (transaction, update) = sent(&solo.elapse(seconds(300)), &Method::Update).remove(0);
    let outputs = solo.respond(transaction, response(&update, 405, "b"));
    assert_eq!(sent(&outputs, &Method::Invite).len(), 1);
}

#[test]
fn a_peer_who_does_not_refresh_is_ended_before_the_session_expires() {
    let mut solo = Solo::new();
    let (leg, _, _) = solo.answered(timed("600;refresher=uas", "INVITE, UPDATE"));
    assert!(solo.elapse(seconds(567)).is_empty());
    let outputs = solo.elapse(seconds(1));
    assert_eq!(ends(&outputs), [(leg, failed(Why::SessionExpired), None)]);
    assert_eq!(sent(&outputs, &Method::Bye).len(), 1);
}

#[test]
fn a_refresh_of_the_peer_keeps_the_session() {
    for body in ["", "offer"] {
        let mut solo = Solo::new();
        let (leg, mut peer, _) = solo.answered(timed("600;refresher=uas", "INVITE, UPDATE"));
        solo.elapse(seconds(500));
        let method = if body.is_empty() { Method::Update } else { Method::Invite };
        let mut refresh = peer.request(method);
        refresh.headers.push("Supported", "timer");
        refresh.headers.push("Session-Expires", "600;refresher=uac");
        if !body.is_empty() {
            refresh = refresh.with_body("application/sdp", body);
        }
        let (_, mut outputs) = solo.request(refresh);
        if !body.is_empty() {
            outputs = solo.input(Input::AnswerOffer { leg, body: Some(sdp("answer")) });
            solo.ack(&peer);
        }
        let (_, answer) = &responses(&outputs)[0];
        assert_eq!(answer.headers.get("Session-Expires"), Some("600;refresher=uac"));
        assert!(answer.headers.has_token("Require", "timer"));
        assert!(ends(&solo.elapse(seconds(567))).is_empty());
        assert_eq!(ends(&solo.elapse(seconds(1))), [(leg, failed(Why::SessionExpired), None)]);
    }
}

#[test]
fn without_session_expires_in_the_answer_there_is_no_timer() {
    let mut solo = Solo::new();
    let (leg, _, _) = solo.answered(|answer| answer);
    assert!(solo.elapse(seconds(100_000)).is_empty());
    assert_eq!((solo.calls.leg_state(leg), solo.calls.poll_timeout()), (Some("connected"), None));
}

#[test]
fn as_the_answering_side_we_refresh_unless_the_caller_wants_to() {
    for (value, we) in
        [(None, true), (Some("600"), true), (Some("600;refresher=uas"), true), (Some("600;refresher=uac"), false)]
    {
        let mut solo = Solo::new();
        let (leg, mut peer, _) = solo.invited("a", |invite| {
            if let Some(value) = value {
                invite.headers.push("Session-Expires", value);
            }
        });
        let outputs = solo.input(Input::Accept { leg, body: Some(sdp("answer")), headers: Vec::new() });
        peer.our_tag = responses(&outputs)[0].1.to_tag();
        solo.ack(&peer);
        let outputs = solo.elapse(seconds(900));
        assert_eq!(sent(&outputs, &Method::Update).len(), usize::from(we), "{value:?}");
    }
}

#[test]
fn a_refused_refresh_is_tried_again_until_the_session_expires() {
    let mut solo = Solo::new();
    let (leg, _, _) = solo.answered(timed("90;refresher=uac", "INVITE, UPDATE"));
    let (transaction, update) = sent(&solo.elapse(seconds(45)), &Method::Update).remove(0);
    assert!(solo.respond(transaction, response(&update, 500, "b")).is_empty());
    let (transaction, update) = sent(&solo.elapse(seconds(10)), &Method::Update).remove(0);
    assert!(solo.respond(transaction, response(&update, 503, "b")).is_empty());
    assert_eq!(ends(&solo.elapse(seconds(5))), [(leg, failed(Why::SessionExpired), None)]);
}

#[test]
fn a_refresh_interval_that_is_too_small_is_raised_or_refused() {
    let mut solo = Solo::new();
    let (_, mut peer, _) = solo.answered(timed("600;refresher=uac", "INVITE, UPDATE"));
    let (transaction, update) = sent(&solo.elapse(seconds(300)), &Method::Update).remove(0);
    let outputs = solo.respond(transaction, response(&update, 422, "b").with_header("Min-SE", "900"));
    let (_, again) = sent(&outputs, &Method::Update).remove(0);
    assert_eq!(again.headers.get("Session-Expires"), Some("900;refresher=uac"));
    assert!(again.cseq() > update.cseq());

    let mut refresh = peer.request(Method::Update);
    refresh.headers.push("Supported", "timer");
    refresh.headers.push("Session-Expires", "60");
    assert_eq!(statuses(&solo.request(refresh).1), [422]);
}

#[test]
fn a_body_that_describes_no_session_is_not_repeated_by_a_refresh() {
    let mut solo = Solo::new();
    let (leg, mut peer, _) = solo.invited("a", |invite| invite.headers.remove("Allow"));
    let body = Some(call::Body::new("application/cccp+xml", "<response/>"));
    let outputs = solo.input(Input::Accept { leg, body, headers: Vec::new() });
    peer.our_tag = responses(&outputs)[0].1.to_tag();
    solo.ack(&peer);
    let (_, invite) = sent(&solo.elapse(seconds(900)), &Method::Invite).remove(0);
    assert!(invite.body.is_empty(), "a Focus dialog is refreshed without its C3P answer");
}
