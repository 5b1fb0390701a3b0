//! Fuzzing without a framework: seeds are replayed, then mutated, and handed to a parser, which must not panic, hang,
//! or break what its target asserts about it.
//!
//! A run under `cargo test` is the same each time: fixed seed, fixed number of rounds. `FUZZ_SECONDS=600` runs each
//! target for that time from a new random seed instead, which is printed; `FUZZ_SEED=n` chooses it. An input that fails
//! is made smaller and written to `tests/corpus/TARGET/`, whose files are replayed first in every run: rename it to say
//! what it broke, and it stays as a regression test.
//!
//! Must not know: any parser. The targets are in `tests/targets`, except for what is private to a binary.
//! Start reading at [`Target`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod mutate;
mod random;
mod watch;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::mutate::Mutator;
use crate::random::Random;
use crate::watch::Watch;

/// Rounds of a run whose length nobody chose.
const ROUNDS: u32 = 20_000;
/// Attempts to make a failing input smaller.
const SHRINKS: usize = 2_000;
/// Bytes of the largest input, unless the target says otherwise.
const LARGEST: usize = 8_192;

/// One parser under mutated inputs.
pub struct Target {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    words: &'static [&'static str],
    rounds: u32,
    largest: usize,
}

/// A target. Its name is that of its directory below `tests/corpus`.
pub fn target(name: &'static str) -> Target {
    let seeds = files(&tests().join("corpus").join(name));
    Target { name, seeds, words: &[], rounds: ROUNDS, largest: LARGEST }
}

impl Target {
    /// Starts from every file in a directory below `tests`, and in the directories below that.
    ///
    /// # Panics
    /// When it holds none: the target would then test next to nothing.
    #[must_use]
    pub fn files(mut self, directory: &str) -> Self {
        let found = files(&tests().join(directory));
        assert!(!found.is_empty(), "{}: no seeds in tests/{directory}", self.name);
        self.seeds.extend(found);
        self
    }

    /// Starts from these texts too.
    #[must_use]
    pub fn seeds<T: AsRef<[u8]>>(mut self, seeds: impl IntoIterator<Item = T>) -> Self {
        self.seeds.extend(seeds.into_iter().map(|seed| seed.as_ref().to_vec()));
        self
    }

    /// Words that are worth trying anywhere.
    #[must_use]
    pub fn words(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }

    /// How many inputs a run under `cargo test` makes; fewer for a slow parser.
    #[must_use]
    pub fn rounds(mut self, rounds: u32) -> Self {
        self.rounds = rounds;
        self
    }

    /// Bytes of the largest input.
    #[must_use]
    pub fn largest(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    /// Replays the seeds and runs the mutations.
    ///
    /// # Panics
    /// When `parser` does; the message names the file with the input.
    pub fn run(self, parser: impl Fn(&[u8])) {
        let watch = Watch::start(self.name, corpus(self.name));
        self.seeds.iter().for_each(|seed| self.attempt(&watch, seed, &parser));
        let (seed, end) = plan(self.name);
        let mut mutator = Mutator::new(Random::new(seed), &self.seeds, self.words, self.largest);
        let mut round = 0;
        while end.map_or(round < self.rounds, |end| Instant::now() < end) {
            self.attempt(&watch, &mutator.next(), &parser);
            round += 1;
        }
    }

    /// As [`Target::run`], for parsers of text; what is no UTF-8 is replaced.
    pub fn run_text(self, parser: impl Fn(&str)) {
        self.run(|bytes| parser(&String::from_utf8_lossy(bytes)));
    }

    fn attempt(&self, watch: &Watch, input: &[u8], parser: &impl Fn(&[u8])) {
        watch.begin(input);
        let fails = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| parser(input))).err();
        if let Some(panic) = fails(input) {
            let path = keep(&corpus(self.name), "found", &shrink(input, |input| fails(input).is_some()));
            say(&format!("{}: the input is in {}", self.name, path.display()));
            resume_unwind(panic);
        }
    }
}

/// The random seed, and when to stop if the time was chosen.
fn plan(name: &str) -> (u64, Option<Instant>) {
    let number = |variable| std::env::var(variable).ok().and_then(|text| text.parse::<u64>().ok());
    let end = number("FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let seed = number("FUZZ_SEED").unwrap_or_else(|| match end {
        Some(_) => hash(&(std::process::id(), std::time::SystemTime::now())),
        None => hash(&name),
    });
    say(&format!("{name}: FUZZ_SEED={seed}"));
    (seed, end)
}

/// The smallest input found that still fails.
fn shrink(input: &[u8], fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut smallest = input.to_vec();
    let mut piece = smallest.len().div_ceil(2);
    let mut left = SHRINKS;
    while piece > 0 {
        let mut at = 0;
        while at < smallest.len() && left > 0 {
            let end = (at + piece).min(smallest.len());
            let shorter = [&smallest[..at], &smallest[end..]].concat();
            left -= 1;
            if fails(&shorter) { smallest = shorter } else { at = end }
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    smallest
}

/// Writes an input down and says where.
fn keep(directory: &Path, kind: &str, input: &[u8]) -> PathBuf {
    let path = directory.join(format!("{kind}-{:016x}", hash(&input)));
    if let Err(error) = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&path, input)) {
        say(&format!("{}: {error}; the input was {input:?}", path.display()));
    }
    path
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The directory `tests` of the workspace.
fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn corpus(name: &str) -> PathBuf {
    tests().join("corpus").join(name)
}

/// Every file below a directory, in the order of their names; a directory that is not there is empty.
fn files(directory: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
        .iter()
        .flat_map(|path| if path.is_dir() { files(path) } else { std::fs::read(path).into_iter().collect() })
        .collect()
}

#[expect(clippy::print_stderr, reason = "a test's output is its report")]
fn say(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_input_is_found_and_made_small() {
        let seeds = [b"a < b, or <b> is bold".to_vec()];
        let brittle = |input: &[u8]| input.windows(2).any(|pair| pair == b"<<");
        let mut mutator = Mutator::new(Random::new(7), &seeds, &[], 100);
        let found = (0..10_000).map(|_| mutator.next()).find(|input| brittle(input)).expect("a mutation that fails");
        assert_eq!(shrink(&found, brittle), b"<<");
    }

    #[test]
    fn the_same_seed_makes_the_same_inputs_and_none_is_too_large() {
        let seeds = [b"Via: SIP/2.0/UDP 10.0.0.1:5060".to_vec(), vec![0; 4_000]];
        let inputs = |seed| {
            let mut mutator = Mutator::new(Random::new(seed), &seeds, &["branch="], 1_000);
            (0..500).map(|_| mutator.next()).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        assert!(inputs(1).iter().all(|input| input.len() <= 1_000));
    }
}
