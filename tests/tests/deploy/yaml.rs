//! YAML as a flat map from paths to scalars.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser};

enum Level {
    /// A mapping, with the key of the value that is read next.
    Map(Option<String>),
    /// A sequence, with the number of elements read.
    List(usize),
}

/// Returns every scalar of a document by its path, such as `services.redis.command.0`. Panics if the text is no YAML.
pub(crate) fn flat(text: &str) -> BTreeMap<String, String> {
    let mut scalars = BTreeMap::new();
    let mut levels: Vec<Level> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.unwrap_or_else(|error| panic!("{error} in\n{text}"));
        match event {
            Event::MappingStart(..) => levels.push(Level::Map(None)),
            Event::SequenceStart(..) => levels.push(Level::List(0)),
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
                value_ended(&mut levels);
            }
            Event::Scalar(value, ..) => {
                if let Some(Level::Map(key @ None)) = levels.last_mut() {
                    *key = Some(value.into_owned());
                } else {
                    let doubled = scalars.insert(path(&levels), value.into_owned());
                    assert!(doubled.is_none(), "{} is there twice", path(&levels));
                    value_ended(&mut levels);
                }
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Alias(..) => {}
        }
    }
    scalars
}

fn value_ended(levels: &mut [Level]) {
    match levels.last_mut() {
        Some(Level::Map(key)) => *key = None,
        Some(Level::List(count)) => *count += 1,
        None => {}
    }
}

fn path(levels: &[Level]) -> String {
    let steps: Vec<String> = levels
        .iter()
        .map(|level| match level {
            Level::Map(key) => key.clone().unwrap_or_default(),
            Level::List(count) => count.to_string(),
        })
        .collect();
    steps.join(".")
}

#[test]
fn scalars_have_paths() {
    let found = flat("a: {b: 1}\nc:\n  - x\n  - d: y\n    e: [z]\nf: \"\"\n");
    let expected = [
        ("a.b", "1"),
        ("c.0", "x"),
        ("c.1.d", "y"),
        ("c.1.e.0", "z"),
        ("f", ""),
    ];
    let expected = expected.map(|(path, value)| (path.to_owned(), value.to_owned()));
    assert_eq!(found, BTreeMap::from(expected));
}
