//! An agent asks a colleague first and then sends the caller to him (RFC 5589 7).

use crate::world::groups::{
    Caller, SDP, bye_of_callee, check_drained, config, dial, history, ok, open, records, request_of, restarted, sales,
    story,
};
use crate::world::{World, answer_to, in_dialog, in_dialog_of_callee, out_of_dialog, sdp_body, user};
use base::{ConversationKind, Duration, TerminationReason};
use engine::{GroupJournal, WireLeg, WireRecord};
use mcu_api::McuCommand;
use response_group::{AgentStatus, Config, Method as Hunt, ResponseGroup};
use sip_api::{ClientTransactionId, Method, Request, Response, SipCommand};

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
    let (world, caller) = talking();
    consult(world, caller)
}

fn talking() -> (World, Caller) {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let caller = dial(&mut world, 1);
    let (transaction, offered) = caller.rung[0].clone();
    world.respond(transaction, ok(&offered));
    world.pass(Duration::from_secs(5));
    (world, caller)
}

fn consult(mut world: World, caller: Caller) -> Asked {
    let offered = caller.rung[0].1.clone();
    world.register("cleo", &[42_000]);
    let invite = out_of_dialog(Method::Invite, "sip:cleo@example.com", "bob", "asks").with_body(SDP, sdp_body(41_100));
    let transaction = world.request(invite.clone(), Some(user("bob")));
    let (ringing, request) = world.take_requests(&Method::Invite).pop().expect("cleo rings");
    let answer = answer_to(&request, 200).with_header("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE");
    let answer = answer.with_body(SDP, sdp_body(42_100));
    world.respond(ringing, answer.clone());
    let told = world.take_responses(transaction).pop().expect("bob is answered");
    world.ack(in_dialog(Method::Ack, &invite, &told, 1));
    world.pass(Duration::from_secs(3));
    world.take_requests(&Method::Invite);
    Asked { world, caller, offered, asks: (invite, told), asked: (request, answer), sent: 0 }
}

impl Asked {
    /// A REFER of bob in his dialog with the group.
    fn refer(&mut self, replaces: &str) -> u16 {
        self.sent += 1;
        let refer = in_dialog_of_callee(Method::Refer, &self.offered, &ok(&self.offered), self.sent);
        self.send(refer, "cleo", replaces)
    }

    fn send(&mut self, mut refer: Request, target: &str, replaces: &str) -> u16 {
        let replaces = replaces.replace('@', "%40");
        refer.headers.push("Refer-To", format!("<sip:{target}@example.com?Replaces={replaces}>"));
        let transaction = self.world.request(refer, None);
        self.world.take_responses(transaction).pop().expect("a response").status
    }

    /// What names bob's dialog with cleo.
    fn replaces(&self) -> String {
        let (from, to) = (self.asks.0.from_tag().expect("tagged"), self.asks.1.to_tag().expect("tagged"));
        format!("{}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}", self.asks.0.call_id())
    }

    /// What names his dialog with the group.
    fn replaces_groups(&self) -> String {
        let ok = ok(&self.offered);
        let (from, to) = (self.offered.from_tag().expect("tagged"), ok.to_tag().expect("tagged"));
        format!("{}%3Bto-tag%3D{from}%3Bfrom-tag%3D{to}", self.offered.call_id())
    }

    /// Whom we hang up: the Call-IDs.
    fn hung_up(&mut self) -> Vec<String> {
        let byes = self.world.take_requests(&Method::Bye);
        let hung_up = byes.iter().map(|(_, bye)| bye.call_id().to_owned()).collect();
        self.world.put_back(byes);
        hung_up
    }

    /// Bob and cleo talk, and whoever of them hangs up ends it for both; then the caller leaves too.
    fn consultation_goes_on(&mut self) {
        assert_eq!(self.hung_up(), [""; 0], "nobody");
        assert_eq!(self.world.engine.call_count(), 1);
        let (invite, told) = self.asks.clone();
        self.world.request(in_dialog(Method::Bye, &invite, &told, 9), None);
        assert_eq!(self.hung_up(), [self.asked.0.call_id()], "cleo's call is bob's");
        let bye = self.caller.bye();
        self.world.request(bye, None);
        check_drained(&mut self.world);
        assert_eq!(self.world.engine.call_count(), 0);
        let theirs: Vec<_> = history(&self.world, "cleo").iter().map(|line| line.peer.clone()).collect();
        assert_eq!(theirs, [user("bob")], "for her there was one call");
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

    /// The transfer is asked for twice, and each time the colleague refuses to send her audio here, or takes the offer with an
    /// answer that is of no use and is led back. With what she was led back.
    fn is_refused_twice(&mut self, taken: Option<&str>) -> Vec<String> {
        let (replaces, mut back) = (self.replaces(), Vec::new());
        for _ in 0..2 {
            assert_eq!(self.refer(&replaces), 202);
            let (transaction, request) = self.reinvite();
            let answer = match taken {
                None => answer_to(&request, 488),
                Some(body) => answer_to(&request, 200).with_body(SDP, body.to_owned()),
            };
            self.world.respond(transaction, answer);
            assert_eq!(self.told().as_deref(), Some("SIP/2.0 488 Not Acceptable Here"));
            if taken.is_some() {
                let (transaction, request) = self.reinvite();
                back.push(String::from_utf8_lossy(&request.body).into_owned());
                self.world.respond(transaction, answer_to(&request, 200).with_body(SDP, sdp_body(42_100)));
            }
            assert!(self.world.take_requests(&Method::Invite).is_empty());
        }
        back
    }
}

/// An answer with a codec that was not offered.
fn silent() -> String {
    sdp_body(42_100).replace("PCMU/8000", "G729/8000").replace("RTP/AVP 0 101", "RTP/AVP 18")
}

#[test]
fn an_agent_asks_a_colleague_first_and_those_two_talk() {
    let mut asked = asked();
    let replaces = asked.replaces();
    assert_eq!(asked.refer(&replaces), 202);
    let (transaction, request) = asked.reinvite();
    assert_eq!(asked.hung_up(), [""; 0], "bob keeps both calls until they are joined");
    asked.world.respond(transaction, answer_to(&request, 200).with_body(SDP, sdp_body(42_100)));
    assert_eq!(asked.told().as_deref(), Some("SIP/2.0 200 OK"));
    let seat = *asked.world.legs_in_mcu().last().expect("cleo's seat");
    let joined = |command: &McuCommand| matches!(command, McuCommand::SetInMix { leg, in_mix: true } if *leg == seat);
    assert!(asked.world.mcu.iter().any(joined), "she is in the mix");
    let updates = asked.world.take_requests(&Method::Update);
    let [(_, update)] = &updates[..] else { panic!("cleo's display is put right: {updates:?}") };
    assert_eq!(update.call_id(), asked.asked.0.call_id());
    assert_eq!(update.headers.get("P-Asserted-Identity"), Some("\"ann\" <sip:ann@example.com>"));
    let hung_up = asked.hung_up();
    assert_eq!(hung_up, ["asks", asked.offered.call_id()], "bob has done his part");
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

/// Until she is joined with the caller she talks with bob (RFC 5589 7.3), who has both calls when she is not.
#[test]
fn a_colleague_who_does_not_take_our_audio_stays_with_the_agent_who_has_his_caller_back() {
    for taken in [None, Some(silent())] {
        let mut asked = asked();
        for back in asked.is_refused_twice(taken.as_deref()) {
            assert!(back.contains("41100"), "to bob's phone again");
        }
        let story = asked.story();
        let back = "sip:cleo@example.com was not reached (SIP status 488); sip:bob@example.com gets the caller back";
        assert_eq!(story.iter().filter(|line| *line == back).count(), 2, "{story:?}");
        asked.consultation_goes_on();
    }
}

#[test]
fn a_colleague_who_hangs_up_while_he_is_asked_leaves_the_agent_his_caller() {
    let mut asked = asked();
    let replaces = asked.replaces();
    assert_eq!(asked.refer(&replaces), 202);
    asked.reinvite();
    let (invite, answer) = asked.asked.clone();
    asked.world.request(bye_of_callee(&invite, &answer, 1), None);
    assert_eq!(asked.told().as_deref(), Some("SIP/2.0 480 Temporarily Unavailable"));
    assert_eq!(asked.hung_up(), ["asks"], "bob keeps the caller");
    let story = asked.story();
    let back = "sip:cleo@example.com was not reached (SIP status 480); sip:bob@example.com gets the caller back";
    assert!(story.iter().any(|line| line == back), "{story:?}");
    let bye = asked.caller.bye();
    asked.world.request(bye, None);
    check_drained(&mut asked.world);
    assert_eq!(asked.world.engine.call_count(), 0);
}

/// A phone may send the REFER to whom it has asked, and name the call that he is to be joined with.
#[test]
fn the_transfer_may_be_asked_for_in_the_dialog_with_the_colleague() {
    let mut asked = asked();
    let (invite, told) = asked.asks.clone();
    let groups = asked.replaces_groups();
    let refer = in_dialog(Method::Refer, &invite, &told, 2);
    assert_eq!(asked.send(refer, "sales", &groups), 202);
    let refer = in_dialog(Method::Refer, &invite, &told, 3);
    assert_eq!(asked.send(refer, "sales", &groups), 491, "the first one is not decided");
    let (transaction, request) = asked.reinvite();
    asked.world.respond(transaction, answer_to(&request, 200).with_body(SDP, sdp_body(42_100)));
    let notify = asked.world.sip.iter().find_map(|command| match command {
        SipCommand::Send { request, .. } if request.method == Method::Notify => Some(request.clone()),
        _ => None,
    });
    assert_eq!(notify.expect("bob is told").call_id(), "asks", "where he asked for it");
    assert_eq!(asked.hung_up(), ["asks", asked.offered.call_id()]);
    let bye = asked.caller.bye();
    asked.world.request(bye, None);
    asked.told();
    check_drained(&mut asked.world);
    assert_eq!(asked.world.engine.call_count(), 0);
}

#[test]
fn an_agent_who_does_not_wait_leaves_his_colleague_to_the_caller() {
    for joined in [true, false] {
        let mut asked = asked();
        let replaces = asked.replaces();
        assert_eq!(asked.refer(&replaces), 202);
        let (transaction, request) = asked.reinvite();
        let (invite, told) = asked.asks.clone();
        asked.world.request(in_dialog(Method::Bye, &invite, &told, 2), None);
        assert_eq!((asked.hung_up(), asked.world.engine.call_count()), (Vec::new(), 0), "cleo is kept");
        let status = if joined { 200 } else { 488 };
        asked.world.respond(transaction, answer_to(&request, status).with_body(SDP, sdp_body(42_100)));
        let hung_up = asked.hung_up();
        let wanted = if joined { asked.offered.call_id() } else { asked.asked.0.call_id() };
        assert_eq!(hung_up, [wanted], "joined: {joined}");
        let bye = asked.caller.bye();
        asked.world.request(bye, None);
        asked.told();
        check_drained(&mut asked.world);
    }
}

#[test]
fn only_a_consultation_of_the_agents_own_can_be_named() {
    let mut asked = asked();
    let own = asked.replaces_groups();
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
    // The caller gives up while she is asked: she is bob's again, and what she answers is put right.
    let (transaction, request) = asked.reinvite();
    let bye = asked.caller.bye();
    asked.world.request(bye, None);
    assert!(!asked.hung_up().contains(&asked.asked.0.call_id().to_owned()));
    let over = |record: &GroupJournal| {
        matches!(record, GroupJournal::Wire(WireRecord::Over { leg: WireLeg::CallId(call_id) })
        if *call_id == asked.asked.0.call_id())
    };
    assert!(asked.world.journal.iter().any(over), "the next process has nothing to do with her");
    asked.world.respond(transaction, answer_to(&request, 200).with_body(SDP, sdp_body(42_100)));
    let (transaction, request) = asked.reinvite();
    assert!(String::from_utf8_lossy(&request.body).contains("41100"), "to bob's phone again");
    asked.world.respond(transaction, answer_to(&request, 200).with_body(SDP, sdp_body(42_100)));
    let (invite, told) = asked.asks.clone();
    asked.world.request(in_dialog(Method::Bye, &invite, &told, 9), None);
    asked.told();
    check_drained(&mut asked.world);
    assert_eq!(asked.world.engine.call_count(), 0);
}

/// The next process knows which agent it is who asks.
#[test]
fn a_caller_of_an_earlier_process_is_sent_to_a_colleague_too() {
    let (world, caller) = talking();
    let mut after = restarted(&world, config(sales(Hunt::Serial, &["bob"])), &world.journal);
    for call_id in [caller.invite.call_id(), caller.rung[0].1.call_id()] {
        let (transaction, reinvite) = request_of(&mut after, &Method::Invite, call_id).expect("is taken up");
        after.respond(transaction, ok(&reinvite));
    }
    let mut asked = consult(after, caller);
    let replaces = asked.replaces();
    assert_eq!(asked.refer(&replaces), 202);
    let (transaction, request) = asked.reinvite();
    asked.world.respond(transaction, answer_to(&request, 200).with_body(SDP, sdp_body(42_100)));
    assert_eq!(asked.told().as_deref(), Some("SIP/2.0 200 OK"));
    let bye = asked.caller.bye();
    asked.world.request(bye, None);
    check_drained(&mut asked.world);
}

/// The same when bob has called the group of which cleo is an agent.
fn asked_through_a_group() -> Asked {
    let support = ResponseGroup { uri: user("support"), name: "Support".to_owned(), ..sales(Hunt::Serial, &["cleo"]) };
    let mut world = World::new();
    world.open_groups(Config { groups: vec![sales(Hunt::Serial, &["bob"]), support], ..Config::default() }, &[]);
    world.register("bob", &[41_000]);
    world.register("cleo", &[42_000]);
    let caller = dial(&mut world, 1);
    let (transaction, offered) = caller.rung[0].clone();
    world.respond(transaction, ok(&offered));
    let target = "sip:support@example.com";
    let invite = out_of_dialog(Method::Invite, target, "bob", "asks").with_body(SDP, sdp_body(41_100));
    let transaction = world.request(invite.clone(), Some(user("bob")));
    let (ringing, request) = world.take_requests(&Method::Invite).pop().expect("cleo rings");
    let told = world.take_responses(transaction).pop().expect("bob is answered");
    world.ack(in_dialog(Method::Ack, &invite, &told, 1));
    let answer = answer_to(&request, 200).with_header("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE");
    let answer = answer.with_body(SDP, sdp_body(42_100));
    world.respond(ringing, answer.clone());
    world.pass(Duration::from_secs(3));
    world.take_requests(&Method::Invite);
    world.take_requests(&Method::Update);
    Asked { world, caller, offered, asks: (invite, told), asked: (request, answer), sent: 0 }
}

/// Bob has both calls as before, and each ends as it would have.
fn both_go_on(mut asked: Asked) {
    assert_eq!(asked.hung_up(), [""; 0], "nobody");
    let (invite, told) = asked.asks.clone();
    asked.world.request(in_dialog(Method::Bye, &invite, &told, 9), None);
    assert_eq!(asked.hung_up(), [asked.asked.0.call_id()], "cleo was bob's");
    let bye = asked.caller.bye();
    asked.world.request(bye, None);
    asked.told();
    check_drained(&mut asked.world);
}

#[test]
fn the_colleague_may_be_an_agent_of_another_group() {
    let mut asked = asked_through_a_group();
    let replaces = asked.replaces();
    assert_eq!(asked.refer(&replaces), 202);
    let (transaction, request) = asked.reinvite();
    assert_eq!(asked.hung_up(), [""; 0], "bob keeps both calls until they are joined");
    asked.world.respond(transaction, answer_to(&request, 200).with_body(SDP, sdp_body(42_100)));
    assert_eq!(asked.told().as_deref(), Some("SIP/2.0 200 OK"));
    let seat = *asked.world.legs_in_mcu().last().expect("cleo's seat");
    let joined = |command: &McuCommand| matches!(command, McuCommand::SetInMix { leg, in_mix: true } if *leg == seat);
    assert!(asked.world.mcu.iter().any(joined), "she is in the mix");
    let mut hung_up = asked.hung_up();
    hung_up.sort_unstable();
    let mut bobs = ["asks".to_owned(), asked.offered.call_id().to_owned()];
    bobs.sort_unstable();
    assert_eq!(hung_up, bobs, "bob has done his part");
    for (transaction, bye) in asked.world.take_requests(&Method::Bye) {
        asked.world.respond(transaction, answer_to(&bye, 200));
    }
    asked.world.pass(Duration::from_secs(7));
    let bye = asked.caller.bye();
    asked.world.request(bye, None);
    assert_eq!(asked.hung_up(), [asked.asked.0.call_id()], "cleo talked with the caller");
    check_drained(&mut asked.world);
    let record = records(&asked.world).into_iter().find_map(|record| record.onward).expect("a talk with cleo");
    assert_eq!((record.with, record.to.since(record.from)), (user("cleo"), Duration::from_secs(7)));
    assert_eq!(records(&asked.world).len(), 2, "each group has its record");
    let board = asked.world.engine.wallboard(asked.world.now).expect("there are groups");
    assert!(board.agents.iter().all(|agent| agent.status == AgentStatus::Free), "{:?}", board.agents);
}

#[test]
fn another_groups_agent_who_does_not_come_stays_with_who_has_asked() {
    for taken in [None, Some(silent())] {
        let mut asked = asked_through_a_group();
        asked.is_refused_twice(taken.as_deref());
        both_go_on(asked);
    }
}

#[test]
fn who_asked_another_groups_agent_need_not_wait() {
    for joined in [true, false] {
        let mut asked = asked_through_a_group();
        let replaces = asked.replaces();
        assert_eq!(asked.refer(&replaces), 202);
        let (transaction, request) = asked.reinvite();
        let (invite, told) = asked.asks.clone();
        asked.world.request(in_dialog(Method::Bye, &invite, &told, 2), None);
        assert_eq!(asked.hung_up(), [""; 0], "cleo is kept");
        let status = if joined { 200 } else { 488 };
        asked.world.respond(transaction, answer_to(&request, status).with_body(SDP, sdp_body(42_100)));
        let wanted = if joined { &asked.offered } else { &asked.asked.0 }.call_id().to_owned();
        assert_eq!(asked.hung_up(), [wanted], "joined: {joined}");
        let bye = asked.caller.bye();
        asked.world.request(bye, None);
        asked.told();
        check_drained(&mut asked.world);
    }
}

#[test]
fn another_groups_agent_who_hangs_up_while_she_is_asked_is_gone_for_both() {
    let mut asked = asked_through_a_group();
    let replaces = asked.replaces();
    assert_eq!(asked.refer(&replaces), 202);
    asked.reinvite();
    let (invite, answer) = asked.asked.clone();
    asked.world.request(bye_of_callee(&invite, &answer, 1), None);
    assert_eq!(asked.told().as_deref(), Some("SIP/2.0 480 Temporarily Unavailable"));
    assert_eq!(asked.hung_up(), ["asks"], "bob keeps the caller");
    let bye = asked.caller.bye();
    asked.world.request(bye, None);
    check_drained(&mut asked.world);
}

/// What she answers too late is put right: her phone sends to her seat in bob's call again.
#[test]
fn a_caller_who_gives_up_leaves_another_groups_agent_to_who_has_asked() {
    let mut asked = asked_through_a_group();
    let replaces = asked.replaces();
    assert_eq!(asked.refer(&replaces), 202);
    let (transaction, request) = asked.reinvite();
    let call_id = asked.asked.0.call_id().to_owned();
    let up = |record: &&GroupJournal| matches!(record, GroupJournal::Wire(WireRecord::AgentUp { dialog, .. }) if dialog.names.call_id == call_id);
    assert_eq!(asked.world.journal.iter().filter(up).count(), 1);
    let bye = asked.caller.bye();
    asked.world.request(bye, None);
    assert!(!asked.hung_up().contains(&call_id));
    assert_eq!(asked.world.journal.iter().filter(up).count(), 2, "the next process knows whose agent she is");
    asked.world.respond(transaction, answer_to(&request, 200).with_body(SDP, sdp_body(42_100)));
    let (transaction, again) = asked.reinvite();
    assert_ne!(again.body, request.body, "to another seat");
    asked.world.respond(transaction, answer_to(&again, 200).with_body(SDP, sdp_body(42_100)));
    let (invite, told) = asked.asks.clone();
    asked.world.request(in_dialog(Method::Bye, &invite, &told, 9), None);
    asked.told();
    check_drained(&mut asked.world);
}

/// The REFER may come in the dialog with the other group.
#[test]
fn another_groups_agent_may_be_named_where_she_was_asked() {
    let mut asked = asked_through_a_group();
    let (invite, told) = asked.asks.clone();
    let groups = asked.replaces_groups();
    let refer = in_dialog(Method::Refer, &invite, &told, 2);
    assert_eq!(asked.send(refer, "sales", &groups), 202);
    let refer = in_dialog(Method::Refer, &invite, &told, 3);
    assert_eq!(asked.send(refer, "sales", &groups), 491, "the first one is not decided");
    let (transaction, request) = asked.reinvite();
    asked.world.respond(transaction, answer_to(&request, 200).with_body(SDP, sdp_body(42_100)));
    assert!(!asked.hung_up().contains(&asked.asked.0.call_id().to_owned()), "she is the caller's");
    let bye = asked.caller.bye();
    asked.world.request(bye, None);
    asked.told();
    check_drained(&mut asked.world);
}

/// Nobody has answered him there yet.
#[test]
fn who_waits_for_another_groups_agent_has_asked_nobody() {
    let mut asked = asked_through_a_group();
    let (invite, answer) = asked.asked.clone();
    asked.world.request(bye_of_callee(&invite, &answer, 1), None);
    let asks =
        out_of_dialog(Method::Invite, "sip:support@example.com", "bob", "again").with_body(SDP, sdp_body(41_100));
    let transaction = asked.world.request(asks.clone(), Some(user("bob")));
    let told = asked.world.take_responses(transaction).pop().expect("bob is answered");
    asked.world.ack(in_dialog(Method::Ack, &asks, &told, 1));
    asked.asks = (asks, told);
    let replaces = asked.replaces();
    assert_eq!(asked.refer(&replaces), 480);
}
