//! Rules for source files.

use std::collections::BTreeSet;

use super::{files, read, root, shown};

/// Maximum length of a file, in lines.
const LONGEST: usize = 600;

fn sources() -> Vec<std::path::PathBuf> {
    let folders = ["crates", "tests", "benches"];
    folders
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .collect()
}

#[test]
fn no_file_is_too_long() {
    let sources = sources();
    assert!(sources.len() > 50, "the source files are found");
    let too_long: Vec<_> = sources
        .iter()
        .map(|path| (shown(path), read(path).lines().count()))
        .filter(|(_, lines)| *lines > LONGEST)
        .collect();
    assert_eq!(too_long, []);
}

#[test]
fn every_file_of_the_product_starts_with_a_doc_comment() {
    let undocumented: Vec<_> = files("crates", ".rs")
        .iter()
        .filter(|path| shown(path).split('/').nth(2) == Some("src"))
        .filter(|path| !read(path).starts_with("//!"))
        .map(|path| shown(path))
        .collect();
    assert_eq!(undocumented, Vec::<String>::new());
}

#[test]
fn no_unfinished_code_is_left() {
    // Concatenated, so that this file does not contain the words.
    let words = [["to", "do!("].concat(), ["unimple", "mented!("].concat()];
    let left: Vec<_> = sources()
        .iter()
        .filter(|path| words.iter().any(|word| read(path).contains(word)))
        .map(|path| shown(path))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn both_databases_have_migrations_of_the_same_names() {
    let names = |database: &str| -> BTreeSet<String> {
        let folder = root().join("migrations").join(database);
        let entries = std::fs::read_dir(folder).expect("a folder of migrations");
        entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    };
    assert!(!names("postgres").is_empty());
    assert_eq!(names("postgres"), names("sqlite"));
}
