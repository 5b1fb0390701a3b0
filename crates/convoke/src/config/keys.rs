//! The table of all keys: what each means, its default and a production value.

use Kind::{List, Plain, Secret, Text};

/// A section of the file.
pub(super) struct Section {
    /// Dotted, as in the file; empty for the keys before the first section.
    pub(super) name: &'static str,
    /// Whether it is an entry that may stand many times, in double brackets.
    pub(super) is_list: bool,
    pub(super) about: &'static str,
    pub(super) keys: &'static [Key],
}

impl Section {
    /// The line the section begins with.
    pub(super) fn header(&self) -> String {
        if self.is_list { format!("[[{}]]", self.name) } else { format!("[{}]", self.name) }
    }
}

/// A key of a section.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// As TOML; `None` when there is none.
    pub(super) default: Option<&'static str>,
    /// A sane production value, as TOML.
    pub(super) production: &'static str,
    /// What it is, its range and what it works together with.
    pub(super) about: &'static str,
}

/// What stands behind a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A text that is never shown.
    Secret,
    /// A number or a truth value.
    Plain,
    List,
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    production: &'static str,
    about: &'static str,
) -> Key {
    Key { name, kind, default, production, about }
}

/// Keys of the contract that this version does not serve yet.
pub(super) const RESERVED: [&str; 2] = ["cluster", "response_group"];

/// Every section, in the order of the reference.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "",
        is_list: false,
        about: "",
        keys: &[
            key(
                "data_dir",
                Text,
                Some(r#""convoke-data""#),
                r#""/var/lib/convoke""#,
                "Directory of the database; made if it is missing. A relative path starts where the server was started.",
            ),
            key(
                "domain",
                Text,
                Some(r#""localhost""#),
                r#""voice.example.com""#,
                "The SIP domain: what stands behind the @ of every user and conference, and the realm of the passwords.\nA host name or an IP address, without a port. Every [[user]] uri must end in it.",
            ),
            key(
                "caller_number",
                Text,
                None,
                r#""+4930123450""#,
                "The number called telephones see: + and 7 to 15 digits. Your trunk's provider must have given it to you.\nWithout one, telephones see an anonymous call.",
            ),
            key(
                "drain_seconds",
                Plain,
                Some("3600"),
                "3600",
                "Seconds running conferences may go on after SIGTERM, 0 to 86400. A second signal stops at once.\nA service manager's own stop timeout must be longer.",
            ),
        ],
    },
    Section {
        name: "sip",
        is_list: false,
        about: "SIP: phones, C3P clients and trunks.",
        keys: &[
            key(
                "listen",
                List,
                Some(r#"["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]"#),
                r#"["udp:192.0.2.10:5060", "tcp:192.0.2.10:5060", "tls:192.0.2.10:5061"]"#,
                "Addresses to listen on: udp:, tcp: or tls:, an IP address (IPv6 in brackets), a port. At least one.\nA tls: address needs [sip.tls].",
            ),
            key(
                "dscp",
                Plain,
                None,
                "24",
                "Differentiated services code point of SIP packets, 0 to 63. Without one, the operating system's.",
            ),
        ],
    },
    Section {
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
                "File of authorities whose client certificates are demanded, PEM. Without one, clients need no certificate.",
            ),
            key(
                "server_ca",
                Text,
                None,
                r#""/etc/convoke/tls/servers.pem""#,
                "File of authorities believed when the server itself connects by TLS, PEM. Without one, the system's.",
            ),
        ],
    },
    Section {
        name: "http",
        is_list: false,
        about: "HTTP: the web page, the API, health and metrics.",
        keys: &[key(
            "listen",
            Text,
            Some(r#""127.0.0.1:8080""#),
            r#""127.0.0.1:8080""#,
            "IP address and port. HTTP is spoken without TLS: stay on loopback behind a reverse proxy that ends TLS.",
        )],
    },
    Section {
        name: "media",
        is_list: false,
        about: "RTP, and what people hear beside each other.",
        keys: &[
            key(
                "address",
                Text,
                Some(r#""127.0.0.1""#),
                r#""192.0.2.10""#,
                "IP address RTP is received on. \"0.0.0.0\" needs `advertised`.",
            ),
            key(
                "advertised",
                Text,
                None,
                r#""198.51.100.10""#,
                "IP address told to phones, when it is another one (behind address translation). Without one, `address`.",
            ),
            key(
                "ports",
                Text,
                Some(r#""20000-21999""#),
                r#""20000-29999""#,
                "UDP ports for RTP and RTCP, first-last: an even first port from 1024, an odd last one. Two ports serve one leg,\nand need two file descriptors (see LimitNOFILE or ulimit -Hn). Open them in the firewall.",
            ),
            key("workers", Plain, None, "4", "Threads that mix, 1 to 256. Without a number, one for each core."),
            key(
                "dscp",
                Plain,
                Some("46"),
                "46",
                "Differentiated services code point of RTP packets, 0 to 63; 46 is expedited forwarding (RFC 3246).",
            ),
            key(
                "srtp",
                Text,
                Some(r#""support""#),
                r#""support""#,
                "Encryption of media: \"off\", \"support\" (whoever offers it gets it) or \"require\". The keys travel in SIP:\nthey are only secret if SIP goes by TLS.",
            ),
            key(
                "music_when_alone",
                Plain,
                Some("true"),
                "true",
                "Whether somebody who is alone in a conference hears music; else silence.",
            ),
            key(
                "entry_exit_tones",
                Plain,
                Some("true"),
                "true",
                "Whether a tone is heard when somebody enters or leaves.",
            ),
            key(
                "language",
                Text,
                Some(r#""en""#),
                r#""de""#,
                "Language of what the server says to those who enter a PIN, are muted or see a conference end: \"en\" or \"de\".\nEmpty: it beeps.",
            ),
            key(
                "prompts_dir",
                Text,
                None,
                r#""/etc/convoke/prompts""#,
                "Directory of sound files that announcements and music on hold name: 16-bit WAVE or Ogg/Opus, at most ten\nminutes and 64 MiB each. Nothing outside it is read.",
            ),
            key(
                "recordings_dir",
                Text,
                None,
                r#""/var/lib/convoke/recordings""#,
                "Directory recordings are written to; made if it is missing. Needed by every [[conference]] with `record`.",
            ),
            key(
                "automatic_level",
                Plain,
                Some("true"),
                "true",
                "Whether quiet voices are made louder (up to 12 dB) and loud ones quieter (up to 9 dB), over seconds.",
            ),
        ],
    },
    Section {
        name: "database",
        is_list: false,
        about: "Where conferences and call detail records last.",
        keys: &[key(
            "url",
            Text,
            None,
            r#""sqlite:/var/lib/convoke/convoke.db""#,
            "sqlite: and a path on a local disk. Without one, convoke.db in `data_dir`.",
        )],
    },
    Section {
        name: "user",
        is_list: true,
        about: "An account; repeat for each. There is none by default.",
        keys: &[
            key(
                "uri",
                Text,
                None,
                r#""sip:ann@voice.example.com""#,
                "SIP URI; it ends in `domain`. Required, once only.",
            ),
            key(
                "password",
                Secret,
                None,
                r#""replace-this-with-a-long-one""#,
                "Password for SIP digest authentication, at least 8 characters. Required. Keep the file from others (chmod 600).",
            ),
            key("display_name", Text, None, r#""Ann Miller""#, "The name others see. Without one, the URI."),
            key(
                "location_profile",
                Text,
                None,
                r#""default""#,
                "Name of the [[location_profile]] for what this user dials. Without one, the profile named default.",
            ),
            key(
                "number",
                Text,
                None,
                r#""+4930123451""#,
                "The user's own number, by which he is called inside: + and 7 to 15 digits, or 1 to 15 digits for an extension.\nOnce only, among conferences as well.",
            ),
            key(
                "role",
                Text,
                Some(r#""user""#),
                r#""user""#,
                "\"user\" or \"operator\". This version gives both the same rights.",
            ),
        ],
    },
    Section {
        name: "user.routing",
        is_list: false,
        about: "What is done with calls for the user above; conferences that call him follow it, response groups do not.\n# A place is the sip: address of a [[user]] or a number, which goes through his location_profile. What he changes\n# at run time (PUT /api/v1/users/URI/routing) counts until this section is changed.",
        keys: &[
            key(
                "simultaneous_ring",
                Text,
                None,
                r#""+14255550122""#,
                "A place that rings together with his devices. A telephone that answers within 1.5 seconds is a mailbox and\nis left out.",
            ),
            key("forward_always", Text, None, r#""+14255550123""#, "Where every call goes at once."),
            key(
                "forward_no_answer",
                Text,
                None,
                r#""+14255550123""#,
                "Where calls go that nobody answers for ring_seconds, or that find no registered device.",
            ),
            key(
                "forward_busy",
                Text,
                None,
                r#""+14255550123""#,
                "Where calls go that find him busy, that he declines, or that come while he is not to be disturbed.",
            ),
            key(
                "ring_seconds",
                Plain,
                Some("18"),
                "18",
                "Seconds before a call goes to forward_no_answer or voicemail, 1 to 180. Without either, it rings on.",
            ),
            key(
                "team",
                List,
                Some("[]"),
                "[]",
                "Users who ring as well, as in [\"sip:carol@voice.example.com\"]; at most 10.",
            ),
            key(
                "team_delay_seconds",
                Plain,
                Some("0"),
                "10",
                "Seconds after which the team joins in, 0 to 60; fewer than ring_seconds.",
            ),
            key(
                "delegates",
                List,
                Some("[]"),
                "[]",
                "Users who answer for him and ring at once, as in [\"sip:dave@voice.example.com\"]; at most 10.",
            ),
            key(
                "delegates_only",
                Plain,
                Some("false"),
                "false",
                "Only the delegates ring, not he. He then gets no calls of response groups, and neither do they for him.",
            ),
            key(
                "voicemail",
                Text,
                None,
                r#""+14255550124""#,
                "His mailbox: where calls go that no other key sends elsewhere.",
            ),
            key(
                "do_not_disturb",
                Plain,
                Some("false"),
                "false",
                "His own devices do not ring, nor does his team; delegates do.",
            ),
        ],
    },
    Section {
        name: "conference",
        is_list: true,
        about: "A permanent conference; repeat for each. It is reached by calling sip:NUMBER@DOMAIN.",
        keys: &[
            key(
                "number",
                Text,
                None,
                r#""7000""#,
                "1 to 15 digits, in quotes. Required, once only, among users as well.",
            ),
            key(
                "pin",
                Secret,
                None,
                r#""402817""#,
                "3 to 24 digits, in quotes, asked from callers without an account. Without one, nobody is asked.",
            ),
            key(
                "access",
                Text,
                Some(r#""open""#),
                r#""anonymous""#,
                "\"open\": every user of this server; \"closed\": the organizer and whom he invites; \"anonymous\": whoever gives\nthe PIN.",
            ),
            key(
                "organizer",
                Text,
                None,
                r#""sip:ann@voice.example.com""#,
                "URI of the [[user]] who leads it. Without one, nobody can lead.",
            ),
            key("subject", Text, None, r#""Monday round""#, "What it is about, shown in rosters."),
            key(
                "record",
                Plain,
                Some("false"),
                "true",
                "Whether it is recorded, to Ogg/Opus in media.recordings_dir, whenever it is held. Whoever joins is told so.",
            ),
        ],
    },
    Section {
        name: "trunk",
        is_list: true,
        about: "A way into the telephone network; repeat for each. They are tried in this order, three at most.",
        keys: &[
            key("name", Text, None, r#""provider""#, "For logs and call detail records. Required, once only."),
            key(
                "target",
                Text,
                None,
                r#""udp:sip.provider.example:5060""#,
                "udp:HOST:PORT, tcp:HOST:PORT or tls:HOST:PORT; IPv6 in brackets. Required.",
            ),
            key("allow", List, Some("[]"), r#"["+49", "+43"]"#, "Prefixes it carries, + first; empty = every number."),
            key(
                "deny",
                List,
                Some("[]"),
                r#"["+49900"]"#,
                "Prefixes it refuses, + first. Of an allowed and a denied prefix the longer decides; denied wins a tie.",
            ),
            key(
                "trusted",
                Plain,
                Some("false"),
                "false",
                "Whether requests from the address in target, which must be an IP address, are the provider's own: then it may\ncall users here without a password, and is believed on who calls (P-Asserted-Identity) and on the call's way\n(History-Info, Ms-Sensitivity). UDP senders can be forged; let a firewall guard the address.",
            ),
        ],
    },
    Section {
        name: "location_profile",
        is_list: true,
        about: "How what people dial becomes a number with +; repeat for each. Without one, only numbers with + are dialled.",
        keys: &[key(
            "name",
            Text,
            None,
            r#""default""#,
            "1 to 256 letters, digits and -.+_(). Required, once only. The one named default serves users that name none.",
        )],
    },
    Section {
        name: "location_profile.rule",
        is_list: true,
        about: "A rule of the profile above; repeat, at most 256. The first that matches wins.",
        keys: &[
            key(
                "pattern",
                Text,
                None,
                r"'0([1-9]\d+)'",
                "Regular expression over the whole dialled string. In single quotes, so that \\ stays. Required.",
            ),
            key(
                "translation",
                Text,
                None,
                "'+49$1'",
                "What it becomes: + and digits, or digits for an extension; $1 is the first group. Required.",
            ),
        ],
    },
];

/// A section by its dotted name.
pub(super) fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}
