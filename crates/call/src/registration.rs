//! Being registered at somebody else's registrar (RFC 3261 10.2): refreshed before it runs out, tried again after a
//! failure, longer and longer apart.

use base::{Duration, Timestamp};
use sip_api::{CONTACT_PLACEHOLDER, ClientTransactionId, Method, NameAddr, Request, Response, SipCommand, SipUri};

use crate::Random;
use crate::credentials::{Authority, Credentials, Unanswered};

/// What we ask for; the registrar may grant less.
const EXPIRES: Duration = Duration::from_secs(3_600);

/// The first pause after a failure; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(30);

/// The longest pause (RFC 5626 4.5 names half an hour).
const PAUSE_MAX: Duration = Duration::from_secs(1_800);

/// One registration, from the first REGISTER to the end of the process.
#[derive(Debug)]
pub struct Registration {
    registrar: SipUri,
    address: NameAddr,
    authority: Authority,
    call_id: String,
    tag: String,
    cseq: u32,
    under_way: Option<Attempt>,
    next: Option<Timestamp>,
    pause: Duration,
    /// We take our leave: nothing is refreshed or tried again.
    ending: bool,
    status: RegistrationStatus,
}

#[derive(Debug)]
struct Attempt {
    transaction: ClientTransactionId,
    request: Request,
    /// Challenges answered.
    tries: u8,
}

/// How a registration fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationStatus {
    /// It has not been tried.
    New,
    /// The registrar knows where we are.
    Registered,
    /// It does not: the status it refused us with, or none if it did not answer.
    Failed(Option<u16>),
    /// It asked for credentials that we do not have.
    Unauthorized(Unanswered),
    /// We have taken our leave; calls that come to the registrar are not for us any more.
    Ended,
}

impl Registration {
    /// A registration of `user` at a registrar, due at once. `domain` is what stands behind the `@` of our Call-ID.
    pub fn new(registrar: SipUri, credentials: Credentials, domain: &str, random: Random<'_>) -> Self {
        let mut token = || format!("{:016x}", random());
        let uri = SipUri::sip(Some(&credentials.username), &registrar.host, None);
        Self {
            registrar,
            address: NameAddr::new(uri),
            authority: Authority::new(credentials, token()),
            call_id: format!("{}{}@{domain}", token(), token()),
            tag: token(),
            cseq: 0,
            under_way: None,
            next: Some(Timestamp::ZERO),
            pause: PAUSE_MIN,
            ending: false,
            status: RegistrationStatus::New,
        }
    }

    /// How it fares.
    pub fn status(&self) -> RegistrationStatus {
        self.status
    }

    /// When [`Registration::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.next
    }

    /// Whether a response or failure of this transaction is ours.
    pub fn is_under_way(&self, transaction: ClientTransactionId) -> bool {
        self.under_way.as_ref().is_some_and(|attempt| attempt.transaction == transaction)
    }

    /// Sends a REGISTER in this new transaction, if it is time for one.
    pub fn handle_timeout(&mut self, now: Timestamp, transaction: ClientTransactionId) -> Option<SipCommand> {
        if self.next.is_none_or(|next| next > now) {
            return None;
        }
        self.next = None;
        let request = self.request(EXPIRES);
        Some(self.send(transaction, request, 0))
    }

    /// Takes its leave of a registrar that knows where we are, or may do so soon, in this new transaction.
    pub fn end(&mut self, transaction: ClientTransactionId) -> Option<SipCommand> {
        self.next = None;
        let is_known = self.status == RegistrationStatus::Registered || self.under_way.is_some();
        if std::mem::replace(&mut self.ending, true) || !is_known {
            return None;
        }
        let request = self.request(Duration::ZERO);
        Some(self.send(transaction, request, 0))
    }

    /// Whether our leave waits for its answer.
    pub fn is_ending(&self) -> bool {
        self.ending && self.under_way.is_some()
    }

    fn request(&self, expires: Duration) -> Request {
        let mut request = Request::new(Method::Register, self.registrar.clone());
        let user = self.address.uri.user.clone().unwrap_or_default();
        let headers = &mut request.headers;
        headers.push("From", self.address.clone().with_tag(&self.tag).to_string());
        headers.push("To", self.address.to_string());
        headers.push("Call-ID", self.call_id.clone());
        headers.push("Contact", format!("<sip:{user}@{CONTACT_PLACEHOLDER}>"));
        headers.push("Expires", expires.as_secs().to_string());
        request
    }

    fn send(&mut self, transaction: ClientTransactionId, mut request: Request, tries: u8) -> SipCommand {
        self.cseq = self.cseq.saturating_add(1);
        request.headers.set("CSeq", format!("{} REGISTER", self.cseq));
        self.authority.sign(&mut request);
        self.under_way = Some(Attempt { transaction, request: request.clone(), tries });
        SipCommand::Send { transaction, request, flow: None }
    }

    /// The registrar answered; a challenge is answered in the transaction `again`.
    pub fn on_response(
        &mut self,
        now: Timestamp,
        response: &Response,
        again: ClientTransactionId,
    ) -> Option<SipCommand> {
        if response.is_provisional() {
            return None;
        }
        let attempt = self.under_way.take()?;
        match response.status {
            200..=299 if self.ending => self.status = RegistrationStatus::Ended,
            200..=299 => {
                self.status = RegistrationStatus::Registered;
                self.pause = PAUSE_MIN;
                // Well before it runs out: after nine tenths, so that a few failures do no harm.
                self.next = Some(now + Duration::from_millis(self.granted(response) * 900));
            }
            401 | 407 => {
                let headers = &response.headers;
                match self.authority.take_up(response.status, headers, &attempt.request, attempt.tries) {
                    Ok(()) => return Some(self.send(again, attempt.request, attempt.tries + 1)),
                    Err(why) => self.fail(now, RegistrationStatus::Unauthorized(why), None),
                }
            }
            status => {
                let wait = response.headers.get("Retry-After").and_then(|value| value.trim().parse().ok());
                self.fail(now, RegistrationStatus::Failed(Some(status)), wait.map(Duration::from_secs));
            }
        }
        None
    }

    /// The registrar did not answer.
    pub fn on_failed(&mut self, now: Timestamp) {
        if self.under_way.take().is_some() {
            self.fail(now, RegistrationStatus::Failed(None), None);
        }
    }

    fn fail(&mut self, now: Timestamp, status: RegistrationStatus, wait: Option<Duration>) {
        self.status = status;
        if self.ending {
            return;
        }
        self.next = Some(now + self.pause.max(wait.unwrap_or(Duration::ZERO)).min(PAUSE_MAX));
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// Seconds granted: by our Contact, else for all of them, else what we asked for; never less than a minute, so that
    /// nobody makes us register all the time.
    fn granted(&self, response: &Response) -> u64 {
        let ours = self.address.uri.user.as_deref();
        let contacts = response.headers.name_addrs("Contact").unwrap_or_default();
        let contact = contacts.iter().find(|contact| contact.uri.user.as_deref() == ours);
        let by_contact = contact.and_then(|contact| contact.param("expires")?.parse().ok());
        let for_all = || response.headers.get("Expires")?.trim().parse().ok();
        by_contact.or_else(for_all).unwrap_or(3_600_u64).clamp(60, 3_600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Pii;

    fn registration() -> Registration {
        let mut count = 0;
        let credentials = Credentials { username: "line7".to_owned(), password: Pii::new("sesame open") };
        let registrar = SipUri::parse("sip:gw.example:5060;transport=udp").expect("valid");
        Registration::new(registrar, credentials, "example.com", &mut || {
            count += 1;
            count
        })
    }

    fn seconds(count: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(count)
    }

    fn sent(command: Option<SipCommand>) -> Request {
        match command {
            Some(SipCommand::Send { request, .. }) => request,
            other => panic!("no request: {other:?}"),
        }
    }

    fn id(number: u64) -> ClientTransactionId {
        ClientTransactionId(number)
    }

    #[test]
    fn it_answers_the_challenge_and_refreshes_in_time_with_the_answer_in_advance() {
        let mut it = registration();
        let first = sent(it.handle_timeout(seconds(5), id(1)));
        assert_eq!((first.headers.get("To"), first.cseq()), (Some("<sip:line7@gw.example>"), Some(1)));
        assert!(it.handle_timeout(seconds(6), id(2)).is_none(), "one at a time");
        let challenge =
            Response::new(401).with_header("WWW-Authenticate", "Digest realm=\"gw\", nonce=\"n\", qop=\"auth\"");
        let second = sent(it.on_response(seconds(6), &challenge, id(2)));
        assert_eq!((second.cseq(), second.call_id()), (Some(2), first.call_id()));
        assert!(second.headers.get("Authorization").is_some_and(|value| value.contains("nc=00000001")));
        assert!(it.is_under_way(id(2)) && !it.is_under_way(id(1)));
        let granted =
            Response::new(200).with_header("Contact", "<sip:other@x>;expires=9, <sip:line7@192.0.2.1>;expires=100");
        assert!(it.on_response(seconds(6), &granted, id(3)).is_none());
        assert_eq!((it.status(), it.poll_timeout()), (RegistrationStatus::Registered, Some(seconds(96))));
        let third = sent(it.handle_timeout(seconds(96), id(4)));
        assert!(third.headers.get("Authorization").is_some_and(|value| value.contains("nc=00000002")));
    }

    #[test]
    fn it_waits_longer_after_each_failure_and_starts_anew_after_a_success() {
        let mut it = registration();
        let mut now = Timestamp::ZERO;
        let mut pauses = Vec::new();
        for number in 0..8 {
            sent(it.handle_timeout(now, id(number)));
            match number {
                0 => it.on_failed(now),
                _ => assert!(it.on_response(now, &Response::new(503), id(100)).is_none()),
            }
            let next = it.poll_timeout().expect("it goes on");
            pauses.push(next.since(now).as_micros() / 1_000_000);
            now = next;
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1_800, 1_800]);
        assert_eq!(it.status(), RegistrationStatus::Failed(Some(503)));
        sent(it.handle_timeout(now, id(9)));
        it.on_response(now, &Response::new(200), id(10));
        assert_eq!(it.poll_timeout(), Some(now + Duration::from_secs(3_240)));
        now = now + Duration::from_secs(3_240);
        sent(it.handle_timeout(now, id(11)));
        it.on_response(now, &Response::new(503).with_header("Retry-After", "90"), id(12));
        assert_eq!(it.poll_timeout(), Some(now + Duration::from_secs(90)));
    }

    #[test]
    fn it_takes_its_leave_once_and_rests_whatever_the_registrar_says() {
        let challenge =
            Response::new(401).with_header("WWW-Authenticate", "Digest realm=\"gw\", nonce=\"n\", qop=\"auth\"");
        let mut it = registration();
        assert!(it.end(id(1)).is_none() && it.poll_timeout().is_none(), "nobody knows it");
        for answer in [Some(200), Some(500), None] {
            let mut it = registration();
            let first = sent(it.handle_timeout(Timestamp::ZERO, id(1)));
            it.on_response(Timestamp::ZERO, &Response::new(200), id(2));
            let leave = sent(it.end(id(3)));
            let header = |name| leave.headers.get(name).map(str::to_owned);
            assert_eq!(
                (header("Expires").as_deref(), header("Contact")),
                (Some("0"), first.headers.get("Contact").map(str::to_owned))
            );
            assert!(it.end(id(4)).is_none() && it.is_ending(), "once");
            let again = sent(it.on_response(Timestamp::ZERO, &challenge, id(5)));
            assert_eq!((again.headers.get("Expires"), again.headers.get("Authorization").is_some()), (Some("0"), true));
            match answer {
                Some(status) => assert!(it.on_response(Timestamp::ZERO, &Response::new(status), id(6)).is_none()),
                None => it.on_failed(Timestamp::ZERO),
            }
            assert!(!it.is_ending() && it.poll_timeout().is_none(), "{answer:?}");
            assert_eq!(it.status() == RegistrationStatus::Ended, answer == Some(200));
        }
    }

    #[test]
    fn a_wrong_password_is_a_failure_after_one_try() {
        let mut it = registration();
        let challenge =
            Response::new(401).with_header("WWW-Authenticate", "Digest realm=\"gw\", nonce=\"n\", qop=\"auth\"");
        sent(it.handle_timeout(Timestamp::ZERO, id(1)));
        sent(it.on_response(Timestamp::ZERO, &challenge, id(2)));
        assert!(it.on_response(Timestamp::ZERO, &challenge, id(3)).is_none());
        assert_eq!(it.status(), RegistrationStatus::Unauthorized(Unanswered::Refused));
        assert_eq!(it.poll_timeout(), Some(seconds(30)));
    }
}
