//! `ReplyAs`.

use parlance_proto::v1::{self, ReplyAsRequest as Reply};
use parlance_tests::make::{self, Pair, answer, mail, set_status, sms};
use parlance_tests::{Caller, Kind, Service};
use tokio_postgres::NoTls;
use tonic::Code;

on_both! {
    async fn an_answer_is_received(t: Caller) {
        let pair = t.pair().await;
        let sent = t.ok(sms(&pair, "Your order has shipped.")).await;
        let received = t.ok(answer(&pair, "Thank you!")).await;
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

    async fn each_answer_is_one(t: Caller) {
        let pair = t.pair().await;
        let one = t.ok(answer(&pair, "ok")).await;
        let two = t.ok(answer(&pair, "ok")).await;
        assert_eq!((one.sequence, two.sequence), (1, 2));
        assert_eq!(one.conversation_id, two.conversation_id);
        assert_ne!(one.provider_message_id, two.provider_message_id);
    }

    async fn a_mail_is_answered_by_mail(t: Caller) {
        let pair = t.mail_pair().await;
        let sent = t.ok(mail(&pair, "hi")).await;
        let guessed = t.ok(Reply { subject: "Re: hi".to_owned(), ..answer(&pair, "hello") }).await;
        let named = t.ok(Reply { channel: v1::Channel::Email.into(), ..answer(&pair, "hello") }).await;
        for message in [&guessed, &named] {
            assert_eq!((message.channel(), &message.conversation_id), (v1::Channel::Email, &sent.conversation_id));
        }
        assert_eq!(guessed.subject, "Re: hi");
        let shouted = Pair { ours: pair.ours.replace("example", "EXAMPLE"), theirs: pair.theirs.replace("example", "EXAMPLE") };
        assert_eq!(t.ok(answer(&shouted, "hello")).await.conversation_id, sent.conversation_id, "addresses are canonical");
    }

    /// Nobody can be asked to say more.
    async fn an_answer_may_be_empty(t: Caller) {
        assert_eq!(t.ok(answer(&t.pair().await, "")).await.body, "");
    }

    async fn an_answer_opens_a_conversation_anew(t: Caller) {
        let pair = t.pair().await;
        let closed = t.ok(sms(&pair, "hi")).await.conversation_id;
        t.ok(set_status(&closed, v1::ConversationStatus::Closed)).await;
        let message = t.ok(answer(&pair, "hi")).await;
        assert_ne!(message.conversation_id, closed);
        assert_eq!(message.sequence, 1);
    }

    /// While no message leaves the machine, an address becomes a simulated sender by its use.
    async fn an_unknown_address_becomes_a_sender(t: Caller) {
        let pair = make::phones();
        t.ok(answer(&pair, "hi")).await;
        let senders = t.ok(v1::ListSendersRequest::default()).await.senders;
        assert_eq!(senders.iter().map(|s| (&s.address, s.provider.as_str())).collect::<Vec<_>>(), [(&pair.ours, "simulator")]);
    }

    async fn an_address_of_another_owner_is_not_ours(t: Caller) {
        let pair = t.other().pair().await;
        assert_eq!(t.refused(answer(&pair, "hi")).await.why(), (Code::PermissionDenied, "SENDER_OF_ANOTHER"));
        let all = v1::ListConversationsRequest { with_total: true, ..Default::default() };
        assert_eq!(t.ok(all.clone()).await.total_size, 0);
        assert_eq!(t.other().ok(all).await.total_size, 0);
    }
}

/// A sender that was made while this installation had another provider.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_answers_in_another_providers_name() {
    let service = Service::start(Kind::Postgres).await;
    let t = Caller::at(&service);
    let pair = t.pair().await;
    t.ok(answer(&pair, "hi")).await;
    let (client, connection) = tokio_postgres::connect(service.database_url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("UPDATE senders SET provider = 'twilio'")
        .await
        .unwrap();
    let refusal = t.refused(answer(&pair, "hi")).await;
    assert_eq!(refusal.why(), (Code::FailedPrecondition, "NO_PROVIDER"));
    let refusal = t.other().refused(answer(&pair, "hi")).await;
    assert_eq!(
        refusal.why(),
        (Code::PermissionDenied, "SENDER_OF_ANOTHER"),
        "who carries it is its owner's to know"
    );
}
