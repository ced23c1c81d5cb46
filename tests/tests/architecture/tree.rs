//! What is in the dependency tree, whatever the platform.

use std::collections::BTreeSet;

use super::{list, metadata, text};

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

fn versions(name: &str) -> BTreeSet<&'static str> {
    list(metadata(), "packages")
        .filter(|package| text(package, "name") == name)
        .map(|package| text(package, "version"))
        .collect()
}

#[test]
fn there_is_one_version_of_what_must_be_one() {
    for name in ONE_VERSION {
        assert!(versions(name).len() <= 1, "{name}: {:?}", versions(name));
    }
    assert!(!versions("tonic").is_empty(), "the tree is looked at");
}

#[test]
fn there_is_one_tls_and_no_client_library() {
    let found: Vec<_> = FORBIDDEN
        .iter()
        .filter(|name| !versions(name).is_empty())
        .collect();
    assert_eq!(found, Vec::<&&str>::new());
}
