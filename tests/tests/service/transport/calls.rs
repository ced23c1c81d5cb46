//! Sizes, deadlines, compression, and what is no call at all.

use std::time::Duration;

use bytes::Bytes;
use parlance_proto::v1;
use parlance_proto::v1::message_service_client::MessageServiceClient;
use parlance_tests::make::{self, chat, file, head, piece};
use parlance_tests::raw::{self, framed, grpc};
use parlance_tests::{Caller, Refusal};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Code, Request};

const SEND: &str = "/parlance.v1.MessageService/SendMessage";

on_both! {
    async fn a_request_over_4_mib(t: Caller) {
        let mib = 1024 * 1024;
        let with = |length: usize| v1::SendMessageRequest {
            attachments: vec![file("a", "text/plain", vec![b'x'; length])],
            ..chat("", "")
        };
        let refusal = t.refused(with(4 * mib)).await;
        assert_eq!(refusal.why(), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
        assert_eq!((refusal.retry_after, refusal.pushback), (None, None), "an equal request gets an equal answer");
        t.ok(with(4 * mib - 1_000)).await;

        // Each piece of a stream is a message of its own.
        let refusal = Refusal::of(&t.upload(vec![head("a", "text/plain", "x"), piece(vec![b'x'; 4 * mib])]).await.unwrap_err());
        assert_eq!(refusal.why(), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    }

    async fn a_request_that_is_large_only_when_unpacked(t: Caller) {
        let mut client = MessageServiceClient::with_interceptor(t.channel(), t.who()).send_compressed(Gzip);
        let request = v1::SendMessageRequest {
            attachments: vec![file("a", "text/plain", vec![b'x'; 8 * 1024 * 1024])],
            ..chat("", "")
        };
        let refusal = Refusal::of(&client.send_message(request).await.unwrap_err());
        assert_eq!(refusal.why(), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
    }

    async fn gzip_both_ways(t: Caller) {
        let mut client = MessageServiceClient::with_interceptor(t.channel(), t.who())
            .send_compressed(Gzip)
            .accept_compressed(Gzip);
        let request = chat("", &"compressible ".repeat(5_000));
        let sent = client.send_message(request.clone()).await.unwrap().into_inner();
        assert_eq!(sent.body, request.body);

        let owner = ("x-parlance-owner", t.owner());
        let get = framed(&make::get_message(&sent.id));
        let path = "/parlance.v1.MessageService/GetMessage";
        let packed = grpc(t.grpc_address(), path, &[owner, ("grpc-accept-encoding", "gzip")], get.clone()).await;
        assert_eq!(packed.headers["grpc-encoding"], "gzip");
        assert!(packed.body.len() < 5_000, "{}", packed.body.len());
        let plain = grpc(t.grpc_address(), path, &[owner], get).await;
        assert!(plain.body.len() > 60_000, "nobody gets gzip who did not ask for it");
    }

    async fn a_deadline_that_has_passed(t: Caller) {
        for timeout in ["0S", "1n"] {
            let request = framed(&chat("", "hi"));
            let owner = ("x-parlance-owner", t.owner());
            let answer = grpc(t.grpc_address(), SEND, &[owner, ("grpc-timeout", timeout)], request).await;
            assert_eq!(Refusal::of(&answer.status()).why(), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
        }
        let all = t.ok(v1::ListConversationsRequest { with_total: true, ..Default::default() }).await;
        assert_eq!(all.total_size, 0, "nothing was done");
        let mut patient = Request::new(chat("", "hi"));
        patient.set_timeout(Duration::from_secs(30));
        t.ask_with(patient).await.unwrap();
    }

    async fn a_stream_ends_with_its_deadline(t: Caller) {
        let watch = framed(&v1::WatchEventsRequest::default());
        let path = "/parlance.v1.EventService/WatchEvents";
        let answer = grpc(t.grpc_address(), path, &[("grpc-timeout", "200m")], watch).await;
        assert_eq!(Refusal::of(&answer.status()).why(), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    }

    async fn what_is_malformed(t: Caller) {
        let whole = framed(&chat("", "hi"));
        let not_utf8 = Bytes::from_static(&[0, 0, 0, 0, 4, 0x0a, 2, 0xff, 0xfe]);
        let not_protobuf = Bytes::from_static(&[0, 0, 0, 0, 3, 0xff, 0xff, 0xff]);
        let packed_by_nobody = Bytes::from_static(&[1, 0, 0, 0, 1, 0]);
        let two = [whole.clone(), whole.clone()].concat().into();
        for body in [Bytes::new(), whole.slice(..6), not_utf8, not_protobuf, packed_by_nobody] {
            let answer = grpc(t.grpc_address(), SEND, &[], body.clone()).await;
            let refusal = Refusal::of(&answer.status());
            assert_eq!(refusal.why(), (Code::InvalidArgument, "MALFORMED_REQUEST"), "{body:?}");
        }
        let answer = grpc(t.grpc_address(), SEND, &[("x-parlance-owner", t.owner())], two).await;
        assert_ne!(answer.status().code(), Code::Internal);
        let answer = grpc(t.grpc_address(), SEND, &[("grpc-timeout", "soon")], whole.clone()).await;
        assert_eq!(Refusal::of(&answer.status()).why(), (Code::InvalidArgument, "MALFORMED_REQUEST"));
        let answer = grpc(t.grpc_address(), SEND, &[("grpc-encoding", "lzma")], whole).await;
        assert_eq!(answer.status().code(), Code::Unimplemented, "what gRPC says of an encoding that is not known");
    }

    async fn what_is_no_method(t: Caller) {
        for path in ["/parlance.v1.MessageService/Nothing", "/parlance.v2.MessageService/SendMessage", "/made.Up/Name", "/", "/%00"] {
            let answer = grpc(t.grpc_address(), path, &[], framed(&chat("", "hi"))).await;
            let refusal = Refusal::of(&answer.status());
            assert_eq!(refusal.why(), (Code::Unimplemented, "UNKNOWN_METHOD"), "{path}");
        }
    }

    /// A field of a later version does not stop an older service.
    async fn unknown_fields_are_passed_over(t: Caller) {
        let mut request = framed(&chat("", "hi")).to_vec();
        let field = [0xfa, 0x7f, 3, b'n', b'e', b'w'];
        request.extend(field);
        let length = u32::try_from(request.len() - 5).unwrap();
        request[1..5].copy_from_slice(&length.to_be_bytes());
        let answer = grpc(t.grpc_address(), SEND, &[("x-parlance-owner", t.owner())], request.into()).await;
        assert_eq!(answer.status().code(), Code::Ok);
    }

    /// Nothing of one connection's misbehaviour reaches another.
    async fn giant_headers_hurt_only_their_sender(t: Caller) {
        for length in [10_000, 20_000, 100_000] {
            let value = "x".repeat(length);
            let (address, owner) = (t.grpc_address().to_owned(), t.owner().to_owned());
            // It may end the connection, which is no answer.
            let giant = tokio::spawn(async move {
                let headers = [("x-parlance-owner", owner.as_str()), ("x-giant", value.as_str())];
                grpc(&address, SEND, &headers, framed(&chat("", "hi"))).await
            });
            if let Ok(answer) = giant.await {
                let refused = answer.code == ::http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                assert!(refused || answer.status().code() == Code::Ok, "{answer:?}");
            }
            t.ok(chat("", "still there")).await;
        }
    }

    /// Errors travel as headers: however many fields are wrong, the answer arrives.
    async fn a_thousand_violations_fit_their_answer(t: Caller) {
        let ids: Vec<String> = (0..100).map(|n| format!("not an id {n}")).collect();
        let refusal = t.refused(v1::BatchGetMessagesRequest { ids }).await;
        assert_eq!(refusal.why(), (Code::InvalidArgument, "INVALID_REQUEST"));
        assert!(refusal.descriptions.last().unwrap().contains("more fields are wrong"), "{refusal:?}");
        let cc_addresses = vec!["x".repeat(5_000); 100];
        let refusal = t.refused(v1::SendMessageRequest { cc_addresses, ..make::mail(&make::mail_addresses(), "hi") }).await;
        assert_eq!(refusal.why(), (Code::InvalidArgument, "INVALID_REQUEST"));
        let bad_attachments = vec![v1::NewAttachment { filename: "\n".repeat(100_000), ..Default::default() }; 30];
        let refusal = t.refused(v1::SendMessageRequest { attachments: bad_attachments, ..chat("", "hi") }).await;
        assert_eq!(refusal.why(), (Code::InvalidArgument, "INVALID_REQUEST"));
    }

    async fn what_is_no_grpc_is_told_where_it_is(t: Caller) {
        let url = format!("http://{}/", t.grpc_address());
        let answer = raw::get(&url).await;
        assert_eq!(answer.code, ::http::StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert!(answer.text().contains("gRPC"));
    }
}
