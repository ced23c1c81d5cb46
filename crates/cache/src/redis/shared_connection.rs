//! One shared connection: opened in the background, replaced when it breaks.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::{Connection, Pool};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::fault::{fault, pool_fault};
use super::{info, scripts};
use crate::ledger::{Epoch, RemoteId};
use crate::remote::Fault;

/// How long opening one may take; nobody waits for it longer than his own time.
const OPENING: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// So many answers in a row came too late: rather a new connection, for this one may lead into the void.
const LATE: u32 = 3;

/// A connection that is open.
pub(super) struct Link {
    connection: MultiplexedConnection,
    process: RwLock<RemoteId>,
    late: AtomicU32,
}

impl Link {
    async fn open(pool: &Pool) -> Result<Self, Fault> {
        // Taken for good: nobody checks it out again, and what breaks is not given back.
        let pooled = pool.get().await.map_err(pool_fault)?;
        let mut connection = Connection::take(pooled);
        let process = info::process(&mut connection)
            .await
            .map_err(|e| fault(&e))?;
        scripts::load(&mut connection)
            .await
            .map_err(|e| fault(&e))?;
        Ok(Self {
            connection,
            process: RwLock::new(process),
            late: AtomicU32::new(0),
        })
    }

    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// Whether it is to the process, or to one of the processes, of the epoch.
    pub(super) fn is_of(&self, epoch: &Epoch) -> bool {
        let process = self.process.read().unwrap_or_else(PoisonError::into_inner);
        epoch.remote.split(',').any(|one| one == &**process)
    }

    fn learn(&self, process: &RemoteId) {
        let mut known = self.process.write().unwrap_or_else(PoisonError::into_inner);
        if *known != *process {
            *known = Arc::clone(process);
        }
    }
}

#[derive(Clone)]
enum State {
    Opening,
    Up(Arc<Link>),
    Down(Fault),
}

/// One place for a connection.
pub(super) struct Lane {
    shared: Arc<Shared>,
    driver: AbortHandle,
}

struct Shared {
    state: watch::Sender<State>,
    hurry: Notify,
}

impl Lane {
    /// Needs a runtime around it.
    pub(super) fn new(pool: Pool) -> Self {
        let shared = Arc::new(Shared {
            state: watch::Sender::new(State::Opening),
            hurry: Notify::new(),
        });
        let driver = tokio::spawn(drive(Arc::clone(&shared), pool)).abort_handle();
        Self { shared, driver }
    }

    /// The connection; waits while it is being opened, but not while there is none to be had.
    pub(super) async fn link(&self) -> Result<Arc<Link>, Fault> {
        match &*self.shared.state.borrow() {
            State::Up(link) => return Ok(Arc::clone(link)),
            State::Down(fault) => return Err(fault.clone()),
            State::Opening => {}
        }
        let mut state = self.shared.state.subscribe();
        let known = state.wait_for(|state| !matches!(state, State::Opening));
        match known.await.as_deref() {
            Ok(State::Up(link)) => Ok(Arc::clone(link)),
            Ok(State::Down(fault)) => Err(fault.clone()),
            Ok(State::Opening) | Err(_) => Err(Fault::Slow),
        }
    }

    /// The connection, and if there is none, as soon as there is.
    async fn link_at_last(&self) -> Result<Arc<Link>, Fault> {
        self.shared.hurry.notify_one();
        let mut state = self.shared.state.subscribe();
        let known = state.wait_for(|state| matches!(state, State::Up(_)));
        match known.await.as_deref() {
            Ok(State::Up(link)) => Ok(Arc::clone(link)),
            Ok(State::Opening | State::Down(_)) | Err(_) => Err(Fault::Slow),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.shared.state.borrow(), State::Up(_))
    }

    /// This connection is of no use any more. Of all that say so the first replaces it.
    pub(super) fn replace(&self, link: &Arc<Link>) {
        self.shared.state.send_if_modified(|state| {
            let it = matches!(state, State::Up(up) if Arc::ptr_eq(up, link));
            if it {
                *state = State::Opening;
            }
            it
        });
    }

    pub(super) fn answered(link: &Link) {
        if link.late.load(Ordering::Relaxed) != 0 {
            link.late.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn was_late(&self, link: &Arc<Link>) {
        if link.late.fetch_add(1, Ordering::Relaxed) + 1 >= LATE {
            self.replace(link);
        }
    }

    /// Which process answers, asked anew.
    pub(super) async fn process(&self) -> Result<RemoteId, Fault> {
        let link = self.link().await?;
        match info::process(&mut link.connection()).await {
            Ok(process) => {
                link.learn(&process);
                Ok(process)
            }
            Err(error) => {
                let fault = fault(&error);
                if matches!(fault, Fault::Away(_)) {
                    self.replace(&link);
                }
                Err(fault)
            }
        }
    }

    /// Whether it answers in time; if not, the connection is replaced.
    pub(super) async fn probe(&self, within: Duration) -> bool {
        let Ok(Ok(link)) = timeout(within, self.link_at_last()).await else {
            return false;
        };
        let answered = timeout(within, info::ping(&mut link.connection())).await;
        let answers = matches!(answered, Ok(Ok(())));
        if !answers {
            self.replace(&link);
        }
        answers
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// One task a lane opens its connections, one after the other, so that a thousand callers of a broken one open one.
async fn drive(shared: Arc<Shared>, pool: Pool) {
    let mut state = shared.state.subscribe();
    let mut pause = FIRST_PAUSE;
    loop {
        let opened = timeout(OPENING, Link::open(&pool)).await;
        match opened.unwrap_or(Err(Fault::Slow)) {
            Ok(link) => {
                pause = FIRST_PAUSE;
                shared.state.send_replace(State::Up(Arc::new(link)));
                let gone = state.wait_for(|state| !matches!(state, State::Up(_)));
                if gone.await.is_err() {
                    return;
                }
            }
            Err(fault) => {
                tracing::debug!(%fault, "no connection to redis");
                shared.state.send_replace(State::Down(unreached(fault)));
                let _ = timeout(pause, shared.hurry.notified()).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// A server that refuses us is not reached, whatever it says: there is no connection.
fn unreached(fault: Fault) -> Fault {
    match fault {
        Fault::Refused(why) => Fault::Away(why),
        Fault::Slow | Fault::Away(_) | Fault::Elsewhere | Fault::Open => fault,
    }
}
