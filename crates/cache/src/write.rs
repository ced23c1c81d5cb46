//! The way in for writes: fence, commit, release; and what a write does that cannot tell the cache.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::{ALONE, Cache, NewestEntry, Place, name};
use crate::gate::COMMIT;
use crate::key::Key;
use crate::ledger::Epoch;
use crate::memory::Near;
use crate::read::Id;
use crate::remote::{Fault, Fence, Release, Remote, Token};
use crate::stats::{Operation, Outcome, Tier};

/// What a write does to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// What it holds changes.
    Changed(Key),
    /// A message goes on top of its list; without one (see [`Cache::value_format`]) the list changes like any other key.
    Appended(Key, Option<NewestEntry>),
}

impl Write {
    /// Of which key.
    pub const fn key(&self) -> Key {
        match self {
            Self::Changed(key) | Self::Appended(key, _) => *key,
        }
    }
}

/// How the transaction of a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionOutcome {
    /// It is true.
    Committed,
    /// It is not, and never will be.
    Aborted,
    /// The database did not say: it may still become true.
    Unknown,
}

/// A write whose keys are fenced, or that could not fence them.
#[derive(Debug)]
#[must_use = "a fence that is not released keeps its keys out of the cache for seconds"]
pub struct Fenced {
    writes: Vec<Write>,
    keys: Vec<Key>,
    token: Token,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// There is nothing that could be stale.
    Nothing,
    /// In this process.
    Near,
    /// In the shared tier, under this epoch.
    Shared(Arc<Epoch>),
    /// Nobody can be serving from a cache; if that still holds after the commit.
    Free,
    /// Not at all: rows tell it.
    Cut,
}

impl Fenced {
    /// What has to be written to the database in the same transaction: the keys, and whose fence it would have been.
    pub fn pending(&self) -> Option<(&[Key], Token)> {
        matches!(self.way, Way::Cut).then_some((&*self.keys, self.token))
    }
}

/// How often a writer looks whether its rows are gone.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a writer whose keys could not be released waits before it tries again to say so in the database.
const RETRY_AFTER: Duration = Duration::from_millis(100);

impl Cache {
    /// Before the commit: from now on nobody fills these keys, and there is no value. Never fails: what could not be fenced is
    /// told by rows.
    pub async fn fence(&self, writes: Vec<Write>) -> Fenced {
        let keys: Vec<Key> = writes.iter().map(Write::key).collect();
        let token = self.settings.token();
        let way = if writes.is_empty() {
            Way::Nothing
        } else {
            self.try_fence(&writes, token).await
        };
        Fenced {
            writes,
            keys,
            token,
            way,
        }
    }

    async fn try_fence(&self, writes: &[Write], token: Token) -> Way {
        if !self.keeps_a_gate() {
            return match &self.place {
                Place::Memory(near) => {
                    fence_near(near, writes, token);
                    Way::Near
                }
                Place::Off | Place::Shared { .. } => Way::Nothing,
            };
        }
        // Before the first drain, and after a long stop, the others do not know of us.
        if !self.gate.is_registered() {
            return Way::Cut;
        }
        match &self.place {
            Place::Shared { remote, .. } => match self.gate.epoch() {
                Some(epoch) => self.fence_shared(remote, epoch, writes, token).await,
                None => self.free_or_cut(),
            },
            Place::Memory(near) => {
                fence_near(near, writes, token);
                self.free_or_cut()
            }
            Place::Off => self.free_or_cut(),
        }
    }

    fn is_still_free(&self) -> bool {
        self.gate.is_free_for(Duration::ZERO) && self.gate.is_registered()
    }

    /// Whether a fence that was made some time before the commit still is what one made now would be. If not, it is to be
    /// released as aborted, and another one made.
    pub fn is_fence_valid(&self, fenced: &Fenced) -> bool {
        match &fenced.way {
            Way::Nothing | Way::Near | Way::Cut => true,
            Way::Shared(epoch) => self.is_shared_under(epoch),
            Way::Free => self.gate.is_free_for(COMMIT) && self.gate.is_registered(),
        }
    }

    fn is_shared_under(&self, epoch: &Epoch) -> bool {
        self.gate.is_open_under(epoch) && self.gate.is_registered()
    }

    fn free_or_cut(&self) -> Way {
        if self.gate.is_free_for(COMMIT) {
            Way::Free
        } else {
            Way::Cut
        }
    }

    async fn fence_shared(
        &self,
        remote: &Arc<dyn Remote>,
        epoch: Arc<Epoch>,
        writes: &[Write],
        token: Token,
    ) -> Way {
        let fences: Vec<(Key, Fence)> = writes
            .iter()
            .map(|write| match write {
                Write::Changed(key) | Write::Appended(key, None) => (*key, Fence::Delete),
                Write::Appended(key, Some(_)) => (*key, Fence::Mark),
            })
            .collect();
        let began = Instant::now();
        match remote.fence(&fences, &epoch, token).await {
            Ok(()) => Way::Shared(epoch),
            Err(fault) => {
                tracing::debug!(%fault, "a write could not be fenced");
                self.tell_invalidation(writes, Tier::Redis, Outcome::Error, began.elapsed());
                Way::Cut
            }
        }
    }

    /// After the commit: when this returns, no read that begins sees anything older.
    pub async fn release(&self, fenced: Fenced, ended: TransactionOutcome) {
        // What may still become true stays fenced until the database must have ended it.
        if ended == TransactionOutcome::Unknown {
            return;
        }
        let committed = ended == TransactionOutcome::Committed;
        let Fenced {
            writes,
            keys,
            token,
            way,
        } = fenced;
        if let Place::Memory(near) = &self.place
            && !matches!(way, Way::Nothing)
        {
            let began = Instant::now();
            self.release_near(near, &writes, token, committed);
            self.tell_invalidation(&writes, Tier::Memory, Outcome::Ok, began.elapsed());
        }
        match way {
            Way::Nothing | Way::Near => {}
            Way::Shared(epoch) => self.release_shared(&epoch, writes, token, committed).await,
            Way::Free if !committed || self.is_still_free() => {}
            // Somebody may have begun to serve since.
            Way::Free => self.tell_by_rows(&keys, token).await,
            Way::Cut if !committed => {}
            Way::Cut => self.wait_for_others(token).await,
        }
    }

    fn release_near(&self, near: &Near, writes: &[Write], token: Token, committed: bool) {
        for write in writes {
            match write {
                Write::Appended(key, Some(top)) if committed => {
                    let ttl = self.settings.ttl(key.kind());
                    let item = (top.sequence, top.element.clone());
                    near.release_list((*key, token), item, ALONE, ttl);
                }
                Write::Changed(key) | Write::Appended(key, _) => near.release(*key, token),
            }
        }
    }

    async fn release_shared(
        &self,
        epoch: &Epoch,
        writes: Vec<Write>,
        token: Token,
        committed: bool,
    ) {
        let Place::Shared { remote, .. } = &self.place else {
            return;
        };
        let began = Instant::now();
        let keys: Vec<Key> = writes.iter().map(Write::key).collect();
        let releases: Vec<(Key, Release)> = writes
            .iter()
            .map(|write| self.release_of(write, committed))
            .collect();
        let released = remote.release(&releases, epoch, token).await;
        let outcome = match &released {
            Ok(()) => Outcome::Ok,
            Err(fault) => {
                tracing::debug!(%fault, "a write could not be released");
                Outcome::Error
            }
        };
        self.tell_invalidation(&writes, Tier::Redis, outcome, began.elapsed());
        // Not the same as before the fence: another process may be the one that others read from by now.
        if committed && !(released.is_ok() && self.is_shared_under(epoch)) {
            self.tell_by_rows(&keys, token).await;
        }
    }

    fn release_of(&self, write: &Write, committed: bool) -> (Key, Release) {
        match write {
            Write::Appended(key, Some(top)) if committed => {
                let release = Release::Append {
                    sequence: top.sequence,
                    element: top.element.clone(),
                    ttl: self.settings.ttl(key.kind()),
                };
                (*key, release)
            }
            Write::Changed(key) | Write::Appended(key, _) => (*key, Release::Delete),
        }
    }

    /// The write is true and the cache does not know: rows say so now, and then it waits as if they had been there at once.
    async fn tell_by_rows(&self, keys: &[Key], token: Token) {
        while let Err(error) = self.ledger.add(keys, token).await {
            tracing::warn!(%error, "a write waits to tell the other instances; it is not acknowledged yet");
            tokio::time::sleep(RETRY_AFTER).await;
        }
        self.wait_for_others(token).await;
    }

    /// Waits until the rows of this write are gone, or nobody serves any more who had not seen them.
    async fn wait_for_others(&self, token: Token) {
        let served = loop {
            let asked = self.gate.now();
            match self.ledger.served_for().await {
                Ok(serving) => {
                    self.gate.observe(asked, serving.clock);
                    break self.gate.wait_for(serving.left);
                }
                Err(error) => {
                    tracing::warn!(%error, "a write waits for the other instances");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        };
        let passed = self.gate.now() + served;
        loop {
            let left = passed.saturating_duration_since(self.gate.now());
            if left.is_zero() || matches!(self.ledger.waits(token).await, Ok(false)) {
                return;
            }
            tokio::time::sleep(left.min(LOOK_EVERY)).await;
        }
    }

    fn tell_invalidation(&self, writes: &[Write], tier: Tier, outcome: Outcome, took: Duration) {
        let keys = writes.iter().map(Write::key);
        self.tell_invalidated(keys, tier, outcome, took);
    }

    pub(crate) fn tell_invalidated(
        &self,
        keys: impl Iterator<Item = Key>,
        tier: Tier,
        outcome: Outcome,
        took: Duration,
    ) {
        for key in keys {
            self.count((key.kind(), tier), Operation::Invalidate, outcome, took);
            if outcome == Outcome::Ok {
                tracing::debug!("Invalidated {} cache: {}", name(key.kind()), Id(key));
            }
        }
    }

    /// Makes these keys go, though nothing was written: for an operator.
    pub async fn invalidate(&self, keys: &[Key]) -> Result<(), Fault> {
        let (began, token) = (Instant::now(), self.settings.token());
        let (tier, done) = match &self.place {
            Place::Off => return Ok(()),
            Place::Memory(near) => {
                for key in keys {
                    near.release(*key, token);
                }
                (Tier::Memory, Ok(()))
            }
            Place::Shared { remote, .. } => {
                let epoch = self.served()?;
                let released = release_all(remote, &epoch, keys, token).await;
                (Tier::Redis, released)
            }
        };
        let outcome = done.as_ref().map_or(Outcome::Error, |()| Outcome::Ok);
        self.tell_invalidated(keys.iter().copied(), tier, outcome, began.elapsed());
        done
    }

    /// Makes all copies go, in every instance, also those of what has expired in Redis.
    pub async fn invalidate_copies(&self) -> Result<(), Fault> {
        match &self.place {
            Place::Off | Place::Memory(_) => Ok(()),
            Place::Shared { remote, .. } => {
                let (epoch, token) = (self.served()?, self.settings.token());
                release_all(remote, &epoch, &[Key::EVERYTHING], token).await
            }
        }
    }

    fn served(&self) -> Result<Arc<Epoch>, Fault> {
        let shut = || Fault::Away("the gate is shut, nothing is served".to_owned());
        self.gate.epoch().ok_or_else(shut)
    }
}

/// So many keys are released side by side.
const BATCH: usize = 256;

/// Releases keys by deletion, some at a time.
pub(crate) async fn release_all(
    remote: &Arc<dyn Remote>,
    epoch: &Epoch,
    keys: &[Key],
    token: Token,
) -> Result<(), Fault> {
    for some in keys.chunks(BATCH) {
        let releases: Vec<(Key, Release)> = some.iter().map(|k| (*k, Release::Delete)).collect();
        remote.release(&releases, epoch, token).await?;
    }
    Ok(())
}

fn fence_near(near: &Near, writes: &[Write], token: Token) {
    for write in writes {
        match write {
            Write::Changed(key) | Write::Appended(key, None) => near.fence(*key, token),
            Write::Appended(key, Some(_)) => near.fence_list(*key, token),
        }
    }
}
