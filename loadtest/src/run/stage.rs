//! The callers of a run, the server, and the threads between them.

use std::collections::{BTreeMap, VecDeque};
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::judge::hearing::Turn;
use crate::media::cipher::{Sdes, SdesKey};
use crate::media::clips::{Clips, Sound};
use crate::media::leg::LegSetup;
use crate::media::losses::Losses;
use crate::media::wheel::{Order, Wheel};
use crate::plan::{Background, Codec, Plan};
use crate::relay::{Ends, Relay};
use crate::run::Onlooker;
use crate::run::dialler::Dialler;
use crate::run::evidence::{Evidence, Joining};
use crate::run::gauge::{Before, Gauge, Sample};
use crate::signalling::call::REQUEST_TIMEOUT;
use crate::signalling::sdp::{Agreement, Offer};
use crate::signalling::{Event, Identity, Signalling};
use crate::statistics::Random;
use crate::sys::{self, wall_nanos};
use crate::target::{Source, Target};
use crate::usage::Usage;
use crate::usage::kernel_drops;

/// How long confirmations of hanging up are waited for.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);
/// How long registrations may take.
const REGISTER_LIMIT: Duration = Duration::from_secs(35);
/// Room for packets a caller has not read yet: a second of audio.
const RECEIVE_BUFFER: i32 = 128 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallerState {
    /// Not called yet.
    Away,
    /// Waiting for the answer.
    Joining,
    /// In the conference.
    In,
    /// Hanging up in order to call again.
    Returning,
    /// It did not work.
    Lost,
}

struct Caller {
    conference: usize,
    codec: Codec,
    state: CallerState,
    placed_at: i64,
    placed: Instant,
    /// His socket until the media thread has it.
    socket: Option<UdpSocket>,
    /// His key for SRTP.
    key: Option<SdesKey>,
    /// The bad network before him.
    ends: Option<Ends>,
}

/// Everything a run consists of.
pub struct Stage<'a> {
    plan: &'a Plan,
    onlooker: Onlooker<'a>,
    /// Before the server, for it says goodbye to it when it is dropped.
    dialler: Option<Dialler>,
    target: Target,
    exchange: Box<dyn Signalling>,
    wheels: Vec<Wheel>,
    relay: Option<Relay>,
    random: Random,
    clips: BTreeMap<Codec, Arc<Clips>>,
    callers: Vec<Caller>,
    registered: usize,
    waiting: VecDeque<usize>,
    joinings: Vec<Joining>,
    faults: Vec<String>,
    failures: usize,
    ports: Vec<u16>,
    last_answer: Option<Instant>,
    started: Instant,
    started_at: i64,
    samples: Vec<Sample>,
    gauge: Gauge,
}

impl<'a> Stage<'a> {
    /// Prepares everything up to the first call.
    pub fn set(plan: &'a Plan, source: &Source, onlooker: Onlooker<'a>) -> Result<Self, Failure> {
        sys::raise_descriptor_limit()?;
        let mut clips = BTreeMap::new();
        for codec in (0..plan.callers()).map(|caller| plan.codec_of(caller)) {
            if let std::collections::btree_map::Entry::Vacant(place) = clips.entry(codec) {
                place.insert(Arc::new(Clips::encode(codec)?));
            }
        }
        let target = Target::set_up(source, plan)?;
        let exchange = target.signalling(plan)?;
        let threads = plan.generator.threads as u64;
        let wheels = (0..threads).map(|number| Wheel::start(plan.seed * 100 + number)).collect::<Result<_, _>>()?;
        let callers = (0..plan.callers()).map(|caller| Caller::new(plan, caller)).collect();
        let now = Instant::now();
        Ok(Self {
            plan,
            onlooker,
            gauge: Gauge::new(now, target.usage()),
            target,
            exchange,
            dialler: None,
            wheels,
            relay: (plan.network.callers > 0.0).then(|| Relay::start(plan.seed)).transpose()?,
            random: Random::new(plan.seed),
            clips,
            callers,
            registered: 0,
            waiting: VecDeque::new(),
            joinings: Vec::new(),
            faults: Vec::new(),
            failures: 0,
            ports: Vec::new(),
            last_answer: None,
            started: now,
            started_at: wall_nanos(),
            samples: Vec::new(),
        })
    }

    /// What happens here.
    pub const fn plan(&self) -> &'a Plan {
        self.plan
    }

    /// What the server has used so far.
    pub fn usage(&self) -> Option<Usage> {
        self.target.usage()
    }

    /// When the latest answer came.
    pub const fn last_answer(&self) -> Option<Instant> {
        self.last_answer
    }

    /// Callers who wait for an answer.
    pub fn outstanding(&self) -> usize {
        self.callers.iter().filter(|caller| caller.state == CallerState::Joining).count()
    }

    /// Those whom conferences call register first.
    pub fn register_all(&mut self) -> Result<(), Failure> {
        let called: Vec<usize> = (0..self.callers.len()).filter(|caller| self.is_dialled_out(*caller)).collect();
        if called.is_empty() {
            return Ok(());
        }
        self.dialler = Some(Dialler::start(self.target.sip(), self.target.domain(), &self.target.organizer())?);
        for caller in &called {
            let offer = self.offer_of(*caller)?;
            self.exchange.register(*caller, &self.target.account(*caller), offer);
            self.pump_until("registering", Instant::now() + Duration::from_millis(1))?;
        }
        let limit = Instant::now() + REGISTER_LIMIT;
        while self.registered < called.len() && Instant::now() < limit {
            self.pump_until("registering", Instant::now() + Duration::from_millis(5))?;
        }
        match called.len() - self.registered {
            0 => Ok(()),
            missing => Err(Failure(format!("{missing} of {} registrations were not accepted", called.len()))),
        }
    }

    /// A caller joins his conference, or is called by it.
    pub fn join(&mut self, number: usize) -> Result<(), Failure> {
        let conference = self.callers[number].conference;
        let caller = &mut self.callers[number];
        (caller.state, caller.placed_at, caller.placed) = (CallerState::Joining, wall_nanos(), Instant::now());
        if self.is_dialled_out(number) && self.callers[number].socket.is_some() {
            let user = format!("sip:{}@{}", self.target.account(number).user, self.target.domain());
            if let Some(dialler) = &self.dialler {
                dialler.call(self.target.focus(conference), user);
            }
            return Ok(());
        }
        let offer = self.offer_of(number)?;
        let identity = if self.plan.is_among(number, self.plan.callers.registered, 1) {
            Identity::User(self.target.account(number))
        } else {
            Identity::Stranger
        };
        self.exchange.join(number, conference, &self.target.number(conference), &identity, offer);
        Ok(())
    }

    /// A caller hangs up and, when that is confirmed, calls again.
    pub fn call_again(&mut self, caller: usize) -> Result<(), Failure> {
        if self.callers[caller].state == CallerState::In {
            self.callers[caller].state = CallerState::Returning;
            self.order(caller, Order::Remove(caller));
            self.exchange.hang_up(caller);
        }
        Ok(())
    }

    /// Whoever still waits has failed.
    pub fn give_up_joining(&mut self) {
        for number in 0..self.callers.len() {
            if self.callers[number].state == CallerState::Joining {
                self.lose(number, &format!("caller {number} was not answered"));
            }
        }
    }

    /// Starts or stops a caller's recording.
    pub fn record(&self, caller: usize, on: bool) {
        self.order(caller, Order::Record(caller, on));
    }

    /// A caller sends a tone.
    pub fn play_tone(&self, caller: usize, tone: usize) {
        self.order(caller, Order::Play(caller, Sound::Tone(tone)));
    }

    /// A caller talks.
    pub fn play_speech(&self, caller: usize) {
        self.order(caller, Order::Play(caller, Sound::Speech(caller)));
    }

    /// A caller talks and chirps.
    pub fn play_chirps(&self, caller: usize) {
        self.order(caller, Order::Play(caller, Sound::Chirp));
    }

    /// A caller is quiet.
    pub fn play_background(&self, caller: usize) {
        self.order(caller, Order::Play(caller, background(self.plan, caller)));
    }

    /// Works for a while.
    pub fn wait(&mut self, phase: &str, time: Duration) -> Result<(), Failure> {
        self.pump_until(phase, Instant::now() + time)
    }

    /// Works until a moment, at least once.
    pub fn pump_until(&mut self, phase: &str, deadline: Instant) -> Result<(), Failure> {
        loop {
            self.pump_once(phase, deadline)?;
            if Instant::now() >= deadline {
                return Ok(());
            }
        }
    }

    /// Waits until something happens, `deadline` at the latest, and sees to it.
    pub fn pump_once(&mut self, phase: &str, deadline: Instant) -> Result<(), Failure> {
        self.exchange.pump(deadline.min(self.gauge.next()));
        while let Some(event) = self.exchange.poll_event() {
            self.on_event(event)?;
        }
        while let Some(caller) = self.waiting.pop_front() {
            self.join(caller)?;
        }
        if Instant::now() >= self.gauge.next() {
            self.sample(phase)?;
        }
        Ok(())
    }

    /// All figures start anew.
    pub fn begin_measuring(&self) -> Before {
        self.wheels.iter().for_each(|wheel| wheel.order(Order::BeginMeasuring));
        Before::now(self.target.usage(), self.target.metrics())
    }

    /// Ends the audio and collects what was seen.
    pub fn finish(
        &mut self,
        idle: Option<Usage>,
        before: Before,
        turns: Vec<Turn>,
        ramp: Duration,
    ) -> Result<Evidence, Failure> {
        let seconds = before.at.elapsed().as_secs_f64();
        let (usage, metrics) = (self.target.usage(), self.target.metrics());
        let others_percent = before.others_percent(usage);
        let drops = kernel_drops(&self.ports);
        let joined = self.callers.iter().filter(|caller| caller.state == CallerState::In).count();
        let wheels = std::mem::take(&mut self.wheels);
        let harvests = wheels.into_iter().map(Wheel::stop).collect::<Result<Vec<_>, _>>()?;
        let mut losses = Losses::default();
        harvests.iter().for_each(|harvest| losses.merge(&harvest.losses));
        Sample::attribute(&mut self.samples, &losses, self.started_at);
        self.faults.extend(self.dialler.iter().flat_map(Dialler::complaints));
        Ok(Evidence {
            harvests,
            turns,
            seconds,
            ramp_seconds: ramp.as_secs_f64(),
            quiet_seconds: (before.at - self.started).as_secs_f64() - 0.5 * ramp.as_secs_f64(),
            joined,
            failures: self.failures,
            faults: std::mem::take(&mut self.faults),
            joinings: std::mem::take(&mut self.joinings),
            samples: std::mem::take(&mut self.samples),
            usage: [idle, before.usage, usage],
            metrics: [before.metrics, metrics],
            drops,
            others_percent,
            broke_off: None,
        })
    }

    /// Ends the audio before its time and collects what was seen until then.
    pub fn break_off(&mut self, why: String) -> Result<Evidence, Failure> {
        let before = Before::now(self.target.usage(), BTreeMap::new());
        let evidence = self.finish(None, before, Vec::new(), self.started.elapsed())?;
        Ok(Evidence { broke_off: Some(why), ..evidence })
    }

    /// Everybody hangs up.
    pub fn leave(&mut self) -> Result<(), Failure> {
        self.dialler = None;
        let limit = Instant::now() + LEAVE_LIMIT;
        for caller in 0..self.callers.len() {
            self.exchange.hang_up(caller);
            self.exchange.pump(Instant::now());
            while self.exchange.poll_event().is_some() {}
        }
        while self.exchange.leaving() > 0 && Instant::now() < limit {
            self.exchange.pump(Instant::now() + Duration::from_millis(20));
            while self.exchange.poll_event().is_some() {}
        }
        Ok(())
    }

    fn is_dialled_out(&self, caller: usize) -> bool {
        self.plan.is_among(caller, self.plan.callers.dialled_out, 2)
    }

    fn order(&self, caller: usize, order: Order) {
        if let Some(wheel) = self.wheels.get(caller % self.plan.generator.threads) {
            wheel.order(order);
        }
    }

    /// A socket of his own, and what he offers there.
    fn offer_of(&mut self, number: usize) -> Result<Offer, Failure> {
        let socket = UdpSocket::bind((self.exchange.local_ip(), 0))?;
        sys::stamp_arrivals(&socket)?;
        sys::set_receive_buffer(&socket, RECEIVE_BUFFER)?;
        let own = socket.local_addr()?;
        self.ports.push(own.port());
        let caller = &mut self.callers[number];
        caller.socket = Some(socket);
        caller.key = self.plan.callers.srtp.map(|suite| SdesKey::new(suite, &mut self.random));
        if let Some(relay) = self.relay.as_mut().filter(|_| self.plan.is_impaired(number)) {
            caller.ends = Some(relay.add(own.ip(), 0, Some(own), &self.plan.network.impairment)?);
        }
        let audio = caller.ends.map_or(own, |ends| ends.back);
        Ok(Offer { audio, codec: caller.codec, audio_level: self.plan.callers.audio_level, key: caller.key.clone() })
    }

    fn on_event(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Registered(_) => self.registered += 1,
            Event::Answered(caller, agreement) => self.on_answered(caller, &agreement)?,
            Event::Failed(caller, status) => self.lose(caller, &refusal(caller, status)),
            Event::Dropped(caller) => {
                self.order(caller, Order::Remove(caller));
                self.lose(caller, &format!("the server hung up on caller {caller}"));
            }
            Event::Ended(caller) if self.callers[caller].state == CallerState::Returning => {
                self.waiting.push_back(caller);
            }
            Event::Ended(_) => {}
        }
        Ok(())
    }

    fn on_answered(&mut self, number: usize, agreement: &Agreement) -> Result<(), Failure> {
        let caller = &mut self.callers[number];
        let Some(socket) = caller.socket.take() else { return Ok(()) };
        let mut remote = agreement.remote;
        if let (Some(relay), Some(ends)) = (&self.relay, caller.ends) {
            relay.connect(ends.pair, remote);
            remote = ends.front;
        }
        let cipher = match (&caller.key, &agreement.remote_key) {
            (Some(own), Some(theirs)) => Some(Sdes::boxed(own, theirs)?),
            _ => None,
        };
        caller.state = CallerState::In;
        self.last_answer = Some(Instant::now());
        self.joinings.push(Joining {
            at: (caller.placed - self.started).as_secs_f64(),
            answer_ms: caller.placed.elapsed().as_secs_f64() * 1_000.0,
        });
        let setup = LegSetup {
            caller: number,
            socket,
            placed_at: caller.placed_at,
            remote,
            codec: caller.codec,
            payload_type: agreement.payload_type,
            level_id: agreement.level_id,
            clips: self.clips[&caller.codec].clone(),
            sound: background(self.plan, number),
            cipher,
            drift_ppm: self.plan.drift_ppm(number),
        };
        self.order(number, Order::Add(Box::new(setup)));
        Ok(())
    }

    fn lose(&mut self, caller: usize, why: &str) {
        self.callers[caller].state = CallerState::Lost;
        self.failures += 1;
        if self.faults.len() < 40 {
            self.faults.push(why.to_owned());
        }
    }

    fn sample(&mut self, phase: &str) -> Result<(), Failure> {
        let joined = self.callers.iter().filter(|caller| caller.state == CallerState::In).count();
        let sample = self.gauge.sample(&self.wheels, self.target.usage(), joined, self.failures);
        (self.onlooker)(phase, &sample);
        self.samples.push(sample);
        match self.target.last_words() {
            Some(words) => Err(Failure(words)),
            None => Ok(()),
        }
    }
}

impl Caller {
    fn new(plan: &Plan, caller: usize) -> Self {
        Self {
            conference: caller % plan.shape.conferences,
            codec: plan.codec_of(caller),
            state: CallerState::Away,
            placed_at: 0,
            placed: Instant::now(),
            socket: None,
            key: None,
            ends: None,
        }
    }
}

fn background(plan: &Plan, caller: usize) -> Sound {
    match plan.callers.background {
        Background::Noise => Sound::Noise(caller),
        Background::Silence => Sound::Silence,
        Background::Dtx => Sound::Dtx(caller),
    }
}

/// That a caller was not let in, and what may be amiss with a server that was not started here.
fn refusal(caller: usize, status: u16) -> String {
    let remedy = match status {
        REQUEST_TIMEOUT => "; nothing answered: is the server there, and does it receive SIP over UDP?",
        401 | 403 | 407 => "; does it have the users load0, load1 ... and organizer, with the password of --password?",
        404 => "; does it have the conferences from --first-number on?",
        _ => "",
    };
    format!("caller {caller} was refused: {status}{remedy}")
}
