//! Figures for `make bench`: one line of JSON each, added to the file that `BENCH_FIGURES` names. Without it nothing is written.

use std::io::Write as _;

/// Notes a figure with the greatest value that is good enough.
pub(crate) fn note(name: &str, value: f64, unit: &str, at_most: f64, remark: &str) {
    let Some(path) = std::env::var_os("BENCH_FIGURES") else { return };
    let line = serde_json::json!({ "name": name, "value": value, "unit": unit, "at_most": at_most, "note": remark });
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut file| writeln!(file, "{line}")).expect("BENCH_FIGURES names a file that can be written");
}
