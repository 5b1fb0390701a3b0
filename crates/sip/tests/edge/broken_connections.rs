//! Requests of ours whose connection breaks before they are answered.

use sip_api::{
    ClientFailure, ClientTransactionId, Headers, Method, Request, Response, SipCommand, SipEvent, SipUri, Transport,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{DEADLINE, Phone, Seen, World};

const ID: ClientTransactionId = ClientTransactionId(7);

/// A phone that connected from one port and listens at another.
struct Ringing {
    world: World,
    listener: TcpListener,
    stream: Phone<TcpStream>,
    /// What came over the connection.
    request: Seen,
}

impl Ringing {
    /// It was sent this request over the connection it made.
    async fn with(method: Method) -> Self {
        let world = World::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("socket");
        let mut stream = world.tcp().await;
        // A keep-alive and its answer: the connection is known.
        stream.send_all("\r\n\r\n").await;
        tokio::io::AsyncReadExt::read_exact(&mut stream.wire, &mut [0; 2]).await.expect("a pong");
        let contact = format!("sip:bob@{};transport=tcp", listener.local_addr().expect("address"));
        let mut request = Request::new(method.clone(), SipUri::parse(&contact).expect("valid"));
        request.headers = Headers::new()
            .with("From", "<sip:us@example.com>;tag=f1")
            .with("To", "<sip:bob@example.com>")
            .with("Call-ID", "broken-1")
            .with("CSeq", format!("1 {method}"))
            .with("Contact", "<sip:us@0.0.0.0:0>");
        let flow = Some(world.flow(Transport::Tcp, stream.local));
        world.handle(SipCommand::Send { transaction: ID, request, flow });
        let request = stream.next().await.expect("the request");
        Self { world, listener, stream, request }
    }

    /// The same with an INVITE for which it rings.
    async fn invited() -> Self {
        let mut ringing = Self::with(Method::Invite).await;
        ringing.stream.send_all(&answer(&ringing.request, 180)).await;
        assert_eq!(ringing.told().await.status, 180);
        ringing
    }

    /// Its connection is no more, and this is the next one to it.
    async fn reconnected(&mut self) -> Phone<TcpStream> {
        tokio::io::AsyncWriteExt::shutdown(&mut self.stream.wire).await.expect("closed");
        let accepted = timeout(DEADLINE, self.listener.accept()).await.expect("a connection in time");
        let (stream, from) = accepted.expect("a connection");
        let mut stream = Phone::on(from, stream);
        let again = stream.next().await.expect("the request again");
        assert_eq!((&again.first, &again.headers), (&self.request.first, &self.request.headers), "a retransmission");
        stream
    }

    async fn told(&mut self) -> Response {
        match self.world.event().await {
            SipEvent::Response { transaction: ID, response, .. } => response,
            other => panic!("{other:?}"),
        }
    }

    async fn failed(&mut self) {
        let failed = SipEvent::Failed { transaction: ID, failure: ClientFailure::Transport };
        assert_eq!(self.world.event().await, failed);
    }
}

fn answer(seen: &Seen, status: u16) -> String {
    let copied = ["Via", "From", "Call-ID", "CSeq"].map(|name| format!("{name}: {}\r\n", seen.get(name))).concat();
    let to = seen.get("To").split(";tag").next().expect("a To");
    format!("SIP/2.0 {status} X\r\n{copied}To: {to};tag=t1\r\nContent-Length: 0\r\n\r\n")
}

/// It is cancelled with the branch of the INVITE, says so, and is acknowledged.
async fn is_cancelled(stream: &mut Phone<TcpStream>, invite: &Seen) {
    let cancel = stream.next().await.expect("a CANCEL");
    assert_eq!((cancel.get("Via"), cancel.get("CSeq")), (invite.get("Via"), "1 CANCEL"));
    assert!(cancel.get("Reason").contains("cause=200"), "{cancel:?}");
    stream.send_all(&answer(&cancel, 200)).await;
    stream.send_all(&answer(invite, 487)).await;
    assert_eq!(stream.next().await.expect("an ACK").get("CSeq"), "1 ACK");
}

fn cancel(world: &World) {
    let reason = vec!["SIP;cause=200;text=\"Call completed elsewhere\"".to_owned()];
    world.handle(SipCommand::Cancel { transaction: ID, reason });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_whose_connection_breaks_while_it_rings_is_cancelled_where_it_listens() {
    let mut ringing = Ringing::invited().await;
    let mut stream = ringing.reconnected().await;
    cancel(&ringing.world);
    is_cancelled(&mut stream, &ringing.request).await;
    assert_eq!(ringing.told().await.status, 487);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_was_lost_with_its_connection_is_repeated() {
    let mut ringing = Ringing::invited().await;
    cancel(&ringing.world);
    assert!(ringing.stream.next().await.expect("a CANCEL").first.starts_with("CANCEL "));
    let mut stream = ringing.reconnected().await;
    is_cancelled(&mut stream, &ringing.request).await;
    assert_eq!(ringing.told().await.status, 487);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_answered_over_another_connection_whoever_opened_it() {
    for phone_opens in [false, true] {
        let mut ringing = Ringing::invited().await;
        let mut ours = ringing.reconnected().await;
        let remote = ringing.listener.local_addr().expect("address");
        let answer = answer(&ringing.request, 200);
        if phone_opens {
            // RFC 3261 18.2.2: to the address in our Via.
            ringing.world.tcp().await.send_all(&answer).await;
        } else {
            ours.send_all(&answer).await;
        }
        match ringing.world.event().await {
            SipEvent::Response { response, flow, .. } => {
                assert_eq!((response.status, flow.transport, flow.remote), (200, Transport::Tcp, remote));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_may_have_been_lost_with_its_connection_is_repeated() {
    let mut ringing = Ringing::with(Method::Bye).await;
    let mut stream = ringing.reconnected().await;
    stream.send_all(&answer(&ringing.request, 200)).await;
    assert_eq!(ringing.told().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_fails_when_nobody_listens_or_the_second_connection_breaks_as_well() {
    let mut ringing = Ringing::invited().await;
    drop(ringing.reconnected().await);
    ringing.failed().await;

    let Ringing { world, listener, stream, request } = Ringing::invited().await;
    drop((listener, stream));
    let (listener, stream) = (TcpListener::bind("127.0.0.1:0").await.expect("socket"), world.tcp().await);
    Ringing { world, listener, stream, request }.failed().await;
}
