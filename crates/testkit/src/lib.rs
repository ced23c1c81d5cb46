//! Throw-away servers and the `parlance` binary as a child, for tests and benches only.
//!
//! - Nothing outlives the test process: every child runs under `setpriv --pdeathsig`, started by a thread that lives as
//!   long as the process, and what a killed process left on disk is swept by the next one (see [`sweep`]).
//! - Nothing is shared by accident: a database, a Redis or a file per test.
//! - Nothing sleeps for a fixed time: readiness is read from the child itself, conditions are awaited by [`eventually`].
//! - Failures panic with what to do about them, and with the end of the child's log.
//!
//! Linux only; needs `setpriv` and `ipcrm` (util-linux), a shell, and the servers themselves or
//! `TEST_DATABASE_URL` and `TEST_REDIS_URL`; for pages a Chromium, for dashboards a Prometheus.
//!
//! To add a server: a module that says how to launch it, when it is ready and which signal stops it, around
//! `server::Server`.

mod browser;
mod child;
mod database;
pub mod history;
mod ports;
mod postgres;
mod process;
mod prometheus;
mod proxy;
mod redis;
mod redis_cluster;
mod scratch;
mod server;
mod signal;
mod sqlite;
mod tools;
mod torture;
mod wait;

pub use browser::Browser;
pub use database::TestDatabase;
pub use ports::{ClosedPort, free_port};
pub use postgres::{Postgres, PostgresConfig};
pub use process::{Builder, Finished, Parlance};
pub use prometheus::Prometheus;
pub use proxy::Proxy;
pub use redis::Redis;
pub use redis_cluster::RedisCluster;
pub use scratch::sweep;
pub use sqlite::SqliteFile;
pub use torture::{seed, torture, torture_time};
pub use wait::eventually;
