//! Parameters of a run, derived from its seed.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::faults::Faults;
use super::weak::Weakness;
use crate::settings::Backend;

/// Length of most runs.
const LENGTH: Duration = Duration::from_secs(3);
/// Length of runs in which instances stop.
const LONG: Duration = Duration::from_secs(15);
/// One seed in this many mixes backends, with instances that stop.
const MIXED: u64 = 25;

/// Parameters of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) weakness: Weakness,
    pub(super) backends: [Backend; 3],
    pub(super) instances: usize,
    pub(super) faults: Faults,
    pub(super) slow: u32,
    /// Whether writers crash or roll back.
    pub(super) crashes: bool,
    /// Longest delay between commit and release, in milliseconds.
    pub(super) release_delay: u64,
    /// Time-out of the stall detector, in milliseconds: the default, or the whole budget of a read.
    pub(super) stall_timeout: u64,
    /// Whether other instances may use the database, as opposed to a locked file.
    pub(super) shared: bool,
    /// Whether the last instance belongs to another installation.
    pub(super) separate_installation: bool,
    /// Length of the run, in simulated time.
    pub(super) length: Duration,
    /// Start of the last instance.
    late: Duration,
}

impl Plan {
    pub(super) fn of_seed(seed: u64, weakness: Weakness) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed ^ 0x5eed);
        let faults = match rng.random_range(0..5) {
            0 => Faults::None,
            1 => Faults::Cuts,
            2 => Faults::Restores,
            _ => Faults::Losses,
        };
        let one = |rng: &mut SmallRng| match rng.random_range(0..7) {
            0 => Backend::Off,
            1..4 => Backend::Redis,
            _ => Backend::Hybrid,
        };
        let alone = weakness == Weakness::None && rng.random_range(0..6) == 0;
        let (backends, instances) = if alone {
            ([Backend::Memory; 3], 1)
        } else {
            let mut backends = [one(&mut rng), one(&mut rng), one(&mut rng)];
            // A memory instance, which must notice the other instances.
            if weakness == Weakness::None && rng.random_range(0..6) == 0 {
                backends[0] = Backend::Memory;
            }
            (backends, rng.random_range(2..=3))
        };
        let mut plan = Self {
            weakness,
            backends,
            instances,
            faults,
            slow: rng.random_range(0..6),
            crashes: rng.random_range(0..2) == 0,
            release_delay: if rng.random_range(0..2) == 0 { 1 } else { 40 },
            stall_timeout: if rng.random_range(0..2) == 0 { 10 } else { 50 },
            shared: !alone || rng.random_range(0..2) == 0,
            separate_installation: !alone && rng.random_range(0..8) == 0,
            length: LENGTH,
            late: Duration::ZERO,
        };
        // A file is not restored while a process has it open.
        if !plan.shared && plan.faults != Faults::None {
            plan.faults = Faults::Cuts;
        }
        if weakness.is_of_mixed_instances()
            || (weakness == Weakness::None && seed.is_multiple_of(MIXED))
        {
            plan.mix(&mut rng);
            return plan;
        }
        if weakness == Weakness::SharedStamps {
            plan.separate_installation = true;
            plan.faults = Faults::None;
            plan.backends = [Backend::Redis; 3];
        }
        if weakness == Weakness::NoDatabaseNumber {
            plan.faults = Faults::Renumbering;
        }
        if matches!(
            weakness,
            Weakness::NoDatabaseIdentity | Weakness::NoMarker | Weakness::EarlyAccept
        ) {
            plan.faults = Faults::Restores;
        }
        // The effect of a missing fence shows only without losses and where every instance fences.
        if weakness == Weakness::NoFence {
            plan.faults = Faults::None;
            plan.slow = 0;
            plan.backends = [Backend::Redis; 3];
        }
        // The effect of a missing fill guard needs an answer that takes longer than a whole write.
        if weakness == Weakness::NoFillGuard {
            plan.faults = Faults::None;
            plan.slow = 5;
            plan.release_delay = 1;
            plan.stall_timeout = 50;
            plan.backends = [Backend::Hybrid; 3];
        }
        // Long enough for values to be cached before a restore and after it.
        if plan.faults == Faults::Restores {
            plan.length = 3 * LENGTH;
        }
        plan
    }
}

impl Plan {
    /// Whether no write is degraded. Only then must later reads see everything that one read has seen: a degraded write is
    /// visible before its acknowledgement, at some instances earlier than at others.
    pub(super) fn is_lossless(&self) -> bool {
        let is_remote = |backend: &Backend| matches!(backend, Backend::Redis | Backend::Hybrid);
        let all = self.backends[..self.instances].iter().all(is_remote) || self.instances == 1;
        self.faults == Faults::None && self.slow == 0 && all
    }

    /// Start of an instance.
    pub(super) fn starts_after(&self, instance: usize) -> Duration {
        if instance + 1 == self.instances {
            self.late
        } else {
            Duration::ZERO
        }
    }

    /// Mixes backends, with at least one memory instance. Instances stop for longer than they count as alive, and the last one
    /// may start while the others serve. The run is long enough for an epoch to be closed.
    fn mix(&mut self, rng: &mut SmallRng) {
        for backend in &mut self.backends {
            *backend = match rng.random_range(0..5) {
                0 | 1 => Backend::Memory,
                2 => Backend::Off,
                3 => Backend::Redis,
                _ => Backend::Hybrid,
            };
        }
        self.backends[0] = Backend::Memory;
        self.instances = rng.random_range(2..=3);
        self.faults = Faults::Stops;
        self.shared = true;
        self.separate_installation = false;
        self.slow = rng.random_range(0..2);
        self.length = LONG;
        if rng.random_range(0..2) == 0 {
            self.late = Duration::from_millis(rng.random_range(1_000..6_000));
        }
    }
}
