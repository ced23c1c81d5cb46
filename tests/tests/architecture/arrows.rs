//! Dependencies between the crates.

use std::collections::{BTreeMap, BTreeSet};

use super::{files, list, metadata, read, root, shown, text};

/// The allowed dependencies of the product. A crate that is not listed may depend on none of ours.
const ARROWS: [(&str, &[&str]); 10] = [
    ("cli", &["server", "proto"]),
    (
        "server",
        &[
            "app",
            "transport",
            "proto",
            "domain",
            "storage",
            "cache",
            "providers",
        ],
    ),
    ("app", &["storage", "cache", "providers", "domain"]),
    ("storage", &["domain"]),
    ("providers", &["domain"]),
    ("cache", &[]),
    ("transport", &[]),
    ("proto", &[]),
    ("domain", &[]),
    ("testkit", &["domain"]),
];
/// Crates that are not part of the product, and may use the testkit.
const TEST_CRATES: [&str; 2] = ["tests", "benches"];
/// Dependencies that the domain must not have.
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

/// Files of `server` outside its wiring that name storage, with the reason. Keep the list short.
const NAMES_STORAGE: [(&str, &str); 3] = [
    (
        "crates/server/src/config/mod.rs",
        "reads the settings that the wiring opens the database with",
    ),
    (
        "crates/server/src/telemetry/metrics.rs",
        "counts the database connections",
    ),
    (
        "crates/server/src/services/tests.rs",
        "creates the database of a test",
    ),
];

/// The dependencies of each of our crates: kind (`normal`, `build`, `dev`) and name.
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

/// Dependencies that are not allowed.
fn violations(dependencies: &BTreeMap<String, BTreeSet<(String, String)>>) -> Vec<String> {
    let mut violations = Vec::new();
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
                violations.push(format!("{name} -> {dependency} ({kind})"));
            }
            if name == "domain" && NOT_IN_DOMAIN.contains(&dependency.as_str()) {
                violations.push(format!("{name} -> {dependency} ({kind})"));
            }
        }
    }
    violations
}

#[test]
fn every_dependency_is_allowed() {
    let dependencies = dependencies();
    for known in ["domain", "storage", "app", "server"] {
        assert!(
            dependencies.contains_key(known),
            "{:?}",
            dependencies.keys()
        );
    }
    assert_eq!(violations(&dependencies), Vec::<String>::new());
}

/// The check itself can fail.
#[test]
fn forbidden_dependencies_are_reported() {
    for (from, kind, to, bad) in [
        ("storage", "normal", "parlance-cache", true),
        ("cache", "normal", "parlance-domain", true),
        ("transport", "normal", "parlance-proto", true),
        ("cli", "normal", "parlance-storage", true),
        ("storage", "build", "parlance-app", true),
        ("domain", "normal", "serde", true),
        ("app", "normal", "parlance-testkit", true),
        ("new", "normal", "parlance-domain", true),
        ("app", "dev", "parlance-testkit", false),
        ("app", "normal", "parlance-storage", false),
        ("server", "normal", "parlance-transport", false),
        ("tests", "normal", "parlance-testkit", false),
    ] {
        let one = BTreeSet::from([(kind.to_owned(), to.to_owned())]);
        let found = violations(&BTreeMap::from([(from.to_owned(), one)]));
        assert_eq!(!found.is_empty(), bad, "{from} -> {to} ({kind})");
    }
}

/// Only the wiring names the database itself; other files are listed above with the reason, and an unused entry must be
/// removed.
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

/// Only the wiring names the Redis tier; what the others need of it is the trait `RemoteHealth`.
#[test]
fn only_the_wiring_names_the_redis_tier() {
    let crates = ["crates/app/src", "crates/server/src", "crates/cli/src"];
    let naming: Vec<String> = crates
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .filter(|path| read(path).contains("RedisTier"))
        .map(|path| shown(&path))
        .collect();
    assert_eq!(naming, ["crates/server/src/wiring/cache.rs"]);
}

/// Files outside of the provider registry that name a provider, with the reason.
const NAMES_A_PROVIDER: [(&str, &str); 2] = [
    (
        "crates/server/src/http/page/mod.rs",
        "a test compares the test recipients of the page",
    ),
    (
        "crates/server/src/simulate/provider.rs",
        "serves the network of the simulator as a process of its own",
    ),
];

/// Only the registry names a provider's module, so that another provider is one line there.
#[test]
fn only_the_registry_names_a_provider() {
    let entries = std::fs::read_dir(root().join("crates/providers/src"));
    let folders: Vec<String> = entries
        .expect("the folders of the providers")
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| {
            let name = entry.file_name();
            format!("parlance_providers::{}", name.to_string_lossy())
        })
        .collect();
    assert!(!folders.is_empty());
    let crates = ["crates/app/src", "crates/server/src", "crates/cli/src"];
    let naming: BTreeSet<String> = crates
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .filter(|path| {
            let source = read(path);
            folders
                .iter()
                .any(|folder| source.contains(folder.as_str()))
        })
        .map(|path| shown(&path))
        .filter(|path| path != "crates/server/src/wiring/providers.rs")
        .collect();
    let listed: BTreeSet<String> = NAMES_A_PROVIDER
        .iter()
        .map(|(path, _)| (*path).to_owned())
        .collect();
    assert_eq!(naming, listed);
}

/// Only storage depends on Diesel.
#[test]
fn only_storage_depends_on_diesel() {
    for (name, found) in dependencies() {
        let depends = found
            .iter()
            .any(|(kind, d)| kind != "dev" && d.starts_with("diesel"));
        assert!(
            !depends || name == "storage" || TEST_CRATES.contains(&name.as_str()),
            "{name}"
        );
    }
}
