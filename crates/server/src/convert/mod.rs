//! Conversion between the protobuf contract and the domain. Free functions destructure every message and every struct
//! field by field, so that a new field breaks the build until it is handled.
//!
//! Reading collects all violations of a request before it fails, so that a caller can correct all of them at once.
//! Rules of the domain (the allowed content per channel, the syntax of an address) are checked by the domain and not
//! repeated here.
//!
//! To add a request: one function in the file of its entity, which destructures the request, records what is invalid in
//! [`fields::Violations`] and ends with `finish`.

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
pub(crate) mod time;

#[cfg(test)]
mod testing;

use parlance_app::cache::Encoders;

/// Encoders of replies, in the form in which the in-process cache stores them.
pub(crate) const ENCODERS: Encoders = Encoders {
    message: message::encode,
    conversation: conversation::encode,
    list: conversation::encode_list,
    stats: stats::encode,
    search: message::encode_search,
};
