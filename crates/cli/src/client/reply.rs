//! `parlance reply`.

use parlance_proto::v1::{Channel, ReplyAsRequest};

use super::service::Service;
use crate::arguments::Reply;
use crate::failure::Failure;
use crate::show::{self, Screen};

/// The reply comes from the customer, so `--from` is the customer's address. The contract uses the addresses of the
/// message that is replied to.
pub(super) async fn run(
    arguments: &Reply,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let request = service.call(ReplyAsRequest {
        to_address: arguments.from.clone(),
        from_address: arguments.to.clone(),
        channel: Channel::Unspecified.into(),
        subject: arguments.subject.clone().unwrap_or_default(),
        body: arguments.text.clone(),
        attachments: Vec::new(),
    });
    let message = service.simulator().reply_as(request).await?.into_inner();
    screen.show(&[message], show::message::sent)
}
