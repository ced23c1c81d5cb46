//! The gRPC and HTTP service: ports, limits, deadlines, configuration, telemetry, and the conversion of requests to use cases
//! and of results to replies.
//!
//! Invariants:
//! * A handler extracts the owner, converts the request, makes one call of the app and converts the result. What applies to
//!   every call is in [`layers`].
//! * Only [`wiring`] names concrete implementations; only [`config`] knows the names of settings.
//! * The program reads the environment; this crate does not.
//! * A shutdown loses no call that ends within `DRAIN_TIMEOUT`, and takes no longer than that.
//!
//! To add a setting, see [`config`]. To add a service, write its handlers and register it in [`services`].

pub mod config;
mod convert;
pub mod drain;
pub mod http;
pub mod layers;
pub mod listen;
mod lock;
pub mod readiness;
pub mod services;
pub mod shutdown;
mod status;
pub mod telemetry;
pub mod wiring;
