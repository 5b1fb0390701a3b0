//! What each response to a dialled leg leads to (routing.md 2.3).

use base::{LegId, TerminationReason as Why};
use call::{Input, Output, RingMode};
use sip_api::{ClientFailure, ClientTransactionId, Method, Request, SipEvent};

use crate::support::seconds;
use crate::support::solo::{
    Peer, Solo, acks, body_text, cancelled, cancels, ends, failed, failures, reasons, response, sent, statuses,
};

const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

fn one() -> (Solo, LegId, ClientTransactionId, Request) {
    one_with(|_| {})
}

fn one_with(complete: impl FnOnce(&mut call::Dial)) -> (Solo, LegId, ClientTransactionId, Request) {
    let mut solo = Solo::new();
    let (_, legs, invites) = solo.dialled(1, RingMode::Parallel, complete);
    let (transaction, invite) = invites[0].clone();
    (solo, legs[0], transaction, invite)
}

#[test]
fn the_invite_carries_what_a_dialog_needs() {
    let (_, _, _, invite) = one();
    assert!(invite.from_tag().is_some() && invite.to_tag().is_none());
    assert_eq!(invite.cseq(), Some(1));
    assert!(invite.call_id().ends_with("@convoke.invalid"));
    assert_eq!(invite.headers.get("Contact"), Some("<sip:convoke@0.0.0.0:0>"));
    assert_eq!(invite.headers.get("Session-Expires"), Some("1800;refresher=uac"));
    assert_eq!(invite.headers.get("Min-SE"), Some("90"));
    assert!(invite.headers.has_token("Supported", "timer") && invite.headers.has_token("Supported", "100rel"));
    assert!(invite.headers.has_token("Allow", "UPDATE"));
    assert_eq!(invite.headers.get("P-Asserted-Identity"), Some("<sip:ann@example.com>"));
    assert_eq!(&invite.body[..], b"offer");
}

#[test]
fn a_100_is_liveness_only() {
    let (mut solo, leg, transaction, invite) = one();
    assert!(solo.respond(transaction, response(&invite, 100, "")).is_empty());
    assert_eq!(solo.calls.leg_state(leg), Some("calling"));
}

#[test]
fn a_180_rings_and_early_media_is_a_preview() {
    let (mut solo, leg, transaction, invite) = one();
    let early = response(&invite, 183, "b").with_body("application/sdp", "early");
    let outputs = solo.respond(transaction, early);
    let [Output::Ringing { leg: rung, status: 183, body, early_dialogs: 1, .. }] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!((*rung, body_text(body.as_ref()).as_deref()), (leg, Some("early")));
}

#[test]
fn each_early_dialog_gets_its_own_prack() {
    let (mut solo, _, transaction, invite) = one();
    let reliable =
        |tag: &str, rseq: &str| response(&invite, 180, tag).with_header("Require", "100rel").with_header("RSeq", rseq);
    for (tag, rseq) in [("b", "7"), ("c", "100")] {
        let outputs = solo.respond(transaction, reliable(tag, rseq));
        let (_, prack) = &sent(&outputs, &Method::Prack)[0];
        assert_eq!(prack.headers.get("RAck"), Some(format!("{rseq} 1 INVITE").as_str()));
        assert_eq!(prack.to_tag().as_deref(), Some(tag));
        assert_eq!(prack.uri.to_string(), format!("sip:{tag}@127.0.0.1:5070"));
    }
    assert!(solo.respond(transaction, reliable("b", "7")).is_empty(), "a retransmission");
    assert!(solo.respond(transaction, reliable("b", "9")).is_empty(), "out of order");
    assert_eq!(sent(&solo.respond(transaction, reliable("b", "8")), &Method::Prack).len(), 1);
}

#[test]
fn the_answer_of_a_reliable_response_stands_for_a_200_without_one() {
    let (mut solo, leg, transaction, invite) = one();
    let early = response(&invite, 183, "b").with_header("Require", "100rel").with_header("RSeq", "1");
    solo.respond(transaction, early.with_body("application/sdp", "early"));
    let outputs = solo.respond(transaction, response(&invite, 200, "b"));
    let answer = outputs.iter().find_map(|output| match output {
        Output::Answered { leg: winner, body, .. } if *winner == leg => Some(body_text(body.as_ref())),
        _ => None,
    });
    assert_eq!(answer, Some(Some("early".to_owned())));
    assert_eq!(acks(&outputs)[0].cseq(), Some(1), "the ACK has the INVITE's number");
    let hang_up = Input::HangUp { leg, reason: Vec::new(), termination: cancelled(Why::Departed) };
    let bye = &sent(&solo.input(hang_up), &Method::Bye)[0].1;
    assert_eq!(bye.cseq(), Some(3), "the PRACK had the number before");
}

#[test]
fn a_181_fails_the_leg_if_forwarding_is_refused() {
    let (mut solo, leg, transaction, invite) = one_with(|dial| dial.refuse_forwarding = true);
    let outputs = solo.respond(transaction, response(&invite, 181, "b"));
    assert_eq!(cancels(&outputs).len(), 1);
    assert_eq!(failures(&outputs), [(failed(Why::InvalidTarget), None)]);
    let outputs = solo.respond(transaction, response(&invite, 487, "b"));
    assert_eq!(ends(&outputs), [(leg, failed(Why::InvalidTarget), Some(487))]);

    let (mut solo, _, transaction, invite) = one();
    let outputs = solo.respond(transaction, response(&invite, 181, "b"));
    assert!(matches!(outputs[..], [Output::Ringing { status: 181, .. }]));
}

#[test]
fn a_199_closes_that_early_dialog_only() {
    let (mut solo, _, transaction, invite) = one();
    solo.respond(transaction, response(&invite, 180, "b"));
    solo.respond(transaction, response(&invite, 180, "c"));
    assert!(solo.respond(transaction, response(&invite, 199, "b")).is_empty());
    let outputs = solo.respond(transaction, response(&invite, 180, "c"));
    assert!(matches!(outputs[..], [Output::Ringing { early_dialogs: 1, .. }]), "{outputs:?}");
}

#[test]
fn the_first_2xx_wins_and_the_others_are_cancelled() {
    let mut solo = Solo::new();
    let (offer, legs, invites) = solo.dialled(3, RingMode::Parallel, |_| {});
    for (transaction, invite) in &invites {
        solo.respond(*transaction, response(invite, 180, "b"));
    }
    let outputs = solo.respond(invites[1].0, response(&invites[1].1, 200, "b").with_body("application/sdp", "answer"));
    assert_eq!(acks(&outputs).len(), 1);
    assert!(outputs.iter().any(|output| matches!(output,
        Output::Answered { offer: won, leg, .. } if (*won, *leg) == (offer, legs[1]))));
    let given_up: Vec<_> = cancels(&outputs);
    assert_eq!(given_up.iter().map(|(transaction, _)| *transaction).collect::<Vec<_>>(), [invites[0].0, invites[2].0]);
    assert!(given_up.iter().all(|(_, reason)| reason == &[ELSEWHERE]));
    assert!(ends(&outputs).is_empty(), "the losers' phones may still ring");
    for index in [0, 2] {
        let outputs = solo.respond(invites[index].0, response(&invites[index].1, 487, "b"));
        assert_eq!(ends(&outputs), [(legs[index], cancelled(Why::AnsweredElsewhere), Some(487))]);
    }
    assert_eq!(solo.calls.load().offers, 0);
}

#[test]
fn a_second_2xx_with_another_tag_is_acknowledged_and_ended() {
    let (mut solo, leg, transaction, invite) = one();
    solo.respond(transaction, response(&invite, 200, "b"));
    let outputs = solo.respond(transaction, response(&invite, 200, "c"));
    assert_eq!(acks(&outputs)[0].to_tag().as_deref(), Some("c"));
    let (_, bye) = &sent(&outputs, &Method::Bye)[0];
    assert_eq!((bye.to_tag().as_deref(), bye.cseq()), (Some("c"), Some(2)));
    assert_eq!(reasons(&bye.headers), [ELSEWHERE]);
    let outputs = solo.respond(transaction, response(&invite, 200, "c"));
    assert_eq!((acks(&outputs).len(), sent(&outputs, &Method::Bye).len()), (1, 0), "a retransmission");
    let outputs = solo.respond(transaction, response(&invite, 200, "b"));
    assert_eq!((acks(&outputs).len(), outputs.len()), (1, 1), "a retransmission of the winner");
    assert_eq!(solo.calls.leg_state(leg), Some("connected"));
}

#[test]
fn a_2xx_after_cancel_is_acknowledged_and_ended() {
    let (mut solo, leg, transaction, invite) = one();
    let hang_up = Input::HangUp { leg, reason: Vec::new(), termination: cancelled(Why::RequestCancelled) };
    assert_eq!(cancels(&solo.input(hang_up)).len(), 1);
    let outputs = solo.respond(transaction, response(&invite, 200, "b"));
    assert_eq!(acks(&outputs).len(), 1);
    assert_eq!(reasons(&sent(&outputs, &Method::Bye)[0].1.headers), [ELSEWHERE]);
    assert_eq!(ends(&outputs), [(leg, cancelled(Why::RequestCancelled), Some(200))]);
}

#[test]
fn a_redirection_is_a_failure_unless_the_dial_follows_it() {
    let moved = |invite: &Request| {
        let mut moved = response(invite, 302, "b");
        moved.headers.set("Contact", "<sip:low@y>;q=0.1, <sip:best@y>;q=0.9");
        moved
    };
    let (mut solo, leg, transaction, invite) = one();
    let outputs = solo.respond(transaction, moved(&invite));
    assert_eq!(ends(&outputs), [(leg, failed(Why::InvalidTarget), Some(302))]);
    assert_eq!(failures(&outputs), [(failed(Why::InvalidTarget), Some(302))]);
    assert!(sent(&outputs, &Method::Invite).is_empty());

    let (mut solo, leg, transaction, invite) = one_with(|dial| dial.follow_redirects = 1);
    let outputs = solo.respond(transaction, moved(&invite));
    let (transaction, again) = sent(&outputs, &Method::Invite).remove(0);
    assert_eq!(again.uri.to_string(), "sip:best@y");
    assert_eq!((again.cseq(), again.call_id()), (Some(2), invite.call_id()));
    let outputs = solo.respond(transaction, moved(&again));
    assert_eq!(ends(&outputs), [(leg, failed(Why::InvalidTarget), Some(302))], "only one may be followed");
}

#[test]
fn refusals_end_with_the_reason_c3p_4_3_names() {
    let table = [
        (486, Why::Busy),
        (600, Why::Busy),
        (603, Why::Declined),
        (607, Why::Declined),
        (608, Why::Declined),
        (480, Why::NoAnswer),
        (408, Why::NoAnswer),
        (487, Why::NoAnswer),
        (404, Why::InvalidTarget),
        (410, Why::InvalidTarget),
        (484, Why::InvalidTarget),
        (604, Why::InvalidTarget),
        (403, Why::Forbidden),
        (488, Why::MediaNotSupported),
        (606, Why::MediaNotSupported),
        (415, Why::MediaNotSupported),
        (500, Why::ServiceUnavailable),
        (503, Why::ServiceUnavailable),
        (420, Why::ProtocolError),
        (491, Why::ProtocolError),
        (699, Why::ProtocolError),
    ];
    for (status, reason) in table {
        let (mut solo, leg, transaction, invite) = one();
        let outputs = solo.respond(transaction, response(&invite, status, "b"));
        assert_eq!(ends(&outputs), [(leg, failed(reason), Some(status))]);
        assert_eq!(failures(&outputs), [(failed(reason), Some(status))]);
        solo.check_drained();
    }
}

#[test]
fn silence_and_transport_errors_have_their_own_reasons() {
    let cases = [
        (ClientFailure::Timeout, false, Why::ServiceUnavailable),
        (ClientFailure::Timeout, true, Why::NoAnswer),
        (ClientFailure::Transport, false, Why::TransportFailed),
    ];
    for (failure, rang, reason) in cases {
        let (mut solo, leg, transaction, invite) = one();
        if rang {
            solo.respond(transaction, response(&invite, 180, "b"));
        }
        let outputs = solo.sip(SipEvent::Failed { transaction, failure });
        assert_eq!(ends(&outputs), [(leg, failed(reason), None)]);
    }
}

#[test]
fn a_422_is_tried_once_more_with_the_larger_interval() {
    let (mut solo, leg, transaction, invite) = one();
    let small = |invite: &Request, minimum: &str| response(invite, 422, "b").with_header("Min-SE", minimum);
    let outputs = solo.respond(transaction, small(&invite, "2400"));
    let (second, again) = sent(&outputs, &Method::Invite).remove(0);
    assert_eq!(again.headers.get("Session-Expires"), Some("2400;refresher=uac"));
    assert_eq!((again.headers.get("Min-SE"), again.cseq()), (Some("2400"), Some(2)));
    let outputs = solo.respond(second, small(&again, "4800"));
    assert_eq!(ends(&outputs), [(leg, failed(Why::ProtocolError), Some(422))]);
}

#[test]
fn a_target_that_says_nothing_is_out_of_service() {
    let (mut solo, leg, transaction, invite) = one_with(|dial| dial.silence_limit = Some(seconds(5)));
    let outputs = solo.elapse(seconds(5));
    assert_eq!(failures(&outputs), [(failed(Why::ServiceUnavailable), None)]);
    assert_eq!(cancels(&outputs).len(), 1);
    let outputs = solo.sip(SipEvent::Failed { transaction, failure: ClientFailure::Timeout });
    assert_eq!(ends(&outputs), [(leg, failed(Why::ServiceUnavailable), None)]);

    let (mut solo, _, second, _) = one_with(|dial| dial.silence_limit = Some(seconds(5)));
    solo.respond(second, response(&invite, 100, ""));
    assert!(solo.elapse(seconds(20)).is_empty(), "a 100 is enough");
}

#[test]
fn serial_targets_ring_one_after_another() {
    let mut solo = Solo::new();
    let (_, legs, invites) = solo.dialled(3, RingMode::Serial { each: seconds(15) }, |_| {});
    assert_eq!(invites.len(), 1);
    let outputs = solo.respond(invites[0].0, response(&invites[0].1, 486, "b"));
    assert_eq!(ends(&outputs), [(legs[0], failed(Why::Busy), Some(486))]);
    let second = sent(&outputs, &Method::Invite).remove(0);
    solo.respond(second.0, response(&second.1, 180, "b"));
    assert!(solo.elapse(seconds(14)).is_empty());
    let outputs = solo.elapse(seconds(1));
    assert_eq!(cancels(&outputs)[0].1, ["SIP;cause=480;text=\"No answer\""]);
    let third = sent(&outputs, &Method::Invite).remove(0);
    let outputs = solo.respond(third.0, response(&third.1, 503, "b"));
    assert_eq!(failures(&outputs), [(failed(Why::Busy), Some(486))], "the best response of the three");
    let outputs = solo.respond(second.0, response(&second.1, 487, "b"));
    assert_eq!(ends(&outputs), [(legs[1], failed(Why::NoAnswer), Some(487))]);
    solo.check_drained();
}

#[test]
fn an_answer_of_one_serial_target_ends_those_who_wait() {
    let mut solo = Solo::new();
    let (_, legs, invites) = solo.dialled(2, RingMode::Serial { each: seconds(15) }, |_| {});
    let outputs = solo.respond(invites[0].0, response(&invites[0].1, 200, "b"));
    assert_eq!(ends(&outputs), [(legs[1], cancelled(Why::AnsweredElsewhere), None)]);
    assert!(sent(&solo.elapse(seconds(60)), &Method::Invite).is_empty());
}

#[test]
fn the_ring_limit_ends_the_offer_at_once_and_the_legs_when_they_are_over() {
    let mut solo = Solo::new();
    let (_, legs, invites) = solo.dialled(2, RingMode::Parallel, |_| {});
    solo.respond(invites[0].0, response(&invites[0].1, 180, "b"));
    assert!(solo.elapse(seconds(59)).is_empty());
    let outputs = solo.elapse(seconds(1));
    assert_eq!(failures(&outputs), [(failed(Why::NoAnswer), None)]);
    assert_eq!(cancels(&outputs).len(), 2);
    for (index, (transaction, invite)) in invites.iter().enumerate() {
        let outputs = solo.respond(*transaction, response(invite, 487, "b"));
        assert_eq!(ends(&outputs), [(legs[index], failed(Why::NoAnswer), Some(487))]);
    }
    solo.check_drained();
}

#[test]
fn legs_beyond_the_bound_end_at_once() {
    let mut solo = Solo::with(call::CallConfig { legs_per_offer: 1, ..call::CallConfig::default() });
    let offer = solo.calls.allocate_offer();
    let legs = [solo.calls.allocate_leg(), solo.calls.allocate_leg()];
    let dial = crate::support::dial(offer, &legs, RingMode::Parallel);
    let outputs = solo.input(Input::Dial(Box::new(dial.clone())));
    assert_eq!(ends(&outputs), [(legs[1], failed(Why::LimitReached), None)]);
    assert_eq!(sent(&outputs, &Method::Invite).len(), 1);
}

#[test]
fn an_offer_without_targets_fails() {
    let mut solo = Solo::new();
    let offer = solo.calls.allocate_offer();
    let dial = crate::support::dial(offer, &[], RingMode::Parallel);
    assert_eq!(failures(&solo.input(Input::Dial(Box::new(dial)))), [(failed(Why::InvalidTarget), None)]);
    solo.check_drained();
}

#[test]
fn the_callee_may_speak_in_an_early_dialog() {
    let (mut solo, _, transaction, invite) = one();
    solo.respond(transaction, response(&invite, 180, "b"));
    let mut callee = Peer::callee(&invite, "b");
    for (method, body, status) in
        [(Method::Update, "", 200), (Method::Update, "offer", 491), (Method::Info, "x", 481), (Method::Bye, "", 200)]
    {
        let mut request = callee.request(method);
        if !body.is_empty() {
            request = request.with_body("application/sdp", body.to_owned());
        }
        let (_, outputs) = solo.request(request.clone());
        assert_eq!(statuses(&outputs), [status], "{} {body}", request.method);
    }
}
