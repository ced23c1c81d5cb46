//! Values of settings that have no type elsewhere.

/// Handling of missing migrations at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrate {
    /// Applies them.
    Auto,
    /// Refuses to start.
    Check,
    /// Does not check.
    Off,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for humans.
    Text,
    /// JSON for programs.
    Json,
}
