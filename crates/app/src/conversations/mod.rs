//! Conversations: create, import, read, list, count, edit, mark, delete.

mod create;
mod delete;
mod edit;
mod get;
pub mod import;
mod list;
mod mark;
mod stats;

pub use crate::query_results::Stats;
pub use create::CreateConversation;
pub use edit::ConversationEdit;
pub use get::ConversationRef;
pub use list::ListConversations;
pub use parlance_storage::db::conversation::ConversationFilter;
