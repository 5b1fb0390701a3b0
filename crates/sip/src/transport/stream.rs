//! One connection: reading messages off it, writing messages to it, and knowing when it has wasted enough time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::framing::{Frame, Framer};
use super::{Inbound, Link};
use crate::counters::{Counters, DropReason};

/// How long the peer may take to accept one message.
const WRITE: Duration = Duration::from_secs(30);

/// How long what is still queued may take once the connection is to be closed.
const FAREWELL: Duration = Duration::from_secs(2);

/// The bounds of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The largest message.
    pub message: usize,
    /// From the first byte of a message, or from the start of the connection, to the end of the message.
    pub deadline: Duration,
    /// Silence between messages.
    pub idle: Duration,
}

/// What one connection needs.
pub(super) struct Connection {
    pub link: Link,
    pub inbound: Arc<dyn Inbound>,
    pub counters: Arc<Counters>,
    pub bounds: Bounds,
    /// When the first message must be whole; `None` when we opened the connection and the peer owes us nothing.
    pub first: Option<Instant>,
}

impl Connection {
    /// Serves the connection until either side ends it.
    pub(super) async fn run<S: AsyncRead + AsyncWrite>(self, mut queue: mpsc::Receiver<Bytes>, stream: S) {
        let (read, mut write) = tokio::io::split(stream);
        tokio::select! {
            ended = read_messages(&self, read) => {
                if let Some(reason) = ended {
                    self.counters.dropped(reason);
                }
            }
            () = write_messages(&mut queue, &mut write) => {}
            () = self.link.closed() => {}
        }
        queue.close();
        let farewell = async {
            while let Some(bytes) = queue.recv().await {
                write.write_all(&bytes).await?;
            }
            write.shutdown().await
        };
        // Whether the peer still hears it makes no difference any more.
        let _heard = timeout(FAREWELL, farewell).await;
    }
}

/// Reads until the connection ends; why it was ended if that was not the peer's orderly wish.
async fn read_messages<S: AsyncRead>(connection: &Connection, mut read: ReadHalf<S>) -> Option<DropReason> {
    let Connection { link, inbound, counters, bounds, first, .. } = connection;
    let mut framer = Framer::new(bounds.message);
    let mut first = *first;
    let mut deadline = first.unwrap_or_else(|| Instant::now() + bounds.idle);
    loop {
        let was_inside = framer.is_inside();
        match timeout_at(deadline, read.read_buf(framer.buffer())).await {
            Err(_) => return (was_inside || first.is_some()).then_some(DropReason::SlowConnection),
            Ok(Ok(0) | Err(_)) => return was_inside.then_some(DropReason::Truncated),
            Ok(Ok(_)) => {}
        }
        let mut progress = false;
        loop {
            match framer.next() {
                Frame::More => break,
                Frame::Ping => {
                    counters.received();
                    counters.dropped(DropReason::KeepAlive);
                    link.send(Bytes::from_static(b"\r\n"));
                    // A first keep-alive does not buy an idle connection more time.
                    progress |= first.is_none();
                }
                Frame::Whole(message, size) => {
                    inbound.message(message, size, link);
                    (first, progress) = (None, true);
                }
                Frame::Last(message, size) => {
                    inbound.message(message, size, link);
                    return Some(DropReason::Framing);
                }
                Frame::Garbage => {
                    counters.received();
                    return Some(DropReason::Garbage);
                }
            }
        }
        match (progress, was_inside, framer.is_inside()) {
            (true, _, false) => deadline = Instant::now() + bounds.idle,
            (true, _, true) => deadline = Instant::now() + bounds.deadline,
            (false, false, true) => deadline = deadline.min(Instant::now() + bounds.deadline),
            (false, _, _) => {}
        }
    }
}

/// Writes what is queued until the connection breaks or the peer stops reading.
async fn write_messages<S: AsyncWrite>(queue: &mut mpsc::Receiver<Bytes>, write: &mut WriteHalf<S>) {
    while let Some(bytes) = queue.recv().await {
        let written = timeout(WRITE, async {
            write.write_all(&bytes).await?;
            write.flush().await
        });
        if !matches!(written.await, Ok(Ok(()))) {
            return;
        }
    }
}
