//! `CreateSender`.

use parlance_app::Result;
use parlance_app::senders::NewSender;
use parlance_domain::{Address, Channel, SenderStatus};
use parlance_proto::v1;

use super::{check_credentials, check_messaging_service, check_provider, check_rate, reply_domain};
use crate::convert::fields::Violations;
use crate::convert::{enums, time};

/// Reads a request to create a sender.
pub(crate) fn create(request: v1::CreateSenderRequest) -> Result<NewSender> {
    let mut violations = Violations::new();
    let v1::CreateSenderRequest { sender } = request;
    let Some(sender) = sender else {
        violations.push("sender", "required; set its channel and address");
        return violations.finish(|| None);
    };
    let v1::Sender {
        id: _,
        owner: _,
        channel,
        address,
        provider,
        credentials,
        status,
        segments_per_second,
        default_expiry,
        reply_domain: domain,
        messaging_service,
        created_at: _,
        updated_at: _,
        etag: _,
    } = sender;
    if channel == 0 {
        violations.push("sender.channel", "required; use SMS or EMAIL");
    }
    let channel = super::channel(&mut violations, "sender.channel", channel);
    let address = channel.and_then(|channel| {
        let address = Address::ours(channel, &address);
        violations.ok_or_record("sender.address", address)
    });
    check_provider(&mut violations, &provider);
    check_credentials(&mut violations, &credentials);
    let status = enums::sender_status(&mut violations, "sender.status", status);
    check_rate(&mut violations, segments_per_second);
    let default_expiry = time::duration(&mut violations, "sender.default_expiry", default_expiry);
    if channel == Some(Channel::Sms) {
        violations.absent(
            "sender.reply_domain",
            domain.is_empty(),
            "only an EMAIL sender has a reply domain",
        );
    }
    let reply_domain = reply_domain(&mut violations, domain);
    if channel == Some(Channel::Email) {
        violations.absent(
            "sender.messaging_service",
            messaging_service.is_empty(),
            "only an SMS sender has a messaging service",
        );
    }
    check_messaging_service(&mut violations, &messaging_service);
    violations.finish(|| {
        Some(NewSender {
            channel: channel?,
            address: address?,
            provider,
            credentials,
            status: status.unwrap_or(SenderStatus::Active),
            segments_per_second,
            default_expiry,
            reply_domain,
            messaging_service,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::rejected_fields;

    fn mail() -> v1::Sender {
        v1::Sender {
            channel: v1::Channel::Email.into(),
            address: "Us@Example.com".to_owned(),
            reply_domain: "Reply.example.com".to_owned(),
            ..Default::default()
        }
    }

    fn read(sender: v1::Sender) -> Result<NewSender> {
        create(v1::CreateSenderRequest {
            sender: Some(sender),
        })
    }

    #[test]
    fn unset_fields_take_their_defaults() {
        let read = read(mail()).unwrap();
        assert_eq!(read.address.as_str(), "Us@example.com");
        assert_eq!(read.reply_domain, "reply.example.com");
        assert_eq!(
            (read.status, read.default_expiry),
            (SenderStatus::Active, None)
        );
        assert_eq!((read.provider.as_str(), read.segments_per_second), ("", 0));
    }

    #[test]
    fn every_invalid_field_is_reported() {
        let sender = v1::Sender {
            channel: v1::Channel::Sms.into(),
            provider: "p".repeat(65),
            credentials: "\0".to_owned(),
            status: 5,
            segments_per_second: -1,
            default_expiry: Some(prost_types::Duration::default()),
            messaging_service: "MG/1".to_owned(),
            ..mail()
        };
        let expected = [
            "sender.address",
            "sender.provider",
            "sender.credentials",
            "sender.status",
            "sender.segments_per_second",
            "sender.default_expiry",
            "sender.reply_domain",
            "sender.messaging_service",
        ];
        assert_eq!(rejected_fields(read(sender)), expected);
        for channel in [
            v1::Channel::Unspecified,
            v1::Channel::Mms,
            v1::Channel::Chat,
        ] {
            let sender = v1::Sender {
                channel: channel.into(),
                ..mail()
            };
            assert_eq!(rejected_fields(read(sender)), ["sender.channel"]);
        }
        let with_service = v1::Sender {
            messaging_service: "MG1".to_owned(),
            ..mail()
        };
        let expected = ["sender.messaging_service"];
        assert_eq!(rejected_fields(read(with_service)), expected);
        assert_eq!(
            rejected_fields(create(v1::CreateSenderRequest::default())),
            ["sender"]
        );
    }
}
