//! `CancelMessage`, `ListMessageEvents` and `PreviewMessage`.

use parlance_app::Result;
use parlance_app::delivery::CancelMessage;
use parlance_app::messages::DeliveryEvent;
use parlance_app::messages::{Preview, SendMessage};
use parlance_domain::MessageId;
use parlance_domain::message::Limits;
use parlance_domain::sms::Encoding;
use parlance_proto::v1;

use super::send::send;
use crate::convert::enums;
use crate::convert::fields::Violations;
use crate::convert::time::timestamp_to_proto;

/// `CancelMessage`.
pub(crate) fn cancel(request: v1::CancelMessageRequest) -> Result<CancelMessage> {
    let v1::CancelMessageRequest { id } = request;
    Ok(CancelMessage { id: only_id(&id)? })
}

/// `ListMessageEvents`.
pub(crate) fn list_events(request: v1::ListMessageEventsRequest) -> Result<MessageId> {
    let v1::ListMessageEventsRequest { id } = request;
    only_id(&id)
}

fn only_id(id: &str) -> Result<MessageId> {
    let mut violations = Violations::new();
    let id = violations.id("id", id, MessageId::parse);
    violations.finish(|| id)
}

/// `PreviewMessage`: the request of a send, without its `request_id`, because a preview stores nothing.
pub(crate) fn preview(mut request: v1::SendMessageRequest, limits: &Limits) -> Result<SendMessage> {
    request.request_id.clear();
    send(request, limits)
}

/// Converts the result of a preview.
pub(crate) fn preview_to_proto(preview: Preview) -> v1::PreviewMessageResponse {
    let Preview {
        from_address,
        to_address,
        encoding,
        segments,
        refused,
        provider,
    } = preview;
    v1::PreviewMessageResponse {
        from_address,
        to_address,
        encoding: encoding.map_or("", Encoding::as_str).to_owned(),
        segments,
        allowed: refused.is_none(),
        reason: refused.map_or("", |reason| reason.as_str()).to_owned(),
        provider,
    }
}

/// Converts the events of a message.
pub(crate) fn events_to_proto(events: Vec<DeliveryEvent>) -> v1::ListMessageEventsResponse {
    v1::ListMessageEventsResponse {
        events: events.into_iter().map(event_to_proto).collect(),
    }
}

fn event_to_proto(event: DeliveryEvent) -> v1::MessageEvent {
    let DeliveryEvent {
        time,
        kind,
        attempt,
        provider,
        provider_time,
        status,
        detail,
    } = event;
    v1::MessageEvent {
        time: Some(timestamp_to_proto(time)),
        kind: kind.as_str().to_owned(),
        provider: provider.unwrap_or_default(),
        provider_time: provider_time.map(timestamp_to_proto),
        status: status.map_or(0, enums::message_status_to_proto),
        detail,
        attempt: attempt.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::rejected_fields;

    #[test]
    fn an_invalid_id_is_reported() {
        for id in ["", "x", "01a1f7d20ce87c789af333c1069c87fe"] {
            let request = v1::CancelMessageRequest { id: id.to_owned() };
            assert_eq!(rejected_fields(cancel(request)), ["id"], "{id}");
            let request = v1::ListMessageEventsRequest { id: id.to_owned() };
            assert_eq!(rejected_fields(list_events(request)), ["id"], "{id}");
        }
    }

    #[test]
    fn a_preview_is_read_like_a_send_without_its_request_id() {
        let request = v1::SendMessageRequest {
            channel: v1::Channel::Sms.into(),
            from_address: "x y !".to_owned(),
            ..Default::default()
        };
        let limits = Limits::default();
        let fields = rejected_fields(send(request.clone(), &limits));
        assert!(!fields.is_empty());
        let named = v1::SendMessageRequest {
            request_id: "\0".to_owned(),
            ..request
        };
        assert_eq!(rejected_fields(preview(named, &limits)), fields);
    }
}
