//! Text files of the repository, and Rust source without its comments and tests.

use std::path::{Path, PathBuf};

/// Folders that are no part of the repository's text.
const SKIPPED: &[&str] = &[".git", "target", "convoke-data", "node_modules"];

/// A text file of the repository.
pub struct TextFile {
    /// Path below the root, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl TextFile {
    /// The crate's folder name, for a file below `crates/`.
    pub fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Whether it is Rust source that ships: below a `src` folder and not a module of tests.
    pub fn is_shipped_source(&self) -> bool {
        let test_module =
            |part: &str| matches!(part, "tests" | "tests.rs" | "test_support.rs") || part.ends_with("_tests.rs");
        self.path.ends_with(".rs") && self.path.contains("/src/") && !self.path.split('/').skip(2).any(test_module)
    }

    /// Numbers (from 1) and text of the lines that ship: without comments, and without the tests at the end.
    pub fn shipped_lines(&self) -> Vec<(usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let is_test_module = |at: usize| {
            lines[at].trim() == "#[cfg(test)]"
                && lines.get(at + 1).is_some_and(|next| next.trim_start().starts_with("mod ") && next.ends_with('{'))
        };
        let end = (0..lines.len()).find(|at| is_test_module(*at)).unwrap_or(lines.len());
        let code = |line: &'_ str| line.find("//").unwrap_or(line.len());
        lines[..end].iter().enumerate().map(|(index, line)| (index + 1, &line[..code(line)])).collect()
    }
}

/// Every text file below the root.
pub fn files(root: &Path) -> Vec<TextFile> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            if path.is_dir() && !SKIPPED.contains(&name) {
                folders.push(path);
            } else if path.is_file() {
                found.extend(read(root, path));
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn read(root: &Path, path: PathBuf) -> Option<TextFile> {
    let text = String::from_utf8(std::fs::read(&path).ok()?).ok()?;
    let below = path.strip_prefix(root).ok()?.to_str()?.replace('\\', "/");
    Some(TextFile { path: below, text })
}
