//! Lists are bounded by their indexes: the plans of the statements that really run, on tables that are large enough for
//! an index.
//!
//! Postgres logs each statement with its plan (`auto_explain`); SQLite explains the same statement.

use parlance_domain::{Channel, ConversationId, ConversationStatus, MessageId, Owner, Timestamp};
use parlance_storage::db::conversation::ConversationFilter;
use parlance_storage::db::message::{AgedMessage, MessageRange};
use parlance_storage::feed::Position;
use parlance_testkit::{Postgres, PostgresConfig, eventually};
use uuid::Uuid;

use crate::support::write::append_uncommitted;
use crate::support::{Db, Kind, SOON, at, committed, open, owner};

/// Conversations of `acme` (half of them unread) and of another owner, and as many messages in one of them.
pub(crate) async fn fill(db: &Db, rows: i64) {
    let (id, time, numbers, done) = match db.kind {
        Kind::Postgres => (
            "lpad(to_hex(n), 32, '0')::uuid",
            "to_timestamp(1700000000 + n)",
            format!("SELECT n FROM generate_series(1, {rows}) n"),
            "ANALYZE",
        ),
        Kind::Sqlite => (
            "CAST(printf('%016d', n) AS blob)",
            "(1700000000 + n) * 1000000",
            format!(
                "SELECT value AS n FROM json_each('[' || substr(replace(hex(zeroblob({rows})), '00', ',1'), 2) || ']')"
            ),
            "ANALYZE",
        ),
    };
    // json_each has the same value each time; the key counts.
    let numbers = numbers.replace("SELECT value AS n", "SELECT key + 1 AS n");
    db.run(&format!(
        "INSERT INTO conversations (id, owner, user_label, channel, participant_from, participant_to, title, status, \
           last_sequence, read_sequence, message_count, unread_count, active_at, metadata, created_at, updated_at, \
           version, edit_version) \
         SELECT {id}, CASE WHEN n % 3 = 0 THEN 'other' ELSE 'acme' END, 'user ' || (n % 50), 'sms', '+1', '+' || n, '', \
           'active', 0, 0, 0, n % 2, {time}, '{{}}', {time}, {time}, 1, 1 FROM ({numbers}) s; \
         INSERT INTO messages (id, owner, conversation_id, sequence, channel, direction, status, from_address, to_address, \
           cc_addresses, subject, body, html_body, attachments, attempt, segments, metadata, other_fields, counts_unread, \
           created_at, updated_at, version, edit_version) \
         SELECT {id}, 'acme', (SELECT min(id::text)::uuid FROM conversations), n, 'sms', 'outbound', 'sent', '', '', '[]', \
           '', 'body', '', '[]', 0, 1, '{{}}', '{{}}', {no}, {time}, {time}, 1, 1 FROM ({numbers}) s; {done}",
        no = "n < 0",
    ).replace(
        "(SELECT min(id::text)::uuid FROM conversations)",
        match db.kind {
            Kind::Postgres => "(SELECT id FROM conversations ORDER BY id LIMIT 1)",
            Kind::Sqlite => "(SELECT min(id) FROM conversations)",
        },
    ))
    .await;
}

/// A statement and how Postgres ran it.
pub(crate) struct Ran {
    pub(crate) sql: String,
    pub(crate) plan: String,
}

impl Ran {
    /// Asserts that the statement contains these parts; the columns are those of the table.
    fn says(&self, parts: &[&str]) {
        let (_, tail) = self.sql.split_once(" FROM ").unwrap();
        for part in parts {
            assert!(tail.contains(part), "{part} is not in {tail}");
        }
    }

    /// Asserts that the index returns the rows in their order and starts at the position: nothing is sorted, and
    /// nothing is read and dropped.
    async fn bounded(&self, index: &str, sqlite: &Db) {
        let Self { sql, plan } = self;
        let of_messages = index.starts_with("messages");
        let scan = plan
            .lines()
            .position(|line| line.contains(&format!(" {index} on ")))
            .unwrap_or_else(|| panic!("{sql}\n{plan}"));
        let condition = plan.lines().nth(scan + 1).unwrap();
        let bound = if of_messages {
            "(sequence "
        } else {
            "ROW(active_at, id) < ROW("
        };
        assert!(
            condition.contains("Index Cond: ") && condition.contains(bound),
            "{sql}\n{plan}"
        );
        assert!(
            !plan.contains("Sort") && !plan.contains("Seq Scan"),
            "{sql}\n{plan}"
        );

        let plan = sqlite_plan(sqlite, sql).await;
        let index = if of_messages {
            "sqlite_autoindex_messages_2"
        } else {
            index
        };
        let bound = if of_messages {
            "sequence"
        } else {
            "(active_at,id)<(?,?)"
        };
        assert!(
            plan.contains(&format!("USING INDEX {index} (")) && plan.contains(bound),
            "{sql}\n{plan}"
        );
        assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    }
}

impl Ran {
    /// Asserts that the index returns the rows in their order between two sequences, and nothing is sorted.
    async fn oldest_first(&self, index: &str, sqlite: &Db) {
        let Self { sql, plan } = self;
        assert!(
            plan.contains(&format!("Index Scan using {index} on "))
                && plan.contains("_at < ")
                && !plan.contains("Sort"),
            "{sql}\n{plan}"
        );
        let plan = sqlite_plan(sqlite, sql).await;
        assert!(
            plan.contains(&format!("{index} (")) && plan.contains("_at<?"),
            "{sql}\n{plan}"
        );
        assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    }
}

impl Ran {
    /// The number of rows that passed the limit of the statement; needs `auto_explain.log_analyze`.
    pub(crate) fn limited_rows(&self) -> u64 {
        let limit = self.plan.lines().find_map(|node| {
            let (_, actual) = node.split_once("Limit ")?.1.split_once("(actual ")?;
            let (_, rows) = actual.split_once("rows=")?;
            rows.split(['.', ' ']).next()?.parse().ok()
        });
        limit.unwrap_or_else(|| panic!("no limit: {}\n{}", self.sql, self.plan))
    }
}

/// The last statement in the log that has `wanted` in its first line.
pub(crate) async fn last(server: &Postgres, wanted: &str) -> Ran {
    eventually(SOON, async || logged(server, wanted).pop()).await
}

/// The statements in the log that have `wanted` in their first line, oldest first.
pub(crate) fn logged(server: &Postgres, wanted: &str) -> Vec<Ran> {
    let log = std::fs::read_to_string(server.dir().join("stderr")).unwrap();
    let entries = log.split("Query Text: ").skip(1).filter_map(|entry| {
        let (sql, rest) = entry.split_once('\n')?;
        let plan: Vec<&str> = rest
            .lines()
            .take_while(|line| line.starts_with('\t'))
            .collect();
        sql.contains(wanted).then(|| Ran {
            sql: sql.to_owned(),
            plan: plan.join("\n"),
        })
    });
    entries.collect()
}

/// Runs it, and again when the generic plan has replaced the custom ones.
macro_rules! ran {
    ($server:expr, $table:literal, $call:expr) => {{
        for _ in 0..7 {
            $call.await.unwrap();
        }
        last(&$server, concat!("FROM \"", $table, "\"")).await
    }};
}

async fn sqlite_plan(db: &Db, sql: &str) -> String {
    // The parameters are numbered alike, and both databases accept this quoting.
    let sql = sql.replace('$', "?");
    db.details(&format!("EXPLAIN QUERY PLAN {sql}"))
        .await
        .join("\n")
}

/// The conversation that `fill` put the messages into.
pub(crate) fn first_conversation(db: &Db) -> ConversationId {
    ConversationId::from_uuid(match db.kind {
        Kind::Postgres => Uuid::from_u128(1),
        Kind::Sqlite => Uuid::from_bytes(*b"0000000000000001"),
    })
}

/// A server that logs each statement with its plan.
pub(crate) fn explaining(more: &[(&str, &str)]) -> Postgres {
    let settings = [
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_nested_statements", "on"),
        ("jit", "off"),
    ];
    Postgres::start(PostgresConfig {
        settings: settings
            .iter()
            .chain(more)
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        ..PostgresConfig::default()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_bounded_by_indexes() {
    let server = explaining(&[]);
    let (db, sqlite) = (Db::within(&server).await, Db::sqlite().await);
    fill(&db, 20_000).await;
    fill(&sqlite, 20_000).await;
    // One connection, so that its prepared statements reach their generic plans.
    let one = db.opened(|settings| settings.pool_size = 1).await;
    let owner: Owner = owner("acme");
    let middle = Some((at(10_000), first_conversation(&db)));
    let any = ConversationFilter::default();
    let below = MessageRange {
        above: 0,
        below: Some(10_000),
        oldest_first: false,
    };
    let above = MessageRange {
        above: 10_000,
        below: None,
        oldest_first: true,
    };

    let conversations =
        r#"(("conversations"."deleted_at" IS NULL) AND ("conversations"."owner" = $1))"#;
    let keyset = |n: i32| {
        format!(
            r#"("conversations"."active_at", "conversations"."id") < (${n}, ${})"#,
            n + 1
        )
    };
    let newest = r#" ORDER BY "active_at" DESC, "id" DESC LIMIT 64) page0 LIMIT $"#;
    let messages = r#"((("messages"."conversation_id" = $1) AND ("messages"."owner" = $2)) AND ("messages"."sequence" > $3))"#;

    let run = ran!(
        server,
        "conversations",
        one.conversations(&owner, &any, middle, 50)
    );
    run.says(&[conversations, &keyset(2), newest]);
    run.bounded("conversations_recent", &sqlite).await;
    let run = ran!(
        server,
        "messages",
        one.message_page(&owner, first_conversation(&db), below, 50)
    );
    run.says(&[
        messages,
        "EXISTS (SELECT",
        r#""messages"."sequence" < $5"#,
        r#"ORDER BY "messages"."sequence" DESC"#,
    ]);
    run.bounded("messages_conversation_id_sequence_key", &sqlite)
        .await;
    let run = ran!(
        server,
        "messages",
        one.message_page(&owner, first_conversation(&db), above, 50)
    );
    run.says(&[
        messages,
        "EXISTS (SELECT",
        r#"ORDER BY "messages"."sequence" ASC"#,
    ]);
    run.bounded("messages_conversation_id_sequence_key", &sqlite)
        .await;
}

/// A list with any filter uses the index of that filter, if the value is rare for its owner though common for others.
/// By a generic plan: planning costs more than reading. The statements of SQLite are tested in `backend/sqlite.rs`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_with_any_filter_are_bounded_by_indexes() {
    let server = explaining(&[]);
    let db = Db::within(&server).await;
    fill(&db, 20_000).await;
    let few = "owner = 'acme' AND active_at < to_timestamp(1700000010)";
    db.run(&format!(
        "UPDATE conversations SET status = 'closed', user_label = 'ana', unread_count = 0 WHERE owner = 'acme'; \
         UPDATE conversations SET status = 'active', channel = 'email', participant_from = 'us', unread_count = 1 WHERE {few}; \
         UPDATE conversations SET channel = 'email', participant_from = 'us', unread_count = 1 WHERE owner <> 'acme'; ANALYZE"
    ))
    .await;
    let one = db.opened(|settings| settings.pool_size = 1).await;
    let (owner, middle) = (owner("acme"), Some((at(10_000), first_conversation(&db))));
    for (filter, indexes) in narrowed() {
        let run = ran!(
            server,
            "conversations",
            one.conversations(&owner, &filter, middle, 50)
        );
        run.found_by(&indexes);
        let run = ran!(
            server,
            "conversations",
            one.conversations(&owner, &filter, None, 50)
        );
        assert!(
            !run.plan.contains("Sort (") && !run.plan.contains("'acme"),
            "{}\n{}",
            run.sql,
            run.plan
        );
    }
}

/// Each filter alone and with a user, and the expected indexes.
fn narrowed() -> Vec<(ConversationFilter, Vec<&'static str>)> {
    const KIND: [&str; 2] = ["conversations_of_kind", "conversations_of_kind_and_user"];
    let any = ConversationFilter::default();
    let active = ConversationFilter {
        status: Some(ConversationStatus::Active),
        ..any.clone()
    };
    let mail = ConversationFilter {
        channel: Some(Channel::Email),
        ..any.clone()
    };
    let both = ConversationFilter {
        channel: Some(Channel::Email),
        ..active.clone()
    };
    let unread = ConversationFilter {
        unread_only: true,
        ..any.clone()
    };
    let address = ConversationFilter {
        participant: Some("us".to_owned()),
        ..any.clone()
    };
    let alone = [
        (
            any,
            [vec!["conversations_recent"], vec!["conversations_of_user"]],
        ),
        (active, KIND.map(|kind| vec![kind; 3])),
        (mail, KIND.map(|kind| vec![kind; 3])),
        (both, KIND.map(|kind| vec![kind])),
        (
            unread,
            [
                vec!["conversations_unread"],
                vec!["conversations_unread_of_user"],
            ],
        ),
        (
            address,
            ["conversations_ours", "conversations_ours_of_user"]
                .map(|ours| vec![ours, "conversations_theirs"]),
        ),
    ];
    let mut all = Vec::new();
    for (filter, [alone, with_user]) in alone {
        let user = Some("ana".to_owned());
        all.push((
            ConversationFilter {
                user,
                ..filter.clone()
            },
            with_user,
        ));
        all.push((filter, alone));
    }
    all
}

impl Ran {
    /// These indexes return the rows in their order and start at the position: nothing is sorted, and only rows of an
    /// address are read and dropped.
    fn found_by(&self, indexes: &[&str]) {
        let Self { sql, plan } = self;
        let lines: Vec<&str> = plan.lines().map(str::trim).collect();
        let mut found = Vec::new();
        for lines in lines.windows(2) {
            if let Some((_, rest)) = lines[0].split_once("Index Scan Backward using ") {
                found.push(rest.split(' ').next().unwrap());
                assert!(
                    lines[1].contains('$') && lines[1].contains("ROW(active_at, id) < ROW("),
                    "{sql}\n{plan}"
                );
            }
        }
        assert_eq!(found, indexes, "{sql}\n{plan}");
        let filters = lines.iter().filter(|line| line.starts_with("Filter: "));
        let of_address = usize::from(indexes.contains(&"conversations_theirs"));
        assert_eq!(filters.count(), of_address, "{sql}\n{plan}");
        for other in ["Sort (", "Seq Scan", "Bitmap"] {
            assert!(!plan.contains(other), "{sql}\n{plan}");
        }
    }
}

/// A page of any list is read by a generic plan: planning costs more than reading.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_use_a_generic_plan() {
    let server = explaining(&[]);
    let db = Db::within(&server).await;
    fill(&db, 20_000).await;
    let one = db.opened(|settings| settings.pool_size = 1).await;
    let (owner, first): (Owner, _) = (owner("acme"), first_conversation(&db));
    let any = ConversationFilter::default();
    let all = MessageRange {
        above: 0,
        below: None,
        oldest_first: false,
    };
    for limit in [2, 51, 1000] {
        let run = ran!(
            server,
            "conversations",
            one.conversations(&owner, &any, None, limit)
        );
        assert!(run.plan.contains("(owner = $1)"), "{}", run.plan);
        let run = ran!(
            server,
            "messages",
            one.message_page(&owner, first, all, limit)
        );
        assert!(run.plan.contains("(conversation_id = $1)"), "{}", run.plan);
    }
}

/// A foreign key is checked by its index though its table was small when that was planned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_were_small_are_not_scanned() {
    let server = explaining(&[]);
    let db = Db::within(&server).await;
    let owner: Owner = owner("acme");
    let target = open(&db.open, &owner).await;
    db.run("ANALYZE").await;
    let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
    append_uncommitted(&mut tx, target.id).await.unwrap();
    committed(tx).await;
    let run = last(&server, "FOR KEY SHARE OF x").await;
    assert!(
        run.plan.contains("Index Scan using conversations_pkey"),
        "{}\n{}",
        run.sql,
        run.plan
    );
}

/// Expired rows are found by an index from the oldest on: younger ones are not read, nor those that still wait to be
/// sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_reads_only_expired_rows() {
    let server = explaining(&[]);
    let (db, sqlite) = (Db::within(&server).await, Db::sqlite().await);
    for db in [&db, &sqlite] {
        fill(db, 20_000).await;
        // A quarter waits for delivery, and half of the conversations have messages.
        db.run(
            "UPDATE messages SET status = 'pending' WHERE sequence % 4 = 0; \
             UPDATE conversations SET message_count = 1 WHERE unread_count = 0; ANALYZE",
        )
        .await;
    }
    let one = db.opened(|settings| settings.pool_size = 1).await;
    let (before, after): (Timestamp, _) = (at(2_000), at(1_000));
    let after = AgedMessage {
        owner: owner("acme"),
        conversation_id: first_conversation(&db),
        id: MessageId::from_uuid(Uuid::from_u128(7)),
        created_at: after,
    };
    let run = ran!(
        server,
        "messages",
        one.aged_messages(before, Some(&after), 500)
    );
    run.says(&["created_at\" < $1", "status NOT IN ("]);
    run.oldest_first("messages_age", &sqlite).await;
    let found = one.aged_conversations(at(1_000), None, 1).await.unwrap();
    let run = ran!(
        server,
        "conversations",
        one.aged_conversations(at(20_000), found.first(), 500)
    );
    run.says(&["message_count = 0", "active_at\" < $1"]);
    run.oldest_first("conversations_empty", &sqlite).await;

    for db in [&db, &sqlite] {
        let all = db.open.aged_messages(before, None, 20_000).await.unwrap();
        assert_eq!(all.len(), 1_500, "{:?}", db.kind);
    }
}

/// The other statements of every request: by a key, and in no other way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_use_their_keys_on_sqlite_and_postgres() {
    let db = Db::postgres().await;
    fill(&db, 20_000).await;
    let lite = Db::sqlite().await;
    fill(&lite, 20_000).await;
    let lookups = [
        (
            "SELECT 1 FROM conversations WHERE owner = 'a' AND channel = 'sms' AND participant_from = '+1' AND participant_to = '+7' \
          AND status <> 'closed' AND channel <> 'chat' AND deleted_at IS NULL",
            "conversations_pair",
        ),
        (
            "SELECT 1 FROM conversations WHERE owner = 'a' AND external_id = 'x' AND deleted_at IS NULL",
            "conversations_external",
        ),
        (
            "SELECT 1 FROM messages WHERE owner = 'a' AND provider = 'p' AND provider_message_id = 'x'",
            "messages_provider",
        ),
    ];
    for (sql, index) in lookups {
        let plan = db.texts(&format!("EXPLAIN {sql}")).await.join("\n");
        assert!(
            plan.contains(index) && !plan.contains("Seq Scan"),
            "{sql}\n{plan}"
        );
        let plan = lite
            .details(&format!("EXPLAIN QUERY PLAN {sql}"))
            .await
            .join("\n");
        assert!(plan.contains(index), "{sql}\n{plan}");
    }
    let found = db
        .open
        .conversations(
            &owner("acme"),
            &ConversationFilter {
                channel: Some(Channel::Sms),
                ..ConversationFilter::default()
            },
            None,
            3,
        )
        .await
        .unwrap();
    assert!(found.is_sorted_by(|a, b| a.created_at > b.created_at) && found.len() == 3);
    assert_eq!(
        db.open
            .feed_page(Position::default(), 1)
            .await
            .unwrap()
            .events,
        []
    );
}
