//! The HTTP side: health, readiness, metrics, the live conferences, call detail records, and users' histories and settings.

mod door;
mod gain;
mod quality;
mod records;
pub(crate) mod users;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use engine::{ConferenceView, EndpointView, ParticipantView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

use self::gain::Gain;
use self::quality::Quality;
use crate::config::{GroupSounds, Http};
use crate::profiles::Users;
use crate::pump::{Load, Question};
use crate::watch::Gauges;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Api {
    /// Questions to the engine.
    pub(crate) questions: mpsc::Sender<Question>,
    /// Whether new work is taken.
    pub(crate) ready: Arc<AtomicBool>,
    /// The metrics.
    pub(crate) gauges: Arc<Gauges>,
    /// Users' histories and settings.
    pub(crate) users: Users,
    /// What response groups can play and say.
    pub(crate) sounds: GroupSounds,
}

/// Opens the listener.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address).await
}

/// Serves until the process ends.
pub(crate) async fn serve(listener: tokio::net::TcpListener, api: Api, config: &Http) {
    let router = Router::new()
        .route("/", get(overview))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/conferences", get(conferences))
        .merge(crate::groups_api::routes())
        .merge(gain::routes())
        .merge(records::routes())
        .merge(users::routes())
        .with_state(api);
    door::serve(listener, router, config).await;
}

async fn readyz(State(api): State<Api>) -> Response {
    let load = ask(&api, Question::Load).await;
    readiness(api.ready.load(Ordering::Acquire), load.as_ref())
}

/// Whether every kind of call is taken, and if not, why.
fn readiness(takes_work: bool, load: Option<&Load>) -> Response {
    let why = match load {
        _ if !takes_work => "draining or starting\n",
        None => return unavailable(),
        Some(load) if load.groups_refuse => {
            "response groups refuse calls: response-groups.journal in data_dir cannot be written; is its disk full?\n"
        }
        Some(_) => return "ready\n".into_response(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], why).into_response()
}

async fn metrics(State(api): State<Api>) -> Response {
    let Some(load) = ask(&api, Question::Load).await else { return unavailable() };
    let Some(board) = ask(&api, Question::Wallboard).await else { return unavailable() };
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], api.gauges.render(&load, board.as_ref())).into_response()
}

async fn conferences(State(api): State<Api>) -> Response {
    let Some(views) = ask(&api, Question::Conferences).await else { return unavailable() };
    Json(views.iter().map(Conference::from).collect::<Vec<_>>()).into_response()
}

async fn overview(State(api): State<Api>) -> Response {
    let Some(Load { conferences, legs, registered, .. }) = ask(&api, Question::Load).await else {
        return unavailable();
    };
    format!(
        "Convoke\n\nconferences  {conferences}\nlegs         {legs}\nregistered   {registered}\n\n\
         /api/v1/conferences   live conferences\n\
         /api/v1/response-groups      wallboard of the response groups\n\
         /api/v1/users/USER/calls     a user's call history (from this machine only)\n\
         /api/v1/call-detail-records  what calls there were (from this machine only)\n\
         /api/v1/users/USER/routing   what is done with calls for him\n/metrics              Prometheus metrics\n/healthz /readyz      probes\n"
    )
    .into_response()
}

pub(crate) fn unavailable() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "the engine is busy\n").into_response()
}

/// The database refused.
pub(crate) fn storage_failed(error: &store::StoreError) -> Response {
    let why = format!("the database cannot do that now: {error}\n");
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "60")], why).into_response()
}

/// How many entries an answer is to have: what the query says, 1 to `most`, or so many when it says nothing.
pub(crate) fn limit_of(query: Option<&str>, unless_said: u32, most: u32) -> Result<u32, String> {
    let Some(text) = query else { return Ok(unless_said) };
    let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| format!("limit={text} is not possible; write 1 to {most}\n"))
}

/// A body that is one JSON object; else a sentence for whoever sent it.
pub(crate) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    // What reads a struct takes a list for one too, with its fields in order: `[]` would be all of them at their default.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err("the body must be one JSON object, as in {\"key\": \"value\"}".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| format!("the body cannot be read: {error}"))
}

pub(crate) async fn ask<T>(api: &Api, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    api.questions.try_send(question(sender)).ok()?;
    receiver.await.ok()
}

#[derive(Serialize)]
struct Conference {
    id: String,
    number: Option<String>,
    subject: Option<String>,
    organizer: String,
    locked: bool,
    participants: Vec<Participant>,
}

#[derive(Serialize)]
struct Participant {
    user: String,
    display_name: Option<String>,
    role: base::Role,
    endpoints: Vec<Endpoint>,
}

#[derive(Serialize)]
struct Endpoint {
    endpoint: String,
    audio: bool,
    status: &'static str,
    muted: bool,
    speaking: bool,
    user_agent: Option<String>,
    gain: Option<Gain>,
    quality: Option<Quality>,
}

impl From<&ConferenceView> for Conference {
    fn from(view: &ConferenceView) -> Self {
        Self {
            id: view.id.to_string(),
            number: view.number.clone(),
            subject: view.subject.clone(),
            organizer: view.organizer.clone(),
            locked: view.locked,
            participants: view.participants.iter().map(Participant::from).collect(),
        }
    }
}

impl From<&ParticipantView> for Participant {
    fn from(view: &ParticipantView) -> Self {
        Self {
            user: view.user.clone(),
            display_name: view.display_name.clone(),
            role: view.role,
            endpoints: view.endpoints.iter().map(Endpoint::from).collect(),
        }
    }
}

impl From<&EndpointView> for Endpoint {
    fn from(view: &EndpointView) -> Self {
        Self {
            endpoint: view.endpoint.clone(),
            audio: view.audio,
            status: view.status_text(),
            muted: view.muted,
            speaking: view.speaking,
            user_agent: view.user_agent.clone(),
            gain: view.loudness.map(Gain::from),
            quality: view.quality.as_ref().map(Quality::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn told(response: Response) -> (u16, String) {
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 10_000).await.expect("whole");
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for body in ["[]", " [{}]", "[\"sip:bob@example.com\"]", "null", "1", "\"x\"", ""] {
            let told = object::<routing::UserProfile>(body.as_bytes()).expect_err(body);
            assert!(told.starts_with("the body must be one JSON object"), "{body}: {told}");
        }
        assert!(object::<routing::UserProfile>(b"\n {}").is_ok());
        assert!(object::<routing::UserProfile>(b"{").is_err_and(|told| told.starts_with("the body cannot be read")));
    }

    #[tokio::test]
    async fn a_server_is_not_ready_while_its_response_groups_refuse_calls() {
        let load = |groups_refuse| Load { conferences: 0, legs: 0, registered: 0, last_words: 0, groups_refuse };
        for (takes_work, load, status, words) in [
            (true, Some(load(false)), 200, "ready"),
            (true, Some(load(true)), 503, "response-groups.journal in data_dir cannot be written"),
            (false, Some(load(false)), 503, "draining"),
            (true, None, 503, "busy"),
        ] {
            let (answer, body) = told(readiness(takes_work, load.as_ref())).await;
            assert!(answer == status && body.contains(words), "{answer} {body}");
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_called_that() {
        let error = store::StoreError::DiskFull { path: "convoke.db".into() };
        let (status, body) = told(storage_failed(&error)).await;
        assert!(status == 503 && body.contains("no space left") && body.contains("nothing was written"), "{body}");
    }
}
