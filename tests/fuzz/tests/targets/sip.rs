//! SIP: messages, streams, header values, URIs.

use base::UserUri;
use fuzz::target;
use sip_api::{Headers, Method, NameAddr, Request, SipUri};

const WORDS: &[&str] = &[
    "\r\n\r\n",
    "\r\n ",
    "Content-Length: 0\r\n",
    "l: 5\r\n",
    "CSeq: 1 INVITE\r\n",
    "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n",
    "Require: 100rel\r\n",
    "Max-Forwards: 0\r\n",
    "Contact: *\r\n",
    "SIP/2.0",
    "z9hG4bK",
    ";branch=",
    ";tag=",
    ";rport",
    ";received=",
    ";maddr=",
    ";lr",
    "sip:",
    "sips:",
    "tel:+",
    "[::1]",
    "[2001:db8:::1]",
    "%00",
    "\\\"",
    ", ",
];

const URIS: &[&str] = &[
    "sip:ann@example.com",
    "sips:ann:secret@[2001:db8::7]:5061;transport=tls;lr?Replaces=a%40b&x=y",
    "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
    "tel:+49-30-1234567;ext=12;phone-context=+49",
    "sip:ann@example.com;gruu;opaque=app:conf:audio-video:id:6E1Q",
];

#[test]
fn message() {
    target("sip-message").files("golden/sip").words(WORDS).run(sip::fuzz::datagram);
}

#[test]
fn stream() {
    let two = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 3\r\n\r\nabc\r\n\r\nMESSAGE sip:a@b SIP/2.0\r\nl: 0\r\n\r\n";
    target("sip-stream").files("golden/sip").seeds([two]).words(WORDS).rounds(1_500).run(sip::fuzz::stream);
}

#[test]
fn uri() {
    target("sip-uri").seeds(URIS).words(WORDS).rounds(100_000).largest(500).run_text(|text| {
        let Ok(uri) = SipUri::parse(text) else { return };
        assert_eq!(SipUri::parse(&uri.to_string()).as_ref(), Ok(&uri), "printed {uri}");
        let _maybe = UserUri::parse(text).map(|user| user.address_of_record());
        let _plain = uri.address_of_record().to_string();
    });
}

#[test]
fn name_addr() {
    let seeds = [
        "\"Ann \\\"the voice\\\" Lee\" <sip:ann@example.com;lr>;tag=1;+sip.instance=\"<urn:uuid:1>\"",
        "Ann Lee <sip:ann@example.com>",
        "sip:ann@example.com;tag=7",
        "<tel:+4930123>;q=0.5",
    ];
    target("name-addr").seeds(seeds).seeds(URIS).words(WORDS).rounds(100_000).largest(500).run_text(|text| {
        let Ok(address) = NameAddr::parse(text) else { return };
        let printed = address.to_string();
        let again = NameAddr::parse(&printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
        assert_eq!((again.uri, again.params), (address.uri, address.params), "{printed}");
    });
}

#[test]
fn address() {
    let seeds = ["<http://www.example.com>;tag=3234233", "\"Watson\" <sip:t.watson@example.org>;tag=2"];
    target("from-to").seeds(seeds).seeds(URIS).words(WORDS).rounds(100_000).largest(500).run_text(sip::fuzz::address);
}

#[test]
fn via() {
    let seeds = [
        "SIP / 2.0 / UDP first.example.com: 4000;ttl=16;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
        "SIP/2.0/TLS [2001:db8::9:1]:5061;rport;branch=z9hG4bK1;received=[2001:db8::9:255]",
    ];
    target("via").seeds(seeds).words(WORDS).rounds(100_000).largest(500).run_text(sip::fuzz::via);
}

#[test]
fn headers() {
    let seeds = ["<sip:a@b>, \"C, D\" <sip:c@d;p=1,2>;q=0.1", "1800;refresher=uac", "timer, 100rel", "presence;id=7"];
    target("headers").seeds(seeds).words(WORDS).rounds(60_000).largest(500).run_text(|text| {
        let headers = Headers::new().with("Contact", text).with("m", text).with("CSeq", text).with("RAck", text);
        let _values = (headers.values("Contact"), headers.name_addrs("m"), headers.has_token("Contact", "timer"));
        let _parameter = sip_api::header_parameter(text, "refresher");
        let mut request = Request::new(Method::parse(text), SipUri::sip(None, "example.com", None));
        request.headers = headers;
        let _typed = (request.cseq(), request.call_id(), request.method.as_str());
    });
}

#[test]
fn digest() {
    let seeds = [
        "Digest username=\"ann\", realm=\"example.com\", nonce=\"0000000011111111aaaaaaaaaaaaaaaa\", uri=\"sip:b\", \
         algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\", response=\"00\"",
        "Digest username=\"Mufasa\",realm=\"example.com\",nc=00000001,qop=auth,algorithm=MD5,opaque=\"\\\"\"",
    ];
    target("digest").seeds(seeds).words(WORDS).largest(1_000).run_text(sip::fuzz::credentials);
}

#[test]
fn refer_to() {
    let seeds = ["<sip:bob@example.com;method=INVITE>", "<sip:bob@example.com?Replaces=1%40x%3Bto-tag%3Da>"];
    target("refer-to").seeds(seeds).seeds(URIS).words(WORDS).rounds(60_000).largest(500).run_text(|text| {
        let headers = Headers::new().with("Refer-To", text).with("Referred-By", text);
        for address in headers.name_addrs("Refer-To").unwrap_or_default() {
            let _read = (address.uri.param("method"), address.uri.headers.as_deref());
            let _person = UserUri::parse(&address.uri.to_string());
        }
    });
}
