//! What happens in the response groups, as server-sent events for wallboards.
//!
//! A listener is first told the whole wallboard, as `snapshot`, and then every event that came after it: the engine's own
//! task takes both at once, between two inputs, so that nothing is left out and nothing told twice. Other groups make a new
//! `snapshot`, since no event says what they are. Each listener has the same bounded row of events; one who falls behind is
//! told how many he missed, as `dropped`, and his stream ends. Only a snapshot for this machine says who calls.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::EngineEvent;
use futures_util::stream::{self, Stream, StreamExt};
use response_group::Snapshot;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

use crate::groups_api::shown;

/// Events that a listener may be behind.
const BEHIND_MAX: usize = 1_024;
/// Listeners at once.
const LISTENERS_MAX: usize = 64;

/// One event.
#[derive(Clone, Debug)]
struct Happening {
    kind: &'static str,
    data: Arc<Value>,
    /// The same for listeners on other machines.
    elsewhere: Arc<Value>,
}

impl Happening {
    fn new(kind: &'static str, data: Value) -> Self {
        let data = Arc::new(data);
        Self { kind, elsewhere: Arc::clone(&data), data }
    }

    fn snapshot(board: Option<Snapshot>) -> Self {
        let whole = |here| Arc::new(json!(shown(board.clone(), here)));
        Self { kind: "snapshot", data: whole(true), elsewhere: whole(false) }
    }
}

/// The source of the events.
pub(crate) struct Happenings {
    sender: broadcast::Sender<Happening>,
    room: Arc<Semaphore>,
}

impl Default for Happenings {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(BEHIND_MAX), room: Arc::new(Semaphore::new(LISTENERS_MAX)) }
    }
}

impl Happenings {
    /// Tells an event to those who listen, if it is one of the response groups.
    pub(crate) fn tell(&self, event: &EngineEvent) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        if let Some((kind, data)) = happening(event) {
            self.send(Happening::new(kind, data));
        }
    }

    /// Tells those who listen the whole wallboard anew.
    pub(crate) fn tell_board(&self, board: Option<Snapshot>) {
        if self.sender.receiver_count() > 0 {
            self.send(Happening::snapshot(board));
        }
    }

    fn send(&self, happening: Happening) {
        // The last listener may have gone meanwhile.
        let _nobody_listens = self.sender.send(happening);
    }

    /// One who is told this wallboard, and what happens from now on; `None` when there is no room for a further one.
    pub(crate) fn listen(&self, board: Option<Snapshot>) -> Option<Listener> {
        let seat = self.room.clone().try_acquire_owned().ok()?;
        Some(Listener { first: Happening::snapshot(board), events: self.sender.subscribe(), _seat: seat })
    }
}

/// One who listens. Dropping it makes room.
#[derive(Debug)]
pub(crate) struct Listener {
    first: Happening,
    events: broadcast::Receiver<Happening>,
    _seat: OwnedSemaphorePermit,
}

impl Listener {
    /// The stream; who calls is told to this machine alone.
    pub(crate) fn into_response(self, to_this_machine: bool) -> Response {
        let events = self.events(to_this_machine, |kind, data| Event::default().event(kind).data(data.to_string()));
        Sse::new(events).keep_alive(KeepAlive::default()).into_response()
    }

    fn events<E: Send + 'static>(
        self,
        to_this_machine: bool,
        make: fn(&str, &Value) -> E,
    ) -> impl Stream<Item = Result<E, Infallible>> + Send {
        let made = move |told: &Happening| make(told.kind, if to_this_machine { &told.data } else { &told.elsewhere });
        let first = made(&self.first);
        let later = stream::unfold(Some(self), move |listener| async move {
            let mut listener = listener?;
            match listener.events.recv().await {
                Ok(happening) => Some((Ok(made(&happening)), Some(listener))),
                Err(RecvError::Lagged(missed)) => Some((Ok(make("dropped", &json!({ "missed": missed }))), None)),
                Err(RecvError::Closed) => None,
            }
        });
        stream::iter([Ok(first)]).chain(later)
    }
}

fn happening(event: &EngineEvent) -> Option<(&'static str, Value)> {
    Some(match event {
        EngineEvent::Wallboard(event) => ("queue", json!(event)),
        EngineEvent::GroupAgent { agent, state } => ("agent", json!({ "agent": agent, "status": state })),
        EngineEvent::GroupSupervisor { call, supervisor, state } => {
            ("supervisor", json!({ "call": call, "supervisor": supervisor, "state": state }))
        }
        EngineEvent::GroupSupervisorRefused { call, why } => {
            ("supervisor", json!({ "call": call, "state": "refused", "why": why }))
        }
        EngineEvent::GroupTransfer { call, reached } => {
            ("transfer", json!({ "call": call, "state": if *reached { "done" } else { "not_reached" } }))
        }
        EngineEvent::GroupCallEnded(record) => {
            // Where a caller was sent on to may be a number of his own.
            let outcome = json!(record.call.outcome)["outcome"].clone();
            ("call_ended", json!({ "call": record.call.call, "group": record.call.group, "outcome": outcome }))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use base::{CallId, Timestamp, UserUri};
    use engine::SupervisorState;
    use response_group::{WaitingSnapshot, WallboardEvent};

    use super::*;
    use crate::groups_api::tests::sales_with;

    fn queued(waiting: u32) -> EngineEvent {
        let group = UserUri::parse("sip:sales@example.com").expect("valid");
        EngineEvent::Wallboard(WallboardEvent::Queued { group, waiting })
    }

    fn as_text(kind: &str, data: &Value) -> String {
        format!("{kind} {data}")
    }

    #[tokio::test]
    async fn a_listener_is_told_the_wallboard_and_what_happens_from_then_on() {
        let happenings = Happenings::default();
        happenings.tell(&queued(1));
        let mut events = pin!(happenings.listen(None).expect("room").events(true, as_text));
        happenings.tell(&queued(2));
        let supervisor = UserUri::parse("sip:dave@example.com").expect("valid");
        let state = SupervisorState::NotReached;
        happenings.tell(&EngineEvent::GroupSupervisor { call: CallId(7), supervisor, state });
        happenings.tell_board(None);
        let empty = "snapshot {\"agents\":[],\"groups\":[],\"stale_inputs\":0}";
        assert_eq!(events.next().await, Some(Ok(empty.to_owned())));
        let first = events.next().await.expect("an event").expect("infallible");
        assert!(first.starts_with("queue ") && first.contains("\"waiting\":2"), "{first}");
        let second = events.next().await.expect("an event").expect("infallible");
        assert!(second.starts_with("supervisor ") && second.contains("not_reached"), "{second}");
        assert_eq!(events.next().await, Some(Ok(empty.to_owned())), "other groups hold");
    }

    #[tokio::test]
    async fn a_snapshot_tells_this_machine_alone_who_calls() {
        let caller = "tel:+4930123456".to_owned();
        let waiting = WaitingSnapshot { call: CallId(1), caller, arrived: Timestamp::ZERO, ringing: Vec::new() };
        let group = sales_with(waiting, Vec::new());
        let board = Some(Snapshot { groups: vec![group], ..Snapshot::default() });
        let happenings = Happenings::default();
        for to_this_machine in [true, false] {
            let listener = happenings.listen(board.clone()).expect("room");
            let mut events = pin!(listener.events(to_this_machine, as_text));
            happenings.tell_board(board.clone());
            for _ in 0..2 {
                let told = events.next().await.expect("an event").expect("infallible");
                assert!(told.starts_with("snapshot ") && told.contains("+4930123456") == to_this_machine, "{told}");
            }
        }
    }

    #[tokio::test]
    async fn a_listener_who_falls_behind_is_told_so_and_dropped() {
        let happenings = Happenings::default();
        let mut events = pin!(happenings.listen(None).expect("room").events(true, as_text));
        for _ in 0..BEHIND_MAX + 5 {
            happenings.tell(&queued(1));
        }
        assert!(events.next().await.is_some_and(|told| told.is_ok_and(|told| told.starts_with("snapshot "))));
        assert_eq!(events.next().await, Some(Ok("dropped {\"missed\":5}".to_owned())));
        assert_eq!(events.next().await, None);
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_listeners() {
        let happenings = Happenings::default();
        let mut listeners: Vec<_> = (0..LISTENERS_MAX).map(|_| happenings.listen(None).expect("room")).collect();
        assert!(happenings.listen(None).is_none());
        listeners.pop();
        assert!(happenings.listen(None).is_some(), "who goes makes room");
    }
}
