//! Fault injection.

use std::time::Duration;

use tokio::time::Instant;

use super::database::RollbackKind;
use super::redis::Process;
use super::world::World;

/// Kinds of faults of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Faults {
    /// No faults; only the order of events is random.
    None,
    /// Connections lose requests, answers or both for a while; the database does not answer for a while.
    Cuts,
    /// As `Cuts`. In addition Redis loses leases, values or its claim, or is replaced by another process or database, and the
    /// database goes back to an earlier state.
    Losses,
    /// Instances stop or cannot reach the database for longer than they count as alive, and the database's clock steps.
    Stops,
    /// Only returns of the database to an earlier state.
    Restores,
    /// Only moves of the instances to another database of the same Redis process.
    Renumbering,
}

/// Injects faults at random times until it is dropped.
pub(super) async fn inject_faults(world: World, faults: Faults, instances: usize) {
    if faults == Faults::Stops {
        stops(&world, instances).await;
        return;
    }
    loop {
        let pause = if faults == Faults::Restores {
            6_000
        } else {
            900
        };
        world.random_pause(pause).await;
        let kind = match faults {
            Faults::None | Faults::Stops => return,
            Faults::Cuts => world.roll(4),
            Faults::Losses => world.roll(12),
            Faults::Renumbering => 8,
            Faults::Restores => 9 + world.roll(3),
        };
        let instance = usize::try_from(world.roll(instances as u64)).unwrap_or(0);
        let duration = Duration::from_millis(world.roll(2500));
        match kind {
            0 => cut(&world, instance, (true, true), duration),
            1 => cut(&world, instance, (false, true), duration),
            2 => cut_tracking(&world, instance),
            3 => world.lock().tables(instance).away_until = Instant::now() + duration / 3,
            4 => lose_leases(&world),
            5 => lose_values(&world),
            6 => replace(&world, Process::copied_to),
            7 => replace(&world, |_, number| Process::new(number)),
            8 => replace(&world, |old, _| old.next_database()),
            9 => go_back(&world, instance, RollbackKind::Promoted, duration),
            10 => go_back(&world, instance, RollbackKind::Restored, duration),
            _ => go_back(&world, instance, RollbackKind::Silently, duration),
        }
    }
}

/// Injects stops and clock steps until it is dropped.
async fn stops(world: &World, instances: usize) {
    loop {
        world.random_pause(1500).await;
        let instance = usize::try_from(world.roll(instances as u64)).unwrap_or(0);
        let duration = Duration::from_millis(3_200 + world.roll(4_000));
        match world.roll(6) {
            0..3 => world.stop(instance, duration),
            3 => world.lock().cut_until[instance] = Instant::now() + duration,
            4 => step(world),
            _ => replace(world, |_, number| Process::new(number)),
        }
    }
}

/// Steps the database's clock forward or back.
fn step(world: &World) {
    let length = Duration::from_millis(60 + world.roll(5_000));
    let forward = world.roll(2) == 0;
    let mut parts = world.lock();
    let ahead = &mut parts.tables(0).ahead;
    *ahead = if forward {
        *ahead + length
    } else {
        ahead.saturating_sub(length)
    };
}

fn cut(
    world: &World,
    instance: usize,
    (requests_lost, answers_lost): (bool, bool),
    duration: Duration,
) {
    {
        let mut parts = world.lock();
        parts.links[instance].requests_lost = requests_lost;
        parts.links[instance].answers_lost = answers_lost;
    }
    let world = world.clone();
    tokio::spawn(async move {
        tokio::time::sleep(duration).await;
        let mut parts = world.lock();
        parts.links[instance].requests_lost = false;
        parts.links[instance].answers_lost = false;
    });
}

fn cut_tracking(world: &World, instance: usize) {
    if let Some(tracking) = world.lock().tracking.get_mut(&instance) {
        tracking.cut = true;
    }
}

fn lose_leases(world: &World) {
    let mut parts = world.lock();
    let current = parts.current;
    parts.processes[current].leases.clear();
}

fn lose_values(world: &World) {
    let mut parts = world.lock();
    let current = parts.current;
    parts.processes[current].values.clear();
    parts.processes[current].lose_claim();
}

/// Returns the database after a while to its present state.
fn go_back(world: &World, instance: usize, how: RollbackKind, duration: Duration) {
    let earlier = world.lock().tables(instance).clone();
    let world = world.clone();
    tokio::spawn(async move {
        tokio::time::sleep(duration / 2).await;
        world.lock().go_back(instance, earlier, how);
    });
}

/// Replaces the Redis process or its database. Connections move one by one; until then the old one continues to answer them.
fn replace(world: &World, next: impl FnOnce(&Process, usize) -> Process) {
    let (links, next) = {
        let mut parts = world.lock();
        let number = parts.processes.len();
        let process = next(&parts.processes[parts.current], number);
        parts.processes.push(process);
        (parts.links.len(), number)
    };
    let world = world.clone();
    tokio::spawn(async move {
        // The copy lags: writes still go to the old one for a while.
        world.random_pause(300).await;
        world.lock().current = next;
        for instance in 0..links {
            let world = world.clone();
            tokio::spawn(async move {
                world.random_pause(1500).await;
                let connection = {
                    let mut parts = world.lock();
                    parts.links[instance].process = next;
                    parts
                        .tracking
                        .get(&instance)
                        .map(|tracking| tracking.connection)
                };
                world.random_pause(300).await;
                if let Some(connection) = connection {
                    world.lose(instance, connection);
                }
            });
        }
    });
}
