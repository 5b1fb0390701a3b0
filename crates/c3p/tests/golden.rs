//! The golden documents: each is read, printed and read again, nothing in it is lost, and its values are the right ones.

mod common;

use c3p::conference_info::{ConferenceInfo, Passcode, User, Users};
use c3p::{
    AccessType, AppInvite, Code, Command, ConferenceKeys, ConferenceUri, DisconnectionMethod, EndpointStatus,
    ErrorKind, FailureReason, JoiningMethod, Limit, LobbyAccess, McuType, MediaFilter, MediaStatus, MediaType, MuteAll,
    Outcome, ResponseBody, Role, SessionType, State, Verb, connection_key,
};
use common::{FOCUS, Parsed, documents, golden};
use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;

const AUDIO_MCU: &str = "sip:ann@example.com;gruu;opaque=app:conf:audio-video:id:K3V9PX2Q";

#[test]
fn every_document_survives_reading_and_printing() {
    for (file, body) in documents("golden/c3p") {
        let value = Parsed::read(&body).unwrap_or_else(|error| panic!("{file}: {error}"));
        let printed = value.to_xml();
        let again = Parsed::read(printed.as_bytes()).unwrap_or_else(|error| panic!("{file}: {error}\n{printed}"));
        assert_eq!(again, value, "{file}");
        assert_eq!(again.to_xml(), printed, "{file}");
    }
}

#[test]
fn nothing_that_a_document_says_is_lost() {
    for (file, body) in documents("golden/c3p") {
        let value = Parsed::read(&body).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut printed = facts(&value.to_xml());
        for fact in facts(std::str::from_utf8(&body).expect("golden documents are UTF-8")) {
            let at = printed.iter().position(|other| *other == fact);
            let at = at.unwrap_or_else(|| panic!("{file}: lost {fact}\nprinted: {printed:#?}"));
            printed.swap_remove(at);
        }
        // What is added is only what the writer always spells out.
        let added: Vec<&String> = printed.iter().filter(|fact| !fact.ends_with("state = full")).collect();
        assert!(added.is_empty(), "{file}: added {added:?}");
    }
}

/// Every attribute and every leaf's text of a document, with its path; written with the library alone, so that a word
/// this crate has wrong in both directions shows.
fn facts(xml: &str) -> Vec<String> {
    let mut reader = NsReader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    let mut facts = Vec::new();
    let qualified = |resolved: ResolveResult<'_>, local: &str| match resolved {
        ResolveResult::Bound(namespace) => format!("{{{}}}{local}", namespace.into_inner()),
        _ => local.to_owned(),
    };
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(start) => {
                let (resolved, local) = reader.resolver().resolve_element(start.name());
                path.push(qualified(resolved, local.into_inner()));
                for attribute in start.attributes() {
                    let attribute = attribute.expect("well-formed");
                    if attribute.key.as_namespace_binding().is_none() {
                        let (resolved, local) = reader.resolver().resolve_attribute(attribute.key);
                        let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0);
                        let value = value.expect("only predefined entities");
                        facts.push(format!("{}@{} = {value}", path.join("/"), qualified(resolved, local.into_inner())));
                    }
                }
                text.clear();
            }
            Event::Text(content) => text.push_str(&content.into_inner()),
            Event::GeneralRef(reference) => text.push_str(&format!("&{};", reference.into_inner())),
            Event::End(_) => {
                let resolved = quick_xml::escape::unescape(&text).expect("only predefined entities").into_owned();
                if !resolved.trim().is_empty() {
                    facts.push(format!("{} = {}", path.join("/"), resolved.trim()));
                }
                text.clear();
                path.pop();
            }
            Event::Eof => return facts,
            _ => (),
        }
    }
}

fn command(file: &str) -> Command {
    c3p::parse_request(&golden(file)).unwrap_or_else(|error| panic!("{file}: {error}")).command
}

fn outcome(file: &str) -> Outcome {
    c3p::parse_response(&golden(file)).unwrap_or_else(|error| panic!("{file}: {error}")).outcome
}

fn body(file: &str) -> ResponseBody {
    match outcome(file) {
        Outcome::Success(body) => body,
        other => panic!("{file}: {other:?}"),
    }
}

#[test]
fn there_is_a_request_and_a_response_for_every_verb() {
    let documents = documents("golden/c3p");
    for verb in Verb::ALL {
        for kind in ["request", "response"] {
            let found = documents.iter().any(|(_, body)| match Parsed::read(body) {
                Ok(Parsed::Request(request)) => kind == "request" && request.command.verb() == *verb,
                Ok(Parsed::Response(response)) => kind == "response" && response.outcome.verb() == *verb,
                _ => false,
            });
            assert!(found, "no {kind} for {verb}");
        }
    }
}

#[test]
fn a_schedule() {
    let Command::AddConference(info) = command("request-addConference.xml") else { panic!("another command") };
    let description = info.description.as_ref().expect("it has a description");
    assert_eq!(info.entity, "");
    assert_eq!(description.subject.as_deref(), Some("Weekly sync & more"));
    assert_eq!(description.conference_id.as_deref(), Some("K3V9PX2Q"));
    assert_eq!(info.admission_policy(), Some(AccessType::Open));
    let view = info.view.expect("it has a view");
    assert_eq!(view.mcu_types().collect::<Vec<_>>(), [McuType::Chat, McuType::AudioVideo]);
}

#[test]
fn a_permanent_schedule_with_later_additions() {
    let Command::AddConference(info) = command("request-addConference-rich.xml") else { panic!("another command") };
    let description = info.description.as_ref().expect("it has a description");
    assert!(info.is_static);
    assert_eq!(description.passcode, Some(Passcode::new("482913")));
    assert!(!format!("{description:?}").contains("482913"));
    assert_eq!(description.autopromote, Some(2_147_483_648));
    assert_eq!(description.pstn_lobby_bypass, Some(true));
    assert_eq!(description.pstn_access.as_ref().map(|access| access.id.is_none()), Some(true));
    assert_eq!(info.conference_state.and_then(|state| state.locked), Some(true));
    assert_eq!(info.users.expect("it has users").users[0].roles, [Role::Presenter]);
}

#[test]
fn opaque_data_are_carried_as_they_stand() {
    let Command::AddConference(info) = command("request-addConference-data.xml") else { panic!("another command") };
    let description = info.description.expect("it has a description");
    let stored = description.organizer_data.expect("it has data").to_stored();
    let expected = "<data xmlns=\"urn:ietf:params:xml:ns:cccp\" xmlns:app=\"urn:example:app\">\
                    <app:calendar item=\"17\"><note>weekly &amp; long</note></app:calendar></data>";
    assert_eq!((stored.as_str(), info.version), (expected, Some(3)));
    for hostile in ["<a>", "<a><b></a>", "<a>&b;</a>", "<a><p:b/></a>", "<a><!DOCTYPE x></a>", "x"] {
        assert!(c3p::OpaqueXml::from_stored(hostile).is_err(), "{hostile}");
    }
}

#[test]
fn mute_all() {
    let Command::ModifyConference(command) = command("request-modifyConference-muteAll.xml") else {
        panic!("another command")
    };
    assert_eq!(command.info.state, State::Partial);
    assert_eq!(command.mute_all(), Some(MuteAll { mcu_uri: AUDIO_MCU, ingress: MediaFilter::Block }));
}

#[test]
fn both_forms_of_keys() {
    let Command::DeleteConference(by_id) = command("request-deleteConference-factory.xml") else { panic!() };
    assert_eq!(by_id.keys, ConferenceKeys::ConferenceId("K3V9PX2Q".into()));
    let Command::DeleteConference(by_entity) = command("request-deleteConference-focus.xml") else { panic!() };
    assert_eq!(by_entity.keys, ConferenceKeys::Entity(FOCUS.into()));
    let Command::GetConference(get) = command("request-getConference.xml") else { panic!() };
    assert_eq!(get.certificate.as_deref(), Some("MIIBszCCARygAwIBAgIQexamplecertificate=="));
}

#[test]
fn a_join() {
    let Command::AddUser(join) = command("request-addUser-join.xml") else { panic!("another command") };
    let endpoint = join.user.endpoint.as_ref().expect("it has an endpoint");
    assert_eq!((join.conference.as_str(), join.mcu_uri.as_deref()), (FOCUS, None));
    assert_eq!((join.user.entity.as_str(), join.user.role), ("sip:bob@example.com", Some(Role::Attendee)));
    assert_eq!(endpoint.lobby_capable, Some(true));
    assert!(!join.is_dial_out());
}

#[test]
fn a_dial_out() {
    let Command::AddUser(dial) = command("request-addUser-dialOut.xml") else { panic!("another command") };
    let endpoint = dial.user.endpoint.as_ref().expect("it has an endpoint");
    assert!(dial.is_dial_out());
    assert_eq!(dial.mcu_uri.as_deref(), Some(AUDIO_MCU));
    assert!(matches!(ConferenceUri::parse(AUDIO_MCU), Ok(ConferenceUri::Mcu(_, McuType::AudioVideo))));
    assert_eq!(endpoint.session_type, Some(SessionType::Mcu(McuType::AudioVideo)));
    assert_eq!(endpoint.endpoint_uri.as_deref(), Some("sip:+14255550123@example.com;user=phone"));
    assert_eq!(endpoint.refer_to_uri.as_deref(), Some("tel:+14255550199"));
    assert_eq!((endpoint.media[0].id.as_str(), &endpoint.media[0].media_type), ("1", &MediaType::Audio));
}

#[test]
fn control_commands() {
    let Command::DeleteUser(eject) = command("request-deleteUser.xml") else { panic!() };
    assert_eq!((eject.keys.conference.as_str(), eject.keys.user.as_str()), (FOCUS, "sip:bob@example.com"));
    let Command::ModifyUserRoles(promote) = command("request-modifyUserRoles.xml") else { panic!() };
    assert_eq!(promote.role, Role::Presenter);
    let Command::ModifyConferenceLock(lock) = command("request-modifyConferenceLock.xml") else { panic!() };
    assert_eq!((lock.locked, lock.admission_policy), (true, None));
    let Command::ModifyConferenceLock(lock) = command("request-modifyConferenceLock-later.xml") else { panic!() };
    assert_eq!((lock.locked, lock.admission_policy), (false, Some(AccessType::Closed)));
    let Command::ModifyEndpointMedia(mute) = command("request-modifyEndpointMedia.xml") else { panic!() };
    assert_eq!((mute.media.status, mute.media.ingress), (Some(MediaStatus::RecvOnly), Some(MediaFilter::Block)));
    assert_eq!((mute.keys.media.as_str(), mute.mcu_uri.as_deref()), ("1", Some(AUDIO_MCU)));
}

#[test]
fn commands_to_many_and_to_one_endpoint() {
    let Command::SetLobbyAccess(lobby) = command("request-setLobbyAccess.xml") else { panic!() };
    assert_eq!((lobby.access, lobby.users.len(), lobby.conference.as_str()), (LobbyAccess::Granted, 2, FOCUS));
    let Command::ModifyUsersMediaFilters(mute) = command("request-modifyUsersMediaFilters.xml") else { panic!() };
    assert_eq!((mute.ingress, mute.egress, mute.role), (Some(MediaFilter::Block), None, Some(Role::Attendee)));
    assert_eq!((mute.users.len(), mute.except), (0, vec!["sip:cleo@example.com".to_owned()]));
    let Command::ModifyEndpoint(modify) = command("request-modifyEndpoint.xml") else { panic!() };
    assert_eq!(modify.media[0].ingress, Some(MediaFilter::Block));
    let Command::DeleteEndpoint(delete) = command("request-deleteEndpoint.xml") else { panic!() };
    assert_eq!((delete.keys.user.as_str(), delete.mcu_uri.as_deref()), ("sip:bob@example.com", Some(AUDIO_MCU)));
}

#[test]
fn answers_of_the_factory() {
    let ResponseBody::GetConferencingCapabilities(can) = body("response-getConferencingCapabilities.xml") else {
        panic!("another answer")
    };
    assert_eq!(can.mcu_types, McuType::ALL);
    assert_eq!((can.regions[1].name.as_str(), can.regions[1].numbers.len()), ("K\u{f6}ln", 2));
    assert_eq!(can.default_region.as_deref(), Some("Redmond"));
    let ResponseBody::AddConference(stored) = body("response-addConference.xml") else { panic!("another answer") };
    assert_eq!(stored.entity, FOCUS);
    assert_eq!(stored.description.and_then(|d| d.pstn_access).and_then(|access| access.id).as_deref(), Some("44123"));
    let ResponseBody::GetConferences(list) = body("response-getConferences.xml") else { panic!("another answer") };
    assert_eq!(
        list.iter().map(|info| info.admission_policy()).collect::<Vec<_>>(),
        [Some(AccessType::Open), Some(AccessType::Closed)]
    );
}

#[test]
fn answers_to_add_user() {
    let ResponseBody::AddUser(joined) = body("response-addUser-join.xml") else { panic!("another answer") };
    assert_eq!(joined.user.role, Some(Role::Presenter));
    let ResponseBody::AddUser(dialed_in) = body("response-addUser-dialIn.xml") else { panic!("another answer") };
    let server = dialed_in.connection(connection_key::MCU_SERVER_URI);
    assert_eq!(server, Some("sip:mcu.example.com:5063;transport=tls"));
    let response = c3p::parse_response(&golden("response-addUser-dialOut.xml")).expect("valid");
    assert_eq!((response.code(), response.responder.as_deref()), (Code::Success, Some(AUDIO_MCU)));
    assert_eq!(outcome("response-addUser-pending.xml"), Outcome::Pending(Verb::AddUser));
}

#[test]
fn failures() {
    assert_eq!(outcome("response-addUser-failure.xml"), Outcome::failure(Verb::AddUser, FailureReason::OtherFailure));
    let reason = FailureReason::ConferenceDoesNotExist;
    assert_eq!(outcome("response-getConference-failure.xml"), Outcome::failure(Verb::GetConference, reason));
    let reason = FailureReason::OtherFailure;
    assert_eq!(outcome("response-endorseUser-failure.xml"), Outcome::failure(Verb::EndorseUser, reason));
    let Outcome::Failure(failure) = outcome("response-addUser-failure-detail.xml") else { panic!("no failure") };
    assert_eq!((failure.reason, failure.details[0].value.as_str()), (FailureReason::Forbidden, "403"));
}

fn roster(file: &str) -> ConferenceInfo {
    c3p::conference_info::parse(&golden(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn a_full_roster() {
    let info = roster("conference-info-full.xml");
    assert_eq!((info.state, info.version), (State::Full, Some(1)));
    let description = info.description.expect("it has a description");
    assert_eq!(description.conf_uris[1].purpose.as_deref(), Some("audio-video"));
    assert_eq!(description.organizer.as_deref(), Some("Ann"));
    let users = info.users.expect("it has users").users;
    assert_eq!(users[0].display_text.as_deref(), Some("Bob \"the <builder>\" O'Neill & co"));
    assert_eq!(users[0].endpoints[0].session_type, Some(SessionType::Focus));
    let audio = &users[0].endpoints[1];
    assert_eq!((audio.status, audio.joining_method), (Some(EndpointStatus::Connected), Some(JoiningMethod::DialedOut)));
    assert_eq!(audio.media[0].src_id.as_deref(), Some("305419896"));
    assert_eq!(audio.auth_method.as_deref(), Some("enterprise"));
    assert_eq!(users[1].endpoints[0].media[0].ingress, Some(MediaFilter::Block));
    let views = info.view.expect("it has a view").entity_views;
    assert_eq!(views[0].entity_state.as_ref().and_then(|state| state.locked), Some(false));
    assert_eq!(views[1].entity_state.as_ref().map(|state| state.media[0].label.as_str()), Some("main-audio"));
}

#[test]
fn a_partial_roster() {
    let info = roster("conference-info-partial.xml");
    let users = info.users.expect("it has users");
    assert_eq!((info.state, users.state), (State::Partial, State::Partial));
    let endpoints = &users.users[0].endpoints;
    assert_eq!(endpoints[0].disconnection_method, Some(DisconnectionMethod::Busy));
    assert_eq!((endpoints[1].state, users.users[1].state), (State::Deleted, State::Deleted));
}

#[test]
fn a_prepared_roster_is_the_roster_with_a_version() {
    for file in ["conference-info-full.xml", "conference-info-partial.xml", "conference-info-deleted.xml"] {
        let info = roster(file);
        let version = info.version.expect("rosters have versions");
        assert_eq!(info.prepare().with_version(version), info.to_xml());
        let next = c3p::conference_info::parse(info.prepare().with_version(version + 1).as_bytes());
        assert_eq!(next, Ok(ConferenceInfo { version: Some(version + 1), ..info }));
    }
}

#[test]
fn a_full_roster_of_many_users() {
    let golden = roster("conference-info-full.xml");
    let bob = golden.users.as_ref().expect("it has users").users[0].clone();
    let users = (0..1000).map(|i| User { entity: format!("sip:user{i}@example.com"), ..bob.clone() }).collect();
    let info = ConferenceInfo { users: Some(Users { state: State::Full, users }), ..golden };
    let printed = info.to_xml();
    let refused = c3p::conference_info::parse(printed.as_bytes()).map_err(|error| error.kind);
    assert_eq!(refused, Err(ErrorKind::Limit(Limit::Body)));
    assert_eq!(c3p::conference_info::parse_within(printed.as_bytes(), 4 << 20), Ok(info));
}

#[test]
fn an_app_invite() {
    let invite = AppInvite::parse(&golden("conferencing.xml")).expect("valid");
    assert_eq!((invite.focus_uri.as_str(), invite.subject.as_deref()), (FOCUS, Some("Weekly sync")));
    assert_eq!((invite.audio, invite.im.map(|im| im.first_im)), (true, Some(true)));
}
