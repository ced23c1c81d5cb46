//! State of an invalidation connection, which its driver, its listener and barriers share.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::ledger::RemoteId;

/// Nanoseconds since tracking began; a number, so that the latest requested time fits an atomic.
pub(super) type TrackingNanos = u64;

#[derive(Clone, Default)]
pub(super) struct State {
    /// Number of the connection, from 1.
    pub(super) generation: u64,
    /// Process that the connection is to, while it is live.
    pub(super) live: Option<RemoteId>,
    /// All invalidations from before this time have been received.
    pub(super) until: TrackingNanos,
}

pub(super) struct TrackingState {
    pub(super) state: watch::Sender<State>,
    /// Latest time that a barrier waits for.
    pub(super) latest_wanted: AtomicU64,
    pub(super) wanted: Notify,
    pub(super) began: Instant,
    pub(super) timeout: Duration,
}

impl TrackingState {
    pub(super) fn nanos(&self, instant: Instant) -> TrackingNanos {
        let since = instant.saturating_duration_since(self.began);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}
