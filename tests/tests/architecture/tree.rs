//! Rules for the packages in the dependency tree of every platform. They are read from the lock file, since cargo
//! fetches only the packages of this platform.

use std::collections::BTreeSet;

use super::{read, root};

/// Packages with one version: two would mean two sets of types, or two TLS stacks.
const ONE_VERSION: [&str; 8] = [
    "tonic",
    "prost",
    "redis",
    "rustls",
    "tokio-postgres",
    "bb8",
    "diesel",
    "libsqlite3-sys",
];
/// Packages that must not be used: TLS is rustls with ring, and Postgres is used without its C library.
const FORBIDDEN: [&str; 7] = [
    "openssl",
    "openssl-sys",
    "native-tls",
    "pq-sys",
    "aws-lc-rs",
    "aws-lc-sys",
    "aws-lc-fips-sys",
];

/// The versions of a package in the lock file.
fn versions(lock: &str, name: &str) -> BTreeSet<String> {
    lock.split("[[package]]\n")
        .filter_map(|package| {
            let package = package.strip_prefix(&format!("name = \"{name}\"\nversion = \""))?;
            package.split('"').next().map(str::to_owned)
        })
        .collect()
}

fn lock() -> String {
    read(&root().join("Cargo.lock"))
}

#[test]
fn listed_packages_have_one_version() {
    let lock = lock();
    for name in ONE_VERSION {
        let found = versions(&lock, name);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
    }
}

#[test]
fn no_other_tls_and_no_client_library() {
    let lock = lock();
    let found: Vec<_> = FORBIDDEN
        .iter()
        .filter(|name| !versions(&lock, name).is_empty())
        .collect();
    assert_eq!(found, Vec::<&&str>::new());
}

#[test]
fn every_version_in_a_lock_file_is_found() {
    let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n\
                [[package]]\nname = \"a\"\nversion = \"2.0.0\"\n\n[[package]]\nname = \"ab\"\nversion = \"3.0.0\"\n";
    assert_eq!(
        versions(lock, "a").into_iter().collect::<Vec<_>>(),
        ["1.0.0", "2.0.0"]
    );
}
