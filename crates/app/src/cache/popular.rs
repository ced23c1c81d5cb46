//! Which searches are asked often: counted here, kept by the database, asked again after the next start.
//!
//! Whoever searches neither waits nor allocates for it: a table that somebody else holds just now counts nothing, and the text
//! of a search is copied only when it comes into its table. A table is a *space-saving* sketch: full, it gives the place of the
//! least asked to the newcomer, who may have been there before, so that it begins with as many as that one had. Those are not
//! counted as asked. What is asked more often than a table can overlook stays in it, however many others come and go.

use std::sync::{Mutex, PoisonError};

use parlance_domain::Owner;
use parlance_storage::db::popular::{PopularBounds, PopularSearch};
use parlance_storage::db::search::SearchFilter;
use uuid::Uuid;

use crate::App;
use crate::error::Result;
use crate::messages::SearchMessages;
use crate::paging::{PageRequest, Question};

/// Tables: those who search at once seldom meet in one.
const TABLES: usize = 16;
/// Searches that a table holds.
const EACH: usize = 64;
/// What was asked only once is nobody's habit, and is written down nowhere.
const OFTEN: u64 = 2;
/// Bytes of the longest text that is kept: what is longer was pasted, and is not asked again.
const LONGEST: usize = 256;

/// Searches of an owner that are kept.
const OF_OWNER: usize = 100;
/// Searches of all owners that are kept.
const IN_ALL: usize = 1000;

/// A search in its table.
struct Entry {
    question: Question,
    /// How often it was asked, with what its predecessor had.
    count: u64,
    /// What its predecessor had.
    inherited: u64,
    /// Apart: whoever looks for a question passes over many.
    search: Box<PopularSearch>,
}

/// What is asked at this instance.
pub(crate) struct Popular {
    /// Nothing is counted without.
    tables: Vec<Mutex<Vec<Entry>>>,
}

impl Popular {
    /// Counts, or does nothing.
    pub(crate) fn new(counts: bool) -> Self {
        let tables = if counts { TABLES } else { 0 };
        Self {
            tables: (0..tables).map(|_| Mutex::default()).collect(),
        }
    }

    /// Whether anything is counted.
    pub(crate) const fn counts(&self) -> bool {
        !self.tables.is_empty()
    }

    /// A first page was asked for; the question tells its size, too.
    pub(crate) fn note(&self, owner: &Owner, question: Question, request: &SearchMessages) {
        if !self.counts() {
            return;
        }
        let place = usize::try_from(question.0 % TABLES as u128).unwrap_or_default();
        // Held just now by somebody else: one more or less makes nothing popular.
        let Some(Ok(mut table)) = self.tables.get(place).map(Mutex::try_lock) else {
            return;
        };
        if let Some(known) = table.iter_mut().find(|entry| entry.question == question) {
            known.count += 1;
            return;
        }
        let Some(search) = kept(owner, question, request) else {
            return;
        };
        let mut entry = Entry {
            question,
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

    /// Takes what was asked often, each with how often it was for certain. The rest stays, and may become so.
    fn take(&self) -> Vec<(PopularSearch, u64)> {
        let mut often = Vec::new();
        for table in &self.tables {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = table.extract_if(.., |entry| entry.count - entry.inherited >= OFTEN);
            often.extend(taken.map(|entry| (*entry.search, entry.count - entry.inherited)));
        }
        often
    }
}

/// The search as it is kept; `None` for what is not. A database may refuse a text with a zero in it.
fn kept(owner: &Owner, question: Question, request: &SearchMessages) -> Option<PopularSearch> {
    let SearchMessages {
        query,
        filter,
        page,
    } = request;
    let user = filter.user.as_deref().unwrap_or_default();
    let is_fit = |text: &str| text.len() <= LONGEST && !text.contains('\0');
    (is_fit(query) && is_fit(user)).then(|| PopularSearch {
        fingerprint: Uuid::from_u128(question.0),
        owner: owner.clone(),
        query: query.clone(),
        filter: SearchFilter::clone(filter),
        page_size: page.limit(),
    })
}

/// As it is asked again.
pub(crate) fn asked_again(search: PopularSearch) -> (Owner, SearchMessages) {
    let PopularSearch {
        fingerprint: _, // of whoever asked: another version may put another one
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
    /// Writes down which searches were asked often since it was last called, and drops what is out of fashion or past its time.
    /// Switched off, it drops all that was kept before.
    pub async fn keep_popular(&self) -> Result<()> {
        if !self.settings.note_searches {
            return Ok(self.db.delete_searches().await?);
        }
        self.write_down(self.popular.take()).await
    }

    /// Writes down what was asked often since the janitor did, for a service that ends: whoever waits for that waits for nothing
    /// where there is nothing.
    pub async fn keep_last_popular(&self) -> Result<()> {
        let asked = self.popular.take();
        if asked.is_empty() {
            return Ok(());
        }
        self.write_down(asked).await
    }

    async fn write_down(&self, asked: Vec<(PopularSearch, u64)>) -> Result<()> {
        let now = self.now();
        let bounds = PopularBounds {
            of_owner: OF_OWNER,
            in_all: IN_ALL,
            since: self.settings.retention.map(|kept| now.minus(kept)),
        };
        Ok(self.db.note_searches(&asked, bounds, now).await?)
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
        let question = ListIdentity::new("test", &owner()).with(query.as_bytes());
        popular.note(&owner(), question.question(), &request);
    }

    fn held(popular: &Popular) -> usize {
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
    fn what_is_asked_once_is_written_down_nowhere() {
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
    fn however_much_is_asked_there_is_room_for_so_many_and_what_is_asked_often_stays() {
        let popular = Popular::new(true);
        for n in 0..20_000 {
            ask(&popular, &format!("rare {n}"));
            if n % 100 == 0 {
                ask(&popular, "often");
            }
        }
        assert_eq!(held(&popular), TABLES * EACH);
        let taken = taken(&popular);
        // It was counted from when it came to stay; and no stranger is said to have been asked.
        assert!(
            matches!(&taken[..], [(query, times)] if query == "often" && (100..=200).contains(times)),
            "{taken:?}"
        );
    }

    #[test]
    fn nobody_waits_for_a_table() {
        let popular = Popular::new(true);
        ask(&popular, "often");
        let tables: Vec<_> = popular.tables.iter().map(|t| t.lock().unwrap()).collect();
        ask(&popular, "often");
        drop(tables);
        ask(&popular, "often");
        assert_eq!(taken(&popular), [("often".to_owned(), 2)]);
    }

    #[test]
    fn texts_that_nobody_asks_twice_are_left_out() {
        let popular = Popular::new(true);
        for query in ["\0", &"x".repeat(LONGEST + 1), "right"] {
            ask(&popular, query);
            ask(&popular, query);
        }
        assert_eq!(taken(&popular), [("right".to_owned(), 2)]);
    }

    #[test]
    fn switched_off_it_keeps_nothing() {
        let popular = Popular::new(false);
        ask(&popular, "often");
        ask(&popular, "often");
        assert_eq!((held(&popular), taken(&popular)), (0, Vec::new()));
    }
}
