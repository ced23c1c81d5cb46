//! An owner's conversations, page by page.

use parlance_domain::{Conversation, ConversationId, Owner, Timestamp};
use parlance_storage::db::conversation::{ConversationFilter, ListPlace, place};

use super::stats;
use crate::App;
use crate::error::Result;
use crate::paging::{ListIdentity, MAX_BYTES, Page, PageRequest};

/// What `list_conversations` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListConversations {
    /// Which ones.
    pub filter: ConversationFilter,
    /// Which page.
    pub page: PageRequest,
    /// Whether to say how many there are.
    pub with_total: bool,
}

impl App {
    /// A page of the owner's conversations, newest first.
    pub async fn list_conversations(
        &self,
        owner: &Owner,
        request: ListConversations,
    ) -> Result<Page<Conversation>> {
        let ListConversations {
            mut filter,
            page,
            with_total,
        } = request;
        if let Some(address) = &filter.participant {
            filter.participant_is_ours = self.db.owns_address(owner, address).await?;
        }
        let list = identity(owner, &filter);
        let beyond = page.place::<24>(&list)?.map(|bytes| decode(&bytes));
        let limit = page.limit();
        // One more than is wanted tells whether there is a next page.
        let wanted = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let mut items = self
            .db
            .conversations(owner, &filter, beyond, wanted)
            .await?;
        let fitting = fitting(&items).min(limit);
        let more = items.len() > fitting;
        items.truncate(fitting);
        let total_size = if with_total {
            Some(self.total(owner, &filter).await?)
        } else {
            None
        };
        let last = items.last().filter(|_| more);
        let next_page_token =
            last.map_or_else(String::new, |last| list.token(&encode(place(last))));
        Ok(Page {
            items,
            next_page_token,
            total_size,
        })
    }
}

impl App {
    /// From the counters; those with one address are counted by their index.
    async fn total(&self, owner: &Owner, filter: &ConversationFilter) -> Result<i64> {
        if filter.participant.is_some() {
            return Ok(self.db.count_conversations(owner, filter).await?);
        }
        let counters = self.db.counters(owner, filter.user.as_deref()).await?;
        Ok(stats::total(filter, &counters))
    }
}

/// How many of the first items make up 1 MiB; at least one.
fn fitting(items: &[Conversation]) -> usize {
    const REST: usize = 512;
    let mut bytes = 0;
    let begun = items.iter().take_while(|c| {
        let fits = bytes < MAX_BYTES;
        bytes += c.metadata.as_str().len() + c.title.len() + REST;
        fits
    });
    begun.count()
}

fn identity(owner: &Owner, filter: &ConversationFilter) -> ListIdentity {
    let ConversationFilter {
        user,
        channel,
        status,
        unread_only,
        participant,
        // Found out anew for each page.
        participant_is_ours: _,
    } = filter;
    let text =
        |value: Option<&str>| value.map_or_else(|| "-".to_owned(), |value| format!("+{value}"));
    ListIdentity::new("ListConversations", owner)
        .with(text(user.as_deref()).as_bytes())
        .with(text(channel.map(parlance_domain::Channel::as_str)).as_bytes())
        .with(text(status.map(parlance_domain::ConversationStatus::as_str)).as_bytes())
        .with(&[u8::from(*unread_only)])
        .with(text(participant.as_deref()).as_bytes())
}

fn encode((at, id): ListPlace) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&at.as_micros().to_be_bytes());
    bytes[8..].copy_from_slice(id.uuid().as_bytes());
    bytes
}

fn decode(bytes: &[u8; 24]) -> ListPlace {
    let (mut at, mut id) = ([0; 8], [0; 16]);
    at.copy_from_slice(&bytes[..8]);
    id.copy_from_slice(&bytes[8..]);
    (
        Timestamp::from_micros(i64::from_be_bytes(at)),
        ConversationId::from_uuid(uuid::Uuid::from_bytes(id)),
    )
}
