//! Behaviour that is the same for every call: limits, health, reflection, HTTP, gRPC-Web.

mod cached;
mod calls;
mod health;
mod http;
mod reflection;
mod web;
