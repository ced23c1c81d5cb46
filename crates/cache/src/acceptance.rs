//! Accepting the database server that answers: deliveries are claimed only on an accepted one.
//!
//! A server may hold an earlier state of the database, in which messages wait that have left before. The marker in the shared tier
//! proves that. So a server is accepted when its state has been compared with the marker, or when no comparison was possible for
//! long. This is a loop of its own: a reconciliation pass ends after `GATE_TTL`, which may be too short for a distant database.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::{Cache, Place};
use crate::gate::DRAIN_EVERY;
use crate::ledger::{LedgerError, RegistrationState};
use crate::reconciler::claim;
use crate::remote::{Claimed, Remote};

/// Within this time an instance that uses a shared tier has registered with a new server.
const REGISTRATION: Duration = Duration::from_secs(6);

impl Cache {
    /// Waits until the database has been compared with the marker in the shared tier, where there is one, or could not be for
    /// `marker_timeout`. What depends on the comparison must not begin before it.
    pub async fn wait_until_compared(&self) {
        let mut compared = self.compared.subscribe();
        // The sender is in this cache.
        let _ = compared.wait_for(|compared| *compared).await;
    }

    /// Accepts servers until the cache is dropped.
    pub(crate) async fn accept_servers(self: Arc<Self>) {
        let weak = Arc::downgrade(&self);
        if !self.keeps_a_gate() {
            return;
        }
        drop(self);
        loop {
            let Some(cache) = weak.upgrade() else { return };
            if let Err(error) = cache.look_at_server().await {
                tracing::debug!(%error, "the database server could not be looked at; trying again");
            }
            drop(cache);
            tokio::time::sleep(DRAIN_EVERY).await;
        }
    }

    async fn look_at_server(&self) -> Result<(), LedgerError> {
        let state = self.ledger.registration_state().await?;
        if state.is_accepted && *self.compared.borrow() {
            return Ok(());
        }
        let unable = self.settings.marker_timeout;
        let patience = match &self.place {
            Place::Shared { remote, .. } => match self.compare(remote, &state).await? {
                Comparison::Equal => Duration::ZERO,
                Comparison::WentBack => {
                    self.compared.send_replace(true);
                    return Ok(());
                }
                Comparison::Impossible => unable,
            },
            Place::Off | Place::Memory(_) if state.is_shared => unable,
            Place::Off | Place::Memory(_) => unable.min(REGISTRATION),
        };
        self.accept(&state, patience).await
    }

    /// Compares the passes that the database has counted with the marker.
    async fn compare(
        &self,
        remote: &Arc<dyn Remote>,
        state: &RegistrationState,
    ) -> Result<Comparison, LedgerError> {
        let Ok((answering, Claimed::Held { marker })) = claim(remote, &state.holder).await else {
            return Ok(Comparison::Impossible);
        };
        if self.ledger.count(marker).await?.is_some() {
            return Ok(Comparison::Equal);
        }
        self.ledger.begin(state.epoch, &answering, marker).await?;
        Ok(Comparison::WentBack)
    }

    /// Accepts the server once it has answered for this long.
    async fn accept(
        &self,
        state: &RegistrationState,
        patience: Duration,
    ) -> Result<(), LedgerError> {
        let now = Instant::now();
        let since = {
            let mut uncompared = self.uncompared();
            let known = uncompared.take();
            let server = state.holder.server.clone();
            let known = known.filter(|(known, _)| *known == server);
            uncompared.insert(known.unwrap_or((server, now))).1
        };
        if now < since + patience {
            return Ok(());
        }
        // A database that is not recorded yet is accepted when it is: the time that passed counts until then.
        if state.is_accepted || self.ledger.accept(&state.holder.server).await? {
            *self.uncompared() = None;
            if !patience.is_zero() && patience == self.settings.marker_timeout {
                tracing::warn!(
                    "the marker in Redis could not be read for {patience:?}: messages are handed over without knowing whether an \
                     earlier state of the database was restored"
                );
            }
        }
        self.compared.send_replace(true);
        Ok(())
    }

    fn uncompared(&self) -> MutexGuard<'_, Option<(String, Instant)>> {
        self.uncompared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of comparing the database with the marker.
enum Comparison {
    /// The database knows of every pass that the marker knows of.
    Equal,
    /// It does not: it went back to an earlier state, and what depends on the later one was ended.
    WentBack,
    /// The shared tier does not answer, or another installation or server has claimed it.
    Impossible,
}
