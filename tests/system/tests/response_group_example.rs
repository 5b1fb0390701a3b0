//! The walk of the README through the example configuration, at whatever hour it is.

use std::time::Duration;

use system_tests::{Server, ServerOptions, alone, eventually};
use testkit::{AgentOptions, AnswerMode, PhoneOptions, ScriptedPhone};

const SOON: Duration = Duration::from_secs(30);
/// Nobody takes the call.
const RINGS_ON: AnswerMode = AnswerMode::AfterRinging(Duration::from_secs(90));
const ANSWERS: AnswerMode = AnswerMode::AfterRinging(Duration::from_millis(1_500));

/// The users and groups of the example, on ports of the test's.
fn example() -> Server {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/config/response-groups.toml");
    let text = std::fs::read_to_string(path).expect("the example is there");
    let (_, extra) = text.split_once("[[user]]").expect("it has users");
    let domain = "example.com".to_owned();
    Server::start(&ServerOptions { domain, extra: format!("\n[[user]]{extra}"), ..ServerOptions::default() })
}

async fn phone(server: &Server, user: &str, password: &str, answer: AnswerMode) -> ScriptedPhone {
    let options = AgentOptions::new(user, "example.com", password, server.sip());
    let mut phone = ScriptedPhone::open(PhoneOptions::new(options).answering(answer)).await.expect("free port");
    phone.register(600).await.expect("registered");
    phone
}

fn history(server: &Server, user: &str) -> String {
    server.get(&format!("/api/v1/users/{user}/calls")).expect("HTTP answers").1
}

fn wait_for(server: &Server, user: &str, word: &str) {
    eventually(
        &format!("{word} in {user}'s history"),
        || history(server, user).contains(word),
        || history(server, user),
    );
}

/// Caller and agent are joined: the server has the agent's answer, which his phone has sent a moment before.
fn wait_until_talking(server: &Server) {
    let board = || server.get("/api/v1/response-groups").expect("HTTP answers").1;
    let talking = || {
        let board: serde_json::Value = serde_json::from_str(&board()).expect("JSON");
        let groups = board["groups"].as_array().cloned().unwrap_or_default();
        groups.iter().any(|group| group["talking"].as_u64() == Some(1))
    };
    eventually("caller who talks", talking, board);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_through_the_example_goes_as_the_readme_says() {
    let _turn = alone();
    let server = example();
    let _bob = phone(&server, "bob", "bob-takes-calls", RINGS_ON).await;
    let mut carol = phone(&server, "carol", "carol-takes-calls", ANSWERS).await;
    let _dave = phone(&server, "dave", "dave-takes-calls", RINGS_ON).await;
    let mut frank = phone(&server, "frank", "frank-has-an-office", AnswerMode::AtOnce).await;
    let ann = phone(&server, "ann", "ann-calls-groups", AnswerMode::Refuse(486)).await;
    let at = |name: &str| format!("sip:{name}@{}", server.sip());

    let call = ann.call(&at("sales")).await.expect("answered");
    let talk = carol.next_call(SOON).await.expect("carol takes it");
    let shown = talk.invite().and_then(|invite| invite.header("From")).unwrap_or_default().to_owned();
    assert!(shown.contains("Sales: Ann"), "{shown}");
    wait_until_talking(&server);
    call.hang_up().await.expect("BYE is answered");
    talk.ended(SOON).await.expect("hung up");
    wait_for(&server, "carol", "group_call_answered_by_you");
    for loser in ["bob", "dave"] {
        wait_for(&server, loser, "group_call_answered_by_other");
        assert!(!history(&server, loser).contains("missed"), "{}", history(&server, loser));
    }
    assert_eq!(history(&server, "frank"), "[]", "frank never hears of a group's call");

    let direct = ann.call(&at("bob")).await.expect("answered by whom bob's settings name");
    let forwarded = frank.next_call(SOON).await.expect("after ten seconds");
    direct.hang_up().await.expect("BYE is answered");
    forwarded.ended(SOON).await.expect("hung up");
    wait_for(&server, "frank", "incoming");
    wait_for(&server, "dave", "sip:bob@example.com");

    let signed_in = carol.call(&at("*55")).await.expect("answered");
    signed_in.ended(SOON).await.expect("told, then hung up");
    let call = ann.call(&at("support")).await.expect("answered");
    let talk = carol.next_call(SOON).await.expect("carol is signed in");
    let shown = talk.invite().and_then(|invite| invite.header("From")).unwrap_or_default().to_owned();
    assert!(shown.contains("Support: Ann"), "at any hour: {shown}");
    wait_until_talking(&server);
    call.hang_up().await.expect("BYE is answered");
    talk.ended(SOON).await.expect("hung up");
}
