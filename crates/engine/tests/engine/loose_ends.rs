//! Nothing is done twice and nothing is left over: what the simulator found by chance, each in its smallest form.

use crate::world::c3p_client::{schedule, service};
use crate::world::{World, in_dialog, out_of_dialog, sdp_body, user};
use base::LegId;
use c3p::{Command, ConferenceKeys, DeleteConference, Outcome};
use engine::{Effect, EngineEvent, Input};
use mcu_api::{McuCommand, McuEvent};
use sip_api::{Method, Request};

/// Somebody calls and is in; gives his leg.
fn caller(world: &mut World, number: &str, name: &str) -> LegId {
    let target = format!("sip:{number}@example.com");
    let invite = out_of_dialog(Method::Invite, &target, name, &format!("{name}-{number}"));
    let invite: Request = invite.with_body("application/sdp", sdp_body(30_000));
    let transaction = world.request(invite.clone(), Some(user(name)));
    let ok = world.take_responses(transaction).pop().expect("a final response");
    world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
    let reserved = |command: &McuCommand| match command {
        McuCommand::ReserveLeg { leg, .. } => Some(*leg),
        _ => None,
    };
    world.mcu.iter().filter_map(reserved).next_back().expect("he has a leg")
}

/// Hands in one input and gives its effects; the media side does not answer them.
fn effects(world: &mut World, input: Input) -> Vec<Effect> {
    world.engine.handle(world.now, input);
    std::iter::from_fn(|| world.engine.poll_effect()).collect()
}

#[test]
fn a_leg_we_hang_up_is_removed_from_the_media_side_once() {
    let mut world = World::new();
    let leg = caller(&mut world, "1234", "bob");
    let effects = effects(&mut world, Input::Mcu(McuEvent::MediaTimeout { leg }));
    let removal = |effect: &&Effect| matches!(effect, Effect::Mcu(McuCommand::RemoveLeg { .. }));
    assert_eq!(effects.iter().filter(removal).count(), 1, "{effects:?}");
}

#[test]
fn a_leg_that_was_leaving_when_its_conference_was_lost_has_its_record() {
    let mut world = World::new();
    let leg = caller(&mut world, "1234", "bob");
    let conference = world.engine.conferences()[0].id.clone();
    let before = effects(&mut world, Input::Mcu(McuEvent::MediaTimeout { leg }));
    let record = |effect: &&Effect| matches!(effect, Effect::Event(EngineEvent::LegEnded(_)));
    assert_eq!(before.iter().filter(record).count(), 0, "the media side has not given its figures");
    let lost = McuEvent::ConferenceFailed { conference, legs: vec![leg] };
    let after = effects(&mut world, Input::Mcu(lost));
    assert_eq!(after.iter().filter(record).count(), 1, "{after:?}");
    assert_eq!(world.engine.leg_count(), 0);
}

#[test]
fn deleting_a_conference_that_is_not_on_leaves_no_command_behind() {
    let mut world = World::new();
    schedule(&mut world, "ann", "WEEKLY2026");
    let keys = ConferenceKeys::ConferenceId("WEEKLY2026".to_owned());
    let outcome = service(&mut world, "ann", Command::DeleteConference(DeleteConference { keys }));
    assert!(matches!(outcome, Outcome::Success(_)), "{outcome:?}");
    assert_eq!(world.engine.load().commands, 0);
}

#[test]
fn a_stop_ends_conferences_in_the_order_of_their_ids() {
    let mut world = World::new();
    for id in ["DELTA2026", "ALPHA2026", "ECHO2026", "CHARLIE2026", "BRAVO2026"] {
        schedule(&mut world, "ann", id);
        caller(&mut world, id, "bob");
    }
    let effects = effects(&mut world, Input::Stop);
    let ended = |effect: &Effect| match effect {
        Effect::Event(EngineEvent::ConferenceEnded { conference, .. }) => Some(conference.to_string()),
        _ => None,
    };
    let order: Vec<String> = effects.iter().filter_map(ended).collect();
    assert_eq!(order, ["ALPHA2026", "BRAVO2026", "CHARLIE2026", "DELTA2026", "ECHO2026"]);
}
