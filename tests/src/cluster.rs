//! Three services, one database, one Redis, and a proxy before Redis for each service.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use parlance_testkit::{Builder, Postgres, Proxy, Redis, TestDatabase, free_port};

use crate::{Caller, Service};

/// How many services.
pub const INSTANCES: usize = 3;

/// Longer than any answer takes that comes at all.
const DEADLINE: Duration = Duration::from_mins(1);

/// Services that share what they keep.
#[derive(Debug)]
pub struct Cluster {
    /// They keep their ports when they start again.
    pub services: Vec<Service>,
    /// They mark the connections that hear of writes.
    pub proxies: Vec<Proxy>,
    /// What they share.
    pub redis: Redis,
    // Last: the services go first.
    _database: TestDatabase,
}

/// Where a Redis listens.
pub fn address(redis: &Redis) -> SocketAddr {
    let url = redis.url().trim_start_matches("redis://");
    let address = url.trim_end_matches('/').parse();
    address.expect("a throw-away Redis has an address")
}

/// One that a service keeps when it starts again, so that callers find it. Nobody listens there before the service does, so those
/// that start side by side must not be told the same.
fn port() -> String {
    static TOLD: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = free_port();
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(port) {
            return format!("127.0.0.1:{port}");
        }
    }
}

impl Cluster {
    /// All of them serve.
    pub async fn start(settings: impl Fn(Builder) -> Builder) -> Self {
        Self::start_over(Redis::start(), settings).await
    }

    /// The same with this Redis.
    pub async fn start_over(redis: Redis, settings: impl Fn(Builder) -> Builder) -> Self {
        let database = Postgres::shared().create_database().await;
        let proxies: Vec<Proxy> = (0..INSTANCES)
            .map(|_| Proxy::start_marking(address(&redis), "TRACKING"))
            .collect();
        let starting = proxies.iter().map(|proxy| {
            let url = format!("redis://{}/", proxy.address());
            let builder = &settings;
            Service::over(&database.url, move |given| {
                builder(given)
                    .redis_url(url)
                    .env("GRPC_LISTEN", port())
                    .env("HTTP_LISTEN", port())
            })
        });
        Self {
            services: futures_util::future::join_all(starting).await,
            proxies,
            redis,
            _database: database,
        }
    }

    /// Puts every instance before another Redis: connections that are open break.
    pub fn lead_to(&self, redis: &Redis) {
        for proxy in &self.proxies {
            proxy.lead_to(address(redis));
            proxy.cut();
            proxy.heal();
        }
    }

    /// One at each service, of the same owner.
    pub fn callers(&self, owner: &str) -> Vec<Caller> {
        let at = |service| {
            Caller::as_owner(service, owner).reconnected(|endpoint| endpoint.timeout(DEADLINE))
        };
        self.services.iter().map(at).collect()
    }
}
