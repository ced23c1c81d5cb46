//! Popular searches: counted, aged, bounded, and removed with the messages that they could find.

use parlance_domain::{Channel, Direction, MessageStatus, Owner, Timestamp};
use parlance_storage::db::popular::{PopularBounds, PopularSearch};
use parlance_storage::db::search::SearchFilter;
use parlance_storage::{Database, Guarded};
use uuid::Uuid;

use crate::support::{Db, at, committed, open, owner};

const DAY: i64 = 24 * 60 * 60;

const WIDE: PopularBounds = PopularBounds {
    of_owner: 100,
    in_all: 1000,
    since: None,
};

fn search(owner: &Owner, n: u128) -> PopularSearch {
    PopularSearch {
        fingerprint: Uuid::from_u128(n),
        owner: owner.clone(),
        query: format!("words {n}"),
        filter: SearchFilter::default(),
        page_size: 50,
    }
}

async fn note(db: &Database, asked: &[(PopularSearch, u64)], now: Timestamp) {
    db.note_searches(asked, WIDE, now).await.unwrap();
}

/// The fingerprints, the most popular first.
async fn stored(db: &Database) -> Vec<u128> {
    let searches = db.popular_searches(usize::MAX).await.unwrap();
    searches.iter().map(|it| it.fingerprint.as_u128()).collect()
}

on_both! {
    async fn the_most_popular_searches_come_first_unchanged(db: Db) {
        let (ours, theirs) = (owner("acme"), owner("other"));
        let conversation = open(&db.open, &ours).await;
        open(&db.open, &theirs).await;
        let narrow = PopularSearch {
            query: "ünïcode \"words\"".to_owned(),
            filter: SearchFilter {
                user: Some("ada".to_owned()),
                conversation_id: Some(conversation.id),
                channel: Some(Channel::Sms),
                direction: Some(Direction::Inbound),
                status: Some(MessageStatus::Delivered),
                created_after: Some(at(-7)),
                created_before: Some(Timestamp::from_micros(1_700_000_000_123_456)),
            },
            page_size: 7,
            ..search(&ours, 1)
        };
        let wide = search(&theirs, 2);
        note(&db.open, &[(narrow.clone(), 2), (wide.clone(), 3)], at(0)).await;
        let found = db.open.popular_searches(9).await.unwrap();
        assert_eq!(found, [wide.clone(), narrow.clone()]);
        assert_eq!(db.open.popular_searches(1).await.unwrap(), std::slice::from_ref(&wide));
        assert_eq!(db.open.popular_searches(0).await.unwrap(), []);
        note(&db.open, &[(narrow.clone(), 2)], at(60)).await;
        assert_eq!(stored(&db.open).await, [1, 2], "repeated searches add up");

        db.run("UPDATE popular_searches SET channel = 'pigeon' WHERE weight = 4").await;
        assert_eq!(db.open.popular_searches(9).await.unwrap(), [wide], "an unreadable row is skipped");
        db.open.delete_searches().await.unwrap();
        assert_eq!(db.count("popular_searches").await, 0);
    }

    async fn old_searches_are_removed(db: Db) {
        let acme = owner("acme");
        open(&db.open, &acme).await;
        note(&db.open, &[(search(&acme, 1), 9), (search(&acme, 2), 2)], at(0)).await;
        note(&db.open, &[], at(60)).await;
        let weights = "SELECT CAST(weight AS text) AS v FROM popular_searches ORDER BY weight";
        assert_eq!(db.texts(weights).await, ["2", "9"], "a day is halved once");
        note(&db.open, &[(search(&acme, 3), 5)], at(DAY)).await;
        assert_eq!(db.texts(weights).await, ["1", "4", "5"]);
        assert_eq!(stored(&db.open).await, [3, 1, 2], "of today is more than of yesterday");
        note(&db.open, &[], at(DAY)).await;
        note(&db.open, &[], at(0)).await;
        assert_eq!(db.texts(weights).await, ["1", "4", "5"], "a clock that is behind changes nothing");
        note(&db.open, &[], at(2 * DAY)).await;
        assert_eq!(stored(&db.open).await, [3, 1]);
        note(&db.open, &[], at(1000 * DAY)).await;
        assert_eq!(db.count("popular_searches").await, 0);
    }

    async fn searches_are_bounded_per_owner_and_in_all(db: Db) {
        let owners = ["a", "b", "c"].map(owner);
        for owner in &owners {
            open(&db.open, owner).await;
        }
        let bounds = PopularBounds { of_owner: 4, in_all: 10, since: None };
        let asked = (0..3000_u128).map(|n| {
            let owner = &owners[usize::try_from(n % 3).unwrap()];
            (search(owner, n), u64::try_from(n).unwrap() + 2)
        });
        let asked: Vec<_> = asked.collect();
        for some in asked.chunks(1000) {
            db.open.note_searches(some, bounds, at(0)).await.unwrap();
            assert_eq!(db.count("popular_searches").await, 10);
        }
        assert_eq!(stored(&db.open).await, (2990..3000).rev().collect::<Vec<_>>());
        let narrower = PopularBounds { of_owner: 1, ..bounds };
        db.open.note_searches(&[], narrower, at(0)).await.unwrap();
        assert_eq!(stored(&db.open).await, [2999, 2998, 2997], "one of each");
    }

    async fn expired_searches_are_removed(db: Db) {
        let acme = owner("acme");
        open(&db.open, &acme).await;
        note(&db.open, &[(search(&acme, 1), 1000), (search(&acme, 2), 1000)], at(0)).await;
        note(&db.open, &[(search(&acme, 2), 2)], at(60)).await;
        let bounds = PopularBounds { since: Some(at(30)), ..WIDE };
        db.open.note_searches(&[], bounds, at(60)).await.unwrap();
        assert_eq!(stored(&db.open).await, [2]);
    }

    async fn searches_without_possible_matches_are_removed(db: Db) {
        let (acme, other) = (owner("acme"), owner("other"));
        let of = |n, user: Option<&str>, conversation_id| PopularSearch {
            filter: SearchFilter {
                user: user.map(str::to_owned),
                conversation_id,
                ..SearchFilter::default()
            },
            ..search(&acme, n)
        };
        let first = open(&db.open, &acme).await;
        let second = open(&db.open, &acme).await;
        let asked = [
            of(1, None, None),
            of(2, Some("ada"), None),
            of(3, Some("eve"), None),
            of(4, None, Some(first.id)),
            of(5, Some("ada"), Some(second.id)),
            search(&other, 6),
        ];
        let asked = asked.map(|search| (search, 2));
        note(&db.open, &asked, at(0)).await;
        let mut left = stored(&db.open).await;
        left.sort_unstable();
        assert_eq!(left, [1, 2, 4, 5], "no user is eve, and another owner has nothing");
        for (conversation, expected) in [(first, vec![1, 2, 5]), (second, vec![])] {
            let mut tx = db.open.begin(&acme, at(0)).await.unwrap();
            let found = tx.lock_conversation(conversation.id).await.unwrap().unwrap();
            assert_eq!(tx.hide_conversation(&found).await.unwrap(), Guarded::Updated);
            committed(tx).await;
            note(&db.open, &[], at(0)).await;
            let mut left = stored(&db.open).await;
            left.sort_unstable();
            assert_eq!(left, expected);
        }
    }

    async fn instances_that_write_at_once_lose_nothing(db: Db) {
        let acme = owner("acme");
        open(&db.open, &acme).await;
        let writers = (0..8).map(|writer| {
            let (db, acme) = (db.open.clone(), acme.clone());
            tokio::spawn(async move {
                for round in 0..5 {
                    let mut asked = [(search(&acme, 1), 2), (search(&acme, 2), 3)];
                    // Not in the same order.
                    asked.rotate_left(writer % 2);
                    db.note_searches(&asked, WIDE, at(round)).await.unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let weights = "SELECT CAST(weight AS text) AS v FROM popular_searches ORDER BY weight";
        assert_eq!(db.texts(weights).await, ["80", "120"]);
    }
}
