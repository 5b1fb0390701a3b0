//! The way to the telephone network: what providers want to know before they carry a call.

use std::time::Duration;

use system_tests::{PASSWORD, Server, ServerOptions, SippAgent, alone};
use testkit::{AgentOptions, Error, PhoneOptions, ScriptedPhone};

const SOON: Duration = Duration::from_secs(20);

/// A server whose only trunk is this one, with an account there.
fn server_with(trunk: std::net::SocketAddr, password: &str, register: bool) -> Server {
    let extra = format!(
        "\n[[trunk]]\nname = \"carrier\"\ntarget = \"udp:{trunk}\"\nusername = \"line7\"\npassword = {password:?}\n\
         register = {register}\n"
    );
    Server::start(&ServerOptions { extra, ..ServerOptions::default() })
}

async fn caller(server: &Server) -> ScriptedPhone {
    let options = PhoneOptions::new(AgentOptions::new("user1", server.domain(), PASSWORD, server.sip()));
    ScriptedPhone::open(options).await.expect("free port")
}

/// Whether the metrics say that we are registered at the trunk.
async fn is_registered(server: &Server) -> bool {
    const NAME: &str = "convoke_trunk_registered{trunk=\"carrier\"} ";
    let told = async {
        loop {
            let metrics = server.get("/metrics").expect("an answer").1;
            if let Some(value) = metrics.lines().find_map(|line| line.strip_prefix(NAME)) {
                return value == "1";
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, told).await.expect("the trunk is heard of")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_that_wants_it_is_registered_at() {
    let _turn = alone();
    for (password, right) in [("sesame-open-7", true), ("sesame-shut-8", false)] {
        let (trunk, address) = SippAgent::trunk("trunk_registrar");
        let server = server_with(address, password, true);
        assert_eq!(is_registered(&server).await, right);
        trunk.finish(SOON).assert_passed();
    }
}

/// SIPp checks the answers with its own arithmetic.
#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_that_challenges_carries_the_call_and_ends_it() {
    let _turn = alone();
    let (trunk, address) = SippAgent::trunk("trunk_challenges");
    let server = server_with(address, "sesame-open-7", false);
    let phone = caller(&server).await;
    let call = phone.call(&format!("sip:+4930123456@{}", server.sip())).await.expect("the trunk answers");
    call.hang_up().await.expect("BYE is answered");
    trunk.finish(SOON).assert_passed();
    assert!(!server.log().contains("sesame"), "the password is in no log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_fails_the_call_and_the_log_says_what_to_do() {
    let _turn = alone();
    let (trunk, address) = SippAgent::trunk("trunk_challenges");
    let server = server_with(address, "sesame-shut-8", false);
    let outcome = caller(&server).await.call(&format!("sip:+4930123456@{}", server.sip())).await;
    assert!(matches!(outcome, Err(Error::Refused { status: 500, .. })), "{:?}", outcome.err());
    trunk.finish(SOON).assert_passed();
    let log = server.log();
    assert!(log.contains("check username and password of this [[trunk]]") && log.contains("carrier"), "{log}");
    assert!(!log.contains("sesame"), "the password is in no log");
}
