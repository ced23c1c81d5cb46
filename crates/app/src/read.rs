//! The single path of reads: the in-process cache, then the tier that instances share, then the database.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parlance_cache::{CacheLookup, Codec, EncodedValue, Key, ReadRequest, Source};
use parlance_domain::{Conversation, ConversationId, Message, MessageId, Owner};
use parlance_storage::db::message::MessageRange;
use parlance_storage::{StorageError, StorageResult};

use crate::App;
use crate::cache::audit_answers::ServedAnswer;
use crate::cache::codec::{
    AnswerCodec, ConversationCodec, MessageCodec, MessagesCodec, NEWEST, Newest, NoAnswer,
    conversation_of,
};
use crate::cache::json::{CacheableResponse, CachedAnswer};
use crate::cache::keys;
use crate::error::{Error, Reason, Result};

/// An answer as a value or encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// The value.
    Value(T),
    /// Encoded by the transport's [`Encoders`](crate::cache::Encoders).
    Encoded(Bytes),
}

impl<T> Answer<T> {
    /// The value, unless the answer is encoded.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Encoded(_) => None,
        }
    }
}

/// Result of a read, with its source.
#[derive(Debug, Clone, PartialEq)]
pub struct Read<T> {
    /// The value.
    pub value: T,
    /// The slowest source that was read.
    pub source: Source,
    /// The database is unavailable: the value was valid this long ago.
    pub stale: Option<Duration>,
}

impl<T> Read<T> {
    /// A fresh value from a source.
    pub(crate) const fn from(source: Source, value: T) -> Self {
        Self {
            value,
            source,
            stale: None,
        }
    }

    /// Transforms the value.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Read<U> {
        Read {
            value: of(self.value),
            source: self.source,
            stale: self.stale,
        }
    }

    /// Transforms the value, if that succeeds.
    pub(crate) fn try_map<U>(self, of: impl FnOnce(T) -> Result<U>) -> Result<Read<U>> {
        Ok(Read {
            value: of(self.value)?,
            source: self.source,
            stale: self.stale,
        })
    }

    /// Combines two reads: the slower source, the older age.
    pub(crate) fn and<U, V>(self, other: Read<U>, of: impl FnOnce(T, U) -> V) -> Read<V> {
        Read {
            value: of(self.value, other.value),
            source: self.source.max(other.source),
            stale: self.stale.max(other.stale),
        }
    }
}

/// A conversation, and the message count that lists need.
pub(crate) struct Counted {
    pub(crate) conversation: Answer<Conversation>,
    pub(crate) message_count: i64,
}

/// Owner and user of a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ownership<'a> {
    pub(crate) owner: &'a Owner,
    /// The user that it names, if any.
    pub(crate) user: Option<&'a str>,
}

/// The newest messages as values or encoded.
pub(crate) enum NewestOf {
    Messages(Newest),
    Held(Arc<parlance_cache::EncodedList>),
}

impl App {
    /// A message by our id.
    pub(crate) async fn find_message(
        &self,
        owner: &Owner,
        id: MessageId,
        max_staleness: Option<Duration>,
    ) -> Result<Option<Read<Answer<Message>>>> {
        let codec = MessageCodec {
            id,
            encoders: self.settings.encoders,
        };
        let load = || {
            let (db, owner) = (self.db.clone(), owner.clone());
            move || async move { shared(db.message(&owner, id).await) }
        };
        let found = self
            .find((keys::message(id), owner, max_staleness), codec, load)
            .await?;
        found.map(|found| found.try_map(one)).transpose()
    }

    /// A conversation by our id.
    pub(crate) async fn find_conversation(
        &self,
        owner: &Owner,
        id: ConversationId,
        max_staleness: Option<Duration>,
    ) -> Result<Option<Read<Counted>>> {
        let codec = ConversationCodec {
            id,
            encoders: self.settings.encoders,
        };
        let load = || {
            let (db, owner) = (self.db.clone(), owner.clone());
            move || async move { shared(db.conversation(&owner, id).await) }
        };
        let lookup = (keys::conversation(id), owner, max_staleness);
        let found = self.find(lookup, codec, load).await?;
        found.map(|found| found.try_map(counted)).transpose()
    }

    /// The newest messages of a conversation; `None` if it has none, or does not exist.
    pub(crate) async fn find_newest(
        &self,
        owner: &Owner,
        id: ConversationId,
        max_staleness: Option<Duration>,
    ) -> Result<Option<Read<NewestOf>>> {
        let codec = MessagesCodec {
            id,
            encoders: self.settings.encoders,
        };
        let load = || {
            let (db, owner) = (self.db.clone(), owner.clone());
            move || async move {
                let range = MessageRange {
                    above: 0,
                    below: None,
                    oldest_first: false,
                };
                // One more than needed shows whether there are others.
                let limit = i64::try_from(NEWEST + 1).unwrap_or(i64::MAX);
                let messages = shared(db.message_page(&owner, id, range, limit).await)?;
                Ok((!messages.is_empty()).then(|| Newest::of(messages)))
            }
        };
        let lookup = (keys::newest(id), owner, max_staleness);
        let found = self.find(lookup, codec, load).await?;
        found.map(|found| found.try_map(newest)).transpose()
    }

    /// The answer to a query about a scope. `load` creates the function that queries the database. All reads belong
    /// into that function: anything read earlier may be older than the generation under which the answer is cached.
    pub(crate) async fn find_answer<T, F, L>(
        &self,
        (key, ownership, max_staleness): (Key, Ownership<'_>, Option<Duration>),
        codec: AnswerCodec<T>,
        load: impl Fn() -> F,
    ) -> Result<Read<Answer<T>>>
    where
        T: CacheableResponse + Clone + PartialEq + Send + Sync + 'static,
        F: FnOnce() -> L + Clone + Send + 'static,
        L: Future<Output = std::result::Result<T, NoAnswer>> + Send + 'static,
    {
        let Ownership { owner, user } = ownership;
        let load = || {
            let (owner, user, load) = (owner.clone(), user.map(str::to_owned), load());
            move || async move {
                let answer = load().await?;
                Ok(Some(CachedAnswer {
                    owner,
                    user,
                    answer,
                }))
            }
        };
        let found = self.find((key, owner, max_staleness), codec, &load).await?;
        // The database answers every query.
        let found = found.ok_or_else(misplaced)?;
        let is_hit = found.source != Source::Database && found.stale.is_none();
        if let Some(permit) = is_hit.then(|| self.answer_audits.try_begin()).flatten() {
            let cache = Arc::clone(self.cache());
            ServedAnswer { cache, key, codec }.audit(load(), Arc::clone(&self.audited), permit);
        }
        found.try_map(|cached| {
            Ok(match one(cached)? {
                Answer::Value(cached) => Answer::Value(cached.answer),
                Answer::Encoded(reply) => Answer::Encoded(reply),
            })
        })
    }

    /// Reads a key. `load` creates the function that queries the database; a hit in this process does not need it.
    async fn find<C, F, L>(
        &self,
        (key, owner, max_staleness): (Key, &Owner, Option<Duration>),
        codec: C,
        load: impl FnOnce() -> F,
    ) -> Result<Option<Read<parlance_cache::Answer<C::Value>>>>
    where
        C: Codec,
        Error: From<C::Error>,
        F: FnOnce() -> L + Clone + Send + 'static,
        L: Future<Output = std::result::Result<Option<C::Value>, C::Error>> + Send + 'static,
    {
        let owner = owner.as_str();
        if let Some(held) = self.cache().hit(key, owner) {
            let answer = parlance_cache::Answer::Encoded(held);
            return Ok(Some(Read::from(Source::Memory, answer)));
        }
        let lookup = ReadRequest {
            key,
            owner,
            max_staleness,
        };
        let found = self.cache().read(lookup, codec, load()).await?;
        Ok(found.map(read))
    }
}

/// Converts the cache's result.
pub(crate) fn read<V>(found: CacheLookup<V>) -> Read<parlance_cache::Answer<V>> {
    let CacheLookup {
        answer,
        source,
        stale,
    } = found;
    Read {
        value: answer,
        source,
        stale,
    }
}

/// Wraps the error of a statement, since several requests may wait for it.
pub(crate) fn shared<T>(result: StorageResult<T>) -> std::result::Result<T, Arc<StorageError>> {
    result.map_err(Arc::new)
}

/// A single value in its present form.
pub(crate) fn one<T>(answer: parlance_cache::Answer<T>) -> Result<Answer<T>> {
    match answer {
        parlance_cache::Answer::Value(value) => Ok(Answer::Value(value)),
        parlance_cache::Answer::Encoded(EncodedValue::One(encoded)) => Ok(Answer::Encoded(encoded)),
        parlance_cache::Answer::Encoded(EncodedValue::List(_)) => Err(misplaced()),
    }
}

fn counted(answer: parlance_cache::Answer<Conversation>) -> Result<Counted> {
    Ok(match one(answer)? {
        Answer::Value(conversation) => Counted {
            message_count: conversation.message_count,
            conversation: Answer::Value(conversation),
        },
        Answer::Encoded(held) => {
            let (message_count, encoded) = conversation_of(held);
            Counted {
                message_count,
                conversation: Answer::Encoded(encoded),
            }
        }
    })
}

fn newest(answer: parlance_cache::Answer<Newest>) -> Result<NewestOf> {
    match answer {
        parlance_cache::Answer::Value(newest) => Ok(NewestOf::Messages(newest)),
        parlance_cache::Answer::Encoded(EncodedValue::List(list)) => Ok(NewestOf::Held(list)),
        parlance_cache::Answer::Encoded(EncodedValue::One(_)) => Err(misplaced()),
    }
}

/// This process stored a single value where a list belongs, or the other way round.
pub(crate) fn misplaced() -> Error {
    Error::new(
        Reason::Internal,
        "internal error; see the log of the service",
    )
}
