//! Which crate may see which.

use std::collections::{BTreeMap, BTreeSet};

use super::{files, list, metadata, read, shown, text};

/// All arrows there may be, for what is built into the product. A crate that is not here may see nothing of ours.
const ARROWS: [(&str, &[&str]); 9] = [
    ("cli", &["server", "proto"]),
    (
        "server",
        &["app", "proto", "domain", "storage", "cache", "providers"],
    ),
    ("app", &["storage", "cache", "providers", "domain"]),
    ("storage", &["domain"]),
    ("providers", &["domain"]),
    ("cache", &[]),
    ("proto", &[]),
    ("domain", &[]),
    ("testkit", &[]),
];
/// They are not part of the product, so they may use what tests may.
const TEST_CRATES: [&str; 2] = ["tests", "benches"];
/// What the domain would be tied to.
const NOT_IN_DOMAIN: [&str; 8] = [
    "serde",
    "serde_json",
    "prost",
    "diesel",
    "tokio",
    "tonic",
    "chrono",
    "rand",
];

/// What `server` names of storage besides its wiring, and why. Shorter is better.
const NAMES_STORAGE: [(&str, &str); 4] = [
    (
        "crates/server/src/config/mod.rs",
        "reads the settings that the wiring opens it with",
    ),
    (
        "crates/server/src/config/show.rs",
        "shows the URL without its password",
    ),
    (
        "crates/server/src/telemetry/metrics.rs",
        "counts its connections",
    ),
    (
        "crates/server/src/services/tests.rs",
        "makes the database of a test",
    ),
];

/// The dependencies of each crate of ours: kind (`normal`, `build`, `dev`) and name.
fn dependencies() -> BTreeMap<String, BTreeSet<(String, String)>> {
    list(&metadata(), "packages")
        .map(|package| {
            let found = list(package, "dependencies").map(|dependency| {
                let kind = dependency["kind"].as_str().unwrap_or("normal");
                (kind.to_owned(), text(dependency, "name").to_owned())
            });
            (short(text(package, "name")).to_owned(), found.collect())
        })
        .collect()
}

fn short(name: &str) -> &str {
    name.strip_prefix("parlance-").unwrap_or(name)
}

/// Arrows that may not be.
fn wrong(dependencies: &BTreeMap<String, BTreeSet<(String, String)>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, found) in dependencies {
        let (name, found) = (name.as_str(), found.iter());
        if TEST_CRATES.contains(&name) {
            continue;
        }
        let name = if name == "parlance" { "cli" } else { name };
        let allowed = ARROWS.iter().find(|(from, _)| *from == name);
        let allowed = allowed.map_or(&[][..], |(_, to)| to);
        for (kind, dependency) in found.filter(|(kind, _)| kind != "dev") {
            let of_ours = dependency.strip_prefix("parlance-");
            if of_ours.is_some_and(|to| !allowed.contains(&to)) {
                wrong.push(format!("{name} -> {dependency} ({kind})"));
            }
            if name == "domain" && NOT_IN_DOMAIN.contains(&dependency.as_str()) {
                wrong.push(format!("{name} -> {dependency} ({kind})"));
            }
        }
    }
    wrong
}

#[test]
fn every_arrow_points_the_right_way() {
    let dependencies = dependencies();
    for known in ["domain", "storage", "app", "server"] {
        assert!(
            dependencies.contains_key(known),
            "{:?}",
            dependencies.keys()
        );
    }
    assert_eq!(wrong(&dependencies), Vec::<String>::new());
}

/// The check itself can fail.
#[test]
fn an_arrow_that_points_the_wrong_way_is_found() {
    for (from, kind, to, bad) in [
        ("storage", "normal", "parlance-cache", true),
        ("cache", "normal", "parlance-domain", true),
        ("cli", "normal", "parlance-storage", true),
        ("storage", "build", "parlance-app", true),
        ("domain", "normal", "serde", true),
        ("app", "normal", "parlance-testkit", true),
        ("new", "normal", "parlance-domain", true),
        ("app", "dev", "parlance-testkit", false),
        ("app", "normal", "parlance-storage", false),
        ("tests", "normal", "parlance-testkit", false),
    ] {
        let one = BTreeSet::from([(kind.to_owned(), to.to_owned())]);
        let found = wrong(&BTreeMap::from([(from.to_owned(), one)]));
        assert_eq!(!found.is_empty(), bad, "{from} -> {to} ({kind})");
    }
}

/// Only the wiring names the database itself; what else does is listed above with its reason, and leaves the list with it.
#[test]
fn only_the_wiring_names_storage() {
    let naming: BTreeSet<String> = files("crates/server/src", ".rs")
        .iter()
        .filter(|path| read(path).contains("parlance_storage"))
        .map(|path| shown(path))
        .filter(|path| !path.starts_with("crates/server/src/wiring"))
        .collect();
    let listed: BTreeSet<String> = NAMES_STORAGE
        .iter()
        .map(|(path, _)| (*path).to_owned())
        .collect();
    assert_eq!(naming, listed);
}

/// Diesel is known to storage alone.
#[test]
fn only_storage_knows_diesel() {
    for (name, found) in dependencies() {
        let knows = found
            .iter()
            .any(|(kind, d)| kind != "dev" && d.starts_with("diesel"));
        assert!(
            !knows || name == "storage" || TEST_CRATES.contains(&name.as_str()),
            "{name}"
        );
    }
}
