//! Parts of the upkeep, and how often each has failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A part of the upkeep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JanitorPart {
    /// Removes old events.
    Feed,
    /// Removes old request ids.
    RequestIds,
    /// Removes the tombstones of messages that were deleted long ago.
    DeletedMessages,
    /// Removes the content of expired uploads and of deleted messages.
    Uploads,
    /// Finishes deletions of conversations that were interrupted.
    Deletions,
    /// Indexes the rest of long conversations that were edited.
    SearchIndex,
    /// Removes messages and conversations that are older than the installation keeps.
    Retention,
    /// Folds the changes of counters into their totals.
    Counters,
    /// Bounds the write-ahead log of SQLite.
    Log,
}

impl JanitorPart {
    /// All parts.
    pub const ALL: [Self; 9] = [
        Self::Feed,
        Self::RequestIds,
        Self::DeletedMessages,
        Self::Uploads,
        Self::Deletions,
        Self::SearchIndex,
        Self::Retention,
        Self::Counters,
        Self::Log,
    ];

    /// The name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::RequestIds => "request_ids",
            Self::DeletedMessages => "deleted_messages",
            Self::Uploads => "uploads",
            Self::Deletions => "deletions",
            Self::SearchIndex => "search_index",
            Self::Retention => "retention",
            Self::Counters => "counters",
            Self::Log => "log",
        }
    }

    pub(crate) const fn interval(self) -> Duration {
        match self {
            // Reads sum the changes that are not folded yet.
            Self::Counters | Self::Log => Duration::from_secs(1),
            Self::Feed
            | Self::RequestIds
            | Self::DeletedMessages
            | Self::Uploads
            | Self::Deletions
            | Self::SearchIndex
            | Self::Retention => Duration::from_mins(1),
        }
    }
}

/// Number of failures of each part and its items.
#[derive(Debug, Default)]
pub(crate) struct JanitorFailures([AtomicU64; JanitorPart::ALL.len()]);

impl JanitorFailures {
    pub(crate) fn of(&self, part: JanitorPart) -> Option<&AtomicU64> {
        let mut parts = JanitorPart::ALL.iter().zip(&self.0);
        parts.find_map(|(one, failures)| (*one == part).then_some(failures))
    }

    pub(crate) fn add(&self, part: JanitorPart) {
        if let Some(failures) = self.of(part) {
            failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}
