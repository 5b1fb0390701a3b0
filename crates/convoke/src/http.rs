//! The HTTP side: health, readiness, metrics, the live conferences, call detail records, and users' histories and settings.

mod body;
mod door;
mod fields;
mod gain;
mod quality;
mod records;
pub(crate) mod refusal;
pub(crate) mod users;
pub(crate) mod version;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use base::Shown;
use engine::{ConferenceView, EndpointView, ParticipantView};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::body::Node;
use self::gain::Gain;
use self::quality::Quality;
use self::refusal::{Code, Refusal};
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
        .fallback(refusal::no_such_route)
        .method_not_allowed_fallback(refusal::method_not_allowed)
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
        _ if !takes_work => "the server is draining or starting; try again later",
        None => return unavailable().into_response(),
        Some(load) if load.groups_refuse => {
            "response groups refuse calls: response-groups.journal in data_dir cannot be written; is its disk full?"
        }
        Some(_) => return "ready\n".into_response(),
    };
    Refusal::new(Code::NotReady, why).into_response()
}

async fn metrics(State(api): State<Api>) -> Result<Response, Refusal> {
    let load = ask(&api, Question::Load).await.ok_or_else(unavailable)?;
    let board = ask(&api, Question::Wallboard).await.ok_or_else(unavailable)?;
    let text = api.gauges.render(&load, board.as_ref());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

async fn conferences(State(api): State<Api>) -> Result<Json<Vec<Conference>>, Refusal> {
    let views = ask(&api, Question::Conferences).await.ok_or_else(unavailable)?;
    Ok(Json(views.iter().map(Conference::from).collect()))
}

async fn overview(State(api): State<Api>) -> Result<String, Refusal> {
    let load = ask(&api, Question::Load).await.ok_or_else(unavailable)?;
    let Load { conferences, legs, registered, .. } = load;
    Ok(format!(
        "Convoke\n\nconferences  {conferences}\nlegs         {legs}\nregistered   {registered}\n\n\
         /api/v1/conferences   live conferences\n\
         /api/v1/response-groups      wallboard of the response groups\n\
         /api/v1/users/USER/calls     a user's call history (from this machine only)\n\
         /api/v1/call-detail-records  what calls there were (from this machine only)\n\
         /api/v1/users/USER/routing   what is done with calls for him\n/metrics              Prometheus metrics\n/healthz /readyz      probes\n"
    ))
}

pub(crate) fn unavailable() -> Refusal {
    Refusal::new(Code::Busy, "the engine is busy; try again in a second")
}

/// The database refused.
pub(crate) fn storage_failed(error: &store::StoreError) -> Refusal {
    Refusal::new(Code::StorageFailed, format!("the database cannot do that now: {error}"))
}

/// How many entries an answer is to have: what the query says, 1 to `most`, or so many when it says nothing.
pub(crate) fn limit_of(query: Option<&str>, unless_said: u32, most: u32) -> Result<u32, Refusal> {
    let Some(text) = query else { return Ok(unless_said) };
    let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
    let why = || format!("limit = \"{}\": write a whole number from 1 to {most}", Shown(text));
    limit.ok_or_else(|| Refusal::to(Code::InvalidParameter, "limit", why()))
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
        let (status, body) = told(storage_failed(&error).into_response()).await;
        assert!(status == 503 && body.contains("no space left") && body.contains("nothing was written"), "{body}");
    }
}
