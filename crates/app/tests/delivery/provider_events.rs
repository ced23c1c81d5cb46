//! Reports that name an attempt or the provider's id, and inbound messages.

use parlance_app::messages::DeleteMessage;
use parlance_domain::message::{ReportStatus, ReportedError};
use parlance_domain::{Channel, Direction, MessageStatus};
use parlance_providers::{
    AttemptId, InboundError, InboundMessage, OptOutType, ProviderEvents as _, ProviderReport,
    ReportedMessage, RetryReport,
};

use crate::support::world::{OURS, number};
use crate::support::{Answer, HOUR, Outgoing, Step, World, pace};

/// A report without an owner, as a webhook makes it.
fn report(world: &World, message: ReportedMessage, status: ReportStatus) -> ProviderReport {
    ProviderReport {
        provider: "fake",
        owner: None,
        message,
        provider_message_id: None,
        status,
        error: status.is_negative().then(|| ReportedError {
            code: "unreachable".to_owned(),
            message: "the handset cannot be reached".to_owned(),
            provider_code: "30003".to_owned(),
        }),
        occurred_at: world.now(),
    }
}

fn inbound(id: &str) -> InboundMessage {
    InboundMessage {
        provider: "fake",
        credentials: None,
        provider_message_id: id.to_owned(),
        channel: Channel::Sms,
        from: number(1),
        to: OURS.to_owned(),
        cc: Vec::new(),
        subject: String::new(),
        body: "Thank you!".to_owned(),
        html_body: String::new(),
        attachments: Vec::new(),
        opt_out_type: None,
        received_at: None,
    }
}

on_both! {
    /// The receipt of an attempt whose answer was lost says nothing about the attempt that was accepted.
    async fn a_failure_counts_for_its_own_attempt(world: World) {
        world.provider.answers(|_, before| if before == 0 { Answer::LostUntaken } else { Answer::Accept });
        let _dispatcher = world.dispatcher(pace()).await;
        let message_id = world.send(Outgoing::to(1)).await.id;
        world.until_status(message_id, MessageStatus::Uncertain).await;
        world.clock.advance(HOUR);
        world.until_status(message_id, MessageStatus::Sent).await;
        for (number, status) in [(1, MessageStatus::Sent), (2, MessageStatus::Undelivered)] {
            let attempt = ReportedMessage::Attempt(AttemptId { message_id, number });
            world.front.report(report(&world, attempt, ReportStatus::Undelivered)).await.unwrap();
            assert_eq!(world.status(message_id).await, status, "attempt {number}");
        }
    }

    /// A later attempt was claimed, and its worker wrote nothing.
    async fn a_failure_of_an_earlier_attempt_changes_nothing(world: World) {
        world.provider.answers(|_, _| Answer::LostTaken);
        let dispatcher = world.dispatcher(pace()).await;
        let message_id = world.send(Outgoing::to(1)).await.id;
        let before = world.until_status(message_id, MessageStatus::Uncertain).await;
        dispatcher.go_down().await;
        world.db.run("UPDATE deliveries SET attempt = 2").await;
        let attempt = ReportedMessage::Attempt(AttemptId { message_id, number: 1 });
        world.front.report(report(&world, attempt, ReportStatus::Undelivered)).await.unwrap();
        assert_eq!(world.message(message_id).await, before);
        assert_eq!(world.db.count("deliveries").await, 1);
    }

    /// Before the outcome is written, the message does not know the attempt yet.
    async fn a_failure_may_be_faster_than_the_outcome(world: World) {
        let dispatcher = world.dispatcher(pace()).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        let message_id = world.send(Outgoing::to(1)).await.id;
        dispatcher.wire.until_held(1).await;
        let attempt = ReportedMessage::Attempt(AttemptId { message_id, number: 1 });
        world.front.report(report(&world, attempt, ReportStatus::Undelivered)).await.unwrap();
        dispatcher.wire.hold(None);
        dispatcher.go_down().await;
        let message = world.message(message_id).await;
        assert_eq!((message.progress.status, message.progress.attempt), (MessageStatus::Undelivered, 1));
        assert_eq!(message.provider_message_id, Some(format!("fake-{message_id}")));
    }

    async fn reports_about_messages_of_another_provider_have_no_effect(world: World) {
        let _dispatcher = world.dispatcher(pace()).await;
        let id = world.send(Outgoing::to(1)).await.id;
        world.until_status(id, MessageStatus::Sent).await;
        let own = report(&world, ReportedMessage::Message(id), ReportStatus::Delivered);
        world.front.report(ProviderReport { provider: "another", ..own.clone() }).await.unwrap();
        assert_eq!(world.status(id).await, MessageStatus::Sent);
        world.front.report(own).await.unwrap();
        assert_eq!(world.status(id).await, MessageStatus::Delivered);
    }

    /// Only the report says it. A later report does not change it, and one about another message does not take it over.
    async fn the_providers_id_of_a_lost_answer_comes_with_a_report(world: World) {
        world.provider.answers(|_, _| Answer::LostTaken);
        let _dispatcher = world.dispatcher(pace()).await;
        let mut ids = Vec::new();
        for customer in [1, 2] {
            let id = world.send(Outgoing::to(customer)).await.id;
            world.until_status(id, MessageStatus::Uncertain).await;
            ids.push(id);
        }
        let delivered = |message_id, provider_message_id: &str| ProviderReport {
            provider_message_id: Some(provider_message_id.to_owned()),
            ..report(
                &world,
                ReportedMessage::Attempt(AttemptId { message_id, number: 1 }),
                ReportStatus::Delivered,
            )
        };
        for (id, reported) in [(ids[0], "p-1"), (ids[0], "p-2"), (ids[1], "p-1")] {
            world.front.report(delivered(id, reported)).await.unwrap();
        }
        let (first, second) = (world.message(ids[0]).await, world.message(ids[1]).await);
        assert_eq!(first.provider_message_id.as_deref(), Some("p-1"));
        assert_eq!(second.provider_message_id, None);
        for message in [first, second] {
            assert_eq!(message.progress.status, MessageStatus::Delivered);
        }
    }

    /// The provider's id is stored with the outcome: until then the report must be repeated.
    async fn a_report_by_the_providers_id_waits_for_the_outcome(world: World) {
        let dispatcher = world.dispatcher(pace()).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        let id = world.send(Outgoing::to(1)).await.id;
        dispatcher.wire.until_held(1).await;
        let message = ReportedMessage::ProviderId {
            channel: Channel::Sms,
            sender: OURS.to_owned(),
            provider_message_id: format!("fake-{id}"),
        };
        let delivered = report(&world, message, ReportStatus::Delivered);
        assert_eq!(world.front.report(delivered.clone()).await, Err(RetryReport));
        dispatcher.wire.hold(None);
        world.until_status(id, MessageStatus::Sent).await;
        assert_eq!(world.front.report(delivered).await, Ok(()));
        assert_eq!(world.status(id).await, MessageStatus::Delivered);
    }

    async fn an_error_that_cannot_be_stored_is_clipped(world: World) {
        let _dispatcher = world.dispatcher(pace()).await;
        let id = world.send(Outgoing::to(1)).await.id;
        world.until_status(id, MessageStatus::Sent).await;
        let error = ReportedError {
            code: "c".repeat(65),
            message: format!("a\0b{}", "m".repeat(1_025)),
            provider_code: "\0".to_owned(),
        };
        let failed = ProviderReport {
            error: Some(error),
            ..report(&world, ReportedMessage::Message(id), ReportStatus::Undelivered)
        };
        assert_eq!(world.front.report(failed).await, Ok(()));
        let fault = world.message(id).await.progress.error.unwrap();
        assert_eq!((fault.code.len(), fault.message.len(), fault.provider_code.as_str()), (64, 1_024, ""));
        assert!(fault.message.starts_with("abm"), "{}", fault.message);
    }

    async fn a_report_by_an_invalid_id_is_dropped(world: World) {
        for id in ["", "a\0b", "x".repeat(256).as_str()] {
            let message = ReportedMessage::ProviderId {
                channel: Channel::Sms,
                sender: OURS.to_owned(),
                provider_message_id: id.to_owned(),
            };
            let owner = Some(world.owner.clone());
            let delivered = ProviderReport { owner, ..report(&world, message, ReportStatus::Delivered) };
            assert_eq!(world.front.report(delivered).await, Ok(()), "{id:?}");
        }
    }

    /// Otherwise the provider would repeat it for ever.
    async fn a_report_by_the_id_of_a_deleted_message_is_dropped_after_a_while(world: World) {
        let _dispatcher = world.dispatcher(pace()).await;
        let id = world.send(Outgoing::to(1)).await.id;
        world.until_status(id, MessageStatus::Sent).await;
        world.front.delete_message(&world.owner, DeleteMessage { id, etag: None }).await.unwrap();
        let message = ReportedMessage::ProviderId {
            channel: Channel::Sms,
            sender: OURS.to_owned(),
            provider_message_id: format!("fake-{id}"),
        };
        let delivered = report(&world, message, ReportStatus::Delivered);
        assert_eq!(world.front.report(delivered.clone()).await, Err(RetryReport));
        world.clock.advance(HOUR);
        assert_eq!(world.front.report(delivered).await, Ok(()));
    }

    async fn an_inbound_message_is_stored_once_for_the_owner_of_its_address(world: World) {
        assert_eq!(world.front.inbound(inbound("in-1")).await, Err(InboundError::UnknownAddress), "no sender yet");
        let sent = world.send(Outgoing::to(1)).await;
        for _ in 0..2 {
            world.front.inbound(inbound("in-1")).await.unwrap();
        }
        let found = world.front.database().message_by_provider_id(&world.owner, "fake", "in-1").await.unwrap().unwrap();
        assert_eq!((found.direction, found.conversation_id), (Direction::Inbound, sent.conversation_id));
        assert_eq!((found.body.as_str(), found.sequence), ("Thank you!", 2));
        assert_eq!(world.db.count("messages").await, 2);
    }

    /// An owner who has the secret of one account could forge messages to the senders of another.
    async fn an_inbound_message_needs_a_sender_with_the_verified_credentials(world: World) {
        world.send(Outgoing::to(1)).await;
        let verified = |names: &[&str]| InboundMessage {
            credentials: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..inbound("in-1")
        };
        for names in [&[][..], &["other"]] {
            let refused = world.front.inbound(verified(names)).await;
            assert_eq!(refused, Err(InboundError::UnknownAddress), "{names:?}");
        }
        // The sender names none.
        world.front.inbound(verified(&["other", ""])).await.unwrap();
        assert_eq!(world.db.count("messages").await, 2);
    }

    async fn a_consent_keyword_that_the_provider_answered_is_metadata(world: World) {
        world.send(Outgoing::to(1)).await;
        let stop = InboundMessage { opt_out_type: Some(OptOutType::Stop), ..inbound("in-1") };
        world.front.inbound(stop).await.unwrap();
        let found = world.front.database().message_by_provider_id(&world.owner, "fake", "in-1").await.unwrap().unwrap();
        // Postgres writes a space.
        let metadata = found.metadata.as_str().replace(' ', "");
        assert_eq!(metadata, r#"{"opt_out_type":"STOP"}"#);
    }

    async fn an_inbound_message_needs_a_sender_of_its_provider_and_valid_content(world: World) {
        world.send(Outgoing::to(1)).await;
        let foreign = InboundMessage { provider: "another", ..inbound("in-1") };
        assert_eq!(world.front.inbound(foreign).await, Err(InboundError::UnknownAddress));
        for invalid in [
            InboundMessage { from: "+1".to_owned(), ..inbound("in-1") },
            InboundMessage { to: String::new(), ..inbound("in-1") },
            InboundMessage { body: "a\0b".to_owned(), ..inbound("in-1") },
            inbound(""),
            inbound("a\0b"),
            inbound(&"x".repeat(256)),
        ] {
            let refused = world.front.inbound(invalid).await;
            assert!(matches!(refused, Err(InboundError::Invalid(_))), "{refused:?}");
        }
        assert_eq!(world.db.count("messages").await, 1);
    }
}
