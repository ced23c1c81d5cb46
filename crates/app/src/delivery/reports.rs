//! Status reports of providers, merged like any other report.

use std::sync::Arc;

use async_trait::async_trait;
use parlance_domain::{Message, Owner};
use parlance_providers::{ProviderReport, Reports, RetryReport};

use crate::App;
use crate::error::{Kind, Result};
use crate::messages::{MessageRef, StatusReport};

#[async_trait]
impl Reports for App {
    async fn report(&self, report: ProviderReport) -> std::result::Result<(), RetryReport> {
        let ProviderReport {
            owner,
            message_id,
            status,
            error,
            occurred_at,
        } = report;
        let which = MessageRef::Id(message_id);
        let report = StatusReport {
            which,
            status,
            error,
            occurred_at: Some(occurred_at),
        };
        match self.report_status(&owner, report).await {
            Ok(_) => Ok(()),
            // Deleted, or in a state that takes no reports: a retry would not change that.
            Err(error)
                if matches!(
                    error.reason.kind(),
                    Kind::NotFound | Kind::FailedPrecondition
                ) =>
            {
                Ok(())
            }
            Err(error) => {
                tracing::debug!(%error, cause = error.causes(), %message_id, "a report could not be merged yet; the provider retries it");
                Err(RetryReport)
            }
        }
    }
}

/// Page size of `for_each_open_message`.
const PAGE: i64 = 500;

impl App {
    /// Calls `each` for every message that a provider has accepted and not finally reported on, page by page; for a
    /// provider that loses its state at a restart.
    pub async fn for_each_open_message(
        self: &Arc<Self>,
        provider: &str,
        mut each: impl FnMut(Owner, Message),
    ) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.db.open_messages(provider, after, PAGE).await?;
            let full = i64::try_from(page.len()).unwrap_or(i64::MAX) >= PAGE;
            after = page.last().map(|message| message.id);
            for message in page {
                each(message.owner.clone(), message);
            }
            if !full {
                return Ok(());
            }
        }
    }
}
