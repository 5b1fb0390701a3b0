//! Another connection for a request whose own breaks before its final response.
//!
//! The request has not failed then. RFC 3261 17.1.4 means a message that could not be sent; whoever has got this one goes on with
//! it, and opens a connection to the address in our Via for what he answers (18.2.2). But a CANCEL needs a way to him; what was
//! under way is gone with the connection, and over a reliable transport nobody repeats it. So a connection is opened to where he
//! listens (12.2.1.1), and the same request is sent over it. To him it is a retransmission, to which he repeats his last response
//! (17.2.1, 17.2.2); if he has lost all he knew with the connection, it is the call he has not heard of.
//!
//! Once for each transaction: a peer who closes a second one on us does not want it. Where nobody listens (a phone that keeps
//! its flow open from behind address translation, RFC 5626), there is no way to stop what was asked of him, and the request fails
//! at once, so that somebody else is asked.

use std::pin::Pin;

use sip_api::{Flow, Request};

use super::client::hop_for;
use super::*;

/// The connection a transaction may have in place of its first.
#[derive(Default)]
pub(super) enum Spare {
    /// It was never needed.
    #[default]
    Unused,
    /// It is being opened.
    Sought(Pin<Box<dyn Future<Output = Option<Link>> + Send>>),
    /// It was opened.
    Used,
}

impl Spare {
    /// Looks for it; there is none when it was used already.
    pub(super) fn seek(&mut self, search: impl Future<Output = Option<Link>> + Send + 'static) {
        *self = match self {
            Self::Unused => Self::Sought(Box::pin(search)),
            Self::Sought(_) | Self::Used => Self::Sought(Box::pin(std::future::ready(None))),
        };
    }

    /// Whether it is being opened.
    pub(super) fn is_sought(&self) -> bool {
        matches!(self, Self::Sought(_))
    }

    /// Resolves when it is open, or cannot be opened; never when it is not sought. May be given up and called again.
    pub(super) async fn found(&mut self) -> Option<Link> {
        let Self::Sought(search) = self else { return std::future::pending().await };
        let found = search.await;
        *self = Self::Used;
        found
    }
}

impl Stack {
    /// Another link to him to whom this request went by a flow that is no more, and to nobody else a name may stand for: a
    /// CANCEL must reach whom the INVITE has reached (RFC 3261 9.1).
    pub(super) async fn link_in_place_of(&self, request: &Request, lost: &Flow) -> Option<Link> {
        let hop = hop_for(request, Some(lost))?;
        let places = self.hub.locate(&hop).await;
        for place in places.into_iter().filter(|place| place.address.ip() == lost.remote.ip()) {
            if let Some(link) = self.hub.link_at(&hop, place).await {
                return Some(link);
            }
        }
        None
    }
}
