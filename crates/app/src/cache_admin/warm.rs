//! Warms the cache: reads values before clients request them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{TryStreamExt as _, stream};
use parlance_cache::{Backend, BreakerState, Operation, Outcome, Tier};
use parlance_domain::{ConversationId, MessageId, Owner};
use parlance_storage::db::conversation::{ConversationFilter, list_position};
use parlance_storage::db::message::MessageRange;
use parlance_storage::db::ownership::ActiveConversation;
use parlance_storage::db::search::SearchFilter;
use tokio::time::sleep;

use super::admin::CacheAdmin;
use crate::App;
use crate::cache::codec::NEWEST;
use crate::conversations::ListConversations;
use crate::error::{Error, Reason, Result};
use crate::messages::SearchMessages;
use crate::read::NewestOf;

/// Concurrent reads of a warm-up, limited to spare the database.
const AT_ONCE: usize = 4;
/// Maximum number of conversations of a user.
const MOST_OF_A_USER: usize = 100;
/// Maximum number of searches of a warm-up.
const MOST_SEARCHES: usize = 1_000;
/// Page size of the listing.
const PAGE: usize = 200;
/// Longer than a fill of Redis may take.
const FILL_TIME: Duration = Duration::from_millis(200);
/// Interval at which the circuit breaker is looked at.
const BREAKER_CHECKED_EVERY: Duration = Duration::from_millis(50);

/// What to warm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warm {
    /// The most recently active conversations of this user, up to 100, and the user's list, statistics and configured
    /// searches.
    User(String),
    /// These conversations.
    Conversations(Vec<ConversationId>),
    /// This many of the owner's most recently active conversations, and the owner's list, statistics and configured
    /// searches.
    Hottest(usize),
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Warmed {
    /// Conversations.
    pub conversations: u64,
    /// Their newest messages.
    pub messages: u64,
}

impl CacheAdmin {
    /// Reads conversations of the owner as a client would, so that the next reads are hits.
    pub async fn warm(&self, owner: &Owner, what: Warm) -> Result<Warmed> {
        self.check_on()?;
        let wanted = match what {
            Warm::Conversations(ids) => ids,
            Warm::User(user) => {
                self.app.warm_on_demand(owner, Some(&user)).await?;
                let filter = ConversationFilter {
                    user: Some(user),
                    ..ConversationFilter::default()
                };
                self.app.latest(owner, &filter, MOST_OF_A_USER).await?
            }
            Warm::Hottest(most) => {
                self.app.warm_on_demand(owner, None).await?;
                let filter = ConversationFilter::default();
                self.app.latest(owner, &filter, most).await?
            }
        };
        let wanted = wanted.into_iter().map(|id| (owner.clone(), id));
        self.app.warm(wanted.collect()).await
    }

    /// Warms the cache after the start: this many recently active conversations of all owners, with the lists and
    /// statistics of their owners and users, and the configured searches there.
    pub async fn warm_on_start(self: Arc<Self>, conversations: usize) {
        if conversations == 0 || self.check_on().is_err() {
            return;
        }
        let before = (self.fills(Outcome::Ok), self.fills(Outcome::Error));
        // Without Redis each value would be read from the database and stored nowhere.
        let warmed = tokio::select! {
            biased;
            () = self.breaker_opens() => {
                tracing::warn!("the cache is not warmed any further: Redis does not answer; values are cached as they are read");
                return;
            }
            warmed = self.app.warm_lately_active(conversations) => warmed,
        };
        match warmed {
            Ok((warmed, searches)) => {
                let Warmed {
                    conversations,
                    messages,
                } = warmed;
                // The last values are still being stored.
                sleep(FILL_TIME).await;
                let stored = self.fills(Outcome::Ok) - before.0;
                let failed = self.fills(Outcome::Error) - before.1;
                tracing::info!(
                    conversations,
                    messages,
                    searches,
                    stored,
                    failed,
                    "recently active conversations were read, to warm the cache"
                );
            }
            Err(error) => {
                tracing::warn!(%error, cause = error.causes(), "the cache could not be warmed");
            }
        }
    }

    /// Number of values that were stored with this outcome since the start, in the tier that all instances of the backend read.
    fn fills(&self, outcome: Outcome) -> u64 {
        let cache = self.cache();
        let tier = if cache.backend() == Backend::Memory {
            Tier::Memory
        } else {
            Tier::Redis
        };
        let counts = cache.counts().into_iter();
        let fills = counts.filter(|(sample, _)| {
            (sample.tier, sample.operation, sample.outcome) == (tier, Operation::Set, outcome)
        });
        fills.map(|(_, count)| count).sum()
    }

    /// Returns when the circuit breaker of Redis is open; never without Redis.
    async fn breaker_opens(&self) {
        let Some(redis) = &self.redis else {
            return std::future::pending().await;
        };
        while redis.breaker() != BreakerState::Open {
            sleep(BREAKER_CHECKED_EVERY).await;
        }
    }
}

impl App {
    /// The most recently active conversations of the owner.
    async fn latest(
        &self,
        owner: &Owner,
        filter: &ConversationFilter,
        most: usize,
    ) -> Result<Vec<ConversationId>> {
        let mut ids = Vec::new();
        let mut beyond = None;
        while ids.len() < most {
            let wanted = PAGE.min(most - ids.len());
            let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
            let page = self.db.conversations(owner, filter, beyond, limit).await?;
            ids.extend(page.iter().map(|conversation| conversation.id));
            beyond = page.last().map(list_position);
            if page.len() < wanted {
                break;
            }
        }
        Ok(ids)
    }

    /// Warms the list, the statistics and the configured searches of an owner, or of one of its users.
    async fn warm_on_demand(&self, owner: &Owner, user: Option<&str>) -> Result<()> {
        self.warm_scope(owner, user).await?;
        let scope = (owner.clone(), user.map(str::to_owned));
        self.warm_searches(&[scope]).await?;
        Ok(())
    }

    /// Returns what was read, and the number of answered searches.
    async fn warm_lately_active(&self, most: usize) -> Result<(Warmed, u64)> {
        let active = self.db.recently_active(most).await?;
        let scopes = scopes_of(&active);
        self.warm_scopes(&scopes).await?;
        let wanted = active.into_iter();
        let wanted = wanted.map(|one| (one.owner, one.conversation)).collect();
        let warmed = self.warm(wanted).await?;
        let searches = self.warm_searches(&scopes).await?;
        Ok((warmed, searches))
    }

    /// Reads the first page for each configured word in each of these scopes, up to [`MOST_SEARCHES`] pages; returns
    /// how many searches were answered. A slow one does not hold up the others.
    async fn warm_searches(&self, scopes: &[(Owner, Option<String>)]) -> Result<u64> {
        let words = &self.settings.warm_searches;
        let searches = scopes.iter().flat_map(|(owner, user)| {
            let of_scope = words.iter();
            of_scope.map(move |word| (owner.clone(), first_page(word, user.clone())))
        });
        let searches: Vec<(Owner, SearchMessages)> = searches.take(MOST_SEARCHES).collect();
        let answered = AtomicU64::new(0);
        stream::iter(searches.into_iter().map(Ok::<_, Error>))
            .try_for_each_concurrent(AT_ONCE, async |(owner, request)| {
                match self.search_messages(&owner, request, None).await {
                    Ok(_) => {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) if error.reason == Reason::DatabaseUnavailable => return Err(error),
                    Err(error) => {
                        tracing::debug!(%error, cause = error.causes(), "a search was not answered");
                    }
                }
                Ok(())
            })
            .await?;
        Ok(answered.into_inner())
    }

    /// Warms the lists and statistics of these owners and users. A slow one does not hold up the others.
    async fn warm_scopes(&self, scopes: &[(Owner, Option<String>)]) -> Result<()> {
        stream::iter(scopes.iter().map(Ok::<_, Error>))
            .try_for_each_concurrent(AT_ONCE, async |(owner, user)| {
                match self.warm_scope(owner, user.as_deref()).await {
                    Err(error) if error.reason == Reason::DatabaseUnavailable => return Err(error),
                    Err(error) => tracing::debug!(%error, cause = error.causes(), "a list or statistics were not answered"),
                    Ok(()) => {}
                }
                Ok(())
            })
            .await
    }

    /// Reads the list and the statistics of an owner, or of one of its users, as an overview page requests them.
    async fn warm_scope(&self, owner: &Owner, user: Option<&str>) -> Result<()> {
        let list = ListConversations {
            filter: ConversationFilter {
                user: user.map(str::to_owned),
                ..ConversationFilter::default()
            },
            ..ListConversations::default()
        };
        self.list_conversations(owner, list, None).await?;
        self.stats(owner, user, None).await?;
        Ok(())
    }

    async fn warm(&self, wanted: Vec<(Owner, ConversationId)>) -> Result<Warmed> {
        let (conversations, messages) = (AtomicU64::new(0), AtomicU64::new(0));
        stream::iter(wanted.into_iter().map(Ok::<_, Error>))
            .try_for_each_concurrent(AT_ONCE, async |(owner, id)| {
                if let Some(read) = self.warm_one(&owner, id).await? {
                    conversations.fetch_add(1, Ordering::Relaxed);
                    messages.fetch_add(read, Ordering::Relaxed);
                }
                Ok(())
            })
            .await?;
        Ok(Warmed {
            conversations: conversations.into_inner(),
            messages: messages.into_inner(),
        })
    }

    /// Warms one conversation; returns the number of its messages, `None` if it does not exist.
    async fn warm_one(&self, owner: &Owner, id: ConversationId) -> Result<Option<u64>> {
        if self.find_conversation(owner, id, None).await?.is_none() {
            return Ok(None);
        }
        let ids = self.newest_ids(owner, id).await?;
        let read = self.messages(owner, ids, None).await?.value;
        Ok(Some(read.messages.len() as u64))
    }

    async fn newest_ids(&self, owner: &Owner, id: ConversationId) -> Result<Vec<MessageId>> {
        let newest = self.find_newest(owner, id, None).await?;
        let messages = match newest.map(|read| read.value) {
            None => Vec::new(),
            Some(NewestOf::Messages(newest)) => newest.messages,
            // An encoded message, which only the transport can read.
            Some(NewestOf::Held(_)) => {
                let range = MessageRange {
                    above: 0,
                    below: None,
                    oldest_first: false,
                };
                let limit = i64::try_from(NEWEST).unwrap_or(i64::MAX);
                self.db.message_page(owner, id, range, limit).await?
            }
        };
        Ok(messages.into_iter().map(|message| message.id).collect())
    }
}

/// The owners and users of these conversations, each once, those of the most recently active conversations first.
fn scopes_of(active: &[ActiveConversation]) -> Vec<(Owner, Option<String>)> {
    let mut seen = BTreeSet::new();
    let scopes = active.iter().flat_map(|one| {
        let user = Some(&*one.user).filter(|user| !user.is_empty());
        [(&one.owner, None), (&one.owner, user)]
    });
    scopes
        .filter(|scope| seen.insert(*scope))
        .map(|(owner, user)| (owner.clone(), user.map(str::to_owned)))
        .collect()
}

/// The request for the first page of a search.
fn first_page(query: &str, user: Option<String>) -> SearchMessages {
    SearchMessages {
        query: query.to_owned(),
        filter: SearchFilter {
            user,
            ..SearchFilter::default()
        },
        ..SearchMessages::default()
    }
}
