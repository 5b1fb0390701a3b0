//! What is wrong with `[[response_group]]` entries, in themselves and with the rest of the file.

use std::path::{Component, Path, PathBuf};

use base::{ConferenceNumber, UserUri};
use engine::objection_to_telephone;
use media_io::FoundLanguage;
use response_group::{Config as Groups, Sounds, Surroundings};
use routing::{Directory, Router, Target};

use super::{Config, Finding, User};
use crate::assemble;

/// Everything that is wrong with the groups.
pub(super) fn check(config: &Config, findings: &mut Vec<Finding>) {
    check_codes(config, findings);
    let groups = Groups { groups: config.response_groups.clone(), ..Groups::default() };
    // What is wrong with the dial plan is told elsewhere.
    let around = Around { config, dial_plan: assemble::router(config).ok() };
    let problems = [groups.validate_in(&around), groups.validate_sounds(&GroupSounds::new(config))];
    for problem in problems.into_iter().filter_map(Result::err).flatten() {
        findings.push(Finding::error(problem.key, Some(format!("{:?}", problem.value)), problem.remedy));
    }
}

/// Feature codes must be dialled on a telephone, and none may hide another or a number.
fn check_codes(config: &Config, findings: &mut Vec<Finding>) {
    let codes = &config.group_codes;
    let codes = [
        ("sign_in_code", &codes.sign_in_code),
        ("sign_out_code", &codes.sign_out_code),
        ("pause_code", &codes.pause_code),
        ("resume_code", &codes.resume_code),
    ];
    for (place, (name, code)) in codes.iter().enumerate() {
        let mut report = |why: &str| {
            findings.push(Finding::error(format!("response_groups.{name}"), Some(format!("{code:?}")), why));
        };
        if !code.starts_with('*') || code.len() < 2 || !code.bytes().all(|key| key.is_ascii_digit() || key == b'*') {
            report("write * and digits, as in \"*55\"");
        }
        if codes[..place].iter().any(|(_, other)| other.starts_with(code.as_str()) || code.starts_with(other.as_str()))
        {
            report("another code begins with it, or it with another; give each its own");
        }
    }
}

/// The file, as it stands around its groups.
struct Around<'a> {
    config: &'a Config,
    dial_plan: Option<Router>,
}

impl Surroundings for Around<'_> {
    fn domain(&self) -> &str {
        &self.config.domain
    }

    fn is_user(&self, uri: &UserUri) -> bool {
        self.config.users.iter().any(|user| user.uri == *uri)
    }

    fn is_conference(&self, number: &str) -> bool {
        self.config.conferences.iter().any(|conference| conference.number.as_str() == number)
    }

    fn has_trunk(&self) -> bool {
        !self.config.trunks.is_empty()
    }

    fn telephone_objection(&self, agent: &UserUri) -> Option<String> {
        let target = Target { requester: Some(agent), profile: None, target: agent.as_str() };
        objection_to_telephone(&self.dial_plan.as_ref()?.route(target, self).verdict)
    }

    fn forwards_to(&self, user: &UserUri) -> Option<UserUri> {
        let user = self.config.users.iter().find(|account| account.uri == *user)?;
        UserUri::parse(user.routing.forward_always.as_ref()?.expose()).ok()
    }
}

impl Directory for Around<'_> {
    fn is_user(&self, user: &UserUri) -> bool {
        Surroundings::is_user(self, user)
    }

    fn user_of_number(&self, number: &str) -> Option<UserUri> {
        let has_it = |user: &&User| user.number.as_deref() == Some(number);
        self.config.users.iter().find(has_it).map(|user| user.uri.clone())
    }

    fn is_conference(&self, number: &ConferenceNumber) -> bool {
        Surroundings::is_conference(self, number.as_str())
    }
}

/// What a server with this configuration can play and say.
#[derive(Clone, Debug)]
pub(crate) struct GroupSounds {
    prompts_dir: Option<PathBuf>,
    /// The languages of `languages_dir`. Without a value any is taken for one: `probe` looks there.
    other_languages: Option<Vec<String>>,
}

impl GroupSounds {
    /// For a look at the configuration alone.
    pub(crate) fn new(config: &Config) -> Self {
        let other_languages = config.media.languages_dir.is_none().then(Vec::new);
        Self { prompts_dir: config.media.prompts_dir.clone(), other_languages }
    }

    /// For a server that speaks `languages` beside those that are shipped.
    pub(crate) fn of_server(config: &Config, languages: &[FoundLanguage]) -> Self {
        let other_languages = Some(languages.iter().map(|language| language.tag().to_owned()).collect());
        Self { other_languages, ..Self::new(config) }
    }
}

impl Sounds for GroupSounds {
    fn is_sound(&self, name: &str) -> bool {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        // A file may be looked at on another machine, where the directory is missing.
        let there = |folder: &PathBuf| !folder.is_dir() || folder.join(name).is_file();
        engine::is_phrase(name) || (inside && self.prompts_dir.as_ref().is_some_and(there))
    }

    fn is_language(&self, tag: &str) -> bool {
        let is_there = |known: &String| known.eq_ignore_ascii_case(prompts::primary(tag));
        let other = self.other_languages.as_ref().is_none_or(|others| others.iter().any(is_there));
        other || prompts::Languages::shipped().find(tag).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const USERS: &str = "domain = \"example.com\"\n[[user]]\nuri = \"sip:bob@example.com\"\npassword = \"long enough 1\"\n\
                         [[user]]\nuri = \"sip:carol@example.com\"\npassword = \"long enough 2\"\n";

    fn errors(groups: &str) -> String {
        let config = config::parse(&format!("{USERS}{groups}")).expect("it can be read");
        let errors = config::check(&config).into_iter().filter(Finding::is_error).map(|error| error.to_string());
        errors.collect::<Vec<_>>().join("\n")
    }

    /// The form that scripts rely on, word for word.
    #[test]
    fn the_form_that_scripts_rely_on_is_read() {
        let text = r#"
            [[response_group]]
            uri = "sip:sales@example.com"
            name = "Sales"
            method = "parallel"
            participation = "informal"
            agents = ["sip:bob@example.com", "sip:carol@example.com"]
            alert_time_seconds = 20
            [response_group.queue]
            timeout_seconds = 120
            timeout_action = { kind = "forward", target = "sip:bob@example.com" }
            overflow_threshold = 10
            overflow_candidate = "newest"
            overflow_action = { kind = "disconnect" }
        "#;
        assert_eq!(errors(text), "");
        let config = config::parse(&format!("{USERS}{text}")).expect("valid");
        let group = &config.response_groups[0];
        assert_eq!((group.name.as_str(), group.agent_groups[0].agents.len()), ("Sales", 2));
        assert_eq!(group.queue.timeout_seconds, Some(120));
    }

    #[test]
    fn bad_groups_are_refused_with_key_value_and_remedy() {
        let group = |rest: &str| format!("[[response_group]]\nuri = \"sip:sales@example.com\"\n{rest}");
        let agents = "agents = [\"sip:bob@example.com\"]\n";
        let cases: &[(String, &[&str])] = &[
            (group("agents = []"), &["response_group[1]", "agent"]),
            (group("agents = [\"sip:zoe@example.com\"]"), &["\"sip:zoe@example.com\"", "add a [[user]]"]),
            (group("agents = [\"tel:+4930123\"]"), &["tel:+4930123", "[[trunk]]"]),
            (group(&format!("{agents}alert_time_seconds = 300")), &["alert_time_seconds", "300", "180"]),
            (
                group(&format!(
                    "{agents}[response_group.queue]\noverflow_threshold = 1\n\
                     overflow_action = {{ kind = \"group\", target = \"sip:sales@example.com\" }}"
                )),
                &["response_group[1].queue.overflow_action"],
            ),
            (
                group(&format!(
                    "{agents}hours = [{{ days = [\"mon\"], from = \"09:00\", to = \"12:00\" }}, \
                     {{ days = [\"mon\"], from = \"11:00\", to = \"13:00\" }}]"
                )),
                &["hours"],
            ),
            (
                group(&format!(
                    "{agents}[response_group.queue]\ntimeout_action = {{ kind = \"forward\", target = \"sip:x@example.com\" }}"
                )),
                &["timeout_action", "there is no such user"],
            ),
            (format!("[[response_group]]\nuri = \"sip:bob@example.com\"\n{agents}"), &["a user has this address"]),
            (group(&format!("{agents}welcome = \"no-such.wav\"")), &["welcome", "no-such.wav", "prompts_dir"]),
            (group(&format!("{agents}language = \"tlh\"")), &["language", "tlh"]),
            (group(&format!("{agents}answer = \"on_agent\"\nwelcome = \"welcome\"")), &["welcome", "on_agent"]),
            (
                group(&format!(
                    "{agents}question = {{ prompt = \"welcome\", answer = [{{ digit = \"1\", \
                     action = {{ kind = \"forward\", target = \"sip:zoe@example.com\" }} }}] }}"
                )),
                &["question.answer[1].action", "sip:zoe@example.com"],
            ),
            (
                group(&format!(
                    "{agents}exit_key = {{ digit = \"0\", action = {{ kind = \"forward\", target = \"tel:+4930123\" }} }}"
                )),
                &["exit_key.action", "tel:+4930123", "[[trunk]]"],
            ),
            (
                group(&format!(
                    "{agents}[response_group.queue]\ntimeout_action = {{ kind = \"forward\", target = \"sip:dora@example.com\" }}\n\
                     [[user]]\nuri = \"sip:dora@example.com\"\npassword = \"long enough 3\"\n\
                     [user.routing]\nforward_always = \"sip:sales@example.com\""
                )),
                &["response_group[1]", "sip:dora@example.com", "leads back"],
            ),
            (format!("[[response_group]]\nuri = \"sip:x@elsewhere.org\"\n{agents}"), &["this server's domain"]),
        ];
        for (text, fragments) in cases {
            let told = errors(text);
            for fragment in *fragments {
                assert!(told.contains(fragment), "{text}\nsays: {told}\nlacks: {fragment}");
            }
        }
    }

    #[test]
    fn an_agent_by_telephone_whom_nothing_would_ring_is_refused() {
        let around = "[[trunk]]\nname = \"gw\"\ntarget = \"udp:127.0.0.1:5070\"\nallow = [\"+44\"]\n\
                      [[conference]]\nnumber = \"493077777\"\n\
                      [[user]]\nuri = \"sip:dora@example.com\"\npassword = \"long enough 3\"\nnumber = \"+4930111333\"\n";
        let told = |agent: &str| {
            errors(&format!("{around}[[response_group]]\nuri = \"sip:sales@example.com\"\nagents = [{agent}]\n"))
        };
        for (agent, wanted) in [
            ("\"tel:+4930111222\"", "no [[trunk]] carries this number; add its beginning to allow"),
            ("\"tel:+49301\"", "the number is not valid"),
            ("\"tel:110\"", "the number is not valid"),
            ("\"tel:+4930111333\"", "he is the user sip:dora@example.com of this server; write that address"),
            ("{ uri = \"sip:bob@example.com\", pstn = true }", "he is the user sip:bob@example.com"),
            ("\"tel:+493077777\"", "a conference has this number"),
            ("{ uri = \"sip:x@elsewhere.org\", pstn = true }", "sip.external_calls = true"),
        ] {
            let told = told(agent);
            assert!(told.contains(wanted) && told.contains("response_group[1].agent"), "{agent}: {told}");
        }
        assert_eq!(told("\"tel:+4420111222\""), "");
    }

    #[test]
    fn the_example_is_a_configuration_without_errors() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/config/response-groups.toml");
        let config = config::parse(&std::fs::read_to_string(path).expect("the example")).expect("it can be read");
        let errors: Vec<String> =
            config::check(&config).iter().filter(|f| f.is_error()).map(Finding::to_string).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        assert_eq!(config.response_groups.len(), 2);
    }
}
