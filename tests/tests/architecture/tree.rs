//! What is in the dependency tree, whatever the platform: read from the lock file, since cargo fetches the crates of this platform
//! only.

use std::collections::BTreeSet;

use super::{read, root};

/// Two versions of these would be two sets of types, or two TLS stacks.
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
/// TLS is rustls with ring, and Postgres is spoken without its C library.
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
fn there_is_one_version_of_what_must_be_one() {
    let lock = lock();
    for name in ONE_VERSION {
        let found = versions(&lock, name);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
    }
}

#[test]
fn there_is_one_tls_and_no_client_library() {
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
