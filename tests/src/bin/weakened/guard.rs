//! What is taken away.

/// A guard of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Nothing: what the others are compared with.
    Nothing,
    /// A write does not fence.
    Fence,
    /// A fill needs no lease.
    Fill,
    /// Nobody releases, neither a write itself nor those who do it for others.
    Release,
    /// The same of what was fenced; what was not is released for it.
    Fenced,
    /// A copy is used whether or not all writes have been heard.
    Barrier,
    /// What could not be fenced or released counts as done.
    Faults,
    /// Where there is no value in Redis, a write fences and releases nothing: so nobody hears of it.
    Absent,
    /// Copies stay when the connection that hears of writes is lost.
    Lost,
    /// All processes of Redis are one.
    Epoch,
    /// Whose a value is, is not looked at.
    Owner,
    /// A write ends no generation.
    Generation,
    /// What others could not release themselves is not released for them.
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
