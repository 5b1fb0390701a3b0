//! Names of elements and attributes.

use super::Namespace;

/// A namespace and a local name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    /// The namespace; `None` for a plain attribute.
    pub(crate) namespace: Namespace,
    /// The local name.
    pub(crate) local: &'a str,
}

impl<'a> Name<'a> {
    /// A name in the C3P namespace.
    pub(crate) const fn c3p(local: &'a str) -> Self {
        Self { namespace: Namespace::C3p, local }
    }

    /// The same local name in another namespace.
    pub(crate) const fn within(self, namespace: Namespace) -> Self {
        Self { namespace, local: self.local }
    }
}

macro_rules! names {
    ($($namespace:ident { $($constant:ident = $local:literal),+ $(,)? })+) => {
        $($(pub(crate) const $constant: Name<'static> = Name { namespace: Namespace::$namespace, local: $local };)+)+
    };
}

// Envelope and commands: c3p.md 2.1 [V] unless tagged.
names! {
    C3p {
        REQUEST = "request",
        RESPONSE = "response",
        CONFERENCE_KEYS = "conferenceKeys",
        USER_KEYS = "userKeys",
        MEDIA_KEYS = "mediaKeys",               // [V-impl]
        ENDPOINT_KEYS = "endpointKeys",         // [M]
        LOBBY_ACCESS = "access",                // [V-impl]; that it is a child element is [M-low]
        EXCEPT = "except",                      // ours: the grammar of modifyUsersMediaFilters is not known
        LOCK_LOCKED = "locked",                 // [V-impl]
        MCU_TYPES = "mcu-types",                // [V-impl]; namespace [M]
        MCU_TYPE = "mcuType",                   // [V-impl]; namespace [M]
        PSTN_BRIDGING = "pstn-bridging",        // [V-impl]; namespace [M]
        ACCESS_NUMBERS = "access-numbers",      // [V-impl]; namespace [M]
        REGION = "region",                      // [V-impl]; namespace [M]
        DEFAULT_REGION = "default-region",      // [V-impl]; namespace [M]
        ACCESS_NUMBER = "access-number",        // [V-impl]; namespace [M]
        NUMBER = "number",                      // [V-impl]; namespace [M]
        CONNECTION_INFO = "connection-info",    // [V]; namespace [M], the extension namespace is read too
        CONNECTION_ENTRY = "entry",             // [V]; namespace [M]
        CONNECTION_KEY = "key",                 // [M]
        CONNECTION_VALUE = "value",             // [M]
        DIAGNOSTICS_INFO = "diagnostics-info",  // [M-low]: the key/value detail block of a failure
    }
    None {
        C3P_VERSION = "C3PVersion",
        REQUEST_ID = "requestId",
        FROM = "from",
        TO = "to",
        CODE = "code",
        RESPONDER = "responder",                // [M-low]
        REASON_ATTRIBUTE = "reason",            // [M]
        RESULT = "result",                      // [V]: endorseUser alone
        CONF_ENTITY = "confEntity",
        USER_ENTITY = "userEntity",
        ENDPOINT_ENTITY = "endpointEntity",     // [V-impl]
        MEDIA_ID = "mediaId",                   // [V-impl]
        REGION_NAME = "name",                   // [V-impl]
    }
    Mscp {
        MCU_URI = "mcuUri",                     // [V]: the bare form is read too, and never written
    }
}

// Conference-info: RFC 4575 and c3p.md 2.4, 3.3.
names! {
    Ci {
        CONFERENCE_INFO = "conference-info",
        DESCRIPTION = "conference-description",
        DISPLAY_TEXT = "display-text",
        SUBJECT = "subject",
        CONF_URIS = "conf-uris",
        ENTRY = "entry",
        URI = "uri",
        PURPOSE = "purpose",
        CONFERENCE_STATE = "conference-state",
        USER_COUNT = "user-count",
        ACTIVE = "active",
        LOCKED = "locked",
        USERS = "users",
        USER = "user",
        ROLES = "roles",
        USER_ROLES = "user-roles",              // [V-impl]
        ENDPOINT = "endpoint",
        STATUS = "status",
        JOINING_METHOD = "joining-method",
        JOINING_INFO = "joining-info",
        DISCONNECTION_METHOD = "disconnection-method",
        DISCONNECTION_INFO = "disconnection-info",
        WHEN = "when",
        REASON = "reason",
        BY = "by",
        MEDIA = "media",
        TYPE = "type",
        LABEL = "label",
        SRC_ID = "src-id",
        DISPLAY_NAME = "display-name",          // [V-impl]; namespace [M], the extension namespace is read too
        PSTN_ID = "id",                         // [V]; namespace [M], the extension namespace is read too
        STATE_QUALIFIED = "state",              // [V]: the namespaced attribute of views
    }
    None {
        ENTITY = "entity",
        STATE = "state",
        VERSION = "version",
        STATIC = "static",                      // [V-impl]
        ID = "id",
        LABEL_ATTRIBUTE = "label",              // [V-impl]
    }
    Cis {
        SEPARATOR = "separator",                // [V]
    }
    Msci {
        CONFERENCE_ID = "conference-id",        // [V]: element and attribute
        LAST_UPDATE = "last-update",            // [V]
        LAST_ACTIVATE = "last-activate",        // [V]
        IS_ACTIVE = "is-active",                // [V]
        EXPIRY_TIME = "expiry-time",            // [V]
        ADMISSION_POLICY = "admission-policy",  // [V]
        PASSCODE = "passcode",                  // [M]
        ORGANIZER_DATA = "organizer-roaming-data", // [V] UCMA name; that it is a child of the description is [M]
        NOTIFICATION_DATA = "notification-data", // [V] UCMA name; that it is a child of the description is [M]
        PASSCODE_OPTIONAL = "passcode-optional",// [M-low]
        ORGANIZER = "organizer",                // [V-impl]
        JOIN_URL = "join-url",                  // [V-impl]
        PSTN_ACCESS = "pstn-access",            // [V]
        PSTN_LOBBY_BYPASS = "pstn-lobby-bypass",// [V]
        AUTOPROMOTE = "autopromote",            // [V]
        SERVER_MODE = "server-mode",            // [M-low]
        ENCRYPTION_KEY = "encryption-key",      // [V]
        X509_CERTIFICATE = "x509-certificate",  // [V]
        SESSION_TYPE = "session-type",          // [V-impl]
        ENDPOINT_URI = "endpoint-uri",          // [V]; prefix [M], the bare form is read too
        REFER_TO_URI = "refer-to-uri",          // [V]; prefix [M], the bare form is read too
        ON_BEHALF_OF = "session-on-behalf-of",  // [V]; that it is an attribute of the endpoint is [M]
        AUTH_METHOD = "authMethod",             // [V]; namespace [M], plain conference-info is read too
        ACCESS_METHOD = "accessMethod",         // [V]; namespace [M], plain conference-info is read too
        CLIENT_INFO = "clientInfo",             // [V]
        MEDIA_STATE = "media-state",            // [V-impl]
        INGRESS_FILTER = "media-ingress-filter",// [V-impl]
        EGRESS_FILTER = "media-egress-filter",  // [V-impl]
        CONFERENCE_VIEW = "conference-view",    // [V]
        ENTITY_VIEW = "entity-view",            // [V]
        ENTITY_CAPABILITIES = "entity-capabilities", // [M]
        ENTITY_POLICY = "entity-policy",        // [M]
        ENTITY_SETTINGS = "entity-settings",    // [M]
        ENTITY_STATE = "entity-state",          // [V]
        VIEW_LOCKED = "locked",                 // [V-impl]
        VIEW_MEDIA = "media",                   // [V-impl]
        MEDIA_FILTERS_RULES = "mediaFiltersRules", // [V-impl]; namespace [M-low], the audio/video one is read too
        INITIAL_FILTERS = "initialFilters",     // [V-impl]
        FILTER_ROLE = "role",                   // [V-impl]
        FILTER_INGRESS = "ingressFilter",       // [V-impl]
        FILTER_EGRESS = "egressFilter",         // [M]
    }
    Msci2 {
        LOBBY_CAPABLE = "lobby-capable",        // [V]
    }
}

// The app-invite body: c3p.md 4.6 [V-impl], no namespace.
names! {
    None {
        CONFERENCING = "Conferencing",
        FOCUS_URI = "focus-uri",
        INVITE_SUBJECT = "subject",
        CONVERSATION_ID = "conversation-id",
        IM = "im",
        FIRST_IM = "first-im",
        AUDIO = "audio",
        AVAILABLE = "available",
    }
}

/// The value of `C3PVersion` [V].
pub(crate) const C3P_VERSION_VALUE: &str = "1";

/// The value of `version` of an app-invite body [V-impl].
pub(crate) const CONFERENCING_VERSION_VALUE: &str = "2.0";
