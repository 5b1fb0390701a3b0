//! What may be done to a running conference, and by whom.

use base::{AccessType, Role, Termination, TerminationReason};
use focus::{
    AdmissionChange, ControlRequest, Diagnostic, DisconnectionMethod, EndpointStatus, FailureReason, FocusEvent,
    MediaFilter, Outcome, Output, Prompt, Requester,
};

use crate::world::{World, account, document, endpoint, failure, hung_up, outcome, phone, user};

fn everything_of(name: &str) -> Vec<ControlRequest> {
    vec![
        ControlRequest::ModifyConferenceLock { locked: true, admission: AdmissionChange::default() },
        ControlRequest::MuteAll { muted: true, except_presenters: true },
        ControlRequest::ModifyUserRoles { user: user(name), role: Role::Presenter },
        ControlRequest::ModifyEndpointMedia {
            user: user(name),
            endpoint: endpoint(&format!("{name}-audio")),
            ingress: Some(MediaFilter::Block),
            egress: None,
        },
        ControlRequest::DeleteEndpoint { user: user(name), endpoint: endpoint(&format!("{name}-audio")) },
        ControlRequest::DeleteUser { user: user(name) },
        ControlRequest::DeleteConference,
    ]
}

#[test]
fn attendees_and_strangers_lead_nothing() {
    for requester in [account("bob"), account("zoe"), phone("ann"), Requester::Participant(base::LegId(999))] {
        for request in everything_of("cleo") {
            let mut w = World::new();
            w.talk("bob");
            w.talk("cleo");
            let outputs = w.ask(requester.clone(), request.clone());
            let refusal = failure(&outputs);
            let expected = (FailureReason::Forbidden, Some(Diagnostic::AUTHORISATION_FAILED));
            assert_eq!((refusal.reason, refusal.diagnostic), expected, "{requester:?} {request:?}");
            assert_eq!(hung_up(&outputs), []);
        }
    }
}

#[test]
fn presenters_the_organizer_and_the_operator_lead() {
    for requester in [account("ann"), account("pat"), Requester::Operator] {
        for request in everything_of("cleo") {
            let mut w = World::new();
            w.talk("cleo");
            let outputs = w.ask(requester.clone(), request.clone());
            assert_eq!(outcome(&outputs), Outcome::Done, "{requester:?} {request:?}");
        }
    }
}

#[test]
fn whoever_sits_at_a_leg_has_the_rights_of_its_user() {
    let mut w = World::new();
    let (ann, bob) = (w.talk("ann"), w.talk("bob"));
    let request = ControlRequest::ModifyConferenceLock { locked: true, admission: AdmissionChange::default() };
    assert_eq!(failure(&w.ask(Requester::Participant(bob), request.clone())).reason, FailureReason::Forbidden);
    assert_eq!(outcome(&w.ask(Requester::Participant(ann), request)), Outcome::Done);
}

#[test]
fn a_leg_that_only_rings_speaks_for_nobody() {
    let mut w = World::new();
    w.attend("ann");
    let (leg, _, _) = w.dial(account("ann"), "pat");
    let outputs = w.ask(Requester::Participant(leg), ControlRequest::DeleteConference);
    assert_eq!(failure(&outputs).reason, FailureReason::Forbidden);
}

#[test]
fn ejecting_ends_all_legs_of_the_user() {
    let mut w = World::new();
    w.attend("ann");
    w.subscribe(account("ann"));
    let (pc, audio) = (w.attend("bob"), w.talk("bob"));
    let outputs = w.ask(account("ann"), ControlRequest::DeleteUser { user: user("bob") });
    let booted = Termination::completed(TerminationReason::Booted);
    assert_eq!(hung_up(&outputs), [(pc, booted), (audio, booted)]);
    let bob = &document(&outputs).users[0];
    assert_eq!(bob.endpoints.len(), 2);
    for element in &bob.endpoints {
        let disconnection = element.disconnection.as_ref().expect("it ended");
        assert_eq!(element.status, EndpointStatus::Disconnected);
        assert_eq!((disconnection.method, &disconnection.by), (DisconnectionMethod::Booted, &Some(user("ann"))));
    }
    assert_eq!(w.names(), ["ann"]);
    assert_eq!(w.end(audio, TerminationReason::Departed), [], "the report of its end changes nothing");
}

#[test]
fn who_deletes_himself_departs_and_still_gets_his_answer() {
    let mut w = World::new();
    w.attend("ann");
    let bob = w.attend("bob");
    let outputs = w.ask(account("bob"), ControlRequest::DeleteUser { user: user("bob") });
    assert_eq!(hung_up(&outputs), [(bob, Termination::completed(TerminationReason::Departed))]);
    let answered = outputs.iter().position(|output| matches!(output, Output::Outcome { .. }));
    let ended = outputs.iter().position(|output| matches!(output, Output::HangUp { .. }));
    assert!(answered < ended);
}

#[test]
fn an_endpoint_can_be_ejected_alone() {
    let mut w = World::new();
    w.attend("ann");
    let (pc, audio) = (w.attend("bob"), w.talk("bob"));
    let request = ControlRequest::DeleteEndpoint { user: user("bob"), endpoint: endpoint("bob-audio") };
    assert_eq!(hung_up(&w.ask(account("ann"), request)).len(), 1);
    assert_eq!((w.status(pc), w.status(audio)), (Some(EndpointStatus::Connected), None));
}

#[test]
fn what_is_not_there_is_named() {
    let mut w = World::new();
    w.attend("ann");
    let media = |name: &str, device: &str| ControlRequest::ModifyEndpointMedia {
        user: user(name),
        endpoint: endpoint(device),
        ingress: Some(MediaFilter::Block),
        egress: None,
    };
    let cases = [
        (ControlRequest::DeleteUser { user: user("bob") }, FailureReason::UserDoesNotExist),
        (ControlRequest::ModifyUserRoles { user: user("bob"), role: Role::Presenter }, FailureReason::UserDoesNotExist),
        (media("bob", "x"), FailureReason::UserDoesNotExist),
        (media("ann", "x"), FailureReason::EndpointDoesNotExist),
        (media("ann", "ann-pc"), FailureReason::MediaDoesNotExist),
    ];
    for (request, reason) in cases {
        let outputs = w.ask(account("ann"), request.clone());
        assert_eq!(failure(&outputs).reason, reason, "{request:?}");
    }
}

#[test]
fn promotion_and_demotion() {
    let mut w = World::new();
    w.attend("ann");
    w.attend("bob");
    let outputs = w.ask(account("ann"), ControlRequest::ModifyUserRoles { user: user("bob"), role: Role::Presenter });
    assert!(outputs.contains(&Output::Event(FocusEvent::RoleChanged {
        user: user("bob"),
        role: Role::Presenter,
        by: Some(user("ann")),
    })));
    assert_eq!(outcome(&w.ask(account("bob"), everything_of("ann").remove(0))), Outcome::Done);
    let organizer = ControlRequest::ModifyUserRoles { user: user("bob"), role: Role::Organizer };
    let refusal = failure(&w.ask(account("ann"), organizer));
    assert_eq!((refusal.reason, refusal.diagnostic), (FailureReason::InvalidRole, Some(Diagnostic::ROLE_INVALID)));
}

#[test]
fn muting_sets_filters_and_tells_the_person() {
    let mut w = World::new();
    w.attend("ann");
    let bob = w.talk("bob");
    let mute = |ingress| ControlRequest::ModifyEndpointMedia {
        user: user("bob"),
        endpoint: endpoint("bob-audio"),
        ingress: Some(ingress),
        egress: None,
    };
    let outputs = w.ask(account("ann"), mute(MediaFilter::Block));
    let (ingress, egress) = (MediaFilter::Block, MediaFilter::Unblock);
    assert!(outputs.contains(&Output::SetFilters { leg: bob, ingress, egress }));
    assert!(outputs.contains(&Output::Prompt { leg: bob, prompt: Prompt::Muted }));
    assert_eq!(w.shown(bob).map(|shown| (shown.status, shown.ingress)), Some((EndpointStatus::Connected, ingress)));
    let again = w.ask(account("ann"), mute(MediaFilter::Block));
    assert_eq!(again.len(), 1, "nothing changes but the answer: {again:?}");
    let outputs = w.ask(account("bob"), mute(MediaFilter::Unblock));
    assert!(outputs.contains(&Output::Prompt { leg: bob, prompt: Prompt::Unmuted }));
}

#[test]
fn a_filter_set_while_it_rings_is_applied_when_it_is_answered() {
    let mut w = World::new();
    w.attend("ann");
    let (leg, _, _) = w.dial(account("ann"), "bob");
    let outputs = w.ask(
        account("ann"),
        ControlRequest::ModifyEndpointMedia {
            user: user("bob"),
            endpoint: endpoint("bob-phone"),
            ingress: None,
            egress: Some(MediaFilter::Block),
        },
    );
    assert!(!outputs.iter().any(|output| matches!(output, Output::SetFilters { .. })));
    let (ingress, egress) = (MediaFilter::Unblock, MediaFilter::Block);
    assert!(w.connect(leg).contains(&Output::SetFilters { leg, ingress, egress }));
}

#[test]
fn mute_all_spares_presenters_and_catches_latecomers() {
    let mut w = World::new();
    let (ann, pat, bob) = (w.talk("ann"), w.talk("pat"), w.talk("bob"));
    w.ask(account("ann"), ControlRequest::MuteAll { muted: true, except_presenters: true });
    let ingress = |w: &World, leg| w.shown(leg).expect("in").ingress;
    assert_eq!(
        [ann, pat, bob].map(|leg| ingress(&w, leg)),
        [MediaFilter::Unblock, MediaFilter::Unblock, MediaFilter::Block]
    );
    let cleo = w.talk("cleo");
    assert_eq!(ingress(&w, cleo), MediaFilter::Block);
    w.ask(account("ann"), ControlRequest::MuteAll { muted: true, except_presenters: false });
    assert_eq!((ingress(&w, ann), ingress(&w, pat)), (MediaFilter::Unblock, MediaFilter::Block), "not who asks");
    w.ask(account("ann"), ControlRequest::MuteAll { muted: false, except_presenters: false });
    assert!([ann, pat, bob, cleo].iter().all(|leg| ingress(&w, *leg) == MediaFilter::Unblock));
}

#[test]
fn unmute_all_opens_nobody_who_muted_himself() {
    let mut w = World::new();
    w.talk("ann");
    let bob = w.talk("bob");
    w.ask(account("ann"), ControlRequest::MuteAll { muted: true, except_presenters: true });
    w.ask(account("bob"), everything_of("bob").remove(3));
    w.ask(account("ann"), ControlRequest::MuteAll { muted: false, except_presenters: true });
    assert_eq!(w.shown(bob).expect("in").ingress, MediaFilter::Block);
}

#[test]
fn a_guest_controls_himself() {
    let mut w = World::with(|record, _| record.access = AccessType::Anonymous);
    w.attend("ann");
    let (leg, outputs) = w.join_media(phone("+1425"), "mobile", None);
    let Outcome::Joined { user: guest, .. } = outcome(&outputs) else { panic!("{outputs:?}") };
    w.connect(leg);
    let request = ControlRequest::ModifyEndpointMedia {
        user: guest,
        endpoint: endpoint("mobile"),
        ingress: Some(MediaFilter::Block),
        egress: None,
    };
    assert_eq!(outcome(&w.ask(Requester::Participant(leg), request)), Outcome::Done);
}

#[test]
fn speakers_are_told_once_and_only_those_who_are_in() {
    let mut w = World::new();
    let bob = w.talk("bob");
    let legs = vec![base::LegId(999), bob];
    let told = Output::Event(FocusEvent::SpeakersChanged { speakers: vec![(user("bob"), endpoint("bob-audio"))] });
    assert_eq!(w.give(focus::Input::SpeakersChanged { legs: legs.clone() }), [told]);
    assert_eq!(w.give(focus::Input::SpeakersChanged { legs }), []);
}
