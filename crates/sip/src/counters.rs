//! What the edge counts, so that nothing it refuses or drops goes unseen (reliability.md 3).

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every reason, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable text form, for metric labels.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

reasons! {
    /// Why a request was answered with an error by the edge itself.
    RejectReason {
        /// The start line does not have the form of RFC 3261 25.1.
        StartLine = "start-line",
        /// A SIP version other than 2.0.
        Version = "version",
        /// A header line without a name, with control octets, or there are too many lines.
        HeaderSyntax = "header-syntax",
        /// To, From, Call-ID, CSeq or Via is absent.
        MissingHeader = "missing-header",
        /// A header that may stand only once stands twice.
        DuplicateHeader = "duplicate-header",
        /// The number of CSeq is out of range or its method is not the request's.
        CSeq = "cseq",
        /// Content-Length is negative, not a number, larger than the datagram, or absent on a stream.
        ContentLength = "content-length",
        /// The topmost Via cannot be read or has an empty branch.
        Via = "via",
        /// From or To cannot be read.
        Address = "address",
        /// Contact cannot be read.
        Contact = "contact",
        /// The Request-URI cannot be read.
        RequestUri = "request-uri",
        /// The Request-URI has a scheme we do not speak.
        UriScheme = "uri-scheme",
        /// `Require` names an extension we do not support.
        Extension = "extension",
        /// Max-Forwards is used up or not a number.
        MaxForwards = "max-forwards",
        /// The body is larger than its kind may be.
        BodySize = "body-size",
        /// The message is larger than messages may be.
        MessageSize = "message-size",
        /// The body is encoded in a way we cannot undo.
        ContentEncoding = "content-encoding",
        /// The body of an INVITE is of a type we cannot read.
        ContentType = "content-type",
        /// The caller accepts no answer that we can give.
        Accept = "accept",
        /// A method this server has no rule for.
        Method = "method",
        /// Credentials are needed and absent, wrong or stale.
        Unauthorized = "unauthorized",
        /// The authenticated user is not the one in From or To.
        ForeignIdentity = "foreign-identity",
        /// Too many wrong passwords; this one was not checked.
        Throttled = "throttled",
        /// REGISTER for an address that is not ours.
        UnknownDomain = "unknown-domain",
        /// REGISTER that the registrar refuses.
        Registration = "registration",
        /// The event queue is full or there are too many transactions.
        Overload = "overload",
        /// CANCEL without a transaction to cancel.
        NoTransaction = "no-transaction",
    }
}

reasons! {
    /// Why a message, a datagram or a connection was dropped without an answer.
    DropReason {
        /// Not SIP at all, or too broken to be answered.
        Garbage = "garbage",
        /// A keep-alive; answered in kind where RFC 5626 wants it.
        KeepAlive = "keep-alive",
        /// A response that breaks the rules.
        MalformedResponse = "malformed-response",
        /// A response without a transaction.
        UnmatchedResponse = "unmatched-response",
        /// An ACK without a transaction, or one that breaks the rules (an ACK is never answered).
        UnmatchedAck = "unmatched-ack",
        /// The source sends faster than its bucket fills.
        RateLimited = "rate-limited",
        /// A connection over the limit for its source or for the server.
        ConnectionLimit = "connection-limit",
        /// A connection that did not finish a message in time.
        SlowConnection = "slow-connection",
        /// A connection closed in the middle of a message.
        Truncated = "truncated",
        /// A connection closed because its framing was lost or its messages grew too large.
        Framing = "framing",
        /// A TLS handshake that failed.
        Handshake = "handshake",
        /// An outgoing message that the system did not take or whose peer does not read.
        Unsent = "unsent",
        /// A command of the control side for a transaction that is no more.
        LateCommand = "late-command",
        /// A message whose handling panicked: a defect of this server.
        Panic = "panic",
    }
}

/// Counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterSnapshot {
    /// Messages received (keep-alives and garbage included).
    pub received: u64,
    /// Messages sent, retransmissions included.
    pub sent: u64,
    /// Requests answered with an error by the edge, by reason; reasons never met are left out.
    pub rejected: Vec<(RejectReason, u64)>,
    /// Messages and connections dropped, by reason; reasons never met are left out.
    pub dropped: Vec<(DropReason, u64)>,
    /// Transactions under way.
    pub transactions: u64,
    /// Open connections.
    pub connections: u64,
    /// Devices registered.
    pub bindings: u64,
    /// REGISTER requests answered with 200.
    pub registrations: u64,
    /// Wrong passwords.
    pub authentication_failures: u64,
}

impl CounterSnapshot {
    /// How often a request was rejected for this reason.
    pub fn rejected(&self, reason: RejectReason) -> u64 {
        self.rejected.iter().find(|(other, _)| *other == reason).map_or(0, |(_, count)| *count)
    }

    /// How often something was dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.iter().find(|(other, _)| *other == reason).map_or(0, |(_, count)| *count)
    }
}

/// The counters themselves.
#[derive(Debug)]
pub(crate) struct Counters {
    received: AtomicU64,
    sent: AtomicU64,
    rejected: [AtomicU64; RejectReason::ALL.len()],
    dropped: [AtomicU64; DropReason::ALL.len()],
    registrations: AtomicU64,
    authentication_failures: AtomicU64,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            rejected: std::array::from_fn(|_| AtomicU64::new(0)),
            dropped: std::array::from_fn(|_| AtomicU64::new(0)),
            registrations: AtomicU64::new(0),
            authentication_failures: AtomicU64::new(0),
        }
    }

    pub(crate) fn received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn rejected(&self, reason: RejectReason) {
        self.rejected[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self, reason: DropReason) {
        self.dropped[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn registered(&self) {
        self.registrations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn authentication_failed(&self) {
        self.authentication_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts; the caller adds the sizes of the tables.
    pub(crate) fn snapshot(&self) -> CounterSnapshot {
        fn met<R: Copy>(reasons: &[R], counts: &[AtomicU64]) -> Vec<(R, u64)> {
            let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
            reasons.iter().copied().zip(counts).filter(|(_, count)| *count > 0).collect()
        }
        CounterSnapshot {
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            rejected: met(RejectReason::ALL, &self.rejected),
            dropped: met(DropReason::ALL, &self.dropped),
            registrations: self.registrations.load(Ordering::Relaxed),
            authentication_failures: self.authentication_failures.load(Ordering::Relaxed),
            ..CounterSnapshot::default()
        }
    }
}
