//! The one way in for reads: what is near first, then what instances share, then the database.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parlance_cache::{CacheLookup, Codec, EncodedValue, Key, ReadRequest, Source};
use parlance_domain::{Conversation, ConversationId, Message, MessageId, Owner};
use parlance_storage::db::message::MessageRange;
use parlance_storage::{StorageError, StorageResult};

use super::audit_answers::Given;
use super::codec::{
    AnswerCodec, ConversationCodec, MessageCodec, MessagesCodec, NEWEST, Newest, NoAnswer,
    conversation_of,
};
use super::json::{Kept, Told};
use super::keys;
use crate::App;
use crate::error::{Error, Reason, Result};

/// An answer in one of two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// The value.
    Value(T),
    /// As the transport answers, by its [`Encoders`](super::Encoders).
    Encoded(Bytes),
}

impl<T> Answer<T> {
    /// The value, unless only the transport can read it.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Encoded(_) => None,
        }
    }
}

/// What was read, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Read<T> {
    /// It.
    pub value: T,
    /// The slowest that had to be asked.
    pub source: Source,
    /// With the database away: so long ago nothing of it could be wrong.
    pub stale: Option<Duration>,
}

impl<T> Read<T> {
    /// From here, and as good as can be.
    pub(crate) const fn from(source: Source, value: T) -> Self {
        Self {
            value,
            source,
            stale: None,
        }
    }

    /// The same of something else.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Read<U> {
        Read {
            value: of(self.value),
            source: self.source,
            stale: self.stale,
        }
    }

    /// The same, if that can be.
    pub(crate) fn try_map<U>(self, of: impl FnOnce(T) -> Result<U>) -> Result<Read<U>> {
        Ok(Read {
            value: of(self.value)?,
            source: self.source,
            stale: self.stale,
        })
    }

    /// Together with something else that was read: as slow as the slower, as old as the older.
    pub(crate) fn and<U, V>(self, other: Read<U>, of: impl FnOnce(T, U) -> V) -> Read<V> {
        Read {
            value: of(self.value, other.value),
            source: self.source.max(other.source),
            stale: self.stale.max(other.stale),
        }
    }
}

/// A conversation, and what lists have to know of it.
pub(crate) struct Counted {
    pub(crate) conversation: Answer<Conversation>,
    pub(crate) message_count: i64,
}

/// About whose things a question is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) owner: &'a Owner,
    /// The one of its users that it names.
    pub(crate) user: Option<&'a str>,
}

/// The newest messages in either form.
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
            let (db, whose) = (self.db.clone(), owner.clone());
            move || async move { shared(db.message(&whose, id).await) }
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
            let (db, whose) = (self.db.clone(), owner.clone());
            move || async move { shared(db.conversation(&whose, id).await) }
        };
        let asked = (keys::conversation(id), owner, max_staleness);
        let found = self.find(asked, codec, load).await?;
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
            let (db, whose) = (self.db.clone(), owner.clone());
            move || async move {
                let range = MessageRange {
                    above: 0,
                    below: None,
                    oldest_first: false,
                };
                // One more tells whether there are others.
                let limit = i64::try_from(NEWEST + 1).unwrap_or(i64::MAX);
                let messages = shared(db.message_page(&whose, id, range, limit).await)?;
                Ok((!messages.is_empty()).then(|| Newest::of(messages)))
            }
        };
        let asked = (keys::newest(id), owner, max_staleness);
        let found = self.find(asked, codec, load).await?;
        found.map(|found| found.try_map(newest)).transpose()
    }

    /// The answer to a question about a scope. `load` makes what asks the database, all of it: what it reads before it begins may
    /// be older than the generation under which the answer is kept.
    pub(crate) async fn find_answer<T, F, L>(
        &self,
        (key, whose, max_staleness): (Key, Whose<'_>, Option<Duration>),
        codec: AnswerCodec<T>,
        load: impl Fn() -> F,
    ) -> Result<Read<Answer<T>>>
    where
        T: Told + Clone + PartialEq + Send + Sync + 'static,
        F: FnOnce() -> L + Clone + Send + 'static,
        L: Future<Output = std::result::Result<T, NoAnswer>> + Send + 'static,
    {
        let Whose { owner, user } = whose;
        let load = || {
            let (owner, user, load) = (owner.clone(), user.map(str::to_owned), load());
            move || async move {
                let answer = load().await?;
                Ok(Some(Kept {
                    owner,
                    user,
                    answer,
                }))
            }
        };
        let found = self.find((key, owner, max_staleness), codec, &load).await?;
        // The database has an answer to every question.
        let found = found.ok_or_else(misplaced)?;
        let is_hit = found.source != Source::Database && found.stale.is_none();
        if let Some(turn) = is_hit.then(|| self.answer_audits.turn()).flatten() {
            let cache = Arc::clone(self.cache());
            Given { cache, key, codec }.audit(load(), Arc::clone(&self.audited), turn);
        }
        found.try_map(|kept| {
            Ok(match one(kept)? {
                Answer::Value(kept) => Answer::Value(kept.answer),
                Answer::Encoded(reply) => Answer::Encoded(reply),
            })
        })
    }

    /// `load` makes what asks the database; a hit in this process has no need of it.
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
        let asked = ReadRequest {
            key,
            owner,
            max_staleness,
        };
        let found = self.cache().read(asked, codec, load()).await?;
        Ok(found.map(read))
    }
}

/// As the cache says it.
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

/// Many may wait for one statement, and each is told why it failed.
pub(crate) fn shared<T>(result: StorageResult<T>) -> std::result::Result<T, Arc<StorageError>> {
    result.map_err(Arc::new)
}

/// One thing, in the form in which it is there.
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

/// This process has put a thing where a list belongs, or the other way round.
pub(crate) fn misplaced() -> Error {
    Error::new(Reason::Internal, "something went wrong on our side")
}
