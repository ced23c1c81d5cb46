//! Requests and replies of `SimulatorService`.

mod faults;
mod webhooks;

use parlance_app::Result;
use parlance_app::simulator::{Reply, SentMessage, SentQuery};
use parlance_domain::message::{ContentView, Limits};
use parlance_domain::{Address, Channel, Owner};
use parlance_proto::v1;

use super::enums;
use super::fields::{Violations, non_empty};
use super::message::attachment;
use super::time::timestamp_to_proto;

pub(crate) use faults::{advance, advance_to_proto, script};
pub(crate) use webhooks::{list_webhooks, replay, webhook_to_proto, webhooks_to_proto};

/// `ReplyAs`.
pub(crate) fn reply(request: v1::ReplyAsRequest, limits: &Limits) -> Result<Reply> {
    let mut violations = Violations::new();
    let v1::ReplyAsRequest {
        to_address,
        from_address,
        channel,
        subject,
        body,
        attachments,
    } = request;
    let channel = if channel == 0 {
        Some(if to_address.contains('@') {
            Channel::Email
        } else {
            Channel::Sms
        })
    } else {
        enums::channel(&mut violations, "channel", channel)
    };
    let channel = match channel {
        Some(Channel::Chat | Channel::Mms) => {
            violations.push(
                "channel",
                "a simulated recipient can reply by SMS or email only; use SMS or EMAIL",
            );
            None
        }
        Some(Channel::Sms | Channel::Email) | None => channel,
    };
    let known = channel.unwrap_or(Channel::Sms);
    let theirs = violations.ok_or_record("to_address", Address::origin(known, &to_address));
    let ours = violations.ok_or_record("from_address", Address::ours(known, &from_address));
    let views: Vec<_> = attachments.iter().map(attachment::view).collect();
    let content = ContentView {
        channel,
        received: true,
        subject: &subject,
        body: &body,
        attachments: &views,
        ..ContentView::default()
    };
    violations.extend(content.check(limits));
    let attachments = attachment::attachments(&mut violations, attachments);
    violations.finish(|| {
        Some(Reply {
            channel: channel?,
            ours: ours?,
            theirs: theirs?,
            subject,
            body,
            attachments,
        })
    })
}

/// `ListSent`.
pub(crate) fn list(request: v1::ListSentRequest, owner: Owner) -> Result<SentQuery> {
    let mut violations = Violations::new();
    let v1::ListSentRequest {
        to_address,
        page_size,
    } = request;
    let limit = limit(&mut violations, page_size);
    let to = non_empty(to_address).and_then(|text| {
        let channel = if text.contains('@') {
            Channel::Email
        } else {
            Channel::Sms
        };
        violations.ok_or_record("to_address", Address::recipient(channel, &text))
    });
    violations.finish(|| {
        Some(SentQuery {
            owner,
            to: to.map(|address| address.to_string()),
            limit,
        })
    })
}

/// Reads the maximum number of results.
fn limit(violations: &mut Violations, page_size: i32) -> usize {
    const DEFAULT: usize = 50;
    const MAX: usize = 200;
    violations.not_negative("page_size", page_size.into());
    match usize::try_from(page_size).unwrap_or(0) {
        0 => DEFAULT,
        limit => limit.min(MAX),
    }
}

/// Converts the messages that the simulated network has accepted.
pub(crate) fn list_to_proto(sent: Vec<SentMessage>) -> v1::ListSentResponse {
    v1::ListSentResponse {
        messages: sent.into_iter().map(to_proto).collect(),
    }
}

fn to_proto(sent: SentMessage) -> v1::SentMessage {
    let SentMessage {
        owner: _, // the caller is the owner
        message_id,
        provider_message_id,
        from,
        to,
        subject,
        body,
        attachments,
        accepted_at,
        times_accepted,
    } = sent;
    v1::SentMessage {
        message_id: message_id.map_or_else(String::new, |id| id.to_string()),
        provider_message_id,
        from_address: from,
        to_address: to,
        subject,
        body,
        attachments: i32::try_from(attachments).unwrap_or(i32::MAX),
        accepted_at: Some(timestamp_to_proto(accepted_at)),
        times_accepted: i32::try_from(times_accepted).unwrap_or(i32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::rejected_fields;

    #[test]
    fn all_violations_of_a_reply_are_reported() {
        let request = v1::ReplyAsRequest {
            to_address: "x y z !".to_owned(),
            from_address: String::new(),
            channel: v1::Channel::Sms.into(),
            body: "a\0b".to_owned(),
            ..Default::default()
        };
        assert_eq!(
            rejected_fields(reply(request, &Limits::default())),
            ["to_address", "from_address", "body"]
        );
    }

    #[test]
    fn the_default_channel_follows_from_the_address() {
        let of = |to: &str, from: &str| {
            let request = v1::ReplyAsRequest {
                to_address: to.to_owned(),
                from_address: from.to_owned(),
                body: "hi".to_owned(),
                ..Default::default()
            };
            reply(request, &Limits::default()).unwrap().channel
        };
        assert_eq!(of("+15552223333", "+15550001111"), Channel::Sms);
        assert_eq!(of("ana@example.com", "us@example.com"), Channel::Email);
    }

    #[test]
    fn a_list_has_a_maximum_size_and_its_filter_is_checked() {
        let of = |page_size, to: &str| {
            list(
                v1::ListSentRequest {
                    to_address: to.to_owned(),
                    page_size,
                },
                Owner::default(),
            )
        };
        assert_eq!(of(0, "").unwrap().limit, 50);
        assert_eq!(of(1_000, "").unwrap().limit, 200);
        assert_eq!(
            rejected_fields(of(-1, "not an address")),
            ["page_size", "to_address"]
        );
    }
}
