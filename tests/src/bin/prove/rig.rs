//! Services under one protocol, and the load on them.

use std::time::Duration;

use parlance_testkit::Builder;
use parlance_testkit::history::Report;
use parlance_tests::Caller;
use parlance_tests::cluster::Cluster;

use crate::load::{Load, Running, Seen};
use crate::rivals::Rival;

/// Who does not answer within this time may be stopped: whoever asked goes on with something else. Longer than a write of ours
/// waits for others.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is compared.
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

    /// Its line in the table.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Rival(Rival::CacheAside) => "cache aside, delete",
            Self::Rival(Rival::Rockscache) => "lease, delete",
            Self::Rival(Rival::Delete) => "one delete",
            Self::Ours => "fence, release (ours)",
        }
    }

    /// Its program, and settings that are the same for all. As it is used: the cache is in Redis with copies in each process.
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

/// Three services over a database and a Redis of their own.
pub(crate) struct Rig {
    pub(crate) protocol: Protocol,
    pub(crate) cluster: Cluster,
    load: Load,
    running: Option<Running>,
}

/// What came of a protocol.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) protocol: Protocol,
    pub(crate) report: Report,
    pub(crate) seen: Seen,
}

impl Rig {
    pub(crate) async fn start(protocol: Protocol) -> Self {
        let cluster = Cluster::start(|builder| protocol.builder(builder)).await;
        let at = |service| {
            Caller::as_owner(service, "acme").reconnected(|endpoint| endpoint.timeout(PATIENCE))
        };
        let callers: Vec<Caller> = cluster.services.iter().map(at).collect();
        Self {
            protocol,
            load: Load::prepare(callers).await,
            cluster,
            running: None,
        }
    }

    /// From now on everybody reads and writes.
    pub(crate) fn begin(&mut self, seed: u64) {
        self.running = Some(self.load.begin(seed));
    }

    /// To be asked while the faults have the rig.
    pub(crate) fn load(&self) -> Load {
        self.load.clone()
    }

    /// Nobody reads or writes any more.
    pub(crate) async fn rest(&mut self) {
        if let Some(running) = self.running.take() {
            self.load.end(running).await;
        }
    }

    pub(crate) async fn end(mut self) -> Ended {
        self.rest().await;
        let Self {
            protocol,
            cluster,
            load,
            ..
        } = self;
        drop(cluster);
        let seen = load.seen();
        let checking = tokio::task::spawn_blocking(|| load.check());
        Ended {
            protocol,
            report: checking.await.expect("a check that does not fail"),
            seen,
        }
    }
}
