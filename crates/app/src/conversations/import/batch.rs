//! Parts that one transaction writes.

use super::{IncomingPart, OldPart, RefusedPart};

/// As many messages as a transaction writes: it holds up every other writer of SQLite meanwhile.
const MESSAGES: usize = 1_000;
/// As many parts: each is a conversation to be looked for.
const PARTS: usize = 500;
/// As many bytes: they are in memory until they are written.
const BYTES: usize = 1_024 * 1_024;

/// A part in its place.
#[derive(Debug)]
pub(super) struct Part {
    /// Its place in the stream.
    pub(super) index: i64,
    /// How many messages of its conversation come before it.
    pub(super) offset: i64,
    /// What it says.
    pub(super) old: OldPart,
}

impl Part {
    /// The place of its last message.
    pub(super) fn end(&self) -> i64 {
        self.offset.saturating_add(count(self.old.messages.len()))
    }

    /// What no two parts may have that are written at once: or which of them has it would be chance.
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

/// Parts that are gathered until they are written.
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

/// Puts parts in their places, as they come.
#[derive(Debug, Default)]
pub(super) struct Places {
    parts: i64,
    /// The conversation of the last part, and the place where that ended.
    last: (String, i64),
}

impl Places {
    /// Adds a part to those that are to be written next, or says why not.
    pub(super) fn add(&mut self, batch: &mut Batch, brought: IncomingPart) -> Option<RefusedPart> {
        let index = self.parts;
        self.parts += 1;
        let IncomingPart {
            external_id,
            messages,
            bytes,
            part,
        } = brought;
        let goes_on = match &self.last {
            (name, end) if *name == external_id => *end,
            (_, _) => 0,
        };
        let given = part.as_ref().ok().and_then(|part| part.offset);
        let offset = given.unwrap_or(goes_on);
        // A part that is refused has its places all the same: the next one must not come into them.
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

pub(super) fn count(things: usize) -> i64 {
    i64::try_from(things).unwrap_or(i64::MAX)
}
