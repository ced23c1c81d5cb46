//! Batches: the parts that one transaction writes.

use super::{IncomingPart, OldPart, RefusedPart};

/// Messages per transaction: with SQLite it blocks every other writer meanwhile.
const MESSAGES: usize = 1_000;
/// Parts per transaction: each needs a lookup of its conversation.
const PARTS: usize = 500;
/// Bytes per transaction: they are in memory until they are written.
const BYTES: usize = 1_024 * 1_024;

/// A part with its position.
#[derive(Debug)]
pub(super) struct Part {
    /// Index in the stream.
    pub(super) index: i64,
    /// How many messages of its conversation precede it.
    pub(super) offset: i64,
    /// The part's content.
    pub(super) old: OldPart,
}

impl Part {
    /// Position of its last message.
    pub(super) fn end(&self) -> i64 {
        self.offset.saturating_add(count(self.old.messages.len()))
    }

    /// Keys that no two parts may share if they are written concurrently; otherwise chance would decide which of them
    /// gets the key.
    pub(super) fn keys(&self) -> impl Iterator<Item = String> {
        let conversation = &self.old.conversation;
        let name = format!("name {}", conversation.external_id);
        let pair = conversation.addresses.as_ref();
        let pair = pair.map(|(ours, theirs)| format!("pair {ours} {theirs}"));
        let carried = self.old.messages.iter().filter_map(|message| {
            let (provider, id) = message.carried.as_ref()?;
            (!id.is_empty()).then(|| format!("carried {provider} {id}"))
        });
        std::iter::once(name).chain(pair).chain(carried)
    }

    pub(super) fn external_id(&self) -> &str {
        &self.old.conversation.external_id
    }
}

/// Parts that are collected until they are written.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) parts: Vec<Part>,
    messages: usize,
    bytes: usize,
}

impl Batch {
    pub(super) const fn is_full(&self) -> bool {
        self.messages >= MESSAGES || self.parts.len() >= PARTS || self.bytes >= BYTES
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

/// Assigns positions to parts in the order of the stream.
#[derive(Debug, Default)]
pub(super) struct Positions {
    parts: i64,
    /// The conversation of the last part, and the position where it ended.
    last: (String, i64),
}

impl Positions {
    /// Adds a part to the next batch; returns the refusal if the part is invalid.
    pub(super) fn add(&mut self, batch: &mut Batch, incoming: IncomingPart) -> Option<RefusedPart> {
        let index = self.parts;
        self.parts += 1;
        let IncomingPart {
            external_id,
            messages,
            bytes,
            part,
        } = incoming;
        let continued = match &self.last {
            (name, end) if *name == external_id => *end,
            (_, _) => 0,
        };
        let given = part.as_ref().ok().and_then(|part| part.offset);
        let offset = given.unwrap_or(continued);
        // A refused part occupies its positions all the same: the next part must not fill them.
        self.last = (external_id.clone(), offset.saturating_add(count(messages)));
        match part {
            Ok(old) => {
                batch.messages += messages;
                batch.bytes += bytes;
                batch.parts.push(Part { index, offset, old });
                None
            }
            Err(error) => Some(RefusedPart {
                index,
                external_id,
                error,
            }),
        }
    }
}

pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
