//! Versions of what is read and changed over HTTP, so that nobody overwrites what he has not seen (RFC 9110 8.8.3, 13.1).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Json, Response};
use base::Shown;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::refusal::{Code, Refusal};

/// Bytes of the digest that make a version.
const DIGEST: usize = 16;

/// A strong entity tag with its quotes: the same as long as the same is there, also over a restart.
fn version(what: &impl Serialize) -> String {
    let json = serde_json::to_vec(what).expect("what is shown over HTTP has a JSON form");
    let hex: String = Sha256::digest(json).iter().take(DIGEST).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// JSON that tells its version in `ETag`.
pub(crate) struct Versioned<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let tag = HeaderValue::from_str(&version(&self.0)).expect("digits and quotes");
        ([(header::ETAG, tag)], Json(self.0)).into_response()
    }
}

/// What must be there for a change to be wanted: `If-Match` and `If-None-Match` of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    wanted: Option<Tags>,
    unwanted: Option<Tags>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: whatever there is.
    Any,
    These(Vec<String>),
}

impl Tags {
    fn name(&self, version: &str, is_there: bool) -> bool {
        match self {
            Self::Any => is_there,
            Self::These(tags) => tags.iter().any(|tag| tag == version),
        }
    }
}

/// What is there is not what whoever asked for a change has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outdated {
    version: String,
}

impl Condition {
    /// The last change wins.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Why a change of what is shown as `what` is not wanted; `is_there` is whether anything was configured at all.
    pub(crate) fn objection(&self, what: &impl Serialize, is_there: bool) -> Option<Outdated> {
        if self.is_none() {
            return None;
        }
        let version = version(what);
        let names = |tags: &Tags| tags.name(&version, is_there);
        let holds = self.wanted.as_ref().is_none_or(names) && !self.unwanted.as_ref().is_some_and(names);
        (!holds).then_some(Outdated { version })
    }

    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        // RFC 9110 13.1: strongly compared where it must match, weakly where it must not.
        Ok(Self {
            wanted: tags_of(headers, &header::IF_MATCH, false)?,
            unwanted: tags_of(headers, &header::IF_NONE_MATCH, true)?,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Condition {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Self::of(&parts.headers)
    }
}

impl From<Outdated> for Refusal {
    fn from(outdated: Outdated) -> Self {
        let why = format!(
            "If-Match or If-None-Match rules out what is there, whose version is {}: it has changed since it was read; \
             read it again, and change what is there now",
            outdated.version
        );
        Self::new(Code::PreconditionFailed, why)
    }
}

fn tags_of(headers: &HeaderMap, name: &HeaderName, weak_too: bool) -> Result<Option<Tags>, Refusal> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&lines.join(&b","[..])).into_owned();
    let why = || format!("{name}: {}: write the ETag that GET gave, with its quotes, or *", Shown(&text));
    tags(text.trim(), weak_too).map(Some).ok_or_else(|| Refusal::new(Code::InvalidValue, why()))
}

/// RFC 9110 8.8.3: a list of quoted texts, each perhaps after `W/`. A weak one of which nothing can come is left out.
fn tags(text: &str, weak_too: bool) -> Option<Tags> {
    if text == "*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    let mut rest = text;
    loop {
        let (is_weak, tag) = rest.strip_prefix("W/").map_or((false, rest), |tag| (true, tag));
        let end = tag.strip_prefix('"')?.find('"')? + 2;
        if weak_too || !is_weak {
            tags.push(tag[..end].to_owned());
        }
        rest = tag[end..].trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => return rest.is_empty().then_some(Tags::These(tags)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(lines: &[(HeaderName, String)]) -> Result<Condition, Refusal> {
        Condition::of(&lines.iter().map(|(name, text)| (name.clone(), text.parse().expect("a value"))).collect())
    }

    #[test]
    fn a_change_is_made_only_of_what_was_seen() {
        let (seen, other) = (version(&"seen"), version(&"other"));
        assert_ne!(seen, other);
        let (is, is_not) = (header::IF_MATCH, header::IF_NONE_MATCH);
        let weak = format!("W/{seen}");
        let both = format!("{other} , {seen}");
        for (name, text, is_there, holds) in [
            (&is, seen.as_str(), true, true),
            (&is, &other, true, false),
            (&is, &both, true, true),
            (&is, &weak, true, false),
            (&is, "*", true, true),
            (&is, "*", false, false),
            (&is_not, "*", true, false),
            (&is_not, "*", false, true),
            (&is_not, &seen, true, false),
            (&is_not, &weak, true, false),
            (&is_not, &other, true, true),
        ] {
            let condition = condition(&[(name.clone(), text.to_owned())]).expect("it can be read");
            assert_eq!(condition.objection(&"seen", is_there).is_none(), holds, "{name}: {text}, there: {is_there}");
        }
        let lines = [(is.clone(), other), (is, seen)];
        let mut headers = HeaderMap::new();
        for (name, text) in lines {
            headers.append(name, text.parse().expect("a value"));
        }
        assert_eq!(Condition::of(&headers).expect("two lines are a list").objection(&"seen", true), None);
        assert_eq!(condition(&[]).expect("none").objection(&"seen", true), None);
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for text in ["", "abc", "\"abc", "\"a\" \"b\"", "\"a\",", "w/\"a\"", "*, \"a\""] {
            let refusal = condition(&[(header::IF_MATCH, text.to_owned())]).expect_err(text);
            assert_eq!(refusal.blamed().0, Code::InvalidValue, "{text}");
            assert!(refusal.message().starts_with("if-match: "), "{}", refusal.message());
        }
    }
}
