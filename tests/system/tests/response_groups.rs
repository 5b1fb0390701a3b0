//! Response groups under other people's phones: agents that answer, refuse, divert, ring for ever and answer too late.

use std::time::Duration;

use system_tests::{Behaviour, Device, PASSWORD, Server, ServerOptions, SippAgent, alone, eventually};
use testkit::{Agent, AgentOptions, AnswerMode, Call, PhoneOptions, ScriptedPhone, Transport, tone};

const SOON: Duration = Duration::from_secs(20);

/// A server with the group `sales` of these users.
fn server(method: &str, agents: &[&str], more: &str) -> Server {
    Server::start(&ServerOptions { extra: group(method, agents, more), ..ServerOptions::default() })
}

fn group(method: &str, agents: &[&str], more: &str) -> String {
    let agents: Vec<String> = agents.iter().map(|agent| format!("\"sip:{agent}@127.0.0.1\"")).collect();
    format!(
        "\n[[response_group]]\nuri = \"sip:sales@127.0.0.1\"\nname = \"Sales\"\nmethod = \"{method}\"\n\
         alert_time_seconds = 10\nagents = [{}]\n{more}",
        agents.join(", ")
    )
}

fn sales(server: &Server) -> String {
    format!("sip:sales@{}", server.sip())
}

async fn phone(server: &Server, user: &str, answer: AnswerMode) -> ScriptedPhone {
    let options = AgentOptions::new(user, server.domain(), PASSWORD, server.sip());
    ScriptedPhone::open(PhoneOptions::new(options).answering(answer)).await.expect("free port")
}

/// A phone that connects from a port it does not listen at.
async fn by_connection(server: &Server, user: &str, answer: AnswerMode) -> ScriptedPhone {
    let options = AgentOptions::new(user, server.domain(), PASSWORD, server.sip()).over(Transport::Tcp);
    ScriptedPhone::open(PhoneOptions::new(options).answering(answer)).await.expect("free port")
}

/// A registered agent.
async fn agent(server: &Server, user: &str, answer: AnswerMode) -> ScriptedPhone {
    let mut phone = phone(server, user, answer).await;
    phone.register(600).await.expect("registered");
    phone
}

async fn caller(server: &Server) -> ScriptedPhone {
    phone(server, "user9", AnswerMode::Refuse(486)).await
}

/// What the wallboard says of the group.
fn board(server: &Server) -> serde_json::Value {
    let (status, body) = server.get("/api/v1/response-groups").expect("HTTP answers");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

fn waiting(server: &Server) -> u64 {
    board(server)["groups"][0]["waiting"].as_u64().expect("a number")
}

fn states(server: &Server) -> Vec<String> {
    let board = board(server);
    let agents = board["agents"].as_array().expect("a list");
    agents.iter().map(|agent| agent["status"]["state"].as_str().unwrap_or("?").to_owned()).collect()
}

fn wait_until_free(server: &Server) {
    eventually(
        "agents who are free",
        || states(server).iter().all(|state| state == "free"),
        || format!("{:?}", states(server)),
    );
}

/// Each of two has a tone of his own from now on.
fn speak(call: &Call, talk: &Call) {
    call.audio().play_tone(Some(440));
    talk.audio().play_tone(Some(1010));
}

/// Both hear the tone that [`speak`] has given the other.
async fn hear_each_other(call: &Call, talk: &Call) {
    hears(call, 1010).await;
    hears(talk, 440).await;
}

async fn hears(call: &Call, tone_hz: u32) {
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

/// A callee may hang up only when his answer was acknowledged; by the time he hears something it was.
async fn hears_something(call: &Call) {
    call.audio().restart_recording();
    let heard = async {
        while call.audio().recording().seconds() < 0.2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, heard).await.expect("sound arrives");
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_agents_ring_the_first_talks_and_the_loser_is_cancelled_without_a_missed_call() {
    let _turn = alone();
    let server = server("parallel", &["user1", "user2"], "");
    let mut winner = agent(&server, "user1", AnswerMode::AfterRinging(Duration::from_millis(800))).await;
    let loser = SippAgent::start(&server, "user2", "agent_rings");
    let caller = caller(&server).await;
    let call = caller.call(&sales(&server)).await.expect("the caller is answered at once");
    let talk = winner.next_call(SOON).await.expect("the winner's call");
    let invite = talk.invite().expect("it came in");
    assert!(invite.header("From").is_some_and(|from| from.contains("Sales: ")), "{invite:?}");
    speak(&call, &talk);
    hear_each_other(&call, &talk).await;
    loser.finish(SOON).assert_passed();
    call.hang_up().await.expect("BYE is answered");
    talk.ended(SOON).await.expect("the agent is hung up");
    wait_until_free(&server);
    assert_eq!(board(&server)["groups"][0]["counters"]["answered"], 1);
    let history = |user: &str| server.get(&format!("/api/v1/users/{user}/calls")).expect("HTTP answers").1;
    for (user, kind) in [("user1", "group_call_answered_by_you"), ("user2", "group_call_answered_by_other")] {
        eventually("a line of each agent", || history(user).contains(kind), || history(user));
    }
    assert!(!history("user2").contains("missed"), "{}", history("user2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_b15_agents_who_refuse_or_divert_are_passed_over() {
    for scenario in ["agent_busy", "agent_declines", "agent_diverts"] {
        let _turn = alone();
        let server = server("serial", &["user1", "user2"], "");
        let first = SippAgent::start(&server, "user1", scenario);
        let mut second = agent(&server, "user2", AnswerMode::AtOnce).await;
        let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
        let talk = second.next_call(SOON).await.unwrap_or_else(|error| panic!("{scenario}: {error}"));
        first.finish(SOON).assert_passed();
        call.hang_up().await.expect("BYE is answered");
        talk.ended(SOON).await.expect("the agent is hung up");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_phone_that_rings_for_ever_is_cancelled_after_the_alert_time_and_the_next_one_rings() {
    let _turn = alone();
    let server = server("serial", &["user1", "user2"], "");
    let silent = SippAgent::start(&server, "user1", "agent_rings");
    let mut second = agent(&server, "user2", AnswerMode::AtOnce).await;
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    let talk = second.next_call(SOON).await.expect("the second agent's turn comes");
    silent.finish(SOON).assert_passed();
    call.hang_up().await.expect("BYE is answered");
    talk.ended(SOON).await.expect("hung up");
}

#[tokio::test(flavor = "multi_thread")]
async fn b24_an_agent_who_answers_after_the_cancel_is_acknowledged_and_ended() {
    let _turn = alone();
    let server = server("parallel", &["user1", "user2"], "");
    let mut winner = agent(&server, "user1", AnswerMode::AfterRinging(Duration::from_millis(500))).await;
    let late = SippAgent::start(&server, "user2", "agent_late");
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    let talk = winner.next_call(SOON).await.expect("the winner's call");
    late.finish(SOON).assert_passed();
    assert!(!talk.has_ended(), "the winner goes on talking");
    call.hang_up().await.expect("BYE is answered");
    wait_until_free(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn b5_a_caller_who_leaves_silences_every_phone() {
    let _turn = alone();
    let server = server("parallel", &["user1", "user2"], "");
    let phones = ["user1", "user2"].map(|user| SippAgent::start(&server, user, "agent_rings"));
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    eventually(
        "ringing phones",
        || states(&server).iter().all(|state| state == "ringing"),
        || format!("{:?}", states(&server)),
    );
    call.hang_up().await.expect("BYE is answered");
    for phone in phones {
        phone.finish(SOON).assert_passed();
    }
    wait_until_free(&server);
    assert_eq!(board(&server)["groups"][0]["counters"]["abandoned"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_r4_the_agents_own_forwarding_counts_for_a_direct_call_and_not_for_the_groups() {
    let _turn = alone();
    let server = server("parallel", &["user1"], "");
    let mut bob = agent(&server, "user1", AnswerMode::AtOnce).await;
    let mut frank = agent(&server, "user3", AnswerMode::AtOnce).await;
    let settings = r#"{"forward_always": "sip:user3@127.0.0.1"}"#;
    let (status, told) = server.put("/api/v1/users/user1/routing", settings).expect("HTTP answers");
    assert!((200..300).contains(&status), "{status} {told}");
    let caller = caller(&server).await;
    let direct = caller.call(&format!("sip:user1@{}", server.sip())).await.expect("answered");
    let forwarded = frank.next_call(SOON).await.expect("a direct call is forwarded");
    direct.hang_up().await.expect("BYE is answered");
    forwarded.ended(SOON).await.expect("over");
    let call = caller.call(&sales(&server)).await.expect("answered");
    let talk = bob.next_call(SOON).await.expect("the group's call rings his own phone");
    hears_something(&talk).await;
    talk.hang_up().await.expect("hung up");
    call.ended(SOON).await.expect("over");
}

/// kill -9 while one phone rings and a caller waits: no agent is stuck, and the caller keeps his place.
#[tokio::test(flavor = "multi_thread")]
async fn b7_kill_9_leaves_no_agent_stuck_and_the_caller_keeps_his_place() {
    let _turn = alone();
    let mut server = server("serial", &["user1"], "");
    let ringing = SippAgent::start(&server, "user1", "agent_rings");
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    eventually("a ringing phone", || states(&server) == ["ringing"], || format!("{:?}", states(&server)));
    server.crash_and_restart();
    ringing.finish(SOON).assert_passed();
    eventually("the caller in the queue", || waiting(&server) == 1, || board(&server).to_string());
    assert!(!call.has_ended(), "the caller holds the line");
    let mut again = agent(&server, "user1", AnswerMode::AtOnce).await;
    let talk = again.next_call(SOON).await.expect("the agent is rung for the caller who waited");
    speak(&call, &talk);
    hear_each_other(&call, &talk).await;
    call.hang_up().await.expect("BYE is answered");
    talk.ended(SOON).await.expect("hung up");
    wait_until_free(&server);
}

/// kill -9 in the middle of a conversation: both go on talking after the restart.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_a_conversation_gives_both_their_audio_back() {
    let _turn = alone();
    let mut server = server("serial", &["user1"], "");
    let mut bob = agent(&server, "user1", AnswerMode::AtOnce).await;
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    let talk = bob.next_call(SOON).await.expect("connected");
    speak(&call, &talk);
    hears(&call, 1010).await;
    server.crash_and_restart();
    hear_each_other(&call, &talk).await;
    talk.hang_up().await.expect("BYE is answered");
    call.ended(SOON).await.expect("hung up");
}

/// The same with phones that speak TCP, whose connections are gone with the process.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_a_conversation_over_connections_gives_both_their_audio_back() {
    let _turn = alone();
    let mut server = server("serial", &["user1"], "");
    let mut bob = by_connection(&server, "user1", AnswerMode::AtOnce).await;
    bob.register(600).await.expect("registered");
    let caller = by_connection(&server, "user9", AnswerMode::Refuse(486)).await;
    let call = caller.call(&sales(&server)).await.expect("answered");
    let talk = bob.next_call(SOON).await.expect("connected");
    speak(&call, &talk);
    hears(&call, 1010).await;
    server.crash_and_restart();
    hear_each_other(&call, &talk).await;
    assert_eq!((waiting(&server), states(&server)), (0, vec!["talking".to_owned()]));
    call.hang_up().await.expect("BYE is answered");
    talk.ended(SOON).await.expect("hung up");
}

/// The phone of an agent loses its connection while it rings. It can still be reached where it listens: it is silent when the
/// caller has hung up.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_lost_its_connection_while_it_rang_is_cancelled() {
    let _turn = alone();
    let server = server("serial", &["user1"], "");
    let options = AgentOptions::new("user1", server.domain(), PASSWORD, server.sip()).over(Transport::Tcp);
    let (bob, mut requests) = Agent::open(options).await.expect("free port");
    let mut register = bob.new_request("REGISTER", &format!("sip:{}", server.domain())).with("Expires", "600");
    register.set("To", format!("<{}>", bob.address_of_record()));
    assert_eq!(bob.request(&mut register).await.expect("answered").status(), Some(200));
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    let mut next = async |method: &str| {
        let request = tokio::time::timeout(SOON, requests.recv()).await.expect("in time").expect("open");
        assert_eq!(request.message.method(), method, "{:?}", request.message);
        request
    };
    let invite = next("INVITE").await;
    invite.respond(180, "Ringing").await.expect("sent");
    bob.break_connections();
    call.hang_up().await.expect("BYE is answered");
    let cancel = next("CANCEL").await;
    assert_eq!(cancel.message.branch(), invite.message.branch());
    invite.respond(487, "Request Terminated").await.expect("sent");
    next("ACK").await;
}

/// The same when he takes the call: it is his.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_lost_its_connection_while_it_rang_takes_the_call() {
    let _turn = alone();
    let server = server("serial", &["user1"], "");
    let mut bob = by_connection(&server, "user1", AnswerMode::AfterRinging(Duration::from_secs(3))).await;
    bob.register(600).await.expect("registered");
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    eventually("a phone that rings", || states(&server) == ["ringing"], || format!("{:?}", states(&server)));
    bob.agent().break_connections();
    let talk = bob.next_call(SOON).await.expect("answered");
    speak(&call, &talk);
    hear_each_other(&call, &talk).await;
    talk.hang_up().await.expect("BYE is answered");
    call.ended(SOON).await.expect("hung up");
}

/// The same with phones nobody can connect to, as behind address translation or by TLS: what is to be said to them waits until
/// they register anew, and meanwhile neither is given up.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_a_conversation_of_phones_that_cannot_be_connected_to_waits_until_they_register() {
    let _turn = alone();
    let mut server = server("serial", &["user1"], "");
    let mut bob = ScriptedPhone::open(PhoneOptions::new(behind_nat(&server, "user1")).answering(AnswerMode::AtOnce))
        .await
        .expect("free port");
    let mut ann =
        ScriptedPhone::open(PhoneOptions::new(behind_nat(&server, "user9")).answering(AnswerMode::Refuse(486)))
            .await
            .expect("free port");
    bob.register(600).await.expect("registered");
    ann.register(600).await.expect("registered");
    let call = ann.call(&sales(&server)).await.expect("answered");
    let talk = bob.next_call(SOON).await.expect("connected");
    speak(&call, &talk);
    hears(&call, 1010).await;
    server.crash_and_restart();
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!((waiting(&server), states(&server)), (0, vec!["talking".to_owned()]), "longer than an answer may take");
    bob.register(600).await.expect("registered");
    ann.register(600).await.expect("registered");
    hear_each_other(&call, &talk).await;
    call.hang_up().await.expect("BYE is answered");
    talk.ended(SOON).await.expect("hung up");
    wait_until_free(&server);
}

/// And while such a phone rings: its agent is rung for nobody until the phone has registered and is silent.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_while_a_phone_rings_that_cannot_be_connected_to_silences_it_when_it_registers() {
    let _turn = alone();
    let mut server = server("serial", &["user1"], "");
    let bob = Device::open(behind_nat(&server, "user1"), Behaviour::Ring).await;
    bob.register_again().await;
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    let first = bob.until("INVITE", 1).await;
    server.crash_and_restart();
    eventually("the caller in the queue", || waiting(&server) == 1, || board(&server).to_string());
    let now = states(&server);
    assert!(now != ["free"], "his phone rings, or would if anybody asked: {now:?}");
    bob.register_again().await;
    let cancel = bob.until("CANCEL", 1).await;
    assert_eq!(cancel.call_id(), first.call_id());
    let anew = bob.until("INVITE", 2).await;
    assert_ne!(anew.call_id(), first.call_id(), "the repeated one was a retransmission; now he is rung anew");
    call.hang_up().await.expect("BYE is answered");
}

fn behind_nat(server: &Server, user: &str) -> AgentOptions {
    AgentOptions::new(user, server.domain(), PASSWORD, server.sip()).over(Transport::Tcp).unreachable()
}

/// kill -9 while a supervisor listens: he is hung up, and his call is in his history, in the call detail records and in the
/// story of the call that he heard.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_while_a_supervisor_listens_leaves_his_line_and_his_record() {
    let _turn = alone();
    let mut server = server("serial", &["user1"], "");
    let mut bob = agent(&server, "user1", AnswerMode::AtOnce).await;
    let mut dave = agent(&server, "user4", AnswerMode::AtOnce).await;
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    let talk = bob.next_call(SOON).await.expect("connected");
    eventually("an agent who talks", || states(&server).contains(&"talking".to_owned()), || board(&server).to_string());
    let command = r#"{"command": "monitor", "call": 1, "supervisor": "sip:user4@127.0.0.1", "mode": "listen"}"#;
    let (status, told) = server.post("/api/v1/response-groups/commands", command).expect("HTTP answers");
    assert_eq!(status, 204, "{told}");
    let listens = dave.next_call(SOON).await.expect("the supervisor's call");
    call.audio().play_tone(Some(440));
    hears(&listens, 440).await;
    server.crash_and_restart();
    listens.ended(SOON).await.expect("he is hung up");
    let told = |path: &str| server.get(path).expect("HTTP answers").1;
    let history = || told("/api/v1/users/user4/calls");
    eventually("the supervisor's line", || history().contains("\"errand\":\"listen\""), history);
    assert_eq!(history().matches("sip:sales@127.0.0.1").count(), 1, "one line: {}", history());
    let records = || told("/api/v1/call-detail-records");
    eventually("his record", || records().contains("\"segment\":\"supervisor\""), records);
    hears(&talk, 440).await;
    call.hang_up().await.expect("BYE is answered");
    talk.ended(SOON).await.expect("hung up");
    wait_until_free(&server);
    let (_, story) = server.command(&["explain", "call", "1", "--config", "convoke.toml"]);
    assert!(story.contains("sip:user4@127.0.0.1 listens\n"), "who listened: {story}");
    assert!(story.contains("the server was restarted; sip:user4@127.0.0.1 listens no longer, after"), "{story}");
}

/// kill -9 while an agent is asked for the key: he is hung up, and the caller keeps his place.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_while_an_agent_is_asked_for_the_key_hangs_him_up() {
    let _turn = alone();
    let mut server = server("serial", &["user1"], "confirm = \"always\"");
    let mut bob = agent(&server, "user1", AnswerMode::AtOnce).await;
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    let talk = bob.next_call(SOON).await.expect("the agent's call");
    hears_something(&talk).await;
    server.crash_and_restart();
    talk.ended(SOON).await.expect("the agent is hung up");
    eventually("the caller in the queue", || waiting(&server) == 1, || board(&server).to_string());
    call.hang_up().await.expect("BYE is answered");
}

/// The terminal is closed (SIGHUP) and a file has its largest size (SIGXFSZ) while a caller waits and a phone rings, which
/// changes nothing; then SIGTERM: when the time for draining is over the phone is silenced, the caller hears a word and is hung
/// up, his call has its outcome, and the server ends in order.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_with_a_caller_in_the_queue_leaves_nobody_on_the_line() {
    let _turn = alone();
    let extra = group("serial", &["user1"], "");
    let options = ServerOptions { head: "drain_seconds = 2".to_owned(), extra, ..ServerOptions::default() };
    let mut server = Server::start(&options);
    let ringing = SippAgent::start(&server, "user1", "agent_rings");
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    eventually("a ringing phone", || states(&server) == ["ringing"], || format!("{:?}", states(&server)));
    server.hang_up_terminal();
    server.reach_file_size_limit();
    let (mut server, ended) = tokio::task::spawn_blocking(move || {
        let ended = server.terminate();
        (server, ended)
    })
    .await
    .expect("no panic");
    assert!(ended, "the server ends with status 0");
    call.ended(SOON).await.expect("the caller is hung up");
    ringing.finish(SOON).assert_passed();
    let (told, story) = server.command(&["explain", "call", "1", "--config", "convoke.toml"]);
    assert!(told && story.contains("the server was stopped"), "his outcome: {story}");
    // The next process finds nothing that is left over, and takes calls.
    server.start_again();
    assert_eq!(waiting(&server), 0);
    let mut bob = agent(&server, "user1", AnswerMode::AtOnce).await;
    let again = caller(&server).await.call(&sales(&server)).await.expect("answered");
    let talk = bob.next_call(SOON).await.expect("connected");
    again.hang_up().await.expect("BYE is answered");
    talk.ended(SOON).await.expect("hung up");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_the_story_and_replay_gives_the_same_decisions() {
    let _turn = alone();
    let server = server("serial", &["user1", "user2"], "");
    let mut second = agent(&server, "user2", AnswerMode::AtOnce).await;
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    let talk = second.next_call(SOON).await.expect("connected");
    call.hang_up().await.expect("BYE is answered");
    talk.ended(SOON).await.expect("hung up");
    wait_until_free_or_gone(&server);
    let (told, story) = server.command(&["explain", "call", "1", "--config", "convoke.toml"]);
    assert!(told && story.contains("user1") && story.contains("user2"), "{story}");
    assert!(story.contains("no device of his is registered"), "why the first was not offered it: {story}");
    let journal = server.file("data/response-groups.journal");
    let (same, decisions) = server.command(&["replay", &journal.display().to_string()]);
    assert!(same && decisions.contains("byte for byte"), "{decisions}");
}

fn wait_until_free_or_gone(server: &Server) {
    let settled = || states(server).iter().all(|state| state == "free" || state == "not_available");
    eventually("settled agents", settled, || format!("{:?}", states(server)));
}

#[tokio::test(flavor = "multi_thread")]
async fn formal_agents_sign_in_and_out_by_feature_code_and_by_command() {
    let _turn = alone();
    let server = server("parallel", &["user1"], "participation = \"formal\"\n");
    let bob = agent(&server, "user1", AnswerMode::AtOnce).await;
    let signed_in = |server: &Server| board(server)["agents"][0]["signed_in"].as_bool();
    assert_eq!(signed_in(&server), Some(false));
    let call = bob.call(&format!("sip:*55@{}", server.sip())).await.expect("answered");
    call.ended(SOON).await.expect("told, then hung up");
    assert_eq!(signed_in(&server), Some(true));
    let history = || server.get("/api/v1/users/user1/calls").expect("HTTP answers").1;
    eventually("his line", || history().contains("\"errand\":\"sign_in\""), history);
    let command = r#"{"command": "sign_in", "agent": "sip:user1@127.0.0.1", "signed_in": false}"#;
    let (status, told) = server.post("/api/v1/response-groups/commands", command).expect("HTTP answers");
    assert_eq!(status, 204, "{told}");
    eventually("a signed-out agent", || signed_in(&server) == Some(false), || board(&server).to_string());
    let stranger = r#"{"command": "sign_in", "agent": "sip:user7@127.0.0.1", "signed_in": true}"#;
    let (status, told) = server.post("/api/v1/response-groups/commands", stranger).expect("HTTP answers");
    assert!(status == 422 && told.contains("agent of no response group"), "{status} {told}");
    let metrics = server.get("/metrics").expect("HTTP answers").1;
    assert!(metrics.contains("convoke_group_waiting_callers{group=\"sales\"} 0"), "{metrics}");
    assert!(!metrics.contains("user1"), "no user stands in a label");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queues_time_out_forwards_the_caller() {
    let _turn = alone();
    let queue = "[response_group.queue]\ntimeout_seconds = 10\n\
                 timeout_action = { kind = \"forward\", target = \"sip:user3@127.0.0.1\" }\n";
    let server = server("serial", &["user1"], queue);
    let mut frank = agent(&server, "user3", AnswerMode::AtOnce).await;
    let call = caller(&server).await.call(&sales(&server)).await.expect("answered");
    let talk = frank.next_call(SOON).await.expect("the caller comes to frank");
    call.audio().play_tone(Some(440));
    hears(&talk, 440).await;
    call.hang_up().await.expect("BYE is answered");
    talk.ended(SOON).await.expect("hung up");
    assert_eq!(board(&server)["groups"][0]["counters"]["timed_out"], 1);
}
