//! Listener of one invalidation connection.

use std::sync::Arc;

use deadpool_redis::redis::{PushInfo, PushKind, Value};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::state::{State, TrackingNanos, TrackingState};
use crate::key::Key;
use crate::ledger::RemoteId;
use crate::tracking::InvalidationHandler;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not confirmed yet.
    Fresh,
    Live,
    /// The connection broke, or sent a message that could not be understood. Nothing that it receives counts any more.
    Closed,
}

/// Listener of one connection. The phase, the notification of the handler and the state that barriers see change together under
/// its lock, so the handler learns of the end of one connection before anything of the next.
pub(super) struct InvalidationListener {
    shared: Arc<TrackingState>,
    handler: Arc<dyn InvalidationHandler>,
    generation: u64,
    phase: Mutex<Phase>,
    closed_notify: Notify,
}

impl InvalidationListener {
    pub(super) fn new(
        shared: Arc<TrackingState>,
        handler: Arc<dyn InvalidationHandler>,
        generation: u64,
    ) -> Self {
        Self {
            shared,
            handler,
            generation,
            phase: Mutex::new(Phase::Fresh),
            closed_notify: Notify::new(),
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock()
    }

    pub(super) fn now(&self) -> TrackingNanos {
        self.shared.nanos(Instant::now())
    }

    /// Processes a push message; called by the connection while it reads.
    pub(super) fn receive(&self, push: &PushInfo) {
        if push.kind == PushKind::Disconnection {
            self.close();
        } else if push.kind == PushKind::Invalidate {
            self.invalidated(&push.data);
        }
    }

    /// Processes an invalidation: names of keys, or nil after FLUSHALL.
    fn invalidated(&self, data: &[Value]) {
        for names in data {
            let Value::Array(names) = names else {
                return self.close();
            };
            for name in names {
                let Value::BulkString(name) = name else {
                    return self.close();
                };
                // A key of another application may have the same prefix.
                let name = std::str::from_utf8(name).ok();
                if let Some(key) = name.and_then(Key::parse_lease) {
                    self.handler.changed(key);
                }
            }
        }
    }

    /// Makes the connection live, unless it is closed already. Returns whether it is live.
    pub(super) fn live(&self, process: RemoteId, until: TrackingNanos) -> bool {
        let mut phase = self.phase();
        if *phase == Phase::Closed {
            return false;
        }
        *phase = Phase::Live;
        self.handler.live();
        self.shared.state.send_replace(State {
            generation: self.generation,
            live: Some(process),
            until,
        });
        true
    }

    /// Records that all invalidations from before this time have been received.
    pub(super) fn confirmed_until(&self, until: TrackingNanos) {
        let phase = self.phase();
        if *phase == Phase::Live {
            self.shared.state.send_modify(|state| state.until = until);
        }
    }

    /// Closes the listener: nothing that it receives counts any more.
    pub(super) fn close(&self) {
        let mut phase = self.phase();
        if std::mem::replace(&mut *phase, Phase::Closed) == Phase::Live {
            self.shared.state.send_modify(|state| state.live = None);
            self.handler.lost();
        }
        self.closed_notify.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.phase() == Phase::Closed
    }

    pub(super) async fn closed(&self) {
        self.closed_notify.notified().await;
    }

    pub(super) fn is_to(&self, process: &RemoteId) -> bool {
        self.shared.state.borrow().live.as_ref() == Some(process)
    }
}
