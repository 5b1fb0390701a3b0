//! The Focus Factory: SERVICE requests with C3P that schedule conferences (c3p.md 2.4).

use base::{AccessType, ConferenceId, ConferenceNumber, Role, Timestamp, UserUri};
use c3p::conference_info::{ConferenceInfo, ConferenceState, Description, User, Users};
use c3p::{
    AccessRegion, Capabilities, Command, ConferenceKeys, ConferenceUri, Diagnostic, FailureReason, McuType, OpaqueXml,
    Request, ResponseBody, State,
};
use focus::{ConferenceRecord, ControlRequest, Pin, Requester};
use rand::Rng;
use sip_api::{ALLOW, Method, Response, ServerTransactionId, SipCommand};

use crate::conference::attendant::{AccessNumber, is_attendants};
use crate::control::c3p_command::{Refused, lobby, refused};
use crate::control::c3p_dialog::{C3P, failure, success};
use crate::control::roster_document::describe;
use crate::control::schedule::{Expiry, Schedule, format_time, timestamp, unix_ms};
use crate::directory::Directory;
use crate::group::Groups;
use crate::target::Target;
use crate::{Effect, Engine, Origin};

/// Characters of a conference id made here; the look-alikes 0, O, 1 and I are left out.
const ID_ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// The id that is every user's own for his "my meeting" (c3p.md 1.2). Ids are unique in this server, so it is nobody's; a
/// personal conference has another one.
const MY_MEETING: &str = "3814A82809A34ED0958CFDB60957BDF";

/// Length of a conference id made here.
const ID_LENGTH: usize = 12;

/// Numbers of conferences that are not permanent.
const NUMBERS: std::ops::Range<u32> = 100_000..1_000_000;

/// Conferences one organizer may have scheduled at once.
const CONFERENCES_PER_ORGANIZER: usize = 1_000;

/// The bit of `autopromote` for users of the same enterprise [M].
const AUTOPROMOTE_ENTERPRISE: u32 = 0x8000;

/// The bits of `autopromote` that mean at least those: the other one is for everybody [M], of whom we promote only users
/// whom the server knows.
const AUTOPROMOTE: u32 = 0x8000_0000 | AUTOPROMOTE_ENTERPRISE;

/// Whether a mask of `autopromote` makes the users of this server presenters.
pub(crate) const fn promotes(mask: u32) -> bool {
    mask & AUTOPROMOTE != 0
}

/// How often a free number is drawn before the Factory says that it has none.
const NUMBER_DRAWS: usize = 64;

/// Names a store effect in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreTicket(pub u64);

/// What is to last.
#[derive(Clone, Debug)]
pub enum StoreCommand {
    /// Insert or replace a conference.
    SaveConference(Box<Schedule>),
    /// Delete a conference.
    DeleteConference(ConferenceId),
    /// A conference was of use at that time, in milliseconds since 1970.
    NoteUse(ConferenceId, i64),
}

/// A change that waits until it lasts: then it is made, and its SERVICE is answered.
#[derive(Debug)]
pub(crate) struct PendingStore {
    /// The SERVICE that waits for it; `None` when the time of a conference was over.
    asked: Option<(ServerTransactionId, Box<Request>)>,
    change: StoreCommand,
}

/// How a Factory command goes on.
enum Step {
    /// It is answered now.
    Answer(ResponseBody),
    /// It is answered once this lasts.
    Store(StoreCommand),
}

impl Engine {
    /// A request outside any dialog.
    pub(crate) fn on_out_of_dialog(
        &mut self,
        transaction: ServerTransactionId,
        request: &sip_api::Request,
        user: Option<UserUri>,
    ) {
        match request.method {
            Method::Options => self.respond(transaction, Response::new(200)),
            Method::Service => self.on_service(transaction, request, user),
            _ => self.respond(transaction, Response::new(405).with_header("Allow", ALLOW)),
        }
    }

    fn on_service(&mut self, transaction: ServerTransactionId, request: &sip_api::Request, user: Option<UserUri>) {
        let Some(user) = user else {
            return self.effects.push_back(Effect::Sip(SipCommand::Challenge { transaction }));
        };
        if self.target(&request.uri) != Target::FocusFactory {
            return self.respond(transaction, Response::new(404));
        }
        if request.content_type().as_deref() != Some(C3P) {
            return self.respond(transaction, Response::new(415).with_header("Accept", C3P));
        }
        match c3p::parse_request(&request.body) {
            Ok(command) => self.run_factory_command(transaction, user, command),
            Err(error) => {
                let (name, value) = self.diagnostic_header(error.diagnostic());
                let response = match error.failure_response() {
                    Some(body) => Response::new(200).with_body(C3P, body),
                    None => Response::new(400),
                };
                self.respond(transaction, response.with_header(&name, value));
            }
        }
    }

    fn run_factory_command(&mut self, transaction: ServerTransactionId, user: UserUri, request: Request) {
        match self.factory_step(&user, &request) {
            Ok(Step::Answer(body)) => {
                self.note_command(&request, true);
                self.respond(transaction, Response::new(200).with_body(C3P, success(&request, body)));
            }
            Ok(Step::Store(change)) => {
                self.store(Some((transaction, Box::new(request))), change);
            }
            Err(refused) => self.refuse_factory_command(transaction, &request, refused),
        }
    }

    fn store(&mut self, asked: Option<(ServerTransactionId, Box<Request>)>, change: StoreCommand) {
        let ticket = StoreTicket(self.next_ticket);
        self.next_ticket += 1;
        self.stores.insert(ticket, PendingStore { asked, change: change.clone() });
        self.effects.push_back(Effect::Store { ticket, command: change });
    }

    /// When the next conference expires.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        let (expiry, _) = self.directory.next_expiry()?;
        Some(timestamp(self.config.unix_start_ms, *expiry))
    }

    /// Deletes the conferences whose time is over (c3p.md 8.1); one that is on goes when it ends, unless it would go
    /// because nobody uses it.
    pub(crate) fn expire_conferences(&mut self) {
        while self.next_expiry().is_some_and(|at| at <= self.now)
            && let Some((_, id)) = self.directory.next_expiry().cloned()
        {
            if self.conferences.get(&id).is_some() && self.note_use(&id) {
                continue;
            }
            self.directory.forget_expiry(&id);
            self.retire_conference(&id);
            self.store(None, StoreCommand::DeleteConference(id));
        }
    }

    /// A scheduled conference begins or ends; what is never deleted for want of use is not written down. Whether it was.
    pub(crate) fn note_use(&mut self, id: &ConferenceId) -> bool {
        let now = unix_ms(self.config.unix_start_ms, self.now);
        let noted = self.directory.note_use(id, now);
        if noted {
            self.store(None, StoreCommand::NoteUse(id.clone(), now));
        }
        noted
    }

    fn refuse_factory_command(&mut self, transaction: ServerTransactionId, request: &Request, refused: Refused) {
        self.note_command(request, false);
        let (name, value) = self.diagnostic_header(refused.diagnostic);
        let body = failure(request, refused.reason);
        self.respond(transaction, Response::new(200).with_body(C3P, body).with_header(&name, value));
    }

    fn factory_step(&mut self, user: &UserUri, request: &Request) -> Result<Step, Refused> {
        let from = UserUri::parse(&request.envelope.from).map(|from| from.address_of_record());
        if from.as_ref() != Ok(user) {
            return Err(refused(FailureReason::Forbidden, Diagnostic::FromInvalid));
        }
        match ConferenceUri::parse(&request.envelope.to) {
            Ok(ConferenceUri::Factory { organizer }) if organizer == *user => {}
            _ => return Err(refused(FailureReason::Forbidden, Diagnostic::ToInvalid)),
        }
        match &request.command {
            Command::GetConferencingCapabilities => {
                Ok(Step::Answer(ResponseBody::GetConferencingCapabilities(self.capabilities())))
            }
            Command::AddConference(info) => self.add_conference(user, info),
            Command::ModifyConference(modify) => self.modify_conference(user, &modify.info),
            Command::DeleteConference(delete) => {
                let id = self.own_conference(user, &delete.keys)?.record.id.clone();
                self.check_changeable(&id)?;
                Ok(Step::Store(StoreCommand::DeleteConference(id)))
            }
            Command::GetConferences => {
                let own = self.directory.conferences().filter(|record| record.organizer == *user);
                let own = own.filter_map(|record| self.directory.schedule(&record.id));
                Ok(Step::Answer(ResponseBody::GetConferences(own.map(|schedule| self.schedule(schedule)).collect())))
            }
            Command::GetConference(get) => {
                let schedule = self.own_conference(user, &get.keys)?;
                Ok(Step::Answer(ResponseBody::GetConference(Box::new(self.schedule(schedule)))))
            }
            Command::GetEncryptionKey => match &self.config.certificate {
                Some(certificate) => Ok(Step::Answer(ResponseBody::GetEncryptionKey(certificate.clone()))),
                None => Err(refused(FailureReason::NotSupported, Diagnostic::NotImplemented)),
            },
            _ => Err(refused(FailureReason::NotSupported, Diagnostic::NotImplemented)),
        }
    }

    /// The kinds of MCU there are, and the access numbers by region; the first region is the default.
    fn capabilities(&self) -> Capabilities {
        let mut regions: Vec<AccessRegion> = Vec::new();
        for AccessNumber { number, region, .. } in &self.config.access_numbers {
            match regions.iter_mut().find(|known| known.name == *region) {
                Some(known) => known.numbers.push(number.clone()),
                None => regions.push(AccessRegion { name: region.clone(), numbers: vec![number.clone()] }),
            }
        }
        let default_region = regions.first().map(|region| region.name.clone());
        Capabilities { mcu_types: vec![McuType::AudioVideo], regions, default_region }
    }

    fn own_conference(&self, user: &UserUri, keys: &ConferenceKeys) -> Result<&Schedule, Refused> {
        let unknown = || refused(FailureReason::ConferenceDoesNotExist, Diagnostic::ConfEntityInvalid);
        let id = match keys {
            ConferenceKeys::ConferenceId(id) => ConferenceId::parse(id).ok(),
            ConferenceKeys::Entity(uri) => {
                ConferenceUri::parse(uri).ok().and_then(|uri| uri.conference().map(|focus| focus.conference_id.clone()))
            }
        };
        let schedule = id.and_then(|id| self.directory.schedule(&id)).ok_or_else(unknown)?;
        // Whether somebody else's conference exists is not told.
        if schedule.record.organizer == *user { Ok(schedule) } else { Err(unknown()) }
    }

    /// A conference of the configuration is changed there, by the operator.
    fn check_changeable(&self, id: &ConferenceId) -> Result<(), Refused> {
        match self.directory.is_permanent(id) {
            true => Err(refused(FailureReason::Forbidden, Diagnostic::AuthorizationFailed)),
            false => Ok(()),
        }
    }

    fn add_conference(&mut self, user: &UserUri, info: &ConferenceInfo) -> Result<Step, Refused> {
        let wanted = info.description.as_ref().and_then(|description| description.conference_id.as_deref());
        let id = match wanted {
            Some(text) => ConferenceId::parse(text)
                .map_err(|_| refused(FailureReason::InvalidConferenceId, Diagnostic::ConferenceUriInvalid))?,
            None => self.new_conference_id(),
        };
        let is_reserved = id.as_str() == MY_MEETING || is_attendants(&id) || Groups::is_conference(&id);
        if Directory::is_permanent_id(&id) || is_reserved {
            return Err(refused(FailureReason::InvalidConferenceId, Diagnostic::ConferenceUriInvalid));
        }
        if self.directory.conference(&id).is_some() || self.is_being_stored(&id) {
            return Err(refused(FailureReason::ConferenceExists, Diagnostic::ConferenceUriInvalid));
        }
        let own = self.directory.conferences().filter(|record| record.organizer == *user).count();
        if own >= CONFERENCES_PER_ORGANIZER {
            return Err(refused(FailureReason::MaximumConferencesExceeded, Diagnostic::AuthorizationFailed));
        }
        let number = self.new_number().ok_or(refused(FailureReason::ServerBusy, Diagnostic::AuthorizationFailed))?;
        self.save(user, id, Some(number), info, 1)
    }

    /// Whether a change of a conference is on its way to the disk; a second one could not know the first.
    fn is_being_stored(&self, id: &ConferenceId) -> bool {
        self.stores.values().any(|pending| match &pending.change {
            StoreCommand::SaveConference(schedule) => schedule.record.id == *id,
            StoreCommand::DeleteConference(deleted) => deleted == id,
            StoreCommand::NoteUse(..) => false,
        })
    }

    fn modify_conference(&mut self, user: &UserUri, info: &ConferenceInfo) -> Result<Step, Refused> {
        let id = info.description.as_ref().and_then(|description| description.conference_id.clone());
        let keys = match id {
            Some(id) => ConferenceKeys::ConferenceId(id),
            None => ConferenceKeys::Entity(info.entity.clone()),
        };
        let known = self.own_conference(user, &keys)?;
        let (id, number, version) = (known.record.id.clone(), known.record.number.clone(), known.version + 1);
        self.check_changeable(&id)?;
        if info.version.is_some_and(|of| of != known.wire_version()) {
            return Err(refused(FailureReason::InvalidVersion, Diagnostic::AuthorizationFailed));
        }
        if self.is_being_stored(&id) {
            return Err(refused(FailureReason::ServerBusy, Diagnostic::AuthorizationFailed));
        }
        self.save(user, id, number, info, version)
    }

    /// The schedule of a document as a record to be stored; it replaces the old one as a whole (c3p.md 2.4).
    fn save(
        &self,
        user: &UserUri,
        id: ConferenceId,
        number: Option<ConferenceNumber>,
        info: &ConferenceInfo,
        version: u64,
    ) -> Result<Step, Refused> {
        let description = info.description.clone().unwrap_or_default();
        check_data(&description)?;
        if info.is_static && self.has_personal(user, &id) {
            return Err(refused(FailureReason::MaximumConferencesExceeded, Diagnostic::AuthorizationFailed));
        }
        let now = unix_ms(self.config.unix_start_ms, self.now);
        let pin = match &description.passcode {
            Some(passcode) => Some(
                Pin::parse(passcode.expose())
                    .map_err(|_| refused(FailureReason::InvalidPasscode, Diagnostic::AuthorizationFailed))?,
            ),
            None => None,
        };
        let expiry = self.wanted_expiry(&id, info, now)?;
        let record = ConferenceRecord {
            id,
            number,
            organizer: user.clone(),
            organizer_name: self.directory.user(user).and_then(|account| account.display_name.clone()),
            subject: description.subject,
            access: description.admission_policy.unwrap_or(AccessType::Open),
            pin,
            invited: invited(info)?,
            locked: info.conference_state.as_ref().and_then(|state| state.locked).unwrap_or(false),
            attendees_may_dial_out: self.config.attendees_may_dial_out,
            // A client that speaks of the lobby wants one.
            lobby: description.pstn_lobby_bypass.map_or(focus::Lobby::Off, lobby),
            promote_authenticated: description.autopromote.is_some_and(promotes),
        };
        Ok(Step::Store(StoreCommand::SaveConference(Box::new(Schedule {
            record,
            version,
            expiry,
            used: now,
            updated: Some(now),
            description: description.display_text,
            organizer_data: description.organizer_data.as_ref().map(OpaqueXml::to_stored),
            notification_data: description.notification_data.as_ref().map(OpaqueXml::to_stored),
        }))))
    }

    /// When a document wants its conference deleted. Personal ones never are (c3p.md 1.2), whatever time it names; a time
    /// we gave for want of another one is still none.
    fn wanted_expiry(&self, id: &ConferenceId, info: &ConferenceInfo, now: i64) -> Result<Expiry, Refused> {
        if info.is_static {
            return Ok(Expiry::Never);
        }
        let wanted = info.description.as_ref().and_then(|description| description.expiry_time.as_deref());
        let Some(wanted) = wanted else { return Ok(Expiry::Unused) };
        let known = self.directory.schedule(id).filter(|known| known.expiry == Expiry::Unused);
        let given = known.and_then(|known| self.directory.expiry(known)).map(format_time);
        match parse_time(wanted) {
            Some(time) if Some(format_time(time)) == given => Ok(Expiry::Unused),
            Some(time) if time > now => Ok(Expiry::At(time)),
            _ => Err(refused(FailureReason::InvalidExpiryTime, Diagnostic::NotParseable)),
        }
    }

    /// Whether a user has a personal conference already, beside this one.
    fn has_personal(&self, user: &UserUri, but: &ConferenceId) -> bool {
        let own = self.directory.conferences().filter(|record| record.organizer == *user && record.id != *but);
        let mut own =
            own.filter(|record| !self.directory.is_permanent(&record.id) && !self.ad_hoc.contains(&record.id));
        own.any(|record| self.directory.schedule(&record.id).is_some_and(|known| known.expiry == Expiry::Never))
    }

    /// What was to last does, or does not.
    pub(crate) fn on_stored(&mut self, ticket: StoreTicket, done: bool) {
        let Some(PendingStore { asked, change }) = self.stores.remove(&ticket) else { return };
        // Who expired is gone already; a row that stayed goes at the next start.
        let Some((transaction, request)) = asked else { return };
        if !done {
            let busy = refused(FailureReason::ServerInternalError, Diagnostic::AuthorizationFailed);
            return self.refuse_factory_command(transaction, &request, busy);
        }
        let body = match change {
            StoreCommand::SaveConference(saved) => {
                let schedule = Box::new(self.schedule(&saved));
                let (record, by) = (Box::new(saved.record.clone()), saved.record.organizer.clone());
                self.directory.add_schedule(*saved);
                // If it is on, those who are in are told, and whoever comes is judged by it (c3p.md 2.4).
                self.focus(&record.id.clone(), focus::Input::Rescheduled { record, by });
                match request.command {
                    Command::ModifyConference(_) => ResponseBody::ModifyConference(Some(schedule)),
                    _ => ResponseBody::AddConference(schedule),
                }
            }
            StoreCommand::DeleteConference(id) => {
                let control = ControlRequest::DeleteConference;
                let command = self.command_of(Origin::Nobody);
                self.focus(&id, focus::Input::Command { command, requester: Requester::Operator, request: control });
                self.retire_conference(&id);
                ResponseBody::DeleteConference(None)
            }
            StoreCommand::NoteUse(..) => return,
        };
        self.note_command(&request, true);
        self.respond(transaction, Response::new(200).with_body(C3P, success(&request, body)));
    }

    /// A scheduled conference as a document for its organizer.
    fn schedule(&self, schedule: &Schedule) -> ConferenceInfo {
        let record = &schedule.record;
        let focus = Self::focus_uri(record);
        let mut info = ConferenceInfo::new(focus.to_string(), State::Full);
        let mut description = describe(
            &focus,
            &focus::ConferenceDescription {
                id: record.id.clone(),
                number: record.number.clone(),
                subject: record.subject.clone(),
                organizer: record.organizer.clone(),
                organizer_name: record.organizer_name.clone(),
                access: record.access,
            },
        );
        description.is_active = Some(self.conferences.get(&record.id).is_some());
        description.last_update = schedule.updated.or(Some(self.config.unix_start_ms)).map(format_time);
        description.expiry_time = self.directory.expiry(schedule).map(format_time);
        info.is_static = schedule.expiry == Expiry::Never;
        description.display_text.clone_from(&schedule.description);
        description.organizer_data = opaque(schedule.organizer_data.as_deref());
        description.notification_data = opaque(schedule.notification_data.as_deref());
        description.pstn_lobby_bypass = match record.lobby {
            focus::Lobby::Off => None,
            focus::Lobby::On => Some(false),
            focus::Lobby::PhonesPass => Some(true),
        };
        description.autopromote = record.promote_authenticated.then_some(AUTOPROMOTE_ENTERPRISE);
        info.version = Some(schedule.wire_version());
        info.conference_state = Some(ConferenceState { locked: Some(record.locked), ..ConferenceState::default() });
        info.users = Some(Users { state: State::Full, users: record.invited.iter().map(listed).collect() });
        info.description = Some(description);
        info
    }

    /// Makes a conference that nobody scheduled and that goes with its last participant (RFC 4579 5.4).
    pub(crate) fn make_ad_hoc_conference(&mut self, organizer: UserUri) -> Option<ConferenceId> {
        let number = self.new_number()?;
        let id = self.new_conference_id();
        self.directory.add_conference(ConferenceRecord {
            id: id.clone(),
            number: Some(number),
            organizer_name: self.directory.user(&organizer).and_then(|account| account.display_name.clone()),
            organizer,
            subject: None,
            access: AccessType::Open,
            pin: None,
            invited: Vec::new(),
            locked: false,
            attendees_may_dial_out: self.config.attendees_may_dial_out,
            lobby: focus::Lobby::Off,
            promote_authenticated: false,
        });
        self.ad_hoc.insert(id.clone());
        Some(id)
    }

    fn new_conference_id(&mut self) -> ConferenceId {
        let text: String =
            (0..ID_LENGTH).map(|_| char::from(ID_ALPHABET[self.random.random_range(0..ID_ALPHABET.len())])).collect();
        ConferenceId::parse(&text).expect("12 letters and digits are a conference id")
    }

    fn new_number(&mut self) -> Option<ConferenceNumber> {
        (0..NUMBER_DRAWS).find_map(|_| {
            let number = ConferenceNumber::parse(&self.random.random_range(NUMBERS).to_string()).ok()?;
            let is_being_stored = self.stores.values().any(|pending| {
                matches!(&pending.change,
                    StoreCommand::SaveConference(schedule) if schedule.record.number.as_ref() == Some(&number))
            });
            let is_free = self.directory.conference_of_number(&number).is_none() && !is_being_stored;
            is_free.then_some(number)
        })
    }

    fn respond(&mut self, transaction: ServerTransactionId, response: Response) {
        self.call(call::Input::RespondOther { transaction, response });
    }
}

/// Opaque data have a bound each (c3p.md 2.4).
fn check_data(description: &Description) -> Result<(), Refused> {
    let too_large = |data: &Option<OpaqueXml>| data.as_ref().is_some_and(|data| data.len() > Schedule::DATA_MAX);
    let reason = match (too_large(&description.organizer_data), too_large(&description.notification_data)) {
        (true, _) => FailureReason::OrganizerRoamingDataTooLarge,
        (_, true) => FailureReason::NotificationDataTooLarge,
        _ => return Ok(()),
    };
    Err(refused(reason, Diagnostic::NotParseable))
}

/// Stored data as they go out; what somebody spoiled in the store is left out.
pub(crate) fn opaque(stored: Option<&str>) -> Option<OpaqueXml> {
    OpaqueXml::from_stored(stored?).ok()
}

fn listed((user, role): &(UserUri, Role)) -> User {
    User { roles: vec![*role], ..User::new(user.as_str(), State::Full) }
}

fn invited(info: &ConferenceInfo) -> Result<Vec<(UserUri, Role)>, Refused> {
    let users = info.users.iter().flat_map(|users| &users.users);
    users
        .map(|user| {
            let uri = UserUri::parse(&user.entity)
                .map_err(|_| refused(FailureReason::InvalidUserEntity, Diagnostic::TargetUserInvalid))?;
            Ok((uri.address_of_record(), user.roles.first().copied().unwrap_or(Role::Attendee)))
        })
        .collect()
}

/// An `xs:dateTime` with a time zone, in milliseconds since 1970.
fn parse_time(text: &str) -> Option<i64> {
    let time = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}
