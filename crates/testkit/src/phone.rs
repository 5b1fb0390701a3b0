//! A telephone that a test operates: it registers, calls, answers, plays, records and hangs up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::agent::{Agent, AgentOptions, ClientTransaction, IncomingRequest};
use crate::dialog::{Dialog, accepted, granted_expiry};
use crate::error::Error;
use crate::message::SipMessage;
use crate::rtp::AudioPort;
use crate::sdp::{self, RemoteAudio};

/// Answered calls nobody has taken yet; further ones are refused with 486.
const CALLS: usize = 16;
/// How long the first response to an INVITE may take.
const FIRST_RESPONSE: Duration = Duration::from_secs(32);

/// What a phone does when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerMode {
    /// 200 at once.
    AtOnce,
    /// 180, and 200 after this time unless the caller gives up.
    AfterRinging(Duration),
    /// This final status.
    Refuse(u16),
}

/// Who a phone is and what it does when it is called.
#[derive(Clone, Debug)]
pub struct PhoneOptions {
    /// Who it is.
    pub agent: AgentOptions,
    /// What it does when it is called.
    pub answer: AnswerMode,
}

impl PhoneOptions {
    /// A phone that answers at once.
    pub fn new(agent: AgentOptions) -> Self {
        Self { agent, answer: AnswerMode::AtOnce }
    }

    /// The same with another way to answer.
    #[must_use]
    pub fn answering(mut self, answer: AnswerMode) -> Self {
        self.answer = answer;
        self
    }
}

/// A telephone that a test operates.
pub struct ScriptedPhone {
    agent: Agent,
    answer: Arc<Mutex<AnswerMode>>,
    calls: mpsc::Receiver<Call>,
    registration: String,
    registrations: u32,
}

impl ScriptedPhone {
    /// Opens the phone; it can be called from now on.
    pub async fn open(options: PhoneOptions) -> Result<Self, Error> {
        let (agent, requests) = Agent::open(options.agent).await?;
        let answer = Arc::new(Mutex::new(options.answer));
        let (sender, calls) = mpsc::channel(CALLS);
        tokio::spawn(be_called(requests, answer.clone(), sender));
        Ok(Self { agent, answer, calls, registration: crate::agent::token(), registrations: 0 })
    }

    /// The agent below, for requests this type has no method for.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Changes what it does when it is called.
    pub fn set_answer(&self, answer: AnswerMode) {
        *self.answer.lock().expect("no holder panics") = answer;
    }

    /// Registers for `expires` seconds (0 ends the registration) and gives the seconds the registrar granted.
    pub async fn register(&mut self, expires: u32) -> Result<u32, Error> {
        let domain = format!("sip:{}", self.agent.options().domain);
        let mut request = self.agent.new_request("REGISTER", &domain).with("Expires", expires.to_string());
        self.registrations += 2;
        request.set("To", format!("<{}>", self.agent.address_of_record()));
        request.set("Call-ID", self.registration.clone());
        request.set("CSeq", format!("{} REGISTER", self.registrations));
        let response = self.agent.request(&mut request).await?;
        let response = accepted(&request, response)?;
        Ok(granted_expiry(&response).unwrap_or(0))
    }

    /// Calls somebody and waits until he answers.
    pub async fn call(&self, uri: &str) -> Result<Call, Error> {
        self.ring(uri).await?.answered().await
    }

    /// Calls somebody and meets a challenge; the result can be waited for or given up.
    pub async fn ring(&self, uri: &str) -> Result<OutgoingCall, Error> {
        let audio = AudioPort::open(self.agent.local().ip()).await?;
        let mut request = self
            .agent
            .new_request("INVITE", uri)
            .with("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, UPDATE")
            .with_body("application/sdp", sdp::offer(audio.local(), 1, "sendrecv"));
        let requests = self.agent.listen(request.call_id());
        let mut transaction = self.agent.start(request.clone(), None).await?;
        let mut first = transaction.next(FIRST_RESPONSE).await?;
        while first.status() == Some(100) {
            first = transaction.next(FIRST_RESPONSE).await?;
        }
        if self.agent.authorize(&mut request, &first) {
            transaction = self.agent.start(request, None).await?;
        } else {
            transaction.put_back(first);
        }
        Ok(OutgoingCall { agent: self.agent.clone(), transaction, requests, audio })
    }

    /// The next call that came in and was answered.
    pub async fn next_call(&mut self, within: Duration) -> Result<Call, Error> {
        tokio::time::timeout(within, self.calls.recv())
            .await
            .map_err(|_| Error::Timeout(format!("a call to {}", self.agent.address_of_record())))?
            .ok_or(Error::Closed)
    }
}

/// A call we make that is not answered yet.
pub struct OutgoingCall {
    agent: Agent,
    transaction: ClientTransaction,
    requests: mpsc::Receiver<IncomingRequest>,
    audio: AudioPort,
}

impl OutgoingCall {
    /// Waits for the next provisional response and gives its status.
    pub async fn ringing(&mut self, within: Duration) -> Result<u16, Error> {
        let response = self.transaction.next(within).await?;
        match response.status() {
            Some(status @ 100..=199) => Ok(status),
            _ => accepted(&self.transaction.request, response)
                .and(Err(Error::Protocol("answered instead of ringing".to_owned()))),
        }
    }

    /// Gives the call up with CANCEL, and gives the status the INVITE ended with: 487 when it was in time. When it came
    /// too late the call is hung up.
    pub async fn cancel(mut self) -> Result<u16, Error> {
        self.transaction.cancel().await?;
        let response = self.transaction.final_response().await?;
        if let Some(200..=299) = response.status() {
            // The server has heard that we do not want the call, and may hang up first.
            match self.take_up(&response).await?.hang_up().await {
                Ok(()) | Err(Error::Closed) => {}
                Err(error) => return Err(error),
            }
        }
        response.status().ok_or_else(|| Error::Protocol("a response without a status".to_owned()))
    }

    /// Waits for the answer.
    pub async fn answered(mut self) -> Result<Call, Error> {
        let response = self.transaction.final_response().await?;
        let response = accepted(&self.transaction.request, response)?;
        self.take_up(&response).await
    }

    async fn take_up(self, response: &SipMessage) -> Result<Call, Error> {
        let mut dialog = Dialog::from_answer(&self.agent, &self.transaction.request, response, self.requests);
        dialog.acknowledge(response, None).await?;
        let remote = read_audio(response)?;
        self.audio.connect(remote.clone());
        Ok(Call::start(dialog, self.audio, remote))
    }
}

/// A call that is up. Dropping it hangs up.
pub struct Call {
    audio: Arc<AudioPort>,
    orders: mpsc::Sender<Order>,
    ended: watch::Receiver<bool>,
    invite: Option<SipMessage>,
}

/// Requests of the handle to the task that owns the dialog.
enum Order {
    HangUp(oneshot::Sender<Result<(), Error>>),
    Direction(&'static str, oneshot::Sender<Result<(), Error>>),
}

impl Call {
    fn start(dialog: Dialog, audio: AudioPort, remote: RemoteAudio) -> Self {
        let audio = Arc::new(audio);
        let (orders, receiver) = mpsc::channel(8);
        let (sender, ended) = watch::channel(false);
        let line = Line { dialog, audio: audio.clone(), remote, version: 1, direction: "sendrecv" };
        tokio::spawn(line.run(receiver, sender));
        Self { audio, orders, ended, invite: None }
    }

    /// What it plays and records.
    pub fn audio(&self) -> &AudioPort {
        &self.audio
    }

    /// The INVITE of a call that came in.
    pub fn invite(&self) -> Option<&SipMessage> {
        self.invite.as_ref()
    }

    /// Whether the call ended, by either side.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits until the other side hangs up.
    pub async fn ended(&self, within: Duration) -> Result<(), Error> {
        let mut ended = self.ended.clone();
        let result = tokio::time::timeout(within, ended.wait_for(|ended| *ended)).await;
        result.map(|_| ()).map_err(|_| Error::Timeout("the end of the call".to_owned()))
    }

    /// Hangs up.
    pub async fn hang_up(&self) -> Result<(), Error> {
        self.order(Order::HangUp).await
    }

    /// Puts the other side on hold by re-INVITE (`sendonly`, RFC 3264 8.4).
    pub async fn hold(&self) -> Result<(), Error> {
        self.order(|reply| Order::Direction("sendonly", reply)).await
    }

    /// Ends the hold.
    pub async fn resume(&self) -> Result<(), Error> {
        self.order(|reply| Order::Direction("sendrecv", reply)).await
    }

    async fn order(&self, make: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Order) -> Result<(), Error> {
        let (reply, result) = oneshot::channel();
        self.orders.send(make(reply)).await.map_err(|_| Error::Closed)?;
        result.await.map_err(|_| Error::Closed)?
    }
}

/// The owner of a call's dialog.
struct Line {
    dialog: Dialog,
    audio: Arc<AudioPort>,
    remote: RemoteAudio,
    version: u32,
    direction: &'static str,
}

impl Line {
    /// A day; a dialog without requests is not an error.
    const IDLE: Duration = Duration::from_secs(86_400);

    async fn run(mut self, mut orders: mpsc::Receiver<Order>, ended: watch::Sender<bool>) {
        loop {
            let over = tokio::select! {
                request = self.dialog.next_request(Self::IDLE) => match request {
                    Ok(request) => self.on_request(&request).await.unwrap_or(false),
                    Err(_) => true,
                },
                order = orders.recv() => self.on_order(order).await,
            };
            if over {
                ended.send_replace(true);
                return;
            }
        }
    }

    /// Carries out an order; true when the call is over. The handle being dropped is the order to hang up.
    async fn on_order(&mut self, order: Option<Order>) -> bool {
        match order {
            Some(Order::Direction(direction, reply)) => {
                let _ = reply.send(self.change_direction(direction).await);
                false
            }
            Some(Order::HangUp(reply)) => {
                let _ = reply.send(self.hang_up().await);
                true
            }
            None => {
                let _ = self.hang_up().await;
                true
            }
        }
    }

    async fn hang_up(&mut self) -> Result<(), Error> {
        let bye = self.dialog.new_request("BYE");
        self.dialog.send(bye).await.map(|_| ())
    }

    async fn change_direction(&mut self, direction: &'static str) -> Result<(), Error> {
        self.version += 1;
        let offer = sdp::offer(self.audio.local(), self.version, direction);
        let invite = self.dialog.new_request("INVITE").with_body("application/sdp", offer);
        let response = self.dialog.send(invite).await?;
        self.dialog.acknowledge(&response, None).await?;
        self.direction = direction;
        self.remote = read_audio(&response)?;
        self.audio.connect(self.remote.clone());
        Ok(())
    }

    /// Answers a request of the peer; true when it ended the call.
    async fn on_request(&mut self, request: &IncomingRequest) -> Result<bool, Error> {
        match request.message.method() {
            "BYE" => {
                request.respond(200, "OK").await?;
                return Ok(true);
            }
            "INVITE" | "UPDATE" => self.on_offer(request).await?,
            "ACK" if !request.message.body.is_empty() => {
                self.remote = read_audio(&request.message)?;
                self.audio.connect(self.remote.clone());
            }
            // CANCEL of a call that is up has no effect; the agent answered it.
            "ACK" | "CANCEL" => {}
            "OPTIONS" | "INFO" | "NOTIFY" | "MESSAGE" => request.respond(200, "OK").await?,
            _ => request.respond(501, "Not Implemented").await?,
        }
        Ok(false)
    }

    async fn on_offer(&mut self, request: &IncomingRequest) -> Result<(), Error> {
        self.version += 1;
        let response = request.response(200, "OK");
        let response = if request.message.body.is_empty() {
            let offer = sdp::offer(self.audio.local(), self.version, self.direction);
            if request.message.method() == "UPDATE" { response } else { response.with_body("application/sdp", offer) }
        } else {
            let Some(remote) = sdp::read(&request.message.body_text()) else {
                return request.respond(488, "Not Acceptable Here").await;
            };
            let answer = sdp::answer(self.audio.local(), self.version, &remote);
            self.audio.connect(remote.clone());
            self.remote = remote;
            response.with_body("application/sdp", answer)
        };
        request.respond_with(response).await
    }
}

fn read_audio(message: &SipMessage) -> Result<RemoteAudio, Error> {
    let text = message.body_text();
    sdp::read(&text).ok_or_else(|| Error::Protocol(format!("no G.711 audio in {text:?}")))
}

/// Answers what arrives outside dialogs until the phone is dropped.
async fn be_called(
    mut requests: mpsc::Receiver<IncomingRequest>,
    answer: Arc<Mutex<AnswerMode>>,
    calls: mpsc::Sender<Call>,
) {
    while let Some(request) = requests.recv().await {
        let mode = *answer.lock().expect("no holder panics");
        match request.message.method() {
            "INVITE" => {
                tokio::spawn(take_call(request, mode, calls.clone()));
            }
            "OPTIONS" | "NOTIFY" | "MESSAGE" => {
                let _ = request.respond(200, "OK").await;
            }
            "ACK" | "CANCEL" => {}
            _ => {
                let _ = request.respond(501, "Not Implemented").await;
            }
        }
    }
}

async fn take_call(request: IncomingRequest, mode: AnswerMode, calls: mpsc::Sender<Call>) -> Result<(), Error> {
    let mut dialog = Dialog::accept(&request);
    match mode {
        AnswerMode::Refuse(status) => return request.respond(status, "Refused").await,
        AnswerMode::AtOnce => {}
        AnswerMode::AfterRinging(length) => {
            request.respond(180, "Ringing").await?;
            if given_up(&mut dialog, length).await {
                return request.respond(487, "Request Terminated").await;
            }
        }
    }
    let Ok(slot) = calls.try_reserve() else { return request.respond(486, "Busy Here").await };
    let audio = AudioPort::open(request.agent.local().ip()).await?;
    let offered = (!request.message.body.is_empty()).then(|| sdp::read(&request.message.body_text()));
    let remote = match offered {
        Some(Some(remote)) => remote,
        Some(None) => return request.respond(488, "Not Acceptable Here").await,
        None => return late_offer(&request, dialog, audio, slot).await,
    };
    audio.connect(remote.clone());
    let answer = sdp::answer(audio.local(), 1, &remote);
    request.respond_with(request.response(200, "OK").with_body("application/sdp", answer)).await?;
    let mut call = Call::start(dialog, audio, remote);
    call.invite = Some(request.message);
    slot.send(call);
    Ok(())
}

/// An INVITE without an offer: ours goes into the 200, the answer comes in the ACK (RFC 3264 4).
async fn late_offer(
    request: &IncomingRequest,
    mut dialog: Dialog,
    audio: AudioPort,
    slot: mpsc::Permit<'_, Call>,
) -> Result<(), Error> {
    let offer = sdp::offer(audio.local(), 1, "sendrecv");
    request.respond_with(request.response(200, "OK").with_body("application/sdp", offer)).await?;
    let ack = dialog.next_request(Duration::from_secs(32)).await?;
    let remote = read_audio(&ack.message)?;
    audio.connect(remote.clone());
    let mut call = Call::start(dialog, audio, remote);
    call.invite = Some(request.message.clone());
    slot.send(call);
    Ok(())
}

/// Whether the caller cancels within that time.
async fn given_up(dialog: &mut Dialog, length: Duration) -> bool {
    let deadline = tokio::time::Instant::now() + length;
    loop {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        match dialog.next_request(left).await {
            Ok(request) if request.message.method() == "CANCEL" => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}
