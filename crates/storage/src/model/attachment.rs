//! Attachments and uploads.

/// Result of one step of pruning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneResult {
    /// Number of rows removed.
    pub removed: usize,
    /// Whether there may be more to remove.
    pub more: bool,
}
