//! Response groups on the wire, in virtual time: rules R1 to R12 and what happens when answers cross.

use crate::world::groups::{
    ELSEWHERE, SDP, acks, bye_of_callee, cancels, check_drained, config, dial, ok, open, outcomes, parallel, sales,
};
use crate::world::{Step, World, answer_to, in_dialog, out_of_dialog, sdp_body, user};
use base::Duration;
use engine::{EngineEvent, GroupJournal};
use mcu_api::{Background, McuCommand};
use response_group::{Action, Method as Hunt, Outcome, Queue, ResponseGroup};
use sdp::SrtpPolicy;
use sip_api::{ClientTransactionId, Method, Request, SipCommand};

#[test]
fn parallel_agents_ring_the_first_answer_wins_and_the_loser_is_cancelled_with_the_reason() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    assert_eq!(caller.rung.len(), 2);
    let ids: Vec<&str> = caller.rung.iter().map(|(_, invite)| invite.call_id()).collect();
    assert_ne!(ids[0], ids[1], "each offer is a call of its own");
    for (transaction, invite) in &caller.rung {
        world.respond(*transaction, answer_to(invite, 180));
    }
    world.mcu.clear();
    let (winner, invite) = &caller.rung[0];
    world.respond(*winner, ok(invite));
    assert_eq!(acks(&world), 1);
    let cancelled = cancels(&mut world);
    assert_eq!(cancelled, [(caller.rung[1].0, vec![ELSEWHERE.to_owned()])]);
    let joined = world.mcu.iter().any(|command| matches!(command, McuCommand::SetInMix { in_mix: true, .. }));
    let connected = world.mcu.iter().any(|command| matches!(command, McuCommand::ConnectLeg { .. }));
    assert!(joined && connected, "the winner's audio joins in the same step: {:?}", world.mcu);
    world.mcu.clear();
    world.respond(caller.rung[1].0, answer_to(&caller.rung[1].1, 487));
    assert!(world.mcu.is_empty(), "the winner keeps his place when the loser is over: {:?}", world.mcu);

    world.request(caller.bye(), None);
    let byes = world.take_requests(&Method::Bye);
    assert_eq!(byes.len(), 1, "the agent is hung up when the caller leaves");
    world.put_back(byes);
    assert_eq!(outcomes(&world), [Outcome::Answered]);
    check_drained(&mut world);
}

#[test]
fn r2_each_offer_carries_the_suppression_headers() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    for (_, invite) in &caller.rung {
        let has = |name: &str, value: &str| assert_eq!(invite.headers.get(name), Some(value), "{name}");
        has("Ms-Sensitivity", "private-no-diversion");
        has("Ms-Target-Class", "secondary");
        has("Request-Disposition", "proxy, no-recurse, parallel, no-queue");
        has("Reject-Contact", "*;actor=\"msg-taker\";automata");
        has("Answer-Mode", "Manual");
        has("Expires", "25");
        assert!(invite.headers.get("X-RG-Offer").is_some());
        assert!(invite.headers.has_token("Supported", "histinfo"));
        assert!(invite.headers.get("History-Info").is_some_and(|entry| entry.contains("sip:sales@example.com")));
        assert!(invite.headers.get("From").is_some_and(|from| from.contains("Sales: ")));
        assert!(invite.headers.get("P-Asserted-Identity").is_some_and(|who| who.contains("sip:ann@example.com")));
    }
    world.request(caller.bye(), None);
}

#[test]
fn r1_b15_a_redirection_is_never_followed() {
    for status in [300, 301, 302, 305, 380] {
        let mut world = open(sales(Hunt::Serial, &["bob"]));
        let caller = dial(&mut world, 1);
        let (transaction, invite) = &caller.rung[0];
        let moved = answer_to(invite, status).with_header("Contact", "<sip:cleo@example.com>");
        world.respond(*transaction, moved);
        assert!(world.take_requests(&Method::Invite).is_empty(), "{status} was followed");
        world.request(caller.bye(), None);
        assert_eq!(outcomes(&world), [Outcome::Abandoned]);
        check_drained(&mut world);
    }
}

#[test]
fn r1_181_ends_the_offer() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    let (transaction, invite) = &caller.rung[0];
    world.respond(*transaction, answer_to(invite, 181));
    assert_eq!(cancels(&mut world).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [*transaction]);
    world.respond(*transaction, answer_to(invite, 487));
    world.request(caller.bye(), None);
}

#[test]
fn r5_the_alert_time_counts_from_the_invite_and_ends_with_a_cancel() {
    let mut world = open(sales(Hunt::Serial, &["bob", "cleo"]));
    let caller = dial(&mut world, 1);
    assert_eq!(caller.rung.len(), 1, "one after the other");
    let (transaction, invite) = &caller.rung[0];
    world.respond(*transaction, answer_to(invite, 180));
    world.pass(Duration::from_millis(19_900));
    assert!(cancels(&mut world).is_empty());
    world.pass(Duration::from_millis(200));
    assert_eq!(cancels(&mut world), [(*transaction, vec![ELSEWHERE.to_owned()])]);
    world.respond(*transaction, answer_to(invite, 487));
    let next = world.take_requests(&Method::Invite);
    assert_eq!(next.len(), 1, "the next agent's turn");
    world.request(caller.bye(), None);
}

#[test]
fn r6_r7_no_missed_call_but_one_entry_for_each_agent_who_was_rung() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    for (transaction, invite) in &caller.rung {
        world.respond(*transaction, answer_to(invite, 180));
    }
    world.respond(caller.rung[0].0, ok(&caller.rung[0].1));
    world.respond(caller.rung[1].0, answer_to(&caller.rung[1].1, 487));
    world.request(caller.bye(), None);
    let entries: Vec<_> = world
        .events
        .iter()
        .filter_map(|event| match event {
            EngineEvent::Conversation(entry) if entry.user != user("ann") => Some(entry.kind),
            _ => None,
        })
        .collect();
    assert_eq!(entries.len(), 2, "{entries:?}");
    assert!(entries.iter().all(|kind| !kind.is_missed_call()));
}

#[test]
fn b1_b24_an_answer_after_the_cancel_is_acknowledged_and_ended() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    for (transaction, invite) in &caller.rung {
        world.respond(*transaction, answer_to(invite, 180));
    }
    world.respond(caller.rung[0].0, ok(&caller.rung[0].1));
    let late = &caller.rung[1];
    world.respond(late.0, ok(&late.1));
    assert_eq!(acks(&world), 2);
    let byes = world.take_requests(&Method::Bye);
    assert_eq!(byes.len(), 1, "the loser is sent away");
    assert_eq!(byes[0].1.headers.get("Reason"), Some(ELSEWHERE));
    world.put_back(byes);
    world.request(caller.bye(), None);
    assert_eq!(outcomes(&world), [Outcome::Answered]);
    check_drained(&mut world);
}

#[test]
fn b5_the_caller_leaves_and_every_phone_is_cancelled_in_the_same_step() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 180));
    world.request(caller.bye(), None);
    assert_eq!(cancels(&mut world).len(), 2, "the silent phone as well");
    for (transaction, invite) in &caller.rung {
        world.respond(*transaction, answer_to(invite, 487));
    }
    assert_eq!(outcomes(&world), [Outcome::Abandoned]);
    check_drained(&mut world);
}

#[test]
fn b8_a_6xx_of_one_agent_leaves_the_others_ringing() {
    for status in [486, 600, 603, 607] {
        let mut world = parallel();
        let caller = dial(&mut world, 1);
        world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, status));
        assert!(cancels(&mut world).is_empty(), "{status}");
        world.respond(caller.rung[1].0, ok(&caller.rung[1].1));
        world.request(caller.bye(), None);
        assert_eq!(outcomes(&world), [Outcome::Answered]);
        check_drained(&mut world);
    }
}

#[test]
fn b23_an_agent_is_not_rung_for_another_call_before_his_cancelled_invite_is_over() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let first = dial(&mut world, 1);
    world.respond(first.rung[0].0, answer_to(&first.rung[0].1, 180));
    world.request(first.bye(), None);
    assert_eq!(cancels(&mut world).len(), 1);
    let second = dial(&mut world, 2);
    assert!(second.rung.is_empty(), "his phone may still ring");
    world.respond(first.rung[0].0, answer_to(&first.rung[0].1, 487));
    world.pass(Duration::from_secs(10));
    assert_eq!(world.take_requests(&Method::Invite).len(), 1);
    world.request(second.bye(), None);
}

#[test]
fn b20_early_media_of_agents_reaches_nobody() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    world.mcu.clear();
    let early = answer_to(&caller.rung[0].1, 183).with_body(SDP, sdp_body(33_000));
    world.respond(caller.rung[0].0, early);
    assert!(!world.mcu.iter().any(|command| matches!(command, McuCommand::ConnectLeg { .. })));
    assert!(world.take_responses(caller.transaction).is_empty());
    world.request(caller.bye(), None);
}

#[test]
fn b22_each_reliable_response_is_acknowledged_in_its_own_early_dialog() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let caller = dial(&mut world, 1);
    let (transaction, invite) = &caller.rung[0];
    for (tag, rseq) in [("left", "1"), ("right", "7")] {
        let mut ringing = answer_to(invite, 180).with_header("Require", "100rel").with_header("RSeq", rseq);
        ringing.headers.set("To", format!("<sip:bob@example.com>;tag={tag}"));
        world.respond(*transaction, ringing);
    }
    let pracks = world.take_requests(&Method::Prack);
    let seen: Vec<(Option<String>, Option<&str>)> =
        pracks.iter().map(|(_, prack)| (prack.to_tag(), prack.headers.get("RAck"))).collect();
    assert_eq!(seen[0], (Some("left".to_owned()), Some("1 1 INVITE")));
    assert_eq!(seen[1], (Some("right".to_owned()), Some("7 1 INVITE")));
    world.request(caller.bye(), None);
}

#[test]
fn callers_hear_music_while_they_wait() {
    let mut world = open(sales(Hunt::Serial, &["nobody"]));
    let caller = dial(&mut world, 1);
    let sounds = world.mcu.iter().filter_map(|command| match command {
        McuCommand::SetBackground { background, .. } => Some(background.clone()),
        _ => None,
    });
    assert_eq!(sounds.collect::<Vec<_>>(), [Background::Music], "music, and no ringing beside it");
    world.request(caller.bye(), None);
    assert_eq!(outcomes(&world), [Outcome::Abandoned]);
    check_drained(&mut world);
}

#[test]
fn an_agent_who_hangs_up_ends_the_call() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    let (transaction, invite) = &caller.rung[0];
    let answer = ok(invite);
    world.respond(*transaction, answer.clone());
    world.respond(caller.rung[1].0, answer_to(&caller.rung[1].1, 487));
    world.request(bye_of_callee(invite, &answer, 1), None);
    assert_eq!(world.take_requests(&Method::Bye).len(), 1, "the caller is hung up");
    assert_eq!(outcomes(&world), [Outcome::Answered]);
    check_drained(&mut world);
}

#[test]
fn the_queues_time_out_forwards_the_caller_into_his_conference() {
    let queue = Queue {
        timeout_seconds: Some(30),
        timeout_action: Action::Forward { target: user("cleo") }.into(),
        ..Queue::default()
    };
    let mut world = open(ResponseGroup { queue, ..sales(Hunt::Serial, &["bob"]) });
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 486));
    world.pass(Duration::from_secs(31));
    let rung = world.take_requests(&Method::Invite);
    let forwarded = rung.iter().find(|(_, invite)| invite.uri.to_string().contains("cleo")).expect("cleo is rung");
    assert!(forwarded.1.headers.get("X-RG-Offer").is_none(), "it is an ordinary call now");
    world.respond(forwarded.0, ok(&forwarded.1));
    world.request(caller.bye(), None);
    assert_eq!(world.take_requests(&Method::Bye).len(), 1, "cleo is hung up with the caller");
    assert_eq!(outcomes(&world).len(), 1);
    assert!(matches!(outcomes(&world)[0], Outcome::TimedOut { .. }));
}

/// Nothing reaches the engine while he waits; the wallboard's clock goes on.
#[test]
fn the_wallboard_tells_how_long_somebody_waits_by_the_time_of_the_question() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 486));
    let longest = |later| {
        let board = world.engine.wallboard(world.now + Duration::from_secs(later)).expect("there are groups");
        board.groups[0].longest_wait_seconds
    };
    assert_eq!([longest(0), longest(4), longest(9)], [0, 4, 9]);
}

#[test]
fn an_agent_whose_answer_has_no_media_is_told_so() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 200));
    let byes = world.take_requests(&Method::Bye);
    assert_eq!(byes[0].1.headers.get("Reason"), Some("SIP;cause=488;text=\"Not acceptable here\""));
}

#[test]
fn feature_codes_sign_agents_in_and_out() {
    let mut world = parallel();
    for (code, signed_in) in [("*55", true), ("*56", false)] {
        let invite = out_of_dialog(Method::Invite, &format!("sip:{code}@example.com"), "bob", code)
            .with_body(SDP, sdp_body(34_000));
        let transaction = world.request(invite.clone(), Some(user("bob")));
        let ok = world.take_responses(transaction).pop().expect("answered");
        assert_eq!(ok.status, 200);
        world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
        assert_eq!(world.take_requests(&Method::Bye).len(), 1, "told, then hung up");
        let board = world.engine.wallboard(world.now).expect("there are groups");
        let bob = board.agents.iter().find(|agent| agent.uri == user("bob")).expect("he is an agent");
        assert_eq!(bob.signed_in, signed_in);
    }
    let stranger = out_of_dialog(Method::Invite, "sip:*55@example.com", "ann", "x").with_body(SDP, sdp_body(35_000));
    let transaction = world.request(stranger, Some(user("ann")));
    assert_eq!(world.take_responses(transaction).pop().expect("refused").status, 403);
    check_drained(&mut world);
}

/// A crash between a caller's 200 and his ACK loses nobody.
#[test]
fn a_callers_dialog_is_in_the_journal_before_his_200_is_acknowledged() {
    let mut world = parallel();
    let invite = out_of_dialog(Method::Invite, "sip:sales@example.com", "ann", "c1").with_body(SDP, sdp_body(30_000));
    let transaction = world.request(invite, Some(user("ann")));
    assert_eq!(world.take_responses(transaction).pop().expect("he is answered").status, 200);
    let is_up = |record: &GroupJournal| matches!(record, GroupJournal::Wire(engine::WireRecord::CallerUp { .. }));
    assert!(world.journal.iter().any(is_up));
}

#[test]
fn b26_an_agent_in_another_conversation_is_not_rung() {
    let mut world = open(sales(Hunt::Parallel, &["bob"]));
    let direct = out_of_dialog(Method::Invite, "sip:1234@example.com", "bob", "own").with_body(SDP, sdp_body(36_000));
    let transaction = world.request(direct.clone(), Some(user("bob")));
    let admitted = world.take_responses(transaction).pop().expect("he joins a conference");
    world.ack(in_dialog(Method::Ack, &direct, &admitted, 1));
    let caller = dial(&mut world, 1);
    assert!(caller.rung.is_empty(), "he is in a meeting");
    world.request(in_dialog(Method::Bye, &direct, &admitted, 2), None);
    world.pass(Duration::from_secs(6));
    assert_eq!(world.take_requests(&Method::Invite).len(), 1, "now he is free");
    world.request(caller.bye(), None);
}

#[test]
fn every_decision_is_in_the_journal_before_its_effect() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    let (transaction, invite) = &caller.rung[0];
    world.respond(*transaction, ok(invite));
    // Where a text stands first among what was written and what was sent.
    let place = |of: &dyn Fn(&Step) -> bool| world.log.iter().position(of).expect("it is there");
    let written =
        |text: String| place(&|step| matches!(step, Step::Written(record) if format!("{record:?}").contains(&text)));
    let sent = |wanted: &dyn Fn(&SipCommand) -> bool| place(&|step| matches!(step, Step::Sent(it) if wanted(it)));
    for (_, invite) in &caller.rung {
        let id = invite.call_id().to_owned();
        let left = sent(&|command| matches!(command, SipCommand::Send { request, .. } if request.call_id() == id));
        assert!(written("Invited { offer: ".to_owned()) < left && written(id.clone()) < left, "{id}");
    }
    let answer = sent(&|command| matches!(command, SipCommand::Respond { response, .. } if response.status == 200));
    assert!(written("CallerUp".to_owned()) < answer, "his dialog is known before his 200");
    let ack = sent(&|command| matches!(command, SipCommand::SendAck { .. }));
    assert!(written("AgentUp".to_owned()) < ack, "the agent's dialog is known before his ACK");
    assert!(written("OfferAnswered".to_owned()) < ack);
    world.request(caller.bye(), None);
}

/// The process dies while phones ring; the next one silences them and gives the caller his audio back.
#[test]
fn after_a_crash_ringing_phones_are_cancelled_and_the_caller_keeps_his_place() {
    let mut world = parallel();
    let caller = dial(&mut world, 1);
    for (transaction, invite) in &caller.rung {
        world.respond(*transaction, answer_to(invite, 180));
    }
    let journal = world.journal.clone();
    let mut after = World::new();
    after.now = world.now + Duration::from_secs(2);
    after.open_groups(config(sales(Hunt::Parallel, &["bob", "cleo"])), &journal);
    let invites = after.take_requests(&Method::Invite);
    let again: Vec<&(ClientTransactionId, Request)> =
        invites.iter().filter(|(_, invite)| invite.to_tag().is_none()).collect();
    assert_eq!(again.len(), 2, "each INVITE once more");
    for (_, invite) in &caller.rung {
        let repeated = again.iter().find(|(_, other)| other.call_id() == invite.call_id()).expect("the same call");
        assert_eq!(repeated.1.from_tag(), invite.from_tag());
        assert_eq!(repeated.1.cseq(), invite.cseq());
    }
    assert_eq!(cancels(&mut after).len(), 2);
    let reinvite = invites.iter().find(|(_, invite)| invite.to_tag().is_some()).expect("the caller is re-invited");
    assert_eq!(reinvite.1.call_id(), caller.invite.call_id());
    after.respond(reinvite.0, ok(&reinvite.1));
    for (transaction, invite) in again {
        after.respond(*transaction, answer_to(invite, 487));
    }
    after.register("bob", &[41_000]);
    let next = after.take_requests(&Method::Invite);
    assert_eq!(next.len(), 1, "bob is free and is rung at once for the caller who waited");
    let snapshot = after.engine.wallboard(after.now).expect("there are groups");
    assert_eq!(snapshot.groups[0].waiting, 1);
    after.respond(next[0].0, ok(&next[0].1));
    assert_eq!(after.engine.wallboard(after.now).expect("groups").groups[0].talking, 1);
}

/// Phones that want every call encrypted (`srtp-mand` of baresip) take no description that leaves it open.
#[test]
fn an_agent_whose_phone_insists_on_encryption_is_offered_it() {
    let mut world = encrypting(SrtpPolicy::Support);
    let caller = dial(&mut world, 1);
    let (transaction, invite) = &caller.rung[0];
    assert!(described(invite).contains(" RTP/AVP ") && described(invite).contains("a=crypto:"), "the choice is his");
    world.respond(*transaction, answer_to(invite, 488));
    let again = world.take_requests(&Method::Invite);
    let [(transaction, invite)] = again.as_slice() else { panic!("he is asked once more: {again:?}") };
    assert!(described(invite).contains(" RTP/SAVP "), "{}", described(invite));
    world.respond(*transaction, answer_to(invite, 180));
    let key = "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\r\n";
    let body = sdp_body(40_002).replace("RTP/AVP", "RTP/SAVP") + key;
    world.respond(*transaction, answer_to(invite, 200).with_body(SDP, body));
    assert_eq!(world.engine.wallboard(world.now).expect("groups").groups[0].talking, 1);
    world.request(caller.bye(), None);
}

#[test]
fn an_agent_whose_phone_takes_none_of_it_is_asked_twice_at_most() {
    for policy in [SrtpPolicy::Off, SrtpPolicy::Support] {
        let mut world = encrypting(policy);
        let caller = dial(&mut world, 1);
        let (mut rung, mut asked) = (caller.rung.clone(), 0);
        while let Some((transaction, invite)) = rung.pop() {
            asked += 1;
            world.respond(transaction, answer_to(&invite, 488));
            rung = world.take_requests(&Method::Invite);
        }
        assert_eq!(asked, if policy == SrtpPolicy::Support { 2 } else { 1 }, "{policy:?}");
        world.request(caller.bye(), None);
    }
}

fn encrypting(srtp: SrtpPolicy) -> World {
    let mut world = World::configured(|config| config.srtp = srtp);
    world.open_groups(config(sales(Hunt::Serial, &["bob"])), &[]);
    world.register("bob", &[41_000]);
    world
}

fn described(invite: &Request) -> String {
    String::from_utf8_lossy(&invite.body).into_owned()
}
