//! The transport of calls: accept loop and HTTP/2 limits, the layers around every call, readiness and shutdown.
//!
//! It knows neither entities nor settings: what it needs is an argument of its constructors, and the server's wiring passes
//! the values of the settings.
//!
//! Invariants:
//! * The resources that a client can make the service hold are bounded: connections, streams, bytes, time.
//! * Every call is recorded exactly once in metrics, trace and log; see [`layers`].
//! * A shutdown loses no call that ends within the timeout of the [`drain`], and takes no longer than that.

pub mod drain;
pub mod layers;
pub mod listen;
pub mod readiness;
pub mod shutdown;
