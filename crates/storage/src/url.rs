//! Which database a URL names.

use std::path::PathBuf;

/// A database that can be opened. Its `Display` shows no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A server, by its full URL.
    Postgres(String),
}

/// A URL that names no database of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Another scheme, or none.
    #[error("must begin with sqlite:// or postgres://")]
    Scheme,
    /// Nothing after the scheme.
    #[error("names no file: write sqlite:///absolute/path or sqlite://relative/path")]
    NoPath,
    /// What the Postgres driver says.
    #[error("is not a Postgres URL: {0}")]
    Postgres(String),
}

impl DatabaseUrl {
    /// Reads `sqlite:///path`, `sqlite://relative/path` or `postgres://...`.
    pub fn parse(url: &str) -> Result<Self, DatabaseUrlError> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() {
                return Err(DatabaseUrlError::NoPath);
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            url.parse::<tokio_postgres::Config>()
                .map_err(|e| DatabaseUrlError::Postgres(e.to_string()))?;
            return Ok(Self::Postgres(url.to_owned()));
        }
        Err(DatabaseUrlError::Scheme)
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => f.write_str(&masked(url)),
        }
    }
}

/// The URL without its password, wherever it stands.
fn masked(url: &str) -> String {
    let (base, query) = url
        .split_once('?')
        .map_or((url, None), |(base, query)| (base, Some(query)));
    let base = match (base.split_once("://"), base.rsplit_once('@')) {
        (Some((scheme, _)), Some((before, host))) => {
            let user = before.split_once("://").map_or("", |(_, login)| login);
            let user = user.split_once(':').map_or(user, |(name, _)| name);
            format!("{scheme}://{user}:***@{host}")
        }
        _ => base.to_owned(),
    };
    let Some(query) = query else { return base };
    let hide = |pair: &str| {
        if pair.starts_with("password=") {
            "password=***".to_owned()
        } else {
            pair.to_owned()
        }
    };
    format!(
        "{base}?{}",
        query.split('&').map(hide).collect::<Vec<_>>().join("&")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_schemes_and_refuses_others() {
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
    fn shows_no_password() {
        for url in [
            "postgres://u:se:cret@h:5/db",
            "postgres://h/db?password=secret&user=u",
            "postgres://u:secret@h/d?application_name=x",
        ] {
            let shown = DatabaseUrl::parse(url).unwrap().to_string();
            assert!(
                !shown.contains("secret") && !shown.contains("se:cret"),
                "{shown}"
            );
        }
    }
}
