//! Amount of testing and random seed.

use std::time::Duration;

use crate::ports::random;

/// Default duration of each fault in a torture test.
const TORTURE: Duration = Duration::from_mins(10);

/// Whether `PARLANCE_TORTURE` requests the full tests regardless of time; `make torture` sets it.
pub fn torture() -> bool {
    std::env::var_os("PARLANCE_TORTURE").is_some_and(|value| !value.is_empty() && value != "0")
}

/// Returns the duration of each fault in a torture test: `PARLANCE_TORTURE_SECONDS`, or ten minutes.
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

/// Returns the seed of a test's random choices: `PARLANCE_SEED`, or a new one each time. Tests must print it.
pub fn seed() -> u64 {
    let given = std::env::var("PARLANCE_SEED")
        .ok()
        .filter(|seed| !seed.is_empty());
    given.map_or_else(random, |seed| {
        seed.parse()
            .unwrap_or_else(|error| panic!("PARLANCE_SEED is {seed}: {error}"))
    })
}
