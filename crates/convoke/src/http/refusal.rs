//! How the HTTP side says no: one shape, and every code there is.

use axum::extract::{Path, Query};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Json, Response};
use base::Shown;
use engine::{Objection, ObjectionKind};
use serde::Serialize;

/// Characters of a sentence; what is repeated in it is cut long before.
const SENTENCE: usize = 1_500;

/// Things to blame that are listed.
const PROBLEMS: usize = 50;

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $status:ident $word:literal,)*) => {
        /// Why something is refused, for programs. `docs/operating.md` lists the words; none changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $($(#[$doc])* $code,)* }

        impl Code {
            /// The status it comes with, always the same, and its word.
            const fn told(self) -> (StatusCode, &'static str) {
                match self { $(Self::$code => (StatusCode::$status, $word),)* }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$code),*];
        }
    };
}

codes! {
    /// The body is no JSON.
    MalformedJson = BAD_REQUEST "malformed-json",
    /// The body broke off.
    BrokenBody = BAD_REQUEST "broken-body",
    /// A key that is not known there.
    UnknownKey = BAD_REQUEST "unknown-key",
    /// A key is missing.
    MissingKey = BAD_REQUEST "missing-key",
    /// A key stands twice.
    DuplicateKey = BAD_REQUEST "duplicate-key",
    /// A value of another kind than is wanted there.
    WrongType = BAD_REQUEST "wrong-type",
    /// A number outside its range.
    OutOfRange = BAD_REQUEST "out-of-range",
    /// A text that is none of the words that are possible there.
    UnknownWord = BAD_REQUEST "unknown-word",
    /// A value of the right kind that cannot be read as what it is to be.
    InvalidValue = BAD_REQUEST "invalid-value",
    /// A part of the path or of the query.
    InvalidParameter = BAD_REQUEST "invalid-parameter",
    /// Whoever asks is on another machine, or a page of another site.
    NotFromHere = FORBIDDEN "not-from-here",
    /// The path leads nowhere.
    NoSuchRoute = NOT_FOUND "no-such-route",
    /// The path names no conference.
    NoSuchConference = NOT_FOUND "no-such-conference",
    /// The path names no response group.
    NoSuchGroup = NOT_FOUND "no-such-group",
    /// The path names no user.
    NoSuchUser = NOT_FOUND "no-such-user",
    /// The path takes other methods.
    MethodNotAllowed = METHOD_NOT_ALLOWED "method-not-allowed",
    /// The body did not come in time.
    BodyTooSlow = REQUEST_TIMEOUT "body-too-slow",
    /// What is there is not what whoever asks has seen; see [`super::version`].
    PreconditionFailed = PRECONDITION_FAILED "precondition-failed",
    /// The body is too long.
    BodyTooLarge = PAYLOAD_TOO_LARGE "body-too-large",
    /// See [`ObjectionKind::NoSuchDevice`].
    NoSuchDevice = UNPROCESSABLE_ENTITY "no-such-device",
    /// See [`ObjectionKind::NoGroups`].
    NoGroups = UNPROCESSABLE_ENTITY "no-groups",
    /// See [`ObjectionKind::NotAnAgent`].
    NotAnAgent = UNPROCESSABLE_ENTITY "not-an-agent",
    /// See [`ObjectionKind::NoSuchCall`].
    NoSuchCall = UNPROCESSABLE_ENTITY "no-such-call",
    /// See [`ObjectionKind::NotASupervisor`].
    NotASupervisor = UNPROCESSABLE_ENTITY "not-a-supervisor",
    /// See [`ObjectionKind::InvalidSupervisor`].
    InvalidSupervisor = UNPROCESSABLE_ENTITY "invalid-supervisor",
    /// See [`ObjectionKind::InvalidTarget`].
    InvalidTarget = UNPROCESSABLE_ENTITY "invalid-target",
    /// See [`ObjectionKind::InvalidConfiguration`].
    InvalidConfiguration = UNPROCESSABLE_ENTITY "invalid-configuration",
    /// A user's call-routing settings do not fit together or to the server.
    InvalidSettings = UNPROCESSABLE_ENTITY "invalid-settings",
    /// The engine has too much to do to answer.
    Busy = SERVICE_UNAVAILABLE "busy",
    /// The server takes no new work.
    NotReady = SERVICE_UNAVAILABLE "not-ready",
    /// The stream of events has no room for another reader.
    TooManyListeners = SERVICE_UNAVAILABLE "too-many-listeners",
    /// See [`ObjectionKind::JournalFailed`].
    JournalFailed = SERVICE_UNAVAILABLE "journal-failed",
    /// The database cannot do it now.
    StorageFailed = SERVICE_UNAVAILABLE "storage-failed",
}

impl Code {
    /// After how many seconds it may be tried again, where that makes sense.
    const fn retry_seconds(self) -> Option<u32> {
        match self {
            Self::Busy | Self::NotReady => Some(1),
            Self::TooManyListeners => Some(10),
            Self::JournalFailed | Self::StorageFailed => Some(60),
            _ => None,
        }
    }
}

impl From<ObjectionKind> for Code {
    fn from(kind: ObjectionKind) -> Self {
        match kind {
            ObjectionKind::JournalFailed => Self::JournalFailed,
            ObjectionKind::NoGroups => Self::NoGroups,
            ObjectionKind::InvalidConfiguration => Self::InvalidConfiguration,
            ObjectionKind::MissingKey => Self::MissingKey,
            ObjectionKind::OutOfRange => Self::OutOfRange,
            ObjectionKind::NotAnAgent => Self::NotAnAgent,
            ObjectionKind::NoSuchCall => Self::NoSuchCall,
            ObjectionKind::NotASupervisor => Self::NotASupervisor,
            ObjectionKind::InvalidSupervisor => Self::InvalidSupervisor,
            ObjectionKind::InvalidTarget => Self::InvalidTarget,
            ObjectionKind::NoSuchConference => Self::NoSuchConference,
            ObjectionKind::NoSuchDevice => Self::NoSuchDevice,
        }
    }
}

/// What is told instead of an answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: Code,
    /// What is to blame; at least one thing.
    blames: Vec<Blame>,
}

/// One thing that is to blame.
#[derive(Debug, Serialize)]
struct Blame {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl Blame {
    fn new(field: Option<String>, message: &str) -> Self {
        Self { message: one_line(message), field }
    }
}

/// The body of a refusal.
#[derive(Serialize)]
struct Told<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'static str,
    #[serde(flatten)]
    first: &'a Blame,
    /// Everything that is to blame, where that is more than one thing.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [Blame],
}

impl Refusal {
    /// One that blames the request as a whole; `message` says what happened, which value, and what to do.
    pub(crate) fn new(code: Code, message: impl AsRef<str>) -> Self {
        Self { code, blames: vec![Blame::new(None, message.as_ref())] }
    }

    /// One that blames a key of the body, a part of the path or of the query.
    pub(crate) fn to(code: Code, field: impl Into<String>, message: impl AsRef<str>) -> Self {
        Self { code, blames: vec![Blame::new(Some(field.into()), message.as_ref())] }
    }

    /// One that blames several keys; at least one.
    pub(crate) fn of_all(code: Code, blames: impl IntoIterator<Item = (Option<String>, String)>) -> Self {
        let blames = blames.into_iter().take(PROBLEMS).map(|(field, message)| Blame::new(field, &message));
        Self { code, blames: blames.collect() }
    }

    /// The same for a query: whatever is wrong with one, it is a parameter.
    pub(crate) fn of_query(self) -> Self {
        Self { code: Code::InvalidParameter, ..self }
    }

    /// The sentence.
    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        &self.blames[0].message
    }

    /// The code, and the field that is to blame.
    #[cfg(test)]
    pub(crate) fn blamed(&self) -> (Code, Option<&str>) {
        (self.code, self.blames[0].field.as_deref())
    }
}

impl From<Objection> for Refusal {
    fn from(objection: Objection) -> Self {
        Self::of_all(objection.kind.into(), objection.blames.into_iter().map(|blame| (blame.field, blame.why)))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.code.told();
        let first = self.blames.first().expect("something is to blame");
        let problems = if self.blames.len() > 1 { self.blames.as_slice() } else { &[] };
        let mut response = (status, Json(Told { error: Error { code, first, problems } })).into_response();
        if let Some(seconds) = self.code.retry_seconds() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A sentence on one line. What it repeats of others is [`Shown`]; this is for what is not.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for (place, character) in text.chars().enumerate() {
        match character {
            _ if place == SENTENCE => return line + "...",
            _ if character.is_control() => line.extend(character.escape_default()),
            _ => line.push(character),
        }
    }
    line
}

/// The path leads nowhere.
pub(crate) async fn no_such_route(uri: Uri) -> Refusal {
    let why = format!("there is nothing at {}; GET / tells what there is", Shown(uri.path()));
    Refusal::new(Code::NoSuchRoute, why)
}

/// The path is one of others' methods.
pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> Refusal {
    let (method, path) = (Shown(method.as_str()), Shown(uri.path()));
    let why = format!("{path} does not take {method}; the header Allow of this answer lists what it takes");
    Refusal::new(Code::MethodNotAllowed, why)
}

/// What the extractors of axum would refuse in words of their own.
pub(crate) mod extract {
    use axum::extract::FromRequestParts;
    use axum::http::request::Parts;
    use serde::de::DeserializeOwned;

    use super::{Code, Path, Query, Refusal};
    use crate::http::body::Node;

    /// The part of the path that stands for a name.
    pub(crate) struct Named(pub(crate) String);

    impl<S: Send + Sync> FromRequestParts<S> for Named {
        type Rejection = Refusal;

        async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
            let why = "a part of the path is no UTF-8; write it so, each byte that is no ASCII as %XX";
            let named = Path::<String>::from_request_parts(parts, state).await;
            named.map(|Path(name)| Self(name)).map_err(|_| Refusal::new(Code::InvalidParameter, why))
        }
    }

    /// The parameters of the query; each is a text.
    pub(crate) struct Asked<T>(pub(crate) T);

    impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
        type Rejection = Refusal;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
            let why = "the query cannot be read; write it as ?name=value&name=value";
            let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
                .map_err(|_| Refusal::new(Code::InvalidParameter, why))?;
            Node::of_texts(pairs).read().map(Self).map_err(Refusal::of_query)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manual's table is what integrators go by.
    #[test]
    fn the_manual_lists_every_code_with_its_status() {
        let manual = include_str!("../../../../docs/operating.md");
        for code in Code::ALL {
            let (status, word) = code.told();
            let row = format!("| `{word}` | {} |", status.as_u16());
            assert_eq!(manual.matches(&row).count(), 1, "docs/operating.md lacks {row}");
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{word}");
            assert_eq!(code.retry_seconds().is_some(), status == StatusCode::SERVICE_UNAVAILABLE, "{word}");
            assert_eq!(Code::ALL.iter().filter(|other| other.told().1 == word).count(), 1, "{word} is there twice");
        }
    }

    #[tokio::test]
    async fn a_refusal_has_one_shape() {
        let told = async |refusal: Refusal| {
            let response = refusal.into_response();
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("whole");
            serde_json::from_slice::<serde_json::Value>(&body).expect("JSON")["error"].clone()
        };
        let one = told(Refusal::to(Code::OutOfRange, "seconds", "seconds = 1:\r\nno")).await;
        let wanted = serde_json::json!({"code": "out-of-range", "message": "seconds = 1:\\r\\nno", "field": "seconds"});
        assert_eq!(one, wanted);
        let whole = told(Refusal::new(Code::Busy, "the engine is busy")).await;
        assert_eq!(whole, serde_json::json!({"code": "busy", "message": "the engine is busy"}));
        let blames = (0..200).map(|number| (Some(format!("f{number}")), "x".repeat(1 << 20)));
        let many = told(Refusal::of_all(Code::InvalidSettings, blames)).await;
        assert_eq!((&many["field"], &many["problems"][1]["field"]), (&"f0".into(), &"f1".into()));
        assert_eq!(many["problems"].as_array().map(Vec::len), Some(PROBLEMS));
        assert!(many.to_string().len() < 100_000, "a refusal is short, whatever was sent");
    }
}
