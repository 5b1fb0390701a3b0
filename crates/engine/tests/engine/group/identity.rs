//! Who is shown to whom: callers read who answered, agents read what rings, and nobody reads what is to stay hidden.

use crate::world::groups::{
    acks, bye_of_callee, check_drained, config, ok, open, records, request_of, restarted, sales,
};
use crate::world::{World, answer_to, in_dialog, out_of_dialog, sdp_body, user};
use base::{CallId, Duration};
use engine::{GroupCommand, GroupJournal, Input, UserAccount};
use response_group::{Action, AnswerMode, Method as Hunt, ResponseGroup};
use sip_api::{Method, Request, Response, ServerTransactionId, SipCommand};

const SDP: &str = "application/sdp";

/// A caller whose phone allows UPDATE, and perhaps follows a change of From.
fn invite(call_id: &str, supported: &str) -> Request {
    let mut invite = out_of_dialog(Method::Invite, "sip:sales@example.com", "ann", call_id);
    invite.headers.push("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE");
    invite.headers.push("Supported", supported);
    invite.with_body(SDP, sdp_body(30_000))
}

/// He calls, is answered, and bob takes the call; gives his INVITE, our 200 and bob's INVITE.
fn talk(world: &mut World, invite: &Request) -> (Response, Request) {
    let transaction = world.request(invite.clone(), Some(user("ann")));
    let (offer, rung) = world.take_requests(&Method::Invite).pop().expect("bob is rung");
    let answer = world.take_responses(transaction).pop().expect("callers are answered before they wait");
    world.ack(in_dialog(Method::Ack, invite, &answer, 1));
    world.respond(offer, ok(&rung));
    (answer, rung)
}

fn updates(world: &mut World) -> Vec<Request> {
    let updates = world.take_requests(&Method::Update);
    for (transaction, update) in &updates {
        world.respond(*transaction, answer_to(update, 200));
    }
    updates.into_iter().map(|(_, update)| update).collect()
}

fn identity(update: &Request) -> Option<&str> {
    update.headers.get("P-Asserted-Identity")
}

#[test]
fn a_caller_who_waited_is_told_who_answered_and_that_he_waits_again() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let invite = invite("c1", "timer");
    let (answer, rung) = talk(&mut world, &invite);
    let told = updates(&mut world);
    assert_eq!(told.iter().map(identity).collect::<Vec<_>>(), [Some("<sip:bob@example.com>")]);
    assert!(told[0].body.is_empty(), "the media stay as they are");
    assert_eq!(told[0].call_id(), "c1");
    let from = told[0].headers.get("From").expect("it has one").to_owned();
    assert_eq!(Some(from.as_str()), answer.headers.get("To"), "our address stays for who does not know of changes");
    // Bob sends him to another group, which is this one again: he waits.
    let mut refer = bye_of_callee(&rung, &ok(&rung), 2);
    refer.method = Method::Refer;
    refer.headers.set("CSeq", "2 REFER");
    refer.headers.push("Refer-To", "<sip:sales@example.com>");
    world.request(refer, None);
    let told = updates(&mut world);
    assert_eq!(told.iter().map(identity).collect::<Vec<_>>(), [Some("<sip:sales@example.com>")]);
}

/// Anybody may write anything into From: agents see it there, and it is not vouched for.
#[test]
fn a_guest_is_shown_and_not_asserted() {
    for (user, asserted) in [(Some(user("ann")), true), (None, false)] {
        let mut world = open(sales(Hunt::Serial, &["bob"]));
        let mut invite = invite("c1", "timer");
        if user.is_none() {
            invite.headers.set("From", "\"Central Bank\" <sip:governor@bank.example>;tag=1");
        }
        world.request(invite, user);
        let (_, rung) = world.take_requests(&Method::Invite).pop().expect("bob is rung");
        assert_eq!(identity(&rung).is_some(), asserted, "{rung:?}");
        let shown = if asserted { "ann@example.com" } else { "Central Bank\" <sip:governor@bank.example>" };
        assert!(rung.headers.get("From").is_some_and(|from| from.contains(shown)), "{rung:?}");
    }
}

#[test]
fn from_changes_for_a_phone_that_follows_it_alone() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let follows = invite("c1", "timer, from-change");
    let (answer, _) = talk(&mut world, &follows);
    let told = updates(&mut world);
    let from = told[0].headers.name_addr("From").expect("one").expect("valid");
    let to = answer.headers.name_addr("To").expect("one").expect("valid");
    assert_eq!((from.uri.to_string().as_str(), from.tag()), ("sip:bob@example.com", to.tag()));
}

#[test]
fn a_phone_without_update_is_told_by_a_re_invite_with_the_same_description() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let mut plain = invite("c2", "timer");
    plain.headers.set("Allow", "INVITE, ACK, BYE, CANCEL");
    let (answer, _) = talk(&mut world, &plain);
    assert!(updates(&mut world).is_empty());
    let told = world.take_requests(&Method::Invite);
    let [(transaction, reinvite)] = &told[..] else { panic!("one re-INVITE: {told:?}") };
    assert_eq!((reinvite.call_id(), identity(reinvite)), ("c2", Some("<sip:bob@example.com>")));
    assert_eq!(reinvite.body, answer.body, "the media stay as they are");
    let acknowledged = acks(&world);
    world.respond(*transaction, answer_to(reinvite, 200).with_body(SDP, sdp_body(30_000)));
    assert_eq!(acks(&world), acknowledged + 1);
    assert!(world.take_requests(&Method::Invite).is_empty(), "he is told once");

    // Who does not say what he allows may not bear it.
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let mut silent = invite("c3", "timer");
    silent.headers.remove("Allow");
    talk(&mut world, &silent);
    assert!(updates(&mut world).is_empty() && world.take_requests(&Method::Invite).is_empty());
}

/// Every text that goes to the caller, from the first response to the last request, also where his 200 waits for the agent.
#[test]
fn an_anonymous_group_never_tells_a_caller_who_its_agents_are() {
    for answer in [AnswerMode::Immediate, AnswerMode::EarlyMedia, AnswerMode::OnAgent] {
        let mut world = open(ResponseGroup { anonymous: true, answer, ..sales(Hunt::Serial, &["bob"]) });
        let invite = invite("c1", "timer, from-change");
        let transaction = world.request(invite.clone(), Some(user("ann")));
        let (offer, rung) = world.take_requests(&Method::Invite).pop().expect("bob is rung");
        world.respond(offer, ok(&rung));
        let is_to_caller = |command: &SipCommand| match command {
            SipCommand::Respond { transaction: known, .. } => *known == transaction,
            SipCommand::Send { request, .. } => request.call_id() == "c1",
            _ => false,
        };
        let accepted = world.sip.iter().find_map(|command| match command {
            SipCommand::Respond { response, .. } if response.status == 200 => Some(response.clone()),
            _ => None,
        });
        let answered = |world: &World| {
            let board = world.engine.wallboard(world.now).expect("there are groups");
            (board.groups[0].counters.answered, board.groups[0].counters.answered_in_target)
        };
        assert_eq!(answered(&world), (0, 0), "{answer:?}: his phone has not acknowledged it");
        world.ack(in_dialog(Method::Ack, &invite, &accepted.expect("he is answered"), 1));
        assert_eq!(answered(&world), (1, 1), "{answer:?}");
        world.pass(Duration::from_secs(1));
        world.request(bye_of_callee(&rung, &ok(&rung), 2), None);
        let told: Vec<String> =
            world.sip.iter().filter(|command| is_to_caller(command)).map(|command| format!("{command:?}")).collect();
        assert!(told.len() >= 2, "an answer and a BYE: {told:?}");
        let named = told.iter().find(|text| text.contains("bob"));
        assert!(named.is_none(), "{answer:?}: {named:?}");
    }
}

fn statuses(world: &mut World, transaction: ServerTransactionId) -> Vec<u16> {
    world.take_responses(transaction).iter().map(|response| response.status).collect()
}

#[test]
fn who_is_answered_only_by_an_agent_is_told_while_nobody_can_ring() {
    let mut world = World::new();
    world.open_groups(config(ResponseGroup { answer: AnswerMode::OnAgent, ..sales(Hunt::Serial, &["bob"]) }), &[]);
    let transaction = world.request(invite("c1", "timer"), Some(user("ann")));
    assert_eq!(statuses(&mut world, transaction), [180, 182], "it is there, and he waits");
    world.register("bob", &[41_000]);
    assert_eq!(statuses(&mut world, transaction), [180], "now somebody rings");
    let (offer, rung) = world.take_requests(&Method::Invite).pop().expect("bob is rung");
    world.respond(offer, answer_to(&rung, 486));
    assert_eq!(statuses(&mut world, transaction), [182]);
}

#[test]
fn an_agents_phone_rings_as_the_group_says() {
    let of = |alert: Option<&str>| {
        let alert_info = alert.map(str::to_owned);
        let mut world = open(ResponseGroup { alert_info, ..sales(Hunt::Serial, &["bob"]) });
        world.request(invite("c1", "timer"), Some(user("ann")));
        let (_, rung) = world.take_requests(&Method::Invite).pop().expect("bob is rung");
        rung.headers.get("Alert-Info").map(str::to_owned)
    };
    assert_eq!(of(Some("<urn:alert:service:priority>")).as_deref(), Some("<urn:alert:service:priority>"));
    assert_eq!(of(None).as_deref(), Some("<urn:alert:source:external>;info=response-group"));
}

/// C60: a caller of a trunk whose number is a user's is shown to agents by that user's name.
#[test]
fn a_telephone_caller_is_known_by_his_number() {
    let mut world = World::with(|directory| {
        directory.add_user(UserAccount {
            uri: user("eve"),
            display_name: Some("Eve".to_owned()),
            location_profile: None,
            number: Some("+4930123456".to_owned()),
        });
    });
    world.open_groups(config(sales(Hunt::Serial, &["bob"])), &[]);
    world.register("bob", &[41_000]);
    for (number, shown) in [("+4930123456", "Sales: Eve"), ("+4930999999", "Sales: +4930999999")] {
        let mut invite = out_of_dialog(Method::Invite, "sip:sales@example.com", "x", number);
        invite.headers.set("From", format!("<sip:{number}@127.0.0.9;user=phone>;tag=t"));
        let transaction = world.request_from(invite.clone().with_body(SDP, sdp_body(30_000)), [127, 0, 0, 9]);
        let (offer, rung) = world.take_requests(&Method::Invite).pop().expect("bob is rung");
        let from = rung.headers.name_addr("From").expect("one").expect("valid");
        assert_eq!(from.display_name.as_deref(), Some(shown));
        world.respond(offer, answer_to(&rung, 486));
        let answer = world.take_responses(transaction).pop().expect("answered");
        world.ack(in_dialog(Method::Ack, &invite, &answer, 1));
        world.request_from(in_dialog(Method::Bye, &invite, &answer, 2), [127, 0, 0, 9]);
        world.pass(Duration::from_secs(40));
    }
}

/// RFC 3325: what is asserted was proved, and a name that a phone writes was not.
#[test]
fn a_user_is_vouched_for_by_the_name_of_his_account_alone() {
    let mut world = World::with(|directory| {
        directory.add_user(UserAccount {
            uri: user("ann"),
            display_name: Some("Ann Miller".to_owned()),
            location_profile: None,
            number: None,
        });
    });
    world.open_groups(config(sales(Hunt::Serial, &["bob"])), &[]);
    world.register("bob", &[41_000]);
    for (number, (chosen, shown)) in
        [("Support: Boss", "Sales: Support: Boss"), ("", "Sales: Ann Miller")].into_iter().enumerate()
    {
        let mut invite = out_of_dialog(Method::Invite, "sip:sales@example.com", "ann", &format!("c{number}"));
        invite.headers.set("From", format!("\"{chosen}\" <sip:ann@example.com>;tag=t"));
        let transaction = world.request(invite.clone().with_body(SDP, sdp_body(30_000)), Some(user("ann")));
        let (offer, rung) = world.take_requests(&Method::Invite).pop().expect("bob is rung");
        let from = rung.headers.name_addr("From").expect("one").expect("valid");
        assert_eq!(from.display_name.as_deref(), Some(shown));
        assert_eq!(identity(&rung), Some("\"Ann Miller\" <sip:ann@example.com>"));
        world.respond(offer, answer_to(&rung, 486));
        let answer = world.take_responses(transaction).pop().expect("answered");
        world.ack(in_dialog(Method::Ack, &invite, &answer, 1));
        world.request(in_dialog(Method::Bye, &invite, &answer, 2), Some(user("ann")));
        world.pass(Duration::from_secs(40));
    }
}

fn only_bob() -> response_group::Config {
    config(sales(Hunt::Serial, &["bob"]))
}

/// The caller and whoever is named by this Call-ID are given their audio back, or that one is not there any more.
fn taken_up(after: &mut World, other: &str, is_there: bool) {
    let (transaction, reinvite) = request_of(after, &Method::Invite, "c1").expect("the caller is taken up");
    after.respond(transaction, ok(&reinvite));
    let (transaction, reinvite) = request_of(after, &Method::Invite, other).expect("and the other one");
    let answer = if is_there { ok(&reinvite) } else { answer_to(&reinvite, 481) };
    after.respond(transaction, answer);
}

/// The next process names the group in its From until it says better, and so does the one after it.
#[test]
fn a_caller_is_told_by_the_next_process_too_with_whom_he_talks() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let invite = invite("c1", "timer, from-change");
    let (_, rung) = talk(&mut world, &invite);
    updates(&mut world);
    let mut journal = world.journal.clone();
    for _ in 0..2 {
        let mut after = restarted(&world, only_bob(), &journal);
        taken_up(&mut after, rung.call_id(), true);
        let told = updates(&mut after);
        assert_eq!(told.iter().map(identity).collect::<Vec<_>>(), [Some("<sip:bob@example.com>")]);
        let from = told[0].headers.name_addr("From").expect("one").expect("valid");
        assert_eq!(from.uri.to_string(), "sip:bob@example.com", "his phone follows it");
        let third = after.engine.group_checkpoint().expect("there are groups");
        after.pass(Duration::from_secs(4));
        after.request(bye_of_callee(&rung, &ok(&rung), 7), None);
        let record = records(&after).pop().expect("a record");
        let parties: Vec<_> = record.legs.iter().map(|leg| leg.party.clone()).collect();
        assert_eq!(parties, [None, Some(user("bob"))], "the legs of this process");
        check_drained(&mut after);
        journal = third;
    }
}

#[test]
fn a_caller_whose_agent_does_not_come_back_is_told_that_he_waits() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let (_, rung) = talk(&mut world, &invite("c1", "timer"));
    let mut after = restarted(&world, only_bob(), &world.journal);
    taken_up(&mut after, rung.call_id(), false);
    assert_eq!(updates(&mut after).iter().map(identity).collect::<Vec<_>>(), [Some("<sip:sales@example.com>")]);
}

#[test]
fn a_caller_who_was_sent_on_is_told_by_the_next_process_too_to_whom() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    talk(&mut world, &invite("c1", "timer"));
    world.register("dave", &[43_000]);
    world.input(Input::Group(GroupCommand::Transfer {
        call: CallId(1),
        target: Action::Forward { target: user("dave") },
    }));
    let (transaction, rung) = world.take_requests(&Method::Invite).pop().expect("dave is rung");
    world.respond(transaction, ok(&rung));
    let mut after = restarted(&world, only_bob(), &world.journal);
    taken_up(&mut after, rung.call_id(), true);
    assert_eq!(updates(&mut after).iter().map(identity).collect::<Vec<_>>(), [Some("<sip:dave@example.com>")]);
}

/// What a phone may be told was not written down before: such a caller is taken up and told nothing.
#[test]
fn a_journal_that_does_not_say_what_a_caller_may_be_told_is_read() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let (_, rung) = talk(&mut world, &invite("c1", "timer, from-change"));
    let older = |record: &GroupJournal| -> GroupJournal {
        let mut value = serde_json::to_value(record).expect("it can be written");
        assert_eq!(serde_json::from_value::<GroupJournal>(value.clone()).ok().as_ref(), Some(record));
        if let Some(record) = value.as_object_mut() {
            let new = ["follows_from", "passed_on"];
            let known = new.iter().filter(|key| record.remove(**key).is_some()).count();
            assert!(known == 0 || known == new.len());
            if let Some(dialog) = record.get_mut("dialog").and_then(|dialog| dialog.as_object_mut()) {
                assert!(dialog.remove("updates").is_some() && dialog.remove("reinvites").is_some());
            }
        }
        serde_json::from_value(value).expect("it can be read")
    };
    let journal: Vec<GroupJournal> = world.journal.iter().map(older).collect();
    assert_ne!(journal, world.journal, "an older one");
    let mut after = restarted(&world, only_bob(), &journal);
    taken_up(&mut after, rung.call_id(), true);
    assert!(updates(&mut after).is_empty());
    assert!(after.take_requests(&Method::Bye).is_empty(), "they talk");
}

/// Who asks for privacy is not asserted to an agent whom the next process rings either.
#[test]
fn a_wish_for_privacy_outlives_the_process() {
    for privacy in [None, Some("id")] {
        let mut world = open(sales(Hunt::Serial, &["bob"]));
        let mut invite = invite("c1", "timer");
        privacy.into_iter().for_each(|value| invite.headers.push("Privacy", value));
        let (_, rung) = talk(&mut world, &invite);
        let mut after = restarted(&world, only_bob(), &world.journal);
        after.register("bob", &[41_000]);
        taken_up(&mut after, rung.call_id(), false);
        after.pass(Duration::from_secs(10));
        let (_, rung) = after.take_requests(&Method::Invite).pop().expect("bob is rung again");
        assert_eq!((identity(&rung).is_none(), rung.headers.get("Privacy")), (privacy.is_some(), privacy));
    }
}

/// As for a call to a person: whoever calls himself one of ours proves it, whether there is such a user or not.
#[test]
fn a_stranger_who_claims_our_domain_proves_it_or_does_not_call() {
    let cases = [
        ("sip:stranger@example.com", true),
        ("sip:ann@example.com", true),
        ("sip:stranger@elsewhere.example", false),
        ("sip:+4930123456@example.com", false),
        ("sip:0301234@example.com", false),
    ];
    for (from, challenged) in cases {
        let mut world = open(sales(Hunt::Serial, &["bob"]));
        let mut invite = invite("c1", "timer");
        invite.headers.set("From", format!("<{from}>;tag=f1"));
        let transaction = world.request(invite, None);
        assert_eq!(world.is_challenged(transaction), challenged, "{from}");
        assert_eq!(world.take_requests(&Method::Invite).is_empty(), challenged, "{from}");
    }
}
