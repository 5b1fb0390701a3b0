//! Location profiles: what rules make, and what is refused at load.

use routing::{InvalidNumber, LocationProfile, Number, Rule};

fn rule(pattern: &str, translation: &str) -> Rule {
    Rule { pattern: pattern.to_owned(), translation: translation.to_owned() }
}

/// A site near Seattle with four-digit extensions, 9 for an outside line and a tie line to another site.
pub(crate) fn seattle() -> LocationProfile {
    let rules = [
        rule(r"^([2-7]\d{3})$", "$1"),
        rule(r"^9?1(\d{10})$", "+1$1"),
        rule(r"^9?(\d{7})$", "+1425$1"),
        rule(r"^9?011(\d{7,14})$", "+$1"),
        rule(r"^6(\d{3})(\d{4})$", "+4989$1555$2"),
    ];
    LocationProfile::compile("seattle", &rules).expect("valid rules").with_emergency(&["911".to_owned()])
}

fn show(number: &Number) -> String {
    match number {
        Number::E164(number) => number.expose().to_owned(),
        Number::Extension(number) => format!("ext {}", number.expose()),
        Number::Emergency(number) => format!("emergency {number}"),
        Number::Invalid(why) => format!("{why:?}"),
    }
}

#[test]
fn the_first_rule_that_matches_wins() {
    let profile = seattle();
    for (dialled, wanted, rule) in [
        ("2345", "ext 2345", Some(0)),
        ("1 (425) 555-0123", "+14255550123", Some(1)),
        ("9 1 425 555 0123", "+14255550123", Some(1)),
        ("555-0123", "+14255550123", Some(2)),
        ("9-555-0123", "+14255550123", Some(2)),
        ("011 49 89 1234567", "+49891234567", Some(3)),
        ("6 123 4567", "+49891235554567", Some(4)),
        ("+49 89 1234567", "+49891234567", None),
        ("tel:+49-89-1234567", "+49891234567", None),
        ("911", "emergency 911", None),
        ("+12345", "NotGlobal", None),
        ("+1234567890123456", "NotGlobal", None),
        ("12", "NoRule", None),
        ("*21", "NoRule", None),
        ("FLOWERS", "Character", None),
        ("", "Empty", None),
    ] {
        let normalized = profile.normalize(dialled);
        assert_eq!((show(&normalized.number).as_str(), normalized.rule), (wanted, rule), "{dialled}");
    }
    assert_eq!(profile.normalize("555-0123 x77").extension.as_deref(), Some("77"));
}

#[test]
fn the_whole_of_the_digits_must_match() {
    let profile = LocationProfile::compile("p", &[rule(r"(\d{4})", "$1")]).expect("valid");
    assert_eq!(show(&profile.normalize("1234").number), "ext 1234");
    assert_eq!(show(&profile.normalize("12345").number), "NoRule");
    let alternatives = LocationProfile::compile("p", &[rule("1|22", "+4989000$0")]).expect("valid");
    assert_eq!(show(&alternatives.normalize("22").number), "+498900022");
    assert_eq!(show(&alternatives.normalize("221").number), "NoRule");
}

#[test]
fn references_are_those_of_dotnet() {
    for (pattern, translation, dialled, wanted) in [
        (r"(\d{4})", "+1425$1555", "0123", "+14250123555"),
        (r"(\d{4})", "+1425${1}555", "0123", "+14250123555"),
        (r"(?<last>\d{7})", "+1425${last}", "5550123", "+14255550123"),
        (r"\d{7}", "+1425$0", "5550123", "+14255550123"),
        (r"\d{7}", "+1425$&", "5550123", "+14255550123"),
        (r"(\d)(\d)(\d)(\d)(\d)(\d)(\d)(\d)(\d)(\d)(\d)", "+1234567$11", "00000000009", "+12345679"),
    ] {
        let profile = LocationProfile::compile("p", &[rule(pattern, translation)]).expect(pattern);
        assert_eq!(show(&profile.normalize(dialled).number), wanted, "{pattern} {translation}");
    }
}

#[test]
fn a_translation_that_makes_no_number_is_found_when_it_is_used() {
    let profile = LocationProfile::compile("p", &[rule(r"(\d+)", "+0x$1")]).expect("valid");
    assert_eq!(profile.normalize("123").number, Number::Invalid(InvalidNumber::BadTranslation));
}

#[test]
fn what_cannot_be_done_is_refused_at_load_with_a_clear_message() {
    for (pattern, translation, words) in [
        (r"^(?!911)(\d+)$", "$1", "negative look-ahead"),
        (r"^(?=9)(\d+)$", "$1", "look-ahead"),
        (r"(?<=9)(\d+)", "$1", "look-behind"),
        (r"(?<!9)(\d+)", "$1", "negative look-behind"),
        (r"(?>\d+)", "$0", "atomic group"),
        (r"(\d)\1", "$1", "back-reference"),
        (r"(?<d>\d)\k<d>", "$1", "back-reference"),
        (r"(\d", "$1", "cannot be read"),
        (r"(\d{1000}){1000}", "$1", "too large"),
        (r"(\d+)", "$2", "names a group"),
        (r"(\d+)", "${name}", "names a group"),
        (r"(\d+)", "$", "names a group"),
        (&"1".repeat(600), "$0", "at most 512"),
    ] {
        let rules = [rule("1", "1"), rule(pattern, translation)];
        let error = LocationProfile::compile("munich", &rules).expect_err(pattern).to_string();
        assert!(error.contains(words), "{pattern}: {error}");
        assert!(error.starts_with("location profile \"munich\", rule 2: "), "{error}");
    }
    for name in ["", "with blank", &"n".repeat(257)] {
        assert!(LocationProfile::compile(name, &[]).is_err(), "{name:?}");
    }
    assert!(LocationProfile::compile("p", &vec![rule("1", "1"); 257]).is_err());
    // An escaped backslash before a digit, and a literal bracket, are neither.
    assert!(LocationProfile::compile("p", &[rule(r"\\1", "1"), rule(r"\(?=?\d", "1")]).is_ok());
}
