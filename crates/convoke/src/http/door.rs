//! The door of the HTTP side: how many may come in, and how long each may take to say what he wants.
//!
//! A connection costs a file descriptor that calls need as well, so a further one is closed at once when there are too
//! many, of one source or in all; whoever dawdles over a request's head or body is shown out (reliability.md A5).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{ConnectInfo, Extension, Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

use super::refusal::{Code, Refusal};
use crate::config::Http;

/// Bytes of a request's body; far more than any command has.
const BODY: usize = 2 * 1024 * 1024;

/// How long nothing is accepted after the system could not: it lacks descriptors, and trying again at once would spin.
const BREATH: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until the process ends.
pub(crate) async fn serve(listener: TcpListener, router: Router, config: &Http) {
    let patience = Duration::from_secs(config.request_seconds);
    let router = router.layer(from_fn_with_state(patience, take_body));
    let guests = Guests { in_all: config.connections, of_one: config.connections_per_source, inside: Arc::default() };
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no HTTP connection can be accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let Some(place) = guests.admit(peer.ip()) else {
            tracing::debug!("an HTTP connection too many was closed");
            continue;
        };
        tokio::spawn(attend(stream, peer, router.clone(), patience, place));
    }
}

/// Serves one connection.
async fn attend(stream: TcpStream, peer: SocketAddr, router: Router, patience: Duration, place: Place) {
    let service = TowerToHyperService::new(router.layer(Extension(ConnectInfo(peer))));
    // The time for a head runs while nothing is said at all, too: between two requests, and before the first.
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection broke off");
    }
    drop(place);
}

/// Takes a request's body in before its handler runs.
async fn take_body(State(patience): State<Duration>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let close = [(header::CONNECTION, "close")];
    let size = body.size_hint().lower();
    if size > BODY as u64 {
        let why = format!("the body has {size} bytes; send at most {BODY}");
        return (close, Refusal::new(Code::BodyTooLarge, why)).into_response();
    }
    match tokio::time::timeout(patience, to_bytes(body, BODY)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(error)) => (close, unread(&error)).into_response(),
        Err(_) => {
            let why = format!("the body did not come within {} seconds; send it at once", patience.as_secs());
            (close, Refusal::new(Code::BodyTooSlow, why)).into_response()
        }
    }
}

/// Why a body that did not say how long it is was not taken in.
fn unread(error: &axum::Error) -> Refusal {
    let is_long = std::error::Error::source(error).is_some_and(|cause| cause.is::<LengthLimitError>());
    if is_long {
        Refusal::new(Code::BodyTooLarge, format!("the body has more than {BODY} bytes; send at most so many"))
    } else {
        Refusal::new(Code::BrokenBody, "the body broke off or is not framed as its head says; send it whole")
    }
}

/// Who is connected.
#[derive(Clone)]
struct Guests {
    in_all: usize,
    of_one: usize,
    /// Connections of each source; an entry is never zero.
    inside: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Guests {
    /// A place for one more connection of this source, if there is one.
    fn admit(&self, source: IpAddr) -> Option<Place> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let of_him = inside.get(&source).copied().unwrap_or(0);
        if of_him >= self.of_one || inside.values().sum::<usize>() >= self.in_all {
            return None;
        }
        inside.insert(source, of_him + 1);
        Some(Place { guests: self.clone(), source })
    }
}

/// The place of one connection; dropping it gives it back.
struct Place {
    guests: Guests,
    source: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.guests.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = inside.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Far longer than anything here takes.
    const DEADLINE: Duration = Duration::from_secs(20);

    async fn open(config: Http) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let echo =
            post(|ConnectInfo(peer): ConnectInfo<SocketAddr>, body: String| async move { format!("{peer} {body}") });
        tokio::spawn(async move { serve(listener, Router::new().route("/", echo), &config).await });
        address
    }

    /// What the server says until it closes the connection.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut said = Vec::new();
        // A connection that is reset is closed as well.
        let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut said)).await.expect("closed in time");
        drop(read);
        String::from_utf8(said).expect("text")
    }

    async fn say(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(text.as_bytes()).await.expect("sent");
        stream
    }

    #[tokio::test]
    async fn half_a_request_and_silence_are_shown_out() {
        let address = open(Http { request_seconds: 1, ..Http::default() }).await;
        let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n";
        let whole = format!("{head}Connection: close\r\n\r\nhello");
        for dawdler in ["", "POST / HT", head] {
            let mut stream = say(address, dawdler).await;
            let mut other = say(address, &whole).await;
            let here = other.local_addr().expect("an address");
            assert!(rest(&mut other).await.ends_with(&format!("{here} hello")), "others are served meanwhile");
            assert!(!rest(&mut stream).await.contains(" 200 "), "{dawdler:?}");
        }
        let mut stream = say(address, &format!("{head}\r\nhel")).await;
        let told = rest(&mut stream).await;
        assert!(
            told.starts_with("HTTP/1.1 408")
                && told.contains("\"code\":\"body-too-slow\"")
                && told.contains("within 1 seconds"),
            "{told}"
        );
        // One that is kept open for the next request is not kept for ever.
        let mut stream = say(address, &format!("{head}\r\nhello")).await;
        assert!(rest(&mut stream).await.ends_with(" hello"));
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused() {
        let address = open(Http::default()).await;
        let mut stream = say(address, &format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", BODY + 1)).await;
        let told = rest(&mut stream).await;
        assert!(told.starts_with("HTTP/1.1 413"), "{told}");
    }

    #[tokio::test]
    async fn connections_are_bounded_for_each_source_and_in_all() {
        let guests = Guests { in_all: 3, of_one: 2, inside: Arc::default() };
        let source = |last| IpAddr::from([192, 0, 2, last]);
        let (first, second) = (guests.admit(source(1)), guests.admit(source(1)));
        assert!(first.is_some() && second.is_some() && guests.admit(source(1)).is_none(), "of one");
        let third = guests.admit(source(2));
        assert!(third.is_some() && guests.admit(source(3)).is_none(), "in all");
        drop(first);
        let fourth = guests.admit(source(3));
        assert!(fourth.is_some(), "one has gone");
        drop((second, third, fourth));
        assert!(guests.inside.lock().expect("sound").is_empty());

        let address = open(Http { connections_per_source: 1, ..Http::default() }).await;
        let held = say(address, "POST").await;
        // The second is closed before it says anything; the first is still there.
        let mut closed = TcpStream::connect(address).await.expect("connected");
        assert_eq!(rest(&mut closed).await, "");
        drop(held);
        // The place is free as soon as the server has seen that.
        let request = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
        let served = async {
            loop {
                let mut stream = TcpStream::connect(address).await.expect("connected");
                let _sent = stream.write_all(request.as_bytes()).await;
                if rest(&mut stream).await.ends_with(" hi") {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, served).await.expect("in time");
    }
}
