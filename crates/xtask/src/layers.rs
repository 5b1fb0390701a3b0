//! Which crate may know which: one table, checked against the manifests.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A layer: its crates, what they may depend on, and why it exists.
struct Layer {
    name: &'static str,
    crates: &'static [&'static str],
    /// Names of the layers its crates may use; never its own, unless an [`Exception`] says so.
    below: &'static [&'static str],
    why: &'static str,
}

const LAYERS: &[Layer] = &[
    Layer {
        name: "vocabulary",
        crates: &["base"],
        below: &[],
        why: "the words everybody speaks stay free of any protocol",
    },
    Layer {
        name: "contract",
        crates: &["sip-api", "mcu-api"],
        below: &["vocabulary"],
        why: "the two sides of a contract meet in plain values, so that either can be replaced",
    },
    Layer {
        name: "wire",
        crates: &["c3p", "sdp"],
        below: &["vocabulary", "contract"],
        why: "documents to values and back, as total functions; element names stay here",
    },
    Layer {
        name: "machine",
        crates: &["focus", "routing", "response-group", "call", "mixer", "media", "mcu", "prompts"],
        below: &["vocabulary", "contract"],
        why: "machines are pure and never meet each other; the engine translates between them",
    },
    Layer {
        name: "composition",
        crates: &["engine"],
        below: &["vocabulary", "contract", "wire", "control machine"],
        why: "the engine joins the control machines and reaches media by mcu-api alone",
    },
    Layer {
        name: "adapter",
        crates: &["codecs", "media-io", "sip", "store", "telemetry"],
        below: &["vocabulary", "contract"],
        why: "sockets, threads, SQL and foreign libraries; adapters never meet each other",
    },
    Layer {
        name: "binary",
        crates: &["convoke"],
        below: &["vocabulary", "contract", "wire", "machine", "composition", "adapter"],
        why: "it reads configuration, wires and drains; it decides nothing",
    },
    Layer {
        name: "development",
        crates: &["testkit", "xtask", "system-tests", "fuzz", "loadtest"],
        below: &[],
        why: "the other end of the line must not share the server's errors",
    },
    Layer {
        name: "simulation",
        crates: &["sim"],
        below: &["vocabulary", "contract", "wire", "control machine", "composition"],
        why: "it runs the very engine of production, without any adapter",
    },
];

/// The machines of the control side: what "control machine" in the table means.
const CONTROL_MACHINES: &[&str] = &["focus", "routing", "response-group", "call"];

/// An edge the table or a fence would refuse.
struct Exception {
    from: &'static str,
    to: &'static str,
    #[allow(dead_code, reason = "read by people")]
    why: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception { from: "mcu", to: "mixer", why: "the data plane of a conference is its legs and its mixer" },
    Exception { from: "mcu", to: "media", why: "the data plane of a conference is its legs and its mixer" },
    Exception {
        from: "prompts",
        to: "mixer",
        why: "sound files become the clips that the mixer plays, through its codecs",
    },
    Exception { from: "media-io", to: "prompts", why: "it reads sound files for what its MCUs play" },
    Exception { from: "codecs", to: "mixer", why: "they implement the mixer's codec traits" },
    Exception { from: "media-io", to: "mcu", why: "a worker thread drives MCUs" },
    Exception { from: "media-io", to: "mixer", why: "it hands the codec factory and the sounds to its MCUs" },
    Exception { from: "convoke", to: "testkit", why: "`convoke demo` lets robots call the server" },
    Exception { from: "system-tests", to: "testkit", why: "the system tests use the scripted phones" },
    Exception { from: "loadtest", to: "testkit", why: "the synthetic callers use its SIP messages and G.711" },
    Exception { from: "loadtest", to: "opus", why: "callers and judge speak Opus without the server's codecs" },
];

/// A library that may be named by one crate only.
struct Fence {
    library: &'static str,
    only: &'static str,
    why: &'static str,
}

const FENCES: &[Fence] = &[
    Fence { library: "rsipstack", only: "sip", why: "the SIP stack can then be replaced behind sip-api" },
    Fence { library: "opus", only: "codecs", why: "codecs stay behind the mixer's traits" },
    Fence { library: "opusic-sys", only: "codecs", why: "codecs stay behind the mixer's traits" },
    Fence { library: "sqlx", only: "store", why: "SQL stays in the store" },
    Fence { library: "quick-xml", only: "c3p", why: "element names stay in c3p" },
    Fence { library: "rtc-srtp", only: "loadtest", why: "the server's SRTP is media's own, and held against this one" },
    Fence { library: "jiff", only: "response-group", why: "business hours are the one place with civil time zones" },
    Fence { library: "prometheus", only: "telemetry", why: "there is one metric catalogue" },
];

/// The workspace's crates and the dependencies they ship with; what only a test uses is left out.
pub struct Workspace {
    /// Name of a crate and names of its direct dependencies.
    pub crates: Vec<(String, Vec<String>)>,
}

impl Workspace {
    /// Asks cargo.
    pub fn read(root: &Path) -> Result<Self, String> {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
            .current_dir(root)
            .output()
            .map_err(|error| format!("cargo metadata: {error}"))?;
        let metadata: Value =
            serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
        let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
        Ok(Self { crates: packages.iter().map(crate_of).collect() })
    }
}

fn crate_of(package: &Value) -> (String, Vec<String>) {
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shipped = dependencies.iter().filter(|dependency| dependency["kind"].as_str() != Some("dev")).map(name);
    (name(package), shipped.collect())
}

/// Every edge that the tables do not allow.
pub fn faults(workspace: &Workspace) -> Vec<String> {
    let mut faults = Vec::new();
    for (from, dependencies) in &workspace.crates {
        let Some(layer) = layer_of(from) else {
            faults.push(format!("{from} stands in no layer of crates/xtask/src/layers.rs; say where it belongs"));
            continue;
        };
        for to in dependencies {
            if let Some(fence) =
                FENCES.iter().find(|fence| fence.library == to && fence.only != from && !is_excepted(from, to))
            {
                faults.push(format!("{from} uses {to}, which is for {} only: {}", fence.only, fence.why));
            }
            let ours = workspace.crates.iter().any(|(name, _)| name == to);
            if ours && !is_allowed(layer, from, to) {
                faults.push(format!("{from} ({}) may not know {to}: {}", layer.name, layer.why));
            }
        }
    }
    faults
}

fn layer_of(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.crates.contains(&name))
}

fn is_allowed(layer: &Layer, from: &str, to: &str) -> bool {
    let in_layer = |below: &&str| match *below {
        "control machine" => CONTROL_MACHINES.contains(&to),
        name => layer_of(to).is_some_and(|target| target.name == name),
    };
    is_excepted(from, to) || layer.below.iter().any(in_layer)
}

fn is_excepted(from: &str, to: &str) -> bool {
    EXCEPTIONS.iter().any(|exception| exception.from == from && exception.to == to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(edges: &[(&str, &[&str])]) -> Workspace {
        let all = LAYERS.iter().flat_map(|layer| layer.crates).map(|name| ((*name).to_owned(), Vec::new()));
        let mut crates: Vec<(String, Vec<String>)> = all.collect();
        for (from, to) in edges {
            crates.push(((*from).to_owned(), to.iter().map(|name| (*name).to_owned()).collect()));
        }
        Workspace { crates }
    }

    #[test]
    fn arrows_that_go_down_are_allowed() {
        let allowed = workspace(&[
            ("engine", &["base", "c3p", "focus", "sip-api", "mcu-api"]),
            ("mcu", &["mixer", "media", "base"]),
            ("codecs", &["mixer", "opus"]),
            ("convoke", &["sip", "engine", "testkit"]),
        ]);
        assert_eq!(faults(&allowed), Vec::<String>::new());
    }

    #[test]
    fn other_arrows_are_refused_with_the_reason_of_the_layer() {
        let edges: &[(&str, &str)] = &[
            ("focus", "c3p"),
            ("focus", "call"),
            ("engine", "mcu"),
            ("engine", "sip"),
            ("sip", "store"),
            ("base", "engine"),
            ("testkit", "sip"),
            ("engine", "rsipstack"),
            ("store", "quick-xml"),
        ];
        for (from, to) in edges {
            let found = faults(&workspace(&[(from, &[to])]));
            assert!(found.len() == 1 && found[0].contains(':'), "{from} -> {to}: {found:?}");
        }
    }

    #[test]
    fn a_crate_without_a_layer_is_a_fault() {
        assert_eq!(faults(&workspace(&[("novelty", &[])])).len(), 1);
    }
}
