//! What comes out of the machine: SIP commands, and what became of the calls.

use base::{Duration, LegId, OfferId, SubscriptionId, Termination, UserUri};
use sip_api::{Flow, Headers, NameAddr, Request, ServerTransactionId, SipCommand, SipUri};

use crate::credentials::Unanswered;
use crate::input::Body;

/// Everything the machine says.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// For the edge.
    Sip(SipCommand),

    /// Somebody calls. Wants `Accept`, `Reject`, `Challenge` or `HangUp`.
    Incoming {
        /// The new leg.
        leg: LegId,
        /// The call.
        call: Box<Invitation>,
    },
    /// A request outside any dialog that is not for this machine: SERVICE, OPTIONS, MESSAGE, PUBLISH, and NOTIFY
    /// without a dialog. Wants `RespondOther`.
    OutOfDialog {
        /// Where to respond.
        transaction: ServerTransactionId,
        /// The request.
        request: Box<Request>,
        /// Where it came from.
        flow: Flow,
        /// The authenticated user.
        user: Option<UserUri>,
    },

    /// A dialled leg rings, or sends early media.
    Ringing {
        /// The offer.
        offer: OfferId,
        /// The leg.
        leg: LegId,
        /// 180 to 189.
        status: u16,
        /// The answer as early media. A preview, until [`Output::Answered`] repeats or replaces it.
        body: Option<Body>,
        /// How many early dialogs the leg has; with more than one, early media is ambiguous.
        early_dialogs: usize,
    },
    /// A leg answered and won its offer. The others are being cancelled and end with `AnsweredElsewhere`.
    Answered {
        /// The offer.
        offer: OfferId,
        /// The winner.
        leg: LegId,
        /// The answer: of the 200, or of a reliable provisional response before it. When the dial made no offer this is
        /// one, and wants `AnswerOffer`.
        body: Option<Body>,
        /// The headers of the 200.
        headers: Box<Headers>,
    },
    /// Nobody can answer this offer any more. Legs that are still being cancelled end a little later.
    OfferFailed {
        /// The offer.
        offer: OfferId,
        /// The best failure by RFC 3261 16.7 (6xx first, then the lowest class).
        termination: Termination,
        /// Its status, if it came from the network.
        status: Option<u16>,
    },
    /// The caller acknowledged our 200: an incoming leg is connected.
    Confirmed {
        /// The leg.
        leg: LegId,
        /// The answer, if the offer was ours.
        body: Option<Body>,
    },

    /// The peer offers a new session description by re-INVITE or UPDATE. Wants `AnswerOffer` or `RefuseOffer`.
    Offered {
        /// The leg.
        leg: LegId,
        /// The offer; `None` asks us for one.
        body: Option<Body>,
    },
    /// The peer cancelled his re-INVITE, or nobody above decided in time; no answer is wanted any more.
    OfferWithdrawn {
        /// The leg.
        leg: LegId,
    },
    /// The peer answered our `Reoffer`, or the offer in our 200 to a re-INVITE without one; or he makes the offer that
    /// `AskForOffer` asked for, which wants `AnswerOffer`.
    ReofferAnswered {
        /// The leg.
        leg: LegId,
        /// The answer, or the status of the refusal; the session then stays as it was.
        result: Result<Option<Body>, u16>,
    },
    /// The peer answered the re-INVITE by which the machine refreshed the session; the answer may have changed.
    Refreshed {
        /// The leg.
        leg: LegId,
        /// The answer.
        body: Body,
    },

    /// An INFO inside a dialog. Wants `RespondInfo`.
    Info {
        /// The leg.
        leg: LegId,
        /// The request.
        id: ServerTransactionId,
        /// The body, if any.
        body: Option<Body>,
        /// The headers.
        headers: Box<Headers>,
    },
    /// What became of a `SendInfo`, in order.
    InfoAnswered {
        /// The leg.
        leg: LegId,
        /// The final status; `None` when it was never answered.
        status: Option<u16>,
    },
    /// A request of ours was challenged and the challenge cannot be answered: the request fails with its 401 or 407.
    /// For the operator; what it means for the call follows.
    Unauthorized {
        /// The leg.
        leg: LegId,
        /// The Request-URI of the challenged request.
        uri: SipUri,
        /// Why there is no answer.
        why: Unanswered,
    },

    /// A REFER inside a dialog. Wants `RespondRefer`.
    Referred {
        /// The leg that asks.
        leg: LegId,
        /// The implicit subscription; names the transfer in `RespondRefer` and `ReferProgress`.
        refer: SubscriptionId,
        /// Whom to call; `Replaces` is in the URI's header part.
        refer_to: Box<NameAddr>,
        /// Who asks (RFC 3892).
        referred_by: Option<Box<NameAddr>>,
    },
    /// A REFER outside any dialog (RFC 4579 5.5). Wants `RespondRefer` or `ChallengeSubscription`.
    ReferredFromOutside {
        /// The implicit subscription; names the transfer in `RespondRefer` and `ReferProgress`.
        refer: SubscriptionId,
        /// Whom to call; `Replaces` is in the URI's header part.
        refer_to: Box<NameAddr>,
        /// The REFER.
        request: Box<Request>,
        /// The authenticated user.
        user: Option<UserUri>,
    },

    /// A new subscription. Wants `AcceptSubscription` or `RejectSubscription`.
    Subscribed {
        /// The subscription.
        subscription: SubscriptionId,
        /// The leg in whose dialog it was sent, if it was.
        leg: Option<LegId>,
        /// The event package, without parameters.
        event: String,
        /// The SUBSCRIBE.
        request: Box<Request>,
        /// The authenticated user.
        user: Option<UserUri>,
        /// The time asked for; zero is a mere fetch.
        expires: Duration,
    },
    /// The full state is due: the subscriber refreshed, or so many notifications waited that they were dropped.
    SubscriptionRefreshed {
        /// The subscription.
        subscription: SubscriptionId,
    },
    /// An accepted subscription ended, for whatever reason; exactly once.
    SubscriptionEnded {
        /// The subscription.
        subscription: SubscriptionId,
    },

    /// A leg ended. Exactly once for each leg announced or dialled; nothing about it follows.
    ///
    /// A connected leg ends when BYE is sent or received (RFC 3261 15.1.1), a cancelled one when its INVITE is really
    /// over, so that a phone is not called while it may still ring. A dialled leg without an `Answered` that ends as
    /// completed is a callee's who answered and hung up, and whose BYE was heard of before his 200.
    Ended {
        /// The leg.
        leg: LegId,
        /// How it ended.
        termination: Termination,
        /// The status that ended it, if it was one.
        status: Option<u16>,
        /// The headers of the message that ended it (`Reason`, `Retry-After`, `Contact` of a redirection ...); empty
        /// when it was ended from this side.
        headers: Box<Headers>,
    },
}

impl Output {
    /// The leg whose call, dialog or end this is about. `None` for what is about an offer as a whole, about no leg, or about
    /// a request that does not count for its leg.
    pub fn leg(&self) -> Option<LegId> {
        match self {
            Self::Incoming { leg, .. }
            | Self::Ringing { leg, .. }
            | Self::Answered { leg, .. }
            | Self::Confirmed { leg, .. }
            | Self::Offered { leg, .. }
            | Self::OfferWithdrawn { leg }
            | Self::ReofferAnswered { leg, .. }
            | Self::Refreshed { leg, .. }
            | Self::Info { leg, .. }
            | Self::InfoAnswered { leg, .. }
            | Self::Referred { leg, .. }
            | Self::Ended { leg, .. } => Some(*leg),
            _ => None,
        }
    }
}

/// An INVITE that opens a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Invitation {
    /// The request, whole; `Replaces`, `P-Asserted-Identity` and the like are in its headers.
    pub request: Request,
    /// Who calls.
    pub from: NameAddr,
    /// Who is called.
    pub to: NameAddr,
    /// The offer, or another body (C3P on a Focus dialog); without one, the offer is ours to make.
    pub body: Option<Body>,
    /// Where it came from.
    pub flow: Flow,
    /// The authenticated user.
    pub user: Option<UserUri>,
    /// Whether the caller knows session timers: `Supported: timer` or `Session-Expires` (ErrorId 3010 if not).
    pub session_timer: bool,
    /// Whether a provisional response can be sent reliably: the caller supports or requires 100rel.
    pub reliable_provisional: bool,
}
