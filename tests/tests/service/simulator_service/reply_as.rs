//! `ReplyAs`.

use parlance_proto::v1::{self, ReplyAsRequest as Reply};
use parlance_tests::make::{self, Pair, file, mail, reply_as, set_status, sms};
use parlance_tests::{Caller, Kind, Service};
use tokio_postgres::NoTls;
use tonic::Code;

on_both! {
    async fn a_reply_is_received(t: Caller) {
        let pair = t.pair().await;
        let sent = t.ok(sms(&pair, "Your order has shipped.")).await;
        let received = t.ok(reply_as(&pair, "Thank you!")).await;
        let expected = v1::Message {
            id: received.id.clone(),
            conversation_id: sent.conversation_id.clone(),
            sequence: 2,
            channel: v1::Channel::Sms.into(),
            direction: v1::Direction::Inbound.into(),
            status: v1::MessageStatus::Received.into(),
            from_address: pair.theirs.clone(),
            to_address: pair.ours.clone(),
            body: "Thank you!".to_owned(),
            provider: "simulator".to_owned(),
            provider_message_id: received.provider_message_id.clone(),
            segments: 1,
            created_at: received.created_at,
            updated_at: received.created_at,
            version: 1,
            etag: received.etag.clone(),
            ..Default::default()
        };
        assert_eq!(v1::Message { metadata: None, ..received.clone() }, expected);
        assert_eq!(t.message(&received.id).await, received);
        let by_provider = v1::GetMessageRequest {
            provider: received.provider.clone(),
            provider_message_id: received.provider_message_id.clone(),
            ..Default::default()
        };
        assert_eq!(t.ok(by_provider).await, received);
        let conversation = t.conversation(&sent.conversation_id).await;
        assert_eq!((conversation.message_count, conversation.unread_count), (2, 1));
    }

    async fn each_reply_is_a_message(t: Caller) {
        let pair = t.pair().await;
        let one = t.ok(reply_as(&pair, "ok")).await;
        let two = t.ok(reply_as(&pair, "ok")).await;
        assert_eq!((one.sequence, two.sequence), (1, 2));
        assert_eq!(one.conversation_id, two.conversation_id);
        assert_ne!(one.provider_message_id, two.provider_message_id);
    }

    async fn the_reply_to_a_mail_is_a_mail(t: Caller) {
        let pair = t.mail_pair().await;
        let sent = t.ok(mail(&pair, "hi")).await;
        let guessed = t.ok(Reply { subject: "Re: hi".to_owned(), ..reply_as(&pair, "hello") }).await;
        let named = t.ok(Reply { channel: v1::Channel::Email.into(), ..reply_as(&pair, "hello") }).await;
        for message in [&guessed, &named] {
            assert_eq!((message.channel(), &message.conversation_id), (v1::Channel::Email, &sent.conversation_id));
        }
        assert_eq!(guessed.subject, "Re: hi");
        let uppercase = Pair { ours: pair.ours.replace("example", "EXAMPLE"), theirs: pair.theirs.replace("example", "EXAMPLE") };
        assert_eq!(t.ok(reply_as(&uppercase, "hello")).await.conversation_id, sent.conversation_id, "addresses are canonical");
    }

    async fn a_reply_with_a_file_is_an_mms(t: Caller) {
        let pair = t.pair().await;
        let reply = Reply { attachments: vec![file("a.txt", "text/plain", "a")], ..reply_as(&pair, "look") };
        let received = t.ok(reply).await;
        assert_eq!(received.channel(), v1::Channel::Mms);
        let [attachment] = &received.attachments[..] else { panic!("{received:?}") };
        assert_eq!(t.download(&received.id, &attachment.id).await.unwrap(), b"a");
    }

    /// An inbound message cannot be rejected for its content.
    async fn a_reply_may_be_empty(t: Caller) {
        assert_eq!(t.ok(reply_as(&t.pair().await, "")).await.body, "");
    }

    async fn a_reply_to_a_closed_conversation_creates_a_new_one(t: Caller) {
        let pair = t.pair().await;
        let closed = t.ok(sms(&pair, "hi")).await.conversation_id;
        t.ok(set_status(&closed, v1::ConversationStatus::Closed)).await;
        let message = t.ok(reply_as(&pair, "hi")).await;
        assert_ne!(message.conversation_id, closed);
        assert_eq!(message.sequence, 1);
    }

    /// While every provider is simulated, the first use of an address creates a simulated sender.
    async fn an_unknown_address_creates_a_sender(t: Caller) {
        let pair = make::phones();
        t.ok(reply_as(&pair, "hi")).await;
        let senders = t.ok(v1::ListSendersRequest::default()).await.senders;
        assert_eq!(senders.iter().map(|s| (&s.address, s.provider.as_str())).collect::<Vec<_>>(), [(&pair.ours, "simulator")]);
    }

    async fn a_sender_of_another_owner_cannot_be_used(t: Caller) {
        let pair = t.other().pair().await;
        assert_eq!(t.refused(reply_as(&pair, "hi")).await.code_and_reason(), (Code::PermissionDenied, "SENDER_OF_ANOTHER"));
        let all = v1::ListConversationsRequest { with_total: true, ..Default::default() };
        assert_eq!(t.ok(all.clone()).await.total_size, 0);
        assert_eq!(t.other().ok(all).await.total_size, 0);
    }
}

/// A sender that was created while this installation had another provider.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_to_senders_of_another_provider_are_refused() {
    let service = Service::start(Kind::Postgres).await;
    let t = Caller::at(&service);
    let pair = t.pair().await;
    t.ok(reply_as(&pair, "hi")).await;
    let (client, connection) = tokio_postgres::connect(service.database_url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("UPDATE senders SET provider = 'twilio'")
        .await
        .unwrap();
    let refusal = t.refused(reply_as(&pair, "hi")).await;
    assert_eq!(
        refusal.code_and_reason(),
        (Code::FailedPrecondition, "NO_PROVIDER")
    );
    let refusal = t.other().refused(reply_as(&pair, "hi")).await;
    assert_eq!(
        refusal.code_and_reason(),
        (Code::PermissionDenied, "SENDER_OF_ANOTHER"),
        "the provider is not disclosed to another owner"
    );
}
