//! Calls of the protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    Cmd, ErrorKind, RedisError, RedisResult, Value, cmd, from_redis_value, pipe,
};
use futures_util::future::join_all;

use super::{RedisTier, Route};
use crate::key::{Key, Kind};
use crate::ledger::{Epoch, Holder, RemoteId};
use crate::raw::Raw;
use crate::redis::fault::is_wrong_type;
use crate::redis::shared_connection::SharedConnection;
use crate::redis::slot::slot;
use crate::redis::{info, scripts};
use crate::remote::{
    Acquired, Claimed, Fault, Fence, GENERATION_TTL, Release, Remote, RemoteStats,
};
use crate::token::Token;

/// Keys per step of a scan; a small server scans them within a few milliseconds.
const SCAN_COUNT: usize = 500;
/// Time-out of a step of a scan. It is longer than that of a call, because no client request waits for it.
const SCAN_TIMEOUT: Duration = Duration::from_secs(1);

/// Keys of one connection.
type Group<T> = (Arc<SharedConnection>, Vec<(Key, T)>);

#[async_trait]
impl Remote for RedisTier {
    async fn identity(&self) -> Result<RemoteId, Fault> {
        self.guarded(self.timeout, async {
            match &self.route {
                Route::Single(node) => node.process().await,
                Route::Cluster(cluster) => cluster.process().await,
            }
        })
        .await
    }

    async fn claim(&self, holder: &Holder) -> Result<Claimed, Fault> {
        let command = scripts::claim(holder);
        let claimed = self.on_claim(command, claimed).await?;
        Ok(claimed.unwrap_or_else(|| Claimed::Refused(self.refusal.clone())))
    }

    async fn raise(&self, holder: &Holder, number: i64) -> Result<bool, Fault> {
        let command = scripts::raise(holder, number);
        self.on_claim(command, |answer| Ok(from_redis_value(answer)?))
            .await
    }

    async fn get(&self, key: Key, epoch: &Epoch) -> Result<Option<Raw>, Fault> {
        let max = self.max_list;
        self.guarded(self.timeout, async {
            let connection = self.connection(key).await?;
            self.over(&connection, Some(epoch), async move |mut c| {
                value_or_wrong_type(read_command(key, max).query_async(&mut c).await)
            })
            .await
        })
        .await
    }

    async fn get_many(&self, keys: &[Key], epoch: &Epoch) -> Result<Vec<Option<Raw>>, Fault> {
        let Some(first) = keys.first() else {
            return Ok(Vec::new());
        };
        match &self.route {
            Route::Single(_) => {
                self.guarded(self.timeout, async {
                    let connection = self.connection(*first).await?;
                    self.over(&connection, Some(epoch), |c| mget(c, keys)).await
                })
                .await
            }
            Route::Cluster(_) => {
                // MGET across several slots is not allowed.
                self.guarded(self.timeout, self.get_from_nodes(keys, epoch))
                    .await
            }
        }
    }

    async fn acquire(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        spoiled: Option<&Raw>,
    ) -> Result<Acquired, Fault> {
        let command = scripts::acquire(key, token, spoiled, self.max_list);
        self.guarded(self.timeout, async {
            let connection = self.connection(key).await?;
            self.over(&connection, Some(epoch), async move |mut c| {
                acquired(scripts::run(&mut c, &command).await?)
            })
            .await
        })
        .await
    }

    async fn fill(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        value: &Raw,
        ttl: Duration,
    ) -> Result<bool, Fault> {
        let command = scripts::fill(key, token, value, ttl, self.max_list).ok_or_else(|| {
            Fault::Refused("the value does not have the shape of its kind".to_owned())
        })?;
        self.guarded(self.timeout, async {
            let connection = self.connection(key).await?;
            self.over(&connection, Some(epoch), async move |mut c| {
                Ok(from_redis_value(scripts::run(&mut c, &command).await?)?)
            })
            .await
        })
        .await
    }

    async fn get_scoped(
        &self,
        key: Key,
        epoch: &Epoch,
    ) -> Result<(Option<String>, Option<Raw>), Fault> {
        self.guarded(self.timeout, async {
            let connection = self.connection(key).await?;
            self.over(&connection, Some(epoch), |c| scoped(c, key))
                .await
        })
        .await
    }

    async fn generation(&self, key: Key, epoch: &Epoch, token: Token) -> Result<String, Fault> {
        self.guarded(self.timeout, async {
            let connection = self.connection(key).await?;
            self.over(&connection, Some(epoch), |c| generation(c, key, token))
                .await
        })
        .await
    }

    async fn put(&self, key: Key, epoch: &Epoch, value: &Raw, ttl: Duration) -> Result<(), Fault> {
        let Raw::One(text) = value else {
            return Err(Fault::Refused(
                "a list cannot be stored without a lease".to_owned(),
            ));
        };
        let mut set = cmd("SET");
        set.arg(key.to_string()).arg(text.as_ref());
        set.arg("PX").arg(scripts::millis(ttl));
        self.guarded(self.timeout, async {
            let connection = self.connection(key).await?;
            self.over(&connection, Some(epoch), async move |mut c| {
                set.exec_async(&mut c).await
            })
            .await
        })
        .await
    }

    async fn fence(&self, keys: &[(Key, Fence)], epoch: &Epoch, token: Token) -> Result<(), Fault> {
        self.write(keys, epoch, |keys| scripts::fence(keys, token))
            .await
    }

    async fn release(
        &self,
        keys: &[(Key, Release)],
        epoch: &Epoch,
        token: Token,
    ) -> Result<(), Fault> {
        let max = self.max_list;
        self.write(keys, epoch, |keys| {
            scripts::release(keys, epoch, token, max)
        })
        .await
    }

    async fn scan(&self, pattern: &str) -> Result<Vec<Key>, Fault> {
        let connections = self.guarded(self.timeout, self.node_connections()).await?;
        let scans = connections
            .iter()
            .map(|connection| self.scan_one(connection, pattern));
        let mut found = BTreeSet::new();
        for keys in join_all(scans).await {
            found.extend(keys?);
        }
        Ok(found.into_iter().collect())
    }

    async fn stats(&self) -> Result<RemoteStats, Fault> {
        self.guarded(self.timeout, async {
            let connections = self.node_connections().await?;
            let asked = connections.iter().map(|connection| {
                self.over(connection, None, async move |mut c| {
                    info::stats(&mut c).await
                })
            });
            let mut sum = RemoteStats::default();
            for stats in join_all(asked).await {
                let one = stats?;
                sum.used_bytes += one.used_bytes;
                sum.max_bytes += one.max_bytes;
                sum.evicted += one.evicted;
                sum.keys += one.keys;
            }
            Ok(sum)
        })
        .await
    }
}

impl RedisTier {
    async fn on_claim<T: Send>(
        &self,
        command: Cmd,
        read: fn(Value) -> RedisResult<T>,
    ) -> Result<T, Fault> {
        self.guarded(self.timeout, async {
            let connection = self.claim_connection().await?;
            self.over(&connection, None, async move |mut c| {
                read(scripts::run(&mut c, &command).await?)
            })
            .await
        })
        .await
    }

    /// Runs a script once per group of keys that it may touch together; scripts of one connection are pipelined.
    async fn write<T: Clone + Send + Sync>(
        &self,
        keys: &[(Key, T)],
        epoch: &Epoch,
        script: impl Fn(&[(Key, T)]) -> Cmd + Send + Sync,
    ) -> Result<(), Fault> {
        self.guarded(self.timeout, async {
            let groups = self.by_connection(keys.to_vec()).await?;
            let asked = groups.into_iter().map(|(connection, keys)| {
                let scripts: Vec<Cmd> = self.together(keys).iter().map(|k| script(k)).collect();
                async move {
                    self.over(&connection, Some(epoch), async move |mut c| {
                        scripts::run_all(&mut c, scripts).await
                    })
                    .await
                }
            });
            // All scripts run even if one fails: they still invalidate their keys.
            join_all(asked).await.into_iter().collect()
        })
        .await
    }

    /// Groups the keys of one node that a script may touch together: in a cluster, the keys of one slot.
    fn together<T>(&self, keys: Vec<(Key, T)>) -> Vec<Vec<(Key, T)>> {
        match &self.route {
            Route::Single(_) => vec![keys],
            Route::Cluster(_) => {
                let mut slots: BTreeMap<u16, Vec<(Key, T)>> = BTreeMap::new();
                for (key, of) in keys {
                    let slot = slot(key.to_string().as_bytes());
                    slots.entry(slot).or_default().push((key, of));
                }
                slots.into_values().collect()
            }
        }
    }

    /// Reads values in a cluster, with one pipeline per connection.
    async fn get_from_nodes(&self, keys: &[Key], epoch: &Epoch) -> Result<Vec<Option<Raw>>, Fault> {
        let positions = keys.iter().copied().zip(0..);
        let asked = self
            .by_connection(positions.collect())
            .await?
            .into_iter()
            .map(|(connection, positions)| async move {
                let (keys, positions): (Vec<Key>, Vec<usize>) = positions.into_iter().unzip();
                let values = self
                    .over(&connection, Some(epoch), |c| get_each(c, &keys))
                    .await?;
                Ok::<_, Fault>(positions.into_iter().zip(values))
            });
        let mut found = Vec::with_capacity(keys.len());
        for values in join_all(asked).await {
            found.extend(values?);
        }
        found.sort_unstable_by_key(|(position, _): &(usize, _)| *position);
        Ok(found.into_iter().map(|(_, value)| value).collect())
    }

    /// Groups keys by connection, in their order.
    async fn by_connection<T>(&self, keys: Vec<(Key, T)>) -> Result<Vec<Group<T>>, Fault> {
        let mut groups: Vec<Group<T>> = Vec::new();
        for (key, of) in keys {
            let connection = self.connection(key).await?;
            match groups
                .iter_mut()
                .find(|(known, _)| Arc::ptr_eq(known, &connection))
            {
                Some((_, group)) => group.push((key, of)),
                None => groups.push((connection, vec![(key, of)])),
            }
        }
        Ok(groups)
    }

    async fn scan_one(
        &self,
        connection: &Arc<SharedConnection>,
        pattern: &str,
    ) -> Result<Vec<Key>, Fault> {
        let mut found = Vec::new();
        let mut cursor = String::from("0");
        loop {
            let mut step = cmd("SCAN");
            step.arg(&cursor).arg("MATCH").arg(pattern);
            step.arg("COUNT").arg(SCAN_COUNT);
            let asked = self.over(
                connection,
                None,
                async move |mut c: MultiplexedConnection| {
                    step.query_async::<(String, Vec<Vec<u8>>)>(&mut c).await
                },
            );
            let (next, names) = self.guarded(SCAN_TIMEOUT.max(self.timeout), asked).await?;
            // Keys of other applications need not be text.
            let names = names
                .iter()
                .filter_map(|name| std::str::from_utf8(name).ok());
            found.extend(names.filter_map(Key::parse));
            if next == "0" {
                return Ok(found);
            }
            cursor = next;
        }
    }
}

fn read_command(key: Key, max: usize) -> Cmd {
    match key.kind() {
        Kind::Message
        | Kind::Conversation
        | Kind::List
        | Kind::Stats
        | Kind::Search
        | Kind::Generation => {
            let mut get = cmd("GET");
            get.arg(key.to_string());
            get
        }
        Kind::Messages => {
            let mut range = cmd("LRANGE");
            range.arg(key.to_string()).arg(0).arg(max.saturating_sub(1));
            range
        }
    }
}

async fn mget(
    mut connection: MultiplexedConnection,
    keys: &[Key],
) -> RedisResult<Vec<Option<Raw>>> {
    let mut all = cmd("MGET");
    for key in keys {
        all.arg(key.to_string());
    }
    let values: Vec<Value> = all.query_async(&mut connection).await?;
    if values.len() != keys.len() {
        return Err(unexpected("as many values as keys"));
    }
    values.into_iter().map(raw).collect()
}

/// Reads a generation and a value. A value of the wrong type counts as absent, and is overwritten.
async fn scoped(
    connection: MultiplexedConnection,
    key: Key,
) -> RedisResult<(Option<String>, Option<Raw>)> {
    let mut both = mget(connection, &[key.generation(), key])
        .await?
        .into_iter();
    let generation = both.next().flatten().and_then(text);
    Ok((generation, both.next().flatten()))
}

async fn generation(
    mut connection: MultiplexedConnection,
    key: Key,
    token: Token,
) -> RedisResult<String> {
    let name = key.generation().to_string();
    let mut both = pipe();
    let set = both.cmd("SET").arg(&name).arg(token.to_string()).arg("NX");
    set.arg("PX").arg(scripts::millis(GENERATION_TTL)).ignore();
    both.cmd("GET").arg(&name);
    let (found,): (String,) = both.query_async(&mut connection).await?;
    Ok(found)
}

fn text(raw: Raw) -> Option<String> {
    match raw {
        Raw::One(bytes) => String::from_utf8(bytes.into()).ok(),
        Raw::List(_) => None,
    }
}

async fn get_each(
    mut connection: MultiplexedConnection,
    keys: &[Key],
) -> RedisResult<Vec<Option<Raw>>> {
    let mut each = pipe();
    each.ignore_errors();
    for key in keys {
        each.add_command(read_command(*key, 1));
    }
    let values: Vec<RedisResult<Value>> = each.query_async(&mut connection).await?;
    values.into_iter().map(value_or_wrong_type).collect()
}

fn value_or_wrong_type(answer: RedisResult<Value>) -> RedisResult<Option<Raw>> {
    match answer {
        Err(error) if is_wrong_type(&error) => Ok(Some(Raw::One(Bytes::new()))),
        answer => raw(answer?),
    }
}

/// Converts an answer to a value. An empty list counts as absent.
fn raw(value: Value) -> RedisResult<Option<Raw>> {
    if let Value::Nil = value {
        return Ok(None);
    }
    if let Value::BulkString(bytes) = value {
        return Ok(Some(Raw::One(bytes.into())));
    }
    let Value::Array(elements) = value else {
        return Err(unexpected("a value"));
    };
    let elements: Option<Vec<Bytes>> = elements.into_iter().map(element).collect();
    let elements = elements.ok_or_else(|| unexpected("a list of values"))?;
    Ok(Some(elements)
        .filter(|list| !list.is_empty())
        .map(Raw::List))
}

fn element(value: Value) -> Option<Bytes> {
    if let Value::BulkString(bytes) = value {
        Some(bytes.into())
    } else {
        None
    }
}

/// Converts the answer of the claim script; `None` if another holder has the claim.
fn claimed(answer: Value) -> RedisResult<Option<Claimed>> {
    let answer: Vec<i64> = from_redis_value(answer)?;
    match *answer.as_slice() {
        [0] => Ok(None),
        [1] => Ok(Some(Claimed::Held { marker: None })),
        [1, marker] => Ok(Some(Claimed::Held {
            marker: Some(marker),
        })),
        _ => Err(unexpected("an answer of the claim script")),
    }
}

fn acquired(answer: Value) -> RedisResult<Acquired> {
    let Value::Array(parts) = answer else {
        return Err(unexpected("an answer of the acquire script"));
    };
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next()) {
        (Some(Value::Int(0)), None) => Ok(Acquired::Busy),
        (Some(Value::Int(2)), None) => Ok(Acquired::Granted),
        (Some(Value::Int(1)), Some(value)) => {
            let value = raw(value)?.ok_or_else(|| unexpected("a value of the acquire script"))?;
            Ok(Acquired::Value(value))
        }
        _ => Err(unexpected("an answer of the acquire script")),
    }
}

fn unexpected(expected: &'static str) -> RedisError {
    (
        ErrorKind::UnexpectedReturnType,
        "unexpected answer, expected",
        expected.to_owned(),
    )
        .into()
}
