//! What is the same for every call, and what is beside the calls.

mod cached;
mod calls;
mod health;
mod http;
mod reflection;
mod web;
