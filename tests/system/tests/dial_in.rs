//! Dial-in by telephone: keys lead from an access number into a conference.

use std::time::Duration;

use system_tests::{PASSWORD, Server, ServerOptions, alone};
use testkit::{AgentOptions, Call, PhoneOptions, ScriptedPhone, tone};

const SOON: Duration = Duration::from_secs(20);

/// How long a caller waits before he keys the PIN in again: he may have begun before he was asked.
const PATIENCE: Duration = Duration::from_secs(5);

fn connected(server: &Server) -> usize {
    let (status, body) = server.get("/api/v1/conferences").expect("HTTP answers");
    assert_eq!(status, 200, "{body}");
    body.matches("\"connected\"").count()
}

async fn until(within: Duration, met: impl Fn() -> bool) -> bool {
    let waiting = async {
        while !met() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(within, waiting).await.is_ok()
}

async fn assert_hears(call: &Call, tone_hz: u32) {
    let heard = async {
        loop {
            call.audio().restart_recording();
            tokio::time::sleep(Duration::from_millis(700)).await;
            if tone::level_db(&call.audio().recording(), tone_hz) > tone::HEARD_DB {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, heard).await.unwrap_or_else(|_| panic!("{tone_hz} Hz is not heard"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telephone_keys_in_conference_and_pin_and_both_sides_hear() {
    let _turn = alone();
    let server = Server::start(&ServerOptions {
        conferences: vec![("2000".to_owned(), Some("4711".to_owned()), "anonymous")],
        extra: "[[access_number]]\nnumber = \"+14255550100\"\nregion = \"Seattle\"\n".to_owned(),
        ..ServerOptions::default()
    });
    let member = AgentOptions::new("user1", server.domain(), PASSWORD, server.sip());
    let member = ScriptedPhone::open(PhoneOptions::new(member)).await.expect("a free port");
    let member = member.call(&format!("sip:2000@{}", server.sip())).await.expect("he is in");
    member.audio().play_tone(Some(440));
    assert!(until(SOON, || connected(&server) == 1).await, "the member is not in");

    let telephone = AgentOptions::new("+493055501234", "pstn.example", "none", server.sip());
    let telephone = ScriptedPhone::open(PhoneOptions::new(telephone)).await.expect("a free port");
    let caller = telephone.call(&format!("sip:+14255550100@{}", server.sip())).await.expect("the attendant answers");
    caller.audio().press("999#2000#");
    let mut is_in = false;
    for _ in 0..3 {
        tokio::time::sleep(PATIENCE).await;
        caller.audio().press("4711#");
        is_in = until(PATIENCE, || connected(&server) == 2).await;
        if is_in {
            break;
        }
    }
    assert!(is_in, "the PIN was right");
    caller.audio().play_tone(Some(1010));
    assert_hears(&caller, 440).await;
    assert_hears(&member, 1010).await;
    caller.hang_up().await.expect("BYE is answered");
}
