//! Requests and replies of `MessageService`.

pub(crate) mod attachment;
mod content;
mod conversation_target;
mod message_events;
mod read;
mod receive;
mod search;
mod send;
mod show;
mod update;
mod upload;

pub(crate) use content::recipients;
pub(crate) use message_events::{cancel, events_to_proto, list_events, preview, preview_to_proto};
pub(crate) use read::{attachment, batch, delete, get, list};
pub(crate) use receive::receive;
pub(crate) use search::{encode_search, search, search_to_proto};
pub(crate) use send::send;
pub(crate) use show::{encode, encode_batch, encode_page, to_proto};
pub(crate) use update::{report, update};
pub(crate) use upload::{UploadHeader, upload_chunk, upload_header, upload_to_proto};
