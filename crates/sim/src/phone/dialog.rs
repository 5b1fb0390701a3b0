//! One dialog as a phone sees it, and the messages it sends in it.

use std::collections::BTreeMap;

use sip_api::{ClientTransactionId, Method, NameAddr, Request, Response, ServerTransactionId, SipUri};

use super::client::Commands;
use crate::roster::RosterCopy;

/// What a dialog is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A call with audio.
    Audio,
    /// C3P commands.
    Focus,
    /// A subscription alone.
    Roster,
    /// A request and its response.
    Single,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Our first request has no final response.
    Asking,
    /// We ring.
    Ringing(ServerTransactionId),
    /// It is established.
    Up,
    /// It is over; late messages still find it.
    Over,
}

/// What a request of ours in the dialog was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The request that opens the dialog.
    First,
    /// A re-INVITE.
    Reinvite,
    /// An INFO with this C3P request.
    Command(u64),
    /// A SUBSCRIBE.
    Subscribe,
    /// Anything whose response matters to nobody.
    Other,
}

/// A dialog.
#[derive(Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    pub(crate) kind: Kind,
    pub(crate) state: State,
    pub(crate) local: NameAddr,
    pub(crate) remote: NameAddr,
    /// We under another tag, when two devices answered and the server has not hung one of them up.
    pub(crate) fork: Option<NameAddr>,
    pub(crate) target: SipUri,
    pub(crate) cseq: u32,
    /// The first request.
    pub(crate) first: Request,
    /// Our Contact.
    contact: String,
    pub(crate) sent: BTreeMap<ClientTransactionId, (Sent, Request)>,
    /// Where this phone receives audio; names the call towards the media side.
    pub(crate) port: u16,
    sdp_version: u32,
    /// Their INVITEs that we answered, the one that opened the dialog first.
    pub(crate) answered: Vec<ServerTransactionId>,
    /// The 2xx that established it has been acknowledged.
    pub(crate) confirmed: bool,
    /// It is older than the server's present process, which has not said a word in it.
    pub(crate) survivor: bool,
    /// It is the second device's that answered. The journal has the first one's alone: after a crash the second finds out
    /// by itself, by a missing ACK or a 481.
    pub(crate) second: bool,
    /// Digits to press when it is up.
    pub(crate) digits: Option<&'static str>,
    /// Our ACK is never sent.
    pub(crate) never_acks: bool,
    pub(crate) commands: Commands,
    pub(crate) roster: Option<RosterCopy>,
}

impl Dialog {
    /// A dialog that is about to be opened by us, or by the request we got.
    pub(crate) fn new(kind: Kind, first: Request, ours: bool, contact: String, port: u16) -> Self {
        let name = |header| NameAddr::parse(first.headers.get(header).unwrap_or("")).expect("a valid name-addr");
        let (from, to) = (name("From"), name("To"));
        let call_id = first.call_id().to_owned();
        let (local, remote) = match ours {
            true => (from, to),
            false => (to.with_tag(&format!("t{port}")), from),
        };
        let target = match first.headers.name_addr("Contact") {
            Some(Ok(contact)) if !ours => contact.uri,
            _ => first.uri.clone(),
        };
        let cseq = if ours { first.cseq().unwrap_or(1) } else { 0 };
        let state = State::Asking;
        Self {
            call_id,
            kind,
            state,
            local,
            remote,
            fork: None,
            target,
            cseq,
            first,
            contact,
            sent: BTreeMap::new(),
            port,
            sdp_version: 0,
            answered: Vec::new(),
            confirmed: ours,
            survivor: false,
            second: false,
            digits: None,
            never_acks: false,
            commands: Commands::default(),
            roster: None,
        }
    }

    /// The next request in the dialog.
    pub(crate) fn request(&mut self, method: Method) -> Request {
        self.cseq += 1;
        let cseq = self.cseq;
        self.request_numbered(method, cseq)
    }

    /// The ACK of a 2xx to an INVITE with this CSeq.
    pub(crate) fn ack(&self, cseq: u32) -> Request {
        self.request_numbered(Method::Ack, cseq)
    }

    fn request_numbered(&self, method: Method, cseq: u32) -> Request {
        let mut request = Request::new(method.clone(), self.target.clone());
        for (name, value) in [
            ("From", self.local.to_string()),
            ("To", self.remote.to_string()),
            ("Call-ID", self.call_id.clone()),
            ("CSeq", format!("{cseq} {method}")),
            ("Contact", self.contact.clone()),
            ("Max-Forwards", "70".to_owned()),
            ("Supported", "timer".to_owned()),
        ] {
            request.headers.push(name, value);
        }
        request
    }

    /// Takes tag and Contact of a 2xx to our first request.
    pub(crate) fn establish(&mut self, response: &Response) {
        if let Some(Ok(to)) = response.headers.name_addr("To") {
            self.remote = to;
        }
        if let Some(Ok(contact)) = response.headers.name_addr("Contact") {
            self.target = contact.uri;
        }
    }

    /// A response of ours, with our tag.
    pub(crate) fn response(&self, status: u16) -> Response {
        Response::new(status).with_header("To", self.local.to_string()).with_header("Contact", self.contact.as_str())
    }

    /// Our description of the call's audio, a new version each time.
    pub(crate) fn description(&mut self, direction: &str) -> String {
        self.sdp_version += 1;
        let (port, version) = (self.port, self.sdp_version);
        format!(
            "v=0\r\no=- {port} {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
             a={direction}\r\n"
        )
    }
}

/// A description with a codec this server does not have.
pub(crate) fn useless_description(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\n"
    )
}
