//! What a dialled string turned out to be.

use base::Pii;

/// A dialled string after clean-up and normalisation (routing.md 5.2). Only [`Number::E164`] ever reaches a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Number {
    /// A global number: `+` and 7 to 15 digits.
    E164(Pii),
    /// A number inside the organisation, 1 to 15 digits: what a rule made without a leading `+`. Users and conferences
    /// have such numbers; a carrier's short codes look the same and are not dialled.
    Extension(Pii),
    /// One of the profile's emergency numbers, as dialled.
    Emergency(String),
    /// Not a number, or no rule knows it.
    Invalid(InvalidNumber),
}

/// Why a dialled string is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidNumber {
    /// Nothing is left after clean-up.
    #[error("it has no digits")]
    Empty,
    /// More than [`crate::DIALLED_MAX`] characters.
    #[error("it has more than 64 characters")]
    TooLong,
    /// A letter or sign that no number has.
    #[error("it holds a character that is not a digit, a separator, + * or #")]
    Character,
    /// `+` without 7 to 15 digits after it.
    #[error("a global number has + and 7 to 15 digits")]
    NotGlobal,
    /// No rule of the profile matches.
    #[error("no rule of the location profile matches")]
    NoRule,
    /// A rule matched, but what it made is neither a global number nor an extension.
    #[error("the rule that matches makes something that is neither +digits nor digits")]
    BadTranslation,
}

/// A number and the rule that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalized {
    /// The number.
    pub number: Number,
    /// Index of the rule that matched; `None` when none was needed or none matched.
    pub rule: Option<usize>,
    /// An extension dialled along (`;ext=123`, `x123`): digits that go with the number to the trunk.
    pub extension: Option<String>,
}
