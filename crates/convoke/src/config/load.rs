//! From a file and the environment to a [`Config`]; unknown keys are refused with what was probably meant.

use std::path::Path;

use figment::error::{Error, Kind as ErrorKind};
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Profile};

use super::key::{Key, Kind, Section};
use super::keys::{self, RESERVED, SECTIONS};
use super::problem::Problem;
use super::{Config, ConfigError};

/// What every variable of the configuration begins with; `__` stands between section and key.
const PREFIX: &str = "CONVOKE__";

/// Reads the file, if there is one, and the environment, which wins.
pub(crate) fn load(path: Option<&Path>) -> Result<Config, ConfigError> {
    let text = match path {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File { path: path.to_owned(), why: error.to_string() })?,
        None => String::new(),
    };
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    match read(&text, variables) {
        Ok(config) => Ok(Config { file: path.map(Path::to_owned), ..config }),
        Err(ConfigError::Syntax { why, .. }) => Err(ConfigError::Syntax { path: path.map(Path::to_owned), why }),
        Err(error) => Err(error),
    }
}

/// Reads a text alone, without the environment.
pub(crate) fn parse(text: &str) -> Result<Config, ConfigError> {
    read(text, std::iter::empty())
}

fn read(text: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    let mut figment = Figment::from(Toml::string(text));
    let mut set = Vec::new();
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        let path = path.to_ascii_lowercase().replace("__", ".");
        figment =
            figment.merge(Serialized::from(figment::util::nest(&path, variable(&path, &value)), Profile::Default));
        set.push((path, name));
    }
    let tree: Dict = figment
        .extract()
        .map_err(|error| ConfigError::Syntax { path: None, why: without_excerpt(&error.to_string()) })?;
    let mut problems = Vec::new();
    examine(&tree, "", "", &mut problems);
    if problems.is_empty() {
        let tree = Value::from(tree);
        match figment.extract::<Config>() {
            Ok(config) => return Ok(Config { variables: set, ..config }),
            Err(errors) => problems.extend(errors.into_iter().map(|error| explain(&error, &tree))),
        }
    }
    problems.iter_mut().for_each(|problem| problem.note_source(&set));
    Err(ConfigError::Keys(problems))
}

/// The TOML reader quotes the line it stumbled over, which may hold a password; line and column remain.
fn without_excerpt(error: &str) -> String {
    let is_excerpt =
        |line: &str| line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().starts_with('|');
    error.lines().filter(|line| !is_excerpt(line)).collect::<Vec<_>>().join(": ")
}

/// A variable's value. A text stays as it is: `+4930123450` and `7000` would otherwise become numbers.
fn variable(path: &str, value: &str) -> Value {
    match find_key(path) {
        Some(Key { kind: Kind::Text | Kind::Secret, .. }) => Value::from(value),
        _ => value.parse().unwrap_or_else(|never: std::convert::Infallible| match never {}),
    }
}

fn find_key(path: &str) -> Option<&'static Key> {
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    keys::section(section)?.keys.iter().find(|key| key.name == name)
}

/// Looks for keys that the table does not have. `shown` is the section's name with the entries' numbers.
fn examine(tree: &Dict, section: &str, shown: &str, problems: &mut Vec<Problem>) {
    for (name, value) in tree {
        let path = join(section, name);
        let shown = join(shown, name);
        if RESERVED.contains(&path.as_str()) {
            problems.push(Problem::new(shown, None, "this version does not serve it yet; remove it"));
        } else if let Some(inner) = keys::section(&path) {
            examine_section(inner, value, &shown, problems);
        } else if find_key(&path).is_none() {
            let (remedy, is_secret) = meant(section, name);
            let value = (!is_secret).then(|| render(value));
            problems.push(Problem::new(shown, value, format!("there is no such key; {remedy}")));
        }
    }
}

fn examine_section(section: &Section, value: &Value, shown: &str, problems: &mut Vec<Problem>) {
    match value {
        Value::Dict(_, dict) if !section.is_list => examine(dict, section.name, shown, problems),
        Value::Array(_, entries) if section.is_list => {
            for (index, entry) in entries.iter().enumerate() {
                let shown = format!("{shown}[{}]", index + 1);
                match entry.as_dict() {
                    Some(dict) => examine(dict, section.name, &shown, problems),
                    None => problems.push(not_a_section(section, &shown)),
                }
            }
        }
        _ => problems.push(not_a_section(section, shown)),
    }
}

fn not_a_section(section: &Section, shown: &str) -> Problem {
    Problem::new(shown, None, format!("write it as a section of its own, under {}", section.header()))
}

fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// What somebody who wrote an unknown key probably meant, and whether that would be a secret.
fn meant(section: &str, name: &str) -> (String, bool) {
    let names = names_in(section);
    let nearest = names.iter().map(|known| (distance(known, name), *known)).min();
    if let Some((distance, known)) = nearest
        && distance <= 1 + name.len() / 4
    {
        return (format!("did you mean {known}?"), is_secret(find_key(&join(section, known))));
    }
    let elsewhere = SECTIONS.iter().find_map(|other| Some((other, other.keys.iter().find(|key| key.name == name)?)));
    match elsewhere {
        Some((other, key)) if other.name.is_empty() => {
            (format!("write {name} above the first section"), is_secret(Some(key)))
        }
        Some((other, key)) => (format!("{name} belongs to {}", other.header()), is_secret(Some(key))),
        None => (format!("remove it; known here are {}", names.join(", ")), false),
    }
}

/// The keys of a section and the sections right below it.
fn names_in(section: &str) -> Vec<&'static str> {
    let keys = keys::section(section).map_or(&[][..], |section| section.keys).iter().map(|key| key.name);
    let prefix = if section.is_empty() { String::new() } else { format!("{section}.") };
    let below = SECTIONS.iter().filter_map(|inner| inner.name.strip_prefix(prefix.as_str()));
    keys.chain(below.filter(|name| !name.is_empty() && !name.contains('.'))).collect()
}

fn is_secret(key: Option<&Key>) -> bool {
    key.is_some_and(|key| key.kind == Kind::Secret)
}

/// Levenshtein's distance: insertions, deletions and substitutions.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

/// serde's error in words of the file.
fn explain(error: &Error, tree: &Value) -> Problem {
    let mut value = Some(tree);
    let (mut shown, mut path) = (String::new(), String::new());
    for step in &error.path {
        if let Ok(index) = step.parse::<usize>() {
            shown.push_str(&format!("[{}]", index + 1));
            value = value.and_then(Value::as_array).and_then(|entries| entries.get(index));
        } else {
            shown = join(&shown, step);
            path = join(&path, step);
            value = value.and_then(Value::as_dict).and_then(|dict| dict.get(step));
        }
    }
    if let ErrorKind::MissingField(name) = &error.kind {
        let example =
            find_key(&join(&path, name)).map_or(String::new(), |key| format!(", as in {name} = {}", key.production));
        return Problem::new(join(&shown, name), None, format!("it is missing; add it{example}"));
    }
    let key = find_key(&path);
    let value = value.filter(|_| !is_secret(key)).map(render);
    Problem::new(shown, value, reason(&error.kind, key))
}

fn reason(kind: &ErrorKind, key: Option<&Key>) -> String {
    let example = key.map_or(String::new(), |key| format!("; write for example {} = {}", key.name, key.production));
    match kind {
        ErrorKind::InvalidType(figment::error::Actual::Unsigned(_) | figment::error::Actual::Signed(_), _)
            if key.is_some_and(|key| matches!(key.kind, Kind::Text | Kind::Secret)) =>
        {
            format!("a text in quotes is wanted{example}")
        }
        ErrorKind::UnknownVariant(_, known) => format!("write one of \"{}\"", known.join("\", \"")),
        ErrorKind::Message(why) if why.contains("write") => why.clone(),
        ErrorKind::Message(why) => format!("{why}{example}"),
        ErrorKind::InvalidType(_, wanted) | ErrorKind::InvalidValue(_, wanted) => {
            format!("{} is wanted{example}", in_words(&wanted.to_string()))
        }
        other => format!("{other}{example}"),
    }
}

/// serde's names of types in an operator's words.
fn in_words(wanted: &str) -> &str {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more,",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "a sequence" => "a list in square brackets",
        "a boolean" => "true or false",
        other => other,
    }
}

fn render(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Char(_, char) => format!("\"{char}\""),
        Value::Bool(_, truth) => truth.to_string(),
        Value::Num(_, number) => number
            .to_i128()
            .map(|n| n.to_string())
            .or_else(|| number.to_u128().map(|n| n.to_string()))
            .or_else(|| number.to_f64().map(|n| n.to_string()))
            .unwrap_or_default(),
        Value::Empty(..) => "nothing".to_owned(),
        Value::Dict(..) => "{...}".to_owned(),
        Value::Array(_, values) => format!("[{}]", values.iter().map(render).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text).expect_err(text).to_string()
    }

    #[test]
    fn what_cannot_be_read_is_told_with_key_value_and_remedy() {
        let user = "[[user]]\nuri = \"sip:a@localhost\"\npassword = \"12345678\"\n";
        let table: &[(&str, &[&str])] = &[
            ("domian = \"x\"", &["domian = \"x\"", "did you mean domain?"]),
            ("[media]\nport = \"1-2\"", &["media.port = \"1-2\"", "did you mean ports?"]),
            ("[sip]\nports = \"1-2\"", &["sip.ports", "ports belongs to [media]"]),
            ("[sip]\ndata_dir = \"x\"", &["sip.data_dir", "above the first section"]),
            ("zebra = 1\ngiraffe = 2", &["zebra = 1", "giraffe = 2", "known here are data_dir"]),
            ("[[users]]\nuri = \"x\"", &["users", "did you mean user?"]),
            ("[user]\nuri = \"x\"", &["user", "[[user]]"]),
            ("[[sip]]\nlisten = []", &["sip", "[sip]"]),
            ("[cluster]\nnats_url = \"x\"", &["cluster", "does not serve it yet; remove it"]),
            ("[[response_group]]\nmethd = \"x\"", &["response_group[1].methd", "did you mean method?"]),
            ("[[response_group]]\nname = \"x\"", &["response_group[1]", "uri", "missing"]),
            ("[sip]\nlisten = [\"udp:127.0.0.1:5060\", \"sctp:1\"]", &["sip.listen[2] = \"sctp:1\"", "write udp:"]),
            ("[media]\nports = \"20001-20010\"", &["media.ports = \"20001-20010\"", "even port"]),
            ("[media]\nports = \"30000-20001\"", &["exchange them"]),
            ("[media]\nports = \"20000-20001\"", &["at least 4 ports"]),
            ("[media]\nports = \"80-2001\"", &["1024 to 65535"]),
            ("[media]\nsrtp = \"on\"", &["media.srtp = \"on\"", "\"off\", \"support\", \"require\""]),
            ("[media]\nworkers = \"many\"", &["media.workers = \"many\"", "workers = 4"]),
            ("[media]\naddress = \"example.com\"", &["media.address = \"example.com\"", "write for example"]),
            ("[http]\nlisten = \"8080\"", &["http.listen = \"8080\"", "127.0.0.1:8080"]),
            ("[sip.tls]\ncertificate = \"c\"", &["sip.tls.key", "it is missing"]),
            ("[[conference]]\nnumber = 7000", &["conference[1].number = 7000", "in quotes", "number = \"7000\""]),
            ("[[conference]]\nnumber = \"7x\"", &["conference[1].number = \"7x\"", "only the digits"]),
            ("[[user]]\nuri = \"ann\"\npassword = \"p\"", &["user[1].uri = \"ann\"", "sip:ann@voice.example.com"]),
            ("[[user]]\nuri = \"sip:a@b\"", &["user[1].password", "it is missing"]),
            (
                "[[location_profile]]\nname = \"x\"\n[[location_profile.rule]]\npatern = \"1\"",
                &["location_profile[1].rule[1].patern", "did you mean pattern?"],
            ),
            ("domain = ", &["not valid TOML"]),
        ];
        for (text, fragments) in table {
            let told = error(text);
            for fragment in *fragments {
                assert!(told.contains(fragment), "{text}\nsays: {told}\nlacks: {fragment}");
            }
        }
        let told = error(&format!("{user}{user}role = \"boss\""));
        assert!(told.contains("user[2].role = \"boss\": write one of \"user\", \"operator\""), "{told}");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let told = error("[[conference]]\nnumber = \"1\"\npin = 918273");
        assert!(told.contains("conference[1].pin: a text in quotes") && !told.contains("918273"), "{told}");
        for text in ["[[user]]\npasword = \"918273\"", "[sip]\npin = 918273", "[[user]]\npassword = \"918273"] {
            assert!(!error(text).contains("918273"), "{}", error(text));
        }
        assert!(error("[[user]]\npassword = \"918273").contains("line 2"));
        let config = parse("[[user]]\nuri = \"sip:a@b\"\npassword = \"correct horse\"").expect("valid");
        assert!(!format!("{config:?}").contains("correct"));
    }

    #[test]
    fn the_environment_wins() {
        let variables = [
            ("CONVOKE__DOMAIN", "voice.example.com"),
            ("CONVOKE__CALLER_NUMBER", "+4930123450"),
            ("CONVOKE__HTTP__LISTEN", "127.0.0.1:9999"),
            ("CONVOKE__SIP__LISTEN", "[\"udp:127.0.0.1:5070\"]"),
            ("CONVOKE__MEDIA__MUSIC_WHEN_ALONE", "false"),
            ("CONVOKE__MEDIA__WORKERS", "3"),
            ("CONVOKE_LOG", "debug"),
        ];
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = read("domain = \"x.example\"\n[media]\nworkers = 1\ndscp = 10", variables).expect("valid");
        assert_eq!(
            (config.domain.as_str(), config.caller_number.as_deref()),
            ("voice.example.com", Some("+4930123450"))
        );
        assert_eq!((config.http.listen.port(), config.sip.listen.len()), (9999, 1));
        assert_eq!(
            (config.media.workers, config.media.dscp, config.media.music_when_alone),
            (Some(3), Some(10), false)
        );
        let wrong = [("CONVOKE__SIP__LISTN".to_owned(), "x".to_owned())].into_iter();
        assert!(read("", wrong).expect_err("unknown").to_string().contains("did you mean listen?"));
    }

    #[test]
    fn what_a_variable_says_wrong_is_told_with_its_name_and_value() {
        for (name, value, fragments) in [
            ("CONVOKE__DRAIN_SECONDS", "abc", ["drain_seconds = \"abc\"", "a whole number"]),
            ("CONVOKE__SIP__LISTEN", "udp:x", ["sip.listen = \"udp:x\"", "a list in square brackets"]),
            ("CONVOKE__SIP__DSCP", "99", ["error: sip.dscp = 99", "0 to 63"]),
            ("CONVOKE__NONSENSE", "3", ["nonsense = 3", "no such key"]),
            ("CONVOKE__MEDIA__PORTS", "1-2", ["media.ports = \"1-2\"", "FIRST-LAST"]),
        ] {
            let told = match read("[media]\ndscp = 1", [(name.to_owned(), value.to_owned())].into_iter()) {
                Ok(config) => crate::config::check(&config).iter().map(ToString::to_string).collect(),
                Err(error) => error.to_string(),
            };
            let source = format!("(environment variable {name})");
            assert!(fragments.iter().all(|fragment| told.contains(fragment)) && told.contains(&source), "{told}");
        }
        let secret = [("CONVOKE__USER".to_owned(), "[{uri = \"sip:a@b\", password = 12345678}]".to_owned())];
        let told = read("", secret.into_iter()).expect_err("a number").to_string();
        assert!(told.contains("CONVOKE__USER") && !told.contains("12345678"), "{told}");
        assert!(!error("[sip]\nlisten = 5").contains("environment"));
    }

    #[test]
    fn a_missing_file_is_told_with_its_path() {
        let told = load(Some(Path::new("/nonexistent/convoke.toml"))).expect_err("missing").to_string();
        assert!(told.contains("/nonexistent/convoke.toml") && told.contains("print-default"), "{told}");
    }

    #[test]
    fn any_file_is_read_or_refused() {
        const WORDS: &[&str] = &[
            "[[user]]\n",
            "[[conference]]\n",
            "[[trunk]]\n",
            "[sip.tls]\n",
            "[media]\nports = \"1024-65535\"\n",
            "= \"\"",
            "= -1",
            "= true",
            "[]",
            "\"\"\"",
            "\\u0000",
        ];
        let seeds = [crate::config::print_default(), "[[user]]\nuri = \"sip:a@b\"\npassword = \"1\"\n".to_owned()];
        fuzz::target("configuration").seeds(seeds).words(WORDS).rounds(1_500).run_text(|text| match parse(text) {
            Ok(config) => {
                let _findings: Vec<String> = crate::config::check(&config).iter().map(ToString::to_string).collect();
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        });
    }
}
