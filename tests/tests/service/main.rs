//! Tests of the service as its clients use it: over sockets, through the generated clients, on both databases.
//!
//! One module per service and RPC. `bad_input` has tables of invalid requests, `transport` what is the same for every
//! call.

#[macro_use]
extern crate parlance_tests;

mod bad_input;
mod cache_service;
mod conversation_service;
mod event_service;
mod message_service;
mod sender_service;
mod simulator_service;
mod transport;
