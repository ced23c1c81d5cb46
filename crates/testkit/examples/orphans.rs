//! A test process that starts one of everything, writes down what it started into the file that it is given, and waits to
//! be killed.

use std::fs;

use parlance_testkit::{Postgres, PostgresConfig, Redis, SqliteFile};

fn main() {
    let report = std::env::args().nth(1).expect("a path for the report");
    // On a thread that ends before the servers may: they belong to the process.
    let started = std::thread::spawn(|| {
        let postgres = Postgres::start(PostgresConfig::default());
        let paused = Postgres::start(PostgresConfig::default());
        paused.pause();
        (postgres, paused, Redis::start(), SqliteFile::new())
    });
    let (postgres, paused, redis, file) = started.join().unwrap();
    let pids = [postgres.pid(), paused.pid(), redis.pid()].map(|pid| pid.to_string());
    let file = file.path().parent().unwrap();
    let dirs = [postgres.dir(), paused.dir(), redis.dir(), file];
    let dirs = dirs.map(|dir| dir.display().to_string());
    let written = [pids.join("\n"), dirs.join("\n")].join("\n");
    let part = format!("{report}.part");
    fs::write(&part, written).unwrap();
    fs::rename(part, report).unwrap();
    loop {
        std::thread::park();
    }
}
