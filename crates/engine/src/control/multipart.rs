//! The one thing the engine reads in a multipart body: which part is for those who cannot read the whole.

use call::Body;

/// Marks the session description that is offered alone when the whole is answered 415 (C68, C69).
const FALLBACK: &str = "ms-proxy-2007fallback";

/// The part of a `multipart/alternative` offer that its sender has marked for a second attempt.
pub(crate) fn fallback_of(body: &Body) -> Option<Body> {
    let (kind, parameters) = body.content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/alternative") {
        return None;
    }
    let boundary =
        parameters.split(';').filter_map(|parameter| parameter.split_once('=')).find_map(|(name, value)| {
            name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
        })?;
    let text = std::str::from_utf8(&body.bytes).ok()?;
    parts(text, boundary).find_map(|(headers, content)| {
        let value = |wanted: &str| {
            let mut lines = headers.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
        };
        let marked = value("Content-Disposition")?.split(';').any(|word| word.trim().eq_ignore_ascii_case(FALLBACK));
        let part = Body::new(value("Content-Type")?, content.to_owned());
        (marked && !content.is_empty() && part.describes_session()).then_some(part)
    })
}

/// Headers and content of each part (RFC 2046 5.1).
fn parts<'a>(text: &'a str, boundary: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let delimiter = format!("--{boundary}");
    let mut rest = text.find(&delimiter).map(|at| &text[at + delimiter.len()..]);
    std::iter::from_fn(move || {
        let part = rest?.strip_prefix("\r\n")?;
        let (end, next) = match part.find(&format!("\r\n{delimiter}")) {
            Some(at) => (at, Some(&part[at + 2 + delimiter.len()..])),
            None => return None,
        };
        rest = next;
        Some(part[..end].split_once("\r\n\r\n").unwrap_or(("", "")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "--b x\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: 7bit\r\n\
        Content-Disposition: session; handling=optional; ms-proxy-2007fallback\r\n\r\nv=0\r\ns=06\r\n\r\n\
        --b x\r\nContent-Type: application/sdp\r\nContent-Disposition: session; handling=optional\r\n\r\n\
        v=0\r\ns=19\r\n\r\n--b x--\r\n";

    #[test]
    fn the_marked_part_is_found_and_nothing_else() {
        let whole = |kind: &str, text: &str| fallback_of(&Body::new(kind, text.to_owned()));
        let part = whole("multipart/alternative;boundary=\"b x\"", TWO).expect("one is marked");
        assert_eq!((part.content_type.as_str(), part.bytes.as_ref()), ("application/sdp", &b"v=0\r\ns=06\r\n"[..]));
        for (kind, text) in [
            ("multipart/alternative;boundary=\"b x\"", TWO.replace("2007fallback", "2007").as_str()),
            ("multipart/mixed;boundary=\"b x\"", TWO),
            ("multipart/alternative;boundary=c", TWO),
            ("multipart/alternative", TWO),
            ("application/sdp", "v=0\r\n"),
            ("multipart/alternative;boundary=\"b x\"", "--b x\r\n"),
            ("multipart/alternative;boundary=\"\"", "--\r\n--"),
        ] {
            assert_eq!(whole(kind, text), None, "{kind} {text}");
        }
    }
}
