//! A domain under scripted phones in virtual time, watched for every invariant that shows from outside.
#![allow(dead_code, reason = "each test binary uses its part of the world")]
#![allow(unreachable_pub, reason = "each test binary compiles this module as its own")]

use base::{CallId, Duration, Timestamp, UserUri};
use response_group::watch::Watch;
use response_group::{
    AgentChange, AgentStatus, Arrival, Config, DialogNo, Domain, Entry, HistoryKind, Input, OfferNo, OfferOrder,
    Outcome, Output, Refusal, ResponseGroup,
};

#[derive(serde::Deserialize)]
struct File {
    response_group: Vec<ResponseGroup>,
}

/// Reads `[[response_group]]` tables.
pub fn config(toml: &str) -> Config {
    let file: File = toml::from_str(toml).expect("the test's configuration can be read");
    Config { groups: file.response_group, ..Config::default() }
}

pub fn uri(name: &str) -> UserUri {
    let text = if name.contains(':') { name.to_owned() } else { format!("sip:{name}@example.com") };
    UserUri::parse(&text).expect("a name of the test")
}

/// A group `sales` with these lines in it and these agents.
pub fn sales(lines: &str, agents: &[&str]) -> Config {
    let agents: Vec<String> = agents.iter().map(|agent| format!("{:?}", uri(agent).as_str())).collect();
    config(&format!(
        "[[response_group]]\nuri = \"sip:sales@example.com\"\nname = \"Sales\"\nagents = [{}]\n{lines}\n",
        agents.join(", ")
    ))
}

pub struct World {
    pub domain: Domain,
    pub now: Timestamp,
    pub journal: Vec<Entry>,
    /// Every output so far.
    pub log: Vec<Output>,
    /// How many of them came before the journal began.
    before_journal: usize,
    /// Outputs of the last input, without the journal.
    pub last: Vec<Output>,
    pub watch: Watch,
    next_call: u64,
    pub unix_seconds: i64,
}

impl World {
    /// A domain whose agents are all registered.
    pub fn new(config: Config) -> Self {
        let mut world = Self::bare(config.clone());
        let agents = config.groups.iter().flat_map(|group| &group.agent_groups).flat_map(|group| &group.agents);
        for agent in agents {
            world.agent_uri(&agent.uri, AgentChange::Registered { registered: true });
        }
        world
    }

    /// A domain of which nothing is known yet.
    pub fn bare(config: Config) -> Self {
        let now = Timestamp::from_millis(1_000);
        let domain = Domain::new(now, config.clone()).expect("the test's configuration is valid");
        let mut world = Self {
            domain,
            now,
            journal: Vec::new(),
            log: Vec::new(),
            before_journal: 0,
            last: Vec::new(),
            watch: Watch::new(now, &config),
            next_call: 0,
            unix_seconds: 1_750_000_000,
        };
        world.drain();
        world
    }

    pub fn tell(&mut self, input: Input) -> &mut Self {
        self.watch.told(self.now, &input);
        self.domain.handle(self.now, input);
        self.drain();
        self
    }

    fn drain(&mut self) {
        self.last.clear();
        while let Some(output) = self.domain.poll_output() {
            self.watch.saw(self.now, &output);
            match &output {
                Output::Journal(entry) => self.journal.push((**entry).clone()),
                other => self.last.push(other.clone()),
            }
            self.log.push(output);
        }
        self.watch.end_of_step(self.now);
        self.watch.faults.extend(self.domain.breaches());
    }

    /// Lets time pass, with every timer at its moment.
    pub fn wait(&mut self, length: Duration) -> &mut Self {
        let end = self.now + length;
        while let Some(at) = self.domain.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.tell(Input::TimerFired);
        }
        self.now = end;
        self
    }

    pub fn wait_seconds(&mut self, seconds: u64) -> &mut Self {
        self.wait(Duration::from_secs(seconds))
    }

    pub fn call(&mut self, group: &str) -> CallId {
        self.next_call += 1;
        let call = CallId(self.next_call);
        let arrival = Arrival {
            call,
            reference: format!("ref-{}", call.0),
            group: uri(group),
            caller: format!("sip:caller{}@example.com", call.0),
            unix_seconds: self.unix_seconds,
            hops: 0,
        };
        self.tell(Input::CallerArrived(arrival));
        call
    }

    pub fn agent_uri(&mut self, agent: &UserUri, change: AgentChange) -> &mut Self {
        self.tell(Input::AgentChanged { agent: agent.clone(), change })
    }

    pub fn agent(&mut self, agent: &str, change: AgentChange) -> &mut Self {
        self.agent_uri(&uri(agent), change)
    }

    /// The last offer made to an agent.
    pub fn offer(&self, agent: &str) -> OfferNo {
        let agent = uri(agent);
        let made = |output: &&Output| matches!(output, Output::Offer(order) if order.agent == agent);
        match self.log.iter().rev().find(made) {
            Some(Output::Offer(order)) => order.offer,
            _ => panic!("{agent} was offered nothing"),
        }
    }

    pub fn rings(&mut self, agent: &str) -> &mut Self {
        let offer = self.offer(agent);
        self.tell(Input::OfferProgressed { offer, ringing: true })
    }

    pub fn answers(&mut self, agent: &str) -> &mut Self {
        self.answers_as(agent, 1)
    }

    pub fn answers_as(&mut self, agent: &str, dialog: u32) -> &mut Self {
        let offer = self.offer(agent);
        self.tell(Input::OfferAnswered { offer, dialog: DialogNo(dialog), diverted: false })
    }

    pub fn refuses(&mut self, agent: &str, refusal: Refusal) -> &mut Self {
        let offer = self.offer(agent);
        self.tell(Input::OfferRefused { offer, refusal })
    }

    pub fn hangs_up(&mut self, agent: &str) -> &mut Self {
        let offer = self.offer(agent);
        self.tell(Input::OfferDialogEnded { offer, dialog: DialogNo(1) })
    }

    pub fn bridged(&mut self, call: CallId) -> &mut Self {
        self.tell(Input::Bridged { call, unconfirmed: false })
    }

    /// The agent's phone rings, he answers, and the media are joined.
    pub fn takes(&mut self, agent: &str, call: CallId) -> &mut Self {
        self.rings(agent).answers(agent).bridged(call)
    }

    /// The process dies and begins anew on its journal.
    pub fn crash(&mut self) -> &mut Self {
        (self.domain, _) = Domain::restore(self.now, &self.journal).expect("the journal can be read");
        self.watch.told(self.now, &Input::Restarted);
        self.drain();
        self
    }

    /// A new journal is begun: with the machine's state, as a reader of the file finds it.
    pub fn begin_journal(&mut self) -> &mut Self {
        let text = serde_json::to_string(&self.domain.checkpoint()).expect("an entry can be written");
        self.journal = vec![serde_json::from_str(&text).expect("and read")];
        self.before_journal = self.log.len();
        self
    }

    /// Whom the outputs of the last input ring.
    pub fn rung(&self) -> Vec<String> {
        self.last.iter().filter_map(order).map(|order| order.agent.user_part().to_owned()).collect()
    }

    /// Whom the whole story rang, in order.
    pub fn all_rung(&self) -> Vec<String> {
        self.log.iter().filter_map(order).map(|order| order.agent.user_part().to_owned()).collect()
    }

    pub fn outcome(&self, call: CallId) -> Option<Outcome> {
        self.log.iter().find_map(|output| match output {
            Output::Cdr(record) if record.call == call => Some(record.outcome.clone()),
            _ => None,
        })
    }

    pub fn histories(&self, call: CallId) -> Vec<(String, HistoryKind)> {
        let entry = |output: &Output| match output {
            Output::History(entry) if entry.call == call => Some((entry.agent.user_part().to_owned(), entry.kind)),
            _ => None,
        };
        self.log.iter().filter_map(entry).collect()
    }

    pub fn status(&self, agent: &str) -> AgentStatus {
        let snapshot = self.domain.snapshot(self.now);
        let found = snapshot.agents.into_iter().find(|entry| entry.uri == uri(agent));
        found.expect("an agent of the test").status
    }

    /// Whether the outputs of the last input hold one like this.
    pub fn did(&self, wanted: impl Fn(&Output) -> bool) -> bool {
        self.last.iter().any(wanted)
    }

    /// The watch found nothing, and the journal replays to the same outputs, byte for byte.
    pub fn check(&self) {
        assert_eq!(self.watch.faults, Vec::<String>::new());
        let (_, outputs) = response_group::replay(&self.journal).expect("the journal can be read");
        let bytes = |outputs: &[Output]| serde_json::to_string(outputs).expect("outputs can be written");
        assert_eq!(bytes(&outputs), bytes(&self.log[self.before_journal..]), "replay differs");
    }
}

pub fn order(output: &Output) -> Option<&OfferOrder> {
    match output {
        Output::Offer(order) => Some(order),
        _ => None,
    }
}
