//! Attachments: upload before the send, download afterwards. Content is transferred in chunks and never held
//! completely.

mod download;
mod link;
mod upload;

pub use download::AttachmentReader;
pub use upload::{FinishedUpload, Upload};
