//! `response`: an envelope, a verdict, and the answer (c3p.md 2.1).

mod body;
mod capabilities;

pub use body::{AddedUser, ResponseBody};
pub use capabilities::{AccessRegion, Capabilities};

use crate::error::{BadElement, ParseError};
use crate::request::{Envelope, read_envelope};
use crate::wire::reason::FailureReason;
use crate::wire::token::ENDORSE_FAILURE;
use crate::wire::{Name, name};
use crate::xml::{Element, Writer};
use crate::{Code, Verb};

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

/// Reads a response.
pub fn parse_response(body: &[u8]) -> Result<Response, ParseError> {
    let read = |root: Element<'_>, verb, element: Element<'_>| {
        let responder = root.attribute(name::RESPONDER).map(|uri| uri.trim().to_owned());
        Outcome::read(root, verb, element).map(|outcome| (responder, outcome))
    };
    read_envelope(body, name::RESPONSE, read).map(|(envelope, (responder, outcome))| Response {
        envelope,
        responder,
        outcome,
    })
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
