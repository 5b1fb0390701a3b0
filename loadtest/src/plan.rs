//! A plan: who calls, what he does on the line, over which network, and what is good enough.
//!
//! Plans are TOML files. Every key has a default but `name`, `about` and `[shape]`; an unknown key is refused.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Failure;
pub use crate::plan::thresholds::{MEASURES, Measure, Thresholds};

mod bounds;
mod ranges;
mod thresholds;

/// One plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What it is called.
    pub name: String,
    /// One sentence: what it shows.
    pub about: String,
    /// Where all its random choices come from.
    #[serde(default = "one")]
    pub seed: u64,
    /// Not run unless it is named.
    #[serde(default)]
    pub only_when_named: bool,
    /// Conferences, their sizes and how long they last.
    pub shape: Shape,
    /// What the callers are.
    #[serde(default)]
    pub callers: Callers,
    /// How they come.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// The network between some of them and the server.
    #[serde(default)]
    pub network: Network,
    /// What is checked beyond counting.
    #[serde(default)]
    pub check: Check,
    /// When the generator doubts itself.
    #[serde(default)]
    pub generator: Generator,
    /// What is good enough; only what the run measures can have a bound.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// What is aimed at on a quiet machine of two cores; `loadtest figures` judges it, and no other run.
    #[serde(default)]
    pub goals: Thresholds,
    /// What would be better still.
    #[serde(default)]
    pub stretch: Thresholds,
    /// Another plan whose processor time this one's is held against.
    pub beside: Option<Beside>,
    /// How the load rises; with it, the plan is repeated until a threshold breaks.
    pub search: Option<Search>,
}

/// Conferences, their sizes and how long they last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// How many conferences there are.
    pub conferences: usize,
    /// How many people each has.
    pub participants: usize,
    /// How many of them talk at the same time.
    #[serde(default = "two")]
    pub talkers: usize,
    /// Seconds until others talk; 0: always the same.
    #[serde(default)]
    pub turn_seconds: f64,
    /// Seconds between the last join and the first measurement.
    #[serde(default = "settling")]
    pub settle_seconds: f64,
    /// Seconds of talk that are measured.
    pub hold_seconds: f64,
}

/// What the callers are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Callers {
    /// How many of a hundred speak which codec.
    pub codecs: Codecs,
    /// What those send who do not talk.
    pub background: Background,
    /// They offer the level extension of RFC 6464.
    pub audio_level: bool,
    /// They offer SRTP with this suite, with keys in the SDP (RFC 4568), and nothing else. Left out: they speak in the clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub srtp: Option<Suite>,
    /// How many of a hundred are users of the server who prove it; the others are strangers.
    pub registered: f64,
    /// How many of a hundred are users whom the conference calls.
    pub dialled_out: f64,
    /// Their clocks are wrong by so many millionths: every other caller's is slow, the others' are fast. At most 1,000.
    pub drift_ppm: f64,
}

/// How many of a hundred callers speak which codec.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Codecs {
    /// Opus at 48 kHz.
    pub opus: f64,
    /// G.711 mu-law.
    pub pcmu: f64,
    /// G.711 A-law.
    pub pcma: f64,
}

/// One codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Opus at 48 kHz.
    Opus,
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// What listeners send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Background {
    /// The noise of a quiet room, near -62 dB.
    #[default]
    Noise,
    /// Digital silence.
    Silence,
    /// A packet in each 400 ms.
    Dtx,
}

/// How callers come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Arrivals {
    /// Joins started in each second, whether or not earlier ones were answered.
    pub per_second: f64,
    /// Joins that may be unanswered at once; 0: any number.
    pub outstanding_max: usize,
    /// During the talk, this many in each second hang up and call again.
    pub churn_per_second: f64,
}

/// The network between some of the callers and the server, in both directions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// How many of a hundred callers have it.
    pub callers: f64,
    /// What it does.
    #[serde(flatten)]
    pub impairment: Impairment,
}

/// What a bad network does with datagrams.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Impairment {
    /// Delay of every datagram in ms.
    pub delay_ms: f64,
    /// The delay varies by as much, evenly, up and down, in ms. Order is kept.
    pub jitter_ms: f64,
    /// This many of a hundred go ahead of those before them.
    pub reorder: f64,
    /// This many of a hundred are lost.
    pub loss: f64,
    /// Mean length of a run of losses in datagrams (Gilbert-Elliott); up to 1: each by itself.
    pub burst: f64,
    /// Kilobits in each second; what waits for longer than 500 ms is lost. 0: any number.
    pub rate_kbit: f64,
    /// Seconds between cuts of the line; 0: none.
    pub cut_every_seconds: f64,
    /// Seconds a cut lasts.
    pub cut_seconds: f64,
}

/// What is checked beyond counting.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Check {
    /// Before the talk, members send tones in turn, and every other one must hear each and nobody himself.
    pub hearing: bool,
    /// How many of each conference send their tone, at most 12.
    pub speakers: usize,
    /// How many do so at once.
    pub together: usize,
    /// Somebody chirps during the talk, and others measure when it arrives.
    pub delay: bool,
}

/// When the generator doubts itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Generator {
    /// Threads that send and receive audio.
    pub threads: usize,
    /// A packet in a hundred that is sent later than this, in ms, makes the run invalid.
    pub late_p99_ms: f64,
    /// So does a sending thread that works for more than this share of its time, in percent.
    pub busy_percent: f64,
    /// And so do other programs of this machine that take more than this share of its processor time, in percent.
    pub others_percent: f64,
}

/// How the load rises in a capacity search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Participants added to each conference with each step; 0: conferences are added.
    #[serde(default)]
    pub more_participants: usize,
    /// Conferences added with each step.
    #[serde(default)]
    pub more_conferences: usize,
    /// After that, how many of a hundred more participants a conference has with each step.
    #[serde(default)]
    pub participants_percent: f64,
    /// And how many of a hundred more conferences there are.
    #[serde(default)]
    pub conferences_percent: f64,
    /// Steps at most.
    pub steps: usize,
    /// How often a step is tried before it counts as failed.
    #[serde(default = "once")]
    pub attempts: usize,
}

/// What protects the callers' audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// AES in counter mode, SHA-1 with a tag of 80 bits (RFC 3711): what every phone knows.
    AesCm,
    /// AES in Galois counter mode (RFC 7714).
    AesGcm,
}

/// Another plan, and how much more processor time a participant may cost here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// The other plan's name; its file lies beside this one's.
    pub plan: String,
    /// How many of a hundred more are good enough.
    pub cpu_more_percent: f64,
    /// And how many would be better still.
    pub stretch_percent: Option<f64>,
}

impl Default for Callers {
    fn default() -> Self {
        Self {
            codecs: Codecs::default(),
            background: Background::Noise,
            audio_level: true,
            srtp: None,
            registered: 0.0,
            dialled_out: 0.0,
            drift_ppm: 0.0,
        }
    }
}

impl Default for Codecs {
    fn default() -> Self {
        Self { opus: 100.0, pcmu: 0.0, pcma: 0.0 }
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { per_second: 50.0, outstanding_max: 0, churn_per_second: 0.0 }
    }
}

impl Default for Check {
    fn default() -> Self {
        Self { hearing: true, speakers: 6, together: 1, delay: false }
    }
}

impl Default for Generator {
    fn default() -> Self {
        Self { threads: 1, late_p99_ms: 10.0, busy_percent: 90.0, others_percent: 25.0 }
    }
}

impl Plan {
    /// Reads and checks a file. A plan it is to be set beside lies in the same folder.
    ///
    /// # Errors
    /// With the file's name and what to write instead.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| Failure(format!("{}: {error}", path.display())))?;
        let plan = Self::parse(&text).map_err(|why| Failure(format!("{}: {why}", path.display())))?;
        if let Some(beside) = &plan.beside {
            let other = path.with_file_name(format!("{}.toml", beside.plan));
            if !other.is_file() {
                let (path, name, other) = (path.display(), &beside.plan, other.display());
                return Err(Failure(format!(
                    "{path}: [beside] plan = {name:?}: name a plan of this folder; there is no {other}"
                )));
            }
        }
        Ok(plan)
    }

    /// Reads and checks a plan.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let plan: Self = toml::from_str(text).map_err(|error| Failure(in_plain_words(&error)))?;
        ranges::check(&plan)?;
        Ok(plan)
    }

    /// How many callers there are.
    pub const fn callers(&self) -> usize {
        self.shape.conferences.saturating_mul(self.shape.participants)
    }

    /// The codec of a caller: the same for the same plan, and even over any stretch of neighbours.
    pub fn codec_of(&self, caller: usize) -> Codec {
        let Codecs { opus, pcmu, pcma } = self.callers.codecs;
        let place = share_of(caller) * (opus + pcmu + pcma);
        match place {
            place if place < opus => Codec::Opus,
            place if place < opus + pcmu => Codec::Pcmu,
            _ => Codec::Pcma,
        }
    }

    /// Whether a caller belongs to a group of that many of a hundred; groups with different salts are independent.
    pub fn is_among(&self, caller: usize, percent: f64, salt: usize) -> bool {
        share_of(caller.wrapping_mul(7) + salt) * 100.0 < percent
    }

    /// Whether there is a bad network between a caller and the server.
    pub fn is_impaired(&self, caller: usize) -> bool {
        self.is_among(caller, self.network.callers, 3)
    }

    /// How much too long the frames of a caller's clock are, in millionths.
    pub fn drift_ppm(&self, caller: usize) -> f64 {
        // Neighbours in a conference differ, whatever the number of conferences.
        let place = caller / self.shape.conferences;
        if place.is_multiple_of(2) { self.callers.drift_ppm } else { -self.callers.drift_ppm }
    }

    /// The same plan with a higher load: `step` steps of the search.
    #[must_use]
    pub fn at_step(&self, step: usize) -> Self {
        let mut plan = self.clone();
        if let Some(search) = self.search {
            plan.shape.conferences += search.more_conferences * step;
            plan.shape.participants += search.more_participants * step;
            let grown = |count: usize, percent: f64| {
                (count as f64 * (1.0 + percent / 100.0).powf(step as f64)).round() as usize
            };
            plan.shape.conferences = grown(plan.shape.conferences, search.conferences_percent);
            plan.shape.participants = grown(plan.shape.participants, search.participants_percent);
        }
        plan
    }
}

/// What is wrong with a text, without the names of Rust's types.
fn in_plain_words(error: &toml::de::Error) -> String {
    let words = [("usize", "a whole number, 0 or more"), ("f64", "a number"), ("bool", "true or false")];
    let text = error.to_string();
    let plain = words
        .iter()
        .fold(text, |text, (name, plain)| text.replace(&format!("expected {name}"), &format!("expected {plain}")));
    plain.trim_end().to_owned()
}

/// A number from 0 up to 1 for each caller, spread evenly: multiples of the golden ratio (Weyl's sequence).
fn share_of(caller: usize) -> f64 {
    ((caller as f64 + 0.5) * 0.618_033_988_749_894_9).fract()
}

const fn once() -> usize {
    1
}

const fn one() -> u64 {
    1
}

const fn two() -> usize {
    2
}

const fn settling() -> f64 {
    2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "name = 'x'\nabout = 'y'\n[shape]\nconferences = 2\nparticipants = 5\nhold_seconds = 4\n";

    #[test]
    fn what_is_of_the_wrong_kind_is_told_without_the_names_of_types() {
        for (wrong, expected) in [
            ("participants = -1", "expected a whole number, 0 or more"),
            ("participants = 1e9", "expected a whole number, 0 or more"),
            ("participants = '5'", "expected a whole number, 0 or more"),
            ("participants = 2\nturn_seconds = 'x'", "expected a number"),
        ] {
            let why = Plan::parse(&LEAST.replace("participants = 5", wrong)).expect_err(wrong).0;
            assert!(why.ends_with(expected), "{wrong}: {why}");
        }
    }

    #[test]
    fn a_short_plan_is_filled_up() {
        let plan = Plan::parse(LEAST).expect("valid");
        assert_eq!((plan.callers(), plan.shape.talkers, plan.check.hearing), (10, 2, true));
        assert!((0..10).all(|caller| plan.codec_of(caller) == Codec::Opus));
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("[shapes]\n", "unknown field"),
            ("[callers]\ncodecs = { opus = 0 }\n", "codecs"),
            ("[callers]\nregistered = 101\n", "registered"),
            ("[check]\nspeakers = 13\n", "12"),
            ("[search]\nsteps = 3\n", "neither"),
            ("[thresholds]\njoin_p98_ms = 3\n", "unknown field"),
        ];
        for (more, word) in cases {
            let fault = Plan::parse(&format!("{LEAST}{more}")).expect_err(more).0;
            assert!(fault.contains(word), "{more}: {fault}");
        }
    }

    #[test]
    fn a_plan_beside_another_lies_beside_it() -> Result<(), Failure> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("x.toml");
        std::fs::write(&path, format!("{LEAST}[beside]\nplan = 'other'\ncpu_more_percent = 25\n"))?;
        let why = Plan::read(&path).expect_err("no such plan").0;
        assert!(why.contains("x.toml: [beside] plan = \"other\": name a plan of this folder"), "{why}");
        std::fs::write(folder.path().join("other.toml"), LEAST)?;
        Plan::read(&path)?;
        Ok(())
    }

    #[test]
    fn every_plan_of_the_folders_is_valid_and_has_its_name() {
        let plans = |folder: &str| -> Vec<Plan> {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let entries = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
            let files = entries.filter(|path| path.is_file()).map(|path| {
                let plan = Plan::read(&path).unwrap_or_else(|why| panic!("{why}"));
                assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(plan.name.as_str()));
                assert!(plan.thresholds.set().count() > 0, "{}: without thresholds it cannot fail", plan.name);
                plan
            });
            files.collect()
        };
        assert!(plans("plans").len() > 5);
        let figures = plans("plans/figures");
        for plan in &figures {
            let aims = plan.goals.set().count() + plan.beside.iter().len();
            assert!(aims > 0, "{}: it aims at nothing", plan.name);
        }
    }

    #[test]
    fn codecs_are_spread_as_asked() {
        let mut plan = Plan::parse(LEAST).expect("valid");
        plan.callers.codecs = Codecs { opus: 60.0, pcmu: 30.0, pcma: 10.0 };
        let count = |codec| (0..100).filter(|caller| plan.codec_of(*caller) == codec).count();
        assert_eq!([Codec::Opus, Codec::Pcmu, Codec::Pcma].map(count), [60, 30, 10]);
        let among = (0..50).filter(|caller| plan.is_among(*caller, 20.0, 1)).count();
        assert!((9..=11).contains(&among), "{among}");
    }

    #[test]
    fn a_search_raises_what_it_says() {
        let text = format!("{LEAST}[search]\nmore_participants = 3\nsteps = 4\n");
        let plan = Plan::parse(&text).expect("valid");
        assert_eq!((plan.at_step(0).callers(), plan.at_step(2).callers()), (10, 22));
        let text = format!("{LEAST}[search]\nconferences_percent = 50\nsteps = 4\n");
        let plan = Plan::parse(&text).expect("valid");
        assert_eq!([0, 1, 3].map(|step| plan.at_step(step).shape.conferences), [2, 3, 7]);
    }
}
