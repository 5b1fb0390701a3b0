//! A SIP message as text: a start line, header lines, a body.

/// A SIP request or response, kept as it stands on the wire. Header names compare without case; their compact forms
/// (RFC 3261 7.3.3) are written out when a message is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipMessage {
    /// `INVITE sip:... SIP/2.0` or `SIP/2.0 200 OK`.
    pub start_line: String,
    /// Names and values in order.
    pub headers: Vec<(String, String)>,
    /// The body; `Content-Length` is written from it.
    pub body: Vec<u8>,
}

/// Largest head or body the test kit reads, in bytes.
const SIZE_MAX: usize = 256 * 1024;

impl SipMessage {
    /// A request without headers.
    pub fn request(method: &str, uri: &str) -> Self {
        Self { start_line: format!("{method} {uri} SIP/2.0"), headers: Vec::new(), body: Vec::new() }
    }

    /// The answer to `request`, with the headers RFC 3261 8.2.6.2 copies. `tag` is added to a To that has none.
    pub fn response_to(request: &Self, status: u16, reason: &str, tag: &str) -> Self {
        let mut response =
            Self { start_line: format!("SIP/2.0 {status} {reason}"), headers: Vec::new(), body: Vec::new() };
        for (name, value) in &request.headers {
            let copied = ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route"];
            if !copied.iter().any(|wanted| name.eq_ignore_ascii_case(wanted)) {
                continue;
            }
            let needs_tag = name.eq_ignore_ascii_case("To") && status > 100 && parameter(value, "tag").is_none();
            let value = if needs_tag { format!("{value};tag={tag}") } else { value.clone() };
            response.headers.push((name.clone(), value));
        }
        response
    }

    /// The ACK for a refusal of this INVITE (RFC 3261 17.1.1.3): the same branch and routes, and the To of the refusal.
    #[must_use]
    pub fn acknowledging(&self, refusal: &Self) -> Self {
        let ack = Self::request("ACK", self.uri())
            .with("Via", self.header("Via").unwrap_or_default())
            .with("Max-Forwards", "70")
            .with("From", self.header("From").unwrap_or_default())
            .with("To", refusal.header("To").unwrap_or_default())
            .with("Call-ID", self.call_id())
            .with("CSeq", format!("{} ACK", self.cseq()));
        self.headers_named("Route").fold(ack, |ack, route| ack.with("Route", route))
    }

    /// Adds a header line at the end.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body and its type.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Content-Type"));
        self.headers.push(("Content-Type".to_owned(), content_type.to_owned()));
        self.body = body.into();
        self
    }

    /// The value of the first header line of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(existing, _)| existing.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The values of all header lines of that name, in order.
    pub fn headers_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(existing, _)| existing.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Replaces all header lines of that name by one.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.headers.iter().position(|(existing, _)| existing.eq_ignore_ascii_case(name)) {
            Some(index) => self.headers[index].1 = value,
            None => self.headers.push((name.to_owned(), value)),
        }
    }

    /// The status, if this is a response.
    pub fn status(&self) -> Option<u16> {
        self.start_line.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()
    }

    /// The method: of the request line, or of the CSeq of a response.
    pub fn method(&self) -> &str {
        if self.start_line.starts_with("SIP/2.0 ") {
            return self.header("CSeq").and_then(|value| value.split_whitespace().nth(1)).unwrap_or("");
        }
        self.start_line.split(' ').next().unwrap_or("")
    }

    /// The request URI; empty for a response.
    pub fn uri(&self) -> &str {
        if self.status().is_some() { "" } else { self.start_line.split(' ').nth(1).unwrap_or("") }
    }

    /// The reason phrase of a response.
    pub fn reason(&self) -> &str {
        self.start_line.splitn(3, ' ').nth(2).unwrap_or("")
    }

    /// The number of the CSeq; 0 when there is none.
    pub fn cseq(&self) -> u32 {
        self.header("CSeq").and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// The Call-ID; empty when there is none.
    pub fn call_id(&self) -> &str {
        self.header("Call-ID").unwrap_or("")
    }

    /// The branch of the topmost Via; empty when there is none.
    pub fn branch(&self) -> &str {
        self.header("Via").and_then(|value| parameter(value, "branch")).unwrap_or("")
    }

    /// The tag of `From` or `To`.
    pub fn tag(&self, header: &str) -> Option<&str> {
        parameter(self.header(header)?, "tag")
    }

    /// The body as text; broken UTF-8 is replaced.
    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The message as it goes on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start_line);
        for (name, value) in &self.headers {
            if !name.eq_ignore_ascii_case("Content-Length") {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Reads a datagram that holds one message.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let (mut message, head) = Self::parse_head(datagram)?;
        message.body = datagram[head..].to_vec();
        if let Some(length) = message.content_length() {
            message.body.truncate(length);
        }
        Some(message)
    }

    /// Takes one message off the front of a stream's bytes; `None` when it is not complete yet. Keep-alives
    /// (RFC 5626 4.4.1) are dropped. Rubbish empties the buffer.
    pub fn take_from_stream(buffer: &mut Vec<u8>) -> Option<Self> {
        let blank = buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        buffer.drain(..blank);
        let Some((mut message, head)) = Self::parse_head(buffer) else {
            if buffer.len() > SIZE_MAX {
                buffer.clear();
            }
            return None;
        };
        let length = message.content_length().unwrap_or(0);
        if length > SIZE_MAX {
            buffer.clear();
            return None;
        }
        if buffer.len() < head + length {
            return None;
        }
        message.body = buffer[head..head + length].to_vec();
        buffer.drain(..head + length);
        Some(message)
    }

    fn content_length(&self) -> Option<usize> {
        self.header("Content-Length")?.trim().parse().ok()
    }

    /// Reads start line and headers; gives the length of the head with its empty line.
    fn parse_head(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]);
        // RFC 3261 7.3.1: a line that begins with white space continues the one before.
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = unfolded.split("\r\n");
        let start_line = lines.next().filter(|line| line.contains("SIP/2.0"))?.to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (long_name(name.trim()).to_owned(), value.trim().to_owned()))
            .collect();
        Some((Self { start_line, headers, body: Vec::new() }, end + 4))
    }
}

/// The value of a `;name=value` parameter outside the angle brackets of a header value.
pub(crate) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let outside = value.rfind('>').map_or(value, |close| &value[close + 1..]);
    outside.split(';').skip(1).find_map(|part| {
        let (key, text) = part.split_once('=').unwrap_or((part, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| text.trim())
    })
}

/// The URI of a name-addr: what stands between the angle brackets, or all before the parameters.
pub fn uri_of(value: &str) -> &str {
    match (value.find('<'), value.find('>')) {
        (Some(open), Some(close)) if open < close => &value[open + 1..close],
        _ => value.split(';').next().unwrap_or("").trim(),
    }
}

fn long_name(name: &str) -> &str {
    match name {
        "v" | "V" => "Via",
        "f" | "F" => "From",
        "t" | "T" => "To",
        "i" | "I" => "Call-ID",
        "m" | "M" => "Contact",
        "l" | "L" => "Content-Length",
        "c" | "C" => "Content-Type",
        "e" | "E" => "Content-Encoding",
        "k" | "K" => "Supported",
        "o" | "O" => "Event",
        "s" | "S" => "Subject",
        "x" | "X" => "Session-Expires",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stream_is_cut_into_messages() {
        let one = SipMessage::request("OPTIONS", "sip:a@b").with("Call-ID", "1").with_body("text/plain", "abc");
        let two = SipMessage::request("BYE", "sip:a@b").with("Call-ID", "2");
        let mut wire = b"\r\n\r\n".to_vec();
        wire.extend(one.to_bytes());
        wire.extend(two.to_bytes());
        let tail = wire.split_off(wire.len() - 5);
        let first = SipMessage::take_from_stream(&mut wire).expect("complete");
        assert_eq!((first.method(), first.body_text().as_str()), ("OPTIONS", "abc"));
        assert_eq!(SipMessage::take_from_stream(&mut wire), None);
        wire.extend(tail);
        assert_eq!(SipMessage::take_from_stream(&mut wire).expect("complete").call_id(), "2");
    }

    #[test]
    fn folded_lines_and_compact_names_are_read() {
        let text =
            b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP h\r\n ;branch=z9\r\nt: <sip:a;x=1@b>;tag=7\r\nCSeq: 3 INVITE\r\n\r\n";
        let message = SipMessage::parse(text).expect("valid");
        assert_eq!((message.branch(), message.tag("To"), message.method()), ("z9", Some("7"), "INVITE"));
        assert_eq!((message.status(), message.cseq()), (Some(200), 3));
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = SipMessage::parse(&bytes);
            let mut stream = [b"SIP/2.0 200 \r\n".as_slice(), &bytes, b"\r\n\r\n"].concat();
            let _ = SipMessage::take_from_stream(&mut stream);
        }
    }
}
