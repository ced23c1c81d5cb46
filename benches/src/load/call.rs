//! What can be called, where, and what an answer must be.

use bytes::Bytes;
use clap::ValueEnum;
use parlance_proto::v1;
use serde::Serialize;
use tonic::Status;
use tonic::codegen::http::uri::PathAndQuery;

/// Messages of the last page of the long conversation.
pub(super) const LAST: u16 = 10;

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Call {
    /// Any message
    Get,
    /// The newest page of any conversation
    List,
    /// A message that leaves in an hour, in any conversation
    Send,
    /// A message that leaves at once, in any conversation
    SendNow,
    /// Messages by their words
    Find,
    /// How much there is of the owner
    Stats,
    /// One conversation of the owner, and how many there are
    Total,
    /// Any conversation
    Conversation,
    /// Any twenty messages
    Batch,
    /// What happened to any message
    Story,
    /// The last page of the conversation that has as many messages as all others, by its place, and how many there are
    LastPage,
    /// The same by its token
    LastByToken,
    /// The last page of all conversations by its token, and how many there are
    LastConversations,
    /// The first page of a user's conversations
    UserList,
    /// How much a user has
    UserStats,
    /// A word in a user's messages
    UserSearch,
    /// That any message was read, earlier than was known
    Report,
    /// That any conversation was read, further than was known
    Mark,
    /// Of a hundred calls five sends that leave at once, and the rest what users read; some users more than others
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
            Self::Story => "/parlance.v1.MessageService/ListMessageEvents",
            Self::Report => "/parlance.v1.MessageService/UpdateMessageStatus",
            Self::Mark => "/parlance.v1.ConversationService/MarkAsRead",
            Self::Stats | Self::UserStats => "/parlance.v1.ConversationService/GetStats",
            Self::Total | Self::LastConversations | Self::UserList => {
                "/parlance.v1.ConversationService/ListConversations"
            }
            Self::Send | Self::SendNow => "/parlance.v1.MessageService/SendMessage",
            // A mix is its parts.
            Self::Find | Self::UserSearch | Self::Mix => {
                "/parlance.v1.MessageService/SearchMessages"
            }
        })
    }

    /// Whether an answer is one.
    pub(super) fn check(self, bytes: &Bytes) -> Result<(), Status> {
        let full = match self {
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
            Self::Story => {
                let story: v1::ListMessageEventsResponse = decoded(bytes)?;
                !story.events.is_empty()
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
        let wrong = || Status::data_loss("an answer without what was asked for");
        full.then_some(()).ok_or_else(wrong)
    }
}

pub(super) fn decoded<M: prost::Message + Default>(bytes: &Bytes) -> Result<M, Status> {
    M::decode(bytes.clone()).map_err(|e| Status::data_loss(e.to_string()))
}
