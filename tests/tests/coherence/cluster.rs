//! Three services, one database, one Redis, and a proxy before Redis for each service.

use std::net::SocketAddr;
use std::time::Duration;

use parlance_testkit::{Builder, Postgres, Proxy, Redis, TestDatabase, free_port};
use parlance_tests::{Caller, Service};

pub(crate) const INSTANCES: usize = 3;

/// Longer than any answer takes that comes at all.
const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) struct Cluster {
    pub(crate) services: Vec<Service>,
    /// They mark the connections that hear of writes.
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) redis: Redis,
    // Last: the services go first.
    _database: TestDatabase,
}

/// Where a Redis listens.
pub(crate) fn address(redis: &Redis) -> SocketAddr {
    let url = redis.url().trim_start_matches("redis://");
    let address = url.trim_end_matches('/').parse();
    address.expect("a throw-away Redis has an address")
}

/// One that a service keeps when it starts again, so that callers find it.
fn port() -> String {
    format!("127.0.0.1:{}", free_port())
}

impl Cluster {
    /// All of them serve.
    pub(crate) async fn start(settings: impl Fn(Builder) -> Builder) -> Self {
        Self::start_over(Redis::start(), settings).await
    }

    /// The same with this Redis.
    pub(crate) async fn start_over(redis: Redis, settings: impl Fn(Builder) -> Builder) -> Self {
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
    pub(crate) fn lead_to(&self, redis: &Redis) {
        for proxy in &self.proxies {
            proxy.lead_to(address(redis));
            proxy.cut();
            proxy.heal();
        }
    }

    /// One at each service, of the same owner.
    pub(crate) fn callers(&self, owner: &str) -> Vec<Caller> {
        let at = |service| {
            Caller::as_owner(service, owner).reconnected(|endpoint| endpoint.timeout(DEADLINE))
        };
        self.services.iter().map(at).collect()
    }
}
