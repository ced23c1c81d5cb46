//! Test process that starts one of each server, writes their pids and directories to the given file, and waits to be
//! killed.

use std::fs;

use parlance_testkit::{Postgres, PostgresConfig, Redis, SqliteFile};

fn main() {
    let report = std::env::args().nth(1).expect("usage: orphans REPORT");
    // Started on a thread that ends before the servers: they must live as long as the process, not as the thread.
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
