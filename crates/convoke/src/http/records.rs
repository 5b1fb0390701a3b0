//! Call detail records over HTTP, latest first, to this machine only: they say who called whom.

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use base::{ConferenceId, Pii, Shown, UserUri};
use serde::{Deserialize, Serialize};
use store::{CDRS_MAX, Cdr, CdrDirection, Quality, Store};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::refusal::extract::Asked;
use super::refusal::{Code, Refusal};
use super::users::only_from_here;
use super::{Api, limit_of};

/// Records that are given when nobody says how many.
const RECORDS: u32 = 100;

/// The routes of this file.
pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/call-detail-records", get(records)).layer(from_fn(only_from_here))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    /// Records that ended before this (RFC 3339).
    before: Option<String>,
    limit: Option<String>,
}

async fn records(State(api): State<Api>, Asked(page): Asked<Page>) -> Result<Response, Refusal> {
    answer(&api.users.store, &page).await
}

async fn answer(store: &Store, page: &Page) -> Result<Response, Refusal> {
    let before = page.before.as_deref().map_or(Ok(i64::MAX), |text| {
        let remedy = "write a time of RFC 3339, such as 2026-01-31T12:00:00Z (a + is written %2B)";
        let why = || format!("before = \"{}\": {remedy}", Shown(text));
        millis(text).ok_or_else(|| Refusal::to(Code::InvalidParameter, "before", why()))
    })?;
    let limit = limit_of(page.limit.as_deref(), RECORDS, CDRS_MAX)?;
    match store.cdrs_before(before, limit).await {
        Ok(cdrs) => Ok(Json(cdrs.iter().map(Record::from).collect::<Vec<_>>()).into_response()),
        Err(error) => {
            tracing::error!(%error, "the call detail records could not be read");
            Err(crate::http::storage_failed(&error))
        }
    }
}

/// A time of RFC 3339 in milliseconds since 1970; a part of a millisecond counts as a whole one, so that what ended
/// before the time is before the result.
fn millis(text: &str) -> Option<i64> {
    let nanos = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    i64::try_from((nanos + 999_999).div_euclid(1_000_000)).ok()
}

/// Milliseconds since 1970 as a time of RFC 3339, in UTC.
fn rfc3339(millis: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// One record.
#[derive(Serialize)]
struct Record<'a> {
    segment_id: &'a str,
    conference: Option<&'a str>,
    call: u64,
    sip_call_id: &'a str,
    direction: CdrDirection,
    user: Option<&'a str>,
    claimed: Option<&'a str>,
    requested_by: Option<&'a str>,
    dialled: Option<&'a str>,
    number: Option<&'a str>,
    trunk: Option<&'a str>,
    started: String,
    answered: String,
    ended: String,
    duration_ms: u64,
    result: base::TerminationResult,
    reason: &'static str,
    sip_status: Option<u16>,
    codec: Option<&'a str>,
    encrypted: bool,
    quality: Option<Quality>,
    segment: Option<&'a str>,
    outcome: Option<&'a str>,
}

impl<'a> From<&'a Cdr> for Record<'a> {
    fn from(cdr: &'a Cdr) -> Self {
        Self {
            segment_id: &cdr.segment_id,
            conference: cdr.conference.as_ref().map(ConferenceId::as_str),
            call: cdr.call,
            sip_call_id: &cdr.sip_call_id,
            direction: cdr.direction,
            user: cdr.user.as_ref().map(UserUri::as_str),
            claimed: cdr.claimed.as_ref().map(UserUri::as_str),
            requested_by: cdr.requested_by.as_ref().map(UserUri::as_str),
            dialled: cdr.dialled.as_ref().map(Pii::expose),
            number: cdr.number.as_ref().map(Pii::expose),
            trunk: cdr.trunk.as_deref(),
            started: rfc3339(cdr.started),
            answered: rfc3339(cdr.answered),
            ended: rfc3339(cdr.ended),
            duration_ms: cdr.duration_ms,
            result: cdr.termination.result,
            reason: cdr.termination.reason.as_str(),
            sip_status: cdr.sip_status,
            codec: cdr.codec.as_deref(),
            encrypted: cdr.encrypted,
            quality: cdr.quality,
            segment: cdr.segment.as_deref(),
            outcome: cdr.outcome.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_rfc_3339_with_a_zone() {
        assert_eq!(millis("1970-01-01T00:00:01.5Z"), Some(1_500));
        assert_eq!(millis("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(millis("1970-01-01T00:00:00.0001Z"), Some(1), "what ended at 0 is before it");
        for text in ["", "now", "1500", "1970-01-01", "1970-01-01T00:00:00"] {
            assert_eq!(millis(text), None, "{text}");
        }
        assert_eq!(rfc3339(1_500), "1970-01-01T00:00:01.5Z");
        assert_eq!(millis(&rfc3339(1_700_000_000_123)), Some(1_700_000_000_123));
    }

    #[tokio::test]
    async fn records_are_told_latest_first_up_to_a_time_and_a_number() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path().join("convoke.db").to_str().expect("UTF-8")).await.expect("opens");
        let ended = base::Termination::completed(base::TerminationReason::Departed);
        let cdr = |at: i64| Cdr {
            segment_id: format!("s{at}"),
            dialled: Some(Pii::new("03055501234")),
            trunk: Some("carrier".to_owned()),
            started: at,
            answered: at,
            ended: at,
            ..crate::storage::segment_of_nobody(ended)
        };
        store.append_cdrs(&[cdr(1_000), cdr(2_000), cdr(3_000)]).await.expect("written");
        let ask = async |before: Option<&str>, limit: Option<&str>| {
            let page = Page { before: before.map(str::to_owned), limit: limit.map(str::to_owned) };
            let response = answer(&store, &page).await?;
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
            Ok::<_, Refusal>(serde_json::from_slice::<serde_json::Value>(&body).expect("JSON"))
        };
        let ids = |body: &serde_json::Value| -> Vec<String> {
            let id = |record: &serde_json::Value| record["segment_id"].as_str().expect("an id").to_owned();
            body.as_array().expect("a list").iter().map(id).collect()
        };
        let all = ask(None, None).await.expect("told");
        assert_eq!(ids(&all), ["s3000", "s2000", "s1000"]);
        assert_eq!((&all[0]["dialled"], &all[0]["trunk"]), (&"03055501234".into(), &"carrier".into()));
        assert_eq!((&all[0]["ended"], &all[0]["reason"]), (&"1970-01-01T00:00:03Z".into(), &"departed".into()));
        assert_eq!(ids(&ask(Some("1970-01-01T00:00:03Z"), Some("1")).await.expect("told")), ["s2000"]);
        let refused = ask(Some("yesterday"), None).await.expect_err("no time");
        assert_eq!(refused.blamed(), (Code::InvalidParameter, Some("before")));
        assert!(ask(None, Some("1000")).await.is_ok());
        for wrong in ["0", "-1", "1001", "99999", "4294967297", "many", ""] {
            let refused = ask(None, Some(wrong)).await.expect_err(wrong);
            assert_eq!(refused.blamed(), (Code::InvalidParameter, Some("limit")));
            assert_eq!(refused.message(), format!("limit = \"{wrong}\": write a whole number from 1 to 1000"));
        }
    }
}
