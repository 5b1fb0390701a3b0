//! Response groups with baresip and linphonec as agents and callers.

use std::time::Duration;

use system_tests::{Baresip, Line, LineOptions, Linphone, Server, ServerOptions, alone, eventually};
use testkit::tone::{HEARD_DB, TONES, level_db};

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
