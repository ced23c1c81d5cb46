//! Layers between a connection and a handler: dispatch by protocol, deadline, request budget, records, allowed origins.
//!
//! ```text
//! connection ─▶ Edge ─┬─ gRPC ──────────────▶ Rpc ─▶ routes
//!                     └─ gRPC-Web ─ CORS ───▶ Rpc ─▶ routes
//! JSON over HTTP ─────────────── CORS ───▶ Rpc ─▶ routes
//! ```
//!
//! Invariants:
//! * A call is recorded and logged exactly once, with the code that its client sees.
//! * A call that ends early drops its handler at once.
//! * A panic ends its call, not the process.
//! * Bytes of requests that are in memory never exceed the [`Budget`].
//! * Labels come from the contract, never from a request.

mod budget;
mod call;
pub mod cause;
mod deadline;
mod edge;
pub mod faults;
mod metered;
mod methods;
mod metrics;
pub mod origin;
mod recorded_body;
mod rewrite;
mod rpc;
mod trace;
mod until_drain;
mod web;

pub use budget::{Budget, RequestBytes};
pub use call::RpcState;
pub use edge::Edge;
pub use methods::{MethodKind, Methods};
pub use metrics::RpcMetrics;
pub use origin::WebOrigins;
pub use recorded_body::RecordedBody;
pub use rpc::Rpc;
pub use until_drain::UntilDrain;
