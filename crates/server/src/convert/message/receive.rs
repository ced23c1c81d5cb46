//! `ReceiveMessage`.

use parlance_app::Result;
use parlance_app::messages::ReceiveMessage;
use parlance_domain::Direction;
use parlance_domain::message::Limits;
use parlance_proto::v1;

use super::content::{ContentFields, message, split_request};
use crate::convert::fields::Violations;
use crate::convert::{limits, request_id, time};

/// Reads a request that records an inbound message.
pub(crate) fn receive(
    mut request: v1::ReceiveMessageRequest,
    limits: &Limits,
) -> Result<ReceiveMessage> {
    let mut violations = Violations::new();
    let request_id = request_id::take(&mut violations, &mut request, |r| &mut r.request_id);
    let (target, content, other) = split_request!(
        request,
        ReceiveMessageRequest {
            quoted_body,
            provider,
            provider_message_id,
            received_at,
        }
    );
    let (quoted_body, provider, provider_message_id, received_at) = other;
    let content = ContentFields {
        quoted_body,
        ..content
    };
    let (_, message) = message(&mut violations, limits, Direction::Inbound, target, content);
    violations.required("provider", &provider, limits::PROVIDER);
    violations.required(
        "provider_message_id",
        &provider_message_id,
        limits::PROVIDER_MESSAGE_ID,
    );
    let received_at = time::timestamp(&mut violations, "received_at", received_at);
    violations.finish(|| {
        Some(ReceiveMessage {
            request_id,
            message: message?,
            provider,
            provider_message_id,
            received_at,
        })
    })
}

#[cfg(test)]
mod tests {
    use parlance_app::messages::ConversationTarget;

    use super::*;
    use crate::convert::testing::rejected_fields;

    fn text() -> v1::ReceiveMessageRequest {
        v1::ReceiveMessageRequest {
            channel: v1::Channel::Sms.into(),
            from_address: "+15550002222".to_owned(),
            to_address: "+15550001111".to_owned(),
            provider: "twilio".to_owned(),
            provider_message_id: "SM1".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn an_inbound_message_goes_to_our_address_and_may_be_empty() {
        let read = receive(text(), &Limits::default()).unwrap();
        let ConversationTarget::Pair { ours, theirs, .. } = read.message.target else {
            panic!("{:?}", read.message.target)
        };
        assert_eq!(
            (ours.as_str(), theirs.as_str()),
            ("+15550001111", "+15550002222")
        );
    }

    #[test]
    fn the_provider_and_its_id_are_required() {
        let request = v1::ReceiveMessageRequest {
            provider: String::new(),
            provider_message_id: String::new(),
            ..text()
        };
        assert_eq!(
            rejected_fields(receive(request, &Limits::default())),
            ["provider", "provider_message_id"]
        );
        let request = v1::ReceiveMessageRequest {
            provider: "p".repeat(65),
            provider_message_id: "i".repeat(256),
            ..text()
        };
        assert_eq!(
            rejected_fields(receive(request, &Limits::default())),
            ["provider", "provider_message_id"]
        );
    }
}
