//! Search on SQLite: FTS5, which returns matches in the order of their numbers, one by one.

use std::ops::Range;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection;
use parlance_domain::search::Terms;

use super::dialect::{Conn, Db};
use super::statement::{Number, Statement, narrowed};
use super::states::StateMessages;
use crate::fields::sql::{TimestampColumn, Uid};
use crate::fields::{Id, Instant};
use crate::fragments::prepared::prepared;
use crate::rows::feed::NewFeedRow;
use crate::rows::search::{IndexRow, MatchRow, MatchRows, SearchRequest};
use crate::schema::feed;

/// Numbers of one millisecond; if they are used up, those of the next millisecond follow.
const PER_MILLI: i64 = 1024;

/// Bounds of a search by status.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Matches of the words among which as many results as permitted are returned; beyond them only as many as wanted.
    scanned: i64,
    /// Maximum number of messages in a rare status. Their numbers are read for every search.
    few: i64,
}

const BOUNDS: Bounds = Bounds {
    scanned: 8000,
    few: 6000,
};

/// Writes rows of the index, in one visit to the connection's thread; replaces existing rows of the same messages.
pub(crate) async fn index(c: &mut Conn, rows: &[IndexRow]) -> QueryResult<()> {
    let rows = rows.to_vec();
    c.spawn_blocking(move |c| rows.iter().try_for_each(|row| index_one(c, row)))
        .await
}

/// Writes rows for new messages, without a lookup of existing rows.
pub(crate) async fn index_new(c: &mut Conn, rows: &[IndexRow]) -> QueryResult<()> {
    let rows = rows.to_vec();
    c.spawn_blocking(move |c| rows.iter().try_for_each(|row| index_new_one(c, row)))
        .await
}

/// Writes the row of one new message together with its feed event.
pub(crate) async fn index_and_append(
    c: &mut Conn,
    row: &IndexRow,
    event: &NewFeedRow,
) -> QueryResult<()> {
    let (row, event) = (row.clone(), event.clone());
    c.spawn_blocking(move |c| {
        index_new_one(c, &row)?;
        let append = diesel::insert_into(feed::table).values(event);
        append.execute(c).map(|_| ())
    })
    .await
}

fn index_one(c: &mut SqliteConnection, row: &IndexRow) -> QueryResult<()> {
    let known = diesel::sql_query("SELECT number FROM message_search WHERE message_id = ?")
        .bind::<Uid, _>(row.message_id);
    let known = prepared(known).get_result::<Number>(c).optional()?;
    match known {
        Some(Number { number }) => write(c, number, row),
        None => index_new_one(c, row),
    }
}

fn index_new_one(c: &mut SqliteConnection, row: &IndexRow) -> QueryResult<()> {
    let number = take_number(c, row)?;
    write(c, number, row)
}

fn write(c: &mut SqliteConnection, number: i64, row: &IndexRow) -> QueryResult<()> {
    let terms: Vec<&str> = row.terms.iter().collect();
    let insert =
        diesel::sql_query("INSERT OR REPLACE INTO message_terms (rowid, terms) VALUES (?, ?)")
            .bind::<BigInt, _>(number)
            .bind::<Text, _>(terms.join(" "));
    prepared(insert).execute(c).map(|_| ())
}

/// Takes the next free number of the message's millisecond.
fn take_number(c: &mut SqliteConnection, row: &IndexRow) -> QueryResult<i64> {
    let mut first = of_time(row.created_at.0);
    let number = loop {
        let last = first + PER_MILLI - 1;
        let free = diesel::sql_query(
            "SELECT coalesce(max(number) + 1, ?1) AS number FROM message_search WHERE number BETWEEN ?1 AND ?2",
        )
        .bind::<BigInt, _>(first)
        .bind::<BigInt, _>(last);
        let Number { number } = prepared(free).get_result(c)?;
        if number <= last {
            break number;
        }
        first += PER_MILLI;
    };
    let insert = diesel::sql_query("INSERT INTO message_search (number, message_id) VALUES (?, ?)")
        .bind::<BigInt, _>(number)
        .bind::<Uid, _>(row.message_id);
    prepared(insert).execute(c)?;
    Ok(number)
}

/// Returns the first number of a timestamp's millisecond. All times that the API allows fit.
const fn of_time(micros: i64) -> i64 {
    micros.div_euclid(1000).saturating_mul(PER_MILLI)
}

/// Returns matches in the order of their numbers, highest first.
pub(crate) async fn search(c: &mut Conn, request: &SearchRequest) -> QueryResult<MatchRows> {
    let request = request.clone();
    c.spawn_blocking(move |c| find(c, &request, BOUNDS)).await
}

/// Returns the range of numbers that covers the requested messages, and some others of the same milliseconds.
fn numbers(c: &mut SqliteConnection, request: &SearchRequest) -> QueryResult<Range<i64>> {
    let position = |(number, _): (i64, Id)| number;
    let starts = [
        request.created_after.map(|at| of_time(at.0)),
        request.up_to.map(position),
    ];
    let before = request.created_before.map(|before| end_of(c, before));
    let ends = [
        before.transpose()?,
        request.beyond.map(position),
        request.from.map(|from| position(from).saturating_add(1)),
    ];
    let start = starts.into_iter().flatten().max().unwrap_or(i64::MIN);
    let end = ends.into_iter().flatten().min().unwrap_or(i64::MAX);
    Ok(start..end)
}

/// Returns the end of the numbers of messages from before a timestamp: that of its millisecond, or of a later one if
/// messages overflowed into it because theirs was full.
fn end_of(c: &mut SqliteConnection, before: Instant) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Block {
        #[diesel(sql_type = BigInt)]
        numbers: i64,
        #[diesel(sql_type = BigInt)]
        early: i64,
    }
    let mut end = of_time(before.0);
    loop {
        let block = diesel::sql_query(
            "SELECT count(*) AS numbers, count(*) FILTER (WHERE m.created_at < ?) AS early \
             FROM message_search n CROSS JOIN messages m ON m.id = n.message_id WHERE n.number >= ? AND n.number < ?",
        );
        let next = end.saturating_add(PER_MILLI);
        let Block { numbers, early } = block
            .bind::<TimestampColumn, _>(before)
            .bind::<BigInt, _>(end)
            .bind::<BigInt, _>(next)
            .get_result(c)?;
        if early == 0 && numbers < PER_MILLI {
            return Ok(end);
        }
        end = next;
    }
}

/// Finds matches in the order of their numbers, and reads no further than to the last result.
///
/// A search by a rare status compares numbers. It reads at most [`Bounds::few`] of the messages in the status, in each of
/// two ranges, and at most those of all messages with the words, [`Bounds::scanned`] of them twice; it reads the rows of its
/// results only. By any other status it reads the row of each match. It reaches the end of the matches only if too few of
/// them are in the status.
fn find(
    c: &mut SqliteConnection,
    request: &SearchRequest,
    bounds: Bounds,
) -> QueryResult<MatchRows> {
    let numbers = numbers(c, request)?;
    let search = Search {
        request,
        terms: fts_terms(c, request)?,
        status: StatusFilter::of(c, request, bounds.few)?,
    };
    // The range is split at the first match that is not scanned, unless every match is a result.
    let split: Option<Number> = match search.status {
        StatusFilter::Any => None,
        StatusFilter::Rare(_) if request.narrower.is_empty() => None,
        StatusFilter::Rare(_) | StatusFilter::Common(_) => search
            .match_after(numbers.clone(), bounds.scanned)
            .get_result(c)
            .optional()?,
    };
    let Some(Number { number: next }) = split else {
        let found: Vec<MatchRow> = search.results(numbers, limit(request.limit)).load(c)?;
        let is_last = found.len() < request.limit;
        return Ok((found, is_last));
    };
    let middle = next.saturating_add(1);
    let newer = search.results(middle..numbers.end, limit(request.limit));
    let mut found: Vec<MatchRow> = newer.load(c)?;
    // A range that is read again is read in full: matches that are not visible were not counted in `enough`.
    let enough = request.up_to.map_or(request.enough, |_| request.limit);
    if found.len() >= enough {
        return Ok((found, false));
    }
    let wanted = enough - found.len();
    let older: Vec<MatchRow> = search
        .results(numbers.start..middle, limit(wanted))
        .load(c)?;
    let is_last = older.len() < wanted;
    found.extend(older);
    Ok((found, is_last))
}

fn limit(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns the terms for FTS5. If there is no other owner, the owner's term selects nothing, and looking it up for each
/// match would double the cost; the owner of a match is checked in any case.
fn fts_terms(c: &mut SqliteConnection, request: &SearchRequest) -> QueryResult<String> {
    if request.narrower.is_empty() {
        return Ok(fts(&request.terms));
    }
    let others = diesel::sql_query(
        "SELECT EXISTS (SELECT 1 FROM stat_totals WHERE owner < ?1) \
         OR EXISTS (SELECT 1 FROM stat_totals WHERE owner > ?1) AS number",
    );
    let Number { number: others } =
        prepared(others.bind::<Text, _>(&request.owner)).get_result(c)?;
    let terms = if others == 0 {
        &request.narrower
    } else {
        &request.terms
    };
    Ok(fts(terms))
}

/// Status filter of a search.
enum StatusFilter {
    /// In any status.
    Any,
    /// In this status, which few messages have.
    Rare(StateMessages),
    /// In this status, which many messages have, or an unknown number.
    Common(&'static str),
}

impl StatusFilter {
    fn of(c: &mut SqliteConnection, request: &SearchRequest, few: i64) -> QueryResult<Self> {
        let Some(status) = request.status else {
            return Ok(Self::Any);
        };
        let rare = StateMessages::find(c, request, status, few)?;
        Ok(rare.map_or(Self::Common(status), Self::Rare))
    }
}

/// A search, and its terms for FTS5.
struct Search<'a> {
    request: &'a SearchRequest,
    terms: String,
    status: StatusFilter,
}

/// Joins the rows of a match, `t`. The order of the tables is fixed, and that of the matches is the order of the results,
/// so that nothing is sorted and no match after the last result is read.
const ROWS: &str = " t CROSS JOIN message_search n ON n.number = t.rowid CROSS JOIN messages m ON m.id = n.message_id \
     CROSS JOIN conversations c ON c.id = m.conversation_id WHERE ";

impl Search<'_> {
    /// Up to `limit` results, the highest numbers first.
    fn results(&self, numbers: Range<i64>, limit: i64) -> Statement {
        let query = shown(self.request);
        let query = match &self.status {
            // Without words every message in the status is a result.
            StatusFilter::Rare(messages) if self.request.narrower.is_empty() => {
                let query = query.sql(format!("message_search{ROWS}t.rowid IN ("));
                messages.numbers(query, self.request).sql(")")
            }
            // `+`: otherwise FTS5 looks up the words once for each number.
            StatusFilter::Rare(messages) => {
                let query = self.matches(query).sql(" AND +t.rowid IN (");
                messages.numbers(query, self.request).sql(")")
            }
            // Literal, as every status: see `RESTING`.
            StatusFilter::Common(status) => self
                .matches(query)
                .sql(format!(" AND m.status = '{status}'")),
            StatusFilter::Any => self.matches(query),
        };
        within(query.sql(" AND "), numbers)
            .sql(" ORDER BY t.rowid DESC LIMIT ?")
            .bind::<BigInt, _>(limit)
    }

    /// Adds the matches of the words, with their rows.
    fn matches(&self, query: Statement) -> Statement {
        query
            .sql(format!("message_terms{ROWS}t.message_terms MATCH ?"))
            .bind::<Text, _>(self.terms.clone())
    }

    /// The number of the match after the first `matches`.
    fn match_after(&self, numbers: Range<i64>, matches: i64) -> Statement {
        let query = diesel::sql_query(
            "SELECT t.rowid AS number FROM message_terms t WHERE t.message_terms MATCH ? AND ",
        );
        let query = query.into_boxed::<Db>().bind::<Text, _>(self.terms.clone());
        within(query, numbers)
            .sql(" ORDER BY t.rowid DESC LIMIT 1 OFFSET ?")
            .bind::<BigInt, _>(matches)
    }
}

/// Selects the columns of each match, and whether it is visible.
fn shown(request: &SearchRequest) -> Statement {
    let query = diesel::sql_query(
        "SELECT n.number AS position, n.message_id, m.subject, substr(m.body, 1, ?) AS head, c.title, c.deleted_at IS NULL",
    )
    .into_boxed::<Db>()
    .bind::<BigInt, _>(request.head);
    let query = narrowed(query.sql(" AND "), request);
    let times = [
        (" AND m.created_at >= ?", request.created_after),
        (" AND m.created_at < ?", request.created_before),
    ];
    let query = times
        .into_iter()
        .fold(query, |query, (condition, at)| match at {
            Some(at) => query.sql(condition).bind::<TimestampColumn, _>(at),
            None => query,
        });
    query.sql(" AS shown FROM ")
}

/// Adds the bounds of the numbers.
fn within(query: Statement, numbers: Range<i64>) -> Statement {
    query
        .sql("t.rowid >= ? AND t.rowid < ?")
        .bind::<BigInt, _>(numbers.start)
        .bind::<BigInt, _>(numbers.end)
}

/// Joins the terms in quotes; a term contains none. All must occur.
fn fts(terms: &Terms) -> String {
    let mut text = String::new();
    for term in terms.iter() {
        text.push('"');
        text.push_str(term);
        text.push_str("\" ");
    }
    text
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use diesel_migrations::MigrationHarness as _;
    use parlance_domain::search::{Language, query};

    use super::*;

    #[derive(QueryableByName)]
    struct Detail {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    fn database() -> SqliteConnection {
        let mut c = SqliteConnection::establish(":memory:").unwrap();
        c.run_pending_migrations(crate::migrate::SQLITE).unwrap();
        c
    }

    fn search(request: &SearchRequest, status: StatusFilter) -> Search<'_> {
        Search {
            request,
            terms: fts(&request.terms),
            status,
        }
    }

    fn plan(statement: &Statement) -> Vec<String> {
        let mut c = database();
        let text = diesel::debug_query::<Db, _>(statement).to_string();
        let (text, _) = text.split_once(" -- binds").unwrap();
        let details: Vec<Detail> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {text}"))
            .load(&mut c)
            .unwrap();
        details.into_iter().map(|row| row.detail).collect()
    }

    fn request() -> SearchRequest {
        SearchRequest {
            owner: "acme".to_owned(),
            terms: query("a b acme", Language::Simple),
            narrower: query("a b", Language::Simple),
            user: Some("ada".to_owned()),
            channel: Some("sms"),
            direction: Some("inbound"),
            status: None,
            counted: Some(0),
            created_after: Some(Instant(0)),
            created_before: Some(Instant(1)),
            beyond: None,
            from: None,
            up_to: None,
            enough: 51,
            limit: 1000,
            head: 1,
        }
    }

    /// The matches come in the wanted order, so that only the wanted number is read; everything else is found by its
    /// key.
    #[test]
    fn matches_are_read_in_their_order() {
        let request = request();
        for status in [StatusFilter::Any, StatusFilter::Common("delivered")] {
            let plan = plan(&search(&request, status).results(0..9, 10));
            assert!(
                plan[0].starts_with("SCAN t VIRTUAL TABLE INDEX"),
                "{plan:#?}"
            );
            let rest = &plan[1..];
            assert!(
                rest.iter().all(|line| line.starts_with("SEARCH")),
                "{plan:#?}"
            );
        }
    }

    /// The messages of a state are read once, and of a match only its number is read before it is known to be one of
    /// them.
    #[test]
    fn messages_of_a_rare_state_are_read_first() {
        let (with_words, mut c) = (request(), database());
        let without_words = SearchRequest {
            terms: query("acme", Language::Simple),
            narrower: query("", Language::Simple),
            ..request()
        };
        for (status, position) in [
            ("failed", "messages_resting (owner=? AND status=?)"),
            ("canceled", "messages_resting (owner=? AND status=?)"),
            ("sent", "INDEX messages_open"),
            ("sending", "SCAN d"),
        ] {
            for request in [&with_words, &without_words] {
                let rare = StateMessages::find(&mut c, request, status, 10)
                    .unwrap()
                    .unwrap();
                let plan = plan(&search(request, StatusFilter::Rare(rare)).results(0..9, 10));
                let first = |what: &str| plan.iter().position(|line| line.contains(what));
                let (position, rows) = (first(position), first("SEARCH c USING"));
                assert!(position.is_some() && position < rows, "{plan:#?}");
                let words = first("SCAN t VIRTUAL TABLE INDEX");
                assert_eq!(words.is_some(), !request.narrower.is_empty(), "{plan:#?}");
                assert_eq!(first("TEMP B-TREE"), None, "{plan:#?}");
                let full = plan.iter().filter(|line| {
                    line.starts_with("SCAN m") && !line.contains("INDEX")
                        || *line == "SCAN n"
                        || *line == "SCAN c"
                        || *line == "SCAN t"
                });
                assert_eq!(full.count(), 0, "{plan:#?}");
            }
        }
    }

    #[test]
    fn every_valid_time_has_numbers() {
        let (first, last) = (-62_135_596_800_000_000, 253_402_300_799_999_999);
        assert!(of_time(first) < of_time(0) && of_time(0) == 0 && of_time(0) < of_time(last));
        assert!(of_time(last).checked_add(1 << 40).is_some());
        assert_eq!(of_time(-1), -PER_MILLI);
    }
}
