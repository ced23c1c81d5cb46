//! Credentials of providers, and how `[credentials.<name>]` of `parlance.toml` describes them.

use std::path::Path;

use parlance_providers::Secret;
use toml::{Table, Value};

use super::mask::MASK;
use super::parse::{self, Parsed};
use super::setting::{EffectiveSetting, Origin};

/// Name of the credentials that the variables `TWILIO_...` make.
pub(super) const TWILIO: &str = "twilio";
/// Ending of a field that names a file with the value.
const IN_FILE: &str = "_file";
/// Maximum length of a name, which is that in a sender.
const MAX_NAME: usize = 255;

/// Reads a file with a secret.
pub type SecretReader = fn(&Path) -> std::io::Result<String>;

/// Credentials of one Twilio account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TwilioCredentials {
    /// The name, which senders refer to.
    pub name: String,
    /// SID of the account.
    pub account_sid: String,
    /// User name and password of calls: an API key, or the account with its auth token.
    pub login: (String, Secret),
    /// Auth token for signatures of webhooks.
    pub auth_token: Option<Secret>,
    /// Second auth token, valid for signatures during a rotation.
    pub secondary_auth_token: Option<Secret>,
    /// Shared keys of webhooks: names and secrets.
    pub shared_keys: Vec<(String, Secret)>,
    /// Base URL of the API, if it is not the provider's own.
    pub base_url: Option<String>,
}

/// Fields as they were given. `label` returns the name of a field in the environment or in the file.
pub(super) struct Given<'a> {
    pub(super) name: &'a str,
    pub(super) label: &'a dyn Fn(&str) -> String,
    pub(super) account_sid: Option<String>,
    pub(super) auth_token: Option<Secret>,
    pub(super) secondary_auth_token: Option<Secret>,
    pub(super) api_key: Option<String>,
    pub(super) api_secret: Option<Secret>,
    pub(super) shared_keys: Option<Vec<(String, Secret)>>,
    pub(super) base_url: Option<String>,
}

impl Given<'_> {
    /// The name of the first field that is set.
    pub(super) fn first(&self) -> Option<&'static str> {
        let set = [
            ("account_sid", self.account_sid.is_some()),
            ("auth_token", self.auth_token.is_some()),
            ("secondary_auth_token", self.secondary_auth_token.is_some()),
            ("api_key", self.api_key.is_some()),
            ("api_secret", self.api_secret.is_some()),
            ("shared_keys", self.shared_keys.is_some()),
            ("base_url", self.base_url.is_some()),
        ];
        set.into_iter().find(|(_, is_set)| *is_set).map(|it| it.0)
    }

    /// The credentials, or what is wrong with them.
    pub(super) fn complete(self) -> Result<TwilioCredentials, String> {
        let label = self.label;
        let Some(account_sid) = self.account_sid else {
            return Err(format!(
                "{} is not set: set it to the SID of the account (AC...)",
                label("account_sid")
            ));
        };
        let pair = |set, missing| {
            format!(
                "{} is set without {}: set both, or neither",
                label(set),
                label(missing)
            )
        };
        let login = match (self.api_key, self.api_secret, &self.auth_token) {
            (Some(key), Some(secret), _) => (key, secret),
            (None, None, Some(token)) => (account_sid.clone(), token.clone()),
            (Some(_), None, _) => return Err(pair("api_key", "api_secret")),
            (None, Some(_), _) => return Err(pair("api_secret", "api_key")),
            (None, None, None) => {
                return Err(format!(
                    "{} is set without {}: set it, or {} and {}",
                    label("account_sid"),
                    label("auth_token"),
                    label("api_key"),
                    label("api_secret")
                ));
            }
        };
        Ok(TwilioCredentials {
            name: self.name.to_owned(),
            account_sid,
            login,
            auth_token: self.auth_token,
            secondary_auth_token: self.secondary_auth_token,
            shared_keys: self.shared_keys.unwrap_or_default(),
            base_url: self.base_url,
        })
    }
}

/// The credentials of a file, and what is wrong with the others.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) credentials: Vec<TwilioCredentials>,
    pub(super) problems: Vec<String>,
}

/// Reads the tables of credentials. Secrets in files are read by `read_secret`, relative to `folder`.
pub(super) fn read_tables(
    shown_path: &str,
    folder: &Path,
    read_secret: SecretReader,
    tables: Value,
) -> Tables {
    let mut found = Tables::default();
    let Value::Table(tables) = tables else {
        found.problems.push(format!(
            "{shown_path}: credentials has the type {}; expected tables such as [credentials.marketing]",
            tables.type_str()
        ));
        return found;
    };
    for (name, table) in tables {
        let source = Source {
            label: format!("{shown_path}: credentials.{name}"),
            folder,
            read_secret,
        };
        match source.read(&name, table) {
            Ok(read) => found.credentials.push(read),
            Err(problems) => found.problems.extend(problems),
        }
    }
    found
}

/// A table of the file.
struct Source<'a> {
    label: String,
    folder: &'a Path,
    read_secret: SecretReader,
}

impl Source<'_> {
    fn read(&self, name: &str, table: Value) -> Result<TwilioCredentials, Vec<String>> {
        let label = &self.label;
        let Value::Table(mut table) = table else {
            let found = table.type_str();
            return Err(vec![format!(
                "{label} has the type {found}; expected a table"
            )]);
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_name) {
            return Err(vec![format!(
                "{label}: a name has letters, digits, '-', '_' and '.'; rename it"
            )]);
        }
        let provider = table.remove("provider");
        if provider.as_ref().and_then(Value::as_str) != Some(TWILIO) {
            return Err(vec![format!(
                "{label}.provider is missing or unknown: set it to \"{TWILIO}\""
            )]);
        }
        let mut problems = Vec::new();
        let labelled = |field: &str| format!("{label}.{field}");
        let given = Given {
            name,
            label: &labelled,
            account_sid: self.take(&mut table, "account_sid", parse::account_sid, &mut problems),
            auth_token: self.take(&mut table, "auth_token", parse::secret, &mut problems),
            secondary_auth_token: self.take(
                &mut table,
                "secondary_auth_token",
                parse::secret,
                &mut problems,
            ),
            api_key: self.take(&mut table, "api_key", parse::api_key, &mut problems),
            api_secret: self.take(&mut table, "api_secret", parse::secret, &mut problems),
            shared_keys: self.take(&mut table, "shared_keys", parse::shared_keys, &mut problems),
            base_url: self.take(&mut table, "base_url", parse::base_url, &mut problems),
        };
        let unknown = table
            .keys()
            .map(|key| format!("{label}.{key} is not a field of the provider {TWILIO}; remove it"));
        problems.extend(unknown);
        if !problems.is_empty() {
            return Err(problems);
        }
        given.complete().map_err(|problem| vec![problem])
    }

    /// Takes a field, or the content of the file that `<field>_file` names.
    fn take<T>(
        &self,
        table: &mut Table,
        field: &str,
        parse: impl Fn(&str) -> Parsed<T>,
        problems: &mut Vec<String>,
    ) -> Option<T> {
        let label = format!("{}.{field}", self.label);
        let value = table.remove(field);
        let file = table.remove(&format!("{field}{IN_FILE}"));
        let text = match (value, file) {
            (None, None) => return None,
            (Some(Value::String(text)), None) => Ok(text),
            (None, Some(Value::String(path))) => self.content(&label, &path),
            (Some(_), Some(_)) => Err(format!(
                "{label} and {label}{IN_FILE} are both set: remove one"
            )),
            (Some(_), None) | (None, Some(_)) => Err(format!("{label} is not a text")),
        };
        // Neither the text nor the detail of a parser is shown: both may be a secret.
        let parsed = text.and_then(|text| {
            parse(&text).map_err(|_| format!("{label} is invalid; {}", expected(field)))
        });
        match parsed {
            Ok(value) => Some(value),
            Err(problem) => {
                problems.push(problem);
                None
            }
        }
    }

    fn content(&self, label: &str, path: &str) -> Result<String, String> {
        let path = self.folder.join(path);
        match (self.read_secret)(&path) {
            // Editors end a file with a newline.
            Ok(text) => Ok(text.trim_end().to_owned()),
            Err(error) => Err(format!(
                "{label}{IN_FILE}: cannot read {}: {error}; check the path and its permissions",
                path.display()
            )),
        }
    }
}

/// What a field should be.
fn expected(field: &str) -> &'static str {
    match field {
        "account_sid" => "expected the SID of an account (AC...)",
        "api_key" => "expected the SID of an API key (SK...)",
        "shared_keys" => "expected name=secret, separated by commas",
        "base_url" => "expected a URL without a path, such as https://api.twilio.com",
        _ => "expected a secret without spaces",
    }
}

/// The credentials of the file for display. Those of the environment are among the settings.
pub(super) fn effective(credentials: &[TwilioCredentials]) -> Vec<EffectiveSetting> {
    credentials.iter().flat_map(shown).collect()
}

fn shown(credentials: &TwilioCredentials) -> Vec<EffectiveSetting> {
    let TwilioCredentials {
        name,
        account_sid,
        login: (user, _),
        auth_token,
        secondary_auth_token,
        shared_keys,
        base_url,
    } = credentials;
    let api_key = Some(user).filter(|user| *user != account_sid);
    let masked = |is_set: bool| is_set.then(|| MASK.to_owned());
    let fields = [
        ("account_sid", Some(account_sid.clone())),
        ("auth_token", masked(auth_token.is_some())),
        (
            "secondary_auth_token",
            masked(secondary_auth_token.is_some()),
        ),
        ("api_key", api_key.cloned()),
        ("api_secret", masked(api_key.is_some())),
        ("shared_keys", masked(!shared_keys.is_empty())),
        ("base_url", base_url.clone()),
    ];
    let set = fields
        .into_iter()
        .filter_map(|(field, value)| Some((field, value?)));
    set.map(|(field, value)| EffectiveSetting {
        name: format!("credentials.{name}.{field}").into(),
        value,
        origin: Origin::File,
    })
    .collect()
}
