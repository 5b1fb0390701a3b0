//! Two scripted phones call each other without a server, so that a fault of the test kit is not taken for the server's.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::{AgentOptions, AnswerMode, Call, Error, PhoneOptions, ScriptedPhone, Transport, tone};

const SOON: Duration = Duration::from_secs(10);

async fn phone(user: &str, transport: Transport) -> ScriptedPhone {
    // Without a server the next hop is nobody; `pair` makes the caller's server the called phone.
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let agent = AgentOptions::new(user, "test.invalid", "secret", nobody).over(transport);
    ScriptedPhone::open(PhoneOptions::new(agent)).await.expect("free port")
}

/// A phone, and one that calls it.
async fn pair(transport: Transport) -> (ScriptedPhone, ScriptedPhone) {
    let called = phone("bob", transport).await;
    let agent = AgentOptions::new("ann", "test.invalid", "secret", called.agent().local()).over(transport);
    (ScriptedPhone::open(PhoneOptions::new(agent)).await.expect("free port"), called)
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

async fn tones_are_heard_both_ways(transport: Transport) {
    let (caller, mut called) = pair(transport).await;
    let one = caller.call("sip:bob@test.invalid").await.expect("answered");
    let two = called.next_call(SOON).await.expect("called");
    one.audio().play_tone(Some(440));
    two.audio().play_tone(Some(1010));
    until_recorded(&one, 1.2).await;
    until_recorded(&two, 1.2).await;
    for (call, heard, own) in [(&one, 1010, 440), (&two, 440, 1010)] {
        let sound = call.audio().recording().part(0.2, 1.0);
        assert!(tone::level_db(&sound, heard) > -16.0);
        assert!(tone::level_db(&sound, own) < -60.0);
    }
    one.hang_up().await.expect("BYE is answered");
    two.ended(SOON).await.expect("BYE arrives");
}

#[tokio::test]
async fn tones_are_heard_both_ways_over_udp() {
    tones_are_heard_both_ways(Transport::Udp).await;
}

#[tokio::test]
async fn tones_are_heard_both_ways_over_tcp() {
    tones_are_heard_both_ways(Transport::Tcp).await;
}

#[tokio::test]
async fn a_call_that_is_given_up_ends_with_487() {
    let (caller, called) = pair(Transport::Udp).await;
    called.set_answer(AnswerMode::AfterRinging(Duration::from_secs(60)));
    let mut ringing = caller.ring("sip:bob@test.invalid").await.expect("sent");
    assert_eq!(ringing.ringing(SOON).await.expect("rings"), 180);
    assert_eq!(ringing.cancel().await.expect("CANCEL is answered"), 487);
}

#[tokio::test]
async fn a_refusal_carries_its_status() {
    let (caller, called) = pair(Transport::Udp).await;
    called.set_answer(AnswerMode::Refuse(603));
    match caller.call("sip:bob@test.invalid").await.map(|_| ()) {
        Err(Error::Refused { status: 603, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_on_hold_is_silent_until_it_is_resumed() {
    let (caller, mut called) = pair(Transport::Udp).await;
    let one = caller.call("sip:bob@test.invalid").await.expect("answered");
    let two = called.next_call(SOON).await.expect("called");
    two.audio().play_tone(Some(440));
    until_recorded(&one, 0.5).await;
    one.hold().await.expect("re-INVITE is answered");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = one.audio().packets_received();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(one.audio().packets_received(), before, "somebody who is put on hold sends nothing");
    one.resume().await.expect("re-INVITE is answered");
    one.audio().restart_recording();
    until_recorded(&one, 0.5).await;
}
