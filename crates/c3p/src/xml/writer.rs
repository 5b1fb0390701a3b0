//! Values to text. Tags nest because closures do; everything variable is escaped.

use super::characters::escape_into;
use super::opaque::OpaqueXml;
use crate::wire::{Name, Namespace};

/// Writes one document.
///
/// Elements of the default namespace carry no prefix. Any other namespace is declared where it is first used, unless
/// the root declared it.
pub(crate) struct Writer {
    out: String,
    default: Namespace,
    /// Bits of the namespaces whose prefix is declared here.
    declared: u16,
    /// Whether a start tag is still open for attributes.
    in_start_tag: bool,
}

impl Writer {
    /// Writes a whole document; `declared` are namespaces to declare at the root.
    pub(crate) fn document(
        default: Namespace,
        declared: &[Namespace],
        root: Name<'_>,
        body: impl FnOnce(&mut Self),
    ) -> String {
        let mut writer = Self { out: String::new(), default, declared: 0, in_start_tag: false };
        writer.element(root, |writer| {
            if let Some((_, uri)) = default.declaration() {
                writer.raw_attribute("xmlns", uri);
            }
            for namespace in declared {
                writer.declare(*namespace);
            }
            body(writer);
        });
        writer.out
    }

    /// Writes an element; `body` writes its attributes, then its content.
    pub(crate) fn element(&mut self, name: Name<'_>, body: impl FnOnce(&mut Self)) {
        let outer = self.declared;
        self.end_start_tag();
        self.out.push('<');
        self.element_name(name);
        self.in_start_tag = true;
        if name.namespace != self.default {
            self.declare(name.namespace);
        }
        body(self);
        if self.in_start_tag {
            self.out.push_str("/>");
            self.in_start_tag = false;
        } else {
            self.out.push_str("</");
            self.element_name(name);
            self.out.push('>');
        }
        self.declared = outer;
    }

    /// Writes an element with nothing in it.
    pub(crate) fn empty(&mut self, name: Name<'_>) {
        self.element(name, |_| ());
    }

    /// Writes an element with text.
    pub(crate) fn leaf(&mut self, name: Name<'_>, text: &str) {
        self.element(name, |writer| writer.text(text));
    }

    /// Writes an element with text, if there is one.
    pub(crate) fn optional_leaf(&mut self, name: Name<'_>, text: Option<&str>) {
        if let Some(text) = text {
            self.leaf(name, text);
        }
    }

    /// Writes an element with a truth value, if there is one.
    pub(crate) fn optional_bool(&mut self, name: Name<'_>, value: Option<bool>) {
        self.optional_leaf(name, value.map(|value| if value { "true" } else { "false" }));
    }

    /// Writes an element with a number, if there is one.
    pub(crate) fn optional_number(&mut self, name: Name<'_>, value: Option<u32>) {
        if let Some(value) = value {
            self.leaf(name, &value.to_string());
        }
    }

    /// Writes an element whose content stands already, with the declarations it lives by.
    pub(crate) fn opaque(&mut self, name: Name<'_>, content: &OpaqueXml) {
        self.element(name, |writer| {
            let own = name.namespace.declaration().map(|(prefix, _)| prefix);
            for (prefix, uri) in content.declarations().filter(|(prefix, _)| Some(*prefix) != own) {
                let attribute = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
                writer.raw_attribute(&attribute, uri);
            }
            if !content.is_empty() {
                writer.end_start_tag();
                writer.out.push_str(content.content());
            }
        });
    }

    /// Writes an attribute of the element whose start tag is open.
    pub(crate) fn attribute(&mut self, name: Name<'_>, value: &str) {
        match name.namespace.declaration() {
            None => self.raw_attribute(name.local, value),
            Some((prefix, _)) => {
                self.declare(name.namespace);
                self.raw_attribute(&format!("{prefix}:{}", name.local), value);
            }
        }
    }

    /// Writes an attribute, if there is a value.
    pub(crate) fn optional_attribute(&mut self, name: Name<'_>, value: Option<&str>) {
        if let Some(value) = value {
            self.attribute(name, value);
        }
    }

    /// Writes text.
    pub(crate) fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.end_start_tag();
            escape_into(&mut self.out, text);
        }
    }

    /// Where in the document the next character goes, in bytes.
    pub(crate) fn position(&self) -> usize {
        self.out.len()
    }

    fn end_start_tag(&mut self) {
        if self.in_start_tag {
            self.out.push('>');
            self.in_start_tag = false;
        }
    }

    fn element_name(&mut self, name: Name<'_>) {
        if name.namespace != self.default
            && let Some((prefix, _)) = name.namespace.declaration()
        {
            self.out.push_str(prefix);
            self.out.push(':');
        }
        self.out.push_str(name.local);
    }

    fn declare(&mut self, namespace: Namespace) {
        if self.declared & namespace.bit() != 0 {
            return;
        }
        if let Some((prefix, uri)) = namespace.declaration() {
            self.declared |= namespace.bit();
            self.raw_attribute(&format!("xmlns:{prefix}"), uri);
        }
    }

    fn raw_attribute(&mut self, name: &str, value: &str) {
        assert!(self.in_start_tag, "attributes are written before content");
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        escape_into(&mut self.out, value);
        self.out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::name;

    #[test]
    fn namespaces_are_declared_where_they_are_first_used() {
        let text = Writer::document(Namespace::C3p, &[], name::REQUEST, |writer| {
            writer.element(name::USER, |writer| {
                writer.attribute(name::ENTITY, "a\"<\n");
                writer.leaf(name::SUBJECT, "x & y");
            });
            writer.empty(name::USER);
        });
        assert_eq!(
            text,
            "<request xmlns=\"urn:ietf:params:xml:ns:cccp\">\
             <ci:user xmlns:ci=\"urn:ietf:params:xml:ns:conference-info\" entity=\"a&quot;&lt;&#10;\">\
             <ci:subject>x &amp; y</ci:subject></ci:user>\
             <ci:user xmlns:ci=\"urn:ietf:params:xml:ns:conference-info\"/></request>"
        );
    }
}
