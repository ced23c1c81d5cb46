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

impl std::fmt::Display for Migrate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Check => "check",
            Self::Off => "off",
        })
    }
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for humans.
    Text,
    /// JSON for programs.
    Json,
}
