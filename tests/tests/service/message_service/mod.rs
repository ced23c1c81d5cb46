//! `MessageService`, one module per RPC.

mod attachments;
mod batch_get_messages;
mod cancel_message;
mod delete_message;
mod get_message;
mod list_message_events;
mod list_messages;
mod preview_message;
mod receive_message;
mod replays;
mod search_messages;
mod send_message;
mod update_message;
mod update_message_status;
