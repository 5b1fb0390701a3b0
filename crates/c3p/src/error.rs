//! Why a document could not be read.

use std::fmt;

use crate::diagnostic::Diagnostic;
use crate::request::Envelope;
use crate::wire::Name;
use crate::wire::reason::FailureReason;

/// Why a document could not be read, with what of its envelope was readable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct ParseError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// The envelope, when all of it could be read: enough to answer with a C3P failure.
    pub envelope: Option<Envelope>,
    /// The name of the command element, when there is exactly one.
    pub command: Option<String>,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// It is not well-formed XML in UTF-8 without a document type.
    #[error("not acceptable XML at byte {offset}: {why}")]
    NotXml {
        /// What is wrong.
        why: &'static str,
        /// Where, in bytes from the start; the end of the offending token.
        offset: u64,
    },
    /// It is larger than this crate reads.
    #[error("limit exceeded: {0}")]
    Limit(Limit),
    /// It is XML, but not a document of the wanted kind: root, namespace, or envelope.
    #[error("not a document of the expected kind: {why}")]
    NotC3p {
        /// What is wrong.
        why: &'static str,
    },
    /// It is a C3P request with a command this crate does not know; the name is in [`ParseError::command`].
    #[error("unknown command")]
    UnknownCommand,
    /// The envelope is right and the command or document is known, but its body is not right.
    #[error(transparent)]
    BadElement(#[from] BadElement),
}

/// A bound of what is read (reliability.md A12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// 256 KiB a body.
    Body,
    /// 32 elements deep.
    Depth,
    /// 64 attributes of one element, namespace declarations included.
    Attributes,
    /// 4 KiB a value: one attribute, or the text of one element.
    Value,
    /// 16,384 elements, or 16,384 attributes, in all.
    Count,
    /// 64 namespace declarations in scope at once.
    Namespaces,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Body => "body size",
            Self::Depth => "nesting depth",
            Self::Attributes => "attributes of one element",
            Self::Value => "length of a value",
            Self::Count => "number of elements or attributes",
            Self::Namespaces => "namespace declarations in scope",
        })
    }
}

/// An element or attribute that is missing, occurs too often, or has a value that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{element}: {why}")]
pub struct BadElement {
    /// Local name of the element or attribute.
    pub element: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
    /// The id for the `ms-diagnostics` header.
    pub diagnostic: Diagnostic,
}

impl BadElement {
    /// An error with the general id; [`BadElement::or_diagnostic`] gives it a better one.
    pub(crate) const fn new(name: Name<'static>, why: &'static str) -> Self {
        Self { element: name.local, why, diagnostic: Diagnostic::NotParseable }
    }

    /// The element is missing.
    pub(crate) const fn missing(name: Name<'static>) -> Self {
        Self::new(name, "it is missing")
    }

    /// Replaces the general id by a better one; an id that is already particular stays.
    pub(crate) const fn or_diagnostic(mut self, diagnostic: Diagnostic) -> Self {
        if matches!(self.diagnostic, Diagnostic::NotParseable) {
            self.diagnostic = diagnostic;
        }
        self
    }
}

impl ParseError {
    /// The id for the `ms-diagnostics` header of the SIP response.
    pub fn diagnostic(&self) -> Diagnostic {
        match &self.kind {
            ErrorKind::UnknownCommand => Diagnostic::NotImplemented,
            ErrorKind::BadElement(bad) => bad.diagnostic,
            ErrorKind::NotXml { .. } | ErrorKind::Limit(_) | ErrorKind::NotC3p { .. } => Diagnostic::NotParseable,
        }
    }

    /// The reason for a C3P failure.
    pub fn reason(&self) -> FailureReason {
        match &self.kind {
            ErrorKind::UnknownCommand => FailureReason::NotSupported,
            ErrorKind::Limit(_) => FailureReason::RequestTooLarge,
            ErrorKind::BadElement(bad) => match bad.diagnostic {
                Diagnostic::RoleInvalid => FailureReason::InvalidRole,
                Diagnostic::TargetUserInvalid => FailureReason::InvalidUserEntity,
                _ if bad.element == crate::wire::name::ADMISSION_POLICY.local => FailureReason::InvalidAdmissionPolicy,
                _ => FailureReason::RequestMalformed,
            },
            ErrorKind::NotXml { .. } | ErrorKind::NotC3p { .. } => FailureReason::RequestMalformed,
        }
    }
}

impl From<ErrorKind> for ParseError {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, envelope: None, command: None }
    }
}

impl From<BadElement> for ParseError {
    fn from(bad: BadElement) -> Self {
        ErrorKind::from(bad).into()
    }
}
