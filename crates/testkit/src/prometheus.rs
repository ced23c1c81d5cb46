//! Throw-away Prometheus.

use std::net::SocketAddr;
use std::path::Path;

use crate::child::{Launch, Process};
use crate::server::{Server, ServerKind};
use crate::tools;

const KIND: ServerKind = ServerKind {
    name: "prometheus",
    stop_signal: "TERM",
    discard_signal: "KILL",
    ready: is_ready,
};

/// A Prometheus server that scrapes services five times per second.
#[derive(Debug)]
pub struct Prometheus {
    url: String,
    _server: Server,
}

impl Prometheus {
    /// Starts a server that scrapes these targets.
    pub fn start(targets: &[SocketAddr]) -> Self {
        let program = tools::prometheus();
        let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
        let prepare = |dir: &Path| {
            let config = format!(
                "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}\n\
                 scrape_configs:\n- job_name: parlance\n  static_configs: [{{ targets: {targets:?} }}]\n"
            );
            std::fs::write(dir.join("prometheus.yml"), config).expect("a directory of our own");
        };
        let launch = |dir: &Path, port: u16| Launch {
            program: program.clone(),
            args: vec![
                format!("--config.file={}", dir.join("prometheus.yml").display()).into(),
                format!("--storage.tsdb.path={}", dir.join("data").display()).into(),
                format!("--web.listen-address=127.0.0.1:{port}").into(),
            ],
            env: Vec::new(),
            dir: dir.to_owned(),
            death_signal: "KILL",
            unprivileged: true,
        };
        let server = Server::start(KIND, prepare, launch);
        Self {
            url: format!("http://127.0.0.1:{}", server.port),
            _server: server,
        }
    }

    /// Returns `http://127.0.0.1:port`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn is_ready(_: &Path, process: &Process) -> bool {
    process
        .stderr
        .text()
        .contains("Server is ready to receive web requests")
}
