//! How much is tested, and with what chance.

use crate::ports::random;

/// Whether `PARLANCE_TORTURE` asks for everything, however long it takes: `make torture` sets it.
pub fn torture() -> bool {
    std::env::var_os("PARLANCE_TORTURE").is_some_and(|value| !value.is_empty() && value != "0")
}

/// What a test's random choices begin with: that of `PARLANCE_SEED`, or another each time. Print it.
pub fn seed() -> u64 {
    let given = std::env::var("PARLANCE_SEED")
        .ok()
        .filter(|seed| !seed.is_empty());
    given.map_or_else(random, |seed| {
        seed.parse()
            .unwrap_or_else(|error| panic!("PARLANCE_SEED is {seed}: {error}"))
    })
}
