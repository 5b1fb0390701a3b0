//! Who may come in, and as what.

use base::{AccessType, CommandId, EndpointId, LegId, Role, Termination, TerminationReason, Timestamp, UserUri};

use crate::Focus;
use crate::command::{Diagnostic, Failure, FailureReason, JoinFocus, JoinMedia, Outcome, Requester};
use crate::control::Rights;
use crate::document::{EndpointStatus, SessionType};
use crate::output::{FocusEvent, Output, Prompt};
use crate::record::{Lobby, Pin};
use crate::roster::Endpoint;
use crate::timers::Timer;

/// A caller who is entering the PIN. His leg is the Focus's, but he is not in the roster.
#[derive(Debug)]
pub(crate) struct PinEntry {
    join: JoinMedia,
    tries_left: u8,
    answered: bool,
}

/// Somebody at the door.
struct Joiner {
    /// Under which user he will stand in the roster.
    user: UserUri,
    /// Who he says he is, when nobody vouches for it.
    claimed: Option<UserUri>,
    /// The server knows who he is.
    authenticated: bool,
    /// He is who he says he is: authenticated, or already in the conference and asking from there.
    proven: bool,
}

/// What he brings.
struct Entry {
    command: CommandId,
    leg: LegId,
    endpoint: EndpointId,
    display_name: Option<String>,
    session: SessionType,
    status: EndpointStatus,
    /// He can be made to wait.
    lobby_capable: bool,
}

enum Admission {
    Admit,
    /// In the lobby.
    Wait,
    AskPin,
    Refuse(Failure),
}

impl Focus {
    /// A device joins the Focus. Its dialog is up with the answer, so the endpoint is connected at once.
    pub(crate) fn join_focus(&mut self, now: Timestamp, join: JoinFocus) {
        let JoinFocus { command, leg, requester, user, endpoint, display_name, pin, lobby_capable } = join;
        let (session, status) = (SessionType::Focus, EndpointStatus::Connected);
        let entry = Entry { command, leg, endpoint, display_name, session, status, lobby_capable };
        match self.joiner(&requester, Some(&user), leg) {
            Err(failure) => self.refuse(command, &requester, failure),
            Ok(joiner) => match self.admit(&joiner, &entry, pin.as_ref()) {
                Admission::Admit => self.enter(now, joiner, entry),
                Admission::Wait => self.enter_lobby(now, joiner, entry),
                // A Focus dialog carries no audio to ask by; the client sends the PIN with its next try.
                Admission::AskPin => self.refuse(command, &requester, FailureReason::InvalidPasscode.into()),
                Admission::Refuse(failure) => self.refuse(command, &requester, failure),
            },
        }
    }

    /// An audio leg comes in; it may have to enter the PIN first.
    pub(crate) fn join_media(&mut self, now: Timestamp, join: JoinMedia) {
        let tries = self.config.pin_tries.max(1);
        match self.admit_media(&join, join.pin.as_ref(), EndpointStatus::DialingIn) {
            Ok((joiner, entry, Admission::Admit)) => self.enter(now, joiner, entry),
            Ok((joiner, entry, Admission::Wait)) => self.enter_lobby(now, joiner, entry),
            Err(failure) | Ok((_, _, Admission::Refuse(failure))) => {
                self.refuse(join.command, &join.requester, failure);
            }
            // A wrong PIN that came with the call is the first try.
            Ok((_, _, Admission::AskPin)) => match tries - u8::from(join.pin.is_some()) {
                0 => self.refuse(join.command, &join.requester, FailureReason::InvalidPasscode.into()),
                tries_left => self.ask_pin(now, PinEntry { join, tries_left, answered: false }),
            },
        }
    }

    /// A caller typed something for the PIN. Everything else is decided anew: the conference may have been locked or
    /// filled while he typed.
    pub(crate) fn enter_pin(&mut self, now: Timestamp, leg: LegId, pin: &Pin) {
        let Some(mut entry) = self.pin_entries.remove(&leg) else { return };
        let status = if entry.answered { EndpointStatus::Connected } else { EndpointStatus::DialingIn };
        match self.admit_media(&entry.join, Some(pin), status) {
            Ok((joiner, arrival, Admission::Admit)) => {
                self.timers.cancel(Timer::Pin(leg));
                self.enter(now, joiner, arrival);
            }
            Ok((joiner, arrival, Admission::Wait)) => {
                self.timers.cancel(Timer::Pin(leg));
                self.enter_lobby(now, joiner, arrival);
            }
            Err(failure) | Ok((_, _, Admission::Refuse(failure))) => self.turn_away(&entry, failure),
            Ok((_, _, Admission::AskPin)) if entry.tries_left <= 1 => {
                self.turn_away(&entry, FailureReason::InvalidPasscode.into());
            }
            Ok((_, _, Admission::AskPin)) => {
                entry.tries_left -= 1;
                self.outbox.push(Output::Prompt { leg, prompt: Prompt::WrongPin });
                self.ask_pin(now, entry);
            }
        }
    }

    /// The call of a caller who must enter the PIN is answered: now he can hear that he is asked.
    pub(crate) fn pin_entry_answered(&mut self, now: Timestamp, leg: LegId) {
        let Some(entry) = self.pin_entries.get_mut(&leg) else { return };
        if !std::mem::replace(&mut entry.answered, true) {
            self.timers.set(Timer::Pin(leg), now + self.config.pin_wait);
            self.outbox.push(Output::Prompt { leg, prompt: Prompt::EnterPin });
        }
    }

    /// The caller took too long.
    pub(crate) fn pin_entry_timed_out(&mut self, leg: LegId) {
        if let Some(entry) = self.pin_entries.remove(&leg) {
            self.turn_away(&entry, FailureReason::Timeout.into());
        }
    }

    /// The caller hung up.
    pub(crate) fn pin_entry_ended(&mut self, leg: LegId) {
        if let Some(entry) = self.pin_entries.remove(&leg) {
            self.timers.cancel(Timer::Pin(leg));
            self.fail_at_once(entry.join.command, FailureReason::RequestCancelled.into());
        }
    }

    /// The conference ends while callers are entering the PIN.
    pub(crate) fn end_pin_entries(&mut self, termination: Termination) {
        for (leg, entry) in std::mem::take(&mut self.pin_entries) {
            self.fail_at_once(entry.join.command, FailureReason::RequestCancelled.into());
            self.outbox.push(Output::HangUp { leg, termination });
        }
    }

    fn ask_pin(&mut self, now: Timestamp, entry: PinEntry) {
        let (leg, command, tries_left) = (entry.join.leg, entry.join.command, entry.tries_left);
        self.timers.set(Timer::Pin(leg), now + self.config.pin_wait);
        self.pin_entries.insert(leg, entry);
        self.answer_at_once(command, Outcome::NeedPin { tries_left });
    }

    fn admit_media(
        &self,
        join: &JoinMedia,
        pin: Option<&Pin>,
        status: EndpointStatus,
    ) -> Result<(Joiner, Entry, Admission), Failure> {
        let joiner = self.joiner(&join.requester, None, join.leg)?;
        let endpoint = match &join.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => EndpointId::parse(&format!("{{leg-{}}}", join.leg)).expect("a number makes a short graphic text"),
        };
        let entry = Entry {
            command: join.command,
            leg: join.leg,
            endpoint,
            display_name: join.display_name.clone(),
            session: SessionType::AudioVideo,
            status,
            lobby_capable: true,
        };
        let admission = self.admit(&joiner, &entry, pin);
        Ok((joiner, entry, admission))
    }

    /// Who stands at the door, and what that is worth.
    ///
    /// A user of the roster is somebody proven. Who only says who he is becomes a guest of his own, and what he says is
    /// shown as his endpoint's address. So nobody inherits another's role or replaces another's endpoint by claiming to
    /// be him, and two callers who withhold their numbers can be muted and ejected one by one. Only a name that cannot be
    /// anybody's account (host `anonymous.invalid`, RFC 3323 4.1.1.3) is kept while it is free.
    fn joiner(&self, requester: &Requester, named: Option<&UserUri>, leg: LegId) -> Result<Joiner, Failure> {
        let proven = |user: &UserUri, authenticated| match named {
            Some(named) if named != user => Err(FailureReason::InvalidUserEntity.into()),
            _ => Ok(Joiner { user: user.clone(), claimed: None, authenticated, proven: true }),
        };
        match requester {
            Requester::Authenticated(user) => proven(user, true),
            Requester::Participant(_) => match self.rights(requester) {
                Rights { user: Some(user), authenticated, .. } => proven(&user, authenticated),
                _ => Err(Failure::diagnosed(FailureReason::Forbidden, Diagnostic::AUTHORISATION_FAILED)),
            },
            Requester::Operator => match named {
                Some(user) => proven(user, true),
                None => Err(FailureReason::InvalidUserEntity.into()),
            },
            Requester::Unauthenticated(claimed) => {
                let claimed = named.unwrap_or(claimed);
                let nobody = claimed.host() == NOBODYS_HOST && !claimed.user_part().starts_with("guest-");
                let free = nobody && self.role_of(claimed).is_none();
                let user = if free { claimed.clone() } else { guest(leg) };
                Ok(Joiner { user, claimed: Some(claimed.clone()), authenticated: false, proven: false })
            }
        }
    }

    /// Lock, access type and limits, in this order.
    fn admit(&self, joiner: &Joiner, entry: &Entry, pin: Option<&Pin>) -> Admission {
        if self.roster.user_of(entry.leg).is_some() || self.pin_entries.contains_key(&entry.leg) {
            return Admission::Refuse(FailureReason::ServerInternalError.into());
        }
        let access = self.admit_by_lobby(joiner, entry, pin);
        if matches!(access, Admission::Refuse(_)) {
            return access;
        }
        let waits = matches!(access, Admission::Wait);
        match self.admit_by_limits(joiner, entry, waits) {
            Ok(()) => access,
            Err(failure) => Admission::Refuse(failure),
        }
    }

    /// Who would be refused, and who is admitted without an account, waits where there is a lobby. The PIN is asked for
    /// first: a stranger without it does not even wait.
    fn admit_by_lobby(&self, joiner: &Joiner, entry: &Entry, pin: Option<&Pin>) -> Admission {
        let access = self.admit_by_access(joiner, pin);
        let passes = self.lobby == Lobby::PhonesPass && entry.session == SessionType::AudioVideo;
        let leads = joiner.authenticated && self.record.listed_role(&joiner.user) >= Some(Role::Presenter);
        let refusal = match access {
            _ if self.lobby == Lobby::Off => return access,
            // Somebody must be able to let the others in.
            Admission::Refuse(_) if leads => return Admission::Admit,
            Admission::Admit if joiner.authenticated || joiner.proven || passes => return access,
            Admission::Admit => FailureReason::AnonymousUsersNotAllowed.into(),
            Admission::Refuse(failure) => failure,
            Admission::AskPin | Admission::Wait => return access,
        };
        let wanted = self.record.pin.as_ref().filter(|_| self.access != AccessType::Closed && !joiner.authenticated);
        match wanted {
            Some(wanted) if pin != Some(wanted) => Admission::AskPin,
            _ if entry.lobby_capable => Admission::Wait,
            _ => Admission::Refuse(refusal),
        }
    }

    /// Lock and access type (requirement C23).
    ///
    /// Who is in already (and proves it) stays admitted: a rejoin or a further device is not a new join.
    /// A locked conference takes nobody new but its organizer (c3p.md 8.2). Then:
    ///
    /// | | open | closed | anonymous |
    /// | --- | --- | --- | --- |
    /// | authenticated, listed | yes | yes | yes |
    /// | authenticated, not listed | yes | no | yes, without PIN |
    /// | no account, conference with PIN | with the PIN | no | with the PIN |
    /// | no account, conference without PIN | no | no | yes |
    ///
    /// The PIN opens no closed conference, because whoever has it cannot be on the list.
    fn admit_by_access(&self, joiner: &Joiner, pin: Option<&Pin>) -> Admission {
        if joiner.proven && self.roster.user(&joiner.user).is_some_and(|user| !user.is_waiting()) {
            return Admission::Admit;
        }
        if self.locked && !(joiner.authenticated && joiner.user == self.record.organizer) {
            return Admission::Refuse(FailureReason::ConferenceLocked.into());
        }
        let listed = joiner.authenticated && self.record.listed_role(&joiner.user).is_some();
        let forbidden = |reason| Admission::Refuse(Failure::diagnosed(reason, Diagnostic::AUTHORISATION_FAILED));
        match (self.access, joiner.authenticated, &self.record.pin) {
            (AccessType::Closed, true, _) if !listed => forbidden(FailureReason::Forbidden),
            (_, true, _) | (AccessType::Anonymous, false, None) => Admission::Admit,
            (AccessType::Closed, false, _) | (AccessType::Open, false, None) => {
                forbidden(FailureReason::AnonymousUsersNotAllowed)
            }
            (_, false, Some(wanted)) if pin == Some(wanted) => Admission::Admit,
            (_, false, Some(_)) => Admission::AskPin,
        }
    }

    /// Size, and what an endpoint may replace. Callers who are entering the PIN count: they hold a leg.
    fn admit_by_limits(&self, joiner: &Joiner, entry: &Entry, waits: bool) -> Result<(), Failure> {
        match self.roster.find(&joiner.user, &entry.endpoint) {
            // One name for a Focus dialog and for audio would make one of the two unreachable for every command.
            Some(old) if old.session != entry.session => return Err(FailureReason::OtherFailure.into()),
            Some(_) => return Ok(()),
            None if waits && self.roster.waiting() >= self.config.lobby_places => {
                return Err(FailureReason::MaximumMeetingSizeExceeded.into());
            }
            None => {}
        }
        self.room_for(&joiner.user)
    }

    /// Whether one more endpoint of this user fits in.
    pub(crate) fn room_for(&self, user: &UserUri) -> Result<(), Failure> {
        let own = self.roster.user(user).map_or(0, |user| user.endpoints().len());
        let legs = self.roster.leg_count() + self.pin_entries.len();
        if legs >= self.config.limits.legs_per_conference {
            return Err(FailureReason::MaximumMeetingSizeExceeded.into());
        }
        if own >= self.config.endpoints_per_user {
            return Err(FailureReason::TooManyEndpoints.into());
        }
        Ok(())
    }

    /// Puts the joiner into the roster. The same endpoint of the same user gives way (c3p.md 8.2).
    fn enter(&mut self, now: Timestamp, joiner: Joiner, entry: Entry) {
        let (command, leg, status, id) = (entry.command, entry.leg, entry.status, entry.endpoint.clone());
        // The door may have opened since his other devices came.
        self.admit_waiting(now, &joiner.user);
        let (user, role) = self.list(joiner, entry, EndpointStatus::DialingIn);
        if status == EndpointStatus::DialingIn {
            self.timers.set(Timer::SetUp(leg), now + self.config.answer_wait);
        } else {
            self.leg_is_in(now, leg);
        }
        self.answer_at_once(command, Outcome::Joined { user, endpoint: id, role });
    }

    /// Puts the joiner into the lobby.
    fn enter_lobby(&mut self, now: Timestamp, joiner: Joiner, entry: Entry) {
        let (command, leg, status, endpoint) = (entry.command, entry.leg, entry.status, entry.endpoint.clone());
        let (user, _) = self.list(joiner, entry, EndpointStatus::Waiting);
        self.wait_in_lobby(now, command, leg, status.is_in());
        self.outbox.event(FocusEvent::EnteredLobby { user: user.clone(), endpoint: endpoint.clone(), leg });
        self.answer_at_once(command, Outcome::Waiting { user, endpoint });
    }

    fn list(&mut self, joiner: Joiner, entry: Entry, status: EndpointStatus) -> (UserUri, Role) {
        let role = self.role_on_joining(&joiner);
        let before = self.roster.user(&joiner.user).map(|user| user.role);
        let mut endpoint = Endpoint::new(entry.endpoint, entry.leg, entry.session, status);
        endpoint.authenticated = joiner.authenticated;
        let shown =
            entry.display_name.or_else(|| joiner.claimed.as_ref().map(|claimed| claimed.user_part().to_owned()));
        endpoint.uri = joiner.claimed;
        endpoint.ingress = self.ingress_on_joining(entry.session, role);
        if let Some(old) = self.roster.insert(&joiner.user, shown, role, endpoint) {
            self.leg_replaced(&joiner.user, &old);
        }
        if before.is_some_and(|before| before != role) {
            self.outbox.event(FocusEvent::RoleChanged { user: joiner.user.clone(), role, by: None });
        }
        self.activated();
        (joiner.user, role)
    }

    /// The organizer regains his role with every join; others keep the one they have, or start with the list's.
    fn role_on_joining(&self, joiner: &Joiner) -> Role {
        if joiner.authenticated && joiner.user == self.record.organizer {
            return Role::Organizer;
        }
        let promoted = self.promote_authenticated.then_some(Role::Presenter);
        let listed = if joiner.authenticated { self.record.listed_role(&joiner.user).max(promoted) } else { None };
        self.roster.user(&joiner.user).map(|user| user.role).or(listed).unwrap_or(Role::Attendee)
    }

    fn refuse(&mut self, command: CommandId, requester: &Requester, failure: Failure) {
        if let Requester::Authenticated(user) | Requester::Unauthenticated(user) = requester {
            self.outbox.event(FocusEvent::JoinRefused { user: user.clone(), reason: failure.reason });
        }
        self.fail_at_once(command, failure);
    }

    /// Refuses a caller whose leg is the Focus's already.
    fn turn_away(&mut self, entry: &PinEntry, failure: Failure) {
        let leg = entry.join.leg;
        self.timers.cancel(Timer::Pin(leg));
        self.refuse(entry.join.command, &entry.join.requester, failure);
        self.outbox.push(Output::HangUp { leg, termination: Termination::failed(TerminationReason::Forbidden) });
    }
}

/// Where nobody has an account (RFC 3323 4.1.1.3).
const NOBODYS_HOST: &str = "anonymous.invalid";

/// A user of his own for somebody nobody vouches for.
fn guest(leg: LegId) -> UserUri {
    UserUri::parse(&format!("sip:guest-{leg}@{NOBODYS_HOST}")).expect("a number makes a user part")
}
