//! `UpdateSender`.

use parlance_app::Result;
use parlance_app::senders::SenderEdit;
use parlance_domain::{SenderId, SenderStatus};
use parlance_proto::v1;

use super::{check_credentials, check_messaging_service, check_provider, check_rate, reply_domain};
use crate::convert::fields::Violations;
use crate::convert::mask::Mask;
use crate::convert::{enums, time};

const SETTABLE: [&str; 7] = [
    "provider",
    "credentials",
    "status",
    "segments_per_second",
    "default_expiry",
    "reply_domain",
    "messaging_service",
];

/// Reads a request to update a sender.
pub(crate) fn update(request: v1::UpdateSenderRequest) -> Result<SenderEdit> {
    let mut violations = Violations::new();
    let v1::UpdateSenderRequest {
        sender,
        update_mask,
    } = request;
    let mask = Mask::read(&mut violations, update_mask, &SETTABLE);
    let Some(sender) = sender else {
        violations.push("sender", "required; set its id and the new values");
        return violations.finish(|| None);
    };
    let edit = edit(&mut violations, sender, &mask);
    violations.finish(|| edit)
}

fn edit(violations: &mut Violations, sender: v1::Sender, mask: &Mask) -> Option<SenderEdit> {
    let v1::Sender {
        id,
        owner: _,
        channel: _,
        address: _,
        provider,
        credentials,
        status,
        segments_per_second,
        default_expiry,
        reply_domain: domain,
        messaging_service,
        created_at: _,
        updated_at: _,
        etag,
    } = sender;
    let id = violations.id("sender.id", &id, SenderId::parse);
    let etag = violations.etag("sender.etag", etag);
    let provider = mask
        .covers("provider", !provider.is_empty())
        .then_some(provider);
    check_provider(violations, provider.as_deref().unwrap_or_default());
    let credentials = mask
        .covers("credentials", !credentials.is_empty())
        .then_some(credentials);
    check_credentials(violations, credentials.as_deref().unwrap_or_default());
    let status = new_status(violations, mask, status);
    let segments_per_second = mask
        .covers("segments_per_second", segments_per_second != 0)
        .then_some(segments_per_second);
    check_rate(violations, segments_per_second.unwrap_or_default());
    let default_expiry = mask
        .covers("default_expiry", default_expiry.is_some())
        .then(|| time::duration(violations, "sender.default_expiry", default_expiry));
    let reply_domain = mask
        .covers("reply_domain", !domain.is_empty())
        .then(|| reply_domain(violations, domain));
    let messaging_service = mask
        .covers("messaging_service", !messaging_service.is_empty())
        .then_some(messaging_service);
    check_messaging_service(violations, messaging_service.as_deref().unwrap_or_default());
    Some(SenderEdit {
        id: id?,
        etag,
        provider,
        credentials,
        status,
        segments_per_second,
        default_expiry,
        reply_domain,
        messaging_service,
    })
}

/// Reads the new status, which cannot be cleared: every sender has one.
fn new_status(violations: &mut Violations, mask: &Mask, number: i32) -> Option<SenderStatus> {
    const FIELD: &str = "sender.status";
    if !mask.covers("status", number != 0) {
        return None;
    }
    if number == 0 {
        violations.push(FIELD, "cannot be cleared; use ACTIVE or PAUSED");
    }
    enums::sender_status(violations, FIELD, number)
}

#[cfg(test)]
mod tests {
    use prost_types::FieldMask;

    use super::*;
    use crate::convert::testing::rejected_fields;

    fn read(sender: v1::Sender, paths: &[&str]) -> Result<SenderEdit> {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        let id = "01932b1c-0000-7000-8000-000000000001".to_owned();
        update(v1::UpdateSenderRequest {
            sender: Some(v1::Sender { id, ..sender }),
            update_mask: Some(FieldMask { paths }),
        })
    }

    #[test]
    fn without_a_mask_the_fields_that_are_set_are_changed() {
        let sender = v1::Sender {
            status: v1::SenderStatus::Paused.into(),
            address: "not for an update".to_owned(),
            ..Default::default()
        };
        let edit = read(sender, &[]).unwrap();
        assert_eq!(edit.status, Some(SenderStatus::Paused));
        assert_eq!(
            (edit.provider, edit.credentials, edit.reply_domain),
            (None, None, None)
        );
        assert_eq!(
            (edit.segments_per_second, edit.default_expiry, edit.etag),
            (None, None, None)
        );
    }

    #[test]
    fn an_unset_field_of_the_mask_is_cleared() {
        let cleared = SETTABLE
            .into_iter()
            .filter(|path| *path != "status")
            .collect::<Vec<_>>();
        let edit = read(v1::Sender::default(), &cleared).unwrap();
        assert_eq!(
            (edit.provider.as_deref(), edit.credentials.as_deref()),
            (Some(""), Some(""))
        );
        assert_eq!(
            (edit.segments_per_second, edit.default_expiry),
            (Some(0), Some(None))
        );
        assert_eq!(edit.reply_domain.as_deref(), Some(""));
        assert_eq!(edit.messaging_service.as_deref(), Some(""));
    }

    #[test]
    fn invalid_fields_have_the_prefix_of_the_sender() {
        assert_eq!(
            rejected_fields(read(v1::Sender::default(), &["status"])),
            ["sender.status"]
        );
        assert_eq!(
            rejected_fields(read(v1::Sender::default(), &["address"])),
            ["update_mask"]
        );
        let sender = v1::Sender {
            segments_per_second: -1,
            reply_domain: "x".to_owned(),
            messaging_service: "MG 1".to_owned(),
            ..Default::default()
        };
        assert_eq!(
            rejected_fields(read(sender, &[])),
            [
                "sender.segments_per_second",
                "sender.reply_domain",
                "sender.messaging_service"
            ]
        );
        assert_eq!(
            rejected_fields(update(v1::UpdateSenderRequest::default())),
            ["sender"]
        );
    }
}
