//! Finding the session description in a message body.

/// Parts of a multipart body that are looked at.
const PARTS_MAX: usize = 8;
/// Multipart bodies inside one another.
const DEPTH_MAX: usize = 2;
/// The mark of the body made for servers of the 2007 generation (requirement C68).
const FALLBACK_MARK: &str = "ms-proxy-2007fallback";

/// The session description of a message body: the body itself for `application/sdp`, or the best part of a multipart
/// body. A part without `ms-proxy-2007fallback` (requirement C68) wins over one with it; of equal parts the last of
/// `multipart/alternative` wins (RFC 2046 5.1.4) and the first of any other.
pub fn select_sdp(content_type: &str, body: &[u8]) -> Option<Vec<u8>> {
    select(content_type, body, 0).map(|part| part.body.to_vec())
}

#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    body: &'a [u8],
    fallback: bool,
}

fn select<'a>(content_type: &str, body: &'a [u8], depth: usize) -> Option<Part<'a>> {
    let media_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if media_type == "application/sdp" {
        return (!body.is_empty()).then_some(Part { body, fallback: false });
    }
    if !media_type.starts_with("multipart/") || depth >= DEPTH_MAX {
        return None;
    }
    let boundary = boundary(content_type)?;
    let parts = || split(body, &boundary).into_iter().filter_map(|part| read_part(part, depth));
    let best = |fallback: bool| {
        let mut of_kind = parts().filter(|part| part.fallback == fallback);
        if media_type == "multipart/alternative" { of_kind.next_back() } else { of_kind.next() }
    };
    best(false).or_else(|| best(true))
}

/// One part: head, blank line, body.
fn read_part(part: &[u8], depth: usize) -> Option<Part<'_>> {
    let (head, body) = split_head(part)?;
    let head = std::str::from_utf8(head).ok()?;
    let encoding = header(head, "content-transfer-encoding").unwrap_or("7bit");
    if !["7bit", "8bit", "binary"].iter().any(|plain| encoding.trim().eq_ignore_ascii_case(plain)) {
        return None;
    }
    let chosen = select(header(head, "content-type")?, body, depth + 1)?;
    let marked = header(head, "content-disposition")
        .is_some_and(|value| value.split(';').any(|token| token.trim().eq_ignore_ascii_case(FALLBACK_MARK)));
    Some(Part { body: chosen.body, fallback: chosen.fallback || marked })
}

fn boundary(content_type: &str) -> Option<String> {
    let value = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    })?;
    // RFC 2046 5.1.1 allows 1 to 70 characters.
    (1..=70).contains(&value.len()).then_some(value)
}

/// The parts between the delimiter lines. One pass over the lines of the body.
fn split<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut open = None;
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if let Some(rest) = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary.as_bytes())) {
            if let Some(start) = open {
                parts.push(trim_line_end(&body[start..at]));
            }
            if rest.starts_with(b"--") || parts.len() == PARTS_MAX {
                return parts;
            }
            open = Some(at + line.len());
        }
        at += line.len();
    }
    // Senders that forget the closing delimiter are understood.
    parts.extend(open.map(|start| &body[start..]));
    parts
}

/// The line end before a delimiter belongs to the delimiter.
fn trim_line_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

fn split_head(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    for line in part.split_inclusive(|byte| *byte == b'\n') {
        if line == b"\r\n" || line == b"\n" {
            return Some((&part[..at], &part[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_parts(kind: &str, first: &str, second: &str) -> (String, Vec<u8>) {
        let part = |extra: &str, body: &str| {
            format!("--b1\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: 7bit\r\n{extra}\r\n{body}\r\n")
        };
        let fallback = "Content-Disposition: session; handling=optional; ms-proxy-2007fallback\r\n";
        let plain = "Content-Disposition: session; handling=optional\r\n";
        let pick = |mark: &str| if mark == "old" { fallback } else { plain };
        let body = format!("preamble\r\n{}{}--b1--\r\n", part(pick(first), "v=0 one"), part(pick(second), "v=0 two"));
        (format!("multipart/{kind};boundary=\"b1\""), body.into_bytes())
    }

    #[test]
    fn the_part_without_the_fallback_mark_wins() {
        for (kind, first, second, wanted) in [
            ("alternative", "old", "new", "v=0 two"),
            ("alternative", "new", "old", "v=0 one"),
            ("alternative", "new", "new", "v=0 two"),
            ("alternative", "old", "old", "v=0 two"),
            ("mixed", "new", "new", "v=0 one"),
            ("mixed", "old", "new", "v=0 two"),
        ] {
            let (content_type, body) = two_parts(kind, first, second);
            let selected = select_sdp(&content_type, &body).expect("there is one");
            assert_eq!(String::from_utf8_lossy(&selected), wanted, "{kind} {first} {second}");
        }
    }

    #[test]
    fn bodies_of_one_part_and_of_none() {
        assert_eq!(select_sdp("Application/SDP; charset=x", b"v=0"), Some(b"v=0".to_vec()));
        assert_eq!(select_sdp("application/sdp", b""), None);
        assert_eq!(select_sdp("text/plain", b"v=0"), None);
        assert_eq!(select_sdp("multipart/mixed", b"--b1\r\n"), None);
        let text = b"--x\nContent-Type: application/cccp+xml\n\n<a/>\n--x\ncontent-type:application/sdp\n\nv=0\n";
        assert_eq!(select_sdp("multipart/mixed;boundary=x", text), Some(b"v=0\n".to_vec()));
    }

    #[test]
    fn nesting_and_encoded_parts_are_bounded() {
        let inner = "--i\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--i--\r\n";
        let nested = format!("--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n{inner}--o--\r\n");
        assert_eq!(select_sdp("multipart/mixed;boundary=o", nested.as_bytes()), Some(b"v=0".to_vec()));
        let deeper = format!("--p\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n{nested}--p--\r\n");
        assert_eq!(select_sdp("multipart/mixed;boundary=p", deeper.as_bytes()), None);
        let encoded =
            b"--x\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n\r\ndj0w\r\n--x--\r\n";
        assert_eq!(select_sdp("multipart/mixed;boundary=x", encoded), None);
    }
}
