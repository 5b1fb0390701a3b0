//! Rules R8 to R11 of docs/routing.md: a conference calls people at addresses and numbers, by its leader's word.

use crate::world::c3p_client::{Client, address, endpoint, notified, schedule};
use crate::world::{World, answer_to, in_dialog, out_of_dialog, sdp_body, user};
use base::{Duration, Role};
use c3p::{Command, DeleteUser, DisconnectionMethod, EndpointStatus, ModifyUserRoles, Outcome, ResponseBody};
use engine::UserAccount;
use mcu_api::McuCommand;
use sip_api::{ClientTransactionId, Method, Request};

const PHONE: &str = "{phone}";
const SDP: &str = "application/sdp";

/// ann's conference with ann in its Focus; her numbers are German, those of `paul`, who has a profile of his own, Parisian.
fn meeting_of(organizer: &str) -> (World, Client) {
    let mut world = World::with(|directory| {
        directory.add_user(UserAccount {
            uri: user("paul"),
            display_name: None,
            location_profile: Some("paris".to_owned()),
            number: None,
        });
    });
    world.register("cleo", &[41_000, 41_002]);
    let focus = schedule(&mut world, organizer, "WEEKLY2026");
    let leader = Client::join(&mut world, organizer, &focus);
    leader.subscribe(&mut world);
    notified(&mut world);
    (world, leader)
}

/// Has the leader call somebody; gives the INVITEs that leave.
fn dial(world: &mut World, leader: &mut Client, target: &str) -> Vec<(ClientTransactionId, Request)> {
    let command = leader.dial_out(target, PHONE);
    let answer = leader.command(world, command);
    assert!(matches!(answer.verdicts[..], [Outcome::Pending(_)]), "{answer:?}");
    world.take_requests(&Method::Invite)
}

fn accept(world: &mut World, (transaction, invite): &(ClientTransactionId, Request), port: u16) {
    world.respond(*transaction, answer_to(invite, 200).with_body(SDP, sdp_body(port)));
}

#[test]
fn r8_a_number_is_normalised_by_the_profile_of_who_dials_and_an_address_rings_every_device() {
    for (leader, number) in [("ann", "+493055501234"), ("paul", "+333055501234")] {
        let (mut world, mut leader) = meeting_of(leader);
        let rung = dial(&mut world, &mut leader, "tel:03055501234");
        let uris: Vec<String> = rung.iter().map(|(_, invite)| invite.uri.to_string()).collect();
        assert_eq!(uris, [format!("sip:{number}@127.0.0.1:5070;transport=udp;user=phone")], "by the trunk");
        let (mut world, mut leader) = meeting_of(&leader.name);
        let rung = dial(&mut world, &mut leader, &address("cleo"));
        let ports: Vec<Option<u16>> = rung.iter().map(|(_, invite)| invite.uri.port).collect();
        assert_eq!(ports, [Some(41_000), Some(41_002)], "both of her devices, and no trunk");
    }
}

#[test]
fn r9_the_roster_follows_a_dial_out_and_the_first_leg_stands_before_the_next_person_is_called() {
    let (mut world, mut ann) = meeting_of("ann");
    let rung = dial(&mut world, &mut ann, &address("cleo"));
    assert_eq!(endpoint(&notified(&mut world), PHONE).status, Some(EndpointStatus::DialingOut));
    accept(&mut world, &rung[0], 31_000);
    let verdicts = ann.verdicts(&mut world);
    assert!(
        matches!(&verdicts[..], [Outcome::Success(ResponseBody::AddUser(_))]),
        "only now is she added: {verdicts:?}"
    );
    assert_eq!(endpoint(&notified(&mut world), PHONE).status, Some(EndpointStatus::Connected));
    world.register("bob", &[42_000]);
    let command = ann.dial_out(&address("bob"), "{second}");
    ann.command(&mut world, command);
    let second = world.take_requests(&Method::Invite).pop().expect("bob is called");
    accept(&mut world, &second, 31_002);
    assert_eq!(world.engine.conferences().len(), 1, "one conference for all of them");
    assert_eq!(world.statuses().len(), 3);
}

#[test]
fn r10_the_audio_of_a_number_is_the_trunks_and_that_of_an_address_the_devices_own() {
    for (target, port) in [("sip:03055501234@example.com", 31_000), ("sip:bob@example.com", 32_000)] {
        let mut world = World::new();
        world.register("bob", &[42_000]);
        // A call between two: neither description passes through a media leg of ours.
        let invite = out_of_dialog(Method::Invite, target, "ann", "c1").with_body(SDP, sdp_body(30_000));
        let transaction = world.request(invite.clone(), Some(user("ann")));
        let (rung, callee) = world.take_requests(&Method::Invite).pop().expect("somebody is called");
        let by_trunk = callee.uri.port == Some(5_070);
        assert_eq!(by_trunk, target.starts_with("sip:0"), "mediation for numbers alone");
        world.respond(rung, answer_to(&callee, 200).with_body(SDP, sdp_body(port)));
        let ok = world.take_responses(transaction).pop().expect("answered");
        world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
        let body = String::from_utf8_lossy(&ok.body).into_owned();
        assert!(body.contains(&format!("m=audio {port} ")), "{body}");
        assert!(world.legs_in_mcu().is_empty());
        // In a conference the audio of both meets in the MCU, the number's by way of the trunk.
        let (mut world, mut ann) = meeting_of("ann");
        world.register("bob", &[42_000]);
        let target = if by_trunk { "tel:03055501234" } else { target };
        let rung = dial(&mut world, &mut ann, target);
        accept(&mut world, &rung[0], port);
        let remote = world.mcu.iter().find_map(|command| match command {
            McuCommand::ConnectLeg { media, .. } => Some(media.remote_rtp.port()),
            _ => None,
        });
        assert_eq!(remote, Some(port));
    }
}

#[test]
fn r11_the_leader_promotes_and_ejects_whom_he_had_called() {
    let (mut world, mut ann) = meeting_of("ann");
    let rung = dial(&mut world, &mut ann, &address("cleo"));
    accept(&mut world, &rung[0], 31_000);
    ann.verdicts(&mut world);
    notified(&mut world);
    let keys = ann.keys(&address("cleo"));
    ann.command(&mut world, Command::ModifyUserRoles(ModifyUserRoles { keys, role: Role::Presenter }));
    let documents = notified(&mut world);
    assert_eq!(documents[0].users.as_ref().expect("users").users[0].roles, [Role::Presenter]);
    let keys = ann.keys(&address("cleo"));
    ann.command(&mut world, Command::DeleteUser(DeleteUser { keys, mcu_uri: None }));
    assert_eq!(world.take_requests(&Method::Bye).len(), 1, "she is hung up");
    assert_eq!(endpoint(&notified(&mut world), PHONE).disconnection_method, Some(DisconnectionMethod::Booted));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.statuses().len(), 1);
}
