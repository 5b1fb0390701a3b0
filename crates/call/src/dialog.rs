//! One dialog (RFC 3261 12): tags, sequence numbers, route set, remote target; and the requests made from them.

use sip_api::{Flow, Method, NameAddr, Request, Response, SipUri, Transport};

use crate::restore::{read, written};
use crate::{DialogNames, DialogRecord};

/// What a dialog is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DialogKey {
    pub(crate) call_id: String,
    pub(crate) local_tag: String,
    pub(crate) remote_tag: String,
}

impl DialogKey {
    /// The dialog a request of the peer belongs to: its To tag is ours.
    pub(crate) fn of_request(request: &Request) -> Option<Self> {
        Some(Self {
            call_id: request.call_id().to_owned(),
            local_tag: request.to_tag()?,
            remote_tag: request.from_tag().unwrap_or_default(),
        })
    }
}

/// Why a request cannot open a dialog; answered 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotADialog;

/// One dialog as seen from this side.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    key: DialogKey,
    local: NameAddr,
    remote: NameAddr,
    target: SipUri,
    routes: Vec<NameAddr>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    flow: Option<Flow>,
    /// Where the peer spoke from last.
    source: Option<Flow>,
    contact: String,
}

impl Dialog {
    /// The dialog a request opens, seen from the one who answers it (RFC 3261 12.1.1).
    pub(crate) fn from_request(
        request: &Request,
        flow: Flow,
        local_tag: &str,
        contact: String,
    ) -> Result<Self, NotADialog> {
        let header = |name| request.headers.name_addr(name).and_then(Result::ok).ok_or(NotADialog);
        let remote = header("From")?;
        let local = header("To")?.with_tag(local_tag);
        let routes = request.headers.name_addrs("Record-Route").map_err(|_| NotADialog)?;
        let hops = request.headers.values("Via").len();
        Ok(Self {
            key: DialogKey {
                call_id: request.call_id().to_owned(),
                local_tag: local_tag.to_owned(),
                remote_tag: remote.tag().ok_or(NotADialog)?.to_owned(),
            },
            target: header("Contact")?.uri,
            flow: usable_flow(flow, &routes, hops),
            source: Some(flow),
            local,
            remote,
            routes,
            local_cseq: 0,
            remote_cseq: Some(request.cseq().ok_or(NotADialog)?),
            contact,
        })
    }

    /// The dialog a response to our request opens (RFC 3261 12.1.2). Total: what a careless 2xx leaves out is taken
    /// from the request, because it must be acknowledged and ended in any case.
    pub(crate) fn from_response(
        request: &Request,
        response: &Response,
        came_over: Flow,
        sent_over: Option<Flow>,
    ) -> Self {
        let header = |name: &str| request.headers.name_addr(name).and_then(Result::ok);
        let unknown = || NameAddr::new(request.uri.clone());
        let mut routes = response.headers.name_addrs("Record-Route").unwrap_or_default();
        routes.reverse();
        let remote_tag = response.to_tag().unwrap_or_default();
        let remote = header("To").unwrap_or_else(unknown);
        let flow = if sent_over.is_some() { usable_flow(came_over, &routes, 1) } else { None };
        Self {
            key: DialogKey {
                call_id: request.call_id().to_owned(),
                local_tag: request.from_tag().unwrap_or_default(),
                remote_tag: remote_tag.clone(),
            },
            local: header("From").unwrap_or_else(unknown),
            remote: if remote_tag.is_empty() { remote } else { remote.with_tag(&remote_tag) },
            target: contact_of(&response.headers).unwrap_or_else(|| request.uri.clone()),
            routes,
            local_cseq: request.cseq().unwrap_or(1),
            remote_cseq: None,
            flow,
            source: Some(came_over),
            contact: request.headers.get("Contact").unwrap_or("").to_owned(),
        }
    }

    /// The 2xx confirms this early dialog: its route set and target are taken from it (RFC 3261 13.2.2.4), the numbers
    /// of the requests that went before are kept.
    pub(crate) fn confirm(&mut self, answered: Self) {
        let local_cseq = self.local_cseq.max(answered.local_cseq);
        *self = Self { local_cseq, remote_cseq: self.remote_cseq, ..answered };
    }

    /// Leaves out numbers that requests in a forgotten early dialog may have used.
    pub(crate) fn skip(&mut self, numbers: u32) {
        self.local_cseq = self.local_cseq.saturating_add(numbers);
    }

    /// What is written down of it.
    pub(crate) fn record(&self) -> DialogRecord {
        DialogRecord {
            names: DialogNames {
                call_id: self.key.call_id.clone(),
                local_tag: self.key.local_tag.clone(),
                remote_tag: self.key.remote_tag.clone(),
            },
            local: self.local.to_string(),
            remote: self.remote.to_string(),
            target: self.target.to_string(),
            routes: self.routes.iter().map(NameAddr::to_string).collect(),
            local_cseq: self.local_cseq,
            contact: self.contact.clone(),
            flow: self.flow.map(written),
            source: self.source.map(written),
            user: None,
            updates: false,
            reinvites: false,
        }
    }

    /// The dialog of a record, some numbers later; `None` when the record cannot be read.
    pub(crate) fn restore(record: &DialogRecord, skipped: u32) -> Option<Self> {
        let routes: Result<Vec<_>, _> = record.routes.iter().map(|route| NameAddr::parse(route)).collect();
        Some(Self {
            key: DialogKey {
                call_id: record.names.call_id.clone(),
                local_tag: record.names.local_tag.clone(),
                remote_tag: record.names.remote_tag.clone(),
            },
            local: NameAddr::parse(&record.local).ok()?,
            remote: NameAddr::parse(&record.remote).ok()?,
            target: SipUri::parse(&record.target).ok()?,
            routes: routes.ok()?,
            local_cseq: record.local_cseq.saturating_add(skipped),
            remote_cseq: None,
            flow: record.sip_flow(),
            source: record.source.as_ref().or(record.flow.as_ref()).and_then(read),
            contact: record.contact.clone(),
        })
    }

    /// The name and address in `From` of our requests from now on; tags, by which it is known, stay (RFC 4916 4.4).
    pub(crate) fn rename(&mut self, from: NameAddr) {
        self.local = from.with_tag(&self.key.local_tag);
    }

    /// What it is found by.
    pub(crate) fn key(&self) -> &DialogKey {
        &self.key
    }

    /// Where its requests go.
    pub(crate) fn flow(&self) -> Option<Flow> {
        self.flow
    }

    /// Where the peer spoke from last; `None` when an earlier version of this server wrote the dialog down.
    pub(crate) fn source(&self) -> Option<Flow> {
        self.source
    }

    /// The peer's Contact, where no proxy is on the way to it.
    pub(crate) fn direct_target(&self) -> Option<&SipUri> {
        self.routes.is_empty().then_some(&self.target)
    }

    /// The address in the peer's Contact, if that names one.
    pub(crate) fn target_address(&self) -> Option<std::net::IpAddr> {
        self.target.host.trim_matches(['[', ']']).parse().ok()
    }

    /// The peer spoke over this flow. If his flow is the way to him, the newest one is: he may have a new connection, or
    /// a new place behind his NAT.
    pub(crate) fn heard_over(&mut self, flow: Flow) {
        self.source = Some(flow);
        if self.flow.is_some() {
            self.flow = Some(flow);
        }
    }

    /// Our Contact in it, as a header value.
    pub(crate) fn contact(&self) -> &str {
        &self.contact
    }

    /// Replaces our Contact for the rest of the dialog.
    pub(crate) fn set_contact(&mut self, contact: String) {
        self.contact = contact;
    }

    /// The next request of ours in it.
    pub(crate) fn request(&mut self, method: Method) -> Request {
        self.local_cseq = self.local_cseq.saturating_add(1);
        let refreshes_target = matches!(method, Method::Invite | Method::Update | Method::Notify | Method::Refer);
        let mut request = self.addressed(method, self.local_cseq);
        if refreshes_target {
            request.headers.push("Contact", self.contact.clone());
        }
        request
    }

    /// A request to be sent once more, with the next sequence number (after 401, 407 or 422).
    pub(crate) fn again(&mut self, request: &Request) -> Request {
        self.local_cseq = self.local_cseq.saturating_add(1);
        let mut request = request.clone();
        request.headers.set("CSeq", format!("{} {}", self.local_cseq, request.method));
        request
    }

    /// The ACK of a 2xx to this INVITE of ours. It carries the INVITE's credentials (RFC 3261 13.2.2.4).
    pub(crate) fn ack(&self, invite: &Request) -> Request {
        let mut ack = self.addressed(Method::Ack, invite.cseq().unwrap_or(self.local_cseq));
        for name in ["Authorization", "Proxy-Authorization"] {
            for value in invite.headers.get_all(name) {
                ack.headers.push(name, value);
            }
        }
        ack
    }

    /// A response in the dialog.
    pub(crate) fn response(&self, status: u16) -> Response {
        Response::new(status).with_header("To", self.local.to_string())
    }

    /// Whether a request of the peer comes in order (RFC 3261 12.2.2); its number is remembered.
    pub(crate) fn accept_cseq(&mut self, request: &Request) -> bool {
        let Some(number) = request.cseq() else { return false };
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return false;
        }
        self.remote_cseq = Some(number);
        true
    }

    /// Takes the peer's new Contact over (RFC 3261 12.2.1.2, 12.2.2).
    pub(crate) fn refresh_target(&mut self, headers: &sip_api::Headers) {
        if let Some(target) = contact_of(headers) {
            self.target = target;
        }
    }

    /// Request-URI and Route by the route set; a first hop without `lr` is a strict router (RFC 3261 12.2.1.1).
    fn addressed(&self, method: Method, cseq: u32) -> Request {
        let strict = self.routes.first().filter(|first| first.uri.param("lr").is_none());
        let uri = strict.map_or_else(|| self.target.clone(), |first| SipUri { headers: None, ..first.uri.clone() });
        let mut request = Request::new(method, uri);
        let skipped = usize::from(strict.is_some());
        for route in self.routes.iter().skip(skipped) {
            request.headers.push("Route", route.to_string());
        }
        if strict.is_some() {
            request.headers.push("Route", NameAddr::new(self.target.clone()).to_string());
        }
        request.headers.push("From", self.local.to_string());
        request.headers.push("To", self.remote.to_string());
        request.headers.push("Call-ID", self.key.call_id.clone());
        let line = format!("{cseq} {}", request.method);
        request.headers.push("CSeq", line);
        request
    }
}

fn contact_of(headers: &sip_api::Headers) -> Option<SipUri> {
    headers.name_addr("Contact").and_then(Result::ok).map(|contact| contact.uri)
}

/// Whether the flow a message came over leads back into the dialog.
///
/// A peer who speaks to us without a proxy may sit behind NAT: his flow is the way to him. A connection from a proxy that
/// put itself on the route is the way to it. In all other cases the route set or the target decides, since the neighbour
/// may not want to see the dialog's later requests. They decide as well once a connection is no more: the edge, which
/// knows that, goes by the request then.
fn usable_flow(flow: Flow, routes: &[NameAddr], hops: usize) -> Option<Flow> {
    let direct = routes.is_empty() && hops <= 1;
    let connected_proxy = !routes.is_empty() && flow.transport != Transport::Udp;
    (direct || connected_proxy).then_some(flow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(transport: Transport) -> Flow {
        let address = "127.0.0.1:5060".parse().expect("valid");
        Flow { transport, local: address, remote: address }
    }

    fn invite(routes: &[&str]) -> Request {
        let mut request = Request::new(Method::Invite, SipUri::parse("sip:conf@x").expect("valid"));
        request.headers.push("From", "<sip:ann@x>;tag=a");
        request.headers.push("To", "<sip:conf@x>");
        request.headers.push("Call-ID", "c1");
        request.headers.push("CSeq", "7 INVITE");
        request.headers.push("Contact", "<sip:ann@192.0.2.1:5070>");
        for route in routes {
            request.headers.push("Record-Route", *route);
        }
        request
    }

    fn routes(request: &Request) -> Vec<&str> {
        request.headers.get_all("Route").collect()
    }

    #[test]
    fn requests_follow_loose_and_strict_routes() {
        let mut loose =
            Dialog::from_request(&invite(&["<sip:p1;lr>", "<sip:p2;lr>"]), flow(Transport::Udp), "t", String::new())
                .expect("complete");
        let bye = loose.request(Method::Bye);
        assert_eq!(bye.uri.to_string(), "sip:ann@192.0.2.1:5070");
        assert_eq!(routes(&bye), ["<sip:p1;lr>", "<sip:p2;lr>"]);
        assert_eq!(loose.flow(), None, "a proxy on the route is found by the route");

        let mut strict =
            Dialog::from_request(&invite(&["<sip:p1>", "<sip:p2;lr>"]), flow(Transport::Tcp), "t", String::new())
                .expect("complete");
        let bye = strict.request(Method::Bye);
        assert_eq!(bye.uri.to_string(), "sip:p1");
        assert_eq!(routes(&bye), ["<sip:p2;lr>", "<sip:ann@192.0.2.1:5070>"]);
        assert!(strict.flow().is_some(), "the proxy's connection is kept");
    }

    #[test]
    fn the_route_set_of_a_caller_is_reversed() {
        let response = Response::new(200)
            .with_header("To", "<sip:conf@x>;tag=b")
            .with_header("Contact", "<sip:conf@192.0.2.9>")
            .with_header("Record-Route", "<sip:p1;lr>, <sip:p2;lr>");
        let over = flow(Transport::Udp);
        let mut dialog = Dialog::from_response(&invite(&[]), &response, over, Some(over));
        let next = dialog.request(Method::Info);
        assert_eq!(routes(&next), ["<sip:p2;lr>", "<sip:p1;lr>"]);
        assert_eq!(next.cseq(), Some(8));
        assert_eq!(dialog.ack(&invite(&[])).cseq(), Some(7));
    }

    #[test]
    fn sequence_numbers_must_rise() {
        let mut dialog =
            Dialog::from_request(&invite(&[]), flow(Transport::Udp), "t", String::new()).expect("complete");
        let mut next = invite(&[]);
        for (number, accepted) in [(7, false), (6, false), (9, true), (8, false), (10, true)] {
            next.headers.set("CSeq", format!("{number} INFO"));
            assert_eq!(dialog.accept_cseq(&next), accepted, "CSeq {number}");
        }
    }

    #[test]
    fn a_request_without_tag_or_contact_opens_no_dialog() {
        for name in ["Contact", "From", "To", "CSeq"] {
            let mut request = invite(&[]);
            request.headers.remove(name);
            assert!(Dialog::from_request(&request, flow(Transport::Udp), "t", String::new()).is_err(), "no {name}");
        }
    }
}
