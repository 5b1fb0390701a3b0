//! Somebody in a call sends the other on: phones nobody here wrote, over the wire.

use std::time::Duration;

use system_tests::{Baresip, Behaviour, Device, Line, LineOptions, Server, ServerOptions, alone, eventually};
use testkit::tone::{HEARD_DB, TONES, level_db};

/// ann calls bob, and both hear it.
fn talking(server: &Server) -> (Baresip, Baresip) {
    let at = server.sip().to_string();
    let mut ann = Baresip::start(LineOptions::new("user1", TONES[0]).at(&at));
    let mut bob = Baresip::start(LineOptions::new("user2", TONES[1]).at(&at));
    bob.wait_registered();
    ann.wait_registered();
    ann.call(&format!("sip:user2@{}", server.sip()));
    bob.wait_established();
    ann.wait_established();
    (ann, bob)
}

#[test]
fn a_phone_sends_the_other_on_and_those_two_hear_each_other() {
    let _turn = alone();
    let server = Server::start(&ServerOptions::default());
    let (mut ann, mut bob) = talking(&server);
    let mut carol = Baresip::start(LineOptions::new("user3", TONES[2]).at(server.sip().to_string()));
    carol.wait_registered();
    ann.transfer(&format!("sip:user3@{}", server.sip()));
    carol.wait_established();
    ann.wait_closed();
    std::thread::sleep(Duration::from_secs(2));
    bob.hang_up();
    carol.wait_closed();
    let (bob_heard, carol_heard) = (bob.heard(), carol.heard());
    assert!(level_db(&bob_heard, TONES[2]) > HEARD_DB, "bob does not hear carol");
    assert!(level_db(&carol_heard, TONES[1]) > HEARD_DB, "carol does not hear bob");
    assert!(level_db(&carol_heard, TONES[0]) < HEARD_DB, "ann is not in it any more");
}

/// What this phone does then is its own affair: it hangs up. That the call would go on is shown by the engine's tests.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_told_that_the_target_declined() {
    let _turn = alone();
    let server = Server::start(&ServerOptions::default());
    let carol = Device::register(&server, "user3", Behaviour::Refuse(603)).await;
    let (mut ann, mut bob) = talking(&server);
    ann.transfer(&format!("sip:user3@{}", server.sip()));
    let invite = carol.until("INVITE", 1).await;
    assert!(invite.header("Referred-By").is_some_and(|by| by.contains("user1")));
    carol.until("ACK", 1).await;
    eventually("failed transfer", || ann.events("TRANSFER_FAILED") == 1, || "ann was told nothing".to_owned());
    bob.wait_closed();
}
