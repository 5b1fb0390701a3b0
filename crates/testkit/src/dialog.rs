//! One dialog of a scripted agent (RFC 3261 12).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::agent::{Agent, IncomingRequest, branch};
use crate::error::Error;
use crate::message::{SipMessage, parameter, uri_of};

/// One dialog: it sends requests inside it and receives those of the peer.
pub struct Dialog {
    agent: Agent,
    call_id: String,
    local: String,
    remote: String,
    target: String,
    routes: Vec<String>,
    cseq: u32,
    requests: mpsc::Receiver<IncomingRequest>,
}

impl Dialog {
    /// Sends a request that opens a dialog (INVITE, SUBSCRIBE), answers a challenge, and gives the dialog with the 2xx.
    /// An INVITE is acknowledged by [`Dialog::acknowledge`].
    pub async fn open(agent: &Agent, mut request: SipMessage) -> Result<(Self, SipMessage), Error> {
        let requests = agent.listen(request.call_id());
        let response = agent.request(&mut request).await?;
        let response = accepted(&request, response)?;
        Ok((Self::from_answer(agent, &request, &response, requests), response))
    }

    pub(crate) fn from_answer(
        agent: &Agent,
        request: &SipMessage,
        response: &SipMessage,
        requests: mpsc::Receiver<IncomingRequest>,
    ) -> Self {
        let mut routes = record_routes(response);
        routes.reverse();
        Self {
            agent: agent.clone(),
            call_id: request.call_id().to_owned(),
            local: request.header("From").unwrap_or("").to_owned(),
            remote: response.header("To").unwrap_or("").to_owned(),
            target: uri_of(response.header("Contact").unwrap_or(request.uri())).to_owned(),
            routes,
            cseq: request.cseq(),
            requests,
        }
    }

    /// The dialog a request of the peer opens. Take it before the request is answered, so that nothing is missed.
    pub fn accept(request: &IncomingRequest) -> Self {
        let message = &request.message;
        let requests = request.agent.listen(message.call_id());
        Self {
            agent: request.agent.clone(),
            call_id: message.call_id().to_owned(),
            local: format!("{};tag={}", message.header("To").unwrap_or(""), request.tag),
            remote: message.header("From").unwrap_or("").to_owned(),
            target: uri_of(message.header("Contact").unwrap_or("")).to_owned(),
            routes: record_routes(message),
            cseq: 0,
            requests,
        }
    }

    /// The URI the peer named as its Contact.
    pub fn remote_target(&self) -> &str {
        &self.target
    }

    /// The next request of the peer in this dialog.
    pub async fn next_request(&mut self, within: Duration) -> Result<IncomingRequest, Error> {
        tokio::time::timeout(within, self.requests.recv())
            .await
            .map_err(|_| Error::Timeout("a request in the dialog".to_owned()))?
            .ok_or(Error::Closed)
    }

    /// A request in this dialog, to be filled and given to [`Dialog::send`].
    pub fn new_request(&mut self, method: &str) -> SipMessage {
        self.cseq += 1;
        self.build(method, self.cseq)
    }

    /// Sends a request and gives its 2xx. A challenge is answered once.
    pub async fn send(&mut self, mut request: SipMessage) -> Result<SipMessage, Error> {
        let target = self.next_hop();
        let mut response = self.agent.start(request.clone(), target).await?.final_response().await?;
        if self.agent.authorize(&mut request, &response) {
            self.cseq = request.cseq();
            response = self.agent.start(request.clone(), target).await?.final_response().await?;
        }
        accepted(&request, response)
    }

    /// Sends the ACK for a 2xx to an INVITE, with a body when that 2xx carried the offer.
    pub async fn acknowledge(&mut self, response: &SipMessage, answer: Option<(&str, String)>) -> Result<(), Error> {
        let mut ack = self.build("ACK", response.cseq());
        if let Some((content_type, body)) = answer {
            ack = ack.with_body(content_type, body);
        }
        self.agent.send_ack(ack, self.next_hop()).await
    }

    fn build(&self, method: &str, cseq: u32) -> SipMessage {
        let mut request = SipMessage::request(method, &self.target).with("Via", self.agent.via(&branch()));
        for route in &self.routes {
            request = request.with("Route", route.clone());
        }
        request
            .with("Max-Forwards", "70")
            .with("From", self.local.clone())
            .with("To", self.remote.clone())
            .with("Call-ID", self.call_id.clone())
            .with("CSeq", format!("{cseq} {method}"))
            .with("Contact", self.agent.contact())
    }

    /// The address of the first route or of the remote target; `None` (the server) when it is a name.
    fn next_hop(&self) -> Option<SocketAddr> {
        let uri = self.routes.first().map_or(self.target.as_str(), |route| uri_of(route));
        let host = uri.rsplit_once('@').map_or_else(|| uri.trim_start_matches("sip:"), |(_, host)| host);
        host.split([';', '?']).next()?.parse().ok()
    }
}

fn record_routes(message: &SipMessage) -> Vec<String> {
    message.headers_named("Record-Route").flat_map(|line| line.split(',')).map(|item| item.trim().to_owned()).collect()
}

/// The response if it is a 2xx.
pub(crate) fn accepted(request: &SipMessage, response: SipMessage) -> Result<SipMessage, Error> {
    match response.status() {
        Some(200..=299) => Ok(response),
        Some(status) => Err(Error::Refused {
            method: request.method().to_owned(),
            status,
            reason: match response.header("Warning").or(response.header("ms-diagnostics")) {
                Some(detail) => format!("{} ({detail})", response.reason()),
                None => response.reason().to_owned(),
            },
        }),
        None => Err(Error::Protocol("a response without a status".to_owned())),
    }
}

/// The `expires` parameter or header of a registration's answer, in seconds.
pub(crate) fn granted_expiry(response: &SipMessage) -> Option<u32> {
    let contact = response.header("Contact").and_then(|value| parameter(value, "expires"));
    contact.or(response.header("Expires"))?.trim().parse().ok()
}
