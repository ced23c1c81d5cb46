//! Checks that files derived from the contract agree with it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::Value;

const SERVICE_CONFIG: &str = include_str!("../../../service_config.json");

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(parlance_proto::FILE_DESCRIPTOR_SET).unwrap()
}

/// Full method names (`parlance.v1.Service/Method`), and whether each is unary.
fn methods() -> BTreeMap<String, bool> {
    let mut methods = BTreeMap::new();
    for file in descriptors().file {
        for service in &file.service {
            for method in &service.method {
                methods.insert(
                    format!("{}.{}/{}", file.package(), service.name(), method.name()),
                    !method.client_streaming() && !method.server_streaming(),
                );
            }
        }
    }
    methods
}

/// Methods named in the service config, each with its entry.
fn configured() -> Vec<(String, Value)> {
    let config: Value = serde_json::from_str(SERVICE_CONFIG).unwrap();
    let entries = config["methodConfig"].as_array().unwrap();
    entries
        .iter()
        .flat_map(|entry| {
            entry["name"].as_array().unwrap().iter().map(|name| {
                let service = name["service"].as_str().unwrap();
                let method = name["method"].as_str().unwrap();
                (format!("{service}/{method}"), entry.clone())
            })
        })
        .collect()
}

#[test]
fn the_service_config_names_every_method_once() {
    let configured: Vec<String> = configured().into_iter().map(|(name, _)| name).collect();
    let unique: BTreeSet<&String> = configured.iter().collect();

    // A client refuses the whole config if it names a method twice.
    assert_eq!(
        unique.len(),
        configured.len(),
        "service_config.json names a method twice"
    );
    assert_eq!(
        unique,
        methods().keys().collect(),
        "service_config.json and proto/ differ"
    );
}

#[test]
fn every_unary_method_has_a_timeout() {
    let methods = methods();
    for (name, entry) in configured() {
        if methods[&name] {
            assert!(entry["timeout"].is_string(), "{name} has no timeout");
        }
    }
}

#[test]
fn methods_that_send_create_or_delete_are_not_retried() {
    for (name, entry) in configured() {
        let verb = name.split_once('/').unwrap().1;
        if ["Send", "Create", "Delete"]
            .iter()
            .any(|prefix| verb.starts_with(prefix))
        {
            assert!(entry.get("retryPolicy").is_none(), "{name} is retried");
        }
    }
}

#[test]
fn the_descriptor_set_keeps_its_imports_and_comments() {
    let files = descriptors().file;
    assert!(
        files
            .iter()
            .any(|file| file.name() == "google/protobuf/struct.proto"),
        "reflection could not resolve the imports"
    );
    for file in files.iter().filter(|file| file.package() == "parlance.v1") {
        let documented = file.source_code_info.as_ref().is_some_and(|info| {
            info.location
                .iter()
                .any(|location| location.leading_comments.is_some())
        });
        assert!(documented, "{} lost its comments", file.name());
    }
}
