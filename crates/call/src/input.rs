//! What goes into the machine: SIP events, and decisions from above.

use base::{Duration, LegId, OfferId, SubscriptionId, Termination, UserUri};
use bytes::Bytes;
use sip_api::{Flow, Headers, NameAddr, Response, ServerTransactionId, SipEvent, SipUri};

use crate::credentials::Credentials;
use crate::restore::DialogRecord;

/// A message body: opaque bytes with their media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The `Content-Type` value, with its parameters (a multipart body needs its boundary).
    pub content_type: String,
    /// The bytes; never empty.
    pub bytes: Bytes,
}

impl Body {
    /// A body of this type.
    pub fn new(content_type: &str, bytes: impl Into<Bytes>) -> Self {
        Self { content_type: content_type.to_owned(), bytes: bytes.into() }
    }

    /// Whether it is a session description by its type; a C3P body on a Focus dialog is not.
    pub fn describes_session(&self) -> bool {
        let kind = self.content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        kind == "application/sdp" || kind.starts_with("multipart/")
    }

    /// The body of a message; `None` when it is empty.
    pub(crate) fn of(headers: &Headers, bytes: &Bytes) -> Option<Self> {
        let content_type = headers.get("Content-Type").unwrap_or("application/octet-stream");
        (!bytes.is_empty()).then(|| Self::new(content_type, bytes.clone()))
    }
}

/// Extra headers, in order: name and value.
pub type ExtraHeaders = Vec<(String, String)>;

/// Everything the machine reacts to.
///
/// A decision that comes too late (for a leg, offer or subscription that is gone, or in a state in which it has no
/// meaning) changes nothing and is counted by [`Calls::ignored`](crate::Calls::ignored).
#[derive(Clone, Debug)]
pub enum Input {
    /// Something happened at the edge. `BindingsChanged` tells where a user's requests may come from without proof.
    Sip(SipEvent),

    /// Answer the INVITE of an incoming leg with 200. The body is the answer, or the offer when the INVITE carried none.
    /// A `Contact` among the headers replaces the default one for the whole dialog.
    Accept {
        /// The incoming leg.
        leg: LegId,
        /// Session description or another body (C3P on a Focus dialog).
        body: Option<Body>,
        /// Further headers of the 200.
        headers: ExtraHeaders,
    },
    /// Send a provisional response on an incoming leg; repeated every minute until the final one (RFC 3261 13.3.1.1).
    Progress {
        /// The incoming leg.
        leg: LegId,
        /// 180, 182 or 183.
        status: u16,
        /// The answer as early media. Left out when the INVITE carried no offer.
        body: Option<Body>,
        /// Send it reliably (RFC 3262) if the caller can; if he requires it, it is always sent so.
        reliable: bool,
    },
    /// Refuse the INVITE of an incoming leg for good.
    Reject {
        /// The incoming leg.
        leg: LegId,
        /// 300 to 699.
        status: u16,
        /// Further headers, such as `ms-diagnostics` or `Retry-After`.
        headers: ExtraHeaders,
        /// A body, such as a C3P response.
        body: Option<Body>,
    },
    /// Refuse the INVITE of an incoming leg with 401 and fresh challenges of the edge. Ends the leg; the INVITE with
    /// credentials is a new one.
    Challenge {
        /// The incoming leg.
        leg: LegId,
    },
    /// Ring a set of targets; the first answer wins.
    Dial(Box<Dial>),
    /// Take up a connected dialog of an earlier process; its session wants a new description.
    Restore {
        /// A new leg, from [`Calls::allocate_leg`](crate::Calls::allocate_leg).
        leg: LegId,
        /// What [`Calls::dialog_record`](crate::Calls::dialog_record) said.
        record: Box<DialogRecord>,
    },
    /// Give a whole offer up. Ignored once it is answered: hang the winner up instead.
    Cancel {
        /// The offer.
        offer: OfferId,
        /// `Reason` header values for the CANCEL requests (RFC 3326).
        reason: Vec<String>,
    },
    /// End a leg in whatever state it is: BYE, CANCEL, or a refusal of the unanswered INVITE.
    HangUp {
        /// The leg.
        leg: LegId,
        /// `Reason` header values.
        reason: Vec<String>,
        /// How the leg ends; comes back in [`Output::Ended`](crate::Output::Ended).
        termination: Termination,
    },

    /// Offer a new session description by re-INVITE. Waits while another exchange is under way; a newer one then
    /// replaces it. The answer comes as [`Output::ReofferAnswered`](crate::Output::ReofferAnswered).
    Reoffer {
        /// The leg.
        leg: LegId,
        /// The offer; its version is the caller's business.
        body: Body,
    },
    /// Tell the peer of a leg with whom he is connected now (RFC 4916): by an UPDATE without a body if he allows UPDATE, else
    /// by a re-INVITE that repeats our description, if his `Allow` has INVITE. It waits until the leg is connected; a newer one
    /// then replaces it.
    Identify {
        /// The leg.
        leg: LegId,
        /// Headers that say so, `P-Asserted-Identity` among them (RFC 3325 9.1).
        headers: ExtraHeaders,
        /// What our `From` is in this dialog from now on, without its tag: for peers whose `Supported` has `from-change`
        /// alone (RFC 4916 4.4).
        from: Option<NameAddr>,
    },
    /// Ask the peer for an offer by a re-INVITE without one. It comes as
    /// [`Output::ReofferAnswered`](crate::Output::ReofferAnswered) and wants `AnswerOffer` or `RefuseOffer`: the ACK waits.
    AskForOffer {
        /// The leg.
        leg: LegId,
    },
    /// Answer [`Output::Offered`](crate::Output::Offered); the body is an offer when that carried none. Or answer the offer
    /// of a 200, which the ACK then carries.
    AnswerOffer {
        /// The leg.
        leg: LegId,
        /// The answer.
        body: Option<Body>,
    },
    /// Refuse [`Output::Offered`](crate::Output::Offered); the session stays as it was. The offer of a 200 to a re-INVITE
    /// cannot be refused: it is answered with the last description we sent. A leg that never sent one is hung up.
    RefuseOffer {
        /// The leg.
        leg: LegId,
        /// 400 to 699, usually 488.
        status: u16,
    },

    /// Send an INFO in the dialog of a connected leg. One is under way at a time, the others wait, so that their order
    /// is kept on any transport.
    SendInfo {
        /// The leg.
        leg: LegId,
        /// The body.
        body: Body,
        /// What is sent in its place when it is too long for the peer, or for the way to him (513).
        instead: Option<Body>,
    },
    /// Answer [`Output::Info`](crate::Output::Info).
    RespondInfo {
        /// The request, as named by the output.
        id: ServerTransactionId,
        /// 200, 202, or a refusal.
        status: u16,
        /// Further headers.
        headers: ExtraHeaders,
    },
    /// Answer [`Output::Referred`](crate::Output::Referred): 202 takes the transfer on and opens the implicit
    /// subscription, 300 to 699 refuses it.
    RespondRefer {
        /// The transfer, as named by the output.
        refer: SubscriptionId,
        /// The status.
        status: u16,
        /// Further headers of a refusal.
        headers: ExtraHeaders,
    },
    /// Tell the referrer how the referred call fares (RFC 3515 2.4.5); a final status ends the subscription.
    ReferProgress {
        /// The transfer.
        refer: SubscriptionId,
        /// Status of the referred call, 100 to 699.
        status: u16,
    },

    /// Take a subscription on. A NOTIFY must follow at once (RFC 6665 4.2.1.2): give [`Input::Notify`] next.
    AcceptSubscription {
        /// The subscription.
        subscription: SubscriptionId,
        /// Granted time, at most what was asked; zero answers a mere fetch.
        expires: Duration,
    },
    /// Refuse a subscription. No [`Output::SubscriptionEnded`](crate::Output::SubscriptionEnded) follows.
    RejectSubscription {
        /// The subscription.
        subscription: SubscriptionId,
        /// 300 to 699; 401 goes out with the edge's challenges.
        status: u16,
        /// Further headers.
        headers: ExtraHeaders,
    },
    /// Refuse a subscription with 401 and fresh challenges of the edge. Ends it like
    /// [`Input::RejectSubscription`]; the SUBSCRIBE with credentials is a new one.
    ChallengeSubscription {
        /// The subscription.
        subscription: SubscriptionId,
    },
    /// Send a notification. One is under way at a time, the others wait in order.
    Notify {
        /// The subscription.
        subscription: SubscriptionId,
        /// The document.
        body: Option<Body>,
        /// Whether this is the last one.
        state: NotifyState,
    },

    /// Answer a request that came as [`Output::OutOfDialog`](crate::Output::OutOfDialog).
    RespondOther {
        /// The request's transaction.
        transaction: ServerTransactionId,
        /// The response.
        response: Response,
    },
}

/// State of a subscription as a NOTIFY tells it (RFC 6665 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyState {
    /// It goes on.
    Active,
    /// It ends, for this reason: `deactivated`, `rejected`, `timeout`, `giveup`, `noresource` ...
    Terminated(String),
}

/// A set of targets to ring for one purpose.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The offer's id, from [`Calls::allocate_offer`](crate::Calls::allocate_offer).
    pub offer: OfferId,
    /// The targets with the leg of each, from [`Calls::allocate_leg`](crate::Calls::allocate_leg). Those beyond
    /// [`CallConfig::legs_per_offer`](crate::CallConfig::legs_per_offer) end at once with `LimitReached`.
    pub legs: Vec<(LegId, Target)>,
    /// All at once, or one after another.
    pub mode: RingMode,
    /// Who calls; the machine adds the tag, unless there is one.
    pub from: NameAddr,
    /// Who is called, as `To` shows it.
    pub to: NameAddr,
    /// Headers of every INVITE of the set. A `Contact` among them replaces the default one.
    pub headers: ExtraHeaders,
    /// The session description offered. Without one the callee is asked for his: his 200 carries the offer, and its ACK
    /// waits for [`Input::AnswerOffer`] (RFC 3261 13.2.1).
    pub body: Option<Body>,
    /// What a leg that answers 415 is offered once more, alone (C69).
    pub fallback: Option<Body>,
    /// How long the whole set may ring, from the first INVITE; never more than
    /// [`CallConfig::timer_c`](crate::CallConfig::timer_c).
    pub ring_limit: Duration,
    /// How long a target may send nothing at all, not even 100, before it is given up as out of service.
    pub silence_limit: Option<Duration>,
    /// `Reason` header values for the CANCEL requests the machine sends when a limit has passed.
    pub cancel_reason: Vec<String>,
    /// How many Contacts of 3xx responses each leg may follow; 0 treats a redirection as a failure.
    pub follow_redirects: u8,
    /// Treat 181 (Call Is Being Forwarded) as a failure of that leg (routing.md 2.3).
    pub refuse_forwarding: bool,
}

impl Dial {
    /// An offer to ring these legs all at once, as long as an INVITE may ring, by the rules of RFC 3261 alone.
    pub fn new(
        offer: OfferId,
        legs: Vec<(LegId, Target)>,
        from: NameAddr,
        to: NameAddr,
        body: impl Into<Option<Body>>,
    ) -> Self {
        Self {
            offer,
            legs,
            mode: RingMode::Parallel,
            from,
            to,
            headers: Vec::new(),
            body: body.into(),
            fallback: None,
            ring_limit: Duration::from_secs(180),
            silence_limit: None,
            cancel_reason: Vec::new(),
            follow_redirects: 0,
            refuse_forwarding: false,
        }
    }
}

/// One place to ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The Request-URI.
    pub uri: SipUri,
    /// The flow of a registered device or a trunk; else the edge resolves route or URI.
    pub flow: Option<Flow>,
    /// Preloaded route set.
    pub route: Vec<NameAddr>,
    /// Headers of this INVITE only. A `Contact` or `From` among them replaces the one of the others; the machine adds
    /// the tag, unless there is one. A `Call-ID` replaces the one the machine would make: with that and the tag an INVITE
    /// of an earlier process is sent once more.
    pub headers: ExtraHeaders,
    /// An answer that comes sooner than this after the INVITE is a machine's, a carrier's mailbox: it is acknowledged
    /// and ended, and the others go on ringing (routing.md 1.1, the voicemail escape timer).
    pub machine_within: Option<Duration>,
    /// The user whose device it is: what comes from another place than the device's must be proved to be his.
    pub owner: Option<UserUri>,
    /// What a challenge (401, 407) to any request of the call is answered with; without, it is a refusal.
    pub credentials: Option<Credentials>,
    /// An earlier process rang it, and it is only to be cancelled. Where its connection ended with that process, the INVITE
    /// waits for the device to register anew.
    pub repeated: bool,
}

impl Target {
    /// A target the edge finds by its URI.
    pub fn new(uri: SipUri) -> Self {
        Self {
            uri,
            flow: None,
            route: Vec::new(),
            headers: Vec::new(),
            machine_within: None,
            owner: None,
            credentials: None,
            repeated: false,
        }
    }
}

/// In which order the targets of an offer ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingMode {
    /// All at once.
    Parallel,
    /// One after another, in order.
    Serial {
        /// How long each may ring before the next one's turn.
        each: Duration,
    },
    /// Some at once, and the others together with them after a while, or as soon as nobody rings.
    Staged {
        /// How many of the targets ring at once; at least one does.
        first: usize,
        /// When the others join in.
        after: Duration,
    },
}
