//! `ConversationService`, one module per RPC.

mod create_conversation;
mod delete_conversation;
mod list_conversations;
mod mark_as_read;
mod update_conversation;
