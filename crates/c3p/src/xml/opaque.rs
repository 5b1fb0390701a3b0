//! XML that this crate carries and does not look into.

use super::characters::escape_into;
use super::reader::read_opaque;
use crate::error::{ErrorKind, ParseError};

/// The content of an opaque element, with the namespace declarations it lives by: it means the same wherever it is
/// written. It is well-formed, because it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpaqueXml {
    /// Prefixes in scope and their URIs, in order of the prefixes; the empty prefix is the default namespace.
    pub(super) declarations: Vec<(String, String)>,
    /// Everything between the tags, as it stood.
    pub(super) content: String,
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    escape_into(&mut escaped, text);
    escaped
}

/// The element that wraps it in storage.
const WRAPPER: &str = "data";

impl OpaqueXml {
    /// Reads what [`OpaqueXml::to_stored`] wrote, or any other XML document, whose root element is then left out.
    pub fn from_stored(text: &str) -> Result<Self, ParseError> {
        read_opaque(text).map_err(|kind: ErrorKind| kind.into())
    }

    /// As a document of its own.
    pub fn to_stored(&self) -> String {
        format!("<{WRAPPER}{}>{}</{WRAPPER}>", self.attributes(), self.content)
    }

    /// Bytes of its content.
    pub fn len(&self) -> usize {
        self.content.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.content.is_empty()
    }

    /// The content as it stood.
    pub(crate) fn content(&self) -> &str {
        &self.content
    }

    /// The declarations, by prefix.
    pub(crate) fn declarations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.declarations.iter().map(|(prefix, uri)| (prefix.as_str(), uri.as_str()))
    }

    /// The declarations as attributes, each after a blank.
    fn attributes(&self) -> String {
        let attribute = |(prefix, uri)| {
            let uri: String = escape(uri);
            match prefix {
                "" => format!(" xmlns=\"{uri}\""),
                prefix => format!(" xmlns:{prefix}=\"{uri}\""),
            }
        };
        self.declarations().map(attribute).collect()
    }
}
