//! Requests repeated with their `request_id`.

use futures_util::future::join_all;
use parlance_proto::v1::{self, SendMessageRequest as Send};
use parlance_tests::Caller;
use parlance_tests::make::{self, chat, far_future, file, first_chunk, sms};
use parlance_tests::raw::{framed, grpc};
use tonic::Code;

on_both! {
    async fn a_repeated_send_creates_nothing(t: Caller) {
        let pair = t.pair().await;
        let request = Send { request_id: "order-17".to_owned(), metadata: Some(make::json("a", "b")), ..sms(&pair, "hi") };
        let (first, replayed) = t.ok_or_replayed(request.clone()).await;
        assert!(!replayed);
        let (second, replayed) = t.ok_or_replayed(request.clone()).await;
        assert!(replayed);
        assert_eq!(first, second);
        assert_eq!(t.conversation(&first.conversation_id).await.message_count, 1);

        t.ok(make::report(&first.id, v1::MessageStatus::Delivered)).await;
        t.ok(make::edit_message(&first.id, &[], |m| m.metadata = Some(make::json("c", "d")))).await;
        let (now, replayed) = t.ok_or_replayed(request).await;
        assert!(replayed);
        assert_eq!(now, t.message(&first.id).await, "the current state");
        assert_eq!(now.status(), v1::MessageStatus::Delivered);
    }

    /// The contract promises a trailer; client libraries do not distinguish it from a header.
    async fn the_mark_of_a_replay_is_a_trailer(t: Caller) {
        let request = Send { request_id: "r".to_owned(), ..chat("", "hi") };
        t.ok(request.clone()).await;
        let owner = [("x-parlance-owner", t.owner())];
        let answer = grpc(t.grpc_address(), "/parlance.v1.MessageService/SendMessage", &owner, framed(&request)).await;
        assert_eq!(answer.status().code(), Code::Ok);
        assert_eq!(answer.trailers.unwrap()["idempotent-replayed"], "true");
    }

    async fn a_different_request_with_the_same_id_is_refused(t: Caller) {
        let pair = t.pair().await;
        let request = Send { request_id: "r".to_owned(), ..sms(&pair, "hi") };
        let first = t.ok(request.clone()).await;
        let others = [
            Send { body: "other".to_owned(), ..request.clone() },
            Send { to_address: make::phone(), ..request.clone() },
            Send { user: "u".to_owned(), ..request.clone() },
            Send { send_at: Some(far_future(0)), ..request.clone() },
            Send { metadata: Some(make::json("a", "b")), ..request.clone() },
            Send { attachments: vec![file("a", "text/plain", "b")], ..request.clone() },
            Send { policy: 2, ..request.clone() },
            Send { request_id: "r".to_owned(), ..chat("", "hi") },
            Send { request_id: "r".to_owned(), ..make::reply(&first.conversation_id, "hi") },
        ];
        for other in others {
            let refusal = t.refused(other.clone()).await;
            assert_eq!(refusal.code_and_reason(), (Code::InvalidArgument, "REQUEST_ID_REUSED"), "{other:?}");
        }
        let all = t.ok(v1::ListConversationsRequest { with_total: true, ..Default::default() }).await;
        assert_eq!((all.total_size, all.conversations[0].message_count), (1, 1));
    }

    /// The members of an object have no order.
    async fn the_encoding_of_a_request_does_not_matter(t: Caller) {
        let names: Vec<String> = (0..40).map(|n| format!("name {n}")).collect();
        let metadata = |names: &[String]| prost_types::Struct {
            fields: names.iter().map(|name| (name.clone(), prost_types::Value { kind: Some(prost_types::value::Kind::BoolValue(true)) })).collect(),
        };
        let request = Send { request_id: "r".to_owned(), metadata: Some(metadata(&names)), ..chat("", "hi") };
        let first = t.ok(request.clone()).await;
        let reversed: Vec<String> = names.into_iter().rev().collect();
        let (second, replayed) = t.ok_or_replayed(Send { metadata: Some(metadata(&reversed)), ..request }).await;
        assert_eq!((second.id, replayed), (first.id, true));
    }

    async fn request_ids_are_per_owner_and_method(t: Caller) {
        let request = Send { request_id: "r".to_owned(), ..chat("", "hi") };
        let first = t.ok(request.clone()).await;
        let theirs = t.other().ok(request).await;
        assert_ne!(first.id, theirs.id);
        let (conversation, replayed) = t.ok_or_replayed(v1::CreateConversationRequest { request_id: "r".to_owned(), ..make::create_chat("") }).await;
        assert!(!replayed);
        assert_ne!(conversation.id, first.conversation_id);
        let pair = t.pair().await;
        let (_, replayed) = t.ok_or_replayed(v1::ReceiveMessageRequest { request_id: "r".to_owned(), ..make::inbound_sms(&pair, "hi") }).await;
        assert!(!replayed);
    }

    async fn a_refused_request_does_not_use_its_id(t: Caller) {
        let pair = t.pair().await;
        let id = t.ok(sms(&pair, "hi")).await.conversation_id;
        t.ok(make::set_status(&id, v1::ConversationStatus::Closed)).await;
        let closed = Send { request_id: "r".to_owned(), ..make::reply(&id, "hi") };
        assert_eq!(t.refused(closed).await.reason, "CONVERSATION_CLOSED");
        let (_, replayed) = t.ok_or_replayed(Send { request_id: "r".to_owned(), ..sms(&pair, "another") }).await;
        assert!(!replayed);
    }

    async fn concurrent_copies_of_a_request_create_one_message(t: Caller) {
        let pair = t.pair().await;
        for request in [
            Send { request_id: "text".to_owned(), ..sms(&pair, "hi") },
            Send { request_id: "chat".to_owned(), ..chat("", "hi") },
            Send { request_id: "named".to_owned(), ..chat("session", "hi") },
        ] {
            let answers = join_all((0..32).map(|_| t.ok_or_replayed_retrying(request.clone()))).await;
            let created = answers.iter().filter(|(_, replayed)| !replayed).count();
            assert_eq!(created, 1, "{request:?}");
            assert!(answers.iter().all(|(message, _)| *message == answers[0].0), "{answers:?}");
            let conversation = t.conversation(&answers[0].0.conversation_id).await;
            assert_eq!(conversation.message_count, 1, "{request:?}");
        }
        let all = t.ok(v1::ListConversationsRequest { with_total: true, ..Default::default() }).await;
        assert_eq!(all.total_size, 3);
    }

    async fn a_repeated_request_of_a_deleted_message_sends_nothing(t: Caller) {
        let pair = t.pair().await;
        let request = Send { request_id: "r".to_owned(), ..sms(&pair, "hi") };
        let first = t.ok(request.clone()).await;
        t.ok(make::delete_message(&first.id)).await;
        let refusal = t.refused(request.clone()).await;
        assert_eq!(refusal.code_and_reason(), (Code::NotFound, "MESSAGE_NOT_FOUND"));
        assert_eq!(t.conversation(&first.conversation_id).await.message_count, 0);

        t.ok(make::delete_conversation(&first.conversation_id)).await;
        assert_eq!(t.refused(request).await.code, Code::NotFound);
        let all = t.ok(v1::ListConversationsRequest { with_total: true, ..Default::default() }).await;
        assert_eq!(all.total_size, 0, "no conversation was created");
    }

    /// A replay returns the message whatever has happened to its conversation.
    async fn a_replay_depends_only_on_its_message(t: Caller) {
        let pair = t.pair().await;
        let id = t.ok(sms(&pair, "hi")).await.conversation_id;
        let by_addresses = Send { request_id: "a".to_owned(), ..sms(&pair, "again") };
        let by_id = Send { request_id: "b".to_owned(), ..make::reply(&id, "again") };
        let upload = t.upload(vec![first_chunk("a", "text/plain", "x")]).await.unwrap().upload_id;
        let with_upload = Send {
            request_id: "c".to_owned(),
            attachments: vec![v1::NewAttachment { upload_id: upload, ..Default::default() }],
            ..make::reply(&id, "")
        };
        let requests = [by_addresses, by_id, with_upload];
        let first = join_all(requests.iter().map(|request| t.ok(request.clone()))).await;
        t.ok(make::set_status(&id, v1::ConversationStatus::Closed)).await;
        for (request, first) in requests.into_iter().zip(first) {
            let (again, replayed) = t.ok_or_replayed(request).await;
            assert_eq!((again, replayed), (first, true));
        }
        let all = t.ok(v1::ListConversationsRequest { with_total: true, ..Default::default() }).await;
        assert_eq!(all.total_size, 1);
    }
}
