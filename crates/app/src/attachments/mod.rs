//! What travels with messages: uploads beforehand, reading afterwards. Content goes in pieces; nobody holds all of it.

mod download;
mod upload;

pub use download::AttachmentReader;
pub use upload::{FinishedUpload, Upload};
