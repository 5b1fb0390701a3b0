//! What holds for every input.

use base::UserUri;
use proptest::prelude::*;
use routing::{LocationProfile, Number, Rule, Target, Verdict};

use crate::profiles::seattle;
use crate::verdicts::{House, router, trunk};

fn is_global(text: &str) -> bool {
    text.strip_prefix('+')
        .is_some_and(|digits| (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Texts of the kind that is dialled, and of any other kind.
fn dialled() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,80}",
        "[+]?[0-9 ()./-]{0,20}",
        "(sip|sips|tel|SIP):[+%0-9a-z;=@.]{0,40}",
        "(tel:)?[+]?[0-9]{1,16}(;ext=[0-9]{1,5})?(;phone-context=[+a-z0-9.]{1,8})?",
    ]
}

proptest! {
    #[test]
    fn only_global_numbers_reach_a_trunk(target in dialled(), requester in any::<bool>()) {
        let ann = UserUri::parse("sip:ann@example.com").expect("valid");
        let router = router(vec![trunk("one", &[], &["+1900"]), trunk("two", &["+49"], &[])]);
        let target = Target { requester: requester.then_some(&ann), profile: None, target: &target };
        let routing = router.route(target, &House);
        prop_assert!(!routing.explanation.is_empty());
        if let Verdict::Trunk { number, trunks, .. } = &routing.verdict {
            prop_assert!(requester && is_global(number.expose()));
            prop_assert!((1..=3).contains(&trunks.len()));
            prop_assert!(!number.expose().starts_with("+1900"));
            prop_assert!(routing.explanation.iter().all(|sentence| !sentence.contains(number.expose())));
        }
        prop_assert!(!matches!(routing.verdict, Verdict::External(_)));
        prop_assert_eq!(router.route(target, &House), routing, "the same question has the same answer");
    }

    #[test]
    fn separators_do_not_change_the_number(digits in "[0-9]{1,15}", separators in "[ ()./-]{15}", plus in any::<bool>()) {
        let spread: String = digits.chars().zip(separators.chars()).flat_map(|(digit, sign)| [sign, digit]).collect();
        let prefix = if plus { "+" } else { "" };
        let profile = seattle();
        prop_assert_eq!(
            profile.normalize(&format!("{prefix}{digits}")),
            profile.normalize(&format!("{prefix}{spread}"))
        );
    }

    #[test]
    fn normal_form_is_stable(dialled in dialled()) {
        if let Number::E164(number) = seattle().normalize(&dialled).number {
            prop_assert!(is_global(number.expose()));
            prop_assert_eq!(seattle().normalize(number.expose()).number, Number::E164(number));
        }
    }

    #[test]
    fn any_rule_is_compiled_or_refused(
        pattern in "[\\\\0-9d().?*+^$|{},<>:=!k-]{0,24}",
        translation in "[+0-9${}&a]{0,12}",
        digits in "[0-9]{0,20}",
    ) {
        let compiled = LocationProfile::compile("p", &[Rule { pattern, translation }]);
        if let Ok(Number::E164(number)) = compiled.map(|profile| profile.normalize(&digits).number) {
            prop_assert!(is_global(number.expose()));
        }
    }
}
