//! `ConversationService`, one module per RPC.

mod create_conversation;
mod delete_conversation;
mod get_stats;
mod import_conversations;
mod list_conversations;
mod mark_as_read;
mod retention;
mod update_conversation;
