//! The protobuf JSON mapping, driven by the contract: a new field needs no code here.

use parlance_proto::{FILE_DESCRIPTOR_SET, v1};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

use crate::failure::Failure;

/// A message type of the contract.
pub(crate) trait Resource: Message {
    const NAME: &'static str;
}

impl Resource for v1::Message {
    const NAME: &'static str = "parlance.v1.Message";
}

impl Resource for v1::Conversation {
    const NAME: &'static str = "parlance.v1.Conversation";
}

impl Resource for v1::Event {
    const NAME: &'static str = "parlance.v1.Event";
}

impl Resource for v1::Stats {
    const NAME: &'static str = "parlance.v1.Stats";
}

impl Resource for v1::ListMessageEventsResponse {
    const NAME: &'static str = "parlance.v1.ListMessageEventsResponse";
}

impl Resource for v1::SearchResult {
    const NAME: &'static str = "parlance.v1.SearchResult";
}

impl Resource for v1::HoldDeliveryResponse {
    const NAME: &'static str = "parlance.v1.HoldDeliveryResponse";
}

impl Resource for v1::ReleaseHoldResponse {
    const NAME: &'static str = "parlance.v1.ReleaseHoldResponse";
}

/// The descriptors of the contract.
pub(super) struct Json(DescriptorPool);

impl Json {
    pub(super) fn new() -> Result<Self, Failure> {
        DescriptorPool::decode(FILE_DESCRIPTOR_SET)
            .map(Self)
            .map_err(|error| Failure::Json(error.to_string()))
    }

    /// Returns one JSON object. As on the JSON port of the service, a field without presence is included even with its
    /// default.
    pub(super) fn line<T: Resource>(&self, resource: &T) -> Result<String, Failure> {
        let kind = self.0.get_message_by_name(T::NAME);
        let kind = kind.ok_or_else(|| Failure::Json(format!("no {} in the contract", T::NAME)))?;
        let failed = |error: &dyn std::error::Error| Failure::Json(error.to_string());
        let bytes = resource.encode_to_vec();
        let message =
            DynamicMessage::decode(kind, bytes.as_slice()).map_err(|error| failed(&error))?;
        let options = SerializeOptions::new().skip_default_fields(false);
        let mut json = Vec::new();
        message
            .serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options)
            .map_err(|error| failed(&error))?;
        String::from_utf8(json).map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<T: Resource>(resource: &T) -> serde_json::Value {
        serde_json::from_str(&Json::new().unwrap().line(resource).unwrap()).unwrap()
    }

    #[test]
    fn every_resource_name_is_in_the_contract() {
        let message = v1::Message {
            id: "7".to_owned(),
            status: v1::MessageStatus::Sent.into(),
            sequence: 3,
            ..v1::Message::default()
        };
        let json = shown(&message);
        assert_eq!(json["status"], "MESSAGE_STATUS_SENT");
        assert_eq!((&json["id"], &json["sequence"]), (&"7".into(), &"3".into()));
        assert_eq!(shown(&v1::Conversation::default())["unreadCount"], "0");
        assert_eq!(shown(&v1::Event::default())["cursor"], "");
        assert_eq!(shown(&v1::SearchResult::default())["snippet"], "");
        assert_eq!(shown(&v1::Stats::default())["messageCount"], "0");
        assert!(shown(&v1::ListMessageEventsResponse::default())["events"].is_array());
    }
}
