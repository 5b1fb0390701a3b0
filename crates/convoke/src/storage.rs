//! The queue in front of the database: one task writes, in order, and answers when it is on the disk.

use base::{ConferenceId, Timestamp};
use engine::{LegRecord, StoreCommand, StoreTicket};
use focus::{ConferenceRecord, Pin};
use store::{Cdr, CdrDirection, Quality, Store, UnixMillis};
use tokio::sync::mpsc;

use crate::calendar::Calendar;

/// Jobs that may wait for the disk; a further conference is refused, a further call detail record is logged instead.
const QUEUE: usize = 10_000;

enum Job {
    Conference(StoreTicket, StoreCommand),
    Cdr(Box<Cdr>),
}

/// The entrance of the queue.
#[derive(Clone)]
pub(crate) struct StorageQueue {
    jobs: mpsc::Sender<Job>,
    answers: mpsc::UnboundedSender<(StoreTicket, bool)>,
    calendar: Calendar,
}

impl StorageQueue {
    /// Starts the writing task. Its answers come out of the receiver.
    pub(crate) fn start(store: Store, calendar: Calendar) -> (Self, mpsc::UnboundedReceiver<(StoreTicket, bool)>) {
        let (jobs, mut queue) = mpsc::channel(QUEUE);
        let (answers, receiver) = mpsc::unbounded_channel();
        let done = answers.clone();
        tokio::spawn(async move {
            while let Some(job) = queue.recv().await {
                match job {
                    Job::Conference(ticket, command) => {
                        let result = write_conference(&store, &command, calendar).await;
                        if let Err(error) = &result {
                            tracing::error!(%error, "a conference could not be stored");
                        }
                        // The engine may be gone already; then nobody waits.
                        drop(done.send((ticket, result.is_ok())));
                    }
                    Job::Cdr(cdr) => write_cdr(&store, &cdr).await,
                }
            }
        });
        (Self { jobs, answers, calendar }, receiver)
    }

    /// Stores a change of a conference; the answer comes when it lasts, or at once when the queue is full.
    pub(crate) fn store(&self, ticket: StoreTicket, command: StoreCommand) {
        if self.jobs.try_send(Job::Conference(ticket, command)).is_err() {
            tracing::error!("the storage queue is full; a conference was refused");
            drop(self.answers.send((ticket, false)));
        }
    }

    /// Stores the call detail record of an answered leg.
    pub(crate) fn record(&self, leg: &LegRecord) {
        let Some(connected) = leg.connected else { return };
        let cdr = Box::new(cdr(leg, connected, self.calendar));
        if let Err(error) = self.jobs.try_send(Job::Cdr(cdr)) {
            tracing::error!(%error, leg = %leg.leg, "a call detail record could not be queued");
        }
    }
}

async fn write_conference(store: &Store, command: &StoreCommand, calendar: Calendar) -> Result<(), store::StoreError> {
    match command {
        StoreCommand::SaveConference { record, expiry } => {
            store.save_conference(&row(record, *expiry, calendar.now())).await
        }
        StoreCommand::DeleteConference(id) => store.delete_conference(id).await.map(drop),
    }
}

async fn write_cdr(store: &Store, cdr: &Cdr) {
    if let Err(error) = store.append_cdrs(std::slice::from_ref(cdr)).await {
        tracing::error!(%error, segment = %cdr.segment_id, "a call detail record could not be stored");
    }
}

fn cdr(leg: &LegRecord, connected: Timestamp, calendar: Calendar) -> Cdr {
    let statistics = leg.statistics;
    Cdr {
        segment_id: format!("{}-{}", calendar.start(), leg.leg),
        conference: Some(leg.conference.clone()),
        call: leg.leg.0,
        sip_call_id: String::new(),
        direction: if leg.dialled { CdrDirection::Outbound } else { CdrDirection::Inbound },
        user: Some(leg.peer.clone()),
        requested_by: None,
        dialled: None,
        number: None,
        trunk: None,
        started: calendar.millis(leg.since),
        answered: calendar.millis(connected),
        ended: calendar.millis(leg.ended),
        duration_ms: u64::try_from(leg.ended.since(connected).as_millis()).unwrap_or(u64::MAX),
        termination: leg.termination,
        sip_status: None,
        codec: None,
        encrypted: false,
        quality: Quality {
            received_packets: statistics.received_packets,
            sent_packets: statistics.sent_packets,
            lost_packets: statistics.lost_packets,
            late_packets: statistics.late_packets,
            concealed_frames: statistics.concealed_frames,
            jitter_us: statistics.jitter_us,
            round_trip_us: statistics.round_trip_us,
        },
    }
}

fn row(record: &ConferenceRecord, expiry: Option<UnixMillis>, now: UnixMillis) -> store::ConferenceRecord {
    store::ConferenceRecord {
        id: record.id.clone(),
        organizer: record.organizer.clone(),
        subject: record.subject.clone().unwrap_or_default(),
        description: String::new(),
        access: record.access,
        pin: record.pin.as_ref().map(|pin| base::Pii::new(pin.expose())),
        number: record.number.clone(),
        expiry,
        version: u64::try_from(now).unwrap_or(0),
        invited: record.invited.iter().map(|(user, role)| store::Invited { user: user.clone(), role: *role }).collect(),
        locked: record.locked,
        personal: false,
        lobby: false,
        organizer_data: String::new(),
        notification_data: String::new(),
        created: now,
        updated: now,
    }
}

/// Every stored conference, as the engine knows it.
pub(crate) async fn load(store: &Store) -> Result<Vec<ConferenceRecord>, store::StoreError> {
    Ok(store.load_all().await?.into_iter().map(record).collect())
}

fn record(row: store::ConferenceRecord) -> ConferenceRecord {
    ConferenceRecord {
        id: row.id,
        number: row.number,
        organizer: row.organizer,
        organizer_name: None,
        subject: Some(row.subject).filter(|subject| !subject.is_empty()),
        access: row.access,
        pin: row.pin.and_then(|pin| Pin::parse(pin.expose()).ok()),
        invited: row.invited.into_iter().map(|invited| (invited.user, invited.role)).collect(),
        locked: row.locked,
        attendees_may_dial_out: false,
    }
}

/// The id of a permanent conference, made of its number: the same at every start.
pub(crate) fn permanent_id(number: &base::ConferenceNumber) -> ConferenceId {
    ConferenceId::parse(&format!("PERMANENT{:0>15}", number.as_str())).expect("9 letters and 15 digits make an id")
}
