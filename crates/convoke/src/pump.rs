//! The loop around the engine: inputs in, effects out. One task owns the engine; nothing else touches it.

use std::sync::Arc;

use base::{Timestamp, UserUri};
use engine::{ConferenceView, Effect, Engine, GroupCommand, Input, LoudnessChange, Objection};
use mcu_api::McuEvent;
use media_io::MediaServer;
use routing::{ProfileProblem, UserProfile};
use sip::Edge;
use sip_api::SipEvent;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::happenings::Listener;
use crate::http::version::{Condition, Outdated};
use crate::journal::Journal;
use crate::storage::{StorageQueue, Stored};
use crate::watch::Watch;

/// A question about the engine's state, answered between two inputs.
pub(crate) enum Question {
    /// The live conferences.
    Conferences(oneshot::Sender<Vec<ConferenceView>>),
    /// How many conferences and legs there are.
    Load(oneshot::Sender<Load>),
    /// What the response groups' wallboard shows; nothing without groups.
    Wallboard(oneshot::Sender<Option<response_group::Snapshot>>),
    /// The wallboard and all that happens after it; nothing when too many listen already.
    Listen(oneshot::Sender<Option<Listener>>),
    /// The groups that hold now.
    Groups(oneshot::Sender<Option<response_group::Config>>),
    /// A change of the response groups, if their configuration is still the one that was seen; answered with what there is
    /// against it.
    Group(Box<GroupCommand>, Condition, oneshot::Sender<Option<NotDone>>),
    /// A wish to make a device louder or quieter; answered with what there is against it.
    SetLoudness(Box<LoudnessChange>, oneshot::Sender<Option<Objection>>),
    /// A user's call-routing settings; `None` when there is no such user.
    Profile(UserUri, oneshot::Sender<Option<UserProfile>>),
    /// What is wrong with call-routing settings for a user.
    CheckProfile(UserUri, Box<UserProfile>, oneshot::Sender<Vec<ProfileProblem>>),
    /// From now on a user has these settings, which are stored already.
    SetProfile(UserUri, Box<UserProfile>),
    /// A user has seen his missed calls.
    MissedCallsSeen(UserUri),
    /// Begin nothing new.
    Drain,
    /// End every conference.
    Stop,
}

/// Why a command to the response groups is not done.
pub(crate) enum NotDone {
    /// They are not configured any more as was seen.
    Outdated(Outdated),
    /// It cannot be done.
    Objection(Objection),
}

/// How much the engine holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Live conferences.
    pub(crate) conferences: usize,
    /// Legs of conferences, Focus dialogs among them, and of calls between people.
    pub(crate) legs: usize,
    /// Users with a registered device.
    pub(crate) registered: usize,
    /// Requests of ours that wait for their answer before the server may end: BYEs, and leaves taken of trunks.
    pub(crate) last_words: usize,
    /// Response groups take no calls, because their journal cannot be written.
    pub(crate) groups_refuse: bool,
}

/// Where the engine's inputs come from.
pub(crate) struct Sources {
    /// The SIP edge.
    pub(crate) sip: mpsc::Receiver<SipEvent>,
    /// The media side.
    pub(crate) mcu: mpsc::Receiver<McuEvent>,
    /// The store.
    pub(crate) stored: mpsc::UnboundedReceiver<Stored>,
    /// Questions.
    pub(crate) questions: mpsc::Receiver<Question>,
}

/// Where the engine's effects go.
pub(crate) struct Sinks {
    /// The SIP edge.
    pub(crate) edge: Arc<Edge>,
    /// The response groups' journal.
    pub(crate) journal: Journal,
    /// The media side.
    pub(crate) media: Arc<MediaServer>,
    /// The store.
    pub(crate) storage: StorageQueue,
    /// Metrics, log and call detail records.
    pub(crate) watch: Watch,
}

/// Runs the engine until every source is closed.
pub(crate) async fn run(mut engine: Engine, clock: Clock, mut sources: Sources, mut sinks: Sinks) {
    turn(&mut engine, clock, &mut sources, &mut sinks).await;
    // First of all: the media side, which ends with the sinks, may be waiting for room among the sources.
    drop(sources);
}

async fn turn(engine: &mut Engine, clock: Clock, sources: &mut Sources, sinks: &mut Sinks) {
    // What opening the response groups asked for.
    sinks.carry_out_all(engine, clock);
    sinks.mind_the_journal(engine, clock);
    loop {
        let timer = engine.poll_timeout().map(|at| tokio::time::Instant::from_std(clock.instant(at)));
        let input = tokio::select! {
            event = sources.sip.recv() => match event { Some(event) => Input::Sip(event), None => return },
            event = sources.mcu.recv() => match event { Some(event) => Input::Mcu(event), None => return },
            Some(stored) = sources.stored.recv() => match stored {
                Stored::Conference(ticket, done) => Input::Stored { ticket, done },
                Stored::GroupCalls(calls) => Input::GroupCallsStored { calls },
                Stored::GroupVisits(visits) => Input::GroupVisitsStored { visits },
            },
            Some(question) = sources.questions.recv() => match answer(engine, question, clock.now(), &sinks.watch) {
                Some(input) => input,
                None => continue,
            },
            () = sleep_until(timer) => Input::TimerFired,
        };
        if let Input::Sip(SipEvent::Request { request, .. }) = &input {
            sinks.watch.request(request.method.as_str());
        }
        let other_groups = matches!(input, Input::Group(GroupCommand::Configure { .. }));
        engine.handle(clock.now(), input);
        sinks.carry_out_all(engine, clock);
        if other_groups {
            sinks.watch.tell_board(engine.wallboard(clock.now()));
        }
        sinks.mind_the_journal(engine, clock);
    }
}

async fn sleep_until(timer: Option<tokio::time::Instant>) {
    match timer {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Answers a question; a wish becomes an input. Whoever asked may have gone meanwhile.
fn answer(engine: &Engine, question: Question, now: Timestamp, watch: &Watch) -> Option<Input> {
    match question {
        Question::Conferences(reply) => drop(reply.send(engine.conferences())),
        Question::Load(reply) => drop(reply.send(Load {
            conferences: engine.conference_count(),
            legs: engine.leg_count() + 2 * engine.call_count() + engine.load().group_legs,
            registered: engine.directory().registered(),
            last_words: engine.load().calls.byes + engine.registrations_ending(),
            groups_refuse: engine.groups_refuse_calls(),
        })),
        Question::Wallboard(reply) => drop(reply.send(engine.wallboard(now))),
        Question::Listen(reply) => drop(reply.send(watch.listen(engine.wallboard(now)))),
        Question::Groups(reply) => drop(reply.send(engine.group_config().cloned())),
        Question::Group(command, condition, reply) => {
            let groups = engine.group_config();
            let is_there = groups.is_some_and(|config| !config.groups.is_empty());
            let outdated = condition.objection(&groups, is_there).map(NotDone::Outdated);
            let against = outdated.or_else(|| engine.group_objection(&command).map(NotDone::Objection));
            let accepted = against.is_none();
            drop(reply.send(against));
            return accepted.then(|| Input::Group(*command));
        }
        Question::SetLoudness(change, reply) => {
            let objection = engine.loudness_objection(&change);
            let accepted = objection.is_none();
            drop(reply.send(objection));
            return accepted.then_some(Input::SetLoudness(change));
        }
        Question::Profile(user, reply) => {
            let directory = engine.directory();
            let profile = directory.user(&user).map(|_| directory.user_profile(&user).clone());
            drop(reply.send(profile));
        }
        Question::CheckProfile(user, profile, reply) => {
            drop(reply.send(engine.directory().profile_problems(&user, &profile)));
        }
        Question::SetProfile(user, profile) => return Some(Input::SetUserProfile { user, profile }),
        Question::MissedCallsSeen(user) => return Some(Input::MissedCallsSeen { user }),
        Question::Drain => return Some(Input::Drain),
        Question::Stop => return Some(Input::Stop),
    }
    None
}

impl Sinks {
    /// Carries out what the engine wants, in order. What is for the journal is written before anything else, also before
    /// what stands ahead of it: an agent's dialog is known before his ACK leaves. What the media side refuses at once is
    /// the engine's next input.
    fn carry_out_all(&mut self, engine: &mut Engine, clock: Clock) {
        loop {
            let mut others = Vec::new();
            while let Some(effect) = engine.poll_effect() {
                match effect {
                    Effect::Journal(record) => self.journal.append(&record),
                    effect => others.push(effect),
                }
            }
            self.journal.flush();
            let refused: Vec<McuEvent> = others.into_iter().filter_map(|effect| self.carry_out(effect)).collect();
            self.media.wake();
            if refused.is_empty() {
                return;
            }
            refused.into_iter().for_each(|event| engine.handle(clock.now(), Input::Mcu(event)));
        }
    }

    /// Begins a new journal where the old one is large or broken, keeps room for it, and tells the engine how it is.
    fn mind_the_journal(&mut self, engine: &mut Engine, clock: Clock) {
        if self.journal.wants_checkpoint()
            && let Some(records) = engine.group_checkpoint()
        {
            self.journal.begin_anew(&records);
        }
        self.journal.keep_room();
        self.watch.journal_failures(self.journal.take_failures());
        if let Some(sound) = self.journal.take_change() {
            engine.handle(clock.now(), Input::GroupJournal { sound });
            self.carry_out_all(engine, clock);
        }
    }

    /// Carries one out; gives what the media side has against it.
    fn carry_out(&self, effect: Effect) -> Option<McuEvent> {
        match effect {
            // Written by the caller, in order.
            Effect::Journal(_) => {}
            Effect::Sip(command) => self.edge.handle(command),
            Effect::Mcu(command) => return self.media.place(command).err(),
            Effect::Store { ticket, command } => self.storage.store(ticket, command),
            Effect::Event(event) => self.watch.note(event, &self.storage),
        }
        None
    }
}
