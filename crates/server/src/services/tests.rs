//! Tests of the handlers over a real database, without a socket: headers, frames and trailers of whole replies.

mod cached;

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use parlance_app::{App, Environment, Settings};
use parlance_cache::Cache;
use parlance_proto::v1;
use parlance_proto::v1::event_service_client::EventServiceClient;
use parlance_proto::v1::message_service_client::MessageServiceClient;
use parlance_storage::{Database, DatabaseUrl, migrate};
use parlance_testkit::SqliteFile;
use prost::Message as _;
use tonic::Code;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use super::*;

struct Service {
    routes: Routes,
    _file: SqliteFile,
}

async fn service() -> Service {
    service_with(parlance_app::cache::none).await
}

/// Starts the services with the cache that `cache` makes.
async fn service_with(cache: impl FnOnce(&Database, &Environment) -> Arc<Cache>) -> Service {
    let file = SqliteFile::new();
    let settings = parlance_storage::Settings::new(DatabaseUrl::parse(&file.url()).unwrap());
    migrate(&settings).await.unwrap();
    let database = Database::open(&settings).await.unwrap();
    let env = Environment::system();
    let cache = cache(&database, &env);
    let settings = Settings {
        encoders: crate::convert::ENCODERS,
        open_senders: Some("simulator".to_owned()),
        ..Settings::default()
    };
    let app: Arc<App> = App::new(database, cache, settings, env);
    let admin = CacheAdmin::new(Arc::clone(&app), None, String::new());
    let routes = add_to(Routes::default(), &app, &admin, MAX_REPLY_BYTES).prepare();
    Service {
        routes,
        _file: file,
    }
}

impl Service {
    fn messages(&self) -> MessageServiceClient<Routes> {
        MessageServiceClient::new(self.routes.clone())
    }
}

fn chat(request_id: &str) -> v1::SendMessageRequest {
    v1::SendMessageRequest {
        request_id: request_id.to_owned(),
        channel: v1::Channel::Chat.into(),
        external_id: "c1".to_owned(),
        body: "hello".to_owned(),
        ..Default::default()
    }
}

/// Whole reply, with headers and trailers apart, which a client does not distinguish.
#[derive(Debug, PartialEq, Eq)]
struct Raw {
    headers: http::HeaderMap,
    frames: Vec<Bytes>,
    trailers: http::HeaderMap,
}

async fn raw(
    service: &Service,
    method: &str,
    headers: &[(&'static str, &str)],
    request: &impl prost::Message,
) -> Raw {
    let message = request.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    let mut request = http::Request::post(format!("/parlance.v1.{method}"))
        .header("content-type", "application/grpc")
        .body(Body::new(http_body_util::Full::new(Bytes::from(frame))))
        .unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let reply = service.routes.clone().oneshot(request).await.unwrap();
    let headers = reply.headers().clone();
    let mut body = reply.into_body();
    let (mut frames, mut trailers) = (Vec::new(), http::HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame.unwrap().into_data() {
            Ok(data) => frames.push(data),
            Err(frame) => trailers = frame.into_trailers().unwrap(),
        }
    }
    Raw {
        headers,
        frames,
        trailers,
    }
}

#[tokio::test]
async fn a_replay_is_marked_in_its_trailers() {
    let service = service().await;
    let send = async || raw(&service, "MessageService/SendMessage", &[], &chat("r1")).await;
    let first = send().await;
    assert_eq!(first.trailers["grpc-status"], "0");
    assert!(!first.headers.contains_key("idempotent-replayed"));
    assert!(!first.trailers.contains_key("idempotent-replayed"));

    let again = send().await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.trailers["idempotent-replayed"], "true");
    assert_eq!(again.trailers["grpc-status"], "0");

    let other = v1::SendMessageRequest {
        body: "another".to_owned(),
        ..chat("r1")
    };
    let status = service.messages().send_message(other).await.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (status.code(), info.reason.as_str()),
        (Code::InvalidArgument, "REQUEST_ID_REUSED")
    );
}

#[tokio::test]
async fn an_uploaded_attachment_is_downloaded_unchanged() {
    const SIZE: usize = 700_000;
    let service = service().await;
    let content: Vec<u8> = (0..=255).cycle().take(SIZE).collect();
    let upload_id = service
        .messages()
        .upload_attachment(futures_util::stream::iter(chunks(&content)))
        .await
        .unwrap()
        .into_inner()
        .upload_id;
    let request = v1::SendMessageRequest {
        attachments: vec![v1::NewAttachment {
            upload_id,
            ..Default::default()
        }],
        ..chat("")
    };
    let message = service.messages().send_message(request).await.unwrap();
    let message = message.into_inner();
    let [attachment] = &message.attachments[..] else {
        panic!("{message:?}")
    };
    assert_eq!(
        (
            attachment.filename.as_str(),
            attachment.content_type.as_str()
        ),
        ("f.bin", "a/b")
    );
    let request = v1::GetAttachmentRequest {
        message_id: message.id.clone(),
        attachment_id: attachment.id.clone(),
    };
    let mut stream = service
        .messages()
        .get_attachment(request)
        .await
        .unwrap()
        .into_inner();
    let mut read = Vec::new();
    while let Some(chunk) = stream.message().await.unwrap() {
        read.extend_from_slice(&chunk.data);
    }
    assert!(read == content, "{} of {SIZE} bytes", read.len());
}

/// Chunks of an upload: the first has name and type, the last is smaller.
fn chunks(content: &[u8]) -> Vec<v1::UploadAttachmentRequest> {
    let data = content.chunks(64 * 1_024).map(Bytes::copy_from_slice);
    let mut chunks: Vec<_> = data
        .map(|data| v1::UploadAttachmentRequest {
            data,
            ..Default::default()
        })
        .collect();
    chunks[0].filename = "f.bin".to_owned();
    chunks[0].content_type = "a/b".to_owned();
    chunks
}

#[tokio::test]
async fn a_refused_upload_names_the_invalid_field() {
    let service = service().await;
    let head = v1::UploadAttachmentRequest {
        content_type: "a/b".to_owned(),
        ..Default::default()
    };
    let huge = vec![
        v1::UploadAttachmentRequest {
            data: Bytes::from(vec![0; 3 * 1_024 * 1_024]),
            ..Default::default()
        };
        9
    ];
    for (chunks, field) in [
        (vec![], "data"),
        (vec![head.clone()], "data"),
        (vec![v1::UploadAttachmentRequest::default()], "content_type"),
        (vec![head.clone(), head.clone()], "content_type"),
        ([vec![head], huge].concat(), "data"),
    ] {
        let stream = futures_util::stream::iter(chunks);
        let upload = service.messages().upload_attachment(stream).await;
        let status = upload.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, field);
    }
}

#[tokio::test]
async fn stored_events_are_watched_in_order() {
    let service = service().await;
    service.messages().send_message(chat("")).await.unwrap();
    let request = v1::WatchEventsRequest {
        cursor: "0".to_owned(),
        ..Default::default()
    };
    let mut events = EventServiceClient::new(service.routes.clone())
        .watch_events(request)
        .await
        .unwrap()
        .into_inner();
    let mut next = async || events.message().await.unwrap().unwrap();
    let (first, second) = (next().await, next().await);
    assert_eq!(first.r#type(), v1::EventType::ConversationCreated);
    assert_eq!(first.conversation.unwrap().external_id, "c1");
    assert_eq!(second.r#type(), v1::EventType::MessageCreated);
    assert_eq!(second.message.unwrap().body, "hello");
}

#[tokio::test]
async fn another_owner_finds_nothing() {
    let service = service().await;
    let made = service.messages().send_message(chat("")).await.unwrap();
    let id = made.into_inner().id;
    let of = |owner: &'static str| {
        let id = id.clone();
        let request = v1::GetMessageRequest {
            id,
            ..Default::default()
        };
        let mut request = tonic::Request::new(request);
        let owner = tonic::metadata::MetadataValue::from_static(owner);
        request.metadata_mut().insert("x-parlance-owner", owner);
        request
    };
    assert!(service.messages().get_message(of("default")).await.is_ok());
    let status = service.messages().get_message(of("acme")).await;
    assert_eq!(status.unwrap_err().code(), Code::NotFound);
    let status = service.messages().get_message(of("a b")).await;
    assert_eq!(status.unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn service_names_match_the_contract() {
    let contract = prost_types::FileDescriptorSet::decode(parlance_proto::FILE_DESCRIPTOR_SET);
    let mut declared: Vec<String> = contract
        .unwrap()
        .file
        .iter()
        .filter(|file| file.package() == "parlance.v1")
        .flat_map(|file| {
            file.service
                .iter()
                .map(|s| format!("parlance.v1.{}", s.name()))
        })
        .collect();
    declared.sort();
    assert_eq!(NAMES.to_vec(), declared);
}
