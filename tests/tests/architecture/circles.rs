//! Import circles between the modules of a crate.
//!
//! The rule: the modules of one parent, and the parent's own file, import each other in one direction. So a circle is
//! looked for among the children of every module.
//!
//! - An import counts between the two modules at which the paths of importer and item part: `messages::send` that
//!   imports `cache::keys` is an import of `cache` by `messages`. An item that the parent itself defines belongs to the
//!   parent's own file.
//! - A re-export is followed to the module that defines the item.
//! - A declaration or re-export of a child is no import by its parent, unless the parent's own code uses the type.
//!
//! A circle is mended by moving the shared item to a module below both.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::imports::{ModulePath, Modules};

/// The crates that are checked. testkit is not among them: its modules `history`, `process` and `proxy` declare types that
/// their own children use.
const CRATES: [&str; 9] = [
    "app",
    "cache",
    "cli",
    "domain",
    "proto",
    "providers",
    "server",
    "storage",
    "transport",
];

/// Name of a parent's own file among its children.
const OWN_FILE: &str = "(own file)";

/// The modules that each module imports, with an example of an import.
type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// The imports among the children of each module.
fn graphs(modules: &Modules) -> BTreeMap<ModulePath, Graph> {
    let mut graphs: BTreeMap<ModulePath, Graph> = BTreeMap::new();
    for import in modules.imports() {
        let (from, to) = (&import.from, &import.to);
        let pairs = from.iter().zip(to);
        let common = pairs.take_while(|(one, other)| one == other).count();
        let node = |path: &ModulePath| {
            let child = path.get(common).map(String::as_str);
            child.unwrap_or(OWN_FILE).to_owned()
        };
        let graph = graphs.entry(from[..common].to_vec()).or_default();
        let imported = graph.entry(node(from)).or_default();
        imported
            .entry(node(to))
            .or_insert_with(|| import.to_string());
    }
    graphs
}

/// The shortest circle of a graph: each module imports the next, and the last one the first.
fn circle(graph: &Graph) -> Option<Vec<&str>> {
    let circles = graph.keys().filter_map(|start| way_back(graph, start));
    circles.min_by_key(Vec::len)
}

/// The shortest way from a module back to itself, without its end.
fn way_back<'a>(graph: &'a Graph, start: &'a str) -> Option<Vec<&'a str>> {
    let mut seen = BTreeSet::new();
    let mut ways = VecDeque::from([vec![start]]);
    while let Some(way) = ways.pop_front() {
        let imported = way.last().and_then(|last| graph.get(*last));
        for next in imported.into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                return Some(way);
            }
            if seen.insert(next.as_str()) {
                let mut longer = way.clone();
                longer.push(next);
                ways.push_back(longer);
            }
        }
    }
    None
}

/// One line for each module whose children have a circle.
fn circles(modules: &Modules) -> Vec<String> {
    let graphs = graphs(modules);
    let found = graphs.iter().filter_map(|(parent, graph)| {
        let circle = circle(graph)?;
        let nexts = circle.iter().cycle().skip(1);
        let steps = circle.iter().zip(nexts);
        let examples: Vec<&str> = steps.map(|(from, to)| graph[*from][*to].as_str()).collect();
        let way = circle.join(" -> ");
        let first = circle.first().copied().unwrap_or_default();
        let place: Vec<&str> = std::iter::once("crate")
            .chain(parent.iter().map(String::as_str))
            .collect();
        let (place, examples) = (place.join("::"), examples.join("; "));
        Some(format!("{place}: {way} -> {first} ({examples})"))
    });
    found.collect()
}

#[test]
fn no_modules_import_each_other() {
    let mut found = Vec::new();
    for name in CRATES {
        let circles = circles(&Modules::of_crate(name)).into_iter();
        found.extend(circles.map(|circle| format!("{name}: {circle}")));
    }
    assert!(found.is_empty(), "import circles:\n{}", found.join("\n"));
}

/// The imports of the product are seen, so that the test above is not empty.
#[test]
fn imports_between_modules_are_found() {
    let graphs = graphs(&Modules::of_crate("app"));
    let root = &graphs[&ModulePath::new()];
    for (from, to) in [
        ("messages", "app"),
        ("messages", "read"),
        ("read", "cache"),
        ("app", "changes"),
        ("changes", "cache"),
    ] {
        assert!(root[from].contains_key(to), "{from} -> {to}");
    }
}

/// The circles of a made-up crate.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    circles(&Modules::of_files(files))
}

#[test]
fn circles_are_spelled_out() {
    let circle = circles_of(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B; fn call() { super::c::run() }"),
        ("c.rs", "use super::a::{self, A as Other}; pub fn run() {}"),
    ]);
    assert_eq!(
        circle,
        [
            "crate: a -> b -> c -> a (a.rs:1 imports crate::b::B from b.rs; \
             b.rs:1 imports super::c::run from c.rs; c.rs:1 imports super::a from a.rs)"
        ]
    );
}

#[test]
fn circles_are_found_wherever_they_are() {
    let below = circles_of(&[
        ("lib.rs", "mod p;"),
        ("p.rs", "mod a; mod b;"),
        ("p/a.rs", "use super::b::B; pub struct A;"),
        ("p/b.rs", "use crate::p::a::A; pub struct B;"),
    ]);
    assert_eq!(below.len(), 1, "among children: {below:?}");

    let through_files = circles_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "mod x; mod y;"),
        ("a/x.rs", "use crate::b::B;"),
        ("a/y.rs", "pub struct Y;"),
        ("b.rs", "use crate::a::y::Y; pub struct B;"),
    ]);
    assert_eq!(through_files.len(), 1, "between folders: {through_files:?}");

    let reexported = circles_of(&[
        ("lib.rs", "mod a; mod b; pub use a::A;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::A; pub struct B;"),
    ]);
    assert_eq!(reexported.len(), 1, "through a re-export: {reexported:?}");

    let through_module = circles_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b; pub struct A; fn call() { b::run() }"),
        ("b.rs", "pub fn run() -> crate::a::A {}"),
    ]);
    assert_eq!(through_module.len(), 1, "by a module: {through_module:?}");

    let with_parent = circles_of(&[
        ("lib.rs", "mod p;"),
        ("p.rs", "mod a; pub use a::A; pub struct P(A);"),
        ("p/a.rs", "use super::P; pub struct A;"),
    ]);
    assert_eq!(with_parent.len(), 1, "with the parent: {with_parent:?}");

    let by_glob = circles_of(&[
        ("lib.rs", "mod p;"),
        ("p.rs", "mod a; use a::A; pub struct P(A);"),
        ("p/a.rs", "use super::*; pub struct A;"),
    ]);
    assert_eq!(by_glob.len(), 1, "by all names: {by_glob:?}");

    let inline = circles_of(&[(
        "lib.rs",
        "mod a { use super::b::B; pub struct A; } mod b { use super::a::A; pub struct B; }",
    )]);
    assert_eq!(inline.len(), 1, "within a file: {inline:?}");
}

#[test]
fn other_imports_are_no_circles() {
    let none = circles_of(&[
        (
            "lib.rs",
            "mod a; mod b; mod text; pub use a::A; pub use b::B;",
        ),
        (
            "a.rs",
            "//! Uses crate::b::B.\nuse crate::text::{Text};\npub struct A<'a>(&'a str); const C: char = '\"';",
        ),
        (
            "b.rs",
            "mod child; pub use child::Child; use crate::a::A; pub struct B;\n\
             const NAME: &str = \"crate::a\"; /* crate::b /* nested */ */",
        ),
        ("b/child.rs", "use super::B; pub struct Child;"),
        (
            "text.rs",
            "pub struct Text; const RAW: &str = r#\"use crate::a::A;\"#;\n\
             #[cfg(test)]\nmod tests { use crate::a::A; }\n#[cfg(test)] use crate::b::{B};\n#[cfg(test)] mod more;",
        ),
        ("text/more.rs", "use crate::b::B;"),
    ]);
    assert_eq!(none, Vec::<String>::new());
}
