//! `parlance search`.

use parlance_proto::v1::{Channel, Direction, MessageStatus, SearchMessagesRequest, SearchResult};

use super::list::{Collected, collect, page_size};
use super::service::Service;
use crate::arguments::Search;
use crate::failure::Failure;
use crate::show::{self, Screen};

pub(super) async fn run(
    arguments: &Search,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let (results, more) = results(arguments, limit, service).await?;
    screen.show(&results, show::search::table)?;
    if more {
        screen
            .output()
            .note("more results are available; increase --limit to see them");
    }
    Ok(())
}

async fn results(
    arguments: &Search,
    limit: usize,
    service: &Service,
) -> Result<Collected<SearchResult>, Failure> {
    let channel = arguments
        .channel
        .map_or(Channel::Unspecified, Channel::from);
    let direction = arguments
        .direction
        .map_or(Direction::Unspecified, Direction::from);
    let status = arguments
        .status
        .map_or(MessageStatus::Unspecified, MessageStatus::from);
    collect(limit, async |page_token| {
        let request = service.call(SearchMessagesRequest {
            query: arguments.words.join(" "),
            user: arguments.user.clone().unwrap_or_default(),
            conversation_id: arguments.conversation.clone().unwrap_or_default(),
            channel: channel.into(),
            direction: direction.into(),
            status: status.into(),
            created_after: arguments.after,
            created_before: arguments.before,
            page_size: page_size(limit),
            page_token,
        });
        let page = service.messages().search_messages(request).await?;
        let page = page.into_inner();
        Ok((page.results, page.next_page_token))
    })
    .await
}
