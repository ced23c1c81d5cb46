//! Searches that are asked often: remembered for the next start, and no longer than they may be.

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

/// An instance of its own, with its cache in its memory.
fn begun(db: &Database, settings: Settings) -> Arc<App> {
    let env = Environment::system();
    let cache = parlance_cache::CacheSettings {
        shared_database: false,
        ..parlance_cache::CacheSettings::new(Backend::Memory, env.random_numbers())
    };
    let cache = parlance_app::cache::open(db, cache, None, &env);
    App::new(db.clone(), cache, settings, env)
}

fn noting() -> Settings {
    Settings {
        note_searches: true,
        ..Settings::default()
    }
}

async fn ask(app: &App, owner: &Owner, query: &str, page: PageRequest) -> String {
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

async fn noted(db: &Database) -> Vec<(String, usize)> {
    let searches = db.popular_searches(usize::MAX).await.unwrap();
    let mut noted: Vec<_> = searches
        .into_iter()
        .map(|it| (it.query, it.page_size))
        .collect();
    noted.sort();
    noted
}

async fn both(test: impl AsyncFn(World)) {
    for db in [Db::sqlite().await, Db::postgres().await] {
        test(World::new(db, Backend::Off).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_pages_are_noted_hits_and_misses_alike() {
    both(async |world| {
        let (db, owner) = (world.db.open().await, world.owner.clone());
        for n in 0..3 {
            world.chat(&format!("chat {n}"), "hello").await;
        }
        let app = begun(&db, noting());
        for _ in 0..3 {
            let next = ask(&app, &owner, "hello", first(1)).await;
            ask(&app, &owner, "nothing", first(0)).await;
            // The first of them is no hit, and tells where the next page begins.
            if !next.is_empty() {
                let page = PageRequest {
                    size: 1,
                    token: next,
                };
                ask(&app, &owner, "hello", page.clone()).await;
                ask(&app, &owner, "hello", page).await;
            }
        }
        ask(&app, &owner, "once", first(0)).await;
        assert_eq!(noted(&db).await, [], "not before somebody writes them down");
        app.keep_popular().await.unwrap();
        let expected = [("hello".to_owned(), 1), ("nothing".to_owned(), 50)];
        assert_eq!(noted(&db).await, expected);

        // To be asked by a start is not to be asked by somebody.
        let next = begun(&db, noting());
        let desk = CacheAdmin::new(Arc::clone(&next), None, String::new());
        for _ in 0..3 {
            Arc::clone(&desk).warm_on_start(0, 10).await;
        }
        db.delete_searches().await.unwrap();
        next.keep_popular().await.unwrap();
        assert_eq!(noted(&db).await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switched_off_nothing_is_noted_and_what_was_goes() {
    both(async |world| {
        let (db, owner) = (world.db.open().await, world.owner.clone());
        world.chat("chat", "hello").await;
        let app = begun(&db, noting());
        for _ in 0..2 {
            ask(&app, &owner, "hello", first(0)).await;
        }
        app.keep_popular().await.unwrap();
        assert_eq!(noted(&db).await.len(), 1);
        let off = begun(&db, Settings::default());
        for _ in 0..2 {
            ask(&off, &owner, "more", first(0)).await;
        }
        off.keep_popular().await.unwrap();
        assert_eq!(noted(&db).await, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_takes_them_with_what_they_found() {
    both(async |world| {
        let (db, owner) = (world.db.open().await, world.owner.clone());
        let message = world.chat("chat", "hello").await;
        let app = begun(&db, noting());
        for _ in 0..2 {
            ask(&app, &owner, "hello", first(0)).await;
        }
        app.keep_popular().await.unwrap();
        assert_eq!(noted(&db).await.len(), 1);
        // All that there is is older than a moment by now.
        let strict = Settings {
            retention: Some(Duration::from_micros(1)),
            ..noting()
        };
        let strict = begun(&db, strict);
        strict.keep_popular().await.unwrap();
        assert_eq!(noted(&db).await, [], "it was last asked before");

        for _ in 0..2 {
            ask(&app, &owner, "hello", first(0)).await;
        }
        app.keep_popular().await.unwrap();
        assert_eq!(noted(&db).await.len(), 1);
        let gone = app
            .delete_conversation(&owner, message.conversation_id, None)
            .await;
        gone.unwrap();
        app.keep_popular().await.unwrap();
        assert_eq!(noted(&db).await, [], "its owner has nothing left");
    })
    .await;
}
