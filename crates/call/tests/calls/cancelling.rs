//! Giving up what has not been answered (routing.md 2.4).

use base::TerminationReason as Why;
use call::{Input, RingMode};
use sip_api::{ClientFailure, Method, SipEvent};

use crate::support::solo::{Solo, acks, cancelled, cancels, ends, failed, failures, response, sent};
use crate::support::{credentials, seconds};

#[test]
fn cancelling_an_offer_cancels_every_ringing_leg_with_the_reason() {
    let mut solo = Solo::new();
    let (offer, legs, invites) = solo.dialled(2, RingMode::Parallel, |_| {});
    let reason = vec!["SIP;cause=487;text=\"Caller left\"".to_owned()];
    let outputs = solo.input(Input::Cancel { offer, reason: reason.clone() });
    assert_eq!(failures(&outputs), [(cancelled(Why::RequestCancelled), None)]);
    assert!(cancels(&outputs).iter().all(|(_, given)| *given == reason));
    assert_eq!(cancels(&outputs).len(), 2);
    for (index, (transaction, invite)) in invites.iter().enumerate() {
        let outputs = solo.respond(*transaction, response(invite, 487, "b"));
        assert_eq!(ends(&outputs), [(legs[index], cancelled(Why::RequestCancelled), Some(487))]);
    }
    solo.check_drained();
}

#[test]
fn a_cancelled_leg_keeps_its_reason_whatever_the_final_response_says() {
    for status in [486, 487, 603, 302, 503] {
        let mut solo = Solo::new();
        let (offer, legs, invites) = solo.dialled(1, RingMode::Parallel, |dial| dial.follow_redirects = 3);
        solo.input(Input::Cancel { offer, reason: Vec::new() });
        let outputs = solo.respond(invites[0].0, response(&invites[0].1, status, "b"));
        assert_eq!(ends(&outputs), [(legs[0], cancelled(Why::RequestCancelled), Some(status))]);
        assert!(failures(&outputs).is_empty(), "said already");
    }
}

#[test]
fn a_cancelled_leg_does_not_wait_for_ever() {
    let mut solo = Solo::new();
    let (offer, legs, invites) = solo.dialled(1, RingMode::Parallel, |_| {});
    solo.respond(invites[0].0, response(&invites[0].1, 180, "b"));
    solo.input(Input::Cancel { offer, reason: Vec::new() });
    assert!(solo.elapse(seconds(31)).is_empty());
    let outputs = solo.elapse(seconds(1));
    assert_eq!(ends(&outputs), [(legs[0], cancelled(Why::RequestCancelled), None)]);
    let outputs = solo.respond(invites[0].0, response(&invites[0].1, 200, "b"));
    assert_eq!((acks(&outputs).len(), sent(&outputs, &Method::Bye).len()), (1, 1), "an answer even later is ended");
    solo.check_drained();
}

#[test]
fn a_cancelled_leg_still_acknowledges_reliable_responses() {
    let mut solo = Solo::new();
    let (offer, _, invites) = solo.dialled(1, RingMode::Parallel, |_| {});
    solo.input(Input::Cancel { offer, reason: Vec::new() });
    let (transaction, invite) = &invites[0];
    let reliable = response(invite, 180, "b").with_header("Require", "100rel").with_header("RSeq", "1");
    let outputs = solo.respond(*transaction, reliable);
    assert_eq!((sent(&outputs, &Method::Prack).len(), outputs.len()), (1, 1), "PRACK, but it does not ring any more");
}

#[test]
fn hanging_up_one_leg_leaves_the_others_ringing() {
    let mut solo = Solo::new();
    let (_, legs, invites) = solo.dialled(2, RingMode::Parallel, |_| {});
    let outputs =
        solo.input(Input::HangUp { leg: legs[0], reason: Vec::new(), termination: cancelled(Why::RequestCancelled) });
    assert_eq!((cancels(&outputs).len(), failures(&outputs).len()), (1, 0));
    let outputs = solo.respond(invites[1].0, response(&invites[1].1, 603, "b"));
    assert_eq!(failures(&outputs), [(failed(Why::Declined), Some(603))]);
    assert_eq!(ends(&outputs), [(legs[1], failed(Why::Declined), Some(603))]);
}

#[test]
fn hanging_up_a_waiting_leg_ends_it_at_once() {
    let mut solo = Solo::new();
    let (_, legs, invites) = solo.dialled(2, RingMode::Serial { each: seconds(15) }, |_| {});
    let hang_up = Input::HangUp { leg: legs[1], reason: Vec::new(), termination: cancelled(Why::RequestCancelled) };
    let outputs = solo.input(hang_up);
    assert_eq!(ends(&outputs), [(legs[1], cancelled(Why::RequestCancelled), None)]);
    assert_eq!(outputs.len(), 1);
    let outputs = solo.respond(invites[0].0, response(&invites[0].1, 486, "b"));
    assert_eq!(failures(&outputs), [(failed(Why::Busy), Some(486))]);
}

#[test]
fn a_challenge_that_crosses_our_cancel_is_not_answered() {
    let mut solo = Solo::new();
    let (offer, legs, invites) =
        solo.dialled(1, RingMode::Parallel, |dial| dial.legs[0].1.credentials = Some(credentials()));
    solo.input(Input::Cancel { offer, reason: Vec::new() });
    let challenge = response(&invites[0].1, 407, "b")
        .with_header("Proxy-Authenticate", "Digest realm=\"gw\", nonce=\"n\", qop=\"auth\"");
    let outputs = solo.respond(invites[0].0, challenge);
    assert!(sent(&outputs, &Method::Invite).is_empty());
    assert_eq!(ends(&outputs), [(legs[0], cancelled(Why::RequestCancelled), Some(407))]);
    solo.check_drained();
}

#[test]
fn a_transport_error_ends_a_cancelled_leg() {
    let mut solo = Solo::new();
    let (offer, legs, invites) = solo.dialled(1, RingMode::Parallel, |_| {});
    solo.input(Input::Cancel { offer, reason: Vec::new() });
    let outputs = solo.sip(SipEvent::Failed { transaction: invites[0].0, failure: ClientFailure::Transport });
    assert_eq!(ends(&outputs), [(legs[0], cancelled(Why::RequestCancelled), None)]);
    assert!(solo.input(Input::Cancel { offer, reason: Vec::new() }).is_empty(), "too late changes nothing");
    assert_eq!(solo.calls.ignored(), 1);
}

/// A restarted server sends the INVITE of its predecessor once more, as a retransmission, and gives it up at once.
#[test]
fn an_invite_of_an_earlier_process_is_repeated_and_cancelled() {
    let mut solo = Solo::new();
    let (offer, legs, invites) = solo.dialled(1, RingMode::Parallel, |dial| {
        dial.from = dial.from.clone().with_tag("before");
        dial.legs[0].1.headers = vec![("Call-ID".to_owned(), "earlier@example.com".to_owned())];
    });
    let (transaction, invite) = &invites[0];
    assert_eq!((invite.call_id(), invite.from_tag().as_deref()), ("earlier@example.com", Some("before")));
    assert_eq!(invite.headers.get_all("Call-ID").count(), 1);
    assert_eq!(cancels(&solo.input(Input::Cancel { offer, reason: Vec::new() })).len(), 1);
    let outputs = solo.respond(*transaction, response(invite, 487, "b"));
    assert_eq!(ends(&outputs), [(legs[0], cancelled(Why::RequestCancelled), Some(487))]);
    solo.check_drained();
}
