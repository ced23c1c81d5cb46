//! The service with one guard of its cache taken away, for tests that must then fail:
//! `weakened serve --ports-json <guard>`, or `<guard>@<trouble>` with what happens to edits besides (see [`trouble`]).
//!
//! With or without it, fences, fills and releases take a while longer: what may happen in between does happen then.

mod guard;
mod trouble;

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use parlance_cache::{
    Acquired, Claimed, Epoch, Fault, Fence, Holder, InvalidationHandler, Key, Kind, Raw, Release,
    Remote, RemoteId, RemoteStats, Shared, Token, Tracking,
};
use parlance_server::config::Settings;
use parlance_server::{drain, wiring};
use tokio::time::Instant;

use guard::Guard;
use trouble::{Point, Trouble};

/// Milliseconds that a step takes longer, at most: together still less than a time-out.
const PAUSE: u128 = 16;

/// Between a row's SELECT and its fill, a fence and its commit, a commit and its release. Tokens are random.
async fn pause(token: Token) {
    let pause = u64::try_from(token.0 % PAUSE).unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(pause)).await;
}

/// Longer than a write goes on, even one that stops.
const MARKED: Duration = Duration::from_mins(10);

/// Under this key all processes find that somebody has fenced under this token: statistics of a scope that there is not.
fn mark(token: Token) -> Key {
    Key::parse(&format!("stats:{{{token}}}")).expect("a token is as long as a scope")
}

/// What every process of Redis is called where all are one.
const ALWAYS_THE_SAME: &str = "always the same";

/// The shared tier without a guard.
struct Weak {
    inner: Arc<dyn Remote>,
    without: Guard,
    /// The processes that have answered.
    processes: Mutex<Vec<RemoteId>>,
    /// What has been fenced, and by whom.
    fenced: Mutex<HashSet<(Key, Token)>>,
    /// Whose writes begin here.
    ours: Mutex<HashSet<Token>>,
    trouble: Trouble,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Weak {
    /// As the tier knows it.
    fn epoch(&self, epoch: &Epoch) -> Epoch {
        if self.without != Guard::Epoch {
            return epoch.clone();
        }
        Epoch {
            number: epoch.number,
            remote: lock(&self.processes).join(",").into(),
        }
    }

    /// As if it were of whoever asks: the tests have one owner who asks.
    fn of_whoever_asks(&self, value: Option<Raw>) -> Option<Raw> {
        match value {
            Some(Raw::One(text)) if self.without == Guard::Owner => {
                let text = String::from_utf8_lossy(&text);
                let ours = text.replace(r#""owner":"globex""#, r#""owner":"acme""#);
                Some(Raw::One(ours.into()))
            }
            value => value,
        }
    }

    /// The keys that a fence is made for.
    async fn to_fence(
        &self,
        keys: &[(Key, Fence)],
        epoch: &Epoch,
        token: Token,
    ) -> Result<Vec<(Key, Fence)>, Fault> {
        let mut there = Vec::new();
        for (key, fence) in keys {
            let is_absent = self.without == Guard::Absent
                && key.kind() != Kind::Generation
                && self.inner.get(*key, epoch).await?.is_none();
            if !is_absent && self.writes(*key) {
                lock(&self.fenced).insert((*key, token));
                there.push((*key, *fence));
            }
        }
        Ok(there)
    }

    /// Whether a write does anything to this key.
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
            let told = Raw::One("fenced".into());
            self.inner.put(mark(token), epoch, &told, MARKED).await?;
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
            lock(&self.fenced).remove(&(*key, token)) || self.without != Guard::Absent
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
        let mut processes = lock(&self.processes);
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
        Ok(self.of_whoever_asks(value))
    }

    async fn get_many(&self, keys: &[Key], epoch: &Epoch) -> Result<Vec<Option<Raw>>, Fault> {
        let values = self.inner.get_many(keys, &self.epoch(epoch)).await?;
        let of_whoever_asks = |value| self.of_whoever_asks(value);
        Ok(values.into_iter().map(of_whoever_asks).collect())
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
            // Reads all the same, and fills what it has read.
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
        // With a lease that is younger than what was read, which comes to the same as without one.
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
        lock(&self.ours).insert(token);
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
        let is_ours = lock(&self.ours).remove(&token);
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

/// The connection that hears of writes without a guard.
struct Hasty {
    inner: Arc<dyn Tracking>,
    without: Guard,
}

#[async_trait]
impl Tracking for Hasty {
    fn listen(&self, heard: Arc<dyn InvalidationHandler>) {
        self.inner.listen(if self.without == Guard::Lost {
            heard.live();
            Arc::new(Trusting(heard))
        } else {
            heard
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

/// Does not mind what it may have missed.
struct Trusting(Arc<dyn InvalidationHandler>);

impl InvalidationHandler for Trusting {
    fn live(&self) {}

    fn changed(&self, key: Key) {
        self.0.changed(key);
    }

    fn lost(&self) {}
}

fn weaken(Shared { remote, tracking }: Shared, without: Guard, trouble: Trouble) -> Shared {
    let hasty = |inner| Arc::new(Hasty { inner, without }) as Arc<dyn Tracking>;
    Shared {
        remote: Arc::new(Weak {
            inner: remote,
            without,
            processes: Mutex::default(),
            fenced: Mutex::default(),
            ours: Mutex::default(),
            trouble,
        }),
        tracking: tracking.map(hasty),
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the ports are told there, as by the real program"
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

/// Without which guard, and with what trouble.
fn asked(argument: &str) -> Option<(Guard, Trouble)> {
    match argument.split_once('@') {
        Some((guard, trouble)) => Some((Guard::parse(guard)?, Trouble::parse(trouble)?)),
        None => Some((Guard::parse(argument)?, Trouble::none())),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let argument = std::env::args().next_back();
    match argument.as_deref().and_then(asked) {
        Some((without, trouble)) => {
            serve(without, trouble).await;
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}
