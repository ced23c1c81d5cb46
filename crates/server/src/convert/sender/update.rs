//! `UpdateSender`.

use parlance_app::Result;
use parlance_app::senders::SenderEdit;
use parlance_domain::{SenderId, SenderStatus};
use parlance_proto::v1;

use super::{check_credentials, check_provider, check_rate, reply_domain};
use crate::convert::fields::Found;
use crate::convert::mask::Mask;
use crate::convert::{enums, time};

const SETTABLE: [&str; 6] = [
    "provider",
    "credentials",
    "status",
    "segments_per_second",
    "default_expiry",
    "reply_domain",
];

/// Reads an edit.
pub(crate) fn update(request: v1::UpdateSenderRequest) -> Result<SenderEdit> {
    let mut found = Found::new();
    let v1::UpdateSenderRequest {
        sender,
        update_mask,
    } = request;
    let mask = Mask::read(&mut found, update_mask, &SETTABLE);
    let Some(sender) = sender else {
        found.push("sender", "required; give its id and the new values");
        return found.finish(|| None);
    };
    let edit = edit(&mut found, sender, &mask);
    found.finish(|| edit)
}

fn edit(found: &mut Found, sender: v1::Sender, mask: &Mask) -> Option<SenderEdit> {
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
        created_at: _,
        updated_at: _,
        etag,
    } = sender;
    let id = found.id("sender.id", &id, SenderId::parse);
    let etag = found.etag("sender.etag", etag);
    let provider = mask
        .covers("provider", !provider.is_empty())
        .then_some(provider);
    check_provider(found, provider.as_deref().unwrap_or_default());
    let credentials = mask
        .covers("credentials", !credentials.is_empty())
        .then_some(credentials);
    check_credentials(found, credentials.as_deref().unwrap_or_default());
    let status = new_status(found, mask, status);
    let segments_per_second = mask
        .covers("segments_per_second", segments_per_second != 0)
        .then_some(segments_per_second);
    check_rate(found, segments_per_second.unwrap_or_default());
    let default_expiry = mask
        .covers("default_expiry", default_expiry.is_some())
        .then(|| time::duration(found, "sender.default_expiry", default_expiry));
    let reply_domain = mask
        .covers("reply_domain", !domain.is_empty())
        .then(|| reply_domain(found, domain));
    Some(SenderEdit {
        id: id?,
        etag,
        provider,
        credentials,
        status,
        segments_per_second,
        default_expiry,
        reply_domain,
    })
}

/// A status cannot be cleared: every sender has one.
fn new_status(found: &mut Found, mask: &Mask, number: i32) -> Option<SenderStatus> {
    const FIELD: &str = "sender.status";
    if !mask.covers("status", number != 0) {
        return None;
    }
    if number == 0 {
        found.push(FIELD, "cannot be cleared; give ACTIVE or PAUSED");
    }
    enums::sender_status(found, FIELD, number)
}

#[cfg(test)]
mod tests {
    use prost_types::FieldMask;

    use super::*;
    use crate::convert::testing::wrong;

    fn read(sender: v1::Sender, paths: &[&str]) -> Result<SenderEdit> {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        let id = "01932b1c-0000-7000-8000-000000000001".to_owned();
        update(v1::UpdateSenderRequest {
            sender: Some(v1::Sender { id, ..sender }),
            update_mask: Some(FieldMask { paths }),
        })
    }

    #[test]
    fn without_a_mask_what_is_set_is_changed() {
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
    fn what_a_mask_names_and_nothing_sets_is_cleared() {
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
    }

    #[test]
    fn wrong_fields_are_named_inside_the_sender() {
        assert_eq!(
            wrong(read(v1::Sender::default(), &["status"])),
            ["sender.status"]
        );
        assert_eq!(
            wrong(read(v1::Sender::default(), &["address"])),
            ["update_mask"]
        );
        let sender = v1::Sender {
            segments_per_second: -1,
            reply_domain: "x".to_owned(),
            ..Default::default()
        };
        assert_eq!(
            wrong(read(sender, &[])),
            ["sender.segments_per_second", "sender.reply_domain"]
        );
        assert_eq!(
            wrong(update(v1::UpdateSenderRequest::default())),
            ["sender"]
        );
    }
}
