//! What callers hear and press, what agents must do to take a call, and who else may take part.

use crate::world::groups::{
    Caller, bye_of_callee, cancels, check_drained, dial, history, ok, open, outcomes, records, sales,
};
use crate::world::{World, answer_to, in_dialog, user};
use base::{Duration, LegId, UserUri};
use engine::{EngineEvent, GroupCommand, Input, SupervisorState};
use mcu_api::{McuCommand, MediaFilter, Phrase, Spoken};
use response_group::{
    Action, Agent, AgentGroup, Announcements, Answer, AnswerMode, Day, Disposal, Hours, Method as Hunt, MonitorMode,
    Outcome, Presence, Question, ResponseGroup,
};
use sip_api::{ClientTransactionId, Method, Request};

const NUMBER: &str = "tel:+4930123456";

/// A group with one agent on the telephone network.
fn by_telephone() -> ResponseGroup {
    let agents = vec![Agent::new(UserUri::parse(NUMBER).expect("valid"))];
    let agent_group = AgentGroup { method: Hunt::Serial, agents, ..AgentGroup::default() };
    ResponseGroup::new(user("sales"), "Sales", agent_group)
}

fn agents(change: impl FnOnce(&mut AgentGroup)) -> ResponseGroup {
    let mut group = sales(Hunt::Serial, &["bob"]);
    change(&mut group.agent_groups[0]);
    group
}

fn said(world: &World, leg: LegId) -> Vec<(String, Vec<Spoken>)> {
    let announced = world.mcu.iter().filter_map(|command| match command {
        McuCommand::Announce { leg: to, announcement } if *to == leg => {
            Some((announcement.language.clone(), announcement.parts.clone()))
        }
        _ => None,
    });
    announced.collect()
}

fn joins(world: &World, leg: LegId) -> bool {
    let last = world.mcu.iter().rev().find_map(|command| match command {
        McuCommand::SetInMix { leg: of, in_mix } if *of == leg => Some(*in_mix),
        _ => None,
    });
    last == Some(true)
}

/// The MCU's leg of the caller, and the seat of whoever was rung for him first.
fn legs(world: &World) -> (LegId, LegId) {
    let legs = world.legs_in_mcu();
    (legs[0], legs[1])
}

fn command(world: &mut World, command: GroupCommand) {
    assert_eq!(world.engine.group_objection(&command), None);
    world.input(Input::Group(command));
}

/// A talk with bob.
fn talk(world: &mut World) -> (Caller, ClientTransactionId, Request) {
    let caller = dial(world, 1);
    let (transaction, invite) = caller.rung[0].clone();
    world.respond(transaction, ok(&invite));
    (caller, transaction, invite)
}

#[test]
fn b16_an_agent_on_the_telephone_presses_1_before_he_hears_the_caller() {
    let mut world = open(by_telephone());
    let caller = dial(&mut world, 1);
    let (transaction, invite) = &caller.rung[0];
    assert!(invite.uri.to_string().contains("127.0.0.1:5070"), "by the first trunk: {}", invite.uri);
    world.respond(*transaction, answer_to(invite, 180));
    world.pass(Duration::from_secs(3));
    world.respond(*transaction, ok(invite));
    let (_, seat) = legs(&world);
    assert_eq!(said(&world, seat), [("en".to_owned(), vec![Spoken::Phrase(Phrase::PressOne)])]);
    assert!(!joins(&world, seat), "a mailbox would be heard");
    world.digits(seat, "1");
    assert!(joins(&world, seat));
    world.request(caller.bye(), None);
    assert_eq!(outcomes(&world), [Outcome::Answered]);
    check_drained(&mut world);
}

#[test]
fn b17_whoever_does_not_press_1_or_answers_too_fast_does_not_get_the_caller() {
    for (after, digit) in [(3_000, Some("2")), (400, None), (3_000, None)] {
        let mut world = open(by_telephone());
        let caller = dial(&mut world, 1);
        let (transaction, invite) = &caller.rung[0];
        world.pass(Duration::from_millis(after));
        let (_, seat) = legs(&world);
        world.respond(*transaction, ok(invite));
        match digit {
            Some(digit) => world.digits(seat, digit),
            None => world.pass(Duration::from_secs(30)),
        }
        let byes = world.take_requests(&Method::Bye);
        assert_eq!(byes.len(), 1, "{after} ms, {digit:?}: the machine is hung up");
        world.put_back(byes);
        world.request(caller.bye(), None);
        assert_eq!(outcomes(&world), [Outcome::Abandoned], "{after} ms, {digit:?}");
    }
}

#[test]
fn a_trunk_is_shown_the_operators_number_and_no_identity_of_a_private_caller() {
    let mut world = open(by_telephone());
    let mut private = crate::world::out_of_dialog(Method::Invite, "sip:sales@example.com", "ann", "c1")
        .with_body("application/sdp", crate::world::sdp_body(30_000));
    private.headers.push("Privacy", "id");
    world.request(private, Some(user("ann")));
    let (_, invite) = world.take_requests(&Method::Invite).pop().expect("the agent is rung");
    assert_eq!(invite.headers.get("P-Asserted-Identity"), None);
    assert_eq!(invite.headers.get("Privacy"), Some("id"));
}

fn question(prompt: &str, answers: Vec<Answer>) -> Question {
    Question { prompt: prompt.to_owned(), answers, attempts: 2, wait_seconds: 5 }
}

fn choice(digit: char, label: &str) -> Answer {
    Answer { digit, label: label.to_owned(), question: None, action: None, agent_groups: Vec::new(), priority: None }
}

#[test]
fn questions_of_one_and_two_levels_are_answered_by_keys() {
    let inner = question("which-product", vec![choice('5', "Phones"), choice('6', "Cables")]);
    let second = Answer { question: Some(Box::new(inner)), ..choice('2', "German") };
    let group = ResponseGroup {
        question: Some(question("which-language", vec![choice('1', "English"), second])),
        ..sales(Hunt::Serial, &["bob"])
    };
    for (digits, subject) in [("1", "English"), ("26", "German, Cables")] {
        let mut world = open(group.clone());
        let caller = dial(&mut world, 1);
        assert!(caller.rung.is_empty(), "nobody rings before he has chosen");
        let leg = world.legs_in_mcu()[0];
        let asked: Vec<_> = said(&world, leg).into_iter().flat_map(|(_, parts)| parts).collect();
        assert_eq!(asked, [Spoken::File("which-language".to_owned())]);
        world.digits(leg, digits);
        let (_, invite) = world.take_requests(&Method::Invite).pop().expect("bob is rung");
        let shown = invite.headers.get("Subject").expect("what he chose").to_owned();
        assert!(shown.contains(subject), "{shown}");
        world.request(caller.bye(), None);
    }
}

#[test]
fn a_closed_group_says_so_in_the_servers_language_and_hangs_up() {
    // The world began on a Tuesday at 22:13 UTC.
    let hours = Hours { days: vec![Day::Tue], from: "08:00".to_owned(), to: "18:00".to_owned() };
    let closed = Disposal { prompt: Some("closed".to_owned()), action: Action::Disconnect };
    for (language, spoken) in [(None, "en"), (Some("de"), "de")] {
        let language = language.map(str::to_owned);
        let group = ResponseGroup {
            hours: vec![hours.clone()],
            closed: closed.clone(),
            language,
            ..sales(Hunt::Serial, &["bob"])
        };
        let mut world = open(group);
        let caller = dial(&mut world, 1);
        assert!(caller.rung.is_empty());
        let said: Vec<_> = world
            .mcu
            .iter()
            .filter_map(|command| match command {
                McuCommand::Announce { announcement, .. } => Some(announcement.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!((said[0].language.as_str(), &said[0].parts[0]), (spoken, &Spoken::Phrase(Phrase::Closed)));
        assert_eq!(world.take_requests(&Method::Bye).len(), 1, "and hung up");
        assert!(matches!(outcomes(&world)[..], [Outcome::Closed { target: None }]), "{:?}", outcomes(&world));
    }
}

#[test]
fn those_who_wait_hear_their_place_and_how_long_it_takes() {
    let announcements =
        Announcements { position: true, estimated_wait: true, every_seconds: 15, only_when_better: false };
    let mut world = open(ResponseGroup { announcements, ..sales(Hunt::Serial, &["bob"]) });
    let (first, ..) = talk(&mut world);
    let second = dial(&mut world, 2);
    let leg = *world.legs_in_mcu().last().expect("the second caller");
    world.pass(Duration::from_secs(40));
    let parts: Vec<Spoken> = said(&world, leg).into_iter().flat_map(|(_, parts)| parts).collect();
    assert!(parts.contains(&Spoken::Phrase(Phrase::YouAreNumber)) && parts.contains(&Spoken::Number(1)), "{parts:?}");
    world.request(second.bye(), None);
    world.request(first.bye(), None);
}

#[test]
fn a_supervisor_listens_whispers_and_barges_in_and_the_surface_hears_of_it() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    world.register("dave", &[43_000]);
    let (caller, ..) = talk(&mut world);
    let (_, agent_seat) = legs(&world);
    let call = base::CallId(1);
    for (place, mode) in [MonitorMode::Listen, MonitorMode::Whisper, MonitorMode::Barge].into_iter().enumerate() {
        world.mcu.clear();
        command(&mut world, GroupCommand::Monitor { call, supervisor: user("dave"), mode });
        if place == 0 {
            let (transaction, invite) = world.take_requests(&Method::Invite).pop().expect("his phone rings");
            world.respond(transaction, ok(&invite));
        }
        let seat = *world.legs_in_mcu().last().expect("his seat");
        let filter = world.mcu.iter().find_map(|command| match command {
            McuCommand::SetFilters { leg, ingress, .. } if *leg == seat => Some(*ingress),
            _ => None,
        });
        let audience = world.mcu.iter().find_map(|command| match command {
            McuCommand::SetAudience { leg, only } if *leg == seat => Some(*only),
            _ => None,
        });
        let (silent, only) = match mode {
            MonitorMode::Listen => (MediaFilter::Block, None),
            MonitorMode::Whisper => (MediaFilter::Unblock, Some(agent_seat)),
            MonitorMode::Barge => (MediaFilter::Unblock, None),
        };
        assert_eq!((filter, audience), (Some(silent), Some(only)), "{mode:?}");
        assert!(joins(&world, seat), "{mode:?}");
    }
    world.request(caller.bye(), None);
    let states: Vec<SupervisorState> = world
        .events
        .iter()
        .filter_map(|event| match event {
            EngineEvent::GroupSupervisor { state, supervisor, .. } if *supervisor == user("dave") => Some(*state),
            _ => None,
        })
        .collect();
    let there = SupervisorState::TakesPart;
    assert_eq!(states, [SupervisorState::Ringing, there, there, there, SupervisorState::Left]);
}

/// What he heard is over when the agent sends the caller on: he is hung up, and neither waits with music nor counts as busy.
#[test]
fn a_supervisor_is_hung_up_when_the_agent_sends_the_caller_on() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    world.register("dave", &[43_000]);
    let (caller, _, agents_invite) = talk(&mut world);
    let call = base::CallId(1);
    let monitor = GroupCommand::Monitor { call, supervisor: user("dave"), mode: MonitorMode::Barge };
    command(&mut world, monitor.clone());
    let (transaction, invite) = world.take_requests(&Method::Invite).pop().expect("his phone rings");
    world.respond(transaction, ok(&invite));
    let mut refer = bye_of_callee(&agents_invite, &ok(&agents_invite), 1);
    refer.method = Method::Refer;
    refer.headers.set("CSeq", "1 REFER");
    refer.headers.push("Refer-To", "<sip:cleo@example.com>");
    world.request(refer, None);
    let hung_up = world.take_requests(&Method::Bye);
    assert!(hung_up.iter().any(|(_, bye)| bye.call_id() == invite.call_id()), "{hung_up:?}");
    let left = |event: &EngineEvent| matches!(event, EngineEvent::GroupSupervisor { state: SupervisorState::Left, .. });
    assert_eq!(world.events.iter().filter(|event| left(event)).count(), 1);
    let refused = |event: &EngineEvent| matches!(event, EngineEvent::GroupSupervisorRefused { .. });
    assert!(!world.events.iter().any(refused), "nobody asked for anything that was refused");
    let why = world.engine.group_objection(&monitor).expect("nobody talks with him").to_string();
    assert!(why.contains("no agent talks in call 1"), "{why}");
    world.request(caller.bye(), None);
    assert!(!world.events.iter().any(refused), "his leaving is no wish");
}

#[test]
fn a_supervisor_who_is_not_reached_is_reported() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let (caller, ..) = talk(&mut world);
    let monitor = GroupCommand::Monitor { call: base::CallId(1), supervisor: user("dave"), mode: MonitorMode::Listen };
    command(&mut world, monitor);
    let not_reached =
        |event: &EngineEvent| matches!(event, EngineEvent::GroupSupervisor { state: SupervisorState::NotReached, .. });
    assert!(world.events.iter().any(not_reached), "he has no device");
    world.request(caller.bye(), None);
}

#[test]
fn b14_an_agent_sends_the_caller_on_by_refer_and_is_free_when_his_leg_is_over() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let (caller, _, invite) = talk(&mut world);
    world.pass(Duration::from_secs(5));
    let mut refer = bye_of_callee(&invite, &ok(&invite), 1);
    refer.method = Method::Refer;
    refer.headers.set("CSeq", "1 REFER");
    refer.headers.push("Refer-To", "<sip:cleo@example.com>");
    let transaction = world.request(refer, None);
    assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(202));
    let (to_cleo, invite_of_cleo) = world.take_requests(&Method::Invite).pop().expect("cleo is rung");
    assert!(invite_of_cleo.headers.get("X-RG-Offer").is_none(), "it is an ordinary call now");
    world.respond(to_cleo, ok(&invite_of_cleo));
    let progress = world.take_bodies(&Method::Notify);
    assert_eq!(progress.last().map(|body| body.trim()), Some("SIP/2.0 200 OK"));
    world.pass(Duration::from_secs(7));
    world.request(caller.bye(), None);
    let record = records(&world).pop().expect("a record");
    assert_eq!(record.onward.expect("a talk with cleo").with, user("cleo"));
    let bob = history(&world, "bob").pop().expect("bob's line");
    assert_eq!(bob.answered.map(|answered| bob.ended - answered), Some(5_000), "bob is not charged for cleo's talk");
}

#[test]
fn b11_an_agent_who_declined_is_kept_from_this_call_for_the_grace() {
    let mut world = open(agents(|group| group.decline_grace_seconds = 60));
    let caller = dial(&mut world, 1);
    world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 603));
    world.pass(Duration::from_secs(55));
    assert!(world.take_requests(&Method::Invite).is_empty(), "within the grace");
    world.pass(Duration::from_secs(15));
    assert_eq!(world.take_requests(&Method::Invite).len(), 1, "after it");
    world.request(caller.bye(), None);
}

#[test]
fn b13_an_agent_has_his_pause_after_a_conversation() {
    let mut world = open(agents(|group| group.wrap_up_seconds = 30));
    let (caller, ..) = talk(&mut world);
    world.pass(Duration::from_secs(2));
    world.request(caller.bye(), None);
    for (transaction, request) in world.take_requests(&Method::Bye) {
        world.respond(transaction, answer_to(&request, 200));
    }
    let next = dial(&mut world, 2);
    assert!(next.rung.is_empty(), "he has his pause");
    world.pass(Duration::from_secs(27));
    assert!(world.take_requests(&Method::Invite).is_empty());
    world.pass(Duration::from_secs(10));
    assert_eq!(world.take_requests(&Method::Invite).len(), 1);
    world.request(next.bye(), None);
}

#[test]
fn an_agent_with_two_calls_at_once_is_rung_for_one_at_a_time() {
    let mut world = open(agents(|group| group.max_calls = 2));
    let (first, ..) = talk(&mut world);
    let second = dial(&mut world, 2);
    assert_eq!(second.rung.len(), 1, "he may have another");
    let third = dial(&mut world, 3);
    assert!(third.rung.is_empty(), "his phone rings already");
    world.respond(second.rung[0].0, ok(&second.rung[0].1));
    world.pass(Duration::from_secs(10));
    assert!(world.take_requests(&Method::Invite).is_empty(), "two are enough");
    for caller in [first, second, third] {
        world.request(caller.bye(), None);
    }
}

#[test]
fn commands_pause_agents_publish_their_presence_and_send_callers_on() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    command(&mut world, GroupCommand::Pause { agent: user("bob"), seconds: 60 });
    let caller = dial(&mut world, 1);
    assert!(caller.rung.is_empty(), "paused");
    let away = GroupCommand::Presence { agent: user("bob"), presence: Presence::Away, lease_seconds: None };
    command(&mut world, away);
    command(&mut world, GroupCommand::Pause { agent: user("bob"), seconds: 0 });
    world.pass(Duration::from_secs(10));
    assert!(world.take_requests(&Method::Invite).is_empty(), "away");
    let back = GroupCommand::Presence { agent: user("bob"), presence: Presence::Available, lease_seconds: None };
    command(&mut world, back);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.take_requests(&Method::Invite).len(), 1, "back");
    let target = Action::Forward { target: user("cleo") };
    command(&mut world, GroupCommand::Transfer { call: base::CallId(1), target });
    assert_eq!(cancels(&mut world).len(), 1, "bob's phone is silenced");
    let rung = world.take_requests(&Method::Invite);
    assert!(rung.iter().any(|(_, invite)| invite.uri.to_string().contains("cleo")), "{rung:?}");
    world.request(caller.bye(), None);
}

#[test]
fn a_new_configuration_holds_for_the_next_call() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let config = crate::world::groups::config(sales(Hunt::Serial, &["cleo"]));
    command(&mut world, GroupCommand::Configure { config: Box::new(config) });
    let caller = dial(&mut world, 1);
    assert!(caller.rung[0].1.uri.to_string().contains("cleo"));
    world.request(caller.bye(), None);
    let wrong = sales(Hunt::Serial, &["cleo", "cleo"]);
    let refused = GroupCommand::Configure { config: Box::new(crate::world::groups::config(wrong)) };
    assert!(world.engine.group_objection(&refused).is_some(), "the same agent twice");
}

#[test]
fn a_caller_of_a_trusted_trunk_is_whom_the_trunk_asserts() {
    let mut invite = crate::world::out_of_dialog(Method::Invite, "sip:sales@example.com", "anonymous", "c1")
        .with_body("application/sdp", crate::world::sdp_body(30_000));
    invite.headers.push("P-Asserted-Identity", "\"Smith\" <sip:+4930999@trunk.example>");
    invite.headers.set("From", "<sip:anonymous@anonymous.invalid>;tag=from-c1");
    for (trusted, host) in [(true, [127, 0, 0, 9]), (false, [127, 0, 0, 1])] {
        let mut world = open(sales(Hunt::Serial, &["bob"]));
        world.request_from(invite.clone(), host);
        let (_, offer) = world.take_requests(&Method::Invite).pop().expect("bob is rung");
        let shown = offer.headers.get("From").expect("one").to_owned();
        assert_eq!(shown.contains("+4930999"), trusted, "{shown}");
        assert_eq!(shown.contains("Sales: Smith"), trusted, "{shown}");
    }
}

#[test]
fn an_agents_answer_that_is_never_joined_does_not_end_the_callers_call() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let caller = dial(&mut world, 1);
    let (transaction, invite) = &caller.rung[0];
    world.respond(*transaction, answer_to(invite, 200));
    let byes = world.take_requests(&Method::Bye);
    assert!(byes.iter().any(|(_, bye)| bye.call_id() == invite.call_id()), "an answer without media is ended");
    assert!(byes.iter().all(|(_, bye)| bye.call_id() != caller.invite.call_id()), "the caller waits on");
    world.request(in_dialog(Method::Bye, &caller.invite, &caller.ok, 2), None);
}

#[test]
fn a_caller_whose_200_waits_for_an_agent_reads_who_he_is_unless_the_group_is_anonymous() {
    for anonymous in [false, true] {
        let group = ResponseGroup { anonymous, answer: AnswerMode::OnAgent, ..sales(Hunt::Serial, &["bob"]) };
        let mut world = open(group);
        let invite = crate::world::out_of_dialog(Method::Invite, "sip:sales@example.com", "ann", "c1")
            .with_body("application/sdp", crate::world::sdp_body(30_000));
        let transaction = world.request(invite, Some(user("ann")));
        let (offer, rung) = world.take_requests(&Method::Invite).pop().expect("bob is rung");
        world.respond(offer, ok(&rung));
        let answer = world.take_responses(transaction).pop().expect("he is answered");
        assert_eq!(answer.status, 200);
        let told = answer.headers.get("P-Asserted-Identity");
        assert_eq!(told, (!anonymous).then_some("<sip:bob@example.com>"), "{anonymous}");
    }
}

/// A new offer of the agent inside his dialog.
fn reoffer(world: &mut World, invite: &Request, number: u32, direction: &str) {
    let body = format!("{}a={direction}\r\n", crate::world::sdp_body(31_000));
    let mut again = bye_of_callee(invite, &ok(invite), number).with_body("application/sdp", body);
    again.method = Method::Invite;
    again.headers.set("CSeq", format!("{number} INVITE"));
    let transaction = world.request(again.clone(), None);
    let answer = world.take_responses(transaction).pop().expect("answered");
    assert_eq!(answer.status, 200);
    again.method = Method::Ack;
    again.headers.set("CSeq", format!("{number} ACK"));
    world.ack(again);
}

#[test]
fn whom_an_agent_puts_on_hold_hears_music_until_he_is_taken_back_or_sent_on() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    let (caller, _, invite) = talk(&mut world);
    let (leg, _) = legs(&world);
    let in_mix = |world: &World| {
        let of = |command: &McuCommand| match command {
            McuCommand::SetInMix { leg: of, in_mix } if *of == leg => Some(*in_mix),
            _ => None,
        };
        world.mcu.iter().rev().find_map(of)
    };
    reoffer(&mut world, &invite, 1, "sendonly");
    assert_eq!(in_mix(&world), Some(false), "outside the mix he hears his background");
    reoffer(&mut world, &invite, 2, "sendrecv");
    assert_eq!(in_mix(&world), Some(true));
    reoffer(&mut world, &invite, 3, "sendonly");
    command(
        &mut world,
        GroupCommand::Transfer { call: base::CallId(1), target: Action::Forward { target: user("cleo") } },
    );
    assert_eq!(in_mix(&world), Some(true), "whoever comes next must hear him");
    world.request(caller.bye(), None);
}

#[test]
fn a_supervisor_who_is_asked_twice_takes_part_only_when_he_has_answered() {
    let mut world = open(sales(Hunt::Serial, &["bob"]));
    world.register("dave", &[43_000]);
    talk(&mut world);
    let call = base::CallId(1);
    let taking_part = |world: &World| {
        let takes_part = |event: &&EngineEvent| {
            matches!(event, EngineEvent::GroupSupervisor { state: SupervisorState::TakesPart, .. })
        };
        world.events.iter().filter(takes_part).count()
    };
    for mode in [MonitorMode::Listen, MonitorMode::Barge] {
        command(&mut world, GroupCommand::Monitor { call, supervisor: user("dave"), mode });
    }
    assert_eq!(taking_part(&world), 0, "his phone still rings");
    let (transaction, invite) = world.take_requests(&Method::Invite).pop().expect("his phone rings");
    world.mcu.clear();
    world.respond(transaction, ok(&invite));
    assert_eq!(taking_part(&world), 1);
    let speaks = |command: &McuCommand| matches!(command, McuCommand::SetFilters { ingress: MediaFilter::Unblock, .. });
    assert!(world.mcu.iter().any(speaks), "in the way he was asked for last");
}
