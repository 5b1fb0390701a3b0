//! The whole life of a conference as a C3P client sees it (c3p.md 2 to 4): made by SERVICE, joined at its Focus,
//! watched by SUBSCRIBE, filled by dial-out, controlled by INFO, ended.

use std::time::Duration;

use system_tests::{PASSWORD, Server, ServerOptions, alone};
use testkit::{AgentOptions, AnswerMode, Call, ConferenceClient, Dialog, PhoneOptions, ScriptedPhone, Transport, tone};

const SOON: Duration = Duration::from_secs(20);
const DOMAIN: &str = "example.com";
const ANN: &str = "sip:user1@example.com";
const BOB: &str = "sip:user2@example.com";

/// A server whose domain is a name, as in real life.
fn server() -> Server {
    Server::start(&ServerOptions { domain: DOMAIN.to_owned(), ..ServerOptions::default() })
}

async fn registered(server: &Server, user: &str, transport: Transport) -> ScriptedPhone {
    let agent = AgentOptions::new(user, DOMAIN, PASSWORD, server.sip()).over(transport);
    let mut phone = ScriptedPhone::open(PhoneOptions::new(agent)).await.expect("free port");
    phone.register(600).await.expect("registered");
    phone
}

/// What a call hears during the next second and a half.
async fn listen(call: &Call) -> testkit::wav::Sound {
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    call.audio().restart_recording();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    call.audio().recording()
}

fn connected(user: Option<&testkit::RosterUser>) -> bool {
    user.is_some_and(|user| user.status == "connected")
}

async fn life_of_a_conference(transport: Transport) {
    let server = server();
    let mut ann = registered(&server, "user1", transport).await;
    let mut bob = registered(&server, "user2", transport).await;

    let mut focus = ConferenceClient::create(ann.agent().clone(), "K3V9PX2Q", "Weekly sync").await.expect("made");
    assert!(focus.focus().starts_with("sip:user1@example.com;"), "{}", focus.focus());
    assert!(focus.focus().ends_with(":focus:id:K3V9PX2Q"), "{}", focus.focus());
    let role = focus.join("presenter").await.expect("joined");
    assert!(matches!(role.as_str(), "presenter" | "organizer"), "granted {role:?}");
    focus.subscribe().await.expect("subscribed");

    // Dial out to the organiser's own phone first, then to somebody else, as the scheduler of 2009 did (c3p.md 4.1).
    focus.dial_out(ANN).await.expect("ann is called");
    let ann_call = ann.next_call(SOON).await.expect("ann's phone rings");
    let invite = ann_call.invite().expect("a call that came in").clone();
    assert!(invite.header("Contact").is_some_and(|contact| contact.contains("isfocus")), "{invite:?}");
    focus.dial_out(BOB).await.expect("bob is called");
    let bob_call = bob.next_call(SOON).await.expect("bob's phone rings");

    for user in [ANN, BOB] {
        focus.until_user(user, SOON, connected).await.expect("connected in the roster");
        let history = focus.history(user);
        assert!(history.first().is_some_and(|status| status == "dialing-out"), "{user}: {history:?}");
        assert_eq!(history.last().map(String::as_str), Some("connected"), "{user}: {history:?}");
    }
    ann_call.audio().play_tone(Some(440));
    bob_call.audio().play_tone(Some(1010));
    let heard = listen(&ann_call).await;
    assert!(tone::level_db(&heard, 1010) > tone::HEARD_DB, "ann hears bob");
    assert!(tone::level_db(&heard, 440) < tone::HEARD_DB, "ann does not hear herself");

    focus.set_mute(BOB, true).await.expect("muted");
    focus.until_user(BOB, SOON, |user| user.is_some_and(|user| user.muted)).await.expect("muted in the roster");
    assert!(tone::level_db(&listen(&ann_call).await, 1010) < tone::HEARD_DB, "a muted bob is not heard");
    assert!(tone::level_db(&listen(&bob_call).await, 440) > tone::HEARD_DB, "a muted bob still hears ann");
    focus.set_mute(BOB, false).await.expect("unmuted");
    focus.until_user(BOB, SOON, |user| user.is_some_and(|user| !user.muted)).await.expect("unmuted in the roster");
    assert!(tone::level_db(&listen(&ann_call).await, 1010) > tone::HEARD_DB, "bob is heard again");

    focus.eject(BOB).await.expect("ejected");
    bob_call.ended(SOON).await.expect("bob's call is ended");
    focus.until_user(BOB, SOON, |user| user.is_none()).await.expect("bob is gone from the roster");
    assert!(!ann_call.has_ended(), "ann stays");

    focus.end().await.expect("ended");
    ann_call.ended(SOON).await.expect("ann's call is ended");
    focus.until_removed(SOON).await.expect("the Focus ends its dialog");
    assert_eq!(focus.roster_faults(), Vec::<String>::new(), "versions rise by one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conference_lives_from_service_to_the_last_bye_over_udp() {
    let _turn = alone();
    life_of_a_conference(Transport::Udp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conference_lives_from_service_to_the_last_bye_over_tcp() {
    let _turn = alone();
    life_of_a_conference(Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_call_never_shows_as_connected() {
    let _turn = alone();
    let server = server();
    let ann = registered(&server, "user1", Transport::Udp).await;
    let bob = registered(&server, "user2", Transport::Udp).await;
    bob.set_answer(AnswerMode::Refuse(603));
    let mut focus = ConferenceClient::create(ann.agent().clone(), "DECLINED1", "Nobody comes").await.expect("made");
    focus.join("presenter").await.expect("joined");
    focus.subscribe().await.expect("subscribed");
    let failure = focus.dial_out(BOB).await.expect_err("a declined call is a failure");
    assert!(failure.to_string().contains("failure"), "{failure}");
    focus.until_user(BOB, SOON, |user| !connected(user)).await.expect("not connected");
    assert!(!focus.history(BOB).contains(&"connected".to_owned()), "{:?}", focus.history(BOB));
}

#[tokio::test(flavor = "multi_thread")]
async fn ejecting_somebody_who_still_rings_cancels_his_call() {
    let _turn = alone();
    let server = server();
    let ann = registered(&server, "user1", Transport::Udp).await;
    let mut bob = registered(&server, "user2", Transport::Udp).await;
    bob.set_answer(AnswerMode::AfterRinging(Duration::from_secs(3)));
    let mut focus = ConferenceClient::create(ann.agent().clone(), "RINGING01", "Too late").await.expect("made");
    focus.join("presenter").await.expect("joined");
    focus.subscribe().await.expect("subscribed");
    let command = testkit::c3p::dial_out(focus.focus(), BOB, "{7}", "attendee");
    let dialled = focus.start(&command).await.expect("accepted");
    focus.until_user(BOB, SOON, |user| user.is_some_and(|user| user.status == "alerting")).await.expect("rings");
    focus.eject(BOB).await.expect("ejected");
    focus.finished(dialled).await.expect_err("the dial-out fails");
    focus.until_user(BOB, SOON, |user| user.is_none()).await.expect("gone from the roster");
    bob.next_call(Duration::from_secs(4)).await.map(|_| ()).expect_err("bob's phone has stopped ringing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conference_cannot_be_made_for_somebody_else() {
    let server = server();
    let ann = registered(&server, "user1", Transport::Udp).await;
    let factory = testkit::c3p::factory_uri(BOB);
    let command = testkit::c3p::add_conference("STOLEN001", "Not mine", "openAuthenticated");
    let body = testkit::c3p::request(1, BOB, &factory, &command);
    let mut service = ann.agent().new_request("SERVICE", &factory).with_body(testkit::c3p::CONTENT_TYPE, body);
    let response = ann.agent().request(&mut service).await.expect("answered");
    let answered = response.status().unwrap_or(0);
    let body = response.body_text();
    assert!(answered >= 400 || body.contains("failure"), "{answered} {body}");
}

/// The version of a conference-info document.
fn version(document: &str) -> u64 {
    let number = document.split("version=\"").nth(1).and_then(|rest| rest.split('"').next());
    // The XML declaration has a version too, which is no whole number.
    let number = number.filter(|number| !number.contains('.'));
    let number = number.or_else(|| document.split("version=\"").nth(2)?.split('"').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no version in {document}"))
}

/// Subscribes to a conference as somebody who can do without answering (c3p.md 3.1); whether the server takes that up.
async fn watch(ann: &ScriptedPhone, focus: &str) -> (Dialog, bool) {
    let subscribe = ann.agent().new_request("SUBSCRIBE", focus).with("Event", "conference").with("Expires", "3600");
    let subscribe = subscribe
        .with("Accept", "application/conference-info+xml")
        .with("Supported", "ms-benotify, ms-piggyback-first-notify");
    let (dialog, accepted) = Dialog::open(ann.agent(), subscribe).await.expect("subscribed");
    let agreed = accepted.header("Supported").is_some_and(|supported| supported.contains("ms-benotify"));
    (dialog, agreed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_who_never_answers_is_told_everything_over_a_connection() {
    let _turn = alone();
    let server = server();
    let ann = registered(&server, "user1", Transport::Tcp).await;
    let mut bob = registered(&server, "user2", Transport::Tcp).await;
    let mut focus = ConferenceClient::create(ann.agent().clone(), "BENOTIFY1", "No answers").await.expect("made");
    focus.join("presenter").await.expect("joined");
    let (mut watcher, agreed) = watch(&ann, focus.focus()).await;
    assert!(agreed, "the 200 says that the server sends BENOTIFY");
    focus.dial_out(BOB).await.expect("bob is called");
    let call = bob.next_call(SOON).await.expect("bob's phone rings");
    focus.eject(BOB).await.expect("ejected");
    call.ended(SOON).await.expect("bob's call is ended");
    focus.end().await.expect("ended");

    // Nothing is answered; each comes once, in order, to the last one.
    let (mut versions, mut numbers, mut statuses) = (Vec::new(), Vec::new(), String::new());
    loop {
        let told = watcher.next_request(SOON).await.expect("told to the end").message;
        assert_eq!((told.method(), told.header("Proxy-Require")), ("BENOTIFY", Some("ms-benotify")), "{told:?}");
        numbers.push(told.cseq());
        let body = told.body_text();
        if !body.is_empty() {
            versions.push(version(&body));
            statuses.push_str(&body);
        }
        if told.header("Subscription-State").is_some_and(|state| state.starts_with("terminated")) {
            break;
        }
    }
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    assert!(versions.windows(2).all(|pair| pair[1] == pair[0] + 1), "{versions:?}");
    assert!(statuses.contains(BOB) && statuses.contains("connected"), "bob's way is told: {statuses}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_by_udp_is_notified_and_waited_for() {
    let _turn = alone();
    let server = server();
    let ann = registered(&server, "user1", Transport::Udp).await;
    let mut bob = registered(&server, "user2", Transport::Udp).await;
    let mut focus = ConferenceClient::create(ann.agent().clone(), "BENOTIFY2", "Datagrams").await.expect("made");
    focus.join("presenter").await.expect("joined");
    let (mut watcher, agreed) = watch(&ann, focus.focus()).await;
    assert!(!agreed, "nobody would notice that a datagram was lost");
    let first = watcher.next_request(SOON).await.expect("told");
    assert_eq!(first.message.method(), "NOTIFY");
    focus.dial_out(BOB).await.expect("bob is called");
    bob.next_call(SOON).await.expect("bob's phone rings");
    // The roster has gone on meanwhile; the next document waits for the answer to the first.
    first.respond(200, "OK").await.expect("answered");
    let second = watcher.next_request(SOON).await.expect("told");
    assert_eq!(second.message.method(), "NOTIFY");
    assert!(version(&second.message.body_text()) > version(&first.message.body_text()));
}
