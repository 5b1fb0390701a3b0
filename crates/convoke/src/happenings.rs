//! What happens in the response groups, as server-sent events for wallboards.
//!
//! Each listener has the same bounded row of events; one who falls behind is told how many he missed, as `dropped`, and
//! his stream ends. No event says who calls.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::EngineEvent;
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast};

/// Events that a listener may be behind.
const BEHIND_MAX: usize = 1_024;
/// Listeners at once.
const LISTENERS_MAX: usize = 64;

/// One event.
#[derive(Clone, Debug)]
struct Happening {
    kind: &'static str,
    data: Arc<Value>,
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
            // The last listener may have gone meanwhile.
            let _nobody_listens = self.sender.send(Happening { kind, data: Arc::new(data) });
        }
    }

    /// The events from now on; `None` when there is no room for a further listener.
    pub(crate) fn listen(&self) -> Option<Response> {
        let events = self.events(|kind, data| Event::default().event(kind).data(data.to_string()))?;
        Some(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
    }

    fn events<E: Send + 'static>(
        &self,
        make: fn(&str, &Value) -> E,
    ) -> Option<impl Stream<Item = Result<E, Infallible>> + Send + use<E>> {
        let seat = self.room.clone().try_acquire_owned().ok()?;
        let listener = Some((self.sender.subscribe(), seat));
        Some(stream::unfold(listener, move |listener| async move {
            let (mut events, seat) = listener?;
            match events.recv().await {
                Ok(happening) => {
                    let event = make(happening.kind, &happening.data);
                    Some((Ok(event), Some((events, seat))))
                }
                Err(RecvError::Lagged(missed)) => Some((Ok(make("dropped", &json!({ "missed": missed }))), None)),
                Err(RecvError::Closed) => None,
            }
        }))
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

    use base::{CallId, UserUri};
    use engine::SupervisorState;
    use futures_util::StreamExt;
    use response_group::WallboardEvent;

    use super::*;

    fn queued(waiting: u32) -> EngineEvent {
        let group = UserUri::parse("sip:sales@example.com").expect("valid");
        EngineEvent::Wallboard(WallboardEvent::Queued { group, waiting })
    }

    fn shown(kind: &str, data: &Value) -> String {
        format!("{kind} {data}")
    }

    #[tokio::test]
    async fn a_listener_is_told_what_happens_from_then_on() {
        let happenings = Happenings::default();
        happenings.tell(&queued(1));
        let mut events = pin!(happenings.events(shown).expect("room"));
        happenings.tell(&queued(2));
        let supervisor = UserUri::parse("sip:dave@example.com").expect("valid");
        let state = SupervisorState::NotReached;
        happenings.tell(&EngineEvent::GroupSupervisor { call: CallId(7), supervisor, state });
        let first = events.next().await.expect("an event").expect("infallible");
        assert!(first.starts_with("queue ") && first.contains("\"waiting\":2"), "{first}");
        let second = events.next().await.expect("an event").expect("infallible");
        assert!(second.starts_with("supervisor ") && second.contains("not_reached"), "{second}");
    }

    #[tokio::test]
    async fn a_listener_who_falls_behind_is_told_so_and_dropped() {
        let happenings = Happenings::default();
        let mut events = pin!(happenings.events(shown).expect("room"));
        for _ in 0..BEHIND_MAX + 5 {
            happenings.tell(&queued(1));
        }
        assert_eq!(events.next().await, Some(Ok("dropped {\"missed\":5}".to_owned())));
        assert_eq!(events.next().await, None);
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_listeners() {
        let happenings = Happenings::default();
        let mut listeners: Vec<_> = (0..LISTENERS_MAX).map(|_| happenings.events(shown).expect("room")).collect();
        assert!(happenings.listen().is_none());
        listeners.pop();
        assert!(happenings.listen().is_some(), "who goes makes room");
    }
}
