//! Conversations: open, read, list, edit, mark, delete.

mod create;
mod delete;
mod edit;
mod get;
mod list;
mod mark;

pub use create::CreateConversation;
pub use edit::ConversationEdit;
pub use get::ConversationRef;
pub use list::ListConversations;
pub use parlance_storage::db::conversation::ConversationFilter;
