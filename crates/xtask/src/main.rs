//! `cargo xtask`: prints every breach of the layers and of the tidy rules; exit code 1 when there is one.

use std::process::ExitCode;

use xtask::{layers, root, rules, tidy};

#[allow(clippy::print_stdout, reason = "a command line tool speaks on standard output")]
fn main() -> ExitCode {
    let root = root();
    let mut faults = match layers::Workspace::read(&root) {
        Ok(workspace) => layers::faults(&workspace),
        Err(error) => vec![error],
    };
    faults.extend(tidy::faults(&root));
    faults.extend(rules::faults(&root));
    for fault in &faults {
        println!("{fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
