//! Server reflection, in both versions of the protocol.

use parlance_tests::Caller;
use tonic::{Code, Status};

const OURS: [&str; 5] = [
    "grpc.health.v1.Health",
    "parlance.v1.ConversationService",
    "parlance.v1.EventService",
    "parlance.v1.MessageService",
    "parlance.v1.SenderService",
];

macro_rules! version {
    ($version:ident) => {
        mod $version {
            use tonic_reflection::pb::$version::ServerReflectionRequest;
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;

            use super::*;

            async fn reflect(t: &Caller, request: MessageRequest) -> Result<MessageResponse, Status> {
                let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
                let mut client = ServerReflectionClient::new(t.channel());
                let mut replies = client.server_reflection_info(tokio_stream::iter([request])).await?.into_inner();
                Ok(replies.message().await?.unwrap().message_response.unwrap())
            }

            on_both! {
                async fn every_service_is_listed_and_described(t: Caller) {
                    let MessageResponse::ListServicesResponse(list) = reflect(&t, MessageRequest::ListServices(String::new())).await.unwrap() else {
                        panic!("no list");
                    };
                    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
                    for name in OURS {
                        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
                        let request = MessageRequest::FileContainingSymbol(name.to_owned());
                        let MessageResponse::FileDescriptorResponse(files) = reflect(&t, request).await.unwrap() else {
                            panic!("no description of {name}");
                        };
                        assert!(!files.file_descriptor_proto.is_empty());
                    }
                    let unknown = reflect(&t, MessageRequest::FileContainingSymbol("parlance.v1.Nothing".to_owned())).await;
                    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
                }
            }
        }
    };
}

version!(v1);
version!(v1alpha);
