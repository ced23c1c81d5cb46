//! The connection that hears of writes: news and answers come over it in order.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::world::{Ear, World};
use crate::ledger::RemoteId;
use crate::tracking::{InvalidationHandler, Tracking};

const PATIENCE: Duration = Duration::from_millis(50);

pub(super) struct Hearing {
    pub(super) world: World,
    pub(super) instance: usize,
}

#[async_trait]
impl Tracking for Hearing {
    fn listen(&self, heard: Arc<dyn InvalidationHandler>) {
        heard.live();
        let mut parts = self.world.lock();
        let process = parts.links[self.instance].process;
        let ear = Ear {
            heard,
            process,
            live: true,
            cut: false,
            last: Instant::now(),
            connection: 0,
        };
        parts.ears.insert(self.instance, ear);
    }

    fn identity(&self) -> Option<RemoteId> {
        let parts = self.world.lock();
        let ear = parts.ears.get(&self.instance).filter(|ear| ear.live)?;
        Some(parts.id_of(ear.process))
    }

    /// One round trip from now on: as good as any answer to a question that was sent after `since`.
    async fn barrier(&self, _: Instant) -> bool {
        let started = Instant::now();
        let connection = {
            let parts = self.world.lock();
            match parts.ears.get(&self.instance) {
                Some(ear) if ear.live => ear.connection,
                _ => return false,
            }
        };
        self.world.dawdle().await;
        // The question arrives: what was broadcast before is ahead of its answer.
        let pong = {
            let mut parts = self.world.lock();
            let back = parts.delay();
            let Some(ear) = parts.ears.get_mut(&self.instance) else {
                return false;
            };
            ear.last = ear.last.max(Instant::now() + back);
            ear.last
        };
        tokio::time::sleep_until(pong.min(started + PATIENCE)).await;
        // News of the same moment was ahead.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let good = {
            let parts = self.world.lock();
            let ear = parts.ears.get(&self.instance);
            pong <= started + PATIENCE
                && ear.is_some_and(|ear| ear.live && !ear.cut && ear.connection == connection)
        };
        if !good {
            self.world.lose(self.instance, connection);
        }
        good
    }
}

impl World {
    /// The connection is lost, and made anew some time later, to whichever process answers then.
    pub(super) fn lose(&self, instance: usize, connection: u64) {
        let heard = {
            let mut parts = self.lock();
            let Some(ear) = parts.ears.get_mut(&instance) else {
                return;
            };
            if ear.connection != connection || !ear.live {
                return;
            }
            ear.live = false;
            Arc::clone(&ear.heard)
        };
        heard.lost();
        let world = self.clone();
        tokio::spawn(async move {
            world.think(400).await;
            let heard = {
                let mut parts = world.lock();
                let process = parts.links[instance].process;
                let Some(ear) = parts.ears.get_mut(&instance) else {
                    return;
                };
                ear.connection += 1;
                ear.process = process;
                ear.cut = false;
                ear.last = Instant::now();
                Arc::clone(&ear.heard)
            };
            // Tracking is on before anything may be kept.
            if let Some(ear) = world.lock().ears.get_mut(&instance) {
                ear.live = true;
            }
            heard.live();
        });
    }
}
