//! Imports between the files of a crate: there are no circles, and the layers of storage import in one direction.

mod tokens;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use self::tree::{Import, Modules};
use super::root;

/// Crates of which no file imports another that imports it back, directly or through others.
const WITHOUT_CIRCLES: [&str; 3] = ["storage", "transport", "proto"];

/// The layers of storage, lowest first, each with its files: a file imports only from its own layer and from lower ones.
/// A file belongs to the layer that names most of its path.
const STORAGE: [(&str, &[&str]); 14] = [
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

/// Reads the modules of a crate below `crates/`.
fn modules(name: &str) -> Modules {
    let folder = root().join("crates").join(name).join("src");
    let is_library = folder.join("lib.rs").exists();
    let file = if is_library { "lib.rs" } else { "main.rs" };
    Modules::read(file, &|file| {
        std::fs::read_to_string(folder.join(file)).ok()
    })
}

/// Returns the imports of a crate that belong to a circle.
fn circles(name: &str) -> Vec<String> {
    let circular = circular(&modules(name).imports());
    circular
        .into_iter()
        .map(|import| format!("crates/{name}/src/{import}"))
        .collect()
}

/// The imports that lead back to the file that they are in.
fn circular(imports: &BTreeSet<Import>) -> Vec<String> {
    let mut imported: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Import { from, to, .. } in imports {
        imported.entry(from).or_default().insert(to);
    }
    let leads_back = |import: &&Import| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![import.to.as_str()]);
        while let Some(file) = open.pop() {
            if seen.insert(file) {
                open.extend(imported.get(file).into_iter().flatten().copied());
            }
        }
        seen.contains(import.from.as_str())
    };
    let circular = imports.iter().filter(leads_back);
    circular.map(ToString::to_string).collect()
}

/// Returns the position of the layer of a file of storage.
fn layer(file: &str) -> Option<usize> {
    let layers = STORAGE.iter().enumerate();
    let matching = layers.flat_map(|(layer, (_, starts))| {
        let starts = starts.iter().filter(move |start| file.starts_with(**start));
        starts.map(move |start| (start.len(), layer))
    });
    matching.max().map(|(_, layer)| layer)
}

/// The imports of storage from a higher layer.
fn upward(imports: &BTreeSet<Import>) -> Vec<String> {
    let upward = imports
        .iter()
        .filter(|import| layer(&import.from) < layer(&import.to));
    upward
        .map(|import| format!("crates/storage/src/{import}"))
        .collect()
}

#[test]
fn the_listed_crates_have_no_import_circles() {
    for name in WITHOUT_CIRCLES {
        assert_eq!(circles(name), Vec::<String>::new());
    }
}

#[test]
fn storage_imports_from_lower_layers_only() {
    let modules = modules("storage");
    let files = modules.files();
    assert!(files.len() > 100, "the files are found");
    let of_no_layer: Vec<_> = files.iter().filter(|file| layer(file).is_none()).collect();
    assert_eq!(of_no_layer, Vec::<&&str>::new());
    let starts = STORAGE.iter().flat_map(|(_, starts)| starts.iter());
    let unused: Vec<_> = starts
        .filter(|start| !files.iter().any(|file| file.starts_with(**start)))
        .collect();
    assert_eq!(unused, Vec::<&&str>::new());
    let imports = modules.imports();
    assert!(imports.len() > 300, "the imports are found");
    assert_eq!(upward(&imports), Vec::<String>::new());
}

/// The imports of a crate that consists of these files.
fn imports_of(files: &[(&str, &str)]) -> BTreeSet<Import> {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    Modules::read("lib.rs", &|file| {
        files.get(file).map(|text| (*text).to_owned())
    })
    .imports()
}

#[test]
fn every_form_of_an_import_is_found() {
    let imports = imports_of(&[
        (
            "lib.rs",
            "mod a; mod b; #[path = \"other/c.rs\"] pub(crate) mod c; pub use b::Public; pub use std::fmt;",
        ),
        (
            "a.rs",
            "mod inner;
            use crate::b::{self, Private as Renamed, deep::*};
            use crate::{Public, fmt, c};
            mod inline { use super::super::b; }
            fn f() -> Vec::<u8> { super::c::f(inner::g()); std::mem::drop(1); }
            macro_rules! m { () => { $crate::c::h() }; }
            #[cfg(test)] mod tests { use crate::c::OnlyTests; }",
        ),
        ("a/inner.rs", "use super::f; // use crate::c;"),
        ("b/mod.rs", "pub mod deep;"),
        ("b/deep.rs", ""),
        ("other/c.rs", "mod d;"),
        ("other/d.rs", "use super::super::a;"),
    ]);
    let found: Vec<String> = imports.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "a.rs:2 imports crate::b from b/mod.rs",
            "a.rs:2 imports crate::b::Private from b/mod.rs",
            "a.rs:2 imports crate::b::deep from b/deep.rs",
            "a.rs:3 imports crate::Public from b/mod.rs",
            "a.rs:3 imports crate::c from other/c.rs",
            "a.rs:4 imports super::super::b from b/mod.rs",
            "a.rs:5 imports inner::g from a/inner.rs",
            "a.rs:5 imports super::c::f from other/c.rs",
            "a.rs:6 imports $crate::c::h from other/c.rs",
            "a/inner.rs:1 imports super::f from a.rs",
            "other/d.rs:1 imports super::super::a from a.rs",
        ]
    );
}

/// The checks themselves can fail.
#[test]
fn circles_and_imports_from_higher_layers_are_reported() {
    let imports = imports_of(&[
        ("lib.rs", "mod db; mod model; mod rows; pub use db::D;"),
        ("db.rs", "pub mod stats; pub use stats::D;"),
        ("db/stats.rs", "use crate::rows::Row;\nuse crate::model::M;"),
        ("model.rs", ""),
        ("rows.rs", "pub mod stats;"),
        ("rows/stats.rs", "use crate::db::stats::Counter;"),
    ]);
    assert_eq!(circular(&imports), Vec::<String>::new());
    assert_eq!(
        upward(&imports),
        ["crates/storage/src/rows/stats.rs:1 imports crate::db::stats::Counter from db/stats.rs"]
    );
    let imports = imports_of(&[
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b::B;"),
        ("b.rs", "use crate::c::C;"),
        ("c.rs", "use crate::a::A;"),
        ("d.rs", "use crate::a::A;"),
    ]);
    assert_eq!(
        circular(&imports),
        [
            "a.rs:1 imports crate::b::B from b.rs",
            "b.rs:1 imports crate::c::C from c.rs",
            "c.rs:1 imports crate::a::A from a.rs",
        ]
    );
}
