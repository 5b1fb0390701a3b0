//! Bytes to a [`Document`], within bounds.
//!
//! The bounds stand in front of everything: size, UTF-8 and characters are checked before the first event, depth,
//! attributes and values while events arrive. A document type is refused as such, so no entity can be declared;
//! references are resolved by a table of five names. Every step looks at each byte a bounded number of times.

use quick_xml::NsReader;
use quick_xml::errors::Error as XmlError;
use quick_xml::events::{BytesDecl, BytesStart, Event};
use quick_xml::name::{NamespaceError, PrefixDeclaration, ResolveResult};

use super::characters::{attribute_value, is_allowed, normalize_into, resolve};
use super::opaque::OpaqueXml;
use super::tree::{Attribute, Document, Node};
use crate::error::{ErrorKind, Limit};
use crate::wire::{Name, Namespace, name};

/// Bytes of a document, unless the caller knows its sender.
const BODY_MAX: usize = 256 * 1024;
/// Elements within elements.
const DEPTH_MAX: usize = 32;
/// Attributes of one element, namespace declarations included.
const ATTRIBUTES_MAX: usize = 64;
/// Bytes of an attribute's value or of an element's text.
const VALUE_MAX: usize = 4 * 1024;
/// A document may have one element, and one attribute, for so many of the bytes it may have. Keeps the tree of a
/// document of ordinary size below a few megabytes; real elements are longer and reach the body limit first.
const BYTES_PER_NODE: usize = 16;
/// Namespace declarations in scope at once. Bounds the cost of resolving one name.
const NAMESPACES_MAX: usize = 64;

/// Reads a document of at most 256 KiB.
pub(crate) fn read(body: &[u8]) -> Result<Document, ErrorKind> {
    read_within(body, BODY_MAX)
}

/// Reads a document of at most `body_max` bytes.
pub(crate) fn read_within(body: &[u8], body_max: usize) -> Result<Document, ErrorKind> {
    if body.len() > body_max {
        return Err(ErrorKind::Limit(Limit::Body));
    }
    let text = std::str::from_utf8(body)
        .map_err(|error| ErrorKind::NotXml { why: "it is not UTF-8", offset: error.valid_up_to() as u64 })?;
    if let Some((offset, _)) = text.char_indices().find(|(_, character)| !is_allowed(*character)) {
        return Err(ErrorKind::NotXml { why: "a character that XML does not allow", offset: offset as u64 });
    }
    Builder::new(text.strip_prefix('\u{FEFF}').unwrap_or(text), body_max / BYTES_PER_NODE).run()
}

/// Reads a document whose root element is opaque.
pub(super) fn read_opaque(text: &str) -> Result<OpaqueXml, ErrorKind> {
    if text.len() > BODY_MAX {
        return Err(ErrorKind::Limit(Limit::Body));
    }
    if let Some((offset, _)) = text.char_indices().find(|(_, character)| !is_allowed(*character)) {
        return Err(ErrorKind::NotXml { why: "a character that XML does not allow", offset: offset as u64 });
    }
    let builder = Builder { root_is_opaque: true, ..Builder::new(text, BODY_MAX / BYTES_PER_NODE) };
    let mut document = builder.run()?;
    Ok(document.opaque.pop().map(|(_, opaque)| opaque).unwrap_or_default())
}

/// Why an event was refused; the builder adds the position.
enum Refusal {
    NotXml(&'static str),
    Limit(Limit),
}

impl From<&'static str> for Refusal {
    fn from(why: &'static str) -> Self {
        Self::NotXml(why)
    }
}

struct Builder<'t> {
    reader: NsReader<&'t [u8]>,
    document: Document,
    /// Indices of the elements that are open.
    open: Vec<usize>,
    /// Whether anything came before: an XML declaration must be the first.
    started: bool,
    /// Elements, and likewise attributes, that the document may have.
    count_max: usize,
    text: &'t str,
    /// The opaque element that is open.
    opaque: Option<Opaque>,
    root_is_opaque: bool,
}

/// An opaque element that is open.
struct Opaque {
    /// Where its content begins, in bytes.
    begin: usize,
    /// Elements open within it.
    depth: usize,
    declarations: Vec<(String, String)>,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, count_max: usize) -> Self {
        let mut reader = NsReader::from_str(text);
        reader.resolver_mut().set_max_namespace_bindings(NAMESPACES_MAX);
        Self {
            reader,
            document: Document::default(),
            open: Vec::new(),
            started: false,
            count_max,
            text,
            opaque: None,
            root_is_opaque: false,
        }
    }

    fn run(mut self) -> Result<Document, ErrorKind> {
        loop {
            let before = self.position();
            let event = match self.reader.read_event() {
                Ok(Event::Eof) => break,
                Ok(event) => event,
                Err(error) => return Err(self.located(refusal_of(&error))),
            };
            let taken = if self.opaque.is_some() { self.pass(event, before) } else { self.take(event) };
            taken.map_err(|refusal| self.located(refusal))?;
            self.started = true;
        }
        if !self.open.is_empty() {
            return Err(self.located("it ends within an element".into()));
        }
        if self.document.nodes.is_empty() {
            return Err(self.located("it has no element".into()));
        }
        Ok(self.document)
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), Refusal> {
        match event {
            Event::Start(start) => self.begin(&start),
            Event::End(_) => self.end(),
            Event::Text(text) => self.text(&text.into_inner()),
            Event::CData(data) => self.cdata(&data.into_inner()),
            Event::GeneralRef(reference) => self.reference(&reference.into_inner()),
            Event::Decl(declaration) => self.declaration(&declaration),
            Event::DocType(_) => Err("a document type is not allowed".into()),
            Event::Empty(start) => {
                self.begin(&start)?;
                self.opaque = None;
                self.end()
            }
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn begin(&mut self, start: &BytesStart<'_>) -> Result<(), Refusal> {
        if self.open.len() == DEPTH_MAX {
            return Err(Refusal::Limit(Limit::Depth));
        }
        if self.open.is_empty() && !self.document.nodes.is_empty() {
            return Err("more than one root element".into());
        }
        if self.document.nodes.len() == self.count_max {
            return Err(Refusal::Limit(Limit::Count));
        }
        let attributes = self.attributes(start)?;
        let (resolved, local) = self.reader.resolver().resolve_element(start.name());
        let node = Node {
            namespace: namespace_of(&resolved)?,
            local: local.into_inner().into(),
            text: String::new(),
            attributes,
            end: 0,
        };
        if let Some(parent) = self.open.last() {
            // The parent's text was the white space before its first child.
            self.document.nodes[*parent].text = String::new();
            self.document.nodes[*parent].end = PARENT;
        }
        let name = Name { namespace: node.namespace, local: &node.local };
        let is_root = self.open.is_empty();
        if OPAQUE.contains(&name) || (is_root && self.root_is_opaque) {
            self.opaque = Some(Opaque { begin: self.position(), depth: 0, declarations: self.declarations() });
        }
        self.open.push(self.document.nodes.len());
        self.document.nodes.push(node);
        Ok(())
    }

    /// An event within an opaque element: checked like any other, and left as it stands.
    fn pass(&mut self, event: Event<'_>, before: usize) -> Result<(), Refusal> {
        let Some(depth) = self.opaque.as_ref().map(|opaque| opaque.depth) else { return Ok(()) };
        match event {
            Event::Start(start) => {
                self.pass_element(&start, depth)?;
                self.opaque.iter_mut().for_each(|opaque| opaque.depth += 1);
                Ok(())
            }
            Event::Empty(start) => self.pass_element(&start, depth),
            Event::End(_) if depth > 0 => {
                self.opaque.iter_mut().for_each(|opaque| opaque.depth -= 1);
                Ok(())
            }
            Event::End(_) => {
                self.close_opaque(before)?;
                self.end()
            }
            Event::GeneralRef(reference) => match resolve(&reference.into_inner()) {
                Some(_) => Ok(()),
                None => Err("a reference that is not predefined".into()),
            },
            Event::Decl(_) => Err("an XML declaration that is not at the start".into()),
            Event::DocType(_) => Err("a document type is not allowed".into()),
            Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn pass_element(&mut self, start: &BytesStart<'_>, depth: usize) -> Result<(), Refusal> {
        if self.open.len() + depth >= DEPTH_MAX {
            return Err(Refusal::Limit(Limit::Depth));
        }
        let (begin, _) = self.attributes(start)?;
        self.document.attributes.truncate(begin as usize);
        let (resolved, _) = self.reader.resolver().resolve_element(start.name());
        namespace_of(&resolved).map(drop)
    }

    fn close_opaque(&mut self, end: usize) -> Result<(), Refusal> {
        let (Some(opaque), Some(index)) = (self.opaque.take(), self.open.last()) else { return Ok(()) };
        let content = self.text.get(opaque.begin..end).unwrap_or_default().to_owned();
        let is_used = |(prefix, _): &(String, String)| match prefix.as_str() {
            "" => content.contains('<'),
            prefix => uses_prefix(&content, prefix),
        };
        let declarations: Vec<_> = opaque.declarations.into_iter().filter(is_used).collect();
        if declarations.iter().any(|(prefix, uri)| Namespace::owns_prefix(prefix) && !Namespace::declares(prefix, uri))
        {
            return Err("a well-known prefix that means something else".into());
        }
        self.document.opaque.push((to_index(*index), OpaqueXml { declarations, content }));
        Ok(())
    }

    /// The namespace declarations in scope. The default one is always among them: without it the content would take on
    /// the one of wherever it is written.
    fn declarations(&self) -> Vec<(String, String)> {
        let declared = self.reader.resolver().bindings().map(|(prefix, namespace)| {
            let prefix = match prefix {
                PrefixDeclaration::Default => String::new(),
                PrefixDeclaration::Named(name) => name.to_owned(),
            };
            (prefix, namespace.into_inner().to_owned())
        });
        let mut declared: std::collections::BTreeMap<String, String> = declared.collect();
        declared.entry(String::new()).or_default();
        declared.into_iter().collect()
    }

    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).expect("the document is in memory")
    }

    fn attributes(&mut self, start: &BytesStart<'_>) -> Result<(u32, u32), Refusal> {
        let begin = self.document.attributes.len();
        for (count, attribute) in start.attributes().enumerate() {
            if count == ATTRIBUTES_MAX {
                return Err(Refusal::Limit(Limit::Attributes));
            }
            let attribute = attribute.map_err(|_| "a malformed or repeated attribute")?;
            if let Some(declaration) = attribute.key.as_namespace_binding() {
                check_declaration(&declaration, &attribute.value)?;
                continue;
            }
            if self.document.attributes.len() == self.count_max {
                return Err(Refusal::Limit(Limit::Count));
            }
            let (resolved, local) = self.reader.resolver().resolve_attribute(attribute.key);
            let value = attribute_value(&attribute.value)?;
            if value.len() > VALUE_MAX {
                return Err(Refusal::Limit(Limit::Value));
            }
            let namespace = namespace_of(&resolved)?;
            let attribute = Attribute { namespace, local: local.into_inner().into(), value };
            let twin = self.document.attributes[begin..].iter().any(|other| {
                attribute.namespace != Namespace::Foreign
                    && other.namespace == attribute.namespace
                    && other.local == attribute.local
            });
            if twin {
                return Err("an attribute given twice under two prefixes".into());
            }
            self.document.attributes.push(attribute);
        }
        Ok((to_index(begin), to_index(self.document.attributes.len())))
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let Some(index) = self.open.pop() else { return Err("an end tag without its start".into()) };
        self.document.nodes[index].end = to_index(self.document.nodes.len());
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Refusal> {
        if self.open.is_empty() {
            let blank = text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
            return if blank { Ok(()) } else { Err("text outside the root element".into()) };
        }
        self.append(text)
    }

    fn cdata(&mut self, data: &str) -> Result<(), Refusal> {
        if self.open.is_empty() {
            return Err("text outside the root element".into());
        }
        self.append(data)
    }

    fn reference(&mut self, reference: &str) -> Result<(), Refusal> {
        if self.open.is_empty() {
            return Err("a reference outside the root element".into());
        }
        let character = resolve(reference).ok_or("a reference that is not predefined")?;
        let Some(index) = self.text_target() else { return Ok(()) };
        let text = &mut self.document.nodes[index].text;
        if text.len() + character.len_utf8() > VALUE_MAX {
            return Err(Refusal::Limit(Limit::Value));
        }
        text.push(character);
        Ok(())
    }

    /// Appends literal text to the innermost element.
    fn append(&mut self, text: &str) -> Result<(), Refusal> {
        let Some(index) = self.text_target() else {
            return if text.len() > VALUE_MAX { Err(Refusal::Limit(Limit::Value)) } else { Ok(()) };
        };
        let target = &mut self.document.nodes[index].text;
        if target.len() + text.len() > VALUE_MAX {
            return Err(Refusal::Limit(Limit::Value));
        }
        normalize_into(target, text);
        Ok(())
    }

    /// The innermost element, unless a child element has ended its text.
    fn text_target(&self) -> Option<usize> {
        self.open.last().copied().filter(|index| self.document.nodes[*index].end != PARENT)
    }

    fn declaration(&self, declaration: &BytesDecl<'_>) -> Result<(), Refusal> {
        if self.started {
            return Err("an XML declaration that is not at the start".into());
        }
        if declaration.version().ok().as_deref() != Some("1.0") {
            return Err("an XML version other than 1.0".into());
        }
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(encoding)) if encoding.eq_ignore_ascii_case("utf-8") => Ok(()),
            Some(_) => Err("an encoding other than UTF-8".into()),
        }
    }

    fn located(&self, refusal: Refusal) -> ErrorKind {
        match refusal {
            Refusal::NotXml(why) => ErrorKind::NotXml { why, offset: self.reader.buffer_position() },
            Refusal::Limit(limit) => ErrorKind::Limit(limit),
        }
    }
}

/// Whether a prefix stands anywhere in a text, in names or in values; it may be found where it means nothing, too.
fn uses_prefix(text: &str, prefix: &str) -> bool {
    let part_of_name = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_' | '.');
    let mut found = text.match_indices(prefix);
    found.any(|(at, _)| text[at + prefix.len()..].starts_with(':') && !text[..at].ends_with(part_of_name))
}

/// Elements whose content is carried and not looked into.
const OPAQUE: [Name<'static>; 2] = [name::ORGANIZER_DATA, name::NOTIFICATION_DATA];

/// Stands in [`Node::end`] of an open element that has a child element already.
const PARENT: u32 = u32::MAX;

fn to_index(value: usize) -> u32 {
    u32::try_from(value).expect("both lists are shorter than the document, which fits into a SIP message")
}

fn namespace_of(resolved: &ResolveResult<'_>) -> Result<Namespace, Refusal> {
    match resolved {
        ResolveResult::Bound(namespace) => Ok(Namespace::from_uri(namespace.into_inner())),
        ResolveResult::Unbound => Ok(Namespace::None),
        ResolveResult::Unknown(_) => Err("a prefix that is not declared".into()),
    }
}

/// The library takes a declared namespace as it stands. A reference in it would thus name another namespace to us than
/// to others, so none is allowed, nor any character that could only be printed as one and is in no URI; neither is
/// `xmlns:p=""` (Namespaces in XML 1.0, section 2.2).
fn check_declaration(declaration: &PrefixDeclaration<'_>, uri: &str) -> Result<(), Refusal> {
    if uri.len() > VALUE_MAX {
        return Err(Refusal::Limit(Limit::Value));
    }
    if uri.contains(['&', '<', '>', '"', '\'', '\t', '\n', '\r']) {
        return Err("a reference, or what is in no URI, in a namespace declaration".into());
    }
    if uri.is_empty() && matches!(declaration, PrefixDeclaration::Named(_)) {
        return Err("a prefix declared as nothing".into());
    }
    Ok(())
}

fn refusal_of(error: &XmlError) -> Refusal {
    match error {
        XmlError::Namespace(NamespaceError::TooManyBindings(_)) => Refusal::Limit(Limit::Namespaces),
        XmlError::Syntax(_) => Refusal::NotXml("a token that does not end or is malformed"),
        XmlError::IllFormed(_) => Refusal::NotXml("tags that do not match, or a malformed declaration"),
        XmlError::InvalidAttr(_) => Refusal::NotXml("a malformed attribute"),
        XmlError::Namespace(_) => Refusal::NotXml("a reserved prefix or namespace declared"),
        _ => Refusal::NotXml("it cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> ErrorKind {
        read(body.as_bytes()).map(|_| ()).expect_err("it should have been refused")
    }

    #[test]
    fn the_tree_follows_the_document() {
        let document =
            read(b"<a x='1'><b>t&amp;u<![CDATA[<v>]]></b> <!-- no --> <c><d/></c><b/></a>").expect("it is well-formed");
        let root = document.root();
        let names: Vec<&str> = root.children().map(|child| child.local_name()).collect();
        assert_eq!(names, ["b", "c", "b"]);
        assert_eq!(root.children().next().map(|child| child.text()), Some("t&u<v>"));
        assert_eq!(root.children().nth(1).map(|child| child.children().count()), Some(1));
        assert_eq!(root.text(), "");
    }

    #[test]
    fn what_is_not_one_well_formed_document_is_refused() {
        let cases = [
            "",
            " ",
            "text",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "x<a/>",
            "<a/>&amp;",
            "<a><![CDATA[",
            "<a x/>",
            "<a x=1/>",
            "<a x='1' x='2'/>",
            "<a x='<'/>",
            "<a x='&'/>",
            "<a x='&b;'/>",
            "<a>&b;</a>",
            "<a>&</a>",
            "<a>\u{1}</a>",
            "<p:a/>",
            "<a p:x='1'/>",
            "<a xmlns:p=''/>",
            "<!DOCTYPE a><a/>",
            "<a/><?xml version='1.0'?>",
            "<?xml version='1.1'?><a/>",
            "<?xml version='1.0' encoding='latin1'?><a/>",
            "<a xmlns:p='u&#114;n'/>",
            "<![CDATA[x]]><a/>",
            "<a xmlns:p='urn:ietf:params:xml:ns:cccp' xmlns:q='urn:ietf:params:xml:ns:cccp' p:x='1' q:x='2'/>",
        ];
        for case in cases {
            assert!(matches!(refused(case), ErrorKind::NotXml { .. }), "{case:?}");
        }
    }

    #[test]
    fn bounds_are_exact() {
        let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(read(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(refused(&nested(DEPTH_MAX + 1)), ErrorKind::Limit(Limit::Depth));

        let wide = |count: usize| format!("<a {}/>", (0..count).map(|i| format!("x{i}='' ")).collect::<String>());
        assert!(read(wide(ATTRIBUTES_MAX).as_bytes()).is_ok());
        assert_eq!(refused(&wide(ATTRIBUTES_MAX + 1)), ErrorKind::Limit(Limit::Attributes));

        let text = |length: usize| format!("<a>{}</a>", "x".repeat(length));
        assert!(read(text(VALUE_MAX).as_bytes()).is_ok());
        assert_eq!(refused(&text(VALUE_MAX + 1)), ErrorKind::Limit(Limit::Value));
        let value = |length: usize| format!("<a x='{}'/>", "x".repeat(length));
        assert!(read(value(VALUE_MAX).as_bytes()).is_ok());
        assert_eq!(refused(&value(VALUE_MAX + 1)), ErrorKind::Limit(Limit::Value));

        let children = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count));
        let count_max = BODY_MAX / BYTES_PER_NODE;
        assert!(read(children(count_max - 1).as_bytes()).is_ok());
        assert_eq!(refused(&children(count_max)), ErrorKind::Limit(Limit::Count));

        let body = |length: usize| format!("<a/>{}", " ".repeat(length - 4));
        assert!(read(body(BODY_MAX).as_bytes()).is_ok());
        assert_eq!(refused(&body(BODY_MAX + 1)), ErrorKind::Limit(Limit::Body));
    }

    #[test]
    fn namespace_declarations_are_bounded() {
        let element: String = (0..40).map(|i| format!(" xmlns:p{i}='urn:x'")).collect();
        assert_eq!(refused(&format!("<a{element}><b{element}/></a>")), ErrorKind::Limit(Limit::Namespaces));
        assert!(read(format!("<a><b{element}/><b{element}/></a>").as_bytes()).is_ok());
    }
}
