//! Harness: a port on the loopback interface, a client of tonic, and a client that returns the whole response.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parlance_proto::v1;
use parlance_proto::v1::event_service_server::EventServiceServer;
use parlance_proto::v1::sender_service_client::SenderServiceClient;
use parlance_proto::v1::sender_service_server::SenderServiceServer;
use parlance_server::telemetry::metrics::Metrics;
use parlance_testkit::eventually;
use parlance_transport::layers::{
    Budget, Edge, Methods, Rpc, RpcMetrics, RpcState, UntilDrain, WebOrigins,
};
use parlance_transport::listen::{self, Age, OpenConnections, Options};
use parlance_transport::shutdown::{self, Trigger};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::Channel;

use crate::services::{HandlerControl, StubHandlers};

/// Timeout of every wait; longer than any step takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_mins(2);
/// Maximum size of one message in either direction.
pub(crate) const LIMIT: usize = 4 * 1024;
/// Budget of the bytes of all requests in memory.
pub(crate) const BUDGET: usize = 256 * 1024;
const NO_MAX_AGE: Duration = Duration::from_hours(1);

pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    pub(crate) control: Arc<HandlerControl>,
    pub(crate) trigger: Trigger,
    pub(crate) open: OpenConnections,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rpc: Rpc<Routes>,
    pub(crate) budget: Budget,
    pub(crate) served: JoinHandle<()>,
}

pub(crate) fn start() -> Port {
    start_with(NO_MAX_AGE, NO_MAX_AGE)
}

pub(crate) fn start_with(max: Duration, grace: Duration) -> Port {
    let socket = listen::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let address = socket.address().unwrap();
    let (trigger, shutdown) = shutdown::channel();
    let metrics = Arc::new(Metrics::new("test").unwrap());
    let counts = RpcMetrics::new(metrics.meter());
    let endless = [WATCH, REFLECTION];
    let contracts = [
        parlance_proto::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    ];
    let budget = Budget::new(BUDGET);
    let methods = Methods::new(&contracts, &endless, &counts).unwrap();
    let shared = RpcState::new(methods, counts, shutdown.clone(), budget.clone(), false);
    let control = Arc::new(HandlerControl::default());
    let handlers = StubHandlers(Arc::clone(&control));
    let senders = SenderServiceServer::new(handlers.clone())
        .max_decoding_message_size(LIMIT)
        .max_encoding_message_size(LIMIT);
    let reflection = tonic_reflection::server::Builder::configure()
        .build_v1()
        .unwrap();
    let routes = Routes::new(senders)
        .add_service(UntilDrain::new(reflection, shutdown.clone()))
        .add_service(EventServiceServer::new(handlers))
        .prepare();
    let edge = Edge::new(routes, shared, WebOrigins::Loopback);
    let rpc = edge.rpc();
    let open = OpenConnections::default();
    let age = Age {
        max,
        grace,
        random: || 0.5,
    };
    let options = Options::grpc(256, age, open.clone());
    let served = tokio::spawn(listen::serve(
        socket.listen().unwrap(),
        edge,
        options,
        shutdown,
    ));
    Port {
        address,
        control,
        trigger,
        open,
        metrics,
        rpc,
        budget,
        served,
    }
}

impl Port {
    pub(crate) async fn client(&self) -> SenderServiceClient<Channel> {
        SenderServiceClient::connect(format!("http://{}", self.address))
            .await
            .unwrap()
    }

    pub(crate) async fn until_handlers_wait(&self, count: u32) {
        eventually(SOON, async || {
            (self.control.waiting.load(Ordering::SeqCst) >= count).then_some(())
        })
        .await;
    }

    pub(crate) async fn until_connections_are(&self, count: i64) {
        eventually(SOON, async || (self.open.count() == count).then_some(())).await;
    }

    pub(crate) async fn until_served(&mut self) {
        tokio::time::timeout(SOON, &mut self.served)
            .await
            .unwrap()
            .unwrap();
    }

    /// Waits until the metrics contain this line.
    pub(crate) async fn until_counted(&self, line: &str) {
        eventually(SOON, async || {
            let text = self.metrics.text().unwrap();
            text.lines().any(|found| found == line).then_some(())
        })
        .await;
    }

    /// Makes one call and returns the whole response, errors included.
    pub(crate) async fn raw(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> RawResponse {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let mut request = Request::post(format!("http://{}{path}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).unwrap();
        RawResponse::read(sender.send_request(request).await.unwrap()).await
    }
}

/// Whole response.
#[derive(Debug)]
pub(crate) struct RawResponse {
    pub(crate) code: http::StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl RawResponse {
    pub(crate) async fn read(response: Response<hyper::body::Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned();
        Self {
            code: head.status,
            headers: head.headers,
            body: body.to_bytes(),
            trailers,
        }
    }

    /// Status of a reply that consists of headers alone.
    pub(crate) fn trailers_only(&self) -> Status {
        assert_eq!((self.body.len(), &self.trailers), (0, &None));
        Status::from_header_map(&self.headers).expect("a status in the head")
    }

    /// Status in the trailers.
    pub(crate) fn trailing(&self) -> Status {
        assert!(!self.headers.contains_key("grpc-status"));
        Status::from_header_map(self.trailers.as_ref().expect("trailers")).expect("a status")
    }
}

/// Message with its head, as in a request body.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(encoded.len().try_into().unwrap());
    frame.put_slice(&encoded);
    frame.freeze()
}

pub(crate) fn get(id: &str) -> v1::GetSenderRequest {
    v1::GetSenderRequest { id: id.to_owned() }
}

pub(crate) const GET: &str = "/parlance.v1.SenderService/GetSender";
pub(crate) const WATCH: &str = "/parlance.v1.EventService/WatchEvents";
/// A method with a client stream.
pub(crate) const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
