//! Name of the simulator.

/// The name of this provider.
pub const NAME: &str = "simulator";
