//! The files in `deploy`: they are well-formed and consistent, and the dashboard shows data of a running service.

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

/// The cache dashboard.
fn dashboard() -> serde_json::Value {
    serde_json::from_str(&read("grafana/dashboards/cache.json")).expect("JSON")
}
