//! A search returns what a scan of all messages returns, whatever its bounds.

use diesel::connection::SimpleConnection as _;
use diesel_migrations::MigrationHarness as _;
use parlance_domain::search::{Language, Scope, document, query};
use parlance_domain::{Channel, ConversationId, Direction, MessageStatus, Owner};
use uuid::Uuid;

use super::*;
use crate::model::search::{SearchFilter, SearchPosition, SearchWindow};

const USERS: [&str; 3] = ["ada", "bob", "eve"];
/// Half of the messages have been delivered, and a few are in each of these states.
const STATES: [MessageStatus; 12] = [
    MessageStatus::Scheduled,
    MessageStatus::Pending,
    MessageStatus::Sending,
    MessageStatus::Uncertain,
    MessageStatus::Sent,
    MessageStatus::Delivered,
    MessageStatus::Read,
    MessageStatus::Undelivered,
    MessageStatus::Failed,
    MessageStatus::Expired,
    MessageStatus::Canceled,
    MessageStatus::Received,
];

/// A message to be found; its number is its position in time.
struct TestMessage {
    id: Uuid,
    owner: usize,
    user: &'static str,
    direction: Direction,
    status: MessageStatus,
    words: Vec<&'static str>,
    hidden: bool,
}

fn owners() -> [Owner; 2] {
    ["acme", "other"].map(|name| Owner::parse(name).unwrap())
}

/// Pseudo-random numbers, the same each time.
fn chance(n: u64, below: u64) -> u64 {
    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) % below
}

fn test_messages(owners: usize) -> Vec<TestMessage> {
    (0..240)
        .map(|n| {
            let pick =
                |salt: u64, below: u64| usize::try_from(chance(n * 16 + salt, below)).unwrap();
            let words = ["often", "half", "seldom", "old"]
                .into_iter()
                .zip([0, 1, 2, 3]);
            let words = words.filter(|(_, word)| match word {
                0 => pick(1, 8) > 0,
                1 => pick(2, 2) == 0,
                2 => pick(3, 32) == 0,
                _ => n < 60,
            });
            let conversation = pick(4, 8);
            TestMessage {
                id: Uuid::from_u128(u128::from(n) + 1),
                owner: conversation % owners,
                user: USERS[conversation / 2 % USERS.len()],
                direction: [Direction::Inbound, Direction::Outbound][pick(5, 2)],
                // The newest messages of a state are separate from the word that only old ones have.
                status: STATES[if pick(6, 2) == 0 { pick(7, 12) } else { 5 }],
                words: words.map(|(word, _)| word).collect(),
                hidden: conversation == 7,
            }
        })
        .collect()
}

/// With deliveries of the messages that are under way, or without some.
fn database(messages: &[TestMessage], deliveries: usize) -> SqliteConnection {
    let mut c = SqliteConnection::establish(":memory:").unwrap();
    c.run_pending_migrations(crate::migrate::SQLITE).unwrap();
    let owners = owners();
    let mut talks = Vec::new();
    let mut statements = vec!["PRAGMA foreign_keys = OFF".to_owned()];
    for (number, one) in messages.iter().enumerate() {
        let owner = owners[one.owner].as_str();
        let talk = (owner, one.user, one.hidden);
        let position = talks.iter().position(|other| *other == talk);
        let position = position.unwrap_or_else(|| {
            statements.extend(conversation(talks.len(), talk));
            talks.push(talk);
            talks.len() - 1
        });
        statements.push(message(number, owner, position, one));
        if number >= deliveries {
            statements.extend(delivery(owner, position, one));
        }
    }
    c.batch_execute(&statements.join(";")).unwrap();
    for (number, one) in (0..).zip(messages) {
        index_as(&mut c, number, &owners[one.owner], one);
    }
    c
}

fn conversation(position: usize, (owner, user, hidden): (&str, &str, bool)) -> [String; 2] {
    let deleted = if hidden { "7" } else { "NULL" };
    [
        format!(
            "INSERT INTO conversations (id, owner, user_label, channel, participant_from, participant_to, title, status, \
               last_sequence, read_sequence, message_count, unread_count, active_at, metadata, created_at, updated_at, \
               version, edit_version, deleted_at) VALUES (x'{position:032x}', '{owner}', '{user}', 'sms', '', '{position}', 'title', \
               'active', 0, 0, 0, 0, 0, '{{}}', 0, 0, 1, 1, {deleted})"
        ),
        format!(
            "INSERT INTO stat_totals VALUES ('{owner}', '{user}{position}', 'inbound', 'sms', 'read', 1, 0, 0, 0)"
        ),
    ]
}

fn message(number: usize, owner: &str, position: usize, one: &TestMessage) -> String {
    let (id, words) = (one.id.simple(), one.words.join(" "));
    let (direction, status) = (one.direction.as_str(), one.status.as_str());
    format!(
        "INSERT INTO messages (id, owner, conversation_id, sequence, channel, direction, status, from_address, to_address, \
           cc_addresses, subject, body, html_body, attachments, attempt, segments, metadata, other_fields, counts_unread, \
           created_at, updated_at, version, edit_version) VALUES (x'{id}', '{owner}', x'{position:032x}', {number} + 1, 'sms', \
           '{direction}', '{status}', '', '', '[]', '', '{words}', '', '[]', 0, 1, '{{}}', '{{}}', 0, {number}, 0, \
           1, 1)"
    )
}

fn delivery(owner: &str, position: usize, one: &TestMessage) -> Option<String> {
    let state = match one.status {
        MessageStatus::Scheduled => "scheduled",
        MessageStatus::Pending | MessageStatus::Sending => "waiting",
        MessageStatus::Uncertain
        | MessageStatus::Sent
        | MessageStatus::Delivered
        | MessageStatus::Read
        | MessageStatus::Undelivered
        | MessageStatus::Failed
        | MessageStatus::Expired
        | MessageStatus::Canceled
        | MessageStatus::Received => return None,
    };
    let id = one.id.simple();
    Some(format!(
        "INSERT INTO deliveries (message_id, owner, conversation_id, sequence, sender_id, channel, provider, state, attempt, \
           blocked, generation, due_at, created_at) \
           VALUES (x'{id}', '{owner}', x'{position:032x}', 1, x'00', 'sms', '', '{state}', 0, 0, 0, 0, 0)"
    ))
}

fn index_as(c: &mut SqliteConnection, number: i64, owner: &Owner, one: &TestMessage) {
    let scopes = [
        Scope::Owner(owner),
        Scope::User(one.user),
        Scope::Conversation(ConversationId::from_uuid(Uuid::nil())),
        Scope::Channel(Channel::Sms),
        Scope::Direction(one.direction),
    ];
    let row = IndexRow {
        message_id: Id(one.id),
        owner: String::new(),
        conversation_id: Id(Uuid::nil()),
        created_at: Instant(number),
        terms: document(["", "", &one.words.join(" ")], scopes, Language::Simple),
    };
    diesel::sql_query("INSERT INTO message_search (number, message_id) VALUES (?, ?)")
        .bind::<BigInt, _>(number)
        .bind::<Uid, _>(row.message_id)
        .execute(c)
        .unwrap();
    write(c, number, &row).unwrap();
}

fn fits(one: &TestMessage, owner: usize, filter: &SearchFilter) -> bool {
    one.owner == owner
        && !one.hidden
        && filter.user.as_deref().is_none_or(|user| user == one.user)
        && filter
            .direction
            .is_none_or(|direction| direction == one.direction)
        && filter.status.is_none_or(|status| status == one.status)
}

/// The bounds in use, and smaller ones: so that ranges are split, and so that no status is rare.
const BOUNDS_OF_ALL: [Bounds; 4] = [
    BOUNDS,
    Bounds {
        scanned: 7,
        few: 1000,
    },
    Bounds { scanned: 7, few: 0 },
    Bounds {
        scanned: 0,
        few: 1000,
    },
];

/// Reads page after page, each twice: the second time by its ends.
fn all(
    c: &mut SqliteConnection,
    ask: impl Fn(SearchWindow) -> SearchRequest,
    bounds: Bounds,
) -> Vec<Uuid> {
    let shown = |rows: &[MatchRow]| -> Vec<Uuid> {
        rows.iter()
            .filter(|row| row.shown)
            .map(|row| row.message_id.0)
            .collect()
    };
    let position =
        |row: Option<&MatchRow>| -> Option<SearchPosition> { row.map(MatchRow::position) };
    let mut window = SearchWindow {
        beyond: None,
        from: None,
        up_to: None,
        enough: 4,
        limit: 9,
    };
    let mut seen = Vec::new();
    loop {
        let (rows, is_last) = find(c, &ask(window), bounds).unwrap();
        let page = shown(&rows);
        if !rows.is_empty() {
            let again = SearchWindow {
                beyond: None,
                from: position(rows.first()),
                up_to: position(rows.last()),
                enough: page.len(),
                limit: 1000,
            };
            let (again, _) = find(c, &ask(again), bounds).unwrap();
            assert_eq!(shown(&again), page, "the same page, by its ends");
        }
        seen.extend(page);
        window.beyond = position(rows.last()).or(window.beyond);
        if is_last {
            return seen;
        }
        assert!(
            rows.len() >= window.enough,
            "a page that is not the last is full"
        );
    }
}

fn assert_same_as_scan(owners_of_all: usize, deliveries: usize) {
    let messages = test_messages(owners_of_all);
    let mut c = database(&messages, deliveries);
    let owner = &owners()[0];
    let states = std::iter::once(None).chain(STATES.map(Some));
    for status in states {
        for (user, direction) in [
            (None, None),
            (Some("bob"), None),
            (None, Some(Direction::Inbound)),
            (Some("ada"), Some(Direction::Outbound)),
        ] {
            let filter = SearchFilter {
                user: user.map(str::to_owned),
                direction,
                status,
                ..SearchFilter::default()
            };
            let fitting = || messages.iter().rev().filter(|one| fits(one, 0, &filter));
            let counted = status.map(|_| i64::try_from(fitting().count()).unwrap());
            for text in [
                "",
                "often",
                "half",
                "seldom",
                "old",
                "often half",
                "old seldom",
                "nothing",
            ] {
                let words: Vec<&str> = text.split_whitespace().collect();
                let has_all =
                    |one: &&TestMessage| words.iter().all(|word| one.words.contains(word));
                let expected: Vec<Uuid> = fitting().filter(has_all).map(|one| one.id).collect();
                let terms = query(text, Language::Simple);
                for bounds in BOUNDS_OF_ALL {
                    let found = all(
                        &mut c,
                        |window| SearchRequest::new(owner, &terms, &filter, window, counted),
                        bounds,
                    );
                    assert_eq!(found, expected, "{text:?} {filter:?} {bounds:?}");
                }
            }
        }
    }
}

#[test]
fn results_are_the_same_whatever_the_bounds() {
    assert_same_as_scan(2, 0);
}

/// With a single owner, its term is left out.
#[test]
fn a_single_owner() {
    assert_same_as_scan(1, 0);
}

/// A message that is under way without a delivery, which should not happen, is found too.
#[test]
fn deliveries_are_missing() {
    assert_same_as_scan(2, 120);
}
