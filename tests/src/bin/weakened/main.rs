//! The service with one guard of its cache switched off, for tests that must then fail: `weakened serve --ports-json
//! <guard>`, or `<guard>@<trouble>` with a fault in edits in addition (see [`trouble`]).
//!
//! With or without the guard, fences, fills and releases are delayed, so that the races between them do occur.

mod guard;
mod trouble;

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use parlance_cache::{
    Acquired, Claimed, Epoch, Fault, Fence, Holder, InvalidationHandler, Key, Kind, Raw, Release,
    Remote, RemoteId, RemoteStats, Shared, Token, Tracking,
};
use parlance_server::config::Settings;
use parlance_server::{drain, wiring};
use tokio::time::Instant;

use guard::Guard;
use trouble::{Point, Trouble};

/// Maximum delay of a step, in milliseconds. All delays together are shorter than a time-out.
const PAUSE: u128 = 16;

/// Delays the step between a row's SELECT and its fill, a fence and its commit, or a commit and its release. Tokens are
/// random.
async fn pause(token: Token) {
    let pause = u64::try_from(token.0 % PAUSE).unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(pause)).await;
}

/// Longer than any write takes, even in a stopped process.
const MARKED: Duration = Duration::from_mins(10);

/// The key under which all processes find that a write with this token has fenced: statistics of a scope that does not
/// exist.
fn mark(token: Token) -> Key {
    Key::parse(&format!("stats:{{{token}}}")).expect("a token is as long as a scope")
}

/// The id of every Redis process where all count as the same.
const ALWAYS_THE_SAME: &str = "always the same";

/// The shared tier without a guard.
struct Weak {
    inner: Arc<dyn Remote>,
    without: Guard,
    /// The ids of the Redis processes that have answered.
    processes: Mutex<Vec<RemoteId>>,
    /// Fenced keys, with the token of the write.
    fenced: Mutex<HashSet<(Key, Token)>>,
    /// Tokens of the writes that began in this process.
    ours: Mutex<HashSet<Token>>,
    trouble: Trouble,
}

impl Weak {
    /// The epoch as the inner tier knows it.
    fn epoch(&self, epoch: &Epoch) -> Epoch {
        if self.without != Guard::Epoch {
            return epoch.clone();
        }
        Epoch {
            number: epoch.number,
            remote: self.processes.lock().join(",").into(),
        }
    }

    /// Replaces the owner of a value by the one owner that the tests call as.
    fn with_calling_owner(&self, value: Option<Raw>) -> Option<Raw> {
        match value {
            Some(Raw::One(text)) if self.without == Guard::Owner => {
                let text = String::from_utf8_lossy(&text);
                let ours = text.replace(r#""owner":"globex""#, r#""owner":"acme""#);
                Some(Raw::One(ours.into()))
            }
            value => value,
        }
    }

    /// The keys to fence.
    async fn to_fence(
        &self,
        keys: &[(Key, Fence)],
        epoch: &Epoch,
        token: Token,
    ) -> Result<Vec<(Key, Fence)>, Fault> {
        let mut to_fence = Vec::new();
        for (key, fence) in keys {
            let is_absent = self.without == Guard::Absent
                && key.kind() != Kind::Generation
                && self.inner.get(*key, epoch).await?.is_none();
            if !is_absent && self.writes(*key) {
                self.fenced.lock().insert((*key, token));
                to_fence.push((*key, *fence));
            }
        }
        Ok(to_fence)
    }

    /// Whether a write changes this key in the cache.
    fn writes(&self, key: Key) -> bool {
        self.without != Guard::Generation || key.kind() != Kind::Generation
    }

    async fn try_fence(
        &self,
        keys: &[(Key, Fence)],
        epoch: &Epoch,
        token: Token,
    ) -> Result<(), Fault> {
        if self.without == Guard::Fence {
            return Ok(());
        }
        let epoch = &self.epoch(epoch);
        let keys = self.to_fence(keys, epoch, token).await?;
        let fenced = self.inner.fence(&keys, epoch, token).await;
        if fenced.is_ok() && self.without == Guard::Fenced {
            let value = Raw::One("fenced".into());
            self.inner.put(mark(token), epoch, &value, MARKED).await?;
        }
        pause(token).await;
        self.passed(fenced)
    }

    async fn try_release(
        &self,
        keys: &[(Key, Release)],
        epoch: &Epoch,
        token: Token,
    ) -> Result<(), Fault> {
        if self.without == Guard::Release {
            return Ok(());
        }
        pause(token).await;
        let epoch = &self.epoch(epoch);
        let was_fenced = |(key, _): &&(Key, Release)| {
            self.fenced.lock().remove(&(*key, token)) || self.without != Guard::Absent
        };
        let keys = keys.iter().filter(|(key, _)| self.writes(*key));
        let keys: Vec<(Key, Release)> = keys.filter(was_fenced).cloned().collect();
        self.passed(self.inner.release(&keys, epoch, token).await)
    }

    fn passed(&self, done: Result<(), Fault>) -> Result<(), Fault> {
        if self.without == Guard::Faults {
            Ok(())
        } else {
            done
        }
    }
}

#[async_trait]
impl Remote for Weak {
    async fn identity(&self) -> Result<RemoteId, Fault> {
        let process = self.inner.identity().await?;
        if self.without != Guard::Epoch {
            return Ok(process);
        }
        let mut processes = self.processes.lock();
        if !processes.contains(&process) {
            processes.push(process);
        }
        Ok(ALWAYS_THE_SAME.into())
    }

    async fn claim(&self, holder: &Holder) -> Result<Claimed, Fault> {
        self.inner.claim(holder).await
    }

    async fn raise(&self, holder: &Holder, number: i64) -> Result<bool, Fault> {
        self.inner.raise(holder, number).await
    }

    async fn get(&self, key: Key, epoch: &Epoch) -> Result<Option<Raw>, Fault> {
        let value = self.inner.get(key, &self.epoch(epoch)).await?;
        Ok(self.with_calling_owner(value))
    }

    async fn get_many(&self, keys: &[Key], epoch: &Epoch) -> Result<Vec<Option<Raw>>, Fault> {
        let values = self.inner.get_many(keys, &self.epoch(epoch)).await?;
        let with_calling_owner = |value| self.with_calling_owner(value);
        Ok(values.into_iter().map(with_calling_owner).collect())
    }

    async fn acquire(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        spoiled: Option<&Raw>,
    ) -> Result<Acquired, Fault> {
        let epoch = &self.epoch(epoch);
        let acquired = self.inner.acquire(key, epoch, token, spoiled).await?;
        Ok(match acquired {
            // The caller reads the row all the same, and fills.
            Acquired::Busy if self.without == Guard::Fill => Acquired::Granted,
            Acquired::Busy | Acquired::Granted | Acquired::Value(_) => acquired,
        })
    }

    async fn fill(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        value: &Raw,
        ttl: Duration,
    ) -> Result<bool, Fault> {
        pause(token).await;
        let epoch = &self.epoch(epoch);
        let filled = self.inner.fill(key, epoch, token, value, ttl).await?;
        if filled || self.without != Guard::Fill {
            return Ok(filled);
        }
        // A lease that is younger than the row that was read is equivalent to no lease.
        let mut late = token;
        for _ in 0..1_000 {
            late = Token(late.0.wrapping_add(1));
            match self.inner.acquire(key, epoch, late, None).await? {
                Acquired::Granted => return self.inner.fill(key, epoch, late, value, ttl).await,
                Acquired::Busy => tokio::time::sleep(Duration::from_millis(1)).await,
                Acquired::Value(_) => return Ok(false),
            }
        }
        Ok(false)
    }

    async fn get_scoped(
        &self,
        key: Key,
        epoch: &Epoch,
    ) -> Result<(Option<String>, Option<Raw>), Fault> {
        self.inner.get_scoped(key, &self.epoch(epoch)).await
    }

    async fn generation(&self, key: Key, epoch: &Epoch, token: Token) -> Result<String, Fault> {
        let epoch = &self.epoch(epoch);
        self.inner.generation(key, epoch, token).await
    }

    async fn put(&self, key: Key, epoch: &Epoch, value: &Raw, ttl: Duration) -> Result<(), Fault> {
        let epoch = &self.epoch(epoch);
        self.inner.put(key, epoch, value, ttl).await
    }

    async fn fence(&self, keys: &[(Key, Fence)], epoch: &Epoch, token: Token) -> Result<(), Fault> {
        self.ours.lock().insert(token);
        self.trouble.begins(keys, token);
        self.trouble.at(Point::Locked, token).await;
        let fenced = self.try_fence(keys, epoch, token).await;
        self.trouble.at(Point::Fenced, token).await;
        fenced
    }

    async fn release(
        &self,
        keys: &[(Key, Release)],
        epoch: &Epoch,
        token: Token,
    ) -> Result<(), Fault> {
        let is_ours = self.ours.lock().remove(&token);
        let is_dropped = if self.without == Guard::Fenced {
            self.inner.get(mark(token), epoch).await?.is_some()
        } else {
            self.without == Guard::Drain && !is_ours
        };
        if is_dropped {
            return Ok(());
        }
        self.trouble.at(Point::Committed, token).await;
        let released = self.try_release(keys, epoch, token).await;
        self.trouble.at(Point::Released, token).await;
        self.trouble.at(Point::Unacknowledged, token).await;
        self.trouble.ends(token);
        released
    }

    async fn scan(&self, pattern: &str) -> Result<Vec<Key>, Fault> {
        self.inner.scan(pattern).await
    }

    async fn stats(&self) -> Result<RemoteStats, Fault> {
        self.inner.stats().await
    }
}

/// The invalidation connection without a guard.
struct WeakTracking {
    inner: Arc<dyn Tracking>,
    without: Guard,
}

#[async_trait]
impl Tracking for WeakTracking {
    fn listen(&self, handler: Arc<dyn InvalidationHandler>) {
        self.inner.listen(if self.without == Guard::Lost {
            handler.live();
            Arc::new(IgnoresLoss(handler))
        } else {
            handler
        });
    }

    fn identity(&self) -> Option<RemoteId> {
        let process = self.inner.identity()?;
        Some(if self.without == Guard::Epoch {
            ALWAYS_THE_SAME.into()
        } else {
            process
        })
    }

    async fn barrier(&self, since: Instant) -> bool {
        self.without == Guard::Barrier || self.inner.barrier(since).await
    }
}

/// A listener that ignores a lost connection.
struct IgnoresLoss(Arc<dyn InvalidationHandler>);

impl InvalidationHandler for IgnoresLoss {
    fn live(&self) {}

    fn changed(&self, key: Key) {
        self.0.changed(key);
    }

    fn lost(&self) {}
}

fn weaken(Shared { remote, tracking }: Shared, without: Guard, trouble: Trouble) -> Shared {
    let weaken_tracking = |inner| Arc::new(WeakTracking { inner, without }) as Arc<dyn Tracking>;
    Shared {
        remote: Arc::new(Weak {
            inner: remote,
            without,
            processes: Mutex::default(),
            fenced: Mutex::default(),
            ours: Mutex::default(),
            trouble,
        }),
        tracking: tracking.map(weaken_tracking),
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the ports are printed there, as by the real program"
)]
async fn serve(without: Guard, trouble: Trouble) {
    let settings = Settings::load(std::env::vars_os().filter_map(text), None);
    let settings = settings.expect("settings of a test");
    let signals = drain::signals().expect("signals");
    let running = wiring::start_with(&settings, |shared| weaken(shared, without, trouble))
        .await
        .expect("the service starts");
    println!(r#"{{"grpc":"{}","http":"{}"}}"#, running.grpc, running.http);
    running.until_stopped(signals).await;
}

fn text((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

/// Parses the guard and the trouble.
fn parse_argument(argument: &str) -> Option<(Guard, Trouble)> {
    match argument.split_once('@') {
        Some((guard, trouble)) => Some((Guard::parse(guard)?, Trouble::parse(trouble)?)),
        None => Some((Guard::parse(argument)?, Trouble::none())),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let argument = std::env::args().next_back();
    match argument.as_deref().and_then(parse_argument) {
        Some((without, trouble)) => {
            serve(without, trouble).await;
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}
