//! Where Redis is, and how it is spoken to.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{
    Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates, parse_redis_url,
};

/// Where Redis is: `redis://` or `rediss://`, with user, password and number of the database where there are any.
#[derive(Clone)]
pub enum Node {
    /// One server, or what leads to the one that is in charge.
    Single(String),
    /// Some of the nodes of a cluster; the others are asked for. All take the first one's user and password.
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

/// Where a URL of Redis leads, without what may be secret: made from its parts as the driver reads them.
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
    // The number of a database, and nothing else.
    let database = url.path().trim_start_matches('/').parse::<u16>();
    let database = database.map(|number| format!("/{number}"));
    format!(
        "{}://{login}{host}{}{}",
        url.scheme(),
        port.unwrap_or_default(),
        database.unwrap_or_default()
    )
}

/// Whether it is clear where user and password end: one of `/`, `?` and `#` that a password holds as it is ends them too early.
pub fn is_clear(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let mut parts = rest.splitn(2, ['/', '?', '#']);
    parts.next();
    parts.next().is_none_or(|after| !after.contains('@'))
}

/// Whether the driver reads the whole URL: it ignores a path that is no number of a database, and parameters that it does not know.
pub fn is_readable(url: &str) -> bool {
    let Some(parsed) = parse_redis_url(url) else {
        return false;
    };
    let database = parsed.path().trim_start_matches('/');
    let is_number = database.is_empty() || database.parse::<u16>().is_ok();
    let is_known = parsed.query_pairs().all(|(name, _)| name == "protocol");
    is_number && is_known && address(url, None).is_ok()
}

/// How Redis is spoken to.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Where it is.
    pub node: Node,
    /// A PEM file of the authorities that vouch for it, in place of those of the web.
    pub ca_file: Option<PathBuf>,
    /// How long a call may take.
    pub timeout: Duration,
    /// Connections to each node.
    pub connections: usize,
    /// The longest list.
    pub max_list: usize,
}

impl RedisSettings {
    /// The defaults.
    pub const fn new(node: Node) -> Self {
        Self {
            node,
            ca_file: None,
            timeout: Duration::from_millis(50),
            connections: 1,
            max_list: 50,
        }
    }

    /// What to connect to, all of it.
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

/// Settings that can lead nowhere. Tells nothing that may be secret.
#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    /// There is no URL.
    #[error("no URL of Redis is given")]
    NoUrl,
    /// It is no URL.
    #[error("the URL of Redis is not like redis://user:password@host:port/0 or rediss://...")]
    Url,
    /// It leads through a socket in the file system, where there is no host to speak of.
    #[error("Redis is reached by host and port only")]
    Socket,
    /// The authorities cannot be read.
    #[error("the authorities of Redis in {0} cannot be read: {1}")]
    Authorities(PathBuf, String),
    /// They are given, but would not be asked.
    #[error(
        "authorities are given, but the URL of Redis begins with redis://, so nothing would be encrypted"
    )]
    Plain,
    /// A cluster has no one connection that hears of every write.
    #[error("a cluster of Redis cannot be listened to")]
    Tracking,
}

fn authorities(path: &Path) -> Result<Vec<u8>, BadSettings> {
    let bad = |why: String| BadSettings::Authorities(path.to_owned(), why);
    let pem = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
    let begins = b"-----BEGIN CERTIFICATE-----";
    if pem.windows(begins.len()).any(|window| window == begins) {
        Ok(pem)
    } else {
        Err(bad("there is no certificate in it".to_owned()))
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
    fn what_leads_nowhere_is_an_error() {
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
