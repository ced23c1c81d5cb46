//! `parlance get`.

use parlance_proto::v1::{
    Conversation, GetConversationRequest, GetMessageRequest, ListMessageEventsRequest, Message,
};
use tonic::{Code, Response, Status};

use super::service::Service;
use crate::arguments::Get;
use crate::failure::Failure;
use crate::show::{self, Screen};

/// An id does not show its type, so both types are tried.
pub(super) async fn run(
    arguments: &Get,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let id = &arguments.id;
    if let Some(message) = message(id, service).await? {
        return show_with_events(message, service, screen).await;
    }
    match conversation(id, service).await? {
        Some(conversation) => screen.show(&[conversation], show::conversation::card),
        None => Err(Failure::NotFound { id: id.clone() }),
    }
}

async fn show_with_events(
    message: Message,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let id = message.id.clone();
    let request = service.call(ListMessageEventsRequest { id });
    let events = service.messages().list_message_events(request).await?;
    screen.show(&[message], show::message::card)?;
    screen.show(&[events.into_inner()], show::message_events::lines)
}

async fn message(id: &str, service: &Service) -> Result<Option<Message>, Failure> {
    let request = service.call(GetMessageRequest {
        id: id.to_owned(),
        ..GetMessageRequest::default()
    });
    if_found(service.messages().get_message(request).await)
}

async fn conversation(id: &str, service: &Service) -> Result<Option<Conversation>, Failure> {
    let request = service.call(GetConversationRequest {
        id: id.to_owned(),
        ..GetConversationRequest::default()
    });
    if_found(service.conversations().get_conversation(request).await)
}

fn if_found<T>(reply: Result<Response<T>, Status>) -> Result<Option<T>, Failure> {
    match reply {
        Ok(reply) => Ok(Some(reply.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status.into()),
    }
}
