//! The composition of all machines of one shard, itself without IO: the same engine runs in production and in a
//! simulation.
//!
//! It translates: what the SIP edge, the MCU and the store report becomes inputs of the machines; what the machines
//! want becomes effects. It decides nothing about conferences (crate `focus`), calls (crate `call`) or numbers (crate
//! `routing`), and must not know sockets, SQL or threads.
//!
//! Start reading at [`Engine::handle`], then the translators, a folder for each kind of work: `conference` (legs of
//! conferences, from INVITE to Focus and from Focus to INVITE), `control` (C3P, REFER and roster subscriptions), `people`
//! (calls between two people), `group` (response groups). What all of them need stands beside this file: whom a URI means
//! (`target`), where it leads (`destination`), who is registered (`directory`), what is told to others (`event`, `view`).

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod callers;
mod conference;
mod config;
mod control;
mod destination;
mod digits;
mod directory;
mod event;
mod group;
mod objection;
mod people;
mod registration;
mod target;
mod translate;
mod view;

use std::collections::{HashMap, HashSet, VecDeque};

use base::{CommandId, ConferenceId, LegId, OfferId, SubscriptionId, Timestamp, UserUri};
use call::Calls;
use mcu_api::{McuCommand, McuEvent};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use routing::UserProfile;
use sip_api::{SipCommand, SipEvent};

pub use callers::CallBound;
pub use conference::attendant::AccessNumber;
pub use conference::entry_exit::EntryExit;
pub use conference::keypad::{KeyCommand, KeyMap};
pub use conference::loudness::{Loudness, LoudnessChange};
pub use config::EngineConfig;
pub use control::factory::{StoreCommand, StoreTicket};
pub use control::schedule::{Expiry, Schedule};
pub use directory::{Directory, UserAccount};
pub use event::{CallRecord, EngineEvent, LegRecord, SupervisorState};
pub use group::{
    AboutCaller, DroppedChange, EndedCall, GroupCallRecord, GroupCodes, GroupCommand, GroupJournal, GroupLegRecord,
    GroupVisit, Onward, SentInvite, WireLeg, WireRecord, dropped_keys, is_phrase, objection_to_groups,
    objection_to_telephone,
};
pub use objection::{Blame, Objection, ObjectionKind};
pub use view::{ConferenceView, EndpointQuality, EndpointView, ParticipantView};

use conference::conferences::Conferences;
use conference::leg::Leg;
use control::factory::PendingStore;
use people::bridge::Bridges;

/// What the engine is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// Something happened at the SIP edge.
    Sip(SipEvent),
    /// Something happened on the media side.
    Mcu(McuEvent),
    /// The store has done, or could not do, what an [`Effect::Store`] asked.
    Stored {
        /// The effect's ticket.
        ticket: StoreTicket,
        /// Whether it lasts now.
        done: bool,
    },
    /// Replaces a user's call-routing settings, which the store has and [`Directory::profile_problems`] has found good. Calls
    /// under way keep those they began with.
    SetUserProfile {
        /// The user.
        user: UserUri,
        /// His settings.
        profile: Box<UserProfile>,
    },
    /// Something about the response groups is to be changed.
    Group(GroupCommand),
    /// Whether the response groups' journal can be written. While it cannot, groups take no calls.
    GroupJournal {
        /// Whether it can.
        sound: bool,
    },
    /// The store has every record of these calls of response groups, and what stood before them in their histories.
    GroupCallsStored {
        /// Which.
        calls: Vec<base::CallId>,
    },
    /// The store has all that these calls of supervisors and to feature codes leave.
    GroupVisitsStored {
        /// Their ids.
        visits: Vec<String>,
    },
    /// A user has seen his missed calls; his devices put the lamp out.
    MissedCallsSeen {
        /// The user.
        user: UserUri,
    },
    /// A device of a conference is to be louder or quieter; nothing happens where [`Engine::loudness_objection`] objects.
    SetLoudness(Box<LoudnessChange>),
    /// The time of [`Engine::poll_timeout`] has come.
    TimerFired,
    /// The server is about to stop: begin nothing new. Conferences that are on go on, and may be joined.
    Drain,
    /// The server stops: end every conference and call in order. Said again, it ends what still hears its last words.
    Stop,
}

/// What the engine wants done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// For the SIP edge.
    Sip(SipCommand),
    /// For the media side.
    Mcu(McuCommand),
    /// For the store; answered by [`Input::Stored`].
    Store {
        /// Names it in the answer.
        ticket: StoreTicket,
        /// What is to last.
        command: StoreCommand,
    },
    /// A line of the response groups' journal; to be written, and safe, before any effect after it is carried out.
    Journal(Box<GroupJournal>),
    /// Something happened; for call detail records, metrics and the log.
    Event(EngineEvent),
}

/// Who waits for the outcome of a Focus command.
#[derive(Debug)]
enum Origin {
    /// An INVITE with C3P `addUser`.
    FocusJoin {
        leg: LegId,
        request: Box<c3p::Request>,
        /// The dialog is up, and the device waits in the lobby.
        waits: bool,
    },
    /// An INVITE that brings audio.
    MediaJoin { leg: LegId },
    /// A C3P command by INFO in a Focus dialog.
    Info { leg: LegId, request: Box<c3p::Request> },
    /// Keys pressed on a leg.
    Keys {
        leg: LegId,
        /// Nobody else tells him that it was done.
        confirm: bool,
    },
    /// A REFER.
    Refer { refer: SubscriptionId },
    /// Nobody.
    Nobody,
}

/// One shard's machines and what ties them together.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    random: StdRng,
    now: Timestamp,
    directory: Directory,
    calls: Calls,
    conferences: Conferences,
    /// Every leg the Focus knows, and those still owed a final record.
    legs: HashMap<LegId, Leg>,
    /// Dialled SIP legs and the conference leg each may become.
    branches: HashMap<LegId, LegId>,
    /// Offers under way and the conference leg each is for.
    offers: HashMap<OfferId, LegId>,
    /// Calls between two people; their legs and offers are not among those above.
    bridges: Bridges,
    /// Response groups; their legs and offers are not among those above either.
    groups: group::Groups,
    commands: HashMap<CommandId, Origin>,
    subscriptions: HashMap<SubscriptionId, control::subscription::Watch>,
    /// REFERs that are not answered yet, because their Focus has not said its first word on them.
    undecided_refers: Vec<SubscriptionId>,
    rendered: Option<control::subscription::Rendered>,
    /// Conferences that nobody scheduled; their record goes when they end.
    ad_hoc: HashSet<ConferenceId>,
    /// Live conferences whose record was deleted.
    retired: HashSet<ConferenceId>,
    stores: HashMap<StoreTicket, PendingStore>,
    pins: conference::pin_guard::PinGuard,
    callers: callers::Callers,
    attendants: conference::attendant::AttendantTimers,
    lamps: people::message_summary::Lamps,
    registrations: Vec<registration::TrunkRegistration>,
    /// No new conference and no new call between people is begun.
    draining: bool,
    next_command: u64,
    next_ticket: u64,
    effects: VecDeque<Effect>,
}

impl Engine {
    /// An engine with its accounts and scheduled conferences. `seed` feeds tags, keys and ids: unpredictable in
    /// production, fixed in a simulation.
    pub fn new(config: EngineConfig, directory: Directory, seed: [u8; 32]) -> Self {
        Self {
            calls: Calls::new(call::CallConfig { trusted_peers: config.trusted_peers.clone(), ..config.call.clone() }),
            random: StdRng::from_seed(seed),
            now: Timestamp::ZERO,
            directory,
            conferences: Conferences::default(),
            legs: HashMap::new(),
            branches: HashMap::new(),
            offers: HashMap::new(),
            bridges: Bridges::default(),
            groups: group::Groups::default(),
            commands: HashMap::new(),
            subscriptions: HashMap::new(),
            undecided_refers: Vec::new(),
            rendered: None,
            ad_hoc: HashSet::new(),
            retired: HashSet::new(),
            stores: HashMap::new(),
            pins: conference::pin_guard::PinGuard::default(),
            callers: callers::Callers::default(),
            attendants: conference::attendant::AttendantTimers::default(),
            lamps: people::message_summary::Lamps::default(),
            registrations: Vec::new(),
            draining: false,
            next_command: 1,
            next_ticket: 1,
            effects: VecDeque::new(),
            config,
        }
    }

    /// Takes one input in and everything that follows from it. The caller then drains [`Engine::poll_effect`].
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.now = now;
        self.record_ended_legs();
        match input {
            Input::Sip(SipEvent::BindingsChanged { user, bindings }) => {
                self.call(call::Input::Sip(SipEvent::BindingsChanged {
                    user: user.clone(),
                    bindings: bindings.clone(),
                }));
                self.on_bindings_changed(user.clone(), bindings);
                self.note_reachable(&user);
            }
            Input::Sip(event) if self.on_registrar(&event) => {}
            Input::Sip(event) => {
                self.note_trying(&event);
                self.call(call::Input::Sip(event));
            }
            Input::Mcu(event) => {
                self.note_want_of_room(&event);
                if let Some(event) = self.on_group_mcu(event) {
                    self.on_mcu(event);
                }
            }
            Input::Stored { ticket, done } => self.on_stored(ticket, done),
            Input::SetUserProfile { user, profile } => {
                self.directory.set_user_profile(user.clone(), *profile);
                self.note_reachable(&user);
            }
            Input::Group(command) => self.on_group_command(command),
            Input::GroupJournal { sound } => self.note_journal(sound),
            Input::GroupCallsStored { calls } => self.on_group_calls_stored(calls),
            Input::GroupVisitsStored { visits } => self.on_group_visits_stored(visits),
            Input::MissedCallsSeen { user } => self.on_missed_calls_seen(&user),
            Input::SetLoudness(change) => self.on_loudness_change(&change),
            Input::TimerFired => self.on_timer(),
            Input::Drain => self.draining = true,
            Input::Stop => self.stop(),
        }
        self.settle();
    }

    /// The next effect, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Input::TimerFired`] is wanted.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let due = [
            self.next_expiry(),
            self.calls.poll_timeout(),
            self.conferences.poll_timeout(),
            self.group_timeout(),
            self.ended_legs_due(),
            self.registration_timeout(),
            self.attendants.next(),
        ];
        due.into_iter().flatten().min()
    }

    /// Accounts, registrations and scheduled conferences.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Legs with audio or on their way to it.
    pub fn leg_count(&self) -> usize {
        self.legs.len()
    }

    /// What the engine holds, for gauges and for tests that everything drains.
    pub fn load(&self) -> Load {
        Load {
            legs: self.legs.len(),
            branches: self.branches.len(),
            offers: self.offers.len(),
            commands: self.commands.len(),
            subscriptions: self.subscriptions.len(),
            conferences: self.conferences.len(),
            stores: self.stores.len(),
            bridges: self.bridges.len(),
            bridge_legs: self.bridges.leg_count(),
            group_legs: self.groups.leg_count(),
            group_calls: self.groups.len(),
            calls: self.calls.load(),
        }
    }

    /// Calls between two people, ringing ones included.
    pub fn call_count(&self) -> usize {
        self.bridges.len()
    }

    /// Lets the machines answer each other until all are quiet.
    fn settle(&mut self) {
        loop {
            if let Some(output) = self.calls.poll_output() {
                self.on_call(output);
            } else if let Some((conference, output)) = self.conferences.poll_output(self.now) {
                self.on_focus(&conference, output);
            } else if !self.accept_refer() && !self.advance_groups() {
                return;
            }
        }
    }

    fn on_timer(&mut self) {
        self.expire_conferences();
        if self.calls.poll_timeout().is_some_and(|due| due <= self.now) {
            let random = &mut self.random;
            self.calls.handle_timeout(self.now, &mut || random.next_u64());
        }
        self.conferences.fire_timers(self.now);
        self.fire_group_timers();
        self.fire_registration_timers();
        self.fire_attendant_timers();
    }

    fn stop(&mut self) {
        self.draining = true;
        self.stop_bridges();
        self.stop_groups();
        self.stop_attendants();
        self.stop_registrations();
        for conference in self.conferences.ids() {
            self.conferences.handle(
                self.now,
                &conference,
                focus::Input::End { reason: focus::EndReason::ServerStopping },
            );
        }
    }

    /// Hands an input to the call machine.
    fn call(&mut self, input: call::Input) {
        let random = &mut self.random;
        self.calls.handle(self.now, input, &mut || random.next_u64());
    }

    /// Hands an input to a conference's Focus. When the conference is over nothing happens, but a command still gets
    /// its one outcome.
    fn focus(&mut self, conference: &ConferenceId, input: focus::Input) {
        let over = self.conferences.get(conference).is_none_or(focus::Focus::is_ended);
        match input.command().filter(|_| over) {
            Some(command) => {
                self.on_outcome(command, focus::Outcome::Failure(focus::FailureReason::RequestCancelled.into()));
            }
            None => self.conferences.handle(self.now, conference, input),
        }
    }

    fn mcu(&mut self, command: McuCommand) {
        if let McuCommand::ReserveLeg { leg, .. } = &command {
            self.callers.took_ports(*leg);
        }
        self.effects.push_back(Effect::Mcu(command));
    }

    fn event(&mut self, event: EngineEvent) {
        self.effects.push_back(Effect::Event(event));
    }

    /// A command id whose outcome goes to `origin`.
    fn command_of(&mut self, origin: Origin) -> CommandId {
        let command = CommandId(self.next_command);
        self.next_command += 1;
        self.commands.insert(command, origin);
        command
    }

    /// Sorts what the call machine says to the translator that understands it.
    fn on_call(&mut self, output: call::Output) {
        use call::Output;
        if let Output::Unauthorized { uri, why, .. } = output {
            return self.on_unauthorized(&uri, why);
        }
        if !self.count_call(&output) {
            return;
        }
        let Some(output) = self.on_group_call(output) else { return };
        if let Some(call) = self.bridges.call_of(&output) {
            return self.on_bridged(call, output);
        }
        match output {
            Output::Sip(command) => self.effects.push_back(Effect::Sip(command)),
            Output::Incoming { leg, call } => self.on_incoming(leg, call),
            Output::Confirmed { leg, body } => self.on_confirmed(leg, body),
            Output::OutOfDialog { transaction, request, user, .. } => {
                self.on_out_of_dialog(transaction, &request, user)
            }
            Output::Ringing { offer, status, .. } => self.on_ringing(offer, status),
            Output::Answered { offer, leg, body, .. } => self.on_answered(offer, leg, body),
            Output::OfferFailed { offer, termination, status } => self.on_offer_failed(offer, termination, status),
            Output::Offered { leg, body } => self.on_offered(leg, body),
            Output::OfferWithdrawn { .. } | Output::Unauthorized { .. } => {}
            Output::InfoAnswered { leg, .. } => self.on_c3p_answered(leg),
            Output::ReofferAnswered { leg, result } => self.on_reoffer_answered(leg, result),
            Output::Refreshed { leg, body } => self.on_reoffer_answered(leg, Ok(Some(body))),
            Output::Info { leg, id, body, .. } => self.on_info(leg, id, body),
            Output::Referred { leg, refer, refer_to, .. } => self.on_referred(leg, refer, &refer_to),
            Output::ReferredFromOutside { refer, refer_to, request, user } => {
                self.on_referred_from_outside(refer, &refer_to, &request.uri, user);
            }
            Output::Subscribed { subscription, leg: None, event, request, user, expires }
                if event.eq_ignore_ascii_case(people::message_summary::EVENT) =>
            {
                self.on_summary_subscribed(subscription, &request, user, expires);
            }
            Output::Subscribed { subscription, leg, event, request, user, expires } => {
                self.on_subscribed(subscription, leg, &event, &request, user, expires);
            }
            Output::SubscriptionRefreshed { subscription } if self.is_summary_refreshed(subscription) => {}
            Output::SubscriptionEnded { subscription } if self.is_summary_ended(subscription) => {}
            Output::SubscriptionRefreshed { subscription } => self.on_subscription_refreshed(subscription),
            Output::SubscriptionEnded { subscription } => self.on_subscription_ended(subscription),
            Output::Ended { leg, termination, status, headers } => {
                self.on_dial_out_refused(leg, termination, status, &headers);
                self.on_leg_ended(leg, termination, status);
            }
        }
    }
}

/// How much an engine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Legs that are not over on every side.
    pub legs: usize,
    /// Dialled SIP legs.
    pub branches: usize,
    /// Offers that are undecided.
    pub offers: usize,
    /// Focus commands without a final outcome.
    pub commands: usize,
    /// Roster subscriptions.
    pub subscriptions: usize,
    /// Live conferences.
    pub conferences: usize,
    /// Changes that wait for the store.
    pub stores: usize,
    /// Calls between two people.
    pub bridges: usize,
    /// Legs of such calls.
    pub bridge_legs: usize,
    /// Callers, agents' devices and others of response groups.
    pub group_legs: usize,
    /// Callers, offers and feature calls of response groups.
    pub group_calls: usize,
    /// What the call machine holds.
    pub calls: call::Load,
}
