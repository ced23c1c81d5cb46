//! Whether the cache says what the database says, when nobody writes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parlance_proto::v1;
use parlance_tests::{Caller, make};

/// Longer than the fence of somebody who died stands.
const LONGER_THAN_A_FENCE: Duration = Duration::from_secs(15);
/// So many of the newest are read one by one.
const ONE_BY_ONE: usize = 3;

/// The versions of the newest messages, by their sequence. More than 50 are not cached.
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

async fn agrees(caller: &Caller, chat: &str) -> bool {
    let mut rows = versions(caller, chat, 51).await;
    let conversation = caller.conversation(chat).await;
    let newest = rows.last_key_value().map_or(0, |(sequence, _)| *sequence);
    if conversation.message_count != newest {
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
    versions(caller, chat, 50).await == rows
}

/// How long it takes until every instance says of these conversations what the database says; `None` if it takes longer than the
/// fence of somebody who died stands.
pub(crate) async fn all_agree(callers: &[Caller], chats: &[String]) -> Option<Duration> {
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
