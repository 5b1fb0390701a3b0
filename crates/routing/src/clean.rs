//! From what somebody typed or a device sent to digits (routing.md 5.2).

use crate::DIALLED_MAX;
use crate::number::InvalidNumber;

/// A dialled string without decoration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cleaned {
    /// Digits, `*` and `#`, with a leading `+` if it was dialled as a global number.
    pub(crate) digits: String,
    /// `;ext=` or `x123`.
    pub(crate) extension: Option<String>,
    /// `phone-context` when it names a profile or domain; a global prefix has become part of the digits.
    pub(crate) context: Option<String>,
}

/// Cleans a dialled string or the number part of a `tel:` or `sip:` URI.
pub(crate) fn clean(dialled: &str) -> Result<Cleaned, InvalidNumber> {
    if dialled.chars().count() > DIALLED_MAX {
        return Err(InvalidNumber::TooLong);
    }
    let text = unescape(dialled.trim());
    let text = strip_scheme(&text);
    let mut parameters = text.split(';');
    let number = parameters.next().unwrap_or("");
    let (mut extension, mut context) = (None, None);
    for parameter in parameters {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "ext" => extension = Some(digits_of(value)?),
            "phone-context" => context = Some(value.trim().to_owned()).filter(|context| !context.is_empty()),
            _ => {}
        }
    }
    let (number, dialled_extension) = split_extension(number);
    if let Some(dialled) = dialled_extension {
        extension = extension.or(Some(digits_of(dialled)?));
    }
    let mut digits = digits_of(number)?;
    // RFC 3966 5.1.5: a context that is a global prefix completes a local number.
    if let Some(prefix) = context.as_deref().filter(|context| context.starts_with('+')) {
        if !digits.starts_with('+') {
            digits.insert_str(0, &digits_of(prefix)?);
        }
        context = None;
    }
    if !digits.bytes().any(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'#')) {
        return Err(InvalidNumber::Empty);
    }
    Ok(Cleaned { digits, extension: extension.filter(|extension| !extension.is_empty()), context })
}

/// Whether a text is meant as a number: digits, separators and signs, no letter before an extension mark.
pub(crate) fn looks_like_number(text: &str) -> bool {
    clean(text).is_ok()
}

fn strip_scheme(text: &str) -> &str {
    match text.split_at_checked(4) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tel:") => rest,
        _ => text,
    }
}

/// `%2B` and the like; devices escape the plus of a number in a SIP URI. What is not an escape stays as it is.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, after) = rest.split_at(at);
        plain.push_str(before);
        let code = after.get(1..3).and_then(|code| u8::from_str_radix(code, 16).ok()).filter(u8::is_ascii_graphic);
        let (decoded, skipped) = code.map_or(('%', 1), |code| (char::from(code), 3));
        plain.push(decoded);
        rest = &after[skipped..];
    }
    plain.push_str(rest);
    plain
}

/// `555-0123 x12`, `555-0123 ext. 12`.
fn split_extension(number: &str) -> (&str, Option<&str>) {
    let Some(at) = number.find(['x', 'X', 'e', 'E']) else { return (number, None) };
    let (before, mark) = number.split_at(at);
    let lower = mark.to_ascii_lowercase();
    let length =
        ["extension", "ext.", "ext", "x"].iter().find(|known| lower.starts_with(**known)).map(|known| known.len());
    // `lower` has the length of `mark`, because only ASCII letters change.
    length.map_or((number, None), |length| (before, Some(&mark[length..])))
}

/// Digits of any script as ASCII, `*`, `#` and a leading `+`; visual separators are dropped.
fn digits_of(text: &str) -> Result<String, InvalidNumber> {
    let mut digits = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '0'..='9' | '*' | '#' => digits.push(character),
            '+' | '\u{ff0b}' if digits.is_empty() => digits.push('+'),
            _ if is_separator(character) => {}
            _ => digits.push(decimal_digit(character).ok_or(InvalidNumber::Character)?),
        }
    }
    Ok(digits)
}

/// RFC 3966 5.1.1 knows `- . ( )`; people also write blanks, slashes and the dashes of their word processor.
fn is_separator(character: char) -> bool {
    matches!(character, '-' | '.' | '(' | ')' | '/' | '[' | ']' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{feff}')
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || character.is_whitespace()
}

/// The value of a decimal digit of another script (Unicode category Nd; each script has ten in a row).
fn decimal_digit(character: char) -> Option<char> {
    const ZEROS: [u32; 20] = [
        0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0e50, 0x0ed0,
        0x0f20, 0x1040, 0x17e0, 0x1810, 0xa8d0, 0xff10,
    ];
    let code = u32::from(character);
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code))?;
    char::from_digit(code - zero, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoration_is_taken_off() {
        for (dialled, digits, extension) in [
            ("+1 (425) 555-0123", "+14255550123", None),
            ("tel:+1-425-555-0123;ext=77", "+14255550123", Some("77")),
            ("TEL:555.0123", "5550123", None),
            ("555\u{a0}0123 x12", "5550123", Some("12")),
            ("5550123 Ext. 12", "5550123", Some("12")),
            ("5550123extension9", "5550123", Some("9")),
            ("%2B14255550123", "+14255550123", None),
            ("\u{ff0b}\u{ff11}\u{ff14}\u{ff12}\u{ff15}", "+1425", None),
            ("\u{0661}\u{0662}\u{06f3}", "123", None),
            ("*21#", "*21#", None),
            ("0731/12345\u{2013}67", "07311234567", None),
            ("5550123;phone-context=+1425", "+14255550123", None),
            ("+14255550123;phone-context=+44", "+14255550123", None),
            ("\u{202a}+49 731 1\u{202c}", "+497311", None),
        ] {
            let cleaned = clean(dialled).expect(dialled);
            assert_eq!((cleaned.digits.as_str(), cleaned.extension.as_deref()), (digits, extension), "{dialled}");
        }
        assert_eq!(
            clean("50123;phone-context=seattle.example.com").expect("valid").context.as_deref(),
            Some("seattle.example.com")
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for (dialled, why) in [
            ("", InvalidNumber::Empty),
            ("  - ", InvalidNumber::Empty),
            ("+", InvalidNumber::Empty),
            ("1-800-FLOWERS", InvalidNumber::Character),
            ("12+34", InvalidNumber::Character),
            ("ann", InvalidNumber::Character),
            ("12,34", InvalidNumber::Character),
            ("12%00", InvalidNumber::Character),
            (&"1".repeat(65), InvalidNumber::TooLong),
        ] {
            assert_eq!(clean(dialled), Err(why), "{dialled}");
        }
    }
}
