//! What the protocol asks.

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
use crate::redis::shared_connection::Lane;
use crate::redis::slot::slot;
use crate::redis::{info, scripts};
use crate::remote::{
    Acquired, Claimed, Fault, Fence, GENERATION_TTL, Release, Remote, RemoteStats, Token,
};

/// A step of a scan looks at so many keys; a small server does that within a few milliseconds.
const STEP: usize = 500;
/// A scan is nobody's request: it may wait longer than a call for each of its steps.
const STEP_TIME: Duration = Duration::from_secs(1);

/// What goes over one lane.
type Group<T> = (Arc<Lane>, Vec<(Key, T)>);

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
        let held = self.on_claim(command, held).await?;
        Ok(held.unwrap_or_else(|| Claimed::Refused(self.refusal.clone())))
    }

    async fn raise(&self, holder: &Holder, number: i64) -> Result<bool, Fault> {
        let command = scripts::raise(holder, number);
        self.on_claim(command, |answer| Ok(from_redis_value(answer)?))
            .await
    }

    async fn get(&self, key: Key, epoch: &Epoch) -> Result<Option<Raw>, Fault> {
        let max = self.max_list;
        self.guarded(self.timeout, async {
            let lane = self.lane(key).await?;
            self.over(&lane, Some(epoch), async move |mut c| {
                one(reading(key, max).query_async(&mut c).await)
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
                    let lane = self.lane(*first).await?;
                    self.over(&lane, Some(epoch), |c| mget(c, keys)).await
                })
                .await
            }
            Route::Cluster(_) => {
                // A node takes no MGET of several slots.
                self.guarded(self.timeout, self.get_apart(keys, epoch))
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
            let lane = self.lane(key).await?;
            self.over(&lane, Some(epoch), async move |mut c| {
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
        let command = scripts::fill(key, token, value, ttl, self.max_list)
            .ok_or_else(|| Fault::Refused("a value of another shape than its kind".to_owned()))?;
        self.guarded(self.timeout, async {
            let lane = self.lane(key).await?;
            self.over(&lane, Some(epoch), async move |mut c| {
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
            let lane = self.lane(key).await?;
            self.over(&lane, Some(epoch), |c| scoped(c, key)).await
        })
        .await
    }

    async fn generation(&self, key: Key, epoch: &Epoch, token: Token) -> Result<String, Fault> {
        self.guarded(self.timeout, async {
            let lane = self.lane(key).await?;
            self.over(&lane, Some(epoch), |c| generation(c, key, token))
                .await
        })
        .await
    }

    async fn put(&self, key: Key, epoch: &Epoch, value: &Raw, ttl: Duration) -> Result<(), Fault> {
        let Raw::One(text) = value else {
            return Err(Fault::Refused("a list has leases".to_owned()));
        };
        let mut set = cmd("SET");
        set.arg(key.to_string()).arg(text.as_ref());
        set.arg("PX").arg(scripts::millis(ttl));
        self.guarded(self.timeout, async {
            let lane = self.lane(key).await?;
            self.over(&lane, Some(epoch), async move |mut c| {
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
        let lanes = self.guarded(self.timeout, self.lanes()).await?;
        let scans = lanes.iter().map(|lane| self.scan_one(lane, pattern));
        let mut found = BTreeSet::new();
        for keys in join_all(scans).await {
            found.extend(keys?);
        }
        Ok(found.into_iter().collect())
    }

    async fn stats(&self) -> Result<RemoteStats, Fault> {
        self.guarded(self.timeout, async {
            let lanes = self.lanes().await?;
            let asked = lanes
                .iter()
                .map(|lane| self.over(lane, None, async move |mut c| info::stats(&mut c).await));
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
            let lane = self.claim_lane().await?;
            self.over(&lane, None, async move |mut c| {
                read(scripts::run(&mut c, &command).await?)
            })
            .await
        })
        .await
    }

    /// Runs a script of keys that lie together; those of one lane go in one go.
    async fn write<T: Clone + Send + Sync>(
        &self,
        keys: &[(Key, T)],
        epoch: &Epoch,
        script: impl Fn(&[(Key, T)]) -> Cmd + Send + Sync,
    ) -> Result<(), Fault> {
        self.guarded(self.timeout, async {
            let groups = self.by_lane(keys.to_vec()).await?;
            let asked = groups.into_iter().map(|(lane, keys)| {
                let scripts: Vec<Cmd> = self.together(keys).iter().map(|k| script(k)).collect();
                async move {
                    self.over(&lane, Some(epoch), async move |mut c| {
                        scripts::run_all(&mut c, scripts).await
                    })
                    .await
                }
            });
            // All of them, even if one has failed: the others' keys are the better for it.
            join_all(asked).await.into_iter().collect()
        })
        .await
    }

    /// Those of one node that a script may have: in a cluster of one slot.
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

    async fn get_apart(&self, keys: &[Key], epoch: &Epoch) -> Result<Vec<Option<Raw>>, Fault> {
        let places = keys.iter().copied().zip(0..);
        let asked =
            self.by_lane(places.collect())
                .await?
                .into_iter()
                .map(|(lane, places)| async move {
                    let (keys, places): (Vec<Key>, Vec<usize>) = places.into_iter().unzip();
                    let values = self
                        .over(&lane, Some(epoch), |c| get_each(c, &keys))
                        .await?;
                    Ok::<_, Fault>(places.into_iter().zip(values))
                });
        let mut found = Vec::with_capacity(keys.len());
        for values in join_all(asked).await {
            found.extend(values?);
        }
        found.sort_unstable_by_key(|(place, _): &(usize, _)| *place);
        Ok(found.into_iter().map(|(_, value)| value).collect())
    }

    /// In the order of the keys, for each lane.
    async fn by_lane<T>(&self, keys: Vec<(Key, T)>) -> Result<Vec<Group<T>>, Fault> {
        let mut groups: Vec<Group<T>> = Vec::new();
        for (key, of) in keys {
            let lane = self.lane(key).await?;
            match groups
                .iter_mut()
                .find(|(known, _)| Arc::ptr_eq(known, &lane))
            {
                Some((_, group)) => group.push((key, of)),
                None => groups.push((lane, vec![(key, of)])),
            }
        }
        Ok(groups)
    }

    async fn scan_one(&self, lane: &Arc<Lane>, pattern: &str) -> Result<Vec<Key>, Fault> {
        let mut found = Vec::new();
        let mut cursor = String::from("0");
        loop {
            let mut step = cmd("SCAN");
            step.arg(&cursor).arg("MATCH").arg(pattern);
            step.arg("COUNT").arg(STEP);
            let asked = self.over(lane, None, async move |mut c: MultiplexedConnection| {
                step.query_async::<(String, Vec<Vec<u8>>)>(&mut c).await
            });
            let (next, names) = self.guarded(STEP_TIME.max(self.timeout), asked).await?;
            // Others' names may be anything.
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

fn reading(key: Key, max: usize) -> Cmd {
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
        return Err(unlike("as many values as keys"));
    }
    values.into_iter().map(raw).collect()
}

/// A value of the wrong type is none, and is overwritten.
async fn scoped(
    connection: MultiplexedConnection,
    key: Key,
) -> RedisResult<(Option<String>, Option<Raw>)> {
    let mut both = mget(connection, &[key.generation(), key])
        .await?
        .into_iter();
    let generation = both.next().flatten().and_then(word);
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

fn word(raw: Raw) -> Option<String> {
    match raw {
        Raw::One(text) => String::from_utf8(text.into()).ok(),
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
        each.add_command(reading(*key, 1));
    }
    let values: Vec<RedisResult<Value>> = each.query_async(&mut connection).await?;
    values.into_iter().map(one).collect()
}

fn one(answer: RedisResult<Value>) -> RedisResult<Option<Raw>> {
    match answer {
        Err(error) if is_wrong_type(&error) => Ok(Some(Raw::One(Bytes::new()))),
        answer => raw(answer?),
    }
}

/// An empty list is none.
fn raw(value: Value) -> RedisResult<Option<Raw>> {
    if let Value::Nil = value {
        return Ok(None);
    }
    if let Value::BulkString(bytes) = value {
        return Ok(Some(Raw::One(bytes.into())));
    }
    let Value::Array(elements) = value else {
        return Err(unlike("a value"));
    };
    let elements: Option<Vec<Bytes>> = elements.into_iter().map(element).collect();
    let elements = elements.ok_or_else(|| unlike("a list of values"))?;
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

/// The claim that is held; `None` if another holder has it.
fn held(answer: Value) -> RedisResult<Option<Claimed>> {
    let answer: Vec<i64> = from_redis_value(answer)?;
    match *answer.as_slice() {
        [0] => Ok(None),
        [1] => Ok(Some(Claimed::Held { marker: None })),
        [1, marker] => Ok(Some(Claimed::Held {
            marker: Some(marker),
        })),
        _ => Err(unlike("what claim answers")),
    }
}

fn acquired(answer: Value) -> RedisResult<Acquired> {
    let Value::Array(parts) = answer else {
        return Err(unlike("what acquire answers"));
    };
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next()) {
        (Some(Value::Int(0)), None) => Ok(Acquired::Busy),
        (Some(Value::Int(2)), None) => Ok(Acquired::Granted),
        (Some(Value::Int(1)), Some(value)) => {
            let value = raw(value)?.ok_or_else(|| unlike("a value of acquire"))?;
            Ok(Acquired::Value(value))
        }
        _ => Err(unlike("what acquire answers")),
    }
}

fn unlike(expected: &'static str) -> RedisError {
    (ErrorKind::UnexpectedReturnType, "not", expected.to_owned()).into()
}
