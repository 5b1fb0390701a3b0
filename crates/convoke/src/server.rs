//! A running server: the adapters, the engine, and the order in which they start and stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::Engine;
use media_io::{FoundLanguage, MediaServer};
use sip::Edge;
use store::Store;
use tokio::sync::{mpsc, oneshot};

use crate::calendar::Calendar;
use crate::clock::Clock;
use crate::config::{Config, GroupSounds};
use crate::guard::Guards;
use crate::http::{self, Api};
use crate::journal::Journal;
use crate::profiles::{self, Users};
use crate::pump::{self, Question, Sinks, Sources};
use crate::registrations::{self, Keeper};
use crate::storage::{self, StorageQueue};
use crate::watch::{Gauges, Watch};
use crate::{assemble, seed, trusted};

/// Questions that may wait for the engine.
const QUESTIONS: usize = 64;

/// How long conferences and calls may take to end in order when the server stops.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// How much of that callers of response groups may listen to their last words.
const LAST_WORDS: Duration = Duration::from_millis(2_500);

/// A running server.
pub(crate) struct Server {
    edge: Arc<Edge>,
    store: Store,
    storage: StorageQueue,
    questions: mpsc::Sender<Question>,
    ready: Arc<AtomicBool>,
    http: SocketAddr,
    /// Given back last, when everything they guard is closed.
    _guards: Guards,
}

/// Starts everything, on the languages that were found in `languages_dir`; on return the server takes calls. The error names
/// what could not be had and what to do.
pub(crate) async fn start(config: &Config, languages: Vec<FoundLanguage>) -> Result<Server, String> {
    let guards = Guards::take(config)?;
    let clock = Clock::start();
    let calendar = Calendar::start_now();
    let listener = http::bind(config.http.listen).await.map_err(|error| {
        format!("http.listen = {}: {error}; free the port or choose another address", config.http.listen)
    })?;
    let http = listener.local_addr().map_err(|error| format!("http.listen: {error}"))?;
    let store = open_store(config).await?;
    let stored = storage::load(&store, calendar).await.map_err(|error| error.to_string())?;
    let (storage, answers) = StorageQueue::start(store.clone(), calendar);

    let (mcu_events, mcu) = mpsc::channel(base::Limits::default().media_events);
    // It waits for room. The pump is gone only when the process ends; then nobody wants the event.
    let sink = Box::new(move |event| drop(mcu_events.blocking_send(event)));
    let sounds = GroupSounds::of_server(config, &languages);
    let media_config = assemble::media_config(config, languages, clock);
    let media = MediaServer::start(media_config, assemble::codecs(config), sink).map_err(|error| error.to_string())?;
    let media = Arc::new(media);
    let (sip_events, sip) = mpsc::channel(base::Limits::default().engine_queue);
    let credentials = Arc::new(assemble::Accounts::new(config));
    let trusted = trusted::peers(config).await;
    let kept = registrations::load(&store, config, calendar).await.map_err(|error| error.to_string())?;
    let keeper: Arc<dyn sip::RegistrationKeeper> = Arc::new(Keeper { storage: storage.clone(), calendar });
    let kept = sip::Registrations { kept, keeper: Some(keeper) };
    let edge = sip::start(assemble::sip_config(config, trusted.clone()), credentials, kept, sip_events).await;
    let edge = Arc::new(edge.map_err(|error| error.to_string())?);

    let mut directory = assemble::directory(config, stored)?;
    for (trunk, address) in trusted::places(config).await {
        directory.set_trunk_address(trunk, address);
    }
    let changed = profiles::load(&store, config).await.map_err(|error| error.to_string())?;
    profiles::apply(changed, &mut directory);
    let mut engine = Engine::new(assemble::engine_config(config, calendar, trusted), directory, seed::fresh()?);
    for trunk in config.trunks.iter().filter(|trunk| trunk.register) {
        engine.register_at_trunk(&trunk.name);
    }
    for (user, missed) in store.unseen_missed_calls().await.map_err(|error| error.to_string())? {
        engine.restore_missed_calls(user, missed);
    }
    let journal = open_groups(config, &mut engine, clock)?;
    let (questions, asked) = mpsc::channel(QUESTIONS);
    let gauges = Arc::new(Gauges::new(Arc::clone(&edge), Arc::clone(&media), storage.tally()));
    let sources = Sources { sip, mcu, stored: answers, questions: asked };
    let sinks = Sinks {
        edge: Arc::clone(&edge),
        journal,
        media: Arc::clone(&media),
        storage: storage.clone(),
        watch: Watch::new(Arc::clone(&gauges)),
    };
    tokio::spawn(pump::run(engine, clock, sources, sinks));

    let ready = Arc::new(AtomicBool::new(true));
    let users = Users::new(store.clone(), questions.clone(), config);
    let api = Api { questions: questions.clone(), ready: Arc::clone(&ready), gauges, users, sounds };
    let served = config.http.clone();
    tokio::spawn(async move { http::serve(listener, api, &served).await });
    Ok(Server { edge, store, storage, questions, ready, http, _guards: guards })
}

/// Opens the response groups on what their journal says; phones that still ring for callers of an earlier process are
/// silenced as soon as the engine runs.
fn open_groups(config: &Config, engine: &mut Engine, clock: Clock) -> Result<Journal, String> {
    let (journal, records) = Journal::open(&config.data_dir)?;
    match journal.torn_bytes() {
        _ if !records.is_empty() || config.response_groups.is_empty() => {}
        0 => tracing::info!("the response groups' journal begins with this start"),
        torn_bytes => tracing::warn!(
            torn_bytes,
            "the response groups' journal holds nothing but a torn line: no sign-in, pause, change at run time or caller of an earlier process is known"
        ),
    }
    let groups = response_group::Config { groups: config.response_groups.clone(), ..Default::default() };
    engine.open_groups(clock.now(), groups, &records).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    Ok(journal)
}

async fn open_store(config: &Config) -> Result<Store, String> {
    Store::open(&config.database_url()).await.map_err(|error| error.to_string())
}

impl Server {
    /// The addresses the SIP edge listens on.
    pub(crate) fn sip_addresses(&self) -> Vec<sip::ListenAddress> {
        self.edge.local_addresses()
    }

    /// The address of the HTTP side.
    pub(crate) fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// Takes no new work and waits until nobody is in a conference, but not for longer than `limit`.
    pub(crate) async fn drain(&self, limit: Duration) {
        self.ready.store(false, Ordering::Release);
        // Without the engine there is nothing to drain.
        drop(self.questions.send(Question::Drain).await);
        let deadline = tokio::time::Instant::now() + limit;
        while self.busy().await.0 > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Ends every conference in order, then everything else.
    pub(crate) async fn stop(self) {
        self.ready.store(false, Ordering::Release);
        // Callers of response groups are told that they are hung up, if there is time. The second time nobody is waited
        // for any more, and what ended meanwhile is written down.
        self.stop_and_wait(LAST_WORDS).await;
        self.stop_and_wait(STOP_GRACE - LAST_WORDS).await;
        self.storage.flush().await;
        self.edge.shutdown().await;
        self.store.close().await;
    }

    /// Has the engine end everything. The last BYEs are retransmitted until they are answered, and the last records reach
    /// the disk, but nothing is waited for longer than `limit`.
    async fn stop_and_wait(&self, limit: Duration) {
        // The engine task has ended only if a source was closed before; then there is nothing to stop.
        drop(self.questions.send(Question::Stop).await);
        let deadline = tokio::time::Instant::now() + limit;
        while self.busy().await != (0, 0) && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Legs that live, and last words of ours that wait for their answer.
    async fn busy(&self) -> (usize, usize) {
        let (reply, answer) = oneshot::channel();
        if self.questions.send(Question::Load(reply)).await.is_err() {
            return (0, 0);
        }
        answer.await.map_or((0, 0), |load| (load.legs, load.last_words))
    }
}
