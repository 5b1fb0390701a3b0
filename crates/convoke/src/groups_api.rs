//! The response groups over HTTP: the wallboard for everybody who may read, commands only from this machine.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Router, body::Bytes};
use engine::GroupCommand;
use tokio::sync::oneshot;

use crate::http::users::only_from_here;
use crate::http::{Api, ask, unavailable};
use crate::pump::Question;

/// The routes. Commands are taken from this machine only: nobody has proven who he is.
pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/response-groups/commands", post(command))
        .route("/api/v1/response-groups-configuration", get(configuration))
        .layer(from_fn(only_from_here))
        .route("/api/v1/response-groups", get(board))
        .route("/api/v1/response-groups/{group}", get(group))
}

async fn board(State(api): State<Api>) -> Response {
    match ask(&api, Question::Wallboard).await {
        Some(board) => Json(board).into_response(),
        None => unavailable(),
    }
}

async fn group(State(api): State<Api>, Path(name): Path<String>) -> Response {
    let Some(board) = ask(&api, Question::Wallboard).await else { return unavailable() };
    let groups = board.map(|board| board.groups).unwrap_or_default();
    match groups.into_iter().find(|group| group.uri.user_part() == name || group.uri.as_str() == name) {
        Some(group) => Json(group).into_response(),
        None => (StatusCode::NOT_FOUND, "there is no such response group\n").into_response(),
    }
}

async fn configuration(State(api): State<Api>) -> Response {
    match ask(&api, Question::Groups).await {
        Some(config) => Json(config).into_response(),
        None => unavailable(),
    }
}

/// One command, as JSON. 204 when it is carried out, 422 with a sentence when it cannot be.
async fn command(State(api): State<Api>, body: Bytes) -> Response {
    let command: GroupCommand = match serde_json::from_slice(&body) {
        Ok(command) => command,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
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
