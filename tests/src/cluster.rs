//! Three services with one database and one Redis, and for each service a proxy to each of the two.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::OnceLock;
use std::time::Duration;

use parlance_testkit::{Builder, Postgres, Proxy, Redis, TestDatabase, free_port};

use crate::{Caller, Service};

/// Number of services.
pub const INSTANCES: usize = 3;

/// The default stall limit in a cluster, in milliseconds. These tests do not test the limit itself.
const STALL_LIMIT_MS: &str = "10";

/// Longer than any call takes that is answered at all.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Services that share a database and a Redis.
#[derive(Debug)]
pub struct Cluster {
    /// The services. They keep their ports when they restart.
    pub services: Vec<Service>,
    /// Proxies to Redis. They mark the invalidation connections.
    pub proxies: Vec<Proxy>,
    /// Proxies to the database.
    pub databases: Vec<Proxy>,
    /// The Redis of the cluster.
    pub redis: Redis,
    // Last, so that the services are dropped first.
    _database: TestDatabase,
}

/// How a cluster is started.
#[derive(Debug)]
pub struct Plan {
    /// A Redis of its own.
    pub redis: Redis,
    /// Starts a proxy to the database.
    pub to_database: fn(SocketAddr) -> Proxy,
    /// An instance without a connection to Redis from the beginning.
    pub without_redis: Option<usize>,
}

impl Plan {
    /// The usual plan with this Redis.
    pub fn over(redis: Redis) -> Self {
        Self {
            redis,
            to_database: Proxy::start,
            without_redis: None,
        }
    }

    /// Starts all services, each with settings of its own.
    pub async fn start(self, settings: impl Fn(usize, Builder) -> Builder) -> Cluster {
        let Self {
            redis,
            to_database,
            without_redis,
        } = self;
        let database = Postgres::shared().create_database().await;
        learn_versions(&redis, &database).await;
        let (base, upstream) = Base::of(&database.url);
        let proxies: Vec<Proxy> = (0..INSTANCES)
            .map(|_| Proxy::start_marking(address(&redis), "TRACKING"))
            .collect();
        if let Some(instance) = without_redis {
            proxies[instance].cut();
        }
        let databases: Vec<Proxy> = (0..INSTANCES).map(|_| to_database(upstream)).collect();
        let starting = proxies.iter().zip(&databases).enumerate();
        let starting = starting.map(|(number, (to_redis, to_database))| {
            let redis_url = format!("redis://{}/", to_redis.address());
            let database_url = base.through(to_database.address());
            let builder = &settings;
            async move {
                let change = move |given: Builder| {
                    let given = given
                        .env("CACHE_PATIENCE_MS", STALL_LIMIT_MS)
                        .redis_url(redis_url)
                        .env("GRPC_LISTEN", port())
                        .env("HTTP_LISTEN", port());
                    builder(number, given)
                };
                Service::over(&database_url, change).await
            }
        });
        Cluster {
            services: futures_util::future::join_all(starting).await,
            proxies,
            databases,
            redis,
            _database: database,
        }
    }
}

/// URL of a database without its address.
struct Base {
    before: String,
    after: String,
}

impl Base {
    /// Splits a URL, and returns the address as well.
    fn of(url: &str) -> (Self, SocketAddr) {
        let authority = url.find("://").map_or(0, |at| at + "://".len());
        let end = url[authority..]
            .find('/')
            .map_or(url.len(), |at| authority + at);
        let host = url[authority..end]
            .rfind('@')
            .map_or(authority, |at| authority + at + 1);
        let address = url[host..end].to_socket_addrs();
        let address = address.or_else(|_| (&url[host..end], 5432).to_socket_addrs());
        let address = address.ok().and_then(|mut all| all.next());
        let base = Self {
            before: url[..host].to_owned(),
            after: url[end..].to_owned(),
        };
        (base, address.expect("a database has an address"))
    }

    fn through(&self, proxy: SocketAddr) -> String {
        format!("{}{proxy}{}", self.before, self.after)
    }
}

static VERSIONS: OnceLock<String> = OnceLock::new();

/// Versions of what a cluster of this process runs on; figures mean little without them.
pub fn versions() -> &'static str {
    VERSIONS.get().map_or("", String::as_str)
}

/// Queries the versions, once.
pub async fn learn_versions(redis: &Redis, database: &TestDatabase) {
    if VERSIONS.get().is_some() {
        return;
    }
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let versions = format!(
        "Redis {}, Postgres {}, Linux {}",
        redis_version(redis).await.unwrap_or_default(),
        postgres_version(database).await.unwrap_or_default(),
        kernel.trim()
    );
    // A concurrent caller has set the same value.
    let _ = VERSIONS.set(versions);
}

async fn redis_version(redis: &Redis) -> redis::RedisResult<String> {
    let client = redis::Client::open(redis.url())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO")
        .arg("server")
        .query_async(&mut connection)
        .await?;
    let version = info
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"));
    Ok(version.unwrap_or_default().to_owned())
}

async fn postgres_version(database: &TestDatabase) -> Result<String, tokio_postgres::Error> {
    let (client, connection) =
        tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let row = client.query_one("SHOW server_version", &[]).await?;
    row.try_get(0)
}

/// Address of a Redis.
pub fn address(redis: &Redis) -> SocketAddr {
    let url = redis.url().trim_start_matches("redis://");
    let address = url.trim_end_matches('/').parse();
    address.expect("a throw-away Redis has an address")
}

/// A fixed address, which a service keeps when it restarts, so that clients can reconnect.
fn port() -> String {
    format!("127.0.0.1:{}", free_port())
}

impl Cluster {
    /// Starts the services with a new Redis.
    pub async fn start(settings: impl Fn(Builder) -> Builder) -> Self {
        Self::start_over(Redis::start(), settings).await
    }

    /// Starts the services with this Redis.
    pub async fn start_over(redis: Redis, settings: impl Fn(Builder) -> Builder) -> Self {
        let plan = Plan::over(redis);
        plan.start(|_, builder| settings(builder)).await
    }

    /// Connects every instance to another Redis; open connections break.
    pub fn redirect_to(&self, redis: &Redis) {
        for proxy in &self.proxies {
            proxy.redirect_to(address(redis));
            proxy.cut();
            proxy.heal();
        }
    }

    /// One caller at each service, all of the same owner.
    pub fn callers(&self, owner: &str) -> Vec<Caller> {
        let at = |service| {
            Caller::as_owner(service, owner).reconnected(|endpoint| endpoint.timeout(DEADLINE))
        };
        self.services.iter().map(at).collect()
    }
}
