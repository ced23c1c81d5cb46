//! Stored content of an attachment, read when a provider needs it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use parlance_domain::message::ReportedError;

use crate::Outcome;

/// Source of stored content, in chunks.
#[async_trait]
pub trait ContentSource: Send + Sync + 'static {
    /// Returns a chunk, by its position from 0.
    async fn chunk(&self, position: i32) -> Result<Bytes, ContentError>;
}

/// Stored content. Cheap to clone; may be read more than once.
#[derive(Clone)]
pub struct Content {
    size_bytes: u64,
    source: Arc<dyn ContentSource>,
}

impl Content {
    /// Content of a known size.
    pub fn new(size_bytes: u64, source: Arc<dyn ContentSource>) -> Self {
        Self { size_bytes, source }
    }

    /// Size in bytes.
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Reads the content in chunks, each when it is polled for.
    pub fn stream(&self) -> BoxStream<'static, Result<Bytes, ContentError>> {
        let source = Arc::clone(&self.source);
        let chunks = stream::try_unfold((0, self.size_bytes), move |(position, left)| {
            let source = Arc::clone(&source);
            async move {
                if left == 0 {
                    return Ok::<_, ContentError>(None);
                }
                let chunk = source.chunk(position).await?;
                if chunk.is_empty() {
                    // Half a file must not look complete.
                    return Err(ContentError::Gone);
                }
                let left = left.saturating_sub(chunk.len() as u64);
                Ok(Some((chunk, (position + 1, left))))
            }
        });
        chunks.boxed()
    }

    /// Reads the whole content, which may have up to `limit` bytes.
    pub async fn bytes(&self, limit: u64) -> Result<Bytes, ContentError> {
        let size_bytes = self.size_bytes;
        if size_bytes > limit {
            return Err(ContentError::TooLarge { size_bytes, limit });
        }
        let mut all = BytesMut::with_capacity(usize::try_from(size_bytes).unwrap_or_default());
        let mut chunks = self.stream();
        while let Some(chunk) = chunks.try_next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}

/// Content that a provider cannot hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Larger than the provider takes.
    #[error("an attachment has {size_bytes} bytes, and the provider takes {limit}")]
    TooLarge {
        /// Size of the content.
        size_bytes: u64,
        /// What the provider takes.
        limit: u64,
    },
    /// It was deleted.
    #[error("the content of an attachment was deleted")]
    Gone,
    /// It cannot be read at present.
    #[error("the content of an attachment cannot be read at present")]
    Unavailable,
}

impl From<ContentError> for Outcome {
    /// The outcome of a hand-over that lacks this content: the provider did not get the whole message.
    fn from(error: ContentError) -> Self {
        let reported = |code: &str| ReportedError {
            code: code.to_owned(),
            message: error.to_string(),
            provider_code: String::new(),
        };
        match error {
            ContentError::TooLarge { .. } => Self::Refused(reported("attachment_too_large")),
            ContentError::Gone => Self::Refused(reported("attachment_gone")),
            ContentError::Unavailable => Self::Later {
                after: None,
                error: reported("attachment_unavailable"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Three chunks of two bytes, of which only the first `available` exist.
    struct Chunks {
        available: i32,
        read: AtomicUsize,
    }

    #[async_trait]
    impl ContentSource for Chunks {
        async fn chunk(&self, position: i32) -> Result<Bytes, ContentError> {
            self.read.fetch_add(1, Ordering::Relaxed);
            if position < self.available {
                Ok(Bytes::from_static(b"ab"))
            } else {
                Err(ContentError::Gone)
            }
        }
    }

    fn content(available: i32) -> (Content, Arc<Chunks>) {
        let chunks = Arc::new(Chunks {
            available,
            read: AtomicUsize::new(0),
        });
        (Content::new(6, Arc::clone(&chunks) as _), chunks)
    }

    #[tokio::test]
    async fn content_is_read_chunk_by_chunk_and_to_its_end() {
        let (content, chunks) = content(3);
        let mut stream = content.stream();
        assert_eq!(stream.try_next().await.unwrap().unwrap(), "ab");
        assert_eq!(chunks.read.load(Ordering::Relaxed), 1, "read on demand");
        assert_eq!(content.bytes(6).await.unwrap(), "ababab");
    }

    #[tokio::test]
    async fn content_over_the_limit_is_not_read() {
        let (content, chunks) = content(3);
        let error = content.bytes(5).await.unwrap_err();
        assert!(matches!(
            error,
            ContentError::TooLarge {
                size_bytes: 6,
                limit: 5
            }
        ));
        assert_eq!(chunks.read.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn content_that_ends_early_is_an_error() {
        let (content, _) = content(2);
        assert_eq!(content.bytes(6).await.unwrap_err(), ContentError::Gone);
    }
}
