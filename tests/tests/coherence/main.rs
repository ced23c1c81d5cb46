//! Three processes with one Postgres and one Redis, and the reads of their clients during faults. No read may return a
//! value that is older than an acknowledged write, or older than what another read has returned before.
//!
//! Rows 1, 3, 4, 5 and 9 of the faults are always tested (`rows`, `kills`, and in `guards` the guards of rows 1, 4, 5
//! and 9), the others by `make torture`, each for `PARLANCE_TORTURE_SECONDS`. `PARLANCE_SEED` repeats the choices of a
//! run, but not its scheduling.

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
