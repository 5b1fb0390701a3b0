//! Dialled strings and telephone numbers.

use base::Pii;
use fuzz::target;
use routing::{LocationProfile, Number, Rule, TrunkTarget};

const WORDS: &[&str] =
    &["+", "00", "tel:", ";ext=", ";phone-context=+49", "x12", "*31#", "(0)", "\u{661}", "\u{ff11}", "112"];

fn profile() -> LocationProfile {
    let rule =
        |pattern: &str, translation: &str| Rule { pattern: pattern.to_owned(), translation: translation.to_owned() };
    let rules =
        [rule("00(\\d+)", "+$1"), rule("0(\\d+)", "+49$1"), rule("(\\d{3,5})", "$1"), rule("(\\d+)", "+4930$1")];
    LocationProfile::compile("Berlin", &rules).expect("valid rules").with_emergency(&["112".to_owned()])
}

#[test]
fn dialled() {
    let profile = profile();
    let seeds = ["+49 (0)30 / 123-456", "tel:+4930123456;ext=12", "0049301234567", "7000", "112", "030 1234 x99"];
    target("number").seeds(seeds).words(WORDS).rounds(60_000).largest(300).run_text(|text| {
        match profile.normalize(text).number {
            Number::E164(number) => {
                let number = number.expose();
                let digits = number.strip_prefix('+').expect("a global number begins with a plus");
                assert!(
                    (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()),
                    "{number}"
                );
                assert_eq!(profile.normalize(number).number, Number::E164(Pii::new(number)), "stays as it is");
            }
            Number::Extension(digits) => {
                let digits = digits.expose();
                assert!(
                    (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()),
                    "{digits}"
                );
            }
            Number::Emergency(number) => assert_eq!(number, "112"),
            Number::Invalid(_) => {}
        }
    });
}

#[test]
fn rules() {
    let seeds = ["00(\\d+)", "(?<a>\\d{1,5})|x", "([0-9]+)+$", "\\d{1000}", "+${1}$&$$"];
    target("rule")
        .seeds(seeds)
        .words(&["(", ")", "{999}", "\\d", "[", "]", "$1", "${"])
        .rounds(4_000)
        .largest(200)
        .run_text(|text| {
            let rule = Rule { pattern: text.to_owned(), translation: text.to_owned() };
            if let Ok(profile) = LocationProfile::compile("x", &[rule]) {
                let _any = profile.normalize("0301234567");
            }
        });
}

#[test]
fn trunk_target() {
    let seeds = ["udp:192.0.2.1:5060", "tls:[2001:db8::1]:5061", "sip.example.com"];
    target("trunk-target").seeds(seeds).words(&["tcp:", "[::1]", ":0"]).rounds(60_000).largest(300).run_text(|text| {
        let _maybe = TrunkTarget::parse(text);
    });
}
