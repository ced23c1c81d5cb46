//! Clock of the simulated network.

use parlance_domain::Timestamp;

/// Clock of the simulated network.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that stands still until it is advanced.
    Frozen(Timestamp),
}
