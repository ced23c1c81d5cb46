//! Whether the cache agrees with the database after the writes have ended.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parlance_proto::v1;
use parlance_tests::{Caller, make};

/// Longer than the fence of a killed writer lasts.
const LONGER_THAN_A_FENCE: Duration = Duration::from_secs(15);
/// Number of the newest messages that are read one by one.
const ONE_BY_ONE: usize = 3;

/// A conversation with both of its ids: reads by external id are not cached.
#[derive(Debug, Clone)]
pub(crate) struct ChatIds {
    pub(crate) id: String,
    pub(crate) external_id: String,
}

/// Versions of the newest messages, by their sequence. A page of more than 50 is not cached.
async fn versions(caller: &Caller, chat: &str, page_size: i32) -> BTreeMap<i64, (String, i64)> {
    let request = v1::ListMessagesRequest {
        page_size,
        ..make::list(chat)
    };
    let page = caller.ok(request).await;
    let messages = page.messages.into_iter();
    messages
        .map(|message| (message.sequence, (message.id, message.version)))
        .collect()
}

async fn agrees(caller: &Caller, chat: &ChatIds) -> bool {
    let mut rows = versions(caller, &chat.id, 51).await;
    if caller.conversation(&chat.id).await != caller.by_external_id(&chat.external_id).await {
        return false;
    }
    for (id, version) in rows.values().rev().take(ONE_BY_ONE) {
        if caller.message(id).await.version != *version {
            return false;
        }
    }
    if rows.len() > 50 {
        rows.pop_first();
    }
    versions(caller, &chat.id, 50).await == rows
}

/// Waits until every instance returns what the database has for these conversations; returns how long that took, or
/// `None` if it takes longer than the fence of a killed writer lasts.
pub(crate) async fn all_agree(callers: &[Caller], chats: &[ChatIds]) -> Option<Duration> {
    let began = Instant::now();
    for chat in chats {
        for caller in callers {
            while !agrees(caller, chat).await {
                if began.elapsed() > LONGER_THAN_A_FENCE {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    Some(began.elapsed())
}
