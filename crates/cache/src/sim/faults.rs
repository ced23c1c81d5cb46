//! What goes wrong in the world.

use std::time::Duration;

use tokio::time::Instant;

use super::database::Back;
use super::redis::Process;
use super::world::World;

/// Which kinds of faults a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Faults {
    /// None: only the order of things is left to chance.
    None,
    /// Connections are cut, deaf or mute for a while; the database is away for a moment.
    Cuts,
    /// Besides, Redis loses leases, values or its claim, or another process or database takes its place; the database goes back to
    /// an earlier state.
    Losses,
    /// Instances stop, or do not reach the database, for longer than the others count on them, and the database's clock steps.
    Stops,
    /// The database goes back to an earlier state, and nothing else.
    Restores,
    /// Instances move to another database of the same Redis process, and nothing else.
    Renumbering,
}

/// Makes something go wrong now and then, until it is dropped.
pub(super) async fn trouble(world: World, faults: Faults, instances: usize) {
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
        world.think(pause).await;
        let kind = match faults {
            Faults::None | Faults::Stops => return,
            Faults::Cuts => world.roll(4),
            Faults::Losses => world.roll(12),
            Faults::Renumbering => 8,
            Faults::Restores => 9 + world.roll(3),
        };
        let instance = usize::try_from(world.roll(instances as u64)).unwrap_or(0);
        let lasts = Duration::from_millis(world.roll(2500));
        match kind {
            0 => cut(&world, instance, (true, true), lasts),
            1 => cut(&world, instance, (false, true), lasts),
            2 => stop_hearing(&world, instance),
            3 => world.lock().tables(instance).away_until = Instant::now() + lasts / 3,
            4 => lose_leases(&world),
            5 => lose_values(&world),
            6 => replace(&world, Process::copied_to),
            7 => replace(&world, |_, number| Process::new(number)),
            8 => replace(&world, |old, _| old.next_database()),
            9 => go_back(&world, instance, Back::Promoted, lasts),
            10 => go_back(&world, instance, Back::Restored, lasts),
            _ => go_back(&world, instance, Back::Silently, lasts),
        }
    }
}

/// Stops and steps in turn, until it is dropped.
async fn stops(world: &World, instances: usize) {
    loop {
        world.think(1500).await;
        let instance = usize::try_from(world.roll(instances as u64)).unwrap_or(0);
        let lasts = Duration::from_millis(3_200 + world.roll(4_000));
        match world.roll(6) {
            0..3 => world.stop(instance, lasts),
            3 => world.lock().cut_until[instance] = Instant::now() + lasts,
            4 => step(world),
            _ => replace(world, |_, number| Process::new(number)),
        }
    }
}

/// The database's clock is set forward or back.
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

fn cut(world: &World, instance: usize, (deaf, mute): (bool, bool), lasts: Duration) {
    {
        let mut parts = world.lock();
        parts.links[instance].deaf = deaf;
        parts.links[instance].mute = mute;
    }
    let world = world.clone();
    tokio::spawn(async move {
        tokio::time::sleep(lasts).await;
        let mut parts = world.lock();
        parts.links[instance].deaf = false;
        parts.links[instance].mute = false;
    });
}

fn stop_hearing(world: &World, instance: usize) {
    if let Some(ear) = world.lock().ears.get_mut(&instance) {
        ear.cut = true;
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

/// In the end the database is as it was at the beginning.
fn go_back(world: &World, instance: usize, how: Back, lasts: Duration) {
    let earlier = world.lock().tables(instance).clone();
    let world = world.clone();
    tokio::spawn(async move {
        tokio::time::sleep(lasts / 2).await;
        world.lock().go_back(instance, earlier, how);
    });
}

/// Another process, or another database of this one, takes the place; connections move one by one, and until then the old one goes
/// on answering theirs.
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
        // A copy that lags: writes go on in the old one for a while.
        world.think(300).await;
        world.lock().current = next;
        for instance in 0..links {
            let world = world.clone();
            tokio::spawn(async move {
                world.think(1500).await;
                let connection = {
                    let mut parts = world.lock();
                    parts.links[instance].process = next;
                    parts.ears.get(&instance).map(|ear| ear.connection)
                };
                world.think(300).await;
                if let Some(connection) = connection {
                    world.lose(instance, connection);
                }
            });
        }
    });
}
