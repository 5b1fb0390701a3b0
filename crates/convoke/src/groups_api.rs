//! The response groups over HTTP: the wallboard for everybody who may read, who calls and commands only for this machine.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn;
use axum::response::{Json, Response};
use axum::routing::{get, post};
use axum::{Router, body::Bytes};
use base::Shown;
use engine::{GroupCommand, Objection, objection_to_groups};
use response_group::{Config, GroupSnapshot, Snapshot};

use crate::config::GroupSounds;
use crate::http::refusal::extract::Named;
use crate::http::refusal::{Code, Refusal};
use crate::http::users::{is_from_here, only_from_here};
use crate::http::version::{Condition, Versioned};
use crate::http::{Api, Node, ask, unavailable};
use crate::pump::{NotDone, Question};

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

/// The wallboard, and what happens from then on, as server-sent events.
async fn events(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let listener = ask(&api, Question::Listen).await.ok_or_else(unavailable)?;
    let why = "too many are listening to the response groups already; let one of them go";
    let listener = listener.ok_or_else(|| Refusal::new(Code::TooManyListeners, why))?;
    Ok(listener.into_response(is_from_here(peer, &headers)))
}

async fn board(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Json<Snapshot>, Refusal> {
    let board = ask(&api, Question::Wallboard).await.ok_or_else(unavailable)?;
    Ok(Json(shown(board, is_from_here(peer, &headers))))
}

async fn group(
    State(api): State<Api>,
    Named(name): Named,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Json<GroupSnapshot>, Refusal> {
    let board = ask(&api, Question::Wallboard).await.ok_or_else(unavailable)?;
    let mut groups = shown(board, is_from_here(peer, &headers)).groups.into_iter();
    let group = groups.find(|group| group.uri.user_part() == name || group.uri.as_str() == name);
    let remedy = "GET /api/v1/response-groups lists those there are";
    let why = || format!("there is no response group \"{}\"; {remedy}", Shown(&name));
    group.map(Json).ok_or_else(|| Refusal::to(Code::NoSuchGroup, "group", why()))
}

/// The wallboard as it leaves, empty where there are no groups: who calls is nobody's business on another machine.
pub(crate) fn shown(board: Option<Snapshot>, to_this_machine: bool) -> Snapshot {
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

async fn configuration(State(api): State<Api>) -> Result<Versioned<Option<Config>>, Refusal> {
    Ok(Versioned(ask(&api, Question::Groups).await.ok_or_else(unavailable)?))
}

/// One command, as JSON; 204 when it is taken. What becomes of a supervisor whose phones ring now is told by the events, as
/// `supervisor`. A condition is one about the groups' configuration.
async fn command(State(api): State<Api>, condition: Condition, body: Bytes) -> Result<StatusCode, Refusal> {
    let body = Node::object(&body)?;
    let command = Box::new(read(&body)?);
    let against = match unheard(&command, &api.sounds) {
        None => ask(&api, |reply| Question::Group(command, condition, reply)).await.ok_or_else(unavailable)?,
        Some(objection) => Some(NotDone::Objection(objection)),
    };
    let mut objection = match against {
        None => return Ok(StatusCode::NO_CONTENT),
        Some(NotDone::Outdated(outdated)) => return Err(outdated.into()),
        Some(NotDone::Objection(objection)) => objection,
    };
    for blame in &mut objection.blames {
        let sent = blame.field.as_deref().map(|field| (field.to_owned(), as_sent(field, &body)));
        if let Some((field, sent)) = sent {
            blame.why = blame.why.replacen(&field, &sent, 1);
            blame.field = Some(sent);
        }
    }
    Err(objection.into())
}

fn read(body: &Node) -> Result<GroupCommand, Refusal> {
    body.read_tagged("command")
}

/// What is wrong with the sounds that groups are to play: the engine has no files to look at.
fn unheard(command: &GroupCommand, sounds: &GroupSounds) -> Option<Objection> {
    let GroupCommand::Configure { config } = command else { return None };
    config.validate_sounds(sounds).err().map(|problems| objection_to_groups(&problems))
}

/// Where a field stands in what was sent, which may have had it in the short form: agents in the group itself, an action's
/// keys without `action`.
fn as_sent(field: &str, body: &Node) -> String {
    let (mut path, mut node) = (Vec::new(), Some(body));
    for step in field.split('.') {
        let (name, place) = match step.strip_suffix(']').and_then(|step| step.split_once('[')) {
            Some((name, place)) => (name, place.parse::<usize>().ok()),
            None => (step, None),
        };
        let has = |key| node.is_some_and(|node| node.get(key).is_some());
        // The short form is the first of the agent groups, and those of the list come after it.
        let place = match (name, place) {
            ("agent_group", Some(0)) if has("agents") => continue,
            ("agent_group", Some(place)) if has("agents") => Some(place - 1),
            ("action", None) if has("kind") => continue,
            _ => place,
        };
        let there = node.and_then(|node| node.get(name));
        node = place.map_or(there, |place| there.and_then(|list| list.entry(place)));
        path.push(place.map_or_else(|| name.to_owned(), |place| format!("{name}[{place}]")));
    }
    path.join(".")
}

#[cfg(test)]
pub(crate) mod tests {
    use base::{CallId, Timestamp, UserUri};
    use response_group::{Counters, GroupSnapshot, TalkSnapshot, WaitingSnapshot};

    use super::*;
    use crate::config;

    fn command(body: &str) -> Result<GroupCommand, Refusal> {
        read(&Node::object(body.as_bytes())?)
    }

    /// A group on the wallboard with one caller who waits.
    pub(crate) fn sales_with(waiting: WaitingSnapshot, talks: Vec<TalkSnapshot>) -> GroupSnapshot {
        GroupSnapshot {
            uri: UserUri::parse("sip:sales@example.com").expect("valid"),
            name: "Sales".to_owned(),
            waiting: 1,
            longest_wait_seconds: 0,
            talking: 0,
            ready_agents: 0,
            counters: Counters::default(),
            callers: vec![waiting],
            talks,
        }
    }

    fn configure(group: &str) -> GroupCommand {
        command(&format!("{{\"command\": \"configure\", \"config\": {{\"groups\": [{group}]}}}}")).expect("a command")
    }

    #[test]
    fn a_command_has_its_keys_and_no_others() {
        let pause = "\"command\": \"pause\", \"agent\": \"sip:bob@example.com\", \"seconds\": 60";
        let config = |config: &str| format!("{{\"config\": {config}, \"command\": \"configure\"}}");
        assert!(command(&format!("{{{pause}}}")).is_ok());
        assert!(command(&config("{\"groups\": []}")).is_ok(), "whoever wants none says so");
        let group = |keys: &str| config(&format!("{{\"groups\": [{{\"uri\": \"sip:sales@example.com\", {keys}}}]}}"));
        for (body, code, field) in [
            (format!("{{{pause}, \"grup\": 1}}"), Code::UnknownKey, "grup"),
            (format!("{{{pause}, \"seconds\": 1}}"), Code::DuplicateKey, "seconds"),
            (format!("{{{pause}, \"command\": \"opt\"}}"), Code::DuplicateKey, "command"),
            ("{}".to_owned(), Code::MissingKey, "command"),
            ("{\"command\": 1}".to_owned(), Code::WrongType, "command"),
            ("{\"command\": \"explode\"}".to_owned(), Code::UnknownWord, "command"),
            ("{\"command\": \"configure\"}".to_owned(), Code::MissingKey, "config"),
            (config("{}"), Code::MissingKey, "config.groups"),
            (config("[[]]"), Code::WrongType, "config"),
            (config("{\"groups\": [], \"timing\": [500]}"), Code::WrongType, "config.timing"),
            (config("{\"groups\": {}}"), Code::WrongType, "config.groups"),
            (config("{\"groups\": [[\"sip:sales@example.com\"]]}"), Code::WrongType, "config.groups[0]"),
            (group("\"musik\": 1"), Code::UnknownKey, "config.groups[0].musik"),
            (group("\"queue\": {\"priority\": 256}"), Code::OutOfRange, "config.groups[0].queue.priority"),
            (group("\"queue\": {\"priority\": 1e30}"), Code::OutOfRange, "config.groups[0].queue.priority"),
            (group("\"queue\": {\"priority\": 1.5}"), Code::WrongType, "config.groups[0].queue.priority"),
            (group("\"anonymous\": \"yes\""), Code::WrongType, "config.groups[0].anonymous"),
            (group("\"method\": \"loud\""), Code::UnknownWord, "config.groups[0].method"),
            (group("\"method\": {\"serial\": null}"), Code::WrongType, "config.groups[0].method"),
            (group("\"closed\": [\"x\"]"), Code::WrongType, "config.groups[0].closed"),
            (group("\"closed\": {\"kind\": \"forward\"}"), Code::InvalidValue, "config.groups[0].closed"),
            (group("\"closed\": {\"action\": [\"disconnect\"]}"), Code::WrongType, "config.groups[0].closed.action"),
            (group("\"agents\": [\"sip:a@b\", \"bob\"]"), Code::InvalidValue, "config.groups[0].agents[1]"),
            (group("\"agents\": [[\"sip:a@b\"]]"), Code::WrongType, "config.groups[0].agents[0]"),
            (group("\"agents\": [{\"uri\": \"bob\"}]"), Code::InvalidValue, "config.groups[0].agents[0].uri"),
            (group("\"agents\": [{\"pstn\": true}]"), Code::MissingKey, "config.groups[0].agents[0].uri"),
            (group("\"exit_key\": {\"digit\": \"12\"}"), Code::InvalidValue, "config.groups[0].exit_key.digit"),
            (group("\"hours\": [[[\"mon\"], \"08:00\", \"17:00\"]]"), Code::WrongType, "config.groups[0].hours[0]"),
        ] {
            let refusal = command(&body).expect_err(&body);
            assert_eq!(refusal.blamed(), (code, Some(field)), "{body}");
            assert!(refusal.message().starts_with(field), "{}", refusal.message());
        }
        let transfer = |target| format!("{{\"command\": \"transfer\", \"call\": 1, \"target\": {target}}}");
        assert!(command(&transfer("{\"kind\": \"disconnect\"}")).is_ok());
        let refusal = command(&transfer("{\"kind\": \"group\", \"target\": \"sales\"}")).expect_err("no address");
        assert_eq!(refusal.blamed(), (Code::InvalidValue, Some("target.target")));
        assert!(refusal.message().starts_with("target.target = \"sales\": invalid user URI"), "{}", refusal.message());
    }

    #[test]
    fn what_is_to_blame_is_named_as_it_was_sent() {
        let sent = "{\"config\": {\"groups\": [{\"agents\": [\"a\"], \"agent_group\": [{\"agents\": []}], \
                    \"closed\": {\"kind\": \"group\"}, \"holiday\": {\"action\": {}}}, {\"agent_group\": [{}]}]}}";
        let body = Node::object(sent.as_bytes()).expect("an object");
        for (field, there) in [
            ("config.groups[0].agent_group[0].agents[0]", "config.groups[0].agents[0]"),
            ("config.groups[0].agent_group[1].agents[3]", "config.groups[0].agent_group[0].agents[3]"),
            ("config.groups[0].closed.action", "config.groups[0].closed"),
            ("config.groups[0].holiday.action", "config.groups[0].holiday.action"),
            ("config.groups[1].agent_group[0].max_fork", "config.groups[1].agent_group[0].max_fork"),
            ("config.groups[1].queue.priority", "config.groups[1].queue.priority"),
            ("agent", "agent"),
        ] {
            assert_eq!(as_sent(field, &body), there);
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
            unheard(&configure(&group), &sounds)
        };
        assert_eq!(asked("hello.wav"), None);
        assert_eq!(asked("welcome"), None, "a phrase of the server");
        for music in ["nope.wav", "../outside.wav", "../../../../etc/passwd"] {
            let told = asked(music).expect("it is refused").to_string();
            assert!(told.starts_with("config.groups[0].music = ") && told.contains(music), "{told}");
        }
    }

    #[test]
    fn languages_the_server_does_not_speak_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("fr")).expect("made");
        let text = format!("domain = \"example.com\"\n[media]\nlanguages_dir = {:?}", folder.path());
        let config = config::parse(&text).expect("it can be read");
        let sounds = GroupSounds::of_server(&config, &config::probe_languages(&config).1);
        for (language, is_spoken) in [("de-AT", true), ("fr", false), ("it", false)] {
            let group = format!("{{\"uri\": \"sip:sales@example.com\", \"language\": {language:?}}}");
            let told = unheard(&configure(&group), &sounds);
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
        let group = sales_with(waiting, vec![talk]);
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
