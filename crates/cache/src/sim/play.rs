//! Simulated run: instances with writers and readers, checked against the history.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::database::Session;
use super::faults::inject_faults;
use super::plan::Plan;
use super::redis::{ABSENT, Connection, LIST, SCOPE, SINGLE, STATS};
use super::tracking::SimulatedTracking;
use super::weak::{WeakConnection, WeakSession, WeakTracking, Weakness};
use super::world::World;
use crate::cache::{
    Answer, Cache, CacheLookup, Codec, NewestEntry, ReadRequest, Shared, Source, ValueFormat,
};
use crate::key::Key;
use crate::memory::{EncodedList, EncodedValue};
use crate::raw::Raw;
use crate::read_many::BatchReadRequest;
use crate::settings::CacheSettings;
use crate::write::{TransactionOutcome, Write};

/// Counts of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    runs: u64,
    reads: u64,
    memory: u64,
    remote: u64,
    writes: u64,
}

impl Outcome {
    pub(super) fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.reads += other.reads;
        self.memory += other.memory;
        self.remote += other.remote;
        self.writes += other.writes;
    }

    /// Whether enough reads were hits: a check of database reads alone proves nothing.
    pub(super) fn is_meaningful(&self) -> bool {
        self.memory * 50 > self.reads && self.remote * 10 > self.reads && self.writes > self.runs
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            runs,
            reads,
            memory,
            remote,
            writes,
        } = self;
        write!(
            f,
            "{runs} runs, {writes} writes acknowledged, {reads} reads checked, {memory} from memory, {remote} from redis"
        )
    }
}

const OWNER: &str = "owner";
/// Longer than any run.
const MARKER_TIMEOUT: Duration = Duration::from_hours(1);

/// Codec of a single version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Single;

fn element(sequence: usize, version: u64) -> Bytes {
    format!("{{\"sequence\":{sequence},\"version\":{version}}}").into()
}

fn parse(text: &[u8]) -> Option<(usize, u64)> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, rest) = text.split_once("\"sequence\":")?;
    let (sequence, rest) = rest.split_once(",\"version\":")?;
    let version = rest.strip_suffix('}')?;
    Some((sequence.parse().ok()?, version.parse().ok()?))
}

impl Codec for Single {
    type Value = u64;
    type Error = String;

    fn owner(self, _: &u64) -> Option<&str> {
        Some(OWNER)
    }

    fn raw(self, value: &u64) -> Raw {
        Raw::One(element(0, *value))
    }

    fn parse(self, raw: &Raw) -> Option<u64> {
        match raw {
            Raw::One(text) => parse(text).map(|(_, version)| version),
            Raw::List(_) => None,
        }
    }

    fn encode(self, value: &u64) -> EncodedValue {
        EncodedValue::One(element(0, *value))
    }

    fn is_away(_: &String) -> bool {
        true
    }
}

/// Codec of a list of messages, newest first: sequence and version.
#[derive(Debug, Clone, Copy)]
struct List;

impl Codec for List {
    type Value = Vec<(usize, u64)>;
    type Error = String;

    fn owner(self, value: &Self::Value) -> Option<&str> {
        (!value.is_empty()).then_some(OWNER)
    }

    fn raw(self, value: &Self::Value) -> Raw {
        Raw::List(value.iter().map(|(s, v)| element(*s, *v)).collect())
    }

    fn parse(self, raw: &Raw) -> Option<Self::Value> {
        match raw {
            Raw::List(items) => items.iter().map(|item| parse(item)).collect(),
            Raw::One(_) => None,
        }
    }

    fn encode(self, value: &Self::Value) -> EncodedValue {
        EncodedValue::List(Arc::new(EncodedList {
            newest: value.first().map_or(0, |(s, _)| i64::try_from(*s).unwrap()),
            items: value.iter().map(|(s, v)| element(*s, *v)).collect(),
        }))
    }

    fn is_away(_: &String) -> bool {
        true
    }
}

/// Simulated server process.
#[derive(Clone)]
struct Instance {
    world: World,
    cache: Arc<Cache>,
    session: Session,
    lossless: bool,
}

impl Instance {
    fn start(world: &World, number: usize, plan: &Plan, seed: u64) -> Self {
        let rng = Mutex::const_new(SmallRng::seed_from_u64(seed ^ (number as u64) << 32));
        let random = Arc::new(move || rng.try_lock().map_or(0, |mut rng| rng.random()));
        let mut settings = CacheSettings::new(plan.backends[number], random);
        settings.stall_timeout = Duration::from_millis(plan.stall_timeout);
        // Not the boot clock: it includes time of the real machine, with which no seed could be repeated.
        settings.clock = if plan.weakness == Weakness::StandingClock {
            world.stopping_clock(number)
        } else {
            Arc::new(Instant::now)
        };
        settings.shared_database = plan.shared;
        settings.marker_timeout = MARKER_TIMEOUT;
        let connection = Connection {
            world: world.clone(),
            instance: number,
        };
        let tracking = SimulatedTracking {
            world: world.clone(),
            instance: number,
        };
        let shared = Shared {
            remote: Arc::new(WeakConnection(connection, plan.weakness)),
            tracking: Some(Arc::new(WeakTracking(tracking, plan.weakness))),
        };
        let session = Session {
            world: world.clone(),
            instance: number,
        };
        let ledger = Arc::new(WeakSession(session.clone(), plan.weakness));
        let cache = Cache::new(settings, Some(shared), ledger);
        if plan.weakness == Weakness::NoFillGuard {
            cache.disable_fill_guard();
        }
        let background = world.clone().run_in(number, Arc::clone(&cache).keep());
        tokio::spawn(background);
        Self {
            world: world.clone(),
            cache,
            session,
            lossless: plan.is_lossless(),
        }
    }

    async fn read(&self, seen: &mut Outcome) -> Result<(), String> {
        let batched = self.world.roll(3) == 0;
        let floor = self
            .world
            .lock()
            .history(self.session.instance)
            .floor(self.lossless);
        let (version, source) = if let Some(encoded) = self.cache.hit(SINGLE, OWNER) {
            (single(&encoded)?, Source::Memory)
        } else {
            let found = if batched {
                self.read_many().await
            } else {
                self.read_one().await
            };
            match found {
                Ok(Some(found)) => match found.answer {
                    Answer::Encoded(encoded) => (single(&encoded)?, found.source),
                    Answer::Value(version) => (version, found.source),
                },
                Ok(None) => return Err("the record is missing".to_owned()),
                Err(_) => return Ok(()),
            }
        };
        seen.count(source);
        let mut parts = self.world.lock();
        parts
            .history(self.session.instance)
            .read(&floor, version)
            .map_err(|e| format!("{e}, from {source:?}"))
    }

    async fn read_one(&self) -> Result<Option<CacheLookup<u64>>, String> {
        let lookup = ReadRequest {
            key: SINGLE,
            owner: OWNER,
            max_staleness: None,
        };
        let session = self.session.clone();
        let load = move || async move {
            let version = session.transact(|tables| tables.version).await;
            version.map(Some).map_err(|error| error.to_string())
        };
        self.cache.read(lookup, Single, load).await
    }

    /// Reads the single resource in a batch with an absent key.
    async fn read_many(&self) -> Result<Option<CacheLookup<u64>>, String> {
        let lookup = BatchReadRequest {
            keys: &[ABSENT, SINGLE],
            owner: OWNER,
            max_staleness: None,
        };
        let session = self.session.clone();
        let load = move |missing: Vec<Key>| async move {
            if missing.contains(&SINGLE) {
                let version = session.transact(|tables| tables.version).await;
                let version = version.map_err(|error| error.to_string())?;
                Ok([(SINGLE, version)].into())
            } else {
                Ok(HashMap::new())
            }
        };
        let mut found = self.cache.read_many(lookup, |_| Single, load).await?;
        if found.contains_key(&ABSENT) {
            return Err("a value was found under a key that was never written".to_owned());
        }
        Ok(found.remove(&SINGLE))
    }

    /// Reads the statistics, a value of a scope.
    async fn read_stats(&self, seen: &mut Outcome) -> Result<(), String> {
        let lookup = ReadRequest {
            key: STATS,
            owner: OWNER,
            max_staleness: None,
        };
        let floor = self
            .world
            .lock()
            .history(self.session.instance)
            .floor(false);
        let (changes, source) = if let Some(encoded) = self.cache.hit(STATS, OWNER) {
            (single(&encoded)?, Source::Memory)
        } else {
            let session = self.session.clone();
            let load = move || async move {
                let changes = session.transact(|tables| tables.changes).await;
                changes.map(Some).map_err(|error| error.to_string())
            };
            match self.cache.read(lookup, Single, load).await {
                Ok(Some(found)) => match found.answer {
                    Answer::Encoded(encoded) => (single(&encoded)?, found.source),
                    Answer::Value(changes) => (changes, found.source),
                },
                Ok(None) => return Err("the record is missing".to_owned()),
                Err(_) => return Ok(()),
            }
        };
        seen.count(source);
        let mut parts = self.world.lock();
        let history = parts.history(self.session.instance);
        history
            .read_changes(&floor, changes)
            .map_err(|e| format!("{e}, from {source:?}"))
    }

    async fn read_list(&self, seen: &mut Outcome) -> Result<(), String> {
        let lookup = ReadRequest {
            key: LIST,
            owner: OWNER,
            max_staleness: None,
        };
        let floor = self
            .world
            .lock()
            .history(self.session.instance)
            .floor(self.lossless);
        let (list, source) = if let Some(encoded) = self.cache.hit(LIST, OWNER) {
            (list(&encoded)?, Source::Memory)
        } else {
            let session = self.session.clone();
            let load = move || async move {
                let rows = session.transact(|tables| tables.messages.clone()).await;
                let rows = rows.map_err(|error| error.to_string())?;
                let newest_first = rows.iter().enumerate().rev();
                Ok(Some(newest_first.map(|(i, v)| (i + 1, *v)).collect()))
            };
            match self.cache.read(lookup, List, load).await {
                Ok(Some(found)) => match found.answer {
                    Answer::Encoded(encoded) => (list(&encoded)?, found.source),
                    Answer::Value(list) => (list, found.source),
                },
                Ok(None) => return Err("the record is missing".to_owned()),
                Err(_) => return Ok(()),
            }
        };
        seen.count(source);
        let mut parts = self.world.lock();
        parts
            .history(self.session.instance)
            .read_list(&floor, &list)
            .map_err(|e| format!("{e}, from {source:?}"))
    }

    /// Changes the single resource, changes a message or adds one. Returns whether the write was acknowledged.
    async fn write(&self, rows: &Mutex<()>, plan: &Plan) -> bool {
        let kind = self.world.roll(3);
        let failure = if plan.crashes {
            self.world.roll(12)
        } else {
            99
        };
        // Row lock, held until the commit.
        let locked = rows.lock().await;
        self.world.short_delay().await;
        let me = self.session.instance;
        let (sequence, first_version, timeline) = {
            let mut parts = self.world.lock();
            let tables = parts.tables(me);
            let sequence = tables.messages.len() + 1;
            (sequence, tables.next(0), tables.timeline)
        };
        let scope = Write::Changed(SCOPE);
        let writes = match kind {
            0 => vec![Write::Changed(SINGLE), scope],
            1 => vec![Write::Changed(LIST), Write::Changed(SINGLE), scope],
            _ => {
                let entry = (self.cache.value_format() != ValueFormat::None).then(|| NewestEntry {
                    sequence: i64::try_from(sequence).unwrap(),
                    element: element(sequence, first_version),
                });
                vec![Write::Appended(LIST, entry), scope]
            }
        };
        let fenced = self.cache.fence(writes).await;
        match failure {
            // The process dies, and its transaction is rolled back.
            0 => return false,
            1 => {
                drop(locked);
                self.cache
                    .release(fenced, TransactionOutcome::Aborted)
                    .await;
                return false;
            }
            _ => {}
        }
        let pending = fenced.pending().map(|(keys, token)| (keys.to_vec(), token));
        let commit = self.session.transact(move |tables| {
            // The state in which the transaction began is lost, and the transaction with it.
            if tables.timeline != timeline {
                return None;
            }
            if let Some((keys, token)) = pending {
                tables.add_rows(&keys, token);
            }
            match kind {
                0 => tables.version = tables.next(tables.version),
                1 => {
                    tables.version = tables.next(tables.version);
                    tables.messages[0] = tables.next(tables.messages[0]);
                }
                _ => tables.messages.push(first_version),
            }
            tables.changes = tables.next(tables.changes);
            Some((tables.version, tables.messages[0], tables.changes))
        });
        let Ok(Some((version, first, changes))) = commit.await else {
            return false;
        };
        drop(locked);
        // The process dies after the commit and does not release.
        if failure == 2 {
            return false;
        }
        self.world.random_pause(plan.release_delay).await;
        self.cache
            .release(fenced, TransactionOutcome::Committed)
            .await;
        let mut parts = self.world.lock();
        if parts.tables(me).timeline != timeline {
            return false;
        }
        let history = parts.history(me);
        history.acknowledge_changes(changes);
        match kind {
            0 => history.acknowledge(version),
            1 => {
                history.acknowledge(version);
                history.acknowledge_message(1, first);
            }
            _ => history.acknowledge_message(sequence, first_version),
        }
        true
    }
}

impl Outcome {
    fn count(&mut self, source: Source) {
        self.reads += 1;
        match source {
            Source::Memory => self.memory += 1,
            Source::Redis => self.remote += 1,
            Source::Database => {}
        }
    }
}

fn single(encoded: &EncodedValue) -> Result<u64, String> {
    match encoded {
        EncodedValue::One(text) => parse(text)
            .map(|(_, v)| v)
            .ok_or("unreadable value".to_owned()),
        EncodedValue::List(_) => Err("a list in place of a value".to_owned()),
    }
}

fn list(encoded: &EncodedValue) -> Result<Vec<(usize, u64)>, String> {
    match encoded {
        EncodedValue::List(list) => {
            let items = list.items.iter().map(|item| parse(item));
            items
                .collect::<Option<_>>()
                .ok_or("unreadable value".to_owned())
        }
        EncodedValue::One(_) => Err("a value in place of a list".to_owned()),
    }
}

/// Plays a seed.
pub(super) fn play(seed: u64, plan: &Plan) -> Result<Outcome, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let result = runtime.block_on(run(seed, plan));
    result.map_err(|violation| format!("{violation} ({plan:?})"))
}

async fn run(seed: u64, plan: &Plan) -> Result<Outcome, String> {
    let world = World::new(seed, plan.instances, plan.slow);
    if plan.separate_installation {
        world.move_to_separate_installation(plan.instances - 1);
    }
    for number in 0..plan.instances {
        world.lock().tables(number).weakness = plan.weakness;
    }
    let faults = tokio::spawn(inject_faults(world.clone(), plan.faults, plan.instances));
    let rows = Arc::new(Mutex::new(()));
    let mut tasks: Vec<JoinHandle<Result<Outcome, String>>> = Vec::new();
    for number in 0..plan.instances {
        let work = serve(world.clone(), number, (seed, *plan), Arc::clone(&rows));
        tasks.push(tokio::spawn(world.clone().run_in(number, work)));
    }
    let mut total = Outcome {
        runs: 1,
        ..Outcome::default()
    };
    for task in tasks {
        total.add(&task.await.map_err(|_| "a panic".to_owned())??);
    }
    faults.abort();
    if (0..plan.instances).any(|number| world.lock().tables(number).accepted_too_early) {
        return Err("an earlier state of the database was accepted".to_owned());
    }
    Ok(total)
}

/// Runs one instance with a writer and two readers until the end of the run.
async fn serve(
    world: World,
    number: usize,
    (seed, plan): (u64, Plan),
    rows: Arc<Mutex<()>>,
) -> Result<Outcome, String> {
    tokio::time::sleep(plan.starts_after(number)).await;
    let instance = Instance::start(&world, number, &plan, seed);
    instance.cache.wait_until_ready().await;
    let end = Instant::now() + plan.length;
    let writes = async {
        let mut outcome = Outcome::default();
        while Instant::now() < end {
            instance.world.random_pause(700).await;
            outcome.writes += u64::from(instance.write(&rows, &plan).await);
        }
        Ok::<_, String>(outcome)
    };
    let reads = || async {
        let mut outcome = Outcome::default();
        while Instant::now() < end {
            instance.world.random_pause(60).await;
            match instance.world.roll(3) {
                0 => instance.read(&mut outcome).await?,
                1 => instance.read_list(&mut outcome).await?,
                _ => instance.read_stats(&mut outcome).await?,
            }
        }
        Ok(outcome)
    };
    let (mut total, one, other) = tokio::try_join!(writes, reads(), reads())?;
    total.add(&one);
    total.add(&other);
    Ok::<_, String>(total)
}
