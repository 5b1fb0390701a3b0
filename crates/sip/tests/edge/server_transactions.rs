//! Calls that come in: what the edge does by itself and what it tells the control side.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::support::{World, authorization, config, request};
use sip::{DropReason, ListenAddress};
use sip_api::{Method, Response, ServerTransactionId, SipCommand, SipEvent, Transport};

const SDP: &str = "v=0\r\n";
/// Another address of this machine.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const INVITE_HEADERS: &str =
    "To: <sip:bob@example.com>\r\nContact: <sip:ann@127.0.0.1>\r\nContent-Type: application/sdp\r\n";

fn invite(branch: &str) -> String {
    request(
        "INVITE sip:bob@example.com",
        &format!("UDP 127.0.0.1:9;rport;branch=z9hG4bK{branch}"),
        1,
        INVITE_HEADERS,
        SDP,
    )
}

fn in_dialog(method: &str, branch: &str, cseq: u32, to: &str) -> String {
    let via = format!("UDP 127.0.0.1:9;rport;branch=z9hG4bK{branch}");
    request(&format!("{method} sip:bob@example.com"), &via, cseq, &format!("To: {to}\r\n"), "")
}

async fn incoming(world: &mut World) -> ServerTransactionId {
    match world.event().await {
        SipEvent::Request { transaction, request, user, .. } => {
            assert_eq!((request.method, user), (Method::Invite, None));
            assert_eq!(&request.body[..], SDP.as_bytes());
            transaction
        }
        other => panic!("{other:?}"),
    }
}

fn respond(world: &World, transaction: ServerTransactionId, status: u16) {
    let response = Response::new(status).with_header("Contact", "<sip:us@0.0.0.0:0>");
    world.handle(SipCommand::Respond { transaction, response });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_answered_and_ended() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    phone.send(&invite("1")).await;
    assert_eq!(phone.receive().await.status(), 100);
    let transaction = incoming(&mut world).await;
    respond(&world, transaction, 180);
    let ringing = phone.expect(180).await;
    respond(&world, transaction, 200);
    let answer = phone.expect(200).await;
    assert_eq!(ringing.get("To"), answer.get("To"), "one tag for all responses");
    assert_eq!(answer.get("Contact"), format!("<sip:us@{}>", world.address(Transport::Udp)));
    assert!(answer.get("Via").contains(&format!("rport={}", phone.local.port())), "{answer:?}");

    phone.send(&in_dialog("ACK", "2", 1, answer.get("To"))).await;
    match world.event().await {
        SipEvent::Ack { request, .. } => assert_eq!(request.cseq(), Some(1)),
        other => panic!("{other:?}"),
    }
    phone.send(&in_dialog("BYE", "3", 2, answer.get("To"))).await;
    let SipEvent::Request { transaction, request, .. } = world.event().await else { panic!("no BYE") };
    assert_eq!((request.to_tag().is_some(), request.method), (true, Method::Bye));
    world.handle(SipCommand::Respond { transaction, response: Response::new(200) });
    assert_eq!(phone.expect(200).await.get("CSeq"), "2 BYE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retransmissions_are_absorbed_and_answered_again() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    phone.send(&invite("1")).await;
    let transaction = incoming(&mut world).await;
    phone.send(&invite("1")).await;
    phone.send(&invite("1")).await;
    for _ in 0..3 {
        assert_eq!(phone.receive().await.status(), 100);
    }
    respond(&world, transaction, 486);
    let busy = phone.expect(486).await;
    // Timer G: until the ACK comes the answer is repeated.
    assert_eq!(phone.expect(486).await.get("To"), busy.get("To"));
    phone.send(&in_dialog("ACK", "1", 1, busy.get("To"))).await;
    phone.send(&in_dialog("BYE", "2", 2, busy.get("To"))).await;
    match world.event().await {
        SipEvent::Request { request, .. } => assert_eq!(request.method, Method::Bye, "one INVITE, and no ACK of 486"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_repeated_until_it_is_acknowledged() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    phone.send(&invite("1")).await;
    let transaction = incoming(&mut world).await;
    respond(&world, transaction, 200);
    let answer = phone.expect(200).await;
    for _ in 0..3 {
        assert_eq!(phone.expect(200).await.get("To"), answer.get("To"));
    }
    phone.send(&in_dialog("ACK", "2", 1, answer.get("To"))).await;
    assert!(matches!(world.event().await, SipEvent::Ack { .. }));
    // Anything after the ACK reaches the phone after the last repetition.
    phone
        .send(&request(
            "OPTIONS sip:example.com",
            "UDP 127.0.0.1:9;rport;branch=z9hG4bK9",
            9,
            "To: <sip:example.com>\r\n",
            "",
        ))
        .await;
    while phone.receive().await.get("CSeq") != "9 OPTIONS" {}
    phone.send(&in_dialog("ACK", "2", 1, answer.get("To"))).await;
    phone.send(&in_dialog("BYE", "3", 2, answer.get("To"))).await;
    assert!(matches!(world.event().await, SipEvent::Request { .. }), "the second ACK is no event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_ack_is_reported() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    phone.send(&invite("1")).await;
    let transaction = incoming(&mut world).await;
    respond(&world, transaction, 200);
    let missing = world.event().await;
    assert_eq!(missing, SipEvent::AckMissing { transaction });
    respond(&world, transaction, 200);
    assert_eq!(world.edge.counters().dropped(DropReason::LateCommand), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_cancelled() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    let cancel = request(
        "CANCEL sip:bob@example.com",
        "UDP 127.0.0.1:9;rport;branch=z9hG4bK1",
        1,
        "To: <sip:bob@example.com>\r\nReason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n",
        "",
    );
    phone.send(&cancel).await;
    assert_eq!(phone.expect(481).await.get("CSeq"), "1 CANCEL", "nothing to cancel yet");
    phone.send(&invite("1")).await;
    let transaction = incoming(&mut world).await;
    phone.send(&cancel).await;
    assert_eq!(phone.expect(200).await.get("CSeq"), "1 CANCEL");
    let reason = vec!["SIP;cause=200;text=\"Call completed elsewhere\"".to_owned()];
    assert_eq!(world.event().await, SipEvent::Cancelled { transaction, reason });
    respond(&world, transaction, 487);
    let ended = phone.expect(487).await;
    phone.send(&in_dialog("ACK", "1", 1, ended.get("To"))).await;
    phone.send(&cancel).await;
    loop {
        let seen = phone.receive().await;
        if seen.get("CSeq") == "1 CANCEL" {
            assert_eq!(seen.status(), 200);
            break;
        }
    }
    assert!(world.pending().is_empty(), "a CANCEL after the final response is no event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_and_its_cancel_in_one_segment_are_told_in_order() {
    let mut world = World::new().await;
    let mut phone = world.tcp().await;
    let via = "TCP 127.0.0.1:9;branch=z9hG4bK1";
    let invite = request("INVITE sip:bob@example.com", via, 1, INVITE_HEADERS, SDP);
    let cancel = request("CANCEL sip:bob@example.com", via, 1, "To: <sip:bob@example.com>\r\n", "");
    phone.send_all(&format!("{invite}{cancel}")).await;
    let transaction = incoming(&mut world).await;
    assert_eq!(world.event().await, SipEvent::Cancelled { transaction, reason: vec![] });
    let answers = [phone.next().await.expect("100"), phone.next().await.expect("200")];
    let mut answers = answers.map(|seen| (seen.status(), seen.get("CSeq").to_owned()));
    answers.sort();
    assert_eq!(answers, [(100, "1 INVITE".to_owned()), (200, "1 CANCEL".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_the_library_does_not_know_work_too() {
    let mut world = World::new().await;
    let mut phone = world.tcp().await;
    let c3p = "To: <sip:focus@example.com>\r\nContent-Type: application/cccp+xml\r\n";
    phone
        .send_all(&request("SERVICE sip:focus@example.com", "TCP 127.0.0.1:9;branch=z9hG4bK1", 1, c3p, "<request/>"))
        .await;
    let SipEvent::Request { transaction, request, flow, .. } = world.event().await else { panic!("no request") };
    assert_eq!((request.method, flow.transport, flow.remote), (Method::Service, Transport::Tcp, phone.local));
    let mut response = Response::new(200).with_body("application/cccp+xml", "<response/>");
    response.reason = "As You Wish".to_owned();
    world.handle(SipCommand::Respond { transaction, response });
    let answer = phone.expect_next(200).await;
    assert_eq!((answer.first.as_str(), answer.body.as_str()), ("SIP/2.0 200 As You Wish", "<response/>"));
    assert_eq!(answer.get("CSeq"), "1 SERVICE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_too_long_for_a_datagram_is_refused_and_goes_whole_over_a_connection() {
    let mut world = World::new().await;
    let (mut udp, mut tcp) = (world.udp().await, world.tcp().await);
    let text = |transport| {
        let via = format!("{transport} 127.0.0.1:9;rport;branch=z9hG4bKlong{transport}");
        request("SERVICE sip:focus@example.com", &via, 1, "To: <sip:focus@example.com>\r\n", "")
    };
    udp.send(&text("UDP")).await;
    tcp.send_all(&text("TCP")).await;
    for _ in 0..2 {
        let SipEvent::Request { transaction, .. } = world.event().await else { panic!("no request") };
        let response = Response::new(200).with_body("application/cccp+xml", "x".repeat(66_000));
        world.handle(SipCommand::Respond { transaction, response });
    }
    let refused = udp.expect(513).await;
    assert_eq!((refused.get("CSeq"), refused.body.as_str()), ("1 SERVICE", ""));
    assert!(refused.get("Warning").contains("TCP"), "{refused:?}");
    assert_eq!(tcp.expect_next(200).await.body.len(), 66_000);
    assert_eq!(world.edge.counters().dropped(DropReason::Unsent), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_routes_and_foreign_vias_come_back() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    let extra = format!(
        "{INVITE_HEADERS}Via: SIP/2.0/TCP far.example;branch=z9hG4bKfar\r\nRecord-Route: <sip:p1;lr>, <sip:p2;lr>\r\n"
    );
    let via = "UDP proxy.example:9;branch=z9hG4bK1";
    phone.send(&request("INVITE sip:bob@example.com", via, 1, &extra, SDP)).await;
    let transaction = incoming(&mut world).await;
    let response = Response::new(200).with_header("To", "<sip:bob@example.com>;tag=mine");
    world.handle(SipCommand::Respond { transaction, response });
    let answer = phone.expect(200).await;
    let vias: Vec<&str> = answer.headers.get_all("Via").collect();
    let own = "SIP/2.0/UDP proxy.example:9;branch=z9hG4bK1;received=127.0.0.1";
    assert_eq!(vias, [own, "SIP/2.0/TCP far.example;branch=z9hG4bKfar"]);
    assert_eq!(answer.get("Record-Route"), "<sip:p1;lr>, <sip:p2;lr>");
    assert_eq!(answer.get("To"), "<sip:bob@example.com>;tag=mine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_nobody_answers_is_answered_here() {
    let mut config = config();
    config.limits.invite_answer = Duration::from_millis(100);
    let mut world = World::with(config, 1_000).await;
    let mut phone = world.udp().await;
    phone.send(&invite("1")).await;
    let transaction = incoming(&mut world).await;
    let overdue = phone.expect(408).await;
    match world.event().await {
        SipEvent::Cancelled { transaction: which, reason } => assert_eq!((which, reason.len()), (transaction, 0)),
        other => panic!("{other:?}"),
    }
    phone.send(&in_dialog("ACK", "1", 1, overdue.get("To"))).await;
    respond(&world, transaction, 487);
    assert_eq!(world.edge.counters().dropped(DropReason::LateCommand), 1, "it has its final response");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_begins_only_so_many_calls_at_once() {
    let mut config = config();
    config.limits.pending_invites_per_source = 2;
    let mut world = World::with(config, 1_000).await;
    let mut phone = world.udp().await;
    let mut begun = Vec::new();
    for branch in ["1", "2"] {
        phone.send(&invite(branch)).await;
        begun.push(incoming(&mut world).await);
    }
    phone.send(&invite("3")).await;
    assert_eq!(phone.expect(503).await.get("Retry-After"), "5");

    respond(&world, begun[0], 486);
    phone.expect(486).await;
    phone.send(&invite("4")).await;
    let _in_its_place = incoming(&mut world).await;
    respond(&world, begun[1], 200);
    let answer = phone.expect(200).await;
    phone.send(&invite("5")).await;
    phone.expect(503).await;
    phone.send(&in_dialog("ACK", "6", 1, answer.get("To"))).await;
    assert!(matches!(world.event().await, SipEvent::Ack { .. }));
    phone.send(&invite("7")).await;
    let _in_the_place_of_the_acknowledged_one = incoming(&mut world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_come_in_over_ipv6() {
    let mut config = config();
    let any = "[::1]:0".parse().expect("address");
    config.listen = vec![ListenAddress::new(Transport::Udp, any), ListenAddress::new(Transport::Tcp, any)];
    let mut world = World::with(config, 1_000).await;
    let mut phone = world.udp().await;
    phone.send(&invite("1").replace("127.0.0.1:9", "[::1]:9")).await;
    let transaction = incoming(&mut world).await;
    respond(&world, transaction, 200);
    let answer = phone.expect(200).await;
    assert_eq!(answer.get("Contact"), format!("<sip:us@{}>", world.address(Transport::Udp)));
    assert!(answer.get("Via").contains(&format!("rport={}", phone.local.port())), "{answer:?}");

    let mut stream = world.tcp().await;
    stream
        .send_all(&request(
            "OPTIONS sip:example.com",
            "TCP [::1]:9;branch=z9hG4bK2",
            1,
            "To: <sip:example.com>\r\n",
            "",
        ))
        .await;
    stream.expect_next(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_and_ack_from_another_address_are_nobodys() {
    let mut world = World::new().await;
    let (mut phone, mut stranger) = (world.udp().await, world.udp_at(ELSEWHERE).await);
    phone.send(&invite("1")).await;
    let transaction = incoming(&mut world).await;
    stranger.send(&in_dialog("CANCEL", "1", 1, "<sip:bob@example.com>")).await;
    assert_eq!(stranger.expect(481).await.get("CSeq"), "1 CANCEL");
    respond(&world, transaction, 200);
    let answer = phone.expect(200).await;
    stranger.send(&in_dialog("ACK", "2", 1, answer.get("To"))).await;
    // What comes after it has been dealt with after it.
    stranger.send(&in_dialog("BYE", "3", 2, answer.get("To"))).await;
    assert!(matches!(world.event().await, SipEvent::Request { .. }), "the ACK was not taken");
    assert_eq!(world.edge.counters().dropped(DropReason::UnmatchedAck), 1);
    phone.send(&in_dialog("ACK", "4", 1, answer.get("To"))).await;
    assert!(matches!(world.event().await, SipEvent::Ack { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_behind_a_proxy_may_acknowledge_by_himself() {
    let mut world = World::new().await;
    let (mut proxy, mut caller) = (world.udp().await, world.udp_at(ELSEWHERE).await);
    let forwarded = invite("1").replace("Max-Forwards", "Via: SIP/2.0/UDP 127.0.0.2:9;branch=z9hG4bKc\r\nMax-Forwards");
    proxy.send(&forwarded.replace("<sip:ann@127.0.0.1>", "<sip:ann@127.0.0.2>")).await;
    let transaction = incoming(&mut world).await;
    respond(&world, transaction, 200);
    let answer = proxy.expect(200).await;
    caller.send(&in_dialog("ACK", "2", 1, answer.get("To"))).await;
    assert!(matches!(world.event().await, SipEvent::Ack { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inside_a_dialog_a_password_says_who_it_is_whatever_from_says() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    let options = |branch, authorization: &str| {
        let headers = format!("To: <sip:bob@example.com>;tag=b\r\n{authorization}");
        request(
            "OPTIONS sip:bob@example.com",
            &format!("UDP 127.0.0.1:9;rport;branch=z9hG4bK{branch}"),
            1,
            &headers,
            "",
        )
    };
    phone.send(&options("1", "")).await;
    let SipEvent::Request { transaction, user: None, .. } = world.event().await else { panic!("no request") };
    world.handle(SipCommand::Challenge { transaction });
    let challenge = phone.expect(401).await;
    // Bob's device answers a call to ann: From and To of the dialog are hers and the caller's.
    let uri = "sip:bob@example.com";
    let answer = authorization(challenge.get("WWW-Authenticate"), "bob", "hidden", "OPTIONS", uri, 1);
    phone.send(&options("2", &answer)).await;
    let SipEvent::Request { user, .. } = world.event().await else { panic!("no request") };
    assert_eq!(user.expect("proven").as_str(), "sip:bob@example.com");
}
