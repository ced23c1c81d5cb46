//! The provider seam, proven by a second provider: one folder, `example`, and one line of registration. Messages are sent
//! through it, and it reports and delivers by webhooks, over sockets. And Twilio, against a server that speaks its API.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by a panic, also in shared helpers"
)]

mod example;
mod sending;
mod service;
mod twilio;
mod webhooks;

use parlance_server::wiring::Registration;

/// The registration of the provider.
const EXAMPLE: Registration = |_, context| Some(example::provider(context));
