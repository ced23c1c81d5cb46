//! What `parlance config check` prints.

use parlance_storage::DatabaseUrl;

use super::read::{Found, Origin, Reader};
use super::table::{Setting, TABLE};

/// One setting as it holds; a secret is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Its name.
    pub name: &'static str,
    /// Its value as it may be shown.
    pub value: String,
    /// Where the value comes from.
    pub origin: Origin,
}

impl std::fmt::Display for InForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            value,
            origin,
        } = self;
        write!(f, "{name}={value} ({origin})")
    }
}

pub(super) fn in_force(reader: &Reader) -> Vec<InForce> {
    TABLE
        .iter()
        .map(|setting| {
            let Found { text, origin } = reader.found(setting);
            InForce {
                name: setting.name,
                value: shown(setting, text),
                origin,
            }
        })
        .collect()
}

/// Of a URL only the password is secret, and the rest says which database it is.
fn shown(setting: &Setting, text: String) -> String {
    if setting.name == "AUTH" && text.is_empty() {
        // With anything else the configuration would have been refused.
        return "off".to_owned();
    }
    if !setting.secret || text.is_empty() {
        return text;
    }
    match (setting.name, DatabaseUrl::parse(&text)) {
        ("DATABASE_URL", Ok(url)) => url.to_string(),
        (_, _) => "***".to_owned(),
    }
}
