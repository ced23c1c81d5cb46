//! `CreateSender`.

use parlance_app::Result;
use parlance_app::senders::NewSender;
use parlance_domain::{Address, Channel, SenderStatus};
use parlance_proto::v1;

use super::{check_credentials, check_provider, check_rate, reply_domain};
use crate::convert::fields::Found;
use crate::convert::{enums, time};

/// Reads a sender that is to be made.
pub(crate) fn create(request: v1::CreateSenderRequest) -> Result<NewSender> {
    let mut found = Found::new();
    let v1::CreateSenderRequest { sender } = request;
    let Some(sender) = sender else {
        found.push("sender", "required; give its channel and address");
        return found.finish(|| None);
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
        created_at: _,
        updated_at: _,
        etag: _,
    } = sender;
    if channel == 0 {
        found.push("sender.channel", "required; give SMS or EMAIL");
    }
    let channel = super::channel(&mut found, "sender.channel", channel);
    let address = channel.and_then(|channel| {
        let address = Address::ours(channel, &address);
        found.keep("sender.address", address)
    });
    check_provider(&mut found, &provider);
    check_credentials(&mut found, &credentials);
    let status = enums::sender_status(&mut found, "sender.status", status);
    check_rate(&mut found, segments_per_second);
    let default_expiry = time::duration(&mut found, "sender.default_expiry", default_expiry);
    if channel == Some(Channel::Sms) {
        found.absent(
            "sender.reply_domain",
            domain.is_empty(),
            "only mail has a reply domain",
        );
    }
    let reply_domain = reply_domain(&mut found, domain);
    found.finish(|| {
        Some(NewSender {
            channel: channel?,
            address: address?,
            provider,
            credentials,
            status: status.unwrap_or(SenderStatus::Active),
            segments_per_second,
            default_expiry,
            reply_domain,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::wrong;

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
    fn a_sender_has_its_defaults() {
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
    fn every_wrong_field_is_named() {
        let sender = v1::Sender {
            channel: v1::Channel::Sms.into(),
            provider: "p".repeat(65),
            credentials: "\0".to_owned(),
            status: 5,
            segments_per_second: -1,
            default_expiry: Some(prost_types::Duration::default()),
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
        ];
        assert_eq!(wrong(read(sender)), expected);
        for channel in [
            v1::Channel::Unspecified,
            v1::Channel::Mms,
            v1::Channel::Chat,
        ] {
            let sender = v1::Sender {
                channel: channel.into(),
                ..mail()
            };
            assert_eq!(wrong(read(sender)), ["sender.channel"]);
        }
        assert_eq!(
            wrong(create(v1::CreateSenderRequest::default())),
            ["sender"]
        );
    }
}
