//! Some targets ring at once and others join in; and a mailbox that answers too soon does not win.

use base::{Duration, LegId, TerminationReason as Why};
use call::{Output, RingMode};
use sip_api::{ClientTransactionId, Method, Request};

use crate::support::seconds;
use crate::support::solo::{Solo, acks, cancels, ends, failed, failures, response, sent};

fn staged(solo: &mut Solo) -> (Vec<LegId>, Vec<(ClientTransactionId, Request)>) {
    let (_, legs, invites) = solo.dialled(3, RingMode::Staged { first: 1, after: seconds(10) }, |_| {});
    (legs, invites)
}

#[test]
fn the_others_join_in_when_their_time_has_come_and_the_first_rings_on() {
    let mut solo = Solo::new();
    let (_, invites) = staged(&mut solo);
    assert_eq!(invites.len(), 1);
    solo.respond(invites[0].0, response(&invites[0].1, 180, "b"));
    assert!(solo.elapse(seconds(9)).is_empty());
    let outputs = solo.elapse(seconds(1));
    assert_eq!(sent(&outputs, &Method::Invite).len(), 2);
    assert!(cancels(&outputs).is_empty());
    let outputs = solo.respond(invites[0].0, response(&invites[0].1, 200, "b"));
    assert_eq!(cancels(&outputs).len(), 2, "the first can still win");
}

#[test]
fn the_others_join_in_at_once_when_nobody_rings() {
    let mut solo = Solo::new();
    let (_, invites) = staged(&mut solo);
    let outputs = solo.respond(invites[0].0, response(&invites[0].1, 486, "b"));
    let joined = sent(&outputs, &Method::Invite);
    assert_eq!(joined.len(), 2);
    assert!(sent(&solo.elapse(seconds(10)), &Method::Invite).is_empty(), "they ring already");
    for (transaction, invite) in &joined[..1] {
        assert!(failures(&solo.respond(*transaction, response(invite, 480, "c"))).is_empty());
    }
    let outputs = solo.respond(joined[1].0, response(&joined[1].1, 603, "d"));
    assert_eq!(failures(&outputs), [(failed(Why::Declined), Some(603))]);
    solo.check_drained();
}

#[test]
fn those_who_wait_end_with_the_offer() {
    let mut solo = Solo::new();
    let (legs, invites) = staged(&mut solo);
    let outputs = solo.respond(invites[0].0, response(&invites[0].1, 200, "b"));
    let ended: Vec<_> = ends(&outputs).iter().map(|(leg, ..)| *leg).collect();
    assert_eq!(ended, legs[1..]);
    assert!(sent(&solo.elapse(seconds(20)), &Method::Invite).is_empty());
}

#[test]
fn an_answer_that_comes_too_soon_is_a_mailbox_and_the_others_ring_on() {
    let within = Duration::from_millis(1_500);
    let mailbox = |dial: &mut call::Dial| dial.legs[1].1.machine_within = Some(within);
    let mut solo = Solo::new();
    let (_, legs, invites) = solo.dialled(2, RingMode::Parallel, mailbox);
    solo.elapse(Duration::from_millis(1_400));
    let outputs = solo.respond(invites[1].0, response(&invites[1].1, 200, "m"));
    let byes = sent(&outputs, &Method::Bye);
    assert_eq!((acks(&outputs).len(), byes.len()), (1, 1));
    assert!(byes[0].1.headers.get("Reason").is_some_and(|reason| reason.contains("mailbox")), "{byes:?}");
    assert_eq!(ends(&outputs), [(legs[1], failed(Why::NoAnswer), None)]);
    assert!(cancels(&outputs).is_empty() && failures(&outputs).is_empty());
    let outputs = solo.respond(invites[1].0, response(&invites[1].1, 200, "m"));
    assert_eq!((acks(&outputs).len(), outputs.len()), (1, 1), "a retransmission");
    let outputs = solo.respond(invites[0].0, response(&invites[0].1, 200, "b"));
    assert!(matches!(outputs.iter().find(|output| matches!(output, Output::Answered { .. })),
        Some(Output::Answered { leg, .. }) if *leg == legs[0]));

    let (_, legs, invites) = solo.dialled(2, RingMode::Parallel, mailbox);
    solo.elapse(within);
    let outputs = solo.respond(invites[1].0, response(&invites[1].1, 200, "m"));
    assert!(outputs.iter().any(|output| matches!(output, Output::Answered { leg, .. } if *leg == legs[1])));
}

#[test]
fn a_target_may_be_shown_another_caller() {
    let mut solo = Solo::new();
    let other = ("From".to_owned(), "\"Ann\" <sip:+4930@example.com>".to_owned());
    let (_, _, invites) = solo.dialled(2, RingMode::Parallel, |dial| dial.legs[1].1.headers.push(other));
    let from = |index: usize| invites[index].1.headers.get("From").expect("it has one").to_owned();
    assert!(from(0).starts_with("\"Conference\" <sip:conf@example.com>;tag="));
    assert!(from(1).starts_with("\"Ann\" <sip:+4930@example.com>;tag="), "{}", from(1));
    assert_eq!(invites[1].1.headers.get_all("From").count(), 1);
}

#[test]
fn a_tag_that_was_written_down_before_the_invite_is_kept() {
    let mut solo = Solo::new();
    let other = ("From".to_owned(), "<sip:sales@example.com>;tag=journalled".to_owned());
    let (_, _, invites) = solo.dialled(2, RingMode::Parallel, |dial| dial.legs[1].1.headers.push(other));
    assert_eq!(invites[1].1.headers.get("From"), Some("<sip:sales@example.com>;tag=journalled"));
}
