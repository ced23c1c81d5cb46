//! The protocols of the cache as small models, searched exhaustively: the rules must keep every promise in any order of
//! steps and faults, and without any one rule the promise that it guards must break.
//!
//! The bounds are small (one key, two or three writers, two instances), so this is a proof only within them. The
//! largest models are searched by `make torture`.

mod fence;
mod generation;
mod list;
mod memory;
mod reconcile;
mod register;
mod search;
