//! Sizes, deadlines, compression, and malformed calls.

use std::time::Duration;

use bytes::Bytes;
use parlance_proto::v1;
use parlance_proto::v1::message_service_client::MessageServiceClient;
use parlance_tests::make::{self, chat, chunk, file, first_chunk};
use parlance_tests::raw::{self, framed, grpc};
use parlance_tests::{Caller, Refusal};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Code, Request};

const SEND: &str = "/parlance.v1.MessageService/SendMessage";

on_both! {
    async fn requests_are_limited_to_4_mib(t: Caller) {
        let mib = 1024 * 1024;
        let with = |length: usize| v1::SendMessageRequest {
            attachments: vec![file("a", "text/plain", vec![b'x'; length])],
            ..chat("", "")
        };
        let refusal = t.refused(with(4 * mib)).await;
        assert_eq!(refusal.code_and_reason(), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
        assert_eq!((refusal.retry_after, refusal.pushback), (None, None), "a retry would fail the same way");
        t.ok(with(4 * mib - 1_000)).await;

        // Each chunk of a stream is a message of its own.
        let refusal = Refusal::of(&t.upload(vec![first_chunk("a", "text/plain", "x"), chunk(vec![b'x'; 4 * mib])]).await.unwrap_err());
        assert_eq!(refusal.code_and_reason(), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    }

    async fn the_size_limit_counts_decompressed_bytes(t: Caller) {
        let mut client = MessageServiceClient::with_interceptor(t.channel(), t.owner_header()).send_compressed(Gzip);
        let request = v1::SendMessageRequest {
            attachments: vec![file("a", "text/plain", vec![b'x'; 8 * 1024 * 1024])],
            ..chat("", "")
        };
        let refusal = Refusal::of(&client.send_message(request).await.unwrap_err());
        assert_eq!(refusal.code_and_reason(), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    }

    async fn requests_and_responses_may_be_compressed(t: Caller) {
        let mut client = MessageServiceClient::with_interceptor(t.channel(), t.owner_header())
            .send_compressed(Gzip)
            .accept_compressed(Gzip);
        let request = chat("", &"compressible ".repeat(5_000));
        let sent = client.send_message(request.clone()).await.unwrap().into_inner();
        assert_eq!(sent.body, request.body);

        let owner = ("x-parlance-owner", t.owner());
        let get = framed(&make::get_message(&sent.id));
        let path = "/parlance.v1.MessageService/GetMessage";
        let compressed = grpc(t.grpc_address(), path, &[owner, ("grpc-accept-encoding", "gzip")], get.clone()).await;
        assert_eq!(compressed.headers["grpc-encoding"], "gzip");
        assert!(compressed.body.len() < 5_000, "{}", compressed.body.len());
        let plain = grpc(t.grpc_address(), path, &[owner], get).await;
        assert!(plain.body.len() > 60_000, "a response is compressed only if the client accepts it");
    }

    async fn a_passed_deadline_fails_the_call(t: Caller) {
        for timeout in ["0S", "1n"] {
            let request = framed(&chat("", "hi"));
            let owner = ("x-parlance-owner", t.owner());
            let answer = grpc(t.grpc_address(), SEND, &[owner, ("grpc-timeout", timeout)], request).await;
            assert_eq!(Refusal::of(&answer.status()).code_and_reason(), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
        }
        let all = t.ok(v1::ListConversationsRequest { with_total: true, ..Default::default() }).await;
        assert_eq!(all.total_size, 0, "no message was sent");
        let mut patient = Request::new(chat("", "hi"));
        patient.set_timeout(Duration::from_secs(30));
        t.call_with(patient).await.unwrap();
    }

    async fn a_stream_ends_with_its_deadline(t: Caller) {
        let watch = framed(&v1::WatchEventsRequest::default());
        let path = "/parlance.v1.EventService/WatchEvents";
        let answer = grpc(t.grpc_address(), path, &[("grpc-timeout", "200m")], watch).await;
        assert_eq!(Refusal::of(&answer.status()).code_and_reason(), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    }

    async fn malformed_requests_are_rejected(t: Caller) {
        let whole = framed(&chat("", "hi"));
        let not_utf8 = Bytes::from_static(&[0, 0, 0, 0, 4, 0x0a, 2, 0xff, 0xfe]);
        let not_protobuf = Bytes::from_static(&[0, 0, 0, 0, 3, 0xff, 0xff, 0xff]);
        let compressed_without_encoding = Bytes::from_static(&[1, 0, 0, 0, 1, 0]);
        let two = [whole.clone(), whole.clone()].concat().into();
        for body in [Bytes::new(), whole.slice(..6), not_utf8, not_protobuf, compressed_without_encoding] {
            let answer = grpc(t.grpc_address(), SEND, &[], body.clone()).await;
            let refusal = Refusal::of(&answer.status());
            assert_eq!(refusal.code_and_reason(), (Code::InvalidArgument, "MALFORMED_REQUEST"), "{body:?}");
        }
        let answer = grpc(t.grpc_address(), SEND, &[("x-parlance-owner", t.owner())], two).await;
        assert_ne!(answer.status().code(), Code::Internal);
        let answer = grpc(t.grpc_address(), SEND, &[("grpc-timeout", "soon")], whole.clone()).await;
        assert_eq!(Refusal::of(&answer.status()).code_and_reason(), (Code::InvalidArgument, "MALFORMED_REQUEST"));
        let answer = grpc(t.grpc_address(), SEND, &[("grpc-encoding", "lzma")], whole).await;
        assert_eq!(answer.status().code(), Code::Unimplemented, "the status that gRPC defines for an unknown encoding");
    }

    async fn unknown_methods_are_unimplemented(t: Caller) {
        for path in ["/parlance.v1.MessageService/Nothing", "/parlance.v2.MessageService/SendMessage", "/made.Up/Name", "/", "/%00"] {
            let answer = grpc(t.grpc_address(), path, &[], framed(&chat("", "hi"))).await;
            let refusal = Refusal::of(&answer.status());
            assert_eq!(refusal.code_and_reason(), (Code::Unimplemented, "UNKNOWN_METHOD"), "{path}");
        }
    }

    /// A field of a later version does not stop an older service.
    async fn unknown_fields_are_ignored(t: Caller) {
        let mut request = framed(&chat("", "hi")).to_vec();
        let field = [0xfa, 0x7f, 3, b'n', b'e', b'w'];
        request.extend(field);
        let length = u32::try_from(request.len() - 5).unwrap();
        request[1..5].copy_from_slice(&length.to_be_bytes());
        let answer = grpc(t.grpc_address(), SEND, &[("x-parlance-owner", t.owner())], request.into()).await;
        assert_eq!(answer.status().code(), Code::Ok);
    }

    /// Misbehaviour on one connection does not affect another.
    async fn giant_headers_affect_only_their_connection(t: Caller) {
        for length in [10_000, 20_000, 100_000] {
            let value = "x".repeat(length);
            let (address, owner) = (t.grpc_address().to_owned(), t.owner().to_owned());
            // The service may close the connection, which is no response.
            let giant = tokio::spawn(async move {
                let headers = [("x-parlance-owner", owner.as_str()), ("x-giant", value.as_str())];
                grpc(&address, SEND, &headers, framed(&chat("", "hi"))).await
            });
            if let Ok(answer) = giant.await {
                let refused = answer.code == ::http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                assert!(refused || answer.status().code() == Code::Ok, "{answer:?}");
            }
            t.ok(chat("", "still served")).await;
        }
    }

    /// Errors are sent as headers: however many fields are invalid, the response fits.
    async fn the_size_of_an_error_is_limited(t: Caller) {
        let ids: Vec<String> = (0..100).map(|n| format!("not an id {n}")).collect();
        let refusal = t.refused(v1::BatchGetMessagesRequest { ids }).await;
        assert_eq!(refusal.code_and_reason(), (Code::InvalidArgument, "INVALID_REQUEST"));
        assert!(refusal.descriptions.last().unwrap().contains("more fields are invalid"), "{refusal:?}");
        let cc_addresses = vec!["x".repeat(5_000); 100];
        let refusal = t.refused(v1::SendMessageRequest { cc_addresses, ..make::mail(&make::mail_addresses(), "hi") }).await;
        assert_eq!(refusal.code_and_reason(), (Code::InvalidArgument, "INVALID_REQUEST"));
        let bad_attachments = vec![v1::NewAttachment { filename: "\n".repeat(100_000), ..Default::default() }; 30];
        let refusal = t.refused(v1::SendMessageRequest { attachments: bad_attachments, ..chat("", "hi") }).await;
        assert_eq!(refusal.code_and_reason(), (Code::InvalidArgument, "INVALID_REQUEST"));
    }

    async fn requests_without_grpc_get_a_hint(t: Caller) {
        let url = format!("http://{}/", t.grpc_address());
        let answer = raw::get(&url).await;
        assert_eq!(answer.code, ::http::StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert!(answer.text().contains("gRPC"));
    }
}
