//! Simulated invalidation connection: invalidations and answers arrive over it in order.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::world::{TrackingConnection, World};
use crate::ledger::RemoteId;
use crate::tracking::{InvalidationHandler, Tracking};

const BARRIER_TIMEOUT: Duration = Duration::from_millis(50);

pub(super) struct SimulatedTracking {
    pub(super) world: World,
    pub(super) instance: usize,
}

#[async_trait]
impl Tracking for SimulatedTracking {
    fn listen(&self, handler: Arc<dyn InvalidationHandler>) {
        handler.live();
        let mut parts = self.world.lock();
        let process = parts.links[self.instance].process;
        let tracking = TrackingConnection {
            handler,
            process,
            live: true,
            cut: false,
            last: Instant::now(),
            connection: 0,
        };
        parts.tracking.insert(self.instance, tracking);
    }

    fn identity(&self) -> Option<RemoteId> {
        let parts = self.world.lock();
        let tracking = parts
            .tracking
            .get(&self.instance)
            .filter(|tracking| tracking.live)?;
        Some(parts.id_of(tracking.process))
    }

    /// Makes one round trip from now on; its answer covers everything before `since`.
    async fn barrier(&self, _: Instant) -> bool {
        let started = Instant::now();
        let connection = {
            let parts = self.world.lock();
            match parts.tracking.get(&self.instance) {
                Some(tracking) if tracking.live => tracking.connection,
                _ => return false,
            }
        };
        self.world.short_delay().await;
        // The request arrives: earlier invalidations are ahead of its answer.
        let pong = {
            let mut parts = self.world.lock();
            let back = parts.delay();
            let Some(tracking) = parts.tracking.get_mut(&self.instance) else {
                return false;
            };
            tracking.last = tracking.last.max(Instant::now() + back);
            tracking.last
        };
        tokio::time::sleep_until(pong.min(started + BARRIER_TIMEOUT)).await;
        // Invalidations with the same arrival time come first.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let passed = {
            let parts = self.world.lock();
            let tracking = parts.tracking.get(&self.instance);
            pong <= started + BARRIER_TIMEOUT
                && tracking.is_some_and(|tracking| {
                    tracking.live && !tracking.cut && tracking.connection == connection
                })
        };
        if !passed {
            self.world.lose(self.instance, connection);
        }
        passed
    }
}

impl World {
    /// Loses the connection; some time later it is opened again, to the process that answers then.
    pub(super) fn lose(&self, instance: usize, connection: u64) {
        let handler = {
            let mut parts = self.lock();
            let Some(tracking) = parts.tracking.get_mut(&instance) else {
                return;
            };
            if tracking.connection != connection || !tracking.live {
                return;
            }
            tracking.live = false;
            Arc::clone(&tracking.handler)
        };
        handler.lost();
        let world = self.clone();
        tokio::spawn(async move {
            world.random_pause(400).await;
            let handler = {
                let mut parts = world.lock();
                let process = parts.links[instance].process;
                let Some(tracking) = parts.tracking.get_mut(&instance) else {
                    return;
                };
                tracking.connection += 1;
                tracking.process = process;
                tracking.cut = false;
                tracking.last = Instant::now();
                Arc::clone(&tracking.handler)
            };
            // Tracking is on before any copy may be stored.
            if let Some(tracking) = world.lock().tracking.get_mut(&instance) {
                tracking.live = true;
            }
            handler.live();
        });
    }
}
