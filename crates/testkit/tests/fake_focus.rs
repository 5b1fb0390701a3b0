//! The C3P client against a Focus made of canned answers: what fails here is the client, not the server.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::{Agent, AgentOptions, ConferenceClient, Dialog, Error, IncomingRequest, PhoneOptions, ScriptedPhone};
use tokio::sync::mpsc;

const SOON: Duration = Duration::from_secs(10);
const C3P: &str = testkit::c3p::CONTENT_TYPE;
const BOB: &str = "sip:bob@example.com";
const FOCUS: &str = "sip:ann@example.com;gruu;opaque=app:conf:focus:id:K3V9PX2Q";

/// A server that challenges every request once and answers REGISTER and SERVICE; the rest is handed on.
struct FakeServer {
    agent: Agent,
    requests: mpsc::Receiver<IncomingRequest>,
}

impl FakeServer {
    async fn open() -> Self {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let (agent, requests) =
            Agent::open(AgentOptions::new("focus", "example.com", "", nobody)).await.expect("free port");
        Self { agent, requests }
    }

    fn client(&self, password: &str) -> AgentOptions {
        AgentOptions::new("ann", "example.com", password, self.agent.local())
    }

    /// The next request that carries an answer to the challenge.
    async fn authorized(&mut self) -> IncomingRequest {
        loop {
            let request = tokio::time::timeout(SOON, self.requests.recv()).await.expect("in time").expect("open");
            if request.message.method() == "ACK" {
                continue;
            }
            if request.message.header("Authorization").is_some() {
                return request;
            }
            let challenge = r#"Digest realm="example.com", nonce="abc", qop="auth", algorithm=SHA-256"#;
            let response = request.response(401, "Unauthorized").with("WWW-Authenticate", challenge);
            request.respond_with(response).await.expect("sent");
        }
    }
}

fn c3p_response(request: &IncomingRequest, code: &str, inside: &str) -> String {
    let body = request.message.body_text();
    let id = body.split("requestId=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a requestId");
    format!(r#"<response xmlns="urn:ietf:params:xml:ns:cccp" requestId="{id}" code="{code}">{inside}</response>"#)
}

#[tokio::test]
async fn a_registration_answers_the_challenge() {
    let mut server = FakeServer::open().await;
    let mut phone = ScriptedPhone::open(PhoneOptions::new(server.client("secret"))).await.expect("free port");
    let registrar = async {
        let request = server.authorized().await;
        let header = request.message.header("Authorization").unwrap_or("").to_owned();
        assert!(header.contains(r#"username="ann""#) && header.contains("algorithm=SHA-256"), "{header}");
        assert_eq!(request.message.cseq(), 3, "a new CSeq after the challenge");
        let response = request.response(200, "OK");
        request.respond_with(response.with("Expires", "77")).await.expect("sent");
    };
    let (granted, ()) = tokio::join!(phone.register(300), registrar);
    assert_eq!(granted.expect("accepted"), 77);
}

#[tokio::test]
async fn a_second_challenge_is_a_refusal() {
    let mut server = FakeServer::open().await;
    let mut phone = ScriptedPhone::open(PhoneOptions::new(server.client("wrong"))).await.expect("free port");
    let registrar = async {
        let request = server.authorized().await;
        request.respond(401, "Unauthorized").await.expect("sent");
    };
    let (outcome, ()) = tokio::join!(phone.register(300), registrar);
    assert!(matches!(outcome, Err(Error::Refused { status: 401, .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_conference_is_made_joined_and_commanded() {
    let mut server = FakeServer::open().await;
    let (agent, _requests) = Agent::open(server.client("secret")).await.expect("free port");

    let factory = async {
        let request = server.authorized().await;
        assert_eq!(request.message.uri(), "sip:ann@example.com;gruu;opaque=app:conf:focusfactory");
        assert_eq!(request.message.method(), "SERVICE");
        let inside = format!(r#"<addConference><ci:conference-info xmlns:ci="x" entity="{FOCUS}"/></addConference>"#);
        let body = c3p_response(&request, "success", &inside);
        request.respond_with(request.response(200, "OK").with_body(C3P, body)).await.expect("sent");
        server
    };
    let (client, mut server) = tokio::join!(ConferenceClient::create(agent, "K3V9PX2Q", "Weekly sync"), factory);
    let mut client = client.expect("made");
    assert_eq!(client.focus(), FOCUS);

    let focus = async {
        let request = server.authorized().await;
        assert_eq!((request.message.method(), request.message.uri()), ("INVITE", FOCUS));
        assert!(request.message.header("Session-Expires").is_some());
        let dialog = Dialog::accept(&request);
        let inside = "<addUser><user><roles><entry>organizer</entry></roles></user></addUser>";
        let body = c3p_response(&request, "success", inside);
        request.respond_with(request.response(200, "OK").with_body(C3P, body)).await.expect("sent");
        dialog
    };
    let (role, mut focus) = tokio::join!(client.join("presenter"), focus);
    assert_eq!(role.expect("joined"), "organizer");

    let notifier = async {
        let request = server.authorized().await;
        assert_eq!((request.message.method(), request.message.header("Event")), ("SUBSCRIBE", Some("conference")));
        let dialog = Dialog::accept(&request);
        request.respond_with(request.response(200, "OK").with("Expires", "3600")).await.expect("sent");
        dialog
    };
    let (subscribed, mut notifier) = tokio::join!(client.subscribe(), notifier);
    subscribed.expect("subscribed");

    // The command is accepted, the roster changes, then comes the final answer.
    let commanded = async {
        let info = next(&mut focus, "INFO").await;
        info.respond(202, "Accepted").await.expect("sent");
        let notify = notifier.new_request("NOTIFY").with("Subscription-State", "active").with_body("x/y", roster(1));
        notifier.send(notify).await.expect("200");
        for code in ["pending", "failure"] {
            let answer = focus.new_request("INFO").with_body(C3P, c3p_response(&info, code, "<addUser/>"));
            focus.send(answer).await.expect("200");
        }
    };
    let (outcome, ()) = tokio::join!(client.dial_out(BOB), commanded);
    assert!(outcome.expect_err("a failure").to_string().contains("failure"));
    client
        .until_user(BOB, SOON, |user| user.is_some_and(|user| user.status == "alerting"))
        .await
        .expect("in the roster");

    let bye = focus.new_request("BYE");
    focus.send(bye).await.expect("200");
    client.until_removed(SOON).await.expect("told");
}

async fn next(dialog: &mut Dialog, method: &str) -> IncomingRequest {
    loop {
        let request = dialog.next_request(SOON).await.expect("in time");
        if request.message.method() == method {
            return request;
        }
    }
}

fn roster(version: u32) -> String {
    format!(
        r#"<conference-info xmlns:msci="x" entity="{FOCUS}" state="full" version="{version}"><users state="full">
        <user entity="{BOB}" state="full"><roles><entry>attendee</entry></roles>
        <endpoint entity="{{1}}" msci:session-type="audio-video"><status>alerting</status></endpoint></user>
        </users></conference-info>"#
    )
}
