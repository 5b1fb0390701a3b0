//! From bytes to lines: the start line, headers without folding, and the body.

use std::borrow::Cow;

use bytes::Bytes;
use sip_api::Headers;

use crate::counters::RejectReason;

/// Header lines a message may have (reliability.md A5, "many headers"). Real messages stay below fifty.
const HEADER_LINES: usize = 256;

/// A message that could at least be taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    /// What it is.
    pub start: Start,
    /// The headers, unfolded; names as they came.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
    /// The first breach of the grammar that was met, if any.
    pub flaw: Option<Flaw>,
    /// The whole message as it came, up to the end of the body.
    pub raw: Bytes,
}

/// The first line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Start {
    /// A request line.
    Request {
        /// The method, as it came.
        method: String,
        /// The Request-URI, as it came.
        uri: String,
    },
    /// A status line.
    Response {
        /// Status code, 100 to 699 unless the message has a flaw.
        status: u16,
        /// Reason phrase, possibly empty.
        reason: String,
    },
}

/// A breach of the grammar in a message that can still be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// How it is counted and answered.
    pub reason: RejectReason,
    /// What is wrong, for the reason phrase.
    pub detail: &'static str,
}

/// Bytes that are no SIP message and cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbage;

/// Reads a whole datagram. Octets after the body are ignored (RFC 3261 18.3).
pub(crate) fn parse_datagram(datagram: &Bytes) -> Result<Message, Garbage> {
    let start = datagram.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).ok_or(Garbage)?;
    let datagram = datagram.slice(start..);
    let head = find(&datagram, b"\r\n\r\n").ok_or(Garbage)?;
    let mut message = parse_head(&datagram[..head])?;
    let (body, available) = (head + 4, datagram.len() - head - 4);
    let length = match body_length(&message.headers) {
        Ok(Some(length)) if length > available => {
            message.note(RejectReason::ContentLength, "Content-Length larger than the message");
            available
        }
        Ok(length) => length.unwrap_or(available),
        Err(flaw) => {
            message.note(flaw.reason, flaw.detail);
            0
        }
    };
    message.body = datagram.slice(body..body + length);
    message.raw = datagram.slice(..body + length);
    Ok(message)
}

/// Reads everything before the empty line. Body and raw bytes stay empty.
pub(crate) fn parse_head(head: &[u8]) -> Result<Message, Garbage> {
    let mut lines = unfold(head).into_iter();
    let mut message = parse_start(&lines.next().ok_or(Garbage)?)?;
    for (count, line) in lines.enumerate() {
        if count == HEADER_LINES {
            message.note(RejectReason::HeaderSyntax, "too many header lines");
            break;
        }
        message.push_header(&line);
    }
    Ok(message)
}

/// The value of Content-Length; `None` when there is none.
pub(crate) fn body_length(headers: &Headers) -> Result<Option<usize>, Flaw> {
    let mut lengths = headers.get_all("Content-Length");
    let Some(text) = lengths.next() else { return Ok(None) };
    if lengths.next().is_some() {
        return Err(Flaw { reason: RejectReason::DuplicateHeader, detail: "more than one Content-Length" });
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(length) if digits => Ok(Some(length)),
        _ => Err(Flaw { reason: RejectReason::ContentLength, detail: "Content-Length is not a length" }),
    }
}

impl Message {
    /// Remembers a breach of the grammar; the first one counts.
    pub(crate) fn note(&mut self, reason: RejectReason, detail: &'static str) {
        self.flaw.get_or_insert(Flaw { reason, detail });
    }

    fn push_header(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return self.note(RejectReason::HeaderSyntax, "header line without a colon");
        };
        // RFC 3261 25.1 (HCOLON) allows blanks before the colon, and nothing else but the token itself.
        let name = String::from_utf8_lossy(&line[..colon]);
        let name = name.trim_end_matches([' ', '\t']);
        if name.is_empty() || !name.bytes().all(is_token) {
            return self.note(RejectReason::HeaderSyntax, "character not allowed in a header name");
        }
        let value = &line[colon + 1..];
        if !text_is_clean(value) {
            self.note(RejectReason::HeaderSyntax, "control character in a header");
        }
        self.headers.push(name, String::from_utf8_lossy(value).trim());
    }
}

/// Characters of a token (RFC 3261 25.1).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// Position of `needle` in `haystack`.
pub(crate) fn find<const N: usize>(haystack: &[u8], needle: &[u8; N]) -> Option<usize> {
    haystack.windows(N).position(|window| window == needle)
}

/// Lines without folding: a line that begins with a blank continues the one before, joined by one blank.
fn unfold(head: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let mut lines: Vec<Cow<'_, [u8]>> = Vec::new();
    let mut rest = head;
    loop {
        let (line, tail) = match find(rest, b"\r\n") {
            Some(end) => (&rest[..end], Some(&rest[end + 2..])),
            None => (rest, None),
        };
        match lines.last_mut() {
            Some(last) if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) => {
                let last = last.to_mut();
                last.push(b' ');
                last.extend_from_slice(line.trim_ascii());
            }
            _ => lines.push(Cow::Borrowed(line)),
        }
        match tail {
            Some(tail) => rest = tail,
            None => return lines,
        }
    }
}

fn parse_start(line: &[u8]) -> Result<Message, Garbage> {
    let line = String::from_utf8_lossy(line);
    if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
        return parse_status_line(&line);
    }
    let trimmed = line.trim();
    let (method, rest) = trimmed.split_once(' ').ok_or(Garbage)?;
    let (uri, version) = rest.rsplit_once(' ').ok_or(Garbage)?;
    let number = version.get(..4).filter(|name| name.eq_ignore_ascii_case("SIP/")).map(|_| &version[4..]);
    let start = Start::Request { method: method.to_owned(), uri: uri.to_owned() };
    let mut message = Message { start, headers: Headers::new(), body: Bytes::new(), flaw: None, raw: Bytes::new() };
    if number.ok_or(Garbage)? != "2.0" {
        message.note(RejectReason::Version, "only SIP/2.0 is spoken here");
    }
    if trimmed != line || uri.contains(char::is_whitespace) || uri.is_empty() || !method.bytes().all(is_token) {
        message.note(RejectReason::StartLine, "malformed request line");
    }
    Ok(message)
}

fn parse_status_line(line: &str) -> Result<Message, Garbage> {
    let (version, rest) = line.split_once(' ').ok_or(Garbage)?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let status = code.parse().unwrap_or(0);
    let start = Start::Response { status, reason: reason.to_owned() };
    let mut message = Message { start, headers: Headers::new(), body: Bytes::new(), flaw: None, raw: Bytes::new() };
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        message.note(RejectReason::Version, "only SIP/2.0 is spoken here");
    }
    if code.len() != 3 || !(100..700).contains(&status) {
        message.note(RejectReason::StartLine, "malformed status line");
    }
    Ok(message)
}

/// Whether a header value holds no control octet, except a tab, or anything escaped in a quoted string.
fn text_is_clean(value: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for byte in value {
        let control = (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f;
        match byte {
            b'\r' | b'\n' => return false,
            _ if escaped => escaped = false,
            _ if control => return false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flaw(text: &str) -> Option<RejectReason> {
        parse_datagram(&Bytes::copy_from_slice(text.as_bytes())).expect("a message").flaw.map(|flaw| flaw.reason)
    }

    #[test]
    fn folded_headers_become_one_line() {
        let message = parse_datagram(&Bytes::from_static(
            b"\r\nINVITE sip:a@b SIP/2.0\r\nTO :\r\n sip:a@b ;\r\n\t tag = 1\r\n\r\nbody",
        ));
        let message = message.expect("a message");
        assert_eq!(message.headers.get("to"), Some("sip:a@b ; tag = 1"));
        assert_eq!((&message.body[..], message.flaw), (&b"body"[..], None));
    }

    #[test]
    fn breaches_of_the_grammar_are_noted() {
        for (text, expected) in [
            ("OPTIONS sip:a@b SIP/2.0\r\nA\x01 : x\r\n\r\n", RejectReason::HeaderSyntax),
            ("OPTIONS sip:a@b SIP/2.0\r\nP-Asserted\x0b-Identity: x\r\n\r\n", RejectReason::HeaderSyntax),
            ("OPTIONS sip:a@b SIP/2.0\r\nSubject: a\x02b\r\n\r\n", RejectReason::HeaderSyntax),
            ("OPTIONS sip:a@b SIP/2.0\r\nSubject: a\nVia: x\r\n\r\n", RejectReason::HeaderSyntax),
            ("OPTIONS sip:a@b SIP/2.0\r\nno colon\r\n\r\n", RejectReason::HeaderSyntax),
            ("OPTIONS sip:a@b SIP/3.0\r\n\r\n", RejectReason::Version),
            ("OPTIONS  sip:a@b SIP/2.0\r\n\r\n", RejectReason::StartLine),
            ("OPTIONS sip:a@b SIP/2.0 \r\n\r\n", RejectReason::StartLine),
            ("OPTIONS sip:a@b SIP/2.0\r\nl: -1\r\n\r\n", RejectReason::ContentLength),
            ("OPTIONS sip:a@b SIP/2.0\r\nl: +1\r\n\r\nx", RejectReason::ContentLength),
            ("OPTIONS sip:a@b SIP/2.0\r\nl: 2\r\n\r\nx", RejectReason::ContentLength),
            ("OPTIONS sip:a@b SIP/2.0\r\nl: 1\r\nContent-Length: 1\r\n\r\nx", RejectReason::DuplicateHeader),
            ("SIP/2.0 4294967301 no\r\n\r\n", RejectReason::StartLine),
        ] {
            assert_eq!(flaw(text), Some(expected), "{text:?}");
        }
        assert_eq!(flaw("OPTIONS sip:a@b SIP/2.0\r\nSubject: \"\\\x07\"\r\n\r\n"), None);
        assert_eq!(flaw("OPTIONS sip:a@b SIP/2.0\r\nSubject  : blanks before the colon\r\n\r\n"), None);
    }

    #[test]
    fn a_header_flood_is_cut() {
        let text = format!("OPTIONS sip:a@b SIP/2.0\r\n{}\r\n", "X: y\r\n".repeat(10_000));
        let message = parse_datagram(&Bytes::copy_from_slice(text.as_bytes())).expect("a message");
        assert_eq!(message.flaw.map(|flaw| flaw.reason), Some(RejectReason::HeaderSyntax));
        assert_eq!(message.headers.len(), HEADER_LINES);
    }

    #[test]
    fn what_is_not_sip_is_garbage() {
        for bytes in [&b""[..], b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\0\x01\0\x08!\x12\xa4B\r\n\r\n", b"INVITE"] {
            assert_eq!(parse_datagram(&Bytes::from_static(bytes)), Err(Garbage), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse_datagram(&Bytes::from(bytes));
        }

        #[test]
        fn almost_sip_is_read_without_panic(
            lines in proptest::collection::vec("[A-Za-z:;<>\" \t/.=,@\\[\\]0-9\\\\]{0,40}", 0..12),
        ) {
            let text = format!("INVITE sip:a@b SIP/2.0\r\n{}\r\n\r\n", lines.join("\r\n"));
            let _ = parse_datagram(&Bytes::from(text));
        }
    }
}
