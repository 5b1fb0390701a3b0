//! `response`: an envelope, a verdict, and the answer (c3p.md 2.1).

use crate::command::{ConferenceKeys, Participant, read_certificate, write_certificate};
use crate::conference_info::ConferenceInfo;
use crate::error::{BadElement, ErrorKind, ParseError};
use crate::request::{Envelope, open_envelope};
use crate::wire::reason::FailureReason;
use crate::wire::token::{ENDORSE_FAILURE, ENDORSE_SUCCESS};
use crate::wire::{Name, Namespace, name};
use crate::xml::{Element, Writer, read};
use crate::{Code, McuType, Verb};

/// A C3P response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Number, sender and receiver; see [`Envelope::reply`].
    pub envelope: Envelope,
    /// The URI of who decided, if it is not the sender.
    pub responder: Option<String>,
    /// The verdict.
    pub outcome: Outcome,
}

/// The verdict of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not yet decided; another response follows.
    Pending(Verb),
    /// Done.
    Success(ResponseBody),
    /// Refused or failed.
    Failure(Failure),
}

/// Why a command was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The command.
    pub verb: Verb,
    /// The reason.
    pub reason: FailureReason,
    /// Details for people and logs, such as the SIP status of a dial-out.
    pub details: Vec<KeyValue>,
}

/// A key and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// The answer to a command that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseBody {
    /// What the Factory can do.
    GetConferencingCapabilities(Capabilities),
    /// The schedule as it was stored; its entity is the Focus URI.
    AddConference(Box<ConferenceInfo>),
    /// The schedule as it was stored, from the Factory.
    ModifyConference(Option<Box<ConferenceInfo>>),
    /// The conference that ended, from the Focus.
    DeleteConference(Option<Box<ConferenceInfo>>),
    /// Summaries of the organiser's conferences.
    GetConferences(Vec<ConferenceInfo>),
    /// The conference.
    GetConference(Box<ConferenceInfo>),
    /// The Factory's X.509 certificate in base64.
    GetEncryptionKey(String),
    /// Who is in, in which role.
    AddUser(Box<AddedUser>),
    /// He is out.
    DeleteUser,
    /// He has the role.
    ModifyUserRoles,
    /// It is locked or unlocked.
    ModifyConferenceLock,
    /// The stream is changed.
    ModifyEndpointMedia,
    /// The user is vouched for.
    EndorseUser,
}

/// What a Factory can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The kinds of MCU it has; kinds this crate does not know are skipped.
    pub mcu_types: Vec<McuType>,
    /// The numbers to dial, by region.
    pub regions: Vec<AccessRegion>,
    /// The region of who does not choose.
    pub default_region: Option<String>,
}

/// The numbers to dial in one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRegion {
    /// Its name.
    pub name: String,
    /// The numbers.
    pub numbers: Vec<String>,
}

/// The answer to `addUser`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedUser {
    /// The Focus URI as the request had it.
    pub conference: String,
    /// The user as the request had him, with the role granted; with the endpoint only if it really joins.
    pub user: Participant,
    /// Where to connect; see [`crate::connection_key`].
    pub connection_info: Vec<KeyValue>,
}

impl AddedUser {
    /// The value of a key of the connection information; keys are compared without regard to case.
    pub fn connection(&self, key: &str) -> Option<&str> {
        let entry = self.connection_info.iter().find(|entry| entry.key.eq_ignore_ascii_case(key))?;
        Some(&entry.value)
    }
}

/// Reads a response.
pub fn parse_response(body: &[u8]) -> Result<Response, ParseError> {
    let document = read(body)?;
    let root = document.root();
    let (envelope, element) = open_envelope(root, name::RESPONSE)?;
    let within = |kind: ErrorKind, envelope: Envelope| ParseError {
        kind,
        envelope: Some(envelope),
        command: Some(element.local_name().to_owned()),
    };
    let Some(verb) = Verb::parse(element.local_name()) else {
        return Err(within(ErrorKind::UnknownCommand, envelope));
    };
    match Outcome::read(root, verb, element) {
        Ok(outcome) => {
            let responder = root.attribute(name::RESPONDER).map(|uri| uri.trim().to_owned());
            Ok(Response { envelope, responder, outcome })
        }
        Err(bad) => Err(within(bad.into(), envelope)),
    }
}

impl Response {
    /// A response to a request.
    pub fn to(request: &Envelope, outcome: Outcome) -> Self {
        Self { envelope: request.reply(), responder: None, outcome }
    }

    /// The `code` attribute.
    pub fn code(&self) -> Code {
        self.outcome.code()
    }

    /// The document.
    pub fn to_xml(&self) -> String {
        self.envelope.write_document(name::RESPONSE, |writer| {
            writer.optional_attribute(name::RESPONDER, self.responder.as_deref());
            writer.attribute(name::CODE, self.code().as_str());
            self.outcome.write(writer);
        })
    }
}

impl ParseError {
    /// A C3P failure that answers the request, when its envelope and the name of its command could be read. For a
    /// command this server does not implement it is the only way to name it.
    pub fn failure_response(&self) -> Option<String> {
        let (envelope, command) = (self.envelope.as_ref()?, self.command.as_deref()?);
        Some(envelope.reply().write_document(name::RESPONSE, |writer| {
            writer.attribute(name::CODE, Code::Failure.as_str());
            writer.element(Name::c3p(command), |writer| {
                writer.attribute(name::REASON_ATTRIBUTE, self.reason().as_str());
            });
        }))
    }
}

impl Outcome {
    /// A failure without details.
    pub const fn failure(verb: Verb, reason: FailureReason) -> Self {
        Self::Failure(Failure { verb, reason, details: Vec::new() })
    }

    /// The `code` attribute.
    pub const fn code(&self) -> Code {
        match self {
            Self::Pending(_) => Code::Pending,
            Self::Success(_) => Code::Success,
            Self::Failure(_) => Code::Failure,
        }
    }

    /// The command this is the verdict of.
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Pending(verb) => *verb,
            Self::Success(body) => body.verb(),
            Self::Failure(failure) => failure.verb,
        }
    }

    fn read(root: Element<'_>, verb: Verb, element: Element<'_>) -> Result<Self, BadElement> {
        let code = Code::parse(root.required_attribute(name::CODE)?.trim())
            .ok_or(BadElement::new(name::CODE, "it is not pending, success or failure"))?;
        Ok(match code {
            Code::Pending => Self::Pending(verb),
            Code::Success => Self::Success(ResponseBody::read(verb, element)?),
            Code::Failure => Self::Failure(Failure::read(verb, element)?),
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.element(Name::c3p(self.verb().as_str()), |writer| match self {
            Self::Pending(_) => (),
            Self::Success(body) => body.write(writer),
            Self::Failure(failure) => failure.write(writer),
        });
    }
}

impl Failure {
    /// `endorseUser` alone says `result` where the others say `reason`. A failure without either has failed too.
    fn read(verb: Verb, element: Element<'_>) -> Result<Self, BadElement> {
        let reason = element.attribute(name::REASON_ATTRIBUTE).or_else(|| element.attribute(name::RESULT));
        let details = match element.optional(name::DIAGNOSTICS_INFO)? {
            Some(info) => KeyValue::read_all(info)?,
            None => Vec::new(),
        };
        Ok(Self {
            verb,
            reason: reason.map_or(FailureReason::OtherFailure, |text| FailureReason::parse(text.trim())),
            details,
        })
    }

    fn write(&self, writer: &mut Writer) {
        match (self.verb, &self.reason) {
            (Verb::EndorseUser, FailureReason::OtherFailure) => writer.attribute(name::RESULT, ENDORSE_FAILURE),
            (_, reason) => writer.attribute(name::REASON_ATTRIBUTE, reason.as_str()),
        }
        KeyValue::write_all(writer, name::DIAGNOSTICS_INFO, &self.details);
    }
}

impl KeyValue {
    /// Reads the entries of a list; they are in the list's own namespace.
    fn read_all(list: Element<'_>) -> Result<Vec<Self>, BadElement> {
        let namespace = list.namespace();
        list.children_named(name::CONNECTION_ENTRY.within(namespace))
            .map(|entry| {
                Ok(Self {
                    key: entry.required(name::CONNECTION_KEY.within(namespace))?.trimmed().to_owned(),
                    value: entry.required(name::CONNECTION_VALUE.within(namespace))?.trimmed().to_owned(),
                })
            })
            .collect()
    }

    fn write_all(writer: &mut Writer, list: Name<'static>, entries: &[Self]) {
        if entries.is_empty() {
            return;
        }
        writer.element(list, |writer| {
            for entry in entries {
                writer.element(name::CONNECTION_ENTRY, |writer| {
                    writer.leaf(name::CONNECTION_KEY, &entry.key);
                    writer.leaf(name::CONNECTION_VALUE, &entry.value);
                });
            }
        });
    }
}

impl ResponseBody {
    /// The command this answers.
    pub const fn verb(&self) -> Verb {
        match self {
            Self::GetConferencingCapabilities(_) => Verb::GetConferencingCapabilities,
            Self::AddConference(_) => Verb::AddConference,
            Self::ModifyConference(_) => Verb::ModifyConference,
            Self::DeleteConference(_) => Verb::DeleteConference,
            Self::GetConferences(_) => Verb::GetConferences,
            Self::GetConference(_) => Verb::GetConference,
            Self::GetEncryptionKey(_) => Verb::GetEncryptionKey,
            Self::AddUser(_) => Verb::AddUser,
            Self::DeleteUser => Verb::DeleteUser,
            Self::ModifyUserRoles => Verb::ModifyUserRoles,
            Self::ModifyConferenceLock => Verb::ModifyConferenceLock,
            Self::ModifyEndpointMedia => Verb::ModifyEndpointMedia,
            Self::EndorseUser => Verb::EndorseUser,
        }
    }

    fn read(verb: Verb, element: Element<'_>) -> Result<Self, BadElement> {
        let required = || Ok(Box::new(ConferenceInfo::read(element.required(name::CONFERENCE_INFO)?)?));
        let optional = || match element.optional(name::CONFERENCE_INFO)? {
            Some(info) => Ok(Some(Box::new(ConferenceInfo::read(info)?))),
            None => Ok(None),
        };
        let all = || element.children_named(name::CONFERENCE_INFO).map(ConferenceInfo::read).collect::<Result<_, _>>();
        Ok(match verb {
            Verb::GetConferencingCapabilities => Self::GetConferencingCapabilities(Capabilities::read(element)?),
            Verb::AddConference => Self::AddConference(required()?),
            Verb::ModifyConference => Self::ModifyConference(optional()?),
            Verb::DeleteConference => Self::DeleteConference(optional()?),
            Verb::GetConferences => Self::GetConferences(all()?),
            Verb::GetConference => Self::GetConference(required()?),
            Verb::GetEncryptionKey => {
                Self::GetEncryptionKey(read_certificate(element)?.ok_or(BadElement::missing(name::ENCRYPTION_KEY))?)
            }
            Verb::AddUser => Self::AddUser(Box::new(AddedUser::read(element)?)),
            Verb::DeleteUser => Self::DeleteUser,
            Verb::ModifyUserRoles => Self::ModifyUserRoles,
            Verb::ModifyConferenceLock => Self::ModifyConferenceLock,
            Verb::ModifyEndpointMedia => Self::ModifyEndpointMedia,
            Verb::EndorseUser => Self::EndorseUser,
        })
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::GetConferencingCapabilities(capabilities) => capabilities.write(writer),
            Self::AddConference(info) | Self::GetConference(info) => info.write(writer),
            Self::ModifyConference(info) | Self::DeleteConference(info) => {
                info.iter().for_each(|info| info.write(writer));
            }
            Self::GetConferences(infos) => infos.iter().for_each(|info| info.write(writer)),
            Self::GetEncryptionKey(certificate) => write_certificate(writer, Some(certificate)),
            Self::AddUser(added) => added.write(writer),
            Self::EndorseUser => writer.attribute(name::RESULT, ENDORSE_SUCCESS),
            Self::DeleteUser | Self::ModifyUserRoles | Self::ModifyConferenceLock | Self::ModifyEndpointMedia => (),
        }
    }
}

impl AddedUser {
    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let connection_info = match element.optional_in(name::CONNECTION_INFO, Namespace::Mscp)? {
            Some(info) => KeyValue::read_all(info)?,
            None => Vec::new(),
        };
        Ok(Self {
            conference: ConferenceKeys::read_entity(element)?,
            user: Participant::read(element.required(name::USER)?)?,
            connection_info,
        })
    }

    fn write(&self, writer: &mut Writer) {
        ConferenceKeys::write_entity(writer, &self.conference);
        self.user.write(writer);
        KeyValue::write_all(writer, name::CONNECTION_INFO, &self.connection_info);
    }
}

impl Capabilities {
    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let mcu_types = match element.optional(name::MCU_TYPES)? {
            Some(list) => {
                list.children_named(name::MCU_TYPE).filter_map(|entry| McuType::from_token(entry.trimmed())).collect()
            }
            None => Vec::new(),
        };
        let mut capabilities = Self { mcu_types, ..Self::default() };
        let Some(bridging) = element.optional(name::PSTN_BRIDGING)? else { return Ok(capabilities) };
        let Some(access) = bridging.optional(name::ACCESS_NUMBERS)? else { return Ok(capabilities) };
        capabilities.regions = access.children_named(name::REGION).map(AccessRegion::read).collect::<Result<_, _>>()?;
        capabilities.default_region = access.trimmed_of(name::DEFAULT_REGION)?;
        Ok(capabilities)
    }

    fn write(&self, writer: &mut Writer) {
        writer.element(name::MCU_TYPES, |writer| {
            for mcu in &self.mcu_types {
                writer.leaf(name::MCU_TYPE, mcu.as_str());
            }
        });
        if self.regions.is_empty() && self.default_region.is_none() {
            return;
        }
        writer.element(name::PSTN_BRIDGING, |writer| {
            writer.element(name::ACCESS_NUMBERS, |writer| {
                self.regions.iter().for_each(|region| region.write(writer));
                writer.optional_leaf(name::DEFAULT_REGION, self.default_region.as_deref());
            });
        });
    }
}

impl AccessRegion {
    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            name: element.required_attribute(name::REGION_NAME)?.to_owned(),
            numbers: element
                .children_named(name::ACCESS_NUMBER)
                .map(|number| Ok(number.required(name::NUMBER)?.trimmed().to_owned()))
                .collect::<Result<_, _>>()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.element(name::REGION, |writer| {
            writer.attribute(name::REGION_NAME, &self.name);
            for number in &self.numbers {
                writer.element(name::ACCESS_NUMBER, |writer| writer.leaf(name::NUMBER, number));
            }
        });
    }
}
