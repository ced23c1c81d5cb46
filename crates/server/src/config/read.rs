//! Reads the text of each setting, parses it, and collects all problems.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::credentials::{self, SecretReader, TwilioCredentials};
use super::mask::masked;
use super::names;
use super::parse::Parsed;
use super::setting::{Origin, Setting};

/// Content of a configuration file.
#[derive(Debug, Clone)]
pub struct File {
    /// Path of the file, for messages.
    pub path: PathBuf,
    /// Text of the file.
    pub text: String,
    /// Reads the files with secrets that it names.
    pub read_secret: SecretReader,
}

/// Text of a setting and its source.
#[derive(Debug, Clone)]
pub(super) struct RawValue {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// Key of the tables with the credentials of providers, which are no settings.
const CREDENTIALS: &str = "credentials";

/// The texts of all settings, and the problems so far.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// All settings.
    table: &'static [Setting],
    values: HashMap<&'static str, RawValue>,
    /// Names of the settings with an invalid value.
    invalid: Vec<&'static str>,
    pub(super) problems: Vec<String>,
    /// The credentials of the file.
    pub(super) credentials: Vec<TwilioCredentials>,
    /// One line for each variable or key that is set and has no effect.
    pub(super) warnings: Vec<String>,
}

impl Reader {
    pub(super) fn new(
        table: &'static [Setting],
        env: impl Iterator<Item = (String, String)>,
        file: Option<File>,
    ) -> Self {
        let mut reader = Self {
            table,
            ..Self::default()
        };
        if let Some(file) = file {
            reader.add_file(&file);
        }
        reader.add_env(env);
        reader.warnings.sort();
        reader.warnings.dedup();
        reader
    }

    fn add_file(&mut self, file: &File) {
        let path = file.path.display();
        let table = match file.text.parse::<toml::Table>() {
            Ok(table) => table,
            // Only the line number and the reason: the text of the parser quotes the line, which may contain a password.
            Err(error) => {
                let line = error
                    .span()
                    .and_then(|span| file.text.get(..span.start))
                    .map_or(1, |before| before.matches('\n').count() + 1);
                let reason = error.message();
                self.problems.push(format!("{path}: line {line}: {reason}"));
                return;
            }
        };
        for (key, value) in table {
            if key == CREDENTIALS {
                let folder = file.path.parent().unwrap_or(Path::new(""));
                let path = path.to_string();
                let tables = credentials::read_tables(&path, folder, file.read_secret, value);
                self.credentials.extend(tables.credentials);
                self.problems.extend(tables.problems);
                continue;
            }
            let name = key.to_ascii_uppercase();
            let Some(setting) =
                names::find(self.table, &name).filter(|_| key == key.to_ascii_lowercase())
            else {
                self.reject_key(&path.to_string(), &key, &name);
                continue;
            };
            match text_of(&value) {
                Some(text) => {
                    let origin = Origin::File;
                    self.values.insert(setting.name, RawValue { text, origin });
                }
                None => self.problems.push(format!(
                    "{path}: {key} has the type {}; expected {}",
                    value.type_str(),
                    setting.expects
                )),
            }
        }
    }

    fn reject_key(&mut self, path: &str, key: &str, name: &str) {
        if names::is_unused(name) {
            self.warn_unused(name);
            return;
        }
        let hint = names::most_similar(self.table, name)
            .map(|name| format!("; did you mean {}?", name.to_ascii_lowercase()))
            .unwrap_or_default();
        self.problems
            .push(format!("{path}: {key} is not a setting{hint}"));
    }

    /// An empty variable counts as unset: Compose files and systemd units pass unset values this way.
    fn add_env(&mut self, env: impl Iterator<Item = (String, String)>) {
        for (name, text) in env.filter(|(name, text)| !text.is_empty() && !is_injected(name, text))
        {
            if let Some(setting) = names::find(self.table, &name) {
                let origin = Origin::Environment;
                self.values.insert(setting.name, RawValue { text, origin });
            } else if names::is_unused(&name) {
                self.warn_unused(&name);
            } else if let Some(hint) = names::misspelt(self.table, &name) {
                self.warnings
                    .push(format!("{name} is set, but is not a setting{hint}"));
            }
        }
    }

    fn warn_unused(&mut self, name: &str) {
        self.warnings
            .push(format!("{name} is set, but this version does not use it"));
    }

    /// Whether the setting is set in any source.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Overrides a setting for an ephemeral service.
    pub(super) fn override_with(&mut self, name: &'static str, text: impl Into<String>) {
        let (text, origin) = (text.into(), Origin::Ephemeral);
        self.values.insert(name, RawValue { text, origin });
    }

    /// The text of the setting, or its default.
    pub(super) fn raw(&self, setting: &Setting) -> RawValue {
        self.values.get(setting.name).cloned().unwrap_or(RawValue {
            text: setting.default.to_owned(),
            origin: Origin::Default,
        })
    }

    /// Parses the setting. If its value is invalid, records a problem with its name, its text and the expected form, and returns
    /// the default, so that all problems are reported at once. `None` if the default is invalid, too.
    pub(super) fn get<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<T> {
        let RawValue { text, origin } = self.raw(setting);
        let why = match parse(&text) {
            Ok(value) => return Some(value),
            Err(why) if why.is_empty() => why,
            Err(why) => format!("{why}; "),
        };
        let Setting { name, expects, .. } = setting;
        let shown = if setting.secret {
            "(not shown)".to_owned()
        } else {
            format!("{:?}", masked(&text))
        };
        self.problems.push(format!(
            "{name} is {shown} ({origin}): {why}expected {expects}"
        ));
        self.invalid.push(setting.name);
        parse(setting.default).ok()
    }

    /// Whether the values of all these settings are valid. A check of several settings needs it: the default that replaces an
    /// invalid value could contradict the others.
    pub(super) fn are_valid(&self, names: &[&'static str]) -> bool {
        !names.iter().any(|name| self.invalid.contains(name))
    }
}

/// Whether Kubernetes sets this variable for a service of the cluster. A service named `redis` adds
/// `REDIS_PORT=tcp://10.0.0.1:6379` and others.
fn is_injected(name: &str, text: &str) -> bool {
    let protocols = ["TCP", "UDP", "SCTP"];
    let of_service = name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_");
    let of_port = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        let (number, rest) = rest.split_once('_').unwrap_or((rest, ""));
        let protocol = rest.split('_').next().unwrap_or_default();
        number.parse::<u16>().is_ok() && protocols.contains(&protocol)
    });
    let is_link = name.ends_with("_PORT")
        && text
            .split_once("://")
            .is_some_and(|(scheme, _)| protocols.contains(&scheme.to_ascii_uppercase().as_str()));
    of_service || of_port || is_link
}

/// Text of a scalar; `reflection = true` equals `"on"`. `None` for other types.
fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(yes) => Some(if *yes { "on" } else { "off" }.to_owned()),
        toml::Value::Float(_)
        | toml::Value::Datetime(_)
        | toml::Value::Array(_)
        | toml::Value::Table(_) => None,
    }
}
