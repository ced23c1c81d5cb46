//! SQLite's write-ahead log is bounded under constant reads.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use parlance_storage::DatabaseUrl;
use parlance_testkit::eventually;

use crate::search::put;
use crate::support::{Db, SOON, open, owner};

const LIMIT: u64 = 1024 * 1024;

/// Two connections that read alternately, each starting before the other ends.
fn overlapping_readers(path: &Path, over: &AtomicBool) {
    let connect = || {
        let mut conn = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
        conn.batch_execute("PRAGMA busy_timeout = 60000").unwrap();
        conn
    };
    let (mut reading, mut next) = (connect(), connect());
    let begin = "BEGIN; SELECT count(*) FROM conversations";
    reading.batch_execute(begin).unwrap();
    while !over.load(Ordering::Relaxed) {
        next.batch_execute(begin).unwrap();
        reading.batch_execute("COMMIT").unwrap();
        std::mem::swap(&mut reading, &mut next);
    }
}

/// Without the checkpoints of the service the log has 14 MiB in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_bounded_under_constant_readers() {
    let db = Db::sqlite().await;
    let owner = owner("acme");
    let mut target = open(&db.open, &owner).await;
    let DatabaseUrl::Sqlite(path) = db.settings.url.clone() else {
        panic!("it is SQLite");
    };
    let log = format!("{}-wal", path.display());
    let size = || std::fs::metadata(&log).map_or(0, |log| log.len());
    let over = Arc::new(AtomicBool::new(false));
    let readers = {
        let over = Arc::clone(&over);
        std::thread::spawn(move || overlapping_readers(&path, &over))
    };
    let mut largest = 0;
    for _ in 0..20 {
        for _ in 0..10 {
            put(&db, &mut target, |message| {
                message.body = "x ".repeat(15_000);
            })
            .await;
        }
        largest = largest.max(size());
        eventually(SOON, async || {
            db.open.limit_log(LIMIT).await.unwrap();
            (size() <= LIMIT).then_some(())
        })
        .await;
    }
    over.store(true, Ordering::Relaxed);
    readers.join().unwrap();
    assert!(largest < 4 * LIMIT, "{largest}");
    assert!(
        !db.open.limit_log(LIMIT).await.unwrap(),
        "a small log is left alone"
    );
}
