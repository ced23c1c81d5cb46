//! The protocols that ours is compared with, as decorators around the shared tier. They exist only in this program.
//!
//! They know no epochs: they use whichever Redis answers, and ignore what fails. The remaining part of our protocol,
//! the gate by the clock of the database after a long stop, does not weaken them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::RwLock;
use parlance_cache::{
    Acquired, Claimed, Epoch, Fault, Fence, Holder, InvalidationHandler, Key, Raw, Release, Remote,
    RemoteId, RemoteStats, Shared, Token, Tracking,
};
use parlance_server::config::Settings;
use parlance_server::{drain, wiring};
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

/// A protocol that ours is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rival {
    /// A fill is an unconditional SET; a write deletes the key after its commit.
    CacheAside,
    /// A fill needs a lease, which a write deletes together with the value after its commit; as in rockscache.
    Rockscache,
    /// As the first, with one plain `DEL` of all keys, of which the in-process copies are not notified. The cost of
    /// coherence is measured against it, with values in Redis alone.
    Delete,
}

impl Rival {
    pub(crate) const ALL: [Self; 3] = [Self::CacheAside, Self::Rockscache, Self::Delete];

    /// Name on the command line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::CacheAside => "cache-aside",
            Self::Rockscache => "rockscache",
            Self::Delete => "delete",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rival| rival.as_str() == text)
    }
}

/// The id that every Redis is given.
fn any() -> RemoteId {
    RemoteId::from("any")
}

/// The shared tier under another protocol.
struct Tier {
    inner: Arc<dyn Remote>,
    rival: Rival,
    /// The Redis that answered last.
    answering: RwLock<RemoteId>,
    /// The connection of [`Rival::Delete`], which uses no scripts.
    plain: Option<MultiplexedConnection>,
}

impl Tier {
    /// The epoch as the inner tier knows it.
    fn inner_epoch(&self, epoch: &Epoch) -> Epoch {
        Epoch {
            number: epoch.number,
            remote: Arc::clone(&self.answering.read()),
        }
    }

    async fn look(&self) {
        if let Ok(found) = self.inner.identity().await {
            *self.answering.write() = found;
        }
    }

    /// Whether a Redis answers that was not known before; it is then the known one.
    async fn has_moved<T>(&self, answer: &Result<T, Fault>) -> bool {
        let moved = matches!(answer, Err(Fault::Elsewhere));
        if moved {
            self.look().await;
        }
        moved
    }
}

/// Calls the inner tier, and calls it again if another Redis answers than before.
macro_rules! with_current_redis {
    ($self:ident, $epoch:ident => $call:expr) => {{
        let $epoch = &$self.inner_epoch($epoch);
        let answer = $call.await;
        if $self.has_moved(&answer).await {
            let $epoch = &$self.inner_epoch($epoch);
            $call.await
        } else {
            answer
        }
    }};
}

#[async_trait]
impl Remote for Tier {
    async fn identity(&self) -> Result<RemoteId, Fault> {
        self.look().await;
        Ok(any())
    }

    async fn claim(&self, _: &Holder) -> Result<Claimed, Fault> {
        Ok(Claimed::Held { marker: Some(0) })
    }

    async fn raise(&self, _: &Holder, _: i64) -> Result<bool, Fault> {
        Ok(true)
    }

    async fn get(&self, key: Key, epoch: &Epoch) -> Result<Option<Raw>, Fault> {
        with_current_redis!(self, epoch => self.inner.get(key, epoch))
    }

    async fn get_many(&self, keys: &[Key], epoch: &Epoch) -> Result<Vec<Option<Raw>>, Fault> {
        with_current_redis!(self, epoch => self.inner.get_many(keys, epoch))
    }

    async fn acquire(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        spoiled: Option<&Raw>,
    ) -> Result<Acquired, Fault> {
        match self.rival {
            Rival::CacheAside | Rival::Delete => Ok(Acquired::Granted),
            Rival::Rockscache => {
                with_current_redis!(self, epoch => self.inner.acquire(key, epoch, token, spoiled))
            }
        }
    }

    async fn fill(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        value: &Raw,
        ttl: Duration,
    ) -> Result<bool, Fault> {
        match (self.rival, value) {
            (Rival::CacheAside | Rival::Delete, Raw::One(_)) => {
                with_current_redis!(self, epoch => self.inner.put(key, epoch, value, ttl))?;
                Ok(true)
            }
            // A list cannot be put, so it is not stored.
            (Rival::CacheAside | Rival::Delete, Raw::List(_)) => Ok(false),
            (Rival::Rockscache, _) => {
                with_current_redis!(self, epoch => self.inner.fill(key, epoch, token, value, ttl))
            }
        }
    }

    async fn get_scoped(
        &self,
        key: Key,
        epoch: &Epoch,
    ) -> Result<(Option<String>, Option<Raw>), Fault> {
        with_current_redis!(self, epoch => self.inner.get_scoped(key, epoch))
    }

    async fn generation(&self, key: Key, epoch: &Epoch, token: Token) -> Result<String, Fault> {
        with_current_redis!(self, epoch => self.inner.generation(key, epoch, token))
    }

    async fn put(&self, key: Key, epoch: &Epoch, value: &Raw, ttl: Duration) -> Result<(), Fault> {
        with_current_redis!(self, epoch => self.inner.put(key, epoch, value, ttl))
    }

    /// No action before the commit.
    async fn fence(&self, _: &[(Key, Fence)], _: &Epoch, _: Token) -> Result<(), Fault> {
        Ok(())
    }

    /// Deletes the value and its lease after the commit; a failure is ignored.
    async fn release(
        &self,
        keys: &[(Key, Release)],
        epoch: &Epoch,
        token: Token,
    ) -> Result<(), Fault> {
        if let Some(plain) = &self.plain {
            let mut del = redis::cmd("DEL");
            del.arg(
                keys.iter()
                    .map(|(key, _)| key.to_string())
                    .collect::<Vec<_>>(),
            );
            let _ = del.exec_async(&mut plain.clone()).await;
        } else {
            let _ = with_current_redis!(self, epoch => self.inner.release(keys, epoch, token));
        }
        Ok(())
    }

    async fn scan(&self, pattern: &str) -> Result<Vec<Key>, Fault> {
        self.inner.scan(pattern).await
    }

    async fn stats(&self) -> Result<RemoteStats, Fault> {
        self.inner.stats().await
    }
}

/// The invalidation connection, to whichever Redis answers.
struct AnyRedisListener(Arc<dyn Tracking>);

#[async_trait]
impl Tracking for AnyRedisListener {
    fn listen(&self, handler: Arc<dyn InvalidationHandler>) {
        self.0.listen(handler);
    }

    fn identity(&self) -> Option<RemoteId> {
        self.0.identity().map(|_| any())
    }

    async fn barrier(&self, since: Instant) -> bool {
        self.0.barrier(since).await
    }
}

fn decorate(
    Shared { remote, tracking }: Shared,
    rival: Rival,
    plain: Option<MultiplexedConnection>,
) -> Shared {
    Shared {
        remote: Arc::new(Tier {
            inner: remote,
            rival,
            answering: RwLock::new(any()),
            plain,
        }),
        tracking: tracking
            .map(|tracking| Arc::new(AnyRedisListener(tracking)) as Arc<dyn Tracking>),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a connection in addition to those of the settings"
)]
async fn connect() -> MultiplexedConnection {
    let url = std::env::var("REDIS_URL").expect("a Redis");
    let client = redis::Client::open(url).expect("the URL of a Redis");
    let connection = client.get_multiplexed_async_connection().await;
    connection.expect("a Redis that answers")
}

/// Runs the service under another protocol until it is asked to stop.
#[expect(
    clippy::print_stdout,
    reason = "the ports are printed there, as by the real program"
)]
pub(crate) async fn serve(rival: Rival) {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let settings = Settings::load(std::env::vars_os().filter_map(text), None);
    let settings = settings.expect("settings of a test");
    let signals = drain::signals().expect("signals");
    let plain = match rival {
        Rival::Delete => Some(connect().await),
        Rival::CacheAside | Rival::Rockscache => None,
    };
    let running = wiring::start_with(&settings, |shared| decorate(shared, rival, plain))
        .await
        .expect("the service starts");
    println!(r#"{{"grpc":"{}","http":"{}"}}"#, running.grpc, running.http);
    running.until_stopped(signals).await;
}
