//! Throw-away servers, the `parlance` binary as a child process, and the message that tests start from. For tests and
//! benches only.
//!
//! - Nothing outlives the test process. Every child runs under `setpriv --pdeathsig`, started by a thread that lives as
//!   long as the process. Files that a killed process left on disk are removed by the next one (see [`sweep`]).
//! - Nothing is shared by accident: each test has its own database, Redis or file.
//! - Nothing sleeps for a fixed time: readiness is read from the child itself, and conditions are awaited with
//!   [`eventually`].
//! - Failures panic with the remedy and the end of the child's log.
//!
//! Linux only. Needs `setpriv` and `ipcrm` (util-linux), a shell, and the servers themselves or `TEST_DATABASE_URL` and
//! `TEST_REDIS_URL`; for pages Chromium, for dashboards Prometheus.
//!
//! To add a server: write a module around `server::Server` with its launch command, its readiness check and its stop
//! signal.

mod browser;
mod child;
mod database;
pub mod history;
mod message;
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
pub use message::message;
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
