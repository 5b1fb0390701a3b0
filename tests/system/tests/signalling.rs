//! SIP flows that real phones rarely show, and load: SIPp's scenarios and scripted phones.

use std::time::Duration;

use system_tests::{Server, ServerOptions, Sipp, alone};
use testkit::{AgentOptions, Call, Error, PhoneOptions, ScriptedPhone, Transport, tone};

const SOON: Duration = Duration::from_secs(20);

fn options(server: &Server, user: &str, password: &str) -> PhoneOptions {
    PhoneOptions::new(AgentOptions::new(user, server.domain(), password, server.sip()))
}

async fn phone(server: &Server, user: &str) -> ScriptedPhone {
    ScriptedPhone::open(options(server, user, system_tests::PASSWORD)).await.expect("free port")
}

/// Waits until a call has recorded that much sound.
async fn until_recorded(call: &Call, seconds: f64) {
    let recorded = async {
        while call.audio().recording().seconds() < seconds {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, recorded).await.expect("sound arrives");
}

/// The server still lets two people talk: what came before did no harm.
async fn assert_two_can_talk(server: &Server) {
    let (ann, bob) = (phone(server, "user9").await, phone(server, "user10").await);
    let one = ann.call(&server.conference("1000")).await.expect("joins");
    let two = bob.call(&server.conference("1000")).await.expect("joins");
    one.audio().play_tone(Some(440));
    two.audio().play_tone(Some(1010));
    // The entry tone of the second and the jitter buffers have their time first.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for (call, heard, own) in [(&one, 1010, 440), (&two, 440, 1010)] {
        call.audio().restart_recording();
        until_recorded(call, 1.0).await;
        let sound = call.audio().recording();
        assert!(tone::level_db(&sound, heard) > tone::HEARD_DB, "{heard} Hz is not heard");
        assert!(tone::level_db(&sound, own) < tone::HEARD_DB, "the own {own} Hz is heard");
    }
    one.hang_up().await.expect("BYE is answered");
    two.hang_up().await.expect("BYE is answered");
}

#[test]
fn fifty_users_register_with_digest() {
    let _turn = alone();
    let server = Server::start(&ServerOptions { numbered_users: 50, ..ServerOptions::default() });
    let sipp = Sipp::scenario("register").users(50).load(50, 25, Duration::ZERO);
    sipp.run(server.sip(), SOON * 3).assert_passed();
    sipp.over_tcp().run(server.sip(), SOON * 3).assert_passed();
}

#[test]
fn a_hundred_callers_talk_in_ten_conferences() {
    let _turn = alone();
    let numbers: Vec<String> = (0..10).map(|number| format!("20{number}0")).collect();
    let conferences = numbers.iter().map(|number| (number.clone(), None, "anonymous")).collect();
    let server = Server::start(&ServerOptions { numbered_users: 100, conferences, ..ServerOptions::default() });
    let load = Sipp::scenario("participant").users(100).conferences(numbers).load(100, 20, Duration::from_secs(8));
    load.run(server.sip(), Duration::from_secs(90)).assert_passed();
    assert!(server.stop(), "the server ends in order after the load");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_hung_up_at_once_leaves_nothing() {
    let _turn = alone();
    let server = Server::start(&ServerOptions::default());
    Sipp::scenario("bye_at_once").users(8).load(40, 20, Duration::ZERO).run(server.sip(), SOON * 2).assert_passed();
    assert_two_can_talk(&server).await;
}

#[test]
fn an_invite_without_an_offer_gets_one() {
    let _turn = alone();
    let server = Server::start(&ServerOptions::default());
    Sipp::scenario("late_offer").run(server.sip(), SOON).assert_passed();
}

#[test]
fn a_call_goes_on_hold_and_comes_back() {
    let _turn = alone();
    let server = Server::start(&ServerOptions::default());
    Sipp::scenario("hold").run(server.sip(), SOON).assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cancelled_at_once_leaves_nothing() {
    let _turn = alone();
    let server = Server::start(&ServerOptions::default());
    let hasty = phone(&server, "user1").await;
    for _ in 0..20 {
        // A conference answers so fast that CANCEL may come too late; then the phone hangs up.
        let outcome = hasty.ring(&server.conference("1000")).await.expect("sent").cancel().await.expect("ends");
        assert!(matches!(outcome, 487 | 200), "the INVITE ended with {outcome}");
    }
    assert_two_can_talk(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_on_hold_hears_nothing_and_is_heard_again_afterwards() {
    let _turn = alone();
    let server = Server::start(&ServerOptions::default());
    let (ann, bob) = (phone(&server, "user1").await, phone(&server, "user2").await);
    let one = ann.call(&server.conference("1000")).await.expect("joins");
    let two = bob.call(&server.conference("1000")).await.expect("joins");
    one.audio().play_tone(Some(440));
    one.hold().await.expect("re-INVITE is answered");
    one.resume().await.expect("re-INVITE is answered");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    two.audio().restart_recording();
    until_recorded(&two, 1.0).await;
    assert!(tone::level_db(&two.audio().recording(), 440) > tone::HEARD_DB);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_over_both_transports() {
    let server = Server::start(&ServerOptions::default());
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut options = options(&server, "user1", "wrong");
        options.agent.transport = transport;
        let mut intruder = ScriptedPhone::open(options).await.expect("free port");
        match intruder.register(300).await {
            Err(Error::Refused { status: 401 | 403, .. }) => {}
            other => panic!("{other:?}"),
        }
        let mut friend = phone(&server, "user2").await;
        assert!(friend.register(300).await.expect("accepted") > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_nobody_has_is_refused() {
    let server = Server::start(&ServerOptions::default());
    match phone(&server, "user1").await.call(&server.conference("9999999")).await.map(|_| ()) {
        Err(Error::Refused { status: 404 | 480 | 403, .. }) => {}
        other => panic!("{other:?}"),
    }
}
