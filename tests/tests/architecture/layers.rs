//! Layers of storage: its files import in one direction.

use std::collections::BTreeSet;

use super::imports::{Import, Modules};

/// The layers, lowest first, each with its files: a file imports only from its own layer and from lower ones. A file
/// belongs to the layer that names most of its path.
const LAYERS: [(&str, &[&str]); 14] = [
    ("error", &["error.rs"]),
    ("model", &["model/"]),
    ("fields", &["fields/"]),
    ("schema", &["schema.rs"]),
    ("rows", &["rows/"]),
    ("fragments", &["fragments/"]),
    (
        "dialect",
        &["backend/pg/dialect.rs", "backend/sqlite/dialect.rs"],
    ),
    ("queries", &["queries/"]),
    ("backend", &["backend/"]),
    ("conn", &["conn/"]),
    ("db", &["db/"]),
    ("reindex", &["reindex.rs"]),
    ("migrate", &["migrate.rs"]),
    ("root", &["lib.rs"]),
];

/// Returns the position of the layer of a file.
fn layer(file: &str) -> Option<usize> {
    let layers = LAYERS.iter().enumerate();
    let matching = layers.flat_map(|(layer, (_, starts))| {
        let starts = starts.iter().filter(move |start| file.starts_with(**start));
        starts.map(move |start| (start.len(), layer))
    });
    matching.max().map(|(_, layer)| layer)
}

/// The imports from a higher layer. An import of a file that is several modules is named once.
fn upward(imports: &[Import]) -> BTreeSet<String> {
    let upward = imports
        .iter()
        .filter(|import| layer(&import.from_file) < layer(&import.to_file));
    upward.map(ToString::to_string).collect()
}

#[test]
fn storage_imports_from_lower_layers_only() {
    let modules = Modules::of_crate("storage");
    let files = modules.files();
    assert!(files.len() > 100, "the files are found");
    let of_no_layer: Vec<_> = files.iter().filter(|file| layer(file).is_none()).collect();
    assert_eq!(of_no_layer, Vec::<&&str>::new());
    let starts = LAYERS.iter().flat_map(|(_, starts)| starts.iter());
    let unused: Vec<_> = starts
        .filter(|start| !files.iter().any(|file| file.starts_with(**start)))
        .collect();
    assert_eq!(unused, Vec::<&&str>::new());
    let imports = modules.imports();
    assert!(imports.len() > 300, "the imports are found");
    assert_eq!(upward(&imports), BTreeSet::new());
}

/// The check itself can fail.
#[test]
fn imports_from_higher_layers_are_reported() {
    let modules = Modules::of_files(&[
        ("lib.rs", "mod db; mod model; mod rows; pub use db::D;"),
        ("db/mod.rs", "pub mod stats; pub use stats::D;"),
        ("db/stats.rs", "use crate::rows::Row;\nuse crate::model::M;"),
        ("model/mod.rs", ""),
        ("rows/mod.rs", "pub mod stats;"),
        ("rows/stats.rs", "use crate::db::stats::Counter;"),
    ]);
    let upward: Vec<String> = upward(&modules.imports()).into_iter().collect();
    assert_eq!(
        upward,
        ["rows/stats.rs:1 imports crate::db::stats::Counter from db/stats.rs"]
    );
}
