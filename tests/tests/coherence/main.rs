//! Three processes over one Postgres and one Redis, and what their clients see while things fail. Nobody may read what is
//! older than what was acknowledged, or than what somebody has read.
//!
//! Row 1 of the faults is tested always, the others by `make torture`. `PARLANCE_SEED` repeats the load of a run
//! (not its order, which is the machine's).

mod cluster;
mod commands;
mod dice;
mod guards;
mod load;
mod metrics;
mod outcome;
mod proof;
mod rows;
mod torture;
