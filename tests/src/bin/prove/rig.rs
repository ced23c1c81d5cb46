//! Services under one protocol, and their load.

use std::time::Duration;

use parlance_testkit::Builder;
use parlance_testkit::history::Report;
use parlance_tests::Caller;
use parlance_tests::cluster::Cluster;

use crate::load::{Load, ReadCounts, Running};
use crate::rivals::Rival;

/// Time-out of a call. An instance may be stopped; the client then goes on with its next call. Longer than a write of
/// our protocol waits for other writes.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// A protocol under comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Rival(Rival),
    Ours,
}

impl Protocol {
    pub(crate) const ALL: [Self; 3] = [
        Self::Rival(Rival::CacheAside),
        Self::Rival(Rival::Rockscache),
        Self::Ours,
    ];

    /// Name of the protocol in the table.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Rival(Rival::CacheAside) => "cache aside, delete",
            Self::Rival(Rival::Rockscache) => "lease, delete",
            Self::Rival(Rival::Delete) => "one delete",
            Self::Ours => "fence, release (ours)",
        }
    }

    /// Sets the program and the settings, which are the same for all protocols. The cache is used as in production: in
    /// Redis, with copies in each process.
    fn builder(self, builder: Builder) -> Builder {
        let builder = builder.env("DATABASE_POOL_SIZE", "8");
        match self {
            Self::Ours => builder,
            Self::Rival(rival) => {
                let program = std::env::current_exe().expect("the path of this program");
                builder.binary(program).arg(rival.as_str())
            }
        }
    }
}

/// Three services with a database and a Redis of their own.
pub(crate) struct Rig {
    pub(crate) protocol: Protocol,
    pub(crate) cluster: Cluster,
    load: Load,
    running: Option<Running>,
}

/// Result of a protocol.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) protocol: Protocol,
    pub(crate) report: Report,
    pub(crate) read_counts: ReadCounts,
}

impl Rig {
    pub(crate) async fn start(protocol: Protocol) -> Self {
        let cluster = Cluster::start(|builder| protocol.builder(builder)).await;
        let at = |service| {
            Caller::as_owner(service, "acme").reconnected(|endpoint| endpoint.timeout(CALL_TIMEOUT))
        };
        let callers: Vec<Caller> = cluster.services.iter().map(at).collect();
        Self {
            protocol,
            load: Load::prepare(callers).await,
            cluster,
            running: None,
        }
    }

    /// Starts the load.
    pub(crate) fn begin(&mut self, seed: u64) {
        self.running = Some(self.load.begin(seed));
    }

    /// The load, shared so that it can be queried while the faults borrow the rig.
    pub(crate) fn load(&self) -> Load {
        self.load.clone()
    }

    /// Stops the load.
    pub(crate) async fn rest(&mut self) {
        if let Some(running) = self.running.take() {
            self.load.end(running).await;
        }
    }

    pub(crate) async fn end(mut self) -> Outcome {
        self.rest().await;
        let Self {
            protocol,
            cluster,
            load,
            ..
        } = self;
        drop(cluster);
        let read_counts = load.read_counts();
        let checking = tokio::task::spawn_blocking(|| load.check());
        Outcome {
            protocol,
            report: checking.await.expect("a check that does not fail"),
            read_counts,
        }
    }
}
