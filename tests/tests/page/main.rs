//! The page in a real browser: what somebody who has nothing else can do with it.

mod devtools;
mod flow;
mod picture;
mod tab;
