//! Tombstones of deleted inbound messages: a provider that delivers one of them again does not create it again.

use parlance_domain::{Direction, Message, Timestamp};

use crate::conn::Database;
use crate::db::tx::Tx;
use crate::error::StorageResult;
use crate::rows::deleted_message::DeletedMessageRow;
use crate::schema::AgingTable;

const DELETED_MESSAGES: AgingTable = AgingTable {
    table: "deleted_messages",
    time: "deleted_at",
};

impl Tx {
    /// Whether the owner has deleted this provider's message, or is deleting its conversation.
    pub async fn was_deleted(
        &mut self,
        provider: &str,
        provider_message_id: &str,
    ) -> StorageResult<bool> {
        on!(self.connection, |c, q| q::deleted_message::exists(
            c,
            self.owner.as_str(),
            provider,
            provider_message_id
        ))
    }

    /// Records that an inbound message is deleted.
    pub(crate) async fn record_deletion(&mut self, message: &Message) -> StorageResult<()> {
        let received = message.direction == Direction::Inbound;
        let names = message
            .provider
            .clone()
            .zip(message.provider_message_id.clone());
        let names = names.filter(|_| received);
        self.record_deletions(names.into_iter().collect()).await
    }

    /// Records that inbound messages are deleted, by provider and provider message id.
    pub(crate) async fn record_deletions(
        &mut self,
        names: Vec<(String, String)>,
    ) -> StorageResult<()> {
        if names.is_empty() {
            return Ok(());
        }
        let row = |(provider, provider_message_id)| DeletedMessageRow {
            owner: self.owner.as_str().to_owned(),
            provider,
            provider_message_id,
            deleted_at: self.now.into(),
        };
        let rows: Vec<_> = names.into_iter().map(row).collect();
        on!(self.connection, |c, q| q::deleted_message::insert(c, &rows)).map(|_| ())
    }
}

impl Database {
    /// Removes up to `limit` tombstones of the whole installation that are older than `before`; returns how many.
    pub async fn prune_deleted_messages(
        &self,
        before: Timestamp,
        limit: i64,
    ) -> StorageResult<usize> {
        let mut connection = self.writer().await?;
        let removed = on_backend!(
            connection,
            delete_aged(DELETED_MESSAGES, before.into(), limit)
        )?;
        connection.commit().await?;
        Ok(removed)
    }
}
