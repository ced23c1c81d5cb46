//! Tests that replies from memory are equal, byte by byte, to those that tonic writes.

use parlance_cache::{Backend, CacheSettings};
use parlance_proto::v1::conversation_service_client::ConversationServiceClient;
use prost::bytes::Buf as _;
use prost_types::value::Kind;
use prost_types::{Struct, Timestamp as Time, Value};

use super::*;

async fn cached() -> Service {
    service_with(|database, env| {
        let settings = CacheSettings {
            shared_database: false,
            ..CacheSettings::new(Backend::Memory, env.random_numbers())
        };
        parlance_app::cache::open(database, settings, None, env)
    })
    .await
}

const GZIP: (&str, &str) = ("grpc-accept-encoding", "gzip");

fn data() -> Struct {
    let value = |kind| Value { kind: Some(kind) };
    let fields = [
        ("number".to_owned(), value(Kind::NumberValue(1.5))),
        ("text".to_owned(), value(Kind::StringValue("é".to_owned()))),
        ("nothing".to_owned(), value(Kind::NullValue(0))),
    ];
    Struct {
        fields: fields.into(),
    }
}

/// Makes one message of every kind that differs for a client.
async fn every_kind(service: &Service) -> Vec<v1::Message> {
    let text = v1::SendMessageRequest {
        channel: v1::Channel::Sms.into(),
        from_address: "+12125550000".to_owned(),
        to_address: "+16465550001".to_owned(),
        body: "text".to_owned(),
        ..Default::default()
    };
    let file = v1::NewAttachment {
        filename: "f".to_owned(),
        content_type: "a/b".to_owned(),
        content: Bytes::from_static(b"content"),
        ..Default::default()
    };
    let mail = v1::SendMessageRequest {
        channel: v1::Channel::Email.into(),
        from_address: "us@example.com".to_owned(),
        to_address: "them@example.com".to_owned(),
        cc_addresses: vec!["also@example.com".to_owned()],
        subject: "s".to_owned(),
        html_body: "<p>h</p>".to_owned(),
        metadata: Some(data()),
        ..Default::default()
    };
    let later = Time {
        seconds: 4_000_000_000,
        nanos: 5_000,
    };
    let requests = [
        chat(""),
        v1::SendMessageRequest {
            role: v1::Role::System.into(),
            tokens_used: Some(0),
            latency_ms: Some(7),
            metadata: Some(data()),
            body: "x".repeat(40_000),
            ..chat("")
        },
        text.clone(),
        v1::SendMessageRequest {
            attachments: vec![file],
            ..text.clone()
        },
        mail,
        v1::SendMessageRequest {
            send_at: Some(later),
            expires_at: Some(Time {
                seconds: later.seconds + 1,
                ..later
            }),
            ..text
        },
    ];
    let mut made = Vec::new();
    for request in requests {
        let message = service.messages().send_message(request).await.unwrap();
        made.push(message.into_inner());
    }
    let received = v1::ReceiveMessageRequest {
        channel: v1::Channel::Sms.into(),
        from_address: "+16465550001".to_owned(),
        to_address: "+12125550000".to_owned(),
        body: "answer".to_owned(),
        provider: "simulator".to_owned(),
        provider_message_id: "p1".to_owned(),
        ..Default::default()
    };
    let received = service.messages().receive_message(received).await.unwrap();
    made.push(received.into_inner());
    let failed = v1::UpdateMessageStatusRequest {
        id: made[2].id.clone(),
        status: v1::MessageStatus::Failed.into(),
        error: Some(v1::MessageError {
            code: "SPAM".to_owned(),
            message: "refused".to_owned(),
            provider_code: "30007".to_owned(),
        }),
        ..Default::default()
    };
    let failed = service.messages().update_message_status(failed).await;
    made[2] = failed.unwrap().into_inner();
    made
}

/// Source of a reply, and its other headers, which must not depend on the source.
fn source_and_headers(raw: &Raw) -> (&str, http::HeaderMap) {
    let mut headers = raw.headers.clone();
    headers.remove("x-parlance-cache");
    (raw.headers["x-parlance-cache"].to_str().unwrap(), headers)
}

/// Makes a call twice, and compares the reply that tonic writes with the one from memory.
async fn check(
    service: &Service,
    method: &str,
    headers: &[(&'static str, &str)],
    request: &impl prost::Message,
) {
    let written = raw(service, method, headers, request).await;
    let stored = raw(service, method, headers, request).await;
    let (source, headers) = source_and_headers(&written);
    let (stored_source, stored_headers) = source_and_headers(&stored);
    assert_eq!((source, stored_source), ("database", "memory"));
    assert_eq!(stored_headers, headers, "{method}");
    assert_eq!(stored.frames, written.frames, "{method}");
    assert_eq!(stored.trailers, written.trailers, "{method}");
    assert_eq!(
        (stored.frames.len(), &stored.trailers["grpc-status"]),
        (1, &http::HeaderValue::from_static("0"))
    );
}

#[tokio::test]
async fn replies_from_memory_equal_those_of_tonic() {
    for headers in [&[][..], &[GZIP]] {
        let service = cached().await;
        for message in every_kind(&service).await {
            let get = v1::GetMessageRequest {
                id: message.id.clone(),
                ..Default::default()
            };
            check(&service, "MessageService/GetMessage", headers, &get).await;
            let read = service.messages().get_message(get).await.unwrap();
            assert_eq!(read.into_inner(), message);
        }
        let conversations = every_conversation(&service).await;
        assert_eq!(conversations.len(), 3);
        for id in conversations {
            let get = v1::GetConversationRequest {
                id,
                ..Default::default()
            };
            check(
                &service,
                "ConversationService/GetConversation",
                headers,
                &get,
            )
            .await;
        }
        for with_total in [false, true] {
            let list = v1::ListConversationsRequest {
                page_size: 2,
                with_total,
                ..Default::default()
            };
            let method = "ConversationService/ListConversations";
            check(&service, method, headers, &list).await;
        }
        let stats = v1::GetStatsRequest::default();
        check(&service, "ConversationService/GetStats", headers, &stats).await;
        for query in ["text", "nothing", ""] {
            let search = v1::SearchMessagesRequest {
                query: query.to_owned(),
                ..Default::default()
            };
            check(&service, "MessageService/SearchMessages", headers, &search).await;
        }
    }
}

async fn every_conversation(service: &Service) -> Vec<String> {
    let mut client = ConversationServiceClient::new(service.routes.clone());
    let listed = client.list_conversations(v1::ListConversationsRequest::default());
    let listed = listed.await.unwrap().into_inner().conversations;
    listed
        .into_iter()
        .map(|conversation| conversation.id)
        .collect()
}

/// The message in a frame that is not compressed.
fn message<M: prost::Message + Default>(raw: &Raw) -> M {
    let mut frame = raw.frames[0].clone();
    assert_eq!(frame.get_u8(), 0);
    assert_eq!(usize::try_from(frame.get_u32()).unwrap(), frame.len());
    M::decode(frame).unwrap()
}

#[tokio::test]
async fn lists_and_batches_from_memory_equal_their_encoded_messages() {
    let service = cached().await;
    let made = every_kind(&service).await;
    let batch = v1::BatchGetMessagesRequest {
        ids: made.iter().map(|message| message.id.clone()).collect(),
    };
    let get = v1::GetMessageRequest {
        id: made[1].id.clone(),
        ..Default::default()
    };
    service.messages().get_message(get).await.unwrap();
    // First some messages are cached, then all of them.
    for source in ["database", "memory"] {
        let reply = raw(&service, "MessageService/BatchGetMessages", &[], &batch).await;
        assert_eq!(reply.headers["x-parlance-cache"], source);
        let expected = v1::BatchGetMessagesResponse {
            messages: made.clone(),
            missing_ids: Vec::new(),
        };
        assert_eq!(message::<v1::BatchGetMessagesResponse>(&reply), expected);
        assert_eq!(reply.frames[0][5..], expected.encode_to_vec());
    }
    let list = v1::ListMessagesRequest {
        conversation_id: made[2].conversation_id.clone(),
        page_size: 2,
        with_total: true,
        ..Default::default()
    };
    let mut pages = Vec::new();
    for source in ["database", "memory"] {
        let reply = raw(&service, "MessageService/ListMessages", &[], &list).await;
        assert_eq!(reply.headers["x-parlance-cache"], source);
        let page: v1::ListMessagesResponse = message(&reply);
        assert_eq!(page.messages, [made[6].clone(), made[5].clone()]);
        assert_eq!(
            (page.total_size, page.next_page_token.is_empty()),
            (4, false)
        );
        assert_eq!(reply.frames[0][5..], page.encode_to_vec());
        pages.push(page);
    }
    assert_eq!(pages[0], pages[1]);
}

#[tokio::test]
async fn a_too_large_batch_is_refused_from_every_source() {
    let service = cached().await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        let request = v1::SendMessageRequest {
            body: "x".repeat(250_000),
            ..chat("")
        };
        let message = service.messages().send_message(request).await.unwrap();
        ids.push(message.into_inner().id);
    }
    let batch = v1::BatchGetMessagesRequest { ids };
    for _ in 0..2 {
        let refused = service.messages().batch_get_messages(batch.clone()).await;
        assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
    }
}

#[tokio::test]
async fn an_invalid_duration_names_its_header() {
    let service = cached().await;
    let get = v1::GetMessageRequest {
        id: "01932b1c-0000-7000-8000-000000000001".to_owned(),
        ..Default::default()
    };
    for (given, expected) in [("soon", Code::InvalidArgument), ("30s", Code::NotFound)] {
        let mut request = tonic::Request::new(get.clone());
        let value = tonic::metadata::MetadataValue::from_static(given);
        request
            .metadata_mut()
            .insert("x-parlance-max-staleness", value);
        let status = service.messages().get_message(request).await.unwrap_err();
        assert_eq!(status.code(), expected, "{given}");
        if expected == Code::InvalidArgument {
            let violations = status.get_details_bad_request().unwrap().field_violations;
            assert_eq!(violations[0].field, "x-parlance-max-staleness");
        }
    }
}
