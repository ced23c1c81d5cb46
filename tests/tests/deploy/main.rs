//! What stands in `deploy`: that it is well-formed, that its parts fit together, and that its dashboard shows a service that runs.

mod dashboard;
mod files;
mod yaml;

use std::path::Path;

/// A file of `deploy`.
fn read(path: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let text = std::fs::read_to_string(folder.join(path));
    text.unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}

/// The dashboard of the cache.
fn dashboard() -> serde_json::Value {
    serde_json::from_str(&read("grafana/dashboards/cache.json")).expect("JSON")
}
