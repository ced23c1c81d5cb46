//! Settings of the Redis tier.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{
    Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates, parse_redis_url,
};

/// Address of Redis: URLs with `redis://` or `rediss://`, and optional user, password and database number.
#[derive(Clone)]
pub enum Node {
    /// Single server, or an address that leads to the present master.
    Single(String),
    /// Some nodes of a cluster; the others are discovered. User and password of the first one apply to all.
    Cluster(Vec<String>),
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(url) => f.debug_tuple("Single").field(&shown(url)).finish(),
            Self::Cluster(urls) => {
                let urls: Vec<String> = urls.iter().map(|url| shown(url)).collect();
                f.debug_tuple("Cluster").field(&urls).finish()
            }
        }
    }
}

/// Redacts a Redis URL for display: rebuilt from its parts as the driver parses them, without possible secrets.
pub fn shown(url: &str) -> String {
    const MASK: &str = "***";
    let Some(url) = parse_redis_url(url).filter(|_| is_clear(url)) else {
        return MASK.to_owned();
    };
    let login = if url.username().is_empty() && url.password().is_none() {
        String::new()
    } else {
        format!("{MASK}@")
    };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}"));
    // Only a database number is shown.
    let database = url.path().trim_start_matches('/').parse::<u16>();
    let database = database.map(|number| format!("/{number}"));
    format!(
        "{}://{login}{host}{}{}",
        url.scheme(),
        port.unwrap_or_default(),
        database.unwrap_or_default()
    )
}

/// Whether the end of user and password is unambiguous: an unescaped `/`, `?` or `#` in a password would end them too early.
pub fn is_clear(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let mut parts = rest.splitn(2, ['/', '?', '#']);
    parts.next();
    parts.next().is_none_or(|after| !after.contains('@'))
}

/// Whether the driver uses the whole URL: it ignores a path that is no database number, and unknown parameters.
pub fn is_readable(url: &str) -> bool {
    let Some(parsed) = parse_redis_url(url) else {
        return false;
    };
    let database = parsed.path().trim_start_matches('/');
    let is_number = database.is_empty() || database.parse::<u16>().is_ok();
    let is_known = parsed.query_pairs().all(|(name, _)| name == "protocol");
    is_number && is_known && address(url, None).is_ok()
}

/// Settings of the Redis tier.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Address of Redis.
    pub node: Node,
    /// PEM file of the certificate authorities of the server, in place of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Time-out of a call.
    pub timeout: Duration,
    /// Number of connections to each node.
    pub connections: usize,
    /// Most elements of a list.
    pub max_list: usize,
}

impl RedisSettings {
    /// Default settings.
    pub const fn new(node: Node) -> Self {
        Self {
            node,
            ca_file: None,
            timeout: Duration::from_millis(50),
            connections: 1,
            max_list: 50,
        }
    }

    /// Parses all addresses.
    pub(super) fn addresses(&self) -> Result<Vec<ConnectionInfo>, BadSettings> {
        let urls = match &self.node {
            Node::Single(url) => std::slice::from_ref(url),
            Node::Cluster(urls) => urls.as_slice(),
        };
        if urls.is_empty() {
            return Err(BadSettings::NoUrl);
        }
        let authorities = self.ca_file.as_deref().map(authorities).transpose()?;
        urls.iter()
            .map(|url| address(url, authorities.as_deref()))
            .collect()
    }
}

/// Error in the settings. Its text contains no secrets.
#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    /// No URL.
    #[error("no Redis URL is given")]
    NoUrl,
    /// Malformed URL.
    #[error(
        "the Redis URL does not have the form redis://user:password@host:port/0 or rediss://..."
    )]
    Url,
    /// Unix socket in place of host and port.
    #[error("the Redis URL must name a host and port; Unix sockets are not supported")]
    Socket,
    /// Unreadable file of certificate authorities.
    #[error("the certificate authorities of Redis in {0} cannot be read: {1}")]
    Authorities(PathBuf, String),
    /// Certificate authorities for an unencrypted connection.
    #[error(
        "certificate authorities are given, but the Redis URL begins with redis://, so nothing would be encrypted"
    )]
    Plain,
    /// Invalidation connection to a cluster: no single connection receives every invalidation.
    #[error("an invalidation connection to a Redis Cluster is not supported")]
    Tracking,
}

fn authorities(path: &Path) -> Result<Vec<u8>, BadSettings> {
    let bad = |why: String| BadSettings::Authorities(path.to_owned(), why);
    let pem = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
    let begins = b"-----BEGIN CERTIFICATE-----";
    if pem.windows(begins.len()).any(|window| window == begins) {
        Ok(pem)
    } else {
        Err(bad("it contains no certificate".to_owned()))
    }
}

fn address(url: &str, authorities: Option<&[u8]>) -> Result<ConnectionInfo, BadSettings> {
    use deadpool_redis::redis::ConnectionAddr as Addr;
    let info = url.into_connection_info().map_err(|_| BadSettings::Url)?;
    if matches!(info.addr(), Addr::Unix(_)) {
        return Err(BadSettings::Socket);
    }
    let info = match authorities {
        None => info,
        Some(_) if matches!(info.addr(), Addr::Tcp(..)) => return Err(BadSettings::Plain),
        Some(pem) => {
            let certificates = TlsCertificates {
                client_tls: None,
                root_cert: Some(pem.to_vec()),
            };
            let client =
                Client::build_with_tls(info, certificates).map_err(|_| BadSettings::Url)?;
            client.get_connection_info().clone()
        }
    };
    let redis = info.redis_settings().clone();
    Ok(info
        .set_redis_settings(redis.set_protocol(ProtocolVersion::RESP2))
        .set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for node in [
            Node::Single("redis://user:s3cret@host:6379/1".to_owned()),
            Node::Single("rediss://:s3cret@host".to_owned()),
            Node::Single("http://:s3cret@host".to_owned()),
            Node::Single("redis://host?password=s3cret".to_owned()),
            Node::Cluster(vec!["redis://:s3cret@a".to_owned(), "s3cret".to_owned()]),
        ] {
            let settings = RedisSettings::new(node);
            assert!(!format!("{settings:?}").contains("s3cret"), "{settings:?}");
            if let Err(error) = settings.addresses() {
                assert!(!format!("{error:?} {error}").contains("s3cret"), "{error}");
            }
        }
    }

    #[test]
    fn unusable_settings_are_an_error() {
        let of = |url: &str| RedisSettings::new(Node::Single(url.to_owned())).addresses();
        assert!(of("redis://host").is_ok() && of("rediss://u:p@host:1/2").is_ok());
        assert!(matches!(of("localhost:6379"), Err(BadSettings::Url)));
        assert!(matches!(of("unix:///tmp/redis"), Err(BadSettings::Socket)));
        let none = RedisSettings::new(Node::Cluster(vec![])).addresses();
        assert!(matches!(none, Err(BadSettings::NoUrl)));
        let mut settings = RedisSettings::new(Node::Single("rediss://host".to_owned()));
        settings.ca_file = Some("/does/not/exist".into());
        let absent = settings.addresses();
        assert!(matches!(absent, Err(BadSettings::Authorities(..))));
    }
}
