//! `parlance send`.

use parlance_proto::v1::{
    Channel, EventType, GetMessageRequest, Message, MessageStatus, Role, SendMessageRequest,
    WatchEventsRequest,
};

use super::follow::{Followed, Follower};
use super::service::Service;
use crate::arguments::Send;
use crate::failure::Failure;
use crate::show::{self, Screen};

pub(super) async fn run(
    arguments: &Send,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    // Started before the message is sent, or its first events could be missed.
    let follower = if arguments.wait {
        Some(Follower::begin(service, status_events()).await?)
    } else {
        None
    };
    let request = service.call(request(arguments));
    let message = service.messages().send_message(request).await?.into_inner();
    screen.show(std::slice::from_ref(&message), show::message::sent)?;
    match follower {
        Some(follower) => follow(message, follower, service, screen).await,
        None => Ok(()),
    }
}

fn request(arguments: &Send) -> SendMessageRequest {
    let text = |given: &Option<String>| given.clone().unwrap_or_default();
    SendMessageRequest {
        request_id: text(&arguments.request_id),
        conversation_id: text(&arguments.conversation),
        channel: channel(arguments).into(),
        from_address: text(&arguments.from),
        to_address: text(&arguments.to),
        user: text(&arguments.user),
        external_id: text(&arguments.chat),
        subject: text(&arguments.subject),
        body: arguments.text.clone(),
        role: arguments.role.map_or(Role::Unspecified, Role::from).into(),
        send_at: arguments.at,
        ..SendMessageRequest::default()
    }
}

/// Channel of the target; unspecified for a conversation, which has one.
fn channel(arguments: &Send) -> Channel {
    match (&arguments.chat, &arguments.to) {
        (Some(_), _) => Channel::Chat,
        (None, Some(to)) if to.contains('@') => Channel::Email,
        (None, Some(_)) => Channel::Sms,
        (None, None) => Channel::Unspecified,
    }
}

/// Watches all messages: the id of the message and its conversation are not known yet.
fn status_events() -> WatchEventsRequest {
    let types = [EventType::MessageStatusChanged, EventType::MessageDeleted];
    WatchEventsRequest {
        types: types.map(i32::from).to_vec(),
        ..WatchEventsRequest::default()
    }
}

/// Prints each status of the message until the final one.
async fn follow(
    mut message: Message,
    mut follower: Follower<'_>,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let delivered = loop {
        if let Some(delivered) = outcome(message.status()) {
            break delivered;
        }
        let next = match follower.next(screen.output()).await? {
            Followed::Event(event) if event.message_id != message.id => continue,
            Followed::Event(event) => event.message.ok_or_else(|| {
                Failure::NotDelivered("the message was deleted before it was delivered".to_owned())
            })?,
            // Without a cursor, the watch may have missed events.
            Followed::Resumed => read(&message.id, service).await?,
        };
        // After a reconnection, events may repeat.
        if next.version > message.version {
            message = next;
            screen.show(std::slice::from_ref(&message), show::message::step)?;
        }
    };
    if delivered {
        return Ok(());
    }
    Err(Failure::NotDelivered(not_delivered(&message)))
}

async fn read(id: &str, service: &Service) -> Result<Message, Failure> {
    let request = service.call(GetMessageRequest {
        id: id.to_owned(),
        ..GetMessageRequest::default()
    });
    Ok(service.messages().get_message(request).await?.into_inner())
}

/// Whether the message was delivered; `None` until its status is final.
fn outcome(status: MessageStatus) -> Option<bool> {
    match status {
        MessageStatus::Unspecified
        | MessageStatus::Scheduled
        | MessageStatus::Pending
        | MessageStatus::Sending
        | MessageStatus::Uncertain
        | MessageStatus::Sent => None,
        MessageStatus::Delivered | MessageStatus::Read | MessageStatus::Received => Some(true),
        MessageStatus::Undelivered
        | MessageStatus::Failed
        | MessageStatus::Expired
        | MessageStatus::Canceled => Some(false),
    }
}

fn not_delivered(message: &Message) -> String {
    let status = show::labels::message_status(message.status);
    match &message.error {
        Some(error) => format!(
            "the message is {status}: {} ({})",
            error.message, error.code
        ),
        None => format!("the message is {status}"),
    }
}
