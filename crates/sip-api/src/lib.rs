//! The contract between the SIP edge (crate `sip`) and the control side (crates `call` and `engine`).
//!
//! Messages are plain values, transactions are ids, and everything that crosses is a [`SipEvent`] (edge to control) or
//! a [`SipCommand`] (control to edge). The edge owns sockets, Via, branches, retransmission, the ACK of non-2xx finals
//! and the challenges to our peers; the control side owns dialogs: Call-ID, tags, CSeq, route sets, the ACK of 2xx, the
//! answers to our peers' challenges, and what a message means. The arithmetic of digest, which both need, is here.
//!
//! Must not know: sockets, any SIP library, any machine.
//! Start reading at [`SipEvent`] and [`SipCommand`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod abilities;
mod digest;
mod headers;
mod message;
mod uri;

use base::UserUri;
use std::net::SocketAddr;

pub use abilities::{ACCEPT, ALLOW, SUPPORTED, is_supported};
pub use digest::{DigestAlgorithm, DigestParams};
pub use headers::{Headers, header_parameter, same_header_name};
pub use message::{Method, Request, Response, reason_phrase};
pub use uri::{NameAddr, ParseError, Scheme, SipUri};

/// A server transaction of the edge: one request that wants exactly one final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerTransactionId(pub u64);

/// A client transaction of the edge. The control side chooses the number; it is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientTransactionId(pub u64);

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream in the clear.
    Tcp,
    /// A stream under TLS.
    Tls,
}

impl Transport {
    /// The token of the `transport` URI parameter, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// The way one peer is reached: where a request came from, or where the next one must go.
///
/// A request sent to the flow of a stream uses the connection that is open, and opens one only if there is none
/// (RFC 5923 in spirit, so that phones behind NAT are reached).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The transport.
    pub transport: Transport,
    /// Our address on it.
    pub local: SocketAddr,
    /// The peer's address on it.
    pub remote: SocketAddr,
}

/// One registered device of a user (RFC 3261 10.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The Contact URI as registered.
    pub contact: SipUri,
    /// Route set to it (RFC 3327), usually empty.
    pub path: Vec<NameAddr>,
    /// The flow the registration came in on; requests go back on it.
    pub flow: Flow,
    /// `+sip.instance` of the device, if it gave one.
    pub instance: Option<String>,
    /// Preference from 0 to 1000 (`q` times 1000).
    pub preference: u16,
}

/// Why a client transaction ended without a final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientFailure {
    /// Timer B, F or C: nobody answered.
    Timeout,
    /// The message could not be sent.
    Transport,
    /// The message is longer than a datagram, and the peer takes no connection (RFC 3261 18.1.1).
    TooLong,
}

/// What the edge tells the control side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SipEvent {
    /// A well-formed request other than ACK, CANCEL and REGISTER arrived; it wants exactly one final response.
    ///
    /// The edge has answered 100 to an INVITE already. `user` is who proved his identity by digest or by a client
    /// certificate on this very request; outside a dialog `From` agrees with it, or the edge has refused. Inside a
    /// dialog the control side knows whom the dialog belongs to, and `user` is usually `None`.
    Request {
        /// Where to respond.
        transaction: ServerTransactionId,
        /// The request.
        request: Request,
        /// Where it came from.
        flow: Flow,
        /// The authenticated user's address of record.
        user: Option<UserUri>,
    },
    /// The ACK of a 2xx arrived.
    Ack {
        /// The ACK, which may carry the answer.
        request: Request,
        /// Where it came from.
        flow: Flow,
    },
    /// A CANCEL for an INVITE that has no final response yet. The edge has answered it with 200; the control side must
    /// still respond 487 to the INVITE.
    Cancelled {
        /// The INVITE's transaction.
        transaction: ServerTransactionId,
        /// The CANCEL's `Reason` headers (RFC 3326), for passing on.
        reason: Vec<String>,
    },
    /// A 2xx was retransmitted for 64*T1 and no ACK came (RFC 3261 13.3.1.4).
    AckMissing {
        /// The INVITE's transaction.
        transaction: ServerTransactionId,
    },
    /// A response to one of our requests. Retransmissions are filtered, except that each 2xx with a new To tag and
    /// each retransmission of a 2xx is delivered (the control side answers each with an ACK).
    Response {
        /// The transaction.
        transaction: ClientTransactionId,
        /// The response.
        response: Response,
        /// Where it came from.
        flow: Flow,
    },
    /// A client transaction ended without a final response.
    Failed {
        /// The transaction.
        transaction: ClientTransactionId,
        /// Why.
        failure: ClientFailure,
    },
    /// The devices of a user changed. The full list; empty when the last one went away.
    BindingsChanged {
        /// The user's address of record.
        user: UserUri,
        /// His devices, best first.
        bindings: Vec<Binding>,
    },
}

/// What the control side wants of the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SipCommand {
    /// Respond to a request. Provisional responses may be many, the final one is exactly one; the edge retransmits a
    /// 2xx to INVITE until its ACK arrives. The edge adds Via, From, Call-ID, CSeq, Record-Route (copied from the
    /// request), Content-Length and, if absent, a To tag and Server; `response` carries the rest (To with tag, Contact,
    /// body ...).
    Respond {
        /// The request's transaction.
        transaction: ServerTransactionId,
        /// The response.
        response: Response,
    },
    /// Refuse a request with 401 and fresh challenges (SHA-256 first, then MD5).
    Challenge {
        /// The request's transaction.
        transaction: ServerTransactionId,
    },
    /// Send a request in a new client transaction. The edge adds Via, Content-Length, and, if absent, Max-Forwards 70
    /// and User-Agent; everything else (From, To, Call-ID, CSeq, Route, Contact) is the control side's. Without a flow
    /// the next hop is the first Route, else the Request-URI, resolved by RFC 3263. The edge replaces the host
    /// part `0.0.0.0:0` in the Contact by the local address of the flow it chooses.
    Send {
        /// The new transaction.
        transaction: ClientTransactionId,
        /// The request.
        request: Request,
        /// Where to send it. A connection that is no more is no flow.
        flow: Option<Flow>,
    },
    /// Send the ACK of a 2xx: outside any transaction, once for each 2xx delivered. A 2xx that makes the offer is
    /// acknowledged when there is an answer; until then its retransmissions get nothing.
    SendAck {
        /// The ACK.
        request: Request,
        /// Where to send it; as for [`SipCommand::Send`].
        flow: Option<Flow>,
    },
    /// Send a request that is never answered, outside any transaction: BENOTIFY (c3p.md 3.1). For a reliable transport
    /// only; whether it came is not told.
    SendUnanswered {
        /// The request.
        request: Request,
        /// Where to send it; as for [`SipCommand::Send`].
        flow: Option<Flow>,
    },
    /// CANCEL an INVITE of ours. The edge waits for the first provisional response if there was none yet (RFC 3261
    /// 9.1); whatever final response comes is delivered as usual.
    Cancel {
        /// The INVITE's transaction.
        transaction: ClientTransactionId,
        /// `Reason` header values to put on the CANCEL.
        reason: Vec<String>,
    },
}

/// The host part the edge replaces in a Contact that the control side wrote; see [`SipCommand::Send`].
pub const CONTACT_PLACEHOLDER: &str = "0.0.0.0:0";
