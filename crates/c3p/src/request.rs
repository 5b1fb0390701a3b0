//! `request`: an envelope and one command (c3p.md 2.1).

use crate::Verb;
use crate::command::Command;
use crate::error::{BadElement, ErrorKind, ParseError};
use crate::wire::name::{self, C3P_VERSION_VALUE};
use crate::wire::{Name, Namespace};
use crate::xml::{Element, Writer, is_plain_name, read};

/// Bytes of a command's name that is kept for an answer.
const COMMAND_NAME_MAX: usize = 64;

/// The attributes common to requests and responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Unique among the requests of one sender; echoed in the response.
    pub request_id: u64,
    /// Who sends; to the Factory, the organiser's URI.
    pub from: String,
    /// To whom; equals the SIP To URI.
    pub to: String,
}

/// A C3P request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Number, sender and receiver.
    pub envelope: Envelope,
    /// What is wanted.
    pub command: Command,
}

/// Reads a request.
///
/// The error of an unknown or wrong command carries the envelope, so that it can be answered within C3P; see
/// [`ParseError::failure_response`].
pub fn parse_request(body: &[u8]) -> Result<Request, ParseError> {
    read_envelope(body, name::REQUEST, |_, verb, element| Command::read(verb, element))
        .map(|(envelope, command)| Request { envelope, command })
}

/// Reads a document's envelope, and with `inside` (root, verb, the one child element) what it carries. An error inside
/// names the envelope and the command.
pub(crate) fn read_envelope<T>(
    body: &[u8],
    root: Name<'static>,
    inside: impl FnOnce(Element<'_>, Verb, Element<'_>) -> Result<T, BadElement>,
) -> Result<(Envelope, T), ParseError> {
    let document = read(body)?;
    let (envelope, element) = open_envelope(document.root(), root)?;
    let content = match Verb::parse(element.local_name()) {
        Some(verb) => inside(document.root(), verb, element).map_err(ErrorKind::from),
        None => Err(ErrorKind::UnknownCommand),
    };
    match content {
        Ok(content) => Ok((envelope, content)),
        Err(kind) => {
            let command = Some(element.local_name().to_owned());
            Err(ParseError { kind, envelope: Some(envelope), command })
        }
    }
}

impl Request {
    /// The document.
    pub fn to_xml(&self) -> String {
        self.envelope.write_document(name::REQUEST, |writer| self.command.write(writer))
    }
}

impl Envelope {
    /// The envelope of the response to this one: sender and receiver change places.
    pub fn reply(&self) -> Self {
        Self { request_id: self.request_id, from: self.to.clone(), to: self.from.clone() }
    }

    /// Writes a document with this envelope; `body` writes further attributes and the one child.
    pub(crate) fn write_document(&self, root: Name<'_>, body: impl FnOnce(&mut Writer)) -> String {
        Writer::document(Namespace::C3p, &[], root, |writer| {
            writer.attribute(name::C3P_VERSION, C3P_VERSION_VALUE);
            writer.attribute(name::REQUEST_ID, &self.request_id.to_string());
            writer.attribute(name::FROM, &self.from);
            writer.attribute(name::TO, &self.to);
            body(writer);
        })
    }

    fn read(root: Element<'_>) -> Result<Self, ErrorKind> {
        let wrong = |why| ErrorKind::NotC3p { why };
        if root.attribute(name::C3P_VERSION).is_some_and(|version| version.trim() != C3P_VERSION_VALUE) {
            return Err(wrong("C3PVersion is not 1"));
        }
        let request_id = root.attribute(name::REQUEST_ID).ok_or(wrong("requestId is missing"))?.trim();
        Ok(Self {
            request_id: read_number(request_id).ok_or(wrong("requestId is not a number of 64 bits"))?,
            from: root.attribute(name::FROM).ok_or(wrong("from is missing"))?.trim().to_owned(),
            to: root.attribute(name::TO).ok_or(wrong("to is missing"))?.trim().to_owned(),
        })
    }
}

/// Reads the envelope of a root element and finds its one child element.
fn open_envelope<'d>(root: Element<'d>, expected: Name<'static>) -> Result<(Envelope, Element<'d>), ErrorKind> {
    let wrong = |why| ErrorKind::NotC3p { why };
    if !root.is(expected) {
        return Err(wrong("the root element is another, or in another namespace"));
    }
    let envelope = Envelope::read(root)?;
    let mut children = root.children().filter(|child| !child.is(name::SEPARATOR));
    let (Some(child), None) = (children.next(), children.next()) else {
        return Err(wrong("it must have exactly one child element"));
    };
    if child.namespace() != Namespace::C3p {
        return Err(wrong("the command is in another namespace"));
    }
    if child.local_name().len() > COMMAND_NAME_MAX || !is_plain_name(child.local_name()) {
        return Err(wrong("the command has an unreasonable name"));
    }
    Ok((envelope, child))
}

/// A non-negative integer (`xs:nonNegativeInteger`); the sign that Rust would take is not allowed.
fn read_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
