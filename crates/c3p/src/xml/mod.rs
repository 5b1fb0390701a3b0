//! XML in a box: a bounded reader into a flat tree, and a writer that cannot produce ill-formed text.
//!
//! Knows namespaces but no element; see `wire` for those.

mod characters;
mod opaque;
mod reader;
mod tree;
mod writer;

pub(crate) use characters::is_plain_name;
pub use opaque::OpaqueXml;
pub(crate) use reader::{read, read_within};
pub(crate) use tree::{Document, Element};
pub(crate) use writer::Writer;
