//! Call histories and users' settings: what comes back, in which order, and what goes.

mod samples;

use base::{CallId, ConversationEntry, ConversationKind, GroupErrand, Termination, TerminationReason};
use samples::*;
use store::{CONVERSATIONS_PER_USER, StoreError, UserProfileRow};

fn line(name: &str, kind: ConversationKind, ended: i64) -> ConversationEntry {
    ConversationEntry {
        user: user(name),
        kind,
        call: CallId(7),
        peer: base::UserUri::parse("tel:+4930111").expect("valid"),
        peer_name: None,
        dialled: None,
        answered_by: None,
        started: 0,
        answered: None,
        ended,
        termination: Termination::failed(TerminationReason::NoAnswer),
        errand: None,
        sip_call_id: None,
    }
}

#[tokio::test]
async fn every_field_and_every_kind_comes_back_after_a_restart() {
    use ConversationKind::*;
    let (store, directory) = open().await;
    let kinds = [
        Outgoing,
        Incoming,
        Missed,
        Declined,
        AnsweredElsewhere,
        NotAnsweredForAnother,
        Diverted,
        GroupCallAnsweredByYou,
        GroupCallAnsweredByOther,
        GroupCallNotAnswered,
        GroupCallAbandoned,
    ];
    let mut lines: Vec<_> = kinds.iter().zip(10..).map(|(kind, ended)| line("bob", *kind, ended)).collect();
    lines[1] = ConversationEntry {
        call: CallId(u64::MAX),
        peer_name: Some("Ann".to_owned()),
        dialled: Some(user("cleo")),
        answered_by: Some(user("dave")),
        started: 3,
        answered: Some(5),
        termination: Termination::completed(TerminationReason::Departed),
        errand: Some(GroupErrand::Whisper),
        sip_call_id: Some("a1@192.0.2.1".to_owned()),
        ..lines[1].clone()
    };
    store.append_conversations(&lines).await.expect("appended");
    store.append_conversations(&[line("cleo", Missed, 99)]).await.expect("appended");
    store.close().await;
    let store = reopen(&directory).await;
    lines.reverse();
    assert_eq!(store.conversations_of(&user("bob"), i64::MAX, 100).await.expect("read"), lines);
    assert_eq!(store.conversations_of(&user("bob"), 12, 1).await.expect("read"), [lines[9].clone()]);
}

#[tokio::test]
async fn the_lines_of_a_call_are_found_in_every_history() {
    let (store, _directory) = open().await;
    let of = |call_id: Option<&str>, line| ConversationEntry { sip_call_id: call_id.map(str::to_owned), ..line };
    let lines = [
        of(Some("a1"), line("bob", ConversationKind::Diverted, 5)),
        of(Some("a2"), line("bob", ConversationKind::Missed, 6)),
        of(None, line("bob", ConversationKind::Missed, 7)),
        of(Some("a1"), line("ann", ConversationKind::Outgoing, 4)),
    ];
    store.append_conversations(&lines).await.expect("appended");
    assert_eq!(store.conversations_of_call("a1").await.expect("read"), [lines[0].clone(), lines[3].clone()]);
    assert_eq!(store.conversations_of_call("").await.expect("read"), []);
    let long = of(Some(&"x".repeat(1_025)), line("bob", ConversationKind::Missed, 1));
    assert!(matches!(store.append_conversations(&[long]).await, Err(StoreError::Invalid(_))));
}

#[tokio::test]
async fn a_history_is_bounded_and_the_oldest_lines_go() {
    let (store, _directory) = open().await;
    // Two of three users get more lines than are kept, in the same transaction and one by turns with the other.
    let lines = |ended| ["bob", "dan"].map(|name| line(name, ConversationKind::Incoming, ended));
    let many: Vec<_> = (0..i64::from(CONVERSATIONS_PER_USER) + 3).flat_map(lines).collect();
    store.append_conversations(&[line("cleo", ConversationKind::Incoming, 1)]).await.expect("appended");
    store.append_conversations(&many).await.expect("appended");
    for name in ["bob", "dan"] {
        let kept = store.conversations_of(&user(name), i64::MAX, u32::MAX).await.expect("read");
        let shape = (kept.len(), kept.last().map(|line| line.ended));
        assert_eq!(shape, (CONVERSATIONS_PER_USER as usize, Some(3)), "{name}");
    }
    assert_eq!(store.conversations_of(&user("cleo"), i64::MAX, 0).await.expect("read").len(), 1);
}

#[tokio::test]
async fn a_line_that_is_written_again_is_there_once() {
    let (store, _directory) = open().await;
    let (first, other) =
        (line("bob", ConversationKind::GroupCallNotAnswered, 5), line("cleo", ConversationKind::Incoming, 5));
    store.append_conversations(std::slice::from_ref(&first)).await.expect("appended");
    let later = ConversationEntry { started: 4, ..first.clone() };
    let lines = [ConversationEntry { peer_name: Some("Ann".to_owned()), ..first.clone() }, other, later.clone()];
    for _ in 0..2 {
        store.append_missing_conversations(&lines).await.expect("appended");
    }
    let kept = store.conversations_of(&user("bob"), i64::MAX, 10).await.expect("read");
    assert_eq!(
        kept,
        [later, first],
        "the first stays as it is; a call of the same number at another time is another one"
    );
    assert_eq!(store.conversations_of(&user("cleo"), i64::MAX, 10).await.expect("read").len(), 1);
}

#[tokio::test]
async fn missed_calls_are_counted_until_they_are_seen() {
    let (store, _directory) = open().await;
    let lines = [
        line("bob", ConversationKind::Missed, 1),
        line("bob", ConversationKind::Incoming, 2),
        line("bob", ConversationKind::GroupCallNotAnswered, 3),
        line("bob", ConversationKind::Missed, 4),
        line("cleo", ConversationKind::Missed, 5),
    ];
    store.append_conversations(&lines).await.expect("appended");
    assert_eq!(store.unseen_missed_calls().await.expect("read"), [(user("bob"), 2), (user("cleo"), 1)]);
    store.mark_missed_calls_seen(&user("bob")).await.expect("marked");
    assert_eq!(store.unseen_missed_calls().await.expect("read"), [(user("cleo"), 1)]);
}

#[tokio::test]
async fn a_line_that_cannot_be_is_refused_with_all_the_others() {
    let (store, _directory) = open().await;
    let good = line("bob", ConversationKind::Missed, 1);
    for bad in [
        line("bob", ConversationKind::Missed, -1),
        ConversationEntry { peer_name: Some("x".repeat(1_025)), ..line("bob", ConversationKind::Missed, 1) },
    ] {
        let refused = store.append_conversations(&[good.clone(), bad]).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
    assert_eq!(store.conversations_of(&user("bob"), i64::MAX, 10).await.expect("read"), []);
}

#[tokio::test]
async fn settings_are_replaced_and_deleted() {
    let (store, directory) = open().await;
    let row = |name: &str, profile: &str| UserProfileRow {
        user: user(name),
        profile: profile.to_owned(),
        configured: "{}".to_owned(),
    };
    for saved in [row("bob", "1"), row("cleo", "2"), row("bob", "3")] {
        store.save_user_profile(&saved).await.expect("saved");
    }
    store.close().await;
    let store = reopen(&directory).await;
    assert_eq!(store.user_profiles().await.expect("read"), [row("bob", "3"), row("cleo", "2")]);
    store.delete_user_profile(&user("bob")).await.expect("deleted");
    assert_eq!(store.user_profiles().await.expect("read"), [row("cleo", "2")]);
    assert!(store.save_user_profile(&row("bob", &"x".repeat(65_537))).await.is_err());
    let shown = format!("{:?}", row("bob", "+49301234567"));
    assert!(!shown.contains("+4930"), "{shown}");
}
