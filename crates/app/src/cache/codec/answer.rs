//! Codec of lists, statistics and searches: JSON in Redis; in the in-process cache the complete response of the
//! transport.

use std::sync::Arc;

use bytes::Bytes;
use parlance_cache::{Codec, EncodedValue, Raw};
use parlance_storage::StorageError;

use crate::cache::json::{self, CacheableResponse, CachedAnswer};
use crate::error::{Error, Reason};
use crate::paging::QueryFingerprint;

/// Error of a load, shared by all requests that waited for it.
#[derive(Debug, Clone)]
pub(crate) struct NoAnswer(pub(crate) Arc<Error>);

impl From<Error> for NoAnswer {
    fn from(error: Error) -> Self {
        Self(Arc::new(error))
    }
}

impl From<StorageError> for NoAnswer {
    fn from(error: StorageError) -> Self {
        Error::from(error).into()
    }
}

impl From<NoAnswer> for Error {
    fn from(NoAnswer(error): NoAnswer) -> Self {
        Arc::try_unwrap(error).unwrap_or_else(Self::shared)
    }
}

/// Codec of the answer to a query.
#[derive(Debug)]
pub(crate) struct AnswerCodec<T> {
    /// The expected query: the answer to another one under its key is rejected.
    pub(crate) fingerprint: QueryFingerprint,
    /// The transport's encoder.
    pub(crate) encode: fn(&T) -> Bytes,
}

impl<T> Clone for AnswerCodec<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for AnswerCodec<T> {}

impl<T: CacheableResponse + Clone + Send + Sync + 'static> Codec for AnswerCodec<T> {
    type Value = CachedAnswer<T>;
    type Error = NoAnswer;

    fn owner(self, cached: &CachedAnswer<T>) -> Option<&str> {
        Some(cached.owner.as_str())
    }

    fn raw(self, cached: &CachedAnswer<T>) -> Raw {
        Raw::One(json::answer(cached, self.fingerprint))
    }

    fn parse(self, raw: &Raw) -> Option<CachedAnswer<T>> {
        json::parse_answer(super::one(raw)?, self.fingerprint)
    }

    fn encode(self, cached: &CachedAnswer<T>) -> EncodedValue {
        EncodedValue::One((self.encode)(&cached.answer))
    }

    fn is_away(NoAnswer(error): &NoAnswer) -> bool {
        error.reason == Reason::DatabaseUnavailable
    }
}
