//! The protocols of the cache as small models, searched exhaustively: the rules must break no promise in any order of steps
//! and faults, and each rule that is left out must break the promise that it is there for.
//!
//! The bounds are small (one key, two or three writers, two instances), so this is a proof within them only. The largest rows
//! are searched by `make torture`.

mod fence;
mod generation;
mod list;
mod memory;
mod reconcile;
mod register;
mod search;
