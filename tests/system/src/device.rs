//! A registered device that does as it is told when it is called, and writes down everything it was sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::{Agent, AgentOptions, Dialog, IncomingRequest, SipMessage};
use tokio::sync::mpsc;

use crate::server::{PASSWORD, Server};

/// How long to wait for something that must come.
const SOON: Duration = Duration::from_secs(20);

/// What a device does with an INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// 180, and nothing more until the caller gives up.
    Ring,
    /// 200 after this time.
    Answer(Duration),
    /// This final status.
    Refuse(u16),
    /// 302 with this Contact.
    Redirect(String),
}

/// A registered device. Dropping it leaves its registration to expire.
pub struct Device {
    agent: Agent,
    behaviour: Arc<Mutex<Behaviour>>,
    received: Received,
}

impl Device {
    /// A device of a user, registered at the server.
    pub async fn register(server: &Server, user: &str, behaviour: Behaviour) -> Self {
        let device = Self::open(AgentOptions::new(user, server.domain(), PASSWORD, server.sip()), behaviour).await;
        device.register_again().await;
        device
    }

    /// A device that is nobody's: a trunk, say.
    pub async fn open(options: AgentOptions, behaviour: Behaviour) -> Self {
        let (agent, requests) = Agent::open(options).await.expect("free port");
        let behaviour = Arc::new(Mutex::new(behaviour));
        let received = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(requests, behaviour.clone(), received.clone()));
        Self { agent, behaviour, received }
    }

    /// Sends a REGISTER.
    pub async fn register_again(&self) {
        let registrar = format!("sip:{}", self.agent.options().domain);
        let mut request = self.agent.new_request("REGISTER", &registrar).with("Expires", "300");
        request.set("To", format!("<{}>", self.agent.address_of_record()));
        let response = self.agent.request(&mut request).await.expect("the registrar answers");
        assert_eq!(response.status(), Some(200));
    }

    /// The agent below.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Changes what it does when it is called.
    pub fn set(&self, behaviour: Behaviour) {
        *self.behaviour.lock().expect("no holder panics") = behaviour;
    }

    /// What it was sent by this method so far.
    pub fn received(&self, method: &str) -> Vec<SipMessage> {
        let received = self.received.lock().expect("no holder panics");
        received.iter().filter(|message| message.method() == method).cloned().collect()
    }

    /// Waits until it was sent so many requests by this method, and gives the last.
    pub async fn until(&self, method: &str, count: usize) -> SipMessage {
        let arrived = async {
            loop {
                let received = self.received(method);
                match received.last() {
                    Some(last) if received.len() >= count => return last.clone(),
                    _ => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        let who = self.agent.address_of_record();
        tokio::time::timeout(SOON, arrived).await.unwrap_or_else(|_| {
            let received = self.received.lock().expect("no holder panics");
            let methods: Vec<&str> = received.iter().map(SipMessage::method).collect();
            panic!("{who} was sent fewer than {count} {method}: {methods:?}")
        })
    }
}

type Received = Arc<Mutex<Vec<SipMessage>>>;

fn note(received: &Received, request: &IncomingRequest) {
    received.lock().expect("no holder panics").push(request.message.clone());
}

async fn serve(mut requests: mpsc::Receiver<IncomingRequest>, behaviour: Arc<Mutex<Behaviour>>, received: Received) {
    while let Some(request) = requests.recv().await {
        note(&received, &request);
        match request.message.method() {
            "INVITE" => {
                let behaviour = behaviour.lock().expect("no holder panics").clone();
                let dialog = Dialog::accept(&request);
                tokio::spawn(be_called(request, dialog, behaviour, received.clone()));
            }
            "ACK" | "CANCEL" => {}
            _ => _ = request.respond(200, "OK").await,
        }
    }
}

/// One call, until nothing has been heard of it for a while.
async fn be_called(invite: IncomingRequest, mut dialog: Dialog, behaviour: Behaviour, received: Received) {
    take(&invite, behaviour).await;
    while let Ok(request) = dialog.next_request(Duration::from_secs(120)).await {
        note(&received, &request);
        _ = match request.message.method() {
            "CANCEL" => invite.respond(487, "Request Terminated").await,
            "ACK" => Ok(()),
            _ => request.respond(200, "OK").await,
        };
    }
}

async fn take(invite: &IncomingRequest, behaviour: Behaviour) {
    let done = match behaviour {
        Behaviour::Ring => invite.respond(180, "Ringing").await,
        Behaviour::Refuse(status) => invite.respond(status, "Refused").await,
        Behaviour::Redirect(contact) => {
            let mut moved = invite.response(302, "Moved Temporarily");
            moved.set("Contact", format!("<{contact}>"));
            invite.respond_with(moved).await
        }
        Behaviour::Answer(after) => {
            tokio::time::sleep(after).await;
            let answer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                          m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
            invite.respond_with(invite.response(200, "OK").with_body("application/sdp", answer)).await
        }
    };
    // Whoever called may be gone already.
    drop(done);
}
