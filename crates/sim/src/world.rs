//! The loop: one event after another, each followed by everything it leads to and by the checks.

mod crash;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use base::{Duration, LegId, Timestamp, UserUri};
use engine::{Effect, Engine, EngineEvent, GroupCommand, Input, StoreTicket};
use mcu_api::{McuCommand, McuEvent};
use sip_api::{Binding, CONTACT_PLACEHOLDER, Flow, Request, Response, SipCommand, SipEvent, SipUri};

use crate::check::Checker;
use crate::dice::Dice;
use crate::media::FakeMcu;
use crate::phone::{Action, Cx, Phone, Wish};
use crate::queue::Queue;
use crate::scene;
use crate::stack::{Out, RespondError, Stack, Timer};
use crate::store::Store;
use crate::swarm::Swarm;
use crate::wire::{Network, Packet};
use crate::{Broken, Day, Report, Trace, seconds};
use crash::Process;

/// Where the server is.
const SERVER_PORT: u16 = 5_060;

/// Events after which a run that does not come to rest is given up.
const STEPS_MAX: u64 = 400_000;

/// How long after the end of the day everything must be over: a session of half an hour may have to expire.
const REST_WITHIN: Duration = Duration::from_secs(2 * 60 * 60);

/// How long the store gathers before it writes.
const WRITTEN_AFTER: Duration = Duration::from_millis(50);

/// Something that happens.
#[derive(Debug)]
enum Event {
    Packet(Packet),
    /// Of the process of this number, as what follows.
    EdgeTimer(u32, Timer),
    PhoneTimer(usize, Timer),
    Act(usize, Action),
    Mcu(u32, McuEvent),
    Stored(u32, StoreTicket, bool),
    /// The store writes what calls of groups have left.
    Write(u32),
    /// The media side loses a conference.
    LoseConference,
    /// Somebody's devices register or go away.
    Registration,
    /// An agent wants no calls of groups any more, or wants them again.
    Opt,
    /// The server is told to stop.
    Stop,
    /// The server is about to be killed.
    Kill,
    /// The server begins anew.
    Restart,
    /// What the process before this one sent has arrived.
    Quiet(u32),
    /// Time enough has passed since this process began: everybody has heard of it.
    Survey(u32),
    /// The day is over.
    Close,
}

/// A run.
pub(crate) struct World {
    seed: u64,
    kind: Day,
    trace: Trace,
    now: Timestamp,
    day: Duration,
    closing: bool,
    queue: Queue<Event>,
    dice: Dice,
    swarm: Swarm,
    network: Network,
    engine: Engine,
    edge: Stack,
    process: Process,
    store: Store,
    registered: BTreeMap<UserUri, Vec<Binding>>,
    phones: Vec<Phone>,
    by_address: BTreeMap<SocketAddr, usize>,
    people: Vec<String>,
    elsewhere: String,
    mcu: FakeMcu,
    /// Ports of phones without power.
    silent: BTreeSet<u16>,
    checker: Checker,
    /// The engine was told something since the last checks.
    unsettled: bool,
    broken: Option<Broken>,
    steps: u64,
    counts: BTreeMap<&'static str, u64>,
    story: Vec<String>,
}

impl World {
    /// The beginning of a seed's day.
    pub(crate) fn new(seed: u64, kind: Day, trace: Trace) -> Self {
        let mut dice = Dice::new(seed);
        let swarm = Swarm::draw(&mut dice);
        let network = Network::new(&mut dice, &swarm);
        let day = dice.millis(60_000, 240_000);
        let scene = match kind {
            Day::Ordinary => scene::draw(&mut dice, &swarm, day),
            Day::Crashes | Day::CrashesWithoutGuard => scene::draw_callers_of_groups(&mut dice, &swarm, day),
        };
        let engine = Engine::new(scene::config(&swarm), scene::directory(), dice.seed());
        let by_address = scene.phones.iter().enumerate().map(|(at, phone)| (phone.address, at)).collect();
        let mut world = Self {
            seed,
            kind,
            trace,
            now: Timestamp::from_millis(1_000),
            day,
            closing: false,
            queue: Queue::default(),
            dice,
            swarm,
            network,
            engine,
            edge: Stack::new(scene::address(SERVER_PORT)),
            process: Process::default(),
            store: Store::default(),
            registered: BTreeMap::new(),
            phones: scene.phones,
            by_address,
            people: scene.people,
            elsewhere: scene::elsewhere(),
            mcu: FakeMcu::default(),
            silent: BTreeSet::new(),
            checker: Checker::default(),
            unsettled: false,
            broken: None,
            steps: 0,
            counts: BTreeMap::new(),
            story: Vec::new(),
        };
        world.plan(scene.plan);
        world
    }

    /// The day, until everything is at rest or a rule is broken.
    pub(crate) fn run(mut self) -> Report {
        self.note(|world| format!("kinds of event: {}", world.swarm.on().join(", ")));
        self.open_groups();
        for owner in scene::owners() {
            let bindings = scene::bindings(&self.phones, self.edge.address, &owner);
            self.register(owner, bindings);
        }
        while self.broken.is_none() && self.step() {}
        if self.broken.is_none() {
            self.check_rest();
        }
        Report {
            seed: self.seed,
            broken: self.broken,
            steps: self.steps,
            until: self.now,
            counts: self.counts,
            story: self.story,
        }
    }

    fn plan(&mut self, plan: Vec<(usize, Duration, Action)>) {
        let start = self.now;
        for (phone, after, action) in plan {
            self.queue.push(start + after, Event::Act(phone, action));
        }
        let day_ms = u64::try_from(self.day.as_millis()).unwrap_or(u64::MAX);
        if self.swarm.lost_conferences {
            for _ in 0..self.dice.between(1, 3) {
                let after = self.dice.millis(0, day_ms);
                self.queue.push(start + after, Event::LoseConference);
            }
        }
        if self.swarm.registrations {
            for _ in 0..self.dice.between(1, 8) {
                let after = self.dice.millis(0, day_ms);
                self.queue.push(start + after, Event::Registration);
            }
        }
        if self.swarm.registrations {
            // Drawn beside the others, so that no known seed gets another story.
            let mut dice = Dice::new(!self.seed);
            for _ in 0..dice.between(0, 8) {
                self.queue.push(start + dice.millis(0, day_ms), Event::Opt);
            }
        }
        if self.kind != Day::Ordinary {
            // Beside the others as well.
            let mut dice = Dice::new(!self.seed ^ 1);
            for (phone, at, action) in scene::feature_calls(&mut dice, &self.phones, day_ms) {
                self.queue.push(start + at, Event::Act(phone, action));
            }
            for _ in 0..self.dice.between(1, 4) {
                let after = self.dice.millis(0, day_ms);
                self.queue.push(start + after, Event::Kill);
            }
        }
        if self.swarm.stop {
            let early = self.dice.millis(0, 20_000);
            self.queue.push(start + self.day - early, Event::Stop);
        }
        self.queue.push(start + self.day, Event::Close);
    }

    /// The next event; false when nothing is left to happen.
    fn step(&mut self) -> bool {
        let timer_at = if self.process.down { None } else { self.engine.poll_timeout() };
        let event_at = self.queue.next_at();
        let timer_first = match (event_at, timer_at) {
            (None, None) => return false,
            (None, Some(_)) => true,
            (_, None) => false,
            // An input that arrived before a timer was dequeued is handled first.
            (Some(event), Some(timer)) => timer < event,
        };
        self.steps += 1;
        self.now = self.now.max(if timer_first { timer_at } else { event_at }.unwrap_or(self.now));
        if self.steps > STEPS_MAX || self.now.since(Timestamp::ZERO) > self.day + REST_WITHIN {
            self.broke("the run does not come to rest".to_owned());
        } else if timer_first {
            self.tell(Input::TimerFired);
        } else if let Some(event) = self.queue.pop() {
            self.happen(event);
        }
        self.pump_edge();
        self.check_settled();
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Packet(packet) => self.deliver(packet),
            Event::EdgeTimer(process, _)
            | Event::Mcu(process, _)
            | Event::Stored(process, ..)
            | Event::Write(process)
                if process != self.process.number => {}
            Event::EdgeTimer(_, timer) => self.edge.fire(timer),
            Event::PhoneTimer(phone, timer) => self.with_phone(phone, |phone, cx| phone.fire(cx, timer)),
            Event::Act(phone, action) => self.act(phone, action),
            Event::Mcu(_, event) => self.hear_mcu(event),
            Event::Stored(_, ticket, done) => {
                self.note(|_| format!("store: {ticket:?} done {done}"));
                self.tell(Input::Stored { ticket, done });
            }
            Event::Write(_) => {
                for stored in self.store.write() {
                    // What it was told first may have been the last of this process.
                    if !self.process.down {
                        self.tell(stored);
                    }
                }
            }
            Event::LoseConference => {
                if let Some((at, event)) = self.mcu.lose_conference(self.now, &mut self.dice) {
                    self.count("conference lost");
                    self.report(at, event);
                }
            }
            Event::Registration => self.change_registration(),
            Event::Opt => self.change_opting(),
            Event::Stop => {
                self.count("server stopped");
                self.tell(Input::Stop);
            }
            Event::Kill => self.kill_soon(),
            Event::Restart => self.restart(),
            Event::Quiet(process) if process != self.process.number => {}
            Event::Quiet(_) => self.phones.iter_mut().for_each(|phone| phone.server_is_back()),
            Event::Survey(process) => self.survey(process),
            Event::Close => self.close(),
        }
    }

    fn act(&mut self, phone: usize, action: Action) {
        if self.closing && matches!(action, Action::Call { .. } | Action::Join(_)) {
            return;
        }
        self.note(|world| format!("{} does {action:?}", world.phones[phone].name));
        self.with_phone(phone, |phone, cx| phone.act(cx, action));
    }

    fn close(&mut self) {
        self.closing = true;
        for phone in 0..self.phones.len() {
            let after = self.dice.millis(0, 10_000);
            self.queue.push(self.now + after, Event::Act(phone, Action::Finish));
        }
    }

    fn change_registration(&mut self) {
        if self.process.down {
            return;
        }
        let owners = scene::owners();
        let owner = self.dice.pick(&owners).expect("some have devices").clone();
        let mut bindings = scene::bindings(&self.phones, self.edge.address, &owner);
        bindings.retain(|_| self.dice.chance(0.6));
        self.count("registrations changed");
        self.register(owner, bindings);
    }

    fn change_opting(&mut self) {
        let owners = scene::owners();
        let agent = self.dice.pick(&owners).expect("some have devices").clone();
        let opted_in = self.dice.chance(0.4);
        self.count(if opted_in { "agent opted in" } else { "agent opted out" });
        self.tell(Input::Group(GroupCommand::Opt { agent, opted_in }));
    }

    /// The registrar knows these devices of a user, also after a restart.
    fn register(&mut self, user: UserUri, bindings: Vec<Binding>) {
        self.registered.insert(user.clone(), bindings.clone());
        self.tell(Input::Sip(SipEvent::BindingsChanged { user, bindings }));
    }

    /// The media side of this process will report something.
    fn report(&mut self, at: Timestamp, event: McuEvent) {
        self.queue.push(at, Event::Mcu(self.process.number, event));
    }

    /// Lets a phone do something and carries out what it wants.
    fn with_phone(&mut self, index: usize, act: impl FnOnce(&mut Phone, &mut Cx<'_>)) {
        let mut wishes = Vec::new();
        let mut cx = Cx {
            dice: &mut self.dice,
            swarm: &self.swarm,
            closing: self.closing,
            server: self.edge.address,
            people: &self.people,
            elsewhere: &self.elsewhere,
            wishes: &mut wishes,
        };
        act(&mut self.phones[index], &mut cx);
        for wish in wishes {
            self.grant(index, wish);
        }
    }

    fn grant(&mut self, phone: usize, wish: Wish) {
        match wish {
            Wish::Transmit(packet) => self.transmit(*packet),
            Wish::Wake(after, timer) => self.queue.push(self.now + after, Event::PhoneTimer(phone, timer)),
            Wish::Later(after, action) => self.queue.push(self.now + after, Event::Act(phone, action)),
            Wish::Press(port, digits) => self.press(port, digits),
            Wish::Silent(ports) => self.fall_silent(&ports),
            Wish::Broken(rule) => self.broke(rule),
            Wish::Count(what) => self.count(what),
        }
    }

    fn press(&mut self, port: u16, digits: &str) {
        let Some(leg) = self.mcu.leg_at(port) else { return };
        self.count("digits pressed");
        for (nth, digit) in (0..).zip(digits.chars()) {
            let at = self.now + Duration::from_millis(200 * nth);
            self.report(at, McuEvent::Digit { leg, digit });
        }
    }

    fn fall_silent(&mut self, ports: &[u16]) {
        self.silent.extend(ports);
        for leg in ports.iter().filter_map(|port| self.mcu.leg_at(*port)).collect::<Vec<_>>() {
            self.time_media_out(leg);
        }
    }

    /// The media side notices soon that nothing arrives on a leg, or so late that something else does before.
    fn time_media_out(&mut self, leg: LegId) {
        self.count("media timed out");
        let after = Duration::from_secs(if self.swarm.media_timeouts { 30 } else { 60 * 60 });
        self.report(self.now + after, McuEvent::MediaTimeout { leg });
    }

    fn transmit(&mut self, packet: Packet) {
        self.note(|world| format!("{} sends {}", world.who(packet.from), packet.summary()));
        for after in self.network.arrivals(&mut self.dice) {
            self.queue.push(self.now + after, Event::Packet(packet.clone()));
        }
    }

    fn deliver(&mut self, packet: Packet) {
        self.note(|world| format!("{} hears {}", world.who(packet.to), packet.summary()));
        if packet.to == self.edge.address && !self.process.down {
            self.edge.receive(packet);
        } else if let Some(&phone) = self.by_address.get(&packet.to) {
            self.with_phone(phone, |phone, cx| phone.receive(cx, packet));
        }
    }

    fn who(&self, address: SocketAddr) -> &str {
        self.by_address.get(&address).map_or("server", |phone| self.phones[*phone].name.as_str())
    }

    /// Carries out what the edge wants, and tells the engine what it reports.
    fn pump_edge(&mut self) {
        while let Some(out) = self.edge.poll() {
            match out {
                Out::Transmit(packet) => self.transmit(packet),
                Out::Wake(after, timer) => {
                    let process = self.process.number;
                    self.queue.push(self.now + after, Event::EdgeTimer(process, timer));
                }
                Out::Event(event) => self.tell(Input::Sip(authenticated(event))),
            }
        }
    }

    fn hear_mcu(&mut self, event: McuEvent) {
        self.note(|_| format!("media reports {event:?}"));
        self.checker.mcu_reports(&event);
        self.tell(Input::Mcu(event));
    }

    /// Hands the engine an input and carries out its effects.
    fn tell(&mut self, input: Input) {
        if self.process.down {
            return;
        }
        self.unsettled = true;
        self.checker.input(self.now, &input);
        self.engine.handle(self.now, input);
        self.carry_out_all();
        let answered = if self.process.down { Ok(()) } else { self.checker.answered() };
        if let Err(rule) = answered {
            self.broke(rule);
        }
    }

    fn open_groups(&mut self) {
        let groups = scene::groups(self.kind);
        if let Err(problems) = self.engine.open_groups(self.now, groups, &self.process.journal) {
            self.broke(format!("the groups are refused: {problems:?}"));
        }
        self.carry_out_all();
    }

    fn carry_out_all(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            if self.process.dies_now() {
                return self.die();
            }
            self.process.carries_out(&effect);
            if let Err(rule) = self.checker.effect(&effect) {
                self.broke(rule);
            }
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Sip(command) => self.obey_sip(command),
            Effect::Mcu(command) => self.obey_mcu(&command),
            Effect::Store { ticket, command } => {
                self.note(|_| format!("engine stores {command:?}"));
                let longest = if self.swarm.slow_store { 15_000 } else { 30 };
                let after = self.dice.millis(0, longest);
                let done = !(self.swarm.failing_store && self.dice.chance(0.3));
                self.queue.push(self.now + after, Event::Stored(self.process.number, ticket, done));
            }
            Effect::Journal(record) => {
                if let Some(what) = crate::check::happened(&record) {
                    self.count(what);
                }
                self.note(|_| format!("journal: {record:?}"));
            }
            Effect::Event(event) => {
                self.note(|_| format!("engine tells {event:?}"));
                match event {
                    EngineEvent::ConversationAgain(_) => self.count("history made anew"),
                    EngineEvent::GroupVisitEnded { .. } => self.count("feature call over"),
                    _ => {}
                }
                if self.store.take(&event) {
                    self.queue.push(self.now + WRITTEN_AFTER, Event::Write(self.process.number));
                }
            }
        }
    }

    fn obey_mcu(&mut self, command: &McuCommand) {
        self.note(|_| format!("engine to media: {command:?}"));
        for (at, event) in self.mcu.obey(self.now, command, &mut self.dice, &self.swarm) {
            self.report(at, event);
        }
        if let McuCommand::ConnectLeg { leg, media } = command
            && self.silent.contains(&media.remote_rtp.port())
        {
            self.time_media_out(*leg);
        }
    }

    fn obey_sip(&mut self, command: SipCommand) {
        match command {
            SipCommand::Respond { transaction, response } => {
                let status = response.status;
                if let Err(error) = self.edge.respond(transaction, response) {
                    let why = match error {
                        RespondError::Unknown => "to a transaction that is unknown or over",
                        RespondError::Answered => "after a final response",
                    };
                    self.broke(format!("a {status} {why}: {transaction:?}"));
                }
            }
            SipCommand::Challenge { transaction } => {
                if self.edge.respond(transaction, Response::new(401)).is_err() {
                    self.broke(format!("a challenge to a transaction that is answered or over: {transaction:?}"));
                }
            }
            SipCommand::Send { transaction, request, flow } => match next_hop(&request, flow) {
                Some(to) => self.edge.send(transaction, with_address(request, self.edge.address), to),
                None => self.broke(format!("{} to nowhere: {}", request.method, request.uri)),
            },
            SipCommand::SendAck { request, flow } => match next_hop(&request, flow) {
                Some(to) => self.edge.send_ack(with_address(request, self.edge.address), to),
                None => self.broke(format!("ACK to nowhere: {}", request.uri)),
            },
            // Nobody here speaks by a connection, where alone it may be.
            SipCommand::SendUnanswered { request, .. } => self.broke(format!("an unanswered {}", request.method)),
            SipCommand::Cancel { transaction, reason } => {
                self.count("dial-out cancelled");
                if !self.edge.cancel(transaction, reason) {
                    self.broke(format!("CANCEL of an INVITE that is over: {transaction:?}"));
                }
            }
        }
    }

    fn check_settled(&mut self) {
        if !std::mem::take(&mut self.unsettled) || self.process.down {
            return;
        }
        let views = self.engine.conferences();
        let settled = self.checker.settled(self.now, &views, &self.edge);
        let rosters = self.checker.rosters(&views, &self.edge, &self.phones);
        let wallboard = self.checker.wallboard(self.engine.wallboard(self.now).as_ref());
        if let Err(rule) = settled.and(rosters).and(wallboard) {
            self.broke(rule);
        }
    }

    fn check_rest(&mut self) {
        let at_rest = self.checker.at_rest(&self.engine, &self.edge, &self.phones);
        if let Err(rule) = at_rest.and_then(|()| self.store.agrees_with(&self.process.journal)) {
            self.broke(rule);
        }
    }

    fn broke(&mut self, rule: String) {
        self.note(|_| format!("BROKEN: {rule}"));
        self.broken.get_or_insert(Broken { at: self.now, rule });
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn note(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.trace == Trace::On {
            let line = format!("{:>12} {}", seconds(self.now), line(self));
            self.story.push(line);
        }
    }
}

/// What the edge would have found out by digest: who is named in the credentials has proven it.
fn authenticated(event: SipEvent) -> SipEvent {
    match event {
        SipEvent::Request { transaction, request, flow, .. } => {
            let user = request.headers.get("Authorization").and_then(|user| UserUri::parse(user).ok());
            SipEvent::Request { transaction, request, flow, user }
        }
        event => event,
    }
}

/// RFC 3263 in a world with one host.
fn next_hop(request: &Request, flow: Option<Flow>) -> Option<SocketAddr> {
    let of_uri = |uri: &SipUri| uri.port.map(scene::address);
    flow.map(|flow| flow.remote).or_else(|| of_uri(&request.uri))
}

/// The request with our address where the engine left a place for it.
fn with_address(mut request: Request, address: SocketAddr) -> Request {
    if let Some(contact) = request.headers.get("Contact") {
        let contact = contact.replace(CONTACT_PLACEHOLDER, &address.to_string());
        request.headers.set("Contact", contact);
    }
    request
}
