//! How much is tested, and with what chance.

use std::time::Duration;

use crate::ports::random;

/// How long torture keeps up a fault unless it is told.
const TORTURE: Duration = Duration::from_mins(10);

/// Whether `PARLANCE_TORTURE` asks for everything, however long it takes: `make torture` sets it.
pub fn torture() -> bool {
    std::env::var_os("PARLANCE_TORTURE").is_some_and(|value| !value.is_empty() && value != "0")
}

/// How long torture keeps up each fault: the seconds of `PARLANCE_TORTURE_SECONDS`, or ten minutes.
pub fn torture_time() -> Duration {
    let given = std::env::var("PARLANCE_TORTURE_SECONDS")
        .ok()
        .filter(|seconds| !seconds.is_empty());
    given.map_or(TORTURE, |seconds| {
        let seconds = seconds
            .parse()
            .unwrap_or_else(|error| panic!("PARLANCE_TORTURE_SECONDS is {seconds}: {error}"));
        Duration::from_secs(seconds)
    })
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
