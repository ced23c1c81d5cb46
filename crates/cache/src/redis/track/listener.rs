//! What one connection hears, and whether it counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deadpool_redis::redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Moment, Shared, State};
use crate::key::Key;
use crate::ledger::RemoteId;
use crate::tracking::InvalidationHandler;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not confirmed yet.
    Fresh,
    Live,
    /// It broke, or heard what it cannot tell: nothing of it counts any more.
    Deaf,
}

/// Of one connection. Under its lock a phase, what is told of it and what barriers see of it change together, so that the end of
/// one connection is told before anything of the next.
pub(super) struct Ear {
    shared: Arc<Shared>,
    heard: Arc<dyn InvalidationHandler>,
    generation: u64,
    phase: Mutex<Phase>,
    deaf: Notify,
}

impl Ear {
    pub(super) fn new(
        shared: Arc<Shared>,
        heard: Arc<dyn InvalidationHandler>,
        generation: u64,
    ) -> Self {
        Self {
            shared,
            heard,
            generation,
            phase: Mutex::new(Phase::Fresh),
            deaf: Notify::new(),
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Moment {
        self.shared.moment(Instant::now())
    }

    /// Called by the connection while it reads.
    pub(super) fn hear(&self, push: &PushInfo) {
        if push.kind == PushKind::Disconnection {
            self.deafen();
        } else if push.kind == PushKind::Invalidate {
            self.invalidated(&push.data);
        }
    }

    /// Names, or nil after FLUSHALL.
    fn invalidated(&self, data: &[Value]) {
        for names in data {
            let Value::Array(names) = names else {
                return self.deafen();
            };
            for name in names {
                let Value::BulkString(name) = name else {
                    return self.deafen();
                };
                // Another's name may begin like ours.
                let name = std::str::from_utf8(name).ok();
                if let Some(key) = name.and_then(Key::parse_lease) {
                    self.heard.changed(key);
                }
            }
        }
    }

    /// It counts from now on; not if it is deaf already.
    pub(super) fn live(&self, process: RemoteId, until: Moment) -> bool {
        let mut phase = self.phase();
        if *phase == Phase::Deaf {
            return false;
        }
        *phase = Phase::Live;
        self.heard.live();
        self.shared.state.send_replace(State {
            generation: self.generation,
            live: Some(process),
            until,
        });
        true
    }

    /// What happened before this moment has been heard.
    pub(super) fn heard_until(&self, moment: Moment) {
        let phase = self.phase();
        if *phase == Phase::Live {
            self.shared.state.send_modify(|state| state.until = moment);
        }
    }

    /// Nothing of it counts any more.
    pub(super) fn deafen(&self) {
        let mut phase = self.phase();
        if std::mem::replace(&mut *phase, Phase::Deaf) == Phase::Live {
            self.shared.state.send_modify(|state| state.live = None);
            self.heard.lost();
        }
        self.deaf.notify_one();
    }

    pub(super) fn is_deaf(&self) -> bool {
        *self.phase() == Phase::Deaf
    }

    pub(super) async fn deafened(&self) {
        self.deaf.notified().await;
    }

    pub(super) fn is_to(&self, process: &RemoteId) -> bool {
        self.shared.state.borrow().live.as_ref() == Some(process)
    }
}
