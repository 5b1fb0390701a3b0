//! What holds whatever happens: random inputs, among them late, repeated and unknown ones.

use std::collections::{BTreeMap, BTreeSet};

use base::{
    AccessType, CommandId, Duration, LegId, Role, SubscriptionId, Termination, TerminationReason, Timestamp, UserUri,
};
use focus::{
    AdmissionChange, ConferenceRecord, ControlRequest, DialOut, ElementState, EndReason, EndpointStatus, Focus,
    FocusConfig, FocusEvent, Input, JoinFocus, JoinMedia, Lobby, LobbyAccess, MediaFilter, Outcome, Output, Pin,
    Requester, UsersMediaFilters,
};
use proptest::prelude::*;

use crate::world::{View, account, endpoint, record, user};

const NAMES: [&str; 5] = ["ann", "pat", "bob", "cleo", "zoe"];
const DEVICES: [&str; 3] = ["pc", "audio", "mobile"];
const LEGS: u64 = 14;
const LEGS_MAX: usize = 8;

/// One input, with its command still without a number.
#[derive(Clone, Debug)]
enum Step {
    JoinFocus { leg: LegId, requester: Requester, name: &'static str, device: &'static str },
    JoinMedia { leg: LegId, requester: Requester, device: Option<&'static str>, pin: Option<&'static str> },
    Ask { requester: Requester, request: ControlRequest },
    Other(Input),
    Pass(Duration),
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

fn device() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&DEVICES[..])
}

fn leg() -> impl Strategy<Value = LegId> {
    (0..LEGS).prop_map(LegId)
}

fn requester() -> impl Strategy<Value = Requester> {
    prop_oneof![
        6 => name().prop_map(|name| Requester::Authenticated(user(name))),
        2 => name().prop_map(|name| Requester::Unauthenticated(user(name))),
        1 => leg().prop_map(Requester::Participant),
        1 => Just(Requester::Operator),
    ]
}

fn filter() -> impl Strategy<Value = Option<MediaFilter>> {
    prop::sample::select(vec![None, Some(MediaFilter::Block), Some(MediaFilter::Unblock)])
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Attendee, Role::Presenter, Role::Organizer])
}

fn access() -> impl Strategy<Value = AccessType> {
    prop::sample::select(vec![AccessType::Open, AccessType::Closed, AccessType::Anonymous])
}

fn lobby() -> impl Strategy<Value = Lobby> {
    prop::sample::select(vec![Lobby::Off, Lobby::On, Lobby::PhonesPass])
}

fn names() -> impl Strategy<Value = Vec<UserUri>> {
    prop::collection::vec(name().prop_map(user), 0..3)
}

fn dial_out() -> impl Strategy<Value = ControlRequest> {
    (leg(), name(), device(), name(), any::<bool>(), prop::option::of(role())).prop_map(
        |(leg, name, device, target, target_is_account, role)| {
            ControlRequest::DialOut(DialOut {
                leg,
                user: user(name),
                endpoint: endpoint(device),
                target: user(target),
                target_is_account,
                display_name: None,
                role,
            })
        },
    )
}

fn request() -> impl Strategy<Value = ControlRequest> {
    prop_oneof![
        12 => dial_out(),
        2 => name().prop_map(|name| ControlRequest::DeleteUser { user: user(name) }),
        2 => (name(), device()).prop_map(|(name, device)| {
            ControlRequest::DeleteEndpoint { user: user(name), endpoint: endpoint(device) }
        }),
        2 => (name(), role()).prop_map(|(name, role)| ControlRequest::ModifyUserRoles { user: user(name), role }),
        2 => (any::<bool>(), prop::option::of(access()), prop::option::of(lobby()), any::<Option<bool>>()).prop_map(
            |(locked, access, lobby, promote_authenticated)| {
                let admission = AdmissionChange { access, lobby, promote_authenticated };
                ControlRequest::ModifyConferenceLock { locked, admission }
            }
        ),
        3 => (names(), any::<bool>()).prop_map(|(users, granted)| ControlRequest::SetLobbyAccess {
            users,
            access: if granted { LobbyAccess::Granted } else { LobbyAccess::Denied },
        }),
        2 => (names(), prop::option::of(role()), names(), filter(), filter()).prop_map(
            |(users, role, except, ingress, egress)| {
                ControlRequest::ModifyUsersMediaFilters(UsersMediaFilters { users, role, except, ingress, egress })
            }
        ),
        3 => (name(), device(), filter(), filter()).prop_map(|(name, device, ingress, egress)| {
            ControlRequest::ModifyEndpointMedia { user: user(name), endpoint: endpoint(device), ingress, egress }
        }),
        1 => any::<(bool, bool)>().prop_map(|(muted, except_presenters)| {
            ControlRequest::MuteAll { muted, except_presenters }
        }),
        1 => Just(ControlRequest::GetConference),
    ]
}

fn leg_event() -> impl Strategy<Value = Input> {
    prop_oneof![
        2 => leg().prop_map(|leg| Input::LegAlerting { leg }),
        6 => leg().prop_map(|leg| Input::LegConnected { leg }),
        2 => (leg(), any::<bool>()).prop_map(|(leg, held)| Input::LegHeld { leg, held }),
        3 => (leg(), prop::sample::select(TerminationReason::ALL)).prop_map(|(leg, reason)| {
            Input::LegEnded { leg, termination: Termination::failed(reason) }
        }),
        2 => (leg(), prop::sample::select(vec!["4711", "1"])).prop_map(|(leg, pin)| {
            Input::EnterPin { leg, pin: Pin::entered(pin) }
        }),
        1 => prop::collection::vec(leg(), 0..3).prop_map(|legs| Input::SpeakersChanged { legs }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let pin = || prop::sample::select(vec![None, Some("4711"), Some("1")]);
    let subscription = || (0..4_u64).prop_map(SubscriptionId);
    prop_oneof![
        6 => (leg(), requester(), name(), device()).prop_map(|(leg, requester, name, device)| {
            Step::JoinFocus { leg, requester, name, device }
        }),
        6 => (leg(), requester(), prop::option::of(device()), pin()).prop_map(|(leg, requester, device, pin)| {
            Step::JoinMedia { leg, requester, device, pin }
        }),
        12 => (requester(), request()).prop_map(|(requester, request)| Step::Ask { requester, request }),
        12 => leg_event().prop_map(Step::Other),
        3 => (subscription(), requester()).prop_map(|(subscription, requester)| {
            Step::Other(Input::Subscribe { subscription, requester })
        }),
        1 => subscription().prop_map(|subscription| Step::Other(Input::Unsubscribe { subscription })),
        1 => (access(), any::<bool>()).prop_map(|(access, locked)| {
            let record = Box::new(ConferenceRecord { access, locked, ..record() });
            Step::Other(Input::Rescheduled { record, by: user("ann") })
        }),
        3 => (0..90_u64).prop_map(|seconds| Step::Pass(Duration::from_secs(seconds))),
        3 => (0..200_u64).prop_map(|milliseconds| Step::Pass(Duration::from_millis(milliseconds))),
        1 => Just(Step::Ask { requester: Requester::Operator, request: ControlRequest::DeleteConference }),
    ]
}

/// A Focus and what its outputs so far say, kept apart from it.
struct Checked {
    focus: Focus,
    now: Timestamp,
    commands: u64,
    /// Commands without a final outcome, with the leg a join brought.
    open: BTreeMap<CommandId, Option<LegId>>,
    /// Legs that were given to the Focus or dialled, and did not end.
    live: BTreeSet<LegId>,
    /// How far each live leg has come in the documents.
    progress: BTreeMap<LegId, u8>,
    joined: BTreeSet<LegId>,
    views: BTreeMap<SubscriptionId, (u32, View)>,
    /// When a document went out last, of any kind.
    last_document: Option<Timestamp>,
    /// How long changes are gathered.
    interval: Duration,
    ended: bool,
}

impl Checked {
    fn new(access: AccessType, lobby: Lobby, with_pin: bool, linger: bool, interval: Duration) -> Self {
        let mut record = record();
        record.lobby = lobby;
        record.access = access;
        record.pin = with_pin.then(|| Pin::entered("4711"));
        record.attendees_may_dial_out = true;
        let mut config = FocusConfig::default();
        config.limits.legs_per_conference = LEGS_MAX;
        config.limits.dial_outs_per_conference = 4;
        config.limits.subscriptions_per_conference = 3;
        config.roster_interval = interval;
        config.lobby_places = 3;
        config.lobby_wait = Duration::from_secs(120);
        config.empty_linger = Duration::from_secs(if linger { 300 } else { 0 });
        Self {
            focus: Focus::new(record, config),
            now: Timestamp::ZERO,
            commands: 0,
            open: BTreeMap::new(),
            live: BTreeSet::new(),
            progress: BTreeMap::new(),
            joined: BTreeSet::new(),
            views: BTreeMap::new(),
            last_document: None,
            interval,
            ended: false,
        }
    }

    fn command(&mut self, leg: Option<LegId>) -> CommandId {
        self.commands += 1;
        let command = CommandId(self.commands);
        if !self.ended {
            self.open.insert(command, leg);
        }
        command
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::JoinFocus { leg, requester, name, device } => {
                let command = self.command(Some(leg));
                let (user, endpoint) = (user(name), endpoint(device));
                let (display_name, pin) = (None, Some(Pin::entered("4711")));
                self.give(Input::JoinFocus(JoinFocus {
                    command,
                    leg,
                    requester,
                    user,
                    endpoint,
                    display_name,
                    pin,
                    lobby_capable: true,
                }));
            }
            Step::JoinMedia { leg, requester, device, pin } => {
                let command = self.command(Some(leg));
                let (endpoint, pin) = (device.map(endpoint), pin.map(Pin::entered));
                self.give(Input::JoinMedia(JoinMedia { command, leg, requester, endpoint, display_name: None, pin }));
            }
            Step::Ask { requester, request } => {
                let at_once = !matches!(request, ControlRequest::DialOut(_)) && self.interval.is_zero();
                let command = self.command(None);
                self.give(Input::Command { command, requester, request });
                assert!(!at_once || !self.open.contains_key(&command), "{command:?} waits");
            }
            Step::Other(input) => self.give(input),
            Step::Pass(length) => self.pass(length),
        }
    }

    fn pass(&mut self, length: Duration) {
        let end = self.now + length;
        while let Some(at) = self.focus.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.give(Input::TimerFired);
            assert!(self.focus.poll_timeout().is_none_or(|next| next > self.now), "a timer fires for ever");
        }
        self.now = end;
    }

    fn give(&mut self, input: Input) {
        let is_progress =
            matches!(input, Input::LegAlerting { .. } | Input::LegConnected { .. } | Input::LegEnded { .. });
        match &input {
            Input::LegEnded { leg, .. } => self.leg_is_over(*leg),
            Input::Unsubscribe { subscription } => drop(self.views.remove(subscription)),
            _ => {}
        }
        self.focus.handle(self.now, input);
        let was_ended = self.ended;
        let outputs: Vec<Output> = std::iter::from_fn(|| self.focus.poll_output()).collect();
        self.see_documents(&outputs, is_progress);
        assert!(!was_ended || outputs.is_empty(), "an ended Focus still speaks: {outputs:?}");
        for output in outputs {
            assert!(!self.ended, "{output:?} follows the end of the conference");
            self.see(output);
        }
        self.check();
    }

    /// Documents keep their distance, but for the sake of a dial-out, of somebody who is sent away, and when all is over.
    fn see_documents(&mut self, outputs: &[Output], is_progress: bool) {
        let is_document = |output: &Output| matches!(output, Output::Notify { .. });
        let is_urgent = |output: &Output| matches!(output, Output::HangUp { .. } | Output::ConferenceEnded { .. });
        if !outputs.iter().any(is_document) {
            return;
        }
        if let Some(last) = self.last_document.replace(self.now) {
            let early = self.now < last + self.interval;
            assert!(
                !early || is_progress || outputs.iter().any(is_urgent),
                "a document {:?} after the last",
                self.now.since(last)
            );
        }
    }

    fn see(&mut self, output: Output) {
        match output {
            Output::Dial { leg, .. } => assert!(self.live.insert(leg), "{leg:?} is called twice"),
            Output::HangUp { leg, .. } => {
                assert!(self.live.contains(&leg), "{leg:?} is hung up but not there");
                self.leg_is_over(leg);
            }
            Output::Outcome { command, outcome } => self.see_outcome(command, &outcome),
            Output::Notify { subscription, version, document } => {
                let (last, view) = self.views.entry(subscription).or_default();
                assert_eq!(version, *last + 1, "{subscription:?}");
                assert!(version > 1 || document.state != ElementState::Partial, "the first document is full");
                *last = version;
                if document.state != ElementState::Deleted {
                    view.apply(&document);
                }
            }
            Output::SubscriptionEnded { subscription, .. } => drop(self.views.remove(&subscription)),
            Output::SetFilters { leg, .. } | Output::Prompt { leg, .. } => {
                assert!(self.live.contains(&leg), "{leg:?} is spoken to but not there");
            }
            Output::Event(FocusEvent::EndpointJoined { leg, .. }) => {
                assert!(self.joined.insert(leg), "{leg:?} joined twice");
            }
            Output::Event(FocusEvent::EndpointLeft { leg, was_in, .. }) => {
                assert_eq!(self.joined.remove(&leg), was_in, "{leg:?}");
            }
            Output::Event(_) => {}
            Output::ConferenceEnded { .. } => self.ended = true,
        }
    }

    fn see_outcome(&mut self, command: CommandId, outcome: &Outcome) {
        let leg = *self.open.get(&command).unwrap_or_else(|| panic!("{command:?} is answered again: {outcome:?}"));
        if let (Some(leg), Outcome::Joined { .. } | Outcome::NeedPin { .. } | Outcome::Waiting { .. }) = (leg, outcome)
        {
            self.live.insert(leg);
        }
        if outcome.is_final() {
            self.open.remove(&command);
        }
    }

    fn leg_is_over(&mut self, leg: LegId) {
        self.live.remove(&leg);
        self.progress.remove(&leg);
    }

    fn check(&mut self) {
        let document = self.focus.roster_document();
        let shown: BTreeMap<LegId, EndpointStatus> = document
            .users
            .iter()
            .flat_map(|user| &user.endpoints)
            .map(|endpoint| (endpoint.leg, endpoint.status))
            .collect();
        let held = |leg: &LegId| self.focus.holds(*leg) && shown.get(leg) != Some(&EndpointStatus::Pending);
        let held: BTreeSet<LegId> = (0..LEGS).map(LegId).filter(held).collect();
        assert_eq!(held, self.live, "the Focus's legs are those that live");
        assert!(held.len() <= LEGS_MAX, "{held:?}");
        let is_in: BTreeSet<LegId> = shown.iter().filter(|(_, status)| status.is_in()).map(|(leg, _)| *leg).collect();
        assert_eq!(is_in, self.joined, "the roster is who joined and did not leave");
        for (leg, status) in shown {
            let now = rank(status);
            let before = self.progress.insert(leg, now).unwrap_or(0);
            assert!(before <= now, "{leg:?} goes back to {status:?}");
        }
        for user in &document.users {
            let waits = user.endpoints.iter().filter(|endpoint| endpoint.status == EndpointStatus::Waiting).count();
            assert!(waits == 0 || waits == user.endpoints.len(), "{} waits with some devices alone", user.entity);
        }
        if self.focus.has_news() {
            let due = self.focus.poll_timeout().expect("what is to be told has its time");
            assert!(due <= self.now + self.interval, "{due:?}");
            return;
        }
        let mut truth = View::default();
        truth.apply(&document);
        for (subscription, (_, view)) in &self.views {
            assert_eq!(view, &truth, "{subscription:?}");
        }
    }

    /// Ends it, if nothing else has, and looks whether anything is left over.
    fn close(mut self) {
        self.pass(self.interval);
        assert!(!self.focus.has_news(), "everybody was told everything");
        self.give(Input::End { reason: EndReason::ServerStopping });
        assert!(self.ended && self.focus.is_ended());
        assert_eq!(self.focus.poll_timeout(), None, "timers drain");
        assert_eq!(self.open, BTreeMap::new(), "every command has its final outcome");
        assert_eq!(self.live, BTreeSet::new(), "every leg has its end");
        assert!(self.views.is_empty(), "every subscription has its end");
    }
}

fn rank(status: EndpointStatus) -> u8 {
    match status {
        EndpointStatus::Pending | EndpointStatus::Waiting => 0,
        EndpointStatus::DialingOut | EndpointStatus::DialingIn => 1,
        EndpointStatus::Alerting => 2,
        EndpointStatus::Connected | EndpointStatus::OnHold => 3,
        EndpointStatus::Disconnected => 4,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_whatever_happens(
        steps in prop::collection::vec(step(), 1..80),
        access in access(),
        lobby in lobby(),
        with_pin in any::<bool>(),
        linger in any::<bool>(),
        begins in prop::bool::weighted(0.9),
        interval_ms in prop::sample::select(vec![0_u64, 100, 2_000]),
    ) {
        let mut checked = Checked::new(access, lobby, with_pin, linger, Duration::from_millis(interval_ms));
        if begins {
            checked.play(Step::JoinFocus { leg: LegId(0), requester: account("ann"), name: "ann", device: "pc" });
        }
        for step in steps {
            checked.play(step);
        }
        checked.close();
    }
}
