//! The body of an "app INVITE": one client asks another to come to a conference (c3p.md 4.6).

use crate::error::{BadElement, ErrorKind, ParseError};
use crate::wire::name::{self, CONFERENCING_VERSION_VALUE};
use crate::wire::token::parse_bool;
use crate::wire::{Name, Namespace};
use crate::xml::{Element, Writer, read};

/// A `Conferencing` document, `application/ms-conf-invite+xml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppInvite {
    /// The conference.
    pub focus_uri: String,
    /// What it is about.
    pub subject: Option<String>,
    /// The conversation it grew out of.
    pub conversation_id: Option<String>,
    /// Whether it has instant messaging.
    pub im: Option<InstantMessaging>,
    /// Whether it has audio; the receiver asks its user first if so.
    pub audio: bool,
}

/// `im` of an app-invite body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstantMessaging {
    /// Whether it can be used.
    pub available: bool,
    /// Whether a first message comes with the invitation.
    pub first_im: bool,
}

impl AppInvite {
    /// Reads a document.
    pub fn parse(body: &[u8]) -> Result<Self, ParseError> {
        let document = read(body)?;
        let root = document.root();
        if !root.is(name::CONFERENCING) {
            return Err(ErrorKind::NotC3p { why: "the root is not Conferencing without a namespace" }.into());
        }
        Ok(Self::read(root)?)
    }

    /// The document.
    pub fn to_xml(&self) -> String {
        Writer::document(Namespace::None, &[], name::CONFERENCING, |writer| {
            writer.attribute(name::VERSION, CONFERENCING_VERSION_VALUE);
            writer.leaf(name::FOCUS_URI, &self.focus_uri);
            writer.optional_leaf(name::INVITE_SUBJECT, self.subject.as_deref());
            writer.optional_leaf(name::CONVERSATION_ID, self.conversation_id.as_deref());
            if let Some(im) = self.im {
                write_modality(writer, name::IM, im.available, |writer| {
                    if im.first_im {
                        writer.empty(name::FIRST_IM);
                    }
                });
            }
            if self.audio {
                write_modality(writer, name::AUDIO, true, |_| ());
            }
        })
    }

    fn read(root: Element<'_>) -> Result<Self, BadElement> {
        let im = match root.optional(name::IM)? {
            Some(im) => Some(InstantMessaging {
                available: read_available(im)?,
                first_im: im.optional(name::FIRST_IM)?.is_some(),
            }),
            None => None,
        };
        Ok(Self {
            focus_uri: root.required(name::FOCUS_URI)?.trimmed().to_owned(),
            subject: root.text_of(name::INVITE_SUBJECT)?,
            conversation_id: root.trimmed_of(name::CONVERSATION_ID)?,
            im,
            audio: root.optional(name::AUDIO)?.map(read_available).transpose()?.unwrap_or(false),
        })
    }
}

fn read_available(modality: Element<'_>) -> Result<bool, BadElement> {
    match modality.attribute(name::AVAILABLE) {
        None => Ok(false),
        Some(text) => parse_bool(text.trim()).ok_or(BadElement::new(name::AVAILABLE, "it is not a boolean")),
    }
}

fn write_modality(writer: &mut Writer, name: Name<'_>, available: bool, body: impl FnOnce(&mut Writer)) {
    writer.element(name, |writer| {
        writer.attribute(name::AVAILABLE, if available { "true" } else { "false" });
        body(writer);
    });
}
