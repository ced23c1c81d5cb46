//! `SimulatorService` of the simulated network. The owner of a call does not matter: there is one account.

use std::sync::Arc;

use parlance_app::messages::{AttachmentSource, NewAttachment};
use parlance_app::simulator::{NetworkError, Reply, SentQuery, WebhookQuery};
use parlance_app::{Error, Reason, Result};
use parlance_domain::message::Limits;
use parlance_domain::{Channel, Owner};
use parlance_proto::v1;
use parlance_proto::v1::simulator_service_server::SimulatorService;
use tonic::{Request, Response, Status};

use super::driver::Driver;
use super::provider::network::{InboundText, Message, NewMedia};
use super::provider::{network, sent_message, webhook_id, webhook_record};
use crate::convert::simulator;
use crate::convert::time::timestamp_to_proto;
use crate::status;

/// Name of the provider that the network stands for.
const PROVIDER: &str = "twilio";

pub(super) struct Handlers(Arc<Driver>);

impl Handlers {
    pub(super) fn new(driver: Arc<Driver>) -> Self {
        Self(driver)
    }

    fn account(&self) -> &str {
        &self.0.credentials().account
    }

    fn reply(&self, request: v1::ReplyAsRequest) -> Result<v1::Message> {
        let Reply {
            channel,
            ours,
            theirs,
            subject: _, // mail only
            body,
            attachments,
        } = simulator::reply(request, &Limits::default())?;
        if channel != Channel::Sms {
            return Err(Error::invalid_field(
                "channel",
                "this network carries text messages only; use SMS",
            ));
        }
        let text = InboundText {
            account: self.account().to_owned(),
            from: theirs.into(),
            to: ours.into(),
            body,
            media: attachments
                .into_iter()
                .enumerate()
                .map(|(position, attachment)| media(position, attachment))
                .collect::<Result<_>>()?,
        };
        let received = self.0.apply(|network, time| {
            let message = network.receive(text, time);
            message.map(message_to_proto)
        });
        received.ok_or_else(|| {
            Error::new(
                Reason::SimulatorNotSet,
                "there is no URL to post messages of customers to; start with --inbound-url",
            )
        })
    }

    fn sent(&self, request: v1::ListSentRequest) -> Result<v1::ListSentResponse> {
        let SentQuery { owner, to, limit } = simulator::list(request, Owner::default())?;
        let sent = self.0.apply(|network, _| {
            let messages = network.messages(self.account());
            messages
                .filter(|message| to.as_ref().is_none_or(|to| *to == message.to))
                .filter_map(|message| sent_message(message, &owner, None))
                .take(limit)
                .collect()
        });
        Ok(simulator::list_to_proto(sent))
    }

    fn script(&self, request: v1::SetScriptRequest) -> Result<v1::SetScriptResponse> {
        let script = simulator::script(request)?;
        let account = self.account();
        self.0
            .apply(|network, _| network.set_script(account, script))?;
        Ok(v1::SetScriptResponse {})
    }

    fn advance(&self, request: v1::AdvanceClockRequest) -> Result<v1::AdvanceClockResponse> {
        let by = simulator::advance(request)?;
        let account = self.account();
        let time = self
            .0
            .advance(|network, time| network.advance_clock(account, by, time))?;
        Ok(simulator::advance_to_proto(time))
    }

    fn webhooks(&self, request: v1::ListWebhooksRequest) -> Result<v1::ListWebhooksResponse> {
        let WebhookQuery {
            owner: _,
            provider_message_id: sid,
            limit,
        } = simulator::list_webhooks(request, Owner::default())?;
        let webhooks = self.0.apply(|network, _| {
            let webhooks = network.webhooks(self.account());
            webhooks
                .filter(|(_, webhook)| sid.as_ref().is_none_or(|sid| *sid == webhook.sid))
                .map(|(id, webhook)| webhook_record(id, webhook))
                .take(limit)
                .collect()
        });
        Ok(simulator::webhooks_to_proto(webhooks))
    }

    fn replay(&self, request: v1::ReplayWebhookRequest) -> Result<v1::Webhook> {
        let id = simulator::replay(request)?;
        let id = webhook_id(&id).ok_or(NetworkError::UnknownWebhook)?;
        let account = self.account();
        let record = self.0.apply(|network, _| {
            let webhook = network.replay_webhook(account, id)?;
            Ok::<_, NetworkError>(webhook_record(id, webhook))
        })?;
        Ok(simulator::webhook_to_proto(record))
    }
}

/// File of a customer's message.
fn media(position: usize, attachment: NewAttachment) -> Result<NewMedia> {
    let NewAttachment {
        filename: _, // text messages have none
        content_type,
        source,
    } = attachment;
    let (url, content) = match source {
        AttachmentSource::Url(url) => (url, None),
        AttachmentSource::Content(content) => (String::new(), Some(content)),
        AttachmentSource::Upload(_) => {
            return Err(Error::invalid_field(
                format!("attachments[{position}].upload_id"),
                "this network has no uploads; set url or content",
            ));
        }
    };
    Ok(NewMedia {
        url,
        content_type,
        content,
    })
}

/// The message of a customer, as far as the network knows it.
fn message_to_proto(message: &Message) -> v1::Message {
    v1::Message {
        channel: v1::Channel::Sms.into(),
        direction: v1::Direction::Inbound.into(),
        status: v1::MessageStatus::Received.into(),
        from_address: message.from.clone(),
        to_address: message.to.clone(),
        body: message.body.clone(),
        provider: PROVIDER.to_owned(),
        provider_message_id: message.sid.clone(),
        segments: network::segments(message),
        created_at: Some(timestamp_to_proto(message.created_at)),
        ..Default::default()
    }
}

/// Converts the result of a handler.
fn answered<T>(result: Result<T>) -> std::result::Result<Response<T>, Status> {
    result.map(Response::new).map_err(status::of)
}

#[tonic::async_trait]
impl SimulatorService for Handlers {
    async fn reply_as(
        &self,
        request: Request<v1::ReplyAsRequest>,
    ) -> std::result::Result<Response<v1::Message>, Status> {
        answered(self.reply(request.into_inner()))
    }

    async fn list_sent(
        &self,
        request: Request<v1::ListSentRequest>,
    ) -> std::result::Result<Response<v1::ListSentResponse>, Status> {
        answered(self.sent(request.into_inner()))
    }

    async fn set_script(
        &self,
        request: Request<v1::SetScriptRequest>,
    ) -> std::result::Result<Response<v1::SetScriptResponse>, Status> {
        answered(self.script(request.into_inner()))
    }

    async fn advance_clock(
        &self,
        request: Request<v1::AdvanceClockRequest>,
    ) -> std::result::Result<Response<v1::AdvanceClockResponse>, Status> {
        answered(self.advance(request.into_inner()))
    }

    async fn list_webhooks(
        &self,
        request: Request<v1::ListWebhooksRequest>,
    ) -> std::result::Result<Response<v1::ListWebhooksResponse>, Status> {
        answered(self.webhooks(request.into_inner()))
    }

    async fn replay_webhook(
        &self,
        request: Request<v1::ReplayWebhookRequest>,
    ) -> std::result::Result<Response<v1::Webhook>, Status> {
        answered(self.replay(request.into_inner()))
    }
}
