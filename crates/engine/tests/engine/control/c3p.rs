//! C3P from end to end: scheduling, the Focus, its commands and its refusals.

use crate::world::c3p_client::{Answer, Client, address, endpoint, join_request, notified, request, schedule, service};
use crate::world::{World, answer_to, in_dialog, out_of_dialog, sdp_body, user};
use base::{Role, TerminationReason};
use c3p::{
    Command, ConferenceKeys, DeleteConference, DeleteUser, DisconnectionMethod, EndpointStatus, FailureReason,
    GetConference, MediaFilter, MediaStatus, ModifyConferenceLock, ModifyUserRoles, Outcome, ResponseBody,
};
use engine::{EngineEvent, Input};
use mcu_api::McuCommand;
use sip_api::{ClientFailure, ClientTransactionId, Method, Request, SipCommand, SipEvent};

const PHONE: &str = "{phone}";

/// A conference of ann's with ann in its Focus and subscribed, and cleo's phone registered.
fn meeting() -> (World, Client) {
    let mut world = World::new();
    world.register("cleo", &[41_000]);
    let focus = schedule(&mut world, "ann", "WEEKLY2026");
    let ann = Client::join(&mut world, "ann", &focus);
    ann.subscribe(&mut world);
    assert_eq!(notified(&mut world).len(), 1);
    (world, ann)
}

/// Has ann call cleo; gives cleo's INVITE.
fn dial(world: &mut World, ann: &mut Client) -> (ClientTransactionId, Request) {
    let command = ann.dial_out(&address("cleo"), PHONE);
    let answer = ann.command(world, command);
    assert_eq!(answer.status, 202);
    assert!(matches!(answer.verdicts[..], [Outcome::Pending(_)]), "{answer:?}");
    world.take_requests(&Method::Invite).pop().expect("cleo's phone rings")
}

fn accept(world: &mut World, (transaction, invite): &(ClientTransactionId, Request)) {
    world.respond(*transaction, answer_to(invite, 200).with_body("application/sdp", sdp_body(31_000)));
}

fn failure(outcomes: &[Outcome]) -> (&FailureReason, Option<&str>) {
    let [Outcome::Failure(failure)] = outcomes else { panic!("not one failure: {outcomes:?}") };
    let detail = failure.details.iter().find(|detail| detail.key == "ms-diagnostics" || detail.key == "sip-status");
    (&failure.reason, detail.map(|detail| detail.value.as_str()))
}

fn delete_conference(focus: &str) -> Command {
    Command::DeleteConference(DeleteConference { keys: ConferenceKeys::Entity(focus.to_owned()) })
}

fn lock(focus: &str) -> Command {
    Command::ModifyConferenceLock(ModifyConferenceLock {
        conference: focus.to_owned(),
        locked: true,
        admission_policy: None,
        pstn_lobby_bypass: None,
        autopromote: None,
    })
}

fn succeeded(answer: &Answer) -> &ResponseBody {
    match &answer.verdicts[..] {
        [Outcome::Success(body)] if answer.status == 202 => body,
        _ => panic!("{answer:?}"),
    }
}

#[test]
fn a_conference_from_its_schedule_to_its_end() {
    let (mut world, mut ann) = meeting();
    let cleo = address("cleo");

    let ringing = dial(&mut world, &mut ann);
    assert_eq!(endpoint(&notified(&mut world), PHONE).status, Some(EndpointStatus::DialingOut));
    world.respond(ringing.0, answer_to(&ringing.1, 180));
    assert_eq!(endpoint(&notified(&mut world), PHONE).status, Some(EndpointStatus::Alerting));
    accept(&mut world, &ringing);
    let verdicts = ann.verdicts(&mut world);
    assert!(matches!(&verdicts[..], [Outcome::Success(ResponseBody::AddUser(added))] if added.user.entity == cleo));
    assert_eq!(endpoint(&notified(&mut world), PHONE).status, Some(EndpointStatus::Connected));

    let mute = ann.mute(&cleo, PHONE);
    succeeded(&ann.command(&mut world, mute));
    let documents = notified(&mut world);
    let media = &endpoint(&documents, PHONE).media[0];
    assert_eq!((media.ingress, media.status), (Some(MediaFilter::Block), Some(MediaStatus::RecvOnly)));
    let is_muted =
        |command: &McuCommand| matches!(command, McuCommand::SetFilters { ingress: mcu_api::MediaFilter::Block, .. });
    assert!(world.mcu.iter().any(is_muted));

    let keys = ann.keys(&cleo);
    succeeded(&ann.command(&mut world, Command::ModifyUserRoles(ModifyUserRoles { keys, role: Role::Presenter })));
    let documents = notified(&mut world);
    let users = documents[0].users.as_ref().expect("users");
    assert_eq!(users.users[0].roles, [Role::Presenter]);

    let focus = ann.focus.clone();
    succeeded(&ann.command(&mut world, lock(&focus)));
    let documents = notified(&mut world);
    assert_eq!(documents[0].conference_state.as_ref().and_then(|state| state.locked), Some(true));
    let refused = world.request(join_request("bob", &focus), Some(user("bob")));
    assert_eq!(world.take_responses(refused).pop().map(|response| response.status), Some(403), "it is locked");

    let keys = ann.keys(&cleo);
    succeeded(&ann.command(&mut world, Command::DeleteUser(DeleteUser { keys, mcu_uri: None })));
    assert_eq!(world.take_requests(&Method::Bye).len(), 1, "cleo is hung up");
    assert_eq!(endpoint(&notified(&mut world), PHONE).disconnection_method, Some(DisconnectionMethod::Booted));

    let ended = ann.command(&mut world, delete_conference(&focus));
    assert!(matches!(succeeded(&ended), ResponseBody::DeleteConference(Some(_))));
    assert_eq!(world.take_requests(&Method::Bye).len(), 1, "ann's own dialog ends");
    assert!(world.engine.conferences().is_empty());
}

#[test]
fn a_subscriber_who_takes_no_roster_is_refused() {
    let (mut world, ann) = meeting();
    for (index, (accept, status)) in [
        ("text/plain", 406),
        ("application/pidf+xml, text/*", 406),
        ("text/plain, application/conference-info+xml", 200),
        ("application/conference-info+xml;q=0.5, */*", 200),
    ]
    .into_iter()
    .enumerate()
    {
        let mut subscribe = out_of_dialog(Method::Subscribe, &ann.focus, "ann", &format!("accept-{index}"));
        subscribe.headers.push("Event", "conference");
        subscribe.headers.push("Accept", accept);
        let transaction = world.request(subscribe, Some(user("ann")));
        let response = world.take_responses(transaction).pop().expect("a response");
        assert_eq!(response.status, status, "{accept}");
        let named = response.headers.get("Accept");
        assert_eq!(named, (status == 406).then_some("application/conference-info+xml"), "{accept}");
    }
}

#[test]
fn an_answer_too_long_for_the_client_becomes_a_failure_with_a_reason() {
    let (mut world, mut ann) = meeting();
    let keys = ConferenceKeys::Entity(ann.focus.clone());
    let get = request(
        &address("ann"),
        &ann.focus,
        Command::GetConference(GetConference { keys, certificate: None, mcu_uri: None }),
    )
    .to_xml();
    assert_eq!(ann.inform(&mut world, &get).0, 202);
    let (transaction, info) = world.take_requests(&Method::Info).pop().expect("an answer");
    let answer = c3p::parse_response(&info.body).expect("C3P").outcome;
    assert!(matches!(answer, Outcome::Success(ResponseBody::GetConference(_))), "{answer:?}");
    world.input(Input::Sip(SipEvent::Failed { transaction, failure: ClientFailure::TooLong }));
    let verdicts = ann.verdicts(&mut world);
    let [Outcome::Failure(failed)] = &verdicts[..] else { panic!("{verdicts:?}") };
    assert_eq!((&failed.reason, failed.details[0].key.as_str()), (&FailureReason::OtherFailure, "reason"));
    assert!(failed.details[0].value.contains("TCP"), "{failed:?}");
    let lock = lock(&ann.focus);
    succeeded(&ann.command(&mut world, lock));
}

#[test]
fn every_command_that_is_acknowledged_has_its_verdict_and_the_others_are_refused() {
    let (mut world, mut ann) = meeting();
    let dial_out = ann.dial_out(&address("cleo"), PHONE);
    let lock = lock(&ann.focus);
    let [dial_out, lock] = [dial_out, lock].map(|command| request(&address("ann"), &ann.focus, command).to_xml());
    // The client takes no INFO of ours meanwhile.
    assert_eq!(ann.inform(&mut world, &dial_out).0, 202);
    let statuses: Vec<u16> = (0..400).map(|_| ann.inform(&mut world, &lock).0).collect();
    let taken = statuses.iter().filter(|status| **status == 202).count();
    assert!(taken > 200 && statuses[taken..].iter().all(|status| *status == 503), "{taken}");
    let ringing = world.take_requests(&Method::Invite).pop().expect("cleo's phone rings");
    accept(&mut world, &ringing);
    let verdicts = ann.verdicts(&mut world);
    let successes = verdicts.iter().filter(|verdict| matches!(verdict, Outcome::Success(_))).count();
    assert_eq!(successes, taken + 1, "{verdicts:?}");
    assert_eq!(ann.inform(&mut world, &lock).0, 202, "there is room again");
}

#[test]
fn every_failure_of_a_dial_out_has_its_row() {
    use DisconnectionMethod::{Busy, Failed};
    use FailureReason as Reason;
    for (status, method, reason, detail) in [
        (486, Busy, Reason::OtherFailure, Some("486")),
        (600, Busy, Reason::OtherFailure, Some("486")),
        (603, Failed, Reason::OtherFailure, Some("603")),
        (480, Failed, Reason::Timeout, None),
        (408, Failed, Reason::Timeout, None),
        (404, Failed, Reason::InvalidUserEntity, None),
        (604, Failed, Reason::InvalidUserEntity, None),
        (484, Failed, Reason::InvalidUserEntity, None),
        (403, Failed, Reason::Forbidden, None),
        (488, Failed, Reason::MediaNotSupported, None),
        (606, Failed, Reason::MediaNotSupported, None),
        (415, Failed, Reason::MediaNotSupported, None),
        (503, Failed, Reason::OtherFailure, None),
        (500, Failed, Reason::OtherFailure, None),
    ] {
        let (mut world, mut ann) = meeting();
        let ringing = dial(&mut world, &mut ann);
        notified(&mut world);
        world.respond(ringing.0, answer_to(&ringing.1, status));
        let documents = notified(&mut world);
        let phone = endpoint(&documents, PHONE);
        assert_eq!((phone.status, phone.disconnection_method), (Some(EndpointStatus::Disconnected), Some(method)));
        assert_eq!(failure(&ann.verdicts(&mut world)), (&reason, detail), "{status}");
        assert_eq!(world.statuses().len(), 1, "ann is alone");
    }
}

#[test]
fn the_roster_says_when_somebody_came_and_went_and_how_he_was_known() {
    let (mut world, mut ann) = meeting();
    let ringing = dial(&mut world, &mut ann);
    assert_eq!(endpoint(&notified(&mut world), PHONE).joining_info.as_ref().and_then(|info| info.when.clone()), None);
    world.pass(base::Duration::from_secs(4));
    accept(&mut world, &ringing);
    ann.verdicts(&mut world);
    let documents = notified(&mut world);
    let phone = endpoint(&documents, PHONE);
    let info = phone.joining_info.clone().expect("he is in");
    assert_eq!((info.when.as_deref(), info.by), (Some("2023-11-14T22:13:25Z"), Some(address("ann"))));
    assert!(phone.auth_method.is_some() && phone.access_method.is_some(), "{phone:?}");
    world.pass(base::Duration::from_secs(10));
    let keys = ann.keys(&address("cleo"));
    succeeded(&ann.command(&mut world, Command::DeleteUser(DeleteUser { keys, mcu_uri: None })));
    let documents = notified(&mut world);
    let gone = endpoint(&documents, PHONE).disconnection_info.clone().expect("she has gone");
    assert_eq!((gone.when.as_deref(), gone.by), (Some("2023-11-14T22:13:35Z"), Some(address("ann"))));
}

#[test]
fn somebody_without_an_account_is_shown_as_known_otherwise() {
    let mut world = World::new();
    let ann = Client::join(&mut world, "ann", &focus_of("2345"));
    let invite = out_of_dialog(Method::Invite, "sip:2345@example.com", "dora", "guest");
    let mut invite = invite.with_body("application/sdp", sdp_body(31_000));
    invite.headers.set("From", "<sip:guest@elsewhere.example>;tag=g");
    let transaction = world.request(invite.clone(), None);
    let ok = world.take_responses(transaction).pop().expect("a response");
    world.ack(in_dialog(Method::Ack, &invite, &ok, 1));
    let leg = world.legs_in_mcu()[0];
    world.digits(leg, "4711#");
    ann.subscribe(&mut world);
    let documents = notified(&mut world);
    let methods: Vec<_> = documents[0]
        .users
        .iter()
        .flat_map(|users| &users.users)
        .flat_map(|user| &user.endpoints)
        .map(|endpoint| endpoint.auth_method.clone())
        .collect();
    assert_eq!(methods.len(), 2, "{documents:?}");
    assert_ne!(methods[0], methods[1]);
}

fn focus_of(number: &str) -> String {
    let record = crate::world::permanent(number, base::AccessType::Anonymous, None);
    c3p::FocusUri::new(&record.organizer, record.id).to_string()
}

#[test]
fn the_audio_mcu_says_whether_who_joins_is_muted() {
    let (mut world, mut ann) = meeting();
    let initial = |documents: &[c3p::conference_info::ConferenceInfo]| {
        let views = documents.last()?.view.as_ref()?.entity_views.iter();
        let filters: Vec<_> =
            views.filter_map(|view| view.entity_state.as_ref()).flat_map(|state| &state.initial_filters).collect();
        let [filter] = filters[..] else { panic!("{filters:?}") };
        assert!(filter.is_for_everybody());
        filter.ingress
    };
    for (ingress, subscriber) in [(MediaFilter::Block, "bob"), (MediaFilter::Unblock, "cleo")] {
        let command = ann.mute_all(ingress);
        succeeded(&ann.command(&mut world, command));
        assert_eq!(initial(&notified(&mut world)), Some(ingress));
        let (subscriber, _) = (Client::join(&mut world, subscriber, &ann.focus), notified(&mut world));
        subscriber.subscribe(&mut world);
        assert_eq!(initial(&notified(&mut world)), Some(ingress), "a full document says it as well");
    }
}

#[test]
fn what_somebody_calls_with_is_shown_shortened() {
    let mut world = World::new();
    let mut invite = join_request("bob", &focus_of("1234"));
    invite.headers.push("User-Agent", format!("RTCC/3.5.0.0 CWA/3.5.0.0 {}", "x".repeat(500)));
    let transaction = world.request(invite, Some(user("bob")));
    assert_eq!(world.take_responses(transaction).pop().map(|response| response.status), Some(200));
    let shown = world.engine.conferences()[0].participants[0].endpoints[0].user_agent.clone().expect("it is shown");
    assert!(shown.starts_with("RTCC/3.5.0.0 CWA") && shown.len() == 128, "{shown}");
}

#[test]
fn nobody_rings_longer_than_the_alert_timer() {
    let (mut world, mut ann) = meeting();
    let ringing = dial(&mut world, &mut ann);
    world.respond(ringing.0, answer_to(&ringing.1, 180));
    notified(&mut world);
    let mut verdicts = Vec::new();
    for _ in 0..70 {
        world.pass(base::Duration::from_secs(1));
        verdicts.extend(ann.verdicts(&mut world));
    }
    let last = verdicts.pop().expect("a verdict");
    assert_eq!(failure(&[last]), (&FailureReason::Timeout, None));
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Outcome::Pending(_))));
    assert_eq!(endpoint(&notified(&mut world), PHONE).disconnection_method, Some(DisconnectionMethod::Failed));
}

#[test]
fn who_is_ejected_while_he_rings_was_booted_and_his_dial_out_cancelled() {
    let (mut world, mut ann) = meeting();
    let ringing = dial(&mut world, &mut ann);
    notified(&mut world);
    let keys = ann.keys(&address("cleo"));
    let answer = ann.command(&mut world, Command::DeleteUser(DeleteUser { keys, mcu_uri: None }));
    let (deleted, added): (Vec<_>, Vec<_>) =
        answer.verdicts.into_iter().partition(|verdict| verdict.verb() == c3p::Verb::DeleteUser);
    assert!(matches!(deleted[..], [Outcome::Success(ResponseBody::DeleteUser)]), "{deleted:?}");
    assert_eq!(failure(&added), (&FailureReason::RequestCancelled, None));
    world.respond(ringing.0, answer_to(&ringing.1, 487));
    assert_eq!(endpoint(&notified(&mut world), PHONE).disconnection_method, Some(DisconnectionMethod::Booted));
}

/// Nobody answered, so no device may be told that the call was completed elsewhere: it would count no missed call.
#[test]
fn whoever_a_conference_rang_and_gave_up_has_missed_a_call() {
    let eject = |world: &mut World, ann: &mut Client| {
        let keys = ann.keys(&address("cleo"));
        ann.command(world, Command::DeleteUser(DeleteUser { keys, mcu_uri: None }));
    };
    let delete = |world: &mut World, ann: &mut Client| {
        let command = delete_conference(&ann.focus);
        ann.command(world, command);
    };
    let wait = |world: &mut World, _: &mut Client| world.pass(base::Duration::from_secs(61));
    type End = fn(&mut World, &mut Client);
    let ends: [(&str, End); 3] = [("ejected", eject), ("ended", delete), ("no answer", wait)];
    for (name, end) in ends {
        for crosses in [false, true] {
            let (mut world, mut ann) = meeting();
            let ringing = dial(&mut world, &mut ann);
            world.respond(ringing.0, answer_to(&ringing.1, 180));
            end(&mut world, &mut ann);
            let reasons = world.sip.iter().find_map(|command| match command {
                SipCommand::Cancel { transaction, reason } if *transaction == ringing.0 => Some(reason.join(",")),
                _ => None,
            });
            let not_wanted = "SIP;cause=487;text=\"Request terminated\"";
            assert_eq!(reasons.as_deref(), Some(not_wanted), "{name}");
            let byes = world.take_requests(&Method::Bye).len();
            if crosses {
                accept(&mut world, &ringing);
                let (_, bye) =
                    world.take_requests(&Method::Bye).pop().unwrap_or_else(|| panic!("{name}, after {byes}"));
                assert_eq!(bye.headers.get("Reason"), Some(not_wanted), "{name}");
            }
            let missed = |event: &EngineEvent| match event {
                EngineEvent::Conversation(entry) => Some((entry.user.clone(), entry.kind)),
                _ => None,
            };
            let lines: Vec<_> = world.events.iter().filter_map(missed).collect();
            assert_eq!(lines, [(user("cleo"), base::ConversationKind::Missed)], "{name}");
        }
    }
}

/// Whichever way somebody comes who has no room, he is told the same, and which bound he met.
#[test]
fn who_has_no_room_is_told_which_bound_he_met() {
    let full = "399 example.com \"The conference is full\"";
    let too_many = "399 example.com \"You are in this conference with as many devices as one user may be\"";
    for (legs, endpoints, warning) in [(2, 9, full), (9, 2, too_many)] {
        let mut world = World::configured(|config| {
            config.focus.limits.legs_per_conference = legs;
            config.focus.endpoints_per_user = endpoints;
        });
        let focus = schedule(&mut world, "ann", "WEEKLY2026");
        let mut ann = Client::join(&mut world, "ann", &focus);
        let call = |id: &str| {
            let audio = c3p::FocusUri::parse(&focus).expect("valid").mcu_uri(c3p::McuType::AudioVideo);
            out_of_dialog(Method::Invite, &audio, "ann", id).with_body("application/sdp", sdp_body(30_000))
        };
        let refused = |world: &mut World, request: Request| {
            let transaction = world.request(request, Some(user("ann")));
            world.take_responses(transaction).pop().expect("a response")
        };
        assert_eq!(refused(&mut world, call("first")).status, 200);
        let mut join = join_request("ann", &focus);
        join.headers.set("Call-ID", "ann-again");
        let body = String::from_utf8(join.body.to_vec()).expect("text").replace("{focus-ann}", "{another}");
        for request in [call("second"), join.with_body("application/cccp+xml", body)] {
            let response = refused(&mut world, request);
            assert_eq!((response.status, response.headers.get("Warning")), (486, Some(warning)));
            assert_eq!(response.headers.get("ms-diagnostics"), None, "he is authorised");
            if let Ok(answer) = c3p::parse_response(&response.body) {
                assert_eq!(failure(&[answer.outcome]).0, &FailureReason::MaximumMeetingSizeExceeded);
            }
        }
        let dial = ann.dial_out(&address("ann"), PHONE);
        let answer = ann.command(&mut world, dial);
        assert_eq!(failure(&answer.verdicts).0, &FailureReason::MaximumMeetingSizeExceeded);
        let [Outcome::Failure(told)] = &answer.verdicts[..] else { panic!("{answer:?}") };
        let told = told.details.iter().find(|detail| detail.key == "warning").map(|detail| detail.value.as_str());
        assert!(told.is_some_and(|told| warning.contains(told)), "{told:?}");
    }
}

#[test]
fn a_lost_mcu_fails_what_is_under_way() {
    let (mut world, mut ann) = meeting();
    dial(&mut world, &mut ann);
    let failed = world.mcu.iter().find_map(|command| match command {
        McuCommand::ReserveLeg { conference, leg } => Some((conference.clone(), *leg)),
        _ => None,
    });
    let (conference, leg) = failed.expect("a leg");
    let lost = mcu_api::McuEvent::ConferenceFailed { conference, legs: vec![leg] };
    world.input(Input::Mcu(lost));
    assert_eq!(failure(&ann.verdicts(&mut world)), (&FailureReason::ServerInternalError, None));
    assert!(world.engine.conferences().is_empty());
    let lost = world.events.iter().any(|event| {
        matches!(event, EngineEvent::LegEnded(record) if record.termination.reason == TerminationReason::McuLost)
    });
    assert!(lost, "{:?}", world.events);
}

#[test]
fn a_dial_out_that_the_dial_plan_refuses_never_rings() {
    for (target, reason) in [
        ("sip:nobody@example.com", FailureReason::InvalidUserEntity),
        ("sip:x@elsewhere.example", FailureReason::Forbidden),
        ("sip:1234@example.com", FailureReason::InvalidUserEntity),
    ] {
        let (mut world, mut ann) = meeting();
        let command = ann.dial_out(target, PHONE);
        let mut answer = ann.command(&mut world, command);
        assert!(matches!(answer.verdicts.remove(0), Outcome::Pending(_)));
        assert_eq!(failure(&answer.verdicts), (&reason, None), "{target}");
        assert!(world.take_requests(&Method::Invite).is_empty());
    }
}

#[test]
fn an_attendee_calls_nobody_and_leads_nothing() {
    let (mut world, ann) = meeting();
    let mut bob = Client::join(&mut world, "bob", &ann.focus);
    let command = bob.dial_out(&address("cleo"), PHONE);
    let answer = bob.command(&mut world, command);
    assert_eq!(failure(&answer.verdicts), (&FailureReason::Forbidden, Some("3015")));
    let focus = ann.focus.clone();
    let keys = bob.keys(&address("ann"));
    for command in [lock(&focus), delete_conference(&focus), Command::DeleteUser(DeleteUser { keys, mcu_uri: None })] {
        let answer = bob.command(&mut world, command);
        assert_eq!(failure(&answer.verdicts), (&FailureReason::Forbidden, Some("3014")));
    }
    assert!(world.take_requests(&Method::Invite).is_empty());
    assert_eq!(world.statuses().len(), 2);
}

#[test]
fn attendees_call_whom_they_like_where_they_may_but_make_nobody_a_presenter() {
    let mut world = World::configured(|config| config.attendees_may_dial_out = true);
    world.register("cleo", &[41_000]);
    let focus = schedule(&mut world, "ann", "WEEKLY2026");
    let _ann = Client::join(&mut world, "ann", &focus);
    let mut bob = Client::join(&mut world, "bob", &focus);
    let mut as_presenter = bob.dial_out(&address("cleo"), PHONE);
    let Command::AddUser(add_user) = &mut as_presenter else { panic!("a dial-out") };
    add_user.user.role = Some(Role::Presenter);
    let answer = bob.command(&mut world, as_presenter);
    assert_eq!(failure(&answer.verdicts), (&FailureReason::Forbidden, Some("3017")));
    assert!(world.take_requests(&Method::Invite).is_empty());
    dial(&mut world, &mut bob);
}

#[test]
fn a_lock_command_says_who_is_promoted_from_then_on() {
    let (mut world, mut ann) = meeting();
    for (name, mask, role) in
        [("bob", 0x8000_0000, Role::Presenter), ("cleo", 0, Role::Attendee), ("dave", 0x8000, Role::Presenter)]
    {
        let mut command = lock(&ann.focus);
        let Command::ModifyConferenceLock(change) = &mut command else { panic!("a lock") };
        (change.locked, change.autopromote) = (false, Some(mask));
        succeeded(&ann.command(&mut world, command));
        notified(&mut world);
        Client::join(&mut world, name, &ann.focus);
        let documents = notified(&mut world);
        let users = documents.iter().flat_map(|document| &document.users).flat_map(|users| &users.users);
        let roles: Vec<_> = users.filter(|one| one.entity == address(name)).map(|one| one.roles.clone()).collect();
        assert_eq!(roles, [[role]], "{name}");
    }
}

#[test]
fn the_envelope_must_name_who_asks_and_what_is_asked() {
    let (mut world, mut ann) = meeting();
    let focus = ann.focus.clone();
    let other = schedule(&mut world, "bob", "ANOTHER2026");
    for (from, to, reason, id) in [
        (address("bob"), focus.clone(), FailureReason::Forbidden, "3000"),
        (address("ann"), other.clone(), FailureReason::RequestMalformed, "3001"),
        (address("ann"), address("bob"), FailureReason::RequestMalformed, "3001"),
    ] {
        let (status, diagnostics) = ann.inform(&mut world, &request(&from, &to, lock(&focus)).to_xml());
        assert_eq!(status, 202);
        assert!(diagnostics.is_some_and(|header| header.starts_with(id)), "{from} {to}");
        let bodies = world.take_bodies(&Method::Info);
        let outcome = c3p::parse_response(bodies[0].as_bytes()).expect("C3P").outcome;
        assert_eq!(failure(&[outcome]).0, &reason, "{from} {to}");
        assert!(world.engine.conferences().iter().all(|conference| !conference.locked));
    }
}

#[test]
fn keys_of_another_conference_change_nothing() {
    let (mut world, mut ann) = meeting();
    let other = schedule(&mut world, "bob", "ANOTHER2026");
    let _bob = Client::join(&mut world, "bob", &other);
    for command in [lock(&other), delete_conference(&other)] {
        let answer = ann.command(&mut world, command);
        assert_eq!(failure(&answer.verdicts).0, &FailureReason::ConferenceDoesNotExist);
        assert!(answer.diagnostics.is_some_and(|header| header.starts_with("3003;")));
    }
    assert_eq!(world.engine.conferences().len(), 2);
    assert!(world.engine.conferences().iter().all(|conference| !conference.locked));
}

#[test]
fn nobody_deletes_anothers_schedule() {
    let (mut world, ann) = meeting();
    for keys in [ConferenceKeys::ConferenceId("WEEKLY2026".to_owned()), ConferenceKeys::Entity(ann.focus.clone())] {
        let outcome = service(&mut world, "bob", Command::DeleteConference(DeleteConference { keys }));
        assert_eq!(failure(&[outcome]).0, &FailureReason::ConferenceDoesNotExist);
    }
    assert_eq!(world.engine.conferences().len(), 1);
}

#[test]
fn a_focus_dialog_needs_a_session_timer() {
    let (mut world, ann) = meeting();
    let mut invite = join_request("bob", &ann.focus);
    invite.headers.remove("Supported");
    let transaction = world.request(invite, Some(user("bob")));
    let response = world.take_responses(transaction).pop().expect("a response");
    assert_eq!((response.status, response.headers.get("Require")), (421, Some("timer")));
    assert!(response.headers.get("ms-diagnostics").is_some_and(|header| header.starts_with("3010;")));
}

#[test]
fn a_join_in_anothers_name_is_refused() {
    let (mut world, ann) = meeting();
    let mut invite = join_request("cleo", &ann.focus);
    invite.headers.set("From", "<sip:bob@example.com>;tag=x");
    let transaction = world.request(invite, Some(user("bob")));
    let response = world.take_responses(transaction).pop().expect("a response");
    assert_eq!(response.status, 403);
    assert!(response.headers.get("ms-diagnostics").is_some_and(|header| header.starts_with("3000;")));
    assert_eq!(world.statuses().len(), 1);
}

#[test]
fn who_may_not_watch_is_refused_by_the_answer() {
    let (mut world, ann) = meeting();
    let mut subscribe = out_of_dialog(Method::Subscribe, &ann.focus, "bob", "watch");
    subscribe.headers.push("Event", "conference");
    let before = world.engine.load().calls.subscriptions;
    let transaction = world.request(subscribe, Some(user("bob")));
    let answered: Vec<u16> = world.take_responses(transaction).iter().map(|response| response.status).collect();
    assert_eq!(answered, [403]);
    assert!(world.take_requests(&Method::Notify).is_empty(), "no subscription began");
    assert_eq!((world.engine.load().calls.subscriptions, world.engine.load().subscriptions), (before, 1));
}

#[test]
fn unknown_commands_and_bad_documents_are_named() {
    let (mut world, mut ann) = meeting();
    let focus = ann.focus.clone();
    let known = request(&address("ann"), &focus, lock(&focus)).to_xml();
    let (status, diagnostics) = ann.inform(&mut world, &known.replace("modifyConferenceLock", "startRecording"));
    assert_eq!(status, 202);
    assert!(diagnostics.is_some_and(|header| header.starts_with("3004;")));
    let bodies = world.take_bodies(&Method::Info);
    assert!(bodies[0].contains("startRecording") && bodies[0].contains("notSupported"), "{bodies:?}");
    for bad in ["<request", " ", "<a/>", "<!DOCTYPE a []><request/>"] {
        let answer = ann.send(&mut world, bad);
        assert_eq!(answer.status, 400, "{bad}");
        assert!(answer.diagnostics.is_some_and(|header| header.starts_with("3006;")), "{bad}");
        assert!(answer.verdicts.is_empty());
    }
}

#[test]
fn the_factory_neither_deletes_nor_shadows_a_conference_of_the_configuration() {
    let mut world = World::new();
    let [configured, unused] = ["PERMANENT000000000003456", "PERMANENT000000000009999"];
    let keys = ConferenceKeys::ConferenceId(configured.to_owned());
    let outcome = service(&mut world, "ann", Command::DeleteConference(DeleteConference { keys }));
    assert_eq!(failure(&[outcome]).0, &FailureReason::Forbidden);
    assert!(world.engine.directory().conferences().any(|record| record.id.as_str() == configured));
    let mut info = c3p::conference_info::ConferenceInfo::new("", c3p::State::Full);
    info.description = Some(c3p::conference_info::Description {
        conference_id: Some(unused.to_owned()),
        ..c3p::conference_info::Description::default()
    });
    let outcome = service(&mut world, "ann", Command::AddConference(Box::new(info)));
    assert_eq!(failure(&[outcome]).0, &FailureReason::InvalidConferenceId);
}
