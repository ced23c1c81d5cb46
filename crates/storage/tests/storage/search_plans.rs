//! Searches are bounded by their indexes: the plans of the statements that really run on Postgres, over a hundred
//! thousand messages. The statements of SQLite are tested in `backend/sqlite/search.rs`.

use parlance_domain::search::{Language, Scope, query};
use parlance_domain::{ConversationId, MessageStatus, Owner};
use parlance_storage::db::search::{SearchFilter, SearchWindow};
use parlance_testkit::{Postgres, PostgresConfig, eventually};

use crate::support::{Db, SOON, at, owner};

/// 100,000 messages of 100 conversations of one owner. `half` is in every second one, `hundredth` and `rare` in as many
/// as they say, `before` in every one of the older half and in no other; one in a thousand has failed.
async fn fill(db: &Db, owner: &Owner) {
    let term = |scope: Scope<'_>| {
        let terms = query("", Language::Simple).within(scope);
        terms.iter().next().unwrap().to_owned()
    };
    let (of_owner, of_user) = (term(Scope::Owner(owner)), term(Scope::User("user 7")));
    let id = |n: &str| format!("lpad(to_hex({n}), 32, '0')::uuid");
    db.run(&format!(
        "INSERT INTO conversations (id, owner, user_label, channel, participant_from, participant_to, title, status, \
           last_sequence, read_sequence, message_count, unread_count, active_at, metadata, created_at, updated_at, \
           version, edit_version) \
         SELECT {conversation}, '{owner}', 'user ' || n, 'sms', '+1', '+' || n, '', 'active', 0, 0, 0, 0, now(), '{{}}', now(), \
           now(), 1, 1 FROM generate_series(0, 99) n; \
         INSERT INTO messages (id, owner, conversation_id, sequence, channel, direction, status, from_address, to_address, \
           cc_addresses, subject, body, html_body, attachments, attempt, segments, metadata, other_fields, counts_unread, \
           created_at, updated_at, version, edit_version) \
         SELECT {message}, '{owner}', {of}, n, 'sms', 'outbound', CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'delivered' END, \
           '', '', '[]', '', 'body', '', '[]', 0, 1, '{{}}', '{{}}', false, {time}, {time}, 1, 1 \
         FROM generate_series(1, 100000) n; \
         INSERT INTO message_search (message_id, owner, conversation_id, created_at, terms) \
         SELECT {message}, '{owner}', {of}, {time}, ('''{of_owner}'' w' || n % 5000 \
           || CASE WHEN n % 2 = 0 THEN ' half' ELSE '' END || CASE WHEN n % 100 = 0 THEN ' hundredth' ELSE '' END \
           || CASE WHEN n % 20000 = 1 THEN ' rare' ELSE '' END || CASE WHEN n < 50000 THEN ' before' ELSE '' END \
           || CASE WHEN n % 100 = 7 THEN ' ''{of_user}''' ELSE '' END)::tsvector \
         FROM generate_series(1, 100000) n; \
         INSERT INTO stat_totals (owner, user_label, what, channel, status, items, unread_items, unread, tokens) \
         SELECT '{owner}', '', 'outbound', 'sms', status, count(*), 0, 0, 0 FROM messages GROUP BY status; \
         VACUUM ANALYZE",
        conversation = id("n"),
        message = id("n + 1000"),
        of = id("n % 100"),
        time = "to_timestamp(1700000000 + n)",
    ).replace("; VACUUM ANALYZE", ""))
    .await;
    db.run("VACUUM ANALYZE").await;
}

/// The plans of the statements that ran since, in order.
async fn plans(server: &Postgres, seen: &mut usize, expected: usize) -> Vec<String> {
    let found = eventually(SOON, async || {
        let log = std::fs::read_to_string(server.dir().join("stderr")).unwrap();
        let entries = log
            .split("Query Text: ")
            .skip(1)
            .filter(|entry| entry.starts_with("SELECT (extract(epoch"));
        let plans: Vec<String> = entries
            .skip(*seen)
            .map(|entry| {
                let rest = entry.split_once('\n').map_or("", |(_, rest)| rest);
                rest.lines()
                    .take_while(|line| line.starts_with('\t'))
                    .collect::<Vec<_>>()
                    .join("\n")
            })
            .collect();
        (plans.len() >= expected).then_some(plans)
    })
    .await;
    *seen += found.len();
    found
}

const NEWEST: &str = "message_search_recent on";
const WORDS: &str = "Bitmap Index Scan on message_search_terms";
const STRETCH: SearchWindow = SearchWindow {
    beyond: None,
    from: None,
    up_to: None,
    enough: 51,
    limit: 1000,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_are_bounded_by_indexes() {
    let settings = [
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_timing", "off"),
        ("jit", "off"),
        ("max_parallel_workers_per_gather", "0"),
    ];
    let server = Postgres::start(PostgresConfig {
        settings: settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..PostgresConfig::default()
    });
    let (db, owner) = (Db::within(&server).await, owner("acme"));
    fill(&db, &owner).await;
    let any = SearchFilter::default();
    let of_user = SearchFilter {
        user: Some("user 7".to_owned()),
        ..any.clone()
    };
    let failed = SearchFilter {
        status: Some(MessageStatus::Failed),
        ..any.clone()
    };
    let early = SearchFilter {
        created_before: Some(at(10_000)),
        ..any.clone()
    };
    let nowhere = SearchFilter {
        conversation_id: Some(ConversationId::from_uuid(uuid::Uuid::from_u128(1 << 100))),
        ..any.clone()
    };

    let mut seen = 0;
    for (text, filter, found, expected) in [
        // Common: the newest messages, with any filter.
        ("half", &any, 1000, &[NEWEST][..]),
        ("half hundredth", &any, 40, &[NEWEST, WORDS]),
        ("half", &early, 1000, &[NEWEST]),
        ("", &any, 1000, &[NEWEST]),
        ("", &early, 1000, &[NEWEST]),
        // Rare: the index of words.
        ("rare", &any, 5, &[NEWEST, WORDS]),
        ("half rare", &any, 0, &[NEWEST, WORDS]),
        ("nothing", &any, 0, &[NEWEST, WORDS]),
        ("rare", &early, 1, &[NEWEST, WORDS]),
        ("w7", &of_user, 20, &[NEWEST, WORDS]),
        ("", &of_user, 1000, &[NEWEST, WORDS]),
        ("half", &nowhere, 0, &[NEWEST, WORDS]),
        ("", &failed, 100, &[NEWEST, "messages_resting on"]),
        ("half", &failed, 100, &[NEWEST, "messages_resting on"]),
        // Common in the past, and far away.
        ("before", &any, 1000, &[NEWEST, ""]),
    ] {
        let words = query(text, Language::Simple);
        let matches = db
            .open
            .search(&owner, &words, filter, STRETCH)
            .await
            .unwrap();
        let plans = plans(&server, &mut seen, expected.len()).await;
        assert_eq!(
            plans.len(),
            expected.len(),
            "{text} {filter:?}\n{}",
            plans.join("\n\n")
        );
        for (plan, index) in plans.iter().zip(expected) {
            assert!(
                plan.contains(index),
                "{text} {filter:?} without {index}\n{plan}"
            );
            if !index.is_empty() {
                assert!(
                    !plan.contains("Seq Scan on messages")
                        && !plan.contains("Seq Scan on message_search"),
                    "{text}\n{plan}"
                );
            }
        }
        if text == "half hundredth" {
            continue;
        }
        assert_eq!(matches.matches.len(), found, "{text} {filter:?}");
    }
}
