//! Calls: their paths and the validation of responses.

use bytes::Bytes;
use clap::ValueEnum;
use parlance_proto::v1;
use serde::Serialize;
use tonic::Status;
use tonic::codegen::http::uri::PathAndQuery;

/// Messages on the last page of the long conversation.
pub(super) const LAST: u16 = 10;

/// Kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Call {
    /// `GetMessage` of any message
    Get,
    /// The newest page of any conversation
    List,
    /// `SendMessage` in one hour, to any conversation
    Send,
    /// `SendMessage` at once, to any conversation
    SendNow,
    /// `SearchMessages`
    Find,
    /// `GetStats` of the owner
    Stats,
    /// `ListConversations`: one conversation and the total
    Total,
    /// `GetConversation` of any conversation
    Conversation,
    /// `BatchGetMessages` of any twenty messages
    Batch,
    /// `ListMessageEvents` of any message
    Events,
    /// The last page of the long conversation by `after_sequence`, with the total
    LastPage,
    /// The same by its page token
    LastByToken,
    /// The last page of all conversations by its page token, with the total
    LastConversations,
    /// The first page of a user's conversations
    UserList,
    /// `GetStats` of a user
    UserStats,
    /// A word in a user's messages
    UserSearch,
    /// A report that any message was read, with an earlier time than before
    Report,
    /// `MarkAsRead` of any conversation, further than before
    Mark,
    /// Of a hundred calls five immediate sends and 95 reads of users; some users more often than others
    Mix,
}

impl Call {
    pub(super) fn path(self) -> PathAndQuery {
        PathAndQuery::from_static(match self {
            Self::Get => "/parlance.v1.MessageService/GetMessage",
            Self::List | Self::LastPage | Self::LastByToken => {
                "/parlance.v1.MessageService/ListMessages"
            }
            Self::Conversation => "/parlance.v1.ConversationService/GetConversation",
            Self::Batch => "/parlance.v1.MessageService/BatchGetMessages",
            Self::Events => "/parlance.v1.MessageService/ListMessageEvents",
            Self::Report => "/parlance.v1.MessageService/UpdateMessageStatus",
            Self::Mark => "/parlance.v1.ConversationService/MarkAsRead",
            Self::Stats | Self::UserStats => "/parlance.v1.ConversationService/GetStats",
            Self::Total | Self::LastConversations | Self::UserList => {
                "/parlance.v1.ConversationService/ListConversations"
            }
            Self::Send | Self::SendNow => "/parlance.v1.MessageService/SendMessage",
            // A mix consists of other calls.
            Self::Find | Self::UserSearch | Self::Mix => {
                "/parlance.v1.MessageService/SearchMessages"
            }
        })
    }

    /// Validates a response.
    pub(super) fn check(self, bytes: &Bytes) -> Result<(), Status> {
        let is_valid = match self {
            Self::Get | Self::Send | Self::SendNow | Self::Report => {
                let message: v1::Message = decoded(bytes)?;
                !message.id.is_empty() && message.body.starts_with("Your order")
            }
            Self::Conversation | Self::Mark => {
                let conversation: v1::Conversation = decoded(bytes)?;
                !conversation.id.is_empty()
            }
            Self::Batch => {
                let batch: v1::BatchGetMessagesResponse = decoded(bytes)?;
                batch.missing_ids.is_empty() && !batch.messages.is_empty()
            }
            Self::Events => {
                let list: v1::ListMessageEventsResponse = decoded(bytes)?;
                !list.events.is_empty()
            }
            Self::List => {
                let page: v1::ListMessagesResponse = decoded(bytes)?;
                page.messages.len() == 50
            }
            Self::LastPage | Self::LastByToken => {
                let page: v1::ListMessagesResponse = decoded(bytes)?;
                let is_last = page.next_page_token.is_empty();
                is_last && page.messages.len() == usize::from(LAST) && page.total_size > 0
            }
            Self::Find | Self::UserSearch | Self::Mix => {
                let _: v1::SearchMessagesResponse = decoded(bytes)?;
                true
            }
            Self::Stats | Self::UserStats => {
                let stats: v1::Stats = decoded(bytes)?;
                stats.message_count > 0
            }
            Self::Total => {
                let page: v1::ListConversationsResponse = decoded(bytes)?;
                page.conversations.len() == 1 && page.total_size > 1
            }
            Self::LastConversations => {
                let page: v1::ListConversationsResponse = decoded(bytes)?;
                let is_last = page.next_page_token.is_empty();
                is_last && !page.conversations.is_empty() && page.total_size > 0
            }
            Self::UserList => {
                let page: v1::ListConversationsResponse = decoded(bytes)?;
                !page.conversations.is_empty()
            }
        };
        let invalid = || Status::data_loss("the response does not contain the expected data");
        is_valid.then_some(()).ok_or_else(invalid)
    }
}

pub(super) fn decoded<M: prost::Message + Default>(bytes: &Bytes) -> Result<M, Status> {
    M::decode(bytes.clone()).map_err(|e| Status::data_loss(e.to_string()))
}
