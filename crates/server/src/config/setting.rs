//! Settings: name, default and expected form; the source of a value; the value in effect.

use std::borrow::Cow;

/// A setting. In `parlance.toml` it has the name of its environment variable in lower case.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Name of the environment variable.
    pub name: &'static str,
    /// Default; empty for none.
    pub default: &'static str,
    /// Expected form of a value, for error messages and documentation.
    pub expects: &'static str,
    /// Meaning, for documentation.
    pub help: &'static str,
    /// Whether the value is never shown.
    pub secret: bool,
}

/// Source of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The default of the setting.
    Default,
    /// `parlance.toml`.
    File,
    /// An environment variable.
    Environment,
    /// `serve --ephemeral`, which overrides all other sources.
    Ephemeral,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Ephemeral => "--ephemeral",
        })
    }
}

/// Effective value of a setting; a secret is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// Name of the setting, or of a field of credentials.
    pub name: Cow<'static, str>,
    /// Value, masked if it is secret.
    pub value: String,
    /// Source of the value.
    pub origin: Origin,
}

impl std::fmt::Display for EffectiveSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            value,
            origin,
        } = self;
        write!(f, "{name}={value} ({origin})")
    }
}
