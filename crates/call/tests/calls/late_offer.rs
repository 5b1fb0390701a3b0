//! Offers that come in a 200, and the ACK that waits for the answer.

use base::TerminationReason as Why;
use call::{Input, Output, RingMode};
use sip_api::{ClientTransactionId, Method, Request};

use crate::support::solo::{Peer, Solo, acks, ends, failed, response, sent, statuses};
use crate::support::{sdp, seconds};

/// A dialled leg whose callee has made the offer we left out.
fn offered() -> (Solo, base::LegId, ClientTransactionId, Request) {
    let mut solo = Solo::new();
    let (_, legs, mut invites) = solo.dialled(1, RingMode::Parallel, |dial| dial.body = None);
    let (transaction, invite) = invites.remove(0);
    assert!(invite.body.is_empty());
    let outputs = solo.respond(transaction, response(&invite, 200, "b").with_body("application/sdp", "offer"));
    assert!(outputs.iter().any(|output| matches!(output, Output::Answered { body: Some(_), .. })));
    assert!(acks(&outputs).is_empty());
    (solo, legs[0], transaction, invite)
}

#[test]
fn the_answer_goes_into_the_ack_and_every_repetition_of_the_200_gets_it() {
    let (mut solo, leg, transaction, invite) = offered();
    let again = || response(&invite, 200, "b").with_body("application/sdp", "offer");
    assert!(solo.respond(transaction, again()).is_empty(), "nothing to say yet");
    let outputs = solo.input(Input::AnswerOffer { leg, body: Some(sdp("answer")) });
    assert_eq!(acks(&outputs)[0].body, "answer");
    assert_eq!(acks(&solo.respond(transaction, again()))[0].body, "answer");
    let (_, reinvite) = sent(&solo.input(Input::Reoffer { leg, body: sdp("new") }), &Method::Invite).remove(0);
    assert_eq!(reinvite.body, "new");
}

#[test]
fn an_offer_that_nobody_answers_in_time_is_acknowledged_and_ended() {
    let (mut solo, leg, _, _) = offered();
    let outputs = solo.elapse(seconds(21));
    assert_eq!((acks(&outputs).len(), sent(&outputs, &Method::Bye).len()), (1, 1));
    assert_eq!(ends(&outputs), [(leg, failed(Why::MediaNotSupported), None)]);
    solo.check_drained();
}

#[test]
fn a_callee_who_hangs_up_before_he_is_answered_is_acknowledged() {
    let (mut solo, _, _, invite) = offered();
    let (_, outputs) = solo.request(Peer::callee(&invite, "b").request(Method::Bye));
    assert_eq!((statuses(&outputs), acks(&outputs).len()), (vec![200], 1));
    solo.check_drained();
}

#[test]
fn a_peer_is_asked_for_an_offer_and_refused_with_what_he_knows() {
    let mut solo = Solo::new();
    let (leg, _) = solo.joined("a");
    let (transaction, ask) = sent(&solo.input(Input::AskForOffer { leg }), &Method::Invite).remove(0);
    assert!(ask.body.is_empty());
    let outputs = solo.respond(transaction, response(&ask, 200, "a").with_body("application/sdp", "offer"));
    assert!(outputs.iter().any(|output| matches!(output, Output::ReofferAnswered { result: Ok(Some(_)), .. })));
    assert!(acks(&outputs).is_empty());
    let outputs = solo.input(Input::RefuseOffer { leg, status: 488 });
    assert_eq!(acks(&outputs)[0].body, "answer", "the last description we sent");
    assert_eq!(solo.calls.leg_state(leg), Some("connected"));
}

#[test]
fn two_who_ask_at_once_try_again_after_the_glare() {
    let mut solo = Solo::new();
    let (leg, _) = solo.joined("a");
    let (transaction, ask) = sent(&solo.input(Input::AskForOffer { leg }), &Method::Invite).remove(0);
    assert!(sent(&solo.respond(transaction, response(&ask, 491, "a")), &Method::Invite).is_empty());
    let again = sent(&solo.elapse(seconds(5)), &Method::Invite);
    assert_eq!((again.len(), again[0].1.body.len()), (1, 0));
}

#[test]
fn an_offer_that_cannot_be_read_is_replaced_by_the_fallback_once() {
    let mut solo = Solo::new();
    let (_, legs, invites) = solo.dialled(1, RingMode::Parallel, |dial| dial.fallback = Some(sdp("plain")));
    let outputs = solo.respond(invites[0].0, response(&invites[0].1, 415, "b"));
    let (second, again) = sent(&outputs, &Method::Invite).remove(0);
    assert_eq!((&again.body[..], again.cseq()), (&b"plain"[..], Some(2)));
    let outputs = solo.respond(second, response(&again, 415, "b"));
    assert_eq!(ends(&outputs), [(legs[0], failed(Why::MediaNotSupported), Some(415))]);
}
