//! Datagrams, and the network that delays, loses, doubles and reorders them.

use std::net::SocketAddr;

use base::Duration;
use sip_api::{Method, Request, Response};

use crate::dice::Dice;
use crate::swarm::Swarm;

/// What RFC 3261 17.2.3 matches transactions by: who made the request, and the branch he gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Branch {
    pub(crate) owner: SocketAddr,
    pub(crate) number: u64,
}

/// A SIP message.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Request(Request),
    Response(Response),
}

/// A datagram.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) branch: Branch,
    pub(crate) message: Message,
}

impl Packet {
    /// Whether it belongs to a CANCEL, which shares its branch with the INVITE it cancels.
    pub(crate) fn is_of_cancel(&self) -> bool {
        match &self.message {
            Message::Request(request) => request.method == Method::Cancel,
            Message::Response(response) => cseq_method(response) == Some("CANCEL"),
        }
    }

    /// One line for the story.
    pub(crate) fn summary(&self) -> String {
        let (headers, start, body) = match &self.message {
            Message::Request(request) => (&request.headers, request.method.to_string(), &request.body),
            Message::Response(response) => {
                let method = cseq_method(response).unwrap_or("?");
                (&response.headers, format!("{} ({method})", response.status), &response.body)
            }
        };
        let of = |name: &str| headers.get(name).unwrap_or("-").to_owned();
        let state = headers.get("Subscription-State").map(|state| format!(" {state}")).unwrap_or_default();
        let bytes = body.len();
        format!("{start} call {} cseq {}{state} body {bytes}", of("Call-ID"), of("CSeq"))
    }
}

/// The method in a response's CSeq.
pub(crate) fn cseq_method(response: &Response) -> Option<&str> {
    response.headers.get("CSeq")?.split_whitespace().nth(1)
}

/// How the datagrams of a run fare.
#[derive(Debug)]
pub(crate) struct Network {
    loss: f64,
    duplicates: f64,
    delay_ms: u64,
    jitter_ms: u64,
}

impl Network {
    /// The network of a seed.
    pub(crate) fn new(dice: &mut Dice, swarm: &Swarm) -> Self {
        let up_to = |on: bool, dice: &mut Dice, most: u64| if on { dice.between(1, most) } else { 0 };
        Self {
            // One datagram in eight at most: a request is repeated ten times, so that none times out by loss alone.
            loss: up_to(swarm.loss, dice, 12) as f64 / 100.0,
            duplicates: up_to(swarm.duplicates, dice, 20) as f64 / 100.0,
            delay_ms: dice.between(0, 80),
            jitter_ms: if swarm.reordering { dice.between(20, 400) } else { 2 },
        }
    }

    /// After which times copies of one datagram arrive; none when it is lost.
    pub(crate) fn arrivals(&self, dice: &mut Dice) -> Vec<Duration> {
        let copies = if dice.chance(self.duplicates) { 2 } else { 1 };
        let mut arrivals = Vec::new();
        for _ in 0..copies {
            if !dice.chance(self.loss) {
                arrivals.push(dice.millis(self.delay_ms, self.delay_ms + self.jitter_ms));
            }
        }
        arrivals
    }
}
