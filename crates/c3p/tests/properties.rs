//! Whatever is generated is read back as it was; whatever arrives is read or refused, and what was read is read back.

mod common;

use std::sync::LazyLock;

use c3p::conference_info::{
    ConfUri, ConferenceInfo, ConferenceState, ConferenceView, Description, Endpoint, EntityState, EntityView,
    ExecutionInfo, InitialFilter, Media, Passcode, PstnAccess, User, Users, ViewMedia,
};
use c3p::*;
use common::{Parsed, documents};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Text for people: any character that XML can carry, white space and markup included.
fn text() -> BoxedStrategy<String> {
    let character = prop_oneof![
        4 => any::<char>().prop_filter("XML carries it", |c| {
            matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
        }),
        1 => select(vec!['<', '>', '&', '"', '\'', '\n', '\r', '\t', ' ', ']']),
    ];
    vec(character, 0..12).prop_map(|characters| characters.into_iter().collect()).boxed()
}

/// A token: what a reader may trim.
fn token() -> BoxedStrategy<String> {
    "[A-Za-z0-9{}&<>\"';:=+.-]{1,12}".boxed()
}

fn uri() -> BoxedStrategy<String> {
    prop_oneof!["sip:[a-z0-9&'+]{1,8}@[a-z]{1,8}\\.example\\.com(;user=phone)?", "tel:\\+[0-9]{3,12}"].boxed()
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(values: &'static [T]) -> BoxedStrategy<T> {
    select(values).boxed()
}

fn role() -> BoxedStrategy<Role> {
    select(vec![Role::Attendee, Role::Presenter, Role::Organizer]).boxed()
}

fn access() -> BoxedStrategy<AccessType> {
    select(vec![AccessType::Open, AccessType::Closed, AccessType::Anonymous]).boxed()
}

fn session_type() -> BoxedStrategy<SessionType> {
    prop_oneof![
        Just(SessionType::Focus),
        one_of(McuType::ALL).prop_map(SessionType::Mcu),
        "x-[a-z]{1,5}".prop_map(SessionType::Other),
    ]
    .boxed()
}

fn media_type() -> BoxedStrategy<MediaType> {
    prop_oneof![Just(MediaType::Audio), "x-[a-z]{1,5}".prop_map(MediaType::Other)].boxed()
}

prop_compose! {
    fn media()(id in token(), label in of(token()), src_id in of(token()), media_type in of(media_type()),
        status in of(one_of(MediaStatus::ALL)), media_state in of(one_of(EndpointStatus::ALL)),
        ingress in of(one_of(MediaFilter::ALL)), egress in of(one_of(MediaFilter::ALL))) -> Media {
        Media { id, media_type, label, src_id, status, media_state, ingress, egress }
    }
}

prop_compose! {
    fn execution()(when in of(token()), reason in of(text()), by in of(token())) -> ExecutionInfo {
        ExecutionInfo { when, reason, by }
    }
}

prop_compose! {
    fn endpoint()((entity, state, session_type, endpoint_uri) in
            (token(), one_of(State::ALL), of(session_type()), of(uri())),
        status in of(one_of(EndpointStatus::ALL)), joining_method in of(one_of(JoiningMethod::ALL)),
        joining_info in of(execution()), disconnection_method in of(one_of(DisconnectionMethod::ALL)),
        disconnection_info in of(execution()), auth_method in of(token()), access_method in of(token()),
        media in vec(media(), 0..3)) -> Endpoint {
        Endpoint { entity, state, session_type, endpoint_uri, status, joining_method, joining_info,
            disconnection_method, disconnection_info, auth_method, access_method, media }
    }
}

prop_compose! {
    fn user()(entity in text(), state in one_of(State::ALL), display_text in of(text()), roles in vec(role(), 0..3),
        endpoints in vec(endpoint(), 0..3)) -> User {
        User { entity, state, display_text, roles, endpoints }
    }
}

prop_compose! {
    fn conf_uri()(uri in uri(), display_text in of(text()), purpose in of(token())) -> ConfUri {
        ConfUri { uri, display_text, purpose }
    }
}

/// Opaque data as different clients write them: text, elements of no or a foreign namespace, of ours, nested.
fn opaque() -> BoxedStrategy<OpaqueXml> {
    let piece = select(vec![
        "text &amp; more",
        "<a/>",
        "<a xmlns='urn:x'><b c='1'>t</b></a>",
        "<p:a q:b=''><p:c>&#65;</p:c></p:a>",
        "<![CDATA[<raw>]]>",
        "<!-- no -->",
        "<msci:x/>",
    ]);
    let outer = "xmlns:p='urn:p?a=1' xmlns:q='urn:q' \
                 xmlns:msci='http://schemas.microsoft.com/rtc/2005/08/confinfoextensions'";
    vec(piece, 0..4)
        .prop_map(move |pieces| {
            let text = format!("<data {outer} xmlns='urn:default'>{}</data>", pieces.concat());
            OpaqueXml::from_stored(&text).expect("well-formed")
        })
        .boxed()
}

prop_compose! {
    fn description()((display_text, subject, conf_uris, conference_id) in
            (of(text()), of(text()), vec(conf_uri(), 0..3), of(token())),
        (last_update, last_activate, is_active, expiry_time) in
            (of(token()), of(token()), of(any::<bool>()), of(token())),
        (admission_policy, passcode, passcode_optional, organizer) in
            (of(access()), of(token().prop_map(Passcode::new)), of(any::<bool>()), of(text())),
        (join_url, pstn_access, pstn_lobby_bypass) in
            (of(token()), of(of(token()).prop_map(|id| PstnAccess { id })), of(any::<bool>())),
        (autopromote, server_mode, organizer_data, notification_data) in
            (of(any::<u32>()), of(any::<u32>()), of(opaque()), of(opaque()))) -> Description {
        Description { display_text, subject, conf_uris, conference_id, last_update, last_activate, is_active,
            expiry_time, admission_policy, passcode, passcode_optional, organizer, join_url, pstn_access,
            pstn_lobby_bypass, autopromote, server_mode, organizer_data, notification_data }
    }
}

prop_compose! {
    fn initial_filter()(role in token(), ingress in of(one_of(MediaFilter::ALL)),
        egress in of(one_of(MediaFilter::ALL))) -> InitialFilter {
        InitialFilter { role, ingress, egress }
    }
}

prop_compose! {
    fn entity_state()(locked in of(any::<bool>()), initial_filters in vec(initial_filter(), 0..3),
        media in vec((text(), media_type()).prop_map(|(label, media_type)| ViewMedia { label, media_type }), 0..3),
    ) -> EntityState {
        EntityState { locked, media, initial_filters }
    }
}

prop_compose! {
    fn entity_view()(entity in text(), state in one_of(State::ALL), entity_state in of(entity_state())) -> EntityView {
        EntityView { entity, state, entity_state }
    }
}

prop_compose! {
    fn info()(entity in text(), state in one_of(State::ALL), version in of(any::<u32>()), is_static in any::<bool>(),
        description in of(description()),
        conference_state in of((of(any::<u32>()), of(any::<bool>()), of(any::<bool>()))
            .prop_map(|(user_count, active, locked)| ConferenceState { user_count, active, locked })),
        users in of((one_of(State::ALL), vec(user(), 0..3)).prop_map(|(state, users)| Users { state, users })),
        view in of((one_of(State::ALL), vec(entity_view(), 0..3))
            .prop_map(|(state, entity_views)| ConferenceView { state, entity_views }))) -> ConferenceInfo {
        ConferenceInfo { entity, state, version, is_static, description, conference_state, users, view }
    }
}

prop_compose! {
    fn joining_endpoint()(entity in "[!-~]{1,20}", session_type in of(session_type()), endpoint_uri in of(uri()),
        refer_to_uri in of(uri()), on_behalf_of in of(text()), joining_method in of(one_of(JoiningMethod::ALL)),
        media in vec((text(), media_type()).prop_map(|(id, media_type)| MediaRequest { id, media_type }), 0..3),
        lobby_capable in of(any::<bool>())) -> JoiningEndpoint {
        JoiningEndpoint { entity, session_type, endpoint_uri, refer_to_uri, on_behalf_of, joining_method, media,
            lobby_capable }
    }
}

prop_compose! {
    fn participant()(entity in uri(), display_text in of(text()), role in of(role()),
        endpoint in of(joining_endpoint())) -> Participant {
        Participant { entity, display_text, role, endpoint }
    }
}

fn keys() -> BoxedStrategy<ConferenceKeys> {
    prop_oneof![token().prop_map(ConferenceKeys::Entity), token().prop_map(ConferenceKeys::ConferenceId)].boxed()
}

fn user_keys() -> BoxedStrategy<UserKeys> {
    (token(), token()).prop_map(|(conference, user)| UserKeys { conference, user }).boxed()
}

prop_compose! {
    fn lock()(conference in token(), locked in any::<bool>(), admission_policy in of(access()),
        pstn_lobby_bypass in of(any::<bool>()), autopromote in of(any::<u32>())) -> ModifyConferenceLock {
        ModifyConferenceLock { conference, locked, admission_policy, pstn_lobby_bypass, autopromote }
    }
}

prop_compose! {
    fn endpoint_media()(conference in token(), user in token(), endpoint in token(), media in media(),
        mcu_uri in of(token())) -> ModifyEndpointMedia {
        let keys = MediaKeys { conference, user, endpoint, media: media.id.clone() };
        ModifyEndpointMedia { keys, media, mcu_uri }
    }
}

fn endpoint_keys() -> BoxedStrategy<EndpointKeys> {
    let keys = (token(), token(), token());
    keys.prop_map(|(conference, user, endpoint)| EndpointKeys { conference, user, endpoint }).boxed()
}

prop_compose! {
    fn users_filters()(conference in token(), users in vec(token(), 0..3), role in of(role()),
        except in vec(token(), 0..3), ingress in of(one_of(MediaFilter::ALL)), egress in of(one_of(MediaFilter::ALL)),
        mcu_uri in of(token())) -> ModifyUsersMediaFilters {
        ModifyUsersMediaFilters { conference, users, role, except, ingress, egress, mcu_uri }
    }
}

fn endpoint_command() -> BoxedStrategy<Command> {
    let mcu = || of(token());
    prop_oneof![
        (endpoint_keys(), vec(media(), 0..3), mcu()).prop_map(|(keys, media, mcu_uri)| {
            Command::ModifyEndpoint(Box::new(ModifyEndpoint { keys, media, mcu_uri }))
        }),
        (endpoint_keys(), mcu()).prop_map(|(keys, mcu_uri)| Command::DeleteEndpoint(DeleteEndpoint { keys, mcu_uri })),
        (endpoint_keys(), media(), mcu()).prop_map(|(keys, media, mcu_uri)| {
            Command::AddEndpointMedia(Box::new(AddEndpointMedia { keys, media, mcu_uri }))
        }),
        endpoint_media().prop_map(|ModifyEndpointMedia { keys, mcu_uri, .. }| {
            Command::DeleteEndpointMedia(DeleteEndpointMedia { keys, mcu_uri })
        }),
    ]
    .boxed()
}

fn command() -> BoxedStrategy<Command> {
    prop_oneof![
        3 => some_command(),
        1 => endpoint_command(),
    ]
    .boxed()
}

fn some_command() -> BoxedStrategy<Command> {
    prop_oneof![
        Just(Command::GetConferencingCapabilities),
        Just(Command::GetConferences),
        Just(Command::GetEncryptionKey),
        info().prop_map(|info| Command::AddConference(Box::new(info))),
        (info(), of(token()))
            .prop_map(|(info, mcu_uri)| Command::ModifyConference(Box::new(ModifyConference { info, mcu_uri }))),
        keys().prop_map(|keys| Command::DeleteConference(DeleteConference { keys })),
        (keys(), of(token()), of(token())).prop_map(|(keys, certificate, mcu_uri)| {
            Command::GetConference(GetConference { keys, certificate, mcu_uri })
        }),
        (token(), participant(), of(token())).prop_map(|(conference, user, mcu_uri)| {
            Command::AddUser(Box::new(AddUser { conference, user, mcu_uri }))
        }),
        (user_keys(), of(token())).prop_map(|(keys, mcu_uri)| Command::DeleteUser(DeleteUser { keys, mcu_uri })),
        (user_keys(), role()).prop_map(|(keys, role)| Command::ModifyUserRoles(ModifyUserRoles { keys, role })),
        lock().prop_map(Command::ModifyConferenceLock),
        endpoint_media().prop_map(|command| Command::ModifyEndpointMedia(Box::new(command))),
        (token(), token()).prop_map(|(conference, user)| Command::EndorseUser(EndorseUser { conference, user })),
        (token(), vec(token(), 1..3), one_of(LobbyAccess::ALL)).prop_map(|(conference, users, access)| {
            Command::SetLobbyAccess(SetLobbyAccess { conference, users, access })
        }),
        users_filters().prop_map(|filters| Command::ModifyUsersMediaFilters(Box::new(filters))),
    ]
    .boxed()
}

fn envelope() -> BoxedStrategy<Envelope> {
    (any::<u64>(), token(), token()).prop_map(|(request_id, from, to)| Envelope { request_id, from, to }).boxed()
}

fn key_values() -> BoxedStrategy<Vec<KeyValue>> {
    vec((token(), token()).prop_map(|(key, value)| KeyValue { key, value }), 0..3).boxed()
}

prop_compose! {
    fn capabilities()(mcu_types in vec(one_of(McuType::ALL), 0..3), default_region in of(token()),
        regions in vec((text(), vec(token(), 0..3)).prop_map(|(name, numbers)| AccessRegion { name, numbers }), 0..3),
    ) -> Capabilities {
        Capabilities { mcu_types, regions, default_region }
    }
}

fn response_body() -> BoxedStrategy<ResponseBody> {
    prop_oneof![
        capabilities().prop_map(ResponseBody::GetConferencingCapabilities),
        info().prop_map(|info| ResponseBody::AddConference(Box::new(info))),
        of(info().prop_map(Box::new)).prop_map(ResponseBody::ModifyConference),
        of(info().prop_map(Box::new)).prop_map(ResponseBody::DeleteConference),
        vec(info(), 0..3).prop_map(ResponseBody::GetConferences),
        info().prop_map(|info| ResponseBody::GetConference(Box::new(info))),
        token().prop_map(ResponseBody::GetEncryptionKey),
        (token(), participant(), key_values()).prop_map(|(conference, user, connection_info)| {
            ResponseBody::AddUser(Box::new(AddedUser { conference, user, connection_info }))
        }),
        Just(ResponseBody::DeleteUser),
        Just(ResponseBody::ModifyUserRoles),
        Just(ResponseBody::ModifyConferenceLock),
        Just(ResponseBody::ModifyEndpointMedia),
        Just(ResponseBody::EndorseUser),
        select(vec![
            ResponseBody::SetLobbyAccess,
            ResponseBody::ModifyUsersMediaFilters,
            ResponseBody::ModifyEndpoint,
            ResponseBody::DeleteEndpoint,
            ResponseBody::AddEndpointMedia,
            ResponseBody::DeleteEndpointMedia,
        ]),
    ]
    .boxed()
}

fn outcome() -> BoxedStrategy<Outcome> {
    let reason = prop_oneof![one_of(FailureReason::ALL), "x-[a-z]{1,5}".prop_map(FailureReason::Unknown)];
    prop_oneof![
        3 => response_body().prop_map(Outcome::Success),
        1 => one_of(Verb::ALL).prop_map(Outcome::Pending),
        1 => (one_of(Verb::ALL), reason, key_values())
            .prop_map(|(verb, reason, details)| Outcome::Failure(Failure { verb, reason, details })),
    ]
    .boxed()
}

prop_compose! {
    fn app_invite()(focus_uri in uri(), subject in of(text()), conversation_id in of(token()), audio in any::<bool>(),
        im in of((any::<bool>(), any::<bool>())
            .prop_map(|(available, first_im)| InstantMessaging { available, first_im }))) -> AppInvite {
        AppInvite { focus_uri, subject, conversation_id, im, audio }
    }
}

/// One change to a document.
#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Delete(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
}

/// Pieces that mean something to a reader of XML.
const FRAGMENTS: [&str; 12] =
    ["<", ">", "/>", "\"", "&", "&#0;", "<!--", "]]>", "<![CDATA[", "<!DOCTYPE x>", "xmlns:ci=\"\"", "\u{FFFD}"];

/// The documents that mutation starts from.
static DOCUMENTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let all = documents("golden/c3p").into_iter().chain(documents("corpus/c3p"));
    all.map(|(_, body)| body).collect()
});

fn mutation() -> BoxedStrategy<Mutation> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<Index>(), 1..40_usize).prop_map(|(at, length)| Mutation::Delete(at, length)),
        (any::<Index>(), vec(any::<u8>(), 1..4)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (any::<Index>(), select(FRAGMENTS.as_slice()).prop_map(|text| text.as_bytes().to_vec()))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (any::<Index>(), 1..200_usize).prop_map(|(at, length)| Mutation::Repeat(at, length)),
    ]
    .boxed()
}

fn apply(body: &mut Vec<u8>, mutation: &Mutation) {
    if body.is_empty() {
        return;
    }
    match mutation {
        Mutation::Set(at, byte) => *at.get_mut(body.as_mut_slice()) = *byte,
        Mutation::Delete(at, length) => {
            let begin = at.index(body.len());
            body.drain(begin..(begin + length).min(body.len()));
        }
        Mutation::Insert(at, bytes) => {
            let begin = at.index(body.len());
            body.splice(begin..begin, bytes.iter().copied());
        }
        Mutation::Repeat(at, length) => {
            let begin = at.index(body.len());
            let piece = body[begin..(begin + length).min(body.len())].to_vec();
            body.splice(begin..begin, piece);
        }
    }
}

/// Reading never panics; what was read is read back from what is printed.
fn check(body: &[u8]) {
    if let Ok(value) = Parsed::read(body) {
        let printed = value.to_xml();
        assert_eq!(Parsed::read(printed.as_bytes()), Ok(value), "{printed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_request_is_read_back_as_it_was(envelope in envelope(), command in command()) {
        let request = Request { envelope, command };
        let printed = request.to_xml();
        prop_assert_eq!(parse_request(printed.as_bytes()), Ok(request), "{}", printed);
    }

    #[test]
    fn a_response_is_read_back_as_it_was(envelope in envelope(), responder in of(token()), outcome in outcome()) {
        let response = Response { envelope, responder, outcome };
        let printed = response.to_xml();
        prop_assert_eq!(parse_response(printed.as_bytes()), Ok(response), "{}", printed);
    }

    #[test]
    fn a_roster_is_read_back_as_it_was(info in info()) {
        let printed = info.to_xml();
        prop_assert_eq!(conference_info::parse(printed.as_bytes()), Ok(info), "{}", printed);
    }

    #[test]
    fn opaque_data_survive_storage(data in opaque()) {
        prop_assert_eq!(OpaqueXml::from_stored(&data.to_stored()), Ok(data));
    }

    #[test]
    fn an_app_invite_is_read_back_as_it_was(invite in app_invite()) {
        let printed = invite.to_xml();
        prop_assert_eq!(AppInvite::parse(printed.as_bytes()), Ok(invite), "{}", printed);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in vec(any::<u8>(), 0..400)) {
        check(&body);
    }

    #[test]
    fn any_text_is_a_uri_or_not(text in text(), tail in "[:;=?&a-z]{0,20}") {
        for candidate in [text.clone(), format!("sip:a@b;opaque=app:conf:{tail}"), format!("conf:{text}{tail}")] {
            if let Ok(uri) = ConferenceUri::parse(&candidate) {
                prop_assert_eq!(ConferenceUri::parse(&uri.to_string()), Ok(uri));
            }
            let _ = uri::conference_key(&candidate);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

    #[test]
    fn mutated_documents_are_read_or_refused(document in any::<Index>(), changes in vec(mutation(), 1..4)) {
        let mut body = document.get(DOCUMENTS.as_slice()).clone();
        changes.iter().for_each(|change| apply(&mut body, change));
        check(&body);
    }
}
