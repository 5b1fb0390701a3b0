//! The way of events from the workers to the control side.
//!
//! A worker puts its events into a ring of its own, which takes no lock, and rings a bell once for all of a tick. One thread
//! takes them out, follows them in the routes, and hands them to the sink, which may take its time, or wait until there is
//! room. While a ring is full, its worker does no further command: then the commands' own bound answers.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use mcu_api::McuEvent;

use crate::routes::Routes;
use crate::sys::Bell;

/// Takes events. Called from one thread of the media side, from the recordings' thread, and from within
/// [`crate::MediaServer::send`] (but not `place`) when something is refused; what it does delays other events and
/// recordings, but no audio.
pub type EventSink = Box<dyn Fn(McuEvent) + Send + Sync>;

/// Where events end.
pub(crate) struct Events {
    routes: Mutex<Routes>,
    sink: EventSink,
}

impl Events {
    pub(crate) fn new(workers: usize, sink: EventSink) -> Self {
        Self { routes: Mutex::new(Routes::new(workers)), sink }
    }

    /// Where conferences and legs are.
    pub(crate) fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells something that changes no route.
    pub(crate) fn tell(&self, event: McuEvent) {
        (self.sink)(event);
    }

    fn report(&self, worker: usize, event: McuEvent) {
        self.routes().follow(worker, &event);
        self.tell(event);
    }
}

/// Where one worker's events go in.
pub(crate) struct Outlet {
    ring: rtrb::Producer<McuEvent>,
    /// What found the ring full. No more than one command or one tick brings: see [`Outlet::is_congested`].
    waiting: VecDeque<McuEvent>,
    /// Something went in since the bell was rung.
    unannounced: bool,
    bell: Arc<Bell>,
}

impl Outlet {
    /// Takes an event; it leaves with the next [`Outlet::flush`] at the latest.
    pub(crate) fn report(&mut self, event: McuEvent) {
        if self.is_congested() {
            self.waiting.push_back(event);
        } else {
            self.push(event);
        }
    }

    /// Whether the ring is full. Then whoever can wait should.
    pub(crate) fn is_congested(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Moves on what found no room, and rings if something went in.
    pub(crate) fn flush(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            if !self.push(event) {
                break;
            }
        }
        if std::mem::take(&mut self.unannounced) {
            self.bell.ring();
        }
    }

    fn push(&mut self, event: McuEvent) -> bool {
        match self.ring.push(event) {
            Ok(()) => {
                self.unannounced = true;
                true
            }
            // Nobody takes them any more.
            Err(_) if self.ring.is_abandoned() => true,
            Err(rtrb::PushError::Full(event)) => {
                self.waiting.push_front(event);
                false
            }
        }
    }
}

/// The thread that empties the rings. Dropping it hands on what is still there; the workers should have ended before.
pub(crate) struct Collector {
    stop: Arc<AtomicBool>,
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// Starts the thread; one outlet for each worker, each with room for so many events.
    pub(crate) fn start(events: Arc<Events>, workers: usize, room: usize) -> io::Result<(Self, Vec<Outlet>)> {
        let (stop, bell) = (Arc::new(AtomicBool::new(false)), Arc::new(Bell::new()?));
        let (mut outlets, mut rings) = (Vec::with_capacity(workers), Vec::with_capacity(workers));
        for _ in 0..workers {
            let (ring, out) = rtrb::RingBuffer::new(room.max(1));
            outlets.push(Outlet { ring, waiting: VecDeque::new(), unannounced: false, bell: Arc::clone(&bell) });
            rings.push(out);
        }
        let thread = {
            let (stop, bell) = (Arc::clone(&stop), Arc::clone(&bell));
            let collect = move || run(&events, &mut rings, &bell, &stop);
            std::thread::Builder::new().name("events".to_owned()).spawn(collect)?
        };
        Ok((Self { stop, bell, thread: Some(thread) }, outlets))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.bell.ring();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the media side's events ended by a defect");
        }
    }
}

fn run(events: &Events, rings: &mut [rtrb::Consumer<McuEvent>], bell: &Bell, stop: &AtomicBool) {
    loop {
        // Asked first, so that what was put in before the end is taken out.
        let ends = stop.load(Ordering::Acquire);
        for (worker, ring) in rings.iter_mut().enumerate() {
            // Only what is here now, so that each worker has its turn; the bell has rung for what comes meanwhile.
            for _ in 0..ring.slots() {
                if let Ok(event) = ring.pop() {
                    events.report(worker, event);
                }
            }
        }
        if ends {
            return;
        }
        bell.wait(None);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use base::LegId;

    use super::*;

    #[test]
    fn events_keep_their_order_and_none_is_lost_when_the_ring_is_full() {
        let (sender, told) = channel();
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().expect("fresh");
        let sink: EventSink = {
            let gate = Arc::clone(&gate);
            Box::new(move |event| {
                drop(gate.lock());
                drop(sender.send(event));
            })
        };
        let (collector, mut outlets) = Collector::start(Arc::new(Events::new(1, sink)), 1, 4).expect("a thread");
        let mut outlet = outlets.pop().expect("one worker");
        let event = |leg| McuEvent::MediaStarted { leg: LegId(leg) };
        (0..20).for_each(|leg| outlet.report(event(leg)));
        assert!(outlet.is_congested(), "one is with the sink, four are in the ring");
        outlet.flush();
        drop(closed);
        while outlet.is_congested() {
            outlet.flush();
            std::thread::yield_now();
        }
        outlet.flush();
        drop(collector);
        assert_eq!(told.iter().take(20).collect::<Vec<_>>(), (0..20).map(event).collect::<Vec<_>>());
    }
}
