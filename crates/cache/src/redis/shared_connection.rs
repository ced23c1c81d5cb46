//! Shared connection to a node: opened in the background, replaced when it breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::{Connection, Pool};
use parking_lot::RwLock;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::backoff::Backoff;
use super::fault::{fault, pool_fault};
use super::{info, scripts};
use crate::ledger::{Epoch, RemoteId};
use crate::remote::Fault;

/// Time-out of opening a connection. Callers wait no longer than their own time-out.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Late answers in a row after which the connection is replaced: its peer may be gone.
const MAX_LATE: u32 = 3;

/// Open connection.
pub(super) struct OpenConnection {
    connection: MultiplexedConnection,
    process: RwLock<RemoteId>,
    late: AtomicU32,
}

impl OpenConnection {
    async fn open(pool: &Pool) -> Result<Self, Fault> {
        // Taken out of the pool for good: a broken connection must not return to it.
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

    /// Whether the connection is to a process of the epoch.
    pub(super) fn is_of(&self, epoch: &Epoch) -> bool {
        let process = self.process.read();
        epoch.remote.split(',').any(|one| one == &**process)
    }

    fn set_process(&self, process: &RemoteId) {
        let mut known = self.process.write();
        if *known != *process {
            *known = Arc::clone(process);
        }
    }
}

#[derive(Clone)]
enum State {
    Opening,
    Up(Arc<OpenConnection>),
    Down(Fault),
}

/// Connection to a node that many callers share.
pub(super) struct SharedConnection {
    shared: Arc<ConnectionState>,
    driver: AbortHandle,
}

struct ConnectionState {
    state: watch::Sender<State>,
    connect_now: Notify,
}

impl SharedConnection {
    /// Starts to connect. Must be called within a runtime.
    pub(super) fn new(pool: Pool) -> Self {
        let shared = Arc::new(ConnectionState {
            state: watch::Sender::new(State::Opening),
            connect_now: Notify::new(),
        });
        let driver = tokio::spawn(drive(Arc::clone(&shared), pool)).abort_handle();
        Self { shared, driver }
    }

    /// Returns the open connection. Waits while it is being opened, but fails at once after a failed attempt.
    pub(super) async fn get(&self) -> Result<Arc<OpenConnection>, Fault> {
        match &*self.shared.state.borrow() {
            State::Up(open_connection) => return Ok(Arc::clone(open_connection)),
            State::Down(fault) => return Err(fault.clone()),
            State::Opening => {}
        }
        let mut state = self.shared.state.subscribe();
        let known = state.wait_for(|state| !matches!(state, State::Opening));
        match known.await.as_deref() {
            Ok(State::Up(open_connection)) => Ok(Arc::clone(open_connection)),
            Ok(State::Down(fault)) => Err(fault.clone()),
            Ok(State::Opening) | Err(_) => Err(Fault::Slow),
        }
    }

    /// Waits for an open connection, and retries at once if the last attempt failed.
    async fn wait_until_open(&self) -> Result<Arc<OpenConnection>, Fault> {
        self.shared.connect_now.notify_one();
        let mut state = self.shared.state.subscribe();
        let known = state.wait_for(|state| matches!(state, State::Up(_)));
        match known.await.as_deref() {
            Ok(State::Up(open_connection)) => Ok(Arc::clone(open_connection)),
            Ok(State::Opening | State::Down(_)) | Err(_) => Err(Fault::Slow),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.shared.state.borrow(), State::Up(_))
    }

    /// Replaces an unusable connection. Only the first of concurrent calls for one connection has an effect.
    pub(super) fn replace(&self, open_connection: &Arc<OpenConnection>) {
        self.shared.state.send_if_modified(|state| {
            let is_current = matches!(state, State::Up(up) if Arc::ptr_eq(up, open_connection));
            if is_current {
                *state = State::Opening;
            }
            is_current
        });
    }

    /// Records an answer in time.
    pub(super) fn answered(open_connection: &OpenConnection) {
        if open_connection.late.load(Ordering::Relaxed) != 0 {
            open_connection.late.store(0, Ordering::Relaxed);
        }
    }

    /// Records a late answer.
    pub(super) fn was_late(&self, open_connection: &Arc<OpenConnection>) {
        if open_connection.late.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_LATE {
            self.replace(open_connection);
        }
    }

    /// Queries the identity of the process.
    pub(super) async fn process(&self) -> Result<RemoteId, Fault> {
        let open_connection = self.get().await?;
        match info::process(&mut open_connection.connection()).await {
            Ok(process) => {
                open_connection.set_process(&process);
                Ok(process)
            }
            Err(error) => {
                let fault = fault(&error);
                if matches!(fault, Fault::Away(_)) {
                    self.replace(&open_connection);
                }
                Err(fault)
            }
        }
    }

    /// Whether the server answers a PING in time; if not, the connection is replaced.
    pub(super) async fn probe(&self, within: Duration) -> bool {
        let Ok(Ok(open_connection)) = timeout(within, self.wait_until_open()).await else {
            return false;
        };
        let answered = timeout(within, info::ping(&mut open_connection.connection())).await;
        let answers = matches!(answered, Ok(Ok(())));
        if !answers {
            self.replace(&open_connection);
        }
        answers
    }
}

impl Drop for SharedConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Opens the connection and its replacements. One task does so, so that a thousand callers of a broken connection open only one.
async fn drive(shared: Arc<ConnectionState>, pool: Pool) {
    let mut state = shared.state.subscribe();
    let mut backoff = Backoff::new();
    loop {
        let opened = timeout(CONNECT_TIMEOUT, OpenConnection::open(&pool)).await;
        match opened.unwrap_or(Err(Fault::Slow)) {
            Ok(open_connection) => {
                backoff.reset();
                shared
                    .state
                    .send_replace(State::Up(Arc::new(open_connection)));
                let gone = state.wait_for(|state| !matches!(state, State::Up(_)));
                if gone.await.is_err() {
                    return;
                }
            }
            Err(fault) => {
                tracing::debug!(%fault, "connecting to redis failed");
                shared
                    .state
                    .send_replace(State::Down(as_unreachable(fault)));
                let _ = timeout(backoff.next(), shared.connect_now.notified()).await;
            }
        }
    }
}

/// Reports a server that refuses the connection as unreachable.
fn as_unreachable(fault: Fault) -> Fault {
    match fault {
        Fault::Refused(why) => Fault::Away(why),
        Fault::Slow | Fault::Away(_) | Fault::Elsewhere | Fault::Open => fault,
    }
}
