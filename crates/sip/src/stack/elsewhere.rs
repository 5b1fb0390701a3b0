//! What becomes of a request whose next hop has several addresses (RFC 3263 4.3).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sip_api::{ClientFailure, ClientTransactionId, Headers, Method, Request, SipCommand, SipEvent, SipUri, Transport};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::transport::Location;
use crate::{Credentials, Edge, Ha1, ListenAddress, Registrations, SipConfig, Timers, start};

const DEADLINE: Duration = Duration::from_secs(20);

struct Nobody;

impl Credentials for Nobody {
    fn ha1(&self, _user: &str, _realm: &str) -> Option<Ha1> {
        None
    }
}

/// An edge with timers ten times faster than usual.
async fn edge() -> (Edge, mpsc::Receiver<SipEvent>) {
    let any: SocketAddr = "127.0.0.1:0".parse().expect("address");
    let mut config = SipConfig::new("example.com", vec![ListenAddress::new(Transport::Udp, any)]);
    let ms = Duration::from_millis;
    config.timers = Timers { t1: ms(20), t2: ms(160), t4: ms(200) };
    let (sender, events) = mpsc::channel(100);
    (start(config, Arc::new(Nobody), Registrations::default(), sender).await.expect("started"), events)
}

async fn peer() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.expect("a port")
}

fn invite(edge: &Edge, places: &[&UdpSocket]) {
    let place = |peer: &&UdpSocket| Location { transport: None, address: peer.local_addr().expect("bound") };
    let places = places.iter().map(place).collect();
    edge.hub.locator.known.lock().expect("no panic").insert("several.example".to_owned(), places);
    let mut request = Request::new(Method::Invite, SipUri::sip(Some("bob"), "several.example", None));
    request.headers = Headers::new()
        .with("From", "<sip:us@example.com>;tag=f1")
        .with("To", "<sip:bob@several.example>")
        .with("Call-ID", "several-1")
        .with("CSeq", "1 INVITE");
    edge.handle(SipCommand::Send { transaction: ClientTransactionId(1), request, flow: None });
}

/// The next message of this method; others are passed over.
async fn next(peer: &UdpSocket, method: &str) -> (String, SocketAddr) {
    let mut buffer = vec![0; 65_535];
    loop {
        let (length, from) = timeout(DEADLINE, peer.recv_from(&mut buffer)).await.expect("in time").expect("received");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with(method) {
            return (text, from);
        }
    }
}

/// Answers an INVITE; its Via.
async fn reply(peer: &UdpSocket, (request, from): &(String, SocketAddr), status: u16) -> String {
    let header = |name: &str| request.lines().find(|line| line.starts_with(name)).expect("a header").to_owned();
    let copied = ["Via", "From", "Call-ID", "CSeq"].map(header).join("\r\n");
    let text = format!("SIP/2.0 {status} X\r\n{copied}\r\n{};tag=t{status}\r\nContent-Length: 0\r\n\r\n", header("To"));
    peer.send_to(text.as_bytes(), *from).await.expect("sent");
    header("Via")
}

async fn answer(peer: &UdpSocket, status: u16) -> String {
    let request = next(peer, "INVITE").await;
    reply(peer, &request, status).await
}

async fn event(events: &mut mpsc::Receiver<SipEvent>) -> SipEvent {
    timeout(DEADLINE, events.recv()).await.expect("in time").expect("running")
}

#[tokio::test]
async fn the_next_address_is_tried_after_silence_and_after_503() {
    let (edge, mut events) = edge().await;
    let (silent, full, well) = (peer().await, peer().await, peer().await);
    invite(&edge, &[&silent, &full, &well]);
    let refused = answer(&full, 503).await;
    let (ack, _) = next(&full, "ACK").await;
    assert!(ack.contains(";tag=t503"), "{ack}");
    let taken = answer(&well, 486).await;
    assert_ne!(refused, taken, "each place has a transaction of its own");
    match event(&mut events).await {
        SipEvent::Response { response, flow, .. } => {
            assert_eq!((response.status, flow.remote), (486, well.local_addr().expect("bound")));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_last_address_has_the_last_word() {
    let (edge, mut events) = edge().await;
    let (full, last) = (peer().await, peer().await);
    invite(&edge, &[&full, &last]);
    answer(&full, 503).await;
    answer(&last, 503).await;
    assert!(matches!(event(&mut events).await, SipEvent::Response { response, .. } if response.status == 503));
    let (edge, mut events) = self::edge().await;
    let (one, two) = (peer().await, peer().await);
    invite(&edge, &[&one, &two]);
    let failed = SipEvent::Failed { transaction: ClientTransactionId(1), failure: ClientFailure::Timeout };
    assert_eq!(event(&mut events).await, failed, "nobody answered");
    next(&two, "INVITE").await;
}

#[tokio::test]
async fn who_has_rung_is_not_left_for_another() {
    let (edge, mut events) = edge().await;
    let (first, second) = (peer().await, peer().await);
    invite(&edge, &[&first, &second]);
    let request = next(&first, "INVITE").await;
    reply(&first, &request, 180).await;
    assert!(matches!(event(&mut events).await, SipEvent::Response { response, .. } if response.status == 180));
    reply(&first, &request, 503).await;
    assert!(matches!(event(&mut events).await, SipEvent::Response { response, .. } if response.status == 503));
    assert!(second.try_recv(&mut [0; 10]).is_err(), "the second heard nothing");
}
