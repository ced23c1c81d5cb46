//! Direct dependencies on packages of others: each has a row with its users and its purpose in docs/dependencies.md.

use std::collections::{BTreeMap, BTreeSet};

use super::{list, metadata, read, root, text};

/// Crates that use a package: in the product or its build, and in tests only.
#[derive(Default)]
struct Users {
    product: BTreeSet<String>,
    tests: BTreeSet<String>,
}

impl Users {
    /// The cell of the table: `app, cli; tests of domain`.
    fn cell(&self) -> String {
        let names = |crates: Vec<&String>| -> String {
            let names: Vec<&str> = crates.into_iter().map(String::as_str).collect();
            names.join(", ")
        };
        let product = names(self.product.iter().collect());
        let tests = names(self.tests.difference(&self.product).collect());
        match (product.is_empty(), tests.is_empty()) {
            (_, true) => product,
            (true, false) => format!("tests of {tests}"),
            (false, false) => format!("{product}; tests of {tests}"),
        }
    }
}

/// The users of each package, from the manifests.
fn users() -> BTreeMap<String, String> {
    let mut users: BTreeMap<String, Users> = BTreeMap::new();
    for package in list(&metadata(), "packages") {
        let name = text(package, "name");
        let name = name.strip_prefix("parlance-").unwrap_or(name);
        for dependency in list(package, "dependencies") {
            let of = text(dependency, "name");
            if of.starts_with("parlance-") {
                continue;
            }
            let users = users.entry(of.to_owned()).or_default();
            let crates = if text(dependency, "kind") == "dev" {
                &mut users.tests
            } else {
                &mut users.product
            };
            crates.insert(name.to_owned());
        }
    }
    users
        .into_iter()
        .map(|(package, users)| (package, users.cell()))
        .collect()
}

/// The rows of tables whose first cell is a name in backticks: the name and the other cells.
fn rows(document: &str) -> Vec<(String, Vec<String>)> {
    document
        .lines()
        .filter_map(|line| {
            let cells = line.strip_prefix("| `")?.strip_suffix(" |")?;
            let (name, cells) = cells.split_once("` | ")?;
            let cells = cells.split(" | ").map(|cell| cell.trim().to_owned());
            Some((name.to_owned(), cells.collect()))
        })
        .collect()
}

/// The names under `[workspace.dependencies]`, except our own crates.
fn declared(manifest: &str) -> BTreeSet<String> {
    let table = manifest.split("[workspace.dependencies]\n").nth(1);
    let table = table.unwrap_or_default().split("\n[").next();
    let names = table.unwrap_or_default().lines().filter_map(|line| {
        let name = line.split_once(" = ")?.0;
        let is_other = !name.starts_with(['#', ' ']) && !name.starts_with("parlance-");
        is_other.then(|| name.to_owned())
    });
    names.collect()
}

#[test]
fn every_package_has_a_row_with_its_users() {
    let rows = rows(&read(&root().join("docs/dependencies.md")));
    // Tables of measurements have other columns.
    let rows = rows.into_iter().filter(|(_, cells)| cells.len() == 3);
    let mut listed: BTreeMap<String, String> = BTreeMap::new();
    for (name, cells) in rows {
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{name}");
        let earlier = listed.insert(name.clone(), cells[0].clone());
        assert_eq!(earlier, None, "{name} has two rows");
    }
    let used = users();
    assert!(used.len() > 30, "{used:?}");
    let missing: Vec<_> = used.iter().filter(|row| !is_in(&listed, row)).collect();
    assert!(missing.is_empty(), "add or correct the rows of {missing:?}");
    let stale: Vec<_> = listed.iter().filter(|row| !is_in(&used, row)).collect();
    assert!(stale.is_empty(), "remove the rows of {stale:?}");
}

fn is_in(rows: &BTreeMap<String, String>, (name, users): &(&String, &String)) -> bool {
    rows.get(*name) == Some(*users)
}

#[test]
fn every_declared_package_is_used() {
    let used: BTreeSet<String> = users().into_keys().collect();
    let declared = declared(&read(&root().join("Cargo.toml")));
    assert!(declared.len() > 30, "{declared:?}");
    let unused: Vec<_> = declared.difference(&used).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

/// The check itself can fail.
#[test]
fn rows_and_declarations_are_read() {
    let document = "# Title\n\n| package | used by | for | why |\n|---|---|---|---|\n\
                    | `a` | app; tests of cli | ids | small |\n| before | now |\n";
    let cells = ["app; tests of cli", "ids", "small"].map(str::to_owned);
    assert_eq!(rows(document), [("a".to_owned(), cells.to_vec())]);

    let manifest = "[workspace]\n[workspace.dependencies]\nparlance-app = { path = \"a\" }\n\n# Values\n\
                    uuid = \"1\" # ids\n\n[profile.dev]\ndebug = 1\n";
    assert_eq!(declared(manifest), BTreeSet::from(["uuid".to_owned()]));

    let set = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|&it| it.into()).collect() };
    for (product, tests, cell) in [
        (set(&["cli", "app"]), set(&["app"]), "app, cli"),
        (set(&["app"]), set(&["cli"]), "app; tests of cli"),
        (set(&[]), set(&["cli"]), "tests of cli"),
    ] {
        assert_eq!(Users { product, tests }.cell(), cell);
    }
}
