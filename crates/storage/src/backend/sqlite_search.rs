//! Search on SQLite: FTS5, which gives matches in the order of their numbers as fast as they are taken.

use std::ops::Range;

use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection;
use parlance_domain::search::Terms;

use super::sqlite::{Conn, Db};
use crate::fields::sql::{Moment, Uid};
use crate::fields::{Id, Instant};
use crate::prepared::prepared;
use crate::rows::feed::NewFeedRow;
use crate::rows::search::{Asked, Found, FoundRow, IndexRow};
use crate::schema::feed;

/// Numbers of one millisecond; when they are taken the next one's are.
const PER_MILLI: i64 = 1024;
/// How many matches are looked at for one in a certain state, before that state is looked at for matches.
const SCANNED: i64 = 8000;
/// How many messages of a state are looked at one by one.
const FEW: i64 = 2500;
/// And how many before any match is looked at: each costs about 25 times what a match does.
const SOONER: i64 = SCANNED / 25;

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
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
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
    c.spawn_blocking(move |c| find(c, &asked)).await
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

fn find(c: &mut SqliteConnection, asked: &Asked) -> QueryResult<Found> {
    let limit = i64::try_from(asked.limit).unwrap_or(i64::MAX);
    let numbers = numbers(c, asked)?;
    let Some(status) = asked.status else {
        let found: Vec<FoundRow> = by_terms(asked, numbers, None, limit, limit).load(c)?;
        let is_last = found.len() < asked.limit;
        return Ok((found, is_last));
    };
    let in_state = count_in_state(c, asked, status)?;
    if in_state > SOONER {
        let found: Vec<FoundRow> =
            by_terms(asked, numbers.clone(), Some(status), SCANNED, limit).load(c)?;
        if found.len() >= asked.enough {
            return Ok((found, false));
        }
    }
    if in_state <= FEW {
        let found: Vec<FoundRow> = by_status(asked, numbers, status, limit).load(c)?;
        let is_last = found.len() < asked.limit;
        return Ok((found, is_last));
    }
    // However far it is to enough of them, and no further.
    let enough = i64::try_from(asked.enough).unwrap_or(i64::MAX);
    let found: Vec<FoundRow> = by_terms(asked, numbers, Some(status), i64::MAX, enough).load(c)?;
    let is_last = found.len() < asked.enough;
    Ok((found, is_last))
}

/// How many messages are in that state, if few; only of those states that have an index.
fn count_in_state(c: &mut SqliteConnection, asked: &Asked, status: &str) -> QueryResult<i64> {
    if !RESTING.contains(&status) {
        return Ok(i64::MAX);
    }
    let counted = diesel::sql_query(format!(
        "SELECT count(*) AS number FROM (SELECT 1 FROM messages INDEXED BY messages_resting \
         WHERE owner = ? AND status = '{status}' LIMIT ?)"
    ));
    let Number { number } = counted
        .bind::<Text, _>(&asked.owner)
        .bind::<BigInt, _>(FEW + 1)
        .get_result(c)?;
    Ok(number)
}

/// The states that the index has; a statement with the word in it is seen to imply the index's condition.
const RESTING: [&str; 6] = [
    "scheduled",
    "uncertain",
    "undelivered",
    "failed",
    "expired",
    "canceled",
];

type Statement = BoxedSqlQuery<'static, Db, SqlQuery>;

/// In the order of numbers: so many matches, and of those so many in that state.
fn by_terms(
    asked: &Asked,
    numbers: Range<i64>,
    status: Option<&str>,
    matches: i64,
    limit: i64,
) -> Statement {
    let query = stretch(shown(asked), numbers, "rowid", |query| {
        query
            .sql("(SELECT rowid AS number FROM message_terms WHERE message_terms MATCH ? AND ")
            .bind::<Text, _>(fts(&asked.terms))
    });
    let query = query
        .sql(
            " ORDER BY rowid DESC LIMIT ?) w CROSS JOIN message_search n ON n.number = w.number \
              CROSS JOIN messages m ON m.id = n.message_id CROSS JOIN conversations c ON c.id = m.conversation_id",
        )
        .bind::<BigInt, _>(matches);
    let query = match status {
        Some(status) => query.sql(format!(" WHERE m.status = '{status}'")),
        None => query,
    };
    query
        .sql(" ORDER BY w.number DESC LIMIT ?")
        .bind::<BigInt, _>(limit)
}

/// By the state: whether each is a match. To look up a term costs more than all else here, and that of the owner says nothing.
fn by_status(asked: &Asked, numbers: Range<i64>, status: &str, limit: i64) -> Statement {
    let terms = fts(&asked.narrower);
    let (each, matching) = if terms.is_empty() {
        ("", "")
    } else {
        (
            " CROSS JOIN message_terms w ON w.rowid = n.number",
            " AND w.message_terms MATCH ?",
        )
    };
    let query = stretch(shown(asked), numbers, "n.number", |query| {
        let query = query
            .sql(format!(
                "messages m INDEXED BY messages_resting CROSS JOIN message_search n ON n.message_id = m.id{each} \
                 CROSS JOIN conversations c ON c.id = m.conversation_id WHERE m.status = '{status}' AND m.owner = ?{matching}"
            ))
            .bind::<Text, _>(asked.owner.clone());
        let query = if terms.is_empty() {
            query
        } else {
            query.bind::<Text, _>(terms)
        };
        query.sql(" AND ")
    });
    query
        .sql(" ORDER BY n.number DESC LIMIT ?")
        .bind::<BigInt, _>(limit)
}

/// What is read of each, and whether it is to be seen.
fn shown(asked: &Asked) -> Statement {
    let query = diesel::sql_query(
        "SELECT n.number AS place, n.message_id, m.subject, substr(m.body, 1, ?) AS head, c.title, c.deleted_at IS NULL",
    )
    .into_boxed::<Db>()
    .bind::<BigInt, _>(asked.head);
    let query = query
        .sql(" AND m.owner = ?")
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
    let query = texts.into_iter().fold(query, add);
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

/// From where and up to where.
fn stretch(
    query: Statement,
    numbers: Range<i64>,
    number: &str,
    from: impl FnOnce(Statement) -> Statement,
) -> Statement {
    from(query)
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
mod tests {
    use diesel_migrations::MigrationHarness as _;
    use parlance_domain::search::{Language, query};

    use super::*;

    #[derive(QueryableByName)]
    struct Detail {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    fn plan(statement: &Statement) -> Vec<String> {
        let mut c = SqliteConnection::establish(":memory:").unwrap();
        c.run_pending_migrations(crate::migrate::SQLITE).unwrap();
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
        for status in [None, Some("delivered")] {
            let plan = plan(&by_terms(&asked(), 0..9, status, 10, 10));
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

    #[test]
    fn rare_states_are_found_by_their_index() {
        for status in RESTING {
            let plan = plan(&by_status(&asked(), 0..9, status, 10));
            assert!(
                plan[0].contains("m USING INDEX messages_resting (owner=? AND status=?)"),
                "{plan:#?}"
            );
            assert!(
                plan.iter().any(
                    |line| line.starts_with("SCAN w VIRTUAL TABLE INDEX") && line.contains('=')
                ),
                "{plan:#?}"
            );
        }
        // Without words they all are matches.
        let mut any = asked();
        any.narrower = query("", Language::Simple);
        let plan = plan(&by_status(&any, 0..9, "failed", 10));
        assert!(
            !plan.iter().any(|line| line.contains("VIRTUAL TABLE")),
            "{plan:#?}"
        );
    }

    #[test]
    fn every_time_of_the_contract_has_numbers() {
        let (first, last) = (-62_135_596_800_000_000, 253_402_300_799_999_999);
        assert!(of_time(first) < of_time(0) && of_time(0) == 0 && of_time(0) < of_time(last));
        assert!(of_time(last).checked_add(1 << 40).is_some());
        assert_eq!(of_time(-1), -PER_MILLI);
    }
}
