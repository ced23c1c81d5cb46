//! `GetSender`, `ListSenders` and `DeleteSender`.

use parlance_app::{PageRequest, Result};
use parlance_domain::{Channel, SenderId};
use parlance_proto::v1;

use crate::convert::fields::Violations;
use crate::convert::page;

/// `GetSender`.
pub(crate) fn get(request: v1::GetSenderRequest) -> Result<SenderId> {
    let mut violations = Violations::new();
    let v1::GetSenderRequest { id } = request;
    let id = violations.id("id", &id, SenderId::parse);
    violations.finish(|| id)
}

/// `ListSenders`.
pub(crate) fn list(request: v1::ListSendersRequest) -> Result<(Option<Channel>, PageRequest)> {
    let mut violations = Violations::new();
    let v1::ListSendersRequest {
        channel,
        page_size,
        page_token,
    } = request;
    let channel = super::channel(&mut violations, "channel", channel);
    let page = page::request(&mut violations, page_size, page_token);
    violations.finish(|| Some((channel, page)))
}

/// `DeleteSender`.
pub(crate) fn delete(request: v1::DeleteSenderRequest) -> Result<SenderId> {
    let mut violations = Violations::new();
    let v1::DeleteSenderRequest { id } = request;
    let id = violations.id("id", &id, SenderId::parse);
    violations.finish(|| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::rejected_fields;

    #[test]
    fn a_sender_is_identified_by_its_id() {
        assert_eq!(
            rejected_fields(get(v1::GetSenderRequest::default())),
            ["id"]
        );
        assert_eq!(
            rejected_fields(delete(v1::DeleteSenderRequest { id: "1".to_owned() })),
            ["id"]
        );
    }

    #[test]
    fn a_list_has_one_channel_or_all() {
        let of = |channel: v1::Channel| {
            list(v1::ListSendersRequest {
                channel: channel.into(),
                ..Default::default()
            })
        };
        assert_eq!(of(v1::Channel::Unspecified).unwrap().0, None);
        assert_eq!(of(v1::Channel::Email).unwrap().0, Some(Channel::Email));
        assert_eq!(rejected_fields(of(v1::Channel::Chat)), ["channel"]);
    }
}
