//! The auditor of lists, statistics and searches. A key does not tell its question, so an answer is looked at when it is given,
//! by whoever has the question: some of those that came from the cache are asked of the database again, behind the answer.
//!
//! The rows are read first, then the value. One that differs is suspected, no more: a write may have been committed whose release
//! is still to come, and until then the old answer is in force. So it counts only if, when any such write has long ended, the
//! rows still say the same, and the value is still there, under the same generation: then no write began or ended meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parlance_cache::{Cache, Codec, Key};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::audit::{Audited, Found};

/// One hit of so many is looked at.
const EVERY: u64 = 64;
/// So many are looked at between two rounds of the auditor: the database has other things to do.
const MOST: u64 = 32;
/// A write is released, or waited for, within little more than a second of its commit. One that takes longer died or was stopped
/// in between, and is acknowledged to nobody.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// Which answers are looked at.
#[derive(Debug)]
pub(crate) struct AnswerAudits {
    hits: AtomicU64,
    /// What is left until the next round: nothing where nobody audits.
    left: AtomicU64,
    /// One at a time.
    turn: Arc<Semaphore>,
}

impl Default for AnswerAudits {
    fn default() -> Self {
        Self {
            hits: AtomicU64::new(0),
            left: AtomicU64::new(0),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl AnswerAudits {
    /// The auditor begins a round.
    pub(crate) fn begin_round(&self) {
        self.left.store(MOST, Ordering::Relaxed);
    }

    /// Whether the answer that is just given is to be looked at: it is while the permit is held.
    pub(crate) fn turn(&self) -> Option<OwnedSemaphorePermit> {
        if self.left.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let hit = self.hits.fetch_add(1, Ordering::Relaxed);
        if !hit.is_multiple_of(EVERY) {
            return None;
        }
        let turn = Arc::clone(&self.turn).try_acquire_owned().ok()?;
        let one_less = |left: u64| left.checked_sub(1);
        let relaxed = Ordering::Relaxed;
        self.left
            .fetch_update(relaxed, relaxed, one_less)
            .is_ok()
            .then_some(turn)
    }
}

/// An answer that was given from the cache.
pub(crate) struct Given<C> {
    pub(crate) cache: Arc<Cache>,
    pub(crate) key: Key,
    pub(crate) codec: C,
}

impl<C> Given<C>
where
    C: Codec,
    C::Value: PartialEq,
    C::Error: std::fmt::Debug,
{
    /// Looks at it behind the caller's back; `ask` asks the database.
    pub(crate) fn audit<F, L>(self, ask: F, audited: Arc<Audited>, turn: OwnedSemaphorePermit)
    where
        F: FnOnce() -> L + Clone + Send + 'static,
        L: Future<Output = Result<Option<C::Value>, C::Error>> + Send + 'static,
    {
        tokio::spawn(async move {
            match self.look(ask, tokio::time::sleep(PATIENCE)).await {
                Ok(found) => audited.note(self.key, found),
                // With the database away nothing can be compared.
                Err(error) => tracing::debug!(?error, "the auditor could not compare"),
            }
            drop(turn);
        });
    }

    /// `patience` is over when whatever write was under way has ended.
    async fn look<F, L>(
        &self,
        ask: F,
        patience: impl Future<Output = ()>,
    ) -> Result<Found, C::Error>
    where
        F: FnOnce() -> L + Clone,
        L: Future<Output = Result<Option<C::Value>, C::Error>>,
    {
        let (cache, key) = (&self.cache, self.key);
        let Some(said) = ask.clone()().await? else {
            return Ok(Found::Nothing);
        };
        let Some(seen) = cache.peek(key).await else {
            return Ok(Found::Nothing);
        };
        if seen.is(self.codec, &said) {
            return Ok(Found::Right);
        }
        patience.await;
        if ask().await?.as_ref() != Some(&said) {
            return Ok(Found::Nothing);
        }
        let is_still_there = cache.peek(key).await == Some(seen);
        Ok(if is_still_there {
            Found::Wrong
        } else {
            Found::Nothing
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
    use crate::cache::json::{self, Kept};
    use crate::cache::keys::Scope;
    use crate::conversations::Stats;
    use crate::env::Environment;
    use crate::paging::ListIdentity;

    type Said = Result<Option<Kept<Stats>>, NoAnswer>;

    /// A cache of statistics, whose one number stands in a row.
    struct World {
        given: Given<AnswerCodec<Stats>>,
        owner: Owner,
        row: AtomicI64,
        _file: SqliteFile,
    }

    impl World {
        async fn new() -> Arc<Self> {
            let file = SqliteFile::new();
            let opened = parlance_storage::Settings::new(DatabaseUrl::parse(&file.url()).unwrap());
            let database = Database::open(&opened).await.unwrap();
            let env = Environment::system();
            let settings = CacheSettings {
                shared_database: false,
                ..CacheSettings::new(Backend::Memory, env.random_numbers())
            };
            let owner = Owner::parse("acme").unwrap();
            Arc::new(Self {
                given: Given {
                    cache: crate::cache::open(&database, settings, None, &env),
                    key: Scope::of(Uuid::nil(), &owner, None).stats(),
                    codec: AnswerCodec {
                        question: ListIdentity::new("test", &owner).question(),
                        encode: json::told,
                    },
                },
                owner,
                row: AtomicI64::new(1),
                _file: file,
            })
        }

        /// What the database says.
        fn says(&self) -> Kept<Stats> {
            let answer = Stats {
                messages: self.row.load(Ordering::Relaxed),
                ..Stats::default()
            };
            Kept {
                owner: self.owner.clone(),
                user: None,
                answer,
            }
        }

        fn ask(
            self: &Arc<Self>,
        ) -> impl FnOnce() -> std::future::Ready<Said> + Clone + Send + 'static {
            let world = Arc::clone(self);
            move || std::future::ready(Ok(Some(world.says())))
        }

        /// Reads as a client would: the answer is kept under the generation in force.
        async fn read(self: &Arc<Self>) {
            let asked = ReadRequest {
                key: self.given.key,
                owner: self.owner.as_str(),
                max_staleness: None,
            };
            let read = self.given.cache.read(asked, self.given.codec, self.ask());
            assert!(read.await.unwrap().is_some());
        }

        async fn fence(&self) -> Fenced {
            let generation = Write::Changed(self.given.key.generation());
            self.given.cache.fence(vec![generation]).await
        }

        /// Commits; the release is still to come.
        fn commit(&self, row: i64) {
            self.row.store(row, Ordering::Relaxed);
        }

        async fn release(&self, fence: Fenced) {
            self.given
                .cache
                .release(fence, TransactionOutcome::Committed)
                .await;
        }

        async fn write(&self, row: i64) {
            let fence = self.fence().await;
            self.commit(row);
            self.release(fence).await;
        }

        async fn look(self: &Arc<Self>, patience: impl Future<Output = ()>) -> Found {
            self.given.look(self.ask(), patience).await.unwrap()
        }
    }

    #[tokio::test]
    async fn what_the_database_says_is_right_and_anything_else_is_wrong() {
        let world = World::new().await;
        assert_eq!(world.look(async {}).await, Found::Nothing, "there is none");
        world.read().await;
        assert_eq!(world.look(async {}).await, Found::Right);
        // Nobody was told.
        world.commit(2);
        assert_eq!(world.look(async {}).await, Found::Wrong);
        let gone = async { world.write(2).await };
        assert_eq!(world.look(gone).await, Found::Nothing);
    }

    #[tokio::test]
    async fn a_write_between_the_rows_and_the_value_is_no_finding() {
        let world = World::new().await;
        world.read().await;
        let racing = Arc::clone(&world);
        let ask = move || async move {
            let said = racing.says();
            let next = racing.row.load(Ordering::Relaxed) + 1;
            racing.write(next).await;
            racing.read().await;
            Ok(Some(said))
        };
        let found = world.given.look(ask, async {}).await.unwrap();
        assert_eq!(found, Found::Nothing);
    }

    #[tokio::test]
    async fn a_write_that_is_still_to_be_released_is_no_finding() {
        let world = World::new().await;
        let fence = world.fence().await;
        world.read().await;
        world.commit(2);
        let released = async { world.release(fence).await };
        assert_eq!(world.look(released).await, Found::Nothing);
    }

    #[tokio::test]
    async fn the_same_value_under_another_generation_is_another() {
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
        assert_eq!(world.look(meanwhile).await, Found::Nothing);
        world.release(second.take().unwrap()).await;
        world.read().await;
        assert_eq!(world.look(async {}).await, Found::Right);
    }

    #[test]
    fn one_hit_of_so_many_is_looked_at_and_one_at_a_time() {
        let audits = AnswerAudits::default();
        let turns = |hits: u64| (0..hits).filter_map(|_| audits.turn()).count();
        assert_eq!(turns(10 * EVERY), 0, "nobody audits");
        audits.begin_round();
        assert_eq!(turns(10 * EVERY), 10);
        let held = std::iter::repeat_with(|| audits.turn()).flatten().next();
        assert_eq!(turns(10 * EVERY), 0, "one is looked at");
        drop(held);
        let left = usize::try_from(MOST).unwrap() - 11;
        assert_eq!(turns(10 * MOST * EVERY), left, "the round is over");
        audits.begin_round();
        assert!(turns(EVERY) == 1);
    }
}
