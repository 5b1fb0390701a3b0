//! Response groups: agents played by SIPp that answer, answer twice and answer like a mailbox, and several real phones in
//! one group, of whom one wins and the others have no missed call.

use std::time::Duration;

use system_tests::{
    Baresip, Line, LineOptions, Linphone, PASSWORD, Server, ServerOptions, SippAgent, alone, eventually,
};
use testkit::tone::{HEARD_DB, TONES, level_db};
use testkit::{AgentOptions, AnswerMode, PhoneOptions, ScriptedPhone};

const SOON: Duration = Duration::from_secs(20);

/// A server with the group `sales` of user1 and user2.
fn server(method: &str, more: &str) -> Server {
    let extra = format!(
        "\n[[response_group]]\nuri = \"sip:sales@127.0.0.1\"\nname = \"Sales\"\nmethod = \"{method}\"\n\
         alert_time_seconds = 10\nagents = [\"sip:user1@127.0.0.1\", \"sip:user2@127.0.0.1\"]\n{more}"
    );
    Server::start(&ServerOptions { extra, ..ServerOptions::default() })
}

fn board(server: &Server) -> serde_json::Value {
    let (status, body) = server.get("/api/v1/response-groups").expect("HTTP answers");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

fn state(server: &Server, agent: usize) -> String {
    board(server)["agents"][agent]["status"]["state"].as_str().unwrap_or("?").to_owned()
}

fn talking(server: &Server) -> u64 {
    board(server)["groups"][0]["talking"].as_u64().expect("a number")
}

fn history(server: &Server, user: &str) -> String {
    server.get(&format!("/api/v1/users/{user}/calls")).expect("HTTP answers").1
}

/// Waits for a line of a user's history; whatever else was to be written then is written too, for lines are written in
/// order.
fn wait_for_line(server: &Server, user: &str, kind: &str) -> String {
    let is_there = || history(server, user).contains(&format!("\"{kind}\""));
    eventually(&format!("{kind} in the history of {user}"), is_there, || history(server, user));
    history(server, user)
}

/// The winner has his line, the loser another one and no missed call, and no lamp was lit.
fn assert_nobody_missed_it(server: &Server, winner: &str, loser: &str) {
    wait_for_line(server, winner, "group_call_answered_by_you");
    let lost = wait_for_line(server, loser, "group_call_answered_by_other");
    wait_for_line(server, "user3", "outgoing");
    assert!(!lost.contains("missed"), "{lost}");
    let metrics = server.get("/metrics").expect("HTTP answers").1;
    assert!(metrics.contains("convoke_missed_call_notices_total 0"), "no message-summary lamp is lit: {metrics}");
}

async fn caller(server: &Server) -> ScriptedPhone {
    let options = AgentOptions::new("user3", server.domain(), PASSWORD, server.sip());
    ScriptedPhone::open(PhoneOptions::new(options).answering(AnswerMode::Refuse(486))).await.expect("free port")
}

fn sales(server: &Server) -> String {
    format!("sip:sales@{}", server.sip())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_sipp_answers_and_is_hung_up_with_the_caller() {
    let _turn = alone();
    let server = server("serial", "");
    let agent = SippAgent::start(&server, "user1", "agent_answers");
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    eventually("a conversation", || talking(&server) == 1, || board(&server).to_string());
    call.hang_up().await.expect("BYE is answered");
    agent.finish(SOON).assert_passed();
    wait_for_line(&server, "user1", "group_call_answered_by_you");
    wait_for_line(&server, "user3", "outgoing");
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_the_second_answer_of_one_agent_is_acknowledged_and_ended() {
    let _turn = alone();
    let server = server("serial", "");
    let agent = SippAgent::start(&server, "user1", "agent_twice");
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    agent.finish(SOON).assert_passed();
    assert!(!call.has_ended(), "the caller holds the line");
    call.hang_up().await.expect("BYE is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_b17_an_agent_who_must_confirm_and_answers_like_a_mailbox_does_not_get_the_caller() {
    let _turn = alone();
    let server = server("serial", "confirm = \"always\"\n");
    let mailbox = SippAgent::start(&server, "user1", "agent_mailbox");
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    mailbox.finish(Duration::from_secs(40)).assert_passed();
    assert!(!call.has_ended(), "the caller waits on");
    assert_eq!(board(&server)["groups"][0]["counters"]["answered"], 0);
    call.hang_up().await.expect("BYE is answered");
}

/// A linphonec that rings, a baresip that answers by itself, and a baresip that calls.
fn phones(server: &Server) -> (Linphone, Baresip, Baresip) {
    let at = server.sip().to_string();
    let mut rings = Linphone::start(LineOptions::new("user1", TONES[0]).at(&at));
    rings.wait_registered();
    let mut answers = Baresip::start(LineOptions::new("user2", TONES[1]).at(&at));
    answers.wait_registered();
    let mut calls = Baresip::start(LineOptions::new("user3", TONES[2]).at(&at));
    calls.wait_registered();
    (rings, answers, calls)
}

fn assert_they_talk(server: &Server, caller: &mut dyn Line, agent: &mut dyn Line) {
    eventually("a conversation", || talking(server) == 1, || server.log());
    std::thread::sleep(Duration::from_secs(4));
    caller.hang_up();
    eventually("the end of the conversation", || talking(server) == 0, || server.log());
    for (line, other) in [(caller.heard(), agent.tone()), (agent.heard(), caller.tone())] {
        let middle = line.part((line.seconds() - 2.0).max(0.0), 1.0);
        let level = level_db(&middle, other);
        assert!(level > HEARD_DB, "{other} Hz: {level:.1} dB");
    }
}

#[test]
fn r6_r7_of_two_real_phones_in_a_parallel_group_one_talks_and_the_other_has_missed_nothing() {
    let _turn = alone();
    let server = server("parallel", "");
    let (_rings, mut answers, mut calls) = phones(&server);
    calls.call(&sales(&server));
    assert_they_talk(&server, &mut calls, &mut answers);
    eventually("a silent loser", || state(&server, 0) == "free", || board(&server).to_string());
    assert_nobody_missed_it(&server, "user2", "user1");
}

#[test]
fn r6_r7_of_two_real_phones_in_a_serial_group_the_second_rings_when_the_first_did_not_answer() {
    let _turn = alone();
    let server = server("serial", "");
    let (_rings, mut answers, mut calls) = phones(&server);
    calls.call(&sales(&server));
    eventually("a ringing linphonec", || state(&server, 0) == "ringing", || board(&server).to_string());
    assert_eq!(state(&server, 1), "free", "one after the other");
    assert_they_talk(&server, &mut calls, &mut answers);
    assert_nobody_missed_it(&server, "user2", "user1");
}
