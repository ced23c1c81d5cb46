//! Reads senders.

use parlance_domain::{Channel, Owner, Sender, SenderId};

use super::sender_not_found;
use crate::App;
use crate::error::Result;
use crate::paging::{ListIdentity, Page, PageRequest};

impl App {
    /// One sender.
    pub async fn sender(&self, owner: &Owner, id: SenderId) -> Result<Sender> {
        self.db
            .sender(owner, id)
            .await?
            .ok_or_else(|| sender_not_found(id))
    }

    /// A page of the owner's senders, in the order of their creation.
    pub async fn list_senders(
        &self,
        owner: &Owner,
        channel: Option<Channel>,
        page: PageRequest,
    ) -> Result<Page<Sender>> {
        let list = ListIdentity::new("ListSenders", owner)
            .with(channel.map_or("", Channel::as_str).as_bytes());
        let after = page
            .position::<16>(&list)?
            .map(|bytes| SenderId::from_uuid(uuid::Uuid::from_bytes(bytes)));
        let limit = page.limit();
        let wanted = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let mut items = self.db.senders(owner, channel, after, wanted).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next_page_token =
            last.map_or_else(String::new, |last| list.token(last.id.uuid().as_bytes()));
        Ok(Page {
            items,
            next_page_token,
            total_size: None,
        })
    }
}
