//! What must not reach a log.

use std::sync::Mutex;

use sip_api::{ClientTransactionId, Headers, Method, Request, Response, SipCommand, SipEvent, SipUri, Transport};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{World, request};

static TARGETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notes who logs at all. It listens to every test of this program.
struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        TARGETS.lock().expect("sound").push(event.metadata().target().to_owned());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_library_that_logs_whole_messages_is_silent() {
    tracing::subscriber::set_global_default(Listener).expect("the only one");
    tracing::info!("heard");
    let mut world = World::new().await;
    let (mut udp, mut tcp) = (world.udp().await, world.tcp().await);
    let text = |transport| {
        let via = format!("{transport} 127.0.0.1:9;rport;branch=z9hG4bK{transport}");
        request("INVITE sip:bob@example.com", &via, 1, "To: <sip:bob@example.com>\r\n", "")
    };
    udp.send(&text("UDP")).await;
    tcp.send_all(&text("TCP")).await;
    for _ in 0..2 {
        let SipEvent::Request { transaction, .. } = world.event().await else { panic!("no request") };
        world.handle(SipCommand::Respond { transaction, response: Response::new(486) });
    }
    udp.expect(486).await;
    tcp.expect_next(486).await;
    let mut out = Request::new(Method::Message, SipUri::sip(Some("ann"), "example.com", None));
    out.headers = Headers::new().with("From", "<sip:us@x>;tag=1").with("To", "<sip:ann@x>").with("Call-ID", "c");
    out.headers.push("CSeq", "1 MESSAGE");
    let flow = Some(world.flow(Transport::Udp, udp.local));
    world.handle(SipCommand::Send { transaction: ClientTransactionId(1), request: out, flow });
    udp.expect_request("MESSAGE").await;
    udp.expect_request("MESSAGE").await;
    let targets = TARGETS.lock().expect("sound").clone();
    assert!(targets.iter().any(|target| target.starts_with("edge")), "{targets:?}");
    assert!(!targets.iter().any(|target| target.starts_with("rsipstack")), "{targets:?}");
}
