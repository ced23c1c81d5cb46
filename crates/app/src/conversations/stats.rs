//! How much an owner, or one of its users, has.

use std::collections::BTreeMap;
use std::time::Duration;

use parlance_domain::{Channel, ConversationStatus, Direction, MessageStatus, Owner};
use parlance_storage::db::conversation::ConversationFilter;
use parlance_storage::db::stats::{Counter, CounterKind};

use crate::App;
use crate::cache::codec::AnswerCodec;
use crate::cache::keys::Scope;
use crate::cache::read::{Answer, Read, Whose};
use crate::error::Result;
use crate::paging::ListIdentity;

/// What there is at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Conversations.
    pub conversations: i64,
    /// Of these, active ones.
    pub active_conversations: i64,
    /// Messages.
    pub messages: i64,
    /// Unread messages.
    pub unread: i64,
    /// Tokens that all messages used.
    pub tokens_used: i64,
    /// The messages by kind; none that there are none of.
    pub messages_by: BTreeMap<(Channel, Direction, MessageStatus), i64>,
}

impl App {
    /// How much a user of the owner has, or the whole owner without one. While the database is away it may be as old as
    /// `max_staleness`.
    pub async fn stats(
        &self,
        owner: &Owner,
        user: Option<&str>,
        max_staleness: Option<Duration>,
    ) -> Result<Read<Answer<Stats>>> {
        let question = ListIdentity::new("GetStats", owner);
        let codec = AnswerCodec {
            question: question
                .with(user.unwrap_or_default().as_bytes())
                .question(),
            encode: self.settings.encoders.stats,
        };
        let key = Scope::of(self.settings.installation, owner, user).stats();
        let whose = Whose { owner, user };
        let load = || {
            let (db, whose, user) = (self.db.clone(), owner.clone(), user.map(str::to_owned));
            move || async move {
                let counters = db.counters(&whose, user.as_deref()).await?;
                Ok(counters.iter().fold(Stats::default(), Stats::with))
            }
        };
        self.find_answer((key, whose, max_staleness), codec, load)
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

/// How many conversations a list has, by the counters of its user. They know nothing of addresses.
pub(super) fn total(filter: &ConversationFilter, counters: &[Counter]) -> i64 {
    let ConversationFilter {
        // Whose the counters are.
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
