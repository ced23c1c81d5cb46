//! Database URLs.

use std::fmt::Write as _;
use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// URL of a database. Neither `Display` nor `Debug` shows a password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A Postgres server, by its full URL.
    Postgres(String),
}

/// Why a text is not a database URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Another scheme, or none.
    #[error("must begin with sqlite:// or postgres://")]
    Scheme,
    /// Nothing after the scheme.
    #[error("contains no file name: write sqlite:///absolute/path or sqlite://relative/path")]
    NoPath,
    /// Parsers disagree about where the password ends.
    #[error(
        "has an unescaped character before the host: in the user name and the password write `@` as %40, `/` as %2F, `?` as %3F, \
         `#` as %23"
    )]
    Unescaped,
    /// The Postgres driver rejects it; its message.
    #[error("is not a Postgres URL: {0}")]
    Postgres(String),
}

impl DatabaseUrl {
    /// Parses `sqlite:///path`, `sqlite://relative/path` or `postgres://...`.
    pub fn parse(url: &str) -> Result<Self, DatabaseUrlError> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() {
                return Err(DatabaseUrlError::NoPath);
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            if !is_clear(url) {
                return Err(DatabaseUrlError::Unescaped);
            }
            url.parse::<Config>()
                .map_err(|e| DatabaseUrlError::Postgres(reason(&e)))?;
            return Ok(Self::Postgres(url.to_owned()));
        }
        Err(DatabaseUrlError::Scheme)
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => f.write_str(&redacted(url)),
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// Whether the login ends at the first `@` for every parser.
fn is_clear(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let Some((login, rest)) = rest.split_once('@') else {
        return true;
    };
    // After a `?`, an `@` may be part of the value of an option.
    let target = rest.split('?').next().unwrap_or_default();
    !login.contains(['/', '?', '#']) && !target.contains('@')
}

/// Returns the driver's message without the name of an unknown option: in a URL with an unescaped `?` in the password,
/// that name is part of the password.
fn reason(error: &tokio_postgres::Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let source = source.unwrap_or_default();
    if source.starts_with("unknown option") {
        return format!("{error}: unknown option after `?`");
    }
    // These names are the driver's own; the rest of its message may contain text of the URL.
    let option = source
        .strip_prefix("invalid value for option `")
        .map(|option| option.trim_end_matches('`'));
    match option {
        Some("sslmode") => format!(
            "{error}: sslmode must be disable, prefer or require; with the latter two the server's certificate is verified, \
             also against the certificates in DATABASE_CA if it is set"
        ),
        Some(option) => format!("{error}: invalid value for {option}"),
        None => error.to_string(),
    }
}

/// Returns the URL without its secrets, rebuilt from the parts that the driver parsed.
fn redacted(url: &str) -> String {
    const MASK: &str = "***";
    let scheme = url.split("://").next().unwrap_or_default();
    let rest = url.get(scheme.len()..).unwrap_or_default();
    let rest = rest.trim_start_matches("://");
    let mut login = rest.split('@');
    let user = login.next().filter(|_| login.next().is_some());
    // If a password contains such characters unescaped, parsers disagree about where it ends.
    let unclear = login.next().is_some() || user.is_some_and(|user| user.contains(['/', '?', '#']));
    let Some(config) = url.parse::<Config>().ok().filter(|_| !unclear) else {
        return format!("{scheme}://{MASK}");
    };
    let mut redacted = format!("{scheme}://");
    if let Some(user) = config.get_user() {
        redacted.push_str(&escaped(user));
    }
    if config.get_password().is_some() {
        let _ = write!(redacted, ":{MASK}");
    }
    if config.get_user().is_some() || config.get_password().is_some() {
        redacted.push('@');
    }
    let hosts = config.get_hosts().iter().enumerate();
    let hosts: Vec<String> = hosts
        .map(|(number, host)| {
            let port = config.get_ports().get(number).filter(|port| **port != 5432);
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            match host {
                Host::Tcp(name) if name.contains(':') => format!("[{name}]{port}"),
                Host::Tcp(name) => format!("{}{port}", escaped(name)),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}{port}", escaped(&path.to_string_lossy())),
            }
        })
        .collect();
    redacted.push_str(&hosts.join(","));
    if let Some(name) = config.get_dbname() {
        let _ = write!(redacted, "/{}", escaped(name));
    }
    redacted
}

/// Percent-encodes a part of a URL.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_both_schemes_and_rejects_others() {
        assert_eq!(
            DatabaseUrl::parse("sqlite:///a/b.db"),
            Ok(DatabaseUrl::Sqlite(PathBuf::from("/a/b.db")))
        );
        assert_eq!(
            DatabaseUrl::parse("sqlite://data/b.db"),
            Ok(DatabaseUrl::Sqlite(PathBuf::from("data/b.db")))
        );
        assert!(matches!(
            DatabaseUrl::parse("postgres://u@h/db"),
            Ok(DatabaseUrl::Postgres(_))
        ));
        assert_eq!(
            DatabaseUrl::parse("sqlite://"),
            Err(DatabaseUrlError::NoPath)
        );
        assert_eq!(
            DatabaseUrl::parse("mysql://h"),
            Err(DatabaseUrlError::Scheme)
        );
        assert!(matches!(
            DatabaseUrl::parse("postgres://h:notaport/db"),
            Err(DatabaseUrlError::Postgres(_))
        ));
    }

    #[test]
    fn an_unescaped_character_of_a_password_is_refused() {
        for password in ["a@b", "a/b", "a?b", "a#b", "a@b/c", "/", "@"] {
            let error = DatabaseUrl::parse(&format!("postgres://chat:{password}@db/chat"));
            let error = error.unwrap_err();
            assert_eq!(error, DatabaseUrlError::Unescaped, "{password}");
            assert!(error.to_string().contains("write `@` as %40"), "{error}");
        }
        for url in [
            "postgres://chat:a%40b@db/chat",
            "postgres://chat@db/chat?application_name=a@b",
            "postgres://db/chat",
        ] {
            assert!(DatabaseUrl::parse(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn an_error_names_the_option() {
        for (options, expected) in [
            (
                "?sslmode=verify-full",
                "sslmode must be disable, prefer or require",
            ),
            ("?connect_timeout=soon", "invalid value for connect_timeout"),
            ("?sslrootcert=a", "unknown option after `?`"),
        ] {
            let error = DatabaseUrl::parse(&format!("postgres://h/db{options}")).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn display_shows_the_target_without_secrets() {
        for (url, expected) in [
            (
                "postgres://u:p@h:5/db?sslmode=require",
                "postgres://u:***@h:5/db",
            ),
            (
                "postgresql://h/db?password=p&user=u",
                "postgresql://u:***@h/db",
            ),
            ("postgres://u@a,b:6543/db", "postgres://u@a,b:6543/db"),
            (
                "postgres://u:p%40%3F@%2Ftmp/db",
                "postgres://u:***@%2Ftmp/db",
            ),
            ("postgres://[::1]/db", "postgres://[::1]/db"),
        ] {
            let url = DatabaseUrl::parse(url).unwrap();
            assert_eq!(url.to_string(), expected);
        }
    }

    proptest::proptest! {
        /// No character of a password is shown, whether the URL is accepted or rejected.
        #[test]
        fn no_password_is_shown(password in "[QXZ7@/?#:%&=,]{1,12}") {
            for url in [
                format!("postgres://chat:{password}@db/chat"),
                format!("postgres://chat@db/chat?password={password}"),
                format!("postgres://db/chat?user=chat&password={password}"),
                format!("postgres://chat:{password}@db/chat?application_name=a@b"),
            ] {
                let redacted = match DatabaseUrl::parse(&url) {
                    Ok(url) => format!("{url} {url:?}"),
                    Err(error) => format!("{error} {error:?}"),
                };
                proptest::prop_assert!(!redacted.contains(['Q', 'X', 'Z', '7']), "{url}: {redacted}");
            }
        }
    }
}
