//! Texts of others, as they are repeated to whoever sent them.

use std::fmt::{self, Write};

/// Characters that are repeated; whoever sent the text knows the rest.
const CHARACTERS: usize = 80;

/// A text as a sentence repeats it: control characters and those that turn or hide others are escaped, and what is longer
/// than 80 characters is cut, with `...` at the end.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, character) in self.0.chars().enumerate() {
            if place == CHARACTERS {
                return f.write_str("...");
            }
            if is_plain(character) {
                f.write_char(character)?;
            } else {
                write!(f, "{}", character.escape_default())?;
            }
        }
        Ok(())
    }
}

/// Whether a character shows itself and changes nothing around it.
fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_is_short_and_harmless() {
        let long = "x".repeat(1 << 20);
        for (text, shown) in [
            ("sip:ann@example.com", "sip:ann@example.com".to_owned()),
            ("Zo\u{eb} \"A\" \\", "Zo\u{eb} \"A\" \\".to_owned()),
            ("a\r\nb\t\u{7}\u{202e}c", "a\\r\\nb\\t\\u{7}\\u{202e}c".to_owned()),
            (&long[..80], "x".repeat(80)),
            (&long, format!("{}...", "x".repeat(80))),
        ] {
            assert_eq!(Shown(text).to_string(), shown);
        }
    }
}
