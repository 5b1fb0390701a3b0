//! The queue in front of the database: one task writes, in order, and answers when it is on the disk.

mod batch;
mod group;

use std::time::Duration;

use base::{ConversationEntry, Termination, Timestamp, UserUri};
use engine::{CallRecord, GroupCallRecord, LegRecord, Schedule, StoreCommand, StoreTicket};
use focus::{ConferenceRecord, Lobby, Pin};
use store::{Cdr, CdrDirection, Quality, RegistrationRow, Store, UnixMillis};
use tokio::sync::{mpsc, oneshot};

use self::batch::{Batch, Record};
use crate::calendar::Calendar;

/// Jobs that may wait for the disk; a further conference is refused, a further record is logged instead.
const QUEUE: usize = 10_000;

/// How long a call's record waits for those of other calls, so that they share one transaction. Whoever waits for the
/// disk, a conference or the end of the server, cuts it short.
const GATHERING: Duration = Duration::from_millis(50);

enum Job {
    Conference(StoreTicket, StoreCommand),
    Record(Record),
    /// Everything before this is on the disk.
    Flush(oneshot::Sender<()>),
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
        // Bounded by construction: each answer belongs to a change the engine asked for on behalf of a request that is not
        // answered yet, or of a conference that ends, and `Limits` bounds both (`transactions`, `conferences`).
        let (answers, receiver) = mpsc::unbounded_channel();
        let done = answers.clone();
        tokio::spawn(async move {
            let mut left = None;
            while let Some(job) = next_job(&mut left, &mut queue).await {
                match job {
                    Job::Conference(ticket, command) => {
                        let result = write_conference(&store, &command, calendar).await;
                        if let Err(error) = &result {
                            tracing::error!(%error, "a conference could not be stored");
                        }
                        // The engine may be gone already; then nobody waits.
                        let _nobody_waits = done.send((ticket, result.is_ok()));
                    }
                    Job::Record(first) => {
                        let mut batch = Batch::default();
                        batch.add(first);
                        left = gather(&mut batch, &mut queue).await;
                        batch.write(&store).await;
                    }
                    Job::Flush(done) => {
                        let _nobody_waits = done.send(());
                    }
                }
            }
        });
        (Self { jobs, answers, calendar }, receiver)
    }

    /// Stores a change of a conference; the answer comes when it lasts, or at once when the queue is full.
    pub(crate) fn store(&self, ticket: StoreTicket, command: StoreCommand) {
        if self.jobs.try_send(Job::Conference(ticket, command)).is_err() {
            tracing::error!("the storage queue is full; a conference was refused");
            let _nobody_waits = self.answers.send((ticket, false));
        }
    }

    /// Waits until everything queued so far is on the disk.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.jobs.send(Job::Flush(done)).await.is_ok() {
            // The writing task answers or has ended; either way nothing is left to wait for.
            let _ended = flushed.await;
        }
    }

    /// Stores the call detail record of a conference leg, if it was answered.
    pub(crate) fn record_leg(&self, leg: &LegRecord) {
        if let Some(connected) = leg.connected {
            self.record(leg_cdr(leg, connected, self.calendar));
        }
    }

    /// Stores the call detail record of a call between two people.
    pub(crate) fn record_call(&self, call: &CallRecord) {
        self.record(call_cdr(call, self.calendar));
    }

    /// Stores a group's call: one record for each part of it, at least one.
    pub(crate) fn record_group_call(&self, call: &GroupCallRecord) {
        group::cdrs(call).into_iter().for_each(|cdr| self.record(cdr));
    }

    /// Stores one line of a user's call history.
    pub(crate) fn record_conversation(&self, entry: ConversationEntry) {
        self.queue(Record::Conversation(Box::new(entry)));
    }

    /// Stores which devices a user has registered now.
    pub(crate) fn keep_registrations(&self, user: UserUri, devices: Vec<RegistrationRow>) {
        self.queue(Record::Registrations(user, devices));
    }

    fn record(&self, cdr: Cdr) {
        self.queue(Record::Cdr(Box::new(cdr)));
    }

    fn queue(&self, record: Record) {
        if let Err(error) = self.jobs.try_send(Job::Record(record)) {
            tracing::error!(%error, "what a call or a registration leaves could not be queued");
        }
    }
}

/// The job that was taken out too early, else the next one.
async fn next_job(left: &mut Option<Job>, queue: &mut mpsc::Receiver<Job>) -> Option<Job> {
    match left.take() {
        Some(job) => Some(job),
        None => queue.recv().await,
    }
}

/// Takes the records of the next moments; gives back the job that ended the row of them.
async fn gather(batch: &mut Batch, queue: &mut mpsc::Receiver<Job>) -> Option<Job> {
    let end = tokio::time::sleep(GATHERING);
    tokio::pin!(end);
    while !batch.is_full() {
        let job = tokio::select! {
            biased;
            job = queue.recv() => job,
            () = &mut end => return None,
        };
        match job? {
            Job::Record(record) => batch.add(record),
            other => return Some(other),
        }
    }
    None
}

async fn write_conference(store: &Store, command: &StoreCommand, calendar: Calendar) -> Result<(), store::StoreError> {
    match command {
        StoreCommand::SaveConference(schedule) => store.save_conference(&row(schedule, calendar.now())).await,
        StoreCommand::DeleteConference(id) => store.delete_conference(id).await.map(drop),
    }
}

fn leg_cdr(leg: &LegRecord, connected: Timestamp, calendar: Calendar) -> Cdr {
    Cdr {
        conference: Some(leg.conference.clone()),
        direction: if leg.dialled { CdrDirection::Outbound } else { CdrDirection::Inbound },
        user: leg.user.clone(),
        claimed: leg.claimed.clone(),
        dialled: leg.address.clone().map(base::Pii::new),
        sip_call_id: leg.call_id.clone().unwrap_or_default(),
        codec: leg.codec.map(|codec| codec_name(codec).to_owned()),
        encrypted: leg.encrypted,
        quality: quality(&leg.statistics),
        ..segment(leg.leg.0, [leg.since, connected, leg.ended], leg.termination, calendar)
    }
}

fn quality(statistics: &mcu_api::LegStatistics) -> Quality {
    Quality {
        received_packets: statistics.received_packets,
        sent_packets: statistics.sent_packets,
        lost_packets: statistics.lost_packets,
        late_packets: statistics.late_packets,
        concealed_frames: statistics.concealed_frames,
        jitter_us: statistics.jitter_us,
        buffer_delay_us: statistics.buffer_delay_us,
        buffer_delay_max_us: statistics.buffer_delay_max_us,
        round_trip_us: statistics.round_trip_us,
        mos_hundredths: statistics.mos_hundredths,
        remote_loss_fraction: statistics.remote_loss_fraction,
        one_way: statistics.one_way,
    }
}

/// The encoding name of RFC 3551 and RFC 7587.
const fn codec_name(codec: mcu_api::Codec) -> &'static str {
    match codec {
        mcu_api::Codec::Opus => "opus",
        mcu_api::Codec::Pcmu => "PCMU",
        mcu_api::Codec::Pcma => "PCMA",
    }
}

fn call_cdr(call: &CallRecord, calendar: Calendar) -> Cdr {
    Cdr {
        direction: CdrDirection::Outbound,
        user: Some(call.callee.clone()),
        requested_by: Some(call.caller.clone()),
        ..segment(call.call.0, [call.since, call.connected, call.ended], call.termination, calendar)
    }
}

fn segment_of_nobody(termination: Termination) -> Cdr {
    segment(0, [Timestamp::ZERO; 3], termination, Calendar::start_now())
}

/// What every record has: a segment id that no other start of any server gives, times, and the end.
fn segment(id: u64, times: [Timestamp; 3], termination: Termination, calendar: Calendar) -> Cdr {
    let [since, connected, ended] = times;
    Cdr {
        segment_id: format!("{}-{id}", calendar.start()),
        conference: None,
        call: id,
        sip_call_id: String::new(),
        direction: CdrDirection::Inbound,
        user: None,
        claimed: None,
        requested_by: None,
        dialled: None,
        number: None,
        trunk: None,
        started: calendar.millis(since),
        answered: calendar.millis(connected),
        ended: calendar.millis(ended),
        duration_ms: u64::try_from(ended.since(connected).as_millis()).unwrap_or(u64::MAX),
        termination,
        sip_status: None,
        codec: None,
        encrypted: false,
        quality: Quality::default(),
        segment: None,
        outcome: None,
    }
}

fn row(schedule: &Schedule, now: UnixMillis) -> store::ConferenceRecord {
    let record = &schedule.record;
    store::ConferenceRecord {
        id: record.id.clone(),
        organizer: record.organizer.clone(),
        subject: record.subject.clone().unwrap_or_default(),
        description: schedule.description.clone().unwrap_or_default(),
        access: record.access,
        pin: record.pin.as_ref().map(|pin| base::Pii::new(pin.expose())),
        number: record.number.clone(),
        expiry: schedule.expiry,
        version: schedule.version,
        invited: record.invited.iter().map(|(user, role)| store::Invited { user: user.clone(), role: *role }).collect(),
        locked: record.locked,
        personal: false,
        lobby: record.lobby != Lobby::Off,
        phones_pass_lobby: record.lobby == Lobby::PhonesPass,
        promote_authenticated: record.promote_authenticated,
        organizer_data: schedule.organizer_data.clone().unwrap_or_default(),
        notification_data: schedule.notification_data.clone().unwrap_or_default(),
        created: now,
        updated: now,
    }
}

/// Every stored conference, as the engine knows it. Those whose time is over are deleted (c3p.md 8.1).
pub(crate) async fn load(store: &Store, calendar: Calendar) -> Result<Vec<Schedule>, store::StoreError> {
    let now = calendar.now();
    let mut records = Vec::new();
    for row in store.load_all().await? {
        if row.expiry.is_some_and(|expiry| expiry < now) {
            store.delete_conference(&row.id).await?;
        } else {
            records.push(schedule(row));
        }
    }
    Ok(records)
}

fn schedule(row: store::ConferenceRecord) -> Schedule {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Schedule {
        version: row.version,
        expiry: row.expiry,
        updated: Some(row.updated),
        description: text(&row.description),
        organizer_data: text(&row.organizer_data),
        notification_data: text(&row.notification_data),
        record: record(row),
    }
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
        // The configuration's word, of this start and not of the one that stored it.
        attendees_may_dial_out: false,
        lobby: match (row.lobby, row.phones_pass_lobby) {
            (false, _) => Lobby::Off,
            (true, false) => Lobby::On,
            (true, true) => Lobby::PhonesPass,
        },
        promote_authenticated: row.promote_authenticated,
    }
}
