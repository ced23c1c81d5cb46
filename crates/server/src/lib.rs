//! The gRPC and HTTP service: configuration, telemetry, wiring, and the conversion of requests to use cases and of results to
//! replies. Ports, limits and deadlines are those of [`parlance_transport`].
//!
//! Invariants:
//! * A handler extracts the owner, converts the request, makes one call of the app and converts the result. What applies to
//!   every call is in [`parlance_transport::layers`].
//! * Only [`wiring`] names concrete implementations; only [`config`] knows the names of settings.
//! * The program reads the environment; this crate does not.
//!
//! To add a setting, see [`config`]. To add a service, write its handlers and register it in [`services`].

mod body_limits;
pub mod config;
mod convert;
pub mod http;
pub mod services;
pub mod simulate;
mod status;
pub mod telemetry;
pub mod webhooks;
pub mod wiring;

/// Shutdown of the process, for the program.
pub use parlance_transport::drain;
