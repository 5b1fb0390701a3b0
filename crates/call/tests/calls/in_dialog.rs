//! Requests inside a dialog: order, identity, INFO, BYE, changes of the session.

use base::TerminationReason as Why;
use call::{Body, CallConfig, Input, Output};
use sip_api::{ClientFailure, Method, Response, SipEvent};

use crate::support::solo::{
    Solo, acks, body_text, completed, ends, failed, reasons, response, responses, sent, statuses,
};
use crate::support::{flow, sdp};

fn c3p(text: &str) -> Body {
    Body::new("application/cccp+xml", text.to_owned())
}

#[test]
fn a_request_out_of_order_gets_500() {
    let mut solo = Solo::new();
    let (_, peer) = solo.joined("a");
    for (cseq, status) in [(9, 200), (8, 500), (9, 500), (10, 200)] {
        let (_, outputs) = solo.request(peer.numbered(Method::Options, cseq));
        assert_eq!(statuses(&outputs), [status], "CSeq {cseq}");
    }
}

#[test]
fn somebody_else_inside_a_dialog_is_refused() {
    let mut solo = Solo::new();
    let mut peer = crate::support::solo::Peer::caller("a");
    let (_, outputs) = solo.request_by(peer.request(Method::Invite), Some("sip:ann@example.com"));
    let [Output::Incoming { leg, .. }] = outputs[..] else { panic!("{outputs:?}") };
    let outputs = solo.input(Input::Accept { leg, body: None, headers: Vec::new() });
    peer.our_tag = responses(&outputs)[0].1.to_tag();
    solo.ack(&peer);
    let bye = peer.request(Method::Bye);
    assert_eq!(statuses(&solo.request_by(bye.clone(), Some("sip:eve@example.com")).1), [403]);
    assert_eq!(statuses(&solo.request_by(bye, Some("sip:ann@example.com")).1), [200]);
}

#[test]
fn unknown_methods_get_405_and_notify_481() {
    let mut solo = Solo::new();
    let (_, mut peer) = solo.joined("a");
    for (method, status) in [(Method::Message, 405), (Method::Other("BREW".to_owned()), 405), (Method::Notify, 481)] {
        let (_, outputs) = solo.request(peer.request(method));
        assert_eq!(statuses(&outputs), [status]);
        assert_eq!(responses(&outputs)[0].1.headers.get("Allow").is_some(), status == 405);
    }
}

#[test]
fn a_bye_ends_the_leg_and_abandons_what_waits() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    solo.request(peer.request(Method::Info).with_body("application/cccp+xml", "<request/>"));
    solo.request(peer.request(Method::Invite).with_body("application/sdp", "hold"));
    let mut bye = peer.request(Method::Bye);
    bye.headers.push("Reason", "Q.850;cause=16");
    let (_, outputs) = solo.request(bye);
    assert_eq!(statuses(&outputs), [200, 487, 487]);
    let Some(Output::Ended { headers, termination, .. }) = outputs.last() else { panic!("{outputs:?}") };
    assert_eq!((reasons(headers), *termination), (vec!["Q.850;cause=16"], completed(Why::Departed)));
    assert!(solo.input(Input::AnswerOffer { leg, body: None }).is_empty(), "too late");
    solo.check_drained();
}

#[test]
fn hanging_up_sends_bye_and_ends_at_once() {
    let mut solo = Solo::new();
    let (leg, _) = solo.joined("a");
    let reason = vec!["SIP;cause=200;text=\"Removed by presenter\"".to_owned()];
    let outputs = solo.input(Input::HangUp { leg, reason: reason.clone(), termination: completed(Why::Booted) });
    let (transaction, bye) = sent(&outputs, &Method::Bye).remove(0);
    assert_eq!(reasons(&bye.headers), reason);
    assert_eq!(ends(&outputs), [(leg, completed(Why::Booted), None)]);
    solo.respond(transaction, Response::new(200));
    solo.check_drained();
    assert_eq!(solo.calls.load(), call::Load::default());
}

#[test]
fn infos_go_up_and_their_answers_down() {
    let mut solo = Solo::new();
    let (_, mut peer) = solo.joined("a");
    let (transaction, outputs) = solo.request(peer.request(Method::Info).with_body("application/cccp+xml", "<r/>"));
    let [Output::Info { id, body, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((*id, body_text(body.as_ref()).as_deref()), (transaction, Some("<r/>")));
    let respond = Input::RespondInfo { id: *id, status: 202, headers: Vec::new() };
    assert_eq!(statuses(&solo.input(respond.clone())), [202]);
    assert!(solo.input(respond).is_empty(), "one answer only");
}

#[test]
fn infos_of_ours_go_out_one_after_another() {
    let mut solo = Solo::new();
    let (leg, _) = solo.joined("a");
    let first = sent(&solo.input(Input::SendInfo { leg, body: c3p("1"), instead: None }), &Method::Info).remove(0);
    assert!(solo.input(Input::SendInfo { leg, body: c3p("2"), instead: None }).is_empty());
    assert!(solo.input(Input::SendInfo { leg, body: c3p("3"), instead: None }).is_empty());
    let outputs = solo.respond(first.0, response(&first.1, 200, "a"));
    assert!(matches!(outputs[0], Output::InfoAnswered { status: Some(200), .. }));
    let second = sent(&outputs, &Method::Info).remove(0);
    assert_eq!((&second.1.body[..], second.1.cseq() > first.1.cseq()), (&b"2"[..], true));
    let outputs = solo.respond(second.0, response(&second.1, 500, "a"));
    assert!(matches!(outputs[0], Output::InfoAnswered { status: Some(500), .. }));
    assert_eq!(&sent(&outputs, &Method::Info)[0].1.body[..], b"3");
}

#[test]
fn an_info_too_long_for_the_peer_is_replaced_and_the_dialog_stays() {
    for refused in [false, true] {
        let mut solo = Solo::new();
        let (leg, _) = solo.joined("a");
        let long = Input::SendInfo { leg, body: c3p("long"), instead: Some(c3p("short")) };
        let (transaction, info) = sent(&solo.input(long), &Method::Info).remove(0);
        solo.input(Input::SendInfo { leg, body: c3p("long too"), instead: None });
        let outputs = match refused {
            true => solo.respond(transaction, response(&info, 513, "a")),
            false => solo.sip(SipEvent::Failed { transaction, failure: ClientFailure::TooLong }),
        };
        let (transaction, info) = sent(&outputs, &Method::Info).remove(0);
        assert_eq!((outputs.len(), &info.body[..]), (1, &b"short"[..]), "{outputs:?}");
        let outputs = solo.respond(transaction, response(&info, 200, "a"));
        assert!(matches!(outputs[0], Output::InfoAnswered { status: Some(200), .. }));
        let (transaction, _) = sent(&outputs, &Method::Info).remove(0);
        let outputs = solo.sip(SipEvent::Failed { transaction, failure: ClientFailure::TooLong });
        assert!(matches!(outputs[..], [Output::InfoAnswered { status: Some(513), .. }]), "{outputs:?}");
    }
}

#[test]
fn infos_are_bounded_in_both_directions() {
    let mut solo = Solo::with(CallConfig { infos_waiting: 1, ..CallConfig::default() });
    let (leg, mut peer) = solo.joined("a");
    solo.request(peer.request(Method::Info));
    assert_eq!(statuses(&solo.request(peer.request(Method::Info)).1), [503]);
    solo.input(Input::SendInfo { leg, body: c3p("under way"), instead: None });
    solo.input(Input::SendInfo { leg, body: c3p("waits"), instead: None });
    let outputs = solo.input(Input::SendInfo { leg, body: c3p("too many"), instead: None });
    assert!(matches!(outputs[..], [Output::InfoAnswered { status: None, .. }]));
}

#[test]
fn a_peer_who_does_not_know_the_dialog_is_gone() {
    let failures = [Some(408), Some(481), None];
    for method in [Method::Info, Method::Invite] {
        for failure in failures {
            let mut solo = Solo::new();
            let (leg, _) = solo.joined("a");
            let outputs = match method {
                Method::Info => solo.input(Input::SendInfo { leg, body: c3p("x"), instead: None }),
                _ => solo.input(Input::Reoffer { leg, body: sdp("x") }),
            };
            let (transaction, request) = sent(&outputs, &method).remove(0);
            let outputs = match failure {
                Some(status) => solo.respond(transaction, response(&request, status, "a")),
                None => solo.sip(SipEvent::Failed { transaction, failure: ClientFailure::Timeout }),
            };
            assert_eq!(ends(&outputs), [(leg, failed(Why::TransportFailed), failure)], "{method} {failure:?}");
            assert_eq!(sent(&outputs, &Method::Bye).len(), 1);
        }
    }
}

#[test]
fn a_reinvite_of_the_peer_is_decided_above() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    let (_, outputs) = solo.request(peer.request(Method::Invite).with_body("application/sdp", "hold"));
    let [Output::Offered { body, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(body_text(body.as_ref()).as_deref(), Some("hold"));
    let outputs = solo.input(Input::AnswerOffer { leg, body: Some(sdp("held")) });
    let (_, answer) = &responses(&outputs)[0];
    assert_eq!((answer.status, &answer.body[..]), (200, &b"held"[..]));
    assert!(answer.headers.get("Session-Expires").is_some());
    assert!(solo.ack(&peer).is_empty(), "nothing new to tell");

    solo.request(peer.request(Method::Invite).with_body("application/sdp", "video"));
    assert_eq!(statuses(&solo.input(Input::RefuseOffer { leg, status: 488 })), [488]);
    assert_eq!(solo.calls.leg_state(leg), Some("connected"), "the session stays as it was");
}

#[test]
fn a_reinvite_without_an_offer_asks_for_one() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    let (_, outputs) = solo.request(peer.request(Method::Invite));
    assert!(matches!(outputs[..], [Output::Offered { body: None, .. }]));
    solo.input(Input::AnswerOffer { leg, body: Some(sdp("offer")) });
    let request = peer.ack().with_body("application/sdp", "answer");
    let outputs = solo.sip(SipEvent::Ack { request, flow: flow() });
    let [Output::ReofferAnswered { result: Ok(body), .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(body_text(body.as_ref()).as_deref(), Some("answer"));
}

#[test]
fn a_cancelled_reinvite_leaves_the_session_alone() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    let (transaction, _) = solo.request(peer.request(Method::Invite).with_body("application/sdp", "hold"));
    let outputs = solo.sip(SipEvent::Cancelled { transaction, reason: Vec::new() });
    assert_eq!(statuses(&outputs), [487]);
    assert!(matches!(outputs[1], Output::OfferWithdrawn { .. }));
    assert!(solo.input(Input::AnswerOffer { leg, body: None }).is_empty());
}

#[test]
fn an_undecided_reinvite_is_refused_in_time() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    solo.request(peer.request(Method::Invite).with_body("application/sdp", "hold"));
    let outputs = solo.elapse(crate::support::seconds(20));
    assert_eq!(statuses(&outputs), [500]);
    assert!(outputs.contains(&Output::OfferWithdrawn { leg }));
}

#[test]
fn a_reinvite_whose_200_is_not_acknowledged_ends_the_session() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    let (transaction, _) = solo.request(peer.request(Method::Invite).with_body("application/sdp", "hold"));
    solo.input(Input::AnswerOffer { leg, body: Some(sdp("held")) });
    let outputs = solo.sip(SipEvent::AckMissing { transaction });
    assert_eq!(ends(&outputs), [(leg, failed(Why::NoAck), None)]);
}

#[test]
fn a_reinvite_that_overtakes_the_ack_confirms_the_call() {
    let mut solo = Solo::new();
    let (leg, mut peer, _) = solo.accepted("a");
    let (_, outputs) = solo.request(peer.request(Method::Invite).with_body("application/sdp", "hold"));
    assert!(matches!(outputs[..], [Output::Confirmed { .. }, Output::Offered { .. }]));
    assert_eq!(solo.calls.leg_state(leg), Some("connected"));
}

#[test]
fn reoffers_wait_for_each_other_and_the_newest_counts() {
    let mut solo = Solo::new();
    let (leg, peer, _) = solo.accepted("a");
    assert!(solo.input(Input::Reoffer { leg, body: sdp("0") }).is_empty(), "the ACK comes first");
    let (transaction, first) = sent(&solo.ack(&peer), &Method::Invite).remove(0);
    assert_eq!(&first.body[..], b"0");
    assert!(solo.input(Input::Reoffer { leg, body: sdp("1") }).is_empty());
    assert!(solo.input(Input::Reoffer { leg, body: sdp("2") }).is_empty());
    let outputs = solo.respond(transaction, response(&first, 200, "a").with_body("application/sdp", "yes"));
    let (transaction, second) = sent(&outputs, &Method::Invite).remove(0);
    assert_eq!(&second.body[..], b"2");
    let outputs = solo.respond(transaction, response(&second, 488, "a"));
    assert_eq!(outputs, [Output::ReofferAnswered { leg, result: Err(488) }]);
    assert_eq!(solo.calls.leg_state(leg), Some("connected"));
}

#[test]
fn each_2xx_to_a_reinvite_is_acknowledged_even_after_the_end() {
    let mut solo = Solo::new();
    let (leg, _) = solo.joined("a");
    let (transaction, invite) = sent(&solo.input(Input::Reoffer { leg, body: sdp("x") }), &Method::Invite).remove(0);
    solo.input(Input::HangUp { leg, reason: Vec::new(), termination: completed(Why::Booted) });
    let answer = response(&invite, 200, "a");
    for _ in 0..2 {
        let outputs = solo.respond(transaction, answer.clone());
        assert_eq!((acks(&outputs).len(), outputs.len()), (1, 1));
        assert_eq!(acks(&outputs)[0].cseq(), invite.cseq());
    }
}

#[test]
fn an_update_with_an_offer_is_decided_above_and_one_without_here() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    let (_, outputs) = solo.request(peer.request(Method::Update));
    assert_eq!((statuses(&outputs), outputs.len()), (vec![200], 1));
    solo.request(peer.request(Method::Update).with_body("application/sdp", "x"));
    assert_eq!(statuses(&solo.input(Input::AnswerOffer { leg, body: Some(sdp("y")) })), [200]);
    let outputs = solo.input(Input::Reoffer { leg, body: sdp("z") });
    assert_eq!(sent(&outputs, &Method::Invite).len(), 1, "an UPDATE needs no ACK");
}

#[test]
fn the_remote_target_follows_the_peers_contact() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    let mut update = peer.request(Method::Update);
    update.headers.set("Contact", "<sip:moved@127.0.0.1:5099>");
    solo.request(update);
    let (transaction, info) =
        sent(&solo.input(Input::SendInfo { leg, body: c3p("x"), instead: None }), &Method::Info).remove(0);
    assert_eq!(info.uri.to_string(), "sip:moved@127.0.0.1:5099");
    solo.respond(transaction, response(&info, 200, "a"));
}

#[test]
fn requests_go_where_the_peer_spoke_from_last() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    let newer = sip_api::Flow { remote: std::net::SocketAddr::from(([127, 0, 0, 1], 6_000)), ..flow() };
    let transaction = sip_api::ServerTransactionId(1);
    let request = peer.request(Method::Options);
    solo.sip(SipEvent::Request { transaction, request, flow: newer, user: None });
    let outputs = solo.input(Input::SendInfo { leg, body: c3p("x"), instead: None });
    assert!(matches!(outputs[..], [Output::Sip(sip_api::SipCommand::Send { flow: Some(used), .. })] if used == newer));
    let names = solo.calls.dialog_names(leg).expect("a dialog");
    assert_eq!((Some(names.local_tag), names.remote_tag), (peer.our_tag, peer.tag));
}
