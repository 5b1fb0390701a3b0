//! Dial-in by telephone: access numbers and the attendant.

use crate::world::c3p_client::service;
use crate::world::{World, answer_to, in_dialog, out_of_dialog, sdp_body};
use base::{Duration, LegId};
use c3p::{Command, Outcome, ResponseBody};
use engine::{EngineEvent, Input};
use focus::EndpointStatus::{Connected, DialingIn};
use mcu_api::{McuCommand, McuEvent, Phrase, Spoken};
use sip_api::{Method, Request, Response};

const ACCESS: &str = "sip:+14255550100@example.com";

struct Caller {
    invite: Request,
    ok: Response,
    /// His leg with the attendant.
    leg: LegId,
}

/// A telephone that has called the access number.
fn call(world: &mut World, target: &str, call_id: &str) -> Caller {
    let mut invite = out_of_dialog(Method::Invite, target, "x", call_id).with_body("application/sdp", sdp_body(30_000));
    invite.headers.set("From", format!("<sip:+493055501234@pstn.example>;tag={call_id}"));
    let transaction = world.request(invite.clone(), None);
    let ok = world.take_responses(transaction).pop().expect("a final response");
    assert_eq!(ok.status, 200, "{ok:?}");
    world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
    let leg = *reserved(world).last().expect("it has ports");
    Caller { invite, ok, leg }
}

fn reserved(world: &World) -> Vec<LegId> {
    let reserved = |command: &McuCommand| match command {
        McuCommand::ReserveLeg { leg, .. } => Some(*leg),
        _ => None,
    };
    world.mcu.iter().filter_map(reserved).collect()
}

/// What a leg was told, announcement by announcement.
fn told(world: &World, wanted: LegId) -> Vec<(String, Vec<Phrase>)> {
    let phrases = |parts: &[Spoken]| {
        let phrase = |part: &Spoken| match part {
            Spoken::Phrase(phrase) => Some(*phrase),
            _ => None,
        };
        parts.iter().filter_map(phrase).collect()
    };
    let announced = |command: &McuCommand| match command {
        McuCommand::Announce { leg, announcement } if *leg == wanted => {
            Some((announcement.language.clone(), phrases(&announcement.parts)))
        }
        _ => None,
    };
    world.mcu.iter().filter_map(announced).collect()
}

/// The telephone takes the offer that moves it. Gives its new leg.
fn take_move(world: &mut World) -> LegId {
    let (transaction, offer) = world.take_requests(&Method::Invite).pop().expect("a re-INVITE");
    let leg = *reserved(world).last().expect("it has ports");
    assert!(
        !world.mcu.iter().any(|command| matches!(command, McuCommand::ConnectLeg { leg: known, .. } if *known == leg))
    );
    world.respond(transaction, answer_to(&offer, 200).with_body("application/sdp", sdp_body(30_000)));
    leg
}

#[test]
fn a_caller_keys_in_a_conference_and_its_pin() {
    let mut world = World::new();
    let caller = call(&mut world, ACCESS, "c1");
    assert_eq!(told(&world, caller.leg), [("en".to_owned(), vec![Phrase::Welcome, Phrase::EnterConferenceNumber])]);
    world.digits(caller.leg, "99*2345#");
    let leg = take_move(&mut world);
    assert!(world.mcu.contains(&McuCommand::RemoveLeg { leg: caller.leg }));
    assert!(world.mcu.contains(&McuCommand::SetInMix { leg, in_mix: false }));
    assert!(world.mcu.contains(&McuCommand::PlayPrompt { leg, prompt: mcu_api::Prompt::EnterPin }));
    assert!(world.statuses().is_empty());
    world.pass(Duration::from_secs(5));
    world.digits(leg, "99*4711#");
    assert!(world.mcu.contains(&McuCommand::SetInMix { leg, in_mix: true }));
    assert_eq!(world.statuses(), [(format!("sip:guest-{leg}@anonymous.invalid"), vec![Connected])]);
    world.request(in_dialog(Method::Bye, &caller.invite, &caller.ok, 2), None);
    let records = world.leg_records();
    assert_eq!(records.len(), 1, "one call, one record");
    let talked = records[0].connected.map(|connected| records[0].ended.since(connected));
    assert_eq!(talked, Some(Duration::from_secs(5)), "from the attendant's answer on");
    let load = world.engine.load();
    assert_eq!((load.legs, load.branches, load.conferences, load.calls.legs), (0, 0, 0, 0));
}

#[test]
fn the_attendant_speaks_the_language_of_the_number_and_is_no_focus() {
    let mut world = World::new();
    let caller = call(&mut world, "sip:493055501000@example.com", "c1");
    assert_eq!(told(&world, caller.leg)[0].0, "de");
    assert!(!caller.ok.headers.get("Contact").unwrap_or_default().contains("isfocus"), "{:?}", caller.ok);
}

#[test]
fn three_wrong_numbers_end_the_call_after_a_farewell() {
    let mut world = World::new();
    let caller = call(&mut world, ACCESS, "c1");
    world.digits(caller.leg, "9#");
    // The closed door of an open conference, which takes nobody without an account, sounds the same.
    world.digits(caller.leg, "1234#");
    let again = vec![Phrase::UnknownConference, Phrase::EnterConferenceNumber];
    assert_eq!(told(&world, caller.leg)[1..], [("en".to_owned(), again.clone()), ("en".to_owned(), again)]);
    assert!(world.take_requests(&Method::Bye).is_empty());
    world.digits(caller.leg, "#");
    let last = told(&world, caller.leg).pop().map(|(_, phrases)| phrases);
    assert_eq!(last, Some(vec![Phrase::UnknownConference, Phrase::Goodbye]));
    world.digits(caller.leg, "2345#");
    world.input(Input::Mcu(McuEvent::AnnouncementEnded { leg: caller.leg, completed: true }));
    assert_eq!(world.take_requests(&Method::Bye).len(), 1);
    world.pass(Duration::from_secs(120));
    let load = world.engine.load();
    assert_eq!((load.legs, load.branches), (0, 0));
    let created = |command: &&McuCommand| matches!(command, McuCommand::CreateConference { .. });
    let ended = |command: &&McuCommand| matches!(command, McuCommand::EndConference { .. });
    assert_eq!(world.mcu.iter().filter(created).count(), world.mcu.iter().filter(ended).count());
}

#[test]
fn who_keys_nothing_in_is_asked_three_times() {
    let mut world = World::new();
    let caller = call(&mut world, ACCESS, "c1");
    world.pass(Duration::from_secs(29));
    assert_eq!(told(&world, caller.leg).len(), 1);
    world.pass(Duration::from_secs(120));
    assert_eq!(world.take_requests(&Method::Bye).len(), 1);
    assert_eq!(world.engine.load().legs, 0);
}

#[test]
fn who_guesses_numbers_is_not_answered_any_more() {
    let mut world = World::new();
    for number in 0..10 {
        let caller = call(&mut world, ACCESS, &format!("c{number}"));
        world.digits(caller.leg, "9#");
        world.request(in_dialog(Method::Bye, &caller.invite, &caller.ok, 2), None);
    }
    let invite = out_of_dialog(Method::Invite, ACCESS, "stranger", "c99").with_body("application/sdp", sdp_body(1));
    let transaction = world.request(invite, None);
    let refused = world.take_responses(transaction).pop().expect("a final response");
    assert_eq!((refused.status, refused.headers.get("Retry-After")), (403, Some("600")));
    assert!(world.events.iter().any(|event| matches!(event, EngineEvent::PinGuessing { .. })));
}

#[test]
fn a_caller_who_hangs_up_while_he_is_moved_leaves_nothing() {
    for refuses in [false, true] {
        let mut world = World::new();
        let caller = call(&mut world, ACCESS, "c1");
        world.digits(caller.leg, "2345#");
        let (transaction, offer) = world.take_requests(&Method::Invite).pop().expect("a re-INVITE");
        if refuses {
            world.respond(transaction, answer_to(&offer, 488));
            assert_eq!(world.take_requests(&Method::Bye).len(), 1);
        } else {
            world.request(in_dialog(Method::Bye, &caller.invite, &caller.ok, 2), None);
        }
        world.pass(Duration::from_secs(120));
        let load = world.engine.load();
        assert_eq!((load.legs, load.branches, load.conferences, load.commands), (0, 0, 0, 0), "{refuses}");
        let removed = |command: &&McuCommand| matches!(command, McuCommand::RemoveLeg { .. });
        assert_eq!(world.mcu.iter().filter(removed).count(), 2, "{refuses}");
        let records = world.leg_records().len();
        assert_eq!(records, 1, "{refuses}");
    }
}

#[test]
fn an_account_that_calls_the_access_number_is_itself() {
    let mut world = World::new();
    let invite = out_of_dialog(Method::Invite, ACCESS, "bob", "c1").with_body("application/sdp", sdp_body(30_000));
    let transaction = world.request(invite.clone(), None);
    assert!(world.is_challenged(transaction), "he must prove it");
    let transaction = world.request(invite.clone(), Some(crate::world::user("bob")));
    let ok = world.take_responses(transaction).pop().expect("a final response");
    world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
    let leg = reserved(&world)[0];
    world.digits(leg, "1234#");
    assert_eq!(world.statuses(), [("sip:bob@example.com".to_owned(), vec![DialingIn])]);
    take_move(&mut world);
    assert_eq!(world.statuses(), [("sip:bob@example.com".to_owned(), vec![Connected])]);
}

#[test]
fn the_server_stops_while_the_attendant_asks() {
    let mut world = World::new();
    call(&mut world, ACCESS, "c1");
    world.input(Input::Stop);
    assert_eq!(world.take_requests(&Method::Bye).len(), 1);
    assert_eq!(world.engine.load().legs, 0);
}

#[test]
fn scheduling_clients_are_given_the_access_numbers() {
    let mut world = World::new();
    let outcome = service(&mut world, "ann", Command::GetConferencingCapabilities);
    let Outcome::Success(ResponseBody::GetConferencingCapabilities(found)) = outcome else { panic!("{outcome:?}") };
    let regions: Vec<_> =
        found.regions.iter().map(|region| (region.name.as_str(), region.numbers.as_slice())).collect();
    assert_eq!(regions, [("Seattle", &["+14255550100".to_owned()][..]), ("Berlin", &["+493055501000".to_owned()][..])]);
    assert_eq!(found.default_region.as_deref(), Some("Seattle"));
}

#[test]
fn who_got_into_no_conference_was_with_the_attendant() {
    let mut world = World::new();
    let caller = call(&mut world, ACCESS, "c1");
    world.request(in_dialog(Method::Bye, &caller.invite, &caller.ok, 2), None);
    let [record] = world.leg_records()[..] else { panic!("one call, one record") };
    assert!(record.with_attendant && record.connected.is_some());
}

#[test]
fn the_status_that_ends_a_call_is_in_its_record() {
    let mut world = World::new();
    let caller = call(&mut world, ACCESS, "c1");
    world.digits(caller.leg, "2345#");
    let (transaction, offer) = world.take_requests(&Method::Invite).pop().expect("a re-INVITE");
    world.respond(transaction, answer_to(&offer, 481));
    let [record] = world.leg_records()[..] else { panic!("one call, one record") };
    assert_eq!((record.status, record.with_attendant), (Some(481), false));
}

#[test]
fn the_record_names_the_trunk_a_call_came_by() {
    const TRUNK: [u8; 4] = [127, 0, 0, 9];
    for (from, trunk) in [(TRUNK, Some("one")), ([127, 0, 0, 8], None)] {
        let mut world = World::with(|directory| {
            for place in [TRUNK, [127, 0, 0, 8]] {
                directory.set_trunk_address("one".to_owned(), (place, 5_070).into());
            }
        });
        for (target, number) in [(ACCESS, 1), ("sip:2345@example.com", 2)] {
            let invite = out_of_dialog(Method::Invite, target, "x", &format!("by-trunk-{number}"));
            let mut invite = invite.with_body("application/sdp", sdp_body(30_000));
            invite.headers.set("From", "<sip:+493055501234@pstn.example>;tag=x");
            let transaction = world.request_from(invite.clone(), from);
            let ok = world.take_responses(transaction).pop().expect("a final response");
            world.request_from(in_dialog(Method::Ack, &invite, &ok, 1), from);
            world.request_from(in_dialog(Method::Bye, &invite, &ok, 2), from);
        }
        let named: Vec<_> = world.leg_records().iter().map(|record| record.trunk.as_deref()).collect();
        assert_eq!(named, [trunk, trunk], "{from:?}: only a trunk that is trusted is believed to be one");
    }
}
