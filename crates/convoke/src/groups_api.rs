//! The response groups over HTTP: the wallboard for everybody who may read, who calls and commands only for this machine.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Router, body::Bytes};
use engine::{GroupCommand, group_problems};
use response_group::Snapshot;
use tokio::sync::oneshot;

use crate::config::GroupSounds;
use crate::http::users::{is_from_here, only_from_here};
use crate::http::{Api, ask, object, unavailable};
use crate::pump::Question;

/// What stands for a caller's address where it is not shown.
const REDACTED: &str = "redacted";

/// The routes. Commands are taken from this machine only: nobody has proven who he is.
pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/response-groups/commands", post(command))
        .route("/api/v1/response-groups-configuration", get(configuration))
        .layer(from_fn(only_from_here))
        .route("/api/v1/response-groups", get(board))
        .route("/api/v1/response-groups/events", get(events))
        .route("/api/v1/response-groups/{group}", get(group))
}

/// What happens from now on, as server-sent events; 503 when too many listen already.
async fn events(State(api): State<Api>) -> Response {
    api.gauges.happenings().listen().unwrap_or_else(|| {
        (StatusCode::SERVICE_UNAVAILABLE, "too many are listening to the response groups already\n").into_response()
    })
}

async fn board(State(api): State<Api>, ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap) -> Response {
    match ask(&api, Question::Wallboard).await {
        Some(board) => Json(shown(board, is_from_here(peer, &headers))).into_response(),
        None => unavailable(),
    }
}

async fn group(
    State(api): State<Api>,
    Path(name): Path<String>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let Some(board) = ask(&api, Question::Wallboard).await else { return unavailable() };
    let board = shown(board, is_from_here(peer, &headers));
    match board.groups.into_iter().find(|group| group.uri.user_part() == name || group.uri.as_str() == name) {
        Some(group) => Json(group).into_response(),
        None => (StatusCode::NOT_FOUND, "there is no such response group\n").into_response(),
    }
}

/// The wallboard as it leaves, empty where there are no groups: who calls is nobody's business on another machine.
fn shown(board: Option<Snapshot>, to_this_machine: bool) -> Snapshot {
    let mut board = board.unwrap_or_default();
    if !to_this_machine {
        for caller in board.groups.iter_mut().flat_map(|group| &mut group.callers) {
            REDACTED.clone_into(&mut caller.caller);
        }
        for talk in board.groups.iter_mut().flat_map(|group| &mut group.talks) {
            REDACTED.clone_into(&mut talk.caller);
        }
    }
    board
}

async fn configuration(State(api): State<Api>) -> Response {
    match ask(&api, Question::Groups).await {
        Some(config) => Json(config).into_response(),
        None => unavailable(),
    }
}

/// One command, as JSON. 204 when it is taken, 422 with a sentence when it cannot be. What becomes of a supervisor whose
/// phones ring now is told by the events, as `supervisor`.
async fn command(State(api): State<Api>, body: Bytes) -> Response {
    let command: GroupCommand = match object(&body) {
        Ok(command) => command,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    if let Some(objection) = unheard(&command, &api.sounds) {
        return (StatusCode::UNPROCESSABLE_ENTITY, format!("{objection}\n")).into_response();
    }
    let (reply, answer) = oneshot::channel();
    if api.questions.try_send(Question::Group(Box::new(command), reply)).is_err() {
        return unavailable();
    }
    match answer.await {
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Ok(Some(objection)) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{objection}\n")).into_response(),
        Err(_) => unavailable(),
    }
}

/// What is wrong with the sounds that groups are to play: the engine has no files to look at.
fn unheard(command: &GroupCommand, sounds: &GroupSounds) -> Option<String> {
    let GroupCommand::Configure { config } = command else { return None };
    config.validate_sounds(sounds).err().map(|problems| group_problems(&problems))
}

#[cfg(test)]
mod tests {
    use base::{CallId, Timestamp, UserUri};
    use response_group::{Counters, GroupSnapshot, TalkSnapshot, WaitingSnapshot};

    use super::*;
    use crate::config;

    #[test]
    fn a_configuration_without_its_groups_is_refused() {
        let read = |config: &str| {
            let command = format!("{{\"command\": \"configure\", \"config\": {config}}}");
            serde_json::from_str::<GroupCommand>(&command).map_err(|error| error.to_string())
        };
        assert!(read("{\"groups\": []}").is_ok(), "whoever wants none says so");
        assert!(read("{}").is_err_and(|error| error.contains("missing field `groups`")));
    }

    #[test]
    fn keys_that_a_command_does_not_have_are_refused() {
        let pause = "\"command\": \"pause\", \"agent\": \"sip:bob@example.com\", \"seconds\": 60";
        assert!(object::<GroupCommand>(format!("{{{pause}}}").as_bytes()).is_ok());
        for body in [
            format!("{{{pause}, \"grup\": \"sip:sales@example.com\"}}"),
            "{\"command\": \"configure\", \"config\": {\"groups\": [], \"foo\": 1}}".to_owned(),
        ] {
            let told = object::<GroupCommand>(body.as_bytes()).expect_err("it is refused");
            assert!(told.contains("unknown field"), "{told}");
        }
    }

    #[test]
    fn sounds_that_are_no_files_of_the_server_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let prompts = folder.path().join("prompts");
        std::fs::create_dir(&prompts).expect("made");
        std::fs::write(prompts.join("hello.wav"), "").expect("written");
        std::fs::write(folder.path().join("outside.wav"), "").expect("written");
        let text = format!("domain = \"example.com\"\n[media]\nprompts_dir = {:?}", prompts.display().to_string());
        let sounds = GroupSounds::new(&config::parse(&text).expect("it can be read"));
        let asked = |music: &str| {
            let group = format!("{{\"uri\": \"sip:sales@example.com\", \"music\": {music:?}}}");
            let command = format!("{{\"command\": \"configure\", \"config\": {{\"groups\": [{group}]}}}}");
            unheard(&serde_json::from_str(&command).expect("a command"), &sounds)
        };
        assert_eq!(asked("hello.wav"), None);
        assert_eq!(asked("welcome"), None, "a phrase of the server");
        for music in ["nope.wav", "../outside.wav", "../../../../etc/passwd"] {
            let told = asked(music).expect("it is refused");
            assert!(told.starts_with("groups[1].music = ") && told.contains(music), "{told}");
        }
    }

    #[test]
    fn languages_the_server_does_not_speak_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("fr")).expect("made");
        let text = format!("domain = \"example.com\"\n[media]\nlanguages_dir = {:?}", folder.path());
        let sounds = GroupSounds::of_server(&config::parse(&text).expect("it can be read"));
        for (language, is_spoken) in [("de-AT", true), ("fr", false), ("it", false)] {
            let group = format!("{{\"uri\": \"sip:sales@example.com\", \"language\": {language:?}}}");
            let command = format!("{{\"command\": \"configure\", \"config\": {{\"groups\": [{group}]}}}}");
            let told = unheard(&serde_json::from_str(&command).expect("a command"), &sounds);
            assert_eq!(told.is_none(), is_spoken, "{language}: {told:?}");
        }
    }

    #[test]
    fn only_this_machine_sees_who_calls() {
        let caller = "tel:+4930123456";
        let waiting = WaitingSnapshot {
            call: CallId(1),
            caller: caller.to_owned(),
            arrived: Timestamp::ZERO,
            ringing: Vec::new(),
        };
        let agent = UserUri::parse("sip:bob@example.com").expect("valid");
        let talk = TalkSnapshot { call: CallId(2), caller: caller.to_owned(), agent, since: Timestamp::ZERO };
        let group = GroupSnapshot {
            uri: UserUri::parse("sip:sales@example.com").expect("valid"),
            name: "Sales".to_owned(),
            waiting: 1,
            longest_wait_seconds: 0,
            talking: 0,
            ready_agents: 0,
            counters: Counters::default(),
            callers: vec![waiting],
            talks: vec![talk],
        };
        let board = Snapshot { groups: vec![group], agents: Vec::new(), stale_inputs: 0 };
        let told = |to_this_machine| {
            let group = shown(Some(board.clone()), to_this_machine).groups.remove(0);
            (group.callers[0].caller.clone(), group.talks[0].caller.clone())
        };
        assert_eq!(told(true), (caller.to_owned(), caller.to_owned()));
        assert_eq!(told(false), ("redacted".to_owned(), "redacted".to_owned()));
    }

    #[test]
    fn without_groups_the_wallboard_is_empty() {
        let board = serde_json::to_value(shown(None, true)).expect("it has a text form");
        assert_eq!(board, serde_json::json!({ "groups": [], "agents": [], "stale_inputs": 0 }));
    }
}
