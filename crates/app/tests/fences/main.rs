//! Which keys each use case fences, and that a repeated one fences them again. An instance that nobody knows of yet cannot
//! fence: it writes the keys down in the transaction of the write, and there they are seen.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in helpers too"
)]

mod repeated;
mod support;
mod written;
