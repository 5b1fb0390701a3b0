//! Users' settings applied to each kind of call (rules R2 to R5, R12), and what is wrong with settings.

use std::collections::BTreeMap;

use base::{ConferenceNumber, Duration, Pii, UserUri};
use proptest::prelude::*;
use routing::{
    CallKind, Directory, DiversionReason, RingPlan, RingWho, Ringing, Router, Sensitivity, Trunk, TrunkTarget,
    Unavailable, UserProfile, World, plan, plan_sensitive,
};

fn user(name: &str) -> UserUri {
    UserUri::parse(&format!("sip:{name}@example.com")).expect("valid")
}

fn place(text: &str) -> Option<Pii> {
    Some(Pii::new(text))
}

fn everything() -> UserProfile {
    UserProfile {
        simultaneous_ring: place("+14255550122"),
        forward_no_answer: place("sip:frank@example.com"),
        forward_busy: place("sip:frank@example.com"),
        ring_seconds: 7,
        team: vec![user("carol")],
        team_delay_seconds: 5,
        delegates: vec![user("dave")],
        voicemail: place("sip:voicemail@example.com"),
        ..UserProfile::default()
    }
}

fn ringing(plan: RingPlan) -> Ringing {
    match plan {
        RingPlan::Ring(ringing) => *ringing,
        other => panic!("nobody rings: {other:?}"),
    }
}

fn who(ringing: &Ringing) -> Vec<(RingWho, u64)> {
    ringing.targets.iter().map(|target| (target.who.clone(), target.after.as_secs())).collect()
}

#[test]
fn a_direct_call_honours_everything() {
    let ringing = ringing(plan(&everything(), CallKind::Direct));
    let expected = [
        (RingWho::OwnDevices, 0),
        (RingWho::Elsewhere(Pii::new("+14255550122")), 0),
        (RingWho::Delegate(user("dave")), 0),
        (RingWho::Team(user("carol")), 5),
    ];
    assert_eq!(who(&ringing), expected);
    assert_eq!(ringing.ring_limit, Some(Duration::from_secs(7)));
    let reasons = [&ringing.on_no_answer, &ringing.on_busy, &ringing.on_decline, &ringing.on_unregistered]
        .map(|diversion| diversion.as_ref().map(|diversion| (diversion.reason, diversion.place.expose())));
    use DiversionReason::{Busy, NoAnswer, Unavailable};
    assert_eq!(reasons, [NoAnswer, Busy, Busy, Unavailable].map(|reason| Some((reason, "sip:frank@example.com"))));
    let mailbox = ringing.on_busy.expect("there is one").otherwise;
    assert_eq!(mailbox, place("sip:voicemail@example.com"), "if frank cannot be had");
}

#[test]
fn r3_and_r5_a_response_group_offer_honours_nothing() {
    let forwarded = UserProfile { forward_always: place("sip:frank@example.com"), ..everything() };
    for profile in [UserProfile::default(), everything(), forwarded] {
        let ringing = ringing(plan(&profile, CallKind::ResponseGroupOffer));
        assert_eq!(who(&ringing), [(RingWho::OwnDevices, 0)]);
        let rest = Ringing { targets: ringing.targets.clone(), ..Ringing::default() };
        assert_eq!(ringing, rest, "no time of his, no diversion, no deflection");
    }
}

#[test]
fn r4_delegates_only_gets_no_response_group_call_and_gives_the_delegates_a_direct_one() {
    let profile = UserProfile { delegates_only: true, ..everything() };
    let refused = RingPlan::Refuse(Unavailable::DelegatesOnly);
    assert_eq!(plan(&profile, CallKind::ResponseGroupOffer), refused);
    assert_eq!(who(&ringing(plan(&profile, CallKind::Direct))), [(RingWho::Delegate(user("dave")), 0)]);
}

#[test]
fn r12_a_conference_dial_out_is_diverted_but_not_to_the_mailbox() {
    let to_frank = ringing(plan(&everything(), CallKind::ConferenceDialOut));
    assert!(to_frank.may_deflect);
    assert_eq!(to_frank.on_busy.expect("to frank").otherwise, None);
    let only_mailbox = UserProfile { voicemail: place("sip:voicemail@example.com"), ..UserProfile::default() };
    let ringing = ringing(plan(&only_mailbox, CallKind::ConferenceDialOut));
    assert_eq!((ringing.on_no_answer, ringing.ring_limit), (None, None));
}

#[test]
fn do_not_disturb_leaves_the_delegates_and_the_redirections() {
    let quiet = UserProfile { do_not_disturb: true, ..everything() };
    assert_eq!(who(&ringing(plan(&quiet, CallKind::Direct))), [(RingWho::Delegate(user("dave")), 0)]);
    let alone = UserProfile { delegates: Vec::new(), ..quiet.clone() };
    let RingPlan::Divert(diversion) = plan(&alone, CallKind::Direct) else { panic!("it goes to frank") };
    assert_eq!(diversion.reason, DiversionReason::DoNotDisturb);
    let refused = RingPlan::Refuse(Unavailable::DoNotDisturb);
    let only_quiet = UserProfile { do_not_disturb: true, ..UserProfile::default() };
    assert_eq!(plan(&only_quiet, CallKind::Direct), refused);
    assert_eq!(plan(&quiet, CallKind::ResponseGroupOffer), refused);
}

#[test]
fn sensitivity_takes_the_diversions_away() {
    let cases = [
        ("normal", Sensitivity::Normal),
        ("private", Sensitivity::Normal),
        ("garbage", Sensitivity::Normal),
        (" Normal-No-Diversion ", Sensitivity::NoDiversion),
        ("private-no-diversion", Sensitivity::PrivateNoDiversion),
    ];
    for (value, sensitivity) in cases {
        assert_eq!(Sensitivity::parse(value), sensitivity, "{value}");
    }
    let undiverted = |sensitivity| ringing(plan_sensitive(&everything(), CallKind::Direct, sensitivity));
    assert_eq!(undiverted(Sensitivity::NoDiversion).targets.len(), 2, "himself and his simultaneous ring");
    assert_eq!(undiverted(Sensitivity::PrivateNoDiversion).targets.len(), 1);
    let away = UserProfile { forward_always: place("sip:frank@example.com"), ..UserProfile::default() };
    let refused = plan_sensitive(&away, CallKind::Direct, Sensitivity::NoDiversion);
    assert_eq!(refused, RingPlan::Refuse(Unavailable::DiversionBlocked));
}

fn profiles() -> impl Strategy<Value = UserProfile> {
    let place = || proptest::option::of("[a-z+:@.0-9]{1,20}".prop_map(Pii::new));
    let users = || proptest::collection::vec("[a-d]".prop_map(|name| user(&name)), 0..4);
    let places = (place(), place(), place(), place(), place());
    (places, users(), users(), any::<[bool; 2]>(), 0u16..200, 0u16..70).prop_map(
        |((ring, always, no_answer, busy, voicemail), team, delegates, [delegates_only, quiet], seconds, delay)| {
            UserProfile {
                simultaneous_ring: ring,
                forward_always: always,
                forward_no_answer: no_answer,
                forward_busy: busy,
                ring_seconds: seconds,
                team,
                team_delay_seconds: delay,
                delegates,
                delegates_only,
                voicemail,
                do_not_disturb: quiet,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the settings: an offer of a group rings his own devices or nobody, and never leads elsewhere.
    #[test]
    fn r1_no_settings_lead_an_offer_anywhere(profile in profiles()) {
        match plan(&profile, CallKind::ResponseGroupOffer) {
            RingPlan::Ring(ringing) => {
                prop_assert_eq!(who(&ringing), vec![(RingWho::OwnDevices, 0)]);
                prop_assert!(!ringing.may_deflect && ringing.ring_limit.is_none());
                let none = [ringing.on_no_answer, ringing.on_busy, ringing.on_decline, ringing.on_unregistered];
                prop_assert_eq!(none, [None, None, None, None]);
            }
            RingPlan::Refuse(_) => {}
            RingPlan::Divert(diversion) => prop_assert!(false, "{diversion:?}"),
        }
    }

    /// Somebody rings in every plan that rings, the immediate ones before the others, and a mailbox never hears a meeting.
    #[test]
    fn plans_are_in_order(profile in profiles()) {
        for kind in [CallKind::Direct, CallKind::ConferenceDialOut] {
            if let RingPlan::Ring(ringing) = plan(&profile, kind) {
                prop_assert!(!ringing.targets.is_empty());
                prop_assert!(ringing.targets.is_sorted_by_key(|target| target.after));
                let diversions = [ringing.on_no_answer, ringing.on_busy, ringing.on_decline, ringing.on_unregistered];
                let mailbox = |diversion: &routing::Diversion| diversion.to_voicemail || diversion.otherwise.is_some();
                prop_assert!(kind == CallKind::Direct || !diversions.iter().flatten().any(mailbox));
            }
        }
    }
}

/// Bob, carol, dave and frank; conference 1234; settings of each.
#[derive(Default)]
struct Town(BTreeMap<UserUri, UserProfile>);

impl Directory for Town {
    fn is_user(&self, name: &UserUri) -> bool {
        ["bob", "carol", "dave", "frank"].iter().any(|known| user(known) == *name)
    }

    fn user_of_number(&self, _number: &str) -> Option<UserUri> {
        None
    }

    fn is_conference(&self, number: &ConferenceNumber) -> bool {
        number.as_str() == "1234"
    }

    fn user_profile(&self, user: &UserUri) -> Option<&UserProfile> {
        self.0.get(user)
    }
}

fn problems_in(town: &Town, trunk: bool, profile: &UserProfile) -> Vec<(&'static str, bool)> {
    let target = TrunkTarget::parse("udp:127.0.0.1:5070").expect("valid");
    let carrier = Trunk { name: "carrier".to_owned(), target, allow: Vec::new(), deny: Vec::new() };
    let trunks = if trunk { vec![carrier] } else { Vec::new() };
    let router = Router { domains: vec!["example.com".to_owned()], trunks, ..Router::default() };
    let found = profile.problems(&user("bob"), None, World { router: &router, directory: town });
    assert!(found.iter().all(|problem| !problem.value.is_empty() && problem.why.len() > 20), "{found:?}");
    found.iter().map(|problem| (problem.key, problem.is_error)).collect()
}

/// The address may well be a group's, of which settings know nothing.
#[test]
fn who_names_no_user_reads_that_a_response_group_is_no_target() {
    let profile = UserProfile { forward_always: place("sip:sales@example.com"), ..UserProfile::default() };
    let (router, town) = (Router { domains: vec!["example.com".to_owned()], ..Router::default() }, Town::default());
    let found = profile.problems(&user("bob"), None, World { router: &router, directory: &town });
    assert_eq!(found.len(), 1);
    assert!(found[0].why.contains("a response group cannot be a target"), "{}", found[0].why);
}

#[test]
fn every_bad_setting_is_named() {
    let frank = || place("sip:frank@example.com");
    let bob = UserProfile::default;
    let cases = [
        (bob(), vec![]),
        (UserProfile { voicemail: frank(), ..everything() }, vec![]),
        (UserProfile { forward_always: place("sip:bob@example.com"), ..bob() }, vec![("forward_always", true)]),
        (UserProfile { forward_busy: place("sip:nobody@example.com"), ..bob() }, vec![("forward_busy", true)]),
        (UserProfile { forward_no_answer: place("+12"), ..bob() }, vec![("forward_no_answer", true)]),
        (UserProfile { simultaneous_ring: place("not a number"), ..bob() }, vec![("simultaneous_ring", true)]),
        (UserProfile { voicemail: place("sip:1234@example.com"), ..bob() }, vec![("voicemail", true)]),
        (UserProfile { forward_busy: place("sip:x@elsewhere.example"), ..bob() }, vec![("forward_busy", true)]),
        (UserProfile { ring_seconds: 0, ..bob() }, vec![("ring_seconds", true)]),
        (UserProfile { ring_seconds: 181, ..bob() }, vec![("ring_seconds", true)]),
        (UserProfile { team_delay_seconds: 61, ..bob() }, vec![("team_delay_seconds", true)]),
        (
            UserProfile { team: vec![user("carol")], team_delay_seconds: 18, voicemail: frank(), ..bob() },
            vec![("team_delay_seconds", true)],
        ),
        (UserProfile { team: vec![user("bob")], ..bob() }, vec![("team", true)]),
        (UserProfile { team: vec![user("carol"), user("carol")], ..bob() }, vec![("team", true)]),
        (UserProfile { delegates: vec![user("nobody")], ..bob() }, vec![("delegates", true)]),
        (UserProfile { delegates_only: true, ..bob() }, vec![("delegates_only", true)]),
    ];
    for (profile, expected) in cases {
        assert_eq!(problems_in(&Town::default(), true, &profile), expected, "{profile:?}");
    }
    let no_trunk = UserProfile { simultaneous_ring: place("+14255550122"), ..bob() };
    assert_eq!(problems_in(&Town::default(), false, &no_trunk), [("simultaneous_ring", false)], "a warning");
}

#[test]
fn a_circle_of_unconditional_forwarding_is_refused_and_standing_in_for_each_other_is_not() {
    let always = |name: &str| UserProfile {
        forward_always: Some(Pii::new(format!("sip:{name}@example.com"))),
        ..UserProfile::default()
    };
    let town = Town([(user("carol"), always("dave")), (user("dave"), always("bob"))].into());
    assert_eq!(problems_in(&town, true, &always("carol")), [("forward_always", true)]);
    assert_eq!(problems_in(&town, true, &always("frank")), []);
    let elsewhere = Town([(user("carol"), always("dave")), (user("dave"), always("carol"))].into());
    assert_eq!(problems_in(&elsewhere, true, &always("carol")), [], "that circle is carol's and dave's");
    let stand_in = |name: &str| UserProfile {
        forward_no_answer: Some(Pii::new(format!("sip:{name}@example.com"))),
        ..UserProfile::default()
    };
    let town = Town([(user("carol"), stand_in("bob"))].into());
    assert_eq!(problems_in(&town, true, &stand_in("carol")), []);
}
