//! Values out of a JSON tree, strictly, and what is wrong with one: where it stands, and what to write instead.
//!
//! `serde_json` takes a list for an object, tells what is wrong in serde's words, and forgets where it was. This reader takes
//! nothing for anything else. What a type is read from must not keep its keys in between (`untagged`, `flatten`, `tag`):
//! then it would be read by serde's own rules.

use std::fmt::Display;

use base::Shown;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::body::Node;
use super::refusal::{Code, Refusal};

/// What is wrong with a value.
#[derive(Debug)]
pub(super) struct Fault {
    code: Code,
    /// Where it stands, from the inside out.
    path: Vec<Step>,
    /// The value as it is repeated, where it is one of its own.
    value: Option<String>,
    /// What is wrong, and what to write.
    why: String,
}

#[derive(Debug)]
enum Step {
    Key(String),
    Entry(usize),
}

impl Fault {
    fn new(code: Code, why: impl Into<String>) -> Self {
        Self { code, path: Vec::new(), value: None, why: why.into() }
    }

    /// The key is to blame, not its value.
    fn key(code: Code, key: &str, why: impl Into<String>) -> Self {
        Self { path: vec![Step::Key(key.to_owned())], ..Self::new(code, why) }
    }

    /// It came up while this value was read, as a whole or somewhere inside.
    fn at(mut self, node: &Node, step: Step) -> Self {
        let is_simple = !matches!(node, Node::List(_) | Node::Object(_));
        if self.path.is_empty() && (is_simple || self.code == Code::WrongType) {
            self.value = Some(node.shown());
        }
        self.path.push(step);
        self
    }

    /// The path through the body: `config.groups[0].agents`.
    fn path(&self) -> String {
        let mut path = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Entry(place) => path.push_str(&format!("[{place}]")),
                Step::Key(key) if key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
                    let dot = if path.is_empty() { "" } else { "." };
                    path.push_str(&format!("{dot}{}", Shown(key)));
                }
                Step::Key(key) => path.push_str(&format!("[\"{}\"]", Shown(key))),
            }
        }
        path
    }

    /// What is told.
    pub(super) fn into_refusal(self) -> Refusal {
        let Self { code, why, value, .. } = &self;
        let path = self.path();
        let value = value.as_ref().map_or(String::new(), |value| format!(" = {value}"));
        if path.is_empty() {
            return Refusal::new(*code, format!("the body: {why}"));
        }
        let why = format!("{path}{value}: {why}");
        Refusal::to(*code, path, why)
    }
}

impl std::error::Error for Fault {}

impl Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path(), self.why)
    }
}

impl Error for Fault {
    /// What a type's own constructor says, in its own words.
    fn custom<T: Display>(why: T) -> Self {
        Self::new(Code::InvalidValue, why.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(Code::WrongType, format!("write {wanted}"))
    }

    fn invalid_value(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(Code::InvalidValue, format!("write {wanted}"))
    }

    fn unknown_variant(_: &str, words: &'static [&'static str]) -> Self {
        Self::new(Code::UnknownWord, format!("write one of {}", words.join(", ")))
    }

    fn unknown_field(key: &str, keys: &'static [&'static str]) -> Self {
        let why = match keys {
            [] => "there is no such key here; leave it out".to_owned(),
            _ => format!("there is no such key here; those there are: {}", keys.join(", ")),
        };
        Self::key(Code::UnknownKey, key, why)
    }

    fn missing_field(key: &'static str) -> Self {
        Self::key(Code::MissingKey, key, "this key is missing; write it")
    }

    fn duplicate_field(key: &'static str) -> Self {
        Self::key(Code::DuplicateKey, key, "this key stands there twice; leave one out")
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a Node);

impl Reader<'_> {
    /// A whole number in a range.
    fn whole<T: TryFrom<i128>>(self, least: i128, most: i128) -> Result<T, Fault> {
        let wanted = || format!("write a whole number from {least} to {most}");
        let wrong = || Fault::new(Code::WrongType, wanted());
        let Node::Number(number) = self.0 else { return Err(wrong()) };
        let whole = number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from));
        let out_of_range = || Fault::new(Code::OutOfRange, wanted());
        match whole {
            Some(whole) => T::try_from(whole).map_err(|_| out_of_range()),
            // One of more than 64 bits.
            None if number.as_f64().is_some_and(|number| number.abs() > i128::from(u64::MAX) as f64) => {
                Err(out_of_range())
            }
            None => Err(wrong()),
        }
    }

    fn wants(wanted: &str) -> Fault {
        Fault::new(Code::WrongType, format!("write {wanted}"))
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ident,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit(self.whole::<$type>(i128::from($type::MIN), i128::from($type::MAX))?)
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    whole_numbers! {
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Null => visitor.visit_unit(),
            Node::Bool(truth) => visitor.visit_bool(*truth),
            Node::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => self.deserialize_f64(visitor),
            },
            Node::Text(text) => visitor.visit_borrowed_str(text),
            Node::List(_) => self.deserialize_seq(visitor),
            Node::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Bool(truth) => visitor.visit_bool(*truth),
            _ => Err(Self::wants("true or false")),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Number(number) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            _ => Err(Self::wants("a number")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Text(text) if text.chars().count() == 1 => visitor.visit_borrowed_str(text),
            Node::Text(_) => Err(Fault::new(Code::InvalidValue, "write one character, in quotes")),
            _ => Err(Self::wants("one character, in quotes")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Text(text) => visitor.visit_borrowed_str(text),
            _ => Err(Self::wants("a text, in quotes")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Node::List(entries) => visitor.visit_seq(Entries { entries, place: 0 }),
            _ => Err(Self::wants("a list, in square brackets")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Object(entries) => visitor.visit_map(Keys { entries, without: None, value: None }),
            _ => Err(Self::wants("an object, as in {\"key\": \"value\"}")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Text(word) => visitor.visit_enum(IntoDeserializer::<Fault>::into_deserializer(word.as_str())),
            _ => Err(Self::wants(&format!("one of {}, in quotes", words.join(", ")))),
        }
    }

    forward_to_deserialize_any! {
        bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// A list's entries.
struct Entries<'a> {
    entries: &'a [Node],
    place: usize,
}

impl<'de> SeqAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(node) = self.entries.get(self.place) else { return Ok(None) };
        let value = seed.deserialize(Reader(node)).map_err(|fault| fault.at(node, Step::Entry(self.place)))?;
        self.place += 1;
        Ok(Some(value))
    }
}

/// An object's entries.
struct Keys<'a> {
    entries: &'a [(String, Node)],
    /// A key that is passed over.
    without: Option<&'static str>,
    /// The entry whose key was read last.
    value: Option<&'a (String, Node)>,
}

impl<'de> MapAccess<'de> for Keys<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        while let [entry, rest @ ..] = self.entries {
            self.entries = rest;
            if self.without != Some(entry.0.as_str()) {
                self.value = Some(entry);
                return seed.deserialize(StrDeserializer::new(&entry.0)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) = self.value.take().expect("a value is asked for after its key");
        seed.deserialize(Reader(node)).map_err(|fault| fault.at(node, Step::Key(key.clone())))
    }
}

/// Reads an enumeration whose variant's name stands among the variant's keys.
pub(super) struct Tagged<'a> {
    /// The key under which it stands.
    pub(super) tag: &'static str,
    /// All of the object.
    pub(super) entries: &'a [(String, Node)],
}

impl<'de> Deserializer<'de> for Tagged<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Tagged<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let mut named = self.entries.iter().filter(|(key, _)| key == self.tag).map(|(_, node)| node);
        let node = named.next().ok_or_else(|| Fault::missing_field(self.tag))?;
        if named.next().is_some() {
            return Err(Fault::duplicate_field(self.tag));
        }
        let variant = match node {
            Node::Text(word) => seed.deserialize(StrDeserializer::new(word)),
            _ => Err(Reader::wants("a text, in quotes")),
        };
        Ok((variant.map_err(|fault| fault.at(node, Step::Key(self.tag.to_owned())))?, self))
    }
}

impl<'de> VariantAccess<'de> for Tagged<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.entries.iter().find(|(key, _)| key != self.tag) {
            Some((key, _)) => Err(Fault::unknown_field(key, &[])),
            None => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Fault> {
        unreachable!("a variant beside its keys has names for them")
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        unreachable!("a variant beside its keys has names for them")
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(Keys { entries: self.entries, without: Some(self.tag), value: None })
    }
}

#[cfg(test)]
mod tests {
    use engine::GroupCommand;
    use routing::UserProfile;

    use super::*;

    fn refused(body: &str) -> (Code, Option<String>, String) {
        let read = Node::object(body.as_bytes()).and_then(|body| body.read::<UserProfile>());
        let refusal = read.expect_err(body);
        let (code, field) = refusal.blamed();
        (code, field.map(str::to_owned), refusal.message().to_owned())
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for body in ["[]", " [{}]", "[\"sip:bob@example.com\"]", "null", "1", "\"x\""] {
            let (code, field, told) = refused(body);
            assert_eq!((code, field), (Code::WrongType, None), "{body}");
            assert!(told.contains("write one JSON object, as in"), "{told}");
        }
        assert_eq!(refused("[]").2, "the body is a list; write one JSON object, as in {\"key\": \"value\"}");
        for body in ["", " ", "{", "{\"team\": [", "{]", "{} {}", "\u{feff}{}", &"{\"team\":".repeat(200)] {
            let (code, field, told) = refused(body);
            assert_eq!((code, field), (Code::MalformedJson, None), "{body}");
            assert!(!told.contains("expected"), "{told}");
        }
        assert!(refused("{\n  \"team\": oops}").2.starts_with("the body is no JSON at line 2, column 11: "));
        assert!(Node::object(b"{\"team\": [\"\xff\"]}").is_err());
        assert!(Node::object(b"\n {}").and_then(|body| body.read::<UserProfile>()).is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_its_value_and_a_remedy() {
        let long = "x".repeat(1 << 20);
        let cut = "x".repeat(80);
        for (body, code, told) in [
            (
                "{\"do_not_disturb\": 1}".to_owned(),
                Code::WrongType,
                "do_not_disturb = 1: write true or false".to_owned(),
            ),
            (
                "{\"ring_seconds\": 70000}".to_owned(),
                Code::OutOfRange,
                "ring_seconds = 70000: write a whole number from 0 to 65535".to_owned(),
            ),
            (
                "{\"ring_seconds\": \"9\"}".to_owned(),
                Code::WrongType,
                "ring_seconds = \"9\": write a whole number from 0 to 65535".to_owned(),
            ),
            (
                "{\"ring_seconds\": 9.0}".to_owned(),
                Code::WrongType,
                "ring_seconds = 9.0: write a whole number from 0 to 65535".to_owned(),
            ),
            (
                "{\"ring_seconds\": null}".to_owned(),
                Code::WrongType,
                "ring_seconds = null: write a whole number from 0 to 65535".to_owned(),
            ),
            (
                "{\"voicemail\": \"a\", \"voicemail\": \"b\"}".to_owned(),
                Code::DuplicateKey,
                "voicemail: this key stands there twice; leave one out".to_owned(),
            ),
            (
                "{\"team\": [\"sip:a@b\", [\"sip:a@b\"]]}".to_owned(),
                Code::WrongType,
                "team[1] = a list: write a text, in quotes".to_owned(),
            ),
            (
                format!("{{\"team\": [\"{long}\"]}}"),
                Code::InvalidValue,
                format!("team[0] = \"{cut}...\": invalid user URI: it has more than 512 characters"),
            ),
            (
                "{\"team\": \"\\u0007\\r\\n\"}".to_owned(),
                Code::WrongType,
                "team = \"\\u{7}\\r\\n\": write a list, in square brackets".to_owned(),
            ),
        ] {
            let (found, _, message) = refused(&body);
            assert_eq!((found, message), (code, told));
        }
        let (code, field, message) = refused(&format!("{{\"{long}\": 1}}"));
        assert_eq!((code, field), (Code::UnknownKey, Some(format!("{cut}..."))));
        assert!(message.contains("those there are: simultaneous_ring, forward_always"), "{message}");
        assert_eq!(refused("{\"a.b\\u0000\": 1}").1.as_deref(), Some("[\"a.b\\u{0}\"]"));
    }

    /// What this reader takes, `serde_json` takes too, and for the same.
    #[test]
    fn any_body_is_read_or_refused() {
        const WORDS: &[&str] =
            &["[]", "{}", "null", "-1", "1e999", "\"\"", "\"team\":", "\"config\":", "\\u0000", "[["];
        let seeds = [
            "{\"ring_seconds\": 9, \"team\": [\"sip:a@b\"], \"do_not_disturb\": true, \"voicemail\": null}",
            "{\"command\": \"configure\", \"config\": {\"groups\": [{\"uri\": \"sip:a@b\", \"agents\": [\"sip:c@d\"]}]}}",
            "{\"command\": \"transfer\", \"call\": 1, \"target\": {\"kind\": \"forward\", \"target\": \"sip:a@b\"}}",
        ];
        let seeds = seeds.map(str::to_owned);
        fuzz::target("http-body").seeds(seeds).words(WORDS).rounds(3_000).run_text(|text| {
            let Ok(body) = Node::object(text.as_bytes()) else { return };
            if let Ok(profile) = body.read::<UserProfile>() {
                assert_eq!(serde_json::from_str::<UserProfile>(text).expect("it is strict"), profile);
            }
            match body.read_tagged::<GroupCommand>("command") {
                Ok(_) => {}
                Err(refusal) => assert!(!refusal.message().is_empty()),
            }
        });
    }
}
