//! Rules about the text itself: what no file may hold, and what each must.

use std::path::Path;

use crate::source::{TextFile, files};

/// Longest Rust file in lines. A file is one noun and a few screens; the longest tolerated is far beyond that.
const LINES_MAX: usize = 900;

/// Files that may be longer, each with its reason.
const LONGER: &[(&str, &str)] = &[];

/// Crates without clock, socket, thread and global randomness: what they need is an argument.
const PURE: &[&str] = &[
    "base",
    "sip-api",
    "mcu-api",
    "c3p",
    "sdp",
    "focus",
    "routing",
    "response-group",
    "call",
    "mixer",
    "media",
    "mcu",
    "prompts",
    "engine",
];

/// Words a pure crate may not hold.
const IMPURE: &[&str] = &[
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "Instant",
    "SystemTime",
    "tokio",
    "std::thread",
    "thread_rng",
    "OsRng",
    "from_os_rng",
];

/// Files of pure crates that may hold one of those words, each with its reason.
const IMPURE_ALLOWED: &[(&str, &str, &str)] = &[];

/// Crates that may hold `unsafe`: they call foreign libraries and the operating system.
const UNSAFE: &[&str] = &["codecs", "media-io"];

/// A crate root shorter than this has nothing to explain yet.
const STUB_LINES: usize = 5;

/// Every breach below the root.
pub fn faults(root: &Path) -> Vec<String> {
    files(root).iter().flat_map(file_faults).collect()
}

/// Every breach in one file.
pub fn file_faults(file: &TextFile) -> Vec<String> {
    let mut faults = machine_paths(file);
    if file.path.ends_with(".rs") {
        faults.extend(length(file));
        faults.extend(leftovers(file));
        faults.extend(crate_root(file));
    }
    if file.is_shipped_source() {
        faults.extend(purity(file));
        faults.extend(unwraps(file));
    }
    faults
}

fn machine_paths(file: &TextFile) -> Vec<String> {
    // Written in two pieces, so that this file does not hold them.
    let prefixes = [concat!("/", "root/"), concat!("/", "home/"), concat!("/", "Users/"), concat!("C:", "\\Users")];
    let holds = |line: &str| prefixes.iter().any(|prefix| line.contains(prefix));
    report(file, file.text.lines().enumerate(), holds, "a path of somebody's machine")
}

fn length(file: &TextFile) -> Vec<String> {
    let lines = file.text.lines().count();
    if lines <= LINES_MAX || LONGER.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    vec![format!("{}: {lines} lines; more than {LINES_MAX} is no longer one noun", file.path)]
}

/// A debt is named by its kind and says what is owed, so that debts can be counted: `T-O-D-O-hardening: sentence.`
fn leftovers(file: &TextFile) -> Vec<String> {
    let word = concat!("TO", "DO");
    let holds = |line: &str| {
        line.split(word).skip(1).any(|after| {
            let sentence = after.strip_prefix('-').and_then(|kind| kind.split_once(": ")).map(|(_, sentence)| sentence);
            sentence.is_none_or(|sentence| sentence.trim().len() < 10)
        })
    };
    report(file, file.text.lines().enumerate(), holds, "a debt without kind and reason")
}

fn crate_root(file: &TextFile) -> Vec<String> {
    let Some(name) = file.crate_name() else { return Vec::new() };
    let below = file.path.split('/').skip(2).collect::<Vec<_>>().join("/");
    if !matches!(below.as_str(), "src/lib.rs" | "src/main.rs") || file.text.lines().count() < STUB_LINES {
        return Vec::new();
    }
    let mut faults = Vec::new();
    if !file.text.starts_with("//! ") {
        faults.push(format!("{}: a crate begins with what it decides and what it must not know", file.path));
    }
    let safe = file.text.contains("#![forbid(unsafe_code)]");
    if below == "src/lib.rs" && !safe && !UNSAFE.contains(&name) {
        faults.push(format!("{}: #![forbid(unsafe_code)] is missing", file.path));
    }
    faults
}

fn purity(file: &TextFile) -> Vec<String> {
    if !file.crate_name().is_some_and(|name| PURE.contains(&name)) {
        return Vec::new();
    }
    let allowed = |word: &str| IMPURE_ALLOWED.iter().any(|(path, allowed, _)| *path == file.path && *allowed == word);
    let holds = |line: &str| IMPURE.iter().any(|word| has_word(line, word) && !allowed(word));
    let lines = file.shipped_lines();
    let lines = lines.iter().map(|(number, line)| (number - 1, *line));
    report(file, lines, holds, "clock, socket, thread or global randomness in a pure crate")
}

fn unwraps(file: &TextFile) -> Vec<String> {
    let call = concat!(".unwrap", "()");
    let lines = file.shipped_lines();
    let lines = lines.iter().map(|(number, line)| (number - 1, *line));
    report(file, lines, |line| line.contains(call), "unwrap; write expect with the invariant, or an error")
}

/// One fault for each line (numbers from 0) that holds something forbidden.
fn report<'a>(
    file: &TextFile,
    lines: impl Iterator<Item = (usize, &'a str)>,
    holds: impl Fn(&str) -> bool,
    what: &str,
) -> Vec<String> {
    lines
        .filter(|(_, line)| holds(line))
        .map(|(index, line)| format!("{}:{}: {what}: {}", file.path, index + 1, line.trim()))
        .collect()
}

/// Whether the line holds the word, not as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part_of_name) && !line[at + word.len()..].starts_with(part_of_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str) -> usize {
        file_faults(&TextFile { path: path.to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn each_rule_finds_its_breach() {
        let debt = concat!("// TO", "DO later");
        let named_debt = concat!("// TO", "DO-hardening: the limit is guessed.");
        let cases = [
            ("crates/focus/src/a.rs", "use std::time::Instant;", 1),
            ("crates/focus/src/a.rs", "use std::time::Instantly;", 0),
            ("crates/focus/src/a.rs", "// no Instant here", 0),
            ("crates/focus/src/a.rs", "#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}", 0),
            ("crates/sip/src/a.rs", "use std::time::Instant;", 0),
            ("crates/sip/src/a.rs", concat!("x.unwrap", "();"), 1),
            ("crates/sip/tests/a.rs", concat!("x.unwrap", "();"), 0),
            ("crates/sip/src/a.rs", debt, 1),
            ("crates/sip/src/a.rs", named_debt, 0),
            ("README.md", concat!("cd /", "home/ann/convoke"), 1),
            ("crates/sip/src/lib.rs", "//! Header.\n#![forbid(unsafe_code)]\n\n\n\n", 0),
            ("crates/sip/src/lib.rs", "mod a;\n\n\n\n\n", 2),
            ("crates/codecs/src/lib.rs", "//! Header.\n\n\n\n\n", 0),
        ];
        for (path, text, expected) in cases {
            assert_eq!(check(path, text), expected, "{path}: {text}");
        }
        assert_eq!(check("crates/sip/src/a.rs", &"\n".repeat(LINES_MAX + 1)), 1);
    }
}
