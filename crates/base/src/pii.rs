//! Personal data that must not reach a log by accident.

use std::fmt;

/// A telephone number or other personal text. `Debug` and `Display` show only its last two characters; the full text
/// is had by [`Pii::expose`], which a reviewer can search for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Pii(String);

impl Pii {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The full text, for the wire and for storage; never for a log at info level or above.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pii {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.chars().count();
        let tail: String = self.0.chars().skip(count.saturating_sub(2)).collect();
        if count > 4 { write!(f, "...{tail}") } else { f.write_str("...") }
    }
}

impl fmt::Debug for Pii {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pii({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_not_printed() {
        let number = Pii::new("+14255550123");
        assert_eq!(format!("{number} {number:?}"), "...23 Pii(...23)");
        assert_eq!(format!("{}", Pii::new("911")), "...");
        assert_eq!(number.expose(), "+14255550123");
    }
}
