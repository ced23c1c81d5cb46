//! The service as its clients meet it: ports, limits, deadlines, configuration, telemetry, and the way from a request to a
//! use case and back.
//!
//! Invariants:
//! * A handler is: who, from proto, one call of the app, to proto. What holds for every call stands in [`layers`].
//! * Only [`wiring`] names concrete things; only [`config`] knows the names of settings.
//! * The environment is read by the program, not here.
//! * A stop loses no call that ends in time, and takes no longer than it is allowed.
//!
//! To add a setting: see [`config`]. To add a service: its handlers, and its line in [`wiring`].

pub mod config;
mod convert;
pub mod drain;
pub mod http;
pub mod layers;
pub mod listen;
pub mod readiness;
pub mod services;
pub mod shutdown;
mod status;
pub mod telemetry;
pub mod wiring;
