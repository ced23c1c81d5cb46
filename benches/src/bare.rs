//! Minimal tonic server: it returns the same message every time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use clap::ValueEnum;
use parlance_proto::v1;
use tokio::net::{TcpListener, TcpSocket};
use tonic::codegen::{Body, BoxFuture, Service, StdError, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::{child, message};

/// Runtime of the server's threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// One runtime over all cores: work moves to a free core
    MultiThread,
    /// One runtime per core, each with its own listener: a connection stays on its core
    PerCore,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long, value_enum)]
    runtime: Runtime,
}

/// Handler of `GetMessage`.
pub(crate) trait Answer: Send + Sync + 'static {
    fn get(&self, id: String) -> impl Future<Output = Result<v1::Message, Status>> + Send;
}

struct Fixed(v1::Message);

impl Answer for Fixed {
    async fn get(&self, _id: String) -> Result<v1::Message, Status> {
        Ok(self.0.clone())
    }
}

pub(crate) fn run(args: &Args) {
    child::end_with_parent();
    // Not a round number, because its timestamps would be shorter.
    let answer = Arc::new(Fixed(message::message(4_242)));
    match args.runtime {
        Runtime::MultiThread => multi_thread().block_on(async {
            let listener = listen(([127, 0, 0, 1], 0).into());
            child::announce(url(&listener));
            serve(listener, answer).await;
        }),
        Runtime::PerCore => per_core(&answer),
    }
}

pub(crate) fn multi_thread() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().expect("a runtime")
}

pub(crate) fn one_thread() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

fn per_core(answer: &Arc<Fixed>) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtimes: Vec<_> = (0..cores).map(|_| one_thread()).collect();
    let mut addr: SocketAddr = ([127, 0, 0, 1], 0).into();
    let mut listeners = Vec::new();
    for runtime in &runtimes {
        let _inside = runtime.enter();
        let listener = listen(addr);
        // The first listener chooses the port of all.
        addr = listener.local_addr().expect("a listener has an address");
        listeners.push(listener);
    }
    child::announce(url(&listeners[0]));
    std::thread::scope(|scope| {
        for (runtime, listener) in runtimes.into_iter().zip(listeners) {
            scope.spawn(move || runtime.block_on(serve(listener, Arc::clone(answer))));
        }
    });
}

/// With `SO_REUSEPORT` the kernel distributes connections over all listeners of the port.
pub(crate) fn listen(addr: SocketAddr) -> TcpListener {
    let listening = TcpSocket::new_v4().and_then(|socket| {
        socket.set_reuseport(true)?;
        socket.bind(addr)?;
        socket.listen(1024)
    });
    listening.unwrap_or_else(|e| panic!("cannot listen on {addr}: {e}"))
}

pub(crate) fn url(listener: &TcpListener) -> String {
    let addr = listener.local_addr().expect("a listener has an address");
    format!("http://{addr}")
}

pub(crate) async fn serve(listener: TcpListener, answer: Arc<impl Answer>) {
    // Without no-delay the kernel holds small responses back for up to 40 ms.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let mut server = tonic::transport::Server::builder();
    let served = server
        .add_service(GetMessage(answer))
        .serve_with_incoming(incoming);
    served.await.expect("the server runs until it is killed");
}

/// Equivalent of the code that tonic generates for a service, for one method only, so that the contract can grow
/// without changes here.
struct GetMessage<A>(Arc<A>);

impl<A> Clone for GetMessage<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A> NamedService for GetMessage<A> {
    const NAME: &'static str = "parlance.v1.MessageService";
}

impl<A, B> Service<http::Request<B>> for GetMessage<A>
where
    A: Answer,
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let method = self.clone();
        Box::pin(async move {
            if request.uri().path() != "/parlance.v1.MessageService/GetMessage" {
                return Ok(Status::unimplemented("only GetMessage").into_http());
            }
            let mut grpc = Grpc::new(ProstCodec::default());
            Ok(grpc.unary(method, request).await)
        })
    }
}

impl<A: Answer> UnaryService<v1::GetMessageRequest> for GetMessage<A> {
    type Response = v1::Message;
    type Future = BoxFuture<Response<v1::Message>, Status>;

    fn call(&mut self, request: Request<v1::GetMessageRequest>) -> Self::Future {
        let answer = Arc::clone(&self.0);
        Box::pin(async move {
            let message = answer.get(request.into_inner().id).await?;
            Ok(Response::new(message))
        })
    }
}
