//! `CancelMessage`.

use parlance_proto::v1::{self, MessageStatus, SendMessageRequest as Send};
use parlance_testkit::eventually;
use parlance_tests::make::{self, Pair, cancel, chat, far_future, list_sent, report, sms};
use parlance_tests::{Caller, Kind, SOON, Service};
use tokio_postgres::NoTls;
use tonic::Code;

/// Activates the caller's only sender, so that its pending messages are sent.
async fn activate_sender(t: &Caller) {
    let sender = t
        .ok(v1::ListSendersRequest::default())
        .await
        .senders
        .remove(0);
    let sender = v1::Sender {
        id: sender.id,
        status: v1::SenderStatus::Active.into(),
        ..Default::default()
    };
    let update_mask = make::mask(&["status"]);
    t.ok(v1::UpdateSenderRequest {
        sender: Some(sender),
        update_mask,
    })
    .await;
}

async fn until(t: &Caller, id: &str, status: MessageStatus) {
    eventually(SOON, async || {
        (t.message(id).await.status() == status).then_some(())
    })
    .await;
}

on_both! {
    async fn pending_and_scheduled_messages_are_canceled(t: Caller) {
        let pair = t.pair().await;
        let pending = t.ok(sms(&pair, "now")).await;
        let scheduled = t.ok(Send { send_at: Some(far_future(0)), ..sms(&pair, "later") }).await;
        for message in [pending, scheduled] {
            let canceled = t.ok(cancel(&message.id)).await;
            let expected = v1::Message {
                status: MessageStatus::Canceled.into(),
                version: 2,
                updated_at: canceled.updated_at,
                ..message
            };
            assert_eq!(canceled, expected);
            assert_eq!(t.message(&canceled.id).await, canceled);
        }
        let id = t.ok(v1::ListConversationsRequest::default()).await.conversations.remove(0).id;
        assert_eq!(t.conversation(&id).await.message_count, 2, "canceled messages can still be read");
        // A pending message would prevent the deletion of its sender.
        let sender = t.ok(v1::ListSendersRequest::default()).await.senders.remove(0);
        t.ok(v1::DeleteSenderRequest { id: sender.id }).await;
    }

    async fn a_repeated_cancel_changes_nothing(t: Caller) {
        let id = t.ok(sms(&t.pair().await, "hi")).await.id;
        let canceled = t.ok(cancel(&id)).await;
        assert_eq!(t.ok(cancel(&id)).await, canceled);
        assert_eq!(t.ok(make::list_message_events(&id)).await.events.len(), 1);
    }

    async fn watchers_receive_the_cancellation(t: Caller) {
        let mut events = t.watch_from("").await;
        let id = t.ok(sms(&t.pair().await, "hi")).await.id;
        let canceled = t.ok(cancel(&id)).await;
        let received = events.until(|e| e.r#type() == v1::EventType::MessageStatusChanged).await;
        assert_eq!(received.last().unwrap().message.as_ref(), Some(&canceled));
    }

    /// At any position in the conversation queue.
    async fn other_messages_of_the_conversation_are_sent(t: Caller) {
        let pair = t.pair().await;
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push(t.ok(sms(&pair, &n.to_string())).await.id);
        }
        for n in [0, 2, 4] {
            t.ok(cancel(&ids[n])).await;
        }
        activate_sender(&t).await;
        for n in [1, 3] {
            until(&t, &ids[n], MessageStatus::Delivered).await;
        }
        let seen = t.ok(list_sent(&pair.theirs)).await.messages;
        assert_eq!(seen.iter().map(|seen| seen.body.as_str()).collect::<Vec<_>>(), ["3", "1"]);
        for n in [0, 2, 4] {
            assert_eq!(t.message(&ids[n]).await.status(), MessageStatus::Canceled);
        }
    }

    async fn sent_messages_cannot_be_canceled(t: Caller) {
        use MessageStatus::{Delivered, Failed, Read, Sent, Undelivered};
        let pair = t.pair().await;
        let mut sent = vec![t.ok(chat("", "hi")).await, t.ok(make::inbound_sms(&pair, "hi")).await];
        for status in [Sent, Failed, Undelivered, Delivered, Read] {
            let id = t.ok(sms(&pair, "hi")).await.id;
            sent.push(t.ok(report(&id, status)).await);
        }
        for message in sent {
            let refusal = t.refused(cancel(&message.id)).await;
            assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "ILLEGAL_STATUS"));
            assert_eq!(refusal.metadata("message_id"), message.id);
            assert_eq!(format!("MESSAGE_STATUS_{}", refusal.metadata("status").to_uppercase()), message.status().as_str_name());
            assert_eq!(t.message(&message.id).await, message, "the message is unchanged");
        }
    }

    /// The message to the number that the simulator defers is SENDING until the next attempt.
    async fn a_deferred_message_cannot_be_canceled(t: Caller) {
        let busy = Pair { ours: make::phone(), theirs: "+15005550104".to_owned() };
        let id = t.ok(sms(&busy, "hi")).await.id;
        eventually(SOON, async || (t.message(&id).await.status() != MessageStatus::Pending).then_some(())).await;
        let refusal = t.refused(cancel(&id)).await;
        assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "ILLEGAL_STATUS"));
        until(&t, &id, MessageStatus::Delivered).await;
    }

    async fn a_canceled_message_takes_no_report(t: Caller) {
        let id = t.ok(sms(&t.pair().await, "hi")).await.id;
        let canceled = t.ok(cancel(&id)).await;
        let refusal = t.refused(report(&id, MessageStatus::Delivered)).await;
        assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "ILLEGAL_STATUS"));
        assert_eq!(t.message(&id).await, canceled);
    }
}

/// A message between its claim and its outcome. Another connection locks the row of the first message, so the outcome
/// of the second, which the simulator refuses, cannot be written either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claimed_message_cannot_be_canceled_or_deleted() {
    let service = Service::start(Kind::Postgres).await;
    let t = Caller::at(&service);
    let pair = t.pair().await;
    let no_recipient = Pair {
        theirs: "+15005550105".to_owned(),
        ..pair.clone()
    };
    let first = t.ok(sms(&pair, "first")).await.id;
    let second = t.ok(sms(&no_recipient, "second")).await.id;
    let connect = async || {
        let (client, connection) = tokio_postgres::connect(service.database_url(), NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client
    };
    let (holder, observer) = (connect().await, connect().await);
    let lock = format!("BEGIN; SELECT 1 FROM messages WHERE id = '{first}' FOR UPDATE");
    holder.batch_execute(&lock).await.unwrap();
    activate_sender(&t).await;
    eventually(SOON, async || {
        let claimed = "SELECT count(*) FROM deliveries WHERE state = 'claimed'";
        let claimed: i64 = observer.query_one(claimed, &[]).await.unwrap().get(0);
        (claimed == 2).then_some(())
    })
    .await;
    let before = t.message(&second).await;
    assert_eq!(before.status(), MessageStatus::Pending);
    for refusal in [
        t.refused(cancel(&second)).await,
        t.refused(make::delete_message(&second)).await,
    ] {
        assert_eq!(
            refusal.code_and_reason(),
            (Code::FailedPrecondition, "MESSAGE_IN_FLIGHT")
        );
        assert_eq!(refusal.metadata("message_id"), second);
    }
    assert_eq!(t.message(&second).await, before);
    holder.batch_execute("ROLLBACK").await.unwrap();
    until(&t, &first, MessageStatus::Delivered).await;
    until(&t, &second, MessageStatus::Failed).await;
}
