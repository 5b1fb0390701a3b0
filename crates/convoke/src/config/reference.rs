//! The commented reference, made of the table of keys.

use std::fmt::Write;

use super::key::Section;
use super::keys::{self, SECTIONS};

const HEAD: &str = "\
# Convoke: every key of the configuration.
#
# A setting that begins with # has no default; remove the # to use it. Unknown keys are refused.
# Every key is also an environment variable, which wins over the file: CONVOKE__DOMAIN=voice.example.com,
# CONVOKE__HTTP__LISTEN=127.0.0.1:8080, CONVOKE__SIP__LISTEN='[\"udp:127.0.0.1:5060\"]'.
# `convoke check --config FILE` says what is wrong and what to do; it counts entries from 1: user[2].uri.
# It will hold passwords: keep it from others (chmod 600 FILE) before you write some into it.
";

/// Every key with its meaning, default and a production value; itself a configuration equal to the defaults.
pub(crate) fn print_default() -> String {
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        write_section(&mut text, section).expect("a String takes everything");
    }
    text
}

fn write_section(text: &mut String, section: &Section) -> std::fmt::Result {
    // A section without any default would become an entry, or demand its required keys.
    let is_entrys = section.is_list || is_of_entry(section);
    let is_shown = !is_entrys && section.keys.iter().any(|key| key.default.is_some());
    if !section.name.is_empty() {
        writeln!(text, "\n# {}", section.about)?;
        writeln!(text, "{}{}", if is_shown { "" } else { "#" }, section.header())?;
    }
    for key in section.keys {
        writeln!(text)?;
        for line in key.about.lines() {
            writeln!(text, "# {line}")?;
        }
        match key.default {
            Some(default) if is_shown => {
                if default != key.production {
                    writeln!(text, "# Production: {} = {}", key.name, key.production)?;
                }
                writeln!(text, "{} = {default}", key.name)?;
            }
            Some(default) => {
                writeln!(text, "# Default: {default}")?;
                writeln!(text, "#{} = {}", key.name, key.production)?;
            }
            None => writeln!(text, "#{} = {}", key.name, key.production)?,
        }
    }
    Ok(())
}

/// Whether it belongs to the entry before it.
fn is_of_entry(section: &Section) -> bool {
    let parent = section.name.rsplit_once('.').and_then(|(parent, _)| keys::section(parent));
    parent.is_some_and(|parent| parent.is_list)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use figment::Figment;
    use figment::error::Kind;
    use figment::providers::{Format, Toml};
    use serde::de::DeserializeOwned;

    use super::super::{self as config, Config, Finding, keys};
    use super::*;

    #[test]
    fn the_reference_is_the_default_configuration() {
        assert_eq!(config::parse(&print_default()).expect("the reference is valid"), Config::default());
    }

    #[test]
    fn the_production_values_make_a_configuration_without_errors() {
        let mut text = String::new();
        for section in SECTIONS {
            if !section.name.is_empty() {
                writeln!(text, "{}", section.header()).expect("a String takes everything");
            }
            for key in section.keys {
                writeln!(text, "{} = {}", key.name, key.production).expect("a String takes everything");
            }
        }
        let config = config::parse(&text).expect("the production values are valid");
        let errors: Vec<String> =
            config::check(&config).iter().filter(|f| Finding::is_error(f)).map(Finding::to_string).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        let rule = &config.location_profiles[0].rules[0];
        assert_eq!((rule.pattern.as_str(), config.media.workers), (r"0([1-9]\d+)", Some(4)));
    }

    #[test]
    fn every_field_is_in_the_table_and_the_other_way_round() {
        assert_fields::<Config>("");
        assert_fields::<config::Sip>("sip");
        assert_fields::<config::sections::Tls>("sip.tls");
        assert_fields::<config::Focus>("focus");
        assert_fields::<config::Http>("http");
        assert_fields::<config::Media>("media");
        assert_fields::<config::Database>("database");
        assert_fields::<config::User>("user");
        assert_fields::<routing::UserProfile>("user.routing");
        assert_fields::<config::Conference>("conference");
        assert_fields::<config::AccessNumber>("access_number");
        assert_fields::<config::Trunk>("trunk");
        assert_fields::<config::LocationProfile>("location_profile");
        assert_fields::<config::entries::Rule>("location_profile.rule");
        assert_fields::<response_group::ResponseGroup>("response_group");
        assert_fields::<response_group::Queue>("response_group.queue");
    }

    /// What serde says when it meets a key it does not know names every field there is.
    fn assert_fields<T: DeserializeOwned + std::fmt::Debug>(section: &str) {
        let error = Figment::from(Toml::string("no_such_key = 1")).extract::<T>().expect_err("an unknown key");
        let Kind::UnknownField(_, fields) = &error.kind else { panic!("[{section}] does not refuse unknown keys") };
        let mut known: Vec<&str> = keys::section(section).expect("known").keys.iter().map(|key| key.name).collect();
        let below = SECTIONS.iter().filter_map(|other| match other.name.rsplit_once('.') {
            Some((parent, name)) => (parent == section).then_some(name),
            None => (section.is_empty() && !other.name.is_empty()).then_some(other.name),
        });
        known.extend(below);
        known.sort_unstable();
        let mut fields = fields.to_vec();
        fields.sort_unstable();
        assert_eq!(fields, known, "[{section}]");
    }

    #[test]
    fn the_reference_file_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/config/reference.toml");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, print_default()).expect("writable");
        }
        let stored = std::fs::read_to_string(&path).expect("deploy/config/reference.toml");
        assert_eq!(stored, print_default(), "run the tests with UPDATE_GOLDEN=1");
    }
}
