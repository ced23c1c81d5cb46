//! Statistics of the service, and the same counted one by one.

use std::collections::BTreeMap;

use parlance_proto::v1;

use crate::Caller;

impl Caller {
    /// Statistics of a user, or of the owner if empty.
    pub async fn stats(&self, user: &str) -> v1::Stats {
        let user = user.to_owned();
        sorted(self.ok(v1::GetStatsRequest { user }).await)
    }

    /// The same, counted by reading every conversation and every message.
    pub async fn stats_by_reading(&self, user: &str) -> v1::Stats {
        let mut stats = v1::Stats::default();
        let mut by = BTreeMap::new();
        for conversation in self.all_conversations(user).await {
            stats.conversation_count += 1;
            stats.active_conversation_count +=
                i64::from(conversation.status() == v1::ConversationStatus::Active);
            stats.unread_count += conversation.unread_count;
            for message in self.all_messages(&conversation.id).await {
                stats.message_count += 1;
                stats.tokens_used += message.tokens_used.unwrap_or_default();
                let kind = (message.channel, message.direction, message.status);
                *by.entry(kind).or_default() += 1;
            }
        }
        let count = |((channel, direction, status), count)| v1::MessageCount {
            channel,
            direction,
            status,
            count,
        };
        stats.messages_by = by.into_iter().map(count).collect();
        stats
    }

    /// All conversations of a user, or of the owner if empty, over all pages.
    pub async fn all_conversations(&self, user: &str) -> Vec<v1::Conversation> {
        let mut request = v1::ListConversationsRequest {
            user: user.to_owned(),
            page_size: 200,
            ..Default::default()
        };
        let mut all = Vec::new();
        loop {
            let page = self.ok(request.clone()).await;
            all.extend(page.conversations);
            if page.next_page_token.is_empty() {
                return all;
            }
            request.page_token = page.next_page_token;
        }
    }
}

fn sorted(mut stats: v1::Stats) -> v1::Stats {
    stats
        .messages_by
        .sort_by_key(|by| (by.channel, by.direction, by.status));
    stats
}
