//! Documents that are wrong, by accident or on purpose, and those that are merely written differently.

mod common;

use c3p::{Command, Diagnostic, ErrorKind, FailureReason, Limit, MediaFilter, Outcome, Verb, parse_request};
use common::{FOCUS, Parsed, documents};

fn request(command: &str) -> String {
    format!(
        "<request xmlns='urn:ietf:params:xml:ns:cccp' xmlns:ci='urn:ietf:params:xml:ns:conference-info' \
         xmlns:mscp='http://schemas.microsoft.com/rtc/2005/08/cccpextensions' \
         xmlns:msci='http://schemas.microsoft.com/rtc/2005/08/confinfoextensions' \
         C3PVersion='1' requestId='5' from='sip:bob@example.com' to='{FOCUS}'>{command}</request>"
    )
}

fn add_user(attributes: &str, user: &str) -> String {
    request(&format!("<addUser {attributes}><conferenceKeys confEntity='{FOCUS}'/>{user}</addUser>"))
}

fn refused(body: impl AsRef<[u8]>) -> ErrorKind {
    match parse_request(body.as_ref()) {
        Ok(request) => panic!("it was accepted: {request:?}"),
        Err(error) => error.kind,
    }
}

#[test]
fn the_corpus_is_answered_and_not_obeyed() {
    for (file, body) in documents("corpus/c3p") {
        let accepted = Parsed::read(&body);
        assert_eq!(accepted.is_ok(), file == "cdata.xml", "{file}: {accepted:?}");
        if let Ok(value) = accepted {
            assert_eq!(Parsed::read(value.to_xml().as_bytes()), Ok(value), "{file}");
        }
    }
}

#[test]
fn a_document_type_is_refused_whatever_it_says() {
    for (file, body) in documents("corpus/c3p") {
        if body.starts_with(b"<!DOCTYPE") {
            assert!(
                matches!(refused(&body), ErrorKind::NotXml { why: "a document type is not allowed", .. }),
                "{file}"
            );
        }
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let attributes: String = (0..50_000).map(|i| format!(" a{i}=''")).collect();
    assert_eq!(refused(request(&format!("<getConferences{attributes}/>"))), ErrorKind::Limit(Limit::Body));
    let attributes: String = (0..20_000).map(|i| format!(" a{i}=''")).collect();
    assert_eq!(refused(request(&format!("<getConferences{attributes}/>"))), ErrorKind::Limit(Limit::Attributes));
    let declarations: String = (0..10_000).map(|i| format!(" xmlns:a{i}='u'")).collect();
    assert_eq!(refused(request(&format!("<getConferences{declarations}/>"))), ErrorKind::Limit(Limit::Namespaces));
    let nested = "<a>".repeat(80_000);
    assert_eq!(refused(nested), ErrorKind::Limit(Limit::Depth));
    let long = "x".repeat(5_000);
    assert_eq!(refused(add_user("", &format!("<ci:user entity='sip:{long}'/>"))), ErrorKind::Limit(Limit::Value));
    let text = format!("<ci:user entity='sip:b@example.com'><ci:display-text>{long}</ci:display-text></ci:user>");
    assert_eq!(refused(add_user("", &text)), ErrorKind::Limit(Limit::Value));
    let references = format!("<ci:user entity='{}'/>", "&amp;".repeat(5_000));
    assert_eq!(refused(add_user("", &references)), ErrorKind::Limit(Limit::Value));
    assert_eq!(refused(request(&"<b/>".repeat(20_000))), ErrorKind::Limit(Limit::Count));
}

/// It could not be printed again so that it is read.
#[test]
fn a_namespace_that_is_no_uri_is_refused() {
    for namespace in ["&gt;urn:x", ">urn:x", "urn:x\"", "urn:\tx", "urn:\nx"] {
        let body = request(&format!("<deleteUser xmlns:x='{namespace}'/>"));
        assert!(matches!(refused(&body), ErrorKind::NotXml { .. }), "{namespace:?}");
    }
}

#[test]
fn what_is_not_a_request_says_so() {
    let good = request("<getConferences/>");
    assert!(parse_request(good.as_bytes()).is_ok());
    let cases = [
        ("root", good.replace("request", "demand")),
        ("namespace", good.replace("ns:cccp", "ns:CCCP")),
        ("no namespace", good.replace("xmlns='urn:ietf:params:xml:ns:cccp'", "")),
        ("requestId missing", good.replace("requestId", "id")),
        ("requestId empty", good.replace("'5'", "''")),
        ("requestId negative", good.replace("'5'", "'-5'")),
        ("requestId signed", good.replace("'5'", "'+5'")),
        ("requestId too large", good.replace("'5'", "'18446744073709551616'")),
        ("requestId in a namespace", good.replace("requestId", "ci:requestId")),
        ("from missing", good.replace("from=", "form=")),
        ("to missing", good.replace("to=", "too=")),
        ("another version", good.replace("C3PVersion='1'", "C3PVersion='2'")),
        ("two commands", request("<getConferences/><getConferences/>")),
        ("no command", request("")),
        ("command elsewhere", request("<ci:getConferences/>")),
        ("command with a strange name", request("<get\u{e4}/>")),
    ];
    for (case, body) in cases {
        assert!(matches!(refused(&body), ErrorKind::NotC3p { .. }), "{case}");
        assert_eq!(parse_request(body.as_bytes()).map_err(|error| error.diagnostic()), Err(Diagnostic::NotParseable));
    }
}

#[test]
fn an_unknown_command_can_be_answered() {
    let error = parse_request(request("<getAvailableMcuTypes/>").as_bytes()).expect_err("it is unknown");
    assert_eq!(error.kind, ErrorKind::UnknownCommand);
    assert_eq!((error.diagnostic().id(), error.diagnostic().is_public()), (3004, true));
    assert_eq!(error.command.as_deref(), Some("getAvailableMcuTypes"));
    assert_eq!(
        error.failure_response().as_deref(),
        Some(
            "<response xmlns=\"urn:ietf:params:xml:ns:cccp\" C3PVersion=\"1\" requestId=\"5\" \
             from=\"sip:ann@example.com;gruu;opaque=app:conf:focus:id:K3V9PX2Q\" to=\"sip:bob@example.com\" \
             code=\"failure\"><getAvailableMcuTypes reason=\"notSupported\"/></response>"
        )
    );
}

#[test]
fn a_wrong_body_names_its_diagnostic() {
    let endpoint = |attributes: &str, content: &str| {
        add_user(
            "",
            &format!("<ci:user entity='sip:b@example.com'><ci:endpoint {attributes}>{content}</ci:endpoint></ci:user>"),
        )
    };
    let entity = "entity='{1}'";
    let media = "<modifyEndpointMedia><mediaKeys confEntity='x' userEntity='y' endpointEntity='z' mediaId='1'/>";
    let cases = [
        (3002, add_user("", "")),
        (3002, add_user("", "<ci:user/>")),
        (3002, add_user("", "<ci:user entity='bob'/>")),
        (3002, add_user("", "<ci:user entity='sip:b@example.com'/><ci:user entity='sip:c@example.com'/>")),
        (3002, add_user("", "<user entity='sip:b@example.com'/>")),
        (3003, request("<addUser><ci:user entity='sip:b@example.com'/></addUser>")),
        (3003, request("<addUser><conferenceKeys/><ci:user entity='sip:b@example.com'/></addUser>")),
        (3003, request("<deleteConference/>")),
        (3007, endpoint(entity, "<ci:media><ci:type>audio</ci:type></ci:media>")),
        (3007, endpoint(&format!("{entity} msci:endpoint-uri='bob'"), "")),
        (3007, endpoint(&format!("{entity} msci:refer-to-uri='http://example.com'"), "")),
        (
            3007,
            add_user(
                "",
                "<ci:user entity='sip:b@example.com'><ci:endpoint entity='1'/><ci:endpoint entity='2'/></ci:user>",
            ),
        ),
        (3008, endpoint(entity, "<msci:authMethod>enterprise</msci:authMethod>")),
        (3009, endpoint("", "")),
        (3009, endpoint("entity='two words'", "")),
        (
            3016,
            add_user(
                "",
                "<ci:user entity='sip:b@example.com'><ci:roles><ci:entry>king</ci:entry></ci:roles></ci:user>",
            ),
        ),
        (3016, add_user("", "<ci:user entity='sip:b@example.com'><ci:roles/><ci:roles/></ci:user>")),
        (3016, request("<modifyUserRoles><userKeys confEntity='x' userEntity='y'/></modifyUserRoles>")),
        (3018, endpoint(entity, "<ci:joining-method>walked-in</ci:joining-method>")),
        (
            3018,
            endpoint(
                entity,
                "<ci:joining-method>dialed-in</ci:joining-method><ci:joining-method>dialed-out</ci:joining-method>",
            ),
        ),
        (3005, request("<getConferences mscp:mcuUri='sip:m@example.com'/>")),
        (3006, request("<addConference/>")),
        (
            3006,
            request(
                "<modifyConferenceLock><conferenceKeys confEntity='x'/><locked>maybe</locked></modifyConferenceLock>",
            ),
        ),
        (3006, request(&format!("{media}<ci:media id='2'/></modifyEndpointMedia>"))),
    ];
    for (id, body) in cases {
        let error = parse_request(body.as_bytes()).expect_err(&body);
        assert!(matches!(error.kind, ErrorKind::BadElement(_)), "{body}: {error}");
        assert_eq!(error.diagnostic().id(), id, "{body}: {error}");
        let answer = error.failure_response().expect("the envelope is readable");
        let answer = c3p::parse_response(answer.as_bytes()).expect("our own answer");
        assert!(matches!(answer.outcome, Outcome::Failure(_)));
    }
}

#[test]
fn an_unknown_admission_policy_has_a_reason_of_its_own() {
    let body = request(
        "<addConference><ci:conference-info><ci:conference-description>\
         <msci:admission-policy>everybody</msci:admission-policy>\
         </ci:conference-description></ci:conference-info></addConference>",
    );
    let error = parse_request(body.as_bytes()).expect_err("no such policy");
    assert_eq!(error.reason(), FailureReason::InvalidAdmissionPolicy);
}

#[test]
fn both_spellings_of_the_mcu_uri_are_read_and_one_is_written() {
    for attributes in ["mcuUri='sip:m@example.com'", "mscp:mcuUri='sip:m@example.com'"] {
        let body = add_user(attributes, "<ci:user entity='sip:b@example.com'/>");
        let request = parse_request(body.as_bytes()).expect("valid");
        assert_eq!(request.command.mcu_uri(), Some("sip:m@example.com"));
        assert!(request.to_xml().contains(" mscp:mcuUri=\"sip:m@example.com\""));
    }
}

#[test]
fn what_is_unknown_is_skipped() {
    let body = request(&format!(
        "<ci:separator xmlns:ci='urn:ietf:params:xml:ns:conference-info-separator'/>\
         <deleteUser xmlns:x='urn:example' x:mcuUri='sip:m@example.com' colour='red'><x:userKeys confEntity='no'/>\
         <userKeys confEntity='{FOCUS}' userEntity='sip:bob@example.com' x:userEntity='no'><more/></userKeys>\
         <surprise><userKeys/></surprise></deleteUser>"
    ));
    let Command::DeleteUser(command) = parse_request(body.as_bytes()).expect("valid").command else { panic!() };
    assert_eq!((command.keys.conference.as_str(), command.keys.user.as_str()), (FOCUS, "sip:bob@example.com"));
    assert_eq!(command.mcu_uri, None);
}

#[test]
fn mute_all_without_an_mcu_uri_and_with_the_other_namespace() {
    let body = request(
        "<modifyConference><ci:conference-info entity='f' state='partial'><msci:conference-view state='partial'>\
         <msci:entity-view state='partial' entity='sip:m@example.com'><msci:entity-state>\
         <mediaFiltersRules xmlns='http://schemas.microsoft.com/rtc/2005/08/avconfinfoextensions'><initialFilters>\
         <role>default</role><ingressFilter> unblock </ingressFilter></initialFilters></mediaFiltersRules>\
         </msci:entity-state></msci:entity-view></msci:conference-view></ci:conference-info></modifyConference>",
    );
    let Command::ModifyConference(command) = parse_request(body.as_bytes()).expect("valid").command else { panic!() };
    let all = command.mute_all().expect("it mutes or unmutes all");
    assert_eq!((all.mcu_uri, all.ingress), ("sip:m@example.com", MediaFilter::Unblock));
}

#[test]
fn a_response_without_a_verdict_is_refused() {
    let response = |code: &str| {
        format!(
            "<response xmlns='urn:ietf:params:xml:ns:cccp' requestId='1' from='a' to='b' {code}><addUser/></response>"
        )
    };
    assert!(c3p::parse_response(response("").as_bytes()).is_err());
    assert!(c3p::parse_response(response("code='maybe'").as_bytes()).is_err());
    // Success must say who is in.
    assert!(c3p::parse_response(response("code='success'").as_bytes()).is_err());
    let failed = c3p::parse_response(response("code='failure'").as_bytes()).expect("a reason is not compulsory");
    assert_eq!(failed.outcome, Outcome::failure(Verb::AddUser, FailureReason::OtherFailure));
}

#[test]
fn what_xml_cannot_carry_does_not_break_a_document() {
    let mut user = c3p::conference_info::User::new("sip:b@example.com", c3p::State::Full);
    user.display_text = Some("a\u{0}b\u{1b}[31m]]><!--\u{FFFE}".into());
    let info = c3p::conference_info::ConferenceInfo::partial(FOCUS, vec![user]);
    let read = c3p::conference_info::parse(info.prepare().with_version(7).as_bytes()).expect("well-formed");
    let text = read.users.and_then(|users| users.users[0].display_text.clone());
    assert_eq!(text.as_deref(), Some("a\u{FFFD}b\u{FFFD}[31m]]><!--\u{FFFD}"));
}
