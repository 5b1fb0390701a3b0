//! C3P documents. What was read can be printed, and what was printed reads the same.

use c3p::{AppInvite, ConferenceUri, conference_info, parse_request, parse_response};
use fuzz::target;

const WORDS: &[&str] = &[
    "<!ENTITY a \"b\">",
    "<!DOCTYPE x>",
    "&a;",
    "&#x41;",
    "&#0;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?xml version=\"1.0\"?>",
    " xmlns=\"urn:ietf:params:xml:ns:cccp\"",
    " xmlns:x=\"urn:ietf:params:xml:ns:conference-info\"",
    " requestId=\"1\"",
    "<addUser>",
    "</addUser>",
    "<user/>",
    "true",
    "sip:ann@example.com;gruu;opaque=app:conf:focus:id:1",
];

#[test]
fn request() {
    target("c3p").files("golden/c3p").words(WORDS).rounds(6_000).run(|bytes| {
        let Ok(request) = parse_request(bytes) else { return };
        let printed = request.to_xml();
        assert_eq!(parse_request(printed.as_bytes()).as_ref(), Ok(&request), "{printed}");
    });
}

#[test]
fn response() {
    target("c3p-response").files("golden/c3p").words(WORDS).rounds(6_000).run(|bytes| {
        let Ok(response) = parse_response(bytes) else { return };
        let printed = response.to_xml();
        assert_eq!(parse_response(printed.as_bytes()).as_ref(), Ok(&response), "{printed}");
    });
}

#[test]
fn info() {
    target("conference-info").files("golden/c3p").words(WORDS).rounds(6_000).run(|bytes| {
        let Ok(info) = conference_info::parse(bytes) else { return };
        let printed = info.to_xml();
        assert_eq!(conference_info::parse(printed.as_bytes()).as_ref(), Ok(&info), "{printed}");
    });
}

#[test]
fn invitation() {
    target("app-invite").files("golden/c3p").words(WORDS).rounds(6_000).run(|bytes| {
        let Ok(invitation) = AppInvite::parse(bytes) else { return };
        let printed = invitation.to_xml();
        assert_eq!(AppInvite::parse(printed.as_bytes()).as_ref(), Ok(&invitation), "{printed}");
    });
}

#[test]
fn uri() {
    let seeds = [
        "sip:ann@example.com;gruu;opaque=app:conf:focus:id:6E1Q",
        "sip:ann@example.com;gruu;opaque=app:conf:audio-video:id:6E1Q",
        "sip:ann@example.com;gruu;opaque=app:conf:focusfactory",
    ];
    target("conference-uri").seeds(seeds).words(WORDS).rounds(60_000).largest(500).run_text(|text| {
        let _maybe = (ConferenceUri::parse(text), c3p::uri::conference_key(text));
    });
}
