//! Reliable provisional responses (RFC 3262), as pure rules for both sides.

use std::collections::VecDeque;

use base::{Duration, Timestamp};
use sip_api::{Headers, Request, Response};

use crate::timer::{T1, T1_64};

/// Reliable responses of one INVITE we were sent: one at a time waits for its PRACK, the others wait for it.
#[derive(Debug, Default)]
pub(crate) struct ReliableSender {
    last_rseq: u32,
    waiting: Option<Waiting>,
    queue: VecDeque<Response>,
}

#[derive(Debug)]
struct Waiting {
    response: Response,
    since: Timestamp,
    interval: Duration,
}

/// What a retransmission timer leads to.
#[derive(Debug)]
pub(crate) enum Retransmit {
    /// Send it again and come back then.
    Again(Box<Response>, Timestamp),
    /// 64*T1 passed without PRACK: the INVITE is to be refused (RFC 3262 3).
    GiveUp,
    /// Nothing waits.
    Idle,
}

impl ReliableSender {
    /// How many responses may wait behind the unacknowledged one.
    const QUEUE: usize = 8;

    /// Files a response; it may be sent now if it is returned, with the time of its first retransmission.
    pub(crate) fn send(
        &mut self,
        now: Timestamp,
        mut response: Response,
        random: u64,
    ) -> Option<(Response, Timestamp)> {
        if self.waiting.is_some() {
            if self.queue.len() < Self::QUEUE {
                self.queue.push_back(response);
            }
            return None;
        }
        // RFC 3262 3: the first value is chosen from 1 to 2^31 - 1, the next ones are greater by one.
        self.last_rseq = match self.last_rseq {
            0 => u32::try_from(random % 0x7fff_ffff).unwrap_or(0) + 1,
            last => last.saturating_add(1),
        };
        response.headers.push("Require", "100rel");
        response.headers.push("RSeq", self.last_rseq.to_string());
        self.waiting = Some(Waiting { response: response.clone(), since: now, interval: T1 });
        Some((response, now + T1))
    }

    /// The retransmission timer fired.
    pub(crate) fn retransmit(&mut self, now: Timestamp) -> Retransmit {
        let Some(waiting) = &mut self.waiting else { return Retransmit::Idle };
        if now.since(waiting.since) >= T1_64 {
            return Retransmit::GiveUp;
        }
        waiting.interval *= 2;
        Retransmit::Again(Box::new(waiting.response.clone()), (now + waiting.interval).min(waiting.since + T1_64))
    }

    /// A PRACK came; true if it acknowledges what waits. `cseq` is the INVITE's.
    pub(crate) fn acknowledge(&mut self, prack: &Request, cseq: u32) -> bool {
        let expected = [self.last_rseq.to_string(), cseq.to_string(), "INVITE".to_owned()];
        let rack = prack.headers.get("RAck").unwrap_or("");
        let matches = self.waiting.is_some() && rack.split_whitespace().eq(expected.iter().map(String::as_str));
        if matches {
            self.waiting = None;
        }
        matches
    }

    /// The next response that may be sent now.
    pub(crate) fn next(&mut self) -> Option<Response> {
        if self.waiting.is_none() { self.queue.pop_front() } else { None }
    }

    /// Whether the final 2xx must wait: a session description has not been acknowledged (RFC 3262 3).
    pub(crate) fn holds_back_answer(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| !waiting.response.body.is_empty())
    }
}

/// Reliable responses of one early dialog of an INVITE we sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReliableReceiver {
    last_rseq: Option<u32>,
}

impl ReliableReceiver {
    /// The RSeq to acknowledge, if the response asks for it and comes in order (RFC 3262 4).
    pub(crate) fn accept(&mut self, headers: &Headers) -> Option<u32> {
        if !headers.has_token("Require", "100rel") {
            return None;
        }
        let rseq: u32 = headers.get("RSeq")?.parse().ok()?;
        if self.last_rseq.is_some_and(|last| last.checked_add(1) != Some(rseq)) {
            return None;
        }
        self.last_rseq = Some(rseq);
        Some(rseq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_api::{Method, SipUri};

    fn prack(rack: &str) -> Request {
        let mut request = Request::new(Method::Prack, SipUri::sip(None, "x", None));
        request.headers.push("RAck", rack);
        request
    }

    #[test]
    fn one_response_waits_for_its_prack_and_the_next_follows() {
        let mut sender = ReliableSender::default();
        let (first, _) = sender.send(Timestamp::ZERO, Response::new(183), 41).expect("nothing waits");
        assert_eq!(first.headers.get("RSeq"), Some("42"));
        assert!(sender.send(Timestamp::ZERO, Response::new(180), 0).is_none());
        for wrong in ["41 1 INVITE", "42 2 INVITE", "42 1 UPDATE", "", "42 1 INVITE x"] {
            assert!(!sender.acknowledge(&prack(wrong), 1), "{wrong:?}");
        }
        assert!(sender.acknowledge(&prack("42 1 INVITE"), 1));
        assert!(!sender.acknowledge(&prack("42 1 INVITE"), 1), "only once");
        assert_eq!(sender.next().map(|response| response.status), Some(180));
    }

    #[test]
    fn retransmission_doubles_from_t1_and_gives_up_after_64_t1() {
        let mut sender = ReliableSender::default();
        let (_, mut at) = sender.send(Timestamp::ZERO, Response::new(180), 0).expect("nothing waits");
        let mut times = Vec::new();
        while let Retransmit::Again(_, next) = sender.retransmit(at) {
            times.push(at.as_micros() / 1_000);
            at = next;
        }
        assert_eq!(times, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
        assert_eq!(at, Timestamp::ZERO + T1_64);
    }

    #[test]
    fn responses_out_of_order_are_not_acknowledged() {
        let headers = |rseq: &str| Headers::new().with("Require", "100rel").with("RSeq", rseq);
        let mut receiver = ReliableReceiver::default();
        assert_eq!(receiver.accept(&Headers::new().with("RSeq", "1")), None);
        assert_eq!(receiver.accept(&headers("7")), Some(7));
        assert_eq!(receiver.accept(&headers("7")), None);
        assert_eq!(receiver.accept(&headers("9")), None);
        assert_eq!(receiver.accept(&headers("8")), Some(8));
    }
}
