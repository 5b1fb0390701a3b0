//! Crossing messages (routing.md 2.7, the rows that concern legs and dialogs).

use base::TerminationReason as Why;
use call::{Input, Output, RingMode};
use sip_api::{Method, SipEvent};

use crate::support::solo::{
    Peer, Solo, acks, cancelled, cancels, completed, ends, response, responses, sent, statuses,
};
use crate::support::{sdp, seconds};

/// Row 1.
#[test]
fn the_caller_leaves_while_the_agents_200_is_on_its_way() {
    let mut solo = Solo::new();
    let (offer, legs, invites) = solo.dialled(1, RingMode::Parallel, |_| {});
    solo.input(Input::Cancel { offer, reason: Vec::new() });
    let outputs = solo.respond(invites[0].0, response(&invites[0].1, 200, "b"));
    assert_eq!((acks(&outputs).len(), sent(&outputs, &Method::Bye).len()), (1, 1));
    assert_eq!(ends(&outputs), [(legs[0], cancelled(Why::RequestCancelled), Some(200))]);
    assert!(!outputs.iter().any(|output| matches!(output, Output::Answered { .. })));
}

/// Row 2.
#[test]
fn of_two_200s_the_one_that_arrived_first_wins() {
    let mut solo = Solo::new();
    let (_, legs, invites) = solo.dialled(2, RingMode::Parallel, |_| {});
    let first = solo.respond(invites[1].0, response(&invites[1].1, 200, "b"));
    let second = solo.respond(invites[0].0, response(&invites[0].1, 200, "b"));
    assert!(first.iter().any(|output| matches!(output, Output::Answered { leg, .. } if *leg == legs[1])));
    assert_eq!((acks(&second).len(), sent(&second, &Method::Bye).len()), (1, 1));
    assert_eq!(ends(&second), [(legs[0], cancelled(Why::AnsweredElsewhere), Some(200))]);
}

/// Rows 3 and 4.
#[test]
fn an_answer_beats_the_ring_limit_of_the_same_tick() {
    let mut solo = Solo::new();
    let (_, legs, invites) = solo.dialled(1, RingMode::Parallel, |_| {});
    solo.now = solo.calls.poll_timeout().expect("the ring limit");
    let outputs = solo.respond(invites[0].0, response(&invites[0].1, 200, "b"));
    assert!(outputs.iter().any(|output| matches!(output, Output::Answered { .. })));
    assert!(solo.fire().is_empty());
    assert_eq!(solo.calls.leg_state(legs[0]), Some("connected"));
}

/// Row 7.
#[test]
fn a_cancel_that_crosses_our_200_ends_the_call_once_it_is_acknowledged() {
    let mut solo = Solo::new();
    let (leg, peer, transaction) = solo.accepted("a");
    assert!(solo.sip(SipEvent::Cancelled { transaction, reason: Vec::new() }).is_empty());
    let outputs = solo.ack(&peer);
    assert_eq!(sent(&outputs, &Method::Bye).len(), 1);
    assert_eq!(ends(&outputs), [(leg, cancelled(Why::RequestCancelled), None)]);
    assert!(!outputs.iter().any(|output| matches!(output, Output::Confirmed { .. })), "he never joined");
}

#[test]
fn a_caller_who_cancels_into_our_200_may_also_say_bye_himself() {
    let mut solo = Solo::new();
    let (leg, mut peer, transaction) = solo.accepted("a");
    solo.sip(SipEvent::Cancelled { transaction, reason: Vec::new() });
    let (_, outputs) = solo.request(peer.request(Method::Bye));
    assert_eq!(statuses(&outputs), [200]);
    assert_eq!(ends(&outputs), [(leg, cancelled(Why::RequestCancelled), None)]);
}

/// Row 9, first half.
#[test]
fn a_refer_that_crosses_our_bye_is_refused() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    solo.input(Input::HangUp { leg, reason: Vec::new(), termination: completed(Why::Booted) });
    let mut refer = peer.request(Method::Refer);
    refer.headers.push("Refer-To", "<sip:carol@x>");
    assert_eq!(statuses(&solo.request(refer).1), [481]);
}

#[test]
fn a_transfer_outlives_the_referrers_bye() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    let mut refer = peer.request(Method::Refer);
    refer.headers.push("Refer-To", "<sip:carol@x>");
    let (_, outputs) = solo.request(refer);
    let [Output::Referred { refer, .. }] = outputs[..] else { panic!("{outputs:?}") };
    let outputs = solo.input(Input::RespondRefer { refer, status: 202, headers: Vec::new() });
    let (notify, _) = sent(&outputs, &Method::Notify).remove(0);
    let (_, outputs) = solo.request(peer.request(Method::Bye));
    assert_eq!(ends(&outputs), [(leg, completed(Why::Departed), None)]);
    solo.respond(notify, sip_api::Response::new(200));
    let outputs = solo.input(Input::ReferProgress { refer, status: 200 });
    let (_, notify) = &sent(&outputs, &Method::Notify)[0];
    assert_eq!(&notify.body[..], b"SIP/2.0 200 OK\r\n");
    assert_eq!(notify.headers.get("Subscription-State"), Some("terminated;reason=noresource"));
    solo.check_drained();
    assert_eq!(solo.calls.load().dialogs, 0);
}

/// Row 9, second half.
#[test]
fn crossing_reinvites_get_491_and_ours_is_sent_again() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    let outputs = solo.input(Input::Reoffer { leg, body: sdp("ours") });
    let (transaction, ours) = sent(&outputs, &Method::Invite).remove(0);
    let theirs = peer.request(Method::Invite).with_body("application/sdp", "theirs");
    assert_eq!(statuses(&solo.request(theirs).1), [491]);
    assert!(solo.respond(transaction, response(&ours, 491, "a")).is_empty());
    // We did not make the Call-ID: our turn comes within two seconds.
    let outputs = solo.elapse(seconds(2));
    let (transaction, again) = sent(&outputs, &Method::Invite).remove(0);
    assert_eq!((&again.body[..], again.cseq() > ours.cseq()), (&b"ours"[..], true));
    let outputs = solo.respond(transaction, response(&again, 200, "a").with_body("application/sdp", "yes"));
    assert_eq!(acks(&outputs).len(), 1);
    assert!(outputs.iter().any(|output| matches!(output, Output::ReofferAnswered { result: Ok(Some(_)), .. })));
}

#[test]
fn the_owner_of_the_call_id_waits_longer_and_answers_the_other_meanwhile() {
    let mut solo = Solo::new();
    let (leg, mut peer, _) = solo.answered(|answer| answer);
    let outputs = solo.input(Input::Reoffer { leg, body: sdp("ours") });
    let (transaction, ours) = sent(&outputs, &Method::Invite).remove(0);
    solo.respond(transaction, response(&ours, 491, "b"));
    assert!(solo.elapse(seconds(2)).is_empty(), "2.1 s at least");
    let (_, outputs) = solo.request(peer.request(Method::Invite).with_body("application/sdp", "theirs"));
    assert!(matches!(outputs[..], [Output::Offered { .. }]));
    assert!(sent(&solo.elapse(seconds(2)), &Method::Invite).is_empty(), "the peer's exchange is under way");
    assert_eq!(statuses(&solo.input(Input::AnswerOffer { leg, body: Some(sdp("yes")) })), [200]);
    let outputs = solo.ack(&peer);
    assert_eq!(&sent(&outputs, &Method::Invite)[0].1.body[..], b"ours");
}

#[test]
fn a_second_reinvite_before_the_answer_gets_500_with_retry_after() {
    let mut solo = Solo::new();
    let (_, mut peer) = solo.joined("a");
    solo.request(peer.request(Method::Invite).with_body("application/sdp", "one"));
    let (_, outputs) = solo.request(peer.request(Method::Invite).with_body("application/sdp", "two"));
    let (_, refused) = &responses(&outputs)[0];
    assert_eq!((refused.status, refused.headers.get("Retry-After")), (500, Some("2")));
}

#[test]
fn a_bye_that_crosses_ours_is_agreed_to() {
    let mut solo = Solo::new();
    let (leg, mut peer) = solo.joined("a");
    let outputs = solo.input(Input::HangUp { leg, reason: Vec::new(), termination: completed(Why::Booted) });
    let (bye, _) = sent(&outputs, &Method::Bye).remove(0);
    let (_, outputs) = solo.request(peer.request(Method::Bye));
    assert_eq!((statuses(&outputs), ends(&outputs).len()), (vec![200], 0));
    solo.respond(bye, sip_api::Response::new(481));
    assert_eq!(solo.calls.load().dialogs, 0);
    assert_eq!(statuses(&solo.request(peer.request(Method::Bye)).1), [481]);
}

#[test]
fn a_200_that_crosses_a_hang_up_of_the_last_leg_is_ended() {
    let mut solo = Solo::new();
    let (_, legs, invites) = solo.dialled(1, RingMode::Parallel, |_| {});
    let hang_up =
        Input::HangUp { leg: legs[0], reason: vec!["SIP;cause=487".to_owned()], termination: cancelled(Why::Booted) };
    assert_eq!(cancels(&solo.input(hang_up)).len(), 1);
    let outputs = solo.respond(invites[0].0, response(&invites[0].1, 200, "b"));
    let bye = &sent(&outputs, &Method::Bye)[0].1;
    assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=487"), "the reason of the CANCEL");
}

#[test]
fn a_callees_bye_that_overtakes_his_200_ends_the_leg_at_once() {
    for rang in [false, true] {
        let mut solo = Solo::new();
        let (_, legs, invites) = solo.dialled(1, RingMode::Parallel, |_| {});
        let (transaction, invite) = invites[0].clone();
        if rang {
            solo.respond(transaction, response(&invite, 180, "b"));
        }
        let (_, outputs) = solo.request(Peer::callee(&invite, "b").request(Method::Bye));
        assert_eq!(statuses(&outputs), [200], "rang: {rang}");
        let outputs = solo.respond(transaction, response(&invite, 200, "b"));
        assert_eq!((acks(&outputs).len(), sent(&outputs, &Method::Bye).len()), (1, 0), "rang: {rang}");
        assert_eq!(ends(&outputs), [(legs[0], completed(Why::Departed), Some(200))], "rang: {rang}");
        let outputs = solo.respond(transaction, response(&invite, 200, "b"));
        assert_eq!(acks(&outputs).len(), 1, "a retransmission is acknowledged");
        solo.elapse(seconds(60));
        solo.check_drained();
    }
}

#[test]
fn a_bye_that_belongs_to_no_call_of_ours_makes_none_fail() {
    let mut solo = Solo::new();
    let (_, legs, invites) = solo.dialled(1, RingMode::Parallel, |_| {});
    let (transaction, invite) = invites[0].clone();
    let mut stranger = invite.clone();
    stranger.headers.set("From", "<sip:convoke@example.com>;tag=guessed");
    let (_, outputs) = solo.request(Peer::callee(&stranger, "b").request(Method::Bye));
    assert_eq!(statuses(&outputs), [481]);
    solo.respond(transaction, response(&invite, 200, "b"));
    assert_eq!(solo.calls.leg_state(legs[0]), Some("connected"));
}
