//! One call of a caller: what he sent last, and how far it has come.

use std::time::{Duration, Instant};

use testkit::{Credentials, SipMessage, uri_of};

use crate::signalling::sdp::Offer;

/// RFC 3261 17.1.1.1: the round trip that is assumed.
const T1: Duration = Duration::from_millis(500);
/// RFC 3261 17.1.1.2, Timer B: when an unanswered request has failed.
const GIVE_UP: Duration = Duration::from_secs(32);
/// The status of a request nobody answered.
pub const REQUEST_TIMEOUT: u16 = 408;

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// Sent, not finally answered.
    Calling,
    /// Answered with 200.
    Answered,
    /// BYE is sent.
    Leaving,
    /// Refused, or nobody answered.
    Failed,
}

/// One call or registration.
pub struct Call {
    /// Whose.
    pub caller: usize,
    /// The request that awaits an answer, or did last.
    pub request: SipMessage,
    /// Who answers a challenge.
    pub credentials: Option<Credentials>,
    /// What was offered; a registration offers nothing.
    pub offer: Option<Offer>,
    /// How far it has come.
    pub state: CallState,
    /// When the request is repeated next, and the pause after that.
    pub repeat: Option<(Instant, Duration)>,
    sent: Instant,
    invite: SipMessage,
    /// From, To and request URI of our requests inside the dialog.
    dialog: Option<(String, String, String)>,
    cseq: u32,
}

impl Call {
    /// The call a request opens, which is sent now.
    pub fn new(caller: usize, request: SipMessage, credentials: Option<Credentials>, offer: Option<Offer>) -> Self {
        let now = Instant::now();
        Self {
            caller,
            cseq: request.cseq(),
            invite: request.clone(),
            request,
            credentials,
            offer,
            state: CallState::Calling,
            repeat: Some((now + T1, 2 * T1)),
            sent: now,
            dialog: None,
        }
    }

    /// The call an INVITE to us opened, answered with our `tag`.
    pub fn answering(caller: usize, invite: &SipMessage, tag: &str) -> Self {
        let from = format!("{};tag={tag}", invite.header("To").unwrap_or_default());
        let to = invite.header("From").unwrap_or_default().to_owned();
        let target = uri_of(invite.header("Contact").unwrap_or_default()).to_owned();
        let mut call = Self::new(caller, invite.clone(), None, None);
        call.state = CallState::Answered;
        call.repeat = None;
        call.cseq = 0;
        call.dialog = Some((from, to, target));
        call
    }

    /// The CSeq of the request that opened it.
    pub fn cseq(&self) -> u32 {
        self.invite.cseq()
    }

    /// Whether anything can still come for it. A registration that was accepted is done.
    pub fn is_remembered(&self) -> bool {
        match self.state {
            CallState::Calling | CallState::Leaving => true,
            CallState::Answered => self.dialog.is_some(),
            CallState::Failed => false,
        }
    }

    /// Whether the request must be sent again now. A request nobody answers fails in the end.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let is_open = matches!(self.state, CallState::Calling | CallState::Leaving);
        if is_open && now > self.sent + GIVE_UP {
            self.failed(REQUEST_TIMEOUT);
        }
        match self.repeat {
            Some((at, pause)) if now >= at && is_open => {
                self.repeat = Some((now + pause, pause * 2));
                true
            }
            _ => false,
        }
    }

    /// A 2xx came.
    pub fn answered(&mut self, response: &SipMessage) {
        self.state = CallState::Answered;
        self.repeat = None;
        if self.offer.is_some() {
            let target = response.header("Contact").map_or(self.invite.uri(), uri_of).to_owned();
            let header = |message: &SipMessage, name| message.header(name).unwrap_or_default().to_owned();
            self.dialog = Some((header(&self.invite, "From"), header(response, "To"), target));
        }
    }

    /// A final refusal came.
    pub fn failed(&mut self, _status: u16) {
        self.state = CallState::Failed;
        self.repeat = None;
    }

    /// Becomes the same request with the answer to a challenge (RFC 3261 22.2).
    pub fn try_again(&mut self, via: &str, header: &str, value: String) {
        let mut request = self.invite.clone();
        let cseq = format!("{} {}", request.cseq() + 1, request.method());
        request.set("Via", via);
        request.set("CSeq", cseq);
        request.set(header, value);
        self.cseq = request.cseq();
        self.sent = Instant::now();
        self.repeat = Some((self.sent + T1, 2 * T1));
        self.request = request.clone();
        self.invite = request;
    }

    /// Becomes a BYE.
    pub fn leave(&mut self, via: &str) {
        let Some((from, to, target)) = &self.dialog else { return };
        self.cseq += 1;
        self.request = SipMessage::request("BYE", target)
            .with("Via", via)
            .with("Max-Forwards", "70")
            .with("From", from)
            .with("To", to)
            .with("Call-ID", self.invite.call_id())
            .with("CSeq", format!("{} BYE", self.cseq));
        self.state = CallState::Leaving;
        self.sent = Instant::now();
        self.repeat = Some((self.sent + T1, 2 * T1));
    }

    /// A request inside the dialog that `answer` made.
    pub fn inside(&self, method: &str, cseq: u32, answer: &SipMessage, via: &str) -> SipMessage {
        let target = answer.header("Contact").map_or(self.invite.uri(), uri_of);
        SipMessage::request(method, target)
            .with("Via", via)
            .with("Max-Forwards", "70")
            .with("From", self.invite.header("From").unwrap_or_default())
            .with("To", answer.header("To").unwrap_or_default())
            .with("Call-ID", self.invite.call_id())
            .with("CSeq", format!("{cseq} {method}"))
    }

    /// The ACK of a refusal.
    pub fn acknowledgement_of(&self, refusal: &SipMessage) -> SipMessage {
        self.invite.acknowledging(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unanswered_request_is_repeated_ever_more_rarely_and_then_fails() {
        let mut call = Call::new(1, SipMessage::request("INVITE", "sip:a@b"), None, None);
        let start = Instant::now();
        let sends = (0..400).filter(|step| call.is_due(start + Duration::from_millis(step * 100))).count();
        assert_eq!(sends, 6);
        assert_eq!(call.state, CallState::Failed);
    }

    #[test]
    fn whoever_was_called_can_hang_up() {
        let invite = SipMessage::request("INVITE", "sip:ann@h")
            .with("From", "<sip:room@d>;tag=r")
            .with("To", "<sip:ann@d>")
            .with("Call-ID", "c")
            .with("CSeq", "1 INVITE")
            .with("Contact", "<sip:leg1@127.0.0.1:5060>");
        let mut call = Call::answering(1, &invite, "t");
        call.leave("SIP/2.0/UDP h;branch=z9hG4bK1");
        assert_eq!(call.request.start_line, "BYE sip:leg1@127.0.0.1:5060 SIP/2.0");
        assert_eq!((call.request.tag("From"), call.request.tag("To"), call.request.cseq()), (Some("t"), Some("r"), 1));
    }
}
