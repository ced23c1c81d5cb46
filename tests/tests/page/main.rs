//! The page in a real browser, used as a visitor would.

mod devtools;
mod flow;
mod picture;
mod tab;
