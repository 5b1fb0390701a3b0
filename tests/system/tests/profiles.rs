//! Users' call-routing settings as their phones see them: who rings, where a call goes on, and who is told that he missed
//! one. Rules are those of the response-group design (R1 to R12); here is the half where settings are honoured.

use std::time::Duration;

use system_tests::{Baresip, Behaviour, Device, Line, LineOptions, PASSWORD, Server, ServerOptions, alone};
use testkit::tone::TONES;
use testkit::{AgentOptions, AnswerMode, Error, PhoneOptions, ScriptedPhone, SipMessage};

use Behaviour::{Answer, Redirect, Refuse, Ring};

const SOON: Duration = Duration::from_secs(20);
const AT_ONCE: Behaviour = Answer(Duration::ZERO);

/// user1 calls user2, whose settings these are, in the form of the HTTP interface.
fn server_with(settings: &str) -> Server {
    let server = Server::start(&ServerOptions::default());
    set(&server, "user2", settings);
    server
}

fn set(server: &Server, user: &str, settings: &str) {
    let settings = settings.replace('@', &format!("@{}", server.domain()));
    let (status, body) = server.send("PUT", &format!("/api/v1/users/{user}/routing"), &settings).expect("an answer");
    assert_eq!(status, 200, "{body}");
}

async fn caller(server: &Server) -> ScriptedPhone {
    let options = PhoneOptions::new(AgentOptions::new("user1", server.domain(), PASSWORD, server.sip()));
    ScriptedPhone::open(options.answering(AnswerMode::Refuse(486))).await.expect("free port")
}

fn uri_of(server: &Server, user: &str) -> String {
    format!("sip:{user}@{}", server.sip())
}

/// Calls user2 and gives the refusal.
async fn refusal(server: &Server) -> u16 {
    match caller(server).await.call(&uri_of(server, "user2")).await {
        Err(Error::Refused { status, .. }) => status,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("somebody answered"),
    }
}

/// Calls user2, and hangs up when he is answered.
async fn answered(server: &Server) {
    let call = caller(server).await.call(&uri_of(server, "user2")).await.expect("somebody answers");
    call.hang_up().await.expect("BYE is answered");
}

fn has(message: &SipMessage, header: &str, part: &str) -> bool {
    message.headers_named(header).any(|value| value.contains(part))
}

/// The kinds of a user's history, latest first, once there are so many.
async fn history(server: &Server, user: &str, count: usize) -> Vec<String> {
    let lines = async {
        loop {
            let (status, body) = server.get(&format!("/api/v1/users/{user}/calls")).expect("an answer");
            assert_eq!(status, 200, "{body}");
            let lines: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            let lines = lines.as_array().expect("a list").clone();
            if lines.len() >= count {
                return lines.iter().map(|line| line["kind"].as_str().expect("a kind").to_owned()).collect();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, lines).await.expect("the history is written")
}

#[tokio::test(flavor = "multi_thread")]
async fn forward_always_of_the_configuration() {
    let extra = format!(
        "\n[[user]]\nuri = \"sip:bob@127.0.0.1\"\npassword = \"{PASSWORD}\"\n[user.routing]\nforward_always = \
         \"sip:user3@127.0.0.1\"\nring_seconds = 18\nteam = [\"sip:user4@127.0.0.1\"]\ndelegates = []\n\
         delegates_only = false\n"
    );
    let server = Server::start(&ServerOptions { extra, ..ServerOptions::default() });
    let bob = Device::register(&server, "bob", AT_ONCE).await;
    let frank = Device::register(&server, "user3", AT_ONCE).await;
    let call = caller(&server).await.call(&uri_of(&server, "bob")).await.expect("frank answers");
    let invite = frank.until("INVITE", 1).await;
    assert!(has(&invite, "Diversion", "sip:bob@127.0.0.1>;reason=unconditional"));
    assert!(has(&invite, "History-Info", "index=1.1;mp=1"));
    call.hang_up().await.expect("BYE is answered");
    assert!(bob.received("INVITE").is_empty());
    assert_eq!(history(&server, "bob", 1).await, ["diverted"]);
    assert_eq!(history(&server, "user3", 1).await, ["incoming"]);
    assert_eq!(history(&server, "user1", 1).await, ["outgoing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn forward_busy_after_486_and_486_without_a_target() {
    let server = server_with(r#"{"forward_busy": "sip:user3@"}"#);
    let bob = Device::register(&server, "user2", Refuse(486)).await;
    let frank = Device::register(&server, "user3", AT_ONCE).await;
    answered(&server).await;
    assert!(has(&frank.until("INVITE", 1).await, "Diversion", "reason=user-busy"));
    set(&server, "user2", "{}");
    assert_eq!(refusal(&server).await, 486);
    assert_eq!(bob.received("INVITE").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_forward_no_answer_after_the_users_own_seconds() {
    let server = server_with(r#"{"forward_no_answer": "sip:user3@", "ring_seconds": 2}"#);
    let bob = Device::register(&server, "user2", Ring).await;
    let frank = Device::register(&server, "user3", AT_ONCE).await;
    let begin = std::time::Instant::now();
    let mut call = caller(&server).await.ring(&uri_of(&server, "user2")).await.expect("sent");
    let mut told = Vec::new();
    while !told.contains(&181) {
        told.push(call.ringing(SOON).await.expect("a provisional response"));
    }
    assert!(told.contains(&180), "{told:?}");
    let call = call.answered().await.expect("frank answers");
    assert!(begin.elapsed() >= Duration::from_secs(2));
    bob.until("CANCEL", 1).await;
    assert!(has(&frank.until("INVITE", 1).await, "Diversion", "reason=no-answer"));
    call.hang_up().await.expect("BYE is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_ring_by_a_trunk_and_a_mailbox_behind_it_that_answers_too_soon() {
    // The trunk knows nothing of the server; its agent needs some address to be told of.
    let nobody = "127.0.0.1:9".parse().expect("an address");
    let trunk = Device::open(AgentOptions::new("carrier", "carrier.example", "", nobody), AT_ONCE).await;
    let extra = format!(
        "\n[[trunk]]\nname = \"carrier\"\ntarget = \"udp:{}\"\n\n[[location_profile]]\nname = \"default\"\n\
         [[location_profile.rule]]\npattern = '0([1-9]\\d+)'\ntranslation = '+49$1'\n",
        trunk.agent().local()
    );
    let server = Server::start(&ServerOptions { extra, ..ServerOptions::default() });
    set(&server, "user2", r#"{"simultaneous_ring": "01715550123"}"#);
    let bob = Device::register(&server, "user2", Answer(Duration::from_secs(3))).await;
    answered(&server).await;
    assert!(trunk.until("INVITE", 1).await.uri().starts_with("sip:+491715550123@"));
    trunk.until("BYE", 1).await;
    bob.until("BYE", 1).await;
    trunk.set(Answer(Duration::from_secs(2)));
    bob.set(Ring);
    answered(&server).await;
    bob.until("CANCEL", 1).await;
    assert!(has(&bob.received("CANCEL")[0], "Reason", "Call completed elsewhere"));
    assert_eq!(history(&server, "user2", 2).await, ["incoming", "incoming"], "his mobile is he himself");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_team_joins_in_after_its_delay_and_the_others_are_told_who_answered() {
    let server = server_with(r#"{"team": ["sip:user3@", "sip:user4@"], "team_delay_seconds": 1}"#);
    let bob = Device::register(&server, "user2", Ring).await;
    let carol = Device::register(&server, "user3", Ring).await;
    let dave = Device::register(&server, "user4", Answer(Duration::from_millis(300))).await;
    let begin = std::time::Instant::now();
    answered(&server).await;
    assert!(begin.elapsed() >= Duration::from_secs(1));
    for loser in [&bob, &carol] {
        assert!(has(&loser.until("CANCEL", 1).await, "Reason", "Call completed elsewhere"));
    }
    assert!(has(&carol.received("INVITE")[0], "History-Info", "ms-retarget-reason=team-call"));
    assert_eq!(history(&server, "user2", 1).await, ["answered_elsewhere"]);
    assert_eq!(history(&server, "user4", 1).await, ["incoming"]);
    assert!(dave.received("NOTIFY").is_empty() && bob.received("NOTIFY").is_empty(), "nobody missed anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn delegates_ring_with_him() {
    let server = server_with(r#"{"delegates": ["sip:user3@"]}"#);
    let bob = Device::register(&server, "user2", Ring).await;
    let _dave = Device::register(&server, "user3", Answer(Duration::from_millis(300))).await;
    answered(&server).await;
    bob.until("CANCEL", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_delegates_only_leaves_him_alone() {
    let server = server_with(r#"{"delegates": ["sip:user3@"], "delegates_only": true}"#);
    let bob = Device::register(&server, "user2", AT_ONCE).await;
    let dave = Device::register(&server, "user3", AT_ONCE).await;
    answered(&server).await;
    assert_eq!((bob.received("INVITE").len(), dave.received("INVITE").len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn do_not_disturb_and_the_voicemail_behind_it() {
    let server = server_with(r#"{"do_not_disturb": true}"#);
    let bob = Device::register(&server, "user2", AT_ONCE).await;
    let mailbox = Device::register(&server, "user5", AT_ONCE).await;
    assert_eq!(refusal(&server).await, 480);
    set(&server, "user2", r#"{"do_not_disturb": true, "voicemail": "sip:user5@"}"#);
    answered(&server).await;
    assert!(has(&mailbox.until("INVITE", 1).await, "Diversion", "reason=do-not-disturb"));
    assert!(bob.received("INVITE").is_empty());
    assert_eq!(history(&server, "user2", 2).await, ["missed", "missed"], "a mailbox is nobody who answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_a_direct_call_nobody_takes_ends_in_his_voicemail() {
    let server = server_with(r#"{"voicemail": "sip:user5@", "ring_seconds": 1}"#);
    let _bob = Device::register(&server, "user2", Ring).await;
    let mailbox = Device::register(&server, "user5", AT_ONCE).await;
    answered(&server).await;
    assert_eq!(mailbox.received("INVITE").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_is_refused_at_once_when_it_is_made_and_ends_the_call_when_it_cannot_be_seen() {
    let server = server_with(r#"{"forward_always": "sip:user3@"}"#);
    let circle = format!(r#"{{"forward_always": "sip:user2@{}"}}"#, server.domain());
    let (status, body) = server.send("PUT", "/api/v1/users/user3/routing", &circle).expect("an answer");
    assert_eq!(status, 422);
    assert!(body.contains("forward_always") && body.contains("circle"), "{body}");
    set(&server, "user3", r#"{"forward_busy": "sip:user2@"}"#);
    let _carol = Device::register(&server, "user3", Refuse(486)).await;
    assert_eq!(refusal(&server).await, 482);
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_a_device_deflects_a_direct_call_by_302() {
    let server = server_with("{}");
    let target = format!("sip:user3@{}", server.sip());
    let _bob = Device::register(&server, "user2", Redirect(target)).await;
    let carol = Device::register(&server, "user3", AT_ONCE).await;
    answered(&server).await;
    assert!(has(&carol.until("INVITE", 1).await, "Diversion", "reason=deflection"));
    assert_eq!(history(&server, "user2", 1).await, ["diverted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_a_missed_direct_call_is_told_to_every_device_and_can_be_seen_off() {
    let server = server_with("{}");
    let desk = Device::register(&server, "user2", Ring).await;
    let mobile = Device::register(&server, "user2", Ring).await;
    let call = caller(&server).await.ring(&uri_of(&server, "user2")).await.expect("sent");
    desk.until("INVITE", 1).await;
    mobile.until("INVITE", 1).await;
    assert_eq!(call.cancel().await.expect("ends"), 487);
    for device in [&desk, &mobile] {
        let notice = device.until("NOTIFY", 1).await;
        assert_eq!(notice.header("Event"), Some("message-summary"));
        assert!(notice.body_text().starts_with("Messages-Waiting: yes"), "{}", notice.body_text());
    }
    assert_eq!(history(&server, "user2", 1).await, ["missed"]);
    let (status, _) = server.send("POST", "/api/v1/users/user2/calls/seen", "").expect("an answer");
    assert_eq!(status, 204);
    assert!(desk.until("NOTIFY", 2).await.body_text().starts_with("Messages-Waiting: no"));
    let (_, metrics) = server.get("/metrics").expect("an answer");
    assert!(metrics.contains("convoke_missed_call_notices_total 1"), "{metrics}");
    assert!(metrics.contains("convoke_conversations_total{kind=\"missed\"} 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_read_checked_changed_and_given_back() {
    let server = server_with(r#"{"ring_seconds": 9}"#);
    let read = || server.get("/api/v1/users/sip:user2@127.0.0.1/routing").expect("an answer");
    assert_eq!(server.get("/api/v1/users/user2%40127.0.0.1/routing").expect("an answer"), read());
    assert!(read().1.contains("\"ring_seconds\":9"), "{}", read().1);
    for (settings, status, part) in [
        (r#"{"no_such_key": 1}"#, 400, "no_such_key"),
        ("[]", 400, "one JSON object"),
        (r#"{"forward_busy": "sip:nobody@127.0.0.1"}"#, 422, "forward_busy"),
        (r#"{"ring_seconds": 0}"#, 422, "1 to 180"),
    ] {
        let (found, body) = server.send("PUT", "/api/v1/users/user2/routing", settings).expect("an answer");
        assert_eq!(found, status, "{body}");
        assert!(body.contains(part), "{body}");
    }
    assert!(read().1.contains("\"ring_seconds\":9"), "a refused change changes nothing");
    assert_eq!(server.send("DELETE", "/api/v1/users/user2/routing", "").expect("an answer").0, 204);
    assert!(read().1.contains("\"ring_seconds\":18"));
    assert_eq!(server.get("/api/v1/users/nobody/routing").expect("an answer").0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_baresips_hear_each_other_after_a_diversion() {
    let _turn = alone();
    let server = server_with(r#"{"forward_no_answer": "sip:user3@", "ring_seconds": 1}"#);
    let _bob = Device::register(&server, "user2", Ring).await;
    let at = server.sip().to_string();
    let mut ann = Baresip::start(LineOptions::new("user1", TONES[0]).at(&at));
    let mut carol = Baresip::start(LineOptions::new("user3", TONES[1]).at(&at));
    carol.wait_registered();
    ann.wait_registered();
    ann.call(&uri_of(&server, "user2"));
    carol.wait_established();
    ann.wait_established();
    std::thread::sleep(Duration::from_secs(2));
    ann.hang_up();
    let (ann_heard, carol_heard) = (ann.heard(), carol.heard());
    assert!(testkit::tone::level_db(&ann_heard, TONES[1]) > testkit::tone::HEARD_DB);
    assert!(testkit::tone::level_db(&carol_heard, TONES[0]) > testkit::tone::HEARD_DB);
}
