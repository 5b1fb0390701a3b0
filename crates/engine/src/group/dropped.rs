//! What was changed at run time and does not last, because the configuration file says something else than it did then.

use std::collections::BTreeSet;

use base::UserUri;
use response_group::{Config, ResponseGroup};
use serde::Serialize;
use serde_json::Value;

/// One of these changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedChange {
    /// Of which group; `None` is what all groups share.
    pub group: Option<UserUri>,
    /// The key that was changed; `None` where the group was added or taken away.
    pub key: Option<String>,
}

/// The keys that were changed at run time and that the file says otherwise now. `then` is what the file said when they were
/// changed, `changed` what held since, and `file` what it says now; each is an object, or nothing.
pub fn dropped_keys(then: &impl Serialize, changed: &impl Serialize, file: &impl Serialize) -> Vec<String> {
    let [then, changed, file] = [object(then), object(changed), object(file)];
    let keys: BTreeSet<&String> =
        [&then, &changed].into_iter().filter_map(Value::as_object).flat_map(|it| it.keys()).collect();
    let differs = |key: &str, from: &Value| changed.get(key) != from.get(key);
    keys.into_iter().filter(|key| differs(key, &then) && differs(key, &file)).cloned().collect()
}

fn object(what: &impl Serialize) -> Value {
    serde_json::to_value(what).expect("settings have a JSON form")
}

/// The same of all groups.
pub(super) fn dropped_changes(then: &Config, changed: &Config, file: &Config) -> Vec<DroppedChange> {
    let shared = dropped_keys(then, changed, file).into_iter().filter(|key| key != "groups");
    let mut dropped: Vec<_> = shared.map(|key| DroppedChange { group: None, key: Some(key) }).collect();
    let uris: BTreeSet<&UserUri> = then.groups.iter().chain(&changed.groups).map(|group| &group.uri).collect();
    for uri in uris {
        let [then, changed, file] = [then, changed, file].map(|config| named(config, uri));
        let keys = match (then, changed) {
            (Some(_), Some(_)) => dropped_keys(&then, &changed, &file).into_iter().map(Some).collect(),
            _ if changed != file => vec![None],
            _ => Vec::new(),
        };
        dropped.extend(keys.into_iter().map(|key| DroppedChange { group: Some(uri.clone()), key }));
    }
    dropped
}

fn named<'a>(config: &'a Config, uri: &UserUri) -> Option<&'a ResponseGroup> {
    config.groups.iter().find(|group| group.uri == *uri)
}
