//! Agents' own settings (rules R3 to R5): each is honoured for a direct call, and none of them for a group's.

use crate::world::groups::{SDP, cancels, dial, open, sales};
use crate::world::{World, answer_to, out_of_dialog, sdp_body, user};
use base::{Duration, Pii};
use engine::Input;
use response_group::Method as Hunt;
use routing::UserProfile;
use sip_api::Method;

const MOBILE: &str = "+491715550123";

/// What a setting of bob's does to a direct call, and what it would do to a group's.
struct Case {
    what: &'static str,
    profile: UserProfile,
    /// Who rings at once for a direct call.
    direct: &'static [&'static str],
    /// Who rings at once for a group's call.
    group: &'static [&'static str],
    /// Who rings for a direct call when bob's phone has rung this long in vain.
    later: Option<(u64, &'static str)>,
}

fn place(text: &str) -> Option<Pii> {
    Some(Pii::new(text))
}

fn cases() -> Vec<Case> {
    let cleo = || place("sip:cleo@example.com");
    let case = |what, profile| Case { what, profile, direct: &["bob"], group: &["bob"], later: None };
    let plain = UserProfile::default;
    vec![
        case("none", plain()),
        Case { direct: &["cleo"], ..case("forward_always", UserProfile { forward_always: cleo(), ..plain() }) },
        Case {
            direct: &["bob", MOBILE],
            ..case("simultaneous_ring", UserProfile { simultaneous_ring: place(MOBILE), ..plain() })
        },
        Case {
            direct: &["bob", "cleo"],
            ..case("team", UserProfile { team: vec![user("cleo")], team_delay_seconds: 0, ..plain() })
        },
        Case {
            direct: &["bob", "cleo"],
            ..case("delegates", UserProfile { delegates: vec![user("cleo")], ..plain() })
        },
        Case {
            direct: &["cleo"],
            group: &[],
            ..case("delegates_only", UserProfile { delegates: vec![user("cleo")], delegates_only: true, ..plain() })
        },
        Case {
            later: Some((9, "cleo")),
            ..case("forward_no_answer", UserProfile { forward_no_answer: cleo(), ring_seconds: 8, ..plain() })
        },
        Case {
            later: Some((9, "mailbox")),
            ..case("voicemail", UserProfile { voicemail: place("sip:mailbox@example.com"), ring_seconds: 8, ..plain() })
        },
    ]
}

fn world_with(profile: &UserProfile) -> World {
    let mut world = open(sales(Hunt::Parallel, &["bob"]));
    world.register("mailbox", &[44_000]);
    assert_eq!(world.engine.directory().profile_problems(&user("bob"), profile), [], "the settings are good");
    world.input(Input::SetUserProfile { user: user("bob"), profile: Box::new(profile.clone()) });
    world
}

fn names(rung: &[(sip_api::ClientTransactionId, sip_api::Request)]) -> Vec<String> {
    let mut names: Vec<String> = rung.iter().map(|(_, invite)| invite.uri.user.clone().unwrap_or_default()).collect();
    names.sort();
    names
}

fn sorted(expected: &[&str]) -> Vec<String> {
    let mut expected: Vec<String> = expected.iter().map(|name| (*name).to_owned()).collect();
    expected.sort();
    expected
}

#[test]
fn r3_r4_every_setting_counts_for_a_direct_call_and_none_for_a_groups() {
    for case in cases() {
        let mut world = world_with(&case.profile);
        let direct = out_of_dialog(Method::Invite, "sip:bob@example.com", "ann", "d").with_body(SDP, sdp_body(30_000));
        world.request(direct, Some(user("ann")));
        let rung = world.take_requests(&Method::Invite);
        assert_eq!(names(&rung), sorted(case.direct), "a direct call and {}", case.what);

        let mut world = world_with(&case.profile);
        let caller = dial(&mut world, 1);
        assert_eq!(names(&caller.rung), sorted(case.group), "a group's call and {}", case.what);
        world.request(caller.bye(), None);
    }
}

#[test]
fn r5_the_agents_own_ring_time_redirects_a_direct_call_and_not_a_groups() {
    for case in cases() {
        let Some((seconds, then)) = case.later else { continue };
        let mut world = world_with(&case.profile);
        let direct = out_of_dialog(Method::Invite, "sip:bob@example.com", "ann", "d").with_body(SDP, sdp_body(30_000));
        world.request(direct, Some(user("ann")));
        let (transaction, invite) = world.take_requests(&Method::Invite).pop().expect("bob is rung");
        world.respond(transaction, answer_to(&invite, 180));
        world.pass(Duration::from_secs(seconds));
        world.respond(transaction, answer_to(&invite, 487));
        assert_eq!(names(&world.take_requests(&Method::Invite)), [then], "a direct call and {}", case.what);

        let mut world = world_with(&case.profile);
        let caller = dial(&mut world, 1);
        world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 180));
        world.pass(Duration::from_millis(19_900));
        assert!(cancels(&mut world).is_empty(), "{}: the group's alert time alone counts", case.what);
        assert!(world.take_requests(&Method::Invite).is_empty(), "{}", case.what);
        world.pass(Duration::from_millis(200));
        assert_eq!(cancels(&mut world).len(), 1, "{}", case.what);
        world.respond(caller.rung[0].0, answer_to(&caller.rung[0].1, 487));
        assert!(world.take_requests(&Method::Invite).is_empty(), "{}: and nobody rings instead", case.what);
        world.request(caller.bye(), None);
    }
}
