//! Location profiles: ordered rules from dialled digits to numbers (c3p.md 6.4).

use base::Pii;
use regex::{Regex, RegexBuilder};

use crate::clean::{Cleaned, clean};
use crate::number::{InvalidNumber, Normalized, Number};

/// Rules of a profile.
const RULES_MAX: usize = 256;
/// Characters of a pattern or translation.
const PATTERN_MAX: usize = 512;
/// Bytes a compiled pattern may take.
const COMPILED_MAX: usize = 1 << 20;

/// One rule of a location profile, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Regular expression over the cleaned dialled string (digits, `*`, `#`). It must match the whole of it, whether
    /// it is anchored or not: a rule that matches somewhere in the middle is a known cause of wrong numbers.
    pub pattern: String,
    /// What it becomes: `+` and digits for a global number, digits for an extension. `$1`, `${1}` and `${name}` stand
    /// for groups, `$0` and `$&` for the whole match, `$$` for a dollar sign, as in .NET.
    pub translation: String,
}

/// Why a profile is refused at load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("location profile {profile:?}{}: {why}", rule.map_or(String::new(), |rule| format!(", rule {}", rule + 1)))]
pub struct ProfileError {
    /// The profile.
    pub profile: String,
    /// Index of the rule, if one is to blame.
    pub rule: Option<usize>,
    /// What is wrong and what to write instead.
    pub why: String,
}

/// An ordered list of compiled rules; the first that matches wins. Matching takes time linear in the dialled string.
#[derive(Clone, Debug)]
pub struct LocationProfile {
    name: String,
    rules: Vec<CompiledRule>,
    emergency: Vec<String>,
}

#[derive(Clone, Debug)]
struct CompiledRule {
    pattern: Regex,
    translation: String,
}

impl LocationProfile {
    /// Compiles a profile. The name has 1 to 256 letters, digits and `-.+_()` (c3p.md 6.4).
    pub fn compile(name: &str, rules: &[Rule]) -> Result<Self, ProfileError> {
        let error = |rule, why: String| ProfileError { profile: name.to_owned(), rule, why };
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-.+_()".contains(&byte);
        if !(1..=256).contains(&name.len()) || !name.bytes().all(valid) {
            return Err(error(None, "a name has 1 to 256 letters, digits and -.+_() without blanks".to_owned()));
        }
        if rules.len() > RULES_MAX {
            return Err(error(None, format!("it has {} rules; at most {RULES_MAX} are allowed", rules.len())));
        }
        let compiled = rules
            .iter()
            .enumerate()
            .map(|(index, rule)| CompiledRule::compile(rule).map_err(|why| error(Some(index), why)));
        Ok(Self { name: name.to_owned(), rules: compiled.collect::<Result<_, _>>()?, emergency: Vec::new() })
    }

    /// The numbers that are emergency calls for users of this profile, as dialled (`112`, `911`). They are recognised
    /// before any rule.
    #[must_use]
    pub fn with_emergency(mut self, numbers: &[String]) -> Self {
        self.emergency = numbers.to_vec();
        self
    }

    /// The profile's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Cleans and normalises a dialled string. A global number passes by the rules.
    pub fn normalize(&self, dialled: &str) -> Normalized {
        match clean(dialled) {
            Ok(cleaned) => self.normalize_cleaned(cleaned),
            Err(why) => Normalized { number: Number::Invalid(why), rule: None, extension: None },
        }
    }

    /// A profile that knows global numbers only.
    pub(crate) fn without_rules() -> Self {
        Self { name: String::new(), rules: Vec::new(), emergency: Vec::new() }
    }

    /// Whether cleaned digits are an emergency call.
    pub(crate) fn is_emergency(&self, digits: &str) -> bool {
        self.emergency.iter().any(|number| number == digits)
    }

    pub(crate) fn normalize_cleaned(&self, Cleaned { digits, extension, .. }: Cleaned) -> Normalized {
        if self.is_emergency(&digits) {
            return Normalized { number: Number::Emergency(digits), rule: None, extension };
        }
        if digits.starts_with('+') {
            let number = global(&digits).unwrap_or(Number::Invalid(InvalidNumber::NotGlobal));
            return Normalized { number, rule: None, extension };
        }
        let hit = self.rules.iter().enumerate().find_map(|(index, rule)| Some((index, rule.apply(&digits)?)));
        match hit {
            Some((index, result)) => Normalized { number: translated(&result), rule: Some(index), extension },
            None => Normalized { number: Number::Invalid(InvalidNumber::NoRule), rule: None, extension },
        }
    }
}

impl CompiledRule {
    fn compile(rule: &Rule) -> Result<Self, String> {
        if rule.pattern.len() > PATTERN_MAX || rule.translation.len() > PATTERN_MAX {
            return Err(format!("pattern and translation have at most {PATTERN_MAX} characters"));
        }
        refuse_unsupported(&rule.pattern)?;
        build(&rule.pattern).map_err(|error| describe(&rule.pattern, &error))?;
        let pattern = build(&format!("^(?:{})$", rule.pattern)).map_err(|error| describe(&rule.pattern, &error))?;
        let translation = convert_translation(&rule.translation, &pattern)?;
        Ok(Self { pattern, translation })
    }

    fn apply(&self, digits: &str) -> Option<String> {
        let captures = self.pattern.captures(digits)?;
        let mut result = String::new();
        captures.expand(&self.translation, &mut result);
        Some(result)
    }
}

fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(COMPILED_MAX).dfa_size_limit(COMPILED_MAX).build()
}

fn describe(pattern: &str, error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            format!("pattern {pattern:?} is too large when compiled: use fewer repetitions")
        }
        _ => format!("pattern {pattern:?} cannot be read: {}", last_line(&error.to_string())),
    }
}

/// The library draws the pattern over several lines; its last one says what is wrong.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or("").trim_start_matches("error: ")
}

/// .NET constructs that need backtracking, each named, because its own message helps more than a position.
fn refuse_unsupported(pattern: &str) -> Result<(), String> {
    let mut escaped = false;
    for (at, character) in pattern.char_indices() {
        let rest = &pattern[at..];
        if escaped {
            escaped = false;
            if matches!(character, '1'..='9') || rest.starts_with("k<") || rest.starts_with("k'") {
                return Err(format!(
                    "pattern {pattern:?} has a back-reference (\\{character}); it is not supported: write out what may follow"
                ));
            }
            continue;
        }
        escaped = character == '\\';
        for (construct, name) in [
            ("(?=", "a look-ahead"),
            ("(?!", "a negative look-ahead"),
            ("(?<=", "a look-behind"),
            ("(?<!", "a negative look-behind"),
            ("(?>", "an atomic group"),
            ("(?(", "a conditional"),
        ] {
            if rest.starts_with(construct) {
                return Err(format!(
                    "pattern {pattern:?} has {name} {construct}...); it is not supported: put a more special rule before \
                     this one instead"
                ));
            }
        }
    }
    Ok(())
}

/// From .NET's replacement language to the library's, in which `$1555` would mean group 1555: the longest run of
/// digits that names a group is taken, the rest is text.
fn convert_translation(translation: &str, pattern: &Regex) -> Result<String, String> {
    let mut converted = String::new();
    let mut rest = translation;
    while let Some(at) = rest.find('$') {
        converted.push_str(&rest[..at]);
        let (piece, length) = convert_reference(&rest[at + 1..], pattern)
            .ok_or_else(|| format!("translation {translation:?} names a group that the pattern does not have"))?;
        converted.push_str(&piece);
        rest = &rest[at + 1 + length..];
    }
    converted.push_str(rest);
    Ok(converted)
}

/// One reference after its dollar sign: what to write instead, and how many bytes it took.
fn convert_reference(text: &str, pattern: &Regex) -> Option<(String, usize)> {
    let groups = pattern.captures_len();
    if text.starts_with('$') {
        return Some(("$$".to_owned(), 1));
    }
    if text.starts_with('&') {
        return Some(("${0}".to_owned(), 1));
    }
    if let Some(braced) = text.strip_prefix('{') {
        let name = &braced[..braced.find('}')?];
        let known = match name.parse::<usize>() {
            Ok(number) => number < groups,
            Err(_) => pattern.capture_names().flatten().any(|existing| existing == name),
        };
        return known.then(|| (format!("${{{name}}}"), name.len() + 2));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (1..=digits).rev().find_map(|length| {
        let number: usize = text[..length].parse().ok()?;
        (number < groups).then(|| (format!("${{{number}}}"), length))
    })
}

/// `+` and 7 to 15 digits (E.164 6.2.1 gives the 15).
fn global(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('+')?;
    let valid = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| Number::E164(Pii::new(text)))
}

fn translated(result: &str) -> Number {
    let extension = || {
        let valid = (1..=15).contains(&result.len()) && result.bytes().all(|byte| byte.is_ascii_digit());
        valid.then(|| Number::Extension(Pii::new(result)))
    };
    global(result).or_else(extension).unwrap_or(Number::Invalid(InvalidNumber::BadTranslation))
}
