//! Two servers for tests: the whole service, and the stub handlers behind the JSON port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::Method;
use hyper_util::service::TowerToHyperService;
use parlance_app::delivery::ProviderRegistry;
use parlance_server::config::Settings;
use parlance_server::http::json::{Calls, Json, Limits};
use parlance_server::http::{Parts, router};
use parlance_server::webhooks::{self, Webhooks};
use parlance_server::wiring::{self, Running};
use parlance_testkit::SqliteFile;
use parlance_transport::layers::WebOrigins;
use parlance_transport::listen::{self, OpenConnections, Options};
use parlance_transport::readiness::Readiness;
use parlance_transport::shutdown::{self, Trigger};
use serde_json::Value;

use super::{JSON, JsonResponse, ask};
use crate::harness::{LIMIT, Port, start};

/// Whole service over a database of its own.
pub(crate) struct TestServer {
    pub(crate) http: SocketAddr,
    pub(crate) running: Running,
    _file: SqliteFile,
}

impl TestServer {
    pub(crate) async fn open() -> Self {
        Self::open_with(&[]).await
    }

    pub(crate) async fn open_with(settings: &[(&str, &str)]) -> Self {
        let file = SqliteFile::new();
        let url = file.url();
        let own = [
            ("DATABASE_URL", url.as_str()),
            ("GRPC_LISTEN", "127.0.0.1:0"),
            ("HTTP_LISTEN", "127.0.0.1:0"),
        ];
        let all = own.iter().chain(settings);
        let all = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings::load(all, None).unwrap();
        let running = wiring::start(&settings).await.unwrap();
        Self {
            http: running.http,
            running,
            _file: file,
        }
    }

    /// Makes a call as `curl --json` does.
    pub(crate) async fn call(&self, method: &str, body: &Value) -> JsonResponse {
        self.call_with(method, &[JSON], body).await
    }

    pub(crate) async fn call_with(
        &self,
        method: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> JsonResponse {
        let path = format!("/parlance.v1.{method}");
        ask(self.http, Method::POST, &path, headers, body.to_string()).await
    }
}

/// JSON port in front of the stub handlers of the gRPC tests.
pub(crate) struct StubServer {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: Port,
    pub(crate) calls: Calls,
    _trigger: Trigger,
}

impl StubServer {
    pub(crate) fn start() -> Self {
        Self::start_with(Limits::of(LIMIT))
    }

    /// Starts a server with short timeouts for a slow body.
    pub(crate) fn with_short_timeouts() -> Self {
        Self::start_with(Limits {
            pause: Duration::from_millis(300),
            whole: Duration::from_millis(900),
            ..Limits::of(LIMIT)
        })
    }

    pub(crate) fn start_with(limits: Limits) -> Self {
        let port = start();
        let contracts = [parlance_proto::FILE_DESCRIPTOR_SET];
        let json = Json::new(port.rpc.clone(), &contracts, WebOrigins::Loopback, limits).unwrap();
        let calls = json.calls();
        let (trigger, shutdown) = shutdown::channel();
        let probe = Box::new(|| async { Ok(()) }.boxed());
        let parts = Parts {
            readiness: Arc::new(Readiness::new(probe, shutdown.clone())),
            metrics: Arc::clone(&port.metrics),
            json,
            real_providers: Vec::new(),
        };
        let webhooks = Webhooks::new(port.rpc.clone(), calls.clone(), ProviderRegistry::default());
        let socket = listen::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let http = socket.address().unwrap();
        tokio::spawn(listen::serve(
            socket.listen().unwrap(),
            TowerToHyperService::new(router(parts, webhooks::routes(webhooks))),
            Options::http(OpenConnections::default()),
            shutdown,
        ));
        Self {
            http,
            grpc: port,
            calls,
            _trigger: trigger,
        }
    }

    /// Calls the method that has a stub handler.
    pub(crate) async fn get(&self, headers: &[(&str, &str)], id: &str) -> JsonResponse {
        let body = serde_json::json!({ "id": id }).to_string();
        ask(self.http, Method::POST, crate::harness::GET, headers, body).await
    }
}
