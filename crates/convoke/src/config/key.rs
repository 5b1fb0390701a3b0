//! What the table of keys is made of.

/// A section of the file.
pub(super) struct Section {
    /// Dotted, as in the file; empty for the keys before the first section.
    pub(super) name: &'static str,
    /// Whether it is an entry that may stand many times, in double brackets.
    pub(super) is_list: bool,
    pub(super) about: &'static str,
    pub(super) keys: &'static [Key],
}

impl Section {
    /// The line the section begins with.
    pub(super) fn header(&self) -> String {
        if self.is_list { format!("[[{}]]", self.name) } else { format!("[{}]", self.name) }
    }
}

/// A key of a section.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// As TOML; `None` when there is none.
    pub(super) default: Option<&'static str>,
    /// A sane production value, as TOML.
    pub(super) production: &'static str,
    /// What it is, its range and what it works together with.
    pub(super) about: &'static str,
}

/// What stands behind a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A text that is never shown.
    Secret,
    /// A number or a truth value.
    Plain,
    List,
}

/// A row of the table.
pub(super) const fn key(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    production: &'static str,
    about: &'static str,
) -> Key {
    Key { name, kind, default, production, about }
}
