//! Where one message ends and the next begins on a stream (RFC 3261 18.3).

use bytes::{Buf, Bytes, BytesMut};

use crate::counters::RejectReason;
use crate::message::{Message, body_length, parse_head};

/// What the bytes so far amount to.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    /// A double line break between messages, which wants a single one back (RFC 5626 4.4.1).
    Ping,
    /// A whole message of this size.
    Whole(Message, usize),
    /// A message whose end cannot be found, or which is too large to be read: answer it and close.
    Last(Message, usize),
    /// No SIP: close.
    Garbage,
    /// More bytes are needed.
    More,
}

/// Collects the bytes of one connection.
pub(crate) struct Framer {
    buffer: BytesMut,
    limit: usize,
    /// The head that was read already, its length and the length of its body.
    head: Option<(Message, usize, usize)>,
    /// How far the buffer was searched for the end of the head.
    searched: usize,
}

impl Framer {
    /// A framer that holds at most `limit` bytes of one message.
    pub(crate) fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), limit, head: None, searched: 0 }
    }

    /// Where to read into.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether a message has begun and is not whole yet.
    pub(crate) fn is_inside(&self) -> bool {
        self.head.is_some() || self.buffer.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// The next thing in the buffer.
    pub(crate) fn next(&mut self) -> Frame {
        if self.head.is_none() {
            if self.buffer.starts_with(b"\r\n\r\n") {
                self.buffer.advance(4);
                return Frame::Ping;
            }
            while self.buffer.starts_with(b"\r\n") && self.buffer.len() > 2 && self.buffer[2] != b'\r' {
                self.buffer.advance(2);
            }
            if let Some(end) = self.read_head() {
                return end;
            }
        }
        let Some((_, head, body)) = &self.head else { return Frame::More };
        let size = head + body;
        if self.buffer.len() < size {
            return Frame::More;
        }
        let Some((mut message, head, _)) = self.head.take() else { return Frame::More };
        self.searched = 0;
        message.raw = self.buffer.split_to(size).freeze();
        message.body = message.raw.slice(head..);
        Frame::Whole(message, size)
    }

    /// Fills `head` when the empty line has arrived; gives the frame that ends the connection if it cannot go on.
    fn read_head(&mut self) -> Option<Frame> {
        let start = self.searched.saturating_sub(3);
        let Some(end) = self.buffer[start..].windows(4).position(|window| window == b"\r\n\r\n") else {
            self.searched = self.buffer.len();
            return (self.buffer.len() > self.limit).then_some(Frame::Garbage);
        };
        let end = start + end;
        let Ok(mut message) = parse_head(&self.buffer[..end]) else { return Some(Frame::Garbage) };
        let (head, body) = match body_length(&message.headers) {
            Ok(Some(body)) => (end + 4, body),
            Ok(None) => {
                // RFC 3261 20.14: on a stream only Content-Length tells where a message ends.
                message.note(RejectReason::ContentLength, "Content-Length is missing");
                return Some(self.last(message, end + 4));
            }
            Err(flaw) => {
                message.note(flaw.reason, flaw.detail);
                return Some(self.last(message, end + 4));
            }
        };
        if head.saturating_add(body) > self.limit {
            let size = head.saturating_add(body);
            return Some(self.last(message, size));
        }
        self.head = Some((message, head, body));
        None
    }

    fn last(&mut self, mut message: Message, size: usize) -> Frame {
        message.raw = Bytes::new();
        self.buffer.clear();
        Frame::Last(message, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 4\r\n\r\nbody";

    fn frames(text: &str, chunk: usize) -> Vec<&'static str> {
        let mut framer = Framer::new(1_000);
        let mut seen = Vec::new();
        for bytes in text.as_bytes().chunks(chunk) {
            framer.buffer().extend_from_slice(bytes);
            loop {
                match framer.next() {
                    Frame::More => break,
                    Frame::Ping => seen.push("ping"),
                    Frame::Whole(message, size) => {
                        assert_eq!((message.raw.len(), &message.body[..]), (size, &b"body"[..]));
                        seen.push("whole");
                    }
                    Frame::Last(..) => return [seen, vec!["last"]].concat(),
                    Frame::Garbage => return [seen, vec!["garbage"]].concat(),
                }
            }
        }
        seen
    }

    #[test]
    fn messages_are_found_however_the_bytes_are_cut() {
        let text = format!("\r\n{OPTIONS}{OPTIONS}\r\n\r\n{OPTIONS}");
        for chunk in 1..=text.len() {
            assert_eq!(frames(&text, chunk), ["whole", "whole", "ping", "whole"], "chunks of {chunk}");
        }
    }

    #[test]
    fn a_lost_end_closes_the_connection() {
        for (text, expected) in [
            ("OPTIONS sip:a@b SIP/2.0\r\n\r\n", "last"),
            ("OPTIONS sip:a@b SIP/2.0\r\nl: -1\r\n\r\n", "last"),
            ("OPTIONS sip:a@b SIP/2.0\r\nl: 1\r\nl: 2\r\n\r\n", "last"),
            ("OPTIONS sip:a@b SIP/2.0\r\nl: 99999999999999999999\r\n\r\n", "last"),
            ("OPTIONS sip:a@b SIP/2.0\r\nl: 18446744073709551615\r\n\r\n", "last"),
            ("GET / HTTP/1.1\r\n\r\n", "garbage"),
        ] {
            assert_eq!(frames(text, 7), [expected], "{text:?}");
        }
        assert_eq!(frames(&"x".repeat(1_100), 100), ["garbage"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_framed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), chunk in 1_usize..50) {
            let mut framer = Framer::new(100);
            for bytes in bytes.chunks(chunk) {
                framer.buffer().extend_from_slice(bytes);
                while !matches!(framer.next(), Frame::More | Frame::Garbage | Frame::Last(..)) {}
            }
        }
    }
}
