//! Keys of what is spoken with others: SIP and HTTP.

use crate::config::key::Kind::{List, Plain, Text};
use crate::config::key::{Section, key};

/// `[sip]`.
pub(super) const SIP: Section = Section {
    name: "sip",
    is_list: false,
    about: "SIP: phones, C3P clients and trunks.",
    keys: &[
        key(
            "listen",
            List,
            Some(r#"["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]"#),
            r#"["udp:192.0.2.10:5060", "tcp:192.0.2.10:5060", "tls:192.0.2.10:5061"]"#,
            "Addresses to listen on: udp:, tcp: or tls:, an IP address (IPv6 in brackets), a port. At least one.\nA tls: address needs [sip.tls]. 0.0.0.0 and [::] listen on every address of the machine.",
        ),
        key(
            "advertised",
            Text,
            None,
            r#""198.51.100.10""#,
            "Host name or IP address told to peers in Via and Contact, when they reach the server at another one (behind\naddress translation, which must keep the ports). It also means this server in what they call. Without one, the\naddress a peer's packets come to.",
        ),
        key(
            "host_names",
            List,
            Some("[]"),
            r#"["sip.voice.example.com"]"#,
            "Further host names and IP addresses that mean this server behind the @ of what is called: sip:1000@sip.voice...\n`domain`, `advertised`, localhost and the addresses listened on always do; for 0.0.0.0 and [::] that is every\naddress the machine has at start.",
        ),
        key(
            "dscp",
            Plain,
            None,
            "24",
            "Differentiated services code point of SIP packets, 0 to 63. Without one, the operating system's.",
        ),
        key(
            "external_calls",
            Plain,
            Some("false"),
            "false",
            "Whether users may call addresses of other domains (sip:somebody@elsewhere.example), which are found by DNS. Calls from\nthere are not taken. A domain that ends at a telephone gateway lets them dial past the lists of your trunks.",
        ),
        key(
            "session_expires_seconds",
            Plain,
            Some("1800"),
            "1800",
            "Session interval asked for and granted, 90 to 7200 seconds (RFC 4028): how long a call or a client of a conference\nthat vanished without a word is believed in.",
        ),
        key(
            "subscription_seconds",
            Plain,
            Some("3600"),
            "3600",
            "Longest time a subscription is granted, 60 to 86400 seconds; clients ask again before it is over.",
        ),
        key(
            "calls_per_account",
            Plain,
            Some("200"),
            "200",
            "Calls one account may have at once to this server, 1 to 100000, whatever they are for; those that ended less than two\nseconds ago still count, since their media ports do. One more is answered 486.",
        ),
        key(
            "calls_per_source",
            Plain,
            Some("500"),
            "500",
            "The same of all callers without an account at one IP address (IPv6: in one /64 network); one more is answered 503.\nTrunks with `trusted` are not bounded, neither by this nor by the next two.",
        ),
        key(
            "unanswered_per_account",
            Plain,
            Some("50"),
            "50",
            "How many of an account's calls may wait for an answer (also ring) at once, 1 to 100000; one more is answered 486.",
        ),
        key(
            "unanswered_per_source",
            Plain,
            Some("200"),
            "200",
            "The same of callers without an account at one IP address; one more is answered 503.",
        ),
    ],
};

/// `[sip.tls]`.
pub(super) const TLS: Section = Section {
    name: "sip.tls",
    is_list: false,
    about: "TLS for SIP. Without this section no tls: address can be listened on.",
    keys: &[
        key(
            "certificate",
            Text,
            None,
            r#""/etc/convoke/tls/fullchain.pem""#,
            "File of the server's certificate and its chain, PEM. It must name the domain. Required in this section.",
        ),
        key(
            "key",
            Text,
            None,
            r#""/etc/convoke/tls/key.pem""#,
            "File of the certificate's private key, PEM. Required in this section.",
        ),
        key(
            "client_ca",
            Text,
            None,
            r#""/etc/convoke/tls/clients.pem""#,
            "File of authorities whose client certificates are believed, PEM. A client that shows one of them need not give a\npassword for the user its certificate names; one that shows another is refused; one that shows none gives its\npassword, unless client_required. Without this key, no client is asked for a certificate.",
        ),
        key(
            "client_required",
            Plain,
            None,
            "false",
            "Whether a client that shows no certificate is refused by TLS, trunks included. Needs client_ca; without this\nkey, it is not. Most phones have none: where all of them do, true keeps others from even trying passwords.",
        ),
        key(
            "server_ca",
            Text,
            None,
            r#""/etc/convoke/tls/servers.pem""#,
            "File of authorities believed when the server itself connects by TLS, PEM. Without one, the system's.",
        ),
    ],
};

/// `[http]`.
pub(super) const HTTP: Section = Section {
    name: "http",
    is_list: false,
    about: "HTTP: the web page, the API, health and metrics.",
    keys: &[
        key(
            "listen",
            Text,
            Some(r#""127.0.0.1:8080""#),
            r#""127.0.0.1:8080""#,
            "IP address and port. HTTP is spoken without TLS: stay on loopback behind a reverse proxy that ends TLS.",
        ),
        key(
            "request_seconds",
            Plain,
            Some("10"),
            "10",
            "Seconds a client may take for the head of a request, and as many for its body, 1 to 300; then its connection\nis closed. So is one that stays open without a further request.",
        ),
        key(
            "connections",
            Plain,
            Some("1000"),
            "1000",
            "Open connections in all, 1 to 100000; a further one is closed at once. Each needs a file descriptor.",
        ),
        key(
            "connections_per_source",
            Plain,
            Some("100"),
            "1000",
            "The same of one address, at most `connections`. Behind a reverse proxy all come from its address.",
        ),
    ],
};
