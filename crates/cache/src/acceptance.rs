//! Acceptance of the database server that answers. Deliveries are claimed only on an accepted server.
//!
//! A server may hold an earlier state of the database, with deliveries of messages that have been handed over since. The marker
//! in the shared tier proves that. So a server is accepted when its state has been compared with the marker, or when no
//! comparison was possible for long. This is a loop of its own, because a reconciliation pass is limited to 1 s, which may be too
//! short for a distant database.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::MutexGuard;
use tokio::time::Instant;

use crate::cache::{Cache, Tiers};
use crate::gate::RECONCILE_INTERVAL;
use crate::ledger::{LedgerError, RegistrationState};
use crate::reconciler::claim;
use crate::remote::{Claimed, Remote};

/// Time within which an instance with a shared tier has registered with a new server.
const REGISTRATION_WAIT: Duration = Duration::from_secs(6);

impl Cache {
    /// Waits until the database has been compared with the marker in the shared tier, or could not be compared for too long.
    /// Returns at once without a shared tier. Work that depends on the state of the database must not begin before.
    pub async fn wait_until_compared(&self) {
        let mut compared = self.compared.subscribe();
        // Cannot fail: the sender is a field of this cache.
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
            if let Err(error) = cache.check_server().await {
                tracing::debug!(%error, "checking the database server failed; trying again");
            }
            drop(cache);
            tokio::time::sleep(RECONCILE_INTERVAL).await;
        }
    }

    async fn check_server(&self) -> Result<(), LedgerError> {
        let state = self.ledger.registration_state().await?;
        if state.is_accepted && *self.compared.borrow() {
            return Ok(());
        }
        let without_marker = self.settings.marker_timeout;
        let wait = match &self.tiers {
            Tiers::Shared { remote, .. } => match self.compare(remote, &state).await? {
                Comparison::Equal => Duration::ZERO,
                Comparison::WentBack => {
                    self.compared.send_replace(true);
                    return Ok(());
                }
                Comparison::Impossible => without_marker,
            },
            Tiers::Off | Tiers::Memory(_) if state.is_shared => without_marker,
            Tiers::Off | Tiers::Memory(_) => without_marker.min(REGISTRATION_WAIT),
        };
        self.accept(&state, wait).await
    }

    /// Compares the number of passes that the database has counted with the marker.
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
    async fn accept(&self, state: &RegistrationState, wait: Duration) -> Result<(), LedgerError> {
        let now = Instant::now();
        let since = {
            let mut uncompared = self.uncompared();
            let known = uncompared.take();
            let server = state.holder.server.clone();
            let known = known.filter(|(known, _)| *known == server);
            uncompared.insert(known.unwrap_or((server, now))).1
        };
        if now < since + wait {
            return Ok(());
        }
        // A server of a database that is not recorded yet cannot be accepted: the waiting time is kept until it is recorded.
        if state.is_accepted || self.ledger.accept(&state.holder.server).await? {
            *self.uncompared() = None;
            if !wait.is_zero() && wait == self.settings.marker_timeout {
                tracing::warn!(
                    "the marker in Redis could not be read for {wait:?}: messages are handed over without a check whether an \
                     earlier state of the database was restored"
                );
            }
        }
        self.compared.send_replace(true);
        Ok(())
    }

    fn uncompared(&self) -> MutexGuard<'_, Option<(String, Instant)>> {
        self.uncompared.lock()
    }
}

/// Result of comparing the database with the marker.
enum Comparison {
    /// The database has counted every pass that the marker has recorded.
    Equal,
    /// The database went back to an earlier state; everything that depends on the lost state was ended.
    WentBack,
    /// The shared tier does not answer, or another installation or server has claimed it.
    Impossible,
}
