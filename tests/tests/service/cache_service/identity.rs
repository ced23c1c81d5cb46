//! What is cached belongs to one installation, one database in one state, and one Redis database.

use std::path::Path;

use parlance_testkit::SqliteFile;

use super::*;

/// Nothing is sent between the instances of these tests: they find out by themselves.
async fn over(url: &str, redis: &str) -> Service {
    Service::over(url, |builder| {
        builder.redis_url(redis).env("CACHE_BACKEND", "redis")
    })
    .await
}

async fn end(service: &Service) {
    service.terminate();
    eventually(SOON, async || service.exited()).await;
}

async fn titled(t: &Caller, id: &str, title: &str) {
    let retitled = make::edit(id, &["title"], |c| title.clone_into(&mut c.title));
    t.ok(retitled).await;
}

async fn created(t: &Caller, title: &str) -> String {
    let mut create = make::create_chat("");
    if let Some(conversation) = &mut create.conversation {
        title.clone_into(&mut conversation.title);
    }
    t.ok(create).await.id
}

async fn metric(t: &Caller, name: &str) -> String {
    let metrics = raw::get(&format!("{}/metrics", t.http_url())).await.text();
    let line = metrics.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next());
    value.unwrap_or_default().to_owned()
}

/// A rolling change of `REDIS_DB`: what one instance fences in its database the other has in its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_database_numbers_of_one_redis_share_no_epoch() {
    let database = Postgres::shared().create_database().await;
    let redis = Redis::start();
    let a = over(&database.url, &format!("{}0", redis.url())).await;
    let at_a = Caller::at(&a);
    let id = created(&at_a, "before").await;
    until_from(&at_a, make::get_conversation(&id), "redis").await;
    let b = over(&database.url, &format!("{}1", redis.url())).await;
    let at_b = Caller::as_owner(&b, at_a.owner());
    for round in 0..20 {
        let title = format!("title {round}");
        titled(&at_b, &id, &title).await;
        assert_eq!(at_a.conversation(&id).await.title, title);
        titled(&at_a, &id, &format!("{title} of a")).await;
        assert_eq!(at_b.conversation(&id).await.title, format!("{title} of a"));
    }
}

/// The second is refused while the first lives, reads from its database meanwhile, and takes over after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_database_is_of_one_installation_at_a_time() {
    let (one, other) = (
        Postgres::shared().create_database().await,
        Postgres::shared().create_database().await,
    );
    let redis = Redis::start();
    let first = over(&one.url, redis.url()).await;
    let t = Caller::at(&first);
    let id = created(&t, "of the first").await;
    until_from(&t, make::get_conversation(&id), "redis").await;
    t.ok(v1::GetStatsRequest::default()).await;

    let second = over(&other.url, redis.url()).await;
    let at_second = Caller::as_owner(&second, t.owner());
    let told = eventually(SOON, async || {
        let told = info(&at_second).await;
        told.gate_reason
            .contains("another Parlance")
            .then_some(told)
    })
    .await;
    assert_eq!(told.gate, "shut");
    let reason = &told.gate_reason;
    assert!(
        reason.contains("Redis database 0 at 127.0.0.1:"),
        "{reason}"
    );
    assert!(reason.contains("REDIS_DB"), "{reason}");
    assert_ne!(told.installation, info(&t).await.installation);
    eventually(SOON, async || {
        let refused = metric(&at_second, "parlance_cache_claim_refused").await;
        (refused == "1").then_some(())
    })
    .await;
    assert_eq!(metric(&t, "parlance_cache_claim_refused").await, "0");
    let logged = second
        .logs()
        .matches("another Parlance installation")
        .count();
    assert_eq!(logged, 1, "once");

    // The same owner has nothing there.
    let none = at_second.ok(v1::GetStatsRequest::default()).await;
    assert_eq!(none, v1::Stats::default());
    let his = created(&at_second, "of the second").await;
    titled(&at_second, &his, "and changed").await;
    assert_eq!(at_second.conversation(&his).await.title, "and changed");
    assert_eq!(info(&t).await.gate, "open", "the first is not disturbed");

    end(&first).await;
    until_from(&at_second, make::get_conversation(&his), "redis").await;
    assert_eq!(
        metric(&at_second, "parlance_cache_claim_refused").await,
        "0"
    );
}

/// The commands of an operator who keeps a copy of a database and puts it back.
struct Backup {
    keep: String,
    put_back: String,
}

impl Backup {
    fn of_file(file: &Path) -> Self {
        let file = file.display();
        Self {
            keep: format!("cp '{file}' '{file}.kept'"),
            put_back: format!("rm -f '{file}-wal' '{file}-shm' && cp '{file}.kept' '{file}'"),
        }
    }
}

fn shell(command: &str) {
    let done = Command::new("sh").args(["-c", command]).status();
    assert!(done.expect("a shell").success(), "{command}");
}

/// What was cached after the copy was made is shown no more, though neither the file nor Redis can tell that it was put back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lost_state_left_in_redis_is_not_shown() {
    let file = SqliteFile::new();
    let backup = Backup::of_file(file.path());
    let redis = Redis::start();
    let before = over(&file.url(), redis.url()).await;
    let t = Caller::at(&before);
    let owner = t.owner().to_owned();
    let id = created(&t, "kept").await;
    until_from(&t, make::get_conversation(&id), "redis").await;
    end(&before).await;
    shell(&backup.keep);

    let lost = over(&file.url(), redis.url()).await;
    let t = Caller::as_owner(&lost, &owner);
    // A pass of its own, and not only the value from before.
    until_from(&t, make::get_conversation(&id), "redis").await;
    titled(&t, &id, "lost").await;
    until_from(&t, make::get_conversation(&id), "redis").await;
    assert_eq!(t.conversation(&id).await.title, "lost");
    end(&lost).await;
    shell(&backup.put_back);

    let after = over(&file.url(), redis.url()).await;
    let t = Caller::as_owner(&after, &owner);
    assert_eq!(t.conversation(&id).await.title, "kept");
    until_from(&t, make::get_conversation(&id), "redis").await;
    assert_eq!(t.conversation(&id).await.title, "kept");
    assert!(after.logs().contains("earlier state"), "it is logged");
}

/// The same on Postgres, where the identity of the database shows that it is another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_database_shows_nothing_of_the_other() {
    let database = Postgres::shared().create_database().await;
    let redis = Redis::start();
    let before = over(&database.url, redis.url()).await;
    let t = Caller::at(&before);
    let owner = t.owner().to_owned();
    let id = created(&t, "kept").await;
    until_from(&t, make::get_conversation(&id), "redis").await;
    end(&before).await;
    let (client, connection) =
        tokio_postgres::connect(&server(&database.url), tokio_postgres::NoTls)
            .await
            .expect("a connection");
    tokio::spawn(connection);
    let copy = format!("{}_copy", database.name());
    let create = format!("CREATE DATABASE {copy} TEMPLATE {}", database.name());
    client.batch_execute(&create).await.expect("a copy");

    let lost = over(&database.url, redis.url()).await;
    let t = Caller::as_owner(&lost, &owner);
    titled(&t, &id, "lost").await;
    until_from(&t, make::get_conversation(&id), "redis").await;
    assert_eq!(t.conversation(&id).await.title, "lost");
    end(&lost).await;

    let after = over(&database.url.replace(database.name(), &copy), redis.url()).await;
    let t = Caller::as_owner(&after, &owner);
    assert_eq!(t.conversation(&id).await.title, "kept");
    until_from(&t, make::get_conversation(&id), "redis").await;
    assert_eq!(t.conversation(&id).await.title, "kept");
    end(&after).await;
    let drop = format!("DROP DATABASE {copy} WITH (FORCE)");
    client.batch_execute(&drop).await.expect("it goes");
}

/// The maintenance database of the same server.
fn server(url: &str) -> String {
    let (before, _) = url.rsplit_once('/').expect("a database has a name");
    format!("{before}/postgres")
}
