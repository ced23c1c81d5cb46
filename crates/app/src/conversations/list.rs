//! Lists an owner's conversations, page by page.

use std::time::Duration;

use parlance_cache::Source;
use parlance_domain::{Conversation, ConversationId, Owner, Timestamp};
use parlance_storage::db::conversation::{ConversationFilter, ListPosition, list_position};
use parlance_storage::{Database, StorageResult};

use super::stats;
use crate::App;
use crate::cache::codec::AnswerCodec;
use crate::cache::keys::Scope;
use crate::error::Result;
use crate::paging::{ListIdentity, MAX_BYTES, Page, PageRequest, QueryFingerprint};
use crate::read::{Answer, Ownership, Read};

/// Request of `list_conversations`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListConversations {
    /// Filter over the conversations.
    pub filter: ConversationFilter,
    /// Page size and token.
    pub page: PageRequest,
    /// Whether to return the total number.
    pub with_total: bool,
}

impl App {
    /// A page of the owner's conversations, newest first. While the database is unavailable the first page may be as
    /// old as `max_staleness`.
    pub async fn list_conversations(
        &self,
        owner: &Owner,
        request: ListConversations,
        max_staleness: Option<Duration>,
    ) -> Result<Read<Answer<Page<Conversation>>>> {
        let ListConversations {
            filter,
            page,
            with_total,
        } = request;
        let list = identity(owner, &filter);
        let beyond = page.position::<24>(&list)?.map(|bytes| decode(&bytes));
        let listing = Listing {
            limit: page.limit(),
            beyond,
            with_total,
            list,
            filter,
        };
        if beyond.is_some() {
            let page = listing.read(&self.db, owner).await?;
            return Ok(Read::from(Source::Database, Answer::Value(page)));
        }
        self.first_page(owner, listing, max_staleness).await
    }

    async fn first_page(
        &self,
        owner: &Owner,
        listing: Listing,
        max_staleness: Option<Duration>,
    ) -> Result<Read<Answer<Page<Conversation>>>> {
        let fingerprint = listing.query_fingerprint();
        let user = listing.filter.user.as_deref();
        let key = Scope::of(self.settings.installation, owner, user).list(fingerprint);
        let codec = AnswerCodec {
            fingerprint,
            encode: self.settings.encoders.list,
        };
        let ownership = Ownership { owner, user };
        let load = || {
            let (db, owner, listing) = (self.db.clone(), owner.clone(), listing.clone());
            move || async move { Ok(listing.read(&db, &owner).await?) }
        };
        self.find_answer((key, ownership, max_staleness), codec, load)
            .await
    }
}

/// Parameters of one page.
#[derive(Debug, Clone)]
struct Listing {
    filter: ConversationFilter,
    limit: usize,
    beyond: Option<ListPosition>,
    with_total: bool,
    list: ListIdentity,
}

impl Listing {
    /// Fingerprint of everything that the first page depends on.
    fn query_fingerprint(&self) -> QueryFingerprint {
        let Self {
            filter: _, // in the identity of the list
            limit,
            beyond: _, // nothing, for the first page
            with_total,
            list,
        } = self;
        let list = list.clone().with(&limit.to_be_bytes());
        list.with(&[u8::from(*with_total)]).query_fingerprint()
    }

    async fn read(self, db: &Database, owner: &Owner) -> StorageResult<Page<Conversation>> {
        // One more than requested shows whether there is a next page.
        let wanted = i64::try_from(self.limit + 1).unwrap_or(i64::MAX);
        let mut items = db
            .conversations(owner, &self.filter, self.beyond, wanted)
            .await?;
        let fitting = fitting(&items).min(self.limit);
        let more = items.len() > fitting;
        items.truncate(fitting);
        let total_size = if self.with_total {
            Some(total(db, owner, &self.filter).await?)
        } else {
            None
        };
        let last = items.last().filter(|_| more);
        let next_page_token = last.map_or_else(String::new, |last| {
            self.list.token(&encode(list_position(last)))
        });
        Ok(Page {
            items,
            next_page_token,
            total_size,
        })
    }
}

/// Total from the counters; with a participant filter, counted by an index.
async fn total(db: &Database, owner: &Owner, filter: &ConversationFilter) -> StorageResult<i64> {
    if filter.participant.is_some() {
        return db.count_conversations(owner, filter).await;
    }
    let counters = db.counters(owner, filter.user.as_deref()).await?;
    Ok(stats::total(filter, &counters))
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

fn encode((at, id): ListPosition) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&at.as_micros().to_be_bytes());
    bytes[8..].copy_from_slice(id.uuid().as_bytes());
    bytes
}

fn decode(bytes: &[u8; 24]) -> ListPosition {
    let (mut at, mut id) = ([0; 8], [0; 16]);
    at.copy_from_slice(&bytes[..8]);
    id.copy_from_slice(&bytes[8..]);
    (
        Timestamp::from_micros(i64::from_be_bytes(at)),
        ConversationId::from_uuid(uuid::Uuid::from_bytes(id)),
    )
}
