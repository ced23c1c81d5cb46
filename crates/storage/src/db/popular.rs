//! Popular searches of the whole installation: a starting instance runs them again, so that the first clients need not
//! wait.
//!
//! The weight of a search is the number of times it was made; it is halved every day, and a search without weight is
//! removed. Every writer locks the one row of `popular_state`, so that no day is halved twice and the bounds hold under
//! concurrent writes.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parlance_domain::{Owner, Timestamp};
use uuid::Uuid;

use super::search::SearchFilter;
use crate::conn::{Database, PooledConnection};
use crate::error::StorageResult;
use crate::fields::{Id, Instant};
use crate::rows::popular::{PopularRankRow, PopularRow};

/// How many rows one statement deletes.
const CHUNK: usize = 1000;
const DAY: Duration = Duration::from_hours(24);

/// The first page of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopularSearch {
    /// Fingerprint of the whole search.
    pub fingerprint: Uuid,
    /// Owner of the messages.
    pub owner: Owner,
    /// The words, as they were entered.
    pub query: String,
    /// Filter of the search.
    pub filter: SearchFilter,
    /// Size of the page.
    pub page_size: usize,
}

/// Bounds of what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PopularBounds {
    /// Maximum number of searches of an owner.
    pub of_owner: usize,
    /// Maximum number of searches of all owners.
    pub in_all: usize,
    /// Searches made last before this time are removed.
    pub since: Option<Timestamp>,
}

impl Database {
    /// Adds how often each of these searches was made, and removes those that are out of bounds, too old, or can have
    /// no match any more.
    pub async fn note_searches(
        &self,
        asked: &[(PopularSearch, u64)],
        bounds: PopularBounds,
        now: Timestamp,
    ) -> StorageResult<()> {
        let now = Instant::from(now);
        let rows = asked
            .iter()
            .map(|(search, times)| PopularRow::new(search, *times, now));
        let rows: Vec<PopularRow> = rows.collect();
        // Most of the time there are no searches, and then nothing is written.
        if rows.is_empty() && read!(self, |c, q| q::popular::is_empty(c))? {
            return Ok(());
        }
        let mut connection = self.writer().await?;
        age(&mut connection, now).await?;
        on!(connection, |c, q| q::popular::add(c, &rows))?;
        let without_matches = on!(connection, |c, q| q::popular::without_matches(c))?;
        let ranking = on!(connection, |c, q| q::popular::ranking(c))?;
        let gone = surplus(&ranking, &without_matches.into_iter().collect(), bounds);
        for some in gone.chunks(CHUNK) {
            on!(connection, |c, q| q::popular::delete(c, some.to_vec()))?;
        }
        connection.commit().await
    }

    /// Returns the most popular searches of the whole installation, up to `limit`. A row that cannot be read is
    /// skipped: it needs no repair, since it ages out.
    pub async fn popular_searches(&self, limit: usize) -> StorageResult<Vec<PopularSearch>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = read!(self, |c, q| q::popular::popular(c, limit))?;
        let searches = rows.into_iter().filter_map(|row| row.try_into().ok());
        Ok(searches.collect())
    }

    /// Removes all of them.
    pub async fn delete_searches(&self) -> StorageResult<()> {
        if read!(self, |c, q| q::popular::is_empty(c))? {
            return Ok(());
        }
        let mut connection = self.writer().await?;
        on!(connection, |c, q| q::popular::lock_day(c))?;
        on!(connection, |c, q| q::popular::delete_all(c))?;
        connection.commit().await
    }
}

/// Halves the weights, once for every day that has passed.
async fn age(connection: &mut PooledConnection, now: Instant) -> StorageResult<()> {
    let length = i64::try_from(DAY.as_micros()).unwrap_or(i64::MAX);
    let today = now.0.div_euclid(length);
    let day = on!(*connection, |c, q| q::popular::lock_day(c))?;
    let Some(passed) = u32::try_from(today.saturating_sub(day))
        .ok()
        .filter(|passed| *passed > 0)
    else {
        return Ok(());
    };
    let divisor = 1_i64.checked_shl(passed).filter(|divisor| *divisor > 0);
    on!(*connection, |c, q| q::popular::divide(
        c,
        divisor.unwrap_or(i64::MAX)
    ))?;
    on!(*connection, |c, q| q::popular::set_day(c, today))
}

/// Returns which of these rows, the most popular first, are to be removed.
fn surplus(
    ranking: &[PopularRankRow],
    without_matches: &HashSet<Id>,
    bounds: PopularBounds,
) -> Vec<Id> {
    let PopularBounds {
        of_owner,
        in_all,
        since,
    } = bounds;
    let since = since.map(Instant::from);
    let mut kept_of: HashMap<&str, usize> = HashMap::new();
    let mut kept = 0;
    let mut gone = Vec::new();
    for row in ranking {
        let of = kept_of.entry(row.owner.as_str()).or_default();
        let stays = row.weight > 0
            && since.is_none_or(|since| row.asked_at >= since)
            && !without_matches.contains(&row.question)
            && *of < of_owner
            && kept < in_all;
        if stays {
            *of += 1;
            kept += 1;
        } else {
            gone.push(row.question);
        }
    }
    gone
}
