//! Senders.

use parlance_domain::{Channel, Owner, Sender, SenderId};

use crate::conn::Database;
use crate::db::tx::Tx;
use crate::error::StorageResult;
use crate::fields::Id;
use crate::model::guarded::Guarded;
use crate::model::touched::Touch;
use crate::rows::sender::SenderRow;

impl Database {
    /// Returns a sender of the owner.
    pub async fn sender(&self, owner: &Owner, id: SenderId) -> StorageResult<Option<Sender>> {
        let row = read!(self, |c, q| q::sender::get(c, owner.as_str(), id.into()))?;
        row.map(Sender::try_from).transpose()
    }

    /// Returns the sender of an address, of any owner: the caller compares the owner.
    pub async fn sender_of_address(
        &self,
        channel: Channel,
        address: &str,
    ) -> StorageResult<Option<Sender>> {
        let channel = channel.of_conversation().as_str();
        let row = read!(self, |c, q| q::sender::by_address(c, channel, address))?;
        row.map(Sender::try_from).transpose()
    }

    /// Returns the owner's senders after one of them, in the order of their creation.
    pub async fn senders(
        &self,
        owner: &Owner,
        channel: Option<Channel>,
        after: Option<SenderId>,
        limit: i64,
    ) -> StorageResult<Vec<Sender>> {
        let (channel, after) = (channel.map(Channel::as_str), after.map(Id::from));
        let rows = read!(self, |c, q| q::sender::page(
            c,
            owner.as_str(),
            channel,
            after,
            limit
        ))?;
        rows.into_iter().map(Sender::try_from).collect()
    }
}

impl Tx {
    /// Returns the sender of an address, of any owner: the caller compares the owner.
    pub async fn sender_of_address(
        &mut self,
        channel: Channel,
        address: &str,
    ) -> StorageResult<Option<Sender>> {
        let row = on!(self.connection, |c, q| q::sender::by_address(
            c,
            channel.as_str(),
            address
        ))?;
        row.map(Sender::try_from).transpose()
    }

    /// Locks a sender of the owner.
    pub async fn lock_sender(&mut self, id: SenderId) -> StorageResult<Option<Sender>> {
        let row = on!(self.connection, |c, q| q::sender::lock(
            c,
            self.owner.as_str(),
            id.into()
        ))?;
        row.map(Sender::try_from).transpose()
    }

    /// Inserts a sender; `false` if its address is taken.
    pub async fn insert_sender(&mut self, sender: &Sender) -> StorageResult<bool> {
        let row = SenderRow::from(sender);
        self.touch(Touch::Sender(sender.id));
        on!(self.connection, |c, q| q::sender::insert(c, &row))
    }

    /// Writes a sender back.
    pub async fn update_sender(
        &mut self,
        found: &Sender,
        changed: &Sender,
    ) -> StorageResult<Guarded> {
        if changed.owner != self.owner || changed.id != found.id {
            return Ok(Guarded::Stale);
        }
        let row = SenderRow::from(changed);
        self.touch(Touch::Sender(found.id));
        // Its messages may have waited for this change.
        self.note_delivery(self.now);
        on!(self.connection, |c, q| q::sender::update(
            c,
            &row,
            found.version
        ))
        .map(Guarded::from)
    }

    /// Whether messages wait to be sent from it.
    pub async fn messages_wait_for_sender(&mut self, id: SenderId) -> StorageResult<bool> {
        on!(self.connection, |c, q| q::delivery::waits_for(
            c,
            self.owner.as_str(),
            id.into()
        ))
    }

    /// Removes a sender.
    pub async fn delete_sender(&mut self, id: SenderId) -> StorageResult<Guarded> {
        self.touch(Touch::Sender(id));
        on!(self.connection, |c, q| q::sender::delete(
            c,
            self.owner.as_str(),
            id.into()
        ))
        .map(Guarded::from)
    }
}
