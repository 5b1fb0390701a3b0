//! The queue in front of the database: one task writes, in order, and answers when it is on the disk.

mod backlog;
mod batch;
mod group;

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{CallId, ConversationEntry, Pii, Termination, Timestamp, UserUri};
use engine::{
    CallRecord, Expiry, GroupCallRecord, GroupLegRecord, GroupVisit, LegRecord, Schedule, StoreCommand, StoreTicket,
};
use focus::{ConferenceRecord, Lobby, Pin};
use store::{CDR_TEXT_MAX, Cdr, CdrDirection, EModel, Quality, RegistrationRow, Store, UnixMillis};
use tokio::sync::{mpsc, oneshot};

use self::backlog::Backlog;
pub(crate) use self::backlog::CdrTally;
use self::batch::{Batch, Left, Record};
use crate::calendar::Calendar;

/// Jobs that may wait for the disk; a further conference is refused, a further record is logged instead.
const QUEUE: usize = 10_000;

/// Call detail records kept while the disk refuses them; for a further one the oldest is logged and given up.
const BACKLOG: usize = 10_000;

/// How long a call's record waits for those of other calls, so that they share one transaction; `kill -9` loses what waits.
/// Whoever waits for the disk, a conference or the end of the server, cuts it short.
const GATHERING: Duration = Duration::from_millis(200);

enum Job {
    Conference(StoreTicket, StoreCommand),
    Record(Record),
    /// It is time to try what the disk refused.
    Retry,
    /// Everything before this is on the disk or, if it cannot be, in the log.
    Flush(oneshot::Sender<()>),
}

/// What the store has done.
pub(crate) enum Stored {
    /// A change of a conference lasts, or does not.
    Conference(StoreTicket, bool),
    /// These calls of response groups have left all they leave.
    GroupCalls(Vec<CallId>),
    /// So have these of supervisors and to feature codes.
    GroupVisits(Vec<String>),
}

/// The entrance of the queue.
#[derive(Clone)]
pub(crate) struct StorageQueue {
    jobs: mpsc::Sender<Job>,
    answers: mpsc::UnboundedSender<Stored>,
    calendar: Calendar,
    tally: Arc<CdrTally>,
}

impl StorageQueue {
    /// Starts the writing task. Its answers come out of the receiver.
    pub(crate) fn start(store: Store, calendar: Calendar) -> (Self, mpsc::UnboundedReceiver<Stored>) {
        let (jobs, mut queue) = mpsc::channel(QUEUE);
        // Bounded by construction: each answer belongs to a change the engine asked for on behalf of a request that is not
        // answered yet, or of a conference that ends, and `Limits` bounds both (`transactions`, `conferences`); or to calls
        // of groups whose records stood in the queue.
        let (answers, receiver) = mpsc::unbounded_channel();
        let done = answers.clone();
        let tally = Arc::new(CdrTally::default());
        let mut backlog = Backlog::new(BACKLOG, Arc::clone(&tally));
        tokio::spawn(async move {
            let mut left = None;
            while let Some(job) = next_job(&mut left, &mut queue, backlog.due()).await {
                match job {
                    Job::Conference(ticket, command) => {
                        let result = write_conference(&store, &command, calendar).await;
                        if let Err(error) = &result {
                            tracing::error!(%error, "a conference could not be stored");
                        }
                        // The engine may be gone already; then nobody waits.
                        let _nobody_waits = done.send(Stored::Conference(ticket, result.is_ok()));
                    }
                    Job::Record(first) => {
                        let mut batch = Batch::default();
                        batch.add(first);
                        left = gather(&mut batch, &mut queue).await;
                        batch.write(&store, &mut backlog).await;
                        tell_of_calls(&done, &mut backlog);
                    }
                    Job::Retry => {
                        backlog.retry(&store, Instant::now()).await;
                        tell_of_calls(&done, &mut backlog);
                    }
                    Job::Flush(flushed) => {
                        backlog.close(&store, Instant::now()).await;
                        tell_of_calls(&done, &mut backlog);
                        let _nobody_waits = flushed.send(());
                    }
                }
            }
        });
        (Self { jobs, answers, calendar, tally }, receiver)
    }

    /// How call detail records fare.
    pub(crate) fn tally(&self) -> Arc<CdrTally> {
        Arc::clone(&self.tally)
    }

    /// Stores a change of a conference; the answer comes when it lasts, or at once when the queue is full.
    pub(crate) fn store(&self, ticket: StoreTicket, command: StoreCommand) {
        if self.jobs.try_send(Job::Conference(ticket, command)).is_err() {
            tracing::error!("the storage queue is full; a conference was refused");
            let _nobody_waits = self.answers.send(Stored::Conference(ticket, false));
        }
    }

    /// Waits until everything queued so far is on the disk. For the end of the server: what the disk does not take then is
    /// given up.
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

    /// Stores a group's call: one record for the whole, and one for each part of it.
    pub(crate) fn record_group_call(&self, call: &GroupCallRecord) {
        self.queue(Record::Group(Left::Call(call.call.call), group::cdrs(call)));
    }

    /// Stores the record of a supervisor's call, or of one to a feature code, if it was answered.
    pub(crate) fn record_group_visit(&self, visit: &GroupVisit, leg: Option<&GroupLegRecord>) {
        let cdr = visit.answered.map(|answered| group::visit_cdr(visit, answered, leg));
        self.queue(Record::Group(Left::Visit(visit.id.clone()), cdr.into_iter().collect()));
    }

    /// Stores a line of a user's call history unless an earlier process did.
    pub(crate) fn record_conversation_again(&self, entry: ConversationEntry) {
        self.queue(Record::ConversationAgain(Box::new(fitting_line(entry))));
    }

    /// Stores one line of a user's call history.
    pub(crate) fn record_conversation(&self, entry: ConversationEntry) {
        self.queue(Record::Conversation(Box::new(fitting_line(entry))));
    }

    /// Stores which devices a user has registered now.
    pub(crate) fn keep_registrations(&self, user: UserUri, devices: Vec<RegistrationRow>) {
        self.queue(Record::Registrations(user, devices));
    }

    fn record(&self, cdr: Cdr) {
        self.queue(Record::Cdr(Box::new(cdr)));
    }

    fn queue(&self, record: Record) {
        let Err(error) = self.jobs.try_send(Job::Record(record)) else { return };
        let why = error.to_string();
        match error.into_inner() {
            Job::Record(Record::Cdr(cdr)) => self.tally.lose(&cdr, "the storage queue is full"),
            Job::Record(Record::Group(_, cdrs)) => {
                cdrs.iter().for_each(|cdr| self.tally.lose(cdr, "the storage queue is full"));
            }
            _ => tracing::error!(why, "what a call or a registration leaves could not be queued"),
        }
    }
}

/// Tells the engine which calls of response groups the disk has. It may be gone already; then its next process asks again.
fn tell_of_calls(answers: &mpsc::UnboundedSender<Stored>, backlog: &mut Backlog) {
    let (mut calls, mut visits) = (Vec::new(), Vec::new());
    for left in backlog.take_stored() {
        match left {
            Left::Call(call) => calls.push(call),
            Left::Visit(id) => visits.push(id),
        }
    }
    if !calls.is_empty() {
        let _nobody_waits = answers.send(Stored::GroupCalls(calls));
    }
    if !visits.is_empty() {
        let _nobody_waits = answers.send(Stored::GroupVisits(visits));
    }
}

/// The job that was taken out too early, else the next one, which may be to try again what the disk refused.
async fn next_job(left: &mut Option<Job>, queue: &mut mpsc::Receiver<Job>, retry: Option<Instant>) -> Option<Job> {
    if let Some(job) = left.take() {
        return Some(job);
    }
    let Some(retry) = retry else { return queue.recv().await };
    // Neither side is first, so that none starves the other.
    tokio::select! {
        job = queue.recv() => job,
        () = tokio::time::sleep_until(retry.into()) => Some(Job::Retry),
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
        StoreCommand::NoteUse(id, used) => store.note_use(id, *used).await,
    }
}

/// What a caller's time with the attendant is called in his record, if he got no further.
const ATTENDANT: &str = "attendant";

fn leg_cdr(leg: &LegRecord, connected: Timestamp, calendar: Calendar) -> Cdr {
    Cdr {
        // The attendant's own conferences are nobody's business.
        conference: Some(leg.conference.clone()).filter(|_| !leg.with_attendant),
        segment: leg.with_attendant.then(|| ATTENDANT.to_owned()),
        sip_status: leg.status,
        direction: if leg.dialled { CdrDirection::Outbound } else { CdrDirection::Inbound },
        user: leg.user.clone(),
        claimed: leg.claimed.clone(),
        dialled: fitting(leg.address.as_deref()).map(Pii::new),
        requested_by: leg.requested_by.clone(),
        number: leg.reached.as_ref().and_then(number),
        trunk: leg.trunk.clone(),
        sip_call_id: fitting(leg.call_id.as_deref()).unwrap_or_default().to_owned(),
        codec: leg.codec.map(|codec| codec_name(codec).to_owned()),
        encrypted: leg.encrypted,
        quality: Some(quality(&leg.statistics)),
        ..segment(leg.leg.0, [leg.since, connected, leg.ended], leg.termination, calendar)
    }
}

fn quality(statistics: &mcu_api::LegStatistics) -> Quality {
    let heard = |value: u32| (statistics.received_packets > 0).then_some(value);
    let is_estimated = statistics.mos_hundredths > 0;
    Quality {
        received_packets: statistics.received_packets,
        sent_packets: statistics.sent_packets,
        lost_packets: statistics.lost_packets,
        late_packets: statistics.late_packets,
        concealed_frames: statistics.concealed_frames,
        jitter_us: heard(statistics.jitter_us),
        buffer_delay_us: heard(statistics.buffer_delay_us),
        buffer_delay_max_us: heard(statistics.buffer_delay_max_us),
        round_trip_us: Some(statistics.round_trip_us).filter(|measured| *measured > 0),
        mos_hundredths: is_estimated.then_some(statistics.mos_hundredths),
        e_model: is_estimated.then(|| e_model(&statistics.e_model)),
        remote_loss_fraction: statistics.remote_loss_fraction,
        one_way: statistics.one_way,
    }
}

fn e_model(of: &mcu_api::EModel) -> EModel {
    EModel {
        r_default_tenths: (mcu_api::EModel::R_DEFAULT * 10.0) as u16,
        ie_tenths: of.equipment_tenths,
        bpl_tenths: of.robustness_tenths,
        ppl_hundredths: of.loss_hundredths,
        burst_r_hundredths: of.burst_ratio_hundredths,
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
        dialled: fitting(call.address.as_deref()).map(Pii::new),
        number: number(&call.callee),
        trunk: call.trunk.clone(),
        sip_call_id: fitting(call.call_id.as_deref()).unwrap_or_default().to_owned(),
        sip_status: call.status,
        ..segment(call.call.0, [call.since, call.connected, call.ended], call.termination, calendar)
    }
}

/// The telephone number that somebody is, if he is one.
fn number(who: &UserUri) -> Option<Pii> {
    who.as_str().starts_with("tel:").then(|| Pii::new(who.user_part()))
}

/// A text of somebody else's, unless it is too long for a record: the rest of the record is worth more.
fn fitting(text: Option<&str>) -> Option<&str> {
    text.filter(|text| text.len() <= CDR_TEXT_MAX)
}

/// A line whose Call-ID, which a caller chooses, is no reason to refuse it.
fn fitting_line(line: ConversationEntry) -> ConversationEntry {
    ConversationEntry { sip_call_id: line.sip_call_id.filter(|call_id| call_id.len() <= CDR_TEXT_MAX), ..line }
}

/// A record that says nothing yet but how it ended.
pub(crate) fn segment_of_nobody(termination: Termination) -> Cdr {
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
        quality: None,
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
        pin: record.pin.as_ref().map(|pin| Pii::new(pin.expose())),
        number: record.number.clone(),
        expiry: match schedule.expiry {
            Expiry::At(time) => Some(time),
            Expiry::Never | Expiry::Unused => None,
        },
        version: schedule.version,
        invited: record.invited.iter().map(|(user, role)| store::Invited { user: user.clone(), role: *role }).collect(),
        locked: record.locked,
        personal: schedule.expiry == Expiry::Never,
        lobby: record.lobby != Lobby::Off,
        phones_pass_lobby: record.lobby == Lobby::PhonesPass,
        promote_authenticated: record.promote_authenticated,
        organizer_data: schedule.organizer_data.clone().unwrap_or_default(),
        notification_data: schedule.notification_data.clone().unwrap_or_default(),
        created: now,
        updated: now,
        used: schedule.used,
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
        expiry: match row.expiry {
            _ if row.personal => Expiry::Never,
            Some(time) => Expiry::At(time),
            None => Expiry::Unused,
        },
        used: row.used,
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

#[cfg(test)]
mod tests {
    use base::{LegId, TerminationReason};

    use super::*;

    #[test]
    fn when_a_conference_is_deleted_comes_back_from_the_store() {
        for expiry in [Expiry::Never, Expiry::At(7), Expiry::Unused] {
            let mut stored = schedule(row(&Schedule::from(record_of("sip:ann@example.com")), 1));
            (stored.expiry, stored.used) = (expiry, 5);
            assert_eq!(schedule(row(&stored, 1)), stored);
        }
    }

    #[test]
    fn the_opinion_of_a_record_can_be_computed_again_and_what_is_unknown_is_empty() {
        let e_model = mcu_api::EModel {
            equipment_tenths: 50,
            robustness_tenths: 251,
            loss_hundredths: 312,
            burst_ratio_hundredths: 170,
        };
        let statistics = mcu_api::LegStatistics {
            received_packets: 900,
            round_trip_us: 30_000,
            mos_hundredths: e_model.mos_hundredths(),
            e_model,
            ..mcu_api::LegStatistics::default()
        };
        let shown = serde_json::to_value(quality(&statistics)).expect("JSON");
        assert_eq!((&shown["round_trip_us"], &shown["jitter_us"]), (&30_000.into(), &0.into()));
        let input = |name: &str, unit: f64| shown["e_model"][name].as_f64().expect(name) / unit;
        let (ie, ppl) = (input("ie_tenths", 10.0), input("ppl_hundredths", 100.0));
        let loss = ppl / (ppl / input("burst_r_hundredths", 100.0) + input("bpl_tenths", 10.0));
        let r = input("r_default_tenths", 10.0) - ie - (95.0 - ie) * loss;
        let mos = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
        assert_eq!(shown["mos_hundredths"], (mos * 100.0).round() as u64);

        let nothing = serde_json::to_value(quality(&mcu_api::LegStatistics::default())).expect("JSON");
        for name in
            ["jitter_us", "buffer_delay_us", "buffer_delay_max_us", "round_trip_us", "mos_hundredths", "e_model"]
        {
            assert!(nothing[name].is_null(), "{name}: {nothing}");
        }
        assert_eq!(nothing["received_packets"], 0);
    }

    fn record_of(organizer: &str) -> ConferenceRecord {
        ConferenceRecord {
            id: base::ConferenceId::parse("WEEKLY2026").expect("valid"),
            number: None,
            organizer: UserUri::parse(organizer).expect("valid"),
            organizer_name: None,
            subject: None,
            access: base::AccessType::Open,
            pin: None,
            invited: Vec::new(),
            locked: false,
            attendees_may_dial_out: false,
            lobby: Lobby::Off,
            promote_authenticated: false,
        }
    }

    #[test]
    fn the_record_of_a_call_by_a_trunk_says_what_was_dialled_and_what_was_reached() {
        let uri = |text| UserUri::parse(text).expect("valid");
        let at = Timestamp::from_millis;
        let call = CallRecord {
            call: CallId(1),
            caller_leg: LegId(1),
            callee_leg: LegId(2),
            caller: uri("sip:ann@example.com"),
            callee: uri("tel:+493055501234"),
            address: Some("03055501234".to_owned()),
            call_id: Some("a1@192.0.2.1".to_owned()),
            trunk: Some("carrier".to_owned()),
            since: at(1_000),
            connected: at(3_000),
            ended: at(8_000),
            termination: Termination::completed(TerminationReason::Departed),
            status: Some(481),
        };
        let row = call_cdr(&call, Calendar::start_now());
        assert_eq!(row.dialled.as_ref().map(Pii::expose), Some("03055501234"));
        assert_eq!(row.number.as_ref().map(Pii::expose), Some("+493055501234"));
        assert_eq!((row.trunk.as_deref(), row.sip_call_id.as_str()), (Some("carrier"), "a1@192.0.2.1"));
        assert_eq!(row.sip_status, Some(481));
        let long = Some("1".repeat(CDR_TEXT_MAX + 1));
        let row = call_cdr(&CallRecord { address: long, ..call }, Calendar::start_now());
        assert_eq!((row.dialled, row.duration_ms), (None, 5_000), "too long a text costs not the whole record");
    }
}
