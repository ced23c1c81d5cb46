//! Cached values belong to one installation, one database in one state, and one Redis database.

use std::path::Path;

use parlance_testkit::SqliteFile;

use super::*;

/// Starts an instance. The instances must detect by themselves what these tests change.
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

async fn set_title(t: &Caller, id: &str, title: &str) {
    let edit = make::edit(id, &["title"], |c| title.clone_into(&mut c.title));
    t.ok(edit).await;
}

async fn create(t: &Caller, title: &str) -> String {
    let mut request = make::create_chat("");
    if let Some(conversation) = &mut request.conversation {
        title.clone_into(&mut conversation.title);
    }
    t.ok(request).await.id
}

async fn metric(t: &Caller, name: &str) -> String {
    let metrics = raw::get(&format!("{}/metrics", t.http_url())).await.text();
    let line = metrics.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next());
    value.unwrap_or_default().to_owned()
}

/// A rolling change of `REDIS_DB`: one instance fences keys in its Redis database, the other in its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_redis_databases_share_no_epoch() {
    let database = Postgres::shared().create_database().await;
    let redis = Redis::start();
    let a = over(&database.url, &format!("{}0", redis.url())).await;
    let at_a = Caller::at(&a);
    let id = create(&at_a, "before").await;
    until_from(&at_a, make::get_conversation(&id), "redis").await;
    let b = over(&database.url, &format!("{}1", redis.url())).await;
    let at_b = Caller::as_owner(&b, at_a.owner());
    for round in 0..20 {
        let title = format!("title {round}");
        set_title(&at_b, &id, &title).await;
        assert_eq!(at_a.conversation(&id).await.title, title);
        set_title(&at_a, &id, &format!("{title} of a")).await;
        assert_eq!(at_b.conversation(&id).await.title, format!("{title} of a"));
    }
}

/// The second installation is refused while the first runs; it serves from its database, and takes over afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_database_belongs_to_one_installation_at_a_time() {
    let (one, other) = (
        Postgres::shared().create_database().await,
        Postgres::shared().create_database().await,
    );
    let redis = Redis::start();
    let first = over(&one.url, redis.url()).await;
    let t = Caller::at(&first);
    let id = create(&t, "of the first").await;
    until_from(&t, make::get_conversation(&id), "redis").await;
    t.ok(v1::GetStatsRequest::default()).await;

    let second = over(&other.url, redis.url()).await;
    let at_second = Caller::as_owner(&second, t.owner());
    let cache_info = eventually(SOON, async || {
        let cache_info = info(&at_second).await;
        cache_info
            .gate_reason
            .contains("another Parlance")
            .then_some(cache_info)
    })
    .await;
    assert_eq!(cache_info.gate, "shut");
    let reason = &cache_info.gate_reason;
    assert!(
        reason.contains("Redis database 0 at 127.0.0.1:"),
        "{reason}"
    );
    assert!(reason.contains("REDIS_DB"), "{reason}");
    assert_ne!(cache_info.installation, info(&t).await.installation);
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
    assert_eq!(logged, 1, "logged once");

    // The same owner has no records in the second installation.
    let none = at_second.ok(v1::GetStatsRequest::default()).await;
    assert_eq!(none, v1::Stats::default());
    let second_id = create(&at_second, "of the second").await;
    set_title(&at_second, &second_id, "and changed").await;
    assert_eq!(
        at_second.conversation(&second_id).await.title,
        "and changed"
    );
    assert_eq!(info(&t).await.gate, "open", "the first is not disturbed");

    end(&first).await;
    until_from(&at_second, make::get_conversation(&second_id), "redis").await;
    assert_eq!(
        metric(&at_second, "parlance_cache_claim_refused").await,
        "0"
    );
}

/// Shell commands that back up a database file and restore it.
struct Backup {
    back_up: String,
    restore: String,
}

impl Backup {
    fn of_file(file: &Path) -> Self {
        let file = file.display();
        Self {
            back_up: format!("cp '{file}' '{file}.backup'"),
            restore: format!("rm -f '{file}-wal' '{file}-shm' && cp '{file}.backup' '{file}'"),
        }
    }
}

fn shell(command: &str) {
    let status = Command::new("sh").args(["-c", command]).status();
    assert!(status.expect("a shell").success(), "{command}");
}

/// Values cached after the backup are not served after a restore, though neither the file nor Redis shows that it was
/// restored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_a_lost_state_are_not_served_after_a_restore() {
    let file = SqliteFile::new();
    let backup = Backup::of_file(file.path());
    let redis = Redis::start();
    let before = over(&file.url(), redis.url()).await;
    let t = Caller::at(&before);
    let owner = t.owner().to_owned();
    let id = create(&t, "backed up").await;
    until_from(&t, make::get_conversation(&id), "redis").await;
    end(&before).await;
    shell(&backup.back_up);

    let lost = over(&file.url(), redis.url()).await;
    let t = Caller::as_owner(&lost, &owner);
    // A reconciliation pass of this process, and not only the value from before.
    until_from(&t, make::get_conversation(&id), "redis").await;
    set_title(&t, &id, "lost").await;
    until_from(&t, make::get_conversation(&id), "redis").await;
    assert_eq!(t.conversation(&id).await.title, "lost");
    end(&lost).await;
    shell(&backup.restore);

    let after = over(&file.url(), redis.url()).await;
    let t = Caller::as_owner(&after, &owner);
    assert_eq!(t.conversation(&id).await.title, "backed up");
    until_from(&t, make::get_conversation(&id), "redis").await;
    assert_eq!(t.conversation(&id).await.title, "backed up");
    assert!(
        after.logs().contains("earlier state"),
        "the restore is logged"
    );
}

/// The same on Postgres, where the identity of the database differs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_database_serves_no_values_of_the_original() {
    let database = Postgres::shared().create_database().await;
    let redis = Redis::start();
    let before = over(&database.url, redis.url()).await;
    let t = Caller::at(&before);
    let owner = t.owner().to_owned();
    let id = create(&t, "before the copy").await;
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
    set_title(&t, &id, "lost").await;
    until_from(&t, make::get_conversation(&id), "redis").await;
    assert_eq!(t.conversation(&id).await.title, "lost");
    end(&lost).await;

    let after = over(&database.url.replace(database.name(), &copy), redis.url()).await;
    let t = Caller::as_owner(&after, &owner);
    assert_eq!(t.conversation(&id).await.title, "before the copy");
    until_from(&t, make::get_conversation(&id), "redis").await;
    assert_eq!(t.conversation(&id).await.title, "before the copy");
    end(&after).await;
    let drop = format!("DROP DATABASE {copy} WITH (FORCE)");
    client
        .batch_execute(&drop)
        .await
        .expect("the copy is dropped");
}

/// The maintenance database of the same server.
fn server(url: &str) -> String {
    let (before, _) = url.rsplit_once('/').expect("a database has a name");
    format!("{before}/postgres")
}
