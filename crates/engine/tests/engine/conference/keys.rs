//! Keys of a telephone inside a conference, and what the record of a leg says afterwards.

use crate::world::{World, in_dialog, out_of_dialog, sdp_body, user};
use base::{ConferenceId, LegId};
use engine::{EngineEvent, Loudness, LoudnessChange};
use mcu_api::{Codec, McuCommand, MediaFilter, Phrase, Prompt, Spoken};
use sip_api::{Method, Request, Response};

struct Caller {
    leg: LegId,
    invite: Request,
    ok: Response,
}

/// Somebody calls and is in, or asked for the PIN; an account if it is one of ours.
fn call(world: &mut World, number: &str, name: &str, account: bool) -> Caller {
    let target = format!("sip:{number}@example.com");
    let mut invite = out_of_dialog(Method::Invite, &target, name, &format!("{name}-{number}"));
    if !account {
        invite.headers.set("From", format!("<sip:{name}@elsewhere.example>;tag=x"));
    }
    let invite = invite.with_body("application/sdp", sdp_body(30_000));
    let transaction = world.request(invite.clone(), account.then(|| user(name)));
    let ok = world.take_responses(transaction).pop().expect("a final response");
    assert_eq!(ok.status, 200);
    world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
    let reserved = |command: &McuCommand| match command {
        McuCommand::ReserveLeg { leg, .. } => Some(*leg),
        _ => None,
    };
    let leg = world.mcu.iter().filter_map(reserved).next_back().expect("he has a leg");
    world.mcu.clear();
    Caller { leg, invite, ok }
}

fn filters(world: &mut World, leg: LegId) -> Vec<MediaFilter> {
    let set = std::mem::take(&mut world.mcu).into_iter().filter_map(|command| match command {
        McuCommand::SetFilters { leg: whose, ingress, .. } if whose == leg => Some(ingress),
        _ => None,
    });
    set.collect()
}

fn said(world: &mut World) -> Vec<Vec<Spoken>> {
    let said = std::mem::take(&mut world.mcu).into_iter().filter_map(|command| match command {
        McuCommand::Announce { announcement, .. } => Some(announcement.parts),
        _ => None,
    });
    said.collect()
}

#[test]
fn star_six_mutes_and_unmutes_oneself_and_says_so() {
    let mut world = World::new();
    let bob = call(&mut world, "1234", "bob", true).leg;
    world.digits(bob, "*6");
    let prompted = |command: &McuCommand| matches!(command, McuCommand::PlayPrompt { prompt: Prompt::Muted, .. });
    assert!(world.mcu.iter().any(prompted));
    assert_eq!(filters(&mut world, bob), [MediaFilter::Block]);
    world.digits(bob, "*6");
    assert_eq!(filters(&mut world, bob), [MediaFilter::Unblock]);
    world.digits(bob, "6");
    assert_eq!(filters(&mut world, bob), [], "a key alone means nothing");
}

#[test]
fn keys_of_presenters_are_refused_to_attendees() {
    let mut world = World::new();
    let (ann, bob) = (call(&mut world, "1234", "ann", true).leg, call(&mut world, "1234", "bob", true).leg);
    world.digits(bob, "*7");
    assert_eq!(said(&mut world), [[Spoken::Phrase(Phrase::InvalidChoice)]]);
    assert!(!world.engine.conferences()[0].locked);
    world.digits(ann, "*7");
    assert!(world.engine.conferences()[0].locked);
    world.digits(ann, "*7");
    assert!(!world.engine.conferences()[0].locked);
    world.mcu.clear();
    world.digits(ann, "*4");
    assert_eq!(filters(&mut world, bob), [MediaFilter::Block]);
    world.digits(ann, "*4");
    assert_eq!(filters(&mut world, bob), [MediaFilter::Unblock]);
}

#[test]
fn anybody_hears_how_many_are_in() {
    let mut world = World::new();
    call(&mut world, "1234", "ann", true);
    let bob = call(&mut world, "1234", "bob", true).leg;
    world.digits(bob, "*#");
    assert_eq!(said(&mut world), [[Spoken::Phrase(Phrase::PeopleInConference), Spoken::Number(2)]]);
}

#[test]
fn keys_before_the_pin_command_nothing() {
    let mut world = World::new();
    let stranger = call(&mut world, "2345", "x", false).leg;
    world.digits(stranger, "*6*#");
    assert!(said(&mut world).is_empty(), "it was a wrong PIN");
    world.digits(stranger, "4711#");
    world.mcu.clear();
    world.digits(stranger, "*6");
    assert_eq!(filters(&mut world, stranger), [MediaFilter::Block]);
}

fn record(world: &mut World, caller: &Caller) -> engine::LegRecord {
    let bye = in_dialog(Method::Bye, &caller.invite, &caller.ok, 2);
    world.request(bye, None);
    let ended = |event: &EngineEvent| match event {
        EngineEvent::LegEnded(record) => Some((**record).clone()),
        _ => None,
    };
    world.events.iter().filter_map(ended).next_back().expect("a record")
}

#[test]
fn the_record_tells_a_guest_from_an_account() {
    let mut world = World::new();
    let bob = call(&mut world, "1234", "bob", true);
    let bobs = record(&mut world, &bob);
    assert_eq!((bobs.user, bobs.claimed), (Some(user("bob")), None));
    assert_eq!(bobs.address.as_deref(), Some("1234"));
    assert_eq!(bobs.call_id.as_deref(), Some("bob-1234"));
    assert_eq!((bobs.codec, bobs.encrypted), (Some(Codec::Pcmu), false));

    let guest = call(&mut world, "2345", "ann", false);
    world.digits(guest.leg, "4711#");
    let guests = record(&mut world, &guest);
    let listed = guests.user.expect("he was in").to_string();
    assert!(listed.starts_with("sip:guest-"), "{listed}");
    assert_eq!(guests.claimed.map(|claimed| claimed.to_string()).as_deref(), Some("sip:ann@elsewhere.example"));
}

#[test]
fn keys_and_a_wish_from_outside_make_louder_and_quieter_within_bounds() {
    let mut world = World::new();
    let bob = call(&mut world, "1234", "bob", true).leg;
    let gains = |world: &mut World| -> Vec<(i8, i8)> {
        let set = std::mem::take(&mut world.mcu).into_iter().filter_map(|command| match command {
            McuCommand::SetGain { leg, ingress_db, egress_db } if leg == bob => Some((ingress_db, egress_db)),
            _ => None,
        });
        set.collect()
    };
    world.digits(bob, "*2*2*5*1*0*0");
    assert_eq!(gains(&mut world), [(0, 3), (0, 6), (0, 3), (3, 3), (0, 3), (-3, 3)]);
    world.digits(bob, "*2*2*2*2");
    assert_eq!(said(&mut world), [[Spoken::Phrase(Phrase::InvalidChoice)]], "12 dB is the most");

    let view = world.engine.conferences().remove(0);
    let endpoint = view.participants[0].endpoints[0].clone();
    assert_eq!(endpoint.loudness, Some(Loudness { ingress_db: -3, egress_db: 12 }));
    let change = |endpoint: &str, ingress_db| LoudnessChange {
        conference: view.id.clone(),
        endpoint: endpoint.to_owned(),
        loudness: Loudness { ingress_db, egress_db: 0 },
    };
    let elsewhere =
        LoudnessChange { conference: ConferenceId::parse("NOWHERE1").expect("valid"), ..change(&endpoint.endpoint, 0) };
    for (refused, why) in [
        (change(&endpoint.endpoint, 13), "ingress_db = 13: write a gain from -20 to 12"),
        (change("nobody", 0), "endpoint = \"nobody\""),
        (elsewhere, "there is no conference NOWHERE1"),
    ] {
        let objection = world.engine.loudness_objection(&refused).expect("refused");
        assert!(objection.to_string().contains(why), "{objection}");
        world.input(engine::Input::SetLoudness(Box::new(refused)));
        assert_eq!(gains(&mut world), []);
    }
    let wish = change(&endpoint.endpoint, -20);
    assert_eq!(world.engine.loudness_objection(&wish), None);
    world.input(engine::Input::SetLoudness(Box::new(wish)));
    assert_eq!(gains(&mut world), [(-20, 0)]);
}
