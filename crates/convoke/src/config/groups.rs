//! What is wrong with `[[response_group]]` entries: what the machine refuses, and what only the whole file can show.

use std::collections::HashSet;

use response_group::{Action, Agent, Config as Groups, ResponseGroup};

use super::{Config, Finding};

/// Everything that is wrong with the groups.
pub(super) fn check(config: &Config, findings: &mut Vec<Finding>) {
    let groups = Groups { groups: config.response_groups.clone(), ..Groups::default() };
    for problem in groups.validate().err().unwrap_or_default() {
        findings.push(Finding::error(from_one(&problem.key), Some(problem.value), problem.remedy));
    }
    let users: HashSet<&str> = config.users.iter().map(|user| user.uri.as_str()).collect();
    for (index, group) in config.response_groups.iter().enumerate() {
        let key = format!("response_group[{}]", index + 1);
        check_address(config, group, &key, findings);
        for (place, agents) in group.agent_groups.iter().enumerate() {
            for agent in &agents.agents {
                check_agent(config, agent, &users, &format!("{key}.agent_group[{}].agents", place + 1), findings);
            }
        }
        for (name, action) in actions(group) {
            check_action(config, action, &users, &format!("{key}.{name}"), findings);
        }
    }
}

/// The machine counts from 0, the file's reader from 1.
fn from_one(key: &str) -> String {
    let mut text = String::new();
    let mut rest = key;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((number, behind)) = after.split_once(']') else { break };
        text.push_str(before);
        match number.parse::<usize>() {
            Ok(number) => text.push_str(&format!("[{}]", number + 1)),
            Err(_) => text.push_str(&format!("[{number}]")),
        }
        rest = behind;
    }
    text + rest
}

fn check_address(config: &Config, group: &ResponseGroup, key: &str, findings: &mut Vec<Finding>) {
    let (uri, user) = (&group.uri, group.uri.user_part());
    let shown = Some(format!("{:?}", uri.as_str()));
    let key = format!("{key}.uri");
    if !uri.host().eq_ignore_ascii_case(&config.domain) {
        let why = format!("it is not of this server's domain; write sip:{user}@{}, or change domain", config.domain);
        findings.push(Finding::error(key.clone(), shown.clone(), why));
    }
    if config.users.iter().any(|account| account.uri.user_part() == user) {
        let why = "a user has this address; give the group another one";
        findings.push(Finding::error(key.clone(), shown.clone(), why));
    }
    if config.conferences.iter().any(|conference| conference.number.as_str() == user) {
        let why = "a conference has this number; give the group another address";
        findings.push(Finding::error(key, shown, why));
    }
}

fn check_agent(config: &Config, agent: &Agent, users: &HashSet<&str>, key: &str, findings: &mut Vec<Finding>) {
    let shown = Some(format!("{:?}", agent.uri.as_str()));
    if agent.pstn {
        if config.trunks.is_empty() {
            let why = "he is on the telephone network, and there is no way to it; add a [[trunk]]";
            findings.push(Finding::error(key, shown, why));
        }
    } else if !users.contains(agent.uri.as_str()) {
        let why = "there is no such user; add a [[user]], or write { uri = ..., pstn = true } for somebody elsewhere";
        findings.push(Finding::error(key, shown, why));
    }
}

fn actions(group: &ResponseGroup) -> Vec<(&'static str, &Action)> {
    let queue = &group.queue;
    let mut actions = vec![
        ("closed.action", &group.closed.action),
        ("holiday.action", &group.holiday.action),
        ("queue.timeout_action", &queue.timeout_action.action),
        ("queue.overflow_action", &queue.overflow_action.action),
    ];
    actions.extend(queue.no_agent_action.iter().map(|disposal| ("queue.no_agent_action", &disposal.action)));
    actions.extend(group.exit_key.iter().map(|exit| ("exit_key.action", &exit.action.action)));
    actions
}

/// A target in our domain must be somebody; what is elsewhere is the dial plan's business.
fn check_action(config: &Config, action: &Action, users: &HashSet<&str>, key: &str, findings: &mut Vec<Finding>) {
    let Action::Forward { target } = action else { return };
    let is_ours = target.host().eq_ignore_ascii_case(&config.domain);
    let is_number = target.user_part().trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit());
    let shown = Some(format!("{:?}", target.as_str()));
    if config.response_groups.iter().any(|group| group.uri == *target) {
        let why = format!("it is a response group; write {{ kind = \"group\", target = \"{target}\" }}");
        findings.push(Finding::error(key, shown, why));
    } else if is_ours && !is_number && !users.contains(target.as_str()) {
        findings.push(Finding::error(key, shown, "there is no such user; name a user, a number or a group"));
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
    fn the_example_is_a_configuration_without_errors() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/config/response-groups.toml");
        let config = config::parse(&std::fs::read_to_string(path).expect("the example")).expect("it can be read");
        let errors: Vec<String> =
            config::check(&config).iter().filter(|f| f.is_error()).map(Finding::to_string).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        assert_eq!(config.response_groups.len(), 2);
    }

    #[test]
    fn places_are_counted_from_one() {
        assert_eq!(from_one("response_group[0].agent_group[2].name"), "response_group[1].agent_group[3].name");
    }
}
