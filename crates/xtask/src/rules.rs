//! Which test holds which rule of response groups: every rule has one that bears its number, and none that is named has
//! vanished.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The table, from the root.
const TABLE: &str = "tests/scenarios/response-groups.md";

/// Where the table's words for kinds of tests point to.
const PLACES: [(&str, &str); 3] = [
    ("machine", "crates/response-group/tests"),
    ("wire", "crates/engine/tests/engine"),
    ("phones", "tests/system/tests"),
];

/// Every breach below the root.
pub fn faults(root: &Path) -> Vec<String> {
    match fs::read_to_string(root.join(TABLE)) {
        Ok(table) => table_faults(&table, |path| fs::read_to_string(root.join(path)).ok()),
        Err(error) => vec![format!("{TABLE}: {error}")],
    }
}

/// Every breach in a table; `read` gives a file of tests.
pub fn table_faults(table: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut missing: BTreeSet<String> = (1..=12).map(|rule| format!("R{rule}")).collect();
    missing.extend((1..=26).map(|complaint| format!("B{complaint}")));
    for line in table.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, rule, _, tests, _] = cells[..] else { continue };
        if missing.remove(rule) {
            faults.extend(row_faults(rule, tests, &read));
        }
    }
    faults.extend(missing.into_iter().map(|rule| format!("{TABLE}: {rule} has no row")));
    faults
}

fn row_faults(rule: &str, tests: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut named = false;
    for test in tests.split("; ") {
        let parts = test.split_once(" `").and_then(|(place, name)| {
            let folder = PLACES.iter().find(|(word, _)| *word == place)?.1;
            let (file, name) = name.strip_suffix('`')?.split_once("::")?;
            Some((format!("{folder}/{file}.rs"), name))
        });
        let Some((path, name)) = parts else {
            faults.push(format!("{TABLE}: {rule}: write a test as machine, wire or phones `file::name`, not {test:?}"));
            continue;
        };
        named |= name.split('_').any(|word| word.eq_ignore_ascii_case(rule));
        if !read(&path).is_some_and(|text| text.contains(&format!("fn {name}("))) {
            faults.push(format!("{TABLE}: {rule}: {path} has no test {name}"));
        }
    }
    if !named {
        faults.push(format!("{TABLE}: {rule}: no test bears its number"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table in which each rule has one test.
    fn table() -> String {
        let rules = (1..=12).map(|rule| format!("R{rule}")).chain((1..=26).map(|complaint| format!("B{complaint}")));
        let row = |rule: String| format!("| {rule} | it | wire `all::{}_holds` |\n", rule.to_lowercase());
        rules.map(row).collect()
    }

    fn all(path: &str) -> Option<String> {
        assert_eq!(path, "crates/engine/tests/engine/all.rs");
        let names =
            (1..=26).flat_map(|number| [format!("fn r{number}_holds() {{"), format!("fn b{number}_holds() {{")]);
        Some(names.collect())
    }

    #[test]
    fn each_way_to_lose_a_rule_is_found() {
        assert_eq!(table_faults(&table(), all), Vec::<String>::new());
        let finds = |table: &str, what: &str| {
            let faults = table_faults(table, all);
            assert!(faults.len() == 1 && faults[0].contains(what), "{faults:?}");
        };
        finds(&table().replace("| B7 | it |", "| Z7 | it |"), "B7 has no row");
        finds(&table().replace("all::r8_holds", "all::r8_vanished"), "no test r8_vanished");
        finds(&table().replace("all::r10_holds", "all::r1_holds"), "R10: no test bears its number");
        finds(&table().replace("wire `all::b26_holds`", "wire `all::b26_holds`; elsewhere"), "write a test as");
    }
}
