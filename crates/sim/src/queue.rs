//! What happens next: events by time, and by the order of their making where times are equal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use base::Timestamp;

/// A queue of events.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    sequence: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: Timestamp,
    sequence: u64,
    event: E,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0 }
    }
}

impl<E> Queue<E> {
    /// Files an event.
    pub(crate) fn push(&mut self, at: Timestamp, event: E) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, event }));
    }

    /// When the next one happens.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.heap.peek().map(|entry| entry.0.at)
    }

    /// The next one.
    pub(crate) fn pop(&mut self) -> Option<E> {
        self.heap.pop().map(|entry| entry.0.event)
    }
}

impl<E> Entry<E> {
    fn key(&self) -> (Timestamp, u64) {
        (self.at, self.sequence)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_by_order() {
        let mut queue = Queue::default();
        for (at, event) in [(5, 'b'), (3, 'a'), (5, 'c')] {
            queue.push(Timestamp::from_millis(at), event);
        }
        assert_eq!(queue.next_at(), Some(Timestamp::from_millis(3)));
        let order: String = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, "abc");
    }
}
