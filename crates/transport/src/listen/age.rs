//! Age of connections, after which clients are asked to reconnect.

use std::time::Duration;

/// Maximum age of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Age {
    /// After this time, plus or minus a tenth, the client is asked to reconnect.
    pub max: Duration,
    /// Time for open calls to end after that.
    pub grace: Duration,
    /// Source of random numbers from 0 to 1.
    pub random: fn() -> f64,
}

/// Returns the time plus or minus a tenth, by a random number from 0 to 1, so that clients that connected together do not
/// reconnect together.
pub fn jittered(time: Duration, random: f64) -> Duration {
    time.mul_f64(0.9 + 0.2 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_varies_by_a_tenth_to_each_side() {
        let age = Duration::from_secs(1000);
        for (random, expected) in [
            (0.0, 900),
            (0.5, 1000),
            (1.0, 1100),
            (-3.0, 900),
            (7.0, 1100),
        ] {
            let off = jittered(age, random).abs_diff(Duration::from_secs(expected));
            assert!(off < Duration::from_millis(1), "{random}");
        }
    }
}
