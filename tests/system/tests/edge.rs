//! The SIP edge of the real binary: whom it believes, and by which names and addresses it is
//! known, and whom it still reaches after a crash.

use system_tests::{Behaviour, Device, PASSWORD, Server, ServerOptions, eventually};
use testkit::{Agent, AgentOptions, Dialog, SipMessage, Transport};

/// A trunk at an address of its own on loopback, which no phone of the tests has.
const TRUNK: [u8; 4] = [127, 0, 0, 2];

const OFFER: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";

/// A server with this trunk line in its configuration.
fn server_with_trunk(trusted: bool) -> Server {
    let extra = format!(
        "\n[[location_profile]]\nname = \"default\"\n\n[[trunk]]\nname = \"provider\"\ntarget = \"udp:127.0.0.2:5060\"\n\
         trusted = {trusted}\n"
    );
    Server::start(&ServerOptions { extra, ..ServerOptions::default() })
}

async fn trunk(server: &Server) -> Agent {
    let options = AgentOptions {
        bind: (TRUNK, 0).into(),
        credentials: None,
        ..AgentOptions::new("provider", "127.0.0.2", "", server.sip())
    };
    Agent::open(options).await.expect("127.0.0.2 is on loopback").0
}

/// An INVITE for user2 in which the trunk asserts who calls.
fn asserting(trunk: &Agent, server: &Server) -> SipMessage {
    trunk
        .new_request("INVITE", &format!("sip:user2@{}", server.sip()))
        .with("P-Asserted-Identity", "<tel:+4930111222>")
        .with_body("application/sdp", OFFER)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_trunk_is_believed_on_who_calls() {
    let server = server_with_trunk(true);
    let bob = Device::register(&server, "user2", Behaviour::Refuse(486)).await;
    let trunk = trunk(&server).await;
    let answer = trunk.request(&mut asserting(&trunk, &server)).await.expect("an answer");
    assert_eq!(answer.status(), Some(486), "the call came to bob");
    let from = bob.until("INVITE", 1).await.header("From").expect("there is one").to_owned();
    assert!(from.contains("sip:+4930111222@"), "bob is shown {from}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_that_is_not_trusted_calls_nobody() {
    let server = server_with_trunk(false);
    let bob = Device::register(&server, "user2", Behaviour::Refuse(486)).await;
    let trunk = trunk(&server).await;
    let answer = trunk.request(&mut asserting(&trunk, &server)).await.expect("an answer");
    assert!(matches!(answer.status(), Some(401 | 403)), "{:?}", answer.status());
    assert!(bob.received("INVITE").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_behind_address_translation_is_called_and_calls_by_its_outer_names() {
    let sip = "advertised = \"sip.outside.test\"\nhost_names = [\"meet.outside.test\"]\n".to_owned();
    let server = Server::start(&ServerOptions { sip, ..ServerOptions::default() });
    let ann =
        Agent::open(AgentOptions::new("user1", server.domain(), PASSWORD, server.sip())).await.expect("free port").0;
    for (host, status) in [("sip.outside.test", 200), ("meet.outside.test", 200), ("elsewhere.test", 403)] {
        let mut invite = ann.new_request("INVITE", &format!("sip:1000@{host}")).with_body("application/sdp", OFFER);
        let answer = ann.request(&mut invite).await.expect("an answer");
        assert_eq!(answer.status(), Some(status), "{host}");
        if status == 200 {
            let contact = answer.header("Contact").expect("there is one").to_owned();
            assert!(contact.contains(&format!("@sip.outside.test:{}", server.sip().port())), "{contact}");
        }
    }
    let bob = Device::register(&server, "user2", Behaviour::Refuse(486)).await;
    let mut invite = ann.new_request("INVITE", "sip:user2@meet.outside.test").with_body("application/sdp", OFFER);
    assert_eq!(ann.request(&mut invite).await.expect("an answer").status(), Some(486));
    let rung = bob.until("INVITE", 1).await;
    let outside = format!("sip.outside.test:{}", server.sip().port());
    for name in ["Via", "Contact"] {
        let value = rung.header(name).expect("there is one");
        assert!(value.contains(&outside), "{name}: {value}");
    }
}

/// Whether the database, or the journal beside it, holds a text.
fn is_stored(server: &Server, text: &str) -> bool {
    let holds = |name: &str| {
        let bytes = std::fs::read(server.file(name)).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    holds("data/convoke.db") || holds("data/convoke.db-wal")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_reached_after_a_crash_without_registering_again() {
    let mut server = Server::start(&ServerOptions::default());
    let by_datagrams = Device::register(&server, "user2", Behaviour::Refuse(486)).await;
    let options = AgentOptions::new("user3", server.domain(), PASSWORD, server.sip()).over(Transport::Tcp);
    let by_connection = Device::open(options, Behaviour::Refuse(486)).await;
    by_connection.register_again().await;
    for device in [&by_datagrams, &by_connection] {
        let contact = device.agent().local().to_string();
        eventually(
            "stored registration",
            || is_stored(&server, &contact),
            || format!("{contact} is not in the database"),
        );
    }
    server.crash_and_restart();
    let ann =
        Agent::open(AgentOptions::new("user1", server.domain(), PASSWORD, server.sip())).await.expect("free port").0;
    for (device, user) in [(&by_datagrams, "user2"), (&by_connection, "user3")] {
        let called = async {
            loop {
                let uri = format!("sip:{user}@{}", server.sip());
                let mut invite = ann.new_request("INVITE", &uri).with_body("application/sdp", OFFER);
                let answer = ann.request(&mut invite).await.expect("an answer");
                // The connection to a phone is made anew right after the start; until then the phone is not there.
                match (user, answer.status()) {
                    ("user3", Some(480 | 404)) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                    (_, status) => return status,
                }
            }
        };
        let status = tokio::time::timeout(std::time::Duration::from_secs(20), called).await.expect("it rings in time");
        assert_eq!(status, Some(486), "{user} was rung");
        assert_eq!(device.received("INVITE").len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_knows_the_tags_of_a_call_must_prove_that_it_is_his() {
    let server = Server::start(&ServerOptions::default());
    let options = AgentOptions::new("user1", server.domain(), PASSWORD, server.sip());
    let ann = Agent::open(options.clone()).await.expect("free port").0;
    let invite = ann.new_request("INVITE", "sip:1000@127.0.0.1").with_body("application/sdp", OFFER);
    let (mut call, answer) = Dialog::open(&ann, invite).await.expect("she is in the conference");
    call.acknowledge(&answer, None).await.expect("sent");
    let bye = call.new_request("BYE");
    // A copy of her BYE from another socket of the same machine: with no password, with somebody else's, with hers.
    let eve = testkit::Credentials { user: "user2".to_owned(), password: PASSWORD.to_owned() };
    for (credentials, status) in [(None, 401), (Some(eve), 403), (options.credentials.clone(), 200)] {
        let copier = Agent::open(AgentOptions { credentials, ..options.clone() }).await.expect("free port").0;
        let via = copier.new_request("BYE", bye.uri()).header("Via").expect("there is one").to_owned();
        let mut copy = bye.clone();
        copy.set("Via", via);
        copy.set("CSeq", "90 BYE");
        let answer = copier.request(&mut copy).await.expect("an answer");
        assert_eq!(answer.status(), Some(status));
        if status != 200 {
            let options = call.new_request("OPTIONS");
            assert!(call.send(options).await.is_ok(), "she is still in");
        }
    }
}
