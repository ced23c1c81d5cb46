//! Calls of the Lua scripts: of readers, for one value and its lease; of writers, for all keys of a write in one slot or on one
//! node.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Cmd, RedisResult, Script, Value, cmd, pipe};

use super::fault::is_unknown_script;
use crate::gate::REGISTRATION_TTL;
use crate::key::{Key, Kind};
use crate::ledger::{Epoch, Holder};
use crate::raw::{Raw, stamp};
use crate::remote::{Fence, GENERATION_TTL, Release};
use crate::token::Token;

/// Longest time of a reader from its lease to its fill.
const READ_LEASE: Duration = Duration::from_secs(2);
/// Longest time of a writer from its fence to its release; longer than the database allows a transaction to take.
const WRITE_FENCE: Duration = Duration::from_secs(10);

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
static CLAIM_SCRIPT: LazyLock<Script> = script!("claim");
static RAISE: LazyLock<Script> = script!("raise");

/// Key of the claim of a Redis database by an installation.
pub(super) const CLAIM: &str = "parlance:claim";
/// Time to live of the claim's key, and thus of the marker, without a pass: longer than that of any cached value.
const CLAIM_TTL: Duration = Duration::from_hours(24);

fn evalsha(script: &Script, key: Key, token: Token) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(script.get_hash()).arg(2);
    command.arg(key.to_string()).arg(key.lease());
    command.arg(token.to_string());
    command
}

/// Milliseconds, at least 1: Redis rejects an expiry of zero.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Shape of the values of a kind, as the scripts name it.
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

/// Appends the shape of a value and its elements, at most `max`.
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
    command.arg(millis(READ_LEASE));
    command.arg(shape(key.kind())).arg(max);
    match spoiled {
        None => {
            command.arg("none");
        }
        Some(value) => append(&mut command, value, usize::MAX),
    }
    command
}

/// Call of the fill script; `None` if the value does not have the shape of its kind.
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

pub(super) fn fence(keys: &[(Key, Fence)], token: Token) -> Cmd {
    let mut names = Vec::with_capacity(2 * keys.len());
    let mut modes = Vec::with_capacity(keys.len());
    for (key, fence) in keys {
        names.push(key.to_string());
        if key.kind() == Kind::Generation {
            modes.push("rotate");
            continue;
        }
        names.push(key.lease());
        modes.push(match fence {
            Fence::Delete => "delete",
            Fence::Mark => "mark",
        });
    }
    let mut command = write_command(&FENCE, &names, token);
    command.arg(modes);
    command
}

pub(super) fn release(keys: &[(Key, Release)], epoch: &Epoch, token: Token, max: usize) -> Cmd {
    let mut names = Vec::with_capacity(2 * keys.len());
    for (key, _) in keys {
        names.push(key.to_string());
        if !(key.kind() == Kind::Generation || key.kind().is_scoped()) {
            names.push(key.lease());
        }
    }
    let mut command = write_command(&RELEASE, &names, token);
    command.arg(max);
    for (key, release) in keys {
        match release {
            _ if key.kind() == Kind::Generation => command.arg("rotate"),
            _ if key.kind().is_scoped() => command.arg("drop"),
            Release::Delete => command.arg("delete"),
            Release::Append {
                sequence,
                element,
                ttl,
            } => {
                let before = sequence.saturating_sub(1);
                command.arg("append");
                command.arg(format!("{}\"sequence\":{before},", stamp(epoch.number)));
                command.arg(stamped(element, epoch).as_ref());
                command.arg(millis(*ttl))
            }
        };
    }
    command
}

/// Begin of a call of a script of a write.
fn write_command(script: &Script, names: &[String], token: Token) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(script.get_hash()).arg(names.len()).arg(names);
    command.arg(token.to_string());
    command.arg(millis(WRITE_FENCE)).arg(millis(GENERATION_TTL));
    command
}

fn stamped(element: &Bytes, epoch: &Epoch) -> Bytes {
    match Raw::One(element.clone()).stamped(epoch.number) {
        Raw::One(element) => element,
        // Unreachable: stamping keeps the shape.
        Raw::List(_) => Bytes::new(),
    }
}

pub(super) fn claim(holder: &Holder) -> Cmd {
    let mut command = on_claim(&CLAIM_SCRIPT, holder);
    command.arg(millis(REGISTRATION_TTL)).arg(millis(CLAIM_TTL));
    command
}

pub(super) fn raise(holder: &Holder, number: i64) -> Cmd {
    let mut command = on_claim(&RAISE, holder);
    command.arg(number).arg(millis(CLAIM_TTL));
    command
}

fn on_claim(script: &Script, holder: &Holder) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(script.get_hash()).arg(1).arg(CLAIM);
    command.arg(&holder.database).arg(&holder.server);
    command
}

pub(super) async fn load(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut loading = pipe();
    for script in [
        include_str!("lua/acquire.lua"),
        include_str!("lua/fill.lua"),
        include_str!("lua/fence.lua"),
        include_str!("lua/release.lua"),
        include_str!("lua/claim.lua"),
        include_str!("lua/raise.lua"),
    ] {
        let text = format!("{}{script}", include_str!("lua/lease.lua"));
        loading.cmd("SCRIPT").arg("LOAD").arg(text);
    }
    loading.exec_async(connection).await
}

/// Runs a script, loading the scripts first if the server does not know them.
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

/// Runs several scripts in one pipeline; returns the first error.
pub(super) async fn run_all(
    connection: &mut MultiplexedConnection,
    commands: Vec<Cmd>,
) -> RedisResult<()> {
    let unknown = run_known(connection, commands).await?;
    if unknown.is_empty() {
        return Ok(());
    }
    load(connection).await?;
    let still = run_known(connection, unknown).await?;
    // The scripts were flushed again at once: return that as an error.
    match still.first() {
        None => Ok(()),
        Some(command) => command.exec_async(connection).await,
    }
}

/// Runs the scripts that the server knows, and returns the calls of the others.
async fn run_known(
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
