//! Accounts with a script or an advanced clock. Other accounts have no state here.

use std::collections::HashMap;
use std::time::Duration;

use parlance_domain::Timestamp;

use super::script::{ActiveScript, WebhookPlan};
use crate::{FaultKind, NetworkError, Script};

/// Number of accounts with state.
const MAX_ACCOUNTS: usize = 10_000;
/// 9999-12-31T23:59:59Z, the end of the contract's range of times.
const END_OF_TIME: Timestamp = Timestamp::from_micros(253_402_300_799_000_000);

#[derive(Debug, Default)]
struct Account {
    script: Option<ActiveScript>,
    advanced: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Accounts(HashMap<String, Account>);

impl Accounts {
    /// How far the clock of an account is advanced.
    pub(super) fn advanced(&self, account: &str) -> Duration {
        self.0
            .get(account)
            .map_or(Duration::ZERO, |account| account.advanced)
    }

    pub(super) fn advance(
        &mut self,
        account: &str,
        by: Duration,
        now: Timestamp,
    ) -> Result<(), NetworkError> {
        let entry = self.entry(account)?;
        let advanced = entry.advanced.saturating_add(by);
        if now.plus(advanced) > END_OF_TIME {
            return Err(NetworkError::ClockOverflow);
        }
        entry.advanced = advanced;
        Ok(())
    }

    pub(super) fn set_script(&mut self, account: &str, script: Script) -> Result<(), NetworkError> {
        if !script.faults.is_empty() {
            self.entry(account)?.script = Some(ActiveScript::new(script));
            return Ok(());
        }
        if let Some(entry) = self.0.get_mut(account) {
            entry.script = None;
            if entry.advanced.is_zero() {
                self.0.remove(account);
            }
        }
        Ok(())
    }

    pub(super) fn plan_hand_over(
        &mut self,
        account: &str,
        recipient: &str,
    ) -> Option<(FaultKind, Option<Duration>)> {
        self.script(account)?.hand_over(recipient)
    }

    pub(super) fn plan_webhook(&mut self, account: &str, customer: &str) -> WebhookPlan {
        self.script(account)
            .map(|script| script.webhook(customer))
            .unwrap_or_default()
    }

    fn script(&mut self, account: &str) -> Option<&mut ActiveScript> {
        self.0.get_mut(account)?.script.as_mut()
    }

    fn entry(&mut self, account: &str) -> Result<&mut Account, NetworkError> {
        if self.0.len() >= MAX_ACCOUNTS && !self.0.contains_key(account) {
            return Err(NetworkError::TooManyOwners);
        }
        Ok(self.0.entry(account.to_owned()).or_default())
    }
}
