//! Floods, dawdlers and overload.

use std::net::IpAddr;
use std::time::Duration;

use sip::{DropReason, Rate, RejectReason};
use sip_api::{Response, SipCommand, SipEvent};

use crate::support::{World, config, request};

fn options(branch: u32) -> String {
    let via = format!("UDP 127.0.0.1:9;rport;branch=z9hG4bKo{branch}");
    request("OPTIONS sip:example.com", &via, branch, "To: <sip:example.com>\r\n", "")
}

fn message(via: &str, cseq: u32) -> String {
    let via = format!("{via} 127.0.0.1:9;rport;branch=z9hG4bKm{cseq}");
    let headers = "To: <sip:bob@example.com>\r\nP-Asserted-Identity: <sip:boss@example.com>\r\n";
    request("MESSAGE sip:bob@example.com", &via, cseq, headers, "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_tells_what_it_can_do() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    phone.send(&options(1)).await;
    let answer = phone.expect(200).await;
    assert!(answer.get("Allow").contains("SERVICE") && answer.get("Accept").contains("application/sdp"));
    assert!(answer.get("To").contains(";tag="));
    assert!(world.pending().is_empty());
    // What it does not name it does not do, and what it names it does not refuse.
    let tags =
        ["timer", "100rel", "norefersub", "histinfo", "path", "join", "tdialog", "eventlist", "answermode", "pref"];
    for (branch, tag) in (2..).zip(tags) {
        let claimed = answer.headers.has_token("Supported", tag);
        let required = options(branch).replace("To:", &format!("Require: {tag}\r\nTo:"));
        phone.send(&required).await;
        phone.expect(if claimed { 200 } else { 420 }).await;
    }
    assert_eq!(answer.get("Supported"), sip_api::SUPPORTED);
    for method in ["MESSAGE", "PUBLISH", "NOTIFY"] {
        assert!(!answer.headers.has_token("Allow", method), "{method} has no rules behind it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_alives_are_answered() {
    let world = World::new().await;
    let phone = world.udp().await;
    phone.wire.send(b"\r\n\r\n").await.expect("sent");
    let mut buffer = [0; 10];
    assert_eq!(phone.wire.recv(&mut buffer).await.expect("a pong"), 2);
    let mut phone = world.tcp().await;
    phone.send_all("\r\n\r\n").await;
    let mut pong = [0; 2];
    tokio::io::AsyncReadExt::read_exact(&mut phone.wire, &mut pong).await.expect("a pong");
    assert_eq!(&pong, b"\r\n");
    assert_eq!(world.edge.counters().dropped(DropReason::KeepAlive), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_over_its_rate_gets_no_answer_unless_it_is_trusted() {
    for trusted in [false, true] {
        let mut config = config();
        config.unauthenticated_rate = Rate { per_second: 0, burst: 3 };
        if trusted {
            config.trusted_peers = vec![IpAddr::from([127, 0, 0, 1])];
        }
        let mut world = World::with(config, 100).await;
        let mut phone = world.udp().await;
        for branch in 1..=3 {
            phone.send(&options(branch)).await;
            phone.expect(200).await;
        }
        phone.send(&message("UDP", 4)).await;
        if trusted {
            let SipEvent::Request { request, .. } = world.event().await else { panic!("no request") };
            assert_eq!(request.headers.get("P-Asserted-Identity"), Some("<sip:boss@example.com>"));
        } else {
            // A keep-alive is answered after what came before it has been dealt with.
            phone.wire.send(b"\r\n\r\n").await.expect("sent");
            phone.wire.recv(&mut [0; 10]).await.expect("a pong");
            assert_eq!(world.edge.counters().dropped(DropReason::RateLimited), 1);
            assert!(world.pending().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_new_requests_and_keeps_old_ones() {
    let mut world = World::with(config(), 2).await;
    let mut phone = world.udp().await;
    for cseq in 1..=3 {
        phone.send(&message("UDP", cseq)).await;
    }
    let refused = phone.expect(503).await;
    assert_eq!((refused.get("CSeq"), refused.get("Retry-After")), ("3 MESSAGE", "5"));
    assert_eq!(world.edge.counters().rejected(RejectReason::Overload), 1);
    for _ in 0..2 {
        let SipEvent::Request { transaction, .. } = world.event().await else { panic!("no request") };
        world.handle(SipCommand::Respond { transaction, response: Response::new(200) });
        phone.expect(200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_bounded() {
    let mut config = config();
    config.limits.transactions = 2;
    let mut world = World::with(config, 100).await;
    let mut phone = world.udp().await;
    for cseq in 1..=3 {
        phone.send(&message("UDP", cseq)).await;
    }
    assert_eq!(phone.expect(503).await.get("CSeq"), "3 MESSAGE");
    assert_eq!((world.event().await, world.event().await, world.pending().len()).2, 0);
    assert_eq!(world.edge.counters().transactions, 2);
    // Nobody answers them, and after 64*T1 nobody waits any more.
    while world.edge.counters().transactions > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_one_source_are_bounded() {
    let mut config = config();
    config.connections_per_source = 2;
    let world = World::with(config, 100).await;
    let (mut one, mut two, mut three) = (world.tcp().await, world.tcp().await, world.tcp().await);
    assert!(three.next().await.is_none(), "the third is closed");
    for phone in [&mut one, &mut two] {
        phone.send_all(&options(1).replace("UDP", "TCP")).await;
        phone.expect_next(200).await;
    }
    assert_eq!(world.edge.counters().dropped(DropReason::ConnectionLimit), 1);
    assert_eq!(world.edge.counters().connections, 2);
    drop(one);
    loop {
        let mut again = world.tcp().await;
        again.send_all(&options(2).replace("UDP", "TCP")).await;
        if again.next().await.is_some() {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_peer_may_have_more_connections_than_a_source() {
    let mut config = config();
    config.connections_per_source = 1;
    config.trusted_peers = vec![IpAddr::from([127, 0, 0, 1])];
    let world = World::with(config, 100).await;
    let mut trunks = [world.tcp().await, world.tcp().await, world.tcp().await];
    for trunk in &mut trunks {
        trunk.send_all(&options(1).replace("UDP", "TCP")).await;
        trunk.expect_next(200).await;
    }
    assert_eq!(world.edge.counters().dropped(DropReason::ConnectionLimit), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dawdlers_lose_their_connection() {
    let mut config = config();
    config.message_deadline = Duration::from_millis(300);
    let world = World::with(config, 100).await;
    let (mut silent, mut slow, mut busy) = (world.tcp().await, world.tcp().await, world.tcp().await);
    busy.send_all(&options(1).replace("UDP", "TCP")).await;
    busy.expect_next(200).await;
    slow.send_all("OPTIONS sip:example.com SIP/2.0\r\n").await;
    assert!(silent.next().await.is_none() && slow.next().await.is_none());
    assert_eq!(world.edge.counters().dropped(DropReason::SlowConnection), 2);
    busy.send_all(&options(2).replace("UDP", "TCP")).await;
    busy.expect_next(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_messages_are_taken_whole_or_refused() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    let text = |cseq, size: usize| {
        let via = format!("UDP 127.0.0.1:9;rport;branch=z9hG4bKl{cseq}");
        let headers = "To: <sip:bob@example.com>\r\nContent-Type: text/plain\r\n";
        request("MESSAGE sip:bob@example.com", &via, cseq, headers, &"x".repeat(size))
    };
    phone.send(&text(1, 40_000)).await;
    let SipEvent::Request { request, .. } = world.event().await else { panic!("no request") };
    assert_eq!(request.body.len(), 40_000, "rsipstack alone would have cut it at 8 KiB");
    let mut phone = world.tcp().await;
    phone.send_all(&text(2, 70_000)).await;
    assert_eq!(phone.next().await.expect("an answer").status(), 513);
    assert!(phone.next().await.is_none(), "and the connection is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_edge_frees_its_ports() {
    let world = World::new().await;
    let mut phone = world.tcp().await;
    let addresses = world.edge.local_addresses();
    world.edge.shutdown().await;
    assert!(phone.next().await.is_none());
    let mut config = config();
    config.listen = addresses;
    drop(phone);
    // Tasks that still hold a socket end at once, but each in its own time.
    while World::try_with(config.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
}
