//! Calls between people under any order of events: each ends on both sides, leaves one record, and nothing else.

use std::collections::BTreeSet;

use crate::world::{World, answer_to, in_dialog, in_dialog_of_callee, out_of_dialog, sdp_body, user};
use base::{ConversationKind, Duration, Pii};
use engine::{EngineEvent, Input};
use proptest::prelude::*;
use routing::UserProfile;
use sip_api::{ClientFailure, ClientTransactionId, Method, Request, Response, SipCommand, SipEvent};

/// Something that happens. Indexes choose among the requests of ours that have no final response.
#[derive(Clone, Debug)]
enum Happening {
    Answered { request: usize, status: u16 },
    Lost { request: usize },
    CallerCancels,
    CallerAcknowledges,
    CallerSends(u8),
    CalleeSends(u8),
    Passes(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let status = prop::sample::select(vec![180, 183, 200, 200, 200, 302, 486, 488, 491, 503, 603]);
    prop_oneof![
        8 => (0..4_usize, status).prop_map(|(request, status)| Happening::Answered { request, status }),
        1 => (0..4_usize).prop_map(|request| Happening::Lost { request }),
        1 => Just(Happening::CallerCancels),
        4 => Just(Happening::CallerAcknowledges),
        3 => (0..5_u8).prop_map(Happening::CallerSends),
        3 => (0..5_u8).prop_map(Happening::CalleeSends),
        1 => (0..200_u64).prop_map(Happening::Passes),
    ]
}

/// A call on its way, with what the two sides know of it.
struct Scene {
    world: World,
    invite: Request,
    ok: Option<Response>,
    open: Vec<(ClientTransactionId, Request)>,
    callee: Option<(Request, Response)>,
    cseq: u32,
    answers: usize,
}

/// Settings of every sort, most of which lead elsewhere.
fn settings() -> impl Strategy<Value = UserProfile> {
    let places = vec![None, Some("sip:cleo@example.com"), Some("sip:bob@example.com"), Some("sip:dave@example.com")];
    let place = || prop::sample::select(places.clone()).prop_map(|place| place.map(Pii::new));
    let helpers = || prop::sample::subsequence(vec![user("ann"), user("cleo"), user("dave")], 0..3);
    let (diverting, helping) = ((place(), place(), place(), place(), place()), (helpers(), helpers()));
    (diverting, helping, any::<bool>(), 0..20_u16).prop_map(
        |((ring, always, no_answer, busy, voicemail), (team, delegates), delegates_only, delay)| UserProfile {
            simultaneous_ring: ring,
            // Not always, or nothing else would ever be seen.
            forward_always: always.filter(|_| delay == 0),
            forward_no_answer: no_answer,
            forward_busy: busy,
            team,
            team_delay_seconds: delay,
            delegates,
            delegates_only,
            voicemail,
            ..UserProfile::default()
        },
    )
}

impl Scene {
    fn new(settings: [UserProfile; 2]) -> Self {
        let mut world = World::new();
        world.register("bob", &[41_000, 41_002]);
        world.register("cleo", &[42_000]);
        world.register("dave", &[43_000]);
        for (name, profile) in ["bob", "cleo"].into_iter().zip(settings) {
            world.input(Input::SetUserProfile { user: user(name), profile: Box::new(profile) });
        }
        let invite = out_of_dialog(Method::Invite, "sip:bob@example.com", "ann", "c1")
            .with_body("application/sdp", sdp_body(30_000));
        world.request(invite.clone(), Some(user("ann")));
        let mut scene = Self { world, invite, ok: None, open: Vec::new(), callee: None, cseq: 1, answers: 0 };
        scene.look();
        scene
    }

    /// Takes in what the engine has sent.
    fn look(&mut self) {
        for command in std::mem::take(&mut self.world.sip) {
            match command {
                SipCommand::Send { transaction, request, .. } => self.open.push((transaction, request)),
                SipCommand::Respond { transaction, response } if transaction.0 == 1 && response.status == 200 => {
                    self.answers += 1;
                    self.ok = Some(response);
                }
                _ => {}
            }
        }
    }

    fn answer(&mut self, request: usize, status: u16) {
        if self.open.is_empty() {
            return;
        }
        let index = request % self.open.len();
        let (transaction, request) = self.open[index].clone();
        let mut response = answer_to(&request, status);
        if matches!(status, 183 | 200) && request.method == Method::Invite {
            response = response.with_body("application/sdp", sdp_body(31_000));
        }
        if status == 302 {
            response.headers.set("Contact", "<sip:cleo@example.com>");
        }
        if status >= 200 {
            self.open.remove(index);
        }
        if status == 200 && request.method == Method::Invite && request.call_id() != "c1" {
            self.callee = Some((request, response.clone()));
        }
        self.world.respond(transaction, response);
    }

    fn send(&mut self, kind: u8, request: Request) {
        let request = match kind {
            0 | 1 => request.with_body("application/sdp", sdp_body(33_000 + u16::from(kind))),
            3 => request.with_body("application/dtmf-relay", "Signal=1"),
            _ => request,
        };
        self.world.request(request, None);
    }

    fn step(&mut self, happening: Happening) {
        let method = |kind| {
            [Method::Invite, Method::Update, Method::Invite, Method::Info, Method::Bye][usize::from(kind)].clone()
        };
        self.cseq += 1;
        match happening {
            Happening::Answered { request, status } => self.answer(request, status),
            Happening::Lost { request } if !self.open.is_empty() => {
                let (transaction, _) = self.open.remove(request % self.open.len());
                let failure = ClientFailure::Timeout;
                self.world.input(Input::Sip(SipEvent::Failed { transaction, failure }));
            }
            Happening::CallerCancels => {
                let transaction = sip_api::ServerTransactionId(1);
                self.world.input(Input::Sip(SipEvent::Cancelled { transaction, reason: Vec::new() }));
            }
            Happening::CallerAcknowledges => {
                if let Some(ok) = &self.ok {
                    let ack = in_dialog(Method::Ack, &self.invite, ok, 1);
                    self.world.ack(ack);
                }
            }
            Happening::CallerSends(kind) => {
                if let Some(ok) = &self.ok {
                    let request = in_dialog(method(kind), &self.invite, ok, self.cseq);
                    self.send(kind, request);
                }
            }
            Happening::CalleeSends(kind) => {
                if let Some((invite, ok)) = &self.callee {
                    let request = in_dialog_of_callee(method(kind), invite, ok, self.cseq);
                    self.send(kind, request);
                }
            }
            Happening::Passes(seconds) => self.world.pass(Duration::from_secs(seconds)),
            Happening::Lost { .. } => {}
        }
        self.look();
    }

    /// Everybody goes away without a word.
    fn end(&mut self) {
        for _ in 0..100 {
            self.world.input(Input::Sip(SipEvent::AckMissing { transaction: sip_api::ServerTransactionId(1) }));
            self.look();
            for (transaction, _) in std::mem::take(&mut self.open) {
                let failure = ClientFailure::Timeout;
                self.world.input(Input::Sip(SipEvent::Failed { transaction, failure }));
            }
            self.world.pass(Duration::from_secs(300));
            self.look();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_ends_and_leaves_one_record_if_it_was_answered(
        happenings in prop::collection::vec(happening(), 0..40),
        settings in [settings(), settings()],
    ) {
        let mut scene = Scene::new(settings);
        for happening in happenings {
            scene.step(happening);
        }
        scene.end();
        prop_assert_eq!(scene.world.engine.call_count(), 0);
        prop_assert_eq!(scene.world.engine.poll_timeout(), None);
        let records = scene.world.call_records().len();
        prop_assert!(scene.answers <= 1);
        prop_assert_eq!(records, scene.answers);
        let lines: Vec<_> = scene.world.events.iter().filter_map(|event| match event {
            EngineEvent::Conversation(line) => Some((line.user.clone(), line.kind)),
            _ => None,
        }).collect();
        let users: BTreeSet<_> = lines.iter().map(|(user, _)| user).collect();
        prop_assert_eq!(users.len(), lines.len(), "one line for each user: {:?}", lines);
        prop_assert!(lines.contains(&(user("ann"), ConversationKind::Outgoing)), "{:?}", lines);
        let incoming = lines.iter().filter(|(_, kind)| *kind == ConversationKind::Incoming).count();
        prop_assert_eq!(incoming, scene.answers, "{:?}", lines);
    }
}

/// Both phones answered a re-INVITE without a word about the session timer; nobody would have noticed that they are gone.
#[test]
fn a_call_ends_although_a_phone_forgets_the_session_timer() {
    let mut scene = Scene::new([UserProfile::default(), UserProfile::default()]);
    for happening in [
        Happening::Answered { request: 0, status: 200 },
        Happening::CalleeSends(0),
        Happening::Answered { request: 0, status: 302 },
        Happening::Passes(20),
        Happening::CallerAcknowledges,
        Happening::Answered { request: 2, status: 200 },
        Happening::Answered { request: 0, status: 200 },
    ] {
        scene.step(happening);
    }
    scene.end();
    assert_eq!(scene.world.engine.call_count(), 0);
}
