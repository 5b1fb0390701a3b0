//! `convoke explain call` of a call between people: what became of it, from the call histories of all it went to.
//!
//! Why a response group did what it did is in its journal (`story.rs`). Of other calls only the outcome is kept.

use std::fmt::Write as _;

use base::{CallId, ConversationEntry, ConversationKind};
use store::Store;

/// What became of the call with this Call-ID, and of those it was transferred to; `None` when no history knows it.
pub(crate) async fn explain(url: &str, call_id: &str) -> Result<Option<String>, String> {
    let store = Store::open_read_only(url).await.map_err(|error| error.to_string())?;
    let lines = store.conversations_of_call(call_id).await.map_err(|error| error.to_string())?;
    let mut calls: Vec<CallId> = Vec::new();
    for line in &lines {
        if !calls.contains(&line.call) {
            calls.push(line.call);
        }
    }
    let mut text = String::new();
    for call in calls {
        tell(&mut text, &lines.iter().filter(|line| line.call == call).collect::<Vec<_>>());
    }
    Ok(Some(format!("Call-ID {call_id}: no response group's call, so this is from the call histories\n{text}"))
        .filter(|_| !lines.is_empty()))
}

/// One call, by the lines it left: one of who called, if he is a user, and one of each user it went to.
fn tell(text: &mut String, lines: &[&ConversationEntry]) {
    let outgoing = lines.iter().find(|line| line.kind == ConversationKind::Outgoing);
    let Some(first) = outgoing.or(lines.first()) else { return };
    let (caller, dialled) = match outgoing {
        Some(line) => (&line.user, &line.peer),
        None => (&first.peer, first.dialled.as_ref().unwrap_or(&first.user)),
    };
    let mut tell = |at: i64, what: &str| {
        let after = std::time::Duration::from_millis(at.saturating_sub(first.started).unsigned_abs());
        writeln!(text, "{:>9.3} s  {what}", after.as_secs_f64()).expect("a String takes everything");
    };
    tell(first.started, &format!("{caller} calls {dialled}"));
    let answered = lines.iter().find_map(|line| line.answered);
    let by = lines.iter().find(|line| line.kind == ConversationKind::Incoming).map(|line| &line.user);
    let by = by.or(first.answered_by.as_ref()).unwrap_or(dialled);
    if let Some(at) = answered {
        tell(at, &format!("{by} answered"));
    }
    let ended = lines.iter().map(|line| line.ended).max().unwrap_or(first.ended);
    tell(ended, &format!("the call is over: {}", first.termination.reason.as_str()));
    for line in lines.iter().filter(|line| line.kind != ConversationKind::Outgoing) {
        let on_behalf = line.dialled.as_ref().map(|dialled| format!(", called for {dialled}")).unwrap_or_default();
        writeln!(text, "             {} [{}]: {}{on_behalf}", line.user, line.kind.as_str(), said(line.kind))
            .expect("a String takes everything");
    }
}

/// What a call was to somebody it went to, in words.
const fn said(kind: ConversationKind) -> &'static str {
    match kind {
        ConversationKind::Outgoing => "he called",
        ConversationKind::Incoming => "he answered",
        ConversationKind::Missed => "he did not answer, and is told of a missed call",
        ConversationKind::Declined => "he declined",
        ConversationKind::AnsweredElsewhere => "his phone rang, and somebody else answered",
        ConversationKind::NotAnsweredForAnother => "his phone rang, and nobody answered",
        ConversationKind::Diverted => "his settings or his phone sent the call elsewhere",
        ConversationKind::GroupCallAnsweredByYou => "a response group's call, which he answered",
        ConversationKind::GroupCallAnsweredByOther => "a response group's call, which another agent answered",
        ConversationKind::GroupCallNotAnswered => "a response group's call, which he did not answer",
        ConversationKind::GroupCallAbandoned => "a response group's call, whose caller gave up",
    }
}

#[cfg(test)]
mod tests {
    use base::{Termination, TerminationReason, UserUri};

    use super::*;

    fn user(name: &str) -> UserUri {
        UserUri::parse(&format!("sip:{name}@example.com")).expect("valid")
    }

    fn line(name: &str, kind: ConversationKind) -> ConversationEntry {
        ConversationEntry {
            user: user(name),
            kind,
            call: CallId(16),
            peer: user("ann"),
            peer_name: None,
            dialled: Some(user("bob")).filter(|bob| *bob != user(name)),
            answered_by: None,
            started: 1_000,
            answered: Some(11_066),
            ended: 11_066,
            termination: Termination::cancelled(TerminationReason::AnsweredElsewhere),
            errand: None,
            sip_call_id: Some("6de1".to_owned()),
        }
    }

    async fn told(lines: &[ConversationEntry], call_id: &str) -> Option<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("convoke.db").display());
        let store = Store::open(&url).await.expect("opened");
        store.append_conversations(lines).await.expect("appended");
        // The server goes on meanwhile.
        explain(&url, call_id).await.expect("read")
    }

    #[tokio::test]
    async fn a_diverted_call_is_told_as_it_was_for_everybody() {
        let talked = |line| ConversationEntry {
            ended: 13_088,
            termination: Termination::completed(TerminationReason::Departed),
            ..line
        };
        let lines = [
            line("bob", ConversationKind::Diverted),
            line("dave", ConversationKind::AnsweredElsewhere),
            talked(ConversationEntry { peer: user("bob"), dialled: None, ..line("ann", ConversationKind::Outgoing) }),
            talked(line("frank", ConversationKind::Incoming)),
            ConversationEntry { sip_call_id: Some("other".to_owned()), ..line("cleo", ConversationKind::Missed) },
        ];
        let text = told(&lines, "6de1").await.expect("known");
        assert_eq!(
            text,
            "Call-ID 6de1: no response group's call, so this is from the call histories
    0.000 s  sip:ann@example.com calls sip:bob@example.com
   10.066 s  sip:frank@example.com answered
   12.088 s  the call is over: departed
             sip:bob@example.com [diverted]: his settings or his phone sent the call elsewhere
             sip:dave@example.com [answered_elsewhere]: his phone rang, and somebody else answered, called for sip:bob@example.com
             sip:frank@example.com [incoming]: he answered, called for sip:bob@example.com
"
        );
    }

    #[tokio::test]
    async fn of_a_missed_call_from_outside_his_line_alone_tells() {
        let missed = ConversationEntry {
            peer: UserUri::parse("tel:+4930111").expect("valid"),
            answered: None,
            termination: Termination::failed(TerminationReason::NoAnswer),
            ..line("bob", ConversationKind::Missed)
        };
        let text = told(&[missed], "6de1").await.expect("known");
        assert!(
            text.contains(
                "0.000 s  tel:+4930111 calls sip:bob@example.com\n   10.066 s  the call is over: no-answer\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("sip:bob@example.com [missed]: he did not answer, and is told of a missed call\n"),
            "{text}"
        );
        assert_eq!(told(&[], "6de1").await, None);
    }

    #[tokio::test]
    async fn a_transferred_call_is_told_after_the_first_one() {
        let later = ConversationEntry {
            call: CallId(20),
            started: 20_000,
            ended: 30_000,
            answered: None,
            ..line("carol", ConversationKind::Missed)
        };
        let text = told(&[line("bob", ConversationKind::Incoming), later], "6de1").await.expect("known");
        assert_eq!(text.matches("    0.000 s  sip:ann@example.com calls").count(), 2, "{text}");
    }

    #[tokio::test]
    async fn without_a_database_it_is_said_which() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("convoke.db");
        let error = explain(&format!("sqlite:{}", path.display()), "6de1").await.expect_err("there is none");
        assert!(error.contains("convoke.db"), "{error}");
        assert!(!path.exists(), "who looks makes nothing");
    }
}
