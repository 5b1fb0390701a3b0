//! Users over HTTP: call histories, and call-routing settings to read and change. Only for this machine: whoever may change
//! where calls go could make the trunks' owner pay, and there are no HTTP accounts yet.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use base::{ConversationEntry, GroupErrand, Shown, UserUri};
use routing::{ProfileProblem, UserProfile};
use serde::{Deserialize, Serialize};
use store::CONVERSATIONS_PER_USER;

use super::refusal::extract::{Asked, Named};
use super::refusal::{Code, Refusal};
use super::version::{Condition, Versioned};
use super::{Api, Node, limit_of, storage_failed, unavailable};
use crate::profiles::Refused;

/// Lines of a history that are given when nobody says how many.
const LINES: u32 = 100;

/// The routes of this file.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/users/{user}/calls", get(calls))
        .route("/api/v1/users/{user}/calls/seen", post(seen))
        .route("/api/v1/users/{user}/routing", get(profile).put(change).delete(reset))
        .layer(from_fn(only_from_here))
}

/// Refuses whoever is on another machine, and a page in a browser here that some other site's name was led to.
pub(crate) async fn only_from_here(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if is_from_here(peer, request.headers()) {
        return next.run(request).await;
    }
    let why =
        "this is served to the server's own machine only, as 127.0.0.1, and to no page of another site; ask there";
    Refusal::new(Code::NotFromHere, why).into_response()
}

/// Whether a request comes from this machine, under one of its own names, and not from another site's page in a browser
/// here: such a page may send commands it cannot read the answers of (RFC 6454 7).
pub(crate) fn is_from_here(peer: SocketAddr, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST).unwrap_or_default();
    let foreign_page = text(header::ORIGIN)
        .is_some_and(|origin| !origin.split_once("://").is_some_and(|(_, site)| is_loopback_name(site)));
    peer.ip().to_canonical().is_loopback() && is_loopback_name(host) && !foreign_page
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.parse::<SocketAddr>() {
        Ok(address) => return address.ip().is_loopback(),
        Err(_) => host.rsplit_once(':').map_or(host, |(name, port)| if port.contains(']') { host } else { name }),
    };
    let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    /// Lines that ended before this, in milliseconds since 1970.
    before: Option<String>,
    limit: Option<String>,
}

async fn calls(
    State(api): State<Api>,
    Named(user): Named,
    Asked(page): Asked<Page>,
) -> Result<Json<Vec<Call>>, Refusal> {
    let user = find(&api, &user)?;
    let before = page.before.as_deref().map_or(Ok(i64::MAX), |text| {
        let why = || format!("before = \"{}\": write whole milliseconds since 1970", Shown(text));
        text.parse().map_err(|_| Refusal::to(Code::InvalidParameter, "before", why()))
    })?;
    let limit = limit_of(page.limit.as_deref(), LINES, CONVERSATIONS_PER_USER)?;
    let entries = api.users.store.conversations_of(&user, before, limit).await.map_err(Refused::Store)?;
    Ok(Json(entries.iter().map(Call::from).collect()))
}

async fn seen(State(api): State<Api>, Named(user): Named) -> Result<StatusCode, Refusal> {
    api.users.missed_calls_seen(&find(&api, &user)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn profile(State(api): State<Api>, Named(user): Named) -> Result<Versioned<UserProfile>, Refusal> {
    Ok(Versioned(api.users.profile(&find(&api, &user)?).await?))
}

async fn change(
    State(api): State<Api>,
    Named(user): Named,
    condition: Condition,
    body: Bytes,
) -> Result<Json<Warnings>, Refusal> {
    let user = find(&api, &user)?;
    let profile = Node::object(&body)?.read()?;
    let warnings = api.users.change(&user, profile, &condition).await?;
    Ok(Json(Warnings { problems: warnings.iter().map(Warning::from).collect() }))
}

async fn reset(State(api): State<Api>, Named(user): Named, condition: Condition) -> Result<StatusCode, Refusal> {
    api.users.reset(&find(&api, &user)?, &condition).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The user whom the path names.
fn find(api: &Api, name: &str) -> Result<UserUri, Refusal> {
    let why = || format!("there is no user \"{}\"; name one by his address or the part before its @", Shown(name));
    api.users.find(name).ok_or_else(|| Refusal::to(Code::NoSuchUser, "user", why()))
}

impl From<Refused> for Refusal {
    fn from(why: Refused) -> Self {
        match why {
            Refused::NoSuchUser => {
                Self::to(Code::NoSuchUser, "user", "there is no such user any more; name another one")
            }
            Refused::Problems(problems) => {
                let errors = problems.into_iter().filter(|problem| problem.is_error);
                let blame = |problem: ProfileProblem| {
                    let message = format!("{} = {}: {}", problem.key, Shown(&problem.value), problem.why);
                    (Some(problem.key.to_owned()), message)
                };
                Self::of_all(Code::InvalidSettings, errors.map(blame))
            }
            Refused::Store(error) => {
                tracing::error!(%error, "the database did not answer the HTTP side");
                storage_failed(&error)
            }
            Refused::Outdated(outdated) => outdated.into(),
            Refused::Busy => unavailable(),
        }
    }
}

/// One line of a history.
#[derive(Serialize)]
struct Call {
    kind: &'static str,
    peer: String,
    peer_name: Option<String>,
    dialled: Option<String>,
    answered_by: Option<String>,
    /// Milliseconds since 1970.
    started: i64,
    answered: Option<i64>,
    ended: i64,
    reason: &'static str,
    errand: Option<&'static str>,
    sip_call_id: Option<String>,
}

impl From<&ConversationEntry> for Call {
    fn from(entry: &ConversationEntry) -> Self {
        Self {
            kind: entry.kind.as_str(),
            peer: entry.peer.to_string(),
            peer_name: entry.peer_name.clone(),
            dialled: entry.dialled.as_ref().map(UserUri::to_string),
            answered_by: entry.answered_by.as_ref().map(UserUri::to_string),
            started: entry.started,
            answered: entry.answered,
            ended: entry.ended,
            reason: entry.termination.reason.as_str(),
            errand: entry.errand.map(GroupErrand::as_str),
            sip_call_id: entry.sip_call_id.clone(),
        }
    }
}

/// What is not as it may be meant in settings that were taken.
#[derive(Serialize)]
struct Warnings {
    problems: Vec<Warning>,
}

#[derive(Serialize)]
struct Warning {
    key: &'static str,
    value: String,
    why: String,
    is_error: bool,
}

impl From<&ProfileProblem> for Warning {
    fn from(problem: &ProfileProblem) -> Self {
        let ProfileProblem { key, value, why, is_error } = problem;
        Self { key, value: Shown(value).to_string(), why: why.clone(), is_error: *is_error }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for host in ["127.0.0.1", "127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "[::1]"] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in ["", "evil.example", "evil.example:8080", "192.0.2.1", "192.0.2.1:8080", "localhost.evil.example"] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_not_this_machine() {
        let here = SocketAddr::from(([127, 0, 0, 1], 40_000));
        let with = |origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8080"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            headers
        };
        for origin in [None, Some("http://127.0.0.1:8080"), Some("http://localhost:8080")] {
            assert!(is_from_here(here, &with(origin)), "{origin:?}");
        }
        for origin in ["http://evil.example", "https://localhost.evil.example", "null", ""] {
            assert!(!is_from_here(here, &with(Some(origin))), "{origin}");
        }
        assert!(!is_from_here(SocketAddr::from(([192, 0, 2, 1], 40_000)), &with(None)));
    }
}
