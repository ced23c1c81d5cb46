//! `SimulatorService`, one module per RPC.

mod list_sent;
mod replay_webhook;
mod reply_as;
mod set_script;
