//! Three processes over one Postgres and one Redis, and what their clients see while things fail. Nobody may read what is
//! older than what was acknowledged, or than what somebody has read.
//!
//! Rows 1, 3, 4, 5 and 9 of the faults are tested always (`rows`, `kills`, and `guards` without what guards 1, 4, 5 and 9), the others by
//! `make torture`, each for as long as `PARLANCE_TORTURE_SECONDS` says. `PARLANCE_SEED` repeats the load of a run (not its order,
//! which is the machine's).

mod agreement;
mod cluster;
mod commands;
mod dice;
mod faults;
mod guards;
mod kills;
mod load;
mod metrics;
mod mixed;
mod moving;
mod outcome;
mod proof;
mod rows;
mod scoped;
mod torture;
