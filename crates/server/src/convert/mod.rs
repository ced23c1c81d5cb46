//! Between the contract and the domain, by free functions that take every message and every struct apart field by field: a
//! new field breaks the build until it is handled.
//!
//! Reading collects everything that is wrong with a request before it gives up, so that a caller corrects all of it at once.
//! What is already a rule of the domain (what a message may say on which channel, what an address is) is asked there and
//! not said again.
//!
//! To add a request: one function in the file of its entity, which takes the request apart, notes what is wrong in
//! [`fields::Found`] and ends with `finish`.

pub(crate) mod cache;
pub(crate) mod conversation;
mod enums;
pub(crate) mod event;
pub(crate) mod fields;
mod limits;
mod mask;
pub(crate) mod message;
mod metadata;
mod page;
mod request_id;
pub(crate) mod sender;
pub(crate) mod simulator;
pub(crate) mod stats;
mod time;

#[cfg(test)]
mod testing;

use parlance_app::cache::Encoders;

/// How answers are written for clients: as the app keeps them near.
pub(crate) const ENCODERS: Encoders = Encoders {
    message: message::encode,
    conversation: conversation::encode,
    list: conversation::encode_list,
    stats: stats::encode,
    search: message::encode_search,
};
