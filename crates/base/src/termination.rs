//! How a leg ends: exactly once, with a result and a stable reason.

/// Whether what ended had done what it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TerminationResult {
    /// It was connected and ended in order.
    Completed,
    /// It was given up before it was connected.
    Cancelled,
    /// Something went wrong.
    Failed,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// Why a leg ended. The text form is stable: it stands in call detail records and metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum TerminationReason { $($(#[$doc])* $name),+ }

        impl TerminationReason {
            /// Every reason, for tables and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable text form.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

reasons! {
    /// The person hung up.
    Departed = "departed",
    /// A presenter ejected him.
    Booted = "booted",
    /// The conference ended.
    ConferenceEnded = "conference-ended",
    /// The same endpoint joined again and replaced this leg.
    Replaced = "replaced",
    /// Who asked for the leg gave it up before it was answered.
    RequestCancelled = "request-cancelled",
    /// Another device of the same user answered.
    AnsweredElsewhere = "answered-elsewhere",
    /// 486 or 600.
    Busy = "busy",
    /// 603.
    Declined = "declined",
    /// 408, 480 or the alert timer.
    NoAnswer = "no-answer",
    /// 404, 410, 484, 604: there is nobody at that address.
    InvalidTarget = "invalid-target",
    /// 403 or our own policy.
    Forbidden = "forbidden",
    /// 401 or 407 and no credentials that help.
    Unauthorized = "unauthorized",
    /// 488, 606, 415 or an offer without a common codec.
    MediaNotSupported = "media-not-supported",
    /// 5xx, or no server answered.
    ServiceUnavailable = "service-unavailable",
    /// A limit of this server.
    LimitReached = "limit-reached",
    /// The transport failed or a transaction timed out inside a dialog.
    TransportFailed = "transport-failed",
    /// The session timer expired (RFC 4028).
    SessionExpired = "session-expired",
    /// No media arrived for the configured time.
    MediaTimeout = "media-timeout",
    /// The caller sent no ACK.
    NoAck = "no-ack",
    /// The peer broke the protocol.
    ProtocolError = "protocol-error",
    /// The MCU that carried the leg is gone.
    McuLost = "mcu-lost",
    /// The server is shutting down.
    ServerStopping = "server-stopping",
    /// A defect of this server.
    InternalError = "internal-error",
}

/// How a leg ended: a result and a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Termination {
    /// Whether it had done what it was for.
    pub result: TerminationResult,
    /// Why it ended.
    pub reason: TerminationReason,
}

impl Termination {
    /// A connected leg that ended in order.
    pub const fn completed(reason: TerminationReason) -> Self {
        Self { result: TerminationResult::Completed, reason }
    }

    /// A leg that was given up before it was connected.
    pub const fn cancelled(reason: TerminationReason) -> Self {
        Self { result: TerminationResult::Cancelled, reason }
    }

    /// A leg that failed.
    pub const fn failed(reason: TerminationReason) -> Self {
        Self { result: TerminationResult::Failed, reason }
    }
}
