//! How loud a device is heard and hears, to be set from this machine only: nobody has proven who he is.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::routing::put;
use base::{ConferenceId, Shown};
use engine::{Loudness, LoudnessChange};
use mcu_api::GAIN_DB;
use serde::{Deserialize, Serialize};

use super::refusal::extract::Named;
use super::refusal::{Code, Refusal};
use super::users::only_from_here;
use super::{Api, Node, ask, unavailable};
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
    ingress_db: f64,
    #[serde(default)]
    egress_db: f64,
}

/// The route.
pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/conferences/{conference}/gain", put(set)).layer(from_fn(only_from_here))
}

/// 204 when it is done.
async fn set(State(api): State<Api>, Named(conference): Named, body: Bytes) -> Result<StatusCode, Refusal> {
    let conference = ConferenceId::parse(&conference).map_err(|error| {
        let why = format!("conference = \"{}\": {error}; /api/v1/conferences lists them", Shown(&conference));
        Refusal::to(Code::InvalidParameter, "conference", why)
    })?;
    let wish: Wish = Node::object(&body)?.read()?;
    let ingress_db = gain("ingress_db", wish.ingress_db)?;
    let egress_db = gain("egress_db", wish.egress_db)?;
    let loudness = Loudness { ingress_db, egress_db };
    let change = Box::new(LoudnessChange { conference, endpoint: wish.endpoint, loudness });
    match ask(&api, |reply| Question::SetLoudness(change, reply)).await.ok_or_else(unavailable)? {
        None => Ok(StatusCode::NO_CONTENT),
        Some(objection) => Err(objection.into()),
    }
}

/// A gain within its range.
fn gain(field: &str, db: f64) -> Result<i8, Refusal> {
    let (least, most) = (GAIN_DB.start(), GAIN_DB.end());
    let refused = |code| {
        Refusal::to(code, field, format!("{field} = {db}: write a gain from {least} to {most} dB, without a fraction"))
    };
    if db.fract() != 0.0 {
        return Err(refused(Code::WrongType));
    }
    // The cast saturates, far outside the range.
    Some(db as i8).filter(|gain| GAIN_DB.contains(gain)).ok_or_else(|| refused(Code::OutOfRange))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_is_a_whole_number_of_decibels_within_its_range() {
        let said = |db| gain("egress_db", db).map_err(|refusal| refusal.message().to_owned());
        let wanted = "write a gain from -20 to 12 dB, without a fraction";
        assert_eq!([-20.0, 12.0].map(said), [Ok(-20), Ok(12)]);
        for wrong in [1.5, 13.0, -21.0, 1e300] {
            assert_eq!(said(wrong), Err(format!("egress_db = {wrong}: {wanted}")));
        }
    }
}
