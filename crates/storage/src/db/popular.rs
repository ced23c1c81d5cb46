//! Searches that are asked often, of the whole installation: what a start asks again, so that the first who asks need not wait.
//!
//! A search weighs as much as it was asked; every day that is halved, and what weighs nothing goes. Whoever writes holds the one
//! row of `popular_state` meanwhile, so that no day is halved twice and the bounds hold whoever else writes.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parlance_domain::{Owner, Timestamp};
use uuid::Uuid;

use super::search::SearchFilter;
use crate::conn::{Database, Lease};
use crate::error::StorageResult;
use crate::fields::{Id, Instant};
use crate::rows::popular::{PopularRow, StandingRow};

/// How many rows one statement deletes.
const CHUNK: usize = 1000;
const DAY: Duration = Duration::from_hours(24);

/// The first page of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopularSearch {
    /// A fingerprint of all of it.
    pub fingerprint: Uuid,
    /// Whose.
    pub owner: Owner,
    /// The words, as they were asked.
    pub query: String,
    /// Which messages.
    pub filter: SearchFilter,
    /// How many of them.
    pub page_size: usize,
}

/// What is kept of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PopularBounds {
    /// Searches of an owner.
    pub of_owner: usize,
    /// Searches of all owners.
    pub in_all: usize,
    /// Those that were last asked before that go.
    pub since: Option<Timestamp>,
}

impl Database {
    /// Adds how often each of these was asked, and drops what is out of bounds, out of fashion, or has nothing left to find.
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
        // Most of the time nobody searches, and then nothing is written.
        if rows.is_empty() && read!(self, |c, q| q::popular::is_empty(c))? {
            return Ok(());
        }
        let mut lease = self.writer().await?;
        age(&mut lease, now).await?;
        on!(lease, |c, q| q::popular::add(c, &rows))?;
        let pointless = on!(lease, |c, q| q::popular::pointless(c))?;
        let standing = on!(lease, |c, q| q::popular::standing(c))?;
        let gone = surplus(&standing, &pointless.into_iter().collect(), bounds);
        for some in gone.chunks(CHUNK) {
            on!(lease, |c, q| q::popular::delete(c, some.to_vec()))?;
        }
        lease.commit().await
    }

    /// The most asked searches of the whole installation, up to `limit`. A row that cannot be read is passed over: there is
    /// nothing to mend, it goes out of fashion.
    pub async fn popular_searches(&self, limit: usize) -> StorageResult<Vec<PopularSearch>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = read!(self, |c, q| q::popular::popular(c, limit))?;
        let searches = rows.into_iter().filter_map(|row| row.try_into().ok());
        Ok(searches.collect())
    }

    /// Forgets all of them.
    pub async fn delete_searches(&self) -> StorageResult<()> {
        if read!(self, |c, q| q::popular::is_empty(c))? {
            return Ok(());
        }
        let mut lease = self.writer().await?;
        on!(lease, |c, q| q::popular::lock_day(c))?;
        on!(lease, |c, q| q::popular::delete_all(c))?;
        lease.commit().await
    }
}

/// Halves what was asked, once for every day that has passed.
async fn age(lease: &mut Lease, now: Instant) -> StorageResult<()> {
    let length = i64::try_from(DAY.as_micros()).unwrap_or(i64::MAX);
    let today = now.0.div_euclid(length);
    let day = on!(*lease, |c, q| q::popular::lock_day(c))?;
    let Some(passed) = u32::try_from(today.saturating_sub(day))
        .ok()
        .filter(|passed| *passed > 0)
    else {
        return Ok(());
    };
    let divisor = 1_i64.checked_shl(passed).filter(|divisor| *divisor > 0);
    on!(*lease, |c, q| q::popular::divide(
        c,
        divisor.unwrap_or(i64::MAX)
    ))?;
    on!(*lease, |c, q| q::popular::set_day(c, today))
}

/// Which of these, the most asked first, are to go.
fn surplus(standing: &[StandingRow], pointless: &HashSet<Id>, bounds: PopularBounds) -> Vec<Id> {
    let PopularBounds {
        of_owner,
        in_all,
        since,
    } = bounds;
    let since = since.map(Instant::from);
    let mut kept_of: HashMap<&str, usize> = HashMap::new();
    let mut kept = 0;
    let mut gone = Vec::new();
    for row in standing {
        let of = kept_of.entry(row.owner.as_str()).or_default();
        let stays = row.weight > 0
            && since.is_none_or(|since| row.asked_at >= since)
            && !pointless.contains(&row.question)
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
