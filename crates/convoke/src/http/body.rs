//! A body's JSON as a tree, which forgets nothing of what was written: keys in their order, twice where they stand twice.

use std::fmt;

use base::Shown;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::error::Category;

use super::fields::{Fault, Reader, Tagged};
use super::refusal::{Code, Refusal};

/// One value of a JSON text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
}

impl Node {
    /// Reads a body, which must be one JSON object. It is nested 127 deep at most.
    pub(crate) fn object(body: &[u8]) -> Result<Self, Refusal> {
        let wanted = "write one JSON object, as in {\"key\": \"value\"}";
        if body.trim_ascii().is_empty() {
            return Err(Refusal::new(Code::MalformedJson, format!("the body is empty; {wanted}")));
        }
        let node: Self = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
        match node {
            Self::Object(_) => Ok(node),
            _ => Err(Refusal::new(Code::WrongType, format!("the body is {}; {wanted}", node.shown()))),
        }
    }

    /// An object of texts.
    pub(crate) fn of_texts(pairs: Vec<(String, String)>) -> Self {
        Self::Object(pairs.into_iter().map(|(key, text)| (key, Self::Text(text))).collect())
    }

    /// What the object says.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        T::deserialize(Reader(self)).map_err(Fault::into_refusal)
    }

    /// The same of an enumeration, whose variant's name stands beside the variant's keys, under `tag`.
    pub(crate) fn read_tagged<T: DeserializeOwned>(&self, tag: &'static str) -> Result<T, Refusal> {
        let Self::Object(entries) = self else { return self.read() };
        T::deserialize(Tagged { tag, entries }).map_err(Fault::into_refusal)
    }

    /// The value of a key of the object.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// An entry of the list, counted from 0.
    pub(crate) fn entry(&self, place: usize) -> Option<&Self> {
        let Self::List(entries) = self else { return None };
        entries.get(place)
    }

    /// How a sentence repeats it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Number(number) => Shown(&number.to_string()).to_string(),
            Self::Text(text) => format!("\"{}\"", Shown(text)),
            Self::List(_) => "a list".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }
}

fn malformed(error: &serde_json::Error) -> Refusal {
    let remedy = match error.classify() {
        Category::Eof => "it ends too early; write it to its end",
        _ => "what stands there is not possible, or nested deeper than 127 levels; correct it",
    };
    let why = format!("the body is no JSON at line {}, column {}: {remedy}", error.line(), error.column());
    Refusal::new(Code::MalformedJson, why)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Growing)
    }
}

struct Growing;

impl<'de> Visitor<'de> for Growing {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Bool(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Number::from_f64(number).map_or(Node::Null, Node::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            entries.push(entry);
        }
        Ok(Node::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = object.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Object(entries))
    }
}
