//! REGISTER and digest over sockets.

use std::sync::Arc;

use sip::{DropReason, Registration, RegistrationKeeper, Registrations, RejectReason};
use sip_api::{Binding, Response, SipCommand, SipEvent, Transport};
use tokio::net::UdpSocket;

use crate::support::{Phone, Seen, World, authorization, config, request};

const URI: &str = "sip:example.com";

fn register(via: &str, cseq: u32, contact: &str, extra: &str) -> String {
    let headers = format!("To: <sip:ann@example.com>\r\nContact: {contact}\r\n{extra}");
    request(&format!("REGISTER {URI}"), &format!("{via} 127.0.0.1:9;rport;branch=z9hG4bKr{cseq}"), cseq, &headers, "")
}

async fn challenge(phone: &mut Phone<UdpSocket>, cseq: u32) -> Seen {
    phone.send(&register("UDP", cseq, "<sip:ann@10.0.0.1>", "")).await;
    phone.expect(401).await
}

fn challenges(seen: &Seen) -> Vec<String> {
    seen.headers.get_all("WWW-Authenticate").map(str::to_owned).collect()
}

async fn bindings(world: &mut World) -> Vec<Binding> {
    match world.event().await {
        SipEvent::BindingsChanged { user, bindings } => {
            assert_eq!(user.as_str(), "sip:ann@example.com");
            bindings
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_registers_with_either_algorithm() {
    let mut world = World::new().await;
    for (index, algorithm) in ["SHA-256", "MD5"].into_iter().enumerate() {
        let mut phone = world.udp().await;
        let cseq = index as u32 * 10 + 1;
        let asked = challenges(&challenge(&mut phone, cseq).await);
        assert!(asked[0].contains("algorithm=SHA-256") && asked[1].contains("algorithm=MD5"), "{asked:?}");
        let credentials = authorization(&asked[index], "ann", "secret", "REGISTER", URI, 1);
        assert!(credentials.contains(algorithm));
        let contact = format!("<sip:ann@10.0.0.{cseq}>;expires=100");
        let text = register("UDP", cseq + 1, &contact, &credentials);
        phone.send(&text).await;
        let done = phone.expect(200).await;
        assert!(
            done.headers
                .get_all("Contact")
                .any(|listed| listed.contains(&format!("<sip:ann@10.0.0.{cseq}>;expires=100")))
        );
        // A retransmission is answered as before, though its nonce count is used.
        assert_eq!(phone.insist(&text, 200).await.get("To"), done.get("To"));
        let told = bindings(&mut world).await;
        let mine = told.iter().find(|binding| binding.contact.host == format!("10.0.0.{cseq}")).expect("told");
        assert_eq!(mine.flow, world.flow(Transport::Udp, phone.local));
    }
    let counters = world.edge.counters();
    assert_eq!((counters.registrations, counters.bindings, counters.authentication_failures), (2, 2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_and_unknown_users_look_the_same() {
    let world = World::new().await;
    let mut phone = world.udp().await;
    let asked = challenges(&challenge(&mut phone, 1).await);
    let mut answers = Vec::new();
    for (cseq, user) in [(2, "ann"), (3, "nobody")] {
        let credentials = authorization(&asked[0], user, "guess", "REGISTER", URI, cseq);
        phone.send(&register("UDP", cseq, "<sip:ann@10.0.0.1>", &credentials)).await;
        let refused = phone.expect(401).await;
        let names: Vec<String> = refused.headers.iter().map(|(name, _)| name.to_owned()).collect();
        assert!(!refused.get("WWW-Authenticate").contains("stale"));
        answers.push(names);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(world.edge.counters().authentication_failures, 2);
    for cseq in 4..=20 {
        let credentials = authorization(&asked[0], "ann", "guess", "REGISTER", URI, cseq);
        phone.send(&register("UDP", cseq, "<sip:ann@10.0.0.1>", &credentials)).await;
        let expected = if cseq <= 12 { 401 } else { 403 };
        let answer = phone.receive().await;
        let wait = (expected == 403).then_some("600");
        assert_eq!((answer.status(), answer.headers.get("Retry-After")), (expected, wait), "attempt {cseq}");
    }
    assert_eq!(world.edge.counters().rejected(RejectReason::Throttled), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sees_no_answer_at_an_address_cannot_lock_its_owner_out() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    let mut elsewhere = world.udp_at([127, 0, 0, 2].into()).await;
    let theirs = challenges(&challenge(&mut elsewhere, 1).await).remove(0);
    let invented = theirs.replacen("nonce=\"", "nonce=\"0000", 1);
    for cseq in 2..=25 {
        let challenge = if cseq % 2 == 0 { &theirs } else { &invented };
        let credentials = authorization(challenge, "ann", "guess", "REGISTER", URI, cseq);
        phone.send(&register("UDP", cseq, "<sip:ann@10.0.0.1>", &credentials)).await;
        assert!(phone.expect(401).await.get("WWW-Authenticate").ends_with("stale=true"));
    }
    let mine = challenges(&challenge(&mut phone, 26).await).remove(0);
    let credentials = authorization(&mine, "ann", "secret", "REGISTER", URI, 1);
    phone.send(&register("UDP", 27, "<sip:ann@10.0.0.1>", &credentials)).await;
    phone.expect(200).await;
    assert_eq!(bindings(&mut world).await.len(), 1);
    assert_eq!(world.edge.counters().authentication_failures, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_registers_for_somebody_else() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    let asked = challenges(&challenge(&mut phone, 1).await);
    let credentials = authorization(&asked[0], "bob", "hidden", "REGISTER", URI, 1);
    phone.send(&register("UDP", 2, "<sip:bob@10.0.0.1>", &credentials)).await;
    assert_eq!(phone.expect(403).await.first, "SIP/2.0 403 From is another user");
    let credentials = authorization(&asked[0], "ann", "secret", "REGISTER", URI, 2);
    let text = register("UDP", 3, "<sip:ann@10.0.0.1>", &credentials).replace("To: <sip:ann@", "To: <sip:bob@");
    phone.send(&text).await;
    assert_eq!(phone.expect(403).await.first, "SIP/2.0 403 To is another user");
    let text = register("UDP", 4, "<sip:ann@10.0.0.1>", "")
        .replace("To: <sip:ann@example.com>", "To: <sip:ann@other.example>");
    phone.send(&text).await;
    phone.expect(404).await;
    assert!(world.pending().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lifetimes_are_bounded_and_a_used_nonce_is_stale() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    let asked = challenges(&challenge(&mut phone, 1).await);
    let credentials = authorization(&asked[0], "ann", "secret", "REGISTER", URI, 1);
    phone.send(&register("UDP", 2, "<sip:ann@10.0.0.1>;expires=10", &credentials)).await;
    assert_eq!(phone.expect(423).await.get("Min-Expires"), "60");
    phone.send(&register("UDP", 3, "<sip:ann@10.0.0.1>", &credentials)).await;
    assert!(phone.expect(401).await.get("WWW-Authenticate").ends_with("stale=true"));
    let credentials = authorization(&asked[0], "ann", "secret", "REGISTER", URI, 2);
    phone.send(&register("UDP", 4, "<sip:ann@10.0.0.1>", &credentials)).await;
    assert!(phone.expect(200).await.get("Contact").contains(";expires=600"));
    assert_eq!(bindings(&mut world).await.len(), 1);
    let credentials = authorization(&asked[0], "ann", "secret", "REGISTER", URI, 3);
    phone.send(&register("UDP", 5, "*", &format!("Expires: 0\r\n{credentials}"))).await;
    assert_eq!(phone.expect(200).await.headers.get("Contact"), None);
    assert_eq!(bindings(&mut world).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registrations_expire_by_themselves() {
    let mut config = config();
    config.registration.min = std::time::Duration::from_secs(1);
    let mut world = World::with(config, 100).await;
    let mut phone = world.udp().await;
    let asked = challenges(&challenge(&mut phone, 1).await);
    let credentials = authorization(&asked[0], "ann", "secret", "REGISTER", URI, 1);
    phone.send(&register("UDP", 2, "<sip:ann@10.0.0.1>;expires=1", &credentials)).await;
    phone.expect(200).await;
    assert_eq!(bindings(&mut world).await.len(), 1);
    assert_eq!(bindings(&mut world).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_connection_takes_its_registration_along() {
    let mut world = World::new().await;
    let mut phone = world.tcp().await;
    phone.send_all(&register("TCP", 1, "<sip:ann@10.0.0.1;transport=tcp>", "")).await;
    let asked = challenges(&phone.expect_next(401).await);
    let credentials = authorization(&asked[0], "ann", "secret", "REGISTER", URI, 1);
    let contact = "<sip:ann@10.0.0.1;transport=tcp>;q=0.5;+sip.instance=\"<urn:uuid:1>\"";
    phone.send_all(&register("TCP", 2, contact, &format!("Path: <sip:p;lr>\r\n{credentials}"))).await;
    assert_eq!(phone.expect_next(200).await.get("Path"), "<sip:p;lr>");
    let told = bindings(&mut world).await;
    assert_eq!((told[0].preference, told[0].instance.as_deref()), (500, Some("<urn:uuid:1>")));
    assert_eq!((told[0].path.len(), told[0].flow.remote), (1, phone.local));
    drop(phone);
    assert_eq!(bindings(&mut world).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_challenged_by_the_control_side_and_then_proven() {
    let mut world = World::new().await;
    let mut phone = world.udp().await;
    let message = |branch: &str, cseq, from: &str, extra: &str| {
        let via = format!("UDP 127.0.0.1:9;rport;branch=z9hG4bK{branch}");
        let headers = format!(
            "To: <sip:bob@example.com>\r\nP-Asserted-Identity: <sip:boss@example.com>\r\nX-RG-Offer: 1\r\n{extra}"
        );
        request("MESSAGE sip:bob@example.com", &via, cseq, &headers, "").replace("sip:ann@", from)
    };
    phone.send(&message("1", 1, "sip:ann@", "")).await;
    let SipEvent::Request { transaction, request, user, .. } = world.event().await else { panic!("no request") };
    assert_eq!(
        (user, request.headers.get("P-Asserted-Identity"), request.headers.get("X-RG-Offer")),
        (None, None, None)
    );
    world.handle(SipCommand::Challenge { transaction });
    let asked = challenges(&phone.expect(401).await);
    assert_eq!(asked.len(), 2);

    let credentials = |count| authorization(&asked[0], "ann", "secret", "MESSAGE", "sip:bob@example.com", count);
    phone.send(&message("2", 2, "sip:ann@", &credentials(1))).await;
    let SipEvent::Request { transaction, user, .. } = world.event().await else { panic!("no request") };
    assert_eq!(user.as_ref().map(|user| user.as_str()), Some("sip:ann@example.com"));
    world.handle(SipCommand::Respond { transaction, response: Response::new(200) });
    phone.expect(200).await;

    phone.send(&message("3", 3, "sip:boss@", &credentials(2))).await;
    phone.expect(403).await;
    assert!(world.pending().is_empty());
    assert_eq!(world.edge.counters().dropped(DropReason::Panic), 0);
}

/// What an edge wants kept, in order.
#[derive(Default)]
struct Kept(std::sync::Mutex<Vec<Vec<Registration>>>, tokio::sync::Notify);

impl RegistrationKeeper for Kept {
    fn keep(&self, user: &base::UserUri, devices: Vec<Registration>) {
        assert_eq!(user.as_str(), "sip:ann@example.com");
        self.0.lock().expect("no panic").push(devices);
        self.1.notify_one();
    }
}

impl Kept {
    async fn until(&self, count: usize) -> Vec<Registration> {
        let kept = async {
            loop {
                if let Some(last) = self.0.lock().expect("no panic").get(count - 1) {
                    return last.clone();
                }
                self.1.notified().await;
            }
        };
        tokio::time::timeout(crate::support::DEADLINE, kept).await.expect("kept in time")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_phone_registers_refreshes_and_removes_is_kept() {
    let kept = Arc::new(Kept::default());
    let registrations = Registrations { kept: Vec::new(), keeper: Some(kept.clone()) };
    let world = World::after(config(), 100, registrations).await;
    let mut phone = world.udp().await;
    for (round, expires, lives) in [(1, 300, 1), (2, 600, 1), (3, 0, 0)] {
        let asked = challenges(&challenge(&mut phone, round * 10).await);
        let proof = authorization(&asked[0], "ann", "secret", "REGISTER", URI, 1);
        let extra = format!("Expires: {expires}\r\n{proof}");
        phone.send(&register("UDP", round * 10 + 1, "<sip:ann@10.0.0.1>", &extra)).await;
        phone.expect(200).await;
        let devices = kept.until(round as usize).await;
        assert_eq!(devices.len(), lives, "round {round}");
        for device in devices {
            assert_eq!((device.cseq, device.binding.flow.remote), (round * 10 + 1, phone.local));
            let left = device.lifetime.as_secs();
            assert!((expires - 5..=expires).contains(&left), "{left} of {expires} seconds");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_of_an_earlier_process_are_told_of_if_they_can_be_reached() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let listening = listener.local_addr().expect("bound");
    let other_listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let other_listening = other_listener.local_addr().expect("bound");
    // Bound, so that nobody else gets the port, and not listening, so that it refuses.
    let refusing = tokio::net::TcpSocket::new_v4().expect("a socket");
    refusing.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let refused = refusing.local_addr().expect("bound");
    let elsewhere = "127.0.0.9:9".parse().expect("an address");
    let device = |transport, at: std::net::SocketAddr, from: std::net::SocketAddr| Registration {
        user: base::UserUri::parse("sip:ann@example.com").expect("valid"),
        binding: Binding {
            contact: sip_api::SipUri::sip(Some("ann"), &at.ip().to_string(), Some(at.port())),
            path: Vec::new(),
            flow: sip_api::Flow { transport, local: "127.0.0.1:5060".parse().expect("an address"), remote: from },
            instance: None,
            preference: 1_000,
        },
        call_id: "earlier".to_owned(),
        cseq: 7,
        lifetime: std::time::Duration::from_secs(100),
    };
    let kept = Arc::new(Kept::default());
    let registrations = Registrations {
        kept: vec![
            device(Transport::Udp, elsewhere, elsewhere),
            device(Transport::Tcp, listening, listening),
            device(Transport::Tcp, refused, refused),
            // Behind address translation: what its Contact names is somebody else here.
            device(Transport::Tcp, other_listening, elsewhere),
        ],
        keeper: Some(kept.clone()),
    };
    let mut world = World::after(config(), 100, registrations).await;
    assert_eq!(bindings(&mut world).await.len(), 1, "by datagrams at once");
    let both = bindings(&mut world).await;
    assert_eq!(both.len(), 2, "by a new connection");
    assert!(both.iter().any(|binding| binding.flow.transport == Transport::Tcp && binding.flow.remote == listening));
    let accepted = tokio::time::timeout(crate::support::DEADLINE, listener.accept()).await;
    // Held: a device whose connection ends is forgotten.
    let _connection = accepted.expect("in time").expect("that connection");
    let settled = async {
        while kept.0.lock().expect("no panic").last().map_or(0, Vec::len) != 2 {
            kept.1.notified().await;
        }
    };
    tokio::time::timeout(crate::support::DEADLINE, settled).await.expect("both are kept in time");
    assert!(world.pending().is_empty());
}
