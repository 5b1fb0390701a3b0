//! Keys of what joins the server to telephones.

use crate::config::key::Kind::{List, Plain, Secret, Text};
use crate::config::key::{Section, key};

/// `[[access_number]]`.
pub(super) const ACCESS_NUMBER: Section = Section {
    name: "access_number",
    is_list: true,
    about: "A telephone number for dial-in; repeat for each. Who calls it is asked for the number of a conference and its PIN.",
    keys: &[
        key(
            "number",
            Text,
            None,
            r#""+4930123450""#,
            "+ and 7 to 15 digits. A trunk must send its calls here. Required, once only, among users and conferences as well.",
        ),
        key(
            "language",
            Text,
            Some(r#""en""#),
            r#""de""#,
            "What the attendant speaks: \"en\", \"de\" or a language of media.languages_dir.",
        ),
        key(
            "region",
            Text,
            Some(r#""default""#),
            r#""Berlin""#,
            "The place, as scheduling clients show it. The region of the first number is the default one.",
        ),
    ],
};

/// `[[trunk]]`.
pub(super) const TRUNK: Section = Section {
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
            "udp:HOST:PORT, tcp:HOST:PORT or tls:HOST:PORT; IPv6 in brackets. Without a port, the SRV records of the name say where its\nservers are, and each is tried in turn. Required.",
        ),
        key(
            "username",
            Text,
            None,
            r#""4930123450""#,
            "The account's name, if the provider asks for digest authentication (401 or 407 to a call). Goes with password.",
        ),
        key(
            "password",
            Secret,
            None,
            r#""from-your-provider""#,
            "The account's password. It leaves the server only hashed. Keep the file from others (chmod 600).",
        ),
        key(
            "register",
            Plain,
            Some("false"),
            "true",
            "Whether the server registers at target under username, as many providers want before they carry calls. It says so\nagain before the time granted has passed, and tries longer and longer apart when it is refused.",
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
            "Whether requests from the address in target are the provider's own: then it may call users here without a\npassword, is believed on who calls (P-Asserted-Identity) and on the call's way (History-Info, Ms-Sensitivity), and\nmay send as much as it likes. A name's addresses (SRV records too) are asked for once, at start. UDP senders can be\nforged; let a firewall guard the address.",
        ),
    ],
};

/// `[[location_profile]]`.
pub(super) const LOCATION_PROFILE: Section = Section {
    name: "location_profile",
    is_list: true,
    about: "How what people dial becomes a number with +; repeat for each. Without one, only numbers with + are dialled.",
    keys: &[
        key(
            "name",
            Text,
            None,
            r#""default""#,
            "1 to 256 letters, digits and -.+_(). Required, once only. The one named default serves users that name none.",
        ),
        key(
            "emergency",
            List,
            Some("[]"),
            r#"["112", "110"]"#,
            "Emergency numbers as they are dialled here. They are refused with 403 before any rule is tried: this server does\nnot know where a caller is, so people must use a telephone that does.",
        ),
    ],
};

/// `[[location_profile.rule]]`.
pub(super) const RULE: Section = Section {
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
};
