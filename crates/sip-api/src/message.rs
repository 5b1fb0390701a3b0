//! Requests and responses as plain values.

use std::fmt;

use bytes::Bytes;

use crate::headers::Headers;
use crate::uri::SipUri;

macro_rules! methods {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// A SIP method.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $(#[doc = $text] $name,)+
            /// A method this server has no rule for.
            Other(String),
        }

        impl Method {
            /// The method of this name; case is significant (RFC 3261 7.1).
            pub fn parse(text: &str) -> Self {
                match text { $($text => Self::$name,)+ other => Self::Other(other.to_owned()) }
            }

            /// The name on the wire.
            pub fn as_str(&self) -> &str {
                match self { $(Self::$name => $text,)+ Self::Other(name) => name }
            }
        }
    };
}

methods! {
    Invite = "INVITE", Ack = "ACK", Bye = "BYE", Cancel = "CANCEL", Options = "OPTIONS", Register = "REGISTER",
    Info = "INFO", Service = "SERVICE", Subscribe = "SUBSCRIBE", Notify = "NOTIFY", Refer = "REFER",
    Update = "UPDATE", Prack = "PRACK", Message = "MESSAGE", Publish = "PUBLISH",
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A SIP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The Request-URI.
    pub uri: SipUri,
    /// The headers, body length excluded.
    pub headers: Headers,
    /// The body; its type is in `Content-Type`.
    pub body: Bytes,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, uri: SipUri) -> Self {
        Self { method, uri, headers: Headers::new(), body: Bytes::new() }
    }

    /// The Call-ID; empty if the request has none.
    pub fn call_id(&self) -> &str {
        self.headers.get("Call-ID").unwrap_or("")
    }

    /// The CSeq number.
    pub fn cseq(&self) -> Option<u32> {
        self.headers.get("CSeq")?.split_whitespace().next()?.parse().ok()
    }

    /// The tag of From.
    pub fn from_tag(&self) -> Option<String> {
        self.headers.name_addr("From")?.ok()?.tag().map(str::to_owned)
    }

    /// The tag of To; present inside a dialog.
    pub fn to_tag(&self) -> Option<String> {
        self.headers.name_addr("To")?.ok()?.tag().map(str::to_owned)
    }

    /// The media type of the body in lower case, without parameters.
    pub fn content_type(&self) -> Option<String> {
        content_type(&self.headers)
    }

    /// Puts in a body.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.set("Content-Type", content_type);
        self.body = body.into();
        self
    }
}

/// A SIP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code, 100 to 699.
    pub status: u16,
    /// Reason phrase.
    pub reason: String,
    /// The headers, body length excluded.
    pub headers: Headers,
    /// The body; its type is in `Content-Type`.
    pub body: Bytes,
}

impl Response {
    /// A response with the usual phrase, without headers and body.
    pub fn new(status: u16) -> Self {
        Self { status, reason: reason_phrase(status).to_owned(), headers: Headers::new(), body: Bytes::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Puts in a body.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.set("Content-Type", content_type);
        self.body = body.into();
        self
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<String> {
        self.headers.name_addr("To")?.ok()?.tag().map(str::to_owned)
    }

    /// The media type of the body in lower case, without parameters.
    pub fn content_type(&self) -> Option<String> {
        content_type(&self.headers)
    }

    /// 100 to 199.
    pub fn is_provisional(&self) -> bool {
        self.status < 200
    }

    /// 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

fn content_type(headers: &Headers) -> Option<String> {
    let value = headers.get("Content-Type")?;
    Some(value.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
}

/// The phrase RFC 3261 and its extensions give for a status.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => "Unknown",
    }
}
