//! One run: instances, writers and readers, and what they saw.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::database::Session;
use super::faults::trouble;
use super::plan::Plan;
use super::redis::{Connection, LIST, NOTHING, SCOPE, SINGLE, STATS};
use super::tracking::Hearing;
use super::weak::{WeakConnection, WeakHearing, WeakSession, Weakness};
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

/// What was played.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    runs: u64,
    reads: u64,
    near: u64,
    remote: u64,
    writes: u64,
}

impl Outcome {
    pub(super) fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.reads += other.reads;
        self.near += other.near;
        self.remote += other.remote;
        self.writes += other.writes;
    }

    /// A check that only ever saw the database proves nothing.
    pub(super) fn is_worth_something(&self) -> bool {
        self.near * 50 > self.reads && self.remote * 10 > self.reads && self.writes > self.runs
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            runs,
            reads,
            near,
            remote,
            writes,
        } = self;
        write!(
            f,
            "{runs} runs, {writes} writes acknowledged, {reads} reads checked, {near} from memory, {remote} from redis"
        )
    }
}

const OWNER: &str = "owner";
/// Longer than any run.
const MARKER_PATIENCE: Duration = Duration::from_hours(1);

/// A version as it is cached.
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

/// A list of messages, newest first: sequence and version.
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

/// One server process.
#[derive(Clone)]
struct Instance {
    world: World,
    cache: Arc<Cache>,
    session: Session,
    lossless: bool,
}

impl Instance {
    fn start(world: &World, number: usize, plan: &Plan, seed: u64) -> Self {
        let dice = Mutex::const_new(StdRng::seed_from_u64(seed ^ (number as u64) << 32));
        let random = Arc::new(move || dice.try_lock().map_or(0, |mut dice| dice.random()));
        let mut settings = CacheSettings::new(plan.backends[number], random);
        settings.stall_timeout = Duration::from_millis(plan.patience);
        // That of the machine counts the machine's own time, by which no seed would be played the same way again.
        settings.clock = if plan.weakness == Weakness::StandingClock {
            world.clock_that_stops(number)
        } else {
            Arc::new(Instant::now)
        };
        settings.shared_database = plan.shared;
        settings.marker_timeout = MARKER_PATIENCE;
        let connection = Connection {
            world: world.clone(),
            instance: number,
        };
        let hearing = Hearing {
            world: world.clone(),
            instance: number,
        };
        let shared = Shared {
            remote: Arc::new(WeakConnection(connection, plan.weakness)),
            tracking: Some(Arc::new(WeakHearing(hearing, plan.weakness))),
        };
        let session = Session {
            world: world.clone(),
            instance: number,
        };
        let ledger = Arc::new(WeakSession(session.clone(), plan.weakness));
        let cache = Cache::new(settings, Some(shared), ledger);
        if plan.weakness == Weakness::NoFillGuard {
            cache.forget_the_fill_guard();
        }
        let keeping = world.clone().run_in(number, Arc::clone(&cache).keep());
        tokio::spawn(keeping);
        Self {
            world: world.clone(),
            cache,
            session,
            lossless: plan.is_lossless(),
        }
    }

    async fn read(&self, seen: &mut Outcome) -> Result<(), String> {
        let with_others = self.world.roll(3) == 0;
        let floor = self
            .world
            .lock()
            .history(self.session.instance)
            .floor(self.lossless);
        let (version, source) = if let Some(encoded) = self.cache.hit(SINGLE, OWNER) {
            (single(&encoded)?, Source::Memory)
        } else {
            let found = if with_others {
                self.read_with_others().await
            } else {
                self.read_alone().await
            };
            match found {
                Ok(Some(found)) => match found.answer {
                    Answer::Encoded(encoded) => (single(&encoded)?, found.source),
                    Answer::Value(version) => (version, found.source),
                },
                Ok(None) => return Err("it is gone".to_owned()),
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

    async fn read_alone(&self) -> Result<Option<CacheLookup<u64>>, String> {
        let asked = ReadRequest {
            key: SINGLE,
            owner: OWNER,
            max_staleness: None,
        };
        let session = self.session.clone();
        let load = move || async move {
            let version = session.transact(|tables| tables.version).await;
            version.map(Some).map_err(|error| error.to_string())
        };
        self.cache.read(asked, Single, load).await
    }

    /// Together with what there is not.
    async fn read_with_others(&self) -> Result<Option<CacheLookup<u64>>, String> {
        let asked = BatchReadRequest {
            keys: &[NOTHING, SINGLE],
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
        let mut found = self.cache.read_many(asked, |_| Single, load).await?;
        if found.contains_key(&NOTHING) {
            return Err("there is something where nothing was written".to_owned());
        }
        Ok(found.remove(&SINGLE))
    }

    /// The same for what is kept by scope.
    async fn read_stats(&self, seen: &mut Outcome) -> Result<(), String> {
        let asked = ReadRequest {
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
            match self.cache.read(asked, Single, load).await {
                Ok(Some(found)) => match found.answer {
                    Answer::Encoded(encoded) => (single(&encoded)?, found.source),
                    Answer::Value(changes) => (changes, found.source),
                },
                Ok(None) => return Err("it is gone".to_owned()),
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
        let asked = ReadRequest {
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
            match self.cache.read(asked, List, load).await {
                Ok(Some(found)) => match found.answer {
                    Answer::Encoded(encoded) => (list(&encoded)?, found.source),
                    Answer::Value(list) => (list, found.source),
                },
                Ok(None) => return Err("it is gone".to_owned()),
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

    /// Changes the single resource, or a message, or adds one; whether it was acknowledged.
    async fn write(&self, rows: &Mutex<()>, plan: &Plan) -> bool {
        let what = self.world.roll(3);
        let fate = if plan.crashes {
            self.world.roll(12)
        } else {
            99
        };
        // The lock of the row, until the commit.
        let locked = rows.lock().await;
        self.world.dawdle().await;
        let me = self.session.instance;
        let (sequence, first_version, timeline) = {
            let mut parts = self.world.lock();
            let tables = parts.tables(me);
            let sequence = tables.messages.len() + 1;
            (sequence, tables.next(0), tables.timeline)
        };
        let scope = Write::Changed(SCOPE);
        let writes = match what {
            0 => vec![Write::Changed(SINGLE), scope],
            1 => vec![Write::Changed(LIST), Write::Changed(SINGLE), scope],
            _ => {
                let top = (self.cache.value_format() != ValueFormat::None).then(|| NewestEntry {
                    sequence: i64::try_from(sequence).unwrap(),
                    element: element(sequence, first_version),
                });
                vec![Write::Appended(LIST, top), scope]
            }
        };
        let fenced = self.cache.fence(writes).await;
        match fate {
            // The process dies, and with it its transaction.
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
            // Its transaction went with what it had begun in.
            if tables.timeline != timeline {
                return None;
            }
            if let Some((keys, token)) = pending {
                tables.add_rows(&keys, token);
            }
            match what {
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
        // The process dies, and nobody releases.
        if fate == 2 {
            return false;
        }
        self.world.think(plan.linger).await;
        self.cache
            .release(fenced, TransactionOutcome::Committed)
            .await;
        let mut parts = self.world.lock();
        if parts.tables(me).timeline != timeline {
            return false;
        }
        let history = parts.history(me);
        history.acknowledge_changes(changes);
        match what {
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
            Source::Memory => self.near += 1,
            Source::Redis => self.remote += 1,
            Source::Database => {}
        }
    }
}

fn single(encoded: &EncodedValue) -> Result<u64, String> {
    match encoded {
        EncodedValue::One(text) => parse(text).map(|(_, v)| v).ok_or("bad text".to_owned()),
        EncodedValue::List(_) => Err("a list".to_owned()),
    }
}

fn list(encoded: &EncodedValue) -> Result<Vec<(usize, u64)>, String> {
    match encoded {
        EncodedValue::List(list) => {
            let items = list.items.iter().map(|item| parse(item));
            items.collect::<Option<_>>().ok_or("bad text".to_owned())
        }
        EncodedValue::One(_) => Err("no list".to_owned()),
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
    result.map_err(|wrong| format!("{wrong} ({plan:?})"))
}

async fn run(seed: u64, plan: &Plan) -> Result<Outcome, String> {
    let world = World::new(seed, plan.instances, plan.slow);
    if plan.parted {
        world.part(plan.instances - 1);
    }
    for number in 0..plan.instances {
        world.lock().tables(number).weakness = plan.weakness;
    }
    let trouble = tokio::spawn(trouble(world.clone(), plan.faults, plan.instances));
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
    trouble.abort();
    if (0..plan.instances).any(|number| world.lock().tables(number).is_rash) {
        return Err("an earlier state of the database was accepted".to_owned());
    }
    Ok(total)
}

/// One instance with a writer and two readers, from its start to the end of the run.
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
            instance.world.think(700).await;
            outcome.writes += u64::from(instance.write(&rows, &plan).await);
        }
        Ok::<_, String>(outcome)
    };
    let reads = || async {
        let mut outcome = Outcome::default();
        while Instant::now() < end {
            instance.world.think(60).await;
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
