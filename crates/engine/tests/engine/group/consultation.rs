//! An agent asks a colleague first and then sends the caller to him (RFC 5589 7).

use crate::world::groups::{Caller, SDP, bye_of_callee, check_drained, dial, history, ok, open, records, sales, story};
use crate::world::{World, answer_to, in_dialog, out_of_dialog, sdp_body, user};
use base::{ConversationKind, Duration, TerminationReason};
use engine::{GroupJournal, WireRecord};
use mcu_api::McuCommand;
use response_group::Method as Hunt;
use sip_api::{ClientTransactionId, Method, Request, Response};

/// The caller talks with bob, and bob with cleo, whom he has called.
struct Asked {
    world: World,
    caller: Caller,
    /// The INVITE that bob took.
    offered: Request,
    /// Bob's INVITE for cleo and our answer.
    asks: (Request, Response),
    /// The INVITE that cleo took, and her answer.
    asked: (Request, Response),
    /// REFERs of bob so far.
    sent: u32,
}

fn asked() -> Asked {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let caller = dial(&mut world, 1);
    let (transaction, offered) = caller.rung[0].clone();
    world.respond(transaction, ok(&offered));
    world.pass(Duration::from_secs(5));
    world.register("cleo", &[42_000]);
    let invite = out_of_dialog(Method::Invite, "sip:cleo@example.com", "bob", "asks").with_body(SDP, sdp_body(41_100));
    let transaction = world.request(invite.clone(), Some(user("bob")));
    let (ringing, request) = world.take_requests(&Method::Invite).pop().expect("cleo rings");
    let answer = answer_to(&request, 200).with_body(SDP, sdp_body(42_100));
    world.respond(ringing, answer.clone());
    let told = world.take_responses(transaction).pop().expect("bob is answered");
    world.ack(in_dialog(Method::Ack, &invite, &told, 1));
    world.pass(Duration::from_secs(3));
    world.take_requests(&Method::Invite);
    Asked { world, caller, offered, asks: (invite, told), asked: (request, answer), sent: 0 }
}

impl Asked {
    fn refer(&mut self, replaces: &str) -> u16 {
        let mut refer = bye_of_callee(&self.offered, &ok(&self.offered), 1);
        refer.method = Method::Refer;
        self.sent += 1;
        refer.headers.set("CSeq", format!("{} REFER", self.sent));
        let replaces = replaces.replace('@', "%40");
        refer.headers.push("Refer-To", format!("<sip:cleo@example.com?Replaces={replaces}>"));
        let transaction = self.world.request(refer, None);
        self.world.take_responses(transaction).pop().expect("a response").status
    }

    fn replaces(&self) -> String {
        let (from, to) = (self.asks.0.from_tag().expect("tagged"), self.asks.1.to_tag().expect("tagged"));
        format!("{}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}", self.asks.0.call_id())
    }

    /// The re-INVITE that brings cleo's audio here.
    fn reinvite(&mut self) -> (ClientTransactionId, Request) {
        let sent = self.world.take_requests(&Method::Invite);
        let (transaction, request) = sent.into_iter().next_back().expect("she is offered a seat");
        assert_eq!(request.call_id(), self.asked.0.call_id(), "in her dialog");
        (transaction, request)
    }

    fn story(&self) -> Vec<String> {
        story(&self.world, "1")
    }

    fn told(&mut self) -> Option<String> {
        self.world.take_bodies(&Method::Notify).pop().map(|body| body.trim().to_owned())
    }
}

#[test]
fn an_agent_asks_a_colleague_first_and_those_two_talk() {
    let mut asked = asked();
    let replaces = asked.replaces();
    assert_eq!(asked.refer(&replaces), 202);
    let (transaction, request) = asked.reinvite();
    let byes = asked.world.take_requests(&Method::Bye);
    assert!(byes.iter().any(|(_, bye)| bye.call_id() == "asks"), "the consultation is over for bob: {byes:?}");
    assert!(byes.iter().all(|(_, bye)| bye.call_id() != asked.asked.0.call_id()), "and not for cleo");
    asked.world.put_back(byes);
    asked.world.respond(transaction, answer_to(&request, 200).with_body(SDP, sdp_body(42_100)));
    assert_eq!(asked.told().as_deref(), Some("SIP/2.0 200 OK"));
    let seat = *asked.world.legs_in_mcu().last().expect("cleo's seat");
    let joined = |command: &McuCommand| matches!(command, McuCommand::SetInMix { leg, in_mix: true } if *leg == seat);
    assert!(asked.world.mcu.iter().any(joined), "she is in the mix");
    let byes = asked.world.take_requests(&Method::Bye);
    assert!(byes.iter().any(|(_, bye)| bye.call_id() == asked.offered.call_id()), "bob has done his part");
    asked.world.put_back(byes);
    asked.world.pass(Duration::from_secs(7));
    let bye = asked.caller.bye();
    asked.world.request(bye, None);
    check_drained(&mut asked.world);
    assert_eq!(asked.world.engine.call_count(), 0);

    let record = records(&asked.world).pop().expect("a record");
    let onward = record.onward.expect("a talk with cleo");
    assert_eq!((onward.with, onward.to.since(onward.from)), (user("cleo"), Duration::from_secs(7)));
    let lines = history(&asked.world, "cleo");
    let kinds: Vec<_> = lines.iter().map(|line| (line.kind, line.peer.clone(), line.dialled.clone())).collect();
    let incoming = ConversationKind::Incoming;
    assert_eq!(kinds, [(incoming, user("bob"), None), (incoming, user("ann"), Some(user("sales")))]);
    assert_eq!(lines[0].termination.reason, TerminationReason::Replaced);
    assert_eq!(asked.world.call_records().len(), 1, "the consultation has its record");
    let story = asked.story();
    let sent = "sip:bob@example.com has the caller sent to sip:cleo@example.com, whom he has asked before";
    assert!(story.iter().any(|line| line == sent), "{story:?}");
    assert!(story.iter().any(|line| line == "sip:cleo@example.com answered"), "{story:?}");
    assert!(!story.iter().any(|line| line.contains("is called for the caller")), "{story:?}");
}

#[test]
fn a_colleague_who_does_not_take_our_audio_gives_the_agent_his_caller_back() {
    for hangs_up in [false, true] {
        let mut asked = asked();
        let replaces = asked.replaces();
        assert_eq!(asked.refer(&replaces), 202);
        let (transaction, request) = asked.reinvite();
        if hangs_up {
            let (invite, answer) = asked.asked.clone();
            asked.world.request(bye_of_callee(&invite, &answer, 1), None);
        } else {
            asked.world.respond(transaction, answer_to(&request, 488));
        }
        assert_eq!(asked.told().as_deref(), Some("SIP/2.0 480 Temporarily Unavailable"));
        let byes = asked.world.take_requests(&Method::Bye);
        assert!(byes.iter().all(|(_, bye)| bye.call_id() != asked.offered.call_id()), "bob keeps the caller");
        asked.world.put_back(byes);
        let story = asked.story();
        let back = "sip:cleo@example.com was not reached; sip:bob@example.com gets the caller back";
        assert!(story.iter().any(|line| line == back), "{story:?}");
        let bye = asked.caller.bye();
        asked.world.request(bye, None);
        check_drained(&mut asked.world);
    }
}

#[test]
fn only_a_consultation_of_the_agents_own_can_be_named() {
    let mut asked = asked();
    let group = &asked.offered;
    let own = format!(
        "{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
        group.call_id(),
        group.from_tag().expect("tagged"),
        ok(group).to_tag().expect("tagged")
    );
    assert_eq!(asked.refer(&own), 501, "the group's own dialog");
    assert_eq!(asked.refer("nobody%3Bto-tag%3D1%3Bfrom-tag%3D2"), 481);
    assert_eq!(asked.refer("nobody"), 400);
    let (invite, answer) = &asked.asked;
    let hers = format!(
        "{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
        invite.call_id(),
        invite.from_tag().expect("tagged"),
        answer.to_tag().expect("tagged")
    );
    assert_eq!(asked.refer(&hers), 403, "her side of the call is not bob's");
    assert_eq!(asked.world.take_requests(&Method::Bye).len(), 0, "nobody was hung up");
    let bye = asked.caller.bye();
    asked.world.request(bye, None);
    let (invite, told) = asked.asks.clone();
    asked.world.request(in_dialog(Method::Bye, &invite, &told, 2), None);
    check_drained(&mut asked.world);
}

#[test]
fn the_colleagues_dialog_is_in_the_journal_before_she_is_asked_to_send_her_audio_here() {
    let mut asked = asked();
    let replaces = asked.replaces();
    asked.refer(&replaces);
    let up = |record: &GroupJournal| {
        matches!(record, GroupJournal::Wire(WireRecord::Up { dialog, onward: Some(_) })
        if dialog.names.call_id == asked.asked.0.call_id())
    };
    assert!(asked.world.journal.iter().any(up), "a killed server's successor ends or takes up the dialog");
    // The caller gives up while she is asked: nobody is left.
    asked.reinvite();
    let bye = asked.caller.bye();
    asked.world.request(bye, None);
    let byes = asked.world.take_requests(&Method::Bye);
    assert!(byes.iter().any(|(_, bye)| bye.call_id() == asked.asked.0.call_id()), "she is hung up: {byes:?}");
}
