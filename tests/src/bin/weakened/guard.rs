//! The guards of the cache that can be switched off.

/// A guard of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// No guard: the baseline.
    Nothing,
    /// A write does not fence.
    Fence,
    /// A fill needs no lease.
    Fill,
    /// No instance releases a fence, neither the writer itself nor another on its behalf.
    Release,
    /// The same for keys that were fenced; keys that were not fenced are released.
    Fenced,
    /// An in-process copy is served whether or not all invalidations have been received.
    Barrier,
    /// A failed fence or release counts as done.
    Faults,
    /// A write neither fences nor releases keys that have no value in Redis, so that other instances are not notified
    /// of it.
    Absent,
    /// In-process copies stay when the invalidation connection is lost.
    Lost,
    /// All Redis processes count as the same.
    Epoch,
    /// The owner of a value is not compared.
    Owner,
    /// A write does not rotate generations.
    Generation,
    /// Releases that another instance left behind are not made on its behalf.
    Drain,
}

impl Guard {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "nothing" => Self::Nothing,
            "fence" => Self::Fence,
            "fill" => Self::Fill,
            "release" => Self::Release,
            "fenced" => Self::Fenced,
            "barrier" => Self::Barrier,
            "faults" => Self::Faults,
            "absent" => Self::Absent,
            "lost" => Self::Lost,
            "epoch" => Self::Epoch,
            "owner" => Self::Owner,
            "generation" => Self::Generation,
            "drain" => Self::Drain,
            _ => return None,
        })
    }
}
