//! The cost of one input and of one selection, against the figures the machine is held to.
//!
//! `cargo bench -p response-group`: with 1,000 agents and 10,000 waiting callers a step takes at most 10 microseconds in
//! 99 of 100 cases; a selection among 5,000 agents at most 50 microseconds.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod note;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Instant;

use base::{CallId, Duration, Timestamp, UserUri};
use response_group::{
    Agent, AgentChange, AgentGroup, Arrival, Config, DialogNo, Domain, Input, Method, OfferNo, Output, Refusal,
    ResponseGroup,
};

const METHODS: [Method; 5] =
    [Method::Serial, Method::RoundRobin, Method::LongestIdle, Method::Parallel, Method::Attendant];

fn uri(name: &str, number: u64) -> UserUri {
    UserUri::parse(&format!("sip:{name}{number}@example.com")).expect("a name of the bench")
}

/// Feeds a machine, measures each step with the taking of its outputs, and remembers the offers.
struct Rig {
    domain: Domain,
    now: Timestamp,
    calls: u64,
    open: Vec<(OfferNo, CallId)>,
    /// Nanoseconds of each step, and what it was about.
    steps: Vec<(u64, &'static str)>,
}

/// What a step is about.
const fn name(input: &Input) -> &'static str {
    match input {
        Input::CallerArrived(_) => "a caller arrives",
        Input::OfferProgressed { .. } => "a phone rings",
        Input::OfferRefused { .. } => "an agent refuses",
        Input::OfferAnswered { .. } => "an agent answers",
        Input::OfferDialogEnded { .. } => "an agent hangs up",
        Input::TimerFired => "a timer fires",
        _ => "else",
    }
}

impl Rig {
    fn new(method: Method, agents: u64, max_fork: u32) -> Self {
        let agents: Vec<Agent> = (0..agents).map(|number| Agent::new(uri("agent", number))).collect();
        let pool = AgentGroup { method, max_fork, agents: agents.clone(), ..AgentGroup::default() };
        let group = ResponseGroup::new(uri("group", 0), "group", pool);
        let config = Config { groups: vec![group], ..Config::default() };
        let domain = Domain::new(Timestamp::ZERO, config).expect("the bench's groups are valid");
        let mut rig = Self { domain, now: Timestamp::ZERO, calls: 0, open: Vec::new(), steps: Vec::new() };
        for agent in agents {
            let change = AgentChange::Registered { registered: true };
            rig.tell(Input::AgentChanged { agent: agent.uri, change });
        }
        rig
    }

    fn tell(&mut self, input: Input) {
        self.now = self.now + Duration::from_millis(1);
        let about = name(&input);
        let begin = Instant::now();
        self.domain.handle(self.now, input);
        let mut offered = Vec::new();
        while let Some(output) = self.domain.poll_output() {
            if let Output::Offer(order) = output {
                offered.push((order.offer, order.call));
            }
        }
        let nanos = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.steps.push((nanos, about));
        self.open.extend(offered);
    }

    fn call(&mut self) -> CallId {
        self.calls += 1;
        let call = CallId(self.calls);
        let (reference, caller) = (format!("reference-{}", call.0), "sip:caller@example.com".to_owned());
        let group = uri("group", 0);
        self.tell(Input::CallerArrived(Arrival { call, reference, group, caller, unix_seconds: 0, hops: 0 }));
        call
    }

    /// One caller and one agent from ring to end, a new caller, and timers on the way.
    fn round(&mut self, number: u64) {
        self.call();
        let place = usize::try_from(number * 7_919 % self.open.len() as u64).expect("it is small");
        let (offer, call) = self.open.swap_remove(place);
        self.tell(Input::OfferProgressed { offer, ringing: true });
        match number % 4 {
            0 => self.tell(Input::OfferRefused { offer, refusal: Refusal::Busy }),
            _ => {
                let dialog = DialogNo(1);
                self.tell(Input::OfferAnswered { offer, dialog, diverted: false });
                self.tell(Input::Bridged { call, unconfirmed: false });
                self.tell(Input::OfferDialogEnded { offer, dialog });
            }
        }
        while self.domain.poll_timeout().is_some_and(|at| at <= self.now) {
            self.tell(Input::TimerFired);
        }
    }

    /// Microseconds of the steps so far: median, 99 of 100, the longest.
    fn figures(&mut self) -> [f64; 3] {
        self.steps.sort_unstable();
        let at = |share: usize| self.steps[(self.steps.len() - 1) * share / 1_000].0 as f64 / 1_000.0;
        [at(500), at(990), at(1_000)]
    }

    /// What the slowest hundredth of the steps is about, most of them first; they are in order already.
    fn slowest(&self) -> String {
        let slowest = &self.steps[self.steps.len() * 99 / 100..];
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        slowest.iter().for_each(|(_, about)| *counts.entry(about).or_default() += 1);
        let mut counts: Vec<_> = counts.into_iter().map(|(about, count)| (Reverse(count), about)).collect();
        counts.sort_unstable();
        let shares = counts.iter().map(|(Reverse(count), about)| format!("{about} {count}"));
        shares.collect::<Vec<_>>().join(", ")
    }
}

/// Microseconds that 99 of 100 steps may take.
const STEP_MAX_US: f64 = 10.0;
/// Microseconds that 99 of 100 arrivals with their selection may take.
const SELECTION_MAX_US: f64 = 50.0;

/// Measures the steps of one method; answers the 99th percentile.
fn steps(method: Method) -> f64 {
    let mut rig = Rig::new(method, 1_000, 20);
    for _ in 0..11_000 {
        rig.call();
    }
    rig.steps.clear();
    for number in 0..20_000 {
        if rig.open.is_empty() {
            break;
        }
        rig.round(number);
    }
    let count = rig.steps.len();
    let [median, p99, longest] = rig.figures();
    println!(
        "step, 1000 agents, 10000 waiting, {method:?}: {count} steps, median {median:.1} us, p99 {p99:.1} us, max {longest:.1} us (p99 at most {STEP_MAX_US})"
    );
    println!("    the slowest hundredth: {}", rig.slowest());
    p99
}

/// The same for arrivals.
fn selection(method: Method) -> f64 {
    let mut rig = Rig::new(method, 5_000, 1);
    rig.steps.clear();
    for _ in 0..2_000 {
        rig.call();
    }
    let [median, p99, longest] = rig.figures();
    println!(
        "arrival with selection among 5000 agents, {method:?}: median {median:.1} us, p99 {p99:.1} us, max {longest:.1} us (p99 at most {SELECTION_MAX_US})"
    );
    p99
}

fn main() {
    let worst = |measure: fn(Method) -> f64| METHODS.map(measure).into_iter().fold(0.0, f64::max);
    let (step, selection) = (worst(steps), worst(selection));
    let remark = "1,000 agents, 10,000 waiting callers; the worst of five hunt methods";
    note::note("groups: a step of the machine, p99", step, "us", STEP_MAX_US, remark);
    let remark = "an arrival with its selection; the worst of five hunt methods";
    note::note("groups: selection among 5,000 agents, p99", selection, "us", SELECTION_MAX_US, remark);
}
