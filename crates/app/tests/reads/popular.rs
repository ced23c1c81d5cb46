//! Popular searches: recorded for the next start, and no longer than permitted.

use std::sync::Arc;
use std::time::Duration;

use parlance_app::cache::CacheAdmin;
use parlance_app::messages::{SearchFilter, SearchMessages};
use parlance_app::{App, Environment, PageRequest, Settings};
use parlance_cache::Backend;
use parlance_domain::Owner;
use parlance_storage::Database;

use crate::db::Db;
use crate::world::World;

/// Starts an instance with its own in-process cache.
fn start_app(db: &Database, settings: Settings) -> Arc<App> {
    let env = Environment::system();
    let cache = parlance_cache::CacheSettings {
        shared_database: false,
        ..parlance_cache::CacheSettings::new(Backend::Memory, env.random_numbers())
    };
    let cache = parlance_app::cache::open(db, cache, None, &env);
    App::new(db.clone(), cache, settings, env)
}

fn with_recording() -> Settings {
    Settings {
        note_searches: true,
        ..Settings::default()
    }
}

async fn search(app: &App, owner: &Owner, query: &str, page: PageRequest) -> String {
    let request = SearchMessages {
        query: query.to_owned(),
        filter: SearchFilter::default(),
        page,
    };
    let read = app.search_messages(owner, request, None).await.unwrap();
    read.value
        .value()
        .map(|page| page.next_page_token)
        .unwrap_or_default()
}

fn first(size: usize) -> PageRequest {
    PageRequest {
        size,
        token: String::new(),
    }
}

async fn recorded(db: &Database) -> Vec<(String, usize)> {
    let searches = db.popular_searches(usize::MAX).await.unwrap();
    let mut recorded: Vec<_> = searches
        .into_iter()
        .map(|it| (it.query, it.page_size))
        .collect();
    recorded.sort();
    recorded
}

async fn both(test: impl AsyncFn(World)) {
    for db in [Db::sqlite().await, Db::postgres().await] {
        test(World::new(db, Backend::Off).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_pages_are_recorded_for_hits_and_misses() {
    both(async |world| {
        let (db, owner) = (world.db.open().await, world.owner.clone());
        for n in 0..3 {
            world.chat(&format!("chat {n}"), "hello").await;
        }
        let app = start_app(&db, with_recording());
        for _ in 0..3 {
            let next = search(&app, &owner, "hello", first(1)).await;
            search(&app, &owner, "nothing", first(0)).await;
            // The first of them is a miss and returns the token of the next page.
            if !next.is_empty() {
                let page = PageRequest {
                    size: 1,
                    token: next,
                };
                search(&app, &owner, "hello", page.clone()).await;
                search(&app, &owner, "hello", page).await;
            }
        }
        search(&app, &owner, "once", first(0)).await;
        assert_eq!(recorded(&db).await, [], "recorded by keep_popular only");
        app.keep_popular().await.unwrap();
        let expected = [("hello".to_owned(), 1), ("nothing".to_owned(), 50)];
        assert_eq!(recorded(&db).await, expected);

        // Searches executed by the warm-up do not count as popular.
        let next = start_app(&db, with_recording());
        let admin = CacheAdmin::new(Arc::clone(&next), None, String::new());
        for _ in 0..3 {
            Arc::clone(&admin).warm_on_start(0, 10).await;
        }
        db.delete_searches().await.unwrap();
        next.keep_popular().await.unwrap();
        assert_eq!(recorded(&db).await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switched_off_nothing_is_recorded_and_old_records_are_deleted() {
    both(async |world| {
        let (db, owner) = (world.db.open().await, world.owner.clone());
        world.chat("chat", "hello").await;
        let app = start_app(&db, with_recording());
        for _ in 0..2 {
            search(&app, &owner, "hello", first(0)).await;
        }
        app.keep_popular().await.unwrap();
        assert_eq!(recorded(&db).await.len(), 1);
        let off = start_app(&db, Settings::default());
        for _ in 0..2 {
            search(&off, &owner, "more", first(0)).await;
        }
        off.keep_popular().await.unwrap();
        assert_eq!(recorded(&db).await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_deletes_recorded_searches() {
    both(async |world| {
        let (db, owner) = (world.db.open().await, world.owner.clone());
        let message = world.chat("chat", "hello").await;
        let app = start_app(&db, with_recording());
        for _ in 0..2 {
            search(&app, &owner, "hello", first(0)).await;
        }
        app.keep_popular().await.unwrap();
        assert_eq!(recorded(&db).await.len(), 1);
        // Everything is older than this retention by now.
        let strict = Settings {
            retention: Some(Duration::from_micros(1)),
            ..with_recording()
        };
        let strict = start_app(&db, strict);
        strict.keep_popular().await.unwrap();
        assert_eq!(
            recorded(&db).await,
            [],
            "the search is older than the retention"
        );

        for _ in 0..2 {
            search(&app, &owner, "hello", first(0)).await;
        }
        app.keep_popular().await.unwrap();
        assert_eq!(recorded(&db).await.len(), 1);
        let gone = app
            .delete_conversation(&owner, message.conversation_id, None)
            .await;
        gone.unwrap();
        app.keep_popular().await.unwrap();
        assert_eq!(recorded(&db).await, [], "the owner has no messages left");
    })
    .await;
}
