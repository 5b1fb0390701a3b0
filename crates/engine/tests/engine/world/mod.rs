//! One engine in virtual time, with a store that always succeeds, an MCU that always has ports, and a SIP edge that
//! writes down what it is told.

pub(crate) mod c3p_client;
pub(crate) mod groups;

use std::net::SocketAddr;

use base::{AccessType, ConferenceId, ConferenceNumber, Duration, LegId, Limits, Timestamp, UserUri};
use engine::{
    CallRecord, Directory, Effect, Engine, EngineConfig, EngineEvent, GroupJournal, Input, LegRecord, UserAccount,
};
use focus::{ConferenceRecord, Pin};
use mcu_api::{AloneAudio, Codec, ConferenceMedia, LegFailure, LegStatistics, McuCommand, McuEvent};
use sdp::SrtpPolicy;
use sip_api::{
    Binding, ClientTransactionId, Flow, Headers, Method, NameAddr, Request, Response, ServerTransactionId, SipCommand,
    SipEvent, SipUri, Transport,
};

pub(crate) const DOMAIN: &str = "example.com";

/// What happened, in the order in which the server does it: what is for the journal before anything else of an input.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Told(Input),
    Written(GroupJournal),
    Sent(SipCommand),
    Said(EngineEvent),
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Timestamp,
    /// What the edge was told and no test has taken yet.
    pub(crate) sip: Vec<SipCommand>,
    pub(crate) mcu: Vec<McuCommand>,
    pub(crate) events: Vec<EngineEvent>,
    /// The response groups' journal.
    pub(crate) journal: Vec<GroupJournal>,
    pub(crate) log: Vec<Step>,
    /// The MCU does not say yet that a leg is removed.
    pub(crate) mcu_is_slow: bool,
    /// The MCU has no port left.
    pub(crate) mcu_is_full: bool,
    /// The legs the MCU has, and where.
    mcu_legs: Vec<(LegId, ConferenceId)>,
    /// What the MCU says it counted on every leg.
    pub(crate) counted: LegStatistics,
    /// What phones come by.
    pub(crate) transport: Transport,
    next_port: u16,
    next_transaction: u64,
}

pub(crate) fn user(name: &str) -> UserUri {
    UserUri::parse(&format!("sip:{name}@{DOMAIN}")).expect("valid")
}

pub(crate) fn uri(text: &str) -> SipUri {
    SipUri::parse(text).expect("valid")
}

pub(crate) fn flow(port: u16) -> Flow {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    Flow { transport: Transport::Udp, local: address(5060), remote: address(port) }
}

pub(crate) fn permanent(number: &str, access: AccessType, pin: Option<&str>) -> ConferenceRecord {
    ConferenceRecord {
        id: ConferenceId::parse(&format!("PERMANENT{number:0>6}")).expect("valid"),
        number: Some(ConferenceNumber::parse(number).expect("valid")),
        organizer: user("ann"),
        organizer_name: Some("Ann".to_owned()),
        subject: Some("Weekly sync".to_owned()),
        access,
        pin: pin.map(|pin| Pin::parse(pin).expect("valid")),
        invited: Vec::new(),
        locked: false,
        attendees_may_dial_out: false,
        lobby: focus::Lobby::Off,
        promote_authenticated: false,
    }
}

fn access_number(number: &str, language: &str) -> engine::AccessNumber {
    let region = if language == "en" { "Seattle" } else { "Berlin" };
    engine::AccessNumber { number: number.to_owned(), language: language.to_owned(), region: region.to_owned() }
}

pub(crate) fn config() -> EngineConfig {
    EngineConfig {
        domain: DOMAIN.to_owned(),
        hosts: vec!["127.0.0.1".to_owned()],
        factory_user: "conference-factory".to_owned(),
        srtp: SrtpPolicy::Off,
        codecs: vec![Codec::Opus, Codec::Pcmu, Codec::Pcma],
        media_ports: None,
        media: ConferenceMedia {
            alone: AloneAudio::Music,
            entry_exit_tones: true,
            media_silence_ms: 30_000,
            jitter_delay_max_ms: 120,
        },
        recording_format: mcu_api::RecordingFormat::Opus,
        unix_start_ms: 1_700_000_000_000,
        // Most tests are about one change at a time.
        focus: focus::FocusConfig { roster_interval: Duration::ZERO, ..focus::FocusConfig::default() },
        call: call::CallConfig { domain: DOMAIN.to_owned(), ..call::CallConfig::default() },
        certificate: None,
        keypad: Some(engine::KeyMap::default()),
        language: "en".to_owned(),
        caller_number: None,
        attendees_may_dial_out: false,
        group_codes: engine::GroupCodes::default(),
        access_numbers: vec![access_number("+14255550100", "en"), access_number("+493055501000", "de")],
        trusted_peers: vec![std::net::IpAddr::from([127, 0, 0, 9])],
        limits: Limits::default(),
    }
}

impl World {
    /// Accounts ann, bob, cleo, dave and mailbox; an open conference 1234 and an anonymous one 2345 with the PIN 4711.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same, with something more in the directory.
    pub(crate) fn with(change: impl FnOnce(&mut Directory)) -> Self {
        Self::of(config(), change)
    }

    /// The same world by other settings.
    pub(crate) fn configured(edit: impl FnOnce(&mut EngineConfig)) -> Self {
        let mut config = config();
        edit(&mut config);
        Self::of(config, |_| {})
    }

    /// The world of the next process, whose randomness is another.
    pub(crate) fn next() -> Self {
        Self::seeded(8, config(), |_| {})
    }

    /// A world of these settings, with something more in the directory.
    pub(crate) fn of(config: EngineConfig, change: impl FnOnce(&mut Directory)) -> Self {
        Self::seeded(7, config, change)
    }

    fn seeded(seed: u8, config: EngineConfig, change: impl FnOnce(&mut Directory)) -> Self {
        let mut router = routing::Router { domains: vec![DOMAIN.to_owned()], ..routing::Router::default() };
        for (name, country) in [("default", "+49$1"), ("paris", "+33$1")] {
            let rules = [routing::Rule { pattern: r"0(\d+)".to_owned(), translation: country.to_owned() }];
            let profile = routing::LocationProfile::compile(name, &rules).expect("valid");
            router.profiles.insert(name.to_owned(), profile);
        }
        router.trunks = ["one", "two"].map(trunk).to_vec();
        let mut directory = Directory::new(router);
        directory.set_trunk_address("one".to_owned(), ([127, 0, 0, 1], 5_070).into());
        directory.set_trunk_address("two".to_owned(), ([127, 0, 0, 1], 5_072).into());
        for name in ["ann", "bob", "cleo", "dave", "mailbox"] {
            directory.add_user(UserAccount {
                uri: user(name),
                display_name: Some(name.to_owned()),
                location_profile: None,
                number: None,
            });
        }
        directory.add_conference(permanent("1234", AccessType::Open, None));
        directory.add_conference(permanent("2345", AccessType::Anonymous, Some("4711")));
        let number = ConferenceNumber::parse("3456").expect("valid");
        directory.add_permanent_conference(ConferenceRecord {
            id: Directory::permanent_id(&number),
            ..permanent("3456", AccessType::Open, None)
        });
        change(&mut directory);
        Self {
            engine: Engine::new(config, directory, [seed; 32]),
            now: Timestamp::from_millis(1_000),
            sip: Vec::new(),
            mcu: Vec::new(),
            events: Vec::new(),
            journal: Vec::new(),
            log: Vec::new(),
            mcu_is_slow: false,
            mcu_is_full: false,
            mcu_legs: Vec::new(),
            counted: LegStatistics::default(),
            transport: Transport::Udp,
            next_port: 20_000,
            next_transaction: 1,
        }
    }

    /// Hands in one input and lets store and MCU answer until nothing is left to do.
    pub(crate) fn input(&mut self, input: Input) {
        self.log.push(Step::Told(input.clone()));
        self.engine.handle(self.now, input);
        self.carry_out();
    }

    /// Opens the response groups, on the journal of an earlier process if there is one.
    pub(crate) fn open_groups(&mut self, config: response_group::Config, journal: &[GroupJournal]) {
        self.engine.open_groups(self.now, config, journal).expect("the groups are valid");
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let mut inputs = Vec::new();
        loop {
            let mut steps = Vec::new();
            while let Some(effect) = self.engine.poll_effect() {
                match effect {
                    Effect::Sip(command) => {
                        steps.push(Step::Sent(command.clone()));
                        self.sip.push(command);
                    }
                    Effect::Mcu(command) => {
                        inputs.extend(self.mcu_answer(&command).into_iter().map(Input::Mcu));
                        self.mcu.push(command);
                    }
                    Effect::Store { ticket, .. } => inputs.push(Input::Stored { ticket, done: true }),
                    Effect::Journal(record) => {
                        self.log.push(Step::Written((*record).clone()));
                        self.journal.push(*record);
                    }
                    Effect::Event(event) => {
                        steps.push(Step::Said(event.clone()));
                        self.events.push(event);
                    }
                }
            }
            self.log.append(&mut steps);
            let Some(input) = inputs.pop() else { return };
            self.engine.handle(self.now, input);
        }
    }

    fn mcu_answer(&mut self, command: &McuCommand) -> Vec<McuEvent> {
        match command {
            McuCommand::ReserveLeg { leg, .. } if self.mcu_is_full => {
                vec![McuEvent::LegFailed { leg: *leg, failure: LegFailure::NoPort }]
            }
            McuCommand::ReserveLeg { leg, conference } => {
                self.next_port += 2;
                let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
                let (rtp, rtcp) = (address(self.next_port), address(self.next_port + 1));
                self.mcu_legs.push((*leg, conference.clone()));
                vec![McuEvent::LegReserved { leg: *leg, rtp, rtcp }]
            }
            McuCommand::RemoveLeg { leg } if !self.mcu_is_slow => self.remove_legs(|id, _| id == *leg),
            McuCommand::EndConference { conference } if !self.mcu_is_slow => {
                self.remove_legs(|_, there| there == conference)
            }
            McuCommand::Announce { leg, .. } => vec![McuEvent::AnnouncementEnded { leg: *leg, completed: true }],
            _ => Vec::new(),
        }
    }

    /// The legs the MCU has, in the order in which they were asked for.
    pub(crate) fn legs_in_mcu(&self) -> Vec<LegId> {
        self.mcu_legs.iter().map(|(leg, _)| *leg).collect()
    }

    fn remove_legs(&mut self, is_meant: impl Fn(LegId, &ConferenceId) -> bool) -> Vec<McuEvent> {
        let removed = self.mcu_legs.extract_if(.., |(leg, conference)| is_meant(*leg, conference));
        removed.map(|(leg, _)| McuEvent::LegRemoved { leg, statistics: self.counted }).collect()
    }

    /// Lets time pass, firing every timer on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= until) {
            self.now = due.max(self.now + Duration::from_micros(1));
            self.input(Input::TimerFired);
        }
        self.now = until;
    }

    pub(crate) fn digits(&mut self, leg: LegId, digits: &str) {
        for digit in digits.chars() {
            self.input(Input::Mcu(McuEvent::Digit { leg, digit }));
        }
    }

    pub(crate) fn register(&mut self, name: &str, ports: &[u16]) {
        let bindings = ports
            .iter()
            .map(|port| Binding {
                contact: uri(&format!("sip:{name}@127.0.0.1:{port}")),
                path: Vec::new(),
                flow: self.flow(*port),
                instance: None,
                preference: 1_000,
            })
            .collect();
        self.input(Input::Sip(SipEvent::BindingsChanged { user: user(name), bindings }));
    }

    /// The way to a phone that sends from this port.
    pub(crate) fn flow(&self, port: u16) -> Flow {
        Flow { transport: self.transport, ..flow(port) }
    }

    /// A request from the network; its transaction names the responses.
    pub(crate) fn request(&mut self, request: Request, user: Option<UserUri>) -> ServerTransactionId {
        let transaction = ServerTransactionId(self.next_transaction);
        self.next_transaction += 1;
        self.input(Input::Sip(SipEvent::Request { transaction, request, flow: self.flow(40_000), user }));
        transaction
    }

    /// A request from another host, by nobody we know.
    pub(crate) fn request_from(&mut self, request: Request, host: [u8; 4]) -> ServerTransactionId {
        let transaction = ServerTransactionId(self.next_transaction);
        self.next_transaction += 1;
        let flow = Flow { remote: SocketAddr::from((host, 5_060)), ..self.flow(40_000) };
        self.input(Input::Sip(SipEvent::Request { transaction, request, flow, user: None }));
        transaction
    }

    pub(crate) fn ack(&mut self, request: Request) {
        self.input(Input::Sip(SipEvent::Ack { request, flow: self.flow(40_000) }));
    }

    /// A response from a phone we sent a request to.
    pub(crate) fn respond(&mut self, transaction: ClientTransactionId, response: Response) {
        self.input(Input::Sip(SipEvent::Response { transaction, response, flow: self.flow(40_000) }));
    }

    /// The final responses to a server transaction, taken out.
    pub(crate) fn take_responses(&mut self, transaction: ServerTransactionId) -> Vec<Response> {
        let mut taken = Vec::new();
        self.sip.retain(|command| match command {
            SipCommand::Respond { transaction: known, response } if *known == transaction => {
                taken.push(response.clone());
                false
            }
            _ => true,
        });
        taken
    }

    pub(crate) fn is_challenged(&self, transaction: ServerTransactionId) -> bool {
        self.sip
            .iter()
            .any(|command| matches!(command, SipCommand::Challenge { transaction: known } if *known == transaction))
    }

    /// Requests of one method we sent, taken out.
    pub(crate) fn take_requests(&mut self, method: &Method) -> Vec<(ClientTransactionId, Request)> {
        let mut taken = Vec::new();
        self.sip.retain(|command| match command {
            SipCommand::Send { transaction, request, .. } if request.method == *method => {
                taken.push((*transaction, request.clone()));
                false
            }
            _ => true,
        });
        taken
    }

    /// Puts requests back that were taken out.
    pub(crate) fn put_back(&mut self, requests: Vec<(ClientTransactionId, Request)>) {
        let send = |(transaction, request)| SipCommand::Send { transaction, request, flow: None };
        self.sip.extend(requests.into_iter().map(send));
    }

    /// Answers every NOTIFY and INFO we sent with 200 and gives their bodies, in order, until none is left.
    pub(crate) fn take_bodies(&mut self, method: &Method) -> Vec<String> {
        let mut bodies = Vec::new();
        loop {
            let requests = self.take_requests(method);
            if requests.is_empty() {
                return bodies;
            }
            for (transaction, request) in requests {
                bodies.push(String::from_utf8(request.body.to_vec()).expect("text"));
                let ok = answer_to(&request, 200);
                self.respond(transaction, ok);
            }
        }
    }

    /// Records of the calls between people that ended.
    pub(crate) fn call_records(&self) -> Vec<&CallRecord> {
        let ended = self.events.iter().filter_map(|event| match event {
            EngineEvent::CallEnded(record) => Some(&**record),
            _ => None,
        });
        ended.collect()
    }

    /// Records of the legs of conferences that ended.
    pub(crate) fn leg_records(&self) -> Vec<&LegRecord> {
        let ended = self.events.iter().filter_map(|event| match event {
            EngineEvent::LegEnded(record) => Some(&**record),
            _ => None,
        });
        ended.collect()
    }

    pub(crate) fn statuses(&self) -> Vec<(String, Vec<focus::EndpointStatus>)> {
        let views = self.engine.conferences();
        let participants = views.iter().flat_map(|view| &view.participants);
        participants
            .map(|participant| {
                let statuses = participant.endpoints.iter().map(|endpoint| endpoint.status).collect();
                (participant.user.clone(), statuses)
            })
            .collect()
    }
}

fn trunk(name: &str) -> routing::Trunk {
    let port = if name == "one" { 5070 } else { 5072 };
    routing::Trunk {
        name: name.to_owned(),
        target: routing::TrunkTarget::parse(&format!("udp:127.0.0.1:{port}")).expect("valid"),
        allow: Vec::new(),
        deny: Vec::new(),
    }
}

/// A response with the headers the edge would copy.
pub(crate) fn answer_to(request: &Request, status: u16) -> Response {
    let mut response = Response::new(status);
    for name in ["From", "Call-ID", "CSeq"] {
        response.headers.push(name, request.headers.get(name).expect("the request has it").to_owned());
    }
    let to = NameAddr::parse(request.headers.get("To").expect("the request has it")).expect("valid");
    let to = if to.tag().is_some() { to } else { to.with_tag("phone") };
    response.headers.push("To", to.to_string());
    response.headers.push("Contact", "<sip:phone@127.0.0.1:40000>");
    response
}

/// An INVITE, SUBSCRIBE, SERVICE ... outside a dialog.
pub(crate) fn out_of_dialog(method: Method, target: &str, from: &str, call_id: &str) -> Request {
    let mut request = Request::new(method.clone(), uri(target));
    request.headers = Headers::new()
        .with("From", format!("<sip:{from}@{DOMAIN}>;tag=from-{call_id}"))
        .with("To", format!("<{target}>"))
        .with("Call-ID", call_id)
        .with("CSeq", format!("1 {method}"))
        .with("Contact", "<sip:phone@127.0.0.1:40000>")
        .with("Supported", "timer")
        .with("Max-Forwards", "70");
    request
}

/// A request in the dialog that `response` to `invite` made; its method's CSeq is `number`.
pub(crate) fn in_dialog(method: Method, invite: &Request, response: &Response, number: u32) -> Request {
    let mut request = Request::new(method.clone(), invite.uri.clone());
    request.headers = Headers::new()
        .with("From", invite.headers.get("From").expect("has one").to_owned())
        .with("To", response.headers.get("To").expect("has one").to_owned())
        .with("Call-ID", invite.call_id().to_owned())
        .with("CSeq", format!("{number} {method}"))
        .with("Contact", "<sip:phone@127.0.0.1:40000>")
        .with("Max-Forwards", "70");
    request
}

/// The same of whoever was called: his From is our To.
pub(crate) fn in_dialog_of_callee(method: Method, invite: &Request, answer: &Response, number: u32) -> Request {
    let mut request = in_dialog(method, invite, answer, number);
    let (from, to) = (invite.headers.get("From").expect("has one"), answer.headers.get("To").expect("has one"));
    request.headers.set("From", to);
    request.headers.set("To", from);
    request
}

pub(crate) fn sdp_body(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
}
