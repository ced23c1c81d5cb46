//! Throw-away Postgres.

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::child::{Launch, Process};
use crate::database::TestDatabase;
use crate::scratch::{Scratch, uid};
use crate::server::{Server, ServerKind};
use crate::tools;

const INITDB: Duration = Duration::from_mins(3);
/// Maximum length of a Unix socket path in the kernel, without the final zero.
const MAX_SOCKET_PATH: usize = 107;

const KIND: ServerKind = ServerKind {
    name: "postgres",
    stop_signal: "INT",
    discard_signal: "QUIT",
    ready: is_ready,
};

/// Settings of a test's own Postgres.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// Whether a commit waits until its log record is passed to the operating system. Off is faster and sufficient
    /// while only the service is killed. A test that kills Postgres and then checks committed data needs it on.
    pub synchronous_commit: bool,
    /// Maximum number of connections.
    pub max_connections: u32,
    /// Further settings, `name = value`; they take precedence over the rest.
    pub settings: Vec<(String, String)>,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            synchronous_commit: false,
            max_connections: 200,
            settings: Vec::new(),
        }
    }
}

/// A Postgres server in which tests create databases.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    server: Option<Arc<Server>>,
    shared: bool,
}

impl Postgres {
    /// Returns the server of this test process, started at its first use: that of `TEST_DATABASE_URL`, or a throw-away
    /// one.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Postgres> = LazyLock::new(|| {
            let given = std::env::var("TEST_DATABASE_URL")
                .ok()
                .filter(|url| !url.is_empty());
            match given {
                Some(url) => Postgres {
                    url,
                    server: None,
                    shared: true,
                },
                None => Postgres {
                    shared: true,
                    ..Postgres::start(PostgresConfig::default())
                },
            }
        });
        &SHARED
    }

    /// Starts a server for one test, which may kill it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "`start(PostgresConfig { .. })` reads best"
    )]
    pub fn start(config: PostgresConfig) -> Self {
        let bin = tools::postgres_bin();
        let launch = |dir: &Path, port| server(&bin, dir, port, &config);
        let server = Server::start(KIND, |dir| initdb(&bin, dir), launch);
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
        Self {
            url,
            server: Some(Arc::new(server)),
            shared: false,
        }
    }

    /// Starts a standby of this server: it replays commits, refuses writes, and can be promoted.
    #[must_use]
    pub fn standby(&self) -> Self {
        let bin = tools::postgres_bin();
        let config = PostgresConfig::default();
        let launch = |dir: &Path, port| server(&bin, dir, port, &config);
        let server = Server::start(KIND, |dir| copy(&bin, dir, &self.url), launch);
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
        Self {
            url,
            server: Some(Arc::new(server)),
            shared: false,
        }
    }

    /// Creates a database in this server and restores a dump of another server's database into it.
    pub async fn restore_from(&self, other: &TestDatabase) -> TestDatabase {
        let restored = self.create_database().await;
        let bin = tools::postgres_bin();
        let dir = Scratch::new("dump");
        if uid() == 0 {
            dir.give_to_unprivileged();
        }
        let file: OsString = dir.path().join("dump").into();
        let target = &restored.url;
        let dump = ["-Fc", "-d", &other.url, "-f"].map(OsString::from);
        run(
            &bin,
            "pg_dump",
            dir.path(),
            [&dump[..], std::slice::from_ref(&file)].concat(),
        );
        let restore = ["--no-owner", "--exit-on-error", "-d", target].map(OsString::from);
        run(
            &bin,
            "pg_restore",
            dir.path(),
            [&restore[..], &[file]].concat(),
        );
        restored
    }

    /// Returns the URL of the server's maintenance database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Creates an empty database with the server's default encoding and locale.
    pub async fn create_database(&self) -> TestDatabase {
        TestDatabase::create(&self.url, self.server.is_none()).await
    }

    /// Kills the server and all its child processes, like a crash.
    pub fn kill9(&self) {
        self.own().kill9();
    }

    /// Starts the server again on the same port with the same data, after a clean shutdown if it is running.
    pub async fn restart(&self) {
        Arc::clone(self.own()).restart().await;
    }

    /// Saves a copy of the data files; the server must not be running.
    pub fn save_files(&self) {
        let (data, saved) = (self.dir().join("data"), self.dir().join("kept"));
        let arguments = [OsString::from("-a"), data.into(), saved.into()];
        run(Path::new(""), "cp", self.dir(), arguments.into());
    }

    /// Replaces the data files by the saved copy; the server must not be running. `restart` then starts it in its
    /// earlier state.
    pub fn restore_files(&self) {
        let (data, saved) = (self.dir().join("data"), self.dir().join("kept"));
        std::fs::remove_dir_all(&data).expect("the data files can be removed");
        std::fs::rename(saved, data).expect("the saved files can be restored");
    }

    /// Freezes the server and its connections: they stay open but do not respond.
    pub fn pause(&self) {
        self.own().pause();
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.own().resume();
    }

    /// Returns the server's pid; it changes with a restart.
    pub fn pid(&self) -> u32 {
        self.own().pid()
    }

    /// Returns the directory of the server's data and its log, the files `stdout` and `stderr`.
    pub fn dir(&self) -> &Path {
        self.own().dir()
    }

    fn own(&self) -> &Arc<Server> {
        match &self.server {
            Some(server) if !self.shared => server,
            _ => panic!("this server is shared with other tests: use Postgres::start"),
        }
    }
}

fn initdb(bin: &Path, dir: &Path) {
    let mut args: Vec<OsString> = vec!["-D".into(), dir.join("data").into()];
    let options = [
        "--no-sync",
        "-A",
        "trust",
        "-U",
        "postgres",
        "--locale=C.UTF-8",
        "-E",
        "UTF8",
    ];
    args.extend(options.map(Into::into));
    run(bin, "initdb", dir, args);
}

/// Creates a base backup of a running server, set up as its standby.
fn copy(bin: &Path, dir: &Path, of: &str) {
    let mut args: Vec<OsString> = vec!["-D".into(), dir.join("data").into()];
    let options = ["--no-sync", "-R", "-X", "stream", "-c", "fast", "-d", of];
    args.extend(options.map(Into::into));
    run(bin, "pg_basebackup", dir, args);
}

fn run(bin: &Path, program: &str, dir: &Path, args: Vec<OsString>) {
    let launch = Launch {
        program: bin.join(program),
        args,
        env: Vec::new(),
        dir: dir.to_owned(),
        death_signal: "KILL",
        unprivileged: true,
    };
    let process = launch.spawn();
    match process.wait(INITDB) {
        Some(status) if status.success() => {}
        Some(status) => panic!("{program} failed ({status}):\n{}", process.tail()),
        None => panic!(
            "{program} did not end within {INITDB:?}:\n{}",
            process.tail()
        ),
    }
}

fn server(bin: &Path, dir: &Path, port: u16, config: &PostgresConfig) -> Launch {
    let socket = dir.join(format!(".s.PGSQL.{port}"));
    let sockets = if socket.as_os_str().len() <= MAX_SOCKET_PATH {
        dir
    } else {
        Path::new("")
    };
    let on_off = |on| if on { "on" } else { "off" };
    let settings = [
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("port", port.to_string()),
        ("unix_socket_directories", sockets.display().to_string()),
        // Data must survive processes, not the machine.
        ("fsync", "off".to_owned()),
        (
            "synchronous_commit",
            on_off(config.synchronous_commit).to_owned(),
        ),
        ("max_connections", config.max_connections.to_string()),
        ("shared_buffers", "64MB".to_owned()),
        // In the data directory, which is removed; a killed server would leave segments in /dev/shm.
        ("dynamic_shared_memory_type", "mmap".to_owned()),
    ];
    let settings = settings
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    let mut args: Vec<OsString> = vec!["-D".into(), dir.join("data").into()];
    for (name, value) in settings.chain(config.settings.iter().cloned()) {
        args.extend(["-c".into(), format!("{name}={value}").into()]);
    }
    Launch {
        program: bin.join("postgres"),
        args,
        env: Vec::new(),
        dir: dir.to_owned(),
        death_signal: "QUIT",
        unprivileged: true,
    }
}

/// Whether the server's pid file reports it as ready. A killed server leaves the file behind, so the pid is compared.
fn is_ready(dir: &Path, process: &Process) -> bool {
    let pid_file = std::fs::read_to_string(dir.join("data/postmaster.pid")).unwrap_or_default();
    let lines: Vec<&str> = pid_file.lines().map(str::trim).collect();
    lines.first() == Some(&process.pid().to_string().as_str())
        && matches!(lines.get(7), Some(&("ready" | "standby")))
}
