//! The messages of a conversation, page by page.

use parlance_domain::{ConversationId, Message, Owner};
use parlance_storage::db::message::MessageRange;

use super::place::conversation_not_found;
use crate::App;
use crate::error::Result;
use crate::paging::{ListIdentity, MAX_BYTES, Page, PageRequest};

/// Rows are read in steps of this, so that a page of large messages is not read whole before it is cut.
const STEP: usize = 50;

/// What `list_messages` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMessages {
    /// Of which conversation.
    pub conversation_id: ConversationId,
    /// Which page.
    pub page: PageRequest,
    /// The order; newest first without it.
    pub oldest_first: bool,
    /// Only messages after this place.
    pub after_sequence: i64,
    /// Whether to say how many there are.
    pub with_total: bool,
}

impl App {
    /// A page of a conversation's messages.
    pub async fn list_messages(
        &self,
        owner: &Owner,
        request: ListMessages,
    ) -> Result<Page<Message>> {
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
        let place = page.place::<8>(&list)?.map(i64::from_be_bytes);
        let mut range = MessageRange {
            above: after_sequence,
            below: None,
            oldest_first,
        };
        continue_after(&mut range, place);

        let (items, more) = self
            .page_of_messages(owner, conversation_id, range, page.limit())
            .await?;
        let total_size = if with_total || items.is_empty() {
            // An empty page may be that of a conversation that does not exist.
            let found = self.db.conversation(owner, conversation_id).await?;
            let conversation = found.ok_or_else(|| conversation_not_found(conversation_id))?;
            match (with_total, after_sequence) {
                (false, _) => None,
                // The conversation counts along; only a part of it has to be counted.
                (true, 0) => Some(conversation.message_count),
                (true, above) => Some(
                    self.db
                        .messages_above(owner, conversation_id, above)
                        .await?,
                ),
            }
        } else {
            None
        };
        let last = items.last().filter(|_| more);
        let next_page_token =
            last.map_or_else(String::new, |last| list.token(&last.sequence.to_be_bytes()));
        Ok(Page {
            items,
            next_page_token,
            total_size,
        })
    }

    /// Up to `limit` messages or 1 MiB, and whether there are more.
    async fn page_of_messages(
        &self,
        owner: &Owner,
        conversation: ConversationId,
        mut range: MessageRange,
        limit: usize,
    ) -> Result<(Vec<Message>, bool)> {
        let mut items: Vec<Message> = Vec::with_capacity(limit.min(STEP));
        let mut bytes = 0;
        loop {
            // One more than is wanted tells whether there is a next page.
            let wanted = (limit + 1 - items.len()).min(STEP);
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
                if items.len() == limit || bytes >= MAX_BYTES {
                    return Ok((items, true));
                }
                bytes += size(&message);
                continue_after(&mut range, Some(message.sequence));
                items.push(message);
            }
            if exhausted {
                return Ok((items, false));
            }
        }
    }
}

fn continue_after(range: &mut MessageRange, place: Option<i64>) {
    match (place, range.oldest_first) {
        (None, _) => {}
        (Some(place), true) => range.above = range.above.max(place),
        (Some(place), false) => range.below = Some(place),
    }
}

/// Roughly what a message takes in a reply: its texts, and a little for the rest.
fn size(message: &Message) -> usize {
    const REST: usize = 512;
    message.body.len()
        + message.html_body.len()
        + message.subject.len()
        + message.metadata.as_str().len()
        + REST
}
