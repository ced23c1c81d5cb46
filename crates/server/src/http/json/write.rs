//! Conversion of an encoded message to JSON.

use bytes::Bytes;
use parlance_transport::layers::faults;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use tonic::Status;

/// Returns the message as JSON, with a line end for terminals. Fields without presence are included even with their
/// default: a reader of JSON does not know that a missing `unreadCount` means 0.
pub(super) fn message(kind: &MessageDescriptor, bytes: Bytes) -> Result<Vec<u8>, Status> {
    let internal = |error: &dyn std::error::Error| {
        tracing::error!(%error, message = kind.full_name(), "a reply cannot be converted to JSON");
        faults::internal()
    };
    let message = DynamicMessage::decode(kind.clone(), bytes).map_err(|error| internal(&error))?;
    let mut json = Vec::new();
    let options = SerializeOptions::new().skip_default_fields(false);
    message
        .serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options)
        .map_err(|error| internal(&error))?;
    json.push(b'\n');
    Ok(json)
}
