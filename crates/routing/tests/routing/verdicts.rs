//! Targets and the verdict each must get.

use std::collections::BTreeMap;

use base::{ConferenceNumber, UserUri};
use routing::{Directory, LocationProfile, RefusedTarget, Router, Routing, Rule, Target, Trunk, TrunkTarget, Verdict};

use crate::profiles::seattle;

/// Ann and Bob live here, Ann has a telephone number and an extension; 5001 is a conference.
pub(crate) struct House;

impl Directory for House {
    fn is_user(&self, user: &UserUri) -> bool {
        ["sip:ann@example.com", "sip:bob@example.com", "sip:1001@example.com"].contains(&user.as_str())
    }

    fn user_of_number(&self, number: &str) -> Option<UserUri> {
        ["+14255550199", "2345"].contains(&number).then(|| UserUri::parse("sip:ann@example.com").expect("valid"))
    }

    fn is_conference(&self, number: &ConferenceNumber) -> bool {
        number.as_str() == "5001"
    }
}

pub(crate) fn trunk(name: &str, allow: &[&str], deny: &[&str]) -> Trunk {
    let prefixes = |list: &[&str]| list.iter().map(|prefix| (*prefix).to_owned()).collect();
    Trunk {
        name: name.to_owned(),
        target: TrunkTarget::parse(&format!("udp:{name}.example.com:5060")).expect("valid"),
        allow: prefixes(allow),
        deny: prefixes(deny),
    }
}

pub(crate) fn router(trunks: Vec<Trunk>) -> Router {
    Router {
        domains: vec!["example.com".to_owned(), "127.0.0.1".to_owned()],
        profiles: BTreeMap::from([("default".to_owned(), seattle())]),
        trunks,
        allow_external_sip: false,
    }
}

fn route(router: &Router, target: &str) -> Routing {
    let ann = UserUri::parse("sip:ann@example.com").expect("valid");
    router.route(Target { requester: Some(&ann), profile: None, target }, &House)
}

/// A verdict in a few words.
fn show(verdict: &Verdict) -> String {
    match verdict {
        Verdict::LocalUser(user) => user.to_string(),
        Verdict::Conference(number) => format!("conference {number}"),
        Verdict::Trunk { number, trunks, extension } => {
            let names: Vec<&str> = trunks.iter().map(|trunk| trunk.name.as_str()).collect();
            let extension = extension.as_ref().map_or(String::new(), |extension| format!(" x{extension}"));
            format!("{}{extension} by {}", number.expose(), names.join(","))
        }
        Verdict::External(user) => format!("external {user}"),
        Verdict::Refused(why) => format!("{why:?}"),
    }
}

#[test]
fn every_kind_of_target_gets_its_verdict() {
    let router = router(vec![trunk("one", &[], &[])]);
    for (target, wanted) in [
        ("sip:bob@example.com", "sip:bob@example.com"),
        ("SIP:bob@EXAMPLE.com;transport=tcp", "sip:bob@example.com"),
        ("sips:bob@example.com", "sip:bob@example.com"),
        ("sip:bob@127.0.0.1:5060", "UnknownUser"),
        ("bob@example.com", "sip:bob@example.com"),
        ("bob", "sip:bob@example.com"),
        ("carl", "Unreadable"),
        ("sip:carl@example.com", "UnknownUser"),
        ("sip:example.com", "Unreadable"),
        ("sip:", "Unreadable"),
        ("", "Unreadable"),
        ("http://example.com", "Unreadable"),
        ("1001", "sip:1001@example.com"),
        ("5001", "conference 5001"),
        ("sip:5001@127.0.0.1", "conference 5001"),
        ("sip:5001@example.com;user=phone", "conference 5001"),
        ("2345", "sip:ann@example.com"),
        ("3456", "UnknownUser"),
        ("425 555 0199", "InvalidNumber(NoRule)"),
        ("1 425 555 0199", "sip:ann@example.com"),
        ("555 0123", "+14255550123 by one"),
        ("555 0123 x7", "+14255550123 x7 by one"),
        ("tel:+1-425-555-0123", "+14255550123 by one"),
        ("sip:+14255550123@example.com;user=phone", "+14255550123 by one"),
        ("sip:%2B14255550123@example.com;user=phone", "+14255550123 by one"),
        ("sip:5550123;phone-context=default@example.com;user=phone", "+14255550123 by one"),
        ("911", "Emergency"),
        ("tel:911", "Emergency"),
        ("sip:911@example.com", "Emergency"),
        ("+123", "InvalidNumber(NotGlobal)"),
        ("tel:abc", "InvalidNumber(Character)"),
        ("sip:ann@elsewhere.example", "ExternalDenied"),
        ("sip:+14255550123@elsewhere.example", "ExternalDenied"),
        ("sip:ann@example.com;gruu;opaque=app:conf:focus:id:K3V9PX2Q", "Service"),
        ("sip:ann@example.com;opaque=user:epid:abc;gruu", "sip:ann@example.com"),
    ] {
        let routing = route(&router, target);
        assert_eq!(show(&routing.verdict), wanted, "{target}");
        assert!(!routing.explanation.is_empty(), "{target} is explained");
    }
}

#[test]
fn trunks_are_chosen_by_prefix_and_then_by_order() {
    let trunks = vec![
        trunk("everywhere", &[], &["+1900", "+44"]),
        trunk("america", &["+1"], &["+1900"]),
        trunk("london", &["+44", "+1"], &[]),
        trunk("fourth", &["+1"], &[]),
        trunk("special", &["+1425555"], &["+1"]),
        trunk("tie", &["+1425555"], &["+1425555"]),
    ];
    let router = router(trunks);
    for (target, wanted) in [
        ("+14255550123", "+14255550123 by special,america,london"),
        ("+14265550123", "+14265550123 by america,london,fourth"),
        ("+442012345678", "+442012345678 by london"),
        ("+4989123456", "+4989123456 by everywhere"),
        ("+19005550123", "+19005550123 by london,fourth"),
    ] {
        assert_eq!(show(&route(&router, target).verdict), wanted, "{target}");
    }
}

#[test]
fn what_nothing_allows_is_refused() {
    let none = router(Vec::new());
    assert_eq!(route(&none, "+14255550123").verdict, Verdict::Refused(RefusedTarget::NoTrunk));
    let narrow = router(vec![trunk("one", &["+1425"], &["+1425555"])]);
    let refused = route(&narrow, "+14255550123");
    assert_eq!(refused.verdict, Verdict::Refused(RefusedTarget::PrefixDenied));
    assert!(
        refused.explanation.iter().any(|why| why == "Trunk one is passed over: its deny list excludes the number.")
    );

    let wide = router(vec![trunk("one", &[], &[])]);
    let anonymous =
        |router: &Router, target| router.route(Target { requester: None, profile: None, target }, &House).verdict;
    assert_eq!(anonymous(&wide, "+14255550123"), Verdict::Refused(RefusedTarget::NotAuthenticated));
    assert_eq!(show(&anonymous(&wide, "5001")), "conference 5001");

    let open = Router { allow_external_sip: true, ..wide };
    assert_eq!(show(&route(&open, "sip:Zoe@elsewhere.example").verdict), "external sip:Zoe@elsewhere.example");
    assert_eq!(anonymous(&open, "sip:Zoe@elsewhere.example"), Verdict::Refused(RefusedTarget::NotAuthenticated));
}

#[test]
fn profiles_come_from_the_user_or_the_phone_context() {
    let rules = [Rule { pattern: r"0(\d{6,14})".to_owned(), translation: "+49$1".to_owned() }];
    let munich = LocationProfile::compile("munich", &rules).expect("valid");
    let mut router = router(vec![trunk("one", &[], &[])]);
    router.profiles.insert("munich".to_owned(), munich);
    let ann = UserUri::parse("sip:ann@example.com").expect("valid");
    let of = |profile, target| show(&router.route(Target { requester: Some(&ann), profile, target }, &House).verdict);
    assert_eq!(of(Some("munich"), "089 123456"), "+4989123456 by one");
    assert_eq!(of(None, "089 123456"), "InvalidNumber(NoRule)");
    assert_eq!(of(None, "sip:089123456;phone-context=munich@example.com"), "+4989123456 by one");
    assert_eq!(of(Some("oslo"), "089 123456"), "UnknownProfile");
    assert_eq!(of(Some("oslo"), "5001"), "conference 5001");

    let bare = Router { profiles: BTreeMap::new(), ..router.clone() };
    let of = |target| show(&bare.route(Target { requester: Some(&ann), profile: None, target }, &House).verdict);
    assert_eq!(of("+14255550123"), "+14255550123 by one");
    assert_eq!(of("5550123"), "InvalidNumber(NoRule)");
}

#[test]
fn the_explanation_tells_each_step_without_the_number() {
    let routing = route(&router(vec![trunk("one", &["+44"], &[]), trunk("two", &[], &[])]), "9 555 0123");
    assert_eq!(
        routing.explanation,
        [
            "Rule 3 of profile seattle makes it the global number ...23.",
            "Trunk one is passed over: no prefix on its allow list fits.",
            "...23 goes out by two."
        ]
    );
}
