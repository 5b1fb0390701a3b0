//! One call of a synthetic caller: what it sent last, and how far it has come.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use testkit::{SipMessage, uri_of};

/// RFC 3261 17.1.1.1: the round trip that is assumed.
const T1: Duration = Duration::from_millis(500);
/// RFC 3261 17.1.1.2, Timer B: when an unanswered request has failed.
const GIVE_UP: Duration = Duration::from_secs(32);
/// The status of a request nobody answered.
const REQUEST_TIMEOUT: u16 = 408;

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallState {
    /// Sent, not finally answered.
    Calling,
    /// Answered with 200.
    Answered,
    /// BYE is sent.
    Leaving,
    /// BYE is answered.
    Ended,
    /// Refused with that status, or 408 when nobody answered.
    Failed(u16),
    /// The server hung up on an answered call.
    Dropped,
}

/// One call.
pub(crate) struct Call {
    /// The request that awaits an answer, or did last.
    pub(crate) request: SipMessage,
    /// The server's user who calls, if he is one.
    pub(crate) user: Option<&'static str>,
    /// How far it has come.
    pub(crate) state: CallState,
    /// When it was placed.
    pub(crate) placed: Instant,
    /// From the first INVITE to the arrival of the 200.
    pub(crate) answered_after: Option<Duration>,
    /// Where the server receives audio.
    pub(crate) remote_audio: Option<SocketAddr>,
    /// When the request is repeated next, and the pause after that.
    pub(crate) repeat: Option<(Instant, Duration)>,
    sent: Instant,
    invite: SipMessage,
    answer: Option<SipMessage>,
}

impl Call {
    /// The call a request opens, which is sent now.
    pub(crate) fn new(request: SipMessage, user: Option<&'static str>) -> Self {
        let now = Instant::now();
        Self {
            invite: request.clone(),
            request,
            user,
            state: CallState::Calling,
            placed: now,
            answered_after: None,
            remote_audio: None,
            repeat: Some((now + T1, 2 * T1)),
            sent: now,
            answer: None,
        }
    }

    /// The CSeq of the request that opened it.
    pub(crate) fn cseq(&self) -> u32 {
        self.invite.cseq()
    }

    /// Whether its first request is finally answered.
    pub(crate) fn is_settled(&self) -> bool {
        self.state != CallState::Calling
    }

    /// Whether the request must be sent again now. A request nobody answers fails in the end.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
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
    pub(crate) fn answered(&mut self, at: Instant, response: &SipMessage) {
        self.state = CallState::Answered;
        self.repeat = None;
        self.answered_after = Some(at.saturating_duration_since(self.placed));
        self.remote_audio = audio_of(&response.body_text());
        self.answer = Some(response.clone());
    }

    /// A final refusal came.
    pub(crate) fn failed(&mut self, status: u16) {
        self.state = CallState::Failed(status);
        self.repeat = None;
    }

    /// The BYE was answered.
    pub(crate) fn end(&mut self) {
        self.state = CallState::Ended;
        self.repeat = None;
    }

    /// The server hung up. That is no failure when both did at once.
    pub(crate) fn hung_up_by_peer(&mut self) {
        self.state = if self.state == CallState::Leaving { CallState::Ended } else { CallState::Dropped };
        self.repeat = None;
    }

    /// Becomes the same request with the answer to a challenge (RFC 3261 22.2).
    pub(crate) fn try_again(&mut self, via: &str, header: &str, value: String) {
        let mut request = self.invite.clone();
        let cseq = format!("{} {}", request.cseq() + 1, request.method());
        request.set("Via", via);
        request.set("CSeq", cseq);
        request.set(header, value);
        self.sent = Instant::now();
        self.repeat = Some((self.sent + T1, 2 * T1));
        self.request = request.clone();
        self.invite = request;
    }

    /// Becomes a BYE.
    pub(crate) fn leave(&mut self, via: &str) {
        let Some(answer) = &self.answer else { return };
        self.request = self.inside("BYE", self.cseq() + 1, answer, via);
        self.state = CallState::Leaving;
        self.sent = Instant::now();
        self.repeat = Some((self.sent + T1, 2 * T1));
    }

    /// A request inside the dialog that `answer` made.
    pub(crate) fn inside(&self, method: &str, cseq: u32, answer: &SipMessage, via: &str) -> SipMessage {
        let target = answer.header("Contact").map_or(self.invite.uri(), uri_of);
        let request = SipMessage::request(method, target)
            .with("Via", via)
            .with("Max-Forwards", "70")
            .with("From", self.invite.header("From").unwrap_or_default())
            .with("To", answer.header("To").unwrap_or_default())
            .with("Call-ID", self.invite.call_id())
            .with("CSeq", format!("{cseq} {method}"));
        // RFC 3261 12.1.2: a proxy that wants to see the rest of the call.
        match answer.header("Record-Route") {
            Some(route) => request.with("Route", route),
            None => request,
        }
    }

    /// The ACK of a refusal.
    pub(crate) fn acknowledgement_of(&self, refusal: &SipMessage) -> SipMessage {
        self.invite.acknowledging(refusal)
    }
}

/// Address and port of the first audio stream.
fn audio_of(sdp: &str) -> Option<SocketAddr> {
    let line = |prefix: &str| sdp.lines().find_map(|line| line.trim_end().strip_prefix(prefix));
    let ip = line("c=IN IP4 ")?.parse().ok()?;
    let port = line("m=audio ")?.split(' ').next()?.parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_knows_where_to_send_its_audio_and_its_bye() {
        let invite = SipMessage::request("INVITE", "sip:7000@b").with("CSeq", "1 INVITE").with("Call-ID", "c");
        let answer = SipMessage::response_to(&invite.clone().with("To", "<sip:7000@b>"), 200, "OK", "t")
            .with("Contact", "<sip:leg7@127.0.0.1:5060>")
            .with_body("application/sdp", "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 20004 RTP/AVP 0\r\n");
        let mut call = Call::new(invite, None);
        call.answered(call.placed + Duration::from_millis(3), &answer);
        assert_eq!(call.remote_audio, Some(SocketAddr::from(([127, 0, 0, 1], 20_004))));
        call.leave("SIP/2.0/UDP h;branch=z9hG4bK1");
        assert_eq!(call.request.start_line, "BYE sip:leg7@127.0.0.1:5060 SIP/2.0");
        assert_eq!((call.request.cseq(), call.request.tag("To")), (2, Some("t")));
    }

    #[test]
    fn an_unanswered_request_is_repeated_ever_more_rarely_and_then_fails() {
        let mut call = Call::new(SipMessage::request("INVITE", "sip:a@b"), None);
        let start = call.placed;
        let sends: Vec<u64> =
            (0..400).map(|step| step * 100).filter(|ms| call.is_due(start + Duration::from_millis(*ms))).collect();
        assert_eq!(sends, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
        assert_eq!(call.state, CallState::Failed(408));
    }
}
