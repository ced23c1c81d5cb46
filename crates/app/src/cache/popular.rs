//! Popular searches: counted here, stored in the database, repeated after the next start to warm the cache.
//!
//! A search neither waits nor allocates for the count: while another request holds the table it is not counted, and
//! its text is copied only when it gets a new entry. A table is a *space-saving* sketch. When it is full, a new
//! search replaces the entry with the lowest count and inherits that count, since it may have been counted and
//! replaced before; the inherited part does not count as searched. A search that is more frequent than the sketch's
//! error bound stays in the table, however many others come and go.

use std::sync::{Mutex, PoisonError};

use parlance_domain::Owner;
use parlance_storage::db::popular::{PopularBounds, PopularSearch};
use parlance_storage::db::search::SearchFilter;
use uuid::Uuid;

use crate::App;
use crate::error::Result;
use crate::messages::SearchMessages;
use crate::paging::{PageRequest, QueryFingerprint};

/// Number of tables; several, so that concurrent searches seldom meet in one.
const TABLES: usize = 16;
/// Entries per table.
const EACH: usize = 64;
/// Minimum count of a popular search. A search that occurred only once is not stored.
const MIN_COUNT: u64 = 2;
/// Maximum bytes of a stored text: longer ones were probably pasted and are not repeated.
const LONGEST: usize = 256;

/// Stored searches of an owner.
const OF_OWNER: usize = 100;
/// Stored searches of all owners.
const IN_ALL: usize = 1000;

/// Entry of a table.
struct Entry {
    fingerprint: QueryFingerprint,
    /// How often it was searched, plus the inherited count.
    count: u64,
    /// Count inherited from the replaced entry.
    inherited: u64,
    /// Boxed, to keep the scan over the fingerprints short.
    search: Box<PopularSearch>,
}

/// Counts the searches of this instance.
pub(crate) struct Popular {
    /// Empty if counting is off.
    tables: Vec<Mutex<Vec<Entry>>>,
}

impl Popular {
    /// Creates the counters; without `counts` they do nothing.
    pub(crate) fn new(counts: bool) -> Self {
        let tables = if counts { TABLES } else { 0 };
        Self {
            tables: (0..tables).map(|_| Mutex::default()).collect(),
        }
    }

    /// Whether searches are counted.
    pub(crate) const fn counts(&self) -> bool {
        !self.tables.is_empty()
    }

    /// Counts a request for a first page; the fingerprint includes the page size.
    pub(crate) fn note(
        &self,
        owner: &Owner,
        fingerprint: QueryFingerprint,
        request: &SearchMessages,
    ) {
        if !self.counts() {
            return;
        }
        let index = usize::try_from(fingerprint.0 % TABLES as u128).unwrap_or_default();
        // Not counted while another request holds the table: one more or less makes no search popular.
        let Some(Ok(mut table)) = self.tables.get(index).map(Mutex::try_lock) else {
            return;
        };
        if let Some(known) = table
            .iter_mut()
            .find(|entry| entry.fingerprint == fingerprint)
        {
            known.count += 1;
            return;
        }
        let Some(search) = storable(owner, fingerprint, request) else {
            return;
        };
        let mut entry = Entry {
            fingerprint,
            count: 1,
            inherited: 0,
            search: Box::new(search),
        };
        if table.len() < EACH {
            table.push(entry);
        } else if let Some(least) = table.iter_mut().min_by_key(|entry| entry.count) {
            entry.inherited = least.count;
            entry.count += least.count;
            *least = entry;
        }
    }

    /// Takes the popular searches, each with its guaranteed count. The others stay, and may become popular.
    fn take(&self) -> Vec<(PopularSearch, u64)> {
        let mut frequent = Vec::new();
        for table in &self.tables {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = table.extract_if(.., |entry| entry.count - entry.inherited >= MIN_COUNT);
            frequent.extend(taken.map(|entry| (*entry.search, entry.count - entry.inherited)));
        }
        frequent
    }
}

/// The search in the form in which it is stored; `None` if its texts are too long or contain a zero, which a database
/// may refuse.
fn storable(
    owner: &Owner,
    fingerprint: QueryFingerprint,
    request: &SearchMessages,
) -> Option<PopularSearch> {
    let SearchMessages {
        query,
        filter,
        page,
    } = request;
    let user = filter.user.as_deref().unwrap_or_default();
    let is_fit = |text: &str| text.len() <= LONGEST && !text.contains('\0');
    (is_fit(query) && is_fit(user)).then(|| PopularSearch {
        fingerprint: Uuid::from_u128(fingerprint.0),
        owner: owner.clone(),
        query: query.clone(),
        filter: SearchFilter::clone(filter),
        page_size: page.limit(),
    })
}

/// The request that repeats a search.
pub(crate) fn repeated_request(search: PopularSearch) -> (Owner, SearchMessages) {
    let PopularSearch {
        fingerprint: _, // of the original request: another version may compute another one
        owner,
        query,
        filter,
        page_size,
    } = search;
    let page = PageRequest {
        size: page_size,
        token: String::new(),
    };
    let request = SearchMessages {
        query,
        filter,
        page,
    };
    (owner, request)
}

impl App {
    /// Stores the searches that were popular since the last call, and removes those that are no longer popular or are
    /// past the retention. If switched off, it removes all.
    pub async fn keep_popular(&self) -> Result<()> {
        if !self.settings.note_searches {
            return Ok(self.db.delete_searches().await?);
        }
        self.store_popular(self.popular.take()).await
    }

    /// Stores the popular searches since the janitor's last run, at shutdown; does nothing if there are none.
    pub async fn keep_last_popular(&self) -> Result<()> {
        let popular = self.popular.take();
        if popular.is_empty() {
            return Ok(());
        }
        self.store_popular(popular).await
    }

    async fn store_popular(&self, popular: Vec<(PopularSearch, u64)>) -> Result<()> {
        let now = self.now();
        let bounds = PopularBounds {
            of_owner: OF_OWNER,
            in_all: IN_ALL,
            since: self.settings.retention.map(|kept| now.minus(kept)),
        };
        Ok(self.db.note_searches(&popular, bounds, now).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paging::ListIdentity;

    fn owner() -> Owner {
        Owner::parse("acme").unwrap()
    }

    fn ask(popular: &Popular, query: &str) {
        let request = SearchMessages {
            query: query.to_owned(),
            ..SearchMessages::default()
        };
        let list = ListIdentity::new("test", &owner()).with(query.as_bytes());
        popular.note(&owner(), list.query_fingerprint(), &request);
    }

    fn entries(popular: &Popular) -> usize {
        let tables = popular.tables.iter();
        tables.map(|table| table.lock().unwrap().len()).sum()
    }

    fn taken(popular: &Popular) -> Vec<(String, u64)> {
        let taken = popular.take().into_iter();
        let mut taken: Vec<_> = taken.map(|(search, times)| (search.query, times)).collect();
        taken.sort();
        taken
    }

    #[test]
    fn a_search_that_occurred_once_is_not_stored() {
        let popular = Popular::new(true);
        for query in ["one", "two", "two", "one more"] {
            ask(&popular, query);
        }
        assert_eq!(taken(&popular), [("two".to_owned(), 2)]);
        assert_eq!(taken(&popular), []);
        ask(&popular, "one");
        assert_eq!(taken(&popular), [("one".to_owned(), 2)]);
    }

    #[test]
    fn tables_are_bounded_and_frequent_searches_stay() {
        let popular = Popular::new(true);
        for n in 0..20_000 {
            ask(&popular, &format!("rare {n}"));
            if n % 100 == 0 {
                ask(&popular, "often");
            }
        }
        assert_eq!(entries(&popular), TABLES * EACH);
        let taken = taken(&popular);
        // Counted from its last entry on; no other search is popular.
        assert!(
            matches!(&taken[..], [(query, times)] if query == "often" && (100..=200).contains(times)),
            "{taken:?}"
        );
    }

    #[test]
    fn a_search_does_not_wait_for_a_table() {
        let popular = Popular::new(true);
        ask(&popular, "often");
        let tables: Vec<_> = popular.tables.iter().map(|t| t.lock().unwrap()).collect();
        ask(&popular, "often");
        drop(tables);
        ask(&popular, "often");
        assert_eq!(taken(&popular), [("often".to_owned(), 2)]);
    }

    #[test]
    fn texts_that_cannot_be_stored_are_left_out() {
        let popular = Popular::new(true);
        for query in ["\0", &"x".repeat(LONGEST + 1), "right"] {
            ask(&popular, query);
            ask(&popular, query);
        }
        assert_eq!(taken(&popular), [("right".to_owned(), 2)]);
    }

    #[test]
    fn nothing_is_counted_if_switched_off() {
        let popular = Popular::new(false);
        ask(&popular, "often");
        ask(&popular, "often");
        assert_eq!((entries(&popular), taken(&popular)), (0, Vec::new()));
    }
}
