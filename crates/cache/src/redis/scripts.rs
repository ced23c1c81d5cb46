//! The scripts, each of one value and its lease, so of one slot.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Cmd, RedisResult, Script, Value, cmd, pipe};

use super::fault::is_unknown_script;
use crate::key::{Key, Kind};
use crate::ledger::Epoch;
use crate::raw::{Raw, stamp};
use crate::remote::{Fence, GENERATION_TTL, Release, Token};

/// How long a reader may take from its lease to its fill.
const READER: Duration = Duration::from_secs(2);
/// How long a writer may take from its fence to its release; longer than the database lets a transaction be.
const WRITER: Duration = Duration::from_secs(10);

macro_rules! script {
    ($name:literal) => {
        LazyLock::new(|| {
            Script::new(concat!(
                include_str!("lua/lease.lua"),
                include_str!(concat!("lua/", $name, ".lua"))
            ))
        })
    };
}

static ACQUIRE: LazyLock<Script> = script!("acquire");
static FILL: LazyLock<Script> = script!("fill");
static FENCE: LazyLock<Script> = script!("fence");
static RELEASE: LazyLock<Script> = script!("release");
static TURN: LazyLock<Script> = script!("turn");

fn evalsha(script: &Script, key: Key, token: Token) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(script.get_hash()).arg(2);
    command.arg(key.to_string()).arg(key.lease());
    command.arg(token.to_string());
    command
}

/// Of at least 1, for Redis takes no time of zero.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The shape that a kind has.
fn shape(kind: Kind) -> &'static str {
    match kind {
        Kind::Message
        | Kind::Conversation
        | Kind::List
        | Kind::Stats
        | Kind::Search
        | Kind::Generation => "one",
        Kind::Messages => "list",
    }
}

/// Its shape and its elements, at most so many.
fn append(command: &mut Cmd, value: &Raw, max: usize) {
    match value {
        Raw::One(object) => command.arg("one").arg(object.as_ref()),
        Raw::List(objects) => {
            command.arg("list");
            for object in objects.iter().take(max) {
                command.arg(object.as_ref());
            }
            command
        }
    };
}

pub(super) fn acquire(key: Key, token: Token, spoiled: Option<&Raw>, max: usize) -> Cmd {
    let mut command = evalsha(&ACQUIRE, key, token);
    command.arg(millis(READER));
    command.arg(shape(key.kind())).arg(max);
    match spoiled {
        None => {
            command.arg("none");
        }
        Some(value) => append(&mut command, value, usize::MAX),
    }
    command
}

/// `None` if the value has not the shape of its kind.
pub(super) fn fill(key: Key, token: Token, value: &Raw, ttl: Duration, max: usize) -> Option<Cmd> {
    let fits = match value {
        Raw::One(_) => shape(key.kind()) == "one",
        Raw::List(_) => shape(key.kind()) == "list",
    };
    fits.then(|| {
        let mut command = evalsha(&FILL, key, token);
        command.arg(millis(ttl));
        append(&mut command, value, max);
        command
    })
}

pub(super) fn fence(key: Key, fence: Fence, token: Token) -> Cmd {
    if key.kind() == Kind::Generation {
        return turn(key, token);
    }
    let mut command = evalsha(&FENCE, key, token);
    command.arg(millis(WRITER)).arg(match fence {
        Fence::Delete => "delete",
        Fence::Mark => "mark",
    });
    command
}

/// Begins another generation.
fn turn(key: Key, token: Token) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(TURN.get_hash()).arg(1).arg(key.to_string());
    command.arg(token.to_string()).arg(millis(GENERATION_TTL));
    command
}

pub(super) fn release(key: Key, release: &Release, epoch: &Epoch, token: Token, max: usize) -> Cmd {
    if key.kind() == Kind::Generation {
        return turn(key, token);
    }
    if key.kind().is_scoped() {
        let mut del = cmd("DEL");
        del.arg(key.to_string());
        return del;
    }
    let mut command = evalsha(&RELEASE, key, token);
    command.arg(millis(WRITER));
    match release {
        Release::Delete => {}
        Release::Append {
            sequence,
            element,
            ttl,
        } => {
            let before = sequence.saturating_sub(1);
            command.arg(format!("{}\"sequence\":{before},", stamp(epoch.number)));
            command.arg(stamped(element, epoch).as_ref());
            command.arg(max).arg(millis(*ttl));
        }
    }
    command
}

fn stamped(element: &Bytes, epoch: &Epoch) -> Bytes {
    match Raw::One(element.clone()).stamped(epoch.number) {
        Raw::One(element) => element,
        // Stamping keeps the shape.
        Raw::List(_) => Bytes::new(),
    }
}

pub(super) async fn load(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut loading = pipe();
    for script in [
        include_str!("lua/acquire.lua"),
        include_str!("lua/fill.lua"),
        include_str!("lua/fence.lua"),
        include_str!("lua/release.lua"),
        include_str!("lua/turn.lua"),
    ] {
        let text = format!("{}{script}", include_str!("lua/lease.lua"));
        loading.cmd("SCRIPT").arg("LOAD").arg(text);
    }
    loading.exec_async(connection).await
}

/// Runs one.
pub(super) async fn run(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
) -> RedisResult<Value> {
    match command.query_async(connection).await {
        Err(error) if is_unknown_script(&error) => {
            load(connection).await?;
            command.query_async(connection).await
        }
        answer => answer,
    }
}

/// Runs several in one go; the first error of any.
pub(super) async fn run_all(
    connection: &mut MultiplexedConnection,
    commands: Vec<Cmd>,
) -> RedisResult<()> {
    let unknown = attempt(connection, commands).await?;
    if unknown.is_empty() {
        return Ok(());
    }
    load(connection).await?;
    let still = attempt(connection, unknown).await?;
    // Flushed again at once: let the caller see it as any other error.
    match still.first() {
        None => Ok(()),
        Some(command) => command.exec_async(connection).await,
    }
}

/// Those that the server does not know.
async fn attempt(
    connection: &mut MultiplexedConnection,
    commands: Vec<Cmd>,
) -> RedisResult<Vec<Cmd>> {
    let mut all = pipe();
    all.ignore_errors();
    for command in &commands {
        all.add_command(command.clone());
    }
    let answers: Vec<RedisResult<Value>> = all.query_async(connection).await?;
    let mut unknown = Vec::new();
    for (command, answer) in commands.into_iter().zip(answers) {
        match answer {
            Ok(_) => {}
            Err(error) if is_unknown_script(&error) => unknown.push(command),
            Err(error) => return Err(error),
        }
    }
    Ok(unknown)
}
