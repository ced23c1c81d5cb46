//! `MessageService`, one module per RPC.

mod attachments;
mod batch_get_messages;
mod delete_message;
mod get_message;
mod list_messages;
mod receive_message;
mod replays;
mod send_message;
mod update_message;
mod update_message_status;
