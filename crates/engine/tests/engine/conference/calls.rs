//! Calls to and from conferences, through the whole control side in virtual time.

use crate::world::{World, answer_to, config, in_dialog, out_of_dialog, sdp_body, user};
use base::{AccessType, Duration, LegId, UserUri};
use engine::{EngineConfig, EngineEvent};
use focus::EndpointStatus::{Alerting, Connected, DialingOut, OnHold};
use mcu_api::{McuCommand, McuEvent, RecordingFormat};
use sip_api::{Method, Request, Response};

fn invite(target: &str, from: &str, call_id: &str) -> Request {
    out_of_dialog(Method::Invite, target, from, call_id).with_body("application/sdp", sdp_body(30_000))
}

/// Calls, expects a 200, acknowledges it.
fn connect(world: &mut World, invite: &Request, from: Option<&str>) -> Response {
    let transaction = world.request(invite.clone(), from.map(user));
    let responses = world.take_responses(transaction);
    let ok = responses.last().expect("a final response").clone();
    assert_eq!(ok.status, 200, "{ok:?}");
    world.ack(in_dialog(Method::Ack, invite, &ok, 1));
    ok
}

fn reserved_legs(world: &World) -> Vec<LegId> {
    let reserved = |command: &McuCommand| match command {
        McuCommand::ReserveLeg { leg, .. } => Some(*leg),
        _ => None,
    };
    world.mcu.iter().filter_map(reserved).collect()
}

#[test]
fn a_user_who_dials_the_number_is_in() {
    let mut world = World::new();
    let ok = connect(&mut world, &invite("sip:1234@example.com", "bob", "c1"), Some("bob"));
    assert!(ok.headers.get("Contact").is_some_and(|contact| contact.ends_with(";isfocus")), "{ok:?}");
    assert!(String::from_utf8_lossy(&ok.body).contains("m=audio 20002 RTP/AVP 0"), "{ok:?}");
    assert_eq!(world.statuses(), [("sip:bob@example.com".to_owned(), vec![Connected])]);
    assert!(world.mcu.iter().any(|command| matches!(command, McuCommand::ConnectLeg { .. })));
}

#[test]
fn who_claims_to_be_our_user_must_prove_it() {
    let mut world = World::new();
    let transaction = world.request(invite("sip:1234@example.com", "bob", "c1"), None);
    assert!(world.is_challenged(transaction));
    assert!(world.engine.conferences().is_empty());
}

#[test]
fn an_unknown_number_is_not_found() {
    let mut world = World::new();
    let transaction = world.request(invite("sip:9999@example.com", "bob", "c1"), Some(user("bob")));
    assert_eq!(world.take_responses(transaction).last().map(|response| response.status), Some(404));
}

#[test]
fn a_stranger_enters_the_pin_by_digits() {
    let mut world = World::new();
    connect(&mut world, &invite("sip:2345@example.com", "stranger", "c1"), None);
    let leg = reserved_legs(&world)[0];
    assert!(world.mcu.contains(&McuCommand::SetInMix { leg, in_mix: false }));
    world.digits(leg, "1111#");
    assert!(!world.mcu.contains(&McuCommand::SetInMix { leg, in_mix: true }));
    world.digits(leg, "4711#");
    assert!(world.mcu.contains(&McuCommand::SetInMix { leg, in_mix: true }));
    assert_eq!(world.statuses(), [(format!("sip:guest-{leg}@anonymous.invalid"), vec![Connected])]);
}

#[test]
fn keys_that_come_by_info_are_keys() {
    for kind in ["application/dtmf-relay", "application/dtmf"] {
        let mut world = World::new();
        let invitation = invite("sip:2345@example.com", "stranger", "c1");
        let ok = connect(&mut world, &invitation, None);
        let leg = reserved_legs(&world)[0];
        let body = |digit: char| match kind {
            "application/dtmf" => digit.to_string(),
            _ => format!("Signal={digit}\r\nDuration=160\r\n"),
        };
        for (number, digit) in (2..).zip("4711#".chars()) {
            let info = in_dialog(Method::Info, &invitation, &ok, number).with_body(kind, body(digit));
            let transaction = world.request(info, None);
            assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(200), "{kind}");
            // This phone sends telephone-events as well.
            world.digits(leg, &digit.to_string());
        }
        assert!(world.mcu.contains(&McuCommand::SetInMix { leg, in_mix: true }), "{kind}");
        world.digits(leg, "*");
        let info = in_dialog(Method::Info, &invitation, &ok, 10).with_body(kind, body('6'));
        world.request(info, None);
        let muted = |command: &McuCommand| matches!(command, McuCommand::SetFilters { .. });
        assert!(world.mcu.iter().any(muted), "{kind}: the keypad takes them too");
    }
}

#[test]
fn an_info_that_carries_no_digit_is_told_so() {
    let mut world = World::new();
    let invitation = invite("sip:1234@example.com", "bob", "c1");
    let ok = connect(&mut world, &invitation, Some("bob"));
    for (number, (kind, body, status)) in
        (2..).zip([("application/dtmf-relay", "Signal=hello", 400), ("application/x-unknown", "5", 415)])
    {
        let info = in_dialog(Method::Info, &invitation, &ok, number).with_body(kind, body);
        let transaction = world.request(info, None);
        assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(status), "{kind}");
    }
}

#[test]
fn three_wrong_pins_end_the_call() {
    let mut world = World::new();
    connect(&mut world, &invite("sip:2345@example.com", "stranger", "c1"), None);
    let leg = reserved_legs(&world)[0];
    world.digits(leg, "1#2#3#");
    assert_eq!(world.take_requests(&Method::Bye).len(), 1);
    assert_eq!(world.engine.leg_count(), 0);
}

#[test]
fn hold_and_resume_are_in_the_roster() {
    let mut world = World::new();
    let invitation = invite("sip:1234@example.com", "bob", "c1");
    let ok = connect(&mut world, &invitation, Some("bob"));
    let reinvite = |number: u32, direction: &str| {
        let body = format!("{}a={direction}\r\n", sdp_body(30_000)).replace("o=- 1 1", &format!("o=- 1 {number}"));
        in_dialog(Method::Invite, &invitation, &ok, number).with_body("application/sdp", body)
    };
    for (number, direction, status) in [(2, "inactive", OnHold), (3, "sendrecv", Connected)] {
        let transaction = world.request(reinvite(number, direction), None);
        let response = world.take_responses(transaction).pop().expect("a final response");
        assert_eq!(response.status, 200, "{response:?}");
        world.ack(in_dialog(Method::Ack, &invitation, &ok, number));
        assert_eq!(world.statuses(), [("sip:bob@example.com".to_owned(), vec![status])]);
    }
}

#[test]
fn a_call_without_an_offer_is_answered_with_ours() {
    let mut world = World::new();
    let invitation = out_of_dialog(Method::Invite, "sip:1234@example.com", "bob", "c1");
    let transaction = world.request(invitation.clone(), Some(user("bob")));
    let ok = world.take_responses(transaction).pop().expect("a final response");
    assert!(String::from_utf8_lossy(&ok.body).contains("opus/48000/2"), "{ok:?}");
    assert!(!world.mcu.iter().any(|command| matches!(command, McuCommand::ConnectLeg { .. })));
    world.ack(in_dialog(Method::Ack, &invitation, &ok, 1).with_body("application/sdp", sdp_body(30_000)));
    assert!(world.mcu.iter().any(|command| matches!(command, McuCommand::ConnectLeg { .. })));
    assert_eq!(world.statuses(), [("sip:bob@example.com".to_owned(), vec![Connected])]);
}

#[test]
fn who_hangs_up_leaves_no_trace_but_his_record() {
    let mut world = World::new();
    let invitation = invite("sip:1234@example.com", "bob", "c1");
    let ok = connect(&mut world, &invitation, Some("bob"));
    world.pass(Duration::from_secs(3));
    world.request(in_dialog(Method::Bye, &invitation, &ok, 2), None);
    assert_eq!(world.engine.leg_count(), 0);
    assert!(world.engine.conferences().is_empty());
    let records = world.leg_records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].ended.since(records[0].connected.expect("it was connected")), Duration::from_secs(3));
    world.pass(Duration::from_secs(40));
    assert_eq!(world.engine.poll_timeout(), None, "every timer drains");
}

#[test]
fn a_phone_adds_somebody_by_refer_and_his_devices_ring() {
    let mut world = World::new();
    world.register("cleo", &[41_000, 41_002]);
    let invitation = invite("sip:1234@example.com", "ann", "c1");
    let ok = connect(&mut world, &invitation, Some("ann"));
    let mut refer = in_dialog(Method::Refer, &invitation, &ok, 2);
    refer.headers.push("Refer-To", "<sip:cleo@example.com>");
    let transaction = world.request(refer, None);
    assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(202));
    let ringing = world.take_requests(&Method::Invite);
    assert_eq!(ringing.len(), 2, "both devices of cleo ring");
    assert_eq!(world.statuses()[1], ("sip:cleo@example.com".to_owned(), vec![DialingOut]));
    world.respond(ringing[0].0, answer_to(&ringing[0].1, 180));
    assert_eq!(world.statuses()[1].1, [Alerting]);
    let ok = answer_to(&ringing[1].1, 200).with_body("application/sdp", sdp_body(31_000));
    world.respond(ringing[1].0, ok);
    assert_eq!(world.statuses()[1].1, [Connected]);
    let cancelled = world.sip.iter().find_map(|command| match command {
        sip_api::SipCommand::Cancel { transaction, reason } => Some((*transaction, reason.clone())),
        _ => None,
    });
    let (transaction, reason) = cancelled.expect("the other device is cancelled");
    assert_eq!(transaction, ringing[0].0);
    assert!(reason[0].contains("Call completed elsewhere"), "{reason:?}");
}

#[test]
fn a_number_goes_to_the_next_trunk_when_the_first_is_down() {
    let mut world = World::new();
    let invitation = invite("sip:1234@example.com", "ann", "c1");
    let ok = connect(&mut world, &invitation, Some("ann"));
    let mut refer = in_dialog(Method::Refer, &invitation, &ok, 2);
    refer.headers.push("Refer-To", "<tel:03055501234>");
    world.request(refer, None);
    let (first, request) = world.take_requests(&Method::Invite).pop().expect("an INVITE to the first trunk");
    assert_eq!(request.uri.to_string(), "sip:+493055501234@127.0.0.1:5070;transport=udp;user=phone");
    world.respond(first, answer_to(&request, 503));
    let (second, request) = world.take_requests(&Method::Invite).pop().expect("an INVITE to the second trunk");
    assert_eq!(request.uri.port, Some(5072));
    world.respond(second, answer_to(&request, 200).with_body("application/sdp", sdp_body(31_000)));
    let leg = *reserved_legs(&world).last().expect("the dial-out's");
    world.input(engine::Input::Mcu(McuEvent::MediaTimeout { leg }));
    let record = |event: &EngineEvent| match event {
        EngineEvent::LegEnded(record) => record.dialled.then(|| (**record).clone()),
        _ => None,
    };
    let record = world.events.iter().find_map(record).expect("the record of the dial-out");
    assert_eq!(record.requested_by.as_ref().map(UserUri::as_str), Some("sip:ann@example.com"));
    assert_eq!(record.reached.as_ref().map(UserUri::as_str), Some("tel:+493055501234"));
    assert_eq!((record.trunk.as_deref(), record.call_id.as_deref()), (Some("two"), Some(request.call_id())));
}

#[test]
fn media_that_stops_ends_the_call() {
    let mut world = World::new();
    connect(&mut world, &invite("sip:1234@example.com", "bob", "c1"), Some("bob"));
    let leg = reserved_legs(&world)[0];
    world.input(engine::Input::Mcu(McuEvent::MediaTimeout { leg }));
    assert_eq!(world.take_requests(&Method::Bye).len(), 1);
    assert_eq!(world.engine.leg_count(), 0);
}

/// A conference begins when somebody joins (c3p.md 8.1): who is refused, or gives up while he is asked for the PIN, has it
/// neither told, nor listed, nor mixed, nor recorded.
#[test]
fn a_refused_caller_starts_no_conference() {
    let mut world = World::with(|directory| {
        let closed = crate::world::permanent("1111", AccessType::Closed, None);
        let with_pin = crate::world::permanent("2345", AccessType::Anonymous, Some("4711"));
        directory.record_conference(closed.id.clone());
        directory.record_conference(with_pin.id);
        directory.add_conference(closed);
    });
    let quiet = |world: &World| {
        assert!(world.engine.conferences().is_empty(), "{:?}", world.engine.conferences());
        assert_eq!(world.engine.conference_count(), 0);
        let told = |event: &EngineEvent| {
            matches!(event, EngineEvent::ConferenceStarted { .. } | EngineEvent::ConferenceEnded { .. })
        };
        assert!(!world.events.iter().any(told), "{:?}", world.events);
        let recorded = |command: &McuCommand| matches!(command, McuCommand::StartRecording { .. });
        assert!(!world.mcu.iter().any(recorded));
    };
    let transaction = world.request(invite("sip:1111@example.com", "bob", "c1"), Some(user("bob")));
    assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(403));
    quiet(&world);
    assert_eq!((world.mcu.len(), world.engine.load().conferences), (0, 0), "nothing is left of it");

    let invitation = invite("sip:2345@example.com", "stranger", "c2");
    let ok = connect(&mut world, &invitation, None);
    quiet(&world);
    world.request(in_dialog(Method::Bye, &invitation, &ok, 2), None);
    quiet(&world);
    assert_eq!((world.engine.load().conferences, world.engine.leg_count()), (0, 0));
    assert!(world.mcu.iter().any(|command| matches!(command, McuCommand::EndConference { .. })));

    connect(&mut world, &invite("sip:1111@example.com", "ann", "c3"), Some("ann"));
    assert_eq!(world.engine.conferences().len(), 1);
    assert!(world.mcu.iter().any(|command| matches!(command, McuCommand::StartRecording { .. })));
}

#[test]
fn a_recording_has_the_form_that_is_set() {
    for set in [RecordingFormat::Opus, RecordingFormat::Wav] {
        let mut world = World::of(EngineConfig { recording_format: set, ..config() }, |directory| {
            let conference = crate::world::permanent("1111", AccessType::Open, None);
            directory.record_conference(conference.id.clone());
            directory.add_conference(conference);
        });
        connect(&mut world, &invite("sip:1111@example.com", "ann", "c1"), Some("ann"));
        let written = world.mcu.iter().find_map(|command| match command {
            McuCommand::StartRecording { format, .. } => Some(*format),
            _ => None,
        });
        assert_eq!(written, Some(set));
    }
}

#[test]
fn calling_the_factory_makes_a_conference_that_goes_with_its_last_participant() {
    let mut world = World::new();
    let invitation = invite("sip:conference-factory@example.com", "bob", "c1");
    let ok = connect(&mut world, &invitation, Some("bob"));
    let views = world.engine.conferences();
    let number = views[0].number.clone().expect("it has a number");
    connect(&mut world, &invite(&format!("sip:{number}@example.com"), "cleo", "c2"), Some("cleo"));
    assert_eq!(world.statuses().len(), 2);
    world.request(in_dialog(Method::Bye, &invitation, &ok, 2), None);
    assert_eq!(world.statuses().len(), 1);
}

#[test]
fn nothing_is_sent_to_a_caller_who_never_acknowledges() {
    let mut world = World::new();
    let invitation = invite("sip:2345@example.com", "stranger", "c1");
    let transaction = world.request(invitation, None);
    assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(200));
    assert!(!world.mcu.iter().any(|command| matches!(command, McuCommand::ConnectLeg { .. })));
}

#[test]
fn a_guesser_is_not_answered_after_ten_wrong_pins() {
    let mut world = World::new();
    for call in 0..4 {
        connect(&mut world, &invite("sip:2345@example.com", "guesser", &format!("c{call}")), None);
        let leg = *reserved_legs(&world).last().expect("a leg");
        world.digits(leg, "1#2#3#");
    }
    let transaction = world.request(invite("sip:2345@example.com", "guesser", "c9"), None);
    assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(403));
    world.pass(Duration::from_secs(600));
    connect(&mut world, &invite("sip:2345@example.com", "guesser", "c10"), None);
}

#[test]
fn while_draining_a_live_conference_goes_on_and_no_other_begins() {
    let mut world = World::new();
    connect(&mut world, &invite("sip:1234@example.com", "ann", "c1"), Some("ann"));
    world.input(engine::Input::Drain);
    connect(&mut world, &invite("sip:1234@example.com", "bob", "c2"), Some("bob"));
    let transaction = world.request(invite("sip:2345@example.com", "stranger", "c3"), None);
    let refused = world.take_responses(transaction).pop().expect("a final response");
    assert_eq!((refused.status, refused.headers.get("Retry-After")), (503, Some("10")));
}

#[test]
fn a_conference_that_is_to_be_recorded_is_and_everybody_is_told() {
    let conference = engine::Directory::permanent_id(&base::ConferenceNumber::parse("3456").expect("valid"));
    let mut world = World::with(|directory| directory.record_conference(conference.clone()));
    for (name, call) in [("ann", "c1"), ("bob", "c2")] {
        connect(&mut world, &invite("sip:3456@example.com", name, call), Some(name));
    }
    connect(&mut world, &invite("sip:1234@example.com", "cleo", "c3"), Some("cleo"));
    let started = |command: &&McuCommand| matches!(command, McuCommand::StartRecording { .. });
    let told_leg = |command: &McuCommand| match command {
        McuCommand::Announce { leg, announcement } => {
            assert_eq!(announcement.parts, [mcu_api::Spoken::Phrase(mcu_api::Phrase::Recorded)]);
            Some(*leg)
        }
        _ => None,
    };
    assert_eq!(world.mcu.iter().filter(started).count(), 1);
    let told: Vec<LegId> = world.mcu.iter().filter_map(told_leg).collect();
    assert_eq!(told, reserved_legs(&world)[..2], "those of this conference and nobody else");

    // The disk is full: who comes later is not recorded and is not told that he is.
    let error = Some("no space left on device".to_owned());
    let failed = McuEvent::RecordingEnded { conference, file: "x.incomplete.opus".to_owned(), length_ms: 1_000, error };
    world.input(engine::Input::Mcu(failed));
    connect(&mut world, &invite("sip:3456@example.com", "dave", "c4"), Some("dave"));
    assert_eq!(world.mcu.iter().filter_map(told_leg).count(), 2);
}

#[test]
fn the_quality_of_a_leg_is_shown_beside_it() {
    let mut world = World::new();
    connect(&mut world, &invite("sip:1234@example.com", "bob", "c1"), Some("bob"));
    let statistics = mcu_api::LegStatistics {
        mos_hundredths: 412,
        remote_loss_fraction: 128,
        one_way: true,
        buffer_delay_us: 41_000,
        buffer_delay_max_us: 120_000,
        ..mcu_api::LegStatistics::default()
    };
    world.input(engine::Input::Mcu(McuEvent::LegQuality { leg: reserved_legs(&world)[0], statistics }));
    let conferences = world.engine.conferences();
    let quality = conferences[0].participants[0].endpoints[0].quality.expect("it has audio");
    assert_eq!((quality.mos_hundredths, quality.remote_loss_percent, quality.one_way), (412, 50, true));
    assert_eq!((quality.buffer_delay_us, quality.buffer_delay_max_us), (41_000, 120_000));
}

#[test]
fn comings_and_goings_are_announced_where_the_conference_wants_it() {
    use mcu_api::{Phrase, Spoken};
    let mut world = World::with(|directory| {
        let number = base::ConferenceNumber::parse("3456").expect("valid");
        let id = engine::Directory::permanent_id(&number);
        directory.set_entry_exit(id, engine::EntryExit::Announce);
    });
    let said = |world: &mut World| -> Vec<(&str, Option<LegId>, Phrase)> {
        let phrase = |parts: &[Spoken]| match parts {
            [Spoken::Phrase(phrase)] => *phrase,
            other => panic!("{other:?}"),
        };
        let commands = world.mcu.iter().filter_map(|command| match command {
            McuCommand::Announce { leg, announcement } => Some(("one", Some(*leg), phrase(&announcement.parts))),
            McuCommand::AnnounceToAll { announcement, except, .. } => {
                Some(("all but", *except, phrase(&announcement.parts)))
            }
            _ => None,
        });
        commands.collect()
    };
    connect(&mut world, &invite("sip:3456@example.com", "ann", "c1"), Some("ann"));
    let has_tones = |command: &McuCommand| match command {
        McuCommand::CreateConference { media, .. } => Some(media.entry_exit_tones),
        _ => None,
    };
    assert_eq!(world.mcu.iter().find_map(has_tones), Some(false), "no tone beside the words");
    let ann = reserved_legs(&world)[0];
    let first = said(&mut world);
    assert_eq!(first, [("all but", Some(ann), Phrase::SomebodyJoined), ("one", Some(ann), Phrase::FirstOne)]);
    let (bob_invite, already) = (invite("sip:3456@example.com", "bob", "c2"), first.len());
    let ok = connect(&mut world, &bob_invite, Some("bob"));
    let bob = reserved_legs(&world)[1];
    let second = said(&mut world).split_off(already);
    assert_eq!(second, [("all but", Some(bob), Phrase::SomebodyJoined), ("one", Some(bob), Phrase::Joined)]);
    world.request(in_dialog(Method::Bye, &bob_invite, &ok, 2), Some(user("bob")));
    assert_eq!(said(&mut world).last(), Some(&("all but", None, Phrase::SomebodyLeft)));
    let before = said(&mut world).len();
    connect(&mut world, &invite("sip:1234@example.com", "cleo", "c3"), Some("cleo"));
    assert_eq!(said(&mut world).len(), before, "others have their tones");
}
