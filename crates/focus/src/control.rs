//! What participants and the operator may do to a running conference (c3p.md 2.8).

use base::{CommandId, EndpointId, LegId, Role, TerminationReason, Timestamp, UserUri};

use crate::Focus;
use crate::command::{AdmissionChange, ControlRequest, Diagnostic, Failure, FailureReason, Outcome, Requester};
use crate::output::{EndReason, FocusEvent};
use crate::record::ConferenceRecord;

/// Who a requester is here, and what he may do.
#[derive(Debug)]
pub(crate) struct Rights {
    /// Who he is; `None` is the operator.
    pub(crate) user: Option<UserUri>,
    /// The server knows who he is.
    pub(crate) authenticated: bool,
    /// His role; `None` for somebody who has nothing to say here.
    pub(crate) role: Option<Role>,
}

impl Rights {
    /// Whether he leads the conference. Presenters and the organizer can do the same things (c3p.md 2.8).
    pub(crate) fn leads(&self) -> bool {
        self.role >= Some(Role::Presenter)
    }

    /// Whether he is this user.
    pub(crate) fn is(&self, user: &UserUri) -> bool {
        self.user.as_ref() == Some(user)
    }

    /// Attendees control themselves alone.
    pub(crate) fn may_control(&self, user: &UserUri) -> bool {
        self.leads() || (self.role.is_some() && self.is(user))
    }
}

pub(crate) const FORBIDDEN: Failure = Failure::diagnosed(FailureReason::Forbidden, Diagnostic::AUTHORISATION_FAILED);

impl Focus {
    /// Answers a command. Everything but a dial-out is settled at once.
    pub(crate) fn command(
        &mut self,
        now: Timestamp,
        command: CommandId,
        requester: &Requester,
        request: ControlRequest,
    ) {
        let rights = self.rights(requester);
        let result = match request {
            ControlRequest::DialOut(request) => return self.dial_out(now, command, &rights, request),
            ControlRequest::DeleteUser { user } => self.delete_user(now, &rights, &user),
            ControlRequest::DeleteEndpoint { user, endpoint } => self.delete_endpoint(now, &rights, &user, &endpoint),
            ControlRequest::ModifyUserRoles { user, role } => self.modify_user_roles(&rights, &user, role),
            ControlRequest::ModifyConferenceLock { locked, admission } => self.modify_lock(&rights, locked, admission),
            ControlRequest::SetLobbyAccess { users, access } => self.set_lobby_access(now, &rights, &users, access),
            ControlRequest::ModifyEndpointMedia { user, endpoint, ingress, egress } => {
                self.modify_endpoint_media(&rights, &user, &endpoint, ingress, egress)
            }
            ControlRequest::MuteAll { muted, except_presenters } => self.mute_all(&rights, muted, except_presenters),
            ControlRequest::ModifyUsersMediaFilters(filters) => self.modify_users_media_filters(&rights, &filters),
            ControlRequest::DeleteConference => self.delete_conference(now, command, &rights),
            ControlRequest::GetConference => self.get_conference(&rights),
        };
        if self.is_ended() {
            return;
        }
        match result {
            Ok(outcome) => self.answer(command, outcome),
            Err(failure) => self.fail(command, failure),
        }
    }

    /// What a requester may do. The role in the roster counts while he is in, the list's while he is not; who nobody
    /// vouches for has no rights from outside, and from inside those of the leg he sits at.
    pub(crate) fn rights(&self, requester: &Requester) -> Rights {
        match requester {
            Requester::Operator => Rights { user: None, authenticated: true, role: Some(Role::Organizer) },
            Requester::Authenticated(user) => {
                Rights { user: Some(user.clone()), authenticated: true, role: self.role_of(user) }
            }
            Requester::Unauthenticated(user) => Rights { user: Some(user.clone()), authenticated: false, role: None },
            Requester::Participant(leg) => {
                let endpoint = self.roster.endpoint(*leg).filter(|endpoint| endpoint.status.is_in());
                let user = endpoint.and_then(|_| self.roster.user_of(*leg)).cloned();
                let role = user.as_ref().and_then(|user| self.roster.user(user)).map(|user| user.role);
                Rights { user, authenticated: endpoint.is_some_and(|endpoint| endpoint.authenticated), role }
            }
        }
    }

    /// Ejects a user with all his legs; who ejects himself departs. It cancels dial-outs to him and wins races:
    /// whatever is reported of these legs later finds them gone (c3p.md 8.4).
    fn delete_user(&mut self, now: Timestamp, rights: &Rights, user: &UserUri) -> Result<Outcome, Failure> {
        if !rights.may_control(user) {
            return Err(FORBIDDEN);
        }
        let Some(listed) = self.roster.user(user) else { return Err(FailureReason::UserDoesNotExist.into()) };
        let legs: Vec<LegId> = listed.endpoints().iter().map(|endpoint| endpoint.leg).collect();
        for leg in legs {
            self.eject(now, rights, user, leg);
        }
        Ok(Outcome::Done)
    }

    /// The same for one device.
    fn delete_endpoint(
        &mut self,
        now: Timestamp,
        rights: &Rights,
        user: &UserUri,
        endpoint: &EndpointId,
    ) -> Result<Outcome, Failure> {
        if !rights.may_control(user) {
            return Err(FORBIDDEN);
        }
        let leg = self.find_endpoint(user, endpoint)?;
        self.eject(now, rights, user, leg);
        Ok(Outcome::Done)
    }

    fn eject(&mut self, now: Timestamp, rights: &Rights, user: &UserUri, leg: LegId) {
        let reason = if rights.is(user) { TerminationReason::Departed } else { TerminationReason::Booted };
        self.dismiss(now, leg, reason, rights.user.as_ref());
    }

    /// Promotes or demotes. Any presenter may (c3p.md 8.2), also the last one and the organizer, who regains his role
    /// when he joins again; but nobody else becomes organizer.
    fn modify_user_roles(&mut self, rights: &Rights, user: &UserUri, role: Role) -> Result<Outcome, Failure> {
        if !rights.leads() {
            return Err(FORBIDDEN);
        }
        if role == Role::Organizer && *user != self.record.organizer {
            return Err(Failure::diagnosed(FailureReason::InvalidRole, Diagnostic::ROLE_INVALID));
        }
        let Some(listed) = self.roster.user(user) else { return Err(FailureReason::UserDoesNotExist.into()) };
        if listed.role != role {
            self.roster.set_role(user, role);
            self.outbox.event(FocusEvent::RoleChanged { user: user.clone(), role, by: rights.user.clone() });
        }
        Ok(Outcome::Done)
    }

    /// Keeps newcomers out, or lets them in again; changes who may enter, who waits and who presents.
    fn modify_lock(&mut self, rights: &Rights, locked: bool, admission: AdmissionChange) -> Result<Outcome, Failure> {
        if !rights.leads() {
            return Err(FORBIDDEN);
        }
        if std::mem::replace(&mut self.locked, locked) != locked {
            self.outbox.event(FocusEvent::LockChanged { locked, by: rights.user.clone() });
        }
        self.change_admission(admission, rights.user.clone());
        Ok(Outcome::Done)
    }

    /// Other people may enter, or wait, from now on. Who is in stays in, and who waits goes on waiting.
    fn change_admission(&mut self, admission: AdmissionChange, by: Option<UserUri>) {
        let (access, lobby) = (admission.access.unwrap_or(self.access), admission.lobby.unwrap_or(self.lobby));
        let promote_authenticated = admission.promote_authenticated.unwrap_or(self.promote_authenticated);
        if (access, lobby, promote_authenticated) != (self.access, self.lobby, self.promote_authenticated) {
            (self.access, self.lobby, self.promote_authenticated) = (access, lobby, promote_authenticated);
            self.subscriptions.redescribe = true;
            self.outbox.event(FocusEvent::AdmissionChanged { access, lobby, promote_authenticated, by });
        }
    }

    /// The record is replaced as a whole (c3p.md 2.4), and everybody is shown the new description. What presenters changed of
    /// the admission gives way to it. The lock is the meeting's, and follows only if the new record has another one than the
    /// old: most documents do not name it.
    pub(crate) fn reschedule(&mut self, record: ConferenceRecord, by: UserUri) {
        let before = std::mem::replace(&mut self.record, record);
        self.subscriptions.redescribe = true;
        let admission = AdmissionChange {
            access: Some(self.record.access),
            lobby: Some(self.record.lobby),
            promote_authenticated: Some(self.record.promote_authenticated),
        };
        let locked = self.record.locked;
        if before.locked != locked && self.locked != locked {
            self.locked = locked;
            self.outbox.event(FocusEvent::LockChanged { locked, by: Some(by.clone()) });
        }
        self.change_admission(admission, Some(by));
    }

    /// Ends the meeting. The requester's answer goes out before the conference does.
    fn delete_conference(&mut self, now: Timestamp, command: CommandId, rights: &Rights) -> Result<Outcome, Failure> {
        if !rights.leads() {
            return Err(FORBIDDEN);
        }
        self.answer_at_once(command, Outcome::Done);
        self.end(now, EndReason::Deleted);
        Ok(Outcome::Done)
    }

    /// The roster, for everybody who may subscribe to it.
    fn get_conference(&self, rights: &Rights) -> Result<Outcome, Failure> {
        if !self.may_watch(rights) {
            return Err(FORBIDDEN);
        }
        Ok(Outcome::Conference(self.roster_document()))
    }

    pub(crate) fn find_endpoint(&self, user: &UserUri, endpoint: &EndpointId) -> Result<LegId, Failure> {
        if self.roster.user(user).is_none() {
            return Err(FailureReason::UserDoesNotExist.into());
        }
        let found = self.roster.find(user, endpoint).map(|endpoint| endpoint.leg);
        found.ok_or(FailureReason::EndpointDoesNotExist.into())
    }
}
