//! Coordination of the cache among instances: how long they may serve, under which epoch, and which keys wait.

use std::collections::BTreeSet;
use std::time::Duration;

use parlance_storage::db::cache::{CacheRenewal, CacheTier, CacheTimes, PendingKey};
use parlance_storage::{Database, PendingKeys};
use parlance_testkit::eventually;
use uuid::Uuid;

use crate::support::{Db, Kind, SOON, at, owner};

const SECOND: Duration = Duration::from_secs(1);
/// An epoch is in force at once.
const AT_ONCE: CacheTimes = times(Duration::ZERO);
/// Nothing ends while a test runs.
const LONG: CacheTimes = times(Duration::from_hours(1));

const ALMOST_AS_LONG: Duration = Duration::from_mins(55);

const fn times(serve: Duration) -> CacheTimes {
    CacheTimes {
        serve,
        alive: Duration::from_hours(1),
        remove_after: Duration::from_hours(10),
    }
}

const A: Uuid = Uuid::from_u128(1);
const B: Uuid = Uuid::from_u128(2);

fn keys(names: &[&str], token: &str) -> PendingKeys {
    PendingKeys {
        keys: names.iter().map(|&name| name.to_owned()).collect(),
        token: token.to_owned(),
    }
}

async fn add(db: &Database, names: &[&str], token: &str) -> Vec<i64> {
    db.cache_add_pending(&keys(names, token)).await.unwrap();
    let rows = db.cache_pending(true, 10_000).await.unwrap();
    let of_token = rows.into_iter().filter(|row| row.token == token);
    of_token.map(|row| row.id).collect()
}

fn names(rows: Vec<PendingKey>) -> Vec<String> {
    rows.into_iter().map(|row| row.key).collect()
}

async fn waiting(db: &Database) -> Vec<String> {
    names(db.cache_pending(false, 10_000).await.unwrap())
}

async fn all(db: &Database) -> Vec<String> {
    names(db.cache_pending(true, 10_000).await.unwrap())
}

/// Records the process and waits until its epoch is in force.
async fn recorded(db: &Database, remote: &str) -> i64 {
    let renewal = db.cache_renew(A, remote, AT_ONCE).await.unwrap();
    assert_eq!(renewal, CacheRenewal::Recorded);
    renewed(db, remote, AT_ONCE).await
}

async fn renewed(db: &Database, remote: &str, times: CacheTimes) -> i64 {
    match db.cache_renew(A, remote, times).await.unwrap() {
        CacheRenewal::Renewed { epoch } => epoch,
        other @ (CacheRenewal::Recorded | CacheRenewal::TooYoung) => panic!("{other:?}"),
    }
}

/// Makes the epoch's record that old.
async fn aged(db: &Db, seconds: i64) {
    let earlier = match db.kind {
        Kind::Postgres => format!("recorded_at - interval '{seconds} seconds'"),
        Kind::Sqlite => format!("recorded_at - {seconds} * 1000000"),
    };
    db.run(&format!("UPDATE cache_epoch SET recorded_at = {earlier}"))
        .await;
}

/// Returns the epoch's number, and the process that has its values.
async fn epoch(db: &Db) -> (i64, String) {
    let sql = "SELECT CAST(number AS text) || ' ' || remote AS v FROM cache_epoch";
    let row = db.texts(sql).await.remove(0);
    let (number, remote) = row.split_once(' ').unwrap();
    (number.parse().unwrap(), remote.to_owned())
}

/// Makes the epoch one that another server has recorded.
async fn elsewhere(db: &Db) {
    db.run("UPDATE cache_epoch SET database = 'another server'")
        .await;
}

on_both! {
    /// The first renewal records the process that answers, and no instance serves until that record is old enough.
    async fn an_epoch_is_recorded_before_it_is_in_force(db: Db) {
        let d = &db.open;
        assert_eq!(d.cache_renew(A, "one", LONG).await.unwrap(), CacheRenewal::Recorded);
        for instance in [A, B] {
            assert_eq!(d.cache_renew(instance, "one", LONG).await.unwrap(), CacheRenewal::TooYoung);
        }
        assert_eq!(d.cache_served_for(AT_ONCE).await.unwrap().left, Duration::ZERO);
        assert_eq!(db.count("cache_instances").await, 0);
        // As long as an instance may serve after a renewal, and not less.
        aged(&db, 3590).await;
        assert_eq!(d.cache_renew(A, "one", LONG).await.unwrap(), CacheRenewal::TooYoung);
        aged(&db, 10).await;
        let number = renewed(d, "one", LONG).await;
        let served = d.cache_served_for(AT_ONCE).await.unwrap().left;
        assert!(served > ALMOST_AS_LONG && served <= LONG.serve, "{served:?}");
        assert_eq!(epoch(&db).await, (number, "one".to_owned()));
    }

    /// The process that answers is not the recorded one: it gets a new number, and has to wait again.
    async fn another_process_is_another_epoch(db: Db) {
        let d = &db.open;
        let first = recorded(d, "one").await;
        assert_eq!(d.cache_renew(B, "two", LONG).await.unwrap(), CacheRenewal::Recorded);
        assert_eq!(d.cache_renew(B, "two", LONG).await.unwrap(), CacheRenewal::TooYoung);
        let (second, remote) = epoch(&db).await;
        assert!(second != first && remote == "two", "{first} {second} {remote}");
        // The first process returns: under a new number, since another was recorded in between.
        assert_eq!(d.cache_renew(A, "one", AT_ONCE).await.unwrap(), CacheRenewal::Recorded);
        let third = renewed(d, "one", AT_ONCE).await;
        assert!(third != first && third != second, "{first} {second} {third}");
    }

    /// Many instances find another process, each a different one: every record replaces the one that the recorder has
    /// read.
    async fn concurrent_records_get_distinct_numbers(db: Db) {
        let d = &db.open;
        let racers: Vec<_> = (0..16u128)
            .map(|n| {
                let d = d.clone();
                tokio::spawn(async move { d.cache_renew(Uuid::from_u128(n), &format!("process {n}"), LONG).await.unwrap() })
            })
            .collect();
        let mut records = 0;
        for racer in racers {
            match racer.await.unwrap() {
                CacheRenewal::Recorded => records += 1,
                CacheRenewal::TooYoung => {}
                CacheRenewal::Renewed { epoch } => panic!("renewed under {epoch}"),
            }
        }
        assert!(records >= 1);
    }

    /// A row that was added after the reconciliation pass has read stays, even for the same key.
    async fn exactly_the_rows_that_were_read_are_deleted(db: Db) {
        let d = &db.open;
        let epoch = recorded(d, "one").await;
        let mine = add(d, &["message:a", "message:b"], "t1").await;
        add(d, &["message:a"], "t2").await;
        assert!(d.cache_token_waits("t1").await.unwrap());
        assert!(d.cache_settle(&mine, Some(epoch), AT_ONCE).await.unwrap());
        assert_eq!(waiting(d).await, ["message:a"]);
        assert!(!d.cache_token_waits("t1").await.unwrap());
        assert!(d.cache_token_waits("t2").await.unwrap());
    }

    async fn rows_are_read_oldest_first_and_not_all(db: Db) {
        let d = &db.open;
        add(d, &["message:b", "message:a", "message:c"], "t1").await;
        let two = names(d.cache_pending(false, 2).await.unwrap());
        assert_eq!(two, ["message:b", "message:a"]);
    }

    /// Another epoch began after the pass had renewed: its releases were in vain.
    async fn no_row_is_deleted_under_an_epoch_that_has_ended(db: Db) {
        let d = &db.open;
        let epoch = recorded(d, "one").await;
        let rows = add(d, &["message:a"], "t1").await;
        assert_eq!(d.cache_renew(B, "two", AT_ONCE).await.unwrap(), CacheRenewal::Recorded);
        assert!(!d.cache_settle(&rows, Some(epoch), AT_ONCE).await.unwrap());
        let (next, _) = self::epoch(&db).await;
        assert!(!d.cache_settle(&rows, Some(next), LONG).await.unwrap(), "it is too young");
        assert_eq!(waiting(d).await, ["message:a"]);
        assert!(d.cache_settle(&rows, Some(next), AT_ONCE).await.unwrap());
        assert_eq!(waiting(d).await, Vec::<String>::new());
        // An instance that serves from its own memory serves under no epoch, but a paused one may still need the rows.
        let rows = add(d, &["message:a"], "t2").await;
        assert!(!d.cache_settle(&rows, None, AT_ONCE).await.unwrap());
        assert_eq!(waiting(d).await, ["message:a"]);
        assert!(d.cache_close(0, AT_ONCE).await.unwrap());
        assert!(!d.cache_settle(&rows, None, LONG).await.unwrap(), "closed just now");
        assert!(d.cache_settle(&rows, None, AT_ONCE).await.unwrap());
        assert_eq!(all(d).await, Vec::<String>::new());
    }

    /// Keys that wait when an epoch is retired need no release any more. But their writers wait as long as an instance
    /// may serve under that epoch.
    async fn rows_of_a_retired_epoch_are_deleted_when_the_next_is_in_force(db: Db) {
        let d = &db.open;
        let epoch = recorded(d, "one").await;
        add(d, &["message:a"], "t1").await;
        assert!(!d.cache_retire(epoch - 1).await.unwrap());
        assert_eq!(waiting(d).await, ["message:a"]);
        assert!(d.cache_retire(epoch).await.unwrap());
        assert!(!d.cache_retire(epoch).await.unwrap(), "once");
        add(d, &["message:b"], "t2").await;
        assert_eq!(d.cache_renew(A, "one", LONG).await.unwrap(), CacheRenewal::TooYoung);
        assert_eq!(waiting(d).await, ["message:b"]);
        assert_eq!(all(d).await, ["message:a", "message:b"], "for an instance that serves under no epoch");
        assert!(d.cache_token_waits("t1").await.unwrap());
        assert_ne!(renewed(d, "one", AT_ONCE).await, epoch);
        assert_eq!(all(d).await, ["message:b"]);
    }

    /// So many rows that releasing each is too expensive: they are removed some at a time.
    async fn many_retired_rows_are_deleted_in_batches(db: Db) {
        let d = &db.open;
        let epoch = recorded(d, "one").await;
        let many: Vec<String> = (0..2500).map(|n| format!("message:{n}")).collect();
        d.cache_add_pending(&PendingKeys { keys: many, token: "t1".to_owned() }).await.unwrap();
        assert!(d.cache_retire(epoch).await.unwrap());
        let mut left = Vec::new();
        for _ in 0..3 {
            renewed(d, "one", AT_ONCE).await;
            left.push(db.count("cache_pending").await);
        }
        assert_eq!(left, [1500, 500, 0]);
    }

    /// No instance serves any more and none returns: an empty epoch lets the rows be deleted without a release.
    async fn an_epoch_is_closed_when_no_instance_may_serve_under_it(db: Db) {
        let d = &db.open;
        assert!(!d.cache_close(0, AT_ONCE).await.unwrap(), "nothing is recorded");
        recorded(d, "one").await;
        add(d, &["message:a"], "t1").await;
        renewed(d, "one", AT_ONCE).await;
        assert!(!d.cache_close(2, AT_ONCE).await.unwrap(), "few rows");
        aged(&db, 3600).await;
        renewed(d, "one", LONG).await;
        assert!(!d.cache_close(1, AT_ONCE).await.unwrap(), "an instance may serve");
        d.cache_renew(A, "one", AT_ONCE).await.unwrap();
        // An instance that serves from its own memory does not count.
        d.cache_register(B, CacheTier::Memory, LONG).await.unwrap();
        d.cache_renew_memory(B, LONG).await.unwrap();
        assert!(d.cache_close(1, AT_ONCE).await.unwrap());
        let (closed, remote) = epoch(&db).await;
        assert_eq!(remote, "");
        assert!(!d.cache_close(0, AT_ONCE).await.unwrap(), "it is closed");
        assert_eq!(waiting(d).await, Vec::<String>::new());
        assert_ne!(recorded(d, "one").await, closed);
        assert_eq!(all(d).await, Vec::<String>::new());
    }

    /// The instance that recorded the epoch is about to serve under it: if the epoch were closed each time before that,
    /// it would never be in force.
    async fn an_epoch_is_not_closed_before_an_instance_can_serve_under_it(db: Db) {
        let d = &db.open;
        assert_eq!(d.cache_renew(A, "one", LONG).await.unwrap(), CacheRenewal::Recorded);
        assert!(!d.cache_close(0, LONG).await.unwrap(), "young");
        aged(&db, 9 * 3600).await;
        assert!(!d.cache_close(0, LONG).await.unwrap(), "an instance may be late");
        aged(&db, 3600).await;
        assert!(d.cache_close(0, LONG).await.unwrap());
    }

    /// Writers that use no Redis leave rows where there never was one: they must not accumulate.
    async fn rows_under_an_empty_epoch_are_deleted_once_no_instance_serves(db: Db) {
        let d = &db.open;
        add(d, &["message:a"], "t1").await;
        d.cache_register(B, CacheTier::Memory, LONG).await.unwrap();
        d.cache_renew_memory(B, LONG).await.unwrap();
        assert!(!d.cache_close(0, AT_ONCE).await.unwrap());
        assert_eq!(waiting(d).await.len(), 1, "an instance serves from memory, and must be notified");
        d.cache_renew_memory(B, AT_ONCE).await.unwrap();
        assert!(!d.cache_close(0, AT_ONCE).await.unwrap());
        assert_eq!(all(d).await, Vec::<String>::new());
    }

    async fn instances_learn_of_one_another(db: Db) {
        let d = &db.open;
        let seen = d.cache_register(A, CacheTier::Memory, LONG).await.unwrap();
        assert_eq!((seen.others, seen.free, seen.memory_serves), (0, true, Duration::ZERO));
        assert_eq!(d.cache_register(A, CacheTier::Memory, LONG).await.unwrap().others, 0, "itself is none");
        d.cache_renew_memory(A, LONG).await.unwrap();
        let seen = d.cache_register(B, CacheTier::Shared, LONG).await.unwrap();
        assert_eq!(seen.others, 1);
        assert!(seen.memory_serves > ALMOST_AS_LONG, "{seen:?}");
        assert_eq!(d.cache_register(A, CacheTier::Memory, LONG).await.unwrap().memory_serves, Duration::ZERO, "its own");
        // Registering again does not shorten the time that it may serve.
        assert!(d.cache_served_for(AT_ONCE).await.unwrap().left > ALMOST_AS_LONG);
        // Dead, and then dead for long.
        d.cache_register(A, CacheTier::Memory, CacheTimes { alive: Duration::ZERO, ..LONG }).await.unwrap();
        assert_eq!(d.cache_register(B, CacheTier::Shared, LONG).await.unwrap().others, 0);
        assert_eq!(db.count("cache_instances").await, 2, "it may come back");
        d.cache_renew_memory(A, CacheTimes { alive: Duration::ZERO, ..AT_ONCE }).await.unwrap();
        let removing = CacheTimes { remove_after: Duration::ZERO, ..LONG };
        eventually(SOON, async || {
            d.cache_register(B, CacheTier::Shared, removing).await.unwrap();
            (db.count("cache_instances").await == 1).then_some(())
        }).await;
        // It was only suspended.
        d.cache_renew_memory(A, LONG).await.unwrap();
        assert!(d.cache_register(B, CacheTier::Shared, LONG).await.unwrap().memory_serves > SECOND);
    }

    /// Free: a process that is to be served from has yet to be recorded, and the instance then has to wait.
    async fn an_epoch_is_free_until_a_process_is_recorded(db: Db) {
        let d = &db.open;
        assert!(d.cache_register(A, CacheTier::Shared, LONG).await.unwrap().free);
        recorded(d, "one").await;
        assert!(!d.cache_register(A, CacheTier::Shared, AT_ONCE).await.unwrap().free);
        assert!(d.cache_close(0, AT_ONCE).await.unwrap());
        assert!(!d.cache_register(A, CacheTier::Shared, LONG).await.unwrap().free, "closed just now");
        aged(&db, 3600).await;
        assert!(d.cache_register(A, CacheTier::Shared, LONG).await.unwrap().free);
    }

    /// Two installations, and two copies of one database, have no number in common.
    async fn epoch_numbers_are_unique(db: Db) {
        let d = &db.open;
        let (first, _) = epoch(&db).await;
        let mut numbers = BTreeSet::from([first]);
        for _ in 0..20 {
            // As it was at first, each time.
            db.run(&format!("UPDATE cache_epoch SET number = {first}")).await;
            assert!(d.cache_begin(first, "one").await.unwrap());
            assert!(!d.cache_begin(first, "one").await.unwrap(), "once");
            let (number, _) = epoch(&db).await;
            assert!((0..1 << 53).contains(&number), "{number}");
            assert!(numbers.insert(number), "{number} of {numbers:?}");
        }
        let other = match db.kind {
            Kind::Postgres => Db::postgres().await,
            Kind::Sqlite => Db::sqlite().await,
        };
        let (other, _) = epoch(&other).await;
        assert!(!numbers.contains(&other), "{other}");
        db.run(&format!("UPDATE cache_epoch SET number = {}", (1_i64 << 53) - 1)).await;
        assert!(d.cache_begin((1 << 53) - 1, "one").await.unwrap());
        assert!((0..1 << 53).contains(&epoch(&db).await.0));
    }

    /// A record of another server is not valid any more: the last renewals may be missing.
    async fn another_server_begins_another_epoch(db: Db) {
        let d = &db.open;
        let number = recorded(d, "one").await;
        let rows = add(d, &["message:a"], "t1").await;
        aged(&db, 7200).await;
        elsewhere(&db).await;
        assert!(!d.cache_settle(&rows, Some(number), AT_ONCE).await.unwrap());
        assert_eq!(d.cache_served_for(LONG).await.unwrap().left, LONG.serve, "its rows say nothing");
        assert_eq!(d.cache_register(A, CacheTier::Shared, LONG).await.unwrap().memory_serves, LONG.serve);
        assert_eq!(d.cache_renew(A, "one", LONG).await.unwrap(), CacheRenewal::Recorded);
        assert_eq!(d.cache_renew(A, "one", LONG).await.unwrap(), CacheRenewal::TooYoung);
        assert!(d.cache_served_for(LONG).await.unwrap().left > ALMOST_AS_LONG, "for as long as it is young");
        assert_ne!(renewed(d, "one", AT_ONCE).await, number);
        aged(&db, 7200).await;
        assert_eq!(d.cache_served_for(AT_ONCE).await.unwrap().left, Duration::ZERO);
    }

    /// An instance may not rely on an epoch that another server has closed, until it is closed again.
    async fn an_epoch_closed_by_another_server_is_not_free(db: Db) {
        let d = &db.open;
        assert!(d.cache_register(A, CacheTier::Shared, LONG).await.unwrap().free);
        elsewhere(&db).await;
        assert!(!d.cache_register(A, CacheTier::Shared, LONG).await.unwrap().free);
        assert!(d.cache_close(0, LONG).await.unwrap());
        assert!(!d.cache_close(0, LONG).await.unwrap(), "once");
        assert!(!d.cache_register(A, CacheTier::Shared, LONG).await.unwrap().free, "just now");
        aged(&db, 3600).await;
        assert!(d.cache_register(A, CacheTier::Shared, LONG).await.unwrap().free);
    }

    /// A pass is counted only by a database that knows of all earlier passes.
    async fn a_database_that_went_back_counts_no_pass(db: Db) {
        let d = &db.open;
        assert_eq!(d.cache_count(0).await.unwrap(), Some(1));
        assert_eq!(d.cache_count(1).await.unwrap(), Some(2));
        assert_eq!(d.cache_count(3).await.unwrap(), None);
        assert_eq!(d.cache_count(3).await.unwrap(), None, "until it is counted again");
        d.database_went_back(3).await.unwrap();
        assert!(d.cache_count(3).await.unwrap() > Some(3));
    }

    /// Of two instances that register at once, at least one sees the other: each commits before it reads.
    async fn concurrent_registrations_see_each_other(db: Db) {
        let d = &db.open;
        for round in 0..10u128 {
            let instances = (0..6).map(|n| Uuid::from_u128(round * 6 + n));
            let racers: Vec<_> = instances
                .map(|id| {
                    let d = d.clone();
                    tokio::spawn(async move { d.cache_register(id, CacheTier::Memory, LONG).await.unwrap().others })
                })
                .collect();
            let mut seen = 0;
            for racer in racers {
                seen += racer.await.unwrap();
            }
            let before = u64::try_from(round).unwrap() * 6;
            assert!(seen >= 6 * before + 15, "round {round}: {seen}");
        }
    }
}

/// A renewal that has not committed locks the epoch: a record waits for it, and gets a later time. Otherwise the next
/// epoch could be in force while an instance still serves under this one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_waits_for_running_renewals() {
    let db = Db::postgres().await;
    let d = db.open.clone();
    recorded(&d, "one").await;
    let renewing = db.client().await;
    // As the renewal does it, and kept open.
    renewing
        .batch_execute("BEGIN; SELECT number FROM cache_epoch FOR SHARE")
        .await
        .unwrap();
    let recording = tokio::spawn(async move { d.cache_renew(B, "two", AT_ONCE).await.unwrap() });
    let watch = db.client().await;
    waits(&watch).await;
    let row = watch
        .query_one(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
            &[],
        )
        .await
        .unwrap();
    let held_at: i64 = row.get(0);
    renewing.batch_execute("COMMIT").await.unwrap();
    assert_eq!(recording.await.unwrap(), CacheRenewal::Recorded);
    let sql =
        "SELECT (extract(epoch FROM recorded_at) * 1000000)::bigint::text AS v FROM cache_epoch";
    let recorded_at: i64 = db.texts(sql).await[0].parse().unwrap();
    assert!(recorded_at > held_at, "{recorded_at} {held_at}");
}

/// A renewal waits for a record that has not committed, and then finds it too young.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_waits_for_a_running_record() {
    let db = Db::postgres().await;
    let number = recorded(&db.open, "one").await;
    aged(&db, 3600).await;
    let rows = add(&db.open, &["message:a"], "t1").await;
    let recording = db.client().await;
    let record = "BEGIN; UPDATE cache_epoch SET number = 2, recorded_at = clock_timestamp()";
    recording.batch_execute(record).await.unwrap();
    let watch = db.client().await;

    let d = db.open.clone();
    let renewing = tokio::spawn(async move { d.cache_renew(A, "one", LONG).await.unwrap() });
    waits(&watch).await;
    let d = db.open.clone();
    let settling =
        tokio::spawn(async move { d.cache_settle(&rows, Some(number), LONG).await.unwrap() });
    let d = db.open.clone();
    let retiring = tokio::spawn(async move { d.cache_retire(number).await.unwrap() });
    eventually(SOON, async || (waiters(&watch).await == 3).then_some(())).await;
    recording.batch_execute("COMMIT").await.unwrap();
    assert_eq!(renewing.await.unwrap(), CacheRenewal::TooYoung);
    assert!(!settling.await.unwrap());
    assert!(!retiring.await.unwrap());
    assert_eq!(waiting(&db.open).await, ["message:a"]);
    assert_eq!(epoch(&db).await, (2, "one".to_owned()));
    // A record that is not committed yet also makes a query for free epochs wait.
    db.run("UPDATE cache_epoch SET remote = '', recorded_at = 'epoch'")
        .await;
    recording
        .batch_execute(
            "BEGIN; UPDATE cache_epoch SET remote = 'three', recorded_at = clock_timestamp()",
        )
        .await
        .unwrap();
    let d = db.open.clone();
    let registering = tokio::spawn(async move {
        d.cache_register(B, CacheTier::Shared, LONG)
            .await
            .unwrap()
            .free
    });
    waits(&watch).await;
    recording.batch_execute("COMMIT").await.unwrap();
    assert!(!registering.await.unwrap());
}

async fn waiters(watch: &tokio_postgres::Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    watch.query_one(sql, &[]).await.unwrap().get(0)
}

async fn waits(watch: &tokio_postgres::Client) {
    eventually(SOON, async || (waiters(watch).await > 0).then_some(())).await;
}

/// One statement: no transaction is begun, and nothing is prepared twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_is_one_statement() {
    let db = Db::postgres().await;
    let one = db.opened(|settings| settings.pool_size = 1).await;
    recorded(&one, "one").await;
    for _ in 0..3 {
        renewed(&one, "one", AT_ONCE).await;
    }
    let client = db.client().await;
    // The connection's last statement, and that it is in no transaction.
    let sql = "SELECT state || ': ' || query FROM pg_stat_activity \
               WHERE datname = current_database() AND query LIKE '%WITH epoch%' AND pid <> pg_backend_pid()";
    let found: BTreeSet<String> = client
        .query(sql, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(
        found
            .iter()
            .all(|line| line.starts_with("idle: WITH epoch")),
        "{found:?}"
    );
    assert_eq!(found.len(), 1, "{found:?}");
}

/// Otherwise the gate would close under load, which is when it is needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reserved_pool_waits_for_no_request() {
    let db = Db::postgres().await;
    let busy = db
        .opened(|settings| {
            settings.pool_size = 1;
            settings.acquire_timeout = 2 * SECOND;
        })
        .await;
    let writing = busy.begin(&owner("acme"), at(0)).await.unwrap();
    busy.cache_register(A, CacheTier::Shared, AT_ONCE)
        .await
        .unwrap_err();
    let reserved = busy.reserved_pool();
    assert!(
        reserved
            .cache_register(A, CacheTier::Shared, AT_ONCE)
            .await
            .unwrap()
            .free
    );
    recorded(&reserved, "one").await;
    drop(writing);
}
