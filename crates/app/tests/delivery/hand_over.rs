//! What a provider gets in a hand-over, and what is asked of it before a second one.

use parlance_app::messages::{
    AttachmentSource, ConversationTarget, NewAttachment, NewMessage, SendMessage,
};
use parlance_domain::message::Content;
use parlance_domain::{Address, Channel, DeliveryPolicy, MessageStatus};
use parlance_providers::OutboundContent;

use crate::support::world::{OURS, number};
use crate::support::{Answer, HOUR, Outgoing, SECOND, World, pace};

fn attachment(source: AttachmentSource) -> NewAttachment {
    NewAttachment {
        filename: "cat.png".to_owned(),
        content_type: "image/png".to_owned(),
        source,
    }
}

on_both! {
    async fn has_the_sender_the_attempt_and_the_content(world: World) {
        // Three chunks.
        let content: Vec<u8> = (0..=255).cycle().take(600_000).collect();
        let url = "https://example.com/cat.png";
        let message = NewMessage {
            target: ConversationTarget::Pair {
                channel: Channel::Sms,
                ours: Address::ours(Channel::Sms, OURS).unwrap(),
                theirs: Address::recipient(Channel::Sms, &number(1)).unwrap(),
                user: String::new(),
            },
            content: Content { body: "hello".to_owned(), ..Content::default() },
            attachments: vec![
                attachment(AttachmentSource::Content(content.clone().into())),
                attachment(AttachmentSource::Url(url.to_owned())),
            ],
        };
        let request = SendMessage {
            request_id: None,
            message,
            send_at: None,
            expires_at: Some(world.now().plus(HOUR)),
            policy: DeliveryPolicy::AtLeastOnce,
        };
        let id = world.front.send_message(&world.owner, request).await.unwrap().value.id;
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_status(id, MessageStatus::Sent).await;

        let text = world.provider.request(id);
        let hand_over = &text.hand_over;
        assert_eq!((hand_over.attempt.message_id, hand_over.attempt.number), (id, 1));
        assert_eq!((&hand_over.owner, hand_over.expires_at), (&world.owner, Some(world.now().plus(HOUR))));
        assert_eq!((hand_over.sender.address.as_str(), hand_over.sender.provider.as_str()), (OURS, "fake"));
        assert_eq!(hand_over.callback_url, None, "the provider has no webhooks");
        let [stored, elsewhere] = &text.attachments[..] else { panic!("{text:?}") };
        assert_eq!((stored.filename.as_str(), stored.content_type.as_str()), ("cat.png", "image/png"));
        let OutboundContent::Stored(stored) = &stored.content else { panic!("{stored:?}") };
        let limit = stored.size_bytes();
        assert!(stored.bytes(limit).await.unwrap() == content, "{limit} of {} bytes", content.len());
        assert!(stored.bytes(limit - 1).await.is_err());
        assert!(matches!(&elsewhere.content, OutboundContent::Url(found) if found == url), "{elsewhere:?}");
    }

    /// The sender's provider was changed while the message waited.
    async fn goes_to_the_present_provider_of_the_sender(world: World) {
        let id = world.send(Outgoing::to(1)).await.id;
        world.db.run("UPDATE messages SET provider = 'earlier'").await;
        let _dispatcher = world.dispatcher(pace()).await;
        let message = world.until_status(id, MessageStatus::Sent).await;
        assert_eq!((message.provider.as_deref(), world.provider.calls()), (Some("fake"), 1));
    }

    /// The earlier provider may have the message, and the sender's credentials are those of the present one.
    async fn is_refused_if_an_earlier_attempt_had_another_provider(world: World) {
        world.provider.answers(|_, _| Answer::LostTaken);
        let _dispatcher = world.dispatcher(pace()).await;
        let id = world.send(Outgoing::to(1)).await.id;
        world.until_status(id, MessageStatus::Uncertain).await;
        world.db.run("UPDATE messages SET provider = 'earlier'").await;
        world.clock.advance(HOUR);
        let failed = world.until_status(id, MessageStatus::Failed).await;
        assert_eq!(failed.provider.as_deref(), Some("earlier"));
        assert_eq!(failed.progress.error.unwrap().code, "provider_changed");
        assert_eq!(world.provider.calls(), 1);
    }

    /// The provider knows that it has the message: it is not handed over again.
    async fn is_looked_up_after_a_lost_answer(world: World) {
        world.provider.set_answers_look_ups();
        world.provider.answers(|_, _| Answer::LostTaken);
        let _dispatcher = world.dispatcher(pace()).await;
        let id = world.send(Outgoing::to(1)).await.id;
        world.until_status(id, MessageStatus::Uncertain).await;
        world.clock.advance(HOUR);
        let message = world.until_status(id, MessageStatus::Sent).await;
        assert_eq!(message.provider_message_id, Some(format!("fake-{id}")));
        assert_eq!((message.progress.attempt, world.provider.calls()), (2, 1));
    }

    /// The provider knows that it does not have the message.
    async fn is_repeated_if_the_look_up_finds_nothing(world: World) {
        world.provider.set_answers_look_ups();
        world.provider.answers(|_, before| if before == 0 { Answer::LostUntaken } else { Answer::Accept });
        let _dispatcher = world.dispatcher(pace()).await;
        let id = world.send(Outgoing::to(1)).await.id;
        world.until_status(id, MessageStatus::Uncertain).await;
        world.clock.advance(HOUR + SECOND);
        world.until_status(id, MessageStatus::Sent).await;
        assert_eq!((world.provider.calls(), world.provider.accepted(id)), (2, 1));
    }
}
