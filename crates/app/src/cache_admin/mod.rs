//! Administration of the cache by operators: state, invalidation, warming and audit.

mod admin;
mod audit;
mod guarantee;
mod warm;

pub use admin::{CacheAdmin, CacheInfo, GateView, Invalidation, RedisState, TierStats};
pub use warm::{Warm, Warmed};
