//! The media side as the control side holds it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use base::{ConferenceId, Timestamp};
use mcu::{Playlist, Recorder};
use mcu_api::{Background, LegFailure, McuCommand, McuEvent};
use mixer::CodecFactory;

use crate::config::MediaConfig;
use crate::counters::{MediaCounters, SharedCounters};
use crate::events::{Collector, EventSink, Events};
use crate::library::Library;
use crate::ports::PortPool;
use crate::recording::{Recordings, refusal};
use crate::routes::Route;
use crate::sys::{self, Bell};
use crate::worker::{self, Setup};

/// Why the media side could not start.
#[derive(Debug)]
pub struct StartError(io::Error);

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the media workers could not be started: {}", self.0)
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

/// The media side: conferences on worker threads.
///
/// Commands go in by [`MediaServer::send`], in order for each conference; events come out through the sink given at the
/// start. Dropping it ends all conferences, with their events, and waits for the workers.
pub struct MediaServer {
    control: Mutex<Control>,
    events: Arc<Events>,
    workers: Vec<Worker>,
    /// Ends after the workers, whose last events it hands on.
    _collector: Collector,
    /// Where the time begins.
    epoch: Instant,
    library: Library,
    /// Ends after the workers, whose recordings it completes.
    recordings: Recordings,
}

/// What only the sender of a command touches.
struct Control {
    queues: Vec<rtrb::Producer<Order>>,
}

/// A command on its way to a worker, with what it needs that another thread provides.
pub(crate) struct Order {
    pub(crate) command: McuCommand,
    /// When it was given.
    pub(crate) at: Timestamp,
    /// The sounds of what is to be said or played.
    pub(crate) sound: Option<Arc<Playlist>>,
    /// Where the sound of the conference goes that is recorded.
    pub(crate) recorder: Option<Box<dyn Recorder>>,
}

struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What a worker shares with others.
pub(crate) struct Shared {
    pub(crate) bell: Bell,
    pub(crate) stop: AtomicBool,
    /// Commands were placed since the bell was last rung.
    unheard: AtomicBool,
    pub(crate) counters: SharedCounters,
    /// Conferences whose commands no longer fitted into the queue.
    overflowed: Mutex<Vec<ConferenceId>>,
    /// There are some, so that the worker need not take the lock to see that there are none.
    has_overflowed: AtomicBool,
}

impl MediaServer {
    /// Starts the workers. Opens no port yet.
    ///
    /// # Errors
    /// [`StartError`] when the system refuses a thread or a descriptor.
    pub fn start(config: MediaConfig, codecs: Arc<dyn CodecFactory>, sink: EventSink) -> Result<Self, StartError> {
        match sys::raise_descriptor_limit() {
            Ok(limit) => tracing::debug!(limit, "open files"),
            Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
        }
        let count = config.workers.max(1);
        let events = Arc::new(Events::new(count, sink));
        let (collector, outlets) = Collector::start(Arc::clone(&events), count, config.limits.worker_events)?;
        let ports = Arc::new(PortPool::new(config.address, config.ports.clone(), config.dscp));
        let (library, sounds) = Library::start(
            config.prompts_dir.clone(),
            &config.languages,
            config.language.as_deref(),
            Arc::clone(&codecs),
        )?;
        let sounds = Arc::new(sounds);
        let recordings = Recordings::start(config.recordings_dir.clone(), Arc::clone(&codecs), Arc::clone(&events))?;
        let mut queues = Vec::with_capacity(count);
        let mut workers = Vec::with_capacity(count);
        for (index, events) in outlets.into_iter().enumerate() {
            let (queue, commands) = rtrb::RingBuffer::new(config.limits.worker_queue.max(1));
            let shared = Arc::new(Shared::new()?);
            let setup = Setup {
                index,
                config: config.clone(),
                codecs: Arc::clone(&codecs),
                sounds: Arc::clone(&sounds),
                ports: Arc::clone(&ports),
                events,
                shared: Arc::clone(&shared),
                commands,
            };
            let thread = worker::spawn(setup)?;
            queues.push(queue);
            workers.push(Worker { shared, thread: Some(thread) });
        }
        let (control, epoch) = (Mutex::new(Control { queues }), config.epoch);
        Ok(Self { control, events, workers, _collector: collector, epoch, library, recordings })
    }

    /// As [`MediaServer::place`], and the worker is woken; what a command is refused with goes to the sink.
    pub fn send(&self, command: McuCommand) {
        if let Err(refused) = self.place(command) {
            self.events.tell(refused);
        }
        self.wake();
    }

    /// Wakes the workers that commands were placed for. A worker between two ticks sleeps, and being woken costs more than
    /// most commands do, so that several of one moment share it.
    pub fn wake(&self) {
        for worker in &self.workers {
            if worker.shared.unheard.swap(false, Ordering::AcqRel) {
                worker.shared.bell.ring();
            }
        }
    }

    /// Puts a command before the worker of its conference, which sees it at its next tick or after [`MediaServer::wake`],
    /// whichever is first; a worker without conferences has no ticks. Never blocks for long. A command about something that
    /// has ended meanwhile is dropped; one that no longer fits into the worker's queue ends its conference. One that is
    /// refused at once gives back the event that says why: whoever takes the sink's events could not wait for room there.
    pub fn place(&self, command: McuCommand) -> Result<(), McuEvent> {
        // The lock is held until the command is in the queue, so that two senders' commands of one conference keep
        // their order.
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = |worker: usize| self.workers[worker].shared.counters.busy_per_mille_max.get();
        let route = self.events.routes().route(&command, busy);
        match route {
            Route::Nowhere => {
                if let McuCommand::StartRecording { conference, name, .. } = &command {
                    return Err(refusal(conference, name, "there is no such conference"));
                }
            }
            Route::NoConference(leg) => {
                return Err(McuEvent::LegFailed { leg, failure: LegFailure::NoConference });
            }
            Route::To(worker, conference) => {
                let shared = &self.workers[worker].shared;
                let order = self.order(command)?;
                if control.queues[worker].push(order).is_err() {
                    shared.counters.commands_refused.add(1);
                    shared.note_overflow(conference);
                }
                shared.unheard.store(true, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Asks for what a command needs.
    fn order(&self, command: McuCommand) -> Result<Order, McuEvent> {
        let sound = match &command {
            McuCommand::Announce { announcement, .. } | McuCommand::AnnounceToAll { announcement, .. } => {
                Some(self.library.announcement(announcement))
            }
            McuCommand::SetBackground { background: Background::File(name), .. } => Some(self.library.music(name)),
            _ => None,
        };
        let at = Timestamp::ZERO + self.epoch.elapsed();
        let recorder = match &command {
            McuCommand::StartRecording { conference, name, format } => {
                Some(self.recordings.begin(at, conference, name, *format)?)
            }
            _ => None,
        };
        Ok(Order { command, at, sound, recorder })
    }

    /// What was counted since the start, over all workers.
    pub fn counters(&self) -> MediaCounters {
        let mut sum = MediaCounters::default();
        self.workers.iter().for_each(|worker| worker.shared.counters.add_to(&mut sum));
        sum
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.bell.ring();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a media worker ended by a defect");
        }
    }
}

impl Shared {
    fn new() -> io::Result<Self> {
        Ok(Self {
            bell: Bell::new()?,
            stop: AtomicBool::new(false),
            unheard: AtomicBool::new(false),
            counters: SharedCounters::default(),
            overflowed: Mutex::new(Vec::new()),
            has_overflowed: AtomicBool::new(false),
        })
    }

    /// The conferences whose commands no longer fitted into the queue; none is named again.
    pub(crate) fn take_overflowed(&self) -> Vec<ConferenceId> {
        if !self.has_overflowed.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut *self.overflowed())
    }

    fn note_overflow(&self, conference: ConferenceId) {
        let mut overflowed = self.overflowed();
        if !overflowed.contains(&conference) {
            overflowed.push(conference);
        }
        self.has_overflowed.store(true, Ordering::Release);
    }

    fn overflowed(&self) -> MutexGuard<'_, Vec<ConferenceId>> {
        self.overflowed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
