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
pub(super) const RESERVED: [&str; 1] = ["cluster"];

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
                "UDP ports for RTP and RTCP, first-last: an even first port from 1024, an odd last one. Two ports serve one leg,\nand need two file descriptors (see LimitNOFILE or ulimit -Hn); the first two only mark the range as this\nserver's. Open them in the firewall.",
            ),
            key("workers", Plain, None, "4", "Threads that mix, 1 to 256. Without a number, one for each core."),
            key("opus_bitrate", Plain, Some("64000"), "64000", "Bits per second of a mix in Opus, 12000 to 128000."),
            key(
                "opus_complexity",
                Plain,
                Some("0"),
                "9",
                "How hard the Opus encoder tries, 0 to 10. It runs once for each different mix, not for each listener.",
            ),
            key(
                "opus_speech_mode",
                Plain,
                Some("false"),
                "false",
                "Whether mixes are encoded in Opus' speech mode: three times the processor time of the low-delay mode, and\n4 ms more delay. Who asks for forward error correction gets it in any case.",
            ),
            key(
                "jitter_buffer_ms",
                Plain,
                Some("120"),
                "120",
                "The longest a packet that was received may wait for its turn, in milliseconds, 40 to 500. The buffer adapts: it\nholds as little as the network allows. What comes later than this is lost.",
            ),
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
                "keypad",
                Plain,
                Some("true"),
                "true",
                "Whether keys of a telephone command the conference: *6 mutes and unmutes oneself, *3 or *# tells how many are\nin, *2 and *5 make what one hears louder and quieter, *1 and *0 how loud one is heard (3 dB each);\nfor presenters *4 mutes the attendees, *7 locks, *8 lets in who waits in the lobby.",
            ),
            key(
                "language",
                Text,
                Some(r#""en""#),
                r#""de""#,
                "Language of what the server says to those who enter a PIN, are muted or see a conference end: \"en\", \"de\" or\none of languages_dir. Empty: it beeps.",
            ),
            key(
                "languages_dir",
                Text,
                None,
                r#""/etc/convoke/languages""#,
                "Directory of further languages: a folder for each, called by its tag, with a sound file NAME.wav or NAME.opus for\neach phrase and number. What a folder lacks is told at the start. One called en or de is used in place of ours.",
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
            key(
                "noise_gate",
                Plain,
                Some("false"),
                "false",
                "Whether the background of somebody (below -40 dBov) is taken away while he says nothing: from 160 ms after his last\nword on, in 100 ms. It opens before the first syllable and delays nothing. Who is quiet for 400 ms is left out of the\nmix in any case; this silences shorter pauses as well.",
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
            key(
                "entry_exit",
                Text,
                None,
                r#""announce""#,
                "What is heard when somebody enters or leaves: \"tones\", \"announce\" (\"Somebody has joined\"; and he is told that he\nis in, or the first one; needs media.language) or \"off\". Without it, what media.entry_exit_tones says.",
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
    Section {
        name: "response_group",
        is_list: true,
        about: "A group people call; repeat for each. Callers reach people, never a mailbox: agents' own forwarding, simultaneous\n# ringing and delegates do not count, and nobody misses a call. `convoke explain call CALLID` tells each story.",
        keys: &[
            key(
                "uri",
                Text,
                None,
                r#""sip:sales@voice.example.com""#,
                "The address callers dial; it ends in `domain`. Required, once only.",
            ),
            key(
                "name",
                Text,
                None,
                r#""Sales""#,
                "What agents and the wallboard show. Without one, the user part of `uri`.",
            ),
            key(
                "method",
                Text,
                Some(r#""parallel""#),
                r#""parallel""#,
                "Whom to ring: \"parallel\" (everybody available, at once), \"serial\" (in the order of the list), \"longest-idle\",\n\"round-robin\", or \"attendant\" (everybody but do-not-disturb, whatever the presence).",
            ),
            key(
                "participation",
                Text,
                Some(r#""informal""#),
                r#""informal""#,
                "\"informal\": agents are in while they are registered. \"formal\": they sign in (dial *55) and out (*56).",
            ),
            key(
                "agents",
                List,
                None,
                r#"["sip:ann@voice.example.com"]"#,
                "Their addresses, in the order the serial methods follow; tel: for somebody on the telephone network, or a table:\n{ uri = \"tel:+4930123459\", pstn = true, active = true }. At least one, unless queue.no_agent_action says where callers go.",
            ),
            key(
                "alert_time_seconds",
                Plain,
                Some("20"),
                "20",
                "How long one agent's phone rings, counted from the INVITE; 10 to 180. His own settings do not matter.",
            ),
            key(
                "decline_grace_seconds",
                Plain,
                Some("60"),
                "60",
                "How long a caller is kept from an agent who declined him; at most 600.",
            ),
            key("wrap_up_seconds", Plain, Some("0"), "10", "Pause of an agent after a conversation; at most 3600."),
            key(
                "max_calls",
                Plain,
                Some("1"),
                "1",
                "Conversations of one agent at once; 1 to 10. His phone still rings for one call at a time.",
            ),
            key("max_fork", Plain, Some("20"), "20", "Phones ringing at once for one caller; 1 to 100."),
            key(
                "confirm",
                Text,
                Some(r#""pstn""#),
                r#""pstn""#,
                "Who must press 1 to take a call: \"pstn\" (agents on the telephone network, where a mailbox may answer), \"always\",\n\"never\".",
            ),
            key("busy_delay_seconds", Plain, Some("5"), "5", "Pause of an agent whose phone was busy; at most 600."),
            key(
                "decline_delay_seconds",
                Plain,
                Some("1"),
                "1",
                "Pause of an agent who declined, before any other call; at most 600.",
            ),
            key(
                "pause_after_no_answers",
                Plain,
                None,
                "3",
                "Unanswered alerts in a row after which an agent is paused. Without a number, never.",
            ),
            key("pause_seconds", Plain, Some("300"), "300", "How long he is paused then; at most 86400."),
            key(
                "round_robin_cursor",
                Text,
                Some(r#""offered""#),
                r#""offered""#,
                "What moves the round robin on: \"offered\" or \"answered\".",
            ),
            key(
                "answer",
                Text,
                Some(r#""immediate""#),
                r#""immediate""#,
                "When callers are answered: \"immediate\", \"early_media\" (music before the answer) or \"on_agent\" (they hear ringing).",
            ),
            key("language", Text, None, r#""en""#, "Language of what is said, as in \"en\" or \"de\"."),
            key(
                "welcome",
                Text,
                None,
                r#""welcome""#,
                "What callers hear first: welcome, or a file of yours. Without one, nothing.",
            ),
            key(
                "music",
                Text,
                None,
                r#""our-music.wav""#,
                "What those who wait hear: a file of yours. Without one, the server's music.",
            ),
            key(
                "time_zone",
                Text,
                Some(r#""UTC""#),
                r#""Europe/Berlin""#,
                "Time zone of hours and holidays, a name of the IANA database.",
            ),
            key(
                "hours",
                List,
                Some("[]"),
                r#"[{ days = ["mon", "tue", "wed", "thu", "fri"], from = "09:00", to = "17:30" }]"#,
                "When the group is open, in its time zone; empty is always. Spans must not overlap.",
            ),
            key(
                "closed",
                Plain,
                None,
                r#"{ prompt = "closed", action = { kind = "disconnect" } }"#,
                "What happens to callers outside the hours: a prompt, then an action (see queue.timeout_action).",
            ),
            key(
                "holidays",
                List,
                Some("[]"),
                r#"[{ name = "New Year", from = "2027-01-01" }]"#,
                "Days when the group is closed in spite of its hours: name, from, and to where it is more than one day.",
            ),
            key(
                "holiday",
                Plain,
                None,
                r#"{ prompt = "holiday", action = { kind = "disconnect" } }"#,
                "What happens to callers on a holiday.",
            ),
            key(
                "question",
                Plain,
                None,
                r#"{ prompt = "which-language.wav", answer = [{ digit = "1", label = "English" }, { digit = "2", label = "German" }] }"#,
                "A question answered with a digit. An answer may have a second question, an action, agent_groups or a priority.",
            ),
            key(
                "announcements",
                Plain,
                None,
                r#"{ position = true, estimated_wait = true, every_seconds = 30 }"#,
                "What is said to those who wait, at least 15 seconds apart.",
            ),
            key(
                "exit_key",
                Plain,
                None,
                r##"{ digit = "#", action = { kind = "disconnect" } }"##,
                "A key with which a waiting caller leaves the queue, and where he goes.",
            ),
            key(
                "anonymous",
                Plain,
                Some("false"),
                "false",
                "Whether callers are kept from learning which agent answered.",
            ),
            key("target_seconds", Plain, Some("20"), "20", "Waiting time within which an answer counts as in target."),
            key(
                "agent_group",
                List,
                None,
                r#"[{ name = "second line", method = "serial", agents = ["sip:ann@voice.example.com"] }]"#,
                "Several agent groups, searched in this order, each with its own name, method, participation, agents and times.\nThe keys above make the first one; write [[response_group.agent_group]] for each.",
            ),
        ],
    },
    Section {
        name: "response_group.queue",
        is_list: false,
        about: "How callers of the group above wait.",
        keys: &[
            key(
                "priority",
                Plain,
                Some("5"),
                "5",
                "Calls of a smaller number are served first, across all groups; 1 to 9.",
            ),
            key(
                "timeout_seconds",
                Plain,
                None,
                "120",
                "How long a caller waits; 10 to 65535. Without a number, for ever.",
            ),
            key(
                "timeout_action",
                Plain,
                Some(r#"{ kind = "disconnect" }"#),
                r#"{ kind = "forward", target = "sip:ann@voice.example.com" }"#,
                "What happens then: { kind = \"disconnect\" }, { kind = \"forward\", target = ADDRESS or tel: } or\n{ kind = \"group\", target = ADDRESS }.",
            ),
            key(
                "deadline",
                Text,
                Some(r#""strict""#),
                r#""strict""#,
                "Whether the time-out cuts an alert short: \"strict\" (it leaves five seconds) or \"after_alert\".",
            ),
            key(
                "overflow_threshold",
                Plain,
                None,
                "10",
                "Callers waiting at most, 0 to 1000. Without a number, no limit.",
            ),
            key(
                "overflow_candidate",
                Text,
                Some(r#""newest""#),
                r#""newest""#,
                "Who overflows: the \"newest\" caller or the \"oldest\".",
            ),
            key(
                "overflow_action",
                Plain,
                Some(r#"{ kind = "disconnect" }"#),
                r#"{ kind = "disconnect" }"#,
                "Where he goes.",
            ),
            key(
                "no_agent_action",
                Plain,
                None,
                r#"{ kind = "disconnect" }"#,
                "Where callers go when no agent is signed in and reachable. Without one, they wait.",
            ),
            key(
                "no_agent_applies_to",
                Text,
                Some(r#""all""#),
                r#""all""#,
                "Whether those who already wait go there too: \"all\" or \"new\".",
            ),
            key("retry_seconds", Plain, Some("5"), "5", "Seconds between two passes through the agents; 1 to 300."),
        ],
    },
];

/// A section by its dotted name.
pub(super) fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}
