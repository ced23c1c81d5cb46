//! Words that are not used in identifiers, comments and texts, with the words to use instead.

use std::process::Command;

use super::root;

/// Words and phrases of an earlier vocabulary, each with what to say instead.
const BANNED: [(&str, &str); 28] = [
    ("anybody", PARTY),
    ("everybody", PARTY),
    ("nobody", PARTY),
    ("somebody", PARTY),
    ("those who", PARTY),
    ("whoever", PARTY),
    ("whomever", PARTY),
    ("told", "notified, reported, recorded or returned"),
    ("what is told", "the notification, the report or the event"),
    ("heard", "received or notified"),
    ("hears", "receives or is notified"),
    ("fate", "outcome"),
    ("fates", "outcomes"),
    ("wish", "request or preference"),
    ("wishes", "requests or preferences"),
    ("journey", "message events or delivery events"),
    ("journeys", "message events or delivery events"),
    ("scribe", "outcome writer"),
    ("carriers", "provider registry"),
    ("far side", "simulated network"),
    ("errand", "load request"),
    ("boarding", "role in a single flight"),
    ("doom", "delete or fail"),
    ("doomed", "deleted or failing"),
    ("overtaken", "superseded, or conflict"),
    ("kept near", "in the in-process cache (memory tier)"),
    ("thrown out", "evicted"),
    ("throws out", "evicts"),
];
const PARTY: &str = "the client, caller, instance, reader, writer or operator that is meant";

/// Endings of the files that are searched.
const ENDINGS: [&str; 8] = [
    ".rs", ".md", ".proto", ".html", ".js", ".sh", ".yaml", ".yml",
];

/// Folder and ending of the dashboards, which are searched as well.
const DASHBOARDS: (&str, &str) = ("/dashboards/", ".json");

/// Files that may contain the words, each with the reason.
const EXCLUDED: [(&str, &str); 1] = [("tests/tests/architecture/words.rs", "lists the words")];

fn is_searched(path: &str) -> bool {
    let (folder, ending) = DASHBOARDS;
    let is_dashboard = path.contains(folder) && path.ends_with(ending);
    let is_excluded = EXCLUDED.iter().any(|(excluded, _)| *excluded == path);
    !is_excluded && (is_dashboard || ENDINGS.iter().any(|ending| path.ends_with(ending)))
}

/// The words of a line in lower case; identifiers are split at underscores and at capital letters.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for character in line.chars() {
        let starts_word = character.is_uppercase() && was_lower;
        if let Some(last) = words.last()
            && !last.is_empty()
            && (starts_word || !character.is_alphanumeric())
        {
            words.push(String::new());
        }
        if character.is_alphanumeric()
            && let Some(last) = words.last_mut()
        {
            last.extend(character.to_lowercase());
        }
        was_lower = character.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The banned words of a line, with what to say instead.
fn banned(line: &str) -> Vec<(&'static str, &'static str)> {
    let words = words(line);
    let is_in_line = |(phrase, _): &&(&str, &str)| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words
            .windows(phrase.len())
            .any(|window| window.iter().zip(&phrase).all(|(word, part)| word == part))
    };
    BANNED.iter().filter(is_in_line).copied().collect()
}

/// Paths of all tracked files.
fn tracked() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root())
        .output()
        .expect("git");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git ls-files: {error}");
    let paths = String::from_utf8_lossy(&output.stdout);
    paths.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn no_banned_word_is_used() {
    let paths: Vec<String> = tracked()
        .into_iter()
        .filter(|path| is_searched(path))
        .collect();
    assert!(paths.len() > 50, "the tracked files are found");
    let mut findings = Vec::new();
    for path in &paths {
        // A deleted file is tracked until its deletion is committed.
        let Ok(text) = std::fs::read_to_string(root().join(path)) else {
            continue;
        };
        for (number, line) in (1..).zip(text.lines()) {
            for (word, instead) in banned(line) {
                findings.push(format!("{path}:{number}: \"{word}\"; say: {instead}"));
            }
        }
    }
    assert!(
        findings.is_empty(),
        "{} banned words:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

/// The check itself can fail.
#[test]
fn banned_words_are_found_in_identifiers_and_texts() {
    for (line, expected) in [
        ("/// Nobody waits.", vec!["nobody"]),
        (
            "let is_told = fate_of(FarSide);",
            vec!["told", "fate", "far side"],
        ),
        ("fn tell_somebody() {}", vec!["somebody"]),
        ("// Those who wait, as told.", vec!["those who", "told"]),
        ("untold stories of a boardinghouse", vec![]),
        ("FATE", vec!["fate"]),
        ("", vec![]),
    ] {
        let found: Vec<&str> = banned(line).into_iter().map(|(word, _)| word).collect();
        assert_eq!(found, expected, "{line}");
    }
}

/// An excluded file that no longer exists must leave the list.
#[test]
fn excluded_files_exist() {
    let tracked = tracked();
    for (path, reason) in EXCLUDED {
        assert!(tracked.iter().any(|it| it == path), "{path}: {reason}");
    }
}
