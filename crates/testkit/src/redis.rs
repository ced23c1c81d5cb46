//! Throw-away Redis.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use crate::child::{Launch, Process};
use crate::server::{Server, ServerKind};
use crate::tools;

const KIND: ServerKind = ServerKind {
    name: "redis",
    stop_signal: "TERM",
    discard_signal: "KILL",
    ready: is_ready,
};

/// A Redis server without persistence: it is empty after a restart.
#[derive(Debug)]
pub struct Redis {
    url: String,
    server: Option<Arc<Server>>,
    shared: bool,
}

impl Redis {
    /// Returns the server of this test process: that of `TEST_REDIS_URL`, or a throw-away one. For tests that can share
    /// a key space; a server of its own costs a test some ten milliseconds.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Redis> = LazyLock::new(|| {
            let given = std::env::var("TEST_REDIS_URL")
                .ok()
                .filter(|url| !url.is_empty());
            match given {
                Some(url) => Redis {
                    url,
                    server: None,
                    shared: true,
                },
                None => Redis {
                    shared: true,
                    ..Redis::start()
                },
            }
        });
        &SHARED
    }

    /// Starts a server for one test, which may kill it.
    pub fn start() -> Self {
        Self::start_with::<[&str; 0]>([])
    }

    /// Starts a server with further arguments, such as `["--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru"]`.
    /// The log level must be notice or lower, because readiness is read from the log.
    pub fn start_with<A>(extra: A) -> Self
    where
        A: IntoIterator,
        A::Item: Into<OsString>,
    {
        let extra: Vec<OsString> = extra.into_iter().map(Into::into).collect();
        Self::launch("redis", "--port", |_| {}, &extra)
    }

    /// Starts a server that accepts TLS only, with a certificate for 127.0.0.1 signed by the authority in
    /// [`ca_file`](Self::ca_file).
    pub fn start_tls() -> Self {
        let names = [
            ("--tls-cert-file", "server.pem"),
            ("--tls-key-file", "server.key"),
            ("--tls-ca-cert-file", "ca.pem"),
        ];
        // Relative to its working directory.
        let mut extra: Vec<OsString> = names
            .iter()
            .flat_map(|(option, file)| [(*option).into(), (*file).into()])
            .collect();
        extra.extend(["--tls-auth-clients", "no", "--port", "0"].map(Into::into));
        Self::launch("rediss", "--tls-port", certify, &extra)
    }

    /// Returns the certificate of the authority of [`start_tls`](Self::start_tls).
    pub fn ca_file(&self) -> PathBuf {
        self.dir().join("ca.pem")
    }

    fn launch(
        scheme: &str,
        port_option: &str,
        prepare: impl FnOnce(&Path),
        extra: &[OsString],
    ) -> Self {
        let program = tools::redis_server();
        let launch = |dir: &Path, port: u16| {
            let mut args: Vec<OsString> = vec![port_option.into(), port.to_string().into()];
            let options = [
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
            ];
            args.extend(options.map(Into::into));
            args.push(dir.into());
            args.extend(extra.iter().cloned());
            Launch {
                program: program.clone(),
                args,
                env: Vec::new(),
                dir: dir.to_owned(),
                death_signal: "KILL",
                unprivileged: true,
            }
        };
        let server = Server::start(KIND, prepare, launch);
        let url = format!("{scheme}://127.0.0.1:{}/", server.port);
        Self {
            url,
            server: Some(Arc::new(server)),
            shared: false,
        }
    }

    /// Returns `redis://127.0.0.1:port/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills the server.
    pub fn kill9(&self) {
        self.own().kill9();
    }

    /// Starts the server again on the same port, after a clean shutdown if it is running. It is empty then, or has the
    /// data of the last SAVE.
    pub async fn restart(&self) {
        Arc::clone(self.own()).restart().await;
    }

    /// Freezes the server: connections stay open but do not respond.
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
            _ => panic!("this server is shared with other tests: use Redis::start"),
        }
    }
}

/// Creates an authority and a certificate signed by it, readable for any user that the server runs as.
fn certify(dir: &Path) {
    let script = r#"
        new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        openssl req -x509 $new -keyout ca.key -out ca.pem -subj "/CN=Authority of a test" -days 2 &&
        openssl req $new -keyout server.key -out server.csr -subj "/CN=Server of a test" &&
        echo "subjectAltName=IP:127.0.0.1" > server.ext &&
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile server.ext \
            -out server.pem -days 2 &&
        chmod a+r server.key server.pem ca.pem
    "#;
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(dir)
        .output()
        .expect("a shell to call openssl with");
    let errors = String::from_utf8_lossy(&made.stderr);
    assert!(
        made.status.success(),
        "certificates were not created; is openssl installed? {errors}"
    );
}

fn is_ready(_: &Path, process: &Process) -> bool {
    process
        .stdout
        .text()
        .contains("Ready to accept connections")
}
