//! The auditor of lists, statistics and searches. A key does not reveal its query, so an answer is compared when it
//! is served, by the request that has the query: for some of the hits the database is queried again, after the
//! response.
//!
//! The rows are read first, then the value. A difference is only a suspicion: a write may have been committed but not
//! released yet, and until then the old answer is valid. So it counts only if, after any such write must have ended,
//! the rows are unchanged and the value still exists under the same generation: then no write began or ended in
//! between.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parlance_cache::{Cache, Codec, Key};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::audited::{Audited, Finding};

/// One hit of this many is compared.
const EVERY: u64 = 64;
/// Comparisons between two rounds of the auditor, to limit the load of the database.
const MAX_PER_ROUND: u64 = 32;
/// A write is released, or waited for, within little more than a second of its commit. A write that takes longer died
/// or was stopped in between and is not acknowledged.
pub(crate) const SETTLE_TIME: Duration = Duration::from_secs(3);

/// Selects the answers to compare.
#[derive(Debug)]
pub(crate) struct AnswerAudits {
    hits: AtomicU64,
    /// Comparisons left until the next round; always zero without an auditor.
    left: AtomicU64,
    /// Permit for one comparison at a time.
    permit: Arc<Semaphore>,
}

impl Default for AnswerAudits {
    fn default() -> Self {
        Self {
            hits: AtomicU64::new(0),
            left: AtomicU64::new(0),
            permit: Arc::new(Semaphore::new(1)),
        }
    }
}

impl AnswerAudits {
    /// Begins a round of the auditor.
    pub(crate) fn begin_round(&self) {
        self.left.store(MAX_PER_ROUND, Ordering::Relaxed);
    }

    /// Decides whether the answer just served is compared; the comparison lasts as long as the permit is held.
    pub(crate) fn try_begin(&self) -> Option<OwnedSemaphorePermit> {
        if self.left.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let hit = self.hits.fetch_add(1, Ordering::Relaxed);
        if !hit.is_multiple_of(EVERY) {
            return None;
        }
        let permit = Arc::clone(&self.permit).try_acquire_owned().ok()?;
        let one_less = |left: u64| left.checked_sub(1);
        let relaxed = Ordering::Relaxed;
        self.left
            .fetch_update(relaxed, relaxed, one_less)
            .is_ok()
            .then_some(permit)
    }
}

/// An answer that was served from the cache.
pub(crate) struct ServedAnswer<C> {
    pub(crate) cache: Arc<Cache>,
    pub(crate) key: Key,
    pub(crate) codec: C,
}

impl<C> ServedAnswer<C>
where
    C: Codec,
    C::Value: PartialEq,
    C::Error: std::fmt::Debug,
{
    /// Compares the answer in the background; `load` queries the database.
    pub(crate) fn audit<F, L>(self, load: F, audited: Arc<Audited>, permit: OwnedSemaphorePermit)
    where
        F: FnOnce() -> L + Clone + Send + 'static,
        L: Future<Output = Result<Option<C::Value>, C::Error>> + Send + 'static,
    {
        tokio::spawn(async move {
            match self.compare(load, tokio::time::sleep(SETTLE_TIME)).await {
                Ok(found) => audited.note(self.key, found),
                // Nothing can be compared while the database is unavailable.
                Err(error) => tracing::debug!(?error, "the auditor could not compare"),
            }
            drop(permit);
        });
    }

    /// `settled` completes when every write that was under way has ended.
    async fn compare<F, L>(
        &self,
        load: F,
        settled: impl Future<Output = ()>,
    ) -> Result<Finding, C::Error>
    where
        F: FnOnce() -> L + Clone,
        L: Future<Output = Result<Option<C::Value>, C::Error>>,
    {
        let (cache, key) = (&self.cache, self.key);
        let Some(expected) = load.clone()().await? else {
            return Ok(Finding::Absent);
        };
        let Some(seen) = cache.peek(key).await else {
            return Ok(Finding::Absent);
        };
        if seen.is(self.codec, &expected) {
            return Ok(Finding::Match);
        }
        settled.await;
        if load().await?.as_ref() != Some(&expected) {
            return Ok(Finding::Absent);
        }
        let is_unchanged = cache.peek(key).await == Some(seen);
        Ok(if is_unchanged {
            Finding::Violation
        } else {
            Finding::Absent
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use parlance_cache::{Backend, CacheSettings, Fenced, ReadRequest, TransactionOutcome, Write};
    use parlance_domain::Owner;
    use parlance_storage::{Database, DatabaseUrl};
    use parlance_testkit::SqliteFile;
    use uuid::Uuid;

    use super::*;
    use crate::cache::codec::{AnswerCodec, NoAnswer};
    use crate::cache::json::{self, CachedAnswer};
    use crate::cache::keys::Scope;
    use crate::conversations::Stats;
    use crate::env::Environment;
    use crate::paging::ListIdentity;

    type Loaded = Result<Option<CachedAnswer<Stats>>, NoAnswer>;

    /// A cache of statistics with one number, which is stored in a row.
    struct World {
        answer: ServedAnswer<AnswerCodec<Stats>>,
        owner: Owner,
        row: AtomicI64,
        _file: SqliteFile,
    }

    impl World {
        async fn new() -> Arc<Self> {
            let file = SqliteFile::new();
            let settings_of_file =
                parlance_storage::Settings::new(DatabaseUrl::parse(&file.url()).unwrap());
            let database = Database::open(&settings_of_file).await.unwrap();
            let env = Environment::system();
            let settings = CacheSettings {
                shared_database: false,
                ..CacheSettings::new(Backend::Memory, env.random_numbers())
            };
            let owner = Owner::parse("acme").unwrap();
            Arc::new(Self {
                answer: ServedAnswer {
                    cache: crate::cache::open(&database, settings, None, &env),
                    key: Scope::of(Uuid::nil(), &owner, None).stats(),
                    codec: AnswerCodec {
                        fingerprint: ListIdentity::new("test", &owner).query_fingerprint(),
                        encode: json::answer_only,
                    },
                },
                owner,
                row: AtomicI64::new(1),
                _file: file,
            })
        }

        /// The present contents of the database.
        fn stored(&self) -> CachedAnswer<Stats> {
            let answer = Stats {
                messages: self.row.load(Ordering::Relaxed),
                ..Stats::default()
            };
            CachedAnswer {
                owner: self.owner.clone(),
                user: None,
                answer,
            }
        }

        fn load(
            self: &Arc<Self>,
        ) -> impl FnOnce() -> std::future::Ready<Loaded> + Clone + Send + 'static {
            let world = Arc::clone(self);
            move || std::future::ready(Ok(Some(world.stored())))
        }

        /// Reads as a client would: the answer is cached under the present generation.
        async fn read(self: &Arc<Self>) {
            let lookup = ReadRequest {
                key: self.answer.key,
                owner: self.owner.as_str(),
                max_staleness: None,
            };
            let read = self
                .answer
                .cache
                .read(lookup, self.answer.codec, self.load());
            assert!(read.await.unwrap().is_some());
        }

        async fn fence(&self) -> Fenced {
            let generation = Write::Changed(self.answer.key.generation());
            self.answer.cache.fence(vec![generation]).await
        }

        /// Commits; the release is still to come.
        fn commit(&self, row: i64) {
            self.row.store(row, Ordering::Relaxed);
        }

        async fn release(&self, fence: Fenced) {
            self.answer
                .cache
                .release(fence, TransactionOutcome::Committed)
                .await;
        }

        async fn write(&self, row: i64) {
            let fence = self.fence().await;
            self.commit(row);
            self.release(fence).await;
        }

        async fn compare(self: &Arc<Self>, settled: impl Future<Output = ()>) -> Finding {
            self.answer.compare(self.load(), settled).await.unwrap()
        }
    }

    #[tokio::test]
    async fn a_value_that_differs_from_the_database_is_a_violation() {
        let world = World::new().await;
        assert_eq!(world.compare(async {}).await, Finding::Absent, "no value");
        world.read().await;
        assert_eq!(world.compare(async {}).await, Finding::Match);
        // The cache was not notified.
        world.commit(2);
        assert_eq!(world.compare(async {}).await, Finding::Violation);
        let gone = async { world.write(2).await };
        assert_eq!(world.compare(gone).await, Finding::Absent);
    }

    #[tokio::test]
    async fn a_write_between_row_and_value_is_no_violation() {
        let world = World::new().await;
        world.read().await;
        let racing = Arc::clone(&world);
        let load = move || async move {
            let expected = racing.stored();
            let next = racing.row.load(Ordering::Relaxed) + 1;
            racing.write(next).await;
            racing.read().await;
            Ok(Some(expected))
        };
        let found = world.answer.compare(load, async {}).await.unwrap();
        assert_eq!(found, Finding::Absent);
    }

    #[tokio::test]
    async fn an_unreleased_write_is_no_violation() {
        let world = World::new().await;
        let fence = world.fence().await;
        world.read().await;
        world.commit(2);
        let released = async { world.release(fence).await };
        assert_eq!(world.compare(released).await, Finding::Absent);
    }

    #[tokio::test]
    async fn an_equal_value_under_another_generation_is_no_violation() {
        let world = World::new().await;
        let (first, second) = (world.fence().await, std::cell::Cell::new(None));
        world.read().await;
        world.commit(2);
        let meanwhile = async {
            world.release(first).await;
            world.write(1).await;
            second.set(Some(world.fence().await));
            world.read().await;
            world.commit(2);
        };
        assert_eq!(world.compare(meanwhile).await, Finding::Absent);
        world.release(second.take().unwrap()).await;
        world.read().await;
        assert_eq!(world.compare(async {}).await, Finding::Match);
    }

    #[test]
    fn one_hit_in_64_is_compared_and_one_at_a_time() {
        let audits = AnswerAudits::default();
        let begun = |hits: u64| (0..hits).filter_map(|_| audits.try_begin()).count();
        assert_eq!(begun(10 * EVERY), 0, "no auditor runs");
        audits.begin_round();
        assert_eq!(begun(10 * EVERY), 10);
        let held = std::iter::repeat_with(|| audits.try_begin())
            .flatten()
            .next();
        assert_eq!(begun(10 * EVERY), 0, "one comparison runs");
        drop(held);
        let left = usize::try_from(MAX_PER_ROUND).unwrap() - 11;
        assert_eq!(begun(10 * MAX_PER_ROUND * EVERY), left, "the round is over");
        audits.begin_round();
        assert!(begun(EVERY) == 1);
    }
}
