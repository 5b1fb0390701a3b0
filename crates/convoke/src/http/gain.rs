//! How loud a device is heard and hears, to be set from this machine only: nobody has proven who he is.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use base::ConferenceId;
use engine::{Loudness, LoudnessChange};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::users::only_from_here;
use super::{Api, object, unavailable};
use crate::pump::Question;

/// The gains of a device, in decibels.
#[derive(Serialize)]
pub(super) struct Gain {
    ingress_db: i8,
    egress_db: i8,
}

impl From<Loudness> for Gain {
    fn from(of: Loudness) -> Self {
        Self { ingress_db: of.ingress_db, egress_db: of.egress_db }
    }
}

/// What is asked for. Both gains are set; one that is left out is 0.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    endpoint: String,
    #[serde(default)]
    ingress_db: i8,
    #[serde(default)]
    egress_db: i8,
}

/// The route.
pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/conferences/{conference}/gain", put(set)).layer(from_fn(only_from_here))
}

/// 204 when it is done, 400 when it cannot be read, 422 with a sentence when it cannot be done.
async fn set(State(api): State<Api>, Path(conference): Path<String>, body: Bytes) -> Response {
    let Ok(conference) = ConferenceId::parse(&conference) else {
        return (StatusCode::BAD_REQUEST, "that is no id of a conference\n").into_response();
    };
    let wish: Wish = match object(&body) {
        Ok(wish) => wish,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let loudness = Loudness { ingress_db: wish.ingress_db, egress_db: wish.egress_db };
    let change = LoudnessChange { conference, endpoint: wish.endpoint, loudness };
    let (reply, answer) = oneshot::channel();
    if api.questions.try_send(Question::SetLoudness(Box::new(change), reply)).is_err() {
        return unavailable();
    }
    match answer.await {
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Ok(Some(objection)) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{objection}\n")).into_response(),
        Err(_) => unavailable(),
    }
}
