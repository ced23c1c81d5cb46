//! Statistics of an owner, or of one of its users.

use std::time::Duration;

use parlance_domain::{ConversationStatus, Owner};
use parlance_storage::db::conversation::ConversationFilter;
use parlance_storage::db::stats::{Counter, CounterKind};

use crate::App;
use crate::cache::codec::AnswerCodec;
use crate::cache::keys::Scope;
use crate::error::Result;
use crate::paging::ListIdentity;
use crate::query_results::Stats;
use crate::read::{Answer, Ownership, Read};

impl App {
    /// Statistics of a user of the owner, or of the whole owner without one. While the database is unavailable they
    /// may be as old as `max_staleness`.
    pub async fn stats(
        &self,
        owner: &Owner,
        user: Option<&str>,
        max_staleness: Option<Duration>,
    ) -> Result<Read<Answer<Stats>>> {
        let list = ListIdentity::new("GetStats", owner);
        let codec = AnswerCodec {
            fingerprint: list
                .with(user.unwrap_or_default().as_bytes())
                .query_fingerprint(),
            encode: self.settings.encoders.stats,
        };
        let key = Scope::of(self.settings.installation, owner, user).stats();
        let ownership = Ownership { owner, user };
        let load = || {
            let (db, owner, user) = (self.db.clone(), owner.clone(), user.map(str::to_owned));
            move || async move {
                let counters = db.counters(&owner, user.as_deref()).await?;
                Ok(counters.iter().fold(Stats::default(), Stats::with))
            }
        };
        self.find_answer((key, ownership, max_staleness), codec, load)
            .await
    }
}

impl Stats {
    fn with(mut self, counter: &Counter) -> Self {
        let Counter {
            kind,
            items,
            unread_items: _,
            unread,
            tokens,
        } = counter;
        match *kind {
            CounterKind::Conversations { channel: _, status } => {
                self.conversations += items;
                if status == ConversationStatus::Active {
                    self.active_conversations += items;
                }
            }
            CounterKind::Messages {
                channel,
                direction,
                status,
            } => {
                self.messages += items;
                *self
                    .messages_by
                    .entry((channel, direction, status))
                    .or_default() += items;
            }
        }
        self.unread += unread;
        self.tokens_used += tokens;
        self
    }
}

/// Number of conversations that match a filter, from the counters of its user. The counters do not distinguish
/// addresses.
pub(super) fn total(filter: &ConversationFilter, counters: &[Counter]) -> i64 {
    let ConversationFilter {
        // Selects the counters.
        user: _,
        channel,
        status,
        unread_only,
        participant: _,
    } = filter;
    let wanted = counters.iter().filter(|counter| match counter.kind {
        CounterKind::Conversations {
            channel: on,
            status: is,
        } => {
            channel.is_none_or(|channel| channel == on) && status.is_none_or(|status| status == is)
        }
        CounterKind::Messages { .. } => false,
    });
    let number = |counter: &Counter| {
        if *unread_only {
            counter.unread_items
        } else {
            counter.items
        }
    };
    wanted.map(number).sum()
}
