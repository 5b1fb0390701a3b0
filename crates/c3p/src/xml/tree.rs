//! A document as a flat list of elements.

use super::opaque::OpaqueXml;
use crate::error::BadElement;
use crate::wire::{Name, Namespace};

/// A document that was read. Elements stand in document order; an element's descendants follow it directly.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(super) nodes: Vec<Node>,
    pub(super) attributes: Vec<Attribute>,
    /// Opaque elements, by the index of their node.
    pub(super) opaque: Vec<(u32, OpaqueXml)>,
}

/// One element.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) namespace: Namespace,
    pub(super) local: Box<str>,
    /// The text before the first child element; mixed content has no meaning in any document of ours.
    pub(super) text: String,
    /// Where its attributes begin and end in the document's list.
    pub(super) attributes: (u32, u32),
    /// Index of the node after its last descendant.
    pub(super) end: u32,
}

/// One attribute that is not a namespace declaration.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) namespace: Namespace,
    pub(super) local: Box<str>,
    pub(super) value: String,
}

/// An element of a document.
#[derive(Clone, Copy)]
pub(crate) struct Element<'d> {
    document: &'d Document,
    index: usize,
}

impl Document {
    /// The root element. The reader makes no document without one.
    pub(crate) fn root(&self) -> Element<'_> {
        Element { document: self, index: 0 }
    }
}

impl<'d> Element<'d> {
    /// Whether this element has the name.
    pub(crate) fn is(self, name: Name<'_>) -> bool {
        self.namespace() == name.namespace && self.local_name() == name.local
    }

    /// Its namespace.
    pub(crate) fn namespace(self) -> Namespace {
        self.node().namespace
    }

    /// Its local name.
    pub(crate) fn local_name(self) -> &'d str {
        &self.node().local
    }

    /// Its text as it stands.
    pub(crate) fn text(self) -> &'d str {
        &self.node().text
    }

    /// Its text without white space around it: peers pad values.
    pub(crate) fn trimmed(self) -> &'d str {
        self.text().trim_matches([' ', '\t', '\n', '\r'])
    }

    /// What is in it, if it is an element that this crate carries and does not look into.
    pub(crate) fn opaque(self) -> Option<&'d OpaqueXml> {
        let found = self.document.opaque.iter().find(|(index, _)| *index as usize == self.index);
        found.map(|(_, opaque)| opaque)
    }

    /// Its child elements in order.
    pub(crate) fn children(self) -> impl Iterator<Item = Element<'d>> {
        let document = self.document;
        let end = self.node().end as usize;
        let mut next = self.index + 1;
        std::iter::from_fn(move || {
            let index = (next < end).then_some(next)?;
            next = document.nodes[index].end as usize;
            Some(Element { document, index })
        })
    }

    /// Its child elements of one name.
    pub(crate) fn children_named(self, name: Name<'static>) -> impl Iterator<Item = Element<'d>> {
        self.children().filter(move |child| child.is(name))
    }

    /// The child element of that name, which may be absent but must not occur twice: two readers must not be able to
    /// choose differently.
    pub(crate) fn optional(self, name: Name<'static>) -> Result<Option<Element<'d>>, BadElement> {
        let mut found = self.children_named(name);
        let first = found.next();
        match found.next() {
            Some(_) => Err(BadElement::new(name, "it occurs more than once")),
            None => Ok(first),
        }
    }

    /// As [`Element::optional`], for an element that peers put into either of two namespaces.
    pub(crate) fn optional_in(self, name: Name<'static>, other: Namespace) -> Result<Option<Element<'d>>, BadElement> {
        Ok(self.optional(name)?.or(self.optional(name.within(other))?))
    }

    /// The child element of that name, exactly once.
    pub(crate) fn required(self, name: Name<'static>) -> Result<Element<'d>, BadElement> {
        self.optional(name)?.ok_or(BadElement::missing(name))
    }

    /// The text of the child element of that name, as it stands.
    pub(crate) fn text_of(self, name: Name<'static>) -> Result<Option<String>, BadElement> {
        Ok(self.optional(name)?.map(|child| child.text().to_owned()))
    }

    /// The text of the child element of that name without white space around it.
    pub(crate) fn trimmed_of(self, name: Name<'static>) -> Result<Option<String>, BadElement> {
        Ok(self.optional(name)?.map(|child| child.trimmed().to_owned()))
    }

    /// The value of the child element of that name, read by `parse`.
    pub(crate) fn value_of<T>(
        self,
        name: Name<'static>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, BadElement> {
        self.optional(name)?.map(|child| child.value(name, &parse)).transpose()
    }

    /// Its own text, read by `parse`; `name` is for the error.
    pub(crate) fn value<T>(self, name: Name<'static>, parse: impl Fn(&str) -> Option<T>) -> Result<T, BadElement> {
        parse(self.trimmed()).ok_or(BadElement::new(name, "its value is not allowed"))
    }

    /// The value of an attribute.
    pub(crate) fn attribute(self, name: Name<'_>) -> Option<&'d str> {
        let (begin, end) = self.node().attributes;
        self.document.attributes[begin as usize..end as usize]
            .iter()
            .find(|attribute| attribute.namespace == name.namespace && *attribute.local == *name.local)
            .map(|attribute| attribute.value.as_str())
    }

    /// The value of an attribute, with its namespace or, as some peers write it, without one.
    pub(crate) fn attribute_or_bare(self, name: Name<'_>) -> Option<&'d str> {
        self.attribute(name).or_else(|| self.attribute(name.within(Namespace::None)))
    }

    /// The value of an attribute that must be there.
    pub(crate) fn required_attribute(self, name: Name<'static>) -> Result<&'d str, BadElement> {
        self.attribute(name).ok_or(BadElement::missing(name))
    }

    fn node(self) -> &'d Node {
        &self.document.nodes[self.index]
    }
}
