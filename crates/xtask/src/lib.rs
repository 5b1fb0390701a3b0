//! Repository tasks: the layer guard and the tidy rules.
//!
//! Decides whether the tree keeps the promises of ARCHITECTURE.md. They run as ordinary tests (`cargo test -p xtask`)
//! and by hand (`cargo xtask`). Must not know what the crates do: it reads manifests and text.
//! Start reading at [`layers`], then [`tidy`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod layers;
pub mod rules;
pub mod source;
pub mod tidy;

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_owned()
}
