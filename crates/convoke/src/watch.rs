//! Interim watch.
use crate::config::Config;
use crate::pump::Load;
use crate::storage::StorageQueue;
use engine::EngineEvent;
use media_io::MediaServer;
use sip::Edge;
use std::sync::Arc;

pub(crate) struct Gauges {
    edge: Arc<Edge>,
    media: Arc<MediaServer>,
}
impl Gauges {
    pub(crate) fn new(edge: Arc<Edge>, media: Arc<MediaServer>) -> Self {
        Self { edge, media }
    }
    pub(crate) fn render(&self, load: &Load) -> String {
        format!("convoke_conferences {}\n{:?}\n{:?}\n", load.conferences, self.edge.counters(), self.media.counters())
    }
}
pub(crate) struct Watch {}
impl Watch {
    pub(crate) fn new(_gauges: Arc<Gauges>) -> Self {
        Self {}
    }
    pub(crate) fn note(&self, event: EngineEvent, storage: &StorageQueue) {
        tracing::info!(?event, "event");
        if let EngineEvent::LegEnded(record) = &event {
            storage.record(record);
        }
    }
}
pub(crate) fn start_log(_: &Config) {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
}
