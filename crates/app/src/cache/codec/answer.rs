//! Lists, statistics and searches: as JSON in Redis, and in this process as the whole reply of the transport.

use std::sync::Arc;

use bytes::Bytes;
use parlance_cache::{Codec, EncodedValue, Raw};
use parlance_storage::StorageError;

use crate::cache::json::{self, Kept, Told};
use crate::error::{Error, Reason};
use crate::paging::Question;

/// Why a question was not answered, for all who waited for it.
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
        Arc::try_unwrap(error).unwrap_or_else(Self::again)
    }
}

/// The answer to a question.
#[derive(Debug)]
pub(crate) struct AnswerCodec<T> {
    /// Which: what answers another one under its key is none of ours.
    pub(crate) question: Question,
    /// How the transport replies.
    pub(crate) encode: fn(&T) -> Bytes,
}

impl<T> Clone for AnswerCodec<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for AnswerCodec<T> {}

impl<T: Told + Clone + Send + Sync + 'static> Codec for AnswerCodec<T> {
    type Value = Kept<T>;
    type Error = NoAnswer;

    fn owner(self, kept: &Kept<T>) -> Option<&str> {
        Some(kept.owner.as_str())
    }

    fn raw(self, kept: &Kept<T>) -> Raw {
        Raw::One(json::answer(kept, self.question))
    }

    fn parse(self, raw: &Raw) -> Option<Kept<T>> {
        json::parse_answer(super::one(raw)?, self.question)
    }

    fn encode(self, kept: &Kept<T>) -> EncodedValue {
        EncodedValue::One((self.encode)(&kept.answer))
    }

    fn is_away(NoAnswer(error): &NoAnswer) -> bool {
        error.reason == Reason::DatabaseUnavailable
    }
}
