//! What a run is made of, as its seed says.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::faults::Faults;
use super::weak::Weakness;
use crate::settings::Backend;

/// How long a run lasts as a rule.
const LENGTH: Duration = Duration::from_secs(3);
/// How long one lasts in which instances stop.
const LONG: Duration = Duration::from_secs(15);
/// One of so many seeds mixes instances that stop.
const MIXED: u64 = 25;

/// What a run is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) weakness: Weakness,
    pub(super) backends: [Backend; 3],
    pub(super) instances: usize,
    pub(super) faults: Faults,
    pub(super) slow: u32,
    /// Writers die in the middle, or take a message back.
    pub(super) crashes: bool,
    /// Writers take their time between the commit and the release.
    pub(super) linger: u64,
    /// How long nothing may come from Redis before reads go on without it: as a rule, or until their time is over.
    pub(super) patience: u64,
    /// Other instances could use the database too: it is not a file that the only one has locked.
    pub(super) shared: bool,
    /// The last instance belongs to another installation.
    pub(super) parted: bool,
    /// How long it lasts, by its own clock.
    pub(super) length: Duration,
    /// When the last instance starts.
    late: Duration,
}

impl Plan {
    pub(super) fn of_seed(seed: u64, weakness: Weakness) -> Self {
        let mut dice = StdRng::seed_from_u64(seed ^ 0x5eed);
        let faults = match dice.random_range(0..5) {
            0 => Faults::None,
            1 => Faults::Cuts,
            2 => Faults::Restores,
            _ => Faults::Losses,
        };
        let one = |dice: &mut StdRng| match dice.random_range(0..7) {
            0 => Backend::Off,
            1..4 => Backend::Redis,
            _ => Backend::Hybrid,
        };
        let alone = weakness == Weakness::None && dice.random_range(0..6) == 0;
        let (backends, instances) = if alone {
            ([Backend::Memory; 3], 1)
        } else {
            let mut backends = [one(&mut dice), one(&mut dice), one(&mut dice)];
            // One that keeps values in its own memory, and must notice that it is not alone.
            if weakness == Weakness::None && dice.random_range(0..6) == 0 {
                backends[0] = Backend::Memory;
            }
            (backends, dice.random_range(2..=3))
        };
        let mut plan = Self {
            weakness,
            backends,
            instances,
            faults,
            slow: dice.random_range(0..6),
            crashes: dice.random_range(0..2) == 0,
            linger: if dice.random_range(0..2) == 0 { 1 } else { 40 },
            patience: if dice.random_range(0..2) == 0 { 10 } else { 50 },
            shared: !alone || dice.random_range(0..2) == 0,
            parted: !alone && dice.random_range(0..8) == 0,
            length: LENGTH,
            late: Duration::ZERO,
        };
        // A file does not go back while a process has it open.
        if !plan.shared && plan.faults != Faults::None {
            plan.faults = Faults::Cuts;
        }
        if weakness.is_of_mixed_instances()
            || (weakness == Weakness::None && seed.is_multiple_of(MIXED))
        {
            plan.mix(&mut dice);
            return plan;
        }
        if weakness == Weakness::SharedStamps {
            plan.parted = true;
            plan.faults = Faults::None;
            plan.backends = [Backend::Redis; 3];
        }
        if weakness == Weakness::NoDatabaseNumber {
            plan.faults = Faults::Renumbering;
        }
        if matches!(
            weakness,
            Weakness::NoDatabaseIdentity | Weakness::NoMarker | Weakness::RashAccept
        ) {
            plan.faults = Faults::Restores;
        }
        // What a missing fence lets through is seen only where nothing is lost and everybody fences.
        if weakness == Weakness::NoFence {
            plan.faults = Faults::None;
            plan.slow = 0;
            plan.backends = [Backend::Redis; 3];
        }
        // What a missing fill guard lets through takes an answer that is slower than a whole write.
        if weakness == Weakness::NoFillGuard {
            plan.faults = Faults::None;
            plan.slow = 5;
            plan.linger = 1;
            plan.patience = 50;
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
    /// Whether every write can tell the cache. Only then is what one read has seen due to all later ones: a writer that is cut
    /// off commits first, and others hear of it before its write is acknowledged, but some before others.
    pub(super) fn is_lossless(&self) -> bool {
        let tells = |backend: &Backend| matches!(backend, Backend::Redis | Backend::Hybrid);
        let all = self.backends[..self.instances].iter().all(tells) || self.instances == 1;
        self.faults == Faults::None && self.slow == 0 && all
    }

    /// When an instance starts.
    pub(super) fn starts_after(&self, instance: usize) -> Duration {
        if instance + 1 == self.instances {
            self.late
        } else {
            Duration::ZERO
        }
    }

    /// Instances with different caches, of which one keeps values in its own memory, and stop for longer than they count as
    /// alive; the last may start while the others serve. It takes long enough for an epoch to be closed.
    fn mix(&mut self, dice: &mut StdRng) {
        for backend in &mut self.backends {
            *backend = match dice.random_range(0..5) {
                0 | 1 => Backend::Memory,
                2 => Backend::Off,
                3 => Backend::Redis,
                _ => Backend::Hybrid,
            };
        }
        self.backends[0] = Backend::Memory;
        self.instances = dice.random_range(2..=3);
        self.faults = Faults::Stops;
        self.shared = true;
        self.parted = false;
        self.slow = dice.random_range(0..2);
        self.length = LONG;
        if dice.random_range(0..2) == 0 {
            self.late = Duration::from_millis(dice.random_range(1_000..6_000));
        }
    }
}
