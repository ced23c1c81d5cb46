//! Value of a key in Redis, with its epoch stamp.

use bytes::Bytes;

/// Value as Redis holds it: the text of a JSON object, or a list of such texts, newest first.
///
/// A stamped object begins with `{"epoch":<number>,`. Codecs omit the stamp, and begin an element of a list with
/// `{"sequence":<number>,`, so that both numbers are found without parsing the JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// Single object.
    One(Bytes),
    /// List of objects.
    List(Vec<Bytes>),
}

/// Stamp of an epoch.
pub(crate) fn stamp(epoch: i64) -> String {
    format!("{{\"epoch\":{epoch},")
}

/// Parses the epoch of the stamp. Runs on every hit.
fn epoch_of(object: &[u8]) -> Option<i64> {
    let rest = object.strip_prefix(b"{\"epoch\":")?;
    let end = rest.iter().position(|byte| *byte == b',')?;
    std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
}

/// Stamp of an epoch and a generation. A generation is a token of this crate and needs no escaping.
fn stamp_in(epoch: i64, generation: &str) -> String {
    format!("{{\"epoch\":{epoch},\"generation\":\"{generation}\",")
}

fn stamped(stamp: &str, object: &[u8]) -> Bytes {
    let rest = object.strip_prefix(b"{").unwrap_or(object);
    let mut text = Vec::with_capacity(stamp.len() + rest.len());
    text.extend_from_slice(stamp.as_bytes());
    text.extend_from_slice(rest);
    text.into()
}

impl Raw {
    /// Adds the stamp of the epoch.
    #[must_use]
    pub fn stamped(&self, epoch: i64) -> Self {
        let stamp = stamp(epoch);
        match self {
            Self::One(object) => Self::One(stamped(&stamp, object)),
            Self::List(objects) => Self::List(objects.iter().map(|o| stamped(&stamp, o)).collect()),
        }
    }

    /// Whether the object, or every element, carries the stamp of the epoch. The mark of a writer carries none.
    pub fn is_of(&self, epoch: i64) -> bool {
        let is_of = |object: &Bytes| epoch_of(object) == Some(epoch);
        match self {
            Self::One(object) => is_of(object),
            Self::List(objects) => !objects.is_empty() && objects.iter().all(is_of),
        }
    }

    /// Adds the stamp of the epoch and of the generation of its scope.
    #[must_use]
    pub fn stamped_in(&self, epoch: i64, generation: &str) -> Self {
        let stamp = stamp_in(epoch, generation);
        match self {
            Self::One(object) => Self::One(stamped(&stamp, object)),
            Self::List(objects) => Self::List(objects.iter().map(|o| stamped(&stamp, o)).collect()),
        }
    }

    /// Whether the object carries the stamp of the epoch and of this generation.
    pub fn is_in(&self, epoch: i64, generation: &str) -> bool {
        let stamp = stamp_in(epoch, generation);
        match self {
            Self::One(object) => object.starts_with(stamp.as_bytes()),
            Self::List(_) => false,
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::One(object) => object.len(),
            Self::List(objects) => objects.iter().map(Bytes::len).sum(),
        }
    }

    /// Whether the value has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_matches_only_its_own_number() {
        let value = Raw::One(Bytes::from_static(br#"{"sequence":1,"body":"x"}"#));
        let first = value.stamped(1);
        assert_eq!(
            first,
            Raw::One(Bytes::from_static(
                br#"{"epoch":1,"sequence":1,"body":"x"}"#
            ))
        );
        assert!(first.is_of(1));
        assert!(!first.is_of(11) && !value.stamped(11).is_of(1) && !value.is_of(1));
    }

    #[test]
    fn a_list_is_of_an_epoch_only_if_every_element_is() {
        let element = Bytes::from_static(br#"{"sequence":1}"#);
        let one = |epoch| match Raw::One(element.clone()).stamped(epoch) {
            Raw::One(text) => text,
            Raw::List(_) => Bytes::new(),
        };
        assert!(Raw::List(vec![one(2), one(2)]).is_of(2));
        assert!(!Raw::List(vec![one(2), one(1)]).is_of(2));
        let mark = Bytes::from_static(br#"{"fence":"a"}"#);
        assert!(!Raw::List(vec![mark, one(2)]).is_of(2));
        assert!(!Raw::List(vec![]).is_of(2));
    }
}
