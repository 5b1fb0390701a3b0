//! Calls that go out: CANCEL, forked answers, ACK and failures.

use std::time::Duration;

use crate::support::{DEADLINE, Phone, Seen, World};
use sip_api::{
    ClientFailure, ClientTransactionId, Flow, Headers, Method, Request, Response, SipCommand, SipEvent, SipUri,
    Transport,
};
use tokio::net::{TcpListener, UdpSocket};

const ID: ClientTransactionId = ClientTransactionId(7);

fn call(method: Method, cseq: u32) -> Request {
    let mut request = Request::new(method.clone(), SipUri::sip(Some("bob"), "10.255.255.1", None));
    request.headers = Headers::new()
        .with("From", "<sip:us@example.com>;tag=f1")
        .with("To", "<sip:bob@example.com>")
        .with("Call-ID", "out-1")
        .with("CSeq", format!("{cseq} {method}"))
        .with("Contact", "<sip:us@0.0.0.0:0>")
        .with("Route", "<sip:10.255.255.2;lr>");
    request
}

fn send(world: &World, request: Request, phone: &Phone<UdpSocket>) {
    let flow = Some(world.flow(Transport::Udp, phone.local));
    world.handle(SipCommand::Send { transaction: ID, request, flow });
}

/// What the phone answers to a request it saw.
fn answer(seen: &Seen, status: u16, tag: &str) -> String {
    let to = format!("{};tag={tag}", seen.get("To").split(";tag").next().expect("a To"));
    format!(
        "SIP/2.0 {status} X\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\nContent-Length: 0\r\n\r\n",
        seen.get("Via"),
        seen.get("From"),
        seen.get("Call-ID"),
        seen.get("CSeq"),
    )
}

async fn response(world: &mut World) -> Response {
    match world.event().await {
        SipEvent::Response { transaction, response, .. } => {
            assert_eq!(transaction, ID);
            response
        }
        other => panic!("{other:?}"),
    }
}

fn branch(seen: &Seen) -> String {
    let via = seen.get("Via");
    via.split("branch=").nth(1).expect("a branch").split(';').next().expect("a branch").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_is_completed_by_the_edge_and_its_failure_acknowledged() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    send(&world, call(Method::Invite, 1), &phone);
    let invite = phone.expect_request("INVITE").await;
    assert_eq!((invite.get("Max-Forwards"), invite.get("User-Agent")), ("70", "Convoke"));
    assert_eq!(invite.get("Contact"), format!("<sip:us@{}>", world.address(Transport::Udp)));
    assert!(invite.get("Via").contains(&format!("SIP/2.0/UDP {};rport", world.address(Transport::Udp))), "{invite:?}");
    phone.send(&answer(&invite, 180, "t1")).await;
    phone.send(&answer(&invite, 180, "t2")).await;
    assert_eq!(response(&mut world).await.to_tag().as_deref(), Some("t1"));
    assert_eq!(response(&mut world).await.to_tag().as_deref(), Some("t2"), "a second early dialog is told of");
    for _ in 0..2 {
        phone.send(&answer(&invite, 486, "t1")).await;
        let ack = phone.expect_request("ACK").await;
        assert_eq!(ack.first, "ACK sip:bob@10.255.255.1 SIP/2.0");
        assert_eq!((branch(&ack), ack.get("CSeq")), (branch(&invite), "1 ACK"));
        assert_eq!((ack.get("To"), ack.get("Route")), ("<sip:bob@example.com>;tag=t1", "<sip:10.255.255.2;lr>"));
        assert_eq!(ack.headers.get_all("Via").count(), 1);
    }
    assert_eq!(response(&mut world).await.status, 486);
    assert!(world.pending().is_empty(), "the retransmitted 486 is acknowledged and not told again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_waits_for_the_first_provisional_response() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    send(&world, call(Method::Invite, 1), &phone);
    let reason = vec!["SIP;cause=200;text=\"Call completed elsewhere\"".to_owned(), "Q.850;cause=26".to_owned()];
    world.handle(SipCommand::Cancel { transaction: ID, reason: reason.clone() });
    let invite = phone.expect_request("INVITE").await;
    // Nothing but the INVITE, again and again, as long as there is no provisional response.
    for _ in 0..3 {
        assert_eq!(branch(&phone.expect_request("INVITE").await), branch(&invite));
    }
    phone.send(&answer(&invite, 180, "t1")).await;
    let cancel = phone.expect_request("CANCEL").await;
    assert_eq!((branch(&cancel), cancel.get("CSeq")), (branch(&invite), "1 CANCEL"));
    assert_eq!(
        (cancel.get("To"), cancel.first.as_str()),
        ("<sip:bob@example.com>", "CANCEL sip:bob@10.255.255.1 SIP/2.0")
    );
    assert_eq!(cancel.headers.get_all("Reason").collect::<Vec<_>>(), reason);
    // Its first copy may be lost: it is repeated until it is answered.
    assert_eq!(branch(&phone.expect_request("CANCEL").await), branch(&invite));
    phone.send(&answer(&cancel, 200, "t1")).await;
    phone.send(&answer(&invite, 487, "t1")).await;
    assert_eq!(phone.expect_request("ACK").await.get("CSeq"), "1 ACK");
    assert_eq!(response(&mut world).await.status, 180);
    assert_eq!(response(&mut world).await.status, 487);
    assert!(world.pending().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_call_that_is_never_ended_fails() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    send(&world, call(Method::Invite, 1), &phone);
    let invite = phone.expect_request("INVITE").await;
    phone.send(&answer(&invite, 180, "t1")).await;
    assert_eq!(response(&mut world).await.status, 180);
    world.handle(SipCommand::Cancel { transaction: ID, reason: vec![] });
    let cancel = phone.expect_request("CANCEL").await;
    phone.send(&answer(&cancel, 481, "t1")).await;
    assert_eq!(world.event().await, SipEvent::Failed { transaction: ID, failure: ClientFailure::Timeout });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_told_and_acknowledged_by_the_control_side() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    send(&world, call(Method::Invite, 1), &phone);
    let invite = phone.expect_request("INVITE").await;
    for (tag, status) in [("t1", 180), ("t1", 200), ("t2", 200), ("t1", 200)] {
        phone.send(&answer(&invite, status, tag)).await;
        let told = response(&mut world).await;
        assert_eq!((told.status, told.to_tag().as_deref()), (status, Some(tag)));
    }
    let mut ack = call(Method::Ack, 1);
    ack.headers.set("To", "<sip:bob@example.com>;tag=t2");
    world.handle(SipCommand::SendAck { request: ack, flow: Some(world.flow(Transport::Udp, phone.local)) });
    let ack = phone.expect_request("ACK").await;
    assert_eq!(ack.get("To"), "<sip:bob@example.com>;tag=t2", "no ACK but ours");
    assert_ne!(branch(&ack), branch(&invite));
    assert!(world.pending().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_never_answered_goes_out_once_and_leaves_nothing_behind() {
    let mut world = World::new().await;
    let mut phone = world.tcp().await;
    // A keep-alive and its answer: the connection is known.
    phone.send_all("\r\n\r\n").await;
    tokio::io::AsyncReadExt::read_exact(&mut phone.wire, &mut [0; 2]).await.expect("a pong");
    let flow = Some(world.flow(Transport::Tcp, phone.local));
    for number in [1, 2] {
        let mut request = call(Method::Other("BENOTIFY".to_owned()), number);
        request.headers.push("Proxy-Require", "ms-benotify");
        world.handle(SipCommand::SendUnanswered { request: request.with_body("text/plain", "x"), flow });
    }
    let [first, second] = [phone.next().await.expect("one"), phone.next().await.expect("another")];
    assert!(first.first.starts_with("BENOTIFY ") && second.first.starts_with("BENOTIFY "), "{first:?} {second:?}");
    assert_eq!((first.get("CSeq"), second.get("CSeq")), ("1 BENOTIFY", "2 BENOTIFY"));
    assert_ne!(branch(&first), branch(&second));
    assert!(world.pending().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_a_timeout_and_nothing_is_acknowledged() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    send(&world, call(Method::Invite, 1), &phone);
    phone.expect_request("INVITE").await;
    assert_eq!(world.event().await, SipEvent::Failed { transaction: ID, failure: ClientFailure::Timeout });
    let flow = Some(world.flow(Transport::Udp, phone.local));
    let mut last = call(Method::Info, 2);
    last.headers.set("Call-ID", "last");
    world.handle(SipCommand::Send { transaction: ClientTransactionId(8), request: last, flow });
    let info = phone.expect_request("INFO").await;
    phone.send(&answer(&info, 200, "t1")).await;
    let SipEvent::Response { transaction, response, .. } = world.event().await else { panic!("no response") };
    assert_eq!((transaction, response.status), (ClientTransactionId(8), 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_opened_used_again_and_its_loss_told() {
    let mut world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("socket");
    let remote = listener.local_addr().expect("address");
    let mut request = call(Method::Service, 1);
    request.headers.remove("Route");
    request.uri = SipUri::parse(&format!("sip:bob@{remote};transport=tcp")).expect("valid");
    world.handle(SipCommand::Send { transaction: ID, request: request.clone(), flow: None });
    let (stream, _) = listener.accept().await.expect("a connection");
    let mut phone = Phone::on(remote, stream);
    let service = phone.next().await.expect("a request");
    assert!(service.first.starts_with("SERVICE ") && service.get("Via").starts_with("SIP/2.0/TCP"), "{service:?}");
    let tcp = world.address(Transport::Tcp);
    assert_eq!(service.get("Contact"), format!("<sip:us@{tcp};transport=tcp>"), "our listener, not the open port");
    phone.send_all(&answer(&service, 200, "t")).await;
    let SipEvent::Response { flow, .. } = world.event().await else { panic!("no response") };
    assert_eq!((flow.transport, flow.remote), (Transport::Tcp, remote));

    let mut again = request.clone();
    again.headers.set("CSeq", "2 SERVICE");
    world.handle(SipCommand::Send { transaction: ClientTransactionId(8), request: again, flow: Some(flow) });
    assert_eq!(phone.next().await.expect("on the same connection").get("CSeq"), "2 SERVICE");
    // Nobody listens any more, so that there is no other connection for it.
    drop(listener);
    drop(phone);
    let lost = SipEvent::Failed { transaction: ClientTransactionId(8), failure: ClientFailure::Transport };
    assert_eq!(world.event().await, lost);

    world.handle(SipCommand::Send { transaction: ClientTransactionId(9), request, flow: None });
    let refused = SipEvent::Failed { transaction: ClientTransactionId(9), failure: ClientFailure::Transport };
    assert_eq!(world.event().await, refused);
}

/// A phone connects from one port and listens at another. When its connection is no more, nobody is there at the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_connection_is_no_more_goes_where_the_phone_listens() {
    let mut world = World::new().await;
    let listener = || async { TcpListener::bind("127.0.0.1:0").await.expect("socket") };
    let (phone, left) = (listener().await, listener().await);
    let at = |listener: &TcpListener| listener.local_addr().expect("address");
    let lost = Some(world.flow(Transport::Tcp, at(&left)));
    let mut bye = call(Method::Bye, 1);
    bye.headers.remove("Route");
    bye.uri = SipUri::parse(&format!("sip:bob@{}", at(&phone))).expect("valid");
    world.handle(SipCommand::Send { transaction: ID, request: bye.clone(), flow: lost });
    let (stream, from) = tokio::time::timeout(DEADLINE, phone.accept()).await.expect("in time").expect("a connection");
    let mut stream = Phone::on(from, stream);
    let seen = stream.next().await.expect("a request");
    assert!(seen.first.starts_with("BYE ") && seen.get("Via").starts_with("SIP/2.0/TCP "), "{seen:?}");
    stream.send_all(&answer(&seen, 200, "t1")).await;
    assert_eq!(answered(&mut world).await.0, 200);
    let mut ack = bye.clone();
    ack.method = Method::Ack;
    ack.headers.set("CSeq", "1 ACK");
    world.handle(SipCommand::SendAck { request: ack, flow: lost });
    assert!(stream.next().await.expect("on the same connection").first.starts_with("ACK "));

    // Behind address translation a Contact may name another host of ours: it is not asked. Where nobody listens the request
    // has failed.
    let closed = at(&listener().await);
    for (number, uri) in [(8, format!("sip:bob@127.0.0.2:{}", at(&phone).port())), (9, format!("sip:bob@{closed}"))] {
        let mut request = bye.clone();
        request.uri = SipUri::parse(&uri).expect("valid");
        let transaction = ClientTransactionId(number);
        world.handle(SipCommand::Send { transaction, request, flow: lost });
        assert_eq!(world.event().await, SipEvent::Failed { transaction, failure: ClientFailure::Transport }, "{uri}");
    }
    let nobody = tokio::time::timeout(Duration::ZERO, left.accept()).await;
    assert!(nobody.is_err(), "the port he connected from was left alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tel_uri_without_a_route_goes_nowhere() {
    let mut world = World::new().await;
    let mut request = call(Method::Invite, 1);
    request.headers.remove("Route");
    request.uri = SipUri::parse("tel:+14255550123").expect("valid");
    world.handle(SipCommand::Send { transaction: ID, request, flow: None });
    assert_eq!(world.event().await, SipEvent::Failed { transaction: ID, failure: ClientFailure::Transport });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_repeated_on_an_idle_edge() {
    // Each round sets a timer while none is running, which is where the library's timer loop could miss it.
    let world = World::new().await;
    for round in 0..20_u64 {
        let mut phone = world.udp().await;
        let mut request = call(Method::Info, 1);
        request.headers.set("Call-ID", format!("round-{round}"));
        let flow = Some(world.flow(Transport::Udp, phone.local));
        world.handle(SipCommand::Send { transaction: ClientTransactionId(round), request, flow });
        phone.expect_request("INFO").await;
        let info = tokio::time::timeout(Duration::from_secs(5), phone.expect_request("INFO")).await.expect("repeated");
        phone.send(&answer(&info, 200, "t")).await;
    }
}

/// A phone that receives datagrams and, at the same port, listens for connections.
async fn both(world: &World) -> (Phone<UdpSocket>, TcpListener) {
    loop {
        let phone = world.udp().await;
        if let Ok(listener) = TcpListener::bind(phone.local).await {
            return (phone, listener);
        }
    }
}

async fn answered(world: &mut World) -> (u16, Flow) {
    match world.event().await {
        SipEvent::Response { response, flow, .. } => (response.status, flow),
        other => panic!("{other:?}"),
    }
}

/// A NOTIFY with a roster of so many bytes to a phone that registered by datagrams.
fn notify(world: &World, phone: &Phone<UdpSocket>, number: u64, size: usize) {
    let mut request = call(Method::Notify, 1);
    request.uri = SipUri::sip(Some("bob"), &phone.local.ip().to_string(), Some(phone.local.port()));
    request.headers.remove("Route");
    let request = request.with_body("application/conference-info+xml", "r".repeat(size));
    let flow = Some(world.flow(Transport::Udp, phone.local));
    world.handle(SipCommand::Send { transaction: ClientTransactionId(number), request, flow });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_long_for_a_datagram_takes_a_connection() {
    let mut world = World::new().await;
    let (mut phone, listener) = both(&world).await;
    notify(&world, &phone, 1, 500);
    let short = phone.expect_request("NOTIFY").await;
    phone.send(&answer(&short, 200, "t1")).await;
    assert_eq!(answered(&mut world).await, (200, world.flow(Transport::Udp, phone.local)));
    // The second is longer than any datagram.
    for (number, size) in [(2, 20_000), (3, 100_000)] {
        notify(&world, &phone, number, size);
        let accepted = tokio::time::timeout(DEADLINE, listener.accept()).await.expect("a connection in time");
        let (stream, from) = accepted.expect("a connection");
        let mut stream = Phone::on(from, stream);
        let seen = stream.next().await.expect("a message");
        assert_eq!(seen.body.len(), size);
        assert!(seen.get("Via").starts_with("SIP/2.0/TCP "), "{}", seen.get("Via"));
        assert_eq!(seen.get("Contact"), format!("<sip:us@{}>", world.address(Transport::Udp)), "it stays where it was");
        stream.send_all(&answer(&seen, 200, "t1")).await;
        assert_eq!(answered(&mut world).await, (200, world.flow(Transport::Udp, phone.local)));
        let still_open = world.edge.counters().connections;
        drop(stream);
        // The next one is to find the connection closed.
        while world.edge.counters().connections == still_open {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_takes_no_connection_gets_datagrams_as_long_as_they_can_be() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    notify(&world, &phone, 1, 60_000);
    let seen = phone.expect_request("NOTIFY").await;
    assert_eq!(seen.body.len(), 60_000);
    assert!(seen.get("Via").starts_with("SIP/2.0/UDP "), "{}", seen.get("Via"));
    phone.send(&answer(&seen, 200, "t1")).await;
    assert_eq!(answered(&mut world).await, (200, world.flow(Transport::Udp, phone.local)));
    notify(&world, &phone, 2, 66_000);
    match world.event().await {
        SipEvent::Failed { transaction: ClientTransactionId(2), failure: ClientFailure::TooLong } => {}
        other => panic!("{other:?}"),
    }
}
