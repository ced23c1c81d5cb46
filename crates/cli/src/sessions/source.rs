//! Reads sessions from a file one by one: JSON lines, an array, or an object with their names as keys.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use clap::ValueEnum;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Transcript, read};

/// Bytes at the beginning of a file that are used to detect its format.
const DETECT_BYTES: usize = 64 * 1_024;

/// Byte order mark, which some programs write at the beginning.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Layout of the sessions in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Detected from the beginning of the file: `[` is an array; `{` is lines, or a map if its first value is a session
    Auto,
    /// One session per line
    Lines,
    /// JSON array of sessions
    Array,
    /// JSON object of sessions by id
    Map,
}

/// Position of a session in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// Line number, from 1.
    Line(u64),
    /// Number of the session, from 1.
    Session(u64),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Session(number) => write!(f, "session {number}"),
        }
    }
}

/// A session that was read, or the error in it.
#[derive(Debug)]
pub(crate) struct SessionRecord {
    pub(crate) position: Position,
    pub(crate) transcript: Result<Transcript, String>,
}

/// Reads sessions and passes them to `each` until it returns `false`.
pub(crate) fn read_all(
    source: impl Read,
    format: Format,
    mut each: impl FnMut(SessionRecord) -> bool,
) -> io::Result<()> {
    let mut source = BufReader::with_capacity(DETECT_BYTES, source);
    if source.fill_buf()?.starts_with(BYTE_ORDER_MARK.as_bytes()) {
        source.consume(BYTE_ORDER_MARK.len());
    }
    let format = match format {
        Format::Auto => detect(source.fill_buf()?),
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
                // A visitor can stop early only by an error.
                Err(_) if ended => Ok(()),
                Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                Ok(()) => Ok(()),
            }
        }
    }
}

/// Detects the format. The fields of a session are scalars, or lists and objects of certain names; in a map, the first
/// value is the object or list of a session.
fn detect(start: &[u8]) -> Format {
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

fn lines(mut source: impl BufRead, each: &mut impl FnMut(SessionRecord) -> bool) -> io::Result<()> {
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
        let read = read.map_err(|error| format!("invalid JSON: {error}"));
        let record = SessionRecord {
            position: Position::Line(number),
            transcript: read.and_then(|text| read::transcript(None, text)),
        };
        if !each(record) {
            break;
        }
    }
    Ok(())
}

/// Visitor for all sessions of an array or an object. Only one session is in memory at a time.
struct All<'a, F> {
    each: &'a mut F,
    ended: &'a mut bool,
    count: u64,
}

impl<F: FnMut(SessionRecord) -> bool> All<'_, F> {
    fn add<E: serde::de::Error>(&mut self, name: Option<&str>, text: &RawValue) -> Result<(), E> {
        self.count += 1;
        let record = SessionRecord {
            position: Position::Session(self.count),
            transcript: read::transcript(name, text),
        };
        if (self.each)(record) {
            return Ok(());
        }
        *self.ended = true;
        Err(E::custom("stopped"))
    }
}

impl<'de, F: FnMut(SessionRecord) -> bool> DeserializeSeed<'de> for All<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, F: FnMut(SessionRecord) -> bool> Visitor<'de> for All<'_, F> {
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

    fn read(text: &str) -> Vec<(Position, Result<String, String>)> {
        let mut all = Vec::new();
        read_all(text.as_bytes(), Format::Auto, |record| {
            let name = record
                .transcript
                .map(|transcript| transcript.conversation.external_id);
            all.push((record.position, name));
            true
        })
        .unwrap();
        all
    }

    #[test]
    fn each_format_is_detected_by_its_beginning() {
        use Position::{Line, Session};
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
    fn an_invalid_session_is_reported_with_its_position() {
        let all = read(
            "{\"id\":\"a\",\"messages\":[]}\n{\"id\":\"b\",\"mess\nnonsense\n{\"id\":\"c\",\"messages\":[]}\n",
        );
        let invalid: Vec<_> = all.iter().map(|(_, name)| name.is_err()).collect();
        assert_eq!(invalid, [false, true, true, false]);
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
    fn reading_stops_when_each_returns_false() {
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
