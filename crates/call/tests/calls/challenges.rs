//! Trunks that want to know who calls: 401 and 407 to any request of a call (RFC 3261 22).

use base::TerminationReason as Why;
use call::{Input, Output, RingMode, Unanswered};
use sip_api::{ClientTransactionId, DigestAlgorithm, DigestParams, Method, Request, Response};

use crate::support::solo::{Peer, Solo, acks, ends, failed, response, sent, statuses};
use crate::support::{credentials, sdp};

const PROXY: &str = "Proxy-Authorization";

/// 407 with this nonce.
fn challenge(request: &Request, nonce: &str, more: &str) -> Response {
    let value = format!("Digest realm=\"gw\", nonce=\"{nonce}\", algorithm=SHA-256, qop=\"auth\"{more}");
    response(request, 407, "b").with_header("Proxy-Authenticate", value)
}

/// The nonce a request answers and how often it was used, if the answer is right.
fn answered(request: &Request) -> Option<(String, String)> {
    let values: Vec<&str> = request.headers.get_all(PROXY).collect();
    let [value] = values[..] else { return None };
    let params = DigestParams::parse(value)?;
    let (nonce, count, cnonce) = (params.get("nonce")?, params.get("nc")?, params.get("cnonce")?);
    let ha1 = DigestAlgorithm::Sha256.ha1("line7", "gw", "sesame open");
    let (method, uri) = (request.method.as_str(), request.uri.to_string());
    let wanted = DigestAlgorithm::Sha256.response(&ha1, nonce, Some((count, cnonce)), method, &uri);
    (params.get("response") == Some(&wanted) && params.get("uri") == Some(&uri))
        .then(|| (nonce.to_owned(), count.to_owned()))
}

fn pair(nonce: &str, count: &str) -> Option<(String, String)> {
    Some((nonce.to_owned(), format!("{count:0>8}")))
}

fn dialled() -> (Solo, base::LegId, ClientTransactionId, Request) {
    let mut solo = Solo::new();
    let (_, legs, mut invites) =
        solo.dialled(1, RingMode::Parallel, |dial| dial.legs[0].1.credentials = Some(credentials()));
    let (transaction, invite) = invites.remove(0);
    (solo, legs[0], transaction, invite)
}

fn one(outputs: &[Output], method: &Method) -> (ClientTransactionId, Request) {
    let mut sent = sent(outputs, method);
    assert_eq!(sent.len(), 1, "{outputs:?}");
    sent.remove(0)
}

/// A call whose INVITE was challenged and then answered.
fn connected() -> (Solo, base::LegId, Request) {
    let (mut solo, leg, transaction, invite) = dialled();
    let (second, again) = one(&solo.respond(transaction, challenge(&invite, "n", "")), &Method::Invite);
    solo.respond(second, response(&again, 200, "b").with_body("application/sdp", "answer"));
    assert_eq!(solo.calls.leg_state(leg), Some("connected"));
    (solo, leg, again)
}

#[test]
fn an_invite_is_repeated_with_the_answer_and_so_is_its_ack() {
    let (mut solo, leg, transaction, invite) = dialled();
    assert_eq!(invite.headers.get(PROXY), None);
    let (second, again) = one(&solo.respond(transaction, challenge(&invite, "n", "")), &Method::Invite);
    assert_eq!((again.cseq(), again.call_id(), again.from_tag()), (Some(2), invite.call_id(), invite.from_tag()));
    assert_eq!(answered(&again), pair("n", "1"));
    let outputs = solo.respond(second, response(&again, 200, "b").with_body("application/sdp", "answer"));
    let ack = &acks(&outputs)[0];
    assert_eq!((ack.cseq(), ack.headers.get(PROXY)), (Some(2), again.headers.get(PROXY)));
    assert_eq!(solo.calls.leg_state(leg), Some("connected"));
}

#[test]
fn a_wrong_password_fails_the_leg_after_one_try() {
    for more in ["", ", stale=false"] {
        let (mut solo, leg, transaction, invite) = dialled();
        let (second, again) = one(&solo.respond(transaction, challenge(&invite, "n", "")), &Method::Invite);
        let outputs = solo.respond(second, challenge(&again, "m", more));
        assert!(sent(&outputs, &Method::Invite).is_empty());
        assert_eq!(ends(&outputs), [(leg, failed(Why::Unauthorized), Some(407))]);
        let told = |output: &Output| matches!(output, Output::Unauthorized { why: Unanswered::Refused, .. });
        assert_eq!(outputs.iter().filter(|output| told(output)).count(), 1);
        solo.check_drained();
    }
}

#[test]
fn without_credentials_or_with_a_challenge_we_do_not_know_the_leg_fails_at_once() {
    let mut solo = Solo::new();
    let (_, legs, invites) = solo.dialled(1, RingMode::Parallel, |_| {});
    let outputs = solo.respond(invites[0].0, challenge(&invites[0].1, "n", ""));
    assert_eq!(ends(&outputs), [(legs[0], failed(Why::Unauthorized), Some(407))]);
    assert!(outputs.iter().any(|output| matches!(output, Output::Unauthorized { why: Unanswered::NoCredentials, .. })));

    let (mut solo, leg, transaction, invite) = dialled();
    let outputs = solo.respond(transaction, response(&invite, 401, "b"));
    assert_eq!(ends(&outputs), [(leg, failed(Why::Unauthorized), Some(401))]);
    assert!(outputs.iter().any(|output| matches!(output, Output::Unauthorized { why: Unanswered::Unsupported, .. })));
}

#[test]
fn a_stale_nonce_is_replaced_and_nobody_makes_us_repeat_a_request_for_ever() {
    let (mut solo, leg, mut transaction, mut invite) = dialled();
    let mut repeated = 0;
    loop {
        let outputs = solo.respond(transaction, challenge(&invite, &format!("n{repeated}"), ", stale=true"));
        let Some(next) = sent(&outputs, &Method::Invite).pop() else {
            assert_eq!(ends(&outputs), [(leg, failed(Why::Unauthorized), Some(407))]);
            break;
        };
        (transaction, invite) = next;
        assert_eq!(answered(&invite), pair(&format!("n{repeated}"), "1"));
        repeated += 1;
    }
    assert_eq!(repeated, 4);
    solo.check_drained();
}

#[test]
fn later_requests_carry_the_answer_in_advance_and_are_repeated_when_they_are_challenged() {
    let (mut solo, leg, _) = connected();
    let (transaction, reinvite) = one(&solo.input(Input::Reoffer { leg, body: sdp("new") }), &Method::Invite);
    assert_eq!(answered(&reinvite), pair("n", "2"));
    let (second, again) = one(&solo.respond(transaction, challenge(&reinvite, "m", "")), &Method::Invite);
    assert_eq!((again.cseq(), answered(&again)), (Some(4), pair("m", "1")));
    let outputs = solo.respond(second, response(&again, 200, "b").with_body("application/sdp", "answer"));
    assert!(outputs.iter().any(|output| matches!(output, Output::ReofferAnswered { result: Ok(Some(_)), .. })));
    assert_eq!(acks(&outputs)[0].cseq(), Some(4));

    let hang_up = Input::HangUp { leg, reason: Vec::new(), termination: failed(Why::Departed) };
    let (bye, request) = one(&solo.input(hang_up), &Method::Bye);
    assert_eq!(answered(&request), pair("m", "2"));
    let (bye, request) = one(&solo.respond(bye, challenge(&request, "last", ", stale=true")), &Method::Bye);
    assert_eq!((request.cseq(), answered(&request)), (Some(6), pair("last", "1")));
    solo.respond(bye, response(&request, 200, "b"));
    solo.check_drained();
}

#[test]
fn a_fork_that_answers_too_late_is_ended_with_credentials() {
    let (mut solo, _, transaction, invite) = dialled();
    let (second, again) = one(&solo.respond(transaction, challenge(&invite, "n", "")), &Method::Invite);
    solo.respond(second, response(&again, 200, "b").with_body("application/sdp", "answer"));
    let outputs = solo.respond(second, response(&again, 200, "c").with_body("application/sdp", "answer"));
    let (_, bye) = one(&outputs, &Method::Bye);
    assert_eq!(answered(&bye), pair("n", "2"));
    let mut callee = Peer::callee(&again, "b");
    let (_, outputs) = solo.request(callee.request(Method::Bye));
    assert_eq!(statuses(&outputs), [200]);
}

#[test]
fn a_fork_whose_prack_was_challenged_is_ended_under_a_number_of_its_own() {
    let (mut solo, _, transaction, invite) = dialled();
    let (second, again) = one(&solo.respond(transaction, challenge(&invite, "n", "")), &Method::Invite);
    let reliable = response(&again, 183, "c").with_header("Require", "100rel").with_header("RSeq", "1");
    let (prack, request) = one(&solo.respond(second, reliable), &Method::Prack);
    let (_, repeated) = one(&solo.respond(prack, challenge(&request, "m", ", stale=true")), &Method::Prack);
    solo.respond(second, response(&again, 200, "b").with_body("application/sdp", "answer"));
    let outputs = solo.respond(second, response(&again, 200, "c").with_body("application/sdp", "answer"));
    let (_, bye) = one(&outputs, &Method::Bye);
    assert_eq!((repeated.cseq(), bye.cseq()), (Some(4), Some(5)));
}

#[test]
fn who_redirects_us_is_not_told_the_answer() {
    let mut solo = Solo::new();
    let (_, _, invites) = solo.dialled(1, RingMode::Parallel, |dial| {
        dial.legs[0].1.credentials = Some(credentials());
        dial.follow_redirects = 1;
    });
    let (transaction, invite) = &invites[0];
    let (second, again) = one(&solo.respond(*transaction, challenge(invite, "n", "")), &Method::Invite);
    let mut moved = response(&again, 302, "b");
    moved.headers.set("Contact", "<sip:eve@elsewhere.example>");
    let outputs = solo.respond(second, moved);
    let (third, elsewhere) = one(&outputs, &Method::Invite);
    assert_eq!(elsewhere.headers.get(PROXY), None);
    let outputs = solo.respond(third, challenge(&elsewhere, "x", ""));
    assert!(sent(&outputs, &Method::Invite).is_empty());
}
