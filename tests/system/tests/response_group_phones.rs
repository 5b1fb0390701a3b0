//! Response groups with baresip and linphonec as agents and callers.

use std::time::Duration;

use system_tests::{Baresip, Codec, Line, LineOptions, Linphone, PASSWORD, Server, ServerOptions, alone, eventually};
use testkit::tone::{HEARD_DB, TONES, level_db};
use testkit::{AgentOptions, AnswerMode, PhoneOptions, ScriptedPhone};

const SOON: Duration = Duration::from_secs(20);

const GROUP: &str = "\n[[response_group]]\nuri = \"sip:sales@127.0.0.1\"\nname = \"Sales\"\nmethod = \"parallel\"\n\
                     agents = [\"sip:user1@127.0.0.1\"]\n";

fn ringing(server: &Server) -> bool {
    let (_, body) = server.get("/api/v1/response-groups").unwrap_or_default();
    body.contains("\"ringing\"")
}

fn talking(server: &Server) -> bool {
    let (_, body) = server.get("/api/v1/response-groups").unwrap_or_default();
    body.contains("\"talking\":1")
}

/// A caller and an agent, each with his tone: both hear the other one's.
fn assert_they_talk(server: &Server, caller: &mut dyn Line, agent: &mut dyn Line) {
    eventually("a conversation", || talking(server), || server.log());
    std::thread::sleep(Duration::from_secs(4));
    caller.hang_up();
    eventually("the end of the conversation", || !talking(server), || server.log());
    for (line, other) in [(caller.heard(), agent.tone()), (agent.heard(), caller.tone())] {
        let middle = line.part((line.seconds() - 2.0).max(0.0), 1.0);
        let level = level_db(&middle, other);
        assert!(level > HEARD_DB, "{other} Hz: {level:.1} dB");
    }
}

#[test]
fn a_baresip_agent_takes_the_call_of_a_linphonec() {
    let _turn = alone();
    let server = Server::start(&ServerOptions { extra: GROUP.to_owned(), ..ServerOptions::default() });
    let at = server.sip().to_string();
    let mut agent = Baresip::start(LineOptions::new("user1", TONES[0]).at(&at));
    agent.wait_registered();
    let mut caller = Linphone::start(LineOptions::new("user2", TONES[1]).at(&at));
    caller.wait_registered();
    caller.call(&format!("sip:sales@{}", server.sip()));
    assert_they_talk(&server, &mut caller, &mut agent);
}

#[test]
fn a_linphonec_agent_takes_the_call_of_a_baresip() {
    let _turn = alone();
    let server = Server::start(&ServerOptions { extra: GROUP.to_owned(), ..ServerOptions::default() });
    let at = server.sip().to_string();
    let mut agent = Linphone::start(LineOptions::new("user1", TONES[2]).at(&at));
    agent.wait_registered();
    let mut caller = Baresip::start(LineOptions::new("user2", TONES[3]).at(&at));
    caller.wait_registered();
    caller.call(&format!("sip:sales@{}", server.sip()));
    eventually("a ringing linphonec", || ringing(&server), || server.log());
    std::thread::sleep(Duration::from_millis(500));
    agent.answer();
    assert_they_talk(&server, &mut caller, &mut agent);
}

/// An attended transfer by a phone nobody here wrote: the agent talks with the caller, calls a colleague, and joins the two.
#[tokio::test(flavor = "multi_thread")]
async fn a_linphonec_agent_asks_a_colleague_and_sends_the_caller_to_him() {
    let _turn = alone();
    let server = Server::start(&ServerOptions { extra: GROUP.to_owned(), ..ServerOptions::default() });
    let at = server.sip().to_string();
    let phone = async |user: &str| {
        let options = AgentOptions::new(user, server.domain(), PASSWORD, server.sip());
        ScriptedPhone::open(PhoneOptions::new(options).answering(AnswerMode::AtOnce)).await.expect("free port")
    };
    let mut colleague = phone("user3").await;
    colleague.register(600).await.expect("registered");
    let mut agent = Linphone::start(LineOptions::new("user1", TONES[2]).codec(Codec::Pcmu).at(&at));
    agent.wait_registered();
    let call = phone("user2").await.call(&format!("sip:sales@{}", server.sip())).await.expect("answered");
    eventually("a ringing linphonec", || ringing(&server), || server.log());
    std::thread::sleep(Duration::from_millis(500));
    agent.answer();
    eventually("a conversation", || talking(&server), || server.log());
    agent.wait_calls(1);
    agent.hold_first();
    agent.call(&format!("sip:user3@{}", server.sip()));
    agent.wait_calls(2);
    let asked = colleague.next_call(SOON).await.expect("the colleague is asked");
    agent.join_first_to_second();
    eventually("the end of the agent's talk", || !talking(&server), || server.log());
    call.audio().play_tone(Some(TONES[0]));
    asked.audio().play_tone(Some(TONES[1]));
    for (line, tone) in [(&call, TONES[1]), (&asked, TONES[0])] {
        let hears = || {
            let heard = line.audio().recording();
            let second = heard.part((heard.seconds() - 1.0).max(0.0), 1.0);
            level_db(&second, tone) > HEARD_DB
        };
        eventually(&format!("{tone} Hz"), hears, || server.log());
    }
    assert!(!asked.has_ended(), "the colleague's dialog goes on");
    call.hang_up().await.expect("BYE is answered");
    asked.ended(SOON).await.expect("hung up with the caller");
    let records = || server.get("/api/v1/call-detail-records").expect("HTTP answers").1;
    eventually("the conversation after the transfer", || records().contains("\"segment\":\"onward\""), records);
    let (_, story) = server.command(&["explain", "call", "1", "--config", "convoke.toml"]);
    assert!(story.contains("whom he has asked before"), "{story}");
}
