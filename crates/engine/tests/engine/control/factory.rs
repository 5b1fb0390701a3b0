//! What a Focus Factory keeps, and what it refuses (c3p.md 2.4), and the lobby of a conference scheduled with one.

use crate::world::c3p_client::{Client, address, endpoint, join_request, notified, service};
use crate::world::{World, in_dialog, user};
use base::{AccessType, Duration, Role};
use c3p::conference_info::{ConferenceInfo, Description};
use c3p::{
    Command, ConferenceKeys, EndpointStatus, FailureReason, GetConference, LobbyAccess, ModifyConference, OpaqueXml,
    Outcome, ResponseBody, SetLobbyAccess, State,
};
use sip_api::Method;

/// How long a tidy world keeps a conference that is of no use.
const KEPT: Duration = Duration::from_secs(600);

fn schedule_of(edit: impl FnOnce(&mut Description)) -> ConferenceInfo {
    let mut description = Description { conference_id: Some("WEEKLY2026".to_owned()), ..Description::default() };
    edit(&mut description);
    let mut info = ConferenceInfo::new("", State::Full);
    info.description = Some(description);
    info
}

fn add(world: &mut World, info: ConferenceInfo) -> ConferenceInfo {
    match service(world, "ann", Command::AddConference(Box::new(info))) {
        Outcome::Success(ResponseBody::AddConference(stored)) => *stored,
        other => panic!("{other:?}"),
    }
}

fn modify(world: &mut World, info: ConferenceInfo) -> Outcome {
    service(world, "ann", Command::ModifyConference(Box::new(ModifyConference { info, mcu_uri: None })))
}

fn get(world: &mut World) -> Outcome {
    let keys = ConferenceKeys::ConferenceId("WEEKLY2026".to_owned());
    service(world, "ann", Command::GetConference(GetConference { keys, certificate: None, mcu_uri: None }))
}

fn reason(outcome: &Outcome) -> &FailureReason {
    let Outcome::Failure(failure) = outcome else { panic!("no failure: {outcome:?}") };
    &failure.reason
}

#[test]
fn ids_of_the_servers_own_conferences_are_not_given_away() {
    let mut world = World::new();
    let number = base::ConferenceNumber::parse("5678").expect("valid");
    let permanent = engine::Directory::permanent_id(&number);
    for id in [permanent.as_str(), "ATTENDANT00000001", "RESPONSEGROUP00000001"] {
        let info = schedule_of(|it| it.conference_id = Some(id.to_owned()));
        let refused = service(&mut world, "ann", Command::AddConference(Box::new(info)));
        assert_eq!(reason(&refused), &FailureReason::InvalidConferenceId, "{id}");
    }
}

#[test]
fn a_change_of_an_older_version_is_refused() {
    let mut world = World::new();
    assert_eq!(add(&mut world, schedule_of(|_| {})).version, Some(1));
    let of = |version| ConferenceInfo { version, ..schedule_of(|it| it.subject = Some("New".to_owned())) };
    let Outcome::Success(ResponseBody::ModifyConference(Some(second))) = modify(&mut world, of(Some(1))) else {
        panic!("the current version may be changed");
    };
    assert_eq!(second.version, Some(2));
    assert_eq!(reason(&modify(&mut world, of(Some(1)))), &FailureReason::InvalidVersion);
    assert!(matches!(modify(&mut world, of(None)), Outcome::Success(_)), "who names no version does not care");
}

#[test]
fn opaque_data_are_kept_and_told_to_whom_they_are_for() {
    let mut world = World::new();
    let data = |text: &str| OpaqueXml::from_stored(&format!("<d>{text}</d>")).ok();
    let info = schedule_of(|it| {
        it.organizer_data = data("<mine a='1'/>");
        it.notification_data = data("for all");
        it.display_text = Some("Longer".to_owned());
    });
    let focus = add(&mut world, info).entity;
    let Outcome::Success(ResponseBody::GetConference(stored)) = get(&mut world) else { panic!("it is there") };
    let description = stored.description.expect("it has one");
    assert_eq!(description.organizer_data, data("<mine a='1'/>"));
    assert_eq!(description.display_text.as_deref(), Some("Longer"));
    let ann = Client::join(&mut world, "ann", &focus);
    ann.subscribe(&mut world);
    let roster = notified(&mut world).remove(0).description.expect("it is full");
    assert_eq!((roster.notification_data, roster.organizer_data), (data("for all"), None));

    let large = schedule_of(|it| it.organizer_data = data(&"x".repeat(engine::Schedule::DATA_MAX + 1)));
    assert_eq!(reason(&modify(&mut world, large)), &FailureReason::OrganizerRoamingDataTooLarge);
}

#[test]
fn a_conference_goes_when_its_time_is_over_and_nobody_is_in() {
    let mut world = World::new();
    let soon = "2023-11-14T22:14:00Z"; // 40 seconds after the start of the test world.
    let info = schedule_of(|it| it.expiry_time = Some(soon.to_owned()));
    assert_eq!(add(&mut world, info).description.and_then(|it| it.expiry_time).as_deref(), Some(soon));
    world.pass(Duration::from_secs(30));
    assert!(matches!(get(&mut world), Outcome::Success(_)));
    world.pass(Duration::from_secs(30));
    assert_eq!(reason(&get(&mut world)), &FailureReason::ConferenceDoesNotExist);
    assert_eq!((world.engine.poll_timeout(), world.engine.load().stores), (None, 0));
    let past = schedule_of(|it| it.expiry_time = Some(soon.to_owned()));
    let outcome = service(&mut world, "ann", Command::AddConference(Box::new(past)));
    assert_eq!(reason(&outcome), &FailureReason::InvalidExpiryTime);
}

/// A change of a conference that is on holds at once; nobody who is in is thrown out.
#[test]
fn a_change_of_a_running_conference_reaches_its_focus_and_everybody_is_told() {
    let mut world = World::new();
    let focus = add(&mut world, schedule_of(|it| it.subject = Some("Old".to_owned()))).entity;
    let mut ann = Client::join(&mut world, "ann", &focus);
    Client::join(&mut world, "cleo", &focus);
    ann.subscribe(&mut world);
    notified(&mut world);

    let strict = schedule_of(|it| {
        it.subject = Some("New".to_owned());
        it.admission_policy = Some(AccessType::Closed);
    });
    assert!(matches!(modify(&mut world, strict), Outcome::Success(_)));
    let told = notified(&mut world);
    let [document] = &told[..] else { panic!("one change, one document: {told:?}") };
    let shown = |info: &ConferenceInfo| {
        let description = info.description.clone().expect("it changed");
        (description.subject, description.admission_policy)
    };
    assert_eq!(shown(document), (Some("New".to_owned()), Some(AccessType::Closed)));

    let Outcome::Success(ResponseBody::GetConference(stored)) = get(&mut world) else { panic!("it is there") };
    let keys = ConferenceKeys::Entity(focus.clone());
    let ask = Command::GetConference(GetConference { keys, certificate: None, mcu_uri: None });
    let answer = ann.command(&mut world, ask);
    let [Outcome::Success(ResponseBody::GetConference(running))] = &answer.verdicts[..] else { panic!("{answer:?}") };
    assert_eq!((shown(&stored), shown(running)), (shown(document), shown(document)), "Factory and Focus say the same");

    let bob = world.request(join_request("bob", &focus), Some(user("bob")));
    assert_eq!(world.take_responses(bob).pop().map(|response| response.status), Some(403), "he is not on the list");
    assert_eq!(world.statuses().len(), 2, "cleo, who is not on it either, is in");
    assert!(matches!(modify(&mut world, schedule_of(|_| {})), Outcome::Success(_)));
    Client::join(&mut world, "dave", &focus);
}

fn tidy_world() -> World {
    World::with(|directory| directory.delete_unused_after(KEPT))
}

fn expiry_of(info: ConferenceInfo) -> Option<String> {
    info.description.and_then(|it| it.expiry_time)
}

#[test]
fn a_conference_without_an_expiry_time_goes_when_it_was_of_no_use_for_long() {
    let mut world = tidy_world();
    let focus = add(&mut world, schedule_of(|_| {})).entity;
    world.pass(KEPT / 2);
    let mut ann = Client::join(&mut world, "ann", &focus);
    world.pass(KEPT + Duration::from_secs(100));
    assert!(matches!(get(&mut world), Outcome::Success(_)), "it does not go from under those who are in");
    ann.leave(&mut world);
    let Outcome::Success(ResponseBody::GetConference(kept)) = get(&mut world) else { panic!("it was of use") };
    assert_eq!(expiry_of(*kept).as_deref(), Some("2023-11-14T22:40:01Z"), "ten minutes after its end");
    world.pass(KEPT - Duration::from_secs(1));
    assert!(matches!(get(&mut world), Outcome::Success(_)));
    world.pass(Duration::from_secs(2));
    assert_eq!(reason(&get(&mut world)), &FailureReason::ConferenceDoesNotExist);
    assert_eq!(world.engine.poll_timeout(), None);
}

#[test]
fn a_document_sent_back_as_it_was_shown_does_not_fix_the_time() {
    let mut world = tidy_world();
    let shown = add(&mut world, schedule_of(|_| {}));
    world.pass(KEPT / 2);
    let Outcome::Success(ResponseBody::ModifyConference(Some(changed))) = modify(&mut world, shown.clone()) else {
        panic!("it is the current version");
    };
    assert_ne!(expiry_of(*changed), expiry_of(shown), "the change was a use");
}

#[test]
fn a_personal_conference_stays_and_everybody_has_one() {
    let mut world = tidy_world();
    let personal = |id: &str| ConferenceInfo {
        is_static: true,
        ..schedule_of(|it| {
            it.conference_id = Some(id.to_owned());
            it.expiry_time = Some("2023-11-14T22:14:00Z".to_owned());
        })
    };
    let ask =
        |world: &mut World, who: &str, id: &str| service(world, who, Command::AddConference(Box::new(personal(id))));
    for (who, id) in [("bob", "ROOMOFBOB1"), ("cleo", "ROOMOFCLEO1")] {
        let Outcome::Success(ResponseBody::AddConference(stored)) = ask(&mut world, who, id) else { panic!("{who}") };
        assert!(stored.is_static);
        assert_eq!(expiry_of(*stored), None, "whatever time it named");
    }
    assert_eq!(reason(&ask(&mut world, "bob", "ROOMOFBOB2")), &FailureReason::MaximumConferencesExceeded);
    let everybodys = "3814A82809A34ED0958CFDB60957BDF";
    assert_eq!(reason(&ask(&mut world, "dave", everybodys)), &FailureReason::InvalidConferenceId);
    world.pass(KEPT * 3);
    assert!(world.engine.directory().conferences().any(|record| record.id.as_str() == "ROOMOFBOB1"));
}

#[test]
fn without_a_certificate_there_is_none_to_give() {
    let mut world = World::new();
    assert_eq!(reason(&service(&mut world, "ann", Command::GetEncryptionKey)), &FailureReason::NotSupported);
}

#[test]
fn somebody_waits_in_the_lobby_and_is_let_in() {
    let mut world = World::new();
    let info = schedule_of(|it| {
        it.admission_policy = Some(AccessType::Closed);
        it.pstn_lobby_bypass = Some(false);
    });
    let focus = add(&mut world, info).entity;
    let mut ann = Client::join(&mut world, "ann", &focus);
    ann.subscribe(&mut world);
    notified(&mut world);

    let mut invite = join_request("bob", &focus);
    let refused = world.request(invite.clone(), Some(user("bob")));
    assert_eq!(world.take_responses(refused).pop().map(|response| response.status), Some(403), "he knows no lobby");
    let body = String::from_utf8(invite.body.to_vec()).expect("text");
    let mut request = c3p::parse_request(body.as_bytes()).expect("C3P");
    let Command::AddUser(add_user) = &mut request.command else { panic!("it joins") };
    add_user.user.endpoint.as_mut().expect("it has one").lobby_capable = Some(true);
    invite.headers.set("Call-ID", "bob-again");
    let invite = invite.with_body("application/cccp+xml", request.to_xml());
    let transaction = world.request(invite.clone(), Some(user("bob")));
    let ok = world.take_responses(transaction).pop().expect("a response");
    assert_eq!(ok.status, 200);
    assert!(matches!(c3p::parse_response(&ok.body).expect("C3P").outcome, Outcome::Pending(_)));
    world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
    let documents = notified(&mut world);
    assert_eq!(endpoint(&documents, "{focus-bob}").status, Some(EndpointStatus::OnHold));

    let admit = Command::SetLobbyAccess(SetLobbyAccess {
        conference: focus,
        users: vec![address("bob")],
        access: LobbyAccess::Granted,
    });
    let (status, _) =
        ann.inform(&mut world, &crate::world::c3p_client::request(&address("ann"), &ann.focus, admit).to_xml());
    assert_eq!(status, 202);
    let told: Vec<_> = world
        .take_requests(&Method::Info)
        .into_iter()
        .filter(|(_, info)| info.call_id() == "bob-again")
        .map(|(_, info)| c3p::parse_response(&info.body).expect("C3P").outcome)
        .collect();
    let [Outcome::Success(ResponseBody::AddUser(added))] = &told[..] else { panic!("{told:?}") };
    assert_eq!(added.user.role, Some(Role::Attendee));
    assert_eq!(endpoint(&notified(&mut world), "{focus-bob}").status, Some(EndpointStatus::Connected));
}
