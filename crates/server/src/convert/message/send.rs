//! `SendMessage`.

use parlance_app::Result;
use parlance_app::messages::SendMessage;
use parlance_domain::message::{Limits, ScheduleView};
use parlance_domain::{Channel, DeliveryPolicy, Direction, Timestamp};
use parlance_proto::v1;

use super::content::{message, split_request};
use crate::convert::fields::Violations;
use crate::convert::{enums, request_id, time};

/// Reads a request to send a message.
pub(crate) fn send(mut request: v1::SendMessageRequest, limits: &Limits) -> Result<SendMessage> {
    let mut violations = Violations::new();
    let request_id = request_id::take(&mut violations, &mut request, |r| &mut r.request_id);
    let (target, content, (send_at, expires_at, policy)) = split_request!(
        request,
        SendMessageRequest {
            send_at,
            expires_at,
            policy,
        }
    );
    let (channel, message) = message(
        &mut violations,
        limits,
        Direction::Outbound,
        target,
        content,
    );
    let (send_at, expires_at) = schedule(&mut violations, channel, (send_at, expires_at));
    let policy = enums::policy(&mut violations, "policy", policy);
    violations.finish(|| {
        Some(SendMessage {
            request_id,
            message: message?,
            send_at,
            expires_at,
            policy: policy.unwrap_or(DeliveryPolicy::AtLeastOnce),
        })
    })
}

type Times = (
    Option<prost_types::Timestamp>,
    Option<prost_types::Timestamp>,
);

/// Reads `send_at` and `expires_at`.
fn schedule(
    violations: &mut Violations,
    channel: Option<Channel>,
    (send_at, expires_at): Times,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let send_at = time::timestamp(violations, "send_at", send_at);
    let expires_at = time::timestamp(violations, "expires_at", expires_at);
    let view = ScheduleView {
        channel,
        send_at,
        expires_at,
    };
    // The app compares the times with the present once it is known that the request is not a repetition.
    violations.extend(view.check(None));
    (send_at, expires_at)
}

#[cfg(test)]
mod tests {
    use parlance_app::messages::ConversationTarget;
    use parlance_domain::Role;

    use super::*;
    use crate::convert::testing::{after_now, rejected_fields};

    fn sms() -> v1::SendMessageRequest {
        v1::SendMessageRequest {
            channel: v1::Channel::Sms.into(),
            from_address: "+15550001111".to_owned(),
            to_address: "+15550002222".to_owned(),
            body: "hello".to_owned(),
            ..Default::default()
        }
    }

    fn chat() -> v1::SendMessageRequest {
        v1::SendMessageRequest {
            channel: v1::Channel::Chat.into(),
            body: "hello".to_owned(),
            ..Default::default()
        }
    }

    fn mail() -> v1::SendMessageRequest {
        v1::SendMessageRequest {
            channel: v1::Channel::Email.into(),
            from_address: "us@Example.com".to_owned(),
            to_address: "Them@Example.com".to_owned(),
            subject: "s".to_owned(),
            body: "hello".to_owned(),
            ..Default::default()
        }
    }

    fn read(request: v1::SendMessageRequest) -> Result<SendMessage> {
        send(request, &Limits::default())
    }

    #[test]
    fn unset_fields_take_their_defaults() {
        let read = read(sms()).unwrap();
        assert_eq!(read.policy, DeliveryPolicy::AtLeastOnce);
        assert_eq!(
            (read.request_id, read.send_at, read.expires_at),
            (None, None, None)
        );
        assert_eq!(read.message.content.role, None);
        assert_eq!(read.message.content.metadata.as_str(), "{}");
    }

    #[test]
    fn a_message_in_a_conversation_has_no_known_channel_yet() {
        let id = "01932b1c-0000-7000-8000-000000000001";
        let request = v1::SendMessageRequest {
            conversation_id: id.to_owned(),
            cc_addresses: vec!["A@B.Example".to_owned()],
            role: v1::Role::System.into(),
            body: "hello".to_owned(),
            send_at: Some(after_now(5)),
            ..Default::default()
        };
        let message = read(request).unwrap().message;
        assert!(matches!(
            message.target,
            ConversationTarget::Conversation(_)
        ));
        assert_eq!(message.content.cc_addresses, ["A@b.example"]);
        assert_eq!(message.content.role, Some(Role::System));
    }

    #[test]
    fn all_invalid_fields_are_reported_at_once() {
        let request = v1::SendMessageRequest {
            to_address: "5550002222".to_owned(),
            cc_addresses: vec!["x".to_owned()],
            subject: "s".to_owned(),
            body: String::new(),
            role: v1::Role::User.into(),
            tokens_used: Some(-1),
            send_at: Some(prost_types::Timestamp {
                seconds: 0,
                nanos: -1,
            }),
            policy: 9,
            ..sms()
        };
        let fields = rejected_fields(read(request));
        let expected = [
            "to_address",
            "role",
            "cc_addresses",
            "subject",
            "body",
            "tokens_used",
            "send_at",
            "policy",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn email_goes_to_all_of_its_recipients() {
        let with = |cc: &[&str]| v1::SendMessageRequest {
            cc_addresses: cc.iter().map(|&text| text.to_owned()).collect(),
            ..mail()
        };
        let message = read(with(&["C@Example.com"])).unwrap().message;
        assert_eq!(message.content.cc_addresses, ["C@example.com"]);
        assert_eq!(
            rejected_fields(read(with(&["c@example.com", "c"]))),
            ["cc_addresses[1]"]
        );
        assert_eq!(
            rejected_fields(read(with(&["c@example.com"; 101]))),
            ["cc_addresses"]
        );
        let text = v1::SendMessageRequest {
            cc_addresses: vec!["x".to_owned()],
            ..sms()
        };
        assert_eq!(
            rejected_fields(read(text)),
            ["cc_addresses"],
            "reported once, by the domain"
        );
    }

    #[test]
    fn expires_at_must_be_after_send_at() {
        let with = |send_at, expires_at| v1::SendMessageRequest {
            send_at,
            expires_at,
            ..sms()
        };
        assert!(read(with(Some(after_now(5)), Some(after_now(6)))).is_ok());
        assert!(read(with(Some(after_now(-5)), Some(after_now(1)))).is_ok());
        assert!(read(with(Some(after_now(-5)), None)).is_ok());
        for (send_at, expires_at) in [(5, 5), (5, 4), (-5, -6)] {
            let request = with(Some(after_now(send_at)), Some(after_now(expires_at)));
            assert_eq!(
                rejected_fields(read(request)),
                ["expires_at"],
                "{send_at} {expires_at}"
            );
        }
        let scheduled = v1::SendMessageRequest {
            send_at: Some(after_now(1)),
            expires_at: Some(after_now(2)),
            ..chat()
        };
        assert_eq!(rejected_fields(read(scheduled)), ["send_at", "expires_at"]);
    }
}
