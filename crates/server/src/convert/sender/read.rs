//! What names senders: get, list and delete.

use parlance_app::{PageRequest, Result};
use parlance_domain::{Channel, SenderId};
use parlance_proto::v1;

use crate::convert::fields::Found;
use crate::convert::page;

/// `GetSender`.
pub(crate) fn get(request: v1::GetSenderRequest) -> Result<SenderId> {
    let mut found = Found::new();
    let v1::GetSenderRequest { id } = request;
    let id = found.id("id", &id, SenderId::parse);
    found.finish(|| id)
}

/// `ListSenders`.
pub(crate) fn list(request: v1::ListSendersRequest) -> Result<(Option<Channel>, PageRequest)> {
    let mut found = Found::new();
    let v1::ListSendersRequest {
        channel,
        page_size,
        page_token,
    } = request;
    let channel = super::channel(&mut found, "channel", channel);
    let page = page::request(&mut found, page_size, page_token);
    found.finish(|| Some((channel, page)))
}

/// `DeleteSender`.
pub(crate) fn delete(request: v1::DeleteSenderRequest) -> Result<SenderId> {
    let mut found = Found::new();
    let v1::DeleteSenderRequest { id } = request;
    let id = found.id("id", &id, SenderId::parse);
    found.finish(|| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::wrong;

    #[test]
    fn a_sender_is_named_by_its_id() {
        assert_eq!(wrong(get(v1::GetSenderRequest::default())), ["id"]);
        assert_eq!(
            wrong(delete(v1::DeleteSenderRequest { id: "1".to_owned() })),
            ["id"]
        );
    }

    #[test]
    fn a_list_is_of_one_channel_or_of_all() {
        let of = |channel: v1::Channel| {
            list(v1::ListSendersRequest {
                channel: channel.into(),
                ..Default::default()
            })
        };
        assert_eq!(of(v1::Channel::Unspecified).unwrap().0, None);
        assert_eq!(of(v1::Channel::Email).unwrap().0, Some(Channel::Email));
        assert_eq!(wrong(of(v1::Channel::Chat)), ["channel"]);
    }
}
