//! One conference with virtual time: Ann organizes it, Pat is listed as presenter, Bob and Cleo as attendees.

use base::{AccessType, CommandId, ConferenceId, Duration, EndpointId, LegId, Role, SubscriptionId, Termination};
use base::{TerminationReason, Timestamp, UserUri};
use focus::{
    ConferenceRecord, ControlRequest, DialOut, ElementState, EndpointElement, EndpointStatus, Failure, Focus,
    FocusConfig, Input, JoinFocus, JoinMedia, Lobby, Outcome, Output, Pin, Requester, RosterDocument,
};

pub(crate) fn user(name: &str) -> UserUri {
    UserUri::parse(&format!("sip:{name}@example.com")).expect("valid")
}

pub(crate) fn endpoint(name: &str) -> EndpointId {
    EndpointId::parse(name).expect("valid")
}

pub(crate) fn account(name: &str) -> Requester {
    Requester::Authenticated(user(name))
}

pub(crate) fn phone(number: &str) -> Requester {
    Requester::Unauthenticated(user(number))
}

pub(crate) fn record() -> ConferenceRecord {
    ConferenceRecord {
        id: ConferenceId::parse("K3V9PX2Q").expect("valid"),
        number: None,
        organizer: user("ann"),
        organizer_name: Some("Ann".into()),
        subject: Some("Weekly sync".into()),
        access: AccessType::Open,
        pin: None,
        invited: vec![(user("pat"), Role::Presenter), (user("bob"), Role::Attendee), (user("cleo"), Role::Attendee)],
        locked: false,
        attendees_may_dial_out: false,
        lobby: Lobby::Off,
        promote_authenticated: false,
    }
}

pub(crate) struct World {
    pub(crate) focus: Focus,
    pub(crate) now: Timestamp,
    next: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_, _| {})
    }

    pub(crate) fn with(edit: impl FnOnce(&mut ConferenceRecord, &mut FocusConfig)) -> Self {
        let (mut record, mut config) = (record(), FocusConfig::default());
        // Most tests are about one change at a time.
        config.roster_interval = Duration::ZERO;
        edit(&mut record, &mut config);
        Self { focus: Focus::new(record, config), now: Timestamp::ZERO, next: 0 }
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn leg(&mut self) -> LegId {
        LegId(self.number())
    }

    pub(crate) fn give(&mut self, input: Input) -> Vec<Output> {
        self.focus.handle(self.now, input);
        std::iter::from_fn(|| self.focus.poll_output()).collect()
    }

    /// Lets time pass and fires the timers on the way.
    pub(crate) fn pass(&mut self, length: Duration) -> Vec<Output> {
        let end = self.now + length;
        let mut outputs = Vec::new();
        while let Some(at) = self.focus.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            outputs.extend(self.give(Input::TimerFired));
        }
        self.now = end;
        outputs
    }

    pub(crate) fn join_focus(&mut self, requester: Requester, name: &str, device: &str) -> (LegId, Vec<Output>) {
        let (command, leg) = (CommandId(self.number()), self.leg());
        let (user, endpoint) = (user(name), endpoint(device));
        let outputs = self.give(Input::JoinFocus(JoinFocus {
            command,
            leg,
            requester,
            user,
            endpoint,
            display_name: None,
            pin: None,
            lobby_capable: true,
        }));
        (leg, outputs)
    }

    pub(crate) fn join_media(&mut self, requester: Requester, device: &str, pin: Option<&str>) -> (LegId, Vec<Output>) {
        let (command, leg) = (CommandId(self.number()), self.leg());
        let outputs = self.give(Input::JoinMedia(JoinMedia {
            command,
            leg,
            requester,
            endpoint: (!device.is_empty()).then(|| endpoint(device)),
            display_name: None,
            pin: pin.map(Pin::entered),
        }));
        (leg, outputs)
    }

    /// An account with a Focus endpoint named `NAME-pc`.
    pub(crate) fn attend(&mut self, name: &str) -> LegId {
        let (leg, outputs) = self.join_focus(account(name), name, &format!("{name}-pc"));
        assert!(matches!(outcome(&outputs), Outcome::Joined { .. }), "{outputs:?}");
        leg
    }

    /// An account with a connected audio endpoint named `NAME-audio`.
    pub(crate) fn talk(&mut self, name: &str) -> LegId {
        let (leg, outputs) = self.join_media(account(name), &format!("{name}-audio"), None);
        assert!(matches!(outcome(&outputs), Outcome::Joined { .. }), "{outputs:?}");
        self.connect(leg);
        leg
    }

    pub(crate) fn connect(&mut self, leg: LegId) -> Vec<Output> {
        self.give(Input::LegConnected { leg })
    }

    pub(crate) fn end(&mut self, leg: LegId, reason: TerminationReason) -> Vec<Output> {
        self.give(Input::LegEnded { leg, termination: Termination::failed(reason) })
    }

    pub(crate) fn enter_pin(&mut self, leg: LegId, pin: &str) -> Vec<Output> {
        self.give(Input::EnterPin { leg, pin: Pin::entered(pin) })
    }

    pub(crate) fn ask(&mut self, requester: Requester, request: ControlRequest) -> Vec<Output> {
        let command = CommandId(self.number());
        self.give(Input::Command { command, requester, request })
    }

    /// A dial-out to `NAME` at his own address, endpoint `NAME-phone`.
    pub(crate) fn dial(&mut self, requester: Requester, name: &str) -> (LegId, CommandId, Vec<Output>) {
        self.dial_with(requester, name, |_| {})
    }

    pub(crate) fn dial_with(
        &mut self,
        requester: Requester,
        name: &str,
        edit: impl FnOnce(&mut DialOut),
    ) -> (LegId, CommandId, Vec<Output>) {
        let (command, leg) = (CommandId(self.number()), self.leg());
        let mut request = DialOut {
            leg,
            user: user(name),
            endpoint: endpoint(&format!("{name}-phone")),
            target: user(name),
            target_is_account: false,
            display_name: None,
            role: None,
        };
        edit(&mut request);
        let request = ControlRequest::DialOut(request);
        (leg, command, self.give(Input::Command { command, requester, request }))
    }

    pub(crate) fn subscribe(&mut self, requester: Requester) -> (SubscriptionId, Vec<Output>) {
        let subscription = SubscriptionId(self.number());
        (subscription, self.give(Input::Subscribe { subscription, requester }))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.focus.roster_document().users.iter().map(|user| user.entity.user_part().to_owned()).collect()
    }

    pub(crate) fn shown(&self, leg: LegId) -> Option<EndpointElement> {
        let document = self.focus.roster_document();
        document.users.iter().flat_map(|user| &user.endpoints).find(|endpoint| endpoint.leg == leg).cloned()
    }

    pub(crate) fn status(&self, leg: LegId) -> Option<EndpointStatus> {
        self.shown(leg).map(|endpoint| endpoint.status)
    }
}

/// All outcomes, in their order.
pub(crate) fn outcomes(outputs: &[Output]) -> Vec<(CommandId, Outcome)> {
    let outcome = |output: &Output| match output {
        Output::Outcome { command, outcome } => Some((*command, outcome.clone())),
        _ => None,
    };
    outputs.iter().filter_map(outcome).collect()
}

/// The only outcome.
pub(crate) fn outcome(outputs: &[Output]) -> Outcome {
    match &outcomes(outputs)[..] {
        [(_, outcome)] => outcome.clone(),
        _ => panic!("not one outcome: {outputs:#?}"),
    }
}

/// Why the only command failed.
pub(crate) fn failure(outputs: &[Output]) -> Failure {
    match outcome(outputs) {
        Outcome::Failure(failure) => failure,
        other => panic!("no failure: {other:?}"),
    }
}

/// The role the only join got.
pub(crate) fn granted(outputs: &[Output]) -> Role {
    match outcome(outputs) {
        Outcome::Joined { role, .. } => role,
        other => panic!("not joined: {other:?}"),
    }
}

pub(crate) fn dialled(outputs: &[Output]) -> Vec<LegId> {
    let dialled = |output: &Output| match output {
        Output::Dial { leg, .. } => Some(*leg),
        _ => None,
    };
    outputs.iter().filter_map(dialled).collect()
}

pub(crate) fn hung_up(outputs: &[Output]) -> Vec<(LegId, Termination)> {
    let hung_up = |output: &Output| match output {
        Output::HangUp { leg, termination } => Some((*leg, *termination)),
        _ => None,
    };
    outputs.iter().filter_map(hung_up).collect()
}

pub(crate) fn documents(outputs: &[Output]) -> Vec<(SubscriptionId, u32, &RosterDocument)> {
    let document = |output| match output {
        &Output::Notify { subscription, version, ref document } => Some((subscription, version, &**document)),
        _ => None,
    };
    outputs.iter().filter_map(document).collect()
}

/// The only document.
pub(crate) fn document(outputs: &[Output]) -> &RosterDocument {
    match documents(outputs)[..] {
        [(_, _, document)] => document,
        _ => panic!("not one document: {outputs:#?}"),
    }
}

/// What a subscriber knows who merges documents as RFC 4575 4.6 says: (user, role, [(endpoint, leg, status)]).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct View {
    pub(crate) users: std::collections::BTreeMap<UserUri, (Role, Option<String>, Vec<EndpointElement>)>,
    pub(crate) conference: Option<focus::ConferenceState>,
}

impl View {
    pub(crate) fn apply(&mut self, document: &RosterDocument) {
        if document.state == ElementState::Full {
            self.users.clear();
        }
        self.conference = Some(document.conference);
        for element in &document.users {
            match element.state {
                ElementState::Deleted => {
                    self.users.remove(&element.entity).expect("only known users are deleted");
                    continue;
                }
                ElementState::Full => {
                    self.users.remove(&element.entity);
                }
                ElementState::Partial => assert!(self.users.contains_key(&element.entity), "{element:?}"),
            }
            let known = self.users.entry(element.entity.clone()).or_insert((element.role, None, Vec::new()));
            known.0 = element.role;
            known.1.clone_from(&element.display_name);
            for endpoint in &element.endpoints {
                known.2.retain(|old| old.entity != endpoint.entity);
                if endpoint.state == ElementState::Full {
                    known.2.push(endpoint.clone());
                }
            }
            known.2.sort_by_key(|endpoint| endpoint.leg);
        }
    }
}
