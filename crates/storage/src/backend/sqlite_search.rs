//! Search on SQLite: FTS5, which gives matches in the order of their numbers as fast as they are taken.

use std::ops::Range;

use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection;
use parlance_domain::search::Terms;

use super::sqlite::{Conn, Db};
use super::sqlite_states::Few;
use crate::fields::sql::{Moment, Uid};
use crate::fields::{Id, Instant};
use crate::prepared::prepared;
use crate::rows::feed::NewFeedRow;
use crate::rows::search::{Asked, Found, FoundRow, IndexRow};
use crate::schema::feed;

/// Numbers of one millisecond; when they are taken the next one's are.
const PER_MILLI: i64 = 1024;
/// How far a search for messages in a certain state goes before it takes another way.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Matches that are looked at before no more are than are wanted.
    scanned: i64,
    /// The same where their numbers are enough: it costs a fortieth.
    listed: i64,
    /// How many messages of a state are few: their numbers are found in the time in which so many matches are read that
    /// there would be enough for a page among them, were they more.
    few: i64,
    /// Of so many each is looked at by itself, beyond what was listed; it costs about a thousand times what a number does.
    one_by_one: i64,
}

const BOUNDS: Bounds = Bounds {
    scanned: 8000,
    listed: 10_000,
    few: 6000,
    one_by_one: 200,
};

/// Writes rows of the index, over older ones of the same messages. On one visit to the connection's thread.
pub(crate) async fn index(c: &mut Conn, rows: &[IndexRow]) -> QueryResult<()> {
    let rows = rows.to_vec();
    c.spawn_blocking(move |c| rows.iter().try_for_each(|row| index_one(c, row)))
        .await
}

/// The same for new messages: nothing is looked for that may have to give way.
pub(crate) async fn index_new(c: &mut Conn, rows: &[IndexRow]) -> QueryResult<()> {
    let rows = rows.to_vec();
    c.spawn_blocking(move |c| rows.iter().try_for_each(|row| index_new_one(c, row)))
        .await
}

/// The same for one new message together with its event.
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

#[derive(QueryableByName)]
pub(super) struct Number {
    #[diesel(sql_type = BigInt)]
    pub(super) number: i64,
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

/// The next number of the message's millisecond that is free.
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

/// The first number of a moment's millisecond. All times of the contract fit.
const fn of_time(micros: i64) -> i64 {
    micros.div_euclid(1000).saturating_mul(PER_MILLI)
}

/// Matches in the order of their numbers, highest first.
pub(crate) async fn search(c: &mut Conn, asked: &Asked) -> QueryResult<Found> {
    let asked = asked.clone();
    c.spawn_blocking(move |c| find(c, &asked, BOUNDS)).await
}

/// Those of the messages that are asked about, and of some others of the same milliseconds.
fn numbers(c: &mut SqliteConnection, asked: &Asked) -> QueryResult<Range<i64>> {
    let place = |(number, _): (i64, Id)| number;
    let starts = [
        asked.created_after.map(|at| of_time(at.0)),
        asked.up_to.map(place),
    ];
    let before = asked.created_before.map(|before| end_of(c, before));
    let ends = [
        before.transpose()?,
        asked.beyond.map(place),
        asked.from.map(|from| place(from).saturating_add(1)),
    ];
    let start = starts.into_iter().flatten().max().unwrap_or(i64::MIN);
    let end = ends.into_iter().flatten().min().unwrap_or(i64::MAX);
    Ok(start..end)
}

/// The end of the numbers that messages from before a moment have: that of its millisecond, or of a later one that they ran
/// into because theirs was full.
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
            .bind::<Moment, _>(before)
            .bind::<BigInt, _>(end)
            .bind::<BigInt, _>(next)
            .get_result(c)?;
        if early == 0 && numbers < PER_MILLI {
            return Ok(end);
        }
        end = next;
    }
}

fn find(c: &mut SqliteConnection, asked: &Asked, bounds: Bounds) -> QueryResult<Found> {
    let numbers = numbers(c, asked)?;
    let sought = Sought {
        asked,
        terms: sought_terms(c, asked)?,
    };
    let Some(status) = asked.status else {
        let limit = limit(asked.limit);
        let found: Vec<FoundRow> = sought.by_terms(numbers, None, limit, limit).load(c)?;
        let is_last = found.len() < asked.limit;
        return Ok((found, is_last));
    };
    let Some(few) = Few::of(c, asked, status, bounds.few)? else {
        let by_terms =
            |numbers, matches, limit| sought.by_terms(numbers, Some(status), matches, limit);
        let beyond = |rest, wanted| by_terms(rest, i64::MAX, wanted);
        return go_on(c, &sought, numbers, bounds.scanned, (by_terms, beyond));
    };
    if asked.narrower.is_empty() {
        let found: Vec<FoundRow> = sought.all_of(&few, numbers, limit(asked.limit)).load(c)?;
        let is_last = found.len() < asked.limit;
        return Ok((found, is_last));
    }
    let among = |numbers, matches, limit| sought.among(&few, numbers, matches, limit);
    let beyond = |rest, wanted| {
        if few.most <= bounds.one_by_one {
            sought.one_by_one(&few, rest, wanted)
        } else {
            among(rest, i64::MAX, wanted)
        }
    };
    go_on(c, &sought, numbers, bounds.listed, (among, beyond))
}

/// First those among so many matches of the terms. If they are not enough, also those beyond, however far it is to enough of
/// them, and no further.
fn go_on(
    c: &mut SqliteConnection,
    sought: &Sought<'_>,
    numbers: Range<i64>,
    matches: i64,
    (near, beyond): (
        impl Fn(Range<i64>, i64, i64) -> Statement,
        impl Fn(Range<i64>, i64) -> Statement,
    ),
) -> QueryResult<Found> {
    let asked = sought.asked;
    // Of a window that is asked for again all is wanted: what may not be seen was not counted.
    let enough = asked.up_to.map_or(asked.enough, |_| asked.limit);
    let mut found: Vec<FoundRow> = near(numbers.clone(), matches, limit(asked.limit)).load(c)?;
    if found.len() >= enough {
        return Ok((found, false));
    }
    let next = sought.after(numbers.clone(), matches).get_result(c);
    let Some(Number { number: next }) = next.optional()? else {
        return Ok((found, true));
    };
    let wanted = enough - found.len();
    let further: Vec<FoundRow> =
        beyond(numbers.start..next.saturating_add(1), limit(wanted)).load(c)?;
    let is_last = further.len() < wanted;
    found.extend(further);
    Ok((found, is_last))
}

fn limit(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The terms as FTS5 takes them. Where nobody else has anything, that of the owner says nothing, and to look it up for each
/// match costs as much as all else here; whose a match is, is looked at in any case.
fn sought_terms(c: &mut SqliteConnection, asked: &Asked) -> QueryResult<String> {
    if asked.narrower.is_empty() {
        return Ok(fts(&asked.terms));
    }
    let others = diesel::sql_query(
        "SELECT EXISTS (SELECT 1 FROM stat_totals WHERE owner < ?1) \
         OR EXISTS (SELECT 1 FROM stat_totals WHERE owner > ?1) AS number",
    );
    let Number { number: others } = prepared(others.bind::<Text, _>(&asked.owner)).get_result(c)?;
    let terms = if others == 0 {
        &asked.narrower
    } else {
        &asked.terms
    };
    Ok(fts(terms))
}

pub(super) type Statement = BoxedSqlQuery<'static, Db, SqlQuery>;

/// What is looked for, and the terms that it is looked for by.
struct Sought<'a> {
    asked: &'a Asked,
    terms: String,
}

/// The rows of matches by their numbers, `w`.
const ROWS: &str = " CROSS JOIN message_search n ON n.number = w.number CROSS JOIN messages m ON m.id = n.message_id \
     CROSS JOIN conversations c ON c.id = m.conversation_id";

impl Sought<'_> {
    /// In the order of numbers: so many matches, and of those so many in that state.
    fn by_terms(
        &self,
        numbers: Range<i64>,
        status: Option<&str>,
        matches: i64,
        limit: i64,
    ) -> Statement {
        let query = self
            .matches(shown(self.asked).sql("("), numbers, matches)
            .sql(format!(") w{ROWS}"));
        let query = match status {
            Some(status) => query.sql(format!(" WHERE m.status = '{status}'")),
            None => query,
        };
        newest(query, limit)
    }

    /// In the order of numbers: so many matches, and of those so many that are among the few. What a match is like is not
    /// read: only its number is compared with theirs.
    fn among(&self, few: &Few, numbers: Range<i64>, matches: i64, limit: i64) -> Statement {
        let query = shown(self.asked).sql("(SELECT l.number FROM (");
        let query = self
            .matches(query, numbers, matches)
            .sql(") l WHERE l.number IN (");
        let query = few.numbers(query, self.asked).sql("))");
        newest(query.sql(format!(" w{ROWS}")), limit)
    }

    /// Of the few: whether each is a match. To look up a term for one costs what a thousand matches cost that follow one another.
    fn one_by_one(&self, few: &Few, numbers: Range<i64>, limit: i64) -> Statement {
        let query = shown(self.asked).sql("(SELECT l.number FROM (");
        let query = few.numbers(query, self.asked);
        let query = stretch(query.sql(" AND "), numbers, "n.number").sql(
            ") l CROSS JOIN message_terms t ON t.rowid = l.number WHERE t.message_terms MATCH ",
        );
        let query = query.sql("?").bind::<Text, _>(fts(&self.asked.narrower));
        newest(query.sql(format!(") w{ROWS}")), limit)
    }

    /// All of the few.
    fn all_of(&self, few: &Few, numbers: Range<i64>, limit: i64) -> Statement {
        let query = few.numbers(shown(self.asked).sql("("), self.asked);
        let query = stretch(query.sql(" AND "), numbers, "n.number")
            .sql(" ORDER BY n.number DESC LIMIT ?")
            .bind::<BigInt, _>(limit);
        newest(query.sql(format!(") w{ROWS}")), limit)
    }

    /// The number of the match after so many.
    fn after(&self, numbers: Range<i64>, matches: i64) -> Statement {
        let query = diesel::sql_query("").into_boxed::<Db>();
        self.matches(query, numbers, 1)
            .sql(" OFFSET ?")
            .bind::<BigInt, _>(matches)
    }

    fn matches(&self, query: Statement, numbers: Range<i64>, limit: i64) -> Statement {
        let query = query
            .sql("SELECT rowid AS number FROM message_terms WHERE message_terms MATCH ? AND ")
            .bind::<Text, _>(self.terms.clone());
        stretch(query, numbers, "rowid")
            .sql(" ORDER BY rowid DESC LIMIT ?")
            .bind::<BigInt, _>(limit)
    }
}

fn newest(query: Statement, limit: i64) -> Statement {
    query
        .sql(" ORDER BY w.number DESC LIMIT ?")
        .bind::<BigInt, _>(limit)
}

/// What is read of each, and whether it is to be seen.
fn shown(asked: &Asked) -> Statement {
    let query = diesel::sql_query(
        "SELECT n.number AS place, n.message_id, m.subject, substr(m.body, 1, ?) AS head, c.title, c.deleted_at IS NULL",
    )
    .into_boxed::<Db>()
    .bind::<BigInt, _>(asked.head);
    let query = narrowed(query.sql(" AND "), asked);
    let times = [
        (" AND m.created_at >= ?", asked.created_after),
        (" AND m.created_at < ?", asked.created_before),
    ];
    let query = times
        .into_iter()
        .fold(query, |query, (condition, at)| match at {
            Some(at) => query.sql(condition).bind::<Moment, _>(at),
            None => query,
        });
    query.sql(" AS shown FROM ")
}

/// What is asked of a message but its time, its state and its words.
pub(super) fn narrowed(query: Statement, asked: &Asked) -> Statement {
    let query = query
        .sql("m.owner = ?")
        .bind::<Text, _>(asked.owner.clone());
    let texts = [
        (" AND c.user_label = ?", asked.user.clone()),
        (" AND m.channel = ?", asked.channel.map(str::to_owned)),
        (" AND m.direction = ?", asked.direction.map(str::to_owned)),
    ];
    let add = |query: Statement, (condition, value): (&str, Option<String>)| match value {
        Some(value) => query.sql(condition).bind::<Text, _>(value),
        None => query,
    };
    texts.into_iter().fold(query, add)
}

/// From where and up to where.
fn stretch(query: Statement, numbers: Range<i64>, number: &str) -> Statement {
    query
        .sql(format!("{number} >= ? AND {number} < ?"))
        .bind::<BigInt, _>(numbers.start)
        .bind::<BigInt, _>(numbers.end)
}

/// Each in quotes; there are none in a term. All must occur.
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

    fn sought(asked: &Asked) -> Sought<'_> {
        Sought {
            asked,
            terms: fts(&asked.terms),
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

    fn asked() -> Asked {
        Asked {
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

    /// The matches come in the order that is wanted, so that no more are taken than are; all else is found by its key.
    #[test]
    fn matches_are_taken_in_their_order() {
        let asked = asked();
        for status in [None, Some("delivered")] {
            let plan = plan(&sought(&asked).by_terms(0..9, status, 10, 10));
            assert!(
                plan[1].starts_with("SCAN message_terms VIRTUAL TABLE INDEX"),
                "{plan:#?}"
            );
            let sorted = plan.iter().position(|line| line.contains("TEMP B-TREE"));
            assert!(
                sorted.is_none_or(|at| at == plan.len() - 1),
                "only what was taken: {plan:#?}"
            );
            let others = plan[2..]
                .iter()
                .filter(|line| line.starts_with("SCAN") && !line.starts_with("SCAN w"));
            assert_eq!(others.count(), 0, "{plan:#?}");
        }
    }

    /// The messages of a state are read once, and of a match nothing but its number before it is known to be one of them.
    #[test]
    fn the_few_of_a_state_are_found_by_themselves() {
        let (asked, mut c) = (asked(), database());
        for (status, place) in [
            ("failed", "messages_resting (owner=? AND status=?)"),
            ("canceled", "messages_resting (owner=? AND status=?)"),
            ("sent", "INDEX messages_open"),
            ("sending", "SCAN d"),
        ] {
            let few = Few::of(&mut c, &asked, status, 10).unwrap().unwrap();
            let sought = sought(&asked);
            for statement in [
                sought.among(&few, 0..9, 10, 10),
                sought.one_by_one(&few, 0..9, 10),
                sought.all_of(&few, 0..9, 10),
            ] {
                let plan = plan(&statement);
                let first = |what: &str| plan.iter().position(|line| line.contains(what));
                let (place, rows) = (first(place), first("SEARCH c USING"));
                assert!(place.is_some() && place < rows, "{plan:#?}");
                let full = plan.iter().filter(|line| {
                    line.starts_with("SCAN m") && !line.contains("INDEX")
                        || *line == "SCAN n"
                        || *line == "SCAN c"
                });
                assert_eq!(full.count(), 0, "{plan:#?}");
            }
        }
    }

    #[test]
    fn every_time_of_the_contract_has_numbers() {
        let (first, last) = (-62_135_596_800_000_000, 253_402_300_799_999_999);
        assert!(of_time(first) < of_time(0) && of_time(0) == 0 && of_time(0) < of_time(last));
        assert!(of_time(last).checked_add(1 << 40).is_some());
        assert_eq!(of_time(-1), -PER_MILLI);
    }
}
