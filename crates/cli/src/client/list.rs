//! `parlance list`.

use parlance_proto::v1::{
    Channel, Conversation, ConversationStatus, ListConversationsRequest, ListMessagesRequest,
    Message,
};

use super::service::Service;
use crate::arguments::List;
use crate::failure::Failure;
use crate::show::{self, Screen};

/// Maximum page size of the service.
const PAGE: usize = 200;

pub(super) async fn run(
    arguments: &List,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let more = if let Some(id) = &arguments.conversation {
        // Requested with the newest first, to get the last messages; printed with the oldest first.
        let (mut messages, more) = messages(id, limit, service).await?;
        messages.reverse();
        screen.show(&messages, show::message::table)?;
        more
    } else {
        let (conversations, more) = conversations(arguments, limit, service).await?;
        screen.show(&conversations, show::conversation::table)?;
        more
    };
    if more {
        screen
            .output()
            .note("more results are available; increase --limit to see them");
    }
    Ok(())
}

async fn conversations(
    arguments: &List,
    limit: usize,
    service: &Service,
) -> Result<Collected<Conversation>, Failure> {
    let channel = arguments
        .channel
        .map_or(Channel::Unspecified, Channel::from);
    let status = arguments.status;
    let status = status.map_or(ConversationStatus::Unspecified, ConversationStatus::from);
    collect(limit, async |page_token| {
        let request = service.call(ListConversationsRequest {
            user: arguments.user.clone().unwrap_or_default(),
            channel: channel.into(),
            status: status.into(),
            unread_only: arguments.unread,
            page_size: page_size(limit),
            page_token,
            ..ListConversationsRequest::default()
        });
        let page = service.conversations().list_conversations(request).await?;
        let page = page.into_inner();
        Ok((page.conversations, page.next_page_token))
    })
    .await
}

async fn messages(
    conversation_id: &str,
    limit: usize,
    service: &Service,
) -> Result<Collected<Message>, Failure> {
    collect(limit, async |page_token| {
        let request = service.call(ListMessagesRequest {
            conversation_id: conversation_id.to_owned(),
            page_size: page_size(limit),
            page_token,
            ..ListMessagesRequest::default()
        });
        let page = service.messages().list_messages(request).await?;
        let page = page.into_inner();
        Ok((page.messages, page.next_page_token))
    })
    .await
}

/// Items, and whether more exist.
pub(super) type Collected<T> = (Vec<T>, bool);

/// Collects items page by page, up to the limit.
pub(super) async fn collect<T>(
    limit: usize,
    mut page: impl AsyncFnMut(String) -> Result<(Vec<T>, String), Failure>,
) -> Result<Collected<T>, Failure> {
    let mut all = Vec::new();
    let mut token = String::new();
    loop {
        let (items, next) = page(token).await?;
        all.extend(items);
        token = next;
        if token.is_empty() || all.len() >= limit {
            let more = !token.is_empty() || all.len() > limit;
            all.truncate(limit);
            return Ok((all, more));
        }
    }
}

/// Page size, the same for every page: a token is bound to its request.
pub(super) fn page_size(limit: usize) -> i32 {
    i32::try_from(limit.min(PAGE)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers below eight, in pages of three.
    async fn numbers(limit: usize) -> Collected<usize> {
        let collected = collect(limit, async |token| {
            let first: usize = token.parse().unwrap_or(0);
            let next = first + 3;
            let token = if next < 8 {
                next.to_string()
            } else {
                String::new()
            };
            Ok(((first..next.min(8)).collect(), token))
        });
        collected.await.unwrap()
    }

    #[tokio::test]
    async fn pages_are_requested_until_the_limit_is_reached() {
        for (limit, expected, more) in [(1, 1, true), (3, 3, true), (7, 7, true), (8, 8, false)] {
            assert_eq!(
                numbers(limit).await,
                ((0..expected).collect(), more),
                "{limit}"
            );
        }
        assert_eq!(numbers(100).await.0.len(), 8);
    }
}
