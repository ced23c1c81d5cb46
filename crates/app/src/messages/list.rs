//! Lists the messages of a conversation, page by page.

use std::time::Duration;

use parlance_cache::{EncodedList, Source, ValueFormat};
use parlance_domain::{ConversationId, Message, Owner};
use parlance_storage::db::message::MessageRange;

use crate::App;
use crate::cache::codec::{Item, NEWEST, Newest, page_size};
use crate::error::Result;
use crate::paging::{ListIdentity, MAX_BYTES, Page, PageRequest};
use crate::read::{Answer, NewestOf, Read, misplaced};

/// Rows are read in steps of this size, so that a page of large messages is not read completely before it is cut.
const STEP: usize = 50;

/// Request of `list_messages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMessages {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Page size and token.
    pub page: PageRequest,
    /// The order; newest first without it.
    pub oldest_first: bool,
    /// Only messages after this sequence.
    pub after_sequence: i64,
    /// Whether to return the total number.
    pub with_total: bool,
}

/// Messages of one page.
struct Part {
    messages: Vec<Answer<Message>>,
    /// Sequence of the last one.
    last: i64,
    /// Whether more messages follow.
    more: bool,
}

impl App {
    /// A page of a conversation's messages. While the database is unavailable it may be as old as `max_staleness`.
    pub async fn list_messages(
        &self,
        owner: &Owner,
        request: ListMessages,
        max_staleness: Option<Duration>,
    ) -> Result<Read<Page<Answer<Message>>>> {
        let ListMessages {
            conversation_id,
            page,
            oldest_first,
            after_sequence,
            with_total,
        } = request;
        let list = ListIdentity::new("ListMessages", owner)
            .with(conversation_id.uuid().as_bytes())
            .with(&[u8::from(oldest_first)])
            .with(&after_sequence.to_be_bytes());
        let position = page.position::<8>(&list)?.map(i64::from_be_bytes);
        let limit = page.limit();
        let is_newest =
            !oldest_first && after_sequence == 0 && position.is_none() && limit <= NEWEST;

        let part = if is_newest && self.cache().value_format() != ValueFormat::None {
            self.newest_part(owner, conversation_id, limit, max_staleness)
                .await?
        } else {
            let mut range = MessageRange {
                above: after_sequence,
                below: None,
                oldest_first,
            };
            continue_after(&mut range, position);
            let part = self.part(owner, conversation_id, range, limit).await?;
            Read::from(Source::Database, part)
        };
        let (part, total_size) = if with_total || part.value.messages.is_empty() {
            // An empty page may belong to a conversation that does not exist.
            let of = self.counted(owner, conversation_id, max_staleness).await?;
            let together = part.and(of, |part, of| (part, of.message_count));
            let total = match (with_total, after_sequence) {
                (false, _) => None,
                // The conversation's counter covers all messages; only a part of them has to be counted.
                (true, 0) => Some(together.value.1),
                (true, above) => Some(self.total_above(owner, conversation_id, above).await?),
            };
            (together.map(|(part, _)| part), total)
        } else {
            (part, None)
        };
        Ok(part.map(
            |Part {
                 messages,
                 last,
                 more,
             }| Page {
                items: messages,
                next_page_token: if more {
                    list.token(&last.to_be_bytes())
                } else {
                    String::new()
                },
                total_size,
            },
        ))
    }

    /// Number of messages above a sequence. Counts the shorter side, or nothing if no message was ever deleted.
    async fn total_above(
        &self,
        owner: &Owner,
        conversation: ConversationId,
        above: i64,
    ) -> Result<i64> {
        let Some(of) = self.db.conversation(owner, conversation).await? else {
            return Ok(0);
        };
        if above >= of.last_sequence {
            return Ok(0);
        }
        if of.message_count == of.last_sequence {
            return Ok(of.last_sequence - above);
        }
        if above < of.last_sequence / 2 {
            let below = (1, above);
            let below = self.db.messages_between(owner, conversation, below).await?;
            return Ok(of.message_count - below);
        }
        let rest = (above + 1, i64::MAX);
        Ok(self.db.messages_between(owner, conversation, rest).await?)
    }

    /// The newest messages, cut to the page.
    async fn newest_part(
        &self,
        owner: &Owner,
        conversation: ConversationId,
        limit: usize,
        max_staleness: Option<Duration>,
    ) -> Result<Read<Part>> {
        let found = self.find_newest(owner, conversation, max_staleness).await?;
        match found {
            None => Ok(Read::from(Source::Database, Part::with_capacity(0))),
            Some(found) => found.try_map(|newest| match newest {
                NewestOf::Messages(newest) => Ok(Part::of_messages(newest, limit)),
                NewestOf::Held(list) => Part::of_held(&list, limit),
            }),
        }
    }

    /// Up to `limit` messages or 1 MiB, from the database.
    async fn part(
        &self,
        owner: &Owner,
        conversation: ConversationId,
        mut range: MessageRange,
        limit: usize,
    ) -> Result<Part> {
        let mut part = Part::with_capacity(limit.min(STEP));
        let mut capacity = Capacity::of(limit);
        loop {
            // One more than requested shows whether there is a next page.
            let wanted = (limit + 1 - part.messages.len()).min(STEP);
            let found = self
                .db
                .message_page(
                    owner,
                    conversation,
                    range,
                    i64::try_from(wanted).unwrap_or(i64::MAX),
                )
                .await?;
            let exhausted = found.len() < wanted;
            for message in found {
                if !capacity.take(page_size(&message)) {
                    part.more = true;
                    return Ok(part);
                }
                continue_after(&mut range, Some(message.sequence));
                part.push(message.sequence, Answer::Value(message));
            }
            if exhausted {
                return Ok(part);
            }
        }
    }
}

impl Part {
    fn with_capacity(messages: usize) -> Self {
        Self {
            messages: Vec::with_capacity(messages),
            last: 0,
            more: false,
        }
    }

    fn push(&mut self, sequence: i64, message: Answer<Message>) {
        self.last = sequence;
        self.messages.push(message);
    }

    fn of_messages(newest: Newest, limit: usize) -> Self {
        let Newest { messages, is_all } = newest;
        let mut part = Self::with_capacity(limit.min(messages.len()));
        let mut capacity = Capacity::of(limit);
        // Whether messages follow after the newest ones; set again below if the page ends earlier.
        part.more = !is_all;
        for message in messages {
            if !capacity.take(page_size(&message)) {
                part.more = true;
                break;
            }
            part.push(message.sequence, Answer::Value(message));
        }
        part
    }

    fn of_held(list: &EncodedList, limit: usize) -> Result<Self> {
        let mut part = Self::with_capacity(limit.min(list.items.len()));
        let mut capacity = Capacity::of(limit);
        for held in &list.items {
            let item = Item::of(held.clone()).ok_or_else(misplaced)?;
            if !capacity.take(item.size) {
                part.more = true;
                break;
            }
            part.more = !item.is_first;
            part.push(item.sequence, Answer::Encoded(item.encoded));
        }
        Ok(part)
    }
}

/// Remaining capacity of a page: a number of messages, and bytes; a page ends after the message that reaches its
/// bytes.
struct Capacity {
    messages: usize,
    bytes: usize,
}

impl Capacity {
    const fn of(limit: usize) -> Self {
        Self {
            messages: limit,
            bytes: MAX_BYTES,
        }
    }

    /// Takes one message's size from the capacity; `false` if none is left.
    const fn take(&mut self, size: usize) -> bool {
        if self.messages == 0 || self.bytes == 0 {
            return false;
        }
        self.messages -= 1;
        self.bytes = self.bytes.saturating_sub(size);
        true
    }
}

fn continue_after(range: &mut MessageRange, position: Option<i64>) {
    match (position, range.oldest_first) {
        (None, _) => {}
        (Some(position), true) => range.above = range.above.max(position),
        (Some(position), false) => range.below = Some(position),
    }
}
