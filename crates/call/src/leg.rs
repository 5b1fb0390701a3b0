//! One leg: where it stands, what its INVITE still needs, and the session it carries.

use std::collections::VecDeque;

use base::{LegId, OfferId, Termination, Timestamp};
use sip_api::{ClientTransactionId, Flow, NameAddr, Request, ServerTransactionId};

use crate::credentials::Authority;
use crate::dialogs::DialogId;
use crate::input::{Body, ExtraHeaders, Target};
use crate::reliable::{ReliableReceiver, ReliableSender};
use crate::session_timer::{SessionTimer, TimerRequest};
use crate::timer::Timer;

/// Where a leg stands. A leg that ended is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LegState {
    /// Incoming: the INVITE has no final response.
    Invited,
    /// Incoming: the 200 waits for the PRACK of early media (RFC 3262 3).
    Answering,
    /// Incoming: the 200 waits for its ACK.
    Answered,
    /// Dialled: its turn has not come.
    Queued,
    /// Dialled: nothing but 100 came.
    Calling,
    /// Dialled: it rings.
    Ringing,
    /// Dialled: given up, its INVITE is not over.
    Cancelling,
    /// The session stands.
    Connected,
    /// Incoming: to be ended, but BYE must wait for the ACK (RFC 3261 15).
    Leaving,
}

impl LegState {
    /// The state as a word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Answering => "answering",
            Self::Answered => "answered",
            Self::Queued => "queued",
            Self::Calling => "calling",
            Self::Ringing => "ringing",
            Self::Cancelling => "cancelling",
            Self::Connected => "connected",
            Self::Leaving => "leaving",
        }
    }
}

/// One leg.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) state: LegState,
    /// The dialog; of a dialled leg from the answer on.
    pub(crate) dialog: Option<DialogId>,
    pub(crate) invite: Invite,
    pub(crate) session: Session,
    /// How it is to end, once it can.
    pub(crate) ending: Option<Ending>,
}

/// What the first INVITE of a leg still needs.
#[derive(Debug)]
pub(crate) enum Invite {
    /// We were called.
    Incoming(Box<Incoming>),
    /// We call.
    Outgoing(Box<Outgoing>),
}

/// Call-ID, From tag and CSeq of an INVITE: what a merged request has in common (RFC 3261 8.2.2.2).
pub(crate) type Caller = (String, String, u32);

/// An INVITE we were sent.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) transaction: ServerTransactionId,
    pub(crate) caller: Caller,
    /// Whether it carried an offer.
    pub(crate) offered: bool,
    pub(crate) timer: TimerRequest,
    pub(crate) reliable_supported: bool,
    pub(crate) reliable_required: bool,
    pub(crate) reliable: ReliableSender,
    /// The last provisional response, for repeating it.
    pub(crate) progress: Option<(u16, bool)>,
    /// The answer that waits for a PRACK.
    pub(crate) accepted: Option<(Option<Body>, ExtraHeaders)>,
}

/// An INVITE of ours.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) offer: OfferId,
    pub(crate) target: Target,
    /// The Call-ID, once it has been sent.
    pub(crate) call_id: Option<String>,
    /// The running transaction; none before the leg's turn.
    pub(crate) transaction: Option<ClientTransactionId>,
    /// Whether any response came in that transaction.
    pub(crate) heard: bool,
    pub(crate) early: Vec<Early>,
    pub(crate) redirects_left: u8,
    /// Until when an answer is taken for a machine's.
    pub(crate) machine_until: Option<Timestamp>,
    /// The offer has been replaced by the dial's fallback.
    pub(crate) fell_back: bool,
    /// PRACKs without a response, bounded against a callee who counts RSeq up for ever.
    pub(crate) pracks: usize,
    /// Tags of callees whose BYE has come before their 200.
    pub(crate) departed: Vec<String>,
}

/// An early dialog of a dialled leg.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) dialog: DialogId,
    pub(crate) tag: String,
    pub(crate) reliable: ReliableReceiver,
    /// The answer, if a reliable response carried it.
    pub(crate) answer: Option<Body>,
    /// It is over (199), but its numbers are remembered, in case the callee answers in it all the same.
    pub(crate) closed: bool,
}

/// The session of a leg: offers and answers, session timer, INFO.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) exchange: Exchange,
    /// The next offer of ours, not sent yet.
    pub(crate) wanted: Option<Body>,
    /// An offer is to be asked for.
    pub(crate) offer_asked: bool,
    /// A refresh is due.
    pub(crate) refresh_wanted: bool,
    /// Whom the peer is connected with, while he has not been told: headers, and our new `From`.
    pub(crate) identity: Option<(ExtraHeaders, Option<NameAddr>)>,
    /// An UPDATE without a body is under way to refresh the session.
    pub(crate) refreshing: bool,
    /// The last description we sent: the one a refreshing re-INVITE repeats.
    pub(crate) local: Option<Body>,
    pub(crate) timer: Option<SessionTimer>,
    /// Whether the peer allows UPDATE.
    pub(crate) peer_updates: bool,
    /// Whether he says that he allows INVITE.
    pub(crate) peer_reinvites: bool,
    /// Whether the Call-ID is ours, which decides about the glare delay.
    pub(crate) owns_call_id: bool,
    /// What challenges are answered with, and those met so far.
    pub(crate) authority: Option<Authority>,
    /// INFO requests of the peer that above has not answered.
    pub(crate) infos_received: Vec<ServerTransactionId>,
    /// INFO requests of ours that wait for the one under way.
    pub(crate) infos_waiting: VecDeque<(Body, Option<Body>)>,
    pub(crate) info_under_way: bool,
    /// What is sent in place of the one under way when that is too long.
    pub(crate) info_instead: Option<Body>,
}

/// Where the exchange of offer and answer stands (RFC 3264, RFC 6337).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Exchange {
    /// The first one is not over.
    Initial,
    /// None is under way.
    Stable,
    /// Our re-INVITE has no final response.
    Sent {
        /// Asked for from above; else it is a refresh.
        reoffer: bool,
        /// What it offers.
        body: Option<Body>,
    },
    /// Above has not decided about the peer's offer.
    Received(Received),
    /// Our 200 to an INVITE has no ACK.
    Unacknowledged {
        transaction: ServerTransactionId,
        cseq: u32,
        /// Whether the 200 carried the offer, so that the ACK carries the answer.
        offer_sent: bool,
    },
    /// The peer's 200 carried the offer, and above has not answered it: the ACK waits.
    AckOwed(Box<OwedAck>),
}

/// The ACK of a 2xx with an offer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwedAck {
    pub(crate) transaction: ClientTransactionId,
    /// The To tag of the 2xx.
    pub(crate) tag: String,
    pub(crate) ack: Request,
    pub(crate) flow: Option<Flow>,
}

/// A re-INVITE or UPDATE of the peer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Received {
    pub(crate) transaction: ServerTransactionId,
    /// INVITE; else UPDATE.
    pub(crate) invite: bool,
    pub(crate) cseq: u32,
    /// Whether it carried an offer; else it asks for one.
    pub(crate) offered: bool,
    pub(crate) timer: TimerRequest,
}

/// How a leg is to end.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) termination: Termination,
    pub(crate) reason: Vec<String>,
}

impl Leg {
    /// A leg in its first state.
    pub(crate) fn new(state: LegState, invite: Invite) -> Self {
        let owns_call_id = matches!(invite, Invite::Outgoing(_));
        Self { state, dialog: None, invite, session: Session::new(owns_call_id), ending: None }
    }

    /// The INVITE we were sent.
    pub(crate) fn incoming(&mut self) -> Option<&mut Incoming> {
        match &mut self.invite {
            Invite::Incoming(incoming) => Some(incoming),
            Invite::Outgoing(_) => None,
        }
    }

    /// The INVITE of ours.
    pub(crate) fn outgoing(&mut self) -> Option<&mut Outgoing> {
        match &mut self.invite {
            Invite::Outgoing(outgoing) => Some(outgoing),
            Invite::Incoming(_) => None,
        }
    }

    /// Where it rings, and whether any response came to its INVITE; `None` when the INVITE is not ours.
    pub(crate) fn dialled(&self) -> Option<(&Target, bool)> {
        match &self.invite {
            Invite::Outgoing(outgoing) => Some((&outgoing.target, outgoing.heard)),
            Invite::Incoming(_) => None,
        }
    }

    /// Whether its first INVITE has been answered.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self.state, LegState::Answered | LegState::Leaving | LegState::Connected)
    }

    /// Every dialog it uses.
    pub(crate) fn dialogs(&self) -> Vec<DialogId> {
        let early: &[Early] = match &self.invite {
            Invite::Outgoing(outgoing) => &outgoing.early,
            Invite::Incoming(_) => &[],
        };
        self.dialog.into_iter().chain(early.iter().map(|early| early.dialog)).collect()
    }

    /// Every timer it can have armed.
    pub(crate) fn timers(id: LegId) -> [Timer; 9] {
        [
            Timer::Silence(id),
            Timer::CancelGuard(id),
            Timer::Unanswered(id),
            Timer::KeepRinging(id),
            Timer::Reliable(id),
            Timer::Decision(id),
            Timer::Glare(id),
            Timer::Refresh(id),
            Timer::Expiry(id),
        ]
    }
}

impl Session {
    /// Remembers a body we sent, if it describes the session: only such a one may be repeated by a refresh.
    pub(crate) fn remember(&mut self, sent: Option<&Body>) {
        if let Some(body) = sent.filter(|body| body.describes_session()) {
            self.local = Some(body.clone());
        }
    }

    fn new(owns_call_id: bool) -> Self {
        Self {
            exchange: Exchange::Initial,
            wanted: None,
            offer_asked: false,
            refresh_wanted: false,
            refreshing: false,
            local: None,
            timer: None,
            identity: None,
            peer_updates: false,
            peer_reinvites: false,
            owns_call_id,
            authority: None,
            infos_received: Vec::new(),
            infos_waiting: VecDeque::new(),
            info_under_way: false,
            info_instead: None,
        }
    }
}
