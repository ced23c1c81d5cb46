//! Sessions one after another, as they stand in a file: one to a line, in an array, or in an object by their names.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use clap::ValueEnum;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Old, read};

/// As much of a file as is looked at to see how its sessions stand there.
const LOOK: usize = 64 * 1_024;

/// What some programs write before everything else.
const MARK: &str = "\u{feff}";

/// How sessions stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// As it begins: `[` is an array; `{` lines, unless its first value is that of a session
    Auto,
    /// One session to a line
    Lines,
    /// One JSON array of sessions
    Array,
    /// One JSON object of sessions by their ids
    Map,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On this line, from 1 on.
    Line(u64),
    /// So many sessions from the beginning, from 1 on.
    Session(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Session(number) => write!(f, "session {number}"),
        }
    }
}

/// A session, or what is wrong with it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) old: Result<Old, String>,
}

/// Reads all sessions until `each` wants no more; `false` for that.
pub(crate) fn read_all(
    source: impl Read,
    format: Format,
    mut each: impl FnMut(Found) -> bool,
) -> io::Result<()> {
    let mut source = BufReader::with_capacity(LOOK, source);
    if source.fill_buf()?.starts_with(MARK.as_bytes()) {
        source.consume(MARK.len());
    }
    let format = match format {
        Format::Auto => guessed(source.fill_buf()?),
        Format::Lines | Format::Array | Format::Map => format,
    };
    match format {
        Format::Auto | Format::Lines => lines(source, &mut each),
        Format::Array | Format::Map => {
            let mut json = serde_json::Deserializer::from_reader(source);
            let mut ended = false;
            let all = All {
                each: &mut each,
                ended: &mut ended,
                count: 0,
            };
            match all.deserialize(&mut json).and_then(|()| json.end()) {
                // An error is the one way to leave in the middle.
                Err(_) if ended => Ok(()),
                Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                Ok(()) => Ok(()),
            }
        }
    }
}

/// A session's own fields are texts, or lists and objects of these names; under a session's name stands another object.
fn guessed(start: &[u8]) -> Format {
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start();
    if text.starts_with('[') {
        return Format::Array;
    }
    let Some(members) = text.strip_prefix('{') else {
        return Format::Lines;
    };
    let mut names = serde_json::Deserializer::from_str(members).into_iter::<String>();
    let Some(Ok(name)) = names.next() else {
        return Format::Lines;
    };
    let value = members.get(names.byte_offset()..).unwrap_or_default();
    let value = value.trim_start().trim_start_matches(':').trim_start();
    let is_field = match name.as_str() {
        "messages" => value.starts_with('['),
        "context" | "metadata" => true,
        _ => !value.starts_with(['{', '[']),
    };
    if is_field { Format::Lines } else { Format::Map }
}

fn lines(mut source: impl BufRead, each: &mut impl FnMut(Found) -> bool) -> io::Result<()> {
    let mut line = Vec::new();
    let mut number = 0;
    while {
        line.clear();
        source.read_until(b'\n', &mut line)? > 0
    } {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let read = serde_json::from_slice::<&RawValue>(&line);
        let read = read.map_err(|error| format!("not JSON: {error}"));
        let found = Found {
            place: Place::Line(number),
            old: read.and_then(|text| read::old(None, text)),
        };
        if !each(found) {
            break;
        }
    }
    Ok(())
}

/// All sessions of an array or an object, none of which is held longer than it takes.
struct All<'a, F> {
    each: &'a mut F,
    ended: &'a mut bool,
    count: u64,
}

impl<F: FnMut(Found) -> bool> All<'_, F> {
    fn add<E: serde::de::Error>(&mut self, name: Option<&str>, text: &RawValue) -> Result<(), E> {
        self.count += 1;
        let found = Found {
            place: Place::Session(self.count),
            old: read::old(name, text),
        };
        if (self.each)(found) {
            return Ok(());
        }
        *self.ended = true;
        Err(E::custom("no more is wanted"))
    }
}

impl<'de, F: FnMut(Found) -> bool> DeserializeSeed<'de> for All<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Found) -> bool> Visitor<'de> for All<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or an object of sessions")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, text)) = map.next_entry::<String, Box<RawValue>>()? {
            self.add(Some(&name), &text)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(text) = list.next_element::<Box<RawValue>>()? {
            self.add(None, &text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Place, Result<String, String>)> {
        let mut all = Vec::new();
        read_all(text.as_bytes(), Format::Auto, |found| {
            let name = found.old.map(|old| old.conversation.external_id);
            all.push((found.place, name));
            true
        })
        .unwrap();
        all
    }

    #[test]
    fn each_of_the_three_forms_is_known_by_its_beginning() {
        use Place::{Line, Session};
        let (one, two) = (Ok("a".to_owned()), Ok("b".to_owned()));
        for text in [
            r#"{"a":{"messages":[]},"b":{"messages":[]}}"#,
            "\u{feff}{\n  \"a\": {\"messages\": []},\n  \"b\": []\n}\n",
            r#"[{"session_id":"a","messages":[]}, {"messages":[],"session_id":"b"}]"#,
        ] {
            let all = read(text);
            assert_eq!(
                all,
                [(Session(1), one.clone()), (Session(2), two.clone())],
                "{text}"
            );
        }
        for text in [
            "{\"session_id\":\"a\",\"messages\":[]}\n\n{\"id\":\"b\",\"messages\":[]}",
            "{\"messages\":[],\"id\":\"a\"}\r\n\r\n{\"id\":\"b\",\"messages\":[]}\r\n",
            "{\"context\":{},\"messages\":[],\"id\":\"a\"}\n \n{\"id\":\"b\",\"messages\":[]}\n",
        ] {
            let all = read(text);
            assert_eq!(
                all,
                [(Line(1), one.clone()), (Line(3), two.clone())],
                "{text:?}"
            );
        }
        assert_eq!(read(""), []);
        assert_eq!(read("{}").len(), 1, "a session without a name");
    }

    #[test]
    fn what_is_wrong_is_told_by_its_number() {
        let all = read(
            "{\"id\":\"a\",\"messages\":[]}\n{\"id\":\"b\",\"mess\nnonsense\n{\"id\":\"c\",\"messages\":[]}\n",
        );
        let wrong: Vec<_> = all.iter().map(|(_, old)| old.is_err()).collect();
        assert_eq!(wrong, [false, true, true, false]);
        assert_eq!(all[3].0.to_string(), "line 4");
        let all = read(r#"{"a":{"messages":[]},"b":7,"c":{"messages":[]}}"#);
        assert!(all[1].1.is_err() && all[2].1.is_ok());
        assert_eq!(all[1].0.to_string(), "session 2");
        let broken = read_all(
            r#"[{"id":"a","messages":[]},"#.as_bytes(),
            Format::Auto,
            |_| true,
        );
        assert_eq!(broken.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn whoever_wants_no_more_gets_no_more() {
        for text in [
            r#"[{"id":"a","messages":[]},{"id":"b","messages":[]}]"#,
            "{\"id\":\"a\",\"messages\":[]}\n{\"id\":\"b\",\"messages\":[]}",
        ] {
            let mut count = 0;
            read_all(text.as_bytes(), Format::Auto, |_| {
                count += 1;
                false
            })
            .unwrap();
            assert_eq!(count, 1);
        }
    }
}
