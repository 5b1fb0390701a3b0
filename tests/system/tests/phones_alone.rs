//! The phones call each other without a server: what fails here is the harness or the machine, not the server.

use std::time::Duration;

use system_tests::meeting::assert_complete;
use system_tests::{Baresip, Codec, Line, LineOptions, Linphone, Sipp, alone};
use testkit::tone::{HEARD_DB, Listener, TONES, level_db};
use testkit::wav::Sound;

/// Both hear each other's tone without gaps and not their own.
fn assert_hear_each_other(caller: &mut dyn Line, called: &mut dyn Line) {
    std::thread::sleep(Duration::from_secs(4));
    caller.hang_up();
    let listeners = [listener(caller), listener(called)];
    assert_complete(&listeners);
}

fn listener(phone: &mut dyn Line) -> Listener {
    Listener { name: phone.user().to_owned(), tone: phone.tone(), heard: middle(&phone.heard()) }
}

/// Two seconds from the middle of a call, where nobody comes or goes.
fn middle(sound: &Sound) -> Sound {
    assert!(sound.seconds() > 2.0, "only {:.1} s were recorded", sound.seconds());
    sound.part((sound.seconds() - 2.0) / 2.0, 2.0)
}

#[test]
fn two_baresips_hear_each_other_with_opus() {
    let _turn = alone();
    let mut ann = Baresip::start(LineOptions::new("ann", TONES[0]));
    let mut bob = Baresip::start(LineOptions::new("bob", TONES[1]));
    ann.call(&bob.direct_uri());
    bob.wait_established();
    assert_hear_each_other(&mut ann, &mut bob);
}

#[test]
fn two_baresips_hear_each_other_with_g711() {
    let _turn = alone();
    let mut ann = Baresip::start(LineOptions::new("ann", TONES[2]).codec(Codec::Pcma));
    let mut bob = Baresip::start(LineOptions::new("bob", TONES[3]).codec(Codec::Pcma));
    ann.call(&bob.direct_uri());
    bob.wait_established();
    assert_hear_each_other(&mut ann, &mut bob);
}

#[test]
fn a_linphonec_and_a_baresip_hear_each_other() {
    let _turn = alone();
    let mut carol = Linphone::start(LineOptions::new("carol", TONES[4]));
    let mut bob = Baresip::start(LineOptions::new("bob", TONES[5]));
    carol.call(&bob.direct_uri());
    bob.wait_established();
    assert_hear_each_other(&mut carol, &mut bob);
}

/// SIPp's scenarios against a scripted phone: each is the other's witness.
#[tokio::test(flavor = "multi_thread")]
async fn sipp_and_a_scripted_phone_understand_each_other() {
    let _turn = alone();
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let agent = testkit::AgentOptions::new("1000", "test.invalid", "secret", nobody);
    let mut phone = testkit::ScriptedPhone::open(testkit::PhoneOptions::new(agent)).await.expect("free port");
    let address = phone.agent().local();
    for scenario in ["bye_at_once", "late_offer", "hold", "participant"] {
        let run = Sipp::scenario(scenario).load(1, 1, Duration::from_secs(3));
        let report = tokio::task::spawn_blocking(move || run.run(address, Duration::from_secs(30)));
        // The call is kept until SIPp is done: dropping it would hang up.
        let call = phone.next_call(Duration::from_secs(10)).await;
        report.await.expect("no panic").assert_passed();
        let call = call.expect("SIPp called");
        assert!(call.has_ended(), "SIPp hung up");
        if scenario == "participant" {
            let heard = call.audio().recording();
            assert!(heard.seconds() > 2.0 && level_db(&heard.part(0.5, 1.5), TONES[0]) > HEARD_DB, "SIPp's tone");
        }
    }
}

/// A registrar that challenges everybody once and believes every answer: SIPp's digest flow is walked to its end.
#[tokio::test(flavor = "multi_thread")]
async fn sipp_registers_through_a_challenge() {
    let _turn = alone();
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let options = testkit::AgentOptions::new("registrar", "test.invalid", "", nobody);
    let (agent, mut requests) = testkit::Agent::open(options).await.expect("free port");
    let address = agent.local();
    let run = tokio::task::spawn_blocking(move || {
        Sipp::scenario("register").users(5).load(5, 5, Duration::ZERO).run(address, Duration::from_secs(30))
    });
    let mut registered = 0;
    while registered < 5 {
        let request = tokio::time::timeout(Duration::from_secs(20), requests.recv()).await;
        let request = request.expect("SIPp registers").expect("the agent is open");
        let response = match request.message.header("Authorization") {
            None => request
                .response(401, "Unauthorized")
                .with("WWW-Authenticate", r#"Digest realm="test.invalid", nonce="abc", qop="auth", algorithm=MD5"#),
            Some(_) => {
                registered += 1;
                let mut response = request.response(200, "OK");
                let contact = request.message.header("Contact").unwrap_or("").to_owned();
                response.set("Contact", format!("{contact};expires=300"));
                response
            }
        };
        request.respond_with(response).await.expect("sent");
    }
    run.await.expect("no panic").assert_passed();
}
