//! The repository keeps its own rules.

use xtask::{layers, root, rules, tidy};

#[test]
fn arrows_between_crates_go_down_only() {
    let workspace = layers::Workspace::read(&root()).expect("cargo metadata");
    assert!(workspace.crates.len() > 10, "the workspace was not found");
    let faults = layers::faults(&workspace);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_text_is_tidy() {
    let faults = tidy::faults(&root());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_rule_of_response_groups_has_a_test_of_its_number() {
    let faults = rules::faults(&root());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
