//! Characters: which are allowed, how they are escaped, how references are resolved.

/// Whether a character may stand in a document at all (XML 1.0, production 2).
pub(crate) fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Appends text or an attribute value, escaped for both places.
///
/// Tabs and line ends become references, since a reader would turn them into blanks inside an attribute. A character
/// that XML cannot carry becomes U+FFFD: a display name with a control character must not cost the whole roster.
pub(super) fn escape_into(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            other if is_allowed(other) => out.push(other),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
}

/// Resolves what stands between `&` and `;`: one of the five predefined entities or a numeric reference.
pub(super) fn resolve(reference: &str) -> Option<char> {
    match reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = reference.strip_prefix('#')?;
            let (digits, radix) = match number.strip_prefix('x') {
                Some(hexadecimal) => (hexadecimal, 16),
                None => (number, 10),
            };
            // `from_str_radix` takes a sign, XML does not.
            if !digits.chars().all(|digit| digit.is_digit(radix)) {
                return None;
            }
            u32::from_str_radix(digits, radix).ok().and_then(char::from_u32).filter(|character| is_allowed(*character))
        }
    }
}

/// Appends literal text with line ends made `\n` (XML 1.0 section 2.11).
pub(super) fn normalize_into(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find('\r') {
        out.push_str(&rest[..at]);
        out.push('\n');
        rest = &rest[at + 1..];
        rest = rest.strip_prefix('\n').unwrap_or(rest);
    }
    out.push_str(rest);
}

/// The value of an attribute (XML 1.0 section 3.3.3): references resolved, literal white space made blanks.
pub(super) fn attribute_value(raw: &str) -> Result<String, &'static str> {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '<', '\t', '\n', '\r']) {
        value.push_str(&rest[..at]);
        let special = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        match special {
            b'<' => return Err("a literal < in an attribute value"),
            b'&' => {
                let (reference, after) = rest.split_once(';').ok_or("a reference without an end")?;
                value.push(resolve(reference).ok_or("a reference that is not predefined")?);
                rest = after;
            }
            b'\r' => {
                value.push(' ');
                rest = rest.strip_prefix('\n').unwrap_or(rest);
            }
            _ => value.push(' '),
        }
    }
    value.push_str(rest);
    Ok(value)
}

/// Whether a text is a name without a colon, of ASCII letters, digits, `-`, `_` and `.`: a name this crate may write.
pub(crate) fn is_plain_name(text: &str) -> bool {
    text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_predefined_and_numeric_references_resolve() {
        let cases = [
            ("amp", Some('&')),
            ("#65", Some('A')),
            ("#x41", Some('A')),
            ("#x1F600", Some('\u{1F600}')),
            ("nbsp", None),
            ("#0", None),
            ("#x8", None),
            ("#xD800", None),
            ("#+65", None),
            ("#x", None),
            ("#99999999999", None),
            ("", None),
        ];
        for (reference, expected) in cases {
            assert_eq!(resolve(reference), expected, "{reference:?}");
        }
    }

    #[test]
    fn attribute_values_are_normalized() {
        assert_eq!(attribute_value("a\r\nb\tc&#10;d&quot;").as_deref(), Ok("a b c\nd\""));
        assert!(attribute_value("a<b").is_err());
        assert!(attribute_value("a&b").is_err());
        assert!(attribute_value("&unknown;").is_err());
    }

    #[test]
    fn what_xml_cannot_carry_is_replaced() {
        let mut out = String::new();
        escape_into(&mut out, "a\u{1}<b>&\n\u{FFFF}");
        assert_eq!(out, "a\u{FFFD}&lt;b&gt;&amp;&#10;\u{FFFD}");
    }
}
