//! `SimulatorService`, one module per RPC.

mod list_sent;
mod reply_as;
