//! Measurement harness: starts the service and the database server.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use parlance_testkit::{Builder, Parlance, Postgres, PostgresConfig};

use crate::bare::one_thread;
use crate::child::Server;
use crate::find::Find;
use crate::load::{self, Call};
use crate::message;
use crate::options::Options;
use crate::report::target;

/// Connections in the service's pool.
pub(crate) const POOL: usize = 16;
/// With an index of a million messages to build.
const MIGRATION: Duration = Duration::from_mins(30);

pub(crate) struct Harness {
    pub(crate) options: Options,
    /// `None` if only baselines are measured.
    pub(crate) binary: Option<PathBuf>,
    runtime: tokio::runtime::Runtime,
    postgres: OnceCell<Postgres>,
}

/// A server under load.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) pid: u32,
    /// Process id of its database server, if that is a separate process.
    pub(crate) database_pid: Option<u32>,
}

impl Harness {
    pub(crate) fn new(options: Options) -> Self {
        let binary = match &options.binary {
            _ if options.baselines => None,
            Some(given) => Some(given.canonicalize().unwrap_or_else(|e| {
                panic!("cannot find {}: {e}", given.display());
            })),
            None => Some(build("parlance-cli", "parlance")),
        };
        if cfg!(debug_assertions) {
            eprintln!("this is a debug build: its results are meaningless");
        }
        Self {
            options,
            binary,
            runtime: one_thread(),
            postgres: OnceCell::new(),
        }
    }

    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Returns a Postgres with durable commits, as in an installation.
    pub(crate) fn postgres(&self) -> &Postgres {
        self.postgres.get_or_init(|| {
            let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            Postgres::start(PostgresConfig {
                synchronous_commit: true,
                settings: vec![
                    setting("fsync", "on"),
                    setting("shared_buffers", "512MB"),
                    // No checkpoint of a filling must happen during the next measurement.
                    setting("max_wal_size", "4GB"),
                ],
                ..PostgresConfig::default()
            })
        })
    }

    /// Creates the tables with the service's own command, so that the service accepts the database.
    pub(crate) fn migrate(&self, binary: &Path, url: &str) {
        let migrate = Parlance::builder()
            .binary(binary)
            .database_url(url)
            .run(["migrate"], MIGRATION);
        let finished = self.wait(migrate);
        assert!(finished.status.success(), "migrate: {}", finished.stderr);
    }

    /// Starts the service on a migrated database.
    pub(crate) fn serve(&self, binary: &Path, url: &str, env: &[(&str, &str)]) -> Parlance {
        self.serve_as(binary, url, env, None)
    }

    /// Starts the service, or a program that serves with another cache protocol.
    pub(crate) fn serve_as(
        &self,
        binary: &Path,
        url: &str,
        env: &[(&str, &str)],
        protocol: Option<&str>,
    ) -> Parlance {
        let builder = Parlance::builder()
            .binary(binary)
            .database_url(url)
            .env("RUST_LOG", "warn");
        let builder = protocol.into_iter().fold(builder, Builder::arg);
        let builder = env
            .iter()
            .fold(builder, |builder, (name, value)| builder.env(*name, *value));
        self.wait(builder.start())
    }

    /// Returns a load on a target, with one connection and one stream.
    pub(crate) fn load(&self, target: &Target, call: Call, messages: u64) -> load::Args {
        load::Args {
            url: target.url.clone(),
            pid: target.pid,
            database_pid: target.database_pid,
            call,
            find: Find::Newest,
            messages,
            users: message::USERS,
            connections: 1,
            streams: 1,
            warmup: self.options.warmup(),
            seconds: self.options.seconds(),
        }
    }
}

impl Target {
    pub(crate) fn service(service: &Parlance, database_pid: Option<u32>) -> Self {
        Self {
            url: service.grpc_url(),
            pid: service.pid,
            database_pid,
        }
    }

    pub(crate) fn server(server: &Server, database_pid: Option<u32>) -> Self {
        Self {
            url: server.url.clone(),
            pid: server.pid,
            database_pid,
        }
    }
}

/// Builds a program with cargo in the profile of this program, which is the name of its directory.
pub(crate) fn build(package: &str, program: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("the path of this program");
    let dir = exe.parent().expect("a program is in a directory");
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let profile = if name == "debug" { "dev" } else { &name };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // `cargo run` sets variables about the package; build scripts that depend on them would run again every time.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let status = command
        .args([
            "build",
            "--locked",
            "--package",
            package,
            "--bin",
            program,
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(target())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    let built = status.is_ok_and(|status| status.success());
    assert!(
        built,
        "{program} was not built; --baselines measures without it"
    );
    dir.join(program)
}
